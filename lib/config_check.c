// SPDX-License-Identifier: GPL-2.0-or-later
#include "config_check.h"

#include "cron.h"
#include "expr.h"
#include "item.h"
#include "sensitive.h"
#include "slot.h"

#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#define HOST_MAX 253 /* bytes of a host name */
#define APPROVER_MAX 255 /* bytes: what a user name may have, and the record of a decision */

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

/* What the i-th of a list of sections was written as: in a list, or a block among others. */
static const struct fr_hcl_value *element(const struct fr_hcl_item *item, size_t i)
{
	const struct fr_hcl_value *value;
	const char *key = item->key;

	if (item->is_block) {
		while (strcmp(item->key, key) || i--)
			item = item->next;
		return &item->value;
	}
	for (value = item->value.list.first; i; i--)
		value = value->next;
	return value;
}

static struct fr_diag_pos peer_pos(const struct check *c, size_t i)
{
	return element(fr_hcl_find(c->section, "peers"), i)->pos;
}

static bool have_common_address(const struct fr_config_peer *a,
				const struct fr_config_peer *b)
{
	const struct fr_address *x, *y;
	size_t i, j;

	for (i = 0; (x = fr_config_peer_address(a, i)); i++)
		for (j = 0; (y = fr_config_peer_address(b, j)); j++)
			if (fr_address_equal(x, y))
				return true;
	return false;
}

