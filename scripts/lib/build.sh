# SPDX-License-Identifier: Apache-2.0
# Building, for the demo and the tests.
# shellcheck shell=bash

# Builds into a folder; quick if little has changed. Usage: build_sluice FOLDER [meson's options]
#   build_target=NAME   not all, but this
build_sluice() {
	local dir=$1 log=$1/build.log libraries
	shift
	# Here, as they say what takes so long the first time.
	libraries=$("$top/scripts/third-party" dpdk && "$top/scripts/third-party" ovs) || return 1
	# What an interrupted setup left, meson neither takes up nor makes again.
	[ -e "$dir/build.ninja" ] || rm -rf "$dir/meson-private" "$dir/meson-info"
	mkdir -p "$dir"
	if ! {
		if [ ! -e "$dir/build.ninja" ]; then
			meson setup "$dir" "$top" "$@"
		elif [ "$(cat "$dir/libraries" 2>/dev/null)" != "$libraries" ]; then
			meson setup --reconfigure "$dir" "$top" "$@"
		fi && echo "$libraries" >"$dir/libraries" && meson compile -C "$dir" ${build_target:-}
	} >"$log" 2>&1 </dev/null; then
		grep -v "^cc " "$log" | tail -n 30 | cut -c1-300 >&2
		say "building into $dir failed; see $log"
		return 1
	fi
}
