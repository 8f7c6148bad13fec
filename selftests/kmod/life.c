// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * lab: deadline=900
 *
 * Loading, unloading, and the deaths of readers and namespaces, under load. What goes wrong
 * here shows in the kernel's log, which the lab reads.
 */
#include "kt_flow.h"
#include "kt_harness.h"

#include <signal.h>
#include <sys/wait.h>

FIXTURE(life)
{
	struct kt_nets	nets;
	struct fr_genl	*g;
	struct kt_recs	k;
	pid_t		load;
};

FIXTURE_SETUP(life)
{
	self->g = NULL;
	self->load = 0;
	memset(&self->k, 0, sizeof(self->k));
	ASSERT_EQ(0, kt_load());
	ASSERT_EQ(0, kt_nets_up(&self->nets));
}

FIXTURE_TEARDOWN(life)
{
	if (self->load) {
		kill(self->load, SIGKILL);
		waitpid(self->load, NULL, 0);
	}
	if (self->g)
		fr_genl_close(self->g);
	kt_recs_reset(&self->k);
	kt_nets_down(&self->nets);
}

#define LOAD_FLOWS 8000
#define LOAD_PER_MS 5	/* so that a port's turn comes after its last flow's second */

/*
 * A child that makes flows, each of one datagram, until it is killed. They live a second: the
 * next of the same ports ends the last and begins anew.
 */
static pid_t load_start(void)
{
	int64_t begin_ms = kt_now_ms();
	pid_t pid = fork();
	unsigned int i;
	int fd;

	if (pid)
		return pid;
	fd = kt_socket(SOCK_DGRAM, "10.9.0.1", 0);
	for (i = 0;; i++) {
		struct sockaddr_in to = {
			.sin_family = AF_INET,
			.sin_port = htons(1 + i % LOAD_FLOWS),
			.sin_addr.s_addr = htonl(0x0a090101),
		};

		while (i / LOAD_PER_MS > kt_now_ms() - begin_ms)
			kt_nap();
		/* Some of it may be refused: it is load. */
		if (sendto(fd, "x", 1, MSG_DONTWAIT, (struct sockaddr *)&to, sizeof(to)) < 0)
			kt_nap();
	}
}

/* A way to nowhere for the load */
static int load_ready(const struct kt_nets *n)
{
	return kt_sh("sysctl -qw net.netfilter.nf_conntrack_udp_timeout=1 && "
		     "ip route add 10.9.1.0/24 via 10.9.0.2 && "
		     "ip -n %s route add blackhole 10.9.1.0/24", n->b);
}

/* Without ctnetlink there is nothing to chain over: wait for it, in every namespace. */
TEST_F(life, before_ctnetlink)
{
	struct fr_genl_info info;

	ASSERT_EQ(0, kt_sh("rmmod flyrep && rmmod nf_conntrack_netlink"));
	/* So that loading us does not load it */
	ASSERT_EQ(0, kt_write("/proc/sys/kernel/modprobe", "/bin/false"));
	ASSERT_EQ(0, kt_sh("insmod $FLYREP_KO"));
	ASSERT_EQ(0, kt_write("/proc/sys/kernel/modprobe", "/sbin/modprobe"));
	ASSERT_EQ(0, fr_genl_open(&self->g));
	ASSERT_EQ(0, fr_genl_info(self->g, &info));
	EXPECT_EQ(FLYREP_CAPTURE_NONE, info.capture);
	ASSERT_EQ(0, kt_config(self->g, -1, -1, -1));
	ASSERT_EQ(0, fr_genl_bind(self->g));
	ASSERT_EQ(0, kt_udp_once(&self->nets, "10.9.0.1", 4000, "10.9.0.2", 5000, true));
	ASSERT_EQ(0, kt_drain(self->g, &self->k));
	EXPECT_EQ(0, self->k.n);
	EXPECT_EQ(FLYREP_BUCKETS, self->k.dirty);

	ASSERT_EQ(0, kt_sh("modprobe nf_conntrack_netlink"));
	ASSERT_EQ(0, fr_genl_info(self->g, &info));
	EXPECT_EQ(FLYREP_CAPTURE_CHAIN, info.capture);
	/* What happened while we were deaf is dirty. */
	kt_recs_reset(&self->k);
	ASSERT_EQ(0, kt_drain(self->g, &self->k));
	EXPECT_EQ(FLYREP_BUCKETS, self->k.dirty);
	ASSERT_EQ(0, kt_udp_once(&self->nets, "10.9.0.1", 4001, "10.9.0.2", 5001, true));
	ASSERT_EQ(0, kt_drain(self->g, &self->k));
	EXPECT_EQ(1, self->k.n);
	/* Flows born while it was away have the event extension all the same. */
	ASSERT_EQ(0, kt_snapshot(self->g, &self->k, FLYREP_ORIGIN_ANY, NULL));
	EXPECT_EQ(2, self->k.n);
	kt_recs_reset(&self->k);
	ASSERT_EQ(0, kt_sh("conntrack -F 2>/dev/null"));
	ASSERT_EQ(0, kt_drain(self->g, &self->k));
	EXPECT_EQ(2, self->k.n);
}

