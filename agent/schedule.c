// SPDX-License-Identifier: GPL-2.0-or-later

#include "schedule.h"

#include <errno.h>
#include <stdlib.h>

#include "cron.h"
#include "log.h"

#define LOOK_S		60	/* the clock may be set */
#define SET_BACK_S	7200	/* more than clocks change by: somebody has set it */

struct schedule {
	sd_event_source *timer;
	struct resync *resync;
	struct fr_cron cron;
	time_t done;	/* what was due until here is over */
};

time_t schedule_next(const struct schedule *s)
{
	return s ? fr_cron_next(&s->cron, s->done) : 0;
}

static int sleep_on(struct schedule *s, time_t now)
{
	time_t left = schedule_next(s) - now;

	if (left > LOOK_S)
		left = LOOK_S;
	sd_event_source_set_time_relative(s->timer, (left > 0 ? left : 1) * 1000000ull);
	return sd_event_source_set_enabled(s->timer, SD_EVENT_ONESHOT);
}

static int on_look(sd_event_source *source, uint64_t usec, void *cookie)
{
	struct schedule *s = cookie;
	struct resync_wish everything = { 0 };
	time_t now = time(NULL);
	char why[200];

	(void)source;
	(void)usec;
	if (now < s->done - SET_BACK_S)
		s->done = now;
	if (schedule_next(s) <= now) {
		s->done = now;
		if (resync_start(s->resync, &everything, why, sizeof(why)) < 0)
			fr_warn("resync: the one of recovery.full_resync.schedule is left out: %s",
				why);
	}
	return sleep_on(s, now);
}

int schedule_new(struct schedule **out, sd_event *event, const char *text, struct resync *r)
{
	struct schedule *s = calloc(1, sizeof(*s));
	char why[200];
	int rc;

	if (!s)
		return -ENOMEM;
	*out = s;
	tzset();
	s->resync = r;
	s->done = time(NULL);
	if (fr_cron_parse(&s->cron, text, why, sizeof(why)) < 0)
		return -EINVAL; /* the configuration was checked */
	rc = sd_event_add_time(event, &s->timer, CLOCK_MONOTONIC, 0, 0, on_look, s);
	return rc < 0 ? rc : sleep_on(s, s->done);
}

void schedule_free(struct schedule *s)
{
	if (!s)
		return;
	sd_event_source_disable_unref(s->timer);
	free(s);
}
