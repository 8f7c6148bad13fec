#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# lab: deadline=900 kernel=6.1
#
# The HTTP API over TCP: what it answers, to whom and to whom not, and that neither a port that is
# taken nor who never reads does harm. Two nodes that both write, each on port 8080 of its own.

load pair
# shellcheck source=../selftests/lib/mesh.sh
. selftests/lib/mesh.sh

token=fedcba9876543210fedcba9876543210

setup_file() {
	export agent_mode=active-active agent_nodes
	topo_module
	topo_room 65536
	mesh_up a b
	export topo_name topo_dir
	for node in a b; do
		api_config $node
		agent_start $node
	done
	wait_until 60 all_in_step
}

# api_config NODE [LINE...]: its file, with these lines in api { }
api_config() {
	local node=$1
	shift
	agent_config "$node" 'data = { dhcp_leases = true, dns_records = true }' \
		'conflict_resolution = { strategy = "manual", manual_resolution = { approvers = ["ops"] } }' \
		'recovery { audit_interval = "2s" }'
	sed -i "s|^  api { \(socket = .*\) }|  api {\n    \1\n$(printf '    %s\\n' "$@")  }|" \
		"$topo_dir/$node.hcl"
}

# api_reload NODE [LINE...]: go by these from now on
api_reload() {
	local before
	before=$(grep -c 'reloaded' "$topo_dir/$1.log" || true)
	api_config "$@"
	agent_signal "$1" HUP
	wait_until 10 reloads_are_more "$1" "$before"
}

reloads_are_more() {
	[ "$(grep -c 'reloaded' "$topo_dir/$1.log")" -gt "$2" ]
}

mesh_show() {
	item "$1" record list dns
	fr "$1" conflicts || true
}

# code NODE CURL-ARGUMENT...: the status of the answer, 000: none; the answer in $topo_dir/answer
code() {
	local node=$1
	shift
	on "$node" curl -s -m 20 -o "$topo_dir/answer" -w '%{http_code}' "$@" || true
}

# answers STATUS [TEXT] -- NODE CURL-ARGUMENT...: with that status, and this in it
answers() {
	local want=$1 text='' got
	shift
	[ "$1" = -- ] || { text=$1; shift; }
	shift
	got=$(code "$@")
	[ "$got" = "$want" ] && { [ -z "$text" ] || grep -qF -- "$text" "$topo_dir/answer"; } && return
	echo "$got, not $want, to $*: $(cat "$topo_dir/answer")" >&2
	return 1
}

# note METHOD PATH [CURL-ARGUMENT...]: get an answer, for all_hold; what is not JSON as one string
note() {
	local method=$1 path=$2 status
	shift 2
	status=$(code a -X "$method" "http://localhost:8080$path" "$@")
	echo "$method ${path%%\?*} $status $(jq -c . "$topo_dir/answer" 2>/dev/null ||
		jq -Rsc . "$topo_dir/answer")" >>"$topo_dir/answers"
}

# all_hold: the answers noted are what the document says
all_hold() {
	selftests/lib/contract.py <"$topo_dir/answers"
	rm "$topo_dir/answers"
}

@test "the lines of the guide, as they are" {
	for node in a b; do
		wait_until 60 all_in_step
		run on $node bash -euo pipefail <<-'EOF'
			# Get replication status
			curl -s "http://localhost:8080/api/replication/status"

			# Get peer status
			curl -s "http://localhost:8080/api/replication/peers"

			# Get replication lag
			curl -s "http://localhost:8080/api/replication/lag"

			# Force resync
			curl -X POST "http://localhost:8080/api/replication/resync"

			# Pause replication
			curl -X POST "http://localhost:8080/api/replication/pause"

			# Resume replication
			curl -X POST "http://localhost:8080/api/replication/resume"

			# List conflicts
			curl -s "http://localhost:8080/api/replication/conflicts"

			# Resolve conflict
			curl -X POST "http://localhost:8080/api/replication/conflicts/123/resolve" \
			  -H "Content-Type: application/json" \
			  -d '{
			    "resolution": "use_local",
			    "reason": "Manual override"
			  }'

			# Get conflict details
			curl -s "http://localhost:8080/api/replication/conflicts/123"
		EOF
		assert_success
		assert_line --partial '{"status":{'
		assert_line --partial '{"peers":[{'
		assert_line --partial '"state":"running"'
		assert_line --partial '{"paused":true,"changed":true}'
		assert_line --partial '{"paused":false,"changed":true}'
		assert_line --partial '{"conflicts":[],"pending":0'
		assert_line --partial '{"error":"not found","details":"no conflict 123"}'
	done
	wait_until 60 all_in_step
	run status a '[has("mode", "ha_enabled", "ha_role", "connected", "peer_address", "sync_state",
		"last_sync_time", "version", "error", "node_id", "peers", "sequence", "paused",
		"conflicts_pending")] | all'
	assert_output true
	run status a '[.api.listen[].listening] | all'
	assert_output true
	run status a '.warnings | map(select(startswith("api"))) | length'
	assert_output 0
}

