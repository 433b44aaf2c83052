#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Pods with a smaller MTU than the node's: who sends them too much is told, or the packet arrives in fragments, whole.
. "$(dirname "$0")/lib.sh"

lab_start a:0 b:1
narrow_pod() { # NAME MTU: by the plugin, whose configuration says the MTU
	cp "$run/cni0.json" "$scratch/cni0.json"
	jq ".mtu = $2" "$scratch/cni0.json" >"$run/cni0.json"
	lab pod add "$1" 0
	local status=$?
	cp "$scratch/cni0.json" "$run/cni0.json"
	return $status
}
check "a pod with an MTU of 1400 is attached" narrow_pod m1400 1400
check "a pod with an MTU of 1280 is attached" narrow_pod m1280 1280
check_equal "the pod has it" "$(in_ns m1280 cat /sys/class/net/eth0/mtu)" 1280
check_equal "and the daemon knows" "$(lab ctl --json pods | jq -c '[.pods[].mtu] | sort')" '[1280,1400,1500,1500]'
wait_until 60 pod_known m1400
wait_until 60 pod_known m1280

finds() { # NODE FAMILY ADDRESS MTU
	in_ns "$1" tracepath "-$2" -n "$3" | tee "$scratch/tracepath" | grep -q "Resume: pmtu $4" || { cat "$scratch/tracepath"; false; }
}
put_together() { # NODE: how many packets, of fragments
	in_ns "$1" awk '/^Ip: [0-9]/ {print $16}' /proc/net/snmp
}
for mtu in 1400 1280; do
	four=$(lab pod ip m$mtu 4) six=$(lab pod ip m$mtu 6)
	check "IPv4: a packet of $mtu bytes passes whole" pings a "$four" -s $((mtu - 28)) -M "do"
	check "IPv6: a packet of $mtu bytes passes whole" pings a "$six" -s $((mtu - 48)) -M "do"
	check "IPv4: one byte more is answered with the MTU" \
		eval "in_ns a ping -n -c 1 -W 10 -M do -s $((mtu - 27)) $four | grep -E 'Frag needed.*mtu = $mtu'"
	check "IPv6: one byte more is answered with the MTU" \
		eval "in_ns a ping -n -c 1 -W 10 -M do -s $((mtu - 47)) $six | grep -E 'too big: mtu=$mtu'"
	for from in b world; do
		check "tracepath from $from finds $mtu, IPv4" finds $from 4 "$four" $mtu
		check "tracepath from $from finds $mtu, IPv6" finds $from 6 "$six" $mtu
	done
	# Without DF the daemon fragments; the answer, of the pod's own fragments, is as long.
	in_ns a ip route flush cache
	before=$(put_together m$mtu)
	check "IPv4: 1500 bytes arrive in fragments, whole" pings a "$four" -s 1472 -M dont
	check_at_least "the pod put fragments together" \
		$(($(put_together m$mtu) - before)) 3
	check "IPv4: fragments of 4,000 bytes are fragmented again, and arrive whole" pings a "$four" -s 4000 -M dont
	check "IPv4: the same from the world" pings world "$four" -s 4000 -M dont
	check "IPv6: 4,000 bytes arrive in the sender's fragments, whole" pings b "$six" -s 4000
	check "the pod reaches the world with fragments" pings m$mtu $world4 -s 4000 -M dont
done
check "no packet was lost to a lack of buffers" eval '[ "$(drops fragment_failed)" -eq 0 ]'
check_at_least "what was too big is counted" "$(drops too_big)" 8

# TCP: the segment size in the pod's SYN is small, so nothing is too big; without that, path MTU discovery must do.
in_ns m1280 iperf3 -s >/dev/null 2>&1 &
disown
wait_until 60 tcp_port_open m1280 5201
for from in b world; do
	check "TCP from $from to the pod with 1280: 8 MB" in_ns $from timeout 120 iperf3 -n 8M -c "$(lab pod ip m1280 4)"
done
in_ns m1280 nft -f - <<'NFT'
table inet mss { chain out { type filter hook output priority 0; tcp flags syn tcp option maxseg size set 1460; }; }
NFT
check "TCP from the world that thinks it may send 1460: 8 MB" \
	in_ns world timeout 120 iperf3 -n 8M -c "$(lab pod ip m1280 4)"
finish
