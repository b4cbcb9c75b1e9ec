"""What there is to know of one kind of finding, whatever the capture."""

from __future__ import annotations

from typing import NamedTuple


class Entry(NamedTuple):
    """id: the finding's.  title: a few words.  mechanism: what TCP does here and why, for a reader who does not know.

    rule: what tcpscope looks for, with its thresholds.  unlike: what looks alike and is not meant.  rfc: where it is
    written, "RFC 9293, 3.5.2".  hint: what to try, in general.  sample: a capture of sample_pcaps/ that shows it, and
    `part`, the part of its ladder to show: "handshake", "close", "frame:N", or "" for all.
    """

    id: str
    title: str
    mechanism: str
    rule: str
    unlike: str
    rfc: tuple[str, ...]
    hint: str
    sample: str = ""
    part: str = ""
