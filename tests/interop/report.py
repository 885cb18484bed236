"""What is printed and written: one line per pair, and how to wait for all of them."""

import json
import time

FIRST_ANSWER = 90
INTRODUCTION = """# Clients

<!-- Written by `tests/interop/run --write-docs`; every line is a pair that passed. -->

Each of these was run unmodified against credvend and a stand-in for the cloud. A client was kept
running and asked for its keys all the time; it got the right ones, new ones after a refresh, and
not one error or expired set while the cloud was away, the daemon reloaded its configuration, and
the daemon restarted on its inherited sockets.

*Session* is how long the sets lived, short enough that the client had to ask again; *fetched* is
how often it was asked for keys in one run. "Per command" marks tools that live for one command.

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
    titles = ["client", "version", "protocol", "way", "lives", *events]
    lines = [titles, ["---"] * len(titles)]
    for running, wrong in rows:
        pair = running.pair
        lives = "per command" if pair.per_command else "on"
        marks = ["FAILED" if event in wrong else "ok" for event in events]
        lines.append([pair.client, pair.version, pair.protocol, pair.way, lives, *marks])
    widths = [max(len(line[column]) for line in lines) for column in range(len(titles))]
    pad = lambda line: [cell.ljust(width) for cell, width in zip(line, widths)]
    lines[1] = ["-" * width for width in widths]
    return "\n".join("| " + " | ".join(pad(line)) + " |" for line in lines) + "\n"


def write(path, text):
    with open(path, "w") as file:
        file.write(INTRODUCTION + text)
