// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The API over TCP: who is let in and who is not, by what name, with TLS and tokens, how many, and
 * what becomes of addresses that are taken. As in the agent, the loop has a thread of its own and
 * goes by a configuration that was read from text.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <curl/curl.h>
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "api.h"
#include "api_guests.h"
#include "api_tcp.h"
#include "monotonic.h"

#define DEADLINE_MS 20000
#define TOKEN "0123456789abcdef0123456789abcdef"

struct server {
	char dir[64];
	char socket[160];
	unsigned int port;
	pthread_t thread;
	sem_t is_done;
	int exit_fd;
	int command_fd;

	/* loop thread */
	sd_event *event;
	struct api *api;
	struct fr_config config;
	struct fr_config next;
	int rc;

	/* as they were told after a command */
	bool has_place;
	struct api_place place;
	char trouble[320];
};

/* --- the server ---------------------------------------------------------- */

static void on_now(void *cookie, struct api_call *call, const json_t *body)
{
	(void)cookie;
	(void)body;
	api_reply(call, json_pack("{s:s}", "who", api_who(call)));
}

/* A call that costs the loop something. */
static void on_work(void *cookie, struct api_call *call, const json_t *body)
{
	uint64_t until_ns = monotonic_ns() + 5000000;

	(void)cookie;
	(void)body;
	while (monotonic_ns() < until_ns)
		;
	api_reply(call, json_object());
}

static const struct api_route routes[] = {
	API_GET("/now", on_now),
	API_GET("/work", on_work),
	API_POST("/now", on_now),
	{},
};

static int on_exit_fd(sd_event_source *source, int fd, uint32_t events, void *cookie)
{
	struct server *s = cookie;

	(void)source;
	(void)fd;
	(void)events;
	return sd_event_exit(s->event, 0);
}

/* A reload: the one before is gone at once. */
static int on_command(sd_event_source *source, int fd, uint32_t events, void *cookie)
{
	struct server *s = cookie;
	eventfd_t n;

	(void)source;
	(void)events;
	eventfd_read(fd, &n);
	fr_config_free(&s->config);
	s->config = s->next;
	s->next = (struct fr_config){ 0 };
	s->rc = api_listen(s->api, &s->config.api);
	fr_config_free(&s->config);
	s->has_place = api_place(s->api, 0, &s->place);
	snprintf(s->trouble, sizeof(s->trouble), "%s", s->has_place ? s->place.trouble : "");
	sem_post(&s->is_done);
	return 0;
}

static void *serve(void *arg)
{
	struct server *s = arg;

	if (sd_event_new(&s->event) < 0 ||
	    sd_event_add_io(s->event, NULL, s->exit_fd, EPOLLIN, on_exit_fd, s) < 0 ||
	    sd_event_add_io(s->event, NULL, s->command_fd, EPOLLIN, on_command, s) < 0 ||
	    api_start(&s->api, s->event, s->socket, routes, s))
		abort();
	sem_post(&s->is_done);
	sd_event_loop(s->event);
	api_stop(s->api);
	sd_event_unref(s->event);
	return NULL;
}

static void wait_done(struct server *s)
{
	while (sem_wait(&s->is_done))
		assert_int_equal(errno, EINTR);
}

/* %PORT and %DIR are the server's. */
static void fill(const struct server *s, char *out, const char *in)
{
	for (; *in; in++) {
		if (!strncmp(in, "%PORT", 5))
			out += sprintf(out, "%u", s->port), in += 4;
		else if (!strncmp(in, "%DIR", 4))
			out += sprintf(out, "%s", s->dir), in += 3;
		else
			*out++ = *in;
	}
	*out = '\0';
}

/* Have it go by these lines of api { }. */
static void configure(struct server *s, const char *lines)
{
	char text[2048] = "replication {\nmode = \"standalone\"\napi {\n";
	struct fr_diag diag;

	fill(s, text + strlen(text), lines);
	strcat(text, "\n}\n}\n");
	if (fr_config_parse("f", text, strlen(text), 0, &s->next, &diag))
		fail_msg("%s: %s", text, diag.entries[0].text);
	fr_diag_free(&diag);
	eventfd_write(s->command_fd, 1);
	wait_done(s);
	assert_int_equal(s->rc, 0);
}

