// SPDX-License-Identifier: GPL-2.0-or-later
#include "screen.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#define PLAIN_COLUMNS 80

static const int caught[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGWINCH };

/* What the environment says of the terminal; the C library knows installed locales only. */
static bool has_utf8(void)
{
	static const char *const names[] = { "LC_ALL", "LC_CTYPE", "LANG" };
	const char *value;
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		value = getenv(names[i]);
		if (value && *value)
			return strcasestr(value, "utf-8") || strcasestr(value, "utf8");
	}
	return false;
}

static void take(struct screen *s)
{
	struct termios raw = s->before;

	if (!s->is_terminal)
		return;
	if (s->has_keys) {
		raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
		raw.c_cc[VMIN] = 0;
		raw.c_cc[VTIME] = 0;
		tcsetattr(STDIN_FILENO, TCSADRAIN, &raw);
	}
	fputs("\033[?1049h\033[?25l", stdout);
	fflush(stdout);
}

static void give_back(struct screen *s)
{
	if (!s->is_terminal)
		return;
	fputs("\033[?25h\033[?1049l", stdout);
	fflush(stdout);
	if (s->has_keys)
		tcsetattr(STDIN_FILENO, TCSADRAIN, &s->before);
}

int screen_open(struct screen *s, const struct cli *cli)
{
	sigset_t set;
	size_t i;

	*s = (struct screen){ .cli = cli, .has_utf8 = has_utf8() };
	s->is_terminal = cli->is_tty && !cli->json;
	s->has_keys = s->is_terminal && !tcgetattr(STDIN_FILENO, &s->before);
	sigemptyset(&set);
	for (i = 0; i < sizeof(caught) / sizeof(caught[0]); i++)
		sigaddset(&set, caught[i]);
	s->signals = signalfd(-1, &set, SFD_CLOEXEC);
	if (s->signals < 0)
		return -errno;
	sigprocmask(SIG_BLOCK, &set, NULL);
	take(s);
	return 0;
}

void screen_close(struct screen *s)
{
	give_back(s);
	close(s->signals);
}

/* --- drawing ---------------------------------------------------------------- */

void screen_begin(struct screen *s)
{
	struct winsize size = { 0 };

	s->rows = 0; /* as many as there are */
	s->columns = PLAIN_COLUMNS;
	if (s->is_terminal && !ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) && size.ws_col) {
		s->rows = size.ws_row;
		s->columns = size.ws_col;
	}
	s->row = s->column = 0;
	if (s->is_terminal)
		fputs("\033[H", stdout);
}

bool screen_end(struct screen *s)
{
	if (s->is_terminal)
		fputs("\033[J", stdout);
	else
		putchar('\n');
	return !fflush(stdout) && !ferror(stdout);
}

/* Below the edge; the last line stays empty, or the terminal would scroll. */
static bool is_out(const struct screen *s)
{
	return s->rows && s->row + 1 >= s->rows;
}

unsigned int screen_left(const struct screen *s)
{
	return s->columns > s->column ? s->columns - s->column : 0;
}

/* Bytes of the first @columns characters, and how many those are */
static size_t clip(const char *text, unsigned int columns, unsigned int *n)
{
	size_t at = 0;

	for (*n = 0; text[at] && *n < columns; ++*n)
		do
			at++;
		while (((unsigned char)text[at] & 0xc0) == 0x80);
	return at;
}

static void put(struct screen *s, enum style how, const char *text)
{
	unsigned int n;
	size_t len = clip(text, screen_left(s), &n);

	if (!len || is_out(s))
		return;
	style_print(s->cli, how, "%.*s", (int)len, text);
	s->column += n;
}

void screen_put(struct screen *s, enum style how, const char *fmt, ...)
{
	va_list args;
	char *text;
	int rc;

	va_start(args, fmt);
	rc = vasprintf(&text, fmt, args);
	va_end(args);
	if (rc < 0)
		return;
	put(s, how, text);
	free(text);
}

void screen_cell(struct screen *s, enum style how, int width, const char *text)
{
	unsigned int room = (unsigned int)abs(width), n;
	size_t len = clip(text, room, &n);

	if (width > 0)
		screen_put(s, STYLE_PLAIN, "%*s", (int)(room - n), "");
	screen_put(s, how, "%.*s", (int)len, text);
	if (width < 0)
		screen_put(s, STYLE_PLAIN, "%*s", (int)(room - n), "");
	screen_put(s, STYLE_PLAIN, " ");
}

void screen_line(struct screen *s)
{
	if (is_out(s))
		return;
	fputs(s->is_terminal ? "\033[K\n" : "\n", stdout);
	s->row++;
	s->column = 0;
}

/* --- waiting ---------------------------------------------------------------- */

static void stand_still(struct screen *s)
{
	give_back(s);
	kill(getpid(), SIGSTOP);
	take(s);
}

/* What signal came, if it is to be told */
static bool on_signal(struct screen *s, enum screen_event *event)
{
	struct signalfd_siginfo info;

	if (read(s->signals, &info, sizeof(info)) != sizeof(info))
		return false;
	*event = SCREEN_SIZE;
	if (info.ssi_signo == SIGTSTP)
		stand_still(s);
	else if (info.ssi_signo != SIGWINCH)
		*event = SCREEN_QUIT;
	return true;
}

static bool on_key(void)
{
	char key = 0;

	return read(STDIN_FILENO, &key, 1) == 1 && (key == 'q' || key == 'Q');
}

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

enum screen_event screen_wait(struct screen *s, double seconds)
{
	struct pollfd fds[] = { { s->signals, POLLIN, 0 },
				{ s->has_keys ? STDIN_FILENO : -1, POLLIN, 0 } };
	double end = now_s() + seconds, left;
	enum screen_event event;

	while ((left = end - now_s()) > 0) {
		if (poll(fds, 2, (int)(left * 1e3) + 1) < 0 && errno != EINTR)
			return SCREEN_QUIT;
		if (fds[0].revents && on_signal(s, &event))
			return event;
		if (fds[1].revents & POLLIN && on_key())
			return SCREEN_QUIT;
		if (fds[1].revents & (POLLHUP | POLLERR))
			return SCREEN_QUIT;
	}
	return SCREEN_TIME;
}
