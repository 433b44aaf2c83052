#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A NIC that is unplugged and plugged in again, and one whose queue does not answer, under traffic: two NICs in software
# (net_esw), each with an uplink and pods on its VFs, and a pod on a veth pair. The daemon is never restarted for it.
# shellcheck disable=SC2317 # functions that check calls
. "$(dirname "$0")/lib.sh"

p=nunp$$-
node=${p}node dir=$scratch
# The devices' numbers are in their VFs' MAC addresses, by which VFs that stay are found: not another run's.
number=$(($$ % 50 * 2))
bound=$((${slow:-0} ? 3 : 1)) # a sanitized daemon takes longer

ns() { # NAME CMD...
	local name=$1
	shift
	ip netns exec "$p$name" "$@"
}

clean() {
	stop_process "$dir/daemon.pid"
	local name pidfile
	for pidfile in "$dir"/*.pid; do [ -e "$pidfile" ] && stop_process "$pidfile"; done
	for name in node tor0 tor1 a b c d v; do
		ip netns del "$p$name" 2>/dev/null
	done
}

end() {
	trap - EXIT INT TERM
	clean
	if grep -qE 'AddressSanitizer|LeakSanitizer|runtime error:' "$dir/daemon.log"; then
		not_ok "no sanitizer report in the daemon's log" "$(grep -A 25 -m1 -E 'Sanitizer|runtime error:' "$dir/daemon.log")"
	fi
	[ "$failures" -eq 0 ] || tail -n 60 "$dir/daemon.log" | sed 's/^/# /'
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
	for name in node tor0 tor1 a b c d v; do
		ip netns add "$p$name"
		ip -n "$p$name" link set lo up
	done
	for r in 0 1; do
		ip -n "$node" link add wire$r type veth peer name s0 netns "${p}tor$r"
		ip -n "$node" link set wire$r up
		ns tor$r ethtool -K s0 tx off >/dev/null
		ip -n "${p}tor$r" link set s0 address 02:00:00:00:01:01 up
		ip -n "${p}tor$r" addr add 10.1.10.1/24 dev s0
		ip -n "${p}tor$r" addr add 10.9.0.1/32 dev lo
		ip -n "${p}tor$r" addr add 10.9.0.2/32 dev lo
	done
}

nic() { # 0|1
	echo "net_esw$((number + $1))"
}

daemon() {
	cat >"$dir/sluice.yaml" <<EOT
uplinks:
  - {name: up0, devargs: "$(nic 0),wire0=wire0,vfs=2,vf=tap:nuna,persist=1,control=$dir/nic0,absent=$dir/absent0"}
  - {name: up1, devargs: "$(nic 1),wire0=wire1,vfs=2,vf=tap:nunb,persist=1,control=$dir/nic1,absent=$dir/absent1${1:-}"}
ranges: [{subnet: 10.1.10.0/24, gateway: 10.1.10.1}]
offload: auto
socket: {path: $dir/control.sock}
state: $dir/state.db
EOT
	start_process "$dir/daemon.pid" "$dir/daemon.log" \
		ip netns exec "$node" "$(binary sluiced)" --config "$dir/sluice.yaml"
	wait_until 60 ctl status
}

mac() { # NIC VF
	printf '02:e5:%02x:01:00:%02x' $((number + $1)) "$2"
}

attach() { # POD NIC VF HOST
	ctl attach --container-id "$1" --pod "$1" --ifname eth0 --devargs "$(nic "$2"),representor=vf[$3]" \
		--mac "$(mac "$2" "$3")" --ip "10.1.10.$4"
}

address() { # POD HOST
	ip -n "$p$1" link set eth0 up
	ip -n "$p$1" addr replace "10.1.10.$2/32" dev eth0
	ip -n "$p$1" route replace 10.1.10.1 dev eth0
	ip -n "$p$1" route replace default via 10.1.10.1
}

make_pod() { # POD NIC VF HOST
	local tap=nuna
	[ "$2" = 0 ] || tap=nunb
	wait_until 60 ip -n "$node" link show "$tap$3" || return 1
	ip -n "$node" link set "$tap$3" netns "$p$1" name eth0 || return 1
	attach "$@" && address "$1" "$4"
}

make_veth_pod() {
	ip -n "$node" link add podv type veth peer name eth0 netns "${p}v" && ip -n "$node" link set podv up &&
		ip -n "${p}v" link set eth0 address 02:00:00:00:00:09 &&
		ctl attach --container-id v --pod v --ifname eth0 --netdev podv --mac 02:00:00:00:00:09 --ip 10.1.10.9 &&
		ns v ethtool -K eth0 tx off >/dev/null && address v 9
}

make_pods() {
	make_pod a 0 0 5 && make_pod b 0 1 6 && make_pod c 1 0 7 && make_pod d 1 1 8 && make_veth_pod
}

# One datagram to a NIC's control socket.
tell() { # NIC WORDS
	rm -f "$dir/asker" # by name: those without are of a network namespace
	python3 -c 'import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[3])
s.settimeout(30)
s.sendto(sys.argv[2].encode(), sys.argv[1])
answer = s.recv(16384).decode()
print(answer)
sys.exit(answer.startswith("error"))' "$dir/nic$1" "$2" "$dir/asker"
}

unplug() { # NIC
	touch "$dir/absent$1"
	tell "$1" unplug
}

plug() { # NIC
	rm -f "$dir/absent$1"
}

pods() { # FILTER of a pod
	ctl --json pods | jq -r "[.pods[] | \"\\(.pod)$1\"] | sort | join(\" \")"
}

pods_in_nic() { # how many pods' rules of two
	ctl --json offload | jq '[.rules[] | select(.in_nic and .priority == 100 and (.match | test("eth_src|ip_dst")))] | length'
}

problems() {
	ctl --json status | jq -r '.problems | join("; ")'
}

healthy() {
	[ "$(ctl --json status | jq -r .health)" = ok ]
}

software_packets() {
	ctl --json rules | jq '[.rules[] | select(.table == "forward") | .packets] | add'
}

flood() { # POD ADDRESS
	ns "$1" ping -f -q -c 1000 -W 20 "$2" | grep -q ' 0% packet loss'
}

reaches() { # POD ADDRESS
	wait_until 60 ns "$1" ping -q -c 1 -W 1 "$2"
}

# All pods reach the world and each other, and the NICs do it again.
all_well() {
	check "the daemon is well" wait_until 60 healthy
	check "all pods are at their ports, and up" eval "[ '$(pods ' \(.port) \(.state)')' = '$ports' ]"
	for pod in a b c d v; do check "$pod reaches the world" reaches "$pod" 10.9.0.1; done
	check "a reaches c" reaches a 10.1.10.7
	check "d reaches v" reaches d 10.1.10.9
	# The forward rules of a, b, c, d, and the guard rules of them; each twice as there are two NICs to say it for.
	check_becomes "the pods' rules are in the NICs" "$rules" pods_in_nic
	for pod in a:10.1.10.6 c:10.1.10.8; do
		before=$(software_packets)
		check "1,000 packets each way, none lost, ${pod%:*}" flood "${pod%:*}" "${pod#*:}"
		check_at_most "of these through software" $(($(software_packets) - before)) 2
	done
}

# Pings in the background, 50 a second; `lost` ends them and says how many were lost.
pinging() { # POD ADDRESS
	start_process "$dir/ping-$1-$2.pid" "$dir/ping-$1-$2.log" ip netns exec "$p$1" ping -q -i 0.02 "$2"
}

lost() { # POD ADDRESS
	local pid name=ping-$1-$2
	pid=$(process_pid "$dir/$name.pid") || return 1
	kill -INT "$pid"
	wait_until 60 process_ended "$pid"
	rm -f "$dir/$name.pid"
	sed -n 's/^\([0-9]*\) packets transmitted, \([0-9]*\) received.*/\1 \2/p' "$dir/$name.log" |
		tail -n 1 | { read -r sent got && echo $((sent - got)); }
}

