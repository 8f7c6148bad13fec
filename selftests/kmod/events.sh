#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# lab: deadline=300
#
# What others hear: `conntrack -E` and a running conntrackd must see the same of
# the same traffic, with the module and without it.

set -uo pipefail

work=$(mktemp -d)
n=0
failed=0
echo "TAP version 13"
echo 1..3

ok() {
	n=$((n + 1))
	if [ "$1" -eq 0 ]; then
		echo "ok $n - $2"
	else
		echo "not ok $n - $2"
		failed=1
	fi
}

# until COMMAND...: poll for it, false after 30 s
until_true() {
	local end=$((SECONDS + 30))
	until "$@"; do
		[ $SECONDS -lt $end ] || return 1
		sleep 0.05
	done
}

# The traffic: both families, all protocols, with and without an answer, and
# changes and ends by hand. Fixed ports: the lines must be comparable.
traffic() {
	local a=$1 b=$2 ip servers
	for ip in 10.9.0.2 fd09::2; do
		local v=-4 host=$ip
		[[ $ip != *:* ]] || v=-6 host="[$ip]"
		ip netns exec "$b" socat $v tcp-listen:7000,reuseaddr exec:cat &
		servers=$!
		ip netns exec "$b" socat $v -T 5 udp-listen:7001,reuseaddr exec:cat &
		servers+=" $!"
		until_true ip netns exec "$b" sh -c \
			"ss $v -Hltn | grep -q :7000 && ss $v -Hlun | grep -q :7001"
		echo hello | ip netns exec "$a" socat -t 5 - \
			"tcp:$host:7000,sourceport=6000,reuseaddr" >/dev/null
		echo hello | ip netns exec "$a" socat -T 1 - \
			"udp:$host:7001,sourceport=6001,reuseaddr" >/dev/null
		echo lost | ip netns exec "$a" socat -u - \
			"udp:$host:7002,sourceport=6002,reuseaddr"
		ip netns exec "$a" ping -q -c 1 -e 77 $ip >/dev/null
		# shellcheck disable=SC2086 # several words
		kill $servers 2>/dev/null
		# shellcheck disable=SC2086
		wait $servers 2>/dev/null
	done
	ip netns exec "$a" conntrack -I -p udp -s 10.1.0.1 -d 10.2.0.1 --sport 9 \
		--dport 9 -t 100 --mark 7 >/dev/null 2>&1
	ip netns exec "$a" conntrack -D -p udp -s 10.1.0.1 >/dev/null 2>&1
	ip netns exec "$a" conntrack -F >/dev/null 2>&1
	ip netns exec "$a" conntrack -F -f ipv6 >/dev/null 2>&1
}

nets_up() {
	local t
	ip netns add "$1"
	ip netns add "$2"
	ip -n "$1" link add va address 02:00:00:00:00:01 type veth \
		peer name vb address 02:00:00:00:00:02 netns "$2"
	ip -n "$1" link set lo up
	ip -n "$2" link set lo up
	ip -n "$1" addr add 10.9.0.1/16 dev va
	ip -n "$2" addr add 10.9.0.2/16 dev vb
	ip -n "$1" addr add fd09::1/64 dev va nodad
	ip -n "$2" addr add fd09::2/64 dev vb nodad
	ip -n "$1" link set va up
	ip -n "$2" link set vb up
	# A flow that ends of itself is told of in other words: none does, however slow the machine.
	for t in udp_timeout udp_timeout_stream icmp_timeout icmpv6_timeout; do
		ip netns exec "$1" sysctl -qw "net.netfilter.nf_conntrack_$t=600"
	done
	ip netns exec "$1" nft -f - <<-'X'
		table inet kt {
			chain in { type filter hook input priority 0; ct state invalid drop; }
			chain out { type filter hook output priority 0; ct state invalid drop; }
		}
	X
	# Let neighbour discovery be over: it is traffic too.
	ip netns exec "$1" ping -q -c 1 10.9.0.2 >/dev/null
	until_true ip netns exec "$1" ping -q -c 1 fd09::2 >/dev/null
	ip netns exec "$1" conntrack -F >/dev/null 2>&1
	ip netns exec "$1" conntrack -F -f ipv6 >/dev/null 2>&1
}

