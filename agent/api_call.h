/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * API call: one request between the two threads, for api.c (loop thread) and
 * api_http.c (HTTP thread) only.
 *
 * The HTTP thread makes a call, and suspends its connection when it hands the call
 * over (api_enqueue()). From there on the loop thread writes to it, until it
 * resumes the connection. Two references: the HTTP thread's, until the request is over,
 * and the handler's, until it has replied.
 */
#ifndef API_CALL_H
#define API_CALL_H

#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "api.h"
#include "api_socket.h"

#define API_BODY_MAX (64u << 10)
#define API_ARG_LEN 64
#define API_CALLS_MAX 128 /* handed over, until the answer is sent */
#define API_CONNECTIONS_MAX 160

struct api_call {
	atomic_int n_refs;

	/* HTTP thread */
	struct MHD_Connection *connection;
	const struct api_route *route;
	char arg[API_ARG_LEN];
	char who[API_WHO_LEN];
	json_t *query;
	char *body;
	size_t body_len;
	size_t n_drained; /* bytes of body that came and were not kept */
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

struct api_list {
	struct api_call *first;
	struct api_call *last;
};

struct api {
	const struct api_route *routes;
	void *cookie;
	struct api_socket socket;
	struct MHD_Daemon *daemon;
	int wake_fd;

	/* loop thread */
	sd_event *event;
	sd_event_source *wake;
	sd_event_source *timer;
	struct api_list pending; /* with a handler, the oldest first */
	uint64_t deadline_ns; /* from queue to answer */

	/* both */
	pthread_mutex_t lock;
	pthread_cond_t is_idle; /* n_calls has become 0 */
	struct api_list queue;
	unsigned int n_calls; /* handed over, until their request is over */
	bool is_stopping;
};

/**
 * api_enqueue - suspend the connection of a call and give the call to the loop
 * Return: 0; -EBUSY: too many calls; -ESHUTDOWN
 */
int api_enqueue(struct api *api, struct api_call *call);
/* The request of a call that was handed over is over. */
void api_completed(struct api *api);
void api_call_unref(struct api_call *call);
/* {"error","details"}, malloced; NULL: no memory. */
char *api_error_text(const char *error, const char *details);

/* Start the HTTP thread on a listening socket, which it takes over in any case. -errno */
int api_http_start(struct api *api, int listen_fd);

#endif
