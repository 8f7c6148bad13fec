// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The HTTP thread: reads requests, refuses what is wrong with them, hands the rest
 * over, sends the answers.
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
#include <unistd.h>

#include "log.h"

#define DRAIN_MAX (1u << 20)
#define IDLE_S 10u
#define MEMORY_MAX (32u << 10) /* of a connection: head and read buffer */

static const char no_memory_text[] =
	"{\"error\":\"internal\",\"details\":\"out of memory\"}\n";

static __attribute__((format(printf, 4, 5))) void refuse(struct api_call *call,
							 unsigned int status,
							 const char *error,
							 const char *fmt, ...)
{
	char details[512];
	va_list args;

	if (call->status)
		return;
	va_start(args, fmt);
	vsnprintf(details, sizeof(details), fmt, args);
	va_end(args);
	call->status = status;
	call->text = api_error_text(error, details);
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
		{ MHD_HTTP_HEADER_ALLOW, call->allow[0] ? call->allow : NULL },
	};
	enum MHD_Result rc;
	size_t i;

	if (!r)
		return MHD_NO;
	for (i = 0; i < sizeof(headers) / sizeof(headers[0]); i++)
		if (headers[i].value)
			MHD_add_response_header(r, headers[i].name, headers[i].value);
	rc = MHD_queue_response(call->connection, call->status, r);
	MHD_destroy_response(r);
	return rc;
}

/* --- the head ---------------------------------------------------------------- */

struct framing {
	unsigned int n_lengths;
	unsigned int n_encodings;
	unsigned long long length;
};

static enum MHD_Result on_header(void *cookie, enum MHD_ValueKind kind,
				 const char *name, const char *value)
{
	struct framing *f = cookie;

	(void)kind;
	if (!strcasecmp(name, MHD_HTTP_HEADER_CONTENT_LENGTH)) {
		f->n_lengths++;
		f->length = value ? strtoull(value, NULL, 10) : 0;
	} else if (!strcasecmp(name, MHD_HTTP_HEADER_TRANSFER_ENCODING)) {
		f->n_encodings++;
	}
	return MHD_YES;
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

static void find_route(const struct api *api, struct api_call *call,
		       const char *method, const char *path)
{
	const struct api_route *r;
	size_t len = 0;

	for (r = api->routes; r->path; r++) {
		if (!match(r->path, path, call->arg))
			continue;
		if (!strcmp(r->method, method)) {
			call->route = r;
			return;
		}
		len += snprintf(call->allow + len, sizeof(call->allow) - len,
				"%s%s", len ? ", " : "", r->method);
		if (len >= sizeof(call->allow))
			len = sizeof(call->allow) - 1;
	}
	if (len)
		refuse(call, MHD_HTTP_METHOD_NOT_ALLOWED, "method not allowed",
		       "%.128s takes %s, not %.32s", path, call->allow, method);
	else
		refuse(call, MHD_HTTP_NOT_FOUND, "not found",
		       "nothing at %.128s", path);
}

static enum MHD_Result on_parameter(void *cookie, enum MHD_ValueKind kind, const char *name,
				    const char *value)
{
	struct api_call *call = cookie;

	(void)kind;
	if (json_object_get(call->query, name))
		refuse(call, MHD_HTTP_BAD_REQUEST, "bad request", "%.64s: given twice", name);
	else if (json_object_set_new(call->query, name, json_string(value ? value : "")))
		refuse(call, MHD_HTTP_BAD_REQUEST, "bad request",
		       "the parameters of the URL must be UTF-8");
	return MHD_YES;
}

static struct api_call *call_new(struct MHD_Connection *connection)
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
	call->connection = connection;
	call->fd = -1;
	return call;
}

static enum MHD_Result on_head(const struct api *api, struct api_call *call,
			       const char *method, const char *path)
{
	struct framing f = { 0 };

	MHD_get_connection_values(call->connection, MHD_HEADER_KIND, on_header,
				  &f);
	/* Two opinions of where a body ends are how requests are smuggled. */
	if (f.n_lengths + f.n_encodings > 1)
		refuse(call, MHD_HTTP_BAD_REQUEST, "bad request",
		       "Content-Length and Transfer-Encoding: only one, once");
	find_route(api, call, method, path);
	MHD_get_connection_values(call->connection, MHD_GET_ARGUMENT_KIND, on_parameter, call);
	if (f.length > API_BODY_MAX)
		refuse(call, MHD_HTTP_CONTENT_TOO_LARGE, "body too large",
		       "at most %u bytes", API_BODY_MAX);
	if (f.n_lengths + f.n_encodings > 1 || f.length > DRAIN_MAX)
		return send_answer(call);
	return MHD_YES;
}

