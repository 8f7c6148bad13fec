// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * lab: deadline=300
 *
 * The tables that the module keeps itself: leases, DNS, learning, configuration, metrics.
 */
#include "kt_flow.h"
#include "kt_harness.h"

#include "item.h"

/* What a dump said, one item after the other */
struct told {
	unsigned int	n;
	unsigned int	n_dirty;
	uint32_t	dirty_tables;
	struct {
		uint8_t		table;
		uint8_t		op;
		uint8_t		flags;
		uint32_t	id;
		uint64_t	stamp;
		uint64_t	expires_ms;
		uint16_t	key_len;
		uint16_t	value_len;
		uint8_t		bytes[200];	/* key and value, as far as they fit */
	} item[4096];
};

static void on_records(void *cookie, uint8_t table, const void *recs, size_t n)
{
	const struct fr_table *t = fr_table_by_id(table);
	struct told *told = cookie;

	for (; n; n--, recs = fr_record_next(t, recs)) {
		const struct flyrep_item *r = recs;
		unsigned int len;

		if (!fr_item_fields(table))
			continue;
		len = r->key_len + r->value_len;
		if (told->n == 4096 || r->rec.tail_len != FLYREP_ITEM_TAIL_LEN(r->key_len, r->value_len))
			abort();
		told->item[told->n].table = table;
		told->item[told->n].op = r->rec.op;
		told->item[told->n].flags = r->rec.flags;
		told->item[told->n].id = r->rec.id;
		told->item[told->n].stamp = r->rec.stamp;
		told->item[told->n].expires_ms = r->expires_ms;
		told->item[told->n].key_len = r->key_len;
		told->item[told->n].value_len = r->value_len;
		memcpy(told->item[told->n].bytes, r + 1,
		       len < sizeof(told->item[0].bytes) ? len : sizeof(told->item[0].bytes));
		told->n++;
	}
}

static void on_dirty(void *cookie, uint8_t table, uint32_t n, const uint8_t *buckets)
{
	struct told *told = cookie;

	if (table < FLYREP_TABLE_LEASE || table > FLYREP_TABLE_METRIC)
		return;
	if (n != FLYREP_BUCKETS || buckets)
		abort();
	told->dirty_tables |= 1u << table;
	told->n_dirty++;
}

static const struct fr_genl_sink told_sink = { .records = on_records, .dirty = on_dirty };

static int pump(struct fr_genl *g, struct told *told)
{
	int rc;

	do {
		struct pollfd p = { .fd = fr_genl_fd(g), .events = POLLIN };

		rc = fr_genl_pump(g, &told_sink, told);
		if (rc == -EAGAIN && poll(&p, 1, KT_WAIT_MS) <= 0)
			return -ETIMEDOUT;
	} while (rc == 1 || rc == -EAGAIN);
	return rc;
}

/* Forget what was told, and drain. */
static int drain(struct fr_genl *g, struct told *told)
{
	memset(told, 0, sizeof(*told));
	return fr_genl_drain_start(g) ?: pump(g, told);
}

static int snapshot(struct fr_genl *g, struct told *told, uint8_t table, uint8_t origin,
		    const uint8_t *buckets)
{
	struct fr_genl_snapshot req = { .table = table, .origin = origin, .buckets = buckets };

	memset(told, 0, sizeof(*told));
	return fr_genl_snapshot_start(g, &req) ?: pump(g, told);
}

static void on_error(void *cookie, const void *rec, int error)
{
	(void)rec;
	*(int *)cookie = error;
}

static int apply(struct fr_genl *g, uint8_t table, uint32_t flags, const void *rec)
{
	int err = 0;
	ssize_t n = fr_genl_apply(g, table, flags, rec, 1, on_error, &err);

	return n < 0 ? (int)n : err;
}

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return t.tv_sec * 1000ull + t.tv_nsec / 1000000;
}

static uint64_t room[FR_ITEM_ROOM / 8 + 1];

