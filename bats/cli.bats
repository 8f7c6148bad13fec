#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# lab: deadline=400 kernel=6.12
#
# flyrep: the command line itself, and what it makes of answers that a sound
# agent never gives

setup() {
	bats_load_library bats-support
	bats_load_library bats-assert
	cd "$BATS_TEST_DIRNAME/.." || return
	flyrep=$(realpath "${BUILD:-build}/flyrep")
	sock=$BATS_TEST_TMPDIR/api.sock
	pid=
	unset FLYREP_SOCKET NO_COLOR
}

teardown() {
	stop
}

# stop: nobody answers any more
stop() {
	[ -n "$pid" ] || return 0
	kill "$pid"
	wait "$pid" || :
	rm -f "$sock" "$sock.asked"
	pid=
}

# listen FILE|silence: that is what whoever asks at $sock gets from now on
listen() {
	local deadline=$((SECONDS + 10))
	stop
	bats/answer "$sock" "$1" 3>&- &
	pid=$!
	until [ -S "$sock" ]; do
		((SECONDS < deadline)) || return 1
		read -rt 0.02 <> <(:) || :
	done
	export FLYREP_SOCKET=$sock
}

# raw: what is on stdin, byte for byte
raw() {
	cat >"$sock.reply"
	listen "$sock.reply"
}

# http CODE: the JSON on stdin as an HTTP answer
http() {
	local body
	body=$(cat)
	raw < <(printf 'HTTP/1.1 %s X\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s' \
		"$1" "${#body}" "$body")
}

node='{"status":{"mode":"primary","ha_role":"primary","node_id":"fw-a","connected":true,
"sync_state":"in_sync","version":"9","error":null,"sequence":12,"epoch":3,"paused":false,
"module":{"present":true,"version":"7","capture":"notifier","bound":true},
"tables":[{"table":"conntrack","entries":184220,"digest":"00ff"}],"warnings":["w one"],
"peers":[{"id":"fw-b","address":"192.0.2.2:9001","role":"replica","state":"in_sync","connected":true,
"key_age_ms":3600000,"lag_ms":12.3,"backlog_changes":4321,"backlog_bytes":1,"rtt_ms":0.42,"tx_bytes":1234567,"rx_bytes":999,
"last_audit":null,"repairing_buckets":0,"error":null}]}}'

@test "help names every verb, and each has its own" {
	run "$flyrep" --help
	assert_success
	for verb in status lag ready role key validate pause resume resync config kernel completion help; do
		assert_line --regexp "^  $verb"
		run "$flyrep" "$verb" --help
		assert_success
		assert_line --index 0 --partial "Usage: flyrep $verb"
		run "$flyrep" --help
	done
}

@test "the version" {
	run "$flyrep" --version
	assert_success
	assert_output --regexp '^flyrep [0-9]+\.[0-9]+\.[0-9]+$'
}

@test "mistakes on the command line exit 2 and suggest" {
	run "$flyrep" stauts
	assert_failure 2
	assert_line 'flyrep: unknown command "stauts": did you mean status?'
	run "$flyrep" lag --mux 3s
	assert_failure 2
	assert_line 'flyrep: unknown option --mux: did you mean --max?'
	run "$flyrep" lag --max
	assert_failure 2
	run "$flyrep" lag --max soon
	assert_failure 2
	run "$flyrep" status extra
	assert_failure 2
	run "$flyrep" status --json=yes
	assert_failure 2
	run "$flyrep" -x
	assert_failure 2
	run "$flyrep" role king
	assert_failure 2
	run "$flyrep" role primary backup
	assert_failure 2
	run "$flyrep" status --watch=0
	assert_failure 2
	run "$flyrep" role --watch
	assert_failure 2
	run "$flyrep" status --color=blue
	assert_failure 2
	run "$flyrep" status --socket "$(printf '%0200d' 0)"
	assert_failure 2
}

@test "no agent: exit 3, for every verb that needs one" {
	for verb in '' status lag ready role 'role primary' validate 'replication status'; do
		# shellcheck disable=SC2086
		run "$flyrep" --socket "$sock" $verb
		assert_failure 3
		assert_output --partial "$sock does not exist"
	done
}

@test "a socket that nobody listens at: exit 3" {
	raw </dev/null
	kill "$pid"
	wait "$pid" || :
	pid=
	run "$flyrep" status
	assert_failure 3
	assert_output --partial "nobody answers at $sock"
}

@test "a socket one may not use: exit 5" {
	raw </dev/null
	chmod 600 "$sock"
	run setpriv --reuid 65534 --regid 65534 --clear-groups "$flyrep" --socket "$sock" status
	assert_failure 5
	assert_output --partial 'permission denied'
}

@test "an agent that says nothing: exit 6" {
	listen silence
	run "$flyrep" ready
	assert_failure 6
	assert_output 'flyrep: the agent did not answer within 10 s'
}

