#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# lab: deadline=900 kernel=6.12
#
# Four firewalls in a row: the first writes, each ships on what it holds to the next one. The end
# of it comes through what is cut, killed and taken over in between.

load pair
# shellcheck source=../selftests/lib/mesh.sh
. selftests/lib/mesh.sh

# chain_config NODE BEFORE AFTER: its place in the row, "" for none
chain_config() {
	mkdir -p "$topo_dir/$1"
	{
		cat <<-EOF
			replication {
			  mode = "chain"
			  node_id = "$1"
			  listen_addr = "$(agent_addr "$1"):9001"
			  secret_key = "$agent_secret"
			  state_dir = "$topo_dir/$1"
			  api { socket = "$topo_dir/$1.sock" }
			  conntrack { min_state = "all" }
			  data { dhcp_leases = true }
			  recovery { audit_interval = "2s" }
		EOF
		[ -z "$2" ] || echo "  primary_addr = \"$(agent_addr "$2"):9001\""
		[ -z "$3" ] || echo "  peers = [ { id = \"$3\", address = \"$(agent_addr "$3"):9001\" } ]"
		echo "}"
	} >"$topo_dir/$1.hcl"
	chmod 600 "$topo_dir/$1.hcl"
}

setup_file() {
	export agent_nodes
	topo_module
	topo_room 65536
	mesh_up a b c d
	export topo_name topo_dir
	chain_config a '' b
	chain_config b a c
	chain_config c b d
	chain_config d c ''
	for node in a b c d; do
		agent_start $node
	done
	wait_until 60 chain_in_step
}

# chain_in_step [NODE...]: all say so, and have the same in every table
chain_in_step() {
	local node answers=
	[ $# -gt 0 ] || set -- a b c d
	for node in "$@"; do
		answers+=$(api_get "$node" status | sed '1,/^\r*$/d') || return 1
	done
	jq -es '[.[].status] |
		(map(.tables | map({table, digest})) | unique | length == 1) and
		all(.[].peers[] | select(.connected); .state == "in_sync")' \
		<<<"$answers" >/dev/null 2>&1
}

leased() {
	item "$1" lease list | grep -qF "$2"
}

@test "what the first has, the last has" {
	flow_add a 1001
	flow_add a 1002
	item a lease add scope=lan client=00:00:00:00:00:01 ip=192.0.2.1
	wait_until 30 flow_on_all "1001 1002"
	wait_until 30 leased d 192.0.2.1
	wait_until 60 chain_in_step
	run role a
	assert_output primary
	run role d
	assert_output backup
}

@test "and loses what the first loses" {
	flow_del a 1001
	wait_until 30 flow_on_all 1002
	item a lease del scope=lan client=00:00:00:00:00:01
	is_gone() {
		! leased d 192.0.2.1
	}
	wait_until 30 is_gone
	wait_until 60 chain_in_step
}

@test "what went missing in the middle comes back there, and at the end" {
	on c conntrack -D -p tcp --sport 1002 >/dev/null 2>&1
	wait_until 60 flow_on_all 1002
	wait_until 60 chain_in_step
}

@test "the first is told of a change when the last has it" {
	kill -STOP "$(agent_pid d)"
	flow_add a 1003
	wait_until 30 flows_are c "1002 1003"
	waits() {
		[ "$(status a '.peers[0].backlog_changes')" -gt 0 ]
	}
	wait_until 10 waits
	kill -CONT "$(agent_pid d)"
	wait_until 30 flow_on_all "1002 1003"
	wait_until 60 chain_in_step
	run status a '.peers[0].backlog_changes'
	assert_output 0
}

@test "cut in the middle, both halves go on; mended, the end catches up" {
	mesh_cut c
	flow_add a 1004
	flow_del a 1002
	wait_until 30 flows_are b "1003 1004"
	mesh_mend c
	wait_until 60 flow_on_all "1003 1004"
	wait_until 60 chain_in_step
}

@test "one in the middle is killed and comes back" {
	agent_kill b
	flow_add a 1005
	agent_start b
	wait_until 60 flow_on_all "1003 1004 1005"
	wait_until 60 chain_in_step
}

@test "the first dies, the second takes over, and those behind follow it" {
	agent_kill a
	mesh_cut a
	fr b role primary
	flow_add b 1006
	agent_nodes='b c d' wait_until 60 flow_on_all "1003 1004 1005 1006"
	wait_until 60 chain_in_step b c d
	run status d .epoch
	assert_output "$(status b .epoch)"
}

@test "the old first comes back as the last of the other end" {
	mesh_mend a
	agent_start a
	wait_until 60 flow_on_all "1003 1004 1005 1006"
	run role a
	assert_output backup
	flow_add b 1007
	wait_until 60 flow_on_all "1003 1004 1005 1006 1007"
	wait_until 60 chain_in_step
}

@test "the chain turns round: the last becomes the first" {
	fr b role backup
	fr d role primary
	flow_add d 1008
	wait_until 60 flow_on_all "1003 1004 1005 1006 1007 1008"
	wait_until 60 chain_in_step
	run role a
	assert_output backup
}

@test "a plain replica can be the last one" {
	agent_kill d
	fr b role primary
	sed -i 's/mode = "chain"/mode = "replica"/' "$topo_dir/d.hcl"
	agent_start d
	flow_add b 1009
	wait_until 60 flow_on_all "1003 1004 1005 1006 1007 1008 1009"
	wait_until 60 chain_in_step
}