/* --- the body ---------------------------------------------------------------- */

static enum MHD_Result on_body(struct api_call *call, const char *data,
			       size_t len)
{
	if (!call->status && call->body_len + len > API_BODY_MAX)
		refuse(call, MHD_HTTP_CONTENT_TOO_LARGE, "body too large",
		       "at most %u bytes", API_BODY_MAX);
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
			refuse(call, MHD_HTTP_BAD_REQUEST, "bad request",
			       "GET takes no body");
		return;
	}
	if (!call->body_len) {
		call->json = json_object();
		if (!call->json)
			refuse(call, MHD_HTTP_INTERNAL_SERVER_ERROR, "internal",
			       "out of memory");
		return;
	}
	call->json = json_loadb(call->body, call->body_len,
				JSON_REJECT_DUPLICATES | JSON_DECODE_ANY,
				&error);
	if (!call->json)
		refuse(call, MHD_HTTP_BAD_REQUEST, "malformed JSON",
		       "line %d column %d: %s", error.line, error.column,
		       error.text);
	else if (!json_is_object(call->json))
		refuse(call, MHD_HTTP_BAD_REQUEST, "malformed JSON",
		       "line 1 column 1: the body must be an object");
}

static enum MHD_Result on_end(struct api *api, struct api_call *call)
{
	const union MHD_ConnectionInfo *info;

	if (call->is_handed_over)
		return send_answer(call);
	if (!call->status)
		parse(call);
	if (call->status)
		return send_answer(call);
	info = MHD_get_connection_info(call->connection,
				       MHD_CONNECTION_INFO_CONNECTION_FD);
	call->fd = info ? info->connect_fd : -1;
	if (!strcmp(call->route->method, MHD_HTTP_METHOD_POST) &&
	    api_socket_who(call->fd, call->who)) {
		refuse(call, MHD_HTTP_INTERNAL_SERVER_ERROR, "internal", "who asks is not known");
		return send_answer(call);
	}
	call->is_handed_over = true;
	switch (api_enqueue(api, call)) {
	case 0:
		return MHD_YES;
	case -ESHUTDOWN:
		refuse(call, MHD_HTTP_SERVICE_UNAVAILABLE, "stopping",
		       "the agent is stopping");
		break;
	default:
		refuse(call, MHD_HTTP_SERVICE_UNAVAILABLE, "busy",
		       "%u calls are waiting already", API_CALLS_MAX);
	}
	call->is_handed_over = false;
	return send_answer(call);
}

static enum MHD_Result on_request(void *cookie,
				  struct MHD_Connection *connection,
				  const char *url, const char *method,
				  const char *version, const char *data,
				  size_t *data_len, void **state)
{
	struct api *api = cookie;
	struct api_call *call = *state;

	(void)version;
	if (!call) {
		call = *state = call_new(connection);
		return call ? on_head(api, call, method, url) : MHD_NO;
	}
	if (*data_len) {
		size_t len = *data_len;

		*data_len = 0;
		return on_body(call, data, len);
	}
	return on_end(api, call);
}

static void on_completed(void *cookie, struct MHD_Connection *connection,
			 void **state, enum MHD_RequestTerminationCode why)
{
	struct api_call *call = *state;
	bool was_handed_over;

	(void)connection;
	(void)why;
	if (!call)
		return;
	*state = NULL;
	was_handed_over = call->is_handed_over;
	api_call_unref(call);
	if (was_handed_over)
		api_completed(cookie);
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

int api_http_start(struct api *api, int listen_fd)
{
	sigset_t all, before;

	/* Signals are the loop's. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	api->daemon = MHD_start_daemon(
		MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME |
			MHD_USE_ITC | MHD_USE_ERROR_LOG,
		0, NULL, NULL, on_request, api, MHD_OPTION_EXTERNAL_LOGGER,
		on_log, NULL, MHD_OPTION_LISTEN_SOCKET, listen_fd,
		MHD_OPTION_NOTIFY_COMPLETED, on_completed, api,
		MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_CONNECTION_LIMIT,
		API_CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT, IDLE_S,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)MEMORY_MAX,
		MHD_OPTION_END);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (api->daemon)
		return 0;
	return errno ? -errno : -ENOMEM;
}