static unsigned int free_port(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t len = sizeof(a);

	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
	close(fd);
	return ntohs(a.sin_port);
}

static int setup(void **state)
{
	struct server *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	strcpy(s->dir, "/tmp/test_api_tcp.XXXXXX");
	assert_non_null(mkdtemp(s->dir));
	snprintf(s->socket, sizeof(s->socket), "%s/api.sock", s->dir);
	s->port = free_port();
	assert_int_equal(sem_init(&s->is_done, 0, 0), 0);
	s->exit_fd = eventfd(0, EFD_CLOEXEC);
	s->command_fd = eventfd(0, EFD_CLOEXEC);
	assert_int_equal(pthread_create(&s->thread, NULL, serve, s), 0);
	wait_done(s);
	*state = s;
	return 0;
}

static int teardown(void **state)
{
	struct server *s = *state;
	char command[128];

	eventfd_write(s->exit_fd, 1);
	assert_int_equal(pthread_join(s->thread, NULL), 0);
	close(s->exit_fd);
	close(s->command_fd);
	sem_destroy(&s->is_done);
	snprintf(command, sizeof(command), "rm -r %s", s->dir);
	assert_int_equal(system(command), 0);
	free(s);
	return 0;
}

/* --- clients ------------------------------------------------------------- */

struct answer {
	long status;
	char error[64];
	char who[256];
	char text[8192];
	size_t len;
	CURLcode rc;
};

static size_t on_data(char *data, size_t size, size_t n, void *cookie)
{
	struct answer *a = cookie;

	if (a->len + size * n >= sizeof(a->text))
		return 0;
	memcpy(a->text + a->len, data, size * n);
	a->len += size * n;
	a->text[a->len] = '\0';
	return size * n;
}

/* What libcurl is told; NULL and 0: nothing */
struct ask {
	const char *url;	/* its port is the server's if it ends in a colon */
	const char *method;
	const char *headers[4];
	const char *ca_file;
	long tls;		/* CURL_SSLVERSION_* */
};

static void ask(struct answer *a, const struct server *s, const struct ask *q)
{
	struct curl_slist *headers = NULL;
	CURL *curl = curl_easy_init();
	char url[256];
	json_t *json;
	size_t i;

	memset(a, 0, sizeof(*a));
	snprintf(url, sizeof(url), "%s%u/now", q->url, s->port);
	for (i = 0; i < 4 && q->headers[i]; i++)
		headers = curl_slist_append(headers, q->headers[i]);
	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_data);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, a);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)DEADLINE_MS);
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
	curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, q->method);
	curl_easy_setopt(curl, CURLOPT_CAINFO, q->ca_file);
	curl_easy_setopt(curl, CURLOPT_SSLVERSION, q->tls);
	a->rc = curl_easy_perform(curl);
	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &a->status);
	curl_easy_cleanup(curl);
	curl_slist_free_all(headers);
	json = json_loads(a->text, 0, NULL);
	snprintf(a->error, sizeof(a->error), "%s",
		 json_string_value(json_object_get(json, "error")) ?: "");
	snprintf(a->who, sizeof(a->who), "%s",
		 json_string_value(json_object_get(json, "who")) ?: "");
	json_decref(json);
}

#define ASK(a, s, ...) ask(a, s, &(const struct ask){ __VA_ARGS__ })

static int dial(const struct server *s)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(s->port),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	return fd;
}

/* All until the end; the status of it, 0: none. */
static int read_status(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char text[4096] = "";
	size_t len = 0;
	int status = 0;
	ssize_t n;

	while (len < sizeof(text) - 1 && poll(&p, 1, DEADLINE_MS) == 1 &&
	       (n = read(fd, text + len, sizeof(text) - 1 - len)) > 0) {
		len += n;
		if (strstr(text, "\r\n\r\n"))
			break;
	}
	sscanf(text, "HTTP/1.1 %d", &status);
	return status;
}

/* A request that no library would make. */
static int ask_raw(const struct server *s, const char *head)
{
	char text[1024];
	int fd = dial(s), len, status;

	len = snprintf(text, sizeof(text), "%s\r\n\r\n", head);
	assert_int_equal(write(fd, text, len), len);
	status = read_status(fd);
	close(fd);
	return status;
}

/* --- tests --------------------------------------------------------------- */

