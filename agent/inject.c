// SPDX-License-Identifier: GPL-2.0-or-later

#include "inject.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "genl.h"
#include "log.h"

struct inject {
	struct fr_genl *genl;	/* opened at first need, closed when the module goes */
	struct inject_counts counts;
	struct fr_log_limit log_limit;
};

struct inject *inject_new(void)
{
	return calloc(1, sizeof(struct inject));
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
	const uint8_t *recs;
	uint16_t rec_len;
	void (*on_refused)(void *cookie, const void *rec, int error);
	void *cookie;
};

static void on_error(void *cookie, size_t index, int error)
{
	struct request *r = cookie;
	struct inject *i = r->inject;
	const struct flyrep_rec *rec = (const void *)(r->recs + index * r->rec_len);

	if (rec->op == FLYREP_OP_DELETE && error == -ENOENT)
		return;
	i->counts.refused++;
	if (error == -ENOMEM || error == -ENFILE || error == -ENOSPC)
		i->counts.full++;
	else if (error == -EADDRINUSE)
		i->counts.clash++;
	if (fr_log_allow(&i->log_limit, "inject"))
		fr_warn("inject: the kernel refused a record: %s", strerror(-error));
	r->on_refused(r->cookie, rec, error);
}

int inject_apply(struct inject *i, uint8_t table, const void *recs, uint16_t rec_len, size_t n,
		 void (*on_refused)(void *cookie, const void *rec, int error), void *cookie)
{
	struct request r = { .inject = i, .recs = recs, .rec_len = rec_len,
			     .on_refused = on_refused, .cookie = cookie };
	size_t k;
	ssize_t rc;

	if (!i->genl) {
		rc = fr_genl_open(&i->genl);
		if (rc < 0) {
			i->genl = NULL;
			for (k = 0; k < n; k++)
				on_error(&r, k, rc);
			return rc;
		}
	}
	rc = fr_genl_apply(i->genl, table, FLYREP_APPLY_F_FORCE, recs, rec_len, n, on_error, &r);
	if (rc < 0) {
		fr_genl_close(i->genl);
		i->genl = NULL;
		return rc;
	}
	i->counts.applied += rc;
	return 0;
}

const struct inject_counts *inject_counts(const struct inject *i)
{
	return &i->counts;
}
