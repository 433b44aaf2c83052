#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# containerd's own client calls our plugin through its CNI library, as Kubernetes' runtime does: `ctr run --cni`.
. "$(dirname "$0")/lib.sh"

lab_start a:0

# ctr and containerd have these folders built in: in a mount namespace of their own they are the test's.
built_in=(/etc/cni/net.d /opt/cni/bin /run/containerd /var/lib/cni)
mkdir -p "$scratch"/{net.d,bin,run,cache,root/{bin,dev,etc,proc,sys,tmp}} "${built_in[@]}"
jq '{cniVersion: "1.0.0", name, plugins: [del(.cniVersion, .name)]}' "$run/cni0.json" >"$scratch/net.d/10-pods.conflist"
cp "$build/cni/sluice" /usr/lib/cni/host-local "$scratch/bin/"
cp /bin/busybox "$scratch/root/bin/"
for applet in sh ping httpd cat sleep; do
	ln -s busybox "$scratch/root/bin/$applet"
done
echo "from a container" >"$scratch/root/tmp/file"
cat >"$scratch/config.toml" <<EOT
version = 2
root = "$scratch/containerd"
state = "$scratch/state"
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.internal.v1.opt"]
[grpc]
address = "$scratch/containerd.sock"
EOT
node=/run/netns/$SLUICE_LAB_PREFIX-node
# shellcheck disable=SC2016
unshare --mount nsenter --net="$node" bash -c '
	from=("$0/net.d" "$0/bin" "$0/run" "$0/cache")
	for to; do
		mount --bind "${from[i++]}" "$to" || exit
	done
	exec containerd --config "$0/config.toml"' "$scratch" "${built_in[@]}" >"$scratch/containerd.log" 2>&1 &
containerd=$!

ctr() {
	timeout 60 nsenter --mount="/proc/$containerd/ns/mnt" --net="$node" ctr --address "$scratch/containerd.sock" "$@" </dev/null
}

# Usage: container NAME [ctr's options] -- CMD...; unless it is detached, ctr attaches and detaches its pod.
container() {
	local name=$1 options=()
	shift
	while [ "$1" != -- ]; do
		options+=("$1")
		shift
	done
	ctr run --cni --cgroup "" "${options[@]}" --rootfs "$scratch/root" "$name" "${@:2}"
}

# In one of three goes, as `pings` in lib.sh. Usage: reaches NAME CMD...
reaches() {
	local try
	for try in 1 2 3; do
		container "$1-$try" --rm -- "${@:2}" && return
	done
	return 1
}

attached() { # NAME; its row of `pods`
	lab ctl --json pods | jq -ce --arg id "default-$1" '.pods[] | select(.container_id == $id)'
}

address() { # NAME
	attached "$1" | jq -r '.ips[] | select(contains("."))'
}

fetched() { # NAME
	[ "$(in_ns world curl -s -m 5 "http://$(address "$1")/file")" = "from a container" ]
}

nothing_left() { # but the lab's own pod
	[ "$(lab ctl --json pods | jq '.pods | length')" -eq 1 ] &&
		[ "$(in_ns node ip -o link show type veth | grep -c -E '^[0-9]+: sl')" -eq 1 ] &&
		[ "$(find "$run/ipam" -name '[0-9f]*[.:]*' ! -name 'last_reserved*' | wc -l)" -eq 2 ]
}

# Ends the tasks, whose shims live on by themselves.
clean_up() {
	local task
	for task in $(ctr tasks list -q); do
		ctr tasks rm -f "$task"
	done
	kill "$containerd" && wait "$containerd"
	rmdir --ignore-fail-on-non-empty "${built_in[@]}" /opt/cni
} >/dev/null 2>&1
trap 'clean_up; aborted' INT TERM
trap 'clean_up; lab down; rm -rf "$scratch"' EXIT

check "containerd runs" wait_until 20 ctr version
a4=$(lab pod ip a 4) a6=$(lab pod ip a 6)
check "IPv4: container to the world" reaches c1 /bin/ping -c 3 -W 2 "$world4"
check "IPv6: container to the world" reaches c2 /bin/ping -6 -c 3 -W 2 "$world6"
check "container to a pod, by both" reaches c3 /bin/sh -c "ping -c 2 -W 2 $a4 && ping -6 -c 2 -W 2 $a6"
check "with the containers their pods have gone" wait_until 10 nothing_left

container web --rm -- /bin/httpd -f -p 80 -h /tmp >"$scratch/web.log" 2>&1 &
web=$!
check "the world to a container" wait_until 20 fetched web
lab daemon kill
check "the daemon starts after kill -9" lab daemon start
check "the container has its pod" wait_until 10 fetched web
check "containerd kills the container" ctr tasks kill -s KILL web
check "ctr ends" wait_until 20 process_ended $web
check "its pod has gone" wait_until 10 nothing_left

lab daemon stop
container none --rm -- /bin/sleep 1000 >"$scratch/none.log" 2>&1
check_equal "ctr passes on why there is no pod" \
	"$(grep -c 'sluiced: attach: .*no daemon is listening there; start sluiced' "$scratch/none.log")" 1
check "the daemon starts" lab daemon start
ctr tasks rm -f none >/dev/null 2>&1
ctr containers rm none >/dev/null 2>&1
check "no pod has come of it" wait_until 10 nothing_left

# ctr sends no DEL for a container that it has detached from; the next one of the same name has the same container id.
check "a detached container" container again -d -- /bin/httpd -f -p 80 -h /tmp
check "the world to it" wait_until 20 fetched again
check "its task ends without DEL" ctr tasks rm -f again
check "and the container goes" ctr containers rm again
check "its attachment stays, and is down" wait_until 10 eval 'attached again | grep -q "\"state\":\"down\""'
check "the same container once more" container again -d -- /bin/httpd -f -p 80 -h /tmp
check "it has a pod" wait_until 20 fetched again
check_equal "and no other is left" "$(lab ctl --json pods | jq '.pods | length')" 2
[ "$failures" -eq 0 ] || { echo "# end of containerd's log:"; tail -n 20 "$scratch/containerd.log" | sed 's/^/# /'; }
clean_up
finish
