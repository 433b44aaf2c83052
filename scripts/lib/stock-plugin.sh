# SPDX-License-Identifier: Apache-2.0
# Builds a driver of ours as a plugin for the DPDK programs that are installed on the machine (dpdk-testpmd,
# OVS-DPDK), into the cache.
# shellcheck shell=bash

# Prints the plugin's path. Usage: stock_plugin NAME FOLDER [the compiler's options]
# The headers are those of the DPDK that scripts/third-party builds, with the configuration of Debian's libdpdk-dev:
# structures have other sizes there.
stock_plugin() {
	local name=$1 folder=$2 root dpdk version arch config key out so work bus
	shift 2
	root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
	dpdk=$("$root/scripts/third-party" dpdk)
	version=$(dpkg-query -W -f '${Version}' libdpdk-dev 2>/dev/null || :)
	arch=$(dpkg-architecture -qDEB_HOST_MULTIARCH)
	config=/usr/include/$arch/dpdk/rte_build_config.h
	[ -f "$config" ] || plugin_fails "$name" "libdpdk-dev is not installed: run 'sudo scripts/setup'"
	[ "${version%%-*}" = "$(sed -n 's/^Version: //p' "$dpdk/lib/pkgconfig/libdpdk.pc")" ] ||
		plugin_fails "$name" "the installed DPDK is $version, the one that the headers for drivers come from is another"

	key=$( (echo "$@"; cat "${BASH_SOURCE[0]}" "$folder"/*.[ch]; grep -m1 '^flags' /proc/cpuinfo) | sha256sum | cut -c1-12)
	out=$(dirname "$dpdk")/$name-${version//[^0-9A-Za-z.+-]/_}-$key
	so=$out/librte_$name.so
	exec 9>"$out.lock"
	flock 9 # another build of the same: wait for it and use it
	if [ ! -f "$so" ]; then
		work=$(mktemp -d "$out.XXXXXX")
		# shellcheck disable=SC2064
		trap "rm -rf '$work'" EXIT
		mkdir "$work/include"
		# The headers' strlcpy needs no libbsd.
		grep -v RTE_USE_LIBBSD "$config" >"$work/include/rte_build_config.h"
		bus=$(find "/usr/lib/$arch" -maxdepth 1 -name 'librte_bus_vdev.so.??')
		cc -shared -fPIC -g -std=gnu11 -D_GNU_SOURCE -DALLOW_INTERNAL_API -DALLOW_EXPERIMENTAL_API "$@" \
			-I"$root" -I"$work/include" -I"$dpdk/include" -include rte_config.h \
			-Wl,-soname,"librte_$name.so" -o "$work/so" "$folder"/*.c -Wl,--no-as-needed "$bus" -lm
		mkdir -p "$out"
		mv "$work/so" "$so"
	fi
	echo "$so"
}

plugin_fails() {
	echo "$1: $2" >&2
	exit 1
}
