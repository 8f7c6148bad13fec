// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * codec - cost and size of a batch: columns, zstd, and back
 *
 * Flows of a few hundred clients to servers whose popularity follows Zipf's law,
 * behind source NAT or not. Prints nanoseconds for each record and bytes on the
 * wire for each record, frame head included, TLS not.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "conntrack.h"
#include "frame.h"
#include "records.h"

#define N_CLIENTS 300
#define N_SERVERS 10000
#define N_BATCHES 64
#define N_RECORDS_MAX 1000
#define ROUNDS 8

struct kind {
	const char *name;
	bool is_v6;
	bool is_natted;
	bool is_mixed; /* all stages of a flow's life, not only its creation */
	bool is_deleted;
	size_t n; /* records in a batch */
};

/* clang-format off */
static const struct kind kinds[] = {
	{ .name = "new, IPv4, source NAT", .is_natted = true, .n = 1000 },
	{ .name = "same, batches of 100", .is_natted = true, .n = 100 },
	{ .name = "same, batches of 10", .is_natted = true, .n = 10 },
	{ .name = "new, IPv4, no NAT", .n = 1000 },
	{ .name = "new, IPv6", .is_v6 = true, .n = 1000 },
	{ .name = "whole lives, source NAT", .is_natted = true, .is_mixed = true, .n = 1000 },
	{ .name = "deletes, IPv4", .is_deleted = true, .n = 1000 },
};

/* clang-format on */

struct server {
	uint8_t addr[16];
	uint8_t proto;
	uint16_t port;
};

struct world {
	uint64_t random;
	struct server servers[N_SERVERS];
	double popularity[N_SERVERS]; /* cumulated, ends at 1 */
};

static uint64_t draw(struct world *w)
{
	w->random ^= w->random << 13;
	w->random ^= w->random >> 7;
	w->random ^= w->random << 17;
	return w->random;
}

static unsigned int draw_below(struct world *w, unsigned int n)
{
	return (unsigned int)((draw(w) >> 32) * n >> 32);
}

static void world_init(struct world *w)
{
	double sum = 0;
	size_t i;

	w->random = 0x9e3779b97f4a7c15ULL;
	for (i = 0; i < N_SERVERS; i++) {
		unsigned int service = draw_below(w, 100);
		uint64_t a = draw(w), b = draw(w);

		memcpy(w->servers[i].addr, &a, 8);
		memcpy(w->servers[i].addr + 8, &b, 8);
		w->servers[i].proto = service < 75 ? IPPROTO_TCP : IPPROTO_UDP;
		w->servers[i].port = service < 60 ? 443 :
				     service < 75 ? 80 :
				     service < 90 ? 443 :
						    53;
		sum += 1.0 / (double)(i + 1);
		w->popularity[i] = sum;
	}
	for (i = 0; i < N_SERVERS; i++)
		w->popularity[i] /= sum;
}

static const struct server *draw_server(struct world *w)
{
	double at = (double)(draw(w) >> 11) / (double)(1ULL << 53);
	size_t low = 0, high = N_SERVERS - 1;

	while (low < high) {
		size_t mid = (low + high) / 2;

		if (w->popularity[mid] < at)
			low = mid + 1;
		else
			high = mid;
	}
	return &w->servers[low];
}

