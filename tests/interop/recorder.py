"""What a client sends for its first keys, as a fixture that can be read and replayed.

Written by `--record`, compared by every other run. What a run or a machine chooses, and whatever
is secret, stands as a placeholder; a fixture that would hold anything else of the kind is refused.
"""

import difflib
import pathlib
import re

NOTE = "Recorded by `tests/interop/run --record`: what it sends for its first keys."
# Long enough to be a key, a token or a signature; nothing that clients say of themselves is.
SECRET = re.compile(r"[A-Za-z0-9+=_-]{36,}")
# In an order in which the first match is right. No version stays, the client's own neither: what
# a machine installs today must not make its requests other ones. The heading names it.
VARYING = (
    (r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", "{uuid}"),
    (r"\b[0-9]{8}T[0-9]{6}Z\b", "{time}"),
    (r"\b(?:x86_64|amd64|aarch64|arm64)\b", "{arch}"),
    (r"(?<=[vV]endor[/#])[\w.-]+", "{vendor}"),
    (r"(?<!Go-http-client/)\b[0-9]+(?:\.[0-9]+)+[\w.+~-]*", "{version}"),
)
# The last part of a path, or what stands in one: enough to know what must be answered.
SHAPES = (
    (r"/security-credentials/?$", "list"),
    (r"^/accesskey/?$", "list"),
    (r"/cam/[a-z-]*security-credentials/|^/accesskey/", "tencent"),
    (r"^/openstack/latest/securitykey$", "huawei"),
    (r"^/huawei/container/", "huawei-container"),
    (r"^/aws/container/", "aws-container"),
    (r"/iam/security-credentials/", "aws-imds"),
    (r"/ram/security-credentials/|^/alibaba/credentials/", "alibaba"),
)


class Unwritable(Exception):
    """It would put a secret into a fixture, or nobody knows what it asks for."""


def shape(method, target):
    """What the answer to a request has to look like."""
    if method == "PUT":
        return "token"
    path = re.sub(r"^http://[^/]*", "", target).partition("?")[0]
    path = re.sub(r"//+", "/", path)
    for pattern, name in SHAPES:
        if re.search(pattern, path):
            return name
    raise Unwritable(f"a request for {path}, which nothing here can replay")


class Recorder:
    """Turns requests into the text of a fixture; `token` is the listeners' own."""

    def __init__(self, folder, token):
        self.folder = pathlib.Path(folder)
        self.token = token

    def text(self, pair, requests):
        if not requests:
            raise Unwritable("it asked the daemon for nothing")
        parts = [f"# {pair.name}\n# {NOTE}\n"]
        for request in requests:
            method, target, _ = request.head.split("\n")[0].split(" ")
            head = self.head(pair, request.head)
            body = f"\n{request.body}\n" if request.body else ""
            parts.append(f"### {shape(method, target)}\n{head}\n{body}")
        text = "\n".join(parts)
        for line in text.splitlines():
            name, _, value = line.rpartition(": ")
            if SECRET.search(value):
                raise Unwritable(f"what looks like a secret, in {name or 'a line without a name'}")
        return text

    def head(self, pair, head):
        first, *fields = head.split("\n")
        method, target, version = first.split(" ")
        target = target.replace(self.token, "{token}")
        target = re.sub(rf"/{pair.role}(?=\??$)", "/{role}", target)
        lines = [self.field(pair, *re.split(r": ?", field, maxsplit=1)) for field in fields]
        return "\n".join([f"{method} {target} {version}", *lines])

    def field(self, pair, name, value):
        lower = name.lower()
        if lower == "host":
            value = self.host(value)
        elif lower == "authorization":
            if value != self.token:
                raise Unwritable("an Authorization that is not the listener's token")
            value = "{token}"
        elif re.fullmatch("x-.*-token", lower):
            value = "{metadata-token}"
        elif lower.endswith("user-agent") or lower.startswith("amz-sdk-"):
            value = varying(value)
        return f"{name}: {value}"

    @staticmethod
    def host(value):
        """Ports on the loopback address are the run's; the clouds' addresses are not."""
        if value.startswith("127.0.0.1"):
            return "{host}" if ":" in value else "{address}"
        return value

    def path(self, pair):
        return self.folder / f"{slug(pair)}.http"

    def write(self, pair, requests):
        self.path(pair).write_text(self.text(pair, requests))

    def compare(self, pair, requests):
        """Raises with the difference; the version in the heading is no part of it."""
        path = self.path(pair)
        if not path.exists():
            raise AssertionError(f"no {path.name}; `tests/interop/run --record` writes it")
        before, now = path.read_text(), self.text(pair, requests)
        if spoken(before) != spoken(now):
            lines = difflib.unified_diff(spoken(before), spoken(now), path.name, "now", lineterm="")
            print("\n".join(lines), flush=True)
            raise AssertionError(f"its requests are not those of {path.name} (see above)")

    def strays(self, pairs):
        """Recordings of pairs that are no more."""
        known = {self.path(pair).name for pair in pairs}
        return [
            path
            for path in sorted(self.folder.glob("*.http"))
            if path.name not in known and NOTE in path.read_text()
        ]


def slug(pair):
    words = f"{pair.client} {pair.protocol} {pair.way}".lower()
    return re.sub(r"[^a-z0-9]+", "-", words).strip("-")


def spoken(text):
    """The lines below the heading."""
    return text[text.index("\n### ") :].splitlines()


def varying(value):
    """Without what differs between machines."""
    for pattern, placeholder in VARYING:
        value = re.sub(pattern, placeholder, value)
    return value
