#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# lab: deadline=900 kernel=6.1
#
# Two nodes that cannot hear each other write the same: who wins, what waits for whom, who may
# decide, and that both come to the same whatever it is.

load pair
# shellcheck source=../selftests/lib/mesh.sh
. selftests/lib/mesh.sh

setup_file() {
	export agent_mode=active-active agent_nodes
	topo_module
	topo_room 65536
	mesh_up a b
	export topo_name topo_dir
	# For a user who may read nothing else.
	cp "$agent_build/flyrep" "$topo_dir/flyrep"
	chmod 755 "$topo_dir" "$topo_dir/flyrep"
}

# mesh_show NODE: what a test that failed tells of it
mesh_show() {
	item "$1" lease list
	item "$1" record list dns
	fr "$1" conflicts || true
}

# nodes_with TEXT: both start anew, with nothing, and these rules for conflicts
nodes_with() {
	local node
	for node in $agent_nodes; do
		agent_kill "$node"
		rm -rf "${topo_dir:?}/$node" "$topo_dir/$node.log"
		mesh_reboot "$node"
	done
	for node in $agent_nodes; do
		agent_config "$node" 'data = { dhcp_leases = true, dns_records = true }' \
			"conflict_resolution = { $1 }" 'recovery { audit_interval = "2s" }'
		agent_start "$node"
	done
	wait_until 60 all_in_step
}

# dns NODE NAME TTL: write a record there
dns() {
	item "$1" record add dns "name=$2" type=A rdata=192.0.2.1 "ttl=$3"
}

# ttl NODE NAME: of the record in its kernel; nothing where there is none
ttl() {
	item "$1" record list dns "name=$2" | grep -oE 'ttl=[0-9]+'
}

# ttl_is NODE NAME TTL
ttl_is() {
	[ "$(ttl "$1" "$2")" = "ttl=$3" ]
}

# both_say NAME TTL: each kernel has it so
both_say() {
	ttl_is a "$1" "$2" && ttl_is b "$1" "$2"
}

# digest NODE TABLE: of what is in effect there; digest_is_not NODE TABLE DIGEST
digest() {
	status "$1" ".tables[] | select(.table == \"$2\").digest"
}

digest_is_not() {
	[ "$(digest "$1" "$2")" != "$3" ]
}

# write NODE lease|dns COMMAND...: and its agent has heard of it
write() {
	local node=$1 table=$2 before
	shift 2
	before=$(digest "$node" "$table")
	"$@"
	wait_until 10 digest_is_not "$node" "$table" "$before"
}

part() {
	mesh_cut a
}

meet() {
	mesh_mend a
	wait_until 60 all_in_step
}

# disagree NAME: a says 1, then b says 2, and neither has heard the other
disagree() {
	part
	write a dns dns a "$1" 1
	write b dns dns b "$1" 2
	meet
}

# leases_are NODE IP CLIENT...: these clients have it, there
leases_are() {
	local node=$1 ip=$2
	shift 2
	[ "$(item "$node" lease list "ip=$ip" | grep -oE 'client=[^ ]*' | sort | xargs)" = \
		"$(printf 'client=%s\n' "$@" | grep -v '=$' | xargs)" ]
}

# conflicts NODE FILTER: jq on the conflicts it knows
conflicts() {
	ask "$1" conflicts | jq -er ".conflicts | $2"
}

# waiting NODE [N]: as many conflicts as that wait there
waiting() {
	[ "$(status "$1" .conflicts_pending)" = "${2:-1}" ]
}

# pending_id NODE: of the only one that waits there
pending_id() {
	fr "$1" conflicts --state pending --json | jq -er '.conflicts[0].id'
}

@test "timestamp: the later write wins on both, and both tell of it" {
	nodes_with 'strategy = "timestamp"'
	disagree later.example
	wait_until 20 both_say later.example 2
	for node in a b; do
		wait_until 20 conflicts $node 'length == 1'
		run conflicts $node '.[0] | [.state, .table, .resolved_by, .sides[.winner].node_id] | join(" ")'
		assert_output 'resolved dns rule b'
	done
	assert_equal "$(conflicts a '.[0].id')" "$(conflicts b '.[0].id')"
	run fr a conflicts
	assert_success
	assert_line --index 1 --regexp ' resolved +dns +later\.example A 192\.0\.2\.1 '
	run fr a conflicts "$(conflicts a '.[0].id')"
	assert_success
	assert_line --regexp '^a  written .*  was in effect here$'
	assert_line --regexp '^b  written .*  won$'
	run fr a status
	assert_success
}

