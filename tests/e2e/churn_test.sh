#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# 200 pods come and go by the plugin, 16 at a time, under traffic of others: all of them are reached, nothing is left.
. "$(dirname "$0")/lib.sh"
pods_n=200 at_once=16

lab_start a:0 b:1
echo_server b
log=$run/daemon.log

each_pod() { # COMMAND, in which {} is the pod's number
	seq $pods_n | xargs -P $at_once -I{} bash -c "$1" || return 1
}
export -f lab in_ns
export top scratch

attach_all() {
	each_pod 'begin=$(date +%s%N); lab pod add c{} $(({} % 2)) || exit 255
		echo $((($(date +%s%N) - begin) / 1000000)) >>"$scratch/attach-ms"'
}
detach_all() {
	each_pod 'lab pod del c{} || exit 255'
}
# -w: a new try each second. The kernel's neighbour table, 1,024 entries for all namespaces together, may be full for some.
reach_all() {
	local address
	for address in "$(lab pod ip a 4)" "$(lab pod ip a 6)"; do
		each_pod "out=\$(in_ns c{} ping -n -c 1 -w 15 $address 2>&1) || { echo \"c{}: \$out\"; exit 255; }" || return 1
	done
}

# What the node has for its pods.
holdings() {
	in_ns node ls /sys/class/net | tr '\n' ' '
	find "$run/ipam" -type f -name '[0-9f]*' | sort | tr '\n' ' '
	lab ctl --json pods | jq -c '[.pods[].container_id]'
	lab ctl --json ports | jq -c '[.ports[].name]'
	lab ctl --json status | jq -c .rules
	ip netns list | grep -c "^$SLUICE_LAB_PREFIX-"
	lab ctl --json stats | jq -c '[.ports[].name]'
	sleep 0.5 # the daemon closes in its next turn what sluicectl has closed
	echo "open files: $(find "/proc/$(lab daemon pid)/fd" -type l | wc -l)"
}
buffers_in_use() {
	lab ctl --json status | jq '.memory | .mbufs - .mbufs_free'
}
resident_kb() {
	awk '/^VmRSS/ {print $2}' "/proc/$(lab daemon pid)/status"
}

buffers=$(buffers_in_use)
touch "$scratch/traffic"
while [ -e "$scratch/traffic" ]; do
	probe a "$(lab pod ip b 4)" --seconds 3 --flows 8 --pps 50 --late 10 >>"$scratch/probes.json"
done &
traffic=$!

before=$(holdings)
for round in 1 2; do
	start=$SECONDS
	check "round $round: $pods_n pods are attached, $at_once at a time" attach_all
	echo "# $((SECONDS - start)) s; a pod with its namespace, ms: $(sort -n "$scratch/attach-ms" |
		awk '{ms[NR] = $1} END {print "median " ms[int((NR + 1) / 2)] ", 99 % " ms[int(NR * 0.99)] ", longest " ms[NR]}')"
	check_equal "round $round: the daemon has them" "$(lab ctl --json pods | jq '.pods | map(select(.state == "up")) | length')" \
		$((pods_n + 2))
	check "round $round: each reaches another pod by IPv4 and IPv6" reach_all
	start=$SECONDS
	check "round $round: all are detached" detach_all
	echo "# $((SECONDS - start)) s"
	wait_until 60 eval 'now=$(holdings); [ "$now" = "$before" ]'
	check_equal "round $round: nothing is left of them" "$now" "$before"
	# The first round finds out how much the process and its allocator keep for good.
	[ $round -eq 1 ] && kept=$(resident_kb)
done
# Sanitizers keep what is freed for a while.
[ -n "$slow" ] || check_at_most "the daemon's memory in kB after another $pods_n pods" "$(resident_kb)" $((kept + 2048))

rm "$scratch/traffic"
wait $traffic
echo "# traffic: $(jq -sc '{sent: map(.sent) | add, lost: map(.lost) | add, gap_ms: map(.gap_ms) | max}' "$scratch/probes.json")"
# 16 plugins at a time leave the daemon little of a small machine.
check_at_most "packets of other pods lost, per mille" \
	"$(jq -s '(1000 * (map(.lost) | add) / (map(.sent) | add)) | floor' "$scratch/probes.json")" $((${slow:-0} ? 50 : 20))

# Free buffers are counted in each worker's cache, too; what is in use is under way or lost.
check "as many buffers are in use as before" wait_until 60 eval "[ \$(buffers_in_use) -le $buffers ]"
check "the sum rule holds" wait_until 60 sum_rule_holds

lab daemon stop
check "the daemon starts again" lab daemon start
check_equal "its state holds the two pods that stayed" "$(lab ctl --json pods | jq -c '[.pods[].container_id] | sort')" \
	"$(jq -nc --arg p "$SLUICE_LAB_PREFIX" '[$p + "-a", $p + "-b"]')"
check_equal "the log has no error" "$(grep -E '\|(ERR|EMER)\|' "$log")" ""
finish
