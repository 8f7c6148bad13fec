// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * lab: deadline=300
 *
 * Every command, once for each allocation it makes, with that one refused. It fails cleanly or
 * succeeds, and does not half of each: what was not answered was not done. Needs a
 * kernel with CONFIG_FAILSLAB.
 */
#include "kt_harness.h"
#include "kt_random.h"
#include "kt_set.h"

#define FAILSLAB	"/sys/kernel/debug/failslab/"
#define FAIL_PAGES	"/sys/kernel/debug/fail_page_alloc/"
#define FAIL_NTH	"/proc/thread-self/fail-nth"
#define NTH_MAX		1000	/* more than any command allocates */
#define N_RECORDS	6

FIXTURE(failslab)
{
	struct kt_nets		nets;
	struct fr_genl		*g;	/* looks, is never refused memory */
	struct fr_genl		*other;	/* a reader in b, so that the probes are armed */
	bool			is_able;
	int			nth;
	int			fd;
	uint16_t		family;
	struct kt_message	m;
};

static const struct flyrep_set any_set = { .table = 1, .set = 1 };

/* What came of a request */
struct outcome {
	int		err;
	bool		is_answered;	/* by a message of the family */
	uint32_t	applied;
};

FIXTURE_SETUP(failslab)
{
	self->g = NULL;
	self->other = NULL;
	self->fd = -1;
	self->nth = open(FAIL_NTH, O_RDWR | O_CLOEXEC);
	self->is_able = self->nth >= 0 && !access(FAILSLAB "verbose", W_OK);
	if (!self->is_able)
		return;
	/* A trace for each refusal would look like a warning. */
	ASSERT_EQ(0, kt_write(FAILSLAB "verbose", "0"));
	ASSERT_EQ(0, kt_write(FAILSLAB "ignore-gfp-wait", "N"));
	kt_write(FAIL_PAGES "verbose", "0");
	kt_write(FAIL_PAGES "ignore-gfp-wait", "N");
	ASSERT_EQ(0, kt_load());
	ASSERT_EQ(0, kt_nets_up(&self->nets));
	ASSERT_EQ(0, kt_enter(self->nets.b));
	ASSERT_EQ(0, kt_reader(&self->other));
	ASSERT_EQ(0, kt_watch(self->other, &any_set, 1));
	ASSERT_EQ(0, kt_enter(self->nets.a));
	ASSERT_EQ(0, fr_genl_open(&self->g));
	ASSERT_EQ(0, kt_watch(self->g, &any_set, 1));
	ASSERT_EQ(0, kt_family(&self->m, &self->family));
}

FIXTURE_TEARDOWN(failslab)
{
	if (!self->is_able)
		return;
	if (self->fd >= 0)
		close(self->fd);
	fr_genl_close(self->g);
	fr_genl_close(self->other);
	kt_sh("conntrack -F 2>/dev/null");
	EXPECT_TRUE(kt_until(!kt_number("sysctl -n net.netfilter.nf_conntrack_count")));
	kt_nets_down(&self->nets);
	/* The lab unloads the module and looks for leaks. */
}

static void put(struct kt_message *m, uint16_t type, size_t len, const void *value)
{
	memcpy(kt_reserve(m, type, len), value, len);
}

static void begin(struct _test_data_failslab *self, uint8_t cmd, uint16_t flags)
{
	kt_message_begin(&self->m, self->family, cmd, flags | NLM_F_ACK);
}

static void build_config(struct _test_data_failslab *self)
{
	struct nlattr *nest;
	size_t at;

	begin(self, FLYREP_CMD_CONFIG, 0);
	put(&self->m, FLYREP_A_HASH_KEY, sizeof(kt_key), kt_key);
	at = self->m.len;
	nest = (struct nlattr *)(self->m.buf + at);
	kt_reserve(&self->m, FLYREP_A_FILTER | NLA_F_NESTED, 0);
	put(&self->m, FLYREP_FILTER_A_PROTOS, 2, (uint8_t[]){ IPPROTO_TCP, IPPROTO_UDP });
	nest->nla_len = self->m.len - at;
	put(&self->m, FLYREP_A_SETS, sizeof(any_set), &any_set);
}

/* Of all kinds: with NAT, and of both families */
static void build_apply(struct _test_data_failslab *self, uint8_t op)
{
	struct flyrep_ct r[N_RECORDS];
	int i;

	for (i = 0; i < N_RECORDS; i++) {
		r[i] = kt_rec(op, i % 2 ? IPPROTO_TCP : IPPROTO_UDP, i < 4 ? "10.1.0.1" : "fd01::1",
			      4000 + i, i < 4 ? "10.2.0.1" : "fd02::1", 53);
		if (i % 3 == 2)
			r[i].reply.dport = htons(7000 + i);
	}
	begin(self, FLYREP_CMD_APPLY, 0);
	put(&self->m, FLYREP_A_TABLE, 1, (uint8_t[]){ FLYREP_TABLE_CONNTRACK });
	put(&self->m, FLYREP_A_REC_LEN, 2, (uint16_t[]){ sizeof(*r) });
	put(&self->m, FLYREP_A_RECORDS, sizeof(r), r);
}

