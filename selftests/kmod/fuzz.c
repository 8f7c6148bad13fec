// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * lab: deadline=900 smp=1
 *
 * Random requests on several sockets, with packets between them, and namespaces that come and
 * go. Whatever is asked, the answer is one that uapi/flyrep.h knows, and nothing is left over.
 *
 *   SEED=n MESSAGES=n	repeat a run, or make it longer
 */
#include "kt_harness.h"
#include "kt_random.h"
#include "kt_set.h"

#include <sys/random.h>

#define N_SOCKETS	6
#define MESSAGES	20000
#define MESSAGES_DEBUG	200000
#define RCV_LEN		(64 << 10)
#define HASHSIZE	"/sys/module/nf_conntrack/parameters/hashsize"
#define EXPEDITED	"/sys/kernel/rcu_expedited"
#define MODPROBE	"/proc/sys/kernel/modprobe"
#define ERRORS_MAX	16
#define TELL		5000
#define DEAR_PART	100

struct fuzz_socket {
	int		fd;
	uint32_t	seq;
	uint8_t		cmds[256];	/* by sequence number */
};

FIXTURE(fuzz)
{
	struct kt_nets		nets;
	struct kt_random	r;
	uint64_t		seed;
	unsigned long		n_messages;
	uint16_t		family;
	struct fuzz_socket	sockets[N_SOCKETS];
	struct fuzz_socket	*reader;	/* was it lately */
	struct fr_genl		*watcher;	/* in b: keeps the probes armed */
	int			udp[2];
	long			hashsize;
	char			modprobe[256];
	unsigned long		n_done[FLYREP_CMD_MAX + 3];
	unsigned long		n_refused[FLYREP_CMD_MAX + 3];
	unsigned int		n_strange;
};

static unsigned long number(const char *name, unsigned long otherwise)
{
	const char *text = getenv(name);

	return text && *text ? strtoul(text, NULL, 0) : otherwise;
}

FIXTURE_SETUP(fuzz)
{
	const char *kernel = getenv("LAB_KERNEL");
	int i;

	memset(self, 0, sizeof(*self));
	for (i = 0; i < N_SOCKETS; i++)
		self->sockets[i].fd = -1;
	ASSERT_EQ((ssize_t)sizeof(self->seed), getrandom(&self->seed, sizeof(self->seed), 0));
	self->seed = number("SEED", self->seed) ?: 1;
	self->r.state = self->seed;
	self->n_messages = number("MESSAGES", kernel && !strcmp(kernel, "debug") ? MESSAGES_DEBUG :
				  MESSAGES);
	/* Now: the kernel may not come back to say it later. */
	fprintf(stderr, "# SEED=%llu MESSAGES=%lu\n", (unsigned long long)self->seed, self->n_messages);
	ASSERT_EQ(0, kt_load());
	/* Walks and grace periods are most of the time otherwise. */
	self->hashsize = kt_number("cat " HASHSIZE);
	ASSERT_EQ(0, kt_write(HASHSIZE, "1024"));
	kt_write(EXPEDITED, "1");
	kt_line(self->modprobe, sizeof(self->modprobe), "cat " MODPROBE);
	ASSERT_EQ(0, kt_nets_up(&self->nets));
	ASSERT_EQ(0, kt_sh("sysctl -qw net.netfilter.nf_conntrack_udp_timeout=1 && "
			   "nft 'add chain inet kt m { type filter hook output priority 1; }; "
			   "add rule inet kt m udp dport 5000-5003 ct mark set meta mark'"));
	ASSERT_EQ(0, kt_sh("nft -f - <<'X'\n"
			   "table inet " KT_SET_TABLE " {\n"
			   "  set s { type inet_service; flags dynamic,timeout; size 64; timeout 100ms; }\n"
			   "  chain o { type filter hook output priority 2\n"
			   "    add @s { udp dport }\n"
			   "  }\n"
			   "}\nX"));
	self->r.set = kt_set("s");
	ASSERT_NE(0, self->r.set.set);
	self->udp[0] = kt_socket(SOCK_DGRAM | SOCK_NONBLOCK, "10.9.0.1", 4000);
	self->udp[1] = kt_socket(SOCK_DGRAM | SOCK_NONBLOCK, "fd09::1", 4000);
	ASSERT_LE(0, self->udp[0]);
	ASSERT_LE(0, self->udp[1]);
}

