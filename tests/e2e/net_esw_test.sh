#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The daemon on net_esw, the SmartNIC in software: pods on VFs, rules in the NIC. Makes a small network of its own: a
# node, two ToRs, two pods. SLUICE_PLUGIN: net_esw, for a daemon that does not have it built in (scripts/net-esw-so).
# shellcheck disable=SC2317 # functions that check calls
. "$(dirname "$0")/lib.sh"

p=nesw$$-
node=${p}node dir=$scratch
# The device's number is in its VFs' MAC addresses, by which VFs that stay are found: not another run's.
device=net_esw$(($$ % 100))
printf -v mac 02:e5:%02x:01:00 $(($$ % 100))
mac_a=$mac:00 mac_b=$mac:01

ns() { # NAME CMD...
	local name=$1
	shift
	ip netns exec "$p$name" "$@"
}

clean() {
	stop_process "$dir/daemon.pid"
	local name
	for name in node tor0 tor1 a b; do
		ip netns del "$p$name" 2>/dev/null
	done
}

end() {
	trap - EXIT INT TERM
	clean
	if grep -qE 'AddressSanitizer|LeakSanitizer|runtime error:' "$dir/daemon.log"; then
		not_ok "no sanitizer report in the daemon's log" "$(grep -A 25 -m1 -E 'Sanitizer|runtime error:' "$dir/daemon.log")"
	fi
	[ "$failures" -eq 0 ] || tail -n 30 "$dir/daemon.log" | sed 's/^/# /'
	rm -rf "$scratch"
	echo "1..$checks"
	[ "$failures" -eq 0 ]
	exit
}
trap 'clean; rm -rf "$scratch"' EXIT
trap 'exit 130' INT TERM

ctl() {
	"$(binary sluicectl)" --socket "$dir/control.sock" "$@"
}

make_network() {
	local name r
	for name in node tor0 tor1 a b; do
		ip netns add "$p$name"
		ip -n "$p$name" link set lo up
	done
	for r in 0 1; do
		ip -n "$node" link add wire$r type veth peer name s0 netns "${p}tor$r"
		ip -n "$node" link set wire$r up
		ns tor$r ethtool -K s0 tx off >/dev/null
		ip -n "${p}tor$r" link set s0 address 02:00:00:00:01:01 up
		ip -n "${p}tor$r" addr add 10.1.10.1/24 dev s0
		ip -n "${p}tor$r" addr add fd00:10::1/64 dev s0 nodad
		ip -n "${p}tor$r" addr add 10.9.0.1/32 dev lo
	done
}

daemon() { # off|auto [MORE_DEVARGS]
	cat >"$dir/sluice.yaml" <<EOT
uplinks:
  - {name: up0, devargs: "$device,wire0=wire0,wire1=wire1,vfs=4,vf=tap:nesw${2:-}"}
  - {name: up1, devargs: "$device,representor=pf1"}
ranges:
  - {subnet: 10.1.10.0/24, gateway: 10.1.10.1}
  - {subnet: "fd00:10::/64", gateway: "fd00:10::1"}
offload: $1
socket: {path: $dir/control.sock}
state: $dir/state.db
EOT
	start_process "$dir/daemon.pid" "$dir/daemon.log" \
		ip netns exec "$node" env ${SLUICE_PLUGIN:+LD_PRELOAD="$SLUICE_PLUGIN"} "$(binary sluiced)" \
		--config "$dir/sluice.yaml"
	wait_until 60 ctl status
}

attach() { # POD VF MAC HOST
	ctl attach --container-id "$1" --ifname eth0 --devargs "$device,representor=vf[$2]" --mac "$3" \
		--ip "10.1.10.$4" --ip "fd00:10::$4"
}

make_pod() { # POD VF MAC HOST
	wait_until 60 ip -n "$node" link show "nesw$2" || return 1
	ip -n "$node" link set "nesw$2" netns "$p$1" name eth0 || return 1
	attach "$@" || return 1
	ip -n "$p$1" addr add "10.1.10.$4/32" dev eth0
	ip -n "$p$1" addr add "fd00:10::$4/128" dev eth0 nodad
	ip -n "$p$1" link set eth0 up
	ip -n "$p$1" route add 10.1.10.1 dev eth0
	ip -n "$p$1" route add default via 10.1.10.1
	ip -n "$p$1" route add fd00:10::1 dev eth0
	ip -n "$p$1" route add default via fd00:10::1
}

