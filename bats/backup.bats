#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# lab: deadline=1200 kernel=6.12
#
# Data at rest: backups of what is no flow, back from them, and no resync without one.

load pair

data='data = { dhcp_leases = true, dns_records = true, nft_sets = ["inet/st/*"] }'

rules='
table inet st {
	set blocked { type ipv4_addr; flags timeout; }
	map marks { type ipv4_addr : mark; }
	set nets { type ipv4_addr; flags interval; }
}'

setup_file() {
	pair_up 65536
	configure
	nft_on a -f - <<<"$rules"
	nft_on b -f - <<<"$rules"
	pair_start
}

teardown_file() {
	pair_down
	rm -rf "$topo_dir/kept"
}

# configure [LINE...]: both nodes
configure() {
	agent_config a "$data" "$@"
	agent_config b "$data" "$@"
}

nft_on() {
	local node=$1
	shift
	on "$node" nft "$@"
}

# content NODE: all that a backup holds, without how long it has left
content() {
	item "$1" lease list | sed 's/ *ends.*//; s/ *held.*//' | sort
	item "$1" record list dns | sed 's/ *ends.*//; s/ *held.*//' | sort
	nft_on "$1" list table inet st | sed 's/ expires [0-9a-z]*//g'
}

# holds_as NODE FILE: its content is that
holds_as() {
	content "$1" | diff - "$2" >/dev/null
}

# fill: something of everything
fill() {
	local i
	for i in {1..20}; do
		item a lease add scope=lan client="02:00:00:00:00:$(printf %02x "$i")" ip="192.0.2.$i"
	done
	item a record add dns name=www.example type=A rdata=192.0.2.80 ttl=300
	nft_on a add element inet st blocked '{ 192.0.2.1 timeout 1h comment "port scan", 192.0.2.2 timeout 2h }'
	nft_on a add element inet st marks '{ 192.0.2.1 : 0x11, 192.0.2.2 : 0x22 }'
	nft_on a add element inet st nets '{ 10.0.0.0/8, 172.16.0.1-172.16.0.9 }'
	wait_until 30 in_step
}

# empty: all of that, by hand
empty() {
	local i
	for i in {1..20}; do
		item a lease del scope=lan client="02:00:00:00:00:$(printf %02x "$i")"
	done
	item a record del dns name=www.example type=A rdata=192.0.2.80
	nft_on a delete element inet st blocked '{ 192.0.2.1, 192.0.2.2 }'
	nft_on a delete element inet st marks '{ 192.0.2.1, 192.0.2.2 }'
	nft_on a delete element inet st nets '{ 10.0.0.0/8, 172.16.0.1-172.16.0.9 }'
	wait_until 30 in_step
}

# newest NODE [KIND]: name of a backup
newest() {
	fr "$1" --json backup list |
		jq -er --arg k "${2:-backup}" '[.backups[] | select(.kind == $k)][-1].name'
}

# n_backups NODE [KIND]
n_backups() {
	fr "$1" --json backup list |
		jq -e --arg k "${2:-backup}" '[.backups[] | select(.kind == $k)] | length'
}

# bent NODE NAME OFFSET BYTE: a copy of a backup with one byte changed; its name
bent() {
	local copy
	copy=20300101T000000.$(printf %06d "$3")Z.backup
	cp "$topo_dir/$1/backups/$2" "$topo_dir/$1/backups/$copy"
	printf '%b' "$4" | dd of="$topo_dir/$1/backups/$copy" bs=1 seek="$3" conv=notrunc status=none
	echo "$copy"
}

@test "what is deleted comes back from a backup, and goes to the peer" {
	fill
	content a >"$topo_dir/kept"
	run fr a backup create
	assert_success
	assert_line --regexp '^[0-9]{8}T[0-9]{6}\.[0-9]{6}Z\.backup  '
	assert_line 'lease  20'
	assert_line 'dns  1'
	assert_line --regexp '^nft_set  [67]$'
	empty
	refute holds_as a "$topo_dir/kept"
	run fr a backup restore "$(newest a)" --dry-run
	assert_success
	assert_line 'lease  20 records, 20 would be restored'
	refute holds_as a "$topo_dir/kept"
	run fr a backup restore "$(newest a)"
	assert_success
	assert_line 'lease  20 records, 20 restored'
	assert_line 'dns  1 records, 1 restored'
	wait_until 30 holds_as a "$topo_dir/kept"
	wait_until 30 in_step
	wait_until 30 holds_as b "$topo_dir/kept"
	validated a
}

