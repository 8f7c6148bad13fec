// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * lab: deadline=300
 *
 * Sets of nf_tables and their elements: what is read, what is written, what is refused. The module
 * has no part in this.
 */
#include "kt.h"
#include "kt_harness.h"

#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>

#include "item.h"
#include "nft.h"
#include "nft_message.h"

/* A set of each kind, as far as nft has words for it. */
#define KINDS(elements) \
	"table inet kt {\n" \
	" counter c1 { }\n counter c2 { }\n" \
	" chain x { }\n chain y { }\n" \
	" set hash { type ipv4_addr; " \
	elements("192.0.2.1, 192.0.2.2 comment \"two\", 192.0.2.3") " }\n" \
	" set protos { type inet_proto; " elements("tcp, udp, 132") " }\n" \
	" set sized { type ipv6_addr; size 100; " elements("2001:db8::1, 2001:db8::2") " }\n" \
	" set names { type ifname; " elements("\"lo\", \"eth0\"") " }\n" \
	" set marks { type mark; " elements("1, 0xdeadbeef") " }\n" \
	" set fresh { type ipv4_addr; flags dynamic,timeout; timeout 1h; size 1000; counter; " \
	elements("192.0.2.1, 192.0.2.2 timeout 5m expires 4m comment \"t\", " \
		 "192.0.2.3 counter packets 7 bytes 777") " }\n" \
	" set times { type ipv4_addr; flags timeout; " \
	elements("192.0.2.1, 192.0.2.2 timeout 10m, 192.0.2.3 timeout 1d2h expires 3h") " }\n" \
	" set two { type ipv4_addr; counter; limit rate 5/second; " \
	elements("192.0.2.9, 192.0.2.10") " }\n" \
	" set concat { type ipv4_addr . inet_service; " \
	elements("192.0.2.1 . 22, 192.0.2.1 . 80") " }\n" \
	" set intervals { type ipv4_addr; flags interval; " \
	elements("10.0.0.0/8, 11.0.0.0/8, 192.0.2.7, 192.0.2.9-192.0.2.20 comment \"r\", " \
		 "240.0.0.0/4 comment \"top\"") " }\n" \
	" set bottom { type ipv4_addr; flags interval; " elements("0.0.0.0/8, 1.0.0.0/8") " }\n" \
	" set merged { type inet_service; flags interval; auto-merge; " \
	elements("1-100, 101-200, 65535") " }\n" \
	" set fading { type ipv6_addr; flags interval,timeout; timeout 2h; " \
	elements("2001:db8::/32, fd00::/8 timeout 1h expires 30m") " }\n" \
	" set ranges { type ipv4_addr . inet_service; flags interval; counter; " \
	elements("10.0.0.1-10.0.0.9 . 1-1024 counter packets 3 bytes 4, 10.1.0.0/16 . 22 comment \"c\"") " }\n" \
	" set rest { type ipv4_addr; " elements("192.0.2.1, * comment \"all\"") " }\n" \
	" set fadingrest { type ipv4_addr; flags interval,timeout; " \
	elements("10.0.0.0/8, * timeout 1h") " }\n" \
	" map values { type ipv4_addr : ipv6_addr; " \
	elements("192.0.2.1 : 2001:db8::1, 192.0.2.2 : ::") " }\n" \
	" map pairs { type ipv4_addr : ipv4_addr . inet_service; " \
	elements("192.0.2.1 : 192.0.2.9 . 80") " }\n" \
	" map ports { type inet_service : mark; flags interval; " \
	elements("1-10 : 5, 11-20 comment \"p\" : 6") " }\n" \
	" map verdicts { type ipv4_addr . inet_service : verdict; flags interval; " \
	elements("10.0.0.1-10.0.0.9 . 1-1024 : jump x, 192.0.2.1 . 22 : drop") " }\n" \
	" map jumps { type mark : verdict; flags timeout; " \
	elements("1 : goto y, 2 timeout 1h : accept, 3 comment \"r\" : return, * : drop") " }\n" \
	" map objects { type ipv4_addr : counter; " \
	elements("192.0.2.1 : \"c1\", 192.0.2.2 comment \"o\" : \"c2\"") " }\n" \
	" map steps { type ipv4_addr : counter; flags interval; " \
	elements("10.0.0.0/8 : \"c1\", 11.0.0.0/8 : \"c2\"") " }\n" \
	"}\n" \
	"table ip6 kt {\n set hash { type ether_addr; " elements("02:00:00:00:00:01") " }\n}\n"

#define WITH(list) "elements = { " list " };"
#define WITHOUT(list) ""

/* A namespace, a client in it, and the sets that were there when it last looked. */
struct node {
	int ns;
	struct fr_nft *n;
	struct fr_nft_set *sets;
	size_t n_sets;
};

/* Records as they come. */
struct recs {
	uint8_t *bytes;
	size_t len;
	size_t n;
};

FIXTURE(nft)
{
	struct node a;
	struct node b;
	struct recs recs;
};

static int node_enter(const struct node *node)
{
	return setns(node->ns, CLONE_NEWNET) ? -errno : 0;
}

static int node_open(struct node *node)
{
	if (unshare(CLONE_NEWNET))
		return -errno;
	node->ns = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (node->ns < 0)
		return -errno;
	return kt_sh("ip link set lo up") ?: fr_nft_open(&node->n);
}

static void node_close(struct node *node)
{
	fr_nft_close(node->n);
	free(node->sets);
	close(node->ns);
}

FIXTURE_SETUP(nft)
{
	kt_sh("modprobe -a nf_tables nf_conntrack 2>/dev/null; true");
	memset(self, 0, sizeof(*self));
	ASSERT_EQ(0, node_open(&self->b));
	ASSERT_EQ(0, node_open(&self->a));
}

FIXTURE_TEARDOWN(nft)
{
	node_close(&self->a);
	node_close(&self->b);
	free(self->recs.bytes);
}

/* Rules into the namespace of a node. */
__attribute__((format(printf, 2, 3)))
static int node_rules(const struct node *node, const char *fmt, ...)
{
	va_list ap;
	FILE *f;
	int rc;

	if (node_enter(node))
		return -1;
	f = popen("nft -f -", "w");
	if (!f)
		return -errno;
	va_start(ap, fmt);
	vfprintf(f, fmt, ap);
	va_end(ap);
	rc = pclose(f);
	return WIFEXITED(rc) ? WEXITSTATUS(rc) : -1;
}

