// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * lat - from a flow's first packet to the flow in the peer's kernel
 *
 *   lat -s NETNS -i IFACE -m MAC -p NETNS [-n FLOWS] [-f FIRST] [-r RATE] [-w SECONDS]
 *
 * Sends one UDP datagram a flow from the namespace after -s, one at a time, for the router with
 * that MAC, at RATE flows a second. Listens to what the conntrack of the peer's namespace (-p)
 * announces as new, which both programs under comparison make it announce, and takes the time
 * between a flow's datagram and its announcement. A flow carries its number in ports and source, as
 * in gen, from address 10.96.0.1 on. SIGTERM ends it before it has sent all.
 *
 * Prints one line of JSON: flows, seen, min_us, p50_us, p99_us, max_us. Exit code 0 when every
 * flow was seen.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <libmnl/libmnl.h>
#include <linux/if_packet.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PORTS		60000u
#define PORT_FIRST	1024u
#define CLIENT_NET	0x0a600001u	/* 10.96.0.1: none of gen's flows */
#define SERVER_NET	0x0a800001u	/* 10.128.0.1 */
#define UDP_PORT	9
#define RCVBUF_LEN	(16 << 20)
#define ANNOUNCED_LEN	65536

struct frame {
	struct ether_header eth;
	struct iphdr ip;
	struct udphdr udp;
} __attribute__((packed, aligned(2)));

struct lat {
	const char *sender_ns;
	const char *peer_ns;
	const char *iface;
	uint8_t own_mac[6];
	uint8_t router_mac[6];
	uint32_t n_flows;
	uint32_t first;
	double rate;
	double wait_s;
	int packet_fd;
	struct mnl_socket *listener;
	uint64_t *sent_ns;	/* by flow */
	uint64_t *took_ns;	/* by flow, 0: not seen */
	uint32_t n_sent;
	uint32_t n_seen;
	uint64_t heard_ns;	/* when the announcements at hand were read */
};

static volatile sig_atomic_t is_over;

static void on_term(int sig)
{
	(void)sig;
	is_over = 1;
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ull + t.tv_nsec;
}

static void fail(const char *what)
{
	fprintf(stderr, "lat: %s: %s\n", what, strerror(errno));
	exit(2);
}

static void enter(const char *name)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "/run/netns/%s", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || setns(fd, CLONE_NEWNET) < 0)
		fail(path);
	close(fd);
}

static void open_sender(struct lat *l)
{
	struct sockaddr_ll ll = { .sll_family = AF_PACKET };
	int fd = socket(AF_PACKET, SOCK_RAW, 0), one = 1;
	struct ifreq ifr = {};

	if (fd < 0)
		fail("packet socket");
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", l->iface);
	if (ioctl(fd, SIOCGIFHWADDR, &ifr) < 0)
		fail(l->iface);
	memcpy(l->own_mac, ifr.ifr_hwaddr.sa_data, 6);
	ll.sll_ifindex = if_nametoindex(l->iface);
	if (setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof(one)) < 0 ||
	    bind(fd, (struct sockaddr *)&ll, sizeof(ll)) < 0)
		fail("packet socket");
	l->packet_fd = fd;
}

static void open_listener(struct lat *l)
{
	int group = NFNLGRP_CONNTRACK_NEW, len = RCVBUF_LEN;

	l->listener = mnl_socket_open2(NETLINK_NETFILTER, SOCK_NONBLOCK);
	if (!l->listener || mnl_socket_bind(l->listener, 0, MNL_SOCKET_AUTOPID) < 0 ||
	    setsockopt(mnl_socket_get_fd(l->listener), SOL_SOCKET, SO_RCVBUFFORCE, &len,
		       sizeof(len)) < 0 ||
	    mnl_socket_setsockopt(l->listener, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group)) < 0)
		fail("conntrack listener");
}

