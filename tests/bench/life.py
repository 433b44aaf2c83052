# SPDX-License-Identifier: Apache-2.0
"""The daemon's life with many pods: how long an attachment takes, and a restart."""

import os
import signal
import statistics
import time

from bench import cases, frames, jsonrpc, process
from bench.run import Running

# A node has at most 1,020 pod ports; each has so many of the addresses.
PODS = 5000
ADDRESSES = 5
POLICY = 1000
# A 99th percentile of 200 would be one of two values.
TRIALS = 1000
RESTARTS = 5


def attach(setup, contenders, seconds, say):
    """Requests over the control socket with 5,000 pod addresses attached: a device is opened, the
    attachment is on disk, its rules forward."""
    rules = cases.Rules(PODS)
    for contender in contenders:
        with Running(contender, rules, addresses_per_pod=ADDRESSES) as running:
            times = {"attach": [], "detach": []}
            with jsonrpc.Connection(contender.socket) as connection:
                for trial in range(TRIALS):
                    who = {"container_id": f"trial{trial % 8}", "ifname": "eth0"}
                    device = {"devargs": running.generator.sink(PODS + trial % 8),
                              "mac": frames.pod_mac(60000), "ips": [frames.trial_ip()]}
                    for method, more in ("attach", device), ("detach", {}):
                        start = time.perf_counter()
                        connection.call(method, {**who, **more})
                        times[method].append((time.perf_counter() - start) * 1000)
            row = {f"{method}_ms": spread(taken) for method, taken in times.items()}
            say(f"attach: {row}")
            yield {"measure": "attach", "system": "sluiced", "pods": PODS,
                   "ports": PODS // ADDRESSES, **row}


def restart(setup, contenders, seconds, say):
    """Killed, and started again: until the first packet is forwarded."""
    rules = cases.Rules(PODS, POLICY)
    for contender in contenders:
        with Running(contender, rules, addresses_per_pod=ADDRESSES) as running:
            times = []
            for _ in range(RESTARTS):
                os.kill(contender.process.pid, signal.SIGKILL)
                process.stop(contender.process)
                contender.socket.unlink(missing_ok=True)
                before = running.generator.totals()[1]
                start = time.perf_counter()
                contender.launch(rules, running.generator, running.path)
                process.wait_for(lambda: running.generator.totals()[1] > before, contender.process,
                                 running.path / "sluiced.log", "sluiced", every=0.001)
                times.append((time.perf_counter() - start) * 1000)
            row = {"to_forwarding_ms": spread(times)}
            say(f"restart: {row}")
            yield {"measure": "restart", "system": "sluiced", "pods": PODS,
                   "ports": PODS // ADDRESSES, "policy": POLICY, **row}


def spread(values):
    values = sorted(values)
    return {"p50": round(statistics.median(values), 2),
            "p99": round(values[min(len(values) - 1, int(len(values) * 0.99))], 2),
            "max": round(values[-1], 2)}
