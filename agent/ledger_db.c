// SPDX-License-Identifier: GPL-2.0-or-later
#include "ledger_db.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "refuse.h"

#define APPLICATION_ID 0x666c7972 /* "flyr" */
#define N_OF(array) (sizeof(array) / sizeof((array)[0]))
#define WHY_LEN 256
#define REMEDY "restore it, or remove it to begin anew from the peers"

/* From version i to i + 1. Never change one that was released: add one. */
static const char *const migrations[] = {
	"CREATE TABLE meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID;"
	"CREATE TABLE note (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;"
	"INSERT INTO note VALUES ('id', randomblob(16)), ('key', randomblob(16));"
	"CREATE TABLE slot (tbl INTEGER NOT NULL, owner TEXT NOT NULL, key BLOB NOT NULL,"
	"  body BLOB NOT NULL, PRIMARY KEY (tbl, owner, key)) WITHOUT ROWID;"
	"CREATE TABLE effect (tbl INTEGER NOT NULL, key BLOB NOT NULL, digest INTEGER NOT NULL,"
	"  expires_ms INTEGER NOT NULL, count INTEGER NOT NULL, decided INTEGER NOT NULL,"
	"  PRIMARY KEY (tbl, key)) WITHOUT ROWID;"
	"CREATE TABLE conflict (id INTEGER PRIMARY KEY, tbl INTEGER NOT NULL,"
	"  state INTEGER NOT NULL, kind INTEGER NOT NULL, resolution INTEGER NOT NULL,"
	"  is_skewed INTEGER NOT NULL, at_ms INTEGER NOT NULL, over_ms INTEGER NOT NULL,"
	"  local INTEGER NOT NULL, winner INTEGER NOT NULL, who TEXT NOT NULL,"
	"  reason TEXT NOT NULL, sides BLOB NOT NULL);"
	"CREATE TABLE trail (n INTEGER PRIMARY KEY, id INTEGER NOT NULL, at_ms INTEGER NOT NULL,"
	"  state INTEGER NOT NULL, who TEXT NOT NULL, reason TEXT NOT NULL);"
	"CREATE INDEX trail_id ON trail (id);",
};

enum statement {
	PUT_SLOT,
	DROP_SLOT,
	PUT_EFFECT,
	DROP_EFFECT,
	PUT_CONFLICT,
	DROP_CONFLICT,
	DROP_TRAIL,
	ADD_TRAIL,
	PUT_CLOCK,
	PUT_NOTE,
	N_STATEMENTS,
};

static const char *const texts[N_STATEMENTS] = {
	[PUT_SLOT] = "INSERT OR REPLACE INTO slot VALUES (?, ?, ?, ?)",
	[DROP_SLOT] = "DELETE FROM slot WHERE tbl = ? AND owner = ? AND key = ?",
	[PUT_EFFECT] = "INSERT OR REPLACE INTO effect VALUES (?, ?, ?, ?, ?, ?)",
	[DROP_EFFECT] = "DELETE FROM effect WHERE tbl = ? AND key = ?",
	[PUT_CONFLICT] =
		"INSERT OR REPLACE INTO conflict VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
	[DROP_CONFLICT] = "DELETE FROM conflict WHERE id = ?",
	[DROP_TRAIL] = "DELETE FROM trail WHERE id = ?",
	[ADD_TRAIL] =
		"INSERT INTO trail (id, at_ms, state, who, reason) VALUES (?, ?, ?, ?, ?)",
	[PUT_CLOCK] = "INSERT OR REPLACE INTO meta VALUES ('clock', ?)",
	[PUT_NOTE] = "INSERT OR REPLACE INTO note VALUES (?, ?)",
};

struct ledger_db {
	sqlite3 *sql;
	struct sqlite3_stmt *statements[N_STATEMENTS];
	char path[4096];
	bool has_failed; /* since begin */
	char why[WHY_LEN];
};

/* --- opening ------------------------------------------------------------ */

