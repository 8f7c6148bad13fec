/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Tracepoints, under events/flyrep of tracefs. Off, each is a nop; what they tell is read from
 * the flow or the record only when somebody looks. Addresses are IPv6, or IPv4 mapped into it.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM flyrep

#if !defined(_FLYREP_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define _FLYREP_TRACE_H

#include <linux/tracepoint.h>
#include <net/ipv6.h>
#include <net/netfilter/nf_conntrack.h>

#include "conntrack.h"
#include "flyrep.h"
#include "pernet.h"

/* A flow, by its original direction. Context: whatever the caller's */
DECLARE_EVENT_CLASS(flyrep_flow,
	TP_PROTO(const struct flyrep_net *fn, const struct nf_conn *ct),
	TP_ARGS(fn, ct),
	TP_STRUCT__entry(
		__field(u32, netns)
		__field(u16, zone)
		__field(u8, proto)
		__array(u8, src, sizeof(struct in6_addr))
		__array(u8, dst, sizeof(struct in6_addr))
		__field(u16, sport)
		__field(u16, dport)
		__field(u64, status)
	),
	TP_fast_assign(
		const struct nf_conntrack_tuple *t = &ct->tuplehash[IP_CT_DIR_ORIGINAL].tuple;
		struct in6_addr *src = (struct in6_addr *)__entry->src;
		struct in6_addr *dst = (struct in6_addr *)__entry->dst;

		__entry->netns = fn->net->ns.inum;
		__entry->zone = nf_ct_zone(ct)->id;
		__entry->proto = t->dst.protonum;
		if (t->src.l3num == AF_INET) {
			ipv6_addr_set_v4mapped(t->src.u3.ip, src);
			ipv6_addr_set_v4mapped(t->dst.u3.ip, dst);
		} else {
			*src = t->src.u3.in6;
			*dst = t->dst.u3.in6;
		}
		__entry->sport = ntohs(t->src.u.all);
		__entry->dport = ntohs(t->dst.u.all);
		__entry->status = READ_ONCE(ct->status);
	),
	TP_printk("netns=%u zone=%u proto=%u src=%pI6c dst=%pI6c sport=%u dport=%u status=%#llx",
		  __entry->netns, __entry->zone, __entry->proto, __entry->src, __entry->dst,
		  __entry->sport, __entry->dport, __entry->status)
);

/* It was put into the ring. */
DEFINE_EVENT(flyrep_flow, flyrep_push,
	TP_PROTO(const struct flyrep_net *fn, const struct nf_conn *ct),
	TP_ARGS(fn, ct)
);

/* The ring was full: its bucket is dirty. */
DEFINE_EVENT(flyrep_flow, flyrep_overflow,
	TP_PROTO(const struct flyrep_net *fn, const struct nf_conn *ct),
	TP_ARGS(fn, ct)
);

/* It is held from now on, by APPLY or DEMOTE. */
DEFINE_EVENT(flyrep_flow, flyrep_hold,
	TP_PROTO(const struct flyrep_net *fn, const struct nf_conn *ct),
	TP_ARGS(fn, ct)
);

/* It was held, and a packet took it over. */
DEFINE_EVENT(flyrep_flow, flyrep_takeover,
	TP_PROTO(const struct flyrep_net *fn, const struct nf_conn *ct),
	TP_ARGS(fn, ct)
);

/* It was held, and PROMOTE, or the end of the module, made it local. */
DEFINE_EVENT(flyrep_flow, flyrep_promote,
	TP_PROTO(const struct flyrep_net *fn, const struct nf_conn *ct),
	TP_ARGS(fn, ct)
);

/* It was held, and is gone unasked. */
DEFINE_EVENT(flyrep_flow, flyrep_lost,
	TP_PROTO(const struct flyrep_net *fn, const struct nf_conn *ct),
	TP_ARGS(fn, ct)
);

/* A message of records is full, or the ring is empty. */
TRACE_EVENT(flyrep_drain,
	TP_PROTO(const struct flyrep_net *fn, unsigned int n_records, unsigned int n_left),
	TP_ARGS(fn, n_records, n_left),
	TP_STRUCT__entry(
		__field(u32, netns)
		__field(u32, n_records)
		__field(u32, n_left)
	),
	TP_fast_assign(
		__entry->netns = fn->net->ns.inum;
		__entry->n_records = n_records;
		__entry->n_left = n_left;
	),
	TP_printk("netns=%u records=%u left=%u", __entry->netns, __entry->n_records,
		  __entry->n_left)
);

