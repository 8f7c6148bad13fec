#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# lab: deadline=900 kernel=6.12
#
# What the filters let pass, withdraw and refuse; both nodes stay in step all the while.

load pair

all='data = { dhcp_leases = true, dns_records = true, learning_state = true,
	configuration = true, metrics = true }'
all=${all//$'\n'/}

# As the guide has it, word for word
guide=$(sed -n '/^  filters = {$/,/^  }$/p' selftests/unit/fixtures/guide_filtering.hcl)

zones='zone "lan" { networks = ["10.7.1.0/24"] }
zone "dmz" { networks = ["10.7.2.0/24"] }
zone "vpn" { ct_mark = "0x20/0xf0" }'
zones=${zones//\{ /$'{\n'}
zones=${zones// \}/$'\n}'}

setup_file() {
	pair_up 65536
	agent_config a "$all" "$zones" "$guide"
	agent_config b "$all" "$zones" "$guide"
	pair_start
}

teardown_file() {
	pair_down
}

lease() {
	item a lease add --force "$@"
}

dns() {
	item a record add dns "$@" type=A rdata=192.0.2.1
}

# listed NODE TABLE PATTERN: its kernel has an item of a table that looks like that
listed() {
	item "$1" record list "$2" | grep -qE -- "$3"
}

gone() {
	! listed "$@"
}

# flow ARGUMENT...: one in the kernel of a, seen in both directions
flow() {
	on a conntrack -I -p udp --timeout 600 --sport 7 --dport 7 -u SEEN_REPLY,ASSURED "$@"
}

# has NODE ADDRESS: a flow to it
has() {
	on "$1" conntrack -L -d "$2" 2>/dev/null | grep -q "dst=$2"
}

has_not() {
	! has "$@"
}

# counted NODE TABLE FILTER: jq on what status says of a table
counted() {
	status "$1" ".tables[] | select(.table == \"$2\") | $3"
}

# reload NODE LINE...: its configuration changes, and it is told
reload() {
	agent_config "$@"
	tell "$1"
}

# tell NODE: it reloads
tell() {
	local n
	n=$(grep -c 'replication: reloaded' "$topo_dir/$1.log") || true
	agent_signal "$1" HUP
	wait_until 30 has_reloaded "$1" $((n + 1))
}

has_reloaded() {
	[ "$(grep -c 'replication: reloaded' "$topo_dir/$1.log")" -ge "$2" ]
}

# equal: in step, and nothing missing, stale or different in either kernel
equal() {
	wait_until 60 in_step
	validated a
	validated b
}

@test "the guide's filters: leases of the scope test stay here" {
	lease scope=test client=00:00:00:00:00:01 ip=192.0.2.1
	lease scope=lan client=00:00:00:00:00:02 ip=192.0.2.2
	wait_until 20 listed b lease 'client=00:00:00:00:00:02'
	equal
	gone b lease 'scope=test'
	[ "$(counted a lease .entries)" -eq 1 ]
	counted a lease '.filtered > 0 and .withdrawn == 0'
}

@test "the guide's filters: names of a minute and less stay here" {
	dns name=short.example ttl=60
	dns name=none.example
	dns name=long.example ttl=61
	wait_until 20 listed b dns long.example
	equal
	gone b dns 'short|none'
	counted a dns '.missing_value > 0'
}

@test "what no longer passes is withdrawn, and what does is shipped" {
	dns name=long.example ttl=30
	dns name=short.example ttl=90
	wait_until 20 gone b dns long.example
	wait_until 20 listed b dns short.example
	equal
	counted a dns '.withdrawn > 0'
	item a record del dns name=short.example type=A rdata=192.0.2.1
	wait_until 20 gone b dns short.example
	lease scope=lan client=00:00:00:00:00:02 ip=192.0.2.2 zone=guest
	wait_until 20 gone b lease 'client=00:00:00:00:00:02'
	lease scope=lan client=00:00:00:00:00:02 ip=192.0.2.2 zone=wan
	wait_until 20 listed b lease 'client=00:00:00:00:00:02'
	equal
}

@test "flows of zones that are not listed stay here" {
	flow -s 10.7.2.1 -d 203.0.113.1
	flow -s 10.7.1.1 -d 203.0.113.2
	flow -s 10.7.1.1 -d 10.7.2.2
	flow -s 198.51.100.1 -d 203.0.113.3
	flow -s 198.51.100.1 -d 203.0.113.4 --mark 0x21
	wait_until 20 has b 203.0.113.2
	wait_until 20 has b 10.7.2.2
	wait_until 20 has b 203.0.113.3
	equal
	has_not b 203.0.113.1
	has_not b 203.0.113.4
}

@test "a flow is withdrawn when its mark puts it elsewhere" {
	on a conntrack -U -d 203.0.113.3 --mark 0x120
	wait_until 20 has_not b 203.0.113.3
	on a conntrack -U -d 203.0.113.4 --mark 0x10
	wait_until 20 has b 203.0.113.4
	equal
}

@test "a restart finds the same" {
	agent_kill a
	dns name=away.example ttl=10
	dns name=home.example ttl=100
	agent_start a
	wait_until 60 listed b dns home.example
	equal
	gone b dns away.example
	has_not b 203.0.113.1
}

@test "a reload withdraws and ships what its filters change" {
	reload a "$all" "$zones" 'filters { custom_filters = [
		{ type = "dhcp", condition = "scope == '\''test'\''" },
		{ type = "conntrack", condition = "dst in 203.0.113.0/31 or mark != 0" } ] }'
	reload b "$all" "$zones"
	wait_until 30 listed b lease 'scope=test'
	wait_until 30 gone b lease 'scope=lan'
	wait_until 30 listed b dns away.example
	wait_until 30 has b 203.0.113.1
	wait_until 30 has_not b 203.0.113.2
	wait_until 30 has b 203.0.113.3
	equal
}

@test "a reload of the module's own filter, too" {
	agent_config a "$all"
	sed -i 's/conntrack { /conntrack = { ignore_networks = ["203.0.113.1"], /' "$topo_dir/a.hcl"
	tell a
	wait_until 30 has_not b 203.0.113.1
	wait_until 30 has b 203.0.113.2
	equal
}

@test "a faulty file, or one that needs a restart, changes nothing" {
	agent_config a "$all" 'filters { custom_filters = [ { type = "dns", condition = "tll > 5" } ] }'
	agent_signal a HUP
	wait_until 20 log_says a 'custom_filters.condition: character 1: no field "tll"'
	wait_until 20 log_says a 'not reloaded'
	agent_config a "$all" 'ring = 1234'
	agent_signal a HUP
	wait_until 20 log_says a 'ring changed: that needs a restart'
	dns name=still.example ttl=100
	wait_until 20 listed b dns still.example
	equal
}

@test "a receiver refuses what its own filters bar, and lets go of it" {
	reload a "$all"
	lease scope=lab client=00:00:00:00:00:09 ip=192.0.2.9
	wait_until 20 listed b lease 'scope=lab'
	reload b "$all" 'filters { custom_filters = [ { type = "dhcp", condition = "scope != '\''lab'\''" } ] }'
	wait_until 30 gone b lease 'scope=lab'
	lease scope=lab client=00:00:00:00:00:0a ip=192.0.2.10
	lease scope=lan client=00:00:00:00:00:0b ip=192.0.2.11
	wait_until 20 listed b lease 'client=00:00:00:00:00:0b'
	gone b lease 'scope=lab'
	wait_until 60 in_step
	counted b lease '.refused_here > 0'
	run status b '.warnings | tostring'
	assert_output --partial "records of lease did not pass this node's filters"
	reload b "$all"
	wait_until 60 listed b lease 'client=00:00:00:00:00:0a'
	equal
}

@test "a file with a password is held back, named, and withdrawn" {
	item a record add config path=/etc/x bytes=$'hostname = fw\n'
	wait_until 20 listed b config /etc/x
	item a record add config path=/etc/x bytes=$'hostname = fw\npassword = hunter2\n'
	wait_until 20 gone b config /etc/x
	run status a '.warnings | tostring'
	assert_output --partial 'config held back as sensitive: /etc/x, line 2: password'
	log_says a 'config /etc/x, line 2: password is held back'
	run grep -c hunter2 "$topo_dir/a.log"
	assert_output 0
	equal
	reload a "$all" 'filters { exclude_sensitive = false }'
	reload b "$all" 'filters { exclude_sensitive = false }'
	wait_until 30 listed b config hunter2
	equal
}

@test "sensitive fields stay here" {
	reload a "$all" 'filters { sensitive = ["vendor"] }'
	reload b "$all" 'filters { sensitive = ["vendor"] }'
	lease scope=lan client=00:00:00:00:00:0c ip=192.0.2.12 vendor=MSFT
	wait_until 20 listed b lease 'client=00:00:00:00:00:0c'
	gone b lease MSFT
	counted a lease '.reduced > 0'
	wait_until 60 in_step
}

@test "a condition is put to what the kernel has" {
	run item a filter test dhcp "scope == 'lab'" --kernel
	assert_success
	assert_output --partial '2 of '
	run item a --json filter test conntrack 'dst in 203.0.113.0/24' --kernel
	assert_success
	[ "$(jq .passed <<<"$output")" -eq 4 ]
	run bash -c "'$agent_build/flyrep' filter test dhcp 'scope != 1' scope=x"
	assert_failure 2
	assert_output --partial 'character 10: scope is text'
	run "$agent_build/flyrep" filter test dhcp "scope != 'x'" scope=x
	assert_failure 1
	on a "$agent_build/flyrep" kernel snapshot --json | jq '.[] | select(.original.dst == "203.0.113.1")' |
		"$agent_build/flyrep" filter test conntrack 'src in 10.7.2.0/24 and proto == "udp" and assured' -
}

one_metric() {
	[ "$(item b record list metric | wc -l)" -eq 1 ]
}

@test "addresses of metrics leave in disguise" {
	local few='data = { conntrack = false, nft_sets = [], dhcp_leases = false, dns_records = false,
		configuration = false, metrics = true }'
	agent_kill a
	agent_kill b
	few=${few//$'\n'/}
	agent_config a "$few" 'transformations { anonymize_ips = true }'
	agent_config b "$few"
	item a record add metric node_id=a kind=peer name=192.0.2.1 counters='192.0.2.77:5'
	pair_start
	wait_until 20 listed b metric 'kind=peer'
	gone b metric '192\.0\.2\.'
	item a record add metric node_id=a kind=peer name=192.0.2.2 counters=1
	item a record del metric node_id=a kind=peer name=192.0.2.1
	wait_until 20 one_metric
	wait_until 60 in_step
	validated a
	validated b
}
