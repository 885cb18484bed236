"""A pair at work: its client is asked over and over, and every answer is kept and judged."""

import threading

from clients import Poll


class Running:
    """Asks from `start()` to `rest()`, on a thread of its own; before that, when told to."""

    def __init__(self, pair):
        self.pair = pair
        self.polls = []
        self.ended = threading.Event()
        self.pause = 3.0 if pair.per_command else 0.5
        self.client = pair.start()
        self.lock = threading.Lock()
        self.thread = threading.Thread(target=self.poll, daemon=True)

    def ask(self):
        with self.lock:
            poll = Poll(self.client)
        self.polls.append(poll)
        return poll

    def poll(self):
        while not self.ended.is_set():
            self.ask()
            self.ended.wait(self.pause)

    def start(self):
        self.thread.start()

    def rest(self):
        self.ended.set()
        if self.thread.is_alive():
            self.thread.join(timeout=60)

    def close(self):
        self.rest()
        self.client.close()

    def during(self, began, ended):
        """Polls that were under way at any time between."""
        return [poll for poll in self.polls if poll.ended >= began and poll.began <= ended]

    def within(self, began, ended):
        """Polls that began and ended between."""
        return [poll for poll in self.polls if began <= poll.began and poll.ended <= ended]

    def has_key_since(self, sets, generation):
        return any(poll.generation(sets) >= generation for poll in reversed(self.polls))

    def judge(self, sets):
        """What was wrong with a poll, by its place among all; nothing if nothing was."""
        newest, wrong = 0, {}
        for poll in self.polls:
            if verdict := poll.verdict(sets, self.pair.role, newest):
                wrong[poll.began] = verdict
            newest = max(newest, poll.generation(sets))
        return wrong
