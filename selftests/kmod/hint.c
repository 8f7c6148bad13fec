// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * lab: deadline=900
 *
 * Hints of elements of nf_tables sets: what packets and transactions do to the sets that are
 * watched is told, in order, and nothing else.
 */
#include "kt_harness.h"
#include "kt_set.h"

#include <signal.h>
#include <sys/wait.h>

#define ADD		1	/* port: in the output hook, in the sender's context */
#define DELETE		2
#define UPDATE		3
#define ADD_ARRIVED	4	/* in the input hook, in softirq */
#define MAX_CONTROL	131072	/* elements of IPv4 that a ring takes, see kmod/hint.c */
#define MAX_PACKET	32768

FIXTURE(hint)
{
	struct kt_nets		nets;
	struct fr_genl		*g;
	struct kt_recs		k;
	struct flyrep_set	set;
	int			fd;
	pid_t			load;
};

static const char ruleset[] =
	"table inet " KT_SET_TABLE " {\n"
	"  set s { type ipv4_addr; size 262144; flags dynamic,timeout; }\n"
	"  set other { type ipv4_addr; size 262144; flags dynamic,timeout; }\n"
	"  map m { type ipv4_addr : mark; }\n"
	"  map v { type ipv4_addr : verdict; }\n"
	"  set c { type ipv4_addr . inet_service; }\n"
	"  set i { type ipv4_addr; flags interval; }\n"
	"  set ci { type ipv4_addr . inet_service; flags interval; }\n"
	"  set six { type ipv6_addr; }\n"
	"  set n { type ifname; }\n"
	"  chain o { type filter hook output priority 10;\n"
	"    udp dport 1 add @s { ip daddr timeout 60s }\n"
	"    udp dport 2 delete @s { ip daddr }\n"
	"    udp dport 3 update @s { ip daddr timeout 60s }\n"
	"  }\n"
	"  chain i { type filter hook input priority 10;\n"
	"    udp dport 4 add @s { ip daddr timeout 60s }\n"
	"  }\n"
	"}\n";

/*
 * Nobody but a hint is to wake the reader. Apart, as it needs a module more: while nf_tables asks
 * for it, it begins the whole transaction anew, and tables get other handles.
 */
static const char untracked[] =
	"table inet untracked {\n"
	"  chain r { type filter hook output priority raw; udp dport 1-4 notrack; }\n"
	"}\n";

/* Read what there is, into an empty @k. */
static int drain(struct _test_data_hint *self)
{
	kt_recs_reset(&self->k);
	return kt_drain(self->g, &self->k);
}

/* A transaction of another process than ours, whose own are not told: a table without a set */
static int commit_elsewhere(void)
{
	struct kt_set_batch b;
	int status = -1;
	pid_t pid;

	pid = fork();
	if (pid)
		return pid < 0 || waitpid(pid, &status, 0) != pid ? -errno : status;
	if (kt_set_open(&b, "", 65536))
		_exit(1);
	kt_set_begin(&b);
	b.last = kt_set_message(&b, NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWTABLE, NLM_F_CREATE,
				NFPROTO_INET, 0);
	mnl_attr_put_strz(b.last, NFTA_TABLE_NAME, "none");
	b.len += b.last->nlmsg_len;
	_exit(kt_set_commit(&b) ? 2 : 0);
}

/* Watch these sets, and take what comes of that: they are dirty, and so they are by the next commit. */
static int watch_sets(struct _test_data_hint *self, const struct flyrep_set *sets, size_t n)
{
	return kt_watch(self->g, sets, n) ?: commit_elsewhere() ?: drain(self) ?:
	       self->k.is_set_dirty ? 0 : -ENODATA;
}

static int watch(struct _test_data_hint *self, const char *name)
{
	self->set = kt_set(name);
	return watch_sets(self, &self->set, 1);
}

FIXTURE_SETUP(hint)
{
	memset(&self->k, 0, sizeof(self->k));
	self->load = 0;
	ASSERT_EQ(0, kt_load());
	ASSERT_EQ(0, kt_nets_up(&self->nets));
	ASSERT_EQ(0, kt_sh("nft -f - <<'X'\n%s%sX", untracked, ruleset));
	ASSERT_EQ(0, kt_reader(&self->g));
	ASSERT_EQ(0, watch(self, "s"));
	self->fd = kt_socket(SOCK_DGRAM, "127.0.0.1", 0);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(hint)
{
	if (self->load) {
		kill(self->load, SIGKILL);
		waitpid(self->load, NULL, 0);
	}
	if (self->g)
		fr_genl_close(self->g);
	close(self->fd);
	kt_recs_reset(&self->k);
	kt_nets_down(&self->nets);
}

/* 127.1.x.y */
#define ADDRESS(n) (0x7f010000u + (n))

static int packet(struct _test_data_hint *self, unsigned int n, uint16_t port)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(port),
				  .sin_addr.s_addr = htonl(ADDRESS(n)) };

	/* It may also be told of the last one, to which nobody listened. */
	if (sendto(self->fd, "x", 1, 0, (struct sockaddr *)&to, sizeof(to)) == 1)
		return 0;
	return sendto(self->fd, "x", 1, 0, (struct sockaddr *)&to, sizeof(to)) == 1 ? 0 : -errno;
}

