"""A bar a connection, from its first packet to its end, in the colours of its phases."""

from __future__ import annotations

from typing import Any

import numpy

from tcpscope.replay.layout import CLOSE_KINDS, EVENT, SENT_AGAIN, STATES
from tcpscope.report.plots.model import Axis, Figure, layer, panel
from tcpscope.report.plots.trace import endpoint
from tcpscope.report.plots.whole import Whole
from tcpscope.wire.layout import frame_at

MOST = 200  # bars that can be told apart
NAMED = 40  # bars that have room for the addresses
PHASES = (("opening", "handshake"), ("open", "established"), ("closing", "closing"), ("resting", "TIME_WAIT"))
CLOSING = ("FIN_WAIT_1", "FIN_WAIT_2", "CLOSE_WAIT", "CLOSING", "LAST_ACK")
THICK = 0.78  # of a row
NEVER = numpy.iinfo(numpy.int64).max


def chosen(w: Whole) -> tuple[Any, str]:
    """Indices of the connections to show, in order of their start, and how they were chosen."""
    records = w.records
    if len(records) <= MOST:
        return numpy.arange(len(records)), ""
    again = sum(records[name] for name in SENT_AGAIN)
    bad = again + 3 * (records["close_kind"] != CLOSE_KINDS.index("fin"))
    order = numpy.lexsort((numpy.arange(len(records)), -bad))[:MOST]
    return numpy.sort(order), (
        f"{MOST} of {len(records):,} connections: those with most retransmissions or without a proper close, "
        "then the first."
    )


def _first(events: Any, which: Any, numbers: Any, pick: Any = numpy.minimum) -> Any:
    """For each connection the first (or last) time of the events that `which` names, NEVER without one."""
    found = numpy.full(len(numbers), NEVER if pick is numpy.minimum else -1, numpy.int64)
    pick.at(found, numpy.searchsorted(numbers, events["connection"][which]), events["time_ns"][which])
    found[found < 0] = NEVER
    return found


def waterfall(w: Whole) -> Figure:
    """Bars by phase; a cross where a connection was reset or refused, an arrow where it was left open."""
    at, how = chosen(w)
    records = w.records[at]
    numbers = records["connection"]
    events = numpy.frombuffer(w.events, EVENT.dtype())
    events = events[numpy.isin(events["connection"], numbers)]
    new = events["new"]

    def into(*words: str) -> Any:
        return numpy.isin(new, [STATES.index(word) for word in words])

    start, end = records["start_ns"], records["end_ns"]
    opened = _first(events, into("ESTABLISHED"), numbers, numpy.maximum)
    unopened = records["client_syn_packets"] + records["server_syn_packets"] == 0  # began before the capture
    opened = numpy.where(unopened, start, opened)
    closing = _first(events, into(*CLOSING), numbers)
    resting = _first(events, into("TIME_WAIT"), numbers, numpy.maximum)
    rested = events["old"] == STATES.index("TIME_WAIT")
    over = _first(events, rested & into("CLOSED"), numbers, numpy.maximum)
    rests = resting != NEVER
    capture_end = int(w.records["end_ns"].max())
    done = numpy.where(rests, numpy.where((over == NEVER) | (over < resting), capture_end, over), end)
    done = numpy.maximum(done, end)
    edges = [
        start,
        numpy.minimum(opened, done),
        numpy.minimum(closing, done),
        numpy.minimum(numpy.where(rests, resting, NEVER), done),
        done,
    ]
    edges = list(numpy.maximum.accumulate(numpy.array(edges), axis=0))
    row = numpy.arange(len(records), dtype=float)
    layers = []
    for (role, legend), begin, finish in zip(PHASES, edges[:-1], edges[1:], strict=True):
        there = finish > begin
        layers.append(
            layer(
                "boxes",
                role,
                legend,
                w.seconds(begin[there]),
                row[there] - THICK / 2,
                x2=w.seconds(finish[there]),
                y2=row[there] + THICK / 2,
                frames=frame_at(records["first_frame"][there]),
                said=row[there].astype(int),
                words=_words(records),
            )
        )
    kinds = numpy.array(CLOSE_KINDS)[records["close_kind"]]
    broken = numpy.isin(kinds, ("reset", "refused", "unreachable"))
    left = numpy.isin(kinds, ("open", "half_closed", "half_open", "unanswered", "timeout"))
    for mask, role, legend in ((broken, "refused", "reset, refused, unreachable"), (left, "still open", "no end seen")):
        layers.append(
            layer(
                "points",
                role,
                legend,
                w.seconds(end[mask]),
                row[mask],
                frames=frame_at(records["last_frame"][mask]),
                said=row[mask].astype(int),
                words=_words(records),
            )
        )
    named = len(records) <= NAMED
    labels = tuple(
        f"{r['connection']}: {endpoint(r, 'client')} → {endpoint(r, 'server')}" if named else str(r["connection"])
        for r in records
    )
    notes = [
        "From the first packet to the last; TIME_WAIT until 2 MSL have passed or the capture ends.",
        *([how] if how else []),
    ]
    axis = Axis("connection", "row", least=-0.7, most=max(len(records), 4) - 0.3, labels=labels)
    return Figure(
        "waterfall",
        f"Connections, {w.title}",
        w.subtitle,
        (panel(axis, layers),),
        tuple(notes),
        w.start_ns,
        name=w.name,
    )


def _words(records: Any) -> tuple[str, ...]:
    return tuple(
        f"connection {r['connection']}, {endpoint(r, 'client')} → {endpoint(r, 'server')}, "
        f"{CLOSE_KINDS[r['close_kind']].replace('_', ' ')}"
        for r in records
    )
