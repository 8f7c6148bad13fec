#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# lab: deadline=900 kernel=6.1
#
# Secrets, keys and links change under replication, and nothing is lost.

load pair

old=of-yesterday-and-of-thirty-bytes
new=of-today---and-of-thirty-two-bytes

setup_file() {
	pair_up 65536
	load_answer
}

teardown_file() {
	pair_down
}

teardown() {
	pair_tell
	agents_stop
	rm -f "$topo_dir"/?.hcl "$topo_dir"/?.log
}

# with NODE SECRET [LINE...]: its configuration under this secret
with() {
	local node=$1
	# shellcheck disable=SC2034 # agent_config takes it
	agent_secret=$2
	shift 2
	agent_config "$node" "$@"
}

# reload NODE: until its log says so
reload() {
	local n
	n=$(grep -c 'replication: reloaded' "$topo_dir/$1.log") || true
	agent_signal "$1" HUP
	wait_until 20 reloaded "$1" "$n"
}

reloaded() {
	[ "$(grep -c 'replication: reloaded' "$topo_dir/$1.log")" -gt "$2" ]
}

# warns NODE PATTERN: its status does
warns() {
	api_get "$1" status | grep -qE -- "$2"
}

is_silent() {
	! warns "$1" 'previous secret'
}

@test "a new secret rolls out node by node, and flows go on arriving" {
	local n
	with a $old
	with b $old
	pair_start
	load_send -n 500 -r 1000
	wait_until 30 in_step

	# The writer first: it accepts what the standby dials with.
	with a $new "previous_secret_keys = [\"$old\"]"
	reload a
	wait_until 30 warns a 'previous secret'
	load_send -n 500 -r 1000
	wait_until 30 in_step

	# Now the standby; it dials with the new one.
	with b $new "previous_secret_keys = [\"$old\"]"
	reload b
	wait_until 30 is_silent a
	is_silent b
	refute log_says b 'ends the session: (shutting|the secret)'

	# The old one is struck off.
	with a $new
	reload a
	load_send -n 500 -r 1000
	wait_until 30 in_step
	is_silent a
	pair_same
	run fr a --json status
	refute_output --partial $old
	refute_output --partial $new
}

@test "a standby that has the new secret already dials with the old one, too" {
	with a $old
	with b $new "previous_secret_keys = [\"$old\"]"
	pair_start
	wait_until 20 warns b 'previous secret'
	log_says a 'PSK mismatch with node b'
}

@test "a secret that is none of ours is refused by both, in words" {
	with a $old
	with b $new
	agent_start a
	agent_start b
	wait_until 20 log_says a 'PSK mismatch with node b'
	wait_until 20 log_says b 'PSK mismatch: .* says that our secret_key is not its'
}

@test "a session ends when its secret is struck off, and comes back under another" {
	with a $old
	with b $new "previous_secret_keys = [\"$old\"]"
	pair_start
	with a $new
	reload a
	wait_until 20 log_says a 'the secret of this session is no more'
	wait_until 60 in_step
	is_silent b
}

@test "a standby takes over the hash key of its writer, once" {
	local key
	with a $old
	with b $old
	rm -f "$topo_dir/b/state"
	pair_start
	key=$(grep hash_key "$topo_dir/a/state")
	assert_equal "$(grep hash_key "$topo_dir/b/state")" "$key"
	agent_kill a
	agent_kill b
	: >"$topo_dir/b.log"
	pair_start
	refute log_says b 'hash key'
	assert_equal "$(grep hash_key "$topo_dir/a/state")" "$key"
	validated a
}

@test "a reload with a fault in it changes nothing" {
	with a $old
	with b $old
	pair_start
	with b $old 'state_dir = "/nowhere"' 'bogus = 1'
	agent_signal b HUP
	wait_until 20 log_says b 'unknown key "bogus"'
	wait_until 20 log_says b 'not reloaded'
	with b $old 'ring = 65536'
	agent_signal b HUP
	wait_until 20 log_says b 'ring changed: that needs a restart'
	load_send -n 100
	wait_until 30 in_step
}

# renewals NODE: of its first peer
renewals() {
	api_get "$1" status | tr -d ' \n' | sed -n 's/.*"key_renewals":\([0-9]*\).*/\1/p'
}

renewed() {
	[ "$(renewals "$1")" -ge "$2" ]
}

