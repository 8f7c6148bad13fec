// SPDX-License-Identifier: GPL-2.0-only
#include "extras.h"

#include <linux/kmod.h>
#include <linux/netdevice.h>
#include <net/netfilter/nf_conntrack_acct.h>
#include <net/netfilter/nf_conntrack_core.h>
#include <net/netfilter/nf_conntrack_helper.h>
#include <net/netfilter/nf_conntrack_l4proto.h>
#include <net/netfilter/nf_conntrack_labels.h>
#include <net/netfilter/nf_conntrack_seqadj.h>
#include <net/netfilter/nf_conntrack_synproxy.h>
#include <net/netfilter/nf_conntrack_timeout.h>
#include <net/netfilter/nf_conntrack_timestamp.h>
#include <net/netfilter/nf_conntrack_zones.h>
#include <net/netfilter/nf_nat.h>

#include "compat/compat.h"
#include "conntrack.h"
#include "pernet.h"
#include "proto.h"

static_assert(sizeof(struct flyrep_ct_ext) == 224);
static_assert(sizeof(struct flyrep_ct_ext) % sizeof(u64) == 0);
static_assert(sizeof_field(struct nf_conn_labels, bits) == FLYREP_CT_LABELS_LEN);
static_assert(sizeof_field(struct nf_conntrack_helper, name) == FLYREP_CT_HELPER_LEN);
static_assert(IFNAMSIZ == FLYREP_CT_IFNAME_LEN);

/* The kernel puts the masters of a flow one inside the other when they end: not too many. */
#define EXTRAS_MASTERS_MAX	6
/* A helper that modprobe did not find is not asked for again at once. */
#define EXTRAS_RETRY		(10 * HZ)

#define EXTRAS_LABEL_WORDS	(FLYREP_CT_LABELS_LEN / sizeof(long))

/* Labels are words of the kernel, and bytes of a record */
static unsigned long extras_get_labels(const struct flyrep_ct_ext *x, size_t i)
{
#if BITS_PER_LONG == 64
	return get_unaligned_le64(x->labels + i * sizeof(long));
#else
	return get_unaligned_le32(x->labels + i * sizeof(long));
#endif
}

static void extras_put_labels(struct flyrep_ct_ext *x, size_t i, unsigned long word)
{
#if BITS_PER_LONG == 64
	put_unaligned_le64(word, x->labels + i * sizeof(long));
#else
	put_unaligned_le32(word, x->labels + i * sizeof(long));
#endif
}

/* --- timeout policies ------------------------------------------------------- */

#ifdef CONFIG_NF_CONNTRACK_TIMEOUT
/* How many timeouts the tracker of a flow has */
static unsigned int extras_n_timeouts(const struct nf_conntrack_l4proto *l4proto)
{
	return min_t(unsigned int, l4proto->ctnl_timeout.obj_size / sizeof(unsigned int),
		     FLYREP_CT_TIMEOUTS);
}

/*
 * The policies of nft and of nfnetlink_cttimeout have names, but no flow knows that of its own.
 * Their values are what counts, and need nothing on the other node.
 */
static void extras_read_timeout(struct flyrep_ct_ext *x, const struct nf_conn *ct)
{
	const struct nf_conn_timeout *ext = nf_ct_timeout_find(ct);
	const struct nf_ct_timeout *policy = ext ? rcu_dereference(ext->timeout) : NULL;
	const struct nf_conntrack_l4proto *l4proto = nf_ct_l4proto_find(nf_ct_protonum(ct));
	const unsigned int *values;
	unsigned int i;

	if (!policy || policy->l4proto != l4proto)
		return;
	values = (const unsigned int *)policy->data;
	for (i = 0; i < extras_n_timeouts(l4proto); i++)
		x->timeout_s[i] = READ_ONCE(values[i]) / HZ;
	x->has |= FLYREP_CT_EXT_TIMEOUT;
}
#else
static void extras_read_timeout(struct flyrep_ct_ext *x, const struct nf_conn *ct) { }
#endif

