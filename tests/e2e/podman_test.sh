#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A container runtime that nobody here wrote: podman's containers get pods by our plugin.
. "$(dirname "$0")/lib.sh"

lab_start

# podman takes lists of plugins, and gives addresses of its own when asked to (--ip).
for r in 0 1; do
	mkdir -p "$scratch/net.d"
	jq '{cniVersion, name, plugins: [del(.cniVersion, .name) + {capabilities: {mac: true, ips: true}}]}' \
		"$run/cni$r.json" >"$scratch/net.d/range$r.conflist"
done
mkdir -p "$scratch"/root/{bin,dev,etc,proc,sys,tmp}
cp /bin/busybox "$scratch/root/bin/"
for applet in sh ping wget httpd ip cat sleep; do
	ln -s busybox "$scratch/root/bin/$applet"
done
head -c 4000000 /dev/urandom >"$scratch/root/tmp/file"
cat >"$scratch/containers.conf" <<EOT
[containers]
# Else podman wants to raise its own, for which it needs CAP_SYS_RESOURCE.
default_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]
log_driver = "k8s-file"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "runc"
tmp_dir = "$scratch/tmp"
lock_type = "file"
[network]
network_backend = "cni"
cni_plugin_dirs = ["$build/cni", "/usr/lib/cni"]
network_config_dir = "$scratch/net.d"
EOT
cat >"$scratch/storage.conf" <<EOT
[storage]
driver = "vfs"
runroot = "$scratch/run"
graphroot = "$scratch/graph"
EOT

# podman on the node: in its network namespace, with the machine's file systems (`ip netns exec` would hide the cgroups).
podman() {
	CONTAINERS_CONF=$scratch/containers.conf CONTAINERS_STORAGE_CONF=$scratch/storage.conf \
		timeout 300 nsenter --net="/run/netns/$SLUICE_LAB_PREFIX-node" podman "$@"
}

# Usage: container NAME RANGE [podman's options] -- CMD...
container() {
	local name=$1 range=$2 options=()
	shift 2
	while [ "$1" != -- ]; do
		options+=("$1")
		shift
	done
	shift
	podman run -d --name "$name" --network "range$range" "${options[@]}" --rootfs "$scratch/root" "$@"
}

in_container() {
	podman exec "$@"
}

address() { # NAME RANGE 4|6
	local key=IPAddress
	[ "$3" = 4 ] || key=GlobalIPv6Address
	podman inspect "$1" | jq -r ".[0].NetworkSettings.Networks.range$2.$key"
}

inspected() { # NAME JQ-PATH
	podman inspect "$1" | jq -r ".[0].$2"
}

attached() { # NAME; its row of `pods`
	lab ctl --json pods | jq -c --arg name "$1" '.pods[] | select(.pod == $name)'
}

fetched() { # NAME ADDRESS
	[ "$(in_container "$1" wget -q -O - "http://$2/file" | sha256sum)" = "$(sha256sum <"$scratch/root/tmp/file")" ]
}

nothing_left() {
	[ "$(lab ctl --json pods | jq '.pods | length')" -eq 0 ] &&
		[ -z "$(in_ns node ip -o link show type veth | grep -E '^[0-9]+: sl')" ] &&
		[ -z "$(find "$run/ipam" -name '[0-9f]*[.:]*' ! -name 'last_reserved*')" ]
}

clean_up() {
	podman rm -f -t 0 -a >/dev/null 2>&1
}
trap 'clean_up; aborted' INT TERM
trap 'clean_up; lab down; rm -rf "$scratch"' EXIT

check "podman runs a container in the first range" container web 0 -- /bin/httpd -f -p 80 -h /tmp
check "podman runs a container in the second range" container client 1 -- /bin/sleep 1000
web4=$(address web 0 4) web6=$(address web 0 6)
check_equal "the daemon has both" "$(lab ctl --json pods | jq -c '[.pods[].pod] | sort')" '["client","web"]'
check_equal "podman reports the MAC that the daemon guards" "$(inspected web NetworkSettings.Networks.range0.MacAddress)" \
	"$(attached web | jq -r .mac)"
check "IPv4: container to container" in_container client ping -c 3 -W 10 "$web4"
check "IPv6: container to container" in_container client ping -6 -c 3 -W 10 "$web6"
check "IPv4: container to the world" in_container client ping -c 3 -W 10 $world4
check "IPv6: container to the world" in_container client ping -6 -c 3 -W 10 $world6
check "IPv4: the world to a container" in_ns world ping -q -c 3 -i 0.2 -W 10 "$web4"
check "4 MB by HTTP, container to container" fetched client "$web4"
check "4 MB by HTTP over IPv6" fetched client "[$web6]"
check "4 MB by HTTP, from a container to the world" eval \
	'[ "$(in_ns world timeout 120 curl -sg "http://$web4/file" | sha256sum)" = "$(sha256sum <"$scratch/root/tmp/file")" ]'

check "podman chooses the address and the MAC" \
	container chosen 0 --ip 10.1.10.99 --mac-address 02:aa:00:00:00:63 -- /bin/sleep 1000
check_equal "the daemon has them" "$(attached chosen | jq -c '[.mac, (.ips[] | select(contains(".")))]')" \
	'["02:aa:00:00:00:63","10.1.10.99"]'
check "it reaches the other container" in_container chosen ping -c 3 -W 10 "$web4"

# Its namespace vanishes, as with a crash: podman sends no DEL, and ADDs with the same container id.
namespace=$(inspected web NetworkSettings.SandboxKey) pid=$(inspected web State.Pid)
umount -l "$namespace"
rm -f "$namespace"
kill -KILL "$pid"
stopped() {
	[ "$(inspected web State.Status)" = exited ] && attached web | grep -q '"state":"down"'
}
check "a container's namespace vanishes, its attachment stays" wait_until 60 stopped
check "podman starts the container again" podman start web
check "it has a pod again" fetched client "$(address web 0 4)"
check_equal "and no other is left" "$(lab ctl --json pods | jq '.pods | length')" 3

check "podman stops a container" podman stop -t 0 web
check_equal "its pod has gone" "$(attached web)" ""
check "podman starts it once more" podman start web
check "it has a pod" fetched client "$(address web 0 4)"

lab daemon stop
check "podman gets an error while there is no daemon" eval '! container none 0 -- /bin/sleep 1000'
check "the daemon starts" lab daemon start
podman rm -f -t 0 none >/dev/null 2>&1
check "the containers have their pods" wait_until 60 fetched client "$(address web 0 4)"

check "podman removes all containers" podman rm -f -t 0 -a
check "nothing is left of them" wait_until 60 nothing_left
finish
