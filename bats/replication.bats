#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# lab: deadline=600
#
# What happens on the primary's kernel happens on its replica's.

load pair

setup_file() {
	pair_up 65536
	pair_start
	load_answer
	traffic_serve
}

teardown_file() {
	pair_down
}

# listed NODE PATTERN...: each is in a line of its list
listed() {
	local node=$1 list p
	shift
	list=$(topo_list "$node")
	for p in "$@"; do
		grep -qE -- "$p" <<<"$list" || return 1
	done
}

@test "TCP, UDP and ICMP of both families arrive as they are: NAT, mark, state" {
	local flows=(
		'^icmp .* src=10\.1\.0\.2 dst=10\.2\.0\.2 type=8 .* src=10\.2\.0\.2 dst=10\.2\.0\.1 type=0'
		'^icmpv6 .* src=fd01::2 dst=fd02::2 type=128'
		'^udp .* src=10\.1\.0\.2 .* dport=5002 .* dst=10\.2\.0\.1 '
		'^udp .* src=fd01::2 .* dport=5002 .* dst=fd01::2 '
		'^tcp .* ESTABLISHED src=10\.1\.0\.2 .* dport=5001 .* dst=10\.2\.0\.1 .* \[ASSURED\] mark=81'
		'^tcp .* ESTABLISHED src=fd01::2 .* dport=5001 .* dst=fd01::2 .* \[ASSURED\] mark=81'
	)
	traffic_start tcp download 10.2.0.2 65536 8192 "$topo_dir/tcp.progress"
	traffic_start tcp6 download fd02::2 65536 8192 "$topo_dir/tcp6.progress"
	traffic_start udp datagrams 10.2.0.2 0.2 "$topo_dir/udp.progress" "$topo_dir/hurry"
	traffic_start udp6 datagrams fd02::2 0.2 "$topo_dir/udp6.progress" "$topo_dir/hurry"
	for name in tcp tcp6 udp udp6; do
		wait_until 60 traffic_has $name 1
	done
	# Last, as such a flow ends after half a minute.
	on client ping -q -c 1 10.2.0.2
	on client ping -q -c 1 fd02::2
	wait_until 20 listed a "${flows[@]}"
	wait_until 20 listed b "${flows[@]}"
	traffic_finish
	wait_until 20 pair_same -p udp
}

@test "a thousand UDP flows and a thousand handshakes arrive, none too many" {
	load_send -n 1000 -r 1000
	load_send -t -n 1000 -r 1000
	wait_until 30 in_step
	run topo_list b -p udp --orig-port-dst 9
	assert_equal "${#lines[@]}" 1000
	run topo_list b -p tcp --orig-port-dst 80 --state ESTABLISHED
	assert_equal "${#lines[@]}" 1000
	pair_same
}

@test "a mark set later arrives" {
	on a nft add rule inet fw judge udp sport 1024 ct mark set 0x1234
	load_send -n 1
	wait_until 20 listed b '^udp .* sport=1024 dport=9 .* mark=4660'
}

@test "a flow that goes away goes away there" {
	on a conntrack -D -p udp --orig-port-dst 9 --orig-port-src 1025
	on a conntrack -D -p tcp --orig-port-dst 80
	wait_until 30 in_step
	run topo_list b -p udp --orig-port-dst 9
	assert_equal "${#lines[@]}" 999
	run topo_list b -p tcp --orig-port-dst 80
	assert_equal "${#lines[@]}" 0
}

@test "what a standby loses is brought back" {
	on b conntrack -D -p udp --orig-port-dst 9
	wait_until 60 pair_same -p udp
	wait_until 30 in_step
}

@test "status, lag, ready, role and validate tell how it is" {
	run fr a status
	assert_success
	assert_output --partial 'in sync'
	run role a
	assert_output primary
	run role b
	assert_output backup
	run ask a lag
	assert_success
	run jq -e '.peers[0] | .id == "b" and .samples > 0 and .p50_ms > 0 and .p50_ms <= .p99_ms' \
		<<<"$output"
	assert_success
	wait_until 30 fr b ready
	validated a
	validated b
}

