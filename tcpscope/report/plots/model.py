"""What a plot shows, as plain data: panels of layers over one time axis, and what must be said about them.

A plot's module makes a Figure; `static` (SVG, PNG) and `interactive` (HTML) draw it.  Times are seconds since
the figure's start, sizes bytes, rates bytes a second; how they are scaled for an axis is the renderers' matter.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from tcpscope.errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

Shape = Literal["line", "step", "points", "bars", "marks", "bands", "boxes", "area"]
Unit = Literal["time", "bytes", "seconds", "rate", "count", "row"]


@dataclass(frozen=True)
class Layer:
    """Elements of one kind and one meaning.

    shape     drawn from
    line      x, y, joined; NaN is a gap
    step      x, y: y holds from x until the next x
    points    x, y
    bars      x, y to y2: vertical
    marks     x, y and `text`, written there
    bands     x to x2, over the whole height
    boxes     x to x2, y to y2
    area      x, y to y2, both held until the next x

    role: what it stands for; `palette` gives it colour and stroke.  legend: "" leaves it out of the legend.
    frames: the frame behind each element, 0 for none.  said: what is known of each element, as a number that
    stands for one of `words`.
    """

    shape: Shape
    role: str
    legend: str
    x: NDArray[Any]
    y: NDArray[Any] | None = None
    x2: NDArray[Any] | None = None
    y2: NDArray[Any] | None = None
    text: str | tuple[str, ...] = ""
    frames: NDArray[Any] | None = None
    said: NDArray[Any] | None = None
    words: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.x)

    def pick(self, which: Any) -> Layer:
        """The elements that an index or a mask names."""
        import numpy

        chosen: dict[str, Any] = {
            name: None if (values := getattr(self, name)) is None else values[which]
            for name in ("x", "y", "x2", "y2", "frames", "said")
        }
        if isinstance(self.text, tuple):
            chosen["text"] = tuple(numpy.asarray(self.text, dtype=object)[which])
        return replace(self, **chosen)


@dataclass(frozen=True)
class Axis:
    """name: what is measured.  least, most: where the axis must begin or end; None lets the data decide.
    labels: of an axis of rows, the name of each, from 0.  log: decades."""

    name: str
    unit: Unit
    least: float | None = None
    most: float | None = None
    log: bool = False
    labels: tuple[str, ...] = ()


@dataclass(frozen=True)
class Panel:
    """Layers over one y axis, the later ones on top.  weight: share of the height."""

    axis: Axis
    layers: tuple[Layer, ...]
    weight: float = 1.0


@dataclass(frozen=True)
class Figure:
    """One plot.  notes: what is measured, what is estimated, what was left out.  start_ns: the epoch's
    nanoseconds at time 0.  view: the part of the time that is shown, in seconds; None shows all."""

    kind: str
    title: str
    subtitle: str
    panels: tuple[Panel, ...]
    notes: tuple[str, ...] = ()
    start_ns: int = 0
    view: tuple[float, float] | None = None
    name: str = field(default="plot", kw_only=True)  # for a file, without its suffix

    def svg(self, size: tuple[int, int] | None = None) -> bytes:
        """The figure as SVG; size in pixels (width, height)."""
        from tcpscope.report.plots.static import render

        return render(self, "svg", size)

    def png(self, size: tuple[int, int] | None = None) -> bytes:
        """The figure as PNG; size in pixels (width, height)."""
        from tcpscope.report.plots.static import render

        return render(self, "png", size)

    def html(self, size: tuple[int, int] | None = None) -> bytes:
        """One HTML file, to zoom, pan and point at; it asks nothing of the network."""
        from tcpscope.report.plots.interactive import document

        return document([self], size)

    def json(self) -> bytes:
        """Everything that is drawn, not thinned: base units, a list for each of a layer's fields."""
        import orjson

        return orjson.dumps(
            self, default=str, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE | orjson.OPT_INDENT_2
        )

    def between(self, since: float | None = None, until: float | None = None) -> Figure:
        """Only what lies between two times, seconds since the figure's start; UsageError if nothing does."""
        return cut(self, since, until)

    def render(self, form: str, size: tuple[int, int] | None = None) -> bytes:
        """form: svg, png, html or json."""
        if form == "json":
            return self.json()
        draw = {"svg": self.svg, "png": self.png, "html": self.html}.get(form)
        if draw is None:
            raise UsageError(f"no format {form!r}; there are: svg, png, html, json")
        return draw(size)

    def save(self, path: str | os.PathLike[str], size: tuple[int, int] | None = None) -> None:
        """Write to a file whose suffix says what: .svg, .png, .html, .json."""
        from tcpscope.tables.output import destination

        name = os.fspath(path)
        data = self.render(form_of(name), size)
        with destination(name) as stream:
            stream.write(data)

    def _repr_svg_(self) -> str:
        return self.svg().decode()

    def __repr__(self) -> str:
        drawn = sum(len(layer) for panel in self.panels for layer in panel.layers)
        return f"<Figure {self.kind}: {self.title}, {drawn} elements>"


