// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * gen - make many flows through a firewall, and answer them behind it
 *
 *   gen answer -i IFACE
 *   gen send -i IFACE -m MAC [-t] [-c] [-x] [-q] [-n FLOWS] [-f FIRST] [-r RATE] [-w SECONDS]
 *
 * send puts one UDP datagram a flow, or with -t a TCP handshake, on IFACE, for
 * the router with that MAC, at RATE flows a second (0: as fast as it goes).
 * With -t -c it closes instead what a call before has opened: FIN, FIN, ACK.
 * answer, on the other side, answers datagrams, SYNs and FINs; it keeps no state and
 * ends with SIGTERM. What found no answer is sent again, at most 5 times, until
 * SECONDS (10) after the last one. -q: expect no answers (one-way datagrams, lone SYNs).
 *
 * Flow i has the source 10.64.0.1 + i / 60000, the port 1024 + i % 60000 and the
 * destination 10.128.0.1 + i / 60000: no two of them clash behind one source
 * address. Both ends use packet sockets, so the hosts' own stacks, which own
 * none of these addresses, neither help nor answer.
 *
 * With -x flows are as mixed as those of a site: 4096 clients from 10.64.0.1 on, each as
 * often as any other, with random source ports from 32768 on; 65535 servers at random
 * places of 10.128.0.0/9, of which the k-th is asked 1/k times as often as the first
 * (in steps of an octave); ports of servers as in the tables below. A function of i.
 *
 * Prints one line of JSON: flows, answered, packets, seconds, cpu_ns: what this process ran, with
 * the packets that the kernel forwarded meanwhile. Exit code 0 when every flow that expects an
 * answer got one.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>

#define BURST		32
#define FRAME_LEN	128
#define PORTS		60000u
#define PORT_FIRST	1024u
#define CLIENT_NET	0x0a400001u	/* 10.64.0.1 */
#define SERVER_NET	0x0a800001u	/* 10.128.0.1 */
#define SERVER_MASK	0xff800000u
#define UDP_PORT	9
#define TCP_PORT	80
#define MIX_PORT_FIRST	32768u
#define MIX_PORT_BITS	15
#define MIX_BITS	27		/* of client and port together */
#define MIX_MASK	((1u << MIX_BITS) - 1)
#define MIX_SHIFT	14		/* at least half of the bits: done twice it is undone */
#define MIX_OCTAVES	16		/* of servers */
#define ROUNDS		6
#define RCVBUF_LEN	(64 << 20)

struct frame {
	struct ether_header eth;
	struct iphdr ip;
	union {
		struct udphdr udp;
		struct tcphdr tcp;
	};
} __attribute__((packed, aligned(2)));

/* Frames on their way out. */
struct out {
	int fd;
	unsigned int n;
	uint64_t n_sent;
	struct mmsghdr msg[BURST];
	struct iovec iov[BURST];
	struct frame frame[BURST];
};

struct gen {
	const char *iface;
	uint8_t own_mac[6];
	uint8_t router_mac[6];
	bool is_tcp;
	bool is_close;
	bool is_mixed;
	bool is_quiet;
	uint32_t n_flows;
	uint32_t first;
	double rate;
	double wait_s;
	uint8_t *answered;	/* one byte a flow */
	uint32_t n_answered;
	struct out out;
};

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static uint64_t cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return t.tv_sec * 1000000000ull + t.tv_nsec;
}

static void fail(const char *what)
{
	fprintf(stderr, "gen: %s: %s\n", what, strerror(errno));
	exit(2);
}

/* --- which flow it is --- */

struct flow {
	uint32_t saddr;
	uint32_t daddr;
	uint16_t sport;
	uint16_t dport;
};

static const uint32_t odds[] = { 0x3c6ef35, 0x19660d5, 0x5851f4d };

/* Of an odd number, modulo any power of 2. */
static uint32_t inverse(uint32_t odd)
{
	uint32_t x = odd;
	int i;

	for (i = 0; i < 5; i++)
		x *= 2 - odd * x;
	return x;
}

/* A permutation of MIX_BITS bits that shows no order. */
static uint32_t scatter(uint32_t x)
{
	size_t i;

	for (i = 0; i < 3; i++) {
		x ^= x >> MIX_SHIFT;
		x = x * odds[i] & MIX_MASK;
	}
	return x ^ x >> MIX_SHIFT;
}

static uint32_t gather(uint32_t x)
{
	size_t i;

	x ^= x >> MIX_SHIFT;
	for (i = 3; i--;) {
		x = x * inverse(odds[i]) & MIX_MASK;
		x ^= x >> MIX_SHIFT;
	}
	return x;
}

/* splitmix64 */
static uint64_t hash(uint64_t x)
{
	x += 0x9e3779b97f4a7c15;
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
	x = (x ^ x >> 27) * 0x94d049bb133111eb;
	return x ^ x >> 31;
}

