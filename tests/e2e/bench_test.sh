#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The benchmark itself: its generator's frames, a short run, its reports. What it measures here is worth nothing.
. "$(dirname "$0")/lib.sh"

end() {
	trap - EXIT
	stop_process "$scratch/testpmd.pid"
	rm -rf "$scratch"
	echo "1..$checks"
	[ "$failures" -eq 0 ]
	exit
}
trap 'stop_process "$scratch/testpmd.pid"; rm -rf "$scratch"' EXIT

skip_all() {
	echo "1..0 # SKIP $1"
	trap - EXIT
	rm -rf "$scratch"
	exit 0
}

plugin=$build/tests/bench/net_gen/libnet_gen_plugin.so
testpmd=$("$top/scripts/third-party" dpdk)/bin/dpdk-testpmd
[ -z "$slow" ] || skip_all "dpdk-testpmd does not load a driver with sanitizers in it"
[ -e "$plugin" ] || skip_all "net_gen is built with the bundled DPDK only"
[ "$(nproc)" -ge 2 ] || skip_all "it needs two CPUs"

# What net_gen makes, written to a pcap file at 20,000 frames a second. Usage: record FILE ARGUMENTS
record() {
	mkfifo "$1.in"
	exec 6<>"$1.in"
	start_process "$scratch/testpmd.pid" "$1.log" sh -c "exec '$testpmd' --no-huge --no-shconf --no-pci --no-telemetry \
		-m 600 -l 0,1 -d '$plugin' --vdev 'net_gen0,rate=20000,$2' --vdev 'net_pcap0,tx_pcap=$1' -- -i --no-flush-rx \
		--nb-cores=1 --total-num-mbufs=4096 <'$1.in'"
	echo start >&6
	wait_until 60 file_has "$1" 600000 || tail -n 20 "$1.log"
	echo quit >&6
	wait_until 60 eval "! process_alive '$scratch/testpmd.pid'"
	exec 6>&-
}

file_has() { # FILE BYTES
	[ -s "$1" ] && [ "$(stat -c %s "$1")" -ge "$2" ]
}

frames() {
	python3 "$top/tests/e2e/bench_frames.py" "$@"
}

record "$scratch/v4" pods=506,flows=1000
check "IPv4: 506 pods, 1,000 flows, sound checksums, 60 bytes" frames "$scratch/v4" ip=4 pods=506 flows=1000 size=60
record "$scratch/v6" ip=6,pods=20,flows=100,size=128
check "IPv6: 20 pods, 100 flows, sound checksums, 128 bytes" frames "$scratch/v6" ip=6 pods=20 flows=100 size=128
record "$scratch/imix" pods=1,flows=500,size=imix
check "IMIX has frames of three sizes" frames "$scratch/imix" ip=4 pods=1 flows=500 size=60,590,1514
record "$scratch/attack" pods=1,flows=1,attack_every=2
check "every second frame is the attack's, with one bit of three fields different" \
	frames "$scratch/attack" ip=4 attack=0.5
record "$scratch/capture" "capture=$scratch/v4,pods=7"
check "a capture's frames go to the benchmark's pods" frames "$scratch/capture" ip=4 pods=7 size=60

bench() {
	"$top/scripts/bench" --build "$build" --quick --rounds 1 "$@"
}

refused() { # ARGUMENTS: with status 2 and a sentence
	bench "$@" 2>"$scratch/refused"
	[ $? -eq 2 ] && grep -q "^scripts/bench: error: " "$scratch/refused"
}
check "a case that is not there is refused" refused --cases nonsense
check "a report that could not be written is refused" refused --json /nowhere/r.json
check "a measure without the system that it is of is refused" refused --cases attach --systems sluice
check "no rounds at all are refused" refused --rounds 0
check "a capture that is not there is refused" refused --pcap /nowhere/c.pcap
check "a run with two cases, testpmd and Sluice" bench --cases '506p-1kf,506p-1kf-attacked' \
	--systems testpmd-io,sluice --json "$scratch/r.json" --html "$scratch/r.html"
check_equal "each case and system has a row" \
	"$(jq -r '[.results[] | .name + " " + .system] | sort | join(", ")' "$scratch/r.json")" \
	"506p-1kf sluice, 506p-1kf testpmd-io, 506p-1kf-attacked sluice, 506p-1kf-attacked testpmd-io"
check "cycles are numbers above 1, in order" jq -e '.results | all(.cycles | .min > 1 and .min <= .median and .median <= .max)' "$scratch/r.json"
check "targets are judged where they were measured, and only there" jq -e '.targets | all((.value == null) == (.met == null)) and
	any(.met != null) and any(.met == null)' "$scratch/r.json"
check "nothing failed" jq -e '.failures == []' "$scratch/r.json"
check "the report is well-formed and needs no other file" python3 "$top/tests/e2e/bench_page.py" "$scratch/r.html"
check "a run fed from a capture" bench --pcap "$scratch/v4" --systems sluice --json "$scratch/c.json"
check_equal "it has one case" "$(jq -r '.results[].name' "$scratch/c.json")" 506p-capture

# Two ways to count, and each system's own.
check "the generator's counters are those of testpmd and sluiced" bench --cases check --systems testpmd-io,sluice-64ports \
	--json "$scratch/check.json"
check_equal "both were asked" "$(jq -r '[.measures[].system] | join(" ")' "$scratch/check.json")" "testpmd-io sluice-64ports"

# Ended in the middle.
mkdir "$scratch/tmp"
TMPDIR=$scratch/tmp "$top/scripts/bench" --build "$build" --quick --rounds 100 --cases 506p-1f --systems testpmd-io,sluice \
	--json "$scratch/i.json" >"$scratch/i.out" 2>"$scratch/i.err" &
bench_pid=$!
wait_until 120 grep -q "round 1 sluice" "$scratch/i.err"
kill -TERM "$bench_pid"
wait "$bench_pid"
check_equal "a run that is ended says so by its status" "$?" 130
check "it has reported what it had" jq -e '(.results | length > 0) and (.failures | length == 1)' "$scratch/i.json"
check_equal "it leaves no files" "$(ls "$scratch/tmp")" ""
check "it leaves no processes" eval '! pgrep -f "$scratch/tmp"'
end
