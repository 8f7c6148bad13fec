/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * APPLY: flows of another node, put into this kernel's table and held there.
 */
#ifndef _FLYREP_INJECT_H
#define _FLYREP_INJECT_H

#include <linux/types.h>

struct flyrep_error;
struct flyrep_net;

/**
 * struct flyrep_inject - a request
 * @table: enum flyrep_table
 * @data: packed records, any alignment
 * @rec_len: of the fixed part of each, at least that of a record of @table; surplus bytes
 *	are skipped. Tails lie within the message
 * @n: how many
 * @flags: FLYREP_APPLY_F_*
 * @errors: room for @n answers
 */
struct flyrep_inject {
	u8			table;
	const void		*data;
	unsigned int		rec_len;
	unsigned int		n;
	u32			flags;
	struct flyrep_error	*errors;
};

/**
 * flyrep_inject_apply - apply records of flows, one by one
 * @fn: the namespace
 * @req: the request
 *
 * Context: process, may sleep. Any number of them may run side by side. Return: how
 * many records were refused, each with an entry in @req->errors.
 */
unsigned int flyrep_inject_apply(struct flyrep_net *fn, const struct flyrep_inject *req);

/**
 * flyrep_inject_count_error - count a record that was refused
 * @fn: the namespace
 * @err: with what
 */
void flyrep_inject_count_error(struct flyrep_net *fn, int err);

#endif
