// SPDX-License-Identifier: GPL-2.0-or-later
/* What belongs to a zone, what is sensitive, and addresses in disguise. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "anonymize.h"
#include "item.h"
#include "sensitive.h"
#include "zone.h"

#define N_OF(array) (sizeof(array) / sizeof((array)[0]))

/* --- zones --- */

static const char text[] =
	"replication {\n mode = \"replica\"\n node_id = \"a\"\n"
	" zone \"lan\" {\n  interfaces = [\"eth1\", \"eth2\"]\n  networks = [\"10.0.0.0/8\", \"fd00::/9\"]\n }\n"
	" zone \"wan\" {\n  interfaces = [\"eth0\"]\n  networks = [\"192.0.2.0/25\"]\n }\n"
	" zone \"vpn\" {\n  ct_zone = 7\n  ct_mark = \"0x20/0xf0\"\n }\n"
	" filters { zones = [\"lan\", \"guest\"] }\n}\n";

static int load(void **state)
{
	struct fr_config *config = calloc(1, sizeof(*config));
	struct fr_diag diag;
	int err = fr_config_parse("f", text, strlen(text), FR_CONFIG_SECRET_OPTIONAL, config, &diag);

	fr_diag_print(&diag, stderr);
	fr_diag_free(&diag);
	*state = config;
	return err;
}

static int unload(void **state)
{
	fr_config_free(*state);
	free(*state);
	return 0;
}

static void leases_of_zones(void **state)
{
	static const struct {
		const char *ip, *interface, *zone;
		bool is_admitted;
	} leases[] = {
		{ "10.1.2.3", NULL, NULL, true },
		{ "192.0.2.1", NULL, NULL, false },
		{ "192.0.2.200", NULL, NULL, true }, /* of no zone */
		{ NULL, NULL, NULL, true },
		{ NULL, "eth2", NULL, true },
		{ NULL, "eth0", NULL, false },
		{ NULL, "eth", NULL, true },
		{ "192.0.2.1", "eth1", NULL, true }, /* of both */
		{ "192.0.2.1", NULL, "lan", true }, /* what it says itself counts */
		{ "10.1.2.3", NULL, "wan", false },
		{ NULL, NULL, "guest", true },
		{ NULL, NULL, "nowhere", false },
		{ "fd12::/64", NULL, NULL, true },
		{ "fd80::1", NULL, NULL, true },
	};
	void *rec = aligned_alloc(8, FR_ITEM_ROOM);
	char *why;
	size_t i;

	for (i = 0; i < N_OF(leases); i++) {
		const char *texts[FR_ITEM_FIELDS_MAX] = { "s", "01", NULL, leases[i].ip, NULL, NULL,
							  leases[i].interface, leases[i].zone };

		assert_true(fr_item_make(rec, FLYREP_TABLE_LEASE, FLYREP_OP_UPDATE, texts, 0,
					 &why) > 0);
		if (fr_zone_admits(*state, FLYREP_TABLE_LEASE, rec) != leases[i].is_admitted)
			fail_msg("lease %zu", i);
	}
	free(rec);
}

static void flows_of_zones(void **state)
{
	static const struct {
		const char *src, *dst, *reply_src, *reply_dst;
		uint16_t zone;
		uint32_t mark;
		bool is_admitted;
	} flows[] = {
		{ "10.0.0.1", "8.8.8.8", "8.8.8.8", "10.0.0.1", 0, 0, true },
		{ "8.8.8.8", "10.0.0.1", "10.0.0.1", "8.8.8.8", 0, 0, true },
		{ "8.8.8.8", "192.0.2.1", "192.0.2.1", "8.8.8.8", 0, 0, false },
		{ "8.8.8.8", "192.0.2.1", "10.0.0.1", "8.8.8.8", 0, 0, true }, /* DNAT to it */
		{ "8.8.8.8", "9.9.9.9", "9.9.9.9", "192.0.2.1", 0, 0, false }, /* SNAT to it */
		{ "8.8.8.8", "9.9.9.9", "9.9.9.9", "8.8.8.8", 0, 0, true },
		{ "8.8.8.8", "9.9.9.9", "9.9.9.9", "8.8.8.8", 7, 0, false },
		{ "8.8.8.8", "9.9.9.9", "9.9.9.9", "8.8.8.8", 0, 0x12f, false },
		{ "8.8.8.8", "9.9.9.9", "9.9.9.9", "8.8.8.8", 0, 0x130, true },
		{ "10.0.0.1", "9.9.9.9", "9.9.9.9", "10.0.0.1", 7, 0, true },
	};
	size_t i;

	for (i = 0; i < N_OF(flows); i++) {
		struct flyrep_ct ct = { .rec.op = FLYREP_OP_UPDATE, .family = AF_INET,
					.zone = flows[i].zone, .mark = flows[i].mark };

		inet_pton(AF_INET, flows[i].src, ct.orig.src.byte);
		inet_pton(AF_INET, flows[i].dst, ct.orig.dst.byte);
		inet_pton(AF_INET, flows[i].reply_src, ct.reply.src.byte);
		inet_pton(AF_INET, flows[i].reply_dst, ct.reply.dst.byte);
		if (fr_zone_admits(*state, FLYREP_TABLE_CONNTRACK, &ct) != flows[i].is_admitted)
			fail_msg("flow %zu", i);
	}
}

