#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# net_esw in DPDK programs that nobody here wrote: testpmd, dpdk-test-flow-perf and OVS-DPDK, as installed on the
# machine. What is not installed is skipped.
# shellcheck disable=SC2317 # functions that check calls
# In a network namespace of its own, with names of namespaces of its own: OVS's devices have the same names wherever it
# runs, and net_esw finds VFs by their MAC addresses.
[ -n "${SLUICE_OWN_NET:-}" ] || SLUICE_OWN_NET=1 exec unshare --net --mount \
	sh -c 'mkdir -p /run/netns && mount -t tmpfs none /run/netns && exec "$0"' "$0"
. "$(dirname "$0")/lib.sh"

p=nesp$$-
dir=$scratch
lib=/usr/lib/$(dpkg-architecture -qDEB_HOST_MULTIARCH 2>/dev/null)
vswitchd=/usr/lib/openvswitch-switch-dpdk/ovs-vswitchd-dpdk
# The other arguments are OVS's.
eal="--no-huge --legacy-mem --no-pci --no-shconf"

ns() { # NAME CMD...
	local name=$1
	shift
	ip netns exec "$p$name" "$@"
}

clean() {
	local file
	for file in "$dir"/*.pid; do
		[ -e "$file" ] && stop_process "$file"
	done
	ip netns del "${p}a" 2>/dev/null
	ip netns del "${p}b" 2>/dev/null
}

end() {
	trap - EXIT INT TERM
	clean
	rm -rf "$scratch"
	echo "1..$checks"
	[ "$failures" -eq 0 ]
	exit
}
trap 'clean; rm -rf "$scratch"' EXIT
trap 'exit 130' INT TERM

skipped() {
	checks=$((checks + 1))
	echo "ok $checks - # SKIP $1"
}

# The VFs' TAPs go into two namespaces, 10.9.0.1 and 10.9.0.2. Usage: pods PREFIX
pods() {
	local prefix=$1 name i=0
	for name in a b; do
		ip netns del "$p$name" 2>/dev/null
		ip netns add "$p$name"
		wait_until 60 ip link show "$prefix$i" || return 1
		ip link set "$prefix$i" netns "$p$name" name eth0 || return 1
		ip -n "$p$name" addr add "10.9.0.$((i + 1))/24" dev eth0
		ip -n "$p$name" link set eth0 up
		i=$((i + 1))
	done
}

flood() {
	ns a ping -f -q -c 1000 -W 20 10.9.0.2 | grep -q ' 0% packet loss'
}

so=$("$top/scripts/net-esw-so" 2>"$dir/so.log") || {
	echo "1..0 # SKIP no plugin: $(tail -n 1 "$dir/so.log")"
	trap - EXIT
	clean
	rm -rf "$scratch"
	exit 0
}

testpmd() {
	# shellcheck disable=SC2086
	start_process "$dir/testpmd.pid" "$dir/testpmd.log" sh -c "exec stdbuf -oL dpdk-testpmd $eal -m 256 -l 0,1 -d $so \
		--vdev 'net_esw90,vfs=2,vf=tap:nespt,representor=vf[0-1]' -- -i --total-num-mbufs=4096 --no-flush-rx <'$dir/in'"
	pods nespt
}

testpmd_rules() { # ACTIONS N: pod to pod, with the other's MAC, after these; so many rules have been made then
	local pods=(a b) i mac
	for i in 0 1; do
		mac=$(ns "${pods[1 - i]}" cat /sys/class/net/eth0/address)
		echo "flow create 0 transfer pattern represented_port ethdev_port_id is $((i + 1)) / eth /" \
			"ipv4 dst is 10.9.0.$((2 - i)) / end actions $1 / set_mac_dst mac_addr $mac / dec_ttl /" \
			"represented_port ethdev_port_id $((2 - i)) / end" >&5
		ns "${pods[i]}" ip neigh replace "10.9.0.$((2 - i))" lladdr 02:00:00:00:00:99 dev eth0
	done
	wait_until 60 eval "[ \$(grep -c 'Flow rule #. created' '$dir/testpmd.log') -eq $2 ]"
}

# 100 packets of both together, then one a second.
testpmd_shares() {
	printf '%s\n' 'flow flush 0' 'add port meter profile srtcm_rfc2697 0 1 1 100 0 1' \
		'add port meter policy 0 1 g_actions end y_actions drop / end r_actions drop / end' \
		'create port meter 0 7 1 1 yes 0xffff 0 g 0' 'flow indirect_action 0 create action_id 5 transfer action count / end' >&5
	testpmd_rules 'indirect 5 / meter mtr_id 7' 4
}

testpmd_number() { # FIELD: the last number that testpmd said of it
	sed -n "s/^[[:space:]]*$1: //p" "$dir/testpmd.log" | tail -n 1
}

if command -v dpdk-testpmd >/dev/null; then
	mkfifo "$dir/in"
	exec 5<>"$dir/in"
	check "testpmd starts with the plugin" testpmd
	testpmd_rules count 2
	check "1,000 packets each way by rules, while testpmd forwards nothing" flood
	echo 'flow query 0 0 count' >&5
	check "the first has counted 1,000" wait_until 60 eval "[ \"\$(testpmd_number hits)\" = 1000 ]"
	check "two rules share a meter and a counter" testpmd_shares
	ns a ping -f -q -c 300 -W 1 10.9.0.2 >"$dir/metered"
	check_at_least "of 300 packets some come back" "$(grep -o '[0-9]* received' "$dir/metered" | cut -d' ' -f1)" 20
	check_at_most "and most do not" "$(grep -o '[0-9]* received' "$dir/metered" | cut -d' ' -f1)" 150
	printf '%s\n' 'flow indirect_action 0 query 5' 'show port meter stats 0 7 no' 'flow flush 0' \
		'flow indirect_action 0 destroy action_id 5' 'del port meter 0 7' 'del port meter policy 0 1' \
		'del port meter profile 0 1' quit >&5
	exec 5>&-
	check "testpmd ends" wait_until 60 eval "! process_alive '$dir/testpmd.pid'"
	check_at_least "the counter has all of both" "$(testpmd_number hits)" 320
	check_at_least "the meter has dropped most" "$(testpmd_number 'Pkts DROPPED')" 150
	check "nothing of it was refused" eval "! grep -qE 'error|Bad arguments' '$dir/testpmd.log'"
	rm -f "$dir/testpmd.pid"
else
	skipped "dpdk-testpmd is not installed (Debian: dpdk-dev)"
fi

if command -v dpdk-test-flow-perf >/dev/null; then
	# shellcheck disable=SC2086
	check "dpdk-test-flow-perf runs" dpdk-test-flow-perf $eal -m 256 -l 0,1 -d "$so" --vdev net_esw91,vfs=2,vf=null,representor=vf0 -- \
		--portmask=0x1 --rules-count=100000 --rules-batch=50000 --transfer --ether --ipv4 --count --set-dst-mac \
		--port-id=1 --deletion-rate
else
	skipped "dpdk-test-flow-perf is not installed (Debian: dpdk-dev)"
fi

vsctl() {
	ovs-vsctl --db="unix:$dir/db.sock" --timeout=60 "$@"
}

device=net_esw92,vfs=2,vf=tap:nespo,persist=1 # the VFs outlive OVS, in their namespaces

vswitchd() {
	start_process "$dir/vswitchd.pid" "$dir/vswitchd.log" \
		"$vswitchd" "unix:$dir/db.sock" "--unixctl=$dir/vs.ctl" "--log-file=$dir/vs.log" -vconsole:off
}

ovs() {
	export OVS_RUNDIR=$dir OVS_LOGDIR=$dir OVS_DBDIR=$dir OVS_SYSCONFDIR=$dir
	ovsdb-tool create "$dir/conf.db" /usr/share/openvswitch/vswitch.ovsschema || return 1
	start_process "$dir/ovsdb.pid" "$dir/ovsdb.log" \
		ovsdb-server "$dir/conf.db" "--remote=punix:$dir/db.sock" "--unixctl=$dir/db.ctl"
	wait_until 60 test -S "$dir/db.sock" || return 1
	vsctl --no-wait init
	vsctl --no-wait set Open_vSwitch . other_config:dpdk-init=true other_config:hw-offload=true \
		other_config:pmd-cpu-mask=0x1 "other_config:dpdk-extra=$eal -m 700 -d $so" || return 1
	vswitchd
	# In each port all of the device's arguments: after a restart any of them may be the first.
	vsctl add-br br0 -- set bridge br0 datapath_type=netdev &&
		vsctl add-port br0 pf -- set interface pf type=dpdk "options:dpdk-devargs=$device" &&
		vsctl add-port br0 r0 -- set interface r0 type=dpdk "options:dpdk-devargs=\"$device,representor=vf[0]\"" &&
		vsctl add-port br0 r1 -- set interface r1 type=dpdk "options:dpdk-devargs=\"$device,representor=vf[1]\"" &&
		pods nespo
}

ovs_restart() {
	stop_process "$dir/vswitchd.pid"
	vswitchd
}

offloaded() {
	ovs-appctl -t "$dir/vs.ctl" dpctl/dump-flows -m type=offloaded | grep -c 'ipv4.*offloaded:yes, dp:dpdk'
}

both_offloaded() { # by and by, while there is traffic
	ns a ping -c 100 -i 0.01 -q 10.9.0.2
	[ "$(offloaded)" -eq 2 ]
}

ovs_received() {
	local n
	n=$(vsctl get interface r0 statistics:rx_packets)
	echo "$n"
}

if [ -x "$vswitchd" ] && [ -e "$lib/librte_bus_vdev.so.23" ]; then
	check "OVS-DPDK starts with the plugin" ovs
	check "it forwards between the VFs" wait_until 60 ns a ping -c 1 -W 1 10.9.0.2
	check "it has put both directions into the NIC" wait_until 60 both_offloaded
	before=$(ovs_received)
	check "1,000 packets each way" flood
	sleep 6 # its statistics are that old at most
	check_at_most "of these through OVS" $(($(ovs_received) - before)) 20
	check "the PF is deleted while representors live" vsctl del-port pf
	check "and added again" vsctl add-port br0 pf -- set interface pf type=dpdk "options:dpdk-devargs=$device"
	check "the VFs still talk" wait_until 60 ns a ping -c 1 -W 1 10.9.0.2
	check "OVS is alive" process_alive "$dir/vswitchd.pid"
	check "OVS starts again" ovs_restart
	check "and offloads for the same VFs again" wait_until 60 both_offloaded
else
	skipped "OVS-DPDK is not installed (Debian: openvswitch-switch-dpdk)"
fi
end
