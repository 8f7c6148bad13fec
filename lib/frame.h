/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Frames: what travels between two agents, inside TLS. Layout and meaning of
 * every message: docs/protocol.md. Nothing here does I/O.
 *
 *   0       4      5       6       7          8              16
 *   +-------+------+-------+-------+----------+---------------+---------...
 *   |  len  | type | flags | table | reserved |      seq      | payload (len bytes)
 *   +-------+------+-------+-------+----------+---------------+---------...
 *
 * Control messages have one struct, one encode and one decode each. A decoder
 * takes a whole payload, accepts longer ones (fields are only ever appended) and
 * returns -EBADMSG on shorter or inconsistent ones. What a message of an earlier wire
 * version lacks gets the value that says nothing of it.
 */
#ifndef FR_FRAME_H
#define FR_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "cursor.h"
#include "flyrep_records.h"

/* Versions: docs/protocol.md. Tests build a node of the previous one, to hold this one to it. */
#ifndef FR_WIRE_VERSION
#define FR_WIRE_VERSION		2
#endif
#define FR_WIRE_VERSION_MIN	1
#define FR_WIRE_VERSION_MANY	2	/* HELLO and ROLE tell what more than a pair needs */
#define FR_WIRE_VERSION_PAUSE	2	/* there are PAUSE and RESYNC */
#define FR_WIRE_VERSION_REFS	2	/* it takes references, as its HELLO says */
#define FR_FRAME_HEAD_LEN	16
#define FR_FRAME_MAX_LEN	(1u << 20)	/* payload as sent */
#define FR_PAYLOAD_MAX_LEN	(8u << 20)	/* payload decompressed */
#define FR_BATCH_MAX		65536		/* records in one batch */
#define FR_BATCH_MAX_LEN	(8u << 20)	/* bytes they take, see flyrep_records.h */
#define FR_TABLES_MAX		64		/* ids a bitmap of tables has room for */
#define FR_NODE_ID_MAX_LEN	63
#define FR_HISTORY_LEN		16

enum fr_frame_type {
	FR_FRAME_HELLO = 1,
	FR_FRAME_START,
	FR_FRAME_BATCH,
	FR_FRAME_ACK,
	FR_FRAME_AUDIT,
	FR_FRAME_AUDIT_REPLY,
	FR_FRAME_REPAIR_BEGIN,
	FR_FRAME_REPAIR_END,
	FR_FRAME_ROLE,
	FR_FRAME_PING,
	FR_FRAME_PONG,
	FR_FRAME_ERROR,
	FR_FRAME_CHECK,
	FR_FRAME_CHECKED,
	FR_FRAME_RECALL,
	FR_FRAME_RECALLED,
	FR_FRAME_MOVE,
	FR_FRAME_MOVED,
	FR_FRAME_RENEW,
	FR_FRAME_PAUSE,
	FR_FRAME_RESYNC,
	FR_FRAME_TYPE_END
};

#define FR_FRAME_F_ZSTD		0x01	/* payload is one zstd frame with its size in the header */
#define FR_FRAME_F_REPAIR	0x02	/* BATCH: of a repair, or of a recall; seq is 0 */
#define FR_FRAME_F_REFS		0x04	/* BATCH of the stream: records may be named by reference */

struct fr_frame_head {
	uint32_t len;
	uint8_t type;
	uint8_t flags;
	uint8_t table;
	uint64_t seq;
};

const char *fr_frame_type_name(unsigned int type);
void fr_frame_head_encode(uint8_t head[FR_FRAME_HEAD_LEN], const struct fr_frame_head *h);
/*
 * -EBADMSG on an unknown type or flag, a reserved byte set, a table missing, and a table, seq,
 * FR_FRAME_F_REPAIR or FR_FRAME_F_REFS where they do not belong; -EMSGSIZE on
 * len > FR_FRAME_MAX_LEN.
 */
int fr_frame_head_decode(struct fr_frame_head *h, const uint8_t head[FR_FRAME_HEAD_LEN]);

