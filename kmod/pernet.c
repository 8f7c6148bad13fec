// SPDX-License-Identifier: GPL-2.0-only
#include "pernet.h"

#include <linux/random.h>

#include "capture.h"
#include "extras.h"
#include "filter.h"
#include "hold.h"
#include "reader.h"
#include "window.h"

#define PERNET_HOLD_S	86400
#define PERNET_GRACE_S	60
#define PERNET_LEARN_S	30

unsigned int flyrep_pernet_id;

void flyrep_pernet_sum(const struct flyrep_net *fn, u64 *sum)
{
	int cpu, i;

	memset(sum, 0, sizeof(*sum) * __FLYREP_C_MAX);
	for_each_possible_cpu(cpu) {
		const struct flyrep_counters *c = per_cpu_ptr(fn->counters, cpu);

		for (i = 0; i < __FLYREP_C_MAX; i++)
			sum[i] += READ_ONCE(c->c[i]);
	}
}

/* Context: process, pernet_ops_rwsem held */
static int __net_init pernet_net_init(struct net *net)
{
	struct flyrep_net *fn = flyrep_pernet(net);

	fn->net = net;
	fn->hold_s = PERNET_HOLD_S;
	fn->grace_s = PERNET_GRACE_S;
	fn->learn_s = PERNET_LEARN_S;
	fn->counters = alloc_percpu(struct flyrep_counters);
	if (!fn->counters)
		return -ENOMEM;
	get_random_bytes(&fn->id_key, sizeof(fn->id_key));
	fn->instance = get_random_u64() ?: 1;
	mutex_init(&fn->lock);
	flyrep_filter_init(fn);
	flyrep_reader_init(fn);
	flyrep_hold_init(fn);
	flyrep_window_init(fn);
	flyrep_item_init(fn);
	flyrep_expect_init(fn);
	flyrep_listen_init(fn);
	flyrep_capture_init(fn);
	return 0;
}

/*
 * Before conntrack's own exit: it waits until no flow is referenced, so the ring must be
 * empty by then.
 *
 * Context: process, pernet_ops_rwsem held
 */
static void __net_exit pernet_net_pre_exit(struct net *net)
{
	struct flyrep_net *fn = flyrep_pernet(net);

	flyrep_capture_exit(fn);
	flyrep_reader_exit(fn);
	flyrep_hold_exit(fn);
	flyrep_extras_exit(fn);
}

/* An RCU grace period has passed since pre_exit. */
static void __net_exit pernet_net_exit(struct net *net)
{
	struct flyrep_net *fn = flyrep_pernet(net);

	flyrep_expect_exit(fn);
	flyrep_item_exit(fn);
	flyrep_hint_exit(fn);
	flyrep_filter_exit(fn);
	flyrep_buckets_exit(&fn->buckets);
	free_percpu(fn->counters);
}

static struct pernet_operations pernet_ops = {
	.init		= pernet_net_init,
	.pre_exit	= pernet_net_pre_exit,
	.exit		= pernet_net_exit,
	.id		= &flyrep_pernet_id,
	.size		= sizeof(struct flyrep_net),
};

/*
 * As a "device": those are started after and left before all subsystems, whichever was
 * registered first. So nf_conntrack_netlink has always put its notifier into a
 * new namespace before we come to chain over it, and we are gone before it takes it out.
 */
int flyrep_pernet_init(void)
{
	return register_pernet_device(&pernet_ops);
}

void flyrep_pernet_exit(void)
{
	unregister_pernet_device(&pernet_ops);
}
