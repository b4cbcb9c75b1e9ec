"""docs/performance.md and its plots, from the results; what stands between two `<!-- profile -->` marks is kept."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from . import plots
from .curves import ANALYZE, ONE_CORE, costs
from .instructions import RECORDED, TOLERANCE, said
from .table import HEAD, TITLES, number, per_packet, rows

TEMPLATE = Path(__file__).with_name("performance.md.j2")
MARK = "<!-- profile -->"
EMPTY = "\n\n## Where the time goes\n\n"


class Goal(NamedTuple):
    text: str
    measured: str
    met: bool | None


def load(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def find(groups: dict[str, Any], group: str, name: str) -> dict[str, Any] | None:
    return next((it for it in groups.get(group, []) if it["name"].startswith(name) and "wall" in it), None)


def goals(groups: dict[str, Any], curves: dict[str, Any]) -> Iterator[Goal]:
    """What is promised, what was measured, whether it holds."""
    ours, count, trace = (find(groups, "whole", it) for it in (ANALYZE, "capinfos", "tcptrace"))
    if ours and count:
        ratio = ours["wall"]["median"] / count["wall"]["median"]
        yield Goal("the whole workload in at most the time of `capinfos -c`", f"{ratio:.2f} ×", ratio <= 1)
    if ours and trace:
        ratio = trace["wall"]["median"] / ours["wall"]["median"]
        yield Goal("at least 6 × as fast as `tcptrace -n -q`", f"{ratio:.1f} ×", ratio >= 6)
        share = ours["memory"] / trace["memory"]
        measured = f"{ours['memory'] / 1e6:,.0f} of {trace['memory'] / 1e6:,.0f} MB, {share:.3f}"
        yield Goal("at most a tenth of tcptrace's memory", measured, share <= 0.1)
    shark = find(groups, "annotated", "tshark")
    for name, group in ((ANALYZE, "whole"), ("tcpscope packets --format csv", "tables")):
        mine = find(groups, group, name)
        if shark and mine:
            ratio, what = per_packet(shark) / per_packet(mine), name.removeprefix("tcpscope ")
            text = f"`{what}`, by packet: at least 100 × as fast as `tshark -T fields -e tcp.analysis…`"
            yield Goal(text, f"{ratio:,.0f} ×", ratio >= 100)
    cold, shark = find(groups, "cold", ANALYZE), find(groups, "cold", "tshark")
    if cold and shark:
        mine, its = cold["wall"]["median"], shark["wall"]["median"]
        yield Goal("`analyze` of ten packets, a new process: at most 150 ms", f"{mine * 1000:.0f} ms", mine <= 0.15)
        yield Goal("and at most half of `tshark -r`", f"{mine / its:.2f} of it", mine <= its / 2)
    for curve, what in (("open", "open connection"), ("flood", "half-open flow")):
        points = plots.series(curves[curve], ANALYZE) if curves else []
        if points:
            worst = max(points, key=lambda it: it["memory"] / promised(it["x"]))
            measured = f"{worst['memory'] / 1e6:,.0f} MB with {worst['x']:,}"
            yield Goal(
                f"at most 80 MB of memory, and 1 KB for each {what}", measured, worst["memory"] <= promised(worst["x"])
            )


def promised(connections: float) -> float:
    return plots.PROMISED + plots.PROMISED_EACH * connections


def spreads(curves: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    """The cheapest and the dearest point of each curve."""
    for name, what in (("packets", "packets"), ("open", "open connections"), ("flood", "half-open flows")):
        cells = []
        for program in (ANALYZE, ONE_CORE):
            points = costs(curves[name], program)
            if points:
                low, high = min(it for _, it in points), max(it for _, it in points)
                cells.append(f"{number(low)} to {number(high)} ns a packet, {high / low:.1f} ×")
            else:
                cells.append("too short to tell from the start")
        xs = sorted({it["x"] for it in curves[name]["points"]})
        yield (f"{xs[0]:,} to {xs[-1]:,} {what}", *cells)


def tables(groups: dict[str, Any], floor: int) -> Iterator[dict[str, Any]]:
    for name, programs in groups.items():
        shown = [(f"`{row[0]}`", *row[1:]) for row in rows(name, programs, floor)]
        yield {"name": name, "title": TITLES[name], "head": HEAD, "rows": shown}


def machine(it: dict[str, Any]) -> str:
    where = f"{it['date']}, {it['cores']} cores of {it['processor']}, {it['kernel']}, Python {it['python']}."
    versions = ", ".join(f"{name} {version}" for name, version in it["versions"].items() if name != "valgrind")
    return f"{where}\nPeers: {versions}."


def counted() -> dict[str, Any] | None:
    entries = load(RECORDED)
    if not entries:
        return None
    names = list(dict.fromkeys(name for it in entries for name in it["instructions_per_packet"]))
    table = []
    for entry in entries:
        figures = entry["instructions_per_packet"]
        table.append((said(entry["build"]), *(f"{figures[it]:,.0f}" if it in figures else "" for it in names)))
    return {"names": names, "rows": table}


def write(results: Path, to: Path) -> None:
    """The page, and beside the results its plots."""
    from jinja2 import Environment

    peers, curves = load(results / "peers.json"), load(results / "curves.json")
    shapes = curves and curves["curves"]
    if peers:
        plots.draw_peers(peers["groups"], results)
    if curves:
        plots.draw_cost(shapes, results)
        plots.draw_memory(shapes, results)
    old = to.read_text(encoding="utf-8") if to.exists() else ""
    kept = re.search(f"{MARK}(.*){MARK}", old, re.S)
    template = Environment(keep_trailing_newline=True).from_string(TEMPLATE.read_text(encoding="utf-8"))
    busy = max((it.get("load") or 0 for it in (peers, curves) if it), default=0)
    page = template.render(
        peers=peers, machine=peers and machine(peers["machine"]), workload=peers and peers["workload"], busy=busy,
        goals=list(goals(peers["groups"], shapes)) if peers else [],
        tables=list(tables(peers["groups"], peers["floor"])) if peers else [],
        curves=curves, spreads=list(spreads(shapes)) if curves else [],
        counted=counted(), tolerance=TOLERANCE, folder=results.name, mark=MARK, kept=kept.group(1) if kept else EMPTY,
    )  # fmt: skip
    to.write_text(page, encoding="utf-8")
    print(f"wrote {to}")