static void make_value(struct world *w, const struct kind *kind,
		       struct flyrep_ct *ct)
{
	fr_conntrack_invert(&ct->reply, ct);
	ct->status = 0x0e; /* seen_reply, assured, confirmed */
	ct->timeout_s = draw_below(w, 432000);
	if (kind->is_natted) {
		ct->status |= 0x190; /* src_nat, both done */
		ct->reply.dst.word[0] = htonl(0xcb007101);
		/* The port stays unless it is taken. */
		if (!draw_below(w, 20))
			ct->reply.dport =
				htons((uint16_t)(1024 + draw_below(w, 64512)));
	}
	if (ct->proto == IPPROTO_TCP) {
		ct->tcp_state = TCP_CONNTRACK_ESTABLISHED;
		ct->tcp_flags[0] = 0x23;
		ct->tcp_flags[1] = 0x23;
		ct->tcp_scale[0] = draw_below(w, 3) ? 7 : 8;
		ct->tcp_scale[1] = (uint8_t)(7 + draw_below(w, 3));
	}
	if (kind->is_mixed && ct->proto == IPPROTO_TCP) {
		static const uint8_t stages[] = {
			TCP_CONNTRACK_SYN_SENT,	   TCP_CONNTRACK_ESTABLISHED,
			TCP_CONNTRACK_ESTABLISHED, TCP_CONNTRACK_FIN_WAIT,
			TCP_CONNTRACK_TIME_WAIT,
		};

		ct->tcp_state = stages[draw_below(w, sizeof(stages))];
		if (ct->tcp_state == TCP_CONNTRACK_SYN_SENT) {
			ct->status &= ~0x06u;
			ct->tcp_scale[1] = 0;
			ct->tcp_flags[1] = 0;
		}
	}
}

static void make_record(struct world *w, const struct kind *kind,
			struct flyrep_ct *ct)
{
	const struct server *server = draw_server(w);
	uint32_t client = draw_below(w, N_CLIENTS);

	memset(ct, 0, sizeof(*ct));
	ct->rec.op = FLYREP_OP_UPDATE;
	ct->rec.id = (uint32_t)draw(w);
	ct->rec.stamp = draw(w);
	ct->rec.age_us = draw_below(w, 5000);
	ct->family = kind->is_v6 ? AF_INET6 : AF_INET;
	ct->proto = server->proto;
	ct->zone_dir = 3;
	if (kind->is_v6) {
		static const uint8_t lan[8] = { 0x20, 0x01, 0x0d, 0xb8, 0, 1 };

		memcpy(ct->orig.src.byte, lan, 8);
		/* Privacy addresses: random, but the same for each client. */
		ct->orig.src.word[2] = htonl(client * 2654435761u);
		ct->orig.src.word[3] = htonl(client * 2246822519u + 1);
		memcpy(ct->orig.dst.byte, server->addr, 16);
		ct->orig.dst.byte[0] = 0x2a;
	} else {
		ct->orig.src.word[0] = htonl(0x0a010000 + client);
		memcpy(ct->orig.dst.byte, server->addr, 4);
	}
	ct->orig.sport = htons((uint16_t)(32768 + draw_below(w, 28232)));
	ct->orig.dport = htons(server->port);
	if (kind->is_deleted || (kind->is_mixed && !draw_below(w, 5)))
		ct->rec.op = FLYREP_OP_DELETE;
	else
		make_value(w, kind, ct);
}

static double now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

enum stage { ENCODE, PACK, UNPACK, DECODE, DIGEST, N_STAGES };

/* Of one batch, or summed over one kind. */
struct result {
	double ns[N_STAGES];
	size_t columns_len, packed_len, rows_len;
};

struct bench {
	struct flyrep_ct recs[N_RECORDS_MAX];
	struct flyrep_ct back[N_RECORDS_MAX];
	uint8_t columns[N_RECORDS_MAX * 128 + 16];
	uint8_t packed[N_RECORDS_MAX * 128 + 16];
	struct fr_squeeze *squeeze;
	uint64_t digest; /* keeps the compiler from leaving digests out */
};