HELD = ("line", "step", "area")  # what holds between its points
FORMS = ("svg", "png", "html", "json")


def form_of(path: str) -> str:
    """The format that a file's name asks for; UsageError if it names none."""
    suffix = path.rpartition(".")[2].lower() if "." in path else ""
    form = {"htm": "html"}.get(suffix, suffix)
    if form not in FORMS:
        raise UsageError(f"-o {path}: end its name in .svg, .png, .html or .json, or say --format")
    return form


def layer(shape: Shape, role: str, legend: str, x: Any, y: Any = None, **more: Any) -> Layer:
    """A Layer of whatever can be made an array."""
    import numpy

    for name in ("x2", "y2"):
        if more.get(name) is not None:
            more[name] = numpy.asarray(more[name])
    return Layer(shape, role, legend, numpy.asarray(x, dtype=float), None if y is None else numpy.asarray(y), **more)


def panel(axis: Axis, layers: list[Layer], weight: float = 1.0) -> Panel:
    """A Panel of the layers that hold anything."""
    return Panel(axis, tuple(it for it in layers if len(it)), weight)


def cut(figure: Figure, since: float | None, until: float | None) -> Figure:
    """Only what can be seen between two times (seconds); lines keep a point on either side."""
    import numpy

    if since is None and until is None:
        return figure
    ends = [float(end) for p in figure.panels for it in p.layers if len(it) for end in _reach(it)]
    first = min(ends, default=0.0) if since is None else since
    last = max(ends, default=0.0) if until is None else until
    panels = []
    for p in figure.panels:
        kept = []
        for it in p.layers:
            end = it.x if it.x2 is None else it.x2
            seen = (end >= first) & (it.x <= last)
            if it.shape in HELD and len(it):
                before = numpy.flatnonzero(it.x < first)[-1:]
                after = numpy.flatnonzero(it.x > last)[:1]
                seen[before] = True
                seen[after] = True
            part = it.pick(seen)
            if it.shape == "area" and bool((part.y == part.y2).all()):  # type: ignore[union-attr]
                continue  # a state that nobody is in
            kept.append(part)
        panels.append(panel(p.axis, kept, p.weight))
    inside = any(
        reach[0] <= last and reach[1] >= first
        for p in figure.panels
        for it in p.layers
        if len(it) and it.shape in HELD
        for reach in (_reach(it),)
    ) or any(len(it) for p in panels for it in p.layers if it.shape not in HELD)
    if not inside or first > last:
        raise UsageError(
            f"nothing to plot between {first:.6g} s and {last:.6g} s; it lasts {max(ends, default=0):.6g} s"
        )
    return replace(figure, panels=tuple(panels), view=(first, last))


def _reach(it: Layer) -> tuple[Any, Any]:
    import numpy

    end = it.x if it.x2 is None else it.x2
    return numpy.nanmin(it.x), numpy.nanmax(end)
