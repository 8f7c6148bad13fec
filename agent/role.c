// SPDX-License-Identifier: GPL-2.0-or-later

#include "role.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "log.h"
#include "store.h"

/* The new state counts once it is on disk. */
static int save(struct role *r, const struct role *next)
{
	struct store_state s = { .epoch = next->epoch,
				 .role = next->role == FR_ROLE_PEER ? next->kept : next->role,
				 .has_hash_key = true,
				 .hash_key = next->hash_key,
				 .promised = next->promised,
				 .since_us = next->since_us,
				 .is_forced = next->is_forced };
	int rc;

	strcpy(s.promised_to, next->promised_to);
	rc = store_save(r->dir, &s);
	if (rc < 0)
		fr_err("role: cannot save the state in %s: %s", r->dir, strerror(-rc));
	else
		*r = *next;
	return rc;
}

static int draw_hash_key(struct fr_siphash_key *key)
{
	if (getrandom(key->b, sizeof(key->b), 0) == sizeof(key->b))
		return 0;
	fr_err("role: no random bytes for the hash key: %s", strerror(errno));
	return -EIO;
}

static uint64_t realtime_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return ts.tv_sec * 1000000ull + ts.tv_nsec / 1000;
}

int role_load(struct role *r, const char *dir, enum fr_role begin)
{
	struct store_state s;
	struct role next;
	char why[256];
	int rc;

	r->dir = dir;
	rc = store_load(dir, &s, why, sizeof(why));
	if (rc < 0) {
		fr_err("role: cannot read the state in %s: %s", dir, why);
		return rc;
	}
	next = (struct role){ .dir = dir, .epoch = s.epoch, .hash_key = s.hash_key,
			      .promised = s.promised, .since_us = s.since_us,
			      .is_forced = s.is_forced };
	strcpy(next.promised_to, s.promised_to);
	/* What a PEER was as one of a pair is kept for the day it is that again. */
	next.kept = s.role;
	next.role = begin == FR_ROLE_PEER || !s.role ? begin : s.role;
	if (next.role == FR_ROLE_PRIMARY && !next.epoch)
		next.epoch = 1;
	if (next.role == FR_ROLE_PRIMARY && !next.since_us)
		next.since_us = realtime_us();
	if (!s.has_hash_key) {
		rc = draw_hash_key(&next.hash_key);
		if (rc < 0)
			return rc;
	}
	return save(r, &next);
}

static uint64_t highest(const struct role *r)
{
	return r->promised > r->epoch ? r->promised : r->epoch;
}

int role_take(struct role *r, const char *self)
{
	bool is_ours = r->promised > r->epoch && !strcmp(r->promised_to, self);
	struct role next = *r;

	if (r->role != FR_ROLE_PRIMARY) {
		next.epoch = is_ours ? r->promised : highest(r) + 1;
		next.since_us = realtime_us();
	}
	next.role = FR_ROLE_PRIMARY;
	return save(r, &next);
}

int role_leave(struct role *r, enum fr_role role)
{
	struct role next = *r;

	next.role = role;
	next.since_us = 0;
	next.is_forced = false;
	return save(r, &next);
}

static int promise(struct role *r, uint64_t epoch, const char *to, bool is_forced)
{
	struct role next = *r;

	next.promised = epoch;
	snprintf(next.promised_to, sizeof(next.promised_to), "%s", to);
	next.is_forced = is_forced;
	return save(r, &next);
}

int role_promise(struct role *r, uint64_t epoch, const char *to)
{
	if (epoch <= r->epoch || epoch < r->promised)
		return -ESTALE;
	if (epoch == r->promised)
		return strcmp(to, r->promised_to) ? -ESTALE : 0;
	return promise(r, epoch, to, r->role == FR_ROLE_PRIMARY && r->is_forced);
}

int role_force(struct role *r, const char *self, uint64_t above)
{
	if (above < highest(r))
		above = highest(r);
	return promise(r, above + 1, self, true);
}

int role_adopt(struct role *r, const struct fr_siphash_key *hash_key)
{
	struct role next = *r;

	next.hash_key = *hash_key;
	return save(r, &next);
}

void role_observe(struct role *r, uint64_t epoch)
{
	struct role next = *r;

	if (epoch <= r->epoch)
		return;
	next.epoch = epoch;
	if (save(r, &next) < 0)
		r->epoch = epoch; /* seen is seen, until the next start */
}

const char *role_relation_name(enum role_relation relation)
{
	static const char *const names[] = {
		[ROLE_IDLE] = "idle",
		[ROLE_WRITE] = "write",
		[ROLE_READ] = "read",
		[ROLE_STEP_DOWN] = "step_down",
		[ROLE_FENCE] = "fence",
		[ROLE_SPLIT] = "split",
		[ROLE_SHARE] = "share",
		[ROLE_MISFIT] = "misfit",
	};

	return names[relation];
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
