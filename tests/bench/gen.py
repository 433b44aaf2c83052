# SPDX-License-Identifier: Apache-2.0
"""The generator net_gen, seen from outside: its control file (tests/bench/net_gen/shared.h; change
both). Arguments go in, counters come out, whatever program the device is part of."""

import dataclasses
import mmap
import struct
import subprocess
import time

MAGIC = 0x32476E47
QUEUES = 16
BINS = 16
HISTO = 40 * BINS
HEAD = struct.Struct("=IIII512s128s")
RX = struct.Struct(f"=QQQQQQQ{HISTO}Q")
TX = struct.Struct(f"=QQQ{HISTO}Q")
SIZE = HEAD.size + RX.size + QUEUES * TX.size


def bin_top(number):
    """The largest value of a histogram's bin."""
    if number < BINS:
        return number
    shift, part = divmod(number, BINS)
    return ((part + BINS + 1) << (shift - 1)) - 1


class Histogram:
    def __init__(self, counts):
        self.counts = counts
        self.total = sum(counts)

    def minus(self, other):
        return Histogram([a - b for a, b in zip(self.counts, other.counts)])

    def percentile(self, percent):
        """The value that so many percent do not exceed; None without values."""
        if not self.total:
            return None
        left = self.total * percent / 100
        for number, count in enumerate(self.counts):
            left -= count
            if count and left <= 0:
                return bin_top(number)
        return bin_top(HISTO - 1)

    def maximum(self):
        return self.percentile(100)


@dataclasses.dataclass
class Counters:
    """Of one instant, or what happened between two. Pairs: ordinary packets, the attack's."""

    received: tuple
    missed: tuple
    sent: tuple
    no_mbufs: int
    gaps: Histogram
    latency: Histogram

    def minus(self, other):
        def pair(name):
            return tuple(a - b for a, b in zip(getattr(self, name), getattr(other, name)))

        return Counters(pair("received"), pair("missed"), pair("sent"),
                        self.no_mbufs - other.no_mbufs, self.gaps.minus(other.gaps),
                        self.latency.minus(other.latency))

    def offered(self):
        return tuple(a + b for a, b in zip(self.received, self.missed))


class Generator:
    """A control file in a contender's folder, and the devices' arguments that name it."""

    def __init__(self, folder, args):
        self.path = folder / "gen.control"
        with open(self.path, "wb") as file:
            file.write(HEAD.pack(MAGIC, 0, 0, 0, args.encode(), b""))
            file.truncate(SIZE)
        with open(self.path, "r+b") as file:
            self.memory = mmap.mmap(file.fileno(), SIZE)
        self.wanted = 0

    def source(self, number=0):
        return f"net_gen{number},control={self.path}"

    def sink(self, number=1):
        return f"net_gen{number},sink=1,control={self.path}"

    def taken(self):
        if struct.unpack_from("=I", self.memory, 8)[0] != self.wanted:
            return False
        error = struct.unpack_from("=128s", self.memory, 16 + 512)[0].rstrip(b"\0").decode()
        if error:
            raise RuntimeError(f"net_gen: {error}")
        return True

    def change(self, args, seconds=30):
        """While it runs; returns when it sends what is asked for."""
        self.wanted += 1
        struct.pack_into("=512s", self.memory, 16, args.encode())
        struct.pack_into("=I", self.memory, 4, self.wanted)
        deadline = time.monotonic() + seconds
        while not self.taken():
            if time.monotonic() > deadline:
                raise RuntimeError(f"net_gen did not take {args} within {seconds} s: nobody polls it")
            time.sleep(0.005)

    def counters(self):
        polls, r0, r1, _, m0, m1, no_mbufs, *gaps = RX.unpack_from(self.memory, HEAD.size)
        sent, latency = [0, 0], [0] * HISTO
        for queue in range(QUEUES):
            q0, q1, _, *histo = TX.unpack_from(self.memory, HEAD.size + RX.size + queue * TX.size)
            if q0 or q1:
                sent = [sent[0] + q0, sent[1] + q1]
                latency = [a + b for a, b in zip(latency, histo)]
        return Counters((r0, r1), (m0, m1), tuple(sent), no_mbufs, Histogram(gaps),
                        Histogram(latency))

    def totals(self):
        """Received and sent so far, cheaply."""
        _, r0, r1 = struct.unpack_from("=QQQ", self.memory, HEAD.size)
        sent = sum(sum(struct.unpack_from("=QQ", self.memory, HEAD.size + RX.size + q * TX.size))
                   for q in range(QUEUES))
        return r0 + r1, sent

    def close(self):
        self.memory.close()


def plugin_for_stock_dpdk(root):
    """The driver for programs of the machine's own DPDK, like OVS-DPDK: a file for EAL's -d."""
    done = subprocess.run([root / "tests/bench/net_gen/stock-plugin"], capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"net_gen for OVS-DPDK: {done.stderr.strip()}")
    return done.stdout.strip()
