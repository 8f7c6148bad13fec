// SPDX-License-Identifier: GPL-2.0-or-later
#include "nft_message.h"

#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "netlink.h"

/* Records of one datagram, and of a dump: they are handed out when the next might not fit. */
#define RECORDS_LEN (8 * FR_ITEM_ROOM)

/* What expires sooner than a tick from now would be given its full time. */
#define TICK_MS 10

/* --- attributes --------------------------------------------------------- */

/* Attributes by their number; NULL where there is none. */
struct attrs {
	const struct nlattr *by_type[32];
};

static int attr_keep(const struct nlattr *attr, void *cookie)
{
	struct attrs *attrs = cookie;
	uint16_t type = mnl_attr_get_type(attr);

	if (type < sizeof(attrs->by_type) / sizeof(attrs->by_type[0]))
		attrs->by_type[type] = attr;
	return 0;
}

static int attrs_in(const void *buf, size_t len, struct attrs *attrs)
{
	memset(attrs, 0, sizeof(*attrs));
	return fr_netlink_attrs(buf, len, attr_keep, attrs);
}

static int attrs_nested(const struct nlattr *attr, struct attrs *attrs)
{
	return attrs_in(mnl_attr_get_payload(attr),
			mnl_attr_get_payload_len(attr), attrs);
}

static int message_attrs(const struct nlmsghdr *nlh, struct attrs *attrs)
{
	const size_t head =
		MNL_NLMSG_HDRLEN + MNL_ALIGN(sizeof(struct nfgenmsg));

	if (nlh->nlmsg_len < head)
		return -EPROTO;
	return attrs_in((const uint8_t *)nlh + head, nlh->nlmsg_len - head,
			attrs);
}

static struct fr_item_bytes bytes_of(const struct nlattr *attr)
{
	struct fr_item_bytes bytes = { (const uint8_t *)"", 0 };

	if (attr) {
		bytes.pos = mnl_attr_get_payload(attr);
		bytes.len = mnl_attr_get_payload_len(attr);
	}
	return bytes;
}

/* A number that may be absent: it is left as it is then. */
static int get_u32(const struct nlattr *attr, uint32_t *v)
{
	if (!attr)
		return 0;
	if (mnl_attr_get_payload_len(attr) != sizeof(*v))
		return -EPROTO;
	*v = ntohl(mnl_attr_get_u32(attr));
	return 0;
}

static int get_u64(const struct nlattr *attr, uint64_t *v)
{
	if (!attr)
		return 0;
	if (mnl_attr_get_payload_len(attr) != sizeof(*v))
		return -EPROTO;
	*v = be64toh(mnl_attr_get_u64(attr));
	return 0;
}

/* The text in an attribute, without the NUL that it ends with. */
static int get_text(const struct nlattr *attr, struct fr_item_bytes *text)
{
	*text = bytes_of(attr);
	text->len = strnlen((const char *)text->pos, text->len);
	return text->len && text->len < NFT_NAME_MAXLEN ? 0 : -EPROTO;
}

static int get_name(const struct nlattr *attr, char *name)
{
	struct fr_item_bytes text;

	if (get_text(attr, &text))
		return -EPROTO;
	memcpy(name, text.pos, text.len);
	name[text.len] = 0;
	return fr_item_is_text(text.pos, text.len) ? 0 : -ENOENT;
}

static bool is_name(const struct nlattr *attr, const char *name)
{
	struct fr_item_bytes text;

	return !get_text(attr, &text) && text.len == strlen(name) &&
	       !memcmp(text.pos, name, text.len);
}

/* A key that may be absent: the bytes in NFTA_DATA_VALUE in @attr. */
static int get_key(const struct nlattr *attr, struct fr_item_bytes *key)
{
	struct attrs attrs;

	*key = bytes_of(NULL);
	if (!attr)
		return 0;
	if (attrs_nested(attr, &attrs))
		return -EPROTO;
	*key = bytes_of(attrs.by_type[NFTA_DATA_VALUE]);
	return key->len ? 0 : -EPROTO;
}

