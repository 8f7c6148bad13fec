// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The API over its unix socket, with libcurl and with bare bytes. The loop runs in a
 * thread of its own, as in the agent; the tests are the clients.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <pwd.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <curl/curl.h>

#include "api.h"

#define DEADLINE_MS 20000 /* of anything a test waits for */
#define HELD_MAX 256

/* --- the server -------------------------------------------------------------- */

struct server {
	char dir[64];
	char path[160];
	pthread_t thread;
	sem_t is_up;
	int exit_fd;
	int start_rc;
	uint64_t call_ms; /* deadline of a call, 0: default */

	/* loop thread */
	sd_event *event;
	struct api *api;
	struct api_call *held[HELD_MAX];
	sd_event_source *poll_gone;
	struct api_call *watched;
	unsigned int n_counted;

	atomic_uint n_held;
	atomic_uint n_late; /* calls given back after the api had stopped */
	atomic_bool saw_gone;
	atomic_int wrong_thread;
};

static void check_thread(struct server *s)
{
	if (!pthread_equal(pthread_self(), s->thread))
		atomic_fetch_add(&s->wrong_thread, 1);
}

static void on_now(void *cookie, struct api_call *call, const json_t *body)
{
	check_thread(cookie);
	api_reply(call, json_pack("{s:b}", "has_body", !!body));
}

static void on_echo(void *cookie, struct api_call *call, const json_t *body)
{
	check_thread(cookie);
	api_reply(call, json_incref((json_t *)body));
}

static void on_refuse(void *cookie, struct api_call *call, const json_t *body)
{
	(void)body;
	check_thread(cookie);
	api_fail(call, 409, "split brain", "peer %s is \xff too", "fw2");
}

static void on_nothing(void *cookie, struct api_call *call, const json_t *body)
{
	(void)body;
	check_thread(cookie);
	api_reply(call, NULL);
}

static int on_later_time(sd_event_source *source, uint64_t usec, void *cookie)
{
	(void)usec;
	api_reply(cookie, json_pack("{s:s}", "when", "later"));
	sd_event_source_disable_unref(source);
	return 0;
}

static void on_later(void *cookie, struct api_call *call, const json_t *body)
{
	struct server *s = cookie;
	sd_event_source *source;

	(void)body;
	if (sd_event_add_time_relative(s->event, &source, CLOCK_MONOTONIC,
				       20000, 0, on_later_time, call) < 0)
		abort();
}

static void on_hold(void *cookie, struct api_call *call, const json_t *body)
{
	struct server *s = cookie;

	(void)body;
	if (atomic_load(&s->n_held) == HELD_MAX)
		abort();
	s->held[atomic_load(&s->n_held)] = call;
	atomic_fetch_add(&s->n_held, 1);
}

static void on_release(void *cookie, struct api_call *call, const json_t *body)
{
	struct server *s = cookie;

	(void)body;
	while (atomic_load(&s->n_held)) {
		unsigned int i = atomic_fetch_sub(&s->n_held, 1) - 1;

		api_reply(s->held[i], json_pack("{s:i}", "held", i));
	}
	api_reply(call, json_object());
}

static int on_poll_gone(sd_event_source *source, uint64_t usec, void *cookie)
{
	struct server *s = cookie;

	(void)usec;
	if (!api_is_gone(s->watched)) {
		sd_event_source_set_time_relative(source, 2000);
		return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
	}
	api_reply(s->watched, json_object());
	s->watched = NULL;
	atomic_store(&s->saw_gone, true);
	return 0;
}

static void on_watch(void *cookie, struct api_call *call, const json_t *body)
{
	struct server *s = cookie;

	(void)body;
	s->watched = call;
	s->poll_gone = sd_event_source_unref(s->poll_gone);
	if (sd_event_add_time_relative(s->event, &s->poll_gone, CLOCK_MONOTONIC,
				       2000, 0, on_poll_gone, s) < 0)
		abort();
	atomic_fetch_add(&s->n_held, 1);
}

static void on_begin(void *cookie, struct api_call *call, const json_t *body)
{
	(void)body;
	check_thread(cookie);
	api_accept(call, json_pack("{s:s}", "id", "7"));
}

static void on_progress(void *cookie, struct api_call *call, const json_t *body)
{
	(void)body;
	check_thread(cookie);
	api_reply(call, json_pack("{s:s}", "id", api_arg(call)));
}

static void on_asked(void *cookie, struct api_call *call, const json_t *body)
{
	(void)body;
	check_thread(cookie);
	api_reply(call, json_pack("{s:s, s:s, s:O}", "arg", api_arg(call), "who", api_who(call),
				  "query", api_query(call)));
}

/* Hold up the loop until so many requests have come. */
static void on_block(void *cookie, struct api_call *call, const json_t *body)
{
	const struct timespec pause = { .tv_nsec = 1000000 };
	json_int_t n = json_integer_value(json_object_get(body, "until"));
	struct server *s = cookie;
	int i;

	for (i = 0; i < DEADLINE_MS && (json_int_t)api_counts(s->api, API_COUNT_REQUESTS) < n; i++)
		nanosleep(&pause, NULL);
	api_reply(call, json_object());
}

