"""The official Tencent STS clients get credentials from the emulator, and are refused with the
cloud's own codes when they sign with the wrong key: the Python SDK's client and tccli."""

import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.parse

from tencentcloud.common.credential import Credential
from tencentcloud.common.exception.tencent_cloud_sdk_exception import TencentCloudSDKException
from tencentcloud.common.profile.client_profile import ClientProfile
from tencentcloud.common.profile.http_profile import HttpProfile
from tencentcloud.sts.v20180813 import models, sts_client

from harness import ACCOUNT, USER, Checks, emulator, equal

REGION = "ap-guangzhou"
POLICY = json.dumps(
    {
        "version": "2.0",
        "statement": [{"effect": "allow", "action": ["name/cos:GetObject"], "resource": ["*"]}],
    }
)


class Sdk:
    """The SDK's own STS client, pointed at the emulator."""

    def __init__(self, cloud):
        self.cloud = cloud

    def client(self, key_id=None, secret=None, token=None):
        http = HttpProfile(protocol="http", endpoint=self.cloud.address, reqTimeout=10)
        profile = ClientProfile(httpProfile=http, language="en-US")
        key_id, secret = key_id or self.cloud.key_id, secret or self.cloud.key_secret
        return sts_client.StsClient(Credential(key_id, secret, token), REGION, profile)

    def assume_role(self, role, client=None, **parameters):
        request = models.AssumeRoleRequest()
        request.RoleArn = self.cloud.role_arn(role)
        request.RoleSessionName = "interop"
        for name, value in parameters.items():
            setattr(request, name, value)
        return (client or self.client()).AssumeRole(request)

    def identity(self, credentials):
        client = self.client(credentials.TmpSecretId, credentials.TmpSecretKey, credentials.Token)
        return client.GetCallerIdentity(models.GetCallerIdentityRequest())


def refused(expected, call):
    """`call` must be refused by the service with this code."""
    try:
        call()
    except TencentCloudSDKException as error:
        equal(error.get_code(), expected, "the code")
        if not error.get_request_id():
            raise AssertionError("the refusal has no request id") from None
    else:
        raise AssertionError(f"it was accepted instead of refused with {expected}")


def near(expired_time, seconds):
    left = expired_time - time.time()
    if not seconds - 30 <= left <= seconds + 5:
        raise AssertionError(f"{left:.0f} s of life, expected about {seconds}")


def whole(credentials):
    for name in ("TmpSecretId", "TmpSecretKey", "Token"):
        if not getattr(credentials, name):
            raise AssertionError(f"{name} is missing")


