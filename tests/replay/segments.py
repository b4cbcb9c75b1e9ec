"""Segments made by hand, for tests of the replay that need no packets."""

from __future__ import annotations

from tcpscope.replay.engine import Engine
from tcpscope.replay.layout import CONNECTION, EVENT, PACKET
from tcpscope.wire.batch import SegmentBatch
from tcpscope.wire.layout import SEGMENT, SEGMENT_FIELDS

FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
CLIENT, SERVER = (bytes([10, 0, 0, 1]), 40000), (bytes([10, 0, 0, 2]), 80)

_BLANK = {name: b"" if code.endswith("s") else 0 for name, code in SEGMENT_FIELDS}


def segment(frame: int, sender: int, flags: int, seq: int, ack: int = 0, length: int = 0, **fields: object) -> bytes:
    """One packed Segment: sender 0 is the client, 1 the server; a millisecond a frame unless time_ns is given."""
    (src, sport), (dst, dport) = (CLIENT, SERVER) if sender == 0 else (SERVER, CLIENT)
    values = dict(_BLANK, frame=frame, time_ns=frame * 1_000_000, src=src, dst=dst, sport=sport, dport=dport)
    values.update(seq=seq & 0xFFFFFFFF, ack=ack & 0xFFFFFFFF, length=length, captured=length, flags=flags)
    values.update(window=1000, ip_version=4, ttl=64, ip_id=0x10000, header_length=20)
    values.update(fields)
    return SEGMENT.pack(*(values[name] for name, _ in SEGMENT_FIELDS))


class Replayed:
    """What the engine said of some segments: lists of dicts."""

    def __init__(self, segments: list[bytes], batch: int = 4096, **options: object) -> None:
        engine = Engine(**{"packets": True, **options})  # type: ignore[arg-type]
        for at in range(0, len(segments), batch):
            box = SegmentBatch(batch)
            box.load(b"".join(segments[at : at + batch]))
            engine.replay(box)
        engine.finish()
        rows = bytearray(engine.take_packets())
        engine.settle(rows)
        self.packets = list(PACKET.dicts(bytes(rows)))
        self.connections = sorted(CONNECTION.dicts(engine.take_connections()), key=lambda c: c["connection"])
        self.events = sorted(EVENT.dicts(engine.take_events()), key=lambda e: (e["connection"], e["endpoint"]))
        self.counters = engine.counters()
