// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Writing elements. A transaction of nf_tables is done as a whole or not at all, and the kernel
 * says which of its messages it refuses: so one is sent, what was refused is mended or left out,
 * and it is sent again until it goes through.
 */
#include <errno.h>
#include <linux/netfilter.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "netlink.h"
#include "nft_message.h"
#include "nft_socket.h"

/*
 * An element is mended in so many rounds, each of which takes it to be as the one before has met
 * it. After them nothing is taken for granted, see STEP_ENSURE; and after as many of these whatever
 * is refused is left out, so that each round has fewer records than the one before.
 */
#define PATIENT_ROUNDS 4

/*
 * A hash that is being rebuilt has no place for an element in whose chain there is much that has
 * ended (lib/rhashtable.c: EBUSY). The others do not wait for it, and it waits so long in all;
 * when nothing else is to be done there are naps in between.
 */
#define BUSY_MS 250
#define NAP_MS 2

/* The messages of an element, and their numbers; not all of them are sent. */
enum message {
	MESSAGE_MAKE,
	MESSAGE_DELETE,
	MESSAGE_ADD,
	N_MESSAGES = FR_NFT_APPLY_MESSAGES,
};

/* What a message has besides the fields of its record, bytes */
#define FRAME_LEN 160

/**
 * enum step - what is done about a record in the next transaction
 * @STEP_DONE: nothing any more
 * @STEP_ADD: it was not there
 * @STEP_REPLACE: it was there: out and in again, as an older kernel keeps the time it had
 * @STEP_ENSURE: in if it is not there, out, and in again: this meets no error, whatever packets and
 *	clocks do meanwhile. What a packet has written between out and in stays.
 * @STEP_DELETE: out
 * @STEP_CLEAR: likewise, one of several with its key; it is added in the next
 * @STEP_WAIT: nothing: the set is full, or its hash is being rebuilt; it is added in the next, when
 *	others have gone
 */
enum step {
	STEP_DONE,
	STEP_ADD,
	STEP_REPLACE,
	STEP_ENSURE,
	STEP_DELETE,
	STEP_CLEAR,
	STEP_WAIT,
};

/**
 * struct entry - a record on its way
 * @step: enum step
 * @n_clashes: how often another element was in the way
 * @has_room: others had their chance to go
 * @err: what each of its messages in this round met with
 */
struct entry {
	const struct flyrep_item *rec;
	const struct fr_nft_set *set;
	uint8_t step;
	uint8_t n_clashes;
	bool has_room;
	int err[N_MESSAGES];
};

/* A power of two, well beyond twice the records of a transaction */
#define SLOTS 4096

/**
 * struct apply - a call of fr_nft_apply()
 * @seq: of the first entry's first message; each entry has N_MESSAGES numbers
 * @last_seq: of the message whose acknowledgement tells that the transaction is over
 * @last_at: where it is in n->out
 * @is_over: it has been acknowledged or refused
 * @n_failed: messages that were refused
 * @is_patient: elements are still taken to be as they were met
 * @busy_end_ms: until then, by fr_netlink_now_ms(), hashes are waited for; 0: none was met
 * @slot: number of an entry and 1, by the hash of its key; 0: free
 */
struct apply {
	struct fr_nft *n;
	const struct fr_nft_set *(*find)(void *cookie, uint8_t family,
					 const char *table, const char *set);
	void (*on_error)(void *cookie, const void *rec, int error);
	void *cookie;
	struct entry *entries;
	size_t n_entries;
	uint32_t seq;
	uint32_t last_seq;
	size_t last_at;
	bool is_over;
	size_t n_failed;
	bool is_patient;
	int64_t busy_end_ms;
	ssize_t n_applied;
	char text[sizeof(((struct fr_nft *)0)->error)];
	uint16_t slot[SLOTS];
};

static void refuse(struct apply *a, const struct flyrep_item *rec, int err)
{
	if (a->on_error)
		a->on_error(a->cookie, rec, err);
}

static void finish(struct apply *a, struct entry *e, int err)
{
	e->step = STEP_DONE;
	if (err)
		refuse(a, e->rec, err);
	else
		a->n_applied++;
}

/* --- one transaction ---------------------------------------------------- */

static size_t put_frame(struct apply *a, size_t at, uint16_t type, uint32_t seq)
{
	struct nlmsghdr *nlh = fr_nft_message_head(a->n->out + at, type, 0, seq,
						   NFPROTO_UNSPEC);

	return MNL_ALIGN(nlh->nlmsg_len);
}

