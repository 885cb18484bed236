"""Signing in, with the clouds' own clients on both sides.

Against the emulator's portals, to keep those honest: Huawei's SDK clients of the Identity Center
OIDC and portal services, and `tccli sso`, which finds its gateway in a namespace of its own
(see `tencent_login.py`). Both are unmodified.

Against the daemon: one approval, five roles of three accounts, each served to the Huawei SDK's
container provider and rotated twice; and the session that `tccli` left, adopted."""

import contextlib
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

from huaweicloudsdkcore.auth.credentials import BasicCredentials
from huaweicloudsdkcore.auth.provider import PodIdentityCredentialProvider
from huaweicloudsdkcore.exceptions.exceptions import ClientRequestException
from huaweicloudsdkidentitycenteroidc import v1 as oidc
from huaweicloudsdkidentitycenterportalapi import v1 as portal
from huaweicloudsdksts.v1 import GetCallerIdentityRequest, StsClient

import tencent_login
from gateway import gateway
from harness import CREDVEND, Checks, emulator, equal, free_port, wait_until
from world import enter_namespaces

PROJECT = "00000000000000000000000000000001"
DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
TEAMS = {
    "team-a": "0a1b2c3d4e5f60718293a4b5c6d7e8f0",
    "team-b": "1a1b2c3d4e5f60718293a4b5c6d7e8f1",
    "team-c": "2a1b2c3d4e5f60718293a4b5c6d7e8f2",
}
ROLES = {
    "a-read": ("team-a", "read-only"),
    "a-admin": ("team-a", "admin"),
    "b-read": ("team-b", "read-only"),
    "b-admin": ("team-b", "admin"),
    "c-read": ("team-c", "read-only"),
}


class Unneeded(BasicCredentials):
    """These two services look at no signature, but the SDK wants to make one, with a class of a
    name that the Python packages do not ship."""

    def __init__(self):
        super().__init__("none", "none", PROJECT)


class IdentityCenterOIDCCredentials(Unneeded):
    pass


class IdentityCenterPortalAPICredentials(Unneeded):
    pass


def client(of, credentials, cloud):
    return of.new_builder().with_credentials(credentials).with_endpoint(cloud.url).build()


def approve(cloud, shown):
    cloud.control("sign-ins", {"shown": shown, "decision": "approve"})


def huawei_sdk(cloud):
    """The whole flow by the official clients."""
    signing_in = client(oidc.IdentityCenterOIDCClient, IdentityCenterOIDCCredentials(), cloud)
    registered = signing_in.register_client(
        oidc.RegisterClientRequest(
            body=oidc.RegisterClientReqBody(
                client_name="interop",
                client_type="public",
                token_endpoint_auth_method="client_secret_post",
                grant_types=[DEVICE_GRANT],
                response_types=["code"],
                scopes=["openid"],
            )
        )
    ).client_info
    who = {"client_id": registered.client_id, "client_secret": registered.client_secret}
    begun = signing_in.start_device_authorization(
        oidc.StartDeviceAuthorizationRequest(
            body=oidc.StartDeviceAuthorizationReqBody(start_url=f"{cloud.url}/portal/start", **who)
        )
    )
    ask = oidc.CreateTokenRequest(
        body=oidc.CreateTokenReqBody(
            grant_type=DEVICE_GRANT, device_code=begun.device_code, **who
        )
    )
    try:
        signing_in.create_token(ask)
    except ClientRequestException as error:
        equal(error.error_msg, "authorization_pending", "the word before the approval")
    else:
        raise AssertionError("a token without an approval")
    approve(cloud, begun.user_code)
    time.sleep(begun.interval)
    token = signing_in.create_token(ask).token_info.access_token

    behind = client(portal.IdentityCenterPortalAPIClient, IdentityCenterPortalAPICredentials(), cloud)
    accounts = behind.list_accounts(portal.ListAccountsRequest(access_token=token)).account_list
    equal({it.account_name: it.account_id for it in accounts}, TEAMS, "the accounts")
    agencies = behind.list_account_agencies(
        portal.ListAccountAgenciesRequest(access_token=token, account_id=TEAMS["team-c"])
    ).agency_list
    equal([it.permission_set_name for it in agencies], ["read-only"], "the permission sets")
    keys = behind.get_agency_credentials(
        portal.GetAgencyCredentialsRequest(
            access_token=token,
            target_account_id=TEAMS["team-c"],
            agency_urn=agencies[0].agency_urn,
        )
    ).agency_credentials
    credentials = BasicCredentials(keys.access_key_id, keys.secret_access_key, PROJECT)
    whose = identity(cloud, credentials.with_security_token(keys.session_token))
    equal(whose, TEAMS["team-c"], "the account of the keys")
    behind.logout(portal.LogoutRequest(access_token=token))
    try:
        behind.list_accounts(portal.ListAccountsRequest(access_token=token))
    except ClientRequestException as error:
        equal(error.status_code, 403, "the status after the logout")
    else:
        raise AssertionError("the token is good after the logout")


def identity(cloud, credentials):
    return caller(sts_client(cloud, credentials))


def sts_client(cloud, credentials):
    return StsClient.new_builder().with_credentials(credentials).with_endpoint(cloud.url).build()


def caller(client):
    return client.get_caller_identity(GetCallerIdentityRequest()).account_id


