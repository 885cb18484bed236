"""The gateway of Tencent's command line login, by its own name, on its own port, over TLS.

In the namespace of `world.enter_namespaces` that name is an address of the loopback device. Here
TLS ends, with a certificate of an authority made for the occasion, and the bytes inside go to the
emulator as they came. A client needs nothing but that authority among those it trusts.

    gateway.py CERTIFICATE KEY PORT       PORT: the emulator's, on 127.0.0.1
"""

import asyncio
import contextlib
import pathlib
import socket
import ssl
import subprocess
import sys
import tempfile

from harness import wait_until
from world import GATEWAY, NAMES

# Extensions in full: strict clients want the key usage and the key identifiers.
REQUESTS = f"""
[req]
distinguished_name = subject
prompt = no
[subject]
CN = credvend interop
[authority]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign
subjectKeyIdentifier = hash
[server]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
subjectAltName = {", ".join(f"DNS:{name}" for name in NAMES[GATEWAY])}
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
"""


def certify(directory):
    """Makes `authority.pem`, and `server.pem` signed by it; keys beside them, `.key`."""
    (directory / "requests.cnf").write_text(REQUESTS)
    make = ["openssl", "req", "-x509", "-config", "requests.cnf", "-days", "2", "-noenc"]
    make += ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
    signed = ["-CA", "authority.pem", "-CAkey", "authority.key"]
    for name, more in (("authority", []), ("server", signed)):
        files = ["-extensions", name, "-keyout", f"{name}.key", "-out", f"{name}.pem"]
        made = subprocess.run(
            [*make, *files, *more], cwd=directory, capture_output=True, text=True, timeout=30
        )
        if made.returncode != 0:
            raise RuntimeError(f"openssl makes no certificate: {made.stderr.strip()[-300:]}")


@contextlib.contextmanager
def gateway(cloud):
    """The gateway in front of that emulator; the path of its authority's certificate."""
    with tempfile.TemporaryDirectory(prefix="credvend-gateway-") as directory:
        directory = pathlib.Path(directory)
        certify(directory)
        files = [directory / "server.pem", directory / "server.key"]
        process = subprocess.Popen(
            [sys.executable, __file__, *files, str(cloud.port)], stdin=subprocess.DEVNULL
        )
        try:
            wait_until(answers, "the gateway")
            yield directory / "authority.pem"
        finally:
            process.terminate()
            process.wait(timeout=10)


def answers():
    with socket.create_connection((GATEWAY, 443), timeout=1):
        return True


async def pump(reader, writer):
    """Until either side ends; the other one is told."""
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()


async def serve(certificate, key, port):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)

    async def relay(reader, writer):
        behind_reader, behind_writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(pump(reader, behind_writer), pump(behind_reader, writer))

    server = await asyncio.start_server(relay, GATEWAY, 443, ssl=context)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], sys.argv[2], int(sys.argv[3])))