#if defined(CONFIG_NF_CONNTRACK_TIMEOUT) && defined(FLYREP_HAVE_CT_TIMEOUT_REFCNT)
#define EXTRAS_CAN_TIMEOUT true

/* A policy that nobody owns but the flow; with it goes the memory. */
static int extras_add_timeout(struct nf_conn *ct, const struct flyrep_ct_ext *x)
{
	const struct nf_conntrack_l4proto *l4proto = nf_ct_l4proto_find(nf_ct_protonum(ct));
	struct nf_ct_timeout *policy;
	unsigned int *values, i;

	policy = kzalloc(sizeof(*policy) + l4proto->ctnl_timeout.obj_size, GFP_ATOMIC);
	if (!policy)
		return -ENOMEM;
	refcount_set(&policy->refcnt, 1);
	policy->l3num = nf_ct_l3num(ct);
	policy->l4proto = l4proto;
	values = (unsigned int *)policy->data;
	for (i = 0; i < extras_n_timeouts(l4proto); i++)
		values[i] = min_t(u64, (u64)x->timeout_s[i] * HZ, S32_MAX);
	if (!nf_ct_timeout_ext_add(ct, policy, GFP_ATOMIC)) {
		kfree(policy);
		return -ENOMEM;
	}
	/* That took a reference of its own. */
	refcount_dec(&policy->refcnt);
	return 0;
}
#else
#define EXTRAS_CAN_TIMEOUT false

static int extras_add_timeout(struct nf_conn *ct, const struct flyrep_ct_ext *x)
{
	return FLYREP_CT_EXT_TIMEOUT;
}
#endif

static bool extras_has_timeout(const struct nf_conn *ct)
{
	const struct nf_conn_timeout *ext = nf_ct_timeout_find(ct);

	return ext && rcu_access_pointer(ext->timeout);
}

/* --- masquerade's interface ------------------------------------------------- */

#if IS_ENABLED(CONFIG_NF_NAT_MASQUERADE)
static void extras_read_masq(struct flyrep_ct_ext *x, const struct nf_conn *ct)
{
	const struct nf_conn_nat *nat = nfct_nat(ct);
	int index = nat ? READ_ONCE(nat->masq_index) : 0;
	const struct net_device *dev;

	if (!index)
		return;
	dev = dev_get_by_index_rcu(nf_ct_net(ct), index);
	if (!dev)
		return;
	strscpy_pad(x->masq_ifname, dev->name, sizeof(x->masq_ifname));
	x->has |= FLYREP_CT_EXT_MASQ;
}

/* Context: RCU read side. Return: 0 if this node has no such interface */
static int extras_masq_index(const struct nf_conn *ct, const struct flyrep_ct_ext *x)
{
	const struct net_device *dev = dev_get_by_name_rcu(nf_ct_net(ct), x->masq_ifname);

	return dev ? dev->ifindex : 0;
}

static int extras_add_masq(struct nf_conn *ct, const struct flyrep_ct_ext *x)
{
	int index = extras_masq_index(ct, x);
	struct nf_conn_nat *nat;

	if (!index)
		return FLYREP_CT_EXT_MASQ;
	nat = nf_ct_nat_ext_add(ct);
	if (!nat)
		return -ENOMEM;
	nat->masq_index = index;
	return 0;
}

/* Context: RCU read side */
static bool extras_fit_masq(const struct nf_conn *ct, const struct flyrep_ct_ext *x)
{
	return nfct_nat(ct) || !extras_masq_index(ct, x);
}

/* Context: RCU read side */
static u32 extras_merge_masq(struct nf_conn *ct, const struct flyrep_ct_ext *x)
{
	struct nf_conn_nat *nat = nfct_nat(ct);
	int index = nat ? extras_masq_index(ct, x) : 0;

	if (!index)
		return FLYREP_CT_EXT_MASQ;
	WRITE_ONCE(nat->masq_index, index);
	return 0;
}
#else
static void extras_read_masq(struct flyrep_ct_ext *x, const struct nf_conn *ct) { }

