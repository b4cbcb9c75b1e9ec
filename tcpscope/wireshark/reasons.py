"""Why tcpscope's annotations are not Wireshark's marks: one row a pair of opinions, first match wins.

A row holds for a mark that Wireshark alone sets beside one of tcpscope's annotations, and for an
annotation that tcpscope alone sets beside one of Wireshark's marks.  NONE: the other says nothing
that decides; ANY: whatever the other says.  The same reasons, as prose: docs/differences.md.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from tcpscope.wireshark import evidence
from tcpscope.wireshark.evidence import Evidence

NONE = ""
ANY = "*"


class Reason(NamedTuple):
    wireshark: str
    tcpscope: str
    says: str
    evidence: Evidence


REASONS = tuple(Reason(*row) for row in (
    # captured or delivered twice, sent once
    (ANY, "duplicate_capture", "the same packet was captured twice, not sent twice", evidence.same_packet),
    (ANY, "network_duplicate", "the network doubled the packet; it was sent once", evidence.same_packet),

    # probes and their answers
    ("keep_alive", "zero_window_probe", "the peer's window is zero: the persist timer sent it (RFC 9293, 3.8.6.1), "
     "not the keep-alive timer", evidence.closed_window),
    ("keep_alive_ack", "zero_window_probe_ack", "it answers a probe of a closed window", evidence.closed_window),
    (NONE, "zero_window_probe_ack", "it answers a probe of a closed window, which Wireshark took for a keep-alive "
     "or saw without its byte", evidence.closed_window),
    (ANY, "zero_window_probe", "the peer's window is zero: the persist timer sent it (RFC 9293, 3.8.6.1)",
     evidence.closed_window),
    ("keep_alive", "retransmission", "data is outstanding: it was sent again; a keep-alive probe is sent when "
     "nothing is (RFC 9293, 3.8.4)", evidence.repeats),

    # opening and closing
    ("retransmission", "simultaneous_open", "the SYN-ACK of a simultaneous open repeats the SYN's number "
     "(RFC 9293, 3.5, figure 8)", evidence.nothing),

    # acknowledgments
    ("duplicate_ack", "time_wait_ack", "TIME_WAIT acknowledges a repeated FIN (RFC 9293, 3.10.7.4); nothing is "
     "outstanding", evidence.outstanding),
    ("duplicate_ack", "challenge_ack", "it answers an unacceptable segment (RFC 5961)", evidence.nothing),
    ("duplicate_ack", "keep_alive_ack", "it answers a keep-alive probe", evidence.nothing),
    ("duplicate_ack", "zero_window_probe_ack", "it answers a probe of a closed window", evidence.closed_window),
    ("duplicate_ack", "ack_without_flag", "without the ACK flag it acknowledges nothing", evidence.nothing),

    ("duplicate_ack", "dsack", "it reports bytes that arrived twice (D-SACK, RFC 2883) while nothing is outstanding",
     evidence.outstanding),

    # sent again, or late
    ("retransmission", "out_of_order", "it was sent before what the capture has already shown: the network "
     "reordered it", evidence.order),
    ("spurious_retransmission", "out_of_order", "it was sent before what the capture has already shown",
     evidence.order),
    ("fast_retransmission", "out_of_order", "it was sent before what the capture has already shown",
     evidence.order),
    ("out_of_order", "retransmission", "it was sent after what the capture has already shown: sent again, not late; "
     "Wireshark goes by the time alone", evidence.order),
    ("fast_retransmission", "timeout_retransmission", "the retransmission timer sent it: the peer's news were too old",
     evidence.news),
    ("fast_retransmission", "rto_recovery", "recovery after a time-out sent it", evidence.news),
    ("fast_retransmission", "tail_loss_probe", "the probe timer sent it (RFC 8985, 7)", evidence.news),
    ("spurious_retransmission", "retransmission", "the peer's acknowledgment does not count: it stood in a segment "
     "that was thrown away, or came without the ACK flag", evidence.already_acked),

    ("retransmission", "lost_segment", "its number lies beyond all that was sent before: a gap, no repetition",
     evidence.reached),
    ("spurious_retransmission", "lost_segment", "its number lies beyond all that was sent before: a gap, no repetition",
     evidence.reached),
    ("retransmission", "reset_abort", "a RST has nothing to send again", evidence.nothing),
    ("retransmission", "reset_no_socket", "a RST has nothing to send again", evidence.nothing),
    ("retransmission", "reset_refused", "a RST has nothing to send again", evidence.nothing),

    # a segment the receiver throws away
    ("ack_lost_segment", "bad_checksum", "its checksum is wrong: the receiver throws it away, so it acknowledges "
     "nothing (RFC 9293, 3.1)", evidence.nothing),

    # one of them says nothing
    ("reused_ports", NONE, "only a SYN opens a new connection; another number in a SYN-ACK does not",
     evidence.nothing),
    ("duplicate_ack", NONE, "a duplicate ACK needs outstanding data (RFC 5681, 2)", evidence.outstanding),
    (NONE, "fast_retransmission", "the peer's reports of a loss suffice (RFC 6675; RACK, RFC 8985); Wireshark asks "
     "for two duplicate ACKs, the last within 20 ms, and the first missing byte", evidence.news),
    (NONE, "spurious_retransmission", "the peer had it already, by its acknowledgments, SACK, D-SACK (RFC 2883), a "
     "timestamp's echo (RFC 3522) or an answer too early for the copy (RFC 5682); Wireshark asks for data "
     "acknowledged before", evidence.already_acked),
    (NONE, "retransmission", "its bytes were sent before, by number", evidence.repeats),
    ("retransmission", NONE, "its bytes were not sent before, as far as intact segments show", evidence.repeats),
    ("spurious_retransmission", NONE, "its bytes come right behind their acknowledgment and were not captured before: it "
     "was captured late, not sent again", evidence.already_acked),
    ("out_of_order", NONE, "its bytes come right behind their acknowledgment and were not captured before: it was "
     "captured late", evidence.already_acked),
    ("lost_segment", NONE, "a gap is told once, by the first segment that shows it and has a place in the stream",
     evidence.gap),
    (NONE, "lost_segment", "a gap is told by the first segment behind it that has a place in the stream; Wireshark "
     "may have told it at a bare ACK", evidence.reached),
    ("ack_lost_segment", NONE, "told once for each number: this one was acknowledged or sent before",
     evidence.told_before),
    (NONE, "ack_lost_segment", "it acknowledges bytes that the capture does not show; Wireshark says so once, and only "
     "where it has seen data before", evidence.not_seen),
    ("keep_alive", NONE, "no probe: a keep-alive repeats the number before SND.UNA while nothing is outstanding "
     "(RFC 9293, 3.8.4)", evidence.no_probe),
    (NONE, "keep_alive", "it repeats the number before SND.UNA while nothing is outstanding (RFC 9293, 3.8.4)",
     evidence.nothing),
    ("keep_alive_ack", NONE, "what it answers was no keep-alive probe", evidence.nothing),
    (NONE, "keep_alive_ack", "it answers a keep-alive probe", evidence.nothing),
    ("zero_window_probe", NONE, "no probe: the byte does not lie behind a closed window", evidence.closed_window),
    ("zero_window_probe_ack", NONE, "what it answers was no probe of a closed window", evidence.closed_window),
))  # fmt: skip

OTHERWISE = Reason(ANY, ANY, "the rules differ: see docs/differences.md", evidence.nothing)


def reason(name: str, wireshark: Collection[str], tcpscope: Collection[str]) -> Reason:
    """Why only one of them says `name`, given all that each says of the packet."""
    if name in wireshark:
        return _first((name, ANY), (*tcpscope, NONE))
    return _first((*(set(wireshark) - set(tcpscope)), NONE, ANY), (name,))


def _first(theirs: Collection[str], ours: Collection[str]) -> Reason:
    for row in REASONS:
        if row.wireshark in theirs and row.tcpscope in ours:
            return row
    return OTHERWISE
