"""What is printed and written: one line per pair."""

from world import SESSIONS

INTRODUCTION = """# Clients

<!-- Written by `tests/interop/run --write-docs`; every line is a pair that passed. -->

Each of these was run unmodified against credvend and an emulated cloud, all at the same time. A
client was kept running and asked for its keys over and over. It got the right ones (keys), new
ones after a refresh (rotation), and not one error, nor a set that was mixed, expired, another
role's or older than what it had, while the cloud was away for {outage} s (outage), while the daemon
read a changed configuration (reload), and while it was restarted, the cloud being away as long, on
the sockets and sets it inherits (restart). In both absences each client got keys, from asking to
answer, after the cloud was gone and before it came back.

What each sends for its first keys is in `tests/it/fixtures/clients`, recorded; every run compares
it with what the client sends now, and `cargo test` replays it without the clients. Those of
*process*, *sink* and *command* send nothing: they run `credvend get`, or read a file that the
daemon keeps up to date.

*Session* is how long its sets lived: short enough that it had to ask again, long enough for its
own window. Tools that live for one command were run over and over, and judged by the signature of
their call, as were SDKs that show nobody their keys. boto3 with sets of an hour was given a clock
42 minutes ahead; sets that have less than 25 minutes left it would use for longer than they live.
Tencent's Java client fetches once per getter, so that a set may change between two of them: where
it did, its keys were read again. *v1* is Huawei's metadata service before it had tokens: the relay
answers 404 to the request for one, and passes everything else on.

"""


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
