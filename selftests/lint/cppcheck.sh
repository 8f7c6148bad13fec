#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# cppcheck over user space.

set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cd "${1:-$here/../..}"

dirs=()
for d in lib agent cli; do
	! compgen -G "$d/*.c" >/dev/null || dirs+=("$d")
done
echo "in ${dirs[*]}"
cppcheck --quiet --error-exitcode=1 --std=c11 --inline-suppr -j "$(nproc)" \
	--enable=warning,performance,portability \
	--suppress=missingInclude --suppress=unknownMacro \
	--suppressions-list="$here/cppcheck.suppress" \
	--template='{file}:{line}: {severity}: {message} [{id}]' \
	-Iuapi -Ilib -Iagent -Icli -D__linux__ -D_GNU_SOURCE \
	-DFLYREP_VERSION='"0"' "${dirs[@]}"
