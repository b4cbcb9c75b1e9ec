"""A capture that is the same bytes everywhere: for counting instructions.

Connections are generators of packets, merged by time: short ones, bulk with loss and SACK, a
reader that closes its window, idle ones with keep-alives, flows that stay half-open.  Random numbers come from
`random.Random(seed).random()` alone, which Python promises not to change.
"""

from __future__ import annotations

import heapq
import itertools
import random
import struct
from collections.abc import Iterator
from dataclasses import dataclass

FIN, SYN, RST, PUSH, ACK = 1, 2, 4, 8, 16
CLIENT, SERVER = 0, 1
MSS = 1448
SNAPLEN = 128
EACH = 600  # microseconds between the beginnings of two short connections
FIRST = 1_700_000_000 * 1_000_000  # microseconds
SYN_OPTIONS = bytes.fromhex("020405b40402080a0000000100000000") + bytes.fromhex("01030307")


@dataclass
class Sent:
    """A packet, `after` microseconds after the last of its connection; seq and ack from 0, `sack` a block of them."""

    after: float
    sender: int
    flags: int
    seq: int
    ack: int
    length: int = 0
    window: int = 502
    sack: tuple[int, int] | None = None


Talk = Iterator[Sent]


def opening(trip: float) -> Talk:
    yield Sent(0, CLIENT, SYN, 0, 0)
    yield Sent(trip, SERVER, SYN | ACK, 0, 1)
    yield Sent(trip, CLIENT, ACK, 1, 1)


def closing(first: int, trip: float, asked: int, answered: int) -> Talk:
    """Both sides; `first` closes first."""
    mine, its = (asked, answered) if first == CLIENT else (answered, asked)
    yield Sent(trip, first, FIN | ACK, mine, its)
    yield Sent(trip, 1 - first, ACK, its, mine + 1)
    yield Sent(trip, 1 - first, FIN | ACK, its, mine + 1)
    yield Sent(trip, first, ACK, mine + 1, its + 1)


def short(luck: random.Random) -> Talk:
    """A request and its answer; one in twelve is refused, one in ten reset, in some a segment is lost."""
    trip = 200 + 2000 * luck.random()
    drawn = luck.random()
    if drawn < 0.08:
        yield Sent(0, CLIENT, SYN, 0, 0)
        yield Sent(trip, SERVER, RST | ACK, 0, 1)
        return
    if luck.random() < 0.02:
        yield Sent(0, CLIENT, SYN, 0, 0)
        yield from opening_again(trip)
    else:
        yield from opening(trip)
    asked, answered = 1, 1
    for _ in range(1 if luck.random() < 0.7 else 6):
        request, left = 80 + int(500 * luck.random()), int(200 + 8000 * luck.random() ** 3)
        yield Sent(50, CLIENT, PUSH | ACK, asked, answered, request)
        asked += request
        for number in itertools.count():
            size = min(left, MSS)
            lost = luck.random() < 0.01
            yield Sent(trip if not number else 12, SERVER, ACK | PUSH * (left <= MSS), answered, asked, size)
            if lost:
                yield Sent(220_000, SERVER, ACK | PUSH * (left <= MSS), answered, asked, size)
            left, answered = left - size, answered + size
            if number % 2 or not left:
                yield Sent(trip, CLIENT, ACK, asked, answered)
            if not left:
                break
    if drawn < 0.18:
        yield Sent(trip, CLIENT, RST | ACK, asked, answered)
    else:
        yield from closing(SERVER if drawn < 0.7 else CLIENT, trip, asked, answered)


def opening_again(trip: float) -> Talk:
    """The first SYN was lost."""
    yield Sent(1_000_000, CLIENT, SYN, 0, 0)
    yield Sent(trip, SERVER, SYN | ACK, 0, 1)
    yield Sent(trip, CLIENT, ACK, 1, 1)


def bulk(luck: random.Random, flights: int, loss: float) -> Talk:
    """Flights of forty segments; what is lost is told by SACK and sent again after three duplicates."""
    yield from opening(1000)
    yield Sent(50, CLIENT, PUSH | ACK, 1, 1, 100)
    base = 1
    for _ in range(flights):
        missing: list[int] = []
        size = 10 + int(31 * luck.random())
        for number in range(size):
            yield Sent(1000 if not number else 12, SERVER, ACK, base + number * MSS, 101, MSS)
            if luck.random() < loss:
                missing.append(number)
        for number in range(size):
            if number in missing:
                continue
            below = [it for it in missing if it < number]
            if below:
                start = base + (below[-1] + 1) * MSS
                block = start, base + (number + 1) * MSS
                yield Sent(10, CLIENT, ACK, 101, base + below[0] * MSS, sack=block)
            elif number % 2:
                yield Sent(10, CLIENT, ACK, 101, base + (number + 1) * MSS)
        for at, number in enumerate(missing):
            tail = number >= size - 3
            yield Sent(210_000 if tail else 400, SERVER, ACK, base + number * MSS, 101, MSS)
            until = missing[at + 1] if at + 1 < len(missing) else size
            yield Sent(900, CLIENT, ACK, 101, base + until * MSS)
        base += size * MSS
    yield from closing(SERVER, 1000, 101, base)


