// SPDX-License-Identifier: GPL-2.0-only
#include "hint.h"

#include <linux/bitops.h>
#include <linux/hardirq.h>
#include <linux/hash.h>
#include <linux/jiffies.h>
#include <linux/ktime.h>
#include <linux/math64.h>
#include <linux/mm.h>
#include <linux/rwsem.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <net/netfilter/nf_tables.h>
#include <net/netlink.h>

#include "pernet.h"
#include "probe.h"
#include "reader.h"
#include "trace.h"

/*
 * Words of 8 bytes. A hint takes one, and those of its key: a transaction of 131 072 IPv4
 * addresses fits, and 32 768 addresses that packets add between two drains.
 */
#define HINT_CONTROL_WORDS	262144
#define HINT_PACKET_WORDS	65536

#define HINT_SLOTS_BITS		11

/* Bits of flyrep_hints.dirty: as it is now, or once the packets under way are through */
#define HINT_DIRTY		0
#define HINT_DIRTY_SOON		1

/* In nanoseconds / 1024: no division, and ages up to 36 minutes. */
#define HINT_TIME_SHIFT		10

/**
 * struct hint_head - how a hint lies in the ring; its key follows
 * @time: when it was noted, or a little before
 * @set: index of its set
 * @what: enum flyrep_hint_what
 * @key_len: bytes of the key
 */
struct hint_head {
	u32	time;
	u16	set;
	u8	what;
	u8	key_len;
};

static_assert(sizeof(struct hint_head) == sizeof(u64));
static_assert(FLYREP_SETS_MAX < (1 << HINT_SLOTS_BITS));

/**
 * struct hint_ring - a row of words; positions count on and on
 * @lock: all but @tail and @words; a leaf
 * @mask: of a position
 * @head: next to fill
 * @begin: where the transaction begins that is under way
 * @limit: the reader may take what lies before
 * @tail: next to take; the reader's
 * @tick: when the clock was read, in jiffies
 * @time: what it said
 * @flush_end: end of the last FLUSH
 * @flush_set: of which set
 * @is_lost: hints of the transaction under way are missing
 * @words: as many as @mask and one
 */
struct hint_ring {
	raw_spinlock_t	lock;	/* see above */
	u32		mask;
	u32		head;
	u32		begin;
	u32		limit;
	u32		tail;
	u32		tick;
	u32		time;
	u32		flush_end;
	u16		flush_set;
	bool		is_lost;
	u64		*words;
};

/**
 * struct hint_watch - what is watched, and for whom
 * @packet: what packets did
 * @control: what transactions did
 * @tgid: the reader's process
 * @seq: tells it from another one of the namespace
 * @missed: flyrep_probe_missed() when we last looked
 * @slots: hash table: index of a set and one, 0 for none
 * @n_sets: how many
 * @sets: which
 */
struct hint_watch {
	struct hint_ring	packet;
	struct hint_ring	control;
	const struct pid	*tgid;
	u32			seq;
	unsigned long		missed;
	u16			slots[1 << HINT_SLOTS_BITS];
	unsigned int		n_sets;
	struct flyrep_set	sets[];
};

static u32 hint_slot(u64 table, u64 set)
{
	return hash_64(set ^ (table << 32), HINT_SLOTS_BITS);
}

/* Return: where it is, or a free slot. There is one: the table is half full at most. */
static u16 *hint_slot_of(struct hint_watch *w, u64 table, u64 set)
{
	u32 i = hint_slot(table, set);
	u16 *slot;

	for (;; i++) {
		slot = &w->slots[i % ARRAY_SIZE(w->slots)];
		if (!*slot || (w->sets[*slot - 1].set == set && w->sets[*slot - 1].table == table))
			return slot;
	}
}

static int hint_ring_init(struct hint_ring *r, unsigned int n_words)
{
	raw_spin_lock_init(&r->lock);
	r->mask = n_words - 1;
	r->words = kvmalloc_array(n_words, sizeof(*r->words), GFP_KERNEL_ACCOUNT);
	return r->words ? 0 : -ENOMEM;
}

