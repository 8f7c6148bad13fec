/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * expect - the record table's row for expectations, struct flyrep_expect
 */
#ifndef FR_EXPECT_H
#define FR_EXPECT_H

#include "records.h"

extern const struct fr_table fr_expect_table;

#endif