static inline bool fr_frame_has_refs(const uint8_t *frame)
{
	return frame[5] & FR_FRAME_F_REFS;
}

/**
 * struct fr_squeeze - zstd contexts, kept for reuse; one for each thread
 *
 * fr_squeeze_pack() compresses if that saves at least 1/16 and 16 bytes, else it copies; it
 * returns the length and sets or clears FR_FRAME_F_ZSTD in *flags accordingly, or -ENOSPC (also
 * for more than FR_PAYLOAD_MAX_LEN).
 * fr_squeeze_unpack() refuses a payload whose declared size is absent or above FR_PAYLOAD_MAX_LEN
 * before it allocates anything, one that decompresses to another size, and anything but exactly one
 * zstd frame: -EBADMSG; -ENOMEM. Without FR_FRAME_F_ZSTD in @flags, *out is @src itself.
 * The result stays valid until the next call on the same fr_squeeze.
 */
struct fr_squeeze;
struct fr_squeeze *fr_squeeze_new(void);
void fr_squeeze_free(struct fr_squeeze *s);
ssize_t fr_squeeze_pack(struct fr_squeeze *s, uint8_t *dst, size_t dst_len, const void *src,
			size_t len, uint8_t *flags);
int fr_squeeze_unpack(struct fr_squeeze *s, const uint8_t *src, size_t len, uint8_t flags,
		      const uint8_t **out, size_t *out_len);

/* Capabilities in HELLO. */
#define FR_CAPABILITY_ASK	0x01	/* repair this node only when somebody asks for it */
#define FR_CAPABILITY_BACKUP	0x02	/* ask it before a resync: it takes a backup, see RESYNC */
#define FR_CAPABILITY_END	0x04	/* if both have it: ACK counts REPAIR_END as a batch */
#define FR_CAPABILITY_REFS	0x08	/* it takes batches with FR_FRAME_F_REFS */
#define FR_CAPABILITY_ACKS	0x10	/* it takes short ACKs */

/* Has this version these two? */
#define FR_HAS_REFS		(FR_WIRE_VERSION >= FR_WIRE_VERSION_REFS)

/* Roles of a node, in HELLO and ROLE. */
/* PEER: writes, and so do the others: active-active, multi-master. The rest: of a pair. */
enum fr_role { FR_ROLE_BACKUP = 1, FR_ROLE_PRIMARY, FR_ROLE_FAULT, FR_ROLE_PEER };

const char *fr_role_name(enum fr_role role);

#define FR_LIFE_LEN 16
#define FR_LEDGER_LEN 16

/* How far a node is from the writer, as it tells a peer: 0: it is the writer */
#define FR_DISTANCE_MAX		200
#define FR_DISTANCE_READS	254	/* it reads from this peer */
#define FR_DISTANCE_NONE	255	/* it hears no writer, or ships nothing on */

/* What is behind @hash_key is of FR_WIRE_VERSION_MANY: of @wire_max below it is not there. */
struct fr_hello {
	uint8_t wire_min;
	uint8_t wire_max;
	uint8_t role;				/* enum fr_role */
	uint64_t capabilities;			/* FR_CAPABILITY_*; unknown ones are ignored */
	uint64_t tables;			/* bit n: table id n */
	uint64_t epoch;
	uint64_t now_us;			/* CLOCK_REALTIME of the sender */
	uint8_t history[FR_HISTORY_LEN];	/* of the sender's own stream */
	uint64_t seq;				/* last one of it */
	uint8_t have_history[FR_HISTORY_LEN];	/* stream last received here, zero: none */
	uint64_t have_seq;			/* last one of it that was applied */
	uint32_t ct_max;			/* nf_conntrack_max, 0: no module */
	char node_id[FR_NODE_ID_MAX_LEN + 1];
	char version[32];			/* software version, for people */
	uint8_t hash_key[FLYREP_HASH_KEY_LEN];	/* of the sender's buckets and digests */
	uint8_t life[FR_LIFE_LEN];		/* of the sender's kernel, zero: not told */
	uint8_t ledger[FR_LEDGER_LEN];		/* id of the sender's ledger, zero: none */
	uint64_t rules;				/* digest of its rules for conflicts, 0: none */
	uint8_t distance;			/* FR_DISTANCE_*, or 0 to FR_DISTANCE_MAX */
};