@test "what is not in it stays, or goes with --exact" {
	item a lease add scope=lan client=02:00:00:00:00:99 ip=192.0.2.99
	nft_on a add element inet st marks '{ 192.0.2.3 : 0x33 }'
	item a lease del scope=lan client=02:00:00:00:00:01
	item a lease add scope=lan client=02:00:00:00:00:98 ip=192.0.2.1
	wait_until 30 in_step
	# An address that another one has by now is not taken from it.
	run fr a backup restore "$(newest a)"
	assert_failure 1
	assert_line --partial '19 restored, 1 refused, 2 not in the backup: kept'
	assert_line --partial 'the last: File exists'
	item a lease list | grep -q 02:00:00:00:00:99
	run fr a backup restore "$(newest a)" --exact
	assert_line --partial '2 removed'
	run fr a backup restore "$(newest a)" --exact
	assert_success
	wait_until 30 holds_as a "$topo_dir/kept"
	wait_until 30 in_step
	wait_until 30 holds_as b "$topo_dir/kept"
}

@test "after an agent was killed, and from the backup of a standby" {
	run fr b backup create
	assert_success
	assert_line 'lease  20'
	run fr b backup restore "$(newest b)"
	assert_failure 1
	assert_output --partial 'not restored: its role is backup'
	cp "$topo_dir/b/backups/$(newest b)" "$topo_dir/a/backups/"
	agent_kill a
	empty_unseen
	agent_start a
	wait_until 60 in_step
	# Of its leases b had to give up all: so it took a backup before.
	assert_equal "$(n_backups b resync)" 1
	run fr a --json backup restore "$(newest b)"
	assert_success
	assert_equal "$(jq -r .node_id <<<"$output")" b
	wait_until 30 holds_as a "$topo_dir/kept"
	wait_until 30 in_step
}

# empty_unseen: the leases, while no agent runs
empty_unseen() {
	local i
	for i in {1..20}; do
		item a lease del scope=lan client="02:00:00:00:00:$(printf %02x "$i")"
	done
}

@test "a file that is damaged, of another version or another name changes nothing" {
	local name size
	name=$(newest a)
	empty
	content a >"$topo_dir/before"
	size=$(stat -c %s "$topo_dir/a/backups/$name")
	run fr a backup restore "$(bent a "$name" 9 '\x63')"
	assert_failure 1
	assert_output --partial 'backup of another version: offset 0: version 99, and this program reads 1'
	run fr a backup restore "$(bent a "$name" $((size - 30)) '\xff')"
	assert_failure 1
	assert_output --partial 'damaged backup: offset '
	run fr a backup restore 20300101T000000.000001Z.backup
	assert_failure 1
	assert_output --partial 'no such backup'
	run fr a backup restore ../state
	assert_failure 2
	run api_post a backups/..%2fstate/restore
	assert_output --partial ' 400 '
	run api_post a backups/state/restore
	assert_output --partial ' 400 '
	rm "$topo_dir"/a/backups/2030*
	holds_as a "$topo_dir/before"
	fr a backup restore "$name"
	wait_until 30 holds_as a "$topo_dir/kept"
	wait_until 30 in_step
}

# api_post NODE WHAT: the raw answer
api_post() {
	printf 'POST /api/replication/%s HTTP/1.0\r\nContent-Length: 2\r\n\r\n{}' "$2" |
		nc -U "$topo_dir/$1.sock"
}

# knows NODE: what its kernel holds
knows() {
	[ "$(status "$1" .sync_state)" != init ]
}

@test "checkpoints by hand are kept by number; secrets open what they closed" {
	local name
	configure 'transformations = { compress_data = true, encrypt_data = true }' \
		'recovery = { incremental = { max_checkpoints = 2 } }'
	agent_signal a HUP
	wait_until 20 log_says a 'replication: reloaded'
	run fr a checkpoint
	assert_success
	assert_line 'lease  20'
	name=$(newest a checkpoint)
	refute grep -q www.example "$topo_dir/a/backups/$name"
	fr a checkpoint
	fr a checkpoint
	assert_equal "$(n_backups a checkpoint)" 2
	refute [ -e "$topo_dir/a/backups/$name" ]
	name=$(newest a checkpoint)
	agent_kill a
	agent_secret=another-secret-of-these-nodes-012345 \
		agent_config a "$data"
	agent_start a
	wait_until 20 knows a
	run fr a backup restore "$name"
	assert_failure 1
	assert_output --partial 'backup of another secret: '
	agent_kill a
	sed -i "s/^}/  previous_secret_keys = [ \"$agent_secret\" ]\n}/" "$topo_dir/a.hcl"
	agent_start a
	wait_until 20 knows a
	run fr a backup restore "$name"
	assert_success
	assert_line --partial '20 restored'
	agent_kill a
	configure
	agent_start a
	wait_until 60 in_step
}

