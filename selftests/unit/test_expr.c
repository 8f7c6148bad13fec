// SPDX-License-Identifier: GPL-2.0-or-later
/* Conditions: what they mean for a record, and what is wrong with a bad one and where. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <arpa/inet.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "expr.h"
#include "glob.h"

#define N_OF(array) (sizeof(array) / sizeof((array)[0]))

enum outcome {
	NO,
	YES,
	MISSING, /* false, and a field was not there */
	YES_MISSING, /* true, though one was not */
};

struct example {
	const char *text;
	enum outcome outcome;
};

static void assert_outcome(unsigned int table, const void *rec, const struct example *x)
{
	bool is_missing = false, is_true;
	struct fr_expr_error error;
	struct fr_expr *e = fr_expr_compile(table, x->text, strlen(x->text), &error);

	if (!e)
		fail_msg("%s: %u: %s", x->text, error.column, error.text);
	is_true = fr_expr_matches(e, rec, &is_missing);
	if (is_true != (x->outcome == YES || x->outcome == YES_MISSING) ||
	    is_missing != (x->outcome == MISSING || x->outcome == YES_MISSING))
		fail_msg("%s: %d, missing: %d", x->text, is_true, is_missing);
	fr_expr_free(e);
}

static void *make(unsigned int table, const char *const *texts, uint64_t expires_ms)
{
	void *rec = aligned_alloc(8, FR_ITEM_ROOM);
	char *why;

	assert_true(fr_item_make(rec, table, FLYREP_OP_UPDATE, texts, expires_ms, &why) > 0);
	return rec;
}

static void leases(void **state)
{
	static const char *const texts[FR_ITEM_FIELDS_MAX] = { "lan", "00:1b:21:3c:4d:5e", NULL, "192.0.2.7",
					     "bound", "desk-7", "eth1", "blue", "1700000000",
					     "it's \"x\"" };
	static const struct example examples[] = {
		{ "scope != 'test'", YES },
		{ "scope == 'test'", NO },
		{ "scope == \"lan\"", YES },
		{ "'lan' == scope", YES },
		{ "scope == 'LAN'", NO },
		{ "scope == zone", NO },
		{ "scope != zone", YES },
		{ "iaid == 1", MISSING },
		{ "iaid != 1", MISSING },
		{ "iaid not in [1]", MISSING },
		{ "not iaid == 1", YES_MISSING },
		{ "!(iaid == 1)", YES_MISSING },
		{ "scope == 'lan' or iaid == 1", YES },
		{ "iaid == 1 or scope == 'lan'", YES_MISSING },
		{ "scope == 'x' and iaid == 1", NO },
		{ "client == 00:1b:21:3c:4d:5e", YES },
		{ "client == '00-1B-21-3C-4D-5E'", YES },
		{ "client == '001b213c4d5e'", YES },
		{ "client == 00:1b:21:3c:4d:5f", NO },
		{ "client in [00:00:00:00:00:01, 00:1b:21:3c:4d:5e]", YES },
		{ "client not in [00:00:00:00:00:01]", YES },
		{ "ip == 192.0.2.7", YES },
		{ "ip == '192.0.2.7'", YES },
		{ "ip == 192.0.2.0/24", NO },
		{ "ip in 192.0.2.0/24", YES },
		{ "ip in 192.0.2.0/30", NO },
		{ "ip in 192.0.2.4/30", YES },
		{ "ip in 192.0.2.7", YES },
		{ "ip in 0.0.0.0/0", YES },
		{ "ip in ::/0", NO },
		{ "ip not in 10.0.0.0/8", YES },
		{ "ip in [10.0.0.0/8, 192.0.2.0/25]", YES },
		{ "hostname matches 'desk-*'", YES },
		{ "hostname matches 'desk'", NO },
		{ "hostname not matches 'desk'", YES },
		{ "matches(hostname, '*[5-8]')", YES },
		{ "matches(hostname, '*[!5-8]')", NO },
		{ "vendor == 'it\\'s \"x\"'", YES },
		{ "vendor == \"it's \\\"x\\\"\"", YES },
		{ "start >= 1700000000", YES },
		{ "start > 1700000000", NO },
		{ "1700000000 < start", NO },
		{ "1700000000 <= start", YES },
		{ "start < 0xffffffffff", YES },
		{ "expires > 1800000000", YES },
		{ "expires == 1800000001", YES },
		/* How tight they bind, and both spellings */
		{ "scope == 'lan' || scope == 'x' && scope == 'y'", YES },
		{ "(scope == 'lan' || scope == 'x') && scope == 'y'", NO },
		{ "scope == 'y' && scope == 'x' || scope == 'lan'", YES },
		{ "not scope == 'x' and scope == 'lan'", YES },
		{ "!!(scope=='lan')", YES },
		{ "not (scope == 'x' or scope == 'lan')", NO },
		{ "scope == 'a' or scope == 'b' or scope == 'lan' or scope == 'c'", YES },
		{ "scope in ['a','b']and scope=='lan'", NO },
	};
	void *rec = make(FLYREP_TABLE_LEASE, texts, 1800000001999);
	size_t i;

	(void)state;
	for (i = 0; i < N_OF(examples); i++)
		assert_outcome(FLYREP_TABLE_LEASE, rec, &examples[i]);
	free(rec);
}

