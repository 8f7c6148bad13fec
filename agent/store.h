/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Store: the little that must survive a restart, in one file of the state directory,
 * replaced atomically (temporary file, fsync, rename, fsync of the directory).
 * Text, one "key value" a line, so a person can read it; a damaged file is an
 * error with its line, never a guess.
 */
#ifndef STORE_H
#define STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "frame.h"
#include "siphash.h"

/**
 * struct store_state - contents
 * @epoch: highest epoch this node has seen or taken; 0: never
 * @role: enum fr_role at the last change, 0: never set, take it from the mode
 * @hash_key: of buckets and digests
 * @has_hash_key: there is one
 * @promised: highest epoch this node has voted for; 0: never
 * @promised_to: the node it was promised to, "" for none
 * @since_us: CLOCK_REALTIME when it became primary, 0: it is not, or not known
 * @is_forced: primary without the votes it needed
 */
struct store_state {
	uint64_t epoch;
	uint8_t role;
	bool has_hash_key;
	struct fr_siphash_key hash_key;
	uint64_t promised;
	char promised_to[FR_NODE_ID_MAX_LEN + 1];
	uint64_t since_us;
	bool is_forced;
};

/* A missing file is an empty state. -errno; *why (static or in @buf) says what is wrong. */
int store_load(const char *dir, struct store_state *s, char *why, unsigned int why_len);
int store_save(const char *dir, const struct store_state *s);

/* Replace a file of the state directory, whole or not at all. 0 or -errno */
int store_replace(const char *dir, const char *name, const char *text, size_t len);

#endif
