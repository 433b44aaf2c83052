#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How long a packet takes from a pod to a controller while the node is idle: prints the lower quartile in microseconds.

usage: packet_in_times.py NAMESPACE SOCKET ADDRESS PACKETS

Sends UDP from the namespace to the address, whose packets a rule of the switch must send to controllers.
"""
import random
import socket
import statistics
import struct
import sys
import time

from namespaces import inside

VERSION, HELLO, ECHO_REPLY, SET_CONFIG, PACKET_IN = 1, 0, 3, 9, 10
IDLE_S = 0.12  # on average, before each packet; longer than any sleep of the daemon's in between


def message(kind, body=b""):
    return struct.pack("!BBHI", VERSION, kind, 8 + len(body), 1) + body


def read_message(peer):
    head = peer.recv(8, socket.MSG_WAITALL)
    _, kind, length, _ = struct.unpack("!BBHI", head)
    return kind, peer.recv(length - 8, socket.MSG_WAITALL)


def wait_for(peer, wanted, text):
    while True:
        kind, body = read_message(peer)
        if kind == wanted and text in body:
            return


def main():
    namespace, path, address, n = sys.argv[1:]
    with inside(namespace):
        pod = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    pod.connect((address, 9))
    peer = socket.socket(socket.AF_UNIX)
    peer.settimeout(60)
    peer.connect(path)
    # Controllers by a listener get packet-ins once they have said how much of each.
    peer.sendall(message(HELLO) + message(SET_CONFIG, struct.pack("!HH", 0, 128)) + message(2, b"ready?"))
    wait_for(peer, ECHO_REPLY, b"ready?")
    times = []
    for i in range(int(n)):
        text = b"packet %d." % i
        time.sleep(IDLE_S * (0.5 + random.random()))
        start = time.monotonic_ns()
        pod.send(text)
        wait_for(peer, PACKET_IN, text)
        times.append((time.monotonic_ns() - start) // 1000)
    print(round(statistics.quantiles(times)[0]))
    print(f"# median {round(statistics.median(times))}, from {min(times)} to {max(times)} us", file=sys.stderr)


main()
