// SPDX-License-Identifier: GPL-2.0-or-later
/* The state file: what comes back, what is refused, what a full disk does. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "frame.h"
#include "store.h"

struct place {
	char dir[64];
	char file[96];
	char tmp[96];
};

static int setup(void **state)
{
	struct place *p = calloc(1, sizeof(*p));

	assert_non_null(p);
	strcpy(p->dir, "/tmp/test_store.XXXXXX");
	assert_non_null(mkdtemp(p->dir));
	snprintf(p->file, sizeof(p->file), "%s/state", p->dir);
	snprintf(p->tmp, sizeof(p->tmp), "%s/state.tmp", p->dir);
	*state = p;
	return 0;
}

static int teardown(void **state)
{
	struct place *p = *state;

	unlink(p->file);
	unlink(p->tmp);
	assert_int_equal(rmdir(p->dir), 0); /* nothing else was left there */
	free(p);
	return 0;
}

static void put(const char *path, const char *text, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, len), len);
	close(fd);
}

static void load_ok(const struct place *p, uint64_t epoch, uint8_t role)
{
	struct store_state s = { .epoch = 99, .role = 99 };
	char why[200] = "x";

	if (store_load(p->dir, &s, why, sizeof(why)))
		fail_msg("%s", why);
	assert_true(s.epoch == epoch);
	assert_int_equal(s.role, role);
	assert_string_equal(why, "");
}

static void test_comes_back(void **state)
{
	static const struct store_state rows[] = {
		{ .epoch = 0 },
		{ .epoch = 1, .role = FR_ROLE_BACKUP },
		{ .epoch = 7, .role = FR_ROLE_PRIMARY },
		{ .epoch = 1ull << 40, .role = FR_ROLE_FAULT },
		{ .epoch = UINT64_MAX, .role = FR_ROLE_PRIMARY },
	};
	struct place *p = *state;
	struct stat st;
	size_t i;

	load_ok(p, 0, 0); /* no file yet */
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(store_save(p->dir, &rows[i]), 0);
		load_ok(p, rows[i].epoch, rows[i].role);
		assert_int_equal(stat(p->file, &st), 0);
		assert_int_equal(st.st_mode & 07777, 0600);
		assert_int_equal(stat(p->tmp, &st), -1);
	}
}

static void test_the_hash_key_comes_back(void **state)
{
	const struct store_state with = { .epoch = 3,
					  .role = FR_ROLE_BACKUP,
					  .has_hash_key = true,
					  .hash_key = { { 0, 1, 0x7f, 0xff, [15] = 9 } } };
	struct place *p = *state;
	struct store_state s;
	char why[200];

	assert_int_equal(store_save(p->dir, &with), 0);
	assert_int_equal(store_load(p->dir, &s, why, sizeof(why)), 0);
	assert_true(s.has_hash_key);
	assert_memory_equal(&s.hash_key, &with.hash_key, sizeof(s.hash_key));
	load_ok(p, 3, FR_ROLE_BACKUP);
	/* A file of a version that had none. */
	put(p->file, "epoch 1\nrole backup\n", 20);
	assert_int_equal(store_load(p->dir, &s, why, sizeof(why)), 0);
	assert_false(s.has_hash_key);
}

static void test_a_promise_comes_back(void **state)
{
	const struct store_state with = { .epoch = 3,
					  .role = FR_ROLE_PRIMARY,
					  .promised = UINT64_MAX,
					  .promised_to = "the-longest-name-that-a-node-may-have-"
							 "is-of-sixty-three-bytes.",
					  .since_us = 1700000000000000,
					  .is_forced = true };
	struct place *p = *state;
	struct store_state s;
	char why[200];

	assert_int_equal(store_save(p->dir, &with), 0);
	assert_int_equal(store_load(p->dir, &s, why, sizeof(why)), 0);
	assert_int_equal(s.promised, with.promised);
	assert_string_equal(s.promised_to, with.promised_to);
	assert_int_equal(s.since_us, with.since_us);
	assert_true(s.is_forced);
	/* A file of a version that had none. */
	put(p->file, "epoch 1\nrole backup\n", 20);
	assert_int_equal(store_load(p->dir, &s, why, sizeof(why)), 0);
	assert_int_equal(s.promised, 0);
	assert_string_equal(s.promised_to, "");
	assert_false(s.is_forced);
}

static void test_a_person_can_read_and_write_it(void **state)
{
	static const char text[] = "# by hand\nrole primary\nepoch 12\n";
	const struct store_state s = { .epoch = 12, .role = FR_ROLE_BACKUP };
	struct place *p = *state;
	char back[200] = "";
	FILE *f;

	put(p->file, text, strlen(text));
	load_ok(p, 12, FR_ROLE_PRIMARY);
	assert_int_equal(store_save(p->dir, &s), 0);
	f = fopen(p->file, "re");
	assert_non_null(f);
	assert_true(fread(back, 1, sizeof(back) - 1, f) > 0);
	fclose(f);
	assert_non_null(strstr(back, "\nepoch 12\nrole backup\n"));
}

