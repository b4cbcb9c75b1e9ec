"""The streams put together: what must come out of segments in any order, repeated, overlapping, lost."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tcpscope.replay.stream import ACKNOWLEDGED, AFTER_RESET, JUMP, KINDS, UNHEARD, Streams

FIN, SYN, RST = 1, 2, 4
CLIENT, SERVER = 0, 1


class Talk:
    """Feeds segments, counts frames, gathers what comes out."""

    def __init__(self, **options: Any) -> None:
        self.streams = Streams(**options)
        self.frame = 0
        self.found: list[tuple[int, str, int, int, int, bytes]] = []
        self.notes: list[int] = []

    def send(self, side: int, payload: bytes = b"", **fields: Any) -> Talk:
        self.frame += 1
        self.streams.feed(side, payload, frame=self.frame, time_ns=self.frame * 1000, **fields)
        return self._gather()

    def open(self, client: int = 1000, server: int = 5000, **fields: Any) -> Talk:
        self.send(CLIENT, seq=client, flags=SYN, **fields)
        self.send(SERVER, seq=server, ack=(client + 1) & 0xFFFFFFFF, flags=SYN, **fields)
        return self.send(CLIENT, seq=(client + 1) & 0xFFFFFFFF, ack=(server + 1) & 0xFFFFFFFF)

    def end(self) -> Talk:
        self.streams.finish()
        return self._gather()

    def _gather(self) -> Talk:
        for side, kind, offset, length, _, _, frame, _, other, note, data in self.streams.taken():
            self.found.append((side, KINDS[kind], offset, length, other if KINDS[kind] == "conflict" else frame, data))
            self.notes.append(note)
        return self

    def of(self, side: int) -> bytes:
        return b"".join(it[5] for it in self.found if it[0] == side and it[1] == "data")

    def kinds(self, side: int | None = None) -> list[tuple[str, int, int]]:
        return [(it[1], it[2], it[3]) for it in self.found if side in (None, it[0])]

    def count(self, name: str, side: int = CLIENT) -> int:
        return self.streams.counts()[side][name]


TEXT = bytes(range(256)) * 8


@st.composite
def segmentations(draw: Any) -> tuple[int, list[tuple[int, int]]]:
    """How long the stream is, and segments that cover all of it, in any order, repeated and overlapping."""
    size = draw(st.integers(1, 400))
    cuts = sorted({0, size, *draw(st.lists(st.integers(0, size), max_size=12))})
    covering = list(itertools.pairwise(cuts))
    more = draw(st.lists(st.tuples(st.integers(0, size - 1), st.integers(1, 80)), max_size=12))
    overlapping = [(start, min(start + length, size)) for start, length in more]
    return size, draw(st.permutations(covering + overlapping))


@settings(max_examples=400, deadline=None)
@given(segmentations(), st.integers(0, 0xFFFFFFFF), st.booleans())
def test_any_order_gives_the_stream(given: tuple[int, list[tuple[int, int]]], isn: int, merge: bool) -> None:
    size, segments = given
    talk = Talk(merge=merge).open(client=isn)
    for start, end in segments:
        talk.send(CLIENT, TEXT[start:end], seq=(isn + 1 + start) & 0xFFFFFFFF, ack=5001)
    talk.end()
    assert talk.of(CLIENT) == TEXT[:size]
    assert {kind for kind, _, _ in talk.kinds()} == {"data"}
    # one-byte copies at the end pass for keep-alives
    sent = sum(end - start for start, end in segments)
    assert talk.count("bytes") + talk.count("duplicate") + talk.count("probes") == sent


def model(segments: list[tuple[int, bytes]], size: int) -> list[int | None]:
    """The first copy of each byte wins."""
    stream: list[int | None] = [None] * size
    for start, data in segments:
        for at, byte in enumerate(data, start):
            if stream[at] is None:
                stream[at] = byte
    return stream


@settings(max_examples=400, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 100), st.binary(min_size=2, max_size=30)), min_size=1, max_size=20),
    st.integers(0, 0xFFFFFFFF),
)
def test_the_first_copy_wins_and_holes_are_told(segments: list[tuple[int, bytes]], isn: int) -> None:
    size = max(start + len(data) for start, data in segments)
    expected = model(segments, size)
    talk = Talk().open(client=isn)
    for start, data in segments:
        talk.send(CLIENT, data, seq=(isn + 1 + start) & 0xFFFFFFFF, ack=5001)
    talk.end()
    found: list[int | None] = []
    for side, kind, offset, length, _, data in talk.found:
        if kind in ("data", "gap"):
            assert (side, offset) == (CLIENT, len(found)), "in order, without overlap"
            assert length == len(data) or kind == "gap"
            found += data if kind == "data" else [None] * length
    assert found == expected
    seen: list[int | None] = [None] * size
    differ = False
    for start, data in segments:
        differ = differ or any(seen[at] not in (None, byte) for at, byte in enumerate(data, start))
        for at, byte in enumerate(data, start):
            seen[at] = byte if seen[at] is None else seen[at]
    assert ("conflict" in {kind for kind, _, _ in talk.kinds()}) == differ
    assert talk.count("missing") == expected.count(None)


@settings(max_examples=200, deadline=None)
@given(segmentations(), st.integers(0, 400))
def test_whatever_may_wait_nothing_is_lost(given: tuple[int, list[tuple[int, int]]], most: int) -> None:
    """With little room holes are passed over early; then what fills them is late, never gone."""
    size, segments = given
    talk = Talk(most=most).open()
    for start, end in segments:
        talk.send(CLIENT, TEXT[start:end], seq=1001 + start, ack=5001)
        assert talk.streams.held <= most + 1000
    talk.end()
    known = [False] * size
    for _, kind, offset, length, _, data in talk.found:
        assert kind in ("data", "gap", "late")
        if kind != "gap":
            assert data == TEXT[offset : offset + length]
            known[offset : offset + length] = [True] * length
    probes = talk.count("probes")
    assert known.count(False) <= probes
    assert talk.count("missing") >= talk.count("late")


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 9)), max_size=30), st.integers(0, 500))
def test_both_sides_come_in_one_order(steps: list[tuple[bool, int]], most: int) -> None:
    """Each side's bytes are in order whatever the other one waits for, and each item comes once."""
    talk = Talk(most=most).open()
    for server, at in steps:
        base = 5001 if server else 1001
        talk.send(int(server), TEXT[at * 5 : at * 5 + 5], seq=base + at * 5, ack=1001 if server else 5001)
    talk.end()
    for side in (CLIENT, SERVER):
        at = 0
        for kind, offset, length in talk.kinds(side):
            if kind in ("data", "gap"):
                assert offset == at
                at += length
        slots = {slot for server, slot in steps if server == bool(side)}
        late = sum(length for kind, _, length in talk.kinds(side) if kind == "late")
        assert len(talk.of(side)) + late == 5 * len(slots)


