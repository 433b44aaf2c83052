#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The CNI plugin as a runtime sees it: CNI spec 1.1.0 and what real runtimes do.

usage: cni_test.py PLUGIN [CLASS[.TEST] ...]

Prints TAP. Needs root: pods are network namespaces, and so is the node. The daemon is a fake (fake_daemon.py);
the IPAM plugin is Debian's host-local, or a script where it has to misbehave.
"""

import concurrent.futures
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import unittest

sys.dont_write_bytecode = True

from fake_daemon import FakeDaemon  # noqa: E402

PLUGIN = None
IPAM_DIR = "/usr/lib/cni"
VERSIONS = ["0.4.0", "1.0.0", "1.1.0"]
PREFIX = f"cnit{os.getpid()}-"


def ip(netns, *args):
    done = subprocess.run(["ip", "-n", netns, "-j", *args], capture_output=True, text=True)
    return json.loads(done.stdout or "[]") if done.returncode == 0 else None


def read(path):
    with open(path, encoding="ascii") as file:
        return file.read()


class Outcome:
    def __init__(self, code, stdout, stderr):
        self.code, self.stdout, self.stderr = code, stdout, stderr
        self.json = json.loads(stdout) if stdout.strip() else None


class CniTest(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.TemporaryDirectory(prefix="sluice-cni-")
        self.node = PREFIX + "node"
        self.pods = []
        subprocess.run(["ip", "netns", "add", self.node], check=True)
        self.daemon = FakeDaemon(self.path("control.sock"))
        self.daemon.start()
        self.running = []

    def tearDown(self):
        for process in self.running:
            if process.poll() is None:
                process.kill()
            process.communicate()
        for netns in [self.node, *self.pods]:
            subprocess.run(["ip", "netns", "del", netns], stderr=subprocess.DEVNULL, check=False)
        self.daemon.stop()
        self.dir.cleanup()

    def path(self, name):
        return os.path.join(self.dir.name, name)

    def pod(self, name="pod"):
        self.pods.append(PREFIX + name)
        subprocess.run(["ip", "netns", "add", self.pods[-1]], check=True)
        return self.pods[-1]

    def conf(self, version="1.0.0", **more):
        ranges = [[{"subnet": "10.1.10.0/24", "rangeStart": "10.1.10.32", "gateway": "10.1.10.1"}]]
        conf = {
            "cniVersion": version, "name": "pods", "type": "sluice",
            "socket": self.daemon.path,
            "ipam": {"type": "host-local", "dataDir": self.path("ipam"), "ranges": ranges,
                     "routes": [{"dst": "0.0.0.0/0"}]},
        }
        conf.update(more)
        return {key: value for key, value in conf.items() if value is not None}

    def dual(self, version="1.0.0", **more):
        conf = self.conf(version, **more)
        conf["ipam"]["ranges"].append([{"subnet": "fd00:10::/64", "rangeStart": "fd00:10::20"}])
        return conf

    def env(self, command, netns=None, container="c1", ifname="eth0", **more):
        env = {"PATH": os.environ["PATH"], "CNI_PATH": f"{self.dir.name}:{IPAM_DIR}",
               "CNI_COMMAND": command, "CNI_CONTAINERID": container, "CNI_IFNAME": ifname,
               "CNI_NETNS": f"/run/netns/{netns}" if netns else ""}
        env.update((key, os.environ[key]) for key in os.environ if key.endswith("SAN_OPTIONS"))
        env.update(more)
        return {key: value for key, value in env.items() if value is not None}

    def start(self, env):
        process = subprocess.Popen(
            ["ip", "netns", "exec", self.node, PLUGIN], env=env, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.running.append(process)
        return process

    def call(self, command, conf, netns=None, **more):
        process = self.start(self.env(command, netns, **more))
        text = conf if isinstance(conf, str) else json.dumps(conf)
        stdout, stderr = process.communicate(text, timeout=150)
        self.running.remove(process)
        self.assertEqual(stderr, "")
        return Outcome(process.returncode, stdout, stderr)

    def ok(self, command, conf, netns=None, **more):
        outcome = self.call(command, conf, netns, **more)
        self.assertEqual(outcome.code, 0, outcome.stdout)
        if command != "ADD":
            self.assertEqual(outcome.stdout, "")
        return outcome.json

    def fails(self, code, command, conf, netns=None, **more):
        outcome = self.call(command, conf, netns, **more)
        self.assertEqual(outcome.code, 1, outcome.stdout)
        self.assertEqual(outcome.json["code"], code, outcome.stdout)
        # "Same as cniVersion specified by the configuration", where that can be.
        version = conf.get("cniVersion") if isinstance(conf, dict) else None
        self.assertEqual(outcome.json["cniVersion"], version if version in VERSIONS else "1.1.0")
        return outcome.json["msg"]

    def host_links(self):
        return {link["ifname"]: link for link in ip(self.node, "-d", "link")
                if link["ifname"] != "lo"}

    def reserved(self):
        """Addresses that host-local has given away."""
        folder = self.path("ipam/pods")
        if not os.path.isdir(folder):
            return set()
        return {name for name in os.listdir(folder) if name[0].isdigit() or ":" in name}

    def node_state(self):
        return set(self.host_links()), self.reserved(), dict(self.daemon.attachments)

    def assert_nothing_left(self, pod=None):
        self.assertEqual(self.host_links(), {})
        self.assertEqual(self.reserved(), set())
        self.assertEqual(self.daemon.attachments, {})
        if pod:
            self.assertEqual([link["ifname"] for link in ip(pod, "link")], ["lo"])

    def ipam_script(self, name, text):
        """An IPAM plugin of the test's own; what it is asked for goes to ipam.log."""
        path = self.path(name)
        versions = '{"cniVersion":"1.0.0","supportedVersions":["0.4.0","1.0.0"]}'
        with open(path, "w", encoding="ascii") as file:
            file.write(f"#!/bin/sh\ncat >{self.path('ipam.stdin')}\n"
                       f"[ $CNI_COMMAND = VERSION ] && echo '{versions}' && exit 0\n"
                       f"echo $CNI_COMMAND >>{self.path('ipam.log')}\n{text}\n")
        os.chmod(path, 0o755)
        return {"type": name}

    def ipam_log(self):
        return read(self.path("ipam.log")).split()