FIXTURE_TEARDOWN(fuzz)
{
	if (!_metadata->passed)
		fprintf(stderr, "# to repeat: SEED=%llu MESSAGES=%lu\n", (unsigned long long)self->seed,
			self->n_messages);
	kt_write(EXPEDITED, "0");
	kt_write(MODPROBE, self->modprobe);
	if (self->hashsize > 0)
		kt_sh("nsenter -t 1 -n sh -c 'echo %ld >" HASHSIZE "'", self->hashsize);
}

/* What each command may answer, besides 0, according to uapi/flyrep.h and generic netlink */
static bool is_documented(uint8_t cmd, int err)
{
	switch (err) {
	case 0:
	case -EINVAL:		/* a malformed message */
	case -ERANGE:
	case -EOPNOTSUPP:	/* no such command, or not in this way */
	case -ENOMEM:
		return true;
	case -EBUSY:		/* also: a dump runs on this socket */
		return cmd == FLYREP_CMD_CONFIG || cmd == FLYREP_CMD_BIND ||
		       cmd == FLYREP_CMD_DRAIN || cmd == FLYREP_CMD_SNAPSHOT;
	case -ENOBUFS:		/* the answers of a dump were not read */
		return cmd == FLYREP_CMD_DRAIN || cmd == FLYREP_CMD_SNAPSHOT;
	case -ENOKEY:
		return cmd == FLYREP_CMD_BIND || cmd == FLYREP_CMD_SNAPSHOT;
	case -EPERM:
		return cmd == FLYREP_CMD_DRAIN;
	default:
		return false;
	}
}

static bool is_documented_of_record(int err)
{
	switch (err) {
	case -EBUSY:
	case -EADDRINUSE:
	case -ENOMEM:
	case -ENFILE:
	case -ENOSPC:
	case -EINVAL:
	case -ENOENT:
	case -EPROTONOSUPPORT:
	case -EDQUOT:
	case -EEXIST:
	case -ETIME:
	case -ESRCH:
	case -EOPNOTSUPP:
		return true;
	default:
		return false;
	}
}

static void strange(struct _test_data_fuzz *self, const char *what, uint8_t cmd, int err)
{
	if (++self->n_strange <= ERRORS_MAX)
		fprintf(stderr, "# command %u: %s %d\n", cmd, what, err);
}

/* The errors of single records in an answer to APPLY */
static void look_at_records(struct _test_data_fuzz *self, const struct nlmsghdr *h)
{
	const uint8_t *p = (const uint8_t *)h + NLMSG_HDRLEN + GENL_HDRLEN;
	const uint8_t *end = (const uint8_t *)h + h->nlmsg_len;
	const struct nlattr *a = (const struct nlattr *)p;

	for (; p + NLA_HDRLEN <= end && a->nla_len >= NLA_HDRLEN; p += NLA_ALIGN(a->nla_len),
	     a = (const struct nlattr *)p) {
		const struct flyrep_error *e = (const struct flyrep_error *)(p + NLA_HDRLEN);

		if (a->nla_type != FLYREP_A_ERRORS)
			continue;
		for (; (const uint8_t *)(e + 1) <= p + a->nla_len; e++)
			if (!is_documented_of_record(e->error))
				strange(self, "a record's error", FLYREP_CMD_APPLY, e->error);
	}
}

static void look_at(struct _test_data_fuzz *self, struct fuzz_socket *s, const struct nlmsghdr *h)
{
	uint8_t cmd = s->cmds[h->nlmsg_seq % sizeof(s->cmds)];
	const struct genlmsghdr *ghdr = NLMSG_DATA(h);
	int err;

	if (h->nlmsg_type == NLMSG_ERROR || h->nlmsg_type == NLMSG_DONE) {
		err = *(const int *)NLMSG_DATA(h);
		if (!is_documented(cmd, err))
			strange(self, "error", cmd, err);
		if (cmd == FLYREP_CMD_BIND && !err)
			self->reader = s;
		if (cmd < sizeof(self->n_done) / sizeof(*self->n_done))
			(err ? self->n_refused : self->n_done)[cmd]++;
	} else if (h->nlmsg_type != self->family || h->nlmsg_len < NLMSG_HDRLEN + GENL_HDRLEN) {
		strange(self, "an answer of type", cmd, h->nlmsg_type);
	} else if (ghdr->cmd == FLYREP_CMD_APPLY) {
		look_at_records(self, h);
	}
}

