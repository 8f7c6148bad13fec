#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# For dnsmasq: what it leases is replicated, and a dnsmasq that starts knows what the
# one on the other node has leased. In its configuration:
#
#     dhcp-script=/usr/lib/flyrep/dnsmasq-hook
#     leasefile-ro
#
# and where this node takes over `systemctl restart dnsmasq`: only at its start it asks
# for all leases. A lease is known by its client's hardware address, over IPv6 by DUID and
# IAID. Temporary addresses of IPv6 are not replicated.
#
#     dnsmasq-hook add|old|del ADDRESS IP [HOSTNAME]
#     dnsmasq-hook init
set -u

scope=dnsmasq

# get FIELD PATTERN LEASE: its value; nothing, if it is not like that
get() {
	printf %s "$3" | sed -n "s/.*\"$1\":\"\{0,1\}\($2\)[\",}].*/\1/p"
}

# end LEASE: in seconds since 1970; 0: never
end() {
	at=$(get expires_ms '[0-9]*[0-9]\{3\}' "$1")
	echo "${at:+${at%???}}" | sed 's/^$/0/'
}

# line LEASE: as dnsmasq would have written it into its file
line() {
	name=$(get hostname '[A-Za-z0-9._-]\{1,\}' "$1")
	mac=$(get client '[0-9a-f:]*' "$1")
	ip=$(get ip '[0-9a-f.:]*' "$1")
	case $mac,$ip in
	,* | *,) ;;
	*,*:*) echo "$(end "$1") $(get iaid '[0-9]*' "$1") $ip ${name:-*} $mac" ;;
	*) echo "$(end "$1") $mac $ip ${name:-*} *" ;;
	esac
}

init() {
	all=$(flyrep --json lease list scope=$scope) || return
	printf '%s\n' "$all" | sed 's/},{/},\
{/g' | while IFS= read -r one; do
		line "$one"
	done
}

# lease VERB [ARGUMENT...]: of this client
lease() {
	flyrep --json lease "$@" scope=$scope client="$client" ${iaid:+iaid="$iaid"}
}

# is_known IP NAME END: such a lease is there already, give or take two seconds
is_known() {
	had=$(lease list)
	at=$(end "$had")
	[ "$(get ip '[0-9a-f.:]*' "$had")" = "$1" ] &&
		[ "$(get hostname '[^"]*' "$had")" = "$2" ] &&
		[ "$at" -ge $(($3 - 2)) ] && [ "$at" -le $(($3 + 2)) ]
}

# put IP NAME
put() {
	until=${DNSMASQ_LEASE_EXPIRES:-0} left=
	! is_known "$1" "$2" "$until" || return 0
	if [ "$until" -ne 0 ]; then
		left=$((until - $(date +%s)))
		[ $left -gt 0 ] || return 0
	fi
	lease add ip="$1" ${2:+hostname="$2"} ${left:+--expires "${left}s"} \
		${DNSMASQ_INTERFACE:+interface="$DNSMASQ_INTERFACE"}
}

# drop IP: the client may have another one by now
drop() {
	[ "$(get ip '[0-9a-f.:]*' "$(lease list)")" != "$1" ] || lease del
}

verb=${1-} client=${2-} iaid=${DNSMASQ_IAID-}
case $iaid in
T*) exit 0 ;;
esac
# A number before it names hardware other than Ethernet.
client=${client#[0-9a-f][0-9a-f]-}
case $verb in
init) init; exit ;;
add | old) said=$(put "${3?}" "${4-}" 2>&1) ;;
del) said=$(drop "${3?}" 2>&1) ;;
*) exit 0 ;;
esac
rc=$?
if [ $rc -ne 0 ]; then
	text="replication: $verb $client $3: $said"
	echo "$text" >&2
	logger -t flyrep-dnsmasq -p daemon.err -- "$text" 2>/dev/null
fi
exit $rc
