"""One connection in detail: its facts, what was found about it, its states, its ladder, the plots that matter."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib import import_module
from itertools import pairwise
from math import ceil
from typing import Any

from tcpscope.errors import UsageError
from tcpscope.replay.layout import TIMES
from tcpscope.report.ladder import COLUMNS, Options, ladder, words
from tcpscope.report.ladder.model import Ladder
from tcpscope.report.ladder.svg import Drawing, markup
from tcpscope.report.named import ending, endpoint_of
from tcpscope.report.page.gathered import Gathered
from tcpscope.report.page.inline import Plots
from tcpscope.report.page.packets import MOST_PACKETS, Packets
from tcpscope.report.plots import CONNECTION_KINDS, trace
from tcpscope.report.spent import spent
from tcpscope.report.text import clock, named, safe, size, span
from tcpscope.tables.one import packet_rows
from tcpscope.tables.rows import Row, by_time, rows
from tcpscope.wire.layout import file_at, frame_at

LADDER_ROWS = 80  # the most telling ones
PIECE = 520  # pixels of a ladder that stay together on paper
PLOT = (1000, 470)  # pixels
FEW = 3  # samples or data packets that need no plot
BULK = 100_000  # bytes in one direction, from which on their rate is of interest

PLOTS = {  # what each is called, in the order of the page
    "sequence": "Time-sequence graph", "window": "Window, in flight", "rtt": "Round trips",
    "buffer": "Receiver's buffer", "throughput": "Throughput",
}  # fmt: skip


def count(value: float) -> str:
    return f"{value:,.0f}"


def exact(value: float) -> str:
    return f"{value:,} B"


def lasting(value: float) -> str:
    return span(value) if value else "0 s"


def rate(value: float) -> str:
    return f"{size(value)}/s"


# What is told of both sides: words, column, how it is written.  Rows in which neither side has anything are left out.
SIDES: tuple[tuple[str, str, Callable[[Any], str]], ...] = (
    ("packets", "packets", count),
    ("payload", "unique_bytes", size),
    ("packets sent again", "retransmissions", count),
    ("after loss reports (fast)", "fast_retransmissions", count),
    ("by the retransmission timer", "timeout_retransmissions", count),
    ("tail loss probes", "tail_loss_probes", count),
    ("after a time-out, by ACKs", "recovery_retransmissions", count),
    ("of all these needless", "spurious_retransmissions", count),
    ("out of order", "out_of_order", count),
    ("duplicate ACKs that came back", "duplicate_acks", count),
    ("not captured", "missed_bytes", size),
    ("in the capture twice", "duplicate_captures", count),
    ("wrong checksums", "bad_checksums", count),
    ("window closed", "zero_window", lasting),
    ("largest window", "max_window", size),
    ("most in flight", "max_in_flight", size),
    ("round trip, median", "rtt_p50", span),
    ("round trip, 95 % below", "rtt_p95", span),
    ("retransmission time-out at the end", "rto", span),
    ("throughput", "throughput", rate),
    ("longest pause", "idle_max", lasting),
    ("waited by Nagle", "nagle", lasting),
    ("marked CE by routers", "ecn_ce", count),
    ("MSS", "mss", exact),
    ("window scale", "window_scale", count),
    ("TTL", "ttl", count),
)
ROLE_EVIDENCE = {"syn": "the SYN", "syn_ack": "the SYN-ACK", "port": "the ports (a guess)",
                 "first_packet": "who was seen first (a guess)"}  # fmt: skip


@dataclass
class Drawn:
    """A drawing, as an element of the page.  folded: not the first thing to look at."""

    title: str
    markup: str
    folded: bool = False


@dataclass
class Detail:
    """What the page says of one connection; all text as it is, to be escaped where it is written."""

    number: int
    client: str
    server: str
    states: tuple[str, str]
    close: str
    duration: str
    findings: list[int]  # places in the list of findings
    facts: list[tuple[str, str]]
    sides: list[tuple[str, str, str]]
    changes: list[tuple[str, str, str, str, str, str]]
    proofs: list[tuple[str, str, list[str]]]  # annotation, side, frames
    drawings: list[Drawn] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def detail(gathered: Gathered, packets: Packets, number: int, findings: list[int], plots: Plots) -> Detail:
    """All that is shown of the connection; its drawings are added to the page's `plots`."""
    raw = gathered.records[number]
    row = next(rows("connections", raw))
    events = list(rows("events", by_time(gathered.events.get(number, b""))))
    found = Detail(
        number,
        endpoint_of(row, "client"),
        endpoint_of(row, "server"),
        (row["client_state"], row["server_state"]),
        ended(row),
        span(row["duration"]),
        findings,
        list(_facts(row, gathered.wanted.utc, len(gathered.result.names) > 1)),
        list(_sides(row)),
        [_change(it, row["start"]) for it in events],
        _proofs(gathered, number),
    )
    records = packets.of[number]
    total = packets.count[number]
    if total > MOST_PACKETS:
        events = [it for it in events if it["time"] <= records["time_ns"][-1] / 1e9]
        found.notes.append(
            f"The ladder and the plots show its first {len(records):,} packets of {total:,}; "
            f"tcpscope diagram FILE -c {number} shows any part."
        )
    found.drawings = list(_drawings(row, raw, records, events, plots, gathered.wanted.utc))
    return found


def ended(row: Row) -> str:
    """`fin by client`, `reset by server`, `open`."""
    return ending(str(row["close"]), row["closed_by"], row["reset_by"])


_SAID = (
    ("service", "service"), ("server_name", "server's name"), ("client_hint", "client's first words"),
    ("server_hint", "server's first words"), ("alpn", "ALPN"),
)  # fmt: skip


