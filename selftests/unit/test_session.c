// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A writer's ship and a standby's receive, joined by queues in place of a connection: several
 * tables in one stream, tables that only one end has, audits and repairs of each.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "batch.h"
#include "buckets.h"
#include "notes.h"
#include "receive.h"
#include "ship.h"

#define FLOWS	FLYREP_TABLE_CONNTRACK
#define NOTES	NOTE_TABLE
#define OTHERS	(NOTE_TABLE + 1)

static const struct fr_siphash_key hash_key = { "0123456789abcdef" };
static struct fr_table other_table;

/* --- a connection: what one end sends waits for the other ---------------- */

#define QUEUE_MAX 4096

struct conn {
	uint8_t *frames[QUEUE_MAX];
	size_t first, last;
	size_t n_sent[FR_FRAME_TYPE_END];	/* by type */
};

int conn_send(struct conn *c, const void *frame, size_t len)
{
	uint8_t *copy = malloc(len);

	assert_non_null(copy);
	assert_true(c->last - c->first < QUEUE_MAX);
	memcpy(copy, frame, len);
	c->frames[c->last++ % QUEUE_MAX] = copy;
	c->n_sent[copy[4]]++;
	return 0;
}

int conn_send_message(struct conn *c, uint8_t type, uint8_t table, const void *payload,
		      size_t len, struct fr_squeeze *squeeze)
{
	struct fr_frame_head head = { .len = len, .type = type, .table = table };
	uint8_t *frame = malloc(FR_FRAME_HEAD_LEN + len);
	int rc;

	(void)squeeze;
	assert_non_null(frame);
	fr_frame_head_encode(frame, &head);
	if (len)
		memcpy(frame + FR_FRAME_HEAD_LEN, payload, len);
	rc = conn_send(c, frame, FR_FRAME_HEAD_LEN + len);
	free(frame);
	return rc;
}

/* --- two nodes ------------------------------------------------------------ */

struct pair {
	sd_event *event;
	struct conn to_reader;
	struct conn to_writer;

	/* writer */
	struct truth *kept[FR_TABLES_MAX];
	struct ship_stream stream;
	struct ship *ship;
	struct encoder *encoder;
	struct batch *batch[FR_TABLES_MAX];
	uint64_t order;
	uint32_t capabilities;		/* of the standby */
	unsigned int n_refs;		/* batches with references */
	unsigned int n_audited;
	unsigned int n_differ;
	unsigned int n_checked;
	bool is_checked;
	const char *skipped;		/* name of a note that the repair forgets */

	/* standby */
	struct truth *held[FR_TABLES_MAX];
	struct receive *receive;
	uint64_t reader_order;
	const char *refused;		/* name of a note that its kernel refuses */
	int error;			/* with what */
	const char *barred;		/* text of notes that its filter refuses */
	bool may_not_repair;		/* for now */
	unsigned int n_left_out;
	unsigned int n_injected;
	unsigned int n_deleted;
	unsigned int n_reader_audits;
	unsigned int n_groups;
};

/* All that the writer has, for its repairs: notes only, as texts. */
#define N_WORLD 4000

static struct world {
	char name[FR_KEY_MAX_LEN + 1];
	char text[NOTE_TEXT_MAX + 1];
	uint8_t table;
} world[N_WORLD];

/* The flows that the writer has, by their numbers: mark and 1, 0: none */
#define N_FLOWS 4000

static uint32_t flows[N_FLOWS];
static uint32_t hosts[N_FLOWS];	/* whose they are, where that is not their number */

static void no_op(void *cookie)
{
	(void)cookie;
}

static void on_acked(void *cookie, struct ship *s)
{
	(void)cookie;
	(void)s;
}

static void on_wants(void *cookie, struct ship *s)
{
	(void)cookie;
	(void)s;
}

static void on_audited(void *cookie, struct ship *s, uint64_t entries, unsigned int n_buckets)
{
	struct pair *p = cookie;

	(void)s;
	(void)entries;
	p->n_audited++;
	p->n_differ = n_buckets;
}

static void on_checked(void *cookie, struct ship *s, uint8_t table, const struct fr_checked *m,
		       bool is_last)
{
	struct pair *p = cookie;

	(void)s;
	assert_int_equal(m->missing, table);
	p->n_checked++;
	p->is_checked = is_last;
}

static const struct ship_ops ship_ops = {
	.flush = no_op, .acked = on_acked, .audited = on_audited, .checked = on_checked,
	.wants = on_wants,
};

static int inject(void *cookie, uint8_t table, const void *recs, size_t n,
		  void (*on_refused)(void *c, const void *rec, int error), void *c)
{
	struct pair *p = cookie;
	const struct fr_table *t = truth_table(p->held[table]);
	const struct note *note = recs;

	for (; n; n--, note = fr_record_next(t, note)) {
		const char *why;

		assert_int_equal(t->check(note, &why), 0);
		p->n_injected++;
		p->n_deleted += note->rec.op == FLYREP_OP_DELETE;
		if (p->refused && table == NOTES && note->name_len == strlen(p->refused) &&
		    !memcmp(note->tail, p->refused, note->name_len))
			on_refused(c, note, p->error);
	}
	return 0;
}

static bool admits(void *cookie, uint8_t table, const void *rec)
{
	const struct pair *p = cookie;
	const struct note *note = rec;

	return !p->barred || table != NOTES || note->rec.op == FLYREP_OP_DELETE ||
	       note->text_len != strlen(p->barred) ||
	       memcmp(note->tail + note->name_len, p->barred, note->text_len) != 0;
}

static uint64_t next_order(void *cookie)
{
	return ++((struct pair *)cookie)->reader_order;
}

static bool may_repair(void *cookie, uint8_t table, const uint8_t *buckets)
{
	struct pair *p = cookie;

	(void)buckets;
	assert_true(table == NOTES || table == OTHERS || table == FLOWS);
	p->n_left_out += p->may_not_repair;
	return !p->may_not_repair;
}

static void on_check(void *cookie, uint8_t table)
{
	struct pair *p = cookie;
	struct truth_counts counts = { .missing = table };

	receive_checked(p->receive, table, &counts);
}

static void on_reader_audited(void *cookie, unsigned int n_groups)
{
	struct pair *p = cookie;

	p->n_reader_audits++;
	p->n_groups = n_groups;
}

static void on_started(void *cookie, uint64_t seq)
{
	(void)cookie;
	(void)seq;
}

static void on_applied(void *cookie, uint8_t table, const void *rec, int op, unsigned int bucket)
{
	(void)cookie;
	(void)table;
	(void)rec;
	(void)op;
	(void)bucket;
}

static uint64_t all_of_it(void *cookie, uint64_t seq)
{
	(void)cookie;
	return seq;
}

static const struct receive_ops receive_ops = {
	.admits = admits, .inject = inject, .order = next_order,
	.started = on_started, .applied = on_applied, .acked = all_of_it,
	.may_repair = may_repair, .check = on_check, .audited = on_reader_audited,
};

static void on_drop(void *cookie, const struct backlog_batch *b)
{
	ship_on_drop(((struct pair *)cookie)->ship, b);
}

static void refuse_none(void *cookie, unsigned int bucket, const char *why)
{
	(void)cookie;
	(void)bucket;
	fail_msg("refused: %s", why);
}

static const struct fr_table *row_of(uint8_t table)
{
	return table == FLOWS ? fr_table_by_id(FLOWS) : table == NOTES ? &note_table : &other_table;
}

#define BIT(table) (1ull << (table))

static struct pair *pair_new(uint64_t writer, uint64_t reader, size_t backlog_len)
{
	struct pair *p = calloc(1, sizeof(*p));
	unsigned int id;

	assert_non_null(p);
	memset(world, 0, sizeof(world));
	memset(flows, 0, sizeof(flows));
	memset(hosts, 0, sizeof(hosts));
	other_table = note_table;
	other_table.id = OTHERS;
	other_table.name = "others";
	assert_true(sd_event_new(&p->event) >= 0);
	for (id = 0; id < FR_TABLES_MAX; id++) {
		if (writer >> id & 1) {
			p->kept[id] = truth_new(row_of(id), &hash_key);
			p->batch[id] = batch_new(row_of(id), 1000);
		}
		if (reader >> id & 1)
			p->held[id] = truth_new(row_of(id), &hash_key);
	}
	p->capabilities = FR_CAPABILITY_END;
	p->encoder = encoder_new(true);
	p->stream = (struct ship_stream){
		.backlog = backlog_new(backlog_len, on_drop, p),
		.truths = p->kept,
		.tables = writer,
		.history = { 1 },
		.epoch = 1,
		.auto_resync = true,
		.resync_threshold = 1000,
	};
	p->ship = ship_new(&p->stream, &ship_ops, p);
	p->receive = receive_new(p->event, p->held, &receive_ops, p);
	assert_non_null(p->ship);
	assert_non_null(p->receive);
	return p;
}

