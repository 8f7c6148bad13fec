// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * backup: what is written is read back; anything else is refused, wherever it is damaged, and a
 * disk that is full leaves nothing behind.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backup.h"
#include "batch.h"

#define N_FLOWS 40

struct place {
	char dir[64];
	char path[100];
	char tmp[100];
	struct keys keys;
	struct keys others;
	uint8_t *bytes;
	size_t len;
};

static const struct backup_head head = {
	.time_us = 1767225600000000, .epoch = 7, .history = { 1, 2, 3 }, .node_id = "fw1",
};

static int set_up(void **state)
{
	struct place *p = calloc(1, sizeof(*p));

	strcpy(p->dir, "/tmp/flyrep-backup-XXXXXX");
	assert_non_null(mkdtemp(p->dir));
	snprintf(p->path, sizeof(p->path), "%s/one", p->dir);
	snprintf(p->tmp, sizeof(p->tmp), "%s/one.tmp", p->dir);
	assert_int_equal(keys_init(&p->keys, "a secret of all nodes", 21), 0);
	assert_int_equal(keys_init(&p->others, "a secret of others", 18), 0);
	*state = p;
	return 0;
}

static int tear_down(void **state)
{
	struct place *p = *state;

	unlink(p->path);
	assert_int_equal(rmdir(p->dir), 0);
	free(p->bytes);
	free(p);
	return 0;
}

static void refuse_none(void *cookie, unsigned int bucket, const char *why)
{
	(void)cookie;
	(void)bucket;
	fail_msg("refused: %s", why);
}

static struct flyrep_ct flow(unsigned int n)
{
	struct flyrep_ct ct = { .family = AF_INET, .proto = IPPROTO_UDP, .zone_dir = 3 };

	ct.orig.src.word[0] = ct.reply.dst.word[0] = htonl(0x0a000000 + n);
	ct.orig.dst.word[0] = ct.reply.src.word[0] = htonl(0xc0000201);
	ct.orig.sport = ct.reply.dport = htons(1000);
	ct.orig.dport = ct.reply.sport = htons(53);
	return ct;
}

/* A backup of N_FLOWS flows in several frames; says that it has @n_said. */
static int make(struct place *p, const struct keys *keys, bool compress, unsigned int n_said)
{
	struct backup_table table = { .id = FLYREP_TABLE_CONNTRACK, .entries = n_said,
				      .digest = 0x123456789abcdef0 };
	struct batch *batch = batch_new(fr_table_by_id(FLYREP_TABLE_CONNTRACK), 16);
	struct encoder *e = encoder_new(compress);
	const uint8_t *frame;
	struct backup *b;
	unsigned int i;
	ssize_t len;
	int rc = backup_new(&b, p->path, keys, &head);

	for (i = 0; !rc && i < N_FLOWS; i++) {
		struct flyrep_ct ct = flow(i);

		batch_add(batch, &ct, FLYREP_OP_INSERT, 0, 0);
		if (!batch_is_full(batch) && i < N_FLOWS - 1)
			continue;
		len = batch_encode(batch, e, 0, FR_FRAME_F_REPAIR, &frame, refuse_none, NULL);
		assert_true(len > 0);
		backup_put(b, frame, len); /* an error sticks */
		batch_reset(batch);
	}
	if (!rc)
		rc = backup_end(b, &table, 1);
	batch_free(batch);
	encoder_free(e);
	return rc;
}

static void load(struct place *p)
{
	struct stat st;
	int fd = open(p->path, O_RDONLY);

	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &st), 0);
	free(p->bytes);
	p->len = st.st_size;
	p->bytes = malloc(p->len + 1);
	assert_int_equal(read(fd, p->bytes, p->len), p->len);
	close(fd);
	assert_int_equal(st.st_mode & 0777, 0600);
}

static int on_batch(void *cookie, const struct fr_table *table, const void *recs, size_t n)
{
	const struct flyrep_ct *ct = recs;
	unsigned int *seen = cookie;

	assert_int_equal(table->id, FLYREP_TABLE_CONNTRACK);
	for (; n; n--, ct = fr_record_next(table, ct))
		assert_int_equal(ct->orig.src.word[0], flow((*seen)++).orig.src.word[0]);
	return 0;
}

static int check(const struct place *p, const struct keys *keys, char why[200])
{
	struct backup_contents c;

	return backup_read(p->bytes, p->len, keys, &c, NULL, NULL, why, 200);
}

static void what_is_written_is_read(void **state)
{
	struct place *p = *state;
	struct backup_contents c;
	unsigned int i, seen;
	char why[200] = "";

	for (i = 0; i < 4; i++) {
		const struct keys *keys = i & 1 ? &p->keys : NULL;

		seen = 0;
		assert_int_equal(make(p, keys, i & 2, N_FLOWS), 0);
		assert_int_equal(access(p->tmp, F_OK), -1);
		load(p);
		assert_int_equal(backup_read(p->bytes, p->len, keys, &c, on_batch, &seen, why,
					     sizeof(why)), 0);
		assert_int_equal(seen, N_FLOWS);
		assert_memory_equal(&c.head, &head, sizeof(head));
		assert_int_equal(c.n_tables, 1);
		assert_int_equal(c.tables[0].entries, N_FLOWS);
		assert_true(c.tables[0].digest == 0x123456789abcdef0);
		assert_int_equal(c.n_frames, 3);
		assert_int_equal(c.is_encrypted, i & 1);
		/* What is encrypted shows none of it: 10.0.0.x is in each frame. */
		if (i == 1)
			assert_null(memmem(p->bytes, p->len, "fw1", 3));
	}
}

