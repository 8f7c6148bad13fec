#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# lab: deadline=900 memory=4096 kernel=6.12
#
# Whatever was missed is found and repaired: agents stopped and killed, links
# down, the module away. After each, both sides compare deeply and are equal.
#
#   FLOWS=300000   flows made while the agent is stopped
#   OUTAGE_S=5     how long the link is away under load
#   RATE=1000      flows a second of that load, 0: as fast as it goes

load pair

setup_file() {
	pair_up 400000
	pair_start
	load_answer
}

teardown_file() {
	pair_down
}

# equal: in step, and nothing missing, stale or different in either kernel
equal() {
	wait_until 240 in_step
	validated a
	validated b
	assert_equal "$(status a .tables[0].entries)" "$(status b .tables[0].entries)"
}

# passed SECONDS: since $begin
passed() {
	[ $((EPOCHSECONDS - begin)) -ge "$1" ]
}

@test "300 000 flows made while the agent of the primary was stopped" {
	local flows=${FLOWS:-300000}
	agent_signal a STOP
	load_send -n "$flows"
	assert [ "$(topo_flows a)" -ge "$flows" ]
	agent_signal a CONT
	wait_until 240 in_step
	assert [ "$(entries b)" -ge "$flows" ]
	equal
	assert [ "$(topo_flows b)" -ge "$flows" ]
}

@test "and all of them deleted while it was stopped" {
	agent_signal a STOP
	on a conntrack -F
	load_send -n 1000 -f 600000 -r 2000
	agent_signal a CONT
	wait_until 240 in_step
	assert [ "$(entries b)" -lt 2000 ]
	equal
}

# b is there, and no change waits for it longer than max_lag
keeps_up() {
	status a '.peers[0] | .connected and .lag_ms < 10000' >/dev/null
}

@test "a link away under load" {
	local begin=$EPOCHSECONDS load
	ip netns exec "$topo_name-client" "$agent_build/bench/gen" send -i eth0 \
		-m "$topo_mac_lan" -n 1000000 -f 700000 -r "${RATE:-1000}" \
		>/dev/null 3>&- &
	load=$!
	ip -n "$topo_name-a" link set sync0 down
	wait_until 60 passed "${OUTAGE_S:-5}"
	ip -n "$topo_name-a" link set sync0 up
	wait_until 120 keeps_up
	kill $load
	equal
}

@test "the replica's agent killed under load" {
	load_send -n 3000 -f 1800000 -r 1000 &
	local load=$!
	agent_kill b
	wait $load
	agent_start b
	equal
}

@test "the primary's agent killed under load" {
	load_send -n 3000 -f 1900000 -r 1000 &
	local load=$!
	agent_kill a
	wait $load
	agent_start a
	equal
}

# Both firewalls of one guest share it, so it goes from both.
@test "the module unloaded and loaded again" {
	rmmod flyrep
	run fr a ready
	assert_failure 4
	assert_output --partial module
	load_send -n 1000 -f 2000000 -r 1000
	topo_module
	wait_until 60 in_step
	equal
	# Flows born meanwhile raise no events: nothing tells of their end.
	on a conntrack -D -p udp -s 10.64.0.34
	wait_until 60 has_at_most a "$(topo_flows a)"
	wait_until 30 in_step
	equal
}

# has_at_most NODE COUNT: flows in its index, next to those between the agents, which do not travel
has_at_most() {
	[ "$(entries "$1")" -le "$2" ]
}

# refused: how many records b's kernel did not take
refused() {
	status b '.peers[0].refused'
}

has_refused() {
	[ "$(refused)" -gt 0 ]
}

# b has flows of its own, so its table is full before that of a.
@test "a standby whose table is full says so, and is repaired when there is room" {
	local max mac sessions
	mac=$(on b cat /sys/class/net/lan0/address)
	max=$(sysctl -n net.netfilter.nf_conntrack_max)
	sessions=$(grep -c 'session established' "$topo_dir/b.log")
	on client "$agent_build/bench/gen" send -q -i eth0 -m "$mac" -n 3000 -f 2600000
	sysctl -qw net.netfilter.nf_conntrack_max="$(($(topo_flows b) + 200))"
	load_send -n 2000 -f 2700000 -r 1000
	wait_until 30 has_refused
	run fr b ready
	assert_failure 4
	assert_output --regexp 'the kernel refused [0-9]+ records; it has [0-9]+ flows of at most'
	sysctl -qw net.netfilter.nf_conntrack_max="$max"
	wait_until 60 in_step
	equal
	wait_until 30 fr b ready
	# None of it cost the session.
	assert_equal "$(grep -c 'session established' "$topo_dir/b.log")" "$sessions"
}

@test "an old primary that returns steps down and takes over what the new one has" {
	topo_cut a
	agent_kill a
	topo_take b
	run fr b role primary
	assert_success
	load_send -n 1000 -f 2100000 -r 1000
	topo_leave a
	topo_mend a
	agent_start a
	wait_until 60 in_step b a
	run role a
	assert_output backup
	run role b
	assert_output primary
	run log_says a 'stepping down'
	assert_success
	validated b
	assert_equal "$(entries a)" "$(entries b)"
}
