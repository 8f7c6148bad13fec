/* SPDX-License-Identifier: ((GPL-2.0-or-later WITH Linux-syscall-note) OR BSD-2-Clause) */
/*
 * The record table: what a record of each kind looks like between kernel and
 * user space. Compiled on both sides. Table ids and fields are append-only;
 * a message names the size of the fixed part of its records (FLYREP_A_REC_LEN), so
 * either side may know fewer fields than the other: missing bytes at its end read as
 * zero, surplus ones are skipped. Behind the fixed part of each record lies its tail, if
 * it has one.
 */
#ifndef _UAPI_FLYREP_RECORDS_H
#define _UAPI_FLYREP_RECORDS_H

#include <linux/types.h>

#ifdef __KERNEL__
#include <linux/string.h>
#else
#include <string.h>
#endif

/**
 * enum flyrep_table - every kind of state that moves; ids never change
 * @FLYREP_TABLE_UNSPEC: not a table
 * @FLYREP_TABLE_CONNTRACK: flows, struct flyrep_ct
 * @FLYREP_TABLE_LEASE: leased addresses and prefixes, struct flyrep_item, as all up to NFT_SET
 * @FLYREP_TABLE_DNS: resource records
 * @FLYREP_TABLE_LEARNING: what was seen on the network
 * @FLYREP_TABLE_CONFIG: pieces of configuration
 * @FLYREP_TABLE_METRIC: saved counters
 * @FLYREP_TABLE_NFT_SET: elements of nft sets. They look like items, but nf_tables keeps them, and
 *	user space reads and writes them there: SNAPSHOT and APPLY refuse this table
 * @FLYREP_TABLE_EXPECTATION: flows that helpers expect, struct flyrep_expect
 */
enum flyrep_table {
	FLYREP_TABLE_UNSPEC,
	FLYREP_TABLE_CONNTRACK,
	FLYREP_TABLE_LEASE,
	FLYREP_TABLE_DNS,
	FLYREP_TABLE_LEARNING,
	FLYREP_TABLE_CONFIG,
	FLYREP_TABLE_METRIC,
	FLYREP_TABLE_NFT_SET,
	FLYREP_TABLE_EXPECTATION,
	__FLYREP_TABLE_MAX
};

#define FLYREP_TABLE_MAX (__FLYREP_TABLE_MAX - 1)

/**
 * enum flyrep_op - what happened to the object, or what APPLY shall do
 * @FLYREP_OP_UNSPEC: invalid
 * @FLYREP_OP_INSERT: APPLY: create, or replace whatever holds the key
 * @FLYREP_OP_UPDATE: APPLY: create, or merge into what holds the key. DRAIN and
 *	SNAPSHOT always say UPDATE for an object that lives: a read of its state
 * @FLYREP_OP_DELETE: the object is gone, or is to go; APPLY reads only its key
 */
enum flyrep_op {
	FLYREP_OP_UNSPEC,
	FLYREP_OP_INSERT,
	FLYREP_OP_UPDATE,
	FLYREP_OP_DELETE,
	__FLYREP_OP_MAX
};

/* struct flyrep_rec.flags */
#define FLYREP_REC_F_REMOTE	0x01	/* injected from a peer, still held */
/*
 * The object raises no events, or not of all that may happen to it, so only another snapshot will
 * tell. In a SNAPSHOT: flows that were born while conntrack made no events. In a DRAIN as well:
 * expectations that are not active yet.
 */
#define FLYREP_REC_F_MUTE	0x02

/**
 * struct flyrep_rec - head of every record, 24 bytes, host byte order
 * @op: enum flyrep_op
 * @flags: FLYREP_REC_F_*
 * @tail_len: bytes that follow the fixed part of this record, a multiple of 8; 0: none
 * @id: identity of the object in this kernel: of two objects that had the same key
 *	one after the other the ids differ, as long as the end of the first is not
 *	drained yet. After that an id may come back. Zero on APPLY.
 * @stamp: grows with every read of any object of this network namespace, taken
 *	before the read: of two records of one key the higher stamp is the newer
 *	state. Zero on APPLY.
 * @age_us: how long the change waited in the ring, in microseconds
 * @reserved2: zero
 */
