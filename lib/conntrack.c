// SPDX-License-Identifier: GPL-2.0-or-later
#include "conntrack.h"

#include <arpa/inet.h>
#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <netinet/in.h>
#include <stddef.h>
#include <string.h>

#define N_OF(array) (sizeof(array) / sizeof((array)[0]))

#define SCALE_MAX 14 /* RFC 7323 */
#define ZONE_DIR_BOTH 3

static_assert(sizeof(struct flyrep_rec) == 24, "layout");
static_assert(sizeof(struct flyrep_ct_tuple) == 36, "layout");
static_assert(sizeof(struct flyrep_ct) == 128, "layout");
static_assert(FLYREP_CT_STATUS_MASK == (IPS_SEEN_REPLY | IPS_ASSURED |
					IPS_SRC_NAT | IPS_DST_NAT),
	      "status bits that travel");
static_assert(FLYREP_CT_TCP_FLAGS_MASK ==
		      (IP_CT_TCP_FLAG_WINDOW_SCALE | IP_CT_TCP_FLAG_SACK_PERM),
	      "TCP flags that travel");

static unsigned int conntrack_key(uint8_t *key, const void *rec)
{
	return flyrep_ct_key(key, rec);
}

static int conntrack_from_key(void *rec, const uint8_t *key, size_t key_len)
{
	struct flyrep_ct *ct = rec;
	const char *why;
	size_t n;

	switch (key_len) {
	case FLYREP_CT_KEY_V4_LEN:
		ct->family = AF_INET;
		n = 4;
		break;
	case FLYREP_CT_KEY_MAX_LEN:
		ct->family = AF_INET6;
		n = 16;
		break;
	default:
		return -EINVAL;
	}
	if ((key[0] & 0xf) != (n == 4 ? 4 : 6))
		return -EINVAL;
	ct->zone_dir = key[0] >> 4;
	ct->proto = key[1];
	ct->zone = (uint16_t)(key[2] | key[3] << 8);
	memcpy(&ct->orig.sport, key + 4, 2);
	memcpy(&ct->orig.dport, key + 6, 2);
	memcpy(ct->orig.src.byte, key + 8, n);
	memcpy(ct->orig.dst.byte, key + 8 + n, n);

	/* Whatever passes for a DELETE is a key. */
	ct->rec.op = FLYREP_OP_DELETE;
	if (fr_conntrack_check(ct, &why))
		return -EINVAL;
	ct->rec.op = FLYREP_OP_UNSPEC;
	return 0;
}

/*
 * The canonical key, then the value as it travels: reply source, destination,
 * ports, mark, status, TCP state, flags, scale. Every node must compute the same
 * bytes (docs/protocol.md).
 */
static uint64_t conntrack_digest(const void *rec,
				 const struct fr_siphash_key *hash_key)
{
	const struct flyrep_ct *ct = rec;
	uint8_t buf[FLYREP_CT_KEY_MAX_LEN + 44] __attribute__((aligned(8)));
	size_t n = ct->family == AF_INET ? 4 : 16;
	uint32_t mark = htobe32(ct->mark);
	uint8_t *p = buf + flyrep_ct_key(buf, ct);

	memcpy(p, ct->reply.src.byte, n);
	memcpy(p + n, ct->reply.dst.byte, n);
	p += 2 * n;
	memcpy(p, &ct->reply.sport, 2);
	memcpy(p + 2, &ct->reply.dport, 2);
	memcpy(p + 4, &mark, 4);
	p[8] = fr_conntrack_status_to_wire(ct->status);
	p[9] = ct->tcp_state;
	p[10] = fr_conntrack_nibbles(ct->tcp_flags, FLYREP_CT_TCP_FLAGS_MASK);
	p[11] = fr_conntrack_nibbles(ct->tcp_scale, 0xf);
	return fr_siphash(buf, (size_t)(p + 12 - buf), hash_key);
}

static uint8_t icmp_type(const struct flyrep_ct_tuple *t)
{
	uint8_t type;

	memcpy(&type, &t->dport, 1);
	return type;
}

/*
 * The kernel's invmap of both protocols: the type of the answer, or -1. The
 * kernel tracks no other types.
 */