/* Context: process; no probe can reach it */
static void hint_watch_free(struct hint_watch *w)
{
	if (!w)
		return;
	kvfree(w->packet.words);
	kvfree(w->control.words);
	kvfree(w);
}

/* Context: process, fn->lock held. Return: NULL without memory */
static struct hint_watch *hint_watch_new(struct flyrep_net *fn, const struct flyrep_set *sets,
					 unsigned int n, const struct pid *tgid)
{
	struct hint_watch *w = kvzalloc(struct_size(w, sets, n), GFP_KERNEL_ACCOUNT);
	unsigned int i;

	if (!w)
		return NULL;
	if (hint_ring_init(&w->packet, HINT_PACKET_WORDS) ||
	    hint_ring_init(&w->control, HINT_CONTROL_WORDS)) {
		hint_watch_free(w);
		return NULL;
	}
	/* Of a transaction that is under way already we do not know the beginning. */
	w->control.is_lost = true;
	w->tgid = tgid;
	w->seq = ++fn->hints.seq;
	w->missed = flyrep_probe_missed();
	w->n_sets = n;
	memcpy(w->sets, sets, n * sizeof(*sets));
	for (i = 0; i < n; i++)
		*hint_slot_of(w, sets[i].table, sets[i].set) = i + 1;
	return w;
}

/* Context: RCU read side. Return: the watch of the namespace, or NULL */
static struct hint_watch *hint_watch_rcu(struct flyrep_net *fn)
{
	return rcu_dereference(fn->hints.watch);
}

/* Context: process, fn->lock held */
static struct hint_watch *hint_watch_locked(struct flyrep_net *fn)
{
	return rcu_dereference_protected(fn->hints.watch, lockdep_is_held(&fn->lock));
}

/* Watch by @w, NULL for not at all. Context: process, fn->lock held */
static void hint_replace(struct flyrep_net *fn, struct hint_watch *w)
{
	struct hint_watch *old = hint_watch_locked(fn);

	rcu_assign_pointer(fn->hints.watch, w);
	if (!old)
		return;
	synchronize_rcu();
	hint_watch_free(old);
}

/* Context: process, fn->lock held. Return: 0 or -errno with extack set */
static int hint_start(struct flyrep_net *fn, const struct flyrep_set *sets, unsigned int n,
		      const struct pid *tgid, struct netlink_ext_ack *extack)
{
	struct hint_watch *w = hint_watch_new(fn, sets, n, tgid);

	if (!w) {
		NL_SET_ERR_MSG(extack, "no memory for the hints");
		return -ENOMEM;
	}
	hint_replace(fn, w);
	return 0;
}

void flyrep_hint_exit(struct flyrep_net *fn)
{
	kfree(fn->hints.sets);
}

int flyrep_hint_set_sets(struct flyrep_net *fn, const struct nlattr *attr,
			 struct netlink_ext_ack *extack)
{
	unsigned int n = nla_len(attr) / sizeof(struct flyrep_set);
	bool is_watching = hint_watch_locked(fn);
	const struct flyrep_reader *reader;
	struct flyrep_set *sets = NULL;
	int err;

	lockdep_assert_held(&fn->lock);
	if (nla_len(attr) % sizeof(struct flyrep_set)) {
		NL_SET_ERR_MSG_ATTR(extack, attr, "SETS is not a row of whole sets");
		return -EINVAL;
	}
	reader = rcu_dereference_protected(fn->reader, lockdep_is_held(&fn->lock));
	if (n) {
		sets = kmemdup(nla_data(attr), n * sizeof(*sets), GFP_KERNEL_ACCOUNT);
		if (!sets)
			return -ENOMEM;
		/* Even without a reader: the kernel may not be fit for it. */
		err = flyrep_probe_get(extack);
		if (err)
			goto err_sets;
	}
	if (n && reader) {
		err = hint_start(fn, sets, n, reader->tgid, extack);
		if (err)
			goto err_probe;
	} else {
		hint_replace(fn, NULL);
	}
	/* One use for as long as there is a watch. */
	if (is_watching)
		flyrep_probe_put();
	if (n && !reader)
		flyrep_probe_put();
	kfree(fn->hints.sets);
	fn->hints.sets = sets;
	fn->hints.n_sets = n;
	if (reader) {
		/* Packets under way have not seen the new list. */
		synchronize_rcu();
		flyrep_hint_dirty(fn);
		flyrep_reader_ring(fn);
	}
	return 0;

err_probe:
	flyrep_probe_put();
err_sets:
	kfree(sets);
	return err;
}