@test "errors of the API keep their meaning" {
	http 403 <<<'{"error":"not allowed","details":"uid 7"}'
	run "$flyrep" role primary
	assert_failure 5
	assert_output 'flyrep: not allowed: uid 7'
	http 504 <<<'{"error":"timed out"}'
	run "$flyrep" validate
	assert_failure 6
	assert_output 'flyrep: timed out'
	http 500 <<<'no JSON'
	run "$flyrep" --json status
	assert_failure 1
	assert_output '{"error":"the agent answers with status 500"}'
}

@test "answers that make no sense: exit 1 or 3, never a crash" {
	local body reply
	for body in '{"status":' '[]' '{"a":1,"a":2}' '' '"x"' $'{"a":"\xff"}'; do
		http 200 <<<"$body"
		run "$flyrep" status
		assert_failure 1
		assert_output --partial "the agent's answer makes no sense"
	done
	for reply in 'HTTP/1.1 200 OK' 'garbage' ''; do
		raw <<<"$reply"
		run "$flyrep" status
		[[ $status == [13] ]] || fail "status $status"
		assert_output --partial 'flyrep: '
		done
}

@test "an answer that lacks everything is shown as unknown, and degraded" {
	http 200 <<<'{}'
	run "$flyrep" status --verbose
	assert_failure 4
	assert_output --partial 'unknown'
	run "$flyrep" ready
	assert_failure 4
	run "$flyrep" validate
	assert_failure 1
	run "$flyrep" lag
	assert_success
}

@test "an endless answer is cut off" {
	raw < <(printf 'HTTP/1.1 200 X\r\nConnection: close\r\n\r\n'; head -c 20000000 /dev/zero)
	run "$flyrep" status
	assert_failure 1
	assert_output "flyrep: the agent's answer is too long"
}

@test "status for a person" {
	http 200 <<<"$node"
	run "$flyrep"
	assert_success
	assert_line 'fw-a  primary  in sync  epoch 3  module 7'
	assert_line --regexp '^peer +role +state +lag +backlog +rtt +sent / received +last audit +keys +address$'
	assert_line --regexp '^fw-b +replica +in sync +12 ms +4 321 +0\.4 ms +1\.2 MB / 999 B +- +60 min +192\.0\.2\.2:9001$'
	assert_line 'conntrack  184 220'
	assert_line 'warning: w one'
	refute_output --partial $'\e['
	run "$flyrep" status --color=always
	assert_output --partial $'\e['
	run "$flyrep" status --verbose
	assert_line 'conntrack  184 220  digest 00ff'
}

@test "status as JSON is what the agent said" {
	http 200 <<<"$node"
	run "$flyrep" replication status --json
	assert_success
	run diff <(jq -S . <<<"$output") <(jq -S . <<<"$node")
	assert_success
}

@test "a peer that lags or is down makes status exit 4" {
	for state in lagging down needs_resync connecting split_brain; do
		http 200 <<<"${node/\"state\":\"in_sync\"/\"state\":\"$state\"}"
		run "$flyrep" status
		assert_failure 4
		done
}

@test "watch goes on when things go wrong" {
	http 200 <<<"$node"
	run timeout 3 "$flyrep" status --json --watch=0.2
	assert_failure 124
	assert [ "${#lines[@]}" -gt 3 ]
	assert_equal "$(jq -r .status.node_id <<<"${lines[2]}")" fw-a
}

@test "lag --max exits 4 when a peer is over it or unknown" {
	http 200 <<<'{"peers":[{"id":"b","p50_ms":1.0,"p99_ms":20,"max_ms":1500,"changes":7,"bytes":2048}]}'
	run "$flyrep" lag
	assert_success
	assert_line --regexp '^b +1\.0 ms +20 ms +1\.5 s +7 +2\.0 kB$'
	run "$flyrep" lag --max 2s
	assert_success
	run "$flyrep" lag --max=1s
	assert_failure 4
	http 200 <<<'{"peers":[{"id":"b","max_ms":null}]}'
	run "$flyrep" lag --max 1h
	assert_failure 4
}

@test "ready says why not" {
	http 200 <<<'{"ready":false,"reasons":["still syncing"],"would_lose":1234,"role":"replica"}'
	run "$flyrep" ready
	assert_failure 4
	assert_line 'not ready  replica  1 234 changes would be lost if the peer died now'
	assert_line '  still syncing'
}

@test "role and validate ask for the right thing" {
	http 200 <<<'{"role":"primary","epoch":4,"promoted":184220,"took_ms":31.5}'
	run "$flyrep" role primary
	assert_success
	assert_output 'primary  epoch 4  184 220 flows promoted  32 ms'
	run cat "$sock.asked"
	assert_line --partial 'POST /api/replication/role '
	assert_line '{"role":"primary"}'
	http 200 <<<'{"equal":false,"deep":true,"took_ms":5,"peers":[{"id":"b","equal":false,"entries_local":10,"entries_remote":9,"buckets_differ":1,"missing":1,"stale":0,"differ":0}]}'
	run "$flyrep" validate --deep
	assert_failure 1
	assert_line --regexp '^b +DIFFERS +10 +9 +1 +1 +0 +0$'
	run cat "$sock.asked"
	assert_line '{"deep":true}'
}

