"""What is printed and written: one line per pair, and how to wait for all of them."""

import json
import time

from world import SESSIONS

FIRST_ANSWER = 90
INTRODUCTION = """# Clients

<!-- Written by `tests/interop/run --write-docs`; every line is a pair that passed. -->

Each of these was run unmodified against credvend and an emulated cloud, all at the same time. A
client was kept running and asked for its keys over and over. It got the right ones (keys), new
ones after a refresh (rotation), and not one error, mixed or expired set while the cloud was away
for {outage} s (outage), while the daemon read a changed configuration (reload), and while it was
restarted, the cloud being away, on the sockets and sets it inherits (restart).

*Session* is how long its sets lived: short enough that it had to ask again, long enough for its
own window. Tools that live for one command were run over and over, and judged by the signature of
their call, as were SDKs that show nobody their keys. boto3 with sets of an hour was given a clock
42 minutes ahead; sets that have less than 25 minutes left it would use for longer than they live.
Tencent's Java client fetches once per getter, so that a set may change between two of them: where
it did, its keys were read again.

"""


def parsed(text):
    return json.loads(text)


def wait_for_first(runnings):
    """Until every client was asked once; slow starters (JVMs) all start at the same time."""
    deadline = time.monotonic() + FIRST_ANSWER
    while time.monotonic() < deadline and not all(running.polls for running in runnings):
        time.sleep(0.1)


def no_failure(wrong):
    if wrong:
        raise AssertionError("; ".join(f"{name}: {what}" for name, what in wrong.items()))


def table(rows, events):
    titles = ["client", "version", "protocol", "way", "session", *events]
    lines = [titles, ["---"] * len(titles)]
    for running, wrong in rows:
        pair = running.pair
        session = "per command" if pair.per_command else f"{SESSIONS[pair.role]} s"
        marks = ["FAILED" if event in wrong else "ok" for event in events]
        lines.append([pair.client, pair.version, pair.protocol, pair.way, session, *marks])
    widths = [max(len(line[column]) for line in lines) for column in range(len(titles))]
    pad = lambda line: [cell.ljust(width) for cell, width in zip(line, widths)]
    lines[1] = ["-" * width for width in widths]
    return "\n".join("| " + " | ".join(pad(line)) + " |" for line in lines) + "\n"


def write(path, text, outage):
    with open(path, "w") as file:
        file.write(INTRODUCTION.format(outage=outage) + text)