/* Is the hint at @at one of this kind, of our set, with this key? */
static bool is_hint(struct _test_data_hint *self, size_t at, uint8_t what, const void *key,
		    size_t key_len)
{
	const struct kt_hint *h = &self->k.hints[at];
	bool is_of_set = what != FLYREP_HINT_GENERATION;

	if (at < self->k.n_hints && h->h.what == what && h->h.key_len == key_len &&
	    h->h.table == (is_of_set ? self->set.table : 0) &&
	    h->h.set == (is_of_set ? self->set.set : 0) && !h->h.reserved &&
	    (!key_len || !memcmp(h->key, key, key_len)))
		return true;
	fprintf(stderr, "# hint %zu of %zu is not as wanted\n", at, self->k.n_hints);
	for (at = 0; at < self->k.n_hints && at < 20; at++)
		fprintf(stderr, "# %zu: what %u set %llu key_len %u key %02x%02x%02x%02x\n", at,
			self->k.hints[at].h.what, (unsigned long long)self->k.hints[at].h.set,
			self->k.hints[at].h.key_len, self->k.hints[at].key[0],
			self->k.hints[at].key[1], self->k.hints[at].key[2], self->k.hints[at].key[3]);
	return false;
}

static bool is_element(struct _test_data_hint *self, size_t at, uint32_t address)
{
	uint32_t key = htonl(address);

	return is_hint(self, at, FLYREP_HINT_ELEMENT, &key, sizeof(key));
}

static bool is_flush(struct _test_data_hint *self, size_t at)
{
	return is_hint(self, at, FLYREP_HINT_FLUSH, NULL, 0);
}

static bool is_generation(struct _test_data_hint *self, size_t at)
{
	return is_hint(self, at, FLYREP_HINT_GENERATION, NULL, 0);
}

/* Probes that are armed, -1 if the kernel does not tell */
static int probes(void)
{
	static const char *const symbols[] = { "nft_set_elem_init", "nft_rhash_delete",
		"nft_setelem_flush", "nf_tables_commit", "nf_tables_abort" };
	FILE *f = fopen("/sys/kernel/debug/kprobes/list", "re");
	char line[256];
	int n = 0;
	size_t i;

	if (!f)
		return -1;
	while (fgets(line, sizeof(line), f))
		for (i = 0; i < sizeof(symbols) / sizeof(*symbols); i++)
			n += !!strstr(line, symbols[i]);
	fclose(f);
	return n;
}

#define N_PROBES 5

TEST_F(hint, packets_add)
{
	ASSERT_EQ(0, packet(self, 1, ADD));
	EXPECT_TRUE(kt_wait_wake(self->g, KT_WAIT_MS));
	ASSERT_EQ(0, packet(self, 2, UPDATE));
	ASSERT_EQ(0, packet(self, 3, ADD_ARRIVED));
	ASSERT_TRUE(kt_until(!kt_sh("nft get element inet " KT_SET_TABLE " s '{ 127.1.0.3 }' >/dev/null")));
	ASSERT_EQ(0, drain(self));
	ASSERT_EQ(3, self->k.n_hints);
	EXPECT_TRUE(is_element(self, 0, ADDRESS(1)));
	EXPECT_TRUE(is_element(self, 1, ADDRESS(2)));
	EXPECT_TRUE(is_element(self, 2, ADDRESS(3)));
	EXPECT_FALSE(self->k.is_set_dirty);
	/* The clock of the guest is real enough for that. */
	EXPECT_GT(60000000, self->k.hints[0].h.age_us);

	/* One that is there and is only refreshed */
	ASSERT_EQ(0, packet(self, 1, ADD));
	ASSERT_EQ(0, packet(self, 1, UPDATE));
	ASSERT_EQ(0, packet(self, 3, ADD_ARRIVED));
	ASSERT_EQ(0, drain(self));
	EXPECT_EQ(0, self->k.n_hints);
	EXPECT_EQ(3, kt_counter(self->g, FLYREP_C_HINT_QUEUED) - 1 /* the first generation */);
}

TEST_F(hint, packets_delete)
{
	ASSERT_EQ(0, packet(self, 1, ADD));
	ASSERT_EQ(0, packet(self, 1, DELETE));
	ASSERT_EQ(0, packet(self, 1, ADD));
	ASSERT_EQ(0, drain(self));
	ASSERT_EQ(3, self->k.n_hints);
	EXPECT_TRUE(is_element(self, 0, ADDRESS(1)));
	EXPECT_TRUE(is_element(self, 1, ADDRESS(1)));
	EXPECT_TRUE(is_element(self, 2, ADDRESS(1)));
}

