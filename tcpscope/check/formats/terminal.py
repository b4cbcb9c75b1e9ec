"""For a person: the verdict, the rules, what violates them, and ladders; plain in a pipe."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from io import StringIO
from typing import IO

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from tcpscope.check.formats.checked import Checked, frames
from tcpscope.check.verdict import FAIL, INCONCLUSIVE, PASS, SKIPPED, RuleResult, Verdict, Violation
from tcpscope.diagnose.facts import times
from tcpscope.report.terminal import console, print_overview
from tcpscope.report.text import safe

SHOWN = 10  # violations of a rule
COLOURS = {PASS: "bold green", FAIL: "bold red", INCONCLUSIVE: "bold yellow", "warning": "yellow", "note": "cyan",
           SKIPPED: "dim", "error": "bold red"}  # fmt: skip
LADDER = 100  # columns in a pipe


def print_checks(checks: list[Checked], stream: IO[str], utc: bool = True) -> None:
    """All of it; in a pipe without trailing blanks."""
    page = stream if stream.isatty() else StringIO()
    out = console(page)
    for at, check in enumerate(checks):
        if at:
            out.print()
        _print(out, check, utc)
    if isinstance(page, StringIO):
        stream.writelines(line.rstrip() + "\n" for line in page.getvalue().splitlines())


def _print(out: Console, check: Checked, utc: bool) -> None:
    verdict = check.verdict
    print_overview(out, verdict.summary, utc)
    out.print()
    _rules(out, verdict.rules)
    for rule in verdict.rules:
        if rule.violations and rule.total > rule.known:
            _violations(out, rule)
    for line in _notes(verdict):
        out.print(line)
    for one in check.drawn:
        _ladder(out, check, one)
    out.print()
    out.print(Text(verdict.result, style=COLOURS[verdict.result]) + Text(_summary(verdict)))
    if verdict.result == INCONCLUSIVE or (verdict.result == FAIL and verdict.reasons):
        for reason in verdict.reasons:
            out.print(Padding(Text(f"inconclusive: {safe(reason)}", style="yellow"), (0, 0, 0, 2)))
    if any(rule.status == FAIL for rule in verdict.rules):
        option = f" --policy {safe(verdict.policy)}" if verdict.policy else ""
        out.print(Text(f"tcpscope check{option} --explain RULE tells why a rule is there", style="dim"))


def _word(rule: RuleResult) -> str:
    return rule.severity if rule.status == FAIL and rule.severity != "error" else rule.status


def _rules(out: Console, rules: list[RuleResult]) -> None:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column()
    for rule in rules:
        word = _word(rule)
        told = Text(safe(rule.title)) + Text(_count(rule), style="bold" if rule.status == FAIL else "dim")
        table.add_row(Text(word, style=COLOURS.get(word, "")), Text(rule.id), told)
    out.print(table)


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


def _violations(out: Console, rule: RuleResult) -> None:
    out.print()
    out.print(Text(f"{rule.id}: ", style=COLOURS.get(_word(rule), "")) + Text(safe(rule.title)))
    shown = [it for it in rule.violations if it.status != "known"]
    shown.sort(key=lambda it: bool(it.excused))
    for one in shown[:SHOWN]:
        out.print(Padding(_told(one), (0, 0, 0, 2)))
    left = rule.total - rule.known - min(len(shown), SHOWN)
    if left > 0:
        out.print(f"  … and {left:,} more")


def _told(one: Violation) -> Text:
    where, measured, rest = one.message.partition(f"{one.measure} {one.measured}")
    told = Text(safe(where)) + Text(safe(measured), style="bold") + Text(safe(rest))
    if one.connection is None and one.connections:
        numbers = ", ".join(map(str, one.connections[:5])) + (" …" if one.count > 5 else "")
        told += Text(f"; connection{'s' if one.count != 1 else ''} {numbers}", style="dim")
    if one.frames:
        told += Text(f"; {frames(one)}", style="dim")
    if one.status in ("new", "worse"):
        told += Text(f" [{one.status}]", style="yellow")
    if one.excused:
        told += Text(f" (allowed: {safe(one.excused)})", style="green")
    return told


def _notes(verdict: Verdict) -> Iterator[Text]:
    """The allow-list's and the baseline's news."""
    lines: list[Text] = []
    for allow in verdict.allows:
        rules = safe(", ".join(allow.rules))
        if allow.expired:
            lines.append(
                Text(f"expired: {rules} was allowed until {allow.until}: {safe(allow.reason)}", style="bold red")
            )
        elif not allow.excused:
            lines.append(Text(f"not needed: the allowance of {rules}: {safe(allow.reason)}", style="dim"))
    for fixed in verdict.fixed:
        count = f" ({times(fixed.count, 'time')})" if fixed.count > 1 else ""
        lines.append(Text(f"fixed since the baseline: {safe(fixed.key)}{count}", style="green"))
    if lines:
        yield Text()
        yield from lines


def _ladder(out: Console, check: Checked, one: Violation) -> None:
    terminal = out.is_terminal
    width = shutil.get_terminal_size().columns if terminal else min(out.width, LADDER)
    drawn = check.ladder(one, width=max(width, 60))
    if not drawn:
        return
    out.print()
    number = one.connection if one.connection is not None else one.connections[0]
    out.print(Text(f"{one.rule}: connection {number}" + (f", {frames(one, 5)}" if one.frames else ""), style="bold"))
    for line in drawn.splitlines():
        out.print(Text(line), soft_wrap=True)


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
