"""Records to rows: dicts with the columns' names, in plain Python (no numpy, no pandas)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from operator import le
from typing import Any

from tcpscope.tables.schema import LAYOUTS, TABLES, Column
from tcpscope.tables.values import Fields

Row = dict[str, Any]
Raw = bytes | bytearray | memoryview

CHUNK = 1024  # records unpacked at a time
HELD = 1 << 24  # bytes of records held to be sorted: some 10,000 connections, 250,000 events


def unpacked(table: str, raw: Raw) -> Iterator[tuple[memoryview, Fields]]:
    """The records, CHUNK at a time, packed and as fields, each field a sequence."""
    layout = LAYOUTS[table]
    view = memoryview(raw)
    for at in range(0, len(view), CHUNK * layout.size):
        part = view[at : at + CHUNK * layout.size]
        yield part, dict(zip(layout.names, zip(*layout.struct.iter_unpack(part), strict=True), strict=True))


def columns(table: str, raw: Raw, only: Sequence[str] = ()) -> Iterator[list[Sequence[Any]]]:
    """The values of all columns, or of those named, a sequence for each column; CHUNK records at a time."""
    declared = _declared(table, only)
    for _, fields in unpacked(table, raw):
        yield [column.value.values(fields) for column in declared]


def rows(table: str, raw: Raw, only: Sequence[str] = ()) -> Iterator[Row]:
    """The rows of packed records, in the records' order.  table: connections, packets or events."""
    names = [column.name for column in _declared(table, only)]
    for found in columns(table, raw, only):
        for values in zip(*found, strict=True):
            yield dict(zip(names, values, strict=True))


def _declared(table: str, only: Sequence[str]) -> Sequence[Column]:
    if not only:
        return TABLES[table]
    named = {column.name: column for column in TABLES[table]}
    return [named[name] for name in only]


def ordered(table: str, raw: bytes, *fields: str) -> bytes:
    """The records sorted by these fields (two at least); equal ones keep their order."""
    layout = LAYOUTS[table]
    keys = list(layout.select(raw, fields))
    if all(map(le, keys, keys[1:])):
        return raw
    size = layout.size
    return b"".join(raw[at * size : at * size + size] for at in sorted(range(len(keys)), key=keys.__getitem__))


def by_number(raw: bytes) -> bytes:
    """Connection records in the order of their first packets; the replay gives them as they end."""
    return ordered("connections", raw, "connection", "first_frame")


def by_time(raw: bytes) -> bytes:
    """Event records in order of time and of the packets that show them; an endpoint's at one instant stay in order."""
    return ordered("events", raw, "time_ns", "order", "connection", "endpoint")


def in_order(table: str, chunks: Iterable[Raw], most: int = HELD) -> Iterator[bytes]:
    """Records that come as connections end, sorted: all if they are fewer than `most` bytes, else block by block."""
    sort = by_number if table == "connections" else by_time
    held: list[Raw] = []
    room = most
    for chunk in chunks:
        held.append(chunk)
        room -= len(chunk)
        if room <= 0:
            yield sort(b"".join(held))
            held, room = [], most
    yield sort(b"".join(held))
