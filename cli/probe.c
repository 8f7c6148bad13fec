// SPDX-License-Identifier: GPL-2.0-or-later
#include "probe.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SLURP_MAX (64u << 20)
#define DIGITS "0123456789"

/* --- files ------------------------------------------------------------------ */

ssize_t probe_read(const char *path, char *buf, size_t len)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY), err = 0;
	size_t at = 0;
	ssize_t n = 1;

	if (fd < 0)
		return -errno;
	while (at + 1 < len && n > 0) {
		n = read(fd, buf + at, len - 1 - at);
		if (n > 0)
			at += (size_t)n;
		else if (n < 0)
			err = -errno;
	}
	close(fd);
	buf[at] = '\0';
	return err ? err : (ssize_t)at;
}

char *probe_slurp(const char *path)
{
	FILE *file = fopen(path, "re");
	size_t len = 0, size;
	char *text = NULL, *grown;

	if (!file)
		return NULL;
	for (size = 1 << 16; size <= SLURP_MAX; size *= 2) {
		grown = realloc(text, size);
		if (!grown)
			break;
		text = grown;
		len += fread(text + len, 1, size - 1 - len, file);
		if (len < size - 1)
			break;
	}
	fclose(file);
	if (text)
		text[len] = '\0';
	return text;
}

int probe_number(const char *path, long long *n)
{
	char text[64], *end;
	ssize_t len = probe_read(path, text, sizeof(text));

	if (len < 0)
		return (int)len;
	errno = 0;
	*n = strtoll(text, &end, 10);
	return end == text || errno ? -EINVAL : 0;
}

/* --- texts ------------------------------------------------------------------ */

/* The line behind this one, or the end */
static const char *next_line(const char *line)
{
	line += strcspn(line, "\n");
	return line + (*line == '\n');
}

char probe_option(const char *text, const char *option)
{
	size_t len = strlen(option);

	for (; *text; text = next_line(text))
		if (!strncmp(text, option, len) && text[len] == '=')
			return text[len + 1];
	return 0;
}

bool probe_release(const char *text, unsigned int *major, unsigned int *minor)
{
	size_t n = strspn(text, DIGITS);

	/* sscanf() alone would take a sign. */
	return n && text[n] == '.' && isdigit((unsigned char)text[n + 1]) &&
	       sscanf(text, "%5u.%5u", major, minor) == 2;
}

/* "updates/dkms/flyrep.ko.xz: kernel/net/..." */
bool probe_has_module(const char *text, const char *name)
{
	size_t len = strlen(name);

	for (; *text; text = next_line(text)) {
		size_t n = strcspn(text, ":\n"), at = n;

		while (at && text[at - 1] != '/')
			at--;
		if (n - at >= len + 3 && !memcmp(text + at, name, len) &&
		    !memcmp(text + at + len, ".ko", 3) &&
		    (n - at == len + 3 || text[at + len + 3] == '.'))
			return true;
	}
	return false;
}

bool probe_socket(const char *line, struct probe_socket *s)
{
	unsigned int port, remote_port;

	/* sl: address:port address:port state queues timer retransmits uid timeout inode */
	if (sscanf(line,
		   " %*d: %*32[0-9A-Fa-f]:%4x %*32[0-9A-Fa-f]:%4x %2x %*s %*s %*s %*u %*d %lu",
		   &port, &remote_port, &s->state, &s->inode) != 4)
		return false;
	s->port = (uint16_t)port;
	s->remote_port = (uint16_t)remote_port;
	return true;
}

/* --- processes -------------------------------------------------------------- */

static void name_of(pid_t pid, char *name)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/comm", (int)pid);
	if (probe_read(path, name, PROBE_NAME_LEN) < 0)
		*name = '\0';
	name[strcspn(name, "\n")] = '\0';
}

static bool has_socket(pid_t pid, const char *link)
{
	char path[64], target[64];
	struct dirent *entry;
	bool has = false;
	ssize_t n;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	dir = opendir(path);
	while (dir && !has && (entry = readdir(dir))) {
		n = readlinkat(dirfd(dir), entry->d_name, target, sizeof(target) - 1);
		target[n > 0 ? n : 0] = '\0';
		has = !strcmp(target, link);
	}
	if (dir)
		closedir(dir);
	return has;
}

/* The first process that has the socket @link, or the name @name, whichever is not NULL */
static pid_t find(const char *link, const char *name)
{
	DIR *dir = opendir("/proc");
	char its_name[PROBE_NAME_LEN];
	struct dirent *entry;
	pid_t pid, found = 0;

	while (dir && !found && (entry = readdir(dir))) {
		pid = isdigit((unsigned char)entry->d_name[0]) ? atoi(entry->d_name) : 0;
		if (!pid)
			continue;
		if (name)
			name_of(pid, its_name);
		if ((name && !strcmp(its_name, name)) || (link && has_socket(pid, link)))
			found = pid;
	}
	if (dir)
		closedir(dir);
	return found;
}

pid_t probe_owner(unsigned long inode, char *name)
{
	char link[64];
	pid_t pid;

	snprintf(link, sizeof(link), "socket:[%lu]", inode);
	pid = inode ? find(link, NULL) : 0;
	*name = '\0';
	if (pid)
		name_of(pid, name);
	return pid;
}

pid_t probe_process(const char *name)
{
	return find(NULL, name);
}

/* --- the ruleset ------------------------------------------------------------ */

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "?";
}

/* Of nft itself, or what iptables made */
static bool is_masquerade(const json_t *expr)
{
	return json_object_get(expr, "masquerade") ||
	       !strcmp(text_of(json_object_get(expr, "xt"), "name"), "MASQUERADE");
}

/* "wan0", if the rule asks for that interface to leave by */
static const char *interface_of(const json_t *exprs)
{
	const json_t *expr, *match, *key;
	size_t i;

	json_array_foreach(exprs, i, expr) {
		match = json_object_get(expr, "match");
		key = json_object_get(json_object_get(json_object_get(match, "left"), "meta"),
				      "key");
		if (json_is_string(key) && !strncmp(json_string_value(key), "oif", 3) &&
		    json_is_string(json_object_get(match, "right")))
			return text_of(match, "right");
	}
	return NULL;
}

static void describe(const json_t *rule, char *where, size_t len)
{
	const char *interface = interface_of(json_object_get(rule, "expr"));

	snprintf(where, len, "%s %s %s, handle %lld%s%s%s", text_of(rule, "family"),
		 text_of(rule, "table"), text_of(rule, "chain"),
		 (long long)json_integer_value(json_object_get(rule, "handle")),
		 interface ? " (oif " : "", interface ? interface : "", interface ? ")" : "");
}

void probe_masquerades(const json_t *ruleset, void (*found)(void *cookie, const char *where),
		       void *cookie)
{
	const json_t *item, *rule, *expr;
	char where[256];
	size_t i, k;

	json_array_foreach(json_object_get(ruleset, "nftables"), i, item) {
		rule = json_object_get(item, "rule");
		json_array_foreach(json_object_get(rule, "expr"), k, expr) {
			if (!is_masquerade(expr))
				continue;
			describe(rule, where, sizeof(where));
			found(cookie, where);
			break;
		}
	}
}
