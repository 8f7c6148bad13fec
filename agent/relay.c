// SPDX-License-Identifier: GPL-2.0-or-later

#include "relay.h"

#include "flow.h"

static bool is_chain(const struct flow *f)
{
	return f->config->mode == FR_CONFIG_CHAIN;
}

/*
 * What the peer offers as the source of what this node holds. In a chain a writer of old may be
 * nearer than the one of now.
 */
static uint8_t offered(const struct flow_link *l)
{
	if (!peer_conn(l->peer) || (is_chain(l->flow) && l->epoch < l->flow->role.epoch))
		return FR_DISTANCE_NONE;
	if (l->role == FR_ROLE_PRIMARY)
		return 0;
	return l->role == FR_ROLE_BACKUP ? l->distance : FR_DISTANCE_NONE;
}

/* Of two writers the one of the higher epoch is meant. */
static bool is_better(const struct flow_link *a, const struct flow_link *b)
{
	uint8_t other = b ? offered(b) : FR_DISTANCE_READS;

	return offered(a) < other || (!other && !offered(a) && a->epoch > b->epoch);
}

bool relay_choose(struct flow *f)
{
	struct flow_link *was = f->source;
	uint8_t distance = f->distance;
	size_t i;

	/* Who feeds this node goes on, unless another one is nearer. */
	if (f->source && !is_better(f->source, NULL))
		f->source = NULL;
	for (i = 0; i < f->n_links; i++)
		if (is_better(&f->links[i], f->source))
			f->source = &f->links[i];
	if (f->role.role != FR_ROLE_BACKUP)
		f->source = NULL;
	f->distance = f->source && offered(f->source) < FR_DISTANCE_MAX ?
			      (uint8_t)(offered(f->source) + 1) :
			      FR_DISTANCE_NONE;
	return was != f->source || distance != f->distance;
}

uint8_t relay_distance(const struct flow *f, const struct flow_link *l)
{
	if (f->source == l)
		return FR_DISTANCE_READS;
	return is_chain(f) ? f->distance : FR_DISTANCE_NONE;
}

bool relay_reads(const struct flow *f, const struct flow_link *l)
{
	return f->source == l;
}

bool relay_writes(const struct flow *f, const struct flow_link *l)
{
	return is_chain(f) && f->distance <= FR_DISTANCE_MAX &&
	       f->source != l && l->distance == FR_DISTANCE_READS;
}

void relay_start(struct relay_way *w, uint64_t seq)
{
	w->begin = w->n = 0;
	w->seq = seq;
}

static struct relay_batch *nth(struct relay_way *w, size_t i)
{
	return &w->v[(w->begin + i) % RELAY_WAY_LEN];
}

uint64_t relay_acked(struct relay_way *w, uint64_t received, uint64_t shipped, uint64_t acked)
{
	struct relay_batch b = { received, shipped };

	if (w->n && nth(w, w->n - 1)->received == received)
		*nth(w, w->n - 1) = b;
	else if (w->n == RELAY_WAY_LEN)
		*nth(w, w->n - 1) = b; /* and the one before waits for this one */
	else
		*nth(w, w->n++) = b;
	while (w->n && nth(w, 0)->shipped <= acked) {
		w->seq = nth(w, 0)->received;
		w->begin = (w->begin + 1) % RELAY_WAY_LEN;
		w->n--;
	}
	return w->seq;
}
