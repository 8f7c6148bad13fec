// SPDX-License-Identifier: GPL-2.0-or-later
#include "nft.h"

#include <errno.h>
#include <linux/netfilter.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "netlink.h"
#include "nft_message.h"
#include "nft_socket.h"

#define BUFFER_LEN (2 << 20)
#define OUT_MAX_LEN (384 * 1024)

/* What an answer to a read takes of the buffer, and a refusal, bytes with the kernel's own */
#define ANSWER_LEN 8192
#define REFUSAL_LEN 1024

#define GET_MAX 128
#define APPLY_MAX 1000

/* How often the list of sets is asked for before it is called restless */
#define LIST_TRIES 16

/* --- the socket --------------------------------------------------------- */

int fr_nft_socket_fail(struct fr_nft *n, int err, const char *text)
{
	snprintf(n->error, sizeof(n->error), "%s",
		 text && text[0] ? text : strerror(-err));
	return err;
}

uint64_t fr_nft_socket_now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

int fr_nft_socket_begin(struct fr_nft *n)
{
	ssize_t len;

	if (n->dump.is_running)
		return fr_nft_socket_fail(n, -EBUSY,
					  "a dump runs on this socket");
	do {
		len = fr_netlink_receive(n->nl, n->in);
	} while (len >= 0 || len == -ENOBUFS || len == -EMSGSIZE);
	return len == -EAGAIN ? 0 : fr_nft_socket_fail(n, (int)len, NULL);
}

int fr_nft_socket_send(struct fr_nft *n, size_t len)
{
	struct iovec iov = { .iov_base = n->out, .iov_len = len };
	int err = fr_netlink_send(n->nl, &iov, 1);

	return err ? fr_nft_socket_fail(n, err, NULL) : 0;
}

static size_t at_most(size_t v, size_t max)
{
	return v < max ? v : max;
}

/* What finds room in the buffers that the system has granted. */
static int measure(struct fr_nft *n)
{
	int fd = mnl_socket_get_fd(n->nl), in, out;
	socklen_t len = sizeof(in);

	if (getsockopt(fd, SOL_SOCKET, SO_RCVBUF, &in, &len) < 0 ||
	    getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &out, &len) < 0)
		return -errno;
	n->n_get_max = at_most((size_t)in / ANSWER_LEN + 1, GET_MAX);
	n->n_apply_max = at_most((size_t)in / (FR_NFT_APPLY_MESSAGES * REFUSAL_LEN) + 1, APPLY_MAX);
	/* The kernel wants some of it for itself. */
	n->out_len = at_most((size_t)out / 4 * 3, OUT_MAX_LEN);
	return n->out_len < (FR_NFT_APPLY_MESSAGES + 1) * FR_NFT_MESSAGE_MAX_LEN ? -ENOBUFS : 0;
}

int fr_nft_open(struct fr_nft **out)
{
	struct fr_nft *n = calloc(1, sizeof(*n));
	int err;

	if (!n)
		return -ENOMEM;
	err = fr_netlink_open(&n->nl, NETLINK_NETFILTER, BUFFER_LEN);
	if (!err)
		err = measure(n);
	if (!err) {
		n->in = malloc(FR_NETLINK_IN_LEN);
		n->out = malloc(n->out_len);
		err = n->in && n->out ? 0 : -ENOMEM;
	}
	if (err) {
		fr_nft_close(n);
		return err;
	}
	*out = n;
	return 0;
}

void fr_nft_close(struct fr_nft *n)
{
	if (!n)
		return;
	if (n->nl)
		mnl_socket_close(n->nl);
	fr_nft_dump_free(&n->dump);
	free(n->in);
	free(n->out);
	free(n);
}

int fr_nft_fd(const struct fr_nft *n)
{
	return mnl_socket_get_fd(n->nl);
}

uint32_t fr_nft_portid(const struct fr_nft *n)
{
	return mnl_socket_get_portid(n->nl);
}

const char *fr_nft_error(const struct fr_nft *n)
{
	return n->error;
}

/* --- sets --------------------------------------------------------------- */

