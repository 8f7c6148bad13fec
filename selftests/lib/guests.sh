# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# Guests that do what they are told, one script after the other (vm/guest/serve).
#
# Needs wait.sh. $guests_dir is for their files, a directory for each, and for log, which
# has what the last ones said; $guests_pid has the host's side of each.

declare -A guests_pid

# guests_wire END OTHER: QEMU's arguments for one end of a wire between guests; ends have
# names of their own, as the address of a datagram socket may be at most 107 bytes
guests_wire() {
	local mac net=dgram,id=$1,local.type=unix,local.path=$guests_sockets/$1
	net+=,remote.type=unix,remote.path=$guests_sockets/$2
	mac=$(echo "$1" | md5sum | sed 's/^\(..\)\(..\)\(..\).*/02:00:00:\1:\2:\3/')
	echo "-netdev $net -device virtio-net-pci,netdev=$1,mac=$mac,romfile="
}

guests_begin() {
	rm -rf "$guests_dir"
	mkdir -p "$guests_dir"
	: >"$guests_dir/log"
	guests_sockets=$(mktemp -d)
}

# guests_boot NAME OPTION...: of vm/run
guests_boot() {
	local dir=$guests_dir/$1
	shift
	mkdir -p "$dir"
	echo 0 >"$dir/last"
	selftests/vm/run "$@" -d "$dir" -p "$dir/pid" -- selftests/vm/guest/serve \
		>"$dir/log" 2>&1 &
	guests_pid[${dir##*/}]=$!
}

# Kept in a file, for the sake of subshells
guests_last() { echo "$guests_dir/$1/$(cat "$guests_dir/$1/last")"; }

# tell NAME COMMAND...: start it there; hear NAME SECONDS: its end, in the log
tell() {
	local name=$1 file
	shift
	echo $(($(cat "$guests_dir/$name/last") + 1)) >"$guests_dir/$name/last.new"
	mv "$guests_dir/$name/last.new" "$guests_dir/$name/last"
	file=$(guests_last "$name")
	printf '%s\n' "$*" >"$file.new"
	mv "$file.new" "$file.cmd"
}

hear() {
	local file
	file=$(guests_last "$1")
	wait_until "$2" guests_heard "$1" "$file" || return
	[ -e "$file.rc" ] ||
		{ echo "$1: its guest has ended" && return 1; } >>"$guests_dir/log"
	sed "s/^/$1: /" "$file.out" >>"$guests_dir/log"
	return "$(cat "$file.rc")"
}

guests_heard() { [ -e "$2.rc" ] || wait_is_gone "${guests_pid[$1]}"; }

# ask NAME SECONDS COMMAND...: both
ask() {
	tell "$1" "${@:3}"
	hear "$1" "$2"
}

# answer NAME: what it printed
answer() { cat "$(guests_last "$1").out"; }

# guests_cut NAME: its power fails
guests_cut() {
	kill -KILL "$(cat "$guests_dir/$1/pid")"
	wait "${guests_pid[$1]}" || true
}

# guests_leave NAME: it ends in order; false if its kernel has complained
guests_leave() {
	tell "$1" exit 0
	wait "${guests_pid[$1]}" && return
	cat "$guests_dir/$1/log" >>"$guests_dir/log"
	return 1
}

guests_end() {
	local name
	for name in "${!guests_pid[@]}"; do
		wait_is_gone "${guests_pid[$name]}" ||
			kill "$(cat "$guests_dir/$name/pid")" 2>/dev/null
	done
	wait
	rm -rf "$guests_sockets"
}
