/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Records as the tests make and find them, the reader as they drive it, and the sockets that
 * make real flows.
 */
#ifndef KT_FLOW_H
#define KT_FLOW_H

#include <arpa/inet.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_conntrack_sctp.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include "flyrep.h"
#include "genl.h"
#include "kt.h"
#include "siphash.h"

/* What no header of the C library tells: linux/dccp.h, and enum ct_dccp_states of the kernel */
#ifndef SOL_DCCP
#define SOL_DCCP 269
#endif
#ifndef SOCK_DCCP
#define SOCK_DCCP 6
#endif
#define KT_DCCP_SERVICE 2

enum {
	KT_DCCP_NONE, KT_DCCP_REQUEST, KT_DCCP_RESPOND, KT_DCCP_PARTOPEN, KT_DCCP_OPEN,
	KT_DCCP_CLOSEREQ, KT_DCCP_CLOSING, KT_DCCP_TIMEWAIT,
};

/* Does conntrack know the ports of this protocol? Newer kernels know DCCP and UDP-Lite no more. */
KT_UNUSED static bool kt_tracks(uint8_t proto)
{
	static int has_udplite = -1;
	int fd;

	if (proto == IPPROTO_DCCP)
		return !access("/proc/sys/net/netfilter/nf_conntrack_dccp_timeout_open", F_OK);
	if (proto == IPPROTO_GRE)
		return !access("/proc/sys/net/netfilter/nf_conntrack_gre_timeout", F_OK);
	if (proto != IPPROTO_UDPLITE)
		return true;
	/* Its tracker left no trace of its own. It went with the sockets. */
	if (has_udplite < 0) {
		/* Where there is none this runs modprobe. */
		fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, IPPROTO_UDPLITE);
		has_udplite = fd >= 0;
		if (fd >= 0)
			close(fd);
	}
	return has_udplite;
}

static const uint8_t kt_key[FLYREP_HASH_KEY_LEN] = "0123456789abcdef";

/* A hint with its key */
struct kt_hint {
	struct flyrep_hint	h;
	uint8_t			key[FLYREP_HINT_KEY_MAX_LEN];
};

/* What a dump handed out, in order; @x: the tail of each record, zero for none */
struct kt_recs {
	struct flyrep_ct	*r;
	struct flyrep_ct_ext	*x;
	size_t			n;
	size_t			cap;
	uint32_t		dirty;
	uint8_t			buckets[FLYREP_BUCKETS_LEN];
	bool			has_buckets;
	uint64_t		begin;
	uint64_t		end;
	unsigned int		n_begin;
	unsigned int		n_end;
	unsigned int		n_drained;
	unsigned int		n_wake;
	struct kt_hint		*hints;
	size_t			n_hints;
	bool			is_set_dirty;
	unsigned int		n_expects_dirty;
};

KT_UNUSED static void kt_recs_reset(struct kt_recs *k)
{
	free(k->r);
	free(k->x);
	free(k->hints);
	memset(k, 0, sizeof(*k));
}

static void kt_on_records(void *cookie, uint8_t table, const void *recs, size_t n)
{
	const struct flyrep_ct *r = recs;
	struct kt_recs *k = cookie;

	if (table != FLYREP_TABLE_CONNTRACK)
		return;
	if (k->n + n > k->cap) {
		k->cap = (k->n + n) * 2;
		k->r = realloc(k->r, k->cap * sizeof(*k->r));
		k->x = realloc(k->x, k->cap * sizeof(*k->x));
	}
	for (; n; n--, k->n++) {
		k->r[k->n] = *r;
		memset(&k->x[k->n], 0, sizeof(*k->x));
		/* This test knows the module's own length. */
		if (r->rec.tail_len && r->rec.tail_len != sizeof(*k->x))
			abort();
		memcpy(&k->x[k->n], r + 1, r->rec.tail_len);
		r = (const struct flyrep_ct *)((const uint8_t *)(r + 1) + r->rec.tail_len);
	}
}