/* Read up to @n datagrams; every one of a dump makes the kernel fill the next. */
static void receive(struct _test_data_fuzz *self, struct fuzz_socket *s, unsigned int n)
{
	static uint8_t buf[RCV_LEN] __attribute__((aligned(8)));
	struct nlmsghdr *h;
	ssize_t len;

	for (; n; n--) {
		len = recv(s->fd, buf, sizeof(buf), MSG_DONTWAIT | MSG_TRUNC);
		if (len <= 0)
			return;
		if ((size_t)len > sizeof(buf))
			strange(self, "a message of bytes", 0, len);
		for (h = (struct nlmsghdr *)buf; NLMSG_OK(h, len); h = NLMSG_NEXT(h, len))
			look_at(self, s, h);
	}
}

static int open_socket(struct _test_data_fuzz *self, struct fuzz_socket *s)
{
	s->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_GENERIC);
	if (s->fd < 0)
		return -errno;
	if (kt_chance(&self->r, 20))
		setsockopt(s->fd, SOL_SOCKET, SO_RCVBUF, &(int){ 4096 << kt_below(&self->r, 5) }, sizeof(int));
	setsockopt(s->fd, SOL_NETLINK, NETLINK_EXT_ACK, &(int){ kt_below(&self->r, 2) }, sizeof(int));
	setsockopt(s->fd, SOL_NETLINK, NETLINK_CAP_ACK, &(int){ 1 }, sizeof(int));
	return 0;
}

static void close_socket(struct fuzz_socket *s)
{
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
}

/* One request, and then some of what there is to read, or nothing */
static void request(struct _test_data_fuzz *self, struct fuzz_socket *s)
{
	static struct kt_message m;
	uint8_t cmd = kt_random_message(&self->r, &m, self->family);
	struct nlmsghdr *nlh = (struct nlmsghdr *)m.buf;

	nlh->nlmsg_seq = ++s->seq;
	s->cmds[s->seq % sizeof(s->cmds)] = cmd;
	/* The kernel's own limits of a socket are not at issue. */
	if (send(s->fd, m.buf, m.len, MSG_DONTWAIT) < 0)
		return;
	if (kt_chance(&self->r, 85))
		receive(self, s, kt_chance(&self->r, 80) ? 64 : 1 + kt_below(&self->r, 2));
}

/* A packet: of a flow that may be held, with a mark that is an event; or of a new one */
static void packet(struct _test_data_fuzz *self)
{
	bool is_v6 = kt_chance(&self->r, 40);
	struct sockaddr_storage to;
	socklen_t len;

	len = kt_sockaddr(&to, is_v6 ? "fd09::2" : "10.9.0.2",
			  5000 + kt_below(&self->r, kt_chance(&self->r, 50) ? 4 : 20000));
	setsockopt(self->udp[is_v6], SOL_SOCKET, SO_MARK, &(int){ kt_below(&self->r, 4) }, sizeof(int));
	sendto(self->udp[is_v6], "x", 1, MSG_DONTWAIT, (struct sockaddr *)&to, len);
}

/* A namespace of its own for a socket, which is its end too */
static int churn(struct _test_data_fuzz *self, struct fuzz_socket *s)
{
	int rc;

	close_socket(s);
	if (unshare(CLONE_NEWNET))
		return -errno;
	rc = open_socket(self, s);
	return kt_enter(self->nets.a) ?: rc;
}

static int step(struct _test_data_fuzz *self)
{
	struct fuzz_socket *s = &self->sockets[kt_below(&self->r, N_SOCKETS)];
	uint32_t what = kt_below(&self->r, 1000);

	if (self->reader && kt_chance(&self->r, 30))
		s = self->reader;
	if (what < 1)
		return churn(self, s);
	if (what < 25)
		close_socket(s);
	if (what < 250)
		packet(self);
	if (s->fd < 0 && open_socket(self, s))
		return -EMFILE;
	request(self, s);
	return 0;
}

/*
 * To arm the probes and let go of them is most of what a BIND takes, and modprobe in vain most of
 * an APPLY: the first part of the requests has both, the others neither.
 */
