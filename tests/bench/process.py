# SPDX-License-Identifier: Apache-2.0
"""A contender's process, and how long its busy thread has run."""

import contextlib
import ctypes
import dataclasses
import os
import pathlib
import signal
import subprocess
import sys
import time

PR_SET_PDEATHSIG = 1
AUTOGROUP = pathlib.Path("/proc/self/autogroup")
libc = ctypes.CDLL(None)


def start(command, log, cpus, answers=False, priority=-20, **kwargs):
    """Starts a process that may use `cpus`, that Ctrl-C at the terminal does not reach, that mostly
    has its CPU before others, and that dies with us whatever happens. Its standard input stays open:
    testpmd ends with it. `answers`: what it writes is for us and not for the log."""

    def child():
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        os.sched_setaffinity(0, cpus)
        os.setpriority(os.PRIO_PROCESS, 0, priority)
        # Where each session has its share of the CPUs, a process's priority counts within it only.
        if AUTOGROUP.exists():
            AUTOGROUP.write_text(str(priority))

    with open(log, "ab") as output:
        return subprocess.Popen(command, stdin=subprocess.PIPE, stderr=output,
                                stdout=subprocess.PIPE if answers else output,
                                start_new_session=True, preexec_fn=child, **kwargs)


@contextlib.contextmanager
def busy(cpus):
    """Keeps the CPUs busy with a process that does nothing, and that others come before."""
    process = start([sys.executable, "-c", "while True: pass"], os.devnull, cpus, priority=5)
    try:
        yield
    finally:
        stop(process)


def stop(process):
    if process is None:
        return
    process.terminate()
    for pipe in process.stdin, process.stdout:
        if pipe:
            pipe.close()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def wait_for(ready, process, log, what, seconds=120, every=0.05):
    """Waits until ready() gives something true and returns it."""
    deadline = time.monotonic() + seconds
    while True:
        if process.poll() is not None:
            raise RuntimeError(f"{what} ended with status {process.returncode}:\n{tail(log)}")
        result = ready()
        if result:
            return result
        if time.monotonic() > deadline:
            raise RuntimeError(f"{what} was not ready after {seconds} s:\n{tail(log)}")
        time.sleep(every)


def tail(log, lines=15):
    if log is None:
        return ""
    return "\n".join(pathlib.Path(log).read_text(errors="replace").splitlines()[-lines:])


@dataclasses.dataclass
class Own:
    """What a contender says of itself: packets, and cycles of the TSC."""

    packets: int
    cycles: int

    def minus(self, other):
        return Own(self.packets - other.packets, self.cycles - other.cycles)


def run_ns(pid, cpu):
    """Nanoseconds that the process's threads bound to this CPU alone have run: the elapsed time
    less what other processes and the hypervisor took from them."""
    total = 0
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        status = (task / "status").read_text()
        if f"\nCpus_allowed_list:\t{cpu}\n" in status:
            total += int((task / "schedstat").read_text().split()[0])
    return total
