"""Zeek's conn_state, history and bytes: a script of segments for each value and each letter.

What is expected stands in Zeek's documentation of conn.log (conn_state, history, orig_bytes,
missed_bytes), or follows from the behaviour of its TCP analyzer that the script's name tells.

A script is a line a segment: sender (C, S), flags as tcpdump prints them, relative first:end, then
optional `ack N` (absent: no ACK flag), `win 0`, the checksum (`good`, `bad`, `partial`) and `cut` (the
payload was not captured).  Each side's numbers are relative to its initial one.
"""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tcpscope.replay.layout import CONN_STATES
from tcpscope.replay.zeek import ZeekProbe, zeek_size
from tcpscope.wire.batch import SegmentBatch
from tcpscope.wire.layout import SEGMENT, SEGMENT_FIELDS

BITS = {"F": 0x01, "S": 0x02, "R": 0x04, "P": 0x08, "A": 0x10}
SUMS = {None: 0, "good": 1, "bad": 2, "partial": 3}
BOGUS_OFFSET, CUT_HEADER = 0x04, 0x20
LINE = re.compile(
    r"(?P<who>[CS]) (?P<flags>[FSRP.]+) (?P<first>-?\d+):(?P<end>-?\d+)(?: ack (?P<ack>-?\d+))?"
    r"(?P<window> win 0)?(?: (?P<sum>good|bad|partial))?(?P<cut> cut)?"
)
UNLIKELY = (40000, 50000)  # no LIKELY_SERVER_PORTS
WEB = (40000, 80)


def segment(
    who: int, flags: int, seq: int, ack: int = 0, length: int = 0, *, window: int = 1000, checksum: int = 0,
    cut: bool = False, ports: tuple[int, int] = UNLIKELY, notes: int = 0,
) -> bytes:  # fmt: skip
    values: dict[str, object] = dict.fromkeys((name for name, _ in SEGMENT_FIELDS), 0)
    values |= {
        "src": bytes([10 + who]) + bytes(15), "dst": bytes([11 - who]) + bytes(15), "sport": ports[who],
        "dport": ports[1 - who], "sack": bytes(32), "flags": flags, "seq": seq % 2**32, "ack": ack % 2**32,
        "length": length, "captured": 0 if cut else length, "window": window, "ip_version": 4,
        "checksum_state": checksum, "notes": notes,
    }  # fmt: skip
    return SEGMENT.pack(*values.values())


def read(line: str, isn: tuple[int, int], ports: tuple[int, int]) -> tuple[int, bytes]:
    """Who sends the segment of a script's line, and the segment."""
    match = LINE.fullmatch(line.strip())
    assert match, f"cannot read {line!r}"
    who = "CS".index(match["who"])
    flags = sum(BITS[f] for f in match["flags"] if f != ".") | (BITS["A"] if match["ack"] else 0)
    first, end = int(match["first"]), int(match["end"])
    return who, segment(
        who, flags, isn[who] + first, isn[1 - who] + int(match["ack"] or 0), end - first,
        window=0 if match["window"] else 1000, checksum=SUMS[match["sum"]], cut=bool(match["cut"]),
        ports=ports,
    )  # fmt: skip


def watch(sent: list[tuple[int, bytes]]) -> ZeekProbe:
    probe, batch = ZeekProbe(), SegmentBatch(len(sent))
    batch.load(b"".join(raw for _, raw in sent))
    for index, (who, _) in enumerate(sent):
        probe.observe(batch, index, who)
    return probe


def replay(script: str, isn: tuple[int, int] = (1000, 700000), ports: tuple[int, int] = UNLIKELY) -> ZeekProbe:
    return watch([read(line, isn, ports) for line in script.split(";")])


