# SPDX-License-Identifier: Apache-2.0
"""Open vSwitch on DPDK, from Debian's openvswitch-switch-dpdk, doing Sluice's job: guard the sender,
then one rule per pod that sets both MACs, decrements the TTL and outputs."""

import json
import os
import pathlib
import re
import subprocess
import time

from bench import frames as addresses
from bench import jsonrpc, machine, process
from bench import rules as policies

INSTALL = ("install openvswitch-switch-dpdk, librte-mempool-ring23 and librte-bus-vdev23 (their "
           "service need not run), or choose others with --systems")
VSWITCHD = pathlib.Path("/usr/lib/openvswitch-switch-dpdk/ovs-vswitchd-dpdk")
SCHEMA = "/usr/share/openvswitch/vswitch.ovsschema"
# Traffic that changes is learnt within this time, or is measured as it is.
CONVERGENCE_S = {True: 5, False: 30}  # by Setup.quick


def installed():
    drivers = pathlib.Path("/usr/lib").glob("*/dpdk/pmds-*/librte_bus_vdev.so*")
    return VSWITCHD.exists() and any(drivers)


class Ovs:
    """cache: "emc", as it comes; "noemc": only the megaflow cache; "smc": the signature match cache
    and no EMC."""

    policy_table = 1

    def __init__(self, setup, cache):
        self.name = f"ovs-{cache}"
        self.setup = setup
        self.cache = cache
        self.server = self.switch = None
        self.folder = None

    def version(self):
        return f"openvswitch-switch-dpdk {machine.package_version('openvswitch-switch-dpdk')}"

    def takes(self, rules):
        return True

    def start(self, rules, generator, folder):
        self.folder = folder
        measuring, busy = self.setup.cpus
        self.server_start()
        # OVS adds --in-memory, which DPDK refuses without huge pages, unless --legacy-mem is there.
        legacy = [] if self.setup.huge else ["--legacy-mem"]
        extra = " ".join(["--no-pci", *legacy, *self.setup.eal_memory(self.setup.memory_mb(self)),
                          "-d", self.setup.stock_plugin()])
        options = [f"dpdk-extra={json.dumps(extra)}", "dpdk-init=true",
                   f"dpdk-lcore-mask={1 << measuring:#x}", f"pmd-cpu-mask={1 << busy:#x}"]
        if self.cache != "emc":
            options.append("emc-insert-inv-prob=0")
        if self.cache == "smc":
            options.append("smc-enable=true")
        self.vsctl("--no-wait", "set", "Open_vSwitch", ".",
                   *(f"other_config:{option}" for option in options))
        log = folder / "ovs-vswitchd.log"
        # In a network namespace of its own: a bridge comes with a tap device.
        self.switch = process.start(
            ["unshare", "--net", VSWITCHD, f"unix:{folder}/db.sock", f"--log-file={log}",
             f"--unixctl={self.control()}"], folder / "vswitchd.out", self.setup.cpus, env=self.environment())
        process.wait_for(lambda: self.control().exists(), self.switch, log, self.name)
        self.vsctl("--timeout=60", "add-br", "bench", "--", "set", "bridge", "bench",
                   "datapath_type=netdev", "fail_mode=secure")
        # First the way out and the rules, then what sends: no flow is learnt before its rule is there.
        self.port_add("sink", 2, generator.sink())
        flows = folder / "rules"
        flows.write_text("\n".join(self.rules(rules)) + "\n")
        self.command("ovs-ofctl", "add-flows", f"unix:{self.management()}", flows)
        self.port_add("pod", 1, generator.source())
        process.wait_for(lambda: generator.totals()[1], self.switch, log, self.name)

    def settle(self, case):
        """It learns from packets; measure when it has learnt nothing new for a second."""
        deadline = time.monotonic() + CONVERGENCE_S[self.setup.quick]
        expected = 1 if case.policy else min(case.pods, case.flows)
        known, same = self.flows(), 0
        while known < expected or same < 3:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.3)
            before, known = known, self.flows()
            same = same + 1 if known == before else 0
        return True

    def server_start(self):
        folder = self.folder
        self.command("ovsdb-tool", "create", folder / "conf.db", SCHEMA)
        log = folder / "ovsdb-server.log"
        self.server = process.start(
            ["ovsdb-server", f"--remote=punix:{folder}/db.sock", f"--log-file={log}",
             f"--unixctl={folder}/server.ctl", folder / "conf.db"], folder / "server.out", self.setup.cpus[:1],
            env=self.environment())
        process.wait_for(lambda: (folder / "db.sock").exists(), self.server, log, self.name)
        self.vsctl("--no-wait", "init")

    def rules(self, rules):
        """Table 0: the guard. 1: the operator's. 2: forwarding."""
        ip, src, dst = {4: ("ip", "nw_src", "nw_dst"), 6: ("ipv6", "ipv6_src", "ipv6_dst")}[rules.ip]
        yield (f"table=0,in_port=1,dl_src={addresses.SENDER_MAC},{ip},"
               f"{src}={addresses.SENDER_IP[rules.ip]},actions=resubmit(,{1 if rules.policy else 2})")
        if rules.policy:
            yield "table=1,priority=0,actions=resubmit(,2)"
        for rule in policies.policy(rules):
            yield rule.openflow(1, "resubmit(,2)")
        for pod in range(rules.pods):
            yield (f"table=2,{ip},{dst}={addresses.pod_ip(pod, rules.ip)},"
                   f"actions=mod_dl_src:{addresses.ROUTER_MAC},"
                   f"mod_dl_dst:{addresses.pod_mac(pod)},dec_ttl,output:2")

    def port_add(self, name, number, devargs):
        self.vsctl("--timeout=60", "add-port", "bench", name, "--", "set", "interface", name,
                   "type=dpdk", f"ofport_request={number}",
                   f"options:dpdk-devargs={json.dumps(devargs)}")

    def environment(self):
        folders = ("OVS_RUNDIR", "OVS_DBDIR", "OVS_SYSCONFDIR", "OVS_LOGDIR")
        return {**os.environ, **{name: str(self.folder) for name in folders},
                "RUNTIME_DIRECTORY": str(self.folder)}

    def command(self, *words):
        done = subprocess.run(words, capture_output=True, text=True, env=self.environment())
        if done.returncode != 0:
            raise RuntimeError(f"{self.name}: {words[0]} failed: {done.stderr.strip()}")

    def vsctl(self, *words):
        self.command("ovs-vsctl", f"--db=unix:{self.folder}/db.sock", *words)

    def management(self):
        return self.folder / "bench.mgmt"

    def control(self):
        return self.folder / "vswitchd.ctl"

    def pids(self):
        return [self.switch.pid]

    def own_cycles(self):
        shown = jsonrpc.call(self.control(), "dpif-netdev/pmd-stats-show")
        cycles, packets = re.search(r"avg processing cycles per packet: \S+ \((\d+)/(\d+)\)", shown).groups()
        return process.Own(int(packets), int(cycles))

    def own_packets(self):
        shown = jsonrpc.call(self.control(), "dpif-netdev/pmd-stats-show")
        return int(re.search(r"packets received: (\d+)", shown)[1])

    def flows(self):
        shown = jsonrpc.call(self.control(), "dpctl/show", "netdev@ovs-netdev")
        return int(re.search(r"flows: (\d+)", shown)[1])

    def stop(self):
        process.stop(self.switch)
        process.stop(self.server)
        self.switch = self.server = None