struct fr_start {
	uint8_t history[FR_HISTORY_LEN];
	uint64_t next_seq;	/* from 1 */
	uint64_t epoch;
};

struct fr_ack {
	uint64_t seq;		/* all up to this one are in the receiver's kernel */
	uint64_t entries;	/* objects the receiver holds, all tables */
	uint64_t refused;	/* records its kernel refused since the session began */
	uint32_t repaired;	/* number of the last repair batch applied, see REPAIR_BEGIN */
};

#define FR_ACK_SHORT_LEN 4	/* of the low half of @seq alone: all else is as in the last ACK */

/* Groups: FLYREP_BUCKETS buckets in FR_GROUPS groups of FR_GROUP_BUCKETS. */
#define FR_GROUPS		256
#define FR_GROUP_BUCKETS	(FLYREP_BUCKETS / FR_GROUPS)

struct fr_audit {
	uint32_t id;
	uint64_t entries;
	uint64_t group[FR_GROUPS];
};

/**
 * struct fr_audit_reply - where the receiver differs
 * @id: of the audit
 * @entries: objects of the receiver at that point of the stream
 * @differs: bitmap of groups
 * @n_groups: bits set in @differs
 * @bucket: decode: points into the payload: FR_GROUP_BUCKETS big-endian 64-bit digests for each
 *	group that differs, ascending; read them with fr_audit_reply_digest().
 *	encode: NULL, and the caller's get() supplies them
 */
struct fr_audit_reply {
	uint32_t id;
	uint64_t entries;
	uint8_t differs[FR_GROUPS / 8];
	unsigned int n_groups;
	const uint8_t *bucket;
};

uint64_t fr_audit_reply_digest(const struct fr_audit_reply *m, unsigned int nth_group,
			       unsigned int n);

/**
 * struct fr_repair_begin - a repair starts
 * @buckets: bitmap; decode: points into the payload
 * @n_before: repair batches this writer has sent before; those of this repair are numbered
 *	@n_before + 1 and so on, modulo 2^32
 */
struct fr_repair_begin {
	const uint8_t *buckets;
	uint32_t n_before;
};

/**
 * struct fr_recall - the writer has lost objects: the standby is to give back what it holds
 * @prefix: those whose canonical key begins so; decode: points into the payload
 * @prefix_len: 1 .. FR_RECALL_MAX_LEN
 */
struct fr_recall {
	const uint8_t *prefix;
	uint16_t prefix_len;
};

#define FR_RECALL_MAX_LEN 1024

struct fr_role_msg {
	uint8_t role;		/* enum fr_role */
	uint64_t epoch;
	uint8_t distance;	/* as in HELLO; of FR_WIRE_VERSION_MANY */
};

/* The sender sends and applies nothing, or does again. */
struct fr_pause {
	uint8_t is_paused;	/* 0 or 1 */
};

enum fr_resync_state {
	/*
	 * Standby to writer: send everything. Writer to standby: everything is about to be sent,
	 * answer with RUNNING when it may be, or with FAILED and why.
	 */
	FR_RESYNC_WANTED = 1,
	FR_RESYNC_RUNNING,	/* writer to standby, as the following */
	FR_RESYNC_DONE,
	FR_RESYNC_FAILED,
};

/**
 * struct fr_resync - everything of some tables is sent again, or shall be
 * @id: given by who wants it
 * @state: enum fr_resync_state; if it is FR_RESYNC_WANTED, only @id and @tables count
 * @tables: bitmap; 0: all
 * @buckets: sent, of @buckets_total
 * @records: sent, of about @records_total
 * @bytes: sent
 * @why: it failed, for people
 */
