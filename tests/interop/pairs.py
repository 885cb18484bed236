"""The table of pairs: which client, by which protocol, from which role, started how."""

import dataclasses
import importlib.metadata
import os
import sys

from clients import LongLived, PerCommand, python

SCRIPTS = os.path.dirname(sys.executable)


@dataclasses.dataclass
class Pair:
    """`start(world)` gives a client; `role` is whose keys it must get."""

    client: str
    version: str
    protocol: str
    way: str
    role: str
    start: object
    per_command: bool = False
    signs: bool = False

    @property
    def name(self):
        return f"{self.client} {self.version}, {self.protocol} ({self.way})"


def installed(package):
    return importlib.metadata.version(package)


def tencent(world):
    """The Python SDK and tccli, by the compiled-in name and through a proxy variable."""
    proxied = {"http_proxy": "http://127.0.0.1:9470"}
    sdk = "tencentcloud-sdk-python"
    version = installed("tencentcloud-sdk-python-common")

    def tccli():
        witness = world.witness()
        command = [os.path.join(SCRIPTS, "tccli"), "sts", "GetCallerIdentity", "--use-cvm-role"]
        command += ["--region", "ap-guangzhou", "--endpoint", f"http://{witness.address}"]
        return PerCommand(command, {}, witness)

    start = lambda **variables: lambda: LongLived(python("tencent-metadata"), variables)
    yield Pair(sdk, version, "tencent", "metadata name", "app", start(), signs=True)
    yield Pair(sdk, version, "tencent", "http_proxy", "app", start(**proxied), signs=True)
    yield Pair("tccli", installed("tccli"), "tencent", "--use-cvm-role", "app", tccli, True)


def pairs(world):
    yield from tencent(world)
