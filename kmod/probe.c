// SPDX-License-Identifier: GPL-2.0-only
#include "probe.h"

#include <linux/netlink.h>

#include "compat/compat.h"
#include "hint.h"

#ifdef FLYREP_HAVE_NFT_PROBES

#include <linux/gfp.h>
#include <linux/kprobes.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/ptrace.h>
#include <net/netfilter/nf_tables.h>

/* Commits that may be under way in all namespaces together: each of them sleeps. */
#define PROBE_COMMITS 128

/*
 * bool nft_rhash_delete(const struct nft_set *set, const u32 *key): a packet takes an element
 * out. Packets know no other kind of set.
 *
 * Context: RCU read side, preemption off, as for all probes; often softirq
 */
static int probe_on_delete(struct kprobe *p, struct pt_regs *regs)
{
	const struct nft_set *set = (void *)regs_get_kernel_argument(regs, 0);

	flyrep_hint_element(set, (void *)regs_get_kernel_argument(regs, 1), true);
	return 0;
}

/*
 * The eighth argument of a function. On x86-64 it is on the stack, behind the return address and
 * the seventh; the function in general is prepared for a stack that is not there, and dearer.
 */
static unsigned long probe_eighth(struct pt_regs *regs)
{
#ifdef CONFIG_X86_64
	return READ_ONCE_NOCHECK(((unsigned long *)kernel_stack_pointer(regs))[2]);
#else
	return regs_get_kernel_argument(regs, 7);
#endif
}

/*
 * void *nft_set_elem_init(const struct nft_set *set, const struct nft_set_ext_tmpl *tmpl,
 *			   const u32 *key, const u32 *key_end, const u32 *data,
 *			   u64 timeout, u64 expiration, gfp_t gfp)
 *
 * An element is made: by a packet, which cannot sleep, or by a transaction that adds it, or looks
 * by it for the one to delete.
 *
 * Context: as above, or process
 */
static int probe_on_init(struct kprobe *p, struct pt_regs *regs)
{
	const struct nft_set *set = (void *)regs_get_kernel_argument(regs, 0);
	const struct nft_set_ext_tmpl *tmpl = (void *)regs_get_kernel_argument(regs, 1);
	const void *key = (void *)regs_get_kernel_argument(regs, 2);
	gfp_t gfp = (__force gfp_t)probe_eighth(regs);

	/* The one for all other keys has none: what @key points to is anything. */
	if (!tmpl->offset[NFT_SET_EXT_KEY])
		key = NULL;
	flyrep_hint_element(set, key, !(gfp & __GFP_DIRECT_RECLAIM));
	return 0;
}

/*
 * int nft_setelem_flush(const struct nft_ctx *ctx, struct nft_set *set, ...): an element is
 * deleted as all of the set are. Context: process
 */
static int probe_on_flush(struct kprobe *p, struct pt_regs *regs)
{
	flyrep_hint_flush((void *)regs_get_kernel_argument(regs, 1));
	return 0;
}

/* int nf_tables_abort(struct net *net, ...). Context: process, the commit mutex held */
static int probe_on_abort(struct kprobe *p, struct pt_regs *regs)
{
	flyrep_hint_abort((void *)regs_get_kernel_argument(regs, 0));
	return 0;
}

/*
 * int nf_tables_commit(struct net *net, struct sk_buff *skb). Context: process, the commit mutex
 * held. Return: 0 to be told of its end
 */
static int probe_on_commit(struct kretprobe_instance *ri, struct pt_regs *regs)
{
	struct flyrep_hint_commit *c = (void *)ri->data;

	c->net = (void *)regs_get_kernel_argument(regs, 0);
	return flyrep_hint_commit(c) ? 0 : 1;
}

/* Context: process, the commit mutex held unless the commit was done */
static int probe_on_committed(struct kretprobe_instance *ri, struct pt_regs *regs)
{
	flyrep_hint_committed((void *)ri->data, regs_return_value(regs));
	return 0;
}

static const struct {
	const char		*symbol;
	kprobe_pre_handler_t	handler;
} probe_points[] = {
	{ "nft_set_elem_init", probe_on_init },
	{ "nft_rhash_delete", probe_on_delete },
	{ "nft_setelem_flush", probe_on_flush },
	{ "nf_tables_abort", probe_on_abort },
};

/* Probes are of the kernel, not of a namespace. */
static DEFINE_MUTEX(probe_lock);	/* all that follows */
static struct kprobe probe_points_armed[ARRAY_SIZE(probe_points)];
static struct kretprobe probe_commit;
static unsigned int probe_users;
static bool probe_is_armed;

#if defined(CONFIG_X86_64) && defined(CONFIG_OPTPROBES) && defined(CONFIG_KPROBES_ON_FTRACE)

/*
 * Stand behind the instruction of ftrace at the entry: nothing before it moves an argument. At the
 * entry itself a probe goes through ftrace. Here it is a breakpoint, of which the kernel soon makes
 * a jump, which costs less; if it would have to stay a breakpoint it costs more.
 * Whether the jump could be prepared @p->list tells.
 *
 * Context: process, probe_lock held. Return: false if @p is not registered
 */
static bool probe_register_behind(struct kprobe *p, const char *symbol,
				  kprobe_pre_handler_t handler)
{
	kprobe_opcode_t *behind;
	bool is_ftrace;

	/* What the kernel knows of the entry, and touches nothing */
	*p = (struct kprobe) { .symbol_name = symbol, .flags = KPROBE_FLAG_DISABLED };
	if (register_kprobe(p))
		return false;
	is_ftrace = p->flags & KPROBE_FLAG_FTRACE;
	behind = p->addr + MCOUNT_INSN_SIZE;
	unregister_kprobe(p);
	if (!is_ftrace)
		return false;
	*p = (struct kprobe) { .addr = behind, .pre_handler = handler };
	if (register_kprobe(p))
		return false;
	if (!list_empty(&p->list))
		return true;
	unregister_kprobe(p);
	return false;
}

