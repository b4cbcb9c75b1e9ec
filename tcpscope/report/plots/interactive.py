"""Figures as one HTML file to zoom, pan and point at, by Bokeh: no network, no server.

Bokeh's script is 1.3 MB; compressed into the file it takes 0.47 MB, and the browser unpacks it (DecompressionStream).
The data are thinned less than for a picture, since one can zoom: by ZOOM in both directions.
"""

from __future__ import annotations

import base64
import gzip
import html
from pathlib import Path
from typing import Any

import numpy

from tcpscope.report.plots.model import Axis, Figure, Layer, Panel
from tcpscope.report.plots.palette import GREY, GRID, INK, ROLES
from tcpscope.report.plots.static import height, limits, size_of
from tcpscope.report.plots.thin import Canvas, slivers, thin
from tcpscope.report.plots.units import scale

ZOOM = 8  # times closer than the whole, before what shares a pixel can be told
FEW = 2_500  # times that, elements of a layer that are all kept
LETTERS = 600  # written at once; more would be slow, and black
DASHES = {"": "solid", "dash": "dashed", "dot": "dotted"}
MARKERS = {"o": "circle", "x": "x", "D": "diamond", "|": "dash", "_": "dash", "v": "inverted_triangle",
           "^": "triangle", ">": "triangle"}  # fmt: skip

PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; \
style-src 'unsafe-inline'; img-src data: blob:">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
body {{ font: 14px/1.45 system-ui, sans-serif; color: {ink}; margin: 1.2em; }}
h1 {{ font-size: 1.2em; margin: 0; }}
p {{ color: {grey}; margin: .2em 0; max-width: 75em; font-size: .9em; }}
.plot {{ min-height: 20em; }}
</style>
</head>
<body>
{body}
{script}
</body>
</html>
"""

# unpacks a gzip in base64; the library first, then every figure into its place
LOADER = """<script>
(async () => {
  const unpack = async (id) => {
    const bytes = Uint8Array.from(atob(document.getElementById(id).textContent.trim()), (c) => c.charCodeAt(0));
    return await new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).text();
  };
  const places = [...document.querySelectorAll(".plot")];
  try {
    const library = document.createElement("script");
    library.text = await unpack("tcpscope-library");
    document.head.append(library);
    for (const place of places) {
      await Bokeh.embed.embed_item(JSON.parse(await unpack(place.id + "-data")), place.id);
      place.dataset.ready = "yes";
    }
  } catch (error) {
    for (const place of places)
      if (!place.dataset.ready) place.textContent = "This browser cannot draw the plot: " + error;
    throw error;
  }
})();
</script>"""


def document(figures: list[Figure], size: tuple[int, int] | None = None) -> bytes:
    """A whole page with these figures."""
    parts = [fragment(figure, f"plot-{i}", size) for i, figure in enumerate(figures)]
    title = html.escape(figures[0].title)
    page = PAGE.format(title=title, ink=INK, grey=GREY, body="\n".join(parts), script=library())
    return page.encode()


def library() -> str:
    """What a page needs once, at its end: Bokeh's script, packed, and the loader of all fragments before it."""
    import bokeh

    script = Path(bokeh.__file__).parent / "server" / "static" / "js" / "bokeh.min.js"
    return f'<script type="text/plain" id="tcpscope-library">{_packed(script.read_bytes())}</script>\n{LOADER}'


def fragment(figure: Figure, name: str, size: tuple[int, int] | None = None, zoom: int = ZOOM) -> str:
    """One figure for a page that ends with `library()`.

    name: an HTML id, different for each of a page.  zoom: how much closer one may look before what was on one
    pixel is missed; the file's size grows with it.
    """
    notes = "".join(f"<p>{html.escape(note)}</p>\n" for note in figure.notes)
    model, thinned = _model(figure, *(size or size_of(figure)), zoom)
    if thinned:
        told = html.escape(", ".join(thinned))
        notes += (
            f"<p>Thinned to what can be told apart {zoom} times enlarged: {told}. Draw a shorter time for all.</p>\n"
        )
    return (
        f"<h1>{html.escape(figure.title)}</h1>\n<p>{html.escape(figure.subtitle)}</p>\n"
        f'<div class="plot" id="{name}"></div>\n<noscript><p>The plot needs JavaScript.</p></noscript>\n{notes}'
        f'<script type="text/plain" id="{name}-data">{_packed(model)}</script>'
    )


def _packed(data: bytes) -> str:
    return base64.b64encode(gzip.compress(data, 9, mtime=0)).decode()


