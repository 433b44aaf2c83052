#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The programs of docs/hardware.md, given to the machine's testpmd on net_esw in the modes that behave as mlx5: testpmd
# takes every line, and packets go from pod to pod by the rules alone.
# shellcheck disable=SC2317 # functions that check calls
. "$(dirname "$0")/lib.sh"

p=nesh$$-
dir=$scratch
eal="--no-huge --legacy-mem --no-pci --no-shconf -m 256 -l 0,1"

clean() {
	local name pidfile
	for pidfile in "$dir"/*.pid; do [ -e "$pidfile" ] && stop_process "$pidfile"; done
	for name in a b; do ip netns del "$p$name" 2>/dev/null; done
}
trap 'clean; rm -rf "$scratch"' EXIT
trap 'exit 130' INT TERM

skip() {
	echo "1..0 # SKIP $1"
	exit 0
}
command -v dpdk-testpmd >/dev/null || skip "dpdk-testpmd is not installed (Debian: dpdk-dev)"
so=$("$top/scripts/net-esw-so" 2>"$dir/so.log") || skip "no plugin: $(tail -n 1 "$dir/so.log")"

program() { # NAME
	sed -n "/^\`\`\`testpmd $1\$/,/^\`\`\`\$/p" "$top/docs/hardware.md" | grep -v '^```'
}

# The VFs become the document's pods. Their gateway is the router, which answers no ARP here.
pods() { # TAP-PREFIX
	local i=0 name
	for name in a b; do
		ip netns del "$p$name" 2>/dev/null
		ip netns add "$p$name" || return 1
		wait_until 60 ip link show "$1$i" || return 1
		ip link set "$1$i" netns "$p$name" name eth0 || return 1
		ip -n "$p$name" link set eth0 address "0a:58:0a:01:0a:0$((5 + i))"
		ip -n "$p$name" addr add "10.1.10.$((5 + i))/32" dev eth0
		ip -n "$p$name" link set eth0 up
		ip -n "$p$name" neigh replace 10.1.10.1 lladdr 02:00:5e:00:53:01 dev eth0
		ip -n "$p$name" route add 10.1.10.1 dev eth0
		ip -n "$p$name" route add default via 10.1.10.1
		i=$((i + 1))
	done
}

start() { # NUMBER MODE
	local number=$1 mode=$2
	# shellcheck disable=SC2086
	start_process "$dir/$mode.pid" "$dir/$mode.log" sh -c "exec stdbuf -oL dpdk-testpmd $eal -d '$so' --vdev \
		'net_esw$number,vfs=2,vf=tap:nesh$number-,representor=vf[0-1],mode=$mode' -- -i --total-num-mbufs=4096 \
		--no-flush-rx <'$dir/$mode.in'"
	pods "nesh$number-"
}

finish() { # MODE
	printf '%s\n' "show port xstats 1" quit >&5
	wait_until 60 eval "! process_alive '$dir/$1.pid'" && rm -f "$dir/$1.pid"
}

ping_through() {
	local said
	said=$(ip netns exec "${p}a" ping -f -q -c 1000 -W 20 10.1.10.6 2>&1)
	echo "$said"
	[[ "$said" == *' 0% packet loss'* ]]
}

# The value of an extended counter in testpmd's output.
counter() { # MODE NAME
	sed -n "s/^$2: \([0-9]*\)\$/\1/p" "$dir/$1.log"
}

# Ten pings of three fragments each, which a rule leaves to the program, where nobody forwards.
send_fragments() {
	! ip netns exec "${p}a" ping -q -c 10 -i 0.1 -s 4000 -W 1 10.1.10.6
}

check_program() { # NAME MODE NUMBER FRAGMENTS
	local name=$1 mode=$2 number=$3 fragments=$4
	mkfifo "$dir/$mode.in"
	exec 5<>"$dir/$mode.in"
	check "$mode: testpmd starts" start "$number" "$mode"
	program "$name" >"$dir/$name"
	check_at_least "$mode: the document has a program" "$(wc -l <"$dir/$name")" 7
	cat "$dir/$name" >&5
	echo "set verbose 7" >&5 # so that the last line's end is seen
	check "$mode: testpmd has taken all lines" wait_until 60 grep -q "Change verbose level from .* to 7" "$dir/$mode.log"
	check "$mode: 1,000 packets from pod to pod and back" ping_through
	[ "$fragments" = 0 ] || check "$mode: fragments do not take that way" send_fragments
	check "$mode: testpmd ends" finish "$mode"
	check_equal "$mode: lines that testpmd or the NIC refused" \
		"$(grep -c 'Bad arguments\|Caught PMD error' "$dir/$mode.log")" 0
	[ "$fragments" = 0 ] || check_at_least "$mode: the first pod's fragments came to the program" \
		"$(counter "$mode" esw_to_app_packets)" "$fragments"
	check_at_most "$mode: packets of the first pod that came to the program" \
		"$(counter "$mode" esw_to_app_packets)" $((20 + fragments)) # neighbour and router solicitations
}

check_program sws mlx5-sws 93 30
check_equal "mlx5-sws: rules made" "$(grep -c 'Flow rule #[0-9]* created' "$dir/mlx5-sws.log")" "$(wc -l <"$dir/sws")"
check_program hws mlx5-hws 94 0
check "mlx5-hws: all four rules went in" grep -q 'pulled 4 operations (0 failed, 4 succeeded)' "$dir/mlx5-hws.log"
trap - EXIT INT TERM
clean
rm -rf "$scratch"
echo "1..$checks"
[ "$failures" -eq 0 ]