@test "no resync without a backup, on either node" {
	local n
	n=$(n_backups b resync)
	fr b resync --wait
	assert_equal "$(n_backups b resync)" $((n + 1))
	fr a resync --wait
	assert_equal "$(n_backups b resync)" $((n + 2))
	# A small difference is repaired without one.
	agent_kill b
	item a lease add scope=lan client=02:00:00:00:00:77 ip=192.0.2.77
	agent_start b
	wait_until 60 in_step
	assert_equal "$(n_backups b resync)" $((n + 2))
	item a lease del scope=lan client=02:00:00:00:00:77
	wait_until 30 in_step
}

# waits_for_room NODE
waits_for_room() {
	[[ $(status "$1" .backup_trouble) == *'No space left on device'* ]]
}

has_no_trouble() {
	status "$1" '.backup_trouble == ""'
}

@test "a disk that is full holds up resyncs, and nothing else" {
	local n
	agent_kill b
	mount -t tmpfs -o size=64k none "$topo_dir/b/backups"
	agent_start b
	wait_until 60 in_step
	head -c 65536 /dev/zero >"$topo_dir/b/backups/filler" || true
	run fr b backup create
	assert_failure 1
	assert_output --partial 'no room for a backup: '
	assert_output --partial 'No space left on device'
	run fr b resync --wait
	assert_failure 1
	assert_output --partial 'no backup could be taken before: '
	run fr a resync --wait
	assert_failure 1
	assert_output --partial 'b takes no backup: '

	# What a has is another world by now: the repair waits, all else goes on.
	agent_kill b
	agent_kill a
	for n in {1..20}; do
		item a lease del scope=lan client="02:00:00:00:00:$(printf %02x "$n")"
		item a lease add scope=lan client="02:00:00:00:01:$(printf %02x "$n")" ip="192.0.2.$n"
	done
	agent_start a
	agent_start b
	wait_until 60 waits_for_room b
	run fr b status
	assert_failure 4
	assert_output --partial 'no backup could be written: '
	assert_output --partial 'peer a: repairs wait for a backup'
	assert_equal "$(item b lease list | grep -c '02:00:00:00:00:')" 20
	item a record add dns name=live.example type=A rdata=192.0.2.81
	wait_until 20 has_live
	assert_equal "$(item b lease list | grep -c '02:00:00:00:00:')" 20

	rm "$topo_dir/b/backups/filler"
	wait_until 60 in_step
	wait_until 20 has_no_trouble b
	assert_equal "$(n_backups b resync)" 1
	assert_equal "$(item b lease list | grep -c '02:00:00:00:01:')" 20
	wait_until 30 fr b status
	umount "$topo_dir/b/backups"
}

has_live() {
	item b record list dns | grep -q live.example
}

# share: both nodes write from now on, with what their kernels hold
share() {
	local node
	export agent_mode=active-active
	for node in a b; do
		agent_kill $node
		agent_config $node "$data" 'recovery { audit_interval = "2s" }'
	done
	agent_start a
	agent_start b
	wait_until 60 all_in_step
}

# items NODE: all that it holds of leases and DNS, without how long it has left
items() {
	content "$1" | sed '/^table inet st/,$d'
}

# both_hold FILE: that, and no more
both_hold() {
	all_in_step && items a | diff - "$1" >/dev/null && items b | diff - "$1" >/dev/null
}

# change_on_both: leases and records change, come and go, on either node
change_on_both() {
	local i
	for i in {1..5}; do
		item a lease del scope=lan client="02:00:00:00:00:$(printf %02x "$i")"
		item b lease del scope=lan client="02:00:00:00:00:$(printf %02x $((i + 5)))"
	done
	item a lease add scope=lan client=02:00:00:00:00:0b ip=192.0.2.111
	item b lease add scope=lan client=02:00:00:00:00:0c ip=192.0.2.112
	item b lease add scope=lan client=02:00:00:00:00:99 ip=192.0.2.99
	item b record del dns name=www.example type=A rdata=192.0.2.80
	wait_until 60 all_in_step
}

