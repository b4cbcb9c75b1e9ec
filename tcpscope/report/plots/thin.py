"""Fewer elements, the same picture: what falls on one pixel is drawn once, and no spike is lost."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy

from tcpscope.report.plots.model import Layer

FEW = 1500  # elements that are drawn as they are
GLYPH = (9.0, 10.0)  # pixels that a letter needs


@dataclass(frozen=True)
class Canvas:
    """The rectangle of data that is shown, and its pixels; `log`: y is in decades."""

    x: tuple[float, float]
    y: tuple[float, float]
    width: float
    height: float
    log: bool = False

    def column(self, x: Any) -> Any:
        """Pixels from the left."""
        return (numpy.asarray(x, dtype=float) - self.x[0]) * (self.width / (self.x[1] - self.x[0]))

    def row(self, y: Any) -> Any:
        """Pixels from the bottom."""
        low, high = self.y
        values = numpy.asarray(y, dtype=float)
        if self.log:
            values = numpy.log10(numpy.maximum(values, low * 1e-3))
            low, high = numpy.log10(low), numpy.log10(high)
        return (values - low) * (self.height / (high - low))


def thin(layer: Layer, canvas: Canvas, few: int = FEW) -> Layer:
    """The layer with as few elements as show the same on this canvas; itself if there are `few` or less."""
    if layer.shape == "marks" or layer.role == "push":
        return _letters(layer, canvas)
    if len(layer) <= few:
        return layer
    if layer.shape == "bands":
        return layer.pick(_firsts(canvas.column(layer.x), numpy.zeros(len(layer))))
    if layer.shape in ("line", "step"):
        return layer.pick(_extremes(canvas.column(layer.x), layer.y))
    if layer.shape == "area" and not numpy.any(layer.y):
        return layer.pick(_extremes(canvas.column(layer.x), layer.y2))
    if layer.shape == "points":
        return layer.pick(_firsts(canvas.column(layer.x), canvas.row(layer.y)))
    if layer.shape == "bars":
        return _merged(layer, canvas)
    return layer


def _extremes(column: Any, y: Any) -> Any:
    """Of each column of pixels the first, the lowest, the highest and the last element; gaps (NaN) stay."""
    cell = numpy.floor(column).astype(numpy.int64)
    places = numpy.arange(len(cell))
    known = places[~numpy.isnan(y.astype(float))]
    by_value = known[numpy.lexsort((y[known], cell[known]))]
    edge = numpy.flatnonzero(numpy.diff(cell[by_value])) + 1
    lowest = by_value[numpy.r_[0, edge]]
    highest = by_value[numpy.r_[edge - 1, len(by_value) - 1]]
    turn = numpy.flatnonzero(numpy.diff(cell)) + 1
    return numpy.unique(numpy.r_[lowest, highest, 0, turn, turn - 1, len(cell) - 1, numpy.setdiff1d(places, known)])


def _firsts(column: Any, row: Any) -> Any:
    """Of each pixel the first element, in the elements' order."""
    cell = numpy.floor(column).astype(numpy.int64) << 32 | (numpy.floor(row).astype(numpy.int64) & 0xFFFFFFFF)
    return numpy.sort(numpy.unique(cell, return_index=True)[1])


def _merged(layer: Layer, canvas: Canvas) -> Layer:
    """Bars of one column of pixels that touch become one bar; it keeps the frame of the lowest."""
    assert layer.y is not None and layer.y2 is not None
    cell = numpy.floor(canvas.column(layer.x)).astype(numpy.int64)
    order = numpy.lexsort((layer.y, cell))
    cell = cell[order]
    low, high = layer.y[order].astype(float), layer.y2[order].astype(float)
    slack = (canvas.y[1] - canvas.y[0]) / canvas.height / 2
    # the highest end so far within the column: columns are lifted above each other
    lift = (cell - cell[0]) * (2 * (high.max() - low.min()) + 1)
    reach = numpy.maximum.accumulate(high + lift)
    new = numpy.r_[True, low[1:] + lift[1:] > reach[:-1] + slack]
    starts = numpy.flatnonzero(new)
    found = layer.pick(order[starts])
    return replace(found, y=low[starts], y2=numpy.maximum.reduceat(high, starts))


def _letters(layer: Layer, canvas: Canvas) -> Layer:
    """Letters that would lie on each other are written once."""
    if len(layer) < 2:
        return layer
    longest = max(map(len, layer.text)) if isinstance(layer.text, tuple) else len(layer.text)
    cell_x = numpy.floor(canvas.column(layer.x) / (GLYPH[0] * max(longest * 0.7, 1)))
    cell_y = numpy.floor(canvas.row(layer.y) / GLYPH[1])
    return layer.pick(_firsts(cell_x, cell_y))


def unchanging(layer: Layer) -> Layer:
    """A step or an area without the points at which nothing changes."""
    if layer.shape not in ("step", "area") or len(layer) < 3:
        return layer
    keep = numpy.zeros(len(layer), bool)
    keep[[0, -1]] = True
    for values in (layer.y, layer.y2):
        if values is not None:
            keep[1:] |= values[1:] != values[:-1]
    return layer.pick(keep)


def slivers(layer: Layer, canvas: Canvas) -> tuple[Any, Any, Any]:
    """Where an area stands for less than a pixel's width, and would not be seen: times, lows and highs of lines."""
    assert layer.y is not None and layer.y2 is not None
    there = numpy.r_[False, layer.y2[:-1] > layer.y[:-1], False]
    begin, end = numpy.flatnonzero(~there[:-1] & there[1:]), numpy.flatnonzero(there[:-1] & ~there[1:])
    x = canvas.column(layer.x)
    narrow = x[end] - x[begin] < 1
    begin, end = begin[narrow], end[narrow]
    if not len(begin):
        return begin, begin, begin
    runs = numpy.column_stack([begin, end]).ravel()  # of every second the highest, from `begin` on and before `end`
    high = numpy.maximum.reduceat(numpy.r_[layer.y2, 0.0], runs)[::2]
    return layer.x[begin], layer.y[begin], high
