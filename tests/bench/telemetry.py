# SPDX-License-Identifier: Apache-2.0
"""DPDK's telemetry socket, of which every DPDK program has one."""

import json
import socket


class Telemetry:
    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.settimeout(10)
        self.socket.connect(path)
        self.limit = json.loads(self.socket.recv(1024))["max_output_len"]

    def ask(self, command):
        self.socket.send(command.encode())
        return json.loads(self.socket.recv(self.limit))[command.partition(",")[0]]

    def stats(self, port):
        return self.ask(f"/ethdev/stats,{port}")

    def close(self):
        self.socket.close()
