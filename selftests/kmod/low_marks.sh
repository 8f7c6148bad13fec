#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# lab: deadline=600
#
# The module as a 32-bit kernel has it, its marks in the low half of nf_conn.status:
# the tests that lean on them most.

set -uo pipefail

export FLYREP_KO=$BUILD/module/$LAB_KERNEL-low/flyrep.ko MARKS=low
[ -e "$FLYREP_KO" ] || { echo "no $FLYREP_KO: make module FLYREP_LOW_MARKS=y"; exit 1; }
rc=0
for t in marks capture inject; do
	"$BUILD/kmod-tests/$t" || rc=1
done
exit $rc
