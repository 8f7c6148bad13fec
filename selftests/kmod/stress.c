// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * lab: deadline=300
 *
 * Everything at once: flows, sets, items, namespaces, readers that are killed, roles that change,
 * and the module loaded and unloaded under all of it. For STRESS_S seconds (20; on the debug
 * kernel 600). What goes wrong shows in the kernel's log, which the lab reads.
 */
#include "kt_harness.h"
#include "kt_set.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "item.h"
#include "kt_random.h"

#define STRESS_S	20
#define STRESS_DEBUG_S	600
#define N_KEYS		40

/* What each of them has got done; shared by all */
struct work {
	unsigned long	flows;
	unsigned long	sets;
	unsigned long	items;
	unsigned long	namespaces;
	unsigned long	readers;
	unsigned long	records;
	unsigned long	hints;
	unsigned long	drains;
	unsigned long	roles;
	unsigned long	loads;
};

static struct work *work;
static struct flyrep_set watched[2];

/* The module may be away at any time. */
static struct fr_genl *open_patiently(void)
{
	struct fr_genl *g;

	while (fr_genl_open(&g))
		kt_nap();
	return g;
}

static void do_flows(struct kt_random *r)
{
	int fd = kt_socket(SOCK_DGRAM, "10.9.0.1", 0);

	for (;;) {
		struct sockaddr_in to = {
			.sin_family = AF_INET, .sin_port = htons(1 + kt_below(r, 5000)),
			.sin_addr.s_addr = htonl(0x0a090101),
		};

		if (sendto(fd, "x", 1, MSG_DONTWAIT, (struct sockaddr *)&to, sizeof(to)) < 0)
			kt_nap();
		work->flows++;
		if (!(work->flows % 20))
			kt_nap();
	}
}

/* By the control plane, while the packets of do_flows() add and update. */
static void do_sets(struct kt_random *r)
{
	for (;; work->sets++) {
		unsigned int n = kt_below(r, 200);

		if (kt_sh("nft 'add element inet " KT_SET_TABLE " by_hand { 10.0.0.%u timeout %us }; "
			  "delete element inet " KT_SET_TABLE " by_hand { 10.0.0.%u }' 2>/dev/null || :", n,
			  1 + kt_below(r, 3), n))
			abort();
		if (!kt_below(r, 20))
			kt_sh("nft flush set inet " KT_SET_TABLE " by_packet");
	}
}

static void do_items(struct kt_random *r)
{
	static uint64_t room[FR_ITEM_ROOM / 8 + 1];
	struct fr_genl *g = open_patiently();
	struct timespec now;

	for (;; work->items++) {
		char client[8], ip[32], *why;
		const char *texts[FR_ITEM_FIELDS_MAX] = { "lan", client, NULL, ip };
		uint8_t op = kt_chance(r, 70) ? FLYREP_OP_INSERT : FLYREP_OP_DELETE;

		clock_gettime(CLOCK_REALTIME, &now);
		snprintf(client, sizeof(client), "%02x", kt_below(r, N_KEYS));
		snprintf(ip, sizeof(ip), "192.0.2.%u", kt_below(r, N_KEYS));
		if (fr_item_make(room, FLYREP_TABLE_LEASE, op, texts, kt_chance(r, 50) ? 0 :
				 now.tv_sec * 1000ull + kt_below(r, 2000), &why) < 0)
			abort();
		if (fr_genl_apply(g, FLYREP_TABLE_LEASE, kt_below(r, 4), room, 1, NULL, NULL) < 0) {
			fr_genl_close(g);
			g = open_patiently();
		}
		if (kt_chance(r, 5))
			kt_nap();
	}
}

