// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Columns of a conntrack batch: whatever is accepted passes the check and
 * survives being encoded and decoded once more.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "conntrack.h"

#define N_MAX 4096
#define RECS_LEN \
	(N_MAX * (sizeof(struct flyrep_ct) + sizeof(struct flyrep_ct_ext)))

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void must(int is_true)
{
	if (!is_true)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static uint8_t recs[RECS_LEN] __attribute__((aligned(8)));
	static uint8_t again[RECS_LEN] __attribute__((aligned(8)));
	static uint8_t buf[RECS_LEN];
	const struct fr_table *t = &fr_conntrack_table;
	const void *rec = recs;
	size_t n, n_again, i;
	struct fr_reader r;
	struct fr_writer w;
	const char *why;
	int err;

	fr_reader_init(&r, data, len);
	err = t->decode(&r, recs, sizeof(recs), N_MAX, &n);
	must(err == 0 || err == -EBADMSG);
	must(n <= N_MAX && (!err || !n));
	if (err)
		return 0;
	for (i = 0; i < n; i++, rec = fr_record_next(t, rec))
		must(t->check(rec, &why) == 0);

	fr_writer_init(&w, buf, sizeof(buf));
	must(t->encode(&w, recs, n) == 0);
	/* The encoder leaves out what it can: never more than came in. */
	must(fr_writer_len(&w) <= len - fr_reader_left(&r));
	fr_reader_init(&r, buf, fr_writer_len(&w));
	must(t->decode(&r, again, sizeof(again), N_MAX, &n_again) == 0);
	must(n_again == n && !fr_reader_left(&r));
	must(!memcmp(recs, again, (size_t)((const uint8_t *)rec - recs)));
	return 0;
}