/* A lease of @ip in @scope to the client of that number; @end_ms from now, 0 never */
static void *lease(uint8_t op, const char *scope, unsigned int client, const char *ip, int end_ms)
{
	char mac[32];
	const char *texts[FR_ITEM_FIELDS_MAX] = { scope, mac, NULL, ip };
	char *why;

	snprintf(mac, sizeof(mac), "02:00:%02x:%02x:%02x:%02x", client >> 24 & 0xff,
		 client >> 16 & 0xff, client >> 8 & 0xff, client & 0xff);
	if (fr_item_make(room, FLYREP_TABLE_LEASE, op, texts, end_ms ? now_ms() + end_ms : 0,
			 &why) < 0)
		abort();
	return room;
}

static int put(struct fr_genl *g, uint32_t flags, const char *scope, unsigned int client,
	       const char *ip, int end_ms)
{
	return apply(g, FLYREP_TABLE_LEASE, flags, lease(FLYREP_OP_INSERT, scope, client, ip, end_ms));
}

static int del(struct fr_genl *g, uint32_t flags, const char *scope, unsigned int client)
{
	return apply(g, FLYREP_TABLE_LEASE, flags, lease(FLYREP_OP_DELETE, scope, client, NULL, 0));
}

#define LOCAL FLYREP_APPLY_F_LOCAL
#define FORCE FLYREP_APPLY_F_FORCE

/* How many items a table has */
static unsigned int count(struct fr_genl *g, struct told *told, uint8_t origin)
{
	return snapshot(g, told, FLYREP_TABLE_LEASE, origin, NULL) ? 9999999 : told->n;
}

static struct flyrep_usage usage(struct fr_genl *g, uint8_t table)
{
	struct fr_genl_info info;
	size_t i;

	if (!fr_genl_info(g, &info))
		for (i = 0; i < info.n_items; i++)
			if (info.items[i].table == table)
				return info.items[i];
	return (struct flyrep_usage){};
}

FIXTURE(item)
{
	struct kt_nets	nets;
	struct fr_genl	*g;
	struct told	*told;
};

FIXTURE_SETUP(item)
{
	self->told = calloc(1, sizeof(*self->told));
	ASSERT_NE(NULL, self->told);
	ASSERT_EQ(0, kt_load());
	ASSERT_EQ(0, kt_nets_up(&self->nets));
	ASSERT_EQ(0, kt_reader(&self->g));
}

FIXTURE_TEARDOWN(item)
{
	fr_genl_close(self->g);
	free(self->told);
	kt_nets_down(&self->nets);
}

/* A local change is told once, however often it was made, with the state of now; so is the end. */
TEST_F(item, local_changes_are_captured)
{
	uint32_t id;

	ASSERT_EQ(0, put(self->g, LOCAL, "lan", 1, "192.0.2.1", 0));
	ASSERT_EQ(0, put(self->g, LOCAL, "lan", 1, "192.0.2.9", 0));
	EXPECT_TRUE(kt_wait_wake(self->g, KT_WAIT_MS));
	ASSERT_EQ(0, drain(self->g, self->told));
	ASSERT_EQ(1, self->told->n);
	EXPECT_EQ(FLYREP_TABLE_LEASE, self->told->item[0].table);
	EXPECT_EQ(FLYREP_OP_UPDATE, self->told->item[0].op);
	EXPECT_EQ(0, self->told->item[0].flags);
	EXPECT_EQ(0, memcmp(self->told->item[0].bytes,
			    (uint8_t *)lease(FLYREP_OP_INSERT, "lan", 1, "192.0.2.9", 0) +
			    sizeof(struct flyrep_item),
			    self->told->item[0].key_len + self->told->item[0].value_len));
	id = self->told->item[0].id;
	EXPECT_NE(0, id);

	/* The same again is no news. */
	ASSERT_EQ(0, put(self->g, LOCAL, "lan", 1, "192.0.2.9", 0));
	ASSERT_EQ(0, drain(self->g, self->told));
	EXPECT_EQ(0, self->told->n);

	ASSERT_EQ(0, del(self->g, LOCAL, "lan", 1));
	EXPECT_TRUE(kt_wait_wake(self->g, KT_WAIT_MS));
	/* Another life of the same key, before the end of the first was read */
	ASSERT_EQ(0, put(self->g, LOCAL, "lan", 1, "192.0.2.5", 0));
	ASSERT_EQ(0, drain(self->g, self->told));
	ASSERT_EQ(2, self->told->n);
	EXPECT_EQ(FLYREP_OP_DELETE, self->told->item[0].op);
	EXPECT_EQ(id, self->told->item[0].id);
	EXPECT_EQ(0, self->told->item[0].value_len);
	EXPECT_EQ(FLYREP_OP_UPDATE, self->told->item[1].op);
	EXPECT_NE(id, self->told->item[1].id);
	EXPECT_LT(self->told->item[0].stamp, self->told->item[1].stamp);
	EXPECT_EQ(-ENOENT, del(self->g, LOCAL, "lan", 2));
}

