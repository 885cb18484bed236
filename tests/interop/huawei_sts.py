"""The official Huawei clients of STS and IAM (Python SDK) get credentials from the emulator, and
are refused with the cloud's own codes when they sign with the wrong key."""

import datetime
import json
import sys

from huaweicloudsdkcore.auth.credentials import BasicCredentials, DerivedCredentials, GlobalCredentials
from huaweicloudsdkcore.exceptions.exceptions import ClientRequestException
from huaweicloudsdkiam.v3 import (
    AgencyAuth,
    AgencyAuthIdentity,
    AssumeroleSessionuser,
    CreateTemporaryAccessKeyByAgencyRequest,
    CreateTemporaryAccessKeyByAgencyRequestBody,
    IamClient,
    IdentityAssumerole,
)
from huaweicloudsdksts.v1 import (
    AssumeAgencyReqBody,
    AssumeAgencyRequest,
    AssumeAgencyWithOIDCReqBody,
    AssumeAgencyWithOIDCRequest,
    AssumeAgencyWithSAMLReqBody,
    AssumeAgencyWithSAMLRequest,
    GetCallerIdentityRequest,
    StsClient,
    TagDto,
)

from harness import Checks, emulator, equal

ACCOUNT = "0123456789abcdef0123456789abcdef"
PROJECT = "00000000000000000000000000000001"
USER = "fedcba9876543210fedcba9876543210"
POLICY = json.dumps(
    {"Version": "5.0", "Statement": [{"Effect": "Allow", "Action": ["obs:object:get"]}]}
)


def urn(kind, name):
    return f"iam::{ACCOUNT}:{kind}:{name}"


class Sdk:
    """The SDK's own clients, pointed at the emulator."""

    def __init__(self, cloud):
        self.cloud = cloud
        key = cloud.control("keys", {"cloud": "huawei"})
        self.ak, self.sk = key["id"], key["secret"]

    def credentials(self, kind, ak=None, sk=None, token=None):
        credentials = kind(ak or self.ak, sk or self.sk)
        return credentials.with_security_token(token) if token else credentials

    def sts(self, **keys):
        return self.with_sts(self.credentials(BasicCredentials, **keys).with_project_id(PROJECT))

    def with_sts(self, credentials):
        builder = StsClient.new_builder().with_credentials(credentials)
        return builder.with_endpoint(self.cloud.url).build()

    def iam(self, **keys):
        credentials = self.credentials(GlobalCredentials, **keys).with_domain_id(ACCOUNT)
        builder = IamClient.new_builder().with_credentials(credentials)
        return builder.with_endpoint(self.cloud.url).build()

    def assume(self, agency, client=None, **parameters):
        body = AssumeAgencyReqBody(
            agency_urn=urn("agency", agency), agency_session_name="interop", **parameters
        )
        return (client or self.sts()).assume_agency(AssumeAgencyRequest(body=body))

    def as_holder_of(self, credentials):
        return self.sts(
            ak=credentials.access_key_id,
            sk=credentials.secret_access_key,
            token=credentials.security_token,
        )

    def by_agency(self, client=None, duration=None, user=None):
        role = IdentityAssumerole(
            agency_name="app", domain_id=ACCOUNT, duration_seconds=duration, session_user=user
        )
        identity = AgencyAuthIdentity(methods=["assume_role"], assume_role=role)
        body = CreateTemporaryAccessKeyByAgencyRequestBody(auth=AgencyAuth(identity=identity))
        request = CreateTemporaryAccessKeyByAgencyRequest(body=body)
        return (client or self.iam()).create_temporary_access_key_by_agency(request)


def refused(status, code, call, text=""):
    """`call` must be refused by the service with this status and code."""
    try:
        call()
    except ClientRequestException as error:
        equal((error.status_code, error.error_code), (status, code), "the refusal")
        if text not in error.error_msg:
            raise AssertionError(f"the text is {error.error_msg}") from None
        if not error.request_id:
            raise AssertionError("the refusal has no request id") from None
    else:
        raise AssertionError(f"it was accepted instead of refused with {code}")


def near(expiration, seconds):
    if isinstance(expiration, str):  # which the SDK makes of it only where dateutil is missing
        expiration = datetime.datetime.fromisoformat(expiration)
    left = (expiration - datetime.datetime.now(datetime.UTC)).total_seconds()
    if not seconds - 30 <= left <= seconds + 5:
        raise AssertionError(f"{left:.0f} s of life, expected about {seconds}")