int flyrep_hint_bind(struct flyrep_net *fn, const struct pid *tgid,
		     struct netlink_ext_ack *extack)
{
	int err;

	lockdep_assert_held(&fn->lock);
	if (!fn->hints.n_sets)
		return 0;
	err = flyrep_probe_get(extack);
	if (err)
		return err;
	err = hint_start(fn, fn->hints.sets, fn->hints.n_sets, tgid, extack);
	if (err)
		flyrep_probe_put();
	return err;
}

void flyrep_hint_release(struct flyrep_net *fn)
{
	lockdep_assert_held(&fn->lock);
	if (!hint_watch_locked(fn))
		return;
	hint_replace(fn, NULL);
	flyrep_probe_put();
}

void flyrep_hint_dirty(struct flyrep_net *fn)
{
	set_bit(HINT_DIRTY, &fn->hints.dirty);
	/* Before the reader's flag is looked at */
	smp_mb__after_atomic();
}

bool flyrep_hint_take_dirty(struct flyrep_net *fn)
{
	unsigned long dirty = xchg(&fn->hints.dirty, 0), missed = flyrep_probe_missed();
	struct hint_watch *w;

	rcu_read_lock();
	w = hint_watch_rcu(fn);
	if (w && w->missed != missed) {
		w->missed = missed;
		dirty |= BIT(HINT_DIRTY_SOON);
	}
	rcu_read_unlock();
	/* A probe stands in front of the change it tells of, in the same RCU read side. */
	if (dirty & BIT(HINT_DIRTY_SOON))
		synchronize_rcu();
	return dirty;
}

/* --- the rings --- */

/*
 * For a probe. While it is a breakpoint it counts as an NMI, where lockdep allows attempts only. To
 * this lock it is none: nobody passes a probe who holds it.
 *
 * Context: any but a real NMI. Return: for hint_unlock()
 */
static __always_inline unsigned long hint_lock(struct hint_ring *r)
	__acquires(&r->lock)
{
	unsigned long flags;

	local_irq_save(flags);
	if (unlikely(in_nmi())) {
		while (!raw_spin_trylock(&r->lock))
			cpu_relax();
	} else {
		raw_spin_lock(&r->lock);
	}
	return flags;
}

/* Context: as above */
static __always_inline void hint_unlock(struct hint_ring *r, unsigned long flags)
	__releases(&r->lock)
{
	raw_spin_unlock_irqrestore(&r->lock, flags);
}

/* Context: any */
static u32 hint_time(void)
{
	return ktime_get_mono_fast_ns() >> HINT_TIME_SHIFT;
}

/*
 * To read the clock is dear: of what comes between two ticks and finds the ring filled, each is
 * as old as the first. Context: any, @r->lock held
 */
static u32 hint_ring_time(struct hint_ring *r, bool is_empty)
{
	if (is_empty || r->tick != (u32)jiffies) {
		r->tick = jiffies;
		r->time = hint_time();
	}
	return r->time;
}

/*
 * Note a hint. Context: any, @r->lock held, interrupts off. Return: false if there is no room
 */