static void look_at(struct outcome *o, const struct nlmsghdr *h)
{
	const uint8_t *p = (const uint8_t *)h + NLMSG_HDRLEN + GENL_HDRLEN;
	const uint8_t *end = (const uint8_t *)h + h->nlmsg_len;

	if (h->nlmsg_type == NLMSG_ERROR || h->nlmsg_type == NLMSG_DONE) {
		o->err = *(const int *)NLMSG_DATA(h);
		return;
	}
	o->is_answered = true;
	for (; p + NLA_HDRLEN < end; p += NLA_ALIGN(((const struct nlattr *)p)->nla_len))
		if (((const struct nlattr *)p)->nla_type == FLYREP_A_APPLIED)
			memcpy(&o->applied, p + NLA_HDRLEN, sizeof(o->applied));
}

/* Read until there is no more. A dump goes on while it is read. */
static void receive(struct _test_data_failslab *self, struct outcome *o)
{
	static uint8_t buf[64 << 10] __attribute__((aligned(8)));
	struct nlmsghdr *h;
	ssize_t len;

	for (;;) {
		len = recv(self->fd, buf, sizeof(buf), MSG_DONTWAIT);
		if (len < 0 && errno == EAGAIN)
			return;
		if (len < 0)
			o->err = -errno;
		for (h = (struct nlmsghdr *)buf; len > 0 && NLMSG_OK(h, len); h = NLMSG_NEXT(h, len))
			look_at(o, h);
	}
}

/* Send what was built; allocation @nth is refused, none for 0. True if that many were made. */
static bool request(struct _test_data_failslab *self, unsigned int nth, struct outcome *o)
{
	struct nlmsghdr *nlh = (struct nlmsghdr *)self->m.buf;
	char text[16] = {};
	unsigned int left;

	memset(o, 0, sizeof(*o));
	/* No answer at all is an error, too. */
	o->err = -ENODATA;
	nlh->nlmsg_len = self->m.len;
	snprintf(text, sizeof(text), "%u", nth);
	if (pwrite(self->nth, text, strlen(text), 0) < 0)
		abort();
	if (send(self->fd, self->m.buf, self->m.len, 0) < 0)
		o->err = -errno;
	else
		receive(self, o);
	memset(text, 0, sizeof(text));
	if (pread(self->nth, text, sizeof(text) - 1, 0) < 0 || pwrite(self->nth, "0", 1, 0) < 0)
		abort();
	left = strtoul(text, NULL, 10);
	return nth && !left;
}

static int renew(struct _test_data_failslab *self)
{
	if (self->fd >= 0)
		close(self->fd);
	self->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_GENERIC);
	return self->fd < 0 ? -errno : 0;
}

static uint32_t flows(struct _test_data_failslab *self, uint8_t origin)
{
	struct kt_recs k = {};
	uint32_t n = kt_snapshot(self->g, &k, origin, NULL) ? UINT32_MAX : k.n;

	kt_recs_reset(&k);
	return n;
}

static const char reason[] = "a kernel without CONFIG_FAILSLAB";

/* A request, what comes before it, and what must hold after it, whatever came of it */
struct trial {
	int	(*prepare)(struct _test_data_failslab *self);
	void	(*build)(struct _test_data_failslab *self);
	bool	(*holds)(struct _test_data_failslab *self, const struct outcome *o);
};

/* Is it 0, or the one error that may come of this? It may also be the netlink socket's. */
static bool is_clean(int err)
{
	return !err || err == -ENOMEM || err == -ENOBUFS;
}

/*
 * Refuse the first allocation, then the second, until the request makes fewer and so goes
 * through. Return: how many it makes, 0 when something was wrong, which is told
 */
static unsigned int each_allocation(struct _test_data_failslab *self, const struct trial *t)
{
	struct outcome o = {};
	unsigned int nth;
	bool more = true;
	int rc = 0;

	for (nth = 1; more && nth < NTH_MAX; nth++) {
		rc = renew(self) ?: t->prepare ? t->prepare(self) : 0;
		if (rc)
			break;
		t->build(self);
		more = request(self, nth, &o);
		if (!is_clean(o.err) || (!more && o.err) || !t->holds(self, &o))
			break;
	}
	if (!more && !rc && !o.err && nth > 2) {
		fprintf(stderr, "# %u allocations\n", nth - 2);
		return nth - 2;
	}
	fprintf(stderr, "# allocation %u %s: error %d, %sanswered, %u applied; preparing: %d\n", nth,
		more ? "refused" : "not made", o.err, o.is_answered ? "" : "not ", o.applied, rc);
	return 0;
}