make_pods() {
	make_pod a 0 "$mac_a" 5 && make_pod b 1 "$mac_b" 6
}

# What the daemon itself forwarded, by its rules; what it answers or asks for goes by none.
software_packets() {
	ctl --json rules | jq '[.rules[] | select(.table == "forward") | .packets] | add'
}

flood() { # ADDRESS
	ns a ping -f -q -c 1000 -W 20 "$1" | grep -q ' 0% packet loss'
}

rules() { # of pods, in the NIC
	ctl --json offload | jq '[.rules[] | select(.in_nic and .priority == 100 and (.match | test("eth_src|ip_dst")))] | length'
}

make_network
check "the daemon starts on net_esw" daemon auto
check "the device says that it is software" grep -q "$device: a SmartNIC in software" "$dir/daemon.log"
check "two pods are attached to VFs" make_pods
check "their 8 rules are in the NIC" wait_until 60 eval '[ "$(rules)" = 8 ]'
for address in 10.1.10.6 fd00:10::6; do
	check "pod to pod, $address" wait_until 60 ns a ping -c 1 -W 1 $address
	before=$(software_packets)
	check "1,000 packets each way, none lost, $address" flood $address
	check_equal "none of these through software" $(($(software_packets) - before)) 0
done
check "a hop is counted: TTL 63 arrives" eval 'ns a ping -c 1 10.1.10.6 | grep -q ttl=63'
check "a used-up TTL is answered" eval 'ns a ping -t 1 -c 1 -W 10 10.1.10.6 | grep -q "Time to live exceeded"'
check "a used-up hop limit is answered" eval 'ns a ping -t 1 -c 1 -W 10 fd00:10::6 | grep -qi "hop limit"'
check "pod to world" wait_until 60 ns a ping -c 1 -W 1 10.9.0.1
before=$(software_packets)
check "1,000 packets to the world and back, none lost" flood 10.9.0.1
check_equal "none of these through software" $(($(software_packets) - before)) 0
ns tor0 ip link set s0 down
check "pod to world when a wire has no carrier" wait_until 60 ns a ping -c 2 -i 0.2 -W 1 10.9.0.1
check "that uplink is down" wait_until 60 eval "ctl --json ports | jq -e '.ports[] | select(.name == \"up0\") | .link | not'"
ns tor0 ip link set s0 up

# What an operator forbids, the NIC drops.
of=$dir/br0.mgmt
if command -v ovs-ofctl >/dev/null && [ -S "$of" ]; then
	in_nic() { # RULES: the operator's, in the NIC
		[ "$(ctl --json offload | jq '[.rules[] | select(.table == "policy0" and .in_nic)] | length')" = "$1" ]
	}
	check "a rule of the operator's" ovs-ofctl -O OpenFlow13 add-flow "$of" "priority=10,icmp,nw_dst=10.1.10.6,actions=drop"
	check "is in the NIC" wait_until 60 in_nic 1
	check "and holds there" eval '! ns a ping -c 3 -i 0.1 -W 1 10.1.10.6'
	check "where it is counted" wait_until 60 eval "ovs-ofctl -O OpenFlow13 dump-flows '$of' | grep -q 'n_packets=3,'"
	check "other packets go on" wait_until 60 ns a ping -c 1 -W 1 10.9.0.1
	check "the rule goes" ovs-ofctl -O OpenFlow13 del-flows "$of"
	check "from the NIC, too" wait_until 60 ns a ping -c 1 -W 1 10.1.10.6
fi
check "why says it of one pod" eval "ctl offload why 10.1.10.5 | grep -q 'in the NIC'"
check "capabilities say it of the driver" eval "ctl offload capabilities | grep -q net_esw"

