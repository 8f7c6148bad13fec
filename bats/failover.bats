#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# lab: deadline=500
#
# A live connection survives the firewall it goes through.

load pair

teardown() {
	if [ -n "${topo_name-}" ] && [ -z "${BATS_TEST_COMPLETED-}" ]; then
		pair_tell
		for node in a b; do
			echo "--- $node: $(topo_invalid $node) invalid, flows:"
			topo_list $node
		done
	fi
	pair_down
}

@test "connections finish through b when a dies" {
	FLOWS=1000 run selftests/demo/scene
	assert_success
	assert_output --partial 'Every connection finished'
	assert_output --regexp 'packets judged invalid on b +│ +0 '
}

@test "without flyrep they die, and the demo can tell" {
	REPLICATE=no FLOWS=100 STALL=10 run selftests/demo/scene
	assert_failure 1
	assert_output --partial 'Connections died with a.'
}

@test "a planned handover there and back loses no connection and no packet is invalid" {
	local name
	pair_up 65536
	pair_start
	traffic_serve
	traffic_three 3000000 65536
	for name in tcp tcp6 udp; do
		wait_until 60 traffic_has $name 2
	done
	wait_until 30 in_step

	# In the order of a failover manager: first the addresses go.
	topo_leave a
	fr a role backup
	topo_take b
	fr b role primary
	wait_until 30 in_step b a
	wait_until 30 traffic_has udp $(($(traffic_progress udp) + 5))

	topo_leave b
	fr b role backup
	topo_take a
	fr a role primary
	wait_until 30 in_step
	traffic_finish

	for name in tcp tcp6 udp; do
		cat "$topo_dir/$name.json" "$topo_dir/$name.err"
		run traffic_result $name .ok
		assert_output true
	done
	assert_equal "$(topo_invalid a) $(topo_invalid b)" "0 0"
	run role a
	assert_output primary
}
