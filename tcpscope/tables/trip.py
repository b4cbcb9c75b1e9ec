"""The round trip of a path that a table shows in one column, out of the handshake's and those of data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

FIELDS = ("initial_rtt_ns", "syn_rtt_ns", "client_rtt_min_ns", "server_rtt_min_ns", "fast_open", "simultaneous_open",
          "client_syn_retransmissions", "server_syn_retransmissions", "reused")  # fmt: skip


def round_trip(record: Mapping[str, Any]) -> int:
    """From the client to the server and back, ns: the handshake's or the least that data took; <= 0: not known.

    The two halves, on either side of the capture point, have a least each.  A handshake in which a SYN was repeated,
    or carried data, or met another, or an old connection, measures something else (Karn; RFC 6298, 3).
    """
    first = record["initial_rtt_ns"] if record["initial_rtt_ns"] > 0 else record["syn_rtt_ns"]
    halves = record["client_rtt_min_ns"], record["server_rtt_min_ns"]
    if min(halves) < 0:
        return int(first)
    strange = any(record[name] for name in FIELDS[4:]) or record["initial_rtt_ns"] <= 0
    return int(sum(halves) if strange else min(first, sum(halves)))
