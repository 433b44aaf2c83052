#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Clients of the control socket that send garbage, too much, too little or nothing: others are answered, traffic flows.
. "$(dirname "$0")/lib.sh"

lab_start a:0 b:1
lab daemon stop
group=daemon # one that every system has
printf 'socket:\n  group: %s\n' $group >"$scratch/group"
sed -i "/^socket:/r "<(sed 1d "$scratch/group") "$run/sluice.yaml"
check "the daemon starts with a group for its socket" lab daemon start
check_equal "the socket's mode and group" "$(stat -c '%a %G' "$run/control.sock")" "660 $group"
pid=$(lab daemon pid)

# A pod for the usual client to attach and detach.
in_ns node ip link add hostile0 type veth peer name hostile1
params=$(jq -nc '{container_id: "hostile", ifname: "eth0", netdev: "hostile0", mac: "02:00:00:00:77:01",
	ips: ["10.1.10.240", "fd00:10:1:10::240"], mtu: 1500, pod: "tests/hostile"}')

echo_server b
probe a "$(lab pod ip b 4)" --seconds 100 --flows 8 --pps 50 --late 10 >"$scratch/traffic.json" &
traffic=$!
echo_pid=$pid
before=$(awk '/^VmRSS/ {print $2}' "/proc/$pid/status")

while IFS=$'\t' read -r how text why; do
	case $how in
	ok) ok "$text" ;;
	not\ ok) not_ok "$text" "$why" ;;
	*) echo "$how $text" ;;
	esac
done < <("$top/tests/e2e/hostile_client.py" --socket "$run/control.sock" --pid "$pid" --params "$params" \
	--gid "$(getent group $group | cut -d: -f3)" --bound-ms $((${slow:-0} ? 30000 : 3000)) \
	--memory-mib $((${slow:-0} ? 512 : 64)) --long-messages $((${slow:-0} ? 16 : 62)) 2>"$scratch/stderr")
check_equal "the client said nothing else" "$(cat "$scratch/stderr")" ""

check_equal "the daemon is the same" "$(lab daemon pid)" "$pid"
check_equal "it has the two pods it had" "$(lab ctl --json pods | jq -c '[.pods[].container_id] | sort')" \
	"$(jq -nc --arg p "$SLUICE_LAB_PREFIX" '[$p + "-a", $p + "-b"]')"
[ -n "$slow" ] ||
	check_at_most "the daemon's memory has grown, kB" "$(($(awk '/^VmRSS/ {print $2}' "/proc/$pid/status") - before))" 8192
wait $traffic
echo "# traffic: $(cat "$scratch/traffic.json")"
# The clients keep both cores of a small machine busy for long; a daemon that stood still for an attack would lose more.
check_at_most "packets of pods lost meanwhile, per mille" \
	"$(jq '(1000 * .lost / .sent) | floor' "$scratch/traffic.json")" $((${slow:-0} ? 50 : 20))
finish
