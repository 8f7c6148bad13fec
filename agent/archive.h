/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Archive: the backups of this node, files of agent/backup.h in the directory backups of its state
 * directory. Takes them, table after table, from snapshots that the owner makes of its own kernel,
 * so from what is there and not from what is shipped; lists them, reads them, and ends those that
 * are too many or too old.
 *
 * There are three kinds, told by the name, which begins with the time (UTC), so names sort by it:
 *
 *   20270131T235959.123456Z.backup       by hand; kept for backup_retention
 *   20270131T235959.123456Z.resync       before a resync; likewise
 *   20270131T235959.123456Z.checkpoint   by the clock or by hand; the newest max_checkpoints
 *
 * Flows and expectations are not in them: minutes later they are worth nothing.
 *
 * What is written is made durable by a thread of its own: a slow disk holds up nobody.
 */
#ifndef ARCHIVE_H
#define ARCHIVE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "backup.h"
#include "config.h"
#include "siphash.h"

#define ARCHIVE_WHY_LEN 240

struct archive;

enum archive_kind { ARCHIVE_BACKUP, ARCHIVE_RESYNC, ARCHIVE_CHECKPOINT };

/**
 * struct archive_ops - what the owner is asked and told
 * @tables: bitmap of the tables of this node that the kernel can be asked for; 0: none for now
 * @describe: fill what a backup says of the node, and the key of digests
 * @schedule: archive_next() has something to say
 * @saved: of a backup that archive_want() asked for: 0, or -errno and why. true: it is still
 *	wanted, try again in a while
 */
struct archive_ops {
	uint64_t (*tables)(void *cookie);
	void (*describe)(void *cookie, struct backup_head *head, struct fr_siphash_key *hash_key);
	void (*schedule)(void *cookie);
	bool (*saved)(void *cookie, int err, const char *why);
};

/* @config: must outlive it; what it says of backups may change, then call archive_reload(). */
int archive_new(struct archive **a, sd_event *event, const struct fr_config *config,
		const struct archive_ops *ops, void *cookie);
void archive_free(struct archive *a);
void archive_reload(struct archive *a);

/* Does a backup hold this table, an enum flyrep_table? */
bool archive_has_table(unsigned int table);

/**
 * archive_take - begin one
 * @done: how it ended: 0 and its name, or -errno and why; called once, not from within. Not
 *	called when the archive is freed before
 * @why: of ARCHIVE_WHY_LEN bytes, when it cannot begin
 *
 * Return: 0; -EBUSY: one is being taken; -ENOTCONN: what the kernel has is not known; -ENODATA:
 * there is no table to back up; -errno of the disk
 */
int archive_take(struct archive *a, enum archive_kind kind,
		 void (*done)(void *cookie, int err, const char *text), void *cookie, char *why);
/* Whoever waits for @done is gone. */
void archive_forget(struct archive *a);
/* Somebody is about to overwrite this node: take one as soon as may be; ops->saved() follows. */
void archive_want(struct archive *a);

/* Why the last one that nobody waited for could not be taken; "": it could. */
const char *archive_trouble(const struct archive *a);

/* --- for whoever makes the snapshots --- */
/* The table to take one of now, whole; 0: none. */
uint8_t archive_next(const struct archive *a);
/* What it names: packed records of that table. */
void archive_records(struct archive *a, const void *recs, size_t n);
/* It is complete, or void with -errno. */
void archive_table_end(struct archive *a, int err);

/* --- what there is --- */

/* {"directory", "backups": [{"name", "kind", "time", "bytes"}]}, oldest first. New reference. */
json_t *archive_json(const struct archive *a);

/* The last one taken, likewise, and "tables": [{"table", "records"}]. New reference. */
json_t *archive_taken_json(const struct archive *a);

/**
 * archive_read - backup_read() on a file of the archive, with the secret and the previous ones
 * @name: as archive_json() tells; anything else is -EINVAL
 * @why: of ARCHIVE_WHY_LEN bytes
 * Return: 0, as backup_read(), -ENOENT, -errno
 */
int archive_read(const struct archive *a, const char *name, struct backup_contents *c,
		 int (*on_batch)(void *cookie, const struct fr_table *table, const void *recs,
				 size_t n),
		 void *cookie, char *why);

#endif
