// SPDX-License-Identifier: GPL-2.0-or-later
#include "item.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "item_field.h"

#define N_OF(array) (sizeof(array) / sizeof((array)[0]))

static_assert(sizeof(struct flyrep_item) == 40, "layout");
static_assert(FLYREP_ITEM_KEY_MAX_LEN <= FR_KEY_MAX_LEN, "a key does not fit");

/* clang-format off */
/* Append only: a field of a value that a node does not know is carried along. */
static const struct fr_item_field lease_fields[] = {
	{ "scope", FR_ITEM_STRING, true, true },
	{ "client", FR_ITEM_HEX, true, true },
	{ "iaid", FR_ITEM_NUMBER, true, false },
	{ "ip", FR_ITEM_NET, false, false },
	{ "state", FR_ITEM_STRING, false, false },
	{ "hostname", FR_ITEM_STRING, false, false },
	{ "interface", FR_ITEM_STRING, false, false },
	{ "zone", FR_ITEM_STRING, false, false },
	{ "start", FR_ITEM_TIME, false, false },
	{ "vendor", FR_ITEM_STRING, false, false },
	{ 0 },
};

static const struct fr_item_field dns_fields[] = {
	{ "view", FR_ITEM_STRING, true, false },
	{ "name", FR_ITEM_STRING, true, true },
	{ "type", FR_ITEM_STRING, true, true },
	{ "rdata", FR_ITEM_STRING, true, true },
	{ "ttl", FR_ITEM_NUMBER, false, false },
	{ "priority", FR_ITEM_NUMBER, false, false },
	{ "source", FR_ITEM_STRING, false, false },
	{ 0 },
};

static const struct fr_item_field learning_fields[] = {
	{ "src_mac", FR_ITEM_HEX, true, true },
	{ "protocol", FR_ITEM_STRING, true, true },
	{ "dst_port", FR_ITEM_NUMBER, true, false },
	{ "policy", FR_ITEM_STRING, false, false },
	{ "state", FR_ITEM_STRING, false, false },
	{ "first_seen", FR_ITEM_TIME, false, false },
	{ "last_seen", FR_ITEM_TIME, false, false },
	{ "count", FR_ITEM_NUMBER, false, false },
	{ "hints", FR_ITEM_STRING, false, false },
	{ 0 },
};

static const struct fr_item_field config_fields[] = {
	[FR_ITEM_CONFIG_PATH] = { "path", FR_ITEM_STRING, true, true },
	[FR_ITEM_CONFIG_SHA256] = { "sha256", FR_ITEM_HEX, false, false },
	[FR_ITEM_CONFIG_SCHEMA_VERSION] = { "schema_version", FR_ITEM_STRING, false, false },
	[FR_ITEM_CONFIG_AUTHOR] = { "author", FR_ITEM_STRING, false, false },
	[FR_ITEM_CONFIG_APPLIED_AT] = { "applied_at", FR_ITEM_TIME, false, false },
	[FR_ITEM_CONFIG_BYTES] = { "bytes", FR_ITEM_BYTES, false, false },
	{ 0 },
};

static const struct fr_item_field metric_fields[] = {
	{ "node_id", FR_ITEM_STRING, true, true },
	{ "kind", FR_ITEM_STRING, true, true },
	{ "name", FR_ITEM_STRING, true, true },
	{ "saved_at", FR_ITEM_TIME, false, false },
	{ "counters", FR_ITEM_STRING, false, false },
	{ 0 },
};

static const struct fr_item_field nft_set_fields[] = {
	[FR_ITEM_NFT_FAMILY] = { "family", FR_ITEM_FAMILY, true, true },
	[FR_ITEM_NFT_TABLE] = { "nft_table", FR_ITEM_STRING, true, true },
	[FR_ITEM_NFT_SET] = { "set", FR_ITEM_STRING, true, true },
	[FR_ITEM_NFT_KEY] = { "key", FR_ITEM_HEX, true, false },
	[FR_ITEM_NFT_KEY_END] = { "key_end", FR_ITEM_HEX, true, false },
	[FR_ITEM_NFT_DATA] = { "data", FR_ITEM_HEX, false, false },
	[FR_ITEM_NFT_TIMEOUT] = { "timeout", FR_ITEM_NUMBER, false, false },
	[FR_ITEM_NFT_USERDATA] = { "userdata", FR_ITEM_USERDATA, false, false },
	[FR_ITEM_NFT_OBJECT] = { "object", FR_ITEM_STRING, false, false },
	[FR_ITEM_NFT_EXPRESSIONS] = { "expressions", FR_ITEM_HEX, false, false },
	{ 0 },
};

