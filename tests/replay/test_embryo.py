"""Half-open flows are kept as their segments: nothing changes but the memory."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.replay.segments import ACK, FIN, RST, SYN, Replayed, segment

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