/* What a command of nft says of a node, without what runs all the time; to be freed. */
static char *node_list(const struct node *node, const char *what)
{
	char *text = NULL, cmd[512];
	size_t len = 0, n;
	char buf[4096];
	FILE *f, *out;

	if (node_enter(node))
		return NULL;
	snprintf(cmd, sizeof(cmd), "nft list %s | sed -E 's/ expires [0-9a-z]+//g'", what);
	f = popen(cmd, "r");
	out = open_memstream(&text, &len);
	while (f && out && (n = fread(buf, 1, sizeof(buf), f)))
		fwrite(buf, 1, n, out);
	if (out)
		fclose(out);
	if (f)
		pclose(f);
	return text;
}

static void on_set(void *cookie, const struct fr_nft_set *set)
{
	struct node *node = cookie;

	node->sets = realloc(node->sets, (node->n_sets + 1) * sizeof(*set));
	node->sets[node->n_sets++] = *set;
}

static int node_look(struct node *node)
{
	node->n_sets = 0;
	return fr_nft_sets(node->n, on_set, node);
}

static const struct fr_nft_set *node_find(void *cookie, uint8_t family, const char *table,
					  const char *set)
{
	const struct node *node = cookie;
	size_t i;

	for (i = 0; i < node->n_sets; i++)
		if (node->sets[i].family == family && !strcmp(node->sets[i].table, table) &&
		    !strcmp(node->sets[i].name, set))
			return &node->sets[i];
	return NULL;
}

static const struct fr_nft_set *node_set(const struct node *node, const char *name)
{
	return node_find((void *)node, NFPROTO_INET, "kt", name);
}

/* --- records ------------------------------------------------------------ */

static void recs_add(struct recs *r, const void *rec)
{
	size_t len = fr_record_len(&fr_nft_set_table, rec);

	r->bytes = realloc(r->bytes, r->len + len);
	memcpy(r->bytes + r->len, rec, len);
	r->len += len;
	r->n++;
}

static void recs_reset(struct recs *r)
{
	r->len = 0;
	r->n = 0;
}

static void *recs_at(const struct recs *r, size_t i)
{
	void *rec = r->bytes;

	while (i--)
		rec = fr_record_next(&fr_nft_set_table, rec);
	return rec;
}

static void on_recs(void *cookie, const void *recs, size_t n)
{
	for (; n; n--, recs = fr_record_next(&fr_nft_set_table, recs))
		recs_add(cookie, recs);
}

/* All elements of a set behind what is there. */
static int node_dump(struct node *node, const struct fr_nft_set *set, struct recs *r)
{
	struct pollfd p = { .fd = fr_nft_fd(node->n), .events = POLLIN };
	int rc = fr_nft_dump_start(node->n, set);

	if (rc)
		return rc;
	do {
		if (poll(&p, 1, KT_WAIT_MS) != 1)
			return -ETIMEDOUT;
		rc = fr_nft_dump_pump(node->n, on_recs, r);
	} while (rc > 0 || rc == -EAGAIN);
	return rc;
}

static int node_dump_all(struct node *node, struct recs *r)
{
	size_t i;
	int rc = 0;

	for (i = 0; !rc && i < node->n_sets; i++) {
		rc = node_dump(node, &node->sets[i], r);
		if (rc)
			fprintf(stderr, "# set %s: %s\n", node->sets[i].name,
				fr_nft_error(node->n));
	}
	return rc;
}

/* What was refused, in order of time. */
struct errors {
	const void *rec[32];
	int error[32];
	size_t n;
};

static void errors_add(struct errors *e, const void *rec, int error)
{
	if (e->n < 32) {
		e->rec[e->n] = rec;
		e->error[e->n] = error;
	}
	e->n++;
}

/* The cookie of find and on_error. */
struct write {
	struct node *node;
	struct errors errors;
};

static const struct fr_nft_set *on_find(void *cookie, uint8_t family, const char *table,
					const char *set)
{
	struct write *w = cookie;

	return node_find(w->node, family, table, set);
}

static void on_error(void *cookie, const void *rec, int error)
{
	struct write *w = cookie;

	errors_add(&w->errors, rec, error);
}

static ssize_t node_apply(struct node *node, const struct recs *r, struct errors *errors)
{
	struct write w = { .node = node };
	ssize_t n = fr_nft_apply(node->n, r->bytes, r->n, on_find, on_error, &w);

	if (errors)
		*errors = w.errors;
	return n;
}

static int recs_error(const struct errors *e, const void *rec)
{
	size_t i;

	for (i = 0; i < e->n; i++)
		if (e->rec[i] == rec)
			return e->error[i];
	return 0;
}

/* The same but for the op. */
static void recs_set_op(struct recs *r, uint8_t op)
{
	struct recs old = *r;
	const struct flyrep_item *it = (const void *)old.bytes;
	struct fr_item_bytes fields[FR_ITEM_FIELDS_MAX];
	uint64_t room[FR_ITEM_ROOM / 8 + 1];
	size_t i;

	memset(r, 0, sizeof(*r));
	for (i = 0; i < old.n; i++, it = fr_record_next(&fr_nft_set_table, it)) {
		fr_item_unpack(it, FLYREP_TABLE_NFT_SET, fields);
		fr_item_pack(room, FLYREP_TABLE_NFT_SET, op, fields, it->expires_ms);
		recs_add(r, room);
	}
	free(old.bytes);
}

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return t.tv_sec * 1000ULL + t.tv_nsec / 1000000;
}

/* A record from texts; the rest of the fields are empty. */
static void recs_make(struct recs *r, uint8_t op, const char *set, const char *key,
		      const char *key_end, const char *data, const char *timeout, uint64_t expires_ms)
{
	const char *texts[FR_ITEM_FIELDS_MAX] = { "inet", "kt", set, key, key_end, data, timeout };
	uint64_t room[FR_ITEM_ROOM / 8 + 1];
	char *why;

	if (fr_item_make(room, FLYREP_TABLE_NFT_SET, op, texts, expires_ms, &why) < 0) {
		fprintf(stderr, "# %s\n", why);
		abort();
	}
	recs_add(r, room);
}

static uint64_t digest(const struct recs *r)
{
	static const struct fr_siphash_key key;
	const void *rec = r->bytes;
	uint64_t sum = 0;
	size_t i;

	for (i = 0; i < r->n; i++, rec = fr_record_next(&fr_nft_set_table, rec))
		sum += fr_nft_set_table.digest(rec, &key);
	return sum;
}

/* --- tests -------------------------------------------------------------- */

