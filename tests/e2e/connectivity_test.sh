#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Who reaches whom: pods of both ranges, gateways, the world; IPv4 and IPv6; small, full and fragmented packets.
. "$(dirname "$0")/lib.sh"

pods=(a b c d)
lab_start a:0 b:0 c:1 d:1

for v in 4 6; do
	for from in "${pods[@]}"; do
		for to in "${pods[@]}"; do
			[ "$from" = "$to" ] && continue
			check "IPv$v: $from reaches $to" pings "$from" "$(lab pod ip "$to" $v)"
		done
	done
done

for pod in a c; do
	gateway4=$(in_ns $pod ip -4 route show default | awk '{print $3}')
	gateway6=$(in_ns $pod ip -6 route show default | awk '{print $3}')
	check "IPv4: $pod reaches its gateway $gateway4" pings $pod "$gateway4"
	check "IPv6: $pod reaches its gateway $gateway6" pings $pod "$gateway6"
	check "IPv4: $pod reaches the world" pings $pod $world4
	check "IPv6: $pod reaches the world" pings $pod $world6
	check "IPv4: the world reaches $pod" pings world "$(lab pod ip $pod 4)"
	check "IPv6: the world reaches $pod" pings world "$(lab pod ip $pod 6)"
done

# 1500 bytes: 20 or 40 of IP, 8 of ICMP
check "IPv4: full packets pass unfragmented, pod to pod" pings a "$(lab pod ip c 4)" -s 1472 -M "do"
check "IPv6: full packets pass unfragmented, pod to pod" pings a "$(lab pod ip c 6)" -s 1452 -M "do"
check "IPv4: full packets pass unfragmented, to the world" pings a $world4 -s 1472 -M "do"
check "IPv6: full packets pass unfragmented, to the world" pings a $world6 -s 1452 -M "do"
check "IPv4: fragments pass, pod to pod" pings a "$(lab pod ip c 4)" -s 4000
check "IPv6: fragments pass, pod to pod" pings a "$(lab pod ip c 6)" -s 4000
check "IPv4: fragments pass, to the world" pings c $world4 -s 4000
check "IPv6: fragments pass, to the world" pings c $world6 -s 4000

# An address of the range that no pod here has is someone else's: it goes to the gateway, and a ToR's request for it stays
# unanswered.
before=$(drops no_such_pod)
check "a ToR gets no answer for an address that no pod has" \
	eval '! in_ns tor0 ping -c 1 -W 1 -I s0 10.1.10.250'
check_equal "a ToR has no neighbour there" "$(in_ns tor0 ip neigh show 10.1.10.250 nud reachable)" ""
in_ns tor0 ip neigh replace 10.1.10.251 lladdr "$(in_ns node cat /sys/class/net/up0/address)" dev s0
in_ns tor0 ping -c 2 -i 0.2 -W 1 10.1.10.251 >/dev/null
in_ns tor0 ip neigh del 10.1.10.251 dev s0
check_becomes "what comes for one nevertheless is dropped as no_such_pod" $((before + 2)) drops no_such_pod

# After a pod has gone, its address is nobody's.
address=$(lab pod ip b 4)
check "pod b is detached" lab pod del b
check "nobody answers at its address" eval "! in_ns a ping -c 2 -i 0.2 -W 1 $address"
check_equal "the daemon has three pods left" "$(lab ctl --json pods | jq '.pods | length')" 3
finish
