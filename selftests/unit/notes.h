/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A table of records of any length for tests of the stages: a note has a name, which is
 * its key, and a text. A text that begins with '!' is one that the check refuses.
 */
#ifndef NOTES_H
#define NOTES_H

#include <errno.h>
#include <string.h>

#include "records.h"

#define NOTE_TABLE	60
#define NOTE_TEXT_MAX	3000
#define NOTE_TAIL_MAX	(FR_KEY_MAX_LEN + NOTE_TEXT_MAX)

struct note {
	struct flyrep_rec rec;
	uint16_t name_len;
	uint16_t text_len;
	uint32_t reserved;
	uint8_t tail[];		/* name, text, and zero bytes up to a multiple of 8 */
};

/* Room for any. */
union note_room {
	struct note note;
	uint8_t bytes[sizeof(struct note) + NOTE_TAIL_MAX + 8];
};

static inline void *note_make(union note_room *room, uint8_t op, uint32_t id, const char *name,
			      const char *text)
{
	struct note *n = &room->note;

	memset(room, 0, sizeof(*room));
	n->name_len = strlen(name);
	n->text_len = op == FLYREP_OP_DELETE ? 0 : strlen(text);
	memcpy(n->tail, name, n->name_len);
	memcpy(n->tail + n->name_len, text, n->text_len);
	n->rec.op = op;
	n->rec.id = id;
	n->rec.tail_len = (n->name_len + n->text_len + 7u) & ~7u;
	return n;
}

static inline unsigned int note_key(uint8_t *key, const void *rec)
{
	const struct note *n = rec;

	memcpy(key, n->tail, n->name_len);
	return n->name_len;
}

static inline int note_from_key(void *rec, const uint8_t *key, size_t key_len)
{
	struct note *n = rec;

	if (!key_len || key_len > FR_KEY_MAX_LEN)
		return -EINVAL;
	n->name_len = key_len;
	n->rec.tail_len = (key_len + 7) & ~7ul;
	memcpy(n->tail, key, key_len);
	return 0;
}

static inline uint64_t note_digest(const void *rec, const struct fr_siphash_key *hash_key)
{
	const struct note *n = rec;

	return fr_siphash(n->tail, (size_t)n->name_len + n->text_len, hash_key);
}

static inline int note_check(const void *rec, const char **why)
{
	const struct note *n = rec;

	if (n->text_len && n->tail[n->name_len] == '!') {
		*why = "not with a '!'";
		return -EINVAL;
	}
	return 0;
}

static inline int note_encode(struct fr_writer *w, const void *recs, size_t n)
{
	const struct fr_table t = { .rec_len = sizeof(struct note) };
	const struct note *note = recs;
	const char *why;

	fr_put_varint(w, n);
	for (; n; n--, note = fr_record_next(&t, note)) {
		if (note_check(note, &why))
			return -EINVAL;
		fr_put_u8(w, note->rec.op);
		fr_put_be16(w, note->name_len);
		fr_put_be16(w, note->text_len);
		fr_put_bytes(w, note->tail, (size_t)note->name_len + note->text_len);
	}
	return w->bad ? -ENOSPC : 0;
}

static inline int note_decode(struct fr_reader *r, void *recs, size_t room, size_t n_max,
			      size_t *n)
{
	uint64_t count = fr_get_varint(r), i;
	uint8_t *at = recs;

	*n = 0;
	if (r->bad || count > n_max)
		return -EBADMSG;
	for (i = 0; i < count; i++) {
		struct note *note = (struct note *)(void *)at;
		struct note head = { .rec.op = fr_get_u8(r) };
		size_t len;

		head.name_len = fr_get_be16(r);
		head.text_len = fr_get_be16(r);
		len = (size_t)head.name_len + head.text_len;
		head.rec.tail_len = (len + 7) & ~7ul;
		if (r->bad || !head.name_len || len > NOTE_TAIL_MAX ||
		    room < sizeof(head) + head.rec.tail_len)
			return -EBADMSG;
		memset(at, 0, sizeof(head) + head.rec.tail_len);
		memcpy(note, &head, sizeof(head));
		fr_get_bytes(r, note->tail, len);
		at += sizeof(head) + head.rec.tail_len;
		room -= sizeof(head) + head.rec.tail_len;
	}
	*n = count;
	return r->bad || r->pos != r->end ? -EBADMSG : 0;
}

static const struct fr_table note_table = {
	.id = NOTE_TABLE,
	.name = "notes",
	.rec_len = sizeof(struct note),
	.tail_max = NOTE_TAIL_MAX,
	.key = note_key,
	.from_key = note_from_key,
	.digest = note_digest,
	.check = note_check,
	.encode = note_encode,
	.decode = note_decode,
};

#endif
