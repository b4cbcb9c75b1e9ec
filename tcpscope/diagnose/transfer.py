"""Data on their way: what was lost, which window closed, what set the pace."""

from __future__ import annotations

from tcpscope.diagnose.facts import Facts, by_server, having
from tcpscope.diagnose.finding import Finding
from tcpscope.diagnose.loss import REPEATED, loss
from tcpscope.diagnose.measure import without_acks
from tcpscope.diagnose.pace import pace
from tcpscope.diagnose.windows import windows


def transfer(found: list[Facts]) -> list[Finding]:
    """Loss, flow control and pace, service by service."""
    findings = []
    # there was something to transfer, or a closed window; a flood or a scan has thousands without
    for server, group in by_server(having(found, "data_packets", "zero_window_spells", *REPEATED)).items():
        heard = [
            f for f in group if not f.common["one_direction"] and not without_acks(f)
        ]  # without the ACKs nothing tells what set the pace
        findings += [*loss(server, group), *windows(server, group), *pace(server, heard)]
    return findings
