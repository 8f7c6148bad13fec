#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# lab: deadline=900 kernel=6.12
#
# Two nodes and a witness: who may be primary, who is not, and what ends it when both are.

load pair
# shellcheck source=../selftests/lib/mesh.sh
. selftests/lib/mesh.sh

# node_config NODE [LINE]...: with a quorum, and more lines in that
node_config() {
	local node=$1 other role
	shift
	[ "$node" = a ] && other=b role=replica || other=a role=primary
	local -a lines=('heartbeat {' 'interval = "200ms"' 'timeout = "3s"' '}'
		'quorum {' 'enabled = true' "witness = \"$(agent_addr w)\"" 'timeout = "5s"' "$@" '}')
	[ "$node" = a ] || lines+=("listen_addr = \"$(agent_addr b)\""
		"peers = [{ id = \"$other\", address = \"$(agent_addr "$other")\", role = \"$role\" }]")
	agent_config "$node" "${lines[@]}"
}

# witness_config: its file
witness_config() {
	mkdir -p "$topo_dir/w"
	cat >"$topo_dir/w.hcl" <<-END
		replication {
		  mode = "witness"
		  node_id = "w"
		  secret_key = "$agent_secret"
		  state_dir = "$topo_dir/w"
		  peers = [
		    { id = "a", address = "$(agent_addr a)" },
		    { id = "b", address = "$(agent_addr b)" },
		  ]
		  heartbeat {
		    interval = "200ms"
		    timeout = "3s"
		  }
		}
	END
	chmod 600 "$topo_dir/w.hcl"
}

# witness_start: as nobody, without any privilege
witness_start() {
	chmod 755 "$topo_dir"
	chown -R 65534 "$topo_dir/w" "$topo_dir/w.hcl"
	ip netns exec "$topo_name-w" setpriv --reuid 65534 --regid 65534 --clear-groups --bounding-set=-all \
		--inh-caps=-all --no-new-privs "$(realpath "$agent_build/flyrepd")" --witness \
		-c "$topo_dir/w.hcl" >>"$topo_dir/w.log" 2>&1 3>&- &
	echo $! >"$topo_dir/w.pid"
	disown
}

# part NODE NODE..., join NODE...: it hears nothing of these, or all again
part() {
	local node=$1 other
	shift
	on "$node" nft add table inet cut
	on "$node" nft add chain inet cut in '{ type filter hook input priority -300; }'
	for other in "$@"; do
		on "$node" nft add rule inet cut in ip saddr "$(agent_addr "$other")" drop
	done
}

join() {
	local node
	for node in "$@"; do
		on "$node" nft delete table inet cut 2>/dev/null || true
	done
}

# is NODE FILTER: jq on its status is true
is() {
	api_get "$1" status | sed '1,/^\r*$/d' | jq -e ".status | $2" >/dev/null
}

# hears NODE VOTER true|false: that voter is alive, or not
hears() {
	is "$1" "[.heartbeat.voters[] | select(.id == \"$2\")][0].alive == $3"
}

all_hear() {
	is a '.quorum.alive == 3' && is b '.quorum.alive == 3'
}

setup_file() {
	topo_module
	topo_room 65536
	mesh_up a b w
	export topo_name topo_dir agent_nodes
	node_config a
	node_config b
	witness_config
	witness_start
	agent_start a
	agent_start b
	wait_until 60 in_step
	wait_until 30 all_hear
}

teardown() {
	local node
	[ -z "${BATS_TEST_COMPLETED-}" ] || return 0
	for node in a b; do
		echo "--- $node"
		tail -n 15 "$topo_dir/$node.log"
		ask "$node" status | jq -c '.status | .ha_role, .epoch, .warnings, .heartbeat, .quorum'
	done
	tail -n 15 "$topo_dir/w.log"
	join a b w
}

@test "nobody takes over a primary that is alive" {
	flow_add a 1001
	wait_until 20 flows_are b 1001
	run fr b role primary
	assert_failure 1
	assert_output 'flyrep: no majority: a is primary and alive: make it backup first'
	assert_equal "$(role a) $(role b)" "primary backup"
	run fr b ready
	assert_success
	run fr a status
	assert_success
	assert_line 'quorum  3 of 3 voters, 2 needed'
	run fr a status --verbose
	assert_line --regexp '^heartbeat  b  alive  [0-9.]+ ms  epoch 1$'
	assert_line --regexp '^heartbeat  witness 10.9.9.23:9002  alive  [0-9.]+ ms  epoch 1$'
}