TEST_F(hint, transactions)
{
	ASSERT_EQ(0, kt_sh("nft add element inet " KT_SET_TABLE " s '{ 10.0.0.1, 10.0.0.2 timeout 1h }'"));
	EXPECT_TRUE(kt_wait_wake(self->g, KT_WAIT_MS));
	ASSERT_EQ(0, kt_sh("nft delete element inet " KT_SET_TABLE " s '{ 10.0.0.1 }'"));
	ASSERT_EQ(0, drain(self));
	ASSERT_EQ(5, self->k.n_hints);
	EXPECT_TRUE(is_element(self, 0, 0x0a000001));
	EXPECT_TRUE(is_element(self, 1, 0x0a000002));
	EXPECT_TRUE(is_generation(self, 2));
	EXPECT_TRUE(is_element(self, 3, 0x0a000001));
	EXPECT_TRUE(is_generation(self, 4));
	EXPECT_FALSE(self->k.is_set_dirty);
}

/* What other kinds of sets give; a set of intervals at least something. */
TEST_F(hint, kinds)
{
	static const struct {
		const char *set, *element, *key;
		size_t key_len;
	} cases[] = {
		{ "m", "10.0.0.1 : 7", "\x0a\0\0\1", 4 },
		{ "v", "10.0.0.1 : drop", "\x0a\0\0\1", 4 },
		{ "c", "10.0.0.1 . 80", "\x0a\0\0\1\0\x50\0\0", 8 },
		{ "i", "10.0.0.0/24", "\x0a\0\0\0", 4 },
		{ "ci", "10.0.0.0/24 . 80-90", "\x0a\0\0\0\0\x50\0\0", 8 },
		{ "six", "fd00::1", "\xfd\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1", 16 },
		{ "n", "eth0", "eth0\0\0\0\0\0\0\0\0\0\0\0\0", 16 },
		{ "s", "*", "", 0 },
	};
	struct flyrep_set sets[sizeof(cases) / sizeof(*cases)];
	const char *verb;
	size_t i, j, n;

	for (i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		sets[i] = kt_set(cases[i].set);
	ASSERT_EQ(0, watch_sets(self, sets, i));
	for (i = 0; i < 2 * sizeof(cases) / sizeof(*cases); i++) {
		verb = i % 2 ? "delete" : "add";
		self->set = sets[i / 2];
		ASSERT_EQ(0, kt_sh("nft %s element inet " KT_SET_TABLE " %s '{ %s }'", verb, cases[i / 2].set,
				   cases[i / 2].element));
		ASSERT_EQ(0, drain(self));
		for (n = 0, j = 0; j < self->k.n_hints; j++)
			n += self->k.hints[j].h.what == FLYREP_HINT_ELEMENT &&
			     self->k.hints[j].h.set == self->set.set &&
			     self->k.hints[j].h.key_len == cases[i / 2].key_len &&
			     !memcmp(self->k.hints[j].key, cases[i / 2].key, cases[i / 2].key_len);
		if (n != 1)
			fprintf(stderr, "# set %s, %s: %zu hints of %zu\n", cases[i / 2].set,
				verb, n, self->k.n_hints);
		EXPECT_EQ(1, n);
		EXPECT_TRUE(is_generation(self, self->k.n_hints - 1));
	}
}

TEST_F(hint, flush)
{
	ASSERT_EQ(0, kt_sh("nft add element inet " KT_SET_TABLE " s '{ 10.0.0.1, 10.0.0.2, 10.0.0.3 }'"));
	ASSERT_EQ(0, drain(self));
	ASSERT_EQ(0, kt_sh("nft flush set inet " KT_SET_TABLE " s"));
	ASSERT_EQ(0, drain(self));
	ASSERT_EQ(2, self->k.n_hints);
	EXPECT_TRUE(is_flush(self, 0));
	EXPECT_TRUE(is_generation(self, 1));
	EXPECT_EQ(2, kt_counter(self->g, FLYREP_C_HINT_COALESCED));
	/* Empty in the end: what came between two of them does not outlive the second. */
	ASSERT_EQ(0, kt_sh("nft add element inet " KT_SET_TABLE " s '{ 10.0.0.4 }'"));
	ASSERT_EQ(0, drain(self));
	ASSERT_EQ(0, kt_sh("nft -f - <<'X'\n"
			   "flush set inet " KT_SET_TABLE " s\n"
			   "add element inet " KT_SET_TABLE " s { 10.0.0.5 }\n"
			   "flush set inet " KT_SET_TABLE " s\n"
			   "X"));
	ASSERT_EQ(0, drain(self));
	ASSERT_EQ(4, self->k.n_hints);
	EXPECT_TRUE(is_flush(self, 0));
	EXPECT_TRUE(is_element(self, 1, 0x0a000005));
	EXPECT_TRUE(is_flush(self, 2));
	EXPECT_TRUE(is_generation(self, 3));
}

/* One set after the other: each is told. */
TEST_F(hint, flush_of_several)
{
	struct flyrep_set sets[] = { self->set, kt_set("other") };

	ASSERT_EQ(0, watch_sets(self, sets, 2));
	ASSERT_EQ(0, kt_sh("nft 'add element inet " KT_SET_TABLE " s { 10.0.0.1 };"
			   "add element inet " KT_SET_TABLE " other { 10.0.0.1 }'"));
	ASSERT_EQ(0, drain(self));
	ASSERT_EQ(0, kt_sh("nft 'flush set inet " KT_SET_TABLE " s;"
			   "flush set inet " KT_SET_TABLE " other'"));
	ASSERT_EQ(0, drain(self));
	ASSERT_EQ(3, self->k.n_hints);
	EXPECT_TRUE(is_flush(self, 0));
	EXPECT_TRUE(is_generation(self, 2));
	self->set = sets[1];
	EXPECT_TRUE(is_flush(self, 1));
}

/* A set that is filled anew in one transaction, twice */
TEST_F(hint, replaced)
{
	int i;

	ASSERT_EQ(0, kt_sh("nft add element inet " KT_SET_TABLE " s '{ 10.0.0.1, 10.0.0.2 }'"));
	ASSERT_EQ(0, drain(self));
	for (i = 0; i < 2; i++)
		ASSERT_EQ(0, kt_sh("nft -f - <<'X'\n"
				   "flush set inet " KT_SET_TABLE " s\n"
				   "add element inet " KT_SET_TABLE " s { 10.0.0.3, 10.0.0.4 }\n"
				   "X"));
	ASSERT_EQ(0, drain(self));
	ASSERT_EQ(8, self->k.n_hints);
	for (i = 0; i < 8; i += 4) {
		EXPECT_TRUE(is_flush(self, i));
		EXPECT_TRUE(is_element(self, i + 1, 0x0a000003));
		EXPECT_TRUE(is_element(self, i + 2, 0x0a000004));
		EXPECT_TRUE(is_generation(self, i + 3));
	}
}

/* What goes as a whole goes with its handles: the generation says that it is time to look. */
TEST_F(hint, sets_go)
{
	static const char *const how[] = {
		"delete set inet " KT_SET_TABLE " n",
		"delete table inet " KT_SET_TABLE,
		"flush ruleset",
	};
	size_t i;

	for (i = 0; i < sizeof(how) / sizeof(*how); i++) {
		ASSERT_EQ(0, kt_sh("nft %s", how[i]));
		EXPECT_TRUE(kt_wait_wake(self->g, KT_WAIT_MS));
		ASSERT_EQ(0, drain(self));
		ASSERT_EQ(1, self->k.n_hints);
		EXPECT_TRUE(is_generation(self, 0));
	}
	/* Several are one. */
	ASSERT_EQ(0, kt_sh("nft add table inet a; nft add table inet b; nft add table inet c"));
	ASSERT_EQ(0, drain(self));
	EXPECT_EQ(1, self->k.n_hints);
}

/* A transaction that begins with a flush and fails */
static int fail(void)
{
	return kt_sh("nft -f - 2>/dev/null <<'X'\n"
		     "flush set inet " KT_SET_TABLE " s\n"
		     "add element inet " KT_SET_TABLE " s { 10.0.0.2 }\n"
		     "create table inet " KT_SET_TABLE "\n"
		     "X");
}

/* What an aborted transaction did is not told, not even with the next one. */
TEST_F(hint, abort)
{
	ASSERT_EQ(0, kt_sh("nft add element inet " KT_SET_TABLE " s '{ 10.0.0.1 }'"));
	ASSERT_EQ(0, drain(self));
	ASSERT_NE(0, fail());
	EXPECT_LT(1, kt_counter(self->g, FLYREP_C_HINT_QUEUED));
	ASSERT_EQ(0, drain(self));
	EXPECT_EQ(0, self->k.n_hints);
	EXPECT_FALSE(self->k.is_set_dirty);
	ASSERT_EQ(0, kt_sh("nft add element inet " KT_SET_TABLE " s '{ 10.0.0.3 }'"));
	ASSERT_EQ(0, drain(self));
	ASSERT_EQ(2, self->k.n_hints);
	EXPECT_TRUE(is_element(self, 0, 0x0a000003));
	EXPECT_TRUE(is_generation(self, 1));
}

/* A flush is not taken for part of one that came to nothing, wherever in the ring that was. */
TEST_F(hint, flush_after_abort)
{
	ASSERT_EQ(0, kt_sh("nft add element inet " KT_SET_TABLE " s '{ 10.0.0.1 }'"));
	ASSERT_EQ(0, drain(self));
	ASSERT_NE(0, fail());
	/* As long in the ring as the flush that failed */
	ASSERT_EQ(0, kt_sh("nft 'add element inet " KT_SET_TABLE " s { * };"
			   "flush set inet " KT_SET_TABLE " s'"));
	ASSERT_EQ(0, drain(self));
	ASSERT_EQ(3, self->k.n_hints);
	EXPECT_TRUE(is_hint(self, 0, FLYREP_HINT_ELEMENT, NULL, 0));
	EXPECT_TRUE(is_flush(self, 1));
	EXPECT_TRUE(is_generation(self, 2));

	ASSERT_EQ(0, kt_sh("nft add element inet " KT_SET_TABLE " s '{ 10.0.0.1 }'"));
	ASSERT_EQ(0, drain(self));
	ASSERT_NE(0, fail());
	ASSERT_EQ(0, kt_sh("nft flush set inet " KT_SET_TABLE " s"));
	ASSERT_EQ(0, drain(self));
	ASSERT_EQ(2, self->k.n_hints);
	EXPECT_TRUE(is_flush(self, 0));
	EXPECT_TRUE(is_generation(self, 1));
}

TEST_F(hint, own_changes)
{
	uint64_t echo = kt_counter(self->g, FLYREP_C_HINT_ECHO);
	struct kt_set_batch b;

	ASSERT_EQ(0, kt_set_open(&b, "s", 65536));
	ASSERT_EQ(0, kt_set_change(&b, NFT_MSG_NEWSETELEM, 0x0a000001, 3));
	ASSERT_EQ(0, kt_set_change(&b, NFT_MSG_DELSETELEM, 0x0a000001, 1));
	kt_set_begin(&b);
	kt_set_flush(&b);
	ASSERT_EQ(0, kt_set_commit(&b));
	ASSERT_EQ(0, drain(self));
	EXPECT_EQ(0, self->k.n_hints);
	/* Three, one, one for each of two that were left, and three commits */
	EXPECT_EQ(9, kt_counter(self->g, FLYREP_C_HINT_ECHO) - echo);
	/* What a packet does in our name is no doing of ours. */
	ASSERT_EQ(0, packet(self, 1, ADD));
	ASSERT_EQ(0, drain(self));
	EXPECT_EQ(1, self->k.n_hints);
	kt_set_close(&b);
}

TEST_F(hint, only_what_is_watched)
{
	uint64_t queued;

	ASSERT_EQ(0, watch(self, "other"));
	ASSERT_EQ(0, packet(self, 1, ADD));
	ASSERT_EQ(0, packet(self, 1, DELETE));
	ASSERT_EQ(0, kt_sh("nft add element inet " KT_SET_TABLE " s '{ 10.0.0.1 }'"));
	ASSERT_EQ(0, kt_sh("nft flush set inet " KT_SET_TABLE " s"));
	ASSERT_EQ(0, drain(self));
	ASSERT_EQ(1, self->k.n_hints);
	EXPECT_TRUE(is_generation(self, 0));
	/* And nothing at all with an empty list */
	EXPECT_EQ(N_PROBES, probes());
	ASSERT_EQ(0, kt_watch(self->g, NULL, 0));
	EXPECT_EQ(0, probes());
	queued = kt_counter(self->g, FLYREP_C_HINT_QUEUED);
	ASSERT_EQ(0, packet(self, 2, ADD));
	ASSERT_EQ(0, kt_sh("nft add element inet " KT_SET_TABLE " other '{ 10.0.0.1 }'"));
	ASSERT_EQ(0, drain(self));
	EXPECT_EQ(0, self->k.n_hints);
	EXPECT_TRUE(self->k.is_set_dirty);
	EXPECT_EQ(queued, kt_counter(self->g, FLYREP_C_HINT_QUEUED));
}

/* As many as may be, ours the last; and one more is too many. */
TEST_F(hint, many_sets)
{
	struct flyrep_set sets[FLYREP_SETS_MAX + 1];
	unsigned int i;

	for (i = 0; i < FLYREP_SETS_MAX + 1; i++)
		sets[i] = (struct flyrep_set){ .table = 1000000 + i % 3, .set = 1000 * i };
	sets[FLYREP_SETS_MAX - 1] = self->set;
	ASSERT_EQ(0, kt_watch(self->g, sets, FLYREP_SETS_MAX));
	ASSERT_EQ(0, packet(self, 1, ADD));
	ASSERT_EQ(0, drain(self));
	ASSERT_EQ(1, self->k.n_hints);
	EXPECT_TRUE(is_element(self, 0, ADDRESS(1)));
	EXPECT_EQ(-E2BIG, kt_watch(self->g, sets, FLYREP_SETS_MAX + 1));
}

/* A transaction larger than its ring: dirty, but not before it is committed. */
TEST_F(hint, control_overflow)
{
	const unsigned int n = MAX_CONTROL + 1000;
	struct kt_set_batch b;
	int status;
	pid_t pid;

	/* In another process: ours is not told. */
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		if (kt_set_open(&b, "s", KT_SET_ROOM(n)))
			_exit(1);
		/* One that fits, with its generation */
		if (kt_set_change(&b, NFT_MSG_NEWSETELEM, 0x0b000000, 100000))
			_exit(2);
		kt_set_begin(&b);
		kt_set_put(&b, NFT_MSG_DELSETELEM, 0x0b000000, 100000);
		_exit(kt_set_commit(&b) ? 3 : 0);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	ASSERT_EQ(0, status);
	EXPECT_LT(60000, kt_counter(self->g, FLYREP_C_HINT_LOST));
	ASSERT_EQ(0, drain(self));
	EXPECT_TRUE(self->k.is_set_dirty);
	EXPECT_LE(100001, self->k.n_hints);
	EXPECT_TRUE(is_element(self, 0, 0x0b000000));
	EXPECT_TRUE(is_element(self, 99999, 0x0b000000 + 99999));
	EXPECT_TRUE(is_generation(self, 100000));
	/* There is room again, and what is lost is told once. */
	ASSERT_EQ(0, kt_sh("nft add element inet " KT_SET_TABLE " s '{ 10.0.0.1 }'"));
	ASSERT_EQ(0, drain(self));
	EXPECT_FALSE(self->k.is_set_dirty);
	EXPECT_TRUE(is_element(self, self->k.n_hints - 2, 0x0a000001));
}

TEST_F(hint, packet_overflow)
{
	unsigned int i;

	for (i = 0; i < MAX_PACKET + 100; i++)
		if (packet(self, i, ADD))
			break;
	ASSERT_EQ(MAX_PACKET + 100, i);
	EXPECT_EQ(100, kt_counter(self->g, FLYREP_C_HINT_LOST));
	ASSERT_EQ(0, drain(self));
	EXPECT_EQ(MAX_PACKET, self->k.n_hints);
	EXPECT_TRUE(self->k.is_set_dirty);
	EXPECT_TRUE(is_element(self, MAX_PACKET - 1, ADDRESS(MAX_PACKET - 1)));
	ASSERT_EQ(0, packet(self, i, ADD));
	ASSERT_EQ(0, drain(self));
	EXPECT_EQ(1, self->k.n_hints);
	EXPECT_FALSE(self->k.is_set_dirty);
}

/* The first commit may be that of a transaction whose beginning was not seen. */
TEST_F(hint, the_first_commit_is_dirty)
{
	ASSERT_EQ(0, kt_watch(self->g, &self->set, 1));
	ASSERT_EQ(0, drain(self));
	EXPECT_TRUE(self->k.is_set_dirty);
	ASSERT_EQ(0, kt_sh("nft add element inet " KT_SET_TABLE " s '{ 10.0.0.1 }'"));
	EXPECT_TRUE(kt_wait_wake(self->g, KT_WAIT_MS));
	ASSERT_EQ(0, drain(self));
	EXPECT_TRUE(self->k.is_set_dirty);
	EXPECT_TRUE(is_element(self, 0, 0x0a000001));
	ASSERT_EQ(0, kt_sh("nft add element inet " KT_SET_TABLE " s '{ 10.0.0.2 }'"));
	ASSERT_EQ(0, drain(self));
	EXPECT_FALSE(self->k.is_set_dirty);
}

TEST_F(hint, refusals)
{
	struct fr_genl *other;

	ASSERT_EQ(0, fr_genl_open(&other));
	EXPECT_EQ(-EBUSY, kt_watch(other, &self->set, 1));
	fr_genl_close(other);
	/* What was there is there. */
	ASSERT_EQ(0, packet(self, 1, ADD));
	ASSERT_EQ(0, drain(self));
	EXPECT_EQ(1, self->k.n_hints);
}

/* The list outlives the reader, the hints do not. */
TEST_F(hint, a_new_reader)
{
	ASSERT_EQ(0, packet(self, 1, ADD));
	fr_genl_close(self->g);
	self->g = NULL;
	EXPECT_EQ(0, probes());
	ASSERT_EQ(0, packet(self, 2, ADD));
	ASSERT_EQ(0, fr_genl_open(&self->g));
	ASSERT_EQ(0, fr_genl_bind(self->g));
	ASSERT_EQ(0, drain(self));
	EXPECT_EQ(0, self->k.n_hints);
	EXPECT_TRUE(self->k.is_set_dirty);
	ASSERT_EQ(0, packet(self, 3, ADD));
	ASSERT_EQ(0, drain(self));
	ASSERT_EQ(1, self->k.n_hints);
	EXPECT_TRUE(is_element(self, 0, ADDRESS(3)));
}

TEST_F(hint, namespaces_are_apart)
{
	struct _test_data_hint here = *self;

	ASSERT_EQ(0, kt_nets_up(&here.nets));
	ASSERT_EQ(0, kt_sh("nft -f - <<'X'\n%sX", ruleset));
	memset(&here.k, 0, sizeof(here.k));
	ASSERT_EQ(0, kt_reader(&here.g));
	/* The same handles, for all we know */
	ASSERT_EQ(0, watch(&here, "s"));
	ASSERT_EQ(0, kt_sh("nft add element inet " KT_SET_TABLE " s '{ 10.0.0.1 }'"));
	ASSERT_EQ(0, packet(self, 1, ADD));	/* an older socket: of the other namespace */
	ASSERT_EQ(0, drain(&here));
	EXPECT_EQ(2, here.k.n_hints);
	EXPECT_TRUE(is_element(&here, 0, 0x0a000001));
	ASSERT_EQ(0, drain(self));
	EXPECT_EQ(1, self->k.n_hints);
	EXPECT_TRUE(is_element(self, 0, ADDRESS(1)));

	/* One leaves: the other is still told. */
	fr_genl_close(here.g);
	kt_recs_reset(&here.k);
	ASSERT_EQ(0, kt_enter(self->nets.a));
	kt_nets_down(&here.nets);
	ASSERT_EQ(0, packet(self, 2, ADD));
	ASSERT_EQ(0, drain(self));
	EXPECT_EQ(1, self->k.n_hints);
}

/* --- what everything together gives --- */

#define KEYS		64	/* of transactions, from KEY(0) on */
#define KEY(n)		(0x0a010000u + (n))
#define PACKET_KEYS	64	/* of packets, from ADDRESS(0) on */

/* Change the set until told to stop: what fails was an abort, which is part of it. */
static void change(unsigned int seed, unsigned int n)
{
	struct kt_set_batch b;
	unsigned int i, k;

	/* Not one for each: to close it waits for what was deleted. */
	if (kt_set_open(&b, "s", 65536))
		_exit(1);
	for (i = 0; i < n; i++) {
		kt_set_begin(&b);
		if (!(rand_r(&seed) % 16))
			kt_set_flush(&b);
		for (k = rand_r(&seed) % 4 + 1; k; k--)
			kt_set_put(&b, rand_r(&seed) % 2 ? NFT_MSG_NEWSETELEM : NFT_MSG_DELSETELEM,
				   KEY(rand_r(&seed) % KEYS), 1);
		kt_set_commit(&b);
	}
	kt_set_close(&b);
}

static void send_packets(struct _test_data_hint *self, unsigned int seed, unsigned int n)
{
	while (n--)
		packet(self, rand_r(&seed) % PACKET_KEYS, rand_r(&seed) % 2 ? ADD : DELETE);
}

/* Children that change the set in all ways; @n: how often, 0: until they are killed */
static int start(struct _test_data_hint *self, pid_t *pids, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < 3; i++) {
		pids[i] = fork();
		if (pids[i] < 0)
			return -errno;
		if (pids[i])
			continue;
		do {
			if (i < 2)
				change(i + 1, n ?: 10);
			else
				send_packets(self, 3, n ?: 10);
		} while (!n);
		_exit(0);
	}
	return 0;
}

