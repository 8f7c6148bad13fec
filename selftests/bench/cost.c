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
 *   ctnetlink, ctnetlink_nat  the same flows through ctnetlink, a hundred in a send(), which is the
 *            kernel's own way; "ratio" is how many times dearer that is than insert, and
 *            "at_least" how many it should be
 *   hint_add an element that a packet adds to a set, with the set watched, less the same without;
 *            hint_refresh: of one that is there; hint_drain: a hint to user space
 *   element  an element that a transaction adds, with the set watched; element_alone: without
 *   item     APPLY of a new lease; item_update: with another address; item_drain: to user space
 *
 * A line with "bytes" tells the memory of the kernel for one object of a kind: a held flow, a
 * lease, a slot of the ring.
 */
#include "../kmod/kt_set.h"

#include <getopt.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/random.h>
#include <sys/ioctl.h>
#include <sys/wait.h>

#define MAX_FLOWS	8000
#define ROUNDS		12
#define PACKET_ROUNDS	4
#define TURNS		3	/* with and without the module */
#define SLICE		100	/* packets between two looks at the clock */
#define BATCH		100	/* messages to ctnetlink in one send() */

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

#define TRACKED		0x0a090101	/* 10.9.1.1 */
#define UNTRACKED	0x0a090201	/* 10.9.2.1, its port goes into a set */

/*
 * Time of one packet, each to the next port, or all to one. Of the slices the one in the middle
 * counts: timers and the like are in few of them.
 */
static double packet(int fd, uint32_t addr, uint16_t port, bool is_new, unsigned int n)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(addr) };
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
		p->new = least(p->new, packet(fd, TRACKED, 1, true, n));
		/* The port decides whether a packet changes the mark. */
		p->update = least(p->update, packet(fd, TRACKED, 60001, false, n));
		p->silent = least(p->silent, packet(fd, TRACKED, 60002, false, n));
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

static void on_hints(void *cookie, const struct flyrep_hint *hints, size_t len)
{
	const void *end = (const uint8_t *)hints + len;

	(void)cookie;
	for (; (const void *)hints < end; hints = fr_genl_hint_next(hints))
		count++;
}

/* Read a dump without keeping it: time for one record or hint */
static double dump(struct fr_genl *g, unsigned int n)
{
	static const struct fr_genl_sink sink = { .records = on_records, .hints = on_hints };
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
		packet(fd, TRACKED, 1, true, n);
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

/* --- the same through ctnetlink --- */

static void put_tuple(struct nlmsghdr *nlh, uint16_t type, const struct flyrep_ct_tuple *t,
		      uint8_t proto)
{
	struct nlattr *tuple = mnl_attr_nest_start(nlh, type), *part;

	part = mnl_attr_nest_start(nlh, CTA_TUPLE_IP);
	mnl_attr_put(nlh, CTA_IP_V4_SRC, 4, t->src.byte);
	mnl_attr_put(nlh, CTA_IP_V4_DST, 4, t->dst.byte);
	mnl_attr_nest_end(nlh, part);
	part = mnl_attr_nest_start(nlh, CTA_TUPLE_PROTO);
	mnl_attr_put_u8(nlh, CTA_PROTO_NUM, proto);
	mnl_attr_put_u16(nlh, CTA_PROTO_SRC_PORT, t->sport);
	mnl_attr_put_u16(nlh, CTA_PROTO_DST_PORT, t->dport);
	mnl_attr_nest_end(nlh, part);
	mnl_attr_nest_end(nlh, tuple);
}

/* Source NAT to where the replies go */
static void put_nat(struct nlmsghdr *nlh, const struct flyrep_ct *r)
{
	struct nlattr *nat = mnl_attr_nest_start(nlh, CTA_NAT_SRC), *port;

	mnl_attr_put(nlh, CTA_NAT_V4_MINIP, 4, r->reply.dst.byte);
	mnl_attr_put(nlh, CTA_NAT_V4_MAXIP, 4, r->reply.dst.byte);
	port = mnl_attr_nest_start(nlh, CTA_NAT_PROTO);
	mnl_attr_put_u16(nlh, CTA_PROTONAT_PORT_MIN, r->reply.dport);
	mnl_attr_put_u16(nlh, CTA_PROTONAT_PORT_MAX, r->reply.dport);
	mnl_attr_nest_end(nlh, port);
	mnl_attr_nest_end(nlh, nat);
}

static void put_flow(char *buf, const struct flyrep_ct *r, bool nat)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct flyrep_ct_tuple natural = { .src = r->orig.dst, .dst = r->orig.src,
					   .sport = r->orig.dport, .dport = r->orig.sport };
	struct nf_ct_tcp_flags flags = { .mask = FLYREP_CT_TCP_FLAGS_MASK };
	struct nlattr *info, *tcp;
	struct nfgenmsg *nfg;
	int i;

	nlh->nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_NEW;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_CREATE | NLM_F_EXCL;
	nfg = mnl_nlmsg_put_extra_header(nlh, sizeof(*nfg));
	nfg->nfgen_family = AF_INET;
	nfg->version = NFNETLINK_V0;
	put_tuple(nlh, CTA_TUPLE_ORIG, &r->orig, r->proto);
	put_tuple(nlh, CTA_TUPLE_REPLY, &natural, r->proto);
	mnl_attr_put_u32(nlh, CTA_STATUS, htonl(IPS_CONFIRMED | IPS_SEEN_REPLY | IPS_ASSURED));
	mnl_attr_put_u32(nlh, CTA_TIMEOUT, htonl(3600));
	mnl_attr_put_u32(nlh, CTA_MARK, htonl(r->mark));
	if (r->proto == IPPROTO_TCP) {
		info = mnl_attr_nest_start(nlh, CTA_PROTOINFO);
		tcp = mnl_attr_nest_start(nlh, CTA_PROTOINFO_TCP);
		mnl_attr_put_u8(nlh, CTA_PROTOINFO_TCP_STATE, r->tcp_state);
		for (i = 0; i < 2; i++) {
			flags.flags = r->tcp_flags[i];
			mnl_attr_put_u8(nlh, CTA_PROTOINFO_TCP_WSCALE_ORIGINAL + i,
					r->tcp_scale[i]);
			mnl_attr_put(nlh, CTA_PROTOINFO_TCP_FLAGS_ORIGINAL + i, sizeof(flags),
				     &flags);
		}
		mnl_attr_nest_end(nlh, tcp);
		mnl_attr_nest_end(nlh, info);
	}
	if (nat)
		put_nat(nlh, r);
}

