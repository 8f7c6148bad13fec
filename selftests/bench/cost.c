// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * cost - what the module costs, in instructions
 *
 *   cost [-n FLOWS]
 *
 * To be run in a guest that counts instructions (selftests/vm/run -i): there a nanosecond
 * is an instruction, and the figures repeat on any machine. Loads and unloads the module by
 * itself. Prints one line of JSON a figure: name, insn, budget; "insn" is for one flow or
 * record. Exit code 1 when one is over its budget.
 *
 *   new      an event of a flow that is not queued: a packet of a new flow, with the module
 *            and a reader, less the same without the module but with events on
 *   update   an event of a flow that is queued already: a packet that changes the mark
 *   silent   a packet that makes no event
 *   drain    a record from the ring to user space
 *   snapshot a record from the table to user space
 *   insert   APPLY of a new flow; insert_nat: with source NAT; update_held: of one that is there
 *   delete   APPLY of its end
 */
#include "../kmod/kt_flow.h"

#include <getopt.h>
#include <linux/random.h>
#include <sys/ioctl.h>

#define MAX_FLOWS	8000
#define ROUNDS		12
#define PACKET_ROUNDS	4
#define TURNS		3	/* with and without the module */
#define SLICE		100	/* packets between two looks at the clock */

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void die(const char *what)
{
	fprintf(stderr, "cost: %s failed: %s\n", what, strerror(errno));
	exit(2);
}

#define MUST(expr) do { if (expr) die(#expr); } while (0)

/* Least of some rounds: what disturbs only adds. */
static double least(double a, double b)
{
	return a < b ? a : b;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/*
 * Time of one packet, each to the next port, or all to one. Of the slices the one in the middle
 * counts: timers and the like are in few of them.
 */
static double packet(int fd, uint16_t port, bool is_new, unsigned int n)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(0x0a090101) };
	static double slices[MAX_FLOWS / SLICE];
	unsigned int i, n_slices = n / SLICE;
	int64_t begin = 0;

	/* In an empty table the chains are as short every time. */
	MUST(kt_sh("conntrack -F >/dev/null 2>&1"));
	to.sin_port = htons(port);
	if (!is_new && sendto(fd, "x", 1, 0, (struct sockaddr *)&to, sizeof(to)) != 1)
		die("sendto");
	for (i = 0; i < n_slices * SLICE; i++) {
		if (!(i % SLICE))
			begin = now_ns();
		if (is_new)
			to.sin_port = htons(port + i);
		if (sendto(fd, "x", 1, 0, (struct sockaddr *)&to, sizeof(to)) != 1)
			die("sendto");
		if (i % SLICE == SLICE - 1)
			slices[i / SLICE] = (double)(now_ns() - begin) / SLICE;
	}
	qsort(slices, n_slices, sizeof(*slices), compare);
	return slices[n_slices / 2];
}

struct packets {
	double new;
	double update;
	double silent;
};

/* With a reader, or @g NULL: into @p, if it is less */
static void packets(struct packets *p, struct fr_genl *g, unsigned int n)
{
	uint64_t before = g ? kt_counter(g, FLYREP_C_CAPTURE_COALESCED) : 0;
	int fd = kt_socket(SOCK_DGRAM, "10.9.0.1", 0);
	struct kt_recs k = {};
	int i;

	if (fd < 0)
		die("socket");
	for (i = 0; i < PACKET_ROUNDS; i++) {
		p->new = least(p->new, packet(fd, 1, true, n));
		/* The port decides whether a packet changes the mark. */
		p->update = least(p->update, packet(fd, 60001, false, n));
		p->silent = least(p->silent, packet(fd, 60002, false, n));
		if (g) {
			kt_recs_reset(&k);
			MUST(kt_drain(g, &k));
		}
	}
	/* Each packet of the second kind was an event of a queued flow. */
	MUST(g && kt_counter(g, FLYREP_C_CAPTURE_COALESCED) - before < (uint64_t)i * n);
	kt_recs_reset(&k);
	close(fd);
}

static unsigned int count;

static void on_records(void *cookie, uint8_t table, const void *recs, size_t n)
{
	(void)cookie, (void)table, (void)recs;
	count += n;
}

/* Read a dump without keeping it: time for one record */
static double dump(struct fr_genl *g, unsigned int n)
{
	static const struct fr_genl_sink sink = { .records = on_records };
	struct fr_genl_snapshot req = { .table = FLYREP_TABLE_CONNTRACK,
					.origin = n ? FLYREP_ORIGIN_ANY : FLYREP_ORIGIN_LOCAL };
	int64_t begin = now_ns();
	int rc;

	count = 0;
	MUST(n ? fr_genl_snapshot_start(g, &req) : fr_genl_drain_start(g));
	do
		rc = fr_genl_pump(g, &sink, NULL);
	while (rc == 1 || rc == -EAGAIN);
	MUST(rc);
	MUST(!count);
	return (double)(now_ns() - begin) / count;
}

