"""Where the clients live: a network namespace that owns the clouds' metadata addresses, with an
emulated cloud and the daemon in it.

The namespaces are the script's own and end with it; nothing of the host is touched. The daemon
inherits its listening sockets from here, and what it held before, as it would from systemd.
"""

import contextlib
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile

from harness import CREDVEND
from manager import Manager

INSIDE = "CREDVEND_INTEROP_NAMESPACE"
# Where the gateway of Tencent's command line tool is; an address of no network (RFC 5737).
GATEWAY = "192.0.2.1"
ADDRESSES = ("169.254.0.23", "169.254.169.254", "169.254.170.2", "100.100.100.200", GATEWAY)
NAMES = {"169.254.0.23": ("metadata.tencentyun.com",), GATEWAY: ("cli.cloud.tencent.com",)}
# Listener: where it is, what it speaks, whose keys it has; the first role is the instance's.
LISTENERS = {
    "tencent": ("169.254.0.23:80", ["tencent"], ["app"]),
    "proxy": ("127.0.0.1:9470", ["tencent"], ["app"]),
    "emr": ("127.0.0.1:2888", ["tencent"], ["app"]),
    "instance": ("169.254.169.254:80", ["huawei", "aws-imds"], ["brief"]),
    "instance-steady": ("127.0.0.1:9473", ["aws-imds"], ["steady"]),
    "instance-hour": ("127.0.0.1:9474", ["aws-imds"], ["hour"]),
    "proxy-huawei": ("127.0.0.1:9475", ["huawei"], ["brief"]),
    "relayed": ("127.0.0.1:9476", ["huawei"], ["brief"]),
    "alibaba": ("100.100.100.200:80", ["alibaba"], ["app"]),
    "relative": ("169.254.170.2:80", ["aws-container"], ["app", "brief"]),
    "tasks": (
        "127.0.0.1:9472",
        ["aws-container", "huawei-container", "alibaba"],
        ["app", "brief"],
    ),
}
# Below the home directory of whoever reads them.
SINKS = {
    "tccli-profile": ".tccli/default.credential",
    "aws-credentials": ".aws/credentials",
    "env-file": "app.env",
}
TASKS = "http://127.0.0.1:9472"
# Stands before the listener `relayed`, for clients that speak to a service without tokens.
RELAY = "127.0.0.1:9477"

# Session lengths, in seconds. Long enough for the clients' own windows (COS Java takes 30 s of
# life for none), short enough that the ones with small windows ask again within a minute.
# AWS's Java client goes on with a set for up to 70 s once it has 15 minutes left, and botocore
# stretches what has less than 25: both need more than they show.
SESSIONS = {"app": 90, "brief": 45, "steady": 150, "hour": 3600}


def enter_namespaces():
    """Goes on as root of a network and a mount namespace; says why if that is not possible."""
    if INSIDE not in os.environ:
        command = ["unshare", "--net", "--mount"]
        if os.geteuid() != 0:
            command += ["--user", "--map-root-user"]
        for tool in ("unshare", "ip", "mount"):
            if shutil.which(tool) is None:
                return f"{tool} is not installed"
        tried = subprocess.run([*command, "true"], capture_output=True, text=True)
        if tried.returncode != 0:
            return f"this machine gives no namespaces: {tried.stderr.strip()}"
        os.environ[INSIDE] = "yes"
        sys.stdout.flush()
        os.execvp(command[0], [*command, sys.executable, *sys.argv])
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    for address in ADDRESSES:
        subprocess.run(["ip", "address", "add", f"{address}/32", "dev", "lo"], check=True)
    lines = ["127.0.0.1 localhost", "::1 localhost"]
    lines += [f"{address} {' '.join(names)}" for address, names in NAMES.items()]
    with tempfile.NamedTemporaryFile("w", suffix=".hosts") as hosts:
        hosts.write("\n".join(lines) + "\n")
        hosts.flush()
        os.chmod(hosts.name, 0o644)
        subprocess.run(["mount", "--bind", hosts.name, "/etc/hosts"], check=True)
    return None


def asked_by_clients():
    """Where clients' requests arrive: what the relay passes on is none of theirs."""
    addresses = [address for name, (address, *_) in LISTENERS.items() if name != "relayed"]
    split = [address.rsplit(":", 1) for address in [*addresses, RELAY]]
    return [(host, int(port)) for host, port in split]


def listening(address):
    """As a socket unit would have it, `BindToDevice=lo` included where the daemon wants it."""
    host, port = address.rsplit(":", 1)
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if not host.startswith("127."):
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"lo")
    listener.bind((host, int(port)))
    listener.listen(1024)
    return listener


