// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Two ends of a session in one process, over real socket pairs and TLS: while numbered frames go
 * both ways, the session moves to other connections.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "conn.h"
#include "cursor.h"
#include "monotonic.h"
#include "renewal.h"
#include "tls.h"

#define SECRET "0123456789abcdef0123456789abcdef"
#define OLD_SECRET "of yesterday, and of thirty bytes"
#define DEADLINE_NS 20000000000ull
#define FRAME_MAX 40000

static bool is_clear;	/* all tests once with TLS, once without */

struct node {
	const char *id;
	struct tls_keys *keys;
	struct conn *conn;	/* of the session */
	struct conn *guest;	/* listener: accepted, not known what for */
	struct renewal renewal;
	struct pair *pair;
	bool is_ready;
	uint64_t n_sent;
	uint64_t n_got;
	unsigned int n_done;
	unsigned int n_failed;
	char why[256];		/* it failed, or the session was lost */
	bool is_lost;
	const char *refused;	/* the second connection was, and why */
};

struct pair {
	sd_event *event;
	struct node dialler, listener;
	bool no_answer;		/* nobody accepts */
	bool is_spoilt;		/* the token is a wrong one */
	int fd[2];		/* of the connection made last: the dialler's, the listener's */
};

static void on_frame(void *cookie, struct conn *c, const struct fr_frame_head *head,
		     const uint8_t *payload, size_t len)
{
	struct node *n = cookie;
	struct fr_reader r;

	if (head->type == FR_FRAME_MOVED) {
		if (renewal_on_moved(&n->renewal, c) < 0)
			n->refused = "MOVED out of turn";
		return;
	}
	assert_int_equal(head->type, FR_FRAME_PING);
	fr_reader_init(&r, payload, len);
	assert_int_equal(fr_get_be64(&r), n->n_got);
	n->n_got++;
}

static void on_ready(void *cookie, struct conn *c)
{
	(void)c;
	((struct node *)cookie)->is_ready = true;
}

static void on_drained(void *cookie, struct conn *c)
{
	(void)cookie;
	(void)c;
}

static void end(struct node *n, const char *why)
{
	snprintf(n->why, sizeof(n->why), "%s", why);
	n->is_lost = true;
	renewal_reset(&n->renewal);
	conn_free(n->conn);
	n->conn = NULL;
}

static void on_closed(void *cookie, struct conn *c, const char *why)
{
	(void)c;
	end(cookie, why);
}

static const struct conn_ops session_ops = {
	.ready = on_ready, .frame = on_frame, .drained = on_drained, .closed = on_closed,
};

/* --- the second connection, at the listener --- */

static void on_guest_ready(void *cookie, struct conn *c)
{
	(void)cookie;
	(void)c;
}

static void on_guest_closed(void *cookie, struct conn *c, const char *why)
{
	struct node *n = cookie;

	(void)why;
	conn_free(c);
	n->guest = NULL;
}

static void on_guest_frame(void *cookie, struct conn *c, const struct fr_frame_head *head,
			   const uint8_t *payload, size_t len)
{
	uint8_t token[CONN_TOKEN_LEN] = { 0 };
	struct node *n = cookie;

	assert_int_equal(head->type, FR_FRAME_MOVE);
	assert_int_equal(len, CONN_TOKEN_LEN);
	if (!n->pair->is_spoilt)
		memcpy(token, payload, len);
	if (renewal_accept(&n->renewal, n->conn, c, token, len, &n->refused) < 0)
		conn_free(c);
	n->guest = NULL;
}

static const struct conn_ops guest_ops = {
	.ready = on_guest_ready, .frame = on_guest_frame, .drained = on_drained,
	.closed = on_guest_closed,
};

static int allow_all(void *cookie, const char *id)
{
	(void)cookie;
	(void)id;
	return true;
}

