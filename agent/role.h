/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Role: whether this node writes, and under which epoch. An epoch is raised at
 * every takeover and persisted before anything is written under it, so two writers can
 * always be told apart: the higher epoch is the rightful one.
 */
#ifndef ROLE_H
#define ROLE_H

#include <stdbool.h>
#include <stdint.h>

#include "frame.h"
#include "siphash.h"

/**
 * struct role - of this node
 * @dir: state directory
 * @role: what it is now
 * @kept: of a PEER: what it was as one of a pair, or 0
 * @epoch: highest seen or taken
 * @hash_key: of buckets and digests: drawn at random once, or taken over from the writer
 * @promised: highest epoch this node has voted for, itself included; 0: never
 * @promised_to: for whom
 * @since_us: CLOCK_REALTIME when it became primary; 0: it is not
 * @is_forced: primary by force, without the votes of a majority
 */
struct role {
	const char *dir;
	enum fr_role role;
	enum fr_role kept;
	uint64_t epoch;
	struct fr_siphash_key hash_key;
	uint64_t promised;
	char promised_to[FR_NODE_ID_MAX_LEN + 1];
	uint64_t since_us;
	bool is_forced;
};

/* How this node stands to a peer that says it is @role under @epoch. */
enum role_relation {
	ROLE_IDLE,		/* neither writes to the other */
	ROLE_WRITE,		/* we write to it */
	ROLE_READ,		/* it writes to us */
	ROLE_STEP_DOWN,		/* both write, and its epoch is higher */
	ROLE_FENCE,		/* both write, and ours is higher: it will step down */
	ROLE_SPLIT,		/* both write under one epoch */
	ROLE_SHARE,		/* both write, each its own, and are meant to */
	ROLE_MISFIT,		/* one of us is of a pair, the other is not */
};

/**
 * role_load - what this node was, or begins as
 * @begin: of the configured mode: PRIMARY or BACKUP on a first start, PEER always
 * -errno (logged) when the state is unreadable: the node must not guess.
 */
int role_load(struct role *r, const char *dir, enum fr_role begin);
/*
 * Become primary under a new epoch, above every one seen: that which was promised to this node, if
 * it is the highest. Persisted, or -errno and unchanged. A PEER never does, nor does it leave.
 */
int role_take(struct role *r, const char *self);
/**
 * role_promise - vote: an epoch is given to one node, once
 * @to: node id; asking for what it has been given is answered as before
 * Return: 0: on disk; -ESTALE: that epoch, or a higher one, was promised or seen; -errno (logged),
 *	and nothing was promised
 */
int role_promise(struct role *r, uint64_t epoch, const char *to);
/* The next role_take() takes an epoch above this one, too, without votes. As role_promise(). */
int role_force(struct role *r, const char *self, uint64_t above);
/* Become backup or fault. */
int role_leave(struct role *r, enum fr_role role);
/* A peer told of this epoch, or a voter. */
void role_observe(struct role *r, uint64_t epoch);
/* The hash key of the writer becomes ours. Persisted, or -errno (logged) and unchanged. */
int role_adopt(struct role *r, const struct fr_siphash_key *hash_key);
const char *role_relation_name(enum role_relation relation);
enum role_relation role_relation(const struct role *r, enum fr_role role, uint64_t epoch);

#endif
