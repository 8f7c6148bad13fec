/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Survey: a snapshot of elements of nft sets, in pieces. The kernel names all elements of a set
 * in a dump, which is slow where there are many (docs/architecture.md); those that the index holds
 * are asked for by their keys. A thorough one does both: what a dump left out, as packets added or
 * deleted beside it, is asked for too before it counts as gone.
 */
#ifndef SURVEY_H
#define SURVEY_H

#include <stdbool.h>
#include <systemd/sd-event.h>

#include "flyrep_records.h"
#include "sets.h"
#include "truth.h"

struct survey;

/**
 * struct survey_ops - what the owner hears
 * @begin: what is read from now on counts
 * @found: an element that is there; it may lie in another bucket than those asked for
 * @dumped: all elements of a set were named, set->n_named of them
 * @end: 0, or -errno: it is void
 */
struct survey_ops {
	void (*begin)(void *cookie);
	void (*found)(void *cookie, struct set *set, const struct flyrep_item *it);
	void (*dumped)(void *cookie, struct set *set);
	void (*end)(void *cookie, int err);
};

/* @sets, @truth: must outlive it */
struct survey *survey_new(sd_event *event, struct sets *sets, struct truth *truth,
			  const struct survey_ops *ops, void *cookie);
void survey_free(struct survey *s);

/* Begins with survey_go(), or at once if that was called before. -EBUSY, -errno */
int survey_start(struct survey *s, const struct truth_scope *scope, bool is_thorough);
bool survey_is_running(const struct survey *s);
/* May it begin? What runs goes on. */
void survey_go(struct survey *s, bool may);
void survey_hold(struct survey *s, bool hold);

#endif
