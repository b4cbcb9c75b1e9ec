"""Packets of connections from captures into a capture: which frames, then their copies.

The first reading tells the connections, the second whose each frame is, the last copies.  What is kept in
between is a bit for each frame.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from heapq import heappop, heappush
from typing import Any

from tcpscope.capture.frames import FrameReader, FrameSet
from tcpscope.capture.sources import Sources, open_stream
from tcpscope.capture.writer import Packet
from tcpscope.errors import no_connection
from tcpscope.replay.layout import CONNECTION, PACKET
from tcpscope.replay.owners import Owners
from tcpscope.tables.again import called
from tcpscope.tables.analysis import Analysis, Progress, analyse, packets_again, stream
from tcpscope.tables.filters import Wanted, conditions, keep, of_connections
from tcpscope.tables.pipeline import batches
from tcpscope.wire.merge import MergedReader
from tcpscope.wire.pieces import PieceReader

AHEAD = 256  # frames taken from a file at a time

Write = Callable[[int, dict[str, Any], Packet, str], None]


@dataclass
class Chosen:
    """What is to be copied: frames of each file, of so many connections; and what is known of the files."""

    result: Analysis
    frames: FrameSet
    connections: int


def choose(
    found: Sources,
    wanted: Wanted,
    *,
    whole: bool = False,
    msl: float,
    by_tunnel: bool = False,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Chosen:
    """The frames that the filters ask for.

    Hosts, ports, states (at the end) and numbers choose connections; annotations and times choose packets
    of them, or with `whole` all packets of the connections that have such a packet.  Whole connections come
    with the ICMP errors about them; a fragmented packet with all its fragments.
    """
    settings: dict[str, Any] = {"msl": msl, "by_tunnel": by_tunnel}
    of_packets = Wanted(annotations=wanted.annotations, since=wanted.since, until=wanted.until)
    tests = conditions("connections", replace(wanted, annotations=(), since=None, until=None))
    by_rows = bool(wanted.annotations) or (whole and of_packets != Wanted())
    owners = Owners(by_tunnel=by_tunnel, everything=not tests and of_packets == Wanted())
    frames = FrameSet(len(found.captures))
    if by_rows:
        result = analyse(found, threads=threads, progress=progress, **settings)
        passing = conditions("packets", of_packets)
        if tests:
            records = keep("connections", [result.connections], tests)
            numbers = {it for raw in records for it, _ in _numbers(raw)}
            passing.insert(0, of_connections(numbers))
        _known(wanted, result)
        rows = keep("packets", packets_again(found, result, **settings), passing)
        hit: set[int] = set()
        for chunk in rows:
            for number, file, frame in PACKET.select(chunk, ("connection", "file", "frame")):
                hit.add(number)
                if not whole:
                    frames.add(file, frame)
        if not whole:
            _with_fragments(found, result, frames)
            return Chosen(result, frames, len(hit))
        for raw in keep("connections", [result.connections], [of_connections(hit)]):
            owners.add(raw)
        of_packets = Wanted()
    else:
        result, ended = stream(found, threads=threads, progress=progress, **settings)
        for raw in keep("connections", (it.connections for it in ended), tests):
            if not owners.everything:
                owners.add(raw)
        _known(wanted, result)
    with MergedReader(found.captures) as reader:
        for batch in batches(reader):
            owners.choose(batch, frames, of_packets.since, of_packets.until)
    _with_fragments(found, result, frames)
    return Chosen(result, frames, result.counters["connections"] if owners.everything else owners.used())


def _numbers(raw: Any) -> Iterator[tuple[Any, ...]]:
    return CONNECTION.select(raw, ("connection", "first_frame"))


def _known(wanted: Wanted, result: Analysis) -> None:
    """UsageError for a connection that is not there."""
    total = result.counters["connections"]
    for number in wanted.connections:
        if not 0 <= number < total:
            raise no_connection(number, total)


def _with_fragments(found: Sources, result: Analysis, frames: FrameSet) -> None:
    """Add the other fragments of the datagrams whose frame was chosen."""
    for file, (source, facts) in enumerate(zip(found.captures, result.files, strict=True)):
        if not facts.get("kinds", {}).get("fragment") or not frames.any_of(file):
            continue
        opened = open_stream(source)
        try:
            pieces = PieceReader(opened)
            while (joined := pieces.next()) is not None:
                if frames.has(file, joined.frame):
                    for frame in joined.frames:
                        frames.add(file, frame)
        finally:
            opened.close()


def copy(found: Sources, chosen: Chosen, write: Write) -> int:
    """Call `write(file, interface, packet, comment)` for each frame, in order of time; how many there were."""
    names = called([source.name for source in found.captures])
    count = 0
    for file, reader, packet in _merged(found, chosen):
        write(file, reader.described[packet.interface], packet, f"frame {packet.frame} of {names[file]}")
        count += 1
    return count


class _Lane:
    """One open file and its chosen frames."""

    def __init__(self, file: int, stream: Any, frames: FrameSet) -> None:
        self._file, self._frames = file, frames
        self._reader = FrameReader(stream)
        self._waiting: list[Packet] = []
        self.described: list[dict[str, Any]] = []

    def next(self) -> Packet | None:
        if not self._waiting:
            self._waiting = self._reader.pick(self._frames, self._file, AHEAD)
            if not self._waiting:
                return None
            self._waiting.reverse()
            self.described = self._reader.interfaces()
        return self._waiting.pop()


def _merged(found: Sources, chosen: Chosen) -> Iterator[tuple[int, _Lane, Packet]]:
    """The chosen frames of all files by time, as the replay saw them; a file is open while its time runs."""
    files = chosen.result.files
    # of each file with chosen frames, the earliest time of any frame
    later = sorted(
        ((files[at].get("first_ns") or 0, at) for at in range(len(found.captures)) if chosen.frames.any_of(at)),
        reverse=True,
    )
    heads: list[tuple[int, int, Packet]] = []
    lanes: dict[int, _Lane] = {}
    with ExitStack() as open_files:
        streams: dict[int, ExitStack] = {}
        while heads or later:
            while later and (not heads or later[-1][0] <= heads[0][0]):
                file = later.pop()[1]
                streams[file] = open_files.enter_context(ExitStack())
                stream = open_stream(found.captures[file])
                streams[file].callback(stream.close)
                lanes[file] = _Lane(file, stream, chosen.frames)
                _advance(lanes, streams, heads, file)
            if not heads:
                continue
            _, file, packet = heappop(heads)
            lane = lanes[file]
            yield file, lane, packet
            if not heads and not later:  # the only file left
                while (next_packet := lane.next()) is not None:
                    yield file, lane, next_packet
            _advance(lanes, streams, heads, file)


def _advance(
    lanes: dict[int, _Lane], streams: dict[int, ExitStack], heads: list[tuple[int, int, Packet]], file: int
) -> None:
    packet = lanes[file].next()
    if packet is None:
        streams.pop(file).close()
        del lanes[file]
    else:
        heappush(heads, (packet.time_ns, file, packet))
