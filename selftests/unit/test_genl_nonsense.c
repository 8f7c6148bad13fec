// SPDX-License-Identifier: GPL-2.0-or-later
/* Datagrams that the module never sends: each is refused, none does harm. */
#include "datagram.h"

/* Each makes one datagram that the module never sends. */
static void odd_size(struct datagram *d)
{
	static const char recs[200];

	drain_records(d, recs, 128, 1);
	d->nlh->nlmsg_len -= 4;
	((struct nlattr *)((char *)d->nlh + d->nlh->nlmsg_len - 128))->nla_len -=
		4;
}

static void no_size(struct datagram *d)
{
	static const char rec[128];

	command(d, FLYREP_CMD_DRAIN, SEQ);
	mnl_attr_put_u8(d->nlh, FLYREP_A_TABLE, FLYREP_TABLE_CONNTRACK);
	mnl_attr_put(d->nlh, FLYREP_A_RECORDS, sizeof(rec), rec);
}

static void zero_size(struct datagram *d)
{
	static const char rec[128];

	drain_records(d, rec, 0, 1);
}

static void tiny_size(struct datagram *d)
{
	static const char rec[128];

	drain_records(d, rec, 16, 8);
}

static void no_table(struct datagram *d)
{
	static const char rec[128];

	command(d, FLYREP_CMD_DRAIN, SEQ);
	put_records(d, rec, 128, 1);
}

static void long_table(struct datagram *d)
{
	static const char rec[128];

	command(d, FLYREP_CMD_DRAIN, SEQ);
	mnl_attr_put_u32(d->nlh, FLYREP_A_TABLE, FLYREP_TABLE_CONNTRACK);
	put_records(d, rec, 128, 1);
}

static void nothing_at_all(struct datagram *d)
{
	command(d, FLYREP_CMD_DRAIN, SEQ);
}

static void after_its_end(struct datagram *d)
{
	drain_end(d, 1);
	drain_end(d, 1);
}

static void dirty_without_buckets(struct datagram *d)
{
	command(d, FLYREP_CMD_DRAIN, SEQ);
	mnl_attr_put_u8(d->nlh, FLYREP_A_TABLE, FLYREP_TABLE_CONNTRACK);
	mnl_attr_put_u32(d->nlh, FLYREP_A_DIRTY, 1);
}

static void short_buckets(struct datagram *d)
{
	command(d, FLYREP_CMD_DRAIN, SEQ);
	mnl_attr_put_u8(d->nlh, FLYREP_A_TABLE, FLYREP_TABLE_CONNTRACK);
	mnl_attr_put_u32(d->nlh, FLYREP_A_DIRTY, 1);
	mnl_attr_put_u32(d->nlh, FLYREP_A_BUCKETS, 1);
}

static void no_hints(struct datagram *d)
{
	drain_hints(d, NULL, 0);
}

static void hints_without_table(struct datagram *d)
{
	uint8_t hint[32];
	size_t len = hint_make(hint, FLYREP_HINT_ELEMENT, 4, 1);

	command(d, FLYREP_CMD_DRAIN, SEQ);
	mnl_attr_put(d->nlh, FLYREP_A_HINTS, len, hint);
}

static void hints_of_another_table(struct datagram *d)
{
	uint8_t hint[32];
	size_t len = hint_make(hint, FLYREP_HINT_ELEMENT, 4, 1);

	command(d, FLYREP_CMD_DRAIN, SEQ);
	mnl_attr_put_u8(d->nlh, FLYREP_A_TABLE, FLYREP_TABLE_CONNTRACK);
	mnl_attr_put(d->nlh, FLYREP_A_HINTS, len, hint);
}

static void half_a_hint(struct datagram *d)
{
	uint8_t hints[64];
	size_t len = hint_make(hints, FLYREP_HINT_GENERATION, 0, 0);

	memset(hints + len, 0, 16);
	drain_hints(d, hints, len + 16);
}

static void a_hint_without_its_key(struct datagram *d)
{
	uint8_t hint[64];

	hint_make(hint, FLYREP_HINT_ELEMENT, 16, 1);
	drain_hints(d, hint, FLYREP_HINT_LEN(8));
}

