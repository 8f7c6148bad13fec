// SPDX-License-Identifier: GPL-2.0-or-later

#include "elements.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "buckets.h"
#include "genl.h"
#include "item.h"
#include "log.h"
#include "looks.h"
#include "monotonic.h"
#include "nft.h"
#include "sift.h"
#include "survey.h"

#define TABLE		FLYREP_TABLE_NFT_SET
#define LOOK_MAX	256		/* elements read in one go */
#define RETRY_MS	200		/* a hint may be ahead of its change: look again */
#define RETRIES		2
#define REFRESH_MS	200		/* between two looks which sets there are */
#define IDLE_MS		5000		/* the same, unasked */
#define BLIND_MS	30000		/* between two looks at all, without hints */
#define GRACE_MS	2000		/* a standby has it longer: the writer tells its end */
#define DUE_MS		500		/* between two looks at what ends */
#define TOLERANCE_MS	1000		/* a shorter refresh is none */
#define LAST_MS		1000		/* all write: the last look, so long before its end */
#define FORGIVE_MS	15000		/* likewise: what is refused is tried again sooner */

struct elements {
	sd_event *event;
	struct truth *truth;
	const struct elements_ops *ops;
	void *cookie;
	struct sets sets;
	struct survey *survey;
	struct fr_nft *nft;
	bool is_writer;
	bool is_shared;			/* all nodes write */
	bool is_blind;			/* it gives no hints */
	bool is_fresh;			/* nothing was learnt since this agent began */
	uint64_t stamp;
	uint64_t snap_stamp;		/* a dump may be as old as the begin of its snapshot */
	uint64_t listed_ms;
	uint64_t refreshed_ms;		/* a peer named a set that is not here */

	struct looks hinted;
	struct looks again;		/* at those where nothing was found */
	sd_event_source *work;
	sd_event_source *list;		/* look which sets there are */
	sd_event_source *due;
	uint64_t due_ms[FLYREP_BUCKETS];	/* wall clock, UINT64_MAX never */
	uint64_t next_due_ms;

	bool is_learning;		/* the running snapshot is of everything */
	bool is_all;			/* of all buckets */
	uint8_t buckets[FLYREP_BUCKETS_LEN];

	union {
		struct flyrep_item item;
		uint8_t bytes[FR_ITEM_ROOM];
	} room __attribute__((aligned(8)));
};

static uint64_t wall_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static uint64_t now_ms(void)
{
	return monotonic_ns() / 1000000;
}

static struct index *index_of(const struct elements *e)
{
	return truth_index(e->truth);
}

/* --- the order of reads, and what ends ---------------------------------------- */

/* Reads are numbered by the wall clock in ns, so that they tell when they were made too. */
static uint64_t next_stamp(struct elements *e)
{
	uint64_t now = wall_ms() * 1000000;

	e->stamp = now > e->stamp ? now : e->stamp + 1;
	return e->stamp;
}

static void arm_due(struct elements *e)
{
	uint64_t now = wall_ms(), wait;

	if (e->next_due_ms == UINT64_MAX || !e->is_writer) {
		sd_event_source_set_enabled(e->due, SD_EVENT_OFF);
		return;
	}
	wait = e->next_due_ms > now + DUE_MS ? e->next_due_ms - now : DUE_MS;
	sd_event_source_set_time_relative(e->due, wait * 1000);
	sd_event_source_set_enabled(e->due, SD_EVENT_ONESHOT);
}

/* When it has lived through half of its time, then at its end: see the head of elements.h. */
static void note_due(struct elements *e, const struct flyrep_item *it, uint64_t timeout_ms,
		     unsigned int bucket)
{
	uint64_t now = wall_ms(), at;

	if (!it->expires_ms)
		return;
	if (it->expires_ms > now + timeout_ms / 2 + DUE_MS)
		at = it->expires_ms - timeout_ms / 2;
	else if (e->is_shared && it->expires_ms > now + LAST_MS + DUE_MS)
		at = it->expires_ms - LAST_MS; /* for others it ends when it was told to */
	else
		at = it->expires_ms + 1;
	if (at >= e->due_ms[bucket])
		return;
	e->due_ms[bucket] = at;
	if (at >= e->next_due_ms)
		return;
	e->next_due_ms = at;
	arm_due(e);
}

