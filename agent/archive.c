// SPDX-License-Identifier: GPL-2.0-or-later

#include "archive.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "item.h"
#include "log.h"

#define TABLES		(~(1ull << FLYREP_TABLE_CONNTRACK | 1ull << FLYREP_TABLE_EXPECTATION))
#define BATCH_MAX	1000
#define BATCH_LEN	(256u << 10)	/* a longer batch is ended */
/* Columns are never larger than their records, but for the number of these. */
#define ROOM		(BATCH_LEN + FR_ITEM_ROOM)
#define COLUMNS_LEN	(ROOM + 64)
#define RETRY_US	5000000	/* after one that could not be taken */
#define ACCURACY_US	1000
#define PRUNE_US	3600000000ull
#define NAME_LEN	48
#define TIME_LEN	23	/* 20270131T235959.123456Z */

static const char *const kinds[] = {
	[ARCHIVE_BACKUP] = "backup",
	[ARCHIVE_RESYNC] = "resync",
	[ARCHIVE_CHECKPOINT] = "checkpoint",
};

#define N_KINDS (sizeof(kinds) / sizeof(kinds[0]))

struct archive {
	sd_event_source *clock;		/* the next checkpoint, or look at what is too old */
	sd_event_source *retry;
	const struct fr_config *config;
	const struct archive_ops *ops;
	void *cookie;
	uint32_t wanted;		/* bitmap of kinds that nobody waits for */
	char trouble[ARCHIVE_WHY_LEN];

	/* of the one that is being taken */
	bool is_taking;
	struct backup *file;
	enum archive_kind kind;
	char name[NAME_LEN];
	uint64_t left;			/* bitmap of tables that are not complete */
	struct backup_table tables[FR_TABLES_MAX + 1];
	size_t n_tables;		/* complete; the one behind them is not */
	struct fr_siphash_key hash_key;
	struct fr_squeeze *squeeze;	/* NULL: do not compress */
	uint8_t *recs;			/* of the next frame: ROOM bytes */
	size_t recs_len;
	size_t n_recs;
	int err;
	uint64_t n_left_out;
	void (*done)(void *cookie, int err, const char *text);
	void *done_cookie;

	/* what makes it durable */
	bool has_thread;
	pthread_t thread;
	int thread_fd;			/* eventfd: it is done */
	sd_event_source *thread_done;
};

bool archive_has_table(unsigned int table)
{
	return table < FR_TABLES_MAX && fr_table_by_id(table) && TABLES >> table & 1;
}

const char *archive_trouble(const struct archive *a)
{
	return a->trouble;
}

/* --- names -------------------------------------------------------------------- */

static uint64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static void make_name(char name[NAME_LEN], enum archive_kind kind, uint64_t time_us)
{
	time_t t = (time_t)(time_us / 1000000);
	struct tm tm;
	size_t len;

	gmtime_r(&t, &tm);
	len = strftime(name, NAME_LEN, "%Y%m%dT%H%M%S", &tm);
	snprintf(name + len, NAME_LEN - len, ".%06uZ.%s", (unsigned int)(time_us % 1000000),
		 kinds[kind]);
}

/* Exactly what make_name() makes, so nothing that leads out of the directory. */
static bool parse_name(const char *name, enum archive_kind *kind, uint64_t *time_us)
{
	unsigned int y, mon, d, h, min, s, us;
	char again[NAME_LEN];
	struct tm tm;
	size_t k;

	if (strlen(name) <= TIME_LEN || name[TIME_LEN] != '.' ||
	    sscanf(name, "%4u%2u%2uT%2u%2u%2u.%6uZ", &y, &mon, &d, &h, &min, &s, &us) != 7 ||
	    y < 1970)
		return false;
	tm = (struct tm){ .tm_year = (int)y - 1900, .tm_mon = (int)mon - 1, .tm_mday = (int)d,
			  .tm_hour = (int)h, .tm_min = (int)min, .tm_sec = (int)s };
	*time_us = (uint64_t)timegm(&tm) * 1000000 + us;
	for (k = 0; k < N_KINDS; k++) {
		make_name(again, k, *time_us);
		if (strcmp(again, name))
			continue;
		*kind = k;
		return true;
	}
	return false;
}

