/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Drain: the agent's side of the module. Finds it, configures it, binds as its
 * reader, pulls changes when woken, takes snapshots on a second socket, and
 * notices when it goes and comes back.
 */
#ifndef DRAIN_H
#define DRAIN_H

#include <systemd/sd-event.h>

#include "config.h"
#include "genl.h"
#include "siphash.h"

struct drain;

/**
 * struct drain_ops - what the owner hears; all on the loop thread
 * @attached: bound to a module of @version. Nothing of the kernel is known; before the first
 *	drained() a dirty() with all buckets follows for each table that the module has
 * @detached: the module is gone; a running snapshot is void
 * @records: changes, packed, rec_len as in the table's row
 * @drained: the ring is empty for now
 * @gap: all that was told has been passed on, and nothing is on its way
 * @dirty: these buckets of a table changed unseen, NULL for all: take a snapshot of them
 * @hints: at elements of nft sets, whole ones
 * @watched: the answer to drain_watch(): 0, or -errno: there will be no hints
 * @snap_begin: order of reads: @stamp
 * @snap_records: packed records
 * @snap_end: 0, or -errno: it is void
 */
struct drain_ops {
	void (*attached)(void *cookie, const char *version);
	void (*detached)(void *cookie);
	void (*records)(void *cookie, uint8_t table, const void *recs, size_t n);
	void (*drained)(void *cookie);
	void (*gap)(void *cookie);
	void (*dirty)(void *cookie, uint8_t table, const uint8_t *buckets);
	void (*hints)(void *cookie, const struct flyrep_hint *hints, size_t len);
	void (*watched)(void *cookie, int err);
	void (*snap_begin)(void *cookie, uint64_t stamp);
	void (*snap_records)(void *cookie, uint8_t table, const void *recs, size_t n);
	void (*snap_end)(void *cookie, int err);
};

/**
 * drain_new - start looking for the module
 * @config: must outlive it
 * @standby: what nodes begin as, see FLYREP_A_STANDBY
 */
int drain_new(struct drain **d, sd_event *event, const struct fr_config *config,
	      const struct fr_siphash_key *hash_key, bool standby, const struct drain_ops *ops,
	      void *cookie);
void drain_free(struct drain *d);

bool drain_is_attached(const struct drain *d);
/* Something that was told may not have been passed on yet; gap() follows. */
bool drain_is_busy(const struct drain *d);
/* Why not, or what is degraded; "" when all is well. */
const char *drain_trouble(const struct drain *d);
/* Fresh figures of the module. -ENOTCONN when it is not there. */
int drain_info(struct drain *d, struct fr_genl_info *info);

/* What the module is told at the next attachment; PROMOTE and DEMOTE tell a bound one. */
void drain_set_standby(struct drain *d, bool standby);
/* All held objects become local, or the reverse; @n: how many. -ENOTCONN without a module. */
int drain_promote(struct drain *d, uint32_t *n);
int drain_demote(struct drain *d, uint32_t *n);

/*
 * Have the module go by another hash key, or by what the configuration now says; it then calls
 * all buckets dirty. Done as soon as no drain is under way, or at the next attachment.
 */
void drain_rekey(struct drain *d, const struct fr_siphash_key *hash_key);
void drain_reconfigure(struct drain *d);

/* Have hints of these sets and no others; copied. The answer comes through ops, in its turn. */
void drain_watch(struct drain *d, const struct flyrep_set *sets, size_t n);

/**
 * drain_snapshot - start one; the answer comes through ops
 * @buckets: bitmap, or NULL for all
 * Return: 0, -EBUSY one runs, -ENOTCONN, -errno
 */
int drain_snapshot(struct drain *d, uint8_t table, uint8_t origin, const uint8_t *buckets);
bool drain_is_snapping(const struct drain *d);
/* Stop (or go on) taking in pieces of the snapshot: its consumer has no room. */
void drain_snapshot_hold(struct drain *d, bool hold);

#endif
