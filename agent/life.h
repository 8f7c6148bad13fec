/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Life: which life of its kernel this node is in. A boot and a network namespace each begin
 * another one, with empty tables.
 */
#ifndef LIFE_H
#define LIFE_H

#include "frame.h"

/**
 * life_read - the boot id of the kernel, and the cookie of our namespace mixed in
 * @life: zero on an error: peers are not told
 * Source: /proc/sys/kernel/random/boot_id (random(4)); SO_NETNS_COOKIE (socket(7)), never given
 *	twice in one boot
 * Return: 0 or -errno
 */
int life_read(uint8_t life[FR_LIFE_LEN]);

/*
 * Of a peer, as it was when it was last heard, in the file life.NODE of the state directory: this
 * node may have been away as well when it rebooted. life_load(): zero if there is none that can be
 * read. life_save(): 0 or -errno
 */
void life_load(const char *dir, const char *peer, uint8_t life[FR_LIFE_LEN]);
int life_save(const char *dir, const char *peer, const uint8_t life[FR_LIFE_LEN]);

/* Told, both of them, and not the same. */
bool life_is_another(const uint8_t a[FR_LIFE_LEN], const uint8_t b[FR_LIFE_LEN]);

#endif
