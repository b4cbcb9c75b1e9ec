"""Time-sequence graphs: tcptrace's, with all its marks, and the plain one of Stevens' books."""

from __future__ import annotations

from typing import Any

import numpy

from tcpscope.report.plots.flight import blocks
from tcpscope.report.plots.model import Axis, Figure, Layer, layer, panel
from tcpscope.report.plots.trace import Trace
from tcpscope.report.text import size
from tcpscope.wire.layout import FIN, PSH, SYN, URG

ABOVE = 4.0  # times the range of the data: a window line that goes higher leaves the axis
LETTERS = {
    "R": "sent again",
    "O": "out of order",
    "P": "probe or keep-alive",
    "HD": "captured twice",
    "D": "doubled by the network",
    "U": "urgent",
    "3": "third duplicate ACK",
    "Z": "window closed",
    "S": "SACK block",
    "DS": "D-SACK",
    "CE": "marked by a router",
    "ECE": "told back to the sender",
    "CWR": "its answer",
    "RST_OUT": "RST sent",
    "RST_IN": "RST received",
}
NO_SCALE = (
    "Window: the handshake was not captured, its scale is unknown; drawn dotted and unscaled, it may be up to "
    "16,384 times larger."
)


def sequence(t: Trace) -> Figure:
    """Segments, ACK line, window line, SACK blocks and letters, as tcptrace draws them."""
    window, top, said = _window(t)
    layers = [*window, *_receiver(t), *_segments(t), *_resets(t)]
    used = {it.text for it in layers if it.shape == "marks" and len(it)}
    letters = ", ".join(f"{letter} {meaning}" for letter, meaning in LETTERS.items() if letter in used)
    notes = [
        "Numbers are relative and do not wrap; a bar is a segment from its first byte to its last, "
        "SYN and FIN count one." + (f" {letters}." if letters else ""),
        *said,
    ]
    return Figure(
        "sequence",
        f"Time-sequence, {t.title}",
        t.subtitle,
        (panel(Axis(f"sequence number of the {t.role}", "bytes", most=top), layers),),
        tuple(notes),
        t.start_ns,
        name=t.name,
    )


def _segments(t: Trace) -> list[Layer]:
    flags, length = t.packets["flags"], t.packets["length"]
    any_data = t.mine & ~t.reset & (t.end > t.position)
    again = t.mine & t.said("retransmission")
    late = t.mine & t.said("out_of_order")
    probe = t.mine & t.said("keep_alive", "zero_window_probe") & ~again
    copy = t.mine & t.said("duplicate_capture", "network_duplicate") & any_data
    odd = again | late | probe | copy
    control = any_data & (flags & (SYN | FIN) != 0) & ~odd
    out = [
        _bars(t, any_data & ~odd & ~control, "segment", "segment"),
        _bars(t, control & (length > 0), "segment", ""),
        _bars(t, copy, "copy", "duplicate (HD, D)"),
        _bars(t, late, "late", "out of order (O)"),
        _bars(t, again, "again", "sent again (R)"),
        _bars(t, probe, "probe", "probe, keep-alive (P)"),
        _at(t, "bars", any_data & (flags & SYN != 0), t.position, "control", "SYN, FIN", y2=t.position + 1),
        _at(t, "bars", any_data & (flags & FIN != 0), t.end - 1, "control", "SYN, FIN", y2=t.end),
        _at(t, "points", any_data & (flags & PSH != 0) & (length > 0), t.end, "push", "PSH"),
        _at(t, "marks", again, t.end, "again", "", text="R"),
        _at(t, "marks", late, t.end, "late", "", text="O"),
        _at(t, "marks", probe, t.end, "probe", "", text="P"),
        _at(t, "marks", copy & t.said("duplicate_capture"), t.end, "copy", "", text="HD"),
        _at(t, "marks", copy & t.said("network_duplicate"), t.end, "copy", "", text="D"),
        _at(t, "marks", any_data & (flags & SYN != 0) & ~again, t.end, "control", "", text="SYN"),
        _at(t, "marks", any_data & (flags & FIN != 0) & ~again, t.end, "control", "", text="FIN"),
        _at(t, "marks", any_data & (flags & URG != 0), t.end, "urgent", "", text="U"),
        _at(t, "marks", t.mine & t.said("ecn_ce"), t.end, "ecn", "", text="CE"),
        _at(t, "marks", t.mine & t.said("cwr"), t.end, "ecn", "", text="CWR"),
    ]
    return out


def _bars(t: Trace, which: Any, role: str, legend: str) -> Layer:
    return _at(t, "bars", which, t.position, role, legend, y2=t.end)


def _at(t: Trace, shape: Any, which: Any, y: Any, role: str, legend: str, y2: Any = None, text: str = "") -> Layer:
    at = numpy.flatnonzero(which)
    more = {} if y2 is None else {"y2": y2[at]}
    return layer(shape, role, legend, t.time[at], y[at], text=text, **more, **t.about(at))


