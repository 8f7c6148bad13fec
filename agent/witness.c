// SPDX-License-Identifier: GPL-2.0-or-later

#include "witness.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "pulse.h"
#include "role.h"

struct witness {
	const struct fr_config *config;
	struct role role;	/* of which only epochs and promises count */
	struct pulse *pulse;
};

/* It never was primary. */
static void on_step_down(void *cookie, const char *why)
{
	(void)cookie;
	(void)why;
}

static void on_changed(void *cookie, const struct heartbeat_voter *v)
{
	(void)cookie;
	(void)v;
}

static const struct pulse_ops pulse_ops = {
	.step_down = on_step_down,
	.changed = on_changed,
};

int witness_new(struct witness **out, sd_event *event, const struct fr_config *config)
{
	struct witness *w = calloc(1, sizeof(*w));
	int rc;

	if (!w)
		return -ENOMEM;
	w->config = config;
	rc = role_load(&w->role, config->state_dir, FR_ROLE_BACKUP);
	/* The file of a node, maybe: its promises stand, what it was does not. */
	if (rc >= 0 && w->role.role != FR_ROLE_BACKUP)
		rc = role_leave(&w->role, FR_ROLE_BACKUP);
	if (rc >= 0)
		rc = pulse_new(&w->pulse, event, config, &w->role, NULL, &pulse_ops, w);
	if (rc < 0) {
		witness_free(w);
		return rc;
	}
	*out = w;
	return 0;
}

void witness_free(struct witness *w)
{
	if (!w)
		return;
	pulse_free(w->pulse);
	free(w);
}

int witness_reload(struct witness *w)
{
	w->role.dir = w->config->state_dir;
	return pulse_reload(w->pulse);
}

void witness_summary(struct witness *w, char *buf, size_t len)
{
	const struct quorum *q = pulse_quorum(w->pulse);
	const struct heartbeat_voter *primary = quorum_primary(q);

	snprintf(buf, len, "witness, %u of %u nodes alive, primary %s, promised epoch %lu%s%s",
		 quorum_n_alive(q) - 1, quorum_n_votes(q) - 1, primary ? primary->name : "none",
		 w->role.promised, w->role.promised_to[0] ? " to " : "", w->role.promised_to);
}
