"""One capture that was judged, with the ladders of its violations; what all formats share."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from tcpscope.check.ladders import Ladders, safe_lines
from tcpscope.check.observed import Observed
from tcpscope.check.verdict import FAIL, INCONCLUSIVE, PASS, SEVERITIES, Verdict, Violation
from tcpscope.report.text import named, safe

WIDTH = 100  # columns of a ladder in a file


@dataclass
class Checked:
    """A verdict and the capture it is about.  ladders: of `drawn`, the violations that are shown with one."""

    observed: Observed
    verdict: Verdict
    ladders: int
    _ladders: Ladders | None = field(default=None, repr=False)

    @property
    def drawn(self) -> list[Violation]:
        """The violations that get a ladder: the first ones, each rule once before any gets a second."""
        seen: dict[str, int] = {}
        order = []
        for at, it in enumerate(self.verdict.violations):
            seen[it.rule] = seen.get(it.rule, 0) + 1
            order.append((SEVERITIES.index(it.severity), seen[it.rule], at, it))
        return [it for *_, it in sorted(order, key=lambda key: key[:3])[: self.ladders]]

    def ladder(self, violation: Violation, form: str = "text", **how: Any) -> str:
        """Its ladder, "" for a violation without one."""
        drawn = self.drawn
        if not any(it is violation for it in drawn):
            return ""
        if self._ladders is None:
            self._ladders = Ladders(self.observed, drawn)
        return self._ladders.render(violation, form, **how)

    @property
    def name(self) -> str:
        """What the capture is called: its name without the folder, or the first and the last of several."""
        names = [safe(named(it)) for it in self.verdict.files]
        return names[0] if len(names) == 1 else f"{names[0]} … {names[-1]}"


def overall(checks: list[Checked]) -> str:
    """Of several captures judged each on its own: fail if one fails, then inconclusive."""
    results = {it.verdict.result for it in checks}
    return FAIL if FAIL in results else INCONCLUSIVE if INCONCLUSIVE in results else PASS


def described(check: Checked, violation: Violation) -> str:
    """A violation in lines: what, where, which frames, and its ladder where it has one."""
    lines = [violation.message, frames(violation)]
    drawn = check.ladder(violation, width=WIDTH)
    return safe_lines("\n".join(line for line in lines if line)) + ("\n" + drawn if drawn else "")


def frames(violation: Violation, most: int = 10) -> str:
    """`frame 6`, `frames 5, 7, 9 …`; "" without any."""
    if not violation.frames:
        return ""
    word = "frame" if len(violation.frames) == 1 else "frames"
    return f"{word} {', '.join(map(str, violation.frames[:most]))}" + (" …" if len(violation.frames) > most else "")


def place(check: Checked, violation: Violation, line: int) -> tuple[str, int]:
    """The file and line that a code host can show: the rule in the policy's file, else the capture."""
    if check.verdict.policy is not None:
        return relative(check.verdict.policy), max(line, 1)
    names = check.verdict.files
    return relative(names[violation.file if violation.file < len(names) else 0]), 1


def relative(path: str) -> str:
    """The path from here, if it is below, with forward slashes."""
    try:
        found = os.path.relpath(path)
    except ValueError:  # another drive
        return path.replace(os.sep, "/")
    return (path if found.startswith(os.pardir) else found).replace(os.sep, "/")


def uri(path: str) -> str:
    """The same as a URI reference."""
    return quote(relative(path).encode("utf-8", "surrogateescape"))
