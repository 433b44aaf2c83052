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

# The SmartNIC, in software, where the lab has one: net_esw and a number by which its VFs' MAC addresses differ from
# those of other labs' on this machine. Usage: nic_make; sets nic
nic_make() {
	local n=0 lock
	exec {lock}</run
	flock "$lock"
	while grep -qsx "net_esw$n" /run/sluice-lab-*/nic; do
		n=$((n + 1))
	done
	nic=net_esw$n
	echo "$nic" >"$run/nic"
	exec {lock}<&-
	# A packet socket takes the frames of its wires before they get here; the node's own stack is not to take them, too.
	ns_exec node nft -f - <<-'EOT'
		table netdev wires {
			chain in { type filter hook ingress devices = { up0, up1 } priority 0; policy drop; }
		}
	EOT
}

# VFs are TAPs that outlive the daemon, as VFs do.
uplinks() {
	if [ -n "$nic" ]; then
		cat <<-EOT
			  - {name: up0, devargs: "$nic,wire0=up0,wire1=up1,vfs=$vfs,vf=tap:vf,persist=1"}
			  - {name: up1, devargs: "$nic,representor=pf1"}
		EOT
	else
		printf '  - netdev: up%s\n' 0 1
	fi
}

node_file() {
	local r
	printf 'uplinks:\n%s\nranges:\n' "$(uplinks)"
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

# The addresses of a pod on a VF, of which the plugin knows nothing yet. Usage: ipam ADD|DEL RANGE POD
ipam() {
	env -i PATH="$PATH" CNI_COMMAND="$1" CNI_CONTAINERID="$prefix-$3" CNI_NETNS="/run/netns/$prefix-pod-$3" \
		CNI_IFNAME=eth0 CNI_PATH=/usr/lib/cni /usr/lib/cni/host-local <"$run/cni$2.json"
}

free_vfs() {
	ns_ip node -j link show | jq -r '.[].ifname | select(test("^vf[0-9]+$"))' | sort -V
}

# Takes the first free VF into a pod. Usage: vf_take POD
vf_take() {
	local lock vf
	exec {lock}<"$run"
	flock "$lock"
	vf=$(free_vfs | head -n 1)
	[ -n "$vf" ] || { say "all $vfs VFs are taken"; return 1; }
	ns_ip node link set "$vf" netns "$prefix-pod-$1" name eth0 || return 1
	echo "$vf" >"$run/pods/$1.vf"
	exec {lock}<&-
}

# What a plugin does with a VF: its netdev goes into the pod, its representor to the daemon. Usage: vf_add POD RANGE
vf_add() {
	local pod=$1 range=$2 vf address gateway addresses=()
	vf_take "$pod" && ipam ADD "$range" "$pod" >"$run/pods/$pod.json" || return 1
	vf=$(cat "$run/pods/$pod.vf")
	ns_sysctl "pod-$pod" net.ipv6.conf.eth0.accept_ra=0 net.ipv6.conf.eth0.accept_dad=0
	for address in $(pod_ip "$pod" 4) $(pod_ip "$pod" 6); do
		addresses+=(--ip "$address")
		ns_ip "pod-$pod" addr add "$address" dev eth0 || return 1
	done
	sluicectl attach --container-id "$prefix-$pod" --ifname eth0 --devargs "$nic,representor=vf[${vf#vf}]" \
		--mac "$(pod_mac "$pod")" "${addresses[@]}" >/dev/null || return 1
	ns_ip "pod-$pod" link set eth0 up || return 1
	for gateway in $(jq -r '.ips[].gateway' "$run/pods/$pod.json"); do
		ns_ip "pod-$pod" route add "$gateway" dev eth0 || return 1
		ns_ip "pod-$pod" route add default via "$gateway" || return 1
	done
}

# Usage: vf_del POD RANGE
vf_del() {
	sluicectl detach --container-id "$prefix-$1" --ifname eth0 >/dev/null || return 1
	ipam DEL "$2" "$1" || return 1
	ns_ip "pod-$1" link set eth0 down name "$(cat "$run/pods/$1.vf")" || return 1
	ns_ip "pod-$1" link set "$(cat "$run/pods/$1.vf")" netns "$prefix-node"
}

# What attaches and detaches a pod: the CNI plugin, with a veth pair, or we, with a VF. Usage: attach|detach POD RANGE
attach() {
	if [ -e "$run/pods/$1.vf" ]; then
		vf_add "$@"
	else
		cni ADD "$2" "$1" >"$run/pods/$1.json"
	fi
}

detach() {
	if [ -e "$run/pods/$1.vf" ]; then
		vf_del "$@"
	else
		cni DEL "$2" "$1"
	fi
}

pod_add() { # POD RANGE [vf]
	local pod=$1 range=$2
	ns_exists "pod-$pod" && die "there is a pod $pod already"
	# IPv6 addresses must be usable at once; the rest of the pod's settings are the plugin's job.
	ip netns add "$prefix-pod-$pod"
	ns_ip "pod-$pod" link set lo up
	ns_sysctl "pod-$pod" "${ns_settings[@]}"
	[ "${3:-}" != vf ] || : >"$run/pods/$pod.vf"
	if ! attach "$pod" "$range"; then
		say "$pod could not be attached: $(cat "$run/pods/$pod.json")"
		detach "$pod" "$range" >/dev/null 2>&1 || :
		ns_end "pod-$pod"
		rm -f "$run/pods/$pod".*
		return 1
	fi
	echo "$range" >"$run/pods/$pod.range"
}

pod_del() { # POD
	local pod=$1
	[ -e "$run/pods/$pod.range" ] || die "there is no pod $pod"
	# What failed is for the runtime to repeat: the pod stays.
	detach "$pod" "$(cat "$run/pods/$pod.range")" || return 1
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