static void test_the_lines_of_the_guide(void **state)
{
	struct server *s = *state;
	struct answer a;

	configure(s, "listen = [\"127.0.0.1:%PORT\", \"[::1]:%PORT\"]");
	ASK(&a, s, .url = "http://localhost:");
	assert_int_equal(a.status, 200);
	ASK(&a, s, .url = "http://127.0.0.1:");
	assert_int_equal(a.status, 200);
	/* As `curl -X POST` does it: no body, no type; and with the wrong type. */
	ASK(&a, s, .url = "http://localhost:", .method = "POST");
	assert_int_equal(a.status, 200);
	ASK(&a, s, .url = "http://localhost:", .method = "POST",
	    .headers = { "Content-Type: application/x-www-form-urlencoded" });
	assert_int_equal(a.status, 200);
	assert_string_not_equal(a.who, "");
	ASK(&a, s, .url = "http://localhost:", .method = "HEAD");
	assert_string_equal(a.text, "");
	assert_int_equal(api_counts(s->api, API_COUNT_WRONG_METHOD), 0);
}

static const struct {
	const char *header;
	int status;
	const char *error;
} heads[] = {
	{ "Host: localhost:%PORT", 200, "" },
	{ "Host: LOCALHOST:%PORT", 200, "" },
	{ "Host: 127.0.0.1:%PORT", 200, "" },
	{ "Host: fw.example:%PORT", 200, "" },
	{ "Host: tunnel.example:9", 200, "" },
	{ "Host: fw.example:9", 403, "wrong host" },
	{ "Host: tunnel.example:%PORT", 403, "wrong host" },
	{ "Host: fw.example", 403, "wrong host" },
	{ "Host: localhost", 403, "wrong host" },
	{ "Host: localhost:1", 403, "wrong host" },
	{ "Host: localhost:%PORT1", 403, "wrong host" },
	{ "Host: localhost.:%PORT", 403, "wrong host" },
	{ "Host: evil.example:%PORT", 403, "wrong host" },
	{ "Host: localhost.evil.example:%PORT", 403, "wrong host" },
	{ "Host: 127.0.0.2:%PORT", 403, "wrong host" },
	{ "Host: 127.1:%PORT", 403, "wrong host" },
	{ "Host: [::1]:%PORT", 403, "wrong host" },
	{ "Host: [fw.example]:%PORT", 403, "wrong host" },
	{ "Host: user@localhost:%PORT", 403, "wrong host" },
	{ "Host: ", 403, "wrong host" },
	{ "Origin: http://127.0.0.1:%PORT", 200, "" },
	{ "Origin: http://localhost:%PORT", 403, "cross-origin" },
	{ "Origin: https://127.0.0.1:%PORT", 403, "cross-origin" },
	{ "Origin: http://127.0.0.1:%PORT.evil.example", 403, "cross-origin" },
	{ "Origin: http://127.0.0.1:1", 403, "cross-origin" },
	{ "Origin: http://127.0.0.1", 403, "cross-origin" },
	{ "Origin: null", 403, "cross-origin" },
	{ "Sec-Fetch-Site: same-origin", 200, "" },
	{ "Sec-Fetch-Site: none", 200, "" },
	{ "Sec-Fetch-Site: same-site", 403, "cross-origin" },
	{ "Sec-Fetch-Site: cross-site", 403, "cross-origin" },
};

static void test_pages_of_other_sites(void **state)
{
	struct server *s = *state;
	struct answer a;
	char line[128];
	size_t i;

	configure(s, "listen = \"127.0.0.1:%PORT\"\n"
		     "hosts = [\"fw.example\", \"tunnel.example:9\"]");
	for (i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
		fill(s, line, heads[i].header);
		ASK(&a, s, .url = "http://127.0.0.1:", .method = i % 2 ? "POST" : "GET",
		    .headers = { line });
		if (a.status != heads[i].status || strcmp(a.error, heads[i].error))
			fail_msg("%s: %ld %s", line, a.status, a.text);
	}
	assert_true(api_counts(s->api, API_COUNT_WRONG_HOST) > 10);
	assert_true(api_counts(s->api, API_COUNT_CROSS_ORIGIN) > 5);

	assert_int_equal(ask_raw(s, "GET /now HTTP/1.1"), 400);
	assert_int_equal(ask_raw(s, "GET /now HTTP/1.0"), 403);
	snprintf(line, sizeof(line), "GET /now HTTP/1.1\r\nHost: localhost:%u\r\nHost: localhost:%u",
		 s->port, s->port);
	assert_int_equal(ask_raw(s, line), 403);
	snprintf(line, sizeof(line), "GET http://localhost:%u/now HTTP/1.1\r\nHost: localhost:%u",
		 s->port, s->port);
	assert_int_equal(ask_raw(s, line), 400);
}

