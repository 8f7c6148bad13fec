# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# Generated flows from the client to the server of topology.sh (see gen.c), and
# connections that notice when they are forgotten (see traffic.py).

# load_answer: start answering on the server; topo_down ends it
load_answer() {
	ip netns exec "$topo_name-server" "$agent_build/bench/gen" answer -i eth0 >"$topo_dir/answer" \
		2>&1 3>&- &
	disown
	wait_until 10 grep -q answering "$topo_dir/answer"
}

# load_send ARGUMENT...: as of gen send
load_send() {
	on client "$agent_build/bench/gen" send -i eth0 -m "$topo_mac_lan" "$@"
}

# traffic_serve: the server of traffic.py, until topo_down
traffic_serve() {
	ip netns exec "$topo_name-server" selftests/lib/traffic.py serve "$topo_dir/hurry" \
		>"$topo_dir/serve" 3>&- &
	disown
	wait_until 60 grep -q serving "$topo_dir/serve"
}

# Global, though bats sources this inside a function.
declare -gA traffic_pid

# traffic_start NAME ARGUMENT...: a client of traffic.py; ends when it is done
traffic_start() {
	local name=$1
	shift
	ip netns exec "$topo_name-client" selftests/lib/traffic.py "$@" \
		>"$topo_dir/$name.json" 2>"$topo_dir/$name.err" 3>&- &
	traffic_pid[$name]=$!
}

# traffic_three BYTES RATE: downloads tcp and tcp6, conversation udp
traffic_three() {
	traffic_start tcp download 10.2.0.2 "$1" "$2" "$topo_dir/tcp.progress"
	traffic_start tcp6 download fd02::2 "$1" "$2" "$topo_dir/tcp6.progress"
	traffic_start udp datagrams 10.2.0.2 0.2 "$topo_dir/udp.progress" \
		"$topo_dir/hurry"
}

# traffic_progress NAME: bytes or answers so far
traffic_progress() {
	local n=
	read -r n 2>/dev/null <"$topo_dir/$1.progress" || true
	echo "${n:-0}"
}

# traffic_has NAME COUNT: is it that far
traffic_has() {
	[ "$(traffic_progress "$1")" -ge "$2" ]
}

# traffic_finish: let all end, and wait for them
traffic_finish() {
	local name
	touch "$topo_dir/hurry"
	for name in "${!traffic_pid[@]}"; do
		wait "${traffic_pid[$name]}" || true
	done
}

# traffic_result NAME FILTER: jq on what it said at its end
traffic_result() {
	jq -r "$2" "$topo_dir/$1.json"
}