class Protocol(CniTest):
    def test_version(self):
        for text in ("", "garbage", '{"cniVersion": "1.1.0"}', '{"cniVersion": "0.3.1"}'):
            # Nothing but CNI_COMMAND is needed.
            outcome = self.call("VERSION", text, CNI_CONTAINERID=None, CNI_IFNAME=None,
                                CNI_NETNS=None, CNI_PATH=None)
            self.assertEqual(outcome.code, 0)
            self.assertEqual(outcome.json["supportedVersions"], VERSIONS)
            asked = json.loads(text)["cniVersion"] if text.startswith("{") else "1.1.0"
            self.assertEqual(outcome.json["cniVersion"], asked)

    def test_unknown_command(self):
        for command in ("GC", "add", "HELLO"):
            self.assertIn(command, self.fails(4, command, self.conf("1.1.0")))

    def test_missing_variables_are_named(self):
        pod = self.pod()
        for value in (None, ""):
            self.assertIn("CNI_COMMAND", self.fails(4, "ADD", self.conf("1.1.0"), pod,
                                                    CNI_COMMAND=value))
        for command, names in (("ADD", ("CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME")),
                               ("CHECK", ("CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME")),
                               ("DEL", ("CNI_CONTAINERID", "CNI_IFNAME"))):
            for name in names:
                for value in (None, ""):
                    msg = self.fails(4, command, self.conf("0.4.0"), pod, **{name: value})
                    self.assertIn(name, msg)
        self.assertIn("CNI_PATH", self.fails(4, "ADD", self.conf(), pod, CNI_PATH=None))
        self.assert_nothing_left(pod)

    def test_invalid_variables(self):
        pod = self.pod()
        for name, value in (("CNI_CONTAINERID", "-x"), ("CNI_CONTAINERID", "a/b"),
                            ("CNI_IFNAME", "sixteencharacter"), ("CNI_IFNAME", "a/b"),
                            ("CNI_IFNAME", ".."), ("CNI_IFNAME", "a b"), ("CNI_IFNAME", "a:b"),
                            ("CNI_NETNS", "/nonexistent"), ("CNI_NETNS", "/proc/self/ns/net"),
                            ("CNI_NETNS", "/proc/self/ns/mnt"), ("CNI_NETNS", "/etc/hostname"),
                            ("CNI_ARGS", "FOO"), ("CNI_ARGS", "FOO=1"),
                            ("CNI_ARGS", "MAC=01:00:00:00:00:01")):
            self.assertIn(name, self.fails(4, "ADD", self.conf(), pod, **{name: value}))
        self.assert_nothing_left(pod)

    def test_configuration(self):
        pod = self.pod()
        for version in ("1.9.0", "0.3.1", None, 1):
            self.fails(1, "ADD", self.conf(version), pod)
        for text in ("", "{", "[1]", '{"cniVersion": "1.0.0"', "\0"):
            self.fails(6, "ADD", text, pod)
        for more in ({"name": None}, {"name": "a/b"}, {"name": 7}, {"ipam": None}, {"ipam": {}},
                     {"ipam": {"type": "../host-local"}}, {"ipam": {"type": "none-such"}},
                     {"dns": []}, {"prevResult": 1}, {"runtimeConfig": "x"},
                     {"mtu": "1500"}, {"mtu": 0}, {"mtu": 70000}, {"socket": "relative"},
                     {"runtimeConfig": {"mac": "nonsense"}}):
            self.fails(7, "ADD", self.conf(**more), pod)
        for more, key, value in (({"bridge": "br0"}, "bridge", '"br0"'),
                                 ({"ipMasq": True}, "ipMasq", "true"),
                                 ({"runtimeConfig": {"bandwidth": {"ingressRate": 7}}},
                                  "runtimeConfig.bandwidth", '"ingressRate":7')):
            msg = self.fails(2, "ADD", self.conf(**more), pod)
            self.assertIn(key, msg)
            self.assertIn(value, msg)
        self.assert_nothing_left(pod)

    def test_what_the_spec_knows_is_accepted(self):
        conf = self.conf("1.1.0", cniVersions=VERSIONS, args={"cni": {}}, ipMasq=False,
                         capabilities={"mac": True}, runtimeConfig={},
                         **{"cni.dev/attachments": []})
        self.ok("ADD", conf, self.pod())

    def test_huge_configuration(self):
        self.fails(6, "ADD", " " * (2 << 20), self.pod())

    def test_no_configuration_comes(self):
        process = self.start(self.env("ADD", self.pod()))
        self.assertEqual(process.wait(timeout=30), 1)
        self.assertEqual(json.loads(process.stdout.read())["code"], 5)

    def test_status(self):
        self.ok("STATUS", self.conf("1.1.0"))
        self.fails(1, "STATUS", self.conf("1.0.0"))
        self.daemon.stop()
        self.fails(50, "STATUS", self.conf("1.1.0"))


