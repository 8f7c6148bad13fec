/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Control, of states: in which one a link and the node are.
 */
#ifndef CONTROL_STATE_H
#define CONTROL_STATE_H

#include "arbiter.h"
#include "flow.h"

/* What waits for the acknowledgement of a peer, and the age of the oldest of it; 0: nothing. */
uint64_t control_state_age_ns(const struct flow_link *l, uint64_t *n_changes, uint64_t *n_bytes);
/* One word for a link, and for the node: that of its worst link, or a worse one of its own. */
const char *control_state_link(const struct flow_link *l);
const char *control_state_node(const struct flow *f);
/* All words that these two have, the worst first; NULL: no more. */
const char *control_state_name(size_t i);
/* Whom to ask about conflicts. */
struct arbiter control_state_arbiter(const struct flow *f);

#endif
