// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The golden vectors of conntrack batches hold their columns byte for byte.
 *
 * With --write they are written anew, and the seeds of fuzz_columns, fuzz_refs and
 * fuzz_records. A difference in an old vector is another wire version.
 */
#include "vectors.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>

#include "conntrack.h"

#define N_OF(array) (sizeof(array) / sizeof((array)[0]))

#define RECS_MAX 16
#define RECS_LEN \
	(RECS_MAX * (sizeof(struct flyrep_ct) + sizeof(struct flyrep_ct_ext)))

static const struct fr_siphash_key hash_key = { { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9,
						  10, 11, 12, 13, 14, 15 } };

/* --- what the vectors are made from ------------------------------------- */

struct flow {
	uint8_t op;
	bool by_ref; /* named by reference */
	uint8_t proto;
	const char *src, *dst;
	uint16_t sport, dport; /* ICMP: identifier; type and code */
	/* The reply, where it does not follow. */
	const char *reply_src, *reply_dst;
	uint16_t reply_sport, reply_dport;
	uint32_t status;
	uint32_t mark;
	uint16_t zone;
	uint8_t zone_dir; /* 0: both */
	uint8_t tcp_state, tcp_flags[2], tcp_scale[2];
	uint8_t sctp_state;
	uint32_t sctp_vtag[2];
	uint8_t dccp_state, dccp_role[2];
	uint64_t dccp_handshake_seq;
	struct flyrep_ct_ext tail; /* has 0: none; but for the master's tuple */
	const char *master_src, *master_dst;
	uint16_t master_sport, master_dport;
};

struct batch {
	const char *name;
	const char *about;
	unsigned int ref_bits; /* 0: no references */
	struct flow flows[RECS_MAX]; /* ends with a proto of 0 */
};

#define ESTABLISHED                                           \
	.proto = IPPROTO_TCP, .status = 0x06, .tcp_state = 3, \
	.tcp_flags = { 0x23, 0x23 }, .tcp_scale = { 7, 9 }

