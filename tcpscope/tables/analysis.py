"""The main loop: captures in, records of connections, events and packets out.

There is one path for a file, many files, a compressed file and standard input: fill a batch,
replay it, hand on what has ended.  Memory is bounded by open connections and by what the
caller keeps.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from tcpscope.capture.sources import STDIN, Sources, find
from tcpscope.errors import CaptureError
from tcpscope.replay.engine import Engine
from tcpscope.replay.layout import PACKET
from tcpscope.wire.batch import SegmentBatch
from tcpscope.wire.merge import MergedReader

DEFAULT_MSL = 30.0  # seconds; Linux keeps TIME_WAIT for 60 s (RFC 9293 says 2 min for the MSL)
BATCH = 4096  # segments
SMALL = 8  # batches replayed before a thread is worth its start
AHEAD = 4  # batches that the thread may be ahead
PATIENCE = 0.2  # seconds
KEEP_ROWS = 1_000_000  # packet records held while standard input is read, before states are settled early

Paths = Iterable[str | os.PathLike[str]]
Progress = Callable[[int], None]  # segments replayed so far


@dataclass
class Analysis:
    """What one run found: packed records (see `replay.layout`) and what is known of the files."""

    names: list[str]
    skipped: list[str] = field(default_factory=list)
    files: list[dict[str, Any]] = field(default_factory=list)
    counters: dict[str, Any] = field(default_factory=dict)
    connections: bytes = b""
    events: bytes = b""
    engine: Engine | None = None

    @property
    def warnings(self) -> list[str]:
        """One line for each damaged file."""
        return [
            f"{name}: {file['damage']}"
            for name, file in zip(self.names, self.files, strict=False)
            if file and file["damage"]
        ]


def locate(paths: Paths | str | os.PathLike[str]) -> Sources:
    """The captures that the caller's paths, folders and patterns name; CaptureError if there are none."""
    return find([paths] if isinstance(paths, str | os.PathLike) else paths)


def readable_once(found: Sources) -> bool:
    """Whether a source cannot be read a second time: standard input, a pipe, `<(command)`."""
    return any(it.name == STDIN or not os.path.isfile(it.name) for it in found.captures)


def _batches(reader: MergedReader, progress: Progress | None) -> Iterator[SegmentBatch]:
    """The reader's batches; each may be used until the next is asked for."""
    batch = SegmentBatch(BATCH)
    segments = 0
    for _ in range(SMALL):
        if not reader.fill(batch):
            return
        segments += len(batch)
        yield batch
    for batch in _read_ahead(reader):
        segments += len(batch)
        if progress is not None:
            progress(segments)
        yield batch


def _read_ahead(reader: MergedReader) -> Iterator[SegmentBatch]:
    """The rest of the reader's batches, decoded by a thread while the caller replays (neither holds the GIL)."""
    from queue import SimpleQueue
    from threading import Thread

    free: SimpleQueue[SegmentBatch | None] = SimpleQueue()
    full: SimpleQueue[SegmentBatch | BaseException | None] = SimpleQueue()

    stopped = False

    def decode() -> None:
        try:
            while (batch := free.get()) is not None and not stopped:
                if not reader.fill(batch):
                    full.put(None)
                    return
                full.put(batch)
        except BaseException as error:
            full.put(error)

    for _ in range(AHEAD):
        free.put(SegmentBatch(BATCH))
    thread = Thread(target=decode, name="tcpscope-decode", daemon=True)
    thread.start()
    try:
        while not stopped:
            batch = full.get()
            if isinstance(batch, BaseException):
                raise batch
            if batch is None:
                stopped = True
            else:
                yield batch
                free.put(batch)
    finally:
        stopped = True
        free.put(None)
        thread.join(PATIENCE)  # at once, but where it waits for a pipe that the caller has given up


def _statistics(reader: MergedReader) -> list[dict[str, Any]]:
    return [it if it is not None else {"damage": None} for it in reader.statistics()]


def analyse(
    found: Sources,
    *,
    msl: float = DEFAULT_MSL,
    by_tunnel: bool = False,
    progress: Progress | None = None,
    keep_past: bool = True,
) -> Analysis:
    """Replay the captures and keep connections and events.  msl in seconds.

    keep_past: remember what packet records need to be settled; without it `packets_again` cannot follow.
    """
    engine = Engine(msl_ns=round(msl * 1e9), flow_by_tunnel=by_tunnel, keep_past=keep_past)
    result = Analysis([source.name for source in found.captures], found.skipped)
    with MergedReader(found.captures) as reader:
        for batch in _batches(reader, progress):
            engine.replay(batch)
        engine.finish()
        result.files = _statistics(reader)
    result.engine, result.counters = engine, engine.counters()
    result.connections, result.events = engine.take_connections(), engine.take_events()
    return result


def packets(
    found: Sources, *, msl: float = DEFAULT_MSL, by_tunnel: bool = False, progress: Progress | None = None
) -> tuple[Analysis, Iterator[bytearray]]:
    """Packet records, settled, a chunk at a time, and what is known of the files (complete at the end).

    Files are read twice: once to learn how every connection went on, once to print, so that
    memory does not grow with the capture.  Standard input and pipes can be read only once: there the
    records are kept until its end, or, past KEEP_ROWS of them, settled by what is known then.
    """
    if readable_once(found):
        result = Analysis([source.name for source in found.captures], found.skipped)
        return result, _packets_once(found, result, round(msl * 1e9), by_tunnel, progress)
    result = analyse(found, msl=msl, by_tunnel=by_tunnel, progress=progress)
    return result, packets_again(found, result, msl=msl, by_tunnel=by_tunnel)


def packets_again(found: Sources, result: Analysis, *, msl: float, by_tunnel: bool) -> Iterator[bytearray]:
    """The packet records of captures analysed before (with the same options), settled, a chunk at a time."""
    engine = Engine(packets=True, keep_past=False, msl_ns=round(msl * 1e9), flow_by_tunnel=by_tunnel)
    assert result.engine is not None
    with MergedReader(found.captures) as reader:
        for batch in _batches(reader, None):
            engine.replay(batch)
            engine.take_connections()
            engine.take_events()
            rows = bytearray(engine.take_packets())
            result.engine.settle(rows)
            if rows:
                yield rows


def _packets_once(
    found: Sources, result: Analysis, msl_ns: int, by_tunnel: bool, progress: Progress | None
) -> Iterator[bytearray]:
    engine = Engine(packets=True, msl_ns=msl_ns, flow_by_tunnel=by_tunnel)
    kept: list[bytearray] = []
    held = 0
    with MergedReader(found.captures) as reader:
        for batch in _batches(reader, progress):
            engine.replay(batch)
            kept.append(bytearray(engine.take_packets()))
            held += len(kept[-1])
            if held > KEEP_ROWS * PACKET.size:
                engine.tell()
                yield from _settled(engine, kept)
                kept, held = [], 0
        engine.finish()
        result.files, result.counters, result.engine = _statistics(reader), engine.counters(), engine
    result.connections, result.events = engine.take_connections(), engine.take_events()
    yield from _settled(engine, kept)


def _settled(engine: Engine, chunks: list[bytearray]) -> Iterator[bytearray]:
    for rows in chunks:
        engine.settle(rows)
        yield rows


def check_usable(result: Analysis) -> None:
    """Raise CaptureError if not even one packet could be read and the file says why."""
    if result.files and all(file.get("packets", 0) == 0 and file["damage"] for file in result.files):
        raise CaptureError(result.warnings[0])
