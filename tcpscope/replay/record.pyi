from typing import Any

class Record:
    """Fields by name.  raw: one packed record, places: of `layout.Layout.places`."""

    raw: bytes
    def __init__(self, raw: bytes, places: dict[str, int]) -> None: ...
    def __getitem__(self, name: str) -> Any: ...
