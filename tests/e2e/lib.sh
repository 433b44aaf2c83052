# SPDX-License-Identifier: Apache-2.0
# What the end-to-end tests share. A test is tests/e2e/NAME_test.sh; it brings up a lab of its own, and prints TAP.
#
#   SLUICE_BUILD=DIR       the build to test (default: build)
#   SLUICE_LAB_PREFIX      the lab's prefix (default: from the test's name)
#   SLUICE_TEST_SLOW=1     the build is a slow one (sanitizers): less traffic, wider bounds
# shellcheck shell=bash
set -u

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
test_name=$(basename "$0" _test.sh)
export SLUICE_LAB_PREFIX=${SLUICE_LAB_PREFIX:-e${test_name:0:11}}
export SLUICE_BUILD=${SLUICE_BUILD:-$top/build}
slow=${SLUICE_TEST_SLOW:-}
stop_ms=$((${slow:-0} ? 10000 : 2000))
run=/run/sluice-lab-$SLUICE_LAB_PREFIX
scratch=$(mktemp -d "${TMPDIR:-/tmp}/sluice-$test_name.XXXXXX")
# shellcheck disable=SC2034
world4=10.9.0.1 world6=fd00:9::1
checks=0 failures=0

[ "$(id -u)" -eq 0 ] || { echo "Bail out! $0 needs root"; exit 1; }

lab() {
	"$top/scripts/lab" "$@"
}

in_ns() { # NODE CMD...
	lab exec "$@"
}

# Both print one check's line.
ok() {
	checks=$((checks + 1))
	echo "ok $checks - $1"
}

not_ok() { # TEXT [DETAIL]
	checks=$((checks + 1)) failures=$((failures + 1))
	echo "not ok $checks - $1"
	[ -z "${2:-}" ] || printf '%s\n' "$2" | tail -n 30 | sed 's/^/# /'
}

# Runs a command as a check: it holds if the command succeeds. Usage: check TEXT CMD...
check() {
	local text=$1 output
	shift
	if output=$("$@" 2>&1); then
		ok "$text"
	else
		not_ok "$text" "$* said: $output"
	fi
}

# Usage: check_at_most TEXT VALUE BOUND; whole numbers. An empty VALUE (nothing was measured) fails.
check_at_most() {
	if [[ "$2" =~ ^[0-9]+$ ]] && [ "$2" -le "$3" ]; then
		ok "$1 ($2, at most $3)"
	else
		not_ok "$1" "got '$2', may be at most $3"
	fi
}

check_at_least() {
	if [[ "$2" =~ ^[0-9]+$ ]] && [ "$2" -ge "$3" ]; then
		ok "$1 ($2, at least $3)"
	else
		not_ok "$1" "got '$2', must be at least $3"
	fi
}

check_equal() { # TEXT GOT WANTED
	if [ "$2" = "$3" ]; then
		ok "$1"
	else
		not_ok "$1" "got '$2', wanted '$3'"
	fi
}

# Waits until a command succeeds. Usage: wait_until SECONDS CMD...
wait_until() {
	local end=$((SECONDS + $1))
	shift
	until "$@" >/dev/null 2>&1; do
		[ "$SECONDS" -lt "$end" ] || return 1
		sleep 0.1
	done
}

# The lab, the daemon, and pods. Usage: lab_start POD:RANGE...; without it nothing can be tested, so it ends the test.
lab_start() {
	local pod
	{
		lab down && lab up && lab daemon start && for pod in "$@"; do
			lab pod add "${pod%:*}" "${pod#*:}" || exit 1
		done
	} >"$scratch/start.log" 2>&1 || {
		not_ok "the lab, the daemon and the pods $* come up" "$(cat "$scratch/start.log")"
		finish
	}
	ok "the lab, the daemon and the pods $* come up"
	for pod in "$@"; do
		wait_until 20 pod_known "${pod%:*}" ||
			not_ok "both ToRs know of pod ${pod%:*}" "$(in_ns tor0 ip neigh; in_ns tor1 ip neigh)"
	done
}

# Has each ToR a route to the pod, and the world both?
pod_known() {
	local v tor
	for v in 4 6; do
		for tor in tor0 tor1; do
			[ -n "$(in_ns $tor ip -$v route show "$(lab pod ip "$1" $v)" proto 200)" ] || return 1
		done
		[ "$(in_ns world ip -$v route show "$(lab pod ip "$1" $v)" | grep -c nexthop)" -eq 2 ] || return 1
	done
}