static int64_t ask(sqlite3 *sql, const char *question, int *rc)
{
	sqlite3_stmt *s = NULL;
	int64_t answer = 0;

	*rc = sqlite3_prepare_v2(sql, question, -1, &s, NULL);
	if (!*rc) {
		*rc = sqlite3_step(s);
		answer = sqlite3_column_int64(s, 0);
		*rc = *rc == SQLITE_ROW ? SQLITE_OK : *rc == SQLITE_DONE ? SQLITE_EMPTY : *rc;
	}
	sqlite3_finalize(s);
	return answer;
}

/* What SQLite says of a file that it does not like */
static int refuse_sql(const struct ledger_db *db, int rc, char *why, size_t why_len)
{
	switch (rc & 0xff) {
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return refuse(why, why_len, -EBUSY, "%s: another process has it open", db->path);
	case SQLITE_NOTADB:
	case SQLITE_CORRUPT:
	case SQLITE_EMPTY:
		return refuse(why, why_len, -EBADMSG,
			      "%s: damaged (%s); " REMEDY,
			      db->path, sqlite3_errmsg(db->sql));
	default:
		return refuse(why, why_len, -EIO, "%s: %s", db->path,
			      db->sql ? sqlite3_errmsg(db->sql) : sqlite3_errstr(rc));
	}
}

static int exec(struct ledger_db *db, const char *text, char *why, size_t why_len)
{
	int rc = sqlite3_exec(db->sql, text, NULL, NULL, NULL);

	return rc ? refuse_sql(db, rc, why, why_len) : 0;
}

static int connect(struct ledger_db *db, const char *path, char *why, size_t why_len)
{
	int rc = sqlite3_open_v2(path, &db->sql,
				 SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOFOLLOW |
					 SQLITE_OPEN_NOMUTEX,
				 NULL);

	if (rc)
		return refuse_sql(db, rc, why, why_len);
	sqlite3_extended_result_codes(db->sql, 1);
	return exec(db,
		    "PRAGMA locking_mode = EXCLUSIVE; PRAGMA trusted_schema = OFF;"
		    "PRAGMA cell_size_check = ON; PRAGMA synchronous = FULL;"
		    "PRAGMA journal_mode = WAL",
		    why, why_len);
}

static int migrate(struct ledger_db *db, size_t from, char *why, size_t why_len)
{
	char pragma[64];
	int rc = 0;

	for (; !rc && from < N_OF(migrations); from++) {
		snprintf(pragma, sizeof(pragma), "PRAGMA user_version = %zu; COMMIT", from + 1);
		rc = exec(db, "BEGIN IMMEDIATE", why, why_len);
		rc = rc ? rc : exec(db, migrations[from], why, why_len);
		rc = rc ? rc : exec(db, pragma, why, why_len);
	}
	return rc;
}

static int sync_dir(const char *dir)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc;

	if (fd < 0)
		return -errno;
	rc = fsync(fd) ? -errno : 0;
	close(fd);
	return rc;
}

static int set_owner(struct ledger_db *db, const char *node_id, char *why, size_t why_len)
{
	sqlite3_stmt *s;
	int rc;

	rc = sqlite3_prepare_v2(db->sql, "INSERT INTO meta VALUES ('node_id', ?)", -1, &s, NULL);
	if (!rc) {
		sqlite3_bind_text(s, 1, node_id, -1, SQLITE_STATIC);
		rc = sqlite3_step(s);
		rc = rc == SQLITE_DONE ? 0 : rc;
	}
	sqlite3_finalize(s);
	return rc ? refuse_sql(db, rc, why, why_len) : 0;
}

/* A new one gets its name when it is whole: one without content was cut off by something else. */
static int create(struct ledger_db *db, const char *dir, const char *node_id, char *why,
		  size_t why_len)
{
	char path[4096 + 8], pragma[64];
	int fd, rc;

	snprintf(path, sizeof(path), "%s.new", db->path);
	if (unlink(path) && errno != ENOENT)
		return refuse(why, why_len, -errno, "%s: %s", path, strerror(errno));
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return refuse(why, why_len, -errno, "%s: %s", path, strerror(errno));
	close(fd);
	snprintf(pragma, sizeof(pragma), "PRAGMA application_id = %d", APPLICATION_ID);
	rc = connect(db, path, why, why_len);
	rc = rc ? rc : exec(db, pragma, why, why_len);
	rc = rc ? rc : migrate(db, 0, why, why_len);
	rc = rc ? rc : set_owner(db, node_id, why, why_len);
	sqlite3_close(db->sql);
	db->sql = NULL;
	if (rc) {
		unlink(path);
		return rc;
	}
	rc = rename(path, db->path) ? -errno : sync_dir(dir);
	return rc ? refuse(why, why_len, rc, "%s: %s", db->path, strerror(-rc)) : 0;
}