class Add(CniTest):
    def test_result_of_each_version(self):
        for version in VERSIONS:
            pod = self.pod("v" + version)
            conf = self.dual(version, dns={"nameservers": ["10.9.9.9"]})
            result = self.ok("ADD", conf, pod, container=version)
            self.assertEqual(result["cniVersion"], version)
            host, container = result["interfaces"]
            self.assertRegex(host["name"], "^sl[a-z2-7]{13}$")
            self.assertNotIn("sandbox", host)
            self.assertEqual(host["mac"], self.host_links()[host["name"]]["address"])
            self.assertEqual((container["name"], container["sandbox"]),
                             ("eth0", f"/run/netns/{pod}"))
            self.assertEqual(container["mac"], ip(pod, "link", "show", "eth0")[0]["address"])
            v4, v6 = result["ips"]
            self.assertRegex(v4["address"], r"^10\.1\.10\.\d+/32$")
            self.assertRegex(v6["address"], r"^fd00:10::\w+/128$")
            self.assertEqual((v4["gateway"], v6["gateway"]), ("10.1.10.1", "fd00:10::1"))
            self.assertEqual((v4["interface"], v6["interface"]), (1, 1))
            self.assertEqual((v4.get("version"), v6.get("version")),
                             ("4", "6") if version == "0.4.0" else (None, None))
            self.assertEqual(container.get("mtu"), 1500 if version == "1.1.0" else None)
            self.assertEqual(result["routes"], [{"dst": "0.0.0.0/0", "gw": "10.1.10.1"},
                                                {"dst": "::/0", "gw": "fd00:10::1"}])
            self.assertEqual(result["dns"], {"nameservers": ["10.9.9.9"]})

    def test_pod_is_configured(self):
        pod = self.pod()
        subprocess.run(["ip", "netns", "exec", pod, "sysctl", "-qw",
                        "net.ipv6.conf.all.disable_ipv6=1",
                        "net.ipv6.conf.default.disable_ipv6=1"], check=True)
        result = self.ok("ADD", self.dual(mtu=1400), pod)
        link = ip(pod, "-d", "link", "show", "eth0")[0]
        self.assertEqual((link["mtu"], link["operstate"], link["num_tx_queues"]), (1400, "UP", 1))
        self.assertIn(link["address"][1], "26ae", "not locally administered, unicast")
        addresses = ip(pod, "addr", "show", "eth0")[0]["addr_info"]
        wanted = {entry["address"] for entry in result["ips"]}
        found = {f"{entry['local']}/{entry['prefixlen']}": entry for entry in addresses
                 if entry["scope"] == "global"}
        self.assertEqual(set(found), wanted)
        self.assertFalse(any("tentative" in entry for entry in addresses))
        routes = {route["dst"]: route for route in ip(pod, "route")}
        self.assertEqual(routes["10.1.10.1"]["scope"], "link")
        self.assertEqual(routes["default"]["gateway"], "10.1.10.1")
        self.assertEqual(set(routes), {"10.1.10.1", "default"})
        routes = {route["dst"]: route for route in ip(pod, "-6", "route")}
        self.assertIn("fd00:10::1", routes)
        self.assertEqual(routes["default"]["gateway"], "fd00:10::1")

    def test_pod_finishes_its_packets_itself(self):
        pod = self.pod()
        self.ok("ADD", self.conf(), pod)
        shown = subprocess.run(["ip", "netns", "exec", pod, "ethtool", "-k", "eth0"],
                               capture_output=True, text=True, check=True).stdout
        features = dict(line.strip().split(": ", 1) for line in shown.splitlines()[1:]
                        if ": " in line)
        for name in ("tx-checksumming", "tcp-segmentation-offload", "tx-checksum-sctp",
                     "generic-segmentation-offload", "tx-vlan-offload", "tx-vlan-stag-hw-insert",
                     "tx-udp-segmentation", "tx-sctp-segmentation", "tx-gre-segmentation"):
            self.assertTrue(features[name].startswith("off"), f"{name}: {features[name]}")

    def test_host_end_is_a_port_and_nothing_else(self):
        result = self.ok("ADD", self.conf(), self.pod(), container="abc")
        (name, link), = self.host_links().items()
        self.assertEqual(name, result["interfaces"][0]["name"])
        self.assertIn("NOARP", link["flags"])
        self.assertIn("UP", link["flags"])
        self.assertEqual(link["ifalias"], "abc/eth0")
        self.assertEqual(ip(self.node, "addr", "show", name)[0]["addr_info"], [])
        for key, value in (("ipv6/conf/{}/disable_ipv6", "1"), ("ipv4/conf/{}/rp_filter", "1")):
            shown = subprocess.run(
                ["ip", "netns", "exec", self.node, "cat", "/proc/sys/net/" + key.format(name)],
                capture_output=True, text=True, check=True).stdout
            self.assertEqual(shown.strip(), value, key)

    def test_host_stack_takes_nothing(self):
        """As where the daemon reads the port by AF_PACKET, and the kernel sees the frames too."""
        pod = self.pod()
        result = self.ok("ADD", self.conf(), pod)
        for args in (("addr", "add", "10.1.0.10/32", "dev", "lo"), ("link", "set", "lo", "up")):
            subprocess.run(["ip", "-n", self.node, *args], check=True)
        host_mac = result["interfaces"][0]["mac"]
        address = result["ips"][0]["address"].split("/")[0]
        # The host end's own MAC address and the broadcast one get past the kernel's first look.
        for mac in (host_mac, "ff:ff:ff:ff:ff:ff"):
            for args in (("echo", mac, address, "10.1.0.10"), ("arp", mac, address, "10.1.0.10")):
                subprocess.run(["ip", "netns", "exec", pod, sys.executable,
                                os.path.join(os.path.dirname(__file__), "send_frame.py"),
                                "eth0", *args], check=True)
        name = result["interfaces"][0]["name"]
        deadline = time.monotonic() + 60
        while (sent := ip(self.node, "-s", "link", "show", name)[0]["stats64"])["rx"]["packets"] < 4:
            self.assertLess(time.monotonic(), deadline, "the frames did not get there")
            time.sleep(0.01)
        time.sleep(0.2)  # for an answer
        sent = ip(self.node, "-s", "link", "show", name)[0]["stats64"]
        self.assertEqual(sent["tx"]["packets"], 0, "the node answered")
        snmp = subprocess.run(["ip", "netns", "exec", self.node, "cat", "/proc/net/snmp"],
                              capture_output=True, text=True, check=True).stdout
        names, values = [line.split() for line in snmp.splitlines() if line.startswith("Icmp:")]
        self.assertEqual(values[names.index("InEchos")], "0", "the node took an echo request")

    def test_what_the_daemon_is_told(self):
        result = self.ok("ADD", self.conf(mtu=9000), self.pod(), container="abc",
                         CNI_ARGS="IgnoreUnknown=1;K8S_POD_NAMESPACE=ns;K8S_POD_NAME=web-0")
        self.assertEqual(self.daemon.attachments, {("abc", "eth0"): {
            "netdev": result["interfaces"][0]["name"], "mac": result["interfaces"][1]["mac"],
            "ips": [result["ips"][0]["address"].split("/")[0]], "mtu": 9000, "pod": "ns/web-0"}})

    def test_mac(self):
        args = "IgnoreUnknown=1;MAC=02:aa:00:00:00:01"
        result = self.ok("ADD", self.conf(), self.pod("a"), container="a", CNI_ARGS=args)
        self.assertEqual(result["interfaces"][1]["mac"], "02:aa:00:00:00:01")
        conf = self.conf(runtimeConfig={"mac": "02:bb:00:00:00:02"})
        result = self.ok("ADD", conf, self.pod("b"), container="b", CNI_ARGS=args)
        self.assertEqual(result["interfaces"][1]["mac"], "02:bb:00:00:00:02")

    def test_two_interfaces_of_one_pod(self):
        pod = self.pod()
        conf = self.conf()
        conf["ipam"]["routes"] = [{"dst": "10.200.0.0/16"}]
        self.ok("ADD", self.conf(), pod)
        # Both have a default route: only one can be the pod's.
        self.fails(100, "ADD", conf, pod, ifname="eth1")
        self.assertEqual(len(self.host_links()), 1)
        self.assertEqual(len(self.reserved()), 1)

    def test_routes(self):
        pod = self.pod()
        conf = self.conf()
        conf["ipam"]["routes"] = [{"dst": "10.200.0.0/16"}, {"dst": "10.201.0.0/16",
                                                             "gw": "10.1.10.1"}]
        result = self.ok("ADD", conf, pod)
        self.assertEqual({route["dst"]: route["gw"] for route in result["routes"]},
                         {"10.200.0.0/16": "10.1.10.1", "10.201.0.0/16": "10.1.10.1",
                          "0.0.0.0/0": "10.1.10.1"})
        self.assertEqual({route["dst"]: route.get("gateway") for route in ip(pod, "route")},
                         {"10.200.0.0/16": "10.1.10.1", "10.201.0.0/16": "10.1.10.1",
                          "default": "10.1.10.1", "10.1.10.1": None})

    def test_route_by_another_router(self):
        pod = self.pod()
        conf = self.conf()
        conf["ipam"]["routes"] = [{"dst": "10.200.0.0/16", "gw": "10.1.10.77"}]
        self.assertIn("10.1.10.77", self.fails(103, "ADD", conf, pod))
        self.assert_nothing_left(pod)

    def test_route_members_of_1_1_0(self):
        pod = self.pod()
        conf = self.conf("1.1.0", ipam=self.ipam_script("ipam-routes", """cat <<'END'
{"cniVersion":"1.0.0","ips":[{"address":"10.1.10.40/24"}],
 "routes":[{"dst":"10.200.0.0/16","mtu":1300,"advmss":1200,"priority":7,"table":100}]}
END"""))
        result = self.ok("ADD", conf, pod)
        self.assertIn({"dst": "10.200.0.0/16", "gw": "10.1.10.1", "mtu": 1300, "advmss": 1200,
                       "priority": 7, "table": 100}, result["routes"])
        route, = ip(pod, "-d", "route", "show", "table", "100")
        self.assertEqual((route["metric"], route["metrics"][0]["mtu"]), (7, 1300))
        self.ok("CHECK", dict(conf, prevResult=result), pod)

    def test_interface_exists(self):
        pod = self.pod()
        self.ok("ADD", self.conf(), pod)
        before = (self.node_state(), ip(pod, "route"))
        for container in ("c1", "c2"):
            self.assertIn("eth0", self.fails(4, "ADD", self.conf(), pod, container=container))
        self.assertEqual((self.node_state(), ip(pod, "route")), before)

    def test_same_container_in_another_namespace(self):
        self.ok("ADD", self.conf(), self.pod("a"))
        before = self.node_state()
        other = self.pod("b")
        self.assertEqual(self.call("ADD", self.conf(), other).code, 1)
        self.assertEqual(self.node_state(), before)
        self.assertEqual([link["ifname"] for link in ip(other, "link")], ["lo"])

    def test_again_after_the_namespace_vanished(self):
        """podman and others send no DEL then, and ADD with the same container id."""
        pod = self.pod("a")
        self.ok("ADD", self.dual(), pod)
        subprocess.run(["ip", "netns", "del", pod], check=True)
        other = self.pod("b")
        result = self.ok("ADD", self.dual(), other)
        self.assertEqual(self.reserved(), {entry["address"].split("/")[0]
                                           for entry in result["ips"]})
        self.assertEqual([*self.daemon.attachments], [("c1", "eth0")])
        self.ok("DEL", self.dual(), other)
        self.assert_nothing_left(other)

    def test_again_while_the_namespace_vanishes(self):
        pod = self.pod("a")
        self.ok("ADD", self.dual(), pod)
        held = os.open(f"/run/netns/{pod}", os.O_RDONLY)
        subprocess.run(["ip", "netns", "del", pod], check=True)
        other = self.pod("b")
        process = self.start(self.env("ADD", other))
        process.stdin.write(json.dumps(self.dual()))
        process.stdin.close()
        process.stdin = None
        time.sleep(0.5)
        self.assertIsNone(process.poll(), "ADD did not wait for the pair to go")
        os.close(held)
        stdout, _ = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 0, stdout)
        self.assertEqual(self.reserved(), {entry["address"].split("/")[0]
                                           for entry in json.loads(stdout)["ips"]})
        self.ok("DEL", self.dual(), other)
        self.assert_nothing_left(other)

    def test_chained(self):
        prev = {"cniVersion": "1.0.0", "interfaces": [{"name": "x0", "mac": "02:00:00:00:00:09"}],
                "ips": [{"address": "192.0.2.1/24", "interface": 0}],
                "routes": [{"dst": "192.0.2.0/24"}], "dns": {"domain": "example.org"}}
        result = self.ok("ADD", self.conf(prevResult=prev), self.pod())
        self.assertEqual(result["interfaces"][0], prev["interfaces"][0])
        self.assertEqual(result["ips"][0], prev["ips"][0])
        self.assertEqual(result["routes"][0], prev["routes"][0])
        self.assertEqual(len(result["interfaces"]), 3)
        self.assertEqual(result["interfaces"][result["ips"][1]["interface"]]["name"], "eth0")

    def test_daemon_down(self):
        pod = self.pod()
        self.daemon.stop()
        outcome = self.call("ADD", self.conf(), pod)
        self.assertEqual((outcome.code, outcome.json["code"]), (1, 11))
        self.assertIn(self.daemon.path, outcome.json["msg"])
        self.assertNotIn("details", outcome.json)
        self.assert_nothing_left(pod)

    def test_daemon_does_not_answer(self):
        pod = self.pod()
        self.daemon.hang = {"attach"}
        self.assertIn("30000 ms", self.fails(11, "ADD", self.conf(), pod))
        self.assertEqual([method for method, _ in self.daemon.requests], ["detach"])
        self.assert_nothing_left(pod)

    def test_daemon_refuses(self):
        for code, expected in (("internal", 101), ("no_ports", 11), ("address_in_use", 101)):
            pod = self.pod(code)
            self.daemon.refuse = {"attach": {"code": code, "message": "it says so"}}
            self.assertIn("it says so", self.fails(expected, "ADD", self.conf(), pod))
            self.assert_nothing_left(pod)
        self.assertNotIn("detach", [method for method, _ in self.daemon.requests])

    def test_address_in_no_range(self):
        pod = self.pod()
        conf = self.conf()
        conf["ipam"]["ranges"] = [[{"subnet": "10.77.0.0/24"}]]
        self.assertIn("no_range", self.fails(101, "ADD", conf, pod))
        self.assert_nothing_left(pod)

    def test_undone_after_attach(self):
        # The pod's IPv4 table has a route like the one to be added.
        pod = self.pod()
        subprocess.run(["ip", "-n", pod, "link", "set", "lo", "up"], check=True)
        subprocess.run(["ip", "-n", pod, "route", "add", "default", "dev", "lo"], check=True)
        self.fails(100, "ADD", self.conf(), pod)
        self.assertEqual([method for method, _ in self.daemon.requests], ["attach", "detach"])
        self.assert_nothing_left(pod)


