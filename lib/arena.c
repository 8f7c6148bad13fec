// SPDX-License-Identifier: GPL-2.0-or-later
#include "arena.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define ARENA_BLOCK_LEN 8192

struct fr_arena_block {
	struct fr_arena_block *next;
	size_t len;
	size_t used;
	max_align_t bytes[];
};

void fr_arena_init(struct fr_arena *arena, size_t max)
{
	*arena = (struct fr_arena){ .max = max };
}

static struct fr_arena_block *block_new(struct fr_arena *arena, size_t len)
{
	struct fr_arena_block *block;

	if (len < ARENA_BLOCK_LEN)
		len = ARENA_BLOCK_LEN;
	block = calloc(1, sizeof(*block) + len);
	if (!block)
		return NULL;
	block->len = len;
	block->next = arena->head;
	arena->head = block;
	return block;
}

void *fr_arena_alloc(struct fr_arena *arena, size_t len)
{
	struct fr_arena_block *block = arena->head;
	const size_t align = alignof(max_align_t);
	void *p;

	if (len > SIZE_MAX / 2)
		return NULL;
	len = (len + align - 1) / align * align;
	if (arena->max && len > arena->max - arena->n_bytes)
		return NULL;
	if (!block || block->len - block->used < len)
		block = block_new(arena, len);
	if (!block)
		return NULL;
	p = (unsigned char *)block->bytes + block->used;
	block->used += len;
	arena->n_bytes += len;
	return p;
}

char *fr_arena_strndup(struct fr_arena *arena, const char *s, size_t len)
{
	char *copy = len < SIZE_MAX ? fr_arena_alloc(arena, len + 1) : NULL;

	if (copy && len)
		memcpy(copy, s, len);
	return copy;
}

void fr_arena_free(struct fr_arena *arena)
{
	struct fr_arena_block *block = arena->head;

	while (block) {
		struct fr_arena_block *next = block->next;

		explicit_bzero(block, sizeof(*block) + block->len);
		free(block);
		block = next;
	}
	fr_arena_init(arena, arena->max);
}