def slow(luck: random.Random, rounds: int) -> Talk:
    """The client's window closes; the server probes until it opens."""
    yield from opening(500)
    base = 1
    for _ in range(rounds):
        for number in range(5):
            yield Sent(20, SERVER, ACK, base, 1, MSS)
            base += MSS
            yield Sent(400, CLIENT, ACK, 1, base, window=max(0, 48 - 12 * number))
        yield Sent(200_000, SERVER, ACK, base - 1, 1)
        yield Sent(400, CLIENT, ACK, 1, base, window=0)
        yield Sent(100_000 + 50_000 * luck.random(), CLIENT, ACK, 1, base)
    yield from closing(SERVER, 500, 1, base)


def idle(rounds: int) -> Talk:
    yield from opening(700)
    for _ in range(rounds):
        yield Sent(1_000_000, CLIENT, ACK, 0, 1)
        yield Sent(700, SERVER, ACK, 1, 1)


def half_open() -> Talk:
    yield Sent(0, CLIENT, SYN, 0, 0)
    yield Sent(5, SERVER, SYN | ACK, 0, 1)


# ------------------------------------------------------------ as bytes


def checksum(data: bytes) -> int:
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def frame(flow: int, time: int, sent: Sent) -> bytes:
    """The record of a packet of a flow, cut at the snaplen; the payload is zeros."""
    host, port = bytes([10, flow >> 16 & 255, flow >> 8 & 255, flow & 255]), 10_000 + flow * 7 % 50_000
    issues = flow * 48_271 & 0xFFFFFFFF, flow * 69_621 & 0xFFFFFFFF
    ends = (host, port), (b"\xc0\xa8\0\1", 80)
    (src, sport), (dst, dport) = ends[sent.sender], ends[1 - sent.sender]
    seq = issues[sent.sender] + sent.seq & 0xFFFFFFFF
    ack = issues[1 - sent.sender] + sent.ack & 0xFFFFFFFF if sent.flags & ACK else 0
    if sent.flags & SYN:
        options = SYN_OPTIONS
    else:
        options = struct.pack(">HHII", 0x0101, 0x080A, time // 1000 & 0xFFFFFFFF, time // 1000 - 1 & 0xFFFFFFFF)
        if sent.sack:
            left, right = (issues[1 - sent.sender] + it & 0xFFFFFFFF for it in sent.sack)
            options += struct.pack(">HHII", 0x0101, 0x050A, left, right)
    size = 20 + len(options)
    ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + size + sent.length, time & 0xFFFF, 0x4000, 64, 6, 0, src, dst)
    ip = ip[:10] + checksum(ip).to_bytes(2, "big") + ip[12:]
    window = 64240 if sent.flags & SYN else sent.window
    tcp = struct.pack(">HHIIBBHHH", sport, dport, seq, ack, size << 2, sent.flags, window, 0, 0) + options
    summed = checksum(src + dst + struct.pack(">II", 6, size + sent.length) + tcp)
    tcp = tcp[:16] + summed.to_bytes(2, "big") + tcp[18:]
    whole = b"\2\0\0\0\0\2\2\0\0\0\0\1\x08\0" + ip + tcp
    kept = (whole + bytes(max(0, min(sent.length, SNAPLEN - len(whole)))))[:SNAPLEN]
    return struct.pack("<IIII", time // 1_000_000, time % 1_000_000, len(kept), len(whole) + sent.length) + kept


def header() -> bytes:
    return struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, SNAPLEN, 1)


def merged(talks: list[tuple[float, Talk]]) -> bytes:
    """The capture of connections that begin at these microseconds."""
    out = [header()]
    waiting: list[tuple[float, int, Sent]] = []
    for flow, (start, talk) in enumerate(talks):
        heapq.heappush(waiting, (start, flow, next(talk)))
    while waiting:
        now, flow, sent = heapq.heappop(waiting)
        out.append(frame(flow, FIRST + int(now), sent))
        following = next(talks[flow][1], None)
        if following is not None:
            heapq.heappush(waiting, (now + following.after, flow, following))
    return b"".join(out)


def mix(shorts: int = 2000) -> bytes:
    """Some thirty packets for each of the short connections, two thirds of them bulk."""
    luck = random.Random(9293)
    talks: list[tuple[float, Talk]] = [
        (number * EACH * (0.5 + luck.random()), short(random.Random(number))) for number in range(shorts)
    ]
    span = shorts * EACH
    for number in range(20):
        loss = 0.01 if number % 2 else 0.0
        talks.append((span * luck.random() / 2, bulk(random.Random(-number), shorts // 40, loss)))
    talks += [(span * luck.random(), slow(random.Random(number), 10)) for number in range(10)]
    talks += [(span * luck.random() / 2, idle(5)) for _ in range(50)]
    return merged(talks)


def flood(flows: int = 20_000) -> bytes:
    """Flows that stay half-open."""
    return merged([(number * 10.0, half_open()) for number in range(flows)])


def without_tcp(capture: bytes) -> bytes:
    """The same frames under an EtherType that nobody knows: all there is to do is to read them."""
    out, at = [capture[:24]], 24
    while at < len(capture):
        (kept,) = struct.unpack_from("<8xI", capture, at)
        end = at + 16 + kept
        out.append(capture[at : at + 28] + b"\x88\xb5" + capture[at + 30 : end])
        at = end
    return b"".join(out)


def count(capture: bytes) -> int:
    """Its packets."""
    found, at = 0, 24
    while at < len(capture):
        at += 16 + struct.unpack_from("<8xI", capture, at)[0]
        found += 1
    return found