/* --- tables and sets ---------------------------------------------------- */

int fr_nft_message_generation(const struct nlmsghdr *nlh)
{
	const struct nfgenmsg *head = mnl_nlmsg_get_payload(nlh);

	if (nlh->nlmsg_len < MNL_NLMSG_HDRLEN + sizeof(*head))
		return -EPROTO;
	return ntohs(head->res_id);
}

static uint8_t family_of(const struct nlmsghdr *nlh)
{
	const struct nfgenmsg *head = mnl_nlmsg_get_payload(nlh);

	return head->nfgen_family;
}

int fr_nft_message_table(const struct nlmsghdr *nlh, struct fr_nft_table *table)
{
	uint32_t owner = 0;
	struct attrs attrs;

	memset(table, 0, sizeof(*table));
	if (message_attrs(nlh, &attrs) ||
	    get_u64(attrs.by_type[NFTA_TABLE_HANDLE], &table->handle) ||
	    get_u32(attrs.by_type[NFTA_TABLE_OWNER], &owner))
		return -EPROTO;
	table->family = family_of(nlh);
	table->is_owned = owner;
	return get_name(attrs.by_type[NFTA_TABLE_NAME], table->name);
}

int fr_nft_message_set(const struct nlmsghdr *nlh, struct fr_nft_set *set)
{
	const struct nlattr *const *a;
	struct attrs attrs;
	int err;

	memset(set, 0, sizeof(*set));
	if (message_attrs(nlh, &attrs))
		return -EPROTO;
	a = attrs.by_type;
	if (!a[NFTA_SET_KEY_LEN] || get_u64(a[NFTA_SET_HANDLE], &set->handle) ||
	    get_u32(a[NFTA_SET_FLAGS], &set->flags) ||
	    get_u32(a[NFTA_SET_KEY_TYPE], &set->key_type) ||
	    get_u32(a[NFTA_SET_KEY_LEN], &set->key_len) ||
	    get_u32(a[NFTA_SET_DATA_TYPE], &set->data_type) ||
	    get_u32(a[NFTA_SET_DATA_LEN], &set->data_len) ||
	    get_u64(a[NFTA_SET_TIMEOUT], &set->timeout_ms))
		return -EPROTO;
	if (!set->key_len || set->key_len > FR_NFT_KEY_MAX_LEN)
		return -EPROTO;
	set->family = family_of(nlh);
	err = get_name(a[NFTA_SET_TABLE], set->table);
	if (!err)
		err = get_name(a[NFTA_SET_NAME], set->name);
	return !err && (set->flags & NFT_SET_ANONYMOUS) ? -ENOENT : err;
}

/* --- elements ----------------------------------------------------------- */

static bool is_key_fitting(const struct fr_nft_set *set,
			   const struct fr_nft_elem *e)
{
	if (e->key.len && e->key.len != set->key_len)
		return false;
	return !e->key_end.len ||
	       ((set->flags & NFT_SET_INTERVAL) && e->key.len &&
		e->key_end.len == set->key_len);
}

/* A verdict is the kernel's to judge; of a value the length is known. Any alignment. */
static bool is_data_fitting(const struct fr_nft_set *set,
			    const struct fr_item_bytes *data)
{
	struct nlattr value;

	if (set->data_type == NFT_DATA_VERDICT)
		return true;
	if (data->len < sizeof(value))
		return false;
	memcpy(&value, data->pos, sizeof(value));
	return mnl_attr_get_type(&value) == NFTA_DATA_VALUE &&
	       value.nla_len <= data->len &&
	       value.nla_len == sizeof(value) + set->data_len;
}

