/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * flyrep: capture and injection of firewall state, generic netlink family "flyrep"
 *
 * One family carries both directions. Everything is per network namespace: the
 * one of the requesting socket. Every command needs CAP_NET_ADMIN in the user
 * namespace that owns it. Every refusal of the module's own carries an extack
 * message; an unknown command and a missing capability are refused by generic
 * netlink itself, without one. The refusal of a dump comes with its NLMSG_DONE.
 *
 * Capture
 *   A reader configures the namespace (CONFIG), binds to it (BIND) and then
 *   pulls changes (DRAIN, a dump). There is one reader; it is released with its
 *   socket. While it is bound, an object that changes is queued once, however
 *   often it changes, and its state is read when it is drained. After a DRAIN
 *   that emptied the ring, the next change sends one WAKE to the reader.
 *
 *   Nothing is lost, only coarsened: a change that finds the ring full marks the
 *   bucket of its key dirty. Every DRAIN ends by handing over the dirty buckets, which
 *   are then clean: it is the reader's to take a SNAPSHOT of them. BIND marks all of
 *   them: a new reader knows nothing.
 *
 * Snapshot
 *   SNAPSHOT names every object of some buckets, or of all. Any socket may ask, so a
 *   reader can drain on one while it takes a snapshot on another. It starts with a
 *   BEGIN message, holds any number of DATA messages and closes with END. An
 *   object may be named more than once. An object of these buckets that is not
 *   named, and of which no record with a stamp above that of BEGIN was seen,
 *   does not exist.
 *
 * Inject
 *   APPLY takes an array of records and answers how many it applied, and index
 *   and error of each it did not. Injected objects are held: they carry a mark
 *   of their origin and do not expire by themselves (for FLYREP_A_HOLD_S at
 *   most), until the owner deletes them, a packet takes them over, PROMOTE makes
 *   them this node's own, or no reader was bound for FLYREP_A_GRACE_S.
 *   What APPLY does is never captured. DEMOTE is the reverse of PROMOTE.
 *   TCP windows do not travel. A flow that changes hands is tracked liberally; FLYREP_A_LEARN_S
 *   after it became local its windows, once known, are learnt anew, and when they are known
 *   again it is tracked strictly.
 *
 * Expectations
 *   What a helper expects belongs to the flow that announced it, its master, and shares its
 *   fate: it is captured if the reader was told of the master, held if that is held, and local
 *   again with it. Held ones end at their time, like any other; the end of one whose master
 *   lives on is told even on a standby.
 *
 * Items
 *   Leases and records of other kinds (struct flyrep_item) live in the module itself, so they
 *   outlive the agent. APPLY with FLYREP_APPLY_F_LOCAL writes this node's own: such a
 *   change, and the end of an item at its time, is captured like that of a flow. Without it
 *   the item is held for a peer, and ends when its owner says so or, after PROMOTE or the
 *   grace period, at its time. If it ends otherwise, or gives way to a local one by
 *   FLYREP_APPLY_F_FORCE, its end is told even on a standby.
 *
 * Hints
 *   Elements of nf_tables sets are read and written through nf_tables, which tells nobody what
 *   packets do to them. Of the sets named by FLYREP_A_SETS the module tells the reader, standby
 *   or not, which elements to look at (struct flyrep_hint); what an element holds it does not
 *   know. A packet that only refreshes an element is not told, nor is the end of an element at
 *   its time: look at it before that.
 *   What a transaction changed is told once it is committed, and closed with GENERATION; before
 *   that it cannot be seen. What a packet changed is told at once, and the hint may be ahead
 *   of the change: who finds nothing looks again. A hint that turns out to be of nothing (the
 *   change failed, the transaction was aborted) is no error. What the process that sent BIND
 *   commits itself is not told.
 *
 * All integers are in host byte order unless their type says otherwise.
 */
#ifndef _UAPI_FLYREP_H
#define _UAPI_FLYREP_H

#include <linux/types.h>
#include "flyrep_records.h"

#define FLYREP_GENL_NAME	"flyrep"
#define FLYREP_GENL_VERSION	1