/* Both have greeted. */
static void meet(struct pair *p, uint64_t writer, uint64_t reader)
{
	struct fr_hello hello = { .tables = reader, .capabilities = p->capabilities,
				  .node_id = "b" };

	receive_position(p->receive, hello.have_history, &hello.have_seq);
	receive_start(p->receive, &p->to_writer, writer & reader, 1,
		      p->capabilities);
	assert_int_equal(ship_start(p->ship, &p->to_reader, &hello), 0);
}

static void pair_free(struct pair *p)
{
	struct conn *const conns[] = { &p->to_reader, &p->to_writer };
	unsigned int id, i;

	for (i = 0; i < 2; i++)
		while (conns[i]->first < conns[i]->last)
			free(conns[i]->frames[conns[i]->first++ % QUEUE_MAX]);
	for (id = 0; id < FR_TABLES_MAX; id++) {
		truth_free(p->kept[id]);
		truth_free(p->held[id]);
		batch_free(p->batch[id]);
	}
	ship_free(p->ship);
	receive_free(p->receive);
	encoder_free(p->encoder);
	backlog_free(p->stream.backlog);
	sd_event_unref(p->event);
	free(p);
}

/* --- what happens ---------------------------------------------------------- */

static int to_writer(struct pair *p, const struct fr_frame_head *h, const uint8_t *payload,
		     size_t len, const char **why)
{
	switch (h->type) {
	case FR_FRAME_ACK:
		return ship_on_ack(p->ship, payload, len, why);
	case FR_FRAME_AUDIT_REPLY:
		return ship_on_audit_reply(p->ship, h->table, payload, len, why);
	case FR_FRAME_CHECKED:
		return ship_on_checked(p->ship, h->table, payload, len, why);
	case FR_FRAME_CHECK:
		assert_int_equal(h->table, 0);
		ship_doubt(p->ship);
		return 0;
	}
	fail_msg("%s to the writer", fr_frame_type_name(h->type));
	return 0;
}

/* Hand over the next frame; -ENOENT: there is none. */
static int deliver(struct pair *p, struct conn *c, const char **why)
{
	struct fr_squeeze *squeeze;
	const uint8_t *payload;
	struct fr_frame_head h;
	size_t len;
	uint8_t *frame;
	int rc;

	if (c->first == c->last)
		return -ENOENT;
	frame = c->frames[c->first++ % QUEUE_MAX];
	squeeze = fr_squeeze_new();
	assert_int_equal(fr_frame_head_decode(&h, frame), 0);
	assert_int_equal(fr_squeeze_unpack(squeeze, frame + FR_FRAME_HEAD_LEN, h.len, h.flags,
					   &payload, &len), 0);
	rc = c == &p->to_reader ? receive_frame(p->receive, &h, payload, len, why) :
				  to_writer(p, &h, payload, len, why);
	fr_squeeze_free(squeeze);
	free(frame);
	return rc;
}

static struct flyrep_ct flow_of(unsigned int n, uint8_t op, uint32_t mark)
{
	struct flyrep_ct ct = {
		.rec = { .op = op, .id = n },
		.family = AF_INET, .proto = IPPROTO_UDP, .zone_dir = 3,
	};

	ct.orig.src.word[0] = htonl(0x0a000000 + (hosts[n] ? hosts[n] : n));
	ct.orig.dst.word[0] = htonl(0xc0000201);
	ct.orig.sport = htons(1000);
	ct.orig.dport = htons(53);
	if (op == FLYREP_OP_DELETE)
		return ct;
	ct.reply.dst = ct.orig.src;
	ct.reply.src = ct.orig.dst;
	ct.reply.dport = ct.orig.sport;
	ct.reply.sport = ct.orig.dport;
	ct.mark = mark;
	return ct;
}

static void repair_flows(struct pair *p, const uint8_t *buckets)
{
	struct batch *b = batch_new(row_of(FLOWS), N_FLOWS);
	const uint8_t *frame;
	struct flyrep_ct ct;
	unsigned int bucket, i;
	ssize_t len;

	for (i = 0; i < N_FLOWS; i++) {
		ct = flow_of(i, FLYREP_OP_UPDATE, flows[i] - 1);
		bucket = truth_bucket(p->kept[FLOWS], &ct);
		if (flows[i] && buckets[bucket / 8] >> (bucket % 8) & 1)
			batch_add(b, &ct, FLYREP_OP_INSERT, bucket, 0);
	}
	len = batch_encode(b, p->encoder, 0, FR_FRAME_F_REPAIR, &frame, refuse_none, NULL);
	if (len > 0)
		assert_int_equal(ship_repair_send(p->ship, frame, len, batch_count(b)), 0);
	batch_free(b);
	ship_repair_end(p->ship, 0);
}

/* A repair of what the writer wants repaired, as its owner does it. */
static void repair(struct pair *p)
{
	uint8_t buckets[FLYREP_BUCKETS_LEN], key[FR_KEY_MAX_LEN] __attribute__((aligned(8)));
	int table = ship_repair_begin(p->ship, buckets);
	struct batch *b;
	union note_room room;
	const uint8_t *frame;
	ssize_t len;
	size_t i;

	assert_true(table >= 0);
	if (table == FLOWS) {
		repair_flows(p, buckets);
		return;
	}
	b = batch_new(row_of(table), 1000);
	for (i = 0; i < N_WORLD; i++) {
		const void *rec;
		unsigned int bucket;

		if (!world[i].name[0] || world[i].table != table ||
		    (p->skipped && !strcmp(world[i].name, p->skipped)))
			continue;
		rec = note_make(&room, FLYREP_OP_UPDATE, 1, world[i].name, world[i].text);
		bucket = index_bucket(truth_index(p->kept[table]), key, note_key(key, rec));
		if (buckets[bucket / 8] >> (bucket % 8) & 1)
			batch_add(b, rec, FLYREP_OP_INSERT, bucket, 0);
		if (!batch_is_full(b) && i < N_WORLD - 1)
			continue;
		len = batch_encode(b, p->encoder, 0, FR_FRAME_F_REPAIR, &frame, refuse_none, NULL);
		assert_true(len > 0);
		assert_int_equal(ship_repair_send(p->ship, frame, len, batch_count(b)), 0);
		batch_reset(b);
	}
	if (batch_count(b)) {
		len = batch_encode(b, p->encoder, 0, FR_FRAME_F_REPAIR, &frame, refuse_none, NULL);
		assert_int_equal(ship_repair_send(p->ship, frame, len, batch_count(b)), 0);
	}
	batch_free(b);
	ship_repair_end(p->ship, 0);
}

/* Until nothing moves any more. */
static void settle(struct pair *p)
{
	const char *why = NULL;
	unsigned int n_idle = 0;
	int rc;

	while (n_idle < 3) {
		rc = deliver(p, &p->to_reader, &why);
		if (rc == -ENOENT)
			rc = deliver(p, &p->to_writer, &why);
		if (rc && rc != -ENOENT)
			fail_msg("protocol error: %s", why);
		n_idle = rc == -ENOENT && !receive_figures(p->receive)->is_repairing ?
				 n_idle + 1 : 0;
		if (ship_wants_repair(p->ship))
			repair(p);
		if (rc == -ENOENT)
			sd_event_run(p->event, 0);
	}
}

/* The reader takes what came, one frame at a time, until one is refused: why. */
static const char *refusal(struct pair *p)
{
	const char *why = NULL;
	int rc;

	do {
		rc = deliver(p, &p->to_reader, &why);
	} while (!rc);
	return rc == -ENOENT ? NULL : why;
}

static void push(struct pair *p, uint8_t table)
{
	struct batch *b = p->batch[table];
	struct backlog_batch out = { .table = table, .n_changes = batch_count(b),
				     .buckets = batch_buckets(b) };

	out.len = batch_encode(b, p->encoder, backlog_next_seq(p->stream.backlog),
			       ship_takes_refs(p->ship, table) ? FR_FRAME_F_REFS : 0, &out.frame,
			       refuse_none, NULL);
	out.has_refs = fr_frame_has_refs(out.frame);
	p->n_refs += out.has_refs;
	assert_true(backlog_push(p->stream.backlog, &out) > 0);
	batch_reset(b);
	ship_kick(p->ship);
}

/* The writer's kernel has a note, or no more (@text NULL). Into the batch if it shall travel. */
static void write_note(struct pair *p, unsigned int i, uint8_t table, const char *name,
		       const char *text, bool travels)
{
	union note_room room;
	unsigned int bucket;
	const void *rec;
	int op;

	rec = note_make(&room, text ? FLYREP_OP_UPDATE : FLYREP_OP_DELETE, 1, name,
			text ? text : "");
	op = truth_put(p->kept[table], rec, ++p->order, &bucket);
	memset(&world[i], 0, sizeof(world[i]));
	if (text) {
		snprintf(world[i].name, sizeof(world[i].name), "%s", name);
		snprintf(world[i].text, sizeof(world[i].text), "%s", text);
		world[i].table = table;
	}
	assert_true(op > FLYREP_OP_UNSPEC);
	if (travels)
		batch_add(p->batch[table], rec, op, bucket, 0);
}

