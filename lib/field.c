// SPDX-License-Identifier: GPL-2.0-or-later
#include "field.h"

#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "address.h"
#include "conntrack.h"
#include "item_field.h"
#include "units.h"

#define N_OF(array) (sizeof(array) / sizeof((array)[0]))

/* Where fr_field_get() finds what is not a field of an item by itself */
enum at {
	AT_EXPIRES = FR_ITEM_FIELDS_MAX, /* the end of an item */
	AT_COMMENT, /* inside the userdata of an nft element */
	AT_FAMILY,
	AT_PROTO,
	AT_ZONE,
	AT_SRC,
	AT_DST,
	AT_SPORT,
	AT_DPORT,
	AT_ICMP_TYPE,
	AT_ICMP_CODE,
	AT_REPLY_SRC,
	AT_REPLY_DST,
	AT_REPLY_SPORT,
	AT_REPLY_DPORT,
	AT_MARK,
	AT_SEEN_REPLY,
	AT_ASSURED,
	AT_SRC_NAT,
	AT_DST_NAT,
	AT_TCP_STATE,
	AT_SCTP_STATE,
	AT_DCCP_STATE,
	AT_HELPER,
};

/* --- which fields there are --------------------------------------------- */

static const char *const families[] = { "ipv4", "ipv6" };

static const struct fr_field flow_fields[] = {
	{ "family", "family", FR_FIELD_NAME, .at = AT_FAMILY },
	{ "proto", "proto", FR_FIELD_NAME, .at = AT_PROTO },
	{ "zone", "zone", FR_FIELD_NUMBER, .at = AT_ZONE },
	{ "src", "original.src", FR_FIELD_NET, .at = AT_SRC },
	{ "dst", "original.dst", FR_FIELD_NET, .at = AT_DST },
	{ "sport", "original.sport", FR_FIELD_NUMBER, .at = AT_SPORT },
	{ "dport", "original.dport", FR_FIELD_NUMBER, .at = AT_DPORT },
	{ "icmp_type", "original.type", FR_FIELD_NUMBER, .at = AT_ICMP_TYPE },
	{ "icmp_code", "original.code", FR_FIELD_NUMBER, .at = AT_ICMP_CODE },
	{ "reply_src", "reply.src", FR_FIELD_NET, .at = AT_REPLY_SRC },
	{ "reply_dst", "reply.dst", FR_FIELD_NET, .at = AT_REPLY_DST },
	{ "reply_sport", "reply.sport", FR_FIELD_NUMBER, .at = AT_REPLY_SPORT },
	{ "reply_dport", "reply.dport", FR_FIELD_NUMBER, .at = AT_REPLY_DPORT },
	{ "mark", "mark", FR_FIELD_NUMBER, .at = AT_MARK },
	{ "seen_reply", "status", FR_FIELD_BOOL, .at = AT_SEEN_REPLY },
	{ "assured", "status", FR_FIELD_BOOL, .at = AT_ASSURED },
	{ "src_nat", "status", FR_FIELD_BOOL, .at = AT_SRC_NAT },
	{ "dst_nat", "status", FR_FIELD_BOOL, .at = AT_DST_NAT },
	{ "tcp_state", "tcp_state", FR_FIELD_NAME, .at = AT_TCP_STATE },
	{ "sctp_state", "sctp_state", FR_FIELD_NAME, .at = AT_SCTP_STATE },
	{ "dccp_state", "dccp_state", FR_FIELD_NAME, .at = AT_DCCP_STATE },
	{ "helper", "helper", FR_FIELD_TEXT, .at = AT_HELPER },
};

/* Numbers of items that are durations */
static const struct {
	unsigned int table;
	const char *name;
	uint64_t unit_ns;
} durations[] = {
	{ FLYREP_TABLE_DNS, "ttl", FR_UNITS_NS_PER_S },
	{ FLYREP_TABLE_NFT_SET, "timeout", FR_UNITS_NS_PER_MS },
};

static const uint8_t item_types[] = {
	[FR_ITEM_STRING] = FR_FIELD_TEXT,   [FR_ITEM_NUMBER] = FR_FIELD_NUMBER,
	[FR_ITEM_TIME] = FR_FIELD_NUMBER,   [FR_ITEM_HEX] = FR_FIELD_BYTES,
	[FR_ITEM_NET] = FR_FIELD_NET,	    [FR_ITEM_BYTES] = FR_FIELD_TEXT,
	[FR_ITEM_FAMILY] = FR_FIELD_NAME,   [FR_ITEM_USERDATA] = FR_FIELD_BYTES,
};