static int path_of(const struct archive *a, const char *name, char path[PATH_MAX])
{
	int len = snprintf(path, PATH_MAX, "%s/backups%s%s", a->config->state_dir, *name ? "/" : "",
			   name);

	return len < PATH_MAX ? 0 : -ENAMETOOLONG;
}

static int by_name(const struct dirent **x, const struct dirent **y)
{
	return strcmp((*x)->d_name, (*y)->d_name);
}

static int is_backup(const struct dirent *e)
{
	enum archive_kind kind;
	uint64_t time_us;

	return parse_name(e->d_name, &kind, &time_us);
}

/* The oldest first, to be freed by free_names(). Return: how many, -errno */
static int list_names(const struct archive *a, struct dirent ***names)
{
	char path[PATH_MAX];
	int n = path_of(a, "", path);

	*names = NULL;
	if (n < 0)
		return n;
	n = scandir(path, names, is_backup, by_name);
	return n < 0 ? -errno : n;
}

static void free_names(struct dirent **names, int n)
{
	while (n-- > 0)
		free(names[n]);
	free(names);
}

/* --- what is too old, or too much ---------------------------------------------- */

static void remove_file(const struct archive *a, const char *name)
{
	char path[PATH_MAX];

	if (!path_of(a, name, path) && unlink(path) < 0 && errno != ENOENT)
		fr_warn("backup: %s cannot be removed: %s", path, strerror(errno));
}

static bool is_too_old(const struct archive *a, uint64_t time_us, uint64_t now)
{
	uint64_t kept_us = a->config->backup_retention_ms * 1000;

	return kept_us && now > time_us && now - time_us > kept_us;
}

static void prune(const struct archive *a)
{
	uint32_t n_checkpoints = 0, max = a->config->recovery.incremental.max_checkpoints;
	uint64_t time_us, now = now_us();
	enum archive_kind kind;
	bool has_newer = false;
	struct dirent **names;
	int n = list_names(a, &names), i;

	for (i = n - 1; i >= 0; i--) {
		if (!parse_name(names[i]->d_name, &kind, &time_us))
			continue;
		if (kind == ARCHIVE_CHECKPOINT ? n_checkpoints++ >= max :
						 has_newer && is_too_old(a, time_us, now))
			remove_file(a, names[i]->d_name);
		has_newer |= kind != ARCHIVE_CHECKPOINT;
	}
	free_names(names, n);
}

static int is_unfinished(const struct dirent *e)
{
	size_t len = strlen(e->d_name);
	char name[NAME_LEN];
	enum archive_kind kind;
	uint64_t time_us;

	if (len < 4 || len - 4 >= sizeof(name) || strcmp(e->d_name + len - 4, ".tmp") != 0)
		return false;
	memcpy(name, e->d_name, len - 4);
	name[len - 4] = '\0';
	return parse_name(name, &kind, &time_us);
}

/* What an agent that was killed had begun. */
static void remove_unfinished(const struct archive *a)
{
	struct dirent **names = NULL;
	char path[PATH_MAX];
	int i, n = path_of(a, "", path);

	if (!n)
		n = scandir(path, &names, is_unfinished, by_name);
	for (i = 0; i < n; i++)
		remove_file(a, names[i]->d_name);
	free_names(names, n);
}

/* --- taking one ----------------------------------------------------------------- */

static __attribute__((format(printf, 3, 4))) int refuse(char *why, int rc, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(why, ARCHIVE_WHY_LEN, fmt, args);
	va_end(args);
	return rc;
}

static int make_directory(const struct archive *a)
{
	char path[PATH_MAX];
	int rc = path_of(a, "", path);

	if (rc < 0)
		return rc;
	return mkdir(path, 0700) < 0 && errno != EEXIST ? -errno : 0;
}

static int open_file(struct archive *a, const struct backup_head *head)
{
	const struct fr_config *c = a->config;
	struct keys keys;
	char path[PATH_MAX];
	int rc;

	make_name(a->name, a->kind, head->time_us);
	rc = path_of(a, a->name, path);
	if (!rc && c->transformations.encrypt_data)
		rc = keys_init(&keys, c->secret.bytes, c->secret.len);
	if (rc < 0)
		return rc;
	rc = backup_new(&a->file, path, c->transformations.encrypt_data ? &keys : NULL, head);
	if (c->transformations.encrypt_data)
		keys_wipe(&keys);
	return rc;
}

