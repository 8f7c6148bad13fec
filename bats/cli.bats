#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# lab: deadline=1200 kernel=host
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

# listen FILE...|silence: that is what whoever asks at $sock gets from now on; of several files each
# asker gets the next one, and then the last again and again
listen() {
	local deadline=$((SECONDS + 30))
	stop
	bats/answer "$sock" "$@" 3>&- &
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

# answer CODE: the JSON on stdin as an HTTP answer
answer() {
	local body
	body=$(cat)
	printf 'HTTP/1.1 %s X\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s' \
		"$1" "${#body}" "$body"
}

# http CODE: that is what whoever asks gets
http() {
	raw < <(answer "$1")
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
	for verb in status peers lag queue top ready role key validate pause resume resync conflicts test-conflict \
		checkpoint backup debug events doctor config filter kernel lease record completion help; do
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
	for words in 'role primary' pause 'config check' 'key rotate'; do
		# shellcheck disable=SC2086
		run "$flyrep" $words --watch
		assert_failure 2
	done
	run "$flyrep" kernel statsu
	assert_failure 2
	assert_line 'flyrep: "statsu" is not one of status, events, snapshot: did you mean status?'
	run "$flyrep" backup lst
	assert_failure 2
	assert_line --partial 'did you mean list?'
	run "$flyrep" resync --table conntrac
	assert_failure 2
	assert_line --partial 'did you mean conntrack?'
	run "$flyrep" record list dsn
	assert_failure 2
	assert_line --partial 'did you mean dns?'
	for words in --force 'backup --force' '--force fault'; do
		# shellcheck disable=SC2086
		run "$flyrep" role $words
		assert_failure 2
		assert_line 'flyrep: --force is for primary'
	done
	run "$flyrep" status --color=blue
	assert_failure 2
	run "$flyrep" status --socket "$(printf '%0200d' 0)"
	assert_failure 2
}

@test "no agent: exit 3, for every verb that needs one" {
	for verb in '' status peers lag 'queue status' top debug events 'events -f' ready role 'role primary' validate 'replication status'; do
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

@test "a table on a narrow terminal: what does not fit is left out, and nothing is broken" {
	http 200 <<<"$node"
	run on_terminal 24 60 "'$flyrep' status --color=never"
	assert_output --regexp 'peer +role +state +lag +backlog +rtt'$'\r'
	refute_output --partial 'address'
	run on_terminal 24 120 "'$flyrep' status --color=never"
	assert_output --partial 'address'
}

@test "status tells of the quorum, and of its voters to who asks" {
	http 200 <<<"${node/\"sequence\":12/\"quorum\":{\"enabled\":true,\"votes\":3,\"needed\":2,\"alive\":2\},
		\"heartbeat\":{\"voters\":[{\"name\":\"fw-b\",\"alive\":true,\"rtt_ms\":0.31,\"epoch\":3\},
		{\"name\":\"witness 192.0.2.9:9002\",\"alive\":false,\"rtt_ms\":null,\"epoch\":null\}]\},\"sequence\":12}"
	run "$flyrep" status
	assert_line 'quorum  2 of 3 voters, 2 needed'
	refute_output --partial 'heartbeat'
	run "$flyrep" status --verbose
	assert_line 'heartbeat  fw-b  alive  0.3 ms  epoch 3'
	assert_line 'heartbeat  witness 192.0.2.9:9002  SILENT  -  epoch -'
}

@test "a peer that is none, and the one that was meant" {
	http 409 <<<'{"error":"fw-c is none of our peers","details":""}'
	run "$flyrep" resync --peer fw-c
	assert_failure 1
	assert_output 'flyrep: fw-c is none of our peers'
	# Refused, and then told who there is
	cp "$sock.reply" "$sock.refusal"
	answer 200 <<<"$node" >"$sock.reply"
	listen "$sock.refusal" "$sock.reply"
	run "$flyrep" key rotate fwb
	assert_failure 1
	assert_output 'flyrep: fw-c is none of our peers: did you mean fw-b?'
	listen "$sock.refusal" "$sock.reply"
	run "$flyrep" resync --json --peer other
	assert_failure 1
	assert_output '{"error":"fw-c is none of our peers; there is: fw-b"}'
	run "$flyrep" resync --peer ''
	assert_failure 2
	assert_line 'flyrep: --peer: "" is no node_id'
}

@test "status as JSON is what the agent said" {
	http 200 <<<"$node"
	run "$flyrep" replication status --json
	assert_success
	run diff <(jq -S . <<<"$output") <(jq -S . <<<"$node")
	assert_success
}

@test "a peer that lags or is down makes status exit 4" {
	for state in lagging down needs_resync connecting split_brain no_quorum; do
		http 200 <<<"${node/\"state\":\"in_sync\"/\"state\":\"$state\"}"
		run "$flyrep" status
		assert_failure 4
		done
}

# reading: each command that only reads
reading=(status peers lag 'queue status' ready role validate conflicts 'conflicts 1' 'resync 1' 'debug --peer fw-b' events top
	'backup list' doctor)

@test "every reading command answers in JSON, and again and again" {
	local words
	http 200 <<<"$node"
	for words in "${reading[@]}"; do
		# shellcheck disable=SC2086
		run head -n 2 < <("$flyrep" $words --json --watch=0.1 2>&1)
		[ "${#lines[@]}" -eq 2 ] || fail "$words: $output"
		jq -e type <<<"${lines[0]}" >/dev/null || fail "$words: $output"
	done
	for words in --version 'config schema' doctor "${reading[@]}"; do
		[ "$words" != top ] || continue
		# shellcheck disable=SC2086
		run "$flyrep" $words --json
		jq -es 'length == 1' <<<"$output" >/dev/null || fail "$words: $output"
	done
}

@test "watch goes on when things go wrong" {
	http 200 <<<"$node"
	run timeout 3 "$flyrep" status --json --watch=0.2
	assert_failure 124
	assert [ "${#lines[@]}" -gt 3 ]
	assert_equal "$(jq -r .status.node_id <<<"${lines[2]}")" fw-a
}

@test "peers: the lines of the status, and its exit" {
	local peer
	peer=$(jq -c .status.peers <<<"$node")
	http 200 <<<"{\"peers\":$peer}"
	run "$flyrep" peers
	assert_success
	assert_line --index 0 --regexp '^peer +role +state +lag '
	assert_line --index 1 --regexp '^fw-b +replica +in sync +12 ms +4 321 '
	assert_equal "${#lines[@]}" 2
	run "$flyrep" peers --json
	assert_equal "$(jq -r '.peers[0].id' <<<"$output")" fw-b
	http 200 <<<"{\"peers\":${peer/in_sync/down}}"
	run "$flyrep" peers
	assert_failure 4
	http 200 <<<'{"peers":[]}'
	run "$flyrep" peers
	assert_success
	assert_output 'no peers'
	http 200 <<<"{\"peers\":${peer/\"error\":null/\"error\":\"a\\u001b[2J\\u009bb\"}}"
	run "$flyrep" peers
	assert_line 'fw-b: a?[2J?'$'\x9b''b'
}

queue='{"queue":{"paused":false,
"ring":{"present":true,"entries":131072,"dirty_buckets":0,"queued":12345,"coalesced":7,"drained":12340,"overflowed":0,"busy":false},
"batch":{"changes":3,"oldest_ms":12.5,"withheld":0},
"backlog":{"first_sequence":10,"next_sequence":20,"batches":9,"changes":1234,"bytes":2048,"bytes_max":67108864},
"peers":[{"id":"fw-b","state":"lagging","direction":"out","acked_sequence":11,"changes":1234,"bytes":2048,"oldest_ms":15000,
"in_flight_bytes":512,"socket_bytes":0,"repair_buckets":2,"remote_changes":0,"jumps":1}]}}'

@test "queue status: stage by stage, then a line a peer" {
	http 200 <<<"$queue"
	run "$flyrep" queue status
	assert_success
	assert_line 'ring     room for 131 072 changes a CPU, 12 345 queued so far, 12 340 drained'
	assert_line 'batch    3 changes, the oldest 12 ms old'
	assert_line 'backlog  1 234 changes in 9 batches, 2.0 kB of 67 MB'
	assert_line --regexp '^fw-b +LAGGING +out +1 234 +2\.0 kB +15 s +512 B +0 B +2 +0 +1$'
	run head -n 1 "$sock.asked"
	assert_output --partial 'GET /api/replication/queue HTTP'
	run "$flyrep" queue status --verbose
	assert_line --partial 'sequences 10 to 20'
	run "$flyrep" --json queue status
	run diff <(jq -S . <<<"$output") <(jq -S . <<<"$queue")
	assert_success
	http 200 <<<"${queue/\"present\":true/\"present\":false}"
	run "$flyrep" queue status
	assert_failure 4
	assert_line 'ring     no kernel module'
	http 200 <<<"${queue/\"dirty_buckets\":0/\"dirty_buckets\":5}"
	run "$flyrep" queue status
	assert_line --partial ', 5 buckets to be read whole'
	http 200 <<<"${queue/\"paused\":false/\"paused\":true}"
	run "$flyrep" queue status
	assert_failure 4
	assert_line --index 0 --partial PAUSED
	run "$flyrep" queue
	assert_failure 2
	run "$flyrep" queue statsu
	assert_failure 2
	assert_line 'flyrep: "statsu" is not status: did you mean status?'
	run "$flyrep" queue status now
	assert_failure 2
}

debug='{"peer":{"id":"fw-b","state":"in_sync","role":"backup","paused":false,"error":""},
"session":{"state":"up","since_ms":60000,"dialled_here":false,"address":"192.0.2.2:9001","expected_id":"fw-b","relation":"write",
"wire_version":2,"version":"0.1.0","epoch":3,"offers":["conntrack","dns"],"rtt_ms":0.4,"rx_bytes":10,"tx_bytes":2000,"encrypted":true,
"old_secret":true,"key_age_ms":1000,"key_renewals":0,"key_trouble":"","suspect":false,"backoff_ms":0,"error":""},
"ship":{"started":true,"acked_sequence":11,"next_sequence":12,"changes":0,"lag_p50_ms":1,"lag_p99_ms":2,"lag_max_ms":3,"last_audit":null,
"equal":true,"remote_entries":7,"held_back":[]},"receive":{"started":false},
"tables":[{"table":"conntrack","sent":true,"received":false,"entries":7,"remote_entries":6,"buckets_differ":1,"dirty_buckets":0,"refused":0,"unrepaired":0}],
"heartbeat":null,"clock":{"offset_ms":-12,"tolerance_ms":100},
"events":[{"n":1,"at_ms":1000,"type":"peer_up","level":"notice","peer":"fw-b","text":"peer fw-b: connected"}]}'

