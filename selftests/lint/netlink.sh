#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The specification of the netlink family and its headers say the same.

set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cd "${1:-$here/../..}"

PYTHONDONTWRITEBYTECODE=1 "$here/netlink.py"
