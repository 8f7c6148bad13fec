#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# lab: deadline=600 kernel=6.12
#
# Whoever comes with the wrong key, the wrong name or garbage is refused with a
# sentence in the log, and the pair that is in session all the while goes on.

load pair

setup_file() {
	pair_up 65536
	pair_start
}

teardown_file() {
	pair_down
}

setup() {
	bats_load_library bats-support
	bats_load_library bats-assert
	: >"$topo_dir/a.log"
	session=$(sessions)
}

# After each: both agents live, in the session they had, and in step.
teardown() {
	pair_tell
	agent_kill stranger
	agent_is_alive a
	agent_is_alive b
	wait_until 30 in_step
	[ "$(sessions)" = "$session" ]
}

# How often b has come into session with a.
sessions() {
	grep -c 'session established' "$topo_dir/b.log"
}

# rogue <BYTES: with the right key, in the name of b
rogue() {
	on b "$agent_build/bench/rogue" 10.9.9.1 9001 b a "$agent_secret"
}

# frame LEN_AND_TYPE: the head of one, with that in its first five bytes
frame() {
	printf '%b' "$1" '\0\0\0\0\0\0\0\0\0\0\0'
}

# stranger ID SECRET: one more agent beside b, that dials a
stranger() {
	: >"$topo_dir/stranger.log"
	agent_id=$1 agent_secret=$2 agent_config stranger
	agent_launch stranger b
}

@test "random bytes" {
	head -c 100000 /dev/urandom | on b timeout 20 nc -N 10.9.9.1 9001 || true
	wait_until 20 log_says a 'connection was refused'
}

@test "a TLS client without the key" {
	run on b timeout 20 openssl s_client -connect 10.9.9.1:9001 -tls1_3 </dev/null
	assert_failure
	wait_until 20 log_says a 'connection was refused'
}

@test "a client that only knows TLS 1.2" {
	run on b timeout 20 openssl s_client -connect 10.9.9.1:9001 -tls1_2 </dev/null
	assert_failure
	wait_until 20 log_says a 'connection was refused'
}

@test "another key" {
	stranger b quite-another-secret-0123456789-012345
	wait_until 30 log_says a 'refused.*(authentication|key|secret)'
	wait_until 30 log_says stranger '(authentication|key|secret)'
}

@test "a node nobody listed" {
	stranger mallory "$agent_secret"
	wait_until 30 log_says a 'refused.*mallory'
	wait_until 30 log_says stranger 'refused by the other side'
}

@test "a node that claims to be the one it dials" {
	stranger a "$agent_secret"
	wait_until 30 log_says a 'connection was refused'
	wait_until 30 log_says stranger 'refused by the other side'
}

@test "two nodes of one name" {
	stranger b "$agent_secret"
	wait_until 30 log_says a 'a second node uses this id'
	wait_until 30 log_says stranger 'a node with this id is connected already'
}

@test "garbage behind the handshake" {
	run rogue < <(head -c 1000 /dev/urandom)
	assert_success
	assert_line authenticated
	assert_line closed
	wait_until 20 log_says a '(malformed|too long)'
}

@test "a frame longer than any may be" {
	run rogue < <(frame '\x7f\xff\xff\xff\x01')
	assert_success
	assert_line closed
	wait_until 20 log_says a 'too long'
}

@test "a frame that is not HELLO first" {
	run rogue < <(frame '\0\0\0\0\x06')
	assert_success
	assert_line closed
	wait_until 20 log_says a 'refused'
}

@test "more connections than anybody needs, all silent" {
	ip netns exec "$topo_name-b" python3 -c '
import signal, socket
kept = [socket.create_connection(("10.9.9.1", 9001)) for _ in range(100)]
signal.pause()' >/dev/null 2>&1 3>&- &
	local pid=$!
	wait_until 60 log_says a 'too many connections'
	kill $pid
}

@test "a second agent on the same node" {
	stranger b "$agent_secret"
	wait_until 30 log_says stranger 'another socket is the reader'
}