static double ctnetlink(const struct flyrep_ct *recs, unsigned int n, bool nat)
{
	static char buf[BATCH * 512];
	struct mnl_socket *nl = mnl_socket_open(NETLINK_NETFILTER);
	struct mnl_nlmsg_batch *batch;
	int64_t begin, took;
	unsigned int i, k;

	MUST(!nl || mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID));
	begin = now_ns();
	for (i = 0; i < n; i += k) {
		batch = mnl_nlmsg_batch_start(buf, sizeof(buf) - 512);
		for (k = 0; k < BATCH && i + k < n; k++) {
			put_flow(mnl_nlmsg_batch_current(batch), recs + i + k, nat);
			mnl_nlmsg_batch_next(batch);
		}
		MUST(mnl_socket_sendto(nl, mnl_nlmsg_batch_head(batch),
				       mnl_nlmsg_batch_size(batch)) < 0);
		mnl_nlmsg_batch_stop(batch);
	}
	took = now_ns() - begin;
	mnl_socket_close(nl);
	MUST(kt_number("conntrack -C") < (long)n);
	return (double)took / n;
}

/* --- memory and items --- */

/* Bytes of the kernel's slabs and vmalloc in use */
static long memory(void)
{
	return kt_number("awk '/^(Slab|VmallocUsed|Percpu):/ { n += $2 } END { print n * 1024 }' "
			 "/proc/meminfo");
}

static double put_items(struct fr_genl *g, unsigned int n, uint8_t net)
{
	size_t each = sizeof(struct flyrep_item) + 32, i;
	uint8_t *recs = calloc(n, each);
	int64_t begin;

	for (i = 0; i < n; i++) {
		struct flyrep_item *it = (void *)(recs + i * each);
		/* scope, client, IAID, address */
		uint8_t tail[32] = { 0, 3, 'l', 'a', 'n', 0, 6, 2, 0, 0, 0, i >> 8, i, 0, 0,
				     0, 5, 10, net, i >> 8, i, 32 };

		it->rec.op = FLYREP_OP_INSERT;
		it->rec.tail_len = 24;
		it->key_len = 15;
		it->value_len = 7;
		memcpy(it + 1, tail, 24);
	}
	for (i = 0; i < n; i++)
		memmove(recs + i * (each - 8), recs + i * each, each - 8);
	begin = now_ns();
	MUST(fr_genl_apply(g, FLYREP_TABLE_LEASE, FLYREP_APPLY_F_LOCAL, recs, n, on_error, NULL) !=
	     (ssize_t)n);
	free(recs);
	return (double)(now_ns() - begin) / n;
}

/* --- sets --- */

struct sets {
	double add;
	double refresh;
	double element;
	double drain;
};

/* Time of an element in a transaction of many, by another process: what is ours is not told */
static double elements(unsigned int n)
{
	struct kt_set_batch b;
	int64_t begin;
	int fds[2];
	double t;
	pid_t pid;

	MUST(pipe(fds));
	pid = fork();
	MUST(pid < 0);
	if (!pid) {
		MUST(kt_set_open(&b, "e", KT_SET_ROOM(n)));
		begin = now_ns();
		MUST(kt_set_change(&b, NFT_MSG_NEWSETELEM, TRACKED, n));
		t = (double)(now_ns() - begin) / n;
		MUST(kt_set_change(&b, NFT_MSG_DELSETELEM, TRACKED, n));
		MUST(write(fds[1], &t, sizeof(t)) != sizeof(t));
		_exit(0);
	}
	close(fds[1]);
	MUST(read(fds[0], &t, sizeof(t)) != sizeof(t));
	close(fds[0]);
	MUST(waitpid(pid, NULL, 0) != pid);
	return t;
}

