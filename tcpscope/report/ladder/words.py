"""What stands on and under an arrow, in words; the same for every medium, escaped by none."""

from __future__ import annotations

from tcpscope.diagnose.facts import times
from tcpscope.report.ladder.model import Fold, Happening, Idle, Ladder, Segment, Timing
from tcpscope.report.named import ending
from tcpscope.report.text import clock, size, span

UNTOLD = frozenset({"piggybacked_ack", "offloaded", "offload_checksum", "duplicate_ack"})  # no line of their own
WINDOWS = frozenset({"window_update", "window_full", "zero_window", "zero_window_probe_ack"})  # the window is the point

ASKING = frozenset({"keep_alive", "zero_window_probe"})  # the sequence number is what makes them so

# Where there is no room, words go in this order; what is `kept` moves to the line below instead.
DROPPED_FIRST = ("win", "sack", "mss", "ack")

MEANINGS = {
    "retransmission": "bytes that were sent before",
    "fast_retransmission": "sent again after loss reports of the receiver (RFC 5681, RFC 6675)",
    "spurious_retransmission": "needless: the first copy had arrived",
    "out_of_order": "came later than its successors; not sent again",
    "lost_segment": "bytes before this segment were not captured",
    "ack_lost_segment": "acknowledges bytes that were not captured",
    "duplicate_ack": "the same acknowledgment again: something behind it has arrived (RFC 5681)",
    "window_update": "tells a new receive window, acknowledges nothing new",
    "window_full": "fills the receiver's window to the last byte",
    "zero_window": "the receiver's buffer is full: the sender must stop",
    "zero_window_probe": "the persist timer asks whether the window is open again (RFC 9293, 3.8.6.1)",
    "zero_window_probe_ack": "answers a window probe",
    "keep_alive": "asks an idle peer whether it is still there (RFC 9293, 3.8.4)",
    "keep_alive_ack": "answers a keep-alive probe",
    "reused_ports": "the same addresses and ports had a connection before",
    "timeout_retransmission": "sent again by the retransmission timer (RFC 6298)",
    "tail_loss_probe": "the last segment again, to get an answer before the timer runs out (RFC 8985, 7)",
    "syn_retransmission": "the SYN again: no answer in time",
    "syn_ack_retransmission": "the SYN-ACK again: no acknowledgment in time",
    "fin_retransmission": "the FIN again: no acknowledgment in time",
    "rto_recovery": "sent again after a time-out, paced by acknowledgments",
    "dsack": "tells that the receiver got something twice (RFC 2883)",
    "delayed_ack": "the acknowledgment waited for the delayed-ACK timer",
    "piggybacked_ack": "the acknowledgment rides on data",
    "challenge_ack": "answers an unacceptable SYN or RST (RFC 5961)",
    "duplicate_capture": "the capture holds this packet twice",
    "network_duplicate": "the network delivered this packet twice",
    "bad_checksum": "damaged: the receiver drops it",
    "offload_checksum": "the checksum was left to the network card",
    "offloaded": "larger than the peer's MSS: cut into segments by the network card",
    "time_wait_ack": "answers a repeated FIN out of TIME_WAIT, which begins anew",
    "simultaneous_open": "both ends sent SYN (RFC 9293, 3.5)",
    "fast_open": "TCP Fast Open (RFC 7413)",
    "reset_refused": "nobody listens on the port",
    "reset_abort": "the program or the kernel gave the connection up",
    "reset_no_socket": "the host knows no such connection (any more)",
    "malformed_options": "TCP options that cannot be read",
    "ack_without_flag": "an acknowledgment number without the ACK flag",
    "urgent": "urgent data",
    "ecn_ce": "a router marked congestion (RFC 3168)",
    "ecn_echo": "tells the sender of a congestion mark",
    "cwr": "the sender has slowed down",
    "data_on_syn": "the SYN carries data",
    "clock_step": "the capture's clock jumped",
    "nagle_stall": "a small segment waited for the peer's delayed ACK (Nagle)",
}

EVENTS = {
    "TIMEOUT_2MSL": "2·MSL is over",
    "REUSED": "a new connection uses the same ports",
    "SOCKET_GONE": "the socket is gone, as later packets show",
    "UNREACHABLE": "ICMP error",
}