OPEN = "C S 0:0; S S 0:0 ack 1; C . 1:1 ack 1; "
OPEN_GOOD = "C S 0:0 good; S S 0:0 ack 1 good; C . 1:1 ack 1 good; "
DATA = "C P 1:101 ack 1; S . 1:1 ack 101; S P 1:501 ack 101; C . 101:101 ack 501; "
PLAIN = OPEN + DATA + "C F 101:101 ack 501; S F 501:501 ack 102; C . 102:102 ack 502"

STATES = [
    ("S0", "S", UNLIKELY, "C S 0:0; C S 0:0"),
    ("S1", "ShA", UNLIKELY, OPEN.rstrip("; ")),
    ("SF", "ShADadFf", UNLIKELY, PLAIN),
    ("REJ", "Sr", UNLIKELY, "C S 0:0; S R 0:0 ack 1"),
    ("S2", "ShAFa", UNLIKELY, OPEN + "C F 1:1 ack 1; S . 1:1 ack 2"),
    ("S3", "ShAf", UNLIKELY, OPEN + "S F 1:1 ack 1; C . 1:1 ack 2"),
    ("RSTO", "ShADR", UNLIKELY, OPEN + "C P 1:11 ack 1; C R 11:11 ack 1"),
    ("RSTR", "ShADr", UNLIKELY, OPEN + "C P 1:11 ack 1; S R 1:1 ack 11"),
    ("RSTOS0", "SR", UNLIKELY, "C S 0:0; C R 1:1"),
    ("RSTOS0", "SWR", UNLIKELY, "C S 0:0 win 0; C R 1:1"),
    ("RSTRH", "^hr", WEB, "S S 0:0 ack 1; S R 1:1 ack 1"),
    ("SH", "SF", UNLIKELY, "C S 0:0; C F 1:1"),
    ("SHR", "^hf", WEB, "S S 0:0 ack 1; S F 1:1 ack 1"),
    ("OTH", "DaA", UNLIKELY, "C P 1:11 ack 1; S . 1:1 ack 11; C . 11:11 ack 1"),
    ("OTH", "R", UNLIKELY, "C R 1:1"),
    ("OTH", "SAR", UNLIKELY, "C S 0:0; C . 1:1 ack 1; C R 1:1"),
    # a FIN then a RST of one side and a FIN of the other: a normal end after all
    ("SF", "ShAFRf", UNLIKELY, OPEN + "C F 1:1 ack 1; C R 2:2; S F 1:1 ack 2"),
    # both closed: a late RST changes nothing
    ("SF", "ShADadFfR", UNLIKELY, PLAIN + "; C R 102:102"),
    ("RSTO", "ShAFR", UNLIKELY, OPEN + "C F 1:1 ack 1; C R 2:2"),
    # refused, and the RST answered by a RST: nobody sent a byte
    ("REJ", "SrR", UNLIKELY, "C S 0:0; S R 0:0 ack 1; C R 1:1"),
    # a responder that acknowledges the SYN before it answers does not make the connection partial
    ("S1", "SahA", UNLIKELY, "C S 0:0; S . 0:0 ack 1; S S 0:0 ack 1; C . 1:1 ack 1"),
    ("S0", "AS", UNLIKELY, "C . 1:1 ack 5; C S 0:0"),
    # a lone SYN-ACK could be a scan: its sender is the originator unless port, ACK, data or a SYN tell
    ("OTH", "H", UNLIKELY, "S S 0:0 ack 1"),
    ("REJ", "Hr", UNLIKELY, "S S 0:0 ack 1; C R 1:1"),
    ("S1", "^hA", UNLIKELY, "S S 0:0 ack 1; C . 1:1 ack 1"),
    ("S1", "^hA", WEB, "S S 0:0 ack 1; C . 1:1 ack 1"),
    ("S1", "Hs^", UNLIKELY, "S S 0:0 ack 1; C S 0:0"),
    ("RSTO", "^hR", WEB, "S S 0:0 ack 1; C R 1:1"),
]


