/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * arena - memory that is given back all at once
 *
 * For trees that are built once and thrown away whole, such as a parsed
 * configuration.  Freeing wipes every block, so secrets may live here.
 */
#ifndef FR_ARENA_H
#define FR_ARENA_H

#include <stddef.h>

struct fr_arena_block;

struct fr_arena {
	struct fr_arena_block *head;
	size_t n_bytes; /* handed out so far */
	size_t max; /* refuse to hand out more; 0 = no limit */
};

/**
 * fr_arena_init() - an empty arena that will hand out at most @max bytes
 */
void fr_arena_init(struct fr_arena *arena, size_t max);

/**
 * fr_arena_alloc() - @len zeroed bytes, aligned for any object
 *
 * Return: the bytes, which live until fr_arena_free(), or NULL when memory or
 * the arena's limit is exhausted.
 */
void *fr_arena_alloc(struct fr_arena *arena, size_t len);

/**
 * fr_arena_strndup() - a NUL-terminated copy of the @len bytes at @s
 *
 * Return: the copy, or NULL as fr_arena_alloc().
 */
char *fr_arena_strndup(struct fr_arena *arena, const char *s, size_t len);

/**
 * fr_arena_free() - wipe and release everything; the arena is empty after
 */
void fr_arena_free(struct fr_arena *arena);

#endif
