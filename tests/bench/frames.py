# SPDX-License-Identifier: Apache-2.0
"""The benchmark's addresses, as net_gen has them (tests/bench/net_gen/traffic.c)."""

import ipaddress

# What the daemon presents to pods as their gateway's MAC address.
ROUTER_MAC = "02:00:5e:00:53:01"
# The pod that sends. Its range is its own, so that the others hold exactly the pods asked for.
SENDER_MAC = "02:00:00:01:00:01"
SENDER_IP = {4: "10.200.0.10", 6: "fd00:200::10"}
SENDER_RANGE = {4: ("10.200.0.0/24", "10.200.0.1"), 6: ("fd00:200::/64", "fd00:200::1")}

# A /24 without its network, gateway and broadcast addresses.
PODS_PER_RANGE = 253
FIRST_RANGE = ipaddress.ip_address("10.1.10.0")
PODS6 = ipaddress.ip_address("fd00:0:0:10:0:1::")


def ranges(pods):
    """The /24 ranges that hold so many pods: (subnet, gateway)."""
    for i in range(-(-pods // PODS_PER_RANGE)):
        yield f"{FIRST_RANGE + 256 * i}/24", str(FIRST_RANGE + 256 * i + 1)


def pod_ip(pod, ip=4):
    if ip == 6:
        return str(PODS6 + 2 + pod)
    return str(FIRST_RANGE + 256 * (pod // PODS_PER_RANGE) + 2 + pod % PODS_PER_RANGE)


def trial_ip():
    """One in the sender's range that nobody has."""
    return "10.200.0.20"


def pod_mac(pod):
    return f"02:00:00:02:{pod >> 8:02x}:{pod & 0xff:02x}"
