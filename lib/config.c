// SPDX-License-Identifier: GPL-2.0-or-later
#include "config.h"

#include "config_bind.h"
#include "config_check.h"
#include "config_secret.h"
#include "flyrep_records.h"
#include "hcl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ARENA_MAX \
	(128u << 20) /* far more than any tree of FR_HCL_TEXT_MAX bytes needs */

static const struct fr_diag_pos whole_file;

/* The one default that is not a constant. */
static void default_node_id(const struct fr_config_load *load)
{
	struct fr_config *config = load->config;
	char name[FR_CONFIG_NODE_ID_MAX + 2] = "";

	if (config->node_id)
		return;
	if (gethostname(name, sizeof(name) - 1) || !fr_config_is_node_id(name))
		fr_diag_error(
			load->diag, load->section->pos,
			"the host name is not fit for a node id: set node_id");
	config->node_id = fr_arena_strndup(&config->arena, name, strlen(name));
}

static int parse(struct fr_config_load *load, const char *text, size_t len)
{
	const struct fr_hcl_body *root;

	fr_arena_init(&load->config->arena, ARENA_MAX);
	root = fr_hcl_parse(text, len, &load->config->arena, load->diag);
	if (root)
		load->section = fr_config_bind(root, load->config, load->diag);
	/* What contradicts what can be said only of a sound file. */
	if (load->section && !fr_diag_has_errors(load->diag)) {
		default_node_id(load);
		fr_config_secret_find(load);
		fr_config_check(load->config, load->section, load->diag);
	}
	fr_diag_sort(load->diag);
	if (!fr_diag_has_errors(load->diag))
		return 0;
	fr_config_free(load->config);
	return -EINVAL;
}

int fr_config_parse(const char *name, const char *text, size_t len,
		    unsigned int flags, struct fr_config *config,
		    struct fr_diag *diag)
{
	struct fr_config_load load = { .config = config, .diag = diag, .flags = flags };

	*config = (struct fr_config){ 0 };
	fr_diag_init(diag, name);
	return parse(&load, text, len);
}

int fr_config_load(const char *path, unsigned int flags,
		   struct fr_config *config, struct fr_diag *diag)
{
	struct fr_config_load load = { .config = config, .diag = diag, .flags = flags };
	char *text = malloc(FR_HCL_TEXT_MAX + 1);
	ssize_t len;
	int err;

	*config = (struct fr_config){ 0 };
	fr_diag_init(diag, path);
	len = text ? fr_config_secret_read_file(path, text, FR_HCL_TEXT_MAX, &load.file_mode) :
		     -ENOMEM;
	if (len < 0) {
		fr_diag_error(diag, whole_file, "cannot read it: %s",
			      strerror((int)-len));
		free(text);
		return (int)len;
	}
	err = parse(&load, text, (size_t)len);
	explicit_bzero(text, (size_t)len);
	free(text);
	return err;
}

void fr_config_free(struct fr_config *config)
{
	fr_arena_free(&config->arena);
	*config = (struct fr_config){ 0 };
}

const struct fr_config_peer *fr_config_peer_find(const struct fr_config *config,
						 const char *id)
{
	size_t i;

	for (i = 0; i < config->peers.n; i++)
		if (!strcmp(config->peers.v[i].id, id))
			return &config->peers.v[i];
	return NULL;
}

static const struct fr_address *nth_address(const struct fr_address *first,
					    const struct fr_config_addresses *more,
					    size_t i)
{
	if (first->sa_len && !i--)
		return first;
	return i < more->n ? &more->v[i] : NULL;
}

const struct fr_address *fr_config_peer_address(const struct fr_config_peer *peer,
						size_t i)
{
	return nth_address(&peer->address, &peer->addresses, i);
}

const struct fr_address *fr_config_primary_address(const struct fr_config *config,
						   size_t i)
{
	return nth_address(&config->primary_addr, &config->primary_addrs, i);
}

bool fr_config_has_heartbeat(const struct fr_config *config)
{
	size_t i;

	for (i = 0; i < config->peers.n; i++)
		if (config->peers.v[i].heartbeat.sa_len)
			return true;
	return config->peer_addr.sa_len || config->quorum.enabled ||
	       config->mode == FR_CONFIG_WITNESS;
}

/* Where a peer listens for heartbeats. */
static struct fr_address peer_heartbeat(const struct fr_config *config,
					const struct fr_config_peer *peer)
{
	const struct fr_address *first = fr_config_peer_address(peer, 0);
	struct fr_address address = peer->heartbeat;

	if (address.sa_len)
		return address;
	if (config->peer_addr.sa_len && config->peers.n == 1)
		return config->peer_addr;
	if (first) {
		address = *first;
		fr_address_set_port(&address, FR_CONFIG_HEARTBEAT_PORT);
	}
	return address;
}