TEST_F(nft, sets)
{
	const struct fr_nft_set *set;
	uint64_t table_handle, handle;

	ASSERT_EQ(0, node_look(&self->a));
	EXPECT_EQ(0, self->a.n_sets);
	ASSERT_EQ(0, node_rules(&self->a, KINDS(WITH)
		"table inet other {\n chain c { ip saddr { 192.0.2.1, 192.0.2.2 } accept; }\n}\n"));
	ASSERT_EQ(0, node_look(&self->a));
	EXPECT_EQ(24, self->a.n_sets);

	set = node_set(&self->a, "fresh");
	ASSERT_NE(NULL, set);
	EXPECT_EQ(NFPROTO_INET, set->family);
	EXPECT_EQ(4, set->key_len);
	EXPECT_EQ(3600000, set->timeout_ms);
	EXPECT_EQ(NFT_SET_EVAL | NFT_SET_TIMEOUT, set->flags & ~NFT_SET_EXPR);
	EXPECT_FALSE(set->is_owned);
	set = node_set(&self->a, "verdicts");
	ASSERT_NE(NULL, set);
	EXPECT_EQ(8, set->key_len);
	EXPECT_EQ(NFT_DATA_VERDICT, set->data_type);
	EXPECT_EQ(NFT_SET_MAP | NFT_SET_INTERVAL | NFT_SET_CONCAT, set->flags);
	set = node_set(&self->a, "values");
	ASSERT_NE(NULL, set);
	EXPECT_EQ(16, set->data_len);
	EXPECT_NE(NULL, node_find(&self->a, NFPROTO_IPV6, "kt", "hash"));

	/* Made anew it is another one, and so is its table. */
	set = node_set(&self->a, "hash");
	ASSERT_NE(NULL, set);
	handle = set->handle;
	table_handle = set->table_handle;
	ASSERT_EQ(0, node_rules(&self->a, "delete set inet kt hash; add set inet kt hash { type ipv4_addr; }"));
	ASSERT_EQ(0, node_look(&self->a));
	set = node_set(&self->a, "hash");
	ASSERT_NE(NULL, set);
	EXPECT_NE(handle, set->handle);
	EXPECT_EQ(table_handle, set->table_handle);
	ASSERT_EQ(0, node_rules(&self->a, "delete table inet kt; add table inet kt; "
				"add set inet kt hash { type ipv4_addr; }"));
	ASSERT_EQ(0, node_look(&self->a));
	set = node_set(&self->a, "hash");
	ASSERT_NE(NULL, set);
	EXPECT_NE(table_handle, set->table_handle);
}

/* Dumped on one node and written on another, elements of every kind are the same; and once more; and gone. */
TEST_F(nft, every_kind)
{
	char *before, *want, *got;
	struct recs back = { 0 };
	struct errors errors;
	size_t n;

	ASSERT_EQ(0, node_rules(&self->a, KINDS(WITH)));
	ASSERT_EQ(0, node_rules(&self->b, KINDS(WITHOUT)));
	ASSERT_EQ(0, node_look(&self->a));
	ASSERT_EQ(0, node_look(&self->b));
	before = node_list(&self->b, "ruleset");
	want = node_list(&self->a, "ruleset");
	ASSERT_NE(0, strcmp(before, want));
	ASSERT_EQ(0, node_dump_all(&self->a, &self->recs));
	n = self->recs.n;
	EXPECT_LT(50, n);

	EXPECT_EQ(n, node_apply(&self->b, &self->recs, &errors));
	EXPECT_EQ(0, errors.n);
	got = node_list(&self->b, "ruleset");
	EXPECT_STREQ(want, got);
	free(got);

	/* They are there: this replaces each. */
	EXPECT_EQ(n, node_apply(&self->b, &self->recs, &errors));
	EXPECT_EQ(0, errors.n);
	got = node_list(&self->b, "ruleset");
	EXPECT_STREQ(want, got);
	free(got);
	ASSERT_EQ(0, node_dump_all(&self->b, &back));
	EXPECT_EQ(n, back.n);
	EXPECT_EQ(digest(&self->recs), digest(&back));
	free(back.bytes);

	/* Twice: what is not there is gone. */
	recs_set_op(&self->recs, FLYREP_OP_DELETE);
	EXPECT_EQ(n, node_apply(&self->b, &self->recs, &errors));
	EXPECT_EQ(n, node_apply(&self->b, &self->recs, &errors));
	EXPECT_EQ(0, errors.n);
	got = node_list(&self->b, "ruleset");
	EXPECT_STREQ(before, got);
	free(got);
	free(before);
	free(want);
}

/* What is handed out for each key that was asked for. */
struct got {
	const struct recs *asked;
	struct recs recs;
	size_t next;
	size_t n_none;
	size_t n_wrong;
};

static void on_got(void *cookie, size_t i, const void *rec)
{
	struct got *g = cookie;
	const struct flyrep_item *asked = recs_at(g->asked, i), *found = rec;

	if (i != g->next++)
		g->n_wrong++;
	if (!rec) {
		g->n_none++;
		return;
	}
	if (asked->key_len != found->key_len || memcmp(asked + 1, found + 1, found->key_len))
		g->n_wrong++;
	recs_add(&g->recs, rec);
}

/* Each set that can be read by key says the same element by element as in a dump. */
TEST_F(nft, by_key)
{
	size_t i, n_read = 0;

	ASSERT_EQ(0, node_rules(&self->a, KINDS(WITH)));
	ASSERT_EQ(0, node_look(&self->a));
	for (i = 0; i < self->a.n_sets; i++) {
		const struct fr_nft_set *set = &self->a.sets[i];
		struct got got = { .asked = &self->recs };

		recs_reset(&self->recs);
		ASSERT_EQ(0, node_dump(&self->a, set, &self->recs));
		ASSERT_NE(0, self->recs.n);
		if ((set->flags & NFT_SET_INTERVAL) && !(set->flags & NFT_SET_CONCAT)) {
			EXPECT_EQ(-EOPNOTSUPP, fr_nft_get(self->a.n, set, self->recs.bytes, 1, on_got, &got));
			continue;
		}
		ASSERT_EQ(0, fr_nft_get(self->a.n, set, self->recs.bytes, self->recs.n, on_got, &got)) {
			TH_LOG("set %s: %s", set->name, fr_nft_error(self->a.n));
		}
		EXPECT_EQ(0, got.n_none);
		EXPECT_EQ(0, got.n_wrong);
		EXPECT_EQ(digest(&self->recs), digest(&got.recs));
		n_read += got.recs.n;
		free(got.recs.bytes);
	}
	EXPECT_LT(30, n_read);
}