#else

static bool probe_register_behind(struct kprobe *p, const char *symbol,
				  kprobe_pre_handler_t handler)
{
	return false;
}

#endif

/* Context: process, probe_lock held. Return: 0 or -errno */
static int probe_register(struct kprobe *p, const char *symbol, kprobe_pre_handler_t handler)
{
	if (probe_register_behind(p, symbol, handler))
		return 0;
	*p = (struct kprobe) { .symbol_name = symbol, .pre_handler = handler };
	return register_kprobe(p);
}

/* Context: process, probe_lock held; @n: how many there are, from the first on */
static void probe_disarm_points(int n)
{
	struct kprobe *p[ARRAY_SIZE(probe_points)];
	int i;

	for (i = 0; i < n; i++)
		p[i] = &probe_points_armed[i];
	/* Waits once for all of them */
	unregister_kprobes(p, n);
}

/* Context: process, probe_lock held. Return: 0; -ENOENT: none of the names; -errno */
static int probe_arm_points(void)
{
	int err, i;

	for (i = 0; i < ARRAY_SIZE(probe_points); i++) {
		err = probe_register(&probe_points_armed[i], probe_points[i].symbol,
				     probe_points[i].handler);
		if (!err)
			continue;
		probe_disarm_points(i);
		/* Some are there, others are not. */
		return i && err == -ENOENT ? -EOPNOTSUPP : err;
	}
	return 0;
}

/*
 * Context: process, probe_lock held. Return: 0, also if nf_tables is not there; -EOPNOTSUPP;
 * -errno
 */
static int probe_arm(void)
{
	int err;

	if (probe_is_armed)
		return 0;
	err = probe_arm_points();
	if (err)
		return err == -ENOENT ? 0 : err;
	probe_commit = (struct kretprobe) {
		.kp.symbol_name = "nf_tables_commit",
		.entry_handler = probe_on_commit,
		.handler = probe_on_committed,
		.data_size = sizeof(struct flyrep_hint_commit),
		.maxactive = PROBE_COMMITS,
	};
	err = register_kretprobe(&probe_commit);
	if (err) {
		probe_disarm_points(ARRAY_SIZE(probe_points));
		return err == -ENOENT ? -EOPNOTSUPP : err;
	}
	probe_is_armed = true;
	return 0;
}

/* Context: process, probe_lock held */
static void probe_disarm(void)
{
	if (!probe_is_armed)
		return;
	unregister_kretprobe(&probe_commit);
	probe_disarm_points(ARRAY_SIZE(probe_points));
	probe_is_armed = false;
}

int flyrep_probe_get(struct netlink_ext_ack *extack)
{
	int err;

	mutex_lock(&probe_lock);
	err = probe_arm();
	if (!err)
		probe_users++;
	mutex_unlock(&probe_lock);
	if (err == -EOPNOTSUPP)
		NL_SET_ERR_MSG(extack, "this nf_tables has not the functions to be probed");
	else if (err)
		NL_SET_ERR_MSG(extack, "nf_tables cannot be probed");
	return err;
}

void flyrep_probe_put(void)
{
	mutex_lock(&probe_lock);
	if (!WARN_ON_ONCE(!probe_users) && !--probe_users)
		probe_disarm();
	mutex_unlock(&probe_lock);
}

unsigned long flyrep_probe_missed(void)
{
	unsigned long n = READ_ONCE(probe_commit.kp.nmissed) + READ_ONCE(probe_commit.nmissed);
	int i;

	for (i = 0; i < ARRAY_SIZE(probe_points); i++)
		n += READ_ONCE(probe_points_armed[i].nmissed);
	return n;
}

/* Context: process */
static int probe_on_module(struct notifier_block *nb, unsigned long state, void *data)
{
	const struct module *mod = data;
	bool is_new = false;
	int err = 0;

	if (strcmp(mod->name, "nf_tables"))
		return NOTIFY_DONE;
	mutex_lock(&probe_lock);
	if (state == MODULE_STATE_LIVE && probe_users) {
		err = probe_arm();
		is_new = !err;
	} else if (state == MODULE_STATE_GOING) {
		/* Its functions are gone; the probes know. */
		probe_disarm();
	}
	mutex_unlock(&probe_lock);
	if (err)
		pr_warn("flyrep: nf_tables cannot be probed, no hints are given: %d\n", err);
	if (is_new) {
		synchronize_rcu();
		flyrep_hint_renew();
	}
	return NOTIFY_OK;
}

static struct notifier_block probe_module_notifier = {
	.notifier_call = probe_on_module,
};

int flyrep_probe_start(void)
{
	return register_module_notifier(&probe_module_notifier);
}

void flyrep_probe_stop(void)
{
	unregister_module_notifier(&probe_module_notifier);
}

#else /* FLYREP_HAVE_NFT_PROBES */

int flyrep_probe_start(void)
{
	return 0;
}

void flyrep_probe_stop(void)
{
}

int flyrep_probe_get(struct netlink_ext_ack *extack)
{
	NL_SET_ERR_MSG(extack, "this kernel cannot be probed");
	return -EOPNOTSUPP;
}

void flyrep_probe_put(void)
{
}

unsigned long flyrep_probe_missed(void)
{
	return 0;
}

#endif /* FLYREP_HAVE_NFT_PROBES */
