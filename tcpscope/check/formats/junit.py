"""JUnit XML: a suite for each capture, a test case for each rule and one for the quality gate."""

from __future__ import annotations

from typing import Any

from tcpscope import __version__
from tcpscope.check.formats.checked import Checked, described
from tcpscope.check.ladders import safe_lines
from tcpscope.check.verdict import FAIL, INCONCLUSIVE, SEVERITIES, SKIPPED, RuleResult
from tcpscope.report.text import safe

SHOWN = 20  # violations told of a rule


def xml(checks: list[Checked], fail_on: str) -> bytes:
    """The document.  A rule below `fail_on` that is violated passes, and says so on its standard output."""
    from junitparser import JUnitXml

    document = JUnitXml("tcpscope check")
    for check in checks:
        document.add_testsuite(_suite(check, fail_on))
    found: bytes = document.tostring()  # type: ignore[no-untyped-call]
    return found


def _suite(check: Checked, fail_on: str) -> Any:
    from junitparser import Skipped, TestCase, TestSuite

    verdict = check.verdict
    suite = TestSuite(check.name)
    suite.add_property("tcpscope", __version__)
    suite.add_property("result", verdict.result)
    suite.add_property("policy", safe(verdict.policy or verdict.title))
    for name in verdict.files:
        suite.add_property("capture", safe(name))
    gate = TestCase("quality gate", classname="tcpscope", time=0)
    odd = [f"{it.meaning}: {it.measured}, allowed: {it.allowed}" for it in verdict.gate if not it.ok]
    if odd:
        gate.result = [Skipped("inconclusive: " + "; ".join(odd))]
    suite.add_testcase(gate)
    for rule in verdict.rules:
        suite.add_testcase(_case(check, rule, fail_on))
    return suite


def _case(check: Checked, rule: RuleResult, fail_on: str) -> Any:
    from junitparser import Failure, Skipped, TestCase

    case = TestCase(rule.id, classname="tcpscope", time=0)
    counting = [it for it in rule.violations if it.counts]
    told = "\n".join(described(check, it) for it in counting[:SHOWN])
    more = rule.total - rule.excused - rule.known - min(len(counting), SHOWN)
    told += f"\n… and {more:,} more\n" if more > 0 else ""
    if rule.status == FAIL and SEVERITIES.index(rule.severity) <= SEVERITIES.index(fail_on):
        first = safe(counting[0].message) + (f" (and {len(counting) + more - 1:,} more)" if len(counting) > 1 else "")
        failure = Failure(first, rule.id)
        failure.text = safe_lines(rule.title) + safe_lines(rule.why) + "\n" + told
        case.result = [failure]
    elif rule.status in (INCONCLUSIVE, SKIPPED):
        case.result = [Skipped(safe(f"{rule.status}: {rule.note}"))]
    elif told:
        case.system_out = safe_lines(f"{rule.severity}: {rule.title}") + told
    return case
