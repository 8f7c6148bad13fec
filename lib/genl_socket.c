// SPDX-License-Identifier: GPL-2.0-or-later
#include "genl_socket.h"

#include <errno.h>
#include <linux/genetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "netlink.h"

/*
 * Room for a full answer and the WAKE beside it. The kernel only makes the next
 * piece of a dump while less than half of this is taken.
 */
#define BUFFER_LEN (1 << 20)

int fr_genl_socket_fail(struct fr_genl *g, int err, const char *text)
{
	/* An id that nobody serves any more, or a kernel without generic netlink. */
	if (err == -ECONNREFUSED)
		err = -ENOENT;
	if (text && text[0])
		snprintf(g->error, sizeof(g->error), "%s", text);
	else if (err == -ENOENT)
		snprintf(g->error, sizeof(g->error),
			 "the kernel module is not loaded");
	else
		snprintf(g->error, sizeof(g->error), "%s", strerror(-err));
	return err;
}

struct nlmsghdr *fr_genl_socket_message(struct fr_genl *g, void *buf,
					uint8_t cmd, uint16_t flags)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct genlmsghdr *genl;

	nlh->nlmsg_type = g->family;
	nlh->nlmsg_flags = NLM_F_REQUEST | flags;
	/* Zero is the number of what the kernel sends unasked. */
	nlh->nlmsg_seq = ++g->seq ? g->seq : ++g->seq;
	genl = mnl_nlmsg_put_extra_header(nlh, sizeof(*genl));
	genl->cmd = cmd;
	genl->version = FLYREP_GENL_VERSION;
	return nlh;
}

/* A request under way. */
struct request {
	struct fr_genl *g;
	uint32_t seq;
	uint16_t family;
	int (*on_message)(const struct nlmsghdr *nlh, void *cookie);
	void *cookie;
	bool is_answered;
	bool is_done;
	int err;
	char text[sizeof(((struct fr_genl *)0)->error)];
};

/* Returns 0 to go on, or 1: is_done, and err is how it ended. */
static int take_message(const struct nlmsghdr *nlh, void *cookie)
{
	struct request *rq = cookie;
	struct fr_genl_attrs attrs;
	uint8_t cmd;

	if (!nlh->nlmsg_seq && nlh->nlmsg_type == rq->g->family) {
		if (!fr_genl_message_attrs(nlh, &cmd, &attrs) &&
		    cmd == FLYREP_CMD_WAKE)
			rq->g->has_wake = true;
		return 0;
	}
	if (nlh->nlmsg_seq != rq->seq)
		return 0;
	rq->is_done = true;
	if (nlh->nlmsg_type == NLMSG_ERROR) {
		rq->err = fr_netlink_error(nlh, rq->text, sizeof(rq->text));
		if (!rq->err && rq->on_message && !rq->is_answered)
			rq->err = -EPROTO;
		return 1;
	}
	if (nlh->nlmsg_type != rq->family || !rq->on_message ||
	    rq->is_answered) {
		rq->err = -EPROTO;
		return 1;
	}
	rq->is_answered = true;
	rq->err = rq->on_message(nlh, rq->cookie);
	rq->is_done = rq->err;
	return rq->is_done;
}

static int request_run(struct request *rq, const struct nlmsghdr *nlh,
		       const struct iovec *tail, size_t n_tail)
{
	struct iovec iov[3] = { { .iov_base = (void *)nlh,
				  .iov_len = nlh->nlmsg_len } };
	int64_t deadline_ms = fr_netlink_deadline_ms();
	struct fr_genl *g = rq->g;
	ssize_t len;
	size_t i;
	int err;

	for (i = 0; i < n_tail; i++) {
		iov[1 + i] = tail[i];
		iov[0].iov_len -= tail[i].iov_len;
	}
	rq->seq = nlh->nlmsg_seq;
	rq->family = nlh->nlmsg_type;
	err = fr_netlink_send(g->nl, iov, 1 + n_tail);
	if (err)
		return fr_genl_socket_fail(g, err, NULL);
	while (!rq->is_done) {
		len = fr_netlink_await(g->nl, g->in, deadline_ms);
		err = len < 0 ? (int)len :
				fr_netlink_messages(g->in, (size_t)len,
						    take_message, rq);
		if (err < 0)
			return fr_genl_socket_fail(g, err, NULL);
	}
	return rq->err ? fr_genl_socket_fail(g, rq->err, rq->text) : 0;
}

struct reply {
	int (*on_reply)(const struct fr_genl_attrs *attrs, void *cookie);
	void *cookie;
};

static int take_reply(const struct nlmsghdr *nlh, void *cookie)
{
	const struct reply *reply = cookie;
	struct fr_genl_attrs attrs;
	uint8_t cmd;
	int err;

	err = fr_genl_message_attrs(nlh, &cmd, &attrs);
	return err ? err : reply->on_reply(&attrs, reply->cookie);
}

int fr_genl_socket_request(struct fr_genl *g, const struct nlmsghdr *nlh,
			   const struct iovec *tail, size_t n_tail,
			   int (*on_reply)(const struct fr_genl_attrs *attrs,
					   void *cookie),
			   void *cookie)
{
	struct reply reply = { on_reply, cookie };
	struct request rq = {
		.g = g,
		.on_message = on_reply ? take_reply : NULL,
		.cookie = &reply,
	};

	if (g->dump.cmd)
		return fr_genl_socket_fail(g, -EBUSY,
					   "a dump runs on this socket");
	return request_run(&rq, nlh, tail, n_tail);
}

static int take_family(const struct nlmsghdr *nlh, void *cookie)
{
	uint16_t *family = cookie;
	const struct nlattr *attr;

	mnl_attr_for_each(attr, nlh, sizeof(struct genlmsghdr))
		if (mnl_attr_get_type(attr) == CTRL_ATTR_FAMILY_ID &&
		    mnl_attr_get_payload_len(attr) == sizeof(*family))
			*family = mnl_attr_get_u16(attr);
	return *family ? 0 : -EPROTO;
}

static int resolve(struct fr_genl *g)
{
	char buf[128] __attribute__((aligned(8)));
	uint16_t family = 0;
	struct request rq = { .g = g,
			      .on_message = take_family,
			      .cookie = &family };
	struct nlmsghdr *nlh =
		fr_genl_socket_message(g, buf, CTRL_CMD_GETFAMILY, NLM_F_ACK);
	int err;

	nlh->nlmsg_type = GENL_ID_CTRL;
	mnl_attr_put_strz(nlh, CTRL_ATTR_FAMILY_NAME, FLYREP_GENL_NAME);
	err = request_run(&rq, nlh, NULL, 0);
	if (!err) {
		g->family = family;
		g->dump.family = family;
	}
	return err;
}

int fr_genl_socket_open(struct fr_genl *g)
{
	int err;

	g->in = malloc(FR_NETLINK_IN_LEN);
	if (!g->in)
		return -ENOMEM;
	err = fr_netlink_open(&g->nl, NETLINK_GENERIC, BUFFER_LEN);
	if (err)
		goto err_in;
	err = resolve(g);
	if (err)
		goto err_socket;
	return 0;

err_socket:
	mnl_socket_close(g->nl);
err_in:
	free(g->in);
	g->nl = NULL;
	g->in = NULL;
	return err;
}

void fr_genl_socket_close(struct fr_genl *g)
{
	mnl_socket_close(g->nl);
	free(g->in);
}
