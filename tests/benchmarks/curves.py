"""The cost per packet and the memory, by the size of the capture and by the connections open at a time."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from .machine import load
from .measure import TCPSCOPE, Program, alternate, floor, warm
from .peers import CORE
from .workload import synthetic

START = "tcpscope analyze, a small capture"
SMALL = 600  # packets of it: more connections than the report shows, so that it costs what any report does
ANALYZE, ONE_CORE, COUNT, TCPTRACE = "tcpscope analyze", "tcpscope analyze, one core", "capinfos -c", "tcptrace -n -q"
TCPTRACE_HOLDS = 100_000  # connections; it needs many KB for each, closed or open
ROUNDS, SHORT_ROUNDS = 3, 5  # of all, and of what is over soon in each
SHORT = 300_000  # packets
LEAST = 2_000_000  # packets of a point of the open connections' curve
TURNS = 7  # packets of each connection at the top end: three of the handshake, four with data


def points(quick: bool) -> dict[str, list[tuple[int, str, int, int]]]:
    """By curve: (x, shape, packets, connections) of each point."""
    sizes = [10_000, 30_000, 100_000, 300_000, 1_000_000, 3_000_000, 10_000_000]
    counts = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000]
    flows = [1_000, 10_000, 100_000, 1_000_000]
    least = LEAST
    if quick:
        sizes, counts, flows, least = sizes[:3], counts[:4], flows[:2], 50_000
    return {
        "packets": [(it, "churn", it, 0) for it in sizes],
        "open": [(it, "robin", max(least, TURNS * it), it) for it in counts],
        "flood": [(it, "flood", 2 * it, 0) for it in flows],
    }


def programs(path: Path, packets: int, held: int) -> list[Program]:
    """`held`: how many connections tcptrace would have to keep."""
    times = SHORT_ROUNDS if packets <= SHORT else 1
    made = [
        Program(COUNT, ("capinfos", "-c", str(path)), packets, times=times),
        Program(ANALYZE, (*TCPSCOPE, "analyze", str(path)), packets, times=times),
        Program(ONE_CORE, (*CORE, *TCPSCOPE, "analyze", str(path)), packets, times=times),
    ]
    if held <= TCPTRACE_HOLDS:
        made.append(Program(TCPTRACE, ("tcptrace", "-n", "-q", str(path)), packets, times=times))
    return made


def measure(cache: Path, quick: bool) -> dict[str, Any]:
    """Every curve alternates among all its points and programs; `start` is what SMALL packets cost in the same run."""
    rounds = 1 if quick else ROUNDS
    found: dict[str, Any] = {"load": load(), "floor": floor(), "rounds": rounds, "curves": {}}
    for name, each in points(quick).items():
        print(f"== {name}", file=sys.stderr)
        small = synthetic(cache, "flood" if name == "flood" else "churn", SMALL)
        words = (*TCPSCOPE, "analyze", str(small))
        table = [Program(START, it, SMALL, times=SHORT_ROUNDS) for it in (words, (*CORE, *words))]
        where = [0, 0]
        for x, shape, packets, connections in each:
            path = synthetic(cache, shape, packets, connections)
            warm(path)
            held = {"churn": packets // 12, "robin": connections, "flood": packets // 2}[shape]
            more = programs(path, packets, held)
            table += more
            where += [x] * len(more)
        measured = [it.summary() | {"x": x} for it, x in zip(alternate(table, rounds), where, strict=True)]
        start = {ANALYZE: measured[0]["wall"]["min"], ONE_CORE: measured[1]["wall"]["min"]}
        found["curves"][name] = {"start": start, "points": measured[2:]}
    return found


def costs(curve: dict[str, Any], program: str) -> list[tuple[int, float]]:
    """(x, nanoseconds a packet), tcpscope's less its start; without the points at which the start is nearly all."""
    start = curve["start"].get(program, 0.0)
    found = []
    for it in curve["points"]:
        if it["name"] == program and "wall" in it and it["wall"]["min"] > 1.05 * start:
            found.append((it["x"], (it["wall"]["min"] - start) / (it["packets"] - (SMALL if start else 0)) * 1e9))
    return found
