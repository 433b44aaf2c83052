#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Sends one frame as it stands: an ICMP echo request, or an ARP request.

usage: send_frame.py NETDEV echo|arp DESTINATION-MAC SOURCE-IP DESTINATION-IP
"""
import socket
import struct
import sys


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total >> 16) + (total & 0xffff)
    return ~(total + (total >> 16)) & 0xffff


def echo(source, destination):
    icmp = struct.pack("!BBHHH", 8, 0, 0, 1, 1)
    icmp = icmp[:2] + struct.pack("!H", checksum(icmp)) + icmp[4:]
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(icmp), 1, 0, 64, 1, 0, source, destination)
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + icmp


def arp(mac, source, destination):
    return struct.pack("!HHBBH6s4s6s4s", 1, 0x0800, 6, 4, 1, mac, source, bytes(6), destination)


netdev, kind, to = sys.argv[1], sys.argv[2], bytes.fromhex(sys.argv[3].replace(":", ""))
addresses = [socket.inet_aton(text) for text in sys.argv[4:6]]
with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sock:
    sock.bind((netdev, 0))
    own = sock.getsockname()[4]
    if kind == "echo":
        sock.send(to + own + b"\x08\x00" + echo(*addresses))
    else:
        sock.send(to + own + b"\x08\x06" + arp(own, *addresses))
