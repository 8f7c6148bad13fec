// SPDX-License-Identifier: GPL-2.0-or-later

#include "control_backups.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "restore.h"

struct control_backups {
	sd_event *event;
	struct flow *flow;
	struct restore *restore;
	struct index *in_effect;	/* keys, for it */
	struct api_call *restoring;	/* who waits for it */
	struct api_call *taking;	/* who waits for the running backup; NULL: nobody */
};

void control_backups_list(struct control_backups *b, struct api_call *call)
{
	api_reply(call, archive_json(b->flow->archive));
}

/* What an error of an archive is in HTTP, and in two words. */
static unsigned int status_of(int err, const char **error)
{
	static const struct {
		int err;
		unsigned int status;
		const char *error;
	} rows[] = {
		{ -EBUSY, 409, "busy" },
		{ -ENODATA, 409, "nothing to back up" },
		{ -ENOTCONN, 503, "not ready" },
		{ -EPERM, 409, "not restored" },
		{ -EINVAL, 400, "bad name" },
		{ -ENOENT, 404, "no such backup" },
		{ -EBADMSG, 422, "damaged backup" },
		{ -EPROTONOSUPPORT, 422, "backup of another version" },
		{ -EKEYREJECTED, 422, "backup of another secret" },
		{ -ENOSPC, 507, "no room for a backup" },
		{ -EDQUOT, 507, "no room for a backup" },
		{ -EINTR, 503, "interrupted" },
	};
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (rows[i].err != err)
			continue;
		*error = rows[i].error;
		return rows[i].status;
	}
	*error = "failed";
	return 500;
}

static void fail(struct api_call *call, int err, const char *why)
{
	const char *error;
	unsigned int status = status_of(err, &error);

	api_fail(call, status, error, "%s", why);
}

static void on_taken(void *cookie, int err, const char *text)
{
	struct control_backups *b = cookie;
	struct api_call *call = b->taking;

	b->taking = NULL;
	if (err)
		fail(call, err, text);
	else
		api_reply(call, archive_taken_json(b->flow->archive));
}

void control_backups_take(struct control_backups *b, struct api_call *call, enum archive_kind kind)
{
	char why[ARCHIVE_WHY_LEN];
	int rc = archive_take(b->flow->archive, kind, on_taken, b, why);

	if (rc < 0)
		fail(call, rc, why);
	else
		b->taking = call;
}

static bool on_has(void *cookie, unsigned int table)
{
	return flow_has_table(((struct control_backups *)cookie)->flow, table);
}

static void forget_keys(struct control_backups *b)
{
	index_free(b->in_effect);
	b->in_effect = NULL;
}

static struct index *on_index(void *cookie, unsigned int table)
{
	struct control_backups *b = cookie;

	forget_keys(b);
	return flow_keys(b->flow, table, &b->in_effect);
}

static void on_write(void *cookie, unsigned int table, const void *recs, size_t n,
		     void (*on_refused)(void *c, const void *rec, int error), void *c)
{
	flow_write_own(((struct control_backups *)cookie)->flow, table, recs, n, on_refused, c);
}

static bool may_write(void *cookie, char *why)
{
	const struct flow *f = ((struct control_backups *)cookie)->flow;

	why[0] = '\0';
	if (!flow_is_writer(f))
		snprintf(why, ARCHIVE_WHY_LEN,
			 "its role is %s, and what it holds is its primary's: restore it there",
			 fr_role_name(f->role.role));
	else if (!f->is_known || !drain_is_attached(f->drain))
		snprintf(why, ARCHIVE_WHY_LEN, "what its kernel holds is not known for now");
	return !why[0];
}

static const struct restore_ops restore_ops = {
	.has = on_has,
	.index = on_index,
	.write = on_write,
	.may_write = may_write,
};

static void on_restored(void *cookie, int err, const char *why, json_t *report)
{
	struct control_backups *b = cookie;

	if (err)
		fail(b->restoring, err, why);
	else
		api_reply(b->restoring, report);
	restore_free(b->restore);
	forget_keys(b);
	b->restore = NULL;
	b->restoring = NULL;
}

/* false: it is no boolean, and @call has its answer */
static bool get_flag(struct api_call *call, const json_t *body, const char *key, bool *flag)
{
	const json_t *v = json_object_get(body, key);

	*flag = json_is_true(v);
	if (!v || json_is_boolean(v))
		return true;
	api_fail(call, 400, "bad request", "%s: true or false", key);
	return false;
}

void control_backups_restore(struct control_backups *b, struct api_call *call, const json_t *body)
{
	struct restore_wish wish = { .name = api_arg(call) };
	char why[ARCHIVE_WHY_LEN];
	int rc;

	if (!get_flag(call, body, "dry_run", &wish.is_dry) ||
	    !get_flag(call, body, "exact", &wish.is_exact))
		return;
	if (b->restore) {
		api_fail(call, 409, "busy", "one is being restored");
		return;
	}
	rc = restore_start(&b->restore, b->event, b->flow->archive, &wish, &restore_ops, b,
			   on_restored, b, why);
	if (rc < 0)
		fail(call, rc, why);
	else
		b->restoring = call;
}

struct control_backups *control_backups_new(sd_event *event, struct flow *flow)
{
	struct control_backups *b = calloc(1, sizeof(*b));

	if (!b)
		return NULL;
	b->event = sd_event_ref(event);
	b->flow = flow;
	return b;
}

void control_backups_free(struct control_backups *b)
{
	if (!b)
		return;
	if (b->taking) {
		archive_forget(b->flow->archive);
		fail(b->taking, -EINTR, "the agent is stopping");
	}
	if (b->restoring)
		fail(b->restoring, -EINTR, "the agent is stopping");
	restore_free(b->restore);
	forget_keys(b);
	sd_event_unref(b->event);
	free(b);
}
