"""One client under test: the process, its environment, and what it answers when asked for keys."""

import json
import os
import select
import subprocess
import tempfile
import time

PATIENCE = 30


class Failed(Exception):
    """The client gave no credentials."""


def environment(home, extra):
    """Nothing of ours but the path: a client must find its credentials as the pair says."""
    return {"HOME": home, "PATH": os.environ["PATH"], "LANG": "C.UTF-8", **extra}


def put(home, files):
    for name, text in files:
        path = os.path.join(home, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as file:
            file.write(text)


def seen_last(witness):
    if not witness.seen:
        raise Failed("it made no call")
    found = witness.seen[-1]
    if "error" in found:
        raise Failed(found["error"])
    return found


class LongLived:
    """A program that answers each line `keys` with a line of JSON, for as long as it runs."""

    def __init__(self, command, variables, files=(), witness=None):
        self.home = tempfile.TemporaryDirectory(prefix="credvend-interop-home-")
        self.witness = witness
        put(self.home.name, files)
        self.complaints = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            command,
            env=environment(self.home.name, variables),
            cwd=self.home.name,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.complaints,
            text=True,
        )

    def ask(self, line):
        try:
            self.process.stdin.write(line + "\n")
            self.process.stdin.flush()
            ready, _, _ = select.select([self.process.stdout], [], [], PATIENCE)
            if not ready:
                raise Failed(f"no answer in {PATIENCE} s")
            text = self.process.stdout.readline()
            answer = json.loads(text)
        except (OSError, ValueError) as error:
            raise Failed(f"it ended, or printed no JSON: {self.last_words()}") from error
        if "error" in answer:
            raise Failed(answer["error"])
        return answer

    def keys(self):
        """What it holds; one that shows nobody its keys signs a call, and `witness` sees them."""
        if self.witness is None:
            return self.ask("keys")
        del self.witness.seen[:]
        self.ask("keys")
        return seen_last(self.witness)

    def last_words(self):
        self.complaints.seek(0)
        return self.complaints.read().decode(errors="replace").strip()[-300:]

    def close(self):
        self.process.stdin.close()
        try:
            self.process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        self.complaints.close()
        self.home.cleanup()


class PerCommand:
    """A tool that lives for one command, each time with a new home; `witness` sees its keys."""

    def __init__(self, command, variables, witness, files=()):
        self.command, self.variables = command, variables
        self.witness, self.files = witness, files

    def keys(self):
        del self.witness.seen[:]
        with tempfile.TemporaryDirectory(prefix="credvend-interop-home-") as home:
            put(home, self.files)
            ran = subprocess.run(
                self.command,
                env=environment(home, self.variables),
                cwd=home,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=PATIENCE,
            )
        if ran.returncode != 0 or not self.witness.seen:
            raise Failed(f"status {ran.returncode}: {(ran.stdout + ran.stderr).strip()[-300:]}")
        return seen_last(self.witness)

    def close(self):
        pass


class Poll:
    """One time that a client was asked."""

    def __init__(self, client):
        self.began = time.time()
        self.answer = self.error = None
        try:
            self.answer = client.keys()
        except (Failed, subprocess.TimeoutExpired) as error:
            self.error = " ".join(str(error).split())[:300]
        self.ended = time.time()

    def generation(self, sets):
        """Of the set it was given; 0 if it was given none that is known."""
        known = sets.get(self.answer["id"]) if self.answer else None
        return known["generation"] if known else 0

    def verdict(self, sets, role, newest):
        """What is wrong with it, or None; `newest` is the generation the client had before."""
        if self.error is not None:
            return self.error
        known = sets.get(self.answer["id"])
        if known is None:
            return f"the key {self.answer['id']} was never served"
        if known["role"] != role:
            return f"the keys of the role {known['role']}, not of {role}"
        if known["generation"] < newest:
            return f"generation {known['generation']} after it had {newest}"
        wanted = (known["secret_access_key"], known["session_token"])
        if (self.answer["secret"], self.answer["token"]) != wanted:
            return "a secret or token that does not belong to the key"
        if self.ended >= known["real_expiry"]:
            return f"a set that ended {self.ended - known['real_expiry']:.1f} s before"
        return None
