// SPDX-License-Identifier: GPL-2.0-only
#include "netlink.h"

#include <linux/module.h>
#include <net/genetlink.h>
#include <net/netfilter/nf_conntrack.h>

#include "capture.h"
#include "compat/compat.h"
#include "conntrack.h"
#include "drain.h"
#include "expect.h"
#include "filter.h"
#include "hold.h"
#include "inject.h"
#include "item.h"
#include "pernet.h"
#include "reader.h"
#include "ring.h"
#include "snapshot.h"

#define NETLINK_MAX_GRACE_S		86400
#define NETLINK_MAX_LEARN_S		3600
#define NETLINK_MAX_RING_ENTRIES	1048576

static const struct netlink_range_validation netlink_hold_s = {
	.min = 1, .max = FLYREP_HOLD_MAX_S,
};

static const struct netlink_range_validation netlink_grace_s = {
	.max = NETLINK_MAX_GRACE_S,
};

static const struct netlink_range_validation netlink_learn_s = {
	.min = 1, .max = NETLINK_MAX_LEARN_S,
};

static const struct netlink_range_validation netlink_ring_entries = {
	.max = NETLINK_MAX_RING_ENTRIES,
};

static const struct netlink_range_validation netlink_rec_len = {
	.min = sizeof(struct flyrep_item), .max = FLYREP_RECORDS_MAX_LEN,
};

