# SPDX-License-Identifier: Apache-2.0
"""The operator's rules of a scenario: the same for all contenders, as OpenFlow and as the lines that
tests/bench/one_sink.c reads."""

import dataclasses
import ipaddress
import random

from bench import frames

UDP, TCP = 17, 6
# The ports that net_gen's flows use: from sport 32768, to dport 512 to 1023.
DPORTS = range(512, 1024)


@dataclasses.dataclass(frozen=True)
class Rule:
    """An IPv4 five-tuple with prefixes and port masks. allow: goes on to the forwarding by pod
    address; else drops."""

    priority: int
    allow: bool
    src: str = "0.0.0.0/0"
    dst: str = "0.0.0.0/0"
    proto: int = UDP
    sport: tuple = (0, 0)  # value, mask
    dport: tuple = (0, 0)

    def openflow(self, table, allowed):
        fields = [f"table={table}", f"priority={self.priority}", {UDP: "udp", TCP: "tcp"}[self.proto]]
        for name, prefix in ("nw_src", self.src), ("nw_dst", self.dst):
            if not prefix.endswith("/0"):
                fields.append(f"{name}={prefix}")
        for name, (value, mask) in ("tp_src", self.sport), ("tp_dst", self.dport):
            if mask:
                fields.append(f"{name}={value:#x}/{mask:#x}")
        return ",".join(fields) + ",actions=" + (allowed if self.allow else "drop")

    def line(self):
        src, dst = (prefix.replace("/", " ") for prefix in (self.src, self.dst))
        return (f"{self.priority} {src} {dst} {self.proto} {self.sport[0]} {self.sport[1]} "
                f"{self.dport[0]} {self.dport[1]} {int(self.allow)}")


def policy(rules):
    """The list of Rule of a scenario (cases.Rules)."""
    rng = random.Random(rules.policy)
    if rules.kind == "attack":
        return attack_policy()
    make = {"random": five_tuple, "exact": exact, "prefix": prefix_rule}[rules.kind]
    return [make(rng, i, rules.pods) for i in range(rules.policy)]


def attack_policy():
    """What the tuple-space attack is against (net_gen's attack_every): three rules that admit by one
    field each, and one that stops the rest. Flows to port 80 are ordinary traffic."""
    return [Rule(40, True, dport=(80, 0xFFFF)),
            Rule(30, True, dst=frames.pod_ip(0) + "/32"),
            Rule(20, True, sport=(12345, 0xFFFF)),
            Rule(10, False)]


def five_tuple(rng, i, pods):
    """As in a data centre: half of them admit some of the traffic, half stop what is not there.
    Prefixes and masks of all lengths."""
    sender = ipaddress.ip_address(frames.SENDER_IP[4])
    dst = network(frames.pod_ip(rng.randrange(pods)), rng.choice((32, 32, 32, 30, 28, 24)))
    src = network(str(sender), rng.choice((32, 32, 24, 16, 8)))
    sport = masked(rng.randrange(32768, 65536), rng.choice((0, 0, 0x8000, 0xC000, 0xF000)))
    if i % 2:
        dport = masked(rng.choice(DPORTS), rng.choice((0xFFFF, 0xFFFF, 0xFFF0, 0xFF00)))
        return Rule(rng.randrange(1, 60000), True, src, dst, UDP, sport, dport)
    dport = masked(rng.randrange(1024, 65536), rng.choice((0xFFFF, 0xFFFF, 0xFFF0, 0xFC00)))
    return Rule(rng.randrange(1, 60000), False, src, dst, rng.choice((UDP, TCP)), sport, dport)


def exact(rng, i, pods):
    """A five-tuple with every bit, to nobody's port: what changes while traffic flows beside it."""
    return Rule(100, False, frames.SENDER_IP[4] + "/32", frames.pod_ip(i % pods) + "/32", UDP,
                (1024 + i // pods, 0xFFFF), (9, 0xFFFF))


def prefix_rule(rng, i, pods):
    """Prefixes of 172.16.0.0/12, longest first."""
    length = 16 + i % 17
    return Rule(length, False, dst=network(str(ipaddress.ip_address("172.16.0.0") +
                                               rng.randrange(1 << 20)), length))


def network(address, length):
    return str(ipaddress.ip_network(f"{address}/{length}", strict=False))


def masked(value, mask):
    return value & mask, mask