/* Most payload of one FLYREP_A_RECORDS, either way, in bytes. */
#define FLYREP_RECORDS_MAX_LEN	61440

/**
 * enum flyrep_cmd - commands
 * @FLYREP_CMD_UNSPEC: invalid
 * @FLYREP_CMD_INFO: do. Reply: ABI, VERSION, CAPTURE, READER, RING_ENTRIES,
 *	DIRTY, HOLD_S, GRACE_S, LEARN_S, CT_COUNT, CT_MAX, COUNTERS, STANDBY, ITEMS
 * @FLYREP_CMD_CONFIG: do. Any of HASH_KEY, HOLD_S, GRACE_S, LEARN_S, RING_ENTRIES,
 *	FILTER, STANDBY, LIMITS, SETS. What is absent stays; a FILTER and SETS replace the
 *	whole one. -EBUSY when another socket is the reader. A new HASH_KEY or FILTER and the end
 *	of STANDBY mark all buckets dirty; SETS makes FLYREP_TABLE_NFT_SET dirty, or is refused with
 *	-EOPNOTSUPP where the kernel cannot be probed.
 *	RING_ENTRIES takes effect at the next BIND.
 * @FLYREP_CMD_BIND: do. The socket becomes the reader. -EBUSY when there is one,
 *	-ENOKEY before a HASH_KEY was set, -ENOMEM
 * @FLYREP_CMD_DRAIN: dump, by the reader only (-EPERM). Messages of TABLE, REC_LEN,
 *	RECORDS; then of TABLE, HINTS; then one of TABLE, DIRTY, BUCKETS for each table with dirty
 *	buckets: taken, and clean from then on. BUCKETS is absent if all of them are, or hints were
 *	lost. The last one holds STAMP alone.
 *	If the reader never receives these messages (its socket closed) nothing is lost: a new
 *	reader starts with all of them dirty
 * @FLYREP_CMD_SNAPSHOT: dump. TABLE; BUCKETS, or none for all; ORIGIN. Messages of
 *	TABLE, PHASE: BEGIN with STAMP and, if not all, BUCKETS; DATA with REC_LEN,
 *	RECORDS, which has none where a bounded walk found none; END with STAMP
 * @FLYREP_CMD_APPLY: do. TABLE, REC_LEN, RECORDS, APPLY_FLAGS. Reply: APPLIED, ERRORS
 * @FLYREP_CMD_PROMOTE: do. Every held object becomes local, with the timeout its
 *	protocol gives it. Clears STANDBY and marks all buckets dirty. Reply: APPLIED
 * @FLYREP_CMD_DEMOTE: do. Every local object that the filter lets pass becomes held.
 *	Sets STANDBY. Reply: APPLIED
 * @FLYREP_CMD_WAKE: sent to the reader: there is something to drain
 */
enum flyrep_cmd {
	FLYREP_CMD_UNSPEC,
	FLYREP_CMD_INFO,
	FLYREP_CMD_CONFIG,
	FLYREP_CMD_BIND,
	FLYREP_CMD_DRAIN,
	FLYREP_CMD_SNAPSHOT,
	FLYREP_CMD_APPLY,
	FLYREP_CMD_PROMOTE,
	FLYREP_CMD_DEMOTE,
	FLYREP_CMD_WAKE,
	__FLYREP_CMD_MAX
};

#define FLYREP_CMD_MAX (__FLYREP_CMD_MAX - 1)