class Ipam(CniTest):
    def test_failure_keeps_code_and_message(self):
        pod = self.pod()
        ipam = self.ipam_script("ipam-fails", """
            echo '{"cniVersion":"1.0.0","code":11,"msg":"pool is busy"}'; exit 1""")
        self.assertIn("pool is busy", self.fails(11, "ADD", self.conf(ipam=ipam), pod))
        self.assertEqual(self.ipam_log(), ["ADD"])
        self.assert_nothing_left(pod)

    def test_exhausted(self):
        conf = self.conf()
        conf["ipam"]["ranges"][0][0]["rangeEnd"] = "10.1.10.32"
        self.ok("ADD", conf, self.pod("a"), container="a")
        pod = self.pod("b")
        outcome = self.call("ADD", conf, pod, container="b")
        self.assertEqual(outcome.code, 1)
        self.assertIn("no IP addresses available", outcome.json["msg"])
        self.assertEqual(len(self.host_links()), 1)

    def test_death_and_nonsense(self):
        for n, (text, log) in enumerate((("kill -9 $$", ["ADD", "DEL"]), ("exit 3", ["ADD"]),
                                         ("echo hello", ["ADD"]))):
            ipam = self.ipam_script(f"ipam-{n}", f"[ $CNI_COMMAND = DEL ] && exit 0\n{text}")
            self.fails(103, "ADD", self.conf(ipam=ipam), self.pod(f"n{n}"))
            self.assertEqual(self.ipam_log(), log)
            os.unlink(self.path("ipam.log"))

    def test_result_of_no_use_is_released(self):
        for n, (result, code) in enumerate(((
                '{"cniVersion":"1.0.0"}', 103), ('{"ips":[{"address":"10.1.10.40"}]}', 6),
                ('{"ips":7}', 6), ('{"ips":[{"address":"10.1.10.40/24"}],"routes":[{}]}', 6),
                ('{"ips":[' + ",".join('{"address":"10.1.10.40/24"}' for _ in range(9)) + "]}",
                 103))):
            ipam = self.ipam_script(f"ipam-{n}", f"[ $CNI_COMMAND = ADD ] && echo '{result}'")
            self.fails(code, "ADD", self.conf(ipam=ipam), self.pod(f"n{n}"))
            self.assertEqual(self.ipam_log(), ["ADD", "DEL"])
            os.unlink(self.path("ipam.log"))

    def test_hangs(self):
        pod = self.pod()
        ipam = self.ipam_script("ipam-hangs", "[ $CNI_COMMAND = DEL ] || exec sleep 1000")
        start = time.monotonic()
        self.fails(11, "ADD", self.conf(ipam=ipam), pod)
        self.assertLess(time.monotonic() - start, 60)
        self.assertEqual(self.ipam_log(), ["ADD", "DEL"])
        self.assert_nothing_left(pod)

    def test_version_is_what_it_speaks(self):
        ipam = self.ipam_script("ipam-add", """[ $CNI_COMMAND = ADD ] &&
            echo '{"cniVersion":"1.0.0","ips":[{"address":"10.1.10.40/24"}]}'""")
        self.ok("ADD", self.conf("1.1.0", ipam=ipam), self.pod())
        given = json.loads(read(self.path("ipam.stdin")))
        self.assertEqual((given["cniVersion"], given["ipam"]), ("1.0.0", ipam))

    def test_gets_the_environment_and_our_stderr(self):
        ipam = self.ipam_script("ipam-env", f"""env >{self.path("env")}; echo a warning >&2
            [ $CNI_COMMAND = ADD ] &&
            echo '{{"cniVersion":"1.0.0","ips":[{{"address":"10.1.10.40/24"}}]}}'""")
        pod = self.pod()
        process = self.start(self.env("ADD", pod, CNI_ARGS="IgnoreUnknown=1;IP=10.1.10.40"))
        _, stderr = process.communicate(json.dumps(self.conf(ipam=ipam)))
        self.running.remove(process)
        self.assertEqual((process.returncode, stderr), (0, "a warning\n"))
        env = dict(line.split("=", 1) for line in read(self.path("env")).splitlines())
        self.assertEqual([env.get("CNI_" + name) for name in
                          ("CONTAINERID", "IFNAME", "NETNS", "ARGS")],
                         ["c1", "eth0", f"/run/netns/{pod}", "IgnoreUnknown=1;IP=10.1.10.40"])

    def test_no_file_descriptors_leak_into_it(self):
        path = self.path("ipam-fds")
        with open(path, "w", encoding="ascii") as file:
            # In Python, as a shell opens some of its own.
            file.write(f"""#!{sys.executable} -IS
import os
with open("{self.path("fds")}", "a") as file:
    for fd in os.listdir("/proc/self/fd"):
        if int(fd) > 2 and int(fd) != file.fileno() and os.path.exists("/proc/self/fd/" + fd):
            print(os.readlink("/proc/self/fd/" + fd), file=file)
if os.environ["CNI_COMMAND"] == "VERSION":
    print('{{"cniVersion":"1.0.0","supportedVersions":["1.0.0"]}}')
if os.environ["CNI_COMMAND"] == "ADD":
    print('{{"cniVersion":"1.0.0","ips":[{{"address":"10.1.10.40/24"}}]}}')
""")
        os.chmod(path, 0o755)
        conf = self.conf(ipam={"type": "ipam-fds"})
        self.ok("ADD", conf, self.pod())
        self.ok("DEL", conf)
        # The lock is meant to be there.
        self.assertEqual(set(read(self.path("fds")).split()), {"/run/sluice-cni.lock"})