const char *fr_field_type_name(const struct fr_field *f)
{
	static const char *const names[] = {
		[FR_FIELD_TEXT] = "text",	   [FR_FIELD_NUMBER] = "a number",
		[FR_FIELD_BYTES] = "bytes",	   [FR_FIELD_NET] = "an address",
		[FR_FIELD_NAME] = "a name",	   [FR_FIELD_BOOL] = "a boolean",
	};

	return f->unit_ns ? "a duration" : names[f->type];
}

static bool flow_field_at(unsigned int i, struct fr_field *f)
{
	if (i >= N_OF(flow_fields))
		return false;
	*f = flow_fields[i];
	switch (f->at) {
	case AT_FAMILY:
		f->names = families;
		f->n_names = N_OF(families);
		break;
	case AT_PROTO:
		f->names = fr_conntrack_proto_names(&f->n_names);
		break;
	case AT_TCP_STATE:
		f->names = fr_conntrack_state_names(IPPROTO_TCP, &f->n_names);
		break;
	case AT_SCTP_STATE:
		f->names = fr_conntrack_state_names(IPPROTO_SCTP, &f->n_names);
		break;
	case AT_DCCP_STATE:
		f->names = fr_conntrack_state_names(IPPROTO_DCCP, &f->n_names);
		break;
	}
	return true;
}

static void item_field(unsigned int table, const struct fr_item_field *item, struct fr_field *f)
{
	size_t i;

	f->name = item->name;
	f->json = item->name;
	f->type = item_types[item->type];
	if (item->type == FR_ITEM_FAMILY)
		f->names = fr_item_field_families(&f->n_names);
	for (i = 0; i < N_OF(durations); i++)
		if (durations[i].table == table && !strcmp(durations[i].name, item->name))
			f->unit_ns = durations[i].unit_ns;
}

/* What an item has beside its fields. Packets put off the end of an nft element. */
static void item_extra(unsigned int table, struct fr_field *f)
{
	static const struct fr_field expires = { "expires", "expires_ms", FR_FIELD_NUMBER,
						 .at = AT_EXPIRES };
	static const struct fr_field comment = { "comment", "comment", FR_FIELD_TEXT,
						 .at = AT_COMMENT };

	*f = table == FLYREP_TABLE_NFT_SET ? comment : expires;
}

/* How many fields of an item are to be had: not the counters of packets, which come last. */
static unsigned int count_items(unsigned int table, const struct fr_item_field *items)
{
	unsigned int n = 0;

	while (items[n].name && !(table == FLYREP_TABLE_NFT_SET && n == FR_ITEM_NFT_EXPRESSIONS))
		n++;
	return n;
}

bool fr_field_at(unsigned int table, unsigned int i, struct fr_field *f)
{
	const struct fr_item_field *items = fr_item_fields(table);
	unsigned int n;

	*f = (struct fr_field){ .at = i };
	if (table == FLYREP_TABLE_CONNTRACK)
		return flow_field_at(i, f);
	if (!items)
		return false;
	n = count_items(table, items);
	if (i < n)
		item_field(table, &items[i], f);
	else if (n == i)
		item_extra(table, f);
	return f->name;
}

bool fr_field_find(unsigned int table, const char *name, size_t len, struct fr_field *f)
{
	unsigned int i;

	for (i = 0; fr_field_at(table, i, f); i++)
		if (strlen(f->name) == len && !memcmp(f->name, name, len))
			return true;
	return false;
}

/* --- from a record ------------------------------------------------------ */

void fr_field_reader_init(struct fr_field_reader *r, unsigned int table, const void *rec)
{
	r->rec = rec;
	r->table = table;
	r->is_open = false;
	r->is_bad = false;
}

static bool get_net(struct fr_field_value *v, const struct flyrep_ct *ct,
		    const union flyrep_addr *addr)
{
	v->bytes = addr->byte;
	v->len = ct->family == AF_INET ? 4 : 16;
	v->number = 8 * v->len;
	return true;
}

static bool get_number(struct fr_field_value *v, uint64_t number, bool is_there)
{
	v->number = number;
	return is_there;
}

static bool get_helper(struct fr_field_reader *r, struct fr_field_value *v)
{
	if (!r->is_open)
		r->is_bad = !fr_conntrack_tail(&r->ext, r->rec);
	r->is_open = true;
	if (r->is_bad || !(r->ext.has & FLYREP_CT_EXT_HELPER))
		return false;
	v->bytes = (const uint8_t *)r->ext.helper;
	v->len = strnlen(r->ext.helper, sizeof(r->ext.helper));
	return v->len;
}

