"""SARIF 2.1.0: for code scanning of GitHub and others."""

from __future__ import annotations

from typing import Any

from tcpscope import __version__
from tcpscope.check.formats.checked import Checked, frames, place, uri
from tcpscope.check.verdict import FAIL, INCONCLUSIVE, PASS, SKIPPED, RuleResult, Violation
from tcpscope.report.text import safe

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
MOST = 5_000  # results: GitHub shows no more
FINGERPRINT = "tcpscopeViolation/v1"
_WORST = (SKIPPED, PASS, INCONCLUSIVE, FAIL)  # the last
_STATES = {"new": "new", "worse": "updated", "known": "unchanged"}


def document(checks: list[Checked], fail_on: str) -> dict[str, Any]:
    """One run; the rules of all captures are the same policy's, and each has its worst status."""
    every = [it for check in checks for it in check.verdict.rules]
    rules = {it.id: it for it in every}  # in the policy's order
    rules |= {it.id: it for it in sorted(every, key=lambda it: _WORST.index(it.status))}
    places = {id: at for at, id in enumerate(rules)}
    results = [
        _result(check, rule, one, places[rule.id])
        for check in checks
        for rule in check.verdict.rules
        for one in rule.violations
    ]
    notes = [
        {"level": "warning", "message": {"text": safe(f"{check.name}: inconclusive: {reason}")}}
        for check in checks
        for reason in check.verdict.reasons
    ]
    run = {
        "tool": {
            "driver": {
                "name": "tcpscope",
                "semanticVersion": __version__,
                "rules": [_rule(it) for it in rules.values()],
            }
        },
        "invocations": [{"executionSuccessful": True, "toolExecutionNotifications": notes}],
        "columnKind": "unicodeCodePoints",
        "results": results[:MOST],
        "properties": {
            "result": [check.verdict.result for check in checks],
            "resultsLeftOut": max(len(results) - MOST, 0),
        },
    }
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}


def _rule(rule: RuleResult) -> dict[str, Any]:
    told: dict[str, Any] = {
        "id": rule.id,
        "shortDescription": {"text": safe(rule.title)},
        "defaultConfiguration": {"level": rule.severity},
        "properties": {"tags": ["tcp"], "status": rule.status},
    }
    if rule.why:
        told["help"] = {"text": "\n".join(safe(line) for line in rule.why.splitlines())}
    if rule.status == INCONCLUSIVE:
        told["properties"]["note"] = safe(rule.note)
    return told


def _result(check: Checked, rule: RuleResult, one: Violation, index: int) -> dict[str, Any]:
    path, line = place(check, one, rule.line)
    names = check.verdict.files
    capture = names[one.file if one.file < len(names) else 0]
    told: dict[str, Any] = {
        "ruleId": rule.id,
        "ruleIndex": index,
        "level": rule.severity,
        "message": {"text": safe(f"{rule.title}: {one.message}" + (f" ({frames(one)})" if one.frames else ""))},
        "locations": [
            {
                "physicalLocation": {"artifactLocation": {"uri": uri(path)}, "region": {"startLine": line}},
                "logicalLocations": [{"fullyQualifiedName": safe(one.where), "kind": "resource"}],
            }
        ],
        "relatedLocations": [
            {
                "physicalLocation": {"artifactLocation": {"uri": uri(capture)}},
                "message": {"text": safe(f"{one.where}, {frames(one)}")},
            }
        ],
        "partialFingerprints": {FINGERPRINT: one.fingerprint},
        "properties": {
            "measure": one.measure, "measured": safe(one.measured), "allowed": safe(one.allowed), "value": one.value,
            "bound": one.bound, "connection": one.connection, "connections": one.connections, "frames": one.frames,
            "count": one.count,
        },
    }  # fmt: skip
    if one.status:
        told["baselineState"] = _STATES[one.status]
    if one.excused:
        told["suppressions"] = [{"kind": "external", "justification": safe(one.excused)}]
    return told
