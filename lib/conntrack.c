// SPDX-License-Identifier: GPL-2.0-or-later
#include "conntrack.h"

#include <arpa/inet.h>
#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_conntrack_sctp.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <netinet/in.h>
#include <stddef.h>
#include <string.h>

#include "conntrack_tail.h"

#define N_OF(array) (sizeof(array) / sizeof((array)[0]))

#define SCALE_MAX 14 /* RFC 7323 */
#define ZONE_DIR_BOTH 3

static_assert(sizeof(struct flyrep_rec) == 24, "layout");
static_assert(sizeof(struct flyrep_ct_tuple) == 36, "layout");
static_assert(sizeof(struct flyrep_ct) == 128, "layout");
static_assert(offsetof(struct flyrep_ct, proto_value) == 116, "layout");
static_assert(offsetof(struct flyrep_ct, sctp_vtag) == 120, "layout");
static_assert(offsetof(struct flyrep_ct, dccp_handshake_seq) == 120, "layout");
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

/* The protocol's own bytes of a digest, state first; returns their end. */
static uint8_t *digest_proto(uint8_t *p, const struct flyrep_ct *ct)
{
	uint64_t seq;

	memset(p, 0, 3);
	switch (ct->proto) {
	case IPPROTO_TCP:
		p[0] = ct->tcp_state;
		p[1] = fr_conntrack_nibbles(ct->tcp_flags,
					    FLYREP_CT_TCP_FLAGS_MASK);
		p[2] = fr_conntrack_nibbles(ct->tcp_scale, 0xf);
		return p + 3;
	case IPPROTO_SCTP:
		p[0] = ct->sctp_state;
		memcpy(p + 3, ct->sctp_vtag, 8);
		return p + 11;
	case IPPROTO_DCCP:
		seq = htobe64(ct->dccp_handshake_seq);
		p[0] = ct->dccp_state;
		p[1] = fr_conntrack_nibbles(ct->dccp_role, 0xf);
		memcpy(p + 3, &seq, 8);
		return p + 11;
	default:
		return p + 3;
	}
}

/*
 * The canonical key, then the value as it travels: reply source, destination,
 * ports, mark, status, what the protocol has, and of the tail what all nodes can
 * hold. Every node must compute the same bytes (docs/protocol.md).
 */
static uint64_t conntrack_digest(const void *rec,
				 const struct fr_siphash_key *hash_key)
{
	const struct flyrep_ct *ct = rec;
	uint8_t buf[FLYREP_CT_KEY_MAX_LEN + 52 + FR_CONNTRACK_TAIL_DIGEST_MAX]
		__attribute__((aligned(8)));
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
	p = digest_proto(p + 9, ct);
	if (ct->rec.tail_len)
		p = fr_conntrack_tail_digest(p, ct);
	return fr_siphash(buf, (size_t)(p - buf), hash_key);
}

