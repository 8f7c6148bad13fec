#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Each source says its licence on line 1 (2 after an interpreter's name), and
# one that its room allows.

set -euo pipefail
cd "${1:-$(dirname "$0")/../..}"

both="GPL-2.0-or-later OR BSD-2-Clause"
noted="((GPL-2.0-or-later WITH Linux-syscall-note) OR BSD-2-Clause)"
rc=0 n=0

allowed() {
	case $1 in
	kmod/* | */splat/* | */foreign/*) echo "GPL-2.0-only|$both" ;;
	uapi/*) echo "GPL-2.0 WITH Linux-syscall-note|$both|$noted" ;;
	*) echo "GPL-2.0-or-later|$both" ;;
	esac
}

while read -r f; do
	case $f in
	LICENSE* | *.md | *.json | *.txt | CHANGELOG* | selftests/fuzz/corpus/* | \
		selftests/unit/fixtures/* | selftests/vectors/*.hex | \
		*/words | */warnings | debian/* | .git* | *.vec | *.scd) continue ;;
	esac
	[ -f "$f" ] || continue
	n=$((n + 1))
	line=$(sed -n '1{/^#!/n;p;q}' "$f")
	id=$(sed -n 's/^.*SPDX-License-Identifier: \(.*[^ */>-]\)[ */>-]*$/\1/p' \
		<<<"$line")
	case "|$(allowed "$f")|" in
	*"|$id|"*) [ -n "$id" ] && continue ;;
	esac
	echo "$f:1: expected SPDX-License-Identifier: $(allowed "$f"), found '$id'"
	rc=1
done < <(git ls-files --cached --others --exclude-standard 2>/dev/null ||
	find . -type f -printf '%P\n')
echo "$n files"
[ $n -gt 0 ] || rc=1
exit $rc
