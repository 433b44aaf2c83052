#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A ToR goes and comes back under traffic: by its links, and by silence with the links up.
. "$(dirname "$0")/lib.sh"

lab_start a:0 c:1
echo_server world
echo_server c

uses() { # TOR: does the node send to it? Of 64 flows some go each way.
	local before
	before=$(tor_received "$1")
	probe a $world4 --flows 64 --pps 5 --seconds 1 >/dev/null
	[ $(($(tor_received "$1") - before)) -ge 20 ]
}
tor_knows_pods() {
	pod_known a && pod_known c
}

check "before: traffic goes through tor0" wait_until 60 uses 0
check "before: traffic goes through tor1" wait_until 60 uses 1

# Both directions: a pod's flows to the world and back, and the world's to a pod and back.
lost_max=$((${slow:-0} ? 100 : 20)) # of 1,000
gap_max=$((${slow:-0} ? 3000 : 1000)) # ms
tor_away_and_back() { # TOR
	local status
	probe a $world4 --seconds 12 >"$scratch/out.json" &
	probe world "$(lab pod ip c 4)" --seconds 12 >"$scratch/in.json" &
	sleep 3
	lab tor down "$1"
	sleep 3
	lab ctl --json status | jq -e ".health == \"degraded\" and .uplinks[$1].link == false"
	status=$?
	lab tor up "$1"
	wait
	wait_until 60 tor_knows_pods && return $status
}
lost() { # FILE: packets of 1,000
	jq '1000 * .lost / .sent | ceil' "$scratch/$1.json"
}
little_lost() {
	jq -se "all(.lost / .sent * 1000 <= $lost_max and .gap_ms <= $gap_max)" "$scratch"/{out,in}.json
}
for tor in 0 1; do
	check "tor$tor down: the daemon says so" measure little_lost tor_away_and_back $tor
	for way in out in; do
		check_at_most "tor$tor down and up, ${way}bound: lost of 1,000 packets" "$(lost $way)" $lost_max
		check_at_most "tor$tor down and up, ${way}bound: the longest gap of a flow in ms" \
			"$(jq .gap_ms "$scratch/$way.json")" $gap_max
	done
	check "tor$tor is back: both ToRs know the pods" wait_until 60 tor_knows_pods
	check "tor$tor is back: traffic goes through it again" wait_until 60 uses $tor
done

# A ToR that hangs shows only by what does not come: the gateway's answers here, BFD in the world (1 s).
gap_max=$((${slow:-0} ? 8000 : 5000))
hang_gap() {
	jq .gap_ms "$scratch/hang.json"
}
tor_hangs() {
	local status
	probe a $world4 --seconds 12 >"$scratch/hang.json" &
	sleep 2
	lab tor hang 1
	sleep 6
	lab ctl --json status | jq -e '.uplinks[1] | .link and all(.gateways[]; .answers | not)'
	status=$?
	lab tor up 1
	wait
	wait_until 60 tor_knows_pods && return $status
}
check "tor1 hangs: the daemon says that its gateways do not answer" \
	measure "[ \$(hang_gap) -le $gap_max ]" tor_hangs
check_at_most "tor1 hangs: the longest gap of a flow in ms" "$(hang_gap)" $gap_max
check "tor1 is back: traffic goes through it again" wait_until 60 uses 1

# Both away: nothing goes, everything is accounted for, and pods still reach each other.
lab tor down 0
lab tor down 1
check "both are away: the daemon says so" \
	wait_until 60 eval "lab ctl --json status | jq -e '[.uplinks[].link] | any | not'"
before=$(drops no_gateway)
in_ns a ping -c 3 -i 0.2 -W 1 $world4 >/dev/null
check "without a ToR: packets are dropped as no_gateway" wait_until 60 eval '[ "$(drops no_gateway)" -ge $((before + 3)) ]'
check "without a ToR: pods reach each other" pings a "$(lab pod ip c 4)"
lab tor up 0
lab tor up 1
check "both are back: the world is reached" wait_until 60 in_ns a ping -c 1 -W 1 $world4
check "both are back: the daemon is well" \
	wait_until 60 eval "lab ctl --json status | jq -e '.health == \"ok\"'"
finish
