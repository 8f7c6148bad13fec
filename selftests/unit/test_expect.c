// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Expectations: their keys, what is refused, how they travel; and their golden vectors.
 *
 * With --write these are written anew, and seeds of fuzz_items. A difference in an old vector
 * is another wire version.
 */
#include "vectors.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include "expect.h"

#define N_OF(array) (sizeof(array) / sizeof((array)[0]))

static const struct fr_siphash_key hash_key = { { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9,
						  10, 11, 12, 13, 14, 15 } };

static union flyrep_addr addr(uint8_t family, const char *text)
{
	union flyrep_addr a = { { 0 } };

	if (text)
		assert_int_equal(inet_pton(family, text, a.byte), 1);
	return a;
}

/* FTP through source NAT: the server may open a connection to the announced port. */
static struct flyrep_expect ftp(void)
{
	return (struct flyrep_expect){
		.rec.op = FLYREP_OP_UPDATE,
		.family = AF_INET,
		.proto = IPPROTO_TCP,
		.master_proto = IPPROTO_TCP,
		.zone_dir = 3,
		.master = { .src = addr(AF_INET, "10.1.0.5"),
			    .dst = addr(AF_INET, "198.51.100.7"),
			    .sport = htons(40000),
			    .dport = htons(21) },
		.tuple = { .src = addr(AF_INET, "198.51.100.7"),
			   .dst = addr(AF_INET, "203.0.113.1"),
			   .dport = htons(7000) },
		.mask_src = addr(AF_INET, "255.255.255.255"),
		.timeout_s = 299,
		.nat_dir = 1,
		.nat_port = htons(7000),
		.expectfn = "nat-follow-master",
	};
}

/* SIP over IPv6, in a zone: lasts, and gives its helper on. */
static struct flyrep_expect sip(void)
{
	return (struct flyrep_expect){
		.rec.op = FLYREP_OP_INSERT,
		.family = AF_INET6,
		.proto = IPPROTO_UDP,
		.master_proto = IPPROTO_TCP,
		.zone_dir = 1,
		.zone = 0x1234,
		.master = { .src = addr(AF_INET6, "2001:db8:1::5"),
			    .dst = addr(AF_INET6, "2001:db8:2::53"),
			    .sport = htons(5060),
			    .dport = htons(5061) },
		.tuple = { .dst = addr(AF_INET6, "2001:db8:1::5"),
			   .sport = htons(1),
			   .dport = htons(5062) },
		.mask_sport = htons(0xff00),
		.flags = 3,
		.timeout_s = 3600,
		.class = 1,
		.nat_addr = addr(AF_INET6, "2001:db8:3::1"),
		.helper = "sip",
	};
}

static struct flyrep_expect gone(void)
{
	struct flyrep_expect e = ftp();

	memset(&e.flags, 0, sizeof(e) - offsetof(struct flyrep_expect, flags));
	e.rec.op = FLYREP_OP_DELETE;
	return e;
}

static const struct {
	const char *name;
	const char *about;
	struct flyrep_expect (*make)(void);
} vectors_of[] = {
	{ "ftp", "a data connection, source NAT", ftp },
	{ "sip", "a registration, IPv6, in a zone", sip },
	{ "delete", "of the first", gone },
};

static size_t encode(uint8_t *buf, size_t size, const struct flyrep_expect *e,
		     size_t n)
{
	struct fr_writer w;

	fr_writer_init(&w, buf, size);
	assert_int_equal(fr_expect_table.encode(&w, e, n), 0);
	return fr_writer_len(&w);
}

/* --- the vectors -------------------------------------------------------- */

static void write_vectors(FILE *out)
{
	uint8_t key[FR_KEY_MAX_LEN] __attribute__((aligned(8))), buf[512];
	size_t i;

	fputs("# Batches of one expectation: what is sent, and its bytes.\n"
	      "# Hash key of digest: 000102030405060708090a0b0c0d0e0f\n"
	      "# Written by: build/unit/test_expect --write\n",
	      out);
	for (i = 0; i < N_OF(vectors_of); i++) {
		struct flyrep_expect e = vectors_of[i].make();
		json_t *obj = fr_expect_table.to_json(&e);
		char *text = json_dumps(obj, JSON_COMPACT);

		fprintf(out, "\n== %s: %s\n%-8s%s\n", vectors_of[i].name,
			vectors_of[i].about, "record", text);
		put_hex(out, "key", key, fr_expect_table.key(key, &e));
		if (e.rec.op != FLYREP_OP_DELETE)
			fprintf(out, "%-8s%016llx\n", "digest",
				(unsigned long long)fr_expect_table.digest(
					&e, &hash_key));
		put_hex(out, "columns", buf, encode(buf, sizeof(buf), &e, 1));
		free(text);
		json_decref(obj);
	}
}

