"""Huawei's metadata service as it was before it had tokens, in front of the daemon.

A proxy that answers 404 to the request for a token, which sends the SDKs to the first version of
the service, and passes everything else on as it came.
"""

import contextlib
import http.client
import http.server
import threading
import urllib.parse


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_PUT(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.give(404, "text/plain", b"404 page not found")

    def do_GET(self):
        target = urllib.parse.urlsplit(self.path)
        host, port = self.server.upstream.rsplit(":", 1)
        upstream = http.client.HTTPConnection(host, int(port), timeout=10)
        with contextlib.closing(upstream):
            upstream.putrequest("GET", target.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if "connection" not in name.lower():
                    upstream.putheader(name, value)
            upstream.endheaders()
            answer = upstream.getresponse()
            self.give(answer.status, answer.headers["Content-Type"], answer.read())

    def give(self, status, kind, body):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def relay(address, upstream):
    """A relay at `address`, with the daemon at `upstream`."""
    host, port = address.rsplit(":", 1)
    with http.server.ThreadingHTTPServer((host, int(port)), Handler) as server:
        server.upstream = upstream
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield
        finally:
            server.shutdown()
