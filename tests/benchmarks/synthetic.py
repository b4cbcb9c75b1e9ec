"""Captures of one shape and any size, for the curves: every packet follows from its number alone.

    python -m tests.benchmarks.synthetic churn|flood|robin PACKETS CONNECTIONS FILE

* churn: short connections of twelve packets, a thousand open at a time, as one ends the next begins
* robin: N connections that all stay open and take turns, a request or an answer each
* flood: N flows that never get past SYN and SYN,ACK, from as many addresses

Frames are headers (66 bytes, with timestamps) as `tcpdump -s 66` keeps them, checksums right.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.int64]

ROW = np.dtype([
    ("second", "<u4"), ("fraction", "<u4"), ("captured", "<u4"), ("wire", "<u4"),
    ("macs", "V12"), ("ethertype", ">u2"),
    ("version", "u1"), ("tos", "u1"), ("total", ">u2"), ("ident", ">u2"), ("fragment", ">u2"),
    ("ttl", "u1"), ("protocol", "u1"), ("ip_sum", ">u2"), ("src", ">u4"), ("dst", ">u4"),
    ("sport", ">u2"), ("dport", ">u2"), ("seq", ">u4"), ("ack", ">u4"), ("offset", "u1"), ("flags", "u1"),
    ("window", ">u2"), ("tcp_sum", ">u2"), ("urgent", ">u2"),
    ("nops", ">u2"), ("option", ">u2"), ("tsval", ">u4"), ("tsecr", ">u4"),
])  # fmt: skip
RECORD, ETHERNET, HEADERS = 16, 14, 66
FIN, SYN, PUSH, ACK = 1, 2, 8, 16
EPOCH = 1_700_000_000
TICK = 1000  # ns between packets
BATCH = 500_000
OPEN = 1000  # connections of `churn` at a time
REQUEST, ANSWER = 200, 1000  # bytes

# Who sends what in a connection of `churn`: (server?, flags, payload)
LIFE = (
    (0, SYN, 0), (1, SYN | ACK, 0), (0, ACK, 0), (0, ACK | PUSH, REQUEST), (1, ACK, ANSWER), (0, ACK, 0),
    (1, ACK | PUSH, ANSWER), (0, ACK, 0), (1, ACK | FIN, 0), (0, ACK, 0), (0, ACK | FIN, 0), (1, ACK, 0),
)  # fmt: skip


def rows(
    at: Numbers, flow: Numbers, server: NDArray[np.bool_], flags: Numbers, seq: Numbers, ack: Numbers, length: Numbers
) -> NDArray[np.void]:
    """Packets number `at`, of flows by number; seq and ack count from 0 at the SYN."""
    made = np.zeros(len(at), ROW)
    name = flow * 2_654_435_761 & 0xFFFFFFFF  # odd factor: another name for each flow, in no order
    host, port = 0x0A000000 | name & 0xFFFFFF, 1024 + (name >> 24)
    ours, theirs = name * 48_271 & 0xFFFFFFFF, name * 69_621 & 0xFFFFFFFF  # initial sequence numbers
    time = at * TICK
    made["second"], made["fraction"] = EPOCH + time // 10**9, time % 10**9 // 1000
    made["captured"], made["wire"] = HEADERS, HEADERS + length
    made["macs"], made["ethertype"] = bytes.fromhex("020000000002020000000001"), 0x0800
    made["version"], made["total"], made["ident"] = 0x45, HEADERS - ETHERNET + length, at & 0xFFFF
    made["fragment"], made["ttl"], made["protocol"] = 0x4000, 64, 6
    made["src"], made["dst"] = np.where(server, 0xC0A80001, host), np.where(server, host, 0xC0A80001)
    made["sport"], made["dport"] = np.where(server, 80, port), np.where(server, port, 80)
    made["seq"] = np.where(server, theirs, ours) + seq & 0xFFFFFFFF
    made["ack"] = np.where(flags & ACK, np.where(server, ours, theirs) + ack & 0xFFFFFFFF, 0)
    made["offset"], made["flags"], made["window"] = 8 << 4, flags, 64240
    made["nops"], made["option"] = 0x0101, 0x080A
    made["tsval"], made["tsecr"] = time // 10**6 + 1, np.where(flags & ACK, time // 10**6, 0)
    made["ip_sum"] = checksum(made, RECORD + ETHERNET, 20, 0)
    pseudo = (made["src"].astype(np.int64), made["dst"].astype(np.int64))
    extra = sum((it >> 16) + (it & 0xFFFF) for it in pseudo) + 6 + 32 + length
    made["tcp_sum"] = checksum(made, RECORD + ETHERNET + 20, 32, extra)
    return made


def checksum(made: NDArray[np.void], start: int, size: int, extra: Numbers | int) -> Numbers:
    """RFC 1071 over these bytes of each row; the payload is zeros and adds nothing."""
    octets = made.view(np.uint8).reshape(len(made), -1)[:, start : start + size]
    total = octets[:, 0::2].sum(1, dtype=np.int64) * 256 + octets[:, 1::2].sum(1, dtype=np.int64) + extra
    total = (total & 0xFFFF) + (total >> 16)
    return ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF


def _sent(life: tuple[tuple[int, int, int], ...]) -> tuple[Numbers, ...]:
    """For each packet of a life: sender, flags, payload, what its sender and the other had sent before it."""
    sent, columns = [0, 0], []
    for who, flags, payload in life:
        columns.append((who, flags, payload, sent[who], sent[1 - who]))
        sent[who] += payload + bool(flags & (SYN | FIN))
    return tuple(np.array(column) for column in zip(*columns, strict=True))


def churn(at: Numbers) -> NDArray[np.void]:
    who, flags, payload, seq, ack = _sent(LIFE)
    turn, slot = at // OPEN, at % OPEN
    step = turn % len(LIFE)
    return rows(at, turn // len(LIFE) * OPEN + slot, who[step] > 0, flags[step], seq[step], ack[step], payload[step])


def robin(connections: int) -> Callable[[Numbers], NDArray[np.void]]:
    def make(at: Numbers) -> NDArray[np.void]:
        turn, flow = at // connections, at % connections
        data = turn >= 3
        pairs, odd = np.maximum(turn - 3, 0) // 2, np.maximum(turn - 3, 0) % 2
        server = np.where(data, odd == 1, turn == 1)
        flags = np.where(data, ACK | PUSH, np.choose(np.minimum(turn, 2), (SYN, SYN | ACK, ACK)))
        length = np.where(data, np.where(server, ANSWER, REQUEST), 0)
        requested, answered = 1 + REQUEST * (pairs + odd), 1 + ANSWER * pairs
        seq = np.where(data, np.where(server, answered, requested), np.choose(np.minimum(turn, 2), (0, 0, 1)))
        ack = np.where(data, np.where(server, requested, answered), np.choose(np.minimum(turn, 2), (0, 1, 1)))
        return rows(at, flow, server, flags, seq, ack, length)

    return make


def flood(at: Numbers) -> NDArray[np.void]:
    answer = at % 2
    return rows(at, at // 2, answer > 0, np.where(answer, SYN | ACK, SYN), at * 0, answer, at * 0)


def write(path: Path, make: Callable[[Numbers], NDArray[np.void]], packets: int) -> None:
    """The first `packets` packets of a shape, as a pcap."""
    with path.open("wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, HEADERS, 1))
        for start in range(0, packets, BATCH):
            file.write(make(np.arange(start, min(start + BATCH, packets), dtype=np.int64)).tobytes())


if __name__ == "__main__":
    shape, packets, connections, out = sys.argv[1:]
    write(Path(out), {"churn": churn, "flood": flood, "robin": robin(int(connections))}[shape], int(packets))
