"""Where a connection's time went, in one line that adds up to its duration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tcpscope.replay.layout import TIMES
from tcpscope.report.text import span

WORDS = {
    "opening": "handshake",
    "client": "waiting for the client's program",
    "server": "waiting for the server's program",
    "network": "data on their way",
    "congestion": "transfer at the path's pace",
    "receiver": "waiting for a receive window",
    "loss": "repairing losses",
    "timeout": "retransmission time-outs",
    "idle": "idle until the end",
    "closing": "closing",
}
LEAST = 0.01  # share of the duration that is named; smaller ones are summed up


def spent(seconds: Mapping[str, float | None]) -> str:
    """`waiting for the server's program 8.10 s (66 %), handshake 4.10 s (34 %)`; empty: not known.

    seconds: by the names of layout.TIMES; None: not known.
    """
    known = {name: value for name in TIMES if (value := seconds[name]) is not None}
    total = sum(known.values())
    if len(known) < len(TIMES) or total <= 0:
        return ""
    named = sorted((it for it in known.items() if it[1] >= LEAST * total), key=lambda it: -it[1])
    parts = [f"{WORDS[name]} {span(value)} ({value / total:.0%})" for name, value in named]
    rest = total - sum(value for _, value in named)
    if rest >= 1e-9:
        parts.append(f"the rest {span(rest)}")
    return ", ".join(parts)


def of_record(record: Mapping[str, Any]) -> str:
    """The same of a connection's record, with nanoseconds; empty, too, where one side alone was captured.

    Who waited for whom is a guess then.
    """
    if record["one_direction"]:
        return ""
    return spent({name: it / 1e9 if (it := record[f"time_{name}_ns"]) >= 0 else None for name in TIMES})
