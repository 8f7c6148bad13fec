#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The kernel's own style checker, strict, over all C. Ignored are:

set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cd "${1:-$here/../..}"

everywhere=(
	FILE_PATH_CHANGES	# there is no MAINTAINERS file
	CAMELCASE		# libraries choose their names
	TYPO_SPELLING		# codespell sees to it, for British too
	PREFER_KERNEL_TYPES	# kernel code uses them; elsewhere stdint.h does
)
uapi=(
	BIT_MACRO		# not for headers of user space
	PREFER_DEFINED_ATTRIBUTE_MACRO
				# likewise
)
trace=(
	PARENTHESIS_ALIGNMENT OPEN_ENDED_LINE
				# events have a layout of their own
)
user=(
	BIT_MACRO ARRAY_SIZE PREFER_DEFINED_ATTRIBUTE_MACRO PREFER_FALLTHROUGH
				# macros of the kernel
	NAKED_SSCANF SYMBOLIC_PERMS
				# habits of the kernel
	EMBEDDED_FUNCTION_NAME	# words of a message may be a function's name
	MACRO_ARG_REUSE		# the argument is a type, or the name of a field
	OPEN_ENDED_LINE		# clang-format, kernel style, makes these
	SPLIT_STRING		# usage texts and tables of JSON
	MULTIPLE_ASSIGNMENTS	# a = b = 0 is plain
	MISSING_SPACE		# keys and bytes in hexadecimal
	VOLATILE AVOID_EXTERNS	# volatile sig_atomic_t; generated tables
	STATIC_CONST_CHAR_ARRAY	# const char * const tables of names
)
tests=(
	QUOTED_WHITESPACE_BEFORE_NEWLINE
	MULTISTATEMENT_MACRO_USE_DO_WHILE MACRO_ARG_REUSE
				# a macro makes a fixture, or takes a field's name
)

source=$("$here/../vm/kernel" source)

# check NAME IGNORED... -- FILE...
check() {
	local name=$1 ignore length=""
	shift
	ignore=$(IFS=,; echo "${everywhere[*]}")
	while [ "$1" != -- ]; do
		ignore+=,$1
		shift
	done
	shift
	[ $# -gt 0 ] || return 0
	echo "$name: $# files"
	# Tables of cases read better in one line each.
	[ "$name" != tests ] || length=--max-line-length=120
	# shellcheck disable=SC2086
	printf '%s\0' "$@" |
		xargs -0 -n 16 -P "$(nproc)" \
			perl "$source/scripts/checkpatch.pl" --no-tree --root=. \
			-f --strict --terse --show-types --no-summary $length \
			--ignore "$ignore"
}

# checkpatch leaves a file where it runs: run it beside the tree.
work=${BUILD:-build}/lint/checkpatch
mkdir -p "$work/include"
ln -sfn "$PWD"/{kmod,uapi,lib,agent,cli,selftests} "$work"
cd "$work"

shopt -s nullglob
rc=0
kmod=()
for f in kmod/*.[ch] kmod/*/*.[ch]; do
	[ "$f" = kmod/trace.h ] || kmod+=("$f")
done
check kmod -- "${kmod[@]}" selftests/vm/fixtures/*/*.c || rc=1
check trace "${trace[@]}" -- kmod/trace.[h] || rc=1
check uapi "${uapi[@]}" -- uapi/*.h || rc=1
check user "${user[@]}" -- {lib,agent,cli}/*.[ch] agent/hooks/*.[ch] || rc=1
check tests "${user[@]}" "${tests[@]}" -- \
	selftests/{unit,fuzz,kmod,bench}/*.[ch] || rc=1
exit $rc
