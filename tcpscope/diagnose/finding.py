"""A finding: one thing that a person should know, with what proves it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from itertools import groupby
from operator import itemgetter
from typing import Any

SEVERITIES = ("error", "warning", "note")
CONFIDENCES = ("certain", "likely", "possible")


@dataclass
class Finding:
    """id: stable name, an entry of the catalogue.  text: one plain sentence.  frames: that prove it, at most a few.

    connections: the numbers of those concerned (at most MANY kept), count: how many in all.
    side: which end to look at ("client", "server", "path", "capture").  numbers: the measure, by name.
    confidence: "certain": the packets leave no other reading; "likely": another is possible, and rarer;
    "possible": others are as good.  doubts: what makes it less than certain, a clause each.
    files: where there are several captures, of each frame the one in which it stands: frames are counted anew in each.
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
    confidence: str = "certain"
    doubts: list[str] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    server: str = ""  # the service that all its connections are with, address and port

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    def by_file(self, most: int | None = None) -> list[tuple[str, list[int]]]:
        """Its first frames, in their order, by capture; `[("", [3, 5])]` where there is only one."""
        files = self.files or [""] * len(self.frames)
        pairs = zip(files[:most], self.frames[:most], strict=True)
        return [(file, [frame for _, frame in group]) for file, group in groupby(pairs, itemgetter(0))]

    def doubt(self, why: str, confidence: str = "likely") -> None:
        """Less certain than it was, for this reason."""
        self.doubts.append(why)
        self.confidence = max(self.confidence, confidence, key=CONFIDENCES.index)


def worst_first(findings: list[Finding]) -> list[Finding]:
    """By severity, then by how many connections it concerns."""
    return sorted(findings, key=lambda f: (SEVERITIES.index(f.severity), -f.count, f.id))
