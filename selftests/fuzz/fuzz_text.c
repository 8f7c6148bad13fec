// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A text that is looked into for what is sensitive, and that addresses are taken out of. The line that is
 * named is there; the same text comes out the same twice, and so does what is disguised.
 */
#include <stdlib.h>
#include <string.h>

#include "anonymize.h"
#include "glob.h"
#include "item.h"
#include "sensitive.h"

#define TEXT_MAX 4096
#define ROOM (TEXT_MAX * 20) /* "::" may become 39 characters */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void must(int is_true)
{
	if (!is_true)
		abort();
}

static void look_into(const uint8_t *data, size_t len)
{
	static char *words[] = { "community", "--", "x" };
	const struct fr_config_strings none = { 0 }, more = { words, 2 };
	char word[FR_SENSITIVE_WORD_LEN] = "";
	unsigned int line = fr_sensitive_find(data, len, &none, word), n_lines = 1;
	size_t i;

	for (i = 0; i < len; i++)
		n_lines += data[i] == '\n';
	must(line <= n_lines && !line == !word[0] && strlen(word) < sizeof(word));
	/* More names find no less. */
	must(!line || fr_sensitive_find(data, len, &more, word) <= line);
}

static void disguise(const uint8_t *data, size_t len)
{
	static const uint8_t key[FR_ANONYMIZE_KEY_LEN] = { 1, 2, 3 };
	static char out[ROOM], again[ROOM];
	static struct fr_anonymize *a;
	ssize_t n;

	if (!a)
		a = fr_anonymize_new(key);
	must(!!a);
	n = fr_anonymize_text(a, (const char *)data, len, out, sizeof(out));
	must(n >= 0);
	must(fr_anonymize_text(a, (const char *)data, len, again, sizeof(again)) == n);
	must(!memcmp(out, again, (size_t)n));
	must(!n || fr_anonymize_text(a, (const char *)data, len, out, (size_t)n - 1) < 0);
}

/* The first line as a pattern for the rest */
static void match(const uint8_t *data, size_t len)
{
	const uint8_t *end = memchr(data, '\n', len);

	if (!end || fr_glob_flaw(data, (size_t)(end - data)))
		return;
	fr_glob_match(data, (size_t)(end - data), end + 1, len - (size_t)(end + 1 - data));
	must(fr_glob_match((const uint8_t *)"*", 1, data, len));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	if (!len || len > TEXT_MAX)
		return 0;
	look_into(data, len);
	disguise(data, len);
	match(data, len);
	return 0;
}