static int on_due(sd_event_source *s, uint64_t usec, void *cookie)
{
	uint8_t buckets[FLYREP_BUCKETS_LEN] = { 0 };
	struct elements *e = cookie;
	uint64_t now = wall_ms();
	bool is_any = false;
	unsigned int b;

	(void)s;
	(void)usec;
	e->next_due_ms = UINT64_MAX;
	for (b = 0; b < FLYREP_BUCKETS; b++) {
		if (e->due_ms[b] <= now) {
			buckets[b / 8] |= 1u << (b % 8);
			e->due_ms[b] = UINT64_MAX;
			is_any = true;
		} else if (e->due_ms[b] < e->next_due_ms) {
			e->next_due_ms = e->due_ms[b];
		}
	}
	arm_due(e);
	if (is_any)
		e->ops->due(e->cookie, buckets);
	return 0;
}

/* Packets have refreshed it since it was read last. */
static bool is_refreshed(const struct elements *e, const struct flyrep_item *it,
			 uint64_t timeout_ms, const uint8_t *key)
{
	struct index_entry entry;

	return it->expires_ms && timeout_ms &&
	       index_find(index_of(e), key, it->key_len, &entry) &&
	       it->expires_ms > entry.stamp / 1000000 + timeout_ms + TOLERANCE_MS;
}

static void hand_over(struct elements *e, uint64_t waited_ms, bool is_snap)
{
	struct flyrep_rec *rec = &e->room.item.rec;

	if (!e->is_writer)
		rec->flags |= FLYREP_REC_F_REMOTE;
	rec->stamp = is_snap && e->is_shared ? e->snap_stamp : next_stamp(e);
	rec->age_us = (uint32_t)(waited_ms < UINT32_MAX / 1000 ? waited_ms * 1000 : UINT32_MAX);
	if (is_snap)
		e->ops->snap_records(e->cookie, TABLE, rec, 1);
	else
		e->ops->records(e->cookie, TABLE, rec, 1);
}

/* An element was read: the owner hears of it. */
static void tell(struct elements *e, struct set *set, const struct flyrep_item *it,
		 uint64_t waited_ms, bool is_snap)
{
	const uint8_t *key = (const uint8_t *)(it + 1);
	unsigned int bucket = index_bucket(index_of(e), key, it->key_len);
	struct flyrep_item *own = &e->room.item;

	if (is_snap && !e->is_all && !buckets_has(e->buckets, bucket))
		return;
	memcpy(own, it, sizeof(*it) + it->rec.tail_len);
	if (e->is_writer) {
		uint64_t timeout_ms = fr_nft_record_timeout_ms(it);

		if (!timeout_ms)
			timeout_ms = set->nft.timeout_ms;
		if (is_refreshed(e, it, timeout_ms, key))
			own->rec.flags |= FR_REC_F_REFRESHED;
		note_due(e, it, timeout_ms, bucket);
	}
	hand_over(e, waited_ms, is_snap);
}

/* --- hints ---------------------------------------------------------------------- */

/* Have the next look taken in its turn, and not before its time. */
static void arm_work(struct elements *e)
{
	uint64_t at = looks_next_ms(&e->hinted), now = now_ms();

	if (looks_next_ms(&e->again) < at)
		at = looks_next_ms(&e->again);
	if (at == UINT64_MAX) {
		sd_event_source_set_enabled(e->work, SD_EVENT_OFF);
		return;
	}
	sd_event_source_set_time_relative(e->work, at > now ? (at - now) * 1000 : 0);
	sd_event_source_set_enabled(e->work, SD_EVENT_ONESHOT);
}

static void dirty(struct elements *e, struct set *set)
{
	set->is_dirty = true;
	e->ops->changed(e->cookie);
}

static void look_later(struct elements *e, struct looks *q, const struct look *l)
{
	if (looks_add(q, l) < 0)
		dirty(e, l->set);
}

struct answers {
	struct elements *elements;
	const struct look *looks;
	const uint8_t *rec;		/* the key record of the answer to come */
};

