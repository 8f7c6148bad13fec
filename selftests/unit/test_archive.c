// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * archive and restore: backups are taken from snapshots, kept as long as they shall be, and written
 * back; what is not fit to be written back changes nothing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "archive.h"
#include "item.h"
#include "restore.h"

#define DAY_S 86400
#define LEASES FLYREP_TABLE_LEASE
#define NAMES FLYREP_TABLE_DNS
#define BIT(table) (1ull << (table))
#define ITEMS_MAX 4000

union room {
	struct flyrep_item item;
	uint8_t bytes[FR_ITEM_ROOM];
};

/* What a kernel holds. */
struct kept {
	uint8_t table;
	bool is_lost;
	void *rec;
};

struct place {
	sd_event *event;
	char dir[64];
	char backups[80];
	struct fr_config config;
	struct archive *archive;
	struct kept kept[ITEMS_MAX];
	size_t n_kept;
	uint64_t tables;	/* that can be asked for */
	bool is_scheduled;

	int taken;		/* 1: not over, else 0 or -errno */
	char text[300];		/* its name, or why */
	unsigned int n_saved;
	int saved;
	bool is_wanted;		/* still, after a failure */

	struct restore *restore;
	struct index *index[FR_TABLES_MAX];
	unsigned int n_asked[FR_TABLES_MAX];	/* for the keys of a table */
	bool has_no_memory;
	unsigned int n_written;
	unsigned int n_deleted;
	unsigned int writes_until_backup;	/* then this node ceases to write; 0: never */
	int refuses;		/* the kernel does, the first of each go, with this */
	bool is_backup;
	int restored;		/* 1: not over */
	json_t *report;
};

static const struct fr_siphash_key hash_key = { "0123456789abcdef" };

/* --- records ----------------------------------------------------------------------- */

static const void *item(union room *room, unsigned int table, const char *name, const char *text,
			uint64_t expires_ms)
{
	const char *texts[FR_ITEM_FIELDS_MAX] = { 0 };
	const struct fr_item_field *f = fr_item_fields(table);
	char *why = NULL;
	size_t i;

	for (i = 0; f[i].name; i++) {
		if (!strcmp(f[i].name, "scope") || !strcmp(f[i].name, "view"))
			texts[i] = "lan";
		else if (!strcmp(f[i].name, "family"))
			texts[i] = "inet";
		else if (!strcmp(f[i].name, "client") || !strcmp(f[i].name, "name"))
			texts[i] = name;
		else if (!strcmp(f[i].name, "ip") || !strcmp(f[i].name, "rdata"))
			texts[i] = text;
		else if (!strcmp(f[i].name, "type"))
			texts[i] = "A";
	}
	if (fr_item_make(room, table, FLYREP_OP_INSERT, texts, expires_ms, &why) < 0)
		fail_msg("%s", why);
	return room;
}

static const void *lease(union room *room, unsigned int n, uint64_t expires_ms)
{
	char client[40], ip[40];

	snprintf(client, sizeof(client), "02:00:%02x:%02x", n >> 8, n & 255);
	snprintf(ip, sizeof(ip), "10.0.%u.%u", n >> 8, n & 255);
	return item(room, LEASES, client, ip, expires_ms);
}

/* The kernel has a record from now on. */
static void keep(struct place *p, unsigned int table, const void *rec)
{
	struct kept *k = &p->kept[p->n_kept++];
	const struct fr_table *row = fr_table_by_id(table);
	uint8_t key[FR_KEY_MAX_LEN] __attribute__((aligned(8)));

	assert_true(p->n_kept < ITEMS_MAX);
	k->table = table;
	k->rec = malloc(fr_record_len(row, rec));
	memcpy(k->rec, rec, fr_record_len(row, rec));
	index_set(p->index[table], key, row->key(key, rec), 1, row->digest(rec, &hash_key), 0, NULL);
}

static void keep_leases(struct place *p, unsigned int n)
{
	union room room;
	unsigned int i;

	for (i = 0; i < n; i++)
		keep(p, LEASES, lease(&room, i, 0));
}

