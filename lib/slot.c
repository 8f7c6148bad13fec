// SPDX-License-Identifier: GPL-2.0-or-later
#include "slot.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#define N_OF(array) (sizeof(array) / sizeof((array)[0]))
#define SAW_HEAD_LEN 10 /* version, flags, length */
#define VERSION_END (1ull << 63)
#define BATCH_NODES_MAX 255 /* in the dictionary of a batch */

/* What is in the second byte of a slot on the wire. */
#define WIRE_F_TOMBSTONE 0x01
#define WIRE_F_DECIDED 0x02
#define WIRE_F_SAW 0x04
#define WIRE_F_ALL 0x07

static_assert(sizeof(struct fr_slot) == 56, "layout");
static_assert(FR_SLOT_ROOM - sizeof(struct fr_slot) <= UINT16_MAX, "tail_len is 16 bits");

const uint8_t *fr_slot_key(const struct fr_slot *s)
{
	return (const uint8_t *)(s + 1);
}

const uint8_t *fr_slot_value(const struct fr_slot *s)
{
	return fr_slot_key(s) + s->key_len;
}

static const uint8_t *slot_saw(const struct fr_slot *s)
{
	return fr_slot_value(s) + s->value_len;
}

static size_t slot_len(const struct fr_slot *s)
{
	return (size_t)s->key_len + s->value_len + s->saw_len;
}

/* The next of what a slot replaces; false: the bytes are none. */
static bool saw_next(struct fr_reader *r, struct fr_slot_saw *saw)
{
	saw->version = fr_get_be64(r);
	saw->flags = fr_get_u8(r);
	saw->node_len = fr_get_u8(r);
	saw->node = (const char *)fr_get_ref(r, saw->node_len);
	return !r->bad;
}

size_t fr_slot_saw(const struct fr_slot *s, struct fr_slot_saw *saw)
{
	struct fr_reader r;
	size_t n;

	fr_reader_init(&r, slot_saw(s), s->saw_len);
	for (n = 0; n < s->n_saw && n < FR_SLOT_SAW_MAX; n++)
		if (!saw_next(&r, &saw[n]))
			break;
	return n;
}

/* --- from parts --------------------------------------------------------- */

static void put_saw(struct fr_writer *w, const struct fr_slot_saw *saw, size_t n)
{
	for (; n; n--, saw++) {
		fr_put_be64(w, saw->version);
		fr_put_u8(w, saw->flags);
		fr_put_u8(w, saw->node_len);
		fr_put_bytes(w, saw->node, saw->node_len);
	}
}

/* Key, value and what it replaces are behind it: what follows from their lengths. */
static size_t finish(struct fr_slot *s)
{
	size_t len = slot_len(s), tail = (len + 7) & ~(size_t)7;

	memset((uint8_t *)(s + 1) + len, 0, tail - len);
	s->rec.tail_len = (uint16_t)tail;
	return sizeof(*s) + tail;
}

ssize_t fr_slot_pack(void *room, const struct fr_slot *head, const void *key, const void *value,
		     const struct fr_slot_saw *saw, size_t n_saw)
{
	struct fr_slot *s = room;
	struct fr_writer w;

	if (head->key_len > FLYREP_ITEM_KEY_MAX_LEN ||
	    head->value_len > FLYREP_ITEM_VALUE_MAX_LEN || n_saw > FR_SLOT_SAW_MAX)
		return -EMSGSIZE;
	*s = *head;
	fr_writer_init(&w, s + 1, FR_SLOT_ROOM - sizeof(*s) - 8);
	fr_put_bytes(&w, key, s->key_len);
	fr_put_bytes(&w, value, s->value_len);
	put_saw(&w, saw, n_saw);
	if (w.bad)
		return -EMSGSIZE;
	s->n_saw = (uint8_t)n_saw;
	s->saw_len = (uint16_t)(fr_writer_len(&w) - s->key_len - s->value_len);
	return (ssize_t)finish(s);
}

size_t fr_slot_item(void *room, const struct fr_slot *s)
{
	bool is_gone = s->rec.op == FLYREP_OP_DELETE || s->flags & FR_SLOT_F_TOMBSTONE;
	struct flyrep_item *it = room;
	size_t len;

	memset(it, 0, sizeof(*it));
	it->rec.op = is_gone ? FLYREP_OP_DELETE : FLYREP_OP_UPDATE;
	it->key_len = s->key_len;
	it->value_len = is_gone ? 0 : s->value_len;
	it->expires_ms = is_gone ? 0 : s->expires_ms;
	it->rec.tail_len = (uint16_t)FLYREP_ITEM_TAIL_LEN(it->key_len, it->value_len);
	len = (size_t)it->key_len + it->value_len;
	memcpy(it + 1, s + 1, len);
	memset((uint8_t *)(it + 1) + len, 0, it->rec.tail_len - len);
	return sizeof(*it) + it->rec.tail_len;
}

