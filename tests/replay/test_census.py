"""What is counted over all connections, and what of a connection's course stands in its record."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tcpscope.replay.census import Census
from tcpscope.replay.engine import Engine
from tcpscope.replay.layout import CLOSE_KINDS, CONNECTION, END, FAST_OPEN, PAIR, REUSE
from tcpscope.wire.batch import SegmentBatch
from tests.replay.segments import ACK, FIN, RST, SYN, Replayed, segment

SECOND = 10**9
DAWN = 10**15
TIMESTAMPS, COOKIE = 0x10, 0x20


def records(steps):
    box, engine = SegmentBatch(len(steps)), Engine()
    box.load(b"".join(steps))
    engine.replay(box)
    engine.finish()
    return engine.take_connections()


def half_open(number, host=1):
    ends = {"src": bytes([10, 9, host, number % 250]), "sport": 1024 + number, "time_ns": DAWN + number * SECOND}
    back = {"dst": ends["src"], "dport": ends["sport"], "time_ns": ends["time_ns"]}
    return [segment(2 * number + 1, 0, SYN, 5, **ends), segment(2 * number + 2, 1, SYN | ACK, 9, 6, **back)]


def test_pairs_and_services():
    raw = records([step for number in range(300) for step in half_open(number)])
    census = Census()
    census.take(raw)
    pairs = [dict(zip(PAIR.names, it, strict=True)) for it in PAIR.struct.iter_unpack(census.pairs_of(1))]
    assert len(pairs) == 250 and sum(it["half_open"] for it in pairs) == 300
    assert sum(it["packets"] for it in pairs) == 600 and max(it["connections"] for it in pairs) == 2
    assert census.service(pairs[0]["server"], 80, 4) == (250, 300, 0)
    assert census.service(pairs[0]["server"], 81, 4) == (0, 0, 0)


@given(st.randoms(use_true_random=False))
def test_the_order_in_which_they_end_changes_nothing(chance):
    raw = records([step for number in range(90) for step in half_open(number % 30 + 250 * (number // 30))])
    size = CONNECTION.size
    each = [raw[at : at + size] for at in range(0, len(raw), size)]
    straight, shuffled = Census(), Census()
    straight.take(raw)
    straight.count_ends(raw, 40)
    chance.shuffle(each)
    for one in each:
        shuffled.take(one)
        shuffled.count_ends(one, 40)
    assert shuffled.pairs_of(1) == straight.pairs_of(1)
    assert shuffled.ends_of() == straight.ends_of()
    first = dict(zip(PAIR.names, next(PAIR.struct.iter_unpack(straight.pairs_of(1))), strict=True))
    assert [first[f"number_{at}"] for at in range(3)] == [0, 30, 60]


def test_what_is_not_looked_at_is_counted_by_second():
    raw = records([step for number in range(40) for step in half_open(number)])
    census = Census()
    census.count_ends(raw, 10)
    ends = [dict(zip(END.names, it, strict=True)) for it in END.struct.iter_unpack(census.ends_of())]
    assert sum(it["connections"] for it in ends) == 30
    assert {it["second"] for it in ends} == {DAWN // SECOND + number for number in range(10, 40)}
    assert {CLOSE_KINDS[it["close_kind"]] for it in ends} == {"half_open"}


def conversation(close=True, **fields):
    at = {"time_ns": DAWN, **fields}
    steps = [segment(1, 0, SYN, 100, **at), segment(2, 1, SYN | ACK, 200, 101, time_ns=DAWN),
             segment(3, 0, ACK, 101, 201, time_ns=DAWN)]  # fmt: skip
    if close:
        steps += [
            segment(4, 1, FIN | ACK, 201, 101, time_ns=DAWN), segment(5, 0, ACK, 101, 202, time_ns=DAWN),
            segment(6, 0, FIN | ACK, 101, 202, time_ns=DAWN), segment(7, 1, ACK, 202, 102, time_ns=DAWN),
        ]  # fmt: skip
    return steps


@pytest.mark.parametrize(
    ("close", "seq", "stamp", "after", "reuse"),
    [
        (True, 5000, 0, 1, "safe"),
        (True, 50, 0, 1, "risky"),
        (True, 50, 8, 1, "safe"),
        (True, 50, 0, 100, "later"),
        (False, 5000, 0, 1, "open"),
    ],
)
def test_ports_used_again(close, seq, stamp, after, reuse):
    """RFC 1122, 4.2.2.13 and RFC 6191."""
    stamped = {"options": TIMESTAMPS, "ts_val": 7} if stamp else {}
    steps = conversation(close, **stamped)
    if stamp:
        stamped["ts_val"] = stamp
    steps.append(segment(9, 0, SYN, seq, time_ns=DAWN + after * SECOND, **stamped))
    again = Replayed(steps).connections[1]
    assert again["reused"] and REUSE[again["reuse"]] == reuse


@pytest.mark.parametrize(
    ("cookie", "length", "answer", "acked", "outcome"),
    [(0, 0, 0, 101, "asked"), (0, 0, 8, 101, "given"), (8, 40, 0, 141, "accepted"), (8, 40, 0, 101, "refused")],
)
def test_fast_open_outcomes(cookie, length, answer, acked, outcome):
    """RFC 7413, 4."""
    steps = [segment(1, 0, SYN, 100, length=length, options=COOKIE, cookie_length=cookie),
             segment(2, 1, SYN | ACK, 200, acked, options=COOKIE if answer else 0, cookie_length=answer)]  # fmt: skip
    assert FAST_OPEN[Replayed(steps).connections[0]["fast_open_outcome"]] == outcome


def test_pauses_and_heartbeats():
    steps = conversation(close=False)
    for beat in range(6):
        at = DAWN + (beat + 1) * 30 * SECOND
        steps.append(segment(10 + 2 * beat, 0, ACK, 101 + beat, 201, length=1, time_ns=at))
        steps.append(segment(11 + 2 * beat, 1, ACK, 201, 102 + beat, time_ns=at + 1000))
    steps.append(segment(30, 1, RST, 201, time_ns=DAWN + 400 * SECOND))
    (row,) = Replayed(steps).connections
    assert row["client_heartbeats"] == 5 and row["client_heartbeat_ns"] == 30 * SECOND
    assert row["server_heartbeat_ns"] == -1
    assert row["pause_end_ns"] == DAWN + 400 * SECOND == row["reset_ns"] and row["reset_frame"] == 30
