#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What a client of the control socket may do to the daemon, while another one asks as usual.

usage: hostile_client.py --socket FILE --pid PID --gid GID --params JSON [--bound-ms N]

--params are those of an attachment that can be made and removed; --gid is the group that may read.
Prints a line `ok<TAB>text` or `not ok<TAB>text<TAB>why` for each thing tried.
"""
import argparse
import array
import contextlib
import json
import multiprocessing
import os
import random
import socket
import sys
import threading
import time

sys.dont_write_bytecode = True

from control_client import Client, Closed, Refused  # noqa: E402

CONNECTIONS_MAX = 64     # of docs/control-socket.md
MESSAGE_MAX = 256 << 10
MESSAGE_SECONDS = 30
NOBODY = 65534


def connect(args, timeout=None):
    timeout = timeout or 4 * args.bound_ms / 1000
    sock = socket.socket(socket.AF_UNIX)
    sock.connect(args.socket)  # with a timeout, a full listen queue would fail at once
    sock.settimeout(timeout)
    return sock


def closed_by_peer(sock):
    """Reads on until the other side closes."""
    try:
        while sock.recv(1 << 16):
            pass
        return True
    except ConnectionResetError:
        return True
    except socket.timeout:
        return False


def send_until_closed(sock, data):
    """How many bytes of it the daemon took, or let the kernel take for it."""
    sent = 0
    try:
        while sent < len(data):
            sent += sock.send(data[sent:sent + (1 << 18)])
    except (BrokenPipeError, ConnectionResetError):
        pass
    return sent


def memory_kb(pid, what):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith(what + ":"))


def open_files(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


class Usual(multiprocessing.Process):
    """Asks as the plugin and sluicectl do, and notes the longest time an answer took. What attaching and detaching
    take is mostly the kernel's, which others on the machine keep busy, too: that has a bound of its own."""

    def __init__(self, args):
        super().__init__(daemon=True)
        self.args = args
        self.longest = multiprocessing.Value("d", 0)
        self.longest_change = multiprocessing.Value("d", 0)
        self.answers = multiprocessing.Value("L", 0)
        self.failed = multiprocessing.Array("c", 500)
        self.stop = multiprocessing.Event()

    def run(self):
        try:
            client = Client(self.args.socket, 4 * self.args.bound_ms / 1000)
            key = {name: self.args.params[name] for name in ("container_id", "ifname")}
            while not self.stop.is_set():
                for method, params in (("version", {}), ("status", {}), ("attach", self.args.params),
                                       ("check", self.args.params_check), ("detach", key)):
                    begin = time.monotonic()
                    client.call(method, **params)
                    longest = self.longest_change if method in ("attach", "detach") else self.longest
                    longest.value = max(longest.value, time.monotonic() - begin)
                    self.answers.value += 1
                    time.sleep(0.02)
        except (Closed, Refused, OSError) as error:
            self.failed.value = f"{type(error).__name__} {error}".encode()[:499]


def attack_garbage(args):
    for seed in range(50):
        sock = connect(args)
        send_until_closed(sock, random.Random(seed).randbytes(2000) + b"}")
        assert closed_by_peer(sock), f"seed {seed}: not closed"


def attack_half(args):
    request = json.dumps({"id": 1, "method": "attach", "params": [args.params]}).encode()
    for length in range(1, len(request)):
        with connect(args) as sock:
            sock.send(request[:length])


def attack_no_reader(args):
    for _ in range(200):
        with connect(args) as sock:
            sock.send(b'{"id": 1, "method": "rules", "params": []}')


