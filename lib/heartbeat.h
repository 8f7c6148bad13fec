/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Heartbeat: the datagram by which nodes and witness know of each other, and vote. Layout and
 * meaning of every field: docs/protocol.md. Bytes in, bytes out; nothing here does I/O.
 */
#ifndef FR_HEARTBEAT_H
#define FR_HEARTBEAT_H

#include <stddef.h>
#include <stdint.h>

#include "frame.h"

#define FR_HEARTBEAT_VERSION	1
#define FR_HEARTBEAT_LEN	312
#define FR_HEARTBEAT_MAC_LEN	32	/* HMAC-SHA256, the last bytes */
#define FR_HEARTBEAT_ANYONE	"*"	/* in place of @to: only the address is known */
#define FR_HEARTBEAT_WITNESS	0	/* in place of an enum fr_role */

enum fr_heartbeat_kind {
	FR_HEARTBEAT_PING = 1,
	FR_HEARTBEAT_PONG,
	FR_HEARTBEAT_ASK,
	FR_HEARTBEAT_VOTE,
};

/* Of a VOTE; NONE of all others. */
enum fr_heartbeat_verdict {
	FR_HEARTBEAT_NONE,
	FR_HEARTBEAT_GRANTED,
	FR_HEARTBEAT_PRIMARY,	/* refused: is primary, or hears one */
	FR_HEARTBEAT_EPOCH,	/* refused: that epoch is in use or promised */
	FR_HEARTBEAT_STARTING,	/* refused: does not know yet who is there */
	FR_HEARTBEAT_VOTED,	/* refused: has just voted for another node */
	FR_HEARTBEAT_FAILED,	/* refused: the promise cannot be saved */
};

/* Which datagram of an end. */
struct fr_heartbeat_stamp {
	uint64_t session;
	uint64_t counter;
};

struct fr_heartbeat_key {
	uint8_t b[32];
};

/**
 * struct fr_heartbeat - one datagram
 * @kind: enum fr_heartbeat_kind
 * @role: enum fr_role or FR_HEARTBEAT_WITNESS
 * @verdict: enum fr_heartbeat_verdict
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
struct fr_heartbeat {
	uint8_t kind;
	uint8_t role;
	uint8_t verdict;
	uint8_t rule;
	uint8_t votes;
	uint16_t priority;
	struct fr_heartbeat_stamp stamp;
	struct fr_heartbeat_stamp echo;
	uint64_t epoch;
	uint64_t promised;
	uint64_t ballot;
	uint64_t since_us;
	uint64_t primary_epoch;
	char from[FR_NODE_ID_MAX_LEN + 1];
	char to[FR_NODE_ID_MAX_LEN + 1];
	char primary[FR_NODE_ID_MAX_LEN + 1];
};

/* Return: 0; -EINVAL: fields that fr_heartbeat_open() would refuse; -EIO: the crypto library */
int fr_heartbeat_seal(uint8_t out[FR_HEARTBEAT_LEN], const struct fr_heartbeat *m,
		      const struct fr_heartbeat_key *key);

/**
 * fr_heartbeat_open - authenticate a datagram, then take it apart
 * @buf: bytes of a stranger
 * @keys: tried one after the other
 * Return: which of @keys; -EBADMSG: no datagram of this version, or not well-formed; -EACCES: not
 *	made with any of @keys; -EIO: the crypto library
 */
int fr_heartbeat_open(struct fr_heartbeat *m, const void *buf, size_t len,
		      const struct fr_heartbeat_key *keys, size_t n_keys);

/* What a verdict means, for people: "has just started" */
const char *fr_heartbeat_verdict_text(unsigned int verdict);

#endif
