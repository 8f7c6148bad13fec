# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# What the tests of nft sets share: their table is inet st, and $rules makes it, empty.

# load_rules NODE
load_rules() {
	on "$1" nft -f - <<<"$rules"
}

# nft_on NODE ARGUMENT...: a change by an administrator
nft_on() {
	local node=$1
	shift
	on "$node" nft "$@"
}

# listing NODE SET
listing() {
	local kind=set
	[ "$2" != marks ] || kind=map
	on "$1" nft list $kind inet st "$2"
}

# holds NODE SET PATTERN: an element of a set of that node looks like that
holds() {
	listing "$1" "$2" | tr -d '\n' | grep -qE -- "$3"
}

lacks() {
	listing "$1" "$2" >/dev/null && ! holds "$@"
}

# elements NODE: all of its table, without how long they have left
elements() {
	on "$1" nft list table inet st | sed 's/ expires [0-9a-z]*//g'
}

same() {
	diff <(elements a) <(elements b)
}

# seconds_left NODE SET ADDRESS
seconds_left() {
	on "$1" nft -j list set inet st "$2" | jq -e --arg a "$3" '.nftables[] | .set? |
		select(.) | .elem[] | .elem | select(.val == $a) | .expires'
}