/* Ports of servers, and of 100 flows how many go there; the others to any port above 1023. */
struct service {
	uint16_t port;
	uint8_t percent;
};

static const struct service tcp_services[] = {
	{ 443, 80 }, { 80, 10 }, { 22, 2 }, { 993, 2 }, { 5223, 2 }, { 8080, 1 }, {},
};

static const struct service udp_services[] = {
	{ 53, 50 }, { 443, 40 }, { 123, 4 }, { 3478, 2 }, {},
};

static uint16_t service_port(const struct service *s, uint64_t random)
{
	unsigned int at = random % 100;

	for (; s->percent; s++) {
		if (at < s->percent)
			return s->port;
		at -= s->percent;
	}
	return 1024 + random / 100 % (65536 - 1024);
}

static struct flow mixed_flow(bool is_tcp, uint32_t i)
{
	uint32_t client = scatter(i & MIX_MASK), octave, server;
	uint64_t random = hash(i);

	octave = random % MIX_OCTAVES;
	server = (1u << octave) + (random >> 8) % (1u << octave);
	return (struct flow){
		.saddr = CLIENT_NET + (client >> MIX_PORT_BITS),
		.sport = MIX_PORT_FIRST + (client & ((1u << MIX_PORT_BITS) - 1)),
		.daddr = SERVER_NET + hash(server) % (~SERVER_MASK - 1),
		.dport = service_port(is_tcp ? tcp_services : udp_services, hash(random)),
	};
}

static struct flow flow_of(const struct gen *g, uint32_t i)
{
	if (g->is_mixed)
		return mixed_flow(g->is_tcp, i);
	return (struct flow){
		.saddr = CLIENT_NET + i / PORTS,
		.daddr = SERVER_NET + i / PORTS,
		.sport = PORT_FIRST + i % PORTS,
		.dport = g->is_tcp ? TCP_PORT : UDP_PORT,
	};
}

/* The number of the flow with this client. */
static uint32_t number_of(const struct gen *g, uint32_t addr, uint16_t port)
{
	if (g->is_mixed)
		return gather((addr - CLIENT_NET) << MIX_PORT_BITS | (port - MIX_PORT_FIRST));
	return (addr - CLIENT_NET) * PORTS + port - PORT_FIRST;
}

/* What the server's side numbers its bytes from. */
static uint32_t answer_seq(uint32_t seq)
{
	return seq ^ 0x5a5a5a5a;
}

/* --- frames --- */

static uint32_t sum(const void *data, size_t len, uint32_t s)
{
	const uint8_t *p = data;

	for (; len > 1; len -= 2, p += 2)
		s += p[0] << 8 | p[1];
	return len ? s + (p[0] << 8) : s;
}

static uint16_t fold(uint32_t s)
{
	while (s >> 16)
		s = (s & 0xffff) + (s >> 16);
	return htons(~s);
}

/* Checksums and lengths of a frame that is otherwise complete. */
static size_t finish(struct frame *f)
{
	size_t l4_len = f->ip.protocol == IPPROTO_TCP ? sizeof(f->tcp) : sizeof(f->udp);
	uint32_t pseudo;

	f->ip.tot_len = htons(sizeof(f->ip) + l4_len);
	f->ip.check = 0;
	f->ip.check = fold(sum(&f->ip, sizeof(f->ip), 0));
	pseudo = sum(&f->ip.saddr, 8, f->ip.protocol + l4_len);
	if (f->ip.protocol == IPPROTO_TCP) {
		f->tcp.check = 0;
		f->tcp.check = fold(sum(&f->tcp, l4_len, pseudo));
	} else {
		f->udp.len = htons(l4_len);
		f->udp.check = 0;
		f->udp.check = fold(sum(&f->udp, l4_len, pseudo));
		if (!f->udp.check)
			f->udp.check = 0xffff;
	}
	return offsetof(struct frame, udp) + l4_len;
}

static void flush(struct out *o)
{
	unsigned int done = 0;
	int n;

	while (done < o->n) {
		n = sendmmsg(o->fd, o->msg + done, o->n - done, 0);
		if (n < 0 && errno != ENOBUFS && errno != EINTR && errno != EAGAIN)
			fail("send");
		if (n > 0)
			done += n;
	}
	o->n_sent += done;
	o->n = 0;
}

static struct frame *next(struct out *o)
{
	if (o->n == BURST)
		flush(o);
	return &o->frame[o->n];
}

static void commit(struct out *o)
{
	o->iov[o->n].iov_base = &o->frame[o->n];
	o->iov[o->n].iov_len = finish(&o->frame[o->n]);
	o->msg[o->n].msg_hdr.msg_iov = &o->iov[o->n];
	o->msg[o->n].msg_hdr.msg_iovlen = 1;
	o->n++;
}