static void clear(struct archive *a)
{
	backup_free(a->file);
	fr_squeeze_free(a->squeeze);
	free(a->recs);
	a->file = NULL;
	a->squeeze = NULL;
	a->recs = NULL;
	a->done = NULL;
	a->left = 0;
	a->is_taking = false;
}

static bool is_known(const struct archive *a)
{
	unsigned int id;

	for (id = 0; id < FR_TABLES_MAX; id++)
		if (archive_has_table(id) && fr_config_has_table(a->config, id))
			return true;
	return false;
}

static int get_memory(struct archive *a)
{
	bool compress = a->config->transformations.compress_data;

	a->recs_len = a->n_recs = 0;
	a->recs = malloc(ROOM);
	a->squeeze = compress ? fr_squeeze_new() : NULL;
	return a->recs && !a->squeeze == !compress ? 0 : -ENOMEM;
}

static int begin(struct archive *a, enum archive_kind kind, char *why)
{
	struct backup_head head = { 0 };
	int rc;

	if (a->is_taking)
		return refuse(why, -EBUSY, "one is being taken");
	if (!is_known(a))
		return refuse(why, -ENODATA,
			      "there is nothing to back up: flows are in no backup");
	if (a->config->transformations.encrypt_data && !a->config->secret.len)
		return refuse(why, -ENOKEY, "there is no secret to encrypt it with");
	a->left = a->ops->tables(a->cookie) & TABLES;
	if (!a->left)
		return refuse(why, -ENOTCONN, "what the kernel holds is not known for now");
	prune(a);
	a->kind = kind;
	a->err = 0;
	a->n_tables = 0;
	a->tables[0] = (struct backup_table){ 0 };
	a->n_left_out = 0;
	a->ops->describe(a->cookie, &head, &a->hash_key);
	head.time_us = now_us();
	rc = get_memory(a);
	if (!rc)
		rc = make_directory(a);
	if (!rc)
		rc = open_file(a, &head);
	if (rc < 0) {
		clear(a);
		return refuse(why, rc, "%s/backups: %s", a->config->state_dir, strerror(-rc));
	}
	a->is_taking = true;
	a->ops->schedule(a->cookie);
	return 0;
}

static void retry_later(struct archive *a)
{
	sd_event_source_set_time_relative(a->retry, RETRY_US);
	sd_event_source_set_enabled(a->retry, SD_EVENT_ONESHOT);
}

/* One that nobody waits for is over; -ENODATA: there was nothing to be done. */
static void settle(struct archive *a, enum archive_kind kind, int err, const char *why)
{
	bool is_first = !a->trouble[0], is_wanted = err && err != -ENODATA;

	if (err == -ENODATA)
		err = 0;
	a->wanted &= ~(1u << kind);
	if (kind == ARCHIVE_RESYNC)
		is_wanted = a->ops->saved(a->cookie, err, why);
	if (is_wanted)
		a->wanted |= 1u << kind;
	if (err)
		snprintf(a->trouble, sizeof(a->trouble), "no %s could be written: %s",
			 kind == ARCHIVE_CHECKPOINT ? "checkpoint" : "backup", why);
	if (err && is_first)
		fr_err("backup: %s", a->trouble);
	if (!a->wanted) {
		if (!err && !is_first)
			fr_notice("backup: can be written again");
		a->trouble[0] = '\0';
		return;
	}
	retry_later(a);
}

/* Those that nobody waits for, one after the other. */
static void take_wanted(struct archive *a)
{
	char why[ARCHIVE_WHY_LEN];
	enum archive_kind kind;
	int rc;

	if (a->is_taking || !a->wanted)
		return;
	kind = a->wanted >> ARCHIVE_RESYNC & 1 ? ARCHIVE_RESYNC : ARCHIVE_CHECKPOINT;
	rc = begin(a, kind, why);
	if (rc < 0)
		settle(a, kind, rc, why);
}

static int on_retry(sd_event_source *s, uint64_t usec, void *cookie)
{
	(void)s;
	(void)usec;
	take_wanted(cookie);
	return 0;
}