/* A namespace that is born when ctnetlink was loaded after us */
TEST_F(life, namespace_after_late_ctnetlink)
{
	struct fr_genl_info info;
	struct kt_nets nets;

	ASSERT_EQ(0, kt_sh("rmmod nf_conntrack_netlink && modprobe nf_conntrack_netlink"));
	ASSERT_EQ(0, kt_nets_up(&nets));
	ASSERT_EQ(0, fr_genl_open(&self->g));
	ASSERT_EQ(0, fr_genl_info(self->g, &info));
	EXPECT_EQ(FLYREP_CAPTURE_CHAIN, info.capture);
	ASSERT_EQ(0, kt_enter(self->nets.a));
	kt_nets_down(&nets);
}

/* ctnetlink goes and comes back while a reader is bound and packets pass. */
TEST_F_TIMEOUT(life, ctnetlink_reloaded, 300)
{
	struct fr_genl_info info;
	int i;

	ASSERT_EQ(0, load_ready(&self->nets));
	ASSERT_EQ(0, kt_reader(&self->g));
	self->load = load_start();
	for (i = 0; i < 5; i++) {
		ASSERT_EQ(0, kt_sh("rmmod nf_conntrack_netlink"));
		ASSERT_EQ(0, fr_genl_info(self->g, &info));
		EXPECT_EQ(FLYREP_CAPTURE_NONE, info.capture);
		ASSERT_EQ(0, kt_drain(self->g, &self->k));
		ASSERT_EQ(0, kt_sh("modprobe nf_conntrack_netlink"));
		ASSERT_EQ(0, fr_genl_info(self->g, &info));
		EXPECT_EQ(FLYREP_CAPTURE_CHAIN, info.capture);
		kt_recs_reset(&self->k);
		ASSERT_EQ(0, kt_drain(self->g, &self->k));
		EXPECT_EQ(FLYREP_BUCKETS, self->k.dirty);
		ASSERT_TRUE(kt_until(!kt_drain(self->g, &self->k) && self->k.n));
	}
}

