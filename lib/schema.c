// SPDX-License-Identifier: GPL-2.0-or-later
#include "schema.h"

#include "config.h"
#include "nearest.h"
#include "units.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#define S(n) (1000ULL * (n))
#define M(n) (60 * S(n))
#define H(n) (60 * M(n))
#define D(n) (24 * H(n))

#define AT(field) .offset = offsetof(struct fr_config, field)
#define IN_PEER(field) .offset = offsetof(struct fr_config_peer, field)
#define IN_ZONE(field) .offset = offsetof(struct fr_config_zone, field)
#define IN_FILTER(field) .offset = offsetof(struct fr_config_filter, field)
#define LIST_OF(type) .element_len = sizeof(struct type)
#define UNBOUND .offset = FR_SCHEMA_UNBOUND
#define RANGE(low, high) .min = (low), .max = (high)
#define PORT(port) .min = (port)
#define WORDS(...)                       \
	.choices = (const char *const[]) \
	{                                \
		__VA_ARGS__, NULL        \
	}

#define REQUIRED .flags = FR_SCHEMA_REQUIRED
#define RELOADABLE .flags = FR_SCHEMA_RELOADABLE

const uint8_t fr_schema_protos[] = { IPPROTO_TCP,  IPPROTO_UDP,
				     IPPROTO_ICMP, IPPROTO_ICMPV6,
				     IPPROTO_SCTP, IPPROTO_DCCP,
				     IPPROTO_GRE,  IPPROTO_UDPLITE,
				     FR_SCHEMA_PROTO_OTHER };

#define PROTO_NAMES \
	"tcp", "udp", "icmp", "icmpv6", "sctp", "dccp", "gre", "udplite", \
		"other"

static const struct fr_schema rows[] = {
	{ "mode", FR_SCHEMA_CHOICE, REQUIRED, AT(mode),
	  WORDS("primary", "replica", "active-active", "multi-master", "chain",
		"standalone", "witness"),
	  .help = "What this node is when it starts: primary ships its flows to its peers, "
		  "replica applies those of its primary. A takeover changes it at run time. In "
		  "active-active (two nodes) and multi-master (any number, each of which lists all "
		  "others) every node ships its own and applies those of the others. There TCP must be "
		  "tracked liberally, net.netfilter.nf_conntrack_tcp_be_liberal = 1, as connections may "
		  "move between the nodes at any time. In a chain each node has one other before it "
		  "(primary_addr) and one behind it (peers); the first, which has none before it, writes, and "
		  "what a node holds it ships on. standalone: no peers; capture, and comparison "
		  "with the own kernel, go on. witness: only a vote, for flyrepd --witness." },
	{ "node_id", FR_SCHEMA_NODE_ID, AT(node_id),
	  .help = "Name of this node, unique among its peers: letters, digits, dot, underscore "
		  "and dash, at most 63. Default: the host name." },
	{ "listen_addr", FR_SCHEMA_ADDRESS, AT(listen_addr),
	  PORT(FR_CONFIG_PORT),
	  .help = "Address and TCP port that peers dial. A replica that never becomes primary "
		  "may omit it." },
	{ "primary_addr", FR_SCHEMA_ADDRESS, AT(primary_addr),
	  PORT(FR_CONFIG_PORT),
	  .help = "Address and port of the primary, which a replica dials." },
	{ "primary_addrs", FR_SCHEMA_ADDRESSES, AT(primary_addrs),
	  .min = FR_CONFIG_PORT, .max = FR_CONFIG_ADDRESSES_MAX - 1,
	  .dflt = "[]",
	  .help = "More of them, over other links: dialled in turn when there is no connection." },
	{ "peer_addr", FR_SCHEMA_ADDRESS, AT(peer_addr),
	  PORT(FR_CONFIG_HEARTBEAT_PORT),
	  .help = "Address and UDP port for heartbeats with the other node of a pair. They need a "
		  "shared secret." },
	{ "secret_key", FR_SCHEMA_SECRET, RELOADABLE, AT(secret_key),
	  .help = "Secret shared by all nodes, at least 8 bytes and better 32 or more. "
		  "Short for the key of the same name in auth." },
	{ "secret_key_file", FR_SCHEMA_PATH, RELOADABLE, AT(secret_key_file),
	  .help = "File that holds the secret; one newline at its end does not count. Without any "
		  "secret here the agent takes the systemd credential psk." },
	{ "previous_secret_keys", FR_SCHEMA_SECRETS, RELOADABLE,
	  AT(previous_secret_keys), RANGE(0, FR_CONFIG_PREVIOUS_MAX),
	  .dflt = "[]",
	  .help = "Secrets still accepted while a new one is rolled out, the newest first. A node "
		  "dials with secret_key, and with these where the other does not know that yet." },
	{ "allow_insecure", FR_SCHEMA_BOOL, AT(allow_insecure),
	  .dflt = "false", .help = "Allow transport.encryption = false." },
	{ "state_dir", FR_SCHEMA_PATH, AT(state_dir),
	  .dflt = "\"/var/lib/flyrep\"",
	  .help = "Directory of what must survive a restart." },
	{ "backlog", FR_SCHEMA_SIZE, AT(backlog_len),
	  RANGE(1 << 20, 1ULL << 36), .dflt = "\"64M\"",
	  .help = "Memory for batches that a peer has not acknowledged. A peer further behind is "
		  "repaired by comparing digests instead." },
	{ "ring", FR_SCHEMA_NUMBER, AT(ring_entries), RANGE(0, 1 << 22),
	  .dflt = "0",
	  .help = "Changed flows that the kernel module remembers for each CPU until the agent "
		  "reads them. 0: the module chooses." },

	{ "peers", FR_SCHEMA_SECTIONS, AT(peers), RANGE(0, 64), LIST_OF(fr_config_peer),
	  .dflt = "[]",
	  .help = "The other nodes. Nobody else may connect." },
	{ "peers.id", FR_SCHEMA_NODE_ID, REQUIRED, IN_PEER(id),
	  .help = "The node_id expected there; any other is refused." },
	{ "peers.address", FR_SCHEMA_ADDRESS, IN_PEER(address),
	  PORT(FR_CONFIG_PORT),
	  .help = "Its listen_addr. This or addresses is required." },
	{ "peers.addresses", FR_SCHEMA_ADDRESSES, IN_PEER(addresses),
	  .min = FR_CONFIG_PORT, .max = FR_CONFIG_ADDRESSES_MAX - 1,
	  .dflt = "[]",
	  .help = "More addresses of it, over other links, in the order they are dialled." },
	{ "peers.heartbeat", FR_SCHEMA_ADDRESS, IN_PEER(heartbeat),
	  PORT(FR_CONFIG_HEARTBEAT_PORT),
	  .help = "Address and UDP port for heartbeats with it. Default: peer_addr, if it is the "
		  "only peer; else its first address, with port 9002, where there are heartbeats "
		  "at all." },
	{ "peers.role", FR_SCHEMA_CHOICE, IN_PEER(role), .dflt = "\"replica\"",
	  WORDS("primary", "replica", "peer"),
	  .help = "What that node is when it starts. Where all nodes write they all are peers, and "
		  "it need not be said." },

	{ "heartbeat", FR_SCHEMA_SECTION, UNBOUND,
	  .help = "Datagrams that tell who is alive, beside the replication. There are heartbeats "
		  "with peer_addr, peers.heartbeat or quorum.enabled." },
	{ "heartbeat.listen", FR_SCHEMA_ADDRESS, AT(heartbeat.listen),
	  PORT(FR_CONFIG_HEARTBEAT_PORT),
	  .help = "Address and UDP port where they arrive. Default: that of listen_addr, or all, "
		  "and port 9002." },
	{ "heartbeat.interval", FR_SCHEMA_DURATION, RELOADABLE,
	  AT(heartbeat.interval_ms), RANGE(10, M(1)), .dflt = "\"100ms\"",
	  .help = "Time between two of them." },
	{ "heartbeat.timeout", FR_SCHEMA_DURATION, RELOADABLE,
	  AT(heartbeat.timeout_ms), RANGE(30, M(10)), .dflt = "\"500ms\"",
	  .help = "Who was not heard for this long is not alive. At least three intervals." },

	{ "quorum", FR_SCHEMA_SECTION, UNBOUND,
	  .help = "Who may become primary. See QUORUM below." },
	{ "quorum.enabled", FR_SCHEMA_BOOL, AT(quorum.enabled), .dflt = "false",
	  .help = "A takeover needs the votes of a majority of this node, its peers and the "
		  "witness. Say the same on all nodes. Needs a witness or three nodes." },
	{ "quorum.witness", FR_SCHEMA_ADDRESS, AT(quorum.witness),
	  PORT(FR_CONFIG_HEARTBEAT_PORT),
	  .help = "Address and UDP port of flyrepd --witness, on a third machine." },
	{ "quorum.timeout", FR_SCHEMA_DURATION, RELOADABLE,
	  AT(quorum.timeout_ms), RANGE(50, M(1)), .dflt = "\"500ms\"",
	  .help = "A takeover that has no majority after this long is refused." },
	{ "quorum.split_brain", FR_SCHEMA_CHOICE, RELOADABLE,
	  AT(quorum.split_brain), .dflt = "\"manual\"",
	  WORDS("manual", "priority", "newest"),
	  .help = "What ends it when two nodes are primary under one epoch. manual: a person. "
		  "priority: the node with the lower quorum.priority steps down. newest: that which took "
		  "over first; the clocks must agree. If equal, that with the lesser node_id. Needs "
		  "heartbeats, and the same on both nodes." },
	{ "quorum.priority", FR_SCHEMA_NUMBER, RELOADABLE, AT(quorum.priority),
	  RANGE(0, 65535), .dflt = "100",
	  .help = "For split_brain = \"priority\": the higher one goes on." },

	{ "zone", FR_SCHEMA_LABELLED, RELOADABLE, AT(zones),
	  RANGE(0, FR_CONFIG_NAMED_ZONES_MAX), LIST_OF(fr_config_zone),
	  .help = "zone \"NAME\" { }: names what filters.zones ships. A flow belongs to every zone "
		  "that has one of its addresses, before or after NAT, in its networks, or its "
		  "conntrack zone, or its mark. A lease belongs to the zone that its own field zone "
		  "names; without one, to every zone that has its interface or its address." },
	{ "zone.interfaces", FR_SCHEMA_STRINGS, RELOADABLE, IN_ZONE(interfaces),
	  RANGE(0, FR_CONFIG_WORDS_MAX), .dflt = "[]",
	  .help = "Interfaces that belong to it: of leases only. A flow does not tell by which "
		  "interfaces it passes; name their networks." },
	{ "zone.networks", FR_SCHEMA_NETWORKS, RELOADABLE, IN_ZONE(networks),
	  RANGE(0, FR_CONFIG_NETWORKS_MAX), .dflt = "[]",
	  .help = "Networks that belong to it." },
	{ "zone.ct_zone", FR_SCHEMA_OPTIONAL, RELOADABLE, IN_ZONE(ct_zone),
	  RANGE(0, 65535), .help = "Conntrack zone that belongs to it." },
	{ "zone.ct_mark", FR_SCHEMA_MARK, RELOADABLE, IN_ZONE(ct_mark),
	  .help = "Conntrack mark that belongs to it, \"value/mask\" as in \"0x10/0xf0\": flows "
		  "with (mark & mask) == value. Without a mask all bits count." },

	{ "auth", FR_SCHEMA_SECTION, UNBOUND,
	  .help = "How peers prove who they are." },
	{ "auth.method", FR_SCHEMA_CHOICE, AT(auth.method), .dflt = "\"psk\"",
	  WORDS("psk", "mtls"),
	  .help = "psk: a shared secret; with transport.tls, certificates as well. mtls: "
		  "certificates alone, those of transport.tls." },
	{ "auth.secret_key", FR_SCHEMA_SECRET, RELOADABLE, AT(auth.secret_key),
	  .help = "As secret_key at the top; only one of them may be set." },
	{ "auth.secret_key_file", FR_SCHEMA_PATH, RELOADABLE,
	  AT(auth.secret_key_file),
	  .help = "As secret_key_file at the top; only one of them may be set." },
	{ "auth.previous_secret_keys", FR_SCHEMA_SECRETS, RELOADABLE,
	  AT(auth.previous_secret_keys), RANGE(0, FR_CONFIG_PREVIOUS_MAX),
	  .dflt = "[]",
	  .help = "As previous_secret_keys at the top; only one of them may be set." },
	{ "auth.key_rotation", FR_SCHEMA_DURATION, RELOADABLE,
	  AT(auth.key_rotation_ms), RANGE(0, D(365)), .dflt = "\"24h\"",
	  .help = "Age at which every traffic key is replaced, by a new key exchange and without a "
		  "pause; at least 1s. 0: never." },

	{ "transport", FR_SCHEMA_SECTION, UNBOUND,
	  .help = "The connections between peers." },
	{ "transport.protocol", FR_SCHEMA_CHOICE, UNBOUND, .dflt = "\"tcp\"",
	  WORDS("tcp"), .help = "There is only tcp." },
	{ "transport.compression", FR_SCHEMA_BOOL, AT(transport.compression),
	  .dflt = "true",
	  .help = "Compress each batch that gets smaller by it." },
	{ "transport.encryption", FR_SCHEMA_BOOL, AT(transport.encryption),
	  .dflt = "true",
	  .help = "TLS 1.3. false, on both ends and only with allow_insecure: whoever sees the "
		  "traffic can read it; each frame is authenticated all the same. Ends that differ "
		  "refuse each other." },
	{ "transport.tls", FR_SCHEMA_SECTION, UNBOUND,
	  .help = "Certificates, for both ends of a connection. Of a peer's, the name must be its "
		  "node_id: a SAN of type DNS, or the CN where there is none. Read again when they "
		  "have changed." },
	{ "transport.tls.cert_file", FR_SCHEMA_PATH, RELOADABLE,
	  AT(transport.tls.cert_file),
	  .help = "This node's, PEM, for servers and clients; then intermediate ones." },
	{ "transport.tls.key_file", FR_SCHEMA_PATH, RELOADABLE,
	  AT(transport.tls.key_file), .help = "Its private key, PEM." },
	{ "transport.tls.ca_file", FR_SCHEMA_PATH, RELOADABLE,
	  AT(transport.tls.ca_file),
	  .help = "The only authority believed, PEM." },

	{ "sync", FR_SCHEMA_SECTION, UNBOUND,
	  .help = "The pace of replication." },
	{ "sync.mode", FR_SCHEMA_CHOICE, AT(sync.mode),
	  .dflt = "\"incremental\"", WORDS("incremental", "full"),
	  .help = "On a primary. incremental: changes as they happen. full: none, but everything "
		  "each interval: see SNAPSHOTS INSTEAD OF CHANGES below." },
	{ "sync.interval", FR_SCHEMA_DURATION, RELOADABLE, AT(sync.interval_ms),
	  RANGE(1, H(1)), .dflt = "\"1s\"",
	  .help = "The longest a captured change may wait for its batch. An idle link sends at "
		  "once; changes gather only while a batch is on its way. In mode full: the time "
		  "between snapshots, at least 1s." },
	{ "sync.batch_size", FR_SCHEMA_NUMBER, RELOADABLE, AT(sync.batch_size),
	  RANGE(1, 65536), .dflt = "1000",
	  .help = "Changes in a batch, at most." },
	{ "sync.max_lag", FR_SCHEMA_DURATION, RELOADABLE, AT(sync.max_lag_ms),
	  RANGE(1, D(1)), .dflt = "\"10s\"",
	  .help = "A peer that leaves changes unacknowledged for longer is lagging: the node is "
		  "degraded. Nothing is ever held up for it." },

	{ "data", FR_SCHEMA_SECTION, UNBOUND,
	  .help = "What is replicated, to peers that replicate it too. In brackets: the table's "
		  "name, where it is another one." },
	{ "data.conntrack", FR_SCHEMA_BOOL, AT(data.conntrack),
	  .dflt = "true", .help = "Flows." },
	{ "data.expectations", FR_SCHEMA_BOOL, AT(data.expectations),
	  .dflt = "true",
	  .help = "Flows that helpers expect, such as the data connections of FTP (expectation); "
		  "only with conntrack." },
	{ "data.nft_sets", FR_SCHEMA_SETS, AT(data.nft_sets),
	  RANGE(0, FR_CONFIG_SETS_MAX), .dflt = "[\"dynamic\"]",
	  .help = "Elements of these nftables sets (nft_set): patterns \"family/table/set\"; "
		  "\"dynamic\" stands for all sets with the flag dynamic or timeout. The sets "
		  "themselves must be there on all nodes." },
	{ "data.dhcp_leases", FR_SCHEMA_BOOL, AT(data.dhcp_leases),
	  .dflt = "true", .help = "DHCP leases (lease)." },
	{ "data.dns_records", FR_SCHEMA_BOOL, AT(data.dns_records),
	  .dflt = "true", .help = "Local DNS records (dns)." },
	{ "data.learning_state", FR_SCHEMA_BOOL, AT(data.learning_state),
	  .dflt = "true", .help = "Learned policy (learning)." },
	{ "data.configuration", FR_SCHEMA_BOOL, AT(data.configuration),
	  .dflt = "true", .help = "Configuration files (config)." },
	{ "data.metrics", FR_SCHEMA_BOOL, AT(data.metrics),
	  .dflt = "false", .help = "Counters (metric)." },

	{ "conntrack", FR_SCHEMA_SECTION, UNBOUND,
	  .help = "Which flows are replicated, and how a standby keeps them." },
	{ "conntrack.min_state", FR_SCHEMA_CHOICE, RELOADABLE,
	  AT(conntrack.min_state), .dflt = "\"assured\"",
	  WORDS("assured", "all"),
	  .help = "assured: a flow counts once its handshake is done, or for protocols without "
		  "one, once it was answered. all: from its first packet." },
	{ "conntrack.accept", FR_SCHEMA_PROTOS, RELOADABLE,
	  AT(conntrack.accept), RANGE(1, FR_CONFIG_PROTOS_MAX),
	  .dflt = "[\"tcp\", \"udp\", \"icmp\", \"icmpv6\", \"sctp\", \"dccp\", \"gre\", "
		  "\"udplite\", \"other\"]",
	  WORDS(PROTO_NAMES),
	  .help = "Protocols. other: all that have no name here, such as ESP, AH and OSPF; their "
		  "flows are told apart by their addresses alone." },
	{ "conntrack.ignore_networks", FR_SCHEMA_NETWORKS, RELOADABLE,
	  AT(conntrack.ignore_networks), RANGE(0, FR_CONFIG_NETWORKS_MAX),
	  .dflt = "[\"127.0.0.0/8\", \"::1/128\"]",
	  .help = "Flows from or to these are not replicated. Setting it replaces the default; "
		  "keep the loopback networks in it, and add the nodes' own addresses." },
	{ "conntrack.zones", FR_SCHEMA_ZONES, RELOADABLE, AT(conntrack.zones),
	  RANGE(0, FR_CONFIG_ZONES_MAX), .dflt = "[]",
	  .help = "Conntrack zones. Empty: all." },
	{ "conntrack.mark", FR_SCHEMA_MASK, RELOADABLE, AT(conntrack.mark),
	  RANGE(0, UINT32_MAX), .dflt = "0",
	  .help = "With mark_mask: only flows with (mark & mark_mask) equal to this." },
	{ "conntrack.mark_mask", FR_SCHEMA_MASK, RELOADABLE,
	  AT(conntrack.mark_mask), RANGE(0, UINT32_MAX), .dflt = "0",
	  .help = "The bits that mark is about. 0: every flow." },
	{ "conntrack.hold", FR_SCHEMA_SECONDS, RELOADABLE, AT(conntrack.hold_s),
	  RANGE(1, 2000000), .dflt = "\"24h\"",
	  .help = "How long a standby keeps a flow it never saw a packet of. Its owner's delete "
		  "removes it sooner." },
	{ "conntrack.orphan_grace", FR_SCHEMA_SECONDS, RELOADABLE,
	  AT(conntrack.orphan_grace_s), RANGE(0, 86400), .dflt = "\"60s\"",
	  .help = "When the agent is gone for this long, held flows get ordinary timeouts." },

	{ "conflict_resolution", FR_SCHEMA_SECTION, UNBOUND,
	  .help = "Where all nodes write: who wins when two wrote the same lease, DNS record, "
		  "file or element of an nft map and neither had seen the other, or leased one "
		  "address twice. Must be the same on all nodes. Flows, learning and metrics merge, "
		  "and have no conflicts." },
	{ "conflict_resolution.strategy", FR_SCHEMA_CHOICE,
	  AT(conflict_resolution.strategy), .dflt = "\"timestamp\"",
	  WORDS("timestamp", "priority", "manual"),
	  .help = "timestamp: the later write; of equal ones that of the node with the higher "
		  "priority, then of the node_id later in the alphabet. priority: that of the node "
		  "with the higher priority, then the later. manual: nobody, until somebody decides; "
		  "each node goes on with its own value, and is degraded." },
	{ "conflict_resolution.priorities", FR_SCHEMA_MAP,
	  AT(conflict_resolution.priorities), RANGE(0, 1000000), .dflt = "{}",
	  .help = "node_id = number; the higher one wins. Who is not named has 0." },
	{ "conflict_resolution.timestamp_resolution", FR_SCHEMA_CHOICE,
	  AT(conflict_resolution.timestamp_resolution),
	  .dflt = "\"millisecond\"",
	  WORDS("second", "millisecond", "microsecond", "nanosecond"),
	  .help = "Stamps that differ by less are equal. Clocks are read in milliseconds; finer "
		  "than that, what was written first within one counts." },
	{ "conflict_resolution.clock_skew_tolerance", FR_SCHEMA_DURATION,
	  AT(conflict_resolution.clock_skew_tolerance_ms), RANGE(0, H(1)),
	  .dflt = "\"100ms\"",
	  .help = "Conflicts whose stamps are closer than this are marked: the clocks may have "
		  "decided wrongly. A stamp of a peer further in the future counts as only so far, "
		  "and a clock that is ahead by four fifths of it is a warning in status." },
	{ "conflict_resolution.manual_resolution", FR_SCHEMA_SECTION, UNBOUND,
	  .help = "Of the strategy manual: the conflicts that a person decides, by flyrep "
		  "conflicts resolve." },
	{ "conflict_resolution.manual_resolution.require_approval",
	  FR_SCHEMA_BOOL,
	  AT(conflict_resolution.manual_resolution.require_approval),
	  .dflt = "true",
	  .help = "Wait for an approver. false: the timestamp decides at once." },
	{ "conflict_resolution.manual_resolution.approvers", FR_SCHEMA_STRINGS,
	  AT(conflict_resolution.manual_resolution.approvers),
	  RANGE(0, FR_CONFIG_WORDS_MAX), .dflt = "[]",
	  .help = "Users who may decide, besides root. Empty: whoever may use the API." },
	{ "conflict_resolution.manual_resolution.timeout", FR_SCHEMA_DURATION,
	  AT(conflict_resolution.manual_resolution.timeout_ms),
	  RANGE(0, D(365)), .dflt = "\"1h\"",
	  .help = "After this the timestamp decides. 0: never." },

	{ "filters", FR_SCHEMA_SECTION, UNBOUND,
	  .help = "What is left out. The sender ships no record that does not pass, withdraws one "
		  "that no longer does, and the receiver refuses what its own filters do not let "
		  "pass. So give all nodes the same. What was shipped can always be deleted." },
	{ "filters.zones", FR_SCHEMA_STRINGS, RELOADABLE, AT(filters.zones),
	  RANGE(0, FR_CONFIG_NAMED_ZONES_MAX), .dflt = "[]",
	  .help = "Ship only what belongs to one of these zones, or to none at all. Empty: all." },
	{ "filters.exclude_sensitive", FR_SCHEMA_BOOL, RELOADABLE,
	  AT(filters.exclude_sensitive), .dflt = "true",
	  .help = "Leave out passwords, keys and the like. A file of configuration that sets one "
		  "is held back as a whole, as it would be another file without; status names "
		  "it." },
	{ "filters.sensitive", FR_SCHEMA_STRINGS, RELOADABLE, AT(filters.sensitive),
	  RANGE(0, FR_CONFIG_WORDS_MAX), .dflt = "[]",
	  .help = "More names that are sensitive, of keys in files of configuration and of fields "
		  "of leases, DNS, learning and metrics. Case, - and _ do not matter." },
	{ "filters.custom_filters", FR_SCHEMA_SECTIONS, RELOADABLE,
	  AT(filters.custom_filters), RANGE(0, FR_CONFIG_FILTERS_MAX),
	  LIST_OF(fr_config_filter), .dflt = "[]",
	  .help = "A record is shipped when every condition of its type is true." },
	{ "filters.custom_filters.type", FR_SCHEMA_CHOICE, IN_FILTER(type),
	  .flags = FR_SCHEMA_REQUIRED | FR_SCHEMA_RELOADABLE,
	  WORDS("dhcp", "dns", "learning", "config", "metrics", "conntrack",
		"nft"),
	  .help = "What the condition is about." },
	{ "filters.custom_filters.condition", FR_SCHEMA_STRING,
	  IN_FILTER(condition),
	  .flags = FR_SCHEMA_REQUIRED | FR_SCHEMA_RELOADABLE,
	  .help = "See CONDITIONS below." },

	{ "transformations", FR_SCHEMA_SECTION, UNBOUND,
	  .help = "What is done to data on its way." },
	{ "transformations.anonymize_ips", FR_SCHEMA_BOOL, RELOADABLE,
	  AT(transformations.anonymize_ips), .dflt = "false",
	  .help = "Replace IP addresses in the texts of learning and metrics by others, the same "
		  "for the same on all nodes with this secret; addresses that share a prefix still do. "
		  "Refused beside any table that a kernel or a server must use: conntrack, "
		  "expectations, nft_sets, dhcp_leases, dns_records, configuration. What comes back "
		  "from a peer after a takeover is anonymous for good." },
	{ "transformations.compress_data", FR_SCHEMA_BOOL, RELOADABLE,
	  AT(transformations.compress_data), .dflt = "false",
	  .help = "Compress data at rest: the backups in state_dir." },
	{ "transformations.encrypt_data", FR_SCHEMA_BOOL, RELOADABLE,
	  AT(transformations.encrypt_data), .dflt = "false",
	  .help = "Encrypt data at rest: the backups in state_dir, by AES-256-GCM, with a key "
		  "derived from the secret. They are read with that secret only, as long as it is secret_key "
		  "or one of previous_secret_keys." },

	{ "recovery", FR_SCHEMA_SECTION, UNBOUND,
	  .help = "What happens after a fault." },
	{ "recovery.auto_resync", FR_SCHEMA_BOOL, AT(recovery.auto_resync),
	  .dflt = "true",
	  .help = "Repair a gap or a difference without being asked. False on either node: the "
		  "peer is in state needs_resync until somebody calls flyrep resync." },
	{ "recovery.resync_threshold", FR_SCHEMA_NUMBER,
	  AT(recovery.resync_threshold), RANGE(1, UINT32_MAX), .dflt = "1000",
	  .help = "A peer that returns and lacks more changes than this is compared by digest and "
		  "repaired, where that seems to take fewer bytes than sending the changes." },
	{ "recovery.resync_interval", FR_SCHEMA_DURATION, RELOADABLE,
	  AT(recovery.resync_interval_ms), RANGE(S(1), D(7)), .dflt = "\"1h\"",
	  .help = "Time between full comparisons with a peer." },
	{ "recovery.audit_interval", FR_SCHEMA_DURATION, RELOADABLE,
	  AT(recovery.audit_interval_ms), RANGE(100, D(1)), .dflt = "\"10s\"",
	  .help = "Time between comparisons of what the agent believes with its own kernel." },
	{ "recovery.full_resync", FR_SCHEMA_SECTION, UNBOUND,
	  .help = "Transfer of everything at set times, as by flyrep resync." },
	{ "recovery.full_resync.schedule", FR_SCHEMA_STRING,
	  AT(recovery.full_resync.schedule),
	  .help = "Five fields as in crontab(5), local time, on either node. A time that comes "
		  "twice as clocks change counts once; one that is left out is due in the first "
		  "minute after the gap. Not made up for if the agent was not running. "
		  "Default: never." },
	{ "recovery.full_resync.compression", FR_SCHEMA_BOOL,
	  AT(recovery.full_resync.compression), .dflt = "true",
	  .help = "Compress what a full resync sends, if transport.compression is on." },
	{ "recovery.full_resync.checksum_verification", FR_SCHEMA_BOOL, UNBOUND,
	  .dflt = "true", .only = "true",
	  .help = "Every frame is authenticated before anything of it is applied." },
	{ "recovery.incremental", FR_SCHEMA_SECTION, UNBOUND,
	  .help = "Checkpoints: backups by the clock, see BACKUPS below." },
	{ "recovery.incremental.enabled", FR_SCHEMA_BOOL, RELOADABLE,
	  AT(recovery.incremental.enabled), .dflt = "false",
	  .help = "Write checkpoints." },
	{ "recovery.incremental.checkpoint_interval", FR_SCHEMA_DURATION, RELOADABLE,
	  AT(recovery.incremental.checkpoint_interval_ms), RANGE(S(1), D(7)),
	  .dflt = "\"10m\"", .help = "Time between them." },
	{ "recovery.incremental.max_checkpoints", FR_SCHEMA_NUMBER, RELOADABLE,
	  AT(recovery.incremental.max_checkpoints), RANGE(1, 100000), .dflt = "100",
	  .help = "How many are kept, the newest, those of flyrep checkpoint among them." },

	{ "backup_before_resync", FR_SCHEMA_BOOL, RELOADABLE, AT(backup_before_resync),
	  .dflt = "true",
	  .help = "No resync without a backup: as long as none can be written, this node is not "
		  "overwritten, and status says why. See BACKUPS below. Flows live in the kernel and "
		  "are not backed up." },
	{ "backup_retention", FR_SCHEMA_DURATION, RELOADABLE, AT(backup_retention_ms),
	  RANGE(0, D(3650)), .dflt = "\"7d\"",
	  .help = "How long backups are kept, but for the newest, which stays. 0: for ever." },

	{ "api", FR_SCHEMA_SECTION, UNBOUND,
	  .help = "Where the agent answers questions." },
	{ "api.socket", FR_SCHEMA_PATH, AT(api.socket),
	  .dflt = "\"" FR_CONFIG_API_SOCKET "\"",
	  .help = "Unix socket of the HTTP API, which flyrep(8) uses." },
	{ "api.listen", FR_SCHEMA_ADDRESSES, RELOADABLE, AT(api.listen),
	  .min = FR_CONFIG_API_PORT, .max = FR_CONFIG_API_LISTEN_MAX,
	  .dflt = "[\"127.0.0.1:8080\", \"[::1]:8080\"]",
	  .help = "Addresses and TCP ports of the HTTP API, see API below. [] or \"\": none. One "
		  "that is taken, or not there, is a warning in status, and tried again." },
	{ "api.hosts", FR_SCHEMA_STRINGS, RELOADABLE, AT(api.hosts),
	  RANGE(0, FR_CONFIG_API_HOSTS_MAX), .dflt = "[]",
	  .help = "Names by which clients may call it there, \"name\" or \"name:port\", besides "
		  "the address itself and, on loopback, localhost." },
	{ "api.token_file", FR_SCHEMA_PATH, RELOADABLE, AT(api.token_file),
	  .help = "File of tokens, one on a line, with a name before it or not: who calls over "
		  "TCP must have one. Without it the agent takes the systemd credential api_token, if "
		  "there is one." },
	{ "api.tls", FR_SCHEMA_SECTION, UNBOUND,
	  .help = "TLS on all addresses of api.listen. Both files or none." },
	{ "api.tls.cert_file", FR_SCHEMA_PATH, RELOADABLE, AT(api.tls.cert_file),
	  .help = "Certificate of the API, PEM, intermediate ones after it." },
	{ "api.tls.key_file", FR_SCHEMA_PATH, RELOADABLE, AT(api.tls.key_file),
	  .help = "Its private key, PEM." },
};

const struct fr_schema *fr_schema_rows(size_t *n)
{
	*n = sizeof(rows) / sizeof(rows[0]);
	return rows;
}

bool fr_schema_is_child(const struct fr_schema *parent,
			const struct fr_schema *row)
{
	size_t len = parent ? strlen(parent->path) : 0;

	if (parent &&
	    (strncmp(row->path, parent->path, len) || row->path[len++] != '.'))
		return false;
	return !strchr(row->path + len, '.');
}

const char *fr_schema_name(const struct fr_schema *row)
{
	const char *dot = strrchr(row->path, '.');

	return dot ? dot + 1 : row->path;
}

const struct fr_schema *fr_schema_child(const struct fr_schema *parent,
					const char *key)
{
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (fr_schema_is_child(parent, &rows[i]) &&
		    !strcmp(fr_schema_name(&rows[i]), key))
			return &rows[i];
	return NULL;
}

const char *fr_schema_nearest(const struct fr_schema *parent, const char *key)
{
	struct fr_nearest nearest;
	size_t i;

	fr_nearest_init(&nearest, key);
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (fr_schema_is_child(parent, &rows[i]))
			fr_nearest_offer(&nearest, fr_schema_name(&rows[i]));
	return nearest.best;
}

const char *fr_schema_type_name(enum fr_schema_type type)
{
	static const char *const names[FR_SCHEMA_N_TYPES] = {
		[FR_SCHEMA_SECTION] = "section",
		[FR_SCHEMA_SECTIONS] = "list of sections",
		[FR_SCHEMA_LABELLED] = "labelled section",
		[FR_SCHEMA_MAP] = "node ids to numbers",
		[FR_SCHEMA_BOOL] = "boolean",
		[FR_SCHEMA_NUMBER] = "number",
		[FR_SCHEMA_MASK] = "32-bit mask",
		[FR_SCHEMA_OPTIONAL] = "number",
		[FR_SCHEMA_MARK] = "mark",
		[FR_SCHEMA_DURATION] = "duration",
		[FR_SCHEMA_SECONDS] = "duration",
		[FR_SCHEMA_SIZE] = "size",
		[FR_SCHEMA_STRING] = "string",
		[FR_SCHEMA_CHOICE] = "choice",
		[FR_SCHEMA_NODE_ID] = "node id",
		[FR_SCHEMA_PATH] = "path",
		[FR_SCHEMA_SECRET] = "secret",
		[FR_SCHEMA_ADDRESS] = "address",
		[FR_SCHEMA_ADDRESSES] = "list of addresses",
		[FR_SCHEMA_STRINGS] = "list of strings",
		[FR_SCHEMA_SECRETS] = "list of secrets",
		[FR_SCHEMA_PROTOS] = "list of protocols",
		[FR_SCHEMA_NETWORKS] = "list of networks",
		[FR_SCHEMA_ZONES] = "list of zones",
		[FR_SCHEMA_SETS] = "list of sets",
	};

	return names[type];
}

