/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * genl_dump - what a DRAIN or a SNAPSHOT sends, datagram by datagram; pure, no socket
 */
#ifndef FR_GENL_DUMP_H
#define FR_GENL_DUMP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "genl.h"

/**
 * struct fr_genl_dump - a dump that runs, or none
 * @family: id of the netlink family
 * @seq: of the request
 * @cmd: FLYREP_CMD_DRAIN or FLYREP_CMD_SNAPSHOT; FLYREP_CMD_UNSPEC: none runs
 * @table: SNAPSHOT: which was asked for
 * @phase: SNAPSHOT: of the last message; DRAIN: FLYREP_PHASE_END after the last one
 * @is_interrupted: a message said NLM_F_DUMP_INTR
 * @end_stamp: SNAPSHOT: of END
 * @scratch: records or hints that had to be moved to be usable, allocated when first needed
 */
struct fr_genl_dump {
	uint16_t family;
	uint32_t seq;
	uint8_t cmd;
	uint8_t table;
	uint8_t phase;
	bool is_interrupted;
	uint64_t end_stamp;
	void *scratch;
};

/* Note that a dump was asked for; @table is that of SNAPSHOT. */
void fr_genl_dump_begin(struct fr_genl_dump *d, uint8_t cmd, uint8_t table, uint32_t seq);
void fr_genl_dump_free(struct fr_genl_dump *d);

/**
 * fr_genl_dump_take - hand out what one datagram holds
 * @buf: 4-byte aligned
 * @text: the kernel's words on a failure, cut to @size
 *
 * Messages of other requests are skipped.
 *
 * Return: as fr_genl_pump(). After -EPROTO the dump still counts as running.
 */
int fr_genl_dump_take(struct fr_genl_dump *d, const void *buf, size_t len,
		      const struct fr_genl_sink *sink, void *cookie, char *text, size_t size);

#endif