/* In a child that is this user: exit code 0 if it gets these. */
static int as_user(const struct server *s, uid_t uid, long get, long post)
{
	struct answer a;
	pid_t child = fork();
	int status;

	if (!child) {
		if (setuid(uid))
			_exit(1);
		ASK(&a, s, .url = "http://127.0.0.1:");
		if (a.status != get)
			_exit(2);
		ASK(&a, s, .url = "http://127.0.0.1:", .method = "POST");
		_exit(a.status == post ? 0 : 3);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	return WEXITSTATUS(status);
}

static void test_who_may_do_something(void **state)
{
	struct server *s = *state;
	struct answer a;

	if (geteuid())
		skip();
	configure(s, "listen = \"127.0.0.1:%PORT\"");
	ASK(&a, s, .url = "http://127.0.0.1:", .method = "POST");
	assert_int_equal(a.status, 200);
	assert_string_equal(a.who, "root");
	/* Others may look. */
	assert_int_equal(as_user(s, 1, 200, 403), 0);
	assert_int_equal(as_user(s, 4001234567, 200, 403), 0);
	assert_int_equal(api_counts(s->api, API_COUNT_DENIED), 2);
}

static void write_text(const struct server *s, const char *name, const char *text)
{
	char path[160];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", s->dir, name);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
	chmod(path, 0600);
}

/* The end of a connection that is closed would be root's. */
static void test_who_is_gone_is_nobody(void **state)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int l = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), there, here;
	socklen_t len = sizeof(a);
	uid_t uid = 77;

	(void)state;
	assert_int_equal(bind(l, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(l, 1), 0);
	assert_int_equal(getsockname(l, (struct sockaddr *)&a, &len), 0);
	there = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(there, (struct sockaddr *)&a, sizeof(a)), 0);
	here = accept(l, NULL, NULL);
	assert_int_equal(api_tcp_owner(here, NULL, &uid), 0);
	assert_int_equal(uid, geteuid());
	uid = 77;
	assert_int_equal(api_tcp_owner(here, "/nonexistent", &uid), -ENOENT);
	shutdown(there, SHUT_WR);
	assert_int_equal(api_tcp_owner(here, NULL, &uid), -ENOENT);
	close(there);
	assert_int_equal(api_tcp_owner(here, NULL, &uid), -ENOENT);
	assert_int_equal(uid, 77);
	close(here);
	close(l);
	assert_int_equal(api_tcp_owner(-1, NULL, &uid), -EBADF);
}

static void test_tokens(void **state)
{
	struct server *s = *state;
	struct answer a;

	write_text(s, "tokens", "ops " TOKEN "1\n" TOKEN "2\n");
	configure(s, "listen = \"127.0.0.1:%PORT\"\ntoken_file = \"%DIR/tokens\"");
	ASK(&a, s, .url = "http://localhost:");
	assert_int_equal(a.status, 401);
	assert_string_equal(a.error, "not authorised");
	ASK(&a, s, .url = "http://localhost:", .headers = { "Authorization: Bearer " TOKEN });
	assert_int_equal(a.status, 401);
	ASK(&a, s, .url = "http://localhost:", .headers = { "Authorization: Bearer " TOKEN "12" });
	assert_int_equal(a.status, 401);
	ASK(&a, s, .url = "http://localhost:", .headers = { "Authorization: Basic " TOKEN "1" });
	assert_int_equal(a.status, 401);
	ASK(&a, s, .url = "http://localhost:", .headers = { "Authorization: " TOKEN "1" });
	assert_int_equal(a.status, 401);
	ASK(&a, s, .url = "http://localhost:",
	    .headers = { "Authorization: Bearer " TOKEN "1", "Authorization: Bearer " TOKEN "1" });
	assert_int_equal(a.status, 401);
	assert_null(strstr(a.text, TOKEN));
	ASK(&a, s, .url = "http://localhost:", .headers = { "Authorization: Bearer " TOKEN "1" });
	assert_int_equal(a.status, 200);
	ASK(&a, s, .url = "http://localhost:", .method = "POST",
	    .headers = { "authorization: bearer  " TOKEN "1" });
	assert_string_equal(a.who, "ops");
	ASK(&a, s, .url = "http://localhost:", .method = "POST",
	    .headers = { "Authorization: Bearer " TOKEN "2" });
	assert_string_equal(a.who, "token");
	/* A token is no key to other doors. */
	ASK(&a, s, .url = "http://localhost:",
	    .headers = { "Authorization: Bearer " TOKEN "1", "Host: evil.example" });
	assert_int_equal(a.status, 403);
	assert_int_equal(api_counts(s->api, API_COUNT_NO_TOKEN), 6);

	/* One that is struck off is nobody's from then on. */
	write_text(s, "tokens", TOKEN "2\n");
	configure(s, "listen = \"127.0.0.1:%PORT\"\ntoken_file = \"%DIR/tokens\"");
	ASK(&a, s, .url = "http://localhost:", .headers = { "Authorization: Bearer " TOKEN "1" });
	assert_int_equal(a.status, 401);
}