class Del(CniTest):
    def test_del(self):
        pod = self.pod()
        conf = self.dual()
        result = self.ok("ADD", conf, pod)
        self.ok("DEL", dict(conf, prevResult=result), pod)
        self.assert_nothing_left(pod)
        self.ok("DEL", dict(conf, prevResult=result), pod)

    def test_never_added(self):
        self.ok("DEL", self.conf(), self.pod())
        self.ok("DEL", self.conf(), None)

    def test_container_id_too_long_for_the_daemon(self):
        pod = self.pod()
        self.assertIn("longer than 127", self.fails(101, "ADD", self.conf(), pod, container="c" * 128))
        self.ok("DEL", self.conf(), pod, container="c" * 128)
        self.assert_nothing_left(pod)
        self.ok("ADD", self.conf(), pod, container="c" * 127)
        self.ok("DEL", self.conf(), pod, container="c" * 127)
        self.assert_nothing_left(pod)

    def test_netns_empty(self):
        pod = self.pod()
        self.ok("ADD", self.conf(), pod)
        self.ok("DEL", self.conf(), None)
        self.assert_nothing_left(pod)

    def test_netns_gone(self):
        pod = self.pod()
        self.ok("ADD", self.conf(), pod)
        subprocess.run(["ip", "netns", "del", pod], check=True)
        self.ok("DEL", self.conf(), pod)
        self.assert_nothing_left()

    def test_veth_gone(self):
        pod = self.pod()
        self.ok("ADD", self.conf(), pod)
        subprocess.run(["ip", "-n", pod, "link", "del", "eth0"], check=True)
        self.ok("DEL", self.conf(), pod)
        self.assert_nothing_left(pod)

    def test_others_stay(self):
        first, second = self.pod("a"), self.pod("b")
        self.ok("ADD", self.conf(), first, container="a")
        self.ok("ADD", self.conf(), second, container="b")
        self.ok("DEL", self.conf(), first, container="a")
        self.assertEqual([*self.daemon.attachments], [("b", "eth0")])
        self.assertEqual([link["ifalias"] for link in self.host_links().values()], ["b/eth0"])
        self.assertEqual(len(self.reserved()), 1)

    def test_daemon_down(self):
        pod = self.pod()
        self.ok("ADD", self.conf(), pod)
        self.daemon.stop()
        before = self.node_state()
        self.fails(11, "DEL", self.conf(), pod)
        self.assertEqual(self.node_state(), before)
        self.daemon.start()
        self.ok("DEL", self.conf(), pod)
        self.assert_nothing_left(pod)

    def test_what_only_add_needs_does_not_matter(self):
        for more in ({"bridge": "br0"}, {"prevResult": {"ips": "none"}}, {"prevResult": {}}):
            self.ok("DEL", self.conf(**more), None, CNI_NETNS=None)

    def test_ipam_fails(self):
        ipam = self.ipam_script("ipam-fails", """
            echo '{"cniVersion":"1.0.0","code":11,"msg":"pool is busy"}'; exit 1""")
        self.assertIn("pool is busy", self.fails(11, "DEL", self.conf(ipam=ipam), self.pod()))