static int check_owner(struct ledger_db *db, const char *node_id, char *why, size_t why_len)
{
	sqlite3_stmt *s;
	const char *owner;
	int rc;

	rc = sqlite3_prepare_v2(db->sql, "SELECT value FROM meta WHERE name = 'node_id'", -1, &s,
				NULL);
	if (rc)
		return refuse_sql(db, rc, why, why_len);
	owner = sqlite3_step(s) == SQLITE_ROW ? (const char *)sqlite3_column_text(s, 0) : NULL;
	if (!owner)
		rc = refuse(why, why_len, -EBADMSG, "%s: damaged: it names no node", db->path);
	else if (strcmp(owner, node_id))
		rc = refuse(why, why_len, -EEXIST,
			    "%s: belongs to node \"%s\", and this node is \"%s\"", db->path, owner,
			    node_id);
	sqlite3_finalize(s);
	return rc;
}

/* "ok" is one row; anything else is damage. */
static int check_pages(struct ledger_db *db, char *why, size_t why_len)
{
	sqlite3_stmt *s;
	const char *said;
	int rc;

	rc = sqlite3_prepare_v2(db->sql, "PRAGMA quick_check(1)", -1, &s, NULL);
	if (rc)
		return refuse_sql(db, rc, why, why_len);
	rc = sqlite3_step(s);
	said = rc == SQLITE_ROW ? (const char *)sqlite3_column_text(s, 0) : NULL;
	if (!said)
		rc = refuse_sql(db, rc, why, why_len);
	else if (strcmp(said, "ok"))
		rc = refuse(why, why_len, -EBADMSG,
			    "%s: damaged (%.80s); " REMEDY,
			    db->path, said);
	else
		rc = 0;
	sqlite3_finalize(s);
	return rc;
}

static int check_kind(struct ledger_db *db, int64_t *version, char *why, size_t why_len)
{
	int64_t id;
	int rc;

	id = ask(db->sql, "PRAGMA application_id", &rc);
	if (!rc)
		*version = ask(db->sql, "PRAGMA user_version", &rc);
	if (rc)
		return refuse_sql(db, rc, why, why_len);
	if (id != APPLICATION_ID || *version < 1)
		return refuse(why, why_len, -EPROTO, "%s: not a ledger of flyrep", db->path);
	if (*version > (int64_t)N_OF(migrations))
		return refuse(why, why_len, -EPROTO,
			      "%s: written by a newer flyrep (version %lld, this one knows %zu)",
			      db->path, (long long)*version, N_OF(migrations));
	return 0;
}

static int prepare(struct ledger_db *db, char *why, size_t why_len)
{
	size_t i;
	int rc;

	for (i = 0; i < N_STATEMENTS; i++) {
		rc = sqlite3_prepare_v3(db->sql, texts[i], -1, SQLITE_PREPARE_PERSISTENT,
					&db->statements[i], NULL);
		if (rc)
			return refuse_sql(db, rc, why, why_len);
	}
	return 0;
}

/* Whether there is one. -errno */
static int look(struct ledger_db *db, const char *dir, char *why, size_t why_len)
{
	char wal[4096 + 8];
	struct stat st;

	snprintf(wal, sizeof(wal), "%s-wal", db->path);
	if (!lstat(db->path, &st)) {
		if (S_ISREG(st.st_mode) && st.st_size)
			return 1;
		return refuse(why, why_len, -EBADMSG, "%s: damaged: %s", db->path,
			      S_ISREG(st.st_mode) ? "empty" : "not a file");
	}
	if (errno != ENOENT)
		return refuse(why, why_len, -errno, "%s: %s", db->path, strerror(errno));
	if (!lstat(wal, &st))
		return refuse(why, why_len, -EBADMSG,
			      "%s is there, but not the ledger it belongs to", wal);
	if (stat(dir, &st))
		return refuse(why, why_len, -errno, "%s: %s", dir, strerror(errno));
	return 0;
}

