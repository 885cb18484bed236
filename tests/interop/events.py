"""What happens to the cloud and to the daemon, in order, and what each pair must have done
meanwhile."""

import contextlib
import json
import time

from harness import request, wait_until

# Shorter than the least that any set has left when it is replaced (30 s, of the shortest session),
# and long enough for a slow tool to begin and end within it.
OUTAGE = 20
# Rotation waits for the client with the longest way to its window.
ROTATION = 80


class Events:
    """`run()` lets them happen; `outcome()` is what a pair failed at."""

    def __init__(self, daemon, served, cloud, runnings):
        self.daemon, self.served, self.cloud = daemon, served, cloud
        self.runnings = runnings
        self.spans = {}
        self.windows = {}
        self.rotated = {}

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
            self.newest()
        with self.span("rotation"):
            self.daemon.command("refresh")
            self.rotated = self.newest()
            deadline = time.monotonic() + ROTATION
            while time.monotonic() < deadline and not all(map(self.has_new, self.runnings)):
                time.sleep(0.2)
        with self.span("outage"):
            self.without_cloud("outage", lambda: None)
        with self.span("reload"):
            self.daemon.write_config('min-remaining = "5s"')
            self.daemon.command("reload")
        with self.span("restart"):
            # What it serves then can only be what it held before.
            self.without_cloud("restart", self.daemon.restart)

    def newest(self):
        """Each role's generation, as the daemon's own command gets it."""
        found = {}
        for role in self.served.newest:
            got = json.loads(self.daemon.command("get", role))
            found[role] = self.served.note(got)["generation"]
        return found

    def without_cloud(self, name, meanwhile):
        """The cloud is away for a while, and `meanwhile` happens first. Noted is the time from
        then on in which it was surely away: every pair must have answered within."""
        asked = time.time()
        self.cloud.control("outage", {"seconds": OUTAGE})
        wait_until(self.is_away, "the outage", seconds=2)
        meanwhile()
        began = time.time()
        time.sleep(max(0, asked + OUTAGE - 0.5 - time.time()))
        ended = time.time()
        if not self.is_away():
            raise RuntimeError("the emulator was back before its outage was over")
        self.windows[name] = (began, ended)
        print(f"{name}: answers counted from {ended - began:.1f} s without a cloud", flush=True)

    def is_away(self):
        """An outage that nobody noticed would prove nothing."""
        try:
            request(f"{self.cloud.url}/_emulator/world")
        except OSError:
            return True
        return False

    def has_new(self, running):
        generation = self.rotated[running.pair.role]
        return running.has_key_since(self.served.sets, generation)

    def outcome(self, running):
        """What a pair failed at: event → the first thing that was wrong."""
        found = {}
        verdicts = running.judge(self.served.sets)
        for name, (began, ended) in self.spans.items():
            polls = running.during(began, ended)
            wrong = [verdicts[poll.began] for poll in polls if poll.began in verdicts]
            if wrong:
                found[name] = f"{len(wrong)} of {len(polls)}: {wrong[0]}"
            elif not polls:
                found[name] = "it was never asked"
            elif name in self.windows and not running.within(*self.windows[name]):
                found[name] = "no answer of it began and ended while the cloud was away"
        if "rotation" not in found and not self.has_new(running):
            found["rotation"] = f"no new keys in {ROTATION} s"
        return found
