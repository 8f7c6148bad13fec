// SPDX-License-Identifier: GPL-2.0-or-later
#include "sensitive.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "item.h"

#define N_OF(array) (sizeof(array) / sizeof((array)[0]))

static const char *const known[] = {
	"password",  "passwd",	 "passphrase", "secret",     "privatekey",
	"presharedkey", "psk",	 "authkey",    "authpass",   "apikey",
	"apitoken",  "authtoken", "accesstoken", "bearertoken", "credential",
};

/* Longer words are looked at in their last bytes: that is where the noun is. */
#define PLAIN_MAX 128

static bool is_word(uint8_t c)
{
	return isalnum(c) || c == '_' || c == '-' || c == '.' || c >= 0x80;
}

/* Lower case and without what is between parts; NUL-terminated. */
static size_t make_plain(char plain[PLAIN_MAX], const char *word, size_t len)
{
	size_t i = len < PLAIN_MAX ? 0 : len - PLAIN_MAX + 1, n = 0;

	for (; i < len; i++)
		if (word[i] && !strchr("_-.", word[i]))
			plain[n++] = (char)tolower((unsigned char)word[i]);
	plain[n] = '\0';
	return n;
}

static bool ends_with(const char *plain, size_t len, const char *end)
{
	size_t end_len = strlen(end);

	return len >= end_len && !strcmp(plain + len - end_len, end);
}

bool fr_sensitive_field(const char *name, const struct fr_config_strings *more)
{
	char plain[PLAIN_MAX], other[PLAIN_MAX];
	size_t i;

	make_plain(plain, name, strlen(name));
	for (i = 0; i < N_OF(known); i++)
		if (!strcmp(plain, known[i]))
			return true;
	for (i = 0; i < more->n; i++)
		if (make_plain(other, more->v[i], strlen(more->v[i])) && !strcmp(plain, other))
			return true;
	return false;
}

/* The names in the form they are compared in */
struct names {
	size_t n;
	char v[FR_CONFIG_WORDS_MAX][PLAIN_MAX];
};

static bool is_key(const char *word, size_t len, const struct names *more)
{
	char plain[PLAIN_MAX];
	size_t plain_len = make_plain(plain, word, len), i;

	if (ends_with(plain, plain_len, "file") || ends_with(plain, plain_len, "dir") ||
	    ends_with(plain, plain_len, "path"))
		return false;
	for (i = 0; i < N_OF(known); i++)
		if (strstr(plain, known[i]))
			return true;
	for (i = 0; i < more->n; i++)
		if (strstr(plain, more->v[i]))
			return true;
	return false;
}

static const uint8_t *skip(const uint8_t *c, const uint8_t *end, const char *what)
{
	while (c < end && *c && strchr(what, *c))
		c++;
	return c;
}

/* Is there a value behind a key? @c: the rest of the line */
static bool has_value(const uint8_t *c, const uint8_t *end, bool is_comment)
{
	const uint8_t *at = skip(c, end, "\"'] \t\r"), *value;
	bool is_apart = at > c;

	if (at < end && strchr("=:>", *at)) {
		value = skip(at, end, "=:> \t\r");
		/* The value may follow on the next line. "" is none. */
		return value == end || skip(value, end, "\"' \t\r,;}") != end;
	}
	return !is_comment && is_apart && at < end && !strchr("<,;)]}{", *at);
}

static bool begins_with(const uint8_t *c, const uint8_t *end, const char *what)
{
	size_t len = strlen(what);

	return (size_t)(end - c) >= len && !memcmp(c, what, len);
}

static bool line_sets(const uint8_t *line, const uint8_t *end, const struct names *more,
		      char *word)
{
	const uint8_t *c = skip(line, end, " \t\r"), *begin;
	bool is_comment = c < end && (strchr("#;*", *c) || begins_with(c, end, "//"));

	if (memmem(line, (size_t)(end - line), "-----BEGIN ", 11) &&
	    memmem(line, (size_t)(end - line), "PRIVATE KEY", 11)) {
		snprintf(word, FR_SENSITIVE_WORD_LEN, "a private key");
		return true;
	}
	while (c < end) {
		for (begin = c; c < end && is_word(*c); c++)
			;
		if (c > begin && is_key((const char *)begin, (size_t)(c - begin), more) &&
		    has_value(c, end, is_comment)) {
			snprintf(word, FR_SENSITIVE_WORD_LEN, "%.*s", (int)(c - begin), begin);
			return true;
		}
		c += c < end;
	}
	return false;
}

unsigned int fr_sensitive_find(const uint8_t *text, size_t len,
			       const struct fr_config_strings *more, char *word)
{
	const uint8_t *end = text + len, *line = text, *line_end;
	struct names names;
	unsigned int n = 1;
	size_t i;

	if (!fr_item_is_text(text, len)) {
		snprintf(word, FR_SENSITIVE_WORD_LEN, "what is no text");
		return 1;
	}
	names.n = 0;
	for (i = 0; i < more->n && i < FR_CONFIG_WORDS_MAX; i++)
		names.n += make_plain(names.v[names.n], more->v[i], strlen(more->v[i])) > 0;
	for (; line < end; line = line_end + 1, n++) {
		line_end = memchr(line, '\n', (size_t)(end - line));
		if (!line_end)
			line_end = end;
		if (line_sets(line, line_end, &names, word))
			return n;
	}
	return 0;
}
