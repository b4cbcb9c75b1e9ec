"""A script's left half as a capture: Ethernet, IPv4, TCP, and ICMP errors.

Payload is a function of its place in the stream, so that a segment sent twice is equal byte for
byte, and one with the same `id` is the same packet.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

import dpkt

from .script import UNREACHABLE, Icmp, Packet, Script

START_S = 1_700_000_000  # the epoch second of the script's time 0
FLAG_BITS = {"F": 1, "S": 2, "R": 4, "P": 8, ".": 16, "U": 32, "E": 64, "W": 128, "e": 256}
# TTLs on arrival at the capture point; 64 has not passed a router
TTLS = {"client": (64, 57), "server": (57, 64), "middle": (60, 58)}
# Port 9 is "discard": no dissector of Wireshark guesses at its data.
DEFAULTS = {
    "C": {"ip": "192.0.2.1", "port": "40000", "isn": "1000000", "id": "100", "win": "65535"},
    "S": {"ip": "198.51.100.2", "port": "9", "isn": "8000000", "id": "5000", "win": "65535"},
}
MAC = {"C": b"\x02\0\0\0\0\x01", "S": b"\x02\0\0\0\0\x02", "R": b"\x02\0\0\0\0\x03"}
TEXT = bytes(range(32, 127))


@dataclass
class Host:
    """One sender: its addresses and defaults, its IP ID so far, its last packet."""

    ip: bytes
    port: int
    isn: int
    next_id: int
    window: int
    ttl: int
    mss: int
    last: bytes = b""


def write(script: Script, path: Path) -> None:
    """Write the script's packets to a pcap file, microseconds, Ethernet."""
    records = [struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, 1)]
    for time_us, frame in frames(script):
        second, part = divmod(time_us, 1_000_000)
        records.append(struct.pack("<IIII", START_S + second, part, len(frame), len(frame)) + frame)
    path.write_bytes(b"".join(records))


def frames(script: Script) -> list[tuple[int, bytes]]:
    """Time in microseconds and bytes of each frame."""
    ttls = dict(zip("CS", TTLS[script.setting("vantage") or "middle"], strict=True))
    hosts = {
        "C": host({**DEFAULTS["C"], "ttl": str(ttls["C"]), **script.side("client")}),
        "S": host({**DEFAULTS["S"], "ttl": str(ttls["S"]), **script.side("server")}),
    }
    built = []
    last = "C"
    for item in script.frames:
        if isinstance(item, Packet):
            packet = segment(item, hosts[item.who], hosts[other(item.who)])
            last = item.who
            built.append((item.time_us, ethernet(item.who, packet)))
        else:
            built.append((item.time_us, ethernet(item.who, unreachable(item, hosts, last))))
    return built


def host(words: dict[str, str]) -> Host:
    ip = bytes(int(part) for part in words["ip"].split("."))
    return Host(ip, int(words["port"]), int(words["isn"]), int(words["id"]), int(words["win"]),
                int(words["ttl"]), int(words.get("mss", "0")))  # fmt: skip


def other(who: str) -> str:
    return "S" if who == "C" else "C"


def ethernet(who: str, packet: bytes) -> bytes:
    to = "C" if who == "S" else "S"
    return MAC[to] + MAC[who] + b"\x08\x00" + packet


def segment(p: Packet, me: Host, peer: Host) -> bytes:
    """The IPv4 packet that carries p."""
    flags = 0 if p.flags == "none" else sum(FLAG_BITS[letter] for letter in p.flags)
    options = p.options or ((f"mss {me.mss}",) if me.mss and "S" in p.flags else ())
    tcp = dpkt.tcp.TCP(
        sport=me.port, dport=peer.port,
        seq=(me.isn + p.seq) % 2**32,
        ack=0 if p.ack is None else (peer.isn + p.ack) % 2**32,
        flags=flags, win=me.window if p.window is None else p.window,
        opts=encode_options(options, me.isn, peer.isn), data=payload(p.seq + ("S" in p.flags), p.end - p.seq),
    )  # fmt: skip
    tcp.off = 5 + len(tcp.opts) // 4
    ident = me.next_id if p.ident is None else p.ident
    me.next_id = (ident + 1) % 65536
    tcp.sum = checksum(me, peer, bytes(tcp)) ^ (0x0F0F if p.bad else 0)
    me.last = ipv4(me.ip, peer.ip, dpkt.ip.IP_PROTO_TCP, bytes(tcp), ident, p.ttl or me.ttl)
    return me.last


def ipv4(source: bytes, target: bytes, protocol: int, data: bytes, ident: int, ttl: int) -> bytes:
    packet = dpkt.ip.IP(src=source, dst=target, p=protocol, id=ident, ttl=ttl, data=data)
    packet.len = len(packet)
    return bytes(packet)


def checksum(me: Host, peer: Host, tcp: bytes) -> int:
    pseudo = me.ip + peer.ip + struct.pack("!BBH", 0, 6, len(tcp))
    return int(dpkt.in_cksum(pseudo + tcp))


def payload(start: int, length: int) -> bytes:
    """The stream's bytes from `start` on; a SYN's first byte stands at 1, as it does when sent again."""
    return bytes(TEXT[place % len(TEXT)] for place in range(start, start + length))


def encode_options(options: tuple[str, ...], mine: int, peers: int) -> bytes:
    """tcpdump's words as bytes, padded with NOPs to a multiple of four."""
    raw = b"".join(encode_option(option, peers) for option in options)
    return raw + b"\x01" * (-len(raw) % 4)


def encode_option(option: str, peers: int) -> bytes:
    kind, *words = option.split()
    match kind, words:
        case "nop", []:
            return b"\x01"
        case "mss", [size]:
            return struct.pack("!BBH", 2, 4, int(size))
        case "wscale", [shift]:
            return struct.pack("!BBB", 3, 3, int(shift))
        case "sackOK", []:
            return struct.pack("!BB", 4, 2)
        case "sack", blocks if blocks:
            edges = [(peers + int(edge)) % 2**32 for block in blocks for edge in block.split(":")]
            return struct.pack(f"!BB{len(edges)}I", 5, 2 + 4 * len(edges), *edges)
        case "TS", ["val", value, "ecr", echo]:
            return struct.pack("!BBII", 8, 10, int(value), int(echo))
        case "tfo", ["cookiereq"]:
            return struct.pack("!BB", 34, 2)
        case "tfo", ["cookie", cookie]:
            return struct.pack("!BB", 34, 2 + len(cookie) // 2) + bytes.fromhex(cookie)
    raise ValueError(f"unknown option {option!r}")


def unreachable(item: Icmp, hosts: dict[str, Host], last: str) -> bytes:
    """RFC 792: the IP header and eight bytes of the offending packet."""
    offender = last if item.who == "R" else other(item.who)
    quoted = hosts[offender].last[:28]
    data = struct.pack("!I", 0) + quoted
    icmp = struct.pack("!BBH", 3, UNREACHABLE[item.what], 0) + data
    icmp = icmp[:2] + struct.pack("!H", dpkt.in_cksum(icmp)) + icmp[4:]
    source = bytes((203, 0, 113, 1)) if item.who == "R" else hosts[item.who].ip
    return ipv4(source, hosts[offender].ip, dpkt.ip.IP_PROTO_ICMP, icmp, ident=1, ttl=60)
