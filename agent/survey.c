// SPDX-License-Identifier: GPL-2.0-or-later

#include "survey.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "log.h"
#include "looks.h"
#include "nft.h"

#define READ_MAX	256	/* elements asked for in one go */
#define RESTARTS	3	/* of a dump during which rules changed */

enum phase {
	PHASE_NONE,
	PHASE_WAIT,
	PHASE_DUMP,		/* all sets, if it is thorough */
	PHASE_READ,		/* what the index holds and nothing has named yet */
	PHASE_REST,		/* sets that cannot be read by key, if that holds any of theirs */
};

struct survey {
	sd_event *event;
	struct sets *sets;
	struct truth *truth;
	const struct survey_ops *ops;
	void *cookie;
	struct fr_nft *reader;
	struct fr_nft *dumper;
	sd_event_source *step;
	sd_event_source *dump;		/* runs */
	bool may_go;
	bool is_held;

	enum phase phase;
	bool is_thorough;
	struct truth_scope scope;
	size_t at_set;
	unsigned int at_bucket;
	unsigned int restarts;
	size_t n_keys;
	struct {
		bool is_dumped;
		bool wants_dump;
		struct keys keys;
	} of[FLYREP_SETS_MAX];		/* by their place in sets */
};

static void end(struct survey *s, int err)
{
	size_t i;

	s->phase = PHASE_NONE;
	s->dump = sd_event_source_disable_unref(s->dump);
	sd_event_source_set_enabled(s->step, SD_EVENT_OFF);
	for (i = 0; i < FLYREP_SETS_MAX; i++)
		keys_free(&s->of[i].keys);
	s->n_keys = 0;
	if (err) {
		/* A dump cannot be called off, but its socket can be closed. */
		fr_nft_close(s->dumper);
		s->dumper = NULL;
	}
	s->ops->end(s->cookie, err);
}

/* --- by key ----------------------------------------------------------------------- */

struct reading {
	struct survey *survey;
	struct set *set;
};

static void on_read(void *cookie, size_t i, const void *rec)
{
	const struct reading *r = cookie;

	(void)i;
	if (rec)
		r->survey->ops->found(r->survey->cookie, r->set, rec);
}

static int read_keys(struct survey *s)
{
	size_t i;
	int rc = 0;

	for (i = 0; i < s->sets->n && rc >= 0; i++) {
		struct reading r = { .survey = s, .set = s->sets->v[i] };
		struct keys *k = &s->of[i].keys;

		if (k->n)
			rc = fr_nft_get(s->reader, &r.set->nft, k->recs, k->n, on_read, &r);
		keys_reset(k);
	}
	s->n_keys = 0;
	if (rc < 0)
		fr_warn("drain: elements of nft sets: %s", fr_nft_error(s->reader));
	return rc;
}

static bool on_entry(void *cookie, const struct index_entry *entry)
{
	struct survey *s = cookie;
	struct flyrep_item *rec;
	struct set *set;
	size_t at;

	if (!truth_lacks(s->truth, entry))
		return false;
	set = sets_by_key(s->sets, entry->key, entry->key_len);
	if (!set || !set->is_here)
		return false;
	for (at = 0; s->sets->v[at] != set; at++)
		;
	if (set_has_intervals(set)) {
		s->of[at].wants_dump = !s->of[at].is_dumped;
		return false;
	}
	rec = keys_room(&s->of[at].keys);
	if (!rec)
		return false;
	memset(rec, 0, FR_RECORD_KEY_ROOM);
	if (truth_table(s->truth)->from_key(rec, entry->key, entry->key_len) < 0)
		return false;
	keys_added(&s->of[at].keys, sizeof(*rec) + rec->rec.tail_len);
	s->n_keys++;
	return false;
}

static int read_some(struct survey *s)
{
	for (; s->at_bucket < FLYREP_BUCKETS && s->n_keys < READ_MAX; s->at_bucket++)
		if (s->scope.buckets[s->at_bucket / 8] & 1u << (s->at_bucket % 8))
			index_walk(truth_index(s->truth), s->at_bucket, on_entry, s);
	return s->n_keys ? read_keys(s) : 0;
}

/* --- all of a set ------------------------------------------------------------------ */

static void on_dumped(void *cookie, const void *recs, size_t n)
{
	struct survey *s = cookie;
	struct set *set = s->sets->v[s->at_set];
	const struct flyrep_item *it = recs;

	set->n_named += n;
	for (; n; n--, it = fr_record_next(truth_table(s->truth), it))
		s->ops->found(s->cookie, set, it);
}

static int start_dump(struct survey *s);

static int on_dump(sd_event_source *source, int fd, uint32_t revents, void *cookie)
{
	struct survey *s = cookie;
	int rc = fr_nft_dump_pump(s->dumper, on_dumped, s);

	(void)source;
	(void)fd;
	(void)revents;
	if (rc == -EAGAIN || rc == 1)
		return 0;
	s->dump = sd_event_source_disable_unref(s->dump);
	/*
	 * Rules change all the time on some nodes, and a set may have gone. What was named is
	 * there; what was not is asked for; what has come meanwhile was hinted at.
	 */
	if (rc == -EINTR && ++s->restarts < RESTARTS) {
		rc = start_dump(s);
	} else if (rc == -EINTR || rc == -ENOENT || rc == 0) {
		s->of[s->at_set].is_dumped = true;
		s->ops->dumped(s->cookie, s->sets->v[s->at_set++]);
		s->restarts = 0;
		rc = sd_event_source_set_enabled(s->step, SD_EVENT_ON);
	}
	if (rc < 0) {
		fr_warn("drain: elements of nft sets: %s", fr_nft_error(s->dumper));
		end(s, rc);
	}
	return 0;
}