def test_the_other_side_waits_for_a_hole_and_comes_in_its_place() -> None:
    talk = Talk().open()
    talk.send(CLIENT, b"BBB", seq=1004, ack=5001)  # AAA is missing
    talk.send(SERVER, b"ok", seq=5001, ack=1001)
    assert talk.kinds() == []
    talk.send(CLIENT, b"AAA", seq=1001, ack=5001)
    assert [(it[0], it[5]) for it in talk.found] == [(SERVER, b"ok"), (CLIENT, b"AAA"), (CLIENT, b"BBB")]


def test_behind_a_gap_bytes_come_when_they_were_sent() -> None:
    talk = Talk().open()
    talk.send(CLIENT, b"BBB", seq=1004, ack=5001)
    talk.send(SERVER, b"ok", seq=5001, ack=1007)
    talk.end()
    assert [(it[0], it[1]) for it in talk.found] == [(CLIENT, "gap"), (CLIENT, "data"), (SERVER, "data")]
    assert talk.notes[0] == ACKNOWLEDGED


def test_a_gap_tells_what_the_peer_acknowledged_of_it() -> None:
    talk = Talk().open()
    talk.send(CLIENT, b"x" * 10, seq=1101, ack=5001)
    talk.send(SERVER, seq=5001, ack=1041).end()
    assert talk.kinds(CLIENT) == [("gap", 0, 40), ("gap", 40, 60), ("data", 100, 10)]
    assert talk.notes[:2] == [ACKNOWLEDGED, 0]
    assert (talk.count("gaps"), talk.count("missing")) == (2, 100)


