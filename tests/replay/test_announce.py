"""What is told while connections are open, less what is taken back, is what is told when they have ended."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tcpscope.replay.engine import Engine
from tcpscope.replay.layout import CONNECTION, EVENT, STATES
from tcpscope.wire.batch import SegmentBatch
from tcpscope.wire.reader import SegmentReader
from tests.replay.segments import ACK, FIN, SYN, segment
from tests.replay.test_engine import build, wild

SAMPLES = sorted((Path(__file__).parents[2] / "sample_pcaps").glob("*.pcap*"))
IDS = [path.name for path in SAMPLES]


def batches(path, size):
    with open(path, "rb") as file:
        reader, batch = SegmentReader(file, prompt=False), SegmentBatch(size)
        while reader.fill(batch):
            yield batch


def hand_made(steps, size):
    for at in range(0, len(steps), size):
        batch = SegmentBatch(size)
        batch.load(b"".join(steps[at : at + size]))
        yield batch


def told(given, **settings):
    """Of each endpoint the steps told and not taken back, and how many were taken back."""
    engine, back = Engine(keep_past=False, **settings), 0
    lives: dict[tuple[int, int], list[tuple[int, int, int, int]]] = {}
    tally = {}

    def hear():
        nonlocal back
        for e in EVENT.dicts(engine.take_events()):
            steps = lives.setdefault((e["connection"], e["endpoint"]), [])
            if e["kind"] == 1:
                back += 1
                assert steps[-1][2] == e["old"]
                while True:
                    frame, old, _, event = steps.pop()
                    if (frame, old, event) == (e["frame"], e["new"], e["event"]):
                        break
            else:
                assert not steps or steps[-1][2] == e["old"]
                steps.append((e["frame"], e["old"], e["new"], e["event"]))

    for batch in given:
        engine.replay(batch)
        if settings.get("live"):
            engine.announce()
            hear()
            tally = engine.tally()
            assert sum(tally.values()) == engine.counters()["open"]
            rows = list(CONNECTION.dicts(engine.open_connections()[0]))
            found = {}
            for row in rows:
                pair = row["client_state"], row["server_state"]
                found[pair] = found.get(pair, 0) + 1
            assert found == tally
    engine.finish()
    hear()
    assert engine.tally() == {}
    return {end: steps for end, steps in lives.items() if steps}, back, engine.take_connections()


@pytest.mark.parametrize("path", SAMPLES, ids=IDS)
@pytest.mark.parametrize("size", [1, 7])
def test_a_live_replay_ends_with_what_the_late_one_says(path, size):
    late, _, connections = told(batches(path, 4096))
    live, _, same = told(batches(path, size), live=True)
    assert live == late
    key = CONNECTION.offset("connection")
    size = CONNECTION.size
    records = [sorted((raw[at : at + size] for at in range(0, len(raw), size)), key=lambda it: it[key : key + 4])
               for raw in (connections, same)]  # fmt: skip
    assert records[0] == records[1]


@settings(max_examples=200, deadline=None)
@given(st.lists(wild, max_size=40), st.integers(1, 5))
def test_whatever_comes(steps, size):
    made = build(steps)
    assert told(hand_made(made, size), live=True)[0] == told(hand_made(made, 4096))[0]


def test_a_fin_that_was_lost_is_taken_back():
    opening = [
        segment(1, 0, SYN, 100), segment(2, 1, SYN | ACK, 500, 101), segment(3, 0, ACK, 101, 501),
        segment(4, 0, ACK, 101, 501, 10), segment(5, 1, ACK, 501, 111),
    ]  # fmt: skip
    fin = segment(6, 0, FIN | ACK, 111, 501)
    again = segment(250, 0, FIN | ACK, 111, 501)
    answer = segment(251, 1, ACK, 501, 112)
    engine = Engine(keep_past=False, live=True)
    said = []
    for one in (*opening, fin, again, answer):
        (batch,) = hand_made([one], 1)
        engine.replay(batch)
        engine.announce()
        said += [
            (e["kind"], e["endpoint"], STATES[e["old"]], STATES[e["new"]], e["frame"])
            for e in EVENT.dicts(engine.take_events())
        ]
    server = [it for it in said if it[1] == 1 and it[4] >= 6]
    assert server == [
        (0, 1, "ESTABLISHED", "CLOSE_WAIT", 6),
        (1, 1, "CLOSE_WAIT", "ESTABLISHED", 6),
        (0, 1, "ESTABLISHED", "CLOSE_WAIT", 250),
    ]
    assert engine.tally() == {(STATES.index("FIN_WAIT_2"), STATES.index("CLOSE_WAIT")): 1}


def test_of_many_open_connections_those_that_lead_are_shown():
    engine = Engine(keep_past=False, live=True)
    steps = []
    for n in range(50):
        there = {"sport": 1000 + n, "flow": n * 7919}
        steps += [segment(100 * n + 1, 0, SYN, 100, **there), segment(100 * n + 2, 0, ACK, 101, 1, 50 - n, **there)]
    for batch in hand_made(steps, 4096):
        engine.replay(batch)
    for by, wanted in (("latest", range(40, 50)), ("begin", range(40, 50)), ("bytes", range(10))):
        raw, _ = engine.open_connections(10, by)
        assert [row["connection"] for row in CONNECTION.dicts(raw)] == list(wanted), by
    assert len(list(CONNECTION.dicts(engine.open_connections()[0]))) == 50
    assert engine.open_connections(0) == (b"", b"")
    with pytest.raises(ValueError):
        engine.open_connections(1, "beauty")