/* --- what is sensitive --- */

static void names_of_fields(void **state)
{
	static char *words[] = { "vendor", "X-Y" };
	const struct fr_config_strings more = { words, 2 }, none = { 0 };

	(void)state;
	assert_true(fr_sensitive_field("password", &none));
	assert_true(fr_sensitive_field("Private_Key", &none));
	assert_false(fr_sensitive_field("vendor", &none));
	assert_true(fr_sensitive_field("vendor", &more));
	assert_true(fr_sensitive_field("x_y", &more));
	assert_false(fr_sensitive_field("vendors", &more));
}

static void files(void **state)
{
	static const struct {
		const char *text;
		unsigned int line;
		const char *word;
	} examples[] = {
		{ "", 0, "" },
		{ "hostname = fw\nport 22\n", 0, "" },
		{ "a = 1\npassword = \"x\"\n", 2, "password" },
		{ "[Interface]\nPrivateKey = abc=\n", 2, "PrivateKey" },
		{ "{\n \"api_token\": \"x\"\n}", 2, "api_token" },
		{ "wan:\n  admin-password: x", 2, "admin-password" },
		{ "secret:\n  - x\n", 1, "secret" },
		{ "vrrp {\n  auth_pass 1234\n}\n", 2, "auth_pass" },
		{ "set vpn pre-shared-secret 'x'", 1, "pre-shared-secret" },
		{ "<Password>x</Password>", 1, "Password" },
		{ "wpa_psk=abc", 1, "wpa_psk" },
		{ "PASSWORD=x", 1, "PASSWORD" },
		{ "#password = x", 1, "password" },
		{ "# the password is elsewhere\n// a secret place\n; a password here", 0, "" },
		{ "password = \"\"\npassword: ''\n\"secret\": \"\",\n", 0, "" },
		{ "secret_key_file = \"/etc/psk\"\nprivate_key_path = x\npassword-dir /x", 0, "" },
		{ "permit password, secret", 0, "" },
		{ "password", 0, "" },
		{ "-----BEGIN CERTIFICATE-----\nxyz\n", 0, "" },
		{ "-----BEGIN EC PRIVATE KEY-----\nxyz\n", 1, "a private key" },
		{ "\xff\xfe bin", 1, "what is no text" },
		{ "snmp_community = x", 1, "snmp_community" },
	};
	static char *words[] = { "Community", "" };
	const struct fr_config_strings more = { words, 2 };
	char word[FR_SENSITIVE_WORD_LEN];
	size_t i;

	(void)state;
	for (i = 0; i < N_OF(examples); i++) {
		const char *file = examples[i].text;
		unsigned int line;

		word[0] = '\0';
		line = fr_sensitive_find((const uint8_t *)file, strlen(file), &more, word);
		if (line != examples[i].line || strcmp(word, examples[i].word))
			fail_msg("%zu: line %u, %s", i, line, word);
	}
	i = strlen("snmp_community = x");
	assert_int_equal(fr_sensitive_find((const uint8_t *)"snmp_community = x", i,
					   &(struct fr_config_strings){ 0 }, word),
			 0);
}

/* --- anonymous addresses --- */

/* The key of the sample that comes with the authors' own program */
static const uint8_t sample_key[FR_ANONYMIZE_KEY_LEN] = {
	21,  34,  23,  141, 51,	 164, 207, 128, 19, 10, 91, 22, 73,  144, 125, 16,
	216, 152, 143, 131, 121, 121, 101, 39,	98, 87, 76, 45, 42, 132, 34,  2,
};

