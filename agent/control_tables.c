// SPDX-License-Identifier: GPL-2.0-or-later
#include "control_tables.h"

#include "control_json.h"

static struct control_step step_as_reader(const struct flow_link *l, uint8_t table)
{
	return (struct control_step){
		.is_known = receive_is_started(l->receive) &&
			    receive_figures(l->receive)->last_audit_ns &&
			    receive_tables(l->receive) >> table & 1,
		.is_equal = !receive_table_figures(l->receive, table)->n_groups,
	};
}

static struct control_step step_as_writer(const struct flow_link *l, uint8_t table)
{
	const struct ship_table_figures *t = ship_table_figures(l->ship, table);
	unsigned int n = !t ? 0 : t->n_dirty > t->n_differ ? t->n_dirty : t->n_differ;

	return (struct control_step){
		.is_known = t && ship_figures(l->ship)->last_audit_ns,
		.is_equal = !n,
		.n_buckets = n,
	};
}

struct control_step control_tables_step(const struct flow_link *l, uint8_t table)
{
	struct control_step w, r;

	if (!flow_link_writes(l))
		return step_as_reader(l, table);
	w = step_as_writer(l, table);
	if (!flow_link_reads(l))
		return w;
	r = step_as_reader(l, table);
	w.is_known &= r.is_known;
	w.is_equal &= r.is_equal;
	return w;
}

/* The worst of all links; null where nothing is known. */
static void add_step(json_t *o, const struct flow *f, uint8_t table)
{
	bool is_known = false, is_equal = true, is_counted = true;
	unsigned int n_buckets = 0;
	size_t i;

	for (i = 0; i < f->n_links; i++) {
		struct control_step s = control_tables_step(&f->links[i], table);

		if (!s.is_known)
			continue;
		is_known = true;
		is_equal &= s.is_equal;
		is_counted &= s.is_equal || s.n_buckets;
		n_buckets = s.n_buckets > n_buckets ? s.n_buckets : n_buckets;
	}
	json_object_set_new(o, "in_step", is_known ? json_boolean(is_equal) : json_null());
	json_object_set_new(o, "buckets_differ",
			    is_known && is_counted ? json_integer(n_buckets) : json_null());
}

/* What all peers have sent of it */
static uint64_t n_received(const struct flow *f, uint8_t table)
{
	uint64_t n = 0;
	size_t i;

	for (i = 0; i < f->n_links; i++)
		n += receive_table_figures(f->links[i].receive, table)->n_changes;
	return n;
}

static json_t *table_json(const struct flow_table *t)
{
	const struct filter_counts *c = filter_counts(t->flow->filter, t->row->id);
	json_t *o = json_object();
	uint64_t digest, n = flow_table_entries(t, &digest);

	json_object_set_new(o, "table", json_string(t->row->name));
	json_object_set_new(o, "entries", json_integer(n));
	json_object_set_new(o, "memory_bytes", json_integer(index_memory(truth_index(t->truth))));
	json_object_set_new(o, "digest", control_json_digest(digest));
	json_object_set_new(o, "changes_out", json_integer(t->n_changes));
	json_object_set_new(o, "changes_in", json_integer(n_received(t->flow, t->row->id)));
	json_object_set_new(o, "filtered", json_integer(c->filtered));
	json_object_set_new(o, "withdrawn", json_integer(c->withdrawn));
	json_object_set_new(o, "missing_value", json_integer(c->missing_value));
	json_object_set_new(o, "reduced", json_integer(c->reduced));
	json_object_set_new(o, "refused_here", json_integer(c->refused));
	add_step(o, t->flow, t->row->id);
	return o;
}

json_t *control_tables_json(const struct flow *f)
{
	json_t *a = json_array();
	size_t i;

	for (i = 0; i < f->n_tables; i++)
		if (!f->tables[i].is_missing)
			json_array_append_new(a, table_json(&f->tables[i]));
	return a;
}
