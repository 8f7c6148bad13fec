// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What nf_tables may say, and what may be made of it: in the first byte what comes (0 tables, 1 sets, 2 a
 * dump of elements, 3 records of a peer), then flags of the set "kt", "s", length of its key and of its data, 1 for
 * verdicts and 2 for a timeout; then datagrams behind their length (16 bits, little endian), or a
 * batch. A record that is handed out passes the check and says the same when it is written and read again.
 */
#include <errno.h>
#include <linux/netfilter.h>
#include <stdlib.h>
#include <string.h>

#include "netlink.h"
#include "nft_message.h"

#define NOW_MS 1000000
#define N_MAX 16

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void must(int is_true)
{
	if (!is_true)
		abort();
}

static int on_table(const struct nlmsghdr *nlh, void *cookie)
{
	struct fr_nft_table table;
	int err = fr_nft_message_table(nlh, &table);

	(void)cookie;
	must(err || (table.name[0] && strlen(table.name) < sizeof(table.name)));
	return 0;
}

static int on_set(const struct nlmsghdr *nlh, void *cookie)
{
	struct fr_nft_set set;
	int err = fr_nft_message_set(nlh, &set);

	(void)cookie;
	must(err || (set.name[0] && set.key_len && set.key_len <= FR_NFT_KEY_MAX_LEN &&
		     !(set.flags & NFT_SET_ANONYMOUS)));
	return 0;
}

/* The elements of a message that was made here: one, and the end of an interval. */
struct again {
	const struct fr_nft_set *set;
	const struct flyrep_item *rec;
	struct fr_item_bytes end;
	size_t n;
	size_t n_ends;
};

static int on_again(struct fr_nft_elem *e, void *cookie)
{
	struct fr_item_bytes was[FR_ITEM_FIELDS_MAX];
	struct again *a = cookie;

	must(!fr_item_unpack(a->rec, FLYREP_TABLE_NFT_SET, was));
	if (e->is_end) {
		must(!a->n_ends++ && e->key.len == was[FR_ITEM_NFT_KEY_END].len &&
		     !memcmp(e->key.pos, was[FR_ITEM_NFT_KEY_END].pos, e->key.len));
		return 0;
	}
	must(!a->n++ && e->key.len == was[FR_ITEM_NFT_KEY].len &&
	     !memcmp(e->key.pos, was[FR_ITEM_NFT_KEY].pos, e->key.len));
	must(e->data.len == was[FR_ITEM_NFT_DATA].len &&
	     !memcmp(e->data.pos, was[FR_ITEM_NFT_DATA].pos, e->data.len));
	must(e->object.len == was[FR_ITEM_NFT_OBJECT].len);
	must(e->expressions.len == was[FR_ITEM_NFT_EXPRESSIONS].len);
	must(!e->ends || (e->left_ms && a->rec->expires_ms >= NOW_MS + e->left_ms));
	return 0;
}

static void write_again(const struct fr_nft_set *set, const void *rec)
{
	struct again again = { .set = set, .rec = rec };
	uint64_t room[FR_NFT_MESSAGE_MAX_LEN / 8 + 1];
	uint64_t key_room[FR_ITEM_ROOM / 8 + 1];
	struct fr_nft_elem e;
	int err = fr_nft_elem_read(&e, set, rec, false, NOW_MS);

	must(!err || err == -EINVAL || err == -ETIME);
	if (err == -EINVAL)
		return;
	must(fr_nft_message_elem(room, NFT_MSG_DELSETELEM, 0, 1, set, &e) <= sizeof(room));
	must(fr_nft_elem_record(key_room, set, &e, NOW_MS) > 0);
	if (err)
		return;
	must(fr_nft_message_elem(room, NFT_MSG_NEWSETELEM, 0, 1, set, &e) <=
	     ((const struct flyrep_item *)rec)->rec.tail_len + 160u + sizeof("kts"));
	err = fr_nft_message_elems((void *)room, set, on_again, &again);
	/* Object names that are no text are not refused when they are written. */
	must(!err && again.n == 1);
}

static void on_records(void *cookie, const void *recs, size_t n)
{
	const struct fr_nft_set *set = cookie;
	const char *why;

	must(n && (uintptr_t)recs % 8 == 0);
	for (; n; n--, recs = fr_record_next(&fr_nft_set_table, recs)) {
		must(!fr_nft_set_table.check(recs, &why));
		write_again(set, recs);
	}
}

static void take_batch(const struct fr_nft_set *set, const uint8_t *data, size_t len)
{
	static uint8_t recs[N_MAX * FR_ITEM_ROOM] __attribute__((aligned(8)));
	const void *rec = recs;
	struct fr_reader r;
	size_t n;

	fr_reader_init(&r, data, len);
	if (fr_nft_set_table.decode(&r, recs, sizeof(recs), N_MAX, &n))
		return;
	for (; n; n--, rec = fr_record_next(&fr_nft_set_table, rec)) {
		struct fr_nft_name name;

		fr_nft_record_name(rec, &name);
		fr_nft_record_timeout_ms(rec);
		write_again(set, rec);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct fr_nft_set set = { .family = NFPROTO_INET, .table = "kt", .name = "s" };
	const uint8_t *end = data + len;
	struct fr_nft_dump d = { 0 };
	uint8_t what;
	char text[32];
	int err = 1;

	if (len < 5)
		return 0;
	what = data[0] % 4;
	set.flags = data[1] & ~(unsigned int)NFT_SET_ANONYMOUS;
	set.key_len = data[2] % (FR_NFT_KEY_MAX_LEN + 1u);
	set.data_len = data[3];
	set.data_type = data[4] & 1 ? NFT_DATA_VERDICT : 0;
	set.timeout_ms = data[4] & 2 ? 3600000 : 0;
	data += 5;
	if (!set.key_len)
		return 0;
	if (what == 3) {
		take_batch(&set, data, (size_t)(end - data));
		return 0;
	}
	must(!fr_nft_dump_begin(&d, &set, 77));
	while (end - data >= 2 && err == 1) {
		size_t n = (size_t)(data[0] | data[1] << 8);
		uint8_t *exact;

		data += 2;
		if (n > (size_t)(end - data))
			n = (size_t)(end - data);
		exact = malloc(n ? n : 1);
		must(!!exact);
		memcpy(exact, data, n);
		data += n;
		if (what == 2) {
			err = fr_nft_dump_take(&d, exact, n, NOW_MS, on_records, &set, text,
					       sizeof(text));
			must(err <= 1 && (err == 1) == d.is_running);
			must(strlen(text) < sizeof(text));
		} else {
			fr_netlink_messages(exact, n, what ? on_set : on_table, NULL);
		}
		free(exact);
	}
	fr_nft_dump_free(&d);
	return 0;
}
