#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Common misspellings. words lists what is right here though it looks wrong.

set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cd "${1:-$here/../..}"

mapfile -t files < <(git ls-files --cached --others --exclude-standard |
	grep -v -e '^docs/licenses/' -e '^selftests/fuzz/corpus/' -e '/words$')
echo "${#files[@]} files"
[ ${#files[@]} -gt 0 ]
codespell --ignore-words "$here/words" "${files[@]}"
