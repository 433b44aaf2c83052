# SPDX-License-Identifier: Apache-2.0
"""JSON-RPC 1.0 over a Unix stream socket: Sluice's control socket, OVS's ovs-appctl."""

import json
import socket


def call(path, method, *params):
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(30)
        connection.connect(str(path))
        request = {"id": 0, "method": method, "params": params}
        connection.sendall(json.dumps(request).encode())
        answer = b""
        while True:
            received = connection.recv(65536)
            if not received:
                raise RuntimeError(f"{method}: {path} was closed before the answer was complete")
            answer += received
            try:
                reply = json.loads(answer)
            except ValueError:
                continue
            if reply["error"] is not None:
                raise RuntimeError(f"{method}: {reply['error']}")
            return reply["result"]
