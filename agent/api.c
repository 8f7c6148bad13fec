// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The loop thread's side, of all servers. Lock order: never call MHD_resume_connection() with our
 * lock held; suspending happens under it, so that no call can be answered
 * before its connection sleeps.
 */
#include "api.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "api_call.h"
#include "api_listen.h"
#include "monotonic.h"

#define DEADLINE_MS 60000
#define STOP_MS 1000 /* for the last answers to leave */
#define TICK_US 2000000
#define SHARE 1000 /* times what a call has taken the loop is left to replication */
#define REST_MAX_NS 100000000 /* but no longer, nor than this by TCP: */
#define REST_MAX_TCP_NS 1000000000
#define BURST_NS 1000000000 /* of such times after a quiet one nobody waits for */
#define TURN_S 30 /* to send a request, or to take an answer */

/* --- calls ------------------------------------------------------------------- */

static void list_push(struct api_list *l, struct api_call *call)
{
	call->next = NULL;
	call->prev = l->last;
	if (l->last)
		l->last->next = call;
	else
		l->first = call;
	l->last = call;
}

static void list_remove(struct api_list *l, struct api_call *call)
{
	if (call->prev)
		call->prev->next = call->next;
	else
		l->first = call->next;
	if (call->next)
		call->next->prev = call->prev;
	else
		l->last = call->prev;
	call->prev = call->next = NULL;
}

void api_call_unref(struct api_call *call)
{
	if (atomic_fetch_sub(&call->n_refs, 1) > 1)
		return;
	json_decref(call->json);
	json_decref(call->query);
	free(call->body);
	free(call->text);
	free(call);
}

/* A string, whatever the bytes are. */
static json_t *text_new(const char *s)
{
	json_t *text = json_string(s);
	char copy[512];
	size_t i;

	if (text)
		return text;
	snprintf(copy, sizeof(copy), "%s", s);
	for (i = 0; copy[i]; i++)
		if (copy[i] & 0x80)
			copy[i] = '?';
	return json_string(copy);
}

/* Takes the reference; malloced, ends in a newline; NULL: no memory. */
static char *dump(json_t *body)
{
	char *text = body ? json_dumps(body, JSON_COMPACT | JSON_ENCODE_ANY) :
			    NULL;
	size_t len = text ? strlen(text) : 0;
	char *longer = text ? realloc(text, len + 2) : NULL;

	json_decref(body);
	if (!longer) {
		free(text);
		return NULL;
	}
	strcpy(longer + len, "\n");
	return longer;
}

char *api_error_text(const char *error, const char *details)
{
	return dump(json_pack("{s:s, s:o}", "error", error, "details",
			      text_new(details)));
}

int api_enqueue(struct api *api, struct api_call *call)
{
	int rc = 0;

	call->deadline_ns = monotonic_ns();
	pthread_mutex_lock(&api->lock);
	if (api->is_stopping) {
		rc = -ESHUTDOWN;
	} else if (call->server->n_calls >= call->server->calls_max) {
		rc = -EBUSY;
	} else {
		call->api = api;
		atomic_fetch_add(&call->n_refs, 1);
		api->n_calls++;
		call->server->n_calls++;
		MHD_suspend_connection(call->connection);
		list_push(&call->server->lane->queue, call);
	}
	pthread_mutex_unlock(&api->lock);
	if (!rc)
		eventfd_write(call->server->lane->wake_fd, 1);
	return rc;
}

void api_completed(struct api_server *server)
{
	struct api *api = server->api;

	pthread_mutex_lock(&api->lock);
	server->n_calls--;
	if (!--api->n_calls)
		pthread_cond_signal(&api->is_idle);
	pthread_mutex_unlock(&api->lock);
}

/* --- answers ----------------------------------------------------------------- */

/* Hand back; @call is the HTTP thread's from here on, but for our reference. */
static void hand_back(struct api_call *call, unsigned int status, char *text)
{
	struct MHD_Connection *connection = call->connection;

	call->api = NULL;
	call->status = status;
	call->text = text;
	MHD_resume_connection(connection);
}

