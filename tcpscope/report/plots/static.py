"""A Figure as SVG or PNG by matplotlib, without a screen; the same figure gives the same bytes."""

from __future__ import annotations

import io
import logging
import textwrap
from typing import Any

import numpy

from tcpscope.report.plots.model import Axis, Figure, Layer, Panel
from tcpscope.report.plots.palette import GREY, GRID, INK, PAPER, ROLES
from tcpscope.report.plots.thin import Canvas, slivers, thin, unchanging
from tcpscope.report.plots.units import scale
from tcpscope.report.text import span

logging.getLogger("matplotlib").setLevel(logging.ERROR)  # it tells of its font cache on stderr

DPI = 100
SIZE = (1000, 600)
LEFT, RIGHT, TOP, GAP = 78, 22, 58, 26  # pixels
AXIS = 48  # below the lowest panel: numbers and name
ROW = 17  # a row of the legend
LINE = 14  # a line of the notes
CHARACTER = 5.6  # pixels, at the notes' size
PAD = 0.03  # of the width, left and right of the data
HEAD = 0.07  # of the height, above the data, for letters
SETTINGS: dict[Any, Any] = {
    "svg.hashsalt": "tcpscope",
    "svg.fonttype": "none",
    "font.size": 9,
    "font.family": "DejaVu Sans",
    "text.parse_math": False,
    "path.simplify": False,
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "agg.path.chunksize": 20000,
}
DASHES: dict[str, Any] = {"": "-", "dash": (0, (5, 3)), "dot": (0, (1, 2))}


def size_of(figure: Figure) -> tuple[int, int]:
    """Pixels that suit the figure: rows of a waterfall need their height."""
    rows = max(len(p.axis.labels) for p in figure.panels)
    each = 15 if rows <= 40 else 5
    return SIZE[0], max(SIZE[1] if rows == 0 else 300, rows * each + 190)


def limits(figure: Figure) -> tuple[float, float]:
    """The times shown, seconds, with a little air on both sides."""
    if figure.view is not None:
        first, last = figure.view
    else:
        ends = [
            values[numpy.isfinite(values)]
            for p in figure.panels
            for it in p.layers
            for values in (it.x, it.x if it.x2 is None else it.x2.astype(float))
        ]
        every = numpy.concatenate(ends)
        first, last = float(every.min()), float(every.max())
    if last <= first:
        return first - 0.0005, last + 0.0005
    air = (last - first) * PAD
    return first - air, last + air


def height(p: Panel, view: tuple[float, float]) -> tuple[float, float]:
    """The values shown on a panel's y axis, for what lies within the view."""
    found = []
    for it in p.layers:
        if it.y is None:
            continue
        end = it.x if it.x2 is None else it.x2
        inside = (end >= view[0]) & (it.x <= view[1])
        if it.shape in ("line", "step", "area"):  # what is held from before the view
            inside[numpy.flatnonzero(it.x < view[0])[-1:]] = True
        for values in (it.y, it.y2):
            if values is not None:
                kept = values[inside].astype(float)
                found.append(kept[numpy.isfinite(kept)])
    every = numpy.concatenate(found) if found else numpy.zeros(0)
    low, high = (float(every.min()), float(every.max())) if len(every) else (0.0, 1.0)
    if p.axis.log:
        positive = every[every > 0]
        low = float(positive.min()) if len(positive) else 1e-6
        return low / 1.4, max(high, low) * 1.6
    low = low if p.axis.least is None else p.axis.least
    if p.axis.most is not None:
        return low, p.axis.most
    high = high if high > low else low + 1
    air = (high - low) * HEAD
    return low if p.axis.least is not None else low - air * 0.6, high + air


def legend_of(figure: Figure) -> list[tuple[str, Layer]]:
    """The legend's entries, each once, in order."""
    found: dict[str, Layer] = {}
    for p in figure.panels:
        for it in p.layers:
            if it.legend:
                found.setdefault(it.legend, it)
    return list(found.items())


