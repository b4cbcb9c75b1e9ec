from typing import Any, NamedTuple

class Joined(NamedTuple):
    frame: int
    frames: list[int]
    parts: list[tuple[int, bytes]]

class PieceReader:
    def __init__(self, stream: Any, *, keep_bytes: bool = False) -> None: ...
    def next(self) -> Joined | None: ...
    def payload_of(self, frame: int, length: int) -> list[tuple[int, bytes]]: ...