static int extras_add_masq(struct nf_conn *ct, const struct flyrep_ct_ext *x)
{
	return FLYREP_CT_EXT_MASQ;
}

static bool extras_fit_masq(const struct nf_conn *ct, const struct flyrep_ct_ext *x)
{
	return true;
}

static u32 extras_merge_masq(struct nf_conn *ct, const struct flyrep_ct_ext *x)
{
	return FLYREP_CT_EXT_MASQ;
}
#endif

/* --- reading ---------------------------------------------------------------- */

static void extras_read_master(struct flyrep_ct_ext *x, const struct nf_conn *ct)
{
	const struct nf_conn *master = ct->master;

	/* Another zone than this flow's is not for a record to tell. */
	if (!master || nf_ct_zone(master)->id != nf_ct_zone(ct)->id ||
	    nf_ct_zone(master)->dir != nf_ct_zone(ct)->dir ||
	    nf_ct_l3num(master) != nf_ct_l3num(ct))
		return;
	x->master_proto = nf_ct_protonum(master);
	flyrep_conntrack_read_tuple(&x->master, &master->tuplehash[IP_CT_DIR_ORIGINAL].tuple);
	x->has |= FLYREP_CT_EXT_MASTER;
}

static void extras_read_helper(struct flyrep_ct_ext *x, const struct nf_conn *ct)
{
	const struct nf_conntrack_helper *helper = flyrep_compat_helper_of(ct);

	if (!helper || !helper->name[0])
		return;
	strscpy_pad(x->helper, helper->name, sizeof(x->helper));
	x->has |= FLYREP_CT_EXT_HELPER;
}

static void extras_read_labels(struct flyrep_ct_ext *x, const struct nf_conn *ct)
{
	const struct nf_conn_labels *labels = nf_ct_labels_find(ct);
	unsigned long any = 0, word;
	size_t i;

	for (i = 0; labels && i < EXTRAS_LABEL_WORDS; i++) {
		word = READ_ONCE(labels->bits[i]);
		extras_put_labels(x, i, word);
		any |= word;
	}
	if (any)
		x->has |= FLYREP_CT_EXT_LABELS;
}

/* No event tells of a change, so there must be no torn read that none would put right. */
static void extras_read_seqadj(struct flyrep_ct_ext *x, struct nf_conn *ct)
{
	const struct nf_conn_seqadj *seqadj = nfct_seqadj(ct);
	int dir;

	if (!seqadj || !test_bit(IPS_SEQ_ADJUST_BIT, &ct->status))
		return;
	spin_lock_bh(&ct->lock);
	for (dir = 0; dir < IP_CT_DIR_MAX; dir++) {
		x->seqadj[dir].correction_pos = seqadj->seq[dir].correction_pos;
		x->seqadj[dir].offset_before = seqadj->seq[dir].offset_before;
		x->seqadj[dir].offset_after = seqadj->seq[dir].offset_after;
	}
	spin_unlock_bh(&ct->lock);
	x->has |= FLYREP_CT_EXT_SEQADJ;
}

static void extras_read_synproxy(struct flyrep_ct_ext *x, const struct nf_conn *ct)
{
	const struct nf_conn_synproxy *synproxy = nfct_synproxy(ct);

	if (!synproxy)
		return;
	x->synproxy_isn = READ_ONCE(synproxy->isn);
	x->synproxy_its = READ_ONCE(synproxy->its);
	x->synproxy_tsoff = READ_ONCE(synproxy->tsoff);
	if (x->synproxy_isn | x->synproxy_its | x->synproxy_tsoff)
		x->has |= FLYREP_CT_EXT_SYNPROXY;
}