static void on_looked_at(void *cookie, size_t i, const void *rec)
{
	struct answers *a = cookie;
	struct elements *e = a->elements;
	const struct look *l = &a->looks[i];
	const struct flyrep_item *key = (const void *)a->rec;
	uint64_t now = now_ms();
	struct index_entry entry;

	a->rec += sizeof(*key) + key->rec.tail_len;
	if (rec) {
		tell(e, l->set, rec, now > l->at_ms ? now - l->at_ms : 0, false);
		return;
	}
	if (l->tries < RETRIES) {
		struct look again = *l;

		again.at_ms = now + (RETRY_MS << again.tries++);
		look_later(e, &e->again, &again);
	}
	if (!index_find(index_of(e), key + 1, key->key_len, &entry) ||
	    (e->is_shared && l->set->is_lost))
		return;
	memcpy(&e->room, key, sizeof(*key) + key->rec.tail_len);
	e->room.item.rec.op = FLYREP_OP_DELETE;
	hand_over(e, now > l->at_ms ? now - l->at_ms : 0, false);
}

/* Read what a run of hints of one set is about. */
static void look_at(struct elements *e, const struct look *looks, size_t n)
{
	struct set *set = looks[0].set;
	struct answers a = { .elements = e, .looks = looks };
	struct keys k = { 0 };
	size_t i;
	int rc = 0;

	if (!set->is_here)
		return;
	for (i = 0; i < n && rc >= 0; i++) {
		void *rec = keys_room(&k);
		ssize_t len = rec ? fr_nft_key_record(rec, &set->nft, looks[i].key,
						      looks[i].key_len) :
				    -ENOMEM;

		if (len < 0)
			rc = (int)len;
		else
			keys_added(&k, (size_t)len);
	}
	a.rec = k.recs;
	if (rc >= 0)
		rc = fr_nft_get(e->nft, &set->nft, k.recs, k.n, on_looked_at, &a);
	if (rc < 0)
		dirty(e, set);
	keys_free(&k);
}

static void take_looks(struct elements *e, struct looks *q)
{
	struct look looks[LOOK_MAX];
	size_t n = looks_take(q, now_ms(), looks, LOOK_MAX);

	if (n)
		look_at(e, looks, n);
}

static int on_work(sd_event_source *s, uint64_t usec, void *cookie)
{
	struct elements *e = cookie;

	(void)s;
	(void)usec;
	take_looks(e, &e->hinted);
	take_looks(e, &e->again);
	arm_work(e);
	return 0;
}

/*
 * A set was emptied. If it was filled again in the same transaction, that was a reload of what it
 * shall hold, unless what it holds comes from packets anyway.
 */
static void end_flush(struct elements *e, struct set *set)
{
	bool is_reload = set->is_filled && !set_is_dynamic(set);

	set->is_flushed = set->is_filled = false;
	if (e->is_writer && !is_reload)
		set->is_lost = true;
	dirty(e, set);
}

static void arm_list(struct elements *e, uint64_t wait_ms)
{
	sd_event_source_set_time_relative(e->list, wait_ms * 1000);
	sd_event_source_set_enabled(e->list, SD_EVENT_ONESHOT);
}

static void on_generation(struct elements *e)
{
	uint64_t now = now_ms();
	size_t i;

	for (i = 0; i < e->sets.n; i++)
		if (e->sets.v[i]->is_flushed)
			end_flush(e, e->sets.v[i]);
	arm_list(e, now > e->listed_ms + REFRESH_MS ? 0 : REFRESH_MS);
}

static void on_element(struct elements *e, struct set *set, const struct flyrep_hint *h)
{
	struct look l = { .set = set, .at_ms = now_ms() - h->age_us / 1000,
			  .key_len = h->key_len };

	if (set_has_intervals(set)) {
		dirty(e, set);
		return;
	}
	memcpy(l.key, fr_genl_hint_key(h), h->key_len);
	look_later(e, &e->hinted, &l);
}

void elements_hint(struct elements *e, const struct flyrep_hint *hints, size_t len)
{
	const struct flyrep_hint *h = hints, *end = (const void *)((const uint8_t *)hints + len);
	struct set *set;

	for (; h < end; h = fr_genl_hint_next(h)) {
		if (h->what == FLYREP_HINT_GENERATION) {
			on_generation(e);
			continue;
		}
		set = sets_by_handle(&e->sets, h->table, h->set);
		if (!set)
			continue; /* of a set that has gone */
		if (h->what == FLYREP_HINT_FLUSH) {
			set->is_flushed = true;
			set->is_filled = false;
		} else if (h->what == FLYREP_HINT_ELEMENT) {
			set->is_filled = true;
			on_element(e, set, h);
		}
	}
	arm_work(e);
}