def sts(checks, cloud, sdk):
    def long_lived_identity():
        answer = sdk.sts().get_caller_identity(GetCallerIdentityRequest())
        equal((answer.account_id, answer.principal_id), (ACCOUNT, USER))

    def assume_agency():
        answer = sdk.assume("app", duration_seconds=7200)
        near(answer.credentials.expiration, 7200)
        equal(answer.assumed_agency.urn, f"sts::{ACCOUNT}:assumed-agency:app/interop")
        holder = sdk.as_holder_of(answer.credentials)
        identity = holder.get_caller_identity(GetCallerIdentityRequest())
        equal(identity.principal_urn, f"sts::{ACCOUNT}:assumed-agency:app/interop")

    def with_everything():
        answer = sdk.assume(
            "partner",
            duration_seconds=900,
            external_id="example-external-id",
            policy=POLICY,
            policy_ids=["sys-1"],
            tags=[TagDto(key="team", value="web")],
            transitive_tag_keys=["team"],
            source_identity="ci",
        )
        near(answer.credentials.expiration, 900)
        equal(answer.source_identity, "ci")

    def chained():
        first = sdk.assume("app").credentials
        holder = sdk.as_holder_of(first)
        near(sdk.assume("chained", client=holder).credentials.expiration, 3600)
        refused(400, "STS5.0413", lambda: sdk.assume("chained", holder, duration_seconds=3601))
        refused(403, "STS5.1001", lambda: sdk.assume("chained"))

    def oidc():
        token = cloud.control("web-identity-tokens", {"cloud": "huawei", "provider": "example-oidc"})
        body = AssumeAgencyWithOIDCReqBody(
            provider_urn=urn("oidc-provider", "example-oidc"),
            agency_urn=urn("agency", "web"),
            agency_session_name="interop",
            id_token=token["token"],
        )
        request = AssumeAgencyWithOIDCRequest(body=body)
        answer = sdk.sts().assume_agency_with_oidc(request)
        near(answer.credentials.expiration, 3600)
        body.id_token += "x"
        refused(400, "STS5.0400", lambda: sdk.sts().assume_agency_with_oidc(request))

    def saml():
        assertion = cloud.control(
            "saml-assertions", {"cloud": "huawei", "provider": "example-saml", "role": "staff"}
        )
        body = AssumeAgencyWithSAMLReqBody(
            provider_urn=urn("saml-provider", "example-saml"),
            agency_urn=urn("agency", "staff"),
            saml_assertion=assertion["assertion"],
        )
        request = AssumeAgencyWithSAMLRequest(body=body)
        near(sdk.sts().assume_agency_with_saml(request).credentials.expiration, 3600)
        refused(400, "STS5.0400", lambda: sdk.sts().assume_agency_with_saml(request), "used before")

    def wrong_secret():
        client = sdk.sts(sk="wrong")
        refused(401, "APIGW.0301", lambda: sdk.assume("app", client), "verify aksk signature fail")

    def unknown_key():
        client = sdk.sts(ak="HPUANOSUCHKEY0000000")
        refused(401, "APIGW.0301", lambda: sdk.assume("app", client), "ak not exist")

    def wrong_token():
        set_ = sdk.assume("app").credentials
        client = sdk.sts(ak=set_.access_key_id, sk=set_.secret_access_key, token="wrong")
        refused(
            401,
            "APIGW.0301",
            lambda: client.get_caller_identity(GetCallerIdentityRequest()),
            "decrypt token fail",
        )

    def wrong_clock():
        cloud.control("clock", {"offset_seconds": 3600})
        try:
            refused(401, "APIGW.0301", lambda: sdk.assume("app"), "signature expired")
        finally:
            cloud.control("clock", {"offset_seconds": 0})

    def no_such_agency():
        refused(404, "STS5.1106", lambda: sdk.assume("nobody"))

    def derived_signature():
        # The SDK's other scheme, for hosts that are not the cloud's own.
        predicate = DerivedCredentials.get_default_derived_predicate()
        credentials = sdk.credentials(BasicCredentials).with_project_id(PROJECT)
        credentials = credentials.with_derived_predicate(predicate)
        credentials._process_derived_auth_params("sts", "cn-north-4")  # as for a region's client
        client = sdk.with_sts(credentials)
        answer = client.get_caller_identity(GetCallerIdentityRequest())
        equal(answer.account_id, ACCOUNT)

    for claim in (
        long_lived_identity,
        assume_agency,
        with_everything,
        chained,
        oidc,
        saml,
        wrong_secret,
        unknown_key,
        wrong_token,
        wrong_clock,
        no_such_agency,
        derived_signature,
    ):
        checks.check(f"Huawei Python SDK, STS: {claim.__name__.replace('_', ' ')}", claim)


def iam(checks, sdk):
    def default_duration():
        near(sdk.by_agency().credential.expires_at, 900)

    def asked_duration():
        user = AssumeroleSessionuser(name="interop")
        credential = sdk.by_agency(duration=86400, user=user).credential
        near(credential.expires_at, 86400)
        client = sdk.sts(
            ak=credential.access, sk=credential.secret, token=credential.securitytoken
        )
        identity = client.get_caller_identity(GetCallerIdentityRequest())
        equal(identity.account_id, ACCOUNT)

    def too_long():
        # The shape of the software that IAM grew out of has the status for a code.
        refused(400, 400, lambda: sdk.by_agency(duration=86401), "between 900 and 86400")

    def wrong_secret():
        client = sdk.iam(sk="wrong")
        refused(401, "APIGW.0301", lambda: sdk.by_agency(client), "verify aksk signature fail")

    for claim in (default_duration, asked_duration, too_long, wrong_secret):
        checks.check(f"Huawei Python SDK, IAM: {claim.__name__.replace('_', ' ')}", claim)


def main():
    checks = Checks()
    with emulator() as cloud:
        sdk = Sdk(cloud)
        sts(checks, cloud, sdk)
        iam(checks, sdk)
    return checks.finish()


if __name__ == "__main__":
    sys.exit(main())