# Without what differs from one run to the next: seconds left, who asked, and
# the noise of neighbour discovery
comparable() {
	grep -av -e 'icmpv6.*type=13[3-6]' -e ff02:: |
		sed -E 's/  +/ /g; s/^( ?\[[A-Z]+\] [a-z0-9]+ [0-9]+) [0-9]+ /\1 T /
			s/ portid=.*//' | sort
}

# listen NAME: the lines of conntrack -E
listen() {
	local a=ea$1 b=eb$1 pid
	nets_up "$a" "$b"
	ip netns exec "$a" stdbuf -oL conntrack -E >"$work/$1.raw" 2>"$work/$1.err" &
	pid=$!
	# A first event shows that it listens.
	until_true sh -c "ip netns exec $a conntrack -I -p udp -s 10.1.0.9 -d 10.2.0.9 \
		--sport 1 --dport 1 -t 100 >/dev/null 2>&1; \
		ip netns exec $a conntrack -D -p udp -s 10.1.0.9 >/dev/null 2>&1; \
		grep -aq DESTROY $work/$1.raw"
	: >"$work/$1.raw"
	traffic "$a" "$b"
	ip netns exec "$a" conntrack -I -p udp -s 10.1.0.8 -d 10.2.0.8 --sport 1 \
		--dport 1 -t 100 >/dev/null 2>&1
	until_true grep -aq 10.1.0.8 "$work/$1.raw"
	kill $pid
	wait $pid 2>/dev/null
	grep -av -e 10.1.0.8 -e 10.1.0.9 "$work/$1.raw" | tr -d '\0' |
		comparable >"$work/$1"
	ip netns del "$a"
	ip netns del "$b"
}

# daemon NAME: what conntrackd has in its cache
daemon() {
	local a=ea$1 b=eb$1 daemon server
	nets_up "$a" "$b"
	cat >"$work/conntrackd.conf" <<-X
		Sync {
			Mode NOTRACK { DisableExternalCache on }
			UDP {
				IPv4_address 10.9.0.1
				IPv4_Destination_Address 10.9.0.2
				Port 3780
				Interface va
			}
		}
		General {
			HashSize 1024
			HashLimit 65536
			LockFile $work/lock
			UNIX { Path $work/ctl }
			NetlinkBufferSize 2097152
			NetlinkBufferSizeMaxGrowth 8388608
		}
	X
	ip netns exec "$a" conntrackd -C "$work/conntrackd.conf" >"$work/$1.log" 2>&1 &
	daemon=$!
	until_true ip netns exec "$a" conntrackd -C "$work/conntrackd.conf" -i \
		>/dev/null 2>&1
	ip netns exec "$a" socat -u - udp:10.9.0.2:7002,sourceport=6005 <<<x
	ip netns exec "$a" ping -q -c 1 -e 78 10.9.0.2 >/dev/null
	ip netns exec "$b" socat tcp-listen:7000,reuseaddr exec:cat &
	server=$!
	until_true ip netns exec "$b" sh -c "ss -Hltn | grep -q :7000"
	echo x | ip netns exec "$a" socat -t 5 - \
		tcp:10.9.0.2:7000,sourceport=6000,reuseaddr >/dev/null
	ip netns exec "$a" conntrackd -C "$work/conntrackd.conf" -i |
		sed 's/ \[active since.*//' | grep -v 3780 | comparable >"$work/$1"
	ip netns exec "$a" conntrackd -C "$work/conntrackd.conf" -k
	kill $server 2>/dev/null
	wait $daemon $server
	ip netns del "$a"
	ip netns del "$b"
}

modprobe -a nf_conntrack_netlink nf_nat nft_ct veth
if [ -e /sys/module/flyrep ]; then
	rmmod flyrep
fi
listen without
daemon daemon-without
insmod "$FLYREP_KO"
listen with
daemon daemon-with
rmmod flyrep

[ "$(wc -l <"$work/without")" -ge 20 ]
ok $? "the traffic makes events ($(wc -l <"$work/without"))"
diff -u "$work/without" "$work/with" >&2
ok $? "conntrack -E sees the same"
[ -s "$work/daemon-without" ] && diff -u "$work/daemon-without" "$work/daemon-with" >&2
ok $? "conntrackd sees the same"
rm -r "$work"
exit $failed
