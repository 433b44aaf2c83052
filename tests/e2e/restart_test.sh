#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The daemon is killed, or stopped, and started again under traffic: it finds its pods without a call of the plugin.
. "$(dirname "$0")/lib.sh"

lab_start a:0 b:0 c:1
echo_server c
echo_server world

pods_as_attached() {
	lab ctl --json pods | jq -cS '[.pods[] | {container_id, ifname, port, netdev, mac, ips, mtu, state}]'
}
attached=$(pods_as_attached)

bound=$((${slow:-0} ? 12000 : 6000)) # ms
longest_gap() {
	jq -s 'map(.gap_ms) | max' "$scratch"/{pods,pods6,world}.json
}
restarted() { # kill|stop
	local status=0
	probe a "$(lab pod ip c 4)" --seconds 15 >"$scratch/pods.json" &
	probe b $world4 --seconds 15 >"$scratch/world.json" &
	probe a "$(lab pod ip c 6)" --seconds 15 >"$scratch/pods6.json" &
	sleep 3
	lab daemon "$1" && lab daemon start || status=1
	wait
	return $status
}

for how in kill stop; do
	check "$how: the daemon starts again" measure "[ \$(longest_gap) -le $bound ]" restarted $how
	check_equal "$how: the daemon has its pods again" "$(pods_as_attached)" "$attached"
	for traffic in pods pods6 world; do
		check_at_most "$how, $traffic: the longest gap of a flow in ms" "$(jq .gap_ms "$scratch/$traffic.json")" $bound
		echo "# $how, $traffic: $(cat "$scratch/$traffic.json")"
	done
	check "$how: both ToRs know the pods" eval "wait_until 60 pod_known a && wait_until 60 pod_known c"
	check "$how: a new pod can be attached" lab pod add new$how 1
	check "$how: the new pod is reached" wait_until 60 in_ns a ping -c 1 -W 1 "$(lab pod ip new$how 4)"
	check "$how: the new pod can be detached" lab pod del new$how
done

# A guard that comes late is none: what a pod sends while the daemon starts must not leave either.
for node in tor0 tor1; do
	forged_watch $node s0
done
forged_watch c eth0
while [ -e "$scratch" ] && [ ! -e "$scratch/enough" ]; do
	forge a ip4_src 20
done &
forger=$!
lab daemon kill
check "the daemon starts again while a pod forges" lab daemon start
check "the world is reached" wait_until 60 in_ns c ping -c 1 -W 1 $world4
touch "$scratch/enough"
wait $forger
forged_stop
check_equal "no forged frame has left" "$forged" ""

# The plugin's DEL touches nothing without the daemon, so the pod stays and DEL can be repeated.
lab daemon stop
check "without the daemon a pod cannot be detached" eval '! lab pod del b'
check "the daemon starts once more" lab daemon start
check "it can be now" lab pod del b
finish
