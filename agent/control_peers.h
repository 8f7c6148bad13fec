/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Control, of peers: what the API tells of them, and of other voters.
 */
#ifndef CONTROL_PEERS_H
#define CONTROL_PEERS_H

#include <jansson.h>

#include "flow.h"

json_t *control_peers_one(const struct flow_link *l);
/* All of them. */
json_t *control_peers_json(const struct flow *f);
/* How far each is behind. */
json_t *control_peers_lag(const struct flow *f);
json_t *control_peers_voter(const struct heartbeat_voter *v);
json_t *control_peers_heartbeat(const struct heartbeat *h);

#endif