def test_a_gap_that_was_selectively_acknowledged() -> None:
    talk = Talk().open().send(SERVER, seq=5001, ack=1011, sack=((1021, 1031), (1051, 1061)))
    talk.send(CLIENT, b"x", seq=1101, ack=5001).end()
    assert talk.kinds(CLIENT) == [
        ("gap", 0, 10), ("gap", 10, 10), ("gap", 20, 10), ("gap", 30, 20), ("gap", 50, 10), ("gap", 60, 40),
        ("data", 100, 1),
    ]  # fmt: skip
    assert talk.notes[:6] == [ACKNOWLEDGED, 0] * 3


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 300), st.integers(1, 40)), max_size=90), st.integers(0, 250))
def test_selective_acknowledgments_add_up(blocks: list[tuple[int, int]], acked: int) -> None:
    """As long as there are few ranges at a time, every byte is told right."""
    had = set(range(acked))
    talk = Talk().open().send(SERVER, seq=5001, ack=1001 + acked)
    for start, length in blocks:
        talk.send(SERVER, seq=5001, ack=1001 + acked, sack=((1001 + start, 1001 + start + length),))
        had |= set(range(start, start + length))
    talk.send(CLIENT, b"x", seq=1401, ack=5001).end()
    found = {
        at
        for (_, kind, offset, length, _, _), note in zip(talk.found, talk.notes, strict=True)
        if kind == "gap" and note & ACKNOWLEDGED
        for at in range(offset, offset + length)
    }
    assert found == had


def test_a_wrong_checksum_keeps_bytes_out_unless_they_are_acknowledged() -> None:
    talk = Talk().open(checksum=1).send(CLIENT, b"bad", seq=1001, ack=5001, checksum=2)
    talk.send(CLIENT, b"abc", seq=1001, ack=5001, checksum=1).send(SERVER, seq=5001, ack=1004).end()
    assert talk.of(CLIENT) == b"abc"
    assert (talk.count("bad_sums"), talk.count("conflicts"), talk.count("doubtful")) == (1, 0, 0)
    offload = Talk().open(checksum=1).send(CLIENT, b"abc", seq=1001, ack=5001, checksum=2)
    assert offload.of(CLIENT) == b""
    offload.send(SERVER, b"ok", seq=5001, ack=1004).end()
    assert [it[5] for it in offload.found] == [b"abc", b"ok"]
    assert (offload.count("bad_sums"), offload.count("doubtful")) == (0, 3)
    never = Talk().open(checksum=1).send(CLIENT, b"abc", seq=1001, ack=5001, checksum=2).end()
    assert never.kinds() == [("gap", 0, 3)]
    assert never.count("bad_sums") == 1
    anonymised = Talk().open(checksum=2).send(CLIENT, b"abc", seq=1001, ack=5001, checksum=2).end()
    assert anonymised.of(CLIENT) == b"abc"


def test_nothing_is_known_of_a_gap_where_the_peer_is_not_in_the_capture() -> None:
    talk = Talk()
    talk.send(CLIENT, seq=1000, flags=SYN)
    talk.send(CLIENT, b"x", seq=1011, ack=5001).end()
    assert talk.kinds() == [("gap", 0, 10), ("data", 10, 1)]
    assert talk.notes[0] == UNHEARD


def test_the_end_is_missing_too() -> None:
    talk = Talk().open().send(CLIENT, b"abc", seq=1001, ack=5001).send(SERVER, seq=5001, ack=1020).end()
    assert talk.kinds() == [("data", 0, 3), ("gap", 3, 16)]
    talk = Talk().open().send(CLIENT, b"abc", seq=1001, ack=5001).send(SERVER, seq=5001, ack=1005).end()
    assert talk.kinds() == [("data", 0, 3)], "that was a FIN"
    talk = Talk().open().send(CLIENT, seq=1011, ack=5001, flags=FIN).end()
    assert talk.kinds() == [("gap", 0, 10)]


def test_a_conflict_names_both_frames() -> None:
    talk = Talk().open().send(CLIENT, b"GET /good", seq=1001, ack=5001).send(CLIENT, b"GET /evil", seq=1001, ack=5001)
    side, kind, offset, length, first_frame, data = talk.found[-1]
    assert (side, kind, offset, length, first_frame) == (CLIENT, "conflict", 5, 4, 4)
    assert data == b"evil" + b"good"
    assert talk.of(CLIENT) == b"GET /good"
    held = Talk().open().send(CLIENT, b"good", seq=1005, ack=5001).send(CLIENT, b"xxxxevil", seq=1001, ack=5001).end()
    assert held.of(CLIENT) == b"xxxxgood"
    assert [it[4:] for it in held.found if it[1] == "conflict"] == [(4, b"evilgood")]


def test_cut_bytes_are_counted_and_told() -> None:
    talk = Talk().open().send(CLIENT, b"abcd", seq=1001, ack=5001, length=100).send(CLIENT, b"e", seq=1101, ack=5001)
    assert talk.kinds() == [("data", 0, 4), ("cut", 4, 96), ("data", 100, 1)]
    assert talk.count("cut") == 96
    talk.send(CLIENT, b"abcdefgh", seq=1001, ack=5001, length=100)
    assert talk.kinds()[3:] == [("late", 4, 4)], "a copy that was cut later"