/* A namespace that ends with the process in it, with flows held and a reader bound */
static void live_and_die(struct kt_random *r)
{
	struct fr_genl *g;
	struct flyrep_ct f;
	unsigned int i;

	if (unshare(CLONE_NEWNET))
		abort();
	g = open_patiently();
	kt_config(g, -1, kt_below(r, 2), -1);
	fr_genl_bind(g);
	for (i = 0; i < 50; i++) {
		f = kt_rec(FLYREP_OP_INSERT, IPPROTO_UDP, "10.1.0.1", 1 + i, "10.2.0.1", 53);
		kt_apply(g, f, FLYREP_APPLY_F_FORCE);
	}
	if (kt_chance(r, 50))
		fr_genl_close(g);
	_exit(0);
}

static void do_namespaces(struct kt_random *r)
{
	for (;; work->namespaces++) {
		pid_t pid = fork();

		/* Another history for each */
		kt_random(r);
		if (!pid)
			live_and_die(r);
		waitpid(pid, NULL, 0);
	}
}

/* Reads until it is killed, which may be in the middle of anything. */
static void read_on(void)
{
	struct fr_genl *g = open_patiently();
	struct kt_recs k = {};

	for (;;) {
		if (kt_config(g, -1, -1, -1) || (fr_genl_bind(g) && kt_drain(g, &k))) {
			fr_genl_close(g);
			g = open_patiently();
		}
		kt_watch(g, watched, 2);
		while (!kt_drain(g, &k)) {
			work->records += k.n;
			work->hints += k.n_hints;
			work->drains += k.n && k.n_hints;
			kt_recs_reset(&k);
		}
		kt_nap();
	}
}

static void do_readers(struct kt_random *r)
{
	for (;; work->readers++) {
		pid_t pid = fork();
		unsigned int naps = 5 + kt_below(r, 200);
		unsigned long before = work->drains;

		if (!pid)
			read_on();
		while (naps--)
			kt_nap();
		/* To begin takes long beside all the others. */
		if (kt_chance(r, 30))
			kt_until(work->drains != before);
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
	}
}

static void do_roles(struct kt_random *r)
{
	struct fr_genl *g = open_patiently();
	struct kt_recs k = {};
	uint32_t n;

	for (;; work->roles++) {
		int rc = kt_chance(r, 30) ? fr_genl_promote(g, &n) :
			 kt_chance(r, 30) ? fr_genl_demote(g, &n) :
					    kt_snapshot(g, &k, kt_below(r, 3), NULL);

		kt_recs_reset(&k);
		if (rc) {
			fr_genl_close(g);
			g = open_patiently();
		}
		kt_nap();
	}
}

static void do_loads(struct kt_random *r)
{
	for (;; work->loads++) {
		unsigned int naps = 50 + kt_below(r, 500);

		while (naps--)
			kt_nap();
		/* While somebody is inside, it cannot go. */
		if (!kt_sh("rmmod flyrep 2>/dev/null || exit 0; insmod $FLYREP_KO"))
			continue;
		abort();
	}
}

static void (*const jobs[])(struct kt_random *r) = {
	do_flows, do_sets, do_items, do_namespaces, do_readers, do_roles, do_loads,
};

#define N_JOBS (sizeof(jobs) / sizeof(*jobs))

FIXTURE(stress)
{
	struct kt_nets	nets;
	pid_t		pid[N_JOBS];
	struct fr_genl	*g;
	struct kt_recs	k;
};

FIXTURE_SETUP(stress)
{
	memset(self->pid, 0, sizeof(self->pid));
	memset(&self->k, 0, sizeof(self->k));
	work = mmap(NULL, sizeof(*work), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, work);
	ASSERT_EQ(0, kt_load());
	ASSERT_EQ(0, kt_nets_up(&self->nets));
	ASSERT_EQ(0, kt_sh("ip route add 10.9.1.0/24 dev lo && sysctl -qw "
			   "net.netfilter.nf_conntrack_udp_timeout=1 && nft -f - <<'X'\n"
			   "table inet " KT_SET_TABLE " {\n"
			   "  set by_packet { type inet_service; flags dynamic, timeout; timeout 1s; size 4096; }\n"
			   "  set by_hand { type ipv4_addr; flags timeout; }\n"
			   "  chain out { type filter hook output priority 0;\n"
			   "    udp dport 1-5000 update @by_packet { udp dport }\n"
			   "  }\n"
			   "}\nX"));
	watched[0] = kt_set("by_packet");
	watched[1] = kt_set("by_hand");
}

