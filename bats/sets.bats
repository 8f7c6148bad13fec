#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# lab: deadline=900
#
# Elements of nft sets: those that packets add, those that administrators add, and what
# becomes of them when a ruleset is flushed or loaded anew on one node.

load pair
# shellcheck source=../selftests/lib/elements.sh
. selftests/lib/elements.sh

# The table of both nodes. Packets to UDP port 7 are remembered, those to port 8 for a short time.
rules='
table inet st {
	set seen { type ipv4_addr; flags dynamic,timeout; timeout 1h; }
	set brief { type ipv4_addr . inet_service; flags dynamic,timeout; timeout 8s; }
	set blocked { type ipv4_addr; flags timeout; }
	map marks { type ipv4_addr : mark; }
	set nets { type ipv4_addr; flags interval; }
	set ranges { type ipv4_addr . inet_service; flags interval; }
	chain look {
		type filter hook prerouting priority mangle;
		udp dport 7 add @seen { ip saddr }
		udp dport 8 update @brief { ip saddr . udp dport }
		udp dport 9 delete @seen { ip saddr }
	}
}'

setup_file() {
	pair_up 65536
	agent_config a 'data = { nft_sets = ["dynamic", "inet/st/*"] }'
	agent_config b 'data = { nft_sets = ["dynamic", "inet/st/*"] }'
	load_rules a
	load_rules b
	pair_start
}

teardown_file() {
	pair_down
}

# packet PORT: from the client, by the shell: an interpreter starts as slowly as a guest is
packet() {
	on client bash -c "echo -n x >/dev/udp/10.1.0.1/$1"
}

# in_step and the kernels say so
equal() {
	wait_until 60 in_step "$@"
	wait_until 20 same
	validated a
	validated b
}

@test "what packets add arrives, and what they delete goes" {
	packet 7
	wait_until 20 holds a seen '10\.1\.0\.2 '
	wait_until 20 holds b seen '10\.1\.0\.2 '
	packet 9
	wait_until 20 lacks a seen '10\.1\.0\.2 '
	wait_until 20 lacks b seen '10\.1\.0\.2 '
	equal
}

@test "what an administrator adds, changes and deletes does so there" {
	nft_on a add element inet st blocked '{ 192.0.2.1 timeout 1h comment "port scan", 192.0.2.2 timeout 30m }'
	nft_on a add element inet st marks '{ 192.0.2.1 : 0x11, 192.0.2.2 : 0x22 }'
	nft_on a add element inet st nets '{ 10.0.0.0/8, 11.0.0.0/8, 172.16.0.1-172.16.0.9 }'
	nft_on a add element inet st ranges '{ 10.0.0.0/8 . 80-443, 192.0.2.1 . 53 }'
	wait_until 20 same
	holds b blocked '192\.0\.2\.1 .*comment "port scan"'
	equal
	nft_on a delete element inet st blocked '{ 192.0.2.2 }'
	nft_on a delete element inet st marks '{ 192.0.2.1 }'
	nft_on a add element inet st marks '{ 192.0.2.1 : 0x33 }'
	nft_on a delete element inet st nets '{ 11.0.0.0/8 }'
	nft_on a delete element inet st ranges '{ 192.0.2.1 . 53 }'
	wait_until 20 same
	lacks b blocked '192\.0\.2\.2 '
	equal
}

@test "an element has the time left that it has there" {
	local address before here after
	nft_on a add element inet st blocked '{ 192.0.2.3 timeout 1h expires 10m }'
	wait_until 20 holds b blocked '192\.0\.2\.3 '
	for address in 192.0.2.1 192.0.2.3; do
		before=$(seconds_left a blocked $address)
		here=$(seconds_left b blocked $address)
		after=$(seconds_left a blocked $address)
		echo "$address: $before, then $after there, $here here"
		((here >= after - 1 && here <= before + 3))
	done
	nft_on a delete element inet st blocked '{ 192.0.2.3 }'
	wait_until 20 lacks b blocked '192\.0\.2\.3 '
}

@test "an element that ends goes on both, and one that packets refresh does not" {
	local end
	packet 8
	wait_until 5 holds b brief '10\.1\.0\.2 . 8'
	# Twice its time
	end=$((SECONDS + 16))
	while [ $SECONDS -lt $end ]; do
		packet 8
		holds b brief '10\.1\.0\.2 . 8'
		wait_tick
	done
	wait_until 30 lacks a brief '10\.1\.0\.2'
	wait_until 10 lacks b brief '10\.1\.0\.2'
	equal
}

@test "a set that is flushed on the primary is filled again, and the standby keeps it" {
	local i
	for i in {10..99}; do
		echo "add element inet st seen { 10.1.0.$i timeout 1h }"
	done | nft_on a -f -
	wait_until 20 holds b seen '10\.1\.0\.99 '
	nft_on a flush set inet st seen
	holds b seen '10\.1\.0\.99 '
	wait_until 30 holds a seen '10\.1\.0\.99 '
	equal
	holds a seen '10\.1\.0\.10 '
	holds b seen '10\.1\.0\.10 '
}