class Check(CniTest):
    def setUp(self):
        super().setUp()
        self.netns = self.pod()
        conf = self.dual()
        result = self.ok("ADD", conf, self.netns)
        self.host = result["interfaces"][0]["name"]
        self.address = result["ips"][0]["address"]
        self.checked = dict(conf, prevResult=result)

    def in_pod(self, *args):
        subprocess.run(["ip", "-n", self.netns, *args], check=True)

    def test_ok(self):
        for version in VERSIONS:
            self.ok("CHECK", dict(self.checked, cniVersion=version), self.netns)

    def test_prev_result(self):
        conf = dict(self.checked)
        del conf["prevResult"]
        self.fails(7, "CHECK", conf, self.netns)
        self.fails(7, "CHECK", dict(conf, prevResult={"cniVersion": "1.0.0"}), self.netns)
        self.fails(7, "CHECK", self.checked, self.netns, ifname="eth7")

    def test_address_gone(self):
        self.in_pod("addr", "del", self.address, "dev", "eth0")
        self.assertIn("10.1.10", self.fails(102, "CHECK", self.checked, self.netns))

    def test_routes_gone(self):
        for family, name, rest in (("-4", "default", ("via", "10.1.10.1")),
                                   ("-6", "default", ("via", "fd00:10::1")),
                                   ("-6", "fd00:10::1", ("dev", "eth0")),
                                   ("-4", "10.1.10.1", ("dev", "eth0"))):
            self.in_pod(family, "route", "del", name)
            msg = self.fails(102, "CHECK", self.checked, self.netns)
            self.assertIn("lacks the route to " + name.replace("default", ""), msg)
            self.in_pod(family, "route", "add", name, *rest)
            self.ok("CHECK", self.checked, self.netns)

    def test_down(self):
        self.in_pod("link", "set", "eth0", "down")
        self.assertIn("down", self.fails(102, "CHECK", self.checked, self.netns))

    def test_mac_changed(self):
        self.in_pod("link", "set", "eth0", "address", "02:00:00:00:00:99")
        self.assertIn("02:00:00:00:00:99", self.fails(102, "CHECK", self.checked, self.netns))

    def test_interface_gone(self):
        self.in_pod("link", "del", "eth0")
        self.fails(102, "CHECK", self.checked, self.netns)

    def test_interface_replaced(self):
        mac = self.checked["prevResult"]["interfaces"][1]["mac"]
        self.in_pod("link", "set", "eth0", "down")
        self.in_pod("link", "set", "eth0", "name", "old0")
        self.in_pod("link", "add", "eth0", "address", mac, "type", "veth", "peer", "name", "x0")
        self.in_pod("link", "set", "eth0", "up")
        self.assertIn("veth pair", self.fails(102, "CHECK", self.checked, self.netns))

    def test_daemon_disagrees(self):
        self.daemon.attachments.clear()
        self.assertIn("not_attached", self.fails(102, "CHECK", self.checked, self.netns))

    def test_reservation_gone(self):
        for name in self.reserved():
            os.unlink(self.path("ipam/pods/" + name))
        self.assertIn("host-local", self.fails(999, "CHECK", self.checked, self.netns))

    def test_additions_of_a_chain(self):
        prev = json.loads(json.dumps(self.checked["prevResult"]))
        prev["routes"].append({"dst": "192.0.2.0/24", "gw": "192.0.2.1"})
        prev["interfaces"].append({"name": "other0", "sandbox": "/x", "mac": "02:00:00:00:00:77"})
        prev["ips"].append({"address": "192.0.2.7/24", "interface": 2})
        self.in_pod("route", "add", "198.51.100.0/24", "via", "10.1.10.1")
        self.ok("CHECK", dict(self.checked, prevResult=prev), self.netns)

    def test_daemon_down(self):
        self.daemon.stop()
        self.fails(11, "CHECK", self.checked, self.netns)


