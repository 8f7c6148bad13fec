// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The HTTP threads: read requests, refuse what is wrong with them, hand the rest
 * over, send the answers.
 *
 * A refusal waits until the body has been read, or else closing would reset the
 * connection before the client has read it; but not for more than DRAIN_MAX bytes.
 */
#include "api_call.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/resource.h>
#include <unistd.h>

#include "api_tcp.h"
#include "log.h"

#define DRAIN_MAX (1u << 20)
#define IDLE_S 10u
#define MEMORY_MAX (32u << 10) /* of a connection: head and read buffer */

static const char no_memory_text[] =
	"{\"error\":\"internal\",\"details\":\"out of memory\"}\n";

/* What each kind of refusal is answered with. */
static const struct {
	unsigned int status;
	const char *error;
} refusals[API_N_COUNTS] = {
	[API_COUNT_MALFORMED_JSON] = { MHD_HTTP_BAD_REQUEST, "malformed JSON" },
	[API_COUNT_BAD_REQUEST] = { MHD_HTTP_BAD_REQUEST, "bad request" },
	[API_COUNT_NO_TOKEN] = { MHD_HTTP_UNAUTHORIZED, "not authorised" },
	[API_COUNT_WRONG_HOST] = { MHD_HTTP_FORBIDDEN, "wrong host" },
	[API_COUNT_CROSS_ORIGIN] = { MHD_HTTP_FORBIDDEN, "cross-origin" },
	[API_COUNT_DENIED] = { MHD_HTTP_FORBIDDEN, "not allowed" },
	[API_COUNT_NOT_FOUND] = { MHD_HTTP_NOT_FOUND, "not found" },
	[API_COUNT_WRONG_METHOD] = { MHD_HTTP_METHOD_NOT_ALLOWED, "method not allowed" },
	[API_COUNT_TOO_LARGE] = { MHD_HTTP_CONTENT_TOO_LARGE, "body too large" },
	[API_COUNT_BUSY] = { MHD_HTTP_SERVICE_UNAVAILABLE, "busy" },
};

/* The first one counts. */
static __attribute__((format(printf, 3, 4))) void refuse(struct api_call *call,
							 enum api_count what,
							 const char *fmt, ...)
{
	char details[512];
	va_list args;

	if (call->status)
		return;
	api_count(call->server->api, what);
	va_start(args, fmt);
	vsnprintf(details, sizeof(details), fmt, args);
	va_end(args);
	call->status = refusals[what].status;
	call->text = api_error_text(refusals[what].error, details);
}

/* What is no fault of the client. */
static void fail(struct api_call *call, unsigned int status, const char *error,
		 const char *details)
{
	if (call->status)
		return;
	call->status = status;
	call->text = api_error_text(error, details);
}

static struct api_guest *guest_of(const struct api_call *call)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(call->connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

	return info ? info->socket_context : NULL;
}

/* The body; what has none could not be made. */
static struct MHD_Response *response_of(struct api_call *call)
{
	const struct asset *asset = call->asset;
	char *text = call->text;

	call->text = NULL;
	if (asset)
		return MHD_create_response_from_buffer(asset->end - asset->begin,
						       (void *)asset->begin,
						       MHD_RESPMEM_PERSISTENT);
	if (text)
		return MHD_create_response_from_buffer(strlen(text), text, MHD_RESPMEM_MUST_FREE);
	call->status = MHD_HTTP_INTERNAL_SERVER_ERROR;
	call->type = NULL;
	return MHD_create_response_from_buffer(sizeof(no_memory_text) - 1, (void *)no_memory_text,
					       MHD_RESPMEM_PERSISTENT);
}

static enum MHD_Result send_answer(struct api_call *call)
{
	const struct asset *asset = call->asset;
	struct MHD_Response *r = response_of(call);
	const char *type = asset ? asset->type : call->type;
	const struct {
		const char *name;
		const char *value;
	} headers[] = {
		{ MHD_HTTP_HEADER_CONTENT_TYPE, type ? type : "application/json" },
		{ MHD_HTTP_HEADER_CACHE_CONTROL, "no-store" },
		/* What a browser must not take it for, nor show it in. */
		{ "X-Content-Type-Options", "nosniff" },
		{ "X-Frame-Options", "DENY" },
		{ "Cross-Origin-Resource-Policy", "same-origin" },
		{ "Referrer-Policy", "no-referrer" },
		{ "Content-Security-Policy", asset && asset->policy ?
		  asset->policy : "default-src 'none'; frame-ancestors 'none'" },
		{ MHD_HTTP_HEADER_WWW_AUTHENTICATE, call->status == MHD_HTTP_UNAUTHORIZED ?
		  "Bearer realm=\"flyrep\"" : NULL },
		{ MHD_HTTP_HEADER_CONNECTION, call->is_last ? "close" : NULL },
		{ MHD_HTTP_HEADER_ALLOW, call->allow[0] ? call->allow : NULL },
	};
	struct api_guest *guest = guest_of(call);
	enum MHD_Result rc;
	size_t i;

