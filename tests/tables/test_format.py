"""The compiled formatter says what the rows say, in plain JSON and CSV, for whatever stands in a record."""

import csv
import io
import json
import math
from pathlib import Path

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tcpscope.tables import analysis
from tcpscope.tables.format import Formatter
from tcpscope.tables.rows import rows
from tcpscope.tables.schema import LAYOUTS, TABLES
from tcpscope.tables.write import cell, write
from tests.tables.records import V4, record

SAMPLES = Path(__file__).parents[2] / "sample_pcaps"


def written(table, raw, form):
    stream = io.BytesIO()
    Formatter(LAYOUTS[table], TABLES[table], form).write(raw, stream)
    return stream.getvalue()


def as_csv(value):
    """A value of a row as the cell that Python's csv module reads."""
    if value is None:
        return ""
    return cell(value) if isinstance(value, str | list) else str(value)


def check(table, raw):
    """Letter by letter, but that floats may be any text that reads back as the same."""
    want = list(rows(table, raw))
    floats = {column.name for column in TABLES[table] if column.type == "float"}
    lines = written(table, raw, "jsonl").splitlines(keepends=True)
    for line, row in zip(lines, want, strict=True):
        texts = {
            name: it for name, it in json.loads(line, parse_float=str).items() if name in floats and it is not None
        }
        assert {name: float(it) for name, it in texts.items()} == {n: row[n] for n in floats if row[n] is not None}
        exact = row | {name: orjson.Fragment(it) for name, it in texts.items()}
        assert line == orjson.dumps(exact, option=orjson.OPT_APPEND_NEWLINE)
    assert json.loads(b"[" + written(table, raw, "json") + b"]") == want
    found = list(csv.reader(io.StringIO(written(table, raw, "csv").decode(), newline="")))
    for cells, row in zip(found, want, strict=True):
        texts = dict(zip(row, cells, strict=True))
        assert {name: float(texts[name]) if texts[name] else None for name in floats} == {
            name: row[name] for name in floats
        }
        assert [texts[name] for name in texts if name not in floats] == [
            as_csv(value) for name, value in row.items() if name not in floats
        ]


@pytest.mark.parametrize("path", sorted(SAMPLES.glob("*.pcap*")), ids=lambda path: path.name)
def test_sample_captures(path):
    result, chunks = analysis.packets(analysis.locate(path))
    check("packets", b"".join(chunks))
    check("connections", result.connections)
    check("events", result.events)


SPECIAL = {
    "q": [0, 1, -1, -2, 999_999_999, 10**9, 1_700_000_000_123_456_789, 2**63 - 1, -(2**63)],
    "Q": [0, 1, 2**63, 2**64 - 1],
    "I": [0, 9, 10, 99, 100, 2**31, 2**32 - 1],
    "H": [0, 0x12, 0x1FF, 65535],
    "B": [0, 3, 4, 6, 11, 12, 254, 255],
    "d": [0.0, -0.0, 1.5, 1e-9, 123456.789, 1e22, 5e-324, 1.7976931348623157e308, -1.0, math.nan],
    "16s": [
        bytes(16),
        bytes(15) + b"\1",
        bytes(10) + b"\xff\xff\n\0\0\1",
        b"\xff" * 16,
        b"\xfe\x80" + bytes(13) + b"\1",
    ],
    "48s": [bytes(48), b"ShADadFf", b"-Sh", b"=1+1", b'@"x",\n', b"a\rb\\", b"\x1f\x7f\xe9" * 16],
}
NUMBERS = {"q": (-(2**63), 2**63 - 1), "Q": (0, 2**64 - 1), "I": (0, 2**32 - 1), "H": (0, 65535), "B": (0, 255)}


def anything(code):
    """Values of a field, extreme ones often."""
    if code in NUMBERS:
        return st.sampled_from(SPECIAL[code]) | st.integers(*NUMBERS[code])
    if code == "d":
        return st.sampled_from(SPECIAL[code]) | st.floats(allow_infinity=False)
    return st.sampled_from(SPECIAL.get(code, [b""])) | st.binary(min_size=int(code[:-1]), max_size=int(code[:-1]))


