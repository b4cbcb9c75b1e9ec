"""Second reading: the packets of the connections shown in detail, and what was sent again in the whole capture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy

from tcpscope.replay.layout import PACKET
from tcpscope.report.page.gathered import Gathered, repeated
from tcpscope.report.plots.trace import has
from tcpscope.tables.analysis import Progress, packets_again

MOST_PACKETS = 50_000  # of a connection; a longer one is shown by its beginning

_AGAIN = numpy.dtype([("time_ns", "i8"), ("annotations", "u8")])


@dataclass
class Packets:
    """of: each connection's first packets, as records in order.  count: how many it has.  again: time and annotations
    of all packets that were sent again."""

    of: dict[int, Any]
    count: dict[int, int]
    again: Any = field(repr=False)


def read_again(gathered: Gathered, numbers: Sequence[int], progress: Progress | None = None) -> Packets:
    """The packets of these connections; the captures are read only if there is anything to look for."""
    count = dict.fromkeys(numbers, 0)
    parts: dict[int, list[Any]] = {number: [] for number in numbers}
    again = [numpy.empty(0, _AGAIN)]
    dtype = PACKET.dtype()
    seen = 0
    if numbers or repeated(gathered):
        wanted = gathered.wanted
        sought = numpy.array(numbers, dtype=numpy.int64)
        for chunk in packets_again(gathered.found, gathered.result, msl=wanted.msl, by_tunnel=wanted.by_tunnel):
            rows = numpy.frombuffer(chunk, dtype)
            seen += len(rows)
            if progress is not None:
                progress(seen)
            marked = rows[has(rows["annotations"], "retransmission")]
            if len(marked):
                slim = numpy.empty(len(marked), _AGAIN)
                slim["time_ns"], slim["annotations"] = marked["time_ns"], marked["annotations"]
                again.append(slim)
            mine = rows[numpy.isin(rows["connection"], sought)]
            for number in numpy.unique(mine["connection"]).tolist():
                own = mine[mine["connection"] == number]
                parts[number].append(own[: max(MOST_PACKETS - count[number], 0)])
                count[number] += len(own)
    of = {n: numpy.concatenate(found) if found else numpy.empty(0, dtype) for n, found in parts.items()}
    return Packets(of, count, numpy.concatenate(again))