static uint64_t in_ms(int64_t s)
{
	return (uint64_t)(time(NULL) + s) * 1000;
}

/* --- the owner of an archive ---------------------------------------------------------- */

static uint64_t on_tables(void *cookie)
{
	return ((struct place *)cookie)->tables;
}

static void on_describe(void *cookie, struct backup_head *head, struct fr_siphash_key *key)
{
	(void)cookie;
	head->epoch = 3;
	strcpy(head->node_id, "fw1");
	*key = hash_key;
}

static void on_schedule(void *cookie)
{
	((struct place *)cookie)->is_scheduled = true;
}

static bool on_saved(void *cookie, int err, const char *why)
{
	struct place *p = cookie;

	(void)why;
	p->n_saved++;
	p->saved = err;
	return err && p->is_wanted;
}

static const struct archive_ops ops = {
	.tables = on_tables, .describe = on_describe, .schedule = on_schedule, .saved = on_saved,
};

static void on_taken(void *cookie, int err, const char *text)
{
	struct place *p = cookie;

	p->taken = err;
	snprintf(p->text, sizeof(p->text), "%s", text);
}

/* Make the snapshots that the archive wants. */
static void serve(struct place *p)
{
	uint8_t table;
	size_t i;

	while ((table = archive_next(p->archive))) {
		for (i = 0; i < p->n_kept; i++)
			if (p->kept[i].table == table)
				archive_records(p->archive, p->kept[i].rec, 1);
		archive_table_end(p->archive, 0);
	}
}

static int begin(struct place *p, enum archive_kind kind)
{
	p->taken = 1;
	return archive_take(p->archive, kind, on_taken, p, p->text);
}

static const char *take(struct place *p, enum archive_kind kind)
{
	assert_int_equal(begin(p, kind), 0);
	serve(p);
	while (p->taken == 1)
		sd_event_run(p->event, UINT64_MAX);
	if (p->taken)
		fail_msg("%s", p->text);
	return p->text;
}

static void open_archive(struct place *p)
{
	archive_free(p->archive);
	assert_true(archive_new(&p->archive, p->event, &p->config, &ops, p) >= 0);
}

static int set_up(void **state)
{
	static const char secret[] = "a secret of all nodes";
	struct place *p = calloc(1, sizeof(*p));

	snprintf(p->dir, sizeof(p->dir), "%.30s/flyrep-archive-XXXXXX",
		 getenv("TMPDIR") ?: "/tmp");
	assert_non_null(mkdtemp(p->dir));
	snprintf(p->backups, sizeof(p->backups), "%s/backups", p->dir);
	p->config.state_dir = p->dir;
	p->config.data.dhcp_leases = p->config.data.dns_records = true;
	p->config.secret.bytes = (const uint8_t *)secret;
	p->config.secret.len = strlen(secret);
	p->config.backup_retention_ms = 7ull * DAY_S * 1000;
	p->config.recovery.incremental.max_checkpoints = 2;
	p->config.recovery.incremental.checkpoint_interval_ms = 20;
	p->tables = BIT(LEASES) | BIT(NAMES) | BIT(FLYREP_TABLE_CONNTRACK);
	p->index[LEASES] = index_new(&hash_key, 0);
	p->index[NAMES] = index_new(&hash_key, 0);
	assert_true(sd_event_new(&p->event) >= 0);
	open_archive(p);
	*state = p;
	return 0;
}

static int tear_down(void **state)
{
	struct place *p = *state;
	struct dirent *e;
	char path[400];
	DIR *dir = opendir(p->backups);

	while (dir && (e = readdir(dir))) {
		snprintf(path, sizeof(path), "%s/%s", p->backups, e->d_name);
		unlink(path);
	}
	if (dir)
		closedir(dir);
	rmdir(p->backups);
	assert_int_equal(rmdir(p->dir), 0);
	restore_free(p->restore);
	json_decref(p->report);
	archive_free(p->archive);
	while (p->n_kept)
		free(p->kept[--p->n_kept].rec);
	index_free(p->index[LEASES]);
	index_free(p->index[NAMES]);
	sd_event_unref(p->event);
	free(p);
	return 0;
}