@test "a peer that is alive, but not connected, is told" {
	on b nft -f - <<-END
		table inet cut {
			chain in {
				type filter hook input priority -300
				tcp dport 9001 drop
				tcp sport 9001 drop
			}
		}
	END
	wait_until 60 is b '.peers[0] | .connected == false and .alive == true'
	run fr b ready
	assert_failure 4
	assert_line '  a is alive, but not connected: a takeover now would be a split brain'
	run fr b status
	assert_failure 4
	assert_line 'warning: a is alive, but not connected'
	join b
	wait_until 60 in_step
	wait_until 10 is b '.warnings | all(contains("alive, but") | not)'
}

@test "the nodes do not see each other, the witness sees both: the primary stays" {
	part a b
	part b a
	wait_until 30 hears b a false
	run fr b role primary
	assert_failure 1
	assert_output --partial '1 of 3 votes, 2 are needed'
	assert_output --partial 'a: no answer'
	assert_output --partial 'witness 10.9.9.23:9002: hears the primary a'
	assert_equal "$(role a) $(role b)" "primary backup"
	join a b
	wait_until 60 in_step
}

@test "the primary dies: the witness makes a majority" {
	agent_kill a
	wait_until 30 hears b a false
	wait_until 30 log_says w 'a was not heard'
	run fr b role primary
	assert_success
	assert_output --partial 'primary  epoch '
	refute_output --partial 'by force'
	# It was on disk before it was told.
	assert_equal "$(sed -n 's/^promised //p' "$topo_dir/w/state")" "$(status b .epoch)"
	assert_equal "$(sed -n 's/^promised_to //p' "$topo_dir/w/state")" b
	flow_add b 1002
}

@test "who was primary before hears of the new one, and steps down" {
	agent_start a
	is_backup() { is a '.ha_role == "backup"'; }
	wait_until 30 is_backup
	log_says a 'stepping down'
	wait_until 60 in_step b a
	wait_until 20 flows_are a "1001 1002"
}

@test "the old primary need not see the new one to hear of it" {
	part a b
	part b a
	wait_until 30 hears a b false
	# The witness is cut off from b for so long that it votes for a.
	part w b
	wait_until 30 log_says w 'b was not heard'
	run fr a role primary
	assert_success
	assert_equal "$(role a) $(role b)" "primary primary"
	# b sees the witness again, and it alone.
	join w
	is_down() { is b '.ha_role == "backup"'; }
	wait_until 30 is_down
	log_says b 'stepping down: witness 10.9.9.23:9002 says that a is primary under epoch'
	join a b
	wait_until 60 in_step
}

@test "a switchover by hand, there and back" {
	wait_until 30 all_hear
	fr a role backup
	run fr b role primary
	assert_success
	wait_until 60 in_step b a
	fr b role backup
	run fr a role primary
	assert_success
	wait_until 60 in_step
	assert_equal "$(status a .epoch)" "$(status b .epoch)"
}

@test "what is forged or replayed is counted, and does nothing" {
	local counts
	count() { status b ".heartbeat.$1"; }
	assert_equal "$(count forged) $(count malformed)" "0 0"
	counts=$(count replayed)
	# The witness's host as the attacker: it records what a sends to b, and sends it again.
	on b python3 - "$topo_dir/recorded" <<-'END'
		import socket, sys
		s = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0800))
		s.settimeout(20)
		while True:
		    p = s.recv(2000)
		    if p[9] == 17 and p[12:16] == bytes([10, 9, 9, 1]) and len(p) == 20 + 8 + 312:
		        break
		open(sys.argv[1], "wb").write(p[28:])
	END
	on w python3 - "$topo_dir/recorded" <<-'END'
		import socket, sys
		d = open(sys.argv[1], "rb").read()
		s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
		to = ("10.9.9.2", 9002)
		for i in range(10):
		    s.sendto(d, to)
		forged = bytearray(d)
		forged[47] ^= 1
		for i in range(10):
		    s.sendto(forged, to)
		for n in 0, 1, 311, 313, 1400:
		    s.sendto(d.ljust(1400, b"x")[:n], to)
		s.settimeout(0.5)
		try:
		    s.recv(2000)
		    sys.exit("an answer went to the sender")
		except TimeoutError:
		    pass
	END
	wait_until 10 is b ".heartbeat | .forged == 10 and .malformed == 5 and .replayed == $((counts + 10))"
	assert_equal "$(role a) $(role b)" "primary backup"
	all_hear
}

