"""The capture as a whole: files, span, packets, what was not TCP, what was cut or dropped."""

from __future__ import annotations

from operator import itemgetter
from typing import Any

from tcpscope.tables.analysis import Analysis


def overview(result: Analysis) -> dict[str, Any]:
    """The numbers above the tables; times in seconds since the epoch."""
    files = [it for it in result.files if it.get("packets")]
    first = min((it["first_ns"] for it in files if it["first_ns"] is not None), default=None)
    last = max((it["last_ns"] for it in files if it["last_ns"] is not None), default=None)
    kinds: dict[str, int] = {}
    for it in files:
        for kind, count in it["kinds"].items():
            kinds[kind] = kinds.get(kind, 0) + count
        for link, count in it["unsupported_links"].items():
            kinds[f"link type {link}"] = kinds.get(f"link type {link}", 0) + count
    tcp = kinds.pop("tcp", 0)
    drops = [i["dropped"] for it in files for i in it["interfaces"] if i["dropped"] is not None]
    return {
        "files": result.names,
        "formats": sorted({it["format"] for it in files if it["format"]}),
        "skipped_files": result.skipped,
        "first": None if first is None else first / 1_000_000_000,
        "last": None if last is None else last / 1_000_000_000,
        "duration": None if first is None or last is None else (last - first) / 1_000_000_000,
        "packets": sum(it["packets"] for it in files),
        "bytes": sum(it["bytes"] for it in files),
        "tcp_packets": tcp,
        "connections": result.counters.get("connections", 0),
        "not_tcp": dict(sorted(kinds.items(), key=itemgetter(1), reverse=True)),
        "cut_packets": sum(it["cut_packets"] for it in files),
        "dropped": sum(drops) if drops else None,
        "icmp_errors": result.counters.get("icmp_quotes", 0),
        "clock_steps": result.counters.get("clock_steps", 0),
        "judged_in_part": result.counters.get("judged_in_part", 0),
    }