static void addresses(void **state)
{
	static const struct {
		const char *from, *to;
	} samples[] = {
		{ "128.11.68.132", "135.242.180.132" },
		{ "129.118.74.4", "134.136.186.123" },
		{ "130.132.252.244", "133.68.164.234" },
		{ "141.223.7.43", "141.167.8.160" },
		{ "192.102.249.13", "252.138.62.131" },
		{ "2001:db8::1", "4401:2bc:603f:d91d:27f:ff8e:e6f1:dc1e" },
	};
	struct fr_anonymize *a = fr_anonymize_new(sample_key);
	size_t i;

	(void)state;
	assert_non_null(a);
	for (i = 0; i < N_OF(samples); i++) {
		char out[64];
		ssize_t len = fr_anonymize_text(a, samples[i].from, strlen(samples[i].from), out,
						sizeof(out) - 1);

		assert_true(len > 0);
		out[len] = '\0';
		assert_string_equal(out, samples[i].to);
	}
	fr_anonymize_free(a);
}

static unsigned int common_bits(const uint8_t *a, const uint8_t *b, unsigned int n)
{
	unsigned int i = 0;

	while (i < n && !((a[i / 8] ^ b[i / 8]) & 0x80 >> i % 8))
		i++;
	return i;
}

static void prefixes_stay(void **state)
{
	struct fr_anonymize *a = fr_anonymize_new(sample_key);
	unsigned int i, n;
	size_t len;

	(void)state;
	srandom(1);
	for (len = 4; len <= 16; len += 12)
		for (i = 0; i < 500; i++) {
			uint8_t one[16], two[16];

			for (n = 0; n < len; n++)
				one[n] = random();
			memcpy(two, one, len);
			n = random() % (8 * len);
			two[n / 8] ^= 0x80 >> n % 8;
			assert_int_equal(fr_anonymize_address(a, one, len), 0);
			assert_int_equal(fr_anonymize_address(a, two, len), 0);
			assert_int_equal(common_bits(one, two, 8 * len), n);
		}
	fr_anonymize_free(a);
}

static void addresses_in_texts(void **state)
{
	static const struct {
		const char *from, *to;
	} samples[] = {
		{ "", "" },
		{ "no address: 1.2.3, 00:1b:21:3c:4d:5e, a:b", "no address: 1.2.3, 00:1b:21:3c:4d:5e, a:b" },
		{ "dst=192.102.249.13:443", "dst=252.138.62.131:443" },
		{ "192.102.249.13/24,192.102.249.13", "252.138.62.131/24,252.138.62.131" },
		{ "face192.102.249.13", "face252.138.62.131" },
		{ "[2001:db8::1]:80", "[4401:2bc:603f:d91d:27f:ff8e:e6f1:dc1e]:80" },
		{ "192.102.249.13.", "252.138.62.131." },
	};
	struct fr_anonymize *a = fr_anonymize_new(sample_key);
	char out[64];
	ssize_t len;
	size_t i;

	(void)state;
	for (i = 0; i < N_OF(samples); i++) {
		len = fr_anonymize_text(a, samples[i].from, strlen(samples[i].from), out,
					sizeof(out) - 1);
		assert_true(len >= 0);
		out[len] = '\0';
		assert_string_equal(out, samples[i].to);
	}
	assert_int_equal(fr_anonymize_text(a, "192.102.249.13", 14, out, 13), -EMSGSIZE);
	assert_int_equal(fr_anonymize_text(a, "192.102.249.13", 14, out, 14), 14);
	fr_anonymize_free(a);
}

static void keys_come_from_secrets(void **state)
{
	uint8_t one[FR_ANONYMIZE_KEY_LEN], two[FR_ANONYMIZE_KEY_LEN];

	(void)state;
	assert_int_equal(fr_anonymize_derive("secret-1", 8, one), 0);
	assert_int_equal(fr_anonymize_derive("secret-1", 8, two), 0);
	assert_memory_equal(one, two, sizeof(one));
	assert_int_equal(fr_anonymize_derive("secret-2", 8, two), 0);
	assert_memory_not_equal(one, two, sizeof(one));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(leases_of_zones, load, unload),
		cmocka_unit_test_setup_teardown(flows_of_zones, load, unload),
		cmocka_unit_test(names_of_fields),
		cmocka_unit_test(files),
		cmocka_unit_test(addresses),
		cmocka_unit_test(prefixes_stay),
		cmocka_unit_test(addresses_in_texts),
		cmocka_unit_test(keys_come_from_secrets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
