// SPDX-License-Identifier: GPL-2.0-or-later

#include "sift.h"

#include <errno.h>
#include <string.h>

/* Records of one set, one behind the other. */
struct run {
	struct sift *sift;
	struct set *set;
	const struct flyrep_item *it;	/* the next to be judged */
	size_t n;
	int rc;
};

static const struct flyrep_item *next(const struct sift *s, const struct flyrep_item *it)
{
	return fr_record_next(truth_table(s->truth), it);
}

/* @it, as it shall be written; @expires_ms: until then */
static int keep(struct sift *s, const struct flyrep_item *it, uint8_t op, uint64_t expires_ms)
{
	size_t len = fr_record_len(truth_table(s->truth), it);
	struct flyrep_item *to = keys_room_for(&s->keep, len);

	if (!to)
		return -ENOMEM;
	memcpy(to, it, len);
	to->rec.op = op;
	to->expires_ms = expires_ms;
	keys_added(&s->keep, len);
	return 0;
}

/* They say the same, but for when they end. */
static bool is_alike(const struct sift *s, const struct flyrep_item *a, const struct flyrep_item *b)
{
	static const struct fr_siphash_key any;

	return truth_table(s->truth)->digest(a, &any) == truth_table(s->truth)->digest(b, &any);
}

static bool is_sooner(uint64_t a, uint64_t b)
{
	return a && (!b || a < b);
}

/* @there: NULL: it is not there. */
static int judge(struct sift *s, const struct flyrep_item *it, const struct flyrep_item *there)
{
	if (it->rec.op == FLYREP_OP_DELETE)
		return there ? keep(s, it, it->rec.op, 0) : 0;
	if (!there || !is_alike(s, it, there))
		return keep(s, it, it->rec.op, it->expires_ms);
	return is_sooner(there->expires_ms, it->expires_ms) ?
		       keep(s, there, it->rec.op, it->expires_ms) :
		       0;
}

static void on_read(void *cookie, size_t i, const void *there)
{
	struct run *r = cookie;
	const struct flyrep_item *it = r->it;
	struct sift *s = r->sift;

	(void)i;
	r->it = next(s, it);
	if (there ? !truth_is(s->truth, there) : truth_has(s->truth, it))
		s->on_busy(s->cookie, r->set, it);
	else if (!r->rc)
		r->rc = judge(s, it, there);
}

/* Without a look at what is there. */
static int take_all(struct run *r, bool is_busy)
{
	struct sift *s = r->sift;

	for (; r->n && !r->rc; r->n--, r->it = next(s, r->it)) {
		if (is_busy)
			s->on_busy(s->cookie, r->set, r->it);
		else
			r->rc = keep(s, r->it, r->it->rec.op, r->it->expires_ms);
	}
	return r->rc;
}

static int take_run(struct run *r)
{
	const struct set *set = r->set;
	int rc;

	if (!set || !set->is_here)
		return take_all(r, false);
	if (set->is_lost || (set_has_intervals(set) && (set->is_dirty || set->is_doubtful)))
		return take_all(r, true);
	if (set_has_intervals(set))
		return take_all(r, false);
	rc = fr_nft_get(r->sift->nft, &set->nft, r->it, r->n, on_read, r);
	return rc < 0 ? rc : r->rc;
}

int sift(struct sift *s, const void *recs, size_t n)
{
	const struct flyrep_item *it = recs;
	int rc = 0;

	while (n && !rc) {
		struct run r = { .sift = s, .it = it };

		r.set = sets_by_key(s->sets, (const uint8_t *)(it + 1), it->key_len);
		for (; n && sets_by_key(s->sets, (const uint8_t *)(it + 1), it->key_len) == r.set;
		     n--, r.n++)
			it = next(s, it);
		rc = take_run(&r);
	}
	return rc;
}
