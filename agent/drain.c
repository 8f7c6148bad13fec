// SPDX-License-Identifier: GPL-2.0-or-later

#include "drain.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "log.h"
#include "records.h"

#define RETRY_US	500000		/* between two looks for the module */
#define PUMP_MAX	16		/* datagrams taken in one go, before others get the loop */

struct drain {
	sd_event *event;
	const struct fr_config *config;
	const struct drain_ops *ops;
	void *cookie;
	struct fr_siphash_key hash_key;
	bool standby;

	struct fr_genl *reader;
	struct fr_genl *snap;
	struct fr_genl *control;
	sd_event_source *reader_source;
	sd_event_source *snap_source;
	sd_event_source *retry;
	bool is_woken;		/* a WAKE came that no drain has followed yet */
	bool is_snapping;
	bool has_end;		/* END was seen; without it the snapshot is void */
	bool is_held;
	bool wants_config;	/* the module is to be told what has changed */
	bool wants_watch;	/* the module is to be told of these: */
	struct flyrep_set sets[FLYREP_SETS_MAX];
	size_t n_sets;
	char trouble[256];
};

static void detach(struct drain *d, const char *why);

static void arm_retry(struct drain *d)
{
	sd_event_source_set_time_relative(d->retry, RETRY_US);
	sd_event_source_set_enabled(d->retry, SD_EVENT_ONESHOT);
}

/* Say what is wrong once, not at every retry. */
static void set_trouble(struct drain *d, const char *text)
{
	if (strcmp(d->trouble, text) != 0 && text[0])
		fr_warn("drain: %s", text);
	snprintf(d->trouble, sizeof(d->trouble), "%s", text);
}

static void on_records(void *cookie, uint8_t table, const void *recs, size_t n)
{
	struct drain *d = cookie;

	d->ops->records(d->cookie, table, recs, n);
}

static void on_dirty(void *cookie, uint8_t table, uint32_t n, const uint8_t *buckets)
{
	struct drain *d = cookie;

	(void)n;
	d->ops->dirty(d->cookie, table, buckets);
}

static void on_drained(void *cookie, uint64_t stamp)
{
	struct drain *d = cookie;

	(void)stamp;
	d->ops->drained(d->cookie);
}

static void on_wake(void *cookie)
{
	struct drain *d = cookie;

	/* It may overtake the end of the dump that armed it. */
	d->is_woken = true;
}

static void on_hints(void *cookie, const struct flyrep_hint *hints, size_t len)
{
	struct drain *d = cookie;

	d->ops->hints(d->cookie, hints, len);
}

static const struct fr_genl_sink reader_sink = {
	.records = on_records,
	.hints = on_hints,
	.dirty = on_dirty,
	.drained = on_drained,
	.wake = on_wake,
};

static int tell_sets(struct drain *d)
{
	struct fr_genl_config g = FR_GENL_CONFIG_KEEP;
	int rc;

	d->wants_watch = false;
	g.sets = d->sets;
	g.n_sets = d->n_sets;
	rc = fr_genl_config(d->reader, &g);
	if (rc < 0)
		fr_warn("drain: nft sets: %s", fr_genl_error(d->reader));
	d->is_woken = true; /* one may have been taken in with the answer */
	return rc;
}

static int configure(struct drain *d);

/* No request goes beside a dump. -errno: the module does not take its configuration. */
static int tell_next(struct drain *d)
{
	int rc = 0;

	if (fr_genl_is_dumping(d->reader))
		return 0;
	if (d->wants_config) {
		rc = configure(d);
		d->is_woken = true; /* one may have been taken in with the answer */
	}
	if (d->wants_watch)
		d->ops->watched(d->cookie, tell_sets(d));
	return rc;
}

/* Now, if that can be; else at the end of the dump, or with the rest at the attachment. */
static void tell_soon(struct drain *d)
{
	if (!d->reader || fr_genl_is_dumping(d->reader))
		return;
	if (tell_next(d) < 0 || (d->reader && fr_genl_drain_start(d->reader) < 0))
		detach(d, fr_genl_error(d->reader));
}

void drain_watch(struct drain *d, const struct flyrep_set *sets, size_t n)
{
	memcpy(d->sets, sets, n * sizeof(*sets));
	d->n_sets = n;
	d->wants_watch = true;
	tell_soon(d);
}

void drain_reconfigure(struct drain *d)
{
	d->wants_config = true;
	tell_soon(d);
}

void drain_rekey(struct drain *d, const struct fr_siphash_key *hash_key)
{
	d->hash_key = *hash_key;
	drain_reconfigure(d);
}

