"""The table of connections as data: the oddest of them, a column at a time, for the page's script."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from heapq import nsmallest
from typing import Any

from tcpscope.diagnose.facts import told
from tcpscope.replay import layout
from tcpscope.report.named import ender
from tcpscope.tables import trip
from tcpscope.tables.address import address

_FIELDS = ("odd", "connection", "client_addr", "client_port", "server_addr", "server_port", "ip_version",
           "client_state", "server_state", "start_ns", "end_ns", "client_unique_bytes", "server_unique_bytes",
           *trip.FIELDS, *layout.SENT_AGAIN, "close_kind", "closed_by", "reset_by", "service",
           "server_name")  # fmt: skip
ENDED_BY = ("", "client", "server", "both")


class Listed:
    """Up to `most` connections, worst first; of those with equal marks the first ones."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.total = 0
        self._kept: list[tuple[Any, ...]] = []  # oddness negated, number, then the other fields

    def take(self, raw: bytes | bytearray) -> None:
        """More packed connection records, in any order."""
        self.total += len(raw) // layout.CONNECTION.size
        self._kept += [(-it[0], *it[1:]) for it in layout.CONNECTION.select(raw, _FIELDS)]
        if len(self._kept) > 2 * self.most:
            self._kept = nsmallest(self.most, self._kept)

    def rows(self) -> list[dict[str, Any]]:
        """The rows by the records' names, worst first."""
        self._kept = nsmallest(self.most, self._kept)
        return [dict(zip(_FIELDS, (-it[0], *it[1:]), strict=True)) for it in self._kept]


def columns(rows: Sequence[Mapping[str, Any]], start_ns: int, concerned: Mapping[int, Sequence[int]]) -> dict[str, Any]:
    """What the page's script reads: a list for each column; times in µs, null where not known.

    start_ns: what times count from.  concerned: of each connection, the findings that name it (by place).
    """
    hosts: dict[str, int] = {}

    def host(row: Mapping[str, Any], role: str) -> int:
        return hosts.setdefault(address(row[f"{role}_addr"], row["ip_version"]), len(hosts))

    rtts = [trip.round_trip(r) for r in rows]
    found: dict[str, Any] = {
        "number": [r["connection"] for r in rows],
        "client": [host(r, "client") for r in rows],
        "clientPort": [r["client_port"] for r in rows],
        "server": [host(r, "server") for r in rows],
        "serverPort": [r["server_port"] for r in rows],
        "clientState": [r["client_state"] for r in rows],
        "serverState": [r["server_state"] for r in rows],
        "start": [(r["start_ns"] - start_ns) // 1000 for r in rows],
        "duration": [(r["end_ns"] - r["start_ns"]) // 1000 for r in rows],
        "clientBytes": [r["client_unique_bytes"] for r in rows],
        "serverBytes": [r["server_unique_bytes"] for r in rows],
        "rtt": [rtt / 1000 if rtt > 0 else None for rtt in rtts],
        "again": [sum(r[name] for name in layout.SENT_AGAIN) for r in rows],
        "close": [r["close_kind"] for r in rows],
        "service": [" ".join(filter(None, reversed(told(r["service"], r["server_name"])))) for r in rows],
        "by": [ENDED_BY.index(_by(r)) for r in rows],
    }
    listed = set(found["number"])
    return found | {
        "findings": {str(n): list(which) for n, which in concerned.items() if n in listed},
        "hosts": list(hosts),
        "states": layout.STATES,
        "closes": [word.replace("_", " ") for word in layout.CLOSE_KINDS],
        "ends": ENDED_BY,
    }


def _by(row: Mapping[str, Any]) -> str:
    closed, reset = (layout.CLOSED_BY.get(row[name]) for name in ("closed_by", "reset_by"))
    return ender(layout.CLOSE_KINDS[row["close_kind"]], closed, reset) or ""
