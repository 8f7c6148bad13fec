# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# Two firewalls between a client and a server, in network namespaces:
#
#              10.1.0.0/24             10.2.0.0/24
#     client ────── lan ──┬── a ──┬── wan ────── server
#       .2     fd01::/64  │   │   │   fd02::/64    .2
#                         │ sync  │
#                         │   │   │   10.9.9.0/24
#                         └── b ──┘
#
# The firewalls are .3 and .4 on both networks; the one in charge has .1 and
# a virtual MAC address too. Taking that MAC makes the kernel announce all
# addresses, as a VRRP router would: gratuitous ARP and unsolicited neighbour
# advertisements. Both have one and the same ruleset: IPv4 leaves with the
# shared address as its source, what conntrack calls invalid is counted and
# dropped, only the lan may open connections, and a TCP connection is not
# picked up in its middle.
#
# Generated load goes from 10.64.0.0/10 behind the client to 10.128.0.0/9 behind
# the server; neither host answers for these by itself.
#
# Needs wait.sh. The names of the namespaces are random; topo_down removes them.

# The MAC of the addresses that move, one for each side.
topo_mac_lan=02:00:5e:00:01:01
topo_mac_wan=02:00:5e:00:01:02

topo_rules='
	table inet fw {
		counter invalid { }
		chain judge {
			type filter hook prerouting priority filter;
			ct state invalid counter name invalid drop
			ct state new tcp dport 5001 ct mark set 0x51
		}
		chain forward {
			type filter hook forward priority filter; policy drop;
			ct state established,related accept
			iifname "lan0" oifname "wan0" ct state new accept
		}
		chain nat {
			type nat hook postrouting priority srcnat;
			oifname "wan0" meta nfproto ipv4 snat ip to 10.2.0.1
		}
	}'

# topo_ns NODE: its namespace; client, server, a, b, or wire, which has the bridges
topo_ns() {
	echo "$topo_name-$1"
}

# on NODE COMMAND...: run it there
on() {
	local node=$1
	shift
	ip netns exec "$topo_name-$node" "$@"
}

# topo_module: load flyrep.ko, after the modules it needs; and those that the
# kernel would otherwise ask for one by one
topo_module() {
	modprobe -a nf_conntrack nf_conntrack_netlink nf_nat bridge veth \
		nf_tables nft_ct nft_chain_nat nft_nat
	[ -d /sys/module/flyrep ] || insmod "$FLYREP_KO"
}

# topo_room FLOWS: room for that many in each namespace
topo_room() {
	sysctl -qw net.netfilter.nf_conntrack_max="$(($1 + $1 / 4))" \
		net.netfilter.nf_conntrack_buckets="$1"
}

topo_up() {
	local node
	topo_name=fr$$x$RANDOM
	topo_dir=$(mktemp -d "${TMPDIR:-/tmp}/$topo_name.XXXXXX")
	ip -b - <<-EOF
		netns add $topo_name-wire
		netns add $topo_name-client
		netns add $topo_name-server
		netns add $topo_name-a
		netns add $topo_name-b
	EOF
	topo_wire
	topo_host client 1
	topo_host server 2
	topo_firewall a 3 1
	topo_firewall b 4 2
	topo_take a
}

topo_down() {
	local node
	[ -n "${topo_name-}" ] || return 0
	for node in client server a b wire; do
		ip netns pids "$topo_name-$node" 2>/dev/null |
			xargs -r kill -KILL 2>/dev/null || true
		ip netns delete "$topo_name-$node" 2>/dev/null || true
	done
	rm -rf "$topo_dir"
	topo_name=
}

# Two bridges that learn at once, and a port for everybody.
topo_wire() {
	local net
	ip -n "$topo_name-wire" -b - <<-EOF
		$(for net in lan wan; do
			echo link add $net type bridge forward_delay 0 \
				stp_state 0 mcast_snooping 0
			echo link set $net up
		done)
		$(topo_port client lan eth0)
		$(topo_port server wan eth0)
		$(topo_port a lan lan0)
		$(topo_port a wan wan0)
		$(topo_port b lan lan0)
		$(topo_port b wan wan0)
	EOF
	ip -n "$topo_name-a" link add sync0 type veth \
		peer name sync0 netns "$topo_name-b"
}

# topo_port NODE BRIDGE NAME: what makes it
topo_port() {
	echo "link add $1-$2 type veth peer name $3 netns $topo_name-$1"
	echo "link set $1-$2 master $2"
	echo "link set $1-$2 up"
}