@test "debug: one peer, in groups" {
	http 200 <<<"$debug"
	run "$flyrep" debug --peer fw-b
	assert_success
	assert_line --index 0 'peer: fw-b'
	for line in '  state: in sync' session '  for: 60 s' '  expected name: fw-b' '  replicates: conntrack, dns' '  encrypted: yes' \
		'  previous secret: yes' 'ship: to this peer' '  lag max: 3.0 ms' '  equal: yes' tables clock '  ahead by (ms): -12' events; do
		assert_line "$line"
	done
	assert_line --regexp '^  conntrack +out +7 +6 +1 +0 +0 +0$'
	assert_line --regexp '^[A-Z][a-z]+ [0-9]+ [0-9:]+:01\.000  peer_up +fw-b  connected$'
	refute_output --partial 'receive: '
	refute_output --partial 'error'
	run head -n 1 "$sock.asked"
	assert_output --partial 'GET /api/replication/peers/fw-b/debug HTTP'
	run "$flyrep" debug --peer fw-b --verbose
	assert_line 'receive: from this peer'
	run "$flyrep" debug --peer 'a/b'
	assert_failure 2
	run "$flyrep" debug fw-b
	assert_failure 2
	http 200 <<<'{"peers":[{"id":"fw-b"},{"id":"fw-c"}]}'
	run "$flyrep" debug
	assert_failure 2
	assert_line 'flyrep: --peer: which one of fw-b, fw-c?'
	http 200 <<<'{"peers":[{"id":"?"}]}'
	run "$flyrep" debug
	assert_failure 1
	answer 200 <<<'{"peers":[{"id":"fw-b"}]}' >"$sock.peers"
	answer 200 <<<"$debug" >"$sock.reply"
	listen "$sock.peers" "$sock.reply"
	run "$flyrep" debug --json
	assert_success
	assert_equal "$(jq -r .peer.id <<<"$output")" fw-b
}