/* --- files ------------------------------------------------------------------------------ */

static void path_of(const struct place *p, const char *name, char path[400])
{
	snprintf(path, 400, "%s/%s", p->backups, name);
}

static void touch(const struct place *p, const char *name)
{
	char path[400];
	int fd;

	mkdir(p->backups, 0700);
	path_of(p, name, path);
	fd = open(path, O_WRONLY | O_CREAT, 0600);
	assert_true(fd >= 0);
	close(fd);
}

static void touch_old(const struct place *p, unsigned int days, const char *kind, char name[64])
{
	time_t t = time(NULL) - (time_t)days * DAY_S;
	struct tm tm;
	size_t len;

	gmtime_r(&t, &tm);
	len = strftime(name, 64, "%Y%m%dT%H%M%S.000000Z.", &tm);
	snprintf(name + len, 64 - len, "%s", kind);
	touch(p, name);
}

static bool exists(const struct place *p, const char *name)
{
	char path[400];

	path_of(p, name, path);
	return !access(path, F_OK);
}

static size_t n_files(const struct place *p)
{
	json_t *o = archive_json(p->archive);
	size_t n = json_array_size(json_object_get(o, "backups"));

	json_decref(o);
	return n;
}

static size_t n_in_directory(const struct place *p)
{
	DIR *dir = opendir(p->backups);
	size_t n = 0;

	if (!dir)
		return 0;
	while (readdir(dir))
		n++;
	closedir(dir);
	return n - 2;
}

/* Change one byte of a file. */
static void bend(const struct place *p, const char *name, off_t at)
{
	char path[400];
	uint8_t byte;
	int fd;

	path_of(p, name, path);
	fd = open(path, O_RDWR);
	assert_int_equal(pread(fd, &byte, 1, at), 1);
	byte ^= 0x10;
	assert_int_equal(pwrite(fd, &byte, 1, at), 1);
	close(fd);
}

static bool has_text(const struct place *p, const char *name, const char *text)
{
	static char bytes[1 << 20];
	char path[400];
	ssize_t len;
	int fd;

	path_of(p, name, path);
	fd = open(path, O_RDONLY);
	len = read(fd, bytes, sizeof(bytes));
	close(fd);
	assert_true(len > 0);
	return memmem(bytes, (size_t)len, text, strlen(text));
}

static int count(void *cookie, const struct fr_table *table, const void *recs, size_t n)
{
	(void)recs;
	((size_t *)cookie)[table->id] += n;
	return 0;
}

static int check(struct place *p, const char *name, char why[ARCHIVE_WHY_LEN])
{
	size_t n[FR_TABLES_MAX] = { 0 };
	struct backup_contents c;

	return archive_read(p->archive, name, &c, count, n, why);
}

/* --- taking -------------------------------------------------------------------------------- */

static void what_the_kernel_has_is_in_it(void **state)
{
	size_t n[FR_TABLES_MAX] = { 0 };
	struct place *p = *state;
	char why[ARCHIVE_WHY_LEN];
	struct backup_contents c;
	union room room;
	json_t *o;

	keep_leases(p, 2500);
	keep(p, NAMES, item(&room, NAMES, "www.example", "192.0.2.80", 0));
	assert_int_equal(begin(p, ARCHIVE_BACKUP), 0);
	assert_true(p->is_scheduled);
	assert_int_equal(begin(p, ARCHIVE_BACKUP), -EBUSY);
	assert_int_equal(n_files(p), 0);
	serve(p);
	assert_int_equal(archive_next(p->archive), 0);
	while (p->taken == 1)
		sd_event_run(p->event, UINT64_MAX);
	assert_int_equal(p->taken, 0);
	assert_int_equal(n_in_directory(p), 1);
	assert_int_equal(archive_read(p->archive, p->text, &c, count, n, why), 0);
	assert_int_equal(n[LEASES], 2500);
	assert_int_equal(n[NAMES], 1);
	assert_int_equal(c.n_tables, 2);
	assert_int_equal(c.tables[0].id, LEASES);
	assert_int_equal(c.tables[0].digest, index_digest(p->index[LEASES]));
	assert_int_equal(c.head.epoch, 3);
	assert_false(c.is_encrypted);
	assert_true(has_text(p, p->text, "www.example"));
	o = archive_taken_json(p->archive);
	assert_string_equal(json_string_value(json_object_get(o, "name")), p->text);
	assert_string_equal(json_string_value(json_object_get(o, "kind")), "backup");
	assert_int_equal(json_array_size(json_object_get(o, "tables")), 2);
	json_decref(o);
	assert_true(exists(p, p->text));
}

