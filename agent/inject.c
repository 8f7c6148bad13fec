// SPDX-License-Identifier: GPL-2.0-or-later

#include "inject.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "genl.h"
#include "log.h"
#include "records.h"

struct inject {
	struct fr_genl *genl;	/* opened at first need, closed when the module goes */
	uint32_t flags;		/* FLYREP_APPLY_F_* */
	struct inject_counts counts;
	struct fr_log_limit log_limit;
};

struct inject *inject_new(bool is_shared)
{
	struct inject *i = calloc(1, sizeof(*i));

	if (i)
		i->flags = is_shared ? FLYREP_APPLY_F_SHARED : FLYREP_APPLY_F_FORCE;
	return i;
}

void inject_free(struct inject *i)
{
	if (!i)
		return;
	fr_genl_close(i->genl);
	free(i);
}

struct request {
	struct inject *inject;
	void (*on_refused)(void *cookie, const void *rec, int error);
	void *cookie;
};

static void on_error(void *cookie, const void *rec, int error)
{
	const struct flyrep_rec *head = rec;
	struct request *r = cookie;
	struct inject *i = r->inject;

	if (head->op == FLYREP_OP_DELETE && error == -ENOENT)
		return;
	if (i->flags & FLYREP_APPLY_F_SHARED && error == -EBUSY) {
		i->counts.ours++;
		r->on_refused(r->cookie, rec, error);
		return;
	}
	i->counts.refused++;
	if (error == -ENOMEM || error == -ENFILE || error == -ENOSPC)
		i->counts.full++;
	else if (error == -EADDRINUSE)
		i->counts.clash++;
	if (fr_log_allow(&i->log_limit, "inject"))
		fr_warn("inject: the kernel refused a record: %s", strerror(-error));
	r->on_refused(r->cookie, rec, error);
}

int inject_apply(struct inject *i, uint8_t table, const void *recs, size_t n,
		 void (*on_refused)(void *cookie, const void *rec, int error), void *cookie)
{
	struct request r = { .inject = i, .on_refused = on_refused, .cookie = cookie };
	ssize_t rc;

	if (!i->genl) {
		rc = fr_genl_open(&i->genl);
		if (rc < 0) {
			i->genl = NULL;
			for (; n; n--, recs = fr_record_next(fr_table_by_id(table), recs))
				on_error(&r, recs, rc);
			return rc;
		}
	}
	rc = fr_genl_apply(i->genl, table, i->flags, recs, n, on_error, &r);
	if (rc < 0) {
		fr_genl_close(i->genl);
		i->genl = NULL;
		return rc;
	}
	i->counts.applied += rc;
	return 0;
}

static void on_own_error(void *cookie, const void *rec, int error)
{
	struct request *r = cookie;

	if (((const struct flyrep_rec *)rec)->op != FLYREP_OP_DELETE || error != -ENOENT)
		r->on_refused(r->cookie, rec, error);
}

int inject_apply_own(struct inject *i, uint8_t table, const void *recs, size_t n,
		     void (*on_refused)(void *cookie, const void *rec, int error), void *cookie)
{
	struct request r = { .inject = i, .on_refused = on_refused, .cookie = cookie };
	ssize_t rc = i->genl ? 0 : fr_genl_open(&i->genl);

	if (rc < 0) {
		i->genl = NULL;
		for (; n; n--, recs = fr_record_next(fr_table_by_id(table), recs))
			on_own_error(&r, recs, (int)rc);
		return (int)rc;
	}
	rc = fr_genl_apply(i->genl, table, FLYREP_APPLY_F_LOCAL, recs, n, on_own_error, &r);
	if (rc < 0) {
		fr_genl_close(i->genl);
		i->genl = NULL;
	}
	return rc < 0 ? (int)rc : 0;
}

const struct inject_counts *inject_counts(const struct inject *i)
{
	return &i->counts;
}
