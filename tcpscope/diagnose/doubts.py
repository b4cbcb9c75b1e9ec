"""How far what is wrong with the capture weakens what is found in it."""

from __future__ import annotations

from collections.abc import Collection

from tcpscope.diagnose.finding import Finding

# A finding about the capture: what it says of the others, how far it weakens them, and whether only those that share
# a connection with it.
WEAKENS: dict[str, tuple[str, str, bool]] = {
    "dropped": ("packets were dropped while capturing", "likely", False),
    "damaged": ("the file is damaged: what follows is not known", "likely", False),
    "missed": ("the capture missed bytes of connections", "likely", True),
    "clock_steps": ("the capture's clock was set back", "likely", False),
    "cut_headers": ("packets are cut inside the TCP header", "likely", False),
    "checksums": ("packets with wrong checksums may not have been taken", "likely", True),
}
MANY_MISSED = 5  # connections of which the capture missed bytes: it may have been filtered, and miss more of others
# Findings that rest on packets that are not there.
FROM_ABSENCE = frozenset(
    {
        "retransmissions",
        "timeouts",
        "tail_loss",
        "path_mtu",
        "dead_reader",
        "unanswered",
        "half_open",
        "vanished",
        "syn_lost",
        "syn_ack_lost",
        "close_wait",
        "handshake_ack_lost",
        "backlog_overflow",
        "reset",
        "reset_half_open",
        "idle_timeout",
        "peer_rebooted",
    }
)


# Findings that rest on what only a connection's beginning tells: who is client, which numbers are right.
FROM_BEGINNING = frozenset({"reset", "reset_half_open", "reset_injected", "reset_abort", "reset_unread"})


def doubt(findings: list[Finding], begun_before: Collection[int] = (), one_sided: Collection[int] = ()) -> None:
    """Lower the confidence of findings that rest on what the capture may have missed.

    begun_before: numbers of the connections that had begun when the capture did.  one_sided: of those of which it holds
    one direction only.
    """
    for f in findings:
        if f.id in FROM_BEGINNING and not set(f.connections).isdisjoint(begun_before):
            f.doubt("the capture begins in the middle of these connections")
        if f.id in FROM_ABSENCE and not set(f.connections).isdisjoint(one_sided):
            f.doubt("only one direction was captured", "possible")
    for weak in [f for f in findings if f.id in WEAKENS]:
        why, confidence, shared = WEAKENS[weak.id]
        for f in findings:
            everywhere = not shared or (weak.id == "missed" and weak.count >= MANY_MISSED)
            if f.id in FROM_ABSENCE and (everywhere or set(f.connections) & set(weak.connections)):
                f.doubt(why, confidence)
