/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vectors - the text of the golden vectors, both ways
 *
 * A section starts with "== NAME", a value with its name in a column of 8 and
 * goes on in lines that are empty there. The recipe: run the tests that hold
 * them with --write.
 */
#ifndef VECTORS_H
#define VECTORS_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#define VECTORS "selftests/vectors/"
#define CORPUS "selftests/fuzz/corpus/"
#define HEX_LINE 32 /* bytes */

struct vectors {
	const char *path;
	void (*write)(FILE *out);
};

static inline void put_hex(FILE *out, const char *name, const void *bytes,
			   size_t len)
{
	const uint8_t *p = bytes;
	size_t i;

	fprintf(out, "%-8s%s", name, len ? "" : "-");
	for (i = 0; i < len; i++) {
		if (i && i % HEX_LINE == 0)
			fprintf(out, "\n%8s", "");
		fprintf(out, "%02x", p[i]);
	}
	fputc('\n', out);
}

static inline char *file_read(const char *path)
{
	FILE *in = fopen(path, "re");
	char *text = NULL;
	size_t len = 0;

	if (!in)
		fail_msg("%s: %s (run from the top)", path, strerror(errno));
	if (getdelim(&text, &len, 0, in) < 0)
		fail_msg("%s: empty", path);
	fclose(in);
	return text;
}

/* Text of the value called @name at or behind *@pos; moves behind it. */
static inline char *value_next(const char **pos, const char *name)
{
	char *value = NULL, head[16];
	const char *p;
	size_t len;
	FILE *out;

	snprintf(head, sizeof(head), "\n%-8s", name);
	p = strstr(*pos, head);
	assert_non_null(p);
	out = open_memstream(&value, &len);
	p += strlen(head);
	for (;;) {
		len = strcspn(p, "\n");
		fwrite(p, 1, len, out);
		p += len;
		if (strncmp(p, "\n        ", 9))
			break;
		p += 9;
	}
	fclose(out);
	*pos = p;
	return value;
}

/* Its bytes, in memory that ends where they end. */
static inline uint8_t *bytes_next(const char **pos, const char *name,
				  size_t *len)
{
	char *hex = value_next(pos, name);
	uint8_t *bytes;
	size_t i;

	*len = strlen(hex) / 2;
	bytes = malloc(*len ? *len : 1);
	assert_non_null(bytes);
	for (i = 0; i < *len; i++)
		assert_int_equal(sscanf(hex + 2 * i, "%2hhx", &bytes[i]), 1);
	free(hex);
	return bytes;
}

static inline const char *section(const char *text, const char *name)
{
	char head[64];
	const char *p;

	snprintf(head, sizeof(head), "\n== %s", name);
	p = strstr(text, head);
	if (!p)
		fail_msg("no vector %s", name);
	return p + strlen(head);
}

/* The file is, byte for byte, what would be written today. */
static inline void assert_file_is_current(const struct vectors *v)
{
	char *have = file_read(v->path), *want = NULL;
	size_t len, line = 1, i;
	FILE *out = open_memstream(&want, &len);

	v->write(out);
	fclose(out);
	for (i = 0; have[i] && have[i] == want[i]; i++)
		line += have[i] == '\n';
	if (have[i] != want[i])
		fail_msg("%s:%zu: this is not what is written today", v->path,
			 line);
	free(have);
	free(want);
}

/* Write a file of vectors. Return: 0, or 1 and said why. */
static inline int vectors_write(const struct vectors *v)
{
	FILE *out = fopen(v->path, "we");

	if (out)
		v->write(out);
	if (out && !fclose(out))
		return 0;
	perror(v->path);
	return 1;
}

/* A file among the seeds of @fuzzer. Return: 0, or 1 and said why. */
static inline int seed_write(const char *fuzzer, const char *name,
			     const void *buf, size_t len)
{
	char path[256];
	FILE *out;

	snprintf(path, sizeof(path), CORPUS "%s", fuzzer);
	mkdir(path, 0777);
	snprintf(path, sizeof(path), CORPUS "%s/%s", fuzzer, name);
	out = fopen(path, "we");
	if (!out || fwrite(buf, 1, len, out) != len || fclose(out)) {
		perror(path);
		return 1;
	}
	return 0;
}

#endif