static int icmp_answer(uint8_t proto, uint8_t type)
{
	/* clang-format off */
	static const struct {
		uint8_t proto, type, answer;
	} pairs[] = {
		{ IPPROTO_ICMP, 8, 0 },
		{ IPPROTO_ICMP, 13, 14 },
		{ IPPROTO_ICMP, 15, 16 },
		{ IPPROTO_ICMP, 17, 18 },
		{ IPPROTO_ICMPV6, 128, 129 },
		{ IPPROTO_ICMPV6, 139, 140 },
	};
	/* clang-format on */
	size_t i;

	for (i = 0; i < N_OF(pairs); i++) {
		if (pairs[i].proto != proto)
			continue;
		if (pairs[i].type == type)
			return pairs[i].answer;
		if (pairs[i].answer == type)
			return pairs[i].type;
	}
	return -1;
}

void fr_conntrack_invert(struct flyrep_ct_tuple *reply,
			 const struct flyrep_ct *ct)
{
	reply->src = ct->orig.dst;
	reply->dst = ct->orig.src;
	if (ct->proto == IPPROTO_ICMP || ct->proto == IPPROTO_ICMPV6) {
		uint8_t type =
			(uint8_t)icmp_answer(ct->proto, icmp_type(&ct->orig));

		reply->sport = ct->orig.sport;
		reply->dport = ct->orig.dport;
		memcpy(&reply->dport, &type, 1);
	} else {
		reply->sport = ct->orig.dport;
		reply->dport = ct->orig.sport;
	}
}

static inline bool is_v4_clean(const union flyrep_addr *a)
{
	return !(a->word[1] | a->word[2] | a->word[3]);
}

static inline const char *reject_key(const struct flyrep_ct *ct)
{
	if (ct->rec.reserved | ct->rec.reserved2 | ct->reserved[0] |
	    ct->reserved[1] | ct->reserved[2])
		return "reserved bytes are set";
	switch (ct->family) {
	case AF_INET:
		if (ct->proto == IPPROTO_ICMPV6)
			return "ICMPv6 in an IPv4 flow";
		if (!is_v4_clean(&ct->orig.src) || !is_v4_clean(&ct->orig.dst))
			return "unused address words are set";
		break;
	case AF_INET6:
		if (ct->proto == IPPROTO_ICMP)
			return "ICMP in an IPv6 flow";
		break;
	default:
		return "unknown address family";
	}
	switch (ct->proto) {
	case IPPROTO_TCP:
	case IPPROTO_UDP:
		break;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		if (icmp_answer(ct->proto, icmp_type(&ct->orig)) < 0)
			return "ICMP type without an answer";
		break;
	default:
		return "unknown protocol";
	}
	if (!ct->zone_dir || ct->zone_dir > ZONE_DIR_BOTH)
		return "zone direction out of range";
	return NULL;
}

static inline const char *reject_value(const struct flyrep_ct *ct)
{
	uint8_t tcp;

	if (ct->reserved3[0] | ct->reserved3[1] | ct->reserved3[2] |
	    ct->reserved3[3] | ct->reserved3[4] | ct->reserved3[5] |
	    ct->reserved3[6])
		return "reserved bytes are set";
	if (ct->family == AF_INET &&
	    (!is_v4_clean(&ct->reply.src) || !is_v4_clean(&ct->reply.dst)))
		return "unused address words are set";
	if (ct->proto == IPPROTO_TCP) {
		if (ct->tcp_state >= TCP_CONNTRACK_MAX)
			return "TCP state out of range";
		if (ct->tcp_scale[0] > SCALE_MAX ||
		    ct->tcp_scale[1] > SCALE_MAX)
			return "TCP window scale out of range";
		return NULL;
	}
	tcp = ct->tcp_state | ct->tcp_flags[0] | ct->tcp_flags[1] |
	      ct->tcp_scale[0] | ct->tcp_scale[1];
	return tcp ? "TCP fields are set for another protocol" : NULL;
}