/* What a reader knows of the set, by looking where it was told to */
struct picture {
	bool		has[KEYS];
	bool		has_packet[PACKET_KEYS];
	bool		again[PACKET_KEYS];
};

static void look(struct picture *p, struct kt_set_batch *b, struct kt_hint *h)
{
	uint32_t key;

	if (h->h.what == FLYREP_HINT_FLUSH)
		memset(p->has, 0, sizeof(p->has));
	if (h->h.what != FLYREP_HINT_ELEMENT)
		return;
	memcpy(&key, h->key, sizeof(key));
	key = ntohl(key);
	if (key - KEY(0) < KEYS)
		p->has[key - KEY(0)] = !kt_set_get(b, key);
	/* The hint may be ahead of the change: look later. */
	if (key - ADDRESS(0) < PACKET_KEYS)
		p->again[key - ADDRESS(0)] = true;
}

static int drain_into(struct _test_data_hint *self, struct picture *p, struct kt_set_batch *b)
{
	size_t i;
	int rc;

	for (i = 0; i < PACKET_KEYS; i++) {
		if (p->again[i])
			p->has_packet[i] = !kt_set_get(b, ADDRESS(i));
		p->again[i] = false;
	}
	rc = drain(self);
	for (i = 0; i < self->k.n_hints; i++) {
		/* Who flushes the set empties it of what packets have put there, too. */
		if (self->k.hints[i].h.what == FLYREP_HINT_FLUSH)
			memset(p->again, 1, sizeof(p->again));
		look(p, b, &self->k.hints[i]);
	}
	return rc ?: self->k.is_set_dirty ? -ENODATA : 0;
}

