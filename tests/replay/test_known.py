"""What is known of a stream: a few pieces beyond the first hole, against a set of numbers."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tcpscope.replay.known import KnownProbe

ISLANDS = 4


@pytest.mark.parametrize(("pieces", "upto", "islands"), [
    ([(0, 10)], 10, []),
    ([(0, 10), (5, 15)], 15, []),
    ([(10, 20)], 0, [(10, 20)]),
    ([(10, 20), (0, 10)], 20, []),
    ([(10, 20), (0, 12)], 20, []),
    ([(10, 20), (0, 30)], 30, []),
    ([(10, 20), (30, 40), (0, 9)], 9, [(10, 20), (30, 40)]),
    ([(30, 40), (10, 20)], 0, [(10, 20), (30, 40)]),
    ([(10, 20), (20, 30)], 0, [(10, 30)]),
    ([(10, 20), (30, 40), (15, 35)], 0, [(10, 40)]),
    ([(10, 20), (30, 40), (50, 60), (5, 70)], 0, [(5, 70)]),
    ([(10, 20), (12, 14)], 0, [(10, 20)]),
    ([(0, 10), (2, 4)], 10, []),
    # a fifth piece: the closest two are taken for one
    ([(10, 20), (30, 40), (45, 50), (60, 70), (80, 90)], 0, [(10, 20), (30, 50), (60, 70), (80, 90)]),
])  # fmt: skip
@pytest.mark.parametrize("base", [0, 1000, 2**32 - 25, 2**31 - 25])
def test_pieces(base: int, pieces: list[tuple[int, int]], upto: int, islands: list[tuple[int, int]]) -> None:
    known = KnownProbe(base)
    for start, end in pieces:
        known.add((base + start) % 2**32, (base + end) % 2**32)
    assert (known.upto - base) % 2**32 == upto
    assert [((a - base) % 2**32, (b - base) % 2**32) for a, b in known.islands] == islands


spans = st.tuples(st.integers(0, 60), st.integers(1, 12)).map(lambda span: (span[0], span[0] + span[1]))


@given(st.lists(spans, max_size=30))
def test_it_is_the_set_of_numbers_added_while_the_holes_are_few(drawn: list[tuple[int, int]]) -> None:
    known, truth = KnownProbe(0), set()
    for start, end in drawn:
        known.add(start, end)
        truth |= set(range(start, end))
        told = set(range(known.upto)).union(*(range(a, b) for a, b in known.islands))
        assert truth <= told
        edges = [known.upto, *(edge for piece in known.islands for edge in piece)]
        assert all(a < b for a, b in pairwise(edges))
        assert len(known.islands) <= ISLANDS
        holes = sum(1 for n in truth if n and n - 1 not in truth)
        if told != truth:
            assert holes > ISLANDS
            return