static void send_one(struct lat *l)
{
	uint32_t i = l->first + l->n_sent, sum = 0;
	struct frame f = {
		.eth.ether_type = htons(ETHERTYPE_IP),
		.ip = { .version = 4, .ihl = 5, .ttl = 64, .protocol = IPPROTO_UDP,
			.tot_len = htons(sizeof(f.ip) + sizeof(f.udp)),
			.frag_off = htons(IP_DF),
			.saddr = htonl(CLIENT_NET + i / PORTS),
			.daddr = htonl(SERVER_NET + i / PORTS) },
		.udp = { .source = htons(PORT_FIRST + i % PORTS), .dest = htons(UDP_PORT),
			 .len = htons(sizeof(f.udp)) },
	};
	uint16_t w[10];
	int k;

	memcpy(f.eth.ether_shost, l->own_mac, 6);
	memcpy(f.eth.ether_dhost, l->router_mac, 6);
	memcpy(w, &f.ip, sizeof(w));
	for (k = 0; k < 10; k++)
		sum += ntohs(w[k]);
	sum = (sum & 0xffff) + (sum >> 16);
	f.ip.check = htons(~(sum + (sum >> 16)));
	l->sent_ns[l->n_sent++] = now_ns();
	/* UDP without a checksum is legal in IPv4. */
	if (send(l->packet_fd, &f, sizeof(f), 0) != sizeof(f))
		fail("send");
}

/* --- announcements --- */

struct key {
	uint32_t saddr;
	uint16_t sport;
	bool has_saddr;
	bool has_sport;
};

static int on_proto(const struct nlattr *a, void *cookie)
{
	struct key *k = cookie;

	if (mnl_attr_get_type(a) == CTA_PROTO_SRC_PORT) {
		k->sport = ntohs(mnl_attr_get_u16(a));
		k->has_sport = true;
	}
	return MNL_CB_OK;
}

static int on_ip(const struct nlattr *a, void *cookie)
{
	struct key *k = cookie;

	if (mnl_attr_get_type(a) == CTA_IP_V4_SRC) {
		k->saddr = ntohl(mnl_attr_get_u32(a));
		k->has_saddr = true;
	}
	return MNL_CB_OK;
}

static int on_tuple(const struct nlattr *a, void *cookie)
{
	if (mnl_attr_get_type(a) == CTA_TUPLE_IP)
		return mnl_attr_parse_nested(a, on_ip, cookie);
	if (mnl_attr_get_type(a) == CTA_TUPLE_PROTO)
		return mnl_attr_parse_nested(a, on_proto, cookie);
	return MNL_CB_OK;
}

static int on_attr(const struct nlattr *a, void *cookie)
{
	return mnl_attr_get_type(a) == CTA_TUPLE_ORIG ? mnl_attr_parse_nested(a, on_tuple, cookie) :
							MNL_CB_OK;
}

static int on_message(const struct nlmsghdr *nlh, void *cookie)
{
	struct lat *l = cookie;
	struct key k = {};
	uint32_t i;

	if ((nlh->nlmsg_type & 0xff) != IPCTNL_MSG_CT_NEW)
		return MNL_CB_OK;
	mnl_attr_parse(nlh, sizeof(struct nfgenmsg), on_attr, &k);
	if (!k.has_saddr || !k.has_sport)
		return MNL_CB_OK;
	i = (k.saddr - CLIENT_NET) * PORTS + k.sport - PORT_FIRST - l->first;
	if (i >= l->n_sent || l->took_ns[i])
		return MNL_CB_OK;
	l->took_ns[i] = l->heard_ns - l->sent_ns[i];
	l->n_seen++;
	return MNL_CB_OK;
}

static void listen_all(struct lat *l)
{
	char buf[ANNOUNCED_LEN];
	ssize_t n;

	while ((n = mnl_socket_recvfrom(l->listener, buf, sizeof(buf))) > 0) {
		l->heard_ns = now_ns();
		mnl_cb_run(buf, n, 0, 0, on_message, l);
	}
	if (n < 0 && errno != EAGAIN && errno != EINTR)
		fail("conntrack listener");
}

