// SPDX-License-Identifier: GPL-2.0-or-later
#include "netlink.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

/* The kernel answers a request before send() returns; this is for one that does not. */
#define ANSWER_TIMEOUT_MS 10000

/* Beyond the system's limit where that is allowed, else up to it. */
static int set_buffer(int fd, int force, int option, int len)
{
	if (setsockopt(fd, SOL_SOCKET, force, &len, sizeof(len)) < 0 &&
	    setsockopt(fd, SOL_SOCKET, option, &len, sizeof(len)) < 0)
		return -errno;
	return 0;
}

static int set_options(struct mnl_socket *nl, int buffer_len)
{
	int fd = mnl_socket_get_fd(nl), on = 1, err;

	if (mnl_socket_setsockopt(nl, NETLINK_EXT_ACK, &on, sizeof(on)) < 0 ||
	    mnl_socket_setsockopt(nl, NETLINK_CAP_ACK, &on, sizeof(on)) < 0)
		return -errno;
	err = set_buffer(fd, SO_RCVBUFFORCE, SO_RCVBUF, buffer_len);
	return err ? err :
		     set_buffer(fd, SO_SNDBUFFORCE, SO_SNDBUF, buffer_len);
}

int fr_netlink_open(struct mnl_socket **out, int bus, int buffer_len)
{
	struct mnl_socket *nl =
		mnl_socket_open2(bus, SOCK_CLOEXEC | SOCK_NONBLOCK);
	int err;

	if (!nl)
		return -errno;
	err = mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) < 0 ?
		      -errno :
		      set_options(nl, buffer_len);
	if (err) {
		mnl_socket_close(nl);
		return err;
	}
	*out = nl;
	return 0;
}

int fr_netlink_send(struct mnl_socket *nl, const struct iovec *iov, size_t n)
{
	struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
	struct msghdr msg = {
		.msg_name = &kernel,
		.msg_namelen = sizeof(kernel),
		.msg_iov = (struct iovec *)iov,
		.msg_iovlen = n,
	};
	ssize_t sent;

	do {
		sent = sendmsg(mnl_socket_get_fd(nl), &msg, 0);
	} while (sent < 0 && errno == EINTR);
	return sent < 0 ? -errno : 0;
}

ssize_t fr_netlink_receive(struct mnl_socket *nl, void *buf)
{
	struct sockaddr_nl from = { 0 };
	struct iovec iov = { .iov_base = buf, .iov_len = FR_NETLINK_IN_LEN };
	struct msghdr msg = {
		.msg_name = &from,
		.msg_namelen = sizeof(from),
		.msg_iov = &iov,
		.msg_iovlen = 1,
	};
	ssize_t len;

	do {
		len = recvmsg(mnl_socket_get_fd(nl), &msg, MSG_DONTWAIT);
		/* Another process may write to this socket: not the kernel, not for us. */
	} while ((len < 0 && errno == EINTR) || (len >= 0 && from.nl_pid));
	if (len < 0)
		return errno == EWOULDBLOCK ? -EAGAIN : -errno;
	return msg.msg_flags & MSG_TRUNC ? -EMSGSIZE : len;
}

int64_t fr_netlink_now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int64_t fr_netlink_deadline_ms(void)
{
	return fr_netlink_now_ms() + ANSWER_TIMEOUT_MS;
}

ssize_t fr_netlink_await(struct mnl_socket *nl, void *buf, int64_t deadline_ms)
{
	struct pollfd p = { .fd = mnl_socket_get_fd(nl), .events = POLLIN };

	for (;;) {
		ssize_t len = fr_netlink_receive(nl, buf);
		int64_t left_ms;

		if (len != -EAGAIN)
			return len;
		left_ms = deadline_ms - fr_netlink_now_ms();
		if (left_ms <= 0)
			return -ETIMEDOUT;
		if (poll(&p, 1, (int)left_ms) < 0 && errno != EINTR)
			return -errno;
	}
}

int fr_netlink_messages(const void *buf, size_t len,
			int (*fn)(const struct nlmsghdr *nlh, void *cookie),
			void *cookie)
{
	const uint8_t *pos = buf;

	while (len) {
		const struct nlmsghdr *nlh = (const struct nlmsghdr *)pos;
		size_t step;
		int err;

		if (len < sizeof(*nlh) || nlh->nlmsg_len < sizeof(*nlh) ||
		    nlh->nlmsg_len > len)
			return -EPROTO;
		err = fn(nlh, cookie);
		if (err)
			return err;
		step = MNL_ALIGN(nlh->nlmsg_len);
		if (step > len)
			step = len;
		pos += step;
		len -= step;
	}
	return 0;
}

int fr_netlink_attrs(const void *buf, size_t len,
		     int (*fn)(const struct nlattr *attr, void *cookie),
		     void *cookie)
{
	const uint8_t *pos = buf;

	while (len) {
		const struct nlattr *attr = (const struct nlattr *)pos;
		size_t step;
		int err;

		if (len < sizeof(*attr) || attr->nla_len < sizeof(*attr) ||
		    attr->nla_len > len)
			return -EPROTO;
		err = fn(attr, cookie);
		if (err)
			return err;
		step = MNL_ALIGN(attr->nla_len);
		if (step > len)
			step = len;
		pos += step;
		len -= step;
	}
	return 0;
}

struct text {
	char *buf;
	size_t size;
};

static int attr_text(const struct nlattr *attr, void *cookie)
{
	struct text *text = cookie;

	if (mnl_attr_get_type(attr) == NLMSGERR_ATTR_MSG)
		snprintf(text->buf, text->size, "%.*s",
			 (int)mnl_attr_get_payload_len(attr),
			 mnl_attr_get_str(attr));
	return 0;
}

int fr_netlink_error(const struct nlmsghdr *nlh, char *text, size_t size)
{
	struct text out = { text, size };
	size_t at = MNL_NLMSG_HDRLEN + sizeof(int);
	const struct nlmsgerr *e = mnl_nlmsg_get_payload(nlh);
	int err;

	text[0] = 0;
	if (nlh->nlmsg_len < at)
		return -EPROTO;
	memcpy(&err, mnl_nlmsg_get_payload(nlh), sizeof(err));
	if (err > 0)
		return -EPROTO;

	if (nlh->nlmsg_type == NLMSG_ERROR) {
		at = MNL_NLMSG_HDRLEN + sizeof(*e);
		if (nlh->nlmsg_len < at)
			return -EPROTO;
		/* The request that failed, or only its head, comes before the text. */
		if (!(nlh->nlmsg_flags & NLM_F_CAPPED)) {
			if (e->msg.nlmsg_len < MNL_NLMSG_HDRLEN ||
			    e->msg.nlmsg_len - MNL_NLMSG_HDRLEN >
				    nlh->nlmsg_len - at)
				return -EPROTO;
			at += MNL_ALIGN(e->msg.nlmsg_len - MNL_NLMSG_HDRLEN);
		}
	}
	if ((nlh->nlmsg_flags & NLM_F_ACK_TLVS) && nlh->nlmsg_len > at &&
	    fr_netlink_attrs((const uint8_t *)nlh + at, nlh->nlmsg_len - at,
			     attr_text, &out))
		return -EPROTO;
	return err;
}