class Daemon:
    """`credvend run` on inherited sockets, with a descriptor store."""

    def __init__(self, directory, cloud):
        self.directory = pathlib.Path(directory)
        self.cloud = cloud
        self.config = self.directory / "config.toml"
        self.socket = self.directory / "app.sock"
        self.token = self.directory / "tasks.token"
        # Of somebody whose programs only read files.
        self.home = self.directory / "home"
        for path in SINKS.values():
            (self.home / path).parent.mkdir(parents=True, exist_ok=True)
        self.log = open(self.directory / "daemon.log", "ab")
        self.process = None
        self.manager = Manager(self.directory)
        for name, text in (("key-id", cloud.key_id), ("key-secret", cloud.key_secret)):
            path = self.directory / name
            path.touch(mode=0o600)
            path.write_text(text)
        self.write_config()
        self.sockets = {}
        for name, (address, *_) in LISTENERS.items():
            self.sockets[name] = listening(address)
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(self.socket))
        self.socket.chmod(0o600)
        listener.listen(1024)
        self.sockets["local"] = listener

    def write_config(self, extra=""):
        """`extra` goes into each role: what a reload changes."""
        parts = [
            f'[daemon]\nstate-directory = "{self.directory}"',
            f'[admin]\nsocket = "{self.directory}/admin.sock"',
            '[metrics]\naddress = "127.0.0.1:9471"',
            f'[key.ops]\ncloud = "tencent"\nid = "file:{self.directory}/key-id"\n'
            f'secret = "file:{self.directory}/key-secret"',
        ]
        for role, seconds in SESSIONS.items():
            parts.append(
                f"[role.{role}]\n{extra}\n[role.{role}.provider.tencent-assume-role]\n"
                f'source = "ops"\nrole-arn = "{self.cloud.role_arn("app")}"\n'
                f'session-name = "interop"\nduration = "{seconds}s"\n'
                f'endpoint = "{self.cloud.url}"'
            )
        for name, (address, protocols, roles) in LISTENERS.items():
            parts.append(
                f'[listener.{name}]\naddress = "{address}"\nallow = "any-local"\n'
                f"protocols = {json.dumps(protocols)}\nroles = {json.dumps(roles)}"
            )
            if any(protocol.endswith("-container") for protocol in protocols):
                parts.append(f'token = "file:{self.token}"')
        parts.append(
            f'[listener.local]\naddress = "unix:{self.socket}"\nprotocols = ["native"]\n'
            f"roles = {json.dumps(list(SESSIONS))}"
        )
        for kind, path in SINKS.items():
            parts.append(f'[sink.{kind}.{kind}]\nrole = "app"\npath = "{self.home}/{path}"')
        self.config.write_text("\n\n".join(parts) + "\n")

    def start(self):
        passed = [(name, one.fileno()) for name, one in self.sockets.items()]
        passed += self.manager.stored()
        names, inherited = zip(*passed)
        launcher = pathlib.Path(__file__).with_name("activate.py")
        lists = [":".join(names), ":".join(map(str, inherited))]
        self.process = subprocess.Popen(
            [sys.executable, launcher, *lists, CREDVEND, "--config", str(self.config), "run"],
            pass_fds=inherited,
            env=os.environ | self.manager.environment,
            stdin=subprocess.DEVNULL,
            stdout=self.log,
            stderr=self.log,
        )

    def stop(self):
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(timeout=20)
            self.manager.settle()

    def restart(self):
        before = self.process.pid
        self.stop()
        self.start()
        if self.process.pid == before:
            raise RuntimeError("it was not restarted")

    def command(self, *arguments):
        """Standard output of one `credvend` command."""
        ran = subprocess.run(
            [CREDVEND, "--config", str(self.config), *arguments],
            capture_output=True,
            text=True,
            timeout=60,
        )
        if ran.returncode != 0:
            raise RuntimeError(f"credvend {' '.join(arguments)}: {ran.stderr.strip()}")
        return ran.stdout

    def expect_all_listening(self):
        """A listener that failed would leave its clients waiting in the backlog."""
        for listener in json.loads(self.command("status", "--json"))["listeners"]:
            if listener["state"] != "listening":
                raise RuntimeError(f"a listener that does not listen: {listener}")

    def last_lines(self):
        self.log.flush()
        return (self.directory / "daemon.log").read_text(errors="replace")[-3000:]


@contextlib.contextmanager
def running_daemon(cloud):
    """The daemon with every role held; its log is shown if it does not get there."""
    with tempfile.TemporaryDirectory(prefix="credvend-interop-") as directory:
        daemon = Daemon(directory, cloud)
        try:
            daemon.start()
            for role in SESSIONS:
                daemon.command("wait", role, "--min-remaining", "1s", "--timeout", "20s")
            daemon.expect_all_listening()
            yield daemon
        except Exception:
            print(daemon.last_lines(), flush=True)
            raise
        finally:
            daemon.stop()
