"""Messages against segments: where an application's messages begin and end in what TCP carried.

TCP is a stream of bytes: a segment may hold several messages, a part of one, or the end of one and the
beginning of the next.  Which, this tells, for messages framed by a length, by a delimiter, or of one size.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from tcpscope.errors import UsageError
from tcpscope.replay.layout import ROLES
from tcpscope.tables.rows import Row
from tcpscope.tables.streams import Piece

LARGEST = 64 << 20  # bytes of a message; a length that says more is none
WAYS = "length-prefix:WIDTH[,little][,offset=N][,header=N][,inclusive], delimiter:TEXT, fixed:N"
ESCAPES = {"r": "\r", "n": "\n", "t": "\t", "0": "\0", "\\": "\\"}


class LostError(Exception):
    """Why it cannot be told where messages begin from here on."""


class Framer(Protocol):
    """Of one side's stream: the ends of messages."""

    def ends(self, at: int, length: int, data: bytes) -> Iterator[int]:
        """Those in bytes at to at + length of the stream, each next to the last; data is empty where they are missing.

        Raises LostError.
        """


@dataclass
class LengthPrefix:
    """A header with the length in `width` bytes at `offset`, of all (inclusive) or of what follows the header."""

    width: int
    little: bool = False
    offset: int = 0
    header: int = 0
    inclusive: bool = False

    def __post_init__(self) -> None:
        self.header = self.header or self.offset + self.width
        self._head = b""
        self._start = 0  # of the message
        self._end: int | None = None  # where known

    def ends(self, at: int, length: int, data: bytes) -> Iterator[int]:
        behind, need = at + length, self.offset + self.width
        while True:
            if self._end is None:
                here = self._start + len(self._head)
                if here < behind and not data:
                    raise LostError(f"the length of the message at {self._start} is missing")
                self._head += data[here - at : here - at + need - len(self._head)]
                if len(self._head) < need:
                    return
                self._end = self._start + self._size()
            if self._end > behind:
                return
            yield self._end
            self._start, self._head, self._end = self._end, b"", None

    def _size(self) -> int:
        value = int.from_bytes(self._head[self.offset :], "little" if self.little else "big")
        size = value if self.inclusive else self.header + value
        if not self.header <= size <= LARGEST:
            raise LostError(f"the message at {self._start} would have {size:,} bytes: these are not such messages")
        return size


@dataclass
class Delimiter:
    """Messages that end with these bytes."""

    mark: bytes

    def __post_init__(self) -> None:
        self._tail = b""  # of the message, that may begin the mark

    def ends(self, at: int, length: int, data: bytes) -> Iterator[int]:
        if not data:
            self._tail = b""
            return
        text, start = self._tail + data, at - len(self._tail)
        last = 0
        while (found := text.find(self.mark, last)) >= 0:
            last = found + len(self.mark)
            yield start + last
        self._tail = text[last:][max(len(text) - last - len(self.mark) + 1, 0) :]


@dataclass
class Fixed:
    """Messages of one size."""

    size: int

    def ends(self, at: int, length: int, data: bytes) -> Iterator[int]:
        yield from range(at + self.size - at % self.size, at + length + 1, self.size)


def framer(spec: str) -> Framer:
    """What `--framing` asks for; UsageError if that is no framing."""
    way, _, rest = spec.partition(":")
    if way == "delimiter" and rest:
        return Delimiter(_unescaped(rest))
    if way == "fixed" and rest.isdecimal() and 0 < int(rest) <= LARGEST:
        return Fixed(int(rest))
    if way == "length-prefix" and rest:
        width, *options = re.split("[,:]", rest)
        found: dict[str, Any] = {}
        for option in options:
            name, given, value = option.partition("=")
            if given and name in ("offset", "header") and value.isdecimal() and int(value) <= 1024:
                found[name] = int(value)
            elif not given and name in ("little", "inclusive"):
                found[name] = True
            elif option != "big":
                raise UsageError(f"no option {option!r} of length-prefix; write {WAYS}")
        if width in ("1", "2", "3", "4", "8"):
            made = LengthPrefix(int(width), **found)
            if made.header < made.offset + made.width:
                raise UsageError(f"a header of {made.header} bytes has no room for its length; leave header= out")
            return made
    raise UsageError(f"no framing {spec!r}; write {WAYS}")


