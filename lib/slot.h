/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * slot - what one node says of one key of a table of items that several nodes write
 *
 * A slot is a record like any other: fr_slot_table() gives a row for index, batch and
 * session. Its owner is the node in whose stream it travels, so it is not in it. Which of the slots
 * of a key is in effect: agent/history.h. On the wire: "A batch of versioned items" in
 * docs/protocol.md.
 */
#ifndef FR_SLOT_H
#define FR_SLOT_H

#include <stdbool.h>

#include "item.h"

#define FR_SLOT_NODE_MAX 63	/* longest node_id, bytes */
#define FR_SLOT_SAW_MAX 64	/* nodes whose slots one slot can replace */

/* struct fr_slot.flags */
#define FR_SLOT_F_TOMBSTONE 0x01 /* the key was deleted: no value, no end */
#define FR_SLOT_F_ALL 0x01

/* struct fr_slot_saw.flags */
#define FR_SLOT_SAW_F_LOST 0x01 /* not seen by who wrote: it was concurrent, and lost */
#define FR_SLOT_SAW_F_ALL 0x01

/**
 * struct fr_slot - 56 bytes, host byte order, and a tail
 * @rec: head; DELETE: the owner has no slot for this key any more, only the key counts
 * @key_len: bytes of the key
 * @value_len: bytes of the value
 * @flags: FR_SLOT_F_*
 * @n_saw: slots of other nodes that this one replaces
 * @saw_len: bytes that these take
 * @expires_ms: when the item ends, milliseconds since 1970; 0: never
 * @version: of the write, a stamp of agent/hlc.h; never 0
 * @decided: learning: version of the owner's last change of a field that is not merged
 *	(policy, state, hints); 0: never, these fields are empty then
 *
 * The tail is the key and the value as in struct flyrep_item, then @n_saw times version (8 bytes,
 * big endian), flags (1 byte), length of the node_id (1 byte) and node_id, in the order
 * of the ids, then zero bytes up to a multiple of 8.
 */
struct fr_slot {
	struct flyrep_rec rec;
	uint16_t key_len;
	uint16_t value_len;
	uint8_t flags;
	uint8_t n_saw;
	uint16_t saw_len;
	uint64_t expires_ms;
	uint64_t version;
	uint64_t decided;
};

/**
 * struct fr_slot_saw - all slots of a node up to a version are replaced
 * @version: the highest one
 * @flags: FR_SLOT_SAW_F_*
 * @node_len: bytes of @node, which is not NUL-terminated
 */
struct fr_slot_saw {
	uint64_t version;
	uint8_t flags;
	uint8_t node_len;
	const char *node;
};

/* Room for any slot */
#define FR_SLOT_ROOM \
	(sizeof(struct fr_slot) + FLYREP_ITEM_KEY_MAX_LEN + FLYREP_ITEM_VALUE_MAX_LEN + \
	 FR_SLOT_SAW_MAX * (10 + FR_SLOT_NODE_MAX) + 8)

/* The row of slots of a table; NULL: its items have no versions. */
const struct fr_table *fr_slot_table(unsigned int table);

/**
 * fr_slot_pack() - a slot from its parts
 * @room: FR_SLOT_ROOM bytes, 8-byte aligned; all of the record is written
 * @head: op, lengths of key and value, flags, end and versions are taken from it
 * @saw: @n_saw of them, in the order of their ids; with DELETE: none
 *
 * Return: bytes written; -EMSGSIZE: they do not fit.
 */
ssize_t fr_slot_pack(void *room, const struct fr_slot *head, const void *key, const void *value,
		     const struct fr_slot_saw *saw, size_t n_saw);

const uint8_t *fr_slot_key(const struct fr_slot *s);
const uint8_t *fr_slot_value(const struct fr_slot *s);

/* The item of FR_ITEM_ROOM bytes that a slot says; op DELETE for a tombstone. Return: its length */
size_t fr_slot_item(void *item, const struct fr_slot *s);

/* What a slot replaces, in place, FR_SLOT_SAW_MAX at most. The slot has passed the check. */
size_t fr_slot_saw(const struct fr_slot *s, struct fr_slot_saw *saw);

#endif