static void it_is_compressed_and_encrypted(void **state)
{
	struct place *p = *state;
	struct stat plain, small;
	char path[400], why[ARCHIVE_WHY_LEN];

	keep_leases(p, 500);
	path_of(p, take(p, ARCHIVE_BACKUP), path);
	assert_int_equal(stat(path, &plain), 0);
	assert_true(has_text(p, p->text, "fw1"));
	p->config.transformations.compress_data = p->config.transformations.encrypt_data = true;
	path_of(p, take(p, ARCHIVE_BACKUP), path);
	assert_int_equal(stat(path, &small), 0);
	assert_true(small.st_size < plain.st_size / 2);
	assert_false(has_text(p, p->text, "fw1"));
	assert_int_equal(check(p, p->text, why), 0);
	p->config.secret.len = 0;
	assert_int_equal(begin(p, ARCHIVE_BACKUP), -ENOKEY);
	assert_string_equal(p->text, "there is no secret to encrypt it with");
}

static void an_interrupted_one_leaves_nothing(void **state)
{
	struct place *p = *state;

	keep_leases(p, 10);
	assert_int_equal(begin(p, ARCHIVE_BACKUP), 0);
	assert_int_equal(archive_next(p->archive), LEASES);
	archive_records(p->archive, p->kept[0].rec, 1);
	archive_table_end(p->archive, -EINTR);
	assert_int_equal(p->taken, -EINTR);
	assert_int_equal(archive_next(p->archive), 0);
	assert_int_equal(n_in_directory(p), 0);
	/* Nor does one that ended with its agent. */
	assert_int_equal(begin(p, ARCHIVE_BACKUP), 0);
	archive_forget(p->archive);
	touch(p, "20260101T000000.000000Z.backup.tmp");
	touch(p, "mine.tmp");
	open_archive(p);
	assert_int_equal(n_in_directory(p), 1);
	assert_true(exists(p, "mine.tmp"));
}

static void there_must_be_something(void **state)
{
	struct place *p = *state;

	p->tables = BIT(FLYREP_TABLE_CONNTRACK) | BIT(FLYREP_TABLE_EXPECTATION);
	assert_int_equal(begin(p, ARCHIVE_BACKUP), -ENOTCONN);
	p->config.data.dhcp_leases = p->config.data.dns_records = false;
	p->config.data.conntrack = true;
	assert_int_equal(begin(p, ARCHIVE_BACKUP), -ENODATA);
	p->config.mode = FR_CONFIG_MULTI_MASTER;
	assert_int_equal(begin(p, ARCHIVE_BACKUP), -ENODATA);
	/* A resync waits for no backup of nothing. */
	archive_want(p->archive);
	sd_event_run(p->event, UINT64_MAX);
	assert_int_equal(p->n_saved, 1);
	assert_int_equal(p->saved, 0);
	assert_false(archive_has_table(FLYREP_TABLE_CONNTRACK));
	assert_false(archive_has_table(FLYREP_TABLE_EXPECTATION));
	assert_false(archive_has_table(0));
	assert_false(archive_has_table(99));
	assert_true(archive_has_table(FLYREP_TABLE_NFT_SET));
}

