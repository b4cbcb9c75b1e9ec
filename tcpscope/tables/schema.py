"""The three tables' columns, each declared once: name, type, unit, meaning, and how it comes from the record.

The declarations make the JSON keys, the DataFrame's columns, the filters' names and docs/tables.md.
Values that are not known are None (null, NA), never a number that stands for it.
"""

from __future__ import annotations

from dataclasses import dataclass

from tcpscope.replay import layout
from tcpscope.replay.states import Event
from tcpscope.tables.values import (
    Bits,
    Frame,
    IfOption,
    Ip,
    Joined,
    Known,
    Name,
    Nonzero,
    Pairs,
    Same,
    Seconds,
    Slashed,
    Span,
    Text,
    Time,
    Truth,
    Value,
    Word,
)
from tcpscope.wire.layout import SERVICES, TLS_VERSIONS


@dataclass(frozen=True)
class Column:
    """name, type ("int" "float" "str" "bool" "list"), unit ("s", "bytes", "bytes/s", ""), meaning, and its values."""

    name: str
    type: str
    unit: str
    meaning: str
    value: Value


SIDES = tuple(layout.CLOSED_BY.values())
EVENT_KINDS = ("state", "correction")
EVENT_NAMES = tuple(event.name for event in Event)
CHECKSUMS = ("unverifiable", "good", "bad", "offloaded")
OPTIONS = ("mss", "window_scale", "sack_permitted", "sack", "timestamps", "fast_open", "mptcp", "md5", "ao", "uto",
           "accecn", "other", "", "", "malformed", "cut")  # fmt: skip  # bit = position: OPT_ of wire/segment.pxd

PACKETS = (
    Column("frame", "int", "", "number of the frame in its file, from 1, as Wireshark's frame.number", Same("frame")),
    Column("time", "float", "s", "since the epoch", Time("time_ns")),
    Column("time_ns", "int", "ns", "the same, exact", Same("time_ns")),
    Column("file", "int", "", "which input file, from 0", Same("file")),
    Column("connection", "int", "", "number of the connection, from 0, by first packet", Same("connection")),
    Column("sender", "str", "", "client or server", Word("sender", layout.ROLES)),
    Column("src", "str", "", "source address", Ip("src")),
    Column("sport", "int", "", "source port", Same("sport")),
    Column("dst", "str", "", "destination address", Ip("dst")),
    Column("dport", "int", "", "destination port", Same("dport")),
    Column("seq", "int", "", "sequence number, relative to the sender's first", Same("seq")),
    Column("ack", "int", "", "acknowledgment number, relative to the peer's first", Same("ack")),
    Column("seq_raw", "int", "", "sequence number as in the header", Same("seq_raw")),
    Column("ack_raw", "int", "", "acknowledgment number as in the header", Same("ack_raw")),
    Column("length", "int", "bytes", "payload, by the IP header", Same("length")),
    Column("window", "int", "bytes", "receive window, scaled where the scale is known", Same("window")),
    Column("window_raw", "int", "", "receive window as in the header", Same("window_raw")),
    Column("flags", "str", "", "TCP flags, comma separated", Joined("flags", layout.FLAGS)),
    Column("client_state", "str", "", "client's state after this packet (RFC 9293)", Word("client_state", layout.STATES)),
    Column("server_state", "str", "", "server's state after this packet", Word("server_state", layout.STATES)),
    Column("annotations", "list", "", "tcpscope's annotations", Bits("annotations", layout.ANNOTATIONS)),
    Column("wireshark", "list", "", "what Wireshark 4.0 would mark", Bits("wireshark", layout.WIRESHARK)),
    Column("retransmission_of", "int", "", "frame of the copy before this one, in its file", Nonzero("retransmission_of")),
    Column("acked_frame", "int", "", "last frame that this one acknowledges, in its file", Nonzero("acked_frame")),
    Column("rtt", "float", "s", "round trip of that frame (Karn: none if it was repeated)", Seconds("rtt_ns")),
    Column("ack_rtt", "float", "s", "the same by Wireshark's rule", Seconds("ack_rtt_ns")),
    Column("initial_rtt", "float", "s", "SYN to the handshake's ACK, from that packet on", Seconds("initial_rtt_ns")),
    Column("bytes_in_flight", "int", "bytes", "sent and not acknowledged, by Wireshark's rule", Nonzero("bytes_in_flight")),
    Column("duplicate_ack_num", "int", "", "how many duplicates in a row, by Wireshark's rule", Nonzero("duplicate_ack_num")),
    Column("options", "list", "", "TCP options of the header; other: an unknown one, malformed: by its length, cut: by the capture",
           Bits("options", OPTIONS)),
    Column("mss", "int", "bytes", "MSS option", IfOption("mss", 1)),
    Column("window_scale", "int", "", "window scale option, a shift", IfOption("window_scale", 2)),
    Column("ts_val", "int", "", "timestamp option, TSval", IfOption("ts_val", 16)),
    Column("ts_ecr", "int", "", "timestamp option, TSecr", IfOption("ts_ecr", 16)),
    Column("sack", "list", "", "SACK blocks, relative: pairs of left and right edge", Pairs("sack", "n_sack")),
    Column("ttl", "int", "", "IP time to live or hop limit", Same("ttl")),
    Column("checksum", "str", "", "TCP checksum: good, bad, offloaded or unverifiable", Word("checksum_state", CHECKSUMS)),
)  # fmt: skip