static void extras_read_statistics(struct flyrep_ct_ext *x, const struct nf_conn *ct)
{
	const struct nf_conn_tstamp *tstamp = nf_conn_tstamp_find(ct);
	const struct nf_conn_acct *acct = nf_conn_acct_find(ct);
	int dir;

	if (tstamp && tstamp->start) {
		x->start_ns = tstamp->start;
		x->has |= FLYREP_CT_EXT_START;
	}
	if (!acct)
		return;
	for (dir = 0; dir < IP_CT_DIR_MAX; dir++) {
		x->packets[dir] = atomic64_read(&acct->counter[dir].packets);
		x->bytes[dir] = atomic64_read(&acct->counter[dir].bytes);
	}
	x->has |= FLYREP_CT_EXT_COUNTERS;
}

unsigned int flyrep_extras_read(struct flyrep_ct_ext *x, struct nf_conn *ct)
{
	memset(x, 0, sizeof(*x));
	extras_read_master(x, ct);
	extras_read_helper(x, ct);
	extras_read_timeout(x, ct);
	extras_read_masq(x, ct);
	extras_read_labels(x, ct);
	extras_read_seqadj(x, ct);
	extras_read_synproxy(x, ct);
	extras_read_statistics(x, ct);
	return x->has ? sizeof(*x) : 0;
}

/* --- checking --------------------------------------------------------------- */

static bool extras_is_name(const char *name, size_t size)
{
	size_t len = strnlen(name, size);

	return len && len < size && !memchr_inv(name + len, 0, size - len);
}

/* What is not there is zero. */
static bool extras_is_tidy(const struct flyrep_ct_ext *x)
{
	static const struct {
		u16 bit;
		u16 at;
		u16 end;
	} fields[] = {
#define FIELD(bit, first, last) { FLYREP_CT_EXT_##bit, offsetof(struct flyrep_ct_ext, first), \
				  offsetofend(struct flyrep_ct_ext, last) }
		FIELD(MASTER, master_proto, master_proto),
		FIELD(MASTER, master, master),
		FIELD(HELPER, helper, helper),
		FIELD(TIMEOUT, timeout_s, timeout_s),
		FIELD(MASQ, masq_ifname, masq_ifname),
		FIELD(LABELS, labels, labels),
		FIELD(SEQADJ, seqadj, seqadj),
		FIELD(SYNPROXY, synproxy_isn, synproxy_tsoff),
		FIELD(START, start_ns, start_ns),
		FIELD(COUNTERS, packets, bytes),
#undef FIELD
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(fields); i++)
		if (!(x->has & fields[i].bit) &&
		    memchr_inv((const u8 *)x + fields[i].at, 0, fields[i].end - fields[i].at))
			return false;
	return true;
}

int flyrep_extras_check(const struct flyrep_ct_ext *x, const struct flyrep_ct *r)
{
	if (!x->has || (x->has & ~FLYREP_CT_EXT_ALL) || !extras_is_tidy(x) ||
	    !flyrep_conntrack_is_zero(x->reserved, sizeof(x->reserved)))
		return -EINVAL;
	if ((x->has & FLYREP_CT_EXT_HELPER) && !extras_is_name(x->helper, sizeof(x->helper)))
		return -EINVAL;
	if ((x->has & FLYREP_CT_EXT_MASQ) &&
	    !extras_is_name(x->masq_ifname, sizeof(x->masq_ifname)))
		return -EINVAL;
	if ((x->has & FLYREP_CT_EXT_LABELS) && !memchr_inv(x->labels, 0, sizeof(x->labels)))
		return -EINVAL;
	if ((x->has & FLYREP_CT_EXT_SYNPROXY) &&
	    !(x->synproxy_isn | x->synproxy_its | x->synproxy_tsoff))
		return -EINVAL;
	if ((x->has & FLYREP_CT_EXT_START) && !x->start_ns)
		return -EINVAL;
	if (!(x->has & FLYREP_CT_EXT_MASTER))
		return 0;
	if (!x->master_proto || (r->family == AF_INET && !flyrep_conntrack_is_v4(&x->master)))
		return -EINVAL;
	/* Of a protocol that this kernel does not track there simply is no master. */
	return flyrep_proto_check_tuple(r->family, x->master_proto, &x->master) == -EINVAL ?
	       -EINVAL : 0;
}