def _window(t: Trace) -> tuple[list[Layer], float | None, list[str]]:
    """The line of acknowledgment plus window; where the axis ends if it lies far above; what must be said."""
    at, windows = t.window
    notes = [] if t.scale_known or not len(at) else [NO_SCALE]
    if not len(at):
        return [], None, notes
    edge = t.position[at] + windows
    blocked = (windows == 0) & (t.packets["flags"][at] & (SYN | FIN) == 0)
    low, high = int(min(t.sent_up_to[0], t.position[at].min())), int(max(t.sent_up_to[-1], t.acked_up_to[-1]))
    data = max(high - low, 1)
    top = None
    if int(edge.max()) - low > ABOVE * data:
        top = high + 0.25 * data
        where = "lies above the axis" if int(edge.min()) > top else "leaves the axis"
        notes.append(f"The window line {where}: windows of {size(int(windows.min()))} to {size(int(windows.max()))}.")
    role, legend = ("limit", "window") if t.scale_known else ("unscaled", "window, scale unknown")
    line = layer("step", role, legend, _held(t.time[at], t.time), _held(edge, edge), **_also(t, at))
    closed = layer("marks", "limit", "", t.time[at][blocked], edge[blocked], text="Z", **t.about(at[blocked]))
    return [closed] if top is not None and int(edge.min()) > top else [line, closed], top, notes


def _receiver(t: Trace) -> list[Layer]:
    """What the other side says: acknowledgments, SACK."""
    acks = numpy.flatnonzero(t.answers)
    if not len(acks):
        return []
    level = t.acked_up_to[acks]
    echo = acks[t.said("ecn_echo")[acks]]
    return [
        layer("step", "ack", "acknowledged", _held(t.time[acks], t.time), _held(level, level), **_also(t, acks)),
        layer("points", "ack tick", "ACK", t.time[acks], t.position[acks], **t.about(acks)),
        *_sack(t),
        layer("marks", "ack", "", *_third_duplicates(t), text="3"),
        layer("marks", "ecn", "", t.time[echo], t.position[echo], text="ECE", **t.about(echo)),
    ]


def _held(values: Any, of: Any) -> Any:
    """The values, and once more at the end, so that the last level is drawn up to the last packet."""
    return numpy.append(values, of[-1])


def _also(t: Trace, at: Any) -> dict[str, Any]:
    """`about`, for a step held to the last packet."""
    return t.about(numpy.append(at, at[-1]))


def _sack(t: Trace) -> list[Layer]:
    at = numpy.flatnonzero(t.answers & (t.packets["n_sack"] > 0))
    if not len(at):
        return []
    left, right = blocks(t, at)
    there = numpy.arange(4) < t.packets["n_sack"][at][:, None]
    which = numpy.repeat(numpy.arange(len(at)), 4).reshape(-1, 4)[there]
    first = (numpy.arange(4) == 0) & there
    d_sack = (first & t.said("dsack")[at][:, None])[there]
    low, high = left[there], right[there]
    out = []
    for mask, role, legend, letter in ((~d_sack, "sack", "SACK (S)", "S"), (d_sack, "dsack", "D-SACK (DS)", "DS")):
        packets = at[which[mask]]
        out.append(layer("bars", role, legend, t.time[packets], low[mask], y2=high[mask], **t.about(packets)))
        out.append(layer("marks", role, "", t.time[packets], high[mask], text=letter, **t.about(packets)))
    return out


def _third_duplicates(t: Trace) -> tuple[Any, Any]:
    """Times and positions of the ACKs that are the third duplicate in a row (RFC 5681, 2)."""
    acks = numpy.flatnonzero(t.answers)
    duplicate = t.said("duplicate_ack")[acks]
    position = t.position[acks]
    count = numpy.cumsum(duplicate)
    anew = numpy.r_[True, numpy.diff(position) != 0]
    before = numpy.maximum.accumulate(numpy.where(anew, numpy.r_[0, count[:-1]], 0))
    third = duplicate & (count - before == 3)
    return t.time[acks][third], position[third]


def _resets(t: Trace) -> list[Layer]:
    sent, got = numpy.flatnonzero(t.reset & t.mine), numpy.flatnonzero(t.reset & ~t.mine)
    return [
        layer("points", "again", "RST", t.time[sent], t.position[sent], **t.about(sent)),
        layer("points", "again", "RST", t.time[got], t.acked_up_to[got], **t.about(got)),
        layer("marks", "reset", "", t.time[sent], t.position[sent], text="RST_OUT", **t.about(sent)),
        layer("marks", "reset", "", t.time[got], t.acked_up_to[got], text="RST_IN", **t.about(got)),
    ]


def stevens(t: Trace) -> Figure:
    """A point a segment at its first byte."""
    sent = t.mine & ~t.reset & (t.end > t.position)
    again = sent & t.said("retransmission")
    late = sent & t.said("out_of_order")
    plain = sent & ~again & ~late
    layers = [
        _at(t, "points", plain, t.position, "segment", "segment"),
        _at(t, "points", late, t.position, "late", "out of order"),
        _at(t, "points", again, t.position, "again", "sent again"),
    ]
    return Figure(
        "stevens",
        f"Sequence numbers, {t.title}",
        t.subtitle,
        (panel(Axis(f"sequence number of the {t.role}", "bytes"), layers),),
        ("A point is a segment's first byte; numbers are relative and do not wrap.",),
        t.start_ns,
        name=t.name,
    )