def _facts(row: Row, utc: bool, several: bool) -> Iterator[tuple[str, str]]:
    for name, label in _SAID:
        if row[name]:
            yield label, row[name]
    yield "first packet", clock(row["start"], utc)
    yield "lasted", span(row["duration"])
    if where := spent({name: row[f"time_{name}"] for name in TIMES}):
        yield "the time went to", where
    yield "ended", ended(row)
    shaken = [(row["syn_rtt"], "to the server"), (row["ack_rtt"], "to the client")]
    told = [f"{span(it)} from the capture {way} and back" for it, way in shaken if it is not None]
    if told:
        yield "handshake", ", ".join(told)
    if row["refused_after"] is not None:
        yield "refused after", span(row["refused_after"])
    if row["half_close"] is not None:
        yield "half closed for", f"{span(row['half_close'])}, {size(row['half_close_bytes'] or 0)} sent meanwhile"
    if row["time_wait_owner"] is not None:
        yield "rests in TIME_WAIT", row["time_wait_owner"]
    yield "captured at", f"{row['capture_point']} (estimated)" if row["capture_point"] != "unknown" else "unknown"
    yield "client told by", ROLE_EVIDENCE[row["role_evidence"]]
    for name, remark in (("fast_open", "TCP Fast Open"), ("simultaneous_open", "simultaneous open"),
                        ("reused", "ports used again"), ("one_direction", "only one direction captured")):  # fmt: skip
        if row[name]:
            yield "remarkable", remark
    if row["icmp"]:
        yield "ICMP error", f"type/code {row['icmp']}"
    frames = f"{row['first_frame']} to {row['last_frame']}"
    yield "frames", f"{frames}, from file {row['file'] + 1}" if several else frames
    yield "Zeek's words", f"{row['conn_state']} {row['history']}"


def _sides(row: Row) -> Iterator[tuple[str, str, str]]:
    for label, column, write in SIDES:
        values = row[f"client_{column}"], row[f"server_{column}"]
        if any(values):
            client, server = ("unknown" if it is None else write(it) for it in values)
            yield label, client, server


def _change(it: Row, start: float) -> tuple[str, str, str, str, str, str]:
    why = (it["event"] or "").replace("_", " ").lower() + (" (inferred)" if it["inferred"] else "")
    frame = "" if it["frame"] is None else str(it["frame"])
    return f"{it['time'] - start:.6f}", it["endpoint"], it["old"], it["new"], why, frame


def _proofs(gathered: Gathered, number: int) -> list[tuple[str, str, list[str]]]:
    """Frames that show what was odd, by annotation and sender."""
    found: dict[tuple[str, str], list[str]] = {}
    names = gathered.result.names
    for it in gathered.facts[number].proofs if number in gathered.facts else ():
        frame = str(frame_at(it.frame)) + (f" of {safe(named(names[file_at(it.frame)]))}" if len(names) > 1 else "")
        found.setdefault((it.annotation.replace("_", " "), it.side), []).append(frame)
    return [(annotation, side, frames) for (annotation, side), frames in found.items()]


def _drawings(row: Row, raw: bytes, records: Any, events: list[Row], plots: Plots, utc: bool) -> Iterator[Drawn]:
    if not len(records):
        return
    number = row["connection"]
    drawing = ladder(row, packet_rows([records.tobytes()], COLUMNS), events, Options(max_rows=LADDER_ROWS))
    yield Drawn("Ladder", in_pieces(drawing))
    record = trace.records(raw)[0]
    seen = trace.Trace(records, record, trace.choose_side(record, None), f"connection {number}", "", utc)
    for kind in telling(row):
        try:
            figure = getattr(import_module(f"tcpscope.report.plots.{CONNECTION_KINDS[kind]}"), kind)(seen)
        except UsageError:
            continue
        if any(len(it) for panel in figure.panels for it in panel.layers):
            label = ". ".join([figure.title, figure.subtitle, *figure.notes])
            yield Drawn(PLOTS[kind], plots.inline(figure.svg(PLOT), label))


def telling(row: Row) -> list[str]:
    """The plots that show something of this connection, by what it carried and what went wrong."""

    def most(column: str) -> float:
        return max(row[f"client_{column}"] or 0, row[f"server_{column}"] or 0)

    if most("data_packets") < FEW:
        return []
    lossy = most("retransmissions") > 0
    shut = most("zero_window_spells") > 0
    wanted = {
        "sequence": True,
        "window": lossy or most("window_fulls") > 0 or most("unique_bytes") >= BULK,
        "rtt": most("rtt_samples") >= FEW and (lossy or most("unique_bytes") >= BULK or most("nagle_stalls") > 0),
        "buffer": shut,
        "throughput": most("unique_bytes") >= BULK,
    }
    return [kind for kind in PLOTS if wanted[kind]]


def in_pieces(drawn: Ladder) -> str:
    """The ladder's SVG, cut between rows so that it goes over the pages of a print."""
    drawing = Drawing(drawn, tips=False)
    cuts = [0]
    for place in drawing.at.places:
        if place.top - cuts[-1] > PIECE and drawing.height - place.top > PIECE / 4:
            cuts.append(round(place.top))
    cuts.append(ceil(drawing.height))
    told = f"Ladder of connection {drawn.connection}: {words.summary(drawn)} {' '.join(drawn.notes)}"
    inside = "".join(unstyled(drawing.piece(top, bottom)) for top, bottom in pairwise(cuts))
    return f'<div class="ladder" role="img" aria-label="{markup(told)}">{inside}</div>'


def unstyled(svg: str) -> str:
    """A piece without its own style sheet, pattern and names: the page has them once for all."""
    head, _, rest = svg.partition("<style>")
    element = head.partition(' role="')[0]
    return element + ' aria-hidden="true">' + rest.partition("</defs>")[2]
