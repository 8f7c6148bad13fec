/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * config - the configuration file, bound to a struct
 *
 * What the keys mean is in flyrep.hcl(5) and in the table of schema.c, which
 * also holds their types, ranges and defaults.  This struct carries exactly
 * the keys this version implements; the reader refuses the others.
 *
 * A key is added by a row in schema.c and a field here.
 */
#ifndef FR_CONFIG_H
#define FR_CONFIG_H

#include "address.h"
#include "arena.h"
#include "diag.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define FR_CONFIG_PATH "/etc/flyrep/flyrep.hcl"
#define FR_CONFIG_API_SOCKET "/run/flyrep/api.sock"
#define FR_CONFIG_PORT \
	9001 /* of listen_addr, primary_addr and peers[].address */
#define FR_CONFIG_HEARTBEAT_PORT 9002 /* of peer_addr and all other addresses for heartbeats */
#define FR_CONFIG_NODE_ID_MAX 63

#define FR_CONFIG_SECRET_MIN 8 /* bytes; shorter is refused */
#define FR_CONFIG_SECRET_GOOD 32 /* bytes; shorter is a warning */
#define FR_CONFIG_SECRET_MAX 4096
#define FR_CONFIG_PREVIOUS_MAX 7 /* secrets that are accepted besides the present one */

#define FR_CONFIG_KEY_ROTATION_MIN_MS 1000 /* unless it is 0 */

#define FR_CONFIG_ADDRESSES_MAX 8 /* of one node, that with a key of its own included */

#define FR_CONFIG_API_PORT 8080
#define FR_CONFIG_API_LISTEN_MAX 8
#define FR_CONFIG_API_HOSTS_MAX 64
#define FR_CONFIG_TOKEN_MIN 16 /* bytes; shorter is refused */
#define FR_CONFIG_TOKENS_MAX 32
#define FR_CONFIG_TOKEN_NAME "token" /* of one without a name */

#define FR_CONFIG_FULL_MIN_MS 1000 /* sync.interval in mode full */

#define FR_CONFIG_ZONES_MAX 64 /* the module's limits on its filter */
#define FR_CONFIG_NETWORKS_MAX 256
#define FR_CONFIG_SETS_MAX 256
#define FR_CONFIG_PROTOS_MAX 64
#define FR_CONFIG_NAMED_ZONES_MAX 64 /* zone "NAME" { } */
#define FR_CONFIG_FILTERS_MAX 64
#define FR_CONFIG_WORDS_MAX 256 /* in a list of words */

/* In the order of the choices in schema.c; chain is not implemented. */
enum fr_config_mode {
	FR_CONFIG_PRIMARY,
	FR_CONFIG_REPLICA,
	FR_CONFIG_ACTIVE_ACTIVE,
	FR_CONFIG_MULTI_MASTER,
	FR_CONFIG_CHAIN,
	FR_CONFIG_STANDALONE,
	FR_CONFIG_WITNESS, /* no node, but a voter: flyrepd --witness */
};

/* Who goes on when two nodes write under one epoch; also on the wire. */
enum fr_config_split_brain {
	FR_CONFIG_SPLIT_MANUAL,
	FR_CONFIG_SPLIT_PRIORITY,
	FR_CONFIG_SPLIT_NEWEST,
};

enum fr_config_sync_mode {
	FR_CONFIG_SYNC_INCREMENTAL,
	FR_CONFIG_SYNC_FULL,
};

enum fr_config_role {
	FR_CONFIG_ROLE_PRIMARY,
	FR_CONFIG_ROLE_REPLICA,
	FR_CONFIG_ROLE_PEER,
};

enum fr_config_method {
	FR_CONFIG_PSK,
	FR_CONFIG_MTLS,
};

/* Likewise */
enum fr_config_strategy {
	FR_CONFIG_TIMESTAMP,
	FR_CONFIG_PRIORITY,
	FR_CONFIG_MANUAL,
};

enum fr_config_min_state {
	FR_CONFIG_MIN_STATE_ASSURED, /* ship a flow once it has seen both directions */
	FR_CONFIG_MIN_STATE_ALL,
};

struct fr_config_addresses {
	struct fr_address *v;
	size_t n;
};

