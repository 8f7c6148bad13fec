# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# Waiting without guessing how long: poll for a condition, with a deadline.

# A pipe nobody writes to: reading it with a time-out is a pause without a fork.
exec {wait_never}<> <(:)

# wait_tick: the pause between two looks
wait_tick() {
	read -rt 0.05 -u "$wait_never" || true
}

# wait_until SECONDS COMMAND...: run it until it succeeds; 1 and a line on
# stderr when the time is up
wait_until() {
	local limit=$1 end
	shift
	end=$((${EPOCHREALTIME/./} + limit * 1000000))
	until "$@" 2>/dev/null; do
		if [ "${EPOCHREALTIME/./}" -ge $end ]; then
			echo "not so within $limit s: $*" >&2
			return 1
		fi
		wait_tick
	done
}

# wait_gone SECONDS PID: until it is no more
wait_gone() {
	wait_until "$1" wait_is_gone "$2"
}

# wait_is_gone PID: no such process, or nobody has reaped it yet
wait_is_gone() {
	local stat
	{ read -r stat <"/proc/$1/stat"; } 2>/dev/null || return 0
	[[ $stat == *") Z "* ]]
}
