// SPDX-License-Identifier: GPL-2.0-or-later
#include "frame.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#define N_OF(array) (sizeof(array) / sizeof((array)[0]))

#define ZSTD_LEVEL 1
#define SAVING_MIN 16

static const char *const type_names[] = {
	[FR_FRAME_HELLO] = "HELLO",
	[FR_FRAME_START] = "START",
	[FR_FRAME_BATCH] = "BATCH",
	[FR_FRAME_ACK] = "ACK",
	[FR_FRAME_AUDIT] = "AUDIT",
	[FR_FRAME_AUDIT_REPLY] = "AUDIT_REPLY",
	[FR_FRAME_REPAIR_BEGIN] = "REPAIR_BEGIN",
	[FR_FRAME_REPAIR_END] = "REPAIR_END",
	[FR_FRAME_ROLE] = "ROLE",
	[FR_FRAME_PING] = "PING",
	[FR_FRAME_PONG] = "PONG",
	[FR_FRAME_ERROR] = "ERROR",
	[FR_FRAME_CHECK] = "CHECK",
	[FR_FRAME_CHECKED] = "CHECKED",
	[FR_FRAME_RECALL] = "RECALL",
	[FR_FRAME_RECALLED] = "RECALLED",
	[FR_FRAME_MOVE] = "MOVE",
	[FR_FRAME_MOVED] = "MOVED",
	[FR_FRAME_RENEW] = "RENEW",
	[FR_FRAME_PAUSE] = "PAUSE",
	[FR_FRAME_RESYNC] = "RESYNC",
};

_Static_assert(N_OF(type_names) == FR_FRAME_TYPE_END,
	       "a frame type has no name");

const char *fr_frame_type_name(unsigned int type)
{
	const char *name = type < N_OF(type_names) ? type_names[type] : NULL;

	return name ? name : "unknown";
}

void fr_frame_head_encode(uint8_t head[FR_FRAME_HEAD_LEN],
			  const struct fr_frame_head *h)
{
	struct fr_writer w;

	fr_writer_init(&w, head, FR_FRAME_HEAD_LEN);
	fr_put_be32(&w, h->len);
	fr_put_u8(&w, h->type);
	fr_put_u8(&w, h->flags);
	fr_put_u8(&w, h->table);
	fr_put_u8(&w, 0);
	fr_put_be64(&w, h->seq);
}

/* Whether a frame of this type is of one table; CHECK may be of all, as table 0. */
static bool is_table_right(uint8_t type, uint8_t table)
{
	switch (type) {
	case FR_FRAME_CHECK:
		return true;
	case FR_FRAME_BATCH:
	case FR_FRAME_AUDIT:
	case FR_FRAME_AUDIT_REPLY:
	case FR_FRAME_REPAIR_BEGIN:
	case FR_FRAME_REPAIR_END:
	case FR_FRAME_CHECKED:
	case FR_FRAME_RECALL:
	case FR_FRAME_RECALLED:
		return table;
	default:
		return !table;
	}
}

int fr_frame_head_decode(struct fr_frame_head *h,
			 const uint8_t head[FR_FRAME_HEAD_LEN])
{
	struct fr_reader r;
	uint8_t reserved;

	fr_reader_init(&r, head, FR_FRAME_HEAD_LEN);
	h->len = fr_get_be32(&r);
	h->type = fr_get_u8(&r);
	h->flags = fr_get_u8(&r);
	h->table = fr_get_u8(&r);
	reserved = fr_get_u8(&r);
	h->seq = fr_get_be64(&r);

	if (!h->type || h->type >= FR_FRAME_TYPE_END || reserved ||
	    (h->flags & ~(FR_FRAME_F_ZSTD | FR_FRAME_F_REPAIR | FR_FRAME_F_REFS)) ||
	    !is_table_right(h->type, h->table))
		return -EBADMSG;
	/* A BATCH is either of the stream, numbered from 1, or of a repair or recall. */
	if (h->type == FR_FRAME_BATCH) {
		if (!h->seq == !(h->flags & FR_FRAME_F_REPAIR))
			return -EBADMSG;
		/* What a repair names may not be there. */
		if (!h->seq && h->flags & FR_FRAME_F_REFS)
			return -EBADMSG;
	} else if (h->seq || (h->flags & (FR_FRAME_F_REPAIR | FR_FRAME_F_REFS))) {
		return -EBADMSG;
	}
	return h->len > FR_FRAME_MAX_LEN ? -EMSGSIZE : 0;
}