static void on_count(void *cookie, struct api_call *call, const json_t *body)
{
	struct server *s = cookie;

	(void)body;
	api_reply(call, json_pack("{s:s, s:i}", "of", api_arg(call), "n", ++s->n_counted));
}

static void on_asset(void *cookie, struct api_call *call, const json_t *body)
{
	static const char page[] = "<p>\xe2\x9c\x93";
	static const struct asset asset = { page, page + sizeof(page) - 1, "text/html",
					    "default-src 'self'" };

	(void)body;
	check_thread(cookie);
	api_reply_asset(call, &asset);
}

static const struct api_route routes[] = {
	API_GET("/asset", on_asset),
	API_GET("/now", on_now),	    API_POST("/now", on_now),
	API_POST("/echo", on_echo),	    API_GET("/refuse", on_refuse),
	API_GET("/later", on_later),	    API_GET("/hold", on_hold),
	API_POST("/release", on_release), API_GET("/watch", on_watch),
	API_GET("/nothing", on_nothing),  API_POST("/begin", on_begin),
	API_GET("/begin/+", on_progress), API_GET("/asked/+/by", on_asked),
	API_POST("/asked/+/by", on_asked), API_POST("/block", on_block),
	API_GET("/count/+", on_count),	   {},
};

static int on_exit_fd(sd_event_source *source, int fd, uint32_t events,
		      void *cookie)
{
	struct server *s = cookie;

	(void)source;
	(void)fd;
	(void)events;
	return sd_event_exit(s->event, 0);
}

static void *serve(void *arg)
{
	struct server *s = arg;

	if (sd_event_new(&s->event) < 0 ||
	    sd_event_add_io(s->event, NULL, s->exit_fd, EPOLLIN, on_exit_fd,
			    s) < 0)
		abort();
	s->start_rc = api_start(&s->api, s->event, s->path, routes, s);
	if (!s->start_rc && s->call_ms)
		api_set_deadline(s->api, s->call_ms);
	sem_post(&s->is_up);
	if (!s->start_rc) {
		sd_event_loop(s->event);
		api_stop(s->api);
	}
	/* Handlers that reply after the end: nothing may happen. */
	while (atomic_load(&s->n_held) && !s->watched) {
		unsigned int i = atomic_fetch_sub(&s->n_held, 1) - 1;

		if (!api_is_gone(s->held[i]))
			abort();
		if (i % 2)
			api_reply(s->held[i], json_object());
		else
			api_fail(s->held[i], 500, "late", "%u", i);
		atomic_fetch_add(&s->n_late, 1);
	}
	if (s->watched)
		api_reply(s->watched, json_object());
	sd_event_source_disable_unref(s->poll_gone);
	sd_event_unref(s->event);
	return NULL;
}

static void server_run(struct server *s)
{
	assert_int_equal(sem_init(&s->is_up, 0, 0), 0);
	s->exit_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	assert_true(s->exit_fd >= 0);
	assert_int_equal(pthread_create(&s->thread, NULL, serve, s), 0);
	while (sem_wait(&s->is_up))
		assert_int_equal(errno, EINTR);
}

static void server_join(struct server *s)
{
	eventfd_write(s->exit_fd, 1);
	assert_int_equal(pthread_join(s->thread, NULL), 0);
	close(s->exit_fd);
	sem_destroy(&s->is_up);
	assert_int_equal(atomic_load(&s->wrong_thread), 0);
}

static int setup(void **state)
{
	struct server *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	strcpy(s->dir, "/tmp/test_api.XXXXXX");
	assert_non_null(mkdtemp(s->dir));
	snprintf(s->path, sizeof(s->path), "%s/api.sock", s->dir);
	*state = s;
	return 0;
}

static int setup_running(void **state)
{
	setup(state);
	server_run(*state);
	assert_int_equal(((struct server *)*state)->start_rc, 0);
	return 0;
}

static int setup_hurried(void **state)
{
	setup(state);
	((struct server *)*state)->call_ms = 100;
	server_run(*state);
	return 0;
}

static int teardown(void **state)
{
	struct server *s = *state;

	unlink(s->path);
	rmdir(s->dir);
	free(s);
	return 0;
}

static int teardown_running(void **state)
{
	struct server *s = *state;
	struct stat st;

	server_join(s);
	/* It cleans up behind itself. */
	assert_int_equal(stat(s->path, &st), -1);
	return teardown(state);
}

/* --- a client ---------------------------------------------------------------- */

struct request {
	CURL *curl;
	struct curl_slist *headers;
	char body[4096];
	size_t len;
	char allow[64];
	char type[64];
	char policy[64];
	long status;
	CURLcode rc;
};

static size_t on_data(char *data, size_t size, size_t n, void *cookie)
{
	struct request *r = cookie;

	if (r->len + size * n >= sizeof(r->body))
		return 0;
	memcpy(r->body + r->len, data, size * n);
	r->len += size * n;
	r->body[r->len] = '\0';
	return size * n;
}