def _model(figure: Figure, wide: int, high: int, zoom: int) -> tuple[bytes, list[str]]:
    """The figure as Bokeh's JSON, and what was thinned."""
    import orjson
    from bokeh.document import Document
    from bokeh.embed import json_item
    from bokeh.layouts import gridplot
    from bokeh.models import Range1d

    view = limits(figure)
    divisor, name = scale(Axis("time since the first packet", "time"), *view)
    shared = Range1d(start=view[0] / divisor, end=view[1] / divisor)
    thinned: list[str] = []
    plots = []
    total = sum(p.weight for p in figure.panels)
    for i, p in enumerate(figure.panels):
        last = i == len(figure.panels) - 1
        tall = int((high - 110) * p.weight / total) + (50 if last else 0)
        canvas = Canvas(view, height(p, view), wide, tall, p.axis.log)
        plot = _plot(p, canvas, divisor, shared, wide, tall)
        plot.xaxis.axis_label = name if last else None
        plots.append(plot)
        for it in p.layers:
            finer = Canvas(canvas.x, canvas.y, wide * zoom, tall * zoom, canvas.log)
            drawn = (
                _letters(it, canvas, zoom) if it.shape == "marks" else it if len(it) <= FEW * zoom else thin(it, finer)
            )
            if len(drawn) < len(it):
                thinned.append(f"{len(it):,} {it.legend or it.text or it.role} as {len(drawn):,}")
            _glyph(plot, drawn, canvas, divisor, scale(p.axis, *canvas.y)[0])
        _legend(plot)
    grid = gridplot(
        [[it] for it in plots], merge_tools=True, sizing_mode="stretch_width", toolbar_options={"logo": None}
    )
    holder = Document()
    holder.add_root(grid)
    return orjson.dumps(json_item(grid), option=orjson.OPT_SERIALIZE_NUMPY), list(dict.fromkeys(thinned))


def _letters(it: Layer, canvas: Canvas, closest: int) -> Layer:
    """As many letters as do not make the browser slow; their elements are there all the same."""
    for zoom in (closest, 2, 1):
        if len(it) > LETTERS:
            it = thin(it, Canvas(canvas.x, canvas.y, canvas.width * zoom, canvas.height * zoom, canvas.log))
    return it


