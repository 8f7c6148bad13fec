// SPDX-License-Identifier: GPL-2.0-or-later
#include "config.h"

#include "config_bind.h"
#include "config_check.h"
#include "flyrep_records.h"
#include "hcl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ARENA_MAX \
	(128u << 20) /* far more than any tree of FR_HCL_TEXT_MAX bytes needs */

struct load {
	struct fr_config *config;
	struct fr_diag *diag;
	const struct fr_hcl_body *section;
	unsigned int flags;
	mode_t file_mode; /* of the configuration itself; 0 = unknown */
};

static const struct fr_diag_pos whole_file;

/*
 * At most @max bytes of a file into @buf; @buf has room for one more, which
 * tells a longer file. Returns the bytes read or -errno.
 */
static ssize_t read_file(const char *path, char *buf, size_t max, mode_t *mode)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	struct stat st;
	size_t len = 0;
	ssize_t n = 0;

	if (fd < 0)
		return -errno;
	*mode = fstat(fd, &st) ? 0 : st.st_mode & 07777;
	while (len <= max) {
		n = read(fd, buf + len, max + 1 - len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		len += (size_t)n;
	}
	if (n < 0)
		n = -errno;
	close(fd);
	return n < 0 ? n : (ssize_t)len;
}

static void check_mode(const struct load *load, struct fr_diag_pos pos,
		       const char *what, mode_t mode)
{
	if (mode & (S_IRGRP | S_IROTH))
		fr_diag_warning(
			load->diag, pos,
			"%s holds a secret and others than its owner may read it (mode %04o)",
			what, (unsigned int)mode);
}

static void check_secret(const struct load *load, struct fr_diag_pos pos,
			 const char *what, size_t len)
{
	if (len < FR_CONFIG_SECRET_MIN)
		fr_diag_error(
			load->diag, pos,
			"%s: %zu bytes are too few for a secret: at least %d",
			what, len, FR_CONFIG_SECRET_MIN);
	else if (len > FR_CONFIG_SECRET_MAX)
		fr_diag_error(load->diag, pos, "%s: more than %d bytes", what,
			      FR_CONFIG_SECRET_MAX);
	else if (len < FR_CONFIG_SECRET_GOOD)
		fr_diag_warning(
			load->diag, pos,
			"%s: %zu bytes are few for a secret: better %d or more",
			what, len, FR_CONFIG_SECRET_GOOD);
}

static int read_secret(const struct load *load, struct fr_diag_pos pos,
		       const char *path, bool is_credential)
{
	struct fr_config *config = load->config;
	char *buf = fr_arena_alloc(&config->arena, FR_CONFIG_SECRET_MAX + 2);
	mode_t mode;
	ssize_t len;

	if (!buf)
		return -ENOMEM;
	len = read_file(path, buf, FR_CONFIG_SECRET_MAX, &mode);
	if (len < 0) {
		if (!is_credential)
			fr_diag_error(load->diag, pos,
				      "cannot read the secret in %s: %s", path,
				      strerror((int)-len));
		return (int)len;
	}
	if (len && buf[len - 1] == '\n')
		len--;
	config->secret.bytes = (const uint8_t *)buf;
	config->secret.len = (size_t)len;
	config->secret_origin =
		fr_arena_strndup(&config->arena, path, strlen(path));
	check_secret(load, pos, path, config->secret.len);
	if (!is_credential) /* systemd looks after its own */
		check_mode(load, pos, path, mode);
	return 0;
}

static void take_secret_key(const struct load *load, struct fr_diag_pos pos,
			    char *key)
{
	struct fr_config *config = load->config;
	char line[32];
	int len;

	config->secret.bytes = (const uint8_t *)key;
	config->secret.len = strlen(key);
	len = snprintf(line, sizeof(line), "line %u", pos.line);
	config->secret_origin =
		fr_arena_strndup(&config->arena, line, (size_t)len);
	check_secret(load, pos, "secret_key", config->secret.len);
	check_mode(load, pos, "this file", load->file_mode);
}

static void take_credential(const struct load *load)
{
	const struct fr_config *config = load->config;
	const char *dir = getenv("CREDENTIALS_DIRECTORY");
	bool has_peers = config->listen_addr.sa_len ||
			 fr_config_primary_address(config, 0) || config->peers.n;
	bool has_heartbeat = fr_config_has_heartbeat(config);
	struct fr_diag_pos pos = load->section->pos;
	char path[512];

	if (dir) {
		snprintf(path, sizeof(path), "%s/psk", dir);
		if (!read_secret(load, pos, path, true))
			return;
	}
	if (!has_heartbeat && (!has_peers || config->auth.method != FR_CONFIG_PSK))
		return;
	fr_diag_add(
		load->diag,
		load->flags & FR_CONFIG_SECRET_OPTIONAL ? FR_DIAG_WARNING :
							  FR_DIAG_ERROR,
		pos,
		"no secret%s: set secret_key_file or secret_key, or give the agent the systemd credential psk",
		has_heartbeat && config->auth.method != FR_CONFIG_PSK ?
			", which heartbeats need, with certificates too" :
			"");
}