make_network
check "the daemon starts on two NICs" daemon
check "five pods are attached" make_pods
sleep 1
ports=$(pods ' \(.port) \(.state)')
rules=$(pods_in_nic)
check_equal "all are up" "$(pods ' \(.state)')" "a up b up c up d up v up"
check_becomes "their rules are in the NICs" 8 pods_in_nic
rules=8
all_well

# The NIC of up1 goes. What is on the other one goes on.
for pod in a v; do # one of two neighbouring addresses is reached by each uplink
	pinging $pod 10.9.0.1
	pinging $pod 10.9.0.2
done
check "NIC 1 is unplugged" unplug 1
check "its uplink is down, and says why" wait_until 60 eval 'problems | grep -q "uplink up1: its device was unplugged at"'
check "so are its pods" wait_until 60 eval "[ '$(pods ' \(.state)')' = 'a up b up c down d down v up' ]"
check "which say why" eval "ctl pods | grep -q 'uplink up1: its device was unplugged at'"
check "and so does the list of ports" eval "ctl ports | grep -q 'uplink up1: its device was unplugged at'"
check "the log tells of it" grep -q "uplink up1: its device was unplugged at" "$dir/daemon.log"
check "so does the audit" wait_until 60 eval "ctl --json offload | jq -e '.audit.gone == 1'"
check_equal "no rule is said to be in that NIC" "$(pods_in_nic)" 4
check "a reaches the world by the other NIC" reaches a 10.9.0.1
check "v reaches the world by it, too" reaches v 10.9.0.1
before=$(ctl --json stats | jq .totals.drops.port_gone)
ns a ping -c 5 -i 0.1 -W 1 10.1.10.7 >/dev/null
check_at_least "packets to a pod of the NIC that is gone are dropped by name" \
	$(($(ctl --json stats | jq .totals.drops.port_gone) - before)) 5