/* --- the row ------------------------------------------------------------ */

static bool is_node(const char *node, size_t len)
{
	static const char marks[] = "._-";
	size_t i;

	for (i = 0; i < len; i++) {
		char c = node[i];

		if ((c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') &&
		    (!c || !strchr(marks, c)))
			return false;
	}
	return len && len <= FR_SLOT_NODE_MAX;
}

static bool is_version(uint64_t version)
{
	return version && version < VERSION_END;
}

/* Shorter first where one begins like the other */
static int node_compare(const struct fr_slot_saw *a, const struct fr_slot_saw *b)
{
	size_t len = a->node_len < b->node_len ? a->node_len : b->node_len;
	int order = memcmp(a->node, b->node, len);

	return order ? order : a->node_len - b->node_len;
}

static const char *flaw_of_saw(const struct fr_slot *s)
{
	struct fr_slot_saw saw, last = { 0 };
	struct fr_reader r;
	size_t i;

	if (s->n_saw > FR_SLOT_SAW_MAX)
		return "it replaces too many slots";
	fr_reader_init(&r, slot_saw(s), s->saw_len);
	for (i = 0; i < s->n_saw; i++, last = saw) {
		if (!saw_next(&r, &saw) || !is_node(saw.node, saw.node_len) ||
		    !is_version(saw.version) || saw.flags & ~FR_SLOT_SAW_F_ALL)
			return "what it replaces is malformed";
		if (i && node_compare(&last, &saw) >= 0)
			return "what it replaces is out of order";
	}
	return fr_reader_left(&r) ? "what it replaces has bytes behind it" : NULL;
}

static const char *flaw_of_head(const struct fr_slot *s)
{
	bool is_delete = s->rec.op == FLYREP_OP_DELETE;
	size_t len = slot_len(s), i;

	if (s->rec.op == FLYREP_OP_UNSPEC || s->rec.op >= __FLYREP_OP_MAX)
		return "no such operation";
	if (s->rec.reserved2 || s->flags & ~FR_SLOT_F_ALL)
		return "reserved bits are set";
	if (!s->key_len || s->key_len > FLYREP_ITEM_KEY_MAX_LEN ||
	    s->value_len > FLYREP_ITEM_VALUE_MAX_LEN || s->rec.tail_len != ((len + 7) & ~(size_t)7))
		return "its length is wrong";
	for (i = len; i < s->rec.tail_len; i++)
		if (fr_slot_key(s)[i])
			return "padding is set";
	if ((is_delete || s->flags & FR_SLOT_F_TOMBSTONE) &&
	    (s->value_len || s->expires_ms || s->decided))
		return "what is deleted has a value";
	if (is_delete && (s->flags || s->n_saw || s->version))
		return "a delete has a version";
	if (!is_delete && (!is_version(s->version) || s->decided >= VERSION_END))
		return "its version is out of range";
	return NULL;
}

static int slot_check(unsigned int table, const void *rec, const char **why)
{
	const struct fr_slot *s = rec;

	*why = flaw_of_head(s);
	if (!*why)
		*why = flaw_of_saw(s);
	if (!*why)
		*why = fr_item_flaw(table, fr_slot_key(s), s->key_len,
				    s->rec.op != FLYREP_OP_DELETE &&
					    !(s->flags & FR_SLOT_F_TOMBSTONE),
				    fr_slot_value(s), s->value_len);
	return *why ? -EINVAL : 0;
}

static unsigned int slot_key_copy(uint8_t *key, const void *rec)
{
	const struct fr_slot *s = rec;

	memcpy(key, fr_slot_key(s), s->key_len);
	return s->key_len;
}

static int slot_from_key(unsigned int table, void *rec, const uint8_t *key, size_t key_len)
{
	struct fr_slot *s = rec;

	if (!key_len || key_len > FLYREP_ITEM_KEY_MAX_LEN ||
	    fr_item_flaw(table, key, key_len, false, NULL, 0))
		return -EINVAL;
	memset(s, 0, sizeof(*s));
	s->key_len = (uint16_t)key_len;
	memcpy(s + 1, key, key_len);
	finish(s);
	return 0;
}

/* docs/protocol.md: lengths, flags, end, versions, then the bytes. */
static uint64_t slot_digest(const void *rec, const struct fr_siphash_key *hash_key)
{
	uint8_t buf[31 + FR_SLOT_ROOM];
	const struct fr_slot *s = rec;
	struct fr_writer w;

	fr_writer_init(&w, buf, sizeof(buf));
	fr_put_be16(&w, s->key_len);
	fr_put_be16(&w, s->value_len);
	fr_put_u8(&w, s->flags);
	fr_put_be64(&w, s->expires_ms);
	fr_put_be64(&w, s->version);
	fr_put_be64(&w, s->decided);
	fr_put_bytes(&w, fr_slot_key(s), slot_len(s));
	return fr_siphash(buf, fr_writer_len(&w), hash_key);
}

/* --- the wire: docs/protocol.md ----------------------------------------- */

/* The node_ids of a batch, each once. */
struct nodes {
	size_t n;
	struct fr_slot_saw v[BATCH_NODES_MAX];
};

static size_t node_find(const struct nodes *nodes, const struct fr_slot_saw *saw)
{
	size_t i;

	for (i = 0; i < nodes->n; i++)
		if (!node_compare(&nodes->v[i], saw))
			break;
	return i;
}

static int nodes_collect(struct nodes *nodes, const struct fr_slot *s)
{
	struct fr_slot_saw saw[FR_SLOT_SAW_MAX];
	size_t n = fr_slot_saw(s, saw), i;

	for (i = 0; i < n; i++) {
		if (node_find(nodes, &saw[i]) < nodes->n)
			continue;
		if (nodes->n == N_OF(nodes->v))
			return -ENOSPC;
		nodes->v[nodes->n++] = saw[i];
	}
	return 0;
}

static void put_head(struct fr_writer *w, const struct nodes *nodes, const struct fr_slot *s)
{
	struct fr_slot_saw saw[FR_SLOT_SAW_MAX];
	size_t i;

	fr_put_u8(w, s->rec.op);
	fr_put_varint(w, s->key_len);
	if (s->rec.op == FLYREP_OP_DELETE)
		return;
	fr_put_u8(w, (s->flags & FR_SLOT_F_TOMBSTONE ? WIRE_F_TOMBSTONE : 0) |
			     (s->decided ? WIRE_F_DECIDED : 0) | (s->n_saw ? WIRE_F_SAW : 0));
	fr_put_be64(w, s->version);
	if (!(s->flags & FR_SLOT_F_TOMBSTONE)) {
		fr_put_varint(w, s->value_len);
		fr_put_varint(w, s->expires_ms);
	}
	if (s->decided)
		fr_put_be64(w, s->decided);
	if (!s->n_saw)
		return;
	fr_slot_saw(s, saw);
	fr_put_varint(w, s->n_saw);
	for (i = 0; i < s->n_saw; i++) {
		fr_put_varint(w, node_find(nodes, &saw[i]) << 1 |
					 (saw[i].flags & FR_SLOT_SAW_F_LOST));
		fr_put_be64(w, saw[i].version);
	}
}

static const struct fr_slot *next_slot(const struct fr_slot *s)
{
	return (const struct fr_slot *)((const uint8_t *)(s + 1) + s->rec.tail_len);
}

static int slot_encode(unsigned int table, struct fr_writer *w, const void *recs, size_t n)
{
	const struct fr_slot *s = recs;
	struct nodes nodes = { 0 };
	const char *why;
	size_t i;

	for (i = 0; i < n; i++, s = next_slot(s)) {
		if (slot_check(table, s, &why))
			return -EINVAL;
		if (nodes_collect(&nodes, s))
			return -ENOSPC;
	}
	fr_put_varint(w, n);
	fr_put_varint(w, nodes.n);
	for (i = 0; i < nodes.n; i++) {
		fr_put_u8(w, nodes.v[i].node_len);
		fr_put_bytes(w, nodes.v[i].node, nodes.v[i].node_len);
	}
	for (s = recs, i = 0; i < n; i++, s = next_slot(s))
		put_head(w, &nodes, s);
	for (s = recs, i = 0; i < n; i++, s = next_slot(s))
		fr_put_bytes(w, fr_slot_key(s), (size_t)s->key_len + s->value_len);
	return w->bad ? -ENOSPC : 0;
}

static int get_nodes(struct fr_reader *r, struct nodes *nodes)
{
	uint64_t n = fr_get_varint(r);

	if (r->bad || n > N_OF(nodes->v))
		return -EBADMSG;
	for (nodes->n = 0; nodes->n < n; nodes->n++) {
		struct fr_slot_saw *node = &nodes->v[nodes->n];

		node->node_len = fr_get_u8(r);
		node->node = (const char *)fr_get_ref(r, node->node_len);
		if (r->bad || !is_node(node->node, node->node_len) ||
		    node_find(nodes, node) < nodes->n)
			return -EBADMSG;
	}
	return 0;
}

static int get_saw(struct fr_reader *r, const struct nodes *nodes, struct fr_slot_saw *saw,
		   size_t *n)
{
	uint64_t count = fr_get_varint(r), node;
	size_t i;

	if (r->bad || !count || count > FR_SLOT_SAW_MAX)
		return -EBADMSG;
	for (i = 0; i < count; i++) {
		node = fr_get_varint(r);
		if (node >> 1 >= nodes->n)
			return -EBADMSG;
		saw[i] = nodes->v[node >> 1];
		saw[i].flags = node & 1 ? FR_SLOT_SAW_F_LOST : 0;
		saw[i].version = fr_get_be64(r);
	}
	*n = count;
	return r->bad ? -EBADMSG : 0;
}

/* All of a slot but its key and value, which follow the heads. */
static int get_head(struct fr_reader *r, const struct nodes *nodes, struct fr_slot *s,
		    struct fr_slot_saw *saw, size_t *n_saw)
{
	uint64_t key_len, value_len = 0;
	uint8_t flags = 0;

	memset(s, 0, sizeof(*s));
	*n_saw = 0;
	s->rec.op = fr_get_u8(r);
	key_len = fr_get_varint(r);
	if (s->rec.op != FLYREP_OP_DELETE) {
		flags = fr_get_u8(r);
		s->version = fr_get_be64(r);
		if (flags & WIRE_F_TOMBSTONE) {
			s->flags = FR_SLOT_F_TOMBSTONE;
		} else {
			value_len = fr_get_varint(r);
			s->expires_ms = fr_get_varint(r);
		}
		if (flags & WIRE_F_DECIDED)
			s->decided = fr_get_be64(r);
		if (flags & WIRE_F_SAW && get_saw(r, nodes, saw, n_saw))
			return -EBADMSG;
	}
	if (r->bad || flags & ~WIRE_F_ALL || (flags & WIRE_F_DECIDED && !s->decided) ||
	    key_len > FLYREP_ITEM_KEY_MAX_LEN || value_len > FLYREP_ITEM_VALUE_MAX_LEN)
		return -EBADMSG;
	s->key_len = (uint16_t)key_len;
	s->value_len = (uint16_t)value_len;
	return 0;
}

/* One slot into @room bytes; its length, or 0: malformed, or no room */
static size_t get_slot(unsigned int table, struct fr_reader *heads, struct fr_reader *bytes,
		       const struct nodes *nodes, void *to, size_t room)
{
	struct fr_slot_saw saw[FR_SLOT_SAW_MAX];
	struct fr_slot head, *s = to;
	size_t n_saw, len, i;
	struct fr_writer w;
	const char *why;

	if (get_head(heads, nodes, &head, saw, &n_saw) || room < sizeof(*s))
		return 0;
	len = (size_t)head.key_len + head.value_len;
	for (i = 0; i < n_saw; i++)
		len += SAW_HEAD_LEN + saw[i].node_len;
	if (len > FR_SLOT_ROOM - sizeof(*s) || room - sizeof(*s) < ((len + 7) & ~(size_t)7))
		return 0;
	*s = head;
	s->n_saw = (uint8_t)n_saw;
	s->saw_len = (uint16_t)(len - head.key_len - head.value_len);
	fr_writer_init(&w, s + 1, len);
	fr_get_bytes(bytes, fr_put_room(&w, (size_t)s->key_len + s->value_len),
		     (size_t)s->key_len + s->value_len);
	put_saw(&w, saw, n_saw);
	len = finish(s);
	return bytes->bad || slot_check(table, s, &why) ? 0 : len;
}

static int slot_decode(unsigned int table, struct fr_reader *r, void *recs, size_t room,
		       size_t n_max, size_t *n)
{
	struct fr_slot_saw saw[FR_SLOT_SAW_MAX];
	struct fr_reader heads, bytes;
	struct nodes nodes;
	struct fr_slot skipped;
	uint8_t *pos = recs;
	uint64_t count, i;
	size_t len;

	*n = 0;
	count = fr_get_varint(r);
	if (r->bad || count > n_max || get_nodes(r, &nodes))
		return -EBADMSG;
	heads = *r;
	bytes = *r;
	for (i = 0; i < count; i++)
		if (get_head(&bytes, &nodes, &skipped, saw, &len))
			return -EBADMSG;
	for (i = 0; i < count; i++, pos += len, room -= len) {
		len = get_slot(table, &heads, &bytes, &nodes, pos, room);
		if (!len)
			return -EBADMSG;
	}
	*r = bytes;
	*n = count;
	return 0;
}

/* --- for people --------------------------------------------------------- */

static json_t *saw_to_json(const struct fr_slot *s)
{
	struct fr_slot_saw saw[FR_SLOT_SAW_MAX];
	json_t *list = json_array();
	size_t n = fr_slot_saw(s, saw), i;

	for (i = 0; i < n; i++)
		json_array_append_new(list,
				      json_pack("{s:s%, s:I, s:b}", "node", saw[i].node,
						(size_t)saw[i].node_len, "version",
						(json_int_t)saw[i].version, "lost",
						saw[i].flags & FR_SLOT_SAW_F_LOST));
	return list;
}

static json_t *slot_to_json(unsigned int table, const void *rec)
{
	uint64_t room[FR_ITEM_ROOM / 8 + 1];
	const struct fr_slot *s = rec;
	json_t *obj;

	fr_slot_item(room, s);
	obj = fr_table_by_id(table)->to_json(room);
	json_object_set_new(obj, "version", json_integer((json_int_t)s->version));
	json_object_set_new(obj, "tombstone", json_boolean(s->flags & FR_SLOT_F_TOMBSTONE));
	json_object_set_new(obj, "replaces", saw_to_json(s));
	return obj;
}

/* One row: the functions that need to know which table it is, and the row itself */
#define ROW(table, id_)									\
	static const struct fr_table table##_slots;					\
	static int table##_check(const void *rec, const char **why)			\
	{										\
		return slot_check(table##_slots.id, rec, why);				\
	}										\
	static int table##_from_key(void *rec, const uint8_t *key, size_t len)		\
	{										\
		return slot_from_key(table##_slots.id, rec, key, len);			\
	}										\
	static int table##_encode(struct fr_writer *w, const void *recs, size_t n)	\
	{										\
		return slot_encode(table##_slots.id, w, recs, n);			\
	}										\
	static int table##_decode(struct fr_reader *r, void *recs, size_t room, size_t n_max,	\
				  size_t *n)						\
	{										\
		return slot_decode(table##_slots.id, r, recs, room, n_max, n);		\
	}										\
	static json_t *table##_to_json(const void *rec)					\
	{										\
		return slot_to_json(table##_slots.id, rec);				\
	}										\
	static const struct fr_table table##_slots = {					\
		.id = id_,								\
		.name = #table,								\
		.rec_len = sizeof(struct fr_slot),					\
		.tail_max = FR_SLOT_ROOM - sizeof(struct fr_slot),			\
		.key = slot_key_copy,							\
		.from_key = table##_from_key,						\
		.digest = slot_digest,							\
		.check = table##_check,							\
		.encode = table##_encode,						\
		.decode = table##_decode,						\
		.to_json = table##_to_json,						\
	}

ROW(lease, FLYREP_TABLE_LEASE);
ROW(dns, FLYREP_TABLE_DNS);
ROW(learning, FLYREP_TABLE_LEARNING);
ROW(config, FLYREP_TABLE_CONFIG);
ROW(metric, FLYREP_TABLE_METRIC);
ROW(nft_set, FLYREP_TABLE_NFT_SET);

const struct fr_table *fr_slot_table(unsigned int table)
{
	static const struct fr_table *const rows[] = {
		[FLYREP_TABLE_LEASE] = &lease_slots,	   [FLYREP_TABLE_DNS] = &dns_slots,
		[FLYREP_TABLE_LEARNING] = &learning_slots, [FLYREP_TABLE_CONFIG] = &config_slots,
		[FLYREP_TABLE_METRIC] = &metric_slots,	   [FLYREP_TABLE_NFT_SET] = &nft_set_slots,
	};

	return table < N_OF(rows) ? rows[table] : NULL;
}