static void delegated_prefixes(void **state)
{
	static const char *const texts[FR_ITEM_FIELDS_MAX] = { "v6", "0001", "7", "2001:db8:0:100::/56" };
	static const struct example examples[] = {
		{ "ip == 2001:db8:0:100::/56", YES },
		{ "ip == 2001:db8:0:100::", NO },
		{ "ip in 2001:db8::/32", YES },
		{ "ip in 2001:db8:0:100::/56", YES },
		{ "ip in 2001:db8:0:100::/57", NO },
		{ "iaid == 7", YES },
		{ "hostname matches '*'", MISSING },
		{ "expires > 0", MISSING },
	};
	void *rec = make(FLYREP_TABLE_LEASE, texts, 0);
	size_t i;

	(void)state;
	for (i = 0; i < N_OF(examples); i++)
		assert_outcome(FLYREP_TABLE_LEASE, rec, &examples[i]);
	free(rec);
}

static void names_and_durations(void **state)
{
	static const char *const texts[FR_ITEM_FIELDS_MAX] = { NULL, "www.example", "A", "192.0.2.1", "90" };
	static const struct example examples[] = {
		{ "ttl > 60", YES },	   { "ttl > 1m", YES },	      { "ttl > 1m30s", NO },
		{ "ttl >= 1m30s", YES },   { "ttl == 90s", YES },     { "ttl in [30s, 90]", YES },
		{ "view == 'x'", MISSING }, { "type == 'A'", YES },    { "name matches '*.example'", YES },
		{ "ttl < 1h and type in ['A', 'AAAA']", YES },
	};
	void *rec = make(FLYREP_TABLE_DNS, texts, 0);
	size_t i;

	(void)state;
	for (i = 0; i < N_OF(examples); i++)
		assert_outcome(FLYREP_TABLE_DNS, rec, &examples[i]);
	free(rec);
}

static void flows(void **state)
{
	static const struct example examples[] = {
		{ "proto == 'tcp'", YES },
		{ "proto == 6", YES },
		{ "proto in ['udp', 'icmp']", NO },
		{ "family == 'ipv4'", YES },
		{ "src in 10.0.0.0/8 and dst not in 10.0.0.0/8", YES },
		{ "src != reply_dst", NO },
		{ "dport == 443", YES },
		{ "dport in [80, 443]", YES },
		{ "sport == reply_dport", YES },
		{ "icmp_type == 8", MISSING },
		{ "zone == 3", YES },
		{ "mark == 0x10", YES },
		{ "assured", YES },
		{ "!src_nat", YES },
		{ "assured == true and src_nat == false", YES },
		{ "assured != src_nat", YES },
		{ "tcp_state == 'ESTABLISHED'", YES },
		{ "tcp_state == 'established'", YES },
		{ "tcp_state in ['CLOSE', 'TIME_WAIT']", NO },
		{ "sctp_state == 'ESTABLISHED'", MISSING },
		{ "helper == 'ftp'", YES },
	};
	struct {
		struct flyrep_ct ct;
		struct flyrep_ct_ext ext;
	} rec = {
		.ct = { .rec = { .op = FLYREP_OP_UPDATE, .tail_len = sizeof(rec.ext) },
			.family = AF_INET, .proto = IPPROTO_TCP, .zone = 3, .zone_dir = 3,
			.status = IPS_SEEN_REPLY | IPS_ASSURED, .mark = 16, .tcp_state = 3 },
		.ext = { .has = FLYREP_CT_EXT_HELPER, .helper = "ftp" },
	};
	size_t i;

	(void)state;
	inet_pton(AF_INET, "10.1.2.3", rec.ct.orig.src.byte);
	inet_pton(AF_INET, "192.0.2.1", rec.ct.orig.dst.byte);
	rec.ct.orig.sport = htons(40000);
	rec.ct.orig.dport = htons(443);
	rec.ct.reply = (struct flyrep_ct_tuple){ rec.ct.orig.dst, rec.ct.orig.src,
						 rec.ct.orig.dport, rec.ct.orig.sport };
	for (i = 0; i < N_OF(examples); i++)
		assert_outcome(FLYREP_TABLE_CONNTRACK, &rec, &examples[i]);
}

