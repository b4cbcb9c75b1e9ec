"""Turns: what one side says until the other one speaks, in parts."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from tcpscope.report.follow import shown
from tcpscope.report.turns import MOST, Limited, Turn, runs, turns
from tcpscope.tables.streams import Piece


def piece(side: str, data: bytes, offset: int = 0, frame: int = 1, kind: str = "data", length: int = 0) -> Piece:
    return Piece(side, kind, offset, length or len(data), 0, 0, frame, 0, None, data, b"", None, False, False)


def said(turn: Turn) -> bytes:
    return b"".join(it.data for it in turn.pieces)


@given(
    st.lists(st.tuples(st.booleans(), st.text(min_size=1, max_size=20)), max_size=20),
    st.integers(8, 30),
    st.integers(0, 99),
)
def test_turns_hold_every_byte_and_cut_no_character(spoken: list[tuple[bool, str]], largest: int, most: int) -> None:
    pieces = [piece("server" if server else "client", text.encode()) for server, text in spoken]
    found = list(turns(pieces, largest))
    for side in ("client", "server"):
        assert b"".join(said(it) for it in found if it.side == side) == b"".join(
            it.data for it in pieces if it.side == side
        )
    for turn in found:
        assert turn.size == len(said(turn)) <= largest
        said(turn).decode()
    for before, turn in itertools.pairwise(found):
        assert turn.continued == (turn.side == before.side)
    limited = Limited(pieces, most)
    total = sum(len(it.data) for it in pieces)
    assert sum(it.size for it in limited.turns()) == min(most, total)
    assert limited.stopped == (total > most)


def test_a_line_end_is_not_cut() -> None:
    assert [said(it) for it in turns([piece("client", b"1234567\r\nrest")], 8)] == [b"1234567", b"\r\nrest"]
    assert [said(it) for it in turns([piece("client", b"\x80" * 20)], 8)] == [b"\x80" * 8, b"\x80" * 8, b"\x80" * 4]


def test_cut_bytes_that_adjoin_are_one_piece_and_parts_are_bounded() -> None:
    cut = [piece("client", b"", at * 10, at + 1, "cut", 10) for at in range(5)]
    ((only,),) = [it.pieces for it in turns(cut)]
    assert (only.offset, only.length, only.frame, only.other_frame) == (0, 50, 1, 5)
    holes = [piece("client", b"", at * 20, at + 1, "gap", 10) for at in range(MOST + 5)]
    assert [len(it.pieces) for it in turns(holes)] == [MOST, 5]


def test_runs_join_data_between_marks() -> None:
    pieces = [
        piece("client", b"a"),
        piece("client", b"b"),
        piece("client", b"", kind="gap", length=3),
        piece("client", b"c"),
    ]
    assert [(it.kind, data) for it, data in runs(pieces)] == [("data", b"ab"), ("gap", b""), ("data", b"c")]


@given(st.binary(max_size=200))
def test_what_is_shown_is_printable(data: bytes) -> None:
    assert not {char for char in shown(data) if not char.isprintable()} - {"\n", "\t"}


@given(st.text(max_size=100))
def test_hostile_text_is_shown_harmless(text: str) -> None:
    found = shown(text.encode("utf-8", "replace"))
    assert not {char for char in found if not char.isprintable()} - {"\n", "\t"}
    assert not set(found) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200b\u200e\u200f\ufeff")
    if text.isascii() and text.isprintable():
        assert found == text