FIXTURE_TEARDOWN(stress)
{
	size_t i;

	for (i = 0; i < N_JOBS; i++)
		if (self->pid[i] > 0)
			kill(-self->pid[i], SIGKILL);
	kt_nets_down(&self->nets);
}

/* Are all of them still at it? */
static bool is_alive(struct _test_data_stress *self)
{
	size_t i;

	for (i = 0; i < N_JOBS; i++)
		if (waitpid(self->pid[i], NULL, WNOHANG)) {
			fprintf(stderr, "# job %zu has given up\n", i);
			return false;
		}
	return true;
}

static void stop(struct _test_data_stress *self)
{
	size_t i;

	/* Each with its children */
	for (i = 0; i < N_JOBS; i++)
		kill(-self->pid[i], SIGKILL);
	for (i = 0; i < N_JOBS; i++)
		while (waitpid(-self->pid[i], NULL, 0) > 0)
			;
	memset(self->pid, 0, sizeof(self->pid));
}

TEST_F_TIMEOUT(stress, everything_at_once, 1200)
{
	const char *kernel = getenv("LAB_KERNEL"), *seconds = getenv("STRESS_S");
	int64_t end = kt_now_ms() + 1000 * (seconds ? atoi(seconds) :
					    kernel && !strcmp(kernel, "debug") ? STRESS_DEBUG_S :
										 STRESS_S);
	int fd = kt_socket(SOCK_DGRAM, "10.9.0.1", 0);
	struct sockaddr_storage to;
	size_t i;

	ASSERT_LE(0, fd);
	for (i = 0; i < N_JOBS; i++) {
		self->pid[i] = fork();
		ASSERT_LE(0, self->pid[i]);
		if (!self->pid[i]) {
			struct kt_random r = { .state = 0x9e3779b97f4a7c15ULL + i };

			setpgid(0, 0);
			jobs[i](&r);
		}
		setpgid(self->pid[i], self->pid[i]);
	}
	while (kt_now_ms() < end) {
		ASSERT_TRUE(is_alive(self));
		kt_nap();
	}
	stop(self);
	TH_LOG("flows %lu, sets %lu, items %lu, namespaces %lu, readers %lu (%lu records, %lu hints), "
	       "roles %lu, loads %lu",
	       work->flows, work->sets, work->items, work->namespaces, work->readers, work->records,
	       work->hints, work->roles, work->loads);
	EXPECT_LT(0, work->flows);
	EXPECT_LT(0, work->sets);
	EXPECT_LT(0, work->items);
	EXPECT_LT(0, work->namespaces);
	EXPECT_LT(0, work->readers);
	EXPECT_LT(0, work->records);
	EXPECT_LT(0, work->hints);
	EXPECT_LT(0, work->roles);
	EXPECT_LT(0, work->loads);

	/*
	 * It may have been killed between the two, or while the module was on its way out. After
	 * all that, it does what it should.
	 */
	ASSERT_TRUE(kt_until(!kt_load() && !fr_genl_open(&self->g)));
	ASSERT_TRUE(kt_until(!kt_config(self->g, -1, -1, 0)));
	ASSERT_TRUE(kt_until(!fr_genl_bind(self->g)));
	ASSERT_EQ(0, kt_drain(self->g, &self->k));
	EXPECT_EQ(FLYREP_BUCKETS, self->k.dirty);
	ASSERT_EQ(1, sendto(fd, "x", 1, 0, (struct sockaddr *)&to, kt_sockaddr(&to, "10.9.1.1", 9999)));
	EXPECT_TRUE(kt_until(!kt_drain(self->g, &self->k) && self->k.n));
	fr_genl_close(self->g);
	ASSERT_EQ(0, kt_sh("for i in $(seq 100); do rmmod flyrep && exit 0; sleep 0.1; done; exit 1"));
}

TEST_HARNESS_MAIN
