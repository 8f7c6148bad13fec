// SPDX-License-Identifier: GPL-2.0-or-later

#include "versions.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "job.h"
#include "ledger_rules.h"
#include "log.h"

#define TICK_US		1000000
#define EFFECTS_LEN	(64u << 10)	/* bytes of items for one go of the kernel */
#define WALK_BUCKETS	256		/* looked at in one go, before others get the loop */

struct versions {
	struct flow *flow;
	struct fr_arena arena;		/* of the ledger's configuration */
	struct ledger *ledger;
	sd_event_source *flush;
	sd_event_source *tick;
	bool is_due;			/* to be flushed */

	/* what goes into the own kernel, of one table */
	uint8_t *effects;		/* EFFECTS_LEN */
	uint8_t effects_table;
	size_t effects_len;
	size_t n_effects;

	/* of the running snapshot of slots */
	sd_event_source *walk;
	struct flow_table *walked;	/* NULL: none runs */
	unsigned int bucket;		/* the next one */

	struct truth_counts counts;	/* of the running learning */
	void *item;			/* FR_ITEM_ROOM bytes */
	struct fr_log_limit over_limit;	/* of conflicts that are decided */
};

static uint64_t now_ms(void *cookie)
{
	struct timespec t;

	(void)cookie;
	clock_gettime(CLOCK_REALTIME, &t);
	return t.tv_sec * 1000ull + t.tv_nsec / 1000000;
}

/* --- into the own kernel --- */

static void on_refused(void *cookie, const void *item, int error)
{
	struct versions *v = cookie;

	ledger_refused(v->ledger, v->effects_table, item, error == -EBUSY);
}

static void apply_effects(struct versions *v)
{
	if (v->n_effects && v->effects_table == FLYREP_TABLE_NFT_SET)
		elements_put(v->flow->elements, v->effects, v->n_effects, on_refused, v);
	else if (v->n_effects)
		inject_apply(v->flow->inject, v->effects_table, v->effects, v->n_effects,
			     on_refused, v);
	v->n_effects = 0;
	v->effects_len = 0;
}

static void on_effect(void *cookie, uint8_t table, const void *item)
{
	size_t len = fr_record_len(fr_table_by_id(table), item);
	struct versions *v = cookie;

	if (table != v->effects_table || v->effects_len + len > EFFECTS_LEN)
		apply_effects(v);
	v->effects_table = table;
	memcpy(v->effects + v->effects_len, item, len);
	v->effects_len += len;
	v->n_effects++;
}

/* --- to peers --- */

static void on_publish(void *cookie, uint8_t table, const void *slot, int op, unsigned int bucket)
{
	struct versions *v = cookie;

	flow_publish(v->flow->by_id[table], slot, op, bucket);
}

static void on_conflict(void *cookie, const struct inbox_conflict *c)
{
	struct versions *v = cookie;

	bool is_over = c->state != INBOX_PENDING;

	/* Thousands that come up at once shall not push out all else; nor the end of some. */
	if (fr_log_allow(is_over ? &v->over_limit : &v->flow->log_limit, "conflict"))
		events_log(v->flow->events, is_over ? EVENT_RESOLVED : EVENT_CONFLICT,
			   FR_LOG_NOTICE, NULL, "replication: conflict %lu in %s: %s", c->id,
			   fr_table_by_id(c->table)->name, inbox_state_name(c->state));
}

static const struct ledger_ops ledger_ops = {
	.now_ms = now_ms,
	.effect = on_effect,
	.publish = on_publish,
	.conflict = on_conflict,
};

/* --- turns of the event loop --- */

static void flush(struct versions *v)
{
	v->is_due = false;
	ledger_flush(v->ledger);
	apply_effects(v);
	flow_pace(v->flow);
	if (v->flow->is_known)
		job_schedule(v->flow);
}

/* What the drain brings first belongs in front of it; versions_gap() follows. */
static int on_flush(sd_event_source *s, void *cookie)
{
	struct versions *v = cookie;

	(void)s;
	if (v->is_due && !drain_is_busy(v->flow->drain))
		flush(v);
	return 0;
}