/*
 * Two processes commit and abort at once, packets come between, and the reader sees each change:
 * it comes to know the set without ever having read the whole of it.
 */
TEST_F_TIMEOUT(hint, nothing_is_missed, 300)
{
	unsigned int i, n_left = 3, n_drains = 0, n_hints = 0;
	struct picture p = {};
	struct kt_set_batch b;
	pid_t pids[3];
	int status;

	ASSERT_EQ(0, kt_set_open(&b, "s", 65536));
	ASSERT_EQ(0, start(self, pids, 1500));
	while (n_left) {
		ASSERT_EQ(0, drain_into(self, &p, &b));
		n_hints += self->k.n_hints;
		n_drains++;
		while (n_left && waitpid(-1, &status, WNOHANG) > 0) {
			ASSERT_EQ(0, status);
			n_left--;
		}
	}
	ASSERT_EQ(0, drain_into(self, &p, &b));
	ASSERT_EQ(0, drain_into(self, &p, &b));
	for (i = 0; i < KEYS; i++)
		EXPECT_EQ(!kt_set_get(&b, KEY(i)), p.has[i]);
	for (i = 0; i < PACKET_KEYS; i++)
		EXPECT_EQ(!kt_set_get(&b, ADDRESS(i)), p.has_packet[i]);
	/* Else this has tested little. */
	EXPECT_LT(1000, n_hints);
	EXPECT_LT(10, n_drains);
	kt_set_close(&b);
}