/* What is held for a peer is not captured, belongs to it, and changes hands by force only. */
TEST_F(item, held_items_are_the_peers)
{
	ASSERT_EQ(0, put(self->g, 0, "lan", 1, "192.0.2.1", 0));
	ASSERT_EQ(0, put(self->g, 0, "lan", 2, "192.0.2.2", 0));
	ASSERT_EQ(0, drain(self->g, self->told));
	EXPECT_EQ(0, self->told->n);
	EXPECT_EQ(-EBUSY, put(self->g, LOCAL, "lan", 1, "192.0.2.1", 0));
	EXPECT_EQ(-EBUSY, del(self->g, LOCAL, "lan", 1));
	EXPECT_EQ(0, del(self->g, 0, "lan", 2));
	EXPECT_EQ(1, usage(self->g, FLYREP_TABLE_LEASE).held);
	EXPECT_EQ(0, count(self->g, self->told, FLYREP_ORIGIN_LOCAL));
	EXPECT_EQ(1, count(self->g, self->told, FLYREP_ORIGIN_REMOTE));
	EXPECT_EQ(FLYREP_REC_F_REMOTE, self->told->item[0].flags);

	EXPECT_EQ(0, put(self->g, LOCAL | FORCE, "lan", 1, "192.0.2.1", 0));
	EXPECT_EQ(0, usage(self->g, FLYREP_TABLE_LEASE).held);
	ASSERT_EQ(0, drain(self->g, self->told));
	ASSERT_EQ(2, self->told->n);
	EXPECT_EQ(FLYREP_REC_F_REMOTE, self->told->item[0].flags);
	EXPECT_EQ(FLYREP_OP_DELETE, self->told->item[0].op);
	EXPECT_EQ(0, self->told->item[1].flags);
	EXPECT_EQ(FLYREP_OP_UPDATE, self->told->item[1].op);
	EXPECT_EQ(-EBUSY, put(self->g, 0, "lan", 1, "192.0.2.7", 0));
	EXPECT_EQ(0, put(self->g, FORCE, "lan", 1, "192.0.2.7", 0));
	ASSERT_EQ(0, drain(self->g, self->told));
	EXPECT_EQ(0, self->told->n);
	/* Not for flows */
	EXPECT_EQ(-EINVAL, kt_apply(self->g, kt_rec(FLYREP_OP_INSERT, IPPROTO_UDP, "10.1.0.1", 1,
						    "10.2.0.1", 53), LOCAL));
	EXPECT_STREQ("only items can be applied as local", fr_genl_error(self->g));
}

#define SHARED FLYREP_APPLY_F_SHARED

/*
 * Where several nodes write, what the reader puts is local and no news to it; but it changes
 * nothing of which it was not told what became of it.
 */