static void kt_on_hints(void *cookie, const struct flyrep_hint *hints, size_t len)
{
	const uint8_t *end = (const uint8_t *)hints + len;
	struct kt_recs *k = cookie;

	for (; (const uint8_t *)hints < end; hints = fr_genl_hint_next(hints)) {
		/* In steps: a drain may hand out very many. */
		if (!(k->n_hints & (k->n_hints + 1)) || !k->hints)
			k->hints = realloc(k->hints, 2 * (k->n_hints + 1) * sizeof(*k->hints));
		k->hints[k->n_hints].h = *hints;
		memset(k->hints[k->n_hints].key, 0, sizeof(k->hints->key));
		memcpy(k->hints[k->n_hints++].key, fr_genl_hint_key(hints), hints->key_len);
	}
}

static void kt_on_begin(void *cookie, uint8_t table, uint64_t stamp, const uint8_t *buckets)
{
	struct kt_recs *k = cookie;

	(void)table;
	k->begin = stamp;
	k->n_begin++;
	k->has_buckets = buckets;
	if (buckets)
		memcpy(k->buckets, buckets, sizeof(k->buckets));
}

static void kt_on_end(void *cookie, uint8_t table, uint64_t stamp)
{
	struct kt_recs *k = cookie;

	(void)table;
	k->end = stamp;
	k->n_end++;
}

static void kt_on_dirty(void *cookie, uint8_t table, uint32_t n, const uint8_t *buckets)
{
	struct kt_recs *k = cookie;

	k->is_set_dirty |= table == FLYREP_TABLE_NFT_SET;
	k->n_expects_dirty += table == FLYREP_TABLE_EXPECTATION;
	if (table != FLYREP_TABLE_CONNTRACK)
		return;
	k->dirty = n;
	k->has_buckets = buckets;
	if (buckets)
		memcpy(k->buckets, buckets, sizeof(k->buckets));
}

static void kt_on_drained(void *cookie, uint64_t stamp)
{
	struct kt_recs *k = cookie;

	k->end = stamp;
	k->n_drained++;
}

static void kt_on_wake(void *cookie)
{
	((struct kt_recs *)cookie)->n_wake++;
}

static const struct fr_genl_sink kt_sink = {
	.records = kt_on_records, .hints = kt_on_hints, .begin = kt_on_begin, .end = kt_on_end,
	.dirty = kt_on_dirty, .drained = kt_on_drained, .wake = kt_on_wake,
};

/* Read a dump to its end; 0 or -errno */
KT_UNUSED static int kt_pump(struct fr_genl *g, struct kt_recs *k)
{
	int rc;

	do {
		struct pollfd p = { .fd = fr_genl_fd(g), .events = POLLIN };

		rc = fr_genl_pump(g, &kt_sink, k);
		if (rc == -EAGAIN && poll(&p, 1, KT_WAIT_MS) <= 0)
			return -ETIMEDOUT;
	} while (rc == 1 || rc == -EAGAIN);
	return rc;
}

/* Add what is in the ring to @k. */
KT_UNUSED static int kt_drain(struct fr_genl *g, struct kt_recs *k)
{
	int rc = fr_genl_drain_start(g);

	k->dirty = 0;
	k->has_buckets = false;
	k->is_set_dirty = false;
	return rc < 0 ? rc : kt_pump(g, k);
}

KT_UNUSED static int kt_snapshot(struct fr_genl *g, struct kt_recs *k, uint8_t origin,
				 const uint8_t *buckets)
{
	struct fr_genl_snapshot req = {
		.table = FLYREP_TABLE_CONNTRACK, .origin = origin, .buckets = buckets,
	};
	int rc;

	kt_recs_reset(k);
	rc = fr_genl_snapshot_start(g, &req);
	return rc < 0 ? rc : kt_pump(g, k);
}