/* --- lives and deaths --- */

TEST_F_TIMEOUT(hint, unloaded_under_load, 300)
{
	pid_t pids[3];
	int i;

	ASSERT_EQ(0, start(self, pids, 0));
	for (i = 0; i < 6; i++) {
		EXPECT_TRUE(kt_until(kt_counter(self->g, FLYREP_C_HINT_QUEUED) > 50));
		/* With a reader and a list, with neither, and with the list alone */
		if (i % 3 == 1)
			ASSERT_EQ(0, kt_watch(self->g, NULL, 0));
		if (i % 3) {
			fr_genl_close(self->g);
			self->g = NULL;
		}
		ASSERT_EQ(0, kt_sh("rmmod flyrep"));
		EXPECT_EQ(0, probes());
		if (self->g)
			fr_genl_close(self->g);
		self->g = NULL;
		ASSERT_EQ(0, kt_load());
		ASSERT_EQ(0, kt_reader(&self->g));
		ASSERT_EQ(0, kt_watch(self->g, &self->set, 1));
	}
	for (i = 0; i < 3; i++) {
		kill(pids[i], SIGKILL);
		waitpid(pids[i], NULL, 0);
	}
}

/* Readers are killed and lists change while everything goes on. */
TEST_F_TIMEOUT(hint, reader_killed_under_load, 300)
{
	pid_t pids[3], reader;
	int i, status;

	/* Before the children: they would keep its socket open. */
	fr_genl_close(self->g);
	self->g = NULL;
	ASSERT_EQ(0, start(self, pids, 0));
	for (i = 0; i < 8; i++) {
		reader = fork();
		ASSERT_LE(0, reader);
		if (!reader) {
			if (kt_reader(&self->g))
				_exit(1);
			for (;;)
				if (kt_watch(self->g, &self->set, rand() % 2) || drain(self)) {
					fprintf(stderr, "# the reader: %s\n", fr_genl_error(self->g));
					_exit(2);
				}
		}
		ASSERT_EQ(0, fr_genl_open(&self->g));
		EXPECT_TRUE(kt_until(kt_counter(self->g, FLYREP_C_HINT_QUEUED) > 20u * (i + 1)));
		fr_genl_close(self->g);
		self->g = NULL;
		kill(reader, SIGKILL);
		ASSERT_EQ(reader, waitpid(reader, &status, 0));
		EXPECT_TRUE(WIFSIGNALED(status));
	}
	for (i = 0; i < 3; i++) {
		kill(pids[i], SIGKILL);
		waitpid(pids[i], NULL, 0);
	}
	EXPECT_TRUE(kt_until(!probes()));
}

