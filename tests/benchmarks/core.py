"""What callgrind counts: each stage of the core once, between two calls that it can see.

`instructions.py` runs this under callgrind with `--dump-before=getppid`: every `os.getppid()` closes a stage.  So
neither Python's start nor what prepares a stage is in its count.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from tcpscope.replay.engine import Engine
from tcpscope.wire.batch import SegmentBatch
from tcpscope.wire.reader import SegmentReader


def decode(capture: bytes) -> list[SegmentBatch]:
    reader, batches, batch = SegmentReader(io.BytesIO(capture), hints=True), [], SegmentBatch()
    while reader.fill(batch):
        batches.append(batch)
        batch = SegmentBatch()
    return batches


def replay(batches: list[SegmentBatch]) -> Engine:
    """As `analyze` does: what ended is taken every few batches."""
    engine = Engine(keep_past=False)
    for number, batch in enumerate(batches):
        engine.replay(batch)
        if number % 8 == 7:
            engine.take_connections()
            engine.take_events()
    return finished(engine)


def packet_rows(batches: list[SegmentBatch]) -> Engine:
    """As `packets` does: a record of every packet, settled by a second engine's knowledge (its own here)."""
    engine = Engine(packets=True)
    kept = []
    for batch in batches:
        engine.replay(batch)
        kept.append(bytearray(engine.take_packets()))
    finished(engine)
    for rows in kept:
        engine.settle(rows)
    return engine


def finished(engine: Engine) -> Engine:
    while engine.finish():
        pass
    engine.take_connections()
    engine.take_events()
    return engine


def stages(mix: bytes, unknown: bytes, flood: bytes) -> Iterator[tuple[str, Callable[[], object]]]:
    """Name, and what to count."""
    batches, half_open = decode(mix), decode(flood)
    yield "read", lambda: decode(unknown)
    yield "read and decode", lambda: decode(mix)
    yield "replay", lambda: replay(batches)
    yield "replay, with packet rows", lambda: packet_rows(batches)
    yield "replay of half-open flows", lambda: replay(half_open)


def main(*captures: str) -> None:
    """Prints the names of the stages, in the order in which they are counted."""
    read = [Path(it).read_bytes() for it in captures]
    for name, work in stages(*read):
        os.getppid()
        kept = work()
        os.getppid()
        del kept
        print(name)


if __name__ == "__main__":
    main(*sys.argv[1:])
