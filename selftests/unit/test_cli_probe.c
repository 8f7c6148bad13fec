// SPDX-License-Identifier: GPL-2.0-or-later
/* What doctor reads in /proc, /boot and the ruleset. */
#include "probe.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <netinet/in.h>
#include <unistd.h>

#include <cmocka.h>

static void options(void **state)
{
	static const char text[] = "# CONFIG_NF_CONNTRACK_EVENTS is not set\n"
				   "CONFIG_NF_CONNTRACK=m\nCONFIG_KPROBES=y\n"
				   "CONFIG_KPROBES_ON_FTRACE=y\nCONFIG_X=";

	(void)state;
	assert_int_equal(probe_option(text, "CONFIG_NF_CONNTRACK"), 'm');
	assert_int_equal(probe_option(text, "CONFIG_KPROBES"), 'y');
	assert_int_equal(probe_option(text, "CONFIG_NF_CONNTRACK_EVENTS"), 0);
	assert_int_equal(probe_option(text, "CONFIG_KPROBE"), 0);
	assert_int_equal(probe_option(text, "CONFIG_X"), 0);
	assert_int_equal(probe_option("", "CONFIG_X"), 0);
}

static void releases(void **state)
{
	static const struct {
		const char *text;
		bool is;
		unsigned int major, minor;
	} rows[] = {
		{ "6.1.0-56-amd64", true, 6, 1 }, { "6.12.9", true, 6, 12 }, { "7.3-rc1", true, 7, 3 },
		{ "", false, 0, 0 },		  { "6", false, 0, 0 },	     { " 6.1", false, 0, 0 },
		{ "v6.1", false, 0, 0 },	  { "-6.1", false, 0, 0 },	     { "6.-1", false, 0, 0 },
	};
	unsigned int major, minor;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(probe_release(rows[i].text, &major, &minor), rows[i].is);
		if (!rows[i].is)
			continue;
		assert_int_equal(major, rows[i].major);
		assert_int_equal(minor, rows[i].minor);
	}
}

static void modules(void **state)
{
	(void)state;
	assert_true(probe_has_module("kernel/a.ko:\nupdates/dkms/flyrep.ko.xz: kernel/b.ko\n", "flyrep"));
	assert_true(probe_has_module("flyrep.ko:", "flyrep"));
	assert_true(probe_has_module("extra/flyrep.ko", "flyrep"));
	/* Others need it, or are called alike. */
	assert_false(probe_has_module("kernel/b.ko: updates/flyrep.ko\n", "flyrep"));
	assert_false(probe_has_module("updates/flyrep_x.ko:\nupdates/notflyrep.ko:\n", "flyrep"));
	assert_false(probe_has_module("updates/flyrep.kox:", "flyrep"));
	assert_false(probe_has_module("flyrep", "flyrep"));
	assert_false(probe_has_module("", "flyrep"));
}

static void sockets(void **state)
{
	static const char tcp[] = "   1: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 "
				  "00000000     0        0 12345 1 0000000000000000 100 0 0 10 0";
	static const char udp6[] = "  77: 00000000000000000000000000000000:232A "
				   "00000000000000000000000000000000:0000 07 00000000:00000000 "
				   "00:00000000 00000000   107        0 777 2 0000000000000000 0";
	struct probe_socket s;

	(void)state;
	assert_true(probe_socket(tcp, &s));
	assert_int_equal(s.port, 8080);
	assert_int_equal(s.state, PROBE_LISTENS);
	assert_int_equal(s.inode, 12345);
	assert_true(probe_socket(udp6, &s));
	assert_int_equal(s.port, 9002);
	assert_int_equal(s.inode, 777);
	assert_false(probe_socket("  sl  local_address rem_address   st tx_queue rx_queue tr", &s));
	assert_false(probe_socket("   1: 0100007F:1F90 00000000:0000 0A 0:0 00:0 0 0 0", &s));
	assert_false(probe_socket("", &s));
}

/* A socket of our own, found as doctor finds it */
static void owners(void **state)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	char name[PROBE_NAME_LEN];
	struct stat st;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(probe_owner(st.st_ino, name), getpid());
	assert_string_equal(name, "test_cli_probe");
	assert_true(probe_process("test_cli_probe") > 0);
	close(fd);
	assert_int_equal(probe_owner(st.st_ino, name), 0);
	assert_int_equal(probe_owner(0, name), 0);
	assert_int_equal(probe_process("no such process"), 0);
}

static void files(void **state)
{
	char path[] = "/tmp/test_cli_probe.XXXXXX", text[5], *all;
	int fd = mkstemp(path);
	long long n;

	(void)state;
	assert_int_equal(write(fd, "-42\nmore", 8), 8);
	close(fd);
	assert_int_equal(probe_number(path, &n), 0);
	assert_int_equal(n, -42);
	assert_int_equal(probe_read(path, text, sizeof(text)), 4);
	assert_string_equal(text, "-42\n");
	all = probe_slurp(path);
	assert_string_equal(all, "-42\nmore");
	free(all);
	assert_int_equal(truncate(path, 0), 0);
	assert_int_equal(probe_number(path, &n), -EINVAL);
	unlink(path);
	assert_int_equal(probe_number(path, &n), -ENOENT);
	assert_null(probe_slurp(path));
}

struct found {
	size_t n;
	char where[4][256];
};

static void on_found(void *cookie, const char *where)
{
	struct found *f = cookie;

	assert_true(f->n < 4);
	snprintf(f->where[f->n++], sizeof(f->where[0]), "%s", where);
}

static void masquerades(void **state)
{
	static const char text[] =
		"{\"nftables\": [{\"metainfo\": {\"version\": \"1.0.6\"}}, {\"rule\": {\"family\": \"ip\", "
		"\"table\": \"nat\", \"chain\": \"post\", \"handle\": 3, \"expr\": [{\"match\": {\"op\": \"==\", "
		"\"left\": {\"meta\": {\"key\": \"oifname\"}}, \"right\": \"wan0\"}}, {\"counter\": {\"packets\": "
		"0, \"bytes\": 0}}, {\"masquerade\": null}]}}, {\"rule\": {\"family\": \"ip6\", \"table\": \"t\", "
		"\"chain\": \"c\", \"handle\": 4, \"expr\": [{\"snat\": {\"addr\": \"192.0.2.1\"}}]}}, "
		"{\"rule\": {\"family\": \"ip\", \"table\": \"nat\", \"chain\": \"POSTROUTING\", \"handle\": 9, "
		"\"expr\": [{\"xt\": {\"type\": \"target\", \"name\": \"MASQUERADE\"}}]}}]}";
	json_t *ruleset = json_loads(text, 0, NULL);
	struct found f = { 0 };

	(void)state;
	assert_non_null(ruleset);
	probe_masquerades(ruleset, on_found, &f);
	assert_int_equal(f.n, 2);
	assert_string_equal(f.where[0], "ip nat post, handle 3 (oif wan0)");
	assert_string_equal(f.where[1], "ip nat POSTROUTING, handle 9");
	probe_masquerades(NULL, on_found, &f);
	assert_int_equal(f.n, 2);
	json_decref(ruleset);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(options), cmocka_unit_test(releases), cmocka_unit_test(modules),
		cmocka_unit_test(sockets), cmocka_unit_test(owners),   cmocka_unit_test(files),
		cmocka_unit_test(masquerades),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