static const struct batch batches[] = {
	{ "empty", "no record at all", 0, { { 0 } } },
	{ "tcp4",
	  "an established connection without NAT",
	  0,
	  { { .op = FLYREP_OP_UPDATE,
	      .src = "10.1.0.5",
	      .dst = "198.51.100.7",
	      .sport = 40000,
	      .dport = 443,
	      ESTABLISHED } } },
	{ "tcp4-snat",
	  "source NAT that keeps the port, one that does not",
	  0,
	  { { .op = FLYREP_OP_UPDATE,
	      .src = "10.1.0.5",
	      .dst = "198.51.100.7",
	      .sport = 40000,
	      .dport = 443,
	      .reply_dst = "203.0.113.1",
	      ESTABLISHED },
	    { .op = FLYREP_OP_UPDATE,
	      .src = "10.1.0.6",
	      .dst = "198.51.100.7",
	      .sport = 40000,
	      .dport = 443,
	      .reply_dst = "203.0.113.1",
	      .reply_dport = 1025,
	      ESTABLISHED } } },
	{ "tcp4-dnat",
	  "destination NAT to another port",
	  0,
	  { { .op = FLYREP_OP_INSERT,
	      .src = "192.0.2.9",
	      .dst = "203.0.113.1",
	      .sport = 51515,
	      .dport = 80,
	      .reply_src = "10.2.0.80",
	      .reply_sport = 8080,
	      ESTABLISHED } } },
	{ "udp6",
	  "IPv6, no reply seen",
	  0,
	  { { .op = FLYREP_OP_UPDATE,
	      .proto = IPPROTO_UDP,
	      .src = "2001:db8:1::5",
	      .dst = "2001:db8:2::53",
	      .sport = 5353,
	      .dport = 53 } } },
	{ "icmp",
	  "echo requests of both families",
	  0,
	  { { .op = FLYREP_OP_UPDATE,
	      .proto = IPPROTO_ICMP,
	      .src = "10.1.0.5",
	      .dst = "198.51.100.7",
	      .sport = 0x1234,
	      .dport = 0x0800,
	      .status = 0x02 },
	    { .op = FLYREP_OP_UPDATE,
	      .proto = IPPROTO_ICMPV6,
	      .src = "2001:db8:1::5",
	      .dst = "2001:db8:2::7",
	      .sport = 0x1234,
	      .dport = 0x8000,
	      .status = 0x02 } } },
	{ "zone-mark",
	  "a zone of one direction, a zone of both, a mark",
	  0,
	  { { .op = FLYREP_OP_UPDATE,
	      .proto = IPPROTO_UDP,
	      .src = "10.1.0.5",
	      .dst = "198.51.100.7",
	      .sport = 1000,
	      .dport = 2000,
	      .zone = 0x0102,
	      .zone_dir = 1 },
	    { .op = FLYREP_OP_UPDATE,
	      .proto = IPPROTO_UDP,
	      .src = "10.1.0.5",
	      .dst = "198.51.100.7",
	      .sport = 1000,
	      .dport = 2000,
	      .zone = 7,
	      .mark = 0xdeadbeef,
	      .status = 0x06 } } },
	{ "sctp",
	  "established, IPv4 with source NAT; no answer to the INIT yet, IPv6",
	  0,
	  { { .op = FLYREP_OP_UPDATE,
	      .proto = IPPROTO_SCTP,
	      .src = "10.1.0.5",
	      .dst = "198.51.100.7",
	      .sport = 2905,
	      .dport = 2906,
	      .reply_dst = "203.0.113.1",
	      .reply_dport = 1025,
	      .status = 0x06,
	      .sctp_state = 4,
	      .sctp_vtag = { 0x01020304, 0xf0e0d0c0 } },
	    { .op = FLYREP_OP_INSERT,
	      .proto = IPPROTO_SCTP,
	      .src = "2001:db8:1::5",
	      .dst = "2001:db8:2::7",
	      .sport = 2905,
	      .dport = 2905,
	      .sctp_state = 1,
	      .sctp_vtag = { 0, 0x11223344 } } } },
	{ "dccp",
	  "open, IPv4 with destination NAT; of a server that began, IPv6",
	  0,
	  { { .op = FLYREP_OP_UPDATE,
	      .proto = IPPROTO_DCCP,
	      .src = "192.0.2.9",
	      .dst = "203.0.113.1",
	      .sport = 40000,
	      .dport = 5001,
	      .reply_src = "10.2.0.80",
	      .reply_sport = 5002,
	      .status = 0x06,
	      .dccp_state = 4,
	      .dccp_role = { 0, 1 },
	      .dccp_handshake_seq = 0xa1b2c3d4e5f6 },
	    { .op = FLYREP_OP_UPDATE,
	      .proto = IPPROTO_DCCP,
	      .src = "2001:db8:1::5",
	      .dst = "2001:db8:2::7",
	      .sport = 40000,
	      .dport = 5001,
	      .status = 0x02,
	      .dccp_state = 2,
	      .dccp_role = { 1, 0 },
	      .dccp_handshake_seq = 1 } } },
	{ "udplite",
	  "both families, one with NAT to another port",
	  0,
	  { { .op = FLYREP_OP_UPDATE,
	      .proto = IPPROTO_UDPLITE,
	      .src = "10.1.0.5",
	      .dst = "198.51.100.7",
	      .sport = 5004,
	      .dport = 5004,
	      .reply_dst = "203.0.113.1",
	      .reply_dport = 1026,
	      .status = 0x06 },
	    { .op = FLYREP_OP_UPDATE,
	      .proto = IPPROTO_UDPLITE,
	      .src = "2001:db8:1::5",
	      .dst = "2001:db8:2::7",
	      .sport = 5004,
	      .dport = 5005 } } },
	{ "gre",
	  "without keys and NAT of the address, with keys, IPv6",
	  0,
	  { { .op = FLYREP_OP_UPDATE,
	      .proto = IPPROTO_GRE,
	      .src = "10.1.0.5",
	      .dst = "198.51.100.7",
	      .reply_dst = "203.0.113.1",
	      .status = 0x06 },
	    { .op = FLYREP_OP_UPDATE,
	      .proto = IPPROTO_GRE,
	      .src = "10.1.0.6",
	      .dst = "198.51.100.7",
	      .sport = 0x1234,
	      .dport = 0xabcd,
	      .status = 0x02 },
	    { .op = FLYREP_OP_UPDATE,
	      .proto = IPPROTO_GRE,
	      .src = "2001:db8:1::5",
	      .dst = "2001:db8:2::7" } } },
	{ "other",
	  "addresses alone: ESP with NAT, AH, ESP over IPv6, OSPF, the last number",
	  0,
	  { { .op = FLYREP_OP_UPDATE,
	      .proto = IPPROTO_ESP,
	      .src = "10.1.0.5",
	      .dst = "198.51.100.7",
	      .reply_dst = "203.0.113.1",
	      .status = 0x02 },
	    { .op = FLYREP_OP_UPDATE,
	      .proto = IPPROTO_AH,
	      .src = "10.1.0.5",
	      .dst = "198.51.100.7" },
	    { .op = FLYREP_OP_INSERT,
	      .proto = IPPROTO_ESP,
	      .src = "2001:db8:1::5",
	      .dst = "2001:db8:2::7",
	      .status = 0x02 },
	    { .op = FLYREP_OP_UPDATE,
	      .proto = 89,
	      .src = "10.1.0.5",
	      .dst = "224.0.0.5" },
	    { .op = FLYREP_OP_DELETE,
	      .proto = 255,
	      .src = "10.1.0.5",
	      .dst = "198.51.100.7" } } },
	{ "delete",
	  "two keys",
	  0,
	  { { .op = FLYREP_OP_DELETE,
	      .proto = IPPROTO_TCP,
	      .src = "10.1.0.5",
	      .dst = "198.51.100.7",
	      .sport = 40000,
	      .dport = 443 },
	    { .op = FLYREP_OP_DELETE,
	      .proto = IPPROTO_UDP,
	      .src = "2001:db8:1::5",
	      .dst = "2001:db8:2::53",
	      .sport = 5353,
	      .dport = 53 } } },
	{ "mixed",
	  "all of it beside each other",
	  0,
	  { { .op = FLYREP_OP_UPDATE,
	      .src = "2001:db8:1::5",
	      .dst = "2001:db8:2::7",
	      .sport = 40001,
	      .dport = 443,
	      .reply_dst = "2001:db8:ff::1",
	      ESTABLISHED },
	    { .op = FLYREP_OP_DELETE,
	      .proto = IPPROTO_UDP,
	      .src = "10.1.0.7",
	      .dst = "198.51.100.53",
	      .sport = 5000,
	      .dport = 53,
	      .zone = 3 },
	    { .op = FLYREP_OP_UPDATE,
	      .proto = IPPROTO_TCP,
	      .src = "10.1.0.8",
	      .dst = "198.51.100.8",
	      .sport = 40002,
	      .dport = 22,
	      .mark = 1,
	      .tcp_state = 1,
	      .tcp_flags = { 0x03, 0 },
	      .tcp_scale = { 14, 0 } },
	    { .op = FLYREP_OP_INSERT,
	      .proto = IPPROTO_ICMP,
	      .src = "10.1.0.9",
	      .dst = "198.51.100.9",
	      .sport = 77,
	      .dport = 0x0800,
	      .reply_dst = "203.0.113.1",
	      .reply_sport = 78,
	      .status = 0x12 },
	    { .op = FLYREP_OP_UPDATE,
	      .src = "10.1.0.10",
	      .dst = "203.0.113.1",
	      .sport = 40003,
	      .dport = 443,
	      .reply_src = "10.2.0.80",
	      .reply_dst = "10.2.0.1",
	      .reply_sport = 8443,
	      .reply_dport = 61000,
	      ESTABLISHED } } },
	{ "mixed-protocols",
	  "values of each kind beside each other",
	  0,
	  { { .op = FLYREP_OP_UPDATE,
	      .proto = IPPROTO_DCCP,
	      .src = "10.1.0.11",
	      .dst = "198.51.100.11",
	      .sport = 40004,
	      .dport = 5001,
	      .dccp_state = 1,
	      .dccp_role = { 0, 1 } },
	    { .op = FLYREP_OP_UPDATE,
	      .src = "2001:db8:1::5",
	      .dst = "2001:db8:2::7",
	      .sport = 40001,
	      .dport = 443,
	      ESTABLISHED },
	    { .op = FLYREP_OP_DELETE,
	      .proto = IPPROTO_SCTP,
	      .src = "10.1.0.14",
	      .dst = "198.51.100.14",
	      .sport = 1,
	      .dport = 2 },
	    { .op = FLYREP_OP_UPDATE,
	      .proto = IPPROTO_ESP,
	      .src = "10.1.0.12",
	      .dst = "198.51.100.12" },
	    { .op = FLYREP_OP_UPDATE,
	      .proto = IPPROTO_SCTP,
	      .src = "10.1.0.13",
	      .dst = "198.51.100.13",
	      .sport = 40005,
	      .dport = 2905,
	      .status = 0x06,
	      .sctp_state = 5,
	      .sctp_vtag = { 1, 2 } } } },
	{ "tail",
	  "each thing that few flows have, beside a flow that has none",
	  0,
	  { { .op = FLYREP_OP_UPDATE,
	      .src = "10.1.0.5",
	      .dst = "198.51.100.7",
	      .sport = 40000,
	      .dport = 21,
	      .reply_dst = "203.0.113.1",
	      ESTABLISHED,
	      .tail = { .has = FLYREP_CT_EXT_HELPER | FLYREP_CT_EXT_SEQADJ |
			       FLYREP_CT_EXT_MASQ,
			.helper = "ftp",
			.masq_ifname = "eth0",
			.seqadj = { { 0x01020304, 2, 4 },
				    { 0xfffffffe, -1, -3 } } } },
	    { .op = FLYREP_OP_UPDATE,
	      .src = "10.1.0.5",
	      .dst = "198.51.100.7",
	      .sport = 40001,
	      .dport = 443,
	      ESTABLISHED },
	    { .op = FLYREP_OP_INSERT,
	      .src = "198.51.100.7",
	      .dst = "10.1.0.5",
	      .sport = 20,
	      .dport = 50000,
	      ESTABLISHED,
	      .tail = { .has = FLYREP_CT_EXT_MASTER,
			.master_proto = IPPROTO_TCP },
	      .master_src = "10.1.0.5",
	      .master_dst = "198.51.100.7",
	      .master_sport = 40000,
	      .master_dport = 21 },
	    { .op = FLYREP_OP_UPDATE,
	      .src = "2001:db8:1::5",
	      .dst = "2001:db8:2::7",
	      .sport = 40001,
	      .dport = 443,
	      ESTABLISHED,
	      .tail = { .has = FLYREP_CT_EXT_MASTER | FLYREP_CT_EXT_SYNPROXY |
			       FLYREP_CT_EXT_TIMEOUT | FLYREP_CT_EXT_LABELS |
			       FLYREP_CT_EXT_START | FLYREP_CT_EXT_COUNTERS,
			.master_proto = IPPROTO_UDP,
			.synproxy_isn = 0x11223344,
			.synproxy_its = 5,
			.synproxy_tsoff = 0xfffffff0,
			.labels = { 0x01, [15] = 0x80 },
			.timeout_s = { 120, 60, 60, 3600, [13] = 300 },
			.start_ns = 0x17a2b3c4d5e6f708,
			.packets = { 3, 0x100000000 },
			.bytes = { 1500, 0x123456789abcdef0 } },
	      .master_src = "2001:db8:1::5",
	      .master_dst = "2001:db8:2::53",
	      .master_sport = 5060,
	      .master_dport = 5060 },
	    { .op = FLYREP_OP_DELETE,
	      .proto = IPPROTO_UDP,
	      .src = "10.1.0.7",
	      .dst = "198.51.100.53",
	      .sport = 5000,
	      .dport = 53 } } },
	{ "references",
	  "an update and ends by reference, a new flow between them, one of a zone",
	  FR_REF_BITS_MAX,
	  { { .op = FLYREP_OP_UPDATE,
	      .by_ref = true,
	      .src = "10.1.0.5",
	      .dst = "198.51.100.7",
	      .sport = 40000,
	      .dport = 443,
	      .reply_dst = "203.0.113.1",
	      ESTABLISHED },
	    { .op = FLYREP_OP_INSERT,
	      .proto = IPPROTO_UDP,
	      .src = "10.1.0.6",
	      .dst = "198.51.100.53",
	      .sport = 5000,
	      .dport = 53 },
	    { .op = FLYREP_OP_DELETE,
	      .by_ref = true,
	      .proto = IPPROTO_UDP,
	      .src = "10.1.0.7",
	      .dst = "198.51.100.53",
	      .sport = 5001,
	      .dport = 53 },
	    { .op = FLYREP_OP_UPDATE,
	      .by_ref = true,
	      .src = "2001:db8:1::5",
	      .dst = "2001:db8:2::7",
	      .sport = 40001,
	      .dport = 443,
	      .zone = 7,
	      ESTABLISHED },
	    { .op = FLYREP_OP_DELETE,
	      .by_ref = true,
	      .proto = IPPROTO_ICMPV6,
	      .src = "2001:db8:1::5",
	      .dst = "2001:db8:2::7",
	      .sport = 0x1234,
	      .dport = 0x8000 } } },
	{ "references-tail",
	  "a flow by reference with more than most have, beside one by its key",
	  FR_REF_BITS,
	  { { .op = FLYREP_OP_UPDATE,
	      .by_ref = true,
	      .src = "10.1.0.5",
	      .dst = "198.51.100.7",
	      .sport = 40000,
	      .dport = 21,
	      ESTABLISHED,
	      .tail = { .has = FLYREP_CT_EXT_HELPER, .helper = "ftp" } },
	    { .op = FLYREP_OP_UPDATE,
	      .proto = IPPROTO_UDP,
	      .src = "10.1.0.6",
	      .dst = "198.51.100.53",
	      .sport = 5000,
	      .dport = 53,
	      .tail = { .has = FLYREP_CT_EXT_LABELS, .labels = { 0x01 } } } } },
};

