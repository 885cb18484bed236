"""A record of every set the daemon has served, read natively all the while: what clients get is
judged by it."""

import contextlib
import http.client
import json
import socket
import threading
from datetime import datetime

from world import SESSIONS


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=10)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Served:
    """Every set that was served since the start, by access key id, read natively all the while."""

    def __init__(self, path):
        self.path = str(path)
        self.sets = {}
        self.newest = {}
        self.trouble = []
        self.reads = dict.fromkeys(SESSIONS, 0)
        self.ended = threading.Event()
        self.threads = [
            threading.Thread(target=self.watch, args=(role,), daemon=True) for role in SESSIONS
        ]

    def watch(self, role):
        while not self.ended.wait(0.1):
            try:
                self.read(role)
            except (OSError, ValueError, KeyError, http.client.HTTPException) as error:
                self.trouble.append(f"{role}: {type(error).__name__}: {error}")
            else:
                self.reads[role] += 1

    def read(self, role):
        with contextlib.closing(UnixConnection(self.path)) as connection:
            connection.request("GET", f"/v1/roles/{role}/credentials")
            answer = connection.getresponse()
            body = answer.read()
        if answer.status != 200:
            raise ValueError(f"status {answer.status}")
        self.note(json.loads(body))

    def note(self, native):
        shown = datetime.fromisoformat(native["expires_at"]).timestamp()
        life = SESSIONS[native["role"]]
        # What is shown is a margin before the cloud's own end, which is the session's length
        # after it was issued. A second of rounding on either side is forgiven.
        native["real_expiry"] = shown + min(300, life / 12) + 1
        self.sets.setdefault(native["access_key_id"], native)
        self.newest[native["role"]] = native["generation"]
        return native

    def expect_no_trouble(self):
        """Whatever happened meanwhile, each role was read again and again without one error."""
        if self.trouble:
            raise AssertionError(f"{len(self.trouble)} errors, the first: {self.trouble[0]}")
        for role, reads in self.reads.items():
            if reads < 10:
                raise AssertionError(f"{role} was read {reads} times only")

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        for thread in self.threads:
            thread.join(timeout=15)