static void open_flow(struct gen *g, uint32_t i)
{
	struct frame *f = next(&g->out);
	struct flow flow = flow_of(g, i);

	memset(f, 0, sizeof(*f));
	memcpy(f->eth.ether_shost, g->own_mac, 6);
	memcpy(f->eth.ether_dhost, g->router_mac, 6);
	f->eth.ether_type = htons(ETHERTYPE_IP);
	f->ip.version = 4;
	f->ip.ihl = 5;
	f->ip.ttl = 64;
	f->ip.frag_off = htons(IP_DF);
	f->ip.protocol = g->is_tcp ? IPPROTO_TCP : IPPROTO_UDP;
	f->ip.saddr = htonl(flow.saddr);
	f->ip.daddr = htonl(flow.daddr);
	f->udp.source = htons(flow.sport);
	f->udp.dest = htons(flow.dport);
	if (g->is_tcp) {
		f->tcp.doff = 5;
		f->tcp.syn = !g->is_close;
		f->tcp.fin = f->tcp.ack = g->is_close;
		f->tcp.seq = htonl(i + g->is_close);
		f->tcp.ack_seq = g->is_close ? htonl(answer_seq(i) + 1) : 0;
		f->tcp.window = htons(65535);
	}
	commit(&g->out);
}

/* The frame that answers @in, begun: everything swapped. */
static struct frame *turn(struct out *o, const struct frame *in)
{
	struct frame *f = next(o);

	*f = *in;
	memcpy(f->eth.ether_shost, in->eth.ether_dhost, 6);
	memcpy(f->eth.ether_dhost, in->eth.ether_shost, 6);
	f->ip.saddr = in->ip.daddr;
	f->ip.daddr = in->ip.saddr;
	f->ip.ttl = 64;
	f->udp.source = in->udp.dest;
	f->udp.dest = in->udp.source;
	if (in->ip.protocol == IPPROTO_TCP) {
		memset((uint8_t *)&f->tcp + 4, 0, sizeof(f->tcp) - 4);
		f->tcp.doff = 5;
		f->tcp.window = htons(65535);
		f->tcp.ack = 1;
		f->tcp.ack_seq = htonl(ntohl(in->tcp.seq) + 1);
		f->tcp.seq = in->tcp.ack ? in->tcp.ack_seq : htonl(answer_seq(ntohl(in->tcp.seq)));
	}
	return f;
}

static bool is_server(uint32_t addr)
{
	return (ntohl(addr) & SERVER_MASK) == (SERVER_NET & SERVER_MASK);
}

static void on_question(struct out *o, const struct frame *in)
{
	if (!is_server(in->ip.daddr))
		return;
	if (in->ip.protocol == IPPROTO_UDP) {
		turn(o, in);
		commit(o);
	} else if (in->ip.protocol == IPPROTO_TCP && in->tcp.syn && !in->tcp.ack) {
		turn(o, in)->tcp.syn = 1;
		commit(o);
	} else if (in->ip.protocol == IPPROTO_TCP && in->tcp.fin) {
		turn(o, in)->tcp.fin = 1;
		commit(o);
	}
}

static void on_answer(struct gen *g, const struct frame *in)
{
	uint32_t i;

	if (!is_server(in->ip.saddr))
		return;
	if (in->ip.protocol != (g->is_tcp ? IPPROTO_TCP : IPPROTO_UDP))
		return;
	i = number_of(g, ntohl(in->ip.daddr), ntohs(in->udp.dest));
	if (i < g->first || i - g->first >= g->n_flows)
		return;
	if (g->is_tcp && (!in->tcp.ack || !(g->is_close ? in->tcp.fin : in->tcp.syn)))
		return;
	if (!g->answered[i - g->first])
		g->n_answered++;
	g->answered[i - g->first] = 1;
	if (g->is_tcp) {
		turn(&g->out, in);
		commit(&g->out);
	}
}

/* --- the socket --- */

static void open_socket(struct gen *g)
{
	struct sockaddr_ll ll = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_IP) };
	int fd = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_IP)), one = 1, len = RCVBUF_LEN;
	struct ifreq ifr = {};

	if (fd < 0)
		fail("packet socket");
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", g->iface);
	if (ioctl(fd, SIOCGIFHWADDR, &ifr) < 0)
		fail(g->iface);
	memcpy(g->own_mac, ifr.ifr_hwaddr.sa_data, 6);
	ll.sll_ifindex = if_nametoindex(g->iface);
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &len, sizeof(len)) < 0 ||
	    setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof(one)) < 0 ||
	    setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof(one)) < 0 ||
	    bind(fd, (struct sockaddr *)&ll, sizeof(ll)) < 0)
		fail("packet socket");
	g->out.fd = fd;
}