check "a pod is detached and attached meanwhile" eval "ctl detach --container-id b --ifname eth0 && attach b 0 1 6"
check "a pod of the NIC that is gone is not attached" eval "! attach e 1 0 20"
check "one that is, is the same" eval "! attach c 1 0 7 >'$dir/out' 2>&1 && grep -q 'was unplugged at' '$dir/out'"
check "and can be detached" ctl detach --container-id d --ifname eth0
check "it is looked for less and less often" wait_until 60 eval 'problems | grep -q "tried again each [48] s"'
plug 1
check "plugged in, its uplink is up" wait_until 60 healthy
check "c reaches the world" reaches c 10.9.0.1
check "d is attached again" attach d 1 1 8
for pod in a v; do
	for to in 10.9.0.1 10.9.0.2; do
		check_at_most "$pod to $to has lost little" "$(lost $pod $to)" $((150 * bound))
	done
done
all_well

# The other one, with the pods of the first answering all the while.
pinging c 10.1.10.8
check "NIC 0 is unplugged" unplug 0
check "its uplink is down, and says why" wait_until 60 eval 'problems | grep -q "uplink up0: its device was unplugged at"'
check "c reaches the world" reaches c 10.9.0.1
plug 0
all_well
check_equal "c lost nothing to d on their own NIC" "$(lost c 10.1.10.8)" 0

# Again and again, as fast as it goes; with pods that come and go.
for try in 1 2 3; do
	check "NIC 1 is unplugged, time $try" unplug 1
	check "pod b goes and comes" eval "ctl detach --container-id b --ifname eth0 && attach b 0 1 6"
	plug 1
	check "up1 is there again" wait_until 60 eval "ctl --json ports | jq -e '.ports[] | select(.name == \"up1\") | .state == \"up\"'"
done
unplug 0 >/dev/null
unplug 1 >/dev/null
check "both are gone" wait_until 60 eval "problems | grep -q 'up0: its device.*up1: its device'"
check "no gateway: packets of v are dropped by name" wait_until 60 eval "ns v ping -c 1 -W 1 10.9.0.1 >/dev/null
	[ \$(ctl --json stats | jq .totals.drops.no_gateway) -gt 0 ]"
plug 1
check "NIC 1 is back first" wait_until 60 eval "ctl --json ports | jq -e '.ports[] | select(.name == \"up1\") | .state == \"up\"'"
check "c reaches the world" reaches c 10.9.0.1
plug 0
all_well
check "the sum rule holds" wait_until 60 eval "ctl --json stats |
	jq -e '.totals | .rx + .originated == .tx + ([.drops[]] | add) + .in_flight'"

# Stopped while a NIC is away; started while it still is.
check "NIC 0 is unplugged" unplug 0
check "it is closed" wait_until 60 eval '[ ! -e "$dir/nic0" ]'
stop_process "$dir/daemon.pid"
check "the daemon starts without it" daemon
check "it says that it is not there" eval 'problems | grep -q "$(nic 0).*DPDK does not open this device"'
check "c reaches the world by the other" reaches c 10.9.0.1
plug 0
all_well

# A queue that does not answer: rules by templates.
stop_process "$dir/daemon.pid"
check "the daemon starts with a NIC that takes rules by templates" daemon ,mode=mlx5-hws
all_well
check "its queue stops to answer" tell 1 queue_stuck=1
check "what is detached is detached" ctl detach --container-id d --ifname eth0
check "attached again" attach d 1 1 8
check "d reaches c all the while" reaches d 10.1.10.7
check "the NIC is given up in the end" wait_until 60 grep -q "its device did not answer, and was closed" "$dir/daemon.log"
all_well
end
