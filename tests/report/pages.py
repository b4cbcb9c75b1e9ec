"""Pages and captures for the tests of the report."""

from __future__ import annotations

import socket
from html.parser import HTMLParser
from pathlib import Path

import dpkt

from tcpscope.report.page import Wanted, gather, render
from tcpscope.tables.analysis import locate

SAMPLES = Path(__file__).parents[2] / "sample_pcaps"
HOSTILE = "<script>window.pwned=1</script><img src=x onerror=window.pwned=2>\"'&amp;\u202etxt.exe"
SYN, ACK, PSH, FIN = 0x02, 0x10, 0x08, 0x01


def page_of(*paths, **wanted):
    return render(gather(locate(list(paths)), Wanted(**wanted)))


class Parsed(HTMLParser):
    """The elements of a page: each tag with its attributes, ids, what refers to them, and what is shown as text."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.ids, self.referred, self.text = [], [], [], []
        self._inside = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.tags.append((tag, found))
        self._inside.append(tag)
        if "id" in found:
            self.ids.append(found["id"])
        if found.get("href", "").startswith("#"):
            self.referred.append(found["href"][1:])
        for name in ("aria-labelledby", "aria-describedby"):
            self.referred += found.get(name, "").split()
        if found.get("clip-path"):
            self.referred.append(found["clip-path"][5:-1])

    def handle_endtag(self, tag):
        if tag in self._inside:
            while self._inside.pop() != tag:
                pass

    def handle_data(self, data):
        if not {"script", "style"} & set(self._inside):
            self.text.append(data)


def client_hello(name: bytes) -> bytes:
    """A TLS 1.2 ClientHello that asks for this server name (RFC 6066, 3)."""
    entry = b"\0" + len(name).to_bytes(2, "big") + name
    sni = len(entry).to_bytes(2, "big") + entry
    extensions = b"\0\0" + len(sni).to_bytes(2, "big") + sni
    body = b"\3\3" + bytes(32) + b"\0" + b"\0\2\x13\x01" + b"\1\0" + len(extensions).to_bytes(2, "big") + extensions
    hello = b"\1" + len(body).to_bytes(3, "big") + body
    return b"\x16\3\1" + len(hello).to_bytes(2, "big") + hello


def conversation(port: int, request: bytes):
    """Handshake, a request that is sent twice, its acknowledgment: Ethernet frames."""
    ends = {"c": ("10.9.0.1", 50000 + port), "s": ("10.9.0.2", port)}
    for sender, flags, seq, ack, data in (
        ("c", SYN, 99, 0, b""), ("s", SYN | ACK, 499, 100, b""), ("c", ACK, 100, 500, b""),
        ("c", PSH | ACK, 100, 500, request), ("c", PSH | ACK, 100, 500, request),
        ("s", ACK, 500, 100 + len(request), b""),
    ):  # fmt: skip
        (src, sport), (dst, dport) = ends[sender], ends["s" if sender == "c" else "c"]
        tcp = dpkt.tcp.TCP(sport=sport, dport=dport, seq=seq, ack=ack, flags=flags, data=data, win=64000)
        ip = dpkt.ip.IP(src=socket.inet_aton(src), dst=socket.inet_aton(dst), p=6, ttl=64, data=tcp)
        yield bytes(dpkt.ethernet.Ethernet(src=b"\2\0\0\0\0\1", dst=b"\2\0\0\0\0\2", data=ip))


def hostile_capture(folder: Path) -> Path:
    """A pcapng whose every name is an attack: file, folder, interface, comments, TLS server name, HTTP Host.

    It is cut off, for the finding about that has the whole path in it.
    """
    text = HOSTILE.encode()
    option = dpkt.pcapng.PcapngOptionLE
    end = option(code=0)
    interface = dpkt.pcapng.InterfaceDescriptionBlockLE(
        snaplen=65535, opts=[option(code=2, data=text), option(code=3, data=text), option(code=1, data=text), end]
    )
    path = folder / "a<" / "script><script>window.pwned=3;<" / "script><b onclick='x'>\"\u202e.pcapng"
    path.parent.mkdir(parents=True)
    with path.open("wb") as stream:
        header = dpkt.pcapng.SectionHeaderBlockLE(opts=[option(code=1, data=text), option(code=4, data=text), end])
        writer = dpkt.pcapng.Writer(stream, shb=header, idb=interface)
        now = 1_700_000_000.0
        hosts = client_hello(text), b"GET / HTTP/1.1\r\nHost: " + text + b"\r\nUser-Agent: " + text + b"\r\n\r\n"
        for port, request in zip((443, 80), hosts, strict=True):
            for frame in conversation(port, request):
                writer.writepkt(frame, ts=now)
                now += 0.3
    path.write_bytes(path.read_bytes()[:-8])
    return path


def many(path: Path, count: int) -> Path:
    """A capture of `count` SYNs without answers, each of another client."""
    with path.open("wb") as stream:
        writer = dpkt.pcap.Writer(stream)
        for number in range(count):
            tcp = dpkt.tcp.TCP(sport=1024 + number % 60000, dport=80, seq=number, flags=SYN, win=64000)
            ip = dpkt.ip.IP(src=bytes((11, number >> 16, number >> 8 & 255, number & 255)), dst=bytes((10, 0, 0, 1)),
                            p=6, data=tcp)  # fmt: skip
            writer.writepkt(bytes(dpkt.ethernet.Ethernet(data=ip)), ts=1_700_000_000 + number / 1000)
    return path
