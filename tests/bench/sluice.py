# SPDX-License-Identifier: Apache-2.0
"""Sluice: its dataplane with one way out, as the peers have it, and the daemon as it is used."""

import json
import subprocess
import time

from bench import frames as addresses
from bench import jsonrpc, machine, process, rules as policies

# What an attachment takes.
ADDRESSES_PER_POD = 8
# Rules are compiled within this time, or are measured as they are.
COMPILE_S = 60
# All ports of a scenario are attached within this time, or it is not measured.
ATTACH_S = 180


class Dataplane:
    """The dataplane without the daemon, all rules leading to one sink: tests/bench/one_sink.c."""

    name = "sluice"

    def __init__(self, setup):
        self.setup = setup
        self.process = None

    def version(self):
        return f"sluice {machine.source_version(self.setup.root)}"

    def takes(self, rules):
        return True

    def start(self, rules, generator, folder):
        log = folder / "one_sink.log"
        command = [self.setup.build / "tests/bench/one_sink", f"cpu={self.setup.cpus[1]}",
                   f"pods={rules.pods}", f"ip={rules.ip}", f"mbufs={self.setup.mbufs}",
                   f"memory={self.setup.memory_mb(self)}", f"source={generator.source()}",
                   f"sink={generator.sink()}"]
        if rules.policy:
            path = folder / "policy"
            path.write_text("".join(rule.line() + "\n" for rule in policies.policy(rules)))
            command.append(f"policy={path}")
        self.process = process.start(command, log, self.setup.cpus[:1], answers=True)
        process.wait_for(lambda: generator.totals()[1], self.process, log, self.name)
        self.setup.check_hugepages(self.name, self.ask("ready")["hugepages"])

    def settle(self, case):
        """A table of many rules is compiled in the background; it forwards rightly meanwhile, but
        what is measured is the state that lasts."""
        deadline = time.monotonic() + COMPILE_S
        while case.policy and self.ask("policy")["busy"]:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.1)
        return True

    def pids(self):
        return [self.process.pid]

    def ask(self, request):
        self.begin(request)
        return self.finish(request)

    def begin(self, request):
        self.process.stdin.write(f"{request}\n".encode())
        self.process.stdin.flush()

    def finish(self, request):
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.name} ended while it was asked for {request}")
        answer = json.loads(line)
        if "error" in answer:
            raise RuntimeError(f"{self.name}: {request}: {answer['error']}")
        return answer

    def stop(self):
        process.stop(self.process)
        self.process = None


