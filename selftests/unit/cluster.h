/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * cluster - nodes with a ledger, a kernel and a clock each, and links between them
 *
 * A link delivers what its owner published in order, whenever the test says so, or is cut; when it
 * comes back everything is told anew, as a repair does. Kernels hold items as the module does: an
 * address is leased once in a scope, and what the agent was not told yet is not covered. Nodes may
 * stop, crash at any callback, and begin anew.
 */
#ifndef CLUSTER_H
#define CLUSTER_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "frame.h"
#include "hlc.h"
#include "index.h"
#include "ledger.h"

#define NODES_MAX 5
#define ITEMS_MAX 256 /* keys of all tables */

static const struct fr_siphash_key cluster_hash_key = { "cluster" };
static const char *const node_names[NODES_MAX] = { "n1", "n2", "n3", "n4", "n5" };

/* What a link carries: a slot, or the digests of an audit. */
struct message {
	uint8_t table; /* 0: an audit */
	void *slot;
	uint64_t digests[FR_TABLES_MAX];
};

struct link {
	bool is_cut;
	size_t begin, n, n_room;
	struct message *v;
};

/* A write as peers heard of it: a version of a slot. */
struct write {
	uint8_t table;
	int node;
	struct fr_slot *slot;
};

struct cluster;

struct node {
	struct cluster *cluster;
	int number;
	int64_t offset_ms;
	char dir[80];
	struct ledger *ledger;
	bool is_gone; /* crashed in a callback: hears and says nothing */
	int crash_in; /* callbacks until then; 0: never */
	bool is_unlearnt; /* the kernel has what no ledger has on disk */
	uint64_t stamp;
	uint64_t kernel; /* which it is */
	size_t n_items;
	struct {
		uint8_t table;
		struct flyrep_item *item;
	} items[ITEMS_MAX];
	bool is_slow; /* local changes are told by tell_all() */
	size_t n_untold;
	struct untold {
		uint8_t table;
		bool is_gone;
		struct flyrep_item *item; /* whose key it is */
	} untold[ITEMS_MAX];
	unsigned int n_refused, n_late, n_effects, n_news;
};

struct cluster {
	int n;
	uint64_t now_ms;
	struct node nodes[NODES_MAX];
	struct link links[NODES_MAX][NODES_MAX]; /* from, to */
	struct ledger_config config; /* of all; node_id and peers differ */
	const char *peers[NODES_MAX][NODES_MAX];
	size_t n_writes, n_writes_room;
	struct write *writes;
};

static inline const uint8_t *key_of(const struct flyrep_item *it)
{
	return (const uint8_t *)(it + 1);
}

static inline void *copy(const void *rec, size_t len)
{
	void *to = malloc(len);

	assert_non_null(to);
	memcpy(to, rec, len);
	return to;
}

static inline size_t item_size(const struct flyrep_item *it)
{
	return sizeof(*it) + it->rec.tail_len;
}

/* An item of texts, to be freed; those not given are empty. */
static inline struct flyrep_item *item_make(uint8_t table, uint64_t expires_ms, const char *const *texts)
{
	uint64_t room[FR_ITEM_ROOM / 8 + 1];
	char *why;
	ssize_t len = fr_item_make(room, table, FLYREP_OP_UPDATE, texts, expires_ms, &why);

	if (len < 0)
		fail_msg("%s", why);
	return copy(room, (size_t)len);
}

/* --- kernels ------------------------------------------------------------ */

static inline size_t kernel_find(const struct node *n, uint8_t table, const struct flyrep_item *it)
{
	size_t i;

	for (i = 0; i < n->n_items; i++)
		if (n->items[i].table == table && n->items[i].item->key_len == it->key_len &&
		    !memcmp(key_of(n->items[i].item), key_of(it), it->key_len))
			break;
	return i;
}

static inline const struct flyrep_item *kernel_get(const struct node *n, uint8_t table,
						   const struct flyrep_item *it)
{
	size_t i = kernel_find(n, table, it);

	return i < n->n_items ? n->items[i].item : NULL;
}

static inline bool has_address(const struct flyrep_item *a, const struct flyrep_item *b)
{
	struct fr_item_bytes x[FR_ITEM_FIELDS_MAX], y[FR_ITEM_FIELDS_MAX];

	assert_int_equal(fr_item_unpack(a, FLYREP_TABLE_LEASE, x), 0);
	assert_int_equal(fr_item_unpack(b, FLYREP_TABLE_LEASE, y), 0);
	return x[3].len && x[3].len == y[3].len && !memcmp(x[3].pos, y[3].pos, x[3].len) &&
	       x[0].len == y[0].len && !memcmp(x[0].pos, y[0].pos, x[0].len);
}