def words(it: Segment, raw: bool = False) -> list[tuple[str, str]]:
    """The label's parts, each with its kind: `SYN seq=0 mss=1460`, `1:1025(1024) ack 8001 win 6144`."""
    flags = it.flags.split(",")
    seq, ack = it.numbers[:2] if raw else (it.seq, it.ack)
    out = [("flag", flag) for flag in flags if flag not in ("ACK", "PSH", "")]
    if "SYN" in flags:
        out.append(("seq", f"seq={seq}"))
        if it.length:
            out.append(("seq", f"({it.length})"))
        if "ACK" in flags:
            out.append(("kept", f"ack={ack}"))
        if it.mss:
            out.append(("mss", f"mss={it.mss}"))
        out.append(("win", f"win={it.window}"))
        return out
    if it.length:
        out.append(("seq", f"{seq}:{(seq + it.length) & 0xFFFFFFFF}({it.length})"))
    elif not ASKING.isdisjoint(it.annotations) or "FIN" in flags or "RST" in flags:
        out.append(("seq", f"seq={seq}"))
    if "ACK" in flags:
        out.append(("ack" if it.length else "kept", f"ack {ack}"))
    if it.duplicate is not None:
        out.append(("kept", f"dup #{it.duplicate}"))
    if it.sack:
        base = it.numbers[1] - it.ack if raw else 0
        edges = [f"{(left + base) & 0xFFFFFFFF}:{(right + base) & 0xFFFFFFFF}" for left, right in it.sack]
        out.append(("sack", "sack " + " ".join(edges)))
    out.append(("kept" if not WINDOWS.isdisjoint(it.annotations) else "win", f"win {it.window}"))
    if not flags[0]:
        out.insert(0, ("flag", "no flags"))
    return out


def fitted(parts: list[tuple[str, str]], room: int) -> tuple[str, str]:
    """The label that fits into `room` characters, and what did not (but for an ordinary window, which is left out)."""
    kept = list(parts)
    rest: list[tuple[str, str]] = []

    def text() -> str:
        return " ".join(word for _, word in kept)

    for kind in DROPPED_FIRST:
        for part in reversed([it for it in kept if it[0] == kind]):
            if len(text()) <= room:
                break
            kept.remove(part)
            if kind != "win":
                rest.insert(0, part)
    while len(text()) > room and len(kept) > 1:
        rest.insert(0, kept.pop())
    return text(), " ".join(word for _, word in rest)


WITHOUT_WINDOW = "The window (win) is left out where there is no room for it."


def lacks_window(said: str) -> bool:
    """Whether the label leaves an ordinary window out."""
    return "win" not in said.replace("=", " ").split()


def label(it: Segment, raw: bool = False) -> str:
    """The whole label."""
    return " ".join(word for _, word in words(it, raw))


def notes(it: Segment) -> str:
    """The annotations in words, with what they point to: `tail loss probe, fin retransmission of 8 after 213 ms`."""
    names = [name for name in it.annotations if name not in UNTOLD]
    if "retransmission" in names and len(names) > 1:
        names.remove("retransmission")
        names = [name.removesuffix("_retransmission") if name != names[-1] else name for name in names]
    text = ", ".join(name.replace("_", " ") for name in names)
    if it.again is not None:
        text += f" of {it.again}"
        if it.after is not None:
            text += f" after {span(it.after)}"
    if it.fate == "unanswered":
        text += (", " if text else "") + "no answer"
    if it.fate == "rejected":
        text += (", " if text else "") + "rejected by ICMP"
    return text.strip()


# Of what was folded, what is worth telling, most telling first: one of it, several.
TELLING = (
    ("retransmission", "sent again", "sent again"), ("duplicate_ack", "duplicate ACK", "duplicate ACKs"),
    ("out_of_order", "out of order", "out of order"), ("lost_segment", "hole", "holes"),
    ("zero_window", "zero window", "zero windows"), ("zero_window_probe", "window probe", "window probes"),
    ("keep_alive", "keep-alive", "keep-alives"), ("window_full", "full window", "full windows"),
    ("duplicate_capture", "captured twice", "captured twice"), ("network_duplicate", "doubled", "doubled"),
    ("bad_checksum", "bad checksum", "bad checksums"),
)  # fmt: skip


def folded(it: Fold) -> str:
    """What was folded: `412 segments, 597 kB, nothing odd, 1.2 s`."""
    parts = [times(it.segments, "segment"), size(it.size)]
    odd = [f"{it.annotations[name]:,} {one if it.annotations[name] == 1 else many}"
           for name, one, many in TELLING if it.annotations.get(name)]  # fmt: skip
    if it.lost:
        odd.append(f"{it.lost:,} lost")
    if it.state_changes:
        odd.append(times(it.state_changes, "state change"))
    parts += odd or ["nothing odd"]
    if it.segments > 1 and it.end > it.time:
        parts.append(span(it.end - it.time))
    text = ", ".join(parts)
    return f"{it.why}: {text}" if it.why in ("before", "after") else text


def idle(it: Idle) -> str:
    """`75 s idle, until the client's keep-alive timer`."""
    text = f"{span(it.seconds)} idle"
    return f"{text}, until the {it.endpoint}'s {it.timer} timer" if it.timer else text


