"""Of many open connections the silent ones are packed (replay/crowd.pyx): nothing of what comes later can tell."""

from hypothesis import given, settings
from hypothesis import strategies as st

from tcpscope.replay.engine import Engine
from tcpscope.wire.batch import SegmentBatch
from tcpscope.wire.layout import SEGMENT, SEGMENT_FIELDS
from tests.replay.segments import ACK, SYN, segment
from tests.replay.test_plain import STEPS, conversation, records

NAMES = [name for name, _ in SEGMENT_FIELDS]


def on_port(raw, port, frame, now):
    """The same segment of another connection, at another time."""
    it = dict(zip(NAMES, SEGMENT.unpack(raw), strict=True))
    it["sport" if it["sport"] == 40000 else "dport"] = port
    it["frame"], it["time_ns"] = frame, now
    return SEGMENT.pack(*(it[name] for name in NAMES))


def in_turns(conversations, turns):
    """Several conversations in one capture; turns: which one goes on, until all are over."""
    left = [list(made) for made in conversations]
    out, now = [], 10**18
    for turn in [*turns, *(at for at, made in enumerate(left) for _ in made)]:
        if left[turn % len(left)]:
            now += 1000
            out.append(on_port(left[turn % len(left)].pop(0), 40_000 + turn % len(left), len(out) + 1, now))
    batch = SegmentBatch(max(len(out), 1))
    batch.load(b"".join(out))
    return [batch]


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(STEPS, st.sampled_from([1000, 2**32 - 1500])), min_size=2, max_size=4),
    st.lists(st.integers(0, 3), max_size=200),
    st.integers(1, 2),
)
def test_connections_that_take_turns(talks, turns, unpacked):
    batches = in_turns([conversation(steps, first, True, True)[0] for steps, first in talks], turns)
    expected = records(batches, False, keep_past=False, prompt=True)
    assert records(batches, False, keep_past=False, unpacked=unpacked) == expected


def round_robin(count, rounds):
    """Connections that stay open, and ask and answer in turns."""
    made, now = [], 10**18
    for turn in range(rounds):
        for at in range(count):
            now += 1000
            ports = {"sport": 1024 + at, "dport": 80}
            back = {"sport": 80, "dport": 1024 + at}
            asked, answered = 1 + 100 * max(turn - 2, 0), 1 + 1000 * max(turn - 2, 0)
            frame = len(made) + 1
            match turn % 2 if turn > 2 else turn - 10:
                case -10:
                    made.append(segment(frame, 0, SYN, 0, 0, 0, time_ns=now, **ports))
                case -9:
                    made.append(segment(frame, 1, SYN | ACK, 0, 1, 0, time_ns=now, **back))
                case -8:
                    made.append(segment(frame, 0, ACK, 1, 1, 0, time_ns=now, **ports))
                case 1:
                    made.append(segment(frame, 0, ACK, asked - 100, answered - 1000, 200, time_ns=now, **ports))
                case _:
                    made.append(segment(frame, 1, ACK, answered - 2000, asked, 2000, time_ns=now, **back))
    return made


def test_many_that_stay_open():
    batch = SegmentBatch(60 * 200)
    batch.load(b"".join(round_robin(200, 60)))
    crowded, roomy = (records([batch], False, keep_past=False, unpacked=most) for most in (8, 4096))
    assert crowded == roomy


def test_they_are_open_and_counted():
    batch = SegmentBatch(40 * 50)
    batch.load(b"".join(round_robin(50, 40)))
    engine = Engine(keep_past=False, unpacked=4)
    engine.replay(batch)
    assert engine.counters()["open"] == 50
    assert engine.take_connections() == b""