char *fr_schema_range(const struct fr_schema *row, char *buf, size_t len)
{
	char low[FR_UNITS_TEXT_LEN], high[FR_UNITS_TEXT_LEN];

	buf[0] = '\0';
	switch (row->type) {
	case FR_SCHEMA_NUMBER:
	case FR_SCHEMA_OPTIONAL:
	case FR_SCHEMA_MAP:
		snprintf(buf, len, "%llu to %llu", (unsigned long long)row->min,
			 (unsigned long long)row->max);
		break;
	case FR_SCHEMA_DURATION:
		snprintf(buf, len, "%s to %s",
			 fr_units_format_duration(row->min * FR_UNITS_NS_PER_MS,
						  low),
			 fr_units_format_duration(row->max * FR_UNITS_NS_PER_MS,
						  high));
		break;
	case FR_SCHEMA_SECONDS:
		snprintf(buf, len, "%s to %s",
			 fr_units_format_duration(row->min * FR_UNITS_NS_PER_S,
						  low),
			 fr_units_format_duration(row->max * FR_UNITS_NS_PER_S,
						  high));
		break;
	case FR_SCHEMA_SIZE:
		snprintf(buf, len, "%s to %s",
			 fr_units_format_bytes(row->min, low),
			 fr_units_format_bytes(row->max, high));
		break;
	case FR_SCHEMA_ADDRESSES:
		snprintf(buf, len, "at most %llu of them",
			 (unsigned long long)row->max);
		break;
	case FR_SCHEMA_STRINGS:
		if (!row->max)
			break;
		/* fall through */
	case FR_SCHEMA_SECTIONS:
	case FR_SCHEMA_LABELLED:
	case FR_SCHEMA_SECRETS:
	case FR_SCHEMA_PROTOS:
	case FR_SCHEMA_NETWORKS:
	case FR_SCHEMA_ZONES:
	case FR_SCHEMA_SETS:
		snprintf(buf, len, "%s%llu of them",
			 row->min ? "1 to " : "at most ",
			 (unsigned long long)row->max);
		break;
	default:
		break;
	}
	return buf;
}

bool fr_schema_allows(const char *only, const char *text)
{
	size_t len = strlen(text);

	while (*only) {
		size_t word = strcspn(only, "|");

		if (word == len && !memcmp(only, text, len))
			return true;
		only += word + (only[word] == '|');
	}
	return false;
}
