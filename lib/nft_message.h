/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * nft_message - messages of nf_tables, taken apart and made; pure, no socket
 */
#ifndef FR_NFT_MESSAGE_H
#define FR_NFT_MESSAGE_H

#include <libmnl/libmnl.h>
#include <linux/netfilter/nfnetlink.h>

#include "item.h"
#include "nft.h"

/* A type of nf_tables as it is in nlmsg_type. */
#define FR_NFT_TYPE(type) (NFNL_SUBSYS_NFTABLES << 8 | (type))

/* Longest key, and longest expressions of an element, bytes */
#define FR_NFT_KEY_MAX_LEN	NFT_DATA_VALUE_MAXLEN
#define FR_NFT_EXPR_MAX_LEN	1024

/**
 * struct fr_nft_table - a table
 * @handle: as in struct fr_nft_set
 * @is_owned: likewise
 */
struct fr_nft_table {
	uint8_t family;
	bool is_owned;
	char name[NFT_NAME_MAXLEN];
	uint64_t handle;
};

/**
 * struct fr_nft_elem - an element: fields of its record, in place
 * @key: the bytes that are compared
 * @key_end: likewise
 * @has_timeout: it says how long it stays; else as the set says
 * @ends: it ends in @left_ms
 * @is_end: no element but the end of an interval in a set without concatenation
 * @expr: where @expressions are if the kernel has framed them otherwise
 */
struct fr_nft_elem {
	struct fr_item_bytes key;
	struct fr_item_bytes key_end;
	struct fr_item_bytes data;
	struct fr_item_bytes userdata;
	struct fr_item_bytes object;
	struct fr_item_bytes expressions;
	bool has_timeout;
	bool ends;
	bool is_end;
	uint64_t timeout_ms;
	uint64_t left_ms;
	uint8_t expr[FR_NFT_EXPR_MAX_LEN];
};

/* An interval is two elements in the kernel: where it begins, and where it ends. */
static inline bool fr_nft_set_is_paired(const struct fr_nft_set *set)
{
	return (set->flags & (NFT_SET_INTERVAL | NFT_SET_CONCAT)) == NFT_SET_INTERVAL;
}

/* --- taking apart ------------------------------------------------------- */

/* The generation of the rules that a message speaks of, as far as it tells; -EPROTO. */
int fr_nft_message_generation(const struct nlmsghdr *nlh);

/* NEWTABLE, NEWSET. 0; -EPROTO; -ENOENT: an anonymous set, or a name that is not UTF-8. */
int fr_nft_message_table(const struct nlmsghdr *nlh, struct fr_nft_table *table);
int fr_nft_message_set(const struct nlmsghdr *nlh, struct fr_nft_set *set);

/**
 * fr_nft_message_elems() - the elements in NEWSETELEM
 * @set: that it must be of
 * @fn: 0 to go on; what it is given fits @set, may be changed and is valid during the call
 *
 * Return: what @fn returned last; -EPROTO.
 */
int fr_nft_message_elems(const struct nlmsghdr *nlh, const struct fr_nft_set *set,
			 int (*fn)(struct fr_nft_elem *e, void *cookie), void *cookie);

/**
 * struct fr_nft_dump - a dump of elements that runs, or none
 * @set: of which
 * @seq: of the request
 * @is_running: there is one
 * @is_interrupted: the rules have changed meanwhile
 * @generation: of the rules, as the first message told; -1 before it
 * @has_end: the interval that comes next ends at @end: the kernel walks from the highest key down
 * @recs: records made so far of the datagram under way, @n in @len bytes
 */
struct fr_nft_dump {
	struct fr_nft_set set;
	uint32_t seq;
	bool is_running;
	bool is_interrupted;
	int generation;
	bool has_end;
	uint8_t end[FR_NFT_KEY_MAX_LEN];
	uint8_t *recs;
	size_t n;
	size_t len;
};

/* Note that a dump was asked for. -ENOMEM. */
int fr_nft_dump_begin(struct fr_nft_dump *d, const struct fr_nft_set *set, uint32_t seq);
void fr_nft_dump_free(struct fr_nft_dump *d);

/**
 * fr_nft_dump_take() - hand out what one datagram holds
 * @buf: 4-byte aligned
 * @now_ms: the wall clock
 * @text: the kernel's words on a failure, cut to @size
 *
 * Messages of other requests are skipped.
 *
 * Return: as fr_nft_dump_pump()
 */
int fr_nft_dump_take(struct fr_nft_dump *d, const void *buf, size_t len, uint64_t now_ms,
		     void (*fn)(void *cookie, const void *recs, size_t n), void *cookie, char *text,
		     size_t size);

/* --- records ------------------------------------------------------------ */

/**
 * fr_nft_elem_record() - a record (UPDATE) of an element
 * @rec: FR_ITEM_ROOM bytes, 8-byte aligned
 * Return: bytes written; -EMSGSIZE.
 */
ssize_t fr_nft_elem_record(void *rec, const struct fr_nft_set *set, const struct fr_nft_elem *e,
			   uint64_t now_ms);

/**
 * fr_nft_elem_read() - the element that a record speaks of, made to fit a set
 * @rec: checked; of a DELETE, or when @is_key, only the key is read
 * Return: 0; -EINVAL: it does not fit; -ETIME: it has ended already.
 */
int fr_nft_elem_read(struct fr_nft_elem *e, const struct fr_nft_set *set, const void *rec,
		     bool is_key, uint64_t now_ms);

/* --- making ------------------------------------------------------------- */

/* The longest message for an element of a record, bytes */
#define FR_NFT_MESSAGE_MAX_LEN (FR_ITEM_ROOM + 2048)

/**
 * fr_nft_message_head() - start a message
 * @type: with the subsystem
 * @family: NFPROTO_*
 */
struct nlmsghdr *fr_nft_message_head(void *buf, uint16_t type, uint16_t flags, uint32_t seq,
				     uint8_t family);

/**
 * fr_nft_message_elem() - a whole message about one element
 * @buf: FR_NFT_MESSAGE_MAX_LEN bytes
 * @type: NFT_MSG_GETSETELEM, NFT_MSG_DELSETELEM: only its key is told; NFT_MSG_NEWSETELEM
 *
 * Return: its length, a multiple of 4.
 */
size_t fr_nft_message_elem(void *buf, uint16_t type, uint16_t flags, uint32_t seq,
			   const struct fr_nft_set *set, const struct fr_nft_elem *e);

#endif