struct flyrep_rec {
	__u8	op;
	__u8	flags;
	__u16	tail_len;
	__u32	id;
	__u64	stamp;
	__u32	age_us;
	__u32	reserved2;
};

/**
 * union flyrep_addr - an IPv4 (first word) or IPv6 address, network byte order
 * @word: as 32-bit words; unused words are zero
 * @byte: as bytes
 */
union flyrep_addr {
	__be32	word[4];
	__u8	byte[16];
};

/**
 * struct flyrep_ct_tuple - one direction of a flow, 36 bytes
 * @src: source address
 * @dst: destination address
 * @sport: source port; ICMP and ICMPv6: identifier; GRE: source key; zero for a
 *	protocol that is tracked by its addresses alone
 * @dport: destination port; ICMP and ICMPv6: type in the first byte, code in
 *	the second; GRE: destination key; zero likewise
 */
struct flyrep_ct_tuple {
	union flyrep_addr	src;
	union flyrep_addr	dst;
	__be16			sport;
	__be16			dport;
};

/**
 * struct flyrep_ct - a flow, 128 bytes; its tail is a struct flyrep_ct_ext
 * @rec: head
 * @family: AF_INET or AF_INET6 (key)
 * @proto: IPPROTO_*, any but 0, which is no protocol; ICMP in IPv4 and ICMPv6 in IPv6
 *	only (key)
 * @zone: conntrack zone id, host byte order (key)
 * @zone_dir: NF_CT_ZONE_DIR_* bits: 1 original, 2 reply, 3 both (key)
 * @reserved: zero
 * @orig: original direction (key)
 * @reply: reply direction: where it is not the inverse of @orig, there is NAT
 * @status: IPS_* as in linux/netfilter/nf_conntrack_common.h. APPLY uses only
 *	FLYREP_CT_STATUS_MASK
 * @timeout_s: seconds left when read; ignored by APPLY, which holds the flow
 * @mark: connection mark
 * @tcp_state: TCP: enum tcp_conntrack
 * @tcp_flags: TCP: IP_CT_TCP_FLAG_*, original and reply; APPLY uses only
 *	FLYREP_CT_TCP_FLAGS_MASK
 * @tcp_scale: TCP: window scale, original and reply
 * @tcp_reserved: TCP: zero
 * @sctp_state: SCTP: enum sctp_conntrack, below FLYREP_CT_SCTP_STATES
 * @sctp_reserved: SCTP: zero
 * @sctp_vtag: SCTP: verification tag that a packet of the original and of the reply
 *	direction carries, network byte order; zero: not known yet
 * @dccp_state: DCCP: enum ct_dccp_states, below FLYREP_CT_DCCP_STATES
 * @dccp_role: DCCP: CT_DCCP_ROLE_* of who sends in the original and in the reply direction:
 *	0 client, 1 server
 * @dccp_reserved: DCCP: zero
 * @dccp_handshake_seq: DCCP: sequence number of the last handshake's Response
 * @proto_value: all of these; zero for every other protocol
 *
 * Protocols other than TCP, UDP, UDP-Lite, ICMP, ICMPv6, SCTP, DCCP and GRE are tracked by
 * their addresses alone. A kernel without a tracker of its own for one of these
 * treats it the same way, and refuses its ports and its value with -EPROTONOSUPPORT.
 */
struct flyrep_ct {
	struct flyrep_rec	rec;
	__u8			family;
	__u8			proto;
	__u16			zone;
	__u8			zone_dir;
	__u8			reserved[3];
	struct flyrep_ct_tuple	orig;
	struct flyrep_ct_tuple	reply;
	__u32			status;
	__u32			timeout_s;
	__u32			mark;
	union {
		struct {
			__u8	tcp_state;
			__u8	tcp_flags[2];
			__u8	tcp_scale[2];
			__u8	tcp_reserved[7];
		};
		struct {
			__u8	sctp_state;
			__u8	sctp_reserved[3];
			__be32	sctp_vtag[2];
		};
		/* Packed, as 116 is no place for a struct with a __u64; that itself lies well. */
		struct {
			__u8	dccp_state;
			__u8	dccp_role[2];
			__u8	dccp_reserved;
			__u64	dccp_handshake_seq;
		} __attribute__((packed, aligned(4)));
		__u8		proto_value[12];
	};
};