/* Was there a WAKE, or does one come before the deadline? It may have come with an answer. */
KT_UNUSED static bool kt_wait_wake(struct fr_genl *g, int timeout_ms)
{
	struct pollfd p = { .fd = fr_genl_fd(g), .events = POLLIN };
	struct kt_recs k = {};

	fr_genl_pump(g, &kt_sink, &k);
	if (!k.n_wake && poll(&p, 1, timeout_ms) > 0)
		fr_genl_pump(g, &kt_sink, &k);
	return k.n_wake > 0;
}

KT_UNUSED static int kt_config(struct fr_genl *g, int64_t hold_s, int64_t grace_s, int standby)
{
	struct fr_genl_config c = FR_GENL_CONFIG_KEEP;

	c.hash_key = kt_key;
	c.hold_s = hold_s;
	c.grace_s = grace_s;
	c.standby = standby;
	return fr_genl_config(g, &c);
}

KT_UNUSED static int kt_filter(struct fr_genl *g, const struct fr_genl_filter *f)
{
	struct fr_genl_config c = FR_GENL_CONFIG_KEEP;

	c.filter = f;
	return fr_genl_config(g, &c);
}

/* A socket to the module in b, from within a; or NULL */
KT_UNUSED static struct fr_genl *kt_open_b(const struct kt_nets *n)
{
	struct fr_genl *g = NULL;

	if (kt_enter(n->b) || fr_genl_open(&g) || kt_enter(n->a))
		return NULL;
	return g;
}

/* A bound reader that has taken the first dirty buckets. */
KT_UNUSED static int kt_reader(struct fr_genl **g)
{
	struct kt_recs k = {};
	int rc;

	rc = fr_genl_open(g);
	if (rc)
		return rc;
	rc = kt_config(*g, -1, -1, -1) ?: fr_genl_bind(*g) ?: kt_drain(*g, &k);
	if (!rc && k.dirty != FLYREP_BUCKETS)
		rc = -EPROTO;
	kt_recs_reset(&k);
	return rc;
}

KT_UNUSED static uint64_t kt_counter(struct fr_genl *g, enum flyrep_counter c)
{
	struct fr_genl_info info;

	return fr_genl_info(g, &info) ? UINT64_MAX : info.counters[c];
}

/* Bucket of a record, by user space's own hash */
KT_UNUSED static unsigned int kt_bucket(const struct flyrep_ct *r)
{
	uint8_t key[FLYREP_CT_KEY_MAX_LEN] __attribute__((aligned(8)));
	struct fr_siphash_key k;

	memcpy(k.b, kt_key, sizeof(k.b));
	return fr_siphash(key, flyrep_ct_key(key, r), &k) >> (64 - FLYREP_BUCKET_BITS);
}

static void kt_addr(union flyrep_addr *a, const char *text)
{
	memset(a, 0, sizeof(*a));
	inet_pton(strchr(text, ':') ? AF_INET6 : AF_INET, text, a);
}

/* A record of a flow without NAT, ready for APPLY */
KT_UNUSED static struct flyrep_ct kt_rec(uint8_t op, uint8_t proto, const char *src, uint16_t sport,
					 const char *dst, uint16_t dport)
{
	struct flyrep_ct r = {
		.rec.op = op, .family = strchr(src, ':') ? AF_INET6 : AF_INET, .proto = proto,
		.zone_dir = 3, .status = IPS_SEEN_REPLY | IPS_ASSURED,
	};

	kt_addr(&r.orig.src, src);
	kt_addr(&r.orig.dst, dst);
	r.orig.sport = htons(sport);
	r.orig.dport = htons(dport);
	r.reply.src = r.orig.dst;
	r.reply.dst = r.orig.src;
	r.reply.sport = r.orig.dport;
	r.reply.dport = r.orig.sport;
	if (proto == IPPROTO_TCP) {
		r.tcp_state = TCP_CONNTRACK_ESTABLISHED;
		r.tcp_flags[0] = r.tcp_flags[1] = FLYREP_CT_TCP_FLAGS_MASK;
		r.tcp_scale[0] = r.tcp_scale[1] = 7;
	}
	if (proto == IPPROTO_SCTP) {
		r.sctp_state = SCTP_CONNTRACK_ESTABLISHED;
		r.sctp_vtag[0] = htonl(0x01020304);
		r.sctp_vtag[1] = htonl(0xf0e0d0c0);
	}
	if (proto == IPPROTO_DCCP) {
		r.dccp_state = KT_DCCP_OPEN;
		r.dccp_role[1] = 1;
		r.dccp_handshake_seq = 0xa1b2c3d4e5f6;
	}
	if (proto == IPPROTO_ICMP || proto == IPPROTO_ICMPV6) {
		/* sport is the identifier; dport is type and code */
		r.orig.dport = htons((proto == IPPROTO_ICMP ? 8 : 128) << 8);
		r.reply.sport = r.orig.sport;
		r.reply.dport = htons((proto == IPPROTO_ICMP ? 0 : 129) << 8);
	}
	return r;
}