static int open_file(struct ledger_db *db, const char *dir, const char *node_id, uint64_t *clock,
		     char *why, size_t why_len)
{
	int64_t version = 0;
	int rc;

	rc = look(db, dir, why, why_len);
	if (!rc)
		rc = create(db, dir, node_id, why, why_len);
	if (rc < 0)
		return rc;
	rc = connect(db, db->path, why, why_len);
	rc = rc ? rc : check_kind(db, &version, why, why_len);
	rc = rc ? rc : check_pages(db, why, why_len);
	rc = rc ? rc : migrate(db, (size_t)version, why, why_len);
	rc = rc ? rc : check_owner(db, node_id, why, why_len);
	rc = rc ? rc : prepare(db, why, why_len);
	if (rc)
		return rc;
	*clock = (uint64_t)ask(db->sql, "SELECT value FROM meta WHERE name = 'clock'", &rc);
	return rc && rc != SQLITE_EMPTY ? refuse_sql(db, rc, why, why_len) : 0;
}

int ledger_db_open(struct ledger_db **out, const char *dir, const char *node_id, uint64_t *clock,
		   char *why, size_t why_len)
{
	struct ledger_db *db = calloc(1, sizeof(*db));
	int rc;

	*out = NULL;
	if (!db)
		return refuse(why, why_len, -ENOMEM, "%s: no memory", LEDGER_DB_FILE);
	if (snprintf(db->path, sizeof(db->path), "%s/%s", dir, LEDGER_DB_FILE) >=
	    (int)sizeof(db->path))
		rc = refuse(why, why_len, -ENAMETOOLONG, "%s: too long", dir);
	else
		rc = open_file(db, dir, node_id, clock, why, why_len);
	if (rc)
		ledger_db_close(db);
	else
		*out = db;
	return rc;
}

void ledger_db_close(struct ledger_db *db)
{
	size_t i;

	if (!db)
		return;
	for (i = 0; i < N_STATEMENTS; i++)
		sqlite3_finalize(db->statements[i]);
	sqlite3_close(db->sql);
	free(db);
}

/* --- reading ------------------------------------------------------------ */

static struct ledger_db_bytes bytes_of(sqlite3_stmt *s, int column)
{
	const void *pos = sqlite3_column_blob(s, column);

	return (struct ledger_db_bytes){ pos ? pos : "", (size_t)sqlite3_column_bytes(s, column) };
}

static const char *text_of(sqlite3_stmt *s, int column)
{
	const char *text = (const char *)sqlite3_column_text(s, column);

	return text ? text : "";
}

static uint64_t number_of(sqlite3_stmt *s, int column)
{
	return (uint64_t)sqlite3_column_int64(s, column);
}

static int load_slot(const struct ledger_db_loader *l, void *cookie, sqlite3_stmt *s)
{
	return l->slot(cookie, (uint8_t)number_of(s, 0), text_of(s, 1), bytes_of(s, 2));
}

static int load_effect(const struct ledger_db_loader *l, void *cookie, sqlite3_stmt *s)
{
	struct ledger_db_effect e = {
		.digest = number_of(s, 2),
		.expires_ms = number_of(s, 3),
		.count = number_of(s, 4),
		.decided = number_of(s, 5),
	};

	return l->effect(cookie, (uint8_t)number_of(s, 0), bytes_of(s, 1), &e);
}

static int load_conflict(const struct ledger_db_loader *l, void *cookie, sqlite3_stmt *s)
{
	struct ledger_db_conflict c = {
		.id = number_of(s, 0),
		.table = (uint8_t)number_of(s, 1),
		.state = (uint8_t)number_of(s, 2),
		.kind = (uint8_t)number_of(s, 3),
		.resolution = (uint8_t)number_of(s, 4),
		.is_skewed = number_of(s, 5),
		.at_ms = number_of(s, 6),
		.over_ms = number_of(s, 7),
		.local = sqlite3_column_int(s, 8),
		.winner = sqlite3_column_int(s, 9),
		.who = text_of(s, 10),
		.reason = text_of(s, 11),
		.sides = bytes_of(s, 12),
	};

	return l->conflict(cookie, &c);
}

