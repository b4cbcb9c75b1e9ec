"""docs/findings.md and the ladders of `tcpscope explain`: `python -m tests.findings` writes them."""

from __future__ import annotations

import re
from pathlib import Path

import tcpscope
from tcpscope.diagnose.catalogue import ENTRIES, FAMILIES, Entry
from tcpscope.report.ladder import render
from tcpscope.report.ladder.focus import Options as Focus

ROOT = Path(__file__).parents[1]
SAMPLES = ROOT / "sample_pcaps"
PAGE, LADDERS = ROOT / "docs" / "findings.md", ROOT / "tcpscope" / "report" / "explained"
ROWS = 16


def focus(entry: Entry) -> Focus:
    """The part of the sample's ladder that shows the finding."""
    if entry.part.startswith("frame:"):
        return Focus(around=int(entry.part.removeprefix("frame:")), max_rows=ROWS)
    return Focus(max_rows=ROWS, **{entry.part: True} if entry.part else {})


def number(entry: Entry) -> int:
    """The sample's connection to show: the first that the finding is about."""
    found = [f for f in tcpscope.read(SAMPLES / entry.sample).findings if f.id == entry.id and f.connections]
    return found[0].connections[0] if found else 0


def drawn(entry: Entry) -> str:
    connection = tcpscope.read(SAMPLES / entry.sample).connection(number(entry))
    return render(connection._ladder(focus(entry)), "text", width=79)


HEAD = """# Findings

Written by `python -m tests.findings` from the catalogue that `tcpscope explain` reads.

A finding has an id that stays, a severity (error, warning, note), one sentence, its numbers, the frames that
prove it, a confidence (certain, likely, possible) with its doubts, the side to look at, and what to try.
"""


def place(entry: Entry) -> str:
    """The anchor that GitHub gives its heading."""
    return re.sub(r"[^\w\- ]", "", f"{entry.id}: {entry.title}".lower()).replace(" ", "-")


def page() -> str:
    lines = [HEAD]
    for family, entries in FAMILIES.items():
        lines.append(f"* {family}: " + ", ".join(f"[`{it.id}`](#{place(it)})" for it in entries))
    lines.append("")
    for family, entries in FAMILIES.items():
        lines += [f"## {family}", ""]
        for it in entries:
            points = {"When": it.rule, "Not": it.unlike, "Try": it.hint, "See": "; ".join(it.rfc)}
            points["Sample"] = f"`sample_pcaps/{it.sample}`" if it.sample else ""
            lines += [f"### `{it.id}`: {it.title}", "", it.mechanism, ""]
            lines += [f"- **{head}.** {text}" for head, text in points.items() if text]
            lines.append("")
    return "\n".join(lines)


def files() -> dict[Path, str]:
    """Every file that is written, and what stands in it."""
    return {PAGE: page()} | {LADDERS / f"{it.id}.txt": drawn(it) for it in ENTRIES.values() if it.sample}


def main() -> None:
    LADDERS.mkdir(exist_ok=True)
    wanted = files()
    for stale in set(LADDERS.glob("*.txt")) - set(wanted):
        stale.unlink()
    for path, text in wanted.items():
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