/* --- which sets there are ------------------------------------------------------- */

static void watch(struct elements *e)
{
	struct flyrep_set watched[FLYREP_SETS_MAX];
	size_t i, n = 0;

	for (i = 0; i < e->sets.n; i++)
		if (e->sets.v[i]->is_here)
			watched[n++] = (struct flyrep_set){ e->sets.v[i]->nft.table_handle,
							    e->sets.v[i]->nft.handle };
	survey_go(e->survey, false);
	e->ops->watch(e->cookie, watched, n);
}

/* Made anew: packets had filled it, and no ruleset file brings that back. */
static void find_lost(struct elements *e)
{
	size_t i;

	for (i = 0; e->is_writer && i < e->sets.n; i++) {
		struct set *set = e->sets.v[i];

		if (!set->is_here || !set->is_reborn || !set_is_dynamic(set))
			continue;
		set->is_reborn = false;
		set->is_lost = true;
	}
}

static int refresh(struct elements *e)
{
	bool has_changed = false;
	int rc;

	e->listed_ms = now_ms();
	rc = e->nft ? 0 : fr_nft_open(&e->nft);
	if (rc >= 0)
		rc = sets_refresh(&e->sets, e->nft, &has_changed);
	if (rc < 0) {
		fr_warn("drain: which nft sets there are: %s",
			e->nft ? fr_nft_error(e->nft) : strerror(-rc));
		return rc;
	}
	if (!has_changed)
		return 0;
	find_lost(e);
	watch(e);
	return 0;
}

static int on_list(sd_event_source *s, uint64_t usec, void *cookie)
{
	struct elements *e = cookie;
	size_t i;

	(void)s;
	(void)usec;
	refresh(e);
	if (e->is_shared && now_ms() > FORGIVE_MS)
		sets_forgive(&e->sets, now_ms() - FORGIVE_MS);
	for (i = 0; e->is_blind && i < e->sets.n; i++)
		if (e->sets.v[i]->is_here)
			dirty(e, e->sets.v[i]);
	arm_list(e, e->is_blind ? BLIND_MS : IDLE_MS);
	return 0;
}

void elements_attach(struct elements *e)
{
	looks_clear(&e->hinted);
	looks_clear(&e->again);
	refresh(e);
	arm_list(e, IDLE_MS);
}

void elements_detach(struct elements *e)
{
	survey_go(e->survey, false);
}

void elements_watched(struct elements *e, int err)
{
	if (err && !e->is_blind)
		fr_warn("drain: the kernel cannot hint at elements of nft sets; all are compared every %d s",
			BLIND_MS / 1000);
	e->is_blind = err;
	survey_go(e->survey, true);
	e->ops->changed(e->cookie);
}

void elements_set_writer(struct elements *e, bool is_writer)
{
	size_t i;

	e->is_writer = is_writer;
	for (i = 0; i < e->sets.n; i++)
		e->sets.v[i]->is_lost = false;
	arm_due(e);
}

void elements_forgive(struct elements *e)
{
	if (!e->is_shared)
		sets_forgive(&e->sets, UINT64_MAX);
}

const struct sets *elements_sets(const struct elements *e)
{
	return &e->sets;
}

const struct set *elements_next_dirty(const struct elements *e, bool *is_thorough)
{
	size_t i;

	for (i = 0; i < e->sets.n; i++) {
		const struct set *set = e->sets.v[i];

		if (!set->is_dirty && !set->is_doubtful)
			continue;
		*is_thorough = set->is_dirty;
		return set;
	}
	return NULL;
}

void elements_looked_at(struct elements *e, const struct set *set)
{
	size_t i;

	for (i = 0; i < e->sets.n; i++)
		if (e->sets.v[i] == set)
			e->sets.v[i]->is_dirty = e->sets.v[i]->is_doubtful = false;
}

/* --- snapshot ------------------------------------------------------------------- */

static void on_begin(void *cookie)
{
	struct elements *e = cookie;

	/* Hints are given by now, so nothing escapes both. */
	e->ops->snap_begin(e->cookie, next_stamp(e));
	e->snap_stamp = next_stamp(e);
}

