"""Round trips: the samples, RFC 6298's estimate and timer made of them, and the time-outs that came."""

from __future__ import annotations

from itertools import accumulate
from typing import Any

import numpy

from tcpscope.report.plots.model import Axis, Figure, Layer, layer, panel
from tcpscope.report.plots.trace import LEAST_SHIFT, Trace, reach
from tcpscope.report.text import span
from tcpscope.wire.layout import SYN

GRANULARITY = 0.001  # seconds; RFC 6298's G
LEAST, MOST = 1.0, 60.0  # seconds; RFC 6298, 2.4 and 2.5, as in the table of connections
LINUX_LEAST = 0.2  # seconds; Linux: RTTVAR's share of the timer is at least so much
SPREAD = 6  # times the smallest value: from there on the axis is in decades


def estimates(samples: Any) -> tuple[Any, Any]:
    """SRTT and RTTVAR after each sample (RFC 6298, 2.2 and 2.3), in the samples' unit."""
    values = samples.tolist()
    smooth = list(accumulate(values, lambda srtt, sample: srtt + (sample - srtt) / 8))
    off = [values[0] / 2, *(abs(srtt - sample) for srtt, sample in zip(smooth, values[1:], strict=False))]
    return numpy.array(smooth), numpy.array(list(accumulate(off, lambda var, one: var + (one - var) / 4)))


def rtt(t: Trace) -> Figure:
    """Samples (Karn), SRTT, RTO, handshake, and the waits that ended in a time-out."""
    at = numpy.flatnonzero(t.answers & (t.packets["rtt_ns"] >= 0))
    samples = t.packets["rtt_ns"][at] / 1e9
    time = t.time[at]
    shaken = t.packets["flags"][at] & SYN != 0
    if t.role == "server":  # of its SYN-ACK: the handshake's last ACK
        shaken = numpy.arange(len(at)) == 0 if t.theirs("syn_packets") and t.own("syn_packets") else shaken
        shaken &= t.record["ack_rtt_ns"] == t.packets["rtt_ns"][at]
    layers = [
        layer("points", "sample", "sample", time[~shaken], samples[~shaken], **t.about(at[~shaken])),
        layer("points", "handshake", "handshake", time[shaken], samples[shaken], **t.about(at[shaken])),
    ]
    notes = [
        "A sample is the time from a segment to the ACK that first covers it, seen from where the capture was taken "
        f"({t.point}); segments sent twice give none (Karn)."
    ]
    far = reach(t, t.side)
    if far >= LEAST_SHIFT:
        notes.append(
            f"The {t.role} is {span(far / 1e9)} (there and back) away from where the capture was taken: the round "
            "trips that it saw itself were longer by that, and so was its time-out."
        )
    timers: list[Layer] = []
    waits, waited = _waits(t)
    if len(at):
        smooth, spread = estimates(samples)
        timer = numpy.clip(smooth + numpy.maximum(GRANULARITY, 4 * spread), LEAST, MOST)
        linux = numpy.minimum(smooth + numpy.maximum(LINUX_LEAST, 4 * spread), 120.0)
        ends = numpy.append(time, t.time[-1])
        timers = [
            layer("step", "timer floor", "RTO, RFC 6298 (least 1 s)", ends, numpy.append(timer, timer[-1])),
            layer("step", "timer", "RTO, Linux (SRTT + at least 200 ms)", ends, numpy.append(linux, linux[-1])),
        ]
        again = numpy.append(at, at[-1])
        layers.append(layer("step", "smooth", "SRTT", ends, numpy.append(smooth, smooth[-1]), **t.about(again)))
        notes.append(
            f"Computed, not measured: SRTT (last {span(float(smooth[-1]))}) and both RTOs, from the samples shown. "
            f"{len(samples):,} samples: least {span(float(samples.min()))}, median "
            f"{span(float(numpy.median(samples)))}, most {span(float(samples.max()))}."
        )
    else:
        notes.append("No sample: no answer to a segment that was sent once.")
    timers.append(layer("points", "timeout", "wait that ended in a time-out", t.time[waits], waited, **t.about(waits)))
    panels = [panel(_axis("round trip", layers), layers, 1.7), panel(_axis("time-out", timers), timers)]
    return Figure(
        "rtt",
        f"Round trips of the {t.role}'s data, {t.title}",
        t.subtitle,
        tuple(it for it in panels if it.layers),
        tuple(notes),
        t.start_ns,
        name=t.name,
    )


def _axis(name: str, layers: list[Layer]) -> Axis:
    """From zero, or in decades where small and large values are far apart."""
    values = numpy.concatenate([it.y for it in layers if it.y is not None] or [numpy.ones(0)])
    some = values[values > 0]
    log = bool(len(some)) and float(some.max()) > SPREAD * float(some.min())
    return Axis(name, "seconds", least=None if log else 0.0, log=log)


def _waits(t: Trace) -> tuple[Any, Any]:
    """Repetitions by the timer: their packets, and how long after the copy before (seconds)."""
    timer = t.mine & t.said("timeout_retransmission", "syn_retransmission", "syn_ack_retransmission")
    at = numpy.flatnonzero(timer & (t.packets["retransmission_of"] != 0))
    frames = t.packets["frame"]
    order = numpy.argsort(frames, kind="stable")
    found = numpy.searchsorted(frames[order], t.packets["retransmission_of"][at])
    found = order[numpy.minimum(found, len(order) - 1)]
    known = frames[found] == t.packets["retransmission_of"][at]
    return at[known], (t.time[at] - t.time[found])[known]
