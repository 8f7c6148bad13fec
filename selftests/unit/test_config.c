// SPDX-License-Identifier: GPL-2.0-or-later
/* The configuration: every key bound, every fault with its place. */
#include "config.h"
#include "flyrep_records.h"
#include "hcl.h"
#include "schema.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define SECRET "0123456789abcdef0123456789abcdef"
#define OLD "of yesterday, and of thirty bytes"
#define SHARED \
	"mode = \"multi-master\"\nnode_id = \"a\"\nsecret_key = \"" SECRET \
	"\"\nlisten_addr = \"10.0.0.1\"\npeers = [{ id = \"b\", address = \"10.0.0.2\" }]\n"
#define FIXTURES "selftests/unit/fixtures/"

struct loaded {
	struct fr_config config;
	struct fr_diag diag;
	char *faults; /* as printed */
	int err;
};

static void finish(struct loaded *l)
{
	size_t len;
	FILE *out = open_memstream(&l->faults, &len);

	fr_diag_print(&l->diag, out);
	fclose(out);
	if (l->err)
		assert_null(l->config.arena.head); /* nothing to free */
}

static void parse(struct loaded *l, const char *text, unsigned int flags)
{
	l->err = fr_config_parse("f", text, strlen(text), flags, &l->config,
				 &l->diag);
	finish(l);
}

static void load(struct loaded *l, const char *path, unsigned int flags)
{
	l->err = fr_config_load(path, flags, &l->config, &l->diag);
	finish(l);
}

static void drop(struct loaded *l)
{
	free(l->faults);
	fr_diag_free(&l->diag);
	fr_config_free(&l->config);
}

static char *print(const struct fr_config *config)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	assert_int_equal(fr_config_print(config, out), 0);
	fclose(out);
	return text;
}

static void assert_address(const struct fr_address *address, const char *text)
{
	char buf[FR_ADDRESS_TEXT_LEN];

	assert_string_equal(fr_address_format(address, buf), text);
}

static void the_least_there_can_be(void **state)
{
	struct loaded l;
	char host[65] = "";

	(void)state;
	parse(&l, "replication {\n  mode = \"replica\"\n}\n", 0);
	assert_int_equal(l.err, 0);
	assert_string_equal(
		l.faults,
		"f:2:10: warning: a replica without primary_addr receives nothing\n");
	gethostname(host, sizeof(host) - 1);
	assert_int_equal(l.config.mode, FR_CONFIG_REPLICA);
	assert_string_equal(l.config.node_id, host);
	assert_int_equal(l.config.listen_addr.sa_len, 0);
	assert_int_equal(l.config.primary_addr.sa_len, 0);
	assert_int_equal(l.config.peers.n, 0);
	assert_int_equal(l.config.secret.len, 0);
	assert_string_equal(l.config.state_dir, "/var/lib/flyrep");
	assert_int_equal(l.config.backlog_len, 64 << 20);
	assert_int_equal(l.config.ring_entries, 0);
	assert_true(l.config.transport.compression);
	assert_int_equal(l.config.sync.interval_ms, 1000);
	assert_int_equal(l.config.sync.batch_size, 1000);
	assert_int_equal(l.config.sync.max_lag_ms, 10000);
	assert_int_equal(l.config.conntrack.min_state,
			 FR_CONFIG_MIN_STATE_ASSURED);
	assert_int_equal(l.config.conntrack.accept.n, 9);
	assert_int_equal(l.config.conntrack.accept.v[3], IPPROTO_ICMPV6);
	assert_int_equal(l.config.conntrack.accept.v[8], FR_SCHEMA_PROTO_OTHER);
	assert_int_equal(l.config.conntrack.ignore_networks.n, 2);
	assert_int_equal(l.config.conntrack.zones.n, 0);
	assert_int_equal(l.config.conntrack.mark_mask, 0);
	assert_int_equal(l.config.conntrack.hold_s, 86400);
	assert_int_equal(l.config.conntrack.orphan_grace_s, 60);
	assert_true(l.config.recovery.auto_resync);
	assert_int_equal(l.config.recovery.resync_threshold, 1000);
	assert_int_equal(l.config.sync.mode, FR_CONFIG_SYNC_INCREMENTAL);
	assert_int_equal(l.config.recovery.resync_interval_ms, 3600000);
	assert_int_equal(l.config.recovery.audit_interval_ms, 10000);
	assert_string_equal(l.config.api.socket, FR_CONFIG_API_SOCKET);
	assert_int_equal(l.config.api.listen.n, 2);
	assert_address(&l.config.api.listen.v[0], "127.0.0.1:8080");
	assert_address(&l.config.api.listen.v[1], "[::1]:8080");
	assert_int_equal(l.config.api.n_tokens, 0);
	assert_null(l.config.api.tls.cert_file);
	drop(&l);
}

static const char everything[] =
	"replication {\n"
	"  mode = \"primary\"\n"
	"  node_id = \"fw-a.example_1\"\n"
	"  listen_addr = \"[2001:db8::1]:9100\"\n"
	"  primary_addr = \"192.0.2.9\"\n"
	"  primary_addrs = [\"192.0.2.10\"]\n"
	"  peers = [\n"
	"    { id = \"b\", address = \"192.0.2.2\", role = \"replica\" },\n"
	"    { id = \"c\", address = \"[2001:db8::3]\", addresses = [\"10.0.0.3:1\", \"[fd00::3]\"] },\n"
	"    { id = \"d\", addresses = [\"10.0.0.4\"] },\n"
	"  ]\n"
	"  state_dir = \"/srv/state\"\n"
	"  backlog = \"256M\"\n"
	"  ring = 65536\n"
	"  allow_insecure = false\n"
	"  previous_secret_keys = [\"" OLD "\"]\n"
	"  backup_before_resync = false\n"
	"  auth { secret_key = \"" SECRET "\"\n key_rotation = 0\n }\n"
	"  transport = { protocol = \"tcp\", compression = false, encryption = true }\n"
	"  sync {\n    mode = \"full\"\n    interval = \"1250ms\"\n"
	"    batch_size = 65536\n    max_lag = 90\n  }\n"
	"  data = { conntrack = false, metrics = true, dns_records = false,\n"
	"    nft_sets = [\"inet/filter/block*\", \"dynamic\"] }\n"
	"  conntrack {\n    min_state = \"all\"\n    accept = [\"udp\", \"sctp\", \"other\"]\n"
	"    ignore_networks = [\"10.0.0.0/8\", \"2001:db8::/32\", \"192.0.2.1\"]\n"
	"    zones = [0, 65535]\n    mark = 16\n    mark_mask = \"0xFF\"\n"
	"    hold = \"1h30m\"\n    orphan_grace = \"0s\"\n  }\n"
	"  zone \"lan\" {\n    interfaces = [\"eth1\"]\n    networks = [\"10.0.0.0/8\"]\n  }\n"
	"  zone \"dmz\" {\n    ct_zone = 0\n    ct_mark = \"16/0xf0\"\n  }\n"
	"  filters = { zones = [\"lan\"], exclude_sensitive = false, sensitive = [\"vendor\"],\n"
	"    custom_filters = [{ type = \"nft\", condition = \"timeout > 1m\" }] }\n"
	"  transformations = { anonymize_ips = false, compress_data = true, encrypt_data = true }\n"
	"  recovery {\n    auto_resync = false\n    resync_threshold = 5\n    resync_interval = \"2h\"\n"
	"    audit_interval = \"500ms\"\n    incremental {\n enabled = true\n checkpoint_interval = 90\n"
	"    max_checkpoints = 7\n }\n  }\n  backup_retention = \"36h\"\n"
	"  api { socket = \"/run/x.sock\"\n listen = \"127.0.0.9:81\"\n hosts = [\"fw\"]\n"
	"    tls { cert_file = \"/c\"\n key_file = \"/k\"\n }\n  }\n"
	"}\n";