	if (!r)
		return MHD_NO;
	if (guest)
		api_guests_turn(&call->server->guests, guest, false);
	for (i = 0; i < sizeof(headers) / sizeof(headers[0]); i++)
		if (headers[i].value)
			MHD_add_response_header(r, headers[i].name, headers[i].value);
	rc = MHD_queue_response(call->connection, call->status, r);
	MHD_destroy_response(r);
	return rc;
}

/* --- the head ---------------------------------------------------------------- */

struct head {
	struct api_head said;
	unsigned int n_lengths;
	unsigned int n_encodings;
	unsigned long long length;
};

static enum MHD_Result on_header(void *cookie, enum MHD_ValueKind kind,
				 const char *name, const char *value)
{
	struct head *h = cookie;

	(void)kind;
	if (!strcasecmp(name, MHD_HTTP_HEADER_CONTENT_LENGTH)) {
		h->n_lengths++;
		h->length = value ? strtoull(value, NULL, 10) : 0;
	} else if (!strcasecmp(name, MHD_HTTP_HEADER_TRANSFER_ENCODING)) {
		h->n_encodings++;
	} else if (!strcasecmp(name, MHD_HTTP_HEADER_HOST)) {
		h->said.n_hosts++;
		h->said.host = value;
	} else if (!strcasecmp(name, MHD_HTTP_HEADER_ORIGIN)) {
		h->said.n_origins++;
		h->said.origin = value ? value : "";
	} else if (!strcasecmp(name, "Sec-Fetch-Site")) {
		h->said.fetch_site = value ? value : "";
	} else if (!strcasecmp(name, MHD_HTTP_HEADER_AUTHORIZATION)) {
		h->said.n_authorizations++;
		h->said.authorization = value;
	}
	return MHD_YES;
}

/* What "%2f" stands for; a negative number: nothing. */
static int unescape(const char *s)
{
	char digits[3] = { s[1], s[1] ? s[2] : '\0' };

	if (strspn(digits, "0123456789abcdefABCDEF") != 2)
		return -1;
	return (int)strtol(digits, NULL, 16);
}

/*
 * No path needs these, so they are there to be taken for something else: empty parts, dots at the
 * beginning of one, and what separates or ends parts in the guise of an escape.
 */
static bool is_bad_path(const char *uri)
{
	size_t len = strcspn(uri, "?"), i;

	for (i = 0; i < len; i++) {
		int c = uri[i] == '%' ? unescape(uri + i) : (unsigned char)uri[i];

		if (c < ' ' || c == 0x7f || strchr("\\;", c) ||
		    (uri[i] == '%' && strchr("/.%", c)) ||
		    (uri[i] == '/' && (uri[i + 1] == '/' || uri[i + 1] == '.')))
			return true;
	}
	return *uri != '/';
}

static int fd_of(const struct api_call *call)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(call->connection, MHD_CONNECTION_INFO_CONNECTION_FD);

	return info ? info->connect_fd : -1;
}

/* Over TCP: by its name, from no other site, with a token. */
static void check_guard(struct api_call *call, struct api_head said)
{
	static const enum api_count counts[] = {
		[API_BAD_HOST] = API_COUNT_WRONG_HOST,
		[API_CROSS_ORIGIN] = API_COUNT_CROSS_ORIGIN,
		[API_NO_TOKEN] = API_COUNT_NO_TOKEN,
	};
	const struct api_server *server = call->server;
	struct sockaddr_storage local = { 0 };
	socklen_t len = sizeof(local);
	enum api_verdict verdict;
	const char *who;
	char why[256];

	if (getsockname(call->fd, (struct sockaddr *)&local, &len)) {
		fail(call, MHD_HTTP_INTERNAL_SERVER_ERROR, "internal", "not connected");
		return;
	}
	said.local = (const struct sockaddr *)&local;
	said.is_tls = server->is_tls;
	verdict = api_guard_check(server->guard, &said, &who, why, sizeof(why));
	if (verdict != API_PASS)
		refuse(call, counts[verdict], "%s", why);
	else if (who)
		snprintf(call->who, sizeof(call->who), "%s", who);
	else if (!server->is_local && !said.is_public)
		refuse(call, API_COUNT_NO_TOKEN, "a token is needed");
}