static void a_hint_without_its_padding(struct datagram *d)
{
	uint8_t hint[32];

	hint_make(hint, FLYREP_HINT_ELEMENT, 4, 1);
	drain_hints(d, hint, FLYREP_HINT_LEN(0) + 4);
}

static void a_hint_with_too_long_a_key(struct datagram *d)
{
	uint8_t hint[128];

	drain_hints(d, hint, hint_make(hint, FLYREP_HINT_ELEMENT, 65, 1));
}

static void a_hint_with_dirt_behind_its_key(struct datagram *d)
{
	uint8_t hint[32];
	size_t len = hint_make(hint, FLYREP_HINT_ELEMENT, 4, 1);

	hint[len - 1] = 1;
	drain_hints(d, hint, len);
}

static void done_without_end(struct datagram *d)
{
	done(d, 0, NULL);
}

static void an_unasked_success(struct datagram *d)
{
	refusal(d, SEQ, 0, "");
}

static void a_positive_errno(struct datagram *d)
{
	done(d, 5, NULL);
}

static void done_without_errno(struct datagram *d)
{
	message(d, NLMSG_DONE, SEQ);
}

static void another_command(struct datagram *d)
{
	command(d, FLYREP_CMD_INFO, SEQ);
}

static void another_family(struct datagram *d)
{
	message(d, FAMILY + 1, SEQ);
}

static void an_attribute_too_long(struct datagram *d)
{
	drain_end(d, 1);
	((struct nlattr *)mnl_nlmsg_get_payload_offset(d->nlh, GENL_HDRLEN))
		->nla_len = 60000;
}

static void an_attribute_too_short(struct datagram *d)
{
	drain_end(d, 1);
	((struct nlattr *)mnl_nlmsg_get_payload_offset(d->nlh, GENL_HDRLEN))
		->nla_len = 3;
}

static void a_message_too_long(struct datagram *d)
{
	drain_end(d, 1);
	message_end(d);
	((struct nlmsghdr *)d->buf)->nlmsg_len = UINT32_MAX;
}

static void a_message_too_short(struct datagram *d)
{
	drain_end(d, 1);
	message_end(d);
	((struct nlmsghdr *)d->buf)->nlmsg_len = 15;
}

static void data_before_begin(struct datagram *d)
{
	static const char rec[128];

	put_phase(d, FLYREP_PHASE_DATA, 0);
	put_records(d, rec, 128, 1);
}

static void end_before_begin(struct datagram *d)
{
	put_phase(d, FLYREP_PHASE_END, 1);
}

static void begin_twice(struct datagram *d)
{
	put_phase(d, FLYREP_PHASE_BEGIN, 1);
	put_phase(d, FLYREP_PHASE_BEGIN, 1);
}

static void begin_without_stamp(struct datagram *d)
{
	put_phase(d, FLYREP_PHASE_BEGIN, 0);
}

static void an_unknown_phase(struct datagram *d)
{
	put_phase(d, 9, 1);
}

static void another_table(struct datagram *d)
{
	command(d, FLYREP_CMD_SNAPSHOT, SEQ);
	mnl_attr_put_u8(d->nlh, FLYREP_A_TABLE, 2);
	mnl_attr_put_u8(d->nlh, FLYREP_A_PHASE, FLYREP_PHASE_BEGIN);
	mnl_attr_put_u64(d->nlh, FLYREP_A_STAMP, 1);
}