static void every_key_is_bound(void **state)
{
	const struct fr_config *c;
	struct loaded l;

	(void)state;
	parse(&l, everything, 0);
	assert_string_equal(l.faults, "");
	assert_int_equal(l.err, 0);
	c = &l.config;
	assert_int_equal(c->mode, FR_CONFIG_PRIMARY);
	assert_string_equal(c->node_id, "fw-a.example_1");
	assert_address(&c->listen_addr, "[2001:db8::1]:9100");
	assert_address(&c->primary_addr, "192.0.2.9:9001");
	assert_address(fr_config_primary_address(c, 0), "192.0.2.9:9001");
	assert_address(fr_config_primary_address(c, 1), "192.0.2.10:9001");
	assert_null(fr_config_primary_address(c, 2));
	assert_int_equal(c->peers.n, 3);
	assert_address(fr_config_peer_address(&c->peers.v[1], 2), "[fd00::3]:9001");
	assert_null(fr_config_peer_address(&c->peers.v[1], 3));
	assert_address(fr_config_peer_address(&c->peers.v[2], 0), "10.0.0.4:9001");
	assert_string_equal(c->peers.v[0].id, "b");
	assert_address(&c->peers.v[0].address, "192.0.2.2:9001");
	assert_address(&c->peers.v[1].address, "[2001:db8::3]:9001");
	assert_int_equal(c->peers.v[1].role, FR_CONFIG_ROLE_REPLICA);
	assert_ptr_equal(fr_config_peer_find(c, "c"), &c->peers.v[1]);
	assert_null(fr_config_peer_find(c, "e"));
	assert_int_equal(c->secret.len, 32);
	assert_memory_equal(c->secret.bytes, SECRET, 32);
	assert_string_equal(c->secret_origin, "line 18");
	assert_int_equal(c->previous.n, 1);
	assert_int_equal(c->previous.v[0].len, strlen(OLD));
	assert_memory_equal(c->previous.v[0].bytes, OLD, strlen(OLD));
	assert_string_equal(c->state_dir, "/srv/state");
	assert_int_equal(c->backlog_len, 256 << 20);
	assert_int_equal(c->ring_entries, 65536);
	assert_false(c->transport.compression);
	assert_int_equal(c->sync.interval_ms, 1250);
	assert_int_equal(c->sync.batch_size, 65536);
	assert_int_equal(c->sync.max_lag_ms, 90000);
	assert_false(fr_config_has_table(c, FLYREP_TABLE_CONNTRACK));
	assert_true(fr_config_has_table(c, FLYREP_TABLE_LEASE));
	assert_false(fr_config_has_table(c, FLYREP_TABLE_DNS));
	assert_true(fr_config_has_table(c, FLYREP_TABLE_CONFIG));
	assert_true(fr_config_has_table(c, FLYREP_TABLE_METRIC));
	assert_false(fr_config_has_table(c, FLYREP_TABLE_EXPECTATION));
	assert_true(fr_config_has_table(c, FLYREP_TABLE_NFT_SET));
	assert_int_equal(c->data.nft_sets.n, 2);
	assert_string_equal(c->data.nft_sets.v[0], "inet/filter/block*");
	assert_false(fr_config_has_table(c, FLYREP_TABLE_UNSPEC));
	assert_false(fr_config_has_table(c, FLYREP_TABLE_MAX + 1));
	assert_int_equal(c->conntrack.min_state, FR_CONFIG_MIN_STATE_ALL);
	assert_int_equal(c->conntrack.accept.n, 3);
	assert_int_equal(c->conntrack.accept.v[0], IPPROTO_UDP);
	assert_int_equal(c->conntrack.accept.v[1], IPPROTO_SCTP);
	assert_int_equal(c->conntrack.accept.v[2], FR_SCHEMA_PROTO_OTHER);
	assert_int_equal(c->conntrack.ignore_networks.n, 3);
	assert_int_equal(c->conntrack.ignore_networks.v[1].family, AF_INET6);
	assert_int_equal(c->conntrack.ignore_networks.v[1].prefix_len, 32);
	assert_int_equal(c->conntrack.ignore_networks.v[2].prefix_len, 32);
	assert_int_equal(c->conntrack.ignore_networks.v[2].addr[0], 192);
	assert_int_equal(c->conntrack.zones.n, 2);
	assert_int_equal(c->conntrack.zones.v[1], 65535);
	assert_int_equal(c->conntrack.mark, 16);
	assert_int_equal(c->conntrack.mark_mask, 255);
	assert_int_equal(c->conntrack.hold_s, 5400);
	assert_int_equal(c->conntrack.orphan_grace_s, 0);
	assert_int_equal(c->zones.n, 2);
	assert_string_equal(c->zones.v[0].name, "lan");
	assert_string_equal(c->zones.v[0].interfaces.v[0], "eth1");
	assert_int_equal(c->zones.v[0].networks.v[0].prefix_len, 8);
	assert_false(c->zones.v[0].ct_zone.is_set);
	assert_false(c->zones.v[0].ct_mark.is_set);
	assert_string_equal(c->zones.v[1].name, "dmz");
	assert_int_equal(c->zones.v[1].interfaces.n, 0);
	assert_true(c->zones.v[1].ct_zone.is_set);
	assert_int_equal(c->zones.v[1].ct_zone.value, 0);
	assert_true(c->zones.v[1].ct_mark.is_set);
	assert_int_equal(c->zones.v[1].ct_mark.value, 0x10);
	assert_int_equal(c->zones.v[1].ct_mark.mask, 0xf0);
	assert_int_equal(c->filters.zones.n, 1);
	assert_string_equal(c->filters.zones.v[0], "lan");
	assert_false(c->filters.exclude_sensitive);
	assert_string_equal(c->filters.sensitive.v[0], "vendor");
	assert_int_equal(c->filters.custom_filters.n, 1);
	assert_int_equal(fr_config_filter_table(c->filters.custom_filters.v[0].type),
			 FLYREP_TABLE_NFT_SET);
	assert_string_equal(c->filters.custom_filters.v[0].condition, "timeout > 1m");
	assert_false(c->transformations.anonymize_ips);
	assert_true(c->transformations.compress_data);
	assert_true(c->transformations.encrypt_data);
	assert_true(c->recovery.incremental.enabled);
	assert_int_equal(c->recovery.incremental.checkpoint_interval_ms, 90000);
	assert_int_equal(c->recovery.incremental.max_checkpoints, 7);
	assert_false(c->backup_before_resync);
	assert_int_equal(c->backup_retention_ms, 129600000);
	assert_false(c->recovery.auto_resync);
	assert_int_equal(c->recovery.resync_threshold, 5);
	assert_int_equal(c->sync.mode, FR_CONFIG_SYNC_FULL);
	assert_int_equal(c->recovery.resync_interval_ms, 7200000);
	assert_int_equal(c->recovery.audit_interval_ms, 500);
	assert_string_equal(c->api.socket, "/run/x.sock");
	drop(&l);
}

static void it_prints_what_it_reads(void **state)
{
	char *first, *second;
	struct loaded l;

	(void)state;
	parse(&l, everything, 0);
	first = print(&l.config);
	drop(&l);
	assert_null(strstr(first, SECRET));
	assert_null(strstr(first, OLD));
	assert_non_null(strstr(first, "  # previous_secret_keys = <1 of them>\n"));
	assert_non_null(strstr(first, "    # secret_key = <set, 32 bytes>\n"));
	parse(&l, first, FR_CONFIG_SECRET_OPTIONAL);
	assert_int_equal(l.err, 0);
	second = print(&l.config);
	/* All but the secrets, which were never written. */
	*strstr(first, "  # previous_secret_keys") = '\0';
	assert_memory_equal(first, second, strlen(first));
	assert_non_null(strstr(second, "audit_interval = \"500ms\""));
	free(second);
	second = print(&l.config);
	drop(&l);
	parse(&l, second, FR_CONFIG_SECRET_OPTIONAL);
	free(first);
	first = print(&l.config);
	assert_string_equal(first, second);
	drop(&l);
	free(first);
	free(second);
}

static void blocks_and_objects_are_the_same(void **state)
{
	static const char *const ways[] = {
		"peers = [{ id = \"b\", address = \"192.0.2.2\" }, { id = \"c\", address = \"192.0.2.3\" }]\n"
		"sync = { interval = \"2s\" }\n",
		"peers {\n id = \"b\"\n address = \"192.0.2.2\"\n}\nsync { interval = 2 }\n"
		"peers {\n id = \"c\"\n address = \"192.0.2.3:9001\"\n}\n",
	};
	char *text[2];
	size_t i;

	(void)state;
	for (i = 0; i < 2; i++) {
		struct loaded l;
		char buf[1024];

		snprintf(buf, sizeof(buf),
			 "replication {\nmode = \"replica\"\nnode_id = \"a\"\n"
			 "primary_addr = \"192.0.2.2\"\nsecret_key = \"" SECRET
			 "\"\n%s}",
			 ways[i]);
		parse(&l, buf, 0);
		assert_string_equal(l.faults, "");
		text[i] = print(&l.config);
		drop(&l);
	}
	assert_string_equal(text[0], text[1]);
	free(text[0]);
	free(text[1]);
}

/* The guide's snippets parse, and what does not exist yet is refused by name. */
static const struct {
	const char *file;
	const char *faults;
} guide[] = {
	{ "guide_basic.hcl",
	  "%s:7:16: warning: secret_key: 17 bytes are few for a secret: better 32 or more\n" },
	{ "guide_advanced.hcl",
	  "%s:23:18: warning: secret_key: 23 bytes are few for a secret: better 32 or more\n" },
	{ "guide_conflict.hcl",
	  "%s:2:10: warning: active-active without peers ships nothing\n" },
	{ "guide_filtering.hcl",
	  "%s:2:10: warning: a primary without peers ships nothing\n"
	  "%s:7:13: warning: filters.zones: there is no zone \"wan\" { }: only leases can say that they belong to it\n"
	  "%s:7:13: warning: filters.zones: there is no zone \"lan\" { }: only leases can say that they belong to it\n"
	  "%s:29:20: warning: transformations.encrypt_data: without a secret no backup can be written\n" },
	{ "guide_recovery.hcl",
	  "%s:2:10: warning: a replica without primary_addr receives nothing\n" },
};

/* @text with every "%s" replaced by the path; the caller frees it. */
static char *with_path(const char *text, const char *path)
{
	char *out = calloc(1, 4096);

	for (; *text; text++) {
		if (text[0] == '%' && text[1] == 's') {
			strcat(out, path);
			text++;
		} else {
			strncat(out, text, 1);
		}
	}
	return out;
}

static void the_guide_parses(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(guide) / sizeof(guide[0]); i++) {
		char path[128], text[8192], *faults;
		struct fr_hcl_body *root;
		struct fr_arena arena;
		struct fr_diag diag;
		struct loaded l;
		size_t len;
		FILE *file;

		snprintf(path, sizeof(path), FIXTURES "%s", guide[i].file);
		file = fopen(path, "r");
		assert_non_null(file);
		len = fread(text, 1, sizeof(text), file);
		fclose(file);
		fr_arena_init(&arena, 0);
		fr_diag_init(&diag, path);
		root = fr_hcl_parse(text, len, &arena, &diag);
		assert_non_null(root);
		assert_int_equal(diag.n_entries, 0);
		assert_non_null(fr_hcl_find(root, "replication"));
		fr_diag_free(&diag);
		fr_arena_free(&arena);

		/* As a text: who may read the file is another matter. */
		l.err = fr_config_parse(path, text, len, 0, &l.config, &l.diag);
		finish(&l);
		assert_int_equal(l.err, strstr(guide[i].faults, "not supported") ?
						-EINVAL : 0);
		faults = with_path(guide[i].faults, path);
		assert_string_equal(l.faults, faults);
		free(faults);
		drop(&l);
	}
}