struct fr_resync {
	uint32_t id;
	uint8_t state;
	uint64_t tables;
	uint64_t buckets;
	uint64_t buckets_total;
	uint64_t records;
	uint64_t records_total;
	uint64_t bytes;
	char why[200];
};

/* Codes of ERROR; the sender closes after it. */
enum fr_error_code {
	FR_ERROR_PROTOCOL = 1,	/* malformed or unexpected message */
	FR_ERROR_VERSION,	/* no common wire version */
	FR_ERROR_IDENTITY,	/* node id not expected here, or the same as ours */
	FR_ERROR_EPOCH,		/* your epoch is older than mine */
	FR_ERROR_SHUTDOWN,	/* going away */
	FR_ERROR_INTERNAL,
	FR_ERROR_MODE,		/* your mode and mine do not go together */
};

struct fr_error {
	uint16_t code;
	char text[200];
};

/* PING; PONG returns the token alone. */
struct fr_ping {
	uint64_t token;
	uint64_t pending;	/* changes the sender has captured and not seen acknowledged */
};

/* CHECK has no payload. CHECKED: how the index of the standby differed from its own kernel. */
struct fr_checked {
	uint64_t entries;
	uint64_t missing;	/* in the index, not in the kernel */
	uint64_t stale;		/* in the kernel, not in the index */
	uint64_t differ;
};

/* The highest version that both speak; 0: there is none. */
uint8_t fr_wire_common(uint8_t min, uint8_t max, const struct fr_hello *theirs);

void fr_hello_encode(struct fr_writer *w, const struct fr_hello *m);
int fr_hello_decode(struct fr_hello *m, const void *buf, size_t len);
void fr_start_encode(struct fr_writer *w, const struct fr_start *m);
int fr_start_decode(struct fr_start *m, const void *buf, size_t len);
void fr_ack_encode(struct fr_writer *w, const struct fr_ack *m);
int fr_ack_decode(struct fr_ack *m, const void *buf, size_t len);
void fr_ack_encode_short(struct fr_writer *w, const struct fr_ack *m);
/* @m: the last one, in which @seq goes on. -EBADMSG on any other length. */
int fr_ack_decode_short(struct fr_ack *m, const void *buf, size_t len);
void fr_audit_encode(struct fr_writer *w, const struct fr_audit *m);
int fr_audit_decode(struct fr_audit *m, const void *buf, size_t len);
/* @digests: FLYREP_BUCKETS host-order digests, indexed by bucket */
void fr_audit_reply_encode(struct fr_writer *w, const struct fr_audit_reply *m,
			   const uint64_t *digests);
int fr_audit_reply_decode(struct fr_audit_reply *m, const void *buf, size_t len);
void fr_repair_begin_encode(struct fr_writer *w, const struct fr_repair_begin *m);
int fr_repair_begin_decode(struct fr_repair_begin *m, const void *buf, size_t len);
void fr_recall_encode(struct fr_writer *w, const struct fr_recall *m);
int fr_recall_decode(struct fr_recall *m, const void *buf, size_t len);
/* @wire: version of the session */
void fr_role_encode(struct fr_writer *w, const struct fr_role_msg *m, uint8_t wire);
int fr_role_decode(struct fr_role_msg *m, const void *buf, size_t len, uint8_t wire);
void fr_pause_encode(struct fr_writer *w, const struct fr_pause *m);
int fr_pause_decode(struct fr_pause *m, const void *buf, size_t len);
void fr_resync_encode(struct fr_writer *w, const struct fr_resync *m);
int fr_resync_decode(struct fr_resync *m, const void *buf, size_t len);
void fr_ping_encode(struct fr_writer *w, const struct fr_ping *m);
int fr_ping_decode(struct fr_ping *m, const void *buf, size_t len);
void fr_checked_encode(struct fr_writer *w, const struct fr_checked *m);
int fr_checked_decode(struct fr_checked *m, const void *buf, size_t len);
void fr_error_encode(struct fr_writer *w, const struct fr_error *m);
int fr_error_decode(struct fr_error *m, const void *buf, size_t len);

#endif