static bool has_refs(const struct batch *b)
{
	return b->ref_bits;
}

static void address(union flyrep_addr *a, uint8_t family, const char *text)
{
	memset(a, 0, sizeof(*a));
	if (inet_pton(family, text, a->byte) != 1)
		abort();
}

/* With its tail behind it, if it has one */
static void make_record(struct flyrep_ct *ct, const struct flow *f)
{
	struct flyrep_ct_ext *tail = (struct flyrep_ct_ext *)(ct + 1);

	memset(ct, 0, sizeof(*ct));
	ct->rec.op = f->op;
	ct->family = strchr(f->src, ':') ? AF_INET6 : AF_INET;
	ct->proto = f->proto;
	ct->zone = f->zone;
	ct->zone_dir = f->zone_dir ? f->zone_dir : 3;
	address(&ct->orig.src, ct->family, f->src);
	address(&ct->orig.dst, ct->family, f->dst);
	ct->orig.sport = htons(f->sport);
	ct->orig.dport = htons(f->dport);
	if (f->op == FLYREP_OP_DELETE)
		return;
	fr_conntrack_invert(&ct->reply, ct);
	if (f->reply_src)
		address(&ct->reply.src, ct->family, f->reply_src);
	if (f->reply_dst)
		address(&ct->reply.dst, ct->family, f->reply_dst);
	if (f->reply_sport)
		ct->reply.sport = htons(f->reply_sport);
	if (f->reply_dport)
		ct->reply.dport = htons(f->reply_dport);
	ct->status = f->status;
	if (f->reply_dst)
		ct->status |= 0x10;
	if (f->reply_src)
		ct->status |= 0x20;
	ct->mark = f->mark;
	switch (f->proto) {
	case IPPROTO_TCP:
		ct->tcp_state = f->tcp_state;
		memcpy(ct->tcp_flags, f->tcp_flags, sizeof(ct->tcp_flags));
		memcpy(ct->tcp_scale, f->tcp_scale, sizeof(ct->tcp_scale));
		break;
	case IPPROTO_SCTP:
		ct->sctp_state = f->sctp_state;
		ct->sctp_vtag[0] = htonl(f->sctp_vtag[0]);
		ct->sctp_vtag[1] = htonl(f->sctp_vtag[1]);
		break;
	case IPPROTO_DCCP:
		ct->dccp_state = f->dccp_state;
		memcpy(ct->dccp_role, f->dccp_role, sizeof(ct->dccp_role));
		ct->dccp_handshake_seq = f->dccp_handshake_seq;
		break;
	}
	if (!f->tail.has)
		return;
	ct->rec.tail_len = sizeof(*tail);
	*tail = f->tail;
	if (!f->master_src)
		return;
	address(&tail->master.src, ct->family, f->master_src);
	address(&tail->master.dst, ct->family, f->master_dst);
	tail->master.sport = htons(f->master_sport);
	tail->master.dport = htons(f->master_dport);
}

