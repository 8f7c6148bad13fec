#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# lab: deadline=600 kernel=6.12
#
# Two firewalls that both are in charge: traffic moves from one to the other and back, and nobody
# tells the agents.

load pair

setup_file() {
	export agent_mode=active-active
	pair_up 65536
	agent_start a
	agent_start b
	wait_until 60 all_in_step
	traffic_serve
}

teardown_file() {
	pair_down
}

teardown() {
	pair_tell
	[ -n "${BATS_TEST_COMPLETED-}" ] || for node in a b; do
		echo "--- $node: $(topo_invalid $node) invalid"
		topo_list $node
	done
}

# traffic_ok: all of them ended well
traffic_ok() {
	local name
	for name in tcp tcp6 udp; do
		cat "$topo_dir/$name.json" "$topo_dir/$name.err"
		run traffic_result $name .ok
		assert_output true
	done
}

@test "TCP must be tracked liberally, and status and ready say so" {
	run fr a ready
	assert_failure
	assert_output --partial nf_conntrack_tcp_be_liberal
	run status a '.warnings | join(" ")'
	assert_output --partial nf_conntrack_tcp_be_liberal
	for node in a b; do
		on $node sysctl -qw net.netfilter.nf_conntrack_tcp_be_liberal=1
	done
	run fr a ready
	assert_success
}

@test "live connections follow the addresses to b and back, without a word to the agents" {
	traffic_three 3000000 65536
	for name in tcp tcp6 udp; do
		wait_until 60 traffic_has $name 2
	done
	wait_until 30 all_in_step

	topo_leave a
	topo_take b
	wait_until 60 traffic_has udp $(($(traffic_progress udp) + 5))
	wait_until 60 all_in_step

	topo_leave b
	topo_take a
	traffic_finish
	traffic_ok
	assert_equal "$(topo_invalid a) $(topo_invalid b)" "0 0"
	run role a
	assert_output peer
}

@test "what ended on b has ended on a, which had it as its own" {
	is_gone() {
		! topo_list a -p tcp --state ESTABLISHED | grep -q . &&
			! topo_list b -p tcp --state ESTABLISHED | grep -q .
	}
	wait_until 60 is_gone
	wait_until 60 all_in_step
}

@test "connections finish through b when a dies, and a comes back to all of them" {
	rm -f "$topo_dir/hurry"
	traffic_three 3000000 65536
	for name in tcp tcp6 udp; do
		wait_until 60 traffic_has $name 2
	done
	wait_until 30 all_in_step
	topo_cut a
	topo_leave a
	topo_take b
	wait_until 60 traffic_has udp $(($(traffic_progress udp) + 5))
	topo_mend a
	wait_until 60 all_in_step
	traffic_finish
	traffic_ok
	wait_until 60 all_in_step
	topo_leave b
	topo_take a
}
