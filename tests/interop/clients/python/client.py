"""One long-lived Python client: `client.py KIND`. For each line on standard input it asks its SDK
for credentials, as a signed call would, and prints them as one line of JSON.

`identity URL` instead of `keys` makes a signed GetCallerIdentity call there with the same client.
"""

import calendar
import datetime
import json
import os
import sys
import time
import urllib.parse
import urllib.request


def triple(key_id, secret, token):
    return {"id": key_id, "secret": secret, "token": token}


def tencent_metadata():
    from tencentcloud.common.credential import CVMRoleCredential

    credential = CVMRoleCredential()

    def keys():
        return triple(*credential.get_credential_info())

    def identity(url):
        from tencentcloud.common.profile.client_profile import ClientProfile
        from tencentcloud.common.profile.http_profile import HttpProfile
        from tencentcloud.sts.v20180813 import models, sts_client

        # The real call is https, which this variable is not about; the emulator's is plain. The
        # metadata requests go on as before, with the opener that was made at the first.
        os.environ.pop("http_proxy", None)
        http = HttpProfile(protocol="http", endpoint=urllib.parse.urlsplit(url).netloc)
        client = sts_client.StsClient(credential, "ap-guangzhou", ClientProfile(httpProfile=http))
        answer = client.GetCallerIdentity(models.GetCallerIdentityRequest())
        return {"account": answer.AccountId, "type": answer.Type}

    return keys, identity


def boto3(prepare=lambda credentials: None):
    import boto3

    session = boto3.Session(region_name="us-east-1")
    credentials = session.get_credentials()
    prepare(credentials)

    def keys():
        frozen = credentials.get_frozen_credentials()
        return triple(frozen.access_key, frozen.secret_key, frozen.token)

    return keys, None


def boto3_later():
    """With its clock 42 minutes ahead, so that sets of an hour are within its window of 15; what
    has less than 25 left when it is fetched, botocore would use for longer than it lives."""
    ahead = datetime.timedelta(minutes=42)

    def shifted(credentials):
        real = credentials._time_fetcher
        credentials._time_fetcher = lambda: real() + ahead

    return boto3(shifted)


def minio_iam():
    from minio.credentials import IamAwsProvider

    provider = IamAwsProvider()

    def keys():
        value = provider.retrieve()
        return triple(value.access_key, value.secret_key, value.session_token)

    return keys, None


def huawei(provider):
    credentials = provider.get_credentials()

    def keys():
        credentials.process_sts(None)  # as before each request that is signed
        return triple(credentials.ak, credentials.sk, credentials.security_token)

    return keys, None


def huawei_metadata():
    from huaweicloudsdkcore.auth.provider import MetadataCredentialProvider

    return huawei(MetadataCredentialProvider.get_basic())


def huawei_container():
    from huaweicloudsdkcore.auth.provider import PodIdentityCredentialProvider

    return huawei(PodIdentityCredentialProvider.get_basic())


def obs_metadata():
    from obs import ObsClient

    client = ObsClient(
        server=os.environ["INTEROP_ENDPOINT"],
        path_style=True,
        signature="v4",
        region="interop",
        security_provider_policy="ECS",
        max_retry_count=0,
    )

    def keys():
        answer = client.listBuckets()
        if answer.status != 200:
            raise RuntimeError(f"status {answer.status}: {answer.errorMessage}")
        return {"signed": True}

    return keys, None


def alibaba(**settings):
    from alibabacloud_credentials.client import Client
    from alibabacloud_credentials.models import Config

    client = Client(Config(**settings))

    def keys():
        value = client.get_credential()
        return triple(value.access_key_id, value.access_key_secret, value.security_token)

    return keys, None


def alibaba_uri():
    uri = os.environ["ALIBABA_CLOUD_CREDENTIALS_URI"]
    return alibaba(type="credentials_uri", credentials_uri=uri)


def alibaba_metadata():
    return alibaba(type="ecs_ram_role")


def cosfs_lines():
    """What cosfs does with `cam_role_endpoint`, read off its source: a key, a colon and the text
    between two quotes, line by line; exactly four keys; asked again 600 s before the end."""
    base = "http://metadata.tencentyun.com/meta-data/cam/security-credentials/"
    wanted = ("TmpSecretId", "TmpSecretKey", "Token", "Expiration")
    held = {}

    def get(url):
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.read().decode()

    def keys():
        left = 0
        if held:
            ends = calendar.timegm(time.strptime(held["Expiration"], "%Y-%m-%dT%H:%M:%SZ"))
            left = ends - time.time()
        if left < 600:
            found = {}
            for line in get(base + get(base)).splitlines():
                for key in wanted:
                    if f'"{key}"' in line:
                        value = line.split(":", 1)[1]
                        found[key] = value.split('"')[1]
            if len(found) != len(wanted):
                raise ValueError(f"{len(found)} of four keys")
            held.update(found)
        return triple(held["TmpSecretId"], held["TmpSecretKey"], held["Token"])

    return keys, None


KINDS = {
    "tencent-metadata": tencent_metadata,
    "cosfs-lines": cosfs_lines,
    "boto3": boto3,
    "boto3-later": boto3_later,
    "minio-iam": minio_iam,
    "huawei-metadata": huawei_metadata,
    "huawei-container": huawei_container,
    "obs-metadata": obs_metadata,
    "alibaba-uri": alibaba_uri,
    "alibaba-metadata": alibaba_metadata,
}


def main():
    keys = identity = None
    for line in sys.stdin:
        verb, *rest = line.split()
        try:
            if keys is None:
                keys, identity = KINDS[sys.argv[1]]()
            answer = keys() if verb == "keys" else identity(*rest)
        except Exception as error:  # noqa: BLE001 - whatever it is, the runner shows it
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
