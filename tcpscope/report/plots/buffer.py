"""What lay in the receiver's buffer, and how fast its program read: both from the window it advertised.

The right edge of the window is where the buffer ends: what the program has read, plus the buffer's size.  So
what has arrived and is not yet read is the size, less the room from the data's end to that edge.  The size
itself is not on the wire: the largest window so far stands for it.
"""

from __future__ import annotations

import numpy

from tcpscope.report.plots.model import Axis, Figure, layer, panel
from tcpscope.report.plots.sequence import NO_SCALE
from tcpscope.report.plots.throughput import STEPS, nice, trip
from tcpscope.report.plots.trace import Trace, as_seen_by
from tcpscope.report.text import size, span
from tcpscope.wire.layout import FIN, SYN


def buffer(t: Trace) -> Figure:
    """Occupancy of the receiver's buffer, its size, and the rates of arrival and reading."""
    t, moved = as_seen_by(t, 1 - t.side)
    at, windows = t.window
    layers, rates, notes = [], [], []
    if len(at):
        occupied, capacity = occupancy(t)
        known = slice(int(at[0]), None)
        whole = numpy.arange(len(t.packets))[known]
        layers = [
            layer(
                "area",
                "used",
                "in the buffer (estimate)",
                t.time[known],
                numpy.zeros(len(whole)),
                y2=occupied[known],
                **t.about(whole),
            ),
            layer("step", "flight", "", t.time[known], occupied[known], **t.about(whole)),
            layer("step", "capacity", "largest window so far", t.time[known], capacity[known]),
        ]
        notes = [
            "Estimates: in the buffer = largest window so far - room left in the window beyond the data "
            "that came; a hole counts as filled. Read = how far the window's right edge moved.",
            moved or f"The capture was taken {t.point}.",
            f"Largest window {size(float(windows.max()))}; most in the buffer {size(float(occupied[known].max()))}.",
        ]
        read = consumed(t)
        first, last = float(t.time[at[0]]), float(t.time.max())
        wide = nice(max(trip(t), (last - first) / STEPS, 1e-6))
        edges = first + wide * numpy.arange(int((last - first) / wide) + 2)
        got = numpy.maximum.accumulate(_data_end(t))
        for role, legend, level in (("arrived", "arrived", got), ("read", "read by the program (estimate)", read)):
            # from the first window on: what was read before is not known
            values = level[known].astype(float)
            there = numpy.searchsorted(t.time[known], edges, side="right") - 1
            steps = numpy.diff(values[numpy.maximum(there, 0)]) / wide
            rates.append(layer("step", role, f"{legend} (over {span(wide)})", edges, numpy.append(steps, 0)))
        if not t.scale_known:
            notes.append(NO_SCALE)
    return Figure(
        "buffer",
        f"Buffer of the {t.peer}, {t.title}",
        t.subtitle,
        (panel(Axis("buffer", "bytes", least=0.0), layers, 1.6), panel(Axis("rate", "rate", least=0.0), rates)),
        tuple(notes),
        t.start_ns,
        name=t.name,
    )


def _data_end(t: Trace) -> numpy.ndarray:
    """After every packet, where the data seen end: a FIN is acknowledged, but takes no room."""
    flags = t.packets["flags"]
    sent = t.mine & ~t.reset & ~t.reminders & ~t.said("bad_checksum")
    ends = numpy.where(sent, t.end - ((flags & FIN) != 0), 0)
    found: numpy.ndarray = numpy.maximum(numpy.maximum.accumulate(ends), t.acked_up_to)
    return found


def _edges(t: Trace) -> tuple[numpy.ndarray, numpy.ndarray]:
    """After every packet, the window's right edge and the largest window so far."""
    at, windows = t.window
    edge, most = numpy.zeros(len(t.packets), numpy.int64), numpy.zeros(len(t.packets), numpy.int64)
    edge[at] = t.position[at] + windows
    # where both sides scale, a SYN's window says little of the buffer: it cannot exceed 65,535
    scaled = t.theirs("window_scale") > 0 and t.own("window_scale") >= 0
    most[at] = numpy.where((t.packets["flags"][at] & SYN != 0) & scaled, 0, windows)
    return numpy.maximum.accumulate(edge), numpy.maximum.accumulate(most)


def occupancy(t: Trace) -> tuple[numpy.ndarray, numpy.ndarray]:
    """Bytes in the buffer and its size, after every packet; meaningless before the first window."""
    edge, most = _edges(t)
    most = numpy.where(most > 0, most, edge)
    room = numpy.clip(edge - _data_end(t), 0, most)
    return most - room, most


def consumed(t: Trace) -> numpy.ndarray:
    """Position up to which the program has read, after every packet: it never goes back."""
    occupied, _ = occupancy(t)
    at, _ = t.window
    # only a window tells: between two of them arrivals fill the buffer and nothing is known of reading
    level = numpy.zeros(len(t.packets), numpy.int64)
    level[at] = (_data_end(t) - occupied)[at]
    found: numpy.ndarray = numpy.maximum.accumulate(level)
    return found