/* What was read, made fit for APPLY */
KT_UNUSED static struct flyrep_ct kt_rec_from(const struct flyrep_ct *from, uint8_t op)
{
	struct flyrep_ct r = *from;

	memset(&r.rec, 0, sizeof(r.rec));
	r.rec.op = op;
	return r;
}

static void kt_on_error(void *cookie, const void *rec, int error)
{
	int *err = cookie;

	(void)rec;
	if (!*err)
		*err = error;
}

/* Apply one record with @tail_len bytes of a tail: 0 or its error */
KT_UNUSED static int kt_apply_tail(struct fr_genl *g, struct flyrep_ct r, const void *tail,
				   size_t tail_len)
{
	struct {
		struct flyrep_ct	r;
		uint8_t			tail[1024];
	} rec = { .r = r };
	int err = 0;
	ssize_t n;

	rec.r.rec.tail_len = tail_len;
	memcpy(rec.tail, tail, tail_len);
	n = fr_genl_apply(g, FLYREP_TABLE_CONNTRACK, 0, &rec, 1, kt_on_error, &err);
	if (n < 0)
		return n;
	return n == 1 ? 0 : err ?: -EPROTO;
}

/* Apply one record without: 0 or its error */
KT_UNUSED static int kt_apply(struct fr_genl *g, struct flyrep_ct r, uint32_t flags)
{
	int err = 0;
	ssize_t n = fr_genl_apply(g, FLYREP_TABLE_CONNTRACK, flags, &r, 1, kt_on_error, &err);

	if (n < 0)
		return n;
	return n == 1 ? 0 : err ?: -EPROTO;
}

static bool kt_same_key(const struct flyrep_ct *a, const struct flyrep_ct *b)
{
	uint8_t ka[FLYREP_CT_KEY_MAX_LEN], kb[FLYREP_CT_KEY_MAX_LEN];
	unsigned int n = flyrep_ct_key(ka, a);

	return n == flyrep_ct_key(kb, b) && !memcmp(ka, kb, n);
}

/* The last record of this key, or NULL */
KT_UNUSED static struct flyrep_ct *kt_find(const struct kt_recs *k, const struct flyrep_ct *key)
{
	size_t i;

	for (i = k->n; i; i--)
		if (kt_same_key(&k->r[i - 1], key))
			return &k->r[i - 1];
	return NULL;
}

/* Read one flow and its tail from the kernel; false if it is not there */
KT_UNUSED static bool kt_get_tail(struct fr_genl *g, const struct flyrep_ct *key,
				  struct flyrep_ct *out, struct flyrep_ct_ext *x)
{
	struct kt_recs k = {};
	struct flyrep_ct *r = NULL;

	if (!kt_snapshot(g, &k, FLYREP_ORIGIN_ANY, NULL))
		r = kt_find(&k, key);
	if (r) {
		*out = *r;
		*x = k.x[r - k.r];
	}
	kt_recs_reset(&k);
	return r;
}

KT_UNUSED static bool kt_get(struct fr_genl *g, const struct flyrep_ct *key, struct flyrep_ct *out)
{
	struct flyrep_ct_ext x;

	return kt_get_tail(g, key, out, &x);
}

