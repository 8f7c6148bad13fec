// SPDX-License-Identifier: GPL-2.0-only
/* Can we stand in nf_tables: do its functions have the arguments that probe.c reads? */
#include <linux/kprobes.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/ptrace.h>
#include <net/netfilter/nf_tables.h>

#if !IS_ENABLED(CONFIG_NF_TABLES) || !defined(CONFIG_KPROBES) || !defined(CONFIG_KRETPROBES) || \
	!defined(CONFIG_HAVE_FUNCTION_ARG_ACCESS_API) || !defined(CONFIG_64BIT)
#error "no"
#endif

typedef typeof(*nft_set_elem_init(NULL, NULL, NULL, NULL, NULL, 0, 0, 0)) *(*init_t)
	(const struct nft_set *set, const struct nft_set_ext_tmpl *tmpl, const u32 *key,
	 const u32 *key_end, const u32 *data, u64 timeout, u64 expiration, gfp_t gfp);

init_t conftest_init(void);
void conftest(struct nft_set_ops *ops, struct nfnetlink_subsystem *subsys,
	      bool (*delete)(const struct nft_set *set, const u32 *key),
	      int (*commit)(struct net *net, struct sk_buff *skb));

init_t conftest_init(void)
{
	return nft_set_elem_init;
}

void conftest(struct nft_set_ops *ops, struct nfnetlink_subsystem *subsys,
	      bool (*delete)(const struct nft_set *set, const u32 *key),
	      int (*commit)(struct net *net, struct sk_buff *skb))
{
	ops->delete = delete;
	subsys->commit = commit;
}
