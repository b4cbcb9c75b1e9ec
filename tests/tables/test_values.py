"""Each kind of value says the same to Python and to numpy, and "not known" is never a number."""

import math
import re
from fractions import Fraction
from pathlib import Path

import pytest

from tcpscope.replay import layout
from tcpscope.tables.address import address
from tcpscope.tables.frames import arrow, frame
from tcpscope.tables.rows import rows
from tcpscope.tables.schema import OPTIONS, TABLES
from tcpscope.tables.values import Remembered, seconds
from tests.tables.records import V4, record

NONE = {name: -1 for name, code in layout.CONNECTION_FIELDS if code in "qd"}
EXAMPLES = {
    "connections": [
        record("connections", **NONE | {"start_ns": 5, "end_ns": 7}, closed_by=255, time_wait_owner=255, icmp_type=255,
               ip_version=4, client_addr=V4[0], server_addr=V4[1]),
        record("connections", client_rtt_mean_ns=2.5e6, closed_by=1, time_wait_owner=2, icmp_type=3, icmp_code=1,
               ip_version=6, client_addr=bytes(16), server_addr=bytes(10) + b"\xff\xff" + V4[0][:4], reused=1),
    ],
    "packets": [
        record("packets", rtt_ns=-1, ack_rtt_ns=-1, initial_rtt_ns=-1, flags=0x12, ip_version=4, src=V4[0], dst=V4[1]),
        record("packets", rtt_ns=1500, options=1 | 2 | 16, mss=1460, annotations=3, wireshark=1, frame=9, ip_version=6,
               n_sack=2, sack=b"".join(n.to_bytes(4, "little") for n in (1, 2, 3, 4)) + bytes(16), flags=0x1002),
    ],
    "events": [record("events", ip_version=4, ip=V4[0]), record("events", frame=3, inferred=1, event=255)],
}  # fmt: skip


def same(one, other):
    """Equal, with NaN and NA for None and tuples for lists."""
    if isinstance(one, list):
        return other == tuple(tuple(it) if isinstance(it, list) else it for it in one)
    if one is None:
        return other is None or str(other) in ("nan", "<NA>")
    return one == other and not (isinstance(other, float) and math.isnan(other))


@pytest.mark.parametrize("table", TABLES)
def test_frames_say_what_the_rows_say(table):
    pytest.importorskip("pandas")
    chunks = EXAMPLES[table]
    want = [row for chunk in chunks for row in rows(table, chunk)]
    for found in (frame(table, chunks), frame(table, [b"".join(chunks)])):
        assert list(found.columns) == [column.name for column in TABLES[table]]
        for at, row in enumerate(want):
            differs = [name for name, value in row.items() if not same(value, found[name].iloc[at])]
            assert differs == []


@pytest.mark.parametrize("table", TABLES)
def test_arrow_says_what_the_rows_say(table):
    pytest.importorskip("pyarrow")
    want = [row for chunk in EXAMPLES[table] for row in rows(table, chunk)]
    assert [row for batch in arrow(table, EXAMPLES[table]) for row in batch.to_pylist()] == want


@pytest.mark.parametrize("table", TABLES)
def test_an_empty_frame_has_the_same_types(table):
    pytest.importorskip("pandas")
    full, empty = frame(table, EXAMPLES[table]), frame(table, [])
    assert len(empty) == 0 and list(empty.columns) == list(full.columns)
    for column in TABLES[table]:
        if column.type in ("int", "float", "bool"):
            assert empty[column.name].dtype == full[column.name].dtype


def test_what_is_not_known_is_none():
    unknown, known = (next(rows("connections", chunk)) for chunk in EXAMPLES["connections"])
    assert [name for name, value in unknown.items() if value == -1] == []
    assert (unknown["closed_by"], unknown["time_wait_owner"], unknown["icmp"]) == (None, None, None)
    assert (known["closed_by"], known["time_wait_owner"], known["icmp"]) == ("server", "both", "3/1")
    assert known["client_rtt_mean"] == 0.0025
    assert known["reused"] is True


def test_packets():
    first, second = (next(rows("packets", chunk)) for chunk in EXAMPLES["packets"])
    assert (first["flags"], first["frame"], first["mss"], first["retransmission_of"]) == ("SYN,ACK", 0, None, None)
    assert (second["mss"], second["sack"], second["rtt"]) == (1460, [[1, 2], [3, 4]], 1.5e-06)
    assert second["annotations"] == list(layout.ANNOTATIONS[:2])


@pytest.mark.parametrize(
    ("raw", "version", "text"),
    [
        (V4[0], 4, "10.0.0.1"),
        (bytes(16), 6, "::"),
        (bytes(15) + b"\1", 6, "::1"),
        (b"\x20\x01\x0d\xb8" + bytes(11) + b"\5", 6, "2001:db8::5"),
        (bytes(10) + b"\xff\xff" + V4[0][:4], 6, "::ffff:10.0.0.1"),
    ],
)
def test_addresses_as_inet_ntop_writes_them(raw, version, text):
    assert address(raw, version) == text


def test_what_is_remembered_is_bounded():
    double = Remembered(lambda it: 2 * it)
    assert [double[it] for it in range(70_000)] == [2 * it for it in range(70_000)]
    assert len(double) < 65_537


def test_lists_of_frames_are_tuples_that_can_be_grouped_by():
    table = pytest.importorskip("pandas") and frame("packets", EXAMPLES["packets"] * 2)
    assert table.groupby("annotations").size().to_dict() == {(): 2, layout.ANNOTATIONS[:2]: 2}
    assert list(table["annotations"].explode().dropna()) == [*layout.ANNOTATIONS[:2]] * 2


@pytest.mark.parametrize("ns", [0, 1, -1, 2**53, 2**53 + 1, 1_700_000_000_123_456_789, -(2**63) + 1, 2**63 - 1])
def test_seconds_are_the_nearest_doubles(ns):
    numpy = pytest.importorskip("numpy")
    want = float(Fraction(ns, 10**9))
    assert next(rows("packets", record("packets", time_ns=ns)))["time"] == want
    assert seconds(numpy.array([ns, 0, 1_700_000_000_000_000_001]))[0] == want
    assert seconds(numpy.array([ns]))[0] == want


def test_every_option_that_is_decoded_has_a_name():
    declared = (Path(__file__).parents[2] / "tcpscope/wire/segment.pxd").read_text()
    found = {int(value, 16): name for name, value in re.findall(r"^    (OPT_\w+) = (0x\w+)", declared, re.M)}
    named = {1 << bit: word for bit, word in enumerate(OPTIONS) if word}
    assert {
        bit: name.removeprefix("OPT_").lower().replace("wscale", "window_scale") for bit, name in found.items()
    } == named
