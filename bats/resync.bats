#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# lab: deadline=900 memory=2048
#
# What a person does about replication: pauses it, has all of it sent again.

load pair

setup_file() {
	pair_up 100000
	pair_start
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