/* Another lease of the same address, as the module would find it. */
static inline bool kernel_has_rival(const struct node *n, uint8_t table, const struct flyrep_item *it)
{
	size_t self = kernel_find(n, table, it), i;

	for (i = 0; table == FLYREP_TABLE_LEASE && i < n->n_items; i++)
		if (i != self && n->items[i].table == table && has_address(n->items[i].item, it))
			return true;
	return false;
}

static inline void kernel_drop(struct node *n, uint8_t table, const struct flyrep_item *it)
{
	size_t i = kernel_find(n, table, it);

	if (i == n->n_items)
		return;
	free(n->items[i].item); /* may be @it */
	n->items[i] = n->items[--n->n_items];
}

static inline void kernel_put(struct node *n, uint8_t table, const struct flyrep_item *it)
{
	struct flyrep_item *item = copy(it, item_size(it));

	kernel_drop(n, table, it);
	assert_true(n->n_items < ITEMS_MAX);
	item->rec.op = FLYREP_OP_UPDATE;
	n->items[n->n_items].table = table;
	n->items[n->n_items++].item = item;
}

/* What became of a key that lives, and is to be told */
static inline struct untold *untold_find(struct node *n, uint8_t table, const struct flyrep_item *it)
{
	size_t i;

	for (i = 0; i < n->n_untold; i++)
		if (n->untold[i].table == table && !n->untold[i].is_gone &&
		    n->untold[i].item->key_len == it->key_len &&
		    !memcmp(key_of(n->untold[i].item), key_of(it), it->key_len))
			return &n->untold[i];
	return NULL;
}

static inline void untold_add(struct node *n, uint8_t table, const struct flyrep_item *it, bool is_gone)
{
	struct untold *u = untold_find(n, table, it);

	if (!u) {
		assert_true(n->n_untold < ITEMS_MAX);
		u = &n->untold[n->n_untold++];
		*u = (struct untold){ table, false, copy(it, item_size(it)) };
	}
	u->is_gone = is_gone;
}

static inline void untold_clear(struct node *n)
{
	while (n->n_untold)
		free(n->untold[--n->n_untold].item);
}

/* As the module finds it: something that was deleted might be this one. */
static inline bool is_untold(struct node *n, uint8_t table, const struct flyrep_item *it)
{
	size_t i;

	if (kernel_get(n, table, it))
		return untold_find(n, table, it);
	for (i = 0; i < n->n_untold; i++)
		if (n->untold[i].table == table && n->untold[i].is_gone)
			return it->rec.op != FLYREP_OP_DELETE;
	return false;
}

/* --- what ledgers call -------------------------------------------------- */

static inline uint64_t node_ms(const struct node *n)
{
	return n->cluster->now_ms + (uint64_t)n->offset_ms;
}

static inline uint64_t on_now(void *cookie)
{
	return node_ms(cookie);
}

static inline void file_copy(const struct node *n, const char *from, const char *to)
{
	char a[128], b[128], buf[65536];
	FILE *in, *out;
	size_t len;

	snprintf(a, sizeof(a), "%s/%s", n->dir, from);
	snprintf(b, sizeof(b), "%s/%s", n->dir, to);
	unlink(b);
	in = fopen(a, "re");
	if (!in)
		return;
	out = fopen(b, "we");
	assert_non_null(out);
	while ((len = fread(buf, 1, sizeof(buf), in)))
		assert_int_equal(fwrite(buf, 1, len, out), len);
	fclose(in);
	fclose(out);
}

/* What is on the disk now is all that is left of it. */
static inline void node_crash(struct node *n)
{
	file_copy(n, LEDGER_FILE, "crashed");
	file_copy(n, LEDGER_FILE "-wal", "crashed-wal");
	n->is_gone = true;
	n->is_unlearnt = true;
}

static inline bool is_gone(struct node *n)
{
	if (n->crash_in && !--n->crash_in)
		node_crash(n);
	return n->is_gone;
}

static inline void on_effect(void *cookie, uint8_t table, const void *rec)
{
	const struct flyrep_item *it = rec;
	struct node *n = cookie;
	const char *why;

	if (is_gone(n))
		return;
	n->n_effects++;
	assert_int_equal(fr_table_by_id(table)->check(it, &why), 0);
	if (is_untold(n, table, it)) {
		n->n_late++;
		ledger_refused(n->ledger, table, it, true);
	} else if (it->rec.op == FLYREP_OP_DELETE) {
		kernel_drop(n, table, it);
	} else if (kernel_has_rival(n, table, it)) {
		n->n_refused++;
		ledger_refused(n->ledger, table, it, false);
	} else {
		assert_int_equal(it->rec.op, FLYREP_OP_INSERT);
		kernel_put(n, table, it);
	}
}