static void test_damage_is_an_error_with_its_line(void **state)
{
	static const struct {
		const char *text;
		size_t len; /* 0: strlen */
		const char *why;
	} rows[] = {
		{ "epoch 1", 0, ":1: the line is cut off" },
		{ "epoch 12\nrole prim", 0, ":2: the line is cut off" },
		{ "epoch 12\n", 0, ":2: role is missing" },
		{ "role backup\n", 0, ":2: epoch is missing" },
		{ "", 0, ":1: epoch is missing" },
		{ "# a\n", 0, ":2: epoch is missing" },
		{ "epoch 1\nepoch 2\nrole backup\n", 0,
		  ":2: epoch is there twice" },
		{ "epoch x\nrole backup\n", 0, ":1: no valid epoch: \"x\"" },
		{ "epoch -1\nrole backup\n", 0, ":1: no valid epoch: \"-1\"" },
		{ "epoch +1\nrole backup\n", 0, ":1: no valid epoch: \"+1\"" },
		{ "epoch  1\nrole backup\n", 0, ":1: no valid epoch: \" 1\"" },
		{ "epoch 1 \nrole backup\n", 0, ":1: no valid epoch: \"1 \"" },
		{ "epoch 0x1\nrole backup\n", 0,
		  ":1: no valid epoch: \"0x1\"" },
		{ "epoch \nrole backup\n", 0, ":1: no valid epoch: \"\"" },
		{ "epoch 18446744073709551616\nrole backup\n", 0,
		  ":1: no valid epoch: \"18446744073709551616\"" },
		{ "epoch 1\nrole king\n", 0, ":2: no valid role: \"king\"" },
		{ "epoch 1\nrole 1\n", 0, ":2: no valid role: \"1\"" },
		{ "epoch 1\nrole backup\n\n", 0, ":3: expected \"key value\"" },
		{ "epoch\n", 0, ":1: expected \"key value\"" },
		{ "epoch 1\nrole backup\ncolour red\n", 0,
		  ":3: unknown key \"colour\"" },
		{ "hash_key 0\nepoch 1\nrole backup\n", 0,
		  ":1: no valid hash_key: \"0\"" },
		{ "epoch 1\nhash_key 0123456789abcdef0123456789ABCDEF\nrole backup\n", 0,
		  ":2: no valid hash_key: \"0123456789abcdef0123456789ABCDEF\"" },
		{ "epoch 1\nhash_key 0123456789abcdef0123456789abcdef0\nrole backup\n", 0,
		  ":2: no valid hash_key: \"0123456789abcdef0123456789abcdef0\"" },
		{ "promised -1\nepoch 1\nrole backup\n", 0, ":1: no valid promised: \"-1\"" },
		{ "promised_to a b\nepoch 1\nrole backup\n", 0,
		  ":1: no valid promised_to: \"a b\"" },
		{ "forced no\nepoch 1\nrole backup\n", 0, ":1: no valid forced: \"no\"" },
		{ "since_us yesterday\nepoch 1\nrole backup\n", 0,
		  ":1: no valid since_us: \"yesterday\"" },
		{ "epoch 1\0\nrole backup\n", 22, ":1: NUL byte" },
		{ "\0\0\0\0\0\0\0\0\n", 9, ":1: NUL byte" },
	};
	struct place *p = *state;
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct store_state s = { .epoch = 99, .role = 99 };
		char why[200], expected[200];

		put(p->file, rows[i].text,
		    rows[i].len ? rows[i].len : strlen(rows[i].text));
		assert_int_equal(store_load(p->dir, &s, why, sizeof(why)),
				 -EBADMSG);
		snprintf(expected, sizeof(expected), "%s%s", p->file,
			 rows[i].why);
		assert_string_equal(why, expected);
		assert_int_equal(s.epoch, 0);
		assert_int_equal(s.role, 0);
		/* However little room there is to say so. */
		assert_int_equal(store_load(p->dir, &s, why, 5), -EBADMSG);
		assert_int_equal(strlen(why), 4);
		assert_int_equal(store_load(p->dir, &s, NULL, 0), -EBADMSG);
	}
}

/* Every shorter piece of a good file is damaged, but for the empty directory. */
static void test_any_cut_is_noticed(void **state)
{
	const struct store_state full = { .epoch = 1234567,
					  .role = FR_ROLE_PRIMARY,
					  .has_hash_key = true,
					  .hash_key = { "0123456789abcde" } };
	struct place *p = *state;
	char text[200], why[200];
	struct store_state s;
	ssize_t len, i;
	int fd;

	assert_int_equal(store_save(p->dir, &full), 0);
	fd = open(p->file, O_RDONLY | O_CLOEXEC);
	len = read(fd, text, sizeof(text));
	close(fd);
	assert_in_range(len, 20, sizeof(text) - 1);
	for (i = 0; i < len; i++) {
		put(p->file, text, i);
		assert_int_equal(store_load(p->dir, &s, why, sizeof(why)),
				 -EBADMSG);
	}
}