def test_a_keep_alive_brings_no_byte() -> None:
    talk = Talk().open().send(CLIENT, b"abc", seq=1001, ack=5001).send(SERVER, seq=5001, ack=1004)
    talk.send(CLIENT, b"\0", seq=1003, ack=5001).send(CLIENT, b"def", seq=1004, ack=5001).end()
    assert talk.kinds() == [("data", 0, 3), ("data", 3, 3)]
    assert (talk.count("probes"), talk.count("conflicts")) == (1, 0)


def test_a_keep_alive_at_the_start_of_the_capture() -> None:
    talk = Talk().send(CLIENT, seq=999, ack=5001).send(SERVER, seq=5001, ack=1000)
    talk.send(CLIENT, b"def", seq=1000, ack=5001).end()
    assert talk.kinds() == [("data", 0, 3)]


@pytest.mark.parametrize("acknowledged", [False, True])
def test_a_zero_window_probe_counts_only_if_it_is_acknowledged(acknowledged: bool) -> None:
    talk = Talk().open().send(CLIENT, b"abc", seq=1001, ack=5001).send(SERVER, seq=5001, ack=1004, window=0)
    talk.send(CLIENT, b"?", seq=1004, ack=5001)
    assert talk.of(CLIENT) == b"abc"
    talk.send(SERVER, seq=5001, ack=1005 if acknowledged else 1004, window=0)
    if not acknowledged:
        talk.send(CLIENT, b"d", seq=1004, ack=5001).send(SERVER, seq=5001, ack=1004, window=9)
        talk.send(CLIENT, b"def", seq=1004, ack=5001)
    talk.end()
    assert talk.of(CLIENT) == (b"abc?" if acknowledged else b"abcdef")


def test_what_comes_when_its_gap_was_passed_is_late() -> None:
    talk = Talk(most=0).open().send(CLIENT, b"def", seq=1004, ack=5001)
    assert talk.kinds() == [("gap", 0, 3), ("data", 3, 3)]
    talk.send(CLIENT, b"abcd", seq=1001, ack=5001).send(CLIENT, b"abcd", seq=1001, ack=5001).end()
    assert talk.kinds()[2:] == [("late", 0, 3)]
    assert (talk.count("late"), talk.count("duplicate")) == (3, 5)


def test_a_capture_may_begin_in_the_middle() -> None:
    talk = Talk().send(CLIENT, b"def", seq=4_000_000_000, ack=77).send(SERVER, b"ok", seq=77, ack=4_000_000_003).end()
    assert [(it[0], it[2], it[5]) for it in talk.found] == [(CLIENT, 0, b"def"), (SERVER, 0, b"ok")]
    assert Talk().send(SERVER, seq=9, ack=100).send(CLIENT, b"x" * 5, seq=110, ack=9).end().kinds(CLIENT) == [
        ("gap", 0, 10), ("data", 10, 5),
    ], "the peer waits for what came before"  # fmt: skip
    early = Talk().send(CLIENT, b"def", seq=1003, ack=9).send(CLIENT, b"abc", seq=1000, ack=9).end()
    assert early.kinds() == [("data", 0, 3), ("late", -3, 3)]


def test_data_on_the_syn() -> None:
    talk = Talk().send(CLIENT, b"hello", seq=1000, flags=SYN).send(SERVER, seq=5000, ack=1001, flags=SYN)
    talk.send(CLIENT, b"hello", seq=1001, ack=5001).send(SERVER, seq=5001, ack=1006).end()
    assert talk.kinds() == [("data", 0, 5)]


def test_nothing_comes_after_a_fin() -> None:
    talk = Talk().open().send(CLIENT, b"abc", seq=1001, ack=5001, flags=FIN).send(CLIENT, b"more", seq=1005, ack=5001)
    talk.send(CLIENT, b"\0", seq=1004, ack=5001).end()
    assert talk.of(CLIENT) == b"abc"
    assert (talk.count("past_fin"), talk.count("probes")) == (4, 1)
    early = Talk().open().send(CLIENT, b"xyz", seq=1010, ack=5001).send(CLIENT, b"abc", seq=1001, ack=5001, flags=FIN)
    assert early.end().of(CLIENT) == b"abc"
    assert early.count("past_fin") == 3


