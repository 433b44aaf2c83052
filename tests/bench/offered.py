# SPDX-License-Identifier: Apache-2.0
"""What becomes of packets that come at a rate of their own, as they do from a wire: loss, latency,
and how long a contender did not look at its queue. The generator keeps 4,096 packets, as a NIC's
ring; what comes while it is full is lost."""

import dataclasses
import time

RING = 4096
IN_FLIGHT = 1024
# RFC 2544 section 26.1 wants none lost. A virtual machine's CPU is taken away now and then, for longer
# than any ring lasts, whatever the rate: so much counts as none, and a trial that fails has another.
LOSS_MAX = 0.001
TRIALS = 2
NDR_STEP = 0.01  # of the capacity: how near the search gets
PERCENTILES = {"p50": 50, "p99": 99, "p999": 99.9, "p9999": 99.99}


@dataclasses.dataclass
class Offered:
    """What was measured over some time: of the ordinary packets, not the attack's."""

    mpps: float  # offered
    loss: float  # share
    lost: int
    latency_us: dict
    longest_gap_us: float  # between two polls

    @staticmethod
    def take(generator, rate, seconds):
        """`rate`: of the ordinary packets, a second."""
        before, start = generator.counters(), time.monotonic()
        time.sleep(seconds)
        after, end = generator.counters(), time.monotonic()
        change = after.minus(before)
        # The generator counts what it lost when it is polled; a contender that hardly polls is told
        # by the clock. What is under way is not lost.
        came = rate * (end - start)
        lost = max(change.missed[0], int(came - change.received[0]) - RING, 0)
        lost += max(change.received[0] - change.sent[0] - IN_FLIGHT, 0)
        return Offered(rate / 1e6, min(lost / came, 1), lost,
                       {name: micro(change.latency.percentile(p)) for name, p in PERCENTILES.items()},
                       micro(change.gaps.maximum()))

    def blocked_us(self):
        """For how long the loss says that packets were not taken (FD.io CSIT's reconfiguration
        test)."""
        return self.lost / self.mpps if self.mpps else 0

    def row(self):
        return {"offered_mpps": round(self.mpps, 3), "loss": self.loss, "lost": self.lost,
                "blocked_us": round(self.blocked_us(), 1), "latency_us": self.latency_us,
                "longest_gap_us": self.longest_gap_us}


def micro(nanoseconds):
    return None if nanoseconds is None else round(nanoseconds / 1000, 1)


def capacity(generator, seconds):
    """Packets a second that a contender takes as things are, whoever else uses its core."""
    before, start = generator.totals()[0], time.monotonic()
    time.sleep(seconds)
    return (generator.totals()[0] - before) / (time.monotonic() - start)


def no_drop_rate(trial, top):
    """The highest rate up to `top` at which at most LOSS_MAX is lost, by bisection: what trial(rate)
    gave at it."""
    low, high, rate, best = 0, top, top, None
    while best is None or high - low > NDR_STEP * top:
        passed = next((t for t in (trial(rate) for _ in range(TRIALS)) if t.loss <= LOSS_MAX), None)
        if passed:
            low, best = rate, passed
            if rate == top:
                break
        elif rate < NDR_STEP * top:
            raise RuntimeError(f"at {rate} packets a second there is still loss")
        else:
            high = rate
        rate = (low + high) // 2
    return best