/*
 * The states that travel, from 0. SCTP: up to HEARTBEAT_SENT. DCCP: up to TIMEWAIT; what
 * follows are no states of a flow.
 */
#define FLYREP_CT_SCTP_STATES	9
#define FLYREP_CT_DCCP_STATES	8

/*
 * The status bits that travel: SEEN_REPLY, ASSURED, SRC_NAT, DST_NAT. The rest
 * is either implied (CONFIRMED, NAT_DONE), local to one kernel (DYING, OFFLOAD,
 * FIXED_TIMEOUT) or follows from the tail (EXPECTED, SEQ_ADJUST, HELPER).
 */
#define FLYREP_CT_STATUS_MASK	0x00000036u

/*
 * WINDOW_SCALE and SACK_PERM. The other flags change without an event and are
 * learnt again from the next segment.
 */
#define FLYREP_CT_TCP_FLAGS_MASK 0x03u

/* struct flyrep_ct_ext.has: which of its fields say anything; the others are zero */
#define FLYREP_CT_EXT_MASTER	0x001
#define FLYREP_CT_EXT_HELPER	0x002
#define FLYREP_CT_EXT_TIMEOUT	0x004
#define FLYREP_CT_EXT_MASQ	0x008
#define FLYREP_CT_EXT_LABELS	0x010
#define FLYREP_CT_EXT_SEQADJ	0x020
#define FLYREP_CT_EXT_SYNPROXY	0x040
#define FLYREP_CT_EXT_START	0x080
#define FLYREP_CT_EXT_COUNTERS	0x100
#define FLYREP_CT_EXT_ALL	0x1ff

#define FLYREP_CT_HELPER_LEN	16
#define FLYREP_CT_IFNAME_LEN	16
#define FLYREP_CT_LABELS_LEN	16
#define FLYREP_CT_TIMEOUTS	14

/**
 * struct flyrep_ct_seqadj - what a helper adds to TCP sequence numbers of one direction
 * @correction_pos: sequence number of the last change
 * @offset_before: added up to there
 * @offset_after: added from there on
 */
struct flyrep_ct_seqadj {
	__u32	correction_pos;
	__s32	offset_before;
	__s32	offset_after;
};

/**
 * struct flyrep_ct_ext - the tail of a flow that has more than most have, 224 bytes
 * @has: FLYREP_CT_EXT_*, not 0
 * @master_proto: MASTER: protocol of the flow that this one was expected by
 * @reserved: zero
 * @master: MASTER: its original tuple; family and zone are those of this flow
 * @synproxy_isn: SYNPROXY: initial sequence number
 * @synproxy_its: SYNPROXY: initial timestamp
 * @synproxy_tsoff: SYNPROXY: timestamp offset
 * @helper: HELPER: name of the connection tracking helper, padded with at least one NUL
 * @masq_ifname: MASQ: the interface whose address it is masqueraded by, likewise
 * @labels: LABELS: label n is bit n % 8 of byte n / 8; not all of them 0
 * @seqadj: SEQADJ: of the original and of the reply direction
 * @timeout_s: TIMEOUT: the timeouts of its policy, in seconds, in the order in which the
 *	kernel's tracker of its protocol keeps them; zero where it has no more
 * @start_ns: START: when the flow began, ns since 1970
 * @packets: COUNTERS: original and reply direction
 * @bytes: COUNTERS: likewise
 *
 * A shorter tail reads as zeros at its end, surplus bytes are skipped. A flow that has none of
 * all this has no tail. Of a DELETE the tail is not looked at.
 *
 * APPLY leaves out what its node does not have (the helper, the master, the interface, or
 * support for labels, synproxy or timeout policies), and counts the record as
 * FLYREP_C_INJECT_REDUCED. Counters and start time are kept if the node keeps any.
 */
