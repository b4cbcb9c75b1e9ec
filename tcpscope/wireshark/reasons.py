"""Why tcpscope's annotation and Wireshark's mark of the same name differ: one row, one reason.

Rows are tried in order.  A reason stands for a packet when Wireshark's mark (or its absence) and
one of tcpscope's annotations are as the row says.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

ONLY_WIRESHARK, ONLY_TCPSCOPE = "Wireshark", "tcpscope"

# who has the mark, the mark, an annotation of tcpscope's on the packet ("" any), the reason
REASONS = (
    (ONLY_WIRESHARK, "", "duplicate_capture", "the same packet was captured twice: same IP ID and checksum, moments apart"),
    (ONLY_WIRESHARK, "", "network_duplicate", "the network doubled the packet: same IP ID and checksum"),
    (ONLY_WIRESHARK, "retransmission", "simultaneous_open", "the SYN-ACK of a simultaneous open repeats the SYN's number (RFC 9293, 3.5)"),
    (ONLY_WIRESHARK, "", "out_of_order", "an older IP ID or timestamp: it was sent before what had been seen, the network reordered it"),
    (ONLY_WIRESHARK, "keep_alive", "zero_window_probe", "the peer's window is zero: the persist timer, not the keep-alive timer"),
    (ONLY_WIRESHARK, "keep_alive", "retransmission", "the byte had not been acknowledged: it was sent again"),
    (ONLY_WIRESHARK, "duplicate_ack", "time_wait_ack", "the answer to a repeated FIN (RFC 9293, 3.10.7.4); nothing is outstanding"),
    (ONLY_WIRESHARK, "duplicate_ack", "keep_alive_ack", "the answer to a keep-alive"),
    (ONLY_WIRESHARK, "duplicate_ack", "zero_window_probe_ack", "the answer to a window probe"),
    (ONLY_WIRESHARK, "duplicate_ack", "challenge_ack", "the answer to an unacceptable RST or SYN (RFC 5961)"),
    (ONLY_WIRESHARK, "duplicate_ack", "", "nothing was outstanding, so it is no duplicate ACK (RFC 5681, 2)"),
    (ONLY_WIRESHARK, "keep_alive_ack", "zero_window_probe_ack", "what it answers was a window probe"),
    (ONLY_WIRESHARK, "keep_alive_ack", "", "what it answers was no keep-alive"),
    (ONLY_WIRESHARK, "zero_window_probe_ack", "", "what it answers was no window probe"),
    (ONLY_WIRESHARK, "zero_window_probe", "", "new data, or data sent again"),
    (ONLY_WIRESHARK, "out_of_order", "fast_retransmission", "a newer IP ID or timestamp, after the peer had reported the loss: sent again"),
    (ONLY_WIRESHARK, "out_of_order", "retransmission", "a newer IP ID or timestamp, or seen before: sent again"),
    (ONLY_WIRESHARK, "fast_retransmission", "timeout_retransmission", "it came after silence as long as the retransmission timer"),
    (ONLY_WIRESHARK, "fast_retransmission", "tail_loss_probe", "it came after silence, and is the last segment: a probe (RFC 8985)"),
    (ONLY_WIRESHARK, "fast_retransmission", "rto_recovery", "the sender was repairing after a time-out"),
    (ONLY_WIRESHARK, "spurious_retransmission", "zero_window_probe", "a probe of the closed window, not data sent again"),
    (ONLY_WIRESHARK, "spurious_retransmission", "", "nothing shows that it was not needed"),
    (ONLY_WIRESHARK, "lost_segment", "", "the hole was told before, when the peer acknowledged what the capture lacks"),
    (ONLY_WIRESHARK, "ack_lost_segment", "", "what it acknowledges was seen, or had been acknowledged before"),
    (ONLY_WIRESHARK, "retransmission", "zero_window_probe", "a probe of the closed window"),
    (ONLY_WIRESHARK, "retransmission", "", "the number lies behind, but what it carries was not sent before"),
    (ONLY_WIRESHARK, "reused_ports", "", "a SYN-ACK with another number belongs to the connection its SYN began"),
    (ONLY_TCPSCOPE, "fast_retransmission", "", "the peer had reported the loss (SACK, duplicate ACKs); three or 20 ms are not asked for (RFC 8985)"),
    (ONLY_TCPSCOPE, "spurious_retransmission", "", "a later D-SACK or timestamp echo shows that the first copy had arrived"),
    (ONLY_TCPSCOPE, "keep_alive_ack", "", "the answer to a keep-alive, whatever its window"),
    (ONLY_TCPSCOPE, "zero_window_probe", "", "no byte, the number before SND.UNA, and the peer's window is zero: how Linux probes"),
    (ONLY_TCPSCOPE, "zero_window_probe_ack", "", "the answer to a window probe"),
    (ONLY_TCPSCOPE, "out_of_order", "", "an older IP ID or timestamp: it was sent before what had been seen"),
    (ONLY_TCPSCOPE, "retransmission", "", "sent before, or newer by IP ID or timestamp than what lies behind it"),
    (ONLY_TCPSCOPE, "duplicate_ack", "", "data is outstanding and nothing new was acknowledged"),
    (ONLY_TCPSCOPE, "ack_lost_segment", "", "it acknowledges more than the capture has seen; Wireshark tells so once a hole"),
    (ONLY_TCPSCOPE, "reused_ports", "", "a connection with these ports ended before"),
)  # fmt: skip


def reason(who: str, mark: str, packet: Mapping[str, Any]) -> str:
    """Why `who` alone gives this packet the mark.  packet: a row of `packets`."""
    found = set(packet["annotations"])
    for side, name, annotation, text in REASONS:
        if side == who and name in ("", mark) and (not annotation or annotation in found):
            if packet["retransmission_of"] and "retransmission" in found:
                return f"{text} (frame {packet['retransmission_of']})"
            return text
    return "the two judge by different rules (docs/differences.md)"