@pytest.mark.parametrize(("state", "history", "ports", "script"), STATES)
def test_conn_state(state: str, history: str, ports: tuple[int, int], script: str) -> None:
    probe = replay(script, ports=ports)
    assert (probe.state, probe.history) == (state, history)


def test_every_conn_state_has_a_script() -> None:
    assert {row[0] for row in STATES} == set(CONN_STATES)


LETTERS = [
    ("a and d once", "ShADad", "C . 1:2 ack 1; S . 1:1 ack 2; S . 1:2 ack 2; C . 2:2 ack 2; C . 2:3 ack 2"),
    ("no flag, no payload", "ShA", "C . 1:1"),
    ("SYN-ACK again", "ShA", "S S 0:0 ack 1"),
    ("FIN again, same end", "ShAF", "C F 1:11 ack 1; C F 11:11 ack 1"),
    ("FIN again, other end", "ShAFF", "C F 1:1 ack 1; C F 1:11 ack 1"),
    ("RST again, other number", "ShArr", "S R 1:1; S R 9:9; S R 9:9"),
    ("payload of a FIN is no d", "ShAFf", "C F 1:11 ack 1; S F 1:1 ack 12"),
    ("FIN and RST", "ShAI", "C FR 1:1 ack 1; C FR 2:2 ack 1"),
    ("SYN and FIN", "ShAq", "S SF 0:0 ack 1; S SF 0:0 ack 1"),
    ("SYN and RST", "ShAQ", "C SR 1:1"),
    ("SYN, FIN and RST", "ShAI", "C SFR 0:0"),
    ("zero window", "ShAaw", "S . 1:1 ack 1 win 0"),
    ("zero window of a RST", "ShAr", "S R 1:1 ack 1 win 0"),
    ("zero window after the peer's FIN", "ShAf", "S F 1:1 ack 1; C . 1:1 ack 2 win 0"),
    ("zero window after one's own FIN", "ShAFW", "C F 1:1 ack 1; C . 2:2 ack 1 win 0"),
    ("sent again", "ShADT", "C . 1:11 ack 1; C . 1:11 ack 1"),
    ("late", "ShADT", "C . 11:21 ack 1; C . 1:11 ack 1"),
    ("keep-alive with its byte", "ShADT", "C . 1:11 ack 1; C . 10:11 ack 1"),
    ("keep-alive without", "ShAD", "C . 1:11 ack 1; C . 10:10 ack 1"),
    ("partly new", "ShAD", "C . 1:11 ack 1; C . 6:16 ack 1"),
    ("sent again after a RST", "ShADR", "C . 1:11 ack 1; C R 11:11; C . 1:11 ack 1"),
    ("gap", "ShAaG", "S . 1:1 ack 11"),
    ("gap, then filled", "ShADTa", "C . 11:21 ack 1; C . 1:11 ack 1; S . 1:1 ack 21"),
    ("two gaps are one G", "ShADaG", "C . 11:21 ack 1; S . 1:1 ack 31"),
    ("gap below data, not yet acknowledged", "ShADa", "C . 11:21 ack 1; S . 1:1 ack 1"),
    ("gap that a RST reveals", "ShAr", "S R 1:1 ack 11"),
    ("gap that a FIN reveals", "ShAfG", "S F 1:1 ack 11"),
    ("acknowledged FIN", "ShAFa", "C F 1:1 ack 1; S . 1:1 ack 2"),
    ("acknowledged FIN that was not captured", "ShAaG", "S . 1:1 ack 2"),
    ("payload cut by the snaplen", "ShADaG", "C . 1:11 ack 1 cut; S . 1:1 ack 11"),
    ("payload before the beginning", "ShADT", "C . -9:1 ack 1"),
]  # fmt: skip


@pytest.mark.parametrize(("case", "history", "script"), LETTERS, ids=[row[0] for row in LETTERS])
def test_history(case: str, history: str, script: str) -> None:
    assert replay(OPEN + script).history == history, case