static void a_full_disk_is_told_and_forgotten(void **state)
{
	struct place *p = *state;
	char elsewhere[80];

	keep_leases(p, 1);
	snprintf(elsewhere, sizeof(elsewhere), "%s/not/there", p->dir);
	p->config.state_dir = elsewhere;
	p->is_wanted = true;
	archive_want(p->archive);
	sd_event_run(p->event, UINT64_MAX);
	assert_int_equal(p->n_saved, 1);
	assert_int_equal(p->saved, -ENOENT);
	assert_non_null(strstr(archive_trouble(p->archive), "no backup could be written: "));
	assert_non_null(strstr(archive_trouble(p->archive), "No such file"));
	/* Asked for by hand, it shows that there is room again. */
	p->config.state_dir = p->dir;
	take(p, ARCHIVE_BACKUP);
	serve(p);
	while (p->n_saved == 1)
		sd_event_run(p->event, UINT64_MAX);
	assert_int_equal(p->n_saved, 2);
	assert_int_equal(p->saved, 0);
	assert_string_equal(archive_trouble(p->archive), "");
	assert_int_equal(n_files(p), 2);
	/* Of one that nobody waits for any more there is nothing to be told. */
	p->config.state_dir = elsewhere;
	p->is_wanted = false;
	archive_want(p->archive);
	sd_event_run(p->event, UINT64_MAX);
	assert_int_equal(p->saved, -ENOENT);
	assert_string_equal(archive_trouble(p->archive), "");
	p->config.state_dir = p->dir;
}

static void checkpoints_come_by_the_clock(void **state)
{
	struct place *p = *state;
	char first[64] = "", path[400];
	unsigned int i;

	keep_leases(p, 1);
	p->config.recovery.incremental.enabled = true;
	archive_reload(p->archive);
	for (i = 0; i < 3; i++) {
		p->is_scheduled = false;
		while (!p->is_scheduled)
			sd_event_run(p->event, UINT64_MAX);
		serve(p);
		/* Another one begins only when this is over. */
		while (begin(p, ARCHIVE_CHECKPOINT) == -EBUSY)
			sd_event_run(p->event, UINT64_MAX);
		archive_table_end(p->archive, -EINTR);
		if (!first[0]) {
			json_t *o = archive_json(p->archive);

			snprintf(first, sizeof(first), "%s",
				 json_string_value(json_object_get(
					 json_array_get(json_object_get(o, "backups"), 0),
					 "name")));
			json_decref(o);
		}
	}
	assert_int_equal(n_files(p), 2);
	path_of(p, first, path);
	assert_non_null(strstr(first, ".checkpoint"));
	assert_false(exists(p, first));
	p->config.recovery.incremental.enabled = false;
	archive_reload(p->archive);
}

static void what_all_nodes_write_is_in_it(void **state)
{
	static const enum fr_config_mode modes[] = { FR_CONFIG_ACTIVE_ACTIVE,
						     FR_CONFIG_MULTI_MASTER };
	struct place *p = *state;
	char why[ARCHIVE_WHY_LEN];
	size_t i;

	keep_leases(p, 20);
	for (i = 0; i < 2; i++) {
		size_t n[FR_TABLES_MAX] = { 0 };
		struct backup_contents c;

		p->config.mode = modes[i];
		take(p, ARCHIVE_BACKUP);
		assert_int_equal(archive_read(p->archive, p->text, &c, count, n, why), 0);
		assert_int_equal(n[LEASES], 20);
	}
}

/* --- keeping ----------------------------------------------------------------------------------- */

static void old_ones_go_but_the_newest(void **state)
{
	char old[3][64], checkpoint[64], young[64];
	struct place *p = *state;

	touch_old(p, 30, "backup", old[0]);
	touch_old(p, 9, "resync", old[1]);
	touch_old(p, 8, "backup", old[2]);
	touch_old(p, 40, "checkpoint", checkpoint);
	touch(p, "notes.txt");
	open_archive(p);
	assert_false(exists(p, old[0]));
	assert_false(exists(p, old[1]));
	assert_true(exists(p, old[2]));
	assert_true(exists(p, checkpoint));
	assert_true(exists(p, "notes.txt"));
	touch_old(p, 6, "backup", young);
	open_archive(p);
	assert_false(exists(p, old[2]));
	assert_true(exists(p, young));
	p->config.backup_retention_ms = 0;
	touch_old(p, 3000, "backup", old[0]);
	open_archive(p);
	assert_true(exists(p, old[0]));
	assert_int_equal(n_files(p), 3);
}