/* It is on the disk, or not. */
static void end(struct archive *a)
{
	void (*done)(void *cookie, int err, const char *text) = a->done;
	enum archive_kind kind = a->kind;
	void *cookie = a->done_cookie;
	char name[NAME_LEN], why[ARCHIVE_WHY_LEN] = "";
	int rc = a->err;

	memcpy(name, a->name, sizeof(name));
	if (rc)
		refuse(why, rc, "%s/backups/%s: %s", a->config->state_dir, name, strerror(-rc));
	if (!rc && a->n_left_out)
		fr_warn("backup: %s is without %lu malformed records", name, a->n_left_out);
	if (!rc && kind == ARCHIVE_RESYNC)
		fr_notice("backup: %s was taken before a resync", name);
	clear(a);
	prune(a);
	if (done)
		done(cookie, rc, rc ? why : name);
	else
		settle(a, kind, rc, why);
	/* One that was taken shows that there is room again. */
	if (!rc)
		take_wanted(a);
}

static void *make_durable(void *cookie)
{
	struct archive *a = cookie;

	a->err = backup_end(a->file, a->tables, a->n_tables);
	a->file = NULL;
	eventfd_write(a->thread_fd, 1);
	return NULL;
}

static int on_durable(sd_event_source *s, int fd, uint32_t events, void *cookie)
{
	struct archive *a = cookie;
	eventfd_t n;

	(void)s;
	(void)events;
	eventfd_read(fd, &n);
	pthread_join(a->thread, NULL);
	a->has_thread = false;
	end(a);
	return 0;
}

/* All was written that there is. */
static void finish(struct archive *a)
{
	if (!a->err)
		a->err = -pthread_create(&a->thread, NULL, make_durable, a);
	a->has_thread = !a->err;
	if (a->err)
		end(a);
}

int archive_take(struct archive *a, enum archive_kind kind,
		 void (*done)(void *cookie, int err, const char *text), void *cookie, char *why)
{
	int rc = begin(a, kind, why);

	if (rc < 0)
		return rc;
	a->done = done;
	a->done_cookie = cookie;
	return 0;
}

static void nobody_waits(void *cookie, int err, const char *text)
{
	(void)cookie;
	(void)err;
	(void)text;
}

void archive_forget(struct archive *a)
{
	if (a->done)
		a->done = nobody_waits;
}

void archive_want(struct archive *a)
{
	if (a->wanted >> ARCHIVE_RESYNC & 1)
		return;
	a->wanted |= 1u << ARCHIVE_RESYNC;
	sd_event_source_set_time_relative(a->retry, 0);
	sd_event_source_set_enabled(a->retry, SD_EVENT_ONESHOT);
}

/* --- what a snapshot brings ------------------------------------------------------- */

uint8_t archive_next(const struct archive *a)
{
	return a->is_taking && a->left ? (uint8_t)__builtin_ctzll(a->left) : 0;
}

/* Columns, compressed if that is wanted, behind the head of a frame. Return: its length, -errno */
static ssize_t make_frame(const struct archive *a, const struct fr_table *row, uint8_t *columns,
			  uint8_t *frame)
{
	struct fr_frame_head head = { .type = FR_FRAME_BATCH, .flags = FR_FRAME_F_REPAIR,
				      .table = row->id };
	uint8_t *payload = frame + FR_FRAME_HEAD_LEN;
	struct fr_writer w;
	ssize_t len;
	int rc;

	fr_writer_init(&w, columns, COLUMNS_LEN);
	rc = row->encode(&w, a->recs, a->n_recs);
	if (rc < 0)
		return rc;
	len = (ssize_t)fr_writer_len(&w);
	if (a->squeeze)
		len = fr_squeeze_pack(a->squeeze, payload, COLUMNS_LEN, columns, (size_t)len,
				      &head.flags);
	else
		memcpy(payload, columns, (size_t)len);
	if (len < 0)
		return len;
	head.len = (uint32_t)len;
	fr_frame_head_encode(frame, &head);
	return FR_FRAME_HEAD_LEN + len;
}

