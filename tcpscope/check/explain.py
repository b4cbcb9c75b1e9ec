"""One rule of a policy in words, for `tcpscope check --explain`; and a policy's rules as a list."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator

from tcpscope.check.assertions import Test
from tcpscope.check.policy import Policy, Rule
from tcpscope.report.text import safe

WIDTH = 100


def explained(policy: Policy, rule: Rule) -> str:
    """What it asserts, of which connections, what its measures mean, who is excused."""
    from fnmatch import fnmatchcase

    lines = [f"{rule.id}: {rule.title}", *(["", _filled(rule.why)] if rule.why.strip() else []), ""]
    lines += [_row("severity", rule.severity), _row("about", _about(rule)), _row("judged", _judged(rule))]
    for test in (*rule.tests, *rule.totals):
        lines.append(_row("must be", f"{test.name} {test.allowed}"))
    if rule.findings:
        spared = f", but not {', '.join(rule.spared)}" if rule.spared else ""
        lines.append(_row("must not be", f"findings {', '.join(rule.findings)}{spared}"))
    lines.append(
        _row("not known", {"skip": "the connection is left out", "fail": "fails"}.get(rule.unknown, rule.unknown))
    )
    lines.append(_row("nothing to judge", "all right" if rule.empty == "pass" else rule.empty))
    for allow in policy.allows:
        if any(fnmatchcase(rule.id, pattern) for pattern in allow.rules):
            until = f" until {allow.until}" if allow.until else ""
            lines.append(_row("allowed", f"{allow.reason}, for {allow.select}{until}"))
    lines += ["", *_meanings(rule)]
    if rule.line and policy.path:
        lines += ["", f"{policy.path}, line {rule.line}"]
    return "".join(safe(line) + "\n" for part in lines for line in part.split("\n"))


def _about(rule: Rule) -> str:
    where = "".join(f", with {test.name} {test.allowed}" for test in rule.where)
    parts = [part.text for part in rule.select.parts if part.text]
    told = f": {' or '.join(parts)}" if rule.select.name and parts else ""
    return f"{rule.select}{told}{where}"


def _judged(rule: Rule) -> str:
    if rule.per == "connection":
        return "each connection" if rule.holds.each else f"connections; it must hold for {rule.holds.text}"
    told = {"capture": "all together", "pair": "each pair of hosts"}.get(rule.per, f"each {rule.per}")
    return told + (f"; it must hold for {rule.holds.text} of its connections" if rule.tests else "")


def _meanings(rule: Rule) -> Iterator[str]:
    from tcpscope.diagnose.catalogue import ENTRIES

    for test in _once((*rule.tests, *rule.totals, *rule.where)):
        yield _row(test.measure.name, test.measure.meaning)
    for id in (*rule.findings, *rule.spared):
        if id in ENTRIES:
            yield _row(id, f"{ENTRIES[id].title}: {ENTRIES[id].rule} (tcpscope explain {id})")


def _once(tests: Iterable[Test]) -> Iterable[Test]:
    return {test.measure.name: test for test in tests}.values()


def _row(head: str, text: str) -> str:
    return _filled(text, f"{head:<18}" if len(head) < 18 else f"{head}  ", " " * 18)


def _filled(text: str, head: str = "", indent: str = "") -> str:
    return textwrap.fill(" ".join(text.split()), WIDTH, initial_indent=head, subsequent_indent=indent)