static __always_inline bool hint_push(struct hint_ring *r, u8 what, u16 set, const void *key,
				      unsigned int key_len)
{
	struct hint_head head = {
		.set = set,
		.what = what,
		.key_len = key_len,
	};
	unsigned int n = 1 + DIV_ROUND_UP(key_len, sizeof(u64));
	u32 pos = r->head, n_queued;
	u64 *word;

	/* What the reader has let go of is read by then. */
	n_queued = pos - smp_load_acquire(&r->tail);
	if (unlikely(n_queued + n > r->mask + 1))
		return false;
	head.time = hint_ring_time(r, !n_queued);
	memcpy(&r->words[pos++ & r->mask], &head, sizeof(head));
	for (; key_len > sizeof(*word); key_len -= sizeof(*word), key += sizeof(*word))
		memcpy(&r->words[pos++ & r->mask], key, sizeof(*word));
	if (key_len) {
		word = &r->words[pos++ & r->mask];
		*word = 0;
		/* The most common ones without a call */
		switch (key_len) {
		case sizeof(u32):
			memcpy(word, key, sizeof(u32));
			break;
		case sizeof(u16):
			memcpy(word, key, sizeof(u16));
			break;
		case sizeof(u64):
			memcpy(word, key, sizeof(u64));
			break;
		default:
			memcpy(word, key, key_len);
		}
	}
	r->head = pos;
	return true;
}

/* Did the reader do that itself? Context: process, RCU read side */
static bool hint_is_echo(const struct hint_watch *w)
{
	return task_tgid(current) == w->tgid;
}

/* Context: any, RCU read side */
static void hint_by_packet(struct flyrep_net *fn, struct hint_watch *w, u16 set, const void *key,
			   unsigned int key_len)
{
	struct hint_ring *r = &w->packet;
	unsigned long flags;
	bool is_queued, was_empty;

	flags = hint_lock(r);
	was_empty = r->head == READ_ONCE(r->tail);
	is_queued = hint_push(r, FLYREP_HINT_ELEMENT, set, key, key_len);
	smp_store_release(&r->limit, r->head); /* the words first */
	hint_unlock(r, flags);
	if (unlikely(!is_queued)) {
		set_bit(HINT_DIRTY_SOON, &fn->hints.dirty);
		smp_mb__after_atomic(); /* before the reader's flag is looked at */
	}
	flyrep_pernet_count(fn, is_queued ? FLYREP_C_HINT_QUEUED : FLYREP_C_HINT_LOST, 1);
	/* Who has not taken what was there before is going to come, see flyrep_hint_words(). */
	if (was_empty || !is_queued)
		flyrep_reader_ring(fn);
}

/* Context: process, RCU read side */
static void hint_by_transaction(struct flyrep_net *fn, struct hint_watch *w, u8 what, u16 set,
				const void *key, unsigned int key_len)
{
	enum flyrep_counter counter = FLYREP_C_HINT_QUEUED;
	struct hint_ring *r = &w->control;
	unsigned long flags;

	if (hint_is_echo(w)) {
		flyrep_pernet_count(fn, FLYREP_C_HINT_ECHO, 1);
		return;
	}
	flags = hint_lock(r);
	if (what == FLYREP_HINT_FLUSH && r->head != r->begin && r->flush_end == r->head &&
	    r->flush_set == set) {
		counter = FLYREP_C_HINT_COALESCED;
	} else if (!hint_push(r, what, set, key, key_len)) {
		/* The reader is told after the commit: before that there is nothing to see. */
		r->is_lost = true;
		counter = FLYREP_C_HINT_LOST;
	} else if (what == FLYREP_HINT_FLUSH) {
		r->flush_end = r->head;
		r->flush_set = set;
	}
	hint_unlock(r, flags);
	flyrep_pernet_count(fn, counter, 1);
}

/* Context: any, RCU read side. Return: index and one, 0 if the set is not watched */
static u16 hint_find(struct hint_watch *w, const struct nft_set *set)
{
	return *hint_slot_of(w, set->table->handle, set->handle);
}

void flyrep_hint_element(const struct nft_set *set, const void *key, bool is_packet)
{
	unsigned int key_len = key ? min_t(unsigned int, set->klen, FLYREP_HINT_KEY_MAX_LEN) : 0;
	struct flyrep_net *fn;
	struct hint_watch *w;
	u16 n;

	rcu_read_lock();
	fn = flyrep_pernet_rcu(read_pnet(&set->net));
	w = hint_watch_rcu(fn);
	n = w ? hint_find(w, set) : 0;
	if (n) {
		trace_flyrep_hint(fn, &w->sets[n - 1], FLYREP_HINT_ELEMENT, is_packet);
		if (is_packet)
			hint_by_packet(fn, w, n - 1, key, key_len);
		else
			hint_by_transaction(fn, w, FLYREP_HINT_ELEMENT, n - 1, key, key_len);
	}
	rcu_read_unlock();
}