def python_sdk(checks, cloud):
    sdk = Sdk(cloud)

    def long_lived_identity():
        answer = sdk.client().GetCallerIdentity(models.GetCallerIdentityRequest())
        equal((answer.AccountId, answer.UserId, answer.Type), (ACCOUNT, USER, "CAMUser"))
        equal(answer.Arn, f"qcs::cam:{ACCOUNT}:uin/{USER}")

    def assume_role():
        answer = sdk.assume_role("app", DurationSeconds=3600)
        whole(answer.Credentials)
        near(answer.ExpiredTime, 3600)
        identity = sdk.identity(answer.Credentials)
        equal((identity.AccountId, identity.Type), (ACCOUNT, "CAMRole"))
        equal(identity.UserId.split(":")[1], "interop", "the session name")
        equal(identity.PrincipalId, USER, "who asked for it")

    def with_everything():
        tag = models.Tag()
        tag.Key, tag.Value = "team", "\u8d22\u52a1"
        answer = sdk.assume_role(
            "partner",
            DurationSeconds=900,
            Policy=urllib.parse.quote(POLICY),
            ExternalId="example-external-id",
            Tags=[tag],
            SourceIdentity=USER,
        )
        near(answer.ExpiredTime, 900)

    def chained():
        first = sdk.assume_role("app").Credentials
        client = sdk.client(first.TmpSecretId, first.TmpSecretKey, first.Token)
        whole(sdk.assume_role("chained", client=client).Credentials)
        refused("UnauthorizedOperation", lambda: sdk.assume_role("chained"))

    def federation_token():
        request = models.GetFederationTokenRequest()
        request.Name, request.Policy = "interop", urllib.parse.quote(POLICY)
        answer = sdk.client().GetFederationToken(request)
        near(answer.ExpiredTime, 1800)
        equal(sdk.identity(answer.Credentials).UserId, f"{USER}:interop")

    def web_identity():
        token = cloud.control("web-identity-tokens", {"provider": "example-oidc"})["token"]
        parameters = {
            "ProviderId": "example-oidc",
            "WebIdentityToken": token,
            "RoleArn": cloud.role_arn("web"),
            "RoleSessionName": "interop",
            "DurationSeconds": 7200,
        }
        unsigned = {"SkipSign": True}
        client = sdk.client()
        call = lambda: client.call_json("AssumeRoleWithWebIdentity", parameters, options=unsigned)
        answer = call()["Response"]
        near(answer["ExpiredTime"], 7200)
        expired = cloud.control(
            "web-identity-tokens", {"provider": "example-oidc", "lifetime_seconds": 0}
        )
        parameters["WebIdentityToken"] = expired["token"]
        refused("InvalidParameter.WebIdentityTokenError", call)

    def saml():
        assertion = cloud.control("saml-assertions", {"provider": "example-saml", "role": "staff"})
        parameters = {
            "SAMLAssertion": assertion["assertion"],
            "PrincipalArn": f"qcs::cam::uin/{ACCOUNT}:saml-provider/example-saml",
            "RoleArn": cloud.role_arn("staff"),
            "RoleSessionName": "interop",
        }
        unsigned = {"SkipSign": True}
        client = sdk.client()
        call = lambda: client.call_json("AssumeRoleWithSAML", parameters, options=unsigned)
        near(call()["Response"]["ExpiredTime"], 7200)
        refused("InvalidParameter.ParamError", call)  # an assertion counts once

    def throttled():
        cloud.control("faults", [{"kind": "throttle", "action": "AssumeRole"}])
        refused("RequestLimitExceeded", lambda: sdk.assume_role("app"))
        whole(sdk.assume_role("app").Credentials)

    def wrong_secret():
        client = sdk.client(secret="wrong")
        refused("AuthFailure.SignatureFailure", lambda: sdk.assume_role("app", client=client))

    def unknown_id():
        client = sdk.client(key_id="AKIDunknown")
        refused("AuthFailure.SecretIdNotFound", lambda: sdk.assume_role("app", client=client))

    def wrong_token():
        keys = sdk.assume_role("app").Credentials
        client = sdk.client(keys.TmpSecretId, keys.TmpSecretKey, "wrong")
        refused("AuthFailure.TokenFailure", lambda: sdk.assume_role("chained", client=client))

    def raw_policy():
        code = "InvalidParameter.StrategyFormatError"
        refused(code, lambda: sdk.assume_role("app", Policy=POLICY))

    def too_long():
        code = "InvalidParameter.OverTimeError"
        refused(code, lambda: sdk.assume_role("short", DurationSeconds=3601))

    checks.check("python sdk: GetCallerIdentity with a long-lived key", long_lived_identity)
    checks.check("python sdk: AssumeRole, then GetCallerIdentity with what it got", assume_role)
    checks.check("python sdk: AssumeRole with every parameter", with_everything)
    checks.check("python sdk: AssumeRole signed with a role's credentials", chained)
    checks.check("python sdk: GetFederationToken", federation_token)
    checks.check("python sdk: AssumeRoleWithWebIdentity, and an expired token", web_identity)
    checks.check("python sdk: AssumeRoleWithSAML, and a replayed assertion", saml)
    checks.check("python sdk: throttled once, then answered", throttled)
    checks.check("python sdk: a wrong secret is refused", wrong_secret)
    checks.check("python sdk: an unknown key id is refused", unknown_id)
    checks.check("python sdk: a wrong token is refused", wrong_token)
    checks.check("python sdk: a policy that is not URL-encoded is refused", raw_policy)
    checks.check("python sdk: a session above the role's limit is refused", too_long)