static int load_trail(const struct ledger_db_loader *l, void *cookie, sqlite3_stmt *s)
{
	struct ledger_db_trail t = {
		.id = number_of(s, 0),
		.at_ms = number_of(s, 1),
		.state = (uint8_t)number_of(s, 2),
		.who = text_of(s, 3),
		.reason = text_of(s, 4),
	};

	return l->trail(cookie, &t);
}

static int load_note(const struct ledger_db_loader *l, void *cookie, sqlite3_stmt *s)
{
	return l->note(cookie, text_of(s, 0), bytes_of(s, 1));
}

static const struct {
	const char *text;
	int (*load)(const struct ledger_db_loader *l, void *cookie, sqlite3_stmt *s);
	const char *name;
} loads[] = {
	{ "SELECT name, value FROM note", load_note, "note" },
	{ "SELECT tbl, owner, body FROM slot", load_slot, "slot" },
	{ "SELECT tbl, key, digest, expires_ms, count, decided FROM effect", load_effect,
	  "effect" },
	{ "SELECT * FROM conflict ORDER BY at_ms, id", load_conflict, "conflict" },
	{ "SELECT id, at_ms, state, who, reason FROM trail ORDER BY n", load_trail, "trail" },
};

int ledger_db_load(struct ledger_db *db, const struct ledger_db_loader *loader, void *cookie,
		   char *why, size_t why_len)
{
	size_t i, row;
	sqlite3_stmt *s;
	int rc, err;

	for (i = 0; i < N_OF(loads); i++) {
		rc = sqlite3_prepare_v2(db->sql, loads[i].text, -1, &s, NULL);
		if (rc)
			return refuse_sql(db, rc, why, why_len);
		for (row = 1, err = 0; !err && (rc = sqlite3_step(s)) == SQLITE_ROW; row++)
			err = loads[i].load(loader, cookie, s);
		sqlite3_finalize(s);
		if (err == -ENOMEM)
			return refuse(why, why_len, err, "%s: no memory", db->path);
		if (err == -E2BIG)
			return refuse(why, why_len, err, "%s: slots of more than %d nodes",
				      db->path, 64);
		if (err)
			return refuse(why, why_len, -EBADMSG,
				      "%s: damaged: row %zu of table %s; " REMEDY,
				      db->path, row - 1, loads[i].name);
		if (rc != SQLITE_DONE)
			return refuse_sql(db, rc, why, why_len);
	}
	return 0;
}

/* --- writing ------------------------------------------------------------ */

static void fail(struct ledger_db *db)
{
	if (!db->has_failed)
		snprintf(db->why, sizeof(db->why), "%s: %s", LEDGER_DB_FILE,
			 sqlite3_errmsg(db->sql));
	db->has_failed = true;
}

/* A statement to bind values to; NULL: something has failed before. */
static sqlite3_stmt *statement(struct ledger_db *db, enum statement i)
{
	return db->has_failed ? NULL : db->statements[i];
}

static void run(struct ledger_db *db, sqlite3_stmt *s)
{
	if (sqlite3_step(s) != SQLITE_DONE)
		fail(db);
	sqlite3_reset(s);
	sqlite3_clear_bindings(s);
}

static void bind_number(sqlite3_stmt *s, int at, uint64_t n)
{
	sqlite3_bind_int64(s, at, (int64_t)n);
}

static void bind_bytes(sqlite3_stmt *s, int at, struct ledger_db_bytes b)
{
	sqlite3_bind_blob64(s, at, b.pos, b.len, SQLITE_STATIC);
}

static void bind_text(sqlite3_stmt *s, int at, const char *text)
{
	sqlite3_bind_text(s, at, text, -1, SQLITE_STATIC);
}

void ledger_db_begin(struct ledger_db *db)
{
	db->has_failed = false;
	if (sqlite3_exec(db->sql, "BEGIN IMMEDIATE", NULL, NULL, NULL))
		fail(db);
}

