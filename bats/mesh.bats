#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# lab: deadline=900 kernel=6.1
#
# Every node writes: what each has, all have; what one deletes, all lose; and after any
# cut, crash or restart they are equal again.

load pair
# shellcheck source=../selftests/lib/mesh.sh
. selftests/lib/mesh.sh

setup_file() {
	export agent_mode=multi-master agent_nodes
	topo_module
	topo_room 65536
	mesh_up a b c
	export topo_name topo_dir
	for node in a b c; do
		agent_start $node
	done
	wait_until 60 all_in_step
}

@test "three nodes: what each has of its own, all have" {
	flow_add a 1001
	flow_add b 1002
	flow_add c 1003
	wait_until 20 flow_on_all "1001 1002 1003"
	wait_until 20 all_in_step
	run status a .ha_role
	assert_output peer
	# Its own, and what it holds for two others.
	run status a '[.tables[0].entries, (.peers[] | .held.entries)] | sort | join(" ")'
	assert_output "1 1 1"
}

@test "the end of a flow on its node is its end on all" {
	flow_del b 1002
	wait_until 20 flow_on_all "1001 1003"
	wait_until 20 all_in_step
}

@test "what an administrator deletes of another node's comes back" {
	flow_del c 1001
	wait_until 30 flow_on_all "1001 1003"
	run status c .lost
	assert_output 1
}

@test "a flow that two nodes have ends on each by itself" {
	flow_add a 1004
	wait_until 20 flow_on_all "1001 1003 1004"
	# b learns of it by itself, while it cannot hear a.
	mesh_cut b
	flow_del a 1004
	wait_until 20 flows_are a "1001 1003"
	flow_add a 1005
	flow_add b 1005
	mesh_mend b
	wait_until 60 all_in_step
	wait_until 20 flow_on_all "1001 1003 1005"
	flow_del a 1005
	# It is b's still, so a and c hold it.
	wait_until 30 all_in_step
	wait_until 30 flow_on_all "1001 1003 1005"
	flow_del b 1005
	wait_until 30 flow_on_all "1001 1003"
}

@test "a connection that ended on one node ends on the other that has it" {
	mesh_cut c
	flow_add a 1006
	flow_add c 1006
	mesh_mend c
	wait_until 60 all_in_step
	wait_until 20 flow_on_all "1001 1003 1006"
	on c conntrack -U -p tcp -s 10.1.0.2 -d 10.2.0.2 --sport 1006 --dport 80 \
		--state TIME_WAIT
	is_over() {
		on a conntrack -L -p tcp --sport 1006 2>/dev/null | grep -q TIME_WAIT
	}
	wait_until 20 is_over
	flow_del a 1006
	flow_del c 1006
	wait_until 30 flow_on_all "1001 1003"
	wait_until 30 all_in_step
}

@test "cut off for a while, each goes on; then all are equal" {
	mesh_cut a
	flow_add a 1010
	flow_add b 1011
	flow_del c 1003
	wait_until 20 flows_are c "1001 1011"
	mesh_mend a
	wait_until 60 all_in_step
	wait_until 20 flow_on_all "1001 1010 1011"
}

@test "an agent is killed and comes back: what happened meanwhile arrives" {
	agent_kill b
	flow_add b 1020
	flow_del b 1011
	flow_add c 1021
	flow_del a 1010
	agent_start b
	wait_until 60 all_in_step
	wait_until 20 flow_on_all "1001 1020 1021"
}


@test "a node that comes back empty takes nothing from the others, and gets all it had" {
	flow_add a 1030
	wait_until 20 flow_on_all "1001 1020 1021 1030"
	agent_kill a
	mesh_reboot a
	assert_equal "$(flow_ports a)" ""
	agent_start a
	wait_until 60 all_in_step
	wait_until 20 flow_on_all "1001 1020 1021 1030"
	log_says b 'comes back empty'
}

@test "nor does it when those that hold for it were restarted meanwhile" {
	flow_add b 1031
	wait_until 20 flow_on_all "1001 1020 1021 1030 1031"
	for node in a b c; do
		agent_kill $node
	done
	mesh_reboot b
	for node in a c b; do
		agent_start $node
	done
	wait_until 60 all_in_step
	wait_until 20 flow_on_all "1001 1020 1021 1030 1031"
}

@test "validate compares with every peer, both ways" {
	run validated a
	assert_success
	run ask a validate --deep
	[ "$(jq -r '.peers | length' <<<"$output")" = 2 ]
}

@test "a node of another mode is refused, and both say so" {
	agent_kill c
	agent_mode='' agent_config c 'listen_addr = "10.9.9.3:9001"'
	sed -i 's/10\.9\.9\.1:9001/10.9.9.1:9001/; /listen_addr.*9\.9\.3/!s/mode = .*/mode = "primary"/' "$topo_dir/c.hcl"
	sed -i '/primary_addr/d; s/^}/  peers = [ { id = "a", address = "10.9.9.1:9001" } ]\n}/' "$topo_dir/c.hcl"
	agent_start c
	wait_until 30 log_says a 'modes do not go together'
	agent_kill c
	rm "$topo_dir/c.hcl" "$topo_dir/c/state"* || true
	agent_start c
	wait_until 60 all_in_step
}

@test "a role is not to be changed" {
	run fr a role backup
	assert_failure
	assert_output --partial "every node writes"
}