# The sum of a drop reason over all ports.
drops() {
	lab ctl --json stats | jq --arg name "$1" '.totals.drops[$name]'
}

# Packets that the node sent to a ToR.
tor_received() {
	in_ns "tor$1" cat /sys/class/net/s0/statistics/rx_packets
}

# Starts a UDP echo server on port 7777 of a node.
echo_server() {
	in_ns "$1" "$top/scripts/lib/udp-probe" serve 7777 >/dev/null 2>&1 &
	disown
	wait_until 5 udp_port_open "$1" 7777
}

udp_port_open() {
	in_ns "$1" ss -Hlun "sport = :$2" | grep -q .
}

tcp_port_open() {
	in_ns "$1" ss -Hltn "sport = :$2" | grep -q .
}

# Usage: probe NODE ADDRESS [udp-probe's options]; prints its JSON.
probe() {
	local node=$1 address=$2
	shift 2
	in_ns "$node" "$top/scripts/lib/udp-probe" run "$address" 7777 "$@"
}

# received + originated = sent + drops + in flight, exactly, once traffic has ended.
sum_rule_holds() {
	lab ctl --json stats | jq -e '.totals | .rx + .originated == .tx + ([.drops[]] | add) + .in_flight'
}

# Looks for forged frames on a device until forged_seen. Usage: forged_watch NODE DEVICE
watchers=()
forged_watch() {
	local ns=$SLUICE_LAB_PREFIX-$1
	[ -e "/run/netns/$ns" ] || ns=$SLUICE_LAB_PREFIX-pod-$1
	ip netns exec "$ns" "$top/scripts/lib/raw-frames" watch "$2" >"$scratch/forged-$1" &
	watchers+=("$!:$1")
}

# Prints `NODE:COUNT` for each node where forged frames came out.
forged_seen() {
	local watcher count
	sleep 0.5 # what is under way arrives
	for watcher in "${watchers[@]}"; do
		kill -TERM "${watcher%%:*}"
		wait "${watcher%%:*}"
		count=$(cat "$scratch/forged-${watcher#*:}")
		[ "$count" = 0 ] || echo "${watcher#*:}:${count:-failed}"
	done
	watchers=()
}

# Sends forged frames from a pod. Usage: forge POD KIND [COUNT]
forge() {
	in_ns "$1" "$top/scripts/lib/raw-frames" send eth0 "$2" --count "${3:-5}" \
		--ip4 "$(lab pod ip "$1" 4)" --ip6 "$(lab pod ip "$1" 6)" \
		--gateway4 "$(in_ns "$1" ip -4 route show default | awk '{print $3}')" \
		--gateway6 "$(in_ns "$1" ip -6 route show default | awk '{print $3}')"
}

# Ends the test: what must hold after each, the plan, the exit status.
finish() {
	local log=$run/sluiced.log
	trap - EXIT INT TERM
	if [ -e "$run/sluiced.pid" ]; then
		check "the sum rule holds at the end" wait_until 5 sum_rule_holds
		check "the daemon stops on SIGTERM within $((stop_ms / 1000)) s" daemon_stops_in_time
	fi
	if [ -e "$log" ]; then
		if grep -qE 'AddressSanitizer|LeakSanitizer|runtime error:' "$log"; then
			not_ok "no sanitizer report in the daemon's log" "$(grep -A 25 -m1 -E 'Sanitizer|runtime error:' "$log")"
		fi
		[ "$failures" -eq 0 ] || { echo "# end of the daemon's log:"; tail -n 30 "$log" | sed 's/^/# /'; }
	fi
	lab down
	rm -rf "$scratch"
	echo "1..$checks"
	[ "$failures" -eq 0 ]
	exit
}

daemon_stops_in_time() {
	local pid start end
	pid=$(lab daemon pid) || return 1
	start=$(date +%s%N)
	kill -TERM "$pid"
	wait_until 10 eval "! kill -0 $pid"
	end=$(date +%s%N)
	echo "it took $(((end - start) / 1000000)) ms"
	[ $(((end - start) / 1000000)) -lt $stop_ms ]
}

aborted() {
	echo "Bail out! $test_name was interrupted"
	lab down
	rm -rf "$scratch"
	exit 130
}
trap aborted INT TERM
trap 'lab down; rm -rf "$scratch"' EXIT