/* Take nf_tables out, and all that stands on it. */
/* Those that need it first, in as many rounds as they need each other. */
static int remove_nf_tables(void)
{
	return kt_sh("cd /sys/module/nf_tables/holders && nft flush ruleset || exit; "
		     "while [ \"$(ls)\" ]; do before=$(ls); rmmod $before 2>/dev/null; "
		     "[ \"$(ls)\" != \"$before\" ] || exit; done; rmmod nf_tables");
}

TEST_F(hint, nf_tables_comes_and_goes)
{
	/* The first table there is, and in it the same set */
	const struct flyrep_set first = { .table = 1, .set = self->set.set };
	int i;

	ASSERT_EQ(0, kt_watch(self->g, NULL, 0));
	ASSERT_EQ(0, remove_nf_tables());
	ASSERT_EQ(0, kt_watch(self->g, &first, 1));
	for (i = 0; i < 2; i++) {
		EXPECT_EQ(0, probes());
		ASSERT_EQ(0, drain(self));
		ASSERT_EQ(0, kt_sh("nft -f - <<'X'\n%sX", ruleset));
		EXPECT_EQ(N_PROBES, probes());
		self->set = kt_set("s");
		ASSERT_EQ(first.table, self->set.table);
		ASSERT_EQ(first.set, self->set.set);
		ASSERT_EQ(0, drain(self));
		EXPECT_TRUE(self->k.is_set_dirty);
		ASSERT_EQ(0, packet(self, 1, ADD));
		ASSERT_EQ(0, kt_sh("nft add element inet " KT_SET_TABLE " s '{ 10.0.0.1 }'"));
		ASSERT_EQ(0, drain(self));
		ASSERT_EQ(3, self->k.n_hints);
		EXPECT_TRUE(is_element(self, 0, ADDRESS(1)));
		EXPECT_TRUE(is_element(self, 1, 0x0a000001));
		/* With the probes armed */
		ASSERT_EQ(0, remove_nf_tables());
	}
	ASSERT_EQ(0, drain(self));
	EXPECT_TRUE(is_generation(self, 0));
	/* The last one leaves while there is nothing to disarm. */
	ASSERT_EQ(0, kt_watch(self->g, NULL, 0));
}

TEST_HARNESS_MAIN
