# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# Agents on the firewalls of topology.sh, and what they say.

# Process ids are kept in files: in bats, who starts an agent is not who ends it.

agent_build=${BUILD:-build}
agent_secret=correct-horse-battery-staple-0123456789

# agent_addr NODE: its address on the sync network; a is .1, b .2, and so on
agent_addr() {
	echo "10.9.9.$(($(printf %d "'$1") - 96))"
}

# agent_peers NODE: all the others of $agent_nodes, for its file
agent_peers() {
	local other list=
	for other in ${agent_nodes:-a b}; do
		[ "$other" = "$1" ] ||
			list+="{ id = \"$other\", address = \"$(agent_addr "$other"):9001\" }, "
	done
	echo "  peers = [ ${list%, } ]"
}

# agent_config NODE [LINE...]: write its file; a is the primary, any other its
# replica, or all are equal in $agent_mode. The lines are added inside replication { }. Its
# id is $agent_id, or NODE.
agent_config() {
	local node=$1
	shift
	mkdir -p "$topo_dir/$node"
	{
		echo "replication {"
		echo "  node_id = \"${agent_id:-$node}\""
		if [ -n "${agent_mode-}" ]; then
			echo "  mode = \"$agent_mode\""
			echo "  listen_addr = \"$(agent_addr "$node"):9001\""
			agent_peers "$node"
		elif [ "$node" = a ]; then
			echo "  mode = \"primary\""
			echo "  listen_addr = \"10.9.9.1:9001\""
			echo "  peers = [ { id = \"b\", address = \"10.9.9.2:9001\"," \
				"role = \"replica\" } ]"
		else
			echo "  mode = \"replica\""
			echo "  primary_addr = \"10.9.9.1:9001\""
		fi
		echo "  secret_key = \"$agent_secret\""
		echo "  state_dir = \"$topo_dir/$node\""
		echo "  api { socket = \"$topo_dir/$node.sock\" }"
		echo "  conntrack { min_state = \"all\" }"
		[ $# -eq 0 ] || printf '  %s\n' "$@"
		echo "}"
	} >"$topo_dir/$node.hcl"
	chmod 600 "$topo_dir/$node.hcl"
}

# agent_start NODE: run it, until its API answers
agent_start() {
	agent_launch "$1"
	wait_until 30 agent_answers "$1"
}

# agent_launch NODE [WHERE]: run it, or $agent_program, in the namespace of another node if need be
agent_launch() {
	[ -e "$topo_dir/$1.hcl" ] || agent_config "$1"
	ip netns exec "$topo_name-${2:-$1}" "${agent_program:-$agent_build/flyrepd}" \
		-c "$topo_dir/$1.hcl" >>"$topo_dir/$1.log" 2>&1 3>&- &
	echo $! >"$topo_dir/$1.pid"
	disown
}

agent_answers() {
	agent_is_alive "$1" && [[ $(api_get "$1" status) == *node_id* ]]
}

# agent_pid NODE: of the one started last
agent_pid() {
	cat "$topo_dir/$1.pid" 2>/dev/null
}

agent_is_alive() {
	! wait_is_gone "$(agent_pid "$1")"
}

# agent_signal NODE SIGNAL: such as STOP and CONT
agent_signal() {
	kill "-$2" "$(agent_pid "$1")"
}

# agent_kill NODE [SIGNAL]: KILL unless told; until it is gone
agent_kill() {
	local pid
	pid=$(agent_pid "$1") || return 0
	kill "-${2:-KILL}" "$pid" 2>/dev/null || true
	wait_gone 20 "$pid"
	rm "$topo_dir/$1.pid"
}

agents_stop() {
	local node
	[ -n "${topo_dir-}" ] || return 0
	for node in ${agent_nodes:-a b}; do
		agent_kill "$node"
	done
}

# fr NODE ARGUMENT...: flyrep, talking to that node's agent
fr() {
	local node=$1
	shift
	"$agent_build/flyrep" --socket "$topo_dir/$node.sock" "$@"
}

# item NODE ARGUMENT...: flyrep lease or record, in its kernel
item() {
	local node=$1
	shift
	on "$node" "$agent_build/flyrep" "$@"
}

# ask NODE VERB...: its answer in JSON; that it is degraded is an answer too
ask() {
	local node=$1 rc=0
	shift
	fr "$node" --json "$@" || rc=$?
	[ $rc -eq 0 ] || [ $rc -eq 4 ]
}

# status NODE FILTER: jq on its status
status() {
	ask "$1" status | jq -er ".status | $2"
}

# entries NODE: flows its index holds
entries() {
	status "$1" '.tables[0].entries'
}

# lag NODE FILTER: jq on its first peer's lag
lag() {
	ask "$1" lag | jq -er ".peers[0] | $2"
}

# role NODE: what it is now
role() {
	status "$1" .ha_role
}

# api_get NODE WHAT: the raw answer of its API. For polling: the command takes an
# emulated guest ten times as long to start.
api_get() {
	printf 'GET /api/replication/%s HTTP/1.0\r\n\r\n' "$2" |
		nc -U "$topo_dir/$1.sock"
}

# api_validate NODE: compare deeply; its answer
api_validate() {
	printf 'POST /api/replication/validate HTTP/1.0\r\nContent-Length: 14\r\n\r\n{"deep": true}' |
		nc -U "$topo_dir/$1.sock" | sed '1,/^\r*$/d'
}

# in_step [WRITER READER]: the reader (b) has all the writer (a) has, in each table; both say so
in_step() {
	local one two fine='"sync_state": *"in_sync"'
	one=$(api_get "${1:-a}" status) && two=$(api_get "${2:-b}" status) || return 1
	[[ $one =~ $fine && $two =~ $fine && $one =~ \"backlog_changes\":\ *0[,}] ]] || return 1
	one=$(agent_digests <<<"$one") && two=$(agent_digests <<<"$two") || return 1
	[ "$one" = "$two" ]
}

# all_in_step: where all write, each has what each other one writes, and says so; and what has
# versions is the same on all, unless a person has to decide
all_in_step() {
	local node answers=
	for node in ${agent_nodes:-a b}; do
		answers+=$(api_get "$node" status | sed '1,/^\r*$/d') || return 1
	done
	jq -es '
		[.[].status] |
		([.[] | {(.node_id): (.tables | map({(.table): .digest}) | add)}] | add) as $own |
		(any(.[]; .conflicts_pending > 0) or
			([$own[] | {lease, dns, learning, config, metric, nft_set}] | unique | length == 1)) and
		all(.[]; .sync_state == "in_sync") and
		all(.[].peers[]; .id as $id | .backlog_changes == 0 and
			(.held.tables | length > 0 and
				all(.[]; $own[$id][.table] == .digest)))' \
		<<<"$answers" >/dev/null 2>&1
}

# agent_digests: of each table, from a status on standard input; it fails if there is none
agent_digests() {
	grep -o '"digest": *"[^"]*"'
}

# validated NODE: compare deeply, and fail unless all is equal there
validated() {
	local out
	out=$(api_validate "$1")
	jq -e '.equal and (.peers | length > 0) and
		all(.peers[]; .missing + .stale + .differ == 0)' <<<"$out" >/dev/null || {
		echo "$1 compared: $out" >&2
		return 1
	}
}

# log_says NODE PATTERN: in its log, from the start
log_says() {
	grep -qE -- "$2" "$topo_dir/$1.log"
}
