"""`tccli sso`, the official program as it was installed, against the emulator's portal: it finds
the gateway under its own name (see `gateway.py`), and what it is told is what a person would tell
it, in the environment, on the command line and on a terminal."""

import contextlib
import json
import os
import pathlib
import pty
import subprocess
import sys
import tempfile
import termios
import threading

from harness import ACCOUNT, equal, wait_until

PROGRAM = str(pathlib.Path(sys.executable).with_name("tccli"))
OTHER_ACCOUNT = "100000000021"
# What that permission set allows; of itself the program asks for twice as much, and is refused.
SESSION = ("--duration", "3600")
LANGUAGE = ("--language", "en-US")


class Tccli:
    """The program with a home of its own."""

    def __init__(self, cloud, home, authority):
        self.cloud = cloud
        self.home = home
        self.profile = home / ".tccli" / "default.credential"
        # The browser it opens shows nothing here: the tests approve.
        self.environment = {**os.environ, "HOME": str(home), "NO_PROXY": "*", "BROWSER": "true"}
        for variable in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
            self.environment.pop(variable, None)
        if authority is not None:
            self.environment["REQUESTS_CA_BUNDLE"] = str(authority)

    def run(self, *arguments):
        """Its exit code, and what it said on both outputs."""
        ran = subprocess.run(
            [PROGRAM, *arguments],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
        )
        return ran.returncode, ran.stdout

    def expect(self, *arguments):
        """What it said, if it went well."""
        code, said = self.run(*arguments)
        if code != 0:
            raise RuntimeError(f"tccli {arguments[0]} {arguments[1]} ends with {code}: {said[-400:]}")
        return said

    def configure(self):
        self.expect("sso", "configure", "--url", f"{self.cloud.url}/portal/example/login", *LANGUAGE)

    def approve(self):
        """Waits until it has asked for its state, which the emulator then knows."""
        waiting = lambda: self.cloud.control("sign-ins")["waiting"]
        wait_until(waiting, "the sign-in of tccli", 30)
        self.cloud.control("sign-ins", {"shown": waiting()[-1], "decision": "approve"})

    def account(self):
        """The account its keys belong to, by a call it signs with them."""
        call = ["sts", "GetCallerIdentity", "--region", "ap-guangzhou", "--endpoint", self.cloud.url]
        return json.loads(self.expect(*call))["AccountId"]


def log_in(tccli):
    """One approval, account and role named on the command line."""
    tccli.configure()
    command = ["sso", "login", "--uin", ACCOUNT, "--rolename", "read-only", *SESSION]
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(
            [PROGRAM, *command, *LANGUAGE],
            env=tccli.environment,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
        )
        try:
            tccli.approve()
            code = process.wait(timeout=30)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
        said.seek(0)
        text = said.read()
    if code != 0 or "Login succeed" not in text:
        # The address it prints holds its state, which is worth nothing by now.
        raise RuntimeError(f"it ends with {code}: {text[-400:]}")
    left = json.loads(tccli.profile.read_text())
    equal(left.get("type"), "sso", "the kind of the profile")
    equal(left["sso"]["zoneId"], "z-emulated", "the zone")
    equal(left["sso"]["roleConfigurationName"], "read-only", "the permission set")
    equal(len(left["secretKey"]) > 20, True, "whether there is a secret key")
    equal(tccli.account(), ACCOUNT, "the account of its keys")


class Terminal:
    """The program on a terminal, read all the while."""

    def __init__(self, tccli, *arguments):
        self.ours, theirs = pty.openpty()
        self.shown = ""
        self.process = subprocess.Popen(
            [PROGRAM, *arguments],
            env={**tccli.environment, "TERM": "xterm"},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        # A terminal whose program has ended gives an error, not an end.
        with contextlib.suppress(OSError):
            while data := os.read(self.ours, 4096):
                self.shown += data.decode(errors="replace")

    def answer(self, question, keys):
        """Types `keys` once the question is shown and a key is waited for."""
        wait_until(lambda: question in self.shown, f"{question!r}", 20)
        wait_until(self.is_raw, "its wait for a key")
        os.write(self.ours, keys.encode())

    def is_raw(self):
        return not termios.tcgetattr(self.ours)[3] & termios.ICANON

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.reader.join(timeout=5)
        os.close(self.ours)


def list_and_choose(tccli):
    """The same with its menus: all accounts are listed, then the roles of the one chosen."""
    tccli.configure()
    with Terminal(tccli, "sso", "login", *SESSION, *LANGUAGE) as terminal:
        tccli.approve()
        accounts, roles = "choose your account: ", "choose your role: "
        terminal.answer(accounts, "team-b")
        terminal.answer(f"{accounts}team-b", "\r")
        terminal.answer(roles, "\r")
        code = terminal.process.wait(timeout=30)
        terminal.reader.join(timeout=5)
    if code != 0:
        raise RuntimeError(f"it ends with {code}: {terminal.shown[-400:]}")
    listed, _, chosen = terminal.shown.partition(roles)
    for account in (f"team-a:{ACCOUNT}", f"team-b:{OTHER_ACCOUNT}"):
        equal(account in listed, True, f"whether {account} is listed")
    equal("read-only" in chosen, True, "whether the role is listed")
    equal("admin" in chosen, False, "whether a role of another account is listed")
    equal(tccli.account(), OTHER_ACCOUNT, "the account of its keys")
    tccli.expect("sso", "logout", *LANGUAGE)
    equal(tccli.profile.exists(), False, "whether the profile is left after the logout")


def refuse_strangers(tccli):
    """Without our authority it talks to no gateway: what the others show is not owed to laxness."""
    tccli.configure()
    code, said = tccli.run("sso", "login", *LANGUAGE)
    equal(code == 0, False, "whether it ended well")
    equal("CERTIFICATE_VERIFY_FAILED" in said, True, "whether the certificate is its complaint")