@test "the witness keeps its promise over a restart" {
	local promised
	promised=$(grep ^promised "$topo_dir/w/state")
	agent_kill w
	wait_until 30 is a '.quorum.alive == 2'
	witness_start
	wait_until 30 all_hear
	assert_equal "$(grep ^promised "$topo_dir/w/state")" "$promised"
	fr a role backup
	run fr b role primary
	assert_success
	[ "$(status b .epoch)" -gt "$(sed -n 's/^promised \([0-9]*\)$/\1/p' <<<"$promised")" ]
	wait_until 60 in_step b a
}

@test "no majority: refused, unless by force" {
	fr b role backup
	agent_kill w
	agent_kill a
	wait_until 30 is b '.quorum.alive == 1'
	run fr b ready
	assert_failure 4
	assert_line '  no majority: 1 of 3 voters are there, 2 are needed'
	run fr b role primary
	assert_failure 1
	assert_output 'flyrep: no majority: 1 of 3 votes, 2 are needed; a: no answer; witness 10.9.9.23:9002: no answer'
	run role b
	assert_output backup
	run fr b role backup --force
	assert_failure 2
	run fr b role primary --force
	assert_success
	assert_output --partial 'by force'
	run fr b status
	assert_failure 4
	assert_line --index 0 --regexp '^b  primary  NO QUORUM '
	assert_line 'warning: primary by force, without the votes of a majority'
	assert_line 'warning: no majority: 1 of 3 voters are there, 2 are needed'
	log_says b 'primary by force'
	fr b role backup
	is b '.forced == false'
}

@test "both by force: the split brain is named, and a person ends it" {
	witness_start
	agent_start a
	wait_until 30 all_hear
	wait_until 60 is a '.ha_role == "backup" and .peers[0].connected'
	part a b w
	part b a w
	wait_until 30 is a '.quorum.alive == 1'
	wait_until 30 is b '.quorum.alive == 1'
	fr a role primary --force
	fr b role primary --force
	assert_equal "$(status a .epoch)" "$(status b .epoch)"
	join a b
	wait_until 60 is a '.sync_state == "split_brain"'
	wait_until 60 is b '.sync_state == "split_brain"'
	log_says a 'split brain: b and this node are both primary under epoch'
	run fr a ready
	assert_failure 4
	assert_line '  split brain'
	run fr a status
	assert_failure 4
	assert_line 'warning: split brain: b is primary, too'
	fr b role backup
	wait_until 60 in_step
}

@test "both by force: the rule ends it by itself" {
	local node
	fr a role backup
	node_config a 'split_brain = "priority"' 'priority = 10'
	node_config b 'split_brain = "priority"' 'priority = 20'
	agent_signal a HUP
	agent_signal b HUP
	wait_until 20 is a '.quorum.split_brain == "priority"'
	wait_until 20 is b '.quorum.split_brain == "priority"'
	part a b w
	part b a w
	wait_until 30 is a '.quorum.alive == 1'
	wait_until 30 is b '.quorum.alive == 1'
	fr a role primary --force
	fr b role primary --force
	assert_equal "$(status a .epoch)" "$(status b .epoch)"
	join a b
	wait_until 60 is a '.ha_role == "backup"'
	log_says a 'stepping down: b is primary under the same epoch, and goes on by the rule priority'
	wait_until 60 in_step b a
	run role b
	assert_output primary
}

@test "a standalone node listens for nobody but its operator, and is fine" {
	agent_kill a
	cat >"$topo_dir/a.hcl" <<-END
		replication {
		  mode = "standalone"
		  node_id = "a"
		  state_dir = "$topo_dir/a"
		  api { socket = "$topo_dir/a.sock" }
		  conntrack { min_state = "all" }
		}
	END
	agent_start a
	# What it held for the other node is its own now.
	flow_add a 1009
	# Beside these its kernel knows what the nodes said to each other.
	wait_until 30 is a '.sync_state == "standalone" and .tables[0].entries >= 3'
	flows_are a "1001 1002 1009"
	run fr a status
	assert_success
	assert_line --index 0 --regexp '^a  primary  standalone  epoch '
	run fr a ready
	assert_success
	run fr a validate
	assert_success
	assert_line --regexp '^a +equal +[0-9]+ +[0-9]+ +0 +0 +0 +0$'
	run fr a role backup
	assert_failure 1
	assert_output --partial 'no role to change'
	run on a ss -HOltun
	assert_output --regexp '127\.0\.0\.1:8080 .*\[::1\]:8080 '
	assert_equal "${#lines[@]}" 2
}
