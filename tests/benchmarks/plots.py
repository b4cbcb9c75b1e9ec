"""The plots of docs/performance.md, as SVG."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, NullFormatter

from .curves import ANALYZE, COUNT, ONE_CORE, TCPTRACE, costs
from .table import per_packet

BLUE, LIGHT, GREY, DARK, RED = "#1f5fa8", "#7fb0df", "#b5b5b5", "#555555", "#c0392b"
LOOKS = {
    ANALYZE: {"color": BLUE, "marker": "o", "linewidth": 2, "zorder": 4},
    ONE_CORE: {"color": LIGHT, "marker": "o", "linewidth": 1.6, "zorder": 3},
    COUNT: {"color": DARK, "marker": "s", "linewidth": 1.2, "linestyle": "--", "zorder": 2},
    TCPTRACE: {"color": RED, "marker": "^", "linewidth": 1.2, "linestyle": "--", "zorder": 2},
}
STYLE = {
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e6e6e6",
    "grid.linewidth": 0.8,
    "axes.axisbelow": True,
    "legend.frameon": False,
    "svg.hashsalt": "tcpscope",
    "figure.facecolor": "white",
}
PROMISED, PROMISED_EACH = 80e6, 1e3  # bytes: the goal, and for each open connection


def save(figure: Any, path: Path) -> None:
    figure.savefig(path, format="svg", bbox_inches="tight", metadata={"Date": None})
    plt.close(figure)


def count_label(value: float, _: object = None) -> str:
    for size, unit in ((1e6, " M"), (1e3, " k")):
        if value >= size:
            return f"{value / size:g}{unit}"
    return f"{value:g}"


def time_label(nanoseconds: float, _: object = None) -> str:
    for size, unit in ((1e6, "ms"), (1e3, "µs")):
        if nanoseconds >= size:
            return f"{float(f'{nanoseconds / size:.3g}'):g} {unit}"
    return f"{nanoseconds:.3g} ns"


def memory_label(value: float, _: object = None) -> str:
    return f"{value / 1e9:g} GB" if value >= 1e9 else f"{value / 1e6:g} MB"


def legend(axes: Axes) -> None:
    """Above the plot, where no line can run into it."""
    axes.legend(loc="lower left", bbox_to_anchor=(-0.02, 1.0), ncols=2, fontsize=9, columnspacing=1.4)


def series(curve: dict[str, Any], name: str) -> list[dict[str, Any]]:
    return [it for it in curve["points"] if it["name"] == name and "wall" in it]


def cost(curve: dict[str, Any], axes: Axes, label: str) -> None:
    """Nanoseconds a packet over x; of tcpscope without its start, and dotted with it."""
    for name, look in LOOKS.items():
        if points := costs(curve, name):
            axes.plot(*zip(*points, strict=True), label=name, markersize=5, **look)
    whole = [(it["x"], it["wall"]["min"] / it["packets"] * 1e9) for it in series(curve, ANALYZE)]
    if whole:
        start = f"with the {curve['start'][ANALYZE] * 1000:.0f} ms of its start"
        axes.plot(*zip(*whole, strict=True), color=BLUE, linewidth=1, linestyle=":", zorder=2, label=start)
    axes.set(xscale="log", yscale="log", xlabel=label, ylabel="time a packet")
    axes.xaxis.set_major_formatter(FuncFormatter(count_label))
    axes.yaxis.set_major_formatter(FuncFormatter(time_label))
    axes.yaxis.set_minor_formatter(NullFormatter())
    low, high = axes.get_ylim()
    axes.set_ylim(min(low, 30), max(high, 10_000))


def draw_cost(curves: dict[str, Any], folder: Path) -> None:
    with plt.rc_context(STYLE):
        for name, label in (
            ("packets", "packets in the capture (short connections, 1000 open at a time)"),
            ("open", "connections open at the same time"),
            ("flood", "half-open flows (two packets each)"),
        ):
            figure, axes = plt.subplots(figsize=(7.2, 3.8))
            cost(curves[name], axes, label)
            legend(axes)
            save(figure, folder / f"cost-{name}.svg")


def draw_memory(curves: dict[str, Any], folder: Path) -> None:
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(figsize=(7.2, 4))
        half = LOOKS[ANALYZE] | {"color": LIGHT, "marker": "D"}
        for curve, name, look, label in (
            ("open", ANALYZE, LOOKS[ANALYZE], "tcpscope, open connections"),
            ("flood", ANALYZE, half, "tcpscope, half-open flows"),
            ("open", TCPTRACE, LOOKS[TCPTRACE], "tcptrace, open connections"),
        ):
            if points := [(it["x"], it["memory"]) for it in series(curves[curve], name)]:
                axes.plot(*zip(*points, strict=True), label=label, markersize=5, **look)
        xs = sorted({it["x"] for it in curves["open"]["points"]})
        finer = [xs[0] * (xs[-1] / xs[0]) ** (at / 60) for at in range(61)]
        axes.plot(finer, [PROMISED + PROMISED_EACH * it for it in finer], color=DARK, linewidth=1.2, linestyle=":",
                  label="the goal: 80 MB and 1 KB for each")  # fmt: skip
        axes.set(xscale="log", yscale="log", xlabel="connections open at the same time", ylabel="peak memory")
        axes.xaxis.set_major_formatter(FuncFormatter(count_label))
        axes.yaxis.set_major_formatter(FuncFormatter(memory_label))
        axes.yaxis.set_minor_formatter(NullFormatter())
        legend(axes)
        save(figure, folder / "memory.svg")


def draw_peers(groups: dict[str, list[dict[str, Any]]], folder: Path) -> None:
    """A bar each, by time a packet, on a log scale; the fastest on top."""
    wanted = (("whole", None), ("tables", "packets"), ("annotated", "tshark"), ("python", None))
    bars: dict[str, float] = {}
    for group, word in wanted:
        for it in groups[group]:
            if "wall" in it and (word is None or word in it["name"]):
                bars.setdefault(it["name"], per_packet(it))
    names = sorted(bars, key=lambda it: -bars[it])
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(figsize=(7.2, 0.34 * len(names) + 0.9))
        colours = [BLUE if it.startswith("tcpscope") else GREY for it in names]
        axes.barh(names, [bars[it] for it in names], color=colours, height=0.68)
        for at, name in enumerate(names):
            axes.text(bars[name] * 1.12, at, time_label(bars[name]), va="center", fontsize=9, color=DARK)
        axes.set(xscale="log", xlabel="time a packet")
        axes.set_xlim(min(bars.values()) / 2.5, max(bars.values()) * 6)
        axes.xaxis.set_major_formatter(FuncFormatter(time_label))
        axes.grid(visible=False, axis="y")
        axes.tick_params(axis="y", length=0)
        save(figure, folder / "peers.svg")
