"""What it means: findings from the connections' records, worst first."""

from __future__ import annotations

from typing import Any

from tcpscope.diagnose.answers import answers
from tcpscope.diagnose.closing import closing
from tcpscope.diagnose.doubts import doubt
from tcpscope.diagnose.episodes import episodes
from tcpscope.diagnose.facts import Collected
from tcpscope.diagnose.finding import Finding, worst_first
from tcpscope.diagnose.handshake import handshake
from tcpscope.diagnose.opening import opening
from tcpscope.diagnose.recording import one_sided, recording
from tcpscope.diagnose.resets import resets
from tcpscope.diagnose.scans import scans
from tcpscope.diagnose.staying import staying
from tcpscope.diagnose.tls import tls
from tcpscope.diagnose.transfer import transfer
from tcpscope.diagnose.waiting import waiting
from tcpscope.wire.layout import file_at, frame_at

__all__ = ["Collected", "Finding", "diagnose", "findings"]


def findings(odd: Collected, files: list[dict[str, Any]], names: list[str], steps: int = 0) -> list[Finding]:
    """All findings about the connections collected, and about the files they come from.

    steps: times that the capture's clock went back.
    """
    odd.close()
    odd.facts.sort(key=lambda f: f.number)
    scanning, others = scans(odd.facts)
    rest = odd.only(others)
    probes = {f.number for f in odd.facts} - {f.number for f in others}
    found = [*scanning, *opening(rest), *handshake(others), *tls(others), *waiting(others), *answers(others),
             *transfer(others), *staying(rest), *resets(rest), *closing(rest),
             *recording(odd, files, names, steps, probes)]  # fmt: skip
    found = episodes(found)
    doubt(found, {f.number for f in odd.facts if f.begun_before}, {f.number for f in odd.facts if one_sided(f)})
    for it in found:
        if len(names) > 1:
            it.files = [names[file_at(spot)] for spot in it.frames]
        it.frames = [frame_at(spot) for spot in it.frames]
    return worst_first(found)


def diagnose(
    connections: bytes, files: list[dict[str, Any]], names: list[str], evidence: bytes = b"", steps: int = 0
) -> list[Finding]:
    """All findings about these packed connection records, and about the files they come from."""
    odd = Collected()
    odd.take(connections, evidence)
    return findings(odd, files, names, steps)