class Daemon:
    """`credvend run` with both logins."""

    def __init__(self, directory, cloud, profile):
        self.directory = pathlib.Path(directory)
        self.tasks = f"127.0.0.1:{free_port()}"
        self.token = self.directory / "tasks.token"
        roles = "".join(
            f"""
[role.{name}.provider.huawei-identity-center]
login = "corp"
account-id = "{TEAMS[team]}"
permission-set = "{permission_set}"
endpoint = "{cloud.url}"
"""
            for name, (team, permission_set) in ROLES.items()
        )
        names = ", ".join(f'"{name}"' for name in ROLES)
        self.config = self.directory / "config.toml"
        self.config.write_text(
            f"""
[daemon]
state-directory = "{directory}/state"
[admin]
socket = "{directory}/admin.sock"
[login.corp.huawei-identity-center]
start-url = "{cloud.url}/portal/start"
region = "cn-north-4"
oidc-endpoint = "{cloud.url}"
portal-endpoint = "{cloud.url}"
[login.corp-tx.tencent-identity-center]
portal-url = "{cloud.url}/portal/example/login"
gateway-endpoint = "{cloud.url}"
adopt-tccli-profile = "{profile}"
state = "memory"
{roles}
[role.tx.provider.tencent-identity-center]
login = "corp-tx"
account-id = "100000000001"
permission-set = "read-only"
endpoint = "{cloud.url}"
[listener.tasks]
address = "{self.tasks}"
protocols = ["huawei-container", "native"]
roles = [{names}]
token = "file:{self.token}"
allow = "any-local"
[listener.local]
address = "unix:{directory}/app.sock"
protocols = ["native"]
roles = [{names}, "tx"]
"""
        )

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

    def wait(self, *roles):
        for role in roles:
            self.command("wait", role, "--min-remaining", "1s", "--timeout", "30s")


@contextlib.contextmanager
def running(cloud, profile):
    with tempfile.TemporaryDirectory(prefix="credvend-login-") as directory:
        daemon = Daemon(directory, cloud, profile)
        log = daemon.directory / "daemon.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [CREDVEND, "--config", str(daemon.config), "run"],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        try:
            wait_until(daemon.token.exists, "the listener", 20)
            yield daemon
        except Exception:
            print(log.read_text(errors="replace")[-3000:], flush=True)
            raise
        finally:
            process.terminate()
            process.wait(timeout=20)


def sign_in(cloud, daemon):
    """One approval, as a person would give it."""
    process = subprocess.Popen(
        [CREDVEND, "--config", str(daemon.config), "login", "corp"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        said = ""
        while "shows this code" not in said:
            line = process.stderr.readline()
            if not line:
                raise RuntimeError(f"credvend login ended: {said}")
            said += line
        approve(cloud, re.search(r"this code: (\w+)", said).group(1))
        out, _ = process.communicate(timeout=30)
        equal(process.returncode, 0, "the exit code of login")
        if "signed in to corp until" not in out:
            raise AssertionError(out)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    daemon.wait(*ROLES)


def five_roles(cloud, daemon):
    """Each role by one client of the SDK, made once and told of no rotation."""
    held = {}
    for name in ROLES:
        os.environ["HC_CONTAINER_CREDENTIALS_FULL_URI"] = (
            f"http://{daemon.tasks}/huawei/container/{name}"
        )
        os.environ["HC_CONTAINER_AUTHORIZATION_TOKEN_FILE"] = str(daemon.token)
        provider = PodIdentityCredentialProvider.get_basic()
        credentials = provider.get_credentials().with_project_id(PROJECT)
        held[name] = credentials, sts_client(cloud, credentials)
    seen = {name: [] for name in ROLES}

    def use():
        for name, (team, _) in ROLES.items():
            credentials, client_of_role = held[name]
            equal(caller(client_of_role), TEAMS[team], f"the account of {name}")
            seen[name].append(credentials.ak)

    use()
    for _ in range(2):
        time.sleep(10.5)  # the daemon takes one in 10 s for a role
        daemon.command("refresh", *ROLES)
        use()
    for name, keys in seen.items():
        equal(len(set(keys)), 3, f"the number of keys {name} was used with")


def tencent(checks, cloud, homes, authority):
    """`tccli`, three times; the profile that is to be adopted."""
    adopted, chosen, stranger = (
        tencent_login.Tccli(cloud, homes / name, trusted)
        for name, trusted in (("adopted", authority), ("chosen", authority), ("stranger", None))
    )
    for name in ("adopted", "chosen", "stranger"):
        (homes / name).mkdir(mode=0o700)
    for name, claim in (
        ("login", lambda: tencent_login.log_in(adopted)),
        ("login, its lists of accounts and roles, logout", lambda: tencent_login.list_and_choose(chosen)),
        ("login without the authority is refused", lambda: tencent_login.refuse_strangers(stranger)),
    ):
        checks.check(f"tccli sso {name}", claim)
    return adopted.profile


def main():
    checks = Checks()
    impossible = enter_namespaces()
    if impossible is None and shutil.which("openssl") is None:
        impossible = "openssl is not installed"
    if impossible is not None:
        checks.leave_out("signing in", impossible)
        return checks.finish()
    with contextlib.ExitStack() as stack:
        cloud = stack.enter_context(emulator())
        homes = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="credvend-tccli-")))
        authority = stack.enter_context(gateway(cloud))
        checks.check("Huawei's Identity Center clients sign in", lambda: huawei_sdk(cloud))
        profile = tencent(checks, cloud, homes, authority)
        before = profile.read_bytes()
        # Below forty minutes of life the SDK asks again at each call.
        cloud.control("portal", {"keys_seconds": 1800})
        with running(cloud, profile) as daemon:
            checks.check("one approval brings five roles of three accounts", lambda: sign_in(cloud, daemon))
            checks.check("one SDK client a role goes through two rotations", lambda: five_roles(cloud, daemon))
            checks.check("the session of tccli is adopted", lambda: daemon.wait("tx"))
        checks.check("and its profile left as it was", lambda: equal(profile.read_bytes(), before))
    return checks.finish()


if __name__ == "__main__":
    sys.exit(main())
