"""What the scripts here share: checks, a running emulator, and its control API.

A script makes one `Checks`, calls `check` for each thing it claims, and ends with
`sys.exit(checks.finish())`. `tests/interop/run` counts the lines that begin with "ok " and
"FAILED "; a script that crashes counts as a failure too. Nothing here prints a secret.
"""

import contextlib
import json
import os
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

CREDVEND = os.environ["CREDVEND_BIN"]
ACCOUNT = "100000000001"
USER = "100000000002"


class Checks:
    """Counts what held and what did not."""

    def __init__(self):
        self.failed = 0

    def check(self, name, claim):
        """Runs `claim`; any exception is a failure, and the message says which."""
        try:
            claim()
        except Exception as error:  # noqa: BLE001 - whatever went wrong, the other checks go on
            self.failed += 1
            text = " ".join(str(error).split())[:400]
            print(f"FAILED {name}: {type(error).__name__}: {text}", flush=True)
        else:
            print(f"ok {name}", flush=True)

    def leave_out(self, name, why):
        """For a tool this machine lacks; a failure where everything is meant to be there."""
        if os.environ.get("CI") == "true":
            self.failed += 1
            print(f"FAILED {name}: {why}", flush=True)
        else:
            print(f"left out: {name}: {why}", flush=True)

    def finish(self):
        """The script's exit code."""
        return 1 if self.failed else 0


def equal(found, expected, what="value"):
    """Like assert, but kept under -O, and with a sentence."""
    if found != expected:
        raise AssertionError(f"{what} is {found!r}, expected {expected!r}")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def request(url, body=None, method=None, timeout=5):
    """Status and body of one plain request, proxies ignored."""
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json"} if data is not None else {}
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    message = urllib.request.Request(url, data=data, headers=headers, method=method)
    try:
        with opener.open(message, timeout=timeout) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def wait_until(ready, what, seconds=10):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            if ready():
                return
        time.sleep(0.05)
    raise TimeoutError(f"{what} was not ready within {seconds} s")


class Emulator:
    """`credvend emulator` on a free port, with a key of its own."""

    def __init__(self, process, port):
        self.process = process
        self.port = port
        self.address = f"127.0.0.1:{port}"
        self.url = f"http://{self.address}"
        self.key_id = self.key_secret = None

    def control(self, path, body=None, method=None):
        status, answer = request(f"{self.url}/_emulator/{path}", body, method)
        if status != 200:
            raise RuntimeError(f"/_emulator/{path} answers {status}: {answer.decode()}")
        return json.loads(answer)

    def role_arn(self, name):
        return f"qcs::cam::uin/{ACCOUNT}:roleName/{name}"


@contextlib.contextmanager
def emulator():
    """A running emulator; its output is shown only if it never comes up."""
    port = free_port()
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            [CREDVEND, "emulator", "--listen", f"127.0.0.1:{port}"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=log,
        )
        running = Emulator(process, port)
        try:
            try:
                wait_until(
                    lambda: process.poll() is not None or running.control("world"), "the emulator"
                )
                if process.poll() is not None:
                    raise RuntimeError(f"the emulator ended with status {process.returncode}")
            except (RuntimeError, TimeoutError):
                log.seek(0)
                print(log.read().decode(errors="replace"), flush=True)
                raise
            key = running.control("keys", {"account": ACCOUNT, "uin": USER})
            running.key_id, running.key_secret = key["id"], key["secret"]
            yield running
        finally:
            process.terminate()
            process.wait(timeout=10)
