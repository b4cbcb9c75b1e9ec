from typing import Any

from tcpscope.replay.layout import Raw
from tcpscope.replay.outlet import Outlet
from tcpscope.replay.owners import Owners
from tcpscope.wire.batch import SegmentBatch

KINDS: tuple[str, ...]
ACKNOWLEDGED: int
UNHEARD: int
JUMP: int
AFTER_RESET: int
COUNTS: tuple[str, ...]

class Streams(Outlet):
    def __init__(self, *, sides: tuple[bool, bool] = (True, True), most: int = ..., merge: bool = False) -> None: ...
    def of(self, record: Raw) -> None: ...
    def take(self, batch: SegmentBatch, owners: Owners, windows: Any, joined: Any) -> int: ...
    def feed(
        self,
        side: int,
        payload: bytes = b"",
        *,
        seq: int,
        ack: int | None = None,
        flags: int = 0,
        window: int = 65535,
        length: int | None = None,
        frame: int = 0,
        time_ns: int = 0,
        window_scale: int | None = None,
        sack: tuple[tuple[int, int], ...] = (),
        checksum: int = 0,
    ) -> None: ...
    def finish(self) -> None: ...
    def counts(self) -> list[dict[str, int]]: ...
    @property
    def held(self) -> int: ...