@test "where all nodes write: what a primary has saved comes back on its former standby, and on both" {
	local name
	forget_others
	fill
	items a >"$topo_dir/kept"
	fr a backup create
	name=$(newest a)
	cp "$topo_dir/a/backups/$name" "$topo_dir/b/backups/"
	share
	both_hold "$topo_dir/kept"
	change_on_both
	refute both_hold "$topo_dir/kept"
	run fr b backup restore "$name"
	assert_success
	assert_line 'lease  20 records, 20 restored, 1 not in the backup: kept'
	assert_line 'dns  1 records, 1 restored'
	assert_line --regexp '^nft_set  [67] records, [67] restored$'
	run fr b backup restore "$name" --exact
	assert_success
	assert_line --partial '1 removed'
	wait_until 60 both_hold "$topo_dir/kept"
	validated a
}

# forget_others: what the tests before have left
forget_others() {
	local n
	for n in {1..20}; do
		item a lease del scope=lan client="02:00:00:00:01:$(printf %02x "$n")"
	done
	item a record del dns name=live.example type=A rdata=192.0.2.81
	wait_until 30 in_step
}

@test "where all nodes write: a backup of either node holds what is in effect, and what is written back wins" {
	local name
	change_on_both
	items a >"$topo_dir/changed"
	run fr a backup create
	assert_success
	assert_line 'lease  11'
	assert_line 'dns  0'
	fr b --json backup create | jq -e '[.tables[] | select(.table == "lease").records] == [11]'
	fr b backup restore "$(first_shared b)" --exact
	wait_until 60 both_hold "$topo_dir/kept"
	fr a backup restore "$(newest a)" --exact --dry-run
	fr a backup restore "$(newest a)" --exact
	wait_until 60 both_hold "$topo_dir/changed"
	fr b checkpoint
	fr b backup restore "$(newest b checkpoint)" --exact
	wait_until 60 both_hold "$topo_dir/changed"
	validated b
}

# first_shared NODE: the backup that the primary has taken last
first_shared() {
	fr "$1" --json backup list | jq -er '[.backups[] | select(.kind == "backup")][-2].name'
}

@test "where all nodes write: no resync without a backup" {
	local n m
	n=$(n_backups b resync)
	m=$(n_backups a resync)
	fr a resync --wait
	assert_equal "$(n_backups b resync)" $((n + 1))
	assert_equal "$(n_backups a resync)" "$m"
	fr b resync --wait
	assert_equal "$(n_backups a resync)" $((m + 1))
	# What was away and is now about to be another world.
	agent_kill b
	for n in {11..20}; do
		item a lease del scope=lan client="02:00:00:00:00:$(printf %02x "$n")"
		item a lease add scope=lan client="02:00:00:00:02:$(printf %02x "$n")" ip="192.0.2.$((n + 200))"
	done
	n=$(n_backups_on_disk b)
	agent_start b
	wait_until 60 all_in_step
	assert_equal "$(n_backups_on_disk b)" $((n + 1))
	# A disk that is full holds it up, and the peer is told.
	agent_kill b
	mount -t tmpfs -o size=64k none "$topo_dir/b/backups"
	agent_start b
	wait_until 60 all_in_step
	head -c 65536 /dev/zero >"$topo_dir/b/backups/filler" || true
	run fr a resync --wait
	assert_failure 1
	assert_output --partial 'b takes no backup: '
	agent_kill b
	umount "$topo_dir/b/backups"
	agent_start b
	wait_until 60 all_in_step
}

# n_backups_on_disk NODE: before resyncs, while no agent may tell
n_backups_on_disk() {
	find "$topo_dir/$1/backups" -name '*.resync' | wc -l
}

@test "what was saved where all nodes write comes back in primary and replica" {
	local name
	items a >"$topo_dir/kept"
	fr b backup create
	name=$(newest b)
	agent_kill a
	agent_kill b
	cp "$topo_dir/b/backups/$name" "$topo_dir/a/backups/"
	unset agent_mode
	configure
	pair_start
	item a lease add scope=lan client=02:00:00:00:00:99 ip=192.0.2.99
	item a lease del scope=lan client=02:00:00:00:02:0b
	run fr a backup restore "$name" --exact
	assert_success
	wait_until 60 in_step
	items a | diff - "$topo_dir/kept"
	items b | diff - "$topo_dir/kept"
}
