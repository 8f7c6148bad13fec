#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The role follows the addresses. In keepalived.conf, of a vrrp_sync_group or a vrrp_instance:
#
#   notify /usr/lib/flyrep/keepalived-notify
#
# keepalived adds GROUP or INSTANCE, its name, the state it has now, and its priority, see
# keepalived.conf(5), and waits for nothing. A takeover that is refused, as by a quorum that still
# hears the dead node, is tried again for half a minute, unless keepalived has changed its mind.
# What comes of it is in the log.

set -u

name=${2:?usage: keepalived-notify GROUP|INSTANCE NAME STATE [PRIORITY]}
state=${3:?usage: keepalived-notify GROUP|INSTANCE NAME STATE [PRIORITY]}
socket=${FLYREP_SOCKET:-/run/flyrep/api.sock}
last=$(dirname "$socket")/keepalived.$name
tries=30

say() { logger -t flyrep -p "daemon.$1" "keepalived: $name is $state: $2"; }

case $state in
MASTER) role=primary ;;
BACKUP | STOP | DELETED) role=backup ;;
FAULT) role=fault ;;
*) exit 0 ;;
esac

echo "$state" >"$last"
until why=$(flyrep role "$role" 2>&1); do
	tries=$((tries - 1))
	[ "$(cat "$last" 2>/dev/null)" = "$state" ] || exit 0
	if [ $tries -eq 0 ]; then
		say err "replication: the role is not $role: $why"
		exit 1
	fi
	sleep 1
done
say notice "replication: $why"
