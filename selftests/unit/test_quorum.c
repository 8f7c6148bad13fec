// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Votes and heartbeats: each rule by itself, and all of them under a network that loses, delays and
 * repeats what it likes, while nodes die and come back.
 */
#include "voters.h"

static struct voters all;
#define A (&all.v[0])
#define B (&all.v[1])
#define W (&all.v[2])

static void pair(const char *lines)
{
	voters_init(&all, 3, true, lines);
	pass(&all, 1000);
}

static int end(void **state)
{
	(void)state;
	voters_free(&all);
	return 0;
}

static uint64_t on_disk(const struct voter *v)
{
	struct store_state s;
	char why[200];

	assert_int_equal(store_load(v->dir, &s, why, sizeof(why)), 0);
	return s.promised;
}

static void make_primary(struct voter *v)
{
	stand(v);
	pass(&all, 600);
	if (!v->is_elected)
		fail_msg("%s: %s", v->id, v->why);
}

static void everybody_is_alive(void **state)
{
	int i;

	(void)state;
	pair("");
	for (i = 0; i < 3; i++) {
		const struct heartbeat *h = quorum_heartbeat(all.v[i].quorum);

		assert_int_equal(quorum_n_alive(all.v[i].quorum), 3);
		assert_int_equal(quorum_n_needed(all.v[i].quorum), 2);
		assert_int_equal(heartbeat_counts(h)->forged + heartbeat_counts(h)->malformed +
					 heartbeat_counts(h)->replayed +
					 heartbeat_counts(h)->strangers, 0);
		if (i < 2)
			assert_in_range(heartbeat_voter(h, 0)->rtt_ns, 2 * MS, 2 * MS);
	}
	assert_string_equal(heartbeat_voter(quorum_heartbeat(A->quorum), 1)->id, "w");
	voter_stop(B);
	pass(&all, 450);
	assert_int_equal(quorum_n_alive(A->quorum), 3);
	pass(&all, 200);
	assert_int_equal(quorum_n_alive(A->quorum), 2);
	assert_int_equal(quorum_n_alive(W->quorum), 2);
	voter_start(B);
	pass(&all, 300);
	assert_int_equal(quorum_n_alive(A->quorum), 3);
}

static void a_takeover_with_the_witness(void **state)
{
	(void)state;
	pair("");
	make_primary(A);
	assert_int_equal(A->role.epoch, 1);
	voter_stop(A);
	pass(&all, 600);
	stand(B);
	pass(&all, 5);
	assert_true(B->is_elected); /* at once, not at the end of the time */
	assert_int_equal(B->role.epoch, 2);
	assert_int_equal(on_disk(W), 2);
	/* Back from the dead, a hears that it is not primary any more. */
	voter_start(A);
	assert_int_equal(A->role.role, FR_ROLE_PRIMARY);
	pass(&all, 400);
	assert_int_equal(A->role.role, FR_ROLE_BACKUP);
	assert_int_equal(A->n_steps_down, 1);
	assert_int_equal(B->n_steps_down, 0);
}

static void nobody_takes_over_a_live_primary(void **state)
{
	(void)state;
	pair("");
	make_primary(A);
	stand(B);
	pass(&all, 490);
	assert_false(B->is_done);
	pass(&all, 20);
	assert_true(B->is_done);
	assert_string_equal(B->why, "a is primary and alive: make it backup first");
	/* It was not even asked for. */
	assert_int_equal(on_disk(W), 1);
	/* The witness alone hears it: that is enough. */
	cut(&all, 0, 1, true);
	pass(&all, 600);
	assert_false(heartbeat_find(quorum_heartbeat(B->quorum), "a")->is_alive);
	stand(B);
	pass(&all, 600);
	assert_false(B->is_elected);
	assert_string_equal(B->why, "1 of 3 votes, 2 are needed; a: no answer; "
				    "witness 127.0.0.3:9002: hears the primary a");
	assert_int_equal(A->role.role, FR_ROLE_PRIMARY);
	/* So is b alone, with a witness that does not hear it. */
	cut(&all, 0, 1, false);
	cut(&all, 0, 2, true);
	pass(&all, 600);
	stand(B);
	pass(&all, 600);
	assert_false(B->is_elected);
}

