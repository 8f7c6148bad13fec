// SPDX-License-Identifier: GPL-2.0-only
#include "ring.h"

#include <linux/cpumask.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/percpu.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/ktime.h>

struct ring_cpu {
	raw_spinlock_t		lock;
	unsigned int		head;	/* next to fill; free-running */
	unsigned int		tail;	/* next to take */
	struct flyrep_ring_slot	*slots;
};

struct flyrep_ring {
	struct ring_cpu __percpu *cpu;
	unsigned int		mask;	/* of the slots of a CPU: as many, less one */
	unsigned int		cursor;	/* CPU to pop next; the consumer's */
	int			armed;
};

struct flyrep_ring *flyrep_ring_new(unsigned int n_entries)
{
	struct flyrep_ring *ring;
	int cpu;

	if (WARN_ON_ONCE(!is_power_of_2(n_entries)))
		return NULL;
	ring = kzalloc(sizeof(*ring), GFP_KERNEL_ACCOUNT);
	if (!ring)
		return NULL;
	ring->mask = n_entries - 1;
	ring->armed = 1;
	ring->cursor = cpumask_first(cpu_possible_mask);
	ring->cpu = alloc_percpu_gfp(struct ring_cpu, GFP_KERNEL_ACCOUNT);
	if (!ring->cpu)
		goto fail;

	for_each_possible_cpu(cpu) {
		struct ring_cpu *rc = per_cpu_ptr(ring->cpu, cpu);

		raw_spin_lock_init(&rc->lock);
		rc->slots = kvcalloc(n_entries, sizeof(*rc->slots), GFP_KERNEL_ACCOUNT);
		if (!rc->slots)
			goto fail;
	}
	return ring;

fail:
	flyrep_ring_free(ring);
	return NULL;
}

void flyrep_ring_free(struct flyrep_ring *ring)
{
	int cpu;

	if (!ring)
		return;
	if (ring->cpu) {
		for_each_possible_cpu(cpu) {
			struct ring_cpu *rc = per_cpu_ptr(ring->cpu, cpu);

			WARN_ON_ONCE(rc->head != rc->tail);
			kvfree(rc->slots);
		}
		free_percpu(ring->cpu);
	}
	kfree(ring);
}

unsigned int flyrep_ring_entries(const struct flyrep_ring *ring)
{
	return ring->mask + 1;
}

unsigned int flyrep_ring_capacity(const struct flyrep_ring *ring)
{
	return flyrep_ring_entries(ring) * num_possible_cpus();
}

int flyrep_ring_push(struct flyrep_ring *ring, void *obj)
{
	/* Should we move to another CPU now, its lock serves as well. */
	struct ring_cpu *rc = raw_cpu_ptr(ring->cpu);
	struct flyrep_ring_slot *slot;
	unsigned long flags;
	int ret = -ENOBUFS;

	raw_spin_lock_irqsave(&rc->lock, flags);
	if (likely(rc->head - rc->tail <= ring->mask)) {
		slot = &rc->slots[rc->head++ & ring->mask];
		slot->obj = obj;
		slot->pushed_ns = ktime_get_mono_fast_ns();
		/*
		 * Under the lock: flyrep_ring_arm() sets the flag before it takes
		 * this lock to look for what is queued, so either it sees our
		 * object or we see its flag.
		 */
		ret = flyrep_ring_disarm(ring);
	}
	raw_spin_unlock_irqrestore(&rc->lock, flags);
	return ret;
}

/* Context: the consumer */
static unsigned int ring_pop_cpu(struct flyrep_ring *ring, int cpu,
				 struct flyrep_ring_slot *slots, unsigned int n)
{
	struct ring_cpu *rc = per_cpu_ptr(ring->cpu, cpu);
	unsigned int i;

	/* An empty ring stays uncontended; arm() looks again under the lock. */
	if (READ_ONCE(rc->head) == rc->tail)
		return 0;

	raw_spin_lock_irq(&rc->lock);
	n = min(n, rc->head - rc->tail);
	for (i = 0; i < n; i++)
		slots[i] = rc->slots[rc->tail++ & ring->mask];
	raw_spin_unlock_irq(&rc->lock);
	return n;
}

unsigned int flyrep_ring_pop(struct flyrep_ring *ring, struct flyrep_ring_slot *slots,
			     unsigned int n)
{
	unsigned int taken = 0, seen = 0;

	while (taken < n && seen < num_possible_cpus()) {
		taken += ring_pop_cpu(ring, ring->cursor, slots + taken, n - taken);
		if (taken < n) {
			seen++;
			ring->cursor = cpumask_next(ring->cursor, cpu_possible_mask);
			if (ring->cursor >= nr_cpu_ids)
				ring->cursor = cpumask_first(cpu_possible_mask);
		}
	}
	return taken;
}

bool flyrep_ring_arm(struct flyrep_ring *ring)
{
	bool queued = false;
	int cpu;

	WRITE_ONCE(ring->armed, 1);
	for_each_possible_cpu(cpu) {
		struct ring_cpu *rc = per_cpu_ptr(ring->cpu, cpu);

		raw_spin_lock_irq(&rc->lock);
		queued |= rc->head != rc->tail;
		raw_spin_unlock_irq(&rc->lock);
	}
	/* Who took the flag meanwhile wakes the consumer; once is enough. */
	return queued && flyrep_ring_disarm(ring);
}

bool flyrep_ring_disarm(struct flyrep_ring *ring)
{
	return READ_ONCE(ring->armed) && xchg(&ring->armed, 0);
}