/* --- TLS ----------------------------------------------------------------- */

static void write_cert(const struct server *s, const char *cert_name, const char *key_name,
		       long days)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *cert = X509_new();
	X509_NAME *name = X509_get_subject_name(cert);
	X509_EXTENSION *san = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name,
						  "DNS:localhost,IP:127.0.0.1");
	char path[160];
	FILE *f;

	X509_set_version(cert, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(cert), random());
	X509_gmtime_adj(X509_getm_notBefore(cert), -86400 * 9);
	X509_gmtime_adj(X509_getm_notAfter(cert), 86400 * days);
	X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"fw", -1, -1,
				   0);
	X509_set_issuer_name(cert, name);
	X509_set_pubkey(cert, key);
	X509_add_ext(cert, san, -1);
	assert_true(X509_sign(cert, key, EVP_sha256()) > 0);
	snprintf(path, sizeof(path), "%s/%s", s->dir, cert_name);
	f = fopen(path, "w");
	assert_int_equal(PEM_write_X509(f, cert), 1);
	fclose(f);
	snprintf(path, sizeof(path), "%s/%s", s->dir, key_name);
	f = fopen(path, "w");
	assert_int_equal(PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL), 1);
	fclose(f);
	X509_EXTENSION_free(san);
	X509_free(cert);
	EVP_PKEY_free(key);
}

#define SECURE                                                             \
	"listen = \"127.0.0.1:%PORT\"\ntoken_file = \"%DIR/tokens\"\n"     \
	"tls { cert_file = \"%DIR/cert\"\nkey_file = \"%DIR/key\"\n}"

static void test_tls(void **state)
{
	struct server *s = *state;
	char ca[160], old[160], command[512];
	struct answer a;

	snprintf(ca, sizeof(ca), "%s/cert", s->dir);
	snprintf(old, sizeof(old), "%s/old", s->dir);
	write_text(s, "tokens", TOKEN "\n");
	write_cert(s, "cert", "key", 9);
	configure(s, SECURE);
	assert_true(s->place.is_listening && s->place.is_tls && s->place.has_token);
	ASK(&a, s, .url = "https://localhost:", .ca_file = ca,
	    .headers = { "Authorization: Bearer " TOKEN });
	if (a.status != 200)
		fail_msg("%s %s", curl_easy_strerror(a.rc), a.text);
	ASK(&a, s, .url = "https://localhost:", .ca_file = ca, .method = "POST",
	    .tls = CURL_SSLVERSION_TLSv1_2 | CURL_SSLVERSION_MAX_TLSv1_2,
	    .headers = { "Authorization: Bearer " TOKEN });
	assert_int_equal(a.status, 200);
	ASK(&a, s, .url = "https://localhost:", .ca_file = ca);
	assert_int_equal(a.status, 401);
	ASK(&a, s, .url = "https://localhost:", .ca_file = ca,
	    .tls = CURL_SSLVERSION_TLSv1_1 | CURL_SSLVERSION_MAX_TLSv1_1);
	assert_int_not_equal(a.rc, 0);
	ASK(&a, s, .url = "http://localhost:");
	assert_int_equal(a.status, 0);

	/* A faulty file: what was read before stays. */
	snprintf(command, sizeof(command), "cp %s %s", ca, old);
	assert_int_equal(system(command), 0);
	write_cert(s, "cert", "other", 9);
	configure(s, SECURE);
	assert_true(s->place.is_listening);
	assert_non_null(strstr(s->trouble, "key_file"));
	ASK(&a, s, .url = "https://localhost:", .ca_file = old,
	    .headers = { "Authorization: Bearer " TOKEN });
	assert_int_equal(a.status, 200);
	/* Both files new. */
	write_cert(s, "cert", "key", 9);
	configure(s, SECURE);
	assert_string_equal(s->trouble, "");
	ASK(&a, s, .url = "https://localhost:", .ca_file = ca,
	    .headers = { "Authorization: Bearer " TOKEN });
	assert_int_equal(a.status, 200);
	ASK(&a, s, .url = "https://localhost:", .ca_file = old);
	assert_int_not_equal(a.rc, 0);
}