static void a_planned_switchover(void **state)
{
	(void)state;
	pair("");
	make_primary(A);
	leave(A);
	stand(B); /* at once: the news is on its way */
	pass(&all, 200);
	assert_true(B->is_elected);
	leave(B);
	stand(A);
	pass(&all, 200);
	/* Within heartbeat.timeout of its vote for b the witness waits, then grants. */
	if (!A->is_elected)
		pass(&all, 400);
	assert_true(A->is_elected);
	assert_true(A->role.epoch > B->role.epoch || B->role.epoch == A->role.epoch);
}

static void no_majority(void **state)
{
	(void)state;
	pair("");
	voter_stop(A);
	voter_stop(W);
	pass(&all, 600);
	stand(B);
	pass(&all, 600);
	assert_string_equal(B->why, "1 of 3 votes, 2 are needed; a: no answer; "
				    "witness 127.0.0.3:9002: no answer");
	assert_int_equal(B->role.role, FR_ROLE_BACKUP);
	force(B);
	assert_true(B->role.is_forced);
	assert_int_equal(B->role.epoch, 2); /* above its own vote of the vain election */
	voter_stop(B);
	voter_start(B);
	assert_true(B->role.is_forced);
	leave(B);
	assert_false(B->role.is_forced);
}

static void promises_are_kept(void **state)
{
	(void)state;
	pair("");
	cut(&all, 0, 1, true);
	assert_int_equal(role_promise(&W->role, 7, "a"), 0);
	assert_int_equal(role_promise(&W->role, 7, "a"), 0);
	assert_int_equal(role_promise(&W->role, 7, "b"), -ESTALE);
	assert_int_equal(role_promise(&W->role, 6, "a"), -ESTALE);
	voter_stop(W);
	voter_start(W);
	assert_int_equal(role_promise(&W->role, 7, "b"), -ESTALE);
	assert_int_equal(W->role.promised, 7);
	/* Nor is force a way round one of this node's own. */
	assert_int_equal(role_promise(&A->role, 5, "b"), 0);
	assert_int_equal(role_force(&A->role, "a", 0), 0);
	assert_int_equal(A->role.promised, 6);
	/* The witness abstains while it does not know who is there. */
	stand(B);
	pass(&all, 100);
	assert_false(B->is_done);
	pass(&all, 600);
	if (!B->is_elected) {
		assert_non_null(strstr(B->why, "has just started"));
		make_primary(B);
	}
	assert_true(B->role.epoch > 7);
}

/* A vote counts when it is on disk, and not before. */
static void a_promise_that_cannot_be_saved(void **state)
{
	(void)state;
	pair("");
	voter_stop(A);
	pass(&all, 600);
	W->role.dir = "/nonexistent";
	stand(B);
	pass(&all, 600);
	assert_false(B->is_elected);
	assert_non_null(strstr(B->why, "cannot save its promise"));
	assert_int_equal(W->role.promised, 0);
	W->role.dir = W->dir;
}

static void two_candidates(void **state)
{
	(void)state;
	pair("");
	stand(A);
	stand(B);
	pass(&all, 600);
	assert_int_equal(A->is_elected + B->is_elected, 1);
	assert_true(A->is_done && B->is_done);
}

/* Both by force, and out of sight of each other */
static void split(void)
{
	cut(&all, 0, 1, true);
	cut(&all, 0, 2, true);
	cut(&all, 1, 2, true);
	pass(&all, 600);
	force(A);
	force(B);
	assert_int_equal(A->role.epoch, B->role.epoch);
}

static void a_split_brain(void **state)
{
	(void)state;
	pair("");
	split();
	cut(&all, 0, 1, false);
	pass(&all, 600);
	assert_int_equal(A->role.role, FR_ROLE_PRIMARY);
	assert_int_equal(B->role.role, FR_ROLE_PRIMARY);
	assert_ptr_equal(quorum_rival(A->quorum), heartbeat_find(quorum_heartbeat(A->quorum), "b"));
	assert_non_null(quorum_rival(B->quorum));
	assert_false(quorum_heals(A->quorum, quorum_rival(A->quorum)));
	leave(A);
	pass(&all, 50);
	assert_null(quorum_rival(B->quorum));
}