/* --- what must be there first ----------------------------------------------- */

static void extras_want_labels(struct flyrep_net *fn)
{
	if (READ_ONCE(fn->has_labels))
		return;
	mutex_lock(&fn->lock);
	/* Until somebody says that there are labels, no flow gets room for any. */
	if (!fn->has_labels && !nf_connlabels_get(fn->net, FLYREP_CT_LABELS_LEN * 8 - 1))
		WRITE_ONCE(fn->has_labels, true);
	mutex_unlock(&fn->lock);
}

/* Was modprobe asked in vain for this helper a moment ago? */
static bool extras_is_missing(struct flyrep_net *fn, const char *name)
{
	bool is_missing = false;
	size_t i;

	mutex_lock(&fn->lock);
	for (i = 0; i < ARRAY_SIZE(fn->missing) && !is_missing; i++)
		is_missing = !strncmp(fn->missing[i].name, name, sizeof(fn->missing[i].name)) &&
			     time_before(jiffies, fn->missing[i].since + EXTRAS_RETRY);
	mutex_unlock(&fn->lock);
	return is_missing;
}

static void extras_set_missing(struct flyrep_net *fn, const char *name)
{
	struct flyrep_missing *m;

	mutex_lock(&fn->lock);
	m = &fn->missing[fn->next_missing++ % ARRAY_SIZE(fn->missing)];
	strscpy(m->name, name, sizeof(m->name));
	m->since = jiffies;
	mutex_unlock(&fn->lock);
}

/*
 * Have the modules of the helper loaded: its own, and the one that it needs for a flow with NAT.
 * They may go again before the flow is made; then it is made without.
 */
static void extras_load_helper(struct flyrep_net *fn, const struct flyrep_ct_ext *x,
			       const struct flyrep_ct *r, bool has_nat)
{
	struct nf_conntrack_helper *helper;

	if (extras_is_missing(fn, x->helper))
		return;
	helper = nf_conntrack_helper_try_module_get(x->helper, r->family, r->proto);
	if (!helper) {
		extras_set_missing(fn, x->helper);
		return;
	}
	if (has_nat && !(helper->flags & NF_CT_HELPER_F_USERSPACE)) {
		if (nf_nat_helper_try_module_get(x->helper, r->family, r->proto)) {
			extras_set_missing(fn, x->helper);
		} else {
			rcu_read_lock();
			nf_nat_helper_put(helper);
			rcu_read_unlock();
		}
	}
	nf_conntrack_helper_put(helper);
}

void flyrep_extras_prepare(struct flyrep_net *fn, const struct flyrep_ct_ext *x,
			   const struct flyrep_ct *r, bool has_nat)
{
	if (x->has & FLYREP_CT_EXT_LABELS)
		extras_want_labels(fn);
	if (x->has & FLYREP_CT_EXT_HELPER)
		extras_load_helper(fn, x, r, has_nat);
}

void flyrep_extras_exit(struct flyrep_net *fn)
{
	if (fn->has_labels)
		nf_connlabels_put(fn->net);
	fn->has_labels = false;
}

/* --- a new flow ------------------------------------------------------------- */

