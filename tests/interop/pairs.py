"""What a pair of client and protocol is, and how its client is started; table.py lists them.

Versions are those of the manifests under clients/, so that each stands in one place.
"""

import dataclasses
import functools
import importlib.metadata
import os
import pathlib
import re
import sys

from clients import LongLived, PerCommand

HERE = pathlib.Path(__file__).parent / "clients"
SCRIPTS = pathlib.Path(sys.executable).parent
CACHE = pathlib.Path(os.environ["INTEROP_CACHE"])
REGION = {"AWS_DEFAULT_REGION": "us-east-1", "AWS_REGION": "us-east-1"}


@dataclasses.dataclass
class Pair:
    """`start()` gives a client; `role` is whose keys it must get; `part` is where it comes from."""

    client: str
    version: str
    protocol: str
    way: str
    part: str
    start: object
    role: str = "app"
    per_command: bool = False
    signs: bool = False

    @property
    def name(self):
        return f"{self.client} {self.version}, {self.protocol} ({self.way})"

    @property
    def speaks_http(self):
        """Otherwise a program of ours does, or the daemon writes a file."""
        return self.protocol not in ("process", "command", "sink")


@dataclasses.dataclass
class Command:
    """A program, and the part of `install` that it comes from."""

    part: str
    line: list


def python(kind):
    return Command("python", [sys.executable, str(HERE / "python/client.py"), kind])


def go(kind):
    return Command("go", [str(CACHE / "go/client"), kind])


def node(kind):
    return Command("node", ["node", str(HERE / "node/client.mjs"), kind])


def java(kind):
    # Nothing lasts long enough here to be worth compiling well.
    small = ["-Xmx96m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
    return Command("java", ["java", *small, f"@{CACHE / 'java/arguments'}", "Client", kind])


def rust():
    # It takes whatever the environment says, so there is but one kind.
    return Command("rust", [str(CACHE / "rust/debug/client")])


def pinned(manifest, package):
    """The version that one of the manifests asks for."""
    between = r'(?:"?: "|==| v|</artifactId><version>| = \{ version = "=)'
    pattern = re.escape(package) + between + r'([0-9][^"<\s]*)'
    return re.search(pattern, (HERE / manifest).read_text()).group(1)


pip = importlib.metadata.version
npm = functools.partial(pinned, "node/package.json")
module = functools.partial(pinned, "go/go.mod")
maven = functools.partial(pinned, "java/pom.xml")
crate = functools.partial(pinned, "rust/Cargo.toml")


class Maker:
    """Makes pairs; `world` has what they need of the running daemon."""

    def __init__(self, world):
        self.world = world

    def lasting(self, client, version, protocol, way, command, variables=None, **more):
        """A client that lives from the start of the matrix to its end."""
        files = more.pop("files", ())
        signed_by_witness = more.pop("witnessed", False)

        def start():
            witness = self.world.witness() if signed_by_witness else None
            extra = {"INTEROP_NODE": str(CACHE / "node")}
            if witness:
                extra["INTEROP_ENDPOINT"] = f"http://{witness.address}"
            return LongLived(command.line, extra | (variables or {}), files, witness)

        return Pair(client, version, protocol, way, command.part, start, **more)

    def per_command(self, client, version, protocol, way, command, variables=None, **more):
        """`command(address)` is one call to the witness there, and variables it needs."""
        files = more.pop("files", ())

        def start():
            witness = self.world.witness()
            line, more = command(witness.address)
            return PerCommand(line, more | (variables or {}), witness, files)

        part = "rclone" if client == "rclone" else "python"
        return Pair(client, version, protocol, way, part, start, per_command=True, **more)
