// SPDX-License-Identifier: GPL-2.0-or-later
#include "config_check.h"

#include "cron.h"
#include "flyrep_records.h"

#include <string.h>
#include <sys/un.h>

struct check {
	const struct fr_config *config;
	const struct fr_hcl_body *section;
	struct fr_diag *diag;
};

struct fr_diag_pos fr_config_pos(const struct fr_hcl_body *section,
				 const char *path)
{
	const struct fr_hcl_body *body = section;
	struct fr_diag_pos pos = section->pos;

	while (body) {
		const struct fr_hcl_item *item;
		size_t len = strcspn(path, ".");
		char key[64];

		if (len >= sizeof(key))
			break;
		memcpy(key, path, len);
		key[len] = '\0';
		item = fr_hcl_find(body, key);
		if (!item)
			break;
		pos = item->value.pos;
		path += len;
		if (!*path++)
			break;
		body = item->value.type == FR_HCL_OBJECT ? item->value.object :
							   NULL;
	}
	return pos;
}

static struct fr_diag_pos at(const struct check *c, const char *path)
{
	return fr_config_pos(c->section, path);
}

/* The object the i-th peer was written as: in a list, or a block among others. */
static struct fr_diag_pos peer_pos(const struct check *c, size_t i)
{
	const struct fr_hcl_item *item = fr_hcl_find(c->section, "peers");
	const struct fr_hcl_value *element;

	if (item->is_block) {
		for (; item; item = item->next)
			if (!strcmp(item->key, "peers") && !i--)
				return item->value.pos;
		return c->section->pos;
	}
	for (element = item->value.list.first; element && i; i--)
		element = element->next;
	return element ? element->pos : item->value.pos;
}

static void check_peer(const struct check *c, size_t i)
{
	const struct fr_config *config = c->config;
	const struct fr_config_peer *peer = &config->peers.v[i];
	struct fr_diag_pos pos = peer_pos(c, i);
	size_t j;

	if (!strcmp(peer->id, config->node_id))
		fr_diag_error(c->diag, pos,
			      "peers: \"%s\" is this node's own node_id",
			      peer->id);
	if (fr_address_is_any(&peer->address))
		fr_diag_error(
			c->diag, pos,
			"peers: %s: an address that can be dialled is needed",
			peer->id);
	if (config->listen_addr.sa_len &&
	    fr_address_equal(&peer->address, &config->listen_addr))
		fr_diag_error(c->diag, pos,
			      "peers: %s has this node's own listen_addr",
			      peer->id);
	if (config->mode == FR_CONFIG_PRIMARY &&
	    peer->role == FR_CONFIG_ROLE_PRIMARY)
		fr_diag_error(c->diag, pos,
			      "peers: %s is a primary, and so is this node",
			      peer->id);
	for (j = 0; j < i; j++) {
		const struct fr_config_peer *other = &config->peers.v[j];

		if (!strcmp(peer->id, other->id))
			fr_diag_error(c->diag, pos,
				      "peers: \"%s\" is listed twice",
				      peer->id);
		if (fr_address_equal(&peer->address, &other->address))
			fr_diag_error(c->diag, pos,
				      "peers: %s and %s have the same address",
				      other->id, peer->id);
		if (peer->role == FR_CONFIG_ROLE_PRIMARY &&
		    other->role == FR_CONFIG_ROLE_PRIMARY)
			fr_diag_error(c->diag, pos,
				      "peers: %s and %s cannot both be primary",
				      other->id, peer->id);
	}
}

static void check_topology(const struct check *c)
{
	const struct fr_config *config = c->config;
	size_t i;

	for (i = 0; i < config->peers.n; i++)
		check_peer(c, i);
	if (config->mode == FR_CONFIG_PRIMARY && !config->peers.n)
		fr_diag_warning(c->diag, at(c, "mode"),
				"a primary without peers ships nothing");
	if (config->mode == FR_CONFIG_PRIMARY && config->peers.n &&
	    !config->listen_addr.sa_len)
		fr_diag_error(
			c->diag, at(c, "mode"),
			"a primary with peers needs listen_addr: they dial it");
	if (config->mode == FR_CONFIG_REPLICA && !config->primary_addr.sa_len)
		fr_diag_warning(
			c->diag, at(c, "mode"),
			"a replica without primary_addr receives nothing");
	if (!config->primary_addr.sa_len)
		return;
	if (fr_address_is_any(&config->primary_addr))
		fr_diag_error(
			c->diag, at(c, "primary_addr"),
			"primary_addr: an address that can be dialled is needed");
	if (config->listen_addr.sa_len &&
	    fr_address_equal(&config->primary_addr, &config->listen_addr))
		fr_diag_error(c->diag, at(c, "primary_addr"),
			      "primary_addr is this node's own listen_addr");
}

static void check_sync(const struct check *c)
{
	if (c->config->sync.mode == FR_CONFIG_SYNC_FULL &&
	    c->config->sync.interval_ms < FR_CONFIG_FULL_MIN_MS)
		fr_diag_error(
			c->diag, at(c, "sync.interval"),
			"sync.interval: at least 1s between snapshots (sync.mode is full)");
	if (c->config->sync.interval_ms > c->config->sync.max_lag_ms)
		fr_diag_warning(
			c->diag, at(c, "sync.interval"),
			"sync.interval is longer than sync.max_lag: peers will seem to lag");
}

static void check_schedule(const struct check *c)
{
	const char *text = c->config->recovery.full_resync.schedule;
	struct fr_cron cron;
	char why[160];

	if (text && fr_cron_parse(&cron, text, why, sizeof(why)))
		fr_diag_error(c->diag, at(c, "recovery.full_resync.schedule"),
			      "recovery.full_resync.schedule: %s", why);
}

static void check_data(const struct check *c)
{
	unsigned int id;

	for (id = 0; id <= FLYREP_TABLE_MAX; id++)
		if (fr_config_has_table(c->config, id))
			return;
	fr_diag_error(c->diag, at(c, "data.conntrack"),
		      "data: nothing is replicated");
}

static void check_mark(const struct check *c)
{
	uint32_t mark = c->config->conntrack.mark,
		 mask = c->config->conntrack.mark_mask;
	const char *written = mark ? "conntrack.mark" : "conntrack.mark_mask";
	struct fr_diag_pos nowhere = at(c, "conntrack");
	struct fr_diag_pos mark_pos = at(c, "conntrack.mark");

	if (mark & ~mask)
		fr_diag_error(
			c->diag, at(c, written),
			"conntrack.mark: 0x%x has bits outside mark_mask 0x%x: nothing matches",
			mark, mask);
	else if (mask && mark_pos.line == nowhere.line &&
		 mark_pos.column == nowhere.column)
		fr_diag_error(
			c->diag, at(c, written),
			"conntrack.mark_mask: say conntrack.mark too: flows with (mark & mark_mask) == mark are shipped");
}

static void check_socket(const struct check *c)
{
	size_t max = sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1;

	if (strlen(c->config->api.socket) > max)
		fr_diag_error(c->diag, at(c, "api.socket"),
			      "api.socket: longer than %zu bytes", max);
}

void fr_config_check(const struct fr_config *config,
		     const struct fr_hcl_body *section, struct fr_diag *diag)
{
	struct check c = { config, section, diag };

	check_topology(&c);
	check_sync(&c);
	check_schedule(&c);
	check_data(&c);
	check_mark(&c);
	check_socket(&c);
}
