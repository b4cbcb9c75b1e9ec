"""A baseline: what was wrong before, so that only what is new or worse fails.

Keyed by rule, measure, hosts and service, without the client's port, ephemeral ports and times.  Of several connections
judged together the number counts (a share, a sum), not how many they are.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from tcpscope.errors import UsageError

if TYPE_CHECKING:
    from tcpscope.check.verdict import Fixed, RuleResult

VERSION = 1
TOLERANCE = 0.1  # a number that is worse by less than this share is as it was


class Baseline:
    """known: key → how many, and the worst value (None: a word).  seen: the same of this run, for the next baseline."""

    def __init__(self, known: dict[str, dict[str, Any]] | None = None, tolerance: float = TOLERANCE) -> None:
        self.known = known or {}
        self.tolerance = tolerance
        self.seen: dict[str, dict[str, Any]] = {}

    def status(self, key: str, count: int, worst: float | None, least: bool) -> str:
        """new, worse or known; and remember it.  least: small values are the worse ones."""
        self._see(key, count, worst, least)
        before = self.known.get(key)
        if before is None:
            return "new"
        if count > before["count"]:
            return "worse"
        then = before["worst"]
        if worst is None or then is None:
            return "known"
        slack = abs(then) * self.tolerance
        return "worse" if (worst < then - slack if least else worst > then + slack) else "known"

    def _see(self, key: str, count: int, worst: float | None, least: bool) -> None:
        """What of several captures, each judged on its own, is enough for every one."""
        if (other := self.seen.get(key)) is not None:
            count = max(count, other["count"])
            values = [it for it in (worst, other["worst"]) if it is not None]
            worst = (min if least else max)(values, default=None)
        self.seen[key] = {"count": count, "worst": worst}

    def fixed(self, rules: list[RuleResult]) -> list[Fixed]:
        """What this run has no more, of the rules that were judged."""
        from tcpscope.check.verdict import Fixed

        judged = {it.id for it in rules if it.status != "inconclusive"}
        found = []
        for key, before in self.known.items():
            rule = key.partition(" | ")[0]
            if key not in self.seen and rule in judged:
                found.append(Fixed(rule, key, "", before["count"]))
        return found

    def document(self) -> dict[str, Any]:
        """What is written: sorted, so that two of them can be compared line by line."""
        return {"version": VERSION, "violations": dict(sorted(self.seen.items()))}


def load_baseline(path: str, tolerance: float = TOLERANCE) -> Baseline:
    """The baseline in this file; UsageError if there is none, or it is no baseline."""
    import orjson

    try:
        with open(path, "rb") as stream:
            found = orjson.loads(stream.read())
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror or error}; tcpscope check --update-baseline writes one") from None
    except orjson.JSONDecodeError:
        raise UsageError(f"{path}: no baseline: it is not JSON") from None
    known = found.get("violations") if isinstance(found, dict) and found.get("version") == VERSION else None
    if not isinstance(known, dict) or not all(map(_sound, known.values())):
        raise UsageError(f"{os.fspath(path)}: no baseline of version {VERSION}; --update-baseline writes one")
    return Baseline(known, tolerance)


def _sound(entry: Any) -> bool:
    if not isinstance(entry, dict):
        return False
    count, worst = entry.get("count"), entry.get("worst")
    return isinstance(count, int) and (worst is None or isinstance(worst, int | float))