static size_t on_header(char *data, size_t size, size_t n, void *cookie)
{
	struct request *r = cookie;
	char line[200];

	snprintf(line, sizeof(line), "%.*s", (int)(size * n), data);
	sscanf(line, "Allow: %63[^\r\n]", r->allow);
	sscanf(line, "Content-Type: %63[^\r\n]", r->type);
	sscanf(line, "Content-Security-Policy: %63[^\r\n]", r->policy);
	return size * n;
}

static void prepare(struct request *r, const struct server *s, const char *path,
		    const char *body)
{
	char url[200];

	memset(r, 0, sizeof(*r));
	r->curl = curl_easy_init();
	assert_non_null(r->curl);
	snprintf(url, sizeof(url), "http://localhost%s", path);
	curl_easy_setopt(r->curl, CURLOPT_URL, url);
	curl_easy_setopt(r->curl, CURLOPT_UNIX_SOCKET_PATH, s->path);
	curl_easy_setopt(r->curl, CURLOPT_WRITEFUNCTION, on_data);
	curl_easy_setopt(r->curl, CURLOPT_WRITEDATA, r);
	curl_easy_setopt(r->curl, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(r->curl, CURLOPT_HEADERDATA, r);
	curl_easy_setopt(r->curl, CURLOPT_TIMEOUT_MS, (long)DEADLINE_MS);
	curl_easy_setopt(r->curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(r->curl, CURLOPT_PATH_AS_IS, 1L);
	if (body) {
		r->headers = curl_slist_append(
			NULL, "Content-Type: application/json");
		curl_easy_setopt(r->curl, CURLOPT_HTTPHEADER, r->headers);
		curl_easy_setopt(r->curl, CURLOPT_POSTFIELDSIZE,
				 (long)strlen(body));
		curl_easy_setopt(r->curl, CURLOPT_COPYPOSTFIELDS, body);
	}
}

static void perform(struct request *r)
{
	r->rc = curl_easy_perform(r->curl);
	curl_easy_getinfo(r->curl, CURLINFO_RESPONSE_CODE, &r->status);
}

static void finish(struct request *r)
{
	curl_easy_cleanup(r->curl);
	curl_slist_free_all(r->headers);
}

static void ask(struct request *r, const struct server *s, const char *path,
		const char *body)
{
	prepare(r, s, path, body);
	perform(r);
	finish(r);
	if (r->rc)
		fail_msg("%s: %s", path, curl_easy_strerror(r->rc));
}

/* The answer is an error of our form. */
static void check_error(const struct request *r, long status, const char *error,
			const char *details)
{
	json_t *json = json_loads(r->body, 0, NULL);
	const char *e, *d;

	assert_int_equal(r->status, status);
	assert_non_null(json);
	assert_string_equal(r->type, "application/json");
	assert_int_equal(json_unpack(json, "{s:s, s:s !}", "error", &e,
				     "details", &d),
			 0);
	assert_string_equal(e, error);
	assert_string_equal(d, details);
	json_decref(json);
}

static int dial(const struct server *s)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	snprintf(a.sun_path, sizeof(a.sun_path), "%s/api.sock", s->dir);
	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	return fd;
}

/* Send bytes, read to the end or to the deadline; NUL-terminated. */
static void converse(const struct server *s, const char *bytes, size_t len,
		     char *answer, size_t size)
{
	struct pollfd p = { .fd = dial(s), .events = POLLIN };
	size_t n = 0;

	assert_int_equal(send(p.fd, bytes, len, MSG_NOSIGNAL), len);
	shutdown(p.fd, SHUT_WR);
	while (n < size - 1) {
		ssize_t got;

		assert_int_equal(poll(&p, 1, DEADLINE_MS), 1);
		got = recv(p.fd, answer + n, size - 1 - n, 0);
		if (got <= 0)
			break;
		n += got;
	}
	answer[n] = '\0';
	close(p.fd);
}

static void wait_held(struct server *s, unsigned int n)
{
	const struct timespec pause = { .tv_nsec = 1000000 };
	int i;

	for (i = 0; i < DEADLINE_MS && atomic_load(&s->n_held) < n; i++)
		nanosleep(&pause, NULL);
	assert_int_equal(atomic_load(&s->n_held), n);
}

/* --- tests ------------------------------------------------------------------- */

static void test_answers(void **state)
{
	struct server *s = *state;
	struct request r;

	ask(&r, s, "/now", NULL);
	assert_int_equal(r.status, 200);
	assert_string_equal(r.body, "{\"has_body\":false}\n");
	assert_string_equal(r.type, "application/json");
	ask(&r, s, "/begin", "{}");
	assert_int_equal(r.status, 202);
	assert_string_equal(r.body, "{\"id\":\"7\"}\n");
	ask(&r, s, "/begin/7", NULL);
	assert_int_equal(r.status, 200);
	assert_string_equal(r.body, "{\"id\":\"7\"}\n");
	ask(&r, s, "/now?with=query", NULL);
	assert_int_equal(r.status, 200);
	ask(&r, s, "/now", "");
	assert_string_equal(r.body, "{\"has_body\":true}\n");
	ask(&r, s, "/echo", "");
	assert_string_equal(r.body, "{}\n");
	ask(&r, s, "/echo", "{\"a\": [1, \"\\u00fc\", null]}");
	assert_string_equal(r.body, "{\"a\":[1,\"\xc3\xbc\",null]}\n");
	ask(&r, s, "/later", NULL);
	assert_string_equal(r.body, "{\"when\":\"later\"}\n");
	ask(&r, s, "/refuse", NULL);
	check_error(&r, 409, "split brain", "peer fw2 is ? too");
	ask(&r, s, "/nothing", NULL);
	assert_int_equal(r.status, 500);
}

/* What stands in the path, behind it, and who it is that asks. */
static void test_assets(void **state)
{
	const struct server *s = *state;
	struct request r;
	json_t *doc;

	ask(&r, s, "/asset", NULL);
	assert_int_equal(r.status, 200);
	assert_string_equal(r.type, "text/html");
	assert_string_equal(r.policy, "default-src 'self'");
	assert_string_equal(r.body, "<p>\xe2\x9c\x93");

	/* What is no page may run nothing. */
	ask(&r, s, "/now", NULL);
	assert_string_equal(r.policy, "default-src 'none'; frame-ancestors 'none'");

	/* The file that is built in is whole. */
	doc = json_loadb(asset_openapi.begin, asset_openapi.end - asset_openapi.begin, 0, NULL);
	assert_non_null(doc);
	assert_string_equal(json_string_value(json_object_get(doc, "openapi")), "3.0.3");
	assert_int_equal(*asset_openapi.end, 0);
	json_decref(doc);
}

static void test_handlers_know_what_was_asked_and_by_whom(void **state)
{
	const struct passwd *self = getpwuid(geteuid());
	struct server *s = *state;
	char want[400], name[64];
	struct request r;

	ask(&r, s, "/asked/7/by", NULL);
	assert_string_equal(r.body, "{\"arg\":\"7\",\"who\":\"\",\"query\":{}}\n");
	ask(&r, s, "/asked/a%20b/by?state=pending&peer=&x%C3%A4=1+2", NULL);
	assert_string_equal(r.body, "{\"arg\":\"a b\",\"who\":\"\",\"query\":"
				    "{\"state\":\"pending\",\"peer\":\"\",\"x\xc3\xa4\":\"1 2\"}}\n");
	ask(&r, s, "/asked/7/by?a=1&b=2&a=3", NULL);
	check_error(&r, 400, "bad request", "a: given twice");
	ask(&r, s, "/asked/7/by?a=%FF", NULL);
	check_error(&r, 400, "bad request", "the parameters of the URL must be UTF-8");
	ask(&r, s, "/asked/7/by/", NULL);
	assert_int_equal(r.status, 404);
	ask(&r, s, "/asked//by", NULL);
	assert_int_equal(r.status, 400);
	ask(&r, s, "/asked/7", NULL);
	assert_int_equal(r.status, 404);

	snprintf(name, sizeof(name), "%u", geteuid());
	snprintf(want, sizeof(want), "{\"arg\":\"8\",\"who\":\"%s\",\"query\":{}}\n",
		 !geteuid() ? "root" : self ? self->pw_name : name);
	ask(&r, s, "/asked/8/by", "{}");
	assert_string_equal(r.body, want);
}

/* Others are told apart: by name, or by number where there is no name. */
static void test_another_user_is_another(void **state)
{
	static const uid_t uids[] = { 1, 4001234567 };
	struct server *s = *state;
	size_t i;

	if (geteuid())
		skip();
	assert_int_equal(chmod(s->dir, 0755), 0);
	assert_int_equal(chmod(s->path, 0666), 0);
	for (i = 0; i < 2; i++) {
		const struct passwd *named = getpwuid(uids[i]);
		char want[300], name[64];
		struct request r;
		int status;
		pid_t child;

		snprintf(name, sizeof(name), "%u", uids[i]);
		snprintf(want, sizeof(want), "{\"arg\":\"8\",\"who\":\"%s\",\"query\":{}}\n",
			 named ? named->pw_name : name);
		child = fork();
		assert_true(child >= 0);
		if (!child) {
			if (setresuid(uids[i], uids[i], uids[i]))
				_exit(1);
			ask(&r, s, "/asked/8/by", "{}");
			_exit(strcmp(r.body, want) ? 2 : 0);
		}
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_int_equal(status, 0);
	}
}

static void test_wrong_requests_get_clear_errors(void **state)
{
	struct server *s = *state;
	static const char *const tricks[] = { "/../now", "//now", "/./now", "/begin/../now", "/now//",
					      "/%2e%2e/now", "/begin%2f7", "/begin%2F7", "/now%00",
					      "/now%00.html", "/begin/%5c", "/begin/%zz",
					      "/begin/%2", "/begin/%252f", "/now;x" };
	struct request r;
	char *deep = malloc(60001);
	size_t i;

	ask(&r, s, "/nowhere", NULL);
	check_error(&r, 404, "not found", "nothing at /nowhere");
	ask(&r, s, "/nowhere", "{}");
	check_error(&r, 404, "not found", "nothing at /nowhere");
	ask(&r, s, "/now/", NULL);
	check_error(&r, 404, "not found", "nothing at /now/");
	for (i = 0; i < sizeof(tricks) / sizeof(tricks[0]); i++) {
		ask(&r, s, tricks[i], NULL);
		check_error(&r, 400, "bad request",
			    "the path must begin with a slash and be without //, /. and escapes of "
			    "them");
	}
	assert_int_equal(api_counts(s->api, API_COUNT_BAD_REQUEST), i);
	ask(&r, s, "/begin/", NULL);
	check_error(&r, 404, "not found", "nothing at /begin/");
	ask(&r, s, "/begin/7/8", NULL);
	check_error(&r, 404, "not found", "nothing at /begin/7/8");
	ask(&r, s, "/begin/1234567890123456789012345678901234567890123456789012345678901234",
	    NULL);
	assert_int_equal(r.status, 404);
	ask(&r, s, "/begin/7", "{}");
	check_error(&r, 405, "method not allowed", "/begin/7 takes GET, not POST");
	ask(&r, s, "/refuse", "{}");
	check_error(&r, 405, "method not allowed",
		    "/refuse takes GET, not POST");
	assert_string_equal(r.allow, "GET");
	ask(&r, s, "/echo", NULL);
	check_error(&r, 405, "method not allowed", "/echo takes POST, not GET");
	assert_string_equal(r.allow, "POST");

	prepare(&r, s, "/now", NULL);
	curl_easy_setopt(r.curl, CURLOPT_CUSTOMREQUEST, "DELETE");
	perform(&r);
	finish(&r);
	check_error(&r, 405, "method not allowed",
		    "/now takes GET, POST, not DELETE");
	assert_string_equal(r.allow, "GET, POST");

	ask(&r, s, "/echo", "{\"a\": 1,\n \"b\": }");
	check_error(&r, 400, "malformed JSON",
		    "line 2 column 7: unexpected token near '}'");
	ask(&r, s, "/echo", "{\"a\": 1, \"a\": 2}");
	assert_int_equal(r.status, 400);
	ask(&r, s, "/echo", "{} {}");
	assert_int_equal(r.status, 400);
	ask(&r, s, "/echo", "[1]");
	check_error(&r, 400, "malformed JSON",
		    "line 1 column 1: the body must be an object");
	ask(&r, s, "/echo", "{\"a\": \"\xff\"}");
	assert_int_equal(r.status, 400);
	assert_non_null(strstr(r.body, "line 1 column"));
	assert_non_null(deep);
	memset(deep, '[', 60000);
	deep[60000] = '\0';
	ask(&r, s, "/echo", deep);
	assert_int_equal(r.status, 400);
	free(deep);

	/* And after all of that it still works. */
	ask(&r, s, "/now", NULL);
	assert_int_equal(r.status, 200);
}

static void test_bodies_are_bounded(void **state)
{
	static const size_t sizes[] = { 65536,	 65537,		200000,
					1 << 20, (1 << 20) + 1, 5 << 20 };
	struct server *s = *state;
	struct request r;
	size_t i;

	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		char *body = malloc(sizes[i] + 1);

		assert_non_null(body);
		memset(body, ' ', sizes[i]);
		body[0] = '{';
		body[sizes[i] - 1] = '}';
		body[sizes[i]] = '\0';
		ask(&r, s, "/echo", body);
		if (sizes[i] <= 65536)
			assert_string_equal(r.body, "{}\n");
		else
			check_error(&r, 413, "body too large",
				    "at most 65536 bytes");

		/* The same without saying how long it will be. */
		prepare(&r, s, "/echo", body);
		r.headers = curl_slist_append(r.headers,
					      "Transfer-Encoding: chunked");
		perform(&r);
		finish(&r);
		if (sizes[i] <= 65536) {
			assert_int_equal(r.rc, CURLE_OK);
			assert_string_equal(r.body, "{}\n");
		} else if (sizes[i] <= 1 << 20) {
			assert_int_equal(r.rc, CURLE_OK);
			check_error(&r, 413, "body too large",
				    "at most 65536 bytes");
		} else {
			/* Cut off, or answered just before. */
			assert_true(r.rc || r.status == 413);
		}
		free(body);
	}
}

