"""Packed records of the tables, for tests: zeros but for the fields that are named."""

from __future__ import annotations

from typing import Any

from tcpscope.tables.schema import LAYOUTS

V4 = bytes([10, 0, 0, 1]) + bytes(12), bytes([192, 0, 2, 9]) + bytes(12)


def record(table: str, **fields: Any) -> bytes:
    """One record; a field that is not named is zero."""
    layout = LAYOUTS[table]
    zeros = dict(zip(layout.names, layout.struct.unpack(bytes(layout.size)), strict=True))
    assert fields.keys() <= zeros.keys(), fields.keys() - zeros.keys()
    return layout.struct.pack(*(zeros | fields).values())