def _unescaped(text: str) -> bytes:
    r"""`\r \n \t \0 \\` and `\xNN` stand for bytes."""

    def byte(found: re.Match[str]) -> str:
        code = found.group(1)
        return chr(int(code[1:], 16)) if code[0] == "x" else ESCAPES[code]

    try:
        return re.sub(r"\\(x[0-9a-fA-F]{2}|[rnt0\\])", byte, text).encode("latin-1")
    except UnicodeEncodeError:
        return re.sub(r"\\(x[0-9a-fA-F]{2}|[rnt0\\])", byte, text).encode()


class Side:
    """One side's messages, while its pieces come."""

    def __init__(self, framing: Framer) -> None:
        self.framing = framing
        self.messages = self.segments = self.split = self.sticky = self.inside = 0
        self.lost: str | None = None
        self.left = 0  # bytes of a message that did not end
        self._next = 0  # where the message at work began
        self._parts: list[Piece] = []  # its first segment and its last
        self._count = 0
        self._missing = False

    def take(self, piece: Piece) -> Iterator[Row]:
        """The messages that end in a piece, and then, of a piece that came in a segment, how that stands to them."""
        begun, behind = self._next, piece.offset + piece.length
        ended = 0
        self._part(piece)
        try:
            if self.lost is None:
                for end in self.framing.ends(piece.offset, piece.length, piece.data):
                    yield self._message(piece, end)
                    ended += 1
                    if end < behind:
                        self._part(piece)
        except LostError as why:
            self.lost = str(why)
        self.left = behind - self._next
        if piece.kind == "data":
            yield self._segment(piece, begun, ended)

    def _part(self, piece: Piece) -> None:
        self._parts[1:] = [piece]
        self._count += piece.kind == "data"
        self._missing = self._missing or piece.kind != "data"

    def _message(self, piece: Piece, end: int) -> Row:
        first = self._parts[0]
        found: Row = {
            "kind": "message", "side": piece.side, "message": self.messages, "offset": self._next,
            "length": end - self._next, "segments": self._count, "first_frame": first.frame,
            "last_frame": piece.frame, "time": first.time_ns / 1e9, "last_time": piece.time_ns / 1e9,
            "whole": not self._missing,
        }  # fmt: skip
        self.messages += 1
        self.split += self._count > 1
        self._next, self._parts, self._count, self._missing = end, [], 0, False
        return found

    def _segment(self, piece: Piece, begun: int, ended: int) -> Row:
        behind = piece.offset + piece.length
        inside = None if self.lost else self._next < behind
        self.segments += 1
        self.sticky += ended + bool(inside) > 1
        self.inside += bool(inside)
        return {
            "kind": "segment", "side": piece.side, "frame": piece.frame, "file": piece.file,
            "time": piece.time_ns / 1e9, "offset": piece.offset, "length": piece.length,
            "first_message": self.messages - ended, "ended": None if self.lost and not ended else ended,
            "starts_inside": begun < piece.offset, "ends_inside": inside,
        }  # fmt: skip

    def summary(self) -> dict[str, Any]:
        """messages, segments; split: messages in several segments; sticky: segments with (parts of) several messages;
        inside: segments that end inside a message; unfinished: bytes of a message that did not end; lost: why."""
        return {"messages": self.messages, "segments": self.segments, "split": self.split, "sticky": self.sticky,
                "inside": self.inside, "unfinished": 0 if self.lost else self.left, "lost": self.lost}  # fmt: skip


class Framed:
    """The messages of a connection's pieces against its segments."""

    def __init__(self, pieces: Iterable[Piece], spec: str) -> None:
        self._pieces = pieces
        self.sides = {side: Side(framer(spec)) for side in ROLES}

    def rows(self) -> Iterator[Row]:
        """A row for each segment and, before that of the segment it ends in, for each message."""
        for piece in self._pieces:
            if piece.kind in ("data", "gap", "cut") and piece.length:
                yield from self.sides[piece.side].take(piece)

    def summary(self) -> dict[str, dict[str, Any]]:
        """Of each side that sent anything; see Side.summary."""
        return {name: side.summary() for name, side in self.sides.items() if side.segments or side.left}