static struct flyrep_ct *next(const struct flyrep_ct *ct)
{
	return fr_record_next(&fr_conntrack_table, ct);
}

/* Room for RECS_LEN bytes; *@len: that were used */
static size_t make_records(void *recs, size_t *len, const struct batch *b)
{
	struct flyrep_ct *ct = recs;
	size_t n;

	for (n = 0; n < RECS_MAX && b->flows[n].proto; n++) {
		make_record(ct, &b->flows[n]);
		ct = next(ct);
	}
	*len = (size_t)((uint8_t *)ct - (uint8_t *)recs);
	return n;
}

static uint64_t hash_of(const struct flyrep_ct *ct)
{
	uint8_t key[FR_KEY_MAX_LEN] __attribute__((aligned(8)));

	return fr_siphash(key, fr_conntrack_table.key(key, ct), &hash_key);
}

static void put_record(FILE *out, const struct flyrep_ct *ct, bool by_ref)
{
	const struct fr_table *t = &fr_conntrack_table;
	uint8_t key[FR_KEY_MAX_LEN] __attribute__((aligned(8)));
	unsigned int len = t->key(key, ct);
	json_t *obj = t->to_json(ct);

	fprintf(out, "%-8s", "record");
	json_dumpf(obj, out, JSON_COMPACT);
	fputc('\n', out);
	json_decref(obj);
	put_hex(out, "key", key, len);
	fprintf(out, "%-8s%" PRIu64 "\n", "bucket",
		fr_siphash(key, len, &hash_key) >> 48);
	if (by_ref)
		fprintf(out, "%-8s%016" PRIx64 "\n", "hash", hash_of(ct));
	if (ct->rec.op != FLYREP_OP_DELETE)
		fprintf(out, "%-8s%016" PRIx64 "\n", "digest",
			t->digest(ct, &hash_key));
}

