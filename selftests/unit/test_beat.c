// SPDX-License-Identifier: GPL-2.0-or-later
/* The datagram of heartbeats: what comes back, and that nothing else is believed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "beat.h"

#define BODY_LEN (FR_BEAT_LEN - FR_BEAT_MAC_LEN)

static const struct fr_beat_key keys[] = { { "one" }, { "two" }, { "three" } };
static unsigned int seed = 1;

static uint64_t any(void)
{
	uint64_t n = 0;
	int i;

	for (i = 0; i < 8; i++)
		n = n << 8 | (rand_r(&seed) & 0xff);
	return n >> rand_r(&seed) % 64;
}

static void any_id(char *id)
{
	static const char letters[] = "abcXYZ019._-";
	int len = 1 + rand_r(&seed) % FR_NODE_ID_MAX_LEN;

	memset(id, 0, FR_NODE_ID_MAX_LEN + 1);
	while (len--)
		id[len] = letters[rand_r(&seed) % (sizeof(letters) - 1)];
}

static struct fr_beat make(void)
{
	struct fr_beat m = {
		.kind = FR_BEAT_PING + rand_r(&seed) % 4,
		.role = rand_r(&seed) % (FR_ROLE_PEER + 1),
		.rule = rand_r(&seed) % 3,
		.votes = any(),
		.priority = any(),
		.stamp = { any() | 1, any() | 1 },
		.echo = { any(), any() },
		.epoch = any(),
		.promised = any(),
		.since_us = any(),
		.primary_epoch = rand_r(&seed) % 2 ? any() | 1 : 0,
	};

	any_id(m.from);
	any_id(m.to);
	if (rand_r(&seed) % 4 == 0)
		strcpy(m.to, FR_BEAT_ANYONE);
	if (m.primary_epoch)
		any_id(m.primary);
	if (m.kind >= FR_BEAT_ASK)
		m.ballot = any() | 1;
	if (m.kind == FR_BEAT_VOTE)
		m.verdict = FR_BEAT_GRANTED + rand_r(&seed) % FR_BEAT_FAILED;
	return m;
}

static void assert_same(const struct fr_beat *a, const struct fr_beat *b)
{
	assert_int_equal(a->kind, b->kind);
	assert_int_equal(a->role, b->role);
	assert_int_equal(a->verdict, b->verdict);
	assert_int_equal(a->rule, b->rule);
	assert_int_equal(a->votes, b->votes);
	assert_int_equal(a->priority, b->priority);
	assert_memory_equal(&a->stamp, &b->stamp, sizeof(a->stamp));
	assert_memory_equal(&a->echo, &b->echo, sizeof(a->echo));
	assert_int_equal(a->epoch, b->epoch);
	assert_int_equal(a->promised, b->promised);
	assert_int_equal(a->ballot, b->ballot);
	assert_int_equal(a->since_us, b->since_us);
	assert_int_equal(a->primary_epoch, b->primary_epoch);
	assert_string_equal(a->from, b->from);
	assert_string_equal(a->to, b->to);
	assert_string_equal(a->primary, b->primary);
}

static void what_is_sealed_comes_back(void **state)
{
	uint8_t buf[FR_BEAT_LEN];
	struct fr_beat m, got;
	size_t i, k;

	(void)state;
	for (i = 0; i < 3000; i++) {
		m = make();
		k = i % 3;
		assert_int_equal(fr_beat_seal(buf, &m, &keys[k]), 0);
		assert_int_equal(fr_beat_open(&got, buf, sizeof(buf), keys, 3), k);
		assert_same(&m, &got);
		/* Without its key, or with none */
		assert_int_equal(fr_beat_open(&got, buf, sizeof(buf), keys, k), -EACCES);
	}
}

static void every_bit_counts(void **state)
{
	uint8_t buf[FR_BEAT_LEN];
	struct fr_beat m = make(), got;
	size_t i;
	int rc;

	(void)state;
	assert_int_equal(fr_beat_seal(buf, &m, keys), 0);
	for (i = 0; i < 8 * FR_BEAT_LEN; i++) {
		buf[i / 8] ^= 1 << i % 8;
		rc = fr_beat_open(&got, buf, sizeof(buf), keys, 3);
		assert_int_equal(rc, i / 8 < 5 ? -EBADMSG : -EACCES);
		buf[i / 8] ^= 1 << i % 8;
	}
	assert_int_equal(fr_beat_open(&got, buf, sizeof(buf), keys, 3), 0);
}