static void on_found(void *cookie, struct set *set, const struct flyrep_item *it)
{
	tell(cookie, set, it, 0, true);
}

/*
 * Made anew, by who had nothing to fill it with? Where all write, a hint that it was emptied may
 * have been lost: of what was deleted one by one the index holds nothing.
 */
static void on_dumped(void *cookie, struct set *set)
{
	struct elements *e = cookie;
	bool is_emptied = set->is_reborn || (e->is_shared && !set_has_intervals(set));

	if (e->is_writer && is_emptied && !set->n_named)
		set->is_lost = true;
	set->is_reborn = false;
}

/* All was learnt for the first time: a writer that finds a set empty may have been rebooted. */
static void end_learning(struct elements *e)
{
	size_t i;

	for (i = 0; e->is_writer && i < e->sets.n; i++)
		if (e->sets.v[i]->is_here && !e->sets.v[i]->n_named)
			e->sets.v[i]->is_lost = e->sets.v[i]->is_unknown = true;
	e->is_fresh = false;
}

static void on_end(void *cookie, int err)
{
	struct elements *e = cookie;

	if (!err && e->is_fresh && e->is_learning)
		end_learning(e);
	e->ops->snap_end(e->cookie, err);
}

static const struct survey_ops survey_ops = {
	.begin = on_begin,
	.found = on_found,
	.dumped = on_dumped,
	.end = on_end,
};

int elements_snapshot(struct elements *e, const struct truth_scope *scope, bool is_thorough)
{
	int rc = survey_start(e->survey, scope, is_thorough);
	unsigned int b;

	if (rc < 0)
		return rc;
	memcpy(e->buckets, scope->buckets, sizeof(e->buckets));
	e->is_all = buckets_is_all(scope->buckets);
	e->is_learning = is_thorough && !scope->prefix_len;
	/* What is found tells when it is due. */
	for (b = 0; !scope->prefix_len && b < FLYREP_BUCKETS; b++)
		if (buckets_has(scope->buckets, b))
			e->due_ms[b] = UINT64_MAX;
	return 0;
}

bool elements_is_snapping(const struct elements *e)
{
	return survey_is_running(e->survey);
}

void elements_snapshot_hold(struct elements *e, bool hold)
{
	survey_hold(e->survey, hold);
}

/* --- writing -------------------------------------------------------------------- */

struct writing {
	struct elements *elements;
	void (*on_refused)(void *cookie, const void *rec, int error);
	void *cookie;
	bool is_own;			/* a refusal is no trouble of the set */
};

static const struct fr_nft_set *on_find(void *cookie, uint8_t family, const char *table,
					const char *name)
{
	struct elements *e = ((struct writing *)cookie)->elements;
	struct set *set = sets_by_name(&e->sets, family, table, name);

	return set && set->is_here ? &set->nft : NULL;
}

static void on_error(void *cookie, const void *rec, int error)
{
	struct writing *w = cookie;
	struct fr_nft_name name;

	if (!w->is_own && !fr_nft_record_name(rec, &name))
		sets_refused(&w->elements->sets, &name, error);
	w->on_refused(w->cookie, rec, error);
}

/* Is there a set here that these name and this node does not know yet? */
static void find_sets(struct elements *e, const struct flyrep_item *it, size_t n)
{
	for (; n; n--, it = fr_record_next(truth_table(e->truth), it)) {
		const struct set *set = sets_by_key(&e->sets, (const uint8_t *)(it + 1),
						    it->key_len);

		if ((set && set->is_here) || now_ms() < e->refreshed_ms + REFRESH_MS)
			continue;
		e->refreshed_ms = now_ms();
		refresh(e);
		return;
	}
}

static void write_all(struct elements *e, const void *recs, size_t n, struct writing *w)
{
	const struct flyrep_item *it = recs;
	ssize_t rc = e->nft ? 0 : fr_nft_open(&e->nft);

	find_sets(e, recs, n);
	if (rc >= 0)
		rc = fr_nft_apply(e->nft, recs, n, on_find, on_error, w);
	else
		for (; n; n--, it = fr_record_next(truth_table(e->truth), it))
			on_error(w, it, (int)rc);
	if (rc < 0)
		fr_warn("inject: elements of nft sets: %s",
			e->nft ? fr_nft_error(e->nft) : strerror((int)-rc));
}

