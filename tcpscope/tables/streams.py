"""The byte streams of a connection: two readings of the capture, the second with the bytes.

The first tells which connections there are and who opened them; the second puts the streams together
as it goes, so that neither the capture's size nor the stream's matters.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from tcpscope.capture.sources import Sources, open_stream
from tcpscope.capture.window import Window
from tcpscope.errors import CaptureError, UsageError, no_connection
from tcpscope.replay.layout import CONNECTION, ROLES
from tcpscope.replay.owners import Owners
from tcpscope.replay.stream import ACKNOWLEDGED, AFTER_RESET, JUMP, KINDS, UNHEARD, Streams
from tcpscope.tables.analysis import Analysis, Progress, stream
from tcpscope.tables.pipeline import batches
from tcpscope.wire.merge import MergedReader
from tcpscope.wire.pieces import PieceReader

if TYPE_CHECKING:
    from tcpscope.replay.outlet import Entry

BLOCK = 1 << 20  # zero bytes written at a time
GAPS = ("skip", "zero", "fail")
OPEN = 32  # files whose bytes are within reach at a time


class Piece(NamedTuple):
    """A stretch of one side's stream.

    kind: "data"; "gap", bytes that no frame of the capture holds; "cut", bytes that a frame held and
    the capture does not; "conflict", a later copy of delivered bytes that differs; "late", bytes that
    came when their gap had been passed, or from before the stream's start (offset below 0).
    data: the bytes, empty for gap and cut.  first: of a conflict, the bytes delivered.
    frame, file: that brought them (file: its place among the captures); of a gap the frame behind it,
    None at the end; other_frame, other_file: of a conflict the first copy's, of merged data the last.
    acknowledged: of a gap, whether the peer had the bytes; None: the peer's side was not captured.
    jump: of a gap, that its length is known modulo 2**32 only.
    after_reset: of data, that one of the ends had reset the connection before.
    """

    side: str
    kind: str
    offset: int
    length: int
    time_ns: int
    file: int
    frame: int | None
    other_file: int
    other_frame: int | None
    data: bytes
    first: bytes
    acknowledged: bool | None
    jump: bool
    after_reset: bool

    @property
    def time(self) -> float | None:
        """Seconds since the epoch, of the frame; None where no frame brought it or follows it."""
        return self.time_ns / 1_000_000_000 if self.frame is not None or self.time_ns else None


def piece(entry: Entry) -> Piece:
    """A Piece of what `Streams.taken` gives."""
    side, kind, offset, length, time_ns, file, frame, other_file, other_frame, note, data = entry
    first = b""
    if KINDS[kind] == "conflict":
        half = len(data) // 2
        data, first = data[:half], data[half:]
    acknowledged = None if note & (UNHEARD | JUMP) or KINDS[kind] != "gap" else bool(note & ACKNOWLEDGED)
    return Piece(
        ROLES[side], KINDS[kind], offset, length, time_ns, file, frame or None, other_file, other_frame or None,
        data, first, acknowledged, bool(note & JUMP), bool(note & AFTER_RESET),
    )  # fmt: skip


def one_connection(
    found: Sources, number: int | None, *, msl: float, by_tunnel: bool, threads: int | None, progress: Progress | None
) -> tuple[Analysis, bytes]:
    """The record of connection `number`, or of the only one; UsageError if it is not there, or not the only one."""
    result, chunks = stream(found, msl=msl, by_tunnel=by_tunnel, threads=threads, progress=progress)
    size, record = CONNECTION.size, b""
    for ended in chunks:
        numbers = CONNECTION.select(ended.connections, ("connection", "first_frame"))
        for at, (this, _) in enumerate(numbers):
            if this == (number or 0):
                record = bytes(ended.connections[at * size : at * size + size])
    total = result.counters["connections"]
    if number is None and total > 1:
        raise UsageError(
            f"the capture has {total} connections: choose one with -c N (tcpscope connections lists them, from 0)"
        )
    if not record:
        raise no_connection(number, total)
    return result, record


class Windows:
    """The bytes of each capture, opened when asked for; the least recently used are closed."""

    def __init__(self, found: Sources) -> None:
        self._found = found
        self._open: OrderedDict[int, tuple[Window, Any]] = OrderedDict()

    def __getitem__(self, file: int) -> Window:
        known = self._open.get(file)
        if known is None:
            if len(self._open) >= OPEN:
                self._open.popitem(last=False)[1][1].close()
            opened = open_stream(self._found.captures[file])
            known = self._open[file] = (Window(opened), opened)
        elif len(self._open) > 1:
            self._open.move_to_end(file)
        return known[0]

    def close(self) -> None:
        """Close what is open."""
        for _, opened in self._open.values():
            opened.close()
        self._open.clear()


@dataclass
class Followed:
    """The second reading: iterate over what comes out, batch by batch; `counts` (of each side) is whole at the end."""

    found: Sources
    record: bytes
    by_tunnel: bool = False
    sides: tuple[bool, bool] = (True, True)
    merge: bool = False

    def __post_init__(self) -> None:
        self._streams = Streams(sides=self.sides, merge=self.merge)
        self._streams.of(self.record)

    def __iter__(self) -> Iterator[list[Entry]]:
        """As `Streams.taken`, whenever something came out."""
        owners = Owners(by_tunnel=self.by_tunnel)
        owners.add(self.record)
        windows = Windows(self.found)
        fragments: dict[int, tuple[PieceReader, Any]] = {}

        def joined(file: int, frame: int, length: int) -> list[tuple[int, bytes]]:
            if file not in fragments:
                opened = open_stream(self.found.captures[file])
                fragments[file] = (PieceReader(opened, keep_bytes=True), opened)
            return fragments[file][0].payload_of(frame, length)

        try:
            with MergedReader(self.found.captures) as reader:
                for batch in batches(reader):
                    if self._streams.take(batch, owners, windows, joined) and (entries := self._streams.taken()):
                        yield entries
            self._streams.finish()
            yield self._streams.taken()
        finally:
            windows.close()
            for _, opened in fragments.values():
                opened.close()

    def pieces(self) -> Iterator[Piece]:
        """The same, a Piece at a time."""
        for entries in self:
            yield from map(piece, entries)

    def counts(self) -> dict[str, dict[str, int]]:
        """Of each side what was delivered, missing, cut, left out; see docs/follow.md."""
        found = dict(zip(ROLES, self._streams.counts(), strict=True))
        known = next(CONNECTION.dicts(self.record))
        for role, count in found.items():
            count["copies"] = 0
            if known[f"{role}_duplicate_captures"] or known[f"{role}_network_duplicates"]:
                again = min(count["duplicate"], known[f"{role}_retransmitted_bytes"])
                count["copies"], count["duplicate"] = count["duplicate"] - again, again
        return found


def raw(followed: Followed, gaps: str = "skip", most: int | None = None) -> Iterator[bytes]:
    """One side's bytes and nothing else, at most `most` of them.

    gaps: "skip" leaves missing bytes out, "zero" writes a zero byte for each, "fail" raises CaptureError.
    """
    left = most
    for entries in followed:
        for _, kind, offset, length, _, _, _, _, _, _, data in entries:
            if KINDS[kind] in ("gap", "cut"):
                if gaps == "fail":
                    raise CaptureError(
                        f"{length} byte{' is' if length == 1 else 's are'} missing at {offset}; "
                        "--gaps skip or zero goes on without"
                    )
                parts = zeros(length if left is None else min(length, left)) if gaps == "zero" else iter(())
            elif KINDS[kind] == "data":
                parts = iter((data if left is None else data[:left],))
            else:
                continue
            for part in parts:
                if left is not None:
                    left -= len(part)
                yield part
            if left == 0:
                return


def zeros(length: int) -> Iterator[bytes]:
    """So many zero bytes, a block at a time."""
    while length > 0:
        yield bytes(min(length, BLOCK))
        length -= BLOCK
