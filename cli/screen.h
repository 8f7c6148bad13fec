/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * screen - a picture that is drawn again and again, on a terminal or as plain blocks
 *
 * On a terminal it has the alternate screen, with the cursor hidden and keys read one by
 * one, and nothing is drawn beyond its edges. Whatever ends the program by a signal that can be
 * caught, the terminal is as it was. Where standard output is no terminal each picture is a block
 * of lines, with an empty one behind.
 */
#ifndef SCREEN_H
#define SCREEN_H

#include <stdbool.h>
#include <termios.h>

#include "cli.h"
#include "style.h"

struct screen {
	const struct cli *cli;
	unsigned int rows, columns; /* of the terminal, now */
	bool has_utf8;

	/* screen.c's own */
	bool is_terminal, has_keys;
	struct termios before;
	int signals; /* fd */
	unsigned int row, column; /* where the next text goes */
};

enum screen_event {
	SCREEN_TIME, /* the time is over */
	SCREEN_SIZE, /* draw again: the terminal has another size, or is ours again */
	SCREEN_QUIT,
};

/**
 * screen_open() - take the terminal, if standard output is one
 *
 * Return: 0 or -errno.
 */
int screen_open(struct screen *s, const struct cli *cli);

/**
 * screen_close() - give it back as it was
 */
void screen_close(struct screen *s);

/**
 * screen_begin() - a new picture; screen_end() shows it
 *
 * Return, of screen_end(): false when nobody reads any more.
 */
void screen_begin(struct screen *s);
bool screen_end(struct screen *s);

/**
 * screen_put() - text at the end of the line, as much of it as the terminal is wide
 */
void screen_put(struct screen *s, enum style how, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/**
 * screen_cell() - text, spaces up to @width columns in front (behind, if < 0), and one more
 */
void screen_cell(struct screen *s, enum style how, int width, const char *text);

/**
 * screen_line() - the line is over
 */
void screen_line(struct screen *s);

/**
 * screen_left() - columns that are left on the line
 */
unsigned int screen_left(const struct screen *s);

/**
 * screen_wait() - so many seconds, or until somebody wants something
 */
enum screen_event screen_wait(struct screen *s, double seconds);

#endif
