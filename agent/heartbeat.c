// SPDX-License-Identifier: GPL-2.0-or-later

#include "heartbeat.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "keys.h"
#include "log.h"

#define KEYS_MAX (1 + FR_CONFIG_PREVIOUS_MAX)

struct heartbeat {
	const struct fr_config *config;
	const struct heartbeat_ops *ops;
	void *cookie;
	struct fr_beat_key keys[KEYS_MAX];	/* the present one first */
	size_t n_keys;
	struct heartbeat_voter *voters;
	size_t n;
	struct heartbeat_counts counts;
	struct fr_log_limit log_limit;
};

/* --- out ----------------------------------------------------------------- */

/* The key that the other end has; while it is silent all are tried. */
static const struct fr_beat_key *key_for(const struct heartbeat *h, const struct heartbeat_voter *v)
{
	return &h->keys[v->is_alive ? v->key : v->n_sent % h->n_keys];
}

static void emit(struct heartbeat *h, struct heartbeat_voter *v, struct fr_beat *m,
		 const struct fr_beat_key *key, uint64_t now)
{
	uint8_t buf[FR_BEAT_LEN];
	int rc;

	snprintf(m->from, sizeof(m->from), "%s", h->config->node_id);
	if (!m->to[0])
		snprintf(m->to, sizeof(m->to), "%s", v->id[0] ? v->id : v->expected);
	m->stamp.session = v->session;
	m->stamp.counter = ++v->n_sent;
	h->ops->fill(h->cookie, m);
	rc = fr_beat_seal(buf, m, key);
	if (rc) {
		if (fr_log_allow(&h->log_limit, "heartbeat"))
			fr_err("heartbeat: nothing sent to %s: %s", v->name, strerror(-rc));
		return;
	}
	v->sent_ns[v->n_sent % HEARTBEAT_WINDOW] = now;
	h->counts.sent++;
	h->ops->send(h->cookie, v, buf);
}

static void question(struct heartbeat *h, struct heartbeat_voter *v, enum fr_beat_kind kind,
		     uint64_t ballot, uint64_t now)
{
	struct fr_beat m = { .kind = kind, .ballot = ballot };

	if (v->heard_ns)
		m.echo = v->last.stamp;
	emit(h, v, &m, key_for(h, v), now);
}

void heartbeat_ask(struct heartbeat *h, size_t voter, uint64_t ballot, uint64_t now)
{
	question(h, &h->voters[voter], FR_BEAT_ASK, ballot, now);
}

static void answer(struct heartbeat *h, struct heartbeat_voter *v, const struct fr_beat *question,
		   enum fr_beat_verdict verdict, size_t key, uint64_t now)
{
	struct fr_beat m = { .kind = verdict ? FR_BEAT_VOTE : FR_BEAT_PONG,
			     .verdict = verdict,
			     .echo = question->stamp };

	if (verdict)
		m.ballot = question->ballot;
	strcpy(m.to, question->from);
	emit(h, v, &m, &h->keys[key], now);
}

void heartbeat_beat(struct heartbeat *h, uint64_t now)
{
	size_t i;

	heartbeat_tick(h, now);
	/* A witness does not ask: it hears of the nodes by what they ask. */
	for (i = 0; i < h->n && h->config->mode != FR_CONFIG_WITNESS; i++)
		question(h, &h->voters[i], FR_BEAT_PING, 0, now);
}

/* --- in ------------------------------------------------------------------ */

static bool is_recent(const struct heartbeat *h, uint64_t at, uint64_t now)
{
	return now - at < h->config->heartbeat.timeout_ms * 1000000ull;
}

/* Does it answer something that we have sent just now? */
static bool is_proven(const struct heartbeat *h, const struct heartbeat_voter *v,
		      const struct fr_beat *m, uint64_t now)
{
	uint64_t counter = m->echo.counter;

	return m->echo.session == v->session && counter && counter <= v->n_sent &&
	       v->n_sent - counter < HEARTBEAT_WINDOW &&
	       is_recent(h, v->sent_ns[counter % HEARTBEAT_WINDOW], now);
}

/* Of the session there is: was its counter seen, or is too old to be known? */
static bool was_seen(const struct heartbeat_voter *v, const struct fr_beat *m)
{
	uint64_t newest = v->last.stamp.counter, counter = m->stamp.counter;

	if (counter > newest)
		return false;
	return newest - counter >= HEARTBEAT_WINDOW || v->seen >> (newest - counter) & 1;
}

