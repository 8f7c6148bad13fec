/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * API: HTTP on a unix socket, served by libmicrohttpd in its own thread. That thread
 * only parses and waits: each request is suspended, queued to the loop thread through an
 * eventfd, answered there, and resumed. A slow or hostile client therefore costs replication
 * nothing. Connections, body size, time and queue are bounded.
 */
#ifndef API_H
#define API_H

#include <jansson.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "asset.h"

struct api;
struct api_call;

/**
 * struct api_route - one endpoint
 * @method: "GET" or "POST"
 * @path: exact path; with "/+" in it, it matches with anything but a slash in place of the
 *	plus, see api_arg(). One plus at most
 * @handle: called on the loop thread; @body is the parsed JSON object of a POST (an empty
 *	object when there was none), NULL for GET; it lives as long as @call. Must end in
 *	exactly one api_reply() or api_fail(), now or later; until then it owns @call.
 */
struct api_route {
	const char *method;
	const char *path;
	void (*handle)(void *cookie, struct api_call *call, const json_t *body);
};

/**
 * api_start - serve
 * @socket_path: unix socket, made 0660; a stale one is replaced, a live one is -EADDRINUSE
 * @routes: ended by a row of NULLs; must outlive the api
 */
int api_start(struct api **api, sd_event *event, const char *socket_path,
	      const struct api_route *routes, void *cookie);
/* How long a call may wait for its answer before the client gets 504; 60 s at first. */
void api_set_deadline(struct api *api, uint64_t ms);
/*
 * Answers what is pending with 503 and stops; may take a second. A call that a handler
 * still owns stays its own: its reply is due and goes nowhere.
 */
void api_stop(struct api *api);

/* What stood in place of the plus of its route, at most 63 bytes; "" for none. */
const char *api_arg(const struct api_call *call);
/* The parameters of the URL: an object of strings, never NULL; lives as long as @call. */
const json_t *api_query(const struct api_call *call);
/* Who asks, of a POST: the name of the user, "root" for uid 0, the uid if it has no name. */
const char *api_who(const struct api_call *call);
/* 200 with this body; takes the reference. */
void api_reply(struct api_call *call, json_t *body);
/*
 * 200 with something that is not JSON. @type: a literal, of Content-Type; @text: malloced, taken;
 * NULL: there was no memory, 500
 */
void api_reply_text(struct api_call *call, const char *type, char *text);
/* 200 with a file that is built in. */
void api_reply_asset(struct api_call *call, const struct asset *asset);
/* 202: begun, and not over yet. */
void api_accept(struct api_call *call, json_t *body);
/* {"error","details"} with this status. */
void api_fail(struct api_call *call, unsigned int status, const char *error,
	      const char *details_fmt, ...)
	__attribute__((format(printf, 4, 5)));
/* The other end went away, or its time is up: the answer will be discarded. */
int api_is_gone(const struct api_call *call);

#endif