static bool is_interval(const struct entry *e)
{
	return e->set->flags & NFT_SET_INTERVAL;
}

/* In a map what is there may have other data, and cannot be added once more. */
static bool is_map(const struct entry *e)
{
	return e->set->flags & (NFT_SET_MAP | NFT_SET_OBJECT);
}

static size_t put_message(struct apply *a, size_t at, enum message message,
			  uint16_t flags, const struct entry *e,
			  const struct fr_nft_elem *elem)
{
	size_t i = (size_t)(e - a->entries);

	a->last_seq = a->seq + (uint32_t)(N_MESSAGES * i + message);
	a->last_at = at;
	return fr_nft_message_elem(a->n->out + at,
				   message == MESSAGE_DELETE ?
					   NFT_MSG_DELSETELEM :
					   NFT_MSG_NEWSETELEM,
				   flags, a->last_seq, e->set, elem);
}

/* The messages of an entry */
static size_t put_entry(struct apply *a, size_t at, struct entry *e,
			uint64_t now_ms)
{
	uint16_t how = NLM_F_CREATE | NLM_F_EXCL;
	struct fr_nft_elem elem;
	size_t begin = at;

	if (fr_nft_elem_read(&elem, e->set, e->rec, false, now_ms) == -ETIME)
		e->step = STEP_DELETE;
	if (!a->is_patient && (e->step == STEP_ADD || e->step == STEP_REPLACE) &&
	    !is_interval(e) && !is_map(e))
		e->step = STEP_ENSURE;
	if (e->step == STEP_ENSURE) {
		how = NLM_F_CREATE;
		at += put_message(a, at, MESSAGE_MAKE, how, e, &elem);
	}
	if (e->step != STEP_ADD)
		at += put_message(a, at, MESSAGE_DELETE, 0, e, &elem);
	if (e->step != STEP_DELETE && e->step != STEP_CLEAR)
		at += put_message(a, at, MESSAGE_ADD, how, e, &elem);
	return at - begin;
}

/* Bytes of the whole transaction; 0: there is nothing to do in it. */
static size_t put_all(struct apply *a)
{
	uint64_t now_ms = fr_nft_socket_now_ms();
	struct entry *e = a->entries, *end = e + a->n_entries;
	size_t begin, at;

	a->seq = a->n->seq + 2;
	a->n->seq += N_MESSAGES * (uint32_t)a->n_entries + 2;
	begin = put_frame(a, 0, NFNL_MSG_BATCH_BEGIN, a->seq - 1);
	at = begin;
	for (; e < end; e++) {
		memset(e->err, 0, sizeof(e->err));
		if (e->step != STEP_DONE && e->step != STEP_WAIT)
			at += put_entry(a, at, e, now_ms);
	}
	if (at == begin)
		return 0;
	/* Without it the kernel would say nothing of a success. */
	((struct nlmsghdr *)(a->n->out + a->last_at))->nlmsg_flags |= NLM_F_ACK;
	return at + put_frame(a, at, NFNL_MSG_BATCH_END, a->n->seq);
}

static int take_answer(const struct nlmsghdr *nlh, void *cookie)
{
	struct apply *a = cookie;
	uint32_t at = nlh->nlmsg_seq - a->seq;
	char text[sizeof(a->text)];
	int err;

	if (nlh->nlmsg_type != NLMSG_ERROR)
		return 0;
	err = fr_netlink_error(nlh, text, sizeof(text));
	if (nlh->nlmsg_seq == a->seq - 1 && err) {
		memcpy(a->text, text, sizeof(text));
		return err;
	}
	if (at / N_MESSAGES >= a->n_entries)
		return 0;
	a->entries[at / N_MESSAGES].err[at % N_MESSAGES] = err;
	if (err)
		a->n_failed++;
	a->is_over |= nlh->nlmsg_seq == a->last_seq;
	return 0;
}

/* Sends it; 0: each entry knows what it met with, a->n_failed of them met with something. */
static int transact(struct apply *a, size_t len)
{
	int64_t deadline_ms = fr_netlink_deadline_ms();
	struct fr_nft *n = a->n;
	ssize_t in_len;
	int err;

	a->n_failed = 0;
	a->is_over = false;
	a->text[0] = 0;
	err = fr_nft_socket_send(n, len);
	if (err)
		return err;
	/* What the kernel says comes in the order of the messages, and of the last in any case. */
	while (!err && !a->is_over) {
		in_len = fr_netlink_await(n->nl, n->in, deadline_ms);
		err = in_len < 0 ? (int)in_len :
				   fr_netlink_messages(n->in, (size_t)in_len,
						       take_answer, a);
	}
	return err ? fr_nft_socket_fail(n, err, a->text) : 0;
}

