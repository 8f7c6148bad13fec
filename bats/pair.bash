# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# What the tests of a pair of firewalls share: one topology for a file of tests,
# agents as each test wants them.

cd "$BATS_TEST_DIRNAME/.." || exit
lib=selftests/lib
# shellcheck source=../selftests/lib/wait.sh
. $lib/wait.sh
# shellcheck source=../selftests/lib/topology.sh
. $lib/topology.sh
# shellcheck source=../selftests/lib/agent.sh
. $lib/agent.sh
# shellcheck source=../selftests/lib/load.sh
. $lib/load.sh

# pair_up FLOWS: for setup_file: module, room, topology
pair_up() {
	topo_module
	topo_room "$1"
	topo_up
	export topo_name topo_dir
}

# pair_down: for teardown_file
pair_down() {
	agents_stop
	topo_down
}

# pair_start: both agents, in step
pair_start() {
	agent_start a
	agent_start b
	wait_until 60 in_step
}

# pair_same: the kernels hold the same flows, but for timeouts
pair_same() {
	diff <(topo_list a "$@") <(topo_list b "$@")
}

# pair_tell: for teardown: the logs of a test that failed
pair_tell() {
	local node
	[ -z "${BATS_TEST_COMPLETED-}" ] || return 0
	for node in a b; do
		echo "--- log of $node"
		tail -n 15 "$topo_dir/$node.log" || true
	done
}

# Around each test, unless its file says otherwise
setup() {
	bats_load_library bats-support
	bats_load_library bats-assert
}

teardown() {
	pair_tell
}
