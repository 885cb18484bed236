"""One long-lived Python client: `client.py KIND`. For each line on standard input it asks its SDK
for credentials, as a signed call would, and prints them as one line of JSON.

`identity URL` instead of `keys` makes a signed GetCallerIdentity call there with the same client.
"""

import json
import os
import sys
import urllib.parse


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


def boto3():
    import boto3

    session = boto3.Session(region_name="us-east-1")
    credentials = session.get_credentials()

    def keys():
        frozen = credentials.get_frozen_credentials()
        return triple(frozen.access_key, frozen.secret_key, frozen.token)

    return keys, None


def minio(provider):
    def keys():
        value = provider.retrieve()
        return triple(value.access_key, value.secret_key, value.session_token)

    return keys, None


def minio_iam():
    from minio.credentials import IamAwsProvider

    return minio(IamAwsProvider())


KINDS = {"tencent-metadata": tencent_metadata, "boto3": boto3, "minio-iam": minio_iam}


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
