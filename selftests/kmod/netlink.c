// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * lab: deadline=600
 *
 * The door: life cycle of the reader, and what each malformed request is answered.
 */
#include "kt_flow.h"
#include "kt_harness.h"

#include <libmnl/libmnl.h>
#include <linux/genetlink.h>
#include <sys/wait.h>

FIXTURE(netlink)
{
	struct kt_nets		nets;
	struct fr_genl		*g;
	struct mnl_socket	*s;
	uint16_t		family;
	struct nlmsghdr		*nlh;
	char			buf[70000];
	char			text[256];
};

/* Raw requests: a message of ours, however wrong, and the answer's errno and text. */
static struct nlmsghdr *begin(struct _test_data_netlink *self, uint8_t cmd, uint16_t flags)
{
	struct genlmsghdr *ghdr;

	self->nlh = mnl_nlmsg_put_header(self->buf);
	self->nlh->nlmsg_type = self->family;
	self->nlh->nlmsg_flags = NLM_F_REQUEST | flags;
	self->nlh->nlmsg_seq = 7;
	ghdr = mnl_nlmsg_put_extra_header(self->nlh, sizeof(*ghdr));
	ghdr->cmd = cmd;
	ghdr->version = FLYREP_GENL_VERSION;
	return self->nlh;
}

static int find_text(const struct nlattr *attr, void *data)
{
	if (mnl_attr_get_type(attr) == NLMSGERR_ATTR_MSG)
		snprintf(data, 256, "%s", mnl_attr_get_str(attr));
	return MNL_CB_OK;
}

/* Send it; the errno of the ACK, or that of the end of the dump. Its text is in self->text. */
static int answer(struct _test_data_netlink *self)
{
	char buf[70000];
	ssize_t n;

	self->text[0] = 0;
	if (mnl_socket_sendto(self->s, self->nlh, self->nlh->nlmsg_len) < 0)
		return -errno;
	for (;;) {
		struct nlmsghdr *h = (struct nlmsghdr *)buf;
		int len = n = mnl_socket_recvfrom(self->s, buf, sizeof(buf)), err;

		if (n < 0)
			return -errno;
		for (; mnl_nlmsg_ok(h, len); h = mnl_nlmsg_next(h, &len)) {
			unsigned int skip = sizeof(int);

			if (h->nlmsg_type != NLMSG_ERROR && h->nlmsg_type != NLMSG_DONE)
				continue;
			err = *(int *)mnl_nlmsg_get_payload(h);
			if (h->nlmsg_type == NLMSG_ERROR) {
				const struct nlmsgerr *e = mnl_nlmsg_get_payload(h);

				skip = sizeof(*e);
				if (!(h->nlmsg_flags & NLM_F_CAPPED))
					skip += MNL_ALIGN(e->msg.nlmsg_len) - sizeof(e->msg);
			}
			if (h->nlmsg_flags & NLM_F_ACK_TLVS)
				mnl_attr_parse(h, skip, find_text, self->text);
			return err;
		}
	}
}

static int call(struct _test_data_netlink *self)
{
	self->nlh->nlmsg_flags |= NLM_F_ACK;
	return answer(self);
}

static int find_family(const struct nlattr *attr, void *data)
{
	if (mnl_attr_get_type(attr) == CTRL_ATTR_FAMILY_ID)
		*(uint16_t *)data = mnl_attr_get_u16(attr);
	return MNL_CB_OK;
}

static int on_family(const struct nlmsghdr *h, void *data)
{
	return mnl_attr_parse(h, sizeof(struct genlmsghdr), find_family, data);
}

static int open_raw(struct _test_data_netlink *self)
{
	char buf[8192];
	ssize_t n;

	self->s = mnl_socket_open(NETLINK_GENERIC);
	if (!self->s || mnl_socket_bind(self->s, 0, MNL_SOCKET_AUTOPID))
		return -errno;
	mnl_socket_setsockopt(self->s, NETLINK_EXT_ACK, &(int){ 1 }, sizeof(int));
	mnl_socket_setsockopt(self->s, NETLINK_CAP_ACK, &(int){ 1 }, sizeof(int));
	self->family = GENL_ID_CTRL;
	begin(self, CTRL_CMD_GETFAMILY, 0);
	mnl_attr_put_strz(self->nlh, CTRL_ATTR_FAMILY_NAME, FLYREP_GENL_NAME);
	mnl_socket_sendto(self->s, self->nlh, self->nlh->nlmsg_len);
	n = mnl_socket_recvfrom(self->s, buf, sizeof(buf));
	return mnl_cb_run(buf, n, 0, 0, on_family, &self->family) < 0 ? -errno : 0;
}