/**
 * enum flyrep_attr - attributes of all commands
 * @FLYREP_A_UNSPEC: invalid
 * @FLYREP_A_PAD: padding of 64-bit attributes
 * @FLYREP_A_ABI: u32, FLYREP_GENL_VERSION of the module
 * @FLYREP_A_VERSION: string, version of the module
 * @FLYREP_A_CAPTURE: u8, enum flyrep_capture
 * @FLYREP_A_READER: u32, netlink port of the reader, 0 for none
 * @FLYREP_A_RING_ENTRIES: u32, slots for each CPU; 0 in CONFIG: chosen by the module
 * @FLYREP_A_TABLE: u8, enum flyrep_table
 * @FLYREP_A_REC_LEN: u16, size of the fixed part of a record of RECORDS in bytes
 * @FLYREP_A_RECORDS: packed records, each with its tail behind its fixed part
 * @FLYREP_A_STAMP: u64, see struct flyrep_rec
 * @FLYREP_A_DIRTY: u32, number of dirty buckets
 * @FLYREP_A_BUCKETS: bitmap of FLYREP_BUCKETS_LEN bytes: bucket b is bit b % 8 of
 *	byte b / 8
 * @FLYREP_A_PHASE: u8, enum flyrep_phase
 * @FLYREP_A_ORIGIN: u8, enum flyrep_origin: which objects SNAPSHOT names
 * @FLYREP_A_APPLY_FLAGS: u32, FLYREP_APPLY_F_*
 * @FLYREP_A_APPLIED: u32, number of records or objects
 * @FLYREP_A_ERRORS: packed array of struct flyrep_error, absent if none
 * @FLYREP_A_HASH_KEY: FLYREP_HASH_KEY_LEN bytes
 * @FLYREP_A_HOLD_S: u32, 1 .. FLYREP_HOLD_MAX_S, longest life of a held object without
 *	a packet, seconds
 * @FLYREP_A_GRACE_S: u32, 0 .. 86400, how long held objects outlive the reader, seconds
 * @FLYREP_A_CT_COUNT: u32, flows in the namespace
 * @FLYREP_A_CT_MAX: u32, nf_conntrack_max
 * @FLYREP_A_COUNTERS: array of u64, indexed by enum flyrep_counter
 * @FLYREP_A_FILTER: nest of enum flyrep_filter_attr
 * @FLYREP_A_STANDBY: u8, 0 or 1: on a standby, nothing local is queued; losses of held
 *	objects still are
 * @FLYREP_A_LEARN_S: u32, 1 .. 3600, how long a TCP flow that became local is tracked
 *	liberally before its windows are looked at, seconds
 * @FLYREP_A_LIMITS: array of struct flyrep_limit
 * @FLYREP_A_ITEMS: array of struct flyrep_usage, one for each table of items
 * @FLYREP_A_SETS: array of struct flyrep_set, at most FLYREP_SETS_MAX: the sets of whose elements
 *	hints are given; empty: none
 * @FLYREP_A_HINTS: packed struct flyrep_hint, each with its key behind it and zeros up to
 *	FLYREP_HINT_LEN()
 * @FLYREP_A_INSTANCE: u64, random, never 0: tells this life of the module in the namespace from
 *	others, which began with empty tables of items
 */
enum flyrep_attr {
	FLYREP_A_UNSPEC,
	FLYREP_A_PAD,
	FLYREP_A_ABI,
	FLYREP_A_VERSION,
	FLYREP_A_CAPTURE,
	FLYREP_A_READER,
	FLYREP_A_RING_ENTRIES,
	FLYREP_A_TABLE,
	FLYREP_A_REC_LEN,
	FLYREP_A_RECORDS,
	FLYREP_A_STAMP,
	FLYREP_A_DIRTY,
	FLYREP_A_BUCKETS,
	FLYREP_A_PHASE,
	FLYREP_A_ORIGIN,
	FLYREP_A_APPLY_FLAGS,
	FLYREP_A_APPLIED,
	FLYREP_A_ERRORS,
	FLYREP_A_HASH_KEY,
	FLYREP_A_HOLD_S,
	FLYREP_A_GRACE_S,
	FLYREP_A_CT_COUNT,
	FLYREP_A_CT_MAX,
	FLYREP_A_COUNTERS,
	FLYREP_A_FILTER,
	FLYREP_A_STANDBY,
	FLYREP_A_LEARN_S,
	FLYREP_A_LIMITS,
	FLYREP_A_ITEMS,
	FLYREP_A_SETS,
	FLYREP_A_HINTS,
	FLYREP_A_INSTANCE,
	__FLYREP_A_MAX
};