# event N TEXT
event() {
	printf '{"n":%d,"at_ms":%d000,"type":"role","level":"warning","peer":null,"text":"%s"}' "$1" "$1" "$2"
}

@test "events: a line each; --follow asks for more, also of another run of the agent" {
	http 200 <<<"{\"instance\":\"x\",\"events\":[$(event 1 one),$(event 2 two)],\"next\":3,\"missed\":4}"
	run "$flyrep" events
	assert_success
	assert_line --index 0 '4 before these are no longer remembered'
	assert_line --index 1 --regexp ':01\.000  role +one$'
	assert_equal "${#lines[@]}" 3
	run "$flyrep" events --json
	assert_equal "$(jq -r '.events[1].text' <<<"$output")" two
	run "$flyrep" events -f --watch
	assert_failure 2
	cp "$sock.reply" "$sock.1"
	answer 200 <<<"{\"instance\":\"x\",\"events\":[$(event 3 three)],\"next\":4,\"missed\":0}" >"$sock.2"
	answer 200 <<<"{\"instance\":\"y\",\"events\":[$(event 1 new)],\"next\":2,\"missed\":0}" >"$sock.3"
	answer 200 <<<'{"instance":"y","events":[],"next":2,"missed":0}' >"$sock.reply"
	listen "$sock.1" "$sock.2" "$sock.3" "$sock.3" "$sock.reply"
	run timeout 5 "$flyrep" events -f --json
	assert_failure 124
	assert_equal "$(jq -r .text <<<"$output" | xargs)" 'one two three new'
	run sed -n '/^GET/s/ HTTP.*//p' "$sock.asked"
	assert_line --index 0 'GET /api/replication/events'
	assert_line --index 1 'GET /api/replication/events?since=3&wait=50'
	assert_line --index 2 'GET /api/replication/events?since=4&wait=50'
	assert_line --index 3 'GET /api/replication/events'
	assert_line --index 4 'GET /api/replication/events?since=2&wait=50'
}

