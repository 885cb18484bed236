"""What clients send, read off the loopback device: neither they nor the daemon know of it.

A packet socket sees each packet of this network namespace. The TCP streams towards the watched
addresses are put together again and handed out, cut into requests, in the order they were begun.
"""

import dataclasses
import socket
import struct
import threading

IPV4 = 0x0800
TCP, UDP = 6, 17
SYN = 0x02
LONGEST = 1 << 17
# Of <linux/if_packet.h>; Python has no names for them.
SOL_PACKET, PACKET_STATISTICS = 263, 6
PATIENCE = 10


@dataclasses.dataclass
class Request:
    """One request as it was sent; `head` has no line break at its end."""

    head: str
    body: str


class Stream:
    """One direction of a connection: its bytes, and where each stood among all that was seen."""

    def __init__(self, first):
        self.next = first
        self.data = bytearray()
        self.arrivals = []  # offset into the data, number of the packet
        self.early = {}

    def add(self, sequence, payload, number):
        """Takes a segment; one that was seen before changes nothing, one too early waits."""
        self.early[sequence] = payload
        while (payload := self.early.pop(self.next, None)) is not None:
            self.arrivals.append((len(self.data), number))
            self.data += payload
            self.next = (self.next + len(payload)) % (1 << 32)

    def requests(self):
        """Pairs of the number of a request's first packet, and the request."""
        at = 0
        while at < len(self.data):
            number = max(number for offset, number in self.arrivals if offset <= at)
            request, length = cut(bytes(self.data[at:]))
            yield number, request
            at += length


def cut(data):
    """The first request of a stream, and how many bytes it takes."""
    head, blank, rest = data.partition(b"\r\n\r\n")
    if not blank:
        raise ValueError(f"half a request: {len(data)} bytes without the end of a head")
    text = head.decode("ascii").replace("\r\n", "\n")
    fields = dict(line.lower().split(":", 1) for line in text.split("\n")[1:])
    if "transfer-encoding" in fields:
        raise ValueError("a request with a Transfer-Encoding, which has no fixture's form")
    length = int(fields.get("content-length", 0))
    if len(rest) < length:
        raise ValueError(f"half a request: {len(rest)} of {length} bytes of a body")
    return Request(text, rest[:length].decode()), len(head) + len(blank) + length


def segment(packet):
    """Of a TCP packet: source, destination, sequence number, flags, payload."""
    words = (packet[0] & 0x0F) * 4
    length = struct.unpack_from("!H", packet, 2)[0]
    addresses = [socket.inet_ntoa(packet[at : at + 4]) for at in (12, 16)]
    ports = struct.unpack_from("!HH", packet, words)
    sequence = struct.unpack_from("!I", packet, words + 4)[0]
    offset, flags = packet[words + 12] >> 4, packet[words + 13]
    payload = packet[words + offset * 4 : length]
    source, destination = zip(addresses, ports)
    return source, destination, sequence, flags, payload


class Capture:
    """The streams of one network namespace, until it is closed."""

    def __init__(self, watched):
        """`watched` are pairs of address and port."""
        self.watched = set(watched)
        self.streams = {}
        self.lock = threading.Lock()
        self.count = self.marks = 0
        self.seen_mark = threading.Condition(self.lock)
        self.marker = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.marker.bind(("127.0.0.1", 0))
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(IPV4))
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        self.socket.bind(("lo", IPV4))
        self.ended = False
        self.thread = threading.Thread(target=self.receive, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ended = True
        self.mark()  # wakes the reader
        self.thread.join(timeout=PATIENCE)
        self.socket.close()
        self.marker.close()

    def mark(self):
        self.marker.sendto(b"mark", self.marker.getsockname())

    def receive(self):
        while not self.ended:
            packet, (_, _, kind, *_) = self.socket.recvfrom(LONGEST)
            if kind != socket.PACKET_HOST:
                continue
            with self.lock:
                self.count += 1
                if packet[9] == TCP:
                    self.take(*segment(packet))
                elif packet[9] == UDP and self.is_mark(packet):
                    self.marks += 1
                    self.seen_mark.notify_all()

    def is_mark(self, packet):
        port = struct.unpack_from("!H", packet, (packet[0] & 0x0F) * 4 + 2)[0]
        return port == self.marker.getsockname()[1]

    def take(self, source, destination, sequence, flags, payload):
        if destination not in self.watched:
            return
        if flags & SYN:
            self.streams[source, destination] = Stream((sequence + 1) % (1 << 32))
        elif payload and (source, destination) in self.streams:
            self.streams[source, destination].add(sequence, payload, self.count)

    def settle(self):
        """Until everything was read that had been sent by now: what we send ourselves is last."""
        with self.lock:
            wanted = self.marks + 1
            self.mark()
            if not self.seen_mark.wait_for(lambda: self.marks >= wanted, PATIENCE):
                raise TimeoutError("the capture does not see its own packets")
        _, dropped = struct.unpack(
            "II", self.socket.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8)
        )
        if dropped:
            raise RuntimeError(f"the capture lost {dropped} packets")

    def during(self, act):
        """Every request on connections that were made while `act()` ran, in order."""
        self.settle()
        with self.lock:
            self.streams.clear()
        act()
        self.settle()
        with self.lock:
            found = [one for stream in self.streams.values() for one in stream.requests()]
        return [request for _, request in sorted(found, key=lambda one: one[0])]