/* Of many keys those that are there, in order; a range is not what lies in it. */
TEST_F(nft, by_key_or_not_there)
{
	uint64_t room[FR_RECORD_KEY_ROOM / 8 + 1];
	struct got got = { .asked = &self->recs };
	const struct fr_nft_set *set;
	uint32_t addr;
	size_t i;

	ASSERT_EQ(0, node_rules(&self->a, KINDS(WITH)));
	ASSERT_EQ(0, node_look(&self->a));
	set = node_set(&self->a, "hash");
	ASSERT_NE(NULL, set);
	for (i = 0; i < 1000; i++) {
		addr = htonl(0xc0000200 + i);
		ASSERT_LT(0, fr_nft_key_record(room, set, (void *)&addr, 4));
		recs_add(&self->recs, room);
	}
	ASSERT_EQ(0, fr_nft_get(self->a.n, set, self->recs.bytes, 1000, on_got, &got));
	EXPECT_EQ(997, got.n_none);
	EXPECT_EQ(3, got.recs.n);
	EXPECT_EQ(0, got.n_wrong);
	EXPECT_EQ(-EINVAL, fr_nft_key_record(room, set, (void *)&addr, 3));
	set = node_set(&self->a, "ranges");
	EXPECT_EQ(-EOPNOTSUPP, fr_nft_key_record(room, set, (void *)&addr, 4));

	/* Within 10.0.0.1-10.0.0.9 . 1-1024, and just that. */
	recs_reset(&self->recs);
	recs_make(&self->recs, FLYREP_OP_UPDATE, "ranges", "0a00000200160000", "0a00000200160000", NULL, NULL, 0);
	recs_make(&self->recs, FLYREP_OP_UPDATE, "ranges", "0a00000100010000", "0a00000904000000", NULL, NULL, 0);
	recs_reset(&got.recs);
	got.next = 0;
	got.n_none = 0;
	ASSERT_EQ(0, fr_nft_get(self->a.n, set, self->recs.bytes, 2, on_got, &got));
	EXPECT_EQ(1, got.n_none);
	EXPECT_EQ(1, got.recs.n);
	EXPECT_EQ(0, got.n_wrong);
	free(got.recs.bytes);

	/* Nor is a set that is gone an error of its own. */
	ASSERT_EQ(0, node_rules(&self->a, "delete table inet kt"));
	memset(&got, 0, sizeof(got));
	got.asked = &self->recs;
	ASSERT_EQ(0, fr_nft_get(self->a.n, set, self->recs.bytes, 2, on_got, &got));
	EXPECT_EQ(2, got.n_none);
}

/* An interval is one record, whatever lies beside it. */
TEST_F(nft, intervals)
{
	static const char *const want[][2] = {
		{ "f0:00:00:00", NULL },
		{ "c0:00:02:09", "c0:00:02:15" },
		{ "c0:00:02:07", "c0:00:02:08" },
		{ "0b:00:00:00", "0c:00:00:00" },
		{ "0a:00:00:00", "0b:00:00:00" },
	};
	struct errors errors;
	size_t i;

	ASSERT_EQ(0, node_rules(&self->a, KINDS(WITH)));
	ASSERT_EQ(0, node_look(&self->a));
	ASSERT_EQ(0, node_dump(&self->a, node_set(&self->a, "intervals"), &self->recs));
	ASSERT_EQ(5, self->recs.n);
	for (i = 0; i < 5; i++) {
		json_t *obj = fr_nft_set_table.to_json(recs_at(&self->recs, i));
		json_t *end = json_object_get(obj, "key_end");

		EXPECT_STREQ("inet", json_string_value(json_object_get(obj, "family")));
		EXPECT_STREQ(want[i][0], json_string_value(json_object_get(obj, "key")));
		EXPECT_EQ(!want[i][1], !end);
		if (end)
			EXPECT_STREQ(want[i][1], json_string_value(end));
		if (!i)
			EXPECT_STREQ("top", json_string_value(json_object_get(obj, "comment")));
		json_decref(obj);
	}

	/* One out of the middle; its neighbours stay. One grows, in one transaction, whose old end is told first. */
	recs_reset(&self->recs);
	recs_make(&self->recs, FLYREP_OP_DELETE, "intervals", "0a000000", "0b000000", NULL, NULL, 0);
	recs_make(&self->recs, FLYREP_OP_DELETE, "intervals", "c0000209", "c0000215", NULL, NULL, 0);
	recs_make(&self->recs, FLYREP_OP_UPDATE, "intervals", "c0000209", "c0000220", NULL, NULL, 0);
	/* Overlap, above, below and around; one that is not there, but begins as one that is. */
	recs_make(&self->recs, FLYREP_OP_UPDATE, "intervals", "0b100000", "0c100000", NULL, NULL, 0);
	recs_make(&self->recs, FLYREP_OP_UPDATE, "intervals", "0a800000", "0b100000", NULL, NULL, 0);
	recs_make(&self->recs, FLYREP_OP_UPDATE, "intervals", "0a000000", "0d000000", NULL, NULL, 0);
	recs_make(&self->recs, FLYREP_OP_DELETE, "intervals", "0b000000", "0b800000", NULL, NULL, 0);
	EXPECT_EQ(4, node_apply(&self->a, &self->recs, &errors));
	EXPECT_EQ(3, errors.n);
	for (i = 3; i < 6; i++)
		EXPECT_EQ(-EEXIST, recs_error(&errors, recs_at(&self->recs, i)));
	recs_reset(&self->recs);
	ASSERT_EQ(0, node_dump(&self->a, node_set(&self->a, "intervals"), &self->recs));
	EXPECT_EQ(4, self->recs.n);
	EXPECT_EQ(0, kt_sh("nft list set inet kt intervals | grep -q '192.0.2.9-192.0.2.31'"));
	EXPECT_EQ(0, kt_sh("nft list set inet kt intervals | grep -q '11.0.0.0/8'"));
	EXPECT_NE(0, kt_sh("nft list set inet kt intervals | grep -q '10.0.0.0/8'"));
}