/* The writer's kernel has a flow with a mark, or no more (@op DELETE). Into the batch. */
static void change_flow(struct pair *p, unsigned int n, uint8_t op, uint32_t mark)
{
	uint8_t key[FR_KEY_MAX_LEN] __attribute__((aligned(8)));
	struct flyrep_ct ct = flow_of(n, op, mark);
	const struct fr_table *t = row_of(FLOWS);
	unsigned int bucket;
	unsigned int bits = FR_REF_BITS_MAX;
	uint64_t hash;

	flows[n] = op == FLYREP_OP_DELETE ? 0 : mark + 1;
	op = truth_put(p->kept[FLOWS], &ct, ++p->order, &bucket);
	batch_add(p->batch[FLOWS], &ct, op, bucket, 0);
	if (!index_is_alone(truth_index(p->kept[FLOWS]), key, t->key(key, &ct), bits, &hash) ||
	    !ship_tells_refs(p->ship, FLOWS, bucket))
		bits = 0;
	batch_refer(p->batch[FLOWS], hash, bits);
}

static void write_flow(struct pair *p, unsigned int n)
{
	change_flow(p, n, FLYREP_OP_UPDATE, 0);
}

static bool is_same(const struct pair *p, uint8_t table)
{
	return index_digest(truth_index(p->kept[table])) ==
	       index_digest(truth_index(p->held[table]));
}

static void test_tables_share_the_stream(void **state)
{
	const uint64_t both = BIT(FLOWS) | BIT(NOTES);
	struct pair *p = pair_new(both, both, 1 << 20);
	uint64_t n, bytes, oldest;

	(void)state;
	meet(p, both, both);
	settle(p);
	assert_int_equal(ship_tables(p->ship), both);
	assert_int_equal(p->n_audited, 1);
	assert_int_equal(p->n_reader_audits, 1);
	assert_int_equal(p->to_reader.n_sent[FR_FRAME_AUDIT], 2);
	write_note(p, 0, NOTES, "a", "one", true);
	write_note(p, 1, NOTES, "b", "", true);
	push(p, NOTES);
	write_flow(p, 1);
	push(p, FLOWS);
	write_note(p, 0, NOTES, "a", NULL, true);
	push(p, NOTES);
	settle(p);
	assert_int_equal(ship_acked(p->ship), 3);
	ship_pending(p->ship, &n, &bytes, &oldest);
	assert_int_equal(n, 0);
	assert_true(is_same(p, NOTES));
	assert_true(is_same(p, FLOWS));
	assert_int_equal(index_entries(truth_index(p->held[NOTES])), 1);
	ship_audit(p->ship);
	settle(p);
	assert_true(ship_figures(p->ship)->is_equal);
	assert_true(receive_figures(p->receive)->is_equal);
	assert_int_equal(ship_figures(p->ship)->remote_entries, 2);
	assert_int_equal(ship_table_figures(p->ship, NOTES)->remote_entries, 1);
	assert_int_equal(receive_figures(p->receive)->writer_entries, 2);
	assert_null(ship_table_figures(p->ship, OTHERS));
	pair_free(p);
}

static void test_first_sync_repairs_each_table(void **state)
{
	const uint64_t both = BIT(NOTES) | BIT(OTHERS);
	struct pair *p = pair_new(both, both, 1 << 20);
	char name[16];
	unsigned int i;

	(void)state;
	for (i = 0; i < 500; i++) {
		snprintf(name, sizeof(name), "%u", i);
		write_note(p, i, i % 2 ? NOTES : OTHERS, name, "text", false);
	}
	meet(p, both, both);
	settle(p);
	assert_true(is_same(p, NOTES));
	assert_true(is_same(p, OTHERS));
	assert_int_equal(index_entries(truth_index(p->held[OTHERS])), 250);
	/* One audit that differs, one repair of each table, one audit that confirms both. */
	assert_int_equal(p->n_audited, 2);
	assert_int_equal(p->to_reader.n_sent[FR_FRAME_REPAIR_BEGIN], 2);
	assert_true(ship_figures(p->ship)->is_equal);
	assert_int_equal(p->n_groups, 0);
	pair_free(p);
}

/* A standby holds so many that the writer does not have: they go a piece at a time. */
static struct pair *pair_with_strays(unsigned int n, uint64_t capabilities)
{
	struct pair *p = pair_new(BIT(NOTES), BIT(NOTES), 1 << 20);
	union note_room room;
	unsigned int bucket, i;
	char name[16];

	p->capabilities = capabilities;
	for (i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "stray%u", i);
		truth_put(p->held[NOTES], note_make(&room, FLYREP_OP_INSERT, 1, name, "x"),
			  ++p->reader_order, &bucket);
	}
	write_note(p, 0, NOTES, "a", "one", false);
	meet(p, BIT(NOTES), BIT(NOTES));
	return p;
}

/* Everything but the event loop, in which the end of a repair goes on */
static void exchange(struct pair *p)
{
	const char *why = NULL;

	while (!deliver(p, &p->to_reader, &why) || !deliver(p, &p->to_writer, &why))
		;
	assert_null(why);
}

static void test_the_end_of_a_repair_comes_in_pieces(void **state)
{
	enum { N = 10000 };
	struct pair *p = pair_with_strays(N, FR_CAPABILITY_END);
	unsigned int n_turns = 0;

	(void)state;
	while (!ship_wants_repair(p->ship)) {
		exchange(p);
		sd_event_run(p->event, 0);
	}
	repair(p);
	exchange(p);
	assert_true(receive_figures(p->receive)->is_repairing);
	for (; receive_figures(p->receive)->is_repairing; n_turns++) {
		/* It asks for nothing that would have to wait for all of it. */
		assert_int_equal(p->n_audited, 1);
		assert_false(ship_is_settled(p->ship));
		if (n_turns == 2) {
			assert_in_range(p->n_deleted, 100, N - 1000);
			write_note(p, 1, NOTES, "stray77", "born again", true);
			push(p, NOTES);
		}
		exchange(p);
		sd_event_run(p->event, 0);
	}
	assert_in_range(n_turns, 10, 60);
	settle(p);
	assert_true(is_same(p, NOTES));
	assert_int_equal(index_entries(truth_index(p->held[NOTES])), 2);
	assert_int_equal(p->n_audited, 2);
	assert_true(ship_is_settled(p->ship));
	pair_free(p);
}

/* A writer that does not wait: its audit finds the repair at its end all the same. */
static void test_who_does_not_wait_for_the_end_of_a_repair(void **state)
{
	struct pair *p = pair_with_strays(10000, 0);

	(void)state;
	settle(p);
	assert_true(is_same(p, NOTES));
	assert_int_equal(p->n_audited, 2);
	assert_int_equal(p->n_groups, 0);
	pair_free(p);
}

static void test_only_one_table_differs(void **state)
{
	const uint64_t both = BIT(NOTES) | BIT(OTHERS);
	struct pair *p = pair_new(both, both, 1 << 20);

	(void)state;
	p->stream.auto_resync = false;
	write_note(p, 0, NOTES, "a", "one", false);
	meet(p, both, both);
	settle(p);
	assert_int_equal(p->n_differ, 1);
	assert_int_equal(p->n_groups, 1);
	assert_false(ship_figures(p->ship)->is_equal);
	assert_int_equal(ship_table_figures(p->ship, NOTES)->n_differ, 1);
	assert_int_equal(ship_table_figures(p->ship, OTHERS)->n_differ, 0);
	assert_int_equal(receive_table_figures(p->receive, NOTES)->n_groups, 1);
	assert_int_equal(receive_table_figures(p->receive, OTHERS)->n_groups, 0);
	pair_free(p);
}

static void test_what_the_kernel_refuses_counts_for_its_table(void **state)
{
	const uint64_t both = BIT(NOTES) | BIT(OTHERS);
	struct pair *p = pair_new(both, both, 1 << 20);

	(void)state;
	p->refused = "a";
	p->error = -ENOSPC;
	meet(p, both, both);
	write_note(p, 0, NOTES, "a", "one", true);
	write_note(p, 1, NOTES, "b", "two", true);
	push(p, NOTES);
	write_note(p, 2, OTHERS, "a", "one", true);
	push(p, OTHERS);
	settle(p);
	ship_audit(p->ship);
	settle(p);
	assert_true(is_same(p, OTHERS));
	assert_false(is_same(p, NOTES));
	assert_int_equal(index_entries(truth_index(p->held[NOTES])), 1);
	assert_true(receive_table_figures(p->receive, NOTES)->unrepaired > 0);
	assert_int_equal(receive_table_figures(p->receive, OTHERS)->unrepaired, 0);
	p->refused = NULL;
	ship_audit(p->ship);
	settle(p);
	assert_true(is_same(p, NOTES));
	assert_int_equal(receive_table_figures(p->receive, NOTES)->unrepaired, 0);
	pair_free(p);
}

