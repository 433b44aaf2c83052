#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The daemon is killed at random instants while it runs requests of the control socket: what it finds again is exactly the
# state before or after each request, and after each acknowledged one; pods that are attached talk (see kill.py).
#
#   SLUICE_KILLS=200   how many times
#   SLUICE_SEED=N      of the random numbers, to repeat a run (it is printed)
. "$(dirname "$0")/lib.sh"
kills=${SLUICE_KILLS:-$((${slow:-0} ? 50 : 200))}
seed=${SLUICE_SEED:-$RANDOM}

lab_start
lab daemon stop
# Restarts are what takes the time, and most of it is buffers.
printf 'memory: {size: 512, mbufs: 16384}\n' >>"$run/sluice.yaml"
echo "# seed $seed"
check "killed $kills times: the state is that before or after each request, and pods that are attached talk" \
	eval "'$top/tests/e2e/kill.py' --sluiced '$(binary sluiced)' --config '$run/sluice.yaml' --socket '$run/control.sock' \
		--log '$run/daemon.log' --prefix '$SLUICE_LAB_PREFIX' --kills $kills --seed $seed >'$scratch/kill.json'"
echo "# $(cat "$scratch/kill.json")"
check_at_least "kills that left a request unanswered" \
	"$(jq '.found_before + .found_after' "$scratch/kill.json")" $((kills / 4))
check_at_least "unanswered requests that were done" "$(jq .found_after "$scratch/kill.json")" 1
check_at_least "unanswered requests that were not done" "$(jq .found_before "$scratch/kill.json")" 1
check_at_most "restart to forwarding in ms, median" \
	"$(jq .restart_to_forwarding_ms.median "$scratch/kill.json")" $((${slow:-0} ? 8000 : 2000))
check "the daemon starts again" lab daemon start
finish