def render(figure: Figure, form: str, size: tuple[int, int] | None = None) -> bytes:
    """The bytes of the picture.  form: svg or png.  size: pixels; None: what suits the figure."""
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure as Sheet

    wide, high = size or size_of(figure)
    with matplotlib.rc_context(SETTINGS):
        sheet = Sheet(figsize=(wide / DPI, high / DPI), dpi=DPI, facecolor=PAPER)
        (FigureCanvasSVG if form == "svg" else FigureCanvasAgg)(sheet)
        _draw(figure, sheet, wide, high)
        out = io.BytesIO()
        about: dict[str, Any] = {"Title": figure.title}
        about |= {"Date": None, "Creator": "tcpscope"} if form == "svg" else {"Software": "tcpscope"}
        sheet.savefig(out, format=form, metadata=about, facecolor=PAPER)
    return out.getvalue()


def _draw(figure: Figure, sheet: Any, wide: int, high: int) -> None:
    view = limits(figure)
    left = LEFT + _room_for_labels(figure)
    entries = legend_of(figure)
    columns, rows = _legend_grid(entries, wide - LEFT // 2 - RIGHT)
    thinned: list[str] = []
    drawn_panels = []
    notes_room = _wrapped([*figure.notes, "0 of 0 elements drawn"], wide)  # the last line, if it comes
    bottom = AXIS + rows * ROW + len(notes_room) * LINE + 14
    room = max(high - TOP - bottom - GAP * (len(figure.panels) - 1), 60)
    total = sum(p.weight for p in figure.panels)
    y = float(high - TOP)
    for i, p in enumerate(figure.panels):
        tall = room * p.weight / total
        y -= tall
        width = max(wide - left - RIGHT, 60)
        axes = sheet.add_axes((left / wide, y / high, width / wide, tall / high))
        canvas = Canvas(view, height(p, view), width, tall, p.axis.log)
        drawn_panels.append((p, axes))
        for it in p.layers:
            drawn = thin(it, canvas)
            kept = len(drawn)
            drawn = unchanging(drawn)
            if kept < len(it) and it.shape != "marks" and it.legend:
                thinned.append(f"{len(it):,} {it.legend} as {kept:,}")
            _layer(axes, drawn, canvas)
        _axes(axes, p.axis, canvas, last=i == len(figure.panels) - 1)
        y -= GAP
    name = drawn_panels[-1][1]
    name.set_xlabel(scale(Axis("time since the first packet", "time"), *view)[1])
    notes = list(figure.notes)
    if thinned:
        notes.append("Drawn without loss of what a pixel shows: " + ", ".join(dict.fromkeys(thinned)) + ".")
    lines = _wrapped(notes, wide)
    for i, line in enumerate(reversed(lines)):
        sheet.text(10 / wide, (8 + i * LINE) / high, line, fontsize=7.5, color=GREY)
    sheet.text(10 / wide, 1 - 20 / high, _short(figure.title, wide / 8.4), fontsize=12, fontweight="bold", va="center")
    sheet.text(10 / wide, 1 - 40 / high, _short(figure.subtitle, wide / 6.2), fontsize=8.5, color=GREY, va="center")
    if entries:
        from matplotlib.legend_handler import HandlerTuple

        sheet.legend(
            [_handle(it) for _, it in entries],
            [text for text, _ in entries],
            loc="lower left",
            ncols=columns,
            bbox_to_anchor=(LEFT / 2 / wide, (8 + len(lines) * LINE + 2) / high),
            frameon=False,
            fontsize=8.5,
            handlelength=1.8,
            columnspacing=1.4,
            handletextpad=0.5,
            labelspacing=0.28,
            borderaxespad=0,
            borderpad=0.2,
            handler_map={tuple: HandlerTuple(ndivide=1)},
        )


def _room_for_labels(figure: Figure) -> int:
    longest = max((len(label) for p in figure.panels for label in p.axis.labels), default=0)
    return max(int(longest * 5.8) - 40, 0)


def _wrapped(notes: Any, wide: int) -> list[str]:
    return [line for note in notes for line in textwrap.wrap(note, max(int((wide - 20) / CHARACTER), 30))]


def _short(text: str, room: float) -> str:
    return text if len(text) <= room else text[: int(room) - 1] + "…"


def _long(text: str) -> float:
    """Pixels of a legend's text, a little more than it takes."""
    return sum(8.2 if char.isupper() or char == "_" else 6.1 for char in text)


def _legend_grid(entries: list[tuple[str, Layer]], room: int) -> tuple[int, int]:
    """Columns and rows; matplotlib fills column by column, each as wide as its longest text."""
    for columns in range(len(entries), 1, -1):
        rows = -(-len(entries) // columns)
        used = -(-len(entries) // rows)
        texts = [text for text, _ in entries]
        width = sum(max(map(_long, texts[i * rows : (i + 1) * rows])) + 48 for i in range(used))
        if width <= room:
            return used, rows
    return 1, len(entries)


def _axes(axes: Any, axis: Axis, canvas: Canvas, last: bool) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

    divisor = scale(Axis("", "time"), *canvas.x)[0]
    axes.set_xlim(*canvas.x)
    axes.set_ylim(*canvas.y)
    axes.grid(True, color=GRID, linewidth=0.6)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.tick_params(labelsize=8, length=3)
    axes.xaxis.set_major_locator(Scaled(divisor, max(int(canvas.width / 90), 3)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: plain(value / divisor)))
    if not last:
        axes.tick_params(labelbottom=False)
    if axis.unit == "row":
        _rows(axes, axis, canvas)
        return
    by, name = scale(axis, *canvas.y)
    ticks = max(int(canvas.height / 45), 3)
    if axis.log:
        axes.set_yscale("log")
        axes.set_ylim(*canvas.y)
        wide = numpy.log10(canvas.y[1] / canvas.y[0])
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if wide < 3 else (1,), numticks=20))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: span(value)))
        axes.yaxis.set_minor_formatter(NullFormatter())
        axes.set_ylabel(axis.name)
        return
    if axis.unit == "count":
        axes.yaxis.set_major_locator(MaxNLocator(ticks, integer=True))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    else:
        axes.yaxis.set_major_locator(Scaled(by, ticks))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: plain(value / by)))
    axes.set_ylabel(name)


