# SPDX-License-Identifier: Apache-2.0
"""A client of the control socket that keeps its connection (docs/control-socket.md)."""

import json
import socket


class Refused(Exception):
    """The daemon answered with an error: its code, its message."""


class Closed(Exception):
    """The daemon closed the connection, or is gone."""


class Client:
    def __init__(self, path, timeout=120):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(str(path))  # with a timeout, a full listen queue would fail at once
        self.socket.settimeout(timeout)
        self.text = ""
        self.last_id = 0

    def close(self):
        self.socket.close()

    def send(self, method, params=None):
        self.last_id += 1
        request = {"id": self.last_id, "method": method, "params": [params or {}]}
        try:
            self.socket.sendall(json.dumps(request).encode())
        except (BrokenPipeError, ConnectionResetError) as error:
            raise Closed from error

    def receive(self):
        """The next answer whole; raises Closed at the end."""
        while True:
            try:
                answer, end = json.JSONDecoder().raw_decode(self.text)
                self.text = self.text[end:]
                return answer
            except ValueError:
                pass
            try:
                data = self.socket.recv(1 << 20)
            except ConnectionResetError as error:
                raise Closed from error
            if not data:
                raise Closed
            self.text += data.decode()

    def call(self, method, **params):
        self.send(method, params)
        answer = self.receive()
        if answer["error"] is not None:
            raise Refused(answer["error"]["code"], answer["error"]["message"])
        return answer["result"]