static void test_strange_bytes(void **state)
{
	static const struct {
		const char *bytes;
		const char *answer; /* begins so */
	} rows[] = {
		{ "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n"
		  "Transfer-Encoding: chunked\r\n\r\n{}",
		  "HTTP/1.1 400 " },
		{ "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n"
		  "Content-Length: 3\r\n\r\n{}",
		  "HTTP/1.1 400 " },
		{ "GET /now HTTP/1.1\r\n\r\n", "HTTP/1.1 400 " }, /* no Host */
		{ "POST /echo HTTP/1.1\r\nHost: x\r\n"
		  "Content-Length: -1\r\n\r\n{}",
		  "HTTP/1.1 400 " },
		{ "GET /now HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n"
		  "Connection: close\r\n\r\n{}",
		  "HTTP/1.1 400 " },
		{ "GET /now\r\n\r\n", "HTTP/1.1 400 " },
	};
	static const char *const endless[] = {
		"\r\n\r\n\r\n\r\n",
		"\x16\x03\x01\x02\x00\x01\x00\x01\xfc",
		"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{",
		"GET /now HTTP/1.1\r\nHost: x\r\n",
	};
	struct server *s = *state;
	struct request r;
	char answer[4096];
	char *url = malloc(70101);
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		converse(s, rows[i].bytes, strlen(rows[i].bytes), answer,
			 sizeof(answer));
		if (strncmp(answer, rows[i].answer, strlen(rows[i].answer)))
			fail_msg("row %zu: %s", i, answer);
		assert_null(strstr(answer, "200 OK"));
	}
	assert_non_null(url);
	memset(url, 'a', 70000);
	memcpy(url, "GET /", 5);
	strcpy(url + 70000, " HTTP/1.1\r\nHost: x\r\n\r\n");
	converse(s, url, strlen(url), answer, sizeof(answer));
	assert_memory_equal(answer, "HTTP/1.1 414 ", 13);
	free(url);
	/* No answer is due yet; they go as they came. */
	for (i = 0; i < sizeof(endless) / sizeof(endless[0]); i++) {
		int fd = dial(s);

		assert_int_equal(send(fd, endless[i], strlen(endless[i]), 0),
				 strlen(endless[i]));
		ask(&r, s, "/now", NULL);
		assert_int_equal(r.status, 200);
		close(fd);
	}
	ask(&r, s, "/now", NULL);
	assert_int_equal(r.status, 200);
}

