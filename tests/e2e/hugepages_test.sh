#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Huge pages that are free when the daemon looks, and gone when it takes them: it does without. Here the kernel's count of
# them, for this daemon alone, promises a million of which it has none to give.
. "$(dirname "$0")/lib.sh"

promised=/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages
# More than there really are.
size=$((512 + 2 * $(cat $promised)))
cat >"$scratch/sluice.yaml" <<EOT
uplinks: [{name: up0, devargs: "net_null0,no-rx=1"}]
ranges: [{subnet: 10.1.10.0/24, gateway: 10.1.10.1}]
memory: {size: $size}
socket: {path: $scratch/control.sock}
state: $scratch/state.db
EOT
echo 1000000 >"$scratch/promised"
unshare --mount bash -c "mount --bind '$scratch/promised' $promised && exec '$(binary sluiced)' --config '$scratch/sluice.yaml'" \
	>"$scratch/log" 2>&1 &
daemon=$!
trap 'kill $daemon; rm -rf "$scratch"' EXIT

status() {
	"$(binary sluicectl)" --socket "$scratch/control.sock" --json status
}

wait_until 60 status >/dev/null 2>&1
check_equal "the daemon is ready, without huge pages" "$(status | jq .memory.hugepages)" false
check "it says why" grep -q "starting again without huge pages" "$scratch/log"
kill -0 $daemon && check_equal "it is the same process" "$(readlink "/proc/$daemon/exe")" "$(realpath "$(binary sluiced)")"
kill -TERM $daemon
wait $daemon
check_equal "it stops as always" $? 0
[ "$failures" -eq 0 ] || sed 's/^/# /' "$scratch/log"
finish
