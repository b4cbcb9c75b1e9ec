"""How many endpoints were in which state, over time."""

from __future__ import annotations

from typing import Any

import numpy

from tcpscope.replay.layout import EVENT, STATES
from tcpscope.report.plots.model import Axis, Figure, layer, panel
from tcpscope.report.plots.whole import Whole

SHOWN = ("ESTABLISHED", "SYN_SENT", "SYN_RECEIVED", "FIN_WAIT_1", "FIN_WAIT_2", "CLOSE_WAIT", "CLOSING", "LAST_ACK",
         "TIME_WAIT", "UNKNOWN")  # fmt: skip  # from the bottom; CLOSED and LISTEN are no connections
ABSENT = tuple(STATES.index(name) for name in ("CLOSED", "LISTEN"))
GRID = 2000  # instants, of which each has its own counts; between them the moment of the highest total stands
NOTE = (
    "Every connection has two endpoints, each with its own state (RFC 9293, 3.3.2); CLOSED and LISTEN are not "
    "counted. A state lasts until the capture shows its end, TIME_WAIT 2 MSL."
)


def counts(w: Whole) -> tuple[Any, Any]:
    """Times, ascending, and how many endpoints are in each state from then on: an array (times, states)."""
    events = numpy.frombuffer(w.events, EVENT.dtype())
    events = events[numpy.argsort(events["time_ns"], kind="stable")]
    key = events["connection"].astype(numpy.int64) * 2 + events["endpoint"]
    first = numpy.zeros(len(events), bool)
    first[numpy.unique(key, return_index=True)[1]] = True
    was = ~numpy.isin(events["old"], ABSENT) & first & (events["old"] != STATES.index("UNKNOWN"))
    # an endpoint whose first event leaves a state was in it when its connection began
    starts = w.starts(events["connection"][was])
    time = numpy.concatenate([starts, events["time_ns"], events["time_ns"]])
    state = numpy.concatenate([events["old"][was], events["new"], events["old"]])
    change = numpy.concatenate([numpy.ones(was.sum()), numpy.ones(len(events)), -numpy.ones(len(events))])
    leaves_nothing = numpy.concatenate([numpy.zeros(was.sum() + len(events), bool), first & ~was])
    keep = ~numpy.isin(state, ABSENT) & ~leaves_nothing
    time, state, change = time[keep], state[keep], change[keep]
    instants, place = numpy.unique(time, return_inverse=True)
    table = numpy.zeros((len(instants), len(STATES)))
    numpy.add.at(table, (place, state), change)
    return w.seconds(instants), numpy.cumsum(table, axis=0)


def states(w: Whole) -> Figure:
    """Stacked counts of endpoints by state."""
    time, table = counts(w)
    notes = [NOTE]
    if len(time) > GRID:
        kept = _moments(time, table.sum(axis=1))
        notes.append(f"{len(time):,} changes drawn at {len(kept):,} moments, the highest and the last of each stretch.")
        time, table = time[kept], table[kept]
    end = max(w.end, float(time[-1]) if len(time) else 0.0)
    time = numpy.append(time, end)
    base = numpy.zeros(len(time))
    layers = []
    for name in SHOWN:
        column = table[:, STATES.index(name)]
        if not column.any():
            continue
        top = base + numpy.append(column, column[-1])
        layers.append(layer("area", name, name, time, base, y2=top))
        base = top
    return Figure(
        "states",
        f"Endpoints by state, {w.title}",
        w.subtitle,
        (panel(Axis("endpoints", "count", least=0.0), layers),),
        tuple(notes),
        w.start_ns,
        name=w.name,
    )


def _moments(time: Any, total: Any) -> Any:
    cell = ((time - time[0]) * (GRID / max(time[-1] - time[0], 1e-9))).astype(int)
    order = numpy.lexsort((total, cell))
    last = numpy.r_[numpy.diff(cell) != 0, True]
    return numpy.unique(numpy.r_[0, order[last], numpy.flatnonzero(last)])