@pytest.mark.parametrize(("history", "script"), [
    ("S", "C S 0:0; C S 500:500"),  # a SYN is always position 0
    ("ShAFfS", OPEN + "C F 1:1 ack 1; S F 1:1 ack 2; C S 500:500"),  # unless the side has closed
    ("SThA", "C S 0:10; S S 0:0 ack 11; C . 11:11 ack 1"),  # payload of a SYN is no D, but a T
    ("ShAc", OPEN_GOOD + "S P 1:11 ack 1 bad"),
    ("ShAcD", OPEN_GOOD + "S F 1:11 ack 1 bad; C . 1:11 ack 1 good"),  # whatever it is, it did not arrive
    ("ShAd", OPEN_GOOD + "S P 1:11 ack 1 partial"),  # left to the network card
    ("ShAD", "C S 0:0 bad; S S 0:0 ack 1 good; C . 1:1 ack 1 bad; C . 1:11 ack 1 bad"),  # a side never right
    ("Da", "C . 1:11 ack 1; S . 1:1 ack 30"),  # no gaps in partial connections
])  # fmt: skip
def test_history_of_other_beginnings(history: str, script: str) -> None:
    assert replay(script).history == history


@pytest.mark.parametrize(("times", "letters"), [(1, 1), (9, 1), (10, 2), (99, 2), (100, 3), (1000, 4)])
@pytest.mark.parametrize(("letter", "line"), [
    ("T", "C . 1:11 ack 1 good"), ("w", "S . 1:1 ack 1 win 0 good"), ("c", "S . 1:1 ack 1 bad"),
])  # fmt: skip
def test_the_tenth_and_hundredth_time(letter: str, line: str, times: int, letters: int) -> None:
    probe = replay(OPEN_GOOD + "C . 1:11 ack 1 good; " + "; ".join([line] * times))
    assert probe.history.count(letter) == letters


@pytest.mark.parametrize("isn", [(1000, 5), (2**32 - 50, 2**32 - 1), (2**31 - 50, 2**31), (2**32 - 1, 0)])
def test_bytes_across_the_wrap(isn: tuple[int, int]) -> None:
    probe = replay(PLAIN, isn)
    assert (probe.state, probe.history) == ("SF", "ShADadFf")
    assert (probe.payload(0), probe.payload(1)) == ((100, 0), (500, 0))


def test_bytes_beyond_4_gb() -> None:
    step = 2**29
    ends = [1 + i * step for i in range(21)]
    lines = [f"C . {a}:{b} ack 1; S . 1:1 ack {b}" for a, b in pairwise(ends)]
    probe = replay(OPEN + "; ".join(lines))
    assert probe.payload(0) == (20 * step, 0)
    assert probe.history == "ShADa"


@pytest.mark.parametrize(("script", "sent"), [
    ("C S 0:0; S S 0:0 ack 1; C F 3000000001:3000000001 ack 1", 3_000_000_000),  # only SYN and FIN captured
    ("C S 0:0; S S 0:0 ack 1; S . 1:1 ack 51", 50),  # known from the peer's ACKs
    ("C S 0:0; S S 0:0 ack 1; C . 1:11 ack 1; C R 9000000:9000000", 10),  # a RST far off is not believed
    ("C S 0:0; S . 5:5 ack 77; C R 77:77", 0),  # half-open, found and aborted
    ("C . 1:11 ack 1; C . 11:21 ack 1", 20),  # begins in the middle
    ("C F 1:11 ack 1", 10),
    ("C S 0:0", 0),
    ("C R 1:1", 0),
])  # fmt: skip
def test_bytes_by_sequence_numbers(script: str, sent: int) -> None:
    assert replay(script).payload(0)[0] == sent


