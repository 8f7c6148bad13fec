/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the module's tests share: the module itself, namespaces, shell commands, and
 * deadlines instead of sleeps. Each test is its own process in its own namespaces.
 */
#ifndef KT_H
#define KT_H

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define KT_UNUSED __attribute__((unused))
#define KT_WAIT_MS 30000

/* Run a shell command; its exit code. */
__attribute__((format(printf, 1, 2))) KT_UNUSED
static int kt_sh(const char *fmt, ...)
{
	char cmd[2048];
	va_list ap;
	int rc;

	va_start(ap, fmt);
	vsnprintf(cmd, sizeof(cmd), fmt, ap);
	va_end(ap);
	rc = system(cmd);
	if (rc)
		fprintf(stderr, "# exit code %d: %s\n", WEXITSTATUS(rc), cmd);
	return rc == -1 ? -1 : WEXITSTATUS(rc);
}

/* First line of a shell command's output. */
__attribute__((format(printf, 3, 4))) KT_UNUSED
static int kt_line(char *line, size_t size, const char *fmt, ...)
{
	char cmd[2048];
	va_list ap;
	FILE *f;

	va_start(ap, fmt);
	vsnprintf(cmd, sizeof(cmd), fmt, ap);
	va_end(ap);
	line[0] = 0;
	f = popen(cmd, "r");
	if (!f)
		return -errno;
	if (!fgets(line, size, f))
		line[0] = 0;
	line[strcspn(line, "\n")] = 0;
	pclose(f);
	return line[0] ? 0 : -ENODATA;
}

/* A number that a command prints first. */
#define kt_number(...) ({						\
	char kt_number_line[128];					\
	kt_line(kt_number_line, sizeof(kt_number_line), __VA_ARGS__);	\
	strtol(kt_number_line, NULL, 0);				\
})

KT_UNUSED static int64_t kt_now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

KT_UNUSED static void kt_nap(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = 2000000 }, NULL);
}

/* Poll for a condition, false at the deadline. */
#define kt_until(cond) ({						\
	int64_t kt_until_end = kt_now_ms() + KT_WAIT_MS;		\
	bool kt_until_ok;						\
	while (!(kt_until_ok = (cond)) && kt_now_ms() < kt_until_end)	\
		kt_nap();						\
	kt_until_ok;							\
})

KT_UNUSED static int kt_write(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = write(fd, text, strlen(text));
	close(fd);
	return n < 0 ? -errno : 0;
}

/* Load the module unless it is there; FLYREP_PARAMS may hold parameters of it. */
KT_UNUSED static int kt_load(void)
{
	static bool has_others;

	if (!access("/sys/module/flyrep", F_OK))
		return 0;
	if (!has_others)
		kt_sh("modprobe -a nf_conntrack_netlink nf_nat nft_ct nft_nat nft_chain_nat veth "
		      "2>/dev/null");
	has_others = true;
	return kt_sh("insmod $FLYREP_KO $FLYREP_PARAMS");
}

/* Two new namespaces; we are in "a". */
struct kt_nets {
	char	a[32];
	char	b[32];
};

KT_UNUSED static int kt_enter(const char *name)
{
	char path[64];
	int fd, rc;

	snprintf(path, sizeof(path), "/run/netns/%s", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	rc = setns(fd, CLONE_NEWNET) ? -errno : 0;
	close(fd);
	return rc;
}

/*
 * a: 10.9.0.1, fd09::1 -- veth -- b: 10.9.0.2, fd09::2. In a all is tracked, and what the
 * tracker calls invalid is counted by nft. Few processes: to start one is what takes long in an
 * emulated guest.
 */
KT_UNUSED static int kt_nets_up(struct kt_nets *n)
{
	static int seq;

	snprintf(n->a, sizeof(n->a), "kt%x-%da", getpid(), ++seq);
	snprintf(n->b, sizeof(n->b), "kt%x-%db", getpid(), seq);
	return kt_sh("ip netns add %s && ip netns add %s && "
		     "ip -n %s link add va address 02:00:00:00:00:01 type veth "
		     "peer name vb address 02:00:00:00:00:02 netns %s", n->a, n->b, n->a, n->b) ?:
	       kt_enter(n->b) ?:
	       kt_write("/proc/sys/net/ipv6/conf/vb/accept_dad", "0") ?:
	       kt_sh("ip -b - <<'X'\n"
		     "link set lo up\n"
		     "addr add 10.9.0.2/16 dev vb\n"
		     "addr add fd09::2/64 dev vb nodad\n"
		     "link set vb up\n"
		     "X") ?:
	       kt_enter(n->a) ?:
	       kt_write("/proc/sys/net/ipv6/conf/va/accept_dad", "0") ?:
	       kt_sh("ip -b - <<'X' && nft -f - <<'Y'\n"
		     "link set lo up\n"
		     "addr add 10.9.0.1/16 dev va\n"
		     "addr add fd09::1/64 dev va nodad\n"
		     "link set va up\n"
		     "X\n"
		     "table inet kt {\n"
		     "  counter bad {}\n"
		     "  chain in { type filter hook input priority 0; ct state invalid counter name bad drop; }\n"
		     "  chain out { type filter hook output priority 0; ct state invalid counter name bad drop; }\n"
		     "}\nY");
}

KT_UNUSED static void kt_nets_down(struct kt_nets *n)
{
	kt_sh("ip netns del %s; ip netns del %s", n->a, n->b);
}

/* Packets that the tracker in a called invalid */
KT_UNUSED static long kt_invalid(const struct kt_nets *n)
{
	return kt_number("ip netns exec %s nft list counter inet kt bad | "
			 "sed -n 's/.*packets \\([0-9]*\\).*/\\1/p'", n->a);
}

#endif
