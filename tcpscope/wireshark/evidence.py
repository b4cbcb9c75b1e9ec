"""The evidence for a difference: a short sentence that names frames and numbers, or nothing where none is at hand."""

from __future__ import annotations

from collections.abc import Callable

from tcpscope.report.text import span
from tcpscope.wireshark.memory import Scene, after


def same_packet(at: Scene) -> str:
    """The frame of the first copy."""
    for seen in reversed(at.mine.recent):
        if (seen.seq, seen.ip_id, seen.checksum) == (at.row["seq_raw"], at.mark.ip_id, at.mark.checksum):
            same = "same checksum" if seen.ip_id is None else f"same IP ID {seen.ip_id:#06x} and checksum"
            return f"{same} as frame {seen.frame}, {span(abs(at.row['time'] - seen.time))} apart"
    return ""


def order(at: Scene) -> str:
    """Sent before or after the newest packet seen, by IP ID and by timestamp."""
    newest = at.mine.newest
    if newest is None:
        return ""
    told = []
    if at.mark.ip_id and newest.ip_id and at.mark.ip_id != newest.ip_id:
        steps = (at.mark.ip_id - newest.ip_id + 0x8000) % 0x10000 - 0x8000
        if abs(steps) < 1024:
            side = "before" if steps < 0 else "after"
            told.append(f"IP ID {at.mark.ip_id:#06x} comes {side} frame {newest.frame}'s {newest.ip_id:#06x}")
    ts_val = at.row["ts_val"]
    if ts_val is not None and newest.ts_val is not None and ts_val != newest.ts_val:
        side = "later" if after(ts_val, newest.ts_val) else "earlier"
        told.append(f"timestamp {ts_val} is {side} than frame {newest.frame}'s {newest.ts_val}")
    return "; ".join(told) or f"{span(abs(at.row['time'] - newest.time))} after frame {newest.frame}"


def closed_window(at: Scene) -> str:
    """Who had closed the window."""
    for side in (at.peer, at.mine):
        if side.window == 0:
            return f"frame {side.window_frame} advertised a window of 0"
    return "this packet advertises a window of 0" if at.row["window"] == 0 else ""


def outstanding(at: Scene) -> str:
    """How far the peer had sent, against what this packet acknowledges."""
    if "ACK" not in at.row["flags"].split(","):
        return "the ACK flag is not set"
    top = at.peer.top
    if top is None:
        return "no intact segment of the peer before"
    if after(top.end, at.row["ack_raw"]):
        return f"frame {top.frame} went beyond what this acknowledges"
    return f"it acknowledges all that the peer had sent, up to frame {top.frame}"


def told_before(at: Scene) -> str:
    """Who reached this number first: the peer by sending, or this side by acknowledging."""
    top = at.peer.top
    if top is not None and not after(at.row["ack_raw"], top.end):
        return f"frame {top.frame} had sent up to this number or beyond"
    if at.mine.acked is not None and not after(at.row["ack_raw"], at.mine.acked):
        return f"frame {at.mine.acked_frame} had acknowledged this number before"
    return ""


def not_seen(at: Scene) -> str:
    """How many bytes are acknowledged that the capture has not shown."""
    top = at.peer.top
    if top is None:
        return "no intact segment of the peer before"
    if after(at.row["ack_raw"], top.end):
        return f"{(at.row['ack_raw'] - top.end) % 2**32} bytes beyond frame {top.frame}, the furthest of the peer"
    return ""


def gap(at: Scene) -> str:
    """Who had spoken of the bytes in the gap, or that nothing in this packet is behind it."""
    acked, top = at.peer.acked, at.mine.top
    if acked is not None and not after(at.row["seq_raw"], acked):
        return f"frame {at.peer.acked_frame} had acknowledged the missing bytes"
    if top is not None and not after(at.row["seq_raw"], top.end):
        return f"frame {top.frame} had sent up to this number"
    return "it has no data, SYN or FIN" if at.end == at.row["seq_raw"] else ""


def reached(at: Scene) -> str:
    """The frame that had reached the highest number of this side."""
    top = at.mine.top
    return f"frame {top.frame} had reached the highest number before" if top is not None else ""


def no_probe(at: Scene) -> str:
    """What is outstanding, or how far the peer had acknowledged."""
    acked, top = at.peer.acked, at.mine.top
    if top is not None and (acked is None or after(top.end, acked)):
        return f"no intact segment has acknowledged frame {top.frame} yet"
    return f"frame {at.peer.acked_frame} had acknowledged another number" if acked is not None else ""


def repeats(at: Scene) -> str:
    """The frame whose bytes are sent again, and how long after."""
    of = at.row["retransmission_of"]
    if of:
        return f"it repeats frame {of}"
    top = at.mine.top
    if top is not None and after(top.end, at.row["seq_raw"]):
        return f"frame {top.frame} had sent beyond its first byte"
    return ""


def news(at: Scene) -> str:
    """What the peer had said when the packet was sent again."""
    told = [repeats(at)] if at.row["retransmission_of"] else []
    if at.peer.duplicates:
        said = "a duplicate ACK" if at.peer.duplicates == 1 else f"{at.peer.duplicates} duplicate ACKs"
        told.append(f"{said} up to frame {at.peer.duplicate_frame}")
    if at.peer.sack_frame:
        told.append(f"SACK blocks in frame {at.peer.sack_frame}")
    return "; ".join(told)


def already_acked(at: Scene) -> str:
    """The acknowledgment that made the repetition needless, if it came before."""
    acked = at.peer.acked
    if acked is not None and not after(at.end, acked):
        return f"frame {at.peer.acked_frame} had acknowledged all of it"
    return "; ".join(filter(None, (repeats(at), "a later packet of the peer tells")))


def nothing(at: Scene) -> str:
    return ""


Evidence = Callable[[Scene], str]