struct fr_config_peer {
	char *id; /* the node_id expected there */
	struct fr_address address; /* sa_len 0: none, then there are others */
	struct fr_config_addresses addresses; /* more, over other links */
	struct fr_address heartbeat; /* sa_len 0: see fr_config_voter() */
	int role; /* enum fr_config_role, of that node */
};

struct fr_config_peers {
	struct fr_config_peer *v;
	size_t n;
};

struct fr_config_networks {
	struct fr_network *v;
	size_t n;
};

struct fr_config_strings {
	char **v;
	size_t n;
};

/* A number that may be left out */
struct fr_config_number {
	bool is_set;
	uint32_t value;
};

/* (mark & mask) == value */
struct fr_config_mark {
	bool is_set;
	uint32_t value;
	uint32_t mask;
};

/* zone "NAME" { }; lib/zone.h tells what belongs to it. */
struct fr_config_zone {
	char *name;
	struct fr_config_strings interfaces;
	struct fr_config_networks networks;
	struct fr_config_number ct_zone;
	struct fr_config_mark ct_mark;
};

struct fr_config_named_zones {
	struct fr_config_zone *v;
	size_t n;
};

struct fr_config_filter {
	int type; /* index into the choices of its row, see fr_config_filter_table() */
	char *condition; /* lib/expr.h compiles it */
};

struct fr_config_filters {
	struct fr_config_filter *v;
	size_t n;
};

/* A number for each of some nodes */
struct fr_config_map {
	struct {
		char *node_id;
		uint32_t number;
	} *v;
	size_t n;
};

struct fr_config_zones {
	uint16_t *v;
	size_t n; /* 0 = every zone */
};

struct fr_config_sets {
	char **v; /* "family/table/set", each a pattern, or FR_CONFIG_SETS_DYNAMIC */
	size_t n; /* 0 = none */
};

/* Stands for all sets whose elements packets write, or that end by themselves. */
#define FR_CONFIG_SETS_DYNAMIC "dynamic"

struct fr_config_protos {
	uint8_t *v; /* IPPROTO_* or FR_SCHEMA_PROTO_OTHER */
	size_t n; /* never 0 */
};

/* Wiped by fr_config_free(). */
struct fr_config_secret {
	const uint8_t *bytes;
	size_t len; /* 0 = none */
};

struct fr_config_secrets {
	struct fr_config_secret *v;
	size_t n;
};

/* Who calls the API over TCP */
struct fr_config_token {
	char *name; /* for approvers, and the record of what was decided */
	struct fr_config_secret secret;
};

struct fr_config_api {
	char *socket; /* unix socket of the HTTP API */
	struct fr_config_addresses listen;
	struct fr_config_strings hosts; /* "name" or "name:port" */
	char *token_file;
	struct fr_config_token *tokens; /* of that file, or of the credential */
	size_t n_tokens; /* 0: none is needed, and all of listen are loopback */
	struct {
		char *cert_file; /* NULL: no TLS, then the key is, too */
		char *key_file;
	} tls;
};

struct fr_config {
	int mode; /* enum fr_config_mode */
	char *node_id; /* never NULL */
	struct fr_address listen_addr; /* sa_len 0: do not listen */
	struct fr_address primary_addr; /* sa_len 0: nobody to dial, unless there are more */
	struct fr_config_addresses primary_addrs; /* more, over other links */
	struct fr_address peer_addr; /* for heartbeats with the only peer; sa_len 0: none */
	struct fr_config_peers peers;
	struct fr_config_named_zones zones;
	struct fr_config_secret secret;
	char *secret_origin; /* for messages: "line 5", a path; NULL without a secret */
	struct fr_config_secrets previous; /* the newest first */
	bool allow_insecure;
	char *state_dir;
	uint64_t backlog_len; /* bytes of batches kept for peers that are behind */
	uint32_t ring_entries; /* of the module, per CPU; 0 = the module chooses */

	/* What was written, for the printer; use secret above instead. */
	char *secret_key;
	char *secret_key_file;
	struct fr_config_secrets previous_secret_keys;
	struct {
		int method; /* enum fr_config_method */
		char *secret_key;
		char *secret_key_file;
		struct fr_config_secrets previous_secret_keys;
		uint64_t key_rotation_ms; /* 0 = off */
	} auth;

