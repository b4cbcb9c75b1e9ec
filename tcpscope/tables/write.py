"""Rows to files: JSON, JSON Lines, CSV, Parquet.  Rows come as an iterator and are not kept.

A file is written beside its final name and moved there when it is whole, so that a failed run
leaves the old one.  Text from a capture cannot become a spreadsheet formula in CSV.
"""

from __future__ import annotations

import contextlib
import csv
import os
import sys
import tempfile
from collections.abc import Iterable, Iterator
from io import TextIOWrapper
from itertools import islice
from typing import Any, BinaryIO

from tcpscope.errors import UsageError
from tcpscope.tables.schema import TABLES, Column

Row = dict[str, Any]

FORMATS = ("table", "json", "jsonl", "csv", "parquet")
PARQUET_ROWS = 65_536
FORMULA = ("=", "+", "-", "@", "\t", "\r")


@contextlib.contextmanager
def destination(path: str | None) -> Iterator[BinaryIO]:
    """The binary stream to write to: standard output, or a file that appears only when all went well."""
    if path is None or path == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    folder = os.path.dirname(os.path.abspath(path))
    if os.path.isdir(path) or not os.path.isdir(folder):
        raise UsageError(f"cannot write {path}: " + ("it is a folder" if os.path.isdir(path) else "no such folder"))
    handle, part = tempfile.mkstemp(prefix=".tcpscope-", dir=folder)
    try:
        with os.fdopen(handle, "wb") as stream:
            yield stream
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(part, 0o666 & ~mask)
        os.replace(part, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(part)
        raise


def write_json(value: Any, stream: BinaryIO) -> None:
    """One JSON document."""
    import orjson

    stream.write(orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))


def write_json_array(rows: Iterable[Row], stream: BinaryIO) -> None:
    """One JSON array, an object a line, without keeping the rows."""
    import orjson

    first = True
    stream.write(b"[")
    for row in rows:
        stream.write(b"\n" if first else b",\n")
        stream.write(orjson.dumps(row))
        first = False
    stream.write(b"\n]\n")


def write_jsonl(rows: Iterable[Row], stream: BinaryIO) -> None:
    """One JSON object a line."""
    import orjson

    dumps, append = orjson.dumps, orjson.OPT_APPEND_NEWLINE
    remaining = iter(rows)
    while chunk := [dumps(row, option=append) for row in islice(remaining, 1024)]:
        stream.write(b"".join(chunk))


def cell(value: Any) -> Any:
    """A CSV cell: lists joined by |, nothing for None, and no text that a spreadsheet would compute."""
    if value is None:
        return ""
    if isinstance(value, list):
        return "|".join("-".join(map(str, it)) if isinstance(it, list) else str(it) for it in value)
    if isinstance(value, str) and value.startswith(FORMULA):
        return "'" + value
    return value


def write_csv(rows: Iterable[Row], columns: tuple[Column, ...], stream: BinaryIO) -> None:
    """RFC 4180 with a header line."""
    text = TextIOWrapper(stream, encoding="utf-8", newline="", write_through=False)
    try:
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow([column.name for column in columns])
        for row in rows:
            writer.writerow([cell(value) for value in row.values()])
        text.flush()
    finally:
        text.detach()


def write_parquet(rows: Iterable[Row], columns: tuple[Column, ...], stream: BinaryIO) -> None:
    """Parquet by pyarrow, in row groups."""
    import pyarrow
    import pyarrow.parquet

    kinds = {
        "int": pyarrow.int64(),
        "float": pyarrow.float64(),
        "str": pyarrow.string(),
        "bool": pyarrow.bool_(),
        "list": pyarrow.list_(pyarrow.string()),
    }
    fields = []
    for column in columns:
        kind = pyarrow.list_(pyarrow.list_(pyarrow.int64())) if column.name == "sack" else kinds[column.type]
        note = {b"unit": column.unit.encode(), b"meaning": column.meaning.encode()}
        fields.append(pyarrow.field(column.name, kind, metadata=note))
    schema = pyarrow.schema(fields)
    remaining = iter(rows)
    with pyarrow.parquet.ParquetWriter(stream, schema) as writer:
        while chunk := list(islice(remaining, PARQUET_ROWS)):
            writer.write_table(pyarrow.Table.from_pylist(chunk, schema=schema))


def write(table: str, rows: Iterable[Row], form: str, stream: BinaryIO) -> None:
    """Write rows of a table in one of FORMATS but `table` (which is the terminal's)."""
    columns = TABLES[table]
    if form == "json":
        write_json_array(rows, stream)
    elif form == "jsonl":
        write_jsonl(rows, stream)
    elif form == "csv":
        write_csv(rows, columns, stream)
    elif form == "parquet":
        write_parquet(rows, columns, stream)
    else:
        raise UsageError(f"no format {form}: one of {', '.join(FORMATS)}")