/* Whether what an element says can be of a set of this kind. */
static bool is_fitting(const struct fr_nft_set *set,
		       const struct fr_nft_elem *e)
{
	if (!is_key_fitting(set, e))
		return false;
	if (e->is_end)
		return fr_nft_set_is_paired(set) && e->key.len;
	if (!e->data.len != !(set->flags & NFT_SET_MAP) ||
	    !e->object.len != !(set->flags & NFT_SET_OBJECT) ||
	    (e->data.len && !is_data_fitting(set, &e->data)) ||
	    e->object.len >= NFT_NAME_MAXLEN)
		return false;
	return (!e->has_timeout && !e->ends) || (set->flags & NFT_SET_TIMEOUT);
}

/* One expression alone is framed as NFTA_SET_ELEM_EXPR: make it a list of one. */
static int take_expressions(struct fr_nft_elem *e, const struct attrs *attrs)
{
	const struct nlattr *one = attrs->by_type[NFTA_SET_ELEM_EXPR];
	struct nlattr head = { .nla_type = NFTA_LIST_ELEM };

	e->expressions = bytes_of(attrs->by_type[NFTA_SET_ELEM_EXPRESSIONS]);
	if (!one)
		return 0;
	if (e->expressions.len ||
	    (size_t)MNL_ALIGN(one->nla_len) > sizeof(e->expr))
		return -EPROTO;
	head.nla_len = one->nla_len;
	memset(e->expr, 0, MNL_ALIGN(one->nla_len));
	memcpy(e->expr, &head, sizeof(head));
	memcpy(e->expr + sizeof(head), mnl_attr_get_payload(one),
	       mnl_attr_get_payload_len(one));
	e->expressions.pos = e->expr;
	e->expressions.len = MNL_ALIGN(one->nla_len);
	return 0;
}

/* What the kernel says of an element. */
static int take_elem(struct fr_nft_elem *e, const struct fr_nft_set *set,
		     const struct nlattr *attr)
{
	const struct nlattr *const *a;
	struct attrs attrs;
	uint32_t flags = 0;

	if (mnl_attr_get_type(attr) != NFTA_LIST_ELEM ||
	    attrs_nested(attr, &attrs))
		return -EPROTO;
	a = attrs.by_type;
	e->object = bytes_of(NULL);
	if (get_key(a[NFTA_SET_ELEM_KEY], &e->key) ||
	    get_key(a[NFTA_SET_ELEM_KEY_END], &e->key_end))
		return -EPROTO;
	if (a[NFTA_SET_ELEM_OBJREF] &&
	    (get_text(a[NFTA_SET_ELEM_OBJREF], &e->object) ||
	     !fr_item_is_text(e->object.pos, e->object.len)))
		return -EPROTO;
	e->data = bytes_of(a[NFTA_SET_ELEM_DATA]);
	e->userdata = bytes_of(a[NFTA_SET_ELEM_USERDATA]);
	e->has_timeout = a[NFTA_SET_ELEM_TIMEOUT];
	e->ends = a[NFTA_SET_ELEM_EXPIRATION];
	if (get_u32(a[NFTA_SET_ELEM_FLAGS], &flags) ||
	    get_u64(a[NFTA_SET_ELEM_TIMEOUT], &e->timeout_ms) ||
	    get_u64(a[NFTA_SET_ELEM_EXPIRATION], &e->left_ms) ||
	    take_expressions(e, &attrs))
		return -EPROTO;
	e->is_end = flags & NFT_SET_ELEM_INTERVAL_END;
	if (!e->key.len != !!(flags & NFT_SET_ELEM_CATCHALL))
		return -EPROTO;
	return is_fitting(set, e) ? 0 : -EPROTO;
}

/* A list of elements under way. */
struct elems {
	const struct fr_nft_set *set;
	int (*fn)(struct fr_nft_elem *e, void *cookie);
	void *cookie;
};