static size_t encode(uint8_t *buf, size_t size, const struct batch *b,
		     const void *recs, size_t n)
{
	const struct fr_table *t = &fr_conntrack_table;
	uint64_t hashes[RECS_MAX] = { 0 };
	const struct flyrep_ct *ct = recs;
	struct fr_writer w;
	size_t i;

	for (i = 0; i < n; i++, ct = next(ct))
		hashes[i] = b->flows[i].by_ref ? hash_of(ct) : 0;
	fr_writer_init(&w, buf, size);
	if (has_refs(b) ? t->encode_refs(&w, recs, n, hashes, b->ref_bits) :
			  t->encode(&w, recs, n))
		abort();
	return fr_writer_len(&w);
}

/* A reader that knows the flows of a batch. */
struct known {
	const struct batch *batch;
	uint8_t key[FR_KEY_MAX_LEN] __attribute__((aligned(8)));
};

static const uint8_t *find(void *cookie, uint32_t ref, unsigned int bits,
			   size_t *key_len, uint64_t *hash)
{
	struct known *k = cookie;
	struct {
		struct flyrep_ct ct;
		struct flyrep_ct_ext tail;
	} rec;
	size_t i;

	for (i = 0; i < RECS_MAX && k->batch->flows[i].proto; i++) {
		make_record(&rec.ct, &k->batch->flows[i]);
		*hash = hash_of(&rec.ct);
		if (*hash >> (64 - bits) != ref >> (32 - bits))
			continue;
		*key_len = fr_conntrack_table.key(k->key, &rec.ct);
		return k->key;
	}
	return NULL;
}