static int make_cheap(struct _test_data_fuzz *self)
{
	self->watcher = kt_open_b(&self->nets);
	if (!self->watcher)
		return -EIO;
	return kt_write(MODPROBE, "\n") ?: kt_config(self->watcher, -1, -1, -1) ?:
	       kt_watch(self->watcher, &self->r.set, 1) ?: fr_genl_bind(self->watcher);
}

/* What was done so far, now and then: a long run is not a hung one. */
static void tell(unsigned long i)
{
	struct timespec now;

	if (i % TELL)
		return;
	clock_gettime(CLOCK_MONOTONIC, &now);
	fprintf(stderr, "# %lu requests at %ld s\n", i, (long)now.tv_sec);
}

static long flows(const char *netns)
{
	return kt_number("ip netns exec %s sysctl -n net.netfilter.nf_conntrack_count", netns);
}

TEST_F_TIMEOUT(fuzz, random_requests, 4000)
{
	static const enum flyrep_counter deep[] = {
		FLYREP_C_CAPTURE_QUEUED, FLYREP_C_CAPTURE_TAKEOVER, FLYREP_C_DRAIN_RECORDS,
		FLYREP_C_INJECT_INSERTED, FLYREP_C_INJECT_REPLACED, FLYREP_C_INJECT_DELETED,
		FLYREP_C_INJECT_REDUCED,
		FLYREP_C_HINT_QUEUED,
		FLYREP_C_ITEM_PUT, FLYREP_C_ITEM_DELETED, FLYREP_C_ITEM_EXPIRED,
	};
	static struct kt_message m;
	struct fr_genl_info info;
	struct kt_recs k = {};
	unsigned long i;
	struct fr_genl *g;

	ASSERT_EQ(0, kt_family(&m, &self->family));
	for (i = 0; i < self->n_messages; i++) {
		tell(i);
		if (i == self->n_messages / DEAR_PART)
			ASSERT_EQ(0, make_cheap(self));
		ASSERT_EQ(0, step(self));
	}
	fr_genl_close(self->watcher);
	EXPECT_EQ(0, self->n_strange);
	for (i = 0; i < N_SOCKETS; i++)
		close_socket(&self->sockets[i]);
	for (i = 1; i < FLYREP_CMD_WAKE; i++) {
		TH_LOG("command %lu: %lu done, %lu refused", i, self->n_done[i], self->n_refused[i]);
		/* Else this has tested little. */
		if (self->n_messages >= MESSAGES)
			EXPECT_LT(0, self->n_done[i]);
	}

	/* The door still opens, for a reader too. */
	ASSERT_EQ(0, fr_genl_open(&g));
	ASSERT_EQ(0, fr_genl_info(g, &info));
	for (i = 0; i < sizeof(deep) / sizeof(*deep); i++) {
		TH_LOG("counter %u: %llu", deep[i], (unsigned long long)info.counters[deep[i]]);
		if (self->n_messages >= MESSAGES)
			EXPECT_LT(0, info.counters[deep[i]]);
	}
	ASSERT_TRUE(kt_until(!kt_config(g, -1, -1, 0)));
	ASSERT_TRUE(kt_until(!fr_genl_bind(g)));
	ASSERT_EQ(0, kt_drain(g, &k));
	EXPECT_EQ(FLYREP_BUCKETS, k.dirty);
	ASSERT_EQ(0, kt_snapshot(g, &k, FLYREP_ORIGIN_ANY, NULL));
	EXPECT_EQ(1, k.n_end);
	fr_genl_close(g);
	kt_recs_reset(&k);

	/* No flow is held on to. */
	close(self->udp[0]);
	close(self->udp[1]);
	kt_sh("conntrack -F 2>/dev/null; ip netns exec %s conntrack -F 2>/dev/null", self->nets.b);
	EXPECT_TRUE(kt_until(!flows(self->nets.a) && !flows(self->nets.b)))
		TH_LOG("flows left: %ld, %ld", flows(self->nets.a), flows(self->nets.b));
	kt_nets_down(&self->nets);
	EXPECT_TRUE(kt_until(!kt_sh("rmmod flyrep")));
	ASSERT_EQ(0, kt_load());
}

TEST_HARNESS_MAIN