/* The module goes with a reader bound, its ring filled and flows held, while packets pass. */
TEST_F_TIMEOUT(life, unloaded_under_load, 300)
{
	struct flyrep_ct held = kt_rec(FLYREP_OP_INSERT, IPPROTO_UDP, "10.1.0.1", 4, "10.2.0.1", 53);
	struct flyrep_ct got;
	int i;

	ASSERT_EQ(0, load_ready(&self->nets));
	self->load = load_start();
	for (i = 0; i < 5; i++) {
		ASSERT_EQ(0, kt_reader(&self->g));
		ASSERT_EQ(0, kt_apply(self->g, held, 0));
		ASSERT_TRUE(kt_until(kt_counter(self->g, FLYREP_C_CAPTURE_QUEUED) > 500));
		ASSERT_EQ(0, kt_sh("rmmod flyrep"));
		/* The held flow has a life like any other now. */
		EXPECT_EQ(0, kt_sh("conntrack -L -p udp --orig-src 10.1.0.1 2>/dev/null | "
				   "awk '$3 > 120 { bad = 1 } END { exit bad || !NR }'"));
		EXPECT_EQ(2, kt_number("sysctl -n net.netfilter.nf_conntrack_events"));
		fr_genl_close(self->g);
		self->g = NULL;
		ASSERT_EQ(0, kt_load());
		/* And no mark of ours: to the new module it is local. */
		ASSERT_EQ(0, fr_genl_open(&self->g));
		ASSERT_TRUE(kt_get(self->g, &held, &got));
		EXPECT_EQ(0, got.rec.flags);
		EXPECT_EQ(-EBUSY, kt_apply(self->g, kt_rec_from(&held, FLYREP_OP_DELETE), 0));
		EXPECT_EQ(0, kt_apply(self->g, kt_rec_from(&held, FLYREP_OP_DELETE), FLYREP_APPLY_F_FORCE));
		fr_genl_close(self->g);
		self->g = NULL;
	}
}

/* A reader dies with its ring full, and then its namespace: conntrack must not wait for ever. */
TEST_F(life, reader_killed_then_namespace)
{
	int status, pipes[2];
	struct fr_genl *g;
	char c;
	pid_t pid;

	ASSERT_EQ(0, load_ready(&self->nets));
	ASSERT_EQ(0, pipe(pipes));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		struct fr_genl_config conf = FR_GENL_CONFIG_KEEP;

		conf.hash_key = kt_key;
		conf.ring_entries = 256;
		if (fr_genl_open(&g) || fr_genl_config(g, &conf) || fr_genl_bind(g))
			_exit(1);
		if (!kt_until(kt_counter(g, FLYREP_C_RING_OVERFLOW) > 0))
			_exit(1);
		if (write(pipes[1], "x", 1) != 1)
			_exit(1);
		pause();
	}
	self->load = load_start();
	ASSERT_EQ(1, read(pipes[0], &c, 1));
	kill(pid, SIGKILL);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	kill(self->load, SIGKILL);
	waitpid(self->load, NULL, 0);
	self->load = 0;

	/* With the end of a goes its device, and with that the other end in b. */
	ASSERT_EQ(0, kt_sh("ip -n %s link show vb >/dev/null", self->nets.b));
	ASSERT_EQ(0, kt_enter(self->nets.b));
	ASSERT_EQ(0, kt_sh("ip netns del %s", self->nets.a));
	ASSERT_TRUE(kt_until(access("/sys/class/net/vb", F_OK) || system("ip link show vb >/dev/null 2>&1")));
	/* That is before conntrack's part; the next namespace's end comes after it. */
	ASSERT_EQ(0, kt_sh("ip netns add %sz && ip -n %sz link add vz type veth peer name vy netns %s && "
			   "ip netns del %sz", self->nets.a, self->nets.a, self->nets.b, self->nets.a));
	ASSERT_TRUE(kt_until(system("ip link show vy >/dev/null 2>&1")));
	ASSERT_EQ(0, kt_sh("ip netns add %s", self->nets.a));
}

