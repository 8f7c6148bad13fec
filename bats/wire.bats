#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# lab: deadline=600 kernel=6.12
#
# A node of the previous wire version, as one is while a new release rolls out: it syncs both ways
# where that is safe, and is refused in words where it is not.

load pair

data='data = { dhcp_leases = true, dns_records = true }'

setup_file() {
	pair_up 65536
	agent_config a "$data"
	agent_config b "$data"
	agent_start a
	previous_start b
	wait_until 60 in_step
	load_answer
}

teardown_file() {
	pair_down
}

# previous_start NODE: an agent of the previous version
previous_start() {
	agent_program=$agent_build/previous/flyrepd agent_start "$1"
}

# lease_on NODE IP: its kernel has a lease of that address
lease_on() {
	item "$1" lease list | grep -q "ip=$2"
}

# has_flow, lacks_flow NODE PORT: its kernel has datagrams from that port, or not
has_flow() {
	topo_list "$1" -p udp --orig-port-dst 9 --orig-port-src "$2" | grep -q .
}

lacks_flow() {
	! has_flow "$@"
}

# wire NODE: version of the session with its first peer
wire() {
	status "$1" '.peers[0].wire_version'
}

@test "a replica of the previous version gets what the primary has, and goes on with it" {
	run wire a
	assert_output 1
	log_says a 'peer b: session established, wire version 1'
	load_send -n 500 -r 1000
	item a lease add scope=lan client=02:00:00:00:00:01 ip=192.0.2.1
	item a record add dns name=www.example type=A rdata=192.0.2.80 ttl=300
	wait_until 30 lease_on b 192.0.2.1
	wait_until 60 in_step
	assert_equal "$(topo_list b -p udp --orig-port-dst 9 | wc -l)" 500
	on a conntrack -D -p udp --orig-port-dst 9 --orig-port-src 1030
	wait_until 30 lacks_flow b 1030
	# It takes no references.
	assert_equal "$(status b '.peers[0] | .references + .lost_references')" 0
	agent_kill b
	item a lease add scope=lan client=02:00:00:00:00:02 ip=192.0.2.2
	previous_start b
	wait_until 60 in_step
	lease_on b 192.0.2.2
	validated a
}

@test "what it would not understand it is not sent" {
	local n
	n=$(grep -c 'session established' "$topo_dir/b.log")
	fr a pause
	log_says a 'peer b cannot be told: it speaks wire version 1'
	item a lease add scope=lan client=02:00:00:00:00:03 ip=192.0.2.3
	fr a resume
	wait_until 30 lease_on b 192.0.2.3
	fr a resync --wait
	wait_until 60 in_step
	assert_equal "$(grep -c 'session established' "$topo_dir/b.log")" "$n"
}

@test "it takes over, and the present one follows it" {
	fr a role backup
	fr b role primary
	wait_until 60 in_step b a
	item b lease add scope=lan client=02:00:00:00:00:04 ip=192.0.2.4
	wait_until 30 lease_on a 192.0.2.4
	run fr a resync --wait
	assert_failure 1
	assert_output --partial 'b speaks wire version 1, which has no RESYNC: ask for it there'
	run fr a resync --peer b --wait
	assert_failure 1
	assert_output --partial 'b speaks wire version 1'
	fr b resync --wait
	wait_until 60 in_step b a
	fr b role backup
	fr a role primary
	wait_until 60 in_step
	item a lease add scope=lan client=02:00:00:00:00:05 ip=192.0.2.5
	wait_until 30 lease_on b 192.0.2.5
}

@test "a release that rolls out: the present version is spoken as soon as both can" {
	agent_kill b
	agent_start b
	wait_until 60 in_step
	run wire a
	assert_output 2
	run wire b
	assert_output 2
	lease_on b 192.0.2.5
	wait_until 60 in_step
	load_send -n 1 -f 600 -r 100
	wait_until 30 has_flow b 1624
	on a conntrack -D -p udp --orig-port-dst 9 --orig-port-src 1624
	wait_until 30 lacks_flow b 1624
	# Its end, and its answer if that did not come with the flow.
	[ "$(status b '.peers[0].references')" -ge 1 ]
}

@test "one of the previous version returns to a backlog with references" {
	load_send -n 1 -f 700 -r 100
	wait_until 30 has_flow b 1724
	agent_kill b
	on a conntrack -D -p udp --orig-port-dst 9 --orig-port-src 1724
	previous_start b
	wait_until 60 in_step
	lacks_flow b 1724
	assert_equal "$(status b '.peers[0] | .references + .lost_references')" 0
	validated a
	agent_kill b
	agent_start b
	wait_until 60 in_step
}

@test "where all write it is refused, and both are told why" {
	agent_kill a
	agent_kill b
	agent_mode=active-active agent_config a "$data"
	agent_config b "$data"
	agent_start a
	previous_start b
	wait_until 30 log_says a 'speaks wire version 1 to 1, this node in mode active-active 2 to 2'
	wait_until 30 log_says b 'wire version'
	run status a '.peers[0].connected'
	assert_output false
}
