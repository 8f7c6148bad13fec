#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# lab: deadline=420 kernel=6.12
#
# What dnsmasq leases on one node, the dnsmasq of the other one knows after a takeover.

load pair

setup_file() {
	pair_up 65536
	agent_config a 'data = { dhcp_leases = true }'
	agent_config b 'data = { dhcp_leases = true }'
	pair_start
	dhcp_start a
}

teardown_file() {
	pair_down
}

teardown() {
	[ -n "${BATS_TEST_COMPLETED-}" ] || tail -n 20 "$topo_dir"/dhcp-?.log
	pair_tell
}

# dhcp_start NODE: dnsmasq there, with the hook as it is installed, and no file of leases
dhcp_start() {
	cat >"$topo_dir/hook-$1" <<-EOF
		#!/bin/sh
		PATH=$agent_build:\$PATH
		export PATH
		exec $PWD/agent/hooks/dnsmasq-hook.sh "\$@" 2>>$topo_dir/dhcp-$1.log
	EOF
	chmod 755 "$topo_dir/hook-$1"
	ip netns exec "$topo_name-$1" dnsmasq --keep-in-foreground --conf-file=/dev/null \
		--port=0 --user=root --interface=lan0 --pid-file="$topo_dir/dhcp-$1.pid" \
		--dhcp-range=10.1.0.100,10.1.0.200,1h --dhcp-authoritative --leasefile-ro \
		--dhcp-script="$topo_dir/hook-$1" --log-facility="$topo_dir/dhcp-$1.log" \
		--log-dhcp 3>&- &
	disown
	wait_until 30 grep -q 'DHCP, IP range' "$topo_dir/dhcp-$1.log"
}

# dhcp_stop NODE
dhcp_stop() {
	local pid
	pid=$(cat "$topo_dir/dhcp-$1.pid")
	kill "$pid"
	wait_gone 20 "$pid"
}

# dhcp_ask ARGUMENT...: the address a real client gets, which it does not take
dhcp_ask() {
	cat >"$topo_dir/got" <<-'EOF'
		#!/bin/sh
		[ "$1" != bound ] || echo "$ip"
	EOF
	chmod 755 "$topo_dir/got"
	on client busybox udhcpc -f -q -n -t 10 -T 2 -i eth0 -s "$topo_dir/got" \
		-x hostname:desk "$@" 2>"$topo_dir/udhcpc"
}

# leased NODE IP
leased() {
	item "$1" lease list scope=dnsmasq | grep -q "ip=$2 hostname=desk"
}

free() {
	! leased "$@"
}

@test "a lease is replicated" {
	run dhcp_ask -r 10.1.0.142
	assert_output 10.1.0.142
	wait_until 30 leased a 10.1.0.142
	run item a lease list scope=dnsmasq
	assert_output --partial "client=$(on client cat /sys/class/net/eth0/address)"
	assert_output --partial interface=lan0
	assert_output --regexp 'ends in (1h|5[0-9]m)'
	wait_until 30 leased b 10.1.0.142
}

@test "after a takeover the other dnsmasq knows it" {
	dhcp_stop a
	agent_kill a
	topo_cut a
	topo_take b
	fr b role primary
	dhcp_start b
	# A client that asks for nothing gets what it had, not the next one that is free.
	run dhcp_ask
	assert_output 10.1.0.142
	leased b 10.1.0.142
}

@test "a lease that was renewed is the same with another end" {
	run item b lease list scope=dnsmasq
	assert_equal "${#lines[@]}" 1
}

@test "a lease that ends, ends on all; that of another address does not" {
	mac=$(on client cat /sys/class/net/eth0/address)
	run on b "$topo_dir/hook-b" del "$mac" 10.1.0.143 desk
	assert_success
	leased b 10.1.0.142
	run on b "$topo_dir/hook-b" del "$mac" 10.1.0.142 desk
	assert_success
	free b 10.1.0.142
}

@test "what cannot be done is told, with the reason" {
	agent_kill b
	rmmod flyrep
	DNSMASQ_LEASE_EXPIRES=$((EPOCHSECONDS + 60)) run on b "$topo_dir/hook-b" \
		add 02:00:00:00:00:09 10.1.0.109
	assert_failure
	run cat "$topo_dir/dhcp-b.log"
	assert_output --partial 'replication: add 02:00:00:00:00:09 10.1.0.109: '
	run on b "$topo_dir/hook-b" relay-snoop fd00::1
	assert_success
}
