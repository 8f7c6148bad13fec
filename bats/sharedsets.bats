#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# lab: deadline=900 kernel=6.1
#
# Elements of nft sets where both nodes write them: packets and administrators of each, at once,
# apart, and with sets that are emptied on one of them.

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
	chain look {
		type filter hook prerouting priority mangle;
		udp dport 7 add @seen { ip saddr }
		udp dport 8 update @brief { ip saddr . udp dport }
		udp dport 9 delete @seen { ip saddr }
	}
}'

setup_file() {
	export agent_mode=active-active
	pair_up 65536
	for node in a b; do
		on $node sysctl -qw net.netfilter.nf_conntrack_tcp_be_liberal=1
		agent_config $node 'data = { nft_sets = ["dynamic", "inet/st/*"] }' \
			'recovery { audit_interval = "2s" }'
		load_rules $node
		agent_start $node
	done
	wait_until 60 all_in_step
}

teardown_file() {
	pair_down
}

teardown() {
	local node
	[ -z "${BATS_TEST_COMPLETED-}" ] || return 0
	pair_tell
	for node in a b; do
		echo "--- $node"
		elements $node | head -n 60
		ask $node status | jq -c '.status | .tables, .peers, .nft_sets, .warnings'
	done
}

# both SET PATTERN, neither SET PATTERN
both() {
	holds a "$@" && holds b "$@"
}

neither() {
	lacks a "$@" && lacks b "$@"
}

# packet NODE PORT: from the client to that node
packet() {
	local address=10.1.0.3
	[ "$1" = a ] || address=10.1.0.4
	on client bash -c "echo -n x >/dev/udp/$address/$2"
}

# elements NODE: all of its table, without how long they have left. The kernel 6.1 keeps the set's
# own timeout with the elements that packets add, and with no others.
elements() {
	on "$1" nft list table inet st |
		sed "s/ expires [0-9a-z]*//g; /^\tset seen {/,/^\t}/s/ timeout 1h\>//"
}

# equal: kernels, ledgers, and what each has of the other
equal() {
	wait_until 60 all_in_step
	wait_until 20 same
	validated a
	validated b
}

@test "what packets add on one is on both, and what they delete on the other goes" {
	packet a 7
	wait_until 20 both seen '10\.1\.0\.2 '
	packet b 9
	wait_until 20 neither seen '10\.1\.0\.2 '
	equal
}

@test "packets on both at once are no conflict" {
	packet a 7
	packet b 7
	wait_until 20 both seen '10\.1\.0\.2 '
	equal
	run status a .conflicts_pending
	assert_output 0
}

@test "what administrators add, change and delete on either" {
	nft_on a add element inet st blocked '{ 192.0.2.1 timeout 1h comment "port scan" }'
	nft_on b add element inet st blocked '{ 192.0.2.2 timeout 30m }'
	nft_on a add element inet st nets '{ 10.0.0.0/8, 172.16.0.1-172.16.0.9 }'
	wait_until 20 holds b nets '172\.16'
	nft_on b add element inet st nets '{ 11.0.0.0/8 }'
	nft_on b add element inet st marks '{ 192.0.2.1 : 0x11, 192.0.2.2 : 0x22 }'
	wait_until 20 holds a nets '11\.0\.0\.0/8'
	wait_until 20 both blocked '192\.0\.2\.1 .*comment "port scan"'
	wait_until 20 both blocked '192\.0\.2\.2 '
	equal
	nft_on a delete element inet st blocked '{ 192.0.2.2 }'
	nft_on b delete element inet st nets '{ 10.0.0.0/8 }'
	nft_on a delete element inet st marks '{ 192.0.2.1 }'
	wait_until 20 neither blocked '192\.0\.2\.2 '
	wait_until 20 neither nets '10\.0\.0\.0/8'
	wait_until 20 neither marks '192\.0\.2\.1 '
	equal
	both nets '11\.0\.0\.0/8'
}

@test "an element has the time left that it has there" {
	local there here
	there=$(seconds_left a blocked 192.0.2.1)
	here=$(seconds_left b blocked 192.0.2.1)
	echo "$there there, $here here"
	((here >= there - 2 && here <= there + 4))
}

@test "who refreshes it last keeps it alive on both, and then it ends on both" {
	local end node=a
	packet a 8
	wait_until 5 holds b brief '10\.1\.0\.2 . 8'
	# Three times its time; first one of them sees it, then the other one, then both
	for node in a b 'a b'; do
		end=$((SECONDS + 12))
		while [ $SECONDS -lt $end ]; do
			for one in $node; do
				packet "$one" 8
			done
			both brief '10\.1\.0\.2 . 8'
			wait_tick
		done
	done
	wait_until 30 neither brief '10\.1\.0\.2'
	equal
}

