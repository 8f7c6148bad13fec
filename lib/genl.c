// SPDX-License-Identifier: GPL-2.0-or-later
#include "genl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "genl_socket.h"
#include "netlink.h"
#include "records.h"

/* Any request but the records of APPLY: the largest is a full filter with all sets there may be. */
#define REQUEST_LEN 32768

int fr_genl_open(struct fr_genl **out)
{
	struct fr_genl *g = calloc(1, sizeof(*g));
	int err;

	if (!g)
		return -ENOMEM;
	err = fr_genl_socket_open(g);
	if (err) {
		free(g);
		return err;
	}
	*out = g;
	return 0;
}

void fr_genl_close(struct fr_genl *g)
{
	if (!g)
		return;
	fr_genl_socket_close(g);
	fr_genl_dump_free(&g->dump);
	free(g);
}

int fr_genl_fd(const struct fr_genl *g)
{
	return mnl_socket_get_fd(g->nl);
}

uint32_t fr_genl_portid(const struct fr_genl *g)
{
	return mnl_socket_get_portid(g->nl);
}

const char *fr_genl_error(const struct fr_genl *g)
{
	return g->error;
}

bool fr_genl_is_dumping(const struct fr_genl *g)
{
	return g->dump.cmd != FLYREP_CMD_UNSPEC;
}

static int info_counters(const struct fr_genl_attrs *attrs,
			 struct fr_genl_info *info)
{
	const struct nlattr *attr = attrs->by_type[FLYREP_A_COUNTERS];
	size_t len = attr ? mnl_attr_get_payload_len(attr) : 0;

	if (!attr || len % sizeof(info->counters[0]))
		return -EPROTO;
	if (len > sizeof(info->counters))
		len = sizeof(info->counters);
	memcpy(info->counters, mnl_attr_get_payload(attr), len);
	info->n_counters = len / sizeof(info->counters[0]);
	return 0;
}

static int info_items(const struct fr_genl_attrs *attrs,
		      struct fr_genl_info *info)
{
	const struct nlattr *attr = attrs->by_type[FLYREP_A_ITEMS];
	size_t len = attr ? mnl_attr_get_payload_len(attr) : 0;

	if (len % sizeof(info->items[0]))
		return -EPROTO;
	if (len > sizeof(info->items))
		len = sizeof(info->items);
	if (len)
		memcpy(info->items, mnl_attr_get_payload(attr), len);
	info->n_items = len / sizeof(info->items[0]);
	return 0;
}