@test "validate and status name the table that differs" {
	local one='"entries_local":5,"entries_remote":5,"buckets_differ":0,"missing":0,"stale":0,"differ":0'
	local two='"entries_local":3,"entries_remote":2,"buckets_differ":1,"missing":1,"stale":0,"differ":0'
	local sum='"entries_local":8,"entries_remote":7,"buckets_differ":1,"missing":1,"stale":0,"differ":0'
	http 200 <<-END
		{"equal":false,"deep":true,"took_ms":5,"peers":[{"id":"b","equal":false,$sum,"tables":[
		{"table":"conntrack","equal":true,$one},{"table":"dns","equal":false,$two}]}]}
	END
	run "$flyrep" validate --deep
	assert_failure 1
	assert_line --regexp '^b +DIFFERS +8 +7 +1 +1 +0 +0$'
	assert_line --regexp '^  conntrack +equal +5 +5 +0 +0 +0 +0$'
	assert_line --regexp '^  dns +DIFFERS +3 +2 +1 +1 +0 +0$'

	http 200 <<<"${node/\"digest\":\"00ff\"\}/\"digest\":\"00ff\",\"in_step\":true,\"buckets_differ\":0\},
		{\"table\":\"dns\",\"entries\":3,\"in_step\":false,\"buckets_differ\":2\},
		{\"table\":\"leases\",\"entries\":4,\"in_step\":false,\"buckets_differ\":null\}}"
	run "$flyrep" status
	assert_line 'conntrack  184 220'
	assert_line 'dns  3  2 buckets differ'
	assert_line 'leases  4  differs'
}

@test "the agent itself, with nobody to talk to" {
	[ "$(id -u)" -eq 0 ] || skip "needs a network namespace"
	cat >"$BATS_TEST_TMPDIR/flyrep.hcl" <<-END
		replication {
		  mode        = "primary"
		  node_id     = "fw-a"
		  listen_addr = "127.0.0.1:9001"
		  secret_key  = "0123456789abcdef0123456789abcdef"
		  state_dir   = "$BATS_TEST_TMPDIR"
		  peers       = [{ id = "fw-b", address = "127.0.0.2" }]
		  api { socket = "$sock" }
		}
	END
	chmod 600 "$BATS_TEST_TMPDIR/flyrep.hcl"
	unshare -n "$(realpath "${BUILD:-build}/flyrepd")" -c "$BATS_TEST_TMPDIR/flyrep.hcl" \
		2>"$BATS_TEST_TMPDIR/log" 3>&- &
	pid=$!
	export FLYREP_SOCKET=$sock
	local deadline=$((SECONDS + 20))
	until "$flyrep" role >/dev/null 2>&1; do
		((SECONDS < deadline)) || { cat "$BATS_TEST_TMPDIR/log"; false; }
		read -rt 0.05 <> <(:) || :
	done
	run "$flyrep" status
	assert_failure 4
	assert_line --index 0 --regexp '^fw-a  primary  (DOWN|starting|connecting)  epoch [0-9]+  '
	assert_line --regexp '^fw-b +'
	run "$flyrep" ready
	assert_failure 4
	run "$flyrep" validate
	assert_failure 1
	assert_output --partial 'nothing to compare with'
	run "$flyrep" role backup
	assert_success
	run "$flyrep" --json role
	assert_equal "$(jq -r .role <<<"$output")" backup
}

# words AT WORD...: what completion offers for the word at place AT
words() {
	COMP_CWORD=$1
	shift
	COMP_WORDS=("$@")
	COMPREPLY=()
	_flyrep
	echo "${COMPREPLY[*]}"
}

@test "completion comes from the same table" {
	# shellcheck disable=SC1090
	. <("$flyrep" completion bash)
	assert_equal "$(words 1 flyrep sta)" status
	assert_equal "$(words 2 flyrep role p)" primary
	assert_equal "$(words 2 flyrep lag --m)" --max
	assert_equal "$(words 2 flyrep replication va)" validate
	assert_equal "$(words 3 flyrep --socket /x rea)" ready
	assert_equal "$(words 2 flyrep config s)" 'show schema'
	assert_equal "$(words 3 flyrep config check LICENS | cut -d' ' -f1)" LICENSE
	run "$flyrep" completion zsh
	assert_failure 2
}

@test "the manual pages say what the program says, and format cleanly" {
	run env FLYREP="$flyrep" docs/man/update --check
	assert_success
	for page in docs/man/*.scd; do
		scdoc <"$page" >"$BATS_TEST_TMPDIR/page"
		# scdoc's own habits: a paragraph macro too many, long lines.
		run bash -c "mandoc -Tlint '$BATS_TEST_TMPDIR/page' | grep -v -e 'skipping paragraph macro' -e ': STYLE: '"
		assert_output ''
	done
}
