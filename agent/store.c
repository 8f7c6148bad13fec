// SPDX-License-Identifier: GPL-2.0-or-later
#include "store.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "keys.h"

#define STORE_FILE "state"
#define STORE_MAX_LEN 4096

struct line {
	const char *dir;
	unsigned int number;
	char *why;
	unsigned int why_len;
};

static __attribute__((format(printf, 2, 3))) int refuse(const struct line *l,
							const char *fmt, ...)
{
	va_list args;
	int n;

	n = snprintf(l->why, l->why_len, "%s/%s:%u: ", l->dir, STORE_FILE,
		     l->number);
	if (n < 0 || (unsigned int)n >= l->why_len)
		return -EBADMSG;
	va_start(args, fmt);
	vsnprintf(l->why + n, l->why_len - n, fmt, args);
	va_end(args);
	return -EBADMSG;
}

static int number_parse(uint64_t *number, const char *text)
{
	char *end;

	/* strtoull would take a sign, blanks and a wrong base. */
	if (text[0] < '0' || text[0] > '9')
		return -EINVAL;
	errno = 0;
	*number = strtoull(text, &end, 10);
	return errno || *end ? -EINVAL : 0;
}

static int epoch_parse(struct store_state *s, const char *text)
{
	return number_parse(&s->epoch, text);
}

static void epoch_print(const struct store_state *s, char *buf, size_t len)
{
	snprintf(buf, len, "%llu", (unsigned long long)s->epoch);
}

#define ROLE_UNSET "unset"

static int role_parse(struct store_state *s, const char *text)
{
	unsigned int role;

	if (!strcmp(text, ROLE_UNSET)) {
		s->role = 0;
		return 0;
	}
	for (role = FR_ROLE_BACKUP; role <= FR_ROLE_FAULT; role++) {
		if (!strcmp(text, fr_role_name(role))) {
			s->role = role;
			return 0;
		}
	}
	return -EINVAL;
}

static void role_print(const struct store_state *s, char *buf, size_t len)
{
	snprintf(buf, len, "%s", s->role ? fr_role_name(s->role) : ROLE_UNSET);
}

static int hash_key_parse(struct store_state *s, const char *text)
{
	size_t i;

	s->has_hash_key = true;
	if (strspn(text, "0123456789abcdef") != 2 * sizeof(s->hash_key.b) ||
	    text[2 * sizeof(s->hash_key.b)])
		return -EINVAL;
	for (i = 0; i < sizeof(s->hash_key.b); i++)
		sscanf(text + 2 * i, "%2hhx", &s->hash_key.b[i]);
	return 0;
}

static void hash_key_print(const struct store_state *s, char *buf, size_t len)
{
	size_t i, n = 0;

	for (i = 0; s->has_hash_key && i < sizeof(s->hash_key.b); i++)
		n += snprintf(buf + n, len - n, "%02x", s->hash_key.b[i]);
}

static int promised_parse(struct store_state *s, const char *text)
{
	return number_parse(&s->promised, text);
}

static void promised_print(const struct store_state *s, char *buf, size_t len)
{
	if (s->promised)
		snprintf(buf, len, "%llu", (unsigned long long)s->promised);
}

static int promised_to_parse(struct store_state *s, const char *text)
{
	if (!keys_is_node_id(text))
		return -EINVAL;
	strcpy(s->promised_to, text);
	return 0;
}

static void promised_to_print(const struct store_state *s, char *buf, size_t len)
{
	snprintf(buf, len, "%s", s->promised_to);
}

static int since_parse(struct store_state *s, const char *text)
{
	return number_parse(&s->since_us, text);
}

static void since_print(const struct store_state *s, char *buf, size_t len)
{
	if (s->since_us)
		snprintf(buf, len, "%llu", (unsigned long long)s->since_us);
}

static int forced_parse(struct store_state *s, const char *text)
{
	s->is_forced = !strcmp(text, "yes");
	return s->is_forced ? 0 : -EINVAL;
}

static void forced_print(const struct store_state *s, char *buf, size_t len)
{
	if (s->is_forced)
		snprintf(buf, len, "yes");
}

/*
 * A value is one word. What prints as nothing is left out. No key is there
 * twice, and what must be there comes last: whatever is cut off is missed.
 */
static const struct field {
	const char *name;
	int (*parse)(struct store_state *s, const char *text);
	void (*print)(const struct store_state *s, char *buf, size_t len);
	bool is_optional;
} fields[] = {
	{ "hash_key", hash_key_parse, hash_key_print, true },
	{ "promised_to", promised_to_parse, promised_to_print, true },
	{ "since_us", since_parse, since_print, true },
	{ "forced", forced_parse, forced_print, true },
	{ "promised", promised_parse, promised_print, true },
	{ "epoch", epoch_parse, epoch_print, false },
	{ "role", role_parse, role_print, false },
};

#define N_FIELDS (sizeof(fields) / sizeof(fields[0]))