EVENTS = (
    Column("time", "float", "s", "since the epoch", Time("time_ns")),
    Column("time_ns", "int", "ns", "the same, exact", Same("time_ns")),
    Column("frame", "int", "", "frame that shows it; null: none, a timer", Nonzero("frame")),
    Column("file", "int", "", "which input file, from 0", Same("file")),
    Column("connection", "int", "", "number of the connection", Same("connection")),
    Column("endpoint", "str", "", "client or server", Word("endpoint", layout.ROLES)),
    Column("ip", "str", "", "the endpoint's address", Ip("ip")),
    Column("port", "int", "", "the endpoint's port", Same("port")),
    Column("kind", "str", "", "state: a change of state; correction (live): what was told is taken back, as later packets show", Word("kind", EVENT_KINDS)),
    Column("old", "str", "", "state before", Word("old", layout.STATES)),
    Column("new", "str", "", "state after", Word("new", layout.STATES)),
    Column("event", "str", "", "what moved it: a row of replay/states.py", Word("event", EVENT_NAMES)),
    Column("inferred", "bool", "", "concluded from other packets, not seen happening", Truth("inferred")),
)  # fmt: skip

_SIDE_MEANINGS: dict[str, tuple[str, str]] = {
    "packets": ("", "TCP packets, also those captured twice or doubled by the network, which no other count has"),
    "data_packets": ("", "packets with payload"),
    "bytes": ("bytes", "payload, repetitions included"),
    "unique_bytes": ("bytes", "payload without repetitions"),
    "retransmissions": (
        "",
        "packets sent again, SYN and FIN included (by numbers alone, as tcptrace counts)",
    ),
    "retransmitted_bytes": ("bytes", "numbers sent again: payload, and one for a SYN or FIN"),
    "out_of_order": ("", "packets that filled a gap, by numbers alone; `overtaken` asks who was sent first"),
    "pure_acks": ("", "ACKs without payload, SYN, FIN, RST"),
    "sack_packets": ("", "packets with SACK blocks"),
    "dsack_packets": ("", "packets whose SACK reports a duplicate (RFC 2883)"),
    "duplicate_acks": ("", "duplicate ACKs that came back for this side's data (RFC 5681)"),
    "pushed_packets": ("", "packets with payload and PSH"),
    "syn_packets": ("", "packets with SYN"),
    "fin_packets": ("", "packets with FIN"),
    "rst_packets": ("", "packets with RST"),
    "zero_windows": ("", "packets that advertise a window of zero"),
    "zero_window_probes": ("", "probes of the peer's closed window"),
    "keep_alives": ("", "keep-alive probes"),
    "mss": ("bytes", "MSS option"),
    "window_scale": ("", "window scale option, a shift"),
    "max_segment": ("bytes", "largest payload of a packet"),
    "min_segment": ("bytes", "smallest payload of a packet with any"),
    "max_window": ("bytes", "largest window advertised, scaled, after the handshake where there is a scale"),
    "min_window": ("bytes", "smallest, the same, zero not counted"),
    "max_in_flight": ("bytes", "most that was sent and not acknowledged"),
    "initial_window_bytes": ("bytes", "sent before the first acknowledgment of data"),
    "rtt_samples": ("", "round trips measured for this side's data"),
    "rtt_min": ("s", "smallest round trip, seen from the capture point"),
    "rtt_max": ("s", "largest"),
    "rtt_mean": ("s", "mean"),
    "rtt_std": ("s", "standard deviation"),
    "rtt_p50": ("s", "median: of an even number the lower of two"),
    "rtt_p95": ("s", "95th percentile"),
    "rtt_p99": ("s", "99th percentile"),
    "srtt": ("s", "smoothed round trip at the end (RFC 6298)"),
    "rto": ("s", "retransmission time-out at the end (RFC 6298, with its floor of 1 s)"),
    "idle_max": ("s", "longest pause between two packets of this side, or of one still open to the capture's end"),
    "throughput": ("bytes/s", "unique bytes over the connection's duration"),
    "goodput": ("bytes/s", "unique bytes between the first and the last data"),
    "stream_length": ("bytes", "length of the stream by its numbers, from SYN to FIN"),
    "missed_bytes": (
        "bytes",
        "of the stream, never seen by the capture; where that lacks its beginning or end, those acknowledged",
    ),
    "fast_retransmissions": ("", "after the peer's loss reports"),
    "timeout_retransmissions": ("", "by the retransmission timer"),
    "tail_loss_probes": ("", "probes of the last segment (RFC 8985)"),
    "recovery_retransmissions": ("", "after a time-out, clocked by acknowledgments"),
    "spurious_retransmissions": ("", "that were not needed"),
    "syn_retransmissions": ("", "SYNs or SYN-ACKs sent again"),
    "fin_retransmissions": ("", "FINs sent again"),
    "sent_again": ("", "packets sent again, whatever the cause: those annotated `retransmission`"),
    "sequenced_packets": ("", "packets with data, SYN or FIN"),
    "duplicate_captures": ("", "packets that the capture holds twice"),
    "network_duplicates": ("", "packets that the network doubled"),
    "lost_segments": ("", "holes seen in the stream"),
    "window_updates": ("", "window updates"),
    "window_fulls": ("", "packets that filled the peer's window exactly"),
    "zero_window_spells": ("", "times that this side's window closed"),
    "zero_window": ("s", "time that this side's window was closed"),
    "longest_zero_window": ("s", "longest such spell"),
    "delayed_acks": ("", "ACKs sent by the delayed-ACK timer"),
    "piggybacked_acks": ("", "ACKs of new data that rode on data"),
    "nagle_stalls": ("", "times that a small segment waited for the peer's delayed ACK (Nagle)"),
    "nagle": ("s", "time lost so"),
    "replies": ("", "times that this side answered the peer's data with data of its own that acknowledge some of them"),
    "reply_mean": (
        "s",
        "from the peer's last data to this side's first in answer, at the capture point: mean; not of half a second or more "
        "where the answer was the first to acknowledge what was asked, which may have come late",
    ),
    "reply_max": ("s", "longest"),
    "reply_max_frame": ("", "frame that ended the longest"),
    "reply_max_skipped": (
        "",
        "IP IDs of this side missing right before it: so many packets were lost before the capture point (Linux)",
    ),
    "first_data_skipped": ("", "the same, before its first data"),
    "recovery_episodes": ("", "times that loss was told by the peer's ACKs and repaired (fast recovery)"),
    "timeout_episodes": ("", "times that the retransmission timer ran out"),
    "slow_start_exit_bytes": ("bytes", "in flight at the first sign of loss: an estimate of where slow start ended"),
    "limited_application": ("s", "this side had nothing to send; with the four below and time_opening: the duration"),
    "limited_receiver": ("s", "it waited for the peer's receive window"),
    "limited_congestion": ("s", "it sent as fast as its congestion window, and so the path, let it"),
    "limited_loss": ("s", "it repaired losses, or waited to learn of them"),
    "limited_closing": ("s", "it had sent everything, FIN included, or the connection was reset"),
    "starved": (
        "s",
        "of limited_receiver: with less than half of the peer's largest window open, so its program was slow",
    ),
    "slow_start": ("s", "of limited_congestion: before the first sign of loss"),
    "congestion_window_bytes": (
        "bytes",
        "most sent in a round trip while the path was the limit: an estimate of the congestion window",
    ),
    "recovery_cut": ("", "in flight after fast recoveries, as a share of before (Reno 0.5, CUBIC 0.7, BBR near 1)"),
    "restarts": ("", "times that slow start began again after a pause (RFC 5681, 4.1)"),
    "restart_frame": ("", "first packet of the first such"),
    "window_edge_frame": ("", "first packet that reached the edge of the peer's window"),
    "small_segments_frame": ("", "first of the small segments"),
    "rtt_max_frame": ("", "acknowledgment that came after the longest round trip"),
    "small_segments": ("", "segments of less than half the MSS sent while others were not acknowledged"),
    "silly_segments": ("", "such that were no longer because the peer's window was full"),
    "lost_before_capture": ("", "of the segments sent again: the first copy never passed the capture point"),
    "lost_after_capture": ("", "... it did pass"),
    "lost_again": ("", "... and was a repetition already"),
    "timer": ("s", "silence of this side before what its retransmission timer repeated"),
    "back_off_longest": ("", "most retransmission time-outs in a row before an acknowledgment"),
    "back_off": ("s", "from the first copy to that acknowledgment"),
    "back_off_open": ("", "time-outs in a row that nothing had answered at the end"),
    "stuck_segment": ("bytes", "payload that time-outs repeated, longer than any that was ever acknowledged; 0: none"),
    "stuck_times": ("", "time-outs of it"),
    "stuck_heard": ("", "packets of the peer meanwhile"),
    "acked_segment": ("bytes", "longest segment acknowledged"),
    "spurious_by_delay": ("", "repetitions that were not needed: the answer to the first copy came after the timer"),
    "spurious_by_order": ("", "... the first copy was late or overtaken, and taken for lost"),
    "spurious_by_acks": ("", "... the peer had it, and no ACK had come: lost, late, or held back by the receiver"),
    "spurious_timeouts": ("", "of all these, that the retransmission timer had sent"),
    "overtaken": ("", "segments that came after their successors, though sent before them"),
    "reordering_bytes": ("bytes", "furthest that a segment of this side was overtaken"),
    "reordering": ("s", "longest that one came after its successor"),
    "delayed_ack_mean": ("s", "by which delayed ACKs were held back: mean"),
    "delayed_ack_max": ("s", "longest"),
    "zero_window_open": ("s", "of the spell that had not ended at the end"),
    "zero_window_probe_acks": ("", "answers to probes of this side's closed window"),
    "lost_window_updates": (
        "",
        "openings of this side's closed window after which the peer went on probing: it had not heard",
    ),
    "probe_openings": ("", "times that a probe of the peer found this side's closed window open"),
    "reach_samples": ("", "round trips from the capture point to this side, by time stamps, while it was sending"),
    "reach_min": ("s", "smallest"),
    "reach_mean": ("s", "mean"),
    "reach_max": ("s", "largest"),
    "challenge_acks": ("", "ACKs in answer to an unacceptable RST or SYN (RFC 5961)"),
    "urgent_packets": ("", "packets with URG"),
    "bad_checksums": ("", "packets with a wrong TCP checksum"),
    "offload_checksums": ("", "packets whose checksum was left to the network card"),
    "offloaded_segments": ("", "segments larger than the peer's MSS (segmentation offload)"),
    "ecn_ce": ("", "packets marked CE by the network (RFC 3168)"),
    "ecn_echo": ("", "packets with ECE, SYNs not counted"),
    "cwr": ("", "packets with CWR, SYNs not counted"),
    "first_data_frame": ("", "frame of the first payload"),
    "first_data": ("s", "time of the first payload, since the epoch"),
    "last_data": ("s", "time of the last payload"),
    "isn": ("", "initial sequence number"),
    "ttl": ("", "IP time to live of the first packet"),
    "last": ("s", "time of this side's last packet, since the epoch"),
    "syn_options": ("", "TCP options of its SYN"),
    "after_fin_bytes": ("bytes", "payload sent after the peer's FIN had come"),
    "keep_alive_rounds": ("", "times that it began to probe an idle peer"),
    "keep_alive_lost": ("", "most keep-alive probes in a row without an answer"),
    "keep_alive_idle": ("s", "silence before a first keep-alive probe, the shortest"),
    "keep_alive_interval": ("s", "between keep-alive probes without an answer"),
    "heartbeats": ("", "most data in a row that this side sent after about the same time of a second or more"),
    "heartbeat": ("s", "that time, where there are three or more: an application's heartbeat"),
}


