/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * voters - nodes and a witness with a quorum each, a clock, and a network that loses, delays,
 * doubles and repeats datagrams
 *
 * What is on disk outlives a node; all else is gone when it stops. The time is the test's.
 */
#ifndef VOTERS_H
#define VOTERS_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "log.h"
#include "quorum.h"
#include "store.h"

#define VOTERS_MAX 5
#define WIRE_MAX 4096
#define MS 1000000ull

struct voters;

struct voter {
	struct voters *all;
	int number;
	char id[8];
	char dir[64];
	char config_text[2048];
	struct fr_config config;
	struct role role;
	struct quorum *quorum;	/* NULL: it does not run */
	uint64_t beat_ns;
	bool is_done;		/* of its last election */
	bool is_elected;
	char why[QUORUM_WHY_LEN];
	unsigned int n_steps_down;
	char stepped[QUORUM_WHY_LEN];
};

struct datagram {
	int from, to;
	uint64_t due_ns;
	uint8_t buf[FR_BEAT_LEN];
};

struct voters {
	int n;
	bool has_witness;	/* the last one */
	uint64_t now_ns;
	struct voter v[VOTERS_MAX];
	bool is_cut[VOTERS_MAX][VOTERS_MAX];	/* from, to */
	unsigned int loss, twice, slow;	/* percent */
	unsigned int seed;
	size_t n_wire;
	struct datagram wire[WIRE_MAX];
	struct datagram recorded[256];	/* whatever was sent, the newest replace the oldest */
	size_t n_recorded;
};

static inline unsigned int chance(struct voters *all, unsigned int below)
{
	return (unsigned int)rand_r(&all->seed) % below;
}

static inline void wire_put(struct voters *all, const struct datagram *d)
{
	assert_true(all->n_wire < WIRE_MAX);
	all->wire[all->n_wire++] = *d;
}

static inline void on_voter_send(void *cookie, const struct fr_address *to,
				 const uint8_t buf[FR_BEAT_LEN])
{
	const struct sockaddr_in *sin = (const struct sockaddr_in *)&to->sa;
	struct voter *v = cookie;
	struct voters *all = v->all;
	struct datagram d = { v->number, (int)(ntohl(sin->sin_addr.s_addr) & 0xff) - 1,
			      all->now_ns + MS, { 0 } };

	memcpy(d.buf, buf, FR_BEAT_LEN);
	all->recorded[all->n_recorded++ % 256] = d;
	if (all->is_cut[d.from][d.to] || chance(all, 100) < all->loss)
		return;
	if (chance(all, 100) < all->slow)
		d.due_ns += chance(all, 400) * MS;
	wire_put(all, &d);
	if (chance(all, 100) < all->twice)
		wire_put(all, &d);
}

static inline void on_voter_step_down(void *cookie, const char *why)
{
	struct voter *v = cookie;

	assert_int_equal(v->role.role, FR_ROLE_PRIMARY);
	v->n_steps_down++;
	snprintf(v->stepped, sizeof(v->stepped), "%s", why);
	assert_int_equal(role_leave(&v->role, FR_ROLE_BACKUP), 0);
	quorum_beat(v->quorum, v->all->now_ns);
}

static const struct quorum_ops voter_ops = {
	.send = on_voter_send,
	.step_down = on_voter_step_down,
};

/* More lines for all configurations; "" for none. */
static inline void voter_configure(struct voter *v, const char *lines)
{
	const struct voters *all = v->all;
	bool is_witness = all->has_witness && v->number == all->n - 1;
	int n_nodes = all->n - all->has_witness, i;
	size_t at, size = sizeof(v->config_text);
	char *text = v->config_text;
	struct fr_diag diag;

	at = snprintf(text, size, "replication {\n mode = \"%s\"\n node_id = \"%s\"\n"
		      " secret_key = \"0123456789abcdef0123456789abcdef\"\n"
		      " heartbeat {\n  listen = \"127.0.0.%d\"\n }\n peers = [",
		      is_witness ? "witness" : "replica", v->id, v->number + 1);
	for (i = 0; i < n_nodes; i++)
		if (i != v->number)
			at += snprintf(text + at, size - at,
				       "{ id = \"%s\", address = \"127.0.0.%d\" },", all->v[i].id,
				       i + 1);
	at += snprintf(text + at, size - at, "]\n%s\n", lines);
	if (!is_witness && all->has_witness)
		at += snprintf(text + at, size - at,
			       " quorum = {\n enabled = true\n witness = \"127.0.0.%d\"\n }\n", all->n);
	else if (!is_witness && !strstr(lines, "quorum"))
		at += snprintf(text + at, size - at, " quorum = {\n enabled = true\n }\n");
	snprintf(text + at, size - at, "}\n");
	if (fr_config_parse("voters", text, strlen(text), 0, &v->config, &diag)) {
		fr_diag_print(&diag, stderr);
		fail_msg("%s", text);
	}
	fr_diag_free(&diag);
}