/* Three lines, then two each */
#define HEARTBEAT                                              \
	"mode = \"replica\"\nprimary_addr = \"10.0.0.8\"\n" \
	"secret_key = \"" SECRET "\"\n"
#define TWO_PEERS \
	"peers = [{ id = \"a\", address = \"10.0.0.1\", role = \"primary\" },\n" \
	"{ id = \"c\", address = \"10.0.0.3\" }]\n"
#define SHARED_PEERS \
	"peers = [{ id = \"a\", address = \"10.0.0.1\", role = \"peer\" },\n" \
	"{ id = \"c\", address = \"10.0.0.3\", role = \"peer\" }]\n"

/* Lines go inside replication { }, the first of them being line 2. */
static const struct {
	const char *body;
	const char *faults;
} broken[] = {
	{ "", "f:1:13: mode is missing\n" },
	{ "mode = null", "f:1:13: mode is missing\n" },
	{ "mode = \"prmary\"",
	  "f:2:8: mode: \"prmary\" is not one of primary, replica, active-active, multi-master, "
	  "chain, standalone, witness\n" },
	{ "mode = 3", "f:2:8: mode: expected a string, found a number\n" },
	{ "mode = \"chain\"", "f:2:8: a node of a chain needs primary_addr, peers, or both\n" },
	{ "mode = \"replica\"\nmdoe = 1",
	  "f:3:1: unknown key \"mdoe\" in replication: did you mean \"mode\"?\n" },
	{ "mode = \"replica\"\nxyzzy = 1",
	  "f:3:1: unknown key \"xyzzy\" in replication\n" },
	{ "mode = \"replica\"\nsync { batchsize = 1 }",
	  "f:3:8: unknown key \"batchsize\" in sync: did you mean \"batch_size\"?\n" },
	{ "mode = \"replica\"\nmode = \"primary\"",
	  "f:3:1: mode is set twice: first on line 2\n" },
	{ "mode = \"replica\"\nsync {\n}\nsync {\n}",
	  "f:5:1: sync is set twice: first on line 3\n" },
	{ "mode = \"replica\"\nsync = 1",
	  "f:3:8: sync: expected { ... }, found a number\n" },
	{ "mode = \"replica\"\nsync \"x\" {\n}",
	  "f:3:1: sync: takes no label\n" },
	{ "mode = \"replica\"\nmode {\n}",
	  "f:3:1: mode is set twice: first on line 2\n" },
	{ "mode {\n}", "f:2:6: mode: expected a string, found an object\n" },
	{ "mode = \"replica\"\nsync { batch_size = 0 }",
	  "f:3:21: sync.batch_size: out of range: 1 to 65536\n" },
	{ "mode = \"replica\"\nsync { batch_size = 65537 }",
	  "f:3:21: sync.batch_size: out of range: 1 to 65536\n" },
	{ "mode = \"replica\"\nsync { batch_size = -1 }",
	  "f:3:21: sync.batch_size: out of range: 1 to 65536\n" },
	{ "mode = \"replica\"\nsync { batch_size = 1.5 }",
	  "f:3:21: sync.batch_size: expected a whole number, found a number\n" },
	{ "mode = \"replica\"\nsync { batch_size = \"9\" }",
	  "f:3:21: sync.batch_size: expected a whole number, found a string\n" },
	{ "mode = \"replica\"\nsync { interval = \"2h\" }",
	  "f:3:19: sync.interval: out of range: 1ms to 1h\n" },
	{ "mode = \"replica\"\nsync { interval = 0 }",
	  "f:3:19: sync.interval: out of range: 1ms to 1h\n" },
	{ "mode = \"replica\"\nsync { interval = -5 }",
	  "f:3:19: sync.interval: out of range: 1ms to 1h\n" },
	{ "mode = \"replica\"\nsync { interval = \"99999999999w\" }",
	  "f:3:19: sync.interval: out of range: 1ms to 1h\n" },
	{ "mode = \"replica\"\nsync { interval = \"3600s1ns\" }",
	  "f:3:19: sync.interval: out of range: 1ms to 1h\n" },
	{ "mode = \"replica\"\nsync { interval = \"1500us\" }",
	  "f:3:19: sync.interval: counts in whole milliseconds\n" },
	{ "mode = \"replica\"\nsync { interval = \"10\" }",
	  "f:3:19: sync.interval: \"10\" is not a duration: numbers with the units ns us ms s m h d w\n" },
	{ "mode = \"replica\"\nsync { interval = true }",
	  "f:3:19: sync.interval: expected a duration like \"1h30m\" or a number of seconds, found a boolean\n" },
	{ "mode = \"replica\"\nconntrack { hold = \"1500ms\" }",
	  "f:3:20: conntrack.hold: counts in whole seconds\n" },
	{ "mode = \"replica\"\nconntrack { accept = [] }",
	  "f:3:22: conntrack.accept: out of range: 1 to 64 of them\n" },
	{ "mode = \"replica\"\nconntrack { accept = [\"tcp\", \"sctp\", \"foo\", 3] }",
	  "f:3:38: conntrack.accept: \"foo\" is not one of tcp, udp, icmp, icmpv6, sctp, dccp, gre, udplite, other\n"
	  "f:3:45: conntrack.accept: expected a string, found a number\n" },
	{ "mode = \"replica\"\nconntrack { ignore_networks = [\"10.0.0.1/8\", \"10.0.0.0/33\", \"x\", 1] }",
	  "f:3:32: conntrack.ignore_networks: \"10.0.0.1/8\" has bits set behind its prefix\n"
	  "f:3:46: conntrack.ignore_networks: \"10.0.0.0/33\" is not a network: \"10.0.0.0/8\" or \"fd00::/8\"\n"
	  "f:3:61: conntrack.ignore_networks: \"x\" is not a network: \"10.0.0.0/8\" or \"fd00::/8\"\n"
	  "f:3:66: conntrack.ignore_networks: expected a string, found a number\n" },
	{ "mode = \"replica\"\nconntrack { zones = [1, 65536] }",
	  "f:3:25: conntrack.zones: expected conntrack zones, 0 to 65535, found a number\n" },
	{ "mode = \"replica\"\nconntrack { zones = 1 }",
	  "f:3:21: conntrack.zones: expected a list, found a number\n" },
	{ "mode = \"replica\"\nconntrack { mark_mask = \"ff\" }",
	  "f:3:25: conntrack.mark_mask: expected a number or a string like \"0xff\", found a string\n" },
	{ "mode = \"replica\"\nconntrack { mark_mask = \"0x1ffffffff\" }",
	  "f:3:25: conntrack.mark_mask: out of range: 32 bits\n" },
	{ "mode = \"replica\"\nprimary_addr = \"10.0.0.1\"\nsecret_key = \"" SECRET
	  "\"\nconntrack {\nmark = 3\nmark_mask = 1\n}",
	  "f:6:8: conntrack.mark: 0x3 has bits outside mark_mask 0x1: nothing matches\n" },
	{ "mode = \"replica\"\nprimary_addr = \"10.0.0.1\"\nsecret_key = \"" SECRET
	  "\"\nconntrack {\nmark_mask = 1\n}",
	  "f:6:13: conntrack.mark_mask: say conntrack.mark too: flows with (mark & mark_mask) == mark are shipped\n" },
	{ "mode = \"replica\"\nnode_id = \"a b\"",
	  "f:3:11: node_id: a node id is 1 to 63 letters, digits, dots, underscores or dashes\n" },
	{ "mode = \"replica\"\nstate_dir = \"x\"",
	  "f:3:13: state_dir: \"x\" is not an absolute path\n" },
	{ "mode = \"replica\"\nbacklog = \"64X\"",
	  "f:3:11: backlog: \"64X\" is not a size: a number and one of k M G T\n" },
	{ "mode = \"replica\"\nbacklog = 1",
	  "f:3:11: backlog: out of range: 1M to 64G\n" },
	{ "mode = \"replica\"\nlisten_addr = \"10.0.0.1:99999\"",
	  "f:3:15: listen_addr: \"10.0.0.1:99999\" is not an address: \"192.0.2.1:9001\" or \"[2001:db8::1]:9001\"\n" },
	{ "mode = \"replica\"\nlisten_addr = \"fw.example.com\"",
	  "f:3:15: listen_addr: \"fw.example.com\" is not an address: \"192.0.2.1:9001\" or \"[2001:db8::1]:9001\"\n" },
	{ "mode = \"replica\"\nlisten_addr = \"[fe80::1%nosuchif]\"",
	  "f:3:15: listen_addr: \"[fe80::1%nosuchif]\": no such interface\n" },
	{ "mode = \"replica\"\npeers = [{ address = \"10.0.0.2\" }, 3]",
	  "f:3:10: peers.id is missing\n"
	  "f:3:36: peers: expected { ... }, found a number\n" },
	{ "mode = \"replica\"\nprimary_addr = \"10.0.0.1\"\nsecret_key = \"" SECRET "\"\n"
	  "peers = [{ id = \"b\", address = \"10.0.0.2\", role = \"peer\" }]",
	  "f:5:10: peers: b cannot be a peer of a node whose mode is replica\n" },
	{ "mode = \"active-active\"\nsecret_key = \"" SECRET "\"\nprimary_addr = \"10.0.0.9\"\n"
	  "peers = [{ id = \"b\", address = \"10.0.0.2\", role = \"primary\" },\n"
	  "{ id = \"c\", address = \"10.0.0.3\" }]\n"
	  "data = { dhcp_leases = true }",
	  "f:2:8: active-active is for two nodes: list one peer, not 2; multi-master takes any number\n"
	  "f:2:8: active-active needs listen_addr: of two nodes the one whose node_id comes later in the alphabet is dialled\n"
	  "f:4:16: primary_addr: there is no primary where the mode is active-active\n"
	  "f:5:10: peers: b cannot be a primary of a node whose mode is active-active\n" },
	{ "mode = \"replica\"\nzone \"lan\" {\n ct_zone = 70000\n ct_mark = 1\n}",
	  "f:4:12: zone.ct_zone: out of range: 0 to 65535\n"
	  "f:5:12: zone.ct_mark: expected a string, found a number\n" },
	{ "mode = \"replica\"\nzone \"a\" {\n ct_mark = \"0x1g\"\n}\nzone \"b\" {\n ct_mark = \"3/1\"\n}",
	  "f:4:12: zone.ct_mark: \"0x1g\" is not a mark like \"0x10/0xf0\", of 32 bits\n"
	  "f:7:12: zone.ct_mark: 0x3 has bits outside 0x1: nothing matches\n" },
	{ "mode = \"replica\"\nzone \"a\" {\n}\nzone \"b\" {\n}\nzone \"a\" {\n network = []\n}",
	  "f:7:1: zone \"a\" is set twice: first on line 3\n"
	  "f:8:2: unknown key \"network\" in zone: did you mean \"networks\"?\n" },
	{ "mode = \"replica\"\nzone \"a\" \"b\" {\n}\nzone \"a\" {\n}",
	  "f:3:1: zone: write zone \"NAME\" { ... }\n" },
	{ "mode = \"replica\"\nprimary_addr = \"10.0.0.1\"\nsecret_key = \"" SECRET
	  "\"\nzone \"\" {\n}\nfilters { zones = [\"lan\"] }",
	  "f:5:9: zone: a name of 1 to 63 bytes is needed\n"
	  "f:5:9: warning: zone \"\": nothing belongs to it\n"
	  "f:7:19: warning: filters.zones: there is no "
	  "zone \"lan\" { }: only leases can say that they belong to it\n" },
	{ "mode = \"replica\"\nfilters { "
	  "custom_filters = [{ type = \"dhpc\", condition = \"x\" }, { type = \"dns\" }] }",
	  "f:3:38: filters.custom_filters.type: \"dhpc\" is not one of dhcp, dns, learning, config, metrics, conntrack, nft\n"
	  "f:3:65: filters.custom_filters.condition is missing\n" },
	{ "mode = \"replica\"\nprimary_addr = \"10.0.0.1\"\nsecret_key = \"" SECRET
	  "\"\nfilters {\n custom_filters = [\n  { type = \"dhcp\", condition = \"scope == 'x'\" },\n"
	  "  { type = \"dns\", condition = \"ttl > 'x'\" },\n ]\n}",
	  "f:8:31: filters.custom_filters.condition: character 7: ttl is a duration, and this is text\n" },
	{ "mode = \"replica\"\nprimary_addr = \"10.0.0.1\"\nsecret_key = \"" SECRET
	  "\"\nfilters {\n custom_filters {\n  type = \"dhcp\"\n  condition = \"scope == 'x'\"\n }\n"
	  " custom_filters {\n  type = \"nft\"\n  condition = \"scope == 'x'\"\n }\n}",
	  "f:12:15: filters.custom_filters.condition: character 1: no field \"scope\": there are "
	  "family, nft_table, set, key, key_end, data, timeout, userdata, object, comment\n" },
	{ "mode = \"replica\"\nprimary_addr = \"10.0.0.1\"\nsecret_key = \"" SECRET
	  "\"\nfilters { sensitive = [\"Client\", \"vendor\"] }",
	  "f:5:23: filters.sensitive: client is in the key of lease and cannot be left out\n" },
	{ "mode = \"replica\"\nprimary_addr = \"10.0.0.1\"\nsecret_key = \"" SECRET
	  "\"\ndata { metrics = true\n dns_records = false }\ntransformations { anonymize_ips = true }",
	  "f:7:35: transformations.anonymize_ips: a peer must use the addresses in conntrack as they "
	  "are: set data.conntrack = false\n"
	  "f:7:35: transformations.anonymize_ips: a peer must use the addresses in nft_set as they "
	  "are: set data.nft_sets = []\n"
	  "f:7:35: transformations.anonymize_ips: a peer must use the addresses in lease as they "
	  "are: set data.dhcp_leases = false\n"
	  "f:7:35: transformations.anonymize_ips: a peer must use the addresses in config as they "
	  "are: set data.configuration = false\n" },
	{ "mode = \"replica\"\nzone {\n}",
	  "f:3:1: zone: write zone \"NAME\" { ... }\n" },
	{ "mode = \"replica\"\nconflict_resolution {\n strategy = \"age\"\n priorities = { a = true }\n}",
	  "f:4:13: conflict_resolution.strategy: \"age\" is not one of timestamp, priority, manual\n"
	  "f:5:21: conflict_resolution.priorities: expected a whole number, found a boolean\n" },
	{ "mode = \"replica\"\nconflict_resolution {\n priorities = { \"a b\" = 1, c = 1000001, d = -1 }\n"
	  " clock_skew_tolerance = \"61m\"\n timestamp_resolution = \"hour\"\n"
	  " manual_resolution { timeout = \"366d\"\napprover = [] }\n}",
	  "f:4:17: conflict_resolution.priorities: a node id is 1 to 63 letters, digits, dots, underscores or dashes\n"
	  "f:4:32: conflict_resolution.priorities: out of range: 0 to 1000000\n"
	  "f:4:45: conflict_resolution.priorities: out of range: 0 to 1000000\n"
	  "f:5:25: conflict_resolution.clock_skew_tolerance: out of range: 0s to 1h\n"
	  "f:6:25: conflict_resolution.timestamp_resolution: \"hour\" is not one of second, millisecond, microsecond, nanosecond\n"
	  "f:7:32: conflict_resolution.manual_resolution.timeout: out of range: 0s to 52w1d\n"
	  "f:8:1: unknown key \"approver\" in conflict_resolution.manual_resolution: did you mean \"approvers\"?\n" },
	{ SHARED "conflict_resolution {\n strategy = \"priority\"\n"
	  " manual_resolution { approvers = [\"ops\", \"\"] }\n}",
	  "f:8:13: warning: conflict_resolution.strategy: priority, but without priorities the later write wins\n"
	  "f:9:34: conflict_resolution.manual_resolution.approvers: a name of 1 to 255 bytes is needed\n" },
	{ "mode = \"replica\"\nprimary_addr = \"10.0.0.1\"\nconflict_resolution { strategy = \"manual\" }",
	  "f:1:13: no secret: set secret_key_file or secret_key, or give the agent the systemd credential psk\n"
	  "f:4:1: warning: conflict_resolution: without effect where the mode is replica: who writes wins\n" },
	{ "mode = \"replica\"\ndata { nft_sets = [\"inet/filter\", \"i*/a/b\", \"x/a/b\", \"ip/a/b/c\", 1] }",
	  "f:3:20: data.nft_sets: \"inet/filter\" names no sets: \"inet/filter/*\" or \"dynamic\"\n"
	  "f:3:45: data.nft_sets: \"x/a/b\" names no sets: \"inet/filter/*\" or \"dynamic\"\n"
	  "f:3:54: data.nft_sets: \"ip/a/b/c\" names no sets: \"inet/filter/*\" or \"dynamic\"\n"
	  "f:3:66: data.nft_sets: expected a string, found a number\n" },
	{ "mode = \"replica\"\nprimary_addr = \"10.0.0.1\"\nsecret_key = \"" SECRET
	  "\"\ntransport { encryption = false }",
	  "f:5:26: transport.encryption: false needs allow_insecure = true, here and on the other nodes\n"
	  "f:5:26: warning: transport.encryption: NOT ENCRYPTED: whoever sees the traffic can read all of it\n" },
	{ "mode = \"replica\"\nprimary_addr = \"10.0.0.1\"\nsecret_key = \"" SECRET
	  "\"\nallow_insecure = true\ntransport {\n encryption = false\n"
	  "tls {\n cert_file = \"/c\"\n key_file = \"/k\"\n ca_file = \"/a\"\n}\n}",
	  "f:7:15: transport.encryption: false, but certificates need TLS\n"
	  "f:7:15: warning: transport.encryption: NOT ENCRYPTED: whoever sees the traffic can read all of it\n" },
	{ "mode = \"replica\"\nprimary_addr = \"10.0.0.1\"\nsecret_key = \"" SECRET
	  "\"\ndata { conntrack = false\nnft_sets = []\ndhcp_leases = false\ndns_records = false\n"
	  "learning_state = false\nconfiguration = false }",
	  "f:5:20: data: nothing is replicated\n" },
	{ "mode = \"replica\"\npeer_addr = \"10.0.0.1\"",
	  "f:1:13: no secret: set secret_key_file or secret_key, or give the agent the systemd credential psk\n"
	  "f:2:8: warning: a replica without primary_addr receives nothing\n" },
	{ "mode = \"replica\"\nprimary_addr = \"10.0.0.1\"\npeer_addr = \"10.0.0.1\"\nauth { method = \"mtls\" }\n"
	  "transport {\n tls {\n cert_file = \"/c\"\n key_file = \"/k\"\n ca_file = \"/a\"\n}\n}",
	  "f:1:13: no secret, which heartbeats need, with certificates too: set secret_key_file or "
	  "secret_key, or give the agent the systemd credential psk\n" },
	{ HEARTBEAT "listen_addr = \"10.0.0.2\"\npeer_addr = \"10.0.0.2\"",
	  "f:6:13: peer_addr: this node's own address for heartbeats\n" },
	{ HEARTBEAT "peer_addr = \"0.0.0.0\"",
	  "f:5:13: peer_addr: heartbeats need an address to be sent to\n" },
	{ HEARTBEAT "listen_addr = \"[fd00::2]\"\npeer_addr = \"10.0.0.1\"",
	  "f:6:13: peer_addr: all addresses for heartbeats must be IPv4, or all IPv6, as where this node listens\n" },
	{ HEARTBEAT "peer_addr = \"10.0.0.1\"\nheartbeat {\n timeout = \"250ms\"\n}",
	  "f:7:12: heartbeat.timeout: at least three times heartbeat.interval\n" },
	{ HEARTBEAT "heartbeat { listen = \"10.0.0.2\" }\nquorum { split_brain = \"newest\" }",
	  "f:5:22: warning: heartbeat.listen: there are no heartbeats: set peer_addr\n"
	  "f:6:24: quorum.split_brain: needs heartbeats: set peer_addr\n" },
	{ HEARTBEAT TWO_PEERS "peer_addr = \"10.0.0.1\"",
	  "f:7:13: peer_addr: whose, of 2 peers? Set heartbeat in each of peers\n" },
	{ HEARTBEAT "quorum { enabled = true }",
	  "f:5:20: quorum.enabled: list the other nodes in peers: a voter is known by its name\n" },
	{ HEARTBEAT "peers = [{ id = \"a\", address = \"10.0.0.1\" }]\nquorum { enabled = true }",
	  "f:6:20: quorum.enabled: a majority of two nodes is both of them: set quorum.witness, on a third machine\n" },
	{ HEARTBEAT TWO_PEERS "quorum {\n enabled = true\n witness = \"10.0.0.3\"\n split_brain = 3\n}",
	  "f:10:16: quorum.split_brain: expected a string, found a number\n" },
	{ HEARTBEAT TWO_PEERS "quorum {\n enabled = true\n witness = \"10.0.0.3\"\n}",
	  "f:9:12: quorum.witness: another has the same address for heartbeats\n" },
	{ "mode = \"multi-master\"\nnode_id = \"x\"\nsecret_key = \"" SECRET
	  "\"\nlisten_addr = \"10.0.0.9\"\n" SHARED_PEERS
	  "data { nft_sets = [] }\nquorum { enabled = true }",
	  "f:9:20: quorum.enabled: nobody takes over where the mode is multi-master\n" },
	{ "mode = \"standalone\"\nlisten_addr = \"10.0.0.2\"\nprimary_addr = \"10.0.0.1\"\n"
	  "secret_key = \"" SECRET "\"\npeer_addr = \"10.0.0.1\"\npeers = [{ id = \"a\", address = \"10.0.0.1\" }]",
	  "f:3:15: listen_addr: a standalone node has no peers\n"
	  "f:4:16: primary_addr: a standalone node has no peers\n"
	  "f:6:13: peer_addr: a standalone node has no peers\n"
	  "f:7:9: peers: a standalone node has no peers\n" },
	{ "mode = \"witness\"\nsecret_key = \"" SECRET "\"\nlisten_addr = \"10.0.0.2\"",
	  "f:2:8: a witness needs peers: the nodes that it answers\n"
	  "f:4:15: listen_addr: a witness only answers heartbeats\n" },
	{ "mode = \"witness\"\npeers = [{ id = \"a\", heartbeat = \"10.0.0.1\" }]",
	  "f:1:13: no secret: set secret_key_file or secret_key, or give the agent the systemd credential psk\n" },
	{ "mode = \"replica\"\nprimary_addr = \"10.0.0.1\"\nauth {\n method = \"mtls\"\n key_rotation = 86400\n}",
	  "f:5:11: auth.method: mtls needs transport.tls\n" },
	{ "mode = \"replica\"\nprimary_addr = \"10.0.0.1\"\nauth { method = \"mtls\" }\n"
	  "transport {\n tls { cert_file = \"/c\" }\n}",
	  "f:6:6: transport.tls: key_file is missing\n"
	  "f:6:6: transport.tls: ca_file is missing\n" },
	{ "mode = \"replica\"\nprimary_addr = \"10.0.0.1\"\n"
	  "transport {\n tls {\n cert_file = \"/c\"\n key_file = \"k\"\n ca_file = \"/a\"\n}\n}",
	  "f:7:13: transport.tls.key_file: \"k\" is not an absolute path\n" },
	{ "mode = \"replica\"\nprimary_addr = \"10.0.0.1\"\nsecret_key = \"" SECRET
	  "\"\nauth {\n key_rotation = \"999ms\"\n}",
	  "f:6:17: auth.key_rotation: at least 1s, or 0 for never\n" },
	{ "mode = \"replica\"\nauth {\n key_rotation = \"366d\"\n}",
	  "f:4:17: auth.key_rotation: out of range: 0s to 52w1d\n" },
	{ "mode = \"replica\"\nprimary_addr = \"10.0.0.1\"\nprevious_secret_keys = [\"" SECRET "\"]",
	  "f:1:13: no secret: set secret_key_file or secret_key, or give the agent the systemd credential psk\n"
	  "f:4:24: previous_secret_keys: without a present one\n" },
	{ "mode = \"replica\"\nprimary_addr = \"10.0.0.1\"\nsecret_key = \"" SECRET
	  "\"\nprevious_secret_keys = [\"0123456\"]",
	  "f:5:24: previous_secret_keys: 7 bytes are too few for a secret: at least 8\n" },
	{ "mode = \"replica\"\nprimary_addr = \"10.0.0.1\"\nsecret_key = \"" SECRET
	  "\"\nprevious_secret_keys = [\"" SECRET "\"]",
	  "f:5:24: previous_secret_keys: the present secret is among them\n" },
	{ "mode = \"replica\"\nprimary_addr = \"10.0.0.1\"\nsecret_key = \"" SECRET
	  "\"\nauth {\nprevious_secret_keys = [\"" OLD "\", \"" OLD "\"]\n}",
	  "f:6:24: auth.previous_secret_keys: a secret is there twice\n" },
	{ "mode = \"replica\"\nprimary_addr = \"10.0.0.1\"\nsecret_key = \"" SECRET
	  "\"\nprevious_secret_keys = [\"" OLD "\"]\nauth {\n"
	  "previous_secret_keys = [\"" OLD "\"]\n}",
	  "f:7:24: auth.previous_secret_keys: given already, as previous_secret_keys\n" },
	{ "mode = \"replica\"\nprimary_addr = \"10.0.0.1\"\nsecret_key = \"" SECRET
	  "\"\nprevious_secret_keys = [1, \"a\", \"b\", \"c\", \"d\", \"e\", \"f\", \"g\"]",
	  "f:5:24: previous_secret_keys: out of range: at most 7 of them\n" },
	{ "mode = \"replica\"\nprimary_addr = \"10.0.0.1\"\nsecret_key = \"" SECRET
	  "\"\nprevious_secret_keys = [1]",
	  "f:5:25: previous_secret_keys: expected a string, found a number\n" },
	{ "mode = \"replica\"\nprimary_addr = \"10.0.0.1\"\nsecret_key = \"" SECRET
	  "\"\nsync {\n mode = \"full\"\n interval = \"999ms\"\n}",
	  "f:7:13: sync.interval: at least 1s between snapshots (sync.mode is full)\n" },
	{ "mode = \"replica\"\nprimary_addr = \"10.0.0.1\"\nsecret_key = \"" SECRET
	  "\"\nrecovery {\n full_resync {\n schedule = \"0 25 * * *\"\n}\n}",
	  "f:7:13: recovery.full_resync.schedule: column 3: hour: 0 to 23\n" },
	{ "mode = \"replica\"\nrecovery {\n full_resync {\n checksum_verification = false\n}\n}",
	  "f:5:26: recovery.full_resync.checksum_verification: false is not supported yet\n" },
	{ "mode = \"replica\"\nrecovery {\n incremental {\n checkpoint_interval = \"999ms\"\n"
	  " max_checkpoints = 0\n}\n}",
	  "f:5:24: recovery.incremental.checkpoint_interval: out of range: 1s to 1w\n"
	  "f:6:20: recovery.incremental.max_checkpoints: out of range: 1 to 100000\n" },
	{ "mode = \"replica\"\nbackup_retention = \"3651d\"",
	  "f:3:20: backup_retention: out of range: 0s to 521w3d\n" },
	{ "mode = \"replica\"\nprimary_addr = \"10.0.0.1\"\nauth { method = \"mtls\" }\n"
	  "transport { tls { cert_file = \"/c\"\n key_file = \"/k\"\n ca_file = \"/a\" } }\n"
	  "transformations { encrypt_data = true }\ndata { nft_sets = []\n"
	  "dhcp_leases = false\ndns_records = false\nlearning_state = false\nconfiguration = false }\n"
	  "recovery { incremental { enabled = true } }",
	  "f:8:34: transformations.encrypt_data: the key comes from the secret, and there is none: "
	  "set secret_key_file or secret_key\n"
	  "f:14:36: warning: recovery.incremental.enabled: nothing is there for checkpoints: flows "
	  "are in none\n" },
	{ "mode = \"replica\"\nrecovery { resync_threshold = 0 }",
	  "f:3:31: recovery.resync_threshold: out of range: 1 to 4294967295\n" },
	{ "mode = \"replica\"\napi { listen = 8085 }",
	  "f:3:16: api.listen: expected a list, found a number\n" },
	{ "mode = \"standalone\"\napi {\nlisten = [\"127.9.0.1\", \"10.0.0.1:9\", \"[fd00::1]\"]\n}",
	  "f:4:10: api.listen: 10.0.0.1:9 is no loopback address: set api.token_file, or give the "
	  "agent the systemd credential api_token\n"
	  "f:4:10: api.listen: [fd00::1]:8080 is no loopback address: set api.token_file, or give "
	  "the agent the systemd credential api_token\n"
	  "f:4:10: api.listen: 10.0.0.1:9 is no loopback address: set api.tls\n"
	  "f:4:10: api.listen: [fd00::1]:8080 is no loopback address: set api.tls\n" },
	{ "mode = \"standalone\"\napi {\nlisten = \"0.0.0.0\"\ntoken_file = \"/nonexistent/t\"\n"
	  "tls { cert_file = \"/c\" }\n}",
	  "f:5:14: api.token_file: cannot read the tokens in /nonexistent/t: No such file or "
	  "directory\n"
	  "f:6:5: api.tls: key_file is missing\n" },
	{ "mode = \"standalone\"\napi {\nlisten = [\"127.0.0.1\", \"127.0.0.1:8080\"]\n"
	  "hosts = [\"fw.example:8443\", \"fw\", \"\", \"a b\", \"x:0\", \"x:70000\", \"http://x\"]\n}",
	  "f:4:10: api.listen: an address is there twice\n"
	  "f:5:9: api.hosts: \"\" is not a \"name\" or \"name:port\"\n"
	  "f:5:9: api.hosts: \"a b\" is not a \"name\" or \"name:port\"\n"
	  "f:5:9: api.hosts: \"x:0\" is not a \"name\" or \"name:port\"\n"
	  "f:5:9: api.hosts: \"x:70000\" is not a \"name\" or \"name:port\"\n"
	  "f:5:9: api.hosts: \"http://x\" is not a \"name\" or \"name:port\"\n" },
	/* Keys that contradict each other. */
	{ "mode = \"replica\"\nprimary_addr = \"10.0.0.1\"",
	  "f:1:13: no secret: set secret_key_file or secret_key, or give the agent the systemd credential psk\n" },
	{ "mode = \"replica\"\nsecret_key = \"1234567\"",
	  "f:2:8: warning: a replica without primary_addr receives nothing\n"
	  "f:3:14: secret_key: 7 bytes are too few for a secret: at least 8\n" },
	{ "mode = \"replica\"\nprimary_addr = \"10.0.0.1\"\nsecret_key = \"" SECRET
	  "\"\nauth {\n secret_key = \"" SECRET "\"\n}",
	  "f:6:15: auth.secret_key: the secret was given already, as secret_key\n" },
	{ "mode = \"replica\"\nprimary_addr = \"10.0.0.1\"\nsecret_key_file = \"/nonexistent/psk\"",
	  "f:4:19: cannot read the secret in /nonexistent/psk: No such file or directory\n" },
	{ "mode = \"primary\"\nnode_id = \"a\"\nsecret_key = \"" SECRET
	  "\"\npeers = [\n{ id = \"a\", address = \"10.0.0.2\" },\n"
	  "{ id = \"b\", address = \"0.0.0.0\", role = \"primary\" },\n"
	  "{ id = \"b\", address = \"10.0.0.2\" },\n]",
	  "f:2:8: a primary with peers needs listen_addr: they dial it\n"
	  "f:6:1: peers: \"a\" is this node's own node_id\n"
	  "f:7:1: peers: b: an address that can be dialled is needed\n"
	  "f:7:1: peers: b is a primary, and so is this node\n"
	  "f:8:1: peers: a and b have the same address\n"
	  "f:8:1: peers: \"b\" is listed twice\n" },
	{ "mode = \"replica\"\nsecret_key = \"" SECRET
	  "\"\nlisten_addr = \"10.0.0.1\"\nprimary_addr = \"10.0.0.1:9001\"\n"
	  "peers {\n id = \"b\"\n address = \"10.0.0.1\"\n}\n",
	  "f:5:16: primary_addr is this node's own listen_addr\n"
	  "f:6:7: peers: b has this node's own listen_addr\n" },
	{ "mode = \"replica\"\nsecret_key = \"" SECRET
	  "\"\nprimary_addr = \"[::]\"",
	  "f:4:16: primary_addr: an address that can be dialled is needed\n" },
	{ "mode = \"replica\"\nsecret_key = \"" SECRET
	  "\"\nprimary_addr = \"10.0.0.1\"\npeers = [\n"
	  "{ id = \"b\", address = \"10.0.0.1\", role = \"primary\" },\n"
	  "{ id = \"c\", address = \"10.0.0.2\", role = \"primary\" },\n]",
	  "f:7:1: peers: b and c cannot both be primary\n" },
	{ "mode = \"replica\"\nsecret_key = \"" SECRET
	  "\"\nlisten_addr = \"10.0.0.1\"\nprimary_addrs = [\"10.0.0.2\", \"0.0.0.0\"]\npeers = [\n"
	  "{ id = \"b\" },\n"
	  "{ id = \"c\", addresses = [\"10.0.0.3\", \"10.0.0.1\"] },\n"
	  "{ id = \"d\", address = \"10.0.0.4\", addresses = [\"10.0.0.3\"] },\n]",
	  "f:5:17: primary_addrs: an address that can be dialled is needed\n"
	  "f:7:1: peers: b: address or addresses is missing\n"
	  "f:8:1: peers: c has this node's own listen_addr\n"
	  "f:9:1: peers: c and d have the same address\n" },
	{ "mode = \"replica\"\nprimary_addrs = [\"10.0.0.2\", \"ten\"]",
	  "f:3:30: primary_addrs: \"ten\" is not an address: \"192.0.2.1:9001\" or \"[2001:db8::1]:9001\"\n" },
	{ "mode = \"replica\"\nprimary_addrs = [1, 2, 3, 4, 5, 6, 7, 8]",
	  "f:3:17: primary_addrs: out of range: at most 7 of them\n" },
	/* A faulty line does not hide the others, nor invent any. */
	{ "mode = primary\nbogus = 24h\nlisten_addr = 10.0.0.1\nsync { interval = \"1x\" }",
	  "f:2:8: \"primary\" is not a value: strings are quoted: \"primary\"\n"
	  "f:3:1: unknown key \"bogus\" in replication\n"
	  "f:3:9: 24h is not a number: quote durations, sizes and addresses: \"24h\"\n"
	  "f:4:15: 10.0.0.1 is not a number: quote durations, sizes and addresses: \"10.0.0.1\"\n"
	  "f:5:19: sync.interval: \"1x\" is not a duration: numbers with the units ns us ms s m h d w\n" },
};

