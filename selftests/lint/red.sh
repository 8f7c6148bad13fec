#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Every rule goes red on a fault of its kind, in a small tree made for it. TAP.

set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
unset BUILD
export KERNEL=6.1
n=0

# put FILE: its text from stdin, below its licence
put() {
	mkdir -p "$work/tree/$(dirname "$1")"
	cat >"$work/tree/$1"
}

fresh() {
	rm -rf "$work/tree"
	mkdir -p "$work/tree/selftests"
	ln -s "$root/selftests/vm" "$work/tree/selftests/vm"
	cp "$root/Makefile" "$work/tree"
	git -C "$work/tree" init -q
}

# red RULE TEXT: the rule fails on the tree, and says TEXT (a pattern)
red() {
	local rc=0 ok=not
	"$here/$1.sh" "$work/tree" >"$work/out" 2>&1 || rc=$?
	if [ $rc -ne 0 ] && grep -q -e "$2" "$work/out"; then
		ok=
	else
		sed 's/^/# /' "$work/out"
	fi
	n=$((n + 1))
	echo "${ok:+$ok }ok $n - $1: $2"
	fresh
}

# spec FILE SCRIPT: the netlink family with one side changed by sed
spec() {
	cp -r "$root/docs" "$root/uapi" "$work/tree"
	sed -i "$2" "$work/tree/$1"
}

# monitoring FILE SCRIPT: what is said of metrics, with one side changed by sed
monitoring() {
	cp -r "$root/docs" "$root/agent" "$root/lib" "$work/tree"
	sed -i "$2" "$work/tree/$1"
}

user="// SPDX-License-Identifier: GPL-2.0-or-later"
kernel="// SPDX-License-Identifier: GPL-2.0-only"

echo "1..26"
fresh

put lib/a.c <<<"$user
int fr_a(int a)
{
	if (a) return 0;
	return 1;
}"
red checkpatch TRAILING_STATEMENTS

put kmod/flyrep.c <<<"$kernel
#include <linux/module.h>
static int __init a(void)
{
	return (__force int)htonl(1) == (int)htonl(2);
}
module_init(a);
MODULE_LICENSE(\"GPL\");"
put kmod/Kbuild <<<"obj-m := flyrep.o"
put uapi/flyrep.h <<<""
red sparse 'cast from restricted'

put lib/a.c <<<"$user
int fr_a(void)
{
	char a[2];

	a[2] = 0;
	return a[0];
}"
red cppcheck arrayIndexOutOfBounds

put a.sh <<'END'
#!/bin/sh
rm $1
END
red shellcheck SC2086

put docs/a.md <<<"recie""ve"
red codespell 'recie.*receive'

put docs/man/b.8.scd <<<"no title"
red man 'Error at 1:'

put docs/man/a.8.scd <<<'a(8)'
red man WARNING

put lib/a.c <<<"$user"
sed -i 1d "$work/tree/lib/a.c"
red spdx 'lib/a.c:1: expected'

put kmod/a.c <<<"$user"
red spdx 'kmod/a.c:1: expected'

put lib/a.c <<<'#include "conn.h"'
put agent/conn.h <<<""
red includes 'lib must not include agent/conn.h'

put uapi/a.h <<<'#include "ring.h"'
put kmod/ring.h <<<""
red includes 'uapi must not include kmod/ring.h'

put cli/a.c <<<'#include "../agent/conn.h"'
put agent/conn.h <<<""
red includes 'cli must not include agent/conn.h'

put agent/ship.c <<<'#include "batch.h"'
put agent/batch.h <<<""
red includes "may include a stage's header (agent/batch.h)"

put agent/peer.c <<<'#include <ship.h>'
put agent/ship.h <<<""
red includes "may include a stage's header (agent/ship.h)"

put lib/cursor.h <<<'#include "hash.h"'
put lib/hash.h <<<""
red includes 'this file includes nothing of ours'

put docs/testing.md <<<'## What proves what'
put selftests/kmod/new.c <<<'TEST_F(new, test)'
red matrix 'docs/testing.md does not name: new.test'

spec uapi/flyrep.h 's/^\t__FLYREP_A_MAX/\tFLYREP_A_NEW,\n&/'
red netlink 'FLYREP_A_NEW: [0-9]* in the header, nothing here'

spec uapi/flyrep.h 's/^\t__FLYREP_C_MAX/\tFLYREP_C_NEW,\n&/'
red netlink 'enum flyrep_counter: FLYREP_C_NEW: [0-9]* in the header, nothing here'

spec uapi/flyrep_records.h 's/^\t__u32\(\t*\)mark;/\t__u16\1mark;/'
red netlink 'struct flyrep_ct: mark: (112, 2) in the header, (112, 4) here'

spec docs/netlink.yaml 's/value: 2000000/value: 3000000/'
red netlink 'FLYREP_HOLD_MAX_S: 2000000 in the header, 3000000 here'

spec docs/netlink.yaml '$ a\    -\n      name: more\n      doc: No such command.'
red netlink 'FLYREP_CMD_MORE: nothing in the header, 10 here'

monitoring docs/monitoring/alerts.yml 's/flyrep_paused == 1/flyrep_pauses == 1/'
red monitoring 'alerts.test.yml\|FAILED'

monitoring docs/monitoring/alerts.yml 's/alert: FlyrepForced/alert: FlyrepForce/'
red monitoring FAILED

monitoring docs/monitoring/dashboard.json 's/flyrep_peer_rtt_seconds/flyrep_peer_rtt_ms/'
red monitoring 'Round trip: flyrep_peer_rtt_ms: the agent has no such metric'

monitoring docs/monitoring/dashboard.json 's/"flyrep_table_entries{/"flyrep_table_entries{peer=\\"b\\",/'
red monitoring 'Entries: flyrep_table_entries: it has no label peer'

monitoring agent/metrics_node.c 's/"flyrep_epoch"/"flyrep_epochs"/'
red monitoring 'monitoring.md lacks the line: .*flyrep_epochs'