static void test_what_is_no_state_file(void **state)
{
	struct place *p = *state;
	struct store_state s = { 0 };
	char why[200], big[5000];

	assert_int_equal(store_load("/nonexistent", &s, why, sizeof(why)),
			 -ENOENT);
	assert_string_equal(why, "/nonexistent: No such file or directory");
	assert_int_equal(store_save("/nonexistent", &s), -ENOENT);
	assert_int_equal(store_load("/dev/null", &s, why, sizeof(why)),
			 -ENOTDIR);

	memset(big, '#', sizeof(big));
	put(p->file, big, sizeof(big));
	assert_int_equal(store_load(p->dir, &s, why, sizeof(why)), -EFBIG);
	assert_non_null(strstr(why, "/state: File too large"));
	unlink(p->file);

	/* A link or a pipe someone put there is not followed, not waited for. */
	assert_int_equal(symlink("/etc/passwd", p->file), 0);
	assert_int_equal(store_load(p->dir, &s, why, sizeof(why)), -ELOOP);
	unlink(p->file);
	assert_int_equal(symlink("/dev/full", p->tmp), 0);
	assert_int_equal(store_save(p->dir, &s), -ELOOP);
	unlink(p->tmp);
	assert_int_equal(mkfifo(p->file, 0600), 0);
	assert_int_equal(store_load(p->dir, &s, why, sizeof(why)), -EBADMSG);
	unlink(p->file);
	assert_int_equal(mkdir(p->file, 0700), 0);
	assert_int_equal(store_load(p->dir, &s, why, sizeof(why)), -EISDIR);
	assert_int_equal(store_save(p->dir, &s), -EISDIR);
	assert_int_equal(rmdir(p->file), 0);

	s.role = 9;
	assert_int_equal(store_save(p->dir, &s), -EINVAL);
}

/* A write that fails half way leaves the old state and no debris. */
static void test_full_disk_keeps_the_old_state(void **state)
{
	const struct store_state old = { .epoch = 5, .role = FR_ROLE_BACKUP };
	const struct store_state new = { .epoch = 6, .role = FR_ROLE_PRIMARY };
	const struct rlimit tiny = { 10, 10 };
	struct place *p = *state;
	struct stat st;
	int status;
	pid_t pid;

	assert_int_equal(store_save(p->dir, &old), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		signal(SIGXFSZ, SIG_IGN);
		if (setrlimit(RLIMIT_FSIZE, &tiny))
			_exit(1);
		_exit(store_save(p->dir, &new) == -EFBIG ? 0 : 2);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	load_ok(p, 5, FR_ROLE_BACKUP);
	assert_int_equal(stat(p->tmp, &st), -1);

	/* Debris of a process that was killed is overwritten. */
	put(p->tmp, "epoch 99999999999999999999999999999999999999\n", 45);
	load_ok(p, 5, FR_ROLE_BACKUP);
	assert_int_equal(store_save(p->dir, &new), 0);
	load_ok(p, 6, FR_ROLE_PRIMARY);
}

/* Killed at any moment, the file holds the old state or the new one. */
static void test_kill_leaves_old_or_new(void **state)
{
	struct place *p = *state;
	uint64_t last = 0;
	int i;

	for (i = 0; i < 20; i++) {
		struct store_state s = { .role = FR_ROLE_PRIMARY };
		char why[200];
		int status, tries;
		pid_t pid = fork();

		assert_true(pid >= 0);
		if (!pid)
			for (s.epoch = last + 1;; s.epoch++)
				if (store_save(p->dir, &s))
					_exit(1);
		for (tries = 0; tries < 200000; tries++) {
			if (store_load(p->dir, &s, why, sizeof(why)))
				fail_msg("%s", why);
			assert_true(s.epoch >= last);
			if (s.epoch > last + 2)
				break;
		}
		assert_true(s.epoch > last + 2);
		kill(pid, SIGKILL);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status));
		assert_int_equal(store_load(p->dir, &s, why, sizeof(why)), 0);
		assert_int_equal(s.role, FR_ROLE_PRIMARY);
		last = s.epoch;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
		TEST(test_comes_back),
		TEST(test_the_hash_key_comes_back),
		TEST(test_a_promise_comes_back),
		TEST(test_a_person_can_read_and_write_it),
		TEST(test_damage_is_an_error_with_its_line),
		TEST(test_any_cut_is_noticed),
		TEST(test_what_is_no_state_file),
		TEST(test_full_disk_keeps_the_old_state),
		TEST(test_kill_leaves_old_or_new),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