/* Tables and sets as far as they are known. */
struct list {
	struct fr_nft *n;
	uint32_t seq;
	int generation;
	bool is_done;
	bool is_interrupted;
	struct fr_nft_table *tables;
	size_t n_tables;
	struct fr_nft_set *sets;
	size_t n_sets;
	char text[sizeof(((struct fr_nft *)0)->error)];
};

/* Room for one more of @size bytes: doubled at every power of two. */
static int grow(void *array, size_t n, size_t size)
{
	void **at = array;
	void *more;

	if (n & (n - 1))
		return 0;
	more = realloc(*at, (n ? 2 * n : 1) * size);
	if (!more)
		return -ENOMEM;
	*at = more;
	return 0;
}

static int list_table(struct list *l, const struct nlmsghdr *nlh)
{
	if (grow(&l->tables, l->n_tables, sizeof(*l->tables)))
		return -ENOMEM;
	return fr_nft_message_table(nlh, &l->tables[l->n_tables++]);
}

static int list_set(struct list *l, const struct nlmsghdr *nlh)
{
	const struct fr_nft_table *t = l->tables, *end = t + l->n_tables;
	struct fr_nft_set *set;
	int err;

	if (grow(&l->sets, l->n_sets, sizeof(*l->sets)))
		return -ENOMEM;
	set = &l->sets[l->n_sets];
	err = fr_nft_message_set(nlh, set);
	if (err)
		return err == -ENOENT ? 0 : err;
	for (; t < end; t++) {
		if (t->family != set->family || strcmp(t->name, set->table))
			continue;
		set->table_handle = t->handle;
		set->is_owned = t->is_owned;
		l->n_sets++;
		return 0;
	}
	/* Its table was made after the tables were listed. */
	l->is_interrupted = true;
	return 0;
}

static int list_message(const struct nlmsghdr *nlh, void *cookie)
{
	struct list *l = cookie;
	int generation, err;

	if (nlh->nlmsg_seq != l->seq)
		return 0;
	if (nlh->nlmsg_flags & NLM_F_DUMP_INTR)
		l->is_interrupted = true;
	if (nlh->nlmsg_type == NLMSG_DONE || nlh->nlmsg_type == NLMSG_ERROR) {
		l->is_done = true;
		return fr_netlink_error(nlh, l->text, sizeof(l->text));
	}
	generation = fr_nft_message_generation(nlh);
	if (generation < 0)
		return generation;
	if (l->generation < 0)
		l->generation = generation;
	if (l->generation != generation)
		l->is_interrupted = true;
	if (nlh->nlmsg_type == FR_NFT_TYPE(NFT_MSG_NEWSET))
		return list_set(l, nlh);
	if (nlh->nlmsg_type != FR_NFT_TYPE(NFT_MSG_NEWTABLE))
		return -EPROTO;
	err = list_table(l, nlh);
	if (err == -ENOENT)
		l->n_tables--;
	return err == -ENOENT ? 0 : err;
}

/* One dump, read to its end. */
static int list_ask(struct list *l, uint16_t type)
{
	int64_t deadline_ms = fr_netlink_deadline_ms();
	struct fr_nft *n = l->n;
	ssize_t len;
	int err;

	l->seq = ++n->seq;
	l->is_done = false;
	fr_nft_message_head(n->out, FR_NFT_TYPE(type), NLM_F_DUMP, l->seq,
			    NFPROTO_UNSPEC);
	err = fr_nft_socket_send(n,
				 ((const struct nlmsghdr *)n->out)->nlmsg_len);
	while (!err && !l->is_done) {
		len = fr_netlink_await(n->nl, n->in, deadline_ms);
		err = len < 0 ? (int)len :
				fr_netlink_messages(n->in, (size_t)len,
						    list_message, l);
		if (err)
			fr_nft_socket_fail(n, err, l->text);
	}
	return err;
}

