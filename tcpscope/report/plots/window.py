"""What held the sender back: the receiver's window, data in flight, the congestion window as far as it shows."""

from __future__ import annotations

from typing import Any

import numpy

from tcpscope.report.plots.flight import PHASES, Rounds, in_flight, phases, rounds
from tcpscope.report.plots.model import Axis, Figure, Layer, layer, panel
from tcpscope.report.plots.sequence import NO_SCALE
from tcpscope.report.plots.trace import Trace, as_seen_by
from tcpscope.report.text import size
from tcpscope.wire.layout import SYN

STEPS = 400  # of the estimate
ABOVE = 4.0  # times the largest flight: a window further up is left out, and told in a note

IN_FLIGHT = (
    "In flight: sent and not acknowledged, less what SACK reported; lost segments count until they are acknowledged. "
    "The capture was taken {point}."
)


def window(t: Trace) -> Figure:
    """Advertised window, in flight, estimated congestion window with its phases."""
    t, moved = as_seen_by(t, t.side)
    flight = in_flight(t)
    trips = rounds(t, flight)
    spells = phases(t, flight, trips)
    bands = []
    for phase in PHASES:
        mine = [it for it in spells if it.phase == phase]
        legend = {"avoidance": "congestion avoidance", "window-limited": "limited by the window"}.get(phase, phase)
        bands.append(layer("bands", phase, legend, [it.start for it in mine], x2=[it.end for it in mine]))
    own = [_flight_line(t, flight), _estimate(t, trips)]
    offered, notes, top = _offered(t, flight)
    notes = [
        IN_FLIGHT.format(point=t.point),
        *filter(None, [moved]),
        "Estimates: the congestion window is never on the wire; shown is the largest flight of each round trip, which "
        "it was at least. The phases follow from how that grows and from the repairs; white: nothing to send.",
        *notes,
    ]
    return Figure(
        "window",
        f"Windows of the {t.role}'s data, {t.title}",
        t.subtitle,
        (panel(Axis("window", "bytes", 0.0, top), [*bands, *offered, *own]),),
        tuple(notes),
        t.start_ns,
        name=t.name,
    )


def inflight(t: Trace) -> Figure:
    """Data in flight and the window that limits it."""
    t, moved = as_seen_by(t, t.side)
    flight = in_flight(t)
    offered, notes, top = _offered(t, flight)
    full = numpy.flatnonzero(t.mine & t.said("window_full"))
    layers = [
        *offered,
        _flight_line(t, flight),
        layer("points", "full", "window full", t.time[full], flight[full], **t.about(full)),
    ]
    notes = [IN_FLIGHT.format(point=t.point), *filter(None, [moved]), *notes]
    return Figure(
        "inflight",
        f"In flight from the {t.role}, {t.title}",
        t.subtitle,
        (panel(Axis("bytes in flight", "bytes", 0.0, top), layers),),
        tuple(notes),
        t.start_ns,
        name=t.name,
    )


def _flight_line(t: Trace, flight: Any) -> Layer:
    at = numpy.arange(len(flight))
    return layer("step", "flight", "in flight", t.time, flight, **t.about(at))


def _estimate(t: Trace, trips: Rounds) -> Layer:
    """The largest flight of each round, or of several where they are too short to be told apart."""
    if not len(trips.starts):
        return layer("step", "estimate", "", [], [])
    at, most = trips.starts, trips.most
    wide = (t.time[trips.end] - t.time[at[0]]) / STEPS
    if len(at) > STEPS and wide > 0:
        cell = ((t.time[at] - t.time[at[0]]) / wide).astype(int)
        first = numpy.flatnonzero(numpy.r_[True, numpy.diff(cell) != 0])
        at, most = at[first], numpy.maximum.reduceat(most, first)
    x, y = numpy.append(t.time[at], t.time[trips.end]), numpy.append(most, most[-1])
    frames = t.packets["frame"][numpy.append(at, at[-1])]
    return layer("step", "estimate", "congestion window, at least (estimate)", x, y, frames=frames)


def _offered(t: Trace, flight: Any) -> tuple[list[Layer], list[str], float | None]:
    """The advertised window, unless all of it lies far above the data; what must be said of it; where the axis ends."""
    at, windows = t.window
    if not len(at):
        return [], ["The receiver's packets are not in the capture: its window is not known."], None
    notes: list[str] = []
    role, legend = "limit", "advertised window"
    if not t.scale_known:
        role, legend, notes = "unscaled", "advertised window, scale unknown", [NO_SCALE]
    later = t.packets["flags"][at] & SYN == 0
    least = int(windows[later].min()) if later.any() else int(windows.min())
    most, data = int(windows.max()), int(flight.max()) if len(flight) else 0
    top = None
    if most > ABOVE * data > 0:
        top = 1.25 * data
        where = "lies above the axis: it limited nothing" if least > top else "reaches above the axis"
        notes.append(f"The advertised window ({size(least)} to {size(most)}) {where}.")
    x, y = numpy.append(t.time[at], t.time[-1]), numpy.append(windows, windows[-1])
    step = layer("step", role, legend, x, y, **t.about(numpy.append(at, at[-1])))
    return [] if top is not None and least > top else [step], notes, top
