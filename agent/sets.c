// SPDX-License-Identifier: GPL-2.0-or-later

#include "sets.h"

#include <errno.h>
#include <fnmatch.h>
#include <linux/netfilter.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cursor.h"
#include "log.h"
#include "monotonic.h"

static const char *family_name(uint8_t family)
{
	switch (family) {
	case NFPROTO_INET:
		return "inet";
	case NFPROTO_IPV4:
		return "ip";
	case NFPROTO_IPV6:
		return "ip6";
	case NFPROTO_ARP:
		return "arp";
	case NFPROTO_BRIDGE:
		return "bridge";
	case NFPROTO_NETDEV:
		return "netdev";
	default:
		return "unknown";
	}
}

static const char *text_of(const struct fr_nft_set *nft, char *buf)
{
	snprintf(buf, SET_TEXT_LEN, "%s/%s/%s", family_name(nft->family), nft->table, nft->name);
	return buf;
}

const char *set_text(const struct set *set, char *buf)
{
	return text_of(&set->nft, buf);
}

static bool is_dynamic(const struct fr_nft_set *nft)
{
	return nft->flags & (NFT_SET_EVAL | NFT_SET_TIMEOUT);
}

bool set_is_dynamic(const struct set *set)
{
	return is_dynamic(&set->nft);
}

bool set_has_intervals(const struct set *set)
{
	return set->nft.flags & NFT_SET_INTERVAL;
}

const char *set_trouble(const struct set *set)
{
	if (set->is_here && set->nft.is_owned)
		return "its table belongs to a process that lets nobody else in";
	if (set->error && !set->is_here)
		return "not on this node";
	switch (set->error) {
	case 0:
		return set->is_lost && !set->is_unknown ?
			       "emptied here; waits for a peer to give its elements back" :
			       NULL;
	case -ENOENT:
		return "something that an element names is not on this node";
	case -EINVAL:
		return "of another type here";
	case -ENFILE:
		return "full";
	case -EEXIST:
		return "an element overlaps another one";
	default:
		return strerror(-set->error);
	}
}

/* Does the configuration want it? What cannot change is in the ruleset of both nodes. */
static bool is_wanted(const struct sets *s, const struct fr_nft_set *nft)
{
	const struct fr_config_sets *patterns = &s->config->data.nft_sets;
	char text[SET_TEXT_LEN];
	size_t i;

	if (nft->flags & (NFT_SET_ANONYMOUS | NFT_SET_CONSTANT))
		return false;
	text_of(nft, text);
	for (i = 0; i < patterns->n; i++) {
		bool is_match = strcmp(patterns->v[i], FR_CONFIG_SETS_DYNAMIC) ?
					!fnmatch(patterns->v[i], text, FNM_PATHNAME) :
					is_dynamic(nft);

		if (is_match)
			return true;
	}
	return false;
}

/* The fields of a key that name the set, see lib/item.c. */
static bool make_prefix(struct set *set)
{
	struct fr_writer w;

	fr_writer_init(&w, set->prefix, sizeof(set->prefix));
	fr_put_be16(&w, 1);
	fr_put_u8(&w, set->nft.family);
	fr_put_be16(&w, (uint16_t)strlen(set->nft.table));
	fr_put_bytes(&w, set->nft.table, strlen(set->nft.table));
	fr_put_be16(&w, (uint16_t)strlen(set->nft.name));
	fr_put_bytes(&w, set->nft.name, strlen(set->nft.name));
	set->prefix_len = (uint16_t)fr_writer_len(&w);
	return !w.bad;
}

/* NULL: no memory, or too many. */
static struct set *add_set(struct sets *s, const struct fr_nft_set *nft)
{
	struct set *set = s->n < FLYREP_SETS_MAX ? calloc(1, sizeof(*set)) : NULL;

	if (!set)
		return NULL;
	set->nft = *nft;
	if (!make_prefix(set)) {
		free(set);
		return NULL;
	}
	s->v[s->n++] = set;
	return set;
}

struct set *sets_by_name(const struct sets *s, uint8_t family, const char *table, const char *name)
{
	size_t i;