TEST_F(item, shared_items_give_way_to_what_is_not_told_yet)
{
	ASSERT_EQ(0, put(self->g, SHARED, "lan", 1, "192.0.2.1", 0));
	ASSERT_EQ(0, drain(self->g, self->told));
	EXPECT_EQ(0, self->told->n);
	EXPECT_EQ(0, usage(self->g, FLYREP_TABLE_LEASE).held);

	/* Changed here, and not told */
	ASSERT_EQ(0, put(self->g, LOCAL, "lan", 1, "192.0.2.2", 0));
	EXPECT_EQ(-EBUSY, put(self->g, SHARED, "lan", 1, "192.0.2.3", 0));
	EXPECT_EQ(-EBUSY, del(self->g, SHARED, "lan", 1));
	ASSERT_EQ(0, drain(self->g, self->told));
	EXPECT_EQ(1, self->told->n);
	EXPECT_EQ(0, put(self->g, SHARED, "lan", 1, "192.0.2.3", 0));

	/* Deleted here, and not told: nor is another one put, as it might be that one */
	ASSERT_EQ(0, del(self->g, LOCAL, "lan", 1));
	EXPECT_EQ(-EBUSY, put(self->g, SHARED, "lan", 1, "192.0.2.3", 0));
	EXPECT_EQ(-EBUSY, put(self->g, SHARED, "lan", 2, "192.0.2.4", 0));
	ASSERT_EQ(0, drain(self->g, self->told));
	EXPECT_EQ(1, self->told->n);
	EXPECT_EQ(0, put(self->g, SHARED, "lan", 1, "192.0.2.3", 0));
	EXPECT_EQ(-EEXIST, put(self->g, SHARED, "lan", 2, "192.0.2.3", 0));
	EXPECT_EQ(0, del(self->g, SHARED, "lan", 1));
	EXPECT_EQ(-ENOENT, del(self->g, SHARED, "lan", 1));
	ASSERT_EQ(0, drain(self->g, self->told));
	EXPECT_EQ(0, self->told->n);
	EXPECT_EQ(0, usage(self->g, FLYREP_TABLE_LEASE).entries);

	/* What was held is local from then on, and ends by itself */
	ASSERT_EQ(0, put(self->g, 0, "lan", 5, "192.0.2.5", 0));
	EXPECT_EQ(0, put(self->g, SHARED, "lan", 5, "192.0.2.5", 500));
	EXPECT_EQ(0, usage(self->g, FLYREP_TABLE_LEASE).held);
	EXPECT_TRUE(kt_wait_wake(self->g, KT_WAIT_MS));
	ASSERT_EQ(0, drain(self->g, self->told));
	ASSERT_EQ(1, self->told->n);
	EXPECT_EQ(FLYREP_OP_DELETE, self->told->item[0].op);

	EXPECT_EQ(-EINVAL, put(self->g, SHARED | LOCAL, "lan", 1, "192.0.2.3", 0));
	EXPECT_STREQ("an item is local or shared, not both", fr_genl_error(self->g));
}

/* What is told of it goes with a reader: the next one begins with all. */
TEST_F(item, shared_items_and_a_new_reader)
{
	ASSERT_EQ(0, put(self->g, LOCAL, "lan", 1, "192.0.2.1", 0));
	ASSERT_EQ(0, drain(self->g, self->told));
	ASSERT_EQ(0, del(self->g, LOCAL, "lan", 1));
	EXPECT_EQ(-EBUSY, put(self->g, SHARED, "lan", 2, "192.0.2.4", 0));
	fr_genl_close(self->g);
	ASSERT_EQ(0, kt_reader(&self->g));
	EXPECT_EQ(0, put(self->g, SHARED, "lan", 2, "192.0.2.4", 0));
}

/* One address, one lease, within a scope; by force the other one goes, and that is told. */
TEST_F(item, an_address_is_leased_once)
{
	ASSERT_EQ(0, put(self->g, LOCAL, "lan", 1, "192.0.2.1", 0));
	EXPECT_EQ(-EEXIST, put(self->g, LOCAL, "lan", 2, "192.0.2.1", 0));
	EXPECT_EQ(0, put(self->g, LOCAL, "wan", 2, "192.0.2.1", 0));
	EXPECT_EQ(0, put(self->g, LOCAL, "lan", 3, "2001:db8::/56", 0));
	EXPECT_EQ(-EEXIST, put(self->g, LOCAL, "lan", 4, "2001:db8::/56", 0));
	EXPECT_EQ(0, put(self->g, LOCAL, "lan", 4, "2001:db8::", 0));
	/* Without an address there is nothing to quarrel over. */
	EXPECT_EQ(0, put(self->g, LOCAL, "lan", 5, NULL, 0));
	EXPECT_EQ(0, put(self->g, LOCAL, "lan", 6, NULL, 0));
	ASSERT_EQ(0, drain(self->g, self->told));
	EXPECT_EQ(6, self->told->n);

	/* Refused, nothing has changed. */
	EXPECT_EQ(-EEXIST, put(self->g, LOCAL, "lan", 5, "192.0.2.1", 0));
	EXPECT_EQ(6, count(self->g, self->told, FLYREP_ORIGIN_ANY));
	EXPECT_EQ(0, put(self->g, LOCAL | FORCE, "lan", 5, "192.0.2.1", 0));
	ASSERT_EQ(0, drain(self->g, self->told));
	ASSERT_EQ(2, self->told->n);
	EXPECT_EQ(FLYREP_OP_DELETE, self->told->item[0].op);
	EXPECT_EQ(FLYREP_OP_UPDATE, self->told->item[1].op);
	/* An address that was given up is free. */
	EXPECT_EQ(0, put(self->g, LOCAL, "lan", 5, "192.0.2.8", 0));
	EXPECT_EQ(0, put(self->g, LOCAL, "lan", 9, "192.0.2.1", 0));
	EXPECT_EQ(0, del(self->g, LOCAL, "lan", 9));
	EXPECT_EQ(0, put(self->g, LOCAL, "lan", 10, "192.0.2.1", 0));
}