static void find_secret(const struct load *load)
{
	struct fr_config *config = load->config;
	const struct {
		const char *path;
		char *key, *file;
	} sources[] = {
		{ "secret_key", config->secret_key, NULL },
		{ "secret_key_file", NULL, config->secret_key_file },
		{ "auth.secret_key", config->auth.secret_key, NULL },
		{ "auth.secret_key_file", NULL, config->auth.secret_key_file },
	};
	const char *found = NULL;
	size_t i;

	for (i = 0; i < sizeof(sources) / sizeof(sources[0]); i++) {
		struct fr_diag_pos pos =
			fr_config_pos(load->section, sources[i].path);

		if (!sources[i].key && !sources[i].file)
			continue;
		if (found) {
			fr_diag_error(load->diag, pos,
				      "%s: the secret was given already, as %s",
				      sources[i].path, found);
			continue;
		}
		found = sources[i].path;
		if (sources[i].key)
			take_secret_key(load, pos, sources[i].key);
		else
			read_secret(load, pos, sources[i].file, false);
	}
	if (!found)
		take_credential(load);
}

static bool is_same_secret(const struct fr_config_secret *a,
			   const struct fr_config_secret *b)
{
	return a->len == b->len && (!a->len || !memcmp(a->bytes, b->bytes, a->len));
}

static void check_previous(const struct load *load, const char *path)
{
	struct fr_diag_pos pos = fr_config_pos(load->section, path);
	const struct fr_config *config = load->config;
	size_t i, j;

	for (i = 0; i < config->previous.n; i++) {
		const struct fr_config_secret *s = &config->previous.v[i];

		check_secret(load, pos, path, s->len);
		if (is_same_secret(s, &config->secret))
			fr_diag_error(load->diag, pos,
				      "%s: the present secret is among them",
				      path);
		for (j = 0; j < i; j++)
			if (is_same_secret(s, &config->previous.v[j]))
				fr_diag_error(load->diag, pos,
					      "%s: a secret is there twice",
					      path);
	}
	if (!config->secret.len && !(load->flags & FR_CONFIG_SECRET_OPTIONAL))
		fr_diag_error(load->diag, pos, "%s: without a present one",
			      path);
	check_mode(load, pos, "this file", load->file_mode);
}

static void find_previous(const struct load *load)
{
	static const char top[] = "previous_secret_keys",
			  auth[] = "auth.previous_secret_keys";
	struct fr_config *config = load->config;
	bool is_top = config->previous_secret_keys.n;

	if (is_top && config->auth.previous_secret_keys.n)
		fr_diag_error(load->diag, fr_config_pos(load->section, auth),
			      "%s: given already, as %s", auth, top);
	config->previous = is_top ? config->previous_secret_keys :
				    config->auth.previous_secret_keys;
	if (config->previous.n)
		check_previous(load, is_top ? top : auth);
}

/* The one default that is not a constant. */
static void default_node_id(const struct load *load)
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

static int parse(struct load *load, const char *text, size_t len)
{
	const struct fr_hcl_body *root;

	fr_arena_init(&load->config->arena, ARENA_MAX);
	root = fr_hcl_parse(text, len, &load->config->arena, load->diag);
	if (root)
		load->section = fr_config_bind(root, load->config, load->diag);
	/* What contradicts what can be said only of a sound file. */
	if (load->section && !fr_diag_has_errors(load->diag)) {
		default_node_id(load);
		find_secret(load);
		find_previous(load);
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
	struct load load = { .config = config, .diag = diag, .flags = flags };

	*config = (struct fr_config){ 0 };
	fr_diag_init(diag, name);
	return parse(&load, text, len);
}

int fr_config_load(const char *path, unsigned int flags,
		   struct fr_config *config, struct fr_diag *diag)
{
	struct load load = { .config = config, .diag = diag, .flags = flags };
	char *text = malloc(FR_HCL_TEXT_MAX + 1);
	ssize_t len;
	int err;

	*config = (struct fr_config){ 0 };
	fr_diag_init(diag, path);
	len = text ? read_file(path, text, FR_HCL_TEXT_MAX, &load.file_mode) :
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