static int decode(struct fr_reader *r, const struct batch *b, void *recs,
		  size_t room, size_t *n)
{
	const struct fr_table *t = &fr_conntrack_table;
	struct known k = { .batch = b };
	struct fr_refs refs = { .find = find, .cookie = &k };
	int rc;

	if (!has_refs(b))
		return t->decode(r, recs, room, RECS_MAX, n);
	rc = t->decode_refs(r, recs, room, RECS_MAX, n, &refs);
	return refs.is_lost ? -ENOENT : rc;
}

static void write_conntrack(FILE *out)
{
	static uint8_t recs[RECS_LEN] __attribute__((aligned(8)));
	const struct flyrep_ct *ct;
	uint8_t buf[RECS_LEN];
	size_t i, j, n, len;

	fputs("# Batches of conntrack records: what is sent, and its columns.\n"
	      "# Hash key of bucket and digest: 000102030405060708090a0b0c0d0e0f\n"
	      "# Written by: build/unit/test_vectors_conntrack --write\n",
	      out);
	for (i = 0; i < N_OF(batches); i++) {
		fprintf(out, "\n== %s: %s\n", batches[i].name,
			batches[i].about);
		n = make_records(recs, &len, &batches[i]);
		ct = (const struct flyrep_ct *)recs;
		for (j = 0; j < n; j++, ct = next(ct))
			put_record(out, ct, batches[i].flows[j].by_ref);
		put_hex(out, "columns", buf,
			encode(buf, sizeof(buf), &batches[i], recs, n));
	}
}

