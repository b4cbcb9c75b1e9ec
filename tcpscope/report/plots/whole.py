"""What a plot of a whole capture is made of: all connections, all changes of state, and the repetitions."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy

from tcpscope.diagnose.facts import times
from tcpscope.replay.layout import PACKET
from tcpscope.report.plots.trace import has, records
from tcpscope.report.text import clock, size
from tcpscope.tables.rows import Raw

if TYPE_CHECKING:
    from numpy.typing import NDArray


def repetitions(chunks: Iterable[Raw]) -> NDArray[Any]:
    """The records of packets that were sent again, in order."""
    dtype = PACKET.dtype()
    kept = [numpy.empty(0, dtype)]
    for chunk in chunks:
        rows = numpy.frombuffer(chunk, dtype)
        kept.append(rows[has(rows["annotations"], "retransmission")])
    return numpy.concatenate(kept)


@dataclass(frozen=True)
class Whole:
    """connections, events: packed records.  repeated: records of packets that were sent again (see
    `repetitions`), where the plot asks for them."""

    connections: bytes
    events: bytes
    title: str
    name: str
    repeated: Any = None
    utc: bool = True

    @cached_property
    def records(self) -> NDArray[Any]:
        return records(self.connections)

    @cached_property
    def start_ns(self) -> int:
        return int(self.records["start_ns"].min()) if len(self.records) else 0

    @cached_property
    def end(self) -> float:
        """The last packet of any connection, seconds."""
        return max(float(self.seconds(self.records["end_ns"]).max()), 0.0) if len(self.records) else 0.0

    def seconds(self, time_ns: Any) -> NDArray[Any]:
        """Seconds since the first packet."""
        found: NDArray[Any] = (time_ns - self.start_ns) / 1e9
        return found

    def starts(self, numbers: Any) -> NDArray[Any]:
        """The first packet of each of these connections, nanoseconds."""
        place = numpy.searchsorted(self.records["connection"], numbers)
        found: NDArray[Any] = self.records["start_ns"][place]
        return found

    @property
    def subtitle(self) -> str:
        count = len(self.records)
        data = int(self.records["client_unique_bytes"].sum() + self.records["server_unique_bytes"].sum())
        return f"{times(count)}, {size(data)} payload, from {clock(self.start_ns / 1e9, self.utc)}"