# busy N LAG: the status of a node that has shipped so many flows
busy() {
	jq -c --argjson n "$1" --argjson lag "$2" '.status.tables[0] += {changes_out: $n, changes_in: 0} |
		.status.peers[0].lag_ms = $lag | .status.warnings = ["w one", "w two"]' <<<"$node"
}

# busy_node: three answers, the last again and again
busy_node() {
	busy 1000 5 | answer 200 >"$sock.1"
	busy 4000 20 | answer 200 >"$sock.2"
	busy 4000 40 | answer 200 >"$sock.3"
	listen "$sock.1" "$sock.2" "$sock.3"
}

@test "top as plain blocks and as lines of JSON" {
	busy_node
	run env LC_ALL=C.UTF-8 "$flyrep" top --watch=1.1 --count 3
	assert_success
	assert_line --index 0 'fw-a  primary  in sync  flows - of -'
	assert_line --index 2 --regexp '^conntrack +184 220 +- +- $'
	assert_line --index 4 --regexp '^fw-b +in sync +5\.0 ms +4 321 +- +- █$'
	# 3000 in more than a second
	assert_line --index 9 --regexp '^conntrack +184 220 +([12] [0-9]{3}|[0-9]{3}) +0 $'
	assert_line --index 18 --regexp '▂▅█$'
	refute_output --partial $'\e'
	busy_node
	run env LC_ALL=C "$flyrep" top --watch=0.1 --count 3
	assert_line --index 18 --regexp ' \.=#$'
	busy_node
	run "$flyrep" top --watch=0.1 --count 2 --json
	assert_success
	assert_equal "${#lines[@]}" 2
	assert_equal "$(jq -c '[.node_id, .tables[0].out_per_s > 100, .peers[0].lag_ms]' <<<"${lines[0]}")" '["fw-a",true,20]'
	assert_equal "$(jq -c '.tables[0].out_per_s == 0' <<<"${lines[1]}")" true
	for n in 0 x -1 '' 1000000000; do
		run "$flyrep" top --count "$n"
		assert_failure 2
	done
	http 503 <<<'{"error":"busy"}'
	run "$flyrep" top
	assert_failure 1
	assert_output 'flyrep: busy'
}