static int limit(struct fr_genl *g, uint32_t max_entries, uint64_t max_bytes)
{
	struct flyrep_limit l = { .table = FLYREP_TABLE_LEASE, .max_entries = max_entries,
				  .max_bytes = max_bytes };
	struct fr_genl_config c = FR_GENL_CONFIG_KEEP;

	c.limits = &l;
	c.n_limits = 1;
	return fr_genl_config(g, &c);
}

TEST_F(item, limits_hold)
{
	struct flyrep_usage u;

	ASSERT_EQ(0, put(self->g, LOCAL, "lan", 1, "192.0.2.1", 0));
	u = usage(self->g, FLYREP_TABLE_LEASE);
	EXPECT_EQ(1, u.entries);
	EXPECT_EQ(65536, u.max_entries);
	EXPECT_EQ(16 << 20, u.max_bytes);
	EXPECT_GT(u.bytes, 20);
	ASSERT_EQ(0, limit(self->g, 2, 1 << 20));
	ASSERT_EQ(0, put(self->g, LOCAL, "lan", 2, "192.0.2.2", 0));
	EXPECT_EQ(-ENFILE, put(self->g, LOCAL, "lan", 3, "192.0.2.3", 0));
	/* What is there may change, and go. */
	EXPECT_EQ(0, put(self->g, LOCAL, "lan", 2, "192.0.2.3", 0));
	EXPECT_EQ(0, del(self->g, LOCAL, "lan", 2));
	ASSERT_EQ(0, limit(self->g, 100, u.bytes + 5));
	EXPECT_EQ(-EDQUOT, put(self->g, LOCAL, "lan", 4, "192.0.2.4", 0));
	EXPECT_EQ(0, put(self->g, LOCAL, "lan", 1, NULL, 0));
	/* A limit below what is there lets it shrink only. */
	ASSERT_EQ(0, put(self->g, LOCAL, "lan", 1, "192.0.2.1", 0));
	ASSERT_EQ(0, limit(self->g, 1, 1));
	EXPECT_EQ(-EDQUOT, put(self->g, LOCAL, "lan", 1, "2001:db8::1", 0));
	EXPECT_EQ(0, put(self->g, LOCAL, "lan", 1, NULL, 0));
	EXPECT_EQ(0, del(self->g, LOCAL, "lan", 1));
	EXPECT_EQ(0, usage(self->g, FLYREP_TABLE_LEASE).bytes);
	EXPECT_EQ(0, usage(self->g, FLYREP_TABLE_LEASE).entries);

	EXPECT_EQ(-EINVAL, limit(self->g, 0, 1));
	EXPECT_STREQ("a limit is out of range", fr_genl_error(self->g));
	EXPECT_EQ(-EINVAL, limit(self->g, FLYREP_LIMIT_MAX_ENTRIES + 1, 1));
	EXPECT_EQ(-EINVAL, limit(self->g, 1, FLYREP_LIMIT_MAX_BYTES + 1ull));
}

