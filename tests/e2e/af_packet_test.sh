#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Where AF_XDP is not to be used: uplinks and the host by AF_PACKET (xdp: false), pods by a DPDK device on theirs.
. "$(dirname "$0")/lib.sh"

lab_start a:0
lab daemon stop
# Each uplink's and the host's device gets the line `xdp: false` below it.
sed -i -E 's/^( *)- netdev: .*/&\n\1  xdp: false/; s/^( *)netdev: .*/&\n\1xdp: false/' "$run/sluice.yaml"
lab daemon start 2>"$scratch/start.log" || {
	not_ok "the daemon starts with xdp: false" "$(cat "$scratch/start.log")"
	finish
}
drivers() {
	lab ctl --json ports | jq -rc '[.ports[] | "\(.name) \(.driver) \(.state) \(.fallback)"] | join(", ")'
}
check_equal "uplinks and host are AF_PACKET's, without having fallen back" \
	"$(lab ctl --json ports | jq -c '[.ports[] | select(.kind != "pod") | [.driver, .state, .fallback]] | unique')" \
	'[["af_packet","up",null]]'
echo "# $(drivers)"
check "the gateways answer" wait_until 60 eval "lab ctl --json status | jq -e '.health == \"ok\"'"

# A pod by a DPDK device: made by hand, as the plugin makes only netdevs.
device_pod() { # NAME NUMBER
	local name=$1 mac=02:00:00:00:af:0$2 v gateway
	local ips=("10.1.11.22$2" "fd00:10:1:11::22$2")
	ip netns add "$SLUICE_LAB_PREFIX-pod-$name"
	in_ns node ip link add "$name" type veth peer name eth0 netns "$SLUICE_LAB_PREFIX-pod-$name" address "$mac"
	in_ns node sysctl -qw "net.ipv6.conf.$name.disable_ipv6=1"
	in_ns node ip link set "$name" up
	in_ns "$name" ethtool -K eth0 tx off >/dev/null
	in_ns "$name" ip link set eth0 up
	for v in 0 1; do
		gateway=$([ $v = 0 ] && echo 10.1.11.1 || echo fd00:10:1:11::1)
		# shellcheck disable=SC2046
		in_ns "$name" ip addr add "${ips[$v]}" dev eth0 $([ $v = 0 ] || echo nodad)
		in_ns "$name" ip route add "$gateway" dev eth0
		in_ns "$name" ip route add default via "$gateway" dev eth0
	done
	jq -n --args '{ips: [{address: ($ARGS.positional[0] + "/32")}, {address: ($ARGS.positional[1] + "/128")}]}' \
		"${ips[@]}" >"$run/pods/$name.json"
	lab ctl attach --container-id "$name" --ifname eth0 --devargs "net_af_packet9$2,iface=$name,blocksz=4096,framesz=2048,framecnt=512" \
		--mac "$mac" --ip "${ips[0]}" --ip "${ips[1]}"
}
check "a pod is attached by devargs" device_pod p 1
check "another one" device_pod q 2
echo "# $(drivers)"

for v in 4 6; do
	full=$((v == 4 ? 1472 : 1452))
	[ $v = 4 ] && world=$world4 || world=$world6
	for way in "p $(lab pod ip q $v)" "q $(lab pod ip a $v)" "a $(lab pod ip p $v)" "a $world" "p $world" \
		"world $(lab pod ip p $v)" "world $(lab pod ip a $v)"; do
		# shellcheck disable=SC2086
		set -- $way
		check "IPv$v: $1 reaches $2" wait_until 60 pings "$1" "$2"
		check "IPv$v: $1 reaches $2 with full packets" pings "$1" "$2" -s $full -M "do"
		# net_af_packet has the kernel put IPv4 fragments together, and loses what then is longer than a frame.
		[ $v = 4 ] || check "IPv$v: $1 reaches $2 with fragments" pings "$1" "$2" -s 4000
	done
done
# The kernel must not see what the daemon reads: it would answer, and pass on, without a guard.
once() { # NODE ADDRESS
	pings "$1" "$2" && ! in_ns "$1" ping -n -c 3 -i 0.2 -W 10 "$2" | grep -q DUP
}
check "the node's own stack reaches the world, each packet once" wait_until 60 once node $world4
check "the world reaches the node, each packet once" once world 10.1.0.10
before=$(in_ns node cat /proc/net/snmp /proc/net/dev_snmp6/up0 | awk '/^Ip: [0-9]/ {print $4} /Ip6InReceives/ {print $2}' | xargs)
in_ns a ping -n -q -c 20 -i 0.01 $world4 >/dev/null
in_ns a ping -n -q -c 20 -i 0.01 $world6 >/dev/null
check_equal "the node's stack sees nothing of what pods send and receive" \
	"$(in_ns node cat /proc/net/snmp /proc/net/dev_snmp6/up0 | awk '/^Ip: [0-9]/ {print $4} /Ip6InReceives/ {print $2}' | xargs)" \
	"$before"

# What a pod must not send is stopped here as well.
forged_watch tor0 s0
forged_watch tor1 s0
forged_watch q eth0
forge p valid
forge p eth_src
forge p ip4_src
forge p ip6_src
forge p arp_sender_ip
before=$(drops vlan)
forge p vlan
# The last ones: those before them are dealt with by then.
wait_until 60 eval '[ "$(drops vlan)" -ge $((before + 5)) ]'
forged_stop
check_at_least "forged frames are counted" "$(($(drops guard_eth_src) + $(drops guard_ip_src) + $(drops guard_arp)))" 20
# Five valid frames come out at one ToR or the other; nothing else.
check_equal "only the valid ones have left, and none at the other pod ($forged)" \
	"$(tr ' ' '\n' <<<"$forged" | awk -F: '{n[$1 ~ /^tor/] += $2} END {print n[1] + 0, n[0] + 0}')" "5 0"

# The daemon is killed: it finds all of them again.
before=$(lab ctl --json pods | jq -cS .pods)
lab daemon kill
check "the daemon starts again" lab daemon start
check_equal "it has its pods again" "$(lab ctl --json pods | jq -cS .pods)" "$before"
check "p reaches a again" wait_until 60 pings p "$(lab pod ip a 4)"
check "p reaches the world again" wait_until 60 pings p $world4
for pod in p q; do
	check "$pod is detached" lab ctl detach --container-id $pod --ifname eth0
done
check "a reaches the world still" pings a $world4
finish