# on_terminal ROWS COLUMNS COMMAND: what a terminal of that size gets, and what stty says after it
on_terminal() {
	local keys=${4:-} deadline=$((SECONDS + 30))
	# Typed once there is a picture; without keys nothing is
	(until [ -z "$keys" ] || grep -qs waits "$sock.screen" || ((SECONDS > deadline)); do read -rt 0.05 <> <(:) || :; done
		printf '%s' "$keys") |
		timeout 60 script -qefc "stty rows $1 cols $2; $3; stty -a" "$sock.screen" >/dev/null
	sed 1d "$sock.screen"
	rm "$sock.screen"
}

@test "top on a terminal: within its edges, until q; then all is as it was" {
	busy_node
	run on_terminal 24 80 "LC_ALL=C.UTF-8 '$flyrep' top --watch=0.2" q
	assert_output --partial $'\e[?1049h\e[?25l'
	assert_output --partial $'\e[?25h\e[?1049l'
	assert_output --regexp '[^-]icanon.*[^-]echo '
	assert_output --partial $'\e[32min sync\e[0m'
	# Nothing is wider than the terminal, and the last line stays empty
	busy_node
	run on_terminal 6 30 "LC_ALL=C.UTF-8 NO_COLOR=1 '$flyrep' top --watch=0.2 --count 2"
	refute_output --partial $'\e[32m'
	refute_output --partial 'waits'
	run awk -F '\033' '/\033\[K/ { sub(/\r/, ""); sub(/.*\033\[H/, ""); sub(/.*\033\[\?25l/, ""); sub(/\033\[K.*/, "");
		n++; if (length($0) > 30) bad = 1 } END { print n, bad + 0 }' <<<"$output"
	assert_output '10 0'
	busy_node
	run on_terminal 24 80 "timeout --foreground -s TERM 1 '$flyrep' top"
	assert_output --partial $'\e[?25h\e[?1049l'
	assert_output --regexp '[^-]icanon.*[^-]echo '
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
	http 200 <<<'{"role":"primary","epoch":5,"promoted":0,"forced":true,"took_ms":1}'
	run "$flyrep" role primary --force
	assert_success
	assert_output 'primary  epoch 5  0 flows promoted  by force  1.0 ms'
	run cat "$sock.asked"
	assert_line '{"role":"primary","force":true}'
	http 409 <<<'{"error":"no majority","details":"1 of 3 votes, 2 are needed; b: no answer"}'
	run "$flyrep" role primary
	assert_failure 1
	assert_output 'flyrep: no majority: 1 of 3 votes, 2 are needed; b: no answer'
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

conflict='{"id":123,"table":"dns","state":"pending","kind":"writes","skew":true,"detected_ms":1000,
"local":1,"strategy":"manual","expires_ms":4102444800000,"sides":[
{"table":"dns","op":"update","view":"lan","name":"www","type":"A","rdata":"192.0.2.1","ttl":60,"node_id":"fw-b","version":65536000,"written_ms":1000},
{"table":"dns","op":"delete","view":"lan","name":"www","type":"A","rdata":"192.0.2.1","node_id":"fw-a","version":65536001,"written_ms":1000}]}'
over='{"id":7,"table":"lease","state":"resolved","kind":"address","skew":false,"detected_ms":1000,"over_ms":2000,
"local":0,"winner":1,"resolution":"rule","resolved_by":"rule","reason":"later","strategy":"timestamp","sides":[
{"op":"update","scope":"lan","client":"00:01","ip":"192.0.2.7","hostname":"a\u001b[2Jb","node_id":"fw-a","version":1,"written_ms":1},
{"op":"update","scope":"lan\u001b[2J","client":"00:02","ip":"192.0.2.7","node_id":"fw-b","version":2,"written_ms":2}]}'