static void only_names_of_its_own_are_read(void **state)
{
	static const char *const names[] = {
		"", ".", "..", "../state", "/etc/passwd", "backup", "20270131T235959.123456Z.",
		"20270131T235959.123456Z.backup/", "20270131T235959.123456Z.backups",
		"20270131T235959.123456Z.backup.tmp", "20271331T235959.123456Z.backup",
		"20270230T000000.000000Z.backup", "20270131T235959.12345Z.backup",
		"2027-131T235959.123456Z.backup", "+0270131T235959.123456Z.backup",
		"20270131T235959.123456Z.checkpoint\n", "20270131T2359 9.123456Z.backup",
		"00000101T000000.000000Z.backup",
		"20270131T235959.123456Z.backup/../../../../../../../../../../../../../../etc/passwd",
	};
	struct place *p = *state;
	char why[ARCHIVE_WHY_LEN], path[400];
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (check(p, names[i], why) != -EINVAL)
			fail_msg("\"%s\" is taken for a name", names[i]);
	assert_int_equal(check(p, "20270131T235959.123456Z.backup", why), -ENOENT);
	mkdir(p->backups, 0700);
	path_of(p, "20270131T235959.123456Z.backup", path);
	assert_int_equal(symlink("/etc/passwd", path), 0);
	assert_int_equal(check(p, "20270131T235959.123456Z.backup", why), -ELOOP);
	assert_int_equal(n_files(p), 0);
	touch(p, "20270131T235959.123456Z.resync");
	assert_int_equal(check(p, "20270131T235959.123456Z.resync", why), -EBADMSG);
}

static void secrets_may_have_been_replaced(void **state)
{
	struct fr_config_secret previous[2];
	struct place *p = *state;
	char why[ARCHIVE_WHY_LEN];

	keep_leases(p, 3);
	p->config.transformations.encrypt_data = true;
	take(p, ARCHIVE_BACKUP);
	previous[0] = (struct fr_config_secret){ (const uint8_t *)"another one", 11 };
	previous[1] = p->config.secret;
	p->config.secret = (struct fr_config_secret){ (const uint8_t *)"the newest", 10 };
	assert_int_equal(check(p, p->text, why), -EKEYREJECTED);
	assert_non_null(strstr(why, "encrypted with another secret"));
	p->config.previous.v = previous;
	p->config.previous.n = 1;
	assert_int_equal(check(p, p->text, why), -EKEYREJECTED);
	p->config.previous.n = 2;
	assert_int_equal(check(p, p->text, why), 0);
	p->config.secret.len = 0;
	assert_int_equal(check(p, p->text, why), 0);
	bend(p, p->text, 300);
	assert_int_equal(check(p, p->text, why), -EBADMSG);
	bend(p, p->text, 9);
	assert_int_equal(check(p, p->text, why), -EPROTONOSUPPORT);
}

/* --- writing back ------------------------------------------------------------------------------- */

static bool on_has(void *cookie, unsigned int table)
{
	return ((struct place *)cookie)->index[table];
}

static struct index *on_index(void *cookie, unsigned int table)
{
	struct place *p = cookie;

	p->n_asked[table]++;
	return p->has_no_memory ? NULL : p->index[table];
}

static void on_write(void *cookie, unsigned int table, const void *recs, size_t n,
		     void (*on_refused)(void *c, const void *rec, int error), void *c)
{
	const struct fr_table *row = fr_table_by_id(table);
	struct place *p = cookie;
	const char *why;
	size_t i;

	for (i = 0; i < n; i++, recs = fr_record_next(row, recs)) {
		const struct flyrep_rec *rec = recs;

		assert_int_equal(row->check(rec, &why), 0);
		if (p->refuses && !i)
			on_refused(c, rec, p->refuses);
		else if (rec->op == FLYREP_OP_DELETE)
			p->n_deleted++;
		else
			p->n_written++;
	}
	if (p->writes_until_backup && !--p->writes_until_backup)
		p->is_backup = true;
}