/* clang-format on */

static_assert(N_OF(lease_fields) - 1 <= FR_ITEM_FIELDS_MAX, "too many fields");
static_assert(N_OF(nft_set_fields) - 1 <= FR_ITEM_FIELDS_MAX, "too many fields");

static const struct {
	const struct fr_table *row;
	const struct fr_item_field *fields;
} kinds[] = {
	[FLYREP_TABLE_LEASE] = { &fr_lease_table, lease_fields },
	[FLYREP_TABLE_DNS] = { &fr_dns_table, dns_fields },
	[FLYREP_TABLE_LEARNING] = { &fr_learning_table, learning_fields },
	[FLYREP_TABLE_CONFIG] = { &fr_config_table, config_fields },
	[FLYREP_TABLE_METRIC] = { &fr_metric_table, metric_fields },
	[FLYREP_TABLE_NFT_SET] = { &fr_nft_set_table, nft_set_fields },
};

const struct fr_item_field *fr_item_fields(unsigned int table)
{
	return table < N_OF(kinds) ? kinds[table].fields : NULL;
}

static const uint8_t *item_key(const struct flyrep_item *it)
{
	return (const uint8_t *)(it + 1);
}

static const uint8_t *item_value(const struct flyrep_item *it)
{
	return item_key(it) + it->key_len;
}

/* --- fields ------------------------------------------------------------- */

/* A place in a row of fields. */
struct row {
	const uint8_t *pos;
	const uint8_t *end;
};

/* The next field; false at the end. The row is whole, see is_row(). */
static bool row_next(struct row *r, const uint8_t **field, size_t *len)
{
	if (r->pos == r->end)
		return false;
	*len = (size_t)(r->pos[0] << 8 | r->pos[1]);
	*field = r->pos + 2;
	r->pos += 2 + *len;
	return true;
}

static bool is_row(const uint8_t *pos, size_t left)
{
	size_t len;

	for (; left; pos += len, left -= len) {
		if (left < 2)
			return false;
		len = 2 + (size_t)(pos[0] << 8 | pos[1]);
		if (len > left)
			return false;
	}
	return true;
}

/* --- from fields -------------------------------------------------------- */

static int refuse(char **why, const struct fr_item_field *f, const char *what)
{
	if (asprintf(why, "%s: %s", f->name, what) >= 0)
		return -EINVAL;
	*why = NULL;
	return -ENOMEM;
}

/* The fields of the key or of the value, behind what is there. */
static int put_row(struct fr_writer *w, const struct fr_item_field *fields,
		   bool is_key, const char *const *texts, char **why)
{
	const struct fr_item_field *f;
	size_t i, at, len;

	for (i = 0; fields[i].name; i++) {
		f = &fields[i];
		if (f->is_key != is_key)
			continue;
		if (f->is_needed && (!texts[i] || !*texts[i]))
			return refuse(why, f, "missing");
		at = fr_writer_len(w);
		fr_put_be16(w, 0);
		if (texts[i] && *texts[i] && fr_item_field_put(w, f, texts[i]))
			return refuse(why, f, fr_item_field_flaw(f));
		if (w->bad)
			return refuse(why, f, "too long");
		len = fr_writer_len(w) - at - 2;
		w->start[at] = (uint8_t)(len >> 8);
		w->start[at + 1] = (uint8_t)len;
	}
	return 0;
}

/* Key and value are there: what follows from their lengths. */
static ssize_t finish(struct flyrep_item *it, uint8_t op)
{
	uint8_t *tail = (uint8_t *)(it + 1);
	size_t len = (size_t)it->key_len + it->value_len;

	it->rec.op = op;
	it->rec.tail_len =
		(uint16_t)FLYREP_ITEM_TAIL_LEN(it->key_len, it->value_len);
	memset(tail + len, 0, it->rec.tail_len - len);
	return (ssize_t)sizeof(*it) + it->rec.tail_len;
}

