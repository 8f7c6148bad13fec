/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Inject: puts records of the writer into this node's kernel.
 */
#ifndef INJECT_H
#define INJECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct inject;

/**
 * struct inject_counts - since start
 * @applied: records the kernel took
 * @refused: records it refused
 * @full: of these: no room in its table
 * @clash: of these: NAT address or port taken
 * @ours: not counted above: this node calls the object its own as well
 */
struct inject_counts {
	uint64_t applied;
	uint64_t refused;
	uint64_t full;
	uint64_t clash;
	uint64_t ours;
};

/* @is_shared: this node writes as well: what is its own is not taken by force */
struct inject *inject_new(bool is_shared);
void inject_free(struct inject *i);

/**
 * inject_apply - apply records in order
 * @on_refused: called for each record the kernel did not take, with -EBUSY for what stays this
 *	node's own. A DELETE of what is not there counts as taken.
 * Return: 0, or -ENOENT, -errno when the module is not there: @on_refused was
 *	called for those not applied.
 */
int inject_apply(struct inject *i, uint8_t table, const void *recs, size_t n,
		 void (*on_refused)(void *cookie, const void *rec, int error), void *cookie);

/*
 * Likewise, but as this node's own: items only. Refused with -EBUSY: a peer owns it; -EEXIST:
 * another one has the address. Not counted.
 */
int inject_apply_own(struct inject *i, uint8_t table, const void *recs, size_t n,
		     void (*on_refused)(void *cookie, const void *rec, int error), void *cookie);

const struct inject_counts *inject_counts(const struct inject *i);

#endif