/* The time that is left is carried, not begun again; on a kernel that keeps the old one, too. */
TEST_F(nft, time_left)
{
	static const struct {
		const char *timeout;
		uint64_t left_ms;
	} steps[] = { { NULL, 3000000 }, { NULL, 1000000 }, { NULL, 3500000 }, { "600000", 500000 },
		      { "0", 0 }, { NULL, 3600000 }, { "7300000", 7100000 } };
	const struct flyrep_item *it;
	uint64_t expires_ms, want;
	struct errors errors;
	size_t i;

	ASSERT_EQ(0, node_rules(&self->a, KINDS(WITHOUT)));
	ASSERT_EQ(0, node_look(&self->a));
	for (i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		expires_ms = steps[i].left_ms ? now_ms() + steps[i].left_ms : 0;
		recs_reset(&self->recs);
		recs_make(&self->recs, FLYREP_OP_UPDATE, "fresh", "c0000201", NULL, NULL, steps[i].timeout,
			  expires_ms);
		recs_make(&self->recs, FLYREP_OP_UPDATE, "fading", "20010db8000000000000000000000000",
			  "20010db9000000000000000000000000", NULL, steps[i].timeout, expires_ms);
		want = digest(&self->recs);
		ASSERT_EQ(2, node_apply(&self->a, &self->recs, &errors));
		recs_reset(&self->recs);
		ASSERT_EQ(0, node_dump(&self->a, node_set(&self->a, "fresh"), &self->recs));
		ASSERT_EQ(0, node_dump(&self->a, node_set(&self->a, "fading"), &self->recs));
		ASSERT_EQ(2, self->recs.n);
		EXPECT_EQ(want, digest(&self->recs));
		for (it = recs_at(&self->recs, 0); it <= (struct flyrep_item *)recs_at(&self->recs, 1);
		     it = fr_record_next(&fr_nft_set_table, it)) {
			EXPECT_GE(1000, llabs((long long)(it->expires_ms - expires_ms))) {
				TH_LOG("step %zu: %lld ms off", i, (long long)(it->expires_ms - expires_ms));
			}
			if (steps[i].timeout)
				EXPECT_EQ(strtoull(steps[i].timeout, NULL, 10), fr_nft_record_timeout_ms(it));
		}
	}

	/* What has ended already, or is about to, is not there; nor does it begin again. */
	recs_reset(&self->recs);
	recs_make(&self->recs, FLYREP_OP_UPDATE, "fresh", "c0000201", NULL, NULL, NULL, now_ms() - 1);
	recs_make(&self->recs, FLYREP_OP_UPDATE, "fresh", "c0000202", NULL, NULL, NULL, now_ms() + 1);
	recs_make(&self->recs, FLYREP_OP_UPDATE, "fresh", "c0000203", NULL, NULL, NULL, 1);
	EXPECT_EQ(3, node_apply(&self->a, &self->recs, &errors));
	recs_reset(&self->recs);
	ASSERT_EQ(0, node_dump(&self->a, node_set(&self->a, "fresh"), &self->recs));
	EXPECT_EQ(0, self->recs.n);
	/* More time than the set gives: the clocks differ. */
	recs_reset(&self->recs);
	recs_make(&self->recs, FLYREP_OP_UPDATE, "fresh", "c0000201", NULL, NULL, NULL, now_ms() + 3601000);
	EXPECT_EQ(1, node_apply(&self->a, &self->recs, &errors));
}

/* Half of what is written is bad: the good half is there, and each bad one hears why. */
TEST_F(nft, refusals)
{
	enum { ANY = 1 };
	static const struct {
		const char *set, *key, *key_end, *data, *timeout;
		int error;
	} bad[] = {
		{ "missing", "c0000201", NULL, NULL, NULL, -ENOENT },
		{ "hash", "c000", NULL, NULL, NULL, -EINVAL },
		{ "hash", "c0000201", "c0000202", NULL, NULL, -EINVAL },
		{ "hash", "c0000202", NULL, "0800010001020304", NULL, -EINVAL },
		{ "hash", "c0000203", NULL, NULL, "1000", -EINVAL },
		{ "values", "c0000201", NULL, NULL, NULL, -EINVAL },
		{ "values", "c0000201", NULL, "0800010001020304", NULL, -EINVAL },
		{ "values", "c0000202", NULL, "ff", NULL, -EINVAL },
		{ "jumps", "05000000", NULL, "ffff", NULL, ANY },
		/* jump to a chain that is not there */
		{ "jumps", "06000000", NULL, "1400020008000100fffffffd060002007a000000", NULL, -ENOENT },
		{ "ranges", "0a000001", NULL, NULL, NULL, -EINVAL },
		{ "ranges", "0a00000100010000", "0a000009", NULL, NULL, -EINVAL },
	};
	size_t i, n_bad = sizeof(bad) / sizeof(bad[0]);
	struct errors errors;
	char key[16];

	ASSERT_EQ(0, node_rules(&self->a, KINDS(WITHOUT)));
	ASSERT_EQ(0, node_look(&self->a));
	for (i = 0; i < n_bad; i++) {
		snprintf(key, sizeof(key), "cb0071%02zx", i);
		recs_make(&self->recs, FLYREP_OP_UPDATE, "hash", key, NULL, NULL, NULL, 0);
		recs_make(&self->recs, FLYREP_OP_UPDATE, bad[i].set, bad[i].key, bad[i].key_end,
			  bad[i].data, bad[i].timeout, 0);
	}
	EXPECT_EQ(n_bad, node_apply(&self->a, &self->recs, &errors));
	EXPECT_EQ(n_bad, errors.n);
	for (i = 0; i < n_bad; i++) {
		int error = recs_error(&errors, recs_at(&self->recs, 2 * i + 1));

		EXPECT_GT(0, error) {
			TH_LOG("bad record %zu", i);
		}
		if (bad[i].error != ANY)
			EXPECT_EQ(bad[i].error, error) {
				TH_LOG("bad record %zu", i);
			}
	}
	recs_reset(&self->recs);
	ASSERT_EQ(0, node_dump_all(&self->a, &self->recs));
	EXPECT_EQ(n_bad, self->recs.n);

	/* Not even a record */
	recs_reset(&self->recs);
	recs_make(&self->recs, FLYREP_OP_UPDATE, "hash", "c0000201", NULL, NULL, NULL, 0);
	((struct flyrep_item *)self->recs.bytes)->reserved = 1;
	EXPECT_EQ(0, node_apply(&self->a, &self->recs, &errors));
	EXPECT_EQ(1, errors.n);
	EXPECT_EQ(-EINVAL, errors.error[0]);
}

/* The set's table has an owner: it is seen, read, and left alone. */
TEST_F(nft, owned)
{
	struct errors errors;
	FILE *nft;

	ASSERT_EQ(0, node_enter(&self->a));
	nft = popen("nft -i >/dev/null", "w");
	ASSERT_NE(NULL, nft);
	fprintf(nft, "add table inet kt { flags owner; }\n"
		     "add set inet kt s { type ipv4_addr; elements = { 192.0.2.1 }; }\n");
	fflush(nft);
	ASSERT_TRUE(kt_until(!node_look(&self->a) && node_set(&self->a, "s")));
	ASSERT_TRUE(kt_until((recs_reset(&self->recs),
			      !node_dump(&self->a, node_set(&self->a, "s"), &self->recs) && self->recs.n == 1)));
	EXPECT_TRUE(node_set(&self->a, "s")->is_owned);
	EXPECT_EQ(0, node_apply(&self->a, &self->recs, &errors));
	EXPECT_EQ(1, errors.n);
	EXPECT_EQ(-EPERM, errors.error[0]);

	/* If nobody has noticed, the kernel has. */
	self->a.sets[0].is_owned = false;
	EXPECT_EQ(0, node_apply(&self->a, &self->recs, &errors));
	EXPECT_EQ(1, errors.n);
	EXPECT_EQ(-EPERM, errors.error[0]);
	pclose(nft);
}