@test "conflicts: a line for each, and both sides of one" {
	http 200 <<<"{\"conflicts\":[$conflict,$over],\"pending\":1}"
	run "$flyrep" conflicts
	assert_success
	assert_line --index 0 --regexp '^ *id +state +table +of +nodes +noticed +decided by$'
	assert_line --index 1 --regexp '^123 +PENDING +dns +lan www A 192\.0\.2\.1 +fw-b, fw-a +[0-9]+ days ago +the time, in [0-9]+ days$'
	assert_line --index 2 --regexp '^ *7 +resolved +lease +lan 192\.0\.2\.7 +fw-a, fw-b +[0-9]+ days ago +rule: rule$'
	refute_output --partial $'\e'
	http 200 <<<'{"conflicts":[],"pending":0}'
	run "$flyrep" conflicts --state expired
	assert_success
	assert_output 'no conflicts'
	run head -n 1 "$sock.asked"
	assert_output --partial 'GET /api/replication/conflicts?state=expired HTTP'

	http 200 <<<"{\"conflict\":$conflict,\"audit\":[{\"at_ms\":1000,\"state\":\"pending\",\"who\":\"\",\"reason\":\"\"}]}"
	run "$flyrep" conflicts 123
	assert_success
	assert_line --index 0 --regexp '^conflict 123  PENDING  dns lan www A 192\.0\.2\.1, noticed [0-9]+ days ago$'
	assert_line --index 1 --regexp '^strategy manual, the time decides in [0-9]+ days; closer than clock_skew_tolerance'
	assert_line --regexp '^fw-b  written [0-9]+ days ago$'
	assert_line '  view=lan name=www type=A rdata=192.0.2.1 ttl=60'
	assert_line --regexp '^fw-a  written [0-9]+ days ago  in effect here$'
	assert_line '  deleted  view=lan name=www type=A rdata=192.0.2.1'
	assert_line --regexp '^  [0-9]+ days ago  pending$'
	run "$flyrep" conflicts 123 --json
	assert_equal "$(jq -r .conflict.id <<<"$output")" 123
	http 200 <<<'{}'
	run "$flyrep" conflicts
	assert_output 'no conflicts'
	run "$flyrep" conflicts 1
	assert_success
	run "$flyrep" test-conflict
	assert_success
}