static bool get_tuple(const struct flyrep_ct *ct, unsigned int at, struct fr_field_value *v)
{
	bool has_ports = fr_conntrack_has_ports(ct->proto);
	bool is_icmp = ct->proto == IPPROTO_ICMP || ct->proto == IPPROTO_ICMPV6;
	uint8_t type_code[2];

	memcpy(type_code, &ct->orig.dport, 2);
	switch (at) {
	case AT_SRC:
		return get_net(v, ct, &ct->orig.src);
	case AT_DST:
		return get_net(v, ct, &ct->orig.dst);
	case AT_REPLY_SRC:
		return get_net(v, ct, &ct->reply.src);
	case AT_REPLY_DST:
		return get_net(v, ct, &ct->reply.dst);
	case AT_SPORT:
		return get_number(v, ntohs(ct->orig.sport), has_ports);
	case AT_DPORT:
		return get_number(v, ntohs(ct->orig.dport), has_ports);
	case AT_REPLY_SPORT:
		return get_number(v, ntohs(ct->reply.sport), has_ports);
	case AT_REPLY_DPORT:
		return get_number(v, ntohs(ct->reply.dport), has_ports);
	case AT_ICMP_TYPE:
		return get_number(v, type_code[0], is_icmp);
	case AT_ICMP_CODE:
		return get_number(v, type_code[1], is_icmp);
	}
	return false;
}

static bool get_of_flow(struct fr_field_reader *r, unsigned int at, struct fr_field_value *v)
{
	const struct flyrep_ct *ct = r->rec;

	switch (at) {
	case AT_FAMILY:
		return get_number(v, ct->family == AF_INET6, true);
	case AT_PROTO:
		return get_number(v, ct->proto, true);
	case AT_ZONE:
		return get_number(v, ct->zone, true);
	case AT_MARK:
		return get_number(v, ct->mark, true);
	case AT_SEEN_REPLY:
		return get_number(v, !!(ct->status & IPS_SEEN_REPLY), true);
	case AT_ASSURED:
		return get_number(v, !!(ct->status & IPS_ASSURED), true);
	case AT_SRC_NAT:
		return get_number(v, !!(ct->status & IPS_SRC_NAT), true);
	case AT_DST_NAT:
		return get_number(v, !!(ct->status & IPS_DST_NAT), true);
	case AT_TCP_STATE:
		return get_number(v, ct->tcp_state, ct->proto == IPPROTO_TCP);
	case AT_SCTP_STATE:
		return get_number(v, ct->sctp_state, ct->proto == IPPROTO_SCTP);
	case AT_DCCP_STATE:
		return get_number(v, ct->dccp_state, ct->proto == IPPROTO_DCCP);
	case AT_HELPER:
		return get_helper(r, v);
	default:
		return get_tuple(ct, at, v);
	}
}

static uint64_t read_number(const struct fr_item_bytes *field)
{
	uint64_t n = 0;
	size_t i;

	for (i = 0; i < field->len; i++)
		n = n << 8 | field->pos[i];
	return n;
}

static bool get_of_item(struct fr_field_reader *r, const struct fr_field *f,
			struct fr_field_value *v)
{
	const struct flyrep_item *it = r->rec;
	const struct fr_item_bytes *field;

	if (!r->is_open)
		r->is_bad = fr_item_unpack(it, r->table, r->item) < 0;
	r->is_open = true;
	if (r->is_bad)
		return false;
	if (f->at == AT_EXPIRES)
		return get_number(v, it->expires_ms / 1000, it->expires_ms);
	if (f->at == AT_COMMENT) {
		field = &r->item[FR_ITEM_NFT_USERDATA];
		v->bytes = fr_item_field_comment(field->pos, field->len, &v->len);
		return v->bytes && v->len;
	}
	field = &r->item[f->at];
	if (f->type == FR_FIELD_NUMBER || f->type == FR_FIELD_NAME)
		return get_number(v, read_number(field), field->len);
	v->bytes = field->pos;
	v->len = field->len;
	if (f->type == FR_FIELD_BYTES)
		v->number = 8 * field->len;
	if (f->type == FR_FIELD_NET) {
		if (field->len != 5 && field->len != 17)
			return false;
		v->number = v->bytes[--v->len];
	}
	return field->len;
}

