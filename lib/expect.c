// SPDX-License-Identifier: GPL-2.0-or-later
#include "expect.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <netinet/in.h>
#include <stddef.h>
#include <string.h>

#include "conntrack.h"

#define VALUE_MAX 96 /* bytes of a value in a digest, at most */

static_assert(sizeof(struct flyrep_expect) == 200, "layout");
static_assert(offsetof(struct flyrep_expect, flags) == 120, "layout");
static_assert(FLYREP_EXPECT_FLAGS_MASK ==
		      (NF_CT_EXPECT_PERMANENT | NF_CT_EXPECT_INACTIVE),
	      "flags that travel");

static size_t addr_len(const struct flyrep_expect *e)
{
	return e->family == AF_INET ? 4 : 16;
}

static unsigned int expect_key(uint8_t *key, const void *rec)
{
	return flyrep_expect_key(key, rec);
}

/* The inverse of flyrep_expect_key(); false: it is not one. */
static bool read_key(struct flyrep_expect *e, const uint8_t *key,
		     size_t key_len)
{
	const uint8_t *addrs = key + 16;
	size_t n;

	e->family = key_len == FLYREP_EXPECT_KEY_V4_LEN ? AF_INET : AF_INET6;
	n = addr_len(e);
	if (key_len != FLYREP_EXPECT_KEY_V4_LEN &&
	    key_len != FLYREP_EXPECT_KEY_MAX_LEN)
		return false;
	if ((key[0] & 0xf) != (n == 4 ? 4 : 6) || key[5])
		return false;
	e->zone_dir = key[0] >> 4;
	e->proto = key[1];
	e->zone = (uint16_t)(key[2] | key[3] << 8);
	e->master_proto = key[4];
	memcpy(&e->mask_sport, key + 6, 2);
	memcpy(&e->master.sport, key + 8, 2);
	memcpy(&e->master.dport, key + 10, 2);
	memcpy(&e->tuple.sport, key + 12, 2);
	memcpy(&e->tuple.dport, key + 14, 2);
	memcpy(e->master.src.byte, addrs, n);
	memcpy(e->master.dst.byte, addrs + n, n);
	memcpy(e->tuple.src.byte, addrs + 2 * n, n);
	memcpy(e->tuple.dst.byte, addrs + 3 * n, n);
	memcpy(e->mask_src.byte, addrs + 4 * n, n);
	return true;
}

/* --- check -------------------------------------------------------------- */

/* One of its two flows, as a record of its own */
static struct flyrep_ct side_of(const struct flyrep_expect *e, uint8_t proto,
				const struct flyrep_ct_tuple *t)
{
	return (struct flyrep_ct){
		.rec = e->rec,
		.family = e->family,
		.proto = proto,
		.zone = e->zone,
		.zone_dir = e->zone_dir,
		.orig = *t,
	};
}

static bool is_side(const struct flyrep_expect *e, uint8_t proto,
		    const struct flyrep_ct_tuple *t, const char **why)
{
	struct flyrep_ct side = side_of(e, proto, t);

	/* Whatever passes for a DELETE is a key. */
	side.rec.op = FLYREP_OP_DELETE;
	return !fr_conntrack_check(&side, why);
}

static bool is_v4_clean(const union flyrep_addr *a)
{
	return !(a->word[1] | a->word[2] | a->word[3]);
}

/* A name or nothing, and zeros behind it */
static bool is_name(const char *name, size_t size)
{
	size_t len = strnlen(name, size), i;

	for (i = len; i < size; i++)
		if (name[i])
			return false;
	return len < size;
}

static const char *flaw_of_value(const struct flyrep_expect *e)
{
	if (e->class >= FLYREP_EXPECT_CLASSES)
		return "class out of range";
	if (e->nat_dir > 1)
		return "direction out of range";
	if (e->family == AF_INET && !is_v4_clean(&e->nat_addr))
		return "unused address words are set";
	if (!is_name(e->helper, sizeof(e->helper)) ||
	    !is_name(e->expectfn, sizeof(e->expectfn)))
		return "a name is not padded with zeros";
	if (e->reserved[0] | e->reserved[1] | e->reserved[2] | e->reserved[3])
		return "reserved bytes are set";
	return NULL;
}

