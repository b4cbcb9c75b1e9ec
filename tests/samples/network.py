"""Two hosts as network namespaces, and a relay between their taps that can lose, delay and double packets."""

from __future__ import annotations

import ctypes
import fcntl
import heapq
import itertools
import os
import select
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

CLONE_NEWNET = 0x40000000
TUNSETIFF, IFF_TAP, IFF_NO_PI = 0x400454CA, 0x0002, 0x1000
TCP_REPAIR = 19
FIN, SYN, RST, PSH, ACK = 0x01, 0x02, 0x04, 0x08, 0x10

_libc = ctypes.CDLL(None, use_errno=True)


def run(*words: str) -> None:
    subprocess.run(words, check=True, capture_output=True)


@contextmanager
def inside(namespace: str) -> Iterator[None]:
    """This thread is in the namespace."""
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    there = os.open(f"/run/netns/{namespace}", os.O_RDONLY)
    try:
        if _libc.setns(there, CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), f"cannot enter {namespace}")
        yield
    finally:
        _libc.setns(home, CLONE_NEWNET)
        os.close(there)
        os.close(home)


@dataclass(frozen=True)
class Packet:
    """One TCP packet on its way; `frame` is the whole Ethernet frame."""

    frame: bytes
    sender: str
    flags: int
    seq: int
    length: int

    @classmethod
    def parse(cls, frame: bytes, sender: str) -> Packet | None:
        """None: no TCP packet."""
        if frame[12:14] == b"\x08\x00" and frame[23] == 6:
            at = 14 + (frame[14] & 15) * 4
            end = 14 + struct.unpack_from(">H", frame, 16)[0]
        elif frame[12:14] == b"\x86\xdd" and frame[20] == 6:
            at = 54
            end = 54 + struct.unpack_from(">H", frame, 18)[0]
        else:
            return None
        seq, offset, flags = struct.unpack_from(">4xI4xBB", frame, at)
        return cls(frame, sender, flags, seq, end - at - (offset >> 4) * 4)


Rule = Callable[[Packet], Iterable[float] | bytes]


def deliver(packet: Packet) -> Iterable[float]:
    """The rule of a network without fault."""
    return (0.0,)


class Host:
    """A namespace with one tap interface."""

    def __init__(self, namespace: str, number: int) -> None:
        self.namespace = namespace
        self.address, self.address6 = f"10.1.0.{number}", f"fd00:1::{number}"
        self.mac = f"02:00:00:00:00:0{number}"
        run("ip", "netns", "add", namespace)
        with self.inside():
            self.tap = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
            fcntl.ioctl(self.tap, TUNSETIFF, struct.pack("16sH22x", b"eth0", IFF_TAP | IFF_NO_PI))
            self.sysctl("net.ipv6.conf.eth0.accept_dad", 0)
            run("ip", "link", "set", "eth0", "address", self.mac, "up")
            run("ip", "address", "add", f"{self.address}/24", "dev", "eth0")
            run("ip", "address", "add", f"{self.address6}/64", "dev", "eth0", "nodad")
            self.sysctl("net.ipv4.tcp_no_metrics_save", 1)
            self.sysctl("net.ipv4.tcp_syn_linear_timeouts", 0)

    def knows(self, peer: Host) -> None:
        """No ARP, no neighbour discovery: the samples hold nothing but TCP."""
        with self.inside():
            for address in (peer.address, peer.address6):
                run("ip", "neigh", "replace", address, "lladdr", peer.mac, "dev", "eth0", "nud", "permanent")

    def inside(self) -> AbstractContextManager[None]:
        """This thread is in the host's namespace; a socket stays where it was made."""
        return inside(self.namespace)

    def sysctl(self, name: str, value: object) -> None:
        with self.inside(), open("/proc/sys/" + name.replace(".", "/"), "w") as file:
            file.write(str(value))

    def socket(self, port: int = 0, family: int = socket.AF_INET) -> socket.socket:
        """A TCP socket on this host, bound to `port` if one is given; gives up after 30 s."""
        with self.inside():
            made = socket.socket(family, socket.SOCK_STREAM)
        made.settimeout(30)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if port:
            made.bind((self.address if family == socket.AF_INET else self.address6, port))
        return made

    def close(self) -> None:
        os.close(self.tap)
        run("ip", "netns", "del", self.namespace)


