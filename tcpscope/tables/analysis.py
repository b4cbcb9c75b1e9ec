"""The main loop: captures in, records of connections, events and packets out.

There is one path for a file, many files, a compressed file and standard input: fill a batch,
replay it, hand on what has ended.  Memory is bounded by open connections and by what the
caller keeps.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from numbers import Real
from typing import Any

from tcpscope.capture.sources import STDIN, Sources, find, open_stream
from tcpscope.errors import CaptureError, UsageError
from tcpscope.replay.engine import Engine
from tcpscope.replay.layout import PACKET
from tcpscope.tables.pipeline import Ended, batches, recorded, replayed
from tcpscope.wire.merge import MergedReader
from tcpscope.wire.reader import SegmentReader

DEFAULT_MSL = 30.0  # seconds; Linux keeps TIME_WAIT for 60 s (RFC 9293 says 2 min for the MSL)
MOST_MSL = 1e9  # seconds
KEEP_ROWS = 1_000_000  # packet records held while standard input is read, before states are settled early
MANY_OPEN = 2_000_000  # connections open at once, each of 400 bytes to some kilobytes: more are a flood

Paths = Iterable[str | os.PathLike[str]]
Progress = Callable[[int], None]  # segments replayed so far


@dataclass
class Analysis:
    """What one run found: packed records (see `replay.layout`) and what is known of the files."""

    names: list[str]
    skipped: list[str] = field(default_factory=list)
    broken: tuple[str, ...] = ()  # of the files of a folder that are called captures and are none, what is wrong
    files: list[dict[str, Any]] = field(default_factory=list)
    counters: dict[str, Any] = field(default_factory=dict)
    connections: bytes = b""
    events: bytes = b""
    evidence: bytes = b""
    engine: Engine | None = None
    max_connections: int = 0

    @property
    def retired(self) -> int:
        """Connections ended before their time, because more than `max_connections` were open."""
        return sum(self.counters.get(f"retired_{kind}", 0) for kind in ("half_open", "closed", "idle"))

    @property
    def warnings(self) -> list[str]:
        """One line for each file that is damaged, or called a capture and none; one where connections were retired."""
        found = [*self.broken]
        found += [
            f"{name}: {file['damage']}"
            for name, file in zip(self.names, self.files, strict=False)
            if file and file["damage"]
        ]
        if self.retired:
            found.append(
                f"{self.retired:,} connections were ended before their time, {self.counters['retired_half_open']:,} of "
                f"them half-open: more than {self.max_connections:,} were open at once (--max-connections)"
            )
        return found


def locate(paths: Paths | str | os.PathLike[str]) -> Sources:
    """The captures that the caller's paths, folders and patterns name; CaptureError if there are none."""
    return find([paths] if isinstance(paths, str | os.PathLike) else paths)


def check_msl(msl: Any) -> None:
    """Raise UsageError if it is no number of seconds that a connection could wait."""
    if isinstance(msl, bool) or not isinstance(msl, Real) or not 0 <= float(msl) <= MOST_MSL:
        raise UsageError(f"msl: {msl!r} is no number of seconds from 0 to {MOST_MSL:g}")


def readable_once(found: Sources) -> bool:
    """Whether a source cannot be read a second time: standard input, a pipe, `<(command)`."""
    return any(not it.again and (it.name == STDIN or not os.path.isfile(it.name)) for it in found.captures)


def first_moment(found: Sources) -> int:
    """The time of the captures' first packet, ns; 0 without any."""
    times = []
    for source in found.captures:
        stream = open_stream(source)
        try:
            first = SegmentReader(stream, buffer_size=4096).first_time()
        finally:
            stream.close()
        if first is not None:
            times.append(first)
    return min(times, default=0)


def _statistics(reader: MergedReader) -> list[dict[str, Any]]:
    return [it if it is not None else {"damage": None} for it in reader.statistics()]


def stream(
    found: Sources,
    *,
    msl: float = DEFAULT_MSL,
    by_tunnel: bool = False,
    threads: int | None = None,
    progress: Progress | None = None,
    keep_past: bool = False,
    max_connections: int | None = None,
    most_odd: int | None = None,
    most_plain: int = 0,
) -> tuple[Analysis, Iterator[Ended]]:
    """Replay the captures; what has ended, a stretch at a time, and what is known of the files (complete at the end).

    msl in seconds.  threads: engines that share the flows; None: as many as there are cores.
    keep_past: remember what packet records need to be settled; without it `packets_again` cannot follow.
    max_connections: that may be open at once, the half-open and the silent are ended first; 0: any number.
    None: MANY_OPEN, or with `keep_past` any number, for what a second reading needs grows with them in any case.
    most_odd: not all connections get a record, but so many of those in which something is odd, the first by number,
    the `most_plain` oddest, and as many of the others; a few more may come.
    """
    exactly = bool(max_connections)
    if max_connections is None:
        max_connections = 0 if keep_past else MANY_OPEN
    elif exactly:
        threads = 1  # who is ended must not depend on the threads, nor on whether packets are printed
    result = _begun(found, max_connections)
    settings = {"msl_ns": round(msl * 1e9), "flow_by_tunnel": by_tunnel, "keep_past": keep_past,
                "max_connections": max_connections, "prompt": exactly,
                "most_odd": most_odd, "most_plain": most_plain}  # fmt: skip

    def run() -> Iterator[Ended]:
        with MergedReader(found.captures, hints=True) as reader:
            for ended in replayed(reader, threads or cores(), **settings):
                if isinstance(ended, list):
                    result.engine, result.counters = ended[0], _counters(ended)
                    break
                if progress is not None:
                    progress(ended.segments)
                yield ended
            result.files = _statistics(reader)

    return result, run()


