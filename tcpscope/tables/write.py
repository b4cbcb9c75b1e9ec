"""Records to files: JSON, JSON Lines, CSV, Parquet.  They come in chunks and are not kept.

Text from a capture cannot become a spreadsheet formula in CSV.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from io import TextIOWrapper
from itertools import chain, islice
from typing import Any, BinaryIO

from tcpscope.tables.rows import CHUNK, Raw, Row, columns, rows
from tcpscope.tables.schema import TABLES

PARQUET_ROWS = 65_536
FORMULA = ("=", "+", "-", "@", "\t", "\r")


def write_json(value: Any, stream: BinaryIO) -> None:
    """One small JSON document, indented."""
    import orjson

    stream.write(orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))


def write_document(parts: dict[str, Any], stream: BinaryIO) -> None:
    """One JSON document; a part that is an iterator of rows is written an object a line, and not kept."""
    import orjson

    stream.write(b"{")
    for at, (name, part) in enumerate(parts.items()):
        stream.write((b",\n" if at else b"\n") + orjson.dumps(name) + b": ")
        if isinstance(part, Iterator):
            write_array(part, stream)
        else:
            stream.write(orjson.dumps(part, option=orjson.OPT_INDENT_2))
    stream.write(b"\n}\n")


def write_array(rows: Iterable[Row], stream: BinaryIO) -> None:
    """A JSON array, an object a line, without keeping the rows."""
    import orjson

    first = True
    stream.write(b"[")
    remaining = iter(rows)
    while chunk := [orjson.dumps(row) for row in islice(remaining, CHUNK)]:
        stream.write((b"\n" if first else b",\n") + b",\n".join(chunk))
        first = False
    stream.write(b"]" if first else b"\n]")


def write_jsonl(rows: Iterable[Row], stream: BinaryIO) -> None:
    """One JSON object a line."""
    import orjson

    dumps, append = orjson.dumps, orjson.OPT_APPEND_NEWLINE
    remaining = iter(rows)
    while chunk := [dumps(row, option=append) for row in islice(remaining, CHUNK)]:
        stream.write(b"".join(chunk))


def cell(value: Any) -> str | None:
    """Text or a list as a CSV cell: lists joined by |, and nothing that a spreadsheet would compute."""
    if isinstance(value, list):
        return "|".join("-".join(map(str, it)) if isinstance(it, list) else it for it in value)
    if value and value.startswith(FORMULA):
        return "'" + str(value)
    return value  # type: ignore[no-any-return]


def write_csv(table: str, chunks: Iterable[Raw], stream: BinaryIO) -> None:
    """RFC 4180 with a header line; lists joined by |, an empty cell for what is not known."""
    declared = TABLES[table]
    worded = [at for at, column in enumerate(declared) if column.type == "str"]
    listed = [at for at, column in enumerate(declared) if column.type == "list"]
    text = TextIOWrapper(stream, encoding="utf-8", newline="")
    try:
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow([column.name for column in declared])
        for chunk in chunks:
            for found in columns(table, chunk):
                for at in worded:  # few different ones
                    cells = {value: cell(value) for value in set(found[at])}
                    found[at] = [cells[value] for value in found[at]]
                for at in listed:
                    found[at] = [cell(value) if value else "" for value in found[at]]
                writer.writerows(zip(*found, strict=True))
        text.flush()
    finally:
        text.detach()


def write_parquet(table: str, chunks: Iterable[Raw], stream: BinaryIO) -> None:
    """Parquet by pyarrow, in row groups of about PARQUET_ROWS."""
    import pyarrow
    import pyarrow.parquet

    from tcpscope.tables.frames import arrow, arrow_schema

    schema = arrow_schema(table)
    held: list[Any] = []
    with pyarrow.parquet.ParquetWriter(stream, schema) as writer:
        for batch in arrow(table, chunks):
            held.append(batch)
            if sum(it.num_rows for it in held) >= PARQUET_ROWS:
                writer.write_table(pyarrow.Table.from_batches(held, schema))
                held = []
        writer.write_table(pyarrow.Table.from_batches(held, schema))


def write(table: str, chunks: Iterable[Raw], form: str, stream: BinaryIO) -> None:
    """Write packed records of a table as json, jsonl, csv or parquet."""
    if form == "csv":
        write_csv(table, chunks, stream)
    elif form == "parquet":
        write_parquet(table, chunks, stream)
    else:
        found = chain.from_iterable(rows(table, chunk) for chunk in chunks)
        if form == "jsonl":
            write_jsonl(found, stream)
        else:
            write_array(found, stream)
            stream.write(b"\n")
