#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Mutated frames from a pod, then from a ToR: the daemon lives, nothing that claims to be somebody else leaves, and every
# frame is accounted for.
#
#   SLUICE_FRAMES=150000   how many from each side
#   SLUICE_SEED=N          of the random numbers, to repeat a run (it is printed)
. "$(dirname "$0")/lib.sh"
frames=${SLUICE_FRAMES:-$((${slow:-0} ? 20000 : 150000))}
seed=${SLUICE_SEED:-$RANDOM}

lab_start a:0 b:0 c:1
echo "# seed $seed"
pid=$(lab daemon pid)
facts=$scratch/facts.json
station() { # POD
	jq -n --arg mac "$(in_ns "$1" cat /sys/class/net/eth0/address)" --arg ip4 "$(lab pod ip "$1" 4)" \
		--arg ip6 "$(lab pod ip "$1" 6)" --arg gateway4 "$(in_ns "$1" ip -4 route show default | awk '{print $3}')" \
		--arg gateway6 "$(in_ns "$1" ip -6 route show default | awk '{print $3}')" '$ARGS.named'
}
jq -n --argjson a "$(station a)" --argjson b "$(station b)" --argjson c "$(station c)" \
	--arg host "$(in_ns node cat /sys/class/net/host0/address)" --arg node "$(in_ns node cat /sys/class/net/up0/address)" \
	--arg tor "$(in_ns tor0 cat /sys/class/net/s0/address)" '{
	pods: {a: $a, b: $b, c: $c},
	host: {mac: $host, ip4: "10.1.0.10", ip6: "fd00:10:1::10", gateway4: "10.1.0.1", gateway6: "fd00:10:1::1"},
	node_mac: $node, tor_mac: $tor, router_mac: "02:00:5e:00:53:01"}' >"$facts"

frames_py() { # NODE ARGUMENTS...
	local node=$1
	shift
	in_ns "$node" "$top/tests/e2e/random_frames.py" "$facts" "$@"
}
watch_frames() { # NODE DEVICE SIDE [SENDER]; started without in_ns, so that the pid is the watcher's
	local ns=$SLUICE_LAB_PREFIX-$1
	[ -e "/run/netns/$ns" ] || ns=$SLUICE_LAB_PREFIX-pod-$1
	ip netns exec "$ns" "$top/tests/e2e/random_frames.py" "$facts" watch "${@:2}" >"$scratch/watch-$1" 2>"$scratch/watch-$1.err" &
	watching+=("$!:$1")
	wait_until 60 grep -q watching "$scratch/watch-$1.err"
}
stop_watching() { # TEXT
	local watcher name wrong=''
	sleep 1
	for watcher in "${watching[@]}"; do
		name=${watcher#*:}
		kill -TERM "${watcher%%:*}"
		wait "${watcher%%:*}"
		echo "# $1: at $name: $(jq -c '{seen, missed, wrong}' "$scratch/watch-$name")"
		[ "$(jq .wrong "$scratch/watch-$name")" = 0 ] ||
			wrong+="$name: $(jq -c .why "$scratch/watch-$name" 2>/dev/null || echo failed) "
	done
	watching=()
	check_equal "$1: nothing has come out that must not" "$wrong" ""
}
# Silent: what a station sends itself could not be told from what is sent in its name.
silence() { # NODE DEVICE
	in_ns "$1" nft -f - <<EOT
table netdev silent { chain out { type filter hook egress device "$2" priority 0; policy drop; }; }
EOT
}
speak() {
	in_ns "$1" nft delete table netdev silent
}
received() { # PORT'S KIND, NETDEV OR NAME
	lab ctl --json stats | jq --arg name "$1" '[.ports[] | select(.name == $name) | .rx_packets + .rx_missed] | add'
}
netdev_of() { # POD
	lab ctl --json pods | jq -r --arg ip "$(lab pod ip "$1" 4)" '.pods[] | select(.ips[0] == $ip) | .netdev'
}
reasons() {
	lab ctl --json stats | jq -c '.totals.drops | with_entries(select(.value > 0))'
}
flood() { # TEXT NODE DEVICE SIDE PORT
	local before sent port=$5
	before=$(received "$5")
	sent=$(frames_py "$2" send "$3" "$4" "$frames" "$seed")
	check_at_least "$1: frames sent" "$sent" "$frames"
	check "$1: the daemon saw nine tenths of them" \
		wait_until 60 eval '[ "$(received "$port")" -ge $((before + sent * 9 / 10)) ]'
}

watching=()
for quiet in "b eth0" "c eth0" "node host0"; do
	# shellcheck disable=SC2086
	silence $quiet
done
watch_frames tor0 s0 tor a
watch_frames tor1 s0 tor a
watch_frames b eth0 pod:b a
watch_frames c eth0 pod:c a
watch_frames node host0 host a
flood "from a pod" a eth0 pod:a "$(netdev_of a)"
stop_watching "from a pod"
check_at_least "from a pod: some came out at a pod" "$(jq .seen "$scratch/watch-b")" 100
check_at_least "from a pod: some came out at a ToR" "$(jq .seen "$scratch/watch-tor0")" 100
for quiet in b c node; do
	speak $quiet
done
echo "# drops: $(reasons)"
check "from a pod: the sum rule holds" wait_until 60 sum_rule_holds

watch_frames tor0 s0 tor
watch_frames tor1 s0 tor
for pod in a b c; do
	watch_frames $pod eth0 pod:$pod
done
watch_frames node host0 host
flood "from a ToR" tor0 s0 tor up0
stop_watching "from a ToR"
check_at_least "from a ToR: some came out at a pod" "$(jq .seen "$scratch/watch-b")" 100
echo "# drops: $(reasons)"
check "from a ToR: the sum rule holds" wait_until 60 sum_rule_holds
check_at_least "reasons to drop that were met" "$(reasons | jq length)" 18

check_equal "the daemon is the same" "$(lab daemon pid)" "$pid"
check "no buffer is lost" wait_until 60 eval \
	'lab ctl --json status | jq -e ".memory | .mbufs - .mbufs_free < 600"' # of workers' caches
for node in a c; do
	check "the world is reached from $node" wait_until 60 in_ns $node ping -n -c 1 -W 1 $world4
	check "the world is reached from $node, IPv6" wait_until 60 in_ns $node ping -n -c 1 -W 1 $world6
done
check "pods reach each other" wait_until 60 in_ns a ping -n -c 1 -W 1 "$(lab pod ip c 4)"
finish