static int start_dump(struct survey *s)
{
	struct set *set = s->sets->v[s->at_set];
	int rc = s->dumper ? 0 : fr_nft_open(&s->dumper);

	set->n_named = 0;
	sd_event_source_set_enabled(s->step, SD_EVENT_OFF);
	if (rc >= 0)
		rc = fr_nft_dump_start(s->dumper, &set->nft);
	if (rc >= 0)
		rc = sd_event_add_io(s->event, &s->dump, fr_nft_fd(s->dumper), EPOLLIN, on_dump,
				     s);
	if (rc >= 0)
		rc = sd_event_source_set_priority(s->dump, SD_EVENT_PRIORITY_NORMAL + 10);
	if (rc >= 0 && s->is_held)
		rc = sd_event_source_set_enabled(s->dump, SD_EVENT_OFF);
	return rc;
}

/* The next set to be dumped; false: no more. */
static bool find_dump(struct survey *s)
{
	size_t len = s->scope.prefix_len;

	for (; s->at_set < s->sets->n; s->at_set++) {
		const struct set *set = s->sets->v[s->at_set];

		if (!set->is_here || (len && (len != set->prefix_len ||
					      memcmp(s->scope.prefix, set->prefix, len))))
			continue;
		if (s->phase == PHASE_DUMP || s->of[s->at_set].wants_dump)
			return true;
	}
	s->at_set = 0;
	return false;
}

/* --- one after the other ------------------------------------------------------------- */

static int step(struct survey *s)
{
	switch (s->phase) {
	case PHASE_WAIT:
		s->phase = s->is_thorough ? PHASE_DUMP : PHASE_READ;
		s->ops->begin(s->cookie);
		return 0;
	case PHASE_READ:
		if (s->at_bucket < FLYREP_BUCKETS)
			return read_some(s);
		s->phase = PHASE_REST;
		return 0;
	default:
		if (find_dump(s))
			return start_dump(s);
		if (s->phase == PHASE_DUMP)
			s->phase = PHASE_READ;
		else
			end(s, 0);
		return 0;
	}
}

static int on_step(sd_event_source *source, void *cookie)
{
	struct survey *s = cookie;
	int rc;

	(void)source;
	rc = step(s);
	if (rc < 0)
		end(s, rc);
	return 0;
}

static void arm(struct survey *s)
{
	bool is_stepping = s->phase != PHASE_NONE && !s->dump && !s->is_held &&
			   (s->may_go || s->phase != PHASE_WAIT);

	sd_event_source_set_enabled(s->step, is_stepping ? SD_EVENT_ON : SD_EVENT_OFF);
	if (s->dump)
		sd_event_source_set_enabled(s->dump, s->is_held ? SD_EVENT_OFF : SD_EVENT_ON);
}

int survey_start(struct survey *s, const struct truth_scope *scope, bool is_thorough)
{
	size_t i;
	int rc;

	if (s->phase != PHASE_NONE)
		return -EBUSY;
	rc = s->reader ? 0 : fr_nft_open(&s->reader);
	if (rc < 0)
		return rc;
	s->scope = *scope;
	s->is_thorough = is_thorough;
	s->phase = PHASE_WAIT;
	s->at_set = 0;
	s->at_bucket = 0;
	s->restarts = 0;
	s->is_held = false;
	for (i = 0; i < FLYREP_SETS_MAX; i++)
		s->of[i].is_dumped = s->of[i].wants_dump = false;
	arm(s);
	return 0;
}

bool survey_is_running(const struct survey *s)
{
	return s->phase != PHASE_NONE;
}

void survey_go(struct survey *s, bool may)
{
	s->may_go = may;
	arm(s);
}

void survey_hold(struct survey *s, bool hold)
{
	s->is_held = hold;
	arm(s);
}

struct survey *survey_new(sd_event *event, struct sets *sets, struct truth *truth,
			  const struct survey_ops *ops, void *cookie)
{
	struct survey *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->event = sd_event_ref(event);
	s->sets = sets;
	s->truth = truth;
	s->ops = ops;
	s->cookie = cookie;
	if (sd_event_add_defer(event, &s->step, on_step, s) < 0 ||
	    sd_event_source_set_enabled(s->step, SD_EVENT_OFF) < 0 ||
	    sd_event_source_set_priority(s->step, SD_EVENT_PRIORITY_NORMAL + 10) < 0) {
		survey_free(s);
		return NULL;
	}
	return s;
}

void survey_free(struct survey *s)
{
	size_t i;

	if (!s)
		return;
	sd_event_source_disable_unref(s->step);
	sd_event_source_disable_unref(s->dump);
	for (i = 0; i < FLYREP_SETS_MAX; i++)
		keys_free(&s->of[i].keys);
	fr_nft_close(s->reader);
	fr_nft_close(s->dumper);
	sd_event_unref(s->event);
	free(s);
}