/* What a node can never take is no reason to repair it again and again. */
static void test_what_a_node_cannot_take_is_left_at_that(void **state)
{
	struct pair *p = pair_new(BIT(NOTES), BIT(NOTES), 1 << 20);
	unsigned int n;

	(void)state;
	p->refused = "a";
	p->error = -EOPNOTSUPP;
	meet(p, BIT(NOTES), BIT(NOTES));
	write_note(p, 0, NOTES, "a", "one", true);
	write_note(p, 1, NOTES, "b", "two", true);
	push(p, NOTES);
	settle(p);
	n = p->n_injected;
	ship_audit(p->ship);
	settle(p);
	assert_true(is_same(p, NOTES));
	assert_int_equal(p->n_injected, n);
	assert_int_equal(receive_table_figures(p->receive, NOTES)->refused, 1);
	assert_int_equal(receive_table_figures(p->receive, NOTES)->unrepaired, 0);
	pair_free(p);
}

/* Neither is what the standby's own filter refuses; and nothing of it gets to the kernel. */
static void test_what_a_filter_refuses_is_left_at_that(void **state)
{
	struct pair *p = pair_new(BIT(NOTES), BIT(NOTES), 1 << 20);

	(void)state;
	p->barred = "no";
	meet(p, BIT(NOTES), BIT(NOTES));
	write_note(p, 0, NOTES, "a", "no", true);
	write_note(p, 1, NOTES, "b", "yes", true);
	write_note(p, 2, NOTES, "c", "no", true);
	write_note(p, 3, NOTES, "d", "yes", true);
	push(p, NOTES);
	settle(p);
	assert_int_equal(p->n_injected, 2);
	assert_int_equal(p->n_deleted, 0);
	assert_int_equal(receive_table_figures(p->receive, NOTES)->refused, 2);
	ship_audit(p->ship);
	settle(p);
	assert_true(is_same(p, NOTES));
	assert_int_equal(p->n_injected, 2);
	/* What was held and no longer passes goes, in its turn. */
	write_note(p, 1, NOTES, "b", "no", true);
	write_note(p, 3, NOTES, "d", "more", true);
	push(p, NOTES);
	settle(p);
	assert_int_equal(p->n_injected, 4);
	assert_int_equal(p->n_deleted, 1);
	/* What passes after all is taken; a delete always is. */
	write_note(p, 0, NOTES, "a", "yes", true);
	write_note(p, 2, NOTES, "c", NULL, true);
	push(p, NOTES);
	settle(p);
	assert_int_equal(p->n_injected, 6);
	assert_int_equal(p->n_deleted, 2);
	ship_audit(p->ship);
	settle(p);
	assert_true(is_same(p, NOTES));
	assert_int_equal(receive_table_figures(p->receive, NOTES)->unrepaired, 0);
	pair_free(p);
}

static const char *longest(unsigned int i)
{
	static char name[FR_KEY_MAX_LEN + 1];

	memset(name, 'x', FR_KEY_MAX_LEN);
	name[snprintf(name, sizeof(name), "%u", i)] = 'x';
	return name;
}

/* Names of the greatest length: more than one request to the kernel. */
static void test_a_repair_deletes_what_it_does_not_name(void **state)
{
	struct pair *p = pair_new(BIT(NOTES), BIT(NOTES), 4 << 20);
	unsigned int i;

	(void)state;
	meet(p, BIT(NOTES), BIT(NOTES));
	for (i = 0; i < 300; i++)
		write_note(p, i, NOTES, longest(i), "text", true);
	push(p, NOTES);
	settle(p);
	assert_true(is_same(p, NOTES));
	assert_int_equal(p->n_deleted, 0);
	for (i = 0; i < 299; i++)
		write_note(p, i, NOTES, longest(i), NULL, false);
	ship_audit(p->ship);
	settle(p);
	assert_true(is_same(p, NOTES));
	assert_int_equal(index_entries(truth_index(p->held[NOTES])), 1);
	assert_int_equal(p->n_deleted, 299);
	pair_free(p);
}

static void test_a_table_the_peer_lacks_is_left_out(void **state)
{
	const uint64_t writer = BIT(NOTES) | BIT(OTHERS);
	struct pair *p = pair_new(writer, BIT(NOTES), 1 << 20);
	uint64_t n, bytes, oldest;
	char name[16];
	unsigned int i;

	(void)state;
	meet(p, writer, BIT(NOTES));
	settle(p);
	assert_int_equal(ship_tables(p->ship), BIT(NOTES));
	for (i = 0; i < 20; i++) {
		uint8_t table = i / 3 % 2 ? OTHERS : NOTES;

		snprintf(name, sizeof(name), "%u", i);
		write_note(p, i, table, name, "text", true);
		push(p, table);
	}
	write_note(p, 20, OTHERS, "last", "text", true);
	push(p, OTHERS);
	ship_dirty(p->ship, OTHERS, 5);
	assert_int_equal(ship_figures(p->ship)->n_dirty, 0);
	settle(p);
	assert_true(is_same(p, NOTES));
	assert_int_equal(p->n_injected, 11);
	assert_int_equal(ship_acked(p->ship), 21);
	assert_true(ship_is_idle(p->ship));
	ship_pending(p->ship, &n, &bytes, &oldest);
	assert_int_equal(n, 0);
	ship_audit(p->ship);
	settle(p);
	assert_true(ship_figures(p->ship)->is_equal);
	assert_int_equal(p->n_differ, 0);
	pair_free(p);
}

static void test_what_was_missed_while_away_is_repaired(void **state)
{
	const uint64_t both = BIT(NOTES) | BIT(OTHERS);
	struct pair *p = pair_new(both, both, 2000);
	char name[16];
	unsigned int i;

	(void)state;
	meet(p, both, both);
	settle(p);
	for (i = 0; i < 200; i++) {
		snprintf(name, sizeof(name), "%u", i);
		write_note(p, i, i % 2 ? NOTES : OTHERS, name, "text", true);
		push(p, i % 2 ? NOTES : OTHERS);
	}
	/* It was all sent, so nothing is dirty; now the peer stands still for a while. */
	settle(p);
	assert_true(is_same(p, NOTES) && is_same(p, OTHERS));
	ship_stop(p->ship);
	for (; i < 400; i++) {
		snprintf(name, sizeof(name), "%u", i);
		write_note(p, i, i % 2 ? NOTES : OTHERS, name, "text", true);
		push(p, i % 2 ? NOTES : OTHERS);
	}
	meet(p, both, both);
	settle(p);
	assert_true(is_same(p, NOTES) && is_same(p, OTHERS));
	assert_true(ship_figures(p->ship)->is_equal);
	pair_free(p);
}

/* Bytes that do not compress, so that batches fill the window. */
static const char *noise(uint64_t seed)
{
	static char text[NOTE_TEXT_MAX + 1];
	size_t i;

	for (i = 0; i < NOTE_TEXT_MAX; i++) {
		seed = seed * 6364136223846793005ull + 1442695040888963407ull;
		text[i] = 'A' + (seed >> 33) % 180;
	}
	return text;
}

static void test_what_fell_off_the_backlog_is_repaired_in_its_table(void **state)
{
	const uint64_t both = BIT(NOTES) | BIT(OTHERS);
	struct pair *p = pair_new(both, both, 2 << 20);
	const struct ship_figures *f = ship_figures(p->ship);
	const struct ship_table_figures *t;
	unsigned int i, k, n = 0;
	char name[16];

	(void)state;
	meet(p, both, both);
	settle(p);
	/* The peer acknowledges nothing: some are sent, some wait, the oldest of these go. */
	for (i = 0; i < 12; i++) {
		for (k = 0; k < 300; k++, n++) {
			snprintf(name, sizeof(name), "%u", n);
			write_note(p, n, i == 5 ? OTHERS : NOTES, name, noise(n), true);
		}
		push(p, i == 5 ? OTHERS : NOTES);
	}
	assert_int_equal(f->n_jumps, 1);
	assert_true(f->n_dirty > 0);
	for (i = 0, k = 0; i < FR_TABLES_MAX; i++) {
		t = ship_table_figures(p->ship, i);
		k += t ? t->n_dirty : 0;
	}
	assert_int_equal(k, f->n_dirty);
	assert_true(ship_table_figures(p->ship, OTHERS)->n_dirty > 0);
	settle(p);
	assert_int_equal(f->n_dirty, 0);
	assert_true(f->is_equal);
	assert_true(is_same(p, NOTES) && is_same(p, OTHERS));
	assert_int_equal(index_entries(truth_index(p->held[OTHERS])), 300);
	pair_free(p);
}