static int elems_attr(const struct nlattr *attr, void *cookie)
{
	const struct elems *elems = cookie;
	struct fr_nft_elem e;
	int err = take_elem(&e, elems->set, attr);

	return err ? err : elems->fn(&e, elems->cookie);
}

int fr_nft_message_elems(const struct nlmsghdr *nlh,
			 const struct fr_nft_set *set,
			 int (*fn)(struct fr_nft_elem *e, void *cookie),
			 void *cookie)
{
	struct elems elems = { set, fn, cookie };
	struct fr_item_bytes list;
	struct attrs attrs;

	if (nlh->nlmsg_type != FR_NFT_TYPE(NFT_MSG_NEWSETELEM) ||
	    message_attrs(nlh, &attrs) ||
	    !is_name(attrs.by_type[NFTA_SET_ELEM_LIST_TABLE], set->table) ||
	    !is_name(attrs.by_type[NFTA_SET_ELEM_LIST_SET], set->name))
		return -EPROTO;
	list = bytes_of(attrs.by_type[NFTA_SET_ELEM_LIST_ELEMENTS]);
	return fr_netlink_attrs(list.pos, list.len, elems_attr, &elems);
}

/* --- dump --------------------------------------------------------------- */

int fr_nft_dump_begin(struct fr_nft_dump *d, const struct fr_nft_set *set,
		      uint32_t seq)
{
	if (!d->recs)
		d->recs = malloc(RECORDS_LEN);
	if (!d->recs)
		return -ENOMEM;
	d->set = *set;
	d->seq = seq;
	d->is_running = true;
	d->is_interrupted = false;
	d->generation = -1;
	d->has_end = false;
	d->n = 0;
	d->len = 0;
	return 0;
}

void fr_nft_dump_free(struct fr_nft_dump *d)
{
	free(d->recs);
	d->recs = NULL;
}

/* A datagram under way. */
struct taking {
	struct fr_nft_dump *d;
	uint64_t now_ms;
	void (*fn)(void *cookie, const void *recs, size_t n);
	void *cookie;
	char *text;
	size_t size;
};

static void hand_out(const struct taking *t)
{
	struct fr_nft_dump *d = t->d;

	if (d->n)
		t->fn(t->cookie, d->recs, d->n);
	d->n = 0;
	d->len = 0;
}

/* The end of an interval comes before its beginning; one that nothing follows is nft's own. */
static int dump_elem(struct fr_nft_elem *e, void *cookie)
{
	const struct taking *t = cookie;
	struct fr_nft_dump *d = t->d;
	bool is_paired = fr_nft_set_is_paired(&d->set) && e->key.len;
	ssize_t len;

	if (is_paired && !e->is_end && d->has_end) {
		e->key_end.pos = d->end;
		e->key_end.len = d->set.key_len;
	}
	if (!e->is_end) {
		if (RECORDS_LEN - d->len < FR_ITEM_ROOM)
			hand_out(t);
		len = fr_nft_elem_record(d->recs + d->len, &d->set, e,
					 t->now_ms);
		if (len < 0)
			return (int)len;
		d->len += (size_t)len;
		d->n++;
	}
	if (is_paired) {
		d->has_end = true;
		memcpy(d->end, e->key.pos, e->key.len);
	}
	return 0;
}

static int take_message(const struct nlmsghdr *nlh, void *cookie)
{
	const struct taking *t = cookie;
	struct fr_nft_dump *d = t->d;
	int generation, err;

	if (!d->is_running || nlh->nlmsg_seq != d->seq)
		return 0;
	if (nlh->nlmsg_flags & NLM_F_DUMP_INTR)
		d->is_interrupted = true;
	if (nlh->nlmsg_type == NLMSG_DONE || nlh->nlmsg_type == NLMSG_ERROR) {
		err = fr_netlink_error(nlh, t->text, t->size);
		/* An acknowledgement nobody asked for does not end a dump. */
		if (!err && nlh->nlmsg_type == NLMSG_ERROR)
			return -EPROTO;
		d->is_running = false;
		return err ? err : d->is_interrupted ? -EINTR : 0;
	}
	generation = fr_nft_message_generation(nlh);
	if (generation < 0)
		return -EPROTO;
	if (d->generation < 0)
		d->generation = generation;
	/* Not every kernel says itself that it has lost its place. */
	if (d->generation != generation)
		d->is_interrupted = true;
	return fr_nft_message_elems(nlh, &d->set, dump_elem, cookie);
}

