/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Elements: of the nft sets that are replicated. What drain and inject are to the tables
 * of the module, this is to the one that nf_tables keeps: the module only hints at what to look at.
 *
 * An element that ends by itself is looked at when half of its time has gone, and again at its
 * end: so packets that refresh it cost nothing, and a standby knows of at least half the time that
 * it has left.
 *
 * Where all nodes write, what is told goes to the ledger (versions.h), and what is in effect comes
 * from there; a set that has lost its elements is filled again from there as well.
 */
#ifndef ELEMENTS_H
#define ELEMENTS_H

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "config.h"
#include "flyrep.h"
#include "sets.h"
#include "truth.h"

struct elements;

/**
 * struct elements_ops - what the owner hears; records, snap_begin, snap_records and snap_end as in
 * struct drain_ops
 * @watch: the module is to hint at these sets; answer with elements_watched()
 * @due: look at these buckets again, a bitmap
 * @changed: elements_next_dirty() or elements_next_lost() has something to say
 */
struct elements_ops {
	void (*records)(void *cookie, uint8_t table, const void *recs, size_t n);
	void (*snap_begin)(void *cookie, uint64_t stamp);
	void (*snap_records)(void *cookie, uint8_t table, const void *recs, size_t n);
	void (*snap_end)(void *cookie, int err);
	void (*watch)(void *cookie, const struct flyrep_set *sets, size_t n);
	void (*due)(void *cookie, const uint8_t *buckets);
	void (*changed)(void *cookie);
};

/**
 * elements_new - and look which sets there are
 * @config: must outlive it
 * @truth: of what the own kernel holds, or is to; it is told what a missing set excuses
 */
int elements_new(struct elements **e, sd_event *event, const struct fr_config *config,
		 bool is_writer, struct truth *truth, const struct elements_ops *ops, void *cookie);
void elements_free(struct elements *e);

/* The writer recalls what was lost, a standby has it repaired. */
void elements_set_writer(struct elements *e, bool is_writer);
/* The module is there: nothing it hinted at before counts. */
void elements_attach(struct elements *e);
void elements_detach(struct elements *e);
void elements_watched(struct elements *e, int err);
void elements_hint(struct elements *e, const struct flyrep_hint *hints, size_t len);

/**
 * elements_snapshot - start one; the answer comes through ops
 * @is_thorough: find those too that the index does not hold; the kernel's way to name all elements
 *	of a set takes a time that grows with the square of their number
 * Return: 0, -EBUSY one runs, -errno
 */
int elements_snapshot(struct elements *e, const struct truth_scope *scope, bool is_thorough);
bool elements_is_snapping(const struct elements *e);
void elements_snapshot_hold(struct elements *e, bool hold);

/**
 * elements_next_dirty - a set to take a snapshot of
 * @is_thorough: as above
 * Return: NULL if there is none
 */
const struct set *elements_next_dirty(const struct elements *e, bool *is_thorough);
/* A snapshot of it has begun: what becomes dirty from here on is news. */
void elements_looked_at(struct elements *e, const struct set *set);

/* Write records of a peer; @on_refused is called for each that could not be. */
void elements_apply(struct elements *e, const void *recs, size_t n,
		    void (*on_refused)(void *cookie, const void *rec, int error), void *cookie);

/*
 * All write: put what is in effect there. Likewise, with -EBUSY for what has changed in the own
 * kernel and was not told yet: it is looked at, and told.
 */
void elements_put(struct elements *e, const void *recs, size_t n,
		  void (*on_refused)(void *cookie, const void *rec, int error), void *cookie);

/* Writer: write what shall be its own, exactly so; likewise. */
void elements_apply_own(struct elements *e, const void *recs, size_t n,
			void (*on_refused)(void *cookie, const void *rec, int error), void *cookie);

/* --- writer: what peers shall give back, see RECALL in docs/protocol.md --- */
/* A set that has lost its elements; NULL: none has. */
const struct set *elements_next_lost(const struct elements *e);
/* Some of them; those that are there are left alone. */
void elements_give_back(struct elements *e, const void *recs, size_t n);
/* That was all. */
void elements_recalled(struct elements *e, const struct set *set);
/* All write: @n of them were in effect, and will be put there. */
void elements_refill(struct elements *e, const struct set *set, size_t n);
/* Nobody has deleted what the own kernel lacks of this key: its set is away, or lost all. */
bool elements_is_lost(const struct elements *e, const uint8_t *key, size_t key_len);
/* No set is lost, or was and is not looked at again. */
bool elements_is_whole(const struct elements *e);

/* All that a peer wrote is here. */
void elements_forgive(struct elements *e);

const struct sets *elements_sets(const struct elements *e);

#endif