static void mark_seen(struct heartbeat_voter *v, uint64_t newest, uint64_t counter)
{
	uint64_t ahead = counter - newest;

	if (counter <= newest)
		v->seen |= 1ull << (newest - counter);
	else
		v->seen = 1 | (ahead < HEARTBEAT_WINDOW ? v->seen << ahead : 0);
}

/* A voter whose name was not known, or that came back under another one. */
static bool may_be(const struct heartbeat_voter *v, const struct fr_beat *m)
{
	bool is_witness = m->role == FR_BEAT_WITNESS;

	if (v->is_witness != is_witness)
		return false;
	if (strcmp(v->expected, FR_BEAT_ANYONE) != 0)
		return !strcmp(v->expected, m->from);
	return !v->is_alive || !strcmp(v->id, m->from);
}

static struct heartbeat_voter *sender_of(struct heartbeat *h, const struct fr_beat *m)
{
	size_t i;

	if (strcmp(m->to, FR_BEAT_ANYONE) != 0 && strcmp(m->to, h->config->node_id) != 0)
		return NULL;
	if (!strcmp(m->from, h->config->node_id))
		return NULL;
	for (i = 0; i < h->n; i++)
		if (!strcmp(h->voters[i].expected, m->from))
			return may_be(&h->voters[i], m) ? &h->voters[i] : NULL;
	for (i = 0; i < h->n; i++)
		if (may_be(&h->voters[i], m))
			return &h->voters[i];
	return NULL;
}

static void set_alive(struct heartbeat *h, struct heartbeat_voter *v, bool is_alive, uint64_t now)
{
	if (v->is_alive == is_alive)
		return;
	v->is_alive = is_alive;
	h->ops->changed(h->cookie, v, now);
}

static void believe(struct heartbeat *h, struct heartbeat_voter *v, const struct fr_beat *m,
		    size_t key, uint64_t now)
{
	bool is_same = v->heard_ns && m->stamp.session == v->last.stamp.session;
	uint64_t newest = v->last.stamp.counter;

	if (is_same)
		mark_seen(v, newest, m->stamp.counter);
	else
		v->seen = 1;
	/* What it said later than this is known already. */
	if (!is_same || m->stamp.counter > newest)
		v->last = *m;
	if (m->echo.counter > v->echoed)
		v->echoed = m->echo.counter;
	if (m->kind == FR_BEAT_PONG || m->kind == FR_BEAT_VOTE)
		v->rtt_ns = now - v->sent_ns[m->echo.counter % HEARTBEAT_WINDOW];
	snprintf(v->id, sizeof(v->id), "%s", m->from);
	if (!v->is_witness)
		snprintf(v->name, sizeof(v->name), "%s", m->from);
	v->key = key;
	v->heard_ns = now;
	set_alive(h, v, true, now);
}

/* Authentic, and of a voter. */
static void take(struct heartbeat *h, struct heartbeat_voter *v, const struct fr_beat *m,
		 size_t key, uint64_t now)
{
	bool is_question = m->kind == FR_BEAT_PING || m->kind == FR_BEAT_ASK;
	bool is_same = v->heard_ns && m->stamp.session == v->last.stamp.session;

	if (is_same && was_seen(v, m)) {
		h->counts.replayed++;
		return;
	}
	if (!is_proven(h, v, m, now)) {
		h->counts.unproven++;
		if (is_question)
			answer(h, v, m, FR_BEAT_NONE, key, now);
		return;
	}
	/* A session that is over proves itself with nothing newer than the one after it did. */
	if (!is_same && m->echo.counter <= v->echoed) {
		h->counts.replayed++;
		return;
	}
	believe(h, v, m, key, now);
	if (m->kind == FR_BEAT_PING)
		answer(h, v, m, FR_BEAT_NONE, key, now);
	if (v->last.stamp.counter == m->stamp.counter)
		h->ops->heard(h->cookie, v, now);
	if (m->kind == FR_BEAT_ASK && v->last.stamp.counter == m->stamp.counter)
		answer(h, v, m, h->ops->vote(h->cookie, v, now), key, now);
}

void heartbeat_receive(struct heartbeat *h, const void *buf, size_t len, uint64_t now)
{
	struct heartbeat_voter *v;
	struct fr_beat m;
	int key;

	h->counts.received++;
	key = fr_beat_open(&m, buf, len, h->keys, h->n_keys);
	if (key < 0) {
		if (key == -EBADMSG)
			h->counts.malformed++;
		else
			h->counts.forged++;
		return;
	}
	v = sender_of(h, &m);
	if (v) {
		take(h, v, &m, key, now);
		return;
	}
	h->counts.strangers++;
	if (fr_log_allow(&h->log_limit, "heartbeat"))
		fr_warn("heartbeat: one from %s to %s, which is none of ours", m.from, m.to);
}