/* One that can be dialled, and is not ours. */
static void check_peer_address(const struct check *c, struct fr_diag_pos pos,
			       const char *id, const struct fr_address *a)
{
	if (fr_address_is_any(a))
		fr_diag_error(
			c->diag, pos,
			"peers: %s: an address that can be dialled is needed",
			id);
	if (c->config->listen_addr.sa_len &&
	    fr_address_equal(a, &c->config->listen_addr))
		fr_diag_error(c->diag, pos,
			      "peers: %s has this node's own listen_addr", id);
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
	if (!fr_config_peer_address(peer, 0) &&
	    !(config->mode == FR_CONFIG_WITNESS && peer->heartbeat.sa_len))
		fr_diag_error(c->diag, pos,
			      "peers: %s: address or addresses is missing",
			      peer->id);
	for (j = 0; fr_config_peer_address(peer, j); j++)
		check_peer_address(c, pos, peer->id,
				   fr_config_peer_address(peer, j));
	if (config->mode == FR_CONFIG_PRIMARY &&
	    peer->role == FR_CONFIG_ROLE_PRIMARY)
		fr_diag_error(c->diag, pos,
			      "peers: %s is a primary, and so is this node",
			      peer->id);
	if (peer->role != FR_CONFIG_ROLE_REPLICA &&
	    peer->role != (fr_config_is_shared(config) ? FR_CONFIG_ROLE_PEER :
							 FR_CONFIG_ROLE_PRIMARY))
		fr_diag_error(c->diag, pos,
			      "peers: %s cannot be a %s of a node whose mode is %s",
			      peer->id, fr_config_role_name(peer->role),
			      fr_config_mode_name(config->mode));
	for (j = 0; j < i; j++) {
		const struct fr_config_peer *other = &config->peers.v[j];

		if (!strcmp(peer->id, other->id))
			fr_diag_error(c->diag, pos,
				      "peers: \"%s\" is listed twice",
				      peer->id);
		if (have_common_address(peer, other))
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

/* Where all nodes write. */
static void check_shared(const struct check *c)
{
	const struct fr_config *config = c->config;
	const char *mode = fr_config_mode_name(config->mode);

	if (config->mode == FR_CONFIG_ACTIVE_ACTIVE && config->peers.n > 1)
		fr_diag_error(c->diag, at(c, "mode"),
			      "active-active is for two nodes: list one peer, not %zu; "
			      "multi-master takes any number",
			      config->peers.n);
	if (!config->peers.n)
		fr_diag_warning(c->diag, at(c, "mode"),
				"%s without peers ships nothing", mode);
	else if (!config->listen_addr.sa_len)
		fr_diag_error(c->diag, at(c, "mode"),
			      "%s needs listen_addr: of two nodes the one whose node_id comes "
			      "later in the alphabet is dialled",
			      mode);
	if (fr_config_primary_address(config, 0))
		fr_diag_error(c->diag, at(c, config->primary_addr.sa_len ? "primary_addr" :
									   "primary_addrs"),
			      "primary_addr: there is no primary where the mode is %s", mode);
}

/* A slip in a name would silently mean 0. */
static void check_priorities(const struct check *c)
{
	const struct fr_config *config = c->config;
	const struct fr_config_map *map = &config->conflict_resolution.priorities;
	size_t i;

	if (config->conflict_resolution.strategy == FR_CONFIG_PRIORITY && !map->n)
		fr_diag_warning(c->diag, at(c, "conflict_resolution.strategy"),
				"conflict_resolution.strategy: priority, but without priorities "
				"the later write wins");
	for (i = 0; i < map->n && config->peers.n; i++)
		if (strcmp(map->v[i].node_id, config->node_id) &&
		    !fr_config_peer_find(config, map->v[i].node_id))
			fr_diag_warning(c->diag, at(c, "conflict_resolution.priorities"),
					"conflict_resolution.priorities: %s is neither this node "
					"nor a peer",
					map->v[i].node_id);
}

static void check_approval(const struct check *c)
{
	const struct fr_config_strings *who =
		&c->config->conflict_resolution.manual_resolution.approvers;
	size_t i;

	for (i = 0; i < who->n; i++)
		if (!*who->v[i] || strlen(who->v[i]) > APPROVER_MAX)
			fr_diag_error(c->diag,
				      at(c, "conflict_resolution.manual_resolution.approvers"),
				      "conflict_resolution.manual_resolution.approvers: a name of "
				      "1 to %d bytes is needed",
				      APPROVER_MAX);
	if (c->config->conflict_resolution.strategy == FR_CONFIG_MANUAL &&
	    !c->config->conflict_resolution.manual_resolution.require_approval)
		fr_diag_warning(
			c->diag, at(c, "conflict_resolution.manual_resolution.require_approval"),
			"conflict_resolution.manual_resolution.require_approval: without it the "
			"strategy manual is the strategy timestamp");
}

static void check_conflicts(const struct check *c)
{
	const struct fr_config *config = c->config;
	const struct fr_hcl_item *item = fr_hcl_find(c->section, "conflict_resolution");
	unsigned int id;

	check_approval(c);
	if (!fr_config_is_shared(config)) {
		if (item && item->value.type != FR_HCL_NULL)
			fr_diag_warning(c->diag, item->pos,
					"conflict_resolution: without effect where the mode is "
					"%s: who writes wins",
					fr_config_mode_name(config->mode));
		return;
	}
	check_priorities(c);
	for (id = 0; id <= FLYREP_TABLE_MAX && !fr_config_has_versions(config, id); id++)
		;
	if (id <= FLYREP_TABLE_MAX && config->peers.n >= FR_SLOT_SAW_MAX)
		fr_diag_error(c->diag, at(c, "peers"),
			      "peers: of %zu nodes that write leases and the like each would "
			      "have to know all others: at most %d",
			      config->peers.n + 1, FR_SLOT_SAW_MAX);
}

static void check_primary_address(const struct check *c,
				  const struct fr_address *a)
{
	const char *key = a == &c->config->primary_addr ? "primary_addr" :
							  "primary_addrs";

	if (fr_address_is_any(a))
		fr_diag_error(
			c->diag, at(c, key),
			"%s: an address that can be dialled is needed", key);
	if (c->config->listen_addr.sa_len &&
	    fr_address_equal(a, &c->config->listen_addr))
		fr_diag_error(c->diag, at(c, key),
			      "%s is this node's own listen_addr", key);
}

/* One node before this one, one behind it. */
static void check_chain(const struct check *c)
{
	const struct fr_config *config = c->config;
	size_t n = config->peers.n, i;

	for (i = 0; i < config->peers.n; i++)
		n -= config->peers.v[i].role == FR_CONFIG_ROLE_PRIMARY;
	if (n > 1)
		fr_diag_error(c->diag, at(c, "peers"),
			      "peers: one node of a chain has one other behind it, not %zu", n);
	if (!config->peers.n && !fr_config_primary_address(config, 0))
		fr_diag_error(c->diag, at(c, "mode"),
			      "a node of a chain needs primary_addr, peers, or both");
	if (config->peers.n && !config->listen_addr.sa_len)
		fr_diag_error(c->diag, at(c, "mode"),
			      "a node of a chain with peers needs listen_addr: the one behind it dials it");
}

/* A node without peers, or a voter that is no node: where it would dial, or be dialled. */
static void check_alone(const struct check *c)
{
	const struct fr_config *config = c->config;
	bool is_witness = config->mode == FR_CONFIG_WITNESS;
	const struct {
		const char *key;
		bool is_set;
	} keys[] = {
		{ "listen_addr", config->listen_addr.sa_len },
		{ "primary_addr", config->primary_addr.sa_len },
		{ "primary_addrs", config->primary_addrs.n },
		{ "peer_addr", config->peer_addr.sa_len },
		{ "peers", config->peers.n && !is_witness },
		{ "heartbeat.listen", config->heartbeat.listen.sa_len && !is_witness },
		{ "quorum.enabled", config->quorum.enabled },
		{ "quorum.witness", config->quorum.witness.sa_len },
	};
	size_t i;

	for (i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (keys[i].is_set)
			fr_diag_error(c->diag, at(c, keys[i].key),
				      "%s: %s", keys[i].key,
				      is_witness ? "a witness only answers heartbeats" :
						   "a standalone node has no peers");
	if (is_witness && !config->peers.n)
		fr_diag_error(c->diag, at(c, "mode"),
			      "a witness needs peers: the nodes that it answers");
}

static void check_topology(const struct check *c)
{
	const struct fr_config *config = c->config;
	size_t i;

	for (i = 0; i < config->peers.n; i++)
		check_peer(c, i);
	if (config->mode == FR_CONFIG_STANDALONE || config->mode == FR_CONFIG_WITNESS) {
		check_alone(c);
		return;
	}
	if (fr_config_is_shared(config)) {
		check_shared(c);
		return;
	}
	if (config->mode == FR_CONFIG_CHAIN)
		check_chain(c);
	if (config->mode == FR_CONFIG_PRIMARY && !config->peers.n)
		fr_diag_warning(c->diag, at(c, "mode"),
				"a primary without peers ships nothing");
	if (config->mode == FR_CONFIG_PRIMARY && config->peers.n &&
	    !config->listen_addr.sa_len)
		fr_diag_error(
			c->diag, at(c, "mode"),
			"a primary with peers needs listen_addr: they dial it");
	if (config->mode == FR_CONFIG_REPLICA &&
	    !fr_config_primary_address(config, 0))
		fr_diag_warning(
			c->diag, at(c, "mode"),
			"a replica without primary_addr receives nothing");
	for (i = 0; fr_config_primary_address(config, i); i++)
		check_primary_address(c, fr_config_primary_address(config, i));
}

/* The key that the address of a voter comes of. */
static const char *voter_key(const struct check *c, const struct fr_config_voter *v)
{
	const struct fr_config *config = c->config;

	if (v->is_witness)
		return "quorum.witness";
	return fr_address_equal(&v->address, &config->peer_addr) ? "peer_addr" : "peers";
}

/* The i-th voter: can it be told apart, and reached from where this node listens? */
static void check_voter(const struct check *c, size_t i, const struct fr_address *listen)
{
	struct fr_config_voter v, other;
	struct fr_diag_pos pos;
	const char *key;
	size_t j;

	fr_config_voter(c->config, i, &v);
	if (!v.address.sa_len)
		return; /* said elsewhere */
	key = voter_key(c, &v);
	pos = at(c, key);
	if (fr_address_is_any(&v.address))
		fr_diag_error(c->diag, pos, "%s: heartbeats need an address to be sent to", key);
	else if (fr_address_equal(&v.address, listen))
		fr_diag_error(c->diag, pos, "%s: this node's own address for heartbeats", key);
	if (v.address.sa.ss_family != listen->sa.ss_family)
		fr_diag_error(c->diag, pos,
			      "%s: all addresses for heartbeats must be IPv4, or all IPv6, as where this node listens",
			      key);
	for (j = 0; j < i; j++)
		if (fr_config_voter(c->config, j, &other) &&
		    fr_address_equal(&v.address, &other.address))
			fr_diag_error(c->diag, pos,
				      "%s: another has the same address for heartbeats", key);
}

static void check_heartbeat(const struct check *c)
{
	const struct fr_config *config = c->config;
	struct fr_config_voter v;
	struct fr_address listen;
	size_t i;

	if (config->heartbeat.timeout_ms < 3 * config->heartbeat.interval_ms)
		fr_diag_error(c->diag, at(c, "heartbeat.timeout"),
			      "heartbeat.timeout: at least three times heartbeat.interval");
	if (config->peer_addr.sa_len && config->peers.n > 1)
		fr_diag_error(c->diag, at(c, "peer_addr"),
			      "peer_addr: whose, of %zu peers? Set heartbeat in each of peers",
			      config->peers.n);
	if (config->heartbeat.listen.sa_len && !fr_config_has_heartbeat(config))
		fr_diag_warning(c->diag, at(c, "heartbeat.listen"),
				"heartbeat.listen: there are no heartbeats: set peer_addr");
	fr_config_heartbeat_listen(config, &listen);
	for (i = 0; fr_config_voter(config, i, &v); i++)
		check_voter(c, i, &listen);
}

static void check_quorum(const struct check *c)
{
	const struct fr_config *config = c->config;
	bool has_witness = config->quorum.witness.sa_len;
	struct fr_diag_pos pos = at(c, "quorum.enabled");
	const char *mode = fr_config_mode_name(config->mode);

	if (config->quorum.split_brain != FR_CONFIG_SPLIT_MANUAL &&
	    (!fr_config_has_heartbeat(config) || fr_config_is_shared(config)))
		fr_diag_error(c->diag, at(c, "quorum.split_brain"), "quorum.split_brain: %s",
			      fr_config_is_shared(config) ?
				      "there is none where all nodes write" :
				      "needs heartbeats: set peer_addr");
	if (has_witness && !config->quorum.enabled)
		fr_diag_warning(c->diag, at(c, "quorum.witness"),
				"quorum.witness: without effect unless quorum.enabled = true");
	if (!config->quorum.enabled || config->mode >= FR_CONFIG_STANDALONE)
		return;
	if (fr_config_is_shared(config))
		fr_diag_error(c->diag, pos,
			      "quorum.enabled: nobody takes over where the mode is %s", mode);
	if (!config->peers.n)
		fr_diag_error(c->diag, pos,
			      "quorum.enabled: list the other nodes in peers: a voter is known by its name");
	else if (config->peers.n + has_witness < 2)
		fr_diag_error(c->diag, pos,
			      "quorum.enabled: a majority of two nodes is both of them: set quorum.witness, on a third machine");
	if (config->quorum.timeout_ms < config->heartbeat.timeout_ms)
		fr_diag_warning(c->diag, at(c, "quorum.timeout"),
				"quorum.timeout is less than heartbeat.timeout: a takeover may be refused while a dead primary still counts as alive");
}

static void check_keys(const struct check *c)
{
	uint64_t rotation_ms = c->config->auth.key_rotation_ms;

	if (rotation_ms && rotation_ms < FR_CONFIG_KEY_ROTATION_MIN_MS)
		fr_diag_error(c->diag, at(c, "auth.key_rotation"),
			      "auth.key_rotation: at least 1s, or 0 for never");
}

/* All three files or none; certificates need some. */
static void check_tls(const struct check *c)
{
	const struct fr_config *config = c->config;
	const char *const files[] = { config->transport.tls.cert_file,
				      config->transport.tls.key_file,
				      config->transport.tls.ca_file };
	static const char *const names[] = { "cert_file", "key_file",
					     "ca_file" };
	bool is_any = files[0] || files[1] || files[2];
	size_t i;

	for (i = 0; is_any && i < 3; i++)
		if (!files[i])
			fr_diag_error(c->diag, at(c, "transport.tls"),
				      "transport.tls: %s is missing", names[i]);
	if (config->auth.method != FR_CONFIG_MTLS)
		return;
	if (!is_any)
		fr_diag_error(c->diag, at(c, "auth.method"),
			      "auth.method: mtls needs transport.tls");
	if (config->secret.len && !fr_config_has_heartbeat(config))
		fr_diag_warning(c->diag, at(c, "auth.method"),
				"auth.method: with mtls no peer is asked for the secret");
}

static void check_encryption(const struct check *c)
{
	const struct fr_config *config = c->config;
	struct fr_diag_pos pos = at(c, "transport.encryption");

	if (config->transport.encryption)
		return;
	if (!config->allow_insecure)
		fr_diag_error(c->diag, pos,
			      "transport.encryption: false needs allow_insecure = true, here and on the other nodes");
	if (config->transport.tls.cert_file)
		fr_diag_error(c->diag, pos,
			      "transport.encryption: false, but certificates need TLS");
	fr_diag_warning(c->diag, pos,
			"transport.encryption: NOT ENCRYPTED: whoever sees the traffic can read all of it");
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

#define ZONE_NAME_MAX 63

static void check_zone(const struct check *c, size_t i)
{
	const struct fr_config_zone *zone = &c->config->zones.v[i];
	const struct fr_hcl_item *item = fr_hcl_find(c->section, "zone");
	struct fr_diag_pos pos = element(item, i)->pos;

	if (!*zone->name || strlen(zone->name) > ZONE_NAME_MAX)
		fr_diag_error(c->diag, pos, "zone: a name of 1 to %d bytes is needed",
			      ZONE_NAME_MAX);
	if (!zone->interfaces.n && !zone->networks.n && !zone->ct_zone.is_set &&
	    !zone->ct_mark.is_set)
		fr_diag_warning(c->diag, pos, "zone \"%.60s\": nothing belongs to it",
				zone->name);
}

static bool is_zone(const struct fr_config *config, const char *name)
{
	size_t i;

	for (i = 0; i < config->zones.n; i++)
		if (!strcmp(config->zones.v[i].name, name))
			return true;
	return false;
}

static void check_zones(const struct check *c)
{
	const struct fr_config_strings *listed = &c->config->filters.zones;
	size_t i;

	for (i = 0; i < c->config->zones.n; i++)
		check_zone(c, i);
	for (i = 0; i < listed->n; i++)
		if (!is_zone(c->config, listed->v[i]))
			fr_diag_warning(
				c->diag, at(c, "filters.zones"),
				"filters.zones: there is no zone \"%.60s\" { }: only leases can say that they belong to it",
				listed->v[i]);
}

/* The condition as the text of the file has it */
static struct fr_diag_pos condition_pos(const struct check *c, size_t i)
{
	const struct fr_hcl_item *filters = fr_hcl_find(c->section, "filters");
	const struct fr_hcl_item *list = fr_hcl_find(filters->value.object, "custom_filters");

	return fr_hcl_find(element(list, i)->object, "condition")->value.pos;
}

static void check_conditions(const struct check *c)
{
	const struct fr_config_filters *list = &c->config->filters.custom_filters;
	size_t i;

	for (i = 0; i < list->n; i++) {
		const char *condition = list->v[i].condition;
		struct fr_expr_error error;
		struct fr_expr *e;

		e = fr_expr_compile(fr_config_filter_table(list->v[i].type), condition,
				    strlen(condition), &error);
		if (!e)
			fr_diag_error(c->diag, condition_pos(c, i),
				      "filters.custom_filters.condition: character %u: %s",
				      error.column, error.text);
		fr_expr_free(e);
	}
}

/* A record without a field of its key would be another one. */
static void check_sensitive(const struct check *c)
{
	const struct fr_config_strings *names = &c->config->filters.sensitive;
	const struct fr_item_field *f;
	unsigned int table;

	for (table = FLYREP_TABLE_LEASE; table <= FLYREP_TABLE_METRIC; table++)
		for (f = fr_item_fields(table); f->name; f++)
			if (f->is_key && fr_sensitive_field(f->name, names))
				fr_diag_error(
					c->diag, at(c, "filters.sensitive"),
					"filters.sensitive: %s is in the key of %s and cannot be left out",
					f->name, fr_table_by_id(table)->name);
}

/* Where a kernel or a server acts by an address, another one does harm. */
static void check_anonymize(const struct check *c)
{
	static const struct {
		unsigned int table;
		const char *key;
		const char *none;
	} used[] = {
		{ FLYREP_TABLE_CONNTRACK, "conntrack", "false" },
		{ FLYREP_TABLE_NFT_SET, "nft_sets", "[]" },
		{ FLYREP_TABLE_LEASE, "dhcp_leases", "false" },
		{ FLYREP_TABLE_DNS, "dns_records", "false" },
		{ FLYREP_TABLE_CONFIG, "configuration", "false" },
	};
	size_t i;

	for (i = 0; c->config->transformations.anonymize_ips && i < sizeof(used) / sizeof(used[0]);
	     i++)
		if (fr_config_has_table(c->config, used[i].table))
			fr_diag_error(
				c->diag, at(c, "transformations.anonymize_ips"),
				"transformations.anonymize_ips: a peer must use the addresses in %s as they are: set data.%s = %s",
				fr_table_by_id(used[i].table)->name, used[i].key, used[i].none);
}

/* Flows are in no backup. */
static bool has_lasting_table(const struct fr_config *config)
{
	unsigned int id;

	for (id = 0; id <= FLYREP_TABLE_MAX; id++)
		if (id != FLYREP_TABLE_CONNTRACK && id != FLYREP_TABLE_EXPECTATION &&
		    fr_config_has_table(config, id))
			return true;
	return false;
}

static void check_backups(const struct check *c)
{
	const struct fr_config *config = c->config;
	bool lacks_secret = config->transformations.encrypt_data && !config->secret.len;
	struct fr_diag_pos pos = at(c, "transformations.encrypt_data");

	/* With peers and a shared secret the lack of it is told already. */
	if (lacks_secret && config->auth.method == FR_CONFIG_MTLS)
		fr_diag_error(
			c->diag, pos,
			"transformations.encrypt_data: the key comes from the secret, and there is none: set secret_key_file or secret_key");
	else if (lacks_secret && !config->peers.n && !config->listen_addr.sa_len &&
		 !fr_config_primary_address(config, 0))
		fr_diag_warning(
			c->diag, pos,
			"transformations.encrypt_data: without a secret no backup can be written");
	if (config->recovery.incremental.enabled && !has_lasting_table(config))
		fr_diag_warning(
			c->diag, at(c, "recovery.incremental.enabled"),
			"recovery.incremental.enabled: nothing is there for checkpoints: flows are in none");
}

static void check_socket(const struct check *c)
{
	size_t max = sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1;

	if (strlen(c->config->api.socket) > max)
		fr_diag_error(c->diag, at(c, "api.socket"),
			      "api.socket: longer than %zu bytes", max);
}

/* What strangers may see must be encrypted. */
static void check_api_address(const struct check *c, const struct fr_address *a)
{
	char text[FR_ADDRESS_TEXT_LEN];

	if (fr_address_is_loopback(a) || c->config->api.tls.cert_file)
		return;
	fr_diag_error(c->diag, at(c, "api.listen"),
		      "api.listen: %s is no loopback address: set api.tls",
		      fr_address_format(a, text));
}

static bool is_host(const char *text)
{
	const char *colon = strchr(text, ':');
	size_t len = colon ? (size_t)(colon - text) : strlen(text), n;
	unsigned long port;
	char *end;

	n = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_");
	if (!len || n != len || len > HOST_MAX)
		return false;
	if (!colon)
		return true;
	port = strtoul(colon + 1, &end, 10);
	return colon[1] >= '1' && colon[1] <= '9' && !*end && port <= 65535;
}

static void check_api(const struct check *c)
{
	const struct fr_config_api *api = &c->config->api;
	size_t i, j;

	if (!api->tls.cert_file != !api->tls.key_file)
		fr_diag_error(c->diag, at(c, "api.tls"), "api.tls: %s is missing",
			      api->tls.cert_file ? "key_file" : "cert_file");
	for (i = 0; i < api->listen.n; i++) {
		check_api_address(c, &api->listen.v[i]);
		for (j = 0; j < i; j++)
			if (fr_address_equal(&api->listen.v[i], &api->listen.v[j]))
				fr_diag_error(c->diag, at(c, "api.listen"),
					      "api.listen: an address is there twice");
	}
	for (i = 0; i < api->hosts.n; i++)
		if (!is_host(api->hosts.v[i]))
			fr_diag_error(c->diag, at(c, "api.hosts"),
				      "api.hosts: \"%.80s\" is not a \"name\" or \"name:port\"",
				      api->hosts.v[i]);
}

void fr_config_check(const struct fr_config *config,
		     const struct fr_hcl_body *section, struct fr_diag *diag)
{
	struct check c = { config, section, diag };

	check_topology(&c);
	check_heartbeat(&c);
	check_quorum(&c);
	check_keys(&c);
	check_tls(&c);
	check_encryption(&c);
	check_sync(&c);
	check_schedule(&c);
	check_data(&c);
	check_conflicts(&c);
	check_mark(&c);
	check_zones(&c);
	check_conditions(&c);
	check_sensitive(&c);
	check_anonymize(&c);
	check_backups(&c);
	check_socket(&c);
	check_api(&c);
}
