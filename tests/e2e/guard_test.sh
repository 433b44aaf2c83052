#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A pod can only be itself: every kind of forged frame raises its counter and comes out nowhere.
. "$(dirname "$0")/lib.sh"

lab_start a:0 b:0 c:1

watch_all() {
	local node
	for node in tor0 tor1; do
		forged_watch $node s0
	done
	forged_watch b eth0
	forged_watch c eth0
}

guard_drops() { # NAME...: their sum
	lab ctl --json stats | jq '[.totals.drops[$ARGS.positional[]]] | add' --args "$@"
}

dropped() { # BEFORE NAME...: are there 5 more?
	local before=$1
	shift
	[ $(($(guard_drops "$@") - before)) -eq 5 ]
}

# The watchers see what does leave, else their silence would prove nothing.
watch_all
before=$(guard_drops vlan)
forge a 'valid vlan'
wait_until 60 dropped "$before" vlan # the last ones: those before them are dealt with
forged_stop
check "a pod's own packets leave, and are seen ($forged)" eval '[[ "$forged" =~ ^tor[01]: ]]'

watch_all
while read -r kind drops; do
	[ "$kind" = valid ] && continue
	# shellcheck disable=SC2086
	before=$(guard_drops $drops)
	forge a "$kind"
	# shellcheck disable=SC2086
	check "$kind: counted as ${drops/ / or }" wait_until 60 dropped "$before" $drops
done < <("$top/scripts/lib/raw-frames" list)
forged_stop
check_equal "none of them has left" "$forged" ""

# Another pod's identity, whole: its MAC and its addresses.
check "c is reached from the world" in_ns world ping -c 2 -i 0.2 -W 10 "$(lab pod ip c 4)"
mac=$(in_ns c cat /sys/class/net/eth0/address)
in_ns b ip link set eth0 down
in_ns b ip link set eth0 address "$mac"
in_ns b ip link set eth0 up
in_ns b ip addr add "$(lab pod ip c 4)/32" dev eth0
in_ns b ip route add 10.1.10.1 dev eth0 # gone with the link
in_ns b ip route add default via 10.1.10.1
before=$(guard_drops guard_eth_src)
in_ns b ping -c 3 -i 0.2 -W 1 -I "$(lab pod ip c 4)" 10.9.0.1 >/dev/null 2>&1
check "a pod with another's MAC and address: counted" wait_until 60 eval "[ \$(guard_drops guard_eth_src) -gt $before ]"
check "c is still reached from the world" in_ns world ping -c 2 -i 0.2 -W 10 "$(lab pod ip c 4)"
check "c is still reached from a" in_ns a ping -c 2 -i 0.2 -W 10 "$(lab pod ip c 4)"
finish
