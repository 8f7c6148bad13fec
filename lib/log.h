/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * log - lines on stderr, with a priority prefix when the journal reads them
 *
 * The only global state in lib.  A line starts with its stage or noun ("ship:
 * peer node2 ..."), is at most FR_LOG_LINE_MAX bytes and is written by a
 * single write(2), so lines of different threads never mix.
 */
#ifndef FR_LOG_H
#define FR_LOG_H

#include <stdbool.h>
#include <stdint.h>

#define FR_LOG_LINE_MAX 1024

/* The numbers are syslog's. */
enum fr_log_level {
	FR_LOG_ERR = 3,
	FR_LOG_WARNING = 4,
	FR_LOG_NOTICE = 5,
	FR_LOG_INFO = 6,
	FR_LOG_DEBUG = 7,
};

/**
 * fr_log_open() - name the program and choose the least urgent level written
 * @ident: prefix of each line outside the journal; must outlive the program
 * @max: default FR_LOG_INFO when never called
 *
 * Call before any thread starts.
 */
void fr_log_open(const char *ident, enum fr_log_level max);

/**
 * fr_log() - write one line; the text needs no newline. Any thread.
 *
 * Control bytes in the text come out as '?', so nothing a peer sent can forge
 * a line or reach a terminal.  errno is preserved.
 */
void fr_log(enum fr_log_level level, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* Whether a line of this level is written, and the journal reads it: it takes fields beside it. */
bool fr_log_is_journal(enum fr_log_level level);

/* What fr_log() does to control bytes, in place. */
void fr_log_clean(char *text);

#define fr_err(...) fr_log(FR_LOG_ERR, __VA_ARGS__)
#define fr_warn(...) fr_log(FR_LOG_WARNING, __VA_ARGS__)
#define fr_notice(...) fr_log(FR_LOG_NOTICE, __VA_ARGS__)
#define fr_info(...) fr_log(FR_LOG_INFO, __VA_ARGS__)
#define fr_debug(...) fr_log(FR_LOG_DEBUG, __VA_ARGS__)

/* Keeps one noisy source in bounds; zeroed is ready to use. One thread each. */
struct fr_log_limit {
	uint64_t window_start_ns;
	uint32_t n_window;
	uint32_t n_suppressed;
};

/**
 * fr_log_allow() - may this source write another line now
 * @what: named in the line that says how many were left out
 *
 * Five lines in ten seconds pass.
 */
bool fr_log_allow(struct fr_log_limit *limit, const char *what);

#endif
