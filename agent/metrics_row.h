/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Metrics, a row: one family, and how its samples are told. For the files of metrics alone.
 *
 * Labels have few values: peers, voters and tables are those of the configuration, the others are
 * words of this program. What is not known has no sample, rather than a wrong one.
 */
#ifndef METRICS_ROW_H
#define METRICS_ROW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "api.h"
#include "exposition.h"
#include "flow.h"

/* One answer. */
struct scrape {
	struct exposition x;
	struct flow *flow;
	const struct api *api;
	uint64_t now_ns;
	bool has_module;
	struct fr_genl_info info;
};

/**
 * struct metrics_row - one family; a table of them ends with one without a name
 * @tell: gives the samples
 * @at: of a counter that is a field: where it is
 * @node, @link, @table: of a value that is not: what it is; NAN: not known
 */
struct metrics_row {
	const char *name;
	const char *type;
	const char *help;
	void (*tell)(struct scrape *s, const struct metrics_row *m);
	size_t at;
	double (*node)(const struct scrape *s);
	double (*link)(const struct flow_link *l);
	double (*table)(const struct flow_table *t);
};

/* A row that needs nothing but to be told. */
#define METRICS_TELL(fn) (fn), .at = 0
/* Only counters of 64 bits. */
#define METRICS_AT(type, field) \
	(offsetof(type, field) + 0 * sizeof(char[sizeof(((type *)0)->field) == 8 ? 1 : -1]))

#define METRICS_LABELS(...) ((const struct exposition_label[]){ __VA_ARGS__, { NULL, NULL } })

/* The counter of a row, in the struct that has it. */
double metrics_row_counter(const void *figures, const struct metrics_row *m);
/* All words there are, of which one holds; @peer: NULL: of the node */
void metrics_row_words(struct scrape *s, const struct exposition_label *peer, const char *key,
		       const char *(*word)(size_t i), const char *now);

extern const struct metrics_row metrics_node_rows[];
extern const struct metrics_row metrics_peer_rows[];

#endif