static void put_bytes_field(struct fr_writer *w,
			    const struct fr_item_bytes *bytes)
{
	fr_put_be16(w, (uint16_t)bytes->len);
	fr_put_bytes(w, bytes->pos, bytes->len);
	if (bytes->len > UINT16_MAX)
		w->bad = true;
}

ssize_t fr_item_make(void *rec, unsigned int table, uint8_t op,
		     const char *const *texts, uint64_t expires_ms, char **why)
{
	const struct fr_item_field *fields = fr_item_fields(table);
	struct flyrep_item *it = rec;
	uint8_t *tail = (uint8_t *)(it + 1);
	struct fr_writer w;
	int err;

	*why = NULL;
	memset(it, 0, sizeof(*it));
	fr_writer_init(&w, tail, FLYREP_ITEM_KEY_MAX_LEN);
	err = put_row(&w, fields, true, texts, why);
	if (err)
		return err;
	it->key_len = (uint16_t)fr_writer_len(&w);
	if (op != FLYREP_OP_DELETE) {
		fr_writer_init(&w, tail + it->key_len,
			       FLYREP_ITEM_VALUE_MAX_LEN);
		err = put_row(&w, fields, false, texts, why);
		if (err)
			return err;
		it->value_len = (uint16_t)fr_writer_len(&w);
		it->expires_ms = expires_ms;
	}
	return finish(it, op);
}

ssize_t fr_item_pack(void *rec, unsigned int table, uint8_t op,
		     const struct fr_item_bytes *bytes, uint64_t expires_ms)
{
	const struct fr_item_field *f = fr_item_fields(table);
	struct flyrep_item *it = rec;
	uint8_t *key = (uint8_t *)(it + 1);
	struct fr_writer w;

	memset(it, 0, sizeof(*it));
	fr_writer_init(&w, key, FLYREP_ITEM_KEY_MAX_LEN);
	for (; f->name && f->is_key; f++, bytes++)
		put_bytes_field(&w, bytes);
	it->key_len = (uint16_t)fr_writer_len(&w);
	if (w.bad)
		return -EMSGSIZE;
	if (op != FLYREP_OP_DELETE) {
		fr_writer_init(&w, key + it->key_len,
			       FLYREP_ITEM_VALUE_MAX_LEN);
		for (; f->name; f++, bytes++)
			put_bytes_field(&w, bytes);
		it->value_len = (uint16_t)fr_writer_len(&w);
		it->expires_ms = expires_ms;
		if (w.bad)
			return -EMSGSIZE;
	}
	return finish(it, op);
}

static bool unpack_row(struct fr_item_bytes *bytes,
		       const struct fr_item_field *fields, bool is_key,
		       const uint8_t *row, size_t row_len)
{
	struct row r = { row, row + row_len };

	if (!is_row(row, row_len))
		return false;
	for (; fields->name; fields++, bytes++) {
		if (fields->is_key != is_key)
			continue;
		if (!row_next(&r, &bytes->pos, &bytes->len))
			*bytes = (struct fr_item_bytes){ row, 0 };
	}
	return true;
}

int fr_item_unpack(const void *rec, unsigned int table,
		   struct fr_item_bytes *bytes)
{
	const struct fr_item_field *fields = fr_item_fields(table);
	const struct flyrep_item *it = rec;

	if ((size_t)it->key_len + it->value_len > it->rec.tail_len ||
	    !unpack_row(bytes, fields, true, item_key(it), it->key_len) ||
	    !unpack_row(bytes, fields, false, item_value(it), it->value_len))
		return -EINVAL;
	return 0;
}

/* --- the row ------------------------------------------------------------ */

static const char *flaw_of_row(const struct fr_item_field *fields, bool is_key,
			       const uint8_t *row, size_t row_len)
{
	struct row r = { row, row + row_len };
	const uint8_t *field;
	size_t len;

	if (!is_row(row, row_len))
		return "its fields do not fill it";
	for (; fields->name; fields++) {
		if (fields->is_key != is_key)
			continue;
		if (!row_next(&r, &field, &len)) {
			/* An older node knows fewer fields of a value. */
			if (is_key || fields->is_needed)
				return "a field is missing";
			return NULL;
		}
		if (!fr_item_field_is_good(fields, field, len))
			return "a field is malformed";
	}
	return is_key && r.pos != r.end ? "a field too many" : NULL;
}