int fr_conntrack_check(const struct flyrep_ct *ct, const char **why)
{
	switch (ct->rec.op) {
	case FLYREP_OP_INSERT:
	case FLYREP_OP_UPDATE:
		*why = reject_key(ct);
		if (!*why)
			*why = reject_value(ct);
		break;
	case FLYREP_OP_DELETE:
		*why = reject_key(ct);
		break;
	default:
		*why = "unknown operation";
	}
	return *why ? -EINVAL : 0;
}

static int conntrack_check(const void *rec, const char **why)
{
	return fr_conntrack_check(rec, why);
}

static const char *const op_names[] = {
	[FLYREP_OP_INSERT] = "insert",
	[FLYREP_OP_UPDATE] = "update",
	[FLYREP_OP_DELETE] = "delete",
};

static const char *const tcp_state_names[] = {
	[TCP_CONNTRACK_NONE] = "NONE",
	[TCP_CONNTRACK_SYN_SENT] = "SYN_SENT",
	[TCP_CONNTRACK_SYN_RECV] = "SYN_RECV",
	[TCP_CONNTRACK_ESTABLISHED] = "ESTABLISHED",
	[TCP_CONNTRACK_FIN_WAIT] = "FIN_WAIT",
	[TCP_CONNTRACK_CLOSE_WAIT] = "CLOSE_WAIT",
	[TCP_CONNTRACK_LAST_ACK] = "LAST_ACK",
	[TCP_CONNTRACK_TIME_WAIT] = "TIME_WAIT",
	[TCP_CONNTRACK_CLOSE] = "CLOSE",
	[TCP_CONNTRACK_SYN_SENT2] = "SYN_SENT2",
};

static_assert(N_OF(tcp_state_names) == TCP_CONNTRACK_MAX,
	      "a TCP state has no name");

struct bit_name {
	uint32_t bit;
	const char *name;
};

/* clang-format off */
static const struct bit_name status_names[] = {
	{ IPS_EXPECTED, "expected" },
	{ IPS_SEEN_REPLY, "seen_reply" },
	{ IPS_ASSURED, "assured" },
	{ IPS_CONFIRMED, "confirmed" },
	{ IPS_SRC_NAT, "src_nat" },
	{ IPS_DST_NAT, "dst_nat" },
	{ IPS_SEQ_ADJUST, "seq_adjust" },
	{ IPS_DYING, "dying" },
	{ IPS_FIXED_TIMEOUT, "fixed_timeout" },
	{ IPS_HELPER, "helper" },
	{ IPS_OFFLOAD, "offload" },
	{ IPS_HW_OFFLOAD, "hw_offload" },
};

/* clang-format on */

static const struct bit_name zone_dir_names[] = {
	{ 1, "original" },
	{ 2, "reply" },
};

static const struct bit_name tcp_flag_names[] = {
	{ IP_CT_TCP_FLAG_WINDOW_SCALE, "window_scale" },
	{ IP_CT_TCP_FLAG_SACK_PERM, "sack_perm" },
	{ IP_CT_TCP_FLAG_CLOSE_INIT, "close_init" },
	{ IP_CT_TCP_FLAG_BE_LIBERAL, "be_liberal" },
	{ IP_CT_TCP_FLAG_DATA_UNACKNOWLEDGED, "data_unacknowledged" },
	{ IP_CT_TCP_FLAG_MAXACK_SET, "maxack_set" },
	{ IP_CT_EXP_CHALLENGE_ACK, "challenge_ack" },
	{ IP_CT_TCP_SIMULTANEOUS_OPEN, "simultaneous_open" },
};

static json_t *bits_to_json(uint32_t bits, const struct bit_name *names,
			    size_t n)
{
	json_t *list = json_array();
	size_t i;

	for (i = 0; i < n; i++)
		if (bits & names[i].bit)
			json_array_append_new(list, json_string(names[i].name));
	return list;
}

static const char *proto_name(uint8_t proto)
{
	switch (proto) {
	case IPPROTO_TCP:
		return "tcp";
	case IPPROTO_UDP:
		return "udp";
	case IPPROTO_ICMP:
		return "icmp";
	case IPPROTO_ICMPV6:
		return "icmpv6";
	default:
		return NULL;
	}
}

