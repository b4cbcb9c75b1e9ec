"""The conversation in turns: what one side sends until the other one speaks, in parts that fit into memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from tcpscope.tables.streams import Piece

LARGEST = 1 << 16  # bytes of a part
MOST = 4096  # pieces of a part


@dataclass
class Turn:
    """A turn, or with `continued` a further part of one."""

    side: str
    continued: bool = False
    pieces: list[Piece] = field(default_factory=list)
    size: int = 0  # bytes of data

    @property
    def span(self) -> tuple[int, int] | None:
        """Offsets of the first and behind the last byte delivered or missing; None: nothing was."""
        covered = [it for it in self.pieces if it.kind in ("data", "gap", "cut")]
        return (covered[0].offset, covered[-1].offset + covered[-1].length) if covered else None


def turns(pieces: Iterable[Piece], largest: int = LARGEST) -> Iterator[Turn]:
    """The pieces in turns, in parts of at most `largest` bytes of data and MOST pieces.

    No UTF-8 character is cut in two by that.  Bytes cut off by the snap length come as one piece where they adjoin.
    """
    now: Turn | None = None
    for piece in pieces:
        if now is None or piece.side != now.side:
            if now is not None and now.pieces:
                yield now
            now = Turn(piece.side)
        while piece.kind == "data" and now.size + piece.length > largest:
            head = _split(piece, largest - now.size)
            if head:
                now.pieces.append(part(piece, 0, head))
                now.size += head
                piece = part(piece, head, piece.length)
            yield now
            now = Turn(piece.side, continued=True)
        last = now.pieces[-1] if now.pieces else None
        if last is not None and piece.kind == last.kind == "cut" and piece.offset == last.offset + last.length:
            now.pieces[-1] = last._replace(
                length=last.length + piece.length, other_file=piece.file, other_frame=piece.frame
            )
        elif piece.length or piece.kind != "data":
            now.pieces.append(piece)
        if len(now.pieces) >= MOST:
            yield now
            now = Turn(piece.side, continued=True)
        if piece.kind == "data":
            now.size += piece.length
    if now is not None and now.pieces:
        yield now


def part(piece: Piece, start: int, end: int) -> Piece:
    """Bytes `start` to `end` of a piece of data."""
    return piece._replace(offset=piece.offset + start, length=end - start, data=piece.data[start:end])


def _split(piece: Piece, most: int) -> int:
    """At most so many bytes, ending where a character ends and not between CR and LF."""
    at = most
    while 0 < at < piece.length and most - at < 4 and (piece.data[at] & 0xC0 == 0x80 or piece.data[at] == 0x0A):
        at -= 1
    return most if most - at >= 4 else at


class Limited:
    """The turns of at most `most` bytes of data; `stopped` tells afterwards whether there was more."""

    def __init__(self, pieces: Iterable[Piece], most: int | None) -> None:
        self._pieces, self._most = pieces, most
        self.stopped = False

    def turns(self) -> Iterator[Turn]:
        return turns(self._limited())

    def _limited(self) -> Iterator[Piece]:
        left = self._most
        for piece in self._pieces:
            if left is not None and piece.kind == "data":
                if piece.length > left:
                    self.stopped = True
                    if left:
                        yield part(piece, 0, left)
                    return
                left -= piece.length
            yield piece


def runs(pieces: list[Piece]) -> Iterator[tuple[Piece, bytes]]:
    """Data that follows without a gap as one; every other piece alone, with its bytes."""
    first: Piece | None = None
    joined: list[bytes] = []
    for piece in pieces:
        if piece.kind == "data" and first is not None and piece.after_reset == first.after_reset:
            joined.append(piece.data)
            continue
        if first is not None:
            yield first, b"".join(joined)
            first = None
        if piece.kind == "data":
            first, joined = piece, [piece.data]
        else:
            yield piece, piece.data
    if first is not None:
        yield first, b"".join(joined)
