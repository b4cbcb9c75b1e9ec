"""Records to rows: dicts with the columns' names, in plain Python (no numpy, no pandas)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tcpscope.tables.schema import LAYOUTS, TABLES

Row = dict[str, Any]


def rows(table: str, raw: bytes | bytearray) -> Iterator[Row]:
    """The rows of packed records, in the records' order.  table: connections, packets or events."""
    columns = [(column.name, column.value) for column in TABLES[table]]
    for record in LAYOUTS[table].dicts(bytes(raw)):
        yield {name: value(record) for name, value in columns}


def connections(raw: bytes) -> list[Row]:
    """All connections, in the order of their first packets."""
    return sorted(rows("connections", raw), key=lambda row: row["connection"])


def events(raw: bytes) -> list[Row]:
    """All events by time; of one moment, by connection and endpoint, each endpoint's own in their order."""
    found = list(rows("events", raw))
    found.sort(key=lambda row: row["time"])  # stable: an endpoint's events at one instant stay in order
    return found
