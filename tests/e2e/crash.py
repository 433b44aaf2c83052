#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Kills the daemon at random instants while the plugin attaches and detaches a pod.

usage: crash.py LAB-PREFIX RUN-FOLDER LAB-SCRIPT PLUGIN CTL TIMES SEED

After each start the daemon has exactly the attachments from before the request or from after it, and from after it
if the plugin was told that it is done. A DEL then leaves nothing.
"""
import collections
import json
import os
import random
import signal
import subprocess
import sys
import time

prefix, run, lab, plugin, ctl, times, seed = sys.argv[1:]
node, pod = f"{prefix}-node", f"{prefix}-pod-crash"  # which `lab down` removes, too
container = f"{prefix}-crash"
with open(f"{run}/cni0.json", encoding="ascii") as file:
    conf = file.read()
env = {"PATH": os.environ["PATH"], "CNI_CONTAINERID": container, "CNI_IFNAME": "eth0",
       "CNI_NETNS": f"/run/netns/{pod}", "CNI_PATH": "/usr/lib/cni:/opt/cni/bin"}
env.update((key, os.environ[key]) for key in os.environ if key.endswith("SAN_OPTIONS"))


def start(command):
    process = subprocess.Popen(["ip", "netns", "exec", node, plugin], text=True, stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, env=dict(env, CNI_COMMAND=command))
    process.stdin.write(conf)
    process.stdin.close()
    process.stdin = None
    return process


def end(process):
    output = process.communicate(timeout=120)[0]
    return process.returncode == 0, output.strip()


def call(command):
    done, output = end(start(command))
    if not done:
        sys.exit(f"{command} failed with the daemon up: {output}")


def lab_daemon(verb):
    return subprocess.run([lab, "daemon", verb], check=True, capture_output=True, text=True).stdout.strip()


def attachments():
    shown = subprocess.run([ctl, "--socket", f"{run}/control.sock", "--json", "pods"], check=True,
                           capture_output=True, text=True).stdout
    return {p["container_id"]: (p["port"], p["mac"], tuple(p["ips"])) for p in json.loads(shown)["pods"]}


def one_kill(command, longest, before):
    """Returns whether the plugin was told that it is done, and whether the daemon has the pod afterwards."""
    pid = int(lab_daemon("pid"))
    process = start(command)
    time.sleep(longest * random.random())
    os.kill(pid, signal.SIGKILL)
    done, output = end(process)
    lab_daemon("kill")  # removes what the lab knows of it
    lab_daemon("start")
    after = attachments()
    there = container in after
    others = {key: value for key, value in after.items() if key != container}
    if others != before:
        sys.exit(f"{command}: other attachments changed from {before} to {others}")
    if done and there != (command == "ADD"):
        sys.exit(f"{command} said that it is done ({output}), but the daemon has {after}")
    return done, there


def main():
    random.seed(int(seed))
    subprocess.run(["ip", "netns", "add", pod], check=True)
    before = attachments()
    longest = {}
    for command in ("ADD", "DEL"):
        begin = time.monotonic()
        call(command)
        longest[command] = 1.2 * (time.monotonic() - begin)
    seen = collections.Counter()
    for n in range(int(times)):
        command = ("ADD", "DEL")[n % 2]
        if command == "DEL":
            call("ADD")
        done, there = one_kill(command, longest[command], before)
        seen[f"{command} {'done' if done else 'failed'}, {'there' if there else 'not there'}"] += 1
        call("DEL")
        if attachments() != before:
            sys.exit(f"after {command} and DEL the daemon has {attachments()}")
    print(json.dumps({"seed": int(seed), "kills": sum(seen.values()), **seen}))


try:
    main()
finally:
    subprocess.run(["ip", "netns", "del", pod], check=False)
