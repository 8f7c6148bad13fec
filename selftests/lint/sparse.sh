#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Semantic check of the module's every file, on both kernels, and the
# compiler's extra warnings; a word about our files is a failure.

set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cd "${1:-$here/../..}"

build=${BUILD:-build}/lint
rc=0
for kernel in ${KERNEL:-6.1 6.12}; do
	log=$build/sparse-$kernel.log
	rm -rf "$build/module/$kernel"
	mkdir -p "$build"
	make module BUILD="$build" KVER="$kernel" \
		KBUILD_ARGS="C=2 CF='-D__CHECK_ENDIAN__ -Wno-trivial'" \
		>"$log" 2>&1 || { cat "$log"; exit 1; }
	n=$(grep -c ' CHECK ' "$log" || true)
	echo "$kernel: $n files checked"
	[ "$n" -gt 0 ] || rc=1
	if grep -E '(warning|error):' "$log"; then
		rc=1
	fi
done
exit $rc
