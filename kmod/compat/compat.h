/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The only place that knows kernels apart. What is needed elsewhere is written
 * for the newest kernel and given here to the older ones. See conftest/.
 */
#ifndef _FLYREP_COMPAT_H
#define _FLYREP_COMPAT_H

#include <linux/net.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netlink.h>
#include <linux/workqueue.h>
#include <net/genetlink.h>
#include <net/netfilter/nf_conntrack_expect.h>
#include <net/netfilter/nf_conntrack_helper.h>

#ifdef FLYREP_HAVE_LINUX_UNALIGNED
#include <linux/unaligned.h>
#else
#include <asm/unaligned.h>
#endif

#ifndef FLYREP_CONFTEST
#error "build through kmod/Kbuild: it probes the kernel first"
#endif

#ifndef CONFIG_NF_CONNTRACK_EVENTS
#error "flyrep needs a kernel with CONFIG_NF_CONNTRACK_EVENTS"
#endif

/**
 * flyrep_compat_dump_attrs - attributes of the request that started a dump
 * @cb: the dump
 */
static inline struct nlattr **flyrep_compat_dump_attrs(struct netlink_callback *cb)
{
#ifdef FLYREP_HAVE_GENL_INFO_DUMP
	return genl_info_dump(cb)->attrs;
#else
	return genl_dumpit_info(cb)->attrs;
#endif
}

/**
 * flyrep_compat_bind - give a netlink socket of ours its port and its groups
 * @sock: the socket
 * @addr: both
 */
static inline int flyrep_compat_bind(struct socket *sock, struct sockaddr_nl *addr)
{
#ifdef FLYREP_HAVE_BIND_UNSIZED
	return kernel_bind(sock, (struct sockaddr_unsized *)addr, sizeof(*addr));
#else
	return kernel_bind(sock, (struct sockaddr *)addr, sizeof(*addr));
#endif
}

/**
 * flyrep_compat_expect_left - jiffies until an expectation ends; 0 or less: it has
 * @exp: the expectation
 *
 * Context: nf_conntrack_expect_lock held.
 */
static inline s32 flyrep_compat_expect_left(const struct nf_conntrack_expect *exp)
{
#ifdef FLYREP_HAVE_EXPECT_TIMEOUT_U32
	return nf_ct_exp_is_expired(exp) ? 0 : READ_ONCE(exp->timeout) - nfct_time_stamp;
#else
	return timer_pending(&exp->timeout) ? exp->timeout.expires - jiffies : 0;
#endif
}

/**
 * flyrep_compat_expect_set_left - have it end later or sooner, unless it has ended
 * @exp: the expectation, in the table or taken out of it
 * @left: jiffies
 *
 * Context: nf_conntrack_expect_lock held.
 */
static inline void flyrep_compat_expect_set_left(struct nf_conntrack_expect *exp, u32 left)
{
#ifdef FLYREP_HAVE_EXPECT_TIMEOUT_U32
	WRITE_ONCE(exp->timeout, nfct_time_stamp + left);
#else
	mod_timer_pending(&exp->timeout, jiffies + left);
#endif
}

/**
 * flyrep_compat_expect_unlink - take an expectation out of the table
 * @exp: an expectation that was found there
 * @portid: the cause that its event names
 *
 * Context: nf_conntrack_expect_lock held since it was found.
 */
static inline void flyrep_compat_expect_unlink(struct nf_conntrack_expect *exp, u32 portid)
{
#ifdef FLYREP_HAVE_EXPECT_TIMEOUT_U32
	nf_ct_unlink_expect_report(exp, portid, 0);
#else
#ifdef FLYREP_HAVE_TIMER_DELETE
	bool was_pending = timer_delete(&exp->timeout);
#else
	bool was_pending = del_timer(&exp->timeout);
#endif

	/* If not, the timer is about to do it, and has a reference. */
	if (was_pending) {
		nf_ct_unlink_expect_report(exp, portid, 0);
		nf_ct_expect_put(exp);
	}
#endif
}

/**
 * flyrep_compat_expect_helper - the helper that the expected flow will have
 * @exp: the expectation
 *
 * Context: RCU read side. Return: NULL for none.
 */
static inline const struct nf_conntrack_helper *
flyrep_compat_expect_helper(const struct nf_conntrack_expect *exp)
{
#ifdef FLYREP_HAVE_EXPECT_ASSIGN_HELPER
	return rcu_dereference(exp->assign_helper);
#else
	return exp->helper;
#endif
}

/**
 * flyrep_compat_expect_set_helper - say which it will have
 * @exp: an expectation that nobody else can reach yet
 * @helper: NULL for none
 */
static inline void flyrep_compat_expect_set_helper(struct nf_conntrack_expect *exp,
						   struct nf_conntrack_helper *helper)
{
#ifdef FLYREP_HAVE_EXPECT_ASSIGN_HELPER
	rcu_assign_pointer(exp->assign_helper, helper);
#else
	exp->helper = helper;
#endif
}

/**
 * flyrep_compat_helper_of - the helper of a flow
 * @ct: the flow
 *
 * Context: RCU read side. Return: NULL for none, or if its module has gone: what a flow keeps of
 * such a one is its name.
 */
static inline const struct nf_conntrack_helper *flyrep_compat_helper_of(const struct nf_conn *ct)
{
	const struct nf_conn_help *help = nfct_help(ct);
	const struct nf_conntrack_helper *helper = help ? rcu_dereference(help->helper) : NULL;

#ifdef FLYREP_HAVE_HELPER_REFCNT
	if (helper && !rcu_access_pointer(helper->help))
		return NULL;
#endif
	return helper;
}

/**
 * flyrep_compat_helper_hold - have a flow hold the helper that it is about to get
 * @helper: it; when the flow is freed the kernel lets go of it
 *
 * Context: RCU read side, the one in which the helper was found. Return: false if it is going away
 */
static inline bool flyrep_compat_helper_hold(struct nf_conntrack_helper *helper)
{
#ifdef FLYREP_HAVE_HELPER_REFCNT
	return refcount_inc_not_zero(&helper->ct_refcnt);
#else
	return true;
#endif
}

/* Work of all sorts; a kernel that calls it so warns of the former name. */
#ifndef FLYREP_HAVE_SYSTEM_PERCPU_WQ
#define system_percpu_wq system_wq
#endif

/* Has conntrack a tracker for DCCP? Its part of struct nf_conn comes with it. */
#ifdef FLYREP_HAVE_CT_DCCP
#define FLYREP_COMPAT_CT_DCCP true
#else
#define FLYREP_COMPAT_CT_DCCP false
#endif

/* A range for NLA_POLICY_FULL_RANGE(); the field was not const once. */
#define FLYREP_COMPAT_RANGE(range) ((struct netlink_range_validation *)&(range))

#endif
