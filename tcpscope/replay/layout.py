"""Names and types of the replay's records for Python's `struct` and numpy, and the words behind their numbers."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from operator import itemgetter
from typing import Any

Raw = bytes | bytearray | memoryview

STATES = ("CLOSED", "LISTEN", "SYN_SENT", "SYN_RECEIVED", "ESTABLISHED", "FIN_WAIT_1", "FIN_WAIT_2",
          "CLOSE_WAIT", "CLOSING", "LAST_ACK", "TIME_WAIT", "UNKNOWN")  # fmt: skip
ROLES = ("client", "server")
ROLE_EVIDENCE = ("syn", "syn_ack", "port", "first_packet")
CONN_STATES = ("OTH", "S0", "S1", "SF", "REJ", "S2", "S3", "RSTO", "RSTR", "RSTOS0", "RSTRH", "SH", "SHR")
CLOSE_KINDS = (
    "open",
    "fin",
    "reset",
    "refused",
    "unanswered",
    "timeout",
    "half_closed",
    "half_open",
    "unreachable",
)
FAST_OPEN = ("asked", "given", "used", "accepted", "refused")
REUSE = ("later", "safe", "risky", "open")
CLOSED_BY = {0: "client", 1: "server", 2: "both"}
CAPTURE_POINTS = ("unknown", "client", "server", "middle")
FLAGS = ("FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR", "AE")

# What Wireshark's TCP analysis marks, under its names without `tcp.analysis.`; bit = position.
WIRESHARK = (
    "retransmission", "fast_retransmission", "spurious_retransmission", "out_of_order", "lost_segment",
    "ack_lost_segment", "duplicate_ack", "window_update", "window_full", "zero_window", "zero_window_probe",
    "zero_window_probe_ack", "keep_alive", "keep_alive_ack", "reused_ports",
)  # fmt: skip

# tcpscope's own: Wireshark's names where they mean the same, then what Wireshark does not tell.  Bit = position.
ANNOTATIONS = (
    *WIRESHARK,
    "timeout_retransmission", "tail_loss_probe", "syn_retransmission", "syn_ack_retransmission",
    "fin_retransmission", "rto_recovery", "dsack", "delayed_ack", "piggybacked_ack", "challenge_ack",
    "duplicate_capture", "network_duplicate", "bad_checksum", "offload_checksum", "offloaded",
    "time_wait_ack", "simultaneous_open", "fast_open", "reset_refused", "reset_abort", "reset_no_socket",
    "malformed_options", "ack_without_flag", "urgent", "ecn_ce", "ecn_echo", "cwr", "data_on_syn",
    "clock_step", "nagle_stall",
)  # fmt: skip

PACKET_FIELDS = (
    ("frame", "Q"), ("order", "Q"), ("time_ns", "q"), ("payload_at", "Q"), ("annotations", "Q"), ("retransmission_of", "Q"),
    ("acked_frame", "Q"), ("rtt_ns", "q"), ("ack_rtt_ns", "q"), ("initial_rtt_ns", "q"), ("src", "16s"),
    ("dst", "16s"), ("connection", "I"), ("wireshark", "I"), ("seq", "I"), ("ack", "I"), ("seq_raw", "I"),
    ("ack_raw", "I"), ("length", "I"), ("window", "I"), ("bytes_in_flight", "I"), ("duplicate_ack_num", "I"),
    ("ts_val", "I"), ("ts_ecr", "I"), ("options", "I"), ("sack", "32s"), ("sport", "H"), ("dport", "H"),
    ("flags", "H"), ("window_raw", "H"), ("mss", "H"), ("file", "H"), ("window_scale", "B"), ("n_sack", "B"),
    ("sender", "B"), ("client_state", "B"), ("server_state", "B"), ("ip_version", "B"), ("ttl", "B"),
    ("checksum_state", "B"),
)  # fmt: skip

EVENT_FIELDS = (
    ("time_ns", "q"), ("frame", "Q"), ("order", "Q"), ("connection", "I"), ("port", "H"), ("file", "H"),
    ("ip", "16s"), ("ip_version", "B"), ("endpoint", "B"), ("kind", "B"), ("old", "B"), ("new", "B"),
    ("event", "B"), ("inferred", "B"), ("padding", "B"),
)  # fmt: skip

EVIDENCE_FIELDS = (
    ("frame", "Q"), ("time_ns", "q"), ("connection", "I"), ("file", "H"), ("annotation", "B"), ("side", "B"),
)  # fmt: skip

PAIR_FIELDS = (
    ("client", "16s"), ("server", "16s"), ("port", "H"), ("version", "B"), ("used", "B"),
    *((f"number_{at}", "I") for at in range(4)),
    *((name, "q") for name in ("connections", "opened", "packets", "overhead", "bytes", "time_wait", "half_open",
                               "unanswered", "refused", "idle", "idle_longest_ns", "first_ns", "last_ns")),
    *((f"frame_{at}", "Q") for at in range(4)),
)  # fmt: skip

END_FIELDS = (
    ("connections", "q"), ("second", "q"), ("server", "16s"), ("port", "H"), ("version", "B"), ("close_kind", "B"),
    ("closed_by", "B"), ("used", "B"),
)  # fmt: skip

_DOUBLES = {"rtt_mean_ns", "rtt_std_ns", "throughput", "goodput", "recovery_cut"}
TIMES = ("opening", "client", "server", "network", "congestion", "receiver", "loss", "timeout", "idle", "closing")
# What a person calls sent again; `retransmissions` are tcptrace's, by numbers alone.
SENT_AGAIN = tuple(f"{role}_sent_again" for role in ROLES)
SIDE_COLUMNS = (
    "packets", "data_packets", "bytes", "unique_bytes", "retransmissions", "retransmitted_bytes", "out_of_order",
    "pure_acks", "sack_packets", "dsack_packets", "duplicate_acks", "pushed_packets", "syn_packets",
    "fin_packets", "rst_packets", "zero_windows", "zero_window_probes", "keep_alives", "mss", "window_scale",
    "max_segment", "min_segment", "max_window", "min_window", "max_in_flight", "initial_window_bytes",
    "rtt_samples", "rtt_min_ns", "rtt_max_ns", "rtt_mean_ns", "rtt_std_ns", "rtt_p50_ns", "rtt_p95_ns",
    "rtt_p99_ns", "srtt_ns", "rto_ns", "idle_max_ns", "throughput", "goodput", "stream_length", "missed_bytes",
    "fast_retransmissions", "timeout_retransmissions", "tail_loss_probes", "recovery_retransmissions", "spurious_retransmissions",
    "syn_retransmissions", "fin_retransmissions", "sent_again", "sequenced_packets", "duplicate_captures", "network_duplicates", "lost_segments",
    "window_updates", "window_fulls", "zero_window_spells", "zero_window_ns", "longest_zero_window_ns",
    "delayed_acks", "piggybacked_acks", "nagle_stalls", "nagle_ns", "replies", "reply_mean_ns", "reply_max_ns", "reply_max_frame",
    "reply_max_skipped", "first_data_skipped",
    "recovery_episodes", "timeout_episodes", "slow_start_exit_bytes",
    "limited_application_ns", "limited_receiver_ns", "limited_congestion_ns", "limited_loss_ns",
    "limited_closing_ns", "starved_ns", "slow_start_ns", "congestion_window_bytes", "recovery_cut", "restarts",
    "restart_frame", "window_edge_frame", "small_segments_frame", "rtt_max_frame", "small_segments", "silly_segments", "lost_before_capture", "lost_after_capture",
    "lost_again", "timer_ns", "back_off_longest", "back_off_ns", "back_off_open", "stuck_segment", "stuck_times",
    "stuck_heard", "acked_segment", "spurious_by_delay", "spurious_by_order", "spurious_by_acks", "spurious_timeouts",
    "overtaken", "reordering_bytes", "reordering_ns", "delayed_ack_mean_ns", "delayed_ack_max_ns", "zero_window_open_ns",
    "zero_window_probe_acks", "lost_window_updates", "probe_openings", "reach_samples", "reach_min_ns", "reach_mean_ns", "reach_max_ns",
    "challenge_acks", "urgent_packets", "bad_checksums",
    "offload_checksums", "offloaded_segments", "ecn_ce", "ecn_echo", "cwr", "first_data_ns", "first_data_frame", "last_data_ns",
    "isn", "ttl", "last_ns", "syn_options", "after_fin_bytes", "keep_alive_rounds", "keep_alive_lost", "keep_alive_idle_ns",
    "keep_alive_interval_ns", "heartbeats", "heartbeat_ns", *(f"dwell_{state.lower()}_ns" for state in STATES),
)  # fmt: skip
SIDE_FIELDS = tuple((name, "d" if name in _DOUBLES else "q") for name in SIDE_COLUMNS)

CONNECTION_FIELDS = (
    ("start_ns", "q"), ("end_ns", "q"), ("first_frame", "Q"), ("last_frame", "Q"), ("syn_rtt_ns", "q"),
    ("ack_rtt_ns", "q"), ("initial_rtt_ns", "q"), ("half_close_ns", "q"), ("half_close_bytes", "q"),
    ("time_wait_start_ns", "q"), ("time_wait_end_ns", "q"), ("refused_ns", "q"),
    ("syn_ack_ns", "q"), ("ack_ns", "q"), ("pause_ns", "q"), ("pause_end_ns", "q"), ("reset_ns", "q"),
    ("idle_end_ns", "q"), ("reset_frame", "Q"),
    *((f"time_{name}_ns", "q") for name in TIMES),
    *((f"{role}_{name}", code) for role in ROLES for name, code in SIDE_FIELDS),
    ("client_addr", "16s"), ("server_addr", "16s"), ("connection", "I"), ("outer", "I"), ("reset_bits", "I"),
    ("reuse_gap_ms", "I"), ("client_port", "H"), ("server_port", "H"), ("file", "H"), ("first_flags", "H"),
    ("ip_version", "B"), ("client_state", "B"), ("server_state", "B"),
    ("role_evidence", "B"), ("conn_state", "B"), ("completeness", "B"), ("close_kind", "B"), ("closed_by", "B"),
    ("capture_point", "B"), ("time_wait_owner", "B"), ("reused", "B"), ("reuse", "B"),
    ("first_side", "B"), ("pause_by", "B"), ("reset_ttl", "B"), ("reset_by", "B"), ("echoed", "B"), ("ignored", "B"),
    ("fast_open_outcome", "B"), ("fast_open", "B"),
    ("simultaneous_open", "B"), ("one_direction", "B"), ("icmp_type", "B"), ("icmp_code", "B"),
    ("odd", "B"), ("service", "B"), ("tls_version", "B"), ("history", "48s"), ("server_name", "100s"),
    ("alpn", "28s"), ("client_hint", "120s"), ("server_hint", "120s"),
)  # fmt: skip


def _size(code: str) -> int:
    return int(code[:-1]) if code.endswith("s") else struct.calcsize("=" + code)


def _offsets(codes: Sequence[str]) -> Iterator[int]:
    """Where fields of these types begin, each aligned to its size, as the C compiler does."""
    at = 0
    for code in codes:
        size = _size(code)
        if not code.endswith("s"):
            at = -(-at // size) * size
        yield at
        at += size


class Layout:
    """One record type: its `struct.Struct`, its field names and, on demand, its numpy dtype."""

    def __init__(self, fields: tuple[tuple[str, str], ...]) -> None:
        self.names = tuple(name for name, _ in fields)
        self.codes = tuple(code for _, code in fields)
        # a trailing "0q" pads to eight bytes, as the C compiler does
        self.struct = struct.Struct("@" + "".join(self.codes) + "0q")
        self.size = self.struct.size
        self._offsets = dict(zip(self.names, _offsets(self.codes), strict=True))
        self._plans: dict[tuple[str, ...], tuple[struct.Struct, Any]] = {}

    def dicts(self, raw: Raw) -> Iterator[dict[str, Any]]:
        """The records in `raw`, a dict each; loads no numpy."""
        for values in self.struct.iter_unpack(raw):
            yield dict(zip(self.names, values, strict=True))

    def select(self, raw: Raw, names: Sequence[str]) -> Iterator[tuple[Any, ...]]:
        """Of each record in `raw` the fields named (two at least), as a tuple; loads no numpy."""
        form, order = self._plan(tuple(names))
        return map(order, form.iter_unpack(raw))

    def _plan(self, names: tuple[str, ...]) -> tuple[struct.Struct, Any]:
        """How to unpack these fields, the rest skipped as padding, and to put them in order; made once."""
        if names not in self._plans:
            wanted = sorted(names, key=self.names.index)
            form, at = "=", 0
            for name in wanted:
                offset, code = self.offset(name), self.codes[self.names.index(name)]
                form += f"{offset - at}x{code}"
                at = offset + struct.calcsize("=" + code)
            order = itemgetter(*(wanted.index(name) for name in names))
            self._plans[names] = struct.Struct(f"{form}{self.size - at}x"), order
        return self._plans[names]

    def offset(self, name: str) -> int:
        """Where the field begins, bytes from the record's start."""
        return self._offsets[name]

    def places(self, names: Sequence[str], prefix: str = "") -> dict[str, int]:
        """Where and what the fields of these names are, which have the prefix in the record: for a `record.Record`."""
        codes = dict(zip(self.names, self.codes, strict=True))
        return {
            name: self._offsets[prefix + name] << 16 | _size(code) << 8 | ord(code[-1])
            for name in names
            for code in [codes[prefix + name]]
        }

    def dtype(self) -> Any:
        """The numpy structured dtype of the record."""
        import numpy

        formats = [f"V{code[:-1]}" if code.endswith("s") else code for code in self.codes]
        offsets = [self.offset(name) for name in self.names]
        return numpy.dtype({"names": list(self.names), "formats": formats, "offsets": offsets, "itemsize": self.size})


PACKET = Layout(PACKET_FIELDS)
EVENT = Layout(EVENT_FIELDS)
EVIDENCE = Layout(EVIDENCE_FIELDS)
CONNECTION = Layout(CONNECTION_FIELDS)
PAIR = Layout(PAIR_FIELDS)
END = Layout(END_FIELDS)
