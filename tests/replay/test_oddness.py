"""The oddest of packed connection records, as sorting finds them."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tcpscope.replay.layout import CONNECTION
from tcpscope.replay.oddness import odd_ones, oddest


def packed(marks: list[tuple[int, int]]) -> bytes:
    """Records that hold nothing but (oddness, number)."""
    records = bytearray(CONNECTION.size * len(marks))
    for at, (odd, number) in enumerate(marks):
        struct.pack_into("B", records, at * CONNECTION.size + CONNECTION.offset("odd"), odd)
        struct.pack_into("=I", records, at * CONNECTION.size + CONNECTION.offset("connection"), number)
    return bytes(records)


@given(st.lists(st.tuples(st.integers(0, 255), st.integers(0, 2**32 - 1)), max_size=60), st.integers(1, 64))
def test_the_oddest_are_those_that_sorting_finds(marks: list[tuple[int, int]], most: int) -> None:
    ranked = sorted(enumerate(marks), key=lambda it: (-it[1][0], it[1][1], it[0]))
    assert oddest(packed(marks), most) == [(odd, number, at) for at, (odd, number) in ranked[:most]]


@given(st.lists(st.integers(0, 3), max_size=60))
def test_odd_ones_stand_in_their_order(odd: list[int]) -> None:
    assert odd_ones(packed([(it, 0) for it in odd])) == [at for at, it in enumerate(odd) if it]
    numbered = packed([(it, 7 * at % 10) for at, it in enumerate(odd)])
    assert odd_ones(numbered, 5) == [at for at, it in enumerate(odd) if it and 7 * at % 10 < 5]


@pytest.mark.parametrize("most", [0, -1, 65])
def test_only_so_many_are_ranked(most: int) -> None:
    with pytest.raises(ValueError, match="64"):
        oddest(b"", most)
