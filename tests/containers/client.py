"""Stock SDKs inside a container, over credvend bridge. One line of JSON: whose key each got, or
what single requests were answered with.

Nothing here knows of credvend: boto3 reads its container variables, Tencent's SDK its metadata
service through http_proxy.
"""

import json
import os
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


def poll(path, stop):
    """Asks until a file `stop` appears, and prints a line of JSON after each answer: how many there
    were so far, and how many of them were no 200."""
    asked = failed = 0
    end = time.monotonic() + 120
    while not os.path.exists(stop) and time.monotonic() < end:
        asked += 1
        failed += status(path) != 200
        print(json.dumps({"asked": asked, "failed": failed}), flush=True)
        time.sleep(0.05)


what, *arguments = sys.argv[1:]
if what == "keys":
    found = {"boto3": boto3_key(), "tencent": tencent_key()}
elif what == "status":
    found = {path: status(path) for path in arguments}
else:
    poll(*arguments)
    sys.exit()
print(json.dumps(found))
