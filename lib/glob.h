/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * glob - shell patterns for bytes that end where they end, at a cost that has a bound
 *
 * "*": any text, "?": one character of UTF-8, "[a-z]", "[!a-z]": one of some ASCII characters or
 * none of them, "\" before what stands for itself. fnmatch() wants a NUL, and can take a time that
 * grows with a power of the number of stars.
 */
#ifndef FR_GLOB_H
#define FR_GLOB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What is wrong with a pattern, static; NULL: nothing. */
const char *fr_glob_flaw(const uint8_t *pattern, size_t len);

/* Does all of @text match? @pattern has no flaw. At most @len * @text_len steps. */
bool fr_glob_match(const uint8_t *pattern, size_t len, const uint8_t *text, size_t text_len);

#endif