def tccli(checks, cloud):
    program = os.path.join(os.path.dirname(sys.executable), "tccli")

    def call(home, action, *arguments, key_id=None, secret=None, token=None):
        """Standard output as JSON, or the error text as an exception."""
        signing = ["--secretId", key_id or cloud.key_id, "--secretKey", secret or cloud.key_secret]
        if token:
            signing += ["--token", token]
        line = [program, "sts", action, "--region", REGION, "--endpoint", cloud.url, *signing]
        environment = {"HOME": home, "PATH": os.environ["PATH"], "LANG": "C.UTF-8"}
        ran = subprocess.run(
            [*line, *arguments], env=environment, capture_output=True, text=True, timeout=60
        )
        if ran.returncode != 0:
            raise RuntimeError(ran.stdout + ran.stderr)
        return json.loads(ran.stdout)

    def turned_away(code, *arguments, **keys):
        try:
            call(*arguments, **keys)
        except RuntimeError as error:
            if code not in str(error):
                raise
        else:
            raise AssertionError(f"it was accepted instead of refused with {code}")

    with tempfile.TemporaryDirectory() as home:
        role = ["--RoleArn", cloud.role_arn("app"), "--RoleSessionName", "interop"]

        def assume_role():
            answer = call(home, "AssumeRole", *role, "--DurationSeconds", "3600")
            near(answer["ExpiredTime"], 3600)
            keys = answer["Credentials"]
            identity = call(
                home,
                "GetCallerIdentity",
                key_id=keys["TmpSecretId"],
                secret=keys["TmpSecretKey"],
                token=keys["Token"],
            )
            equal((identity["AccountId"], identity["Type"]), (ACCOUNT, "CAMRole"))

        def federation_token():
            policy = urllib.parse.quote(POLICY)
            answer = call(home, "GetFederationToken", "--Name", "interop", "--Policy", policy)
            near(answer["ExpiredTime"], 1800)

        def web_identity():
            made = cloud.control("web-identity-tokens", {"provider": "example-oidc"})
            answer = call(
                home,
                "AssumeRoleWithWebIdentity",
                *["--ProviderId", "example-oidc", "--WebIdentityToken", made["token"]],
                *["--RoleArn", cloud.role_arn("web"), "--RoleSessionName", "interop"],
                *["--DurationSeconds", "7200"],
            )
            near(answer["ExpiredTime"], 7200)

        def saml():
            made = cloud.control("saml-assertions", {"provider": "example-saml", "role": "staff"})
            answer = call(
                home,
                "AssumeRoleWithSAML",
                *["--SAMLAssertion", made["assertion"]],
                *["--PrincipalArn", f"qcs::cam::uin/{ACCOUNT}:saml-provider/example-saml"],
                *["--RoleArn", cloud.role_arn("staff"), "--RoleSessionName", "interop"],
            )
            near(answer["ExpiredTime"], 7200)

        def wrong_secret():
            code = "AuthFailure.SignatureFailure"
            turned_away(code, home, "AssumeRole", *role, secret="wrong")

        def unknown_id():
            code = "AuthFailure.SecretIdNotFound"
            turned_away(code, home, "AssumeRole", *role, key_id="AKIDunknown")

        checks.check("tccli: AssumeRole, then GetCallerIdentity with what it got", assume_role)
        checks.check("tccli: GetFederationToken", federation_token)
        checks.check("tccli: AssumeRoleWithWebIdentity", web_identity)
        checks.check("tccli: AssumeRoleWithSAML", saml)
        checks.check("tccli: a wrong secret is refused", wrong_secret)
        checks.check("tccli: an unknown key id is refused", unknown_id)


def main():
    checks = Checks()
    with emulator() as cloud:
        python_sdk(checks, cloud)
        tccli(checks, cloud)
    return checks.finish()


if __name__ == "__main__":
    sys.exit(main())
