"""Where tools that live for one command send their request: a server that tells which keys signed.

A tool shows nobody its credentials, so its signature is checked here, against the sets that the
daemon has served: TC3-HMAC-SHA256 as Tencent's tools sign, AWS4-HMAC-SHA256 as S3's and STS's do.
"""

import contextlib
import email.utils
import hashlib
import hmac
import http.server
import json
import threading
import time
import urllib.parse

S3_ANSWER = (
    b'<?xml version="1.0" encoding="UTF-8"?>\n<ListAllMyBucketsResult>'
    b"<Owner><ID>0</ID><DisplayName>interop</DisplayName></Owner><Buckets></Buckets>"
    b"</ListAllMyBucketsResult>"
)
STS_ANSWER = (
    b'<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">'
    b"<GetCallerIdentityResult><Arn>arn:aws:sts::100000000001:assumed-role/app/interop</Arn>"
    b"<UserId>A:interop</UserId><Account>100000000001</Account></GetCallerIdentityResult>"
    b"<ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></GetCallerIdentityResponse>"
)
TENCENT_ANSWER = {"Response": {"AccountId": "100000000001", "Type": "CAMRole", "RequestId": "r"}}


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def mac(key, text):
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def parts(authorization):
    """Algorithm, and `Credential`, `SignedHeaders`, `Signature`."""
    algorithm, _, rest = authorization.partition(" ")
    fields = dict(part.strip().split("=", 1) for part in rest.split(","))
    return algorithm, fields


def canonical(request, body_hash, names):
    target = urllib.parse.urlsplit(request.path)
    pairs = urllib.parse.parse_qsl(target.query, keep_blank_values=True)
    quote = lambda text: urllib.parse.quote(text, safe="-_.~")
    query = "&".join(sorted(f"{quote(name)}={quote(value)}" for name, value in pairs))
    headers = {name: " ".join(request.headers.get(name, "").split()) for name in names}
    return headers, [request.command, target.path, query], body_hash


def amazon_date(headers):
    """OBS's Go client signs the date it sends as `Date`, in the other spelling."""
    stamp = headers.get("X-Amz-Date")
    if stamp is None:
        stamp = email.utils.parsedate_to_datetime(headers["Date"]).strftime("%Y%m%dT%H%M%SZ")
    return stamp


def expected_signature(request, body, secret, algorithm, scope, names):
    headers, first, body_hash = canonical(request, sha256(body), names)
    date, *middle = scope
    if algorithm == "AWS4-HMAC-SHA256":
        body_hash = request.headers.get("X-Amz-Content-Sha256", body_hash)
        stamp, prefix = amazon_date(request.headers), "AWS4"
    elif algorithm == "TC3-HMAC-SHA256":
        stamp, prefix = request.headers["X-TC-Timestamp"], "TC3"
    else:
        raise ValueError(f"signed with {algorithm}")
    lines = [f"{name}:{headers[name]}" for name in names]
    if algorithm == "TC3-HMAC-SHA256":
        lines = [line.lower() for line in lines]
    text = "\n".join([*first, *lines, "", ";".join(names), body_hash])
    to_sign = "\n".join([algorithm, stamp, "/".join(scope), sha256(text.encode())])
    key = (prefix + secret).encode()
    for part in [date, *middle]:
        key = mac(key, part)
    return mac(key, to_sign).hex()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        # An unsigned one is OBS asking for the version of its server.
        if "Authorization" in self.headers:
            try:
                found = self.keys(body)
            except (KeyError, ValueError, TypeError) as error:
                found = {"error": f"an unusable request: {type(error).__name__}: {error}"}
            self.server.seen.append(found)
        is_tencent = "X-TC-Action" in self.headers
        amazon = STS_ANSWER if body.startswith(b"Action=GetCallerIdentity&") else S3_ANSWER
        content = json.dumps(TENCENT_ANSWER).encode() if is_tencent else amazon
        self.send_response(200)
        self.send_header("Content-Type", "application/json" if is_tencent else "application/xml")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    do_GET = do_HEAD = do_POST = do_PUT = answer

    def keys(self, body):
        """The triple that signed, as far as the request shows it; the secret by its signature."""
        algorithm, fields = parts(self.headers["Authorization"])
        key_id, *scope = fields["Credential"].split("/")
        # The tool may have a set before the record of all sets does, by a moment.
        deadline = time.monotonic() + 2
        while (known := self.server.sets.get(key_id)) is None and time.monotonic() < deadline:
            time.sleep(0.05)
        if known is None:
            return {"id": key_id, "error": "signed with a key that was never served"}
        names = fields["SignedHeaders"].split(";")
        secret = known["secret_access_key"]
        expected = expected_signature(self, body, secret, algorithm, scope, names)
        if not hmac.compare_digest(expected, fields["Signature"]):
            return {"id": key_id, "error": "the signature is wrong"}
        token = self.headers.get("X-Amz-Security-Token") or self.headers.get("X-TC-Token")
        return {"id": key_id, "secret": secret, "token": token}

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def witness(sets):
    """A server on a free loopback port. `seen` is what the requests were signed with."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.sets, server.seen = sets, []
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