static bool on_may_write(void *cookie, char *why)
{
	struct place *p = cookie;

	snprintf(why, ARCHIVE_WHY_LEN, "its role is backup");
	return !p->is_backup;
}

static const struct restore_ops restore_ops = {
	.has = on_has, .index = on_index, .write = on_write, .may_write = on_may_write,
};

static void on_restored(void *cookie, int err, const char *why, json_t *report)
{
	struct place *p = cookie;

	p->restored = err;
	p->report = report;
	snprintf(p->text, sizeof(p->text), "%s", why);
}

static int restore(struct place *p, const char *name, bool is_dry, bool is_exact)
{
	struct restore_wish wish = { .name = name, .is_dry = is_dry, .is_exact = is_exact };
	int rc;

	restore_free(p->restore);
	p->restore = NULL;
	json_decref(p->report);
	p->report = NULL;
	p->n_written = p->n_deleted = 0;
	memset(p->n_asked, 0, sizeof(p->n_asked));
	p->restored = 1;
	rc = restore_start(&p->restore, p->event, p->archive, &wish, &restore_ops, p, on_restored,
			   p, p->text);
	while (!rc && p->restored == 1)
		sd_event_run(p->event, UINT64_MAX);
	return rc ? rc : p->restored;
}

static json_int_t told(const struct place *p, size_t nth, const char *key)
{
	return json_integer_value(json_object_get(
		json_array_get(json_object_get(p->report, "tables"), nth), key));
}

static void it_is_written_back(void **state)
{
	struct place *p = *state;
	union room room;
	char name[64];

	keep_leases(p, 2500);
	keep(p, LEASES, lease(&room, 2600, in_ms(3600)));
	keep(p, LEASES, lease(&room, 2601, in_ms(-1)));
	strcpy(name, take(p, ARCHIVE_BACKUP));
	keep(p, LEASES, lease(&room, 3000, 0));
	keep(p, LEASES, lease(&room, 3001, 0));

	assert_int_equal(restore(p, name, true, false), 0);
	assert_int_equal(p->n_written, 0);
	assert_int_equal(told(p, 0, "restored"), 2501);
	assert_int_equal(told(p, 0, "expired"), 1);
	assert_int_equal(told(p, 0, "kept"), 2);
	assert_true(json_is_true(json_object_get(p->report, "dry_run")));

	assert_int_equal(restore(p, name, false, false), 0);
	assert_int_equal(p->n_written, 2501);
	assert_int_equal(p->n_deleted, 0);
	assert_int_equal(told(p, 0, "records"), 2502);
	assert_int_equal(told(p, 0, "restored"), 2501);
	assert_int_equal(told(p, 0, "kept"), 2);
	assert_int_equal(told(p, 0, "removed"), 0);
	assert_int_equal(json_array_size(json_object_get(p->report, "tables")), 2);

	p->refuses = -EEXIST;
	assert_int_equal(restore(p, name, false, false), 0);
	assert_int_equal(told(p, 0, "refused"), 3);
	assert_int_equal(told(p, 0, "restored"), 2498);
	assert_string_equal(json_string_value(json_object_get(
				    json_array_get(json_object_get(p->report, "tables"), 0),
				    "error")), strerror(EEXIST));
}

