// SPDX-License-Identifier: GPL-2.0-or-later
#include "control_queue.h"

#include "control_state.h"
#include "monotonic.h"

static json_t *counter(const struct fr_genl_info *info, unsigned int i)
{
	return i < info->n_counters ? json_integer((json_int_t)info->counters[i]) : json_null();
}

static json_t *ring_json(struct flow *f)
{
	struct fr_genl_info info = { 0 };
	bool is_there = drain_info(f->drain, &info) >= 0;

	return json_pack("{s:b, s:o, s:o, s:o, s:o, s:o, s:o, s:b}", "present", is_there,
			 "entries", is_there ? json_integer(info.ring_entries) : json_null(),
			 "dirty_buckets", is_there ? json_integer(info.dirty) : json_null(),
			 "queued", counter(&info, FLYREP_C_CAPTURE_QUEUED),
			 "coalesced", counter(&info, FLYREP_C_CAPTURE_COALESCED),
			 "drained", counter(&info, FLYREP_C_DRAIN_RECORDS),
			 "overflowed", counter(&info, FLYREP_C_RING_OVERFLOW),
			 "busy", is_there && drain_is_busy(f->drain));
}

static json_t *batch_json(const struct flow *f)
{
	uint64_t oldest = UINT64_MAX, at;
	size_t n = 0, i;

	for (i = 0; i < f->n_tables; i++) {
		n += batch_count(f->tables[i].batch);
		at = batch_captured_ns(f->tables[i].batch);
		oldest = at < oldest ? at : oldest;
	}
	return json_pack("{s:I, s:f, s:I}", "changes", (json_int_t)n, "oldest_ms",
			 n ? monotonic_ms(monotonic_ns() - oldest) : 0.0, "withheld",
			 (json_int_t)f->n_withheld);
}

static json_t *backlog_json(const struct flow *f)
{
	uint64_t first = backlog_first_seq(f->backlog), next = backlog_next_seq(f->backlog), n,
		 bytes;

	backlog_pending(f->backlog, first, &n, &bytes);
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I}", "first_sequence", (json_int_t)first,
			 "next_sequence", (json_int_t)next, "batches", (json_int_t)(next - first),
			 "changes", (json_int_t)n, "bytes", (json_int_t)backlog_bytes(f->backlog),
			 "bytes_max", (json_int_t)f->config->backlog_len);
}

static const char *direction(const struct flow_link *l)
{
	if (flow_link_writes(l))
		return flow_link_reads(l) ? "both" : "out";
	return flow_link_reads(l) ? "in" : "none";
}

static json_t *link_json(const struct flow_link *l)
{
	const struct ship_session session = ship_session(l->ship);
	const struct ship_figures *s = ship_figures(l->ship);
	struct conn *conn = peer_conn(l->peer);
	bool is_shipping = ship_is_started(l->ship);
	uint64_t n, bytes, age = control_state_age_ns(l, &n, &bytes);
	json_t *o = json_object();

	json_object_set_new(o, "id", json_string(peer_id(l->peer)));
	json_object_set_new(o, "state", json_string(control_state_link(l)));
	json_object_set_new(o, "direction", json_string(direction(l)));
	json_object_set_new(o, "acked_sequence",
			    is_shipping ? json_integer(ship_acked(l->ship)) : json_null());
	json_object_set_new(o, "changes", json_integer(n));
	json_object_set_new(o, "bytes", json_integer(bytes));
	json_object_set_new(o, "oldest_ms", json_real(monotonic_ms(age)));
	json_object_set_new(o, "in_flight_bytes",
			    json_integer(is_shipping ? session.flight_bytes : 0));
	json_object_set_new(o, "socket_bytes", json_integer(conn ? conn_queued(conn) : 0));
	json_object_set_new(o, "repair_buckets", json_integer(s->n_dirty));
	json_object_set_new(o, "remote_changes", json_integer(peer_remote_pending(l->peer)));
	json_object_set_new(o, "jumps", json_integer(s->n_jumps));
	return o;
}

json_t *control_queue_json(struct flow *f)
{
	json_t *peers = json_array();
	size_t i;

	for (i = 0; i < f->n_links; i++)
		json_array_append_new(peers, link_json(&f->links[i]));
	return json_pack("{s:o, s:o, s:o, s:o, s:b}", "ring", ring_json(f), "batch", batch_json(f),
			 "backlog", backlog_json(f), "peers", peers, "paused",
			 f->stream.is_paused);
}
