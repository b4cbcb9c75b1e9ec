"""What `tcpscope compare` prints: how far tcpscope and Wireshark agree, and each difference with its reason."""

from __future__ import annotations

from collections import defaultdict
from typing import IO, Any

from tcpscope.diagnose.facts import times
from tcpscope.report.printer import Printer, Words, words
from tcpscope.report.text import named, safe

Document = dict[str, Any]

ERRORS = {
    "decode": "header fields",
    "streams": "streams",
    "emulation": "the column `wireshark` against tshark",
}
HEADS = {"annotation": "annotation", "wireshark": "Wireshark", "emulation": "column wireshark",
         "emulation_equal": "equal", "tcpscope": "tcpscope", "both": "both"}  # fmt: skip


def print_agreement(found: Document, stream: IO[str]) -> None:
    """The whole comparison for a person."""
    out = Printer(stream)
    _print_counts(out, found)
    rows = defaultdict(list)
    for row in found["differences"]:
        rows[row["comparison"], row["name"], row["reason"]].append(row)
    kinds = [(it, rows[it["comparison"], it["name"], it["reason"]]) for it in found["reasons"]]
    errors = [kind for kind in kinds if kind[0]["comparison"] in ERRORS]
    own = [kind for kind in kinds if kind[0]["comparison"] not in ERRORS]
    several = len(found["files"]) > 1
    if errors:
        _print_kinds(out, "Errors: these must agree", errors, "bold red", several)
    if own:
        _print_kinds(out, "Where tcpscope judges otherwise than Wireshark, and why", own, "bold", several)


def _print_counts(out: Printer, found: Document) -> None:
    names = [safe(named(name)) for name in found["files"]]
    out.line(names[0] if len(names) == 1 else f"{len(names)} captures, {names[0]} … {names[-1]}", "bold")
    wireshark, packets, streams = found["wireshark"], found["packets"], found["streams"]
    out.line(f"Wireshark {wireshark['version']} (tshark); the column `wireshark` follows {wireshark['rules']}'s rules")
    total, equal = packets["compared"], packets["decoded_equally"]
    out.line(f"{times(total, 'TCP packet')} compared, all header fields equal in {equal:,}")
    out.line(f"{times(streams['wireshark'], 'stream')}, {streams['equal']:,} of them exactly one connection")
    for why, count in found["not_compared"].items():
        out.line(f"not compared: {times(count, 'packet')} ({why})")
    if found["annotations"]:
        table: list[list[Words | str]] = [[words(head, "bold") for head in HEADS.values()]]
        for row in found["annotations"]:
            table.append([f"{row[name]:,}" if isinstance(row[name], int) else row[name] for name in HEADS])
        out.line()
        out.columns(table, right=[at for at, name in enumerate(HEADS) if name != "annotation"])
    out.line()
    verdict = ("agrees wholly", "green") if found["agrees"] else ("does not agree", "bold red")
    out.line(f"what must agree (header fields, streams, column wireshark): {verdict[0]}", verdict[1])


def _print_kinds(out: Printer, title: str, kinds: list[tuple[Document, list[Document]]], style: str,
                 several: bool) -> None:  # fmt: skip
    out.line()
    out.line(title, style)
    for kind, rows in kinds:
        out.line(words(kind["name"], "yellow") + words(f", {times(kind['count'], 'packet')}: {kind['reason']}"))
        for row in rows:
            out.line(_line(row, several), "dim", indent=2)
        if kind["count"] > len(rows):
            out.line(f"  … and {kind['count'] - len(rows):,} more (--most 0, --format json: all)", "dim")


def _line(row: Document, several: bool) -> str:
    where = f"file {row['file']} " if several else ""
    where += f"frame {row['frame']}"
    if row["connection"] is not None:
        where += f", connection {row['connection']}, {row['sender']}"
    said = f"Wireshark {_said(row['wireshark'])}; tcpscope {_said(row['tcpscope'])}"
    return f"{where}: {said}" + (f"; {row['evidence']}" if row["evidence"] else "")


def _said(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "nothing"
    return "nothing" if value is None else str(value)