FIXTURE_SETUP(netlink)
{
	ASSERT_EQ(0, kt_load());
	ASSERT_EQ(0, kt_nets_up(&self->nets));
	ASSERT_EQ(0, fr_genl_open(&self->g));
	ASSERT_EQ(0, open_raw(self));
	ASSERT_NE(GENL_ID_CTRL, self->family);
}

FIXTURE_TEARDOWN(netlink)
{
	fr_genl_close(self->g);
	mnl_socket_close(self->s);
	kt_nets_down(&self->nets);
}

TEST_F(netlink, info)
{
	struct fr_genl_info info;

	ASSERT_EQ(0, fr_genl_info(self->g, &info));
	EXPECT_EQ(FLYREP_GENL_VERSION, info.abi);
	EXPECT_STREQ(FLYREP_VERSION, info.version);
	EXPECT_EQ(FLYREP_CAPTURE_CHAIN, info.capture);
	EXPECT_EQ(0, info.reader);
	EXPECT_EQ(86400, info.hold_s);
	EXPECT_EQ(60, info.grace_s);
	EXPECT_EQ(30, info.learn_s);
	EXPECT_EQ(kt_number("sysctl -n net.netfilter.nf_conntrack_max"), info.ct_max);
	EXPECT_EQ(kt_number("sysctl -n net.netfilter.nf_conntrack_count"), info.ct_count);
	EXPECT_EQ(__FLYREP_C_MAX, info.n_counters);
	EXPECT_FALSE(info.standby);
	EXPECT_NE(0, info.instance);
	EXPECT_EQ(1, kt_number("sysctl -n net.netfilter.nf_conntrack_events"));
}

TEST_F(netlink, life_of_a_reader)
{
	struct fr_genl_info info;
	struct kt_recs k = {};
	struct fr_genl *other;

	EXPECT_EQ(-ENOKEY, fr_genl_bind(self->g));
	EXPECT_STREQ("no HASH_KEY was set", fr_genl_error(self->g));
	EXPECT_EQ(-EPERM, kt_drain(self->g, &k));
	EXPECT_STREQ("only the reader may drain: BIND first", fr_genl_error(self->g));
	ASSERT_EQ(0, kt_config(self->g, 100, 5, -1));
	ASSERT_EQ(0, fr_genl_bind(self->g));
	ASSERT_EQ(0, fr_genl_info(self->g, &info));
	EXPECT_EQ(fr_genl_portid(self->g), info.reader);
	EXPECT_EQ(FLYREP_BUCKETS, info.dirty);
	EXPECT_EQ(100, info.hold_s);
	EXPECT_EQ(5, info.grace_s);
	/* At most an eighth of the table */
	EXPECT_LE((uint64_t)info.ring_entries * kt_number("nproc --all") * 8, info.ct_max);

	/* A second one, even the same, is refused; so are its changes and its drain. */
	EXPECT_EQ(-EBUSY, fr_genl_bind(self->g));
	ASSERT_EQ(0, fr_genl_open(&other));
	EXPECT_EQ(-EBUSY, fr_genl_bind(other));
	EXPECT_STREQ("there is a reader already", fr_genl_error(other));
	EXPECT_EQ(-EBUSY, kt_config(other, 1, -1, -1));
	EXPECT_STREQ("another socket is the reader", fr_genl_error(other));
	EXPECT_EQ(-EPERM, kt_drain(other, &k));
	EXPECT_EQ(0, kt_snapshot(other, &k, FLYREP_ORIGIN_ANY, NULL));
	EXPECT_EQ(1, k.n_end);

	/* Its place is free once it closes. */
	fr_genl_close(self->g);
	self->g = other;
	ASSERT_TRUE(kt_until(!fr_genl_bind(other)));
	ASSERT_EQ(0, fr_genl_info(self->g, &info));
	EXPECT_EQ(fr_genl_portid(self->g), info.reader);
	EXPECT_EQ(100, info.hold_s);
	kt_recs_reset(&k);
}