static void every_fault_has_its_place(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
		char text[4096];
		struct loaded l;

		snprintf(text, sizeof(text), "replication {\n%s\n}\n",
			 broken[i].body);
		parse(&l, text, 0);
		assert_string_equal(l.faults, broken[i].faults);
		assert_int_equal(l.err, -EINVAL);
		drop(&l);
	}
}

/* Of conflicts, where they can come up; what is suspicious is said. */
static void conflicts_have_rules(void **state)
{
	const struct fr_config *c;
	char *first, *second;
	struct loaded l;

	(void)state;
	parse(&l,
	      "replication {\n" SHARED
	      "data { dhcp_leases = false\nmetrics = true\nnft_sets = [\"dynamic\"] }\nconflict_resolution {\n strategy = \"manual\"\n"
	      " priorities = { b = 1, \"a\" = 1000000\n \"no.such-node\" : 0 }\n"
	      " timestamp_resolution = \"microsecond\"\n clock_skew_tolerance = \"1s500ms\"\n"
	      " manual_resolution = {\n require_approval = false\n approvers = [\"ops\", \"a b\"]\n"
	      " timeout = 0\n}\n}\n}\n",
	      0);
	assert_string_equal(
		l.faults,
		"f:12:15: warning: conflict_resolution.priorities: no.such-node is neither this node nor a peer\n"
		"f:17:21: warning: conflict_resolution.manual_resolution.require_approval: without it the strategy manual is the strategy timestamp\n");
	c = &l.config;
	assert_int_equal(c->conflict_resolution.strategy, FR_CONFIG_MANUAL);
	assert_int_equal(c->conflict_resolution.priorities.n, 3);
	assert_string_equal(c->conflict_resolution.priorities.v[1].node_id, "a");
	assert_int_equal(c->conflict_resolution.priorities.v[1].number, 1000000);
	assert_int_equal(c->conflict_resolution.timestamp_resolution, 2);
	assert_int_equal(c->conflict_resolution.clock_skew_tolerance_ms, 1500);
	assert_false(c->conflict_resolution.manual_resolution.require_approval);
	assert_int_equal(c->conflict_resolution.manual_resolution.approvers.n, 2);
	assert_string_equal(c->conflict_resolution.manual_resolution.approvers.v[1], "a b");
	assert_int_equal(c->conflict_resolution.manual_resolution.timeout_ms, 0);
	assert_true(fr_config_has_versions(c, FLYREP_TABLE_DNS));
	assert_true(fr_config_has_versions(c, FLYREP_TABLE_METRIC));
	assert_true(fr_config_has_versions(c, FLYREP_TABLE_NFT_SET));
	assert_false(fr_config_has_versions(c, FLYREP_TABLE_LEASE));
	assert_false(fr_config_has_versions(c, FLYREP_TABLE_CONNTRACK));
	first = print(c);
	drop(&l);
	assert_non_null(strstr(
		first, "    priorities = { \"b\" = 1, \"a\" = 1000000, \"no.such-node\" = 0 }\n"));
	parse(&l, first, FR_CONFIG_SECRET_OPTIONAL);
	second = print(&l.config);
	drop(&l);
	*strstr(first, "  # secret_key") = '\0';
	assert_memory_equal(first, second, strlen(first));
	assert_string_equal(strstr(first + strlen(first) + 1, "  state_dir"),
			    strstr(second, "  state_dir"));
	free(first);
	free(second);
}

