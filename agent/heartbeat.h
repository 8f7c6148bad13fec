/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Heartbeat: who of the voters is alive, and what it says (docs/protocol.md, Heartbeat). Datagrams
 * in and out, and the time, are the caller's; nothing here does I/O.
 *
 * A datagram is believed only if it echoes one of ours that is younger than heartbeat.timeout, and
 * was not seen before. So a recorded or delayed one never makes a dead node seem alive.
 */
#ifndef HEARTBEAT_H
#define HEARTBEAT_H

#include <stdbool.h>

#include "beat.h"
#include "config.h"

#define HEARTBEAT_WINDOW 64	/* datagrams that are remembered, each way */

/**
 * struct heartbeat_voter - another voter
 * @expected: node id, "*": whoever answers at its address
 * @name: for people: its id, or "witness" with its address
 * @id: "": was not heard yet
 * @address: where datagrams to it go
 * @session: of what we send there
 * @n_sent: the last counter of it
 * @sent_ns: when each of the last ones was sent
 * @last: what it said last, of what was believed
 * @seen: bitmap of counters below @last.stamp.counter
 * @echoed: highest counter of ours it has echoed
 * @key: of the secrets, that it used last
 * @heard_ns: when that was; 0: never
 * @rtt_ns: round trip, 0: not measured yet
 * @is_alive: heard within heartbeat.timeout, as of the last tick or datagram
 */
struct heartbeat_voter {
	char expected[FR_NODE_ID_MAX_LEN + 1];
	char name[FR_NODE_ID_MAX_LEN + FR_ADDRESS_TEXT_LEN];
	char id[FR_NODE_ID_MAX_LEN + 1];
	struct fr_address address;
	bool is_witness;
	bool is_alive;
	uint64_t session;
	uint64_t n_sent;
	uint64_t sent_ns[HEARTBEAT_WINDOW];
	struct fr_beat last;
	uint64_t seen;
	uint64_t echoed;
	size_t key;
	uint64_t heard_ns;
	uint64_t rtt_ns;
};

/* Datagrams; what was not believed does nothing but count. */
struct heartbeat_counts {
	uint64_t sent;
	uint64_t received;
	uint64_t malformed;	/* no datagram of this version */
	uint64_t forged;	/* made with none of our secrets */
	uint64_t replayed;	/* seen before, or of a session that is over */
	uint64_t unproven;	/* authentic, but echo nothing that was sent just now */
	uint64_t strangers;	/* authentic, but not of a voter, or not to us */
};

/**
 * struct heartbeat_ops - what the owner does and hears
 * @send: a datagram to a voter
 * @fill: what this node says of itself; kind, stamps, names and ballot are set
 * @heard: a datagram that is believed, and in @v->last
 * @vote: an ASK, likewise; return an enum fr_beat_verdict, which is sent
 * @changed: a voter became alive, or is not any more
 */
struct heartbeat_ops {
	void (*send)(void *cookie, const struct heartbeat_voter *v,
		     const uint8_t buf[FR_BEAT_LEN]);
	void (*fill)(void *cookie, struct fr_beat *m);
	void (*heard)(void *cookie, const struct heartbeat_voter *v, uint64_t now_ns);
	enum fr_beat_verdict (*vote)(void *cookie, const struct heartbeat_voter *v,
				     uint64_t now_ns);
	void (*changed)(void *cookie, const struct heartbeat_voter *v, uint64_t now_ns);
};

struct heartbeat;

/* @config must outlive it, and has heartbeats. -errno (logged) */
int heartbeat_new(struct heartbeat **h, const struct fr_config *config,
		  const struct heartbeat_ops *ops, void *cookie);
void heartbeat_free(struct heartbeat *h);
/* Other secrets in the configuration. -errno (logged), and the old ones stay. */
int heartbeat_set_secrets(struct heartbeat *h);

/* Ask all whether they are alive, and see who was not heard for too long. */
void heartbeat_beat(struct heartbeat *h, uint64_t now_ns);
/* See who was not heard for too long. */
void heartbeat_tick(struct heartbeat *h, uint64_t now_ns);
/* Ask one for its vote for an epoch. */
void heartbeat_ask(struct heartbeat *h, size_t voter, uint64_t ballot, uint64_t now_ns);
/* A datagram has come. @len may be anything. */
void heartbeat_receive(struct heartbeat *h, const void *buf, size_t len, uint64_t now_ns);

size_t heartbeat_n_voters(const struct heartbeat *h);
const struct heartbeat_voter *heartbeat_voter(const struct heartbeat *h, size_t i);
/* The voter with this node id, or NULL. */
const struct heartbeat_voter *heartbeat_find(const struct heartbeat *h, const char *id);
const struct heartbeat_counts *heartbeat_counts(const struct heartbeat *h);

#endif