static void heals(int rule, uint32_t a, uint32_t b, struct voter *winner)
{
	struct voter *loser = winner == A ? B : A;

	pair("");
	A->config.quorum.split_brain = B->config.quorum.split_brain = rule;
	A->config.quorum.priority = a;
	B->config.quorum.priority = b;
	split();
	A->role.since_us = a;
	B->role.since_us = b;
	cut(&all, 0, 1, false);
	pass(&all, 600);
	assert_int_equal(winner->role.role, FR_ROLE_PRIMARY);
	assert_int_equal(winner->n_steps_down, 0);
	assert_int_equal(loser->role.role, FR_ROLE_BACKUP);
	assert_int_equal(loser->n_steps_down, 1);
	voters_free(&all);
}

static void the_rule_ends_a_split_brain(void **state)
{
	(void)state;
	heals(FR_CONFIG_SPLIT_PRIORITY, 200, 100, A);
	heals(FR_CONFIG_SPLIT_PRIORITY, 1, 100, B);
	heals(FR_CONFIG_SPLIT_NEWEST, 1000, 2000, B);
	heals(FR_CONFIG_SPLIT_NEWEST, 2001, 2000, A);
	/* Equal: the greater name, on both. */
	heals(FR_CONFIG_SPLIT_PRIORITY, 100, 100, B);
	heals(FR_CONFIG_SPLIT_NEWEST, 5, 5, B);
}

static void rules_that_differ_heal_nothing(void **state)
{
	(void)state;
	pair("");
	A->config.quorum.split_brain = FR_CONFIG_SPLIT_PRIORITY;
	B->config.quorum.split_brain = FR_CONFIG_SPLIT_NEWEST;
	split();
	cut(&all, 0, 1, false);
	pass(&all, 600);
	assert_int_equal(A->role.role, FR_ROLE_PRIMARY);
	assert_int_equal(B->role.role, FR_ROLE_PRIMARY);
	assert_non_null(quorum_rival(A->quorum));
}

/* --- what was recorded, forged, or held back ------------------------------ */

static struct heartbeat_counts counts_of(const struct voter *v)
{
	return *heartbeat_counts(quorum_heartbeat(v->quorum));
}

/* The last datagram of this kind that went from one to the other */
static const struct datagram *last_of(int from, int to, enum fr_beat_kind kind)
{
	size_t i;

	for (i = all.n_recorded; i-- > 0 && all.n_recorded - i < 256;) {
		const struct datagram *d = &all.recorded[i % 256];

		if (d->from == from && d->to == to && d->buf[5] == kind)
			return d;
	}
	fail_msg("there is none");
	return NULL;
}

static void what_is_replayed_is_ignored(void **state)
{
	struct heartbeat_counts before;
	const struct datagram *d;
	struct datagram old;

	(void)state;
	pair("");
	old = *last_of(0, 1, FR_BEAT_PONG);
	before = counts_of(B);
	quorum_receive(B->quorum, old.buf, FR_BEAT_LEN, all.now_ns);
	assert_int_equal(counts_of(B).replayed, before.replayed + 1);
	assert_int_equal(counts_of(B).sent, before.sent);
	old = *last_of(0, 1, FR_BEAT_PING);
	quorum_receive(B->quorum, old.buf, FR_BEAT_LEN, all.now_ns);
	assert_int_equal(counts_of(B).replayed, before.replayed + 2);
	assert_int_equal(counts_of(B).sent, before.sent);
	/* Dead for a while: what it once said does not make it alive. */
	voter_stop(A);
	pass(&all, 700);
	quorum_receive(B->quorum, old.buf, FR_BEAT_LEN, all.now_ns);
	assert_false(heartbeat_find(quorum_heartbeat(B->quorum), "a")->is_alive);
	/* Nor does it after b has begun anew, and has seen none of it. */
	voter_stop(B);
	voter_start(B);
	quorum_receive(B->quorum, old.buf, FR_BEAT_LEN, all.now_ns);
	assert_false(heartbeat_find(quorum_heartbeat(B->quorum), "a")->is_alive);
	assert_int_equal(counts_of(B).unproven, 1);
	/* A question may have its answer, of the same length; it goes to the address of a. */
	d = last_of(1, 0, FR_BEAT_PONG);
	assert_int_equal(d->to, 0);
}