@test "what one has seen of the other is no conflict" {
	dns a seen.example 1
	wait_until 20 both_say seen.example 1
	dns b seen.example 2
	wait_until 20 both_say seen.example 2
	run conflicts a 'length'
	assert_output 1
}

@test "a lease that one renews and the other deletes: the later wins, and it is told" {
	item a lease add scope=lan client=00:00:00:00:00:09 ip=192.0.2.9
	wait_until 20 leases_are b 192.0.2.9 00:00:00:00:00:09
	part
	write b lease item b lease add scope=lan client=00:00:00:00:00:09 ip=192.0.2.9 hostname=desk
	write a lease item a lease del scope=lan client=00:00:00:00:00:09
	meet
	wait_until 20 leases_are b 192.0.2.9
	leases_are a 192.0.2.9
	run conflicts b '.[-1] | [.table, (.sides[.winner] | .node_id, .op)] | join(" ")'
	assert_output 'lease a delete'
}

@test "test-conflict names the winner, and leaves nothing" {
	run fr a test-conflict --peer b
	assert_success
	assert_line --index 0 --partial 'a and b wrote one key now (strategy timestamp)'
	assert_line --index 1 --regexp '^b wins: .'
	run fr a test-conflict --peer c
	assert_failure 1
	run conflicts a '[.[] | select(.table == "test")] | length'
	assert_output 0
}

@test "two leases of one address: one goes on both, and which is told" {
	part
	write a lease item a lease add scope=lan client=00:00:00:00:00:01 ip=192.0.2.7
	write b lease item b lease add scope=lan client=00:00:00:00:00:02 ip=192.0.2.7
	meet
	wait_until 20 leases_are a 192.0.2.7 00:00:00:00:00:02
	wait_until 20 leases_are b 192.0.2.7 00:00:00:00:00:02
	run conflicts a '.[-1] | [.kind, .sides[.winner].node_id] | join(" ")'
	assert_output 'address b'
	run fr a conflicts
	assert_line --partial 'lan 192.0.2.7'
}

@test "priority: the higher one wins, though it wrote first" {
	nodes_with 'strategy = "priority", priorities = { a = 100, b = 50 }'
	disagree rank.example
	wait_until 20 both_say rank.example 1
	run conflicts b '.[0] | [.state, .resolved_by, .sides[.winner].node_id] | join(" ")'
	assert_output 'resolved rule a'
	run fr b test-conflict
	assert_success
	assert_line --index 1 --regexp '^a wins: .'
}

@test "manual: each keeps its own, and is degraded" {
	nodes_with 'strategy = "manual", manual_resolution = { approvers = ["ops"], timeout = "1h" }'
	disagree wait.example
	wait_until 20 waiting a
	wait_until 20 waiting b
	ttl_is a wait.example 1
	ttl_is b wait.example 2
	assert_equal "$(pending_id a)" "$(pending_id b)"
	run fr a status
	assert_failure 4
	assert_line --index 0 --partial '1 conflict pending'
	assert_line --partial 'warning: 1 conflict waits for somebody to decide'
	run fr a conflicts "$(pending_id a)"
	assert_success
	assert_line --index 0 --partial PENDING
	assert_line --index 1 --regexp '^strategy manual, the time decides in '
	assert_line --regexp '^a  written .*  in effect here$'
	run fr a test-conflict
	assert_success
	assert_line --index 1 --partial 'until somebody decides'
}

@test "who is not an approver is refused, and nothing is decided" {
	local id
	id=$(pending_id a)
	chmod 666 "$topo_dir/a.sock"
	as_another() {
		setpriv --reuid daemon --clear-groups "$topo_dir/flyrep" \
			--socket "$topo_dir/a.sock" "$@"
	}
	run as_another conflicts resolve "$id" use_local
	assert_failure 5
	assert_output --partial '"daemon" is not one of the approvers'
	run as_another conflicts "$id"
	assert_success
	waiting a
	waiting b
}

