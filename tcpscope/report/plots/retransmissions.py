"""Repeated packets of all connections over time, by cause."""

from __future__ import annotations

import numpy

from tcpscope.report.plots.model import Axis, Figure, layer, panel
from tcpscope.report.plots.throughput import nice
from tcpscope.report.plots.trace import has
from tcpscope.report.plots.whole import Whole
from tcpscope.report.text import span

BINS = 100
CAUSES = (
    ("fast", "fast retransmission", ("fast_retransmission",)),
    ("timer ran out", "time-out", ("timeout_retransmission",)),
    ("rto recovery", "after a time-out", ("rto_recovery",)),
    ("probe of the tail", "tail loss probe", ("tail_loss_probe",)),
    ("syn again", "SYN, SYN-ACK", ("syn_retransmission", "syn_ack_retransmission")),
)  # from the bottom; a packet counts once, under the first that it has


def retransmissions(w: Whole) -> Figure:
    """Stacked counts by cause in bins of a round width, and how many were needless."""
    time = w.seconds(w.repeated["time_ns"])
    marks = w.repeated["annotations"]
    wide = nice(max(w.end, 1e-3) / BINS, (1, 2, 5))
    edges = wide * numpy.arange(int(w.end / wide) + 2)
    base = numpy.zeros(len(edges) - 1)
    left = numpy.ones(len(time), bool)
    layers = []
    told = []
    for role, legend, words in (*CAUSES, ("other", "other (FIN, cause not known)", ())):
        mine = left & has(marks, *words) if words else left
        left = left & ~mine
        found = numpy.histogram(time[mine], edges)[0]
        some = found > 0
        layers.append(
            layer(
                "boxes",
                role,
                legend,
                edges[:-1][some],
                base[some],
                x2=edges[1:][some],
                y2=(base + found)[some],
                said=found[some],
                words=(),
            )
        )
        base = base + found
        if mine.any():
            told.append(f"{int(mine.sum()):,} {legend}")
    needless = numpy.histogram(time[has(marks, "spurious_retransmission")], edges)[0]
    some = needless > 0
    layers.append(layer("points", "needless", "of these needless", edges[:-1][some] + wide / 2, needless[some]))
    notes = [f"Packets in each {span(wide)}, all connections, both directions. " + "; ".join(told) + "."]
    if some.any():
        notes.append(f"{int(needless.sum()):,} were needless: what they carried had arrived.")
    return Figure(
        "retransmissions",
        f"Retransmissions, {w.title}",
        w.subtitle,
        (panel(Axis(f"packets in {span(wide)}", "count", least=0.0), layers),),
        tuple(notes),
        w.start_ns,
        (0.0, max(w.end, wide)),
        name=w.name,
    )
