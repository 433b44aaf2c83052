# SPDX-License-Identifier: Apache-2.0
"""A benchmark's addresses and the pcap file of frames that all contenders receive."""

import ipaddress
import random
import struct

# What the daemon presents to pods as their gateway's MAC address.
ROUTER_MAC = "02:00:5e:00:53:01"
# The pod that sends. Its range is its own, so that the others hold exactly the pods asked for.
SENDER_MAC = "02:00:00:01:00:01"
SENDER_IP = "10.200.0.10"
SENDER_RANGE = "10.200.0.0/24"

# A /24 without its network, gateway and broadcast addresses.
PODS_PER_RANGE = 253
FIRST_RANGE = ipaddress.ip_address("10.1.10.0")


def ranges(pods):
    """The /24 ranges that hold so many pods, as text."""
    n = -(-pods // PODS_PER_RANGE)
    return [f"{FIRST_RANGE + 256 * i}/24" for i in range(n)]


def pod_ip(pod):
    return str(FIRST_RANGE + 256 * (pod // PODS_PER_RANGE) + 2 + pod % PODS_PER_RANGE)


def pod_mac(pod):
    return f"02:00:00:02:{pod >> 8:02x}:{pod & 0xff:02x}"


def mac_bytes(mac):
    return bytes.fromhex(mac.replace(":", ""))


def ipv4_checksum(header):
    """RFC 1071, over a header of even length whose checksum field is zero."""
    total = sum(struct.unpack(f"!{len(header) // 2}H", header))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def ipv4_udp(dst, sport, dport, size):
    """One frame of `size` bytes (without FCS) from the sender, as it leaves the pod."""
    payload = size - 14 - 20 - 8
    source = ipaddress.ip_address(SENDER_IP).packed
    header = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + 8 + payload, 0, 0x4000, 64, 17, 0,
                         source, ipaddress.ip_address(dst).packed)
    header = header[:10] + struct.pack("!H", ipv4_checksum(header)) + header[12:]
    # A UDP checksum of zero means that there is none (RFC 768).
    udp = struct.pack("!HHHH", sport, dport, 8 + payload, 0)
    return (mac_bytes(ROUTER_MAC) + mac_bytes(SENDER_MAC) + b"\x08\x00" + header + udp +
            bytes(payload))


def write_pcap(path, pods, flows, size):
    """One frame per flow, flows spread evenly over the pods, in an order that is random but always
    the same."""
    rng = random.Random(1)
    order = list(range(flows))
    rng.shuffle(order)
    seen = set()
    with open(path, "wb") as out:
        out.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
        for flow in order:
            pod = flow % pods
            while True:
                # No BFD, which a guard stops: its ports are above 3,783.
                ports = rng.randrange(1024, 65536), rng.randrange(1, 1024)
                if (pod, ports) not in seen:
                    break
            seen.add((pod, ports))
            frame = ipv4_udp(pod_ip(pod), *ports, size)
            out.write(struct.pack("<IIII", 0, 0, len(frame), len(frame)) + frame)