struct fr_squeeze {
	ZSTD_CCtx *cctx;
	ZSTD_DCtx *dctx;
	uint8_t *out;
	size_t out_len;
};

struct fr_squeeze *fr_squeeze_new(void)
{
	struct fr_squeeze *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->cctx = ZSTD_createCCtx();
	s->dctx = ZSTD_createDCtx();
	if (!s->cctx || !s->dctx ||
	    ZSTD_isError(ZSTD_CCtx_setParameter(
		    s->cctx, ZSTD_c_compressionLevel, ZSTD_LEVEL))) {
		fr_squeeze_free(s);
		return NULL;
	}
	return s;
}

void fr_squeeze_free(struct fr_squeeze *s)
{
	if (!s)
		return;
	ZSTD_freeCCtx(s->cctx);
	ZSTD_freeDCtx(s->dctx);
	free(s->out);
	free(s);
}

ssize_t fr_squeeze_pack(struct fr_squeeze *s, uint8_t *dst, size_t dst_len,
			const void *src, size_t len, uint8_t *flags)
{
	size_t saving = len / 16 > SAVING_MIN ? len / 16 : SAVING_MIN;
	size_t n;

	*flags &= (uint8_t)~FR_FRAME_F_ZSTD;
	if (len > FR_PAYLOAD_MAX_LEN)
		return -ENOSPC;
	if (len > saving) {
		size_t room = len - saving;

		/* What does not fit this room is not worth it. */
		n = ZSTD_compress2(s->cctx, dst,
				   room < dst_len ? room : dst_len, src, len);
		if (!ZSTD_isError(n)) {
			*flags |= FR_FRAME_F_ZSTD;
			return (ssize_t)n;
		}
	}
	if (len > dst_len)
		return -ENOSPC;
	if (len)
		memcpy(dst, src, len);
	return (ssize_t)len;
}

/*
 * The size that one complete frame, with nothing behind it, declares. Skippable
 * frames and those of old formats, which the library may know, are no payload.
 */
static int declared_len(const uint8_t *src, size_t len, size_t *out_len)
{
	static const uint8_t magic[4] = { 0x28, 0xb5, 0x2f, 0xfd };
	unsigned long long n;

	if (len < sizeof(magic) || memcmp(src, magic, sizeof(magic)))
		return -EBADMSG;
	n = ZSTD_getFrameContentSize(src, len);
	if (n == ZSTD_CONTENTSIZE_UNKNOWN || n == ZSTD_CONTENTSIZE_ERROR ||
	    n > FR_PAYLOAD_MAX_LEN)
		return -EBADMSG;
	if (ZSTD_findFrameCompressedSize(src, len) != len)
		return -EBADMSG;
	*out_len = (size_t)n;
	return 0;
}

/* Room for @len bytes in s->out; doubles, so that it settles soon. */
static int out_grow(struct fr_squeeze *s, size_t len)
{
	size_t room = s->out_len ? s->out_len : 4096;
	uint8_t *out;

	if (s->out && len <= s->out_len)
		return 0;
	while (room < len)
		room *= 2;
	/* Nothing of the old content is wanted. */
	out = malloc(room);
	if (!out)
		return -ENOMEM;
	free(s->out);
	s->out = out;
	s->out_len = room;
	return 0;
}

int fr_squeeze_unpack(struct fr_squeeze *s, const uint8_t *src, size_t len,
		      uint8_t flags, const uint8_t **out, size_t *out_len)
{
	size_t n;
	int err;

	if (!(flags & FR_FRAME_F_ZSTD)) {
		*out = src;
		*out_len = len;
		return 0;
	}
	err = declared_len(src, len, &n);
	if (!err)
		err = out_grow(s, n);
	if (err)
		return err;
	if (ZSTD_decompressDCtx(s->dctx, s->out, n, src, len) != n)
		return -EBADMSG;
	*out = s->out;
	*out_len = n;
	return 0;
}