void versions_flush_soon(struct versions *v)
{
	v->is_due = true;
	sd_event_source_set_enabled(v->flush, SD_EVENT_ONESHOT);
}

void versions_gap(struct versions *v)
{
	if (v->is_due)
		flush(v);
}

bool versions_is_due(const struct versions *v)
{
	return v->is_due;
}

static int on_tick(sd_event_source *s, uint64_t usec, void *cookie)
{
	struct versions *v = cookie;

	(void)usec;
	ledger_tick(v->ledger);
	versions_flush_soon(v);
	sd_event_source_set_time_relative(s, TICK_US);
	return sd_event_source_set_enabled(s, SD_EVENT_ONESHOT);
}

/* --- what arrives --- */

static void refuse_item(struct flow_table *t, int error)
{
	flow_refuse(t, strerror(-error));
}

void versions_local(struct flow_table *t, const void *item)
{
	struct versions *v = t->flow->versions;
	int rc = ledger_local(v->ledger, t->row->id, item);

	if (rc < 0)
		refuse_item(t, rc);
	else
		versions_flush_soon(v);
}

void versions_remote(struct flow_link *l, struct flow_table *t, const void *slots, size_t n,
		     void (*on_slot_refused)(void *c, const void *rec, int error), void *cookie)
{
	const struct fr_table *row = fr_slot_table(t->row->id);
	struct versions *v = t->flow->versions;
	int rc;

	for (; n; n--, slots = fr_record_next(row, slots)) {
		rc = ledger_remote(v->ledger, peer_id(l->peer), t->row->id, slots);
		if (rc < 0)
			on_slot_refused(cookie, slots, rc);
	}
	versions_flush_soon(v);
}

bool versions_admits(struct flow_table *t, const void *slot)
{
	struct versions *v = t->flow->versions;
	const struct fr_slot *s = slot;

	if (s->rec.op == FLYREP_OP_DELETE || s->flags & FR_SLOT_F_TOMBSTONE)
		return true;
	fr_slot_item(v->item, s);
	return filter_admits(t->flow->filter, t->row, v->item);
}

/* --- the own kernel as a whole --- */

/* Tells this life of the own kernel's tables from others: those of the module go with it. */
static int kernel_of(const struct flow_table *t, uint64_t *kernel)
{
	struct fr_genl_info info;
	int rc = drain_info(t->flow->drain, &info);

	*kernel = info.instance;
	if (rc < 0 || !t->kernel)
		return rc;
	memcpy(kernel, t->flow->life, sizeof(*kernel));
	*kernel |= 1; /* 0 is no kernel */
	return 0;
}

int versions_learn_begin(struct flow_table *t)
{
	struct versions *v = t->flow->versions;
	uint64_t kernel;
	int rc = kernel_of(t, &kernel);

	memset(&v->counts, 0, sizeof(v->counts));
	return rc < 0 ? rc : ledger_learn_begin(v->ledger, t->row->id, kernel);
}

void versions_learn(struct flow_table *t, const void *item)
{
	struct versions *v = t->flow->versions;
	int rc = ledger_learn(v->ledger, t->row->id, item);

	v->counts.named++;
	v->counts.added += rc > 0;
	if (rc < 0)
		refuse_item(t, rc);
}

static bool is_set_lost(void *cookie, const uint8_t *key, size_t key_len)
{
	return elements_is_lost(cookie, key, key_len);
}

void versions_learn_end(struct flow_table *t, struct truth_counts *counts)
{
	struct versions *v = t->flow->versions;

	if (t->kernel)
		ledger_lose(v->ledger, t->row->id, is_set_lost, v->flow->elements);
	v->counts.missing = ledger_learn_end(v->ledger, t->row->id);
	*counts = v->counts;
	versions_flush_soon(v);
}

static void on_not_taken(void *cookie, const void *item, int error)
{
	(void)cookie;
	(void)item;
	(void)error; /* it has just changed, or ended: the next look finds it as it is */
}