static void test_client_leaves_before_the_reply(void **state)
{
	static const char watch[] = "GET /watch HTTP/1.1\r\nHost: x\r\n\r\n";
	static const char hold[] = "GET /hold HTTP/1.1\r\nHost: x\r\n\r\n";
	const struct timespec pause = { .tv_nsec = 1000000 };
	struct server *s = *state;
	struct request r;
	int fd, i;

	/* The handler can see it. */
	fd = dial(s);
	assert_int_equal(send(fd, watch, strlen(watch), 0), strlen(watch));
	wait_held(s, 1);
	assert_false(atomic_load(&s->saw_gone));
	close(fd);
	for (i = 0; i < DEADLINE_MS && !atomic_load(&s->saw_gone); i++)
		nanosleep(&pause, NULL);
	assert_true(atomic_load(&s->saw_gone));
	atomic_store(&s->n_held, 0);

	/* A handler that does not look replies to nobody. */
	for (i = 0; i < 20; i++) {
		fd = dial(s);
		assert_int_equal(send(fd, hold, strlen(hold), 0), strlen(hold));
		wait_held(s, i + 1);
		close(fd);
	}
	ask(&r, s, "/release", "");
	assert_int_equal(r.status, 200);
	ask(&r, s, "/now", NULL);
	assert_int_equal(r.status, 200);
}