static void test_check_is_of_each_table(void **state)
{
	const uint64_t both = BIT(NOTES) | BIT(OTHERS);
	struct pair *p = pair_new(both, both, 1 << 20);

	(void)state;
	assert_int_equal(ship_check(p->ship, UINT64_MAX), -ENOTCONN);
	meet(p, both, both);
	settle(p);
	assert_int_equal(ship_check(p->ship, UINT64_MAX), 0);
	settle(p);
	assert_int_equal(p->n_checked, 2);
	assert_true(p->is_checked);
	pair_free(p);
}

static void test_a_stranger_table_is_refused(void **state)
{
	static const uint8_t types[] = { FR_FRAME_AUDIT, FR_FRAME_REPAIR_BEGIN,
					 FR_FRAME_REPAIR_END, FR_FRAME_CHECK };
	struct pair *p = pair_new(BIT(NOTES) | BIT(OTHERS), BIT(NOTES) | BIT(OTHERS), 1 << 20);
	static const uint8_t zeroes[16384];
	const char *why = NULL;
	unsigned int i;

	(void)state;
	meet(p, BIT(NOTES), BIT(NOTES)); /* the reader has the other table, but no peer for it */
	settle(p);
	for (i = 0; i < sizeof(types); i++) {
		conn_send_message(&p->to_reader, types[i], OTHERS, zeroes, sizeof(zeroes), NULL);
		assert_string_equal(refusal(p), "a table that was not agreed on");
		conn_send_message(&p->to_reader, types[i], 255, zeroes, sizeof(zeroes), NULL);
		assert_string_equal(refusal(p), "a table that was not agreed on");
	}
	conn_send_message(&p->to_reader, FR_FRAME_ACK, 0, zeroes, 64, NULL);
	assert_string_equal(refusal(p), "unexpected");
	assert_int_equal(ship_on_audit_reply(p->ship, OTHERS, zeroes, 64, &why), -EBADMSG);
	assert_int_equal(ship_on_checked(p->ship, 0, zeroes, 64, &why), -EBADMSG);
	/* An answer to an audit that never was, and a second one to the last. */
	assert_int_equal(ship_on_audit_reply(p->ship, NOTES, zeroes, 64, &why), -EBADMSG);
	assert_string_equal(why, "answers no audit");
	pair_free(p);
}

static void test_a_repair_is_of_the_table_it_began_with(void **state)
{
	const uint64_t both = BIT(NOTES) | BIT(OTHERS);
	struct pair *p = pair_new(both, both, 1 << 20);
	static const uint8_t zeroes[16384];
	union note_room room;
	const uint8_t *frame;
	ssize_t len;

	(void)state;
	meet(p, both, both);
	settle(p);
	conn_send_message(&p->to_reader, FR_FRAME_REPAIR_BEGIN, OTHERS, zeroes,
			  4 + FLYREP_BUCKETS_LEN, NULL);
	batch_add(p->batch[NOTES], note_make(&room, FLYREP_OP_UPDATE, 1, "a", ""),
		  FLYREP_OP_INSERT, 0, 0);
	len = batch_encode(p->batch[NOTES], p->encoder, 0, FR_FRAME_F_REPAIR, &frame, refuse_none,
			   NULL);
	conn_send(&p->to_reader, frame, len);
	assert_string_equal(refusal(p), "a repair without REPAIR_BEGIN");
	conn_send_message(&p->to_reader, FR_FRAME_REPAIR_END, NOTES, NULL, 0, NULL);
	assert_string_equal(refusal(p), "without REPAIR_BEGIN");
	conn_send_message(&p->to_reader, FR_FRAME_REPAIR_END, OTHERS, NULL, 0, NULL);
	assert_null(refusal(p));
	pair_free(p);
}

/* Nothing goes while the writer is paused; then all of it, from the backlog. */
static void test_a_paused_writer_sends_nothing(void **state)
{
	struct pair *p = pair_new(BIT(NOTES), BIT(NOTES), 1 << 20);
	size_t n_sent;

	(void)state;
	meet(p, BIT(NOTES), BIT(NOTES));
	settle(p);
	n_sent = p->to_reader.last;
	p->stream.is_paused = true;
	write_note(p, 1, NOTES, "lost", "two", false);
	ship_dirty(p->ship, NOTES, 7);
	assert_false(ship_wants_repair(p->ship));
	write_note(p, 0, NOTES, "a", "one", true);
	push(p, NOTES);
	ship_audit(p->ship);
	assert_false(ship_is_idle(p->ship));
	settle(p);
	assert_int_equal(p->to_reader.last, n_sent);
	assert_int_equal(p->n_injected, 0);
	p->stream.is_paused = false;
	ship_kick(p->ship);
	settle(p);
	assert_true(is_same(p, NOTES));
	assert_true(ship_figures(p->ship)->is_equal);
	pair_free(p);
}

/* A session that begins in a pause sends its START after it. */
static void test_a_session_begins_in_a_pause(void **state)
{
	struct pair *p = pair_new(BIT(NOTES), BIT(NOTES), 1 << 20);

	(void)state;
	p->stream.is_paused = true;
	write_note(p, 0, NOTES, "a", "one", false);
	meet(p, BIT(NOTES), BIT(NOTES));
	settle(p);
	assert_int_equal(p->to_reader.last, 0);
	p->stream.is_paused = false;
	ship_kick(p->ship);
	settle(p);
	assert_int_equal(p->to_reader.n_sent[FR_FRAME_START], 1);
	assert_true(is_same(p, NOTES));
	pair_free(p);
}

/* A pause longer than the backlog ends in a repair. */
static void test_a_pause_beyond_the_backlog_is_repaired(void **state)
{
	struct pair *p = pair_new(BIT(NOTES), BIT(NOTES), 4000);
	char name[16];
	unsigned int i;

	(void)state;
	meet(p, BIT(NOTES), BIT(NOTES));
	settle(p);
	p->stream.is_paused = true;
	for (i = 0; i < 200; i++) {
		snprintf(name, sizeof(name), "%u", i);
		write_note(p, i, NOTES, name, "text", true);
		push(p, NOTES);
	}
	assert_int_equal(ship_figures(p->ship)->n_jumps, 1);
	assert_true(ship_figures(p->ship)->n_dirty > 0);
	p->stream.is_paused = false;
	ship_kick(p->ship);
	settle(p);
	assert_true(is_same(p, NOTES));
	assert_true(ship_figures(p->ship)->is_equal);
	pair_free(p);
}

/* What comes to a paused standby passes by; a new session goes on where it stood. */
static void test_a_paused_reader_applies_nothing(void **state)
{
	struct pair *p = pair_new(BIT(NOTES), BIT(NOTES), 1 << 20);
	size_t n_sent;

	(void)state;
	meet(p, BIT(NOTES), BIT(NOTES));
	write_note(p, 0, NOTES, "a", "one", true);
	push(p, NOTES);
	settle(p);
	receive_pause(p->receive, true);
	write_note(p, 1, NOTES, "b", "two", true);
	push(p, NOTES); /* on its way when the pause is told */
	ship_audit(p->ship);
	ship_pause(p->ship, true);
	settle(p);
	n_sent = p->to_reader.last;
	write_note(p, 2, NOTES, "c", "three", true);
	push(p, NOTES);
	ship_audit(p->ship);
	settle(p);
	assert_int_equal(p->to_reader.last, n_sent);
	assert_int_equal(p->n_injected, 1);
	assert_int_equal(ship_acked(p->ship), 1);
	/* It still compares its index with its kernel. */
	assert_int_equal(ship_check(p->ship, UINT64_MAX), 0);
	settle(p);
	assert_int_equal(p->n_checked, 1);
	receive_stop(p->receive);
	ship_stop(p->ship);
	ship_pause(p->ship, false);
	receive_pause(p->receive, false);
	meet(p, BIT(NOTES), BIT(NOTES));
	settle(p);
	assert_true(is_same(p, NOTES));
	assert_int_equal(p->n_injected, 3);
	assert_int_equal(p->to_reader.n_sent[FR_FRAME_REPAIR_BEGIN], 0);
	assert_true(ship_figures(p->ship)->is_equal);
	pair_free(p);
}

/* A repair that may not be yet changes nothing; changes of the stream go on beside it. */
static void test_a_repair_may_have_to_wait(void **state)
{
	struct pair *p = pair_new(BIT(NOTES), BIT(NOTES), 1 << 20);
	union note_room room;
	unsigned int bucket;

	(void)state;
	truth_put(p->held[NOTES], note_make(&room, FLYREP_OP_UPDATE, 1, "old", "one"), 1, &bucket);
	write_note(p, 0, NOTES, "a", "one", false);
	p->may_not_repair = true;
	meet(p, BIT(NOTES), BIT(NOTES));
	settle(p);
	assert_true(p->n_left_out > 0);
	assert_int_equal(p->n_injected, 0);
	assert_int_equal(index_entries(truth_index(p->held[NOTES])), 1);
	assert_false(ship_figures(p->ship)->is_equal);
	assert_false(receive_figures(p->receive)->is_repairing);
	write_note(p, 1, NOTES, "b", "two", true);
	push(p, NOTES);
	settle(p);
	assert_int_equal(p->n_injected, 1);
	assert_int_equal(ship_acked(p->ship), 1);
	p->may_not_repair = false;
	ship_audit(p->ship);
	settle(p);
	assert_true(is_same(p, NOTES));
	assert_true(ship_figures(p->ship)->is_equal);
	assert_int_equal(p->n_deleted, 1);
	pair_free(p);
}