@test "a set that is flushed on one is filled again, and the other keeps it" {
	local i
	for i in {10..99}; do
		echo "add element inet st seen { 10.1.0.$i timeout 1h }"
	done | nft_on a -f -
	wait_until 20 holds b seen '10\.1\.0\.99 '
	for node in a b; do
		nft_on $node flush set inet st seen
		wait_until 30 holds $node seen '10\.1\.0\.99 '
		both seen '10\.1\.0\.10 '
		log_says $node 'inet/st/seen had lost its elements: [0-9]+ came back'
	done
	equal
}

@test "a ruleset that is loaded anew on one has its elements back" {
	{
		echo 'flush ruleset'
		echo "$topo_rules"
		echo "$rules"
	} | nft_on b -f -
	wait_until 30 holds b seen '10\.1\.0\.99 '
	wait_until 30 holds b blocked '192\.0\.2\.1 .*comment "port scan"'
	wait_until 30 holds b nets '11\.0\.0\.0/8'
	equal
	holds a seen '10\.1\.0\.99 '
}

@test "flush ruleset, and the rules some time after it" {
	nft_on a flush ruleset
	wait_until 20 status a '.nft_sets | length == 0'
	# Written meanwhile, it is there afterwards.
	nft_on b add element inet st seen '{ 10.1.0.120 }'
	holds b seen '10\.1\.0\.99 '
	wait_until 20 status a '.warnings | any(contains("inet/st/seen: not on this node"))'
	nft_on a -f - <<<"$topo_rules$rules"
	wait_until 30 both seen '10\.1\.0\.99 '
	wait_until 30 both seen '10\.1\.0\.120 '
	equal
	wait_until 30 status a '.warnings | any(contains("inet/st")) | not'
}

@test "what a reload leaves out of a list is gone on both" {
	nft_on b -f - <<-EOF
		flush set inet st nets
		add element inet st nets { 198.51.100.0/24 }
		flush map inet st marks
		add element inet st marks { 192.0.2.7 : 0x77 }
	EOF
	wait_until 20 both nets '198\.51\.100'
	wait_until 20 neither nets '172\.16'
	wait_until 20 neither marks '192\.0\.2\.2 '
	equal
}

@test "what changed while an agent was away" {
	agent_kill a
	nft_on a delete element inet st seen '{ 10.1.0.50 }'
	nft_on a add element inet st seen '{ 10.1.0.150 }'
	nft_on b delete element inet st seen '{ 10.1.0.51 }'
	nft_on b add element inet st seen '{ 10.1.0.151 }'
	agent_start a
	equal
	both seen '10\.1\.0\.150 '
	both seen '10\.1\.0\.151 '
	neither seen '10\.1\.0\.50 '
	neither seen '10\.1\.0\.51 '
}

@test "a node that was rebooted has its elements back" {
	agent_kill b
	for set in seen blocked; do
		nft_on b flush set inet st $set
	done
	agent_start b
	wait_until 60 holds b seen '10\.1\.0\.99 '
	wait_until 20 holds b blocked '192\.0\.2\.1 '
	equal
	holds a seen '10\.1\.0\.99 '
}

@test "apart, both write: the later data holds, and a person is told" {
	ip -n "$(topo_ns a)" link set sync0 down
	wait_until 30 status a '.connected | not'
	nft_on a add element inet st marks '{ 192.0.2.9 : 0x1 }'
	nft_on a add element inet st seen '{ 10.1.0.180 }'
	nft_on a delete element inet st seen '{ 10.1.0.60 }'
	wait_tick
	nft_on b add element inet st marks '{ 192.0.2.9 : 0x2 }'
	nft_on b add element inet st seen '{ 10.1.0.180, 10.1.0.181 }'
	nft_on b flush set inet st blocked
	ip -n "$(topo_ns a)" link set sync0 up
	wait_until 60 all_in_step
	wait_until 30 both marks '192\.0\.2\.9 : 0x0*2'
	equal
	both seen '10\.1\.0\.181 '
	neither seen '10\.1\.0\.60 '
	both blocked '192\.0\.2\.1 '
	ask a conflicts | jq -e '.conflicts | any(.table == "nft_set")'
}

@test "many at once, on both" {
	local node
	for node in a b; do
		seq 1 10000 | awk -v node=$node '{ printf "add element inet st seen { 10.%d.%d.%d timeout 1h }\n",
			(node == "a" ? 100 : 110) + $1 / 65536, $1 / 256 % 256, $1 % 256 }' |
			nft_on $node -f -
	done
	wait_until 60 status a '.tables[] | select(.table == "nft_set") | .entries > 20000'
	equal
	nft_on a flush set inet st seen
	wait_until 60 same
	equal
}
