"""A finding: one thing that a person should know, with what proves it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

SEVERITIES = ("error", "warning", "note")


@dataclass
class Finding:
    """id: stable name.  text: one plain sentence.  frames: that prove it, at most a few.

    connections: the numbers of those concerned (at most MANY kept), count: how many in all.
    side: which end to look at ("client", "server", "path", "capture").  numbers: the measure, by name.
    """

    id: str
    severity: str
    text: str
    advice: str
    side: str
    connections: list[int] = field(default_factory=list)
    count: int = 0
    frames: list[int] = field(default_factory=list)
    numbers: dict[str, float] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def worst_first(findings: list[Finding]) -> list[Finding]:
    """By severity, then by how many connections it concerns."""
    return sorted(findings, key=lambda f: (SEVERITIES.index(f.severity), -f.count, f.id))