static const char *flaw(const struct flyrep_expect *e)
{
	const char *why = NULL;

	if (e->rec.op == FLYREP_OP_UNSPEC || e->rec.op >= __FLYREP_OP_MAX)
		return "unknown operation";
	if (e->rec.tail_len)
		return "an expectation has no tail";
	if (!is_side(e, e->master_proto, &e->master, &why) ||
	    !is_side(e, e->proto, &e->tuple, &why))
		return why;
	if (e->family == AF_INET && !is_v4_clean(&e->mask_src))
		return "unused address words are set";
	return e->rec.op == FLYREP_OP_DELETE ? NULL : flaw_of_value(e);
}

static int expect_check(const void *rec, const char **why)
{
	*why = flaw(rec);
	return *why ? -EINVAL : 0;
}

static int expect_from_key(void *rec, const uint8_t *key, size_t key_len)
{
	struct flyrep_expect *e = rec;

	if (!read_key(e, key, key_len))
		return -EINVAL;
	e->rec.op = FLYREP_OP_DELETE;
	if (flaw(e))
		return -EINVAL;
	e->rec.op = FLYREP_OP_UNSPEC;
	return 0;
}

/* --- as it travels ------------------------------------------------------ */

/* What two nodes must agree on beside the key */
static void put_value(struct fr_writer *w, const struct flyrep_expect *e)
{
	fr_put_u8(w, e->class);
	fr_put_u8(w, e->flags & FLYREP_EXPECT_FLAGS_MASK);
	fr_put_u8(w, e->nat_dir);
	fr_put_be16(w, ntohs(e->nat_port));
	fr_put_bytes(w, e->nat_addr.byte, addr_len(e));
	fr_put_str8(w, e->helper);
	fr_put_str8(w, e->expectfn);
}

static void get_value(struct fr_reader *r, struct flyrep_expect *e)
{
	e->class = fr_get_u8(r);
	e->flags = fr_get_u8(r);
	e->nat_dir = fr_get_u8(r);
	e->nat_port = htons(fr_get_be16(r));
	fr_get_bytes(r, e->nat_addr.byte, addr_len(e));
	fr_get_str8(r, e->helper, sizeof(e->helper));
	fr_get_str8(r, e->expectfn, sizeof(e->expectfn));
}

/* docs/protocol.md: the canonical key, then the value. */
static uint64_t expect_digest(const void *rec,
			      const struct fr_siphash_key *hash_key)
{
	const struct flyrep_expect *e = rec;
	uint8_t buf[FLYREP_EXPECT_KEY_MAX_LEN + VALUE_MAX]
		__attribute__((aligned(8)));
	unsigned int key_len = flyrep_expect_key(buf, e);
	struct fr_writer w;

	fr_writer_init(&w, buf + key_len, sizeof(buf) - key_len);
	put_value(&w, e);
	return fr_siphash(buf, key_len + fr_writer_len(&w), hash_key);
}

static int expect_encode(struct fr_writer *w, const void *recs, size_t n)
{
	uint8_t key[FLYREP_EXPECT_KEY_MAX_LEN] __attribute__((aligned(8)));
	const struct flyrep_expect *e = recs;
	const char *why;

	fr_put_varint(w, n);
	for (; n; n--, e = fr_record_next(&fr_expect_table, e)) {
		if (expect_check(e, &why)) {
			w->bad = true;
			return -EINVAL;
		}
		fr_put_u8(w, e->rec.op);
		fr_put_bytes(w, key, flyrep_expect_key(key, e));
		if (e->rec.op == FLYREP_OP_DELETE)
			continue;
		fr_put_varint(w, e->timeout_s);
		put_value(w, e);
	}
	return w->bad ? -ENOSPC : 0;
}

