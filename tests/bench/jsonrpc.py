# SPDX-License-Identifier: Apache-2.0
"""JSON-RPC 1.0 over a Unix stream socket: Sluice's control socket, OVS's ovs-appctl."""

import json
import socket


class Connection:
    def __init__(self, path):
        self.path = path
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(30)
        self.socket.connect(str(path))

    def call(self, method, *params):
        request = {"id": 0, "method": method, "params": params}
        self.socket.sendall(json.dumps(request).encode())
        answer = b""
        while True:
            received = self.socket.recv(65536)
            if not received:
                raise RuntimeError(f"{method}: {self.path} was closed before the answer was complete")
            answer += received
            try:
                reply = json.loads(answer)
            except ValueError:
                continue
            if reply["error"] is not None:
                raise RuntimeError(f"{method}: {reply['error']}")
            return reply["result"]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()


def call(path, method, *params):
    with Connection(path) as connection:
        return connection.call(method, *params)
