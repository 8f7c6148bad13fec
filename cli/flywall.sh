#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Installed by flyrep, where there is no flywall: "flywall replication ..." is flyrep's.

if [ "${1-}" != replication ]; then
	echo 'flywall: only "flywall replication ..." is here: this is flyrep' >&2
	exit 2
fi
exec "${0%/*}/flyrep" "$@"