# connections: TCP connections of the agents that are up
connections() {
	on a ss -Htn state established 'sport = :9001' | wc -l
}

is_single() {
	[ "$(connections)" = 1 ]
}

@test "keys are replaced by their age, while flows arrive: no pause, no loss, no end of a session" {
	local n
	with a $old 'auth { key_rotation = "2s" }'
	with b $old
	pair_start
	n=$(grep -c 'session established' "$topo_dir/a.log")
	load_send -n 2000 -r 300 &
	wait_until 60 renewed a 3
	wait
	wait_until 30 in_step
	wait_until 20 renewed b 3
	assert_equal "$(grep -c 'session established' "$topo_dir/a.log")" "$n"
	wait_until 10 is_single
	pair_same -p udp
}

@test "flyrep key rotate does it now, from either end" {
	with a $old
	with b $old
	pair_start
	assert_equal "$(renewals a)" 0
	run fr a key rotate
	assert_success
	assert_output --regexp '^b  fresh keys, .* old$'
	assert_equal "$(renewals a)" 1
	run fr b --json key rotate
	assert_success
	run jq -e '.peers[0] | .id == "a" and .rotated' <<<"$output"
	assert_success
	wait_until 10 renewed a 2
	run fr a key rotate nobody
	assert_failure 1
	assert_output --partial 'none of ours'
	run fr a key
	assert_failure 2
	run status a .peers[0].key_age_ms
	assert [ "$output" -lt 60000 ]
	load_send -n 100
	wait_until 30 in_step
}

# As docs/operations.md has it, so that either can be primary
@test "both nodes dial: whichever connection it is, its keys are replaced from either end" {
	local node
	for node in a b; do
		with $node $old
	done
	edit a 's/^  listen_addr.*/&\n  primary_addr = "10.9.9.2:9001"/'
	edit b 's/^  primary_addr.*/&\n  listen_addr = "10.9.9.2:9001"\n  peers = [ { id = "a", address = "10.9.9.1:9001", role = "primary" } ]/'
	pair_start
	run fr a key rotate
	assert_success
	run fr b key rotate
	assert_success
	wait_until 10 renewed a 2
	wait_until 10 renewed b 2
	load_send -n 100
	wait_until 30 in_step
}

@test "keys that cannot be replaced: the session goes on, and status says why" {
	with a $old
	with b $old
	pair_start
	on a nft add table inet shut
	on a nft add chain inet shut in '{ type filter hook input priority 0; }'
	on a nft add rule inet shut in tcp dport 9001 tcp flags syn / syn,ack reject with tcp reset
	run fr b key rotate
	assert_failure 1
	assert_output --partial 'keys not replaced'
	warns b 'the keys were not replaced'
	load_send -n 100
	wait_until 30 in_step
	on a nft delete table inet shut
	run fr b key rotate
	assert_success
	run warns b 'the keys were not replaced'
	assert_failure
}

# certify NODE NAME [DAYS]: its certificate, for this name
certify() {
	local dir=$topo_dir
	[ -e "$dir/ca.key" ] || openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
		-keyout "$dir/ca.key" -out "$dir/ca.crt" -subj /CN=ca -days 2
	openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$dir/$1.key" \
		-out "$dir/$1.csr" -subj "/CN=$2"
	openssl x509 -req -in "$dir/$1.csr" -CA "$dir/ca.crt" -CAkey "$dir/ca.key" \
		-CAcreateserial -out "$dir/$1.crt" -days "${3:-1}"
} 2>/dev/null

# tls_of NODE: the section that names them
tls_of() {
	echo "transport { tls {
		cert_file = \"$topo_dir/$1.crt\"
		key_file = \"$topo_dir/$1.key\"
		ca_file = \"$topo_dir/ca.crt\"
	} }"
}

@test "certificates and a secret: both must hold" {
	certify a a
	certify b b
	with a $old "$(tls_of a)"
	with b $old "$(tls_of b)"
	pair_start
	load_send -n 100
	wait_until 30 in_step
	run fr a key rotate
	assert_success
	agent_kill b
	with b $new "$(tls_of b)"
	agent_start b
	wait_until 20 log_says b 'PSK mismatch with .*: its secret_key is not ours'
	wait_until 20 log_says a 'PSK mismatch with b: its secret_key is not ours'
	run status a .connected
	assert_output false
}

