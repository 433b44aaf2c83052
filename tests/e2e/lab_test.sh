#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The lab itself: what it promises to the other tests.
. "$(dirname "$0")/lib.sh"

# An announcement as the daemon makes it, by hand, from both uplinks.
announce() {
	in_ns node /usr/bin/python3 - "$1" <<'PY'
import socket, sys
mac = bytes.fromhex("02005e100001")
ip = socket.inet_aton(sys.argv[1])
for device in ("up0", "up1"):
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    sock.bind((device, 0))
    sock.send(b"\xff" * 6 + mac + bytes.fromhex("08060001080006040001") + mac + ip + bytes(6) + ip + bytes(18))
PY
}

ways() { # ADDRESS COUNT: has the world so many next hops?
	local n
	n=$(in_ns world ip route show "$1" | grep -c ' dev w[01]')
	[ "$n" -eq "$2" ]
}

lab down
check "up" lab up
check "up again" lab up
check "status of a lab that is up" lab status
check "the world is reached from tor0" in_ns tor0 ping -c 1 -W 10 $world4
announce 10.1.10.77
check "a pod's announcement gives the world a way through each ToR" wait_until 60 ways 10.1.10.77 2
check "tor0 goes down" lab tor down 0
check "the world goes through tor1 only" wait_until 60 ways 10.1.10.77 1
check_equal "the node sees no carrier" "$(in_ns node cat /sys/class/net/up0/carrier)" 0
check "tor0 comes back" lab tor up 0
check_equal "tor0 has forgotten the pod" "$(in_ns tor0 ip neigh show dev s0 10.1.10.77)" ""
announce 10.1.10.77
check "announced again, both ways are there" wait_until 60 ways 10.1.10.77 2
lab tor hang 1
check "the world notices that tor1 hangs" wait_until 60 ways 10.1.10.77 1
check_equal "a ToR that hangs keeps the carrier" "$(in_ns node cat /sys/class/net/up1/carrier)" 1
check "tor1 comes back" lab tor up 1
check "both ways are there again" wait_until 60 ways 10.1.10.77 2
check "down" lab down
check_equal "nothing is left" "$(ip netns list | grep "^$SLUICE_LAB_PREFIX-"; ls -d "$run" 2>/dev/null)" ""
check "down again" lab down

# The same with a SmartNIC in software.
answers() { # ADDRESS: of three pings from the world, without one that is answered twice
	in_ns world ping -c 3 -i 0.2 -W 10 "$1" >"$scratch/ping"
	grep -q '3 received, 0% packet loss' "$scratch/ping"
}

in_nic() { # POD: are its rules there?
	lab ctl --json rules | jq -e --arg owner "$SLUICE_LAB_PREFIX-$1/eth0" \
		'[.rules[] | select(.owner == $owner) | .in_nic] | length == 4 and all'
}

check "up with a NIC" lab up --nic
check "up again" lab up --nic
check "a lab with a NIC is not taken for one without" eval '! lab up'
check "the daemon starts" lab daemon start
check "a pod on a VF" lab pod add a 0 vf
check "a pod on a veth" lab pod add b 1
check "its rules are in the NIC" wait_until 60 in_nic a
check "those of the pod on a veth are not" eval '! in_nic b'
for pod in a b; do
	check "both ToRs know of pod $pod" wait_until 60 pod_known $pod
	check "the world reaches it" wait_until 60 answers "$(lab pod ip $pod 4)"
	check "by IPv6, too" wait_until 60 answers "$(lab pod ip $pod 6)"
done
check "and the node itself" wait_until 60 answers 10.1.0.10
check "pod to pod" pings a "$(lab pod ip b 6)"
lab status >"$scratch/status"
for text in "7 of 8 VFs" "pod a: vf0" "pod b: veth"; do
	check "status says $text" grep -q "$text" "$scratch/status"
done
for i in 1 2 3 4 5 6 7; do
	lab pod add v$i $((i % 2)) vf >"$scratch/add-$i.log" 2>&1 &
done
wait
check_equal "pods that are made at the same time get all VFs" "$(lab status | grep -c ': vf[0-7] ')" 8
check "there is no ninth" eval '! lab pod add w 0 vf'
check_equal "of which nothing stays" "$(ls "$run"/pods/w.* "/run/netns/$SLUICE_LAB_PREFIX-pod-w" 2>/dev/null)" ""
check "a pod gives its VF back" lab pod del v1
check "another gets it" lab pod add w 0 vf
check "and is reached" wait_until 60 answers "$(lab pod ip w 4)"
check "the daemon is killed" lab daemon kill
check "and started again" lab daemon start
check "the pods' rules are in the NIC again" wait_until 60 eval 'in_nic a && in_nic w'
check "the world reaches a pod that was not attached again" wait_until 60 answers "$(lab pod ip w 4)"
finish