static void many(struct server *s, const char *path, unsigned int n,
		 struct request *r)
{
	CURLM *multi = curl_multi_init();
	int n_running = 1;
	unsigned int i;

	assert_non_null(multi);
	for (i = 0; i < n; i++) {
		prepare(&r[i], s, path, NULL);
		assert_int_equal(curl_multi_add_handle(multi, r[i].curl), 0);
	}
	while (n_running) {
		assert_int_equal(curl_multi_perform(multi, &n_running), 0);
		if (n_running)
			assert_int_equal(
				curl_multi_poll(multi, NULL, 0, 1000, NULL), 0);
	}
	for (i = 0; i < n; i++) {
		curl_easy_getinfo(r[i].curl, CURLINFO_RESPONSE_CODE,
				  &r[i].status);
		curl_multi_remove_handle(multi, r[i].curl);
		finish(&r[i]);
	}
	curl_multi_cleanup(multi);
}

static void test_a_hundred_clients_at_once(void **state)
{
	static struct request r[100];
	struct server *s = *state;
	int round, i;

	for (round = 0; round < 10; round++) {
		const char *path = round % 2 ? "/later" : "/now";

		many(s, path, 100, r);
		for (i = 0; i < 100; i++) {
			assert_int_equal(r[i].status, 200);
			assert_string_equal(r[i].body,
					    round % 2 ?
						    "{\"when\":\"later\"}\n" :
						    "{\"has_body\":false}\n");
		}
	}
}

/* Who waits for the same is told the same, and the handler asked once; but only for the same. */
static void test_same_questions_share_an_answer(void **state)
{
	enum { N = 40 };
	char text[1024], want[32];
	struct server *s = *state;
	int fd[N], block = dial(s);
	unsigned int i;
	size_t n;

	snprintf(text, sizeof(text), "POST /block HTTP/1.1\r\nHost: x\r\nContent-Length: 12\r\n\r\n"
		 "{\"until\":%u}", N + 1);
	assert_int_equal(send(block, text, strlen(text), 0), strlen(text));
	for (i = 0; i < N; i++) {
		fd[i] = dial(s);
		snprintf(text, sizeof(text), "GET /count/%u HTTP/1.0\r\nHost: x\r\n\r\n", i % 2);
		assert_int_equal(send(fd[i], text, strlen(text), 0), strlen(text));
	}
	for (i = 0; i < N; i++) {
		for (n = 0; n < sizeof(text) - 1; n++)
			if (recv(fd[i], text + n, 1, MSG_WAITALL) != 1)
				break;
		text[n] = '\0';
		snprintf(want, sizeof(want), "\r\n\r\n{\"of\":\"%u\",\"n\":", i % 2);
		assert_non_null(strstr(text, want));
		close(fd[i]);
	}
	close(block);
	/* Some may have come between the two. */
	assert_in_range(s->n_counted, 2, N / 4);
}

