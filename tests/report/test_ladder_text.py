"""Ladders as text: what stands in them, how wide they are, and whole ones beside `ladders/*.txt`."""

from pathlib import Path

import pytest

from tcpscope.report.ladder import render
from tcpscope.report.ladder.text import short, wrapped
from tcpscope.report.ladder.words import fitted, words

from .drawn import sample, script, script_names

GOLDEN = Path(__file__).parent / "ladders"

DRAWN = [
    ("normal", "normal.pcap", {}, {}),
    ("normal-80-ascii", "normal.pcap", {}, {"width": 80, "ascii_only": True}),
    ("fin_lost-60", "fin_lost.pcap", {}, {"width": 60}),
    ("zero_window", "zero_window.pcap", {}, {}),
    ("loss_without_sack-120", "loss_without_sack.pcap", {}, {"width": 120}),
    ("time_wait_reuse", "time_wait_reuse.pcap", {"close": True}, {}),
    ("keep_alive_train", "keep_alive_train.pcap", {"max_rows": 14}, {}),
    ("bulk-raw", "bulk.pcap", {"max_rows": 20}, {"raw": True}),
    ("ipv6-80", "ipv6.pcapng", {}, {"width": 80}),
]


@pytest.mark.parametrize(("name", "capture", "focus", "how"), DRAWN, ids=[it[0] for it in DRAWN])
def test_whole_ladders(name, capture, focus, how, request):
    got = render(sample(capture, **focus), "text", **how)
    path = GOLDEN / f"{name}.txt"
    if request.config.getoption("--update-ladders"):
        path.write_text(got, encoding="utf-8")
    assert got == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", script_names())
def test_every_script_fits(name):
    for width in (76, 80, 120):
        for ascii_only in (False, True):
            text = render(script(name), "text", width=width, ascii_only=ascii_only)
            assert max(map(len, text.splitlines())) <= width
            assert text.isascii() or not ascii_only
            assert "…" not in text.split("\n\n")[0]  # nothing is cut


@pytest.mark.parametrize("name", script_names())
def test_every_arrow_is_on_a_line_of_its_own(name):
    drawing = script(name, fold=False)
    lines = render(drawing, "text", width=120).split("\n\n")[0].splitlines()
    for row in drawing.rows:
        if row.kind == "segment":
            assert sum(line.split()[1:2] == [str(row.frame)] for line in lines) == 1


def test_states_stand_where_they_begin():
    lines = render(sample("normal.pcap"), "text").splitlines()
    assert sum("ESTABLISHED │" in line for line in lines) == 1
    assert sum("FIN_WAIT_2" in line for line in lines) == 1


def test_labels():
    (line,) = [
        it for it in render(script("window/eighteen_steps"), "text", width=120).splitlines() if "1025:2049" in it
    ]
    assert "── 1025:2049(1024) ack 1 win 4096 ─" in line
    assert "SYN seq=0 mss=1460" in render(script("window/eighteen_steps"), "text")


def test_a_window_left_out_is_told():
    assert "The window (win) is left out" in render(sample("normal.pcap"), "text", width=80)
    assert "The window (win) is left out" not in render(sample("normal.pcap"), "text", width=120)


def test_raw_numbers():
    text = render(sample("fast_retransmission.pcap", fold=False), "text", width=140, raw=True)
    relative = render(sample("fast_retransmission.pcap", fold=False), "text", width=140)
    row = next(row for row in sample("fast_retransmission.pcap").rows if row.kind == "segment" and row.sack)
    first = row.sack[0][0]
    assert f"sack {first}:" in relative
    assert f"sack {(row.numbers[1] - row.ack + first) & 0xFFFFFFFF}:" in text


def test_the_receivers_line_is_filled_while_its_window_is_closed():
    lines = render(sample("zero_window.pcap"), "text").splitlines()
    filled = [line for line in lines if "█" in line]
    assert len(filled) == 16 and all("┇" in line for line in filled)  # and the sender's line is broken
    assert "closed for 2.9 s" in "\n".join(lines)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "0µs"), (3.4e-5, "34µs"), (0.0104, "10.4ms"), (0.2131, "213ms"), (1.254, "1.25s"), (60, "60s"),
     (125, "2m05s"), (7200, "2h00m"), (4.5e5, "5.2d"), (1.5e9, "17361d"), (-0.001, "-1ms"), (None, "")],
)  # fmt: skip
def test_short_durations(seconds, said):
    assert short(seconds) == said


def test_a_number_stays_with_its_unit():
    assert wrapped("a word of 12 segments after 213 ms", 16) == ["a word of", "12 segments", "after 213 ms"]


def test_what_does_not_fit_moves_below_and_is_not_lost():
    row = next(row for row in sample("fast_retransmission.pcap").rows if row.kind == "segment" and row.sack)
    whole = words(row)
    for room in range(8, 60):
        label, rest = fitted(whole, room)
        said = f"{label} {rest}"
        assert all(word in said for kind, word in whole if kind != "win")
    assert fitted(whole, 100)[1] == ""
