#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The daemon starts with either of its uplinks missing, and takes the other up when it comes.
. "$(dirname "$0")/lib.sh"

lab_start a:0

health_is() {
	[ "$(lab ctl --json status | jq -r .health)" = "$1" ]
}

for gone in up0 up1; do
	lab daemon stop
	in_ns node ip link set $gone down
	in_ns node ip link set $gone name away
	check "the daemon starts without $gone" lab daemon start
	check "it says that it is degraded" health_is degraded
	check "the pod reaches the world by the other" wait_until 60 in_ns a ping -q -c 1 -W 1 $world4
	in_ns node ip link set away name $gone
	in_ns node ip link set $gone up
	check "$gone is taken up when it comes" wait_until 60 health_is ok
	check "the pod reaches the world by both" wait_until 60 in_ns a ping -q -c 5 -i 0.1 -W 1 $world4
done
finish
