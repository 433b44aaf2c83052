# SPDX-License-Identifier: Apache-2.0
"""A fake of the daemon's control socket, for tests of the CNI plugin alone.

It keeps attachments in memory and forwards nothing. Its answers follow docs/control-socket.md.
"""

import ipaddress
import json
import os
import socket
import threading

RANGES = [ipaddress.ip_network(n) for n in ("10.1.10.0/24", "10.1.11.0/24", "fd00:10::/64")]


class FakeDaemon:
    def __init__(self, path):
        self.path = path
        self.attachments = {}
        self.requests = []
        self.refuse = {}  # method -> error object
        self.hang = set()  # methods that are never answered
        self.asked = threading.Event()  # a method of `hang` was asked for
        self.lock = threading.Lock()
        self.listener = None

    def start(self):
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen(64)
        threading.Thread(target=self.accept, args=(self.listener,), daemon=True).start()

    def stop(self):
        if self.listener:
            self.listener.shutdown(socket.SHUT_RDWR)
            self.listener.close()
            self.listener = None
            os.unlink(self.path)

    def accept(self, listener):
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        text = ""
        with connection:
            while True:
                try:
                    data = connection.recv(65536)
                except OSError:
                    return
                if not data:
                    return
                text += data.decode()
                while text:
                    try:
                        request, end = json.JSONDecoder().raw_decode(text)
                    except ValueError:
                        break
                    text = text[end:].lstrip()
                    if request["method"] in self.hang:
                        self.asked.set()
                        continue
                    try:
                        connection.sendall(json.dumps(self.answer(request)).encode())
                    except OSError:
                        return

    def answer(self, request):
        method, params = request["method"], request["params"][0]
        with self.lock:
            self.requests.append((method, params))
            try:
                if method in self.refuse:
                    raise Refused(self.refuse[method])
                if len(params.get("container_id", "")) > 127:
                    raise Refused({"code": "invalid_params", "message": "container_id: longer than 127 bytes"})
                result = getattr(self, method)(**params)
                return {"id": request["id"], "result": result, "error": None}
            except Refused as refused:
                return {"id": request["id"], "result": None, "error": refused.args[0]}

    def version(self):
        return {"version": "0.1.0", "protocol": 1}

    def attach(self, container_id, ifname, netdev, mac, ips, mtu, pod=""):
        key = (container_id, ifname)
        described = {"netdev": netdev, "mac": mac, "ips": ips, "mtu": mtu, "pod": pod}
        if self.attachments.get(key, described) != described:
            raise Refused({"code": "already_attached", "message": "attached otherwise"})
        for other, attachment in self.attachments.items():
            if other != key and set(ips) & set(attachment["ips"]):
                raise Refused({"code": "address_in_use", "message": " ".join(ips)})
        gateways = []
        for ip in ips:
            found = [n for n in RANGES if ipaddress.ip_address(ip) in n]
            if not found:
                raise Refused({"code": "no_range", "message": ip, "remedy": "add its range"})
            gateways.append(str(found[0][1]))
        self.attachments[key] = described
        return {"port": 3, "driver": "fake", "router_mac": "02:00:5e:00:53:01",
                "gateways": gateways}

    def detach(self, container_id, ifname):
        return {"detached": self.attachments.pop((container_id, ifname), None) is not None}

    def check(self, container_id, ifname, netdev, mac, ips):
        found = self.attachments.get((container_id, ifname))
        if not found:
            raise Refused({"code": "not_attached", "message": "no such attachment"})
        for name, value in (("netdev", netdev), ("mac", mac), ("ips", ips)):
            if found[name] != value:
                raise Refused({"code": "not_healthy", "message": name})
        return {}


class Refused(Exception):
    pass