/* The reader of one namespace is nothing to another. */
TEST_F(netlink, namespaces_are_apart)
{
	struct fr_genl_info info;
	struct fr_genl *other;
	struct kt_recs k = {};

	ASSERT_EQ(0, kt_config(self->g, 77, -1, -1));
	ASSERT_EQ(0, fr_genl_bind(self->g));
	ASSERT_EQ(0, kt_apply(self->g, kt_rec(FLYREP_OP_INSERT, IPPROTO_UDP, "10.1.0.1", 1, "10.2.0.1", 53),
			      0));
	ASSERT_EQ(0, kt_enter(self->nets.b));
	ASSERT_EQ(0, fr_genl_open(&other));
	ASSERT_EQ(0, fr_genl_info(other, &info));
	EXPECT_EQ(0, info.reader);
	EXPECT_EQ(86400, info.hold_s);
	ASSERT_EQ(0, kt_snapshot(other, &k, FLYREP_ORIGIN_ANY, NULL));
	EXPECT_EQ(0, k.n);
	ASSERT_EQ(0, kt_config(other, -1, -1, -1));
	ASSERT_EQ(0, fr_genl_bind(other));
	fr_genl_close(other);
	ASSERT_EQ(0, fr_genl_info(self->g, &info));
	EXPECT_NE(0, info.reader);
	ASSERT_EQ(0, kt_enter(self->nets.a));
}

TEST_F(netlink, unknown_command)
{
	begin(self, 200, 0);
	EXPECT_EQ(-EOPNOTSUPP, call(self));
	begin(self, FLYREP_CMD_UNSPEC, 0);
	EXPECT_EQ(-EOPNOTSUPP, call(self));
	begin(self, FLYREP_CMD_WAKE, 0);
	EXPECT_EQ(-EOPNOTSUPP, call(self));
	/* A dump asked for as a command, and the reverse */
	begin(self, FLYREP_CMD_DRAIN, 0);
	EXPECT_EQ(-EOPNOTSUPP, call(self));
	begin(self, FLYREP_CMD_BIND, NLM_F_DUMP);
	EXPECT_EQ(-EOPNOTSUPP, call(self));
}

/* Attributes of the wrong size, value, kind or command, each with its text */
TEST_F(netlink, config_refusals)
{
	const struct {
		uint16_t	type;
		uint16_t	len;
		uint32_t	value;
		int		err;
		const char	*text;
	} t[] = {
		{ FLYREP_A_HASH_KEY, 4, 0, -ERANGE, "integer out of range|binary attribute size out of range" },
		{ FLYREP_A_HOLD_S, 4, 0, -ERANGE, "integer out of range" },
		{ FLYREP_A_HOLD_S, 4, FLYREP_HOLD_MAX_S + 1, -ERANGE, "integer out of range" },
		{ FLYREP_A_HOLD_S, 2, 1, -EINVAL, "Attribute failed policy validation|invalid attribute length" },
		{ FLYREP_A_GRACE_S, 4, 86401, -ERANGE, "integer out of range" },
		{ FLYREP_A_LEARN_S, 4, 0, -ERANGE, "integer out of range" },
		{ FLYREP_A_LEARN_S, 4, 3601, -ERANGE, "integer out of range" },
		{ FLYREP_A_RING_ENTRIES, 4, (1 << 20) + 1, -ERANGE, "integer out of range" },
		{ FLYREP_A_STANDBY, 1, 2, -ERANGE, "integer out of range" },
		{ FLYREP_A_FILTER, 2, 0, -EINVAL, "" },
		{ FLYREP_A_SETS, 4, 0, -EINVAL, "SETS is not a row of whole sets" },
		{ FLYREP_A_RECORDS, 4, 0, -EINVAL, "Unsupported attribute|Unknown attribute type" },
		{ FLYREP_A_MAX + 1, 4, 0, -EINVAL, "Unknown attribute type" },
	};
	struct fr_genl_info before, after;
	size_t i;

	ASSERT_EQ(0, fr_genl_info(self->g, &before));
	for (i = 0; i < sizeof(t) / sizeof(*t); i++) {
		const char *text = t[i].text;
		int err;

		begin(self, FLYREP_CMD_CONFIG, 0);
		mnl_attr_put(self->nlh, t[i].type, t[i].len, &t[i].value);
		err = call(self);
		EXPECT_TRUE(err == -EINVAL || err == -ERANGE)
			TH_LOG("attribute %u: %d", t[i].type, err);
		EXPECT_TRUE(!*text || (self->text[0] && strstr(text, self->text)))
			TH_LOG("attribute %u: %s", t[i].type, self->text);
	}
	ASSERT_EQ(0, fr_genl_info(self->g, &after));
	EXPECT_EQ(before.hold_s, after.hold_s);
	EXPECT_EQ(before.grace_s, after.grace_s);
	EXPECT_EQ(before.learn_s, after.learn_s);
	EXPECT_EQ(before.standby, after.standby);
}