static int run_batch(struct bench *b, const struct kind *kind, struct result *r)
{
	static const struct fr_siphash_key key = { { 1, 2, 3 } };
	const struct fr_table *t = &fr_conntrack_table;
	const uint8_t *columns;
	size_t n_back, columns_len, i;
	struct fr_writer w;
	struct fr_reader rd;
	uint8_t flags;
	double at[N_STAGES + 1];
	ssize_t len;

	flags = 0;
	len = fr_squeeze_pack(b->squeeze, b->packed, sizeof(b->packed), b->recs,
			      kind->n * sizeof(b->recs[0]), &flags);
	r->rows_len = (size_t)len + FR_FRAME_HEAD_LEN;

	at[0] = now_ns();
	fr_writer_init(&w, b->columns, sizeof(b->columns));
	if (t->encode(&w, b->recs, kind->n))
		return -EPROTO;
	at[1] = now_ns();
	len = fr_squeeze_pack(b->squeeze, b->packed, sizeof(b->packed),
			      b->columns, fr_writer_len(&w), &flags);
	if (len < 0)
		return (int)len;
	at[2] = now_ns();
	if (fr_squeeze_unpack(b->squeeze, b->packed, (size_t)len, flags,
			      &columns, &columns_len))
		return -EPROTO;
	at[3] = now_ns();
	fr_reader_init(&rd, columns, columns_len);
	if (t->decode(&rd, b->back, kind->n * t->rec_len, kind->n, &n_back) || n_back != kind->n)
		return -EPROTO;
	at[4] = now_ns();
	for (i = 0; i < n_back; i++)
		b->digest += t->digest(&b->back[i], &key);
	at[5] = now_ns();

	for (i = 0; i < N_STAGES; i++)
		if (!r->ns[i] || r->ns[i] > at[i + 1] - at[i])
			r->ns[i] = at[i + 1] - at[i];
	r->columns_len = columns_len;
	r->packed_len = (size_t)len + FR_FRAME_HEAD_LEN;
	return 0;
}

/* The best of some rounds: what the machine does beside this is not of interest. */
static int measure_batch(struct bench *b, const struct kind *kind,
			 struct result *sum)
{
	struct result r = { 0 };
	int round, err, i;

	for (round = 0; round < ROUNDS; round++) {
		err = run_batch(b, kind, &r);
		if (err)
			return err;
	}
	for (i = 0; i < N_STAGES; i++)
		sum->ns[i] += r.ns[i];
	sum->columns_len += r.columns_len;
	sum->packed_len += r.packed_len;
	sum->rows_len += r.rows_len;
	return 0;
}

static int run_kind(struct bench *b, struct world *w, const struct kind *kind)
{
	double n = (double)(N_BATCHES * kind->n);
	struct result sum = { 0 };
	size_t i, j;
	int err;

	for (i = 0; i < N_BATCHES; i++) {
		for (j = 0; j < kind->n; j++)
			make_record(w, kind, &b->recs[j]);
		err = measure_batch(b, kind, &sum);
		if (err)
			return err;
	}
	printf("%-24s", kind->name);
	for (i = 0; i < N_STAGES; i++)
		printf(" %7.0f", sum.ns[i] / n);
	printf(" %9.1f %7.1f %7.1f\n", (double)sum.columns_len / n,
	       (double)sum.packed_len / n, (double)sum.rows_len / n);
	return 0;
}

int main(void)
{
	struct bench *b = calloc(1, sizeof(*b));
	struct world *w = calloc(1, sizeof(*w));
	size_t i;
	int err = 0;

	if (!b || !w)
		return 1;
	b->squeeze = fr_squeeze_new();
	if (!b->squeeze)
		return 1;
	world_init(w);
	printf("%-24s %47s %25s\n", "", "nanoseconds a record",
	       "bytes a record");
	printf("%-24s %7s %7s %7s %7s %7s %9s %7s %7s\n", "batch", "encode",
	       "pack", "unpack", "decode", "digest", "columns", "sent", "rows");
	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]) && !err; i++)
		err = run_kind(b, w, &kinds[i]);
	if (err)
		fprintf(stderr, "codec: %s\n", strerror(-err));
	fr_squeeze_free(b->squeeze);
	free(w);
	free(b);
	return err ? 1 : 0;
}