def records(table):
    """Packed records whose fields are anything; most fields of a long record come from few bytes of entropy."""
    found = LAYOUTS[table]
    few = st.lists(st.sampled_from(found.names), max_size=24, unique=True)

    @st.composite
    def build(draw):
        base = draw(st.sampled_from([b"\0", b"\xff"])) * found.size
        fields = dict(zip(found.names, found.struct.unpack(base), strict=True))
        for name in draw(few):
            fields[name] = draw(anything(found.codes[found.names.index(name)]))
        return found.struct.pack(*fields.values())

    return st.lists(build(), max_size=5).map(b"".join)


@pytest.mark.parametrize("table", TABLES)
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_any_record(table, data):
    check(table, data.draw(records(table)))


@pytest.mark.parametrize("table", TABLES)
def test_special_values_of_every_field(table):
    found = LAYOUTS[table]
    for name, code in zip(found.names, found.codes, strict=True):
        check(
            table,
            b"".join(
                record(table, **{name: value})
                for value in SPECIAL.get(code, [bytes(int(code[:-1] or 1))] if code.endswith("s") else [])
            ),
        )
    check("packets", b"".join(record("packets", annotations=1 << bit, options=1 << bit & 0xFFFF) for bit in range(64)))
    check("packets", b"".join(record("packets", n_sack=count, sack=bytes(range(32))) for count in (*range(6), 255)))


def test_formulas_and_quotes_of_csv():
    texts = [b"=1", b"+1", b"-1", b"@a", b"\t", b"\r", b'a"b', b"a,b", b"a\nb"]
    lines = written("connections", b"".join(record("connections", history=it, icmp_type=255) for it in texts), "csv")
    found = csv.DictReader(io.StringIO(lines.decode(), newline=""), [column.name for column in TABLES["connections"]])
    assert [row["history"] for row in found] == ["'=1", "'+1", "'-1", "'@a", "'\t", "'\r", 'a"b', "a,b", "a\nb"]


def test_more_than_the_buffer_holds_and_nothing_at_all():
    row = record("packets", ip_version=4, src=V4[0], dst=V4[1], annotations=2**45 - 1)
    count = 20_000
    lines = written("packets", row * count, "jsonl").splitlines()
    assert len(lines) == count and set(lines) == {lines[0]}
    assert written("packets", b"", "csv") == b""


def test_a_stream_that_takes_a_little_at_a_time_gets_all():
    class Narrow(io.BytesIO):
        def write(self, view):
            return super().write(view[:1000])

    stream, row = Narrow(), record("events")
    Formatter(LAYOUTS["events"], TABLES["events"], "jsonl").write(row * 5000, stream)
    assert stream.getvalue() == written("events", row * 5000, "jsonl")


def test_what_it_refuses():
    with pytest.raises(ValueError, match="whole records"):
        written("events", bytes(LAYOUTS["events"].size + 1), "csv")
    with pytest.raises(KeyError):
        Formatter(LAYOUTS["events"], TABLES["events"], "xml")


def test_pandas_reads_the_same_from_csv_and_parquet(tmp_path):
    pandas = pytest.importorskip("pandas")
    _, chunks = analysis.packets(analysis.locate(SAMPLES / "ipv6.pcapng"))
    kept = [bytes(chunk) for chunk in chunks]
    for form in ("csv", "parquet"):
        with open(tmp_path / form, "wb") as stream:
            write("packets", kept, form, stream)
    numbers = [column.name for column in TABLES["packets"] if column.type in ("int", "float")]
    want = pandas.read_parquet(tmp_path / "parquet")[numbers].astype(float)
    found = pandas.read_csv(tmp_path / "csv")[numbers].astype(float)
    pandas.testing.assert_frame_equal(found, want, rtol=1e-15)  # not all parsers round to the nearest
