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

/*
 * Where all nodes write, packets of a connection may move from one to the other at any time, which
 * no tracker of TCP windows can know. NULL: they may; else what is to be done.
 * Source: net.netfilter.nf_conntrack_tcp_be_liberal (nf_conntrack-sysctl.rst)
 */
const char *ready_windows(const struct flow *f);

#endif
