"""Client or server, told from a connection's first segment."""

from __future__ import annotations

import pytest

from tcpscope.replay.roles import LIKELY_SERVER_PORTS, first_role
from tcpscope.wire.batch import SegmentBatch
from tcpscope.wire.layout import SEGMENT, SEGMENT_FIELDS

BITS = {"S": 0x02, "R": 0x04, "A": 0x10}


def segment(flags: int, sport: int, dport: int) -> bytes:
    values: dict[str, object] = dict.fromkeys((name for name, _ in SEGMENT_FIELDS), 0)
    values |= {"src": bytes(16), "dst": bytes(16), "sack": bytes(32)}
    return SEGMENT.pack(*(values | {"flags": flags, "sport": sport, "dport": dport}).values())


@pytest.mark.parametrize(("flags", "sport", "dport", "role"), [
    ("S", 80, 40000, 0),  # a SYN comes from the client, whatever its port
    ("SA", 40000, 80, 1),       # a SYN-ACK from the server
    ("A", 80, 40000, 1),
    ("A", 40000, 80, 0),
    ("A", 80, 443, 1),          # both likely: the smaller port is the server's
    ("A", 443, 80, 0),
    ("A", 80, 80, 0),
    ("R", 22, 40000, 1),
    ("A", 179, 50000, 1),       # a system port, though Zeek does not know it
    ("A", 50000, 853, 0),
    ("A", 9092, 50000, 1),      # no system gives such to a client (RFC 6335, 6)
    ("A", 50000, 9092, 0),
    ("SA", 50000, 9092, 1),
    ("A", 40000, 50000, 0),     # who is seen first
    ("A", 50000, 40000, 0),
])  # fmt: skip
def test_the_role_of_the_first_sender(flags: str, sport: int, dport: int, role: int) -> None:
    batch = SegmentBatch(1)
    batch.load(segment(sum(BITS[f] for f in flags), sport, dport))
    assert first_role(batch, 0) == role


def test_the_ports_are_valid() -> None:
    assert len(set(LIKELY_SERVER_PORTS)) == len(LIKELY_SERVER_PORTS)
    assert all(0 < port < 65536 for port in LIKELY_SERVER_PORTS)


def test_a_segment_that_is_not_there_is_refused() -> None:
    with pytest.raises(IndexError):
        first_role(SegmentBatch(1), 0)
