"""The ladder of one connection as text: client left, server right, states where they begin, time downwards."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from tcpscope.report.text import safe, span

Row = dict[str, Any]

STATE_WIDTH = 12
TIME_WIDTH = 10
LEAST = 60  # columns
IDLE = 1.0  # seconds; a longer pause gets a line of its own
BULK = 12  # ordinary segments in a row, of which all but the first and last are folded
ORDINARY = {"piggybacked_ack", "delayed_ack", "window_update", "offloaded", "offload_checksum", "duplicate_ack"}


@dataclass(frozen=True)
class Pen:
    """The characters of the drawing."""

    right: str
    left: str
    line: str
    again: str
    rail: str
    fold: str
    lost: str
    cut: str


UNICODE = Pen("▶", "◀", "─", "╌", "│", "⋮", "✗", "…")
ASCII = Pen(">", "<", "-", "~", "|", ":", "x", "~")


def label(row: Row) -> str:
    """`SYN seq=0 mss=1460`, `1:1025(1024) ack 8001 win 6144`, as Stevens and tcpdump write it."""
    flags = row["flags"].split(",")
    words = [flag for flag in flags if flag not in ("ACK", "PSH")]
    text = " ".join(words)
    if "SYN" in flags:
        text += f" seq={row['seq']}"
        if "ACK" in flags:
            text += f" ack={row['ack']}"
        if row["mss"]:
            text += f" mss={row['mss']}"
        return text + f" win={row['window']}"
    if row["length"]:
        text += f" {row['seq']}:{(row['seq'] + row['length']) & 0xFFFFFFFF}({row['length']})"
    elif "FIN" in flags or "RST" in flags:
        text += f" seq={row['seq']}"
    if "ACK" in flags:
        text += f" ack {row['ack']}"
    return (text + f" win {row['window']}").strip()


def notes(row: Row) -> str:
    """The annotations in words, with what they point to."""
    words = [word for word in row["annotations"] if word not in ("piggybacked_ack", "offloaded", "offload_checksum")]
    if "retransmission" in words and len(words) > 1:
        words.remove("retransmission")
        words = [word.removesuffix("_retransmission") if word != words[-1] else word for word in words]
    text = ", ".join(word.replace("_", " ") for word in words)
    if row["retransmission_of"]:
        text += f" of {row['retransmission_of']}"
    return text


def arrow(row: Row, width: int, pen: Pen, lost: bool = False) -> str:
    """A line from the sender to the receiver, dashed where it repeats, with the label in it; cut where it was lost."""
    stroke = pen.again if "retransmission" in row["annotations"] else pen.line
    text = f" {safe(label(row))} "
    if len(text) > width - 4:
        text = text[: width - 6] + pen.cut + " "
    room = max(width - 3 - len(text), 0)
    rest = stroke * room + pen.right
    if lost:
        rest = (stroke * (room // 3) + pen.lost).ljust(room + 1)
    if row["sender"] == "client":
        return stroke * 2 + text + rest
    return rest[::-1].replace(pen.right, pen.left) + text + stroke * 2


def is_ordinary(row: Row) -> bool:
    return row["flags"] in ("ACK", "PSH,ACK") and set(row["annotations"]) <= ORDINARY


def ladder(rows: Iterable[Row], width: int = 100, ascii_only: bool = False, fold: bool = True) -> Iterator[str]:
    """The lines of the drawing.  rows: one connection's packets (of the table), in order."""
    pen = ASCII if ascii_only else UNICODE
    inner = max(width, LEAST) - TIME_WIDTH - 2 * (STATE_WIDTH + 2) - 3
    before: tuple[str, str] = ("", "")
    start = last = None
    rows = list(rows)
    lost = {
        row["retransmission_of"]
        for row in rows
        if row["retransmission_of"] and "spurious_retransmission" not in row["annotations"]
    }
    for row in _folded(rows) if fold else rows:
        if "folded" in row:
            text = f"{pen.fold} {row['folded']} segments, {row['bytes']:,} bytes, nothing odd"
            yield f"{'':{TIME_WIDTH}} {'':>{STATE_WIDTH}} {pen.rail}{text:^{inner}}{pen.rail}".rstrip()
            last = row["time"]
            continue
        if start is None or last is None:
            ends = [f"{safe(row['src'])}:{row['sport']}", f"{safe(row['dst'])}:{row['dport']}"]
            client, server = ends if row["sender"] == "client" else ends[::-1]
            gap = max(inner + 2 - len(client), len(server) + 1)
            yield f"{'':{TIME_WIDTH}} {'':>{STATE_WIDTH}} {client}{server:>{gap}}"
            start = last = row["time"]
        if row["time"] - last >= IDLE:
            text = f"{pen.fold} {span(row['time'] - last)} idle"
            yield f"{'':{TIME_WIDTH}} {'':>{STATE_WIDTH}} {pen.rail}{text:^{inner}}{pen.rail}"
        now = (row["client_state"], row["server_state"])
        left, right = (state if state != old else "" for state, old in zip(now, before, strict=True))
        drawn = pen.rail + arrow(row, inner, pen, row["frame"] in lost) + pen.rail
        yield f"{row['time'] - start:{TIME_WIDTH}.6f} {left:>{STATE_WIDTH}} {drawn} {right}".rstrip()
        said = notes(row)
        if said:
            side = "<" if row["sender"] == "client" else ">"
            said = said if len(said) <= inner - 2 else said[: inner - 3] + pen.cut
            text = f"{said:{side}{inner - 2}}"
            yield f"{'':{TIME_WIDTH}} {'':>{STATE_WIDTH}} {pen.rail} {text} {pen.rail}"
        before, last = now, row["time"]


def _folded(rows: list[Row]) -> Iterator[Row]:
    """Long runs of ordinary segments, in which no state moves, become one row {"folded": how many, …}."""
    at = 0
    while at < len(rows):
        end = at
        states = (rows[at]["client_state"], rows[at]["server_state"])
        while (
            end < len(rows)
            and is_ordinary(rows[end])
            and (rows[end]["client_state"], rows[end]["server_state"]) == states
        ):
            end += 1
        if end - at > BULK:
            middle = rows[at + 2 : end - 2]
            yield from rows[at : at + 2]
            yield {"folded": len(middle), "bytes": sum(r["length"] for r in middle), "time": middle[-1]["time"]}
            yield from rows[end - 2 : end]
            at = end
        else:
            yield rows[at]
            at += 1
