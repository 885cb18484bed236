"""The table of pairs: which client, by which protocol, from which role, started how.

Versions are those of the manifests under clients/, so that each stands in one place.
"""

import dataclasses
import functools
import importlib.metadata
import os
import pathlib
import re
import subprocess
import sys

from clients import LongLived, PerCommand
from harness import CREDVEND
from world import TASKS

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


def pinned(manifest, package):
    """The version that one of the manifests asks for."""
    pattern = re.escape(package) + r'(?:"?: "|==| v|</artifactId><version>)([0-9][^"<\s]*)'
    return re.search(pattern, (HERE / manifest).read_text()).group(1)


pip = importlib.metadata.version
npm = functools.partial(pinned, "node/package.json")
module = functools.partial(pinned, "go/go.mod")
maven = functools.partial(pinned, "java/pom.xml")


class Table:
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

    def per_command(self, client, version, protocol, way, command, variables=None, files=()):
        """`command(address)` is one call to the witness there, and variables it needs."""

        def start():
            witness = self.world.witness()
            line, more = command(witness.address)
            return PerCommand(line, more | (variables or {}), witness, files)

        part = "rclone" if command is rclone else "python"
        return Pair(client, version, protocol, way, part, start, per_command=True)

    def tencent(self):
        """By the compiled-in name, and through a proxy variable."""
        sdk, protocol, way = "tencentcloud-sdk", "tencent", "metadata.tencentyun.com"
        version = pip("tencentcloud-sdk-python-common")
        for way_in, variables in (
            (way, {}),
            ("http_proxy", {"http_proxy": "http://127.0.0.1:9470"}),
        ):
            command = python("tencent-metadata")
            yield self.lasting(f"{sdk}-python", version, protocol, way_in, command, variables, signs=True)
        version = module("tencentcloud-sdk-go/tencentcloud/common")
        yield self.lasting(f"{sdk}-go", version, protocol, way, go("tencent-metadata"))
        version = npm("tencentcloud-sdk-nodejs-common")
        yield self.lasting(f"{sdk}-nodejs", version, protocol, way, node("tencent-metadata"))
        version = maven("tencentcloud-sdk-java")
        yield self.lasting(f"{sdk}-java", version, protocol, way, java("tencent-metadata"))
        version = module("cos-go-sdk-v5")
        yield self.lasting("cos-go-sdk-v5", version, protocol, way, go("cos-metadata"))
        version = maven("cos_api")
        yield self.lasting("cos_api (Java)", version, protocol, way, java("cos-metadata"))
        yield self.lasting("cos_api (Java)", version, protocol, "EMR slot", java("cos-emr"))
        yield self.lasting("line parser as in cosfs", "-", protocol, way, python("cosfs-lines"))

        def tccli(address):
            line = [str(SCRIPTS / "tccli"), "sts", "GetCallerIdentity", "--use-cvm-role"]
            return [*line, "--region", "ap-guangzhou", "--endpoint", f"http://{address}"], {}

        yield self.per_command("tccli", pip("tccli"), protocol, "--use-cvm-role", tccli)

    def container(self):
        """`AWS_CONTAINER_CREDENTIALS_FULL_URI`, with a token by file or by value."""
        protocol, token = "aws-container", self.world.daemon.token
        uri = lambda role: {"AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{TASKS}/aws/container/{role}"}
        by_file = {"AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": str(token), **REGION}
        by_value = {"AWS_CONTAINER_AUTHORIZATION_TOKEN": token.read_text(), **REGION}
        file, value = "token file", "token in a variable"
        app, brief = uri("app") | by_file, uri("brief") | by_file
        short = {"role": "brief"}
        yield self.lasting("boto3", pip("boto3"), protocol, file, python("boto3"), app)
        yield self.lasting("minio-py", pip("minio"), protocol, file, python("minio-iam"), brief, **short)
        yield self.lasting("aws-sdk-go-v2", module("aws-sdk-go-v2"), protocol, file, go("aws"), app)
        version = module("minio-go/v7")
        yield self.lasting("minio-go", version, protocol, file, go("minio-iam"), brief, **short)
        version = npm("@aws-sdk/credential-provider-http")
        yield self.lasting("AWS JS v3 fromHttp", version, protocol, file, node("aws-http"), app)
        name, version = "AWS JS v3 fromContainerMetadata", npm("@smithy/credential-provider-imds")
        variables = uri("app") | by_value
        yield self.lasting(name, version, protocol, value, node("aws-container"), variables)
        name, version = "AWS Java v1", maven("aws-java-sdk-core")
        yield self.lasting(name, version, protocol, file, java("aws1-container"), app)
        name, version = "AWS Java v2", maven("auth")
        yield self.lasting(name, version, protocol, file, java("aws2-container"), app)
        yield self.per_command("awscli", pip("awscli"), protocol, file, awscli, app)
        yield self.per_command("rclone", rclone_version(), protocol, value, rclone, variables)

    def process(self):
        """`credential_process`, with the daemon's own command."""
        protocol, way = "process", "credential_process"

        def profile(role):
            line = f"{CREDVEND} --config {self.world.daemon.config} get {role} --format process"
            return [(".aws/config", f"[default]\nregion = us-east-1\ncredential_process = {line}\n")]

        app, brief = profile("app"), profile("brief")
        yield self.lasting("boto3", pip("boto3"), protocol, way, python("boto3"), files=app)
        version = module("aws-sdk-go-v2")
        yield self.lasting("aws-sdk-go-v2", version, protocol, way, go("aws"), files=brief, role="brief")
        yield self.per_command("awscli", pip("awscli"), protocol, way, awscli, files=app)

    def huawei(self):
        """The metadata address, and the container pair of variables."""
        protocol, way = "huawei", "169.254.169.254"
        sdk, obs = "huaweicloud-sdk", "esdk-obs"
        python_version, go_version = pip("huaweicloudsdkcore"), module("huaweicloud-sdk-go-v3")
        yield self.lasting(f"{sdk}-python", python_version, protocol, way, python("huawei-metadata"))
        yield self.lasting(f"{sdk}-go", go_version, protocol, way, go("huawei-metadata"))
        version = maven("huaweicloud-sdk-core")
        yield self.lasting(f"{sdk}-java", version, protocol, way, java("huawei-metadata"))
        version = pip("esdk-obs-python")
        witnessed = {"witnessed": True}
        yield self.lasting(f"{obs}-python", version, protocol, way, python("obs-metadata"), **witnessed)
        version = module("huaweicloud-sdk-go-obs").removesuffix("+incompatible")
        yield self.lasting(f"{obs}-go", version, protocol, way, go("obs-metadata"), **witnessed)
        version = maven("esdk-obs-java")
        yield self.lasting(f"{obs}-java", version, protocol, way, java("obs-metadata"))
        protocol, way = "huawei-container", "token file"
        variables = {
            "HC_CONTAINER_CREDENTIALS_FULL_URI": f"{TASKS}/huawei/container/app",
            "HC_CONTAINER_AUTHORIZATION_TOKEN_FILE": str(self.world.daemon.token),
        }
        kind = "huawei-container"
        yield self.lasting(f"{sdk}-python", python_version, protocol, way, python(kind), variables)
        yield self.lasting(f"{sdk}-go", go_version, protocol, way, go(kind), variables)


def awscli(address):
    line = [str(SCRIPTS / "aws"), "s3api", "list-buckets", "--region", "us-east-1"]
    return [*line, "--endpoint-url", f"http://{address}"], {}


def rclone(address):
    remote = {"TYPE": "s3", "PROVIDER": "Other", "ENV_AUTH": "true", "REGION": "us-east-1"}
    remote["ENDPOINT"] = f"http://{address}"
    variables = {f"RCLONE_CONFIG_AT_{name}": value for name, value in remote.items()}
    return [str(CACHE / "rclone/usr/bin/rclone"), "--retries", "1", "lsd", "at:"], variables


def rclone_version():
    """Debian's; which one depends on the release."""
    program = CACHE / "rclone/usr/bin/rclone"
    if not program.exists():
        return "-"
    ran = subprocess.run([program, "version"], capture_output=True, text=True, check=True)
    return re.match(r"rclone v([0-9.]+)", ran.stdout).group(1)


def pairs(world):
    """All that the installed parts can run; what is not installed was reported by then."""
    table = Table(world)
    groups = (table.tencent, table.container, table.process, table.huawei)
    present = os.environ["INTEROP_PRESENT"].split()
    return [pair for group in groups for pair in group() if pair.part in present]
