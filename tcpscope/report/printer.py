"""Text for a person: styled words, wrapped, and columns; in colour on a terminal, plain in a pipe.

rich does more, and draws what changes on the screen (`watch`, `screen/`); loading it takes a third of a short analysis.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import IO, TypeAlias
from unicodedata import combining, east_asian_width

import click

PIPE_WIDTH = 132
GAP = 2  # between columns

Words: TypeAlias = tuple[tuple[str, str], ...]  # texts with a style each: "", "dim", "bold red", as rich names them


def words(text: str, style: str = "") -> Words:
    """A text in one style; two of them are joined with +."""
    return ((text, style),)


def cells(text: str) -> int:
    """Columns that a text takes on a terminal."""
    if text.isascii():
        return len(text)
    return sum(0 if combining(char) else 1 + (east_asian_width(char) in "WF") for char in text)


class Printer:
    """What is written to a stream, a line at a time; no line ends in blanks.

    width: in columns; None: a terminal's own, for a pipe PIPE_WIDTH (COLUMNS overrides).
    """

    def __init__(self, stream: IO[str] | None = None, width: int | None = None) -> None:
        self.stream = stream or sys.stdout
        self.terminal = self.stream.isatty()
        self.coloured = self.terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
        self.width = width or _width(self.terminal)

    def line(self, told: Words | str = "", style: str = "", indent: int = 0) -> None:
        """A line, or as many as it takes."""
        told = words(told, style) if isinstance(told, str) else told
        for part in _wrapped(told, self.width - indent):
            self._write([(" " * indent, ""), *part])

    def whole(self, told: str, style: str = "") -> None:
        """A line that is not wrapped."""
        self._write([(told, style)])

    def columns(
        self, rows: Iterable[Sequence[Words | str]], right: Sequence[int] = (), wrapped: int | None = None
    ) -> None:
        """Rows under each other, the columns `right` to the right; column `wrapped` takes what room there is."""
        table = [[words(it) if isinstance(it, str) else it for it in row] for row in rows]
        if not table:
            return
        widths = [max(map(_length, column)) for column in zip(*table, strict=True)]
        if wrapped is not None:
            room = self.width - sum(widths) + widths[wrapped] - GAP * (len(widths) - 1)
            widths[wrapped] = max(min(widths[wrapped], room), 1)
        for row in table:
            parts = [list(_wrapped(it, widths[at])) if at == wrapped else [it] for at, it in enumerate(row)]
            for number in range(max(map(len, parts))):
                shown = [it[number] if number < len(it) else () for it in parts]
                self._row(shown, widths, right)

    def _row(self, row: list[Words], widths: list[int], right: Sequence[int]) -> None:
        spans: list[tuple[str, str]] = []
        for at, (cell, width) in enumerate(zip(row, widths, strict=True)):
            blank = (" " * (width - _length(cell)), "")
            spans += [blank, *cell] if at in right else [*cell, blank]
            spans.append((" " * GAP, ""))
        self._write(spans)

    def _write(self, spans: list[tuple[str, str]]) -> None:
        plain = "".join(text for text, _ in spans).rstrip()
        styled = (_styled(text, style) for text, style in _cut(spans, 0, len(plain)))
        click.echo("".join(styled) if self.coloured else plain, file=self.stream, color=self.coloured)


def _width(terminal: bool) -> int:
    """Of a terminal, or of a pipe."""
    told = os.environ.get("COLUMNS", "")
    if told.isdigit() and int(told) > 0:
        return int(told)
    if not terminal:
        return PIPE_WIDTH
    from shutil import get_terminal_size

    return get_terminal_size((PIPE_WIDTH, 24)).columns


def _length(told: Words) -> int:
    return sum(cells(text) for text, _ in told)


def _styled(text: str, style: str) -> str:
    if not style:
        return text
    names = style.split()
    colours = [it for it in names if it not in ("bold", "dim")]
    return click.style(text, fg=colours[0] if colours else None, bold="bold" in names or None,
                       dim="dim" in names or None)  # fmt: skip


def _cut(told: Iterable[tuple[str, str]], begin: int, end: int) -> Words:
    """The characters from begin to end."""
    parts, at = [], 0
    for text, style in told:
        part = text[max(begin - at, 0) : max(end - at, 0)]
        if part:
            parts.append((part, style))
        at += len(text)
    return tuple(parts)


def _wrapped(told: Words, width: int) -> Iterator[Words]:
    """Lines of at most `width` columns, broken at blanks; a word that is longer than a line is broken anywhere."""
    start = 0
    for line in "".join(text for text, _ in told).split("\n"):
        for begin, end in _pieces(line, width):
            yield _cut(told, start + begin, start + end)
        start += len(line) + 1


def _pieces(line: str, width: int) -> Iterator[tuple[int, int]]:
    begin = 0
    while (most := begin + _fitting(line[begin:], width)) < len(line):
        blank = line.rfind(" ", begin + 1, most + 1)
        end = blank if blank > 0 else most
        yield begin, end
        begin = end + (blank > 0)
    yield begin, len(line)


def _fitting(text: str, width: int) -> int:
    """How many characters fit into so many columns; one does always."""
    taken = 0
    for at, char in enumerate(text):
        taken += cells(char)
        if taken > width:
            return max(at, 1)
    return len(text)
