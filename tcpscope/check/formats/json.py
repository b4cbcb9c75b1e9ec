"""All of it, as JSON."""

from __future__ import annotations

from typing import Any

from tcpscope.check.formats.checked import Checked, overall
from tcpscope.check.verdict import EXIT


def document(checks: list[Checked]) -> dict[str, Any]:
    """One capture's verdict, or (of several judged each on its own) the overall result with a list of them."""
    if len(checks) == 1:
        return _one(checks[0])
    result = overall(checks)
    return {"version": 1, "result": result, "exit_code": EXIT[result], "checks": [_one(it) for it in checks]}


def _one(check: Checked) -> dict[str, Any]:
    told = check.verdict.as_dict()
    drawn = {id(it): it for it in check.drawn}
    for rule, result in zip(told["rules"], check.verdict.rules, strict=True):
        for violation, it in zip(rule["violations"], result.violations, strict=True):
            violation["ladder"] = check.ladder(it) or None if id(it) in drawn else None
    return told