# A pod that lies: what the NIC's guard does not let in, software refuses.
ip -n "${p}a" addr add 10.1.10.77/32 dev eth0
before=$(ctl --json stats | jq .totals.drops.guard_ip_src)
ns a ping -c 5 -i 0.1 -W 1 -I 10.1.10.77 10.1.10.6 >/dev/null
check_equal "5 packets from another's address are dropped" \
	$(($(ctl --json stats | jq .totals.drops.guard_ip_src) - before)) 5
ip -n "${p}a" addr del 10.1.10.77/32 dev eth0

check "a pod is detached" ctl detach --container-id b --ifname eth0
check_equal "its rules are out of the NIC" "$(rules)" 4
check "and attached again" attach b 1 "$mac_b" 6
check "its rules are in the NIC" wait_until 60 eval '[ "$(rules)" = 8 ]'
check "pod to pod" wait_until 60 ns a ping -c 1 -W 1 10.1.10.6
check "the sum rule holds" wait_until 60 eval "ctl --json stats |
	jq -e '.totals | .rx + .originated == .tx + ([.drops[]] | add) + .in_flight'"

stop_process "$dir/daemon.pid"
rm -f "$dir/state.db"
check "the daemon starts with offload: require" daemon require
check "two pods are attached" make_pods
check "their 8 rules are in the NIC" eval '[ "$(rules)" = 8 ]'
stop_process "$dir/daemon.pid"
rm -f "$dir/state.db"
check "the VFs went with the daemon" eval '! ns a ip link show eth0'
check "the daemon starts with offload: off" daemon off
check "two pods are attached" make_pods
check_equal "no rule is in the NIC" "$(rules)" 0
check "pod to pod" wait_until 60 ns a ping -c 1 -W 1 10.1.10.6
before=$(software_packets)
check "1,000 packets each way, none lost" flood 10.1.10.6
check_at_least "of these through software" $(($(software_packets) - before)) 2000

# VFs that outlive the daemon, as real ones do.
stop_process "$dir/daemon.pid"
rm -f "$dir/state.db"
check "the daemon starts with VFs that stay" daemon auto ,persist=1
check "two pods are attached" make_pods
check "pod to pod" wait_until 60 ns a ping -c 1 -W 1 10.1.10.6
stop_process "$dir/daemon.pid" KILL
check "the daemon is killed, the VFs stay" ns b ip link show eth0
check "the daemon starts again" daemon auto ,persist=1
check "its pods' rules are in the NIC again" wait_until 60 eval '[ "$(rules)" = 8 ]'
check "pod to pod, nothing was attached again" wait_until 60 ns a ping -c 1 -W 1 10.1.10.6
before=$(software_packets)
check "1,000 packets each way, none lost" flood 10.1.10.6
check_at_most "of these through software" $(($(software_packets) - before)) 2

# A NIC that is as mlx5 with software steering: rules with ports are in it, fragments are software's.
stop_process "$dir/daemon.pid"
rm -f "$dir/state.db"
for name in a b; do ns $name ip link del eth0; done # VFs that stayed
check "the daemon starts with the manners of mlx5" daemon auto ,mode=mlx5-sws
check "two pods are attached" make_pods
check "their 8 rules are in the NIC" wait_until 60 eval '[ "$(rules)" = 8 ]'
if command -v ovs-ofctl >/dev/null && [ -S "$of" ]; then
	check "an operator's rule with a port" ovs-ofctl -O OpenFlow13 add-flow "$of" "priority=10,udp,tp_dst=9,actions=drop"
	check "is in the NIC" wait_until 60 in_nic 1
	check "which takes fragments as a range" eval \
		"ctl --json offload capabilities | jq -e '.. | objects | select(.name? == \"fragment_range\") | .has'"
fi
check "pod to pod" wait_until 60 ns a ping -c 1 -W 1 10.1.10.6
before=$(software_packets)
check "1,000 packets each way, none lost" flood 10.1.10.6
check_at_most "of these through software" $(($(software_packets) - before)) 2
check "fragments arrive" ns a ping -c 3 -i 0.1 -W 20 -s 4000 10.1.10.6
end
