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
#include <net/genetlink.h>

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

/* Has conntrack a tracker for DCCP? Its part of struct nf_conn comes with it. */
#ifdef FLYREP_HAVE_CT_DCCP
#define FLYREP_COMPAT_CT_DCCP true
#else
#define FLYREP_COMPAT_CT_DCCP false
#endif

/* A range for NLA_POLICY_FULL_RANGE(); the field was not const once. */
#define FLYREP_COMPAT_RANGE(range) ((struct netlink_range_validation *)&(range))

#endif