/* The kernel ends a local item at its time and says so; a held one only after PROMOTE. */
TEST_F(item, items_end_at_their_time)
{
	uint32_t n;

	EXPECT_EQ(-ETIME, put(self->g, LOCAL, "lan", 1, "192.0.2.1", -1000));
	ASSERT_EQ(0, put(self->g, 0, "lan", 1, "192.0.2.1", -1000));
	ASSERT_EQ(0, put(self->g, 0, "lan", 2, "192.0.2.2", 3600000));
	ASSERT_EQ(0, put(self->g, LOCAL, "lan", 3, "192.0.2.3", 3600000));
	ASSERT_EQ(0, put(self->g, LOCAL, "lan", 4, "192.0.2.4", 0));
	ASSERT_EQ(0, put(self->g, LOCAL, "lan", 5, "192.0.2.5", 300));
	ASSERT_EQ(0, drain(self->g, self->told));
	EXPECT_EQ(3, self->told->n);
	EXPECT_TRUE(kt_wait_wake(self->g, KT_WAIT_MS));
	ASSERT_EQ(0, drain(self->g, self->told));
	ASSERT_EQ(1, self->told->n);
	EXPECT_EQ(FLYREP_OP_DELETE, self->told->item[0].op);
	EXPECT_EQ(1, kt_counter(self->g, FLYREP_C_ITEM_EXPIRED));
	EXPECT_EQ(4, count(self->g, self->told, FLYREP_ORIGIN_ANY));

	/* A later end counts, and none at all. */
	ASSERT_EQ(0, put(self->g, LOCAL, "lan", 6, "192.0.2.6", 200));
	ASSERT_EQ(0, put(self->g, LOCAL, "lan", 6, "192.0.2.6", 3600000));
	ASSERT_EQ(0, put(self->g, LOCAL, "lan", 7, "192.0.2.7", 200));
	ASSERT_EQ(0, put(self->g, LOCAL, "lan", 7, "192.0.2.7", 0));
	ASSERT_EQ(0, put(self->g, LOCAL, "lan", 8, "192.0.2.8", 250));
	EXPECT_TRUE(kt_until(kt_counter(self->g, FLYREP_C_ITEM_EXPIRED) == 2));
	EXPECT_EQ(6, count(self->g, self->told, FLYREP_ORIGIN_ANY));

	/* Two items were held, one of which is long over. */
	ASSERT_EQ(0, fr_genl_promote(self->g, &n));
	EXPECT_EQ(2, n);
	EXPECT_TRUE(kt_until(kt_counter(self->g, FLYREP_C_ITEM_EXPIRED) == 3));
	EXPECT_EQ(5, count(self->g, self->told, FLYREP_ORIGIN_LOCAL));
	ASSERT_EQ(0, drain(self->g, self->told));
	EXPECT_EQ(5, self->told->n_dirty);
	EXPECT_EQ(0x7c, self->told->dirty_tables);
}

/* A standby tells nothing of its own; whoever stops being one knows nothing of it. */
TEST_F(item, standby)
{
	uint32_t n;

	ASSERT_EQ(0, put(self->g, LOCAL, "lan", 1, "192.0.2.1", 400));
	ASSERT_EQ(0, drain(self->g, self->told));
	ASSERT_EQ(0, fr_genl_demote(self->g, &n));
	EXPECT_EQ(1, n);
	ASSERT_EQ(0, put(self->g, LOCAL, "lan", 2, "192.0.2.2", 0));
	ASSERT_EQ(0, drain(self->g, self->told));
	EXPECT_EQ(0, self->told->n);
	EXPECT_EQ(1, count(self->g, self->told, FLYREP_ORIGIN_REMOTE));
	/* What a peer loses here is told all the same: deleted, or taken from it. */
	ASSERT_EQ(0, put(self->g, 0, "lan", 3, "192.0.2.3", 0));
	ASSERT_EQ(0, put(self->g, 0, "lan", 4, "192.0.2.4", 0));
	ASSERT_EQ(0, put(self->g, 0, "lan", 5, "192.0.2.5", 0));
	ASSERT_EQ(0, del(self->g, 0, "lan", 5));
	ASSERT_EQ(0, drain(self->g, self->told));
	EXPECT_EQ(0, self->told->n);
	ASSERT_EQ(0, del(self->g, LOCAL | FORCE, "lan", 3));
	ASSERT_EQ(0, put(self->g, LOCAL | FORCE, "lan", 4, "192.0.2.9", 0));
	ASSERT_EQ(0, drain(self->g, self->told));
	ASSERT_EQ(2, self->told->n);
	EXPECT_EQ(FLYREP_OP_DELETE, self->told->item[0].op);
	EXPECT_EQ(FLYREP_REC_F_REMOTE, self->told->item[0].flags);
	EXPECT_EQ(FLYREP_OP_DELETE, self->told->item[1].op);
	EXPECT_EQ(FLYREP_REC_F_REMOTE, self->told->item[1].flags);
	EXPECT_EQ(2, kt_counter(self->g, FLYREP_C_HELD_LOST));
	ASSERT_EQ(0, del(self->g, LOCAL, "lan", 4));
	/* The agent is gone: what is held ends at its time, but for what has none. */
	ASSERT_EQ(0, kt_config(self->g, -1, 0, -1));
	fr_genl_close(self->g);
	ASSERT_EQ(0, fr_genl_open(&self->g));
	EXPECT_TRUE(kt_until(count(self->g, self->told, FLYREP_ORIGIN_ANY) == 1));
	EXPECT_EQ(1, kt_counter(self->g, FLYREP_C_ORPHANED));
}

