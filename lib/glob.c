// SPDX-License-Identifier: GPL-2.0-or-later
#include "glob.h"

/* Bytes of the pattern that stand for one character; 0: it has a flaw. */
static size_t element_len(const uint8_t *p, size_t len)
{
	size_t i = 1;

	if (p[0] == '\\')
		return len > 1 ? 2 : 0;
	if (p[0] != '[')
		return 1;
	if (i < len && p[i] == '!')
		i++;
	if (i < len && p[i] == ']')
		i++;
	while (i < len && p[i] != ']' && p[i] < 0x80)
		i++;
	return i < len && p[i] == ']' ? i + 1 : 0;
}

const char *fr_glob_flaw(const uint8_t *p, size_t len)
{
	size_t n;

	for (; len; p += n, len -= n) {
		n = element_len(p, len);
		if (!n && p[0] == '\\')
			return "a pattern ends with a backslash";
		if (!n)
			return "a pattern has a [ without its ], or with more than ASCII in it";
	}
	return NULL;
}

/* @p: behind "[", @end: the "]" that closes it */
static bool is_in_set(const uint8_t *p, const uint8_t *end, uint8_t c)
{
	bool is_negated = *p == '!', is_found = false;

	for (p += is_negated; p < end; p++) {
		if (p + 2 < end && p[1] == '-') {
			is_found |= p[0] <= c && c <= p[2];
			p += 2;
		} else {
			is_found |= *p == c;
		}
	}
	return is_found != is_negated;
}

/* Bytes of the first character */
static size_t char_len(const uint8_t *text, size_t len)
{
	size_t n = 1;

	if (text[0] >= 0xc0)
		while (n < len && n < 4 && (text[n] & 0xc0) == 0x80)
			n++;
	return n;
}

/* Bytes of @text that one element of the pattern takes; 0: it does not match. */
static size_t take(const uint8_t *p, size_t element, const uint8_t *text, size_t len)
{
	size_t n = char_len(text, len);

	switch (p[0]) {
	case '?':
		return n;
	case '\\':
		return p[1] == text[0];
	case '[':
		return is_in_set(p + 1, p + element - 1, text[0]) ? n : 0;
	default:
		return p[0] == text[0];
	}
}

bool fr_glob_match(const uint8_t *p, size_t len, const uint8_t *text, size_t text_len)
{
	size_t star = len, star_text = 0, i = 0, k = 0, element, n;

	/* A star is tried again only until the next one has been reached: that is as good. */
	while (k < text_len) {
		if (i < len && p[i] == '*') {
			star = i++;
			star_text = k;
			continue;
		}
		element = i < len ? element_len(p + i, len - i) : 0;
		n = element ? take(p + i, element, text + k, text_len - k) : 0;
		if (n) {
			i += element;
			k += n;
		} else if (star < len) {
			i = star + 1;
			k = ++star_text;
		} else {
			return false;
		}
	}
	while (i < len && p[i] == '*')
		i++;
	return i == len;
}
