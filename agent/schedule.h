/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Schedule: full resyncs at set times of the wall. What is due while a resync runs, in a pause, or
 * without a peer, is logged and left out.
 */
#ifndef SCHEDULE_H
#define SCHEDULE_H

#include <systemd/sd-event.h>
#include <time.h>

#include "resync.h"

struct schedule;

/* @text: for fr_cron_parse(); @r: must outlive it. -errno */
int schedule_new(struct schedule **s, sd_event *event, const char *text, struct resync *r);
void schedule_free(struct schedule *s);
/* When the next one is due; 0 for NULL. */
time_t schedule_next(const struct schedule *s);

#endif
