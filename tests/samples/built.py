"""Captures written with dpkt, where no kernel on this machine will do what they show, or not within a minute."""

from __future__ import annotations

import gzip
import io
import struct
from collections.abc import Callable, Iterable
from pathlib import Path

import dpkt

from .network import ACK, FIN, PSH, RST, SYN
from .scenario import add

EPOCH = 1_700_000_000_000_000  # microseconds
SECOND = 1_000_000
MACS = {"client": b"\x02\0\0\0\0\x01", "server": b"\x02\0\0\0\0\x02"}
OTHER = {"client": "server", "server": "client"}
MSS_1460 = b"\x02\x04\x05\xb4"

Frames = list[tuple[int, bytes]]  # microseconds since EPOCH, Ethernet frame


class Script:
    """A conversation; sequence and acknowledgment numbers follow from what was said before."""

    def __init__(self, client: str = "10.2.0.1", server: str = "10.2.0.2", *, sport: int = 40000,
                 isn: tuple[int, int] = (1000, 5000)) -> None:  # fmt: skip
        self.frames: Frames = []
        self.now = 0
        self.address = {"client": bytes(map(int, client.split("."))), "server": bytes(map(int, server.split(".")))}
        self.port = {"client": sport, "server": 80}
        self.next = {"client": isn[0], "server": isn[1]}
        self.window = {"client": 64240, "server": 64240}
        self.ident = 0

    def say(self, sender: str, flags: int, length: int = 0, *, after: int = 1000, seq: int | None = None,
            ack: int | None = None, window: int | None = None, options: bytes = b"") -> None:  # fmt: skip
        """One segment, `after` microseconds after the one before.  seq: not the next number (it does not advance)."""
        self.now += after
        self.ident += 1
        peer = OTHER[sender]
        if window is not None:
            self.window[sender] = window
        segment = dpkt.tcp.TCP(
            sport=self.port[sender], dport=self.port[peer], seq=self.next[sender] if seq is None else seq,
            ack=(self.next[peer] if ack is None else ack) if flags & ACK else 0, flags=flags,
            win=0 if flags & RST else self.window[sender], opts=options, data=b"x" * length,
        )  # fmt: skip
        segment.off = (20 + len(options)) // 4
        packet = dpkt.ip.IP(src=self.address[sender], dst=self.address[peer], p=6, id=self.ident, df=1, data=segment)
        packet.len = len(packet)
        frame = dpkt.ethernet.Ethernet(src=MACS[sender], dst=MACS[peer], data=packet)
        self.frames.append((self.now, bytes(frame)))
        if seq is None:
            self.next[sender] = (self.next[sender] + length + bool(flags & SYN) + bool(flags & FIN)) % 2**32

    def open(self) -> None:
        self.say("client", SYN, options=MSS_1460)
        self.say("server", SYN | ACK, after=10_000, options=MSS_1460)
        self.say("client", ACK, after=50)

    def talk(self) -> None:
        self.say("client", ACK | PSH, 100)
        self.say("server", ACK, after=10_000)
        self.say("server", ACK | PSH, 500)
        self.say("client", ACK, after=50)

    def close(self) -> None:
        self.say("client", ACK | FIN)
        self.say("server", ACK, after=10_000)
        self.say("server", ACK | FIN)
        self.say("client", ACK, after=50)


def pcap(frames: Iterable[tuple[int, bytes]]) -> bytes:
    out = io.BytesIO()
    writer = dpkt.pcap.Writer(out, snaplen=262144)
    for time, frame in frames:
        writer.writepkt_time(frame, (EPOCH + time) / SECOND)
    return out.getvalue()


def built(suffix: str = "pcap") -> Callable[[Callable[[], bytes]], Callable[[], bytes]]:
    """The sample is named as the function, which gives the file's bytes."""

    def register(function: Callable[[], bytes]) -> Callable[[], bytes]:
        def make(path: Path) -> None:
            path.write_bytes(function())

        add(f"{function.__name__}.{suffix}", make)
        return function

    return register


def usual() -> Script:
    script = Script()
    script.open()
    script.talk()
    script.close()
    return script


