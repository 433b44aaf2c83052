#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Tools that nobody here wrote, through the daemon: iperf3, traceroute, tracepath, curl.
. "$(dirname "$0")/lib.sh"

lab_start a:0 b:0 c:1
seconds=$((${slow:-0} ? 2 : 5))
a4=$(lab pod ip a 4) c4=$(lab pod ip c 4) c6=$(lab pod ip c 6)

server() { # NODE PORT CMD...: starts a server and waits for it
	local node=$1 port=$2
	shift 2
	in_ns "$node" "$@" >/dev/null 2>&1 &
	disown
	wait_until 60 tcp_port_open "$node" "$port" || not_ok "$* on $node listens"
}

iperf() { # NODE ADDRESS FILE OPTIONS...
	local node=$1 address=$2 file=$3
	shift 3
	in_ns "$node" timeout $((seconds + 120)) iperf3 -J -t $seconds -c "$address" "$@" >"$scratch/$file"
}

# Of a TCP transfer: retransmitted segments per 1,000 sent.
retransmissions() {
	jq '.end.sum_sent | .retransmits * 1000 / (.bytes / 1448) | ceil' "$scratch/$1"
}

# Of a UDP transfer: datagrams lost per 1,000 sent.
lost() {
	jq '.end.sum.lost_percent * 10 | ceil' "$scratch/$1"
}

for node in b c world; do
	server $node 5201 iperf3 -s
done
tcp() { # TEXT NODE ADDRESS OPTIONS...
	local text=$1
	shift
	check "TCP $text" measure '[ "$(retransmissions tcp.json)" -le 10 ]' iperf "$1" "$2" tcp.json "${@:3}"
	check_at_most "TCP $text: retransmissions of 1,000 segments" "$(retransmissions tcp.json)" 10
	echo "# TCP $text: $(jq '.end.sum_received.bits_per_second / 1e6 | floor' "$scratch/tcp.json") Mbit/s"
}
tcp "pod to pod, same range" a "$(lab pod ip b 4)"
tcp "pod to pod, other range, IPv6" a "$c6"
tcp "pod to the world, 4 flows" a $world4 -P 4
tcp "world to pod, 4 flows" a $world4 -P 4 -R
tcp "pod to the world, IPv6" a $world6

udp() { # TEXT NODE ADDRESS OPTIONS...
	local text=$1
	shift
	check "UDP $text" measure '[ "$(lost udp.json)" -le 10 ]' iperf "$1" "$2" udp.json -u -b 20M -l 1400 "${@:3}"
	check_at_most "UDP $text: lost of 1,000 datagrams" "$(lost udp.json)" 10
}
udp "pod to pod" a "$c4"
udp "pod to the world" a $world4
udp "pod to pod, IPv6" a "$c6"

# The way to the world: the gateway (the daemon, with the gateway's address), a ToR, the world.
hops() { # NODE OPTIONS... ADDRESS
	in_ns "$1" traceroute -n -q 1 -w 10 "${@:2}" | tee "$scratch/hops" | awk 'NR > 1 {print $2}' | xargs
}

# A narrower way behind the ToRs: what the ToRs say about it must reach the pods, or TCP stalls.
narrow() { # MTU
	local i
	for i in 0 1; do
		in_ns world ip link set "w$i" mtu "$1" && in_ns "tor$i" ip link set w0 mtu "$1" || return 1
	done
}

# Which way packets go, and how large they may be.
ways() {
	local gateway4 gateway6 how way
	gateway4=$(in_ns a ip -4 route show default | awk '{print $3}')
	gateway6=$(in_ns a ip -6 route show default | awk '{print $3}')
	for how in "" -I -T; do
		way=$(hops a -4 $how $world4)
		check "traceroute $how: the first hop is the gateway, the last the world, all answer ($way)" \
			eval "[[ '$way' =~ ^$gateway4\ [0-9.]+\ $world4\$ ]]"
	done
	way=$(hops a -6 $world6)
	check "traceroute IPv6: the first hop is the gateway, the last the world, all answer ($way)" \
		eval "[[ '$way' =~ ^$gateway6\ [0-9a-f:]+\ $world6\$ ]]"
	way=$(hops a -4 "$c4")
	check_equal "traceroute pod to pod: the gateway, then the pod" "$way" "$gateway4 $c4"
	way=$(hops world -4 "$a4")
	check "traceroute world to pod: the last hop is the pod ($way)" eval "[[ '$way' =~ \ $a4\$ ]]"

	check "tracepath to the world finds an MTU of 1500" \
		eval "in_ns a tracepath -n $world4 | tee '$scratch/tracepath' | grep -q 'Resume: pmtu 1500'"
	check "tracepath pod to pod finds an MTU of 1500" \
		eval "in_ns a tracepath -n $c4 | grep -q 'Resume: pmtu 1500'"
	narrow 1400
	check "tracepath finds a narrower way to the world" \
		eval "in_ns a tracepath -n $world4 | grep -q 'Resume: pmtu 1400'"
	check "tracepath finds a narrower way to the world, IPv6" \
		eval "in_ns a tracepath -6 -n $world6 | grep -q 'Resume: pmtu 1400'"
	check "TCP over the narrower way" iperf b $world4 narrow.json
	narrow 1500
}
ways

# Files of random bytes from the world and from a pod, checked whole.
files() { # MIB
	local node sum
	mkdir -p "$scratch/www"
	head -c "$1M" /dev/urandom >"$scratch/www/file"
	sum=$(sha256sum <"$scratch/www/file" | cut -d' ' -f1)
	for node in c world; do
		server $node 8000 /usr/bin/python3 -m http.server --bind :: --directory "$scratch/www" 8000
	done
	check_equal "curl of $1 MiB, pod to pod" "$(fetched a "http://$c4:8000/file")" "$sum"
	check_equal "curl of $1 MiB, world to pod" "$(fetched a "http://$world4:8000/file")" "$sum"
	check_equal "curl of $1 MiB, pod to world" "$(fetched world "http://$c4:8000/file")" "$sum"
	check_equal "curl of $1 MiB, world to pod, IPv6" "$(fetched a "http://[$world6]:8000/file")" "$sum"
}

fetched() { # NODE URL: the checksum of what curl gets
	in_ns "$1" curl -sSfg --max-time 300 "$2" | sha256sum | cut -d' ' -f1
}
files $((${slow:-0} ? 64 : 256))
daemon_ends

# Through a SmartNIC in software: hops that it leaves to software, sizes that it does not look at.
lab_options=--nic lab_start a:0:vf b:0 c:1:vf
a4=$(lab pod ip a 4) c4=$(lab pod ip c 4)
server world 5201 iperf3 -s
ways
files $((${slow:-0} ? 8 : 64))
finish