static int on_reader(sd_event_source *s, int fd, uint32_t revents, void *cookie)
{
	struct drain *d = cookie;
	int i, rc;

	(void)s;
	(void)fd;
	(void)revents;
	for (i = 0; i < PUMP_MAX && d->reader; i++) {
		rc = fr_genl_pump(d->reader, &reader_sink, d);
		if (rc == -EAGAIN)
			break;
		if (rc == -EINTR || rc == -ENOBUFS) {
			d->is_woken = true; /* the lost one may have been a WAKE */
			rc = 0;
		}
		if (rc >= 0 && !fr_genl_is_dumping(d->reader))
			d->ops->gap(d->cookie);
		if (rc >= 0)
			rc = tell_next(d);
		if (rc >= 0 && d->is_woken && !fr_genl_is_dumping(d->reader)) {
			d->is_woken = false;
			rc = fr_genl_drain_start(d->reader);
		}
		if (rc < 0) {
			detach(d, fr_genl_error(d->reader));
			break;
		}
	}
	return 0;
}

static void on_snap_begin(void *cookie, uint8_t table, uint64_t stamp, const uint8_t *buckets)
{
	struct drain *d = cookie;

	(void)table;
	(void)buckets;
	d->ops->snap_begin(d->cookie, stamp);
}

static void on_snap_records(void *cookie, uint8_t table, const void *recs, size_t n)
{
	struct drain *d = cookie;

	d->ops->snap_records(d->cookie, table, recs, n);
}

static void on_snap_end(void *cookie, uint8_t table, uint64_t stamp)
{
	struct drain *d = cookie;

	(void)table;
	(void)stamp;
	d->has_end = true;
}

static const struct fr_genl_sink snap_sink = {
	.begin = on_snap_begin,
	.records = on_snap_records,
	.end = on_snap_end,
};

/*
 * Nobody tells an idle socket that its module has gone, and a module loaded
 * again answers as if nothing had been: ask it who its reader is.
 */
static bool is_bound(struct drain *d)
{
	struct fr_genl_info info;

	return !fr_genl_info(d->control, &info) && info.reader == fr_genl_portid(d->reader);
}

/* A dump cannot be called off, but its socket can be closed. */
static int reopen_snap(struct drain *d);

static int on_snap(sd_event_source *s, int fd, uint32_t revents, void *cookie)
{
	struct drain *d = cookie;
	int rc;

	(void)s;
	(void)fd;
	(void)revents;
	/* One datagram: what happens live must not wait for more. */
	rc = fr_genl_pump(d->snap, &snap_sink, d);
	if (rc > 0 || rc == -EAGAIN || !d->snap)
		return 0;
	if (rc == 0 && !d->has_end)
		rc = -EPROTO;
	d->is_snapping = false;
	if (rc < 0) {
		fr_warn("drain: snapshot: %s", fr_genl_error(d->snap));
		if (reopen_snap(d) < 0 || !is_bound(d)) {
			d->ops->snap_end(d->cookie, rc);
			detach(d, "the module is gone");
			return 0;
		}
	}
	d->ops->snap_end(d->cookie, rc);
	return 0;
}

static int watch(struct drain *d, struct fr_genl *g, sd_event_source **source,
		 sd_event_io_handler_t fn, int64_t priority)
{
	int rc = sd_event_add_io(d->event, source, fr_genl_fd(g), EPOLLIN, fn, d);

	return rc < 0 ? rc : sd_event_source_set_priority(*source, priority);
}

static int reopen_snap(struct drain *d)
{
	int rc;

	d->snap_source = sd_event_source_disable_unref(d->snap_source);
	fr_genl_close(d->snap);
	d->snap = NULL;
	rc = fr_genl_open(&d->snap);
	if (rc < 0)
		return rc;
	return watch(d, d->snap, &d->snap_source, on_snap, SD_EVENT_PRIORITY_NORMAL + 10);
}

/* Prefixes that all flows are in. */
static size_t add_everything(struct flyrep_prefix *p)
{
	p[0] = (struct flyrep_prefix){ .family = AF_INET };
	p[1] = (struct flyrep_prefix){ .family = AF_INET6 };
	return 2;
}

/* The node's own replication traffic and loopback never travel. */
static size_t add_host(struct flyrep_prefix *p, const struct fr_address *a)
{
	const struct sockaddr_in *in = (const void *)&a->sa;
	const struct sockaddr_in6 *in6 = (const void *)&a->sa;

	if (!a->sa_len || fr_address_is_any(a))
		return 0;
	*p = (struct flyrep_prefix){ .family = a->sa.ss_family };
	if (a->sa.ss_family == AF_INET) {
		p->prefix_len = 32;
		memcpy(p->addr.byte, &in->sin_addr, 4);
	} else {
		p->prefix_len = 128;
		memcpy(p->addr.byte, &in6->sin6_addr, 16);
	}
	return 1;
}

