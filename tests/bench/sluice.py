# SPDX-License-Identifier: Apache-2.0
"""Sluice: its dataplane with one way out, as the peers have it, and the daemon as it is used."""

import json

from bench import frames as addresses
from bench import jsonrpc, machine, process

# What an attachment takes.
ADDRESSES_PER_POD = 8


class Dataplane:
    """The dataplane without the daemon, all rules leading to one sink: tests/bench/one_sink.c."""

    def __init__(self, setup):
        self.name = "sluice"
        self.setup = setup
        self.process = None

    def version(self):
        return f"sluice {machine.source_version(self.setup.root)}"

    def start(self, case, frames, folder):
        log = folder / "one_sink.log"
        self.process = process.start(
            [self.setup.build / "tests/bench/one_sink", str(self.setup.cpus[1]), str(case.pods),
             str(case.mbufs()), str(case.memory_mb()),
             f"net_pcap0,rx_pcap={frames},infinite_rx=1", "net_null0,no-rx=1"],
            log, self.setup.cpus[:1], answers=True)
        process.wait_for(lambda: self.answer()[1] > 0, self.process, log, self.name)
        self.setup.check_hugepages(self.name, self.answer()[2])

    def pids(self):
        return [self.process.pid]

    def answer(self):
        self.process.stdin.write(b"\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline().split()
        return [int(word) for word in answer] or [0, 0, 0]

    def counters(self):
        return self.answer()[:2]

    def stop(self):
        process.stop(self.process)
        self.process = None


class Daemon:
    """The daemon as it is used: a node file, and pods attached by the control socket. Each
    attachment has a sink of its own and up to 8 of the addresses: of 506, 64 ports to poll and to
    send to."""

    def __init__(self, setup):
        self.name = "sluice-64ports"
        self.setup = setup
        self.process = self.socket = None
        self.sender = 0

    def version(self):
        return f"sluice {machine.source_version(self.setup.root)}"

    def start(self, case, frames, folder):
        self.socket = folder / "control.sock"
        log = folder / "sluiced.log"
        node_file = folder / "sluice.yaml"
        # YAML is a superset of JSON.
        node_file.write_text(json.dumps(self.node_file(case, folder)))
        self.process = process.start([self.setup.build / "control/sluiced", "--config", node_file], log,
                                     self.setup.cpus[:1])
        process.wait_for(self.socket.exists, self.process, log, self.name)
        pods = range(case.pods)
        for sink in range(0, case.pods, ADDRESSES_PER_POD):
            self.attach(f"sink{sink}", f"net_null{sink + 1},no-rx=1", addresses.pod_mac(sink),
                        [addresses.pod_ip(pod) for pod in pods[sink:sink + ADDRESSES_PER_POD]])
        # First the way out, then what sends.
        self.sender = self.attach("sender", f"net_pcap0,rx_pcap={frames},infinite_rx=1",
                                  addresses.SENDER_MAC, [addresses.SENDER_IP])
        process.wait_for(lambda: self.counters()[1] > 0, self.process, log, self.name)
        status = jsonrpc.call(self.socket, "status", {})
        self.setup.check_hugepages(self.name, status["memory"]["hugepages"])

    def node_file(self, case, folder):
        ranges = [*addresses.ranges(case.pods), addresses.SENDER_RANGE]
        return {
            "uplinks": [{"name": "up0", "devargs": "net_null0,no-rx=1"}],
            "ranges": [{"subnet": subnet, "gateway": subnet.replace(".0/24", ".1")}
                       for subnet in ranges],
            "router": {"mac": addresses.ROUTER_MAC},
            "workers": {"cpus": [self.setup.cpus[1]], "idle": "poll"},
            "memory": {"size": case.memory_mb(), "mbufs": case.mbufs()},
            "socket": {"path": str(self.socket)},
            "state": str(folder / "state.db"),
        }

    def attach(self, container, devargs, mac, ips):
        params = {"container_id": container, "ifname": "eth0", "devargs": devargs, "mac": mac,
                  "ips": ips}
        return jsonrpc.call(self.socket, "attach", params)["port"]

    def pids(self):
        return [self.process.pid]

    def counters(self):
        ports = jsonrpc.call(self.socket, "ports", {})["ports"]
        received = next(p["rx_packets"] for p in ports if p["port"] == self.sender)
        return received, sum(p["tx_packets"] for p in ports if p["kind"] == "pod")

    def stop(self):
        process.stop(self.process)
        self.process = None