int fr_nft_sets(struct fr_nft *n,
		void (*fn)(void *cookie, const struct fr_nft_set *set),
		void *cookie)
{
	struct list l = { .n = n };
	int err, tries = LIST_TRIES;
	size_t i;

	do {
		l.n_tables = 0;
		l.n_sets = 0;
		l.generation = -1;
		l.is_interrupted = false;
		err = fr_nft_socket_begin(n);
		if (!err)
			err = list_ask(&l, NFT_MSG_GETTABLE);
		if (!err)
			err = list_ask(&l, NFT_MSG_GETSET);
	} while (!err && l.is_interrupted && --tries);
	if (!err && l.is_interrupted)
		err = fr_nft_socket_fail(n, -EINTR,
					 "tables and sets never stood still");
	for (i = 0; !err && i < l.n_sets; i++)
		fn(cookie, &l.sets[i]);
	free(l.tables);
	free(l.sets);
	return err;
}

/* --- elements by key ---------------------------------------------------- */

ssize_t fr_nft_key_record(void *rec, const struct fr_nft_set *set,
			  const uint8_t *key, size_t key_len)
{
	const struct fr_item_bytes fields[FR_ITEM_FIELDS_MAX] = {
		[FR_ITEM_NFT_FAMILY] = { &set->family, 1 },
		[FR_ITEM_NFT_TABLE] = { (const uint8_t *)set->table,
					strlen(set->table) },
		[FR_ITEM_NFT_SET] = { (const uint8_t *)set->name,
				      strlen(set->name) },
		[FR_ITEM_NFT_KEY] = { key, key_len },
	};
	struct flyrep_rec *head = rec;
	ssize_t len;

	if (set->flags & NFT_SET_INTERVAL)
		return -EOPNOTSUPP;
	if (key_len != set->key_len)
		return -EINVAL;
	/* As of a DELETE: no value. */
	len = fr_item_pack(rec, FLYREP_TABLE_NFT_SET, FLYREP_OP_DELETE, fields,
			   0);
	head->op = FLYREP_OP_UNSPEC;
	return len;
}

/* Longest request for one element, whose key and names are short */
#define GET_LEN 2048

/* Requests under way. */
struct get {
	struct fr_nft *n;
	const struct fr_nft_set *set;
	const void *rec; /* that is answered next */
	size_t i; /* its number */
	uint32_t seq; /* its request */
	uint64_t now_ms;
	void (*fn)(void *cookie, size_t i, const void *rec);
	void *cookie;
	char text[sizeof(((struct fr_nft *)0)->error)];
	uint64_t found[FR_ITEM_ROOM / 8 + 1];
};

static void get_answer(struct get *g, const void *rec)
{
	g->fn(g->cookie, g->i, rec);
	g->rec = fr_record_next(&fr_nft_set_table, g->rec);
	g->i++;
	g->seq++;
}

/* A range is found by any key within: it counts only if it is the one that was asked for. */
static int get_elem(struct fr_nft_elem *e, void *cookie)
{
	struct get *g = cookie;
	const struct flyrep_item *asked = g->rec,
				 *found = (const void *)g->found;
	bool is_it;
	ssize_t len;

	len = fr_nft_elem_record(g->found, g->set, e, g->now_ms);
	if (len < 0)
		return (int)len;
	is_it = asked->key_len == found->key_len &&
		!memcmp(asked + 1, found + 1, found->key_len);
	get_answer(g, is_it ? found : NULL);
	return 0;
}

static int get_message(const struct nlmsghdr *nlh, void *cookie)
{
	struct get *g = cookie;
	int err;

	if (nlh->nlmsg_seq != g->seq)
		return 0;
	if (nlh->nlmsg_type != NLMSG_ERROR) {
		err = fr_nft_message_elems(nlh, g->set, get_elem, g);
		/* One request, one element. */
		return err ? err : nlh->nlmsg_seq + 1 != g->seq ? -EPROTO : 0;
	}
	err = fr_netlink_error(nlh, g->text, sizeof(g->text));
	if (err && err != -ENOENT)
		return err;
	get_answer(g, NULL);
	return 0;
}