@test "every answer is as the document says, and every path of it is there" {
	local method path n=0
	while read -r method path; do
		path=${path/\{id\}\/debug/b/debug}
		path=${path/\{id\}/1}
		path=${path/\{name\}/x}
		[ "$method $path" != "POST /api/replication/role" ] || continue
		note "$method" "$path"
		n=$((n + 1))
	done < <(selftests/lib/contract.py paths)
	[ $n -ge 20 ]
	note POST /api/replication/role -d '{"role": "captain"}'
	note POST /api/replication/validate -d '{"deep": true}'
	wait_until 60 all_in_step
	note GET /api/replication/peers/nobody/debug
	assert_equal "$(jq -r .error "$topo_dir/answer")" "unknown peer"
	all_hold
	# The document that is served is the one of the tree.
	on a curl -s http://localhost:8080/api/openapi.json | cmp - docs/openapi.json
}

@test "events are told when they come" {
	local next
	next=$(on a curl -s http://localhost:8080/api/replication/events | jq .next)
	on a curl -s "http://localhost:8080/api/replication/events?since=$next&wait=50" \
		>"$topo_dir/event" &
	code a -X POST http://localhost:8080/api/replication/pause >/dev/null
	wait $!
	run jq -r '.events[0].type' "$topo_dir/event"
	assert_output paused
	code a -X POST http://localhost:8080/api/replication/resume >/dev/null
	wait_until 60 all_in_step
	mesh_cut a
	wait_until 60 event_is b peer_down
	mesh_mend a
	wait_until 60 event_is b peer_up
	wait_until 60 all_in_step
	note GET '/api/replication/events?since=1'
	all_hold
	answers 400 'since: a number' -- a 'http://localhost:8080/api/replication/events?since=x'
}

# event_is NODE TYPE: the last that is about its peer
event_is() {
	[ "$(on "$1" curl -s http://localhost:8080/api/replication/peers/a/debug |
		jq -r "[.events[] | select(.type | startswith(\"peer\"))] | last.type")" = "$2" ]
}

@test "pages of other sites, and names that are not its own" {
	local url=http://127.0.0.1:8080/api/replication
	answers 403 'wrong host' -- a -H 'Host: evil.example:8080' $url/status
	answers 403 'wrong host' -- a -H 'Host: localhost' $url/status
	answers 403 'cross-origin' -- a -X POST -H 'Origin: http://evil.example' $url/pause
	answers 403 'cross-origin' -- a -X POST -H 'Sec-Fetch-Site: cross-site' $url/pause
	answers 403 'cross-origin' -- a -X POST -H 'Origin: null' -H 'Content-Type: text/plain' $url/pause
	answers 400 'bad request' -- a --path-as-is $url/%2e%2e/replication/status
	answers 400 'bad request' -- a --path-as-is $url//status
	answers 413 'body too large' -- a -X POST -d "$(head -c 70000 /dev/zero | tr '\0' x)" $url/pause
	assert_equal "$(status a .paused)" false
	answers 200 -- a -X POST -H 'Origin: http://127.0.0.1:8080' $url/resume
	run jq -r '.stats.api | .wrong_host, .cross_origin, .too_large' <(on a curl -s $url/stats)
	assert_output $'2\n3\n1'
}

@test "who may look, and who may decide" {
	local id url=http://127.0.0.1:8080/api/replication
	mesh_cut a
	item a record add dns name=x.example type=A rdata=192.0.2.1 ttl=1
	item b record add dns name=x.example type=A rdata=192.0.2.1 ttl=2
	mesh_mend a
	wait_until 60 all_in_step
	wait_until 20 eval "[ \"\$(status a .conflicts_pending)\" = 1 ]"
	id=$(on a curl -s "$url/conflicts?state=pending" | jq '.conflicts[0].id')
	run on a setpriv --reuid daemon --clear-groups curl -s -o /dev/null -w '%{http_code}' $url/status
	assert_output 200
	run on a setpriv --reuid daemon --clear-groups curl -s -X POST \
		-d '{"resolution": "use_local"}' "$url/conflicts/$id/resolve"
	assert_output --partial '"error":"not allowed"'
	run on a setpriv --reuid daemon --clear-groups curl -s -X POST $url/pause
	assert_output --partial 'user daemon may look, but do nothing'
	assert_equal "$(status a .paused)" false
	note GET "/api/replication/conflicts/$id"
	note GET "/api/replication/conflicts?state=pending"
	all_hold

	# By token: who is an approver by its name is one, others are not.
	echo "other ${token}1" >"$topo_dir/tokens"
	echo "ops ${token}2" >>"$topo_dir/tokens"
	chmod 600 "$topo_dir/tokens"
	api_reload a "token_file = \"$topo_dir/tokens\""
	answers 401 'a token is needed' -- a "$url/status"
	answers 401 'not authorised' -- a -H "Authorization: Bearer $token" "$url/status"
	answers 403 'not an approver' -- a -H "Authorization: Bearer ${token}1" -X POST \
		-d '{"resolution": "use_local"}' "$url/conflicts/$id/resolve"
	answers 200 '"resolved_by":"ops"' -- a -H "Authorization: Bearer ${token}2" -X POST \
		-d '{"resolution": "use_local", "reason": "of age"}' "$url/conflicts/$id/resolve"
	run grep -c "$token" "$topo_dir/a.log"
	assert_output 0
	api_reload a
	answers 200 -- a "$url/status"
}

@test "from elsewhere: with TLS and a token, or not at all" {
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 9 -subj /CN=fw \
		-addext subjectAltName=IP:10.9.9.1,DNS:fw.example \
		-keyout "$topo_dir/api.key" -out "$topo_dir/api.crt" 2>/dev/null
	chmod 600 "$topo_dir/api.key"
	echo "$token" >"$topo_dir/tokens"

	# What would be open is refused, and all stays as it was.
	api_config a 'listen = "10.9.9.1:8443"'
	agent_signal a HUP
	wait_until 10 grep -q 'api.listen: 10.9.9.1:8443 is no loopback address: set api.tls' "$topo_dir/a.log"
	grep -q 'api.listen: 10.9.9.1:8443 is no loopback address: set api.token_file' "$topo_dir/a.log"
	answers 200 -- a http://localhost:8080/api/replication/status

	api_reload a 'listen = "10.9.9.1:8443"' "token_file = \"$topo_dir/tokens\"" \
		'hosts = ["fw.example"]' 'tls {' "cert_file = \"$topo_dir/api.crt\"" \
		"key_file = \"$topo_dir/api.key\"" '}'
	local url=https://10.9.9.1:8443/api/replication
	answers 200 -- b --cacert "$topo_dir/api.crt" -H "Authorization: Bearer $token" $url/status
	answers 200 -- b --cacert "$topo_dir/api.crt" -H "Authorization: Bearer $token" \
		--resolve fw.example:8443:10.9.9.1 https://fw.example:8443/api/replication/status
	answers 401 -- b --cacert "$topo_dir/api.crt" $url/status
	answers 200 -- b --cacert "$topo_dir/api.crt" https://10.9.9.1:8443/api/openapi.json
	answers 000 -- b --cacert "$topo_dir/api.crt" --tls-max 1.1 $url/status
	answers 000 -- b http://10.9.9.1:8443/api/replication/status
	answers 000 -- a http://localhost:8080/api/replication/status
	api_reload a
	answers 200 -- a http://localhost:8080/api/replication/status
}

@test "a port that another program has" {
	api_reload a 'listen = []'
	answers 000 -- a http://127.0.0.1:8080/api/replication/status
	ip netns exec "$topo_name-a" socat TCP-LISTEN:8080,bind=127.0.0.1,fork,reuseaddr SYSTEM:'echo other' &
	local other=$!
	wait_until 10 on a grep -q ': 0100007F:1F90 ' /proc/net/tcp
	agent_kill a TERM
	api_config a
	agent_start a
	wait_until 10 eval "status a '.warnings | any(. == \"api: 127.0.0.1:8080: another program listens there\")'"
	run status a '[.api.listen[].listening] | tostring'
	assert_output '[false,true]'
	wait_until 60 all_in_step
	# It goes, and the API comes.
	kill "$other"
	wait "$other" || true
	wait_until 20 eval "status a '[.api.listen[].listening] | all'"
	answers 200 -- a http://127.0.0.1:8080/api/replication/status
	run status a '.warnings | map(select(startswith("api"))) | length'
	assert_output 0
}

@test "who never ends a request, and who never reads, hold up nobody" {
	ip netns exec "$topo_name-a" python3 - "$topo_dir/hogs" <<-'EOF' &
		import signal, socket, sys
		hogs = []
		for i in range(40):
		    s = socket.create_connection(("127.0.0.1", 8080))
		    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
		    head = b"GET /api/openapi.json HTTP/1.1\r\nHost: localhost:8080\r\n"
		    try:
		        s.sendall(head + (b"\r\n" + head + b"\r\n" if i % 2 else b""))
		    except OSError:
		        pass
		    hogs.append(s)
		open(sys.argv[1], "w").close()
		signal.pause()
	EOF
	local hog=$!
	wait_until 20 test -e "$topo_dir/hogs"
	item a record add dns name=hogs.example type=A rdata=192.0.2.1 ttl=60
	wait_until 20 eval "item b record list dns name=hogs.example | grep -q ttl=60"
	run fr a status
	assert_success
	run code a http://127.0.0.1:8080/api/replication/status
	assert_output --regexp '^(503|000)$'
	# Another address has its own.
	answers 200 -- a 'http://[::1]:8080/api/replication/status'
	# Those who are silent are given up.
	wait_until 60 answers 200 -- a http://127.0.0.1:8080/api/replication/status
	kill "$hog"
	wait "$hog" || true
	wait_until 60 all_in_step
}