/* One writer: no conflicts, and rules for them are only worth a warning. */
static void one_writer_has_no_conflicts(void **state)
{
	struct loaded l;

	(void)state;
	parse(&l,
	      "replication {\nmode = \"replica\"\ndata { dns_records = true }\n"
	      "conflict_resolution { strategy = \"manual\" }\n}",
	      0);
	assert_int_equal(l.err, 0);
	assert_string_equal(
		l.faults,
		"f:2:8: warning: a replica without primary_addr receives nothing\n"
		"f:4:1: warning: conflict_resolution: without effect where the mode is replica: who writes wins\n");
	assert_false(fr_config_has_versions(&l.config, FLYREP_TABLE_DNS));
	drop(&l);
	parse(&l, "replication {\nmode = \"replica\"\nconflict_resolution = null\n}", 0);
	assert_string_equal(l.faults,
			    "f:2:8: warning: a replica without primary_addr receives nothing\n");
	drop(&l);
}

/* A write knows of 64 nodes at most, itself included. */
static void too_many_writers(void **state)
{
	char text[8192], *at = text;
	struct loaded l;
	int i;

	(void)state;
	at += sprintf(at,
		      "replication {\nmode = \"multi-master\"\nnode_id = \"a\"\nsecret_key = \"%s\"\n"
		      "listen_addr = \"10.0.0.1\"\ndata { metrics = true }\npeers = [\n",
		      SECRET);
	for (i = 0; i < 64; i++)
		at += sprintf(at, "{ id = \"n%d\", address = \"10.0.1.%d\" },\n", i, i);
	sprintf(at, "]\n}\n");
	parse(&l, text, 0);
	assert_int_equal(l.err, -EINVAL);
	assert_string_equal(
		l.faults,
		"f:7:9: peers: of 65 nodes that write leases and the like each would have to know all others: at most 64\n");
	drop(&l);
	*strstr(text, "{ id = \"n63\"") = '#';
	parse(&l, text, 0);
	assert_string_equal(l.faults, "");
	drop(&l);
}

