#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A daemon that is started beside a running one is refused, and does the running one no harm.
. "$(dirname "$0")/lib.sh"

lab_start a:0

# Starts a second daemon on the node; succeeds if it ends by itself and says TEXT. Usage: refused NODE-FILE TEXT
refused() {
	local said
	said=$(timeout 60 "$top/scripts/lab" exec node "$(binary sluiced)" --config "$1" 2>&1) && return 1
	echo "$said"
	grep -qF "$2" <<<"$said"
}

pinged() {
	pings a $world4 && pings world "$(lab pod ip a 4)"
}

check "the world is reached" pinged
check "one with the same node file is refused" refused "$run/sluice.yaml" "another sluiced holds"
check "the world is still reached" pinged

mkdir "$scratch/run"
sed "s|$run/|$scratch/run/|" "$run/sluice.yaml" >"$scratch/own.yaml"
check "one with a socket and a state of its own, but the same uplinks, is refused" \
	refused "$scratch/own.yaml" "another process has it"
check "the world is reached even so" pinged
check_equal "all ports are still by AF_XDP" "$(lab ctl --json ports | jq -c '[.ports[].driver] | unique')" '["af_xdp"]'
check_equal "the second left no files but its state" "$(find "$scratch/run" -mindepth 1 ! -name 'state*')" ""
finish
