"""The measurements as rows of text: for the terminal and for the page."""

from __future__ import annotations

from typing import Any

TITLES = {
    "whole": "The whole workload",
    "flood": "A SYN flood",
    "tables": "The tables, written to a file",
    "streams": "Compressed and piped",
    "annotated": "Every packet annotated",
    "python": "Python libraries",
    "cold": "Ten packets, a new process each",
}
HEAD = ("program", "packets", "wall s, median", "least", "CPU s", "peak MB", "ns a packet", "×", "× CPU")


def per_packet(program: dict[str, Any], what: str = "wall") -> float:
    """Nanoseconds, of the median."""
    value: float = program[what]["median"] / program["packets"] * 1e9
    return value


def reference(programs: list[dict[str, Any]]) -> dict[str, Any] | None:
    """What ratios of a group are taken to: its first run of tcpscope."""
    return next((it for it in programs if it["name"].startswith("tcpscope") and "wall" in it), None)


def number(value: float) -> str:
    """Three digits."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}" if value >= 1 else f"{value:.3f}"


def rows(name: str, programs: list[dict[str, Any]], floor: int) -> list[tuple[str, ...]]:
    """A row a program; the ratio says how many times tcpscope's time a peer takes, by packet."""
    found, ours = [], reference(programs)
    for it in programs:
        if "skipped" in it:
            found.append((it["name"], it["skipped"], *[""] * (len(HEAD) - 2)))
            continue
        ratios = ["", ""]
        if ours is not None and it is not ours:
            ratios = [number(per_packet(it, what) / per_packet(ours, what)) for what in ("wall", "cpu")]
        memory = it["memory"]
        found.append((
            it["name"], f"{it['packets']:,}", number(it["wall"]["median"]), number(it["wall"]["min"]),
            number(it["cpu"]["median"]), f"< {floor / 1e6:.0f}" if memory <= floor * 1.02 else f"{memory / 1e6:,.0f}",
            "" if name == "cold" else number(per_packet(it)), *ratios,
        ))  # fmt: skip
    return found


def show(found: dict[str, Any]) -> None:
    """The terminal's table."""
    for name, programs in found["groups"].items():
        lines = [HEAD, *rows(name, programs, found["floor"])]
        widths = [max(len(line[at]) for line in lines) for at in range(len(HEAD))]
        widths[1] = max(len(line[1]) for line in lines if line[2]) if len(lines) > 1 else widths[1]
        print(f"\n{TITLES[name]}")
        for line in lines:
            cells = [f"{cell:<{width}}" if not at else f"{cell:>{width}}"
                     for at, (cell, width) in enumerate(zip(line, widths, strict=True))]  # fmt: skip
            print("  ".join(cells).rstrip())