@test "a set that packets fill is filled again even if it was flushed and filled at once" {
	nft_on a -f - <<-EOF
		flush set inet st seen
		add element inet st seen { 10.1.0.100 timeout 1h }
	EOF
	wait_until 30 holds a seen '10\.1\.0\.99 '
	equal
	holds b seen '10\.1\.0\.99 '
	holds b seen '10\.1\.0\.100 '
}

@test "a ruleset that is loaded anew on the primary has its elements back" {
	{
		echo 'flush ruleset'
		echo "$topo_rules"
		echo "$rules"
	} | nft_on a -f -
	wait_until 30 holds a seen '10\.1\.0\.99 '
	wait_until 30 holds a blocked '192\.0\.2\.1 .*comment "port scan"'
	equal
	holds b seen '10\.1\.0\.99 '
	log_says a 'inet/st/seen had lost its elements: [0-9]+ came back'
}

@test "flush ruleset, and the rules some time after it" {
	nft_on a flush ruleset
	wait_until 20 status a '.nft_sets | length == 0'
	holds b seen '10\.1\.0\.99 '
	nft_on a -f - <<<"$topo_rules$rules"
	wait_until 30 holds a seen '10\.1\.0\.99 '
	equal
}

@test "what a reload leaves out of a list is gone on both" {
	nft_on a -f - <<-EOF
		flush set inet st nets
		add element inet st nets { 198.51.100.0/24 }
		flush map inet st marks
		add element inet st marks { 192.0.2.7 : 0x77 }
	EOF
	wait_until 20 holds b nets '198\.51\.100'
	wait_until 20 lacks b nets '172\.16'
	equal
	lacks a nets '172\.16'
}

@test "a standby that loses its sets gets them back" {
	nft_on b flush set inet st seen
	equal
	holds b seen '10\.1\.0\.99 '
	{
		echo 'flush ruleset'
		echo "$topo_rules"
		echo "$rules"
	} | nft_on b -f -
	equal
	holds b seen '10\.1\.0\.99 '
}

@test "what changed while an agent was away" {
	agent_kill a
	nft_on a delete element inet st seen '{ 10.1.0.50 }'
	nft_on a add element inet st seen '{ 10.1.0.150 }'
	agent_start a
	equal
	holds b seen '10\.1\.0\.150 '
	lacks b seen '10\.1\.0\.50 '
	agent_kill b
	nft_on a delete element inet st seen '{ 10.1.0.150 }'
	nft_on a add element inet st seen '{ 10.1.0.151 }'
	agent_start b
	equal
	lacks b seen '10\.1\.0\.150 '
}

@test "a primary that was rebooted has its elements back" {
	agent_kill a
	nft_on a flush set inet st seen
	nft_on a flush set inet st blocked
	agent_start a
	wait_until 60 holds a seen '10\.1\.0\.99 '
	wait_until 20 holds a blocked '192\.0\.2\.1 '
	equal
	holds b seen '10\.1\.0\.99 '
}

@test "a set that the standby does not have, or has with another type, is named" {
	nft_on b delete table inet st
	nft_on a add element inet st seen '{ 10.1.0.160 }'
	wait_until 60 status b '.warnings | any(contains("inet/st/seen: not on this node"))'
	run fr b ready
	assert_failure 4
	assert_output --partial 'nft set inet/st/seen: not on this node'
	nft_on b 'add table inet st; add set inet st seen { type ipv6_addr; flags dynamic,timeout; }'
	wait_until 60 status b '.warnings | any(contains("inet/st/seen: of another type here"))'
	run fr b status
	assert_output --partial 'inet/st/seen: of another type here'
	nft_on b delete table inet st
	load_rules b
	equal
	wait_until 30 fr b ready
	holds b seen '10\.1\.0\.160 '
	run status b '.warnings | tostring'
	assert_output '[]'
}

@test "a takeover goes on with them" {
	fr a role backup
	fr b role primary
	wait_until 60 in_step b a
	nft_on b add element inet st seen '{ 10.1.0.170 }'
	nft_on b delete element inet st seen '{ 10.1.0.160 }'
	wait_until 20 holds a seen '10\.1\.0\.170 '
	wait_until 20 lacks a seen '10\.1\.0\.160 '
	equal b a
	nft_on b flush set inet st seen
	wait_until 30 holds b seen '10\.1\.0\.99 '
	equal b a
	holds a seen '10\.1\.0\.99 '
	fr b role backup
	fr a role primary
	equal
}

@test "many at once" {
	seq 1 20000 | awk '{ printf "add element inet st seen { 10.%d.%d.%d timeout 1h }\n",
		100 + $1 / 65536, $1 / 256 % 256, $1 % 256 }' | nft_on a -f -
	wait_until 60 status a '.tables[] | select(.table == "nft_set") | .entries > 20000'
	equal
}