/* The last message of a drain hands over the dirty buckets. */
TRACE_EVENT(flyrep_drained,
	TP_PROTO(const struct flyrep_net *fn, unsigned int n_dirty),
	TP_ARGS(fn, n_dirty),
	TP_STRUCT__entry(
		__field(u32, netns)
		__field(u32, n_dirty)
	),
	TP_fast_assign(
		__entry->netns = fn->net->ns.inum;
		__entry->n_dirty = n_dirty;
	),
	TP_printk("netns=%u dirty=%u", __entry->netns, __entry->n_dirty)
);

/*
 * An item or an expectation was put, deleted, ended at its time (-ETIME), or the record of it was
 * refused.
 */
TRACE_EVENT(flyrep_item,
	TP_PROTO(const struct flyrep_net *fn, u8 table, u8 op, int error),
	TP_ARGS(fn, table, op, error),
	TP_STRUCT__entry(
		__field(u32, netns)
		__field(int, error)
		__field(u8, table)
		__field(u8, op)
	),
	TP_fast_assign(
		__entry->netns = fn->net->ns.inum;
		__entry->error = error;
		__entry->table = table;
		__entry->op = op;
	),
	TP_printk("netns=%u table=%u op=%s error=%d", __entry->netns, __entry->table,
		  __print_symbolic(__entry->op, { FLYREP_OP_INSERT, "INSERT" },
				   { FLYREP_OP_UPDATE, "UPDATE" }, { FLYREP_OP_DELETE, "DELETE" }),
		  __entry->error)
);

/* An element of a watched set, or all of it, is about to change, by a packet or a transaction. */
TRACE_EVENT(flyrep_hint,
	TP_PROTO(const struct flyrep_net *fn, const struct flyrep_set *set, u8 what,
		 bool is_packet),
	TP_ARGS(fn, set, what, is_packet),
	TP_STRUCT__entry(
		__field(u32, netns)
		__field(u64, table)
		__field(u64, set)
		__field(u8, what)
		__field(bool, is_packet)
	),
	TP_fast_assign(
		__entry->netns = fn->net->ns.inum;
		__entry->table = set->table;
		__entry->set = set->set;
		__entry->what = what;
		__entry->is_packet = is_packet;
	),
	TP_printk("netns=%u table=%llu set=%llu what=%s by=%s", __entry->netns, __entry->table,
		  __entry->set,
		  __print_symbolic(__entry->what, { FLYREP_HINT_ELEMENT, "ELEMENT" },
				   { FLYREP_HINT_FLUSH, "FLUSH" }),
		  __entry->is_packet ? "packet" : "transaction")
);

/* One record of APPLY, as it was asked for, valid or not, and what came of it. */
TRACE_EVENT(flyrep_apply,
	TP_PROTO(const struct flyrep_net *fn, const struct flyrep_ct *r, int error),
	TP_ARGS(fn, r, error),
	TP_STRUCT__entry(
		__field(u32, netns)
		__field(int, error)
		__field(u8, op)
		__field(u8, proto)
		__field(u16, zone)
		__array(u8, src, sizeof(struct in6_addr))
		__array(u8, dst, sizeof(struct in6_addr))
		__field(u16, sport)
		__field(u16, dport)
	),
	TP_fast_assign(
		struct in6_addr *src = (struct in6_addr *)__entry->src;
		struct in6_addr *dst = (struct in6_addr *)__entry->dst;

		__entry->netns = fn->net->ns.inum;
		__entry->error = error;
		__entry->op = r->rec.op;
		__entry->proto = r->proto;
		__entry->zone = r->zone;
		if (r->family == AF_INET) {
			ipv6_addr_set_v4mapped(r->orig.src.word[0], src);
			ipv6_addr_set_v4mapped(r->orig.dst.word[0], dst);
		} else {
			memcpy(src, &r->orig.src, sizeof(*src));
			memcpy(dst, &r->orig.dst, sizeof(*dst));
		}
		__entry->sport = ntohs(r->orig.sport);
		__entry->dport = ntohs(r->orig.dport);
	),
	TP_printk("netns=%u op=%s error=%d zone=%u proto=%u src=%pI6c dst=%pI6c sport=%u dport=%u",
		  __entry->netns,
		  __print_symbolic(__entry->op, { FLYREP_OP_INSERT, "INSERT" },
				   { FLYREP_OP_UPDATE, "UPDATE" }, { FLYREP_OP_DELETE, "DELETE" }),
		  __entry->error, __entry->zone, __entry->proto, __entry->src, __entry->dst,
		  __entry->sport, __entry->dport)
);

#endif

/* Found by the -I of Kbuild, wherever the module is built */
#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace

#include <trace/define_trace.h>