/* Take what has come; @is_sender: as the one who asked */
static void receive(struct gen *g, bool is_sender)
{
	struct frame in[BURST];
	struct iovec iov[BURST];
	struct mmsghdr msg[BURST];
	int i, n;

	for (i = 0; i < BURST; i++) {
		iov[i] = (struct iovec){ &in[i], sizeof(in[i]) };
		msg[i] = (struct mmsghdr){ .msg_hdr = { .msg_iov = &iov[i], .msg_iovlen = 1 } };
	}
	while ((n = recvmmsg(g->out.fd, msg, BURST, MSG_DONTWAIT, NULL)) > 0) {
		for (i = 0; i < n; i++) {
			if (msg[i].msg_len < offsetof(struct frame, udp) + sizeof(struct udphdr) ||
			    in[i].ip.ihl != 5)
				continue;
			if (is_sender)
				on_answer(g, &in[i]);
			else
				on_question(&g->out, &in[i]);
		}
		flush(&g->out);
	}
}

static void receive_until(struct gen *g, double until)
{
	struct pollfd p = { .fd = g->out.fd, .events = POLLIN };
	double left;

	while (g->n_answered < g->n_flows && (left = until - now_s()) > 0) {
		poll(&p, 1, left * 1000 + 1);
		receive(g, true);
	}
}

static int answer(struct gen *g)
{
	struct pollfd p = { .fd = g->out.fd, .events = POLLIN };

	puts("answering");
	fflush(stdout);
	while (poll(&p, 1, -1) >= 0 || errno == EINTR)
		receive(g, false);
	return 2;
}

/* One round over all flows not answered yet. */
static void send_round(struct gen *g)
{
	double begin = now_s();
	uint32_t i, n = 0;

	for (i = 0; i < g->n_flows; i++) {
		if (g->answered[i])
			continue;
		open_flow(g, g->first + i);
		if (++n % BURST)
			continue;
		flush(&g->out);
		receive(g, true);
		if (g->rate > 0)
			receive_until(g, begin + n / g->rate);
	}
	flush(&g->out);
}

static int send_flows(struct gen *g)
{
	double begin = now_s(), took = 0;
	uint64_t cpu = cpu_ns();
	int round;

	g->answered = calloc(g->n_flows ? g->n_flows : 1, 1);
	if (!g->answered)
		fail("memory");
	for (round = 0; round < ROUNDS && g->n_answered < g->n_flows; round++) {
		send_round(g);
		took = now_s() - begin;
		if (g->is_quiet)
			break;
		receive_until(g, now_s() + g->wait_s / ROUNDS);
	}
	if (!g->is_quiet)
		took = now_s() - begin;
	printf("{\"flows\":%u,\"answered\":%u,\"packets\":%lu,\"seconds\":%.3f,\"cpu_ns\":%lu}\n",
	       g->n_flows, g->n_answered, g->out.n_sent, took, cpu_ns() - cpu);
	free(g->answered);
	return !g->is_quiet && g->n_answered < g->n_flows;
}

static int usage(void)
{
	fputs("usage: gen answer -i IFACE\n"
	      "       gen send -i IFACE -m MAC [-t] [-c] [-x] [-q] [-n FLOWS] [-f FIRST] [-r RATE]\n"
	      "                [-w SECONDS]\n",
	      stderr);
	return 2;
}

int main(int argc, char **argv)
{
	struct gen g = { .n_flows = 1000, .wait_s = 10 };
	uint8_t *m = g.router_mac;
	bool has_mac = false;
	int c;

	while ((c = getopt(argc, argv, "i:m:tcxqn:f:r:w:")) != -1) {
		switch (c) {
		case 'i':
			g.iface = optarg;
			break;
		case 'm':
			has_mac = sscanf(optarg, "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", &m[0], &m[1],
					 &m[2], &m[3], &m[4], &m[5]) == 6;
			break;
		case 't':
			g.is_tcp = true;
			break;
		case 'c':
			g.is_close = true;
			break;
		case 'x':
			g.is_mixed = true;
			break;
		case 'q':
			g.is_quiet = true;
			break;
		case 'n':
			g.n_flows = strtoul(optarg, NULL, 10);
			break;
		case 'f':
			g.first = strtoul(optarg, NULL, 10);
			break;
		case 'r':
			g.rate = strtod(optarg, NULL);
			break;
		case 'w':
			g.wait_s = strtod(optarg, NULL);
			break;
		default:
			return usage();
		}
	}
	if (!g.iface || optind + 1 != argc)
		return usage();
	open_socket(&g);
	if (!strcmp(argv[optind], "answer"))
		return answer(&g);
	if (strcmp(argv[optind], "send") || !has_mac)
		return usage();
	return send_flows(&g);
}