@built()
def simultaneous_open() -> bytes:
    """RFC 9293 figure 8: the SYNs cross, each side answers with SYN-ACK."""
    script = Script()
    script.port["server"] = 40001
    script.say("client", SYN, options=MSS_1460)
    script.say("server", SYN, after=200, options=MSS_1460)
    script.say("client", SYN | ACK, after=10_000, seq=1000, options=MSS_1460)
    script.say("server", SYN | ACK, after=200, seq=5000, options=MSS_1460)
    script.talk()
    script.close()
    return pcap(script.frames)


@built()
def sliding_window() -> bytes:
    """The textbook's 18 segments: client 4096/MSS 1460/ISN 0, server 6144/MSS 1024/ISN 8000."""
    script = Script(isn=(0, 8000))
    script.say("client", SYN, window=4096, options=MSS_1460)
    script.say("server", SYN | ACK, window=6144, options=b"\x02\x04\x04\x00")
    script.say("client", ACK)
    for _ in range(6):
        script.say("client", ACK, 1024)
    script.say("server", ACK, window=2048)
    script.say("server", ACK, window=4096)
    script.say("client", ACK, 1024)
    script.say("client", ACK | FIN, 1024)
    for window in (2048, 4096, 6144):
        script.say("server", ACK, window=window)
    script.say("server", ACK | FIN)
    script.say("client", ACK)
    return pcap(script.frames)


@built()
def silly_window() -> bytes:
    """The client's program reads 200 bytes at a time, and its TCP says so each time: the server sends 200 each time."""
    script = Script()
    script.open()
    script.say("client", PSH | ACK, 20, window=1460)
    script.say("server", ACK, 1460, after=10_000)
    for _ in range(20):
        script.say("client", ACK, window=200, after=5_000)
        script.say("server", ACK, 200, after=10_000)
    script.say("client", ACK, window=64240)
    script.close()
    return pcap(script.frames)


@built()
def span_duplicates() -> bytes:
    """A mirror port shows every frame twice, 20 µs apart."""
    return pcap((time + copy, frame) for time, frame in usual().frames for copy in (0, 20))


@built()
def syn_flood() -> bytes:
    """Fifty spoofed sources, 10 ms apart; the server repeats each SYN-ACK after a second."""
    frames: Frames = []
    for number in range(50):
        script = Script(f"198.51.100.{number + 1}", "10.2.0.2", sport=1024 + number, isn=(number << 20, number << 24))
        script.say("client", SYN, after=number * 10_000, options=MSS_1460)
        script.say("server", SYN | ACK, after=20, seq=number << 24, options=MSS_1460)
        script.say("server", SYN | ACK, after=SECOND, seq=number << 24, options=MSS_1460)
        frames += script.frames
    return pcap(sorted(frames))


def syn_series(gaps: Iterable[int]) -> bytes:
    script = Script()
    for gap in gaps:
        script.say("client", SYN, after=gap * SECOND, seq=1000, options=MSS_1460)
    return pcap(script.frames)


@built()
def syn_retries_bsd() -> bytes:
    """The classic BSD schedule: again after 6 and 24 seconds, given up at 75."""
    return syn_series((0, 6, 24))


@built()
def syn_retries_linux() -> bytes:
    """Linux' schedule: again after 1, 2, 4, 8, 16 and 32 seconds, given up at 127."""
    return syn_series((0, 1, 2, 4, 8, 16, 32))


@built()
def idle_reset() -> bytes:
    """Six minutes of silence, then the server's side resets."""
    script = Script()
    script.open()
    script.talk()
    script.say("server", RST | ACK, after=360 * SECOND)
    return pcap(script.frames)


@built()
def keep_alive_train() -> bytes:
    """Two hours of silence, nine unanswered probes 75 s apart, then RST."""
    script = Script()
    script.open()
    script.talk()
    for number in range(9):
        script.say("client", ACK, after=(75 if number else 7200) * SECOND, seq=script.next["client"] - 1)
    script.say("client", RST | ACK, after=75 * SECOND)
    return pcap(script.frames)