/* What is less into @s; the sets are watched or not */
static void sets(struct sets *s, struct fr_genl *g, unsigned int n, bool is_watched)
{
	struct flyrep_set watched[2] = { kt_set("p"), kt_set("e") };
	int fd = kt_socket(SOCK_DGRAM, "10.9.0.1", 0), i;
	struct kt_recs k = {};

	MUST(fd < 0 || kt_watch(g, watched, is_watched ? 2 : 0));
	for (i = 0; i < PACKET_ROUNDS; i++) {
		MUST(kt_sh("nft flush set inet " KT_SET_TABLE " p"));
		kt_recs_reset(&k);
		MUST(kt_drain(g, &k));
		s->add = least(s->add, packet(fd, UNTRACKED, 1, true, n));
		/* Each of them was told, or none. */
		if (is_watched) {
			s->drain = least(s->drain, dump(g, 0));
			MUST(count != n);
		}
		s->refresh = least(s->refresh, packet(fd, UNTRACKED, 1, false, n));
		kt_recs_reset(&k);
		MUST(kt_drain(g, &k) || k.n_hints);
		s->element = least(s->element, elements(n));
		kt_recs_reset(&k);
		MUST(kt_drain(g, &k) || k.n_hints != (is_watched ? 2 * n + 2 : 0));
	}
	kt_recs_reset(&k);
	close(fd);
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

static void report_ratio(const char *name, double insn, double of, double at_least)
{
	printf("{\"name\":\"%s\",\"insn\":%.0f,\"ratio\":%.2f,\"at_least\":%.1f}\n", name, insn,
	       insn / of, at_least);
	fflush(stdout);
	if (insn / of < at_least) {
		fprintf(stderr, "cost: %s is only %.2f times as dear\n", name, insn / of);
		over = 1;
	}
}

static void report_bytes(const char *name, long bytes)
{
	printf("{\"name\":\"%s\",\"bytes\":%ld}\n", name, bytes);
	fflush(stdout);
}

static void items(struct fr_genl *g, unsigned int n)
{
	long before = memory();

	report("item", put_items(g, n, 0), 0);
	report_bytes("item", (memory() - before) / n);
	report("item_update", put_items(g, n, 1), 0);
	report("item_drain", dump(g, 0), 0);
}

static void injection(struct fr_genl *g, unsigned int n)
{
	double insert = 1e9, insert_nat = 1e9, update = 1e9, end = 1e9, snap = 1e9;
	double slow = 1e9, slow_nat = 1e9;
	long before;
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
	for (i = 0; i < PACKET_ROUNDS; i++) {
		MUST(kt_sh("conntrack -F >/dev/null 2>&1"));
		slow = least(slow, ctnetlink(plain, n, false));
		MUST(kt_sh("conntrack -F >/dev/null 2>&1"));
		slow_nat = least(slow_nat, ctnetlink(nat, n, true));
	}
	MUST(kt_sh("conntrack -F >/dev/null 2>&1"));
	before = memory();
	apply(g, plain, n, FLYREP_OP_INSERT);
	report_bytes("held_flow", (memory() - before) / n);
	report_ratio("ctnetlink", slow, insert, 4);
	report_ratio("ctnetlink_nat", slow_nat, insert_nat, 2.5);
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

static void hints(struct fr_genl *g, unsigned int n)
{
	struct sets with = { 1e9, 1e9, 1e9, 1e9 }, without = with;
	int i;

	MUST(kt_sh("nft -f - <<'X'\n"
		   "table inet " KT_SET_TABLE " {\n"
		   "  set p { type inet_service; flags dynamic,timeout; size 65535; }\n"
		   "  set e { type ipv4_addr; size 65535; }\n"
		   "  chain r { type filter hook output priority raw; ip daddr 10.9.2.1 notrack; }\n"
		   "  chain o { type filter hook output priority 10\n"
		   "    ip daddr 10.9.2.1 add @p { udp dport timeout 60s }\n"
		   "  }\n"
		   "}\nX"));
	for (i = 0; i < TURNS; i++) {
		sets(&with, g, n, true);
		sets(&without, g, n, false);
	}
	if (getenv("COST_VERBOSE"))
		fprintf(stderr, "watched %.0f %.0f %.0f, not %.0f %.0f %.0f\n", with.add, with.refresh,
			with.element, without.add, without.refresh, without.element);
	/*
	 * The kernel makes a jump of the probe some jiffies after it was armed, and does not tell
	 * when: what counts is the least of rounds that go on for seconds.
	 */
	report("hint_add", with.add - without.add, 250);
	report("hint_refresh", with.refresh - without.refresh, 5);
	report("hint_drain", with.drain, 0);
	report("element_alone", without.element, 0);
	report("element", with.element, 2 * without.element);
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
		   "ip route add 10.9.1.0/24 dev sink && ip route add 10.9.2.0/24 dev sink && "
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
	MUST(kt_load() || kt_reader(&g));
	items(g, n);
	hints(g, n);
	fr_genl_close(g);
	kt_nets_down(&nets);
	return over;
}