	struct {
		struct fr_address listen; /* sa_len 0: see fr_config_heartbeat_listen() */
		uint64_t interval_ms;
		uint64_t timeout_ms;
	} heartbeat;
	struct {
		bool enabled;
		struct fr_address witness; /* sa_len 0: none */
		uint64_t timeout_ms; /* of a vote */
		int split_brain; /* enum fr_config_split_brain */
		uint32_t priority;
	} quorum;
	struct {
		bool compression; /* zstd per batch, where it helps */
		bool encryption; /* false only with allow_insecure */
		struct {
			char *cert_file; /* NULL: no certificates, then the others are, too */
			char *key_file;
			char *ca_file;
		} tls;
	} transport;
	struct {
		int mode; /* enum fr_config_sync_mode */
		uint64_t interval_ms; /* longest wait for a batch, or between snapshots */
		uint32_t batch_size; /* changes */
		uint64_t max_lag_ms; /* older unacknowledged changes: the peer is lagging */
	} sync;
	struct {
		bool conntrack;
		bool expectations;
		bool dhcp_leases;
		bool dns_records;
		bool learning_state;
		bool configuration;
		bool metrics;
		struct fr_config_sets nft_sets;
	} data; /* which tables are replicated */
	struct {
		int min_state; /* enum fr_config_min_state */
		struct fr_config_protos accept;
		struct fr_config_networks ignore_networks;
		struct fr_config_zones zones;
		uint32_t mark; /* ship when (ct mark & mark_mask) == mark */
		uint32_t mark_mask; /* 0 = every mark */
		uint32_t hold_s; /* life of an injected flow without a packet */
		uint32_t orphan_grace_s; /* injected flows outlive a dead agent this long */
	} conntrack;
	struct {
		int strategy; /* enum fr_config_strategy */
		struct fr_config_map priorities; /* who is not named has 0 */
		int timestamp_resolution; /* index into the choices of its row */
		uint64_t clock_skew_tolerance_ms;
		struct {
			bool require_approval;
			struct fr_config_strings approvers; /* n 0 = anybody */
			uint64_t timeout_ms; /* 0 = never */
		} manual_resolution;
	} conflict_resolution; /* the same on all nodes, where all write */
	struct {
		struct fr_config_strings zones; /* names; n 0 = all */
		bool exclude_sensitive;
		struct fr_config_strings sensitive; /* beside those of lib/sensitive.h */
		struct fr_config_filters custom_filters;
	} filters;
	struct {
		bool anonymize_ips;
		bool compress_data; /* at rest */
		bool encrypt_data; /* at rest, with a key derived from the secret */
	} transformations;
	struct {
		bool auto_resync; /* repair a gap or a difference alone */
		uint32_t resync_threshold; /* changes; more are compared, not replayed */
		uint64_t resync_interval_ms; /* period of the full digest audit */
		uint64_t audit_interval_ms; /* period of the audit against the own kernel */
		struct {
			char *schedule; /* for fr_cron_parse(); NULL = never */
			bool compression; /* only where transport.compression is, too */
		} full_resync;
		struct {
			bool enabled; /* write checkpoints by the clock */
			uint64_t checkpoint_interval_ms;
			uint32_t max_checkpoints; /* kept */
		} incremental;
	} recovery;
	bool backup_before_resync;
	uint64_t backup_retention_ms; /* 0 = for ever */
	struct fr_config_api api;

	struct fr_arena arena; /* owns everything the pointers above point to */
};

enum fr_config_flags {
	/* A missing secret is a warning: for readers that are not the agent. */
	FR_CONFIG_SECRET_OPTIONAL = 1 << 0,
};

/**
 * fr_config_load() - read, check and bind the file at @path
 * @flags: enum fr_config_flags
 * @config: filled on success; on failure it is empty and need not be freed
 * @diag: initialised here; errors and warnings in the order of the file. The
 *	caller prints and frees it, whatever is returned.
 *
 * The secret comes from secret_key, secret_key_file or, when neither is there,
 * from $CREDENTIALS_DIRECTORY/psk.  The previous ones come from either key of
 * that name.  Tokens likewise come from api.token_file, or api_token there.
 *
 * Return: 0, maybe with warnings; -EINVAL for a faulty file, -errno for one
 * that cannot be read; both say why in @diag.
 */
int fr_config_load(const char *path, unsigned int flags,
		   struct fr_config *config, struct fr_diag *diag);

/**
 * fr_config_parse() - fr_config_load() on text already in memory
 * @name: stands for the file in messages
 */
int fr_config_parse(const char *name, const char *text, size_t len,
		    unsigned int flags, struct fr_config *config,
		    struct fr_diag *diag);

/**
 * fr_config_free() - wipe and release; an empty config is fine
 */
void fr_config_free(struct fr_config *config);

/**
 * fr_config_print() - the effective configuration, as HCL that parses back to itself
 *
 * Secrets appear as comments that give their length.
 *
 * Return: 0, or -EIO when @out fails.
 */
int fr_config_print(const struct fr_config *config, FILE *out);

/**
 * fr_config_reload_check() - may @next replace @running without a restart
 * @diag: gets one error per changed key that cannot be reloaded
 *
 * Return: 0 or -EINVAL.
 */
int fr_config_reload_check(const struct fr_config *running,
			   const struct fr_config *next, struct fr_diag *diag);

/**
 * fr_config_peer_find() - the peer with this node id, or NULL
 */
const struct fr_config_peer *fr_config_peer_find(const struct fr_config *config,
						 const char *id);

/**
 * fr_config_peer_address() - the i-th address of a peer, in the order they are dialled
 *
 * Return: the address, or NULL when there are no more.
 */
const struct fr_address *fr_config_peer_address(const struct fr_config_peer *peer,
						size_t i);

/**
 * fr_config_primary_address() - the i-th address of the primary, likewise
 */
const struct fr_address *fr_config_primary_address(const struct fr_config *config,
						   size_t i);

#define FR_CONFIG_VOTERS_MAX 65 /* other than this node: peers, and a witness */

/* Who heartbeats are exchanged with, and who has a vote if there is a quorum. */
struct fr_config_voter {
	const char *id; /* "*": whoever answers there */
	struct fr_address address;
	bool is_witness;
};

/**
 * fr_config_has_heartbeat() - whether there are heartbeats
 */
bool fr_config_has_heartbeat(const struct fr_config *config);

/**
 * fr_config_voter() - the i-th of those that heartbeats are exchanged with
 *
 * This node is not among them.
 *
 * Return: false when there are no more, as where there are no heartbeats.
 */
bool fr_config_voter(const struct fr_config *config, size_t i,
		     struct fr_config_voter *voter);

/**
 * fr_config_heartbeat_listen() - where heartbeats arrive
 * @address: not set where there are none
 */
void fr_config_heartbeat_listen(const struct fr_config *config,
				struct fr_address *address);

/**
 * fr_config_has_table() - whether a table, an enum flyrep_table, is replicated
 */
bool fr_config_has_table(const struct fr_config *config, unsigned int table);

/**
 * fr_config_is_shared() - whether all nodes write: active-active or multi-master
 */
bool fr_config_is_shared(const struct fr_config *config);

/* A node that writes when it first starts: a primary, or the head of a chain */
bool fr_config_begins_primary(const struct fr_config *config);

/**
 * fr_config_has_versions() - whether a table, an enum flyrep_table, is replicated and written by
 * all nodes, so that there can be conflicts
 */
bool fr_config_has_versions(const struct fr_config *config, unsigned int table);

/**
 * fr_config_filter_table() - the table, an enum flyrep_table, that a type of filter is about
 * @type: as in struct fr_config_filter
 */
unsigned int fr_config_filter_table(int type);

/**
 * fr_config_split_brain_name() - as written in the file
 */
const char *fr_config_split_brain_name(enum fr_config_split_brain rule);

/**
 * fr_config_mode_name() - as written in the file
 */
const char *fr_config_mode_name(enum fr_config_mode mode);

/**
 * fr_config_strategy_name() - as written in the file
 */
const char *fr_config_strategy_name(enum fr_config_strategy strategy);

/**
 * fr_config_role_name() - as written in the file
 */
const char *fr_config_role_name(enum fr_config_role role);

#endif