static double drain(struct fr_genl *g, unsigned int n)
{
	int fd = kt_socket(SOCK_DGRAM, "10.9.0.1", 0);
	double best = 1e9;
	int i;

	for (i = 0; i < ROUNDS; i++) {
		packet(fd, 1, true, n);
		best = least(best, dump(g, 0));
		MUST(count < n);
	}
	close(fd);
	return best;
}

static void on_error(void *cookie, const void *rec, int error)
{
	(void)cookie;
	(void)rec;
	fprintf(stderr, "cost: a record was refused: %s\n", strerror(-error));
	exit(2);
}

static double apply(struct fr_genl *g, struct flyrep_ct *recs, unsigned int n, uint8_t op)
{
	int64_t begin;
	unsigned int i;

	for (i = 0; i < n; i++)
		recs[i].rec.op = op;
	begin = now_ns();
	MUST(fr_genl_apply(g, FLYREP_TABLE_CONNTRACK, 0, recs, n, on_error, NULL) != (ssize_t)n);
	return (double)(now_ns() - begin) / n;
}

static struct flyrep_ct *records(unsigned int n, bool nat)
{
	struct flyrep_ct *recs = calloc(n, sizeof(*recs));
	unsigned int i;

	for (i = 0; i < n; i++) {
		recs[i] = kt_rec(0, IPPROTO_TCP, "10.1.0.1", 1 + i, nat ? "10.2.0.2" : "10.2.0.1", 80);
		if (nat) {
			kt_addr(&recs[i].reply.dst, "203.0.113.1");
			recs[i].reply.dport = htons(20000 + i);
		}
	}
	return recs;
}

static int over;

static void report(const char *name, double insn, double budget)
{
	printf("{\"name\":\"%s\",\"insn\":%.0f,\"budget\":%.0f}\n", name, insn, budget);
	fflush(stdout);
	if (budget && insn > budget) {
		fprintf(stderr, "cost: %s is over its budget: %.0f > %.0f\n", name, insn, budget);
		over = 1;
	}
}

static void injection(struct fr_genl *g, unsigned int n)
{
	double insert = 1e9, insert_nat = 1e9, update = 1e9, end = 1e9, snap = 1e9;
	struct flyrep_ct *plain = records(n, false), *nat = records(n, true);
	int i;

	for (i = 0; i < ROUNDS; i++) {
		MUST(kt_sh("conntrack -F >/dev/null 2>&1"));
		insert = least(insert, apply(g, plain, n, FLYREP_OP_INSERT));
		update = least(update, apply(g, plain, n, FLYREP_OP_UPDATE));
		snap = least(snap, dump(g, n));
		end = least(end, apply(g, plain, n, FLYREP_OP_DELETE));
		insert_nat = least(insert_nat, apply(g, nat, n, FLYREP_OP_INSERT));
	}
	report("insert", insert, 2800);
	report("insert_nat", insert_nat, 4500);
	report("update_held", update, 0);
	report("delete", end, 0);
	report("snapshot", snap, 0);
	free(plain);
	free(nat);
}

/* A guest that has just started has no entropy, and pays dearly for each random number. */
static void seed_kernel(void)
{
	struct {
		struct rand_pool_info info;
		uint32_t data[16];
	} pool = { .info = { .entropy_count = 512, .buf_size = 64 } };
	int fd = open("/dev/random", O_WRONLY | O_CLOEXEC);

	if (fd < 0 || ioctl(fd, RNDADDENTROPY, &pool))
		die("RNDADDENTROPY");
	close(fd);
}

int main(int argc, char **argv)
{
	struct packets with = { 1e9, 1e9, 1e9 }, without = with;
	unsigned int n = 4000;
	struct kt_nets nets;
	struct fr_genl *g;
	int opt, i;

	while ((opt = getopt(argc, argv, "n:")) != -1) {
		if (opt != 'n')
			return 2;
		n = strtoul(optarg, NULL, 0);
		if (n < SLICE || n > MAX_FLOWS || n % SLICE)
			return 2;
	}
	seed_kernel();
	MUST(kt_load());
	MUST(kt_nets_up(&nets));
	/* Packets end in a device that swallows them: the shorter the way, the less disturbs. */
	MUST(kt_sh("modprobe dummy numdummies=0; ip link add sink type dummy && ip link set sink up && "
		   "ip route add 10.9.1.0/24 dev sink && "
		   "nft add rule inet kt out udp dport 60001 ct mark set numgen inc mod 2"));
	MUST(kt_reader(&g));
	report("drain", drain(g, n), 450);
	injection(g, n);
	fr_genl_close(g);
	for (i = 0; i < TURNS; i++) {
		MUST(kt_load() || kt_reader(&g));
		packets(&with, g, n);
		fr_genl_close(g);
		MUST(kt_sh("rmmod flyrep && sysctl -qw net.netfilter.nf_conntrack_events=1"));
		packets(&without, NULL, n);
	}
	if (getenv("COST_VERBOSE"))
		fprintf(stderr, "with %.0f %.0f %.0f, without %.0f %.0f %.0f\n", with.new, with.update,
			with.silent, without.new, without.update, without.silent);
	report("new", with.new - without.new, 200);
	report("update", with.update - without.update, 60);
	report("silent", with.silent - without.silent, 0);
	kt_nets_down(&nets);
	return over;
}