/* Who may not is told so, about each record. */
TEST_F(nft, not_allowed)
{
	struct errors errors;
	struct got got = { .asked = &self->recs };

	ASSERT_EQ(0, node_rules(&self->a, KINDS(WITHOUT)));
	ASSERT_EQ(0, node_look(&self->a));
	recs_make(&self->recs, FLYREP_OP_UPDATE, "hash", "c0000201", NULL, NULL, NULL, 0);
	recs_make(&self->recs, FLYREP_OP_DELETE, "hash", "c0000202", NULL, NULL, NULL, 0);
	ASSERT_EQ(0, setresuid(65534, 65534, 65534));
	EXPECT_EQ(-EPERM, node_apply(&self->a, &self->recs, &errors));
	EXPECT_EQ(2, errors.n);
	EXPECT_EQ(-EPERM, errors.error[0]);
	EXPECT_EQ(-EPERM, errors.error[1]);
	EXPECT_STRNE("", fr_nft_error(self->a.n));
	EXPECT_EQ(-EPERM, fr_nft_get(self->a.n, node_set(&self->a, "hash"), self->recs.bytes, 2, on_got, &got));
	EXPECT_EQ(-EPERM, node_dump(&self->a, node_set(&self->a, "hash"), &self->recs));
	EXPECT_EQ(-EPERM, node_look(&self->a));
}

/* A full set takes news of its own elements, one that comes for one that goes, and no more. */
TEST_F(nft, full)
{
	struct errors errors;
	char key[16];
	size_t i;

	ASSERT_EQ(0, node_rules(&self->a, "table inet kt {\n set f { type ipv4_addr; "
				"flags dynamic,timeout; size 10; timeout 1h; }\n}"));
	ASSERT_EQ(0, node_look(&self->a));
	for (i = 0; i < 10; i++) {
		snprintf(key, sizeof(key), "c00002%02zx", i);
		recs_make(&self->recs, FLYREP_OP_UPDATE, "f", key, NULL, NULL, NULL, now_ms() + 1000000);
	}
	EXPECT_EQ(10, node_apply(&self->a, &self->recs, &errors));
	for (i = 0; i < 10; i++)
		((struct flyrep_item *)recs_at(&self->recs, i))->expires_ms += 1000000;
	EXPECT_EQ(10, node_apply(&self->a, &self->recs, &errors));
	recs_make(&self->recs, FLYREP_OP_UPDATE, "f", "c0000280", NULL, NULL, NULL, now_ms() + 1000000);
	EXPECT_EQ(10, node_apply(&self->a, &self->recs, &errors));
	EXPECT_EQ(1, errors.n);
	EXPECT_EQ(-ENFILE, recs_error(&errors, recs_at(&self->recs, 10)));
	recs_make(&self->recs, FLYREP_OP_DELETE, "f", "c0000200", NULL, NULL, NULL, 0);
	EXPECT_EQ(12, node_apply(&self->a, &self->recs, &errors));
	EXPECT_EQ(0, errors.n);
	recs_reset(&self->recs);
	ASSERT_EQ(0, node_dump(&self->a, node_set(&self->a, "f"), &self->recs));
	EXPECT_EQ(10, self->recs.n);
	for (i = 0; i < 10; i++)
		EXPECT_LT(now_ms() + 900000, ((struct flyrep_item *)recs_at(&self->recs, i))->expires_ms);

	/* One that had to wait for room is not added behind its own end. */
	recs_reset(&self->recs);
	recs_make(&self->recs, FLYREP_OP_UPDATE, "f", "c00002f0", NULL, NULL, NULL, now_ms() + 1000000);
	recs_make(&self->recs, FLYREP_OP_DELETE, "f", "c00002f0", NULL, NULL, NULL, 0);
	recs_make(&self->recs, FLYREP_OP_DELETE, "f", "c0000201", NULL, NULL, NULL, 0);
	EXPECT_EQ(3, node_apply(&self->a, &self->recs, &errors));
	recs_reset(&self->recs);
	ASSERT_EQ(0, node_dump(&self->a, node_set(&self->a, "f"), &self->recs));
	EXPECT_EQ(9, self->recs.n);
	EXPECT_NE(0, kt_sh("nft list set inet kt f | grep -q 192.0.2.240"));

	/* Who comes before the one that makes room waits for it. */
	recs_reset(&self->recs);
	recs_make(&self->recs, FLYREP_OP_UPDATE, "f", "c00002e0", NULL, NULL, NULL, now_ms() + 1000000);
	recs_make(&self->recs, FLYREP_OP_UPDATE, "f", "c00002e1", NULL, NULL, NULL, now_ms() + 1000000);
	recs_make(&self->recs, FLYREP_OP_DELETE, "f", "c0000202", NULL, NULL, NULL, 0);
	EXPECT_EQ(3, node_apply(&self->a, &self->recs, &errors));
	recs_reset(&self->recs);
	ASSERT_EQ(0, node_dump(&self->a, node_set(&self->a, "f"), &self->recs));
	EXPECT_EQ(10, self->recs.n);
}

/* Of records with one key the last one counts, whatever the others would have met with. */
TEST_F(nft, last_one_counts)
{
	struct errors errors;

	ASSERT_EQ(0, node_rules(&self->a, KINDS(WITHOUT)));
	ASSERT_EQ(0, node_look(&self->a));
	recs_make(&self->recs, FLYREP_OP_UPDATE, "hash", "c0000201", NULL, NULL, NULL, 0);
	recs_make(&self->recs, FLYREP_OP_DELETE, "hash", "c0000202", NULL, NULL, NULL, 0);
	recs_make(&self->recs, FLYREP_OP_DELETE, "hash", "c0000201", NULL, NULL, NULL, 0);
	recs_make(&self->recs, FLYREP_OP_UPDATE, "hash", "c0000202", NULL, NULL, NULL, 0);
	EXPECT_EQ(4, node_apply(&self->a, &self->recs, &errors));
	EXPECT_EQ(0, errors.n);
	recs_reset(&self->recs);
	ASSERT_EQ(0, node_dump(&self->a, node_set(&self->a, "hash"), &self->recs));
	EXPECT_EQ(1, self->recs.n);
}

/* Packets that add and refresh elements of a set for a quarter of a second each, and let go of them. */
struct packets {
	pthread_t thread;
	bool is_over;
	size_t n;
};

