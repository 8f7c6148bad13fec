/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Looks: elements that are to be looked at, in their order and not before their time; and keys,
 * the records by which they are asked for.
 */
#ifndef LOOKS_H
#define LOOKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "flyrep.h"
#include "records.h"

struct set;

/**
 * struct look - at one element
 * @set: of which
 * @at_ms: not before, CLOCK_MONOTONIC
 * @tries: looks before this one
 * @key_len: bytes of @key
 * @key: as in a hint
 */
struct look {
	struct set *set;
	uint64_t at_ms;
	uint8_t tries;
	uint8_t key_len;
	uint8_t key[FLYREP_HINT_KEY_MAX_LEN];
};

/* Zeroed: empty. */
struct looks {
	struct look *v;
	size_t begin;
	size_t end;
	size_t room;
};

#define LOOKS_MAX 262144

/* Behind all others. -ENOSPC, -ENOMEM */
int looks_add(struct looks *q, const struct look *l);
/*
 * Take the next ones that are of one set and whose time has come; at most @max. Return: how many
 */
size_t looks_take(struct looks *q, uint64_t now_ms, struct look *out, size_t max);
/* When the first is to be looked at; UINT64_MAX: there is none */
uint64_t looks_next_ms(const struct looks *q);
void looks_clear(struct looks *q);
void looks_free(struct looks *q);

/**
 * struct keys - packed records that say no more than a key, of one set; zeroed: none
 */
struct keys {
	uint8_t *recs;
	size_t len;
	size_t n;
	size_t room;
};

/* FR_RECORD_KEY_ROOM bytes to make one in; NULL: no memory. */
void *keys_room(struct keys *k);
/* Likewise, @len bytes. */
void *keys_room_for(struct keys *k, size_t len);
/* One of @len bytes was made there. */
void keys_added(struct keys *k, size_t len);
void keys_reset(struct keys *k);
void keys_free(struct keys *k);

#endif
