#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# lab: deadline=500 kernel=6.12
#
# GET /metrics of live agents: well-formed, in agreement with the status, and as the manual has it.

load pair

setup_file() {
	pair_up 65536
	export topo_metrics=$topo_dir/metrics
	agent_config a 'data = { dhcp_leases = true }' 'recovery { audit_interval = "2s" }'
	agent_config b 'data = { dhcp_leases = true }' 'recovery { audit_interval = "2s" }'
	pair_start
}

teardown_file() {
	pair_down
}

# scrape NODE [HOW]: the page, into $topo_metrics.NODE
scrape() {
	curl -sf --unix-socket "$topo_dir/$1.sock" http://localhost/metrics >"$topo_metrics.$1"
}

# value NODE SERIES: of the last scrape; nothing where there is none
value() {
	awk -v series="$2 " 'index($0, series) == 1 { print $NF }' "$topo_metrics.$1"
}

# says NODE SERIES VALUE: a fresh scrape
says() {
	scrape "$1" && [ "$(value "$1" "$2")" = "$3" ]
}

# families NODE: of the last scrape
families() {
	sed -n 's/^# TYPE \([a-z0-9_]*\) .*/\1/p' "$topo_metrics.$1" | sort
}

@test "it is text format 0.0.4, and promtool finds no fault" {
	local node
	run curl -sD - -o /dev/null --unix-socket "$topo_dir/a.sock" http://localhost/metrics
	assert_line --partial 'Content-Type: text/plain; version=0.0.4; charset=utf-8'
	for node in a b; do
		scrape $node
		run promtool check metrics <"$topo_metrics.$node"
		assert_success
		assert_output ''
	done
}

@test "no series comes twice, and each has its labels as the manual names them" {
	scrape a
	run bash -c "grep -v '^#' '$topo_metrics.a' | sed 's/ [^ ]*\$//' | sort | uniq -d"
	assert_output ''
	python3 - "$topo_metrics.a" <<-'EOF'
		import re, sys
		manual = dict(re.findall(r"^\| `(\w+)` \| \w+ \| ([\w, ]*) \|",
		                         open("docs/monitoring.md").read(), re.M))
		for line in open(sys.argv[1]):
		    if line.startswith("#"):
		        continue
		    name, labels = re.match(r"(\w+)(\{.*\})? ", line).groups()
		    base = name if name in manual else re.sub("_(sum|count)$", "", name)
		    has = re.findall(r'(\w+)="', labels or "")
		    want = re.findall(r"\w+", manual[base])
		    assert has == want[:len(has)] and (has == want or name != base), line
	EOF
}

@test "writer and standby agree with their status" {
	item a lease add scope=lan client=00:00:00:00:00:01 ip=192.0.2.1
	wait_until 20 says b 'flyrep_table_entries{table="lease"}' 1
	wait_until 20 in_step
	scrape a
	scrape b
	assert_equal "$(value a 'flyrep_build_info{version="'"$(status a .version)"'",node_id="a",mode="primary"}')" 1
	assert_equal "$(value a 'flyrep_role{role="primary"}')" 1
	assert_equal "$(value a 'flyrep_role{role="backup"}')" 0
	assert_equal "$(value b 'flyrep_role{role="backup"}')" 1
	assert_equal "$(value b 'flyrep_state{state="in_sync"}')" 1
	assert_equal "$(value a 'flyrep_epoch')" "$(status a .epoch)"
	assert_equal "$(value a 'flyrep_module_present')" 1
	assert_equal "$(value a 'flyrep_peer_up{peer="b"}')" 1
	assert_equal "$(value a 'flyrep_peer_state{peer="b",state="in_sync"}')" 1
	assert_equal "$(value a 'flyrep_in_step{peer="b",table="lease"}')" 1
	assert_equal "$(value a 'flyrep_differing_buckets{peer="b",table="lease"}')" 0
	assert_equal "$(value a 'flyrep_table_entries{table="lease"}')" 1
	assert_equal "$(value a 'flyrep_ready')" 1
	assert_equal "$(value b 'flyrep_ready')" 1
	assert_equal "$(value a 'flyrep_conflicts_pending')" 0
	# A change went from a to b: it was captured, took its time, and was injected.
	[ "$(value a 'flyrep_peer_lag_seconds_count{peer="b"}')" -gt 0 ]
	[ "$(value a 'flyrep_peer_lag_seconds{peer="b",quantile="0.99"}')" != 0 ]
	[ "$(value a flyrep_kernel_drain_records_total)" -gt 0 ]
	[ "$(value b flyrep_kernel_item_put_total)" -gt 0 ]
	[ "$(value b 'flyrep_peer_received_changes_total{peer="a"}')" -gt 0 ]
	[ "$(value b flyrep_inject_applied_total)" -gt 0 ]
	[ "$(value a 'flyrep_peer_bytes_total{peer="b",dir="tx"}')" -gt 0 ]
	[ "$(value a 'process_resident_memory_bytes')" -gt 1000000 ]
}

@test "when the agent began is told, to a few seconds" {
	scrape a
	python3 -c 'import sys; a, b = map(float, sys.argv[1:]); sys.exit(abs(a - b) > 5)' \
		"$(value a process_start_time_seconds)" "$(stat -c %Y "/proc/$(agent_pid a)")"
}

@test "what is done by hand shows: pause, resync" {
	fr a pause
	says a flyrep_paused 1
	wait_until 10 says b 'flyrep_peer_paused{peer="a"}' 1
	says b flyrep_ready 0
	fr a resume
	wait_until 60 in_step
	says a flyrep_paused 0
	fr a resync --wait
	says a flyrep_resyncs_total 1
	says a flyrep_resync_running 0
	says a flyrep_resync_progress_ratio 1
	says a flyrep_resync_failed 0
}

@test "a peer that is gone is down, and nothing is invented about it" {
	local before name
	agent_kill b
	wait_until 60 says a 'flyrep_peer_up{peer="b"}' 0
	# Who was there before counts on.
	before=$topo_metrics.before
	cp "$topo_metrics.a" "$before"
	assert_equal "$(value a 'flyrep_in_step{peer="b",table="lease"}')" ''
	assert_equal "$(value a 'flyrep_peer_oldest_change_seconds{peer="b"}')" ''
	assert_equal "$(value a 'flyrep_key_age_seconds{peer="b"}')" ''
	agent_start b
	wait_until 60 in_step
	scrape a
	while read -r name; do
		python3 -c 'import sys; sys.exit(not float(sys.argv[1]) <= float(sys.argv[2]))' \
			"$(value before "$name")" "$(value a "$name")" || {
			echo "$name went down"
			return 1
		}
	done < <(grep -oE '^[a-z_]+_(total|count|sum)(\{[^ ]*\})? ' "$before" | sed 's/ $//')
}
