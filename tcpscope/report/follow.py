"""A conversation for people: text or hex, both sides in turns, what is missing in its place.

Every line of payload is indented; headers and marks are not, so no payload can pass for one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from tcpscope.diagnose.facts import times
from tcpscope.report.text import clock, safe
from tcpscope.report.turns import Turn, runs
from tcpscope.tables.address import address, with_port
from tcpscope.tables.streams import Piece

Counts = dict[str, dict[str, int]]

COLOURS = {"client": "35", "server": "36", "mark": "1;33"}
ARROWS = {"client": "▶", "server": "◀"}
INDENT = "  "
FEW = 4  # ranges of frames named in a header
SHORT = 256  # bytes of a conflict shown

_ODD = re.compile(r"[^\t\n\x20-\x7e]")


class _Shown(dict[int, str]):
    """Of each character what a terminal may show; filled as they come."""

    def __missing__(self, code: int) -> str:
        stray = 0xDC80 <= code <= 0xDCFF  # a byte that is no UTF-8, as surrogateescape has it
        found = self[code] = f"\\x{code - 0xDC00:02x}" if stray else safe(chr(code))
        return found


_SHOWN = _Shown({9: "\t", 10: "\n"})
LEFT_OUT = (  # of a side's counts, and what they mean
    ("missing", "bytes missing"),
    ("cut", "bytes cut off by the snap length"),
    ("duplicate", "bytes sent again"),
    ("copies", "bytes captured twice, or doubled by the network"),
    ("conflicting", "of them with other content"),
    ("late", "bytes late"),
    ("after_reset", "bytes sent after the reset"),
    ("past_fin", "bytes past the FIN left out"),
    ("in_reset", "bytes inside a reset left out"),
    ("doubtful", "bytes with a bad checksum, acknowledged nevertheless"),
    ("bad_sums", "pieces with a bad checksum left out"),
    ("outside", "segments outside the window left out"),
    ("probes", "probes left out"),
)


def shown(data: bytes) -> str:
    """Valid, printable UTF-8 as it is, line ends (LF, CR LF) and tabs too; all else as \\xNN or \\uNNNN."""
    text = data.decode("utf-8", "surrogateescape").replace("\r\n", "\n")
    return text if _ODD.search(text) is None else text.translate(_SHOWN)


class Writer:
    """Lines of text, plain or coloured.  names: of the captures, which frames are called by if there are several."""

    def __init__(self, record: dict[str, Any], names: list[str], *, colour: bool, utc: bool, as_hex: bool) -> None:
        self._record = record
        self._names = [safe(name) for name in names] if len(names) > 1 else []
        self._colour, self._utc = colour, utc
        self._lines = self._hex if as_hex else self._text

    def head(self) -> Iterator[str]:
        """Who speaks, and since when."""
        ends = [f"{at} ({side})" for side, at in zip(("client", "server"), self._ends(), strict=True)]
        yield f"connection {self._record['connection']}, {clock(self._record['start_ns'] / 1e9, self._utc)}"
        yield f"{ends[0]}, {ends[1]}"

    def _ends(self) -> list[str]:
        version = self._record["ip_version"]
        found = []
        for side in ("client", "server"):
            ip = address(self._record[f"{side}_addr"], version)
            port = self._record[f"{side}_port"]
            found.append(with_port(ip, port))
        return found

    def turn(self, turn: Turn) -> Iterator[str]:
        """The lines of a turn: a header, the payload indented, marks in brackets."""
        yield self._paint(turn.side, self._header(turn), bold=True)
        after_reset = False
        for piece, data in runs(turn.pieces):
            if piece.kind == "data":
                if piece.after_reset and not after_reset:
                    yield self._paint("mark", "[sent after the connection was reset]")
                after_reset = piece.after_reset
                yield from self._payload(piece.side, data, piece.offset)
                continue
            yield self._paint("mark", self._mark(piece))
            if piece.kind == "late":
                yield from self._payload(piece.side, data, piece.offset)
            elif piece.kind == "conflict":
                for whose, copy in (("first", piece.first), ("later", data)):
                    yield f"{INDENT}{whose} copy{self._rest(len(copy))}"
                    yield from (INDENT + line for line in self._payload(piece.side, copy[:SHORT], piece.offset))

    def _rest(self, size: int) -> str:
        return f", its first {SHORT} of {size:,} bytes:" if size > SHORT else ":"

    def _payload(self, side: str, data: bytes, offset: int) -> Iterator[str]:
        for line in self._lines(data, offset, side):
            yield self._paint(side, INDENT + line) if line else ""

    def _text(self, data: bytes, offset: int, side: str) -> Iterator[str]:
        yield from shown(data).removesuffix("\n").split("\n")

    def _hex(self, data: bytes, offset: int, side: str) -> Iterator[str]:
        before = "" if side == "client" else "    "
        for at in range(0, len(data), 16):
            row = data[at : at + 16]
            left, right = row[:8].hex(" "), row[8:].hex(" ")
            letters = "".join(chr(it) if 0x20 <= it < 0x7F else "." for it in row)
            where = offset + at
            yield f"{before}{f'-{-where:07x}' if where < 0 else f'{where:08x}'}  {left:23}  {right:23}  {letters}"

    def _header(self, turn: Turn) -> str:
        words = [f"{ARROWS[turn.side]} {turn.side}" + (" (continued)" if turn.continued else "")]
        if turn.pieces[0].time is not None:
            words.append(f"{(turn.pieces[0].time_ns - self._record['start_ns']) / 1e9:+.6f} s")
        if turn.span is not None:
            begin, end = turn.span
            words.append(f"bytes {begin}–{end - 1} ({turn.size:,})" if end > begin else f"byte {begin} (0)")
        frames = self._frames(_frames_of(turn))
        return "  ".join([*words, frames] if frames else words)

    def _frames(self, found: list[tuple[int, int]]) -> str:
        """`frame 4`, `frames 4–9 12 of a.pcap`; of many ranges the first few."""
        ranges: list[list[int]] = []
        for file, frame in sorted(set(found)):
            if ranges and ranges[-1][0] == file and ranges[-1][2] == frame - 1:
                ranges[-1][2] = frame
            else:
                ranges.append([file, frame, frame])
        if not ranges:
            return ""
        words = []
        for at, (file, first, last) in enumerate(ranges[:FEW]):
            words.append(str(first) if first == last else f"{first}–{last}")
            if self._names and (at + 1 == len(ranges[:FEW]) or ranges[at + 1][0] != file):
                words.append(f"of {self._names[file]}")
        if len(ranges) > FEW:
            words.append(f"… {ranges[-1][2]}")
        return ("frame " if len(set(found)) == 1 else "frames ") + " ".join(words)

    def _frame(self, file: int, frame: int | None) -> str:
        if frame is None:
            return "an earlier frame"
        return f"frame {frame}" + (f" of {self._names[file]}" if self._names else "")

    def _mark(self, piece: Piece) -> str:
        end = piece.offset + piece.length - 1
        where = f"at {piece.offset}" + (f"–{end}" if piece.length > 1 else "")
        frame = self._frame(piece.file, piece.frame)
        size = times(piece.length, "byte")
        if piece.kind == "cut":
            if piece.other_frame is not None:
                frame = f"{frame} to {self._frame(piece.other_file, piece.other_frame)}"
            return f"[{size} cut off by the snap length, {where}, {frame}]"
        if piece.kind == "late":
            why = "from before the stream's start" if piece.offset < 0 else "of a gap came late"
            return f"[{size} {why}, {where}, {frame}:]"
        if piece.kind == "conflict":
            other = self._frame(piece.other_file, piece.other_frame)
            return f"[{size} {where} were sent again with other content: first in {other}, again in {frame}]"
        if piece.jump:
            return f"[{size} missing {where}, or that and a multiple of 4 GiB: the sequence numbers leap]"
        return f"[{size} missing {where}: {why_missing(piece)}]"

    def end(self, counts: Counts, stopped: int | None = None) -> Iterator[str]:
        """What came of it: delivered, missing, left out; nothing is dropped silently."""
        if stopped is not None:
            yield self._paint("mark", f"[stopped after {stopped:,} bytes: --max-bytes]")
            return
        yield from (self._paint(side, line) for side, line in summary(counts))

    def _paint(self, who: str, text: str, bold: bool = False) -> str:
        if not self._colour:
            return text
        return f"\x1b[{'1;' if bold else ''}{COLOURS[who]}m{text}\x1b[0m"


def _frames_of(turn: Turn) -> list[tuple[int, int]]:
    found = [(it.file, it.frame) for it in turn.pieces if it.frame and it.kind != "gap"]
    return found + [(it.other_file, it.other_frame) for it in turn.pieces if it.other_frame and it.kind == "cut"]


def why_missing(piece: Piece) -> str:
    """What is known of a gap."""
    if piece.acknowledged is None:
        return "the other side is not in the capture, so nothing tells whether they arrived"
    if piece.acknowledged:
        return "not in the capture, but acknowledged by the peer"
    return "not in the capture, and not acknowledged by the peer"


def summary(counts: Counts) -> Iterable[tuple[str, str]]:
    """(side, line): bytes delivered and what is odd, for each side with anything."""
    for side, count in counts.items():
        if any(count.values()):
            odd = "".join(f", {_counted(count[name], words)}" for name, words in LEFT_OUT if count[name])
            yield side, f"{side}: {_counted(count['bytes'], 'bytes')}{odd}"


def _counted(count: int, words: str) -> str:
    """`2 bytes late`, `1 byte late`."""
    noun, space, rest = words.partition(" ")
    return f"{count:,} {noun.removesuffix('s') if count == 1 else noun}{space}{rest}"