static void any_other_length_is_refused(void **state)
{
	struct fr_beat m = make(), got;
	uint8_t buf[FR_BEAT_LEN];
	uint8_t *exact;
	size_t len;

	(void)state;
	assert_int_equal(fr_beat_seal(buf, &m, keys), 0);
	for (len = 0; len < FR_BEAT_LEN; len++) {
		exact = malloc(len ? len : 1); /* reading behind it would be seen */
		assert_non_null(exact);
		memcpy(exact, buf, len);
		assert_int_equal(fr_beat_open(&got, exact, len, keys, 3), -EBADMSG);
		free(exact);
	}
	assert_int_equal(fr_beat_open(&got, buf, FR_BEAT_LEN + 1, keys, 3), -EBADMSG);
}

/* Bytes that a node with the secret sends, and that make no sense */
static const struct {
	const char *what;
	size_t at;
	uint8_t byte;
} nonsense[] = {
	{ "kind 0", 5, 0 },
	{ "kind 5", 5, 5 },
	{ "a PONG with a verdict", 7, 1 },
	{ "role 5", 6, 5 },
	{ "a PING with a ballot", 63, 1 },
	{ "rule 3", 82, 3 },
	{ "reserved", 87, 1 },
	{ "no session", 15, 0 },
	{ "no counter", 23, 0 },
	{ "nobody", 88, 0 },
	{ "a name with a space", 88, ' ' },
	{ "a name without an end", 151, 'x' },
	{ "something behind the name", 100, 'x' },
	{ "to nobody", 152, 0 },
	{ "a primary without epoch", 216, 'p' },
	{ "an epoch without primary", 71, 1 },
};

static void nonsense_is_refused(void **state)
{
	const struct fr_beat m = { .kind = FR_BEAT_PONG, .stamp = { 1, 1 }, .from = "a", .to = "b" };
	uint8_t buf[FR_BEAT_LEN];
	struct fr_beat got;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(nonsense) / sizeof(nonsense[0]); i++) {
		assert_int_equal(fr_beat_seal(buf, &m, keys), 0);
		assert_int_not_equal(buf[nonsense[i].at], nonsense[i].byte);
		buf[nonsense[i].at] = nonsense[i].byte;
		assert_non_null(HMAC(EVP_sha256(), keys[0].b, sizeof(keys[0].b), buf, BODY_LEN,
				     buf + BODY_LEN, NULL));
		if (fr_beat_open(&got, buf, sizeof(buf), keys, 3) != -EBADMSG)
			fail_msg("%s", nonsense[i].what);
	}
}

static void nonsense_is_not_sent(void **state)
{
	struct fr_beat m = { .kind = FR_BEAT_VOTE, .stamp = { 1, 1 }, .from = "a", .to = "b" };
	uint8_t buf[FR_BEAT_LEN];

	(void)state;
	assert_int_equal(fr_beat_seal(buf, &m, keys), -EINVAL); /* without a verdict */
	m.verdict = FR_BEAT_GRANTED;
	assert_int_equal(fr_beat_seal(buf, &m, keys), -EINVAL); /* without a ballot */
	m.ballot = 1;
	assert_int_equal(fr_beat_seal(buf, &m, keys), 0);
	strcpy(m.from, FR_BEAT_ANYONE);
	assert_int_equal(fr_beat_seal(buf, &m, keys), -EINVAL);
}

static void every_verdict_has_words(void **state)
{
	unsigned int i;

	(void)state;
	for (i = FR_BEAT_NONE; i <= FR_BEAT_FAILED; i++)
		assert_true(strlen(fr_beat_verdict_text(i)) > 1);
	assert_string_equal(fr_beat_verdict_text(i), "?");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_sealed_comes_back),
		cmocka_unit_test(every_bit_counts),
		cmocka_unit_test(any_other_length_is_refused),
		cmocka_unit_test(nonsense_is_refused),
		cmocka_unit_test(nonsense_is_not_sent),
		cmocka_unit_test(every_verdict_has_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
