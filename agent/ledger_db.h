/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Ledger database: what of the ledger is durable, as rows of SQLite.
 *
 * synchronous=FULL: what was shipped must be here after a loss of power. With NORMAL the last
 * commits may be gone then; the node would give out the same versions for other writes, and its
 * peers would drop the newer slots they have of it for the older ones it has itself. One
 * fsync for each turn of the event loop is the price. WAL, as a commit is then one write. Locked
 * exclusively: the ledger in memory is the truth, nobody else may write here.
 *
 * Every function but open and load does nothing after one has failed, until the next
 * ledger_db_begin(); ledger_db_commit() tells.
 */
#ifndef LEDGER_DB_H
#define LEDGER_DB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LEDGER_DB_FILE "ledger.db"

struct ledger_db;

/* Bytes of a row, never NULL */
struct ledger_db_bytes {
	const void *pos;
	size_t len;
};

/**
 * struct ledger_db_effect - what was put into the own kernel for a key
 * @digest: of the item
 * @expires_ms: when it ends there; 0: never
 * @count: learning: see struct merge_applied
 * @decided: likewise
 */
struct ledger_db_effect {
	uint64_t digest;
	uint64_t expires_ms;
	uint64_t count;
	uint64_t decided;
};

struct ledger_db_conflict {
	uint64_t id;
	uint8_t table, state, kind, resolution;
	bool is_skewed;
	uint64_t at_ms, over_ms;
	int local, winner;
	const char *who, *reason;
	struct ledger_db_bytes sides;
};

struct ledger_db_trail {
	uint64_t id;
	uint64_t at_ms;
	uint8_t state;
	const char *who, *reason;
};

/* What is read, row by row; not 0: the row is damaged, and reading ends. */
struct ledger_db_loader {
	int (*slot)(void *cookie, uint8_t table, const char *owner, struct ledger_db_bytes body);
	int (*effect)(void *cookie, uint8_t table, struct ledger_db_bytes key,
		      const struct ledger_db_effect *e);
	int (*conflict)(void *cookie, const struct ledger_db_conflict *c);
	int (*trail)(void *cookie, const struct ledger_db_trail *t);
	int (*note)(void *cookie, const char *name, struct ledger_db_bytes value);
};

/* @clock: highest stamp given out. Errors as ledger_open(). */
int ledger_db_open(struct ledger_db **db, const char *dir, const char *node_id, uint64_t *clock,
		   char *why, size_t why_len);
void ledger_db_close(struct ledger_db *db);
/* 0, -EBADMSG with @why */
int ledger_db_load(struct ledger_db *db, const struct ledger_db_loader *loader, void *cookie,
		   char *why, size_t why_len);

void ledger_db_begin(struct ledger_db *db);
void ledger_db_put_slot(struct ledger_db *db, uint8_t table, const char *owner,
			struct ledger_db_bytes key, struct ledger_db_bytes body);
void ledger_db_drop_slot(struct ledger_db *db, uint8_t table, const char *owner,
			 struct ledger_db_bytes key);
void ledger_db_put_effect(struct ledger_db *db, uint8_t table, struct ledger_db_bytes key,
			  const struct ledger_db_effect *e);
void ledger_db_drop_effect(struct ledger_db *db, uint8_t table, struct ledger_db_bytes key);
void ledger_db_put_conflict(struct ledger_db *db, const struct ledger_db_conflict *c);
/* And its trail. */
void ledger_db_drop_conflict(struct ledger_db *db, uint64_t id);
void ledger_db_add_trail(struct ledger_db *db, const struct ledger_db_trail *t);
void ledger_db_put_clock(struct ledger_db *db, uint64_t clock);
/*
 * A note by its name. There are from the first: "id", 16 random bytes that tell this ledger from
 * any other, and "key", as many that nobody else knows.
 */
void ledger_db_put_note(struct ledger_db *db, const char *name, struct ledger_db_bytes value);
/*
 * 0: all since begin is durable. -EIO, and nothing of it is; *why: static or valid until the next
 * call
 */
int ledger_db_commit(struct ledger_db *db, const char **why);

#endif
