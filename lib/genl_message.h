/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * genl_message - taking messages of the module apart; pure, no socket
 */
#ifndef FR_GENL_MESSAGE_H
#define FR_GENL_MESSAGE_H

#include <libmnl/libmnl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "flyrep.h"

/* Attributes by their number; NULL where there is none. */
struct fr_genl_attrs {
	const struct nlattr *by_type[FLYREP_A_MAX + 1];
};

/**
 * fr_genl_message_attrs() - the attributes of a generic netlink message
 * @cmd: its command
 *
 * Attributes that this program does not know are skipped; of two of a kind the last counts.
 *
 * Return: 0; -EPROTO when the message is not whole.
 */
int fr_genl_message_attrs(const struct nlmsghdr *nlh, uint8_t *cmd, struct fr_genl_attrs *attrs);

/*
 * The value of an attribute. Return: 0; -EPROTO when it is absent or of another
 * size; *@v is then 0.
 */
int fr_genl_message_u8(const struct fr_genl_attrs *attrs, enum flyrep_attr type, uint8_t *v);
int fr_genl_message_u16(const struct fr_genl_attrs *attrs, enum flyrep_attr type, uint16_t *v);
int fr_genl_message_u32(const struct fr_genl_attrs *attrs, enum flyrep_attr type, uint32_t *v);
int fr_genl_message_u64(const struct fr_genl_attrs *attrs, enum flyrep_attr type, uint64_t *v);

/**
 * fr_genl_message_buckets() - the bitmap of FLYREP_A_BUCKETS, in place
 * @buckets: NULL when the message has none
 *
 * Return: 0; -EPROTO when it has another size.
 */
int fr_genl_message_buckets(const struct fr_genl_attrs *attrs, const uint8_t **buckets);

#endif