static socklen_t kt_sockaddr(struct sockaddr_storage *ss, const char *text, uint16_t port)
{
	struct sockaddr_in6 *s6 = (struct sockaddr_in6 *)ss;
	struct sockaddr_in *s4 = (struct sockaddr_in *)ss;

	memset(ss, 0, sizeof(*ss));
	if (strchr(text, ':')) {
		s6->sin6_family = AF_INET6;
		s6->sin6_port = htons(port);
		inet_pton(AF_INET6, text, &s6->sin6_addr);
		return sizeof(*s6);
	}
	s4->sin_family = AF_INET;
	s4->sin_port = htons(port);
	inet_pton(AF_INET, text, &s4->sin_addr);
	return sizeof(*s4);
}

/* A bound socket in the present namespace, or -errno; @proto 0 for the one that @type means */
KT_UNUSED static int kt_socket_proto(int type, int proto, const char *addr, uint16_t port)
{
	struct sockaddr_storage ss;
	socklen_t len = kt_sockaddr(&ss, addr, port);
	int fd = socket(ss.ss_family, type | SOCK_CLOEXEC, proto);

	if (fd < 0)
		return -errno;
	/* Both ends must name the same service. */
	if (proto == IPPROTO_DCCP)
		setsockopt(fd, SOL_DCCP, KT_DCCP_SERVICE, &(uint32_t){ htonl(42) },
			   sizeof(uint32_t));
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 }, sizeof(int));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &(struct timeval){ .tv_sec = 5 },
		   sizeof(struct timeval));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &(struct timeval){ .tv_sec = 5 },
		   sizeof(struct timeval));
	if (bind(fd, (struct sockaddr *)&ss, len)) {
		int err = -errno;

		close(fd);
		return err;
	}
	return fd;
}

KT_UNUSED static int kt_socket(int type, const char *addr, uint16_t port)
{
	return kt_socket_proto(type, 0, addr, port);
}

KT_UNUSED static int kt_connect(int fd, const char *addr, uint16_t port)
{
	struct sockaddr_storage ss;
	socklen_t len = kt_sockaddr(&ss, addr, port);

	return connect(fd, (struct sockaddr *)&ss, len) ? -errno : 0;
}

/* A socket in namespace b, from within a */
KT_UNUSED static int kt_socket_b_proto(const struct kt_nets *n, int type, int proto,
				       const char *addr, uint16_t port)
{
	int fd;

	if (kt_enter(n->b))
		return -EIO;
	fd = kt_socket_proto(type, proto, addr, port);
	return kt_enter(n->a) ? -EIO : fd;
}

KT_UNUSED static int kt_socket_b(const struct kt_nets *n, int type, const char *addr, uint16_t port)
{
	return kt_socket_b_proto(n, type, 0, addr, port);
}

KT_UNUSED static int kt_send(int fd, const char *text)
{
	return send(fd, text, strlen(text), MSG_NOSIGNAL) < 0 ? -errno : 0;
}

KT_UNUSED static int kt_recv(int fd)
{
	char buf[256];
	ssize_t n = recv(fd, buf, sizeof(buf), 0);

	return n < 0 ? -errno : n;
}

/* One datagram of UDP or UDP-Lite from a to b and, if asked, one back */
KT_UNUSED static int kt_datagram_once(const struct kt_nets *n, int proto, const char *src,
				      uint16_t sport, const char *dst, uint16_t dport,
				      bool answer)
{
	int b = kt_socket_b_proto(n, SOCK_DGRAM, proto, dst, dport);
	int a = kt_socket_proto(SOCK_DGRAM, proto, src, sport);
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	char c;
	int rc;

	if (a < 0 || b < 0)
		return -EIO;
	rc = kt_connect(a, dst, dport) ?: kt_send(a, "x");
	if (!rc && recvfrom(b, &c, 1, 0, (struct sockaddr *)&ss, &len) != 1)
		rc = -EIO;
	if (!rc && answer && (sendto(b, &c, 1, 0, (struct sockaddr *)&ss, len) != 1 ||
			      kt_recv(a) != 1))
		rc = -EIO;
	close(a);
	close(b);
	return rc;
}

