# SPDX-License-Identifier: Apache-2.0
"""What is measured: rules that stay for a scenario, and the traffic of each case."""

import dataclasses

# Ethernet frames are counted without their FCS, and named with it, as switches are advertised.
FCS = 4
IMIX = "imix"


@dataclasses.dataclass(frozen=True)
class Rules:
    """What a contender has before traffic comes. policy: how many rules an operator gave, of kind
    "random" (five-tuples), "attack" (those that the attack is against), "exact" or "prefix"."""

    pods: int
    policy: int = 0
    kind: str = "random"
    ip: int = 4

    def first_traffic(self):
        """What is forwarded as soon as the rules are there."""
        return f"flows=1,ip={self.ip}" + (",dport=80" if self.kind == "attack" else "")


@dataclasses.dataclass(frozen=True)
class Case:
    pods: int
    flows: int
    policy: int = 0
    frame: object = 60  # bytes without FCS, or IMIX
    attack: str = "none"  # or what share of the packets is the tuple-space attack's
    ip: int = 4
    zipf: float = 0
    kind: str = "random"
    capture: str = ""  # a pcap file instead of flows

    def name(self):
        if self.capture:
            return f"{short(self.pods)}p-capture"
        parts = [f"{short(self.pods)}p", f"{short(self.flows)}f"]
        if self.policy:
            parts.append("attacked" if self.kind == "attack" else f"{short(self.policy)}r")
        if self.attack != "none":
            parts.append(self.attack.replace("%", ""))
        if self.frame == IMIX:
            parts.append("imix")
        elif self.frame != 60:
            parts.append(f"{self.frame + FCS}B")
        if self.ip == 6:
            parts.append("v6")
        if self.zipf:
            parts.append("zipf")
        return "-".join(parts)

    def rules(self):
        return Rules(self.pods, self.policy, self.kind, self.ip)

    def traffic(self, **more):
        """net_gen's arguments."""
        every = {"none": 0, "1%": 100, "100%": 1}[self.attack]
        args = {"flows": self.flows, "pods": self.pods, "size": self.frame, "ip": self.ip,
                "zipf": self.zipf, "attack_every": every,
                "dport": 80 if self.kind == "attack" else 0, "capture": self.capture, **more}
        return ",".join(f"{key}={value}" for key, value in args.items() if value)

    def forwarded(self):
        """The share of the packets that a contender must forward; the attack's it drops."""
        return {"none": 1, "1%": 0.99, "100%": 0}[self.attack]


def short(number):
    for unit, size in ("M", 1000000), ("k", 1000):
        if number >= size and number % size == 0:
            return f"{number // size}{unit}"
    return str(number)


def all_cases():
    yield Case(506, 1000)
    for flows in 1, 100000, 1000000:
        yield Case(506, flows)
    yield Case(506, 1000000, zipf=1.0)
    for size in 128, 256, 512, 1024, 1518:
        yield Case(506, 1000, frame=size - FCS)
    yield Case(506, 1000, frame=IMIX)
    yield Case(506, 1000, ip=6)
    yield Case(1, 1000)
    yield Case(5000, 100000)
    yield Case(50000, 100000)
    for policy in 10, 1000, 10000:
        yield Case(506, 1000, policy=policy)
    for attack in "none", "1%", "100%":
        yield Case(506, 1000, policy=4, kind="attack", attack=attack)


CASES = {case.name(): case for case in all_cases()}
QUICK = ["506p-1kf", "506p-1f", "506p-1Mf", "50kp-100kf", "506p-100kf", "506p-1kf-1kr",
         "506p-1kf-attacked", "506p-1kf-attacked-100"]


def scenarios(cases):
    """Cases by the rules they have in common: {Rules: [Case]}."""
    grouped = {}
    for case in cases:
        grouped.setdefault(case.rules(), []).append(case)
    return grouped
