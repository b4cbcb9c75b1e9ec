"""The ladder as a Mermaid sequence diagram, which GitHub and GitLab draw in Markdown as it is.

Arrows are flat there; states are notes beside the lifelines, what lasts is told where it begins and ends.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from tcpscope.report.ladder import words
from tcpscope.report.ladder.model import CLIENT, SERVER, Bar, Happening, Ladder, Row, Segment
from tcpscope.report.ladder.text import short, wrapped
from tcpscope.report.text import safe

LONGEST = 48_000  # characters; GitHub draws nothing of more than 50,000 (maxTextSize)
NOTE_WIDTH, SIDE_WIDTH = 60, 24  # characters of a line in a note over both, beside one
NAMES = {CLIENT: "C", SERVER: "S"}
SIDES = {CLIENT: "left of", SERVER: "right of"}
PLAIN = re.compile(r"[^A-Za-z0-9 .,:'()=_+/\[\]µΔ·…→✗⋮?-]")
STARTS = {"zero_window": "window closed", "persist": "persist timer runs", "time_wait": "TIME_WAIT"}


def escaped(text: str) -> str:
    """Text that Mermaid takes as text: whatever could be syntax as a character code (`#35;` is `#`)."""
    coded = PLAIN.sub(lambda it: f"#{ord(it.group())};", text)
    return re.sub(r"\bend\b", "e#110;d", coded)  # the word closes a block


def mermaid(ladder: Ladder, raw: bool = False) -> str:
    """The diagram, from `sequenceDiagram` on.  raw: numbers as in the header."""
    lines = list(_lines(ladder, raw))
    return "\n".join(lines) + "\n"


def _lines(ladder: Ladder, raw: bool) -> Iterator[str]:
    yield "sequenceDiagram"
    for end, address in ((CLIENT, ladder.client), (SERVER, ladder.server)):
        said = [str(address), *([safe(ladder.about)] if ladder.about and end == SERVER else [])]
        yield f"    participant {NAMES[end]} as {end}<br/>{'<br/>'.join(map(escaped, said)).replace(':', '#58;')}"
    yield from _states(("", ""), ladder.before)
    for at, row in enumerate(ladder.rows):
        yield from _row(ladder, row, raw)
        yield from _states(ladder.states(at - 1), ladder.states(at))
        for bar in ladder.bars:
            if bar.first_row == at and bar.what != "time_wait":
                yield _note(SIDES[bar.endpoint], NAMES[bar.endpoint], STARTS[bar.what] + _length(bar))
    told = " ".join([words.footer(ladder.timing), *ladder.notes])
    yield _note("over", "C,S", told)


def _length(bar: Bar) -> str:
    return " to the capture's end" if bar.end is None else f" for {short(bar.end - bar.start)}"


def _note(where: str, whom: str, said: str) -> str:
    lines = wrapped(said, NOTE_WIDTH if "," in whom else SIDE_WIDTH)
    return f"    Note {where} {whom}: {'<br/>'.join(map(escaped, lines))}"


def _states(before: tuple[str, str], now: tuple[str, str]) -> Iterator[str]:
    for end, old, new in zip((CLIENT, SERVER), before, now, strict=True):
        if new != old and new and not (old == "" and new == "UNKNOWN"):
            yield _note(SIDES[end], NAMES[end], new)


def _row(ladder: Ladder, row: Row, raw: bool) -> Iterator[str]:
    if isinstance(row, Segment):
        ends = (CLIENT, SERVER) if row.sender == CLIENT else (SERVER, CLIENT)
        arrow = f"    {NAMES[ends[0]]}{_stroke(row)}{NAMES[ends[1]]}: "
        said = words.notes(row)
        yield (
            arrow
            + escaped(f"{row.time - ladder.start:.6f} {words.label(row, raw)}")
            + (f"<br/>{escaped(said)}" if said else "")
        )
    elif isinstance(row, Happening):
        yield _note(SIDES[row.endpoint], NAMES[row.endpoint],
                    f"{row.time - ladder.start:.6f} {words.happening(row)}")  # fmt: skip
    else:
        yield _note("over", "C,S", words.across(row))


def _stroke(it: Segment) -> str:
    """Dashed for a repetition or a probe, a cross where it was lost, an open head where nothing answered."""
    dashed = "--" if it.style in ("again", "probe") else "-"
    head = {"lost": "x", "rejected": "x", "unanswered": ")"}.get(it.fate) or (")" if it.style == "probe" else ">>")
    return dashed + head
