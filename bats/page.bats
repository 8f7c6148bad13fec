#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# lab: deadline=700 kernel=6.12
#
# The page is served by live agents, and what the tests of the page in a browser (selftests/page)
# take for answers of an agent has the shape of what agents answer. Prints what they answered, for
# selftests/page/record.

load pair
# shellcheck source=../selftests/lib/mesh.sh
. selftests/lib/mesh.sh

setup_file() {
	export agent_mode='' agent_nodes
	topo_module
	topo_room 65536
	mesh_up a b
	export topo_name topo_dir
}

# call NODE [OPTION...] PATH: what that agent answers: its status on the first line, then the body
call() {
	local node=$1
	shift
	curl -s -o "$topo_dir/body" -w '%{http_code}\n' --unix-socket "$topo_dir/$node.sock" \
		"${@:1:$#-1}" "http://localhost${*: -1}" && cat "$topo_dir/body"
}

# post NODE PATH BODY
post() {
	call "$1" -X POST -H 'Content-Type: application/json' -d "$3" "$2"
}

# shape: of an answer on standard input: all its keys; those of a side are of its table
shape() {
	jq -c 'del(.status.nft_sets, .status.heartbeat, .status.quorum) |
		[paths | map(if type == "number" then 0 else . end)] | unique'
}

# shown NAME COMMAND...: print an answer; it must have the shape of the one that is kept as NAME
shown() {
	local name=$1 out
	shift
	out=$("$@")
	jq -c --arg name "$name" --argjson status "${out%%$'\n'*}" \
		'{name: $name, status: $status, body: .}' <<<"${out#*$'\n'}" |
		sed 's/^/# answer /' >&3
	[ ! -e selftests/page/answers/recording ] || return 0
	[ -e "selftests/page/answers/$name.json" ] || {
		echo "no answers/$name.json: selftests/page/record makes it"
		return 1
	}
	diff <(jq .body "selftests/page/answers/$name.json" | shape) \
		<(shape <<<"${out#*$'\n'}") || {
		echo "$name has another shape: selftests/page/record, and look at page.js"
		return 1
	}
}

# conflict_waits NODE N
conflict_waits() {
	[ "$(status "$1" .conflicts_pending)" = "$2" ]
}

@test "the page comes as it is in the tree, and may run nothing but itself" {
	local file
	agent_config a 'data = { dhcp_leases = true }' 'recovery { audit_interval = "2s" }'
	agent_config b 'data = { dhcp_leases = true }' 'recovery { audit_interval = "2s" }'
	agent_start a
	agent_start b
	wait_until 60 in_step
	for file in '' page.css page.js; do
		run call a "/$file"
		assert_line --index 0 200
		cmp "$topo_dir/body" "agent/assets/${file:-page.html}"
	done
	run call a -D "$topo_dir/head" /
	run cat "$topo_dir/head"
	assert_line --partial "Content-Security-Policy: default-src 'self'"
	assert_line --partial 'X-Frame-Options: DENY'
	assert_line --partial 'X-Content-Type-Options: nosniff'
	assert_line --partial 'Referrer-Policy: no-referrer'
}

@test "a pair in step" {
	local port
	for port in 1001 1002 1003; do
		flow_add a $port
	done
	item a lease add scope=lan client=00:00:00:00:00:01 ip=192.0.2.1
	wait_until 20 flows_are b "1001 1002 1003"
	wait_until 20 in_step
	shown status call a /api/replication/status
	shown lag call a /api/replication/lag
	shown ready call a /api/replication/ready
	shown standby call b /api/replication/status
	shown standby-lag call b /api/replication/lag
	shown no-conflicts call a '/api/replication/conflicts?state=pending'
}

@test "a resync" {
	shown resync post a /api/replication/resync '{}'
	fr a resync --wait || true
	shown resynced call a /api/replication/status
	shown no-peer post a /api/replication/resync '{"peer": "nobody"}'
}

@test "a pause" {
	shown paused post a /api/replication/pause '{}'
	shown pause call a /api/replication/status
	shown pause-ready call b /api/replication/ready
	shown resumed post a /api/replication/resume '{}'
	wait_until 60 in_step
}

# is_down: a has no session with b
is_down() {
	status a '.peers[0].state == "down" and .sync_state == "down"'
}

@test "a peer that is gone" {
	agent_kill b
	wait_until 60 is_down
	shown down call a /api/replication/status
	shown down-lag call a /api/replication/lag
}

# settled NODE: nothing waits there
settled() {
	conflict_waits "$1" 0
}

@test "conflicts that wait, and how they are decided" {
	local node id
	export agent_mode=active-active
	for node in a b; do
		agent_kill $node
		rm -rf "${topo_dir:?}/$node" "$topo_dir/$node.log"
		mesh_reboot $node
		agent_config $node 'data = { dhcp_leases = true, dns_records = true }' \
			'recovery { audit_interval = "2s" }' \
			'conflict_resolution = { strategy = "manual", manual_resolution = { approvers = ["ops"], timeout = "1h" } }'
		agent_start $node
	done
	wait_until 60 all_in_step
	mesh_cut a
	item a record add dns name=www.example.net type=A rdata=192.0.2.1 ttl=300
	item b record add dns name=www.example.net type=A rdata=192.0.2.1 ttl=60
	item a lease add scope=lan client=00:00:00:00:00:01 ip=192.0.2.7 hostname=printer
	item b lease add scope=lan client=00:00:00:00:00:02 ip=192.0.2.7 hostname=desk
	mesh_mend a
	wait_until 60 conflict_waits a 2
	wait_until 60 conflict_waits b 2
	shown waiting call a /api/replication/status
	shown conflicts call a '/api/replication/conflicts?state=pending'
	id=$(jq -r '[.conflicts[] | select(.table == "dns").id][0]' "$topo_dir/body")
	chmod 666 "$topo_dir/a.sock"
	chmod 755 "$topo_dir"
	touch "$topo_dir/body"
	chmod 666 "$topo_dir/body"
	as_another() {
		setpriv --reuid daemon --clear-groups curl -s -w '\n%{http_code}\n' \
			--unix-socket "$topo_dir/a.sock" -X POST -H 'Content-Type: application/json' \
			-d '{"resolution": "use_local", "reason": ""}' \
			"http://localhost/api/replication/conflicts/$id/resolve" | tac
	}
	shown no-approver as_another
	shown decided post a "/api/replication/conflicts/$id/resolve" \
		'{"resolution": "use_remote", "reason": "b has the new server"}'
	shown one-conflict call a '/api/replication/conflicts?state=pending'
	shown decided-already post a "/api/replication/conflicts/$id/resolve" \
		'{"resolution": "use_local", "reason": ""}'
}