static void elements_of_nft_sets(void **state)
{
	static const char *const texts[FR_ITEM_FIELDS_MAX] = { "inet", "filter", "blocked", "0a010203", NULL, NULL,
					     "5000", "00:06:68:65:6c:6c:6f:00" };
	static const struct example examples[] = {
		{ "family == 'inet'", YES },
		{ "set matches 'block*' and nft_table == 'filter'", YES },
		{ "key in 10.0.0.0/8", YES },
		{ "key == 10.1.2.3", YES },
		{ "key == 0a:01:02:03", YES },
		{ "key in [192.0.2.0/24, 2001:db8::/32]", NO },
		{ "timeout == 5s", YES },
		{ "timeout < 5001ms", YES },
		{ "comment == 'hello'", YES },
		{ "object == 'x'", MISSING },
	};
	void *rec = make(FLYREP_TABLE_NFT_SET, texts, 0);
	size_t i;

	(void)state;
	for (i = 0; i < N_OF(examples); i++)
		assert_outcome(FLYREP_TABLE_NFT_SET, rec, &examples[i]);
	free(rec);
}

/* A fault, and the character it is at */
static const struct {
	unsigned int table;
	const char *text;
	unsigned int column;
	const char *fault;
} faults[] = {
	{ FLYREP_TABLE_LEASE, "", 1, "an empty condition" },
	{ FLYREP_TABLE_LEASE, "  ", 1, "an empty condition" },
	{ FLYREP_TABLE_LEASE, "scop == 'x'", 1,
	  "no field \"scop\": did you mean \"scope\"? Text is quoted" },
	{ FLYREP_TABLE_LEASE, "qqqq == 'x'", 1,
	  "no field \"qqqq\": there are scope, client, iaid, ip, state, hostname, interface, zone, "
	  "start, vendor, expires" },
	{ FLYREP_TABLE_LEASE, "scope == test", 10,
	  "no field \"test\": there are scope, client, iaid, ip, state, hostname, interface, zone, "
	  "start, vendor, expires" },
	{ FLYREP_TABLE_LEASE, "scope == 5", 10,
	  "scope is text: put quotes around what it is compared with" },
	{ FLYREP_TABLE_LEASE, "scope = 'x'", 7, "\"=\" is no comparison: \"==\" is" },
	{ FLYREP_TABLE_LEASE, "scope < 'x'", 7, "scope is text, which has no order" },
	{ FLYREP_TABLE_LEASE, "ip == 300.1.1.1", 7,
	  "ip: \"300.1.1.1\": not an address or a prefix" },
	{ FLYREP_TABLE_LEASE, "ip in 10.0.0.1/8", 7,
	  "ip: \"10.0.0.1/8\": bits are set behind the prefix" },
	{ FLYREP_TABLE_LEASE, "client == 'zz'", 11,
	  "client: \"zz\": not bytes in hexadecimal, as 00:1b:21:3c:4d:5e, nor an address" },
	{ FLYREP_TABLE_LEASE, "iaid == '5'", 9, "iaid is a number, and this is text" },
	{ FLYREP_TABLE_LEASE, "iaid == 1h", 9, "iaid: \"1h\": not a number" },
	{ FLYREP_TABLE_LEASE, "iaid == 99999999999999999999", 9,
	  "iaid: \"99999999999999999999\": too large" },
	{ FLYREP_TABLE_LEASE, "'ä' == 'ö'", 1, "a field is compared with a value, not two values" },
	{ FLYREP_TABLE_LEASE, "scope == 'ä' and ip == 'ö'", 24,
	  "ip: \"ö\": not an address or a prefix" },
	{ FLYREP_TABLE_LEASE, "scope == ip", 7, "scope is text, and ip is an address" },
	{ FLYREP_TABLE_LEASE, "scope", 1, "scope is text, no condition: compare it with something" },
	{ FLYREP_TABLE_LEASE, "'scope'", 1,
	  "a value alone is no condition: compare a field with it" },
	{ FLYREP_TABLE_LEASE, "scope == 'x", 10, "this text is never closed" },
	{ FLYREP_TABLE_LEASE, "scope == 'x\\", 10, "this text is never closed" },
	{ FLYREP_TABLE_LEASE, "scope == 'a\\n'", 12, "no such escape: there are \\\\ \\' \\\"" },
	{ FLYREP_TABLE_LEASE, "scope ==", 9, "it ends where a field or a value is expected" },
	{ FLYREP_TABLE_LEASE, "scope == 'x' scope", 14,
	  "\"and\", \"or\" or the end expected, not \"scope\"" },
	{ FLYREP_TABLE_LEASE, "(scope == 'x'", 14,
	  "it ends where \")\" is expected at the end of the parentheses" },
	{ FLYREP_TABLE_LEASE, "scope == 'x')", 13,
	  "\"and\", \"or\" or the end expected, not \")\"" },
	{ FLYREP_TABLE_LEASE, "scope in 'x'", 10, "\"[\" expected behind in, not \"'x'\"" },
	{ FLYREP_TABLE_LEASE, "scope in ['x' 'y']", 15,
	  "\"]\" expected at the end of the list, not \"'y'\"" },
	{ FLYREP_TABLE_LEASE, "scope in []", 11, "a field or a value expected, not \"]\"" },
	{ FLYREP_TABLE_LEASE, "scope in [zone]", 11, "a value expected, not the field zone" },
	{ FLYREP_TABLE_LEASE, "scope not == 'x'", 11,
	  "\"in\" or \"matches\" expected behind \"not\"" },
	{ FLYREP_TABLE_LEASE, "ip matches '10.*'", 12,
	  "ip is an address: only text matches a pattern" },
	{ FLYREP_TABLE_LEASE, "scope matches '[a'", 15,
	  "a pattern has a [ without its ], or with more than ASCII in it" },
	{ FLYREP_TABLE_LEASE, "scope matches 'a\\\\'", 15, "a pattern ends with a backslash" },
	{ FLYREP_TABLE_LEASE, "matches('x', scope)", 9,
	  "a field expected: matches(FIELD, 'pattern')" },
	{ FLYREP_TABLE_LEASE, "scope == 'x' & ip == 1.2.3.4", 14,
	  "\"and\", \"or\" or the end expected, not \"&\"" },
	{ FLYREP_TABLE_DNS, "ttl > 500ms", 7, "ttl: \"500ms\": it counts whole seconds" },
	{ FLYREP_TABLE_DNS, "ttl > '60'", 7, "ttl is a duration, and this is text" },
	{ FLYREP_TABLE_DNS, "ttl == priority", 5, "ttl is a duration, and priority is a number" },
	{ FLYREP_TABLE_CONNTRACK, "tcp_state == 'ESTABLISHD'", 14,
	  "tcp_state: \"ESTABLISHD\": not a name that it can have: NONE, SYN_SENT, SYN_RECV, "
	  "ESTABLISHED, FIN_WAIT, CLOSE_WAIT, LAST_ACK, TIME_WAIT, CLOSE, SYN_SENT2" },
	{ FLYREP_TABLE_CONNTRACK, "assured in [true]", 12,
	  "assured is a boolean: it stands alone" },
	{ FLYREP_TABLE_CONNTRACK, "assured == 1", 12, "assured: \"1\": not true or false" },
	{ FLYREP_TABLE_CONNTRACK, "timeout > 5", 1,
	  "no field \"timeout\": there are family, proto, zone, src, dst, sport, dport, icmp_type, "
	  "icmp_code, reply_src, reply_dst, reply_sport, reply_dport, mark, seen_reply, assured, "
	  "src_nat, dst_nat, tcp_state, sctp_state, dccp_state, helper" },
};

