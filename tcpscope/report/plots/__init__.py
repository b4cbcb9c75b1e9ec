"""Plots of a connection and of a whole capture.

`of_connection` and `of_capture` make a `model.Figure` out of packed records; a Figure draws itself as SVG, PNG,
HTML or JSON.  Nothing here needs a screen.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from importlib import import_module
from typing import TYPE_CHECKING, Any

from tcpscope.errors import UsageError, no_connection

if TYPE_CHECKING:
    from tcpscope.report.plots.model import Figure

CONNECTION_KINDS = {  # kind: module
    "sequence": "sequence",
    "stevens": "sequence",
    "rtt": "rtt",
    "window": "window",
    "inflight": "window",
    "throughput": "throughput",
    "buffer": "buffer",
}
CAPTURE_KINDS = ("states", "waterfall", "retransmissions")
KINDS = (*CONNECTION_KINDS, *CAPTURE_KINDS)
PACKETS = ("retransmissions", *CONNECTION_KINDS)  # what asks for packet records
SENDING = ("window", "inflight")  # about what a side sends, though the peer's windows alone could be drawn
EMPTY = {
    "rtt": "no segment of the {role} was acknowledged without having been sent again",
    "throughput": "the {role} sent no data in this capture",
    "window": "the {role} sent no data in this capture",
    "inflight": "the {role} sent no data in this capture",
    "buffer": "the {peer} advertised no window in this capture",
    "retransmissions": "nothing was sent again",
    "states": "no endpoint's state is known",
}


def known(kind: str, kinds: Iterable[str]) -> None:
    """UsageError for a kind that is none of these."""
    if kind not in kinds:
        from tcpscope.tables.filters import nearest

        raise UsageError(f"no plot {kind!r}{nearest(kind, kinds) or '; there are: ' + ', '.join(kinds)}")


def stem(names: list[str]) -> str:
    """What to call files made of these captures: harmless in any shell."""
    base = re.split(r"[/\\]", names[0])[-1] if names else ""
    for _ in range(2):  # .pcap.gz
        base = re.sub(r"\.(pcap|pcapng|cap|gz|zst|lz4|xz|bz2)$", "", base, flags=re.I)
    return re.sub(r"[^\w.+-]+", "_", base, flags=re.A).strip("._-")[:80] or "capture"


def _captures(names: list[str]) -> str:
    from tcpscope.report.text import safe

    first = safe(re.split(r"[/\\]", names[0])[-1]) if names else "standard input"
    first = "standard input" if first == "-" else first
    first = first if len(first) <= 60 else first[:59] + "…"
    return first if len(names) < 2 else f"{first} and {len(names) - 1} more"


def of_connection(
    kind: str,
    connections: bytes,
    packets: Any,
    number: int,
    names: list[str],
    side: str | None = None,
    utc: bool = True,
) -> Figure:
    """The plot of one connection.

    connections: all packed connection records.  packets: its packets as a numpy array (see `trace.of_connection`).
    side: client or server, whose data; None: of whoever sent more.  UsageError if there is nothing to draw.
    """
    from tcpscope.report.plots import trace

    known(kind, CONNECTION_KINDS)
    records = trace.records(connections)
    if not 0 <= number < len(records):
        raise no_connection(number, len(records))
    which = trace.choose_side(records[number], side)
    found = trace.Trace(
        packets,
        records[number],
        which,
        f"connection {number} of {_captures(names)}",
        f"{stem(names)}-{number}-{kind}",
        utc,
    )
    return _filled(getattr(import_module(f"tcpscope.report.plots.{CONNECTION_KINDS[kind]}"), kind)(found), found)


def of_capture(
    kind: str, connections: bytes, events: bytes, repeated: Any, names: list[str], utc: bool = True
) -> Figure:
    """The plot of a whole capture.

    connections, events: packed records.  repeated: for `retransmissions`, see `whole.repetitions`.
    """
    from tcpscope.report.plots.whole import Whole

    known(kind, CAPTURE_KINDS)
    if not connections:
        raise UsageError("nothing to plot: the capture has no TCP connection")
    whole = Whole(connections, events, _captures(names), f"{stem(names)}-{kind}", repeated, utc)
    return _filled(getattr(import_module(f"tcpscope.report.plots.{kind}"), kind)(whole))


def _filled(figure: Figure, trace: Any = None) -> Figure:
    """The figure; UsageError if nothing is in it."""
    silent = figure.kind in SENDING and not trace.own("unique_bytes")
    if not silent and any(len(it) for panel in figure.panels for it in panel.layers):
        return figure
    role, peer = (trace.role, trace.peer) if trace is not None else ("", "")
    why = EMPTY.get(figure.kind, "the {role} sent nothing in this capture").format(role=role, peer=peer)
    other = f"; try --side {peer}" if trace is not None and trace.theirs("unique_bytes") else ""
    raise UsageError(f"nothing to plot: {why}{other}")