/* --- what becomes of a record ------------------------------------------- */

/* The transaction went through. */
static void settle(struct apply *a, struct entry *e)
{
	if (e->step == STEP_DONE)
		return;
	if (e->step != STEP_WAIT && e->step != STEP_CLEAR) {
		finish(a, e, 0);
		return;
	}
	e->step = STEP_ADD;
	e->has_room = true;
}

/* An element is in the way. */
static void mend_clash(struct apply *a, struct entry *e, bool is_absent)
{
	/* Another one, which overlaps. */
	if (is_interval(e) && ++e->n_clashes > 2)
		finish(a, e, -EEXIST);
	else if (is_absent)
		e->step = STEP_ADD;
	/*
	 * A packet that comes between out and in sees neither, and adds a second one with the
	 * same key: they have to go one by one.
	 */
	else if (e->step == STEP_REPLACE && !is_interval(e))
		e->step = STEP_CLEAR;
	else
		e->step = STEP_REPLACE;
}

/* Its hash is being rebuilt. */
static void mend_busy(struct apply *a, struct entry *e)
{
	int64_t now_ms = fr_netlink_now_ms();

	if (!a->busy_end_ms)
		a->busy_end_ms = now_ms + BUSY_MS;
	if (now_ms < a->busy_end_ms)
		e->step = STEP_WAIT;
	else
		finish(a, e, -EAGAIN);
}

/* Nothing of the transaction was done; packets and clocks go on meanwhile. */
static void mend(struct apply *a, struct entry *e, bool is_last)
{
	bool is_absent = e->err[MESSAGE_DELETE] == -ENOENT;
	int err = e->err[MESSAGE_MAKE] ?: e->err[MESSAGE_ADD];

	if (!e->err[MESSAGE_DELETE] && !err)
		return;
	if (e->err[MESSAGE_DELETE] && !is_absent) {
		finish(a, e, e->err[MESSAGE_DELETE]);
	} else if (e->step == STEP_DELETE) {
		finish(a, e, 0);
	} else if (err == -EBUSY) {
		mend_busy(a, e);
	} else if (is_last && err) {
		/* It is there by what packets do, faster than we: as good. */
		finish(a, e, err == -EEXIST && !is_interval(e) ? 0 : err);
	} else if (!err) {
		e->step = STEP_ADD;
	} else if (err == -EEXIST) {
		mend_clash(a, e, is_absent);
	} else if (err == -ENFILE && !e->has_room) {
		e->step = STEP_WAIT;
	} else {
		finish(a, e, err);
	}
}

/* What most of them were decides how the next ones are tried first. */
static void learn(struct apply *a)
{
	size_t n_wrong = 0, n = 0, i;

	for (i = 0; i < a->n_entries; i++) {
		const struct entry *e = &a->entries[i];

		if (e->step == STEP_ADD || e->step == STEP_REPLACE) {
			n++;
			n_wrong += e->step == STEP_ADD ? e->err[MESSAGE_ADD] == -EEXIST :
							 e->err[MESSAGE_DELETE] == -ENOENT;
		}
	}
	if (2 * n_wrong > n)
		a->n->is_add_first = !a->n->is_add_first;
}

static void nap(void)
{
	const struct timespec t = { .tv_nsec = NAP_MS * 1000000 };

	nanosleep(&t, NULL);
}

/* All entries, to their end. -errno: some are not DONE. */
static int run(struct apply *a)
{
	unsigned int round;
	size_t len, i;
	int err;

	for (round = 0;; round++) {
		bool is_idle = true;

		for (i = 0; is_idle && i < a->n_entries; i++)
			is_idle = a->entries[i].step == STEP_DONE;
		if (is_idle)
			return 0;
		a->n_failed = 0;
		a->is_patient = round < PATIENT_ROUNDS;
		len = put_all(a);
		err = len ? transact(a, len) : 0;
		if (err)
			return err;
		if (!len && a->busy_end_ms)
			nap();
		if (!round)
			learn(a);
		for (i = 0; i < a->n_entries; i++) {
			if (a->n_failed)
				mend(a, &a->entries[i],
				     round >= 2 * PATIENT_ROUNDS);
			else
				settle(a, &a->entries[i]);
		}
	}
}

/* --- a call ------------------------------------------------------------- */

