#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# lab: deadline=900 kernel=6.1
#
# Leases, DNS and other records where every node writes them: what one says, all have in effect;
# whatever is cut, killed, emptied or lost, they come to the same again, and no write goes unseen.

load pair
# shellcheck source=../selftests/lib/mesh.sh
. selftests/lib/mesh.sh

all='data = { dhcp_leases = true, dns_records = true, learning_state = true, configuration = true, metrics = true }'

setup_file() {
	export agent_mode=multi-master agent_nodes
	topo_module
	topo_room 65536
	mesh_up a b c
	export topo_name topo_dir
	for node in a b c; do
		agent_config $node "$all" 'recovery { audit_interval = "2s" }'
		agent_start $node
	done
	wait_until 60 all_in_step
}

# mesh_show NODE: what a test that failed tells of it
mesh_show() {
	item "$1" lease list
	item "$1" record list dns
}

# listing NODE TABLE: all it has of a table
listing() {
	item "$1" record list "$2" | sort
}

# same: all kernels hold the same items
same() {
	local t node
	for t in lease dns learning config metric; do
		for node in $agent_nodes; do
			diff <(listing a $t) <(listing "$node" $t) || return 1
		done
	done
}

# on_all TABLE PATTERN, on_none: each kernel has an item that looks like that, or none has
on_all() {
	local node
	for node in $agent_nodes; do
		listing "$node" "$1" | grep -qE -- "$2" || return 1
	done
}

on_none() {
	local node
	for node in $agent_nodes; do
		! listing "$node" "$1" | grep -qE -- "$2" || return 1
	done
}

agree() {
	wait_until 60 all_in_step
	wait_until 10 same
}

@test "every kind of record, written on every node, is in effect on all" {
	item a lease add scope=lan client=00:00:00:00:00:01 ip=192.0.2.1 hostname=desk
	item b lease add scope=lan client=00:00:00:00:00:02 ip=192.0.2.2
	item c record add dns name=www.example type=A rdata=192.0.2.1 ttl=300
	item a record add learning src_mac=00:00:00:00:00:01 protocol=tcp dst_port=443
	item b record add config path=/etc/app.conf bytes=one
	item c record add metric node_id=c kind=interface name=wan0 counters=1,2,3
	wait_until 20 on_all lease 192.0.2.1
	wait_until 20 on_all lease 192.0.2.2
	wait_until 20 on_all dns www.example
	wait_until 20 on_all learning 00:00:00:00:00:01
	wait_until 20 on_all config /etc/app.conf
	wait_until 20 on_all metric wan0
	agree
	run status a '[.tables[] | select(.table == "lease").entries] | join(" ")'
	assert_output 2
}

@test "any node changes and deletes what another one wrote" {
	item c lease add scope=lan client=00:00:00:00:00:01 ip=192.0.2.1 hostname=tower
	wait_until 20 on_all lease hostname=tower
	item b lease del scope=lan client=00:00:00:00:00:01
	wait_until 20 on_none lease hostname=tower
	item a record del dns name=www.example type=A rdata=192.0.2.1
	wait_until 20 on_none dns www.example
	agree
	item a record add dns name=www.example type=A rdata=192.0.2.1 ttl=600
	wait_until 20 on_all dns ttl=600
	agree
}

@test "what ends at its time ends on all" {
	item b record add dns name=soon.example type=A rdata=192.0.2.9 --expires 20s
	wait_until 20 on_all dns soon.example
	wait_until 60 on_none dns soon.example
	agree
}

@test "many writes on all nodes at once" {
	local node i
	for node in a b c; do
		for i in {1..40}; do
			echo "name=h$i.$node.example type=A rdata=192.0.2.$i ttl=$i"
		done | while read -r line; do
			# shellcheck disable=SC2086
			item $node record add dns $line || exit 1
		done &
	done
	wait
	agree
	run status a '[.tables[] | select(.table == "dns").entries] | join(" ")'
	assert_output 121
}

@test "apart, each goes on; together again, they agree" {
	mesh_cut b
	item a record add dns name=left.example type=A rdata=192.0.2.5 ttl=1
	item b record add dns name=right.example type=A rdata=192.0.2.6 ttl=2
	item b record del dns name=www.example type=A rdata=192.0.2.1
	item b record add dns name=both.example type=A rdata=192.0.2.7 ttl=10
	item a record add dns name=both.example type=A rdata=192.0.2.7 ttl=20
	wait_until 20 listing c dns
	mesh_mend b
	agree
	on_all dns left.example
	on_all dns right.example
	on_none dns www.example
	# The later one, by the clock.
	on_all dns 'both.example .*ttl=20'
}

@test "what is written and deleted while an agent is away is told when it is back" {
	agent_kill c
	item c record add dns name=alone.example type=A rdata=192.0.2.8 ttl=1
	item c record del dns name=left.example type=A rdata=192.0.2.5
	item a record add dns name=meanwhile.example type=A rdata=192.0.2.8 ttl=1
	agent_start c
	agree
	on_all dns alone.example
	on_all dns meanwhile.example
	on_none dns left.example
}

@test "a node that reboots has deleted nothing, and gets all it had" {
	agent_kill a
	mesh_reboot a
	assert_equal "$(listing a dns)" ""
	agent_start a
	agree
	on_all dns alone.example
	on_all config /etc/app.conf
	on_all metric wan0
}

@test "a node that loses its disk takes nothing from the others" {
	item b record add dns name=precious.example type=A rdata=192.0.2.11 ttl=1
	agree
	agent_kill b
	mesh_reboot b
	rm -r "$topo_dir/b"
	agent_config b "$all" 'recovery { audit_interval = "2s" }'
	agent_start b
	agree
	on_all dns precious.example
	log_says a 'comes back without what it wrote'
}

@test "killed and started again in the middle of writes" {
	local i
	for i in {1..6}; do
		item a record add dns name="k$i.example" type=A rdata=192.0.2.1 ttl=1
		item b record add dns name="k$i.example" type=A rdata=192.0.2.1 ttl=2
		agent_kill b
		item b record add dns name="l$i.example" type=A rdata=192.0.2.1 ttl=3
		agent_start b
	done
	agree
	on_all dns l6.example
}

@test "nodes with other rules for conflicts do not talk" {
	agent_kill c
	agent_config c 'conflict_resolution = { strategy = "priority" }' \
		"$all" 'recovery { audit_interval = "2s" }'
	agent_start c
	wait_until 30 log_says a 'conflict_resolution is not the same'
	agent_kill c
	agent_config c "$all" 'recovery { audit_interval = "2s" }'
	agent_start c
	agree
}

@test "validate finds nothing" {
	for node in a b c; do
		validated $node
	done
}
