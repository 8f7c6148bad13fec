// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * scale - how injection grows with processors
 *
 *   scale [-n FLOWS]
 *
 * To be run in a guest with two processors (selftests/vm/run -k 6.1 -s 2) on a host that has two
 * to spare. One process applies FLOWS flows; then two do, each half of as many, beside each other.
 * Several turns; the best of each counts. Prints one line of JSON: flows a second, by one and by
 * two, and their ratio: 2 would be all that two processors can give.
 */
#include "../kmod/kt_flow.h"

#include <getopt.h>
#include <sys/wait.h>

#define TURNS	5

static void die(const char *what)
{
	fprintf(stderr, "scale: %s failed: %s\n", what, strerror(errno));
	exit(2);
}

#define MUST(expr) do { if (expr) die(#expr); } while (0)

static int64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000LL + t.tv_nsec / 1000;
}

/* Apply @n flows of one worker once the pipe closes. */
static void work(unsigned int worker, unsigned int n, int ready, int begin)
{
	struct flyrep_ct *recs = calloc(n, sizeof(*recs));
	char source[20], byte;
	struct fr_genl *g;
	unsigned int i;

	MUST(!recs || fr_genl_open(&g));
	snprintf(source, sizeof(source), "10.%u.0.1", 64 + worker);
	for (i = 0; i < n; i++)
		recs[i] = kt_rec(FLYREP_OP_INSERT, IPPROTO_TCP, source, 1 + i % 60000, "10.2.0.1",
				 80 + i / 60000);
	MUST(write(ready, "x", 1) != 1);
	MUST(read(begin, &byte, 1) != 0);
	MUST(fr_genl_apply(g, FLYREP_TABLE_CONNTRACK, 0, recs, n, NULL, NULL) != (ssize_t)n);
	fr_genl_close(g);
}

/* Time that so many workers take for @n flows together */
static int64_t turn(unsigned int n_workers, unsigned int n)
{
	int ready[2], pipes[2], status;
	unsigned int i;
	int64_t begin;
	char byte;

	MUST(pipe(ready) || pipe(pipes));
	for (i = 0; i < n_workers; i++) {
		pid_t pid = fork();

		MUST(pid < 0);
		if (pid)
			continue;
		close(pipes[1]);
		work(i, n / n_workers, ready[1], pipes[0]);
		_exit(0);
	}
	close(pipes[0]);
	for (i = 0; i < n_workers; i++)
		MUST(read(ready[0], &byte, 1) != 1);
	close(ready[0]);
	close(ready[1]);
	begin = now_us();
	close(pipes[1]);
	for (i = 0; i < n_workers; i++)
		MUST(wait(&status) < 0 || status);
	begin = now_us() - begin;
	MUST(kt_number("conntrack -C") < (long)n);
	MUST(kt_sh("conntrack -F >/dev/null 2>&1"));
	return begin;
}

int main(int argc, char **argv)
{
	unsigned int n = 40000, i, w;
	int64_t best[3] = { 0 };
	struct fr_genl *g;
	int opt;

	while ((opt = getopt(argc, argv, "n:")) != -1) {
		if (opt != 'n')
			return 2;
		n = strtoul(optarg, NULL, 0);
	}
	n -= n % 2;
	MUST(kt_load());
	MUST(kt_sh("sysctl -qw net.netfilter.nf_conntrack_max=1000000 net.netfilter.nf_conntrack_buckets=65536"));
	MUST(kt_reader(&g));
	MUST(kt_config(g, -1, -1, 1));
	for (i = 0; i < TURNS; i++) {
		for (w = 1; w <= 2; w++) {
			int64_t us = turn(w, n);

			if (!best[w] || us < best[w])
				best[w] = us;
		}
	}
	printf("{\"name\":\"scale\",\"one\":%.0f,\"two\":%.0f,\"ratio\":%.2f}\n", n * 1e6 / best[1],
	       n * 1e6 / best[2], (double)best[1] / best[2]);
	fr_genl_close(g);
	return 0;
}