int ledger_db_commit(struct ledger_db *db, const char **why)
{
	if (!db->has_failed && sqlite3_exec(db->sql, "COMMIT", NULL, NULL, NULL))
		fail(db);
	if (!db->has_failed)
		return 0;
	if (!sqlite3_get_autocommit(db->sql))
		sqlite3_exec(db->sql, "ROLLBACK", NULL, NULL, NULL);
	*why = db->why;
	return -EIO;
}

void ledger_db_put_slot(struct ledger_db *db, uint8_t table, const char *owner,
			struct ledger_db_bytes key, struct ledger_db_bytes body)
{
	sqlite3_stmt *s = statement(db, PUT_SLOT);

	if (!s)
		return;
	bind_number(s, 1, table);
	bind_text(s, 2, owner);
	bind_bytes(s, 3, key);
	bind_bytes(s, 4, body);
	run(db, s);
}

void ledger_db_drop_slot(struct ledger_db *db, uint8_t table, const char *owner,
			 struct ledger_db_bytes key)
{
	sqlite3_stmt *s = statement(db, DROP_SLOT);

	if (!s)
		return;
	bind_number(s, 1, table);
	bind_text(s, 2, owner);
	bind_bytes(s, 3, key);
	run(db, s);
}

void ledger_db_put_effect(struct ledger_db *db, uint8_t table, struct ledger_db_bytes key,
			  const struct ledger_db_effect *e)
{
	sqlite3_stmt *s = statement(db, PUT_EFFECT);

	if (!s)
		return;
	bind_number(s, 1, table);
	bind_bytes(s, 2, key);
	bind_number(s, 3, e->digest);
	bind_number(s, 4, e->expires_ms);
	bind_number(s, 5, e->count);
	bind_number(s, 6, e->decided);
	run(db, s);
}

void ledger_db_drop_effect(struct ledger_db *db, uint8_t table, struct ledger_db_bytes key)
{
	sqlite3_stmt *s = statement(db, DROP_EFFECT);

	if (!s)
		return;
	bind_number(s, 1, table);
	bind_bytes(s, 2, key);
	run(db, s);
}

void ledger_db_put_conflict(struct ledger_db *db, const struct ledger_db_conflict *c)
{
	sqlite3_stmt *s = statement(db, PUT_CONFLICT);

	if (!s)
		return;
	bind_number(s, 1, c->id);
	bind_number(s, 2, c->table);
	bind_number(s, 3, c->state);
	bind_number(s, 4, c->kind);
	bind_number(s, 5, c->resolution);
	bind_number(s, 6, c->is_skewed);
	bind_number(s, 7, c->at_ms);
	bind_number(s, 8, c->over_ms);
	sqlite3_bind_int(s, 9, c->local);
	sqlite3_bind_int(s, 10, c->winner);
	bind_text(s, 11, c->who);
	bind_text(s, 12, c->reason);
	bind_bytes(s, 13, c->sides);
	run(db, s);
}

void ledger_db_drop_conflict(struct ledger_db *db, uint64_t id)
{
	static const enum statement both[] = { DROP_TRAIL, DROP_CONFLICT };
	size_t i;

	for (i = 0; i < N_OF(both); i++) {
		sqlite3_stmt *s = statement(db, both[i]);

		if (!s)
			return;
		bind_number(s, 1, id);
		run(db, s);
	}
}

void ledger_db_add_trail(struct ledger_db *db, const struct ledger_db_trail *t)
{
	sqlite3_stmt *s = statement(db, ADD_TRAIL);

	if (!s)
		return;
	bind_number(s, 1, t->id);
	bind_number(s, 2, t->at_ms);
	bind_number(s, 3, t->state);
	bind_text(s, 4, t->who);
	bind_text(s, 5, t->reason);
	run(db, s);
}

void ledger_db_put_clock(struct ledger_db *db, uint64_t clock)
{
	sqlite3_stmt *s = statement(db, PUT_CLOCK);

	if (!s)
		return;
	bind_number(s, 1, clock);
	run(db, s);
}

void ledger_db_put_note(struct ledger_db *db, const char *name, struct ledger_db_bytes value)
{
	sqlite3_stmt *s = statement(db, PUT_NOTE);

	if (!s)
		return;
	bind_text(s, 1, name);
	bind_bytes(s, 2, value);
	run(db, s);
}