/* Why a record cannot be written, before the kernel is asked; else 0 and its set. */
static int resolve(struct apply *a, const struct flyrep_item *rec,
		   const struct fr_nft_set **set)
{
	struct fr_nft_name name;
	struct fr_nft_elem elem;
	const char *why;
	int err;

	if (fr_nft_set_table.check(rec, &why) || fr_nft_record_name(rec, &name))
		return -EINVAL;
	*set = a->find(a->cookie, name.family, name.table, name.set);
	if (!*set)
		return -ENOENT;
	if ((*set)->is_owned)
		return -EPERM;
	err = fr_nft_elem_read(&elem, *set, rec, false, 0);
	return err == -ETIME ? 0 : err;
}

/* The entry that has the key of a record, or a new one. */
static struct entry *entry_of(struct apply *a, const struct flyrep_item *rec)
{
	static const struct fr_siphash_key key;
	size_t at = fr_siphash(rec + 1, rec->key_len, &key) % SLOTS;
	struct entry *e;

	for (; a->slot[at]; at = (at + 1) % SLOTS) {
		e = &a->entries[a->slot[at] - 1];
		if (e->rec->key_len == rec->key_len &&
		    !memcmp(e->rec + 1, rec + 1, rec->key_len))
			return e;
	}
	a->n_entries++;
	a->slot[at] = (uint16_t)a->n_entries;
	return &a->entries[a->n_entries - 1];
}

static void take(struct apply *a, const struct flyrep_item *rec)
{
	const struct fr_nft_set *set;
	struct entry *e;
	int err = resolve(a, rec, &set);

	if (err) {
		refuse(a, rec, err);
		return;
	}
	e = entry_of(a, rec);
	/* An earlier record of the key has come to nothing, as it should. */
	if (e->rec)
		a->n_applied++;
	e->rec = rec;
	e->set = set;
	e->step = rec->rec.op == FLYREP_OP_DELETE ? STEP_DELETE :
		  a->n->is_add_first		  ? STEP_ADD :
						    STEP_REPLACE;
}

static size_t at_most(size_t v, size_t max)
{
	return v < max ? v : max;
}

/* As many records as fit into a transaction. */
static size_t take_some(struct apply *a, const struct flyrep_item **rec,
			size_t n_recs)
{
	size_t room = a->n->out_len - 2 * FRAME_LEN, need, i;

	memset(a->slot, 0, sizeof(a->slot));
	memset(a->entries, 0, a->n_entries * sizeof(*a->entries));
	a->n_entries = 0;
	for (i = 0; i < at_most(n_recs, a->n->n_apply_max); i++) {
		need = N_MESSAGES * ((size_t)(*rec)->rec.tail_len + FRAME_LEN);
		/* A single one fits, or is refused before it is put anywhere. */
		if (i && need > room)
			break;
		room -= at_most(need, room);
		take(a, *rec);
		*rec = fr_record_next(&fr_nft_set_table, *rec);
	}
	return i;
}

/* It has failed as a whole: all that is not done, and the @n_recs that were not tried. */
static void refuse_all(struct apply *a, const struct flyrep_item *rec,
		       size_t n_recs, int err)
{
	size_t i;

	for (i = 0; i < a->n_entries; i++)
		if (a->entries[i].step != STEP_DONE)
			refuse(a, a->entries[i].rec, err);
	for (; n_recs; n_recs--, rec = fr_record_next(&fr_nft_set_table, rec))
		refuse(a, rec, err);
}

ssize_t fr_nft_apply(struct fr_nft *n, const void *recs, size_t n_recs,
		     const struct fr_nft_set *(*find)(void *cookie,
						      uint8_t family,
						      const char *table,
						      const char *set),
		     void (*on_error)(void *cookie, const void *rec, int error),
		     void *cookie)
{
	struct apply a = {
		.n = n, .find = find, .on_error = on_error, .cookie = cookie
	};
	const struct flyrep_item *rec = recs;
	int err;

	err = fr_nft_socket_begin(n);
	if (!err) {
		a.entries = calloc(at_most(n_recs, n->n_apply_max) + 1,
				   sizeof(*a.entries));
		if (!a.entries)
			err = fr_nft_socket_fail(n, -ENOMEM, NULL);
	}
	if (err)
		refuse_all(&a, rec, n_recs, err);
	while (!err && n_recs) {
		n_recs -= take_some(&a, &rec, n_recs);
		err = run(&a);
		if (err)
			refuse_all(&a, rec, n_recs, err);
	}
	free(a.entries);
	return err ? err : a.n_applied;
}
