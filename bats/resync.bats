#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# lab: deadline=900 memory=2048 kernel=6.1
#
# What a person does about replication: pauses it, has all of it sent again.

load pair

setup_file() {
	pair_up 100000
	pair_start
	load_answer
}

teardown_file() {
	pair_down
}

# is STATE NODE: what its status says
is() {
	[ "$(status "$2" .sync_state)" = "$1" ]
}

# waits NODE COUNT: that many changes at least wait for its first peer
waits() {
	[ "$(status "$1" '.peers[0].backlog_changes')" -ge "$2" ]
}

@test "a paused primary sends nothing, says so everywhere, and then all of it" {
	local held
	run fr a pause
	assert_success
	assert_output --partial 'nothing is sent or applied'
	run fr a pause
	assert_success
	assert_output --partial 'as before'
	wait_until 20 is paused b
	run fr a status
	assert_failure 4
	assert_output --partial PAUSED
	run fr a ready
	assert_failure 4
	assert_output --partial 'replication is paused here'
	run fr b ready
	assert_failure 4
	assert_output --partial 'replication is paused on a'
	run fr a validate
	assert_failure 1
	held=$(entries b)
	load_send -n 2000
	wait_until 30 waits a 2000
	assert_equal "$(entries b)" "$held"
	run fr a resume
	assert_success
	wait_until 60 in_step
	assert [ "$(entries b)" -ge 2000 ]
	validated a
	wait_until 20 fr b ready
}

@test "a paused standby applies nothing, and goes on where it stood" {
	local held
	run fr b pause
	assert_success
	wait_until 20 is paused a
	run fr b ready
	assert_failure 4
	assert_output --partial 'replication is paused here'
	held=$(entries b)
	load_send -n 2000 -f 200000
	wait_until 30 waits a 2000
	assert_equal "$(entries b)" "$held"
	run fr b resume
	assert_success
	wait_until 60 in_step
	assert [ "$(entries b)" -ge $((held + 2000)) ]
	validated a
}

@test "a restart ends a pause" {
	run fr b pause
	assert_success
	agent_kill b TERM
	agent_start b
	wait_until 60 in_step
	assert_equal "$(status b .paused)" false
}

@test "over the API, and only by POST" {
	run fr a --json pause
	assert_success
	assert_output --partial '"paused": true'
	assert_equal "$(status a .paused)" true
	run api_get a pause
	assert_output --partial ' 405 '
	run fr a --json resume
	assert_output --partial '"changed": true'
	wait_until 60 in_step
}

# resynced JSON: done, all of it
resynced() {
	jq -e '.state == "done" and .buckets == .buckets_total and .records >= 2000 and
		.bytes > 0 and .left_ms == 0' <<<"$1" >/dev/null
}

@test "a resync of the primary sends everything, and says how far it is" {
	local out
	out=$(fr a --json resync --wait)
	resynced "$out" || fail "$out"
	assert_equal "$(jq -r '.peers[0]' <<<"$out")" b
	run fr a resync --table conntrack
	assert_success
	assert_output --partial conntrack
	run fr a resync --wait "$(jq -r '.id | tonumber + 1' <<<"$out")"
	assert_success
	assert_output --partial 'done'
	wait_until 60 in_step
}

@test "a standby has its primary send everything" {
	local out
	out=$(fr b --json resync --wait)
	resynced "$out" || fail "$out"
	assert_equal "$(jq -r '.peers[0]' <<<"$out")" a
}

@test "what cannot be resynced is refused" {
	run fr a resync --peer c
	assert_failure 1
	assert_output --partial 'c is none of our peers'
	run fr a resync --table cheese
	assert_failure 2
	assert_output --partial '"cheese" is not one of conntrack, '
	run fr a resync 4711
	assert_failure 1
	assert_output --partial 'no resync 4711'
	run fr a resync x
	assert_failure 2
	fr a pause
	run fr a resync
	assert_failure 1
	assert_output --partial 'paused here'
	fr a resume
	wait_until 60 in_step
}

# b stands still, so the first one cannot end.
@test "one resync at a time" {
	local replies
	agent_signal b STOP
	run fr a resync
	assert_success
	run fr a resync
	assert_failure 1
	assert_output --partial 'is running'
	replies=$(printf 'POST /api/replication/resync HTTP/1.0\r\n\r\n' | nc -U "$topo_dir/a.sock")
	[[ $replies == *' 409 '* ]] || fail "$replies"
	agent_signal b CONT
	wait_until 60 in_step
}

# restart_with LINE...: both agents, with these in the configuration of the primary
restart_with() {
	agent_kill a TERM
	agent_config a "$@"
	agent_start a
}

@test "without auto_resync a difference waits for a resync" {
	agent_signal b STOP
	restart_with 'recovery { auto_resync = false }'
	load_send -n 1000 -f 400000
	agent_signal b CONT
	wait_until 60 is needs_resync a
	run fr a status
	assert_failure 4
	assert_output --partial 'NEEDS RESYNC'
	run fr b ready
	assert_failure 4
	run fr a resync --wait
	assert_success
	wait_until 60 in_step
	wait_until 20 fr b ready
}

# has_entries NODE COUNT
has_entries() {
	[ "$(entries "$1")" -ge "$2" ]
}

@test "in mode full a standby gets snapshots" {
	local held
	restart_with 'sync {' 'mode = "full"' 'interval = "5s"' '}'
	wait_until 60 in_step
	held=$(entries b)
	load_send -n 1000 -f 600000
	wait_until 60 has_entries b $((held + 1000))
	wait_until 60 in_step
	run fr b ready
	assert_success
	assert [ "$(status a .sequence)" -lt 1000 ]
}

@test "a full resync comes at its time" {
	restart_with 'recovery { full_resync {' 'schedule = "* * * * *"' \
		'compression = false' '} }'
	wait_until 60 in_step
	assert_equal "$(status a '.next_full_resync | length')" 20
	wait_until 100 fr a resync 1
	run fr a resync 1 --wait
	assert_success
	assert_output --partial 'done'
}