/* Whatever the counters are: that it was said to another life of this node shows. */
static void what_was_said_to_an_earlier_life_is_not_believed(void **state)
{
	struct datagram old;
	int i;

	(void)state;
	voters_init(&all, 3, true, "");
	pass(&all, 450);
	old = *last_of(0, 1, FR_BEAT_PING);
	voter_stop(A);
	voter_stop(B);
	voter_start(B);
	for (i = 0; i < 1500; i++) {
		quorum_receive(B->quorum, old.buf, FR_BEAT_LEN, all.now_ns);
		assert_false(heartbeat_find(quorum_heartbeat(B->quorum), "a")->is_alive);
		pass(&all, 1);
	}
	assert_int_equal(counts_of(B).unproven, 1500);
}

/* An answer of the life before, though it is to a question of just now */
static void a_session_that_is_over_does_not_come_back(void **state)
{
	struct heartbeat_counts before;
	const struct heartbeat_voter *v;
	struct datagram held;

	(void)state;
	pair("");
	all.is_cut[0][1] = true;
	pass(&all, 105);
	held = *last_of(0, 1, FR_BEAT_PONG);
	voter_stop(A);
	voter_start(A);
	all.is_cut[0][1] = false;
	pass(&all, 250);
	v = heartbeat_find(quorum_heartbeat(B->quorum), "a");
	assert_true(v->is_alive);
	assert_memory_not_equal(held.buf + 8, &(uint64_t){ htobe64(v->last.stamp.session) }, 8);
	before = counts_of(B);
	quorum_receive(B->quorum, held.buf, FR_BEAT_LEN, all.now_ns);
	assert_memory_not_equal(held.buf + 8, &(uint64_t){ htobe64(v->last.stamp.session) }, 8);
	assert_int_equal(counts_of(B).replayed, before.replayed + 1);
}

static void what_is_held_back_keeps_nobody_alive(void **state)
{
	struct datagram held[8];
	int i;

	(void)state;
	pair("");
	/* Somebody in the middle keeps what a says, and lets it go one by one when a is dead. */
	all.is_cut[0][1] = true;
	for (i = 0; i < 8; i++) {
		pass(&all, 101);
		held[i] = *last_of(0, 1, FR_BEAT_PING);
	}
	voter_stop(A);
	pass(&all, 600);
	assert_false(heartbeat_find(quorum_heartbeat(B->quorum), "a")->is_alive);
	for (i = 0; i < 8; i++) {
		quorum_receive(B->quorum, held[i].buf, FR_BEAT_LEN, all.now_ns);
		assert_false(heartbeat_find(quorum_heartbeat(B->quorum), "a")->is_alive);
		pass(&all, 100);
	}
}

static void what_is_forged_is_counted(void **state)
{
	struct heartbeat_counts before;
	uint8_t buf[FR_BEAT_LEN + 1] = { 0 };
	struct datagram d;
	size_t i;

	(void)state;
	pair("");
	before = counts_of(B);
	d = *last_of(0, 1, FR_BEAT_PING);
	for (i = 5; i < FR_BEAT_LEN; i++) {
		memcpy(buf, d.buf, FR_BEAT_LEN);
		buf[i] ^= 1 << i % 8;
		quorum_receive(B->quorum, buf, FR_BEAT_LEN, all.now_ns);
	}
	assert_int_equal(counts_of(B).forged, before.forged + FR_BEAT_LEN - 5);
	for (i = 0; i <= FR_BEAT_LEN + 1; i++)
		if (i != FR_BEAT_LEN)
			quorum_receive(B->quorum, buf, i, all.now_ns);
	assert_int_equal(counts_of(B).malformed, before.malformed + FR_BEAT_LEN + 1);
	assert_int_equal(counts_of(B).sent, before.sent); /* nothing is answered */
}

/* A datagram for one is nothing to another, and does not use up its counters. */
static void what_is_for_another_is_refused(void **state)
{
	struct heartbeat_counts before;
	struct datagram d;

	(void)state;
	pair("");
	before = counts_of(B);
	d = *last_of(0, 2, FR_BEAT_PING);
	quorum_receive(B->quorum, d.buf, FR_BEAT_LEN, all.now_ns);
	assert_int_equal(counts_of(B).strangers, before.strangers + 1);
	d = *last_of(1, 0, FR_BEAT_PING); /* reflected */
	quorum_receive(B->quorum, d.buf, FR_BEAT_LEN, all.now_ns);
	assert_int_equal(counts_of(B).strangers, before.strangers + 2);
	assert_int_equal(counts_of(B).sent, before.sent);
}

