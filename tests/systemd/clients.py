#!/usr/bin/env python3
"""Sixty-four clients that must not notice a restart.

Half of them open a connection per request, half keep theirs; half speak TCP, half a Unix socket;
half in the native format, half in Tencent's. They behave as HTTP clients do: a kept connection
that the server closed while it was idle is opened anew, and a request on a kept connection that
was closed without one byte of an answer is sent once more on a new one (RFC 9112, 9.3.1; counted
as `retried`). Everything else that is not a 200 with a whole, unexpired set is a failure.

    clients.py --tcp 127.0.0.1:9470 --unix /run/credvend/app.sock --roles role-0,role-1 --seconds 10

Prints one line of JSON. `cut` are requests that were accepted and then ended without an answer,
which nothing but a killed process may do; they are sent once more, too.
"""

import argparse
import collections
import datetime
import json
import socket
import sys
import threading
import time

PATIENCE = 40  # seconds; longer than the longest watchdog of the tests


class Cut(Exception):
    """The connection ended before the answer did."""

    def __init__(self, error, began):
        super().__init__(repr(error))
        self.began = began


class Connection:
    def __init__(self, target):
        if target[0] == "unix":
            self.socket = socket.socket(socket.AF_UNIX)
            self.host = "localhost"
        else:
            self.socket = socket.socket(socket.AF_INET)
            self.host = "%s:%d" % target[1]
        self.socket.settimeout(PATIENCE)
        self.socket.connect(target[1])

    def ask(self, path, keep):
        head = "GET %s HTTP/1.1\r\nHost: %s\r\n%s\r\n" % (
            path, self.host, "" if keep else "Connection: close\r\n")
        received = b""
        try:
            self.socket.sendall(head.encode())
            while b"\r\n\r\n" not in received:
                received += self.more()
            head, _, body = received.partition(b"\r\n\r\n")
            lines = head.decode().split("\r\n")
            fields = dict(line.lower().split(": ", 1) for line in lines[1:])
            while len(body) < int(fields["content-length"]):
                body += self.more()
        except (ConnectionError, EOFError) as error:
            raise Cut(error, bool(received)) from None
        return int(lines[0].split()[1]), body, fields.get("connection") != "close"

    def more(self):
        some = self.socket.recv(65536)
        if not some:
            raise EOFError("closed")
        return some

    def is_closed(self):
        """Whether the server closed it while nothing was under way."""
        self.socket.setblocking(False)
        try:
            return self.socket.recv(1) == b""
        except BlockingIOError:
            return False
        except ConnectionError:
            return True
        finally:
            self.socket.settimeout(PATIENCE)

    def close(self):
        self.socket.close()


class Tally:
    def __init__(self):
        self.lock = threading.Lock()
        self.requests = self.retried = self.cut = 0
        self.slowest = 0.0
        self.failures = collections.Counter()
        self.keys = collections.defaultdict(set)

    def failed(self, what):
        with self.lock:
            self.failures[what] += 1


def path(role, tencent):
    if tencent:
        return "/latest/meta-data/cam/security-credentials/" + role
    return "/v1/roles/" + role + "/credentials"


def check(body, tencent):
    """The access key id of a whole, unexpired set."""
    found = json.loads(body)
    if tencent:
        key, secret, token = (found[name] for name in ("TmpSecretId", "TmpSecretKey", "Token"))
        expiry = found["ExpiredTime"]
    else:
        key, secret, token = (
            found[name] for name in ("access_key_id", "secret_access_key", "session_token"))
        text = found["expires_at"].replace("Z", "+00:00")
        expiry = datetime.datetime.fromisoformat(text).timestamp()
    if not (key and secret and token):
        raise ValueError("a part is missing")
    if expiry <= time.time():
        raise ValueError("expired")
    return key


def client(index, options, tally, end):
    keep = index % 2 == 0
    target = options.targets[index // 2 % len(options.targets)]
    tencent = index // 4 % 2 == 0
    connection = None
    turn = index
    while time.monotonic() < end:
        turn += 1
        role = options.roles[turn % len(options.roles)]
        began = time.monotonic()
        status = None
        for attempt in (1, 2):
            is_kept = connection is not None
            if is_kept and connection.is_closed():
                connection.close()
                connection = None
                is_kept = False
            try:
                if connection is None:
                    connection = Connection(target)
                status, body, stays = connection.ask(path(role, tencent), keep)
                break
            except Cut as cut:
                connection.close()
                connection = None
                with tally.lock:
                    if is_kept and not cut.began:
                        tally.retried += 1
                    else:
                        tally.cut += 1
                if attempt == 2:
                    tally.failed("cut twice: %s" % cut)
            except (OSError, EOFError, ValueError) as error:
                if connection is not None:
                    connection.close()
                connection = None
                tally.failed("%s: %r" % (target[0], error))
                break
        with tally.lock:
            tally.requests += 1
            tally.slowest = max(tally.slowest, time.monotonic() - began)
        if status == 200:
            try:
                key = check(body, tencent)
                with tally.lock:
                    tally.keys[role].add(key)
            except (KeyError, ValueError) as error:
                tally.failed("%s: not a set: %r" % (role, error))
        elif status is not None:
            tally.failed("%s: status %d: %s" % (role, status, body[:200]))
        if connection is not None and not (keep and stays):
            connection.close()
            connection = None
        time.sleep(options.pause)


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--tcp", action="append", default=[])
    arguments.add_argument("--unix", action="append", default=[])
    arguments.add_argument("--roles", required=True)
    arguments.add_argument("--clients", type=int, default=64)
    arguments.add_argument("--seconds", type=float, required=True)
    arguments.add_argument("--pause", type=float, default=0.08)
    options = arguments.parse_args()
    options.roles = options.roles.split(",")
    options.targets = [("unix", path) for path in options.unix]
    for address in options.tcp:
        host, _, port = address.rpartition(":")
        options.targets.append(("tcp", (host, int(port))))
    tally = Tally()
    end = time.monotonic() + options.seconds
    threads = [
        threading.Thread(target=client, args=(index, options, tally, end))
        for index in range(options.clients)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(json.dumps({
        "requests": tally.requests,
        "failed": sum(tally.failures.values()),
        "cut": tally.cut,
        "retried": tally.retried,
        "slowest_ms": round(tally.slowest * 1000),
        "keys": sum(len(keys) for keys in tally.keys.values()),
        "roles": len(tally.keys),
        "failures": dict(tally.failures.most_common(5)),
    }))
    sys.exit(1 if tally.failures else 0)


main()