int fr_nft_dump_take(struct fr_nft_dump *d, const void *buf, size_t len,
		     uint64_t now_ms,
		     void (*fn)(void *cookie, const void *recs, size_t n),
		     void *cookie, char *text, size_t size)
{
	struct taking t = { d, now_ms, fn, cookie, text, size };
	int err;

	text[0] = 0;
	err = fr_netlink_messages(buf, len, take_message, &t);
	if (err) {
		d->is_running = false;
		return err;
	}
	hand_out(&t);
	return d->is_running;
}

/* --- records ------------------------------------------------------------ */

static struct fr_item_bytes text_bytes(const char *text)
{
	return (struct fr_item_bytes){ (const uint8_t *)text, strlen(text) };
}

/* A number as a field has it. @room: 8 bytes */
static struct fr_item_bytes number_bytes(uint8_t *room, uint64_t v)
{
	uint64_t be = htobe64(v);
	size_t skip = v ? (size_t)__builtin_clzll(v) / 8 : 7;

	memcpy(room, &be, sizeof(be));
	return (struct fr_item_bytes){ room + skip, 8 - skip };
}

ssize_t fr_nft_elem_record(void *rec, const struct fr_nft_set *set,
			   const struct fr_nft_elem *e, uint64_t now_ms)
{
	uint8_t number[8];
	const struct fr_item_bytes fields[FR_ITEM_FIELDS_MAX] = {
		[FR_ITEM_NFT_FAMILY] = { &set->family, 1 },
		[FR_ITEM_NFT_TABLE] = text_bytes(set->table),
		[FR_ITEM_NFT_SET] = text_bytes(set->name),
		[FR_ITEM_NFT_KEY] = e->key,
		[FR_ITEM_NFT_KEY_END] = e->key_end,
		[FR_ITEM_NFT_DATA] = e->data,
		/* The set's own is none: what packets add has it up to 6.1, and not later. */
		[FR_ITEM_NFT_TIMEOUT] =
			e->has_timeout && (!e->ends || e->timeout_ms != set->timeout_ms) ?
				number_bytes(number, e->timeout_ms) :
			set->timeout_ms && !e->ends ? number_bytes(number, 0) :
						      bytes_of(NULL),
		[FR_ITEM_NFT_USERDATA] = e->userdata,
		[FR_ITEM_NFT_OBJECT] = e->object,
		[FR_ITEM_NFT_EXPRESSIONS] = e->expressions,
	};

	return fr_item_pack(rec, FLYREP_TABLE_NFT_SET, FLYREP_OP_UPDATE, fields,
			    e->ends ? now_ms + e->left_ms : 0);
}

static uint64_t number_of(const struct fr_item_bytes *bytes)
{
	uint64_t v = 0;
	size_t i;

	for (i = 0; i < bytes->len; i++)
		v = v << 8 | bytes->pos[i];
	return v;
}

