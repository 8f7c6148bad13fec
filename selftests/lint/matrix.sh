#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The table "What proves what" of docs/testing.md names every test of the
# module, and no other.

set -euo pipefail
cd "${1:-$(dirname "$0")/../..}"

named() {
	sed -n '/^## What proves what/,/^## /p' docs/testing.md |
		grep '^|' | tr -c 'a-z0-9_.' '\n' | grep '[a-z0-9_]\.[a-z]' | sort -u
}

# Of compiled tests each by its name, of scripts the file
existing() {
	local f
	sed -n 's/^TEST_F[A-Z_]*(\([a-z0-9_]*\), *\([a-z0-9_]*\).*/\1.\2/p' selftests/kmod/*.c
	for f in selftests/kmod/*.sh selftests/kmod/*.py; do
		basename "$f"
	done
}

differences=$(diff <(named) <(existing | sort -u) |
	sed -n 's/^< /docs\/testing.md names no test: /p; s/^> /docs\/testing.md does not name: /p') || true
if [ -n "$differences" ]; then
	echo "$differences"
	exit 1
fi
echo "$(named | wc -l) tests"