static void nonsense_is_a_protocol_error(void **state)
{
	static const struct {
		uint8_t cmd;
		void (*make)(struct datagram *d);
	} cases[] = {
		{ FLYREP_CMD_DRAIN, odd_size },
		{ FLYREP_CMD_DRAIN, no_size },
		{ FLYREP_CMD_DRAIN, zero_size },
		{ FLYREP_CMD_DRAIN, tiny_size },
		{ FLYREP_CMD_DRAIN, no_table },
		{ FLYREP_CMD_DRAIN, long_table },
		{ FLYREP_CMD_DRAIN, nothing_at_all },
		{ FLYREP_CMD_DRAIN, after_its_end },
		{ FLYREP_CMD_DRAIN, dirty_without_buckets },
		{ FLYREP_CMD_DRAIN, short_buckets },
		{ FLYREP_CMD_DRAIN, no_hints },
		{ FLYREP_CMD_DRAIN, hints_without_table },
		{ FLYREP_CMD_DRAIN, hints_of_another_table },
		{ FLYREP_CMD_DRAIN, half_a_hint },
		{ FLYREP_CMD_DRAIN, a_hint_without_its_key },
		{ FLYREP_CMD_DRAIN, a_hint_without_its_padding },
		{ FLYREP_CMD_DRAIN, a_hint_with_too_long_a_key },
		{ FLYREP_CMD_DRAIN, a_hint_with_dirt_behind_its_key },
		{ FLYREP_CMD_DRAIN, done_without_end },
		{ FLYREP_CMD_DRAIN, an_unasked_success },
		{ FLYREP_CMD_DRAIN, a_positive_errno },
		{ FLYREP_CMD_DRAIN, done_without_errno },
		{ FLYREP_CMD_DRAIN, another_command },
		{ FLYREP_CMD_DRAIN, another_family },
		{ FLYREP_CMD_DRAIN, an_attribute_too_long },
		{ FLYREP_CMD_DRAIN, an_attribute_too_short },
		{ FLYREP_CMD_DRAIN, a_message_too_long },
		{ FLYREP_CMD_DRAIN, a_message_too_short },
		{ FLYREP_CMD_SNAPSHOT, data_before_begin },
		{ FLYREP_CMD_SNAPSHOT, end_before_begin },
		{ FLYREP_CMD_SNAPSHOT, begin_twice },
		{ FLYREP_CMD_SNAPSHOT, begin_without_stamp },
		{ FLYREP_CMD_SNAPSHOT, an_unknown_phase },
		{ FLYREP_CMD_SNAPSHOT, another_table },
		{ FLYREP_CMD_SNAPSHOT, done_without_end },
		{ FLYREP_CMD_SNAPSHOT, another_command },
	};
	struct datagram d = { 0 };
	struct dump u;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		dump_init(&u, cases[i].cmd);
		cases[i].make(&d);
		if (dump_take(&u, &d, 0) != -EPROTO)
			fail_msg("case %zu was accepted", i);
		dump_free(&u);
	}
}

static void a_datagram_cut_short_is_a_protocol_error(void **state)
{
	struct flyrep_ct recs[2];
	struct datagram d = { 0 };
	struct dump u;
	size_t cut;

	(void)state;
	fill(recs, 2);
	for (cut = 1; cut < 2 * sizeof(recs[0]); cut++) {
		dump_init(&u, FLYREP_CMD_DRAIN);
		drain_records(&d, recs, sizeof(recs[0]), 2);
		assert_int_equal(dump_take(&u, &d, cut), -EPROTO);
		dump_free(&u);
	}
}

/* An acknowledgement that repeats the request, as without NETLINK_CAP_ACK. */
static void errors_are_read_with_and_without_the_request(void **state)
{
	char buf[256] = { 0 }, text[64];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct nlmsgerr *e;

	(void)state;
	nlh->nlmsg_type = NLMSG_ERROR;
	nlh->nlmsg_flags = NLM_F_ACK_TLVS;
	e = mnl_nlmsg_put_extra_header(nlh, sizeof(*e));
	e->error = -EINVAL;
	e->msg.nlmsg_len = NLMSG_HDRLEN + 10;
	mnl_nlmsg_put_extra_header(nlh, 10);
	mnl_attr_put_u32(nlh, NLMSGERR_ATTR_OFFS, 20);
	mnl_attr_put_strz(nlh, NLMSGERR_ATTR_MSG, "bad record size");
	assert_int_equal(fr_netlink_error(nlh, text, sizeof(text)),
			 -EINVAL);
	assert_string_equal(text, "bad record size");
	assert_int_equal(fr_netlink_error(nlh, text, 4), -EINVAL);
	assert_string_equal(text, "bad");

	e->msg.nlmsg_len = 1000;
	assert_int_equal(fr_netlink_error(nlh, text, sizeof(text)),
			 -EPROTO);
	e->msg.nlmsg_len = 0;
	assert_int_equal(fr_netlink_error(nlh, text, sizeof(text)),
			 -EPROTO);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(nonsense_is_a_protocol_error),
		cmocka_unit_test(a_datagram_cut_short_is_a_protocol_error),
		cmocka_unit_test(errors_are_read_with_and_without_the_request),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