static void test_full_queue_says_busy(void **state)
{
	static const char hold[] = "GET /hold HTTP/1.1\r\nHost: x\r\n\r\n";
	struct server *s = *state;
	struct request r;
	char buf[64];
	int fd[128];
	unsigned int i;

	for (i = 0; i < 128; i++) {
		fd[i] = dial(s);
		assert_int_equal(send(fd[i], hold, strlen(hold), 0),
				 strlen(hold));
	}
	wait_held(s, 128);
	ask(&r, s, "/now", NULL);
	check_error(&r, 503, "busy", "128 calls are waiting already");
	/* Answered ones make room; here because their clients time out. */
	for (i = 0; i < 128; i++)
		close(fd[i]);
	server_join(s);
	assert_int_equal(atomic_load(&s->n_late), 128);
	memset(s->held, 0, sizeof(s->held));
	server_run(s);
	assert_int_equal(s->start_rc, 0);
	fd[0] = dial(s);
	assert_int_equal(send(fd[0], hold, strlen(hold), 0), strlen(hold));
	wait_held(s, 1);
	ask(&r, s, "/release", "");
	assert_true(recv(fd[0], buf, 12, MSG_WAITALL) == 12);
	assert_memory_equal(buf, "HTTP/1.1 200", 12);
	close(fd[0]);
}

/* One byte at a time, and half a request that never ends. */
static void test_slow_clients_hold_up_nobody(void **state)
{
	static const char slow[] =
		"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n"
		"Connection: close\r\n\r\n{\"a\": 12}";
	struct server *s = *state;
	struct request r;
	char answer[1024];
	int fd = dial(s), idle = dial(s);
	size_t i, n = 0;
	ssize_t got;

	assert_int_equal(send(idle, slow, 20, 0), 20);
	for (i = 0; i < strlen(slow); i++) {
		assert_int_equal(send(fd, slow + i, 1, 0), 1);
		ask(&r, s, "/now", NULL);
		assert_int_equal(r.status, 200);
	}
	while ((got = recv(fd, answer + n, sizeof(answer) - 1 - n, 0)) > 0)
		n += got;
	answer[n] = '\0';
	assert_non_null(strstr(answer, "\r\n\r\n{\"a\":12}\n"));
	close(fd);
	close(idle);
}

static void test_call_without_answer_times_out(void **state)
{
	struct server *s = *state;
	struct request r;

	ask(&r, s, "/hold", NULL);
	check_error(&r, 504, "timeout", "no answer in time");
	/* The handler still has it; its reply is for nobody. */
	assert_int_equal(atomic_load(&s->n_held), 1);
	ask(&r, s, "/release", "");
	assert_int_equal(r.status, 200);
	/* Two in a row: the timer is set again. */
	ask(&r, s, "/hold", NULL);
	assert_int_equal(r.status, 504);
	ask(&r, s, "/hold", NULL);
	assert_int_equal(r.status, 504);
	server_join(s);
	assert_int_equal(atomic_load(&s->n_late), 2);
	server_run(s);
}

struct waiter {
	struct server *s;
	struct request r;
};

static void *wait_for_answer(void *arg)
{
	struct waiter *w = arg;

	perform(&w->r);
	return NULL;
}

static void test_stop_answers_what_is_pending(void **state)
{
	struct server *s = *state;
	struct waiter w[8];
	pthread_t threads[8];
	struct stat st;
	int i;

	for (i = 0; i < 8; i++) {
		w[i].s = s;
		prepare(&w[i].r, s, "/hold", NULL);
		assert_int_equal(pthread_create(&threads[i], NULL,
						wait_for_answer, &w[i]),
				 0);
	}
	wait_held(s, 8);
	server_join(s);
	for (i = 0; i < 8; i++) {
		assert_int_equal(pthread_join(threads[i], NULL), 0);
		finish(&w[i].r);
		assert_int_equal(w[i].r.rc, CURLE_OK);
		check_error(&w[i].r, 503, "stopping", "the agent is stopping");
	}
	assert_int_equal(atomic_load(&s->n_late), 8);
	assert_int_equal(stat(s->path, &st), -1);
}

/* Clients keep coming while it starts and stops. */
struct pest {
	struct server *s;
	pthread_t thread;
	atomic_bool is_over;
	unsigned int n[2]; /* answers 200, answers 503 */
	const char *complaint;
};