static inline void voter_start(struct voter *v)
{
	assert_null(v->quorum);
	assert_int_equal(role_load(&v->role, v->dir, FR_ROLE_BACKUP), 0);
	assert_int_equal(quorum_new(&v->quorum, &v->config, &v->role, NULL, &voter_ops,
				    v, v->all->now_ns), 0);
	v->beat_ns = v->all->now_ns + chance(v->all, 100) * MS;
	v->is_done = true;
}

/* All that is not on disk is lost. */
static inline void voter_stop(struct voter *v)
{
	quorum_free(v->quorum);
	v->quorum = NULL;
	v->is_done = true;
	memset(&v->role, 0, sizeof(v->role));
}

static inline void voters_init(struct voters *all, int n, bool has_witness, const char *lines)
{
	int i;

	memset(all, 0, sizeof(*all));
	all->n = n;
	all->has_witness = has_witness;
	all->now_ns = 1000000 * MS;
	for (i = 0; i < n; i++) {
		struct voter *v = &all->v[i];

		v->all = all;
		v->number = i;
		snprintf(v->id, sizeof(v->id), "%s", has_witness && i == n - 1 ? "w" :
						     ((const char *[]){ "a", "b", "c", "d", "e" })[i]);
		snprintf(v->dir, sizeof(v->dir), "%s/test_quorum.XXXXXX",
			 access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm");
		assert_non_null(mkdtemp(v->dir));
	}
	for (i = 0; i < n; i++)
		voter_configure(&all->v[i], lines);
	for (i = 0; i < n; i++)
		voter_start(&all->v[i]);
}

static inline void voters_free(struct voters *all)
{
	char path[128];
	int i;

	for (i = 0; i < all->n; i++) {
		voter_stop(&all->v[i]);
		fr_config_free(&all->v[i].config);
		snprintf(path, sizeof(path), "%s/state", all->v[i].dir);
		unlink(path);
		assert_int_equal(rmdir(all->v[i].dir), 0);
	}
}

static inline void deliver(struct voters *all)
{
	size_t i = 0;

	while (i < all->n_wire) {
		struct datagram d = all->wire[i];
		struct voter *to = &all->v[d.to];

		if (d.due_ns > all->now_ns) {
			i++;
			continue;
		}
		all->wire[i] = all->wire[--all->n_wire];
		if (to->quorum && !all->is_cut[d.from][d.to])
			quorum_receive(to->quorum, d.buf, sizeof(d.buf), all->now_ns);
	}
}

static inline void tick(struct voter *v)
{
	uint64_t now = v->all->now_ns, next;

	if (!v->quorum)
		return;
	if (now >= v->beat_ns) {
		quorum_beat(v->quorum, now);
		v->beat_ns = now + v->config.heartbeat.interval_ms * MS;
	}
	next = quorum_next_ns(v->quorum);
	if (next && now >= next)
		quorum_tick(v->quorum, now);
}

/* Let time pass, a millisecond at a time. */
static inline void pass(struct voters *all, unsigned int ms)
{
	int i;

	while (ms--) {
		all->now_ns += MS;
		deliver(all);
		for (i = 0; i < all->n; i++)
			tick(&all->v[i]);
	}
}

static inline void cut(struct voters *all, int a, int b, bool is_cut)
{
	all->is_cut[a][b] = all->is_cut[b][a] = is_cut;
}

static inline void on_voter_done(void *cookie, const char *why)
{
	struct voter *v = cookie;

	v->is_done = true;
	v->is_elected = !why[0];
	snprintf(v->why, sizeof(v->why), "%s", why);
	if (why[0])
		return;
	assert_int_equal(role_take(&v->role, v->id), 0);
	quorum_beat(v->quorum, v->all->now_ns);
}

/* flyrep role primary */
static inline void stand(struct voter *v)
{
	v->is_done = false;
	v->is_elected = false;
	assert_int_equal(quorum_elect(v->quorum, on_voter_done, v, v->all->now_ns), 0);
}

/* flyrep role primary --force */
static inline void force(struct voter *v)
{
	assert_int_equal(quorum_force(v->quorum), 0);
	assert_int_equal(role_take(&v->role, v->id), 0);
	quorum_beat(v->quorum, v->all->now_ns);
}

/* flyrep role backup */
static inline void leave(struct voter *v)
{
	assert_int_equal(role_leave(&v->role, FR_ROLE_BACKUP), 0);
	quorum_beat(v->quorum, v->all->now_ns);
}

#endif