static void take_of(struct api_list *queue, struct api_list *taken,
		    bool (*is)(const struct api_call *c, const void *like), const void *like)
{
	struct api_call *c, *next;

	for (c = queue->first; c; c = next) {
		next = c->next;
		if (!is(c, like))
			continue;
		list_remove(queue, c);
		list_push(taken, c);
	}
}

/* Out of the queues what is like @like; in their order. */
static struct api_list take(struct api *api, bool (*is)(const struct api_call *c, const void *like),
			    const void *like)
{
	struct api_list taken = { 0 };
	size_t i;

	pthread_mutex_lock(&api->lock);
	for (i = 0; i < API_N_LANES; i++)
		take_of(&api->lanes[i].queue, &taken, is, like);
	pthread_mutex_unlock(&api->lock);
	return taken;
}

/* The answer to one is that to the other: both were asked before it was made. */
static bool is_same(const struct api_call *b, const void *like)
{
	const struct api_call *a = like;

	return a->route == b->route && !a->json && !strcmp(a->arg, b->arg) &&
	       json_equal(a->query, b->query);
}

/* Who waits for the same gets it with @call. */
static void share(struct api *api, const struct api_call *call, unsigned int status,
		  const char *text)
{
	struct api_list same = take(api, is_same, call);
	struct api_call *c;

	while ((c = same.first)) {
		list_remove(&same, c);
		c->type = call->type;
		c->asset = call->asset;
		hand_back(c, status, text ? strdup(text) : NULL);
		api_call_unref(c);
	}
}

static void answer(struct api_call *call, unsigned int status, char *text)
{
	struct api *api = call->api;

	list_remove(&api->pending, call);
	if (call == api->served)
		share(api, call, status, text);
	hand_back(call, status, text);
}

/* The handler is done with it. */
static void release(struct api_call *call)
{
	json_decref(call->json);
	call->json = NULL;
	api_call_unref(call);
}

static void reply(struct api_call *call, unsigned int status, json_t *body)
{
	/* A missing body is one that could not be made: 500. */
	if (call->api)
		answer(call, status, dump(body));
	else
		json_decref(body);
	release(call);
}

const char *api_arg(const struct api_call *call)
{
	return call->arg;
}

const json_t *api_query(const struct api_call *call)
{
	return call->query;
}

const char *api_who(const struct api_call *call)
{
	return call->who;
}

void api_reply(struct api_call *call, json_t *body)
{
	reply(call, MHD_HTTP_OK, body);
}

void api_reply_text(struct api_call *call, const char *type, char *text)
{
	if (call->api) {
		call->type = type;
		answer(call, MHD_HTTP_OK, text);
	} else {
		free(text);
	}
	release(call);
}

void api_reply_asset(struct api_call *call, const struct asset *asset)
{
	if (call->api) {
		call->asset = asset;
		answer(call, MHD_HTTP_OK, NULL);
	}
	release(call);
}

void api_accept(struct api_call *call, json_t *body)
{
	reply(call, MHD_HTTP_ACCEPTED, body);
}

void api_fail(struct api_call *call, unsigned int status, const char *error,
	      const char *details_fmt, ...)
{
	char details[512];
	va_list args;

	va_start(args, details_fmt);
	vsnprintf(details, sizeof(details), details_fmt, args);
	va_end(args);
	if (call->api)
		answer(call, status, api_error_text(error, details));
	release(call);
}

int api_is_gone(const struct api_call *call)
{
	/* The HTTP thread closes no descriptor while its connection sleeps. */
	struct pollfd p = { .fd = call->fd };

	if (!call->api)
		return 1;
	return poll(&p, 1, 0) == 1 && p.revents & (POLLHUP | POLLERR);
}