static void an_old_request_gets_no_vote(void **state)
{
	struct datagram d;

	(void)state;
	pair("");
	cut(&all, 0, 2, true);
	stand(A);
	pass(&all, 600);
	d = *last_of(0, 2, FR_BEAT_ASK);
	cut(&all, 0, 2, false);
	voter_stop(W);
	voter_start(W);
	pass(&all, 1000);
	quorum_receive(W->quorum, d.buf, FR_BEAT_LEN, all.now_ns);
	assert_int_equal(W->role.promised, 0);
}

/* --- secrets ---------------------------------------------------------------- */

static void set_secrets(struct voter *v, const char *now, const char *old)
{
	static struct fr_config_secret previous[VOTERS_MAX];

	v->config.secret = (struct fr_config_secret){ (const uint8_t *)now, strlen(now) };
	previous[v->number] = (struct fr_config_secret){ (const uint8_t *)old,
							 old ? strlen(old) : 0 };
	v->config.previous.v = &previous[v->number];
	v->config.previous.n = old ? 1 : 0;
	assert_int_equal(quorum_reload(v->quorum), 0);
}

static void a_secret_rolls_out_in_any_order(void **state)
{
	static const char old[] = "0123456789abcdef0123456789abcdef", new[] = "another secret of ours";
	static const int orders[][3] = { { 0, 1, 2 }, { 2, 0, 1 }, { 1, 2, 0 } };
	size_t i;
	int k, n;

	(void)state;
	for (i = 0; i < 3; i++) {
		pair("");
		for (k = 0; k < 3; k++) {
			set_secrets(&all.v[orders[i][k]], new, old);
			for (n = 0; n < 20; n++) {
				pass(&all, 100);
				assert_int_equal(quorum_n_alive(A->quorum), 3);
				assert_int_equal(quorum_n_alive(B->quorum), 3);
				assert_int_equal(quorum_n_alive(W->quorum), 3);
			}
		}
		for (k = 0; k < 3; k++) {
			set_secrets(&all.v[orders[i][k]], new, NULL);
			pass(&all, 2000);
			assert_int_equal(quorum_n_alive(A->quorum), 3);
			assert_int_equal(quorum_n_alive(W->quorum), 3);
		}
		/* One that was left behind is not heard. */
		set_secrets(B, old, NULL);
		pass(&all, 1000);
		assert_int_equal(quorum_n_alive(A->quorum), 2);
		assert_true(counts_of(A).forged > 0);
		voters_free(&all);
	}
}

/* --- all at once -------------------------------------------------------------- */

#define EPOCHS_MAX 4096

static struct {
	char writer[EPOCHS_MAX][8];	/* of each epoch that was taken */
	uint64_t promised[VOTERS_MAX];
	char promised_to[VOTERS_MAX][8];
	unsigned int n_taken;
} seen;

/* What must be true at any time. */
static void look(void)
{
	int i;

	for (i = 0; i < all.n; i++) {
		struct voter *v = &all.v[i];
		uint64_t epoch = v->role.epoch;

		if (!v->quorum)
			continue;
		assert_true(v->role.promised >= seen.promised[i]);
		if (v->role.promised == seen.promised[i] && seen.promised[i])
			assert_string_equal(v->role.promised_to, seen.promised_to[i]);
		seen.promised[i] = v->role.promised;
		strcpy(seen.promised_to[i], v->role.promised_to);
		if (v->role.role != FR_ROLE_PRIMARY)
			continue;
		assert_true(epoch < EPOCHS_MAX);
		seen.n_taken += !seen.writer[epoch][0];
		if (!seen.writer[epoch][0])
			strcpy(seen.writer[epoch], v->id);
		else if (strcmp(seen.writer[epoch], v->id) != 0)
			fail_msg("seed %u: epoch %lu has two writers, %s and %s", all.seed, epoch,
				 seen.writer[epoch], v->id);
	}
}

