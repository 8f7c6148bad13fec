/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Backup: tables in a file, as the very BATCH frames that peers are sent. Nothing here knows where
 * they come from or go to.
 *
 *   preamble   "FLYREPBK", version u16, flags u16, key id 8 B, salt 16 B
 *   chunks     len u32, type u8, payload (len bytes), check 16 B
 *
 * First a HEAD, then FRAMEs, then one END, and nothing behind it. Integers are big endian. The
 * check is over preamble, number of the chunk (u64, from 0), len, type and payload: SHA-256, its
 * first 16 bytes; in an encrypted file (flag 1) the payload is AES-256-GCM's, the check its tag,
 * the number its nonce, and all the others are authenticated with it. The key is derived for each
 * file from the shared secret and the salt. So a chunk that is damaged, moved, missing or of
 * another file is found.
 *
 *   HEAD   time u64 (us since 1970), epoch u64, history 16 B, node_id str
 *   FRAME  a BATCH frame, head and all, with FR_FRAME_F_REPAIR
 *   END    frames u64, n u8, then n tables: id u8, entries u64, digest u64
 */
#ifndef BACKUP_H
#define BACKUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "frame.h"
#include "keys.h"
#include "records.h"

#define BACKUP_VERSION 1

struct backup_head {
	uint64_t time_us;
	uint64_t epoch;
	uint8_t history[FR_HISTORY_LEN];
	char node_id[FR_NODE_ID_MAX_LEN + 1];
};

/**
 * struct backup_table - of one table in a file
 * @entries: records
 * @digest: of all of them, see index_digest()
 */
struct backup_table {
	uint8_t id;
	uint64_t entries;
	uint64_t digest;
};

/* --- writing --- */

struct backup;

/**
 * backup_new - begin a file, beside @path until it is complete
 * @keys: encrypt with a key of these; NULL: do not
 * Return: 0, -errno
 */
int backup_new(struct backup **b, const char *path, const struct keys *keys,
	       const struct backup_head *head);
/* A BATCH frame, as batch_encode() makes it. -errno; it sticks. */
int backup_put(struct backup *b, const uint8_t *frame, size_t len);
/*
 * All is there: make it durable, give it its name, free @b. On -errno there is no file, and one
 * that had the name before is as it was.
 */
int backup_end(struct backup *b, const struct backup_table *tables, size_t n);
/* Give it up; NULL is fine. */
void backup_free(struct backup *b);

/* --- reading --- */

/**
 * struct backup_contents - what a file holds
 * @is_encrypted: it was
 */
struct backup_contents {
	struct backup_head head;
	struct backup_table tables[FR_TABLES_MAX];
	size_t n_tables;
	uint64_t n_frames;
	bool is_encrypted;
};

/**
 * backup_read - go through the bytes of a file, and verify all of it
 * @keys: of an encrypted one; may be NULL
 * @c: filled
 * @on_batch: called for each batch in order, decoded and well-formed, but before what is behind
 *	it is verified: read once without it first. May be NULL. Not 0: ends with that
 * @why: of @why_len bytes: what is wrong, with its offset
 *
 * Return: 0; -EBADMSG: damaged, or no backup; -EPROTONOSUPPORT: of another version; -EKEYREJECTED:
 * encrypted with another secret; -ENOMEM
 */
int backup_read(const uint8_t *bytes, size_t len, const struct keys *keys,
		struct backup_contents *c,
		int (*on_batch)(void *cookie, const struct fr_table *table, const void *recs,
				size_t n),
		void *cookie, char *why, size_t why_len);

#endif
