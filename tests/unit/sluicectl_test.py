#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""sluicectl as a user sees it: TAP on stdout.

usage: sluicectl_test.py SLUICECTL SOURCE_ROOT

It talks to a fake daemon here, whose answers are the examples of docs/control-socket.md: so the tool
understands what is documented.
"""

import copy
import fcntl
import json
import os
import pty
import re
import socket
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time

sys.dont_write_bytecode = True

from tap import run_tests, test  # noqa: E402

SLUICECTL, ROOT = sys.argv[1], sys.argv[2]
VERBS = ["status", "ports", "pods", "rules", "stats", "workers", "offload", "doctor", "attach", "detach", "version"]
READING = ["status", "ports", "pods", "rules", "stats", "workers", "offload"]


def documented_results():
    results = {"version": {"version": "0.1.0", "protocol": 1}}
    with open(os.path.join(ROOT, "docs/control-socket.md")) as f:
        text = f.read()
    for section in text.split("\n### ")[1:]:
        example = re.search(r"```json\n(.*?)```", section, re.S)
        for value in json_values(example.group(1)) if example else []:
            # Either the result alone, or a request and its answers.
            result = value if "id" not in value else value.get("result")
            if result is not None:
                results.setdefault(section.split("\n", 1)[0].strip(), result)
    return results


def json_values(text):
    decoder = json.JSONDecoder()
    while text := text.strip():
        value, end = decoder.raw_decode(text)
        yield value
        text = text[end:]


class FakeDaemon:
    """Answers as it is told to: answers[method] is a result, a list of results (one after the other),
    an Exception with an error object, or None (never answers)."""

    def __init__(self, path):
        self.answers, self.requests = {}, []
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen()
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            peer, _ = self.listener.accept()
            threading.Thread(target=self.serve, args=(peer,), daemon=True).start()

    def serve(self, peer):
        received = ""
        while True:
            data = peer.recv(65536)
            if not data:
                return
            received += data.decode()
            try:
                request = json.loads(received)
            except ValueError:
                continue
            received = ""
            self.requests.append(request)
            answer = self.answers[request["method"]]
            if isinstance(answer, list):
                answer = answer.pop(0) if len(answer) > 1 else answer[0]
            if answer is None:
                continue
            failed = isinstance(answer, Exception)
            reply = {"id": request["id"], "result": None if failed else answer,
                     "error": answer.args[0] if failed else None}
            peer.sendall(json.dumps(reply).encode())


def run(*args, **kwargs):
    return subprocess.run([SLUICECTL, "--socket", SOCKET, *args], capture_output=True, text=True,
                          timeout=120, **kwargs)


def succeeds(*args):
    done = run(*args)
    assert done.returncode == 0 and done.stderr == "", (args, done)
    return done.stdout


def fails(status, *args):
    done = run(*args)
    assert done.returncode == status and done.stdout == "", (args, done)
    assert done.stderr.startswith("sluicectl: "), done
    return done.stderr


@test
def tables_fit_100_columns():
    for verb in READING:
        for line in succeeds(verb).splitlines():
            assert len(line) <= 100 and line == line.rstrip(), (verb, line)


@test
def a_narrow_terminal_gets_narrow_tables():
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 72, 0, 0))
    done = subprocess.run([SLUICECTL, "doctor"], stdout=theirs, timeout=120)
    os.close(theirs)
    text = b""
    try:
        while data := os.read(ours, 65536):
            text += data
    except OSError:  # the end of a terminal
        os.close(ours)
    lines = text.decode().splitlines()
    assert done.returncode in (0, 1) and len(lines) > 5, done
    for line in lines:
        # One word alone may be longer.
        assert len(line) <= 72 or " " not in line.strip(), line


@test
def status_says_what_is_wrong():
    out = succeeds("status")
    assert "sluiced 0.1.0, pid 4711, up 1d 00:00:12: degraded" in out, out
    assert "uplink up1: no carrier" in out, out
    assert re.search(r"up0 +up +10.1.10.0/24 +10.1.10.1 +02:00:00:00:01:01 +yes +100.0%", out), out
    assert re.search(r"up1 +down +fd00:10:1:10::/64 +fd00:10:1:10::1 +- +no +0.0%", out), out
    assert "3 up, 1 down" in out and "0 of 15 rules in the NIC" in out, out


@test
def ports_say_why_they_are_down():
    out = succeeds("ports")
    assert re.search(r"1 +up0 +uplink +up +af_xdp +02:00:00:00:00:11 +1500 +120331 +99120 +17$", out, re.M), out
    assert re.search(r"3 +sl3f9a1c2b +pod +down +- ", out), out
    assert "down: netdev sl3f9a1c2b: no such device" in out, out


@test
def an_operand_picks():
    for args, there, not_there in [(("ports", "up0"), "up0", "sl3f9a1c2b"), (("ports", "3"), "sl3f9a1c2b", "up0"),
                                   (("rules", "7c1f"), "output:3", "uplinks:0"),
                                   (("rules", "range"), "uplinks:0", "output:3")]:
        out = succeeds(*args)
        assert there in out and not_there not in out, (args, out)
        picked = succeeds("--json", *args)
        assert there in picked and not_there not in picked, (args, picked)
    for what in ["7c1f", "shop/cart-7d9f", "fd00:10:1:10::5"]:
        assert "10.1.10.5" in succeeds("pods", what)
    assert "nowhere: there is none" in fails(1, "pods", "nowhere")
    assert "up9: there is none" in fails(1, "stats", "up9")


@test
def pods_show_every_address_and_short_ids():
    FAKE.answers["pods"]["pods"][0]["container_id"] = "0123456789abcdef" * 4
    out = succeeds("pods")
    assert re.search(r"3 +shop/cart-7d9f +up +0a:58:0a:01:0a:05 +10.1.10.5 +eth0 +0123456789ab$", out, re.M), out
    assert re.search(r"^ +fd00:10:1:10::5$", out, re.M), out
    assert "0123456789abcdef" * 4 in succeeds("pods", "--wide")


@test
def stats_name_drops_and_reckon_the_sum():
    out = succeeds("stats")
    assert re.search(r"1 +up0 +uplink +120331 +98.12M +99120 +7120331 +12 +0 +17$", out, re.M), out
    assert re.search(r"15 +no_such_pod +from an uplink, for an address no attached pod has", out), out
    assert "runt" not in out, "a reason that never happened"
    assert "220331 received + 24 originated = 220338 sent + 17 dropped + 0 in flight: holds" in out, out
    FAKE.answers["stats"]["totals"]["tx"] -= 3
    assert "0 in flight: off by 3" in succeeds("stats")


@test
def watched_stats_are_rates():
    first = FAKE.answers["stats"]
    second = copy.deepcopy(first)
    second["time_us"] += 2000000
    second["ports"][0]["rx_packets"] += 500
    second["ports"][0]["tx_bytes"] += 4000
    second["totals"]["drops"]["no_such_pod"] += 8
    FAKE.answers["stats"] = [first, second, ConnectionError({"code": "internal", "message": "end"})]
    done = run("stats", "--watch")
    assert done.returncode == 1, done
    assert re.search(r"1 +up0 +uplink +250 +0 +0 +16000 +0$", done.stdout, re.M), done
    assert re.search(r"4 +no_such_pod ", done.stdout), done


@test
def a_watch_outlives_the_daemon():
    refused = ConnectionError({"code": "internal", "message": "end"})
    FAKE.answers["stats"] = [copy.deepcopy(FAKE.answers["stats"]), None, refused]
    done = run("--timeout", "4", "stats", "--watch")
    assert done.returncode == 1 and done.stderr.count("sluicectl: ") == 2, done
    FAKE.answers["stats"] = None
    assert fails(3, "--timeout", "1", "stats", "--watch")


@test
def json_is_the_answer_as_it_is():
    for verb in READING + ["version"]:
        assert json.loads(succeeds("--json", verb)) == FAKE.answers[verb], verb
        assert json.loads(succeeds(verb, "--json")) == FAKE.answers[verb], verb


@test
def other_versions_answers_do_no_harm():
    for verb in READING + ["version"]:
        FAKE.answers[verb] = {}
        succeeds(verb)
        FAKE.answers[verb] = {name: [{}, None, 7, "x", {"gateways": [3], "ips": 1, "drops": []}]
                              for name in DOCUMENTED[verb]}
        succeeds(verb)
        FAKE.answers[verb] = {name: [{"ips": [1, None], "drops": {"?": "x", "new": 5}, "gateways": [{}]}, {}]
                              for name in DOCUMENTED[verb]}
        succeeds(verb)
        FAKE.answers[verb] = []
        FAKE.answers[verb].append("a string")
        succeeds(verb)


@test
def names_cannot_drive_the_terminal():
    FAKE.answers["pods"]["pods"][0]["pod"] = "x\x1b[2J\ny"
    FAKE.answers["rules"]["rules"][0]["match"] = "x\x1b[2J\ny"
    FAKE.answers["status"]["problems"] = ["x\x1b[2J\ny"]
    FAKE.answers["offload"]["rules"][0]["testpmd"] = "x\x1b[2J\ny"
    for args in [("pods",), ("rules",), ("status",), ("offload", "rules")]:
        out = succeeds(*args)
        assert "\x1b" not in out and "x?[2J?y" in out, (args, out)


@test
def offload_says_why_not_and_prints_a_testpmd_script():
    out = succeeds("offload")
    assert "mode auto, 0 of 1 rules in the NIC" in out, out
    assert re.search(r"1 +port 3 \(sl3f9a1c2b\): af_xdp has no transfer rules", out), out
    for line in succeeds("offload", "rules").splitlines():
        assert line.startswith("# ") or line.startswith("flow create "), line
    assert "none of" in fails(2, "offload", "rulez")


def offload_tells_of_a_pod_of_nics_and_of_repairs():
    for name in ["10.1.10.5", "shop/cart-7d9f", "7c1f0e9b2a34"]:
        out = succeeds("offload", "why", name)
        assert "af_xdp has no transfer rules" in out, out
        assert "0 by the NIC, 2,500 by software" in out, out
    assert "no pod" in fails(1, "offload", "why", "nobody")
    assert "of which pod" in fails(2, "offload", "why")
    assert "too many" in fails(2, "offload", "rules", "x")
    out = succeeds("offload", "capabilities")
    assert re.search(r"ipv4 +yes", out) and re.search(r"dec_ttl +no +net_esw was told", out), out
    out = succeeds("offload", "audit")
    assert re.search(r"1 +rules found missing", out) and "last: net_esw: a rule was not there" in out, out


ATTACH = ["attach", "--container-id", "red", "--ifname=eth0", "--netdev", "red0", "--mac", "0a:58:0a:01:0a:05",
          "--ip", "10.1.10.5", "--ip=fd00:10:1:10::5"]


@test
def attach_asks_for_what_was_given():
    FAKE.answers["attach"] = {"port": 3, "driver": "af_xdp", "router_mac": "02:00:5e:00:53:01",
                              "gateways": ["10.1.10.1", "fd00:10:1:10::1"]}
    out = succeeds(*ATTACH)
    expected = {"container_id": "red", "ifname": "eth0", "netdev": "red0", "mac": "0a:58:0a:01:0a:05",
                "ips": ["10.1.10.5", "fd00:10:1:10::5"]}
    assert FAKE.requests[-1]["params"] == [expected], FAKE.requests[-1]
    assert "port 3, driver af_xdp" in out and "10.1.10.1 fd00:10:1:10::1" in out, out
    succeeds(*ATTACH, "--mtu", "9000", "--pod", "shop/red")
    assert FAKE.requests[-1]["params"] == [{**expected, "mtu": 9000, "pod": "shop/red"}], FAKE.requests[-1]
    assert json.loads(succeeds("--json", *ATTACH)) == FAKE.answers["attach"]


@test
def detach_says_whether_there_was_something():
    FAKE.answers["detach"] = {"detached": True}
    assert succeeds("detach", "--container-id", "red", "--ifname", "eth0") == "detached\n"
    assert FAKE.requests[-1]["params"] == [{"container_id": "red", "ifname": "eth0"}]
    FAKE.answers["detach"] = {"detached": False}
    assert succeeds("detach", "--container-id", "red", "--ifname", "eth0") == "was not attached\n"


@test
def wrong_command_lines_name_what_is_wrong():
    count = len(FAKE.requests)
    for named, args in [
            ("no verb", []), ("frobnicate", ["frobnicate"]), ("--frob", ["status", "--frob"]),
            ("-x", ["-x"]), ("extra", ["status", "extra"]), ("b:", ["ports", "a", "b"]),
            ("--timeout soon", ["--timeout", "soon", "status"]), ("--timeout 0", ["--timeout=0", "status"]),
            ("--timeout: SECONDS", ["status", "--timeout"]), ("--json", ["--json=yes", "status"]),
            ("--watch 0", ["stats", "--watch", "0"]), ("--ip", ["attach", "--container-id", "x", "--ifname", "y",
                                                               "--mac", "z", "--netdev", "n"]),
            ("--netdev and --devargs", [*ATTACH, "--devargs", "net_null0"]),
            ("--mtu 70000", [*ATTACH, "--mtu", "70000"]), ("--ifname", ["detach", "--container-id", "x"])]:
        message = fails(2, *args)
        assert named in message and "--help" in message, (args, message)
    assert len(FAKE.requests) == count, "asked the daemon in spite of it"


@test
def refusals_are_passed_on():
    FAKE.answers["detach"] = PermissionError({"code": "not_permitted", "message": "uid 1000 may not detach",
                                              "remedy": "be root"})
    message = fails(1, "detach", "--container-id", "x", "--ifname", "y")
    for part in ["not_permitted", "uid 1000 may not detach", "be root"]:
        assert part in message, message


@test
def no_answer_is_status_3():
    done = subprocess.run([SLUICECTL, "--socket", "/nonexistent/sock", "status"], capture_output=True, text=True)
    assert done.returncode == 3 and "/nonexistent/sock" in done.stderr, done
    FAKE.answers["status"] = None
    began = time.monotonic()
    fails(3, "--timeout", "1", "status")
    assert 0.9 < time.monotonic() - began < 30


@test
def output_that_cannot_be_written_is_a_failure():
    with open("/dev/full", "w") as full:
        done = subprocess.run([SLUICECTL, "--socket", SOCKET, "status"], stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1 and "cannot write" in done.stderr, done


@test
def help_teaches_every_verb():
    overview = succeeds("--help")
    for verb in VERBS:
        assert re.search(rf"^  {verb} +\w", overview, re.M), verb
        text = succeeds(verb, "--help")
        assert f"usage: sluicectl {verb}" in text and "Example" in text and f"sluicectl" in text, verb
    for text in [overview] + [succeeds(verb, "--help") for verb in VERBS]:
        for line in text.splitlines():
            assert len(line) <= 100, line



@test
def the_manual_and_help_agree():
    with open(os.path.join(ROOT, "docs/sluicectl.8")) as f:
        manual = f.read().replace("\\-", "-")
    in_manual = set(re.findall(r"^\.It Fl -([a-z-]+)", manual, re.M))
    in_help = set()
    for args in [()] + [(verb,) for verb in VERBS]:
        in_help |= set(re.findall(r"^  --([a-z-]+)", succeeds(*args, "--help"), re.M))
    assert in_manual == in_help, in_manual ^ in_help
    assert re.findall(r"^\.Ss ([a-z]+)", manual, re.M) == VERBS
    for status in "0123":
        assert re.search(rf"^\.It {status}$", manual, re.M), status


def complete(*words):
    """What bash offers for the last word."""
    script = """
        source "$1"; shift
        COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMP_LINE="$*"; COMP_POINT=${#COMP_LINE}
        _sluicectl sluicectl "${@: -1}" "${@: -2:1}"
        printf '%s\\n' "${COMPREPLY[@]}"
    """
    environment = {**os.environ, "PATH": os.path.dirname(SLUICECTL) + ":" + os.environ["PATH"]}
    done = subprocess.run(["bash", "-c", script, "bash", os.path.join(ROOT, "docs/sluice-completion.bash"), *words],
                          capture_output=True, text=True, env=environment)
    assert done.returncode == 0 and done.stderr == "", done
    return done.stdout.split()


@test
def bash_completes():
    assert complete("sluicectl", "") == VERBS
    assert complete("sluicectl", "sta") == ["status", "stats"]
    assert "--timeout" in complete("sluicectl", "--")
    assert complete("sluicectl", "stats", "--w") == ["--watch"]
    assert complete("sluicectl", "offload", "") == ["status", "rules", "why", "capabilities", "audit"]
    at = ["sluicectl", "--socket", SOCKET]
    assert complete(*at, "ports", "") == ["up0", "sl3f9a1c2b"]
    assert complete(*at, "stats", "u") == ["up0"]
    assert complete(*at, "pods", "") == ["7c1f0e9b2a34"]
    assert complete(*at, "detach", "--container-id", "7") == ["7c1f0e9b2a34"]
    assert complete(*at, "detach", "--ifname", "") == ["eth0"]
    assert complete(*at, "rules", "") == ["7c1f0e9b2a34", "range", "host", "openflow"]
    assert complete(*at, "offload", "why", "") == ["7c1f0e9b2a34"]
    assert complete(*at, "offload", "audit", "") == []
    assert complete("sluicectl", "--socket", "/nonexistent/sock", "ports", "") == []
    FAKE.answers["pods"]["pods"][0]["container_id"] = "$(echo boo)`x`"
    assert complete(*at, "pods", "$") == ["$(echo", "boo)`x`"], "expanded"


DOCUMENTED = documented_results()


def answer_as_documented():
    FAKE.answers = copy.deepcopy(DOCUMENTED)


with tempfile.TemporaryDirectory() as folder:
    SOCKET = os.path.join(folder, "sock")
    FAKE = FakeDaemon(SOCKET)
    run_tests(before=answer_as_documented)