/* All of one table is sent again, equal or not, also where nothing is repaired unasked. */
static void test_a_resync_sends_everything(void **state)
{
	const uint64_t both = BIT(NOTES) | BIT(OTHERS);
	struct pair *p = pair_new(both, both, 1 << 20);
	const struct ship_figures *f = ship_figures(p->ship);
	uint8_t buckets[FLYREP_BUCKETS_LEN];
	unsigned int i, n;
	char name[16];

	(void)state;
	for (i = 0; i < 500; i++) {
		snprintf(name, sizeof(name), "%u", i);
		write_note(p, i, i % 2 ? NOTES : OTHERS, name, "text", false);
	}
	meet(p, both, both);
	settle(p);
	assert_true(is_same(p, NOTES) && is_same(p, OTHERS));
	p->stream.auto_resync = false;
	n = p->n_injected;
	i = f->n_repair_records;
	ship_resync(p->ship, BIT(NOTES));
	assert_int_equal(ship_resync_left(p->ship), BIT(NOTES));
	/* One that is given up is still to be done. */
	assert_int_equal(ship_repair_begin(p->ship, buckets), NOTES);
	assert_true(buckets_is_all(buckets));
	assert_true(ship_is_repairing(p->ship, NOTES));
	ship_repair_end(p->ship, -ECANCELED);
	assert_int_equal(ship_resync_left(p->ship), BIT(NOTES));
	settle(p);
	assert_int_equal(ship_resync_left(p->ship), 0);
	assert_int_equal(f->n_repair_records, i + 250);
	assert_int_equal(ship_table_figures(p->ship, NOTES)->n_sent, 250);
	/* The standby had it all. */
	assert_int_equal(p->n_injected, n);
	/* A repair of a few buckets is no resync. */
	ship_dirty(p->ship, OTHERS, 5);
	assert_int_equal(ship_resync_left(p->ship), 0);
	settle(p);
	ship_resync(p->ship, both);
	ship_stop(p->ship);
	assert_int_equal(ship_resync_left(p->ship), 0);
	pair_free(p);
}

/* Either end may want to be asked first; then what was missed waits, and says so. */
static void repairs_on_demand(bool by_reader)
{
	struct pair *p = pair_new(BIT(NOTES), BIT(NOTES), 4000);
	const struct ship_figures *f = ship_figures(p->ship);
	unsigned int i;
	char name[16];

	p->stream.auto_resync = by_reader;
	p->capabilities |= by_reader ? FR_CAPABILITY_ASK : 0;
	meet(p, BIT(NOTES), BIT(NOTES));
	settle(p);
	assert_true(f->is_equal);
	assert_false(ship_is_auto(p->ship));
	p->stream.is_paused = true;
	for (i = 0; i < 200; i++) {
		snprintf(name, sizeof(name), "%u", i);
		write_note(p, i, NOTES, name, "text", true);
		push(p, NOTES);
	}
	p->stream.is_paused = false;
	assert_int_equal(f->n_jumps, 1);
	assert_int_equal(f->n_dirty, 0);
	assert_false(f->is_equal);
	ship_kick(p->ship);
	settle(p);
	assert_true(p->n_differ > 0);
	assert_int_equal(p->to_reader.n_sent[FR_FRAME_REPAIR_BEGIN], 0);
	assert_false(f->is_equal);
	assert_true(ship_is_settled(p->ship));
	ship_resync(p->ship, UINT64_MAX);
	assert_false(ship_is_settled(p->ship));
	settle(p);
	assert_int_equal(p->to_reader.n_sent[FR_FRAME_REPAIR_BEGIN], 1);
	assert_true(is_same(p, NOTES));
	assert_true(f->is_equal);
	pair_free(p);
}

static void test_nothing_is_repaired_unasked(void **state)
{
	(void)state;
	repairs_on_demand(false);
	repairs_on_demand(true);
}

/* A peer that returns @n changes of @n_names notes later; frames of the stream it then gets. */
static size_t return_after(unsigned int n, unsigned int n_names, bool is_auto, uint64_t *n_skips)
{
	struct pair *p = pair_new(BIT(NOTES), BIT(NOTES), 16 << 20);
	unsigned int i;
	char name[16];
	size_t n_sent;

	p->stream.auto_resync = is_auto;
	meet(p, BIT(NOTES), BIT(NOTES));
	settle(p);
	ship_stop(p->ship);
	for (i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "%u", i % n_names);
		write_note(p, i % n_names, NOTES, name, noise(i) + NOTE_TEXT_MAX - 300, true);
		if (i % 100 == 99 || i == n - 1)
			push(p, NOTES);
	}
	n_sent = p->to_reader.n_sent[FR_FRAME_BATCH];
	meet(p, BIT(NOTES), BIT(NOTES));
	n_sent = p->to_reader.n_sent[FR_FRAME_BATCH] - n_sent;
	settle(p);
	assert_true(is_same(p, NOTES));
	assert_true(ship_figures(p->ship)->is_equal);
	*n_skips = ship_figures(p->ship)->n_skips;
	pair_free(p);
	return n_sent;
}

static void test_who_is_far_behind_is_compared(void **state)
{
	uint64_t n_skips;

	(void)state;
	/* Much about little: that is read once. */
	assert_int_equal(return_after(2000, 2, true, &n_skips), 0);
	assert_int_equal(n_skips, 1);
	/* Not more than the threshold. */
	assert_int_equal(return_after(1000, 2, true, &n_skips), 10);
	assert_int_equal(n_skips, 0);
	/* As much about as many things: nothing is gained. */
	assert_int_equal(return_after(2000, 2000, true, &n_skips), 20);
	assert_int_equal(n_skips, 0);
	/* A repair would have to be asked for. */
	assert_int_equal(return_after(2000, 2, false, &n_skips), 20);
	assert_int_equal(n_skips, 0);
}

/* --- references ------------------------------------------------------------ */

/* Of so many flows, in step. */
static struct pair *pair_of_flows(unsigned int n, uint64_t capabilities)
{
	struct pair *p = pair_new(BIT(FLOWS), BIT(FLOWS), 1 << 20);
	unsigned int i;

	p->capabilities = FR_CAPABILITY_END | capabilities;
	meet(p, BIT(FLOWS), BIT(FLOWS));
	settle(p);
	for (i = 0; i < n; i++)
		write_flow(p, i);
	if (n)
		push(p, FLOWS);
	settle(p);
	assert_true(is_same(p, FLOWS));
	return p;
}

static uint64_t n_told(const struct pair *p)
{
	return receive_figures(p->receive)->n_refs;
}

static uint64_t n_lost(const struct pair *p)
{
	return receive_figures(p->receive)->n_lost_refs;
}

static void test_what_both_know_is_named_by_reference(void **state)
{
	struct pair *p = pair_of_flows(10, FR_CAPABILITY_REFS);
	unsigned int i;

	(void)state;
	assert_int_equal(p->n_refs, 0); /* all of it was new */
	for (i = 0; i < 5; i++)
		change_flow(p, i, FLYREP_OP_UPDATE, 7);
	change_flow(p, 0, FLYREP_OP_UPDATE, 8);
	change_flow(p, 1, FLYREP_OP_DELETE, 0);
	write_flow(p, 20);
	push(p, FLOWS);
	settle(p);
	assert_int_equal(p->n_refs, 1);
	assert_int_equal(n_told(p), 7);
	assert_int_equal(n_lost(p), 0);
	assert_true(is_same(p, FLOWS));
	assert_int_equal(index_entries(truth_index(p->held[FLOWS])), 10);
	pair_free(p);
}

/* What a batch tells of first, or ends, has its key in that batch from then on. */
static void test_what_is_new_in_a_batch_is_named_by_its_key(void **state)
{
	struct pair *p = pair_of_flows(4, FR_CAPABILITY_REFS);

	(void)state;
	write_flow(p, 10);
	change_flow(p, 10, FLYREP_OP_UPDATE, 1);	/* by key */
	change_flow(p, 0, FLYREP_OP_DELETE, 0);		/* by reference */
	write_flow(p, 0);
	change_flow(p, 0, FLYREP_OP_UPDATE, 2);		/* by key */
	change_flow(p, 10, FLYREP_OP_DELETE, 0);	/* by key */
	push(p, FLOWS);
	settle(p);
	assert_int_equal(n_told(p), 1);
	assert_int_equal(n_lost(p), 0);
	assert_true(is_same(p, FLOWS));
	change_flow(p, 0, FLYREP_OP_UPDATE, 3);
	push(p, FLOWS);
	settle(p);
	assert_int_equal(n_told(p), 2);
	assert_true(is_same(p, FLOWS));
	pair_free(p);
}

