/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Refuse: an error and its sentence, in one line of those who return both.
 */
#ifndef REFUSE_H
#define REFUSE_H

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

/* @why: gets the sentence. Return: @err */
static inline __attribute__((format(printf, 4, 5))) int refuse(char *why, size_t why_len, int err,
							       const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(why, why_len, fmt, args);
	va_end(args);
	return err;
}

#endif