@test "what is not there is refused" {
	run fr a conflicts resolve 12 use_local
	assert_failure 1
	assert_output --partial 'no conflict 12'
	waiting a
}

@test "use_remote: what the other has holds on both, and who decided is told" {
	local id
	id=$(pending_id a)
	run fr a conflicts resolve "$id" use_remote --reason 'b has the new server'
	assert_success
	assert_line --regexp 'resolved by root: b has the new server$'
	wait_until 20 both_say wait.example 2
	wait_until 20 waiting a 0
	wait_until 20 waiting b 0
	wait_until 30 all_in_step
	run fr a status
	assert_success
	run fr b conflicts "$id" --json
	assert_equal "$(jq -r '.conflict.resolved_by' <<<"$output")" a
	run fr a conflicts resolve "$id" use_local
	assert_failure 1
	assert_output --partial 'resolved already, by root'
}

@test "use_local: what this node has holds on both" {
	disagree mine.example
	wait_until 20 waiting a
	run fr a conflicts resolve "$(pending_id a)" use_local
	assert_success
	wait_until 20 both_say mine.example 1
	wait_until 20 waiting b 0
	wait_until 30 all_in_step
}

@test "merge: what each side alone says holds on both" {
	part
	write a lease item a lease add scope=lan client=00:00:00:00:00:05 ip=192.0.2.5 hostname=desk
	write b lease item b lease add scope=lan client=00:00:00:00:00:05 ip=192.0.2.5 zone=dmz
	meet
	wait_until 20 waiting a
	run fr a conflicts resolve "$(pending_id a)" merge --reason 'both are right'
	assert_success
	merged() {
		item "$1" lease list ip=192.0.2.5 | grep hostname=desk | grep zone=dmz
	}
	wait_until 20 merged a
	wait_until 20 merged b
	wait_until 20 waiting a 0
	wait_until 20 waiting b 0
}

@test "a decision outlives the agent that took it" {
	disagree kept.example
	wait_until 20 waiting b
	fr b conflicts resolve "$(pending_id b)" use_remote
	agent_kill b
	agent_start b
	wait_until 60 all_in_step
	wait_until 20 both_say kept.example 1
	wait_until 20 waiting a 0
	waiting b 0
}

@test "what waits outlives its agent" {
	disagree long.example
	wait_until 20 waiting a
	wait_until 20 waiting b
	agent_kill a
	agent_start a
	wait_until 60 all_in_step
	waiting a
	ttl_is a long.example 1
	ttl_is b long.example 2
	fr a conflicts resolve "$(pending_id a)" use_local
	wait_until 20 both_say long.example 1
}

@test "two leases of one address wait too, and one is chosen" {
	part
	write a lease item a lease add scope=lan client=00:00:00:00:00:01 ip=192.0.2.8
	write b lease item b lease add scope=lan client=00:00:00:00:00:02 ip=192.0.2.8
	meet
	wait_until 20 waiting a
	run fr a conflicts resolve "$(pending_id a)" merge
	assert_failure 1
	assert_output --partial 'cannot be merged'
	waiting a
	fr a conflicts resolve "$(pending_id a)" use_local --reason 'the printer'
	wait_until 20 leases_are a 192.0.2.8 00:00:00:00:00:01
	wait_until 20 leases_are b 192.0.2.8 00:00:00:00:00:01
	wait_until 20 waiting a 0
	wait_until 20 waiting b 0
}

@test "the time decides what nobody does, by the stamps" {
	nodes_with 'strategy = "manual", manual_resolution = { timeout = "3s" }'
	disagree late.example
	wait_until 30 both_say late.example 2
	for node in a b; do
		wait_until 20 conflicts $node 'map(select(.state == "expired")) | length == 1'
		waiting $node 0
	done
	run fr a conflicts --state expired
	assert_success
	assert_line --index 1 --partial 'late.example'
}
