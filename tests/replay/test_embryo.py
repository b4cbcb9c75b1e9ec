"""Flows of few segments are kept as these: nothing changes but the memory."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.replay.segments import ACK, FIN, PSH, RST, SYN, Replayed, segment

FLOOD = """
import resource, sys
from tcpscope.replay.engine import Engine
from tcpscope.wire.batch import SegmentBatch
from tests.replay.segments import ACK, SYN, segment

flows, answered = int(sys.argv[1]), int(sys.argv[2])
engine, batch = Engine(keep_past=False), SegmentBatch(1000)

def send(sender, flags, **ends):
    made = []
    for n in range(at, at + 1000):
        client = {"src" if sender == 0 else "dst": (n // 60000).to_bytes(4, "big")}
        made.append(segment(1 + n, sender, flags, n, 0, time_ns=n, **{name: n % 60000 + 1 for name in ends}, **client))
    batch.load(b"".join(made))
    engine.replay(batch)

before = None
for at in range(0, flows, 1000):
    send(0, SYN, sport=1)
    for _ in range(answered):
        send(1, SYN | ACK, dport=1)
    if before is None:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
assert engine.counters()["open"] == flows
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 / flows)
"""


@pytest.mark.parametrize(("answered", "most"), [(0, 350), (1, 450), (6, 1000)])
def test_a_half_open_flow_takes_less_than_a_kilobyte(answered, most):
    done = subprocess.run(
        [sys.executable, "-c", FLOOD, "100000", str(answered)], capture_output=True, text=True, check=True
    )
    assert float(done.stdout) < most


SYNS = st.lists(st.tuples(st.booleans(), st.integers(0, 3), st.sampled_from([0, 1400])), min_size=1, max_size=14)
LATER = st.lists(st.sampled_from([ACK, FIN | ACK, RST, RST | ACK]), max_size=3)


@given(SYNS, LATER)
def test_with_and_without_packet_records_it_is_the_same(syns, later):
    """One keeps the segments and replays them at the end, the other makes a connection of them for every record."""
    made = []
    for client, number, mss in syns:
        at = len(made) + 1
        options = {"options": 1, "mss": mss} if mss else {}
        made.append(segment(at, 0, SYN, 100 + number // 3, **options) if client
                    else segment(at, 1, SYN | ACK, 500 + number, 101, **options))  # fmt: skip
    for flags in later:
        made.append(segment(len(made) + 1, 0, flags, 101, 501))
    with_rows, without = Replayed(made), Replayed(made, packets=False)
    assert with_rows.connections == without.connections
    assert with_rows.events == without.events
    assert len(with_rows.packets) == len(made)


FLAGS = [SYN, SYN | ACK, ACK, ACK, ACK, PSH | ACK, FIN | ACK, RST, RST | ACK]
ANY = st.lists(
    st.tuples(
        st.integers(0, 1),
        st.sampled_from(FLAGS),
        st.integers(0, 3),
        st.integers(0, 3),
        st.sampled_from([0, 0, 1, 100]),
        st.sampled_from([0, 0.001, 0.3, 20, 70, -2]),
        st.sampled_from([40000, 40000, 40001]),
    ),
    min_size=1,
    max_size=60,
)


@given(ANY)
def test_replayed_late_or_at_once_it_is_the_same(drawn):
    """Whatever a short flow's segments are, and whenever 2 MSL end between them."""
    made, now = [], 100.0
    for sender, flags, seq, ack, length, pause, port in drawn:
        now += pause
        ends = {"sport" if sender == 0 else "dport": port}
        number = (0 if flags & SYN else 1) + 100 * seq
        made.append(
            segment(len(made) + 1, sender, flags, number, 1 + 100 * ack, length, time_ns=int(now * 1e9), **ends)
        )
    late, prompt, rows = (Replayed(made, packets=wanted, prompt=at_once)
                          for wanted, at_once in ((False, False), (False, True), (True, False)))  # fmt: skip
    assert late.connections == prompt.connections == rows.connections
    assert late.events == prompt.events == rows.events


def test_a_short_connection_that_has_closed_waits_in_little_memory():
    done = subprocess.run([sys.executable, "-c", CLOSED, "50000"], capture_output=True, text=True, check=True)
    assert float(done.stdout) < 1600


CLOSED = """
import resource, sys
from tcpscope.replay.engine import Engine
from tcpscope.wire.batch import SegmentBatch
from tests.replay.segments import ACK, FIN, SYN, segment

engine, batch, before = Engine(keep_past=False), SegmentBatch(10_000), None
for at in range(0, int(sys.argv[1]), 1000):
    made = []
    for n in range(at, at + 1000):
        def say(sender, flags, seq, ack=0, length=0):
            port, address = ("sport", "src") if sender == 0 else ("dport", "dst")
            ends = {port: n % 60000 + 1, address: bytes([n // 60000])}
            made.append(segment(1 + n, sender, flags, seq, ack, length, time_ns=n * 1000, **ends))
        say(0, SYN, 0), say(1, SYN | ACK, 0, 1), say(0, ACK, 1, 1), say(0, ACK, 1, 1, 100), say(1, ACK, 1, 101, 300)
        say(0, ACK, 101, 301), say(0, FIN | ACK, 101, 301), say(1, FIN | ACK, 301, 102), say(0, ACK, 102, 302)
    batch.load(b"".join(made))
    engine.replay(batch)
    before = before or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
assert engine.counters()["open"] == int(sys.argv[1])
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 / int(sys.argv[1]))
"""


@pytest.mark.parametrize("data", [1, 8, 40])
def test_what_has_ended_leaves_nothing(data):
    """Whether it stayed an embryo, kept small buffers for the next connection, or had large ones."""
    done = subprocess.run([sys.executable, "-c", ENDED, "12000", str(data)], capture_output=True, text=True, check=True)
    assert float(done.stdout) < 30


ENDED = """
import psutil, struct, sys
from tcpscope.replay.engine import Engine
from tcpscope.wire.batch import SegmentBatch
from tcpscope.wire.layout import SEGMENT
from tests.replay.segments import ACK, RST, SYN, segment

connections, data = int(sys.argv[1]), int(sys.argv[2])
engine, batch, made, ended = Engine(keep_past=False, msl_ns=1000), SegmentBatch(10_000), [], 0

def say(sender, flags, seq, ack=0, length=0):
    made.append(segment(1 + len(made), sender, flags, seq, ack, length, checksum_state=1))

say(0, SYN, 0), say(1, SYN | ACK, 0, 1), say(0, ACK, 1, 1)
for n in range(data):
    say(0, ACK, 1 + 100 * n, 1 + 100 * n, 100), say(1, ACK, 1 + 100 * n, 101 + 100 * n, 100)
say(0, ACK, 1, 1, 100), say(1, ACK, 500_000, 101, 300)           # again, and behind a hole
say(0, RST, 1 + 100 * data)
raw = bytearray(b"".join(made))
for at in range(connections):
    for n in range(len(made)):
        struct.pack_into("q", raw, n * SEGMENT.size, (1 + at) * 1_000_000_000 + n * 1000)      # time_ns comes first
    batch.load(raw)
    engine.replay(batch)
    ended += len(engine.take_connections()) > 0
    engine.take_events(), engine.take_evidence()
    if at == 2000:
        before = psutil.Process().memory_info().rss
assert ended == connections - 1
print((psutil.Process().memory_info().rss - before) / (connections - 2000))
"""