def _side(role: str) -> list[Column]:
    columns = []
    for source, code in layout.SIDE_FIELDS:
        name = source.removesuffix("_ns")
        field = f"{role}_{source}"
        if name.startswith("dwell_"):
            state = name.removeprefix("dwell_").upper()
            columns.append(Column(f"{role}_{name}", "float", "s", f"time in {state}", Seconds(field)))
            continue
        unit, meaning = _SIDE_MEANINGS[name]
        if name == "syn_options":
            columns.append(Column(f"{role}_{name}", "list", unit, meaning, Bits(field, OPTIONS)))
            continue
        if source.endswith("_ns"):
            columns.append(Column(f"{role}_{name}", "float", unit, meaning, Seconds(field)))
        elif code == "d":
            columns.append(Column(f"{role}_{name}", "float", unit, meaning, Known(field)))
        else:
            value = Frame(field) if name.endswith("_frame") else Known(field)
            columns.append(Column(f"{role}_{name}", "int", unit, meaning, value))
    return columns


_TIMES = {
    "opening": "where the time went (the ten add up to the duration): the handshake",
    "client": "waiting for the client's program to send",
    "server": "waiting for the server's program to send",
    "network": "short data on their way, and answers",
    "congestion": "transferring as fast as the path and the congestion window let it",
    "receiver": "waiting for room in a receive window",
    "loss": "repairing losses told by the peer",
    "timeout": "waiting for a retransmission timer",
    "idle": "silence until it was closed or the capture ended",
    "closing": "from the last FIN or the RST on, and waiting for the second FIN",
}