/* Asks for as many as find room, at most @n_recs of them. */
static ssize_t get_send(struct get *g, size_t n_recs)
{
	const void *rec = g->rec;
	struct fr_nft *n = g->n;
	struct fr_nft_elem e;
	size_t len = 0, i;
	int err;

	for (i = 0; i < n_recs && i < n->n_get_max; i++) {
		if (len + GET_LEN > n->out_len)
			break;
		if (fr_nft_elem_read(&e, g->set, rec, true, 0))
			return fr_nft_socket_fail(n, -EINVAL,
						  "not a key of this set");
		len += fr_nft_message_elem(n->out + len, NFT_MSG_GETSETELEM, 0,
					   ++n->seq, g->set, &e);
		rec = fr_record_next(&fr_nft_set_table, rec);
	}
	err = fr_nft_socket_send(n, len);
	return err ? err : (ssize_t)i;
}

static int get_some(struct get *g, size_t n_recs)
{
	int64_t deadline_ms = fr_netlink_deadline_ms();
	struct fr_nft *n = g->n;
	ssize_t len, n_sent;
	size_t end;
	int err = 0;

	g->seq = n->seq + 1;
	g->now_ms = fr_nft_socket_now_ms();
	n_sent = get_send(g, n_recs);
	if (n_sent < 0)
		return (int)n_sent;
	end = g->i + (size_t)n_sent;
	while (!err && g->i < end) {
		len = fr_netlink_await(n->nl, n->in, deadline_ms);
		err = len < 0 ? (int)len :
				fr_netlink_messages(n->in, (size_t)len,
						    get_message, g);
	}
	return err ? fr_nft_socket_fail(n, err, g->text) : 0;
}

int fr_nft_get(struct fr_nft *n, const struct fr_nft_set *set, const void *recs,
	       size_t n_recs,
	       void (*fn)(void *cookie, size_t i, const void *rec),
	       void *cookie)
{
	struct get g = {
		.n = n, .set = set, .rec = recs, .fn = fn, .cookie = cookie
	};
	int err;

	if (fr_nft_set_is_paired(set))
		return fr_nft_socket_fail(
			n, -EOPNOTSUPP,
			"a set of intervals is not read by key");
	err = fr_nft_socket_begin(n);
	while (!err && g.i < n_recs)
		err = get_some(&g, n_recs - g.i);
	return err;
}

/* --- dump --------------------------------------------------------------- */

int fr_nft_dump_start(struct fr_nft *n, const struct fr_nft_set *set)
{
	struct nlmsghdr *nlh;
	int err = fr_nft_socket_begin(n);

	if (err)
		return err;
	nlh = fr_nft_message_head(n->out, FR_NFT_TYPE(NFT_MSG_GETSETELEM),
				  NLM_F_DUMP, ++n->seq, set->family);
	mnl_attr_put_strz(nlh, NFTA_SET_ELEM_LIST_TABLE, set->table);
	mnl_attr_put_strz(nlh, NFTA_SET_ELEM_LIST_SET, set->name);
	err = fr_nft_dump_begin(&n->dump, set, nlh->nlmsg_seq);
	if (err)
		return fr_nft_socket_fail(n, err, NULL);
	err = fr_nft_socket_send(n, nlh->nlmsg_len);
	if (err)
		n->dump.is_running = false;
	return err;
}

int fr_nft_dump_pump(struct fr_nft *n,
		     void (*fn)(void *cookie, const void *recs, size_t n),
		     void *cookie)
{
	char text[sizeof(n->error)];
	ssize_t len;
	int err;

	if (!n->dump.is_running)
		return 0;
	len = fr_netlink_receive(n->nl, n->in);
	if (len == -EAGAIN)
		return -EAGAIN;
	if (len < 0) {
		n->dump.is_running = false;
		return fr_nft_socket_fail(n, (int)len, NULL);
	}
	err = fr_nft_dump_take(&n->dump, n->in, (size_t)len,
			       fr_nft_socket_now_ms(), fn, cookie, text,
			       sizeof(text));
	if (err == -EINTR)
		return fr_nft_socket_fail(n, err, "the rules have changed");
	return err < 0 ? fr_nft_socket_fail(n, err, text) : err;
}