TEST_F(netlink, filter_refusals)
{
	struct flyrep_prefix p = { .family = AF_INET, .prefix_len = 24 };
	uint8_t many[1024] = {};
	struct {
		uint16_t	type;
		size_t		len;
		const void	*data;
		int		err;
		const char	*text;
	} t[] = {
		{ FLYREP_FILTER_A_PROTOS, 65, many, -ERANGE, "binary attribute size out of range" },
		{ FLYREP_FILTER_A_ZONES, 3, many, -EINVAL, "length is not a multiple of the element" },
		{ FLYREP_FILTER_A_ZONES, 130, many, -ERANGE, "binary attribute size out of range" },
		{ FLYREP_FILTER_A_IGNORE, sizeof(p) + 1, many, -EINVAL, "length is not a multiple of the element" },
		{ FLYREP_FILTER_A_IGNORE, sizeof(p), &p, -EINVAL, "not a network: family, length or host bits" },
		{ FLYREP_FILTER_A_IGNORE, sizeof(p), many, -EINVAL, "not a network: family, length or host bits" },
		{ FLYREP_FILTER_A_MARK, 4, many, -EINVAL, "mark and mask come together" },
		{ FLYREP_FILTER_A_MAX + 1, 4, many, -EINVAL, "Unknown attribute type" },
	};
	size_t i;

	kt_addr(&p.addr, "10.1.1.1");
	for (i = 0; i < sizeof(t) / sizeof(*t); i++) {
		struct nlattr *nest;

		begin(self, FLYREP_CMD_CONFIG, 0);
		nest = mnl_attr_nest_start(self->nlh, FLYREP_A_FILTER);
		mnl_attr_put(self->nlh, t[i].type, t[i].len, t[i].data);
		mnl_attr_nest_end(self->nlh, nest);
		EXPECT_EQ(t[i].err, call(self)) TH_LOG("%zu", i);
		EXPECT_STREQ(t[i].text, self->text);
	}
}

