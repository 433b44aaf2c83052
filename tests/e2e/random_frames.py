#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Sends mutated frames, and watches what comes out.

  random_frames.py FACTS send DEVICE pod:NAME|tor COUNT SEED      prints how many were sent
  random_frames.py FACTS watch DEVICE tor|host|pod:NAME [SENDER]  until SIGTERM; prints frames seen, wrong ones, and why

FACTS is a JSON file: {"pods": {NAME: {"mac", "ip4", "ip6", "gateway4", "gateway6"}}, "host": {the same}, "node_mac",
"tor_mac", "router_mac"}. With a SENDER (a pod's name) only that pod sends, so no IP packet may have any source but its own.
What comes out on a ToR's side must be of the node or of a pod's own address; what reaches a pod must be for it.
"""
import importlib.machinery
import importlib.util
import json
import os
import random
import signal
import socket
import struct
import sys
import time
from types import SimpleNamespace

sys.dont_write_bytecode = True

path = os.path.join(os.path.dirname(__file__), "../../scripts/lib/raw-frames")
loader = importlib.machinery.SourceFileLoader("raw_frames", path)
raw = importlib.util.module_from_spec(importlib.util.spec_from_loader("raw_frames", loader))
loader.exec_module(raw)

ETH_P_ALL = 3
SO_RCVBUFFORCE = 33  # socket(7), packet(7); Python has no names for them
PACKET_STATISTICS = 263, 6
PACE = 64, 0.003  # frames, seconds: about 20,000 a second, which veth and the daemon keep up with


def mac(text):
    return bytes.fromhex(text.replace(":", ""))


class Facts:
    def __init__(self, file):
        with open(file, encoding="ascii") as text:
            facts = json.load(text)
        self.node_mac, self.tor_mac, self.router_mac = (mac(facts[name]) for name in ("node_mac", "tor_mac", "router_mac"))
        self.pods = {name: self.station(pod) for name, pod in facts["pods"].items()}
        self.host = self.station(facts["host"])
        self.stations = [*self.pods.values(), self.host]

    @staticmethod
    def station(text):
        return SimpleNamespace(mac=mac(text["mac"]), text=SimpleNamespace(**text),
                               ip4=socket.inet_aton(text["ip4"]), ip6=socket.inet_pton(socket.AF_INET6, text["ip6"]),
                               gateway4=socket.inet_aton(text["gateway4"]),
                               gateway6=socket.inet_pton(socket.AF_INET6, text["gateway6"]))


def tcp(sport, dport):
    return struct.pack("!HHIIBBHHH", sport, dport, 1, 0, 0x50, 2, 1000, 0, 0)


def routed(src_mac, dst_mac, src, dst):
    """Sound packets of many kinds between two stations."""
    def four(payload, proto, **more):
        return raw.eth(dst_mac, src_mac, 0x0800, raw.ip4(src.ip4, dst.ip4, proto, payload, **more))

    def six(payload, proto, **more):
        return raw.eth(dst_mac, src_mac, 0x86DD, raw.ip6(src.ip6, dst.ip6, proto, payload, **more))

    udp4 = raw.udp(4000, 9, src.ip4, dst.ip4, bytes(30))
    yield four(udp4, 17)
    yield four(udp4, 17, ttl=1)
    yield four(raw.udp(4000, 3784, src.ip4, dst.ip4), 17)
    yield four(raw.udp(67, 68, src.ip4, dst.ip4), 17)
    yield four(tcp(5000, 80), 6)
    yield four(b"\x08\0" + struct.pack("!H", raw.checksum(b"\x08\0\0\0" + bytes(8))) + bytes(8), 1)
    yield four(bytes(40), 132)
    yield four(bytes(1400), 47)
    options = bytearray(four(bytes(4) + udp4, 17))
    options[14] = 0x46
    yield checksummed(options)
    for offset in (0x2000, 0x0010, 0x4000):
        fragment = bytearray(four(udp4, 17))
        struct.pack_into("!H", fragment, 20, offset)
        yield checksummed(fragment)
    udp6 = raw.udp(4000, 9, src.ip6, dst.ip6, bytes(30))
    yield six(udp6, 17)
    yield six(udp6, 17, hops=1)
    yield six(tcp(5000, 80), 6)
    yield six(bytes(1400), 59)
    for extension in (0, 43, 60):  # hop-by-hop, routing, destination options
        yield six(bytes([17, 0, 1, 4, 0, 0, 0, 0]) + udp6, extension)
    yield six(bytes([17, 0, 0, 1, 0, 0, 0, 7]) + udp6, 44)
    for icmp_type in (1, 2, 3, 128, 133, 134, 135, 136, 137):
        yield raw.eth(dst_mac, src_mac, 0x86DD, raw.icmp6(src.ip6, dst.ip6, bytes([icmp_type]) + bytes(7) + dst.ip6
                                                          + b"\x01\x01" + src_mac))
    for op in (1, 2):
        for sender, target in ((src.ip4, dst.ip4), (dst.ip4, src.ip4), (src.ip4, src.ip4), (bytes(4), dst.ip4)):
            yield raw.eth(raw.BROADCAST if op == 1 else dst_mac, src_mac, 0x0806, raw.arp(op, src_mac, sender, target))


def checksummed(frame):
    """IPv4: with a right header checksum, whatever the header says."""
    head = frame[14:14 + (frame[14] & 15) * 4]
    if len(head) >= 20:
        head[10:12] = b"\0\0"
        struct.pack_into("!H", frame, 24, raw.checksum(bytes(head)))
    return frame


def world():
    return SimpleNamespace(ip4=raw.WORLD4, ip6=raw.WORLD6)


def pod_bases(facts, name):
    pod = facts.pods[name]
    maker = raw.Pod(pod.mac, SimpleNamespace(**vars(pod.text)))
    yield from (maker.frame(kind) for kind in raw.KINDS)
    for target in [*facts.stations, world(), SimpleNamespace(ip4=pod.gateway4, ip6=pod.gateway6),
                   SimpleNamespace(ip4=raw.OTHER_IP4, ip6=raw.OTHER_IP6)]:
        yield from routed(pod.mac, facts.router_mac, pod, target)


def tor_bases(facts):
    for source in (world(), SimpleNamespace(ip4=facts.host.gateway4, ip6=facts.host.gateway6),
                   *(SimpleNamespace(ip4=pod.gateway4, ip6=pod.gateway6) for pod in facts.pods.values())):
        for target in [*facts.stations, world(), SimpleNamespace(ip4=raw.OTHER_IP4, ip6=raw.OTHER_IP6)]:
            yield from routed(facts.tor_mac, facts.node_mac, source, target)


class Mutator:
    def __init__(self, facts, bases, seed):
        self.random = random.Random(seed)
        self.bases = [bytes(base) for base in bases]
        addresses = [*facts.stations, world(), SimpleNamespace(ip4=raw.OTHER_IP4, ip6=raw.OTHER_IP6)]
        self.sources4 = [station.ip4 for station in addresses] + [
            station.gateway4 for station in facts.stations] + [bytes(4), b"\xff" * 4, b"\x7f\0\0\1", b"\xe0\0\0\1"]
        self.sources6 = [station.ip6 for station in addresses] + [
            station.gateway6 for station in facts.stations] + [bytes(16), raw.ALL_NODES, bytes(15) + b"\1"]
        self.macs = [station.mac for station in facts.stations] + [
            facts.node_mac, facts.tor_mac, facts.router_mac, raw.BROADCAST, bytes(6), raw.multicast_mac(raw.ALL_NODES)]

    def frame(self):
        rnd = self.random
        frame = bytearray(rnd.choice(self.bases))
        for _ in range(rnd.choice((0, 1, 1, 1, 2, 3))):
            self.mutate(frame, rnd.randrange(9))
        if frame[12:14] == b"\x08\0" and len(frame) > 34 and rnd.random() < 0.6:
            checksummed(frame)
        return bytes(frame[:1514])

    def mutate(self, frame, how):
        rnd = self.random
        if how in (0, 1):
            for _ in range(rnd.randrange(1, 8)):
                frame[rnd.randrange(min(len(frame), 80))] = rnd.randrange(256)
        elif how == 2:
            del frame[rnd.randrange(14, len(frame) + 1):]
        elif how == 3:
            frame += rnd.randbytes(rnd.randrange(200))
        elif how == 4:
            frame[14:] = rnd.randbytes(rnd.randrange(1500))
        elif how == 5:
            tag = rnd.choice((b"\x81\x00", b"\x88\xa8", b"\x91\x00")) + rnd.randbytes(2)
            frame[12:12] = tag * rnd.randrange(1, 4)
        elif how == 6:
            at = 6 * rnd.randrange(2)
            frame[at:at + 6] = rnd.choice(self.macs)
        elif how == 7 and frame[12:14] == b"\x08\0" and len(frame) >= 34:
            at = rnd.choice((26, 26, 30))
            frame[at:at + 4] = rnd.choice(self.sources4)
        elif how == 7 and frame[12:14] == b"\x86\xdd" and len(frame) >= 54:
            at = rnd.choice((22, 22, 38))
            frame[at:at + 16] = rnd.choice(self.sources6)
        elif how == 8 and len(frame) > 20:
            struct.pack_into("!H", frame, rnd.choice((16, 18)), rnd.choice((0, 19, 20, 39, 40, 1500, 65535, len(frame))))


def send(facts, device, side, count, seed):
    bases = tor_bases(facts) if side == "tor" else pod_bases(facts, side.split(":")[1])
    mutator = Mutator(facts, bases, seed)
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    sock.bind((device, 0))
    sent = 0
    while sent < count:
        for _ in range(PACE[0]):
            try:
                sock.send(mutator.frame())
                sent += 1
            except OSError:  # the kernel takes none that is longer than the device's, or has no room
                pass
        time.sleep(PACE[1])
    print(sent)


class Watch:
    def __init__(self, facts, side, sender):
        self.facts = facts
        self.sender = facts.pods[sender] if sender else None
        self.side, _, name = side.partition(":")
        self.me = facts.host if side == "host" else facts.pods.get(name)
        self.gateways4 = {station.gateway4 for station in facts.stations}
        self.own4 = {station.ip4 for station in facts.stations}
        self.own6 = {station.ip6 for station in facts.stations}
        self.seen, self.wrong = 0, {}

    def look(self, frame):
        """Why it must not have come, or None."""
        dst, src, eth_type = frame[:6], frame[6:12], struct.unpack_from("!H", frame, 12)[0]
        if self.side == "tor" and src != self.facts.node_mac:
            return f"source MAC {src.hex()}"
        if self.side != "tor" and (src != self.facts.router_mac or dst != self.me.mac):
            return f"MAC {src.hex()} to {dst.hex()}"
        look = {0x0806: self.look_arp, 0x0800: self.look4, 0x86DD: self.look6}.get(eth_type)
        return look(frame) if look else f"EtherType {eth_type:04x}"

    def look_arp(self, frame):
        operation, sender_mac, sender, target = frame[20:22], frame[22:28], frame[28:32], frame[38:42]
        # After a gateway's answer was missed (this machine may be busy) the node asks in nobody's name: RFC 5227.
        probe = operation == b"\0\1" and sender == bytes(4) and target in self.gateways4
        if self.side == "tor" and (sender_mac != self.facts.node_mac or not (probe or sender in self.own4)):
            return f"ARP of {sender_mac.hex()}, {socket.inet_ntoa(sender)}"
        if self.side != "tor" and (sender_mac != self.facts.router_mac or target != self.me.ip4):
            return f"ARP of {sender_mac.hex()} for {socket.inet_ntoa(target)}"
        return None

    def look4(self, frame):
        head, src, dst = frame[14:14 + (frame[14] & 15) * 4], frame[26:30], frame[30:34]
        if frame[14] >> 4 != 4 or raw.checksum(head):
            return "IPv4 header is not sound"
        if self.sender and src != self.sender.ip4:
            return f"IPv4 source {socket.inet_ntoa(src)}"
        if self.side == "tor":
            if src not in self.own4:
                return f"IPv4 source {socket.inet_ntoa(src)}"
            first = not struct.unpack_from("!H", frame, 20)[0] & 0x1FFF
            if first and frame[23] == 17 and len(frame) >= 14 + len(head) + 4:
                sport, dport = struct.unpack_from("!HH", frame, 14 + len(head))
                if sport == 67 or dport in (3784, 3785, 4784, 6784):
                    return f"UDP {sport} to {dport}"
        elif dst != self.me.ip4:
            return f"IPv4 destination {socket.inet_ntoa(dst)}"
        return None

    def look6(self, frame):
        src, dst = frame[22:38], frame[38:54]
        neighbour = frame[20] == 58 and len(frame) > 54 and frame[54] in (135, 136)
        if frame[14] >> 4 != 6:
            return "IPv6 header is not sound"
        if neighbour:
            ours = self.own6 if self.side == "tor" else {self.me.gateway6}
            if frame[21] != 255 or (src not in ours and src[:2] != b"\xfe\x80"):
                return f"ND of {socket.inet_ntop(socket.AF_INET6, src)}"
            return None
        if frame[20] == 58 and len(frame) > 54 and frame[54] in (134, 137):
            return f"ICMPv6 type {frame[54]}"
        if self.sender and src != self.sender.ip6:
            return f"IPv6 source {socket.inet_ntop(socket.AF_INET6, src)}"
        if self.side == "tor" and src not in self.own6:
            return f"IPv6 source {socket.inet_ntop(socket.AF_INET6, src)}"
        if self.side != "tor" and dst != self.me.ip6:
            return f"IPv6 destination {socket.inet_ntop(socket.AF_INET6, dst)}"
        return None

    def run(self, device):
        sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)  # until bind() it hears no device, not all
        sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 64 << 20)
        sock.bind((device, ETH_P_ALL))

        def end(_signal, _frame):
            # What arrived before the signal is looked at, too.
            sock.setblocking(False)

        signal.signal(signal.SIGTERM, end)
        print("watching", file=sys.stderr, flush=True)
        while True:
            try:
                frame, address = sock.recvfrom(65536)
            except BlockingIOError:
                break
            if address[2] == socket.PACKET_OUTGOING:
                continue
            self.seen += 1
            try:
                why = self.look(frame)
            except (IndexError, struct.error):
                why = "too short"
            if why:
                self.wrong.setdefault(why, []).append(frame[:64].hex())
        lost = struct.unpack("II", sock.getsockopt(*PACKET_STATISTICS, 8))[1]
        print(json.dumps({"seen": self.seen, "missed": lost, "wrong": sum(map(len, self.wrong.values())),
                          "why": {why: [len(frames), frames[0]] for why, frames in list(self.wrong.items())[:10]}}))


def main():
    if len(sys.argv) < 5 or sys.argv[2] not in ("send", "watch"):
        raise SystemExit(__doc__)
    facts, verb, device, side = Facts(sys.argv[1]), *sys.argv[2:5]
    if verb == "send":
        send(facts, device, side, int(sys.argv[5]), int(sys.argv[6]))
    else:
        Watch(facts, side, sys.argv[5] if len(sys.argv) > 5 else None).run(device)


if __name__ == "__main__":
    main()