void elements_apply(struct elements *e, const void *recs, size_t n,
		    void (*on_refused)(void *cookie, const void *rec, int error), void *cookie)
{
	struct writing w = { .elements = e, .on_refused = on_refused, .cookie = cookie };
	struct flyrep_item *it = (struct flyrep_item *)recs; /* the receiver's own buffer */
	uint64_t now = wall_ms();
	size_t i;

	for (i = 0; i < n; i++, it = fr_record_next(truth_table(e->truth), it))
		if (it->expires_ms > now)
			it->expires_ms += GRACE_MS;
	write_all(e, recs, n, &w);
}

/* --- all write: what is in effect ------------------------------------------------ */

/* The key of an element as hints have it. */
static bool make_look(struct look *l, struct set *set, const struct flyrep_item *it)
{
	size_t len;
	const uint8_t *key = fr_nft_record_key(it, &len);

	if (!len || len > sizeof(l->key) || set_has_intervals(set))
		return false;
	*l = (struct look){ .set = set, .at_ms = now_ms(), .tries = RETRIES };
	l->key_len = (uint8_t)len;
	memcpy(l->key, key, len);
	return true;
}

static void on_busy(void *cookie, struct set *set, const struct flyrep_item *it)
{
	struct writing *w = cookie;
	struct look l;

	w->on_refused(w->cookie, it, -EBUSY);
	if (make_look(&l, set, it))
		look_later(w->elements, &w->elements->hinted, &l);
	else
		dirty(w->elements, set);
}

/* In the buffer of elements_put(): it was not written. */
static void on_not_put(void *cookie, const void *rec, int error)
{
	struct writing *w = cookie;

	w->on_refused(w->cookie, rec, error);
	((struct flyrep_rec *)rec)->op = FLYREP_OP_UNSPEC;
}

/* The own kernel holds it now, or does not any more; the module does not hint at that. */
static void note_put(struct elements *e, const struct flyrep_item *it)
{
	const struct set *set = sets_by_key(&e->sets, (const uint8_t *)(it + 1), it->key_len);
	uint64_t timeout_ms = fr_nft_record_timeout_ms(it);
	unsigned int bucket;

	if (it->rec.op == FLYREP_OP_UNSPEC || !set)
		return;
	truth_put(e->truth, it, next_stamp(e), &bucket);
	if (it->rec.op == FLYREP_OP_INSERT)
		note_due(e, it, timeout_ms ? timeout_ms : set->nft.timeout_ms, bucket);
}

static void refuse_all(struct elements *e, const struct flyrep_item *it, size_t n, int error,
		       void (*on_refused)(void *cookie, const void *rec, int error), void *cookie)
{
	for (; n; n--, it = fr_record_next(truth_table(e->truth), it))
		on_refused(cookie, it, error);
}

void elements_put(struct elements *e, const void *recs, size_t n,
		  void (*on_refused)(void *cookie, const void *rec, int error), void *cookie)
{
	struct writing asker = { .elements = e, .on_refused = on_refused, .cookie = cookie };
	struct writing w = { .elements = e, .on_refused = on_not_put, .cookie = &asker };
	struct sift s = { .sets = &e->sets, .truth = e->truth, .on_busy = on_busy,
			  .cookie = &asker };
	const struct flyrep_item *it;
	int rc = e->nft ? 0 : fr_nft_open(&e->nft);
	size_t i;

	find_sets(e, recs, n);
	s.nft = e->nft;
	if (rc >= 0)
		rc = sift(&s, recs, n);
	if (rc < 0) {
		/* Of rules that change under our hands, later; of all else they are told. */
		refuse_all(e, recs, n, rc == -ENOENT || rc == -EINTR ? -EBUSY : rc, on_refused,
			   cookie);
	} else if (s.keep.n) {
		write_all(e, s.keep.recs, s.keep.n, &w);
		for (it = (const void *)s.keep.recs, i = 0; i < s.keep.n;
		     i++, it = fr_record_next(truth_table(e->truth), it))
			note_put(e, it);
	}
	keys_free(&s.keep);
	arm_work(e);
}

/* --- what peers give back ------------------------------------------------------- */

