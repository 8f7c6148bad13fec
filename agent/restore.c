// SPDX-License-Identifier: GPL-2.0-or-later

#include "restore.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "log.h"

#define DELETES_LEN	(64u << 10)	/* bytes of DELETE records, for one go of the kernel */
#define NAME_LEN	64

/* A batch of the file, decoded. */
struct piece {
	struct piece *next;
	const struct fr_table *table;
	size_t n;
	uint8_t recs[] __attribute__((aligned(8)));
};

struct counts {
	bool is_in_file;
	uint64_t records;
	uint64_t restored;
	uint64_t expired;
	uint64_t refused;
	uint64_t skipped;
	uint64_t kept;
	uint64_t removed;
	int error;		/* of the last one refused */
	struct index *named;	/* keys in the file */
};

struct restore {
	sd_event_source *turn;
	const struct restore_ops *ops;
	void *cookie;
	void (*done)(void *done_cookie, int err, const char *why, json_t *report);
	void *done_cookie;
	char name[NAME_LEN];
	bool is_dry;
	bool is_exact;
	struct backup_head head;
	struct piece *first;
	struct piece **last;
	struct counts counts[FR_TABLES_MAX];
	unsigned int next_table;	/* to look for what is not in the file */
	unsigned int next_bucket;
	struct index *there;		/* keys of that table */

	/* of the running go */
	struct counts *now;
	const struct fr_table *row;
	size_t n_deletes;
	size_t deletes_len;
	bool is_full;		/* not all of a bucket fitted below */
	uint8_t deletes[DELETES_LEN] __attribute__((aligned(8)));
};

static int on_batch(void *cookie, const struct fr_table *table, const void *recs, size_t n)
{
	struct restore *r = cookie;
	const void *end = recs;
	struct piece *p;
	size_t i, len;

	for (i = 0; i < n; i++)
		end = fr_record_next(table, end);
	len = (size_t)((const uint8_t *)end - (const uint8_t *)recs);
	p = malloc(sizeof(*p) + len);
	if (!p)
		return -ENOMEM;
	p->next = NULL;
	p->table = table;
	p->n = n;
	memcpy(p->recs, recs, len);
	*r->last = p;
	r->last = &p->next;
	return 0;
}

/* --- writing what the file holds ------------------------------------------------ */

static uint64_t wall_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void on_refused(void *cookie, const void *rec, int error)
{
	struct counts *c = cookie;

	(void)rec;
	c->refused++;
	c->error = error;
}

static int remember_key(struct counts *c, const uint8_t *key, size_t key_len)
{
	static const struct fr_siphash_key any = { 0 };

	if (!c->named)
		c->named = index_new(&any, 0);
	return c->named ? index_set(c->named, key, key_len, 0, 0, 0, NULL) : -ENOMEM;
}

static int remember(struct counts *c, const struct fr_table *table, const void *rec)
{
	uint8_t key[FR_KEY_MAX_LEN] __attribute__((aligned(8)));

	return remember_key(c, key, table->key(key, rec));
}

/* Take out what has ended since. */
static void leave_out_ended(struct piece *p, struct counts *c)
{
	uint64_t now = wall_ms();
	uint8_t *rec = p->recs, *to = p->recs;
	size_t n, n_kept = 0, len;

	for (n = p->n; n; n--, rec += len) {
		const struct flyrep_item *it = (const void *)rec;

		len = fr_record_len(p->table, rec);
		if (it->expires_ms && it->expires_ms <= now) {
			c->expired++;
			continue;
		}
		memmove(to, rec, len);
		to += len;
		n_kept++;
	}
	p->n = n_kept;
}

static bool has_table(const struct restore *r, unsigned int id)
{
	return archive_has_table(id) && r->ops->has(r->cookie, id);
}

static int write_piece(struct restore *r, struct piece *p)
{
	struct counts *c = &r->counts[p->table->id];
	const void *rec = p->recs;
	uint64_t refused = c->refused;
	size_t i;

	c->records += p->n;
	if (!has_table(r, p->table->id)) {
		c->skipped += p->n;
		return 0;
	}
	for (i = 0; i < p->n; i++, rec = fr_record_next(p->table, rec))
		if (remember(c, p->table, rec) < 0)
			return -ENOMEM;
	leave_out_ended(p, c);
	if (p->n && !r->is_dry)
		r->ops->write(r->cookie, p->table->id, p->recs, p->n, on_refused, c);
	c->restored += p->n - (c->refused - refused);
	return 0;
}

/* --- what it does not hold -------------------------------------------------------- */

static bool is_unnamed(void *cookie, const struct index_entry *e)
{
	struct restore *r = cookie;
	struct flyrep_rec *rec = (struct flyrep_rec *)(void *)(r->deletes + r->deletes_len);
	struct index_entry seen;

	if (r->now->named && index_find(r->now->named, e->key, e->key_len, &seen))
		return false;
	if (!r->is_exact) {
		r->now->kept++;
		return false;
	}
	r->is_full = sizeof(r->deletes) - r->deletes_len < FR_RECORD_KEY_ROOM;
	if (r->is_full)
		return false;
	memset(rec, 0, FR_RECORD_KEY_ROOM);
	/* The index learns of it later; it is not to be met again. */
	if (remember_key(r->now, e->key, e->key_len) < 0 ||
	    r->row->from_key(rec, e->key, e->key_len) < 0)
		return false;
	rec->op = FLYREP_OP_DELETE;
	r->deletes_len += fr_record_len(r->row, rec);
	r->n_deletes++;
	return false;
}

