"""Data on their way: what was lost, which window closed, what set the pace."""

from __future__ import annotations

from tcpscope.diagnose.facts import Facts, by_server
from tcpscope.diagnose.finding import Finding
from tcpscope.diagnose.loss import again, loss
from tcpscope.diagnose.measure import both
from tcpscope.diagnose.pace import pace
from tcpscope.diagnose.windows import windows


def transfer(found: list[Facts]) -> list[Finding]:
    """Loss, flow control and pace, service by service."""
    findings = []
    for server, group in by_server(f for f in found if _sent(f)).items():
        heard = [f for f in group if not f.common["one_direction"]]  # without the ACKs nothing tells what set the pace
        findings += [*loss(server, group), *windows(server, group), *pace(server, heard)]
    return findings


def _sent(f: Facts) -> bool:
    """There was something to transfer, or a closed window; a flood or a scan has thousands without."""
    return bool(
        both(f, "data_packets") or both(f, "spurious_retransmissions") or both(f, "zero_window_spells")
        or again(f.client) or again(f.server)
    )  # fmt: skip
