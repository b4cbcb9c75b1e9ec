"""One episode is one finding: what a stronger finding explains is not told again."""

from __future__ import annotations

from tcpscope.diagnose.finding import Finding

_RESETS = ("reset_abort", "reset_unread", "reset_at_close", "reset_after_close")
_REPEATED = ("timeouts", "retransmissions", "spurious", "tail_loss")

# A finding, and those that it explains where they are about the same connections.
EXPLAINS: dict[str, tuple[str, ...]] = {
    "vanished": _REPEATED,
    "idle_timeout": (*_REPEATED, "slow_server"),
    "backlog_overflow": (
        *_REPEATED,
        "vanished",
        "slow_server",
        "slow_handshake",
        "reset_unread",
        "reset_abort",
        "half_open",
    ),
    "syn_lost": ("spurious",),
    "syn_ack_lost": ("spurious",),
    "handshake_ack_lost": ("spurious",),
    "path_mtu": ("vanished", "retransmissions", "timeouts"),
    "dead_reader": ("vanished", "no_answer"),
    "not_unicast": ("unanswered",),
    "no_answer": ("reset_abort",),
    "port_reuse": ("unanswered", "half_open", "reset_half_open"),
    "reset_injected": ("reset_half_open",),
    "tls_given_up": _RESETS,
    "tls_not_spoken": _RESETS,
}


def episodes(findings: list[Finding]) -> list[Finding]:
    """Those that no other explains; a finding whose connections are not all named stays."""
    covered: dict[str, set[int]] = {}
    for f in findings:
        for id in EXPLAINS.get(f.id, ()):
            if id in _REPEATED and f.numbers.get("earlier"):
                continue  # there was loss before, of which it says nothing
            covered.setdefault(id, set()).update(f.connections)
    return [
        f for f in findings
        if f.id not in covered or f.count > len(f.connections) or not set(f.connections) <= covered[f.id]
    ]  # fmt: skip