static void every_fault_has_its_place(void **state)
{
	struct fr_expr_error error;
	size_t i;

	(void)state;
	for (i = 0; i < N_OF(faults); i++) {
		struct fr_expr *e = fr_expr_compile(faults[i].table, faults[i].text,
						    strlen(faults[i].text), &error);

		if (e)
			fail_msg("%s: taken", faults[i].text);
		assert_string_equal(error.text, faults[i].fault);
		assert_int_equal(error.column, faults[i].column);
	}
	assert_null(fr_expr_compile(FLYREP_TABLE_LEASE, "scope\0", 6, &error));
	assert_string_equal(error.text, "a NUL byte");
}

/* @n times @part, then @last */
static char *repeat(const char *part, size_t n, const char *last)
{
	char *text = malloc(n * strlen(part) + strlen(last) + 1), *to = text;

	while (n--)
		to = stpcpy(to, part);
	strcpy(to, last);
	return text;
}

static void assert_limit(const char *part, size_t n, const char *last, const char *fault)
{
	char *text = repeat(part, n, last);
	struct fr_expr_error error;
	struct fr_expr *e = fr_expr_compile(FLYREP_TABLE_LEASE, text, strlen(text), &error);

	if (fault) {
		assert_null(e);
		assert_string_equal(error.text, fault);
	} else if (!e) {
		fail_msg("%u: %s", error.column, error.text);
	}
	fr_expr_free(e);
	free(text);
}

