/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Client of the module's generic netlink family (uapi/flyrep.h). One fr_genl is
 * one socket; it serves one dump at a time, and no request may be made on it while a
 * dump of it runs (-EBUSY). A WAKE that arrives during a request is kept, and the
 * descriptor does not show it: after a request on the reader's socket, call
 * fr_genl_pump() once.
 */
#ifndef FR_GENL_H
#define FR_GENL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "flyrep.h"

struct fr_genl;

/**
 * fr_genl_open - open a socket and resolve the family
 * Return: 0; -ENOENT: module not loaded; -errno.
 */
int fr_genl_open(struct fr_genl **g);
void fr_genl_close(struct fr_genl *g);
/* For poll: readable when a dump or a WAKE waits. */
int fr_genl_fd(const struct fr_genl *g);
uint32_t fr_genl_portid(const struct fr_genl *g);
/* Text of the last failure: the kernel's extack message where there was one. */
const char *fr_genl_error(const struct fr_genl *g);

struct fr_genl_info {
	uint32_t abi;
	char version[32];
	uint8_t capture;		/* enum flyrep_capture */
	uint32_t reader;		/* port, 0: none */
	uint32_t ring_entries;
	uint32_t dirty;
	uint32_t hold_s;
	uint32_t grace_s;
	uint32_t learn_s;
	uint32_t ct_count;
	uint32_t ct_max;
	bool standby;
	uint64_t instance;		/* see FLYREP_A_INSTANCE; 0: the module does not tell */
	size_t n_counters;		/* those the module knows, at most FLYREP_C_MAX + 1 */
	uint64_t counters[__FLYREP_C_MAX];
	size_t n_items;			/* tables of items that the module has */
	struct flyrep_usage items[FLYREP_TABLE_MAX];
};

int fr_genl_info(struct fr_genl *g, struct fr_genl_info *info);

/**
 * struct fr_genl_filter - source filter; a count of zero means no limit
 */
struct fr_genl_filter {
	const uint8_t *protos;
	size_t n_protos;
	bool assured;
	const struct flyrep_prefix *ignore;
	size_t n_ignore;
	const uint16_t *zones;
	size_t n_zones;
	uint32_t mark;
	uint32_t mark_mask;		/* 0: no limit */
};

/**
 * struct fr_genl_config - what CONFIG shall set; NULL and -1 leave as it is
 */
struct fr_genl_config {
	const uint8_t *hash_key;	/* FLYREP_HASH_KEY_LEN bytes */
	int64_t hold_s;
	int64_t grace_s;
	int64_t learn_s;
	int64_t ring_entries;
	int standby;
	const struct fr_genl_filter *filter;
	const struct flyrep_limit *limits;
	size_t n_limits;		/* at most FLYREP_TABLE_MAX */
	const struct flyrep_set *sets;	/* not NULL, and none: watch none */
	size_t n_sets;			/* at most FLYREP_SETS_MAX */
};

#define FR_GENL_CONFIG_KEEP \
	{ .hold_s = -1, .grace_s = -1, .learn_s = -1, .ring_entries = -1, .standby = -1 }

int fr_genl_config(struct fr_genl *g, const struct fr_genl_config *c);
int fr_genl_bind(struct fr_genl *g);

/**
 * fr_genl_apply - inject records
 * @table: enum flyrep_table, known to fr_table_by_id()
 * @flags: FLYREP_APPLY_F_*
 * @recs: @n packed records; any number, split into requests here
 * @on_error: called for each record that was refused, in their order; may be NULL
 * Return: number applied, or -errno when a request failed as a whole: then
 *	@on_error was called with that error for each record of it and of those not sent.
 */
ssize_t fr_genl_apply(struct fr_genl *g, uint8_t table, uint32_t flags, const void *recs,
		      size_t n, void (*on_error)(void *cookie, const void *rec, int error),
		      void *cookie);
/* @n: objects changed. */
int fr_genl_promote(struct fr_genl *g, uint32_t *n);
int fr_genl_demote(struct fr_genl *g, uint32_t *n);

/**
 * struct fr_genl_sink - what a dump hands out; any member may be NULL
 * @records: @n packed records, whose fixed part has the size this program knows
 *	(fr_table.rec_len), aligned, valid during the call; several calls for one message are
 *	possible. Records of tables unknown here are left out
 * @hints: @len bytes of whole hints, aligned, valid during the call: walk them with
 *	fr_genl_hint_next(). Among them may be some of a kind that this program does not know
 * @begin: a SNAPSHOT starts; @buckets is its bitmap, NULL for all
 * @end: a SNAPSHOT is complete: called last of all, when the kernel has confirmed the whole dump
 * @dirty: @n buckets of a table lost changes; @buckets is their bitmap, NULL for all. It is
 *	handed over once: the module has forgotten it
 * @drained: a DRAIN is complete
 * @wake: there is something to drain
 */
struct fr_genl_sink {
	void (*records)(void *cookie, uint8_t table, const void *recs, size_t n);
	void (*hints)(void *cookie, const struct flyrep_hint *hints, size_t len);
	void (*begin)(void *cookie, uint8_t table, uint64_t stamp, const uint8_t *buckets);
	void (*end)(void *cookie, uint8_t table, uint64_t stamp);
	void (*dirty)(void *cookie, uint8_t table, uint32_t n, const uint8_t *buckets);
	void (*drained)(void *cookie, uint64_t stamp);
	void (*wake)(void *cookie);
};

/* The key of a hint, key_len bytes. */
static inline const uint8_t *fr_genl_hint_key(const struct flyrep_hint *hint)
{
	return (const uint8_t *)(hint + 1);
}

/* The hint behind this one. */
static inline const struct flyrep_hint *fr_genl_hint_next(const struct flyrep_hint *hint)
{
	return (const void *)((const uint8_t *)hint + FLYREP_HINT_LEN(hint->key_len));
}

/**
 * struct fr_genl_snapshot - which objects
 * @table: enum flyrep_table
 * @origin: enum flyrep_origin
 * @buckets: bitmap of FLYREP_BUCKETS_LEN bytes, or NULL for all
 */
struct fr_genl_snapshot {
	uint8_t table;
	uint8_t origin;
	const uint8_t *buckets;
};

int fr_genl_drain_start(struct fr_genl *g);
int fr_genl_snapshot_start(struct fr_genl *g, const struct fr_genl_snapshot *req);

/**
 * fr_genl_pump - read one datagram and hand out what it holds
 * Never blocks. With no dump running it takes in WAKE messages.
 * Return: 1 the dump goes on, 0 no dump runs (any more), -EAGAIN nothing to read now, -EINTR the
 *	dump was inconsistent and must be started again, -ENOENT the module is gone, -errno.
 *	An error of the dump itself ends it. If fr_genl_is_dumping() still says true after an error
 *	(-EPROTO, -ENOBUFS), only fr_genl_close() ends it.
 */
int fr_genl_pump(struct fr_genl *g, const struct fr_genl_sink *sink, void *cookie);
bool fr_genl_is_dumping(const struct fr_genl *g);

#endif