bool fr_config_voter(const struct fr_config *config, size_t i,
		     struct fr_config_voter *voter)
{
	*voter = (struct fr_config_voter){ .id = "*" };
	if (!fr_config_has_heartbeat(config))
		return false;
	if (i < config->peers.n) {
		voter->id = config->peers.v[i].id;
		voter->address = peer_heartbeat(config, &config->peers.v[i]);
		return true;
	}
	i -= config->peers.n;
	if (!config->peers.n && config->peer_addr.sa_len && !i--) {
		voter->address = config->peer_addr;
		return true;
	}
	voter->address = config->quorum.witness;
	voter->is_witness = true;
	return config->quorum.enabled && config->quorum.witness.sa_len && !i;
}

void fr_config_heartbeat_listen(const struct fr_config *config,
				struct fr_address *address)
{
	struct fr_config_voter first;

	*address = config->heartbeat.listen;
	if (address->sa_len || !fr_config_voter(config, 0, &first))
		return;
	*address = config->listen_addr;
	if (!address->sa_len)
		fr_address_any(first.address.sa.ss_family, address);
	fr_address_set_port(address, FR_CONFIG_HEARTBEAT_PORT);
}

bool fr_config_has_table(const struct fr_config *config, unsigned int table)
{
	switch (table) {
	case FLYREP_TABLE_CONNTRACK:
		return config->data.conntrack;
	case FLYREP_TABLE_LEASE:
		return config->data.dhcp_leases;
	case FLYREP_TABLE_DNS:
		return config->data.dns_records;
	case FLYREP_TABLE_LEARNING:
		return config->data.learning_state;
	case FLYREP_TABLE_CONFIG:
		return config->data.configuration;
	case FLYREP_TABLE_METRIC:
		return config->data.metrics;
	case FLYREP_TABLE_EXPECTATION:
		/* Without its master there is none. */
		return config->data.conntrack && config->data.expectations;
	case FLYREP_TABLE_NFT_SET:
		return config->data.nft_sets.n;
	default:
		return false;
	}
}

bool fr_config_is_shared(const struct fr_config *config)
{
	return config->mode == FR_CONFIG_ACTIVE_ACTIVE ||
	       config->mode == FR_CONFIG_MULTI_MASTER;
}

bool fr_config_begins_primary(const struct fr_config *config)
{
	return config->mode == FR_CONFIG_PRIMARY ||
	       (config->mode == FR_CONFIG_CHAIN && !fr_config_primary_address(config, 0));
}

bool fr_config_has_versions(const struct fr_config *config, unsigned int table)
{
	return fr_config_is_shared(config) && table >= FLYREP_TABLE_LEASE &&
	       table <= FLYREP_TABLE_NFT_SET && fr_config_has_table(config, table);
}

unsigned int fr_config_filter_table(int type)
{
	static const uint8_t tables[] = {
		FLYREP_TABLE_LEASE,  FLYREP_TABLE_DNS,	     FLYREP_TABLE_LEARNING,
		FLYREP_TABLE_CONFIG, FLYREP_TABLE_METRIC, FLYREP_TABLE_CONNTRACK,
		FLYREP_TABLE_NFT_SET,
	};

	return tables[type];
}

const char *fr_config_mode_name(enum fr_config_mode mode)
{
	static const char *const names[] = {
		[FR_CONFIG_PRIMARY] = "primary",
		[FR_CONFIG_REPLICA] = "replica",
		[FR_CONFIG_ACTIVE_ACTIVE] = "active-active",
		[FR_CONFIG_MULTI_MASTER] = "multi-master",
		[FR_CONFIG_CHAIN] = "chain",
		[FR_CONFIG_STANDALONE] = "standalone",
		[FR_CONFIG_WITNESS] = "witness",
	};

	return names[mode];
}

const char *fr_config_strategy_name(enum fr_config_strategy strategy)
{
	static const char *const names[] = {
		[FR_CONFIG_TIMESTAMP] = "timestamp",
		[FR_CONFIG_PRIORITY] = "priority",
		[FR_CONFIG_MANUAL] = "manual",
	};

	return names[strategy];
}

const char *fr_config_split_brain_name(enum fr_config_split_brain rule)
{
	static const char *const names[] = {
		[FR_CONFIG_SPLIT_MANUAL] = "manual",
		[FR_CONFIG_SPLIT_PRIORITY] = "priority",
		[FR_CONFIG_SPLIT_NEWEST] = "newest",
	};

	return names[rule];
}

const char *fr_config_role_name(enum fr_config_role role)
{
	static const char *const names[] = {
		[FR_CONFIG_ROLE_PRIMARY] = "primary",
		[FR_CONFIG_ROLE_REPLICA] = "replica",
		[FR_CONFIG_ROLE_PEER] = "peer",
	};

	return names[role];
}