# topo_host NODE NET: client or server, that route all by the shared address
topo_host() {
	ip -n "$topo_name-$1" -b - <<-EOF
		link set lo up
		link set eth0 up
		addr add 10.$2.0.2/24 dev eth0
		addr add fd0$2::2/64 dev eth0 nodad
		route add default via 10.$2.0.1
		route add default via fd0$2::1
	EOF
}

# topo_firewall NODE HOST SYNC: its numbers on lan and wan, and on sync
topo_firewall() {
	ip -n "$topo_name-$1" -b - <<-EOF
		link set lo up
		link set lan0 up
		link set wan0 up
		link set sync0 up
		addr add 10.1.0.$2/24 dev lan0
		addr add 10.2.0.$2/24 dev wan0
		addr add fd01::$2/64 dev lan0 nodad
		addr add fd02::$2/64 dev wan0 nodad
		addr add 10.9.9.$3/24 dev sync0
		route add 10.64.0.0/10 via 10.1.0.2
		route add 10.128.0.0/9 via 10.2.0.2
	EOF
	on "$1" bash -e <<-EOF
		nft -f - <<-RULES
			$topo_rules
		RULES
		sysctl -q -p - <<-VALUES
			net.ipv4.ip_forward = 1
			net.ipv6.conf.all.forwarding = 1
			net.ipv4.conf.lan0.arp_notify = 1
			net.ipv4.conf.wan0.arp_notify = 1
			net.ipv6.conf.lan0.ndisc_notify = 1
			net.ipv6.conf.wan0.ndisc_notify = 1
			net.ipv6.conf.lan0.keep_addr_on_down = 1
			net.ipv6.conf.wan0.keep_addr_on_down = 1
			net.ipv4.conf.all.rp_filter = 0
			net.ipv4.conf.lan0.rp_filter = 0
			net.ipv4.conf.wan0.rp_filter = 0
			net.netfilter.nf_conntrack_tcp_loose = 0
			net.netfilter.nf_conntrack_udp_timeout = 600
		VALUES
	EOF
}

# topo_take NODE: the shared addresses come to this firewall
topo_take() {
	ip -n "$topo_name-$1" -b - <<-EOF
		addr add 10.1.0.1/32 dev lan0
		addr add fd01::1/128 dev lan0 nodad
		link set lan0 address $topo_mac_lan
		addr add 10.2.0.1/32 dev wan0
		addr add fd02::1/128 dev wan0 nodad
		link set wan0 address $topo_mac_wan
	EOF
}

# topo_leave NODE: it gives the shared addresses up, in good health. The addresses
# first: the change of MAC announces whatever is still there.
topo_leave() {
	ip -n "$topo_name-$1" -b - <<-EOF
		addr del 10.1.0.1/32 dev lan0
		addr del fd01::1/128 dev lan0
		addr del 10.2.0.1/32 dev wan0
		addr del fd02::1/128 dev wan0
		link set lan0 address 02:00:00:01:00:${1/[ab]/0$1}
		link set wan0 address 02:00:00:02:00:${1/[ab]/0$1}
	EOF
}

# topo_cut NODE: power off, as its neighbours see it; topo_mend: back, with the
# routes that went with the links
topo_cut() {
	ip -n "$topo_name-$1" -b - <<-EOF
		link set sync0 down
		link set lan0 down
		link set wan0 down
	EOF
}

topo_mend() {
	ip -n "$topo_name-$1" -b - <<-EOF
		link set sync0 up
		link set lan0 up
		link set wan0 up
		route replace 10.64.0.0/10 via 10.1.0.2
		route replace 10.128.0.0/9 via 10.2.0.2
	EOF
}

# topo_flows NODE: how many its kernel tracks
topo_flows() {
	on "$1" conntrack -C
}

# topo_list NODE ARGUMENT...: conntrack -L there, of both families, sorted, without what is its
# own business: timeouts, references, and the connection between the agents
topo_list() {
	local node=$1
	shift
	{
		on "$node" conntrack -L -f ipv4 "$@"
		on "$node" conntrack -L -f ipv6 "$@"
	} 2>/dev/null |
		sed -E 's/^([a-z0-9]+ +[0-9]+) [0-9]+ /\1 /; s/ use=[0-9]+//
			/ (src|dst)=10\.9\.9\./d' |
		sort
}

# topo_invalid NODE: packets its ruleset dropped as invalid
topo_invalid() {
	on "$1" nft list counter inet fw invalid |
		sed -n 's/^.*packets \([0-9]*\).*$/\1/p'
}