/* Namespaces come and go, each with a reader, flows both held and local, and a queue. */
TEST_F_TIMEOUT(life, namespace_churn, 300)
{
	struct kt_nets nets;
	struct fr_genl *g;
	int64_t end = kt_now_ms() + 120000;
	pid_t load;
	int i, j;

	ASSERT_EQ(0, load_ready(&self->nets));
	ASSERT_EQ(0, kt_reader(&self->g));
	self->load = load_start();
	/* A kernel that looks for faults takes a minute for one: two will do there. */
	for (i = 0; i < 6 && (i < 2 || kt_now_ms() < end); i++) {
		ASSERT_EQ(0, kt_nets_up(&nets));
		ASSERT_EQ(0, load_ready(&nets));
		ASSERT_EQ(0, kt_reader(&g));
		load = load_start();
		for (j = 0; j < 50; j++)
			ASSERT_EQ(0, kt_apply(g, kt_rec(FLYREP_OP_INSERT, IPPROTO_UDP, "10.1.0.1", 1 + j,
							"10.2.0.1", 53), 0));
		ASSERT_TRUE(kt_until(kt_counter(g, FLYREP_C_CAPTURE_QUEUED) > 100));
		kt_recs_reset(&self->k);
		if (i % 2)
			ASSERT_EQ(0, kt_drain(g, &self->k));
		kill(load, SIGKILL);
		waitpid(load, NULL, 0);
		fr_genl_close(g);
		ASSERT_EQ(0, kt_enter(self->nets.a));
		kt_nets_down(&nets);
	}
	/* The one that stayed still hears. */
	kt_recs_reset(&self->k);
	EXPECT_TRUE(kt_until(!kt_drain(self->g, &self->k) && self->k.n));
}

/* A snapshot while the table is resized, and flows come and go: whatever stays is named. */
TEST_F(life, snapshot_while_resized)
{
	const unsigned int n = 3000;
	struct flyrep_ct *recs = calloc(n, sizeof(*recs));
	long size = kt_number("cat /sys/module/nf_conntrack/parameters/hashsize");
	unsigned int i, j, missing = 0;
	uint64_t restarts = 0;
	int status, err = 0;
	pid_t resizer;

	ASSERT_EQ(0, load_ready(&self->nets));
	ASSERT_EQ(0, kt_reader(&self->g));
	for (i = 0; i < n; i++) {
		recs[i] = kt_rec(FLYREP_OP_INSERT, IPPROTO_UDP, "10.1.0.1", 1 + i, "10.2.0.1", 53);
		recs[i].mark = i;
	}
	ASSERT_EQ((ssize_t)n, fr_genl_apply(self->g, FLYREP_TABLE_CONNTRACK, 0, recs, n,
					    kt_on_error, &err));
	self->load = load_start();
	resizer = fork();
	ASSERT_LE(0, resizer);
	if (!resizer) {
		char text[16];

		for (i = 0;; i++) {
			snprintf(text, sizeof(text), "%ld", size * (1 + i % 3));
			if (kt_sh("nsenter -t 1 -n sh -c 'echo %s >/sys/module/nf_conntrack/parameters/hashsize'",
				  text))
				_exit(1);
		}
	}
	for (j = 0; j < 200 && (j < 20 || !restarts); j++) {
		uint8_t *seen = calloc(1, n);

		ASSERT_EQ(0, kt_snapshot(self->g, &self->k, FLYREP_ORIGIN_REMOTE, NULL));
		EXPECT_EQ(1, self->k.n_end);
		for (i = 0; i < self->k.n; i++)
			seen[self->k.r[i].mark] = 1;
		for (i = 0; i < n; i++)
			missing += !seen[i];
		free(seen);
		restarts = kt_counter(self->g, FLYREP_C_SNAPSHOT_RESTARTS);
	}
	kill(resizer, SIGKILL);
	ASSERT_EQ(resizer, waitpid(resizer, &status, 0));
	EXPECT_TRUE(WIFSIGNALED(status));
	EXPECT_EQ(0, missing);
	/* Else this has tested nothing. */
	EXPECT_LT(0, restarts);
	kt_sh("nsenter -t 1 -n sh -c 'echo %ld >/sys/module/nf_conntrack/parameters/hashsize'", size);
	free(recs);
}

TEST_HARNESS_MAIN
