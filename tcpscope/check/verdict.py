"""What came of a check: the verdict, each rule's result, each violation."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, field
from typing import Any

PASS, FAIL, INCONCLUSIVE, SKIPPED = "pass", "fail", "inconclusive", "skipped"
EXIT = {PASS: 0, FAIL: 1, INCONCLUSIVE: 3}
SEVERITIES = ("error", "warning", "note")


@dataclass
class Violation:
    """One thing that is not as the policy wants it.

    rule, title, severity: of the rule.  connection: its number, or None where several are judged together; then
    `group` says which ("10.0.0.2:80", "all connections") and `connections` numbers a few of them, the worst first.
    client, server: "10.0.0.1:40000".  measure: what was compared, `finding ID` for a finding.  measured, allowed: as
    text; value, bound: the numbers, in seconds, bytes or as a share of 1, None where it is a word.  frames: numbers of
    frames that show it, the first one best, in the file number `file`.  part: "handshake", "close" or "", the part of
    the ladder to show.  count: how many it stands for.  key: what stays the same from run to run, without the
    client's port and times.  status: against a baseline: "new", "worse", "known", or "" without one.  excused: the
    reason of the allow-list, or "".
    """

    rule: str
    title: str
    severity: str
    connection: int | None
    client: str
    server: str
    measure: str
    measured: str
    allowed: str
    key: str
    group: str = ""
    connections: list[int] = field(default_factory=list)
    value: float | None = None
    bound: float | None = None
    frames: list[int] = field(default_factory=list)
    file: int = 0
    part: str = ""
    count: int = 1
    status: str = ""
    excused: str = ""
    fingerprint: str = ""

    @property
    def where(self) -> str:
        """`connection 3, 10.0.0.1:40000 → 10.0.0.2:80`, or the group."""
        return self.group if self.connection is None else f"connection {self.connection}, {self.client} → {self.server}"

    @property
    def message(self) -> str:
        """One line: where, what was measured, what is allowed."""
        if self.measure.startswith("finding "):
            return f"{self.where}: {self.measured} ({self.measure})"
        return f"{self.where}: {self.measure} {self.measured}, allowed: {self.allowed}"

    @property
    def counts(self) -> bool:
        """Whether it makes the rule fail: it is neither excused nor known from the baseline."""
        return not self.excused and self.status != "known"

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "message": self.message}


@dataclass
class RuleResult:
    """One rule.  status: pass, fail, inconclusive, or skipped: there was nothing to judge, and that is all right.

    selected: connections; unknown: of these, how many had no value.
    violations: all that are listed, worst first; total: how many there are; excused, known: of these, by the
    allow-list and by the baseline.  note: why it is inconclusive, or what else is to be said.
    """

    id: str
    title: str
    severity: str
    status: str = PASS
    selected: int = 0
    unknown: int = 0
    total: int = 0
    excused: int = 0
    known: int = 0
    violations: list[Violation] = field(default_factory=list)
    note: str = ""
    why: str = ""
    line: int = 0

    def as_dict(self) -> dict[str, Any]:
        told = {name: value for name, value in self.__dict__.items() if name != "violations"}
        return {**told, "violations": [it.as_dict() for it in self.violations]}


@dataclass
class GateResult:
    """One bound of the quality gate; value None: not known."""

    name: str
    meaning: str
    ok: bool
    value: float | None
    measured: str
    allowed: str


@dataclass
class AllowResult:
    """One entry of the allow-list.  expired: it excuses nothing any more.

    excused: how many violations, also of several connections of which it takes some out; and connections that are not
    known, where that would be inconclusive.
    """

    rules: list[str]
    reason: str
    until: str | None
    expired: bool
    excused: int


@dataclass
class Fixed:
    """What the baseline has and the capture no longer."""

    rule: str
    key: str
    measured: str
    count: int


@dataclass
class Verdict:
    """result: pass, fail or inconclusive; `bool(verdict)` is whether it is pass.

    rules, gate, allows: in the policy's order.  files: the captures.  policy: its path, or None.  summary: the
    overview of `tcpscope analyze --format json`.  fixed: see Baseline.  warnings: what is wrong with the files.
    """

    result: str
    rules: list[RuleResult]
    gate: list[GateResult]
    allows: list[AllowResult]
    files: list[str]
    policy: str | None
    title: str
    summary: dict[str, Any]
    warnings: list[str] = field(default_factory=list)
    fixed: list[Fixed] = field(default_factory=list)

    def __bool__(self) -> bool:
        return self.result == PASS

    @property
    def exit_code(self) -> int:
        """0 pass, 1 fail, 3 inconclusive."""
        return EXIT[self.result]

    @property
    def violations(self) -> list[Violation]:
        """All that count, of all rules: the most severe first, then as the rules stand, the worst first."""
        every = [it for rule in self.rules for it in rule.violations if it.counts]
        return sorted(every, key=lambda it: SEVERITIES.index(it.severity))

    @property
    def reasons(self) -> list[str]:
        """Why it is inconclusive, a line each."""
        told = [f"{it.meaning}: {it.measured}, allowed: {it.allowed}" for it in self.gate if not it.ok]
        return told + [f"{it.id}: {it.note}" for it in self.rules if it.status == INCONCLUSIVE]

    def as_dict(self) -> dict[str, Any]:
        """For JSON: all of it."""
        return {
            "version": 1, "result": self.result, "exit_code": self.exit_code, "policy": self.policy,
            "title": self.title, "files": self.files, "reasons": self.reasons,
            "rules": [it.as_dict() for it in self.rules],
            "gate": [asdict(it) for it in self.gate], "allow": [asdict(it) for it in self.allows],
            "fixed": [asdict(it) for it in self.fixed], "warnings": self.warnings, "summary": self.summary,
        }  # fmt: skip


def fingerprint(*parts: str) -> str:
    """A stable name for what these texts tell apart."""
    return hashlib.sha256("\0".join(parts).encode("utf-8", "backslashreplace")).hexdigest()[:32]
