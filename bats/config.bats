#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# lab: deadline=400 kernel=host
#
# flyrep config: what an operator sees of the configuration

setup() {
	bats_load_library bats-support
	bats_load_library bats-assert
	root=$BATS_TEST_DIRNAME/..
	cd "$root" || return
	flyrep=$(realpath "${BUILD:-build}/flyrep")
	conf=$BATS_TEST_TMPDIR/flyrep.hcl
	unset CREDENTIALS_DIRECTORY FLYREP_SOCKET
}

write() { cat >"$conf"; chmod 600 "$conf"; }

good() {
	write <<-'END'
		replication {
		  mode         = "replica"
		  node_id      = "b"
		  primary_addr = "192.0.2.1"
		  secret_key   = "0123456789abcdef0123456789abcdef"
		}
	END
}

@test "a good file is fine" {
	good
	run "$flyrep" config check "$conf"
	assert_success
	assert_output "$conf: fine"
}

@test "all faults are told at once, each with its place" {
	write <<-'END'
		replication {
		  mode = "replica"
		  secret_kye = "x"
		  sync { interval = 24h }
		  transport { encryption = 1 }
		}
	END
	run "$flyrep" config check "$conf"
	assert_failure 1
	assert_line --index 0 "$conf:3:3: unknown key \"secret_kye\" in replication: did you mean \"secret_key\"?"
	assert_line --index 1 "$conf:4:21: 24h is not a number: quote durations, sizes and addresses: \"24h\""
	assert_line --index 2 "$conf:5:28: transport.encryption: expected true or false, found a number"
	assert_equal "${#lines[@]}" 3
}

@test "the faults as JSON" {
	write <<<'replication { mode = "chain" }'
	run "$flyrep" config check --json "$conf"
	assert_failure 1
	run jq -r '.ok, .errors[0].line, .errors[0].column, .errors[0].message, (.warnings | length)' <<<"$output"
	assert_output - <<-'END'
		false
		1
		22
		a node of a chain needs primary_addr, peers, or both
		0
	END
}

@test "every snippet of the guide is fine" {
	for f in selftests/unit/fixtures/guide_*.hcl; do
		run "$flyrep" config check "$f"
		refute_line --regexp 'expected|unknown|is not a'
		while read -r line; do
			[[ $line == *warning:* || $line == *'fine, but see above' ]] || fail "$line"
		done <<<"$output"
	done
}

@test "the guide's advanced snippet is fine: secret and certificates" {
	write <selftests/unit/fixtures/guide_advanced.hcl
	run "$flyrep" config check "$conf"
	assert_success
	assert_line "$conf: fine, but see above"
	run "$flyrep" config show "$conf"
	assert_line '      ca_file = "/etc/flywall/ca.crt"'
	assert_line '    key_rotation = "1d"'
}

@test "the guide's basic snippet is fine as it stands" {
	write <selftests/unit/fixtures/guide_basic.hcl
	run "$flyrep" config check "$conf"
	assert_success
	assert_output - <<-END
		$conf:7:16: warning: secret_key: 17 bytes are few for a secret: better 32 or more
		$conf: fine, but see above
	END
	run "$flyrep" config show "$conf"
	assert_line '  peer_addr = "192.168.100.1:9002"'
}

@test "what a quorum, a witness and a node by itself come to means the same again" {
	local secret='secret_key = "0123456789abcdef0123456789abcdef"' mode
	local modes=(
		$'mode = "replica"\nprimary_addr = "192.0.2.1"\npeers = [{ id = "a", address = "192.0.2.1" }]
			quorum {\nenabled = true\nwitness = "192.0.2.9"\nsplit_brain = "newest"\n}'
		$'mode = "witness"\npeers = [{ id = "a", heartbeat = "192.0.2.1" }]'
		$'mode = "standalone"')
	for mode in "${modes[@]}"; do
		write <<<"replication {
			node_id = \"x\"
			$secret
			$mode
		}"
		run "$flyrep" config check "$conf"
		assert_success
		assert_output "$conf: fine"
		"$flyrep" config show "$conf" >"$conf.shown"
		sed "s/^replication {/&\n$secret/" "$conf.shown" | write
		"$flyrep" config show "$conf" >"$conf.again"
		diff <(grep -v secret "$conf.shown") <(grep -v secret "$conf.again")
	done
}

