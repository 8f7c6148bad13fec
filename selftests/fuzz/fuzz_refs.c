// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Columns of a conntrack batch with references, behind a byte: 1 if their check fits whatever they
 * are. The reader knows one flow of each kind, and which one a reference means follows from it, or
 * that it means none. Whatever is accepted passes the check and survives being encoded and decoded
 * once more, by its keys.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "conntrack.h"

#define N_MAX 4096
#define RECS_LEN \
	(N_MAX * (sizeof(struct flyrep_ct) + sizeof(struct flyrep_ct_ext)))
#define N_OF(array) (sizeof(array) / sizeof((array)[0]))

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void must(int is_true)
{
	if (!is_true)
		abort();
}

static const struct {
	uint8_t family, proto, zone;
} kinds[] = {
	{ AF_INET, IPPROTO_TCP, 0 },   { AF_INET6, IPPROTO_TCP, 0 },
	{ AF_INET, IPPROTO_UDP, 0 },   { AF_INET6, IPPROTO_UDP, 3 },
	{ AF_INET, IPPROTO_ICMP, 0 },  { AF_INET6, IPPROTO_ICMPV6, 0 },
	{ AF_INET6, IPPROTO_SCTP, 0 }, { AF_INET, IPPROTO_DCCP, 0 },
	{ AF_INET, IPPROTO_ESP, 0 },   { AF_INET, IPPROTO_TCP, 9 },
};

static const uint8_t *find(void *cookie, uint32_t ref, unsigned int bits,
			   size_t *key_len, uint64_t *hash)
{
	static uint8_t key[FR_KEY_MAX_LEN] __attribute__((aligned(8)));
	size_t i = ref % (N_OF(kinds) + 1);
	struct flyrep_ct ct = { .zone_dir = 3 };
	uint32_t *check = cookie;

	must(bits == FR_REF_BITS_MAX || (bits == FR_REF_BITS && !(ref & 0xff)));
	if (i == N_OF(kinds))
		return NULL;
	ct.family = kinds[i].family;
	ct.proto = kinds[i].proto;
	ct.zone = kinds[i].zone;
	ct.orig.src.word[0] = ref;
	if (fr_conntrack_has_ports(ct.proto))
		ct.orig.dport = 443;
	if (ct.proto == IPPROTO_ICMP || ct.proto == IPPROTO_ICMPV6)
		ct.orig.dport = htons(ct.proto == IPPROTO_ICMP ? 0x0800 : 0x8000);
	*key_len = fr_conntrack_table.key(key, &ct);
	*hash = (uint64_t)ref << 32 | (check ? *check : 0);
	return key;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static uint8_t recs[RECS_LEN] __attribute__((aligned(8)));
	static uint8_t again[RECS_LEN] __attribute__((aligned(8)));
	static uint8_t buf[RECS_LEN];
	static const uint64_t by_key[N_MAX];
	const struct fr_table *t = &fr_conntrack_table;
	struct fr_refs refs = { .find = find };
	uint32_t check = 77;
	const void *rec = recs;
	size_t n, n_again, i;
	struct fr_reader r;
	struct fr_writer w;
	uint8_t *columns;
	const char *why;
	int err;

	if (!len)
		return 0;
	columns = malloc(len); /* a byte too far is noticed */
	must(!!columns);
	memcpy(columns, data + 1, len - 1);
	if (data[0] & 1) {
		fr_reader_init(&r, columns, len - 1);
		fr_get_varint(&r);
		fr_get_u8(&r);
		if (fr_reader_left(&r) >= 4)
			memset(columns + (r.pos - columns), 0, 4);
	} else {
		refs.cookie = &check;
	}
	fr_reader_init(&r, columns, len - 1);
	err = t->decode_refs(&r, recs, sizeof(recs), N_MAX, &n, &refs);
	must(err == 0 || err == -EBADMSG);
	must(n <= N_MAX && (!err || !n));
	must(err || refs.is_lost || refs.n <= n);
	free(columns);
	for (i = 0; i < n; i++, rec = fr_record_next(t, rec))
		must(t->check(rec, &why) == 0);
	if (err)
		return 0;

	fr_writer_init(&w, buf, sizeof(buf));
	must(t->encode_refs(&w, recs, n, by_key, FR_REF_BITS) == 0);
	fr_reader_init(&r, buf, fr_writer_len(&w));
	must(t->decode_refs(&r, again, sizeof(again), N_MAX, &n_again, &refs) == 0);
	must(n_again == n && !fr_reader_left(&r) && !refs.n);
	must(!memcmp(recs, again, (size_t)((const uint8_t *)rec - recs)));
	return 0;
}