/* Polled: the server tries again by its clock. */
static bool wait_status(struct server *s, const struct ask *q, long status)
{
	uint64_t end = monotonic_ns() + DEADLINE_MS * 1000000ull;
	struct answer a;

	do {
		ask(&a, s, q);
		if (a.status == status)
			return true;
		usleep(20000);
	} while (monotonic_ns() < end);
	return false;
}

static void test_never_without_its_certificate(void **state)
{
	struct server *s = *state;
	struct answer a;
	char ca[160];

	snprintf(ca, sizeof(ca), "%s/cert", s->dir);
	write_text(s, "tokens", TOKEN "\n");
	write_cert(s, "cert", "key", -1);
	configure(s, SECURE);
	assert_false(s->place.is_listening);
	assert_non_null(strstr(s->trouble, "has expired"));
	ASK(&a, s, .url = "http://localhost:");
	assert_int_equal(a.rc, CURLE_COULDNT_CONNECT);
	/* It heals by itself. */
	write_cert(s, "cert", "key", 9);
	assert_true(wait_status(s, &(const struct ask){ .url = "https://localhost:", .ca_file = ca },
				401));
}

static void test_port_in_use(void **state)
{
	struct server *s = *state;
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(s->port),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	write_text(s, "tokens", TOKEN "\n");
	write_cert(s, "cert", "key", 9);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(fd, 1), 0);
	configure(s, "listen = \"127.0.0.1:%PORT\"");
	assert_false(s->place.is_listening);
	assert_string_equal(s->trouble, "another program listens there");
	close(fd);
	assert_true(wait_status(s, &(const struct ask){ .url = "http://127.0.0.1:" }, 200));

	/* Nor is an address that is not there the end of it. */
	configure(s, "listen = [\"192.0.2.1:%PORT\", \"127.0.0.1:%PORT\"]\n"
		     "token_file = \"%DIR/tokens\"\n"
		     "tls { cert_file = \"%DIR/cert\"\nkey_file = \"%DIR/key\"\n}");
	assert_false(s->place.is_listening);
}

static void test_reload(void **state)
{
	struct server *s = *state;
	unsigned int port = s->port;
	struct answer a;
	int fd;

	configure(s, "listen = \"127.0.0.1:%PORT\"");
	fd = dial(s);
	/* Nothing has changed: nobody is disturbed. */
	configure(s, "listen = [\"127.0.0.1:%PORT\"]");
	assert_int_equal(dprintf(fd, "GET /now HTTP/1.1\r\nHost: localhost:%u\r\n\r\n", port) > 0, 1);
	assert_int_equal(read_status(fd), 200);
	close(fd);
	s->port = free_port();
	configure(s, "listen = \"127.0.0.1:%PORT\"");
	ASK(&a, s, .url = "http://localhost:");
	assert_int_equal(a.status, 200);
	s->port = port;
	ASK(&a, s, .url = "http://localhost:");
	assert_int_equal(a.rc, CURLE_COULDNT_CONNECT);
	configure(s, "listen = \"\"");
	assert_false(s->has_place);
}