const struct set *elements_next_lost(const struct elements *e)
{
	size_t i;

	for (i = 0; e->is_writer && i < e->sets.n; i++)
		if (e->sets.v[i]->is_lost && e->sets.v[i]->is_here)
			return e->sets.v[i];
	return NULL;
}

bool elements_is_whole(const struct elements *e)
{
	size_t i;

	for (i = 0; e->is_writer && i < e->sets.n; i++)
		if (e->sets.v[i]->is_here && (e->sets.v[i]->is_lost || e->sets.v[i]->is_doubtful))
			return false;
	return true;
}

struct returning {
	const struct flyrep_item *it;
	struct keys absent;		/* whole records */
};

static void on_returned(void *cookie, size_t i, const void *rec)
{
	struct returning *r = cookie;
	size_t len = sizeof(*r->it) + r->it->rec.tail_len;

	(void)i;
	if (!rec) {
		memcpy(r->absent.recs + r->absent.len, r->it, len);
		keys_added(&r->absent, len);
	}
	r->it = (const void *)((const uint8_t *)r->it + len);
}

static void on_not_returned(void *cookie, const void *rec, int error)
{
	struct elements *e = cookie;

	(void)e;
	(void)rec;
	fr_warn("inject: an element that a peer gave back: %s", strerror(-error));
}

/* The module does not hint at what this process writes. */
static void look_at_all(struct elements *e, struct set *set, const struct flyrep_item *it, size_t n)
{
	for (; n; n--, it = fr_record_next(truth_table(e->truth), it)) {
		struct look l;

		if (make_look(&l, set, it))
			look_later(e, &e->hinted, &l);
		else
			set->is_dirty = true;
	}
	arm_work(e);
}

/* Records of one set; elements of a set with intervals are added where nothing is in their way. */
static void give_back(struct elements *e, struct set *set, const void *recs, size_t n, size_t len)
{
	struct writing w = { .elements = e, .on_refused = on_not_returned, .cookie = e };
	struct returning r = { .it = recs };

	r.absent.recs = malloc(len);
	if (!r.absent.recs)
		return;
	if (set_has_intervals(set)) {
		memcpy(r.absent.recs, recs, len);
		r.absent.n = n;
	} else if (fr_nft_get(e->nft, &set->nft, recs, n, on_returned, &r) < 0) {
		r.absent.n = 0;
	}
	set->n_back += r.absent.n;
	if (r.absent.n)
		write_all(e, r.absent.recs, r.absent.n, &w);
	free(r.absent.recs);
	look_at_all(e, set, recs, n);
}

/* Call @fn for each run of records of one set that is here. */
static void each_set(struct elements *e, const void *recs, size_t n,
		     void (*fn)(struct elements *e, struct set *set, const void *recs, size_t n,
				size_t len))
{
	const struct flyrep_item *it = recs, *begin = recs;
	struct set *set = NULL;
	size_t n_run = 0;

	for (; n; n--, it = fr_record_next(truth_table(e->truth), it)) {
		struct set *of = sets_by_key(&e->sets, (const uint8_t *)(it + 1), it->key_len);

		if (of != set) {
			if (set && set->is_here)
				fn(e, set, begin, n_run,
				   (size_t)((const uint8_t *)it - (const uint8_t *)begin));
			set = of;
			begin = it;
			n_run = 0;
		}
		n_run++;
	}
	if (set && set->is_here && n_run)
		fn(e, set, begin, n_run, (size_t)((const uint8_t *)it - (const uint8_t *)begin));
}

void elements_give_back(struct elements *e, const void *recs, size_t n)
{
	each_set(e, recs, n, give_back);
}

static void look_at_run(struct elements *e, struct set *set, const void *recs, size_t n, size_t len)
{
	(void)len;
	look_at_all(e, set, recs, n);
}

void elements_apply_own(struct elements *e, const void *recs, size_t n,
			void (*on_refused)(void *cookie, const void *rec, int error), void *cookie)
{
	struct writing w = { .elements = e, .on_refused = on_refused, .cookie = cookie,
			     .is_own = true };

	write_all(e, recs, n, &w);
	each_set(e, recs, n, look_at_run);
	e->ops->changed(e->cookie);
}

