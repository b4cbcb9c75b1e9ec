"""The catalogue of findings as text: the list, and one entry with the ladder of a sample."""

from __future__ import annotations

import shutil
import textwrap
from importlib import resources
from typing import Any

from tcpscope.diagnose.catalogue import FAMILIES, Entry

WIDTH, LEAST = 100, 40  # columns; a narrower terminal has its own


def ladder(entry: Entry) -> str:
    """The ladder that shows it; "": there is none.  `python -m tests.findings` draws them from sample_pcaps/."""
    place = resources.files("tcpscope.report") / "explained" / f"{entry.id}.txt"
    return place.read_text(encoding="utf-8") if place.is_file() else ""


def as_dict(entry: Entry) -> dict[str, Any]:
    """An entry for JSON, its ladder with it."""
    return {**entry._asdict(), "ladder": ladder(entry) or None}


def listed() -> str:
    """Every kind of finding, a line each, by family."""
    lines = []
    for family, entries in FAMILIES.items():
        lines += [family, *(f"  {entry.id:<22} {entry.title}" for entry in entries), ""]
    return "\n".join([*lines, "tcpscope explain ID tells more of one.", ""])


def told(entry: Entry) -> str:
    """One entry in full."""
    parts = [f"{entry.id}: {entry.title}", "", _filled(entry.mechanism)]
    for head, text in (("When", entry.rule), ("Not", entry.unlike), ("Try", entry.hint), ("See", "; ".join(entry.rfc))):
        if text:
            parts += ["", _filled(text, f"{head:<6}")]
    drawn = ladder(entry)
    if drawn:
        parts += ["", f"For example, sample_pcaps/{entry.sample}:", "", drawn.rstrip("\n")]
    return "\n".join([*parts, ""])


def _filled(text: str, head: str = "") -> str:
    width = max(min(WIDTH, shutil.get_terminal_size((WIDTH, 24)).columns), LEAST)
    return textwrap.fill(text, width, initial_indent=head, subsequent_indent=" " * len(head))
