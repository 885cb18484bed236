"""Unmodified clients against the daemon, all at once, each asked over and over while things happen.

A pair is a client and a protocol. Each gets the right keys, gets new ones after a refresh without
a restart, and goes on without one error while the cloud is away, while the daemon reloads, and
while it restarts; nothing it ever gets is expired or mixed. Ends with a table of the pairs.

    matrix.py [--write-docs FILE] [WORD…]     only pairs whose name has one of the words
"""

import argparse
import contextlib
import sys
import threading
import time

import report
from clients import Poll
from harness import ACCOUNT, Checks, emulator, equal, request
from table import pairs
from witness import witness
from world import METRICS, Served, enter_namespaces, running_daemon

OUTAGE = 12
# Rotation waits for the client with the longest way to its window.
ROTATION = 80


class World:
    """What pairs need to start their clients."""

    def __init__(self, daemon, served, stack):
        self.daemon, self.served, self.stack = daemon, served, stack

    def witness(self):
        server = self.stack.enter_context(witness(self.served.sets))
        server.address = "{}:{}".format(*server.server_address)
        return server


class Running:
    """A pair at work: its client is asked until the end, on a thread of its own."""

    def __init__(self, pair):
        self.pair = pair
        self.polls = []
        self.ended = threading.Event()
        self.pause = 3.0 if pair.per_command else 0.5
        self.client = pair.start()
        self.lock = threading.Lock()
        self.thread = threading.Thread(target=self.poll, daemon=True)

    def poll(self):
        while not self.ended.is_set():
            with self.lock:
                poll = Poll(self.client)
            self.polls.append(poll)
            self.ended.wait(self.pause)

    def stop(self):
        self.ended.set()
        self.thread.join(timeout=60)
        self.client.close()

    def during(self, began, ended):
        """Polls that were under way at any time between."""
        return [poll for poll in self.polls if poll.ended >= began and poll.began <= ended]

    def has_key_since(self, sets, role, generation):
        for poll in reversed(self.polls):
            known = sets.get(poll.answer["id"]) if poll.answer else None
            if known and known["role"] == role and known["generation"] >= generation:
                return True
        return False


class Matrix:
    """The events, in order, and what each pair must have done meanwhile."""

    def __init__(self, daemon, served, cloud, runnings):
        self.daemon, self.served, self.cloud = daemon, served, cloud
        self.runnings = runnings
        self.spans = {}

    @contextlib.contextmanager
    def span(self, name, after=4.0):
        """Everything until `after` seconds later counts as during the event."""
        began = time.time()
        yield
        time.sleep(after)
        # A slow tool gets its turn at least once within.
        deadline = time.monotonic() + 45
        while time.monotonic() < deadline and any(
            not any(poll.began >= began for poll in running.polls) for running in self.runnings
        ):
            time.sleep(0.2)
        self.spans[name] = (began, time.time())
        print(f"{name}: {time.time() - began:.0f} s", flush=True)

    def run(self):
        with self.span("keys"):
            for role in self.served.newest:
                self.served.note(report.parsed(self.daemon.command("get", role)))
        with self.span("rotation"):
            self.daemon.command("refresh")
            self.rotated = {
                role: self.served.note(report.parsed(self.daemon.command("get", role)))
                for role in self.served.newest
            }
            deadline = time.monotonic() + ROTATION
            while time.monotonic() < deadline and not all(map(self.has_new, self.runnings)):
                time.sleep(0.2)
        with self.span("outage"):
            self.cloud.control("outage", {"seconds": OUTAGE})
            time.sleep(OUTAGE / 2)
            self.expect_outage()
            time.sleep(OUTAGE / 2)
        with self.span("reload"):
            self.daemon.write_config('min-remaining = "5s"')
            self.daemon.command("reload")
        with self.span("restart"):
            self.daemon.restart()

    def expect_outage(self):
        """An outage that nobody noticed would prove nothing."""
        try:
            request(f"{self.cloud.url}/_emulator/world")
        except OSError:
            return
        raise RuntimeError("the emulator answers during its outage")

    def has_new(self, running):
        role = running.pair.role
        return running.has_key_since(self.served.sets, role, self.rotated[role]["generation"])

    def outcome(self, running):
        """What a pair failed at: event → the first thing that was wrong."""
        found = {}
        for name, (began, ended) in self.spans.items():
            polls = running.during(began, ended)
            wrong = [verdict for poll in polls if (verdict := poll.verdict(self.served.sets))]
            if wrong:
                found[name] = f"{len(wrong)} of {len(polls)}: {wrong[0]}"
            elif not polls:
                found[name] = "it was never asked"
        if "rotation" not in found and not self.has_new(running):
            found["rotation"] = f"no new keys in {ROTATION} s"
        return found


def requests_by(listener):
    status, body = request(METRICS)
    equal(status, 200, "the status of /metrics")
    prefix = f'credvend_requests_total{{listener="{listener}"'
    lines = [line for line in body.decode().splitlines() if line.startswith(prefix)]
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines)


def extra_checks(checks, cloud, runnings):
    """Once, in peace: signed calls with what was got, and that the proxy was really used."""
    for running in runnings:
        if running.pair.signs:

            def identity(running=running):
                with running.lock:
                    answer = running.client.ask(f"identity {cloud.url}")
                equal((answer["account"], answer["type"]), (ACCOUNT, "CAMRole"))

            checks.check(f"{running.pair.name}: GetCallerIdentity with what it got", identity)
        if running.pair.way == "http_proxy":

            def used():
                if not requests_by("proxy"):
                    raise AssertionError("no request came in through the proxy")

            checks.check(f"{running.pair.name}: asked through the proxy", used)


def started(checks, found):
    """Those that start; one that does not is a failed pair and stops no other."""
    runnings = []
    for pair in found:
        try:
            runnings.append(Running(pair))
        except OSError as error:
            checks.check(pair.name, lambda error=error: (_ for _ in ()).throw(error))
    return runnings


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--write-docs", metavar="FILE")
    arguments.add_argument("words", nargs="*")
    chosen = arguments.parse_args()
    checks = Checks()
    problem = enter_namespaces()
    if problem:
        checks.leave_out("the matrix", problem)
        return checks.finish()
    with contextlib.ExitStack() as stack:
        cloud = stack.enter_context(emulator())
        daemon = stack.enter_context(running_daemon(cloud))
        served = stack.enter_context(Served(daemon.socket))
        world = World(daemon, served, stack)
        found = [
            pair
            for pair in pairs(world)
            if not chosen.words or any(word in pair.name for word in chosen.words)
        ]
        runnings = started(checks, found)
        try:
            for running in runnings:
                running.thread.start()
            matrix = Matrix(daemon, served, cloud, runnings)
            report.wait_for_first(runnings)
            extra_checks(checks, cloud, runnings)
            matrix.run()
        finally:
            for running in runnings:
                running.stop()
    rows = [(running, matrix.outcome(running)) for running in runnings]
    for running, wrong in rows:
        checks.check(running.pair.name, lambda wrong=wrong: report.no_failure(wrong))
    table = report.table(rows, list(matrix.spans))
    print(table)
    if chosen.write_docs and not checks.failed and not chosen.words:
        report.write(chosen.write_docs, table, OUTAGE)
    return checks.finish()


if __name__ == "__main__":
    sys.exit(main())