bool fr_field_get(struct fr_field_reader *r, const struct fr_field *f, struct fr_field_value *v)
{
	*v = (struct fr_field_value){ 0 };
	return r->table == FLYREP_TABLE_CONNTRACK ? get_of_flow(r, f->at, v) :
						    get_of_item(r, f, v);
}

/* --- from text ---------------------------------------------------------- */

/* Longer than any number, duration, address or name */
#define WORD_MAX 128

static int parse_number(const struct fr_field *f, const char *word, struct fr_field_value *v,
			const char **why)
{
	bool is_hex = !strncmp(word, "0x", 2);
	const char *digits = is_hex ? word + 2 : word;
	uint64_t ns;

	if (*digits &&
	    strspn(digits, is_hex ? "0123456789abcdefABCDEF" : "0123456789") == strlen(digits)) {
		errno = 0;
		v->number = strtoull(digits, NULL, is_hex ? 16 : 10);
		*why = "too large";
		return errno ? -EINVAL : 0;
	}
	*why = f->unit_ns ? "not a number or a duration, as 60 or 1h30m" : "not a number";
	if (!f->unit_ns || fr_units_parse_duration(word, &ns))
		return -EINVAL;
	*why = f->unit_ns == FR_UNITS_NS_PER_S ? "it counts whole seconds" :
						 "it counts whole milliseconds";
	if (ns % f->unit_ns)
		return -EINVAL;
	v->number = ns / f->unit_ns;
	return 0;
}

static int parse_net(const char *word, uint8_t *room, struct fr_field_value *v, const char **why)
{
	struct fr_network net;
	int err = fr_network_parse(word, &net);

	*why = err == -EDOM ? "bits are set behind the prefix" : "not an address or a prefix";
	if (err)
		return -EINVAL;
	v->len = net.family == AF_INET ? 4 : 16;
	v->bytes = memcpy(room, net.addr, v->len);
	v->number = net.prefix_len;
	return 0;
}

static int nibble(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* "00:1b:21", "00-1b-21", "001b21". Return: the bytes, or -EINVAL */
static ssize_t parse_hex(const char *text, size_t len, uint8_t *room)
{
	size_t i = 0, n = 0;

	while (i < len) {
		int high = nibble(text[i]), low = i + 1 < len ? nibble(text[i + 1]) : -1;

		if (high < 0 || low < 0)
			return -EINVAL;
		room[n++] = (uint8_t)(high << 4 | low);
		i += 2;
		if (i + 1 < len && (text[i] == ':' || text[i] == '-'))
			i++;
	}
	return n ? (ssize_t)n : -EINVAL;
}

static int parse_name(const struct fr_field *f, const char *word, struct fr_field_value *v,
		      const char **why)
{
	const struct fr_field plain = { .type = FR_FIELD_NUMBER };
	size_t i;

	for (i = 0; i < f->n_names; i++) {
		if (!f->names[i] || strcasecmp(f->names[i], word))
			continue;
		v->number = i;
		return 0;
	}
	if (!parse_number(&plain, word, v, why))
		return 0;
	*why = "not a name that it can have";
	return -EINVAL;
}

static int parse_bool(const char *word, struct fr_field_value *v, const char **why)
{
	v->number = !strcmp(word, "true");
	*why = "not true or false";
	return v->number || !strcmp(word, "false") ? 0 : -EINVAL;
}

int fr_field_parse(const struct fr_field *f, const char *text, size_t len, uint8_t *room,
		   struct fr_field_value *v, const char **why)
{
	char word[WORD_MAX] = "";
	ssize_t n;

	*v = (struct fr_field_value){ 0 };
	if (f->type == FR_FIELD_TEXT) {
		v->bytes = (const uint8_t *)text;
		v->len = len;
		return 0;
	}
	if (len < sizeof(word))
		memcpy(word, text, len);
	switch (f->type) {
	case FR_FIELD_NUMBER:
		return parse_number(f, word, v, why);
	case FR_FIELD_NET:
		return parse_net(word, room, v, why);
	case FR_FIELD_NAME:
		return parse_name(f, word, v, why);
	case FR_FIELD_BOOL:
		return parse_bool(word, v, why);
	default:
		n = parse_hex(text, len, room);
		if (n < 0 && !parse_net(word, room, v, why))
			return 0;
		*why = "not bytes in hexadecimal, as 00:1b:21:3c:4d:5e, nor an address";
		if (n < 0)
			return -EINVAL;
		v->bytes = room;
		v->len = (size_t)n;
		v->number = 8 * v->len;
		return 0;
	}
}