class Lab:
    """Client, server, and the relay; `rule` may be changed at any moment."""

    def __init__(self, name: str, delay: float) -> None:
        stem = f"ts{os.getpid() % 100000}-{name}"
        self.client, self.server = Host(f"{stem}-c", 1), Host(f"{stem}-s", 2)
        self.client.knows(self.server)
        self.server.knows(self.client)
        self.delay = delay
        self.rule: Rule = deliver
        self.capture: Callable[[], AbstractContextManager[None]]
        self._stop = threading.Event()
        self._relay = threading.Thread(target=self._carry, daemon=True)
        self._relay.start()

    def _carry(self) -> None:
        """Move frames between the taps; `due` holds (when, order, where to, frame)."""
        names = {self.client.tap: "client", self.server.tap: "server"}
        other = {self.client.tap: self.server.tap, self.server.tap: self.client.tap}
        due: list[tuple[float, int, int, bytes]] = []
        order = itertools.count()
        while not self._stop.is_set():
            wait = min(0.1, max(0.0, due[0][0] - time.monotonic())) if due else 0.1
            for tap in select.select(list(names), [], [], wait)[0]:
                now = time.monotonic()
                frame = os.read(tap, 65536)
                packet = Packet.parse(frame, names[tap])
                copies = self.rule(packet) if packet else ()
                if isinstance(copies, bytes):  # the rule changed the frame
                    frame, copies = copies, (0.0,)
                for extra in copies:
                    heapq.heappush(due, (now + self.delay + extra, next(order), other[tap], frame))
            while due and due[0][0] <= time.monotonic():
                _, _, tap, frame = heapq.heappop(due)
                os.write(tap, frame)

    def close(self) -> None:
        self._stop.set()
        self._relay.join()
        self.client.close()
        self.server.close()

    def listen(self, port: int = 80, family: int = socket.AF_INET, **options: int) -> socket.socket:
        """A listening socket of the server; its connections inherit the TCP or socket options."""
        listener = self.server.socket(port, family)
        set_options(listener, **options)
        listener.listen(64)
        return listener

    def connect(
        self, port: int = 80, source: int = 40000, family: int = socket.AF_INET, **options: int
    ) -> socket.socket:
        """A connected socket of the client."""
        made = self.client.socket(source, family)
        set_options(made, **options)
        made.connect((self.server.address if family == socket.AF_INET else self.server.address6, port))
        return made

    def pair(self, port: int = 80, source: int = 40000, **options: int) -> tuple[socket.socket, socket.socket]:
        """Both ends of a new connection, the client's first."""
        with self.listen(port, **options) as listener:
            client = self.connect(port, source, **options)
            server, _ = listener.accept()
        server.settimeout(30)
        return client, server


def set_options(made: socket.socket, **options: int) -> None:
    """By Python's names: TCP_NODELAY=1, SO_RCVBUF=4096."""
    for name, value in options.items():
        level = socket.SOL_SOCKET if name.startswith("SO_") else socket.IPPROTO_TCP
        made.setsockopt(level, getattr(socket, name), value)


def receive(end: socket.socket, count: int) -> bytes:
    """Exactly `count` bytes, fewer only at the stream's end."""
    got = b""
    while len(got) < count and (more := end.recv(count - len(got))):
        got += more
    return got


def drain(end: socket.socket) -> int:
    """Read to the end of the stream; how many bytes."""
    count = 0
    while more := end.recv(65536):
        count += len(more)
    return count


def crash(end: socket.socket) -> None:
    """The socket vanishes without a packet, as with the machine that held it (closed in repair mode)."""
    end.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, 1)
    end.close()


def checksummed(frame: bytearray) -> bytes:
    """An IPv4 frame with the right IP and TCP checksums, after a change of its bytes."""
    at = 14 + (frame[14] & 15) * 4
    end = 14 + int.from_bytes(frame[16:18], "big")
    frame[24:26] = frame[at + 16 : at + 18] = b"\0\0"
    frame[24:26] = _sum(frame[14:at]).to_bytes(2, "big")
    pseudo = frame[26:34] + struct.pack(">HH", 6, end - at)
    frame[at + 16 : at + 18] = _sum(pseudo + frame[at:end]).to_bytes(2, "big")
    return bytes(frame)


def _sum(data: bytes | bytearray) -> int:
    """RFC 1071."""
    total = sum(struct.unpack(f">{(len(data) + 1) // 2}H", bytes(data) + b"\0" * (len(data) % 2)))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF
