// SPDX-License-Identifier: GPL-2.0-or-later
#include "verbs.h"

#include "items.h"
#include "kernel.h"

static const struct cli_flag lag_flags[] = {
	{ "max", 0, "DURATION", false,
	  "exit 4 when a peer is further behind than this" },
	{ 0 },
};

static const struct cli_flag role_flags[] = {
	{ "force", 0, NULL, false,
	  "primary: without the votes that quorum.enabled asks for" },
	{ 0 },
};

static const struct cli_flag validate_flags[] = {
	{ "deep", 0, NULL, false,
	  "compare record by record with the kernels, not only digests" },
	{ 0 },
};

static const struct cli_flag resync_flags[] = {
	{ "peer", 0, "PEER", false, "only to or from this node" },
	{ "table", 0, "TABLE", false, "only this table" },
	{ "wait", 0, NULL, false, "until it is done; exit 1 if it fails" },
	{ 0 },
};

static const struct cli_flag conflicts_flags[] = {
	{ "state", 0, "STATE", false,
	  "only these: pending, resolved or expired" },
	{ "reason", 0, "TEXT", false, "resolve: for the record" },
	{ 0 },
};

static const struct cli_flag test_conflict_flags[] = {
	{ "peer", 0, "PEER", false, "with this node; default: the first" },
	{ 0 },
};

static const struct cli_flag backup_flags[] = {
	{ "dry-run", 0, NULL, false, "restore: only tell what would be done" },
	{ "exact", 0, NULL, false,
	  "restore: delete what the backup does not hold" },
	{ 0 },
};

static const struct cli_flag item_flags[] = {
	{ "expires", 0, "DURATION", false, "add: it ends by itself after this" },
	{ "force", 0, NULL, false,
	  "also where a peer owns it, or another has the address" },
	{ 0 },
};

static const struct cli_flag top_flags[] = {
	{ "count", 0, "N", false, "end after so many pictures" },
	{ 0 },
};

static const struct cli_flag debug_flags[] = {
	{ "peer", 0, "PEER", false, "this one; needed where there are several" },
	{ 0 },
};

static const struct cli_flag events_flags[] = {
	{ "follow", 'f', NULL, false, "go on, and tell what happens from now on" },
	{ 0 },
};

static const struct cli_flag doctor_flags[] = {
	{ "config", 0, "FILE", false, "the configuration, if it is another one" },
	{ 0 },
};

static const struct cli_flag filter_flags[] = {
	{ "kernel", 0, NULL, false,
	  "count how many of the records in the kernel pass" },
	{ 0 },
};

/* What the manual pages are checked against. */
static const struct cli_flag scdoc_flags[] = {
	{ "scdoc", 0, NULL, false, NULL },
	{ 0 },
};