static void there_are_limits(void **state)
{
	(void)state;
	assert_limit("!", FR_EXPR_DEPTH_MAX - 1, "iaid==1", NULL);
	assert_limit("!", FR_EXPR_DEPTH_MAX, "iaid==1",
		     "more than 32 parentheses and nots within each other");
	assert_limit("(", 4000, "", "more than 32 parentheses and nots within each other");
	assert_limit("iaid==1||", FR_EXPR_TESTS_MAX - 1, "iaid==1", NULL);
	assert_limit("iaid==1||", FR_EXPR_TESTS_MAX, "iaid==1", "more than 128 tests");
	assert_limit("iaid in [1", 1, "]", NULL);
	assert_limit("1,", 0, "iaid in [1]", NULL);
	assert_limit(" ", FR_EXPR_TEXT_MAX - 7, "iaid==1", NULL);
	assert_limit(" ", FR_EXPR_TEXT_MAX - 6, "iaid==1", "longer than 4096 bytes");
}

static void long_lists(void **state)
{
	char *numbers = repeat("1,", FR_EXPR_TESTS_MAX + FR_EXPR_LISTS_MAX - 1, "1]"), text[2048];
	struct fr_expr_error error;
	struct fr_expr *e;

	(void)state;
	snprintf(text, sizeof(text), "iaid in [%s", numbers);
	e = fr_expr_compile(FLYREP_TABLE_LEASE, text, strlen(text), &error);
	assert_non_null(e);
	fr_expr_free(e);
	snprintf(text, sizeof(text), "iaid in [1,%s", numbers);
	assert_null(fr_expr_compile(FLYREP_TABLE_LEASE, text, strlen(text), &error));
	assert_string_equal(error.text, "more than 512 literals");
	free(numbers);
}

static const struct {
	const char *pattern;
	const char *text;
	bool is_match;
} globs[] = {
	{ "", "", true },	   { "", "a", false },	      { "*", "", true },
	{ "*", "abc", true },	   { "a*", "abc", true },     { "*c", "abc", true },
	{ "a*c", "abc", true },	   { "a*b", "abc", false },   { "*b*", "abc", true },
	{ "a?c", "abc", true },	   { "a?c", "ac", false },    { "a?c", "aäc", true },
	{ "???", "äöü", true },	   { "??", "äöü", false },    { "[a-c]x", "bx", true },
	{ "[!a-c]x", "bx", false }, { "[]]", "]", true },     { "[a-]", "-", true },
	{ "[!]]", "]", false },	   { "\\*", "*", true },      { "\\*", "a", false },
	{ "**a**", "a", true },	   { "a*a*a", "aa", false },  { "a*a*a", "aaa", true },
	{ "*.b/*", "a.b/c", true }, { "A", "a", false },      { "[!a]", "ä", true },
	{ "*ab", "aab", true },	   { "*aab", "aaaab", true }, { "x*y*z", "xaybz", true },
};

static void patterns(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < N_OF(globs); i++) {
		const uint8_t *p = (const uint8_t *)globs[i].pattern;
		size_t len = strlen(globs[i].pattern);

		assert_null(fr_glob_flaw(p, len));
		if (fr_glob_match(p, len, (const uint8_t *)globs[i].text, strlen(globs[i].text)) !=
		    globs[i].is_match)
			fail_msg("%s against %s", globs[i].pattern, globs[i].text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(leases),
		cmocka_unit_test(delegated_prefixes),
		cmocka_unit_test(names_and_durations),
		cmocka_unit_test(flows),
		cmocka_unit_test(elements_of_nft_sets),
		cmocka_unit_test(every_fault_has_its_place),
		cmocka_unit_test(there_are_limits),
		cmocka_unit_test(long_lists),
		cmocka_unit_test(patterns),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
