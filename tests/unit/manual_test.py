#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Do a program's --help and its manual page name the same options and exit statuses? TAP on stdout.

usage: manual_test.py PROGRAM MANUAL
"""

import re
import subprocess
import sys

program, path = sys.argv[1:]
shown = subprocess.run([program, "--help"], capture_output=True, text=True, timeout=120)
with open(path) as f:
    manual = f.read().replace("\\-", "-")
exit_section = manual.split(".Sh EXIT STATUS", 1)[-1].split(".Sh ", 1)[0]
shown_status = shown.stdout.split("Exit status:", 1)[-1]

checks = [
    ("--help succeeds", shown.returncode == 0 and shown.stderr == "", shown),
    ("options", set(re.findall(r"^\.It Fl -([a-z-]+)", manual, re.M)),
     set(re.findall(r"^  --([a-z-]+)", shown.stdout, re.M))),
    ("exit statuses", set(re.findall(r"^\.It (\d)$", exit_section, re.M)),
     set(re.findall(r"\b(\d) ", shown_status))),
]
print(f"1..{len(checks)}")
failed = 0
for number, (name, one, other) in enumerate(checks, 1):
    good = one if isinstance(one, bool) else one == other
    failed += not good
    print(f"{'ok' if good else 'not ok'} {number} - {name}")
    if not good:
        print(f"# manual {one}, help {other}")
sys.exit(bool(failed))