struct flyrep_ct_ext {
	__u32			has;
	__u8			master_proto;
	__u8			reserved[3];
	struct flyrep_ct_tuple	master;
	__u32			synproxy_isn;
	__u32			synproxy_its;
	__u32			synproxy_tsoff;
	char			helper[FLYREP_CT_HELPER_LEN];
	char			masq_ifname[FLYREP_CT_IFNAME_LEN];
	__u8			labels[FLYREP_CT_LABELS_LEN];
	struct flyrep_ct_seqadj	seqadj[2];
	__u32			timeout_s[FLYREP_CT_TIMEOUTS];
	__u64			start_ns;
	__u64			packets[2];
	__u64			bytes[2];
};

/*
 * The canonical key of a flow: the same bytes on every node, whatever its byte
 * order. Buckets and digests are made from it.
 */
#define FLYREP_CT_KEY_V4_LEN	16
#define FLYREP_CT_KEY_MAX_LEN	40

/**
 * flyrep_ct_key - write the canonical key of a flow
 * @key: at least FLYREP_CT_KEY_MAX_LEN bytes, 8-byte aligned
 * @ct: the record; only its key fields are read
 *
 * Layout: family (4 or 6) in the low, zone_dir in the high nibble; proto; zone,
 * little endian; sport; dport; source address; destination address.
 *
 * Return: length in bytes, FLYREP_CT_KEY_V4_LEN or FLYREP_CT_KEY_MAX_LEN.
 */
static inline unsigned int flyrep_ct_key(__u8 *key, const struct flyrep_ct *ct)
{
	unsigned int n = ct->family == 2 /* AF_INET */ ? 4 : 16;

	key[0] = (n == 4 ? 4 : 6) | (ct->zone_dir << 4);
	key[1] = ct->proto;
	key[2] = ct->zone & 0xff;
	key[3] = ct->zone >> 8;
	memcpy(key + 4, &ct->orig.sport, 2);
	memcpy(key + 6, &ct->orig.dport, 2);
	memcpy(key + 8, ct->orig.src.byte, n);
	memcpy(key + 8 + n, ct->orig.dst.byte, n);
	return 8 + 2 * n;
}

/**
 * struct flyrep_item - an item of a table that the module keeps, 40 bytes and a tail
 * @rec: head
 * @key_len: bytes of the key, 1 .. FLYREP_ITEM_KEY_MAX_LEN
 * @value_len: bytes of the value, at most FLYREP_ITEM_VALUE_MAX_LEN; DELETE: 0
 * @reserved: zero
 * @expires_ms: when it ends, milliseconds since 1970; 0: never; DELETE: 0
 *
 * The tail is the key, the value, and zero bytes up to a multiple of 8. Key and value are
 * rows of fields: each two bytes of length, high one first, and so many bytes. Which fields
 * they are is user space's business, but for FLYREP_TABLE_LEASE: no two items of it share both
 * the first field of the key (the scope) and the first of the value (the address). An item whose
 * value has no field, or an empty first one, claims no address.
 *
 * The key, as it is, is the canonical key.
 */
struct flyrep_item {
	struct flyrep_rec	rec;
	__u16			key_len;
	__u16			value_len;
	__u32			reserved;
	__u64			expires_ms;
};

#define FLYREP_ITEM_KEY_MAX_LEN		1024
#define FLYREP_ITEM_VALUE_MAX_LEN	24576

/* Bytes of the tail of an item */
#define FLYREP_ITEM_TAIL_LEN(key_len, value_len) (((key_len) + (value_len) + 7u) & ~7u)

#define FLYREP_EXPECT_CLASSES	4
#define FLYREP_EXPECT_FN_LEN	32

/* PERMANENT and INACTIVE: what APPLY uses of the flags */
#define FLYREP_EXPECT_FLAGS_MASK 0x03u