static void *packets_send(void *cookie)
{
	struct packets *p = cookie;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in to = { .sin_family = AF_INET };
	uint32_t x = 1;

	while (!__atomic_load_n(&p->is_over, __ATOMIC_RELAXED)) {
		x = x * 1103515245 + 12345;
		to.sin_addr.s_addr = htonl(0x7f000001);
		to.sin_port = htons(1000 + (x >> 16) % 200);
		sendto(fd, "x", 1, 0, (void *)&to, sizeof(to));
		__atomic_add_fetch(&p->n, 1, __ATOMIC_RELAXED);
	}
	close(fd);
	return NULL;
}

/* Elements come and go under the hands of who writes them: it is no error. */
TEST_F(nft, races)
{
	int64_t end;
	struct packets packets = { 0 };
	struct errors errors;
	uint64_t want;
	size_t round, i;
	char key[16];

	ASSERT_EQ(0, node_rules(&self->a, "table inet kt {\n set f { type inet_service; "
				"flags dynamic,timeout; size 65535; }\n"
				" chain out { type filter hook output priority 0; "
				"update @f { udp dport timeout 250ms }; }\n}"));
	ASSERT_EQ(0, node_look(&self->a));
	ASSERT_EQ(0, pthread_create(&packets.thread, NULL, packets_send, &packets));
	ASSERT_TRUE(kt_until(__atomic_load_n(&packets.n, __ATOMIC_RELAXED)));
	end = kt_now_ms() + 5000;
	for (round = 0; round < 100 && kt_now_ms() < end; round++) {
		recs_reset(&self->recs);
		for (i = 0; i < 300; i++) {
			snprintf(key, sizeof(key), "%04zx", 1000 + i);
			recs_make(&self->recs, i % 7 ? FLYREP_OP_UPDATE : FLYREP_OP_DELETE, "f", key, NULL, NULL,
				  "300", now_ms() + 50 + (i * 37 + round * 11) % 250);
		}
		ASSERT_EQ(300, node_apply(&self->a, &self->recs, &errors)) {
			TH_LOG("round %zu: %zu refused: %d, %s", round, errors.n, errors.n ? errors.error[0] : 0,
			       fr_nft_error(self->a.n));
		}
	}
	__atomic_store_n(&packets.is_over, true, __ATOMIC_RELAXED);
	pthread_join(packets.thread, NULL);
	TH_LOG("%zu rounds, %zu packets", round, packets.n);
	EXPECT_LT(0, round);

	/* With nobody in the way each is there once, as it was written, whatever packets have left. */
	recs_reset(&self->recs);
	for (i = 0; i < 300; i++) {
		snprintf(key, sizeof(key), "%04zx", 1000 + i);
		recs_make(&self->recs, FLYREP_OP_UPDATE, "f", key, NULL, NULL, "9000", now_ms() + 8000);
	}
	want = digest(&self->recs);
	EXPECT_EQ(300, node_apply(&self->a, &self->recs, &errors)) {
		TH_LOG("%zu refused: %d", errors.n, errors.n ? errors.error[0] : 0);
	}
	recs_reset(&self->recs);
	ASSERT_EQ(0, node_dump(&self->a, node_set(&self->a, "f"), &self->recs));
	EXPECT_EQ(300, self->recs.n);
	EXPECT_EQ(want, digest(&self->recs));

	/* All of them end. */
	ASSERT_TRUE(kt_until((recs_reset(&self->recs),
			      !node_dump(&self->a, node_set(&self->a, "f"), &self->recs) && !self->recs.n)));
}

/*
 * Elements that have ended stay in a hash until it is cleaned. Where one key has many of these the
 * kernel rebuilds the hash, and has no place for the key until that is done.
 */
TEST_F_TIMEOUT(nft, hash_rebuilt, 120)
{
	struct errors errors;
	size_t round, i;
	char key[16];

	ASSERT_EQ(0, node_rules(&self->a, "table inet kt {\n set f { type ipv4_addr; flags dynamic,timeout; "
				"gc-interval 1h; size 1000000; }\n}"));
	ASSERT_EQ(0, node_look(&self->a));
	for (round = 0; round < 40; round++) {
		recs_reset(&self->recs);
		for (i = 0; i < 300; i++) {
			snprintf(key, sizeof(key), "0a00%04zx", i);
			recs_make(&self->recs, FLYREP_OP_UPDATE, "f", key, NULL, NULL, "300", now_ms() + 100);
		}
		ASSERT_EQ(300, node_apply(&self->a, &self->recs, &errors)) {
			TH_LOG("round %zu: %zu refused: %d", round, errors.n, errors.n ? errors.error[0] : 0);
		}
		ASSERT_TRUE(kt_until((recs_reset(&self->recs),
				      !node_dump(&self->a, node_set(&self->a, "f"), &self->recs) && !self->recs.n)));
	}
}

/* Rules that change under a dump: it says so. */
TEST_F(nft, interrupted)
{
	struct recs seen = { 0 };
	struct errors errors;
	char key[16];
	size_t i;
	int rc;

	ASSERT_EQ(0, node_rules(&self->a, KINDS(WITHOUT)));
	ASSERT_EQ(0, node_look(&self->a));
	for (i = 0; i < 5000; i++) {
		snprintf(key, sizeof(key), "0a00%04zx", i);
		recs_make(&self->recs, FLYREP_OP_UPDATE, "hash", key, NULL, NULL, NULL, 0);
	}
	EXPECT_EQ(5000, node_apply(&self->a, &self->recs, &errors));
	ASSERT_EQ(0, fr_nft_dump_start(self->a.n, node_set(&self->a, "hash")));
	EXPECT_EQ(-EBUSY, fr_nft_dump_start(self->a.n, node_set(&self->a, "hash")));
	EXPECT_EQ(-EBUSY, node_apply(&self->a, &self->recs, NULL));
	EXPECT_EQ(-EBUSY, node_look(&self->a));
	ASSERT_EQ(1, fr_nft_dump_pump(self->a.n, on_recs, &seen));
	ASSERT_EQ(0, node_rules(&self->a, "add element inet kt hash { 192.0.2.1 }"));
	do
		rc = fr_nft_dump_pump(self->a.n, on_recs, &seen);
	while (rc == 1);
	EXPECT_EQ(-EINTR, rc);

	recs_reset(&seen);
	EXPECT_EQ(0, node_look(&self->a));
	EXPECT_EQ(0, node_dump(&self->a, node_set(&self->a, "hash"), &seen));
	EXPECT_EQ(5001, seen.n);

	/* A set that goes away under it */
	ASSERT_EQ(0, fr_nft_dump_start(self->a.n, node_set(&self->a, "hash")));
	ASSERT_EQ(1, fr_nft_dump_pump(self->a.n, on_recs, &seen));
	ASSERT_EQ(0, node_rules(&self->a, "delete table inet kt"));
	do
		rc = fr_nft_dump_pump(self->a.n, on_recs, &seen);
	while (rc == 1);
	EXPECT_EQ(-ENOENT, rc);
	EXPECT_EQ(-ENOENT, node_dump(&self->a, node_set(&self->a, "hash"), &seen));
	free(seen.bytes);
}

