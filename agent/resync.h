/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Resync: send all of some tables again, because somebody asks. A standby first compares
 * what it believes with its own kernel; then the writer repairs every bucket, equal or not; an
 * audit proves it. One at a time. On a standby it is the writer's doing, and this follows its
 * progress.
 */
#ifndef RESYNC_H
#define RESYNC_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

struct flow;
struct flow_link;
struct resync;

/**
 * struct resync_wish - what is asked for
 * @peer: id of the one to send to, or on a standby of its writer; NULL: all that are connected
 * @tables: bitmap; 0: all
 * @is_agreed: the standby itself wants it, so it need not be asked
 */
struct resync_wish {
	const char *peer;
	uint64_t tables;
	bool is_agreed;
};

/* @f: must outlive it. */
int resync_new(struct resync **r, sd_event *event, struct flow *f);
void resync_free(struct resync *r);

/**
 * resync_start - begin one
 * @why: of @len bytes: what is in the way, when it fails
 * Return: 0; -EBUSY: one runs; -ENOENT: no such peer; -ENOTCONN: nobody to do it with now
 */
int resync_start(struct resync *r, const struct resync_wish *wish, char *why, size_t len);
/* The backup that a resync of this node waited for was taken; -errno and why: it could not be. */
void resync_saved(struct resync *r, int err, const char *why);
/* Of the last one begun, from 1; 0: none. */
uint32_t resync_id(const struct resync *r);
/* How far the last one is; NULL if that has another id. New reference. */
json_t *resync_json(const struct resync *r, const char *id);

/**
 * resync_ratio - how far the last one is, or how far it has come
 * @is_on: it is not over
 * @has_failed: it is, without its aim
 * Return: 0 to 1; 1 if there never was one
 */
double resync_ratio(const struct resync *r, bool *is_on, bool *has_failed);

/* A RESYNC came. -errno with *why. */
int resync_frame(struct resync *r, struct flow_link *l, const uint8_t *payload, size_t len,
		 const char **why);

#endif
