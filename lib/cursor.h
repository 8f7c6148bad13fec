/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Bounded cursors: the only way bytes enter or leave a buffer that came from, or
 * goes to, a peer or a file. An overrun sticks: after it every get returns zero
 * and every put does nothing, so a codec checks once, at its end.
 * Integers on the wire are big endian; varints are LEB128.
 */
#ifndef FR_CURSOR_H
#define FR_CURSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * struct fr_reader - a read position in memory someone else owns
 * @pos: next byte
 * @end: one past the last byte
 * @bad: a read went past the end, or a varint was malformed
 */
struct fr_reader {
	const uint8_t *pos;
	const uint8_t *end;
	bool bad;
};

/**
 * struct fr_writer - a write position in memory someone else owns
 * @start: first byte
 * @pos: next byte
 * @end: one past the last byte
 * @bad: a write did not fit
 */
struct fr_writer {
	uint8_t *start;
	uint8_t *pos;
	uint8_t *end;
	bool bad;
};

void fr_reader_init(struct fr_reader *r, const void *buf, size_t len);
size_t fr_reader_left(const struct fr_reader *r);
uint8_t fr_get_u8(struct fr_reader *r);
uint16_t fr_get_be16(struct fr_reader *r);
uint32_t fr_get_be32(struct fr_reader *r);
uint64_t fr_get_be64(struct fr_reader *r);
uint64_t fr_get_varint(struct fr_reader *r);
/* Copies @len bytes; on overrun @dst is zeroed. */
void fr_get_bytes(struct fr_reader *r, void *dst, size_t len);
/* The next @len bytes in place, or NULL on overrun. */
const uint8_t *fr_get_ref(struct fr_reader *r, size_t len);
/* A string of one length byte and that many bytes, no NUL inside; NUL-terminated in @dst. */
void fr_get_str8(struct fr_reader *r, char *dst, size_t size);

void fr_writer_init(struct fr_writer *w, void *buf, size_t len);
size_t fr_writer_len(const struct fr_writer *w);
void fr_put_u8(struct fr_writer *w, uint8_t v);
void fr_put_be16(struct fr_writer *w, uint16_t v);
void fr_put_be32(struct fr_writer *w, uint32_t v);
void fr_put_be64(struct fr_writer *w, uint64_t v);
void fr_put_varint(struct fr_writer *w, uint64_t v);
void fr_put_bytes(struct fr_writer *w, const void *src, size_t len);
/* Room for @len bytes to be filled in later, or NULL when it does not fit. */
uint8_t *fr_put_room(struct fr_writer *w, size_t len);
/* At most 255 bytes; longer is bad. */
void fr_put_str8(struct fr_writer *w, const char *s);

#endif
