#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The man pages are well-formed.

set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cd "${1:-$here/../..}"

shopt -s nullglob
pages=(docs/man/*.scd)
[ ${#pages[@]} -gt 0 ] || { echo "no man page" && exit 1; }
rc=0
for page in "${pages[@]}"; do
	echo "$page"
	text=$(scdoc <"$page") || { rc=1 && continue; }
	# scdoc leaves titles in lower case, dates in its own form, and
	# paragraphs empty.
	faults=$(mandoc -Tlint -W warning <<<"$text" 2>&1 | grep -v \
		-e 'skipping paragraph macro' \
		-e 'lower case character in document title' \
		-e 'cannot parse date' -e 'missing date' || true)
	[ -z "$faults" ] || { echo "$faults" && rc=1; }
done
exit $rc
