"""A conversation for programs: its turns as JSON, the bytes in base64, a turn at a time."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Iterable
from typing import Any, BinaryIO

from tcpscope.report.follow import Counts, shown
from tcpscope.report.turns import Turn
from tcpscope.tables.address import address
from tcpscope.tables.json_text import dumps
from tcpscope.tables.streams import Piece


def connection(record: dict[str, Any]) -> dict[str, Any]:
    """Who speaks, and since when."""
    version = record["ip_version"]
    ends = {
        side: {"ip": address(record[f"{side}_addr"], version), "port": record[f"{side}_port"]}
        for side in ("client", "server")
    }
    return {"connection": record["connection"], "start": record["start_ns"] / 1e9, **ends}


def turn(it: Turn, names: list[str]) -> dict[str, Any]:
    """A turn: `data` (base64) is what was delivered, `text` the same as a terminal may show it.

    Gaps, conflicts and late bytes stand apart.
    """
    data = b"".join(piece.data for piece in it.pieces if piece.kind == "data")
    span = it.span
    return {
        "side": it.side,
        "continued": it.continued,
        "time": it.pieces[0].time,
        "offset": span[0] if span else None,
        "end": span[1] if span else None,
        "bytes": len(data),
        "data": b64encode(data).decode(),
        "text": shown(data),
        "segments": [_where(piece, names) for piece in it.pieces if piece.kind == "data"],
        "gaps": [_gap(piece, names) for piece in it.pieces if piece.kind in ("gap", "cut")],
        "conflicts": [_conflict(piece, names) for piece in it.pieces if piece.kind == "conflict"],
        "late": [
            {**_where(piece, names), "data": b64encode(piece.data).decode()}
            for piece in it.pieces
            if piece.kind == "late"
        ],
        "after_reset": any(piece.after_reset for piece in it.pieces if piece.kind == "data"),
    }


def _where(piece: Piece, names: list[str]) -> dict[str, Any]:
    return {
        "offset": piece.offset,
        "length": piece.length,
        "time": piece.time,
        "frame": piece.frame,
        "file": names[piece.file],
    }


def _gap(piece: Piece, names: list[str]) -> dict[str, Any]:
    why = "cut" if piece.kind == "cut" else "leap" if piece.jump else "missing"
    return {**_where(piece, names), "why": why, "acknowledged": piece.acknowledged,
            "last_frame": piece.other_frame or piece.frame}  # fmt: skip


def _conflict(piece: Piece, names: list[str]) -> dict[str, Any]:
    return {
        **_where(piece, names),
        "first_frame": piece.other_frame,
        "first_file": names[piece.other_file],
        "data": b64encode(piece.data).decode(),
        "first": b64encode(piece.first).decode(),
    }


def summary(counts: Counts, stopped: bool) -> dict[str, Any]:
    """Of each side what was delivered, missing, left out; stopped: by --max-bytes, so these are not whole."""
    return {**counts, "stopped": stopped}


def write(head: dict[str, Any], rows: Iterable[dict[str, Any]], end: Callable[[], dict[str, Any]], lines: bool,
          stream: BinaryIO, name: str = "turns") -> None:  # fmt: skip
    """One document, or with `lines` JSON Lines: a line a turn, the first and last of them `connection` and `summary`.

    Each turn is written as it comes; `end` is asked for the summary after the last.
    """
    if lines:
        stream.write(dumps({"kind": "connection", **head}) + b"\n")
        for row in rows:
            stream.write(dumps({"kind": "turn"} | row) + b"\n")
        stream.write(dumps({"kind": "summary", **end()}) + b"\n")
        return
    stream.write(b'{\n"connection": ' + dumps(head) + b',\n"' + name.encode() + b'": [')
    for at, row in enumerate(rows):
        stream.write((b",\n" if at else b"\n") + dumps(row))
    stream.write(b'\n],\n"summary": ' + dumps(end()) + b"\n}\n")
