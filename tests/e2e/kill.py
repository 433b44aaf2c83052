#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Kills the daemon with SIGKILL at random instants while it attaches and detaches, and looks what it finds again.

usage: kill.py --sluiced FILE --config FILE --socket FILE --log FILE --prefix PREFIX [--kills N] [--seed N]

The daemon is started here, in the lab's node; none may run. Its pods are veth pairs that are there all the time: the
first two stay attached, the others come and go. Each round sends one to four requests at once on one connection, kills
the daemon at a random instant, and starts it again, at times killing it once more while it starts. As requests of one
connection are answered in order, the state that is found must be the one after the first j of n requests, where j is at
least the number that was acknowledged.

Prints one line of JSON, or says at which kill what was wrong, and ends with 1.
"""
import argparse
import json
import random
import socket
import statistics
import subprocess
import sys
import time

sys.dont_write_bytecode = True

from control_client import Client, Closed, Refused  # noqa: E402
from namespaces import inside, ip, ip_exec  # noqa: E402

SLOTS = 10
STAYING = 2
ROUTER_MAC = "02:00:5e:00:53:01"
GATEWAYS = ("10.1.10.1", "fd00:10:1:10::1")
PORT = 7000


def fail(text):
    raise SystemExit(f"kill.py: {text}")


class Slot:
    """A pod whose veth pair is always there."""

    def __init__(self, prefix, n):
        self.namespace = f"{prefix}-pod-slot{n}"
        self.netdev = f"slot{n}"
        self.mac = f"02:00:00:00:5c:{n:02x}"
        self.ips = [f"10.1.10.{200 + n}", f"fd00:10:1:10::{0x200 + n:x}"]
        self.params = {"container_id": f"kill-{n}", "ifname": "eth0", "netdev": self.netdev,
                       "mac": self.mac, "ips": self.ips, "mtu": 1400 + n, "pod": f"kill/{n}"}
        self.make(f"{prefix}-node")

    def make(self, node):
        subprocess.run(["ip", "netns", "add", self.namespace], check=True)
        ip(node, "link", "add", self.netdev, "type", "veth",
           "peer", "name", "eth0", "address", self.mac, "netns", self.namespace)
        ip_exec(node, "sysctl", "-qw", f"net.ipv6.conf.{self.netdev}.disable_ipv6=1")
        ip(node, "link", "set", self.netdev, "up")
        # What the plugin does, and permanent neighbours: a lost ARP request would cost a second.
        ip_exec(self.namespace, "ethtool", "-K", "eth0", "tx", "off")
        ip(self.namespace, "link", "set", "eth0", "up")
        for address, gateway in zip(self.ips, GATEWAYS):
            ip(self.namespace, "addr", "add", address, "dev", "eth0", *(["nodad"] if ":" in address else []))
            ip(self.namespace, "neigh", "add", gateway, "lladdr", ROUTER_MAC, "nud", "permanent", "dev", "eth0")
            ip(self.namespace, "route", "add", gateway, "dev", "eth0")
            ip(self.namespace, "route", "add", "default", "via", gateway, "dev", "eth0")
        self.sockets = []
        with inside(self.namespace):
            for family, any_address in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
                sock = socket.socket(family, socket.SOCK_DGRAM)
                if family == socket.AF_INET6:
                    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                sock.bind((any_address, PORT))
                sock.setblocking(False)
                self.sockets.append(sock)

    def key(self):
        return {name: self.params[name] for name in ("container_id", "ifname")}

    def description(self, port):
        """As the method `pods` gives it."""
        return {**self.params, "port": port, "state": "up", "reason": None, "devargs": None}

    def rules(self, port):
        """(table, owner, match, actions) of each rule it must have."""
        owner = "{container_id}/{ifname}".format(**self.params)
        for address, family in zip(self.ips, ("ipv4", "ipv6")):
            yield ("guard", owner, f"in_port={port},eth_src={self.mac},eth_dst={ROUTER_MAC},"
                   f"{family},ip_src={address}",
                   "goto_table:forward")
            yield ("forward", owner, f"{family},ip_dst={address}",
                   f"set_eth_src:{ROUTER_MAC},set_eth_dst:{self.mac},dec_ttl,output:{port}")


class Datagrams:
    """Numbered datagrams between slots, so that an old one is not taken for a new one."""

    def __init__(self):
        self.number = 0

    def send(self, source, target, family):
        self.number += 1
        try:
            source.sockets[family].sendto(b"%d" % self.number, (target.ips[family], PORT))
        except OSError:  # refused by an ICMP error of an earlier datagram
            pass

    @staticmethod
    def received(target, family, first):
        """Has one come with at least this number?"""
        try:
            while True:
                if int(target.sockets[family].recv(100)) >= first:
                    return True
        except BlockingIOError:
            return False

    def passes(self, source, target, family, seconds):
        end = time.monotonic() + seconds
        first = self.number + 1
        while time.monotonic() < end:
            self.send(source, target, family)
            for _ in range(10):
                if self.received(target, family, first):
                    return True
                time.sleep(0.002)
        return False


class Killer:
    def __init__(self, args):
        self.args = args
        self.random = random.Random(args.seed)
        self.slots = [Slot(args.prefix, n) for n in range(SLOTS)]
        self.datagrams = Datagrams()
        self.attached = {}  # slot number: port
        self.daemon = None
        self.client = None
        self.log = open(args.log, "ab")
        self.answering, self.forwarding, self.latencies = [], [], []
        self.counts = {"kills": 0, "kills_while_starting": 0, "requests": 0, "acknowledged": 0,
                       "found_before": 0, "found_after": 0}

    def what(self):
        return f"seed {self.args.seed}, kill {self.counts['kills']}"

    def log_end(self):
        with open(self.args.log, "rb") as log:
            return log.read()[-1500:].decode(errors="replace")

    def spawn(self):
        self.daemon = subprocess.Popen(
            ["ip", "netns", "exec", f"{self.args.prefix}-node", self.args.sluiced, "--config", self.args.config],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)

    def kill(self):
        self.daemon.kill()
        self.daemon.wait()
        self.counts["kills"] += 1

    def start(self):
        """Starts the daemon; notes how long it takes until it answers, and until it forwards."""
        begin = time.monotonic()
        self.spawn()
        first = self.datagrams.number + 1
        forwards, self.client = None, None
        while self.client is None or forwards is None:
            time.sleep(0.002)
            if self.daemon.poll() is not None:
                fail(f"{self.what()}: the daemon ended with {self.daemon.returncode} when it was started: "
                     f"{self.log_end()}")
            if time.monotonic() - begin > 120:
                fail(f"{self.what()}: 120 s after the start the daemon does not "
                     f"{'forward' if self.client else 'answer'}: {self.log_end()}")
            if forwards is None and self.attached.keys() >= {0, 1}:
                self.datagrams.send(self.slots[0], self.slots[1], 0)
                if self.datagrams.received(self.slots[1], 0, first):
                    forwards = time.monotonic() - begin
            elif forwards is None:
                forwards = 0
            if self.client is None:
                self.client = self.try_connect()
                if self.client:
                    self.answering.append(time.monotonic() - begin)
        if forwards:
            self.forwarding.append(forwards)

    def try_connect(self):
        client = None
        try:
            client = Client(self.args.socket)
            client.call("version")
            return client
        except (OSError, Closed):
            if client:
                client.close()
            return None

    def attach(self, n):
        self.attached[n] = self.client.call("attach", **self.slots[n].params)["port"]

    def detach(self, n):
        self.client.call("detach", **self.slots[n].key())
        self.attached.pop(n, None)

    def timed(self, function, n):
        """How long a request takes tells within what time to kill."""
        begin = time.monotonic()
        function(n)
        self.latencies.append(time.monotonic() - begin)

    def rules_now(self):
        return [(rule["table"], rule["owner"], rule["match"], rule["actions"])
                for rule in self.client.call("rules")["rules"]]

    def find_state(self, states, requests, acknowledged):
        """Which of the states it is: the one after the requests that were acknowledged, or after more of them."""
        pods = {pod["container_id"]: pod for pod in self.client.call("pods")["pods"]}
        found = {int(container.split("-")[1]): pod["port"] for container, pod in pods.items()}
        for n, port in found.items():
            wanted = self.slots[n].description(port)
            if pods[f"kill-{n}"] != wanted:
                fail(f"{self.what()}: pod {pods[f'kill-{n}']}, wanted {wanted}")
        possible = [j for j in range(acknowledged, len(states))
                    if states[j].keys() == found.keys()
                    and all(port in (None, found[n]) for n, port in states[j].items())]
        if not possible:
            fail(f"{self.what()}: found {found}; requests {requests}, {acknowledged} acknowledged; "
                 f"states before and after each: {states}")
        self.attached = found
        return possible[0]

    def check_rules(self):
        wanted = sorted([*self.others, *(rule for n, port in self.attached.items()
                                         for rule in self.slots[n].rules(port))])
        rules = sorted(self.rules_now())
        if rules != wanted:
            fail(f"{self.what()}: rules missing {set(wanted) - set(rules)}, too many {set(rules) - set(wanted)}, "
                 f"{len(rules)} for {len(wanted)}")

    def check_ports(self):
        ports = {port["port"]: (port["netdev"], port["driver"], port["fallback"])
                 for port in self.client.call("ports")["ports"] if port["kind"] == "pod"}
        wanted = {port: (self.slots[n].netdev, "af_xdp", None) for n, port in self.attached.items()}
        if ports != wanted:
            fail(f"{self.what()}: ports {ports}, wanted {wanted}")

    def check_traffic(self, n):
        for source, target in ((0, n), (n, 0)):
            for family in (0, 1):
                if not self.datagrams.passes(self.slots[source], self.slots[target], family, 60):
                    fail(f"{self.what()}: no IPv{(4, 6)[family]} from slot {source} to slot {target}")

    def choose_requests(self):
        """Requests, and the states before the first and after each; a port is None where the daemon may choose."""
        states, requests = [dict(self.attached)], []
        for _ in range(self.random.choice((1, 1, 2, 4))):
            n = self.random.randrange(STAYING, SLOTS)
            state = dict(states[-1])
            if n in state:
                requests.append(("detach", n))
                del state[n]
            else:
                requests.append(("attach", n))
                state[n] = None
            states.append(state)
        return requests, states

    def answers(self, requests, states):
        """How many were acknowledged before the end."""
        for i, (method, n) in enumerate(requests):
            try:
                answer = self.client.receive()
            except Closed:
                return i
            if answer["error"]:
                fail(f"{self.what()}: {method} of slot {n}: {answer['error']}")
            if method == "attach":
                for state in states[i + 1:]:
                    if n not in state:
                        break
                    state[n] = answer["result"]["port"]
            elif answer["result"] != {"detached": True}:
                fail(f"{self.what()}: detach of slot {n}: {answer['result']}")
        return len(requests)

    def round(self):
        requests, states = self.choose_requests()
        delay = self.random.uniform(0, 1.2 * len(requests) * self.typical)
        for method, n in requests:
            self.client.send(method, self.slots[n].params if method == "attach" else self.slots[n].key())
        time.sleep(delay)
        self.kill()
        acknowledged = self.answers(requests, states)
        self.client.close()
        self.counts["requests"] += len(requests)
        self.counts["acknowledged"] += acknowledged
        # However fast the machine is just now: about half of the kills are to come before the last answer.
        self.typical *= 0.9 if acknowledged == len(requests) else 1.1
        if self.random.random() < 0.15:
            self.spawn()
            time.sleep(self.random.uniform(0, 1.2 * self.answering[-1]))
            self.kill()
            self.counts["kills_while_starting"] += 1
        self.start()
        found = self.find_state(states, requests, acknowledged)
        if acknowledged < len(requests):
            self.counts["found_before" if found == acknowledged else "found_after"] += 1
        self.check_rules()
        self.check_ports()
        if self.attached.keys() - {0, 1}:
            self.check_traffic(self.random.choice(sorted(self.attached.keys() - {0, 1})))
        # A client that got no answer asks again: each request must do, whether it was done or not.
        for method, n in requests[acknowledged:]:
            (self.attach if method == "attach" else self.detach)(n)

    def run(self):
        self.start()
        self.others = self.rules_now()
        for n in range(SLOTS):
            self.timed(self.attach, n)
        for n in range(STAYING, SLOTS):
            self.timed(self.detach, n)
        self.typical = statistics.median(self.latencies)
        while self.counts["kills"] < self.args.kills:
            self.round()
        for n in sorted(self.attached):
            self.detach(n)
        self.check_rules()
        self.check_ports()
        self.client.close()
        self.daemon.terminate()
        if self.daemon.wait(120):
            fail(f"stopped, the daemon ended with {self.daemon.returncode}")

    def summary(self):
        def times(values):
            values = sorted(round(1000 * value) for value in values)
            return {"median": values[len(values) // 2], "max": values[-1]}

        return {"seed": self.args.seed, **self.counts, "request_ms": round(1000 * self.typical, 1),
                "restart_to_answering_ms": times(self.answering),
                "restart_to_forwarding_ms": times(self.forwarding)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("--sluiced", "--config", "--socket", "--log", "--prefix"):
        parser.add_argument(name, required=True)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1000000)
    killer = Killer(parser.parse_args())
    try:
        killer.run()
    except (Refused, Closed, OSError) as error:
        fail(f"{killer.what()}: {type(error).__name__} {error}: {killer.log_end()}")
    finally:
        if killer.daemon and killer.daemon.poll() is None:
            killer.daemon.kill()
            killer.daemon.wait()
    print(json.dumps(killer.summary()))


if __name__ == "__main__":
    main()
