// SPDX-License-Identifier: GPL-2.0-or-later
#include "api_listen.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/sha.h>

#include "api_call.h"
#include "api_tcp.h"
#include "certs.h"
#include "log.h"

#define PEM_LEN_MAX (256 << 10)
#define CONNECTIONS_MAX 64	/* at each address */
#define PER_ADDRESS_MAX 16	/* of each client */
#define TROUBLE_LEN 320

/* What is wanted: copies, of the configuration and the files that it names. */
struct plan {
	struct fr_address addresses[FR_CONFIG_API_LISTEN_MAX];
	size_t n;
	struct api_guard *guard;
	char *cert_file;	/* NULL: no TLS */
	char *key_file;
	char *cert;		/* NULL: no TLS, or what the files hold cannot be used */
	char *key;
	uint8_t sum[SHA256_DIGEST_LENGTH];	/* of all that */
};

/* One address. */
struct place {
	struct api_server server;
	bool is_listening;
	bool is_absent;
	char trouble[TROUBLE_LEN];
};

struct api_listen {
	struct api *api;
	struct plan plan;
	struct place places[FR_CONFIG_API_LISTEN_MAX];
	char trouble[TROUBLE_LEN];	/* with the files */
};

struct api_listen *api_listen_new(struct api *api)
{
	struct api_listen *l = calloc(1, sizeof(*l));

	if (l)
		l->api = api;
	return l;
}

/* --- what is wanted ------------------------------------------------------ */

static void pem_free(char *text)
{
	if (text)
		explicit_bzero(text, strlen(text));
	free(text);
}

static void plan_free(struct plan *p)
{
	api_guard_free(p->guard);
	free(p->cert_file);
	free(p->key_file);
	pem_free(p->cert);
	pem_free(p->key);
	*p = (struct plan){ 0 };
}

/* NULL: it cannot be read, or is no text. */
static char *pem_read(const char *path)
{
	char *text = calloc(1, PEM_LEN_MAX + 1);
	int fd = text ? open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY) : -1;
	size_t len = 0;
	ssize_t n;

	while (fd >= 0 && len < PEM_LEN_MAX && (n = read(fd, text + len, PEM_LEN_MAX - len)) > 0)
		len += (size_t)n;
	if (fd >= 0)
		close(fd);
	if (len && len < PEM_LEN_MAX && strlen(text) == len)
		return text;
	pem_free(text);
	return NULL;
}

/* OpenSSL tells better what is wrong with them than the library that will use them. */
static int check_files(const struct plan *p, char *why, size_t len)
{
	struct certs_files files = { p->cert_file, p->key_file, NULL };
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
	int rc = ctx ? certs_use(ctx, &files, why, len) : -ENOMEM;

	if (!ctx)
		snprintf(why, len, "out of memory");
	SSL_CTX_free(ctx);
	return rc;
}

static int read_files(struct plan *p, char *why, size_t len)
{
	int rc = check_files(p, why, len);

	if (rc < 0)
		return rc;
	p->cert = pem_read(p->cert_file);
	p->key = p->cert ? pem_read(p->key_file) : NULL;
	if (p->key)
		return 0;
	snprintf(why, len, "%s: cannot be read", p->cert ? p->key_file : p->cert_file);
	pem_free(p->cert);
	p->cert = NULL;
	return -EINVAL;
}

/* What is in there is as it was if the sum is. -ENOMEM */
static int sum_up(struct plan *p, const struct fr_config_api *config)
{
	char address[FR_ADDRESS_TEXT_LEN], *text = NULL;
	size_t len = 0, i;
	FILE *out = open_memstream(&text, &len);
	int rc;

	if (!out)
		return -ENOMEM;
	for (i = 0; i < p->n; i++)
		fprintf(out, "%s\n", fr_address_format(&p->addresses[i], address));
	for (i = 0; i < config->hosts.n; i++)
		fprintf(out, "host %s\n", config->hosts.v[i]);
	for (i = 0; i < config->n_tokens; i++)
		fprintf(out, "token %s %s\n", config->tokens[i].name,
			(const char *)config->tokens[i].secret.bytes);
	if (p->cert_file)
		fprintf(out, "tls %s %s\n%s\n%s\n", p->cert_file, p->key_file,
			p->cert ? p->cert : "", p->key ? p->key : "");
	rc = fclose(out) || !SHA256((const unsigned char *)text, len, p->sum) ? -ENOMEM : 0;
	if (text)
		explicit_bzero(text, len);
	free(text);
	return rc;
}

static int plan_fill(struct plan *p, const struct fr_config_api *config)
{
	size_t i;

	p->guard = api_guard_new(config);
	if (!p->guard)
		return -ENOMEM;
	for (i = 0; i < config->listen.n; i++)
		p->addresses[p->n++] = config->listen.v[i];
	if (!config->tls.cert_file)
		return 0;
	p->cert_file = strdup(config->tls.cert_file);
	p->key_file = strdup(config->tls.key_file);
	return p->cert_file && p->key_file ? 0 : -ENOMEM;
}

/* --- each address -------------------------------------------------------- */

