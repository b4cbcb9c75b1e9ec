from typing import Any, Protocol

from tcpscope.wire.batch import SegmentBatch

class Readable(Protocol):
    def readinto(self, buffer: memoryview, /) -> int | None: ...

class SegmentReader:
    file_index: int
    def __init__(
        self,
        stream: Readable,
        file_index: int = 0,
        *,
        buffer_size: int = ...,
        verify_checksums: bool = True,
        prompt: bool = True,
        hints: bool = False,
    ) -> None: ...
    def fill(self, batch: SegmentBatch) -> bool: ...
    def first_time(self) -> int | None: ...
    @property
    def damage(self) -> str | None: ...
    def statistics(self) -> dict[str, Any]: ...
