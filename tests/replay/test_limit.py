"""No more connections open than allowed: who is ended first, that it is counted, and that nothing else changes."""

from collections import Counter

import pytest

from tcpscope.replay.layout import CLOSE_KINDS
from tests.replay.segments import ACK, FIN, RST, SYN, Replayed, segment

SECOND = 1_000_000_000


def flow(number):
    """Fields of a client's address and port."""
    return {
        "src": bytes([10, 0, number >> 8 & 255, number & 255]),
        "sport": 1000 + number,
        "flow": number * 2654435761 % 2**32,
    }


def syn(number, time_ns, frame):
    return segment(frame, 0, SYN, 100, time_ns=time_ns, **flow(number))


def to_client(number, fields):
    it = flow(number)
    return {"dst": it["src"], "dport": it["sport"], "flow": it["flow"], **fields}


def established(number, time_ns, frame):
    at = {"time_ns": time_ns}
    return [
        syn(number, time_ns, frame),
        segment(frame + 1, 1, SYN | ACK, 500, 101, **to_client(number, at)),
        segment(frame + 2, 0, ACK, 101, 501, **flow(number), **at),
        segment(frame + 3, 1, ACK, 501, 101, 10, **to_client(number, at)),
    ]


def in_frames(groups):
    return [it for group in groups for it in group]


def test_half_open_ones_go_first_the_oldest_of_them():
    talkers = in_frames(established(n, n * SECOND, 10 * n + 1) for n in range(10))
    flood = [syn(1000 + n, (100 + n) * SECOND, 1000 + n) for n in range(400)]
    replayed = Replayed(talkers + flood, max_connections=100)
    counters = replayed.counters
    assert counters["retired_half_open"] >= 310
    assert counters["retired_closed"] == counters["retired_idle"] == 0
    assert len(replayed.connections) == 410 == counters["connections"]
    kinds = Counter(CLOSE_KINDS[it["close_kind"]] for it in replayed.connections)
    assert kinds == {"open": 10, "unanswered": 400}
    assert [it["server_packets"] for it in replayed.connections[:10]] == [2] * 10


def test_then_closed_ones_then_the_silent():
    reset = in_frames(
        [*established(n, n * SECOND, 10 * n + 1), segment(10 * n + 9, 0, RST, 101, time_ns=n * SECOND, **flow(n))]
        for n in range(4)
    )
    idle = in_frames(established(10 + n, (10 + n) * SECOND, 100 + 10 * n) for n in range(12))
    replayed = Replayed(reset + idle, max_connections=8, packets=False)
    assert replayed.counters["retired_half_open"] == 0
    assert replayed.counters["retired_closed"] == 4
    assert replayed.counters["retired_idle"] == 4
    assert [it["close_kind"] for it in replayed.connections[:4]] == [CLOSE_KINDS.index("reset")] * 4
    # a retired connection that speaks again is a new one
    again = Replayed(
        [*reset, *idle, segment(900, 0, ACK, 101, 511, time_ns=60 * SECOND, **flow(10))], max_connections=8
    )
    assert len(again.connections) == 17


@pytest.mark.parametrize("limit", [1, 2, 3, 7])
def test_nothing_is_lost_however_small_the_limit(limit):
    steps = in_frames(established(n, n * SECOND, 10 * n + 1) for n in range(30))
    steps += [segment(900 + n, 0, FIN | ACK, 101, 511, time_ns=100 * SECOND + n, **flow(n)) for n in range(30)]
    replayed = Replayed(steps, max_connections=limit)
    assert sum(it["client_packets"] + it["server_packets"] for it in replayed.connections) == len(steps)
    assert {it["connection"] for it in replayed.packets} == {it["connection"] for it in replayed.connections}
    assert sum(replayed.counters[f"retired_{kind}"] for kind in ("half_open", "closed", "idle")) >= 60 - limit - 30


def test_a_limit_that_is_not_reached_changes_nothing():
    steps = in_frames(established(n, n * SECOND, 10 * n + 1) for n in range(30))
    free, bound = Replayed(steps), Replayed(steps, max_connections=30)
    assert (free.connections, free.events, free.packets) == (bound.connections, bound.events, bound.packets)
    assert free.counters == bound.counters