static size_t add_peer(const struct fr_config_peer *peer, struct flyrep_prefix *p, size_t room)
{
	size_t n = 0, i;

	for (i = 0; fr_config_peer_address(peer, i) && n < room; i++)
		n += add_host(&p[n], fr_config_peer_address(peer, i));
	return n;
}

static bool is_there(const struct flyrep_prefix *p, size_t n, const struct flyrep_prefix *one)
{
	for (; n; n--, p++)
		if (p->family == one->family && p->prefix_len == one->prefix_len &&
		    !memcmp(&p->addr, &one->addr, sizeof(p->addr)))
			return true;
	return false;
}

/* Heartbeats do not travel either. Return: how many there are now */
static size_t add_voters(const struct fr_config *c, struct flyrep_prefix *p, size_t n)
{
	struct flyrep_prefix one;
	struct fr_config_voter v;
	struct fr_address a;
	size_t i = 0;

	fr_config_heartbeat_listen(c, &a);
	do {
		if (n < FLYREP_FILTER_IGNORE_MAX && add_host(&one, &a) && !is_there(p, n, &one))
			p[n++] = one;
		a = fr_config_voter(c, i, &v) ? v.address : (struct fr_address){ 0 };
	} while (i++ < FR_CONFIG_VOTERS_MAX && a.sa_len);
	return n;
}

static int configure(struct drain *d)
{
	const struct fr_config *c = d->config;
	struct flyrep_prefix ignore[FR_CONFIG_NETWORKS_MAX + 64];
	struct fr_genl_filter filter = {
		.protos = c->conntrack.accept.v,
		.n_protos = c->conntrack.accept.n,
		.assured = c->conntrack.min_state == FR_CONFIG_MIN_STATE_ASSURED,
		.ignore = ignore,
		.zones = c->conntrack.zones.v,
		.n_zones = c->conntrack.zones.n,
		.mark = c->conntrack.mark,
		.mark_mask = c->conntrack.mark_mask,
	};
	struct fr_genl_config g = FR_GENL_CONFIG_KEEP;
	size_t i, n = 0;

	d->wants_config = false;
	ignore[n++] = (struct flyrep_prefix){
		.family = AF_INET, .prefix_len = 8, .addr.byte = { 127 }
	};
	ignore[n++] = (struct flyrep_prefix){
		.family = AF_INET6, .prefix_len = 128, .addr.byte = { [15] = 1 }
	};
	n += add_host(&ignore[n], &c->listen_addr);
	for (i = 0; fr_config_primary_address(c, i); i++)
		n += add_host(&ignore[n], fr_config_primary_address(c, i));
	for (i = 0; i < c->peers.n; i++)
		n += add_peer(&c->peers.v[i], ignore + n, FLYREP_FILTER_IGNORE_MAX - n);
	n = add_voters(c, ignore, n);
	if (!fr_config_has_table(c, FLYREP_TABLE_CONNTRACK) && n + 2 <= FLYREP_FILTER_IGNORE_MAX)
		n += add_everything(&ignore[n]);
	for (i = 0; i < c->conntrack.ignore_networks.n; i++) {
		const struct fr_network *w = &c->conntrack.ignore_networks.v[i];

		if (n == FLYREP_FILTER_IGNORE_MAX) {
			fr_err("drain: more than %d networks to ignore", FLYREP_FILTER_IGNORE_MAX);
			return -E2BIG;
		}
		ignore[n] = (struct flyrep_prefix){ .family = w->family,
						    .prefix_len = w->prefix_len };
		memcpy(ignore[n++].addr.byte, w->addr, w->family == AF_INET ? 4 : 16);
	}
	filter.n_ignore = n;

	g.hash_key = d->hash_key.b;
	g.hold_s = c->conntrack.hold_s;
	g.grace_s = c->conntrack.orphan_grace_s;
	g.ring_entries = c->ring_entries;
	g.standby = d->standby;
	g.filter = &filter;
	return fr_genl_config(d->reader, &g);
}

static void close_all(struct drain *d)
{
	d->reader_source = sd_event_source_disable_unref(d->reader_source);
	d->snap_source = sd_event_source_disable_unref(d->snap_source);
	fr_genl_close(d->reader);
	fr_genl_close(d->snap);
	fr_genl_close(d->control);
	d->reader = d->snap = d->control = NULL;
	d->is_woken = false;
	d->is_snapping = false;
	d->is_held = false;
}