class Crash(CniTest):
    def kill(self, process):
        # The plugin itself: `ip netns exec` has become it.
        process.send_signal(signal.SIGKILL)
        process.communicate()
        self.running.remove(process)

    def del_then_add_again(self, pod):
        self.ok("DEL", self.conf(), pod)
        self.assert_nothing_left(pod)
        self.ok("ADD", self.conf(), pod)
        self.ok("DEL", self.conf(), pod)
        self.assert_nothing_left(pod)

    def test_killed_at_any_time(self):
        # Later and later, until ADD was done before the kill: whatever the machine's speed, the kills are spread over
        # the whole of it.
        pod = self.pod()
        start = time.monotonic()
        self.ok("ADD", self.conf(), pod)
        step = (time.monotonic() - start) / 50
        self.ok("DEL", self.conf(), pod)
        delay, done, kills = 0, False, 0
        deadline = time.monotonic() + 120
        while not done:
            self.assertLess(time.monotonic(), deadline, f"ADD is not done after {delay:.3f} s")
            process = self.start(self.env("ADD", pod))
            process.stdin.write(json.dumps(self.conf()))
            process.stdin.close()
            process.stdin = None
            time.sleep(delay)
            done = process.poll() is not None
            self.kill(process)
            self.ok("DEL", self.conf(), pod)
            self.assert_nothing_left(pod)
            delay += step
            kills += 1
        self.assertGreater(kills, 1, "ADD was done before it could be killed")
        self.del_then_add_again(pod)

    def test_killed_while_attaching(self):
        pod = self.pod()
        self.daemon.hang = {"attach"}
        process = self.start(self.env("ADD", pod))
        process.stdin.write(json.dumps(self.conf()))
        process.stdin.close()
        process.stdin = None
        self.assertTrue(self.daemon.asked.wait(20))
        self.kill(process)
        self.assertEqual(len(self.host_links()), 1)
        self.daemon.hang = set()
        self.del_then_add_again(pod)

    def test_killed_while_its_ipam_plugin_works(self):
        # The IPAM plugin that is left alone allocates late; DEL comes at once and must not be first.
        pod = self.pod()
        reserved = self.path("reserved")
        ipam = self.ipam_script("ipam-late", f"""[ $CNI_COMMAND = DEL ] && rm -f {reserved} && exit 0
            touch {self.path("begun")}; sleep 1; touch {reserved}""")
        process = self.start(self.env("ADD", pod))
        process.stdin.write(json.dumps(self.conf(ipam=ipam)))
        process.stdin.close()
        process.stdin = None
        while not os.path.exists(self.path("begun")):
            time.sleep(0.01)
        process.kill()
        self.ok("DEL", self.conf(ipam=ipam), pod)
        process.communicate()
        self.running.remove(process)
        time.sleep(1.5)
        self.assertFalse(os.path.exists(reserved))
        self.assertEqual(self.ipam_log(), ["ADD", "DEL"])


