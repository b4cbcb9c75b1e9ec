from typing import Any

from tcpscope.wire.batch import SegmentBatch

class Engine:
    """Replays segments, in time order; records come out as packed C structs (see `layout`)."""

    def __init__(
        self,
        *,
        packets: bool = False,
        msl_ns: int = 30_000_000_000,
        flow_by_tunnel: bool = False,
        keep_past: bool = True,
        prompt: bool = False,
        live: bool = False,
        max_connections: int = 0,
        careful: bool = False,
        unpacked: int = 4096,
        most_odd: int | None = None,
        most_plain: int = 0,
        share: int = 0,
        shares: int = 1,
    ) -> None:
        """packets: make a record of every segment.  msl_ns: TIME_WAIT lasts twice as long.

        flow_by_tunnel: VLAN and tunnel identifiers tell flows apart.  keep_past: remember what `settle` needs (some
        dozen bytes a connection).  prompt: what is known of a connection is known at once, not only when its first few
        segments have been kept.  live: events are written while connections are open (`announce`), with corrections.
        max_connections: where more are open, some are ended before their time (replay/limit.pyx), and counted; 0: any
        number.  careful: show plain segments to every observer in full, too (replay/plain.pyx): the same at greater
        cost.  unpacked: of more connections those that are silent are packed (replay/crowd.pyx), but not with `prompt`.
        most_odd, most_plain: not all get records, and none events (replay/choice.pxd); the Census takes all in
        (`take_briefs`).  share, shares: take only one share of the flows, from 0; every share's engine is shown every
        batch, divided by a Divider.
        """

    def replay(self, batch: SegmentBatch) -> None: ...
    def finish(self, most: int = ...) -> bool: ...
    def tell(self) -> None: ...
    def announce(self) -> None: ...
    def tally(self) -> dict[tuple[int, int], int]: ...
    def open_connections(self, most: int = ..., by: str = ...) -> tuple[bytes, bytes]: ...
    def take_connections(self) -> bytes: ...
    def take_events(self) -> bytes: ...
    def take_evidence(self) -> bytes: ...
    def take_briefs(self) -> bytes: ...
    def take_begun(self) -> bytes: ...
    def take_packets(self) -> bytes: ...
    def settle(self, rows: bytearray | memoryview) -> None: ...
    def counters(self) -> dict[str, Any]: ...
