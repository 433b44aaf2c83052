# SPDX-License-Identifier: Apache-2.0
# What the scripts share: messages, checks of who and where we are, processes that are known by pid.
# shellcheck shell=bash

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
me=$(basename "$0")
build=${SLUICE_BUILD:-$top/build}

say() {
	echo "$me: $*" >&2
}

die() {
	say "$*"
	exit 1
}

need_root() {
	[ "$(id -u)" -eq 0 ] || die "needs root (namespaces, network devices): run 'sudo $0'"
}

# What the build makes: sluiced, sluicectl, and sluice, the CNI plugin.
binary() {
	case $1 in
	sluice) echo "$build/cni/sluice" ;;
	sluicectl) echo "$build/control/ctl/sluicectl" ;;
	*) echo "$build/control/$1" ;;
	esac
}

need_binaries() {
	local name
	for name in "$@"; do
		[ -x "$(binary "$name")" ] || die "$(binary "$name") is missing: build first (meson compile -C $build)"
	done
}

# A pid alone may name another process by now; with its start time it names one for ever.
process_start_time() {
	local stat
	stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
	# Field 22; the name in field 2 may hold blanks and parentheses, so count after the last one.
	# shellcheck disable=SC2086
	set -- ${stat##*) }
	echo "${20}"
}

# Starts a command as the leader of a session of its own, and records it. Usage: start_process PIDFILE LOG CMD...
start_process() {
	local pidfile=$1 log=$2 pid
	shift 2
	setsid "$@" >>"$log" 2>&1 </dev/null &
	pid=$!
	disown "$pid"
	echo "$pid $(process_start_time "$pid")" >"$pidfile"
}

process_alive() {
	local pid start now
	read -r pid start 2>/dev/null <"$1" || return 1
	now=$(process_start_time "$pid") || return 1
	[ -n "$start" ] && [ "$start" = "$now" ] && ! process_ended "$pid"
}

# A zombie whose other threads still run has not ended: they hold its files and devices.
process_ended() {
	local stat
	stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 0
	[[ "${stat##*) }" == Z* ]] && [ "$(find "/proc/$1/task" -mindepth 1 -maxdepth 1 2>/dev/null | wc -l)" -le 1 ]
}

process_pid() {
	local pid
	process_alive "$1" && read -r pid _ <"$1" && echo "$pid"
}

# Ends a recorded process and its children, and waits until it is gone. Usage: stop_process PIDFILE [SIGNAL]
stop_process() {
	local pidfile=$1 signal=${2:-TERM} pid i
	if pid=$(process_pid "$pidfile"); then
		kill "-$signal" -- "-$pid" 2>/dev/null || :
		for i in {1..100}; do
			process_alive "$pidfile" || break
			[ "$i" -lt 80 ] || kill -KILL -- "-$pid" 2>/dev/null || :
			sleep 0.05
		done
	fi
	rm -f "$pidfile"
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