static void build_info(struct _test_data_failslab *self)
{
	begin(self, FLYREP_CMD_INFO, 0);
}

static void build_bind(struct _test_data_failslab *self)
{
	begin(self, FLYREP_CMD_BIND, 0);
}

static void build_drain(struct _test_data_failslab *self)
{
	begin(self, FLYREP_CMD_DRAIN, NLM_F_DUMP);
}

static void build_snapshot(struct _test_data_failslab *self)
{
	begin(self, FLYREP_CMD_SNAPSHOT, NLM_F_DUMP);
	put(&self->m, FLYREP_A_TABLE, 1, (uint8_t[]){ FLYREP_TABLE_CONNTRACK });
}

/* A session of FTP that is held, and what it expects */
static struct flyrep_ct master(void)
{
	return kt_rec(FLYREP_OP_INSERT, IPPROTO_TCP, "10.1.0.1", 6000, "10.2.0.1", 21);
}

static void build_expect(struct _test_data_failslab *self)
{
	struct flyrep_expect e = {
		.rec.op = FLYREP_OP_INSERT, .family = AF_INET, .proto = IPPROTO_TCP,
		.master_proto = IPPROTO_TCP, .zone_dir = 3, .master = master().orig,
		.timeout_s = 60,
	};

	e.tuple = master().reply;
	e.tuple.sport = 0;
	e.tuple.dport = htons(7000);
	begin(self, FLYREP_CMD_APPLY, 0);
	put(&self->m, FLYREP_A_TABLE, 1, (uint8_t[]){ FLYREP_TABLE_EXPECTATION });
	put(&self->m, FLYREP_A_REC_LEN, 2, (uint16_t[]){ sizeof(e) });
	put(&self->m, FLYREP_A_RECORDS, sizeof(e), &e);
}

static void build_snapshot_expects(struct _test_data_failslab *self)
{
	begin(self, FLYREP_CMD_SNAPSHOT, NLM_F_DUMP);
	put(&self->m, FLYREP_A_TABLE, 1, (uint8_t[]){ FLYREP_TABLE_EXPECTATION });
}

static void build_insert(struct _test_data_failslab *self)
{
	build_apply(self, FLYREP_OP_INSERT);
}

static void build_update(struct _test_data_failslab *self)
{
	build_apply(self, FLYREP_OP_UPDATE);
}

static void build_delete(struct _test_data_failslab *self)
{
	build_apply(self, FLYREP_OP_DELETE);
}

static void build_promote(struct _test_data_failslab *self)
{
	begin(self, FLYREP_CMD_PROMOTE, 0);
}

static void build_demote(struct _test_data_failslab *self)
{
	begin(self, FLYREP_CMD_DEMOTE, 0);
}

static uint32_t reader(struct _test_data_failslab *self)
{
	struct fr_genl_info info;

	return fr_genl_info(self->g, &info) ? UINT32_MAX : info.reader;
}

static int prepare_no_reader(struct _test_data_failslab *self)
{
	return kt_until(!reader(self)) ? 0 : -EBUSY;
}

static int prepare_reader(struct _test_data_failslab *self)
{
	struct outcome o;

	if (prepare_no_reader(self))
		return -EBUSY;
	build_bind(self);
	request(self, 0, &o);
	return o.err ?: kt_udp_once(&self->nets, "10.9.0.1", 4000, "10.9.0.2", 5000, true);
}

static int prepare_flush(struct _test_data_failslab *self)
{
	(void)self;
	return kt_sh("conntrack -F 2>/dev/null");
}

static int prepare_master(struct _test_data_failslab *self)
{
	struct flyrep_ct_ext x = { .has = FLYREP_CT_EXT_HELPER, .helper = "ftp" };

	return kt_sh("conntrack -F 2>/dev/null") ?:
	       kt_apply_tail(self->g, master(), &x, sizeof(x));
}

static int prepare_all(struct _test_data_failslab *self)
{
	struct outcome o;

	build_update(self);
	request(self, 0, &o);
	return o.err ?: o.applied == N_RECORDS ? 0 : -EPROTO;
}

static int prepare_held(struct _test_data_failslab *self)
{
	struct flyrep_ct r = kt_rec(FLYREP_OP_INSERT, IPPROTO_UDP, "10.1.0.1", 1, "10.2.0.1", 53);

	return kt_apply(self->g, r, FLYREP_APPLY_F_FORCE);
}

static int prepare_local(struct _test_data_failslab *self)
{
	uint32_t n;

	return prepare_held(self) ?: fr_genl_promote(self->g, &n);
}