KT_UNUSED static int kt_udp_once(const struct kt_nets *n, const char *src, uint16_t sport,
				 const char *dst, uint16_t dport, bool answer)
{
	return kt_datagram_once(n, IPPROTO_UDP, src, sport, dst, dport, answer);
}

/* A connection from a to b: both ends */
struct kt_tcp {
	int a;
	int b;
};

/* Of TCP, SCTP or DCCP; -EPROTONOSUPPORT if the kernel has no such sockets */
KT_UNUSED static int kt_conn_open(const struct kt_nets *n, struct kt_tcp *t, int proto,
				  const char *src, uint16_t sport, const char *dst, uint16_t dport)
{
	int type = proto == IPPROTO_DCCP ? SOCK_DCCP : SOCK_STREAM;
	int listener = kt_socket_b_proto(n, type, proto, dst, dport);
	int rc;

	if (listener < 0 || listen(listener, 4))
		return -EIO;
	t->a = kt_socket_proto(type, proto, src, sport);
	if (t->a < 0)
		return t->a;
	rc = kt_connect(t->a, dst, dport);
	t->b = rc ? -1 : accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	close(listener);
	return rc ?: t->b < 0 ? -errno : 0;
}

KT_UNUSED static int kt_tcp_open(const struct kt_nets *n, struct kt_tcp *t, const char *src,
				 uint16_t sport, const char *dst, uint16_t dport)
{
	return kt_conn_open(n, t, IPPROTO_TCP, src, sport, dst, dport);
}

/* Push @len bytes from @from to @to as fast as it goes: fills the windows. 0 or -errno */
KT_UNUSED static int kt_tcp_bulk(int from, int to, size_t len)
{
	static char buf[65536];
	size_t sent = 0, got = 0;
	ssize_t n;

	while (got < len) {
		struct pollfd p = { .fd = to, .events = POLLIN };

		while (sent < len) {
			n = send(from, buf, len - sent < sizeof(buf) ? len - sent : sizeof(buf),
				 MSG_DONTWAIT | MSG_NOSIGNAL);
			if (n <= 0)
				break;
			sent += n;
		}
		if (poll(&p, 1, KT_WAIT_MS) <= 0)
			return -ETIMEDOUT;
		n = recv(to, buf, sizeof(buf), MSG_DONTWAIT);
		if (n <= 0)
			return n ? -errno : -EPIPE;
		got += n;
	}
	return 0;
}

KT_UNUSED static void kt_tcp_close(struct kt_tcp *t)
{
	close(t->a);
	close(t->b);
}

/* Ten bytes there, ten bytes back */
KT_UNUSED static int kt_chat(struct kt_tcp *t)
{
	int rc = kt_send(t->a, "0123456789");

	if (!rc && kt_recv(t->b) != 10)
		rc = -EIO;
	if (!rc)
		rc = kt_send(t->b, "0123456789");
	if (!rc && kt_recv(t->a) != 10)
		rc = -EIO;
	return rc;
}

/*
 * The fixture of most tests, for who includes kt_harness.h: the module, two namespaces, a bound
 * reader in a.
 */
#define KT_FIXTURE(name)						\
FIXTURE(name)								\
{									\
	struct kt_nets	nets;						\
	struct fr_genl	*g;						\
	struct kt_recs	k;						\
};									\
									\
FIXTURE_SETUP(name)							\
{									\
	memset(&self->k, 0, sizeof(self->k));				\
	ASSERT_EQ(0, kt_load());					\
	ASSERT_EQ(0, kt_nets_up(&self->nets));				\
	ASSERT_EQ(0, kt_reader(&self->g));				\
}									\
									\
FIXTURE_TEARDOWN(name)							\
{									\
	fr_genl_close(self->g);						\
	kt_recs_reset(&self->k);					\
	kt_nets_down(&self->nets);					\
}

#endif
