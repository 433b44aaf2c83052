#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Do the links and the source files that the documents name exist? TAP on stdout.

usage: docs_test.py SOURCE_ROOT
"""

import glob
import os
import re
import sys

root = sys.argv[1]
documents = [os.path.join(root, "README.md"), *sorted(glob.glob(os.path.join(root, "docs/*.md")))]
sources = {os.path.relpath(path, root) for folder in ["cni", "config", "control", "dataplane", "offload", "tests"]
           for path in glob.glob(os.path.join(root, folder, "**/*.[ch]"), recursive=True)}
names = {os.path.basename(path) for path in sources}

print(f"1..{len(documents)}")
failed = 0
for number, path in enumerate(documents, 1):
    with open(path) as f:
        text = f.read()
    links = [link.split("#")[0] for link in re.findall(r"\]\(([^)]+)\)", text) if "://" not in link]
    missing = [link for link in links if link and not os.path.exists(os.path.join(os.path.dirname(path), link))]
    for name in re.findall(r"`([\w/]+\.[ch])`", text):
        if name not in (sources if "/" in name else names):
            missing.append(name)
    failed += bool(missing)
    print(f"{'not ok' if missing else 'ok'} {number} - {os.path.relpath(path, root)}")
    for name in missing:
        print(f"# there is no {name}")
sys.exit(bool(failed))