@test "a secret that others may read is a warning" {
	good
	chmod 644 "$conf"
	run "$flyrep" config check "$conf"
	assert_success
	assert_line --partial 'others than its owner may read it (mode 0644)'
}

@test "without a secret a check warns, for the agent may have a credential" {
	good
	sed -i /secret_key/d "$conf"
	run "$flyrep" config check "$conf"
	assert_success
	assert_line --partial 'warning: no secret'
	mkdir "$BATS_TEST_TMPDIR/creds"
	head -c 32 /dev/urandom >"$BATS_TEST_TMPDIR/creds/psk"
	CREDENTIALS_DIRECTORY=$BATS_TEST_TMPDIR/creds run "$flyrep" config check "$conf"
	assert_output "$conf: fine"
}

@test "show prints what parses back to itself, and no secret" {
	good
	run "$flyrep" config show "$conf"
	assert_success
	refute_output --partial 0123456789abcdef
	assert_line '  # secret_key = <set, 32 bytes>'
	assert_line '    max_lag = "10s"'
	write <<<"$output"
	"$flyrep" config show "$conf" >"$BATS_TEST_TMPDIR/second" 2>/dev/null
	run diff <(grep -v '# secret_key' "$conf") "$BATS_TEST_TMPDIR/second"
	assert_success
}

@test "show of a faulty file prints the faults on stderr only" {
	write <<<'replication { mode = "chain" }'
	run bash -c "'$flyrep' config show '$conf' 2>/dev/null"
	assert_failure 1
	assert_output ''
	run "$flyrep" config show "$conf"
	assert_output --partial 'a node of a chain needs'
}

@test "a file that cannot be read" {
	run "$flyrep" config check /nonexistent
	assert_failure 1
	assert_output '/nonexistent: cannot read it: No such file or directory'
	run "$flyrep" config check /
	assert_failure 1
	assert_output '/: cannot read it: Is a directory'
}

@test "hostile files cost little and name their fault" {
	head -c 1048577 /dev/zero | tr '\0' ' ' | write
	run "$flyrep" config check "$conf"
	assert_failure 1
	assert_output --partial 'a configuration file has at most 1048576'
	printf 'a = 1\nb\0c' | write
	run "$flyrep" config check "$conf"
	assert_output "$conf:2:2: NUL byte: this is not a text file"
	head -c 500000 /dev/zero | tr '\0' '[' | { printf 'a = '; cat; } | write
	run timeout 5 "$flyrep" config check "$conf"
	assert_failure 1
	assert_output --partial 'nested too deep'
	yes 'bogus = 1' | head -n 100000 | write
	run timeout 5 "$flyrep" config check "$conf"
	assert_failure 1
	assert_output --partial 'more'
	assert [ "${#lines[@]}" -le 22 ]
}

@test "schema lists every key, in JSON too" {
	run "$flyrep" config schema
	assert_success
	assert_line 'sync.batch_size  number; default 1000; 1 to 65536'
	assert_line 'api.listen  list of addresses; default ["127.0.0.1:8080", "[::1]:8080"]; at most 8 of them'
	run bash -c "'$flyrep' config schema --json | jq -r '.[] | select(.key == \"sync.interval\") | .default, .range, .reloadable'"
	assert_output - <<-'END'
		"1s"
		1ms to 1h
		true
	END
}

@test "the default file is the one in /etc" {
	[ ! -e /etc/flyrep/flyrep.hcl ] || skip "there is one"
	run "$flyrep" config check
	assert_failure 1
	assert_output '/etc/flyrep/flyrep.hcl: cannot read it: No such file or directory'
}

@test "usage" {
	run "$flyrep" config
	assert_failure 2
	run "$flyrep" config sho
	assert_failure 2
	assert_line 'flyrep: "sho" is not one of check, show, schema: did you mean show?'
	run "$flyrep" config check a b
	assert_failure 2
}
