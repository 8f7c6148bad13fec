// SPDX-License-Identifier: GPL-2.0-or-later

#include "role.h"

#include <string.h>

#include "log.h"
#include "store.h"

static int save(const struct role *r, enum fr_role role, uint64_t epoch)
{
	const struct store_state s = { .epoch = epoch, .role = role };
	int rc = store_save(r->dir, &s);

	if (rc < 0)
		fr_err("role: cannot save the state in %s: %s", r->dir, strerror(-rc));
	return rc;
}

int role_load(struct role *r, const char *dir, enum fr_role begin)
{
	struct store_state s;
	char why[256];
	int rc;

	r->dir = dir;
	rc = store_load(dir, &s, why, sizeof(why));
	if (rc < 0) {
		fr_err("role: cannot read the state in %s: %s", dir, why);
		return rc;
	}
	r->epoch = s.epoch;
	/* What the node was as one of a pair is kept for the day it is that again. */
	if (begin == FR_ROLE_PEER) {
		r->role = FR_ROLE_PEER;
		return 0;
	}
	r->role = s.role ? s.role : begin;
	if (r->role == FR_ROLE_PRIMARY && !r->epoch)
		r->epoch = 1;
	return save(r, r->role, r->epoch);
}

int role_take(struct role *r)
{
	uint64_t epoch = r->role == FR_ROLE_PRIMARY ? r->epoch : r->epoch + 1;
	int rc = save(r, FR_ROLE_PRIMARY, epoch);

	if (rc < 0)
		return rc;
	r->role = FR_ROLE_PRIMARY;
	r->epoch = epoch;
	return 0;
}

int role_leave(struct role *r, enum fr_role role)
{
	int rc = save(r, role, r->epoch);

	if (rc < 0)
		return rc;
	r->role = role;
	return 0;
}

void role_observe(struct role *r, uint64_t epoch)
{
	if (epoch <= r->epoch)
		return;
	r->epoch = epoch;
	if (r->role != FR_ROLE_PEER)
		save(r, r->role, epoch);
}

enum role_relation role_relation(const struct role *r, enum fr_role role, uint64_t epoch)
{
	if (r->role == FR_ROLE_PEER || role == FR_ROLE_PEER)
		return r->role == role ? ROLE_SHARE : ROLE_MISFIT;
	if (r->role == FR_ROLE_PRIMARY && role == FR_ROLE_BACKUP)
		return ROLE_WRITE;
	if (r->role == FR_ROLE_BACKUP && role == FR_ROLE_PRIMARY)
		return ROLE_READ;
	if (r->role != FR_ROLE_PRIMARY || role != FR_ROLE_PRIMARY)
		return ROLE_IDLE;
	if (epoch > r->epoch)
		return ROLE_STEP_DOWN;
	return epoch < r->epoch ? ROLE_FENCE : ROLE_SPLIT;
}
