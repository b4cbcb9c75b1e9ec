"""Markdown for a step summary, a merge request or a wiki, with ladders as Mermaid, which code hosts draw."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tcpscope.check.formats.checked import Checked, frames
from tcpscope.check.verdict import FAIL, INCONCLUSIVE, PASS, SKIPPED, RuleResult
from tcpscope.diagnose.facts import times
from tcpscope.report.text import safe

SHOWN = 50  # violations in the table
ROWS = 40  # of a ladder
MARKS = {PASS: "✅ pass", FAIL: "❌ fail", INCONCLUSIVE: "❔ inconclusive", SKIPPED: "– skipped"}
_SYNTAX = re.compile(r"([\\`*_{}\[\]<>()#+!|~@&$-])")


def escaped(text: str) -> str:
    """Text that Markdown and HTML take as text, also in a table's cell."""
    return _SYNTAX.sub(lambda it: f"&#{ord(it[1])};", safe(text))


def text(checks: list[Checked]) -> str:
    """The page."""
    return "\n".join(line for check in checks for line in _one(check)) + "\n"


def _mark(rule: RuleResult) -> str:
    return f"⚠️ {rule.severity}" if rule.status == FAIL and rule.severity != "error" else MARKS[rule.status]


def _one(check: Checked) -> Iterator[str]:
    verdict = check.verdict
    yield f"## tcpscope check: {MARKS[verdict.result]} – {escaped(check.name)}"
    yield ""
    o = verdict.summary
    yield (
        f"{times(o['tcp_packets'], 'TCP packet')}, {times(o['connections'])}, "
        f"by {escaped(verdict.policy or verdict.title)}."
    )
    yield ""
    for reason in verdict.reasons:
        yield f"- **inconclusive:** {escaped(reason)}"
    for allow in verdict.allows:
        if allow.expired:
            rules = escaped(", ".join(allow.rules))
            yield f"- **expired allowance:** {rules}, until {allow.until}: {escaped(allow.reason)}"
    yield ""
    yield "| rule | | violations |"
    yield "|---|---|---|"
    for rule in verdict.rules:
        yield f"| {escaped(rule.id)}: {escaped(rule.title)} | {_mark(rule)} | {_counts(rule)} |"
    yield ""
    found = verdict.violations
    if found:
        yield "| rule | where | measured | allowed | frames |"
        yield "|---|---|---|---|---|"
        for one in found[:SHOWN]:
            cells = (one.rule, one.where, f"{one.measure} {one.measured}", one.allowed, frames(one))
            yield "| " + " | ".join(map(escaped, cells)) + " |"
        yield ""
        left = sum(it.total - it.excused - it.known for it in verdict.rules) - min(len(found), SHOWN)
        if left > 0:
            yield f"… and {left:,} more."
            yield ""
    for fixed in verdict.fixed:
        yield f"- no longer found: {escaped(fixed.key)}"
    for one in check.drawn:
        drawn = check.ladder(one, "mermaid", max_rows=ROWS)
        if drawn:
            yield f"<details><summary>{escaped(one.rule)}: {escaped(one.where)}</summary>"
            yield ""
            yield "```mermaid"
            yield drawn.rstrip("\n")
            yield "```"
            yield ""
            yield "</details>"
            yield ""


def _counts(rule: RuleResult) -> str:
    parts = []
    counting = rule.total - rule.excused - rule.known
    if counting:
        parts.append(f"{counting:,}")
    if rule.known:
        parts.append(f"{rule.known:,} known")
    if rule.excused:
        parts.append(f"{rule.excused:,} allowed")
    if rule.note and rule.status in (INCONCLUSIVE, SKIPPED):
        parts.append(escaped(rule.note))
    return ", ".join(parts)
