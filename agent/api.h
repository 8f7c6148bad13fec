/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * API: HTTP on a unix socket and on TCP, each served by libmicrohttpd in a thread of its own. Those
 * only parse and wait: each request is suspended, queued to the loop thread through an
 * eventfd, answered there, and resumed. A slow or hostile client therefore costs replication
 * nothing; and many that ask all the time no more than 0.25 % of the loop, as it rests between
 * calls, and answers all that wait for the same at once; the threads of TCP have the lowest
 * priority. Connections, body size, time and queue are bounded, for TCP more than for the socket.
 *
 * Who may ask, and what:
 *
 *   unix socket            whoever may connect to it: all
 *   loopback, no token     all: GET. Who may connect to the unix socket, by the owner of the other
 *                          end of the connection: all
 *   TCP with a token       who has one: all; see api_guard.h
 */
#ifndef API_H
#define API_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "asset.h"
#include "config.h"

struct api;
struct api_call;

/**
 * struct api_route - one endpoint, made by the macros below
 * @method: "GET" or "POST"
 * @path: exact path; with "/+" in it, it matches with anything but a slash in place of the
 *	plus, see api_arg(). One plus at most
 * @handle: called on the loop thread; @body is the parsed JSON object of a POST (an empty
 *	object when there was none), NULL for GET; it lives as long as @call. Must end in
 *	exactly one api_reply() or api_fail(), now or later; until then it owns @call.
 * @is_public: no token is needed for it: there is nothing in it but what everybody has
 */
struct api_route {
	const char *method;
	const char *path;
	void (*handle)(void *cookie, struct api_call *call, const json_t *body);
	bool is_public;
};

#define API_GET(path, handle) { "GET", path, handle, false }
#define API_GET_PUBLIC(path, handle) { "GET", path, handle, true }
#define API_POST(path, handle) { "POST", path, handle, false }

/**
 * api_start - serve
 * @socket_path: unix socket, made 0660; a stale one is replaced, a live one is -EADDRINUSE
 * @routes: ended by a row of NULLs; must outlive the api
 */
int api_start(struct api **api, sd_event *event, const char *socket_path,
	      const struct api_route *routes, void *cookie);
/*
 * Listen on TCP, too, or in other places than so far; copies what it needs. What cannot be now is
 * tried again, and told by api_place(). -ENOMEM
 */
int api_listen(struct api *api, const struct fr_config_api *config);
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
/*
 * Who asks, of a POST: the name of the user, "root" for uid 0, the uid if it has no name; or the
 * name of the token.
 */
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

/**
 * struct api_place - one of api.listen
 * @address: of FR_ADDRESS_TEXT_LEN bytes
 * @is_listening: it does
 * @is_absent: a loopback address that this machine has not: nobody is missing it
 * @is_tls: it speaks TLS
 * @has_token: one is needed there
 * @trouble: why it does not, or goes by old files; "" if all is well
 */
struct api_place {
	char address[FR_ADDRESS_TEXT_LEN];
	bool is_listening;
	bool is_absent;
	bool is_tls;
	bool has_token;
	const char *trouble;
};

/* The @i-th of api.listen. false: no more */
bool api_place(const struct api *api, size_t i, struct api_place *place);

/* What is counted, of all requests since the start. */
enum api_count {
	API_COUNT_REQUESTS,
	API_COUNT_BAD_REQUEST,
	API_COUNT_MALFORMED_JSON,
	API_COUNT_NO_TOKEN,
	API_COUNT_WRONG_HOST,
	API_COUNT_CROSS_ORIGIN,
	API_COUNT_DENIED,		/* by who asks */
	API_COUNT_NOT_FOUND,
	API_COUNT_WRONG_METHOD,
	API_COUNT_TOO_LARGE,
	API_COUNT_BUSY,			/* calls or connections */
	API_COUNT_TIMED_OUT,
	API_COUNT_SLOW,			/* connections given up */
	API_N_COUNTS,
};

const char *api_count_name(enum api_count what);
uint64_t api_counts(const struct api *api, enum api_count what);
/* Connections there are. */
unsigned int api_connections(struct api *api);

#endif