TEST_F(netlink, apply_refusals)
{
	struct flyrep_ct r = kt_rec(FLYREP_OP_INSERT, IPPROTO_UDP, "10.1.0.1", 1, "10.2.0.1", 53);
	char big[200] __attribute__((aligned(8))) = {};
	struct fr_genl_info info;
	int i;

	begin(self, FLYREP_CMD_APPLY, 0);
	EXPECT_EQ(-EINVAL, call(self));
	EXPECT_STREQ("TABLE, REC_LEN or RECORDS is missing", self->text);

	begin(self, FLYREP_CMD_APPLY, 0);
	mnl_attr_put_u8(self->nlh, FLYREP_A_TABLE, FLYREP_TABLE_CONNTRACK);
	mnl_attr_put_u16(self->nlh, FLYREP_A_REC_LEN, sizeof(r));
	mnl_attr_put(self->nlh, FLYREP_A_RECORDS, sizeof(r) - 1, &r);
	EXPECT_EQ(-EINVAL, call(self));
	EXPECT_STREQ("RECORDS is not a row of whole records", self->text);

	/* A tail that ends behind the message, and one that leaves the next record crooked */
	for (i = 0; i < 2; i++) {
		((struct flyrep_rec *)big)->tail_len = i ? 4 : 80;
		begin(self, FLYREP_CMD_APPLY, 0);
		mnl_attr_put_u8(self->nlh, FLYREP_A_TABLE, FLYREP_TABLE_CONNTRACK);
		mnl_attr_put_u16(self->nlh, FLYREP_A_REC_LEN, sizeof(r));
		mnl_attr_put(self->nlh, FLYREP_A_RECORDS, i ? 132 : 200, big);
		EXPECT_EQ(-EINVAL, call(self));
		EXPECT_STREQ("RECORDS is not a row of whole records", self->text);
	}
	memset(big, 0, sizeof(big));

	/* Shorter than the key, longer than a message, of no table, of unknown flags */
	begin(self, FLYREP_CMD_APPLY, 0);
	mnl_attr_put_u8(self->nlh, FLYREP_A_TABLE, FLYREP_TABLE_CONNTRACK);
	mnl_attr_put_u16(self->nlh, FLYREP_A_REC_LEN, 64);
	mnl_attr_put(self->nlh, FLYREP_A_RECORDS, sizeof(r), &r);
	EXPECT_EQ(-EINVAL, call(self));
	EXPECT_STREQ("REC_LEN is shorter than a record of TABLE", self->text);
	begin(self, FLYREP_CMD_APPLY, 0);
	mnl_attr_put_u8(self->nlh, FLYREP_A_TABLE, FLYREP_TABLE_EXPECTATION);
	mnl_attr_put_u16(self->nlh, FLYREP_A_REC_LEN, sizeof(struct flyrep_ct));
	mnl_attr_put(self->nlh, FLYREP_A_RECORDS, sizeof(r), &r);
	EXPECT_EQ(-EINVAL, call(self));
	EXPECT_STREQ("REC_LEN is shorter than a record of TABLE", self->text);
	begin(self, FLYREP_CMD_APPLY, 0);
	mnl_attr_put_u8(self->nlh, FLYREP_A_TABLE, FLYREP_TABLE_LEASE);
	mnl_attr_put_u16(self->nlh, FLYREP_A_REC_LEN, 32);
	mnl_attr_put(self->nlh, FLYREP_A_RECORDS, sizeof(r), &r);
	EXPECT_EQ(-ERANGE, call(self));
	begin(self, FLYREP_CMD_APPLY, 0);
	mnl_attr_put_u8(self->nlh, FLYREP_A_TABLE, FLYREP_TABLE_NFT_SET);
	mnl_attr_put_u16(self->nlh, FLYREP_A_REC_LEN, sizeof(struct flyrep_item));
	mnl_attr_put(self->nlh, FLYREP_A_RECORDS, sizeof(r), &r);
	EXPECT_EQ(-EOPNOTSUPP, call(self));
	EXPECT_STREQ("elements of nft sets are written through nf_tables", self->text);
	begin(self, FLYREP_CMD_APPLY, 0);
	mnl_attr_put_u8(self->nlh, FLYREP_A_TABLE, FLYREP_TABLE_MAX + 1);
	EXPECT_EQ(-ERANGE, call(self));
	begin(self, FLYREP_CMD_APPLY, 0);
	mnl_attr_put_u32(self->nlh, FLYREP_A_APPLY_FLAGS, 0x80000000);
	EXPECT_EQ(-EINVAL, call(self));
	begin(self, FLYREP_CMD_APPLY, 0);
	mnl_attr_put(self->nlh, FLYREP_A_RECORDS, FLYREP_RECORDS_MAX_LEN + 128, self->buf);
	EXPECT_TRUE(call(self) < 0);

	/* An attribute that ends beyond the message */
	begin(self, FLYREP_CMD_APPLY, 0);
	mnl_attr_put_u8(self->nlh, FLYREP_A_TABLE, FLYREP_TABLE_CONNTRACK);
	mnl_attr_put_u16(self->nlh, FLYREP_A_REC_LEN, sizeof(r));
	mnl_attr_put(self->nlh, FLYREP_A_RECORDS, sizeof(r), &r);
	self->nlh->nlmsg_len -= 64;
	EXPECT_EQ(-EINVAL, call(self));

	ASSERT_EQ(0, fr_genl_info(self->g, &info));
	EXPECT_EQ(0, info.ct_count);

	/* Longer records, of a later version, are fine: the surplus is skipped. */
	memcpy(big, &r, sizeof(r));
	memset(big + sizeof(r), 0xff, sizeof(big) - sizeof(r));
	begin(self, FLYREP_CMD_APPLY, 0);
	mnl_attr_put_u8(self->nlh, FLYREP_A_TABLE, FLYREP_TABLE_CONNTRACK);
	mnl_attr_put_u16(self->nlh, FLYREP_A_REC_LEN, sizeof(big));
	mnl_attr_put(self->nlh, FLYREP_A_RECORDS, sizeof(big), big);
	EXPECT_EQ(0, call(self));
	ASSERT_EQ(0, fr_genl_info(self->g, &info));
	EXPECT_EQ(1, info.ct_count);
}

