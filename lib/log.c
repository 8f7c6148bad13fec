// SPDX-License-Identifier: GPL-2.0-or-later
#include "log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LIMIT_WINDOW_NS 10000000000ULL
#define LIMIT_LINES 5

static struct {
	const char *ident;
	enum fr_log_level max;
	bool is_journal;
} log_state = { .ident = "flyrep", .max = FR_LOG_INFO };

/* systemd sets JOURNAL_STREAM=dev:inode; it counts only if stderr is that stream. */
static bool stderr_is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long dev, ino;
	struct stat st;

	return stream && sscanf(stream, "%llu:%llu", &dev, &ino) == 2 &&
	       !fstat(STDERR_FILENO, &st) && st.st_dev == dev &&
	       st.st_ino == ino;
}

void fr_log_open(const char *ident, enum fr_log_level max)
{
	log_state.ident = ident;
	log_state.max = max;
	log_state.is_journal = stderr_is_journal();
}

bool fr_log_is_journal(enum fr_log_level level)
{
	return log_state.is_journal && level <= log_state.max;
}

void fr_log_clean(char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			*text = '?';
}

void fr_log(enum fr_log_level level, const char *fmt, ...)
{
	char line[FR_LOG_LINE_MAX];
	int saved_errno = errno;
	va_list args;
	size_t len;
	ssize_t rc;
	int n;

	if (level > log_state.max)
		return;
	if (log_state.is_journal)
		n = snprintf(line, sizeof(line), "<%d>", level);
	else
		n = snprintf(line, sizeof(line), "%s: ", log_state.ident);
	len = (size_t)n;
	va_start(args, fmt);
	n = vsnprintf(line + len, sizeof(line) - len - 1, fmt, args);
	va_end(args);
	if (n < 0)
		return;
	len += (size_t)n;
	if (len > sizeof(line) - 2)
		len = sizeof(line) - 2;
	line[len] = '\0';
	fr_log_clean(line);
	line[len++] = '\n';
	do {
		rc = write(STDERR_FILENO, line, len);
	} while (rc < 0 && errno == EINTR);
	errno = saved_errno;
}

bool fr_log_allow(struct fr_log_limit *limit, const char *what)
{
	struct timespec now;
	uint64_t now_ns;

	clock_gettime(CLOCK_MONOTONIC, &now);
	now_ns = (uint64_t)now.tv_sec * 1000000000ULL + (uint64_t)now.tv_nsec;
	if (!limit->window_start_ns ||
	    now_ns - limit->window_start_ns >= LIMIT_WINDOW_NS) {
		if (limit->n_suppressed)
			fr_log(FR_LOG_NOTICE, "%s: %u more like this left out",
			       what, limit->n_suppressed);
		*limit = (struct fr_log_limit){ .window_start_ns = now_ns };
	}
	if (limit->n_window >= LIMIT_LINES) {
		limit->n_suppressed++;
		return false;
	}
	limit->n_window++;
	return true;
}