def endless(args, begin, item):
    """A message of 1 GiB: how much of it is taken."""
    sock = connect(args)
    taken = send_until_closed(sock, begin)
    chunk = item * ((1 << 20) // len(item))
    while taken < 1 << 30:
        sent = send_until_closed(sock, chunk)
        taken += sent
        if sent < len(chunk):
            break
    sock.close()
    # Twice the limit, and what the kernel holds for the daemon.
    assert taken <= 2 * MESSAGE_MAX + (1 << 20), f"{taken} bytes were taken"


def attack_gigabyte_string(args):
    endless(args, b'{"id": 1, "method": "', b"a")


def attack_gigabyte_array(args):
    endless(args, b'{"id": 1, "method": "version", "params": [', b"{},")


def attack_gigabyte_blanks(args):
    endless(args, b"", b" ")


def attack_gigabyte_crowd(args):
    failures = []

    def one():
        try:
            endless(args, b'{"id": 1, "method": "version", "params": [', b"[],")
        except (AssertionError, OSError) as error:
            failures.append(str(error))

    threads = [threading.Thread(target=one) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, failures[0]


def attack_almost_too_long(args):
    """What they hold together must be bearable."""
    with contextlib.ExitStack() as stack:
        for _ in range(args.long_messages):
            sock = stack.enter_context(connect(args))
            begin = b'{"id": 1, "method": "version", "params": ['
            send_until_closed(sock, begin + b"{}," * ((MESSAGE_MAX - len(begin)) // 3))
        time.sleep(1)


def attack_silence(args):
    with contextlib.ExitStack() as stack:
        for _ in range(CONNECTIONS_MAX - 2):
            stack.enter_context(connect(args))
        time.sleep(2)


def attack_crowd(args):
    with contextlib.ExitStack() as stack:
        socks = [stack.enter_context(connect(args)) for _ in range(100)]
        answered = 0
        for sock in socks:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                sock.send(b'{"id": 1, "method": "version", "params": []}')
        for sock in socks:
            with contextlib.suppress(ConnectionResetError):
                answered += b"protocol" in sock.recv(1000)
        assert answered >= CONNECTIONS_MAX - 2, f"only {answered} of 100 were answered"


def attack_deep(args):
    for begin in (b"[", b'{"a":', b'{"id":1,"method":"version","params":[{"a":' + b"["):
        sock = connect(args)
        send_until_closed(sock, begin * 30000)
        assert closed_by_peer(sock), f"{begin}: not closed"


def attack_strings(args):
    """Answers, if there are any, must be JSON in UTF-8."""
    for method in (b"\xff\xfe", b"\xc0\x80", b"\\u0000", b"\\ud800", b"\\udc00", b"\xed\xa0\x80", b"\x00", b"\x1b[2J",
                   b"a" + "é".encode() * 60, "é".encode() * 60, b"%s%n%n%n", b"\\ud83d\\ude00" * 30, b"a" * 200000):
        for text in (b'{"id": 1, "method": "%b", "params": []}' % method,
                     b'{"id": "%b", "method": "version", "params": []}' % method,
                     b'{"id": 1, "method": "version", "params": [{"%b": 1}]}' % method,
                     b'{"id": 1, "method": "detach", "params": [{"container_id": "%b", "ifname": "eth0"}]}' % method,
                     b'{"id": 1, "method": "attach", "params": [{"container_id": "c", "mac": "%b"}]}' % method,
                     b'{"id": 1, "method": "attach", "params": [{"container_id": "c", "ips": ["%b"]}]}' % method):
            sock = connect(args)
            sock.send(text)
            sock.shutdown(socket.SHUT_WR)
            answer = b""
            with contextlib.suppress(ConnectionResetError):
                while data := sock.recv(1 << 16):
                    answer += data
            sock.close()
            try:
                if answer:
                    json.loads(answer.decode())
            except ValueError as error:
                raise AssertionError(f"{text[:100]}: answered {answer[:200]}: {error}") from error


def refused(client, code, method, params):
    try:
        result = client.call(method, **params)
    except Refused as error:
        assert error.args[0] == code, f"{method} {params}: {error.args}, wanted {code}"
        return
    raise AssertionError(f"{method} {params}: not refused: {result}")


def attack_params(args):
    client = Client(args.socket)
    good = {**args.params, "container_id": "other", "ips": ["10.1.10.241"]}
    for method in ("", "atach", "ATTACH", "version ", "system", "a" * 10000):
        refused(client, "unknown_method", method, {})
    for method in ("version", "status", "ports", "pods", "rules", "stats", "workers", "offload"):
        refused(client, "invalid_params", method, {"extra": 1})
    for name in good:
        for value in (None, True, -1, 1.5, 10 ** 30, [], {}, [[]], "", "\t", "x" * 5000):
            refused(client, "invalid_params", "attach", {**good, name: value})
    for name, value in (("mac", "01:00:00:00:00:01"), ("mac", "00:00:00:00:00:00"), ("mac", "02:02"),
                        ("ips", ["10.1.10.1/24"]), ("ips", ["x"]), ("ips", [1]), ("ips", good["ips"] * 2),
                        ("ips", [f"10.1.10.{n}" for n in range(100, 120)]), ("mtu", 10), ("mtu", 9000),
                        ("netdev", "../../x"), ("netdev", "a/b"), ("ifname", ".."), ("container_id", "../x")):
        refused(client, "invalid_params", "attach", {**good, name: value})
    refused(client, "invalid_params", "attach", {**good, "devargs": "net_null0"})
    refused(client, "no_range", "attach", {**good, "ips": ["192.0.2.1"]})
    refused(client, "address_in_use", "attach", {**good, "ips": ["10.1.10.1"]})
    refused(client, "no_device", "attach", {**good, "netdev": "not-there"})
    refused(client, "no_device", "attach", {**good, "netdev": "up0"})
    for method in ("attach", "detach", "check"):
        refused(client, "invalid_params", method, {})
    for params in ("x", 1, None, {}, [1], [[]], [{}, {}]):
        client.socket.send(json.dumps({"id": 7, "method": "version", "params": params}).encode())
        try:
            answer = client.receive()
            assert answer["id"] == 7
        except Closed:  # what is no JSON-RPC ends the connection
            client = Client(args.socket)
    client.close()


def attack_not_requests(args):
    """Answers that nobody asked for, notifications, and no JSON-RPC at all."""
    for text in (b'{"id": 1, "result": {}, "error": null}', b'{"id": 1, "result": null, "error": "x"}',
                 b'{"id": null, "method": "version", "params": []}', b"{}", b"[]", b"null", b'"x"', b"1", b"{}" * 1000,
                 b'{"id": 1, "id": 2, "method": "version", "method": "rules", "params": []}'):
        sock = connect(args, 0.2)
        send_until_closed(sock, text)
        closed_by_peer(sock)
        sock.close()


def attack_not_reading(args):
    with contextlib.ExitStack() as stack:
        for _ in range(20):
            sock = stack.enter_context(connect(args, 0.2))
            with contextlib.suppress(socket.timeout, BrokenPipeError, ConnectionResetError):
                for _ in range(1000):
                    sock.send(b'{"id": 1, "method": "rules", "params": []}' * 100)
        time.sleep(1)


def attack_many_requests(args):
    with connect(args, 20 * args.bound_ms / 1000) as sock:
        n = 20000
        sender = threading.Thread(target=sock.sendall, args=(b'{"id":1,"method":"version","params":[]}' * n,))
        sender.start()
        answers = 0
        while answers < n:
            data = sock.recv(1 << 16)
            assert data, f"closed after {answers} answers"
            answers += data.count(b"protocol")
        sender.join()


def attack_descriptors(args):
    null = os.open("/dev/null", os.O_RDONLY)
    fds = array.array("i", [null] * 100)
    for _ in range(50):
        with connect(args) as sock:
            sock.sendmsg([b'{"id": 1, "method": "version", "params": []}'],
                         [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds)])
            assert b"protocol" in sock.recv(1000)
    os.close(null)


def as_other(args, gid, function):
    """Runs it as a user without rights; returns what it returns or says what it raised."""
    receiver, sender = multiprocessing.Pipe(duplex=False)

    def run():
        os.setgroups([])
        os.setgid(gid)
        os.setuid(NOBODY)
        try:
            sender.send(("done", function(args)))
        except Exception as error:  # whatever it is, the other side is to see it
            sender.send((type(error).__name__, str(error)))

    process = multiprocessing.get_context("fork").Process(target=run)
    process.start()
    result = receiver.recv()
    process.join()
    return result


def attack_stranger(args):
    got = as_other(args, NOBODY, lambda args: Client(args.socket).call("version"))
    assert got[0] == "PermissionError", f"another user, not of the group: {got}"


def attack_reader(args):
    def read_and_write(args):
        client = Client(args.socket)
        assert client.call("status")["pods"]
        for method in ("attach", "detach"):
            refused(client, "not_permitted", method, args.params)

    got = as_other(args, args.gid, read_and_write)
    assert got == ("done", None), f"another user, of the group: {got}"


def attack_readers_crowd(args):
    """Other users' connections push out each other, never a privileged one."""
    def crowd(args):
        socks = [connect(args) for _ in range(200)]
        time.sleep(0.5)
        return len(socks)

    client = Client(args.socket)  # quiet before all of them
    client.call("version")
    time.sleep(0.1)
    got = as_other(args, args.gid, crowd)
    assert got == ("done", 200), got
    assert client.call("version"), "a privileged connection was closed"
    client.close()


ATTACKS = (
    ("random bytes", attack_garbage),
    ("half messages", attack_half),
    ("a message of 1 GiB: a string", attack_gigabyte_string),
    ("a message of 1 GiB: an array", attack_gigabyte_array),
    ("a message of 1 GiB: blanks", attack_gigabyte_blanks),
    ("16 messages of 1 GiB at once", attack_gigabyte_crowd),
    ("messages almost too long, on many connections", attack_almost_too_long),
    ("silence, on all connections", attack_silence),
    ("100 connections at once", attack_crowd),
    ("deep nesting", attack_deep),
    ("strings that are no text", attack_strings),
    ("unknown methods and members, wrong types", attack_params),
    ("messages that are no requests", attack_not_requests),
    ("clients gone before their answer", attack_no_reader),
    ("clients that do not read", attack_not_reading),
    ("20,000 requests in one go", attack_many_requests),
    ("file descriptors sent along", attack_descriptors),
    ("another user", attack_stranger),
    ("another user, who may read", attack_reader),
    ("200 connections of one who may read", attack_readers_crowd),
)


class Loris(threading.Thread):
    """A message that goes on and on, a byte at a time."""

    def __init__(self, args):
        super().__init__(daemon=True)
        self.args = args
        self.seconds = None

    def run(self):
        sock = connect(self.args, 0.5)
        begin = time.monotonic()
        try:
            while time.monotonic() - begin < 3 * MESSAGE_SECONDS:
                with contextlib.suppress(socket.timeout):
                    sock.send(b"[")
                    if not sock.recv(1):
                        break
            else:
                return
        except (BrokenPipeError, ConnectionResetError):
            pass
        self.seconds = time.monotonic() - begin


def verdict(text, why=None):
    print("not ok" if why else "ok", text, *([why] if why else []), sep="\t", flush=True)


def try_out(args, usual, text, attack):
    """Where the usual client waited too long it is tried again: another process may have had the CPU."""
    for _ in range(3):
        why, in_time = try_once(args, usual, attack)
        if why or in_time:
            break
    verdict(text, why or (None if in_time else f"the usual client waited longer than {args.bound_ms} ms for an answer, "
                          f"or {10 * args.bound_ms} ms to attach or detach"))


def try_once(args, usual, attack):
    """What was wrong, and whether the usual client was answered in time."""
    usual.longest.value, usual.longest_change.value, why = 0, 0, None
    begin = time.monotonic()
    answers = usual.answers.value
    with open(f"/proc/{args.pid}/clear_refs", "w", encoding="ascii") as file:
        file.write("5")  # VmHWM begins anew
    before = memory_kb(args.pid, "VmRSS")
    try:
        attack(args)
        time.sleep(0.2)
    except (AssertionError, OSError, Closed, Refused) as error:
        why = f"{type(error).__name__} {error}"
    peak = (memory_kb(args.pid, "VmHWM") - before) >> 10
    longest, longest_change = round(1000 * usual.longest.value), round(1000 * usual.longest_change.value)
    if not why and usual.failed.value:
        why = f"the usual client failed: {usual.failed.value.decode()}"
    if not why and peak > args.memory_mib:
        why = f"the daemon took {peak} MiB more, at most {args.memory_mib} are allowed"
    print(f"#\t{time.monotonic() - begin:.1f} s, {usual.answers.value - answers} usual answers, longest {longest} ms, "
          f"of attaching and detaching {longest_change} ms, "
          f"memory +{peak} MiB", flush=True)
    return why, longest <= args.bound_ms and longest_change <= 10 * args.bound_ms


def wait_for_files(args, files):
    """Closing is seen by the daemon's next turn."""
    for _ in range(600):
        if open_files(args.pid) <= files:
            return
        time.sleep(0.1)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--socket", required=True)
    parser.add_argument("--pid", type=int, required=True)
    parser.add_argument("--gid", type=int, required=True)
    parser.add_argument("--params", type=json.loads, required=True)
    parser.add_argument("--bound-ms", type=int, default=1000)
    parser.add_argument("--memory-mib", type=int, default=64)
    parser.add_argument("--long-messages", type=int, default=CONNECTIONS_MAX - 2, metavar="N")
    parser.add_argument("--only", default="")
    args = parser.parse_args()
    args.params_check = {name: args.params[name] for name in ("container_id", "ifname", "netdev", "mac", "ips")}
    files = open_files(args.pid)
    usual = Usual(args)
    usual.start()
    lorises = [Loris(args) for _ in range(5)]
    for loris in lorises:
        loris.start()
    for text, attack in ATTACKS:
        if args.only in text:
            try_out(args, usual, text, attack)
    for loris in lorises:
        loris.join()
    # Some may have been pushed out sooner, by connections that came after them.
    seconds = [loris.seconds for loris in lorises]
    late = [s for s in seconds if s is None or s > 2 * MESSAGE_SECONDS]
    verdict("messages that go on a byte at a time are cut off", f"after {seconds} s" if late else None)
    with connect(args, 2 * MESSAGE_SECONDS) as sock:
        begin = time.monotonic()
        sock.send(b'{"id": 1')
        closed = closed_by_peer(sock)
        took = time.monotonic() - begin
    verdict("half a message is waited for no longer than 30 s",
            None if closed and MESSAGE_SECONDS - 1 < took else f"closed {closed} after {took} s")
    usual.stop.set()
    usual.join()
    verdict("the usual client was always answered",
            usual.failed.value.decode() or (None if usual.answers.value > 20 else f"{usual.answers.value} answers"))
    wait_for_files(args, files)
    verdict("the daemon has as many files open as before",
            None if open_files(args.pid) == files else f"{open_files(args.pid)} after {files}")


if __name__ == "__main__":
    main()
