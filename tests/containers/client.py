"""Stock SDKs inside a container, over credvend bridge. One line of JSON: whose key each got.

Nothing here knows of credvend: boto3 reads its container variables, Tencent's SDK its metadata
service through http_proxy.
"""

import json
import sys
import time
import urllib.error
import urllib.request


def boto3_key():
    import boto3
    return boto3.Session().get_credentials().get_frozen_credentials().access_key


def tencent_key():
    from tencentcloud.common.credential import CVMRoleCredential
    return CVMRoleCredential().secret_id


def status(path):
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open("http://127.0.0.1:9470" + path, timeout=20) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def poll(seconds, path):
    """How many requests there were in that time, and how many were not answered with 200."""
    asked = failed = 0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        asked += 1
        failed += status(path) != 200
        time.sleep(0.05)
    return {"asked": asked, "failed": failed}


what, *arguments = sys.argv[1:]
if what == "keys":
    found = {"boto3": boto3_key(), "tencent": tencent_key()}
elif what == "status":
    found = {path: status(path) for path in arguments}
else:
    found = poll(float(arguments[0]), arguments[1])
print(json.dumps(found))