int flyrep_extras_help(struct nf_conn *ct, const struct flyrep_ct_ext *x)
{
	struct nf_conntrack_helper *helper;
	struct nf_conn_help *help;

	if (!(x->has & FLYREP_CT_EXT_HELPER))
		return 0;
	helper = __nf_conntrack_helper_find(x->helper, nf_ct_l3num(ct), nf_ct_protonum(ct));
	if (!helper)
		return FLYREP_CT_EXT_HELPER;
	help = nf_ct_helper_ext_add(ct, GFP_ATOMIC);
	if (!help)
		return -ENOMEM;
	if (!flyrep_compat_helper_hold(helper))
		return FLYREP_CT_EXT_HELPER;
	/*
	 * A flow in the midst of its life, as from ctnetlink: FTP picks up the place in the
	 * stream where it finds it. The helpers of user space want data that we have not.
	 */
	if (helper->from_nlattr && !(helper->flags & NF_CT_HELPER_F_USERSPACE))
		helper->from_nlattr(NULL, ct);
	rcu_assign_pointer(help->helper, helper);
	return 0;
}

static bool extras_is_deep(const struct nf_conn *master)
{
	unsigned int n = 0;

	for (; master; master = master->master)
		if (++n > EXTRAS_MASTERS_MAX)
			return true;
	return false;
}

/* Context: any. Return: the master with a reference, or NULL */
static struct nf_conn *extras_find_master(const struct nf_conn *ct, const struct flyrep_ct_ext *x)
{
	struct nf_conntrack_tuple tuple;
	struct nf_conn *master;

	flyrep_conntrack_write_tuple(&tuple, &x->master, nf_ct_l3num(ct), x->master_proto,
				     IP_CT_DIR_ORIGINAL);
	master = flyrep_conntrack_find_get(nf_ct_net(ct), nf_ct_zone(ct), &tuple);
	if (!master || (master != ct && !extras_is_deep(master)))
		return master;
	nf_ct_put(master);
	return NULL;
}

static int extras_add_master(struct nf_conn *ct, const struct flyrep_ct_ext *x)
{
	struct nf_conn *master = extras_find_master(ct, x);

	if (!master)
		return FLYREP_CT_EXT_MASTER;
	ct->status |= IPS_EXPECTED;
	ct->master = master;
	return 0;
}

static void extras_write_labels(struct nf_conn_labels *labels, const struct flyrep_ct_ext *x)
{
	size_t i;

	/* Whole words, as readers see them; and no event, as this is not news. */
	for (i = 0; i < EXTRAS_LABEL_WORDS; i++)
		WRITE_ONCE(labels->bits[i], x ? extras_get_labels(x, i) : 0);
}

/* Context: ct->lock held, or the flow is not confirmed */
static void extras_write_seqadj(struct nf_conn_seqadj *seqadj, const struct flyrep_ct_ext *x)
{
	int dir;

	for (dir = 0; dir < IP_CT_DIR_MAX; dir++) {
		seqadj->seq[dir].correction_pos = x->seqadj[dir].correction_pos;
		seqadj->seq[dir].offset_before = x->seqadj[dir].offset_before;
		seqadj->seq[dir].offset_after = x->seqadj[dir].offset_after;
	}
}

/* Context: likewise */
static void extras_write_synproxy(struct nf_conn_synproxy *synproxy, const struct flyrep_ct_ext *x)
{
	synproxy->isn = x->synproxy_isn;
	synproxy->its = x->synproxy_its;
	synproxy->tsoff = x->synproxy_tsoff;
}

static void extras_write_counters(struct nf_conn_acct *acct, const struct flyrep_ct_ext *x)
{
	int dir;

	for (dir = 0; dir < IP_CT_DIR_MAX; dir++) {
		atomic64_set(&acct->counter[dir].packets, x->packets[dir]);
		atomic64_set(&acct->counter[dir].bytes, x->bytes[dir]);
	}
}

static int extras_add_labels(struct nf_conn_labels *labels, const struct flyrep_ct_ext *x)
{
	if (!labels)
		return IS_ENABLED(CONFIG_NF_CONNTRACK_LABELS) ? -ENOMEM : FLYREP_CT_EXT_LABELS;
	extras_write_labels(labels, x);
	return 0;
}