static void place_stop(struct place *p)
{
	int fd;

	if (!p->is_listening)
		return;
	fd = api_http_quiesce(&p->server);
	api_dismiss(&p->server, "this address is given up, or served anew");
	api_http_stop(&p->server, fd);
	p->is_listening = false;
}

/* Says it once. */
static void set_trouble(struct place *p, const struct fr_address *a, const char *text)
{
	char address[FR_ADDRESS_TEXT_LEN];

	if (!strcmp(p->trouble, text))
		return;
	snprintf(p->trouble, sizeof(p->trouble), "%s", text);
	fr_address_format(a, address);
	if (*text && p->is_absent)
		fr_debug("api: %s: %s", address, text);
	else if (*text)
		fr_warn("api: cannot listen on %s: %s; the unix socket serves", address, text);
}

static const char *why_not(int rc)
{
	switch (rc) {
	case -EADDRINUSE:
		return "another program listens there";
	case -EADDRNOTAVAIL:
	case -EAFNOSUPPORT:
		return "this machine has no such address";
	default:
		return strerror(-rc);
	}
}

static int place_open(struct api_listen *l, struct place *p, const struct fr_address *a)
{
	static const struct api_guests_limits limits = { CONNECTIONS_MAX, PER_ADDRESS_MAX };
	const struct api_http_tls tls = { l->plan.cert, l->plan.key };
	int fd = api_tcp_open(a);

	if (fd < 0)
		return fd;
	p->server = (struct api_server){
		.api = l->api,
		.lane = &l->api->lanes[API_LANE_TCP],
		.guard = l->plan.guard,
		.is_local = fr_address_is_loopback(a),
		.calls_max = CONNECTIONS_MAX, /* who is let in is answered in turn */
	};
	return api_http_start(&p->server, fd, &limits, l->plan.cert ? &tls : NULL);
}

static void place_try(struct api_listen *l, size_t i)
{
	const struct fr_address *a = &l->plan.addresses[i];
	struct place *p = &l->places[i];
	char address[FR_ADDRESS_TEXT_LEN];
	int rc;

	if (p->is_listening)
		return;
	/* Never without what is to protect it. */
	if (l->plan.cert_file && !l->plan.cert) {
		set_trouble(p, a, l->trouble);
		return;
	}
	rc = place_open(l, p, a);
	p->is_listening = !rc;
	p->is_absent = (rc == -EADDRNOTAVAIL || rc == -EAFNOSUPPORT) && fr_address_is_loopback(a);
	set_trouble(p, a, rc ? why_not(rc) : "");
	if (!rc)
		fr_info("api: listens on %s%s", fr_address_format(a, address),
			l->plan.cert ? ", by TLS" : "");
}

/* --- all of them --------------------------------------------------------- */

static void stop_all(struct api_listen *l)
{
	size_t i;

	for (i = 0; i < l->plan.n; i++) {
		place_stop(&l->places[i]);
		l->places[i] = (struct place){ 0 };
	}
}

void api_listen_free(struct api_listen *l)
{
	if (!l)
		return;
	stop_all(l);
	plan_free(&l->plan);
	free(l);
}

/* What was read before stays, unless it can be read anew. */
static void take_files(struct api_listen *l, struct plan *p)
{
	l->trouble[0] = '\0';
	if (!p->cert_file || !read_files(p, l->trouble, sizeof(l->trouble)))
		return;
	if (!l->plan.cert)
		return;
	fr_warn("api: %s; what was read before stays", l->trouble);
	p->cert = strdup(l->plan.cert);
	p->key = strdup(l->plan.key);
}

int api_listen_set(struct api_listen *l, const struct fr_config_api *config)
{
	struct plan next = { 0 };
	int rc = plan_fill(&next, config);
	size_t i;

	if (!rc) {
		take_files(l, &next);
		rc = sum_up(&next, config);
	}
	if (rc || !memcmp(next.sum, l->plan.sum, sizeof(next.sum))) {
		plan_free(&next);
		return rc;
	}
	stop_all(l);
	plan_free(&l->plan);
	l->plan = next;
	for (i = 0; i < l->plan.n; i++)
		place_try(l, i);
	return 0;
}

void api_listen_tick(struct api_listen *l)
{
	size_t i;

	if (l->plan.cert_file && !l->plan.cert &&
	    !read_files(&l->plan, l->trouble, sizeof(l->trouble)))
		l->trouble[0] = '\0';
	for (i = 0; i < l->plan.n; i++)
		place_try(l, i);
}

unsigned int api_listen_sum(struct api_listen *l, unsigned int (*fn)(struct api_server *s))
{
	unsigned int n = 0;
	size_t i;

	for (i = 0; i < l->plan.n; i++)
		if (l->places[i].is_listening)
			n += fn(&l->places[i].server);
	return n;
}

bool api_listen_place(const struct api_listen *l, size_t i, struct api_place *place)
{
	const struct place *p = &l->places[i];

	if (i >= l->plan.n)
		return false;
	*place = (struct api_place){
		.is_listening = p->is_listening,
		.is_absent = p->is_absent,
		.is_tls = l->plan.cert_file,
		.has_token = api_guard_has_tokens(l->plan.guard),
		.trouble = *p->trouble ? p->trouble : l->trouble,
	};
	fr_address_format(&l->plan.addresses[i], place->address);
	return true;
}