CONNECTIONS = (
    Column("connection", "int", "", "number, from 0, by first packet", Same("connection")),
    Column("client_ip", "str", "", "client's address", Ip("client_addr")),
    Column("client_port", "int", "", "client's port", Same("client_port")),
    Column("server_ip", "str", "", "server's address", Ip("server_addr")),
    Column("server_port", "int", "", "server's port", Same("server_port")),
    Column("start", "float", "s", "first packet, since the epoch", Time("start_ns")),
    Column("duration", "float", "s", "first to last packet", Span("start_ns", "end_ns")),
    Column("client_state", "str", "", "client's state at the end", Word("client_state", layout.STATES)),
    Column("server_state", "str", "", "server's state at the end", Word("server_state", layout.STATES)),
    Column("close", "str", "", "how it ended: " + ", ".join(layout.CLOSE_KINDS), Word("close_kind", layout.CLOSE_KINDS)),
    Column("closed_by", "str", "", "who closed first: client, server, both at once, or null", Word("closed_by", SIDES)),
    Column("conn_state", "str", "", "as in Zeek's conn.log", Word("conn_state", layout.CONN_STATES)),
    Column("history", "str", "", "as in Zeek's conn.log", Text("history")),
    Column("completeness", "int", "", "as Wireshark's tcp.completeness: SYN 1, SYN-ACK 2, ACK 4, data 8, FIN 16, RST 32",
           Same("completeness")),
    Column("role_evidence", "str", "", "what told client from server: " + ", ".join(layout.ROLE_EVIDENCE),
           Word("role_evidence", layout.ROLE_EVIDENCE)),
    Column("capture_point", "str", "", "where the capture was taken: client, server, middle, unknown",
           Word("capture_point", layout.CAPTURE_POINTS)),
    Column("first_frame", "int", "", "frame of the first packet", Frame("first_frame")),
    Column("last_frame", "int", "", "frame of the last packet, in its file", Frame("last_frame")),
    Column("file", "int", "", "file of the first packet, from 0", Same("file")),
    Column("syn_rtt", "float", "s", "SYN to SYN-ACK: capture point to server and back", Seconds("syn_rtt_ns")),
    Column("ack_rtt", "float", "s", "SYN-ACK to ACK: capture point to client and back", Seconds("ack_rtt_ns")),
    Column("initial_rtt", "float", "s", "SYN to the handshake's ACK", Seconds("initial_rtt_ns")),
    Column("refused_after", "float", "s", "SYN to the RST that refused it", Seconds("refused_ns")),
    Column("pause", "float", "s", "latest silence of both sides of 5 s or more that no keep-alive ended", Seconds("pause_ns")),
    Column("pause_end", "float", "s", "when it ended, since the epoch", Seconds("pause_end_ns")),
    Column("idle_end", "float", "s", "silence when the capture ended, of a connection that had not", Seconds("idle_end_ns")),
    Column("reset", "float", "s", "first RST, since the epoch", Seconds("reset_ns")),
    Column("reset_by", "str", "", "who sent it", Word("reset_by", SIDES)),
    Column("reset_frame", "int", "", "its frame", Frame("reset_frame")),
    *(Column(f"time_{name}", "float", "s", meaning, Seconds(f"time_{name}_ns")) for name, meaning in _TIMES.items()),
    Column("half_close", "float", "s", "one side closed, the other still open", Seconds("half_close_ns")),
    Column("half_close_bytes", "int", "bytes", "payload sent in that time", Known("half_close_bytes")),
    Column("time_wait_owner", "str", "", "who rests in TIME_WAIT", Word("time_wait_owner", SIDES)),
    Column("time_wait_start", "float", "s", "since the epoch", Seconds("time_wait_start_ns")),
    Column("time_wait_end", "float", "s", "projected: 2 MSL later", Seconds("time_wait_end_ns")),
    Column("reused", "bool", "", "the four-tuple had a connection before", Truth("reused")),
    Column("reuse", "str", "", "of what: later: of one that was over; safe: in TIME_WAIT, with a later time stamp, or a higher number "
           "and no older time stamp (RFC 6191; RFC 1122, 4.2.2.13); risky: with neither; open: of one that was not closed", Word("reuse", layout.REUSE)),
    Column("fast_open", "bool", "", "data in the SYN (RFC 7413)", Truth("fast_open")),
    Column("fast_open_outcome", "str", "", "what became of it: cookie asked, given, or used; data accepted or refused",
           Word("fast_open_outcome", layout.FAST_OPEN)),
    Column("first_flags", "str", "", "flags of the first packet", Joined("first_flags", layout.FLAGS)),
    Column("simultaneous_open", "bool", "", "both sides sent SYN", Truth("simultaneous_open")),
    Column("one_direction", "bool", "", "only one side's packets were captured", Truth("one_direction")),
    Column("icmp", "str", "", "type/code of an ICMP error about it", Slashed("icmp_type", "icmp_code")),
    Column("service", "str", "", "application protocol, told by the first bytes (docs/services.md); null: they do not tell",
           Word("service", SERVICES)),
    Column("server_name", "str", "", "host that the client asked for: TLS server name, HTTP Host …", Name("server_name")),
    Column("client_hint", "str", "", "what the client's first bytes say: request line, banner, ClientHello …", Name("client_hint")),
    Column("server_hint", "str", "", "what the server's first bytes say: status line, banner, cipher …", Name("server_hint")),
    Column("tls_version", "str", "", "TLS version that the server chose", Word("tls_version", TLS_VERSIONS)),
    Column("alpn", "str", "", "application protocols that the client offers in TLS, or the one that the server says it chose",
           Name("alpn")),
    *_side("client"),
    *_side("server"),
)  # fmt: skip

TABLES = {"connections": CONNECTIONS, "packets": PACKETS, "events": EVENTS}
LAYOUTS = {"connections": layout.CONNECTION, "packets": layout.PACKET, "events": layout.EVENT}
