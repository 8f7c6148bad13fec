#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Every shell and bats script of the tree passes shellcheck.

set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cd "${1:-$here/../..}"

mapfile -t scripts < <(git ls-files --cached --others --exclude-standard |
	while read -r f; do
		[ -f "$f" ] || continue
		read -r first <"$f" || true
		case $f:$first in
		*.sh:* | *.bats:* | *.bash:*) echo "$f" ;;
		*:'#!'*sh | *:'#!'*bats) echo "$f" ;;
		esac
	done 2>/dev/null)
echo "${#scripts[@]} scripts"
[ ${#scripts[@]} -gt 0 ]
shellcheck -x --source-path=SCRIPTDIR "${scripts[@]}"