static void *pester(void *arg)
{
	const struct timespec pause = { .tv_nsec = 1000000 };
	struct pest *p = arg;
	struct request r;
	unsigned int i;

	for (i = 0; !atomic_load(&p->is_over); i++) {
		prepare(&r, p->s, i % 4 ? "/now" : "/hold", NULL);
		perform(&r);
		finish(&r);
		if (r.rc)
			nanosleep(&pause, NULL);
		else if (r.status == 200)
			p->n[0]++;
		else if (r.status == 503)
			p->n[1]++;
		else
			p->complaint = "a strange status";
		if (r.rc == CURLE_OPERATION_TIMEDOUT)
			p->complaint = "a call was forgotten";
	}
	return NULL;
}

static void test_start_and_stop_under_load(void **state)
{
	const struct timespec pause = { .tv_nsec = 1000000 };
	struct server *s = *state;
	struct pest p[4] = { 0 };
	unsigned int n_ok = 0, n_stopped = 0;
	int i, k;

	for (i = 0; i < 4; i++) {
		p[i].s = s;
		assert_int_equal(
			pthread_create(&p[i].thread, NULL, pester, &p[i]), 0);
	}
	for (i = 0; i < 30; i++) {
		server_run(s);
		assert_int_equal(s->start_rc, 0);
		/* Half of the times until something is pending. */
		for (k = 0;
		     i % 2 && k < DEADLINE_MS && !atomic_load(&s->n_held); k++)
			nanosleep(&pause, NULL);
		server_join(s);
	}
	for (i = 0; i < 4; i++) {
		atomic_store(&p[i].is_over, true);
		assert_int_equal(pthread_join(p[i].thread, NULL), 0);
		if (p[i].complaint)
			fail_msg("%s", p[i].complaint);
		n_ok += p[i].n[0];
		n_stopped += p[i].n[1];
	}
	print_message("%u answered, %u told that it stops\n", n_ok, n_stopped);
	assert_true(n_ok > 0);
	assert_true(n_stopped > 0);
}

static void test_socket_file(void **state)
{
	struct server *s = *state;
	struct server second = { 0 };
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	struct request r;
	struct stat st;
	mode_t mask;
	int fd;

	/* Stale: bound once, its process is gone. */
	snprintf(a.sun_path, sizeof(a.sun_path), "%s/api.sock", s->dir);
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	close(fd);
	mask = umask(0077);
	server_run(s);
	umask(mask);
	assert_int_equal(s->start_rc, 0);
	assert_int_equal(stat(s->path, &st), 0);
	assert_true(S_ISSOCK(st.st_mode));
	assert_int_equal(st.st_mode & 07777, 0660);
	ask(&r, s, "/now", NULL);
	assert_int_equal(r.status, 200);

	/* Alive: hands off. */
	strcpy(second.path, s->path);
	server_run(&second);
	assert_int_equal(second.start_rc, -EADDRINUSE);
	server_join(&second);
	ask(&r, s, "/now", NULL);
	assert_int_equal(r.status, 200);

	/* Taken from under us: the new file is not ours to remove. */
	unlink(s->path);
	fd = open(s->path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	close(fd);
	server_join(s);
	assert_int_equal(stat(s->path, &st), 0);

	/* A file that is no socket stays what it is. */
	server_run(s);
	assert_int_equal(s->start_rc, -EEXIST);
	server_join(s);
	assert_int_equal(stat(s->path, &st), 0);
	assert_true(S_ISREG(st.st_mode));

	snprintf(second.path, sizeof(second.path), "%s/none/api.sock", s->dir);
	server_run(&second);
	assert_int_equal(second.start_rc, -ENOENT);
	server_join(&second);
	memset(second.path, 'x', sizeof(second.path) - 1);
	server_run(&second);
	assert_int_equal(second.start_rc, -ENAMETOOLONG);
	server_join(&second);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define RUNNING(test) \
	cmocka_unit_test_setup_teardown(test, setup_running, teardown_running)
		RUNNING(test_answers),
		RUNNING(test_assets),
		RUNNING(test_handlers_know_what_was_asked_and_by_whom),
		RUNNING(test_another_user_is_another),
		RUNNING(test_wrong_requests_get_clear_errors),
		RUNNING(test_bodies_are_bounded),
		RUNNING(test_strange_bytes),
		RUNNING(test_client_leaves_before_the_reply),
		RUNNING(test_a_hundred_clients_at_once),
		RUNNING(test_same_questions_share_an_answer),
		RUNNING(test_full_queue_says_busy),
		RUNNING(test_slow_clients_hold_up_nobody),
		cmocka_unit_test_setup_teardown(
			test_call_without_answer_times_out, setup_hurried,
			teardown_running),
		cmocka_unit_test_setup_teardown(
			test_stop_answers_what_is_pending, setup_running,
			teardown),
		cmocka_unit_test_setup_teardown(test_start_and_stop_under_load,
						setup, teardown),
		cmocka_unit_test_setup_teardown(test_socket_file, setup,
						teardown),
	};
	int rc;

	curl_global_init(CURL_GLOBAL_DEFAULT);
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	curl_global_cleanup();
	return rc;
}
