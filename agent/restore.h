/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Restore: writes a backup into the kernel, as this node's own. The whole file is verified and
 * decoded first; then one batch is written in each turn of the loop, so replication goes on.
 * What is there and not in the backup stays, unless it is to be exact.
 */
#ifndef RESTORE_H
#define RESTORE_H

#include <jansson.h>
#include <stdbool.h>
#include <systemd/sd-event.h>

#include "archive.h"
#include "index.h"

struct restore;

/**
 * struct restore_ops - what the owner does and is asked
 * @has: is this table replicated here, so that it can be written?
 * @index: the keys of what is there of a table that it has, for who is exact; asked once for each
 *	table, and valid until it is asked for another one. NULL: out of memory
 * @write: put records into the kernel as this node's own; calls @on_refused for each not taken
 * @may_write: does this node write? If not, why: of ARCHIVE_WHY_LEN bytes. Asked again and again
 */
struct restore_ops {
	bool (*has)(void *cookie, unsigned int table);
	struct index *(*index)(void *cookie, unsigned int table);
	void (*write)(void *cookie, unsigned int table, const void *recs, size_t n,
		      void (*on_refused)(void *c, const void *rec, int error), void *c);
	bool (*may_write)(void *cookie, char *why);
};

/**
 * struct restore_wish - what is asked for
 * @name: of a backup in the archive
 * @is_dry: write nothing, only tell what would be
 * @is_exact: delete what is not in the backup, of the tables that it holds
 */
struct restore_wish {
	const char *name;
	bool is_dry;
	bool is_exact;
};

/**
 * restore_start - begin one
 * @done: how it ended, called once, not from within: @report with err 0, a new reference; else
 *	-errno and why, when the node has ceased to write in the middle of it. Not called when it is
 *	freed before
 * @why: of ARCHIVE_WHY_LEN bytes, when nothing was begun
 *
 * The report: {"name", "node_id", "time", "dry_run", "exact", "tables": [{"table", "records",
 * "restored", "expired", "refused", "skipped", "kept", "removed", "error"}]}: records in the file;
 * of these taken by the kernel (when dry: that would be written), ended since, refused there
 * (error: why the last one was), of a table that is not replicated here; and what is there but not
 * in the file: left, or deleted.
 *
 * Return: 0; -EPERM: this node does not write; as archive_read(); -ENOMEM
 */
int restore_start(struct restore **r, sd_event *event, const struct archive *archive,
		  const struct restore_wish *wish, const struct restore_ops *ops, void *cookie,
		  void (*done)(void *done_cookie, int err, const char *why, json_t *report),
		  void *done_cookie, char *why);
void restore_free(struct restore *r);

#endif