@test "certificates alone, of the right name, and read again" {
	certify a a 30
	certify b b
	sed_secret() { sed -i '/secret_key/d' "$topo_dir/$1.hcl"; }
	with a $old "$(tls_of a)" 'auth { method = "mtls" }' && sed_secret a
	with b $old "$(tls_of b)" 'auth { method = "mtls" }' && sed_secret b
	pair_start
	load_send -n 100
	wait_until 30 in_step
	end=$(openssl x509 -in "$topo_dir/b.crt" -noout -enddate)
	warns b "certificate: it ends on $(date -u -d "${end#*=}" '+%F %H:%M') UTC"
	run warns a certificate:
	assert_failure

	# One of another name is not b.
	certify b c
	run fr b key rotate
	assert_failure 1
	wait_until 20 log_says a 'the certificate of the other side, "c", names none of our peers'
	assert_equal "$(status a .connected)" true

	# A file that is no certificate: the last good one still works.
	certify b b
	run fr b key rotate
	assert_success
	echo nonsense >"$topo_dir/b.crt"
	run fr b key rotate
	assert_success
	warns b 'certificate: cert_file .*b.crt'
	load_send -n 100
	wait_until 30 in_step
}

insecure='allow_insecure = true
transport { encryption = false }'

@test "without encryption only if both say so, loudly, and still with the right secret" {
	with a $old "$insecure"
	with b $old
	agent_start a
	agent_start b
	wait_until 20 log_says a 'wants encryption, this node has transport.encryption = false'
	wait_until 20 log_says b 'does not encrypt .*, this node does'
	assert_equal "$(ask a status | jq .status.connected)" false
	agent_kill b
	with b $new "$insecure"
	agent_start b
	wait_until 20 log_says a 'PSK mismatch with node b'
	agent_kill b
	with b $old "$insecure"
	agent_start b
	wait_until 60 in_step
	log_says a 'NOT ENCRYPTED'
	warns a 'NOT ENCRYPTED'
	warns b 'NOT ENCRYPTED'
	load_send -n 500
	wait_until 30 in_step
	run fr b key rotate
	assert_success
	load_send -n 100
	wait_until 30 in_step
	pair_same -p udp
}

# edit NODE SCRIPT: its configuration by sed
edit() {
	sed -i "$2" "$topo_dir/$1.hcl"
}

# dials_over NODE ADDRESS: its session is at this one
dials_over() {
	local answer
	answer=$(api_get "$1" status) || return 1
	answer=${answer//\": /\":}
	[[ $answer == *"\"address\":\"$2\""* && $answer =~ \"connected\":\ *true ]]
}

@test "over IPv6" {
	ip -n "$(topo_ns a)" addr add fd09::1/64 dev sync0 nodad
	ip -n "$(topo_ns b)" addr add fd09::2/64 dev sync0 nodad
	with a $old
	edit a 's/10.9.9.1:9001/[fd09::1]:9001/; s/10.9.9.2:9001/[fd09::2]:9001/'
	with b $old
	edit b 's/10.9.9.1:9001/[fd09::1]:9001/'
	pair_start
	dials_over b '[fd09::1]:9001'
	load_send -n 200
	wait_until 30 in_step
	run fr b key rotate
	assert_success
}

@test "a dead link: the session comes up over another one, and back over the first" {
	ip -n "$(topo_ns a)" link add sync1 type veth peer name sync1 netns "$(topo_ns b)"
	ip -n "$(topo_ns a)" addr add 10.9.8.1/24 dev sync1
	ip -n "$(topo_ns b)" addr add 10.9.8.2/24 dev sync1
	ip -n "$(topo_ns a)" link set sync1 up
	ip -n "$(topo_ns b)" link set sync1 up
	with a $old
	edit a 's/10.9.9.1:9001/0.0.0.0:9001/; s/address = "10.9.9.2:9001"/&, addresses = [ "10.9.8.2" ]/'
	with b $old 'primary_addrs = [ "10.9.8.1" ]'
	pair_start
	dials_over b 10.9.9.1:9001
	ip -n "$(topo_ns b)" link set sync0 down
	load_send -n 200
	wait_until 40 dials_over b 10.9.8.1:9001
	wait_until 40 in_step
	ip -n "$(topo_ns b)" link set sync0 up
	ip -n "$(topo_ns b)" link set sync1 down
	load_send -n 200
	wait_until 60 dials_over b 10.9.9.1:9001
	wait_until 40 in_step
}