static struct conn *connect_pair(struct pair *p, const struct conn_ops *ops, void *cookie,
				 const struct conn_ops *theirs)
{
	struct node *l = &p->listener;
	int small = 8192;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0,
				    p->fd), 0);
	setsockopt(p->fd[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	setsockopt(p->fd[1], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	if (p->no_answer) {
		close(p->fd[1]);
	} else {
		l->guest = conn_new(p->event, l->keys, p->fd[1], NULL, allow_all, theirs, l);
		assert_non_null(l->guest);
	}
	return conn_new(p->event, p->dialler.keys, p->fd[0], "fw2", NULL, ops, cookie);
}

static struct conn *on_dial(void *cookie, size_t secret, const struct conn_ops *ops,
			    void *ops_cookie)
{
	struct node *n = cookie;
	struct conn *c = connect_pair(n->pair, ops, ops_cookie, &guest_ops);

	conn_offer(c, secret);
	return c;
}

static void on_done(void *cookie)
{
	((struct node *)cookie)->n_done++;
}

static void on_failed(void *cookie, const char *why)
{
	struct node *n = cookie;

	n->n_failed++;
	snprintf(n->why, sizeof(n->why), "%s", why);
}

static void on_lost(void *cookie, const char *why)
{
	end(cookie, why);
}

static const struct renewal_ops renewal_ops = {
	.dial = on_dial, .frame = on_frame, .done = on_done, .failed = on_failed, .lost = on_lost,
};

/* --- both --- */

static void run(struct pair *p)
{
	assert_true(sd_event_run(p->event, 10000) >= 0);
}

static void node_init(struct pair *p, struct node *n, const char *id,
		      const struct tls_secret *secrets, size_t n_secrets)
{
	n->id = id;
	n->pair = p;
	n->keys = tls_keys_new(id, secrets, n_secrets, NULL);
	assert_non_null(n->keys);
	if (is_clear)
		tls_keys_go_clear(n->keys);
	assert_true(renewal_init(&n->renewal, p->event, &renewal_ops, n) >= 0);
}

static struct pair *pair_new(void)
{
	const struct tls_secret secret = { SECRET, strlen(SECRET) };
	struct pair *p = calloc(1, sizeof(*p));
	uint64_t begin = monotonic_ns();

	assert_non_null(p);
	assert_true(sd_event_new(&p->event) >= 0);
	node_init(p, &p->dialler, "fw1", &secret, 1);
	node_init(p, &p->listener, "fw2", &secret, 1);
	p->dialler.conn = connect_pair(p, &session_ops, &p->dialler, &session_ops);
	p->listener.conn = p->listener.guest;
	p->listener.guest = NULL;
	while (!p->dialler.is_ready || !p->listener.is_ready) {
		assert_true(monotonic_ns() - begin < DEADLINE_NS);
		run(p);
	}
	return p;
}

static void node_free(struct node *n)
{
	renewal_exit(&n->renewal);
	conn_free(n->conn);
	conn_free(n->guest);
	tls_keys_free(n->keys);
}

static void pair_free(struct pair *p)
{
	node_free(&p->dialler);
	node_free(&p->listener);
	sd_event_unref(p->event);
	free(p);
}

/* One more numbered frame, of another length each time. */
static void send_one(struct node *n)
{
	static uint8_t payload[FRAME_MAX];
	size_t len = 8 + n->n_sent * 7919 % (FRAME_MAX - 8);
	struct fr_writer w;

	fr_writer_init(&w, payload, 8);
	fr_put_be64(&w, n->n_sent);
	if (!conn_send_message(n->conn, FR_FRAME_PING, 0, payload, len, NULL))
		n->n_sent++;
}

/* A connection that has broken takes everything, until the loop tells. */
static void fill(struct node *n, size_t n_queued)
{
	int i;

	for (i = 0; i < 200 && n->conn && conn_queued(n->conn) < n_queued; i++)
		send_one(n);
}

/* Keep @n_queued bytes waiting at both ends while the loop runs once. */
static void exchange(struct pair *p, size_t n_queued)
{
	fill(&p->dialler, n_queued);
	fill(&p->listener, n_queued);
	run(p);
}

/* All that was sent is there. */
static void settle(struct pair *p)
{
	uint64_t begin = monotonic_ns();

	while (p->dialler.n_got < p->listener.n_sent || p->listener.n_got < p->dialler.n_sent) {
		assert_true(monotonic_ns() - begin < DEADLINE_NS);
		run(p);
	}
}

static void renew(struct pair *p, size_t n_queued)
{
	unsigned int n = p->dialler.n_done + 1;
	uint64_t begin = monotonic_ns();
	uint8_t before[CONN_TOKEN_LEN], after[CONN_TOKEN_LEN];

	assert_int_equal(conn_token(p->dialler.conn, before), 0);
	renewal_start(&p->dialler.renewal, p->dialler.conn, 1);
	while (p->dialler.n_done < n || p->listener.n_done < n) {
		assert_true(monotonic_ns() - begin < DEADLINE_NS);
		assert_false(p->dialler.is_lost || p->listener.is_lost);
		assert_int_equal(p->dialler.n_failed, 0);
		exchange(p, n_queued);
	}
	assert_int_equal(conn_token(p->dialler.conn, after), 0);
	assert_memory_not_equal(before, after, sizeof(after));
	assert_int_equal(conn_token(p->listener.conn, before), 0);
	assert_memory_equal(before, after, sizeof(after));
}

static void test_nothing_is_lost_and_all_in_order(void **state)
{
	static const size_t queued[] = { 1, 100, 70000, 1 << 20, 3 << 20 };
	struct pair *p = pair_new();
	struct conn *const conn = p->dialler.conn;
	size_t i;
	int k;

	(void)state;
	for (i = 0; i < sizeof(queued) / sizeof(queued[0]); i++)
		for (k = 0; k < 5; k++)
			renew(p, queued[i]);
	settle(p);
	assert_ptr_equal(p->dialler.conn, conn);
	assert_true(p->dialler.n_got > 100);
	assert_int_equal(p->dialler.n_done, 25);
	assert_int_equal(p->listener.n_done, 25);
	pair_free(p);
}

static void test_keys_get_young_again(void **state)
{
	struct pair *p = pair_new();
	uint64_t begin = monotonic_ns();

	(void)state;
	while (conn_age_ms(p->dialler.conn) < 300 || conn_age_ms(p->listener.conn) < 300) {
		assert_true(monotonic_ns() - begin < DEADLINE_NS);
		run(p);
	}
	begin = monotonic_ns();
	renew(p, 100);
	assert_true(conn_age_ms(p->dialler.conn) <= (monotonic_ns() - begin) / 1000000 + 1);
	assert_true(conn_age_ms(p->listener.conn) <= (monotonic_ns() - begin) / 1000000 + 1);
	pair_free(p);
}

/* Until the dialler has given up: the session goes on. */
static void fail_once(struct pair *p, const char *why)
{
	uint64_t begin = monotonic_ns();

	renewal_start(&p->dialler.renewal, p->dialler.conn, 1);
	while (!p->dialler.n_failed) {
		assert_true(monotonic_ns() - begin < DEADLINE_NS);
		exchange(p, 50000);
	}
	settle(p);
	assert_false(p->dialler.is_lost || p->listener.is_lost);
	if (why)
		assert_string_equal(p->dialler.why, why);
	p->dialler.n_failed = 0;
}

static void test_without_a_second_connection_the_first_goes_on(void **state)
{
	struct pair *p = pair_new();

	(void)state;
	p->no_answer = true;
	fail_once(p, NULL);
	p->no_answer = false;
	p->is_spoilt = true;
	fail_once(p, NULL);
	assert_string_equal(p->listener.refused, "that is not the token of the session");
	p->is_spoilt = false;
	renew(p, 50000);
	settle(p);
	pair_free(p);
}

/* A stranger at the address, or nobody who answers in time. */
static void test_what_takes_too_long_is_given_up(void **state)
{
	struct pair *p = pair_new();

	(void)state;
	renewal_start(&p->dialler.renewal, p->dialler.conn, 1);
	renewal_tend(&p->dialler.renewal, monotonic_ns() + 4000000000ull);
	assert_int_equal(p->dialler.n_failed, 0);
	renewal_tend(&p->dialler.renewal, monotonic_ns() + 6000000000ull);
	assert_int_equal(p->dialler.n_failed, 1);
	assert_string_equal(p->dialler.why, "the second connection: no answer in time");
	p->dialler.n_failed = 0;
	exchange(p, 1000);
	renew(p, 1000);
	settle(p);
	pair_free(p);
}

static void test_a_new_secret_takes_over(void **state)
{
	const struct tls_secret both[] = { { SECRET, strlen(SECRET) },
					   { OLD_SECRET, strlen(OLD_SECRET) } };
	const struct tls_secret turned[] = { both[1], both[0] };
	struct pair *p = pair_new();
	uint64_t begin = monotonic_ns();

	(void)state;
	/* The dialler prefers one that the listener lacks: it comes to the other by itself. */
	assert_int_equal(tls_keys_set_secrets(p->dialler.keys, turned, 2), 0);
	assert_int_equal(conn_secret(p->dialler.conn), 1);
	renewal_start(&p->dialler.renewal, p->dialler.conn, 2);
	while (!p->dialler.n_done || !p->listener.n_done) {
		assert_true(monotonic_ns() - begin < DEADLINE_NS);
		assert_int_equal(p->dialler.n_failed, 0);
		exchange(p, 1000);
	}
	assert_int_equal(conn_secret(p->dialler.conn), 1);
	assert_int_equal(tls_keys_set_secrets(p->listener.keys, both, 2), 0);
	renew(p, 1000);
	assert_int_equal(conn_secret(p->dialler.conn), 0);
	assert_int_equal(conn_secret(p->listener.conn), 1);
	settle(p);
	pair_free(p);
}

static void test_moved_out_of_turn_is_refused(void **state)
{
	struct pair *p = pair_new();
	uint64_t begin = monotonic_ns();
	const char *why = NULL;
	uint8_t token[CONN_TOKEN_LEN];

	(void)state;
	conn_send_message(p->listener.conn, FR_FRAME_MOVED, 0, NULL, 0, NULL);
	while (!p->dialler.refused) {
		assert_true(monotonic_ns() - begin < DEADLINE_NS);
		run(p);
	}
	assert_int_equal(conn_token(p->listener.conn, token), 0);
	assert_int_equal(renewal_accept(&p->listener.renewal, p->listener.conn, NULL, token,
					CONN_TOKEN_LEN - 1, &why), -EACCES);
	pair_free(p);
}

/* The first connection breaks while the other one is under way: nobody takes the half for the whole. */
static void test_a_break_in_the_middle_ends_the_session(void **state)
{
	unsigned int step;

	(void)state;
	for (step = 1; step < 60; step++) {
		struct pair *p = pair_new();
		uint64_t begin = monotonic_ns();
		int first = dup(p->fd[0]);
		unsigned int i;

		assert_true(first >= 0);
		renewal_start(&p->dialler.renewal, p->dialler.conn, 1);
		for (i = 0; i < step; i++)
			exchange(p, 300000);
		shutdown(first, SHUT_RDWR);
		close(first);
		/* Either it was over already, or both ends notice. */
		while (!(p->dialler.is_lost && p->listener.is_lost) &&
		       !(p->dialler.n_done && p->listener.n_done)) {
			assert_true(monotonic_ns() - begin < DEADLINE_NS);
			exchange(p, 300000);
		}
		pair_free(p);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing_is_lost_and_all_in_order),
		cmocka_unit_test(test_keys_get_young_again),
		cmocka_unit_test(test_without_a_second_connection_the_first_goes_on),
		cmocka_unit_test(test_what_takes_too_long_is_given_up),
		cmocka_unit_test(test_a_new_secret_takes_over),
		cmocka_unit_test(test_moved_out_of_turn_is_refused),
		cmocka_unit_test(test_a_break_in_the_middle_ends_the_session),
	};

	int n_failed = cmocka_run_group_tests_name("TLS", tests, NULL, NULL);

	is_clear = true;
	return n_failed + cmocka_run_group_tests_name("clear", tests, NULL, NULL);
}
