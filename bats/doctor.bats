#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# lab: deadline=700 kernel=6.12
#
# flyrep doctor: each check on a machine that is sound, and on one that is not

load pair

setup_file() {
	pair_up 4000
	agent_config a
}

teardown_file() {
	pair_down
}

# doctor NODE ARGUMENT...: there, in JSON; what it found stays in $found
doctor() {
	local node=$1
	shift
	rc=0
	found=$(on "$node" "$agent_build/flyrep" doctor --json --socket "$topo_dir/$node.sock" \
		--config "$topo_dir/$node.hcl" "$@") || rc=$?
}

# says NAME VERDICT PATTERN [REMEDY]: one of the findings of that check does
says() {
	jq -e --arg name "$1" --arg verdict "$2" --arg text "$3" --arg remedy "${4-}" \
		'.checks | any(.name == $name and .verdict == $verdict and (.text | test($text)) and
			((.remedy // "") | test($remedy)))' <<<"$found" >/dev/null || {
		echo "doctor found:"
		jq -c --arg name "$1" '.checks[] | select(.name == $name)' <<<"$found"
		return 1
	}
}

@test "without the module, and with it" {
	rmmod flyrep
	doctor a
	says module bad '^not loaded' 'modprobe|dkms'
	[ $rc -eq 1 ]
	insmod "$FLYREP_KO"
	doctor a
	says module ok '^version [0-9.]+ is loaded$'
	says signature ok 'not signed, and need not be'
	says kernel ok '^[0-9]+\.[0-9]+'
	says 'kernel config' ok .
	says 'conntrack room' ok 'of [0-9]+ flows'
}

@test "without the agent, and with it" {
	doctor a
	says agent bad 'does not exist' 'systemctl start flyrep'
	says status skip 'without the agent'
	says 'nft sets' skip 'without the agent'
	[ $rc -eq 1 ]
	pair_start
	doctor a
	says agent ok '^version [0-9.]+ answers at '
	says status ok '^in sync, without warnings$'
	says configuration ok 'is sound$'
	says 'other readers' ok 'nobody else'
	says ports ok 'none is taken'
	says nat ok 'no rule masquerades'
	says sysctl ok 'as they should be'
	says disk ok ' MB left in '
	# Nothing sets the clock of a guest, and there is no group flyrep.
	says clock warn 'nothing keeps the clock right' chrony
	says group warn 'no group flyrep'
	[ "$(jq .bad <<<"$found")" -eq 0 ]
	[ $rc -eq 4 ]
}

@test "for people: a line each, and the remedy behind" {
	run on a "$agent_build/flyrep" doctor --socket "$topo_dir/a.sock" --config "$topo_dir/a.hcl"
	[ "$status" -eq 4 ]
	assert_line --regexp '^ok    module +version '
	assert_line --regexp '^warn  clock +nothing keeps the clock right$'
	assert_line --regexp '^ +-> apt install systemd-timesyncd'
	assert_line --regexp '^[0-9]+ ok, [0-9]+ to look at, 0 bad, [0-9]+ skipped$'
	refute_output --partial $'\e'
}

@test "conntrackd beside" {
	cat >"$topo_dir/conntrackd.conf" <<-END
		General {
			HashSize 1024
			HashLimit 65536
			LockFile $topo_dir/conntrackd.lock
			UNIX {
				Path $topo_dir/conntrackd.ctl
			}
		}
		Stats {
		}
	END
	ip netns exec "$topo_name-a" conntrackd -C "$topo_dir/conntrackd.conf" >"$topo_dir/conntrackd.log" 2>&1 3>&- &
	local pid=$!
	disown
	wait_until 20 test -S "$topo_dir/conntrackd.ctl"
	doctor a
	says 'other readers' warn '^conntrackd runs beside \(process [0-9]+\)' 'disable --now conntrackd'
	kill "$pid"
	wait_gone 20 "$pid"
	doctor a
	says 'other readers' ok 'nobody else'
}

@test "masquerade is told by its rule" {
	on a nft -f - <<-END
		table ip leak {
			chain post {
				type nat hook postrouting priority 110;
				oifname "wan0" masquerade
			}
		}
	END
	doctor a
	says nat warn '^ip leak post, handle [0-9]+ \(oif wan0\) masquerades' 'snat'
	on a nft delete table ip leak
	doctor a
	says nat ok 'no rule masquerades'
}

@test "settings of the kernel" {
	on a sysctl -qw net.netfilter.nf_conntrack_events=0
	sysctl -qw kernel.ftrace_enabled=0
	doctor a
	says sysctl bad '^net.netfilter.nf_conntrack_events = 0' 'sysctl -w net.netfilter.nf_conntrack_events=1'
	says sysctl warn '^kernel.ftrace_enabled = 0'
	[ $rc -eq 1 ]
	on a sysctl -qw net.netfilter.nf_conntrack_events=1
	sysctl -qw kernel.ftrace_enabled=1
	doctor a
	says sysctl ok 'as they should be'
	# Only where all write
	on a sysctl -qw net.netfilter.nf_conntrack_tcp_be_liberal=0
	agent_mode=multi-master agent_config c
	doctor a --config "$topo_dir/c.hcl"
	says sysctl bad 'tcp_be_liberal = 0'
	on a sysctl -qw net.netfilter.nf_conntrack_tcp_be_liberal=1
	doctor a --config "$topo_dir/c.hcl"
	says sysctl ok 'as they should be'
}

@test "a table of flows that is nearly full" {
	local n
	n=$(sysctl -n net.netfilter.nf_conntrack_max)
	# shellcheck disable=SC2016
	on a bash -c 'for i in 1 2 3 4 5; do
		conntrack -I -p udp -s 10.1.0.2 -d 10.2.0.2 --sport $i --dport 53 -t 600 >/dev/null 2>&1; done'
	sysctl -qw net.netfilter.nf_conntrack_max=5
	doctor a
	sysctl -qw net.netfilter.nf_conntrack_max="$n"
	says 'conntrack room' warn 'nearly full'
	says 'conntrack room' bad '^net.netfilter.nf_conntrack_max is 5 here, and [0-9]+ on b$' 'the same on all'
	on a conntrack -F >/dev/null 2>&1
}

@test "a set that the other node has" {
	on a nft -f - <<-END
		table inet st {
			set banned {
				type ipv4_addr; flags dynamic, timeout;
			}
		}
	END
	on a nft add element inet st banned '{ 192.0.2.1 timeout 1h }'
	wait_until 60 grep_sets
	doctor b
	says 'nft sets' warn 'inet/st/banned' 'the same ruleset'
	on b nft -f - <<<'table inet st { set banned { type ipv4_addr; flags dynamic, timeout; }; }'
	wait_until 60 no_trouble
	doctor b
	says 'nft sets' ok 'all are there'
}

grep_sets() {
	api_get b status | grep -q 'inet/st/banned'
}

no_trouble() {
	[ "$(status b '[.nft_sets[] | select(.trouble)] | length')" -eq 0 ]
}

@test "a port that another program has" {
	agent_kill a TERM
	ip netns exec "$topo_name-a" nc -l 10.9.9.1 9001 >/dev/null 3>&- &
	local pid=$!
	disown
	wait_until 20 listens 9001
	doctor a
	kill "$pid"
	says ports bad '^TCP port 9001 is taken by nc \(process [0-9]+\)$' 'listen_addr'
	wait_gone 20 "$pid"
	doctor a
	says ports ok 'none is taken'
	ip netns exec "$topo_name-a" nc -ul 9002 >/dev/null 3>&- &
	pid=$!
	disown
	wait_until 20 listens 9002
	doctor a
	kill "$pid"
	says ports bad '^UDP port 9002 is taken by nc '
	agent_start a
	wait_until 60 in_step
}

listens() {
	on a ss -Hltun | grep -q ":$1 "
}

@test "who may not ask the agent, or read its files" {
	chmod 755 "$topo_dir"
	run on a setpriv --reuid 65534 --regid 65534 --clear-groups "$agent_build/flyrep" doctor \
		--json --socket "$topo_dir/a.sock" --config "$topo_dir/a.hcl"
	[ "$status" -eq 1 ]
	found=$output
	says agent bad 'permission denied' 'usermod -aG flyrep'
	says configuration warn 'not yours to read' 'as root'
	says nat warn 'does not tell the ruleset' 'as root'
	says ports ok 'none is taken' || says ports warn 'agent does not answer'
}

@test "a configuration with a short secret that all may read" {
	cat >"$topo_dir/d.hcl" <<-END
		replication {
		  mode = "standalone"
		  node_id = "d"
		  secret_key = "only-twelve."
		  state_dir = "$topo_dir"
		}
	END
	chmod 644 "$topo_dir/d.hcl"
	doctor a --config "$topo_dir/d.hcl"
	says configuration warn 'others than its owner may read it' 'chmod 600'
	says configuration warn '12 bytes are few' 'openssl rand'
	echo 'nonsense = 1' >>"$topo_dir/d.hcl"
	doctor a --config "$topo_dir/d.hcl"
	says configuration bad 'd.hcl:[0-9]+:' 'flyrep.hcl'
	[ $rc -eq 1 ]
	doctor a --config "$topo_dir/none"
	says configuration bad 'No such file' 'write one'
}

@test "a disk that is full" {
	mkdir "$topo_dir/full"
	mount -t tmpfs -o size=1m tmpfs "$topo_dir/full"
	sed "s|state_dir = .*|state_dir = \"$topo_dir/full\"|" "$topo_dir/a.hcl" >"$topo_dir/e.hcl"
	chmod 600 "$topo_dir/e.hcl"
	doctor a --config "$topo_dir/e.hcl"
	umount "$topo_dir/full"
	says disk bad '^1 MB left' 'make room'
}

@test "keepalived that moves addresses and tells nobody" {
	mkdir -p /etc/keepalived
	mount -t tmpfs tmpfs /etc/keepalived
	doctor a
	says keepalived ok 'not configured here'
	mkdir /etc/keepalived/conf.d
	echo 'include conf.d/*.conf' >/etc/keepalived/keepalived.conf
	doctor a
	says keepalived bad 'does not call flyrep' 'notify_master'
	echo 'notify_master "flyrep role primary"' >/etc/keepalived/conf.d/x.conf
	doctor a
	says keepalived ok 'it calls flyrep'
	umount /etc/keepalived
}

@test "the newest kernel has no module" {
	local dir=/lib/modules/99.9-none
	mkdir -p "$dir"
	touch "$dir/modules.order" "$dir/modules.dep"
	doctor a
	says dkms warn '^there is no module for 99\.9-none' 'linux-headers-99\.9-none'
	echo 'updates/dkms/flyrep.ko.xz:' >"$dir/modules.dep"
	doctor a
	rm -r "$dir"
	says dkms warn 'on the disk for' || says dkms ok '99\.9-none'
}
