# SPDX-License-Identifier: Apache-2.0
# Building, for the demo and the tests.
# shellcheck shell=bash

# Builds into a folder; quick if little has changed. Usage: build_sluice FOLDER [meson's options]
build_sluice() {
	local dir=$1 log=$1/build.log
	shift
	mkdir -p "$dir"
	# What built the libraries may be newer than what the folder was set up with: meson asks for them again itself
	# only if its own files change.
	if ! {
		if [ -e "$dir/build.ninja" ]; then
			meson configure "$dir" "$@"
		else
			meson setup "$dir" "$top" "$@"
		fi && meson compile -C "$dir"
	} >"$log" 2>&1 </dev/null; then
		tail -n 30 "$log" >&2
		say "building into $dir failed; see $log"
		return 1
	fi
}