/* The reader lacks one flow of a batch: nothing is guessed, and an audit mends it. */
static void test_a_lost_reference_is_repaired(void **state)
{
	struct pair *p = pair_of_flows(10, FR_CAPABILITY_REFS);
	struct flyrep_ct ct = flow_of(3, FLYREP_OP_UPDATE, 0);
	struct flyrep_ct fresh = flow_of(20, FLYREP_OP_UPDATE, 0);
	unsigned int n_injected, n_audits;
	const char *why = NULL;

	(void)state;
	truth_drop(p->held[FLOWS], &ct);
	n_injected = p->n_injected;
	n_audits = p->n_audited;
	change_flow(p, 2, FLYREP_OP_UPDATE, 7);
	change_flow(p, 3, FLYREP_OP_UPDATE, 7);
	write_flow(p, 20);
	change_flow(p, 4, FLYREP_OP_DELETE, 0);
	push(p, FLOWS);
	assert_int_equal(deliver(p, &p->to_reader, &why), 0);
	assert_int_equal(n_lost(p), 1);
	assert_int_equal(n_told(p), 0);
	assert_int_equal(p->n_injected, n_injected + 1);
	assert_true(truth_has(p->held[FLOWS], &fresh));
	assert_int_equal(p->to_writer.n_sent[FR_FRAME_CHECK], 1);
	/* It has asked already. */
	change_flow(p, 3, FLYREP_OP_UPDATE, 8);
	push(p, FLOWS);
	assert_int_equal(deliver(p, &p->to_reader, &why), 0);
	assert_int_equal(n_lost(p), 2);
	assert_int_equal(p->to_writer.n_sent[FR_FRAME_CHECK], 1);
	settle(p);
	assert_int_equal(p->n_audited, n_audits + 2); /* what differs, and that it does no more */
	assert_true(ship_figures(p->ship)->is_equal);
	assert_true(is_same(p, FLOWS));
	/* And it may be asked for anew. */
	truth_drop(p->held[FLOWS], &ct);
	change_flow(p, 3, FLYREP_OP_UPDATE, 9);
	push(p, FLOWS);
	settle(p);
	assert_int_equal(n_lost(p), 3);
	assert_int_equal(p->to_writer.n_sent[FR_FRAME_CHECK], 2);
	assert_true(is_same(p, FLOWS));
	pair_free(p);
}

struct half {
	uint32_t half;
	uint32_t host;
};

static int by_half(const void *a, const void *b)
{
	const struct half *x = a, *y = b;

	return (x->half > y->half) - (x->half < y->half);
}

/* Flows 1 and 2: hashes of their keys that begin with the same 32 bits. */
static void make_twins(void)
{
	enum { N = 300000 };
	uint8_t key[FR_KEY_MAX_LEN] __attribute__((aligned(8)));
	struct half *v = malloc(N * sizeof(*v));
	const struct fr_table *t = row_of(FLOWS);
	struct flyrep_ct ct;
	uint32_t i;

	assert_non_null(v);
	for (i = 0; i < N; i++) {
		hosts[1] = N_FLOWS + i;
		ct = flow_of(1, FLYREP_OP_UPDATE, 0);
		v[i].host = hosts[1];
		v[i].half = fr_siphash(key, t->key(key, &ct), &hash_key) >> 32;
	}
	qsort(v, N, sizeof(*v), by_half);
	for (i = 1; i < N && v[i].half != v[i - 1].half; i++)
		;
	assert_true(i < N);
	hosts[1] = v[i - 1].host;
	hosts[2] = v[i].host;
	free(v);
}

/* The reader has two flows that the reference may mean, or one that it does not. */
static void reference_to_a_twin(bool has_both)
{
	struct pair *p = pair_of_flows(0, FR_CAPABILITY_REFS);
	struct flyrep_ct ct, twin;
	unsigned int bucket, n_injected;
	const char *why = NULL;

	make_twins();
	ct = flow_of(1, FLYREP_OP_UPDATE, 0);
	twin = flow_of(2, FLYREP_OP_UPDATE, 0);
	write_flow(p, 1);
	push(p, FLOWS);
	settle(p);
	assert_int_equal(truth_put(p->held[FLOWS], &twin, ++p->reader_order, &bucket),
			 FLYREP_OP_INSERT);
	if (!has_both)
		truth_drop(p->held[FLOWS], &ct);
	n_injected = p->n_injected;
	change_flow(p, 1, FLYREP_OP_UPDATE, 7);
	push(p, FLOWS);
	assert_int_equal(p->n_refs, 1);
	assert_int_equal(deliver(p, &p->to_reader, &why), 0);
	assert_int_equal(n_lost(p), 1);
	assert_int_equal(p->n_injected, n_injected);
	assert_true(truth_is(p->held[FLOWS], &twin));
	settle(p);
	assert_false(truth_has(p->held[FLOWS], &twin));
	assert_true(is_same(p, FLOWS));
	pair_free(p);
}

static void test_a_reference_to_two_is_lost(void **state)
{
	(void)state;
	reference_to_a_twin(true);
}

static void test_a_reference_to_another_is_lost(void **state)
{
	(void)state;
	reference_to_a_twin(false);
}

/* The writer knows two that a reference may mean, and makes none. */
static void test_twins_are_named_by_their_keys(void **state)
{
	struct pair *p = pair_of_flows(0, FR_CAPABILITY_REFS);

	(void)state;
	make_twins();
	write_flow(p, 1);
	write_flow(p, 2);
	push(p, FLOWS);
	settle(p);
	change_flow(p, 2, FLYREP_OP_DELETE, 0);
	change_flow(p, 1, FLYREP_OP_UPDATE, 7);	/* alone by now, though not before the batch */
	push(p, FLOWS);
	settle(p);
	assert_int_equal(n_lost(p), 0);
	assert_true(is_same(p, FLOWS));
	pair_free(p);
}

/* Until an audit has answered what the reader asked for, and while a bucket differs: keys. */
static void test_who_is_not_in_step_is_told_keys(void **state)
{
	struct pair *p = pair_of_flows(10, FR_CAPABILITY_REFS);
	struct flyrep_ct ct = flow_of(3, FLYREP_OP_UPDATE, 0);
	unsigned int bucket = truth_bucket(p->kept[FLOWS], &ct);
	unsigned int other = bucket ^ 1;
	const char *why = NULL;

	(void)state;
	assert_true(ship_tells_refs(p->ship, FLOWS, bucket));
	ship_doubt(p->ship);
	assert_false(ship_takes_refs(p->ship, FLOWS));
	assert_false(ship_tells_refs(p->ship, FLOWS, bucket));
	settle(p);
	assert_true(ship_tells_refs(p->ship, FLOWS, bucket));
	truth_drop(p->held[FLOWS], &ct);
	ship_doubt(p->ship);
	while (!ship_wants_repair(p->ship)) /* the audit alone */
		assert_true(!deliver(p, &p->to_reader, &why) || !deliver(p, &p->to_writer, &why));
	assert_false(ship_tells_refs(p->ship, FLOWS, bucket));
	assert_true(ship_tells_refs(p->ship, FLOWS, other));
	repair(p);
	/* Sent, but not proven; nor when another repair comes before the proof. */
	assert_false(ship_tells_refs(p->ship, FLOWS, bucket));
	ship_dirty(p->ship, FLOWS, other);
	while (!ship_wants_repair(p->ship)) {
		exchange(p);
		sd_event_run(p->event, 0);
	}
	repair(p);
	assert_false(ship_tells_refs(p->ship, FLOWS, bucket));
	assert_false(ship_tells_refs(p->ship, FLOWS, other));
	settle(p);
	assert_true(ship_tells_refs(p->ship, FLOWS, other));
	assert_true(ship_tells_refs(p->ship, FLOWS, bucket));
	ship_dirty(p->ship, FLOWS, bucket);
	assert_false(ship_tells_refs(p->ship, FLOWS, bucket));
	assert_true(ship_tells_refs(p->ship, FLOWS, other));
	settle(p);
	assert_true(ship_tells_refs(p->ship, FLOWS, bucket));
	pair_free(p);
}

static void test_no_references_before_the_first_audit(void **state)
{
	struct pair *p = pair_new(BIT(FLOWS), BIT(FLOWS), 1 << 20);

	(void)state;
	p->capabilities |= FR_CAPABILITY_REFS;
	assert_true(ship_takes_refs(p->ship, FLOWS)); /* there is nobody */
	meet(p, BIT(FLOWS), BIT(FLOWS));
	assert_false(ship_takes_refs(p->ship, FLOWS));
	settle(p);
	assert_true(ship_takes_refs(p->ship, FLOWS));
	pair_free(p);
}