static int try_attach(struct drain *d)
{
	struct fr_genl_info info;
	int rc, watched = 0;
	char text[200];

	rc = fr_genl_open(&d->reader);
	if (rc == -ENOENT) {
		set_trouble(d, "kernel module flyrep is not loaded");
		return rc;
	}
	if (rc < 0) {
		snprintf(text, sizeof(text), "generic netlink: %s", strerror(-rc));
		set_trouble(d, text);
		return rc;
	}
	rc = fr_genl_open(&d->control);
	if (!rc)
		rc = fr_genl_info(d->reader, &info);
	if (!rc && info.abi != FLYREP_GENL_VERSION) {
		snprintf(text, sizeof(text), "the module speaks ABI %u, this agent %u", info.abi,
			 FLYREP_GENL_VERSION);
		set_trouble(d, text);
		return -EPROTO;
	}
	if (!rc)
		rc = configure(d);
	if (!rc)
		watched = tell_sets(d); /* before all is called dirty, by the bind */
	if (!rc)
		rc = fr_genl_bind(d->reader);
	if (rc < 0) {
		snprintf(text, sizeof(text), "module refuses: %s", fr_genl_error(d->reader));
		set_trouble(d, text);
		return rc;
	}
	rc = watch(d, d->reader, &d->reader_source, on_reader, SD_EVENT_PRIORITY_NORMAL - 10);
	if (rc >= 0)
		rc = reopen_snap(d);
	if (rc >= 0)
		rc = fr_genl_drain_start(d->reader);
	if (rc < 0)
		return rc;
	set_trouble(d, info.capture == FLYREP_CAPTURE_NONE ?
			       "flows are not captured: nf_conntrack_netlink is not loaded" :
			       "");
	d->ops->attached(d->cookie, info.version);
	d->ops->watched(d->cookie, watched);
	return 0;
}

/* While attached this is a look whether the module still knows us. */
static int on_retry(sd_event_source *s, uint64_t usec, void *cookie)
{
	struct drain *d = cookie;

	(void)s;
	(void)usec;
	if (d->reader_source && !is_bound(d))
		detach(d, "it was unloaded");
	else if (!d->reader_source && try_attach(d) < 0)
		close_all(d);
	arm_retry(d);
	return 0;
}

static void detach(struct drain *d, const char *why)
{
	char text[200];

	snprintf(text, sizeof(text), "lost the module: %s", why);
	set_trouble(d, text);
	close_all(d);
	d->ops->detached(d->cookie);
	arm_retry(d);
}

int drain_new(struct drain **out, sd_event *event, const struct fr_config *config,
	      const struct fr_siphash_key *hash_key, bool standby, const struct drain_ops *ops,
	      void *cookie)
{
	struct drain *d = calloc(1, sizeof(*d));
	int rc;

	if (!d)
		return -ENOMEM;
	d->event = sd_event_ref(event);
	d->config = config;
	d->ops = ops;
	d->cookie = cookie;
	d->hash_key = *hash_key;
	d->standby = standby;
	rc = sd_event_add_time_relative(event, &d->retry, CLOCK_MONOTONIC, 0, 0, on_retry, d);
	if (rc < 0) {
		drain_free(d);
		return rc;
	}
	*out = d;
	return 0;
}

void drain_free(struct drain *d)
{
	if (!d)
		return;
	close_all(d);
	sd_event_source_disable_unref(d->retry);
	sd_event_unref(d->event);
	free(d);
}

bool drain_is_attached(const struct drain *d)
{
	return d->reader_source;
}

bool drain_is_busy(const struct drain *d)
{
	return d->reader && fr_genl_is_dumping(d->reader);
}

const char *drain_trouble(const struct drain *d)
{
	return d->trouble;
}

int drain_info(struct drain *d, struct fr_genl_info *info)
{
	return d->control ? fr_genl_info(d->control, info) : -ENOTCONN;
}

void drain_set_standby(struct drain *d, bool standby)
{
	d->standby = standby;
}

int drain_promote(struct drain *d, uint32_t *n)
{
	d->standby = false;
	return d->control ? fr_genl_promote(d->control, n) : -ENOTCONN;
}

int drain_demote(struct drain *d, uint32_t *n)
{
	d->standby = true;
	return d->control ? fr_genl_demote(d->control, n) : -ENOTCONN;
}

int drain_snapshot(struct drain *d, uint8_t table, uint8_t origin, const uint8_t *buckets)
{
	const struct fr_genl_snapshot req = {
		.table = table,
		.origin = origin,
		.buckets = buckets,
	};
	int rc;

	if (!d->snap)
		return -ENOTCONN;
	if (d->is_snapping)
		return -EBUSY;
	rc = fr_genl_snapshot_start(d->snap, &req);
	if (rc < 0)
		return rc;
	d->is_snapping = true;
	d->has_end = false;
	drain_snapshot_hold(d, false);
	return 0;
}

bool drain_is_snapping(const struct drain *d)
{
	return d->is_snapping;
}

void drain_snapshot_hold(struct drain *d, bool hold)
{
	if (d->is_held == hold || !d->snap_source)
		return;
	d->is_held = hold;
	sd_event_source_set_enabled(d->snap_source, hold ? SD_EVENT_OFF : SD_EVENT_ON);
}
