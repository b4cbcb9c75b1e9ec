"""Rows that come from no record, as CSV."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from io import TextIOWrapper
from typing import BinaryIO

from tcpscope.tables.rows import Row
from tcpscope.tables.write import cell


def write_listing(keys: tuple[str, ...], rows: Iterable[Row], stream: BinaryIO) -> None:
    """RFC 4180 with a header line, as the tables' CSV: empty for what is not known, no formulas."""
    text = TextIOWrapper(stream, encoding="utf-8", newline="")
    try:
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(keys)
        for row in rows:
            values = (row[key] for key in keys)
            writer.writerow([cell(it) if isinstance(it, str) else it for it in values])
        text.flush()
    finally:
        text.detach()