static void exactly_means_that_others_go(void **state)
{
	struct place *p = *state;
	char name[64], client[160];
	union room room;
	unsigned int i;

	keep_leases(p, 10);
	strcpy(name, take(p, ARCHIVE_BACKUP));
	/* More of the longest keys than fit one go. */
	for (i = 0; i < 1000; i++) {
		snprintf(client, sizeof(client), "%0120u.example", i);
		keep(p, NAMES, item(&room, NAMES, client, "192.0.2.1", 0));
	}
	keep(p, LEASES, lease(&room, 3000, 0));
	assert_int_equal(restore(p, name, true, true), 0);
	assert_int_equal(told(p, 1, "removed"), 1000);
	assert_int_equal(p->n_deleted, 0);
	assert_int_equal(restore(p, name, false, true), 0);
	assert_int_equal(told(p, 0, "removed"), 1);
	assert_int_equal(told(p, 1, "removed"), 1000);
	assert_int_equal(told(p, 1, "kept"), 0);
	assert_int_equal(p->n_deleted, 1001);
	assert_int_equal(p->n_written, 10);
	/* What is there may have to be gathered: it is asked for once, however long it takes. */
	assert_int_equal(p->n_asked[LEASES], 1);
	assert_int_equal(p->n_asked[NAMES], 1);
	p->has_no_memory = true;
	assert_int_equal(restore(p, name, false, true), -ENOMEM);
	assert_int_equal(p->n_deleted, 0);
	assert_null(p->report);
}

static void a_table_that_is_not_here_is_skipped(void **state)
{
	struct place *p = *state;
	struct index *leases = p->index[LEASES];
	union room room;
	char name[64];

	keep_leases(p, 10);
	keep(p, NAMES, item(&room, NAMES, "www", "192.0.2.80", 0));
	strcpy(name, take(p, ARCHIVE_BACKUP));
	p->index[LEASES] = NULL;
	assert_int_equal(restore(p, name, false, true), 0);
	p->index[LEASES] = leases;
	assert_int_equal(told(p, 0, "skipped"), 10);
	assert_int_equal(told(p, 0, "restored"), 0);
	assert_int_equal(told(p, 0, "removed"), 0);
	assert_int_equal(p->n_asked[LEASES], 0);
	assert_int_equal(told(p, 1, "restored"), 1);
	assert_int_equal(p->n_written, 1);
}

static void what_is_damaged_changes_nothing(void **state)
{
	struct place *p = *state;
	char name[64], path[400];
	struct stat st;

	keep_leases(p, 2500);
	strcpy(name, take(p, ARCHIVE_BACKUP));
	path_of(p, name, path);
	assert_int_equal(stat(path, &st), 0);
	bend(p, name, st.st_size - 20);
	assert_int_equal(restore(p, name, false, true), -EBADMSG);
	assert_non_null(strstr(p->text, "damaged"));
	assert_int_equal(p->n_written, 0);
	bend(p, name, st.st_size - 20);
	bend(p, name, 9);
	assert_int_equal(restore(p, name, false, true), -EPROTONOSUPPORT);
	assert_int_equal(p->n_written + p->n_deleted, 0);
}

static void only_a_writer_writes(void **state)
{
	struct place *p = *state;
	char name[64];

	keep_leases(p, 2500);
	strcpy(name, take(p, ARCHIVE_BACKUP));
	p->is_backup = true;
	assert_int_equal(restore(p, name, false, false), -EPERM);
	assert_string_equal(p->text, "its role is backup");
	assert_int_equal(restore(p, name, true, false), -EPERM);
	p->is_backup = false;
	p->writes_until_backup = 1;
	assert_int_equal(restore(p, name, false, false), -EPERM);
	assert_int_equal(p->n_written, 1000);
	assert_null(p->report);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_the_kernel_has_is_in_it),
		TEST(it_is_compressed_and_encrypted),
		TEST(an_interrupted_one_leaves_nothing),
		TEST(there_must_be_something),
		TEST(a_full_disk_is_told_and_forgotten),
		TEST(what_all_nodes_write_is_in_it),
		TEST(checkpoints_come_by_the_clock),
		TEST(old_ones_go_but_the_newest),
		TEST(only_names_of_its_own_are_read),
		TEST(secrets_may_have_been_replaced),
		TEST(it_is_written_back),
		TEST(exactly_means_that_others_go),
		TEST(a_table_that_is_not_here_is_skipped),
		TEST(what_is_damaged_changes_nothing),
		TEST(only_a_writer_writes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
