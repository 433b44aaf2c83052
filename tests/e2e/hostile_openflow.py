#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Sends OpenFlow messages with wrong bytes in them to a switch, of each version, and sees that it still answers.

usage: hostile_openflow.py SOCKET MESSAGES [SEED]
"""
import random
import socket
import struct
import subprocess
import sys
import time

FLOWS = [
    "priority=3,tcp,nw_src=10.0.0.0/8,tp_dst=80,actions=mod_nw_tos:40,output:3",
    "table=1,ipv6,ipv6_src=fd00::/64,actions=set_field:5->reg1,resubmit(,3)",
    "table=2,arp,arp_tpa=10.1.10.3,actions=controller:64,normal",
    "icmp,icmp_type=8,metadata=5/0xff,actions=push_vlan:0x8100,mod_vlan_vid:7,in_port",
]
VERSIONS = {1: "OpenFlow10", 2: "OpenFlow11", 3: "OpenFlow12", 4: "OpenFlow13", 5: "OpenFlow14", 6: "OpenFlow15"}


def header(version, kind, body=b"", xid=1):
    return struct.pack("!BBHI", version, kind, 8 + len(body), xid) + body


def accepted(listener, client):
    """The client's connection, or None if it ends without one."""
    while True:
        try:
            return listener.accept()[0]
        except TimeoutError:
            if client.poll() is not None:
                return None


def caught(path, version):
    """What ovs-ofctl sends for some requests, by playing the switch for it."""
    messages = []
    commands = [["add-flow", "T", flow] for flow in FLOWS] + [
        ["add-group", "T", "group_id=4,type=select,bucket=weight:3,output:3,bucket=output:4"],
        ["add-meter", "T", "meter=4,kbps,burst,band=type=drop,rate=100,burst_size=10"],
        ["dump-flows", "T", "tcp"], ["dump-ports", "T"], ["dump-groups", "T"], ["dump-table-features", "T"],
        ["packet-out", "T", "in_port=3 packet=" + "00" * 60 + " actions=output:4"],
        ["--bundle", "add-flow", "T", FLOWS[0]],
    ]
    listener = socket.socket(socket.AF_UNIX)
    name = f"{path}.caught.{version}"
    listener.bind(name)
    listener.listen(16)
    listener.settimeout(0.1)
    for command in commands:
        words = [word if word != "T" else f"unix:{name}" for word in command]
        client = subprocess.Popen(["timeout", "60", "ovs-ofctl", "-O", VERSIONS[version], *words],
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        peer = accepted(listener, client)
        if not peer:  # there is no such command in this version
            continue
        peer.sendall(header(version, 0))
        peer.settimeout(30)
        try:
            while True:
                head = peer.recv(8, socket.MSG_WAITALL)
                if len(head) < 8:
                    break
                body = peer.recv(struct.unpack("!H", head[2:4])[0] - 8, socket.MSG_WAITALL)
                messages.append(head + body)
                if head[1] != 0:  # the request: what may follow comes with it
                    peer.settimeout(0.1)
        except TimeoutError:
            pass
        peer.close()
        client.kill()
        client.wait()
    listener.close()
    subprocess.run(["rm", "-f", name], check=True)
    return [message for message in messages if message[1] not in (0, 2, 3)]


def mutate(message, chance):
    data = bytearray(message)
    for _ in range(chance.choice([1, 1, 2, 4, 16])):
        if len(data) <= 8:
            break
        at = chance.randrange(1, len(data))
        if at in (2, 3) and chance.random() < 0.9:
            continue  # the length: mostly right, or all that follows is noise
        data[at] = chance.choice([0, 1, 0x7f, 0x80, 0xff, data[at] ^ (1 << chance.randrange(8)), chance.randrange(256)])
    if chance.random() < 0.1:
        data = data[:chance.randrange(8, len(data) + 1)]
        struct.pack_into("!H", data, 2, len(data))
    return bytes(data)


def connect(path, version):
    peer = socket.socket(socket.AF_UNIX)
    peer.settimeout(60)
    peer.connect(path)
    peer.sendall(header(version, 0))
    return peer


def drain(peer):
    peer.setblocking(False)
    try:
        while peer.recv(1 << 16):
            pass
    except BlockingIOError:
        return
    finally:
        peer.settimeout(60)
    raise ConnectionResetError


def hammer(path, version, messages, n, chance):
    """Sends n mutated messages; a switch may close the connection whenever it likes."""
    peer = connect(path, version)
    for i in range(n):
        try:
            peer.sendall(mutate(chance.choice(messages), chance))
            if i % 16 == 0:
                drain(peer)
        except (ConnectionError, TimeoutError, BlockingIOError):
            peer.close()
            peer = connect(path, version)
    peer.close()


def ask_for_queues(path, version):
    """Statistics of a port that OpenFlow has no number for (OpenFlow 1.1 to 1.5: OFPMP_QUEUE is 5)."""
    peer = connect(path, version)
    peer.sendall(header(version, 18, struct.pack(">HH4xII", 5, 0, 0xFF01FFFF, 0)))
    peer.recv(1 << 16)
    peer.close()


def answers(path, version):
    peer = connect(path, version)
    peer.sendall(header(version, 2, b"alive?", xid=77))
    deadline = time.monotonic() + 60
    data = b""
    while time.monotonic() < deadline and b"alive?" not in data:
        data += peer.recv(1 << 16)
    peer.close()
    return b"alive?" in data


def main():
    path, count = sys.argv[1], int(sys.argv[2])
    seed = int(sys.argv[3]) if len(sys.argv) > 3 else random.randrange(1 << 32)
    chance = random.Random(seed)
    print(f"seed {seed}")
    for version in VERSIONS:
        messages = caught(path, version)
        if len(messages) < 4:
            sys.exit(f"only {len(messages)} messages of version {version} were caught")
        hammer(path, version, messages, count // len(VERSIONS), chance)
        if version > 1:
            ask_for_queues(path, version)
        if not answers(path, version):
            sys.exit(f"no answer after mutated messages of version {version}")


main()