void elements_recalled(struct elements *e, const struct set *set)
{
	char text[SET_TEXT_LEN];
	size_t i;

	for (i = 0; i < e->sets.n; i++) {
		if (e->sets.v[i] != set)
			continue;
		if (set->n_back)
			fr_notice("replication: nft set %s had lost its elements: %lu came back",
				  set_text(set, text), set->n_back);
		e->sets.v[i]->is_lost = e->sets.v[i]->is_unknown = false;
		e->sets.v[i]->n_back = 0;
		e->sets.v[i]->is_dirty |= set_has_intervals(set);
		e->sets.v[i]->is_doubtful = true;
	}
	e->ops->changed(e->cookie);
}

void elements_refill(struct elements *e, const struct set *set, size_t n)
{
	struct set *own = sets_by_key(&e->sets, set->prefix, set->prefix_len);

	own->n_back = n;
	elements_recalled(e, own);
}

/* --- life ----------------------------------------------------------------------- */

/* On a writer, what was lost unasked is not gone; nor is what lies in a set that is away. */
static bool is_excused(void *cookie, const uint8_t *key, size_t key_len)
{
	const struct elements *e = cookie;
	const struct set *set = sets_by_key(&e->sets, key, key_len);

	return e->is_writer && set && (set->is_lost || !set->is_here);
}

bool elements_is_lost(const struct elements *e, const uint8_t *key, size_t key_len)
{
	const struct set *set = sets_by_key(&e->sets, key, key_len);

	return !set || set->is_lost || !set->is_here;
}

/*
 * All write: what a snapshot has not found is looked at once more. The hint that all of its set was
 * flushed may be on its way, and what is called deleted here is so on all nodes.
 */
static bool is_doubted(void *cookie, const uint8_t *key, size_t key_len)
{
	uint8_t room[FR_RECORD_KEY_ROOM] __attribute__((aligned(8))) = { 0 };
	struct elements *e = cookie;
	struct look l;

	if (elements_is_lost(e, key, key_len))
		return true;
	if (truth_table(e->truth)->from_key(room, key, key_len) < 0 ||
	    !make_look(&l, sets_by_key(&e->sets, key, key_len), (const void *)room))
		return false;
	l.at_ms += RETRY_MS;
	look_later(e, &e->again, &l);
	arm_work(e);
	return true;
}

static int add_timer(struct elements *e, sd_event_source **s, sd_event_time_handler_t fn)
{
	int rc = sd_event_add_time_relative(e->event, s, CLOCK_MONOTONIC, 0, 0, fn, e);

	return rc < 0 ? rc : sd_event_source_set_enabled(*s, SD_EVENT_OFF);
}

int elements_new(struct elements **out, sd_event *event, const struct fr_config *config,
		 bool is_writer, struct truth *truth, const struct elements_ops *ops, void *cookie)
{
	struct elements *e = calloc(1, sizeof(*e));
	int rc;

	if (!e)
		return -ENOMEM;
	e->event = sd_event_ref(event);
	e->sets.config = config;
	e->truth = truth;
	e->ops = ops;
	e->cookie = cookie;
	e->is_writer = is_writer;
	e->is_fresh = true;
	e->next_due_ms = UINT64_MAX;
	memset(e->due_ms, 0xff, sizeof(e->due_ms));
	e->survey = survey_new(event, &e->sets, truth, &survey_ops, e);
	rc = e->survey ? add_timer(e, &e->work, on_work) : -ENOMEM;
	if (rc >= 0)
		rc = add_timer(e, &e->list, on_list);
	if (rc >= 0)
		rc = add_timer(e, &e->due, on_due);
	if (rc < 0) {
		elements_free(e);
		return rc;
	}
	e->is_shared = fr_config_is_shared(config);
	truth_set_excuse(truth, e->is_shared ? is_doubted : is_excused, e);
	*out = e;
	refresh(e);
	return 0;
}

void elements_free(struct elements *e)
{
	if (!e)
		return;
	sd_event_source_disable_unref(e->work);
	sd_event_source_disable_unref(e->list);
	sd_event_source_disable_unref(e->due);
	survey_free(e->survey);
	fr_nft_close(e->nft);
	looks_free(&e->hinted);
	looks_free(&e->again);
	sets_free(&e->sets);
	sd_event_unref(e->event);
	free(e);
}