static void listen_until(struct lat *l, uint64_t until_ns)
{
	struct pollfd p = { .fd = mnl_socket_get_fd(l->listener), .events = POLLIN };
	uint64_t now;

	while (l->n_seen < l->n_flows && (now = now_ns()) < until_ns) {
		struct timespec left = { .tv_sec = (until_ns - now) / 1000000000,
					 .tv_nsec = (until_ns - now) % 1000000000 };

		if (ppoll(&p, 1, &left, NULL) > 0)
			listen_all(l);
	}
}

/* --- figures --- */

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static double percentile_us(const uint64_t *sorted, uint32_t n, double p)
{
	return n ? sorted[(uint32_t)((n - 1) * p)] / 1000.0 : 0;
}

static int report(struct lat *l)
{
	uint32_t i, n = 0;

	for (i = 0; i < l->n_flows; i++)
		if (l->took_ns[i])
			l->took_ns[n++] = l->took_ns[i];
	qsort(l->took_ns, n, sizeof(*l->took_ns), by_value);
	printf("{\"flows\":%u,\"seen\":%u,\"min_us\":%.1f,\"p50_us\":%.1f,\"p99_us\":%.1f,\"max_us\":%.1f}\n",
	       l->n_flows, n, percentile_us(l->took_ns, n, 0), percentile_us(l->took_ns, n, 0.5),
	       percentile_us(l->took_ns, n, 0.99), percentile_us(l->took_ns, n, 1));
	return n < l->n_flows;
}

static int usage(void)
{
	fputs("usage: lat -s NETNS -i IFACE -m MAC -p NETNS [-n FLOWS] [-f FIRST] [-r RATE] [-w SECONDS]\n",
	      stderr);
	return 2;
}

int main(int argc, char **argv)
{
	struct lat l = { .n_flows = 1000, .rate = 1000, .wait_s = 5 };
	uint8_t *m = l.router_mac;
	bool has_mac = false;
	uint64_t begin;
	int c;

	while ((c = getopt(argc, argv, "s:i:m:p:n:f:r:w:")) != -1) {
		switch (c) {
		case 's':
			l.sender_ns = optarg;
			break;
		case 'i':
			l.iface = optarg;
			break;
		case 'm':
			has_mac = sscanf(optarg, "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", &m[0], &m[1],
					 &m[2], &m[3], &m[4], &m[5]) == 6;
			break;
		case 'p':
			l.peer_ns = optarg;
			break;
		case 'n':
			l.n_flows = strtoul(optarg, NULL, 10);
			break;
		case 'f':
			l.first = strtoul(optarg, NULL, 10);
			break;
		case 'r':
			l.rate = strtod(optarg, NULL);
			break;
		case 'w':
			l.wait_s = strtod(optarg, NULL);
			break;
		default:
			return usage();
		}
	}
	if (!l.sender_ns || !l.peer_ns || !l.iface || !has_mac || !l.n_flows || l.rate <= 0)
		return usage();
	l.sent_ns = calloc(l.n_flows, sizeof(*l.sent_ns));
	l.took_ns = calloc(l.n_flows, sizeof(*l.took_ns));
	if (!l.sent_ns || !l.took_ns)
		fail("memory");
	enter(l.sender_ns);
	open_sender(&l);
	enter(l.peer_ns);
	open_listener(&l);

	begin = now_ns();
	signal(SIGTERM, on_term);
	while (l.n_sent < l.n_flows && !is_over) {
		send_one(&l);
		listen_until(&l, begin + (uint64_t)(l.n_sent * 1e9 / l.rate));
	}
	l.n_flows = l.n_sent;
	listen_until(&l, now_ns() + (uint64_t)(l.wait_s * 1e9));
	return report(&l);
}