/*
 * What the kernel says of a set, as the unit test and the fuzzer take it: what it is (2: a dump of
 * elements), flags, length of key and of data, 1 for verdicts and 2 for a timeout, then the datagrams
 * each behind its length (16 bits, little endian).
 */
static int record(const struct fr_nft_set *set, const char *path, struct recs *r)
{
	const struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER), rc;
	uint8_t in[65536], out[512] __attribute__((aligned(8)));
	struct nlmsghdr *nlh = fr_nft_message_head(out, FR_NFT_TYPE(NFT_MSG_GETSETELEM), NLM_F_DUMP, 77,
						   set->family);
	struct fr_nft_dump d = { 0 };
	FILE *f = fopen(path, "we");
	char text[64];
	ssize_t len;

	if (!f || fd < 0 || fr_nft_dump_begin(&d, set, 77))
		return -1;
	mnl_attr_put_strz(nlh, NFTA_SET_ELEM_LIST_TABLE, set->table);
	mnl_attr_put_strz(nlh, NFTA_SET_ELEM_LIST_SET, set->name);
	sendto(fd, out, nlh->nlmsg_len, 0, (const void *)&kernel, sizeof(kernel));
	fprintf(f, "%c%c%c%c%c", 2, (int)set->flags, (int)set->key_len, (int)set->data_len,
		(set->data_type == NFT_DATA_VERDICT) | (set->timeout_ms ? 2 : 0));
	do {
		len = recv(fd, in, sizeof(in), 0);
		fprintf(f, "%c%c", (int)len & 0xff, (int)len >> 8);
		fwrite(in, 1, (size_t)len, f);
		rc = fr_nft_dump_take(&d, in, (size_t)len, now_ms(), on_recs, r, text, sizeof(text));
	} while (rc == 1);
	fr_nft_dump_free(&d);
	close(fd);
	return fclose(f) ?: rc;
}

/* The seeds of the fuzzer are what a kernel says. RECORD=DIR writes them anew. */
TEST_F(nft, recorded)
{
	static const struct {
		const char *name, *is;
	} kinds[] = {
		{ "hash", "set s { type ipv4_addr; elements = { 192.0.2.1, 192.0.2.2 comment \"two\" }; }" },
		{ "fresh", "set s { type ipv4_addr; flags dynamic,timeout; timeout 1h; counter; "
			   "elements = { 192.0.2.1, 192.0.2.2 timeout 5m expires 4m }; }" },
		{ "two", "set s { type ipv4_addr; counter; limit rate 5/second; elements = { 192.0.2.9 }; }" },
		{ "intervals", "set s { type ipv4_addr; flags interval; "
			       "elements = { 10.0.0.0/8, 11.0.0.0/8, 192.0.2.7, 240.0.0.0/4 }; }" },
		{ "verdicts", "map s { type ipv4_addr . inet_service : verdict; flags interval; "
			      "elements = { 10.0.0.1-10.0.0.9 . 1-1024 : jump x, 192.0.2.1 . 22 : drop }; }" },
		{ "objects", "map s { type ipv4_addr : counter; elements = { 192.0.2.1 : \"c\" }; }" },
		{ "values", "map s { type inet_service : ipv6_addr; flags timeout; "
			    "elements = { 80 timeout 1h : 2001:db8::1, * : :: }; }" },
	};
	const char *dir = getenv("RECORD") ?: "/tmp";
	const struct fr_nft_set *set;
	struct recs recorded = { 0 };
	char path[256];
	size_t i;

	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		ASSERT_EQ(0, node_rules(&self->a, "flush ruleset\ntable inet kt {\n counter c { }\n"
					" chain x { }\n %s\n}\n", kinds[i].is));
		ASSERT_EQ(0, node_look(&self->a));
		set = node_set(&self->a, "s");
		recs_reset(&recorded);
		recs_reset(&self->recs);
		snprintf(path, sizeof(path), "%s/%s", dir, kinds[i].name);
		ASSERT_EQ(0, record(set, path, &recorded));
		ASSERT_EQ(0, node_dump(&self->a, set, &self->recs));
		EXPECT_LT(0, recorded.n);
		EXPECT_EQ(self->recs.n, recorded.n);
		EXPECT_EQ(digest(&self->recs), digest(&recorded));
	}
	free(recorded.bytes);
}

/* What each costs, when the guest counts instructions as nanoseconds. */
static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void on_count(void *cookie, size_t i, const void *rec)
{
	size_t *n = cookie;

	(void)i;
	*n += !!rec;
}

TEST_F_TIMEOUT(nft, many, 240)
{
	enum { N = 10000 };
	struct errors errors;
	struct recs seen = { 0 };
	int64_t t[6];
	size_t i, n = 0;
	char key[16];

	ASSERT_EQ(0, node_rules(&self->a, "table inet kt {\n set d { type ipv4_addr; "
				"flags dynamic,timeout; timeout 1h; size 65535; }\n}"));
	ASSERT_EQ(0, node_look(&self->a));
	for (i = 0; i < N; i++) {
		snprintf(key, sizeof(key), "0a00%04zx", i);
		recs_make(&self->recs, FLYREP_OP_UPDATE, "d", key, NULL, NULL, NULL, now_ms() + 3000000);
	}
	t[0] = now_ns();
	EXPECT_EQ(N, node_apply(&self->a, &self->recs, &errors));
	t[1] = now_ns();
	EXPECT_EQ(N, node_apply(&self->a, &self->recs, &errors));
	t[2] = now_ns();
	EXPECT_EQ(0, fr_nft_get(self->a.n, node_set(&self->a, "d"), self->recs.bytes, N, on_count, &n));
	t[3] = now_ns();
	EXPECT_EQ(N, n);
	EXPECT_EQ(0, node_dump(&self->a, node_set(&self->a, "d"), &seen));
	t[4] = now_ns();
	EXPECT_EQ(N, seen.n);
	EXPECT_EQ(digest(&self->recs), digest(&seen));
	free(seen.bytes);
	recs_set_op(&self->recs, FLYREP_OP_DELETE);
	t[5] = now_ns();
	EXPECT_EQ(N, node_apply(&self->a, &self->recs, &errors));
	TH_LOG("ns an element: add %lld, replace %lld, get %lld, dump %lld, delete %lld",
	       (long long)(t[1] - t[0]) / N, (long long)(t[2] - t[1]) / N, (long long)(t[3] - t[2]) / N,
	       (long long)(t[4] - t[3]) / N, (long long)(now_ns() - t[5]) / N);
}

TEST_HARNESS_MAIN
