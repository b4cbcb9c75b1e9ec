"""Plain segments, of which little is asked (replay/plain.pyx): what comes out is as if all had been asked."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tcpscope.replay.engine import Engine
from tcpscope.wire.batch import SegmentBatch
from tcpscope.wire.reader import SegmentReader
from tests.replay.segments import ACK, FIN, PSH, RST, SYN, segment

SAMPLES = sorted((Path(__file__).parents[2] / "sample_pcaps").glob("**/*.pcap*"))
ECE, URG = 0x40, 0x20
MSS, SCALE, SACK, TIMESTAMPS = 0x01, 0x02, 0x08, 0x10  # OPT_ (wire/segment.pxd)


def records(batches, careful, **settings):
    """All that an engine writes."""
    engine, found = Engine(careful=careful, **settings), []
    for batch in batches:
        engine.replay(batch)
        found.append(engine.take_packets())
    while engine.finish(1):
        pass
    return found, engine.take_connections(), engine.take_events(), engine.take_evidence()


def assert_same(batches):
    for settings_ in ({"keep_past": False}, {"packets": True}, {"live": True}):
        assert records(batches, False, **settings_) == records(batches, True, **settings_)


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_of_every_sample(path):
    batches = []
    with path.open("rb") as stream:
        reader = SegmentReader(stream, hints=True)
        while reader.fill(batch := SegmentBatch()):
            batches.append(batch)
    assert_same(batches)


class Side:
    """What one end has sent, and what it has acknowledged."""

    def __init__(self, first):
        self.next, self.told, self.window, self.sent = first, 0, 1000, []


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["data"] * 8 + ["ack"] * 8 + ["part", "again", "hole", "same", "sack", "shut", "probe", "alive",
                         "odd", "fin", "rst", "copy", "broken", "edge", "open"]),
        st.integers(0, 1),
        st.sampled_from([1, 2, 100, 536, 1448, 1460, 3000, 3000, 2**30 - 9, 4_000_000_000]),
        st.sampled_from([0, 0, 10_000, 1_000_000, 40_000_000, 300_000_000, 1_200_000_000, 6_000_000_000, -10_000_000]),
    ),
    max_size=60,
)  # fmt: skip


def conversation(steps, first, scaled, stamped):
    """Segments as two ends might send them, and now and then might not; and the number each would send next."""
    made, now = [], 10**18
    sides = [Side(first), Side(first ^ 0x5555)]
    begin = {"options": MSS | SCALE, "mss": 1460, "window_scale": 3} if scaled else {}

    def send(d, flags, seq, length=0, **fields):
        me, peer = sides[d], sides[1 - d]
        me.told = fields.pop("ack", peer.next)
        if stamped and not flags & SYN:
            fields["options"] = fields.get("options", 0) | TIMESTAMPS
            fields |= {"ts_val": now // 1_000_000 % 2**32, "ts_ecr": now // 1_000_000 % 2**32 - 5}
        fields = {"window": me.window, "checksum_state": 1, "ip_id": len(made) + 1, "time_ns": now, **fields}
        made.append(segment(len(made) + 1, d, flags, seq % 2**32, me.told % 2**32, length, **fields))
        me.sent.append((seq, length))
        me.next = max(me.next, seq + length + (flags & (SYN | FIN) != 0))

    send(0, SYN, first, ack=0, **begin)
    send(1, SYN | ACK, first ^ 0x5555, **begin)
    send(0, ACK, sides[0].next)
    for what, d, length, pause in steps:
        me, peer = sides[d], sides[1 - d]
        now += pause
        seq, again = me.next, me.sent[-1]
        match what:
            case "data":
                send(d, ACK | PSH, seq, length)
            case "ack" | "same":
                send(d, ACK, seq, **({"ack": me.told} if what == "same" else {}))
            case "part":
                send(d, ACK, seq, ack=me.told + (peer.next - me.told) // 2)
            case "again":
                send(d, ACK, *again)
            case "hole":
                send(d, ACK, seq + length, length)
            case "sack":
                edges = b"".join((it % 2**32).to_bytes(4, "little") for it in (peer.next - length, peer.next))
                send(d, ACK, seq, ack=me.told, options=SACK, n_sack=1, sack=edges)
            case "shut" | "open":
                me.window = 0 if what == "shut" else 1000
                send(d, ACK, seq)
            case "probe" | "alive":
                send(d, ACK, seq - (what == "alive"), 1 if what == "probe" else 0)
            case "odd":
                send(d, ACK | (ECE if length < 1000 else URG), seq, length)
            case "fin" | "rst":
                send(d, ACK | (FIN if what == "fin" else RST), seq)
            case "copy":
                made.append(made[-1])
            case "broken":
                send(d, ACK, seq, length, checksum_state=2)
            case "edge":  # of the window
                end = peer.told + (peer.window << (3 if scaled else 0))
                if end > seq:
                    send(d, ACK, seq, end - seq)
    return made, [side.next for side in sides]


@settings(max_examples=400, deadline=None)
@given(STEPS, st.sampled_from([0, 1, 1000, 2**31, 2**32 - 1500, 2**32 - 1]), st.booleans(), st.booleans())
def test_of_any_conversation(steps, first, scaled, stamped):
    made, _ = conversation(steps, first, scaled, stamped)
    batch = SegmentBatch(len(made))
    batch.load(b"".join(made))
    assert_same([batch])
