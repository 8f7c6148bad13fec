// SPDX-License-Identifier: GPL-2.0-or-later

#include "looks.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int looks_add(struct looks *q, const struct look *l)
{
	size_t n = q->end - q->begin, room = q->room ? 2 * q->room : 64;
	struct look *v;

	if (n >= LOOKS_MAX)
		return -ENOSPC;
	if (q->end == q->room && q->begin > q->room / 2) {
		memmove(q->v, q->v + q->begin, n * sizeof(*q->v));
		q->begin = 0;
		q->end = n;
	}
	if (q->end == q->room) {
		v = realloc(q->v, room * sizeof(*v));
		if (!v)
			return -ENOMEM;
		q->v = v;
		q->room = room;
	}
	q->v[q->end++] = *l;
	return 0;
}

size_t looks_take(struct looks *q, uint64_t now_ms, struct look *out, size_t max)
{
	const struct look *l = q->v + q->begin;
	size_t n = 0;

	while (n < max && q->begin + n < q->end && l[n].set == l[0].set && l[n].at_ms <= now_ms)
		n++;
	if (n)
		memcpy(out, l, n * sizeof(*l));
	q->begin += n;
	if (q->begin == q->end)
		looks_clear(q);
	return n;
}

uint64_t looks_next_ms(const struct looks *q)
{
	return q->begin == q->end ? UINT64_MAX : q->v[q->begin].at_ms;
}

void looks_clear(struct looks *q)
{
	q->begin = q->end = 0;
}

void looks_free(struct looks *q)
{
	free(q->v);
	*q = (struct looks){ 0 };
}

void *keys_room(struct keys *k)
{
	return keys_room_for(k, FR_RECORD_KEY_ROOM);
}

void *keys_room_for(struct keys *k, size_t len)
{
	size_t room = 2 * k->room + 16 * FR_RECORD_KEY_ROOM + len;
	uint8_t *recs;

	if (k->room - k->len >= len)
		return k->recs + k->len;
	recs = realloc(k->recs, room);
	if (!recs)
		return NULL;
	k->recs = recs;
	k->room = room;
	return k->recs + k->len;
}

void keys_added(struct keys *k, size_t len)
{
	k->len += len;
	k->n++;
}

void keys_reset(struct keys *k)
{
	k->len = k->n = 0;
}

void keys_free(struct keys *k)
{
	free(k->recs);
	*k = (struct keys){ 0 };
}