static void flush_deletes(struct restore *r)
{
	uint64_t refused = r->now->refused;

	if (r->n_deletes && !r->is_dry)
		r->ops->write(r->cookie, r->row->id, r->deletes, r->n_deletes, on_refused, r->now);
	r->now->removed += r->n_deletes - (r->now->refused - refused);
	r->n_deletes = 0;
	r->deletes_len = 0;
}

/* Of the next table; false: it is to be left alone. */
static bool begin_table(struct restore *r)
{
	unsigned int id = r->next_table;

	r->now = &r->counts[id];
	r->row = fr_table_by_id(id);
	r->next_bucket = 0;
	return r->now->is_in_file && has_table(r, id);
}

/* Some buckets of the next table. Return: 1: there is more, 0, -ENOMEM */
static int look_for_others(struct restore *r)
{
	if (r->next_table == FR_TABLES_MAX)
		return 0;
	if (!r->there) {
		if (!begin_table(r)) {
			r->next_table++;
			return 1;
		}
		r->there = r->ops->index(r->cookie, r->next_table);
		if (!r->there)
			return -ENOMEM;
	}
	r->is_full = false;
	while (r->next_bucket < FLYREP_BUCKETS && !r->is_full) {
		index_walk(r->there, r->next_bucket, is_unnamed, r);
		r->next_bucket += !r->is_full;
	}
	flush_deletes(r);
	if (r->next_bucket == FLYREP_BUCKETS) {
		r->there = NULL;
		r->next_table++;
	}
	return 1;
}

/* --- the end ------------------------------------------------------------------------ */

static json_t *table_json(const struct restore *r, unsigned int id)
{
	const struct counts *c = &r->counts[id];

	return json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:s}", "table",
			 fr_table_by_id(id)->name, "records", (json_int_t)c->records, "restored",
			 (json_int_t)c->restored, "expired", (json_int_t)c->expired, "refused",
			 (json_int_t)c->refused, "skipped", (json_int_t)c->skipped, "kept",
			 (json_int_t)c->kept, "removed", (json_int_t)c->removed, "error",
			 c->error ? strerror(-c->error) : "");
}

static json_t *report(const struct restore *r)
{
	time_t t = (time_t)(r->head.time_us / 1000000);
	json_t *tables = json_array();
	char text[40];
	unsigned int id;
	struct tm tm;

	for (id = 0; id < FR_TABLES_MAX; id++)
		if (r->counts[id].is_in_file)
			json_array_append_new(tables, table_json(r, id));
	gmtime_r(&t, &tm);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
	return json_pack("{s:s, s:s, s:s, s:b, s:b, s:o}", "name", r->name, "node_id",
			 r->head.node_id, "time", text, "dry_run", r->is_dry, "exact", r->is_exact,
			 "tables", tables);
}

static int end(struct restore *r, int err, const char *why)
{
	uint64_t n = 0;
	unsigned int id;

	for (id = 0; id < FR_TABLES_MAX; id++)
		n += r->counts[id].restored;
	if (err)
		fr_err("restore: %s: stopped after %lu records: %s", r->name, n, why);
	else if (!r->is_dry)
		fr_notice("restore: %s: %lu records are this node's own now", r->name, n);
	r->done(r->done_cookie, err, why, err ? NULL : report(r));
	return 0;
}

static int on_turn(sd_event_source *s, void *cookie)
{
	struct restore *r = cookie;
	struct piece *p = r->first;
	char why[ARCHIVE_WHY_LEN];
	int rc;

	if (!r->ops->may_write(r->cookie, why))
		return end(r, -EPERM, why);
	if (p) {
		rc = write_piece(r, p);
		r->first = p->next;
		free(p);
	} else {
		rc = look_for_others(r);
		if (!rc)
			return end(r, 0, "");
	}
	if (rc < 0)
		return end(r, rc, strerror(-rc));
	return sd_event_source_set_enabled(s, SD_EVENT_ONESHOT);
}

/* --- life ------------------------------------------------------------------------------ */

int restore_start(struct restore **out, sd_event *event, const struct archive *archive,
		  const struct restore_wish *wish, const struct restore_ops *ops, void *cookie,
		  void (*done)(void *done_cookie, int err, const char *why, json_t *report),
		  void *done_cookie, char *why)
{
	struct backup_contents contents;
	struct restore *r;
	size_t i;
	int rc;

	if (!ops->may_write(cookie, why))
		return -EPERM;
	r = calloc(1, sizeof(*r));
	if (!r) {
		snprintf(why, ARCHIVE_WHY_LEN, "out of memory");
		return -ENOMEM;
	}
	r->ops = ops;
	r->cookie = cookie;
	r->done = done;
	r->done_cookie = done_cookie;
	r->is_dry = wish->is_dry;
	r->is_exact = wish->is_exact;
	r->last = &r->first;
	snprintf(r->name, sizeof(r->name), "%s", wish->name);
	rc = archive_read(archive, wish->name, &contents, on_batch, r, why);
	if (!rc)
		rc = sd_event_add_defer(event, &r->turn, on_turn, r);
	if (rc < 0) {
		if (rc == -ENOMEM)
			snprintf(why, ARCHIVE_WHY_LEN, "out of memory");
		restore_free(r);
		return rc;
	}
	r->head = contents.head;
	for (i = 0; i < contents.n_tables; i++)
		r->counts[contents.tables[i].id].is_in_file = fr_table_by_id(contents.tables[i].id);
	*out = r;
	return 0;
}

void restore_free(struct restore *r)
{
	struct piece *next;
	unsigned int id;

	if (!r)
		return;
	sd_event_source_disable_unref(r->turn);
	for (; r->first; r->first = next) {
		next = r->first->next;
		free(r->first);
	}
	for (id = 0; id < FR_TABLES_MAX; id++)
		index_free(r->counts[id].named);
	free(r);
}
