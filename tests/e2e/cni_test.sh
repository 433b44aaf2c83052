#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The CNI plugin alone, with a fake of the daemon: see cni_test.py.
set -u
. "$(dirname "$0")/../../scripts/lib/common.sh"
need_root
exec python3 "$top/tests/e2e/cni_test.py" "$(binary sluice)"
