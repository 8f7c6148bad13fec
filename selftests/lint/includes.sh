#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Who may include whom:
#
#   kmod -> uapi <- lib <- {agent, cli}
#
# A stage of the agent knows no other stage: only flow, which wires them, and
# main include their headers. ring, buckets and cursor include nothing of
# ours.

set -euo pipefail
cd "${1:-$(dirname "$0")/../..}"

stages=(capture drain filter batch ship receive resolve inject)
alone=(kmod/ring.h kmod/buckets.h lib/cursor.h)
declare -A may=(
	[uapi]="uapi"
	[kmod]="kmod uapi"
	[lib]="lib uapi"
	[agent]="agent lib uapi"
	[cli]="cli lib uapi"
)
rc=0

complain() {
	echo "$1:$2: $3"
	rc=1
}

# home FILE HEADER: the room the header is in, as the compiler would find it;
# nothing when it is not ours
home() {
	local file=$1 header=$2 room=${1%%/*} d
	# shellcheck disable=SC2086
	for d in "$(dirname "$file")" "$room" ${may[$room]} uapi kmod lib agent cli; do
		if [ -e "$d/$header" ]; then
			realpath --relative-to=. "$d/$header"
			return
		fi
	done
}

is_stage() { [[ " ${stages[*]} " == *" $1 "* ]]; }
is_alone() { [[ " ${alone[*]} " == *" $1 "* ]]; }

check() {
	local file=$1 n=$2 header=$3 room=${1%%/*} stem target there
	target=$(home "$file" "$header")
	[ -n "$target" ] || return 0
	there=${target%%/*}
	[[ " ${may[$room]} " == *" $there "* ]] ||
		complain "$file" "$n" "$room must not include $target"
	! is_alone "$file" ||
		complain "$file" "$n" "this file includes nothing of ours"
	[[ $target == agent/* ]] || return 0
	stem=$(basename "$target" .h)
	is_stage "$stem" || return 0
	case $(basename "$file") in
	flow.[ch] | main.c | "$stem".[ch]) return 0 ;;
	esac
	# What is not a stage itself must not know one either.
	complain "$file" "$n" "only flow and main may include a stage's header ($target)"
}

count=0
for room in uapi kmod lib agent cli; do
	[ -d "$room" ] || continue
	while IFS=: read -r file n header; do
		count=$((count + 1))
		check "$file" "$n" "$header"
	done < <(find "$room" -name '*.[ch]' -exec grep -Hn '#[ \t]*include' {} + |
		sed -n 's/^\([^:]*:[0-9]*:\).*include[ \t]*["<]\([^">]*\)[">].*$/\1\2/p')
done
echo "$count includes"
[ $count -gt 0 ] || rc=1
exit $rc
