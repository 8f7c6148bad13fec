/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * API call: one request between the two threads, for api.c, api_listen.c (loop thread) and
 * api_http.c (HTTP threads) only.
 *
 * An HTTP thread, of which each listening socket has one, makes a call, and suspends its
 * connection when it hands the call over (api_enqueue()). From there on the loop thread writes to
 * it, until it resumes the connection. Two references: the HTTP thread's, until the request is
 * over, and the handler's, until it has replied.
 */
#ifndef API_CALL_H
#define API_CALL_H

#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "api.h"
#include "api_guard.h"
#include "api_guests.h"
#include "api_socket.h"

#define API_BODY_MAX (64u << 10)
#define API_ARG_LEN 64
#define API_CALLS_MAX 128 /* of a server: handed over, until the answer is sent */

struct api_list {
	struct api_call *first;
	struct api_call *last;
};

enum api_lanes { API_LANE_LOCAL, API_LANE_TCP, API_N_LANES };

/**
 * struct api_lane - calls that wait for the loop, of which each takes a rest after it: those of
 *	the unix socket, who may act, never wait for the rest of those of TCP
 * @rest_max_ns: after one call
 * @rested_ns: when all rest so far is over
 */
struct api_lane {
	struct api *api;
	uint64_t rest_max_ns;
	struct api_list queue;	/* under the lock of the api */
	int wake_fd;

	/* loop thread */
	sd_event_source *wake;
	sd_event_source *rest;
	uint64_t rested_ns;
};

/**
 * struct api_server - one listening socket and its HTTP thread
 * @lane: where its calls wait
 * @guard: who is let in; NULL: the unix socket, where the file system says that
 * @is_local: nobody but programs of this machine gets there
 * @is_tls: for others
 * @calls_max: handed over, until their request is over
 */
struct api_server {
	struct api *api;
	struct api_lane *lane;
	struct MHD_Daemon *daemon;
	const struct api_guard *guard;
	bool is_local;
	bool is_tls;
	unsigned int calls_max;
	unsigned int n_calls;	/* under the lock of the api */
	struct api_guests guests;
};

struct api_call {
	atomic_int n_refs;

	/* HTTP thread */
	struct api_server *server;
	struct MHD_Connection *connection;
	const struct api_route *route;
	char arg[API_ARG_LEN];
	char who[API_WHO_LEN];
	json_t *query;
	char *body;
	size_t body_len;
	size_t n_drained; /* bytes of body that came and were not kept */
	bool has_bad_path;
	bool has_head;
	bool is_last;		/* of its connection */
	bool is_handed_over;

	/* handed over */
	struct api *api; /* NULL once answered */
	struct api_call *prev;
	struct api_call *next;
	int fd;
	json_t *json;
	uint64_t deadline_ns;

	/* the answer: handed back, or known to the HTTP thread alone */
	unsigned int status; /* 0: none yet */
	char *text;
	const char *type;
	const struct asset *asset;
	char allow[64];
};

struct api {
	const struct api_route *routes;
	void *cookie;
	struct api_socket socket;
	struct api_server local; /* of that socket */
	struct api_listen *listen;
	struct api_lane lanes[API_N_LANES];
	atomic_ullong counts[API_N_COUNTS];

	/* loop thread */
	sd_event *event;
	sd_event_source *timer;
	sd_event_source *tick;
	struct api_list pending; /* with a handler, the oldest first */
	const struct api_call *served; /* a GET whose handler runs */
	uint64_t deadline_ns; /* from queue to answer */

	/* all */
	pthread_mutex_t lock;
	pthread_cond_t is_idle; /* n_calls has become 0 */
	unsigned int n_calls; /* of all servers */
	bool is_stopping;
};

/**
 * api_enqueue - suspend the connection of a call and give the call to the loop
 * Return: 0; -EBUSY: too many calls; -ESHUTDOWN
 */
int api_enqueue(struct api *api, struct api_call *call);
/* The request of a call that was handed over is over. */
void api_completed(struct api_server *server);
void api_call_unref(struct api_call *call);
/* {"error","details"}, malloced; NULL: no memory. */
char *api_error_text(const char *error, const char *details);
void api_count(struct api *api, enum api_count what);
/* Loop thread: answer all calls of a server with 503; a handler may still own them. */
void api_dismiss(const struct api_server *server, const char *why);

/* PEM texts; NULL: no TLS */
struct api_http_tls {
	const char *cert;
	const char *key;
};

/**
 * api_http_start - start the HTTP thread of a server on a listening socket
 * @s: with api, lane, guard, is_local and calls_max set
 * @listen_fd: closed by api_http_stop(), or if this fails
 * @tls: must outlive the server
 */
int api_http_start(struct api_server *s, int listen_fd, const struct api_guests_limits *limits,
		   const struct api_http_tls *tls);
/* Accept nobody any more. Return: descriptor to close at last, or -1 */
int api_http_quiesce(struct api_server *s);
/* After api_dismiss(). Connections are closed. */
void api_http_stop(struct api_server *s, int listen_fd);

#endif
