# SPDX-License-Identifier: Apache-2.0
# What the end-to-end tests share. A test is tests/e2e/NAME_test.sh; it brings up a lab of its own, and prints TAP.
#
#   SLUICE_BUILD=DIR       the build to test (default: build)
#   SLUICE_LAB_PREFIX      the lab's prefix (default: from the test's name)
#   SLUICE_TEST_SLOW=1     the build is a slow one (sanitizers): less traffic, wider bounds
# shellcheck shell=bash
set -u

. "$(dirname "${BASH_SOURCE[0]}")/../../scripts/lib/common.sh"
need_root
test_name=$(basename "$0" _test.sh)
short_name=${test_name//_/}
export SLUICE_LAB_PREFIX=${SLUICE_LAB_PREFIX:-e${short_name:0:7}}
export SLUICE_BUILD=$build
slow=${SLUICE_TEST_SLOW:-}
stop_ms=$((${slow:-0} ? 10000 : 2000))
scratch=$(mktemp -d "${TMPDIR:-/tmp}/sluice-$test_name.XXXXXX")
. "$top/scripts/lib/lab-use.sh"
checks=0 failures=0

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

# The same of what a command prints in the end, for what takes its time. Usage: check_becomes TEXT WANTED CMD...
check_becomes() {
	local text=$1 wanted=$2 end=$((SECONDS + 60)) got
	shift 2
	until got=$("$@"); [ "$got" = "$wanted" ] || [ "$SECONDS" -ge "$end" ]; do
		sleep 0.1
	done
	check_equal "$text" "$got" "$wanted"
}

check_equal() { # TEXT GOT WANTED
	if [ "$2" = "$3" ]; then
		ok "$1"
	else
		not_ok "$1" "got '$2', wanted '$3'"
	fi
}

# All of three pings come back. On a machine that is busy with other things the lab itself may lose one (its ToRs are the
# kernel, and the world's BIRD takes a ToR for dead if it gets no CPU for a second), so one go of three must be without loss.
pings() { # NODE ADDRESS [ping's options]
	local node=$1 address=$2 try
	shift 2
	for try in 1 2 3; do
		in_ns "$node" ping -n -q -c 3 -i 0.2 -W 10 "$@" "$address" | tee "$scratch/ping" |
			grep -q ' 0% packet loss' && return
		cat "$scratch/ping"
	done
	return 1
}

# Runs a command that measures, up to three times, until it measures what is wanted: whatever else the machine does can
# make a measurement worse, not better. The checks that follow judge the last. Usage: measure WANTED CMD...; a CMD that
# fails is not repeated.
measure() {
	local wanted=$1 try
	shift
	for try in 1 2 3; do
		"$@" || return
		eval "$wanted" >/dev/null 2>&1 && return
		echo "# measured $try times: not $wanted" >&3
	done
	return 0
}
exec 3>&1

lab_make() {
	local pod
	# shellcheck disable=SC2086
	lab down && lab up ${lab_options:-} && lab daemon start || return 1
	for pod in "$@"; do
		# shellcheck disable=SC2086
		lab pod add ${pod//:/ } || return 1
	done
}

# The lab, the daemon, and pods. Usage: lab_start POD:RANGE[:vf]...; without it nothing can be tested, so it ends the test.
# lab_options=--nic lab_start... makes a lab with a SmartNIC in software, which has VFs.
lab_start() {
	local pod
	lab_make "$@" >"$scratch/start.log" 2>&1 || {
		not_ok "the lab, the daemon and the pods $* come up" "$(cat "$scratch/start.log")"
		finish
	}
	ok "the lab, the daemon and the pods $* come up"
	for pod in "$@"; do
		wait_until 60 pod_known "${pod%%:*}" ||
			not_ok "both ToRs know of pod ${pod%%:*}" "$(in_ns tor0 ip neigh; in_ns tor1 ip neigh)"
	done
}

# received + originated = sent + drops + in flight, exactly, once traffic has ended.
sum_rule_holds() {
	lab ctl --json stats | jq -e '.totals | .rx + .originated == .tx + ([.drops[]] | add) + .in_flight'
}

# What must hold of a daemon at its end.
daemon_ends() {
	local log=$run/daemon.log
	if [ -e "$run/daemon.pid" ]; then
		check "the sum rule holds at the end" wait_until 60 sum_rule_holds
		check "the daemon stops on SIGTERM within $((stop_ms / 1000)) s" daemon_stops_in_time
	fi
	if [ -e "$log" ]; then
		if grep -qE 'AddressSanitizer|LeakSanitizer|runtime error:' "$log"; then
			not_ok "no sanitizer report in the daemon's log" "$(grep -A 25 -m1 -E 'Sanitizer|runtime error:' "$log")"
		fi
		[ "$failures" -eq 0 ] || { echo "# end of the daemon's log:"; tail -n 30 "$log" | sed 's/^/# /'; }
	fi
}

# Ends the test: the daemon, the plan, the exit status.
finish() {
	trap - EXIT INT TERM
	daemon_ends
	lab down
	rm -rf "$scratch"
	echo "1..$checks"
	[ "$failures" -eq 0 ]
	exit
}

# Sets took to the ms.
daemon_stop_timed() {
	local pid start
	process_alive "$run/daemon.pid" || lab daemon start || return 1
	pid=$(lab daemon pid)
	start=$(date +%s%N)
	kill -TERM "$pid"
	wait_until 60 process_ended "$pid"
	took=$((($(date +%s%N) - start) / 1000000))
	echo "it took $took ms"
}

daemon_stops_in_time() {
	local took
	process_alive "$run/daemon.pid" && measure "[ \$took -lt $stop_ms ]" daemon_stop_timed && [ "$took" -lt $stop_ms ]
}

aborted() {
	echo "Bail out! $test_name was interrupted"
	lab down
	rm -rf "$scratch"
	exit 130
}
trap aborted INT TERM
trap 'lab down; rm -rf "$scratch"' EXIT
