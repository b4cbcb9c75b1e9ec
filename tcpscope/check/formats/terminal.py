"""For a person: the verdict, the rules, what violates them, and ladders; plain in a pipe."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO

from tcpscope.check.formats.checked import Checked, frames
from tcpscope.check.verdict import FAIL, INCONCLUSIVE, PASS, SKIPPED, RuleResult, Verdict, Violation
from tcpscope.diagnose.facts import times
from tcpscope.report.printer import Printer, Words, words
from tcpscope.report.terminal import print_overview
from tcpscope.report.text import safe

SHOWN = 10  # violations of a rule
COLOURS = {PASS: "bold green", FAIL: "bold red", INCONCLUSIVE: "bold yellow", "warning": "yellow", "note": "cyan",
           SKIPPED: "dim", "error": "bold red"}  # fmt: skip
LADDER = 100  # columns in a pipe


def print_checks(checks: list[Checked], stream: IO[str], utc: bool = True) -> None:
    """All of it."""
    out = Printer(stream)
    for at, check in enumerate(checks):
        if at:
            out.line()
        _print(out, check, utc)


def _print(out: Printer, check: Checked, utc: bool) -> None:
    verdict = check.verdict
    print_overview(out, verdict.summary, utc)
    out.line()
    _rules(out, verdict.rules)
    for rule in verdict.rules:
        if rule.violations and rule.total > rule.known:
            _violations(out, rule)
    for line in _notes(verdict):
        out.line(line)
    for one in check.drawn:
        _ladder(out, check, one)
    out.line()
    out.line(words(verdict.result, COLOURS[verdict.result]) + words(_summary(verdict)))
    if verdict.result == INCONCLUSIVE or (verdict.result == FAIL and verdict.reasons):
        for reason in verdict.reasons:
            out.line(f"inconclusive: {safe(reason)}", "yellow", indent=2)
    if any(rule.status == FAIL for rule in verdict.rules):
        option = f" --policy {safe(verdict.policy)}" if verdict.policy else ""
        out.line(f"tcpscope check{option} --explain RULE tells why a rule is there", "dim")


def _word(rule: RuleResult) -> str:
    return rule.severity if rule.status == FAIL and rule.severity != "error" else rule.status


def _rules(out: Printer, rules: list[RuleResult]) -> None:
    rows: list[list[Words | str]] = []
    for rule in rules:
        word = _word(rule)
        told = words(safe(rule.title)) + words(_count(rule), "bold" if rule.status == FAIL else "dim")
        rows.append([words(word, COLOURS.get(word, "")), rule.id, told])
    out.columns(rows, wrapped=2)


def _count(rule: RuleResult) -> str:
    parts = []
    counting = rule.total - rule.excused - rule.known
    if counting:
        parts.append(times(counting, "violation"))
    if rule.known:
        parts.append(f"{rule.known:,} known from the baseline")
    if rule.excused:
        parts.append(f"{rule.excused:,} allowed")
    if rule.note:
        parts.append(safe(rule.note))
    return f" ({', '.join(parts)})" if parts else ""


def _violations(out: Printer, rule: RuleResult) -> None:
    out.line()
    out.line(words(f"{rule.id}: ", COLOURS.get(_word(rule), "")) + words(safe(rule.title)))
    shown = [it for it in rule.violations if it.status != "known"]
    shown.sort(key=lambda it: bool(it.excused))
    for one in shown[:SHOWN]:
        out.line(_told(one), indent=2)
    left = rule.total - rule.known - min(len(shown), SHOWN)
    if left > 0:
        out.line(f"  … and {left:,} more")


def _told(one: Violation) -> Words:
    where, measured, rest = one.message.partition(f"{one.measure} {one.measured}")
    told = words(safe(where)) + words(safe(measured), "bold") + words(safe(rest))
    if one.connection is None and one.connections:
        numbers = ", ".join(map(str, one.connections[:5])) + (" …" if one.count > 5 else "")
        told += words(f"; connection{'s' if one.count != 1 else ''} {numbers}", "dim")
    if one.frames:
        told += words(f"; {frames(one)}", "dim")
    if one.status in ("new", "worse"):
        told += words(f" [{one.status}]", "yellow")
    if one.excused:
        told += words(f" (allowed: {safe(one.excused)})", "green")
    return told


def _notes(verdict: Verdict) -> Iterator[Words]:
    """The allow-list's and the baseline's news."""
    lines: list[Words] = []
    for allow in verdict.allows:
        rules = safe(", ".join(allow.rules))
        if allow.expired:
            lines.append(words(f"expired: {rules} was allowed until {allow.until}: {safe(allow.reason)}", "bold red"))
        elif not allow.excused:
            lines.append(words(f"not needed: the allowance of {rules}: {safe(allow.reason)}", "dim"))
    for fixed in verdict.fixed:
        count = f" ({times(fixed.count, 'time')})" if fixed.count > 1 else ""
        lines.append(words(f"no longer found: {safe(fixed.key)}{count}", "green"))
    if lines:
        yield ()
        yield from lines


def _ladder(out: Printer, check: Checked, one: Violation) -> None:
    drawn = check.ladder(one, width=max(out.width if out.terminal else min(out.width, LADDER), 60))
    if not drawn:
        return
    out.line()
    number = one.connection if one.connection is not None else one.connections[0]
    out.line(f"{one.rule}: connection {number}" + (f", {frames(one, 5)}" if one.frames else ""), "bold")
    for line in drawn.splitlines():
        out.whole(line)


def _summary(verdict: Verdict) -> str:
    failed = [it for it in verdict.rules if it.status == FAIL]
    errors = sum(it.severity == "error" for it in failed)
    parts = [f"{times(errors, 'rule')} of {len(verdict.rules)} violated"] if errors else []
    if len(failed) > errors:
        parts.append(times(len(failed) - errors, "warning"))
    known = sum(it.known for it in verdict.rules)
    if known:
        parts.append(f"{known:,} known from the baseline")
    by = safe(verdict.policy or verdict.title or "the policy")
    if verdict.policy and verdict.title:
        by = f"{by}, {safe(verdict.title)}"
    return f" by {by}" + (": " + ", ".join(parts) if parts else "")
