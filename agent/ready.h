/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Ready: may this node take over, and what speaks against it.
 */
#ifndef READY_H
#define READY_H

#include <stdbool.h>
#include <stddef.h>

#include "flow.h"

/* @reasons: set to the reasons against it, each ended by a newline; none for true */
bool ready_ask(struct flow *f, char *reasons, size_t len);

#endif