static void flush(struct archive *a, const struct fr_table *row)
{
	uint8_t *columns, *frame;
	ssize_t len;

	if (a->err || !a->n_recs)
		return;
	columns = malloc(COLUMNS_LEN);
	frame = malloc(FR_FRAME_HEAD_LEN + COLUMNS_LEN);
	len = columns && frame ? make_frame(a, row, columns, frame) : -ENOMEM;
	a->err = len < 0 ? (int)len : backup_put(a->file, frame, (size_t)len);
	free(columns);
	free(frame);
	a->recs_len = a->n_recs = 0;
}

static void add(struct archive *a, const struct fr_table *row, const void *rec)
{
	struct backup_table *t = &a->tables[a->n_tables];
	size_t len = fr_record_len(row, rec);
	const char *why;

	if (row->check(rec, &why) < 0) {
		a->n_left_out++;
		return;
	}
	memcpy(a->recs + a->recs_len, rec, len);
	((struct flyrep_rec *)(void *)(a->recs + a->recs_len))->op = FLYREP_OP_INSERT;
	a->recs_len += len;
	a->n_recs++;
	t->entries++;
	t->digest += row->digest(rec, &a->hash_key);
	if (a->n_recs == BATCH_MAX || a->recs_len >= BATCH_LEN)
		flush(a, row);
}

void archive_records(struct archive *a, const void *recs, size_t n)
{
	const struct fr_table *row = fr_table_by_id(archive_next(a));

	for (; row && n && !a->err; n--, recs = fr_record_next(row, recs))
		add(a, row, recs);
}

void archive_table_end(struct archive *a, int err)
{
	uint8_t table = archive_next(a);

	if (!table)
		return;
	flush(a, fr_table_by_id(table));
	if (err && !a->err)
		a->err = err;
	a->tables[a->n_tables++].id = table;
	a->tables[a->n_tables] = (struct backup_table){ 0 };
	a->left &= a->left - 1;
	if (a->err)
		a->left = 0;
	if (!a->left)
		finish(a);
}

/* --- what there is ------------------------------------------------------------------ */

static json_t *describe(const struct archive *a, const char *name)
{
	enum archive_kind kind;
	char path[PATH_MAX], text[40];
	uint64_t time_us;
	struct stat st;
	struct tm tm;
	time_t t;

	if (!parse_name(name, &kind, &time_us) || path_of(a, name, path) || lstat(path, &st) < 0 ||
	    !S_ISREG(st.st_mode))
		return NULL;
	t = (time_t)(time_us / 1000000);
	gmtime_r(&t, &tm);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
	return json_pack("{s:s, s:s, s:s, s:I}", "name", name, "kind", kinds[kind], "time", text,
			 "bytes", (json_int_t)st.st_size);
}

json_t *archive_json(const struct archive *a)
{
	json_t *list = json_array();
	struct dirent **names;
	char path[PATH_MAX];
	int i, n = list_names(a, &names);

	for (i = 0; i < n; i++) {
		json_t *o = describe(a, names[i]->d_name);

		if (o)
			json_array_append_new(list, o);
	}
	free_names(names, n);
	path_of(a, "", path);
	return json_pack("{s:s, s:o}", "directory", path, "backups", list);
}

json_t *archive_taken_json(const struct archive *a)
{
	json_t *o = describe(a, a->name), *tables = json_array();
	size_t i;

	for (i = 0; i < a->n_tables; i++)
		json_array_append_new(tables, json_pack("{s:s, s:I}", "table",
							fr_table_by_id(a->tables[i].id)->name,
							"records",
							(json_int_t)a->tables[i].entries));
	if (!o) {
		json_decref(tables);
		return NULL; /* somebody has deleted it */
	}
	json_object_set_new(o, "tables", tables);
	return o;
}

/* Whichever secret it was encrypted with */
static int read_bytes(const struct archive *a, const uint8_t *bytes, size_t len,
		      struct backup_contents *c,
		      int (*on_batch)(void *cookie, const struct fr_table *table, const void *recs,
				      size_t n),
		      void *cookie, char *why)
{
	const struct fr_config *config = a->config;
	const struct fr_config_secret *s = &config->secret;
	struct keys keys;
	size_t i;
	int rc;

	for (i = 0; i <= config->previous.n; s = &config->previous.v[i], i++) {
		bool has_key = s->len && !keys_init(&keys, s->bytes, s->len);

		rc = backup_read(bytes, len, has_key ? &keys : NULL, c, on_batch, cookie, why,
				 ARCHIVE_WHY_LEN);
		if (has_key)
			keys_wipe(&keys);
		if (rc != -EKEYREJECTED)
			break;
	}
	return rc;
}

