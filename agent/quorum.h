/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Quorum: who may be primary (docs/architecture.md, Quorum). Asks the voters for an epoch, gives
 * its own vote, and finds that this node must step down. Of nodes and witness alike. Like the
 * heartbeats it lives by, it does no I/O but that of role.h, and is told the time.
 */
#ifndef QUORUM_H
#define QUORUM_H

#include "events.h"
#include "heartbeat.h"
#include "role.h"

#define QUORUM_WHY_LEN 512
#define QUORUM_ASK_MS 50	/* an unanswered ASK is repeated after this */

struct quorum;

/**
 * struct quorum_ops - what the owner does and hears
 * @send: a datagram to this address
 * @step_down: another node is the rightful primary; @why: a sentence. Change the role now
 * @changed: a voter became alive, or is not any more
 */
struct quorum_ops {
	void (*send)(void *cookie, const struct fr_address *to, const uint8_t buf[FR_BEAT_LEN]);
	void (*step_down)(void *cookie, const char *why);
	void (*changed)(void *cookie, const struct heartbeat_voter *v);
};

/* @why: "" if the majority agreed, else what is missing. */
typedef void (*quorum_done_t)(void *cookie, const char *why);

/* @config, @role and @events, which may be NULL, must outlive it. -errno (logged) */
int quorum_new(struct quorum **q, const struct fr_config *config, struct role *role,
	       struct events *events, const struct quorum_ops *ops, void *cookie, uint64_t now_ns);
void quorum_free(struct quorum *q);
/* The configuration is another one. -errno (logged) */
int quorum_reload(struct quorum *q);

/* Each heartbeat.interval, and at once when the role has changed. */
void quorum_beat(struct quorum *q, uint64_t now_ns);
/* At quorum_next_ns(), or earlier. */
void quorum_tick(struct quorum *q, uint64_t now_ns);
/* 0: nothing to do before the next beat */
uint64_t quorum_next_ns(const struct quorum *q);
void quorum_receive(struct quorum *q, const void *buf, size_t len, uint64_t now_ns);

/* Does a takeover need votes? */
bool quorum_is_needed(const struct quorum *q);
/**
 * quorum_elect - ask for the next epoch
 * @done: called once, maybe before this returns. If all is well role_take() takes that epoch, now
 * Return: 0; -EBUSY: it is being asked for already; -errno (logged): the own vote cannot be saved
 */
int quorum_elect(struct quorum *q, quorum_done_t done, void *cookie, uint64_t now_ns);
/* Forget it: @done is not called. */
void quorum_withdraw(struct quorum *q);
/* Nobody is asked: role_take() takes an epoch above all that were heard of. -errno (logged) */
int quorum_force(struct quorum *q);

/* Votes that there are in all, those a majority is, those of who is alive; this node's included. */
unsigned int quorum_n_votes(const struct quorum *q);
unsigned int quorum_n_needed(const struct quorum *q);
unsigned int quorum_n_alive(const struct quorum *q);
bool quorum_has_majority(const struct quorum *q);
/* Another voter that is alive and primary, of these the one with the highest epoch; NULL: none */
const struct heartbeat_voter *quorum_primary(const struct quorum *q);
/* Another primary of this node's epoch that is alive; NULL: none */
const struct heartbeat_voter *quorum_rival(const struct quorum *q);
/* Whether a rule ends a split brain with this voter without a person. */
bool quorum_heals(const struct quorum *q, const struct heartbeat_voter *rival);
const struct heartbeat *quorum_heartbeat(const struct quorum *q);

#endif
