#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# lab: deadline=600
#
# The tests of capture, where flows are captured by listening to netlink.

set -uo pipefail

FLYREP_PARAMS=capture=netlink exec "$BUILD/kmod-tests/capture"