static const struct {
	const char *text;
	const char *faults;
} whole[] = {
	{ "", "f: no replication { } in it\n" },
	{ "# only a comment", "f: no replication { } in it\n" },
	{ "replcation {\n}",
	  "f: no replication { } in it\n"
	  "f:1:1: unknown section \"replcation\": everything goes inside replication { }\n" },
	{ "replication = 3",
	  "f:1:15: replication: expected { ... }, found a number\n" },
	{ "replication {\n mode = \"replica\"\n}\nreplication {\n}",
	  "f:4:1: replication is set twice: first on line 1\n" },
	{ "replication \"x\" {\n mode = \"replica\"\n}",
	  "f:1:1: replication takes no label\n" },
	{ "replication {\n mode = \"replica\"\n",
	  "f:1:13: this \"{\" is never closed\n" },
};

static void the_file_as_a_whole(void **state)
{
	struct loaded l;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(whole) / sizeof(whole[0]); i++) {
		parse(&l, whole[i].text, 0);
		assert_string_equal(l.faults, whole[i].faults);
		assert_int_equal(l.err, -EINVAL);
		drop(&l);
	}
	parse(&l, "replication = {\n mode = \"replica\"\n}", 0);
	assert_int_equal(l.err, 0);
	drop(&l);
	load(&l, "/nonexistent/flyrep.hcl", 0);
	assert_int_equal(l.err, -ENOENT);
	assert_string_equal(
		l.faults,
		"/nonexistent/flyrep.hcl: cannot read it: No such file or directory\n");
	drop(&l);
	load(&l, "/", 0);
	assert_int_equal(l.err, -EISDIR);
	drop(&l);
}

