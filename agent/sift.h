/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sift: where all nodes write, what may be written into the own nft sets. Packets and people change
 * elements at any time, and nf_tables does not refuse to cover what nobody has heard of yet, as
 * the module does for its tables. So each element is read first, and left alone unless it is as it
 * was when it was last read or written. What happens between that read and the write, some
 * microseconds, comes as if it had been before the other node's write.
 *
 * Elements of a set with intervals cannot be read one by one: nothing is written there while the
 * set waits to be compared as a whole.
 */
#ifndef SIFT_H
#define SIFT_H

#include "looks.h"
#include "nft.h"
#include "sets.h"
#include "truth.h"

/**
 * struct sift - one go
 * @nft: to read by
 * @sets: of this node
 * @truth: what of them is in the own kernel, as far as is known
 * @on_busy: leave this one alone, and look at it: something became of it
 * @keep: what is to be written: whole records. Of one that is there, but for its end, what is there
 *	is kept, so its counters and limits go on. One that ends no sooner than wanted is left out
 */
struct sift {
	struct fr_nft *nft;
	const struct sets *sets;
	const struct truth *truth;
	void (*on_busy)(void *cookie, struct set *set, const struct flyrep_item *it);
	void *cookie;
	struct keys keep;
};

/*
 * @n records of op INSERT or DELETE; those of sets that are not here are kept. -ENOMEM, or -errno
 * of a read: @keep is void then, and on_busy() was called for some.
 */
int sift(struct sift *s, const void *recs, size_t n);

#endif
