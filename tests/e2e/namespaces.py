# SPDX-License-Identifier: Apache-2.0
"""Network namespaces of the lab, from within one process."""

import contextlib
import ctypes
import os
import subprocess

CLONE_NEWNET = 0x40000000
libc = ctypes.CDLL(None, use_errno=True)
home = os.open("/proc/self/ns/net", os.O_RDONLY)


def enter(fd):
    if libc.setns(fd, CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")


@contextlib.contextmanager
def inside(namespace):
    """For this thread: a socket that is opened here stays in that namespace."""
    fd = os.open(f"/run/netns/{namespace}", os.O_RDONLY)
    try:
        enter(fd)
        yield
    finally:
        enter(home)
        os.close(fd)


def ip(namespace, *args):
    subprocess.run(["ip", "-n", namespace, *args], check=True)


def ip_exec(namespace, *args):
    subprocess.run(["ip", "netns", "exec", namespace, *args], check=True,
                   stdout=subprocess.DEVNULL)