const char *fr_item_flaw(unsigned int table, const uint8_t *key, size_t key_len,
			 bool has_value, const uint8_t *value, size_t value_len)
{
	const struct fr_item_field *fields = fr_item_fields(table);
	const char *why = flaw_of_row(fields, true, key, key_len);

	if (why || !has_value)
		return why;
	return flaw_of_row(fields, false, value, value_len);
}

static const char *flaw(unsigned int table, const struct flyrep_item *it)
{
	const uint8_t *key = item_key(it);
	size_t i;

	if (it->rec.op == FLYREP_OP_UNSPEC || it->rec.op >= __FLYREP_OP_MAX)
		return "no such operation";
	if (it->reserved | it->rec.reserved2)
		return "reserved bytes are set";
	if (!it->key_len || it->key_len > FLYREP_ITEM_KEY_MAX_LEN ||
	    it->value_len > FLYREP_ITEM_VALUE_MAX_LEN ||
	    it->rec.tail_len !=
		    FLYREP_ITEM_TAIL_LEN(it->key_len, it->value_len))
		return "its length is wrong";
	if (it->rec.op == FLYREP_OP_DELETE && (it->value_len || it->expires_ms))
		return "a delete has a value";
	for (i = (size_t)it->key_len + it->value_len; i < it->rec.tail_len; i++)
		if (key[i])
			return "padding is set";
	return fr_item_flaw(table, key, it->key_len,
			    it->rec.op != FLYREP_OP_DELETE, item_value(it),
			    it->value_len);
}

static int item_check(unsigned int table, const void *rec, const char **why)
{
	*why = flaw(table, rec);
	return *why ? -EINVAL : 0;
}

static unsigned int item_key_copy(uint8_t *key, const void *rec)
{
	const struct flyrep_item *it = rec;

	memcpy(key, item_key(it), it->key_len);
	return it->key_len;
}

static int item_from_key(unsigned int table, void *rec, const uint8_t *key,
			 size_t key_len)
{
	struct flyrep_item *it = rec;
	size_t tail_len;

	if (!key_len || key_len > FLYREP_ITEM_KEY_MAX_LEN ||
	    flaw_of_row(fr_item_fields(table), true, key, key_len))
		return -EINVAL;
	tail_len = FLYREP_ITEM_TAIL_LEN(key_len, 0);
	memset(it, 0, sizeof(*it) + tail_len);
	it->key_len = (uint16_t)key_len;
	it->rec.tail_len = (uint16_t)tail_len;
	memcpy(it + 1, key, key_len);
	return 0;
}

/* docs/protocol.md: length of the key, key, value, end. */
static uint64_t item_digest(const void *rec,
			    const struct fr_siphash_key *hash_key)
{
	const struct flyrep_item *it = rec;
	size_t len = (size_t)it->key_len + it->value_len;
	uint8_t buf[2 + FLYREP_ITEM_KEY_MAX_LEN + FLYREP_ITEM_VALUE_MAX_LEN + 8];
	struct fr_writer w;

	fr_writer_init(&w, buf, sizeof(buf));
	fr_put_be16(&w, it->key_len);
	fr_put_bytes(&w, item_key(it), len);
	fr_put_be64(&w, it->expires_ms);
	return fr_siphash(buf, fr_writer_len(&w), hash_key);
}

/*
 * The same, but without the expressions, which packets change all the time, and with 0 for the end,
 * which they put off.
 */