static inline bool is_icmp(uint8_t proto)
{
	return proto == IPPROTO_ICMP || proto == IPPROTO_ICMPV6;
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
	if (is_icmp(ct->proto)) {
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

/* Protocols whose flows are told apart by ports, or by GRE's keys. */
bool fr_conntrack_has_ports(uint8_t proto)
{
	switch (proto) {
	case IPPROTO_TCP:
	case IPPROTO_UDP:
	case IPPROTO_UDPLITE:
	case IPPROTO_SCTP:
	case IPPROTO_DCCP:
	case IPPROTO_GRE:
		return true;
	default:
		return false;
	}
}

static inline const char *reject_ports(uint8_t proto,
				       const struct flyrep_ct_tuple *t)
{
	if (!fr_conntrack_has_ports(proto) && !is_icmp(proto) && (t->sport | t->dport))
		return "ports of a protocol without ports";
	return NULL;
}

static inline const char *reject_key(const struct flyrep_ct *ct)
{
	if (ct->rec.reserved2 | ct->reserved[0] | ct->reserved[1] |
	    ct->reserved[2])
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
	if (!ct->proto)
		return "no protocol";
	if (is_icmp(ct->proto) &&
	    icmp_answer(ct->proto, icmp_type(&ct->orig)) < 0)
		return "ICMP type without an answer";
	if (!ct->zone_dir || ct->zone_dir > ZONE_DIR_BOTH)
		return "zone direction out of range";
	return reject_ports(ct->proto, &ct->orig);
}

static inline bool is_zero(const uint8_t *bytes, size_t n)
{
	uint8_t any = 0;
	size_t i;

	for (i = 0; i < n; i++)
		any |= bytes[i];
	return !any;
}

static inline const char *reject_tcp(const struct flyrep_ct *ct)
{
	if (!is_zero(ct->tcp_reserved, sizeof(ct->tcp_reserved)))
		return "reserved bytes are set";
	if (ct->tcp_state >= TCP_CONNTRACK_MAX)
		return "TCP state out of range";
	if (ct->tcp_scale[0] > SCALE_MAX || ct->tcp_scale[1] > SCALE_MAX)
		return "TCP window scale out of range";
	return NULL;
}

static inline const char *reject_sctp(const struct flyrep_ct *ct)
{
	if (!is_zero(ct->sctp_reserved, sizeof(ct->sctp_reserved)))
		return "reserved bytes are set";
	if (ct->sctp_state >= FLYREP_CT_SCTP_STATES)
		return "SCTP state out of range";
	return NULL;
}

static inline const char *reject_dccp(const struct flyrep_ct *ct)
{
	if (ct->dccp_reserved)
		return "reserved bytes are set";
	if (ct->dccp_state >= FLYREP_CT_DCCP_STATES)
		return "DCCP state out of range";
	if ((ct->dccp_role[0] | ct->dccp_role[1]) > 1)
		return "DCCP role out of range";
	return NULL;
}

static inline const char *reject_value(const struct flyrep_ct *ct)
{
	const char *why;

	if (ct->family == AF_INET &&
	    (!is_v4_clean(&ct->reply.src) || !is_v4_clean(&ct->reply.dst)))
		return "unused address words are set";
	why = reject_ports(ct->proto, &ct->reply);
	if (why)
		return why;
	switch (ct->proto) {
	case IPPROTO_TCP:
		return reject_tcp(ct);
	case IPPROTO_SCTP:
		return reject_sctp(ct);
	case IPPROTO_DCCP:
		return reject_dccp(ct);
	default:
		if (!is_zero(ct->proto_value, sizeof(ct->proto_value)))
			return "a state of a protocol without states";
		return NULL;
	}
}

int fr_conntrack_check(const struct flyrep_ct *ct, const char **why)
{
	switch (ct->rec.op) {
	case FLYREP_OP_INSERT:
	case FLYREP_OP_UPDATE:
		*why = reject_key(ct);
		if (!*why)
			*why = reject_value(ct);
		if (!*why && ct->rec.tail_len)
			*why = fr_conntrack_tail_reject(ct);
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

static const char *const sctp_state_names[] = {
	[SCTP_CONNTRACK_NONE] = "NONE",
	[SCTP_CONNTRACK_CLOSED] = "CLOSED",
	[SCTP_CONNTRACK_COOKIE_WAIT] = "COOKIE_WAIT",
	[SCTP_CONNTRACK_COOKIE_ECHOED] = "COOKIE_ECHOED",
	[SCTP_CONNTRACK_ESTABLISHED] = "ESTABLISHED",
	[SCTP_CONNTRACK_SHUTDOWN_SENT] = "SHUTDOWN_SENT",
	[SCTP_CONNTRACK_SHUTDOWN_RECD] = "SHUTDOWN_RECD",
	[SCTP_CONNTRACK_SHUTDOWN_ACK_SENT] = "SHUTDOWN_ACK_SENT",
	[SCTP_CONNTRACK_HEARTBEAT_SENT] = "HEARTBEAT_SENT",
};

static_assert(N_OF(sctp_state_names) == FLYREP_CT_SCTP_STATES,
	      "an SCTP state has no name");

/* enum ct_dccp_states: no header of user space has it. */
static const char *const dccp_state_names[] = {
	"NONE", "REQUEST",  "RESPOND", "PARTOPEN",
	"OPEN", "CLOSEREQ", "CLOSING", "TIMEWAIT",
};

static_assert(N_OF(dccp_state_names) == FLYREP_CT_DCCP_STATES,
	      "a DCCP state has no name");

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

static const char *const proto_names[] = {
	[IPPROTO_TCP] = "tcp",	       [IPPROTO_UDP] = "udp",
	[IPPROTO_ICMP] = "icmp",       [IPPROTO_ICMPV6] = "icmpv6",
	[IPPROTO_SCTP] = "sctp",       [IPPROTO_DCCP] = "dccp",
	[IPPROTO_UDPLITE] = "udplite", [IPPROTO_GRE] = "gre",
};

const char *const *fr_conntrack_proto_names(size_t *n)
{
	*n = N_OF(proto_names);
	return proto_names;
}

const char *const *fr_conntrack_state_names(uint8_t proto, size_t *n)
{
	switch (proto) {
	case IPPROTO_TCP:
		*n = N_OF(tcp_state_names);
		return tcp_state_names;
	case IPPROTO_SCTP:
		*n = N_OF(sctp_state_names);
		return sctp_state_names;
	case IPPROTO_DCCP:
		*n = N_OF(dccp_state_names);
		return dccp_state_names;
	default:
		*n = 0;
		return NULL;
	}
}

json_t *fr_conntrack_proto_to_json(uint8_t proto)
{
	const char *name = proto < N_OF(proto_names) ? proto_names[proto] : NULL;

	return name ? json_string(name) : json_integer(proto);
}

json_t *fr_conntrack_tuple_to_json(const struct flyrep_ct *ct,
				   const struct flyrep_ct_tuple *t)
{
	char src[INET6_ADDRSTRLEN] = "", dst[INET6_ADDRSTRLEN] = "";
	uint8_t type_code[2];
	json_t *obj;

	inet_ntop(ct->family, t->src.byte, src, sizeof(src));
	inet_ntop(ct->family, t->dst.byte, dst, sizeof(dst));
	obj = json_pack("{s:s, s:s}", "src", src, "dst", dst);
	if (is_icmp(ct->proto)) {
		memcpy(type_code, &t->dport, 2);
		json_object_set_new(obj, "type", json_integer(type_code[0]));
		json_object_set_new(obj, "code", json_integer(type_code[1]));
		json_object_set_new(obj, "id", json_integer(ntohs(t->sport)));
	} else if (fr_conntrack_has_ports(ct->proto)) {
		json_object_set_new(obj, "sport",
				    json_integer(ntohs(t->sport)));
		json_object_set_new(obj, "dport",
				    json_integer(ntohs(t->dport)));
	}
	return obj;
}

/* A state by its name; one that is out of range by its number. */
static json_t *state_to_json(uint8_t state, const char *const *names, size_t n)
{
	return state < n ? json_string(names[state]) : json_integer(state);
}

static json_t *tcp_side_to_json(const struct flyrep_ct *ct, unsigned int dir)
{
	return json_pack("{s:i, s:o}", "scale", ct->tcp_scale[dir], "flags",
			 bits_to_json(ct->tcp_flags[dir], tcp_flag_names,
				      N_OF(tcp_flag_names)));
}

static void proto_to_json(json_t *obj, const struct flyrep_ct *ct)
{
	switch (ct->proto) {
	case IPPROTO_TCP:
		json_object_set_new(obj, "tcp_state",
				    state_to_json(ct->tcp_state,
						  tcp_state_names,
						  N_OF(tcp_state_names)));
		json_object_set_new(obj, "tcp_original",
				    tcp_side_to_json(ct, 0));
		json_object_set_new(obj, "tcp_reply", tcp_side_to_json(ct, 1));
		break;
	case IPPROTO_SCTP:
		json_object_set_new(obj, "sctp_state",
				    state_to_json(ct->sctp_state,
						  sctp_state_names,
						  N_OF(sctp_state_names)));
		json_object_set_new(
			obj, "sctp_vtag",
			json_pack("[I, I]", (json_int_t)ntohl(ct->sctp_vtag[0]),
				  (json_int_t)ntohl(ct->sctp_vtag[1])));
		break;
	case IPPROTO_DCCP:
		json_object_set_new(obj, "dccp_state",
				    state_to_json(ct->dccp_state,
						  dccp_state_names,
						  N_OF(dccp_state_names)));
		json_object_set_new(obj, "dccp_role",
				    json_pack("[i, i]", ct->dccp_role[0],
					      ct->dccp_role[1]));
		json_object_set_new(
			obj, "dccp_handshake_seq",
			json_integer((json_int_t)ct->dccp_handshake_seq));
		break;
	}
}

static void value_to_json(json_t *obj, const struct flyrep_ct *ct)
{
	json_object_set_new(obj, "reply",
			    fr_conntrack_tuple_to_json(ct, &ct->reply));
	json_object_set_new(obj, "status",
			    bits_to_json(ct->status, status_names,
					 N_OF(status_names)));
	json_object_set_new(obj, "timeout_s", json_integer(ct->timeout_s));
	json_object_set_new(obj, "mark", json_integer(ct->mark));
	proto_to_json(obj, ct);
	fr_conntrack_tail_to_json(obj, ct);
}

json_t *fr_conntrack_head_to_json(const char *table, const struct flyrep_ct *ct)
{
	const char *op = ct->rec.op < N_OF(op_names) ? op_names[ct->rec.op] :
						       NULL;
	json_t *obj;

	obj = json_pack(
		"{s:s, s:s, s:s, s:I, s:I, s:I}", "table", table, "op",
		op ? op : "unknown", "origin",
		ct->rec.flags & FLYREP_REC_F_REMOTE ? "remote" : "local", "id",
		(json_int_t)ct->rec.id, "stamp", (json_int_t)ct->rec.stamp,
		"age_us", (json_int_t)ct->rec.age_us);
	json_object_set_new(obj, "family",
			    json_string(ct->family == AF_INET  ? "ipv4" :
					ct->family == AF_INET6 ? "ipv6" :
								 "unknown"));
	json_object_set_new(obj, "proto",
			    fr_conntrack_proto_to_json(ct->proto));
	json_object_set_new(obj, "zone", json_integer(ct->zone));
	if (ct->zone_dir != ZONE_DIR_BOTH)
		json_object_set_new(obj, "zone_dir",
				    bits_to_json(ct->zone_dir, zone_dir_names,
						 N_OF(zone_dir_names)));
	return obj;
}

static json_t *conntrack_to_json(const void *rec)
{
	const struct flyrep_ct *ct = rec;
	json_t *obj = fr_conntrack_head_to_json("conntrack", ct);

	json_object_set_new(obj, "original",
			    fr_conntrack_tuple_to_json(ct, &ct->orig));
	if (ct->rec.op != FLYREP_OP_DELETE)
		value_to_json(obj, ct);
	return obj;
}

const struct fr_table fr_conntrack_table = {
	.id = FLYREP_TABLE_CONNTRACK,
	.name = "conntrack",
	.rec_len = sizeof(struct flyrep_ct),
	.tail_max = sizeof(struct flyrep_ct_ext),
	.key = conntrack_key,
	.from_key = conntrack_from_key,
	.digest = conntrack_digest,
	.check = conntrack_check,
	.encode = fr_conntrack_encode,
	.decode = fr_conntrack_decode,
	.encode_refs = fr_conntrack_encode_refs,
	.decode_refs = fr_conntrack_decode_refs,
	.to_json = conntrack_to_json,
};