/* The only list of verbs there is. */
const struct cli_verb verbs_all[] = {
	{ "status", "", "this node, its peers and what it carries", NULL, NULL,
	  status_run, CLI_AGAIN, "flyrep status --watch" },
	{ "peers", "", "one line for each peer", NULL, NULL, peers_run, CLI_AGAIN,
	  "flyrep peers" },
	{ "lag", "", "how far behind each peer is", NULL, lag_flags, lag_run,
	  CLI_AGAIN, "flyrep lag --max 10s || alert" },
	{ "queue", "status", "what waits on its way from the kernel to the peers",
	  "status", NULL, queue_run, CLI_AGAIN, "flyrep queue status --watch" },
	{ "top", "", "what goes on now: rates, queues and lags; q quits", NULL,
	  top_flags, top_run, CLI_BY_ITSELF, "flyrep top" },
	{ "ready", "", "may this node take over now; exit 4 if not", NULL, NULL,
	  ready_run, CLI_AGAIN, "flyrep ready" },
	{ "role", "[primary|backup|fault]", "show or change what this node is",
	  "primary backup fault", role_flags, role_run, CLI_AGAIN,
	  "flyrep role primary" },
	{ "key", "rotate [PEER]",
	  "replace the keys of the sessions with the peers, without a pause",
	  "rotate", NULL, key_run, CLI_ONCE, "flyrep key rotate" },
	{ "validate", "",
	  "compare this node with its peers; exit 1 if they differ", NULL,
	  validate_flags, validate_run, CLI_AGAIN, "flyrep validate --deep" },
	{ "pause", "", "send and apply nothing; capture goes on", NULL, NULL,
	  pause_run, CLI_ONCE, "flyrep pause" },
	{ "resume", "", "go on after a pause", NULL, NULL, resume_run, CLI_ONCE,
	  "flyrep resume" },
	{ "resync", "[ID]", "send everything again, or tell how far that is",
	  NULL, resync_flags, resync_run, CLI_AGAIN, "flyrep resync --wait" },
	{ "conflicts", "[ID|resolve ID RESOLUTION]",
	  "what two nodes wrote at once; decide what waits", "resolve",
	  conflicts_flags, conflicts_run, CLI_AGAIN,
	  "flyrep conflicts resolve 123 use_local --reason 'as planned'" },
	{ "test-conflict", "",
	  "who would win if this node and a peer wrote one key now", NULL,
	  test_conflict_flags, test_conflict_run, CLI_ONCE,
	  "flyrep test-conflict --peer node2" },
	{ "checkpoint", "", "write a checkpoint now", NULL, NULL,
	  checkpoint_run, CLI_ONCE, "flyrep checkpoint" },
	{ "backup", "[list|create|restore NAME]",
	  "list the backups of this node, take one, write one back into the kernel",
	  "list create restore", backup_flags, backup_run, CLI_AGAIN,
	  "flyrep backup create" },
	{ "debug", "", "all there is to know about one peer", NULL, debug_flags,
	  debug_run, CLI_AGAIN, "flyrep debug --peer node2" },
	{ "events", "", "what happened of late", NULL, events_flags, events_run,
	  CLI_AGAIN, "flyrep events --follow" },
	{ "doctor", "", "what is wrong with this machine, and what to do about it",
	  NULL, doctor_flags, doctor_run, CLI_AGAIN, "flyrep doctor" },
	{ "config", "check|show|schema [FILE]",
	  "check a configuration, show what it comes to, list all keys",
	  "check show schema", scdoc_flags, config_run, CLI_ONCE,
	  "flyrep config check /etc/flyrep/flyrep.hcl" },
	{ "filter", "test TYPE CONDITION [FIELD=VALUE...|-]",
	  "check a condition, and put it to a record; exit 1 if it is false",
	  "test", filter_flags, filter_run, CLI_ONCE,
	  "flyrep filter test dns 'ttl > 60' name=www.example ttl=300" },
	{ "kernel", "status|events|snapshot [TABLE]",
	  "the kernel module itself, without the agent",
	  "status events snapshot", NULL, kernel_run, CLI_AGAIN,
	  "flyrep kernel status" },
	{ "lease", "add|del|list [FIELD=VALUE]...",
	  "leases of addresses and prefixes, in the kernel",
	  "add del list", item_flags, lease_run, CLI_AGAIN,
	  "flyrep lease add scope=lan client=00:1b:21:3c:4d:5e ip=192.0.2.7 --expires 1h" },
	{ "record", "add|del|list TABLE [FIELD=VALUE]...",
	  "records of dns, learning, config and metric, in the kernel",
	  "add del list", item_flags, record_run, CLI_AGAIN,
	  "flyrep record list dns view=lan" },
	{ "completion", "bash", "completion for the shell", "bash", NULL,
	  completion_run, CLI_ONCE, ". <(flyrep completion bash)" },
	{ "help", "[COMMAND]", "this, or more about one command", NULL,
	  scdoc_flags, help_run, CLI_ONCE, "flyrep help lag" },
	{ 0 },
};
