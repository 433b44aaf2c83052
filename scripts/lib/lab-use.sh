# SPDX-License-Identifier: Apache-2.0
# What the demo and the end-to-end tests do with a lab. Wants common.sh, scratch (a folder), SLUICE_LAB_PREFIX.
# shellcheck shell=bash

run=/run/sluice-lab-$SLUICE_LAB_PREFIX
world4=10.9.0.1 world6=fd00:9::1

# Without our fd 3, where messages go: what goes on running would keep a pipe open.
lab() {
	"$top/scripts/lab" "$@" 3>&-
}

# What `lab exec` does, without a shell of its own for each of a test's hundred calls.
in_ns() { # NODE CMD...
	local ns=$SLUICE_LAB_PREFIX-$1
	[ -e "/run/netns/$ns" ] || ns=$SLUICE_LAB_PREFIX-pod-$1
	shift
	ip netns exec "$ns" "$@"
}

# Has each ToR a route to each pod, and the world both? Usage: pod_known POD...
pod_known() {
	local v node pod address ways
	for v in 4 6; do
		for node in tor0 tor1; do
			in_ns $node ip -$v route show proto 200 >"$scratch/routes-$node"
		done
		in_ns world ip -o -$v route show >"$scratch/routes-world"
		for pod in "$@"; do
			address=$(lab pod ip "$pod" $v)
			for node in tor0 tor1; do
				grep -q "^$address " "$scratch/routes-$node" || return 1
			done
			ways=$(grep "^$address " "$scratch/routes-world" | grep -o nexthop | wc -l)
			[ "$ways" -eq 2 ] || return 1
		done
	done
}

# The sum of a drop reason over all ports.
drops() {
	lab ctl --json stats | jq --arg name "$1" '.totals.drops[$name]'
}

# Packets that the node sent to a ToR.
tor_received() {
	in_ns "tor$1" cat /sys/class/net/s0/statistics/rx_packets
}

# And packets that the ToR sent to the node.
tor_sent() {
	in_ns "tor$1" cat /sys/class/net/s0/statistics/tx_packets
}

# Starts a UDP echo server on port 7777 of a node.
echo_server() {
	in_ns "$1" "$top/scripts/lib/udp-probe" serve 7777 >/dev/null 2>&1 3>&- &
	disown
	wait_until 60 udp_port_open "$1" 7777
}

udp_port_open() {
	in_ns "$1" ss -Hlun "sport = :$2" | grep -q .
}

tcp_port_open() {
	in_ns "$1" ss -Hltn "sport = :$2" | grep -q .
}

# Usage: probe NODE ADDRESS [udp-probe's options]; prints its JSON.
probe() {
	local node=$1 address=$2
	shift 2
	in_ns "$node" "$top/scripts/lib/udp-probe" run "$address" 7777 "$@"
}

# Looks for forged frames on a device until forged_stop. Usage: forged_watch NODE DEVICE
watchers=()
forged_watch() {
	local ns=$SLUICE_LAB_PREFIX-$1
	[ -e "/run/netns/$ns" ] || ns=$SLUICE_LAB_PREFIX-pod-$1
	ip netns exec "$ns" "$top/scripts/lib/raw-frames" watch "$2" >"$scratch/forged-$1" &
	watchers+=("$!:$1")
	wait_until 60 grep -q watching "$scratch/forged-$1"
}

# Sets forged to `NODE:COUNT ` of each node where forged frames came out.
forged_stop() {
	local watcher count
	forged=
	sleep 1 # what is under way arrives
	for watcher in "${watchers[@]}"; do
		kill -TERM "${watcher%%:*}"
		wait "${watcher%%:*}"
		count=$(sed 1d "$scratch/forged-${watcher#*:}")
		[ "$count" = 0 ] || forged+="${watcher#*:}:${count:-failed} "
	done
	watchers=()
}

# Sends forged frames from a pod. Usage: forge POD 'KIND...' [COUNT]
forge() {
	# shellcheck disable=SC2086
	in_ns "$1" "$top/scripts/lib/raw-frames" send eth0 $2 --count "${3:-5}" \
		--ip4 "$(lab pod ip "$1" 4)" --ip6 "$(lab pod ip "$1" 6)" \
		--gateway4 "$(in_ns "$1" ip -4 route show default | awk '{print $3}')" \
		--gateway6 "$(in_ns "$1" ip -6 route show default | awk '{print $3}')"
}