static void test_too_many(void **state)
{
	struct server *s = *state;
	int fds[40], status;
	unsigned int n_ok = 0, n_busy = 0, n_cut = 0, i;
	struct answer a;

	configure(s, "listen = \"127.0.0.1:%PORT\"");
	for (i = 0; i < 40; i++)
		fds[i] = dial(s);
	/* Each is answered: what came first is served. */
	for (i = 0; i < 40; i++) {
		dprintf(fds[i], "GET /now HTTP/1.1\r\nHost: localhost:%u\r\n\r\n", s->port);
		status = read_status(fds[i]);
		n_ok += status == 200;
		n_busy += status == 503;
		n_cut += !status;
	}
	assert_int_equal(n_ok, 16);
	assert_true(n_busy >= 16);
	assert_int_equal(n_busy + n_cut, 24);
	assert_int_equal(api_counts(s->api, API_COUNT_BUSY), 24);
	for (i = 0; i < 40; i++)
		close(fds[i]);
	assert_true(wait_status(s, &(const struct ask){ .url = "http://127.0.0.1:" }, 200));
	ASK(&a, s, .url = "http://127.0.0.1:");
	assert_int_equal(a.status, 200);
}

/* Each call by TCP has the next ones wait, up to a second; the unix socket does not wait for them. */
static void test_the_local_do_not_wait_for_tcp(void **state)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	struct server *s = *state;
	struct pollfd tcp[16];
	size_t i;
	int fd;

	configure(s, "listen = \"127.0.0.1:%PORT\"");
	for (i = 0; i < 16; i++) {
		tcp[i] = (struct pollfd){ .fd = dial(s), .events = POLLIN };
		dprintf(tcp[i].fd, "GET /work?is=%zu HTTP/1.1\r\nHost: localhost:%u\r\n\r\n", i,
			s->port);
	}
	assert_true(poll(tcp, 16, DEADLINE_MS) > 0);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	strncpy(a.sun_path, s->socket, sizeof(a.sun_path) - 1);
	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	dprintf(fd, "GET /now HTTP/1.1\r\nHost: localhost\r\n\r\n");
	assert_int_equal(read_status(fd), 200);
	assert_in_range(poll(tcp, 16, 0), 1, 15);
	close(fd);
	for (i = 0; i < 16; i++)
		close(tcp[i].fd);
}

/* Who sends a byte now and then is not silent, but slow. */
static void test_the_slow_are_given_up(void **state)
{
	static const struct api_guests_limits limits = { .total = 2 };
	struct api_guests *g = malloc(sizeof(*g));
	struct api_guest *slow, *waits;
	int a[2], b[2];
	char c;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, a), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, b), 0);
	api_guests_init(g, &limits);
	slow = api_guests_come(g, a[0], NULL);
	waits = api_guests_come(g, b[0], NULL);
	assert_false(slow->is_refused || waits->is_refused);
	assert_true(api_guests_come(g, 0, NULL)->is_refused);
	assert_int_equal(api_guests_count(g), 3);
	api_guests_turn(g, waits, true);
	assert_int_equal(api_guests_sweep(g, 1000000000000ull), 0);
	api_guests_go(g, &g->v[2]);
	while (!api_guests_sweep(g, 0))
		;
	assert_int_equal(read(a[1], &c, 1), 0);
	assert_int_equal(write(b[1], "x", 1), 1);
	/* Its turn again. */
	api_guests_turn(g, waits, false);
	while (!api_guests_sweep(g, 0))
		;
	api_guests_go(g, slow);
	api_guests_go(g, waits);
	assert_int_equal(api_guests_count(g), 0);
	api_guests_destroy(g);
	free(g);
	close(a[0]);
	close(a[1]);
	close(b[0]);
	close(b[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define RUNNING(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
		RUNNING(test_the_lines_of_the_guide),
		RUNNING(test_pages_of_other_sites),
		RUNNING(test_who_may_do_something),
		cmocka_unit_test(test_who_is_gone_is_nobody),
		RUNNING(test_tokens),
		RUNNING(test_tls),
		RUNNING(test_never_without_its_certificate),
		RUNNING(test_port_in_use),
		RUNNING(test_reload),
		RUNNING(test_too_many),
		RUNNING(test_the_local_do_not_wait_for_tcp),
		cmocka_unit_test(test_the_slow_are_given_up),
	};
	int rc;

	signal(SIGPIPE, SIG_IGN);
	curl_global_init(CURL_GLOBAL_DEFAULT);
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	curl_global_cleanup();
	return rc;
}