def test_a_reset_carries_no_data_and_marks_what_follows() -> None:
    talk = Talk().open().send(SERVER, b"no socket", seq=5001, ack=1001, flags=RST)
    talk.send(CLIENT, b"late", seq=1001, ack=5001).end()
    assert talk.kinds() == [("data", 0, 4)]
    assert talk.notes == [AFTER_RESET]
    assert (talk.count("in_reset", SERVER), talk.count("after_reset")) == (9, 4)


def test_a_segment_far_outside_the_window_is_left_out() -> None:
    talk = Talk().open(window_scale=2).send(CLIENT, b"forged", seq=1001 + 900_000_000, ack=5001)
    talk.send(CLIENT, b"abc", seq=1001, ack=5001).end()
    assert talk.kinds() == [("data", 0, 3)]
    assert talk.count("outside") == 1


def test_numbers_that_leap_are_followed() -> None:
    talk = Talk().open()
    for at in range(12):
        talk.send(CLIENT, b"0123456789", seq=(1001 + 3_000_000_000 + 10 * at) & 0xFFFFFFFF, ack=5001)
    talk.end()
    (kind, offset, length), *rest = talk.kinds()
    assert (kind, offset, length, talk.notes[0]) == ("gap", 0, 3_000_000_080, JUMP)
    assert b"".join(it[5] for it in talk.found) == b"0123456789" * 4
    assert [it[1] for it in rest] == [3_000_000_080 + 10 * at for at in range(4)]


def test_a_stream_longer_than_its_numbers() -> None:
    """Past 2**32 bytes offsets go on; the bytes in between were not captured."""
    talk = Talk().open(window_scale=14)
    step = 1 << 28
    for at in range(20):
        talk.send(CLIENT, b"x", seq=(1001 + at * step) & 0xFFFFFFFF, ack=5001, length=step)
        talk.send(SERVER, seq=5001, ack=(1001 + (at + 1) * step) & 0xFFFFFFFF)
    talk.end()
    assert [it[2] for it in talk.found if it[1] == "data"] == [at * step for at in range(20)]
    assert talk.count("bytes") == 20


def test_one_side_alone_waits_for_nobody() -> None:
    talk = Talk(sides=(False, True)).open().send(CLIENT, b"BBB", seq=1004, ack=5001)
    talk.send(SERVER, b"ok", seq=5001, ack=1001)
    assert talk.of(SERVER) == b"ok"
    assert talk.end().kinds(CLIENT) == []


def test_merged_data_tells_its_first_and_last_frame() -> None:
    streams = Streams(merge=True)
    for at in range(3):
        streams.feed(CLIENT, b"ab", seq=1 + 2 * at, ack=1, frame=at + 1)
    ((_, kind, offset, length, _, _, frame, _, other, _, data),) = streams.taken()
    assert (KINDS[kind], offset, length, frame, other, data) == ("data", 0, 6, 1, 3, b"ababab")


ANYWHERE = st.one_of(st.integers(0, 0xFFFFFFFF), st.integers(-300, 300).map(lambda it: (it + 5000) & 0xFFFFFFFF))


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 1), ANYWHERE, st.none() | ANYWHERE, st.integers(0, 0x3F), st.binary(max_size=40),
            st.integers(0, 1 << 20), st.integers(0, 2), st.lists(st.tuples(ANYWHERE, ANYWHERE), max_size=4),
        ),
        max_size=40,
    ),
    st.sampled_from([0, 300, 8 << 20]),
)  # fmt: skip
def test_hostile_segments_keep_the_order(segments: list[tuple[Any, ...]], most: int) -> None:
    """Whatever comes: each side's offsets go on without a step, counts agree with items, little waits."""
    talk = Talk(most=most)
    for side, seq, ack, flags, payload, more, checksum, sack in segments:
        talk.send(side, payload, seq=seq, ack=ack, flags=flags, length=len(payload) + more % 60 * (more & 1),
                  window=more & 0xFFFF, checksum=checksum, sack=tuple(sack))  # fmt: skip
        assert talk.streams.held <= most + 2000
    talk.end()
    assert talk.streams.held <= 400, "two probes at most"
    for side in (CLIENT, SERVER):
        at = 0
        for _, kind, offset, length, _, data in (it for it in talk.found if it[0] == side):
            if kind in ("data", "gap", "cut"):
                assert offset == at and length > 0
                at += length
            assert len(data) == {"data": length, "late": length, "conflict": 2 * length}.get(kind, 0)
        total = {name: sum(it[2] for it in talk.kinds(side) if it[0] == name) for name in KINDS}
        assert total["data"] == talk.count("bytes", side) and total["gap"] == talk.count("missing", side)
        assert total["cut"] == talk.count("cut", side) and total["late"] == talk.count("late", side)
