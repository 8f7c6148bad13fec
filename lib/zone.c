// SPDX-License-Identifier: GPL-2.0-or-later
#include "zone.h"

#include <string.h>

#include "field.h"

static bool has_word(const struct fr_config_strings *list, const char *word, size_t len)
{
	size_t i;

	for (i = 0; i < list->n; i++)
		if (strlen(list->v[i]) == len && !memcmp(list->v[i], word, len))
			return true;
	return false;
}

/* @addr: 4 or 16 bytes, of @family */
static bool has_address(const struct fr_config_networks *list, unsigned int family,
			const uint8_t *addr)
{
	size_t i;

	for (i = 0; i < list->n; i++) {
		const struct fr_network *net = &list->v[i];
		unsigned int whole = net->prefix_len / 8, rest = net->prefix_len % 8;

		if (net->family == family && !memcmp(addr, net->addr, whole) &&
		    (!rest || !((addr[whole] ^ net->addr[whole]) & (0xff00 >> rest) & 0xff)))
			return true;
	}
	return false;
}

static bool has_flow(const struct fr_config_zone *zone, const struct flyrep_ct *ct)
{
	const struct fr_config_networks *nets = &zone->networks;

	return (zone->ct_zone.is_set && zone->ct_zone.value == ct->zone) ||
	       (zone->ct_mark.is_set && (ct->mark & zone->ct_mark.mask) == zone->ct_mark.value) ||
	       has_address(nets, ct->family, ct->orig.src.byte) ||
	       has_address(nets, ct->family, ct->orig.dst.byte) ||
	       has_address(nets, ct->family, ct->reply.src.byte) ||
	       has_address(nets, ct->family, ct->reply.dst.byte);
}

/* What of a lease tells its zone; a length of 0: it does not say */
struct lease {
	struct fr_field_value zone, interface, ip;
};

static bool has_lease(const struct fr_config_zone *zone, const struct lease *l)
{
	return (l->interface.len && has_word(&zone->interfaces, (const char *)l->interface.bytes,
					     l->interface.len)) ||
	       (l->ip.len && has_address(&zone->networks, l->ip.len == 4 ? AF_INET : AF_INET6,
					 l->ip.bytes));
}

static void get(struct fr_field_reader *r, const char *name, struct fr_field_value *v)
{
	struct fr_field f;

	if (!fr_field_find(FLYREP_TABLE_LEASE, name, strlen(name), &f) || !fr_field_get(r, &f, v))
		v->len = 0;
}

static void read_lease(struct lease *l, const void *rec)
{
	struct fr_field_reader r;

	fr_field_reader_init(&r, FLYREP_TABLE_LEASE, rec);
	get(&r, "zone", &l->zone);
	get(&r, "interface", &l->interface);
	get(&r, "ip", &l->ip);
}

bool fr_zone_admits(const struct fr_config *config, unsigned int table, const void *rec)
{
	const struct fr_config_strings *listed = &config->filters.zones;
	bool has_zone = false;
	struct lease lease;
	size_t i;

	if (!listed->n || (table != FLYREP_TABLE_LEASE && table != FLYREP_TABLE_CONNTRACK))
		return true;
	if (table == FLYREP_TABLE_LEASE) {
		read_lease(&lease, rec);
		if (lease.zone.len)
			return has_word(listed, (const char *)lease.zone.bytes, lease.zone.len);
	}
	for (i = 0; i < config->zones.n; i++) {
		const struct fr_config_zone *zone = &config->zones.v[i];

		if (table == FLYREP_TABLE_LEASE ? !has_lease(zone, &lease) : !has_flow(zone, rec))
			continue;
		if (has_word(listed, zone->name, strlen(zone->name)))
			return true;
		has_zone = true;
	}
	return !has_zone;
}