/* How long it stays, in the terms of the set here. */
static int read_times(struct fr_nft_elem *e, const struct fr_nft_set *set,
		      const struct fr_item_bytes *timeout, uint64_t expires_ms,
		      uint64_t now_ms)
{
	e->has_timeout = timeout->len;
	e->timeout_ms = number_of(timeout);
	if (!expires_ms) {
		/* Without a word of its own it would get the time of the set here. */
		if (!e->has_timeout && set->timeout_ms)
			e->has_timeout = true;
		if (!e->timeout_ms && !set->timeout_ms)
			e->has_timeout = false;
		return 0;
	}
	if (expires_ms < now_ms + TICK_MS)
		return -ETIME;
	e->ends = true;
	e->left_ms = expires_ms - now_ms;
	if (!e->timeout_ms) {
		e->has_timeout = !set->timeout_ms;
		e->timeout_ms = set->timeout_ms ? set->timeout_ms : e->left_ms;
	}
	/* Clocks differ a little. */
	if (e->left_ms > e->timeout_ms)
		e->left_ms = e->timeout_ms;
	return 0;
}

int fr_nft_elem_read(struct fr_nft_elem *e, const struct fr_nft_set *set,
		     const void *rec, bool is_key, uint64_t now_ms)
{
	const struct flyrep_item *it = rec;
	struct fr_item_bytes fields[FR_ITEM_FIELDS_MAX];
	int err;

	if (fr_item_unpack(rec, FLYREP_TABLE_NFT_SET, fields))
		return -EINVAL;
	/* Not what is in expr. */
	memset(e, 0, offsetof(struct fr_nft_elem, expr));
	e->key = fields[FR_ITEM_NFT_KEY];
	e->key_end = fields[FR_ITEM_NFT_KEY_END];
	if (is_key || it->rec.op == FLYREP_OP_DELETE) {
		e->is_end = false;
		return is_key_fitting(set, e) ? 0 : -EINVAL;
	}
	e->data = fields[FR_ITEM_NFT_DATA];
	e->userdata = fields[FR_ITEM_NFT_USERDATA];
	e->object = fields[FR_ITEM_NFT_OBJECT];
	e->expressions = fields[FR_ITEM_NFT_EXPRESSIONS];
	err = read_times(e, set, &fields[FR_ITEM_NFT_TIMEOUT], it->expires_ms,
			 now_ms);
	return is_fitting(set, e) ? err : -EINVAL;
}

int fr_nft_record_name(const void *rec, struct fr_nft_name *name)
{
	struct fr_item_bytes fields[FR_ITEM_FIELDS_MAX], *table, *set;

	if (fr_item_unpack(rec, FLYREP_TABLE_NFT_SET, fields))
		return -EINVAL;
	table = &fields[FR_ITEM_NFT_TABLE];
	set = &fields[FR_ITEM_NFT_SET];
	if (table->len >= sizeof(name->table) || set->len >= sizeof(name->set))
		return -EINVAL;
	name->family = fields[FR_ITEM_NFT_FAMILY].pos[0];
	memset(name->table, 0, sizeof(name->table));
	memset(name->set, 0, sizeof(name->set));
	memcpy(name->table, table->pos, table->len);
	memcpy(name->set, set->pos, set->len);
	return 0;
}

const uint8_t *fr_nft_record_key(const void *rec, size_t *len)
{
	struct fr_item_bytes fields[FR_ITEM_FIELDS_MAX];

	*len = 0;
	if (fr_item_unpack(rec, FLYREP_TABLE_NFT_SET, fields))
		return NULL;
	*len = fields[FR_ITEM_NFT_KEY].len;
	return fields[FR_ITEM_NFT_KEY].pos;
}

uint64_t fr_nft_record_timeout_ms(const void *rec)
{
	struct fr_item_bytes fields[FR_ITEM_FIELDS_MAX];

	return fr_item_unpack(rec, FLYREP_TABLE_NFT_SET, fields) ?
		       0 :
		       number_of(&fields[FR_ITEM_NFT_TIMEOUT]);
}

/* --- making ------------------------------------------------------------- */