/* A directory of its own for the tests that need files. */
static int make_dir(void **state)
{
	char *dir = strdup("/tmp/flyrep-config-XXXXXX");

	*state = mkdtemp(dir);
	return !*state;
}

static int remove_dir(void **state)
{
	static const char *const names[] = { "flyrep.hcl", "psk" };
	char path[256];
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", (char *)*state, names[i]);
		unlink(path);
	}
	rmdir(*state);
	free(*state);
	return 0;
}

static void write_file(const char *path, const char *text, mode_t mode)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	fputs(text, file);
	fclose(file);
	assert_int_equal(chmod(path, mode), 0);
}

static void secrets_come_from_files(void **state)
{
	char config[256], psk[256], text[1024], want[2048];
	struct loaded l;

	snprintf(config, sizeof(config), "%s/flyrep.hcl", (char *)*state);
	snprintf(psk, sizeof(psk), "%s/psk", (char *)*state);
	snprintf(
		text, sizeof(text),
		"replication {\nmode = \"replica\"\nprimary_addr = \"10.0.0.1\"\n"
		"secret_key_file = \"%s\"\n}\n",
		psk);
	write_file(config, text, 0644);

	write_file(psk, SECRET "\n", 0600);
	load(&l, config, 0);
	assert_string_equal(l.faults, "");
	assert_int_equal(l.config.secret.len, 32);
	assert_memory_equal(l.config.secret.bytes, SECRET, 32);
	assert_string_equal(l.config.secret_origin, psk);
	drop(&l);

	write_file(psk, "17 bytes of text!", 0640);
	load(&l, config, 0);
	snprintf(
		want, sizeof(want),
		"%s:4:19: warning: %s: 17 bytes are few for a secret: better 32 or more\n"
		"%s:4:19: warning: %s holds a secret and others than its owner may read it (mode 0640)\n",
		config, psk, config, psk);
	assert_string_equal(l.faults, want);
	assert_int_equal(l.err, 0);
	drop(&l);

	write_file(psk, "short\n", 0600);
	load(&l, config, 0);
	snprintf(want, sizeof(want),
		 "%s:4:19: %s: 5 bytes are too few for a secret: at least 8\n",
		 config, psk);
	assert_string_equal(l.faults, want);
	drop(&l);

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	write_file(psk, "", 0600);
	{
		FILE *file = fopen(psk, "w");
		int i;

		for (i = 0; i < 5; i++)
			fputs(text, file);
		fclose(file);
	}
	load(&l, config, 0);
	snprintf(want, sizeof(want), "%s:4:19: %s: more than 4096 bytes\n",
		 config, psk);
	assert_string_equal(l.faults, want);
	drop(&l);
}

static void secrets_come_from_systemd(void **state)
{
	static const char text[] =
		"replication {\nmode = \"replica\"\nprimary_addr = \"10.0.0.1\"\n}\n";
	char psk[256];
	struct loaded l;

	snprintf(psk, sizeof(psk), "%s/psk", (char *)*state);
	write_file(psk, SECRET, 0440);
	setenv("CREDENTIALS_DIRECTORY", *state, 1);
	parse(&l, text, 0);
	assert_string_equal(l.faults, "");
	assert_int_equal(l.config.secret.len, 32);
	drop(&l);
	unlink(psk);
	parse(&l, text, 0);
	assert_int_equal(l.err, -EINVAL);
	drop(&l);
	unsetenv("CREDENTIALS_DIRECTORY");
	parse(&l, text, FR_CONFIG_SECRET_OPTIONAL);
	assert_int_equal(l.err, 0);
	assert_string_equal(
		l.faults,
		"f:1:13: warning: no secret: set secret_key_file or secret_key, or give the agent the systemd credential psk\n");
	drop(&l);
}

static void tokens_come_from_files(void **state)
{
	static const char token[] = "0123456789abcdef0123456789abcdef";
	char config[256], file[256], text[1024], want[8192];
	struct loaded l;

	snprintf(config, sizeof(config), "%s/flyrep.hcl", (char *)*state);
	snprintf(file, sizeof(file), "%s/api_token", (char *)*state);
	snprintf(text, sizeof(text),
		 "replication {\nmode = \"standalone\"\napi {\nlisten = \"10.0.0.1\"\n"
		 "token_file = \"%s\"\ntls { cert_file = \"/c\"\nkey_file = \"/k\"\n}\n}\n}\n",
		 file);
	write_file(config, text, 0644);

	snprintf(text, sizeof(text), "# who may\n\nops  %s1\t\n%s2\r\n", token, token);
	write_file(file, text, 0600);
	load(&l, config, 0);
	assert_string_equal(l.faults, "");
	assert_int_equal(l.config.api.n_tokens, 2);
	assert_string_equal(l.config.api.tokens[0].name, "ops");
	assert_int_equal(l.config.api.tokens[0].secret.len, 33);
	assert_memory_equal(l.config.api.tokens[0].secret.bytes, token, 32);
	assert_string_equal(l.config.api.tokens[1].name, "token");
	assert_memory_equal(l.config.api.tokens[1].secret.bytes + 32, "2", 2);
	drop(&l);

	/* Not one of these faults tells a token. */
	snprintf(text, sizeof(text),
		 "short\nroot %s\na/b %s\none two %s\n%s\nagain %s\n\x01%s\n", token, token, token,
		 token, token, token);
	write_file(file, text, 0644);
	load(&l, config, 0);
	snprintf(want, sizeof(want),
		 "%1$s:5:14: api.token_file: %2$s, line 1: a token has at least 16 bytes, and at most 4096\n"
		 "%1$s:5:14: api.token_file: %2$s, line 2: root is nobody's name but root's\n"
		 "%1$s:5:14: api.token_file: %2$s, line 3: a name is 1 to 63 of letters, digits, '.', '_' and '-'\n"
		 "%1$s:5:14: api.token_file: %2$s, line 4: one token on a line, with a name before it or not\n"
		 "%1$s:5:14: api.token_file: %2$s, line 6: that token is there twice\n"
		 "%1$s:5:14: api.token_file: %2$s, line 7: a token is of printable ASCII, without spaces\n"
		 "%1$s:5:14: warning: %2$s holds a secret and others than its owner may read it (mode 0644)\n",
		 config, file);
	assert_string_equal(l.faults, want);
	assert_int_equal(l.err, -EINVAL);
	drop(&l);

	write_file(file, "# none\n", 0600);
	load(&l, config, 0);
	snprintf(want, sizeof(want), "%s:5:14: api.token_file: %s: no token is in it\n", config,
		 file);
	assert_string_equal(l.faults, want);
	drop(&l);

	/* From systemd: no key names it. */
	write_file(file, token, 0440);
	setenv("CREDENTIALS_DIRECTORY", *state, 1);
	parse(&l, "replication {\nmode = \"standalone\"\n}\n", 0);
	assert_string_equal(l.faults, "");
	assert_int_equal(l.config.api.n_tokens, 1);
	drop(&l);
	unlink(file);
	parse(&l, "replication {\nmode = \"standalone\"\n}\n", 0);
	assert_string_equal(l.faults, "");
	assert_int_equal(l.config.api.n_tokens, 0);
	drop(&l);
	unsetenv("CREDENTIALS_DIRECTORY");
	/* Who is not the agent has no credentials. */
	parse(&l, "replication {\nmode = \"standalone\"\napi {\nlisten = \"10.0.0.1\"\n"
		  "tls { cert_file = \"/c\"\nkey_file = \"/k\"\n}\n}\n}\n",
	      FR_CONFIG_SECRET_OPTIONAL);
	assert_int_equal(l.err, 0);
	assert_string_equal(l.faults,
			    "f:4:10: warning: api.listen: 10.0.0.1:8080 is no loopback address: "
			    "set api.token_file, or give the agent the systemd credential "
			    "api_token\n");
	drop(&l);
}

