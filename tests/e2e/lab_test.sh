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
check "the world is reached from tor0" in_ns tor0 ping -c 1 -W 2 $world4
announce 10.1.10.77
check "a pod's announcement gives the world a way through each ToR" wait_until 20 ways 10.1.10.77 2
check "tor0 goes down" lab tor down 0
check "the world goes through tor1 only" wait_until 10 ways 10.1.10.77 1
check_equal "the node sees no carrier" "$(in_ns node cat /sys/class/net/up0/carrier)" 0
check "tor0 comes back" lab tor up 0
check_equal "tor0 has forgotten the pod" "$(in_ns tor0 ip neigh show dev s0 10.1.10.77)" ""
announce 10.1.10.77
check "announced again, both ways are there" wait_until 20 ways 10.1.10.77 2
lab tor hang 1
check "the world notices that tor1 hangs" wait_until 20 ways 10.1.10.77 1
check_equal "a ToR that hangs keeps the carrier" "$(in_ns node cat /sys/class/net/up1/carrier)" 1
check "tor1 comes back" lab tor up 1
check "both ways are there again" wait_until 20 ways 10.1.10.77 2
check "down" lab down
check_equal "nothing is left" "$(ip netns list | grep "^$SLUICE_LAB_PREFIX-"; ls -d "$run" 2>/dev/null)" ""
check "down again" lab down
finish
