#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# lab: deadline=400
#
# Flows that have more than most: a helper, labels, counters. On a pair, through a failover.

load pair

setup_file() {
	pair_up 65536
	modprobe -a nf_conntrack_ftp nf_nat_ftp nf_conntrack_sip nf_nat_sip
	for node in a b; do
		on $node sysctl -qw net.netfilter.nf_conntrack_acct=1
		on $node nft -f - <<-EOF
			table inet fw {
				ct helper ftp { type "ftp" protocol tcp; }
				ct helper sip { type "sip" protocol udp; }
				chain extras {
					type filter hook prerouting priority filter; policy accept;
					tcp dport 21 ct helper set "ftp"
					udp dport 5060 ct helper set "sip"
					udp dport 9 ct label set 42
				}
			}
		EOF
	done
	pair_start
	load_answer
	ip netns exec "$(topo_ns server)" selftests/lib/ftp.py serve >"$topo_dir/ftp.serve" 3>&- &
	disown
	wait_until 30 grep -q serving "$topo_dir/ftp.serve"
}

teardown_file() {
	xargs -r kill <"$topo_dir/keepers"
	pair_down
}

# has NODE PATTERN: a line of its list
has() {
	on "$1" conntrack -L -o extended 2>/dev/null | grep -qE -- "$2"
}

# labelled NODE COUNT: so many flows of its kernel have label 42
labelled() {
	[ "$(on "$1" "$agent_build/flyrep" kernel snapshot --json |
		jq '[.[] | select(.labels == [42])] | length')" -eq "$2" ]
}

@test "a label arrives, and both nodes agree" {
	load_send -n 5
	wait_until 20 labelled a 5
	wait_until 20 labelled b 5
	wait_until 30 in_step
	validated a
}

@test "the helper of an FTP session arrives" {
	mkfifo "$topo_dir/ftp.go"
	ip netns exec "$(topo_ns client)" selftests/lib/ftp.py session 10.2.0.2 "$topo_dir/ftp.go" \
		>"$topo_dir/ftp.out" 2>"$topo_dir/ftp.err" 3>&- &
	disown
	# Keeps the other end of it open from test to test.
	tail -f /dev/null >"$topo_dir/ftp.go" 3>&- &
	echo $! >>"$topo_dir/keepers"
	disown
	wait_until 30 has a 'tcp .* ESTABLISHED .* dport=21 .* helper=ftp'
	wait_until 30 has b 'tcp .* ESTABLISHED .* dport=21 .* helper=ftp'
}

# told NODE: it expects one data connection, through the address that moves
told() {
	[ "$(on "$1" "$agent_build/flyrep" kernel snapshot expectation --json |
		jq -c 'map(select(.helper != "sip") | [.master.dport, .expected.dst, .expectfn])')" = \
		'[[21,"10.2.0.1","nat-follow-master"]]' ]
}

@test "what an FTP session announces arrives, and goes when it was met" {
	echo port >"$topo_dir/ftp.go"
	wait_until 30 told a
	wait_until 30 told b
	run on b "$agent_build/flyrep" kernel snapshot expectation
	assert_output --regexp 'update +remote +expectation tcp +10.2.0.2:0 > 10.2.0.1:[0-9]+  master tcp +10.1.0.2:[0-9]+ > 10.2.0.2:21'
	wait_until 30 in_step
	validated a
	echo retr >"$topo_dir/ftp.go"
	wait_until 30 lines 1
	wait_until 30 expects_none b
	wait_until 30 in_step
	validated a
}

# sip_is NODE FLAGS: the registration that its kernel expects calls for
sip_is() {
	[ "$(on "$1" "$agent_build/flyrep" kernel snapshot expectation --json |
		jq -c '[.[] | select(.helper == "sip") | .flags]')" = "[$2]" ]
}

# sip_run NODE ROLE...: a program there, which does something for each line of its FIFO
sip_run() {
	local node=$1 fifo=$topo_dir/sip.$1
	shift
	mkfifo "$fifo"
	ip netns exec "$(topo_ns "$node")" selftests/lib/sip.py "$@" "$fifo" 3>&- &
	disown
	tail -f /dev/null >"$fifo" 3>&- &
	echo $! >>"$topo_dir/keepers"
	disown
}

# sip_is_served: what comes before that is lost
sip_is_served() {
	[ -n "$(on server ss -Hlun sport = :5060)" ]
}

@test "a registration with SIP arrives, and wakes on the standby too" {
	sip_run server serve
	wait_until 30 sip_is_served
	sip_run client session 10.2.0.2
	echo >"$topo_dir/sip.client"
	echo >"$topo_dir/sip.server"
	wait_until 30 sip_is b '["permanent"]'
	# Once more: it sleeps until the answer, which raises no event.
	echo >"$topo_dir/sip.client"
	wait_until 30 sip_is b '["permanent","inactive"]'
	echo >"$topo_dir/sip.server"
	wait_until 30 sip_is a '["permanent"]'
	wait_until 60 sip_is b '["permanent"]'
	wait_until 30 in_step
	validated a
}

@test "a data connection announced before the failover comes through after it" {
	echo port >"$topo_dir/ftp.go"
	wait_until 30 told b
	topo_cut a
	agent_kill a
	topo_take b
	fr b role primary
	echo retr >"$topo_dir/ftp.go"
	wait_until 60 lines 2
}

@test "and so does one announced after it" {
	echo get >"$topo_dir/ftp.go"
	wait_until 60 lines 3
	run cat "$topo_dir/ftp.out" "$topo_dir/ftp.err"
	assert_output $'as it was\nas it was\nas it was'
	assert_equal "$(topo_invalid b)" 0
}

# lines COUNT: so many files were read
lines() {
	[ "$(wc -l <"$topo_dir/ftp.out")" -eq "$1" ]
}

# expects_none NODE
expects_none() {
	[ "$(on "$1" "$agent_build/flyrep" kernel snapshot expectation --json)" = '[]' ]
}