@built()
def vlan_vxlan() -> bytes:
    """The connection inside VXLAN (VNI 7) inside VLAN 42."""
    frames: Frames = []
    for time, inner in usual().frames:
        datagram = dpkt.udp.UDP(sport=50000, dport=4789, data=struct.pack(">II", 8 << 24, 7 << 8) + inner)
        datagram.ulen = len(datagram)
        packet = dpkt.ip.IP(src=b"\x0a\x09\0\x01", dst=b"\x0a\x09\0\x02", p=17, data=datagram)
        packet.len = len(packet)
        frames.append((time, MACS["server"] + MACS["client"] + b"\x81\x00\x00\x2a\x08\x00" + bytes(packet)))
    return pcap(frames)


@built("pcap.gz")
def compressed() -> bytes:
    """An ordinary connection in a gzip file (no time stamp in it: the same bytes each time)."""
    return gzip.compress(pcap(usual().frames), mtime=0)


def block(kind: int, body: bytes) -> bytes:
    """A pcapng block."""
    body += bytes(-len(body) % 4)
    return struct.pack("<II", kind, len(body) + 12) + body + struct.pack("<I", len(body) + 12)


def interface(tsresol: int) -> bytes:
    """An Ethernet interface whose time stamps count units of 10**-tsresol seconds."""
    return block(1, struct.pack("<HHI", 1, 0, 262144) + struct.pack("<HHB3xHH", 9, 1, tsresol, 0, 0))


@built("pcapng")
def two_interfaces() -> bytes:
    """Two connections at once, one on an interface with microseconds, one on an interface with nanoseconds."""
    second = Script("10.3.0.1", "10.3.0.2", sport=50000)
    second.now = 5_000
    second.open()
    second.talk()
    second.close()
    out = block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1)) + interface(6) + interface(9)
    packets = [(time, 0, frame) for time, frame in usual().frames] + [(time, 1, frame) for time, frame in second.frames]
    for time, number, frame in sorted(packets):
        stamp = (EPOCH + time) * (1000 if number else 1)
        head = struct.pack("<IIIII", number, stamp >> 32, stamp & 0xFFFFFFFF, len(frame), len(frame))
        out += block(6, head + frame)
    return out


@built()
def host_scan() -> bytes:
    """One port of thirty hosts, each tried once within a second; none answers."""
    frames: Frames = []
    for number in range(30):
        flow = Script("10.2.0.1", f"10.2.3.{number + 1}", sport=40000 + number)
        flow.now = number * 30_000
        flow.say("client", SYN, options=MSS_1460)
        frames += flow.frames
    return pcap(sorted(frames))


@built()
def network_down() -> bytes:
    """A client that means to connect to twenty hosts, and repeats each SYN after 1 and 3 s: no scan."""
    frames: Frames = []
    for number in range(20):
        flow = Script("10.2.0.1", f"10.2.3.{number + 1}", sport=40000 + number)
        flow.now = number * 50_000
        for gap in (0, 1, 2):
            flow.say("client", SYN, after=gap * SECOND, seq=1000, options=MSS_1460)
        frames += flow.frames
    return pcap(sorted(frames))


@built()
def port_reuse_risky() -> bytes:
    """The server rests in TIME_WAIT; a SYN with a lower number and no time stamp takes the port again: ignored."""
    flow = Script()
    flow.open()
    flow.talk()
    flow.say("server", FIN | ACK, after=50_000)
    flow.say("client", ACK)
    flow.say("client", FIN | ACK)
    flow.say("server", ACK)
    for gap in (2, 1, 2):
        flow.say("client", SYN, after=gap * SECOND, seq=500, options=MSS_1460)
    return pcap(flow.frames)


@built()
def unreachable() -> bytes:
    """A router on the path says that the host is unreachable (ICMP type 3, code 1); the client tries again, in vain."""
    script = Script()
    for after in (0, SECOND, 2 * SECOND):
        script.say("client", SYN, after=after, seq=1000, options=MSS_1460)
        syn = dpkt.ethernet.Ethernet(script.frames[-1][1]).data
        quoted = dpkt.icmp.ICMP(type=3, code=1, data=b"\0\0\0\0" + bytes(syn)[:28])
        told = dpkt.ip.IP(src=bytes((10, 2, 0, 254)), dst=script.address["client"], p=1, data=quoted)
        told.len = len(told)
        frame = dpkt.ethernet.Ethernet(src=MACS["server"], dst=MACS["client"], data=told)
        script.now += 3000
        script.frames.append((script.now, bytes(frame)))
    return pcap(script.frames)