#define FLYREP_A_MAX (__FLYREP_A_MAX - 1)

#define FLYREP_HOLD_MAX_S	2000000	/* a conntrack timeout is 32 bits of jiffies */

/**
 * enum flyrep_filter_attr - what of conntrack is captured; absent = no limit
 * @FLYREP_FILTER_A_UNSPEC: invalid
 * @FLYREP_FILTER_A_PROTOS: array of u8, IPPROTO_*, at most
 *	FLYREP_FILTER_PROTOS_MAX; 0 stands for every protocol other than TCP, UDP,
 *	UDP-Lite, ICMP, ICMPv6, SCTP, DCCP and GRE
 * @FLYREP_FILTER_A_ASSURED: u8, 1: a flow counts once its handshake is done: IPS_ASSURED
 *	for TCP, SCTP and DCCP, IPS_SEEN_REPLY for the rest
 * @FLYREP_FILTER_A_IGNORE: array of struct flyrep_prefix, at most
 *	FLYREP_FILTER_IGNORE_MAX: flows whose original source or destination lies in
 *	one are ignored
 * @FLYREP_FILTER_A_ZONES: array of u16, zone ids, at most FLYREP_FILTER_ZONES_MAX
 * @FLYREP_FILTER_A_MARK: u32, with MARK_MASK: (mark & mask) must be equal
 * @FLYREP_FILTER_A_MARK_MASK: u32
 */
enum flyrep_filter_attr {
	FLYREP_FILTER_A_UNSPEC,
	FLYREP_FILTER_A_PROTOS,
	FLYREP_FILTER_A_ASSURED,
	FLYREP_FILTER_A_IGNORE,
	FLYREP_FILTER_A_ZONES,
	FLYREP_FILTER_A_MARK,
	FLYREP_FILTER_A_MARK_MASK,
	__FLYREP_FILTER_A_MAX
};

#define FLYREP_FILTER_A_MAX (__FLYREP_FILTER_A_MAX - 1)

#define FLYREP_FILTER_PROTOS_MAX	64
#define FLYREP_FILTER_IGNORE_MAX	320
#define FLYREP_FILTER_ZONES_MAX		64

/**
 * struct flyrep_prefix - a network
 * @family: AF_INET or AF_INET6
 * @prefix_len: 0 .. 32 or 128
 * @reserved: zero
 * @addr: host bits are zero
 */
struct flyrep_prefix {
	__u8			family;
	__u8			prefix_len;
	__u16			reserved;
	union flyrep_addr	addr;
};

/**
 * enum flyrep_capture - how flows are captured in this namespace
 * @FLYREP_CAPTURE_NONE: not at all (there is no nf_conntrack_netlink to make events of)
 * @FLYREP_CAPTURE_CHAIN: in front of the conntrack event notifier, which goes on as before
 * @FLYREP_CAPTURE_NETLINK: by listening to what nf_conntrack_netlink tells user space: the event
 *	notifier is another module's, or the module was loaded with capture=netlink. An end, and a
 *	lost message, are dirty buckets
 */
enum flyrep_capture {
	FLYREP_CAPTURE_NONE,
	FLYREP_CAPTURE_CHAIN,
	FLYREP_CAPTURE_NETLINK,
};

/** enum flyrep_phase - where in a SNAPSHOT a message stands */
enum flyrep_phase {
	FLYREP_PHASE_UNSPEC,
	FLYREP_PHASE_BEGIN,
	FLYREP_PHASE_DATA,
	FLYREP_PHASE_END,
};

/** enum flyrep_origin - whose objects SNAPSHOT names; the filter binds local ones only */
enum flyrep_origin {
	FLYREP_ORIGIN_ANY,
	FLYREP_ORIGIN_LOCAL,
	FLYREP_ORIGIN_REMOTE,
	__FLYREP_ORIGIN_MAX
};

/*
 * FLYREP_A_APPLY_FLAGS. LOCAL: items only: they are this node's own. Without FORCE, a record
 * whose key belongs to the other side (a local object; with LOCAL: a held one) is refused with
 * -EBUSY, and an item whose address another one claims with -EEXIST; with it that other one
 * is deleted.
 *
 * SHARED, not with FORCE: packets of one flow may pass through several nodes, each of which calls
 * it its own. A local flow is answered with -EBUSY and stays local, but if the record is ahead on
 * the one-way path of its protocol's state, so is the flow from now on; only one that has
 * ended gives way to an INSERT of the next connection. A DELETE of a held flow whose packets pass
 * through here is answered with -EBUSY: the flow is local from now on. Either change is captured.
 * An item becomes local, or is deleted, whosever it was, without being told to the reader, whose
 * doing it was; unless something became of it that the reader was not told yet: that is answered
 * with -EBUSY. So it should apply nothing while a DRAIN of its own is under way.
 */
#define FLYREP_APPLY_F_FORCE	0x01
#define FLYREP_APPLY_F_LOCAL	0x02
#define FLYREP_APPLY_F_SHARED	0x04

/**
 * struct flyrep_limit - how much one table of items may hold; what is there stays
 * @table: enum flyrep_table
 * @reserved: zero
 * @max_entries: 1 .. FLYREP_LIMIT_MAX_ENTRIES
 * @max_bytes: of keys and values, 1 .. FLYREP_LIMIT_MAX_BYTES
 */
struct flyrep_limit {
	__u8	table;
	__u8	reserved[3];
	__u32	max_entries;
	__u64	max_bytes;
};

#define FLYREP_LIMIT_MAX_ENTRIES	16777216
#define FLYREP_LIMIT_MAX_BYTES		1073741824

/**
 * struct flyrep_usage - how much one table of items holds
 * @table: enum flyrep_table
 * @reserved: zero
 * @entries: items
 * @held: of these: held for a peer
 * @max_entries: limit
 * @bytes: of keys and values
 * @max_bytes: limit
 */
struct flyrep_usage {
	__u8	table;
	__u8	reserved[3];
	__u32	entries;
	__u32	held;
	__u32	max_entries;
	__u64	bytes;
	__u64	max_bytes;
};

#define FLYREP_SETS_MAX			1024

/**
 * struct flyrep_set - a set of nf_tables, by the handles that the kernel gave
 * @table: NFTA_TABLE_HANDLE of its table
 * @set: NFTA_SET_HANDLE
 */
struct flyrep_set {
	__u64	table;
	__u64	set;
};

/**
 * enum flyrep_hint_what - what a hint tells
 * @FLYREP_HINT_ELEMENT: an element of this key may have come, changed or gone
 * @FLYREP_HINT_FLUSH: the set was emptied as a whole
 * @FLYREP_HINT_GENERATION: a transaction was committed: what was hinted before it is visible now,
 *	and sets may have come or gone
 *
 * More may follow: skip what is not known.
 */
enum flyrep_hint_what {
	FLYREP_HINT_ELEMENT,
	FLYREP_HINT_FLUSH,
	FLYREP_HINT_GENERATION,
};

/**
 * struct flyrep_hint - where to look, 24 bytes and a key
 * @table: handle of the table; GENERATION: 0
 * @set: handle of the set; GENERATION: 0
 * @age_us: how long it waited in the ring, in microseconds
 * @what: enum flyrep_hint_what
 * @key_len: bytes of the key, as NFTA_SET_ELEM_KEY has it: at most FLYREP_HINT_KEY_MAX_LEN; 0
 *	unless ELEMENT
 * @reserved: zero
 *
 * Hints of a set come in the order of the changes, those of packets apart from those of
 * transactions: FLUSH, then ELEMENTs before the next GENERATION, is a set that was filled anew.
 */
struct flyrep_hint {
	__u64	table;
	__u64	set;
	__u32	age_us;
	__u8	what;
	__u8	key_len;
	__u16	reserved;
};

#define FLYREP_HINT_KEY_MAX_LEN		64

/* Bytes of a hint with its key and its padding */
#define FLYREP_HINT_LEN(key_len) (sizeof(struct flyrep_hint) + (((key_len) + 7u) & ~7u))

/**
 * struct flyrep_error - one record that APPLY refused
 * @index: position in RECORDS, from 0
 * @error: negative errno: -EBUSY owned by this node; -EADDRINUSE the NAT address or
 *	port is taken, or the key by the answers of another flow; -ENOMEM; -ENFILE table full;
 *	-ENOSPC too many flows in one chain of the table; -EINVAL bad record;
 *	-ENOENT nothing to delete; -EPROTONOSUPPORT no protocol, or one that this kernel
 *	does not track so closely. Items: -EBUSY, -EINVAL, -ENOENT, -ENOMEM as above; -ENFILE as
 *	many entries as the limit allows; -EDQUOT as many bytes; -EEXIST another item has the
 *	address; -ETIME it has ended already. Expectations: -EBUSY the master is owned by this
 *	node; -ESRCH it is not here; -EOPNOTSUPP this node has not the helper or the NAT function:
 *	trying again is of no use; -EADDRINUSE another one expects the same; -EINVAL, -ENOENT,
 *	-ENOMEM, -EPROTONOSUPPORT as above; -ENFILE as many as nf_conntrack_expect_max allows
 */
struct flyrep_error {
	__u32	index;
	__s32	error;
};

/**
 * enum flyrep_counter - index into FLYREP_A_COUNTERS; since the namespace or the
 * module began, append-only.
 */
enum flyrep_counter {
	FLYREP_C_CAPTURE_QUEUED,	/* objects put into the ring */
	FLYREP_C_CAPTURE_COALESCED,	/* changes of an object already in the ring */
	FLYREP_C_CAPTURE_FILTERED,	/* events the filter refused */
	FLYREP_C_CAPTURE_ECHO,		/* events of our own making */
	FLYREP_C_CAPTURE_UNBOUND,	/* events while there was no reader */
	FLYREP_C_CAPTURE_TAKEOVER,	/* held objects that a packet took over */
	FLYREP_C_RING_OVERFLOW,		/* changes that found the ring full */
	FLYREP_C_DRAIN_RECORDS,		/* records drained */
	FLYREP_C_DRAIN_UNSEEN,		/* objects born and dead between two drains */
	FLYREP_C_WAKE_SENT,
	FLYREP_C_WAKE_FAILED,		/* no memory or no room at the reader */
	FLYREP_C_SNAPSHOT_RECORDS,
	FLYREP_C_SNAPSHOT_RESTARTS,	/* the conntrack table was resized meanwhile */
	FLYREP_C_INJECT_INSERTED,
	FLYREP_C_INJECT_UPDATED,
	FLYREP_C_INJECT_REPLACED,
	FLYREP_C_INJECT_DELETED,
	FLYREP_C_INJECT_REFUSED,	/* records answered with an error */
	FLYREP_C_INJECT_FULL,		/* of these: no room in the conntrack table */
	FLYREP_C_INJECT_NAT_CLASH,	/* of these: NAT address or port taken, or expected */
	FLYREP_C_HELD_LOST,		/* held objects that vanished unasked */
	FLYREP_C_PROMOTED,
	FLYREP_C_DEMOTED,
	FLYREP_C_ORPHANED,		/* held objects given a normal timeout by the guard */
	FLYREP_C_STRICT,		/* flows that changed hands, tracked strictly again */
	FLYREP_C_ITEM_PUT,		/* items created or changed */
	FLYREP_C_ITEM_DELETED,
	FLYREP_C_ITEM_EXPIRED,
	FLYREP_C_ITEM_REFUSED,		/* records answered with an error */
	FLYREP_C_INJECT_REDUCED,	/* records applied without some of their tail */
	FLYREP_C_HINT_QUEUED,		/* hints put into their rings */
	FLYREP_C_HINT_COALESCED,	/* of what the last hint of the ring has told already */
	FLYREP_C_HINT_ECHO,		/* changes that the reader's own process made */
	FLYREP_C_HINT_LOST,		/* hints that found their ring full */
	__FLYREP_C_MAX
};

#define FLYREP_C_MAX (__FLYREP_C_MAX - 1)

#endif