/* The tables outlive the reader; a new one is told to look at all of them. */
TEST_F(item, a_new_reader)
{
	struct fr_genl *other;

	ASSERT_EQ(0, put(self->g, LOCAL, "lan", 1, "192.0.2.1", 0));
	ASSERT_EQ(0, put(self->g, LOCAL, "lan", 2, "192.0.2.2", 0));
	ASSERT_EQ(0, del(self->g, LOCAL, "lan", 2));
	fr_genl_close(self->g);
	ASSERT_EQ(0, fr_genl_open(&self->g));
	ASSERT_TRUE(kt_until(!usage(self->g, FLYREP_TABLE_LEASE).held));
	ASSERT_EQ(0, put(self->g, LOCAL, "lan", 3, "192.0.2.3", 0));
	ASSERT_EQ(0, kt_config(self->g, -1, -1, -1));
	ASSERT_TRUE(kt_until(!fr_genl_bind(self->g)));
	ASSERT_EQ(0, drain(self->g, self->told));
	EXPECT_EQ(0, self->told->n);
	EXPECT_EQ(0x7c, self->told->dirty_tables);
	EXPECT_EQ(2, count(self->g, self->told, FLYREP_ORIGIN_LOCAL));
	ASSERT_EQ(0, drain(self->g, self->told));
	EXPECT_EQ(0, self->told->n_dirty);

	/* Of another namespace nothing is seen. */
	ASSERT_EQ(0, kt_enter(self->nets.b));
	ASSERT_EQ(0, fr_genl_open(&other));
	EXPECT_EQ(0, count(other, self->told, FLYREP_ORIGIN_ANY));
	EXPECT_EQ(0, put(other, LOCAL, "lan", 1, "192.0.2.1", 0));
	fr_genl_close(other);
	EXPECT_EQ(2, count(self->g, self->told, FLYREP_ORIGIN_ANY));
}

/* All of a large table, in messages; and some buckets of it, by user space's own hash */
TEST_F_TIMEOUT(item, many, 240)
{
	enum { N = 4000 };
	uint8_t half[FLYREP_BUCKETS_LEN];
	unsigned int i, in_half = 0, b;
	struct fr_siphash_key k;
	char ip[32];

	memcpy(k.b, kt_key, sizeof(k.b));
	memset(half, 0, sizeof(half));
	memset(half, 0xff, sizeof(half) / 2);
	for (i = 0; i < N; i++) {
		snprintf(ip, sizeof(ip), "10.0.%u.%u", i / 250, i % 250 + 1);
		ASSERT_EQ(0, put(self->g, LOCAL, "lan", i, ip, 0));
	}
	ASSERT_EQ(0, drain(self->g, self->told));
	ASSERT_EQ(N, self->told->n);
	ASSERT_EQ(0, snapshot(self->g, self->told, FLYREP_TABLE_LEASE, FLYREP_ORIGIN_ANY, NULL));
	ASSERT_EQ(N, self->told->n);
	for (i = 0; i < N; i++) {
		b = fr_siphash(self->told->item[i].bytes, self->told->item[i].key_len, &k) >> 48;
		in_half += !!(half[b / 8] & (1 << (b % 8)));
	}
	EXPECT_GT(in_half, N / 3);
	ASSERT_EQ(0, snapshot(self->g, self->told, FLYREP_TABLE_LEASE, FLYREP_ORIGIN_ANY, half));
	EXPECT_EQ(in_half, self->told->n);
	EXPECT_EQ(0, snapshot(self->g, self->told, FLYREP_TABLE_DNS, FLYREP_ORIGIN_ANY, NULL));
	EXPECT_EQ(0, self->told->n);
}