static void damage_is_found_wherever_it_is(void **state)
{
	struct place *p = *state;
	unsigned int i, k;
	char why[200];

	for (k = 0; k < 2; k++) {
		assert_int_equal(make(p, k ? &p->keys : NULL, true, N_FLOWS), 0);
		load(p);
		for (i = 0; i < p->len * 8; i++) {
			p->bytes[i / 8] ^= 1u << i % 8;
			why[0] = '\0';
			assert_true(check(p, k ? &p->keys : NULL, why) < 0);
			assert_true(!strncmp(why, "offset ", 7));
			p->bytes[i / 8] ^= 1u << i % 8;
		}
		for (i = p->len; i--;) {
			p->len = i;
			assert_int_equal(check(p, k ? &p->keys : NULL, why), -EBADMSG);
		}
	}
}

static void what_is_moved_or_added_is_found(void **state)
{
	struct place *p = *state;
	uint8_t *other;
	char why[200];
	size_t at, len;

	assert_int_equal(make(p, &p->keys, false, N_FLOWS), 0);
	load(p);
	p->bytes[p->len++] = 0;
	assert_int_equal(check(p, &p->keys, why), -EBADMSG);
	assert_non_null(strstr(why, "something follows the end"));
	/* The last chunk of another file, encrypted with the same secret. */
	other = p->bytes;
	p->bytes = NULL;
	assert_int_equal(make(p, &p->keys, false, N_FLOWS), 0);
	load(p);
	at = p->len - 16 - 5 - 26;
	memcpy(p->bytes + at, other + at, p->len - at);
	assert_int_equal(check(p, &p->keys, why), -EBADMSG);
	assert_non_null(strstr(why, "the checksum is wrong"));
	free(other);
	/* Two frames of the same length, the one in place of the other. */
	assert_int_equal(make(p, NULL, false, N_FLOWS), 0);
	load(p);
	at = 36;
	len = p->bytes[at + 3] + 5 + 16;
	at += len;
	len = (p->bytes[at + 2] << 8 | p->bytes[at + 3]) + 5 + 16;
	assert_memory_equal(p->bytes + at, p->bytes + at + len, 5);
	other = malloc(len);
	memcpy(other, p->bytes + at, len);
	memmove(p->bytes + at, p->bytes + at + len, len);
	memcpy(p->bytes + at + len, other, len);
	assert_int_equal(check(p, NULL, why), -EBADMSG);
	assert_non_null(strstr(why, "the checksum is wrong"));
	free(other);
}

static void what_is_not_ours_is_refused(void **state)
{
	struct place *p = *state;
	char why[200];

	assert_int_equal(make(p, &p->keys, true, N_FLOWS), 0);
	load(p);
	assert_int_equal(check(p, &p->others, why), -EKEYREJECTED);
	assert_string_equal(why, "offset 0: encrypted with another secret");
	assert_int_equal(check(p, NULL, why), -EKEYREJECTED);
	p->bytes[9] = 2;
	assert_int_equal(check(p, &p->keys, why), -EPROTONOSUPPORT);
	assert_string_equal(why, "offset 0: version 2, and this program reads 1");
	p->bytes[0] = 'f';
	assert_int_equal(check(p, &p->keys, why), -EBADMSG);
	assert_string_equal(why, "offset 0: this is no backup");
	/* One that says it has more than it has. */
	assert_int_equal(make(p, NULL, true, N_FLOWS + 1), 0);
	load(p);
	assert_int_equal(check(p, NULL, why), -EBADMSG);
	assert_non_null(strstr(why, "40 records of table 1, and 41 were written"));
}

static void a_full_disk_leaves_the_last_one(void **state)
{
	struct rlimit was, small = { .rlim_cur = 300 };
	struct place *p = *state;
	char why[200];

	assert_int_equal(make(p, NULL, false, N_FLOWS), 0);
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &was), 0);
	small.rlim_max = was.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	assert_int_equal(make(p, &p->keys, false, N_FLOWS), -EFBIG);
	small.rlim_cur = 10; /* not even the preamble */
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	assert_int_equal(make(p, &p->keys, false, N_FLOWS), -EFBIG);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &was), 0);
	assert_int_equal(access(p->tmp, F_OK), -1);
	load(p);
	assert_int_equal(check(p, NULL, why), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_is_written_is_read, set_up, tear_down),
		cmocka_unit_test_setup_teardown(damage_is_found_wherever_it_is, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_is_moved_or_added_is_found, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_is_not_ours_is_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_full_disk_leaves_the_last_one, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