/* Whether a path is that of a route; @arg: what stands in place of its plus, if it has one. */
static bool match(const char *route, const char *path, char arg[API_ARG_LEN])
{
	const char *plus = strchr(route, '+');
	size_t head = plus ? (size_t)(plus - route) : strlen(route), len;

	arg[0] = '\0';
	if (!plus)
		return !strcmp(route, path);
	if (strncmp(route, path, head))
		return false;
	len = strcspn(path + head, "/");
	if (!len || len >= API_ARG_LEN || strcmp(plus + 1, path + head + len))
		return false;
	memcpy(arg, path + head, len);
	arg[len] = '\0';
	return true;
}

static const struct api_route *find_route(struct api_call *call, const char *method,
					  const char *path)
{
	const struct api_route *r;

	for (r = call->server->api->routes; r->path; r++)
		if (!strcmp(r->method, method) && match(r->path, path, call->arg))
			return r;
	return NULL;
}

static void refuse_path(struct api_call *call, const char *method, const char *path)
{
	const struct api_route *r;
	size_t len = 0;

	for (r = call->server->api->routes; r->path; r++) {
		if (!match(r->path, path, call->arg))
			continue;
		len += snprintf(call->allow + len, sizeof(call->allow) - len,
				"%s%s", len ? ", " : "", r->method);
		if (len >= sizeof(call->allow))
			len = sizeof(call->allow) - 1;
	}
	if (len)
		refuse(call, API_COUNT_WRONG_METHOD,
		       "%.128s takes %s, not %.32s", path, call->allow, method);
	else
		refuse(call, API_COUNT_NOT_FOUND, "nothing at %.128s", path);
}

static enum MHD_Result on_parameter(void *cookie, enum MHD_ValueKind kind, const char *name,
				    const char *value)
{
	struct api_call *call = cookie;

	(void)kind;
	if (json_object_get(call->query, name))
		refuse(call, API_COUNT_BAD_REQUEST, "%.64s: given twice", name);
	else if (json_object_set_new(call->query, name, json_string(value ? value : "")))
		refuse(call, API_COUNT_BAD_REQUEST,
		       "the parameters of the URL must be UTF-8");
	return MHD_YES;
}

/* The request line is there: a call begins. */
static void *on_uri(void *cookie, const char *uri, struct MHD_Connection *connection)
{
	struct api_call *call = calloc(1, sizeof(*call));

	if (!call)
		return NULL;
	call->query = json_object();
	if (!call->query) {
		free(call);
		return NULL;
	}
	atomic_init(&call->n_refs, 1);
	call->server = cookie;
	call->connection = connection;
	call->fd = fd_of(call);
	call->has_bad_path = is_bad_path(uri);
	api_count(call->server->api, API_COUNT_REQUESTS);
	return call;
}

static enum MHD_Result on_head(struct api_call *call, const char *method, const char *path)
{
	const struct api_guest *guest = guest_of(call);
	struct head h = { 0 };
	bool is_framed;

	call->has_head = true;
	MHD_get_connection_values(call->connection, MHD_HEADER_KIND, on_header, &h);
	is_framed = h.n_lengths + h.n_encodings <= 1;
	call->is_last = !guest || guest->is_refused || !is_framed || h.length > DRAIN_MAX;
	if (!guest || guest->is_refused)
		refuse(call, API_COUNT_BUSY, "too many connections");
	/* Two opinions of where a body ends are how requests are smuggled. */
	if (!is_framed)
		refuse(call, API_COUNT_BAD_REQUEST,
		       "Content-Length and Transfer-Encoding: only one, once");
	if (!strcmp(method, MHD_HTTP_METHOD_HEAD))
		method = MHD_HTTP_METHOD_GET;
	if (!call->has_bad_path)
		call->route = find_route(call, method, path);
	h.said.is_public = call->route && call->route->is_public;
	if (call->server->guard && !call->status)
		check_guard(call, h.said);
	if (call->has_bad_path)
		refuse(call, API_COUNT_BAD_REQUEST,
		       "the path must begin with a slash and be without //, /. and escapes of them");
	if (!call->route)
		refuse_path(call, method, path);
	MHD_get_connection_values(call->connection, MHD_GET_ARGUMENT_KIND, on_parameter, call);
	if (h.length > API_BODY_MAX)
		refuse(call, API_COUNT_TOO_LARGE, "at most %u bytes", API_BODY_MAX);
	return call->is_last ? send_answer(call) : MHD_YES;
}