static const struct vectors vectors = { VECTORS "conntrack.txt",
					write_conntrack };

/* --- tests -------------------------------------------------------------- */

static void the_encoder_writes_the_vectors(void **state)
{
	(void)state;
	assert_file_is_current(&vectors);
}

static void columns_are_read_back(void **state)
{
	char *text = file_read(vectors.path);
	static uint8_t recs[RECS_LEN] __attribute__((aligned(8)));
	struct {
		struct flyrep_ct ct;
		struct flyrep_ct_ext tail;
	} want;
	const struct flyrep_ct *ct;
	struct fr_reader r;
	size_t i, j, n, len;

	(void)state;
	for (i = 0; i < N_OF(batches); i++) {
		const char *pos = section(text, batches[i].name);
		const char *record = pos;
		uint8_t *columns = bytes_next(&pos, "columns", &len);

		fr_reader_init(&r, columns, len);
		assert_int_equal(decode(&r, &batches[i], recs, sizeof(recs), &n),
				 0);
		assert_int_equal(fr_reader_left(&r), 0);
		ct = (const struct flyrep_ct *)recs;
		for (j = 0; j < n; j++, ct = next(ct)) {
			char *json = value_next(&record, "record");
			json_t *obj = fr_conntrack_table.to_json(ct);
			json_t *said = json_loads(json, 0, NULL);

			make_record(&want.ct, &batches[i].flows[j]);
			if (want.ct.proto == IPPROTO_TCP) {
				want.ct.tcp_flags[0] &=
					FLYREP_CT_TCP_FLAGS_MASK;
				want.ct.tcp_flags[1] &=
					FLYREP_CT_TCP_FLAGS_MASK;
			}
			assert_memory_equal(ct, &want,
					    fr_record_len(&fr_conntrack_table,
							  &want));
			/* Flags that do not travel are in the text. */
			if (said && json_object_get(said, "tcp_original")) {
				json_object_del(said, "tcp_original");
				json_object_del(said, "tcp_reply");
				json_object_del(obj, "tcp_original");
				json_object_del(obj, "tcp_reply");
			}
			assert_true(json_equal(obj, said));
			json_decref(obj);
			json_decref(said);
			free(json);
		}
		assert_int_equal(batches[i].flows[n].proto, 0);
		free(columns);
	}
	free(text);
}

/* --- writing ------------------------------------------------------------ */

static int seeds_of_batches(void)
{
	static uint8_t recs[RECS_LEN] __attribute__((aligned(8)));
	uint8_t buf[1 + RECS_LEN];
	size_t i, n, len, columns_len;
	int bad = 0;

	for (i = 0; i < N_OF(batches); i++) {
		n = make_records(recs, &len, &batches[i]);
		columns_len = encode(buf + 1, RECS_LEN, &batches[i], recs, n);
		buf[0] = 1; /* fuzz_refs: the check fits */
		bad |= has_refs(&batches[i]) ?
			       seed_write("refs", batches[i].name, buf,
					  1 + columns_len) :
			       seed_write("columns", batches[i].name, buf + 1,
					  columns_len);
		/* fuzz_records: the size of a record, then records */
		buf[0] = sizeof(struct flyrep_ct);
		memcpy(buf + 1, recs, len);
		bad |= seed_write("records", batches[i].name, buf, 1 + len);
	}
	return bad;
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_encoder_writes_the_vectors),
		cmocka_unit_test(columns_are_read_back),
	};

	if (argc == 2 && !strcmp(argv[1], "--write"))
		return vectors_write(&vectors) | seeds_of_batches();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
