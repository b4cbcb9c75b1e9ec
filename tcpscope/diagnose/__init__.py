"""What it means: findings from the connections' records, worst first."""

from __future__ import annotations

from typing import Any

from tcpscope.diagnose.closing import closing
from tcpscope.diagnose.facts import facts
from tcpscope.diagnose.finding import Finding, worst_first
from tcpscope.diagnose.opening import opening
from tcpscope.diagnose.recording import recording
from tcpscope.diagnose.transfer import transfer

__all__ = ["Finding", "diagnose"]


def diagnose(connections: bytes, files: list[dict[str, Any]], names: list[str]) -> list[Finding]:
    """All findings about these packed connection records, and about the files they come from."""
    found = list(facts(connections))
    return worst_first([*opening(found), *transfer(found), *closing(found), *recording(found, files, names)])