static const struct vectors vectors = { VECTORS "expect.txt", write_vectors };

static void the_encoder_writes_the_vectors(void **state)
{
	(void)state;
	assert_file_is_current(&vectors);
}

static void what_was_sent_is_read(void **state)
{
	char *text = file_read(vectors.path);
	size_t i, n, len;

	(void)state;
	for (i = 0; i < N_OF(vectors_of); i++) {
		const char *pos = section(text, vectors_of[i].name);
		struct flyrep_expect want = vectors_of[i].make(), got;
		uint8_t *columns = bytes_next(&pos, "columns", &len);
		struct fr_reader r;
		size_t cut;

		fr_reader_init(&r, columns, len);
		assert_int_equal(fr_expect_table.decode(&r, &got, sizeof(got),
							1, &n),
				 0);
		assert_int_equal(n, 1);
		assert_int_equal(fr_reader_left(&r), 0);
		assert_memory_equal(&got, &want, sizeof(got));
		/* Less of it is nothing; so is one too many. */
		for (cut = 0; cut < len; cut++) {
			uint8_t *less = malloc(cut ? cut : 1);

			memcpy(less, columns, cut);
			fr_reader_init(&r, less, cut);
			assert_int_equal(fr_expect_table.decode(&r, &got,
								sizeof(got), 1,
								&n),
					 -EBADMSG);
			free(less);
		}
		fr_reader_init(&r, columns, len);
		assert_int_equal(
			fr_expect_table.decode(&r, &got, sizeof(got), 0, &n),
			-EBADMSG);
		fr_reader_init(&r, columns, len);
		assert_int_equal(fr_expect_table.decode(&r, &got,
							sizeof(got) - 1, 1, &n),
				 -EBADMSG);
		free(columns);
	}
	free(text);
}

/* --- keys, digest, check ------------------------------------------------ */

static void a_key_gives_its_fields_back(void **state)
{
	uint8_t key[FR_KEY_MAX_LEN] __attribute__((aligned(8)));
	uint8_t again[FR_KEY_MAX_LEN] __attribute__((aligned(8)));
	struct flyrep_expect back;
	size_t i, k;

	(void)state;
	for (i = 0; i < N_OF(vectors_of); i++) {
		struct flyrep_expect e = vectors_of[i].make();
		unsigned int len = fr_expect_table.key(key, &e);

		memset(&back, 0, sizeof(back));
		assert_int_equal(fr_expect_table.from_key(&back, key, len), 0);
		assert_int_equal(fr_expect_table.key(again, &back), len);
		assert_memory_equal(key, again, len);
		assert_memory_equal(&back.family, &e.family,
				    offsetof(struct flyrep_expect, flags) -
					    offsetof(struct flyrep_expect,
						     family));
		/* Every byte of it tells keys apart. */
		for (k = 0; k < len; k++) {
			key[k] ^= 1;
			memset(&back, 0, sizeof(back));
			if (!fr_expect_table.from_key(&back, key, len)) {
				assert_int_equal(
					fr_expect_table.key(again, &back), len);
				assert_memory_equal(key, again, len);
			}
			key[k] ^= 1;
		}
		memset(&back, 0, sizeof(back));
		assert_int_equal(fr_expect_table.from_key(&back, key, len - 1),
				 -EINVAL);
	}
}

static void the_digest_covers_what_counts(void **state)
{
	struct flyrep_expect e = sip();
	uint64_t digest = fr_expect_table.digest(&e, &hash_key);

	(void)state;
#define SAME(change)                                                          \
	do {                                                                  \
		e = sip();                                                    \
		change;                                                       \
		assert_true(fr_expect_table.digest(&e, &hash_key) == digest); \
	} while (0)
#define DIFFERS(change)                                                       \
	do {                                                                  \
		e = sip();                                                    \
		change;                                                       \
		assert_true(fr_expect_table.digest(&e, &hash_key) != digest); \
	} while (0)
	SAME(e.timeout_s = 1);
	SAME(e.flags |= 4);
	SAME(e.rec.id = 7);
	SAME(e.rec.stamp = 7);
	SAME(e.rec.flags = FLYREP_REC_F_REMOTE);
	DIFFERS(e.flags = 1);
	DIFFERS(e.class = 0);
	DIFFERS(e.nat_dir = 1);
	DIFFERS(e.nat_port = 1);
	DIFFERS(e.nat_addr.byte[15]++);
	DIFFERS(e.helper[0]++);
	DIFFERS(e.expectfn[0] = 'x');
	DIFFERS(e.tuple.dport++);
	DIFFERS(e.mask_sport = 0);
	DIFFERS(e.master.sport++);
}

