#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What is said of metrics fits together: the alert rules and their tests, the dashboard and the
# table of docs/monitoring.md use those of agent/metrics_*.c, and the table names them all.

set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cd "${1:-$here/../..}"

promtool check rules docs/monitoring/alerts.yml
promtool test rules docs/monitoring/alerts.test.yml
exec "$here/monitoring.py"