TEST_F(netlink, snapshot_refusals)
{
	uint8_t bitmap[FLYREP_BUCKETS_LEN] = {};

	begin(self, FLYREP_CMD_SNAPSHOT, NLM_F_DUMP);
	EXPECT_EQ(-EINVAL, answer(self));
	EXPECT_STREQ("TABLE is missing", self->text);
	begin(self, FLYREP_CMD_SNAPSHOT, NLM_F_DUMP);
	mnl_attr_put_u8(self->nlh, FLYREP_A_TABLE, FLYREP_TABLE_CONNTRACK);
	mnl_attr_put(self->nlh, FLYREP_A_BUCKETS, sizeof(bitmap), bitmap);
	EXPECT_EQ(-ENOKEY, answer(self));
	EXPECT_STREQ("no HASH_KEY was set: there are no buckets", self->text);
	begin(self, FLYREP_CMD_SNAPSHOT, NLM_F_DUMP);
	mnl_attr_put_u8(self->nlh, FLYREP_A_TABLE, FLYREP_TABLE_CONNTRACK);
	mnl_attr_put(self->nlh, FLYREP_A_BUCKETS, 16, bitmap);
	EXPECT_TRUE(answer(self) < 0);
	begin(self, FLYREP_CMD_SNAPSHOT, NLM_F_DUMP);
	mnl_attr_put_u8(self->nlh, FLYREP_A_TABLE, FLYREP_TABLE_CONNTRACK);
	mnl_attr_put_u8(self->nlh, FLYREP_A_ORIGIN, __FLYREP_ORIGIN_MAX);
	EXPECT_EQ(-ERANGE, answer(self));
	begin(self, FLYREP_CMD_SNAPSHOT, NLM_F_DUMP);
	mnl_attr_put_u8(self->nlh, FLYREP_A_TABLE, FLYREP_TABLE_NFT_SET);
	EXPECT_EQ(-EOPNOTSUPP, answer(self));
	EXPECT_STREQ("elements of nft sets are read through nf_tables", self->text);
	begin(self, FLYREP_CMD_DRAIN, NLM_F_DUMP);
	mnl_attr_put_u8(self->nlh, FLYREP_A_TABLE, FLYREP_TABLE_CONNTRACK);
	EXPECT_TRUE(answer(self) < 0);
}

/* Random bytes where attributes should be */
TEST_F(netlink, noise)
{
	unsigned int seed = 1, i, j;

	for (i = 0; i < 3000; i++) {
		unsigned int len = rand_r(&seed) % 400 & ~3u;
		uint8_t *p;

		begin(self, rand_r(&seed) % (FLYREP_CMD_MAX + 2), rand_r(&seed) % 2 ? NLM_F_DUMP : 0);
		p = mnl_nlmsg_get_payload_tail(self->nlh);
		for (j = 0; j < len; j++)
			p[j] = rand_r(&seed);
		/* Often a plausible head, so that something gets past the first check */
		if (len >= 4 && rand_r(&seed) % 2) {
			((struct nlattr *)p)->nla_type = rand_r(&seed) % (FLYREP_A_MAX + 2);
			((struct nlattr *)p)->nla_len = 4 + rand_r(&seed) % (len - 3);
		}
		self->nlh->nlmsg_len += len;
		call(self);
	}
	/* The door still opens. */
	EXPECT_EQ(0, kt_number("sysctl -n net.netfilter.nf_conntrack_count"));
}

/* Without CAP_NET_ADMIN over the namespace: nothing, not even INFO. */
TEST_F(netlink, needs_net_admin)
{
	static const uint8_t dos[] = { FLYREP_CMD_INFO, FLYREP_CMD_CONFIG, FLYREP_CMD_BIND,
				       FLYREP_CMD_APPLY, FLYREP_CMD_PROMOTE, FLYREP_CMD_DEMOTE };
	static const uint8_t dumps[] = { FLYREP_CMD_DRAIN, FLYREP_CMD_SNAPSHOT };
	int status;
	pid_t pid;
	size_t i;

	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		mnl_socket_close(self->s);
		if (open_raw(self) || setgid(65534) || setuid(65534))
			_exit(100);
		for (i = 0; i < sizeof(dos); i++) {
			begin(self, dos[i], 0);
			if (call(self) != -EPERM)
				_exit(1 + i);
		}
		for (i = 0; i < sizeof(dumps); i++) {
			begin(self, dumps[i], NLM_F_DUMP);
			if (answer(self) != -EPERM)
				_exit(20 + i);
		}
		_exit(0);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
}

TEST_HARNESS_MAIN