void heartbeat_tick(struct heartbeat *h, uint64_t now)
{
	size_t i;

	for (i = 0; i < h->n; i++)
		if (h->voters[i].is_alive && !is_recent(h, h->voters[i].heard_ns, now))
			set_alive(h, &h->voters[i], false, now);
}

/* --- life ---------------------------------------------------------------- */

static int derive(struct fr_beat_key *key, const struct fr_config_secret *secret)
{
	struct keys k;
	int rc = keys_init(&k, secret->bytes, secret->len);

	if (!rc)
		rc = keys_heartbeat(&k, key);
	keys_wipe(&k);
	return rc;
}

/* Where a key is now that there are others; that it is gone will be noticed. */
static size_t place_of(const struct fr_beat_key *key, const struct fr_beat_key *keys, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (!memcmp(key, &keys[i], sizeof(*key)))
			return i;
	return 0;
}

int heartbeat_set_secrets(struct heartbeat *h)
{
	const struct fr_config *c = h->config;
	struct fr_beat_key keys[KEYS_MAX];
	size_t i;
	int rc;

	rc = derive(&keys[0], &c->secret);
	for (i = 0; i < c->previous.n && !rc; i++)
		rc = derive(&keys[1 + i], &c->previous.v[i]);
	if (rc) {
		fr_err("heartbeat: no keys: %s", strerror(-rc));
		return rc;
	}
	for (i = 0; i < h->n; i++)
		h->voters[i].key = place_of(&h->keys[h->voters[i].key], keys, 1 + c->previous.n);
	memcpy(h->keys, keys, sizeof(keys));
	h->n_keys = 1 + c->previous.n;
	explicit_bzero(keys, sizeof(keys));
	return 0;
}

static int init_voter(struct heartbeat_voter *v, const struct fr_config_voter *c)
{
	char address[FR_ADDRESS_TEXT_LEN];

	v->address = c->address;
	v->is_witness = c->is_witness;
	snprintf(v->expected, sizeof(v->expected), "%s", c->id);
	fr_address_format(&c->address, address);
	if (strcmp(c->id, FR_BEAT_ANYONE) != 0)
		snprintf(v->name, sizeof(v->name), "%s", c->id);
	else
		snprintf(v->name, sizeof(v->name), "%s %s", c->is_witness ? "witness" : "node",
			 address);
	if (getrandom(&v->session, sizeof(v->session), 0) != sizeof(v->session))
		return -EIO;
	v->session |= !v->session;
	return 0;
}

int heartbeat_new(struct heartbeat **out, const struct fr_config *config,
		  const struct heartbeat_ops *ops, void *cookie)
{
	struct heartbeat *h = calloc(1, sizeof(*h));
	struct fr_config_voter c;
	size_t n = 0;
	int rc = 0;

	if (!h)
		return -ENOMEM;
	h->config = config;
	h->ops = ops;
	h->cookie = cookie;
	while (fr_config_voter(config, n, &c))
		n++;
	h->voters = calloc(n, sizeof(*h->voters));
	if (!h->voters)
		rc = -ENOMEM;
	for (; !rc && fr_config_voter(config, h->n, &c); h->n++)
		rc = init_voter(&h->voters[h->n], &c);
	if (!rc)
		rc = heartbeat_set_secrets(h);
	if (rc) {
		heartbeat_free(h);
		return rc;
	}
	*out = h;
	return 0;
}

void heartbeat_free(struct heartbeat *h)
{
	if (!h)
		return;
	explicit_bzero(h->keys, sizeof(h->keys));
	free(h->voters);
	free(h);
}

size_t heartbeat_n_voters(const struct heartbeat *h)
{
	return h->n;
}

const struct heartbeat_voter *heartbeat_voter(const struct heartbeat *h, size_t i)
{
	return &h->voters[i];
}

const struct heartbeat_voter *heartbeat_find(const struct heartbeat *h, const char *id)
{
	size_t i;

	for (i = 0; i < h->n; i++)
		if (!strcmp(h->voters[i].id, id) || !strcmp(h->voters[i].expected, id))
			return &h->voters[i];
	return NULL;
}

const struct heartbeat_counts *heartbeat_counts(const struct heartbeat *h)
{
	return &h->counts;
}