static void what_the_kernel_would_refuse_is_refused(void **state)
{
	struct flyrep_expect e;
	const char *why;

	(void)state;
#define REFUSED(text, change)                                            \
	do {                                                             \
		e = ftp();                                               \
		change;                                                  \
		assert_int_equal(fr_expect_table.check(&e, &why),        \
				 -EINVAL);                               \
		assert_string_equal(why, text);                          \
	} while (0)
	REFUSED("unknown operation", e.rec.op = 0);
	REFUSED("unknown operation", e.rec.op = FLYREP_OP_DELETE + 1);
	REFUSED("an expectation has no tail", e.rec.tail_len = 8);
	REFUSED("unknown address family", e.family = 0);
	REFUSED("no protocol", e.proto = 0);
	REFUSED("no protocol", e.master_proto = 0);
	REFUSED("ICMPv6 in an IPv4 flow", e.proto = IPPROTO_ICMPV6);
	REFUSED("ports of a protocol without ports", e.proto = IPPROTO_ESP);
	REFUSED("zone direction out of range", e.zone_dir = 0);
	REFUSED("zone direction out of range", e.zone_dir = 4);
	REFUSED("unused address words are set", e.master.dst.word[1] = 1);
	REFUSED("unused address words are set", e.tuple.src.word[3] = 1);
	REFUSED("unused address words are set", e.mask_src.word[2] = 1);
	REFUSED("unused address words are set", e.nat_addr.word[1] = 1);
	REFUSED("class out of range", e.class = FLYREP_EXPECT_CLASSES);
	REFUSED("direction out of range", e.nat_dir = 2);
	REFUSED("reserved bytes are set", e.reserved[0] = 1);
	REFUSED("a name is not padded with zeros", e.helper[15] = 'x');
	REFUSED("a name is not padded with zeros",
		memset(e.expectfn, 'x', sizeof(e.expectfn)));
	/* Of a DELETE the value is not looked at. */
	e = gone();
	e.class = 99;
	assert_int_equal(fr_expect_table.check(&e, &why), 0);
}

static void several_travel_together(void **state)
{
	struct flyrep_expect e[] = { ftp(), sip(), gone(), ftp() }, got[N_OF(e)];
	struct fr_reader r;
	struct fr_writer w;
	uint8_t buf[1024];
	size_t n, len;

	(void)state;
	len = encode(buf, sizeof(buf), e, N_OF(e));
	fr_reader_init(&r, buf, len);
	assert_int_equal(fr_expect_table.decode(&r, got, sizeof(got), 8, &n),
			 0);
	assert_int_equal(n, N_OF(e));
	assert_memory_equal(e, got, sizeof(e));
	fr_writer_init(&w, buf, len - 1);
	assert_int_equal(fr_expect_table.encode(&w, e, N_OF(e)), -ENOSPC);
	e[1].class = 9;
	fr_writer_init(&w, buf, sizeof(buf));
	assert_int_equal(fr_expect_table.encode(&w, e, N_OF(e)), -EINVAL);
}

/* --- writing ------------------------------------------------------------ */

static int seeds(void)
{
	uint8_t buf[512];
	size_t i;
	int bad = 0;

	for (i = 0; i < N_OF(vectors_of); i++) {
		struct flyrep_expect e = vectors_of[i].make();

		/* fuzz_items: the table, then a batch */
		buf[0] = FLYREP_TABLE_EXPECTATION - FLYREP_TABLE_LEASE;
		bad |= seed_write("items", vectors_of[i].name, buf,
				  1 + encode(buf + 1, sizeof(buf) - 1, &e, 1));
	}
	return bad;
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_encoder_writes_the_vectors),
		cmocka_unit_test(what_was_sent_is_read),
		cmocka_unit_test(a_key_gives_its_fields_back),
		cmocka_unit_test(the_digest_covers_what_counts),
		cmocka_unit_test(what_the_kernel_would_refuse_is_refused),
		cmocka_unit_test(several_travel_together),
	};

	if (argc == 2 && !strcmp(argv[1], "--write"))
		return vectors_write(&vectors) | seeds();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