@test "peers, queue, debug, top and events tell how it is" {
	local out=$topo_dir/top.json
	run fr a peers
	assert_success
	assert_line --regexp '^b +backup +in sync '
	run fr b peers
	assert_success
	assert_line --regexp '^a +primary +in sync '
	run fr a queue status
	assert_success
	assert_line --regexp '^ring +room for [0-9 ]+ changes a CPU, [0-9 ]+ queued so far, [0-9 ]+ drained'
	assert_line --regexp '^backlog +[0-9 ]+ changes in '
	assert_line --regexp '^b +in sync +out +0 '
	run fr b queue status
	assert_line --regexp '^a +in sync +in '
	run fr a debug --peer b
	assert_success
	assert_line '  state: in sync'
	assert_line 'ship: to this peer'
	assert_line --regexp '^  conntrack +out +[0-9 ]+ '
	refute_line 'receive: from this peer'
	run fr b debug
	assert_success
	assert_line 'receive: from this peer'
	# While flows are made, both ends see them pass.
	"$agent_build/flyrep" --socket "$topo_dir/a.sock" top --json --watch=1 >"$out" 3>&- &
	local pid=$!
	wait_until 30 test -s "$out"
	load_send -n 500 -r 1000
	wait_until 30 in_step
	wait_until 30 has_rate "$out"
	kill "$pid"
	[ "$(status a '.tables[0].changes_out')" -ge 500 ]
	[ "$(status b '.tables[0].changes_in')" -ge 500 ]
	[ "$(status b '.tables[0].changes_out')" -eq 0 ]
	run fr a events
	assert_success
	assert_line --regexp ' peer_up +b  '
}

has_rate() {
	jq -es 'any(.[]; .tables[0].out_per_s > 0)' "$1" >/dev/null 2>&1
}

@test "a standby ships nothing and captures no echo" {
	run status b .sequence
	assert_output 0
	run status b .peers[0].tx_bytes
	assert [ "$output" -gt 0 ]
}

@test "a flushed primary empties its replica, and fills it again" {
	on a conntrack -F
	wait_until 30 in_step
	run topo_list b -p udp --orig-port-dst 9
	assert_equal "${#lines[@]}" 0
	load_send -n 500 -r 1000
	wait_until 30 in_step
	run topo_list b -p udp --orig-port-dst 9
	assert_equal "${#lines[@]}" 500
}

# counted NODE COUNTER: of its first peer
counted() {
	status "$1" ".peers[0].$2"
}

# has_references N: the replica was told of more than N records so
has_references() {
	[ "$(counted b references)" -gt "$1" ]
}

@test "what both know travels by reference, and nothing is lost by it" {
	local n
	wait_until 60 in_step
	n=$(counted b references)
	load_send -n 500 -r 2000
	load_send -t -n 500 -r 1000
	wait_until 30 in_step
	wait_until 20 has_references "$n"
	n=$(counted b references)
	on a conntrack -D -p tcp --orig-port-dst 80
	wait_until 20 has_references $((n + 400))
	wait_until 30 in_step
	assert_equal "$(counted b lost_references)" 0
	assert_equal "$(counted a references)" 0
	run fr b status --verbose
	assert_output --regexp "a: [0-9 ]+ changes came by reference"
	pair_same
}

@test "a flow that the replica has lost is repaired, whatever is told of it by reference" {
	load_send -n 300 -f 2000 -r 2000
	wait_until 30 in_step
	on b conntrack -D -p udp --orig-port-dst 9
	on a conntrack -D -p udp --orig-port-dst 9
	load_send -n 100 -f 3000 -r 2000
	wait_until 60 in_step
	wait_until 20 pair_same
	fr a validate
}