@given(st.sets(st.integers(0, 14), max_size=4), st.integers(0, 2**32 - 1))
def test_missed_bytes_are_those_acknowledged_and_not_captured(lost: set[int], isn: int) -> None:
    sent = [f"C . {1 + 200 * i}:{1 + 200 * i + 100} ack 1; C . {101 + 200 * i}:{201 + 200 * i} ack 1"
            for i in range(15)]  # fmt: skip
    lines = [line.split("; ")[1] if i in lost else line for i, line in enumerate(sent)]
    probe = replay(OPEN + "; ".join(lines) + "; S . 1:1 ack 3001", (isn, 7))
    assert probe.payload(0) == (3000, 100 * len(lost))
    assert probe.history.count("G") == (1 if lost else 0)


def test_more_holes_than_are_remembered_are_told_in_part() -> None:
    lines = [f"C . {1 + 20 * i}:{11 + 20 * i} ack 1" for i in range(1, 41)]
    probe = replay(OPEN + "C . 1:2 ack 1; S . 1:1 ack 2; " + "; ".join(lines) + "; S . 1:1 ack 811")
    assert 0 < probe.payload(0)[1] < 409
    assert probe.history == "ShADaG"


def test_reassembly_is_given_up_beyond_a_hole_that_nobody_acknowledges() -> None:
    # 16 kB above a hole and not one ACK: Zeek reports no gaps of this side any more
    probe = replay(OPEN + "C . 101:20000 ack 1; S . 1:1 ack 20000; S . 1:1 ack 30000")
    assert (probe.history, probe.payload(0)) == ("ShADa", (29999, 0))


@pytest.mark.parametrize("notes", [BOGUS_OFFSET, CUT_HEADER])
def test_a_broken_header_tells_nothing(notes: int) -> None:
    probe = watch([(0, segment(0, BITS["S"], 5, notes=notes))])
    assert (probe.state, probe.history) == ("OTH", "")


def test_a_long_history_is_cut() -> None:
    probe = replay(OPEN + "; ".join(f"C R {i}:{i}" for i in range(1, 100)))
    assert probe.history == "ShA" + "R" * 44


@pytest.mark.parametrize(("script", "ports", "originator"), [
    ("C S 0:0", UNLIKELY, 0),
    ("S S 0:0 ack 1", UNLIKELY, 1),
    ("S S 0:0 ack 1", WEB, 0),
    ("S S 0:0 ack 1; S P 1:9 ack 1", UNLIKELY, 0),
    ("S S 0:0 ack 1; C S 0:0", UNLIKELY, 0),
])  # fmt: skip
def test_the_originator(script: str, ports: tuple[int, int], originator: int) -> None:
    assert replay(script, ports=ports).originator == originator


numbers = st.one_of(st.integers(0, 40), st.integers(2**32 - 20, 2**32 - 1), st.integers(0, 2**32 - 1))
anything = st.tuples(st.integers(0, 1), st.integers(0, 31), numbers, numbers, st.integers(0, 30),
                     st.integers(0, 1), st.integers(0, 3), st.booleans())  # fmt: skip


@given(st.lists(anything, min_size=1, max_size=60))
def test_any_segments_tell_a_history(drawn: list[tuple[int, int, int, int, int, int, int, bool]]) -> None:
    probe = watch([
        (who, segment(who, flags, seq, ack, length, window=window, checksum=checksum, cut=cut))
        for who, flags, seq, ack, length, window, checksum, cut in drawn
    ])  # fmt: skip
    history = probe.history
    assert re.fullmatch("[SHADFRCGTWIQshadfrcgtwiq^]{0,47}", history)
    assert all(history.count(letter) <= 1 for letter in "ADIQadiq")
    assert probe.state in CONN_STATES
    assert all(value >= 0 for side in (0, 1) for value in probe.payload(side))


def test_it_stays_small() -> None:
    assert zeek_size() <= 264


def test_wrong_calls_are_refused() -> None:
    probe, batch = ZeekProbe(), SegmentBatch(1)
    for call in (lambda: probe.observe(batch, 0, 0), lambda: probe.payload(2)):
        with pytest.raises(IndexError):
            call()
