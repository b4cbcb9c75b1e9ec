"""Names and types of the Segment's fields, for Python's `struct` and numpy."""

from __future__ import annotations

import struct
from typing import Any

SEGMENT_FIELDS: tuple[tuple[str, str], ...] = (
    ("time_ns", "q"), ("frame", "Q"), ("payload_at", "Q"), ("flow", "I"), ("outer", "I"), ("src", "16s"),
    ("dst", "16s"), ("sport", "H"), ("dport", "H"), ("seq", "I"), ("ack", "I"), ("length", "I"), ("captured", "I"),
    ("options", "I"), ("ts_val", "I"), ("ts_ecr", "I"), ("ip_id", "I"),
    ("flags", "H"), ("window", "H"), ("urgent", "H"), ("checksum", "H"), ("file", "H"), ("interface", "H"),
    ("mss", "H"), ("hint", "H"), ("ttl", "B"), ("tos", "B"), ("ip_version", "B"), ("header_length", "B"),
    ("checksum_state", "B"), ("notes", "B"), ("kind", "B"), ("n_sack", "B"), ("window_scale", "B"),
    ("cookie_length", "B"), ("icmp_type", "B"), ("icmp_code", "B"), ("sack", "32s"),
)  # fmt: skip

# Of Segment.flags and Segment.options, as segment.pxd has them.
FIN, SYN, RST, PSH, ACK, URG, ECE, CWR, AE = (1 << bit for bit in range(9))
OPT_MSS, OPT_WSCALE, OPT_SACK_PERMITTED, OPT_SACK, OPT_TIMESTAMPS = (1 << bit for bit in range(5))
OPT_CUT = 0x8000

FRAME_BITS = 47  # of a spot: its frame; above them its file (segment.pxd has the same)

SEGMENT = struct.Struct("@" + "".join(code for _, code in SEGMENT_FIELDS) + "0q")


def spot(frame: Any, file: Any) -> Any:
    """A frame of a file in one number, as the replay remembers it; of the first file that is the frame's own."""
    return frame | file << FRAME_BITS


def frame_at(spot: Any) -> Any:
    """Of a spot, or of an array of them: the frame's number in its file."""
    return spot & ((1 << FRAME_BITS) - 1)


def file_at(spot: Any) -> Any:
    """... and the number of its file."""
    return spot >> FRAME_BITS


def as_dicts(raw: bytes) -> list[dict[str, object]]:
    """The segments of `SegmentBatch.tobytes()`, a dict each (for tests and exploration)."""
    names = [name for name, _ in SEGMENT_FIELDS]
    return [dict(zip(names, values, strict=True)) for values in SEGMENT.iter_unpack(raw)]


# What first bytes tell; by position, from 1, in hints.pxd.
SERVICES = (
    "tls", "http", "websocket", "http2", "ssh", "dns", "postgresql", "mysql", "redis", "mongodb", "amqp", "mqtt",
    "kafka", "smtp", "ftp", "pop3", "imap", "rdp", "smb", "netbios", "bgp", "ldap", "memcached", "sip", "rtsp",
    "bittorrent", "git", "vnc", "rsync", "nats", "tds", "tns", "dcerpc", "kerberos", "sunrpc", "xmpp", "irc", "telnet",
    "socks", "cassandra", "diameter", "x11", "nntp",
)  # fmt: skip
TLS_VERSIONS = ("SSL 3.0", "TLS 1.0", "TLS 1.1", "TLS 1.2", "TLS 1.3")