def happening(it: Happening) -> str:
    """`2·MSL is over: TIME_WAIT → CLOSED (projected)`."""
    text = EVENTS.get(it.event, it.event.replace("_", " ").lower())
    if it.detail:
        text += f" {it.detail}"
    if it.frame is not None:
        text += f" (frame {it.frame})"
    text += f": {it.old} → {it.new}"
    return f"{text} (projected)" if it.projected else text


def footer(timing: Timing) -> str:
    """What is measured, and what is estimated."""
    far = {end: delay for end, delay in (("client", timing.to_client), ("server", timing.to_server))
           if not timing.measured(end)}  # fmt: skip
    known = [f"the {end} is {span(delay)} away" for end, delay in far.items() if delay is not None]
    unknown = [end for end, delay in far.items() if delay is None]
    estimate = f"{' and '.join(known)}, estimated: {timing.basis}" if known else ""
    if len(far) == 1:
        start = f"Captured at the {timing.capture_point}, whose times are measured"
    elif timing.capture_point == "middle":
        start = "Captured between the ends"
    else:
        start = "Where it was captured is not known"
    if unknown:
        start += f"; the distance to the {' and the '.join(unknown)} is not known"
    return "; ".join(it for it in (start, estimate) if it) + "."


def across(row: Happening | Idle | Fold) -> str:
    """What a row says that is no arrow."""
    if isinstance(row, Happening):
        return happening(row)
    return "⋮ " + (idle(row) if isinstance(row, Idle) else folded(row))


def remarks(ladder: Ladder, at: int) -> str:
    """What stands under the arrow of this row: its annotations, and what begins with it and lasts."""
    row = ladder.rows[at]
    if not isinstance(row, Segment):
        return ""
    parts = [notes(row)]
    for bar in ladder.bars:
        if bar.first_row == at and bar.what == "zero_window":
            lasting = "to the capture's end" if bar.end is None else f"for {span(bar.end - bar.start)}"
            parts.append(f"closed {lasting}")
    return ", ".join(part for part in parts if part)


def details(ladder: Ladder, it: Segment) -> list[tuple[str, str]]:
    """All that is known of a segment, name by name."""
    sequence, acknowledgment, window = it.numbers
    out = [
        ("frame", str(it.frame)),
        ("time", f"{it.time - ladder.start:.6f} s ({clock(it.time, utc=True)})"),
        ("sender", it.sender),
        ("flags", it.flags or "none"),
        ("sequence", f"{it.seq} (raw {sequence})"),
    ]
    if "ACK" in it.flags.split(","):
        out.append(("acknowledgment", f"{it.ack} (raw {acknowledgment})"))
    out.append(("payload", f"{it.length:,} bytes"))
    out.append(("window", f"{it.window:,} (raw {window:,})"))
    options = []
    if it.mss is not None:
        options.append(f"MSS {it.mss}")
    if it.scale is not None:
        options.append(f"window scale {it.scale}")
    if it.stamps is not None:
        options.append(f"timestamps {it.stamps[0]}, echo {it.stamps[1]}")
    if it.sack:
        options.append("SACK " + " ".join(f"{left}:{right}" for left, right in it.sack))
    known: list[tuple[str, str | None]] = [
        ("options", ", ".join(options) or None),
        ("states", f"{it.client_state}, {it.server_state}"),
        ("acknowledges frame", None if it.acked is None else str(it.acked)),
        ("round trip", None if it.rtt is None else span(it.rtt)),
        ("in flight", None if it.in_flight is None else f"{it.in_flight:,} bytes"),
        ("repeats frame", None if it.again is None else str(it.again)),
        ("duplicate ACK", None if it.duplicate is None else f"number {it.duplicate}"),
        ("fate", FATES.get(it.fate)),
    ]
    out += [(name, value) for name, value in known if value is not None]
    out += [(name.replace("_", " "), MEANINGS.get(name, "")) for name in it.annotations]
    return out


FATES = {
    "lost": "lost: it was sent again, and nothing says that this copy had arrived",
    "unanswered": "not known: the capture has no answer to it",
    "rejected": "rejected: an ICMP error says so",
}


def ends(ladder: Ladder) -> str:
    """Who with whom, and for what: `10.0.0.1:40000 to 10.0.0.2:443 (tls example.com)`."""
    return f"{ladder.client} to {ladder.server}" + (f" ({ladder.about})" if ladder.about else "")


def summary(ladder: Ladder) -> str:
    """`39 segments in 3.05 s, closed: fin by server.`"""
    text = f"{times(ladder.segments, 'segment')} in {span(ladder.duration)}"
    if ladder.close:
        text += f"; {ending(ladder.close, ladder.closed_by, ladder.reset_by)}"
    return text + "."