static uint64_t nft_set_digest(const void *rec,
			       const struct fr_siphash_key *hash_key)
{
	const struct flyrep_item *it = rec;
	const uint8_t *value = item_value(it), *end = value + it->value_len;
	const uint8_t *before = end, *behind = end;
	struct fr_item_bytes fields[FR_ITEM_FIELDS_MAX], *expressions;
	uint8_t buf[2 + FLYREP_ITEM_KEY_MAX_LEN + FLYREP_ITEM_VALUE_MAX_LEN + 8];
	struct fr_writer w;

	expressions = &fields[FR_ITEM_NFT_EXPRESSIONS];
	if (!fr_item_unpack(rec, FLYREP_TABLE_NFT_SET, fields) &&
	    expressions->pos != value) {
		before = expressions->pos - 2;
		behind = expressions->pos + expressions->len;
	}
	fr_writer_init(&w, buf, sizeof(buf));
	fr_put_be16(&w, it->key_len);
	fr_put_bytes(&w, item_key(it), it->key_len);
	fr_put_bytes(&w, value, (size_t)(before - value));
	fr_put_bytes(&w, behind, (size_t)(end - behind));
	fr_put_be64(&w, 0);
	return fr_siphash(buf, fr_writer_len(&w), hash_key);
}

static const struct flyrep_item *next_item(const struct flyrep_item *it)
{
	return (const void *)((const uint8_t *)(it + 1) + it->rec.tail_len);
}

static int item_encode(unsigned int table, struct fr_writer *w,
		       const void *recs, size_t n)
{
	const struct flyrep_item *it = recs;
	const char *why;
	size_t i;

	fr_put_varint(w, n);
	for (i = 0; i < n; i++, it = next_item(it)) {
		if (item_check(table, it, &why)) {
			w->bad = true;
			return -EINVAL;
		}
		fr_put_u8(w, it->rec.op);
		fr_put_varint(w, it->key_len);
		if (it->rec.op == FLYREP_OP_DELETE)
			continue;
		fr_put_varint(w, it->value_len);
		fr_put_varint(w, it->expires_ms);
	}
	for (i = 0, it = recs; i < n; i++, it = next_item(it))
		fr_put_bytes(w, item_key(it),
			     (size_t)it->key_len + it->value_len);
	return w->bad ? -ENOSPC : 0;
}

/* The head of an item; its bytes follow those of all heads. */
static int get_head(struct fr_reader *r, struct flyrep_item *it)
{
	uint64_t key_len, value_len = 0;

	memset(it, 0, sizeof(*it));
	it->rec.op = fr_get_u8(r);
	key_len = fr_get_varint(r);
	if (it->rec.op != FLYREP_OP_DELETE) {
		value_len = fr_get_varint(r);
		it->expires_ms = fr_get_varint(r);
	}
	if (r->bad || key_len > FLYREP_ITEM_KEY_MAX_LEN ||
	    value_len > FLYREP_ITEM_VALUE_MAX_LEN)
		return -EBADMSG;
	it->key_len = (uint16_t)key_len;
	it->value_len = (uint16_t)value_len;
	it->rec.tail_len = (uint16_t)FLYREP_ITEM_TAIL_LEN(key_len, value_len);
	return 0;
}

static int item_decode(unsigned int table, struct fr_reader *r, void *recs,
		       size_t room, size_t n_max, size_t *n)
{
	struct fr_reader heads, bytes;
	uint8_t *pos = recs;
	uint64_t count, i;
	const char *why;

	*n = 0;
	count = fr_get_varint(r);
	if (r->bad || count > n_max)
		return -EBADMSG;
	heads = *r;
	for (i = 0; i < count; i++) {
		struct flyrep_item skipped;

		if (get_head(r, &skipped))
			return -EBADMSG;
	}
	bytes = *r;
	for (i = 0; i < count; i++) {
		struct flyrep_item *it = (struct flyrep_item *)pos;
		size_t len;

		if (room < sizeof(*it))
			return -EBADMSG;
		get_head(&heads, it);
		len = (size_t)it->key_len + it->value_len;
		if (room < sizeof(*it) + it->rec.tail_len)
			return -EBADMSG;
		pos += sizeof(*it) + it->rec.tail_len;
		room -= sizeof(*it) + it->rec.tail_len;
		memset(pos - it->rec.tail_len, 0, it->rec.tail_len);
		fr_get_bytes(&bytes, it + 1, len);
		if (bytes.bad || item_check(table, it, &why))
			return -EBADMSG;
	}
	*r = bytes;
	*n = count;
	return 0;
}

/* --- for people --------------------------------------------------------- */

