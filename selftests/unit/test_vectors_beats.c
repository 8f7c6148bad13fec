// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The golden vectors of heartbeats hold their bytes.
 *
 * With --write they are written anew, and the seeds of fuzz_beat. A difference in an old vector
 * is another wire version.
 */
#include "vectors.h"

#include "beat.h"
#include "keys.h"

#define N_OF(array) (sizeof(array) / sizeof((array)[0]))
#define SECRET "0123456789abcdef0123456789abcdef"

static const struct {
	const char *name, *about;
	struct fr_beat m;
} beats[] = {
	{ "beat-ping", "a primary asks a witness whose name it does not know yet",
	  { .kind = FR_BEAT_PING, .role = FR_ROLE_PRIMARY, .votes = 3, .priority = 100,
	    .stamp = { 0x0123456789abcdef, 1 }, .epoch = 7, .promised = 7,
	    .since_us = 1700000000000000, .primary_epoch = 7, .from = "fw1", .to = "*",
	    .primary = "fw1" } },
	{ "beat-pong", "which answers, and has heard of it by another",
	  { .kind = FR_BEAT_PONG, .role = FR_BEAT_WITNESS, .votes = 3, .priority = 100,
	    .stamp = { 0xfedcba9876543210, 17 }, .echo = { 0x0123456789abcdef, 1 }, .epoch = 7,
	    .promised = 7, .primary_epoch = 7, .from = "witness", .to = "fw1", .primary = "fw1" } },
	{ "beat-ask", "a backup wants to take over",
	  { .kind = FR_BEAT_ASK, .role = FR_ROLE_BACKUP, .rule = 2, .votes = 3, .priority = 200,
	    .stamp = { 0x1111111111111111, 300 }, .echo = { 0xfedcba9876543210, 18 }, .epoch = 7,
	    .promised = 8, .ballot = 8, .from = "fw2", .to = "witness" } },
	{ "beat-vote", "and may not: it hears the primary",
	  { .kind = FR_BEAT_VOTE, .role = FR_BEAT_WITNESS, .verdict = FR_BEAT_PRIMARY, .votes = 3,
	    .priority = 100, .stamp = { 0xfedcba9876543210, 19 },
	    .echo = { 0x1111111111111111, 300 }, .epoch = 7, .promised = 7, .ballot = 8,
	    .primary_epoch = 7, .from = "witness", .to = "fw2", .primary = "fw1" } },
};

static void make_key(struct fr_beat_key *key)
{
	struct keys k;

	if (keys_init(&k, SECRET, strlen(SECRET)) || keys_heartbeat(&k, key))
		abort();
}

static void seal(uint8_t buf[FR_BEAT_LEN], const struct fr_beat *m)
{
	struct fr_beat_key key;

	make_key(&key);
	if (fr_beat_seal(buf, m, &key))
		abort();
}

static void write_beats(FILE *out)
{
	uint8_t buf[FR_BEAT_LEN];
	struct fr_beat_key key;
	size_t i;

	make_key(&key);
	fprintf(out, "# Heartbeats. What they mean: docs/protocol.md\n"
		     "# Written by build/unit/test_vectors_beats --write\n"
		     "\n== beat-key: of the secret %s\n", SECRET);
	put_hex(out, "key", key.b, sizeof(key.b));
	for (i = 0; i < N_OF(beats); i++) {
		const struct fr_beat *m = &beats[i].m;

		seal(buf, m);
		fprintf(out, "\n== %s: %s\n", beats[i].name, beats[i].about);
		fprintf(out, "from    %s\nto      %s\nprimary %s, epoch %lu\n", m->from, m->to,
			m->primary[0] ? m->primary : "-", m->primary_epoch);
		fprintf(out, "kind    %u, role %u, verdict %u, rule %u, votes %u, priority %u\n",
			m->kind, m->role, m->verdict, m->rule, m->votes, m->priority);
		fprintf(out, "stamp   %016lx %lu, echo %016lx %lu\n", m->stamp.session,
			m->stamp.counter, m->echo.session, m->echo.counter);
		fprintf(out, "epoch   %lu, promised %lu, ballot %lu, since %lu\n", m->epoch,
			m->promised, m->ballot, m->since_us);
		put_hex(out, "bytes", buf, sizeof(buf));
	}
}

static const struct vectors vectors = { VECTORS "beats.txt", write_beats };

static void the_encoder_writes_the_vectors(void **state)
{
	(void)state;
	assert_file_is_current(&vectors);
}

static void beats_are_read_back(void **state)
{
	char *text = file_read(vectors.path);
	struct fr_beat_key key;
	struct fr_beat got;
	size_t i, len;

	(void)state;
	make_key(&key);
	for (i = 0; i < N_OF(beats); i++) {
		const char *pos = section(text, beats[i].name);
		uint8_t *bytes = bytes_next(&pos, "bytes", &len);

		assert_int_equal(fr_beat_open(&got, bytes, len, &key, 1), 0);
		assert_int_equal(got.stamp.counter, beats[i].m.stamp.counter);
		assert_string_equal(got.primary, beats[i].m.primary);
		free(bytes);
	}
	free(text);
}

/* fuzz_beat: all but the MAC */
static int seeds_of_beats(void)
{
	uint8_t buf[FR_BEAT_LEN];
	size_t i;
	int bad = 0;

	for (i = 0; i < N_OF(beats); i++) {
		seal(buf, &beats[i].m);
		bad |= seed_write("beat", beats[i].name, buf, FR_BEAT_LEN - FR_BEAT_MAC_LEN);
	}
	return bad;
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_encoder_writes_the_vectors),
		cmocka_unit_test(beats_are_read_back),
	};

	if (argc == 2 && !strcmp(argv[1], "--write"))
		return vectors_write(&vectors) | seeds_of_beats();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
