"""Huawei's own clients, unmodified, against the daemon: the metadata provider of the Python SDK and
of the object storage client at their compiled-in address, the same through `http_proxy`, the
container provider, and an S3 client with the same keys. Each goes on after a refresh and a restart
of the daemon without being told; what they got signs a call to the emulated cloud."""

import contextlib
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import botocore.session
from huaweicloudsdkcore.auth.credentials import BasicCredentials
from huaweicloudsdkcore.auth.provider import MetadataCredentialProvider, PodIdentityCredentialProvider
from huaweicloudsdksts.v1 import GetCallerIdentityRequest, StsClient
from obs.loadtoken import ECS

from harness import CREDVEND, Checks, emulator, equal, request
from world import enter_namespaces

ACCOUNT = "0123456789abcdef0123456789abcdef"
PROJECT = "00000000000000000000000000000001"
TASKS = "127.0.0.1:9472"
PROXY = "http://127.0.0.1:9480"


class Daemon:
    """`credvend run` with a Huawei role and a Tencent role side by side."""

    def __init__(self, directory, cloud):
        self.directory = pathlib.Path(directory)
        self.process = None
        self.renewed = time.monotonic() - 60
        self.token = self.directory / "tasks.token"
        key = cloud.control("keys", {"cloud": "huawei"})
        for name, text in (
            ("hw-id", key["id"]),
            ("hw-secret", key["secret"]),
            ("tx-id", cloud.key_id),
            ("tx-secret", cloud.key_secret),
        ):
            path = self.directory / name
            path.touch(mode=0o600)
            path.write_text(text)
        self.config = self.directory / "config.toml"
        self.config.write_text(
            f"""
[daemon]
state-directory = "{directory}"
[admin]
socket = "{directory}/admin.sock"
[key.hw]
cloud = "huawei"
id = "file:{directory}/hw-id"
secret = "file:{directory}/hw-secret"
[key.tx]
cloud = "tencent"
id = "file:{directory}/tx-id"
secret = "file:{directory}/tx-secret"
[role.app]
expected-account = "{ACCOUNT}"
[role.app.provider.huawei-assume-agency]
source = "hw"
agency-urn = "iam::{ACCOUNT}:agency:app"
endpoint = "{cloud.url}"
duration = "15m"
[role.next.provider.huawei-assume-agency]
source = "app"
agency-urn = "iam::{ACCOUNT}:agency:chained"
endpoint = "{cloud.url}"
duration = "15m"
[role.tencent.provider.tencent-assume-role]
source = "tx"
role-arn = "{cloud.role_arn("app")}"
endpoint = "{cloud.url}"
[listener.instance]
address = "169.254.169.254:80"
roles = ["app"]
allow = "any-local"
[listener.proxied]
address = "{PROXY.removeprefix('http://')}"
roles = ["app"]
allow = "any-local"
[listener.tasks]
address = "{TASKS}"
protocols = ["huawei-container", "aws-container", "native"]
roles = ["app", "next"]
token = "file:{self.token}"
allow = "any-local"
[listener.local]
address = "unix:{directory}/app.sock"
protocols = ["native"]
roles = ["app", "next", "tencent"]
"""
        )

    def start(self):
        with open(self.directory / "daemon.log", "ab") as log:
            self.process = subprocess.Popen(
                [CREDVEND, "--config", str(self.config), "run"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        for role in ("app", "next", "tencent"):
            self.command("wait", role, "--min-remaining", "1s", "--timeout", "20s")

    def stop(self):
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(timeout=20)

    def command(self, *arguments):
        ran = subprocess.run(
            [CREDVEND, "--config", str(self.config), *arguments],
            capture_output=True,
            text=True,
            timeout=60,
        )
        if ran.returncode != 0:
            raise RuntimeError(f"credvend {' '.join(arguments)}: {ran.stderr.strip()}")
        return ran.stdout

    def served(self, role="app"):
        """Key id, secret and token that are served now."""
        body = json.loads(self.command("get", role, "--format", "huawei"))["credential"]
        return body["access"], body["secret"], body["securitytoken"]

    def renew(self):
        """Another set, or the role would have proven nothing."""
        before = self.served()
        # The daemon takes one in 10 s for a role.
        time.sleep(max(0, self.renewed + 10.5 - time.monotonic()))
        self.command("refresh", "app")
        self.renewed = time.monotonic()
        if self.served() == before:
            raise RuntimeError("the refresh brought no other set")


@contextlib.contextmanager
def environment(**variables):
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextlib.contextmanager
def running(cloud):
    with tempfile.TemporaryDirectory(prefix="credvend-huawei-") as directory:
        daemon = Daemon(directory, cloud)
        try:
            daemon.start()
            yield daemon
        except Exception:
            log = daemon.directory / "daemon.log"
            print(log.read_text(errors="replace")[-3000:], flush=True)
            raise
        finally:
            daemon.stop()


def identity(cloud, credentials):
    """A call signed by the SDK, which renews its keys first if they end within 40 minutes."""
    builder = StsClient.new_builder().with_credentials(credentials).with_endpoint(cloud.url)
    return builder.build().get_caller_identity(GetCallerIdentityRequest())


def main():
    checks = Checks()
    why = enter_namespaces()
    if why:
        checks.leave_out("Huawei clients", why)
        return checks.finish()
    with emulator() as cloud, running(cloud) as daemon:
        run(checks, cloud, daemon)
    return checks.finish()


def run(checks, cloud, daemon):
    def used(credentials):
        """What the SDK signs with after one call of its own."""
        answer = identity(cloud, credentials)
        equal(answer.account_id, ACCOUNT, "the account")
        return credentials.ak, credentials.sk, credentials.security_token

    def goes_on(credentials):
        equal(used(credentials), daemon.served(), "the keys")
        daemon.renew()
        equal(used(credentials), daemon.served(), "the keys after a refresh")

    def metadata():
        provider = MetadataCredentialProvider.get_basic_credential_metadata_provider()
        credentials = provider.get_credentials().with_project_id(PROJECT)
        goes_on(credentials)
        # Without a descriptor store the restart has another key for its tokens: the SDK's token
        # is refused, and it gets a new one by itself.
        daemon.stop()
        daemon.start()
        equal(used(credentials), daemon.served(), "the keys after a restart")

    def through_a_proxy():
        with environment(http_proxy=PROXY, no_proxy="127.0.0.1"):
            provider = MetadataCredentialProvider.get_basic_credential_metadata_provider()
            goes_on(provider.get_credentials().with_project_id(PROJECT))

    def container():
        variables = {
            "HC_CONTAINER_CREDENTIALS_FULL_URI": f"http://{TASKS}/huawei/container/app",
            "HC_CONTAINER_AUTHORIZATION_TOKEN_FILE": str(daemon.token),
        }
        with environment(**variables):
            provider = PodIdentityCredentialProvider.get_basic()
            goes_on(provider.get_credentials().with_project_id(PROJECT))

    def object_storage():
        found = ECS.search()
        keys = found["accessKey"], found["secretKey"], found["securityToken"]
        equal(keys, daemon.served(), "the keys")

    def s3_client():
        variables = {
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"http://{TASKS}/aws/container/app",
            "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": str(daemon.token),
        }
        with environment(**variables):
            frozen = botocore.session.Session().get_credentials().get_frozen_credentials()
        equal((frozen.access_key, frozen.secret_key, frozen.token), daemon.served(), "the keys")

    def chained_role():
        ak, sk, token = daemon.served("next")
        credentials = BasicCredentials(ak, sk).with_project_id(PROJECT)
        answer = identity(cloud, credentials.with_security_token(token))
        equal(answer.principal_urn.split(":")[4].split("/")[0], "chained", "the agency")

    def whoami():
        said = daemon.command("whoami", "app")
        if ACCOUNT not in said or "assumed-agency" not in said:
            raise AssertionError(f"it says {said!r}")

    def other_cloud_beside_it():
        said = json.loads(daemon.command("get", "tencent"))
        equal(said["cloud"], "tencent")

    def wrong_token():
        status, body = request(f"http://{TASKS}/huawei/container/app", {})
        equal(status, 401, "the status without a token")
        if b"accessKeyId" in body:
            raise AssertionError("keys were handed out")

    for name, claim in (
        ("Python SDK, metadata", metadata),
        ("Python SDK, metadata through http_proxy", through_a_proxy),
        ("Python SDK, container", container),
        ("Python SDK, container without its token", wrong_token),
        ("OBS Python, metadata", object_storage),
        ("botocore, aws-container, for S3 clients of OBS", s3_client),
        ("Python SDK, keys of a chained role", chained_role),
        ("credvend whoami", whoami),
        ("a Tencent role in the same daemon", other_cloud_beside_it),
    ):
        checks.check(f"Huawei: {name}", claim)


if __name__ == "__main__":
    sys.exit(main())