static inline void link_push(struct link *l, struct message m)
{
	if (l->n == l->n_room) {
		l->n_room = 2 * l->n_room + 16;
		l->v = realloc(l->v, l->n_room * sizeof(*l->v));
		assert_non_null(l->v);
	}
	l->v[l->n++] = m;
}

static inline void link_clear(struct link *l)
{
	while (l->begin < l->n)
		free(l->v[l->begin++].slot);
	l->begin = l->n = 0;
}

static inline void send_slot(struct node *n, int to, uint8_t table, const void *slot)
{
	struct link *l = &n->cluster->links[n->number][to];
	struct message m = { .table = table };

	if (l->is_cut)
		return;
	m.slot = copy(slot, fr_record_len(fr_slot_table(table), slot));
	link_push(l, m);
}

static inline void log_write(struct node *n, uint8_t table, const void *rec)
{
	struct cluster *c = n->cluster;
	const struct fr_slot *slot = rec;

	if (slot->rec.op == FLYREP_OP_DELETE)
		return;
	if (c->n_writes == c->n_writes_room) {
		c->n_writes_room = 2 * c->n_writes_room + 64;
		c->writes = realloc(c->writes, c->n_writes_room * sizeof(*c->writes));
		assert_non_null(c->writes);
	}
	c->writes[c->n_writes++] = (struct write){
		table, n->number, copy(slot, fr_record_len(fr_slot_table(table), slot))
	};
}

static inline void on_publish(void *cookie, uint8_t table, const void *slot, int op,
			      unsigned int bucket)
{
	struct node *n = cookie;
	const char *why;
	int to;

	log_write(n, table, slot); /* durable, though it may not leave the node any more */
	if (is_gone(n))
		return;
	assert_in_range(op, FLYREP_OP_INSERT, FLYREP_OP_DELETE);
	assert_true(bucket < FLYREP_BUCKETS);
	if (fr_slot_table(table)->check(slot, &why))
		fail_msg("%s", why);
	for (to = 0; to < n->cluster->n; to++)
		if (to != n->number)
			send_slot(n, to, table, slot);
}

static inline void on_conflict(void *cookie, const struct inbox_conflict *c)
{
	struct node *n = cookie;

	assert_true(c->n_sides >= 2);
	n->n_news++;
}

static const struct ledger_ops cluster_ops = {
	.now_ms = on_now,
	.effect = on_effect,
	.publish = on_publish,
	.conflict = on_conflict,
};

/* --- nodes -------------------------------------------------------------- */

/* @is_lost: of what it lacks: nobody deleted it; NULL: all was */
static inline void node_learn(struct node *n, bool is_new_kernel,
			      bool (*is_lost)(void *cookie, const uint8_t *key, size_t key_len))
{
	uint8_t table;
	size_t i;

	untold_clear(n);
	n->kernel += is_new_kernel || !n->kernel;
	for (table = 1; table < FR_TABLES_MAX; table++) {
		if (!(n->cluster->config.tables >> table & 1))
			continue;
		assert_int_equal(ledger_learn_begin(n->ledger, table, n->kernel), 0);
		for (i = 0; i < n->n_items; i++) {
			if (n->items[i].table != table)
				continue;
			n->items[i].item->rec.stamp = ++n->stamp;
			assert_true(ledger_learn(n->ledger, table, n->items[i].item) >= 0);
		}
		if (is_lost)
			ledger_lose(n->ledger, table, is_lost, NULL);
		ledger_learn_end(n->ledger, table);
	}
}

static inline void node_start(struct node *n)
{
	struct ledger_config config = n->cluster->config;
	char why[256];

	config.dir = n->dir;
	config.node_id = node_names[n->number];
	config.peers = n->cluster->peers[n->number];
	config.n_peers = (size_t)n->cluster->n - 1;
	if (ledger_open(&n->ledger, &config, &cluster_ops, n, why, sizeof(why)))
		fail_msg("%s", why);
}

static inline void node_open(struct node *n, bool is_new_kernel)
{
	node_start(n);
	node_learn(n, is_new_kernel, NULL);
	n->is_unlearnt = false;
}

static inline void node_open_lost(struct node *n,
				  bool (*is_lost)(void *cookie, const uint8_t *key, size_t key_len))
{
	node_start(n);
	node_learn(n, false, is_lost);
}

