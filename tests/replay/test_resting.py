"""Connections that have closed are packed (replay/resting.pyx): nothing of what comes later can tell."""

from hypothesis import given, settings
from hypothesis import strategies as st

from tcpscope.replay.engine import Engine
from tcpscope.replay.layout import CONNECTION, STATES
from tcpscope.wire.batch import SegmentBatch
from tests.replay.segments import ACK, FIN, RST, SYN, segment
from tests.replay.test_plain import STEPS, conversation, records

AFTER = st.lists(
    st.tuples(
        st.sampled_from(["fin", "ack", "old", "data", "rst", "syn", "sack"]),
        st.integers(0, 1),
        st.sampled_from([0, 1_000_000, 300_000_000, 5_000_000_000, 29_000_000_000, 61_000_000_000]),
    ),
    max_size=8,
)  # fmt: skip


def closed(made, last, after):
    """The conversation `made`, then both FINs and their ACKs, then what hosts may say even then."""
    frame, now = len(made), 10**18 + 10**12

    def say(d, flags, seq, ack, length=0, **fields):
        nonlocal frame
        frame += 1
        made.append(
            segment(frame, d, flags, seq % 2**32, ack % 2**32, length, window=1000, checksum_state=1, ip_id=frame,
                    time_ns=now, **fields)
        )  # fmt: skip

    say(0, ACK | FIN, last[0], last[1])
    say(1, ACK | FIN, last[1], last[0] + 1)
    say(0, ACK, last[0] + 1, last[1] + 1)
    for what, d, pause in after:
        now += pause
        mine, theirs = last[d], last[1 - d] + 1
        match what:
            case "fin":
                say(d, ACK | FIN, mine, theirs)
            case "ack":
                say(d, ACK, mine + 1, theirs)
            case "old":
                say(d, ACK, mine - 500, theirs, 100)
            case "data":
                say(d, ACK, mine + 1, theirs, 100)
            case "rst":
                say(d, RST, mine + 1, 0)
            case "syn":
                say(d, SYN, mine + 10**8, 0)
            case "sack":
                edges = b"".join((it % 2**32).to_bytes(4, "little") for it in (theirs - 200, theirs - 100))
                say(d, ACK, mine + 1, theirs, options=0x08, n_sack=1, sack=edges)
    return made


def load(made):
    batch = SegmentBatch(len(made))
    batch.load(b"".join(made))
    return [batch]


@settings(max_examples=300, deadline=None)
@given(STEPS, st.sampled_from([1000, 2**32 - 1500]), AFTER)
def test_what_comes_after_the_end_meets_the_same_connection(steps, first, after):
    batches = load(closed(*conversation(steps, first, True, True), after))
    assert records(batches, False, keep_past=False) == records(batches, False, keep_past=False, prompt=True)


def many(count):
    """Connections of 40 segments, which close one after the other, each on a port of its own."""
    made, now = [], 10**18
    for at in range(count):
        ports = {"sport": 10_000 + at, "dport": 80}
        back = {"sport": 80, "dport": 10_000 + at}
        script = [(0, SYN, 1, 0, 0), (1, SYN | ACK, 1, 2, 0), (0, ACK, 2, 2, 0)]
        for turn in range(18):
            script += [(0, ACK, 2 + 100 * turn, 2, 100), (1, ACK, 2, 102 + 100 * turn, 0)]
        script += [(0, ACK | FIN, 1802, 2, 0), (1, ACK | FIN, 2, 1803, 0), (0, ACK, 1803, 3, 0)]
        for d, flags, seq, ack, length in script:
            now += 1000
            made.append(
                segment(len(made) + 1, d, flags, seq, ack, length, window=1000, time_ns=now, **(back if d else ports))
            )
    return made


def test_each_of_many_is_told_as_if_it_had_been_alone():
    together = many(50)
    engine = Engine(keep_past=False)
    for batch in load(together):
        engine.replay(batch)
    assert engine.counters()["open"] == 50  # they wait for 2 MSL
    packed, kept = (records(load(together), False, keep_past=False, prompt=prompt) for prompt in (False, True))
    assert packed == kept


def test_time_wait_is_over_although_its_last_segment_was_captured_too_early():
    """A clock a little off: the connection is let go 2 MSL after what began TIME_WAIT, whoever notices it when."""
    now, second = 10**18, 10**9
    script = [(0, SYN, 1, 0, 0), (1, SYN | ACK, 1, 2, 1000), (0, ACK, 2, 2, 2000), (0, ACK | FIN, 2, 2, 3000),
              (1, ACK | FIN, 2, 3, 40_000), (0, ACK, 3, 3, 20_000)]  # fmt: skip
    made = [segment(at + 1, *it[:4], time_ns=now + it[4]) for at, it in enumerate(script)]
    later = segment(7, 0, SYN, 1, time_ns=now + 10**5 * second, sport=50_000)
    told = []
    for batches in (load([*made, later]), [*load(made), *load([later])]):
        for shown in (batches, batches[:1]):
            engine = Engine(keep_past=False)
            for batch in shown:
                engine.replay(batch)
            engine.finish()
            told.append(next(it for it in CONNECTION.dicts(engine.take_connections()) if it["connection"] == 0))
    assert [STATES[it["client_state"]] for it in told] == ["CLOSED", "CLOSED", "CLOSED", "TIME_WAIT"]