static void a_readable_file_with_a_secret_is_a_warning(void **state)
{
	char config[256], want[512];
	struct loaded l;

	snprintf(config, sizeof(config), "%s/flyrep.hcl", (char *)*state);
	write_file(
		config,
		"replication {\nmode = \"replica\"\nprimary_addr = \"10.0.0.1\"\n"
		"secret_key = \"" SECRET "\"\n}\n",
		0644);
	load(&l, config, 0);
	snprintf(
		want, sizeof(want),
		"%s:4:14: warning: this file holds a secret and others than its owner may read it (mode 0644)\n",
		config);
	assert_string_equal(l.faults, want);
	assert_int_equal(l.err, 0);
	drop(&l);
	chmod(config, 0600);
	load(&l, config, 0);
	assert_string_equal(l.faults, "");
	drop(&l);
}

/* Who heartbeats are exchanged with, as "id address, ...", and where they arrive */
static const struct {
	const char *lines;
	const char *voters;
	const char *listen;
} heartbeats[] = {
	{ "", "", "none" },
	{ "peer_addr = \"10.0.0.1\"", "* 10.0.0.1:9002", "0.0.0.0:9002" },
	{ "listen_addr = \"10.0.0.2:1\"\npeer_addr = \"10.0.0.1:7\"", "* 10.0.0.1:7",
	  "10.0.0.2:9002" },
	{ "peers = [{ id = \"b\", address = \"10.0.0.1:5\" }]\npeer_addr = \"10.9.9.1\"",
	  "b 10.9.9.1:9002", "0.0.0.0:9002" },
	{ "peers = [{ id = \"b\", address = \"10.0.0.1:5\" }]\nquorum {\nenabled = true\n"
	  "witness = \"10.0.0.3\"\n}\nheartbeat { listen = \"10.0.0.9:4\" }",
	  "b 10.0.0.1:9002, * witness 10.0.0.3:9002", "10.0.0.9:4" },
	{ "peers = [{ id = \"b\", address = \"10.0.0.1\" },\n{ id = \"c\", addresses = [\"10.0.0.2\"],"
	  " heartbeat = \"10.1.0.2:3\" }]", "b 10.0.0.1:9002, c 10.1.0.2:3", "0.0.0.0:9002" },
	{ "peers = [{ id = \"b\", address = \"[fd00::1]\" }]\npeer_addr = \"[fd00::2]\"\n"
	  "quorum { witness = \"[fd00::3]\" }", "b [fd00::2]:9002", "[::]:9002" },
};

static void everybody_is_a_voter(void **state)
{
	struct fr_config_voter v;
	struct fr_address listen;
	char text[1024], address[FR_ADDRESS_TEXT_LEN];
	struct loaded l;
	size_t i, k, n;

	(void)state;
	for (i = 0; i < sizeof(heartbeats) / sizeof(heartbeats[0]); i++) {
		snprintf(text, sizeof(text),
			 "replication {\nmode = \"replica\"\nnode_id = \"a\"\n"
			 "primary_addr = \"10.0.0.1\"\nsecret_key = \"" SECRET "\"\n%s\n}\n",
			 heartbeats[i].lines);
		parse(&l, text, 0);
		if (l.err)
			fail_msg("%s", l.faults);
		assert_int_equal(fr_config_has_heartbeat(&l.config), *heartbeats[i].voters != 0);
		text[0] = '\0';
		for (k = n = 0; fr_config_voter(&l.config, k, &v); k++)
			n += snprintf(text + n, sizeof(text) - n, "%s%s %s%s", n ? ", " : "", v.id,
				      v.is_witness ? "witness " : "",
				      fr_address_format(&v.address, address));
		assert_string_equal(text, heartbeats[i].voters);
		fr_config_heartbeat_listen(&l.config, &listen);
		assert_string_equal(fr_address_format(&listen, address), heartbeats[i].listen);
		drop(&l);
	}
}

static void reload_says_what_needs_a_restart(void **state)
{
	static const char base[] =
		"replication {\nmode = \"replica\"\nnode_id = \"a\"\nprimary_addr = \"10.0.0.1\"\n"
		"secret_key = \"" SECRET "\"\n%s\n}\n";
	static const struct {
		const char *line;
		const char *faults;
	} changes[] = {
		{ "", "" },
		{ "sync { batch_size = 5 }", "" },
		{ "conntrack { hold = 60 }", "" },
		{ "state_dir = \"/x\"",
		  "f: state_dir changed: that needs a restart\n" },
		{ "peers = [{ id = \"b\", address = \"10.0.0.1\" }]",
		  "f: peers changed: that needs a restart\n" },
		{ "transport { tls {\ncert_file = \"/c\"\nkey_file = \"/k\"\nca_file = \"/a\"\n}\n}",
		  "f: transport.tls changed: that needs a restart\n" },
		{ "api { socket = \"/x\" }",
		  "f: api.socket changed: that needs a restart\n" },
		{ "peer_addr = \"10.0.0.1\"",
		  "f: peer_addr changed: that needs a restart\n" },
		{ "heartbeat { interval = \"50ms\" }\nquorum {\ntimeout = 1\npriority = 7\n}", "" },
	};
	struct loaded running, next;
	struct fr_diag diag;
	char text[1024];
	size_t i;

	(void)state;
	snprintf(text, sizeof(text), base, "");
	parse(&running, text, 0);
	for (i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		char *faults = NULL;
		size_t len;
		FILE *out;

		snprintf(text, sizeof(text), base, changes[i].line);
		parse(&next, text, 0);
		assert_int_equal(next.err, 0);
		fr_diag_init(&diag, "f");
		assert_int_equal(fr_config_reload_check(&running.config,
							&next.config, &diag),
				 *changes[i].faults ? -EINVAL : 0);
		out = open_memstream(&faults, &len);
		fr_diag_print(&diag, out);
		fclose(out);
		assert_string_equal(faults, changes[i].faults);
		free(faults);
		fr_diag_free(&diag);
		drop(&next);
	}
	/* A new secret rolls out without a restart. */
	parse(&next,
	      "replication {\nmode = \"replica\"\nnode_id = \"a\"\nprimary_addr = \"10.0.0.1\"\n"
	      "secret_key = \"another0another0another0another0\"\n"
	      "previous_secret_keys = [\"" SECRET "\"]\n}\n",
	      0);
	fr_diag_init(&diag, "f");
	assert_int_equal(fr_config_reload_check(&running.config, &next.config,
						&diag),
			 0);
	fr_diag_free(&diag);
	drop(&next);
	drop(&running);
}

static bool is_section(const struct fr_schema *row)
{
	return row->type == FR_SCHEMA_SECTION ||
	       row->type == FR_SCHEMA_SECTIONS ||
	       row->type == FR_SCHEMA_LABELLED;
}

/* What the table promises to those who read it. */
static void the_table_is_sound(void **state)
{
	const struct fr_schema *rows;
	size_t n, i, j;

	(void)state;
	rows = fr_schema_rows(&n);
	for (i = 0; i < n; i++) {
		const struct fr_schema *row = &rows[i], *parent = NULL;
		char word[64];

		for (j = 0; j < i; j++) {
			assert_string_not_equal(rows[j].path, row->path);
			if (fr_schema_is_child(&rows[j], row))
				parent = &rows[j];
		}
		assert_true(!strchr(row->path, '.') == !parent);
		assert_true(!parent || is_section(parent));
		assert_ptr_equal(fr_schema_child(parent, fr_schema_name(row)),
				 row);
		assert_non_null(row->help);
		assert_non_null(fr_schema_type_name(row->type));
		assert_true(!!row->choices == (row->type == FR_SCHEMA_CHOICE ||
					       row->type == FR_SCHEMA_PROTOS));
		/* What nothing is done with must be said to be so. */
		if (row->offset == FR_SCHEMA_UNBOUND && !is_section(row) &&
		    strncmp(row->path, "filters.custom_filters.", 23) &&
		    strcmp(row->path, "transport.protocol"))
			assert_non_null(row->only);
		if (row->only && row->dflt && strcmp(row->dflt, "[]") &&
		    row->type != FR_SCHEMA_PROTOS) {
			assert_true(sscanf(row->dflt, "%*[\"]%63[^\"]", word) ==
					    1 ||
				    sscanf(row->dflt, "%63[^\"]", word) == 1);
			assert_true(fr_schema_allows(row->only, word));
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_least_there_can_be),
		cmocka_unit_test(every_key_is_bound),
		cmocka_unit_test(it_prints_what_it_reads),
		cmocka_unit_test(blocks_and_objects_are_the_same),
		cmocka_unit_test(the_guide_parses),
		cmocka_unit_test(every_fault_has_its_place),
		cmocka_unit_test(conflicts_have_rules),
		cmocka_unit_test(one_writer_has_no_conflicts),
		cmocka_unit_test(too_many_writers),
		cmocka_unit_test(the_file_as_a_whole),
		cmocka_unit_test_setup_teardown(secrets_come_from_files,
						make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(secrets_come_from_systemd,
						make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(tokens_come_from_files,
						make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(
			a_readable_file_with_a_secret_is_a_warning, make_dir,
			remove_dir),
		cmocka_unit_test(everybody_is_a_voter),
		cmocka_unit_test(reload_says_what_needs_a_restart),
		cmocka_unit_test(the_table_is_sound),
	};

	unsetenv("CREDENTIALS_DIRECTORY");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