/* --- the body ---------------------------------------------------------------- */

static enum MHD_Result on_body(struct api_call *call, const char *data,
			       size_t len)
{
	if (!call->status && call->body_len + len > API_BODY_MAX)
		refuse(call, API_COUNT_TOO_LARGE, "at most %u bytes", API_BODY_MAX);
	if (!call->status) {
		char *body = realloc(call->body, call->body_len + len);

		if (!body)
			return MHD_NO;
		memcpy(body + call->body_len, data, len);
		call->body = body;
		call->body_len += len;
		return MHD_YES;
	}
	call->n_drained += len;
	return call->n_drained > DRAIN_MAX ? MHD_NO : MHD_YES;
}

static void parse(struct api_call *call)
{
	json_error_t error;

	if (!strcmp(call->route->method, MHD_HTTP_METHOD_GET)) {
		if (call->body_len)
			refuse(call, API_COUNT_BAD_REQUEST,
			       "GET takes no body");
		return;
	}
	if (!call->body_len) {
		call->json = json_object();
		if (!call->json)
			fail(call, MHD_HTTP_INTERNAL_SERVER_ERROR, "internal", "out of memory");
		return;
	}
	call->json = json_loadb(call->body, call->body_len,
				JSON_REJECT_DUPLICATES | JSON_DECODE_ANY,
				&error);
	if (!call->json)
		refuse(call, API_COUNT_MALFORMED_JSON, "line %d column %d: %s", error.line,
		       error.column, error.text);
	else if (!json_is_object(call->json))
		refuse(call, API_COUNT_MALFORMED_JSON,
		       "line 1 column 1: the body must be an object");
}

/*
 * Who does something must be somebody: by token, by the file system that let them to the socket, or
 * because it would have. Others may look.
 */
static void find_who(struct api_call *call)
{
	const struct api_server *server = call->server;
	uid_t uid;

	if (*call->who)
		return;
	if (!server->guard) {
		if (api_socket_who(call->fd, call->who))
			fail(call, MHD_HTTP_INTERNAL_SERVER_ERROR, "internal",
			     "who asks is not known");
	} else if (api_tcp_owner(call->fd, NULL, &uid)) {
		refuse(call, API_COUNT_DENIED, "who asks is not known: use a token, or the unix "
		       "socket");
	} else {
		api_socket_name(uid, call->who);
		if (!api_socket_admits(&server->api->socket, uid))
			refuse(call, API_COUNT_DENIED, "user %s may look, but do nothing: use a "
			       "token, or be one who may use the unix socket", call->who);
	}
}

static enum MHD_Result hand_over(struct api_call *call)
{
	struct api_server *server = call->server;
	struct api_guest *guest = guest_of(call);

	call->is_handed_over = true;
	api_guests_turn(&server->guests, guest, true);
	switch (api_enqueue(server->api, call)) {
	case 0:
		return MHD_YES;
	case -ESHUTDOWN:
		fail(call, MHD_HTTP_SERVICE_UNAVAILABLE, "stopping", "the agent is stopping");
		break;
	default:
		refuse(call, API_COUNT_BUSY, "%u calls are waiting already", server->calls_max);
	}
	call->is_handed_over = false;
	return send_answer(call);
}

static enum MHD_Result on_end(struct api_call *call)
{
	if (call->is_handed_over)
		return send_answer(call);
	if (!call->status)
		parse(call);
	if (!call->status && !strcmp(call->route->method, MHD_HTTP_METHOD_POST))
		find_who(call);
	return call->status ? send_answer(call) : hand_over(call);
}

static enum MHD_Result on_request(void *cookie,
				  struct MHD_Connection *connection,
				  const char *url, const char *method,
				  const char *version, const char *data,
				  size_t *data_len, void **state)
{
	struct api_call *call = *state;

	(void)cookie;
	(void)connection;
	(void)version;
	if (!call)
		return MHD_NO; /* there was no memory */
	if (!call->has_head)
		return on_head(call, method, url);
	if (*data_len) {
		size_t len = *data_len;

		*data_len = 0;
		return on_body(call, data, len);
	}
	return on_end(call);
}

