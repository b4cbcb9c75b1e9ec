"""Records to files: JSON, JSON Lines, CSV, Parquet.  They come in chunks and are not kept.

Text from a capture cannot become a spreadsheet formula in CSV.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Any, BinaryIO, NamedTuple

from tcpscope.tables.json_text import dumps
from tcpscope.tables.rows import CHUNK, Raw, Row
from tcpscope.tables.schema import LAYOUTS, TABLES

FORMULA = ("=", "+", "-", "@", "\t", "\r")


def write_json(value: Any, stream: BinaryIO) -> None:
    """One small JSON document, indented."""
    stream.write(dumps(value, indent=True, newline=True))


class Records(NamedTuple):
    """Packed records of a table, a chunk at a time."""

    table: str
    chunks: Iterable[Raw]


def write_document(parts: dict[str, Any], stream: BinaryIO) -> None:
    """One JSON document; a part that is Records is written an object a line, and not kept."""
    stream.write(b"{")
    for at, (name, part) in enumerate(parts.items()):
        stream.write((b",\n" if at else b"\n") + dumps(name) + b": ")
        if isinstance(part, Records):
            write_array(part, stream)
        else:
            stream.write(dumps(part, indent=True))
    stream.write(b"\n}\n")


def write_array(records: Records, stream: BinaryIO) -> None:
    """A JSON array, an object a line."""
    stream.write(b"[")
    stream.write(b"\n]" if write_lines(records, "json", stream) else b"]")


def write_lines(records: Records, form: str, stream: BinaryIO) -> int:
    """A line for each record, as csv (without a header), jsonl or json; how many."""
    from tcpscope.tables.format import Formatter

    formatter = Formatter(LAYOUTS[records.table], TABLES[records.table], form)
    for chunk in records.chunks:
        formatter.write(chunk, stream)
    return formatter.lines


def write_rows(rows: Iterable[Row], form: str, stream: BinaryIO) -> None:
    """Rows that are no records of a table, as jsonl or json: an object a line."""
    array = form == "json"
    between, first, remaining = b",\n" if array else b"\n", True, iter(rows)
    stream.write(b"[" if array else b"")
    while chunk := [dumps(row) for row in islice(remaining, CHUNK)]:
        stream.write((b"\n" if array and first else b"" if first else between) + between.join(chunk))
        first = False
    if array:
        stream.write(b"]\n" if first else b"\n]\n")
    elif not first:
        stream.write(b"\n")


def cell(value: Any) -> str | None:
    """Text or a list as a CSV cell: lists joined by |, and nothing that a spreadsheet would compute."""
    if isinstance(value, list):
        return "|".join("-".join(map(str, it)) if isinstance(it, list) else it for it in value)
    if value and value.startswith(FORMULA):
        return "'" + str(value)
    return value  # type: ignore[no-any-return]


def write_parquet(records: Records, stream: BinaryIO) -> None:
    """Parquet by pyarrow, in row groups of `frames.GROUP`."""
    import pyarrow
    from pyarrow.parquet import ParquetWriter

    from tcpscope.tables.frames import arrow, arrow_schema

    schema = arrow_schema(records.table)
    options: dict[str, Any] = {
        # numbers mostly grow, or repeat: a fifth of the size, in half the time
        "column_encoding": {field.name: "DELTA_BINARY_PACKED" for field in schema if field.type == pyarrow.int64()},
        "use_dictionary": [
            f"{field.name}.list.element" if pyarrow.types.is_list(field.type) else field.name
            for field in schema
            if not pyarrow.types.is_primitive(field.type)
        ],
        "compression": "zstd",
        "compression_level": 1,
    }
    with ParquetWriter(stream, schema, **options) as writer:
        for batch in arrow(*records):
            writer.write_batch(batch)


def write(table: str, chunks: Iterable[Raw], form: str, stream: BinaryIO) -> None:
    """Write packed records of a table as json, jsonl, csv or parquet.

    CSV is RFC 4180 with a header line; lists joined by |, an empty cell for what is not known.
    """
    records = Records(table, chunks)
    if form == "parquet":
        write_parquet(records, stream)
    elif form == "json":
        write_array(records, stream)
        stream.write(b"\n")
    else:
        if form == "csv":
            stream.write(",".join(column.name for column in TABLES[table]).encode() + b"\n")
        write_lines(records, form, stream)