static void something_happens(void)
{
	struct voter *v = &all.v[chance(&all, all.n)];
	bool is_node = v->number < all.n - all.has_witness;
	const struct datagram *d;
	int other;

	switch (chance(&all, 8)) {
	case 0:
		if (v->quorum)
			voter_stop(v);
		else
			voter_start(v);
		break;
	case 1:
	case 2:
	case 3:
		if (v->quorum && is_node && v->is_done && v->role.role == FR_ROLE_BACKUP)
			stand(v);
		break;
	case 4:
		if (v->quorum && is_node && v->role.role == FR_ROLE_PRIMARY)
			leave(v);
		break;
	case 5:
		other = chance(&all, all.n);
		cut(&all, v->number, other, chance(&all, 2));
		break;
	default:
		if (!all.n_recorded)
			break;
		d = &all.recorded[chance(&all, all.n_recorded < 256 ? all.n_recorded : 256)];
		if (all.v[d->to].quorum)
			quorum_receive(all.v[d->to].quorum, d->buf, FR_BEAT_LEN, all.now_ns);
	}
}

static unsigned int n_primaries(void)
{
	unsigned int n = 0;
	int i;

	for (i = 0; i < all.n; i++)
		n += all.v[i].quorum && all.v[i].role.role == FR_ROLE_PRIMARY;
	return n;
}

/* After it all the network is sound again, and everybody runs. */
static void peace(void)
{
	int i;

	all.loss = all.twice = all.slow = 0;
	memset(all.is_cut, 0, sizeof(all.is_cut));
	for (i = 0; i < all.n; i++)
		if (!all.v[i].quorum)
			voter_start(&all.v[i]);
	pass(&all, 2000);
	look();
	assert_true(n_primaries() <= 1);
	for (i = 0; i < all.n; i++)
		assert_int_equal(quorum_n_alive(all.v[i].quorum), all.n);
	if (!n_primaries()) {
		make_primary(A);
		assert_int_equal(n_primaries(), 1);
	}
	look();
}

static void run(unsigned int seed, int n, bool has_witness)
{
	unsigned int i;

	voters_init(&all, n, has_witness, "");
	memset(&seen, 0, sizeof(seen));
	all.seed = seed;
	all.loss = chance(&all, 40);
	all.twice = chance(&all, 20);
	all.slow = chance(&all, 40);
	for (i = 0; i < 150; i++) {
		pass(&all, chance(&all, 250));
		look();
		something_happens();
		look();
	}
	peace();
	voters_free(&all);
}

static void an_epoch_has_one_writer(void **state)
{
	unsigned int seed, n_taken = 0;

	(void)state;
	fr_log_open("test", FR_LOG_ERR);
	for (seed = 1; seed <= 40; seed++) {
		run(seed, 3, true);
		n_taken += seen.n_taken;
		run(seed, 3, false);
		n_taken += seen.n_taken;
		run(seed, 5, seed % 2);
		n_taken += seen.n_taken;
	}
	print_message("%u takeovers\n", n_taken);
	assert_true(n_taken > 200);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(everybody_is_alive, end),
		cmocka_unit_test_teardown(a_takeover_with_the_witness, end),
		cmocka_unit_test_teardown(nobody_takes_over_a_live_primary, end),
		cmocka_unit_test_teardown(a_planned_switchover, end),
		cmocka_unit_test_teardown(no_majority, end),
		cmocka_unit_test_teardown(promises_are_kept, end),
		cmocka_unit_test_teardown(a_promise_that_cannot_be_saved, end),
		cmocka_unit_test_teardown(two_candidates, end),
		cmocka_unit_test_teardown(a_split_brain, end),
		cmocka_unit_test(the_rule_ends_a_split_brain),
		cmocka_unit_test_teardown(rules_that_differ_heal_nothing, end),
		cmocka_unit_test_teardown(what_is_replayed_is_ignored, end),
		cmocka_unit_test_teardown(what_was_said_to_an_earlier_life_is_not_believed, end),
		cmocka_unit_test_teardown(a_session_that_is_over_does_not_come_back, end),
		cmocka_unit_test_teardown(what_is_held_back_keeps_nobody_alive, end),
		cmocka_unit_test_teardown(what_is_forged_is_counted, end),
		cmocka_unit_test_teardown(what_is_for_another_is_refused, end),
		cmocka_unit_test_teardown(an_old_request_gets_no_vote, end),
		cmocka_unit_test(a_secret_rolls_out_in_any_order),
		cmocka_unit_test(an_epoch_has_one_writer),
	};

	fr_log_open("test", FR_LOG_ERR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