static int extras_add_seqadj(struct nf_conn *ct, const struct flyrep_ct_ext *x)
{
	/* NAT has made it for a flow with a helper. */
	struct nf_conn_seqadj *seqadj = nfct_seqadj(ct) ?: nfct_seqadj_ext_add(ct);

	/* It may be there, and of no use: see -EAGAIN of nf_conntrack_hash_check_insert(). */
	if (!seqadj)
		return -EAGAIN;
	extras_write_seqadj(seqadj, x);
	ct->status |= IPS_SEQ_ADJUST;
	return 0;
}

static int extras_add_synproxy(struct nf_conn *ct, const struct flyrep_ct_ext *x)
{
	struct nf_conn_synproxy *synproxy;

	if (!IS_ENABLED(CONFIG_NETFILTER_SYNPROXY))
		return FLYREP_CT_EXT_SYNPROXY;
	/* It uses the one of seqadj without a look. */
	if (!nfct_seqadj(ct) && !nfct_seqadj_ext_add(ct))
		return -EAGAIN;
	synproxy = nfct_synproxy_ext_add(ct);
	if (!synproxy)
		return -ENOMEM;
	extras_write_synproxy(synproxy, x);
	return 0;
}

/* What needs an extension or more of its own. Return: as flyrep_extras_add() */
static int extras_add_rest(struct nf_conn *ct, const struct flyrep_ct_ext *x)
{
	static const struct {
		u32 bit;
		int (*add)(struct nf_conn *ct, const struct flyrep_ct_ext *x);
	} rest[] = {
		{ FLYREP_CT_EXT_MASQ, extras_add_masq },
		{ FLYREP_CT_EXT_SEQADJ, extras_add_seqadj },
		{ FLYREP_CT_EXT_SYNPROXY, extras_add_synproxy },
		{ FLYREP_CT_EXT_TIMEOUT, extras_add_timeout },
		/* The last: nothing fails behind it. */
		{ FLYREP_CT_EXT_MASTER, extras_add_master },
	};
	int left_out = 0, rc;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rest); i++) {
		if (!(x->has & rest[i].bit))
			continue;
		rc = rest[i].add(ct, x);
		if (rc < 0)
			return rc;
		left_out |= rc;
	}
	return left_out;
}

int flyrep_extras_add(struct nf_conn *ct, const struct flyrep_ct_ext *x)
{
	struct nf_conn_tstamp *tstamp = nf_conn_tstamp_find(ct);
	struct nf_conn_acct *acct = nf_conn_acct_find(ct);
	int left_out = 0, rc;

	if (acct && (x->has & FLYREP_CT_EXT_COUNTERS))
		extras_write_counters(acct, x);
	if (tstamp && x->start_ns)
		tstamp->start = x->start_ns;
	if (x->has & FLYREP_CT_EXT_LABELS) {
		left_out = extras_add_labels(nf_ct_labels_find(ct), x);
		if (left_out < 0)
			return left_out;
	}
	rc = extras_add_rest(ct, x);
	return rc < 0 ? rc : left_out | rc;
}

/* --- a flow that is there --------------------------------------------------- */

static bool extras_has_helper(const struct nf_conn *ct, const char *name)
{
	const struct nf_conntrack_helper *helper = flyrep_compat_helper_of(ct);

	return helper && !strncmp(helper->name, name, sizeof(helper->name));
}

/* Context: RCU read side */
static bool extras_fit_helper(const struct nf_conn *ct, const struct flyrep_ct_ext *x)
{
	return extras_has_helper(ct, x->helper) ||
	       !__nf_conntrack_helper_find(x->helper, nf_ct_l3num(ct), nf_ct_protonum(ct));
}

static bool extras_fit_master(const struct nf_conn *ct, const struct flyrep_ct_ext *x)
{
	struct nf_conn *master;

	if (ct->master)
		return true;
	master = extras_find_master(ct, x);
	if (!master)
		return true;
	nf_ct_put(master);
	return false;
}

