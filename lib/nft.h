/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * nft - sets of nf_tables and their elements, over nfnetlink
 *
 * Elements are records of FLYREP_TABLE_NFT_SET (lib/item.c has their fields): what the kernel says
 * of one, in its own attributes, none of which is understood here but those that frame it. They
 * hold numbers in the byte order of the machine (marks, lengths of attributes), so all nodes must
 * have the same.
 *
 * A struct fr_nft is one NETLINK_NETFILTER socket in the network namespace in which it was opened.
 * The kernel answers a request before send() returns, so the calls that block wait for no one else.
 * While a dump runs on a socket, they and another dump are refused with -EBUSY; open a second one.
 * Nothing here may be called from a callback with the same struct fr_nft.
 */
#ifndef FR_NFT_H
#define FR_NFT_H

#include <linux/netfilter/nf_tables.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct fr_nft;

int fr_nft_open(struct fr_nft **n);
void fr_nft_close(struct fr_nft *n);
int fr_nft_fd(const struct fr_nft *n);
/* Who notifications say made what fr_nft_apply() changed. */
uint32_t fr_nft_portid(const struct fr_nft *n);
/* What the last failure was; the kernel's words if it had any. */
const char *fr_nft_error(const struct fr_nft *n);

/**
 * struct fr_nft_set - a set
 * @family: NFPROTO_*
 * @is_owned: its table has an owner: the kernel refuses changes by others
 * @table: name of its table
 * @name: its own
 * @table_handle: with @handle: of two sets that had the same names one after the other they differ
 * @handle: within its table
 * @flags: NFT_SET_*
 * @key_type: as user space has numbered it
 * @key_len: bytes
 * @data_type: NFT_DATA_VERDICT, or as user space has numbered it; maps only
 * @data_len: bytes; maps only
 * @timeout_ms: what its elements get if they do not say; 0: they stay
 */
struct fr_nft_set {
	uint8_t family;
	bool is_owned;
	char table[NFT_NAME_MAXLEN];
	char name[NFT_NAME_MAXLEN];
	uint64_t table_handle;
	uint64_t handle;
	uint32_t flags;
	uint32_t key_type;
	uint32_t key_len;
	uint32_t data_type;
	uint32_t data_len;
	uint64_t timeout_ms;
};

/**
 * fr_nft_sets() - every named set of the namespace
 * @fn: called when all are known; @set is valid during the call
 *
 * Sets of tables that change meanwhile are asked for again. A set with a name that is not
 * UTF-8 is left out, as no record could name it.
 *
 * Return: 0; -EINTR: they never stood still; -errno.
 */
int fr_nft_sets(struct fr_nft *n, void (*fn)(void *cookie, const struct fr_nft_set *set),
		void *cookie);

/**
 * fr_nft_key_record() - a record that says no more than the key of an element
 * @rec: FR_RECORD_KEY_ROOM bytes, 8-byte aligned; its op is UNSPEC
 * @key: @key_len bytes as packets are compared with
 *
 * Return: bytes written; -EINVAL: @key is not a key of @set; -EOPNOTSUPP: @set holds intervals:
 *	there a key may lie in an element and not name it.
 */
ssize_t fr_nft_key_record(void *rec, const struct fr_nft_set *set, const uint8_t *key,
			  size_t key_len);

/**
 * fr_nft_get() - read elements by their keys
 * @recs: @n_recs packed records, all of @set; only their keys count
 * @fn: called for each in order; @rec says all of it (UPDATE) and is valid during the call, or is
 *	NULL: it is not there, or has ended
 *
 * Return: 0; -EOPNOTSUPP: @set holds intervals without concatenation, where the kernel's search is
 *	not reliable while others change them: dump it; -errno, then @fn was not called for some.
 */
int fr_nft_get(struct fr_nft *n, const struct fr_nft_set *set, const void *recs, size_t n_recs,
	       void (*fn)(void *cookie, size_t i, const void *rec), void *cookie);

/**
 * fr_nft_dump_start() - ask for all elements of a set
 *
 * The kernel walks from the start of the set for each piece: the time grows with the square of
 * the number of elements.
 */
int fr_nft_dump_start(struct fr_nft *n, const struct fr_nft_set *set);

/**
 * fr_nft_dump_pump() - read one datagram of the dump and hand out what it holds
 * @fn: @n packed records (UPDATE), 8-byte aligned, valid during the call
 *
 * Never blocks. An element that packets add, or that ends, while the dump runs is named or not; one
 * may be named twice.
 *
 * Return: 1 the dump goes on, 0 it is complete, -EAGAIN nothing to read now, -EINTR the rules were
 *	changed meanwhile: start again, -errno. An error but -EAGAIN ends the dump.
 */
int fr_nft_dump_pump(struct fr_nft *n, void (*fn)(void *cookie, const void *recs, size_t n),
		     void *cookie);

/**
 * fr_nft_apply() - write elements
 * @recs: @n_recs packed records of any sets, any number. INSERT and UPDATE: afterwards the element
 *	is there exactly so, until it ends; DELETE, or one that has ended already: it is not there.
 *	Of records with the same key the last one counts
 * @find: the set of these names on this node, valid until the call returns; NULL: there is none
 * @on_error: called for each record that was refused, in no order; may be NULL. -ENOENT: no such
 *	set, or nothing of a name that the element has; -EINVAL: it is malformed or does not fit the
 *	set; -EPERM: the set's table has an owner; -EEXIST: it overlaps another one; -ENFILE: the
 *	set is full; -EAGAIN: the kernel was rebuilding the set's hash for a quarter of a second;
 *	as the kernel says
 *
 * An element that packets add, refresh or let end meanwhile is written all the same, or left as
 * they have it if they are faster.
 *
 * Return: number applied; -errno when a transaction failed as a whole: then @on_error was called
 *	with it for each record of it and behind it.
 */
ssize_t fr_nft_apply(struct fr_nft *n, const void *recs, size_t n_recs,
		     const struct fr_nft_set *(*find)(void *cookie, uint8_t family,
						      const char *table, const char *set),
		     void (*on_error)(void *cookie, const void *rec, int error), void *cookie);

/* --- records ------------------------------------------------------------ */

/**
 * struct fr_nft_name - which set a record is of
 */
struct fr_nft_name {
	uint8_t family;
	char table[NFT_NAME_MAXLEN];
	char set[NFT_NAME_MAXLEN];
};

/* These read a record that fr_table.check() has seen. -EINVAL: no set can have such a name. */
int fr_nft_record_name(const void *rec, struct fr_nft_name *name);
/* In place; 0 bytes: the catch-all element. */
const uint8_t *fr_nft_record_key(const void *rec, size_t *len);
/* What it was given, ms; 0: the set's own, or none. When it ends is flyrep_item.expires_ms. */
uint64_t fr_nft_record_timeout_ms(const void *rec);

#endif