#define NETLINK_RANGE(type, name) \
	NLA_POLICY_FULL_RANGE(type, FLYREP_COMPAT_RANGE(netlink_##name))

/* Attributes that a command does not list are refused. Commands without a policy take none. */
static const struct nla_policy netlink_config_policy[FLYREP_A_MAX + 1] = {
	[FLYREP_A_HASH_KEY]	= NLA_POLICY_EXACT_LEN(FLYREP_HASH_KEY_LEN),
	[FLYREP_A_HOLD_S]	= NETLINK_RANGE(NLA_U32, hold_s),
	[FLYREP_A_GRACE_S]	= NETLINK_RANGE(NLA_U32, grace_s),
	[FLYREP_A_RING_ENTRIES]	= NETLINK_RANGE(NLA_U32, ring_entries),
	[FLYREP_A_FILTER]	= NLA_POLICY_NESTED(flyrep_filter_policy),
	[FLYREP_A_STANDBY]	= NLA_POLICY_MAX(NLA_U8, 1),
	[FLYREP_A_LEARN_S]	= NETLINK_RANGE(NLA_U32, learn_s),
	[FLYREP_A_LIMITS]	= { .type = NLA_BINARY,
				    .len = FLYREP_ITEM_TABLES * sizeof(struct flyrep_limit) },
	[FLYREP_A_SETS]		= { .type = NLA_BINARY,
				    .len = FLYREP_SETS_MAX * sizeof(struct flyrep_set) },
};

static const struct nla_policy netlink_snapshot_policy[FLYREP_A_MAX + 1] = {
	[FLYREP_A_TABLE]	= NLA_POLICY_RANGE(NLA_U8, 1, FLYREP_TABLE_MAX),
	[FLYREP_A_BUCKETS]	= NLA_POLICY_EXACT_LEN(FLYREP_BUCKETS_LEN),
	[FLYREP_A_ORIGIN]	= NLA_POLICY_MAX(NLA_U8, __FLYREP_ORIGIN_MAX - 1),
};

static const struct nla_policy netlink_apply_policy[FLYREP_A_MAX + 1] = {
	[FLYREP_A_PAD]		= { .type = NLA_BINARY },
	[FLYREP_A_TABLE]	= NLA_POLICY_RANGE(NLA_U8, 1, FLYREP_TABLE_MAX),
	[FLYREP_A_REC_LEN]	= NETLINK_RANGE(NLA_U16, rec_len),
	[FLYREP_A_RECORDS]	= { .type = NLA_BINARY, .len = FLYREP_RECORDS_MAX_LEN },
	[FLYREP_A_APPLY_FLAGS]	= NLA_POLICY_MASK(NLA_U32, FLYREP_APPLY_F_FORCE |
						  FLYREP_APPLY_F_LOCAL |
						  FLYREP_APPLY_F_SHARED),
};

/* Context: process. Return: a reply of the same command, header in place, or NULL */
static struct sk_buff *netlink_reply_new(struct genl_info *info, size_t len, void **hdr)
{
	struct sk_buff *skb = genlmsg_new(len, GFP_KERNEL);

	if (!skb)
		return NULL;
	*hdr = genlmsg_put_reply(skb, info, &flyrep_netlink_family, 0, info->genlhdr->cmd);
	if (*hdr)
		return skb;
	nlmsg_free(skb);
	return NULL;
}

static int netlink_put_info(struct sk_buff *skb, struct flyrep_net *fn)
{
	struct flyrep_usage usage[FLYREP_ITEM_TABLES];
	const struct flyrep_reader *reader;
	u64 counters[__FLYREP_C_MAX];
	u32 entries, portid;

	rcu_read_lock();
	reader = rcu_dereference(fn->reader);
	portid = reader ? reader->portid : 0;
	entries = reader ? flyrep_ring_entries(reader->ring) : READ_ONCE(fn->ring_entries);
	rcu_read_unlock();
	flyrep_pernet_sum(fn, counters);
	flyrep_item_usage(fn, usage);

	if (nla_put_u32(skb, FLYREP_A_ABI, FLYREP_GENL_VERSION) ||
	    nla_put_string(skb, FLYREP_A_VERSION, THIS_MODULE->version) ||
	    nla_put_u8(skb, FLYREP_A_CAPTURE, flyrep_capture_mode(fn)) ||
	    nla_put_u32(skb, FLYREP_A_READER, portid) ||
	    nla_put_u32(skb, FLYREP_A_RING_ENTRIES, entries) ||
	    nla_put_u32(skb, FLYREP_A_DIRTY, flyrep_buckets_count(&fn->buckets)) ||
	    nla_put_u32(skb, FLYREP_A_HOLD_S, READ_ONCE(fn->hold_s)) ||
	    nla_put_u32(skb, FLYREP_A_GRACE_S, READ_ONCE(fn->grace_s)) ||
	    nla_put_u32(skb, FLYREP_A_CT_COUNT, nf_conntrack_count(fn->net)) ||
	    nla_put_u32(skb, FLYREP_A_CT_MAX, READ_ONCE(nf_conntrack_max)) ||
	    nla_put_u32(skb, FLYREP_A_LEARN_S, READ_ONCE(fn->learn_s)) ||
	    nla_put_u8(skb, FLYREP_A_STANDBY, READ_ONCE(fn->is_standby)) ||
	    nla_put_u64_64bit(skb, FLYREP_A_INSTANCE, fn->instance, FLYREP_A_PAD) ||
	    nla_put_64bit(skb, FLYREP_A_COUNTERS, sizeof(counters), counters, FLYREP_A_PAD) ||
	    nla_put_64bit(skb, FLYREP_A_ITEMS, sizeof(usage), usage, FLYREP_A_PAD))
		return -EMSGSIZE;
	return 0;
}

static int netlink_do_info(struct sk_buff *skb, struct genl_info *info)
{
	struct flyrep_net *fn = flyrep_pernet(genl_info_net(info));
	struct sk_buff *reply;
	void *hdr;
	int err;

	reply = netlink_reply_new(info, NLMSG_DEFAULT_SIZE, &hdr);
	if (!reply)
		return -ENOMEM;
	err = netlink_put_info(reply, fn);
	if (err) {
		nlmsg_free(reply);
		return err;
	}
	genlmsg_end(reply, hdr);
	return genlmsg_reply(reply, info);
}

/* Context: process, fn->lock held. Return: 0 or -errno with extack set, nothing changed then */
static int netlink_config(struct flyrep_net *fn, struct genl_info *info,
			  struct flyrep_filter *filter)
{
	u32 reader = flyrep_reader_portid(fn);
	struct nlattr **attrs = info->attrs;
	bool is_news = filter || attrs[FLYREP_A_HASH_KEY];

	if (reader && reader != info->snd_portid) {
		GENL_SET_ERR_MSG(info, "another socket is the reader");
		return -EBUSY;
	}
	if (attrs[FLYREP_A_SETS]) {
		int err = flyrep_hint_set_sets(fn, attrs[FLYREP_A_SETS], info->extack);

		if (err)
			return err;
	}
	if (attrs[FLYREP_A_HOLD_S])
		WRITE_ONCE(fn->hold_s, nla_get_u32(attrs[FLYREP_A_HOLD_S]));
	if (attrs[FLYREP_A_GRACE_S])
		WRITE_ONCE(fn->grace_s, nla_get_u32(attrs[FLYREP_A_GRACE_S]));
	if (attrs[FLYREP_A_LEARN_S])
		WRITE_ONCE(fn->learn_s, nla_get_u32(attrs[FLYREP_A_LEARN_S]));
	if (attrs[FLYREP_A_RING_ENTRIES])
		WRITE_ONCE(fn->ring_entries, nla_get_u32(attrs[FLYREP_A_RING_ENTRIES]));
	if (attrs[FLYREP_A_STANDBY]) {
		bool is_standby = nla_get_u8(attrs[FLYREP_A_STANDBY]);

		/* What was local until now was not captured. */
		is_news |= fn->is_standby && !is_standby;
		WRITE_ONCE(fn->is_standby, is_standby);
	}
	if (attrs[FLYREP_A_LIMITS])
		flyrep_item_set_limits(fn, attrs[FLYREP_A_LIMITS]);
	if (attrs[FLYREP_A_HASH_KEY])
		flyrep_buckets_set_key(&fn->buckets, nla_data(attrs[FLYREP_A_HASH_KEY]));
	flyrep_filter_replace(fn, filter);
	if (is_news) {
		/* Events under way still go by the old. */
		synchronize_rcu();
		flyrep_reader_dirty(fn);
	}
	return 0;
}

static int netlink_do_config(struct sk_buff *skb, struct genl_info *info)
{
	struct flyrep_net *fn = flyrep_pernet(genl_info_net(info));
	struct flyrep_filter *filter = NULL;
	int err;

	if (info->attrs[FLYREP_A_LIMITS]) {
		err = flyrep_item_check_limits(info->attrs[FLYREP_A_LIMITS], info->extack);
		if (err)
			return err;
	}
	if (info->attrs[FLYREP_A_FILTER]) {
		filter = flyrep_filter_parse(info->attrs[FLYREP_A_FILTER], info->extack);
		if (IS_ERR(filter))
			return PTR_ERR(filter);
	}
	mutex_lock(&fn->lock);
	err = netlink_config(fn, info, filter);
	mutex_unlock(&fn->lock);
	if (err)
		flyrep_filter_free(filter);
	return err;
}

static int netlink_do_bind(struct sk_buff *skb, struct genl_info *info)
{
	return flyrep_reader_bind(flyrep_pernet(genl_info_net(info)), info->snd_portid,
				  info->extack);
}

/* The tail of a record anywhere in a message */
static u16 netlink_tail_len(const void *rec)
{
	const struct flyrep_rec *head = rec;
	u16 len;

	memcpy(&len, &head->tail_len, sizeof(len));
	return len;
}

/* The fixed part of a record of a table, as we know it */
static size_t netlink_record_len(u8 table)
{
	switch (table) {
	case FLYREP_TABLE_CONNTRACK:
		return sizeof(struct flyrep_ct);
	case FLYREP_TABLE_EXPECTATION:
		return sizeof(struct flyrep_expect);
	default:
		return sizeof(struct flyrep_item);
	}
}

/* Context: process. Return: how many were refused */
static unsigned int netlink_apply(struct flyrep_net *fn, const struct flyrep_inject *req)
{
	switch (req->table) {
	case FLYREP_TABLE_CONNTRACK:
		return flyrep_inject_apply(fn, req);
	case FLYREP_TABLE_EXPECTATION:
		return flyrep_expect_apply(fn, req);
	default:
		return flyrep_item_apply(fn, req);
	}
}

/* Return: number of records, or -errno with extack set */
static int netlink_count_records(struct genl_info *info)
{
	unsigned int left, len, n = 0;
	const void *pos;
	u16 rec_len;

	if (!info->attrs[FLYREP_A_TABLE] || !info->attrs[FLYREP_A_REC_LEN] ||
	    !info->attrs[FLYREP_A_RECORDS]) {
		GENL_SET_ERR_MSG(info, "TABLE, REC_LEN or RECORDS is missing");
		return -EINVAL;
	}
	if (nla_get_u8(info->attrs[FLYREP_A_TABLE]) == FLYREP_TABLE_NFT_SET) {
		NL_SET_ERR_MSG_ATTR(info->extack, info->attrs[FLYREP_A_TABLE],
				    "elements of nft sets are written through nf_tables");
		return -EOPNOTSUPP;
	}
	rec_len = nla_get_u16(info->attrs[FLYREP_A_REC_LEN]);
	if (rec_len < netlink_record_len(nla_get_u8(info->attrs[FLYREP_A_TABLE]))) {
		NL_SET_ERR_MSG_ATTR(info->extack, info->attrs[FLYREP_A_REC_LEN],
				    "REC_LEN is shorter than a record of TABLE");
		return -EINVAL;
	}
	pos = nla_data(info->attrs[FLYREP_A_RECORDS]);
	left = nla_len(info->attrs[FLYREP_A_RECORDS]);
	for (; left; left -= len, pos += len, n++) {
		len = left < rec_len ? 0 : rec_len + netlink_tail_len(pos);
		if (!len || len > left || len % sizeof(u64))
			break;
	}
	if (!n || left) {
		NL_SET_ERR_MSG_ATTR(info->extack, info->attrs[FLYREP_A_RECORDS],
				    "RECORDS is not a row of whole records");
		return -EINVAL;
	}
	return n;
}

static int netlink_do_apply(struct sk_buff *skb, struct genl_info *info)
{
	struct flyrep_net *fn = flyrep_pernet(genl_info_net(info));
	struct nlattr *errors, *flags = info->attrs[FLYREP_A_APPLY_FLAGS];
	struct flyrep_inject req = {};
	struct sk_buff *reply;
	int n, n_errors;
	void *hdr;

	n = netlink_count_records(info);
	if (n < 0)
		return n;
	req.table = nla_get_u8(info->attrs[FLYREP_A_TABLE]);
	req.flags = flags ? nla_get_u32(flags) : 0;
	if ((req.flags & FLYREP_APPLY_F_LOCAL) && !flyrep_item_has_table(req.table)) {
		NL_SET_ERR_MSG_ATTR(info->extack, flags, "only items can be applied as local");
		return -EINVAL;
	}
	if ((req.flags & FLYREP_APPLY_F_SHARED) && (req.flags & FLYREP_APPLY_F_FORCE)) {
		NL_SET_ERR_MSG_ATTR(info->extack, flags, "what is shared is not taken by force");
		return -EINVAL;
	}
	if ((req.flags & FLYREP_APPLY_F_SHARED) && (req.flags & FLYREP_APPLY_F_LOCAL)) {
		NL_SET_ERR_MSG_ATTR(info->extack, flags, "an item is local or shared, not both");
		return -EINVAL;
	}
	/* All memory first: a record that was applied must be answered for. */
	reply = netlink_reply_new(info, nla_total_size(sizeof(u32)) +
				  nla_total_size(n * sizeof(struct flyrep_error)), &hdr);
	if (!reply)
		return -ENOMEM;
	errors = nla_reserve(reply, FLYREP_A_ERRORS, n * sizeof(struct flyrep_error));
	if (WARN_ON_ONCE(!errors)) {
		nlmsg_free(reply);
		return -EMSGSIZE;
	}

	req.data = nla_data(info->attrs[FLYREP_A_RECORDS]);
	req.rec_len = nla_get_u16(info->attrs[FLYREP_A_REC_LEN]);
	req.n = n;
	req.errors = nla_data(errors);
	n_errors = netlink_apply(fn, &req);

	if (n_errors) {
		errors->nla_len = nla_attr_size(n_errors * sizeof(struct flyrep_error));
		nlmsg_trim(reply, (char *)errors + errors->nla_len);
	} else {
		nlmsg_trim(reply, errors);
	}
	nla_put_u32(reply, FLYREP_A_APPLIED, n - n_errors);
	genlmsg_end(reply, hdr);
	return genlmsg_reply(reply, info);
}

/* Reply with the number of objects that @change changed. */
static int netlink_change_all(struct genl_info *info, u32 (*change)(struct flyrep_net *fn))
{
	struct sk_buff *reply;
	void *hdr;

	/* The memory first: who is told of an error must find nothing changed. */
	reply = netlink_reply_new(info, nla_total_size(sizeof(u32)), &hdr);
	if (!reply)
		return -ENOMEM;
	nla_put_u32(reply, FLYREP_A_APPLIED, change(flyrep_pernet(genl_info_net(info))));
	genlmsg_end(reply, hdr);
	return genlmsg_reply(reply, info);
}

static int netlink_do_promote(struct sk_buff *skb, struct genl_info *info)
{
	return netlink_change_all(info, flyrep_hold_promote);
}

static int netlink_do_demote(struct sk_buff *skb, struct genl_info *info)
{
	return netlink_change_all(info, flyrep_hold_demote);
}

static const struct genl_ops netlink_ops[] = {
	{
		.cmd	= FLYREP_CMD_INFO,
		.flags	= GENL_UNS_ADMIN_PERM,
		.doit	= netlink_do_info,
	}, {
		.cmd	= FLYREP_CMD_CONFIG,
		.flags	= GENL_UNS_ADMIN_PERM,
		.doit	= netlink_do_config,
		.policy	= netlink_config_policy,
		.maxattr = FLYREP_A_MAX,
	}, {
		.cmd	= FLYREP_CMD_BIND,
		.flags	= GENL_UNS_ADMIN_PERM,
		.doit	= netlink_do_bind,
	}, {
		.cmd	= FLYREP_CMD_DRAIN,
		.flags	= GENL_UNS_ADMIN_PERM,
		.start	= flyrep_drain_start,
		.dumpit	= flyrep_drain_dump,
	}, {
		.cmd	= FLYREP_CMD_SNAPSHOT,
		.flags	= GENL_UNS_ADMIN_PERM,
		.start	= flyrep_snapshot_start,
		.dumpit	= flyrep_snapshot_dump,
		.done	= flyrep_snapshot_done,
		.policy	= netlink_snapshot_policy,
		.maxattr = FLYREP_A_MAX,
	}, {
		.cmd	= FLYREP_CMD_APPLY,
		.flags	= GENL_UNS_ADMIN_PERM,
		.doit	= netlink_do_apply,
		.policy	= netlink_apply_policy,
		.maxattr = FLYREP_A_MAX,
	}, {
		.cmd	= FLYREP_CMD_PROMOTE,
		.flags	= GENL_UNS_ADMIN_PERM,
		.doit	= netlink_do_promote,
	}, {
		.cmd	= FLYREP_CMD_DEMOTE,
		.flags	= GENL_UNS_ADMIN_PERM,
		.doit	= netlink_do_demote,
	},
};

struct genl_family flyrep_netlink_family __ro_after_init = {
	.name		= FLYREP_GENL_NAME,
	.version	= FLYREP_GENL_VERSION,
	.netnsok	= true,
	.parallel_ops	= true,
	.module		= THIS_MODULE,
	.ops		= netlink_ops,
	.n_ops		= ARRAY_SIZE(netlink_ops),
};

int flyrep_netlink_send_wake(struct net *net, u32 portid)
{
	struct sk_buff *skb = genlmsg_new(0, GFP_ATOMIC);
	void *hdr;

	if (!skb)
		return -ENOMEM;
	hdr = genlmsg_put(skb, 0, 0, &flyrep_netlink_family, 0, FLYREP_CMD_WAKE);
	if (WARN_ON_ONCE(!hdr)) {
		nlmsg_free(skb);
		return -EMSGSIZE;
	}
	genlmsg_end(skb, hdr);
	return genlmsg_unicast(net, skb, portid);
}

int flyrep_netlink_records_begin(struct flyrep_netlink_records *recs, struct sk_buff *skb,
				 struct netlink_callback *cb, u8 cmd, u8 table, u16 rec_len,
				 unsigned int max_len, u8 phase)
{
	int room;

	recs->hdr = genlmsg_put(skb, NETLINK_CB(cb->skb).portid, cb->nlh->nlmsg_seq,
				&flyrep_netlink_family, NLM_F_MULTI, cmd);
	if (!recs->hdr)
		return -EMSGSIZE;
	if (nla_put_u8(skb, FLYREP_A_TABLE, table) ||
	    (phase && nla_put_u8(skb, FLYREP_A_PHASE, phase)) ||
	    nla_put_u16(skb, FLYREP_A_REC_LEN, rec_len))
		goto fail;
	/* The reader can use records in place if they are aligned. */
	if ((skb->len + NLA_HDRLEN) % sizeof(u64) && !nla_reserve(skb, FLYREP_A_PAD, 0))
		goto fail;
	room = min_t(int, skb_tailroom(skb) - NLA_HDRLEN, FLYREP_RECORDS_MAX_LEN);
	room = round_down(room, (int)sizeof(u64));
	if (room < (int)max_len)
		goto fail;
	recs->room = room;
	recs->len = 0;
	recs->n = 0;
	recs->attr = nla_reserve(skb, FLYREP_A_RECORDS, room);
	if (!recs->attr)
		goto fail;
	recs->data = nla_data(recs->attr);
	return 0;

fail:
	genlmsg_cancel(skb, recs->hdr);
	return -EMSGSIZE;
}

void flyrep_netlink_records_end(const struct flyrep_netlink_records *recs, struct sk_buff *skb,
				bool keeps_empty)
{
	if (!recs->n && !keeps_empty) {
		genlmsg_cancel(skb, recs->hdr);
		return;
	}
	recs->attr->nla_len = nla_attr_size(recs->len);
	nlmsg_trim(skb, (char *)recs->attr + NLA_ALIGN(recs->attr->nla_len));
	genlmsg_end(skb, recs->hdr);
}

/* Context: process; a netlink socket has closed */
static int netlink_on_release(struct notifier_block *nb, unsigned long event, void *data)
{
	const struct netlink_notify *n = data;

	/* A namespace that goes away has no user's socket left, and maybe nothing of ours. */
	if (event == NETLINK_URELEASE && n->protocol == NETLINK_GENERIC && check_net(n->net))
		flyrep_reader_release(flyrep_pernet(n->net), n->portid);
	return NOTIFY_DONE;
}

static struct notifier_block netlink_notifier = {
	.notifier_call = netlink_on_release,
};

int flyrep_netlink_init(void)
{
	int err = netlink_register_notifier(&netlink_notifier);

	if (err)
		return err;
	err = genl_register_family(&flyrep_netlink_family);
	if (err)
		netlink_unregister_notifier(&netlink_notifier);
	return err;
}

void flyrep_netlink_exit(void)
{
	genl_unregister_family(&flyrep_netlink_family);
	netlink_unregister_notifier(&netlink_notifier);
}
