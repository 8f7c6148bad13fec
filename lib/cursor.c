// SPDX-License-Identifier: GPL-2.0-or-later
#include "cursor.h"

#include <endian.h>
#include <string.h>

void fr_reader_init(struct fr_reader *r, const void *buf, size_t len)
{
	/* An empty reader may come without memory; NULL + 0 is not for C. */
	static const uint8_t nothing;

	r->pos = buf ? buf : &nothing;
	r->end = r->pos + (buf ? len : 0);
	r->bad = !buf && len;
}

size_t fr_reader_left(const struct fr_reader *r)
{
	return r->bad ? 0 : (size_t)(r->end - r->pos);
}

const uint8_t *fr_get_ref(struct fr_reader *r, size_t len)
{
	const uint8_t *p = r->pos;

	if (r->bad || len > (size_t)(r->end - r->pos)) {
		r->bad = true;
		return NULL;
	}
	r->pos += len;
	return p;
}

void fr_get_bytes(struct fr_reader *r, void *dst, size_t len)
{
	const uint8_t *p = fr_get_ref(r, len);

	if (!len)
		return;
	if (p)
		memcpy(dst, p, len);
	else
		memset(dst, 0, len);
}

uint8_t fr_get_u8(struct fr_reader *r)
{
	const uint8_t *p = fr_get_ref(r, 1);

	return p ? *p : 0;
}

uint16_t fr_get_be16(struct fr_reader *r)
{
	uint16_t v;

	fr_get_bytes(r, &v, sizeof(v));
	return be16toh(v);
}

uint32_t fr_get_be32(struct fr_reader *r)
{
	uint32_t v;

	fr_get_bytes(r, &v, sizeof(v));
	return be32toh(v);
}

uint64_t fr_get_be64(struct fr_reader *r)
{
	uint64_t v;

	fr_get_bytes(r, &v, sizeof(v));
	return be64toh(v);
}

uint64_t fr_get_varint(struct fr_reader *r)
{
	uint64_t v = 0;
	unsigned int shift;

	for (shift = 0; shift < 64; shift += 7) {
		uint8_t b = fr_get_u8(r);

		if (r->bad)
			return 0;
		/* Only the shortest form of a number is one: no bits lost, no idle last byte. */
		if ((shift == 63 && b > 1) || (shift && !b))
			break;
		v |= (uint64_t)(b & 0x7f) << shift;
		if (!(b & 0x80))
			return v;
	}
	r->bad = true;
	return 0;
}

void fr_get_str8(struct fr_reader *r, char *dst, size_t size)
{
	size_t len = fr_get_u8(r);
	const uint8_t *p = fr_get_ref(r, len);

	if (!p || len >= size || memchr(p, 0, len)) {
		r->bad = true;
		len = 0;
	} else {
		memcpy(dst, p, len);
	}
	if (size)
		dst[len] = 0;
}

void fr_writer_init(struct fr_writer *w, void *buf, size_t len)
{
	w->start = buf;
	w->pos = buf;
	w->end = w->start + len;
	w->bad = false;
}

size_t fr_writer_len(const struct fr_writer *w)
{
	return (size_t)(w->pos - w->start);
}

uint8_t *fr_put_room(struct fr_writer *w, size_t len)
{
	uint8_t *p = w->pos;

	if (w->bad || len > (size_t)(w->end - w->pos)) {
		w->bad = true;
		return NULL;
	}
	w->pos += len;
	return p;
}

void fr_put_bytes(struct fr_writer *w, const void *src, size_t len)
{
	uint8_t *p = fr_put_room(w, len);

	if (p && len)
		memcpy(p, src, len);
}

void fr_put_u8(struct fr_writer *w, uint8_t v)
{
	fr_put_bytes(w, &v, sizeof(v));
}

void fr_put_be16(struct fr_writer *w, uint16_t v)
{
	v = htobe16(v);
	fr_put_bytes(w, &v, sizeof(v));
}

void fr_put_be32(struct fr_writer *w, uint32_t v)
{
	v = htobe32(v);
	fr_put_bytes(w, &v, sizeof(v));
}

void fr_put_be64(struct fr_writer *w, uint64_t v)
{
	v = htobe64(v);
	fr_put_bytes(w, &v, sizeof(v));
}

void fr_put_varint(struct fr_writer *w, uint64_t v)
{
	uint8_t buf[10];
	size_t n = 0;

	while (v >= 0x80) {
		buf[n++] = (uint8_t)(v | 0x80);
		v >>= 7;
	}
	buf[n++] = (uint8_t)v;
	fr_put_bytes(w, buf, n);
}

void fr_put_str8(struct fr_writer *w, const char *s)
{
	size_t len = strlen(s);

	if (len > UINT8_MAX) {
		w->bad = true;
		return;
	}
	fr_put_u8(w, (uint8_t)len);
	fr_put_bytes(w, s, len);
}