class Daemon:
    """The daemon as it is used: a node file, and pods attached by the control socket. Each
    attachment has a sink of its own and up to 8 of the addresses: of 506, 64 ports to poll and to
    send to."""

    policy_table = 0
    name = "sluice-64ports"

    def __init__(self, setup):
        self.setup = setup
        self.process = self.socket = None

    def version(self):
        return f"sluice {machine.source_version(self.setup.root)}"

    def takes(self, rules):
        return rules.pods <= 1000 and rules.ip == 4

    def start(self, rules, generator, folder, addresses_per_pod=ADDRESSES_PER_POD):
        self.socket = folder / "control.sock"
        self.launch(rules, generator, folder)
        deadline = time.monotonic() + ATTACH_S
        for sink, pods in enumerate(self.sinks(rules, addresses_per_pod)):
            if time.monotonic() > deadline:
                raise RuntimeError(f"{self.name}: attached only {sink} ports in {ATTACH_S} s")
            self.attach(f"sink{sink}", generator.sink(sink + 1), addresses.pod_mac(pods[0]),
                        [addresses.pod_ip(pod) for pod in pods])
        if rules.policy:
            self.add_policy(rules, folder)
        # First the ways out, then what sends.
        self.attach("sender", generator.source(), addresses.SENDER_MAC, [addresses.SENDER_IP[4]])
        process.wait_for(lambda: generator.totals()[1], self.process, folder / "sluiced.log",
                         self.name)
        status = jsonrpc.call(self.socket, "status", {})
        self.setup.check_hugepages(self.name, status["memory"]["hugepages"])

    def management(self):
        return self.socket.parent / "br0.mgmt"

    def add_policy(self, rules, folder):
        path = folder / "policy"
        path.write_text("".join(rule.openflow(self.policy_table, "NORMAL") + "\n"
                                for rule in policies.policy(rules)))
        done = subprocess.run(["ovs-ofctl", "--bundle", "add-flows", f"unix:{self.management()}", path],
                              capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"{self.name}: ovs-ofctl: {done.stderr.strip()}")

    @staticmethod
    def sinks(rules, size):
        pods = range(rules.pods)
        return [pods[i:i + size] for i in range(0, rules.pods, size)]

    def launch(self, rules, generator, folder):
        """Starts the daemon on the state that is in the folder; returns when its socket is there."""
        log = folder / "sluiced.log"
        node_file = folder / "sluice.yaml"
        # YAML is a superset of JSON.
        node_file.write_text(json.dumps(self.node_file(rules, folder)))
        self.process = process.start(
            [self.setup.build / "control/sluiced", "--config", node_file], log, self.setup.cpus[:1],
            env={"LD_PRELOAD": str(self.setup.plugin())})
        process.wait_for(self.socket.exists, self.process, log, self.name, every=0.005)

    def node_file(self, rules, folder):
        ranges = [*addresses.ranges(rules.pods), addresses.SENDER_RANGE[4]]
        return {
            "uplinks": [{"name": "up0", "devargs": "net_null0,no-rx=1"}],
            "ranges": [{"subnet": subnet, "gateway": gateway} for subnet, gateway in ranges],
            "router": {"mac": addresses.ROUTER_MAC},
            "workers": {"cpus": [self.setup.cpus[1]], "idle": "poll"},
            "memory": {"size": self.setup.memory_mb(self), "mbufs": self.setup.mbufs},
            "socket": {"path": str(self.socket)},
            "state": str(folder / "state.db"),
        }

    def attach(self, container, devargs, mac, ips):
        params = {"container_id": container, "ifname": "eth0", "devargs": devargs, "mac": mac,
                  "ips": ips}
        return jsonrpc.call(self.socket, "attach", params)["port"]

    def settle(self, case):
        """The daemon does not tell whether it compiles, only to what it has: wait until that has not
        changed for longer than that takes."""
        deadline = time.monotonic() + COMPILE_S
        tables, since = None, time.monotonic()
        while case.policy and time.monotonic() < since + 2 + case.policy / 1000:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.2)
            status = jsonrpc.call(self.socket, "status", {})["openflow"]["tables"]
            now = [(table["structure"], table["delta"]) for table in status]
            if now != tables:
                tables, since = now, time.monotonic()
        return True

    def own_cycles(self):
        worker = jsonrpc.call(self.socket, "workers", {})["workers"][0]
        return process.Own(worker["packets"], worker["busy_cycles"])

    def own_packets(self):
        ports = jsonrpc.call(self.socket, "ports", {})["ports"]
        return next(port["rx_packets"] for port in ports if port["mac"] == addresses.SENDER_MAC)

    def pids(self):
        return [self.process.pid]

    def stop(self):
        process.stop(self.process)
        self.process = None


class DaemonWithNic(Daemon):
    """The same with an uplink of a SmartNIC in software, which takes no rule: what the engine that
    would put rules there costs the worker."""

    def __init__(self, setup, offload):
        super().__init__(setup)
        self.offload = offload
        self.name = f"sluice-offload-{offload}"

    def node_file(self, rules, folder):
        nic = f"net_esw0,wire0=null,refuse_every=1,cpu={self.setup.cpus[0]}"
        return super().node_file(rules, folder) | {
            "uplinks": [{"name": "up0", "devargs": nic}], "offload": self.offload}
