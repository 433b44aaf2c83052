#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Does testpmd read the lines of flow_golden/? Its net_null has no rte_flow, so it answers "Function not implemented"
# to a line that it understands and "Bad arguments" to any other.
# usage: flow_testpmd_test.sh TESTPMD GOLDEN_DIR
set -u

testpmd=$1
lines=("$2"/*.txt)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

{
	for file in "${lines[@]}"; do cat "$file"; done
	echo 'flow create 0 group 2 transfer pattern eth sorce is 02:00:00:00:00:01 / end actions drop / end'
	echo quit
} >"$work/in"
# The golden lines name ports 0 to 3.
timeout 60 "$testpmd" --no-huge --no-pci --no-shconf -m 256 -l 0,1 --vdev net_null0 --vdev net_null1 \
	--vdev net_null2 --vdev net_null3 -- -i --total-num-mbufs=2048 <"$work/in" >"$work/out" 2>&1
if ! grep -q '^testpmd> ' "$work/out"; then
	echo "1..0 # SKIP testpmd does not start here: $(grep -m1 -i 'error\|cause' "$work/out")"
	exit 0
fi
# One word for each command, in order.
mapfile -t answers < <(sed -n 's/^Bad arguments$/bad/p; s/.*Function not implemented$/understood/p' "$work/out")

echo "1..$((${#lines[@]} + 1))"
for i in "${!lines[@]}"; do
	ok='not ok'
	[ "${answers[$i]:-}" = understood ] && ok=ok
	echo "$ok $((i + 1)) - ${lines[$i]##*/} is a line testpmd understands"
done
ok='not ok'
[ "${answers[-1]:-}" = bad ] && [ ${#answers[@]} -eq $((${#lines[@]} + 1)) ] && ok=ok
echo "$ok $((${#lines[@]} + 1)) - a line with a mistake is refused"