/* A client that asks again and again, or many, cannot keep the loop from replication. */
static void rest(struct api_lane *lane, uint64_t took_ns)
{
	uint64_t now_ns = monotonic_ns();

	if (lane->rested_ns + BURST_NS < now_ns)
		lane->rested_ns = now_ns - BURST_NS;
	lane->rested_ns += took_ns * SHARE < lane->rest_max_ns ? took_ns * SHARE :
								 lane->rest_max_ns;
	if (lane->rested_ns <= now_ns)
		return;
	sd_event_source_set_enabled(lane->wake, SD_EVENT_OFF);
	sd_event_source_set_time(lane->rest, lane->rested_ns / 1000 + 1);
	sd_event_source_set_enabled(lane->rest, SD_EVENT_ONESHOT);
}

static int on_rested(sd_event_source *source, uint64_t usec, void *cookie)
{
	struct api_lane *lane = cookie;

	(void)source;
	(void)usec;
	return sd_event_source_set_enabled(lane->wake, SD_EVENT_ON);
}

static int on_wake(sd_event_source *source, int fd, uint32_t events,
		   void *cookie)
{
	struct api_lane *lane = cookie;
	struct api *api = lane->api;
	uint64_t begin_ns = monotonic_ns();
	struct api_call *call;
	eventfd_t one;

	(void)source;
	(void)events;
	/* One call for each turn of the loop: replication comes between. */
	if (eventfd_read(fd, &one))
		return 0;
	pthread_mutex_lock(&api->lock);
	call = lane->queue.first;
	if (call)
		list_remove(&lane->queue, call);
	pthread_mutex_unlock(&api->lock);
	if (!call)
		return 0;
	call->deadline_ns += api->deadline_ns;
	list_push(&api->pending, call);
	if (api->pending.first == call) {
		sd_event_source_set_time(api->timer, call->deadline_ns / 1000);
		sd_event_source_set_enabled(api->timer, SD_EVENT_ONESHOT);
	}
	if (api_is_gone(call)) {
		api_fail(call, MHD_HTTP_SERVICE_UNAVAILABLE, "gone",
			 "the client has left");
		return 0;
	}
	api->served = call->json ? NULL : call;
	call->route->handle(api->cookie, call, call->json);
	api->served = NULL;
	rest(lane, monotonic_ns() - begin_ns);
	return 0;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *cookie)
{
	struct api *api = cookie;
	uint64_t now_ns = monotonic_ns();

	(void)usec;
	while (api->pending.first && api->pending.first->deadline_ns <= now_ns) {
		api_count(api, API_COUNT_TIMED_OUT);
		answer(api->pending.first, MHD_HTTP_GATEWAY_TIMEOUT,
		       api_error_text("timeout", "no answer in time"));
	}
	if (!api->pending.first)
		return 0;
	/* Rounded up, or the loop would spin for the rest of a microsecond. */
	sd_event_source_set_time(source,
				 api->pending.first->deadline_ns / 1000 + 1);
	return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

void api_set_deadline(struct api *api, uint64_t ms)
{
	api->deadline_ns = ms * 1000000;
}

/* --- life -------------------------------------------------------------------- */

static unsigned int sweep(struct api_server *s)
{
	return api_guests_sweep(&s->guests, TURN_S * 1000000000ull);
}

static int on_tick(sd_event_source *source, uint64_t usec, void *cookie)
{
	struct api *api = cookie;
	unsigned int n = sweep(&api->local) + api_listen_sum(api->listen, sweep);

	(void)usec;
	while (n--)
		api_count(api, API_COUNT_SLOW);
	api_listen_tick(api->listen);
	sd_event_source_set_time_relative(source, TICK_US);
	return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

static int lane_start(struct api_lane *lane, sd_event *event)
{
	int rc;

	lane->wake_fd = eventfd(0, EFD_SEMAPHORE | EFD_NONBLOCK | EFD_CLOEXEC);
	if (lane->wake_fd < 0)
		return -errno;
	rc = sd_event_add_io(event, &lane->wake, lane->wake_fd, EPOLLIN, on_wake, lane);
	if (rc < 0)
		return rc;
	sd_event_source_set_description(lane->wake, "api");
	rc = sd_event_add_time(event, &lane->rest, CLOCK_MONOTONIC, 0, 1000, on_rested, lane);
	if (rc < 0)
		return rc;
	sd_event_source_set_description(lane->rest, "api rest");
	sd_event_source_set_enabled(lane->rest, SD_EVENT_OFF);
	return 0;
}

static void lane_stop(struct api_lane *lane)
{
	sd_event_source_disable_unref(lane->rest);
	sd_event_source_disable_unref(lane->wake);
	if (lane->wake_fd >= 0)
		close(lane->wake_fd);
}

static int loop_start(struct api *api, sd_event *event)
{
	int rc = 0;
	size_t i;

	api->event = sd_event_ref(event);
	for (i = 0; i < API_N_LANES && rc >= 0; i++)
		rc = lane_start(&api->lanes[i], event);
	if (rc < 0)
		return rc;
	rc = sd_event_add_time(event, &api->timer, CLOCK_MONOTONIC, 0, 0,
			       on_timer, api);
	if (rc < 0)
		return rc;
	sd_event_source_set_description(api->timer, "api deadline");
	sd_event_source_set_enabled(api->timer, SD_EVENT_OFF);
	rc = sd_event_add_time_relative(event, &api->tick, CLOCK_MONOTONIC, TICK_US, 0, on_tick,
					api);
	if (rc >= 0)
		sd_event_source_set_description(api->tick, "api tick");
	return rc;
}

static void loop_stop(struct api *api)
{
	size_t i;

	sd_event_source_disable_unref(api->tick);
	sd_event_source_disable_unref(api->timer);
	for (i = 0; i < API_N_LANES; i++)
		lane_stop(&api->lanes[i]);
	sd_event_unref(api->event);
}

int api_start(struct api **out, sd_event *event, const char *socket_path,
	      const struct api_route *routes, void *cookie)
{
	static const struct api_guests_limits limits = { .total = API_GUESTS_MAX };
	static const uint64_t rests[API_N_LANES] = { [API_LANE_LOCAL] = REST_MAX_NS,
						     [API_LANE_TCP] = REST_MAX_TCP_NS };
	struct api *api = calloc(1, sizeof(*api));
	pthread_condattr_t attr;
	int fd, rc;
	size_t i;

	*out = NULL;
	if (!api)
		return -ENOMEM;
	/* jansson seeds its hash once, and not from two threads. */
	json_object_seed(0);
	api->routes = routes;
	api->cookie = cookie;
	api->deadline_ns = DEADLINE_MS * 1000000ull;
	for (i = 0; i < API_N_LANES; i++)
		api->lanes[i] = (struct api_lane){ .api = api, .rest_max_ns = rests[i],
						   .wake_fd = -1 };
	api->local.api = api;
	api->local.lane = &api->lanes[API_LANE_LOCAL];
	api->local.is_local = true;
	api->local.calls_max = API_CALLS_MAX;
	pthread_mutex_init(&api->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&api->is_idle, &attr);
	pthread_condattr_destroy(&attr);

	api->listen = api_listen_new(api);
	rc = api->listen ? loop_start(api, event) : -ENOMEM;
	if (rc < 0)
		goto err_loop;
	fd = api_socket_open(&api->socket, socket_path);
	if (fd < 0) {
		rc = fd;
		goto err_loop;
	}
	rc = api_http_start(&api->local, fd, &limits, NULL);
	if (rc)
		goto err_http;
	*out = api;
	return 0;
err_http:
	api_socket_remove(&api->socket);
err_loop:
	loop_stop(api);
	api_listen_free(api->listen);
	pthread_cond_destroy(&api->is_idle);
	pthread_mutex_destroy(&api->lock);
	free(api);
	return rc;
}

int api_listen(struct api *api, const struct fr_config_api *config)
{
	return api_listen_set(api->listen, config);
}

/* Whose server is NULL: all. */
static bool is_of(const struct api_call *call, const void *server)
{
	return !server || call->server == server;
}

static void dismiss(struct api *api, const struct api_server *server, const char *why)
{
	struct api_list queue = take(api, is_of, server);
	struct api_call *call, *next;

	/* These have handlers, which will still reply, to nobody. */
	for (call = api->pending.first; call; call = next) {
		next = call->next;
		if (is_of(call, server))
			answer(call, MHD_HTTP_SERVICE_UNAVAILABLE, api_error_text("stopping", why));
	}
	while (queue.first) {
		call = queue.first;
		list_remove(&queue, call);
		list_push(&api->pending, call);
		answer(call, MHD_HTTP_SERVICE_UNAVAILABLE, api_error_text("stopping", why));
		release(call);
	}
}

void api_dismiss(const struct api_server *server, const char *why)
{
	dismiss(server->api, server, why);
}

/* Until the HTTP threads have sent what they were given, or have had their time. */
static void wait_idle(struct api *api)
{
	uint64_t until_ns = monotonic_ns() + STOP_MS * 1000000ull;
	struct timespec until = {
		.tv_sec = until_ns / 1000000000,
		.tv_nsec = until_ns % 1000000000,
	};

	pthread_mutex_lock(&api->lock);
	while (api->n_calls &&
	       !pthread_cond_timedwait(&api->is_idle, &api->lock, &until))
		;
	pthread_mutex_unlock(&api->lock);
}

void api_stop(struct api *api)
{
	int listen_fd;

	if (!api)
		return;
	api_socket_remove(&api->socket);
	listen_fd = api_http_quiesce(&api->local);
	pthread_mutex_lock(&api->lock);
	api->is_stopping = true;
	pthread_mutex_unlock(&api->lock);
	dismiss(api, NULL, "the agent is stopping");
	wait_idle(api);
	api_listen_free(api->listen);
	api_http_stop(&api->local, listen_fd);
	loop_stop(api);
	pthread_cond_destroy(&api->is_idle);
	pthread_mutex_destroy(&api->lock);
	free(api);
}

/* --- what there is to tell --------------------------------------------------- */

bool api_place(const struct api *api, size_t i, struct api_place *place)
{
	return api_listen_place(api->listen, i, place);
}

const char *api_count_name(enum api_count what)
{
	static const char *const names[API_N_COUNTS] = {
		[API_COUNT_REQUESTS] = "requests",
		[API_COUNT_BAD_REQUEST] = "bad_request",
		[API_COUNT_MALFORMED_JSON] = "malformed_json",
		[API_COUNT_NO_TOKEN] = "no_token",
		[API_COUNT_WRONG_HOST] = "wrong_host",
		[API_COUNT_CROSS_ORIGIN] = "cross_origin",
		[API_COUNT_DENIED] = "denied",
		[API_COUNT_NOT_FOUND] = "not_found",
		[API_COUNT_WRONG_METHOD] = "wrong_method",
		[API_COUNT_TOO_LARGE] = "too_large",
		[API_COUNT_BUSY] = "busy",
		[API_COUNT_TIMED_OUT] = "timed_out",
		[API_COUNT_SLOW] = "slow",
	};

	return names[what];
}

void api_count(struct api *api, enum api_count what)
{
	atomic_fetch_add_explicit(&api->counts[what], 1, memory_order_relaxed);
}

uint64_t api_counts(const struct api *api, enum api_count what)
{
	return atomic_load_explicit(&api->counts[what], memory_order_relaxed);
}

static unsigned int count_guests(struct api_server *s)
{
	return api_guests_count(&s->guests);
}

unsigned int api_connections(struct api *api)
{
	return count_guests(&api->local) + api_listen_sum(api->listen, count_guests);
}