static void test_no_references_without_repairs(void **state)
{
	struct pair *p = pair_of_flows(3, FR_CAPABILITY_REFS | FR_CAPABILITY_ASK);

	(void)state;
	change_flow(p, 1, FLYREP_OP_UPDATE, 7);
	push(p, FLOWS);
	settle(p);
	assert_int_equal(p->n_refs, 0);
	assert_true(is_same(p, FLOWS));
	pair_free(p);
}

static void test_who_cannot_take_references_gets_none(void **state)
{
	struct pair *p = pair_of_flows(10, 0);

	(void)state;
	change_flow(p, 1, FLYREP_OP_UPDATE, 7);
	change_flow(p, 2, FLYREP_OP_DELETE, 0);
	push(p, FLOWS);
	settle(p);
	assert_int_equal(p->n_refs, 0);
	assert_int_equal(n_told(p), 0);
	assert_true(is_same(p, FLOWS));
	pair_free(p);
}

/* What was written while a peer was away: who can take it goes on there, who cannot is compared. */
static void return_to_references(uint64_t capabilities, bool goes_on)
{
	struct pair *p = pair_of_flows(10, FR_CAPABILITY_REFS);
	uint64_t n_before = n_told(p);
	size_t n_batches;

	ship_stop(p->ship);
	receive_stop(p->receive);
	change_flow(p, 1, FLYREP_OP_UPDATE, 7);
	change_flow(p, 2, FLYREP_OP_DELETE, 0);
	push(p, FLOWS);
	assert_int_equal(p->n_refs, 1);
	p->capabilities = FR_CAPABILITY_END | capabilities;
	n_batches = p->to_reader.n_sent[FR_FRAME_BATCH];
	meet(p, BIT(FLOWS), BIT(FLOWS));
	assert_int_equal(p->to_reader.n_sent[FR_FRAME_BATCH] - n_batches, goes_on);
	settle(p);
	assert_int_equal(n_told(p) - n_before, goes_on ? 2 : 0);
	assert_int_equal(n_lost(p), 0);
	assert_true(is_same(p, FLOWS));
	assert_true(ship_figures(p->ship)->is_equal);
	/* Of all that it can take it is sent no less than before. */
	change_flow(p, 3, FLYREP_OP_UPDATE, 7);
	push(p, FLOWS);
	settle(p);
	assert_int_equal(p->n_refs, goes_on ? 2 : 1);
	assert_true(is_same(p, FLOWS));
	pair_free(p);
}

static void test_who_returns_takes_references(void **state)
{
	(void)state;
	return_to_references(FR_CAPABILITY_REFS, true);
}

static void test_who_returns_and_cannot_take_references_is_compared(void **state)
{
	(void)state;
	return_to_references(0, false);
}

/* A batch was being collected when one came who cannot take references. */
static void test_what_is_collected_follows_who_is_there(void **state)
{
	struct pair *p = pair_of_flows(10, FR_CAPABILITY_REFS);

	(void)state;
	change_flow(p, 1, FLYREP_OP_UPDATE, 7);
	ship_stop(p->ship);
	receive_stop(p->receive);
	p->capabilities = FR_CAPABILITY_END;
	meet(p, BIT(FLOWS), BIT(FLOWS));
	push(p, FLOWS);
	settle(p);
	assert_int_equal(p->n_refs, 0);
	assert_int_equal(n_lost(p), 0);
	assert_true(is_same(p, FLOWS));
	pair_free(p);
}

/* What an ACK tells beside the number is told once, and again when it is another. */
static void test_acknowledgements_are_short(void **state)
{
	struct pair *p = pair_of_flows(0, FR_CAPABILITY_ACKS);
	unsigned int i;

	(void)state;
	for (i = 0; i < 5; i++) {
		size_t at = p->to_writer.last;
		const uint8_t *ack;
		const char *why = NULL;

		write_flow(p, i);
		push(p, FLOWS);
		assert_int_equal(deliver(p, &p->to_reader, &why), 0);
		while (p->to_writer.last == at)
			sd_event_run(p->event, 0);
		ack = p->to_writer.frames[at % QUEUE_MAX];
		assert_int_equal(ack[4], FR_FRAME_ACK);
		/* Length: */
		assert_int_equal(ack[3], FR_ACK_SHORT_LEN);
		settle(p);
		assert_int_equal(ship_acked(p->ship), i + 1);
	}
	assert_true(is_same(p, FLOWS));
	pair_free(p);
}

/* The number goes on across the boundary of its low half. */
static void test_a_short_acknowledgement_is_the_next_number(void **state)
{
	struct fr_ack m = { .seq = 0x1fffffffe, .entries = 5, .refused = 6, .repaired = 7 };
	struct fr_ack told = { .seq = 0x200000003 };
	uint8_t buf[FR_ACK_SHORT_LEN];
	struct fr_writer w;

	(void)state;
	fr_writer_init(&w, buf, sizeof(buf));
	fr_ack_encode_short(&w, &told);
	assert_int_equal(fr_writer_len(&w), sizeof(buf));
	assert_int_equal(fr_ack_decode_short(&m, buf, 3), -EBADMSG);
	assert_int_equal(fr_ack_decode_short(&m, buf, sizeof(buf)), 0);
	assert_true(m.seq == told.seq);
	assert_int_equal(m.entries, 5);
	assert_int_equal(fr_ack_decode_short(&m, buf, sizeof(buf)), 0);
	assert_true(m.seq == told.seq);
}

static void test_references_of_other_tables_are_refused(void **state)
{
	struct pair *p = pair_new(BIT(NOTES), BIT(NOTES), 1 << 20);
	uint8_t frame[FR_FRAME_HEAD_LEN + 5] = { 0 };
	struct fr_frame_head h = { .type = FR_FRAME_BATCH, .flags = FR_FRAME_F_REFS,
				   .table = NOTES, .seq = 1, .len = 5 };

	(void)state;
	meet(p, BIT(NOTES), BIT(NOTES));
	settle(p);
	fr_frame_head_encode(frame, &h);
	conn_send(&p->to_reader, frame, sizeof(frame));
	assert_string_equal(refusal(p), "malformed");
	pair_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tables_share_the_stream),
		cmocka_unit_test(test_first_sync_repairs_each_table),
		cmocka_unit_test(test_the_end_of_a_repair_comes_in_pieces),
		cmocka_unit_test(test_who_does_not_wait_for_the_end_of_a_repair),
		cmocka_unit_test(test_only_one_table_differs),
		cmocka_unit_test(test_what_the_kernel_refuses_counts_for_its_table),
		cmocka_unit_test(test_what_a_node_cannot_take_is_left_at_that),
		cmocka_unit_test(test_what_a_filter_refuses_is_left_at_that),
		cmocka_unit_test(test_a_repair_deletes_what_it_does_not_name),
		cmocka_unit_test(test_a_repair_may_have_to_wait),
		cmocka_unit_test(test_a_table_the_peer_lacks_is_left_out),
		cmocka_unit_test(test_what_was_missed_while_away_is_repaired),
		cmocka_unit_test(test_what_fell_off_the_backlog_is_repaired_in_its_table),
		cmocka_unit_test(test_check_is_of_each_table),
		cmocka_unit_test(test_a_stranger_table_is_refused),
		cmocka_unit_test(test_a_repair_is_of_the_table_it_began_with),
		cmocka_unit_test(test_a_resync_sends_everything),
		cmocka_unit_test(test_nothing_is_repaired_unasked),
		cmocka_unit_test(test_who_is_far_behind_is_compared),
		cmocka_unit_test(test_a_paused_writer_sends_nothing),
		cmocka_unit_test(test_a_session_begins_in_a_pause),
		cmocka_unit_test(test_a_pause_beyond_the_backlog_is_repaired),
		cmocka_unit_test(test_a_paused_reader_applies_nothing),
		cmocka_unit_test(test_what_both_know_is_named_by_reference),
		cmocka_unit_test(test_what_is_new_in_a_batch_is_named_by_its_key),
		cmocka_unit_test(test_a_lost_reference_is_repaired),
		cmocka_unit_test(test_a_reference_to_two_is_lost),
		cmocka_unit_test(test_a_reference_to_another_is_lost),
		cmocka_unit_test(test_twins_are_named_by_their_keys),
		cmocka_unit_test(test_who_is_not_in_step_is_told_keys),
		cmocka_unit_test(test_no_references_before_the_first_audit),
		cmocka_unit_test(test_no_references_without_repairs),
		cmocka_unit_test(test_who_cannot_take_references_gets_none),
		cmocka_unit_test(test_who_returns_takes_references),
		cmocka_unit_test(test_who_returns_and_cannot_take_references_is_compared),
		cmocka_unit_test(test_what_is_collected_follows_who_is_there),
		cmocka_unit_test(test_references_of_other_tables_are_refused),
		cmocka_unit_test(test_acknowledgements_are_short),
		cmocka_unit_test(test_a_short_acknowledgement_is_the_next_number),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