static void row_to_json(json_t *obj, const struct fr_item_field *fields,
			bool is_key, const uint8_t *row, size_t row_len)
{
	struct row r = { row, row + row_len };
	const uint8_t *field;
	size_t len;

	if (!is_row(row, row_len)) {
		json_object_set_new(obj, is_key ? "key" : "value",
				    fr_item_field_hex("hex:", row, row_len, ""));
		return;
	}
	for (; fields->name; fields++) {
		if (fields->is_key != is_key)
			continue;
		if (!row_next(&r, &field, &len))
			return;
		if (len)
			fr_item_field_to_json(obj, fields, field, len);
	}
}

static json_t *item_to_json(const struct fr_table *row, const void *rec)
{
	static const char *const op_names[] = { "unknown", "insert", "update",
						"delete" };
	const struct fr_item_field *fields = fr_item_fields(row->id);
	const struct flyrep_item *it = rec;
	size_t key_len = it->key_len, value_len = it->value_len;
	json_t *obj;

	obj = json_pack(
		"{s:s, s:s, s:s, s:I, s:I, s:I}", "table", row->name, "op",
		op_names[it->rec.op < N_OF(op_names) ? it->rec.op : 0],
		"origin",
		it->rec.flags & FLYREP_REC_F_REMOTE ? "remote" : "local", "id",
		(json_int_t)it->rec.id, "stamp", (json_int_t)it->rec.stamp,
		"age_us", (json_int_t)it->rec.age_us);
	/* Never behind the record, whatever it says. */
	if (key_len > it->rec.tail_len)
		key_len = it->rec.tail_len;
	if (value_len > it->rec.tail_len - key_len)
		value_len = it->rec.tail_len - key_len;
	row_to_json(obj, fields, true, item_key(it), key_len);
	if (it->rec.op == FLYREP_OP_DELETE)
		return obj;
	row_to_json(obj, fields, false, item_key(it) + key_len, value_len);
	if (it->expires_ms)
		json_object_set_new(obj, "expires_ms",
				    json_integer((json_int_t)it->expires_ms));
	return obj;
}

/* One row: the functions that need to know which table it is, and the row itself */
#define ROW(table, id_, name_, digest_)                                             \
	static int table##_check(const void *rec, const char **why)            \
	{                                                                      \
		return item_check(fr_##table##_table.id, rec, why);            \
	}                                                                      \
	static int table##_from_key(void *rec, const uint8_t *key, size_t len) \
	{                                                                      \
		return item_from_key(fr_##table##_table.id, rec, key, len);    \
	}                                                                      \
	static int table##_encode(struct fr_writer *w, const void *recs,       \
				  size_t n)                                    \
	{                                                                      \
		return item_encode(fr_##table##_table.id, w, recs, n);         \
	}                                                                      \
	static int table##_decode(struct fr_reader *r, void *recs,             \
				  size_t room, size_t n_max, size_t *n)        \
	{                                                                      \
		return item_decode(fr_##table##_table.id, r, recs, room,       \
				   n_max, n);                                  \
	}                                                                      \
	static json_t *table##_to_json(const void *rec)                        \
	{                                                                      \
		return item_to_json(&fr_##table##_table, rec);                 \
	}                                                                      \
	const struct fr_table fr_##table##_table = {                           \
		.id = id_,                                                     \
		.name = name_,                                                 \
		.rec_len = sizeof(struct flyrep_item),                         \
		.tail_max = FR_ITEM_ROOM - sizeof(struct flyrep_item),         \
		.key = item_key_copy,                                          \
		.from_key = table##_from_key,                                  \
		.digest = digest_,                                             \
		.check = table##_check,                                        \
		.encode = table##_encode,                                      \
		.decode = table##_decode,                                      \
		.to_json = table##_to_json,                                    \
	}

ROW(lease, FLYREP_TABLE_LEASE, "lease", item_digest);
ROW(dns, FLYREP_TABLE_DNS, "dns", item_digest);
ROW(learning, FLYREP_TABLE_LEARNING, "learning", item_digest);
ROW(config, FLYREP_TABLE_CONFIG, "config", item_digest);
ROW(metric, FLYREP_TABLE_METRIC, "metric", item_digest);
ROW(nft_set, FLYREP_TABLE_NFT_SET, "nft_set", nft_set_digest);
