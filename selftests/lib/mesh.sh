# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# Any number of nodes with nothing but a sync network between them. Their flows are made by
# hand. Needs topology.sh, whose names and functions it shares.

# mesh_up NODE...: a bridge, and a namespace for each; agent_addr tells their addresses
mesh_up() {
	local node
	topo_name=fr$$x$RANDOM
	topo_dir=$(mktemp -d "${TMPDIR:-/tmp}/$topo_name.XXXXXX")
	agent_nodes=$*
	ip netns add "$topo_name-wire"
	ip -n "$topo_name-wire" -b - <<-EOF
		link add sync type bridge forward_delay 0 stp_state 0 mcast_snooping 0
		link set sync up
	EOF
	for node in "$@"; do
		mesh_node "$node"
	done
}

# mesh_node NODE: with nothing in its tables, as after a boot
mesh_node() {
	local node=$1
	ip netns add "$topo_name-$node"
	ip -n "$topo_name-wire" -b - <<-EOF
		$(topo_port "$node" sync sync0)
	EOF
	ip -n "$topo_name-$node" -b - <<-EOF
		link set lo up
		link set sync0 up
		addr add $(agent_addr "$node")/24 dev sync0
	EOF
	# Nothing is tracked unless a rule asks for it.
	on "$node" nft -f - <<-EOF
		table inet fw {
			chain judge {
				type filter hook prerouting priority filter;
				ct state invalid drop
			}
		}
	EOF
	on "$node" sysctl -qw net.netfilter.nf_conntrack_udp_timeout=600
}

# mesh_down: and all that runs there
mesh_down() {
	local node
	[ -n "${topo_name-}" ] || return 0
	for node in $agent_nodes wire; do
		ip netns pids "$topo_name-$node" 2>/dev/null |
			xargs -r kill -KILL 2>/dev/null || true
		ip netns delete "$topo_name-$node" 2>/dev/null || true
	done
	rm -rf "$topo_dir"
	topo_name=
}

# mesh_reboot NODE: it comes back with empty tables; its agent was killed before
mesh_reboot() {
	ip netns delete "$topo_name-$1"
	ip -n "$topo_name-wire" link del "$1-sync" 2>/dev/null || true
	mesh_node "$1"
}

# mesh_cut NODE, mesh_mend NODE: off the sync network, and back
mesh_cut() {
	ip -n "$topo_name-$1" link set sync0 down
}

mesh_mend() {
	ip -n "$topo_name-$1" link set sync0 up
}

# mesh_show NODE: what a test that failed tells of it; a file may have more to tell
mesh_show() {
	flow_ports "$1"
}

# In bats, unless the file says otherwise
teardown_file() {
	agents_stop
	mesh_down
}

teardown() {
	local node
	[ -z "${BATS_TEST_COMPLETED-}" ] || return 0
	for node in $agent_nodes; do
		mesh_mend "$node"
	done
	for node in $agent_nodes; do
		echo "--- $node"
		mesh_show "$node"
		ask "$node" status | jq -c '.status | .tables, .peers, .warnings'
		tail -n 15 "$topo_dir/$node.log"
	done
}

# flow_add NODE PORT [STATE]: a TCP flow of its own
flow_add() {
	on "$1" conntrack -I -p tcp -s 10.1.0.2 -d 10.2.0.2 --sport "$2" --dport 80 \
		--state "${3:-ESTABLISHED}" -t 3600 -u ASSURED,SEEN_REPLY >/dev/null 2>&1
}

# flow_del NODE PORT: it ends there
flow_del() {
	on "$1" conntrack -D -p tcp -s 10.1.0.2 -d 10.2.0.2 --sport "$2" --dport 80 \
		>/dev/null 2>&1
}

# flow_ports NODE: source ports of all it has, its own and those it holds
flow_ports() {
	on "$1" conntrack -L -p tcp --dport 80 2>/dev/null |
		sed -E 's/^.* sport=([0-9]+) dport=80 .*$/\1/; s/ .*//' | sort -n | xargs
}

# flows_are NODE PORTS: it has these and no others
flows_are() {
	[ "$(flow_ports "$1")" = "$2" ]
}

# flow_on_all PORTS: every node has these and no others
flow_on_all() {
	local node
	for node in $agent_nodes; do
		flows_are "$node" "$1" || return 1
	done
}