static bool get_record(struct fr_reader *r, struct flyrep_expect *e)
{
	size_t key_len = FLYREP_EXPECT_KEY_V4_LEN;
	const uint8_t *key;
	uint64_t timeout_s;

	memset(e, 0, sizeof(*e));
	e->rec.op = fr_get_u8(r);
	/* The first byte of a key tells its length. */
	if (fr_reader_left(r) && (r->pos[0] & 0xf) == 6)
		key_len = FLYREP_EXPECT_KEY_MAX_LEN;
	key = fr_get_ref(r, key_len);
	if (!key || !read_key(e, key, key_len))
		return false;
	if (e->rec.op != FLYREP_OP_DELETE) {
		timeout_s = fr_get_varint(r);
		if (timeout_s > UINT32_MAX)
			return false;
		e->timeout_s = (uint32_t)timeout_s;
		get_value(r, e);
		if (e->flags & ~FLYREP_EXPECT_FLAGS_MASK)
			return false;
	}
	return !r->bad && !flaw(e);
}

static int expect_decode(struct fr_reader *r, void *recs, size_t room,
			 size_t n_max, size_t *n)
{
	struct flyrep_expect *e = recs;
	uint64_t count, i;

	*n = 0;
	count = fr_get_varint(r);
	if (r->bad || count > n_max || count > room / sizeof(*e))
		return -EBADMSG;
	for (i = 0; i < count; i++)
		if (!get_record(r, &e[i]))
			return -EBADMSG;
	*n = count;
	return 0;
}

/* --- for people --------------------------------------------------------- */

static json_t *flags_to_json(uint32_t flags)
{
	static const char *const names[] = { "permanent", "inactive",
					     "userspace" };
	json_t *list = json_array();
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (flags >> i & 1)
			json_array_append_new(list, json_string(names[i]));
	return list;
}

/* What no check has seen need not end, nor be text. */
static void name_to_json(json_t *obj, const char *field, const char *name,
			 size_t size)
{
	json_t *s = json_stringn(name, strnlen(name, size));

	if (name[0])
		json_object_set_new(obj, field, s ? s : json_string("?"));
	else
		json_decref(s);
}

static void value_to_json(json_t *obj, const struct flyrep_expect *e)
{
	char addr[INET6_ADDRSTRLEN] = "";

	json_object_set_new(obj, "timeout_s", json_integer(e->timeout_s));
	json_object_set_new(obj, "class", json_integer(e->class));
	json_object_set_new(obj, "flags", flags_to_json(e->flags));
	name_to_json(obj, "helper", e->helper, sizeof(e->helper));
	name_to_json(obj, "expectfn", e->expectfn, sizeof(e->expectfn));
	if (!e->expectfn[0])
		return;
	inet_ntop(e->family, e->nat_addr.byte, addr, sizeof(addr));
	json_object_set_new(obj, "nat",
			    json_pack("{s:s, s:i, s:s}", "addr", addr, "port",
				      ntohs(e->nat_port), "dir",
				      e->nat_dir ? "reply" : "original"));
}

static json_t *expect_to_json(const void *rec)
{
	const struct flyrep_expect *e = rec;
	struct flyrep_ct side = side_of(e, e->proto, &e->tuple);
	char mask[INET6_ADDRSTRLEN] = "";
	json_t *obj, *master;

	obj = fr_conntrack_head_to_json(fr_expect_table.name, &side);
	json_object_set_new(obj, "expected",
			    fr_conntrack_tuple_to_json(&side, &e->tuple));
	inet_ntop(e->family, e->mask_src.byte, mask, sizeof(mask));
	json_object_set_new(obj, "mask",
			    json_pack("{s:s, s:i}", "src", mask, "sport",
				      ntohs(e->mask_sport)));
	side.proto = e->master_proto;
	master = fr_conntrack_tuple_to_json(&side, &e->master);
	json_object_set_new(master, "proto",
			    fr_conntrack_proto_to_json(e->master_proto));
	json_object_set_new(obj, "master", master);
	if (e->rec.op != FLYREP_OP_DELETE)
		value_to_json(obj, e);
	return obj;
}

const struct fr_table fr_expect_table = {
	.id = FLYREP_TABLE_EXPECTATION,
	.name = "expectation",
	.rec_len = sizeof(struct flyrep_expect),
	.key = expect_key,
	.from_key = expect_from_key,
	.digest = expect_digest,
	.check = expect_check,
	.encode = expect_encode,
	.decode = expect_decode,
	.to_json = expect_to_json,
};
