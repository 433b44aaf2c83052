# SPDX-License-Identifier: Apache-2.0
"""Are the frames of a pcap file those that net_gen was asked for?

usage: bench_frames.py FILE ip=4|6 [pods=N] [flows=N] [size=N,N] [attack=SHARE]"""

import struct
import sys

GUARDED = bytes.fromhex("02005e005301020000010001")  # to the router, from the sending pod
STAMP = 8  # at the end of a frame sent at a rate
ATTACKED = int.from_bytes(bytes([10, 1, 10, 2]), "big"), 12345, 80


def read(path):
    data = open(path, "rb").read()
    at = 24
    while at + 16 <= len(data):
        length = struct.unpack_from("<I", data, at + 8)[0]
        if at + 16 + length > len(data):
            return  # it was being written
        yield data[at + 16:at + 16 + length]
        at += 16 + length


def ones_sum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def flow4(frame):
    assert frame[12:14] == b"\x08\x00", "not IPv4"
    assert ones_sum(frame[14:34]) == 0xFFFF, "IPv4 checksum"
    assert struct.unpack_from("!H", frame, 16)[0] == len(frame) - 14, "total length"
    assert frame[26:30] == bytes([10, 200, 0, 10]), "source"
    assert struct.unpack_from("!H", frame, 38)[0] == len(frame) - 34, "UDP length"
    return int.from_bytes(frame[30:34], "big"), *struct.unpack_from("!HH", frame, 34)


def flow6(frame):
    assert frame[12:14] == b"\x86\xdd", "not IPv6"
    udp = frame[54:62] + bytes(len(frame) - 62)  # its checksum is that of a payload of zeroes
    pseudo = frame[22:54] + struct.pack("!II", len(udp), 17)
    assert ones_sum(pseudo + udp) == 0xFFFF, "UDP checksum"
    assert struct.unpack_from("!H", frame, 18)[0] == len(frame) - 54, "payload length"
    return int.from_bytes(frame[38:54], "big"), *struct.unpack_from("!HH", frame, 54)


def is_attack(flow):
    return all(bin(value ^ base).count("1") == 1 for value, base in zip(flow, ATTACKED))


def main():
    wanted = dict(argument.split("=") for argument in sys.argv[2:])
    frames = list(read(sys.argv[1]))
    assert len(frames) > 1000, f"only {len(frames)} frames"
    assert all(frame[:12] == GUARDED for frame in frames), "MAC addresses"
    flows = [{"4": flow4, "6": flow6}[wanted["ip"]](frame) for frame in frames]
    found = {"pods": str(len({flow[0] for flow in flows})), "flows": str(len(set(flows))),
             "size": ",".join(map(str, sorted({len(frame) for frame in frames})))}
    for key in found:
        assert found[key] == wanted.get(key, found[key]), f"{key}: {found[key]}"
    if "attack" in wanted:
        share = sum(map(is_attack, flows)) / len(flows)
        assert abs(share - float(wanted["attack"])) < 0.01, f"attack: {share}"


main()
