"""What systemd does for a unit with `FileDescriptorStoreMax=`: it takes descriptors that the
service hands over and gives them back to its next process."""

import contextlib
import os
import socket
import threading

AT_MOST = 64


class Manager:
    """The service manager's end of the notification socket."""

    def __init__(self, directory):
        self.kept = {}
        self.lock = threading.Lock()
        path = str(directory / "notify.sock")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(path)
        self.environment = {"NOTIFY_SOCKET": path, "FDSTORE": str(AT_MOST)}
        threading.Thread(target=self.receive, daemon=True).start()

    def receive(self):
        while True:
            message, descriptors, _, _ = socket.recv_fds(self.socket, 4096, AT_MOST)
            with self.lock:
                self.take(message.decode(), descriptors)

    def take(self, message, descriptors):
        fields = dict(line.split("=", 1) for line in message.splitlines() if "=" in line)
        name = fields.get("FDNAME", "stored")
        if "FDSTORE" in fields:
            self.kept.setdefault(name, []).extend(descriptors)
            return
        if "FDSTOREREMOVE" in fields:
            descriptors += self.kept.pop(name, [])
        # Closing is also what somebody waits for who sent a barrier.
        for descriptor in descriptors:
            os.close(descriptor)

    def settle(self):
        """Until everything was taken that an ended process sent."""
        with contextlib.closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as sender:
            reading, writing = os.pipe()
            sender.connect(self.environment["NOTIFY_SOCKET"])
            socket.send_fds(sender, [b"BARRIER=1"], [writing])
        os.close(writing)
        os.read(reading, 1)  # ends when the other end of the pipe is closed
        os.close(reading)

    def stored(self):
        """Pairs of name and descriptor."""
        with self.lock:
            return [(name, one) for name, several in self.kept.items() for one in several]
