"""What it means: findings from the connections' records, worst first."""

from __future__ import annotations

from typing import Any

from tcpscope.diagnose.closing import closing
from tcpscope.diagnose.doubts import doubt
from tcpscope.diagnose.facts import Collected
from tcpscope.diagnose.finding import Finding, worst_first
from tcpscope.diagnose.opening import opening
from tcpscope.diagnose.recording import recording
from tcpscope.diagnose.transfer import transfer
from tcpscope.diagnose.waiting import waiting

__all__ = ["Collected", "Finding", "diagnose", "findings"]


def findings(odd: Collected, files: list[dict[str, Any]], names: list[str]) -> list[Finding]:
    """All findings about the connections collected, and about the files they come from."""
    odd.facts.sort(key=lambda f: f.number)
    found = [*opening(odd), *waiting(odd.facts), *transfer(odd.facts), *closing(odd), *recording(odd, files, names)]
    doubt(found)
    return worst_first(found)


def diagnose(connections: bytes, files: list[dict[str, Any]], names: list[str], evidence: bytes = b"") -> list[Finding]:
    """All findings about these packed connection records, and about the files they come from."""
    odd = Collected()
    odd.take(connections, evidence)
    return findings(odd, files, names)