static json_t *tuple_to_json(const struct flyrep_ct *ct,
			     const struct flyrep_ct_tuple *t)
{
	char src[INET6_ADDRSTRLEN] = "", dst[INET6_ADDRSTRLEN] = "";
	uint8_t type_code[2];
	json_t *obj;

	inet_ntop(ct->family, t->src.byte, src, sizeof(src));
	inet_ntop(ct->family, t->dst.byte, dst, sizeof(dst));
	obj = json_pack("{s:s, s:s}", "src", src, "dst", dst);
	if (ct->proto == IPPROTO_ICMP || ct->proto == IPPROTO_ICMPV6) {
		memcpy(type_code, &t->dport, 2);
		json_object_set_new(obj, "type", json_integer(type_code[0]));
		json_object_set_new(obj, "code", json_integer(type_code[1]));
		json_object_set_new(obj, "id", json_integer(ntohs(t->sport)));
	} else {
		json_object_set_new(obj, "sport",
				    json_integer(ntohs(t->sport)));
		json_object_set_new(obj, "dport",
				    json_integer(ntohs(t->dport)));
	}
	return obj;
}

static json_t *tcp_side_to_json(const struct flyrep_ct *ct, unsigned int dir)
{
	return json_pack("{s:i, s:o}", "scale", ct->tcp_scale[dir], "flags",
			 bits_to_json(ct->tcp_flags[dir], tcp_flag_names,
				      N_OF(tcp_flag_names)));
}

static void value_to_json(json_t *obj, const struct flyrep_ct *ct)
{
	json_object_set_new(obj, "reply", tuple_to_json(ct, &ct->reply));
	json_object_set_new(obj, "status",
			    bits_to_json(ct->status, status_names,
					 N_OF(status_names)));
	json_object_set_new(obj, "timeout_s", json_integer(ct->timeout_s));
	json_object_set_new(obj, "mark", json_integer(ct->mark));
	if (ct->proto != IPPROTO_TCP)
		return;
	json_object_set_new(
		obj, "tcp_state",
		ct->tcp_state < N_OF(tcp_state_names) ?
			json_string(tcp_state_names[ct->tcp_state]) :
			json_integer(ct->tcp_state));
	json_object_set_new(obj, "tcp_original", tcp_side_to_json(ct, 0));
	json_object_set_new(obj, "tcp_reply", tcp_side_to_json(ct, 1));
}

static json_t *conntrack_to_json(const void *rec)
{
	const struct flyrep_ct *ct = rec;
	const char *op = ct->rec.op < N_OF(op_names) ? op_names[ct->rec.op] :
						       NULL;
	const char *proto = proto_name(ct->proto);
	json_t *obj;

	obj = json_pack(
		"{s:s, s:s, s:s, s:I, s:I, s:I}", "table", "conntrack", "op",
		op ? op : "unknown", "origin",
		ct->rec.flags & FLYREP_REC_F_REMOTE ? "remote" : "local", "id",
		(json_int_t)ct->rec.id, "stamp", (json_int_t)ct->rec.stamp,
		"age_us", (json_int_t)ct->rec.age_us);
	json_object_set_new(obj, "family",
			    json_string(ct->family == AF_INET  ? "ipv4" :
					ct->family == AF_INET6 ? "ipv6" :
								 "unknown"));
	json_object_set_new(obj, "proto",
			    proto ? json_string(proto) :
				    json_integer(ct->proto));
	json_object_set_new(obj, "zone", json_integer(ct->zone));
	if (ct->zone_dir != ZONE_DIR_BOTH)
		json_object_set_new(obj, "zone_dir",
				    bits_to_json(ct->zone_dir, zone_dir_names,
						 N_OF(zone_dir_names)));
	json_object_set_new(obj, "original", tuple_to_json(ct, &ct->orig));
	if (ct->rec.op != FLYREP_OP_DELETE)
		value_to_json(obj, ct);
	return obj;
}

const struct fr_table fr_conntrack_table = {
	.id = FLYREP_TABLE_CONNTRACK,
	.name = "conntrack",
	.rec_len = sizeof(struct flyrep_ct),
	.key = conntrack_key,
	.from_key = conntrack_from_key,
	.digest = conntrack_digest,
	.check = conntrack_check,
	.encode = fr_conntrack_encode,
	.decode = fr_conntrack_decode,
	.to_json = conntrack_to_json,
};
