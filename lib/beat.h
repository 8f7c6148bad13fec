/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Beat: the datagram by which nodes and witness know of each other, and vote. Layout and
 * meaning of every field: docs/protocol.md. Bytes in, bytes out; nothing here does I/O.
 */
#ifndef FR_BEAT_H
#define FR_BEAT_H

#include <stddef.h>
#include <stdint.h>

#include "frame.h"

#define FR_BEAT_VERSION	1
#define FR_BEAT_LEN	312
#define FR_BEAT_MAC_LEN	32	/* HMAC-SHA256, the last bytes */
#define FR_BEAT_ANYONE	"*"	/* in place of @to: only the address is known */
#define FR_BEAT_WITNESS	0	/* in place of an enum fr_role */

enum fr_beat_kind {
	FR_BEAT_PING = 1,
	FR_BEAT_PONG,
	FR_BEAT_ASK,
	FR_BEAT_VOTE,
};

/* Of a VOTE; NONE of all others. */
enum fr_beat_verdict {
	FR_BEAT_NONE,
	FR_BEAT_GRANTED,
	FR_BEAT_PRIMARY,	/* refused: is primary, or hears one */
	FR_BEAT_EPOCH,	/* refused: that epoch is in use or promised */
	FR_BEAT_STARTING,	/* refused: does not know yet who is there */
	FR_BEAT_VOTED,	/* refused: has just voted for another node */
	FR_BEAT_FAILED,	/* refused: the promise cannot be saved */
};

/* Which datagram of an end. */
struct fr_beat_stamp {
	uint64_t session;
	uint64_t counter;
};

struct fr_beat_key {
	uint8_t b[32];
};

/**
 * struct fr_beat - one datagram
 * @kind: enum fr_beat_kind
 * @role: enum fr_role or FR_BEAT_WITNESS
 * @verdict: enum fr_beat_verdict
 * @rule: enum fr_config_split_brain
 * @votes: of all voters the sender counts; 0: no quorum
 * @stamp: of this datagram
 * @echo: of one of the other end
 * @epoch: highest that the sender has seen in use
 * @promised: highest that it has voted for
 * @ballot: of ASK and VOTE: the epoch that is wanted
 * @since_us: CLOCK_REALTIME of its takeover
 * @primary_epoch: of @primary, "": none
 */
struct fr_beat {
	uint8_t kind;
	uint8_t role;
	uint8_t verdict;
	uint8_t rule;
	uint8_t votes;
	uint16_t priority;
	struct fr_beat_stamp stamp;
	struct fr_beat_stamp echo;
	uint64_t epoch;
	uint64_t promised;
	uint64_t ballot;
	uint64_t since_us;
	uint64_t primary_epoch;
	char from[FR_NODE_ID_MAX_LEN + 1];
	char to[FR_NODE_ID_MAX_LEN + 1];
	char primary[FR_NODE_ID_MAX_LEN + 1];
};

/* Return: 0; -EINVAL: fields that fr_beat_open() would refuse; -EIO: the crypto library */
int fr_beat_seal(uint8_t out[FR_BEAT_LEN], const struct fr_beat *m, const struct fr_beat_key *key);

/**
 * fr_beat_open - authenticate a datagram, then take it apart
 * @buf: bytes of a stranger
 * @keys: tried one after the other
 * Return: which of @keys; -EBADMSG: no datagram of this version, or not well-formed; -EACCES: not
 *	made with any of @keys; -EIO: the crypto library
 */
int fr_beat_open(struct fr_beat *m, const void *buf, size_t len, const struct fr_beat_key *keys,
		 size_t n_keys);

/* What a verdict means, for people: "has just started" */
const char *fr_beat_verdict_text(unsigned int verdict);

#endif