bool flyrep_extras_fit(const struct nf_conn *ct, const struct flyrep_ct_ext *x)
{
	bool fits = true;

	if ((x->has & FLYREP_CT_EXT_LABELS) && IS_ENABLED(CONFIG_NF_CONNTRACK_LABELS))
		fits &= !!nf_ct_labels_find(ct);
	if (x->has & FLYREP_CT_EXT_SEQADJ)
		fits &= !!nfct_seqadj(ct);
	if ((x->has & FLYREP_CT_EXT_SYNPROXY) && IS_ENABLED(CONFIG_NETFILTER_SYNPROXY))
		fits &= !!nfct_synproxy(ct);
	if ((x->has & FLYREP_CT_EXT_TIMEOUT) && EXTRAS_CAN_TIMEOUT)
		fits &= extras_has_timeout(ct);
	rcu_read_lock();
	if (x->has & FLYREP_CT_EXT_HELPER)
		fits &= extras_fit_helper(ct, x);
	if (x->has & FLYREP_CT_EXT_MASQ)
		fits &= extras_fit_masq(ct, x);
	if (fits && (x->has & FLYREP_CT_EXT_MASTER))
		fits &= extras_fit_master(ct, x);
	rcu_read_unlock();
	return fits;
}

/* What packets use together. A flow without the one or the other has zeros there. */
static u32 extras_merge_locked(struct nf_conn *ct, const struct flyrep_ct_ext *x)
{
	static const struct flyrep_ct_ext none;
	struct nf_conn_synproxy *synproxy = nfct_synproxy(ct);
	struct nf_conn_seqadj *seqadj = nfct_seqadj(ct);
	u32 has = x ? x->has : 0, left_out = 0;

	if (!x)
		x = &none;
	spin_lock_bh(&ct->lock);
	if (!seqadj) {
		left_out |= has & FLYREP_CT_EXT_SEQADJ;
	} else {
		extras_write_seqadj(seqadj, x);
		assign_bit(IPS_SEQ_ADJUST_BIT, &ct->status, has & FLYREP_CT_EXT_SEQADJ);
	}
	if (synproxy)
		extras_write_synproxy(synproxy, x);
	else
		left_out |= has & FLYREP_CT_EXT_SYNPROXY;
	spin_unlock_bh(&ct->lock);
	return left_out;
}

u32 flyrep_extras_merge(struct nf_conn *ct, const struct flyrep_ct_ext *x)
{
	struct nf_conn_labels *labels = nf_ct_labels_find(ct);
	struct nf_conn_acct *acct = nf_conn_acct_find(ct);
	u32 has = x ? x->has : 0, left_out = 0;

	if (labels)
		extras_write_labels(labels, has & FLYREP_CT_EXT_LABELS ? x : NULL);
	else
		left_out |= has & FLYREP_CT_EXT_LABELS;
	if (nfct_seqadj(ct) || nfct_synproxy(ct) ||
	    (has & (FLYREP_CT_EXT_SEQADJ | FLYREP_CT_EXT_SYNPROXY)))
		left_out |= extras_merge_locked(ct, x);
	if (acct && (has & FLYREP_CT_EXT_COUNTERS))
		extras_write_counters(acct, x);
	rcu_read_lock();
	if (has & FLYREP_CT_EXT_MASQ)
		left_out |= extras_merge_masq(ct, x);
	if ((has & FLYREP_CT_EXT_HELPER) && !extras_has_helper(ct, x->helper))
		left_out |= FLYREP_CT_EXT_HELPER;
	rcu_read_unlock();
	if ((has & FLYREP_CT_EXT_TIMEOUT) && !extras_has_timeout(ct))
		left_out |= FLYREP_CT_EXT_TIMEOUT;
	if ((has & FLYREP_CT_EXT_MASTER) && !ct->master)
		left_out |= FLYREP_CT_EXT_MASTER;
	return left_out;
}
