// SPDX-License-Identifier: GPL-2.0-or-later

#include "pulse.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "log.h"
#include "monotonic.h"

#define BURST	64	/* datagrams that are read before anything else has its turn */
#define CLASS	0xc0	/* network control (RFC 4594), as routing protocols */

struct pulse {
	const struct fr_config *config;
	const struct pulse_ops *ops;
	void *cookie;
	struct quorum *quorum;
	int fd;
	sd_event_source *io;
	sd_event_source *beat;	/* each interval */
	sd_event_source *tick;	/* while there is an election */
};

static void set_tick(struct pulse *p)
{
	uint64_t next = quorum_next_ns(p->quorum);

	if (!next) {
		sd_event_source_set_enabled(p->tick, SD_EVENT_OFF);
		return;
	}
	sd_event_source_set_time(p->tick, next / 1000);
	sd_event_source_set_enabled(p->tick, SD_EVENT_ONESHOT);
}

static int on_tick(sd_event_source *s, uint64_t usec, void *cookie)
{
	struct pulse *p = cookie;

	(void)s;
	(void)usec;
	quorum_tick(p->quorum, monotonic_ns());
	set_tick(p);
	return 0;
}

static int on_beat(sd_event_source *s, uint64_t usec, void *cookie)
{
	struct pulse *p = cookie;

	(void)usec;
	quorum_beat(p->quorum, monotonic_ns());
	sd_event_source_set_time_relative(s, p->config->heartbeat.interval_ms * 1000);
	return sd_event_source_set_enabled(s, SD_EVENT_ONESHOT);
}

static int on_readable(sd_event_source *s, int fd, uint32_t revents, void *cookie)
{
	uint8_t buf[FR_BEAT_LEN + 1]; /* one more tells a longer one */
	struct pulse *p = cookie;
	int i;

	(void)s;
	(void)revents;
	for (i = 0; i < BURST; i++) {
		ssize_t len = recv(fd, buf, sizeof(buf), MSG_DONTWAIT);

		if (len < 0)
			break;
		quorum_receive(p->quorum, buf, len, monotonic_ns());
	}
	set_tick(p);
	return 0;
}

/* What cannot be sent is like what gets lost. */
static void on_send(void *cookie, const struct fr_address *to, const uint8_t buf[FR_BEAT_LEN])
{
	struct pulse *p = cookie;

	sendto(p->fd, buf, FR_BEAT_LEN, MSG_DONTWAIT, (const struct sockaddr *)&to->sa, to->sa_len);
}

static void on_step_down(void *cookie, const char *why)
{
	struct pulse *p = cookie;

	p->ops->step_down(p->cookie, why);
}

static void on_changed(void *cookie, const struct heartbeat_voter *v)
{
	struct pulse *p = cookie;

	p->ops->changed(p->cookie, v);
}

static const struct quorum_ops quorum_ops = {
	.send = on_send,
	.step_down = on_step_down,
	.changed = on_changed,
};

static int listen_at(struct pulse *p)
{
	char text[FR_ADDRESS_TEXT_LEN];
	const int class = CLASS;
	struct fr_address a;
	int rc;

	fr_config_heartbeat_listen(p->config, &a);
	p->fd = socket(a.sa.ss_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (p->fd >= 0) {
		setsockopt(p->fd, IPPROTO_IP, IP_TOS, &class, sizeof(class));
		setsockopt(p->fd, IPPROTO_IPV6, IPV6_TCLASS, &class, sizeof(class));
	}
	if (p->fd < 0 || bind(p->fd, (const struct sockaddr *)&a.sa, a.sa_len) < 0) {
		rc = -errno;
		fr_err("heartbeat: cannot listen on %s: %s", fr_address_format(&a, text),
		       strerror(-rc));
		return rc;
	}
	fr_info("heartbeat: listens on %s", fr_address_format(&a, text));
	return 0;
}

int pulse_new(struct pulse **out, sd_event *event, const struct fr_config *config,
	      struct role *role, struct events *events, const struct pulse_ops *ops, void *cookie)
{
	struct pulse *p = calloc(1, sizeof(*p));
	int rc;

	if (!p)
		return -ENOMEM;
	p->config = config;
	p->ops = ops;
	p->cookie = cookie;
	rc = listen_at(p);
	if (rc >= 0)
		rc = quorum_new(&p->quorum, config, role, events, &quorum_ops, p,
				monotonic_ns());
	if (rc >= 0)
		rc = sd_event_add_io(event, &p->io, p->fd, EPOLLIN, on_readable, p);
	if (rc >= 0)
		rc = sd_event_add_time_relative(event, &p->beat, CLOCK_MONOTONIC, 0, 1000, on_beat,
						p);
	if (rc >= 0)
		rc = sd_event_add_time_relative(event, &p->tick, CLOCK_MONOTONIC, 0, 1000, on_tick,
						p);
	if (rc >= 0)
		rc = sd_event_source_set_enabled(p->tick, SD_EVENT_OFF);
	if (rc < 0) {
		pulse_free(p);
		return rc;
	}
	*out = p;
	return 0;
}

void pulse_free(struct pulse *p)
{
	if (!p)
		return;
	sd_event_source_disable_unref(p->tick);
	sd_event_source_disable_unref(p->beat);
	sd_event_source_disable_unref(p->io);
	quorum_free(p->quorum);
	if (p->fd >= 0)
		close(p->fd);
	free(p);
}

int pulse_reload(struct pulse *p)
{
	return quorum_reload(p->quorum);
}

void pulse_tell(struct pulse *p)
{
	if (p)
		quorum_beat(p->quorum, monotonic_ns());
}

int pulse_elect(struct pulse *p, quorum_done_t done, void *cookie)
{
	int rc = quorum_elect(p->quorum, done, cookie, monotonic_ns());

	set_tick(p);
	return rc;
}

struct quorum *pulse_quorum(struct pulse *p)
{
	return p ? p->quorum : NULL;
}
