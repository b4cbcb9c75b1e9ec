"""Messages against segments."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tcpscope.errors import UsageError
from tcpscope.tables.framing import Framed, framer
from tcpscope.tables.streams import Piece


def pieces(data, cuts, missing=()):
    """The client's stream in segments that end at these offsets; those numbered in `missing` are gaps."""
    ends = sorted({min(cut, len(data)) for cut in cuts} | {len(data)} - {0})
    start = 0
    for number, end in enumerate(ends):
        kind, part = ("gap", b"") if number in missing else ("data", data[start:end])
        if end > start:
            yield Piece(
                "client", kind, start, end - start, number, 0, number + 1, 0, None, part, b"", None, False, False
            )
        start = end


def framed(spec, data, cuts=(), missing=()):
    it = Framed(pieces(data, cuts, missing), spec)
    rows = list(it.rows())
    return (
        [r for r in rows if r["kind"] == "message"],
        [r for r in rows if r["kind"] == "segment"],
        it.summary()["client"],
    )


FRAMINGS = {
    "length-prefix:2": lambda body: len(body).to_bytes(2, "big") + body,
    "length-prefix:4,little,inclusive": lambda body: (len(body) + 4).to_bytes(4, "little") + body,
    "length-prefix:4,offset=1,header=5": lambda body: b"Q" + len(body).to_bytes(4, "big") + body,
    "length-prefix:3,little,header=4": lambda body: len(body).to_bytes(3, "little") + b"\7" + body,
    "delimiter:\\r\\n": lambda body: body.replace(b"\r\n", b"") + b"\r\n",
}


@pytest.mark.parametrize("spec", FRAMINGS)
@given(st.lists(st.binary(max_size=40), min_size=1, max_size=12), st.lists(st.integers(0, 600), max_size=12))
def test_messages_are_found_however_they_are_cut(spec, bodies, cuts):
    made = [FRAMINGS[spec](body) for body in bodies]
    if spec.startswith("delimiter"):
        made = [it + b"\r\n" for it in b"".join(made).split(b"\r\n")[:-1]]
    data = b"".join(made)
    messages, segments, summary = framed(spec, data, cuts)
    assert [(m["offset"], m["length"]) for m in messages] == [
        (sum(map(len, made[:at])), len(it)) for at, it in enumerate(made)
    ]
    assert summary["unfinished"] == 0 and summary["lost"] is None and all(m["whole"] for m in messages)
    ends = {m["offset"] + m["length"] for m in messages}
    for s in segments:
        assert s["ends_inside"] == (s["offset"] + s["length"] not in ends)
        assert s["ended"] == sum(s["offset"] < end <= s["offset"] + s["length"] for end in ends)
    for m in messages:
        over = [
            s for s in segments if s["offset"] < m["offset"] + m["length"] and s["offset"] + s["length"] > m["offset"]
        ]
        assert (m["segments"], m["first_frame"], m["last_frame"]) == (len(over), over[0]["frame"], over[-1]["frame"])


def test_sticky_packets_are_counted():
    data = b"\0\3abc\0\1x\0\4wxyz"
    _, segments, summary = framed("length-prefix:2", data, [8, 11])
    assert [(s["ended"], s["starts_inside"], s["ends_inside"]) for s in segments] == [
        (2, False, False), (0, False, True), (1, True, False),
    ]  # fmt: skip
    assert summary == {
        "messages": 3,
        "segments": 3,
        "split": 1,
        "sticky": 1,
        "inside": 1,
        "unfinished": 0,
        "lost": None,
    }


def test_missing_bytes():
    data = b"\0\3abc\0\1x\0\4wxyz"
    messages, _, summary = framed("length-prefix:2", data, [3, 5], missing={1})
    assert [m["whole"] for m in messages] == [False, True, True] and summary["lost"] is None
    messages, segments, summary = framed("length-prefix:2", data, [5, 8], missing={1})
    assert len(messages) == 1 and "missing" in summary["lost"] and segments[-1]["ended"] is None
    messages, _, _ = framed("fixed:5", bytes(20), [7, 12], missing={1})
    assert [m["whole"] for m in messages] == [True, False, False, True]


def test_bytes_that_are_no_such_messages():
    _, _, summary = framed("length-prefix:4", b"HTTP/1.1 200 OK\r\n")
    assert summary["messages"] == 0 and "these are not such messages" in summary["lost"]
    _, _, summary = framed("length-prefix:2,inclusive", b"\0\1")
    assert summary["lost"]


@pytest.mark.parametrize(
    "spec",
    ["", "length-prefix", "length-prefix:5", "length-prefix:4,litle", "length-prefix:4,offset=x", "fixed:0", "fixed:",
     "delimiter:", "length-prefix:4,header=2", "lines"],
)  # fmt: skip
def test_no_such_framing(spec):
    with pytest.raises(UsageError):
        framer(spec)