static bool holds_answer(struct _test_data_failslab *self, const struct outcome *o)
{
	(void)self;
	return o->err || o->is_answered;
}

static bool holds_info(struct _test_data_failslab *self, const struct outcome *o)
{
	(void)o;
	return reader(self) != UINT32_MAX;
}

/* -ENOBUFS: only the acknowledgment was refused memory */
static bool holds_reader(struct _test_data_failslab *self, const struct outcome *o)
{
	return o->err == -ENOBUFS || !reader(self) == !!o->err;
}

static bool holds_applied(struct _test_data_failslab *self, const struct outcome *o)
{
	return flows(self, FLYREP_ORIGIN_REMOTE) == o->applied;
}

static bool holds_expected(struct _test_data_failslab *self, const struct outcome *o)
{
	(void)self;
	return kt_number("conntrack -L expect 2>/dev/null | grep -c dport=7000") == (long)o->applied;
}

static bool holds_all(struct _test_data_failslab *self, const struct outcome *o)
{
	(void)o;
	return flows(self, FLYREP_ORIGIN_REMOTE) == N_RECORDS;
}

static bool holds_deleted(struct _test_data_failslab *self, const struct outcome *o)
{
	return flows(self, FLYREP_ORIGIN_REMOTE) == (o->is_answered ? 0 : N_RECORDS);
}

/* Who is told that it failed, or nothing, finds that nothing has changed. */
static bool holds_promoted(struct _test_data_failslab *self, const struct outcome *o)
{
	return flows(self, FLYREP_ORIGIN_REMOTE) == !o->is_answered;
}

static bool holds_demoted(struct _test_data_failslab *self, const struct outcome *o)
{
	return flows(self, FLYREP_ORIGIN_REMOTE) == o->is_answered;
}

TEST_F(failslab, info)
{
	if (!self->is_able)
		SKIP(return, "%s", reason);
	EXPECT_LT(0, each_allocation(self, &(struct trial){ NULL, build_info, holds_answer }));
}

TEST_F(failslab, config)
{
	if (!self->is_able)
		SKIP(return, "%s", reason);
	EXPECT_LT(0, each_allocation(self, &(struct trial){ NULL, build_config, holds_info }));
	/* By the reader, to whom hints are given at once */
	EXPECT_LT(0, each_allocation(self, &(struct trial){ prepare_reader, build_config, holds_info }));
}

TEST_F(failslab, bind)
{
	if (!self->is_able)
		SKIP(return, "%s", reason);
	ASSERT_EQ(0, kt_config(self->g, -1, -1, -1));
	EXPECT_LT(0, each_allocation(self, &(struct trial){ prepare_no_reader, build_bind, holds_reader }));
}

TEST_F(failslab, drain)
{
	if (!self->is_able)
		SKIP(return, "%s", reason);
	ASSERT_EQ(0, kt_config(self->g, -1, -1, -1));
	EXPECT_LT(0, each_allocation(self, &(struct trial){ prepare_reader, build_drain, holds_answer }));
}

TEST_F(failslab, snapshot)
{
	if (!self->is_able)
		SKIP(return, "%s", reason);
	ASSERT_EQ(0, prepare_held(self));
	EXPECT_LT(0, each_allocation(self, &(struct trial){ NULL, build_snapshot, holds_answer }));
}

/* What APPLY calls applied is there, and nothing else. */
TEST_F(failslab, apply)
{
	if (!self->is_able)
		SKIP(return, "%s", reason);
	EXPECT_LT(0, each_allocation(self, &(struct trial){ prepare_flush, build_insert, holds_applied }));
	EXPECT_EQ(N_RECORDS, flows(self, FLYREP_ORIGIN_REMOTE));
	EXPECT_LT(0, each_allocation(self, &(struct trial){ NULL, build_update, holds_all }));
	EXPECT_LT(0, each_allocation(self, &(struct trial){ prepare_all, build_delete, holds_deleted }));
}

TEST_F(failslab, expectations)
{
	if (!self->is_able)
		SKIP(return, "%s", reason);
	EXPECT_LT(0, each_allocation(self, &(struct trial){ prepare_master, build_expect, holds_expected }));
	EXPECT_LT(0, each_allocation(self, &(struct trial){ NULL, build_snapshot_expects, holds_answer }));
}

TEST_F(failslab, promote_and_demote)
{
	if (!self->is_able)
		SKIP(return, "%s", reason);
	EXPECT_LT(0, each_allocation(self, &(struct trial){ prepare_held, build_promote, holds_promoted }));
	EXPECT_LT(0, each_allocation(self, &(struct trial){ prepare_local, build_demote, holds_demoted }));
}

TEST_HARNESS_MAIN
