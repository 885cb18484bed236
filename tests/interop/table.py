"""The table of pairs: which client, by which protocol, at which address or by which variable."""

import os
import re
import subprocess

from harness import CREDVEND
from pairs import CACHE, REGION, SCRIPTS, Maker
from pairs import crate, go, java, maven, module, node, npm, pip, python, rust
from world import LISTENERS, RELAY, TASKS


class Table(Maker):
    """One method per family of protocols."""

    def tencent(self):
        """By the compiled-in name, and through a proxy variable."""
        sdk, protocol, way = "tencentcloud-sdk", "tencent", "metadata.tencentyun.com"
        by_proxy, address = "http_proxy", LISTENERS["proxy"][0]
        version = pip("tencentcloud-sdk-python-common")
        for way_in, variables in ((way, {}), (by_proxy, proxy(address))):
            command = python("tencent-metadata")
            yield self.lasting(
                f"{sdk}-python", version, protocol, way_in, command, variables, signs=True
            )
        for way_in, variables, java_way_in, properties in (
            (way, {}, way, {}),
            (by_proxy, proxy(address), "http.proxyHost", java_proxy(address)),
        ):
            version, command = module("tencentcloud-sdk-go/tencentcloud/common"), "tencent-metadata"
            yield self.lasting(f"{sdk}-go", version, protocol, way_in, go(command), variables)
            version = maven("tencentcloud-sdk-java")
            yield self.lasting(
                f"{sdk}-java", version, protocol, java_way_in, java(command), properties
            )
            version, command = module("cos-go-sdk-v5"), "cos-metadata"
            yield self.lasting("cos-go-sdk-v5", version, protocol, way_in, go(command), variables)
            version = maven("cos_api")
            yield self.lasting(
                "cos_api (Java)", version, protocol, java_way_in, java(command), properties
            )
        yield self.lasting("cos_api (Java)", version, protocol, "EMR slot", java("cos-emr"))
        version = npm("tencentcloud-sdk-nodejs-common")
        yield self.lasting(f"{sdk}-nodejs", version, protocol, way, node("tencent-metadata"))
        yield self.lasting("line parser as in cosfs", "-", protocol, way, python("cosfs-lines"))

        by_role = lambda address: tccli(address, "--use-cvm-role")
        version = pip("tccli")
        yield self.per_command("tccli", version, protocol, "--use-cvm-role", by_role)
        yield self.per_command("tccli", version, protocol, by_proxy, by_role, proxy(address))

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
        yield self.lasting(
            "minio-py", pip("minio"), protocol, file, python("minio-iam"), brief, **short
        )
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
        name, version = "aws-sdk-rust", crate("aws-config")
        yield self.lasting(name, version, protocol, file, rust(), brief, **short, witnessed=True)
        yield self.per_command("awscli", pip("awscli"), protocol, file, awscli, app)
        yield self.per_command("rclone", rclone_version(), protocol, value, rclone, variables)

        relative = {"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/aws/container/app"}
        way, version = "169.254.170.2", pip("boto3")
        yield self.lasting("boto3", version, protocol, way, python("boto3"), relative | by_file)
        name, version = "AWS JS v3 fromContainerMetadata", npm("@smithy/credential-provider-imds")
        variables = relative | by_value
        yield self.lasting(name, version, protocol, way, node("aws-container"), variables)
        version = maven("minio")
        brief = {"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/aws/container/brief"} | by_value
        yield self.lasting("minio-java", version, protocol, way, java("minio-iam"), brief, **short)

    def instance(self):
        """AWS's metadata address; clients that need long sets find them at other ones."""
        protocol, way, brief = "aws-imds", "169.254.169.254", {"role": "brief"}
        yield self.lasting("minio-py", pip("minio"), protocol, way, python("minio-iam"), **brief)
        version = module("aws-sdk-go-v2")
        yield self.lasting("aws-sdk-go-v2", version, protocol, way, go("aws"), REGION, **brief)
        version = module("minio-go/v7")
        yield self.lasting("minio-go", version, protocol, way, go("minio-iam"), **brief)
        name, version = "AWS JS v3 fromInstanceMetadata", npm("@smithy/credential-provider-imds")
        yield self.lasting(name, version, protocol, way, node("aws-instance"), **brief)
        version = maven("auth")
        yield self.lasting("AWS Java v2", version, protocol, way, java("aws2-instance"), **brief)
        name, version = "aws-sdk-rust", crate("aws-config")
        yield self.lasting(name, version, protocol, way, rust(), REGION, **brief, witnessed=True)
        version = maven("minio")
        yield self.lasting("minio-java", version, protocol, way, java("minio-iam"), **brief)
        yield self.per_command("awscli", pip("awscli"), protocol, way, awscli, **brief)
        yield self.per_command("s3cmd", pip("s3cmd"), protocol, way, s3cmd, **brief)
        yield self.per_command("rclone", rclone_version(), protocol, way, rclone, **brief)
        way = "endpoint property"
        override = "-Dcom.amazonaws.sdk.ec2MetadataServiceEndpointOverride=http://127.0.0.1:9473"
        variables = {"JAVA_TOOL_OPTIONS": override}
        steady, version = {"role": "steady"}, maven("aws-java-sdk-core")
        yield self.lasting(
            "AWS Java v1", version, protocol, way, java("aws1-instance"), variables, **steady
        )
        way, hour = "endpoint variable", {"role": "hour"}
        variables = {"AWS_EC2_METADATA_SERVICE_ENDPOINT": "http://127.0.0.1:9474/"}
        yield self.lasting(
            "boto3", pip("boto3"), protocol, way, python("boto3-later"), variables, **hour
        )

    def alibaba(self):
        """The metadata address, and the URI with the listener's token in its path."""
        token = self.world.daemon.token.read_text()
        uri = {"ALIBABA_CLOUD_CREDENTIALS_URI": f"{TASKS}/alibaba/credentials/{token}/app"}
        for way, kind, variables in (
            ("100.100.100.200", "alibaba-metadata", {}),
            ("credentials URI", "alibaba-uri", uri),
        ):
            for client, version, command in (
                (
                    "alibabacloud_credentials (Python)",
                    pip("alibabacloud_credentials"),
                    python(kind),
                ),
                ("@alicloud/credentials (Node)", npm("@alicloud/credentials"), node(kind)),
                ("credentials-go (Alibaba)", module("aliyun/credentials-go"), go(kind)),
                ("credentials-java (Alibaba)", maven("credentials-java"), java(kind)),
            ):
                yield self.lasting(client, version, "alibaba", way, command, variables)

    def process(self):
        """`credential_process`, with the daemon's own command."""
        protocol, way = "process", "credential_process"

        def profile(role):
            line = f"{CREDVEND} --config {self.world.daemon.config} get {role} --format process"
            return [
                (".aws/config", f"[default]\nregion = us-east-1\ncredential_process = {line}\n")
            ]

        app, brief = profile("app"), profile("brief")
        yield self.lasting("boto3", pip("boto3"), protocol, way, python("boto3"), files=app)
        version = module("aws-sdk-go-v2")
        yield self.lasting(
            "aws-sdk-go-v2", version, protocol, way, go("aws"), files=brief, role="brief"
        )
        yield self.per_command("awscli", pip("awscli"), protocol, way, awscli, files=app)

    def files(self):
        """Files that the daemon keeps up to date, and a shell that evaluates what it prints."""
        home = self.world.daemon.home
        at_home = {"HOME": str(home)}
        version, protocol = pip("tccli"), "sink"
        yield self.per_command("tccli", version, protocol, "tccli-profile", tccli, at_home)
        yield self.per_command(
            "awscli", pip("awscli"), protocol, "aws-credentials", awscli, at_home
        )

        def shell(script):
            def command(address):
                line, more = tccli(address)
                return ["sh", "-c", f'{script}; exec "$@"', "sh", *line], more

            return command

        unit = shell(f"set -a; . {home}/app.env")
        yield self.per_command("tccli", version, protocol, "env-file", unit)
        get = f"{CREDVEND} --config {self.world.daemon.config} get app --format env"
        evaluated = shell(f'set -a; eval "$({get})"')
        yield self.per_command("tccli", version, "command", "get --format env", evaluated)

    def huawei(self):
        """The metadata address, and the container pair of variables."""
        protocol, way, brief = "huawei", "169.254.169.254", {"role": "brief"}
        sdk, obs = "huaweicloud-sdk", "esdk-obs"
        python_version, go_version = pip("huaweicloudsdkcore"), module("huaweicloud-sdk-go-v3")
        yield self.lasting(
            f"{sdk}-python", python_version, protocol, way, python("huawei-metadata"), **brief
        )
        yield self.lasting(f"{sdk}-go", go_version, protocol, way, go("huawei-metadata"), **brief)
        version = maven("huaweicloud-sdk-core")
        yield self.lasting(f"{sdk}-java", version, protocol, way, java("huawei-metadata"), **brief)
        version = pip("esdk-obs-python")
        witnessed = {"witnessed": True, "role": "brief"}
        yield self.lasting(
            f"{obs}-python", version, protocol, way, python("obs-metadata"), **witnessed
        )
        version = module("huaweicloud-sdk-go-obs").removesuffix("+incompatible")
        yield self.lasting(f"{obs}-go", version, protocol, way, go("obs-metadata"), **witnessed)
        version = maven("esdk-obs-java")
        yield self.lasting(f"{obs}-java", version, protocol, way, java("obs-metadata"), **brief)
        protocol, way = "huawei-container", "token file"
        variables = {
            "HC_CONTAINER_CREDENTIALS_FULL_URI": f"{TASKS}/huawei/container/app",
            "HC_CONTAINER_AUTHORIZATION_TOKEN_FILE": str(self.world.daemon.token),
        }
        kind = "huawei-container"
        yield self.lasting(f"{sdk}-python", python_version, protocol, way, python(kind), variables)
        yield self.lasting(f"{sdk}-go", go_version, protocol, way, go(kind), variables)

    def huawei_by_proxy(self):
        """Through a proxy variable; and with a relay as proxy that has no path for tokens."""
        sdk, kind, brief = "huaweicloud-sdk", "huawei-metadata", {"role": "brief"}
        for address, more in (
            (LISTENERS["proxy-huawei"][0], ""),
            (RELAY, " to a relay, v1"),
        ):
            for client, version, way, command, variables in (
                ("python", pip("huaweicloudsdkcore"), "http_proxy", python(kind), proxy(address)),
                ("go", module("huaweicloud-sdk-go-v3"), "http_proxy", go(kind), proxy(address)),
                (
                    "java",
                    maven("huaweicloud-sdk-core"),
                    "http.proxyHost",
                    java(kind),
                    java_proxy(address),
                ),
            ):
                name = f"{sdk}-{client}"
                yield self.lasting(name, version, "huawei", way + more, command, variables, **brief)