class Many(CniTest):
    def test_parallel(self):
        pods = [self.pod(f"p{n}") for n in range(64)]

        def whole_life(pod):
            result = self.ok("ADD", self.conf(), pod, container=pod)
            self.ok("CHECK", self.conf(prevResult=result), pod, container=pod)
            return result["ips"][0]["address"], result["interfaces"][1]["mac"]

        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            lives = list(pool.map(whole_life, pods))
            self.assertEqual(len({address for address, _ in lives}), len(pods))
            self.assertEqual(len({mac for _, mac in lives}), len(pods))
            list(pool.map(lambda pod: self.ok("DEL", self.conf(), pod, container=pod), pods))
        self.assert_nothing_left()

    def test_add_and_del_of_one_container_at_once(self):
        pod = self.pod()
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            for _ in range(20):
                calls = [pool.submit(self.call, verb, self.conf(), pod) for verb in ("ADD", "DEL")]
                for call in calls:
                    call.result()
                self.ok("DEL", self.conf(), pod)
                self.assert_nothing_left(pod)


class Tap(unittest.TestResult):
    def report(self, word, test, why=""):
        print(f"{word} {self.testsRun} - {test.id().split('.', 1)[1]}", flush=True)
        for line in why.splitlines():
            print("#", line)

    def addSuccess(self, test):
        self.report("ok", test)

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self.report("not ok", test, self.failures[-1][1])

    def addError(self, test, err):
        super().addError(test, err)
        self.report("not ok", test, self.errors[-1][1])


def main():
    global PLUGIN
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    PLUGIN = os.path.abspath(sys.argv[1])
    loader, module = unittest.defaultTestLoader, sys.modules[__name__]
    suite = loader.loadTestsFromNames(sys.argv[2:], module) if sys.argv[2:] else \
        loader.loadTestsFromModule(module)
    print(f"1..{suite.countTestCases()}")
    result = Tap()
    # Ended from outside, as after Ctrl-C: no tearDown runs then.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        suite.run(result)
    finally:
        for netns in os.listdir("/run/netns"):
            if netns.startswith(PREFIX):
                subprocess.run(["ip", "netns", "del", netns], check=False)
    return 0 if result.wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main())
