#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# lab: deadline=900 kernel=6.1
#
# Secrets, keys and links change under replication, and nothing is lost.

load pair

old=of-yesterday-and-of-thirty-bytes
new=of-today---and-of-thirty-two-bytes

setup_file() {
	pair_up 65536
}

teardown_file() {
	pair_down
}

teardown() {
	pair_tell
	agents_stop
	rm -f "$topo_dir"/?.hcl "$topo_dir"/?.log
}

# with NODE SECRET [LINE...]: its configuration under this secret
with() {
	local node=$1 agent_secret=$2
	shift 2
	agent_config "$node" "$@"
}

# reload NODE: until its log says so
reload() {
	local n
	n=$(grep -c 'replication: reloaded' "$topo_dir/$1.log") || true
	agent_signal "$1" HUP
	wait_until 20 reloaded "$1" "$n"
}

reloaded() {
	[ "$(grep -c 'replication: reloaded' "$topo_dir/$1.log")" -gt "$2" ]
}

# warns NODE PATTERN: its status does
warns() {
	api_get "$1" status | grep -qE -- "$2"
}

is_silent() {
	! warns "$1" 'previous secret'
}

@test "a new secret rolls out node by node, and flows go on arriving" {
	local n
	with a $old
	with b $old
	pair_start
	load_send -n 500 -r 1000
	wait_until 30 in_step

	# The writer first: it accepts what the standby dials with.
	with a $new "previous_secret_keys = [\"$old\"]"
	reload a
	wait_until 30 warns a 'previous secret'
	load_send -n 500 -r 1000
	wait_until 30 in_step

	# Now the standby; it dials with the new one.
	with b $new "previous_secret_keys = [\"$old\"]"
	reload b
	agent_kill b TERM
	agent_launch b
	wait_until 60 in_step
	wait_until 30 is_silent a

	# The old one is struck off.
	with a $new
	reload a
	load_send -n 500 -r 1000
	wait_until 30 in_step
	is_silent a
	pair_same
	run fr a --json status
	refute_output --partial $old
	refute_output --partial $new
}

@test "a standby that has the new secret already dials with the old one, too" {
	with a $old
	with b $new "previous_secret_keys = [\"$old\"]"
	pair_start
	wait_until 20 warns b 'previous secret'
	log_says a 'PSK mismatch with node b'
}

@test "a secret that is none of ours is refused by both, in words" {
	with a $old
	with b $new
	agent_start a
	agent_start b
	wait_until 20 log_says a 'PSK mismatch with node b'
	wait_until 20 log_says b 'PSK mismatch: .* says that our secret_key is not its'
}

@test "a session ends when its secret is struck off, and comes back under another" {
	with a $old
	with b $new "previous_secret_keys = [\"$old\"]"
	pair_start
	with a $new
	reload a
	wait_until 20 log_says a 'the secret of this session is no more'
	wait_until 60 in_step
	is_silent b
}

@test "a standby takes over the hash key of its writer, once" {
	local key
	with a $old
	with b $old
	rm -f "$topo_dir/b/state"
	pair_start
	key=$(grep hash_key "$topo_dir/a/state")
	assert_equal "$(grep hash_key "$topo_dir/b/state")" "$key"
	agent_kill a
	agent_kill b
	: >"$topo_dir/b.log"
	pair_start
	refute log_says b 'hash key'
	assert_equal "$(grep hash_key "$topo_dir/a/state")" "$key"
	validated a
}

@test "a reload with a fault in it changes nothing" {
	with a $old
	with b $old
	pair_start
	with b $old 'state_dir = "/nowhere"' 'bogus = 1'
	agent_signal b HUP
	wait_until 20 log_says b 'unknown key "bogus"'
	wait_until 20 log_says b 'not reloaded'
	with b $old 'ring = 65536'
	agent_signal b HUP
	wait_until 20 log_says b 'ring changed: that needs a restart'
	load_send -n 100
	wait_until 30 in_step
}