@test "conflicts resolve says what is decided and why, and shows what came of it" {
	http 200 <<<"{\"conflict\":$over,\"audit\":[{\"at_ms\":1000,\"state\":\"pending\",\"who\":\"\",\"reason\":\"\"},
		{\"at_ms\":2000,\"state\":\"resolved\",\"who\":\"ops\",\"reason\":\"new \\u001b server\"}]}"
	run "$flyrep" conflicts resolve 7 use_remote --reason "new 'server'"
	assert_success
	assert_line --regexp '^fw-a  written [0-9]+ days ago  was in effect here$'
	assert_line --regexp '^fw-b  written [0-9]+ days ago  won$'
	assert_line --regexp '^  [0-9]+ days ago  resolved by ops: new \? server$'
	run cat "$sock.asked"
	assert_line --partial 'POST /api/replication/conflicts/7/resolve HTTP'
	assert_line --partial '{"resolution":"use_remote","reason":"new '"'server'"'"}'
	http 403 <<<'{"error":"not an approver","details":"\"eve\" is not one of the approvers"}'
	run "$flyrep" conflicts resolve 7 use_local
	assert_failure 5
	assert_output 'flyrep: not an approver: "eve" is not one of the approvers'
	http 409 <<<'{"error":"decided already","details":"by ops"}'
	run "$flyrep" conflicts resolve 7 use_local
	assert_failure 1
}

@test "mistakes with conflicts exit 2, and ask nobody" {
	http 200 <<<'{}'
	for args in 'x' '1 2' 'resolve' 'resolve 1' 'resolve x use_local' 'resolve 1 use_both' \
		'resolve 1 use_local more' '--state done' '1 --state pending' '--reason x' '-1' \
		'resolve 1 use_local --watch' '12345678901234567'; do
		# shellcheck disable=SC2086
		run "$flyrep" conflicts $args
		assert_failure 2
	done
	run "$flyrep" conflicts resolve 1 use_locl
	assert_line --partial 'did you mean use_local?'
	run "$flyrep" test-conflict --peer 'a&b'
	assert_failure 2
	run "$flyrep" test-conflict extra
	assert_failure 2
	assert [ ! -e "$sock.asked" ]
}

@test "test-conflict names the winner, and asks about the peer" {
	http 200 <<<'{"test":{"strategy":"priority","waits":false,"sides":[{"node_id":"fw-a","version":1},{"node_id":"fw-b","version":2}],"winner":"fw-a","why":"it has the higher priority"}}'
	run "$flyrep" test-conflict --peer fw-b
	assert_success
	assert_line 'if fw-a and fw-b wrote one key now (strategy priority):'
	assert_line 'fw-a wins: it has the higher priority'
	run head -n 1 "$sock.asked"
	assert_output --partial 'GET /api/replication/test-conflict?peer=fw-b HTTP'
}

@test "conflicts that wait, and a ledger in trouble, make status exit 4" {
	http 200 <<<"${node/\"paused\":false/\"paused\":false,\"conflicts_pending\":2,\"ledger_error\":null}"
	run "$flyrep" status
	assert_failure 4
	assert_line --index 0 --partial '2 conflicts pending'
	http 200 <<<"${node/\"paused\":false/\"paused\":false,\"conflicts_pending\":0,\"ledger_error\":\"disk full\"}"
	run "$flyrep" status
	assert_failure 4
	http 200 <<<"${node/\"paused\":false/\"paused\":false,\"conflicts_pending\":0,\"ledger_error\":null}"
	run "$flyrep" status
	assert_success
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
	run "$flyrep" peers
	assert_failure 4
	assert_line --regexp '^fw-b +unknown +'
	run "$flyrep" queue status
	assert_line --regexp '^ring +'
	assert_line --regexp '^backlog +0 changes in 0 batches'
	assert_line --regexp '^fw-b +'
	run "$flyrep" debug --peer fw-b
	assert_failure 4
	assert_line 'peer: fw-b'
	assert_line --regexp '^  expected name: fw-b$'
	run "$flyrep" debug --peer fwb
	assert_failure 1
	assert_output --partial 'did you mean fw-b?'
	run "$flyrep" top --json --count 1 --watch=0.2
	assert_success
	assert_equal "$(jq -r '.peers[0].id' <<<"$output")" fw-b
	run "$flyrep" events --json
	assert_success
	assert_equal "$(jq '.events | length > 0' <<<"$output")" true
	run "$flyrep" validate
	assert_failure 1
	assert_output --partial 'nothing to compare with'
	run "$flyrep" conflicts
	assert_success
	assert_output 'no conflicts'
	run "$flyrep" conflicts resolve 1 use_local
	assert_failure 1
	assert_output --partial 'no conflict 1'
	run "$flyrep" test-conflict
	assert_failure 1
	assert_output --partial 'who writes wins'
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
	assert_equal "$(words 2 flyrep queue s)" status
	assert_equal "$(words 3 flyrep kernel snapshot le)" 'lease learning'
	assert_equal "$(words 3 flyrep resync --table nf)" nft_set
	assert_equal "$(words 4 flyrep resync --table = nf)" nft_set
	assert_equal "$(words 3 flyrep conflicts --state p)" pending
	assert_equal "$(words 4 flyrep status --color = al)" always
	assert_equal "$(words 3 flyrep doctor --config LICENS)" LICENSE
	assert_equal "$(words 2 flyrep help doc)" doctor
	assert_equal "$(words 3 flyrep lag --max 1)" ''
	# The names of peers come from the agent, if there is one.
	assert_equal "$(words 3 "$flyrep" resync --peer f)" ''
	http 200 <<<'{"peers":[{"id":"fw-b","address":"192.0.2.2:9001"},{"id":"fw-c"},{"id":"x"}]}'
	assert_equal "$(words 3 "$flyrep" debug --peer f)" 'fw-b fw-c'
	assert_equal "$(words 4 "$flyrep" debug --peer = fw-c)" fw-c
	assert_equal "$(words 3 "$flyrep" key rotate x)" x
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