def _begun(found: Sources, max_connections: int) -> Analysis:
    names = [source.name for source in found.captures]
    return Analysis(names, found.skipped, found.broken, max_connections=max_connections)


def _counters(engines: list[Engine]) -> dict[str, Any]:
    """Of all shards; each has seen the same clock."""
    each = [engine.counters() for engine in engines]
    return {name: each[0][name] if name == "clock_steps" else sum(it[name] for it in each) for name in each[0]}


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def analyse(
    found: Sources,
    *,
    msl: float = DEFAULT_MSL,
    by_tunnel: bool = False,
    threads: int | None = None,
    progress: Progress | None = None,
    keep_past: bool = True,
    max_connections: int | None = None,
) -> Analysis:
    """As `stream`, keeping all records: memory grows with the number of connections."""
    result, chunks = stream(
        found, msl=msl, by_tunnel=by_tunnel, threads=threads, progress=progress, keep_past=keep_past,
        max_connections=max_connections,
    )  # fmt: skip
    kept = list(chunks)
    result.connections = b"".join(it.connections for it in kept)
    result.events = b"".join(it.events for it in kept)
    result.evidence = b"".join(it.evidence for it in kept)
    return result


def packets(
    found: Sources,
    *,
    msl: float = DEFAULT_MSL,
    by_tunnel: bool = False,
    threads: int | None = None,
    progress: Progress | None = None,
    max_connections: int | None = None,
) -> tuple[Analysis, Iterator[bytearray]]:
    """Packet records, settled, a chunk at a time, and what is known of the files (complete at the end).

    Files are read twice: once to learn how every connection went on, once to print, so that
    memory does not grow with the capture.  Standard input and pipes can be read only once: there the
    records are kept until its end, or, past KEEP_ROWS of them, settled by what is known then.
    """
    if readable_once(found):
        result = _begun(found, max_connections or 0)
        return result, _packets_once(found, result, round(msl * 1e9), by_tunnel, progress)
    result = analyse(
        found, msl=msl, by_tunnel=by_tunnel, threads=threads, progress=progress, max_connections=max_connections
    )
    return result, packets_again(found, result, msl=msl, by_tunnel=by_tunnel)


def packets_again(found: Sources, result: Analysis, *, msl: float, by_tunnel: bool) -> Iterator[bytearray]:
    """The packet records of captures analysed before (with the same options), settled, a chunk at a time."""
    engine = Engine(
        packets=True, keep_past=False, msl_ns=round(msl * 1e9), flow_by_tunnel=by_tunnel,
        max_connections=result.max_connections,
    )  # fmt: skip
    assert result.engine is not None
    with MergedReader(found.captures) as reader:
        for rows in recorded(reader, engine):
            result.engine.settle(rows)
            if rows:
                yield rows


def _packets_once(
    found: Sources, result: Analysis, msl_ns: int, by_tunnel: bool, progress: Progress | None
) -> Iterator[bytearray]:
    engine = Engine(packets=True, msl_ns=msl_ns, flow_by_tunnel=by_tunnel, max_connections=result.max_connections)
    kept: list[bytearray] = []
    held = 0
    with MergedReader(found.captures, hints=True) as reader:
        for batch in batches(reader):
            engine.replay(batch)
            kept.append(bytearray(engine.take_packets()))
            held += len(kept[-1])
            if held > KEEP_ROWS * PACKET.size:
                engine.tell()
                yield from _settled(engine, kept)
                kept, held = [], 0
        engine.finish()
        result.files, result.counters, result.engine = _statistics(reader), engine.counters(), engine
    result.connections, result.events, result.evidence = (
        engine.take_connections(), engine.take_events(), engine.take_evidence(),
    )  # fmt: skip
    yield from _settled(engine, kept)


def _settled(engine: Engine, chunks: list[bytearray]) -> Iterator[bytearray]:
    for rows in chunks:
        engine.settle(rows)
        yield rows


def check_usable(result: Analysis) -> None:
    """Raise CaptureError if not even one packet could be read and the file says why."""
    if result.files and all(file.get("packets", 0) == 0 and file["damage"] for file in result.files):
        raise CaptureError(result.warnings[0])