def _rows(axes: Any, axis: Axis, canvas: Canvas) -> None:
    axes.set_ylim(canvas.y[1], canvas.y[0])  # the first on top
    step = max(-(-len(axis.labels) * 11 // max(int(canvas.height), 1)), 1)
    places = range(0, len(axis.labels), step)
    axes.set_yticks(list(places), [axis.labels[i] for i in places])
    axes.tick_params(axis="y", labelsize=7.5, length=0)
    axes.grid(False, axis="y")
    if len(axis.labels[0]) < 10:
        axes.set_ylabel(axis.name)


def plain(value: float) -> str:
    """A tick's number, without needless digits."""
    text = f"{value:,.6f}".rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text


def Scaled(divisor: float, ticks: int) -> Any:  # noqa: N802 - stands for a class
    """A locator of round numbers of the axis' unit."""
    from matplotlib.ticker import MaxNLocator

    class Locator(MaxNLocator):
        def tick_values(self, vmin: float, vmax: float) -> Any:
            return numpy.asarray(super().tick_values(vmin / divisor, vmax / divisor)) * divisor

    return Locator(ticks, steps=[1, 2, 2.5, 5, 10])


def _layer(axes: Any, it: Layer, canvas: Canvas) -> None:
    style = ROLES[it.role]
    stroke = {"color": style.colour, "linewidth": style.width, "linestyle": DASHES[style.dash]}
    if it.shape in ("line", "step"):
        axes.plot(it.x, it.y, drawstyle="steps-post" if it.shape == "step" else "default", **stroke)
    elif it.shape == "points":
        axes.plot(
            it.x,
            it.y,
            linestyle="none",
            marker=style.marker,
            markersize=style.size,
            color=style.colour,
            markerfacecolor=PAPER if style.marker == "D" else style.colour,
            markeredgewidth=1.1 if style.marker in "x|_D" else 0,
        )
    elif it.shape == "bars":
        gap = numpy.full(len(it), numpy.nan)
        x = numpy.column_stack([it.x, it.x, gap]).ravel()
        y = numpy.column_stack([it.y, it.y2, gap]).ravel()  # type: ignore[list-item]
        caps = {"solid_capstyle": "projecting", "dash_capstyle": "projecting"}
        axes.plot(x, y, **stroke, **(caps if style.dash == "" else {}))
    elif it.shape == "marks":
        _marks(axes, it, style)
    elif it.shape == "area":
        axes.fill_between(it.x, it.y, it.y2, step="post", color=style.colour, alpha=style.alpha, linewidth=0)
        x, low, high = slivers(it, canvas)
        if len(x):
            axes.vlines(x, low, high, color=style.colour, alpha=style.alpha, linewidth=72 / DPI)  # a pixel
    else:
        _rectangles(axes, it, canvas, style)


def _marks(axes: Any, it: Layer, style: Any) -> None:
    from matplotlib.transforms import offset_copy

    up = offset_copy(axes.transData, fig=axes.figure, y=-2 if style.below else 2, units="points")
    texts = it.text if isinstance(it.text, tuple) else (it.text,) * len(it)
    assert it.y is not None
    for x, y, text in zip(it.x, it.y, texts, strict=True):
        axes.text(
            x,
            y,
            text,
            transform=up,
            ha="center",
            va="top" if style.below else "bottom",
            fontsize=7,
            color=style.colour,
            fontweight="bold",
            clip_on=True,
        )


def _rectangles(axes: Any, it: Layer, canvas: Canvas, style: Any) -> None:
    from matplotlib.collections import PolyCollection

    assert it.x2 is not None
    least = (canvas.x[1] - canvas.x[0]) / canvas.width  # a pixel
    right = numpy.maximum(it.x2.astype(float), it.x + least)
    if it.shape == "bands":
        low, high = numpy.zeros(len(it)), numpy.ones(len(it))
    else:
        assert it.y is not None and it.y2 is not None
        low, high = it.y.astype(float), it.y2.astype(float)
    corners = numpy.stack(
        [numpy.column_stack(pair) for pair in ((it.x, low), (right, low), (right, high), (it.x, high))], axis=1
    )
    order = 0.4 if it.shape == "bands" else 1  # below and above the grid
    where = {"transform": axes.get_xaxis_transform()} if it.shape == "bands" else {}
    shapes = PolyCollection(
        list(corners), facecolors=style.colour, alpha=style.alpha, linewidths=0, zorder=order, **where
    )
    axes.add_collection(shapes, autolim=False)


def _handle(it: Layer) -> Any:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    style = ROLES[it.role]
    if it.shape in ("bands", "boxes", "area"):
        return Patch(facecolor=style.colour, alpha=style.alpha, linewidth=0)
    if it.shape == "points":
        return Line2D(
            [],
            [],
            linestyle="none",
            marker=style.marker,
            markersize=style.size + 1,
            color=style.colour,
            markerfacecolor=PAPER if style.marker == "D" else style.colour,
            markeredgewidth=1.1 if style.marker in "x|_D" else 0,
        )
    if it.shape == "bars":
        return Line2D(
            [], [], linestyle="none", marker="|", markersize=9, color=style.colour, markeredgewidth=style.width
        )
    return Line2D([], [], color=style.colour, linewidth=style.width, linestyle=DASHES[style.dash])