int archive_read(const struct archive *a, const char *name, struct backup_contents *c,
		 int (*on_batch)(void *cookie, const struct fr_table *table, const void *recs,
				 size_t n),
		 void *cookie, char *why)
{
	enum archive_kind kind;
	uint64_t time_us;
	char path[PATH_MAX];
	struct stat st;
	void *bytes;
	int fd, rc;

	if (!parse_name(name, &kind, &time_us) || path_of(a, name, path))
		return refuse(why, -EINVAL, "that is no name of a backup");
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return refuse(why, -errno, "%s: %s", path, strerror(errno));
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || !st.st_size) {
		close(fd);
		return refuse(why, -EBADMSG, "%s: this is no backup", path);
	}
	bytes = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	rc = bytes == MAP_FAILED ? -errno : 0;
	close(fd);
	if (rc < 0)
		return refuse(why, rc, "%s: %s", path, strerror(-rc));
	rc = read_bytes(a, bytes, (size_t)st.st_size, c, on_batch, cookie, why);
	munmap(bytes, (size_t)st.st_size);
	return rc;
}

/* --- life ------------------------------------------------------------------------------ */

static void wind_clock(struct archive *a)
{
	const struct fr_config *c = a->config;

	sd_event_source_set_time_relative(a->clock,
					  c->recovery.incremental.enabled ?
						  c->recovery.incremental.checkpoint_interval_ms *
							  1000 :
						  PRUNE_US);
	sd_event_source_set_enabled(a->clock, SD_EVENT_ONESHOT);
}

static int on_clock(sd_event_source *s, uint64_t usec, void *cookie)
{
	struct archive *a = cookie;

	(void)s;
	(void)usec;
	prune(a);
	if (a->config->recovery.incremental.enabled) {
		a->wanted |= 1u << ARCHIVE_CHECKPOINT;
		take_wanted(a);
	}
	wind_clock(a);
	return 0;
}

void archive_reload(struct archive *a)
{
	if (!a->config->recovery.incremental.enabled)
		a->wanted &= ~(1u << ARCHIVE_CHECKPOINT);
	if (!a->wanted)
		a->trouble[0] = '\0';
	prune(a);
	wind_clock(a);
}

static int add_timer(sd_event *event, sd_event_source **s, sd_event_time_handler_t fn,
		     struct archive *a)
{
	int rc = sd_event_add_time(event, s, CLOCK_MONOTONIC, 0, ACCURACY_US, fn, a);

	return rc < 0 ? rc : sd_event_source_set_enabled(*s, SD_EVENT_OFF);
}

int archive_new(struct archive **out, sd_event *event, const struct fr_config *config,
		const struct archive_ops *ops, void *cookie)
{
	struct archive *a = calloc(1, sizeof(*a));
	int rc;

	if (!a)
		return -ENOMEM;
	a->config = config;
	a->ops = ops;
	a->cookie = cookie;
	a->thread_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	rc = a->thread_fd < 0 ? -errno :
				sd_event_add_io(event, &a->thread_done, a->thread_fd, EPOLLIN,
						on_durable, a);
	if (rc >= 0)
		rc = add_timer(event, &a->clock, on_clock, a);
	if (rc >= 0)
		rc = add_timer(event, &a->retry, on_retry, a);
	if (rc < 0) {
		archive_free(a);
		return rc;
	}
	remove_unfinished(a);
	prune(a);
	wind_clock(a);
	*out = a;
	return 0;
}

void archive_free(struct archive *a)
{
	if (!a)
		return;
	if (a->has_thread)
		pthread_join(a->thread, NULL);
	sd_event_source_disable_unref(a->thread_done);
	sd_event_source_disable_unref(a->clock);
	sd_event_source_disable_unref(a->retry);
	if (a->thread_fd >= 0)
		close(a->thread_fd);
	clear(a);
	free(a);
}
