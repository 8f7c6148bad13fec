// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A backup of any bytes, and one whose checksums are right though its chunks are not: the input is
 * taken as chunks (type, two bytes of length, payload) that are sealed here as the writer does.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "backup.h"

#define PREAMBLE_LEN 36

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void must(bool is_so)
{
	if (!is_so)
		abort();
}

static int on_batch(void *cookie, const struct fr_table *table, const void *recs, size_t n)
{
	const char *why;

	(void)cookie;
	for (; n; n--, recs = fr_record_next(table, recs))
		must(!table->check(recs, &why));
	return 0;
}

static void read_it(const uint8_t *bytes, size_t len)
{
	struct backup_contents c;
	char why[200] = "";
	int rc = backup_read(bytes, len, NULL, &c, on_batch, NULL, why, sizeof(why));

	must(rc == 0 || rc == -EBADMSG || rc == -EPROTONOSUPPORT || rc == -EKEYREJECTED);
	must(!rc || !strncmp(why, "offset ", 7));
	must(c.n_tables <= FR_TABLES_MAX || rc);
}

/* Append a chunk with its check; @context: room for what that is over. */
static size_t seal(uint8_t *file, size_t at, uint64_t n, const uint8_t *payload, size_t len,
		   uint8_t type)
{
	static uint8_t context[PREAMBLE_LEN + 13 + 65536];
	uint8_t md[EVP_MAX_MD_SIZE];
	struct fr_writer w;
	unsigned int md_len;

	fr_writer_init(&w, context, sizeof(context));
	fr_put_bytes(&w, file, PREAMBLE_LEN);
	fr_put_be64(&w, n);
	fr_put_be32(&w, len);
	fr_put_u8(&w, type);
	fr_put_bytes(&w, payload, len);
	must(!w.bad);
	must(EVP_Digest(context, fr_writer_len(&w), md, &md_len, EVP_sha256(), NULL));
	memcpy(file + at, context + PREAMBLE_LEN + 8, 5 + len);
	memcpy(file + at + 5 + len, md, 16);
	return at + 5 + len + 16;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const uint8_t preamble[PREAMBLE_LEN] = "FLYREPBK\0\1";
	static uint8_t file[4 << 20];
	size_t at = PREAMBLE_LEN;
	uint64_t n;

	read_it(data, len);
	memcpy(file, preamble, PREAMBLE_LEN);
	for (n = 0; len >= 3 && at < sizeof(file) - 70000; n++) {
		size_t part = data[1] << 8 | data[2];

		part = part < len - 3 ? part : len - 3;
		at = seal(file, at, n, data + 3, part, data[0]);
		data += 3 + part;
		len -= 3 + part;
	}
	read_it(file, at);
	return 0;
}