def proxy(address):
    return {"http_proxy": f"http://{address}", "no_proxy": "127.0.0.1"}


def java_proxy(address):
    """Java reads properties where others read variables."""
    host, port = address.rsplit(":", 1)
    return {"JAVA_TOOL_OPTIONS": f"-Dhttp.proxyHost={host} -Dhttp.proxyPort={port}"}


def tccli(address, *more):
    line = [str(SCRIPTS / "tccli"), "sts", "GetCallerIdentity", "--region", "ap-guangzhou"]
    return [*line, "--endpoint", f"http://{address}", *more], {}


def awscli(address):
    line = [str(SCRIPTS / "aws"), "s3api", "list-buckets", "--region", "us-east-1"]
    return [*line, "--endpoint-url", f"http://{address}"], {}


def s3cmd(address):
    line = [str(SCRIPTS / "s3cmd"), "--no-ssl", f"--host={address}", f"--host-bucket={address}"]
    return [*line, "--region=us-east-1", "ls"], {}


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
    """All of them, whether their part is installed or not."""
    table = Table(world)
    groups = (table.tencent, table.container, table.instance, table.process, table.files)
    groups += (table.huawei, table.huawei_by_proxy, table.alibaba)
    return [pair for group in groups for pair in group()]


def installed(found):
    """Those that can run here; what is not installed was reported by then."""
    present = os.environ["INTEROP_PRESENT"].split()
    return [pair for pair in found if pair.part in present]
