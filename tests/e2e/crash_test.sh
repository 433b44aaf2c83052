#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The daemon is killed at random instants of attaching and detaching: see crash.py. (Requests of the control socket: kill_test.sh.)
. "$(dirname "$0")/lib.sh"
seed=${SLUICE_TEST_SEED:-$RANDOM}

lab_start a:0 b:1
echo "# SLUICE_TEST_SEED=$seed repeats the instants"
check "each kill leaves the state before the request or after it" env python3 "$top/tests/e2e/crash.py" \
	"$SLUICE_LAB_PREFIX" "$run" "$top/scripts/lab" "$(binary sluice)" "$(binary sluicectl)" $((${slow:-0} ? 20 : 60)) "$seed"
check "the pods that were there all the time still reach each other" \
	wait_until 60 in_ns a ping -n -c 1 -W 5 "$(lab pod ip b 4)"
check_equal "no network device is left of the others" "$(in_ns node ls /sys/class/net | grep -c ^sl)" 2
check_equal "no address is left of the others" "$(find "$run/ipam" -type f -name '[0-9f]*' | wc -l)" 4
finish
