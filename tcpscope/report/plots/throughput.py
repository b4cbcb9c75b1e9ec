"""How fast: all payload sent, what of it was new, and the average so far."""

from __future__ import annotations

import numpy

from tcpscope.report.plots.model import Axis, Figure, layer, panel
from tcpscope.report.plots.trace import Trace
from tcpscope.report.text import size, span

STEPS = 200  # at most so many averages over the whole time
NICE = (1, 1.5, 2, 2.5, 3, 4, 5, 6, 8)


def nice(least: float, steps: tuple[float, ...] = NICE) -> float:
    """The smallest of `steps` times a power of ten that is not below `least`."""
    ten: float = 10.0 ** numpy.floor(numpy.log10(least))
    return float(next(it * ten for it in (*steps, 10) if it * ten >= least * (1 - 1e-9)))


def trip(t: Trace) -> float:
    """A round trip that is usual for the connection, seconds; 0: none was measured."""
    known = [int(t.own("rtt_p50_ns")), int(t.record["initial_rtt_ns"])]
    return next((it / 1e9 for it in known if it > 0), 0.0)


def throughput(t: Trace) -> Figure:
    """Averages over windows of a round trip, or of a two-hundredth of the time where that is longer."""
    at = numpy.flatnonzero(
        t.mine & (t.packets["length"] > 0) & ~t.said("duplicate_capture", "network_duplicate", "keep_alive")
    )
    time, sent, new = t.time[at], t.packets["length"][at].astype(float), t.first_times[at].astype(float)
    layers = []
    notes = []
    if len(at):
        first, last = float(time.min()), float(time.max())
        wide = nice(max(trip(t), (last - first) / STEPS, 1e-6))
        edges = first + wide * numpy.arange(int((last - first) / wide) + 2)
        rates = [numpy.histogram(time, edges, weights=it)[0] / wide for it in (sent, new)]
        order = numpy.argsort(time, kind="stable")
        so_far = numpy.cumsum(new[order])
        passed = numpy.maximum(edges[1:] - first, wide)
        running = numpy.r_[0, so_far][numpy.searchsorted(time[order], edges[1:])] / passed
        layers = [
            layer(
                "step", "rate", f"throughput, all that was sent (over {span(wide)})", edges, numpy.append(rates[0], 0)
            ),
            layer(
                "step", "useful", f"goodput, without repetitions (over {span(wide)})", edges, numpy.append(rates[1], 0)
            ),
            layer("line", "average", "goodput, average so far", edges[1:], running),
        ]
        whole = max(float(time.max()) - first, 1e-9)
        notes = [
            f"Payload at the capture point ({t.point}), from the first data on; averages over {span(wide)}. "
            f"{size(new.sum())} new, {size((sent - new).sum())} repeated"
            + (
                f", {span(whole)}: {size(new.sum() / whole)}/s, {8 * new.sum() / whole / 1e6:.3g} Mbit/s."
                if len(at) > 1
                else "."
            )
        ]
    return Figure(
        "throughput",
        f"Throughput of the {t.role}'s data, {t.title}",
        t.subtitle,
        (panel(Axis("payload", "rate", least=0.0), layers),),
        tuple(notes),
        t.start_ns,
        name=t.name,
    )