/* The longest item there can be, several times over: each fits a message. */
TEST_F(item, the_longest)
{
	struct flyrep_item *r = (void *)room;
	uint8_t *key = (uint8_t *)(r + 1);
	unsigned int i;

	memset(room, 0, sizeof(room));
	r->rec.op = FLYREP_OP_INSERT;
	r->key_len = FLYREP_ITEM_KEY_MAX_LEN;
	r->value_len = FLYREP_ITEM_VALUE_MAX_LEN;
	r->rec.tail_len = FLYREP_ITEM_TAIL_LEN(r->key_len, r->value_len);
	key[0] = (r->key_len - 2) >> 8;
	key[1] = (r->key_len - 2) & 0xff;
	key[r->key_len] = (r->value_len - 2) >> 8;
	key[r->key_len + 1] = (r->value_len - 2) & 0xff;
	for (i = 0; i < 5; i++) {
		key[2] = i;
		ASSERT_EQ(0, apply(self->g, FLYREP_TABLE_CONFIG, LOCAL, r));
	}
	ASSERT_EQ(0, drain(self->g, self->told));
	EXPECT_EQ(5, self->told->n);
	ASSERT_EQ(0, snapshot(self->g, self->told, FLYREP_TABLE_CONFIG, FLYREP_ORIGIN_ANY, NULL));
	EXPECT_EQ(5, self->told->n);
	EXPECT_EQ(FLYREP_ITEM_VALUE_MAX_LEN, self->told->item[4].value_len);
}

TEST_F(item, bad_records)
{
	struct flyrep_item *r = (void *)room;
	uint8_t *tail = (uint8_t *)(r + 1);
	unsigned int n = 0;

#define REFUSED(change) do {							\
	lease(FLYREP_OP_INSERT, "lan", 1, "192.0.2.1", 0);			\
	change;									\
	EXPECT_EQ(-EINVAL, apply(self->g, FLYREP_TABLE_LEASE, LOCAL, r))	\
		TH_LOG("not refused: %s", #change);				\
	n++;									\
} while (0)
	REFUSED(r->rec.op = FLYREP_OP_UNSPEC);
	REFUSED(r->rec.op = 4);
	REFUSED(r->rec.flags = 1);
	REFUSED(r->rec.id = 1);
	REFUSED(r->rec.stamp = 1);
	REFUSED(r->rec.age_us = 1);
	REFUSED(r->rec.reserved2 = 1);
	REFUSED(r->reserved = 1);
	REFUSED(r->key_len = 0);
	REFUSED(r->key_len = FLYREP_ITEM_KEY_MAX_LEN + 1);
	REFUSED(r->value_len = FLYREP_ITEM_VALUE_MAX_LEN + 1);
	REFUSED(r->rec.tail_len += 8; memset(tail + r->rec.tail_len - 8, 0, 8));
	REFUSED(r->rec.tail_len -= 8);
	REFUSED(tail[0] = 1);			/* the field is longer than the key */
	REFUSED(tail[1]++);			/* the fields do not fill the key */
	REFUSED(tail[r->key_len + 1]++);	/* nor the value */
	REFUSED(r->rec.op = FLYREP_OP_DELETE);	/* with a value */
	REFUSED(lease(FLYREP_OP_DELETE, "lan", 1, NULL, 0); r->expires_ms = 1);
	REFUSED(lease(FLYREP_OP_INSERT, "lan1", 1, "192.0.2.1", 0);
		tail[r->rec.tail_len - 1] = 1);	/* padding */
#undef REFUSED
	EXPECT_EQ(n, kt_counter(self->g, FLYREP_C_ITEM_REFUSED));
	EXPECT_EQ(0, count(self->g, self->told, FLYREP_ORIGIN_ANY));
}

TEST_HARNESS_MAIN
