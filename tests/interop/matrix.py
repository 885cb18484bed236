"""Unmodified clients against the daemon, each asked over and over while things happen.

A pair is a client and a protocol. First each is asked alone, and what it sends is compared with
its recording. Then all at once: each gets the right keys, gets new ones after a refresh without
a restart, and goes on without one error while the cloud is away, while the daemon reloads, and
while it restarts with the cloud away; nothing it ever gets is expired, mixed, another role's or
older than what it had. Ends with a table of the pairs.

    matrix.py [--record] [--write-docs FILE] [WORD…]     only pairs whose name has one of the words

`--record` writes the recordings instead and leaves it at that.
"""

import argparse
import contextlib
import pathlib
import sys

import report
from capture import Capture
from events import OUTAGE, Events
from harness import ACCOUNT, Checks, emulator, equal
from recorder import Recorder
from relay import relay
from running import Running
from served import Served
from table import installed, pairs
from witness import witness
from world import LISTENERS, RELAY
from world import asked_by_clients, enter_namespaces, running_daemon

RECORDINGS = pathlib.Path(__file__).parent.parent / "it/fixtures/clients"


class World:
    """What pairs need to start their clients."""

    def __init__(self, daemon, served, stack):
        self.daemon, self.served, self.stack = daemon, served, stack

    def witness(self):
        server = self.stack.enter_context(witness(self.served.sets))
        server.address = "{}:{}".format(*server.server_address)
        return server


def started(checks, found):
    """Those that start; one that does not is a failed pair and stops no other."""
    runnings = []
    for pair in found:
        try:
            runnings.append(Running(pair))
        except OSError as error:
            checks.check(pair.name, lambda error=error: (_ for _ in ()).throw(error))
    return runnings


def first_keys(checks, runnings, served, treat):
    """Asks each alone, and hands what it sent to `treat`."""

    def claim(running, pair, capture):
        requests = capture.during(running.ask)
        served.read(pair.role)  # so that the record of all sets has what it got
        if wrong := running.polls[-1].verdict(served.sets, pair.role, 0):
            raise AssertionError(wrong)
        if pair.speaks_http:
            treat(pair, requests)

    with Capture(asked_by_clients()) as capture:
        for running in runnings:
            pair = running.pair
            what = "its requests" if pair.speaks_http else "its first keys"
            checks.check(f"{pair.name}: {what}", lambda: claim(running, pair, capture))


def signed_calls(checks, cloud, runnings):
    """Once, in peace: calls signed with what was got."""
    for running in runnings:
        if running.pair.signs:

            def identity(running=running):
                with running.lock:
                    answer = running.client.ask(f"identity {cloud.url}")
                equal((answer["account"], answer["type"]), (ACCOUNT, "CAMRole"))

            checks.check(f"{running.pair.name}: GetCallerIdentity with what it got", identity)


def chosen_by(checks, words, found):
    """Only pairs with such a word; a word that none has is a mistake of whoever gave it."""
    strange = [word for word in words if not any(word in pair.name for pair in found)]

    def each_known():
        if strange:
            raise LookupError(f"no installed client's name has {' or '.join(strange)} in it")

    if words:
        checks.check("the words given", each_known)
    return [pair for pair in found if not words or any(word in pair.name for word in words)]


def no_strays(recorder, found):
    if strays := recorder.strays(found):
        names = ", ".join(path.name for path in strays)
        raise AssertionError(f"{names}: there is no such pair; `--record` takes them away")


def record(checks, recorder, found, runnings, served, whole):
    first_keys(checks, runnings, served, recorder.write)
    if whole:
        for path in recorder.strays(found):
            path.unlink()


def prove(checks, cloud, daemon, served, runnings):
    """All the events, with every client at work; gives the rows of the table."""
    for running in runnings:
        running.start()
    signed_calls(checks, cloud, runnings)
    events = Events(daemon, served, cloud, runnings)
    events.run()
    for running in runnings:
        running.rest()
    checks.check("native protocol, all the while", served.expect_no_trouble)
    rows = [(running, events.outcome(running)) for running in runnings]
    for running, wrong in rows:
        checks.check(running.pair.name, lambda wrong=wrong: report.no_failure(wrong))
    table = report.table(rows, list(events.spans))
    print(table)
    return table


def run(checks, options, stack):
    cloud = stack.enter_context(emulator())
    daemon = stack.enter_context(running_daemon(cloud))
    served = stack.enter_context(Served(daemon.socket))
    stack.enter_context(relay(RELAY, LISTENERS["relayed"][0]))
    found = pairs(World(daemon, served, stack))
    chosen = chosen_by(checks, options.words, installed(found))
    if checks.failed:
        return
    recorder = Recorder(RECORDINGS, daemon.token.read_text())
    runnings = started(checks, chosen)
    for running in runnings:
        stack.callback(running.close)
    if options.record:
        record(checks, recorder, found, runnings, served, not options.words)
        return
    first_keys(checks, runnings, served, recorder.compare)
    checks.check("recordings of clients that are no more", lambda: no_strays(recorder, found))
    table = prove(checks, cloud, daemon, served, runnings)
    if options.write_docs and not checks.failed and not options.words:
        report.write(options.write_docs, table, OUTAGE)


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--record", action="store_true")
    arguments.add_argument("--write-docs", metavar="FILE")
    arguments.add_argument("words", nargs="*")
    options = arguments.parse_args()
    checks = Checks()
    problem = enter_namespaces()
    if problem:
        checks.leave_out("the matrix", problem)
        return checks.finish()
    with contextlib.ExitStack() as stack:
        run(checks, options, stack)
    return checks.finish()


if __name__ == "__main__":
    sys.exit(main())
