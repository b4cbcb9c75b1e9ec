"""What was acknowledged long ago and is no longer in the ring of a side's chunks."""

from __future__ import annotations

import struct

import pytest

from tcpscope.replay.layout import ANNOTATIONS
from tcpscope.wire.layout import OPT_SACK, OPT_SACK_PERMITTED
from tests.replay.segments import ACK, SYN, Replayed, segment

CLIENT, SERVER = 0, 1
MANY, SIZE = 40, 1000


def replayed(*, late: int, of: int = 0) -> Replayed:
    """The client's first segment is repeated at once; after `late` more the server tells of a copy of number `of`."""
    made: list[bytes] = []

    def say(sender: int, flags: int, seq: int, ack: int = 0, length: int = 0, *, ms: int = 1, **more: object) -> None:
        nonlocal now
        now += ms
        made.append(segment(len(made) + 1, sender, flags, seq, ack, length, time_ns=now * 10**6, **more))

    now = 10**9
    agreed = {"options": OPT_SACK_PERMITTED, "mss": SIZE}
    say(CLIENT, SYN, 99, **agreed)
    say(SERVER, SYN | ACK, 199, 100, ms=20, **agreed)
    say(CLIENT, ACK, 100, 200)
    say(CLIENT, ACK, 100, 200, SIZE)
    say(CLIENT, ACK, 100, 200, SIZE, ms=300)
    for at in range(1, MANY):
        say(CLIENT, ACK, 100 + at * SIZE, 200, SIZE)
        say(SERVER, ACK, 200, 100 + (at + 1) * SIZE)
        if at == late:
            told = struct.pack("=2I24x", 100 + of * SIZE, 100 + (of + 1) * SIZE)
            say(SERVER, ACK, 200, 100 + (at + 1) * SIZE, options=OPT_SACK, n_sack=1, sack=told)
    return Replayed(made)


def needless(found: Replayed) -> list[int]:
    bit = ANNOTATIONS.index("spurious_retransmission")
    return [row["frame"] for row in found.packets if row["annotations"] >> bit & 1]


@pytest.mark.parametrize("late", [1, 8, 39])
def test_a_d_sack_for_what_has_left_the_ring_still_tells(late: int) -> None:
    found = replayed(late=late)
    (connection,) = found.connections
    assert needless(found) == [5]
    assert connection["client_spurious_retransmissions"] == 1


@pytest.mark.parametrize("late", [1, 8, 39])
def test_one_for_what_was_sent_once_tells_nothing_of_its_sender(late: int) -> None:
    assert needless(replayed(late=late, of=1)) == []
