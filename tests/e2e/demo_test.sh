#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The demo: on a node with a SmartNIC in software, without one, and interrupted.
. "$(dirname "$0")/lib.sh"

# Its parts are tested so by others. Itself it shows how fast they are.
[ -z "$slow" ] || {
	echo "1..0 # SKIP the demo is for builds without sanitizers"
	exit 0
}

mkdir "$scratch/tmp"
left() { # what the demo has not removed
	ip netns list | grep "^$SLUICE_LAB_PREFIX-"
	ls -d "$run" "$scratch"/tmp/* 2>/dev/null
}

value() { # NAME
	jq -r --arg name "$1" '.checks[] | select(.name == $name) | .value' "$scratch/demo.json"
}

# What failed but for figures that tell how fast the machine is.
failed() {
	jq -r '.checks[] | select(.ok | not) | .name' "$scratch/demo.json" 2>&1 | grep -vE 'longest gap$|^CPU of '
}

demo() { # ARGUMENTS
	local status said
	TMPDIR=$scratch/tmp "$top/scripts/demo" --json "$scratch/demo.json" "$@" >"$scratch/demo.log" 2>&1
	status=$?
	said=$(tail -n 1 "$scratch/demo.log")
	check_equal "demo $*: nothing that counts fails" "$(failed)" ""
	check_equal "its last line and its exit status say the same ($said)" \
		"$status" "$([ "$said" = "demo: ok" ] && echo 0 || echo 1)"
	check_equal "nothing is left of it" "$(left)" ""
	[ "$failures" -eq 0 ] || sed 's/^/# /' "$scratch/demo.log"
}

lab down
check "nobody but root can run it" eval "! setpriv --reuid=65534 --clear-groups '$top/scripts/demo' >'$scratch/user.log' 2>&1"
check "and is told so" grep -q 'needs root' "$scratch/user.log"
check "arguments that it does not know are refused" eval "! '$top/scripts/demo' --nonsense 2>/dev/null"

demo
check_equal "12 rules of three pods are in the NIC" "$(value "the pods' rules are in the NIC")" 12
for way in "pod to pod" "pod to world" "world to pod"; do
	check_at_least "$way: packets by the NIC" "$(value "$way: by the NIC")" 1200
	check_equal "$way: packets by software" "$(value "$way: by software")" 0
done
check_at_least "a pod on a veth: packets by software" "$(value "pod on a veth: by software")" 1200

# Ctrl-C goes to all of the terminal's processes, here to those of a session.
# (Which a shell has its background processes ignore.)
TMPDIR=$scratch/tmp env --default-signal=INT setsid "$top/scripts/demo" --no-nic >"$scratch/demo.log" 2>&1 &
child=$!
check "the demo without a NIC goes on until it pings" wait_until 120 grep -q '^pod to world ' "$scratch/demo.log"
kill -INT -- "-$child"
wait $child
check_equal "Ctrl-C ends it" $? 130
check_equal "nothing is left of it" "$(left)" ""

demo --no-nic
check_equal "then no NIC is in the table" "$(jq '[.checks[] | select(.name | test("NIC"))] | length' "$scratch/demo.json")" 0
finish