void versions_take_over(struct flow_table *t, const void *item)
{
	struct flyrep_rec *rec = t->flow->versions->item;

	memcpy(rec, item, fr_record_len(t->row, item));
	*rec = (struct flyrep_rec){ .op = FLYREP_OP_INSERT, .tail_len = rec->tail_len };
	inject_apply(t->flow->inject, t->row->id, rec, 1, on_not_taken, NULL);
}

struct prefix {
	const uint8_t *pos;
	size_t len;
};

static bool has_prefix(void *cookie, const uint8_t *key, size_t key_len)
{
	const struct prefix *p = cookie;

	return key_len >= p->len && !memcmp(key, p->pos, p->len);
}

size_t versions_lose(struct flow_table *t, const uint8_t *prefix, size_t prefix_len)
{
	struct prefix p = { prefix, prefix_len };
	struct versions *v = t->flow->versions;

	truth_drop_all(t->kernel, prefix, prefix_len);
	versions_flush_soon(v);
	return ledger_lose(v->ledger, t->row->id, has_prefix, &p);
}

void versions_lose_kernel(struct versions *v)
{
	ledger_lose_kernel(v->ledger);
}

/* --- the own slots --- */

static void on_slot(void *cookie, const void *slot)
{
	struct versions *v = cookie;

	job_snap_records(v->flow, v->walked->row->id, slot, 1);
}

static int on_walk(sd_event_source *s, void *cookie)
{
	struct versions *v = cookie;
	struct flow_table *t = v->walked;
	struct flow *f = v->flow;
	unsigned int n;
	int on = SD_EVENT_ON;

	for (n = 0; on == SD_EVENT_ON && n < WALK_BUCKETS; v->bucket++) {
		if (v->bucket == FLYREP_BUCKETS)
			break;
		if (!(f->job_scope.buckets[v->bucket / 8] & (1u << (v->bucket % 8))))
			continue;
		ledger_walk(v->ledger, t->row->id, f->config->node_id, v->bucket, on_slot, v);
		n++;
		sd_event_source_get_enabled(s, &on);
	}
	if (v->bucket < FLYREP_BUCKETS)
		return 0;
	versions_snapshot_cancel(v);
	job_snap_end(f, 0);
	return 0;
}

int versions_snapshot(struct flow_table *t)
{
	struct versions *v = t->flow->versions;

	v->walked = t;
	v->bucket = 0;
	return sd_event_source_set_enabled(v->walk, SD_EVENT_ON);
}

bool versions_is_snapping(const struct versions *v)
{
	return v->walked;
}

void versions_hold(struct versions *v, bool hold)
{
	if (v->walked)
		sd_event_source_set_enabled(v->walk, hold ? SD_EVENT_OFF : SD_EVENT_ON);
}

void versions_snapshot_cancel(struct versions *v)
{
	v->walked = NULL;
	sd_event_source_set_enabled(v->walk, SD_EVENT_OFF);
}

/* --- what others ask --- */

struct ledger *versions_ledger(const struct versions *v)
{
	return v ? v->ledger : NULL;
}

bool versions_has(const struct versions *v, uint8_t table)
{
	return v && fr_config_has_versions(v->flow->config, table);
}

struct sum {
	const struct flow_table *table;
	size_t n;
	uint64_t *digest;
};

static void add_up(void *cookie, const void *item)
{
	struct sum *s = cookie;

	s->n++;
	if (s->digest)
		*s->digest += s->table->row->digest(item, &s->table->flow->role.hash_key);
}

size_t versions_entries(const struct flow_table *t, uint64_t *digest)
{
	struct sum s = { .table = t, .digest = digest };

	if (digest)
		*digest = 0;
	ledger_walk_effect(t->flow->versions->ledger, t->row->id, add_up, &s);
	return s.n;
}

struct those {
	const struct index *index;	/* knows the bucket of a key */
	const uint8_t *buckets;
	size_t n;
};

static void count_in(void *cookie, const void *item)
{
	const struct flyrep_item *it = item;
	struct those *in = cookie;
	unsigned int b = index_bucket(in->index, it + 1, it->key_len);

	in->n += in->buckets[b / 8] >> (b % 8) & 1;
}