/**
 * struct flyrep_expect - a flow that a helper expects, 200 bytes, no tail
 * @rec: head; REMOTE is that of the master
 * @family: AF_INET or AF_INET6, of both flows (key)
 * @proto: IPPROTO_* of the expected flow (key)
 * @master_proto: IPPROTO_* of the flow that announced it (key)
 * @zone_dir: of the master, as in struct flyrep_ct (key)
 * @zone: likewise (key)
 * @mask_sport: bits of the source port that count (key)
 * @master: original direction of the master (key)
 * @tuple: what is expected; its destination counts as a whole (key)
 * @mask_src: bits of the source address that count (key)
 * @flags: NF_CT_EXPECT_*; APPLY uses only FLYREP_EXPECT_FLAGS_MASK
 * @timeout_s: seconds left when read; APPLY gives it a few more
 * @class: which of the kinds that its helper expects, below FLYREP_EXPECT_CLASSES
 * @nat_dir: direction of the master that the expected flow takes: 0 original, 1 reply
 * @nat_port: port before NAT of the announcement
 * @nat_addr: address likewise
 * @helper: helper of the expected flow, padded with at least one NUL; empty: none
 * @expectfn: name of the function that gives the expected flow its NAT, likewise
 * @reserved: zero
 *
 * An expectation belongs to its master: it is captured, held and promoted with it, and ends with
 * it. One whose function has no name (PPTP's) stays on its node.
 */
struct flyrep_expect {
	struct flyrep_rec	rec;
	__u8			family;
	__u8			proto;
	__u8			master_proto;
	__u8			zone_dir;
	__u16			zone;
	__be16			mask_sport;
	struct flyrep_ct_tuple	master;
	struct flyrep_ct_tuple	tuple;
	union flyrep_addr	mask_src;
	__u32			flags;
	__u32			timeout_s;
	__u8			class;
	__u8			nat_dir;
	__be16			nat_port;
	union flyrep_addr	nat_addr;
	char			helper[FLYREP_CT_HELPER_LEN];
	char			expectfn[FLYREP_EXPECT_FN_LEN];
	__u8			reserved[4];
};

/* The canonical key of an expectation */
#define FLYREP_EXPECT_KEY_V4_LEN	36
#define FLYREP_EXPECT_KEY_MAX_LEN	96

/**
 * flyrep_expect_key - write the canonical key of an expectation
 * @key: at least FLYREP_EXPECT_KEY_MAX_LEN bytes, 8-byte aligned
 * @e: the record; only its key fields are read
 *
 * Layout: family (4 or 6) in the low, zone_dir in the high nibble; proto; zone, little endian;
 * master_proto; 0; mask_sport; sport and dport of the master, then of the expected flow; source
 * and destination address of the master, then of the expected flow; mask_src.
 *
 * Return: length in bytes, FLYREP_EXPECT_KEY_V4_LEN or FLYREP_EXPECT_KEY_MAX_LEN.
 */
static inline unsigned int flyrep_expect_key(__u8 *key, const struct flyrep_expect *e)
{
	unsigned int n = e->family == 2 /* AF_INET */ ? 4 : 16;

	key[0] = (n == 4 ? 4 : 6) | (e->zone_dir << 4);
	key[1] = e->proto;
	key[2] = e->zone & 0xff;
	key[3] = e->zone >> 8;
	key[4] = e->master_proto;
	key[5] = 0;
	memcpy(key + 6, &e->mask_sport, 2);
	memcpy(key + 8, &e->master.sport, 2);
	memcpy(key + 10, &e->master.dport, 2);
	memcpy(key + 12, &e->tuple.sport, 2);
	memcpy(key + 14, &e->tuple.dport, 2);
	memcpy(key + 16, e->master.src.byte, n);
	memcpy(key + 16 + n, e->master.dst.byte, n);
	memcpy(key + 16 + 2 * n, e->tuple.src.byte, n);
	memcpy(key + 16 + 3 * n, e->tuple.dst.byte, n);
	memcpy(key + 16 + 4 * n, e->mask_src.byte, n);
	return 16 + 5 * n;
}

/*
 * Buckets: where a change could not be recorded one by one, the bucket of its
 * key is marked dirty. bucket = high 16 bits of SipHash-2-4(canonical key) under
 * the key set by CONFIG, the same on all nodes of a cluster.
 */
#define FLYREP_BUCKET_BITS	16
#define FLYREP_BUCKETS		(1u << FLYREP_BUCKET_BITS)
#define FLYREP_BUCKETS_LEN	(FLYREP_BUCKETS / 8)	/* bitmap, bytes */
#define FLYREP_HASH_KEY_LEN	16

#endif