void flyrep_hint_flush(const struct nft_set *set)
{
	struct flyrep_net *fn;
	struct hint_watch *w;
	u16 n;

	rcu_read_lock();
	fn = flyrep_pernet_rcu(read_pnet(&set->net));
	w = hint_watch_rcu(fn);
	n = w ? hint_find(w, set) : 0;
	if (n) {
		trace_flyrep_hint(fn, &w->sets[n - 1], FLYREP_HINT_FLUSH, false);
		hint_by_transaction(fn, w, FLYREP_HINT_FLUSH, n - 1, NULL, 0);
	}
	rcu_read_unlock();
}

/*
 * The hint of the generation is put behind those of its transaction while no other can be under
 * way: when the commit returns the next one may have begun. The reader gets it then.
 */
bool flyrep_hint_commit(struct flyrep_hint_commit *c)
{
	bool is_queued, is_wanted = false;
	struct flyrep_net *fn;
	struct hint_watch *w;
	struct hint_ring *r;
	unsigned long flags;

	rcu_read_lock();
	fn = flyrep_pernet_rcu(c->net);
	w = hint_watch_rcu(fn);
	if (!w)
		goto out;
	r = &w->control;
	is_wanted = !hint_is_echo(w);
	flags = hint_lock(r);
	c->seq = w->seq;
	c->begin = r->begin;
	c->is_lost = r->is_lost;
	r->is_lost = false;
	is_queued = is_wanted && hint_push(r, FLYREP_HINT_GENERATION, 0, NULL, 0);
	r->begin = r->head;
	c->end = r->head;
	hint_unlock(r, flags);
	if (!is_wanted) {
		flyrep_pernet_count(fn, FLYREP_C_HINT_ECHO, 1);
		goto out;
	}
	flyrep_pernet_count(fn, is_queued ? FLYREP_C_HINT_QUEUED : FLYREP_C_HINT_LOST, 1);
	c->is_lost |= !is_queued;
out:
	rcu_read_unlock();
	return is_wanted;
}

void flyrep_hint_committed(const struct flyrep_hint_commit *c, int err)
{
	struct flyrep_net *fn;
	struct hint_watch *w;
	struct hint_ring *r;
	unsigned long flags;

	rcu_read_lock();
	fn = flyrep_pernet_rcu(c->net);
	w = hint_watch_rcu(fn);
	if (!w)
		goto out;
	if (w->seq == c->seq) {
		r = &w->control;
		flags = hint_lock(r);
		if (err)
			r->begin = c->begin;
		else if ((s32)(c->end - r->limit) > 0)
			smp_store_release(&r->limit, c->end); /* the words first */
		hint_unlock(r, flags);
	}
	if (err)
		goto out;
	/* Of a transaction that was under way when the list changed nothing else tells. */
	if (c->is_lost || w->seq != c->seq)
		flyrep_hint_dirty(fn);
	flyrep_reader_ring(fn);
out:
	rcu_read_unlock();
}

void flyrep_hint_abort(const struct net *net)
{
	struct hint_watch *w;
	struct hint_ring *r;
	unsigned long flags;

	rcu_read_lock();
	w = hint_watch_rcu(flyrep_pernet_rcu(net));
	if (w) {
		r = &w->control;
		flags = hint_lock(r);
		r->head = r->begin;
		r->flush_end = r->head;
		r->is_lost = false;
		hint_unlock(r, flags);
	}
	rcu_read_unlock();
}