size_t versions_entries_in(const struct flow_table *t, const uint8_t *buckets)
{
	struct those in = { .index = truth_index(t->truth), .buckets = buckets };

	ledger_walk_effect(t->flow->versions->ledger, t->row->id, count_in, &in);
	return in.n;
}

struct keys_of {
	struct index *index;
	int err;
};

static void add_key(void *cookie, const void *item)
{
	const struct flyrep_item *it = item;
	struct keys_of *keys = cookie;

	if (!keys->err)
		keys->err = index_set(keys->index, it + 1, it->key_len, 0, 0, 0, NULL);
}

struct index *versions_keys(const struct flow_table *t)
{
	struct keys_of keys = { .index = index_new(&t->flow->role.hash_key, 0) };

	if (!keys.index)
		return NULL;
	ledger_walk_effect(t->flow->versions->ledger, t->row->id, add_key, &keys);
	if (!keys.err)
		return keys.index;
	index_free(keys.index);
	return NULL;
}

struct truth *versions_truth(const struct versions *v, uint8_t table, const char *owner)
{
	return ledger_truth(v->ledger, table, owner);
}

void versions_hello(const struct versions *v, struct fr_hello *h)
{
	ledger_id(v->ledger, h->ledger);
	h->rules = ledger_rules_digest(v->ledger);
}

bool versions_meet(struct flow_link *l, const struct fr_hello *theirs)
{
	struct versions *v = l->flow->versions;

	if (theirs->rules && theirs->rules != ledger_rules_digest(v->ledger))
		return false;
	if (ledger_meet(v->ledger, peer_id(l->peer), theirs->ledger))
		versions_flush_soon(v);
	return true;
}

void versions_in_step(struct flow_link *l)
{
	ledger_in_step(l->flow->versions->ledger, peer_id(l->peer));
}

int versions_rekey(struct versions *v, const struct fr_siphash_key *key)
{
	return ledger_rekey(v->ledger, key);
}

/* --- life --- */

static int open_sources(struct versions *v, sd_event *event)
{
	int rc = sd_event_add_defer(event, &v->flush, on_flush, v);

	if (rc >= 0)
		rc = sd_event_source_set_enabled(v->flush, SD_EVENT_OFF);
	if (rc >= 0)
		rc = sd_event_add_defer(event, &v->walk, on_walk, v);
	if (rc >= 0)
		rc = sd_event_source_set_enabled(v->walk, SD_EVENT_OFF);
	if (rc >= 0)
		rc = sd_event_source_set_priority(v->walk, SD_EVENT_PRIORITY_NORMAL + 10);
	if (rc >= 0)
		rc = sd_event_add_time_relative(event, &v->tick, CLOCK_MONOTONIC, TICK_US, 0,
						on_tick, v);
	return rc;
}

static int open_all(struct versions *v)
{
	struct flow *f = v->flow;
	struct ledger_config c;
	char why[512];
	int rc;

	rc = ledger_config_from(&c, f->config, &f->role.hash_key, &v->arena);
	if (rc < 0 || !c.tables)
		return rc;
	v->effects = malloc(EFFECTS_LEN);
	v->item = malloc(FR_ITEM_ROOM);
	if (!v->effects || !v->item)
		return -ENOMEM;
	rc = ledger_open(&v->ledger, &c, &ledger_ops, v, why, sizeof(why));
	if (rc < 0) {
		fr_err("%s", why);
		return rc;
	}
	return open_sources(v, f->event);
}

int versions_open(struct versions **out, struct flow *f)
{
	struct versions *v = calloc(1, sizeof(*v));
	int rc;

	if (!v)
		return -ENOMEM;
	v->flow = f;
	fr_arena_init(&v->arena, 0);
	rc = open_all(v);
	if (v->ledger && rc >= 0)
		*out = v;
	else
		versions_close(v);
	return rc < 0 ? rc : 0;
}

void versions_close(struct versions *v)
{
	if (!v)
		return;
	sd_event_source_disable_unref(v->flush);
	sd_event_source_disable_unref(v->walk);
	sd_event_source_disable_unref(v->tick);
	ledger_close(v->ledger);
	fr_arena_free(&v->arena);
	free(v->effects);
	free(v->item);
	free(v);
}