struct nlmsghdr *fr_nft_message_head(void *buf, uint16_t type, uint16_t flags,
				     uint32_t seq, uint8_t family)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct nfgenmsg *head;

	nlh->nlmsg_type = type;
	nlh->nlmsg_flags = NLM_F_REQUEST | flags;
	nlh->nlmsg_seq = seq;
	head = mnl_nlmsg_put_extra_header(nlh, sizeof(*head));
	head->nfgen_family = family;
	head->version = NFNETLINK_V0;
	/* What frames a transaction says whose it is. */
	if (type <= NFNL_MSG_BATCH_END)
		head->res_id = htons(NFNL_SUBSYS_NFTABLES);
	return nlh;
}

static void put_bytes(struct nlmsghdr *nlh, uint16_t type,
		      const struct fr_item_bytes *bytes)
{
	if (bytes->len)
		mnl_attr_put(nlh, type, bytes->len, bytes->pos);
}

static void put_key(struct nlmsghdr *nlh, uint16_t type,
		    const struct fr_item_bytes *key)
{
	struct nlattr *nest = mnl_attr_nest_start(nlh, type);

	mnl_attr_put(nlh, NFTA_DATA_VALUE, key->len, key->pos);
	mnl_attr_nest_end(nlh, nest);
}

static void put_value(struct nlmsghdr *nlh, const struct fr_nft_elem *e)
{
	put_bytes(nlh, NFTA_SET_ELEM_DATA, &e->data);
	put_bytes(nlh, NFTA_SET_ELEM_USERDATA, &e->userdata);
	put_bytes(nlh, NFTA_SET_ELEM_EXPRESSIONS, &e->expressions);
	if (e->object.len) {
		char name[NFT_NAME_MAXLEN] = "";

		memcpy(name, e->object.pos, e->object.len);
		mnl_attr_put_strz(nlh, NFTA_SET_ELEM_OBJREF, name);
	}
	if (e->has_timeout)
		mnl_attr_put_u64(nlh, NFTA_SET_ELEM_TIMEOUT,
				 htobe64(e->timeout_ms));
	if (e->ends)
		mnl_attr_put_u64(nlh, NFTA_SET_ELEM_EXPIRATION,
				 htobe64(e->left_ms));
}

size_t fr_nft_message_elem(void *buf, uint16_t type, uint16_t flags,
			   uint32_t seq, const struct fr_nft_set *set,
			   const struct fr_nft_elem *e)
{
	struct nlmsghdr *nlh = fr_nft_message_head(buf, FR_NFT_TYPE(type),
						   flags, seq, set->family);
	bool is_paired = fr_nft_set_is_paired(set);
	struct nlattr *list, *elem;

	mnl_attr_put_strz(nlh, NFTA_SET_ELEM_LIST_TABLE, set->table);
	mnl_attr_put_strz(nlh, NFTA_SET_ELEM_LIST_SET, set->name);
	list = mnl_attr_nest_start(nlh, NFTA_SET_ELEM_LIST_ELEMENTS);
	elem = mnl_attr_nest_start(nlh, NFTA_LIST_ELEM);
	if (e->key.len)
		put_key(nlh, NFTA_SET_ELEM_KEY, &e->key);
	else
		mnl_attr_put_u32(nlh, NFTA_SET_ELEM_FLAGS,
				 htonl(NFT_SET_ELEM_CATCHALL));
	if (e->key_end.len && !is_paired)
		put_key(nlh, NFTA_SET_ELEM_KEY_END, &e->key_end);
	if (type == NFT_MSG_NEWSETELEM)
		put_value(nlh, e);
	mnl_attr_nest_end(nlh, elem);
	if (e->key_end.len && is_paired) {
		elem = mnl_attr_nest_start(nlh, NFTA_LIST_ELEM);
		put_key(nlh, NFTA_SET_ELEM_KEY, &e->key_end);
		mnl_attr_put_u32(nlh, NFTA_SET_ELEM_FLAGS,
				 htonl(NFT_SET_ELEM_INTERVAL_END));
		mnl_attr_nest_end(nlh, elem);
	}
	mnl_attr_nest_end(nlh, list);
	return MNL_ALIGN(nlh->nlmsg_len);
}
