"""Whatever is fed to the replay, these hold: nothing is lost, counts add up, only table arrows happen,
and the answer does not depend on how the segments were cut into batches."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tcpscope.replay.layout import ANNOTATIONS, CAPTURE_POINTS, STATES
from tcpscope.replay.states import TRANSITIONS
from tests.replay.segments import ACK, FIN, PSH, RST, SYN, Replayed, segment

ARROWS = {(state.name, event, goes_to.name) for state, event, goes_to, _ in TRANSITIONS}
NEAR_WRAP = 2**32 - 3000

numbers = st.one_of(st.integers(0, 20_000), st.integers(NEAR_WRAP, 2**32 - 1), st.integers(0, 2**32 - 1))
wild = st.tuples(
    st.integers(0, 1),
    st.sampled_from([SYN, SYN | ACK, ACK, ACK | PSH, FIN | ACK, FIN, RST, RST | ACK, SYN | FIN, 0, 0xFF]),
    numbers,
    numbers,
    st.sampled_from([0, 0, 1, 100, 1460, 70_000]),
    st.sampled_from([0, 0, 1, 1000, 65535]),
    st.integers(0, 2**31),
)


def build(steps):
    now, found = 10**18, []
    for frame, (sender, flags, seq, ack, length, window, gap) in enumerate(steps, 1):
        now += gap
        found.append(segment(frame, sender, flags, seq, ack, length, window=window, time_ns=now, ip_id=frame))
    return found


@settings(max_examples=300, deadline=None)
@given(st.lists(wild, max_size=60))
def test_invariants(steps):
    replayed = Replayed(build(steps))
    assert replayed.counters["segments"] == len(steps) == len(replayed.packets)
    assert [p["frame"] for p in replayed.packets] == list(range(1, len(steps) + 1))
    known = {c["connection"] for c in replayed.connections}
    assert {p["connection"] for p in replayed.packets} == known
    for c in replayed.connections:
        mine = [p for p in replayed.packets if p["connection"] == c["connection"]]
        for side, role in enumerate(("client", "server")):
            sent = [p for p in mine if p["sender"] == side]
            assert c[f"{role}_packets"] == len(sent)
            assert c[f"{role}_bytes"] <= sum(p["length"] for p in sent)
            assert c[f"{role}_unique_bytes"] <= c[f"{role}_bytes"]
            assert c[f"{role}_data_packets"] <= len(sent)
            assert c[f"{role}_retransmissions"] <= len(sent)
        assert c["first_frame"] == mine[0]["frame"] and c["last_frame"] == mine[-1]["frame"]
    for e in replayed.events:
        assert (STATES[e["old"]], e["event"], STATES[e["new"]]) in ARROWS
    for endpoint in {(e["connection"], e["endpoint"]) for e in replayed.events}:
        chain = [e for e in replayed.events if (e["connection"], e["endpoint"]) == endpoint]
        assert all(a["new"] == b["old"] for a, b in pairwise(chain))
        assert all(a["time_ns"] <= b["time_ns"] for a, b in pairwise(chain))


@settings(max_examples=100, deadline=None)
@given(st.lists(wild, max_size=40), st.integers(1, 7))
def test_batches_do_not_matter(steps, batch):
    whole, cut = Replayed(build(steps)), Replayed(build(steps), batch=batch)
    assert whole.packets == cut.packets
    assert whole.connections == cut.connections
    assert whole.events == cut.events


@settings(max_examples=100, deadline=None)
@given(st.lists(wild, min_size=1, max_size=40))
def test_every_bit_has_a_name(steps):
    for p in Replayed(build(steps)).packets:
        assert p["annotations"] >> len(ANNOTATIONS) == 0


def handshake(client=1000, server=5000):
    return [
        segment(1, 0, SYN, client),
        segment(2, 1, SYN | ACK, server, client + 1),
        segment(3, 0, ACK, client + 1, server + 1),
    ]


def test_sequence_numbers_wrap_in_the_data():
    start = 2**32 - 1000
    steps = handshake(client=start - 1)
    steps += [segment(4 + i, 0, ACK, start + 500 * i, 5001, 500) for i in range(6)]
    steps += [segment(10, 1, ACK, 5001, start + 3000)]
    (c,) = Replayed(steps).connections
    assert (c["client_unique_bytes"], c["client_retransmissions"], c["client_out_of_order"]) == (3000, 0, 0)


def test_a_new_syn_on_the_same_ports_is_a_new_connection():
    replayed = Replayed([*handshake(), segment(9, 0, SYN, 777_000)])
    assert [c["connection"] for c in replayed.connections] == [0, 1]
    assert replayed.connections[1]["reused"] == 1
    assert replayed.packets[-1]["annotations"] >> ANNOTATIONS.index("reused_ports") & 1


def test_of_many_ended_connections_none_is_forgotten():
    many, later = 20_000, 10**12
    ends = [{"src": bytes([10, 1, n >> 8, n & 255]), "sport": 50_000} for n in range(many)]
    steps = []
    for time_ns in (0, later):
        for n, end in enumerate(ends):
            steps.append(segment(len(steps) + 1, 0, SYN, 5, **end, time_ns=time_ns + 2 * n))
            back = {"dst": end["src"], "dport": end["sport"], "time_ns": time_ns + 2 * n + 1}
            steps.append(segment(len(steps) + 1, 1, RST | ACK, 0, 6, **back))
    found = Replayed(steps, packets=False).connections
    assert [c["reused"] for c in found] == many * [0] + many * [1]


def test_an_icmp_error_ends_the_opening():
    """RFC 9293, 3.9.2.2: a hard error while in SYN-SENT aborts."""
    replayed = Replayed([segment(1, 0, SYN, 1), segment(2, 0, 0, 1, kind=1, icmp_type=3, icmp_code=3)])
    assert [STATES[e["new"]] for e in replayed.events] == ["SYN_SENT", "CLOSED"]
    assert replayed.counters["icmp_quotes"] == 1


def test_idleness_never_ends_a_connection():
    late = 10**18 + 86_400 * 10**9
    steps = [*handshake(), segment(4, 0, ACK | PSH, 1001, 5001, 10, time_ns=late)]
    assert len(Replayed(steps).connections) == 1


def test_time_wait_ends_after_twice_the_msl():
    close = [
        segment(4, 0, FIN | ACK, 1001, 5001),
        segment(5, 1, FIN | ACK, 5001, 1002),
        segment(6, 0, ACK, 1002, 5002),
        segment(7, 0, SYN, 1, sport=1234, time_ns=200 * 10**9),
    ]
    replayed = Replayed([*handshake(), *close], msl_ns=30 * 10**9)
    last = [e for e in replayed.events if e["connection"] == 0 and e["endpoint"] == 0][-1]
    assert (STATES[last["old"]], STATES[last["new"]], last["frame"]) == ("TIME_WAIT", "CLOSED", 0)
    assert last["time_ns"] == 5 * 10**6 + 60 * 10**9


@pytest.mark.parametrize("batch", [1, 3, 4096])
def test_a_clock_set_back_is_one_step_however_many_packets_follow(batch):
    seconds = [10, 11, 5, 6, 7, 12, 11.5, 8]  # back by six seconds, by half a second, and by three and a half
    steps = [segment(n, 0, ACK, n, 1, time_ns=int(at * 1e9)) for n, at in enumerate(seconds, 1)]
    assert Replayed(steps, batch).counters["clock_steps"] == 2


@pytest.mark.parametrize(("client", "server", "answers", "point"), [
    (64, 57, 20, "client"), (57, 64, 1, "server"), (64, 64, 20, "client"),
    (63, 57, 20, "middle"), (57, 63, 1, "middle"),
])  # fmt: skip
def test_a_router_beside_an_end_is_no_end(client, server, answers, point):
    """By the time alone the capture was taken at the end."""
    steps = [(0, SYN, 100, 0), (answers, SYN | ACK, 200, 101), (21, ACK, 101, 201)]
    made = [segment(at + 1, at % 2, flags, seq, ack, time_ns=ms * 1_000_000, ttl=(client, server)[at % 2])
            for at, (ms, flags, seq, ack) in enumerate(steps)]  # fmt: skip
    (c,) = Replayed(made).connections
    assert CAPTURE_POINTS[c["capture_point"]] == point
