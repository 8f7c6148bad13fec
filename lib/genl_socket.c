// SPDX-License-Identifier: GPL-2.0-or-later
#include "genl_socket.h"

#include <errno.h>
#include <linux/genetlink.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

/*
 * Room for a full answer and the WAKE beside it. The kernel only makes the next
 * piece of a dump while less than half of this is taken.
 */
#define RECEIVE_BUFFER_LEN (1 << 20)

/* The kernel answers a request before send() returns; this is for one that does not. */
#define ANSWER_TIMEOUT_MS 10000

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

int fr_genl_socket_send(struct fr_genl *g, const struct nlmsghdr *nlh,
			const struct iovec *tail, size_t n_tail)
{
	struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
	struct iovec iov[3] = { { .iov_base = (void *)nlh,
				  .iov_len = nlh->nlmsg_len } };
	struct msghdr msg = {
		.msg_name = &kernel,
		.msg_namelen = sizeof(kernel),
		.msg_iov = iov,
		.msg_iovlen = 1 + n_tail,
	};
	ssize_t sent;
	size_t i;

	for (i = 0; i < n_tail; i++) {
		iov[1 + i] = tail[i];
		iov[0].iov_len -= tail[i].iov_len;
	}
	do {
		sent = sendmsg(mnl_socket_get_fd(g->nl), &msg, 0);
	} while (sent < 0 && errno == EINTR);
	return sent < 0 ? -errno : 0;
}

ssize_t fr_genl_socket_receive(struct fr_genl *g)
{
	struct sockaddr_nl from = { 0 };
	struct iovec iov = { .iov_base = g->in,
			     .iov_len = FR_GENL_SOCKET_IN_LEN };
	struct msghdr msg = {
		.msg_name = &from,
		.msg_namelen = sizeof(from),
		.msg_iov = &iov,
		.msg_iovlen = 1,
	};
	ssize_t len;

	do {
		len = recvmsg(mnl_socket_get_fd(g->nl), &msg, MSG_DONTWAIT);
		/* Another process may write to this socket: not the kernel, not for us. */
	} while ((len < 0 && errno == EINTR) || (len >= 0 && from.nl_pid));
	if (len < 0)
		return errno == EWOULDBLOCK ? -EAGAIN : -errno;
	return msg.msg_flags & MSG_TRUNC ? -EMSGSIZE : len;
}

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static ssize_t receive_until(struct fr_genl *g, int64_t deadline_ms)
{
	struct pollfd p = { .fd = mnl_socket_get_fd(g->nl), .events = POLLIN };

	for (;;) {
		ssize_t len = fr_genl_socket_receive(g);
		int64_t left_ms = deadline_ms - now_ms();

		if (len != -EAGAIN)
			return len;
		if (left_ms <= 0)
			return -ETIMEDOUT;
		if (poll(&p, 1, (int)left_ms) < 0 && errno != EINTR)
			return -errno;
	}
}

/* A request under way. */
struct request {
	struct fr_genl *g;
	uint32_t seq;
	uint16_t family;
	int (*on_message)(const struct nlmsghdr *nlh, void *cookie);
	void *cookie;
	bool is_answered;
	char text[sizeof(((struct fr_genl *)0)->error)];
};

/* Returns 1 to go on, 0 when the request is done, or -errno. */
static int take_message(struct request *rq, const struct nlmsghdr *nlh)
{
	struct fr_genl_attrs attrs;
	uint8_t cmd;
	int err;

	if (!nlh->nlmsg_seq && nlh->nlmsg_type == rq->g->family) {
		if (!fr_genl_message_attrs(nlh, &cmd, &attrs) &&
		    cmd == FLYREP_CMD_WAKE)
			rq->g->has_wake = true;
		return 1;
	}
	if (nlh->nlmsg_seq != rq->seq)
		return 1;
	if (nlh->nlmsg_type == NLMSG_ERROR) {
		err = fr_genl_message_error(nlh, rq->text, sizeof(rq->text));
		if (!err && rq->on_message && !rq->is_answered)
			return -EPROTO;
		return err;
	}
	if (nlh->nlmsg_type != rq->family || !rq->on_message || rq->is_answered)
		return -EPROTO;
	rq->is_answered = true;
	err = rq->on_message(nlh, rq->cookie);
	return err ? err : 1;
}

static int take_datagram(struct request *rq, const char *buf, size_t len)
{
	while (len) {
		const struct nlmsghdr *nlh = (const struct nlmsghdr *)buf;
		size_t step;
		int err;

		if (len < sizeof(*nlh) || nlh->nlmsg_len < sizeof(*nlh) ||
		    nlh->nlmsg_len > len)
			return -EPROTO;
		err = take_message(rq, nlh);
		if (err <= 0)
			return err;
		step = MNL_ALIGN(nlh->nlmsg_len);
		if (step > len)
			step = len;
		buf += step;
		len -= step;
	}
	return 1;
}

static int request_run(struct request *rq, const struct nlmsghdr *nlh,
		       const struct iovec *tail, size_t n_tail)
{
	int64_t deadline_ms = now_ms() + ANSWER_TIMEOUT_MS;
	struct fr_genl *g = rq->g;
	int err;

	rq->seq = nlh->nlmsg_seq;
	rq->family = nlh->nlmsg_type;
	err = fr_genl_socket_send(g, nlh, tail, n_tail);
	if (err)
		return fr_genl_socket_fail(g, err, NULL);
	do {
		ssize_t len = receive_until(g, deadline_ms);

		err = len < 0 ? (int)len :
				take_datagram(rq, g->in, (size_t)len);
	} while (err > 0);
	return err ? fr_genl_socket_fail(g, err, rq->text) : 0;
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

static int set_options(struct fr_genl *g)
{
	int fd = mnl_socket_get_fd(g->nl), on = 1, len = RECEIVE_BUFFER_LEN;

	if (mnl_socket_setsockopt(g->nl, NETLINK_EXT_ACK, &on, sizeof(on)) <
		    0 ||
	    mnl_socket_setsockopt(g->nl, NETLINK_CAP_ACK, &on, sizeof(on)) < 0)
		return -errno;
	/* Beyond the system's limit where that is allowed, else up to it. */
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &len, sizeof(len)) < 0 &&
	    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &len, sizeof(len)) < 0)
		return -errno;
	return 0;
}

int fr_genl_socket_open(struct fr_genl *g)
{
	int err;

	g->in = malloc(FR_GENL_SOCKET_IN_LEN);
	if (!g->in)
		return -ENOMEM;
	g->nl = mnl_socket_open2(NETLINK_GENERIC, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (!g->nl) {
		err = -errno;
		goto err_in;
	}
	if (mnl_socket_bind(g->nl, 0, MNL_SOCKET_AUTOPID) < 0) {
		err = -errno;
		goto err_socket;
	}
	err = set_options(g);
	if (!err)
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