void flyrep_hint_renew(void)
{
	struct net *net;

	down_read(&net_rwsem);
	for_each_net(net) {
		struct flyrep_net *fn = flyrep_pernet(net);
		struct hint_watch *w;

		rcu_read_lock();
		w = hint_watch_rcu(fn);
		if (w) {
			raw_spin_lock_irq(&w->control.lock);
			w->control.is_lost = true;
			raw_spin_unlock_irq(&w->control.lock);
			flyrep_hint_dirty(fn);
			flyrep_reader_ring(fn);
		}
		rcu_read_unlock();
	}
	up_read(&net_rwsem);
}

/* --- the reader's side --- */

/* Context: process. Return: words that may be taken */
static unsigned int hint_ring_words(struct hint_ring *r)
{
	unsigned int n;

	raw_spin_lock_irq(&r->lock);
	n = r->limit - r->tail;
	raw_spin_unlock_irq(&r->lock);
	return n;
}

/*
 * Under the locks: whoever adds to a ring after that sees what we have written before, as
 * reader->ring->armed.
 */
unsigned int flyrep_hint_words(struct flyrep_net *fn)
{
	struct hint_watch *w;
	unsigned int n = 0;

	rcu_read_lock();
	w = hint_watch_rcu(fn);
	if (w)
		n = hint_ring_words(&w->packet) + hint_ring_words(&w->control);
	rcu_read_unlock();
	return n;
}

/* Write one hint and its key out. Context: RCU read side. Return: bytes */
static unsigned int hint_write(const struct hint_watch *w, const struct hint_ring *r, u32 pos,
			       const struct hint_head *head, void *data)
{
	/* This clock may step back a little. */
	s32 age = hint_time() - head->time;
	u64 age_ns = (u64)max(age, 0) << HINT_TIME_SHIFT;
	struct flyrep_hint *h = data;
	u64 *key = (u64 *)(h + 1);
	unsigned int i;

	memset(h, 0, sizeof(*h));
	if (head->what != FLYREP_HINT_GENERATION) {
		h->table = w->sets[head->set].table;
		h->set = w->sets[head->set].set;
	}
	h->age_us = min_t(u64, div_u64(age_ns, NSEC_PER_USEC), U32_MAX);
	h->what = head->what;
	h->key_len = head->key_len;
	for (i = 0; i < DIV_ROUND_UP(head->key_len, sizeof(u64)); i++)
		key[i] = r->words[(pos + i) & r->mask];
	return FLYREP_HINT_LEN(head->key_len);
}

/* Context: process, RCU read side. Return: bytes written */
static unsigned int hint_ring_drain(const struct hint_watch *w, struct hint_ring *r, void *data,
				    unsigned int room, long *budget)
{
	u32 limit, pos = r->tail;
	bool was_generation = false;
	unsigned int len = 0;
	struct hint_head head;

	/* The words after that */
	limit = smp_load_acquire(&r->limit);
	while (pos != limit && *budget > 0 && room - len >= FLYREP_HINT_MAX_LEN) {
		memcpy(&head, &r->words[pos & r->mask], sizeof(head));
		/* Several in a row say what one says: all of them are visible by now. */
		if (head.what != FLYREP_HINT_GENERATION || !was_generation)
			len += hint_write(w, r, pos + 1, &head, data + len);
		was_generation = head.what == FLYREP_HINT_GENERATION;
		pos += 1 + DIV_ROUND_UP(head.key_len, sizeof(u64));
		*budget -= 1 + DIV_ROUND_UP(head.key_len, sizeof(u64));
	}
	/* All of them were read: they may be written again. */
	smp_store_release(&r->tail, pos);
	return len;
}

unsigned int flyrep_hint_drain(struct flyrep_net *fn, void *data, unsigned int room, long *budget)
{
	struct hint_watch *w;
	unsigned int len = 0;

	rcu_read_lock();
	w = hint_watch_rcu(fn);
	if (w) {
		len = hint_ring_drain(w, &w->packet, data, room, budget);
		len += hint_ring_drain(w, &w->control, data + len, room - len, budget);
	}
	rcu_read_unlock();
	/* There is room for one more: there was none. */
	if (room - len >= FLYREP_HINT_MAX_LEN)
		*budget = 0;
	return len;
}