static inline void node_close(struct node *n)
{
	ledger_close(n->ledger);
	n->ledger = NULL;
	if (n->is_gone) {
		file_copy(n, "crashed", LEDGER_FILE);
		file_copy(n, "crashed-wal", LEDGER_FILE "-wal");
	}
	n->is_gone = false;
	n->crash_in = 0;
}

static inline void cluster_init(struct cluster *c, int n, const struct ledger_config *config)
{
	int i, k, to;

	memset(c, 0, sizeof(*c));
	c->n = n;
	c->config = *config;
	c->config.hash_key = &cluster_hash_key;
	c->now_ms = 1700000000000;
	for (i = 0; i < n; i++) {
		for (k = to = 0; k < n; k++)
			if (k != i)
				c->peers[i][to++] = node_names[k];
		c->nodes[i].cluster = c;
		c->nodes[i].number = i;
		snprintf(c->nodes[i].dir, sizeof(c->nodes[i].dir), "%s/test_ledger.XXXXXX",
			 access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm");
		assert_non_null(mkdtemp(c->nodes[i].dir));
		node_open(&c->nodes[i], true);
	}
}

static inline void dir_remove(const char *dir)
{
	struct dirent *e;
	char path[400];
	DIR *d = opendir(dir);

	assert_non_null(d);
	while ((e = readdir(d))) {
		snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
		if (e->d_name[0] != '.')
			assert_int_equal(unlink(path), 0);
	}
	closedir(d);
	assert_int_equal(rmdir(dir), 0);
}

static inline void cluster_free(struct cluster *c)
{
	int i, k;

	for (i = 0; i < c->n; i++) {
		struct node *n = &c->nodes[i];

		if (n->ledger)
			node_close(n);
		while (n->n_items)
			free(n->items[--n->n_items].item);
		untold_clear(n);
		dir_remove(n->dir);
		for (k = 0; k < c->n; k++) {
			link_clear(&c->links[i][k]);
			free(c->links[i][k].v);
		}
	}
	while (c->n_writes)
		free(c->writes[--c->n_writes].slot);
	free(c->writes);
}

/* --- what happens to them ----------------------------------------------- */

static inline void tell(struct node *n, uint8_t table, const struct flyrep_item *it)
{
	if (n->ledger && !n->is_gone)
		assert_true(ledger_local(n->ledger, table, it) >= 0);
}

/* The own kernel was written, and the ledger hears of it if its node is up. */
static inline void local_put(struct node *n, uint8_t table, struct flyrep_item *it)
{
	it->rec.stamp = ++n->stamp;
	kernel_put(n, table, it);
	n->is_unlearnt |= !n->ledger || n->is_gone || n->is_slow;
	if (n->is_slow)
		untold_add(n, table, it, false);
	else
		tell(n, table, it);
}

static inline void tell_delete(struct node *n, uint8_t table, const struct flyrep_item *like)
{
	uint64_t room[FR_RECORD_KEY_ROOM / 8 + 1] = { 0 };
	struct flyrep_item *it = (struct flyrep_item *)room;

	fr_table_by_id(table)->from_key(it, key_of(like), like->key_len);
	it->rec.op = FLYREP_OP_DELETE;
	it->rec.stamp = ++n->stamp;
	tell(n, table, it);
}

static inline void local_delete(struct node *n, uint8_t table, const struct flyrep_item *like)
{
	struct flyrep_item *gone = copy(like, item_size(like)); /* it may be the kernel's */

	kernel_drop(n, table, gone);
	if (n->is_slow)
		untold_add(n, table, gone, true);
	else
		tell_delete(n, table, gone);
	free(gone);
}

/* The agent drains what it was not told yet. */
static inline void tell_all(struct node *n)
{
	size_t i;

	for (i = 0; i < n->n_untold; i++) {
		struct untold *u = &n->untold[i];
		struct flyrep_item *it = copy(u->item, item_size(u->item));
		size_t at = kernel_find(n, u->table, it);

		if (u->is_gone) {
			tell_delete(n, u->table, it);
		} else {
			n->items[at].item->rec.stamp = ++n->stamp;
			tell(n, u->table, n->items[at].item);
		}
		free(it);
	}
	untold_clear(n);
}

/* The kernel ends what is over by its clock. */
static inline void kernel_expire(struct node *n)
{
	size_t i;

	for (i = 0; i < n->n_items;) {
		struct flyrep_item *it = n->items[i].item;
		struct flyrep_item *gone;

		if (!it->expires_ms || it->expires_ms > node_ms(n)) {
			i++;
			continue;
		}
		gone = copy(it, item_size(it));
		local_delete(n, n->items[i].table, gone);
		free(gone);
	}
}

static inline void deliver_slot(struct node *n, int from, const struct message *m)
{
	struct truth *t = ledger_truth(n->ledger, m->table, node_names[from]);
	unsigned int bucket;

	assert_int_equal(ledger_remote(n->ledger, node_names[from], m->table, m->slot), 0);
	truth_put(t, m->slot, ++n->stamp, &bucket);
}

static inline void deliver_audit(struct node *n, int from, const struct message *m)
{
	uint8_t table;

	for (table = 1; table < FR_TABLES_MAX; table++) {
		struct truth *t = ledger_truth(n->ledger, table, node_names[from]);

		if (t && index_digest(truth_index(t)) != m->digests[table])
			return;
	}
	ledger_in_step(n->ledger, node_names[from]);
}

/* The next message of a link. false: there is none */
static inline bool deliver(struct cluster *c, int from, int to)
{
	struct link *l = &c->links[from][to];
	struct node *n = &c->nodes[to];
	struct message *m;

	if (l->is_cut || l->begin == l->n || !n->ledger || n->is_gone)
		return false;
	m = &l->v[l->begin++];
	if (m->table)
		deliver_slot(n, from, m);
	else
		deliver_audit(n, from, m);
	free(m->slot);
	if (l->begin == l->n)
		l->begin = l->n = 0;
	return true;
}

static inline void audit(struct cluster *c, int from, int to)
{
	struct node *n = &c->nodes[from];
	struct message m = { 0 };
	uint8_t table;

	if (c->links[from][to].is_cut || !n->ledger || n->is_gone)
		return;
	for (table = 1; table < FR_TABLES_MAX; table++) {
		struct truth *t = ledger_truth(n->ledger, table, node_names[from]);

		if (t)
			m.digests[table] = index_digest(truth_index(t));
	}
	link_push(&c->links[from][to], m);
}

static inline void cut(struct cluster *c, int from, int to)
{
	c->links[from][to].is_cut = true;
	link_clear(&c->links[from][to]);
}

static inline void flush(struct node *n)
{
	if (n->ledger && !n->is_gone)
		assert_int_equal(ledger_flush(n->ledger), 0);
}

static inline void tick(struct node *n)
{
	kernel_expire(n);
	if (n->ledger && !n->is_gone)
		ledger_tick(n->ledger);
	flush(n);
}

/* Deliver all there is, and what comes of it. */
static inline void talk(struct cluster *c)
{
	bool is_any = true;
	int i, k;

	while (is_any) {
		is_any = false;
		for (i = 0; i < c->n; i++)
			for (k = 0; k < c->n; k++)
				while (i != k && deliver(c, i, k))
					is_any = true;
		for (i = 0; i < c->n; i++)
			flush(&c->nodes[i]);
	}
}

static inline void pass(struct cluster *c, unsigned int ms)
{
	int i, k;

	c->now_ms += ms;
	for (i = 0; i < c->n; i++)
		tick(&c->nodes[i]);
	talk(c);
	for (i = 0; i < c->n; i++)
		for (k = 0; k < c->n; k++)
			if (i != k)
				audit(c, i, k);
	talk(c);
}

struct repair {
	struct node *n;
	int to;
	uint8_t table;
	const struct flyrep_item *key;
	bool is_found;
};

static inline void repair_slot(void *cookie, const void *rec)
{
	const struct fr_slot *slot = rec;
	struct repair *r = cookie;

	if (slot->key_len != r->key->key_len || memcmp(slot + 1, r->key + 1, slot->key_len))
		return;
	send_slot(r->n, r->to, r->table, slot);
	r->is_found = true;
}

/* Tell a peer what this node has of one key, if only that it has nothing. */
static inline void repair_key(struct cluster *c, int from, int to, uint8_t table,
			      const struct flyrep_item *key)
{
	struct repair r = { &c->nodes[from], to, table, key, false };
	uint64_t room[FR_RECORD_KEY_ROOM / 8 + 1] = { 0 };
	struct truth *t = ledger_truth(r.n->ledger, table, node_names[from]);

	ledger_walk(r.n->ledger, table, node_names[from],
		    index_bucket(truth_index(t), key_of(key), key->key_len), repair_slot, &r);
	if (r.is_found)
		return;
	fr_slot_table(table)->from_key(room, key_of(key), key->key_len);
	((struct flyrep_rec *)room)->op = FLYREP_OP_DELETE;
	send_slot(r.n, to, table, room);
}

#endif
