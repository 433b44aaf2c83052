# SPDX-License-Identifier: Apache-2.0
# The lab's node: the daemon and the pods.
# shellcheck shell=bash

# host0 is the node's own stack's way out, host1 the daemon's end of it.
node_make() {
	ns_add node
	ns_ip node link add host0 address $host_mac type veth peer name host1
	ns_exec node ethtool -K host0 tx off >/dev/null
	ns_sysctl node net.ipv6.conf.host1.disable_ipv6=1
	ns_ip node addr add "$host4.10/32" dev host0
	ns_ip node addr add "$host6:10/128" dev host0 nodad
	ns_ip node link set host1 arp off up
	ns_ip node link set host0 up
	ns_ip node route add default via "$host4.1" dev host0 onlink
	ns_ip node route add default via "$host6:1" dev host0 onlink
}

node_file() {
	local r
	cat <<EOT
uplinks:
  - netdev: up0
  - netdev: up1
ranges:
EOT
	for r in "$host4" "${ranges4[@]}"; do
		printf '  - subnet: %s.0/24\n    gateway: %s.1\n' "$r" "$r"
	done
	for r in "$host6" "${ranges6[@]}"; do
		printf '  - subnet: "%s:/64"\n    gateway: "%s:1"\n' "$r" "$r"
	done
	cat <<EOT
host:
  netdev: host1
  mac: "$host_mac"
  addresses: [$host4.10, "$host6:10"]
router:
  icmp_source: [$host4.10, "$host6:10"]
socket:
  path: $run/control.sock
state: $run/state.db
EOT
}

# The CNI configuration of a range: one IPv4 and one IPv6 address. Usage: cni_file 0|1
cni_file() {
	local r=$1
	jq -n --arg name "range$r" --arg socket "$run/control.sock" --arg dir "$run/ipam" \
		--arg net4 "${ranges4[$r]}.0/24" --arg gw4 "${ranges4[$r]}.1" \
		--arg net6 "${ranges6[$r]}:/64" --arg gw6 "${ranges6[$r]}:1" '{
		cniVersion: "1.0.0", name: $name, type: "sluice", socket: $socket, mtu: 1500,
		ipam: {type: "host-local", dataDir: $dir,
			ranges: [[{subnet: $net4, gateway: $gw4}], [{subnet: $net6, gateway: $gw6}]],
			routes: [{dst: "0.0.0.0/0"}, {dst: "::/0"}]}}'
}

# Usage: cni ADD|DEL|CHECK RANGE POD [CONFIGURATION]; prints the plugin's result.
cni() {
	ns_exec node env -i PATH="$PATH" CNI_COMMAND="$1" CNI_CONTAINERID="$prefix-$3" \
		CNI_NETNS="/run/netns/$prefix-pod-$3" CNI_IFNAME=eth0 CNI_PATH="$build/cni:/usr/lib/cni:/opt/cni/bin" \
		"$(binary sluice)" <"${4:-$run/cni$2.json}"
}

pod_add() { # POD RANGE
	local pod=$1 range=$2
	ns_exists "pod-$pod" && die "there is a pod $pod already"
	# IPv6 addresses must be usable at once; the rest of the pod's settings are the plugin's job.
	ip netns add "$prefix-pod-$pod"
	ns_ip "pod-$pod" link set lo up
	ns_sysctl "pod-$pod" "${ns_settings[@]}"
	if ! cni ADD "$range" "$pod" >"$run/pods/$pod.json"; then
		say "the plugin could not attach $pod: $(cat "$run/pods/$pod.json")"
		cni DEL "$range" "$pod" >/dev/null 2>&1 || :
		ip netns del "$prefix-pod-$pod"
		rm -f "$run/pods/$pod.json"
		return 1
	fi
	echo "$range" >"$run/pods/$pod.range"
}

pod_del() { # POD
	local pod=$1
	[ -e "$run/pods/$pod.range" ] || die "there is no pod $pod"
	# A DEL that failed is for the runtime to repeat: the pod stays.
	cni DEL "$(cat "$run/pods/$pod.range")" "$pod" || return 1
	ns_end "pod-$pod"
	rm -f "$run/pods/$pod".*
}

pods() {
	local file
	for file in "$run"/pods/*.range; do
		[ -e "$file" ] && basename "$file" .range
	done
	return 0
}

# Usage: pod_ip POD 4|6
pod_ip() {
	jq -r --arg v "$2" '[.ips[].address | select(contains(":") == ($v == "6"))][0] // empty | split("/")[0]' \
		"$run/pods/$1.json"
}

pod_mac() {
	ns_ip "pod-$1" -j link show eth0 | jq -r '.[0].address'
}

daemon_start() {
	process_alive "$run/daemon.pid" && return 0
	need_binaries sluiced sluicectl
	start_process "$run/daemon.pid" "$run/daemon.log" \
		ip netns exec "$prefix-node" "$(binary sluiced)" --config "$run/sluice.yaml"
	wait_until 60 daemon_settled && process_alive "$run/daemon.pid" && return 0
	tail -n 20 "$run/daemon.log" >&2
	die "the daemon does not answer; its log is $run/daemon.log"
}

# It answers, or it is gone.
daemon_settled() {
	! process_alive "$run/daemon.pid" || sluicectl status
}

sluicectl() {
	"$(binary sluicectl)" --socket "$run/control.sock" "$@"
}