static int line_parse(const struct line *l, char *text, struct store_state *s,
		      bool seen[N_FIELDS])
{
	char *value = strchr(text, ' ');
	size_t i;

	if (text[0] == '#')
		return 0;
	if (!value)
		return refuse(l, "expected \"key value\"");
	*value++ = '\0';
	for (i = 0; i < N_FIELDS; i++) {
		if (strcmp(text, fields[i].name))
			continue;
		if (seen[i])
			return refuse(l, "%s is there twice", text);
		seen[i] = true;
		if (fields[i].parse(s, value))
			return refuse(l, "no valid %s: \"%.40s\"", text, value);
		return 0;
	}
	return refuse(l, "unknown key \"%.40s\"", text);
}

static int text_parse(struct line *l, char *text, size_t len,
		      struct store_state *s)
{
	bool seen[N_FIELDS] = { false };
	char *end = text + len;
	size_t i;
	int rc;

	while (text < end) {
		char *newline = memchr(text, '\n', end - text);

		l->number++;
		/* Without this a cut "epoch 12" would read as epoch 1. */
		if (!newline)
			return refuse(l, "the line is cut off");
		*newline = '\0';
		if (strlen(text) != (size_t)(newline - text))
			return refuse(l, "NUL byte");
		rc = line_parse(l, text, s, seen);
		if (rc)
			return rc;
		text = newline + 1;
	}
	l->number++;
	for (i = 0; i < N_FIELDS; i++)
		if (!seen[i] && !fields[i].is_optional)
			return refuse(l, "%s is missing", fields[i].name);
	return 0;
}

/* Read to the end; -EFBIG when it does not fit. */
static ssize_t read_all(int fd, char *buf, size_t size)
{
	size_t len = 0;

	while (len < size) {
		ssize_t n = read(fd, buf + len, size - len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (!n)
			return len;
		len += n;
	}
	return -EFBIG;
}

int store_load(const char *dir, struct store_state *s, char *why,
	       unsigned int why_len)
{
	struct line l = { .dir = dir, .why = why, .why_len = why_len };
	char text[STORE_MAX_LEN];
	int dir_fd, fd;
	ssize_t len;
	int rc;

	*s = (struct store_state){ 0 };
	if (why_len)
		why[0] = '\0';
	dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir_fd < 0) {
		rc = -errno;
		snprintf(why, why_len, "%s: %s", dir, strerror(-rc));
		return rc;
	}
	fd = openat(dir_fd, STORE_FILE,
		    O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	rc = fd < 0 ? -errno : 0;
	close(dir_fd);
	if (rc == -ENOENT)
		return 0;
	if (!rc) {
		len = read_all(fd, text, sizeof(text));
		close(fd);
		rc = len < 0 ? len : 0;
	}
	if (rc) {
		snprintf(why, why_len, "%s/%s: %s", dir, STORE_FILE,
			 strerror(-rc));
		return rc;
	}
	rc = text_parse(&l, text, len, s);
	if (rc)
		*s = (struct store_state){ 0 };
	return rc;
}

static int write_all(int fd, const char *buf, size_t len)
{
	while (len) {
		ssize_t n = write(fd, buf, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		buf += n;
		len -= n;
	}
	return 0;
}

static int file_write(int dir_fd, const char *name, const char *text, size_t len)
{
	char tmp[NAME_MAX + 1];
	int fd, rc;

	if (snprintf(tmp, sizeof(tmp), "%s.tmp", name) >= (int)sizeof(tmp))
		return -ENAMETOOLONG;
	fd = openat(dir_fd, tmp,
		    O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW,
		    0600);
	if (fd < 0)
		return -errno;
	rc = write_all(fd, text, len);
	if (!rc && fsync(fd))
		rc = -errno;
	if (close(fd) && !rc)
		rc = -errno;
	if (!rc && renameat(dir_fd, tmp, dir_fd, name))
		rc = -errno;
	if (rc)
		unlinkat(dir_fd, tmp, 0);
	return rc;
}

int store_replace(const char *dir, const char *name, const char *text, size_t len)
{
	int dir_fd, rc;

	dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir_fd < 0)
		return -errno;
	rc = file_write(dir_fd, name, text, len);
	/* Only now does the new name survive a loss of power. */
	if (!rc && fsync(dir_fd))
		rc = -errno;
	close(dir_fd);
	return rc;
}

int store_save(const char *dir, const struct store_state *s)
{
	char text[STORE_MAX_LEN] = "# flyrep: written by the agent\n";
	size_t len = strlen(text);
	size_t i;

	if (s->role > FR_ROLE_FAULT)
		return -EINVAL;
	for (i = 0; i < N_FIELDS; i++) {
		char value[64] = "";

		fields[i].print(s, value, sizeof(value));
		if (value[0])
			len += snprintf(text + len, sizeof(text) - len, "%s %s\n",
				fields[i].name, value);
	}
	return store_replace(dir, STORE_FILE, text, len);
}