	for (i = 0; i < s->n; i++)
		if (s->v[i]->nft.family == family && !strcmp(s->v[i]->nft.name, name) &&
		    !strcmp(s->v[i]->nft.table, table))
			return s->v[i];
	return NULL;
}

struct set *sets_by_handle(const struct sets *s, uint64_t table, uint64_t handle)
{
	size_t i;

	for (i = 0; i < s->n; i++)
		if (s->v[i]->is_here && s->v[i]->nft.handle == handle &&
		    s->v[i]->nft.table_handle == table)
			return s->v[i];
	return NULL;
}

struct set *sets_by_key(const struct sets *s, const uint8_t *key, size_t key_len)
{
	size_t i;

	for (i = 0; i < s->n; i++)
		if (key_len >= s->v[i]->prefix_len &&
		    !memcmp(key, s->v[i]->prefix, s->v[i]->prefix_len))
			return s->v[i];
	return NULL;
}

void sets_refused(struct sets *s, const struct fr_nft_name *name, int error)
{
	struct set *set = sets_by_name(s, name->family, name->table, name->set);
	struct fr_nft_set nft = { .family = name->family };

	if (!set) {
		snprintf(nft.table, sizeof(nft.table), "%s", name->table);
		snprintf(nft.name, sizeof(nft.name), "%s", name->set);
		set = add_set(s, &nft);
	}
	if (!set)
		return;
	set->n_refused++;
	set->error = error;
	set->refused_ms = monotonic_ns() / 1000000;
}

void sets_forgive(struct sets *s, uint64_t before_ms)
{
	size_t i;

	for (i = 0; i < s->n; i++)
		if (s->v[i]->refused_ms < before_ms)
			s->v[i]->error = 0;
}

/* --- which there are -------------------------------------------------------- */

struct listing {
	struct sets *sets;
	bool is_seen[FLYREP_SETS_MAX];
	bool has_changed;
};

static size_t index_of(const struct sets *s, const struct set *set)
{
	size_t i;

	for (i = 0; i < s->n && s->v[i] != set; i++)
		;
	return i;
}

static void on_set(void *cookie, const struct fr_nft_set *nft)
{
	struct listing *l = cookie;
	struct set *set;
	bool is_new;

	if (!is_wanted(l->sets, nft))
		return;
	set = sets_by_name(l->sets, nft->family, nft->table, nft->name);
	is_new = !set || !set->nft.handle;
	if (!set)
		set = add_set(l->sets, nft);
	if (!set) {
		l->sets->is_over = true;
		return;
	}
	l->is_seen[index_of(l->sets, set)] = true;
	if (!set->is_here || set->nft.handle != nft->handle ||
	    set->nft.table_handle != nft->table_handle) {
		l->has_changed = true;
		set->is_reborn = !is_new;
		set->is_dirty = true;
		set->error = 0;
	}
	set->is_here = true;
	set->nft = *nft;
}

int sets_refresh(struct sets *s, struct fr_nft *n, bool *has_changed)
{
	struct listing l = { .sets = s };
	size_t i;
	int rc;

	s->is_over = false;
	rc = fr_nft_sets(n, on_set, &l);
	if (rc < 0)
		return rc;
	for (i = 0; i < s->n; i++) {
		struct set *set = s->v[i];

		if (l.is_seen[i] || !set->is_here)
			continue;
		set->is_here = false;
		set->is_dirty = set->is_doubtful = true;
		l.has_changed = true;
	}
	*has_changed = l.has_changed;
	return 0;
}

void sets_free(struct sets *s)
{
	size_t i;

	for (i = 0; i < s->n; i++)
		free(s->v[i]);
	s->n = 0;
}

json_t *sets_json(const struct sets *s)
{
	json_t *a = json_array();
	char text[SET_TEXT_LEN];
	size_t i;

	for (i = 0; i < s->n; i++) {
		const struct set *set = s->v[i];
		const char *trouble = set_trouble(set);

		/* Of a set that went away in peace nobody wants to hear. */
		if (!set->is_here && !trouble)
			continue;
		json_array_append_new(
			a, json_pack("{s:s, s:b, s:I, s:s?}", "set", set_text(set, text),
				     "present", set->is_here, "refused",
				     (json_int_t)set->n_refused, "trouble", trouble));
	}
	return a;
}