static int info_reply(const struct fr_genl_attrs *attrs, void *cookie)
{
	struct fr_genl_info *info = cookie;
	const struct {
		enum flyrep_attr type;
		uint32_t *v;
	} words[] = {
		{ FLYREP_A_ABI, &info->abi },
		{ FLYREP_A_READER, &info->reader },
		{ FLYREP_A_RING_ENTRIES, &info->ring_entries },
		{ FLYREP_A_DIRTY, &info->dirty },
		{ FLYREP_A_HOLD_S, &info->hold_s },
		{ FLYREP_A_GRACE_S, &info->grace_s },
		{ FLYREP_A_LEARN_S, &info->learn_s },
		{ FLYREP_A_CT_COUNT, &info->ct_count },
		{ FLYREP_A_CT_MAX, &info->ct_max },
	};
	const struct nlattr *version = attrs->by_type[FLYREP_A_VERSION];
	uint8_t standby;
	size_t i, len;

	for (i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (fr_genl_message_u32(attrs, words[i].type, words[i].v))
			return -EPROTO;
	if (!version ||
	    fr_genl_message_u8(attrs, FLYREP_A_CAPTURE, &info->capture) ||
	    fr_genl_message_u8(attrs, FLYREP_A_STANDBY, &standby))
		return -EPROTO;
	info->standby = standby;
	fr_genl_message_u64(attrs, FLYREP_A_INSTANCE, &info->instance);
	len = strnlen(mnl_attr_get_payload(version),
		      mnl_attr_get_payload_len(version));
	if (len >= sizeof(info->version))
		len = sizeof(info->version) - 1;
	memcpy(info->version, mnl_attr_get_payload(version), len);
	info->version[len] = 0;
	return info_counters(attrs, info) || info_items(attrs, info) ?
		       -EPROTO :
		       0;
}

int fr_genl_info(struct fr_genl *g, struct fr_genl_info *info)
{
	char buf[64] __attribute__((aligned(8)));
	struct nlmsghdr *nlh =
		fr_genl_socket_message(g, buf, FLYREP_CMD_INFO, NLM_F_ACK);

	memset(info, 0, sizeof(*info));
	return fr_genl_socket_request(g, nlh, NULL, 0, info_reply, info);
}

static bool put_filter(struct nlmsghdr *nlh, size_t size,
		       const struct fr_genl_filter *f)
{
	struct nlattr *nest =
		mnl_attr_nest_start_check(nlh, size, FLYREP_A_FILTER);
	bool ok = nest;

	if (ok && f->n_protos)
		ok = mnl_attr_put_check(nlh, size, FLYREP_FILTER_A_PROTOS,
					f->n_protos, f->protos);
	if (ok && f->assured)
		ok = mnl_attr_put_u8_check(nlh, size, FLYREP_FILTER_A_ASSURED,
					   1);
	if (ok && f->n_ignore)
		ok = mnl_attr_put_check(nlh, size, FLYREP_FILTER_A_IGNORE,
					f->n_ignore * sizeof(f->ignore[0]),
					f->ignore);
	if (ok && f->n_zones)
		ok = mnl_attr_put_check(nlh, size, FLYREP_FILTER_A_ZONES,
					f->n_zones * sizeof(f->zones[0]),
					f->zones);
	if (ok && f->mark_mask)
		ok = mnl_attr_put_u32_check(nlh, size, FLYREP_FILTER_A_MARK,
					    f->mark) &&
		     mnl_attr_put_u32_check(nlh, size,
					    FLYREP_FILTER_A_MARK_MASK,
					    f->mark_mask);
	if (ok)
		mnl_attr_nest_end(nlh, nest);
	return ok;
}

int fr_genl_config(struct fr_genl *g, const struct fr_genl_config *c)
{
	char buf[REQUEST_LEN] __attribute__((aligned(8)));
	struct nlmsghdr *nlh =
		fr_genl_socket_message(g, buf, FLYREP_CMD_CONFIG, NLM_F_ACK);
	const struct {
		enum flyrep_attr type;
		int64_t v;
	} words[] = {
		{ FLYREP_A_HOLD_S, c->hold_s },
		{ FLYREP_A_GRACE_S, c->grace_s },
		{ FLYREP_A_LEARN_S, c->learn_s },
		{ FLYREP_A_RING_ENTRIES, c->ring_entries },
	};
	size_t i;

	if (c->n_limits > FLYREP_TABLE_MAX)
		return fr_genl_socket_fail(g, -E2BIG, "too many limits");
	if (c->n_sets > FLYREP_SETS_MAX)
		return fr_genl_socket_fail(g, -E2BIG, "too many sets");
	if (c->hash_key)
		mnl_attr_put(nlh, FLYREP_A_HASH_KEY, FLYREP_HASH_KEY_LEN,
			     c->hash_key);
	for (i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (words[i].v > UINT32_MAX)
			return fr_genl_socket_fail(g, -ERANGE, NULL);
		if (words[i].v >= 0)
			mnl_attr_put_u32(nlh, words[i].type,
					 (uint32_t)words[i].v);
	}
	if (c->standby >= 0)
		mnl_attr_put_u8(nlh, FLYREP_A_STANDBY, !!c->standby);
	if (c->filter && !put_filter(nlh, sizeof(buf), c->filter))
		return fr_genl_socket_fail(g, -E2BIG,
					   "the filter is too large");
	if (c->n_limits)
		mnl_attr_put(nlh, FLYREP_A_LIMITS,
			     c->n_limits * sizeof(c->limits[0]), c->limits);
	if (c->sets &&
	    !mnl_attr_put_check(nlh, sizeof(buf), FLYREP_A_SETS,
				c->n_sets * sizeof(c->sets[0]), c->sets))
		return fr_genl_socket_fail(g, -E2BIG,
					   "filter and sets are too large");
	return fr_genl_socket_request(g, nlh, NULL, 0, NULL, NULL);
}

int fr_genl_bind(struct fr_genl *g)
{
	char buf[64] __attribute__((aligned(8)));
	struct nlmsghdr *nlh =
		fr_genl_socket_message(g, buf, FLYREP_CMD_BIND, NLM_F_ACK);

	return fr_genl_socket_request(g, nlh, NULL, 0, NULL, NULL);
}

/* One request of APPLY: @n records from @first on. */
struct apply {
	const struct fr_table *table;
	const uint8_t *recs; /* of this request */
	size_t len;
	size_t n;
	uint32_t applied;
	void (*on_error)(void *cookie, const void *rec, int error);
	void *cookie;
};

static void error_at(const struct nlattr *errors, size_t i,
		     struct flyrep_error *e)
{
	memcpy(e, (const char *)mnl_attr_get_payload(errors) + i * sizeof(*e),
	       sizeof(*e));
}

/* Errors come in the order of their records: one walk finds all of them. */
static void tell_errors(const struct apply *a, const struct nlattr *errors,
			size_t n_errors)
{
	const void *rec = a->recs;
	struct flyrep_error e;
	size_t at = 0, i;

	for (i = 0; i < n_errors; i++) {
		error_at(errors, i, &e);
		for (; at < e.index; at++)
			rec = fr_record_next(a->table, rec);
		a->on_error(a->cookie, rec, e.error);
	}
}

static int apply_reply(const struct fr_genl_attrs *attrs, void *cookie)
{
	const struct nlattr *errors = attrs->by_type[FLYREP_A_ERRORS];
	struct apply *a = cookie;
	struct flyrep_error e;
	size_t n_errors = 0, next = 0, i;

	if (fr_genl_message_u32(attrs, FLYREP_A_APPLIED, &a->applied))
		return -EPROTO;
	if (errors) {
		if (mnl_attr_get_payload_len(errors) % sizeof(e))
			return -EPROTO;
		n_errors = mnl_attr_get_payload_len(errors) / sizeof(e);
	}
	if (n_errors > a->n || a->applied != a->n - n_errors)
		return -EPROTO;
	for (i = 0; i < n_errors; i++) {
		error_at(errors, i, &e);
		if (e.index < next || e.index >= a->n || e.error >= 0)
			return -EPROTO;
		next = (size_t)e.index + 1;
	}
	if (a->on_error)
		tell_errors(a, errors, n_errors);
	return 0;
}

static int apply_request(struct fr_genl *g, uint32_t flags, struct apply *a)
{
	static const char padding[MNL_ALIGNTO];
	char buf[128] __attribute__((aligned(8)));
	struct nlmsghdr *nlh =
		fr_genl_socket_message(g, buf, FLYREP_CMD_APPLY, NLM_F_ACK);
	struct iovec tail[2] = {
		{ .iov_base = (void *)a->recs, .iov_len = a->len },
		{ .iov_base = (void *)padding,
		  .iov_len = MNL_ALIGN(a->len) - a->len },
	};
	struct nlattr *attr;

	mnl_attr_put_u8(nlh, FLYREP_A_TABLE, a->table->id);
	mnl_attr_put_u16(nlh, FLYREP_A_REC_LEN, a->table->rec_len);
	mnl_attr_put_u32(nlh, FLYREP_A_APPLY_FLAGS, flags);
	/* The records stay where they are: only the attribute's head is written here. */
	attr = mnl_nlmsg_get_payload_tail(nlh);
	attr->nla_type = FLYREP_A_RECORDS;
	attr->nla_len = (uint16_t)(MNL_ATTR_HDRLEN + a->len);
	nlh->nlmsg_len += (uint32_t)(MNL_ATTR_HDRLEN + MNL_ALIGN(a->len));
	return fr_genl_socket_request(g, nlh, tail, 2, apply_reply, a);
}

/* As many of the @n records behind those of the last request as one can carry. */
static void apply_take(struct apply *a, size_t n)
{
	size_t len;

	a->recs += a->len;
	a->len = 0;
	for (a->n = 0; a->n < n; a->n++) {
		len = fr_record_len(a->table, a->recs + a->len);
		if (a->len + len > FLYREP_RECORDS_MAX_LEN)
			return;
		a->len += len;
	}
}

ssize_t fr_genl_apply(struct fr_genl *g, uint8_t table, uint32_t flags,
		      const void *recs, size_t n,
		      void (*on_error)(void *cookie, const void *rec,
				       int error),
		      void *cookie)
{
	struct apply a = { .table = fr_table_by_id(table),
			   .recs = recs,
			   .on_error = on_error,
			   .cookie = cookie };
	ssize_t applied = 0;
	int err = 0;

	if (!a.table)
		return fr_genl_socket_fail(g, -EINVAL, "no such table");
	for (; n; n -= a.n) {
		apply_take(&a, n);
		err = a.n ? apply_request(g, flags, &a) :
			    fr_genl_socket_fail(g, -EMSGSIZE,
						"a record is too long");
		if (err)
			break;
		applied += a.applied;
	}
	for (; err && on_error && n; n--) {
		const void *rec = a.recs;

		a.recs = fr_record_next(a.table, rec);
		on_error(cookie, rec, err);
	}
	return err ? err : applied;
}

static int applied_reply(const struct fr_genl_attrs *attrs, void *cookie)
{
	return fr_genl_message_u32(attrs, FLYREP_A_APPLIED, cookie);
}

static int walk_all(struct fr_genl *g, uint8_t cmd, uint32_t *n)
{
	char buf[64] __attribute__((aligned(8)));
	struct nlmsghdr *nlh = fr_genl_socket_message(g, buf, cmd, NLM_F_ACK);

	return fr_genl_socket_request(g, nlh, NULL, 0, applied_reply, n);
}

int fr_genl_promote(struct fr_genl *g, uint32_t *n)
{
	return walk_all(g, FLYREP_CMD_PROMOTE, n);
}

int fr_genl_demote(struct fr_genl *g, uint32_t *n)
{
	return walk_all(g, FLYREP_CMD_DEMOTE, n);
}

static int dump_start(struct fr_genl *g, const struct nlmsghdr *nlh,
		      uint8_t cmd, uint8_t table)
{
	struct iovec iov = { .iov_base = (void *)nlh,
			     .iov_len = nlh->nlmsg_len };
	int err;

	if (fr_genl_is_dumping(g))
		return fr_genl_socket_fail(g, -EBUSY,
					   "a dump runs on this socket");
	err = fr_netlink_send(g->nl, &iov, 1);
	if (err)
		return fr_genl_socket_fail(g, err, NULL);
	fr_genl_dump_begin(&g->dump, cmd, table, nlh->nlmsg_seq);
	return 0;
}

int fr_genl_drain_start(struct fr_genl *g)
{
	char buf[64] __attribute__((aligned(8)));
	struct nlmsghdr *nlh =
		fr_genl_socket_message(g, buf, FLYREP_CMD_DRAIN, NLM_F_DUMP);

	return dump_start(g, nlh, FLYREP_CMD_DRAIN, FLYREP_TABLE_UNSPEC);
}

int fr_genl_snapshot_start(struct fr_genl *g,
			   const struct fr_genl_snapshot *req)
{
	char buf[REQUEST_LEN] __attribute__((aligned(8)));
	struct nlmsghdr *nlh =
		fr_genl_socket_message(g, buf, FLYREP_CMD_SNAPSHOT, NLM_F_DUMP);

	mnl_attr_put_u8(nlh, FLYREP_A_TABLE, req->table);
	mnl_attr_put_u8(nlh, FLYREP_A_ORIGIN, req->origin);
	if (req->buckets)
		mnl_attr_put(nlh, FLYREP_A_BUCKETS, FLYREP_BUCKETS_LEN,
			     req->buckets);
	return dump_start(g, nlh, FLYREP_CMD_SNAPSHOT, req->table);
}

int fr_genl_pump(struct fr_genl *g, const struct fr_genl_sink *sink,
		 void *cookie)
{
	char text[sizeof(g->error)];
	ssize_t len;
	int err;

	if (g->has_wake) {
		g->has_wake = false;
		if (sink->wake)
			sink->wake(cookie);
		return fr_genl_is_dumping(g);
	}
	len = fr_netlink_receive(g->nl, g->in);
	if (len == -EAGAIN)
		return -EAGAIN;
	if (len < 0)
		return fr_genl_socket_fail(g, (int)len, NULL);
	err = fr_genl_dump_take(&g->dump, g->in, (size_t)len, sink, cookie,
				text, sizeof(text));
	return err < 0 ? fr_genl_socket_fail(g, err, text) : err;
}