def _plot(p: Panel, canvas: Canvas, divisor: float, shared: Any, wide: int, tall: int) -> Any:
    from bokeh.models import BoxZoomTool, PanTool, Range1d, ResetTool, SaveTool, WheelZoomTool
    from bokeh.plotting import figure as new

    by, name = scale(p.axis, *canvas.y)
    rows = p.axis.unit == "row"
    start, end = (value / by for value in (canvas.y[::-1] if rows else canvas.y))  # the first row on top
    wheel = WheelZoomTool(dimensions="width" if rows else "both")
    plot = new(
        width=wide, height=max(tall, 120), x_range=shared, y_range=Range1d(start=start, end=end),
        y_axis_type="log" if p.axis.log else "linear", y_axis_label=name,
        tools=[PanTool(), BoxZoomTool(), wheel, ResetTool(), SaveTool()], sizing_mode="stretch_width",
        background_fill_color="white", lod_threshold=30000,
    )  # fmt: skip
    plot.toolbar.active_scroll = wheel
    plot.grid.grid_line_color = GRID
    plot.outline_line_color = None
    for axis in plot.axis:
        axis.axis_label_text_font_style = "normal"
        axis.axis_label_text_color = INK
    if rows:
        step = max(-(-len(p.axis.labels) * 12 // max(tall, 1)), 1)
        plot.yaxis.ticker = list(range(0, len(p.axis.labels), step))
        plot.yaxis.major_label_overrides = dict(enumerate(p.axis.labels))
        plot.ygrid.visible = False
    elif p.axis.unit == "count":
        from bokeh.models import BasicTicker, NumeralTickFormatter

        plot.yaxis.ticker = BasicTicker(min_interval=1, num_minor_ticks=0)
        plot.yaxis.formatter = NumeralTickFormatter(format="0,0")
    else:
        from bokeh.models import BasicTickFormatter

        plot.yaxis.formatter = BasicTickFormatter(use_scientific=False)
    from bokeh.models import BasicTickFormatter

    plot.xaxis.formatter = BasicTickFormatter(use_scientific=False, precision="auto")
    return plot


def _glyph(plot: Any, it: Layer, canvas: Canvas, divisor: float, by: float) -> None:
    """One layer: its glyph, its place in the legend, what pointing at it tells."""
    from bokeh.models import ColumnDataSource

    if not len(it):
        return
    style = ROLES[it.role]
    data: dict[str, Any] = {"x": it.x / divisor}
    for column, values, unit in (("y", it.y, by), ("x2", it.x2, divisor), ("y2", it.y2, by)):
        if values is not None:
            data[column] = values.astype(float) / unit
    quiet = it.shape in ("area", "bands", "marks") or it.role == "ack tick"  # not worth pointing at
    if it.frames is not None and not quiet:
        data["frame"] = it.frames.astype(numpy.int32)
    if it.said is not None and not quiet:
        data["said"] = it.said.astype(numpy.int32)
    if it.shape == "marks":
        data["text"] = list(it.text) if isinstance(it.text, tuple) else [it.text] * len(it)
    source = ColumnDataSource(data)
    line = {"line_color": style.colour, "line_width": style.width, "line_dash": DASHES[style.dash]}
    surface = {"fill_color": style.colour, "fill_alpha": style.alpha, "line_color": None}
    more: dict[str, Any] = {"source": source} | ({"legend_label": it.legend} if it.legend else {})
    if it.shape == "line":
        drawn = plot.line("x", "y", **line, **more)
    elif it.shape == "step":
        drawn = plot.step("x", "y", mode="after", **line, **more)
    elif it.shape == "points":
        angle = {"|": 1.5708, ">": -1.5708}.get(style.marker, 0.0)
        hollow = style.marker == "D"
        drawn = plot.scatter(
            "x", "y", marker=MARKERS[style.marker], size=style.size * 1.6, angle=angle, line_color=style.colour,
            fill_color="white" if hollow else style.colour, line_width=1.2 if style.marker in "x|_D" else 0, **more,
        )  # fmt: skip
    elif it.shape == "bars":
        drawn = plot.segment("x", "y", "x", "y2", line_cap="square", **line, **more)
    elif it.shape == "marks":
        plot.text(
            "x", "y", text="text", source=source, text_color=style.colour, text_font_size="11px", text_align="center",
            text_font_style="bold", text_baseline="top" if style.below else "bottom", y_offset=3 if style.below else -3,
        )  # fmt: skip
        return
    elif it.shape == "bands":
        drawn = plot.vstrip("x", "x2", level="underlay", **surface, **more)
    elif it.shape == "boxes":
        drawn = plot.quad("x", "x2", "y2", "y", **surface, **more)
    else:
        drawn = plot.varea_step(
            "x", "y", "y2", step_mode="after", fill_color=style.colour, fill_alpha=style.alpha, **more
        )
        x, low, high = slivers(it, canvas)
        if len(x):
            lines = ColumnDataSource({"x": x / divisor, "y": low / by, "y2": high / by})
            thread = plot.segment("x", "y", "x", "y2", source=lines, line_color=style.colour)
            drawn.js_link("visible", thread, "visible")  # a click on its legend hides both
    if not quiet:
        _pointing(plot, drawn, it, data, divisor)


def _pointing(plot: Any, drawn: Any, it: Layer, data: dict[str, Any], divisor: float) -> None:
    """A tooltip: frame, time, value, annotations."""
    from bokeh.models import CustomJSHover, HoverTool

    time = CustomJSHover(args={"by": divisor}, code="return (value * by).toFixed(6) + ' s'")
    lines = [("", it.legend or it.role), ("time", "@x{custom}")]
    formatters: dict[str, Any] = {"@x": time}
    if "frame" in data:
        lines.insert(1, ("frame", "@frame"))
    if "said" in data and not it.words:
        lines.append(("count", "@said"))
    elif "said" in data:
        words = CustomJSHover(args={"words": list(it.words)}, code="return words[value] || ''")
        formatters["@said"] = words
        lines.append(("", "@said{custom}"))
    name = plot.yaxis[0].axis_label or ""
    if it.shape in ("line", "step", "points"):
        lines.append((name, "@y{0,0.[000000]}"))
    elif it.shape == "bars":
        lines += [(f"from, {name}", "@y{0,0.[000000]}"), ("to", "@y2{0,0.[000000]}")]
    plot.add_tools(
        HoverTool(renderers=[drawn], tooltips=lines, formatters=formatters, visible=False,
                  line_policy="prev" if it.shape == "step" else "nearest")
    )  # fmt: skip


def _legend(plot: Any) -> None:
    """Above the plot, never over the data; a click hides an entry."""
    if not plot.legend:
        return
    legend = plot.legend[0]
    plot.add_layout(legend, "above")
    legend.orientation, legend.location = "horizontal", "bottom_left"
    legend.ncols = "auto" if len(legend.items) <= 6 else 6
    legend.click_policy = "hide"
    legend.border_line_color = None
    legend.label_text_font_size = "12px"
    legend.padding = 2
    legend.spacing = 8
