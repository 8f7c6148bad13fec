/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * SipHash-2-4, 64-bit output (Aumasson, Bernstein 2012). The same function the
 * kernel's siphash() computes, so bucket numbers agree on both sides. Here and
 * not from a library because it runs for every record, on 16 to 80 bytes.
 */
#ifndef FR_SIPHASH_H
#define FR_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

/**
 * struct fr_siphash_key - 128-bit key
 * @b: the bytes as passed in FLYREP_A_HASH_KEY: two little-endian 64-bit words
 */
struct fr_siphash_key {
	uint8_t b[16];
};

uint64_t fr_siphash(const void *data, size_t len, const struct fr_siphash_key *key);

#endif
