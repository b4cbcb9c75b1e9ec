from typing import Any, TypeVar

Bearer = TypeVar("Bearer")

class Record:
    """Fields by name.  raw: one packed record, places: of `layout.Layout.places`."""

    raw: bytes
    def __init__(self, raw: bytes, places: dict[str, int]) -> None: ...
    def __getitem__(self, name: str) -> Any: ...

def having(bearers: list[Bearer], places: tuple[int, ...], above: int = 0) -> list[Bearer]:
    """Those of the bearers (whose `common` is a Record) of which one of these int64 fields is more than `above`.

    places: offsets of the fields, in bytes.
    """

def beginning(bearers: list[Bearer], place: int, prefix: bytes) -> list[Bearer]:
    """Those of the bearers of which the field of bytes at this offset begins with `prefix`."""
