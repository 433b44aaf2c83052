# SPDX-License-Identifier: Apache-2.0
"""As much of an OpenFlow 1.3 controller as changes rules fast: the same bytes for every switch.
Message layouts: OpenFlow Switch Specification 1.3.5, section 7."""

import ipaddress
import select
import socket
import struct
import time

VERSION = 4
HELLO, ERROR, ECHO_REQUEST, ECHO_REPLY, FLOW_MOD, BARRIER_REQUEST, BARRIER_REPLY = 0, 1, 2, 3, 14, 20, 21
ADD, DELETE_STRICT = 0, 4
NO_BUFFER = ANY = 0xFFFFFFFF
HEADER = struct.Struct("!BBHI")
PAUSE_S = 0.001


def message(kind, body=b"", xid=0):
    return HEADER.pack(VERSION, kind, HEADER.size + len(body), xid) + body


def match(rule):
    """Of a five-tuple with all bits (rules.exact)."""
    src, dst = (ipaddress.ip_address(prefix.partition("/")[0]).packed for prefix in (rule.src, rule.dst))
    fields = (struct.pack("!IH", 0x80000A02, 0x0800) + struct.pack("!IB", 0x80001401, rule.proto) +
              struct.pack("!I4s", 0x80001604, src) + struct.pack("!I4s", 0x80001804, dst) +
              struct.pack("!IH", 0x80001E02, rule.sport[0]) +
              struct.pack("!IH", 0x80002002, rule.dport[0]))
    length = 4 + len(fields)
    return struct.pack("!HH", 1, length) + fields + bytes(-length % 8)


def flow_mod(command, table, rule):
    """Adds a rule without instructions, which drops, or takes it out."""
    return message(FLOW_MOD, struct.pack("!QQBBHHHIIIHxx", 0, 0, table, command, 0, 0, rule.priority,
                                         NO_BUFFER, ANY, ANY, 0) + match(rule))


class Switch:
    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(60)
        self.socket.connect(str(path))
        self.received = b""
        self.xid = 0
        self.socket.sendall(message(HELLO))
        self.wait(HELLO)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def wait(self, kind):
        """Until a message of this kind; answers echoes, raises what is an error."""
        while True:
            while len(self.received) < HEADER.size or len(self.received) < self.length():
                more = self.socket.recv(65536)
                if not more:
                    raise RuntimeError("the switch closed the connection")
                self.received += more
            _, got, length, xid = HEADER.unpack_from(self.received)
            body, self.received = self.received[HEADER.size:length], self.received[length:]
            if got == ERROR:
                raise RuntimeError(f"the switch answered with error {struct.unpack_from('!HH', body)}")
            if got == ECHO_REQUEST:
                self.socket.sendall(message(ECHO_REPLY, body, xid))
            if got == kind:
                return

    def length(self):
        return HEADER.unpack_from(self.received)[2]

    def barrier(self):
        self.xid += 1
        self.socket.sendall(message(BARRIER_REQUEST, xid=self.xid))
        self.wait(BARRIER_REPLY)

    def pending(self):
        return bool(self.received) or bool(select.select([self.socket], [], [], 0)[0])

    def change(self, table, rules, rate, seconds):
        """Takes rules out and puts them back, in turn, `rate` times a second. Returns how many changes
        a second were done, barrier included."""
        pairs = [flow_mod(command, table, rule) for rule in rules for command in (DELETE_STRICT, ADD)]
        total = int(rate * seconds) // 2 * 2
        start, done = time.monotonic(), 0
        while done < total and time.monotonic() - start < 2 * seconds:
            due = min(int((time.monotonic() - start) * rate) + 1, total, done + 1000)
            if due == done:
                time.sleep(PAUSE_S)
                continue
            self.socket.sendall(b"".join(pairs[i % len(pairs)] for i in range(done, due)))
            done = due
            if self.pending():
                self.barrier()
        self.barrier()
        return done / (time.monotonic() - start)

    def latencies(self, table, rules, n):
        """Seconds that each of n single changes took until the barrier's reply."""
        taken = []
        for i in range(n):
            rule = rules[i // 2 % len(rules)]
            start = time.perf_counter()
            self.socket.sendall(flow_mod((DELETE_STRICT, ADD)[i % 2], table, rule))
            self.barrier()
            taken.append(time.perf_counter() - start)
        return taken
