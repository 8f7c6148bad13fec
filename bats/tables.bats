#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# lab: deadline=600
#
# Leases, DNS and other records go the way of flows: the stream, the audits, the
# repairs, the takeover.

load pair

all='data = { dhcp_leases = true, dns_records = true, learning_state = true,
	configuration = true, metrics = true }'

setup_file() {
	pair_up 65536
	agent_config a "${all//$'\n'/}"
	agent_config b "${all//$'\n'/}"
	pair_start
}

teardown_file() {
	pair_down
}

# listed NODE TABLE PATTERN: its kernel has an item of a table that looks like that
listed() {
	item "$1" record list "$2" | grep -qE -- "$3"
}

# gone NODE TABLE PATTERN
gone() {
	! listed "$@"
}

# same: both kernels hold the same items, and no more than that
same() {
	local t
	for t in lease dns learning config metric; do
		diff <(item a record list $t | sort) <(item b record list $t | sort) || return 1
	done
}

# equal [WRITER READER]: in step, and nothing missing, stale or different in either kernel
equal() {
	wait_until 60 in_step "$@"
	validated a
	validated b
}

@test "a lease arrives, changes and goes" {
	item a lease add scope=lan client=00:1b:21:3c:4d:5e ip=192.0.2.7 hostname=desk
	wait_until 20 listed b lease 'client=00:1b:21:3c:4d:5e .*ip=192\.0\.2\.7 .*hostname=desk'
	item a lease add scope=lan client=00:1b:21:3c:4d:5e ip=192.0.2.8
	wait_until 20 listed b lease 'ip=192\.0\.2\.8'
	wait_until 20 gone b lease 'ip=192\.0\.2\.7'
	item a lease del scope=lan client=00:1b:21:3c:4d:5e
	wait_until 20 gone b lease client
	wait_until 20 in_step
}

@test "what a name does to a terminal is not done by a list, which a shell can read back" {
	local name=$'a\e[31m\'b\\\xc2\x9bc\td'
	item a record add dns name="$name" type=A rdata=192.0.2.1
	run item a record list dns
	assert_output --partial "name=\$'a\\033[31m\\'b\\\\\\302\\233c\\011d'"
	refute_output --partial $'\e'
	refute_output --partial $'\xc2\x9b'
	eval "item a record del dns $(item a record list dns | grep -o 'name=.* type=A') rdata=192.0.2.1"
	assert_equal "$(item a record list dns)" ""
	wait_until 20 in_step
}

@test "an item of each table arrives, whatever its length" {
	local long name
	long=$(head -c 15000 /dev/urandom | base64 -w 0)
	name=$(printf 'n%.0s' {1..900})
	item a lease add scope=lan client=00:00:00:00:00:01 ip=192.0.2.1
	item a record add dns name="$name.example" type=A rdata=192.0.2.1 ttl=300
	item a record add dns name=www.example type=A rdata=192.0.2.1 ttl=300
	item a record add learning src_mac=00:00:00:00:00:01 protocol=tcp dst_port=443
	item a record add config path=/etc/flyrep/flyrep.hcl bytes="$long"
	item a record add metric node_id=a kind=interface name=wan0 counters=1,2,3
	wait_until 20 in_step
	same
	listed b dns "name=$name"
	item b record list config | grep -qF "$long"
	assert_equal "$(status a '.tables | map(.entries) | .[1:] | tostring')" '[1,2,1,1,1,0,0]'
	equal
}

@test "status and validate tell of each table" {
	run status b '.tables | map(.table) | tostring'
	assert_output '["conntrack","lease","dns","learning","config","metric","nft_set","expectation"]'
	wait_until 20 status a '.tables | all(.in_step and .buckets_differ == 0)'
	wait_until 20 status b '.tables | all(.in_step)'
	run jq -e '.peers[0].tables | length == 8 and all(.equal)' <<<"$(ask a validate)"
	assert_success
	wait_until 30 fr b ready
}

@test "an item ends at its time, there too" {
	item a record add dns name=soon.example type=A rdata=192.0.2.9 --expires 5s
	wait_until 5 listed b dns soon.example
	wait_until 20 gone a dns soon.example
	wait_until 20 gone b dns soon.example
	equal
}

@test "what changed while an agent was away is repaired" {
	local i
	agent_kill a
	for i in {1..50}; do
		item a record add dns name="host$i.example" type=A rdata="192.0.2.$i"
	done
	item a record del dns name=www.example type=A rdata=192.0.2.1
	item a lease add scope=lan client=00:00:00:00:00:01 ip=192.0.2.99
	agent_start a
	wait_until 60 in_step
	same
	listed b dns host50.example
	agent_kill b
	for i in {1..50}; do
		item a record del dns name="host$i.example" type=A rdata="192.0.2.$i"
	done
	agent_start b
	equal
	same
	gone b dns host50.example
}

@test "what a standby loses by force is noticed at once, and brought back" {
	item b lease del --force scope=lan client=00:00:00:00:00:01
	wait_until 60 same
	equal
	item b lease add --force scope=lan client=00:00:00:00:00:01 ip=192.0.2.77
	wait_until 60 same
	equal
}

@test "addresses that change hands in one go do so there" {
	local i
	agent_signal a STOP
	item a lease add scope=lan client=00:00:00:00:00:02 ip=192.0.2.2
	item a lease add --force scope=lan client=00:00:00:00:00:02 ip=192.0.2.99
	item a lease add scope=lan client=00:00:00:00:00:01 ip=192.0.2.2
	agent_signal a CONT
	wait_until 20 listed b lease 'client=00:00:00:00:00:01 .*ip=192\.0\.2\.2( |$)'
	equal
	same
}

@test "a takeover makes them the new primary's own" {
	fr a role backup
	fr b role primary
	wait_until 60 in_step b a
	item b lease add scope=lan client=00:00:00:00:00:01 ip=192.0.2.100
	item b record add dns name=new.example type=A rdata=192.0.2.100
	wait_until 20 listed a lease 'ip=192\.0\.2\.100'
	wait_until 20 listed a dns new.example
	equal b a
	fr b role backup
	fr a role primary
	equal
}

@test "a table that only one end has is left out, and both say so" {
	agent_kill b
	agent_config b 'data = { dns_records = false, learning_state = false, configuration = false }'
	agent_start b
	wait_until 60 status b '.sync_state == "in_sync"'
	item a record add dns name=apart.example type=A rdata=192.0.2.3
	item a lease add scope=lan client=00:00:00:00:00:03 ip=192.0.2.3
	wait_until 20 listed b lease 'ip=192\.0\.2\.3( |$)'
	gone b dns apart.example
	run status a '.warnings | tostring'
	assert_output --partial 'peer b does not replicate dns, learning, config, metric'
	run fr b ready
	assert_failure 4
	assert_output --partial 'a replicates dns, learning, config, metric, this node does not'
	wait_until 20 status a '.peers[0].backlog_changes == 0'
	validated a
	agent_kill b
	agent_config b "${all//$'\n'/}"
	agent_start b
	equal
	same
}

# Both firewalls of one guest share it, so it goes from both, and the items with it.
@test "the module unloaded and loaded again" {
	rmmod flyrep
	topo_module
	wait_until 60 in_step
	run item a record list dns
	assert_output ''
	item a record add dns name=again.example type=A rdata=192.0.2.4
	wait_until 20 listed b dns again.example
	equal
}