static void on_completed(void *cookie, struct MHD_Connection *connection,
			 void **state, enum MHD_RequestTerminationCode why)
{
	struct api_server *server = cookie;
	struct api_call *call = *state;
	struct api_guest *guest;
	bool was_handed_over;

	(void)connection;
	(void)why;
	if (!call)
		return;
	*state = NULL;
	/* What libmicrohttpd refused by itself. */
	if (!call->has_head)
		api_count(server->api, API_COUNT_BAD_REQUEST);
	guest = guest_of(call);
	if (guest)
		api_guests_turn(&server->guests, guest, false);
	was_handed_over = call->is_handed_over;
	api_call_unref(call);
	if (was_handed_over)
		api_completed(server);
}

/* --- connections ------------------------------------------------------------- */

/* This thread of a TCP server is for whoever asks; the loop, and other programs, come first. */
static void give_way(const struct api_server *server)
{
	static _Thread_local bool is_done;

	if (server->guard && !is_done)
		setpriority(PRIO_PROCESS, gettid(), PRIO_MAX);
	is_done = true;
}

static enum MHD_Result on_accept(void *cookie, const struct sockaddr *address, socklen_t len)
{
	struct api_server *server = cookie;

	(void)len;
	give_way(server);
	if (api_guests_has_room(&server->guests, address))
		return MHD_YES;
	api_count(server->api, API_COUNT_BUSY);
	return MHD_NO;
}

static void on_connection(void *cookie, struct MHD_Connection *connection, void **context,
			  enum MHD_ConnectionNotificationCode code)
{
	struct api_server *server = cookie;
	const union MHD_ConnectionInfo *fd, *address;

	if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
		if (*context)
			api_guests_go(&server->guests, *context);
		return;
	}
	fd = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
	address = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	*context = fd ? api_guests_come(&server->guests, fd->connect_fd,
					address ? address->client_addr : NULL) : NULL;
}

static __attribute__((format(printf, 2, 0))) void
on_log(void *cookie, const char *fmt, va_list args)
{
	char line[256];

	(void)cookie;
	vsnprintf(line, sizeof(line), fmt, args);
	line[strcspn(line, "\n")] = '\0';
	/* What a client does wrong is no news. */
	fr_debug("api: %s", line);
}

/* TLS 1.2 and 1.3, with what is no longer considered sound left out. */
#define PRIORITIES "SECURE128:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:-CIPHER-ALL:+AES-256-GCM:" \
	"+AES-128-GCM:+CHACHA20-POLY1305:-KX-ALL:+ECDHE-ECDSA:+ECDHE-RSA:-MAC-ALL:+AEAD"

int api_http_start(struct api_server *s, int listen_fd, const struct api_guests_limits *limits,
		   const struct api_http_tls *tls)
{
	struct MHD_OptionItem secure[] = {
		{ MHD_OPTION_HTTPS_MEM_CERT, 0, tls ? (void *)tls->cert : NULL },
		{ MHD_OPTION_HTTPS_MEM_KEY, 0, tls ? (void *)tls->key : NULL },
		{ MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)PRIORITIES },
		{ MHD_OPTION_END, 0, NULL },
	};
	unsigned int n_told = limits->per_address ? limits->total / 2 : 0;
	sigset_t all, before;

	api_guests_init(&s->guests, limits);
	s->is_tls = tls;
	/* Signals are the loop's. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	errno = 0;
	s->daemon = MHD_start_daemon(
		MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME |
			MHD_USE_ITC | MHD_USE_ERROR_LOG | (tls ? MHD_USE_TLS : 0),
		0, on_accept, s, on_request, s, MHD_OPTION_EXTERNAL_LOGGER,
		on_log, NULL, MHD_OPTION_LISTEN_SOCKET, listen_fd,
		MHD_OPTION_URI_LOG_CALLBACK, on_uri, s,
		MHD_OPTION_NOTIFY_COMPLETED, on_completed, s,
		MHD_OPTION_NOTIFY_CONNECTION, on_connection, s,
		MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_CONNECTION_LIMIT,
		limits->total + n_told, MHD_OPTION_CONNECTION_TIMEOUT, IDLE_S,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)MEMORY_MAX,
		MHD_OPTION_ARRAY, tls ? secure : &secure[3],
		MHD_OPTION_END);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (s->daemon)
		return 0;
	api_guests_destroy(&s->guests);
	return errno ? -errno : -EINVAL;
}

int api_http_quiesce(struct api_server *s)
{
	return MHD_quiesce_daemon(s->daemon);
}

void api_http_stop(struct api_server *s, int listen_fd)
{
	MHD_stop_daemon(s->daemon);
	if (listen_fd != MHD_INVALID_SOCKET)
		close(listen_fd);
	api_guests_destroy(&s->guests);
}
