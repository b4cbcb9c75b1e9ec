"""GitLab's code quality report: a list, which a merge request shows."""

from __future__ import annotations

from typing import Any

from tcpscope.check.formats.checked import Checked, frames, place
from tcpscope.report.text import safe

_SEVERITIES = {"error": "major", "warning": "minor", "note": "info"}


def document(checks: list[Checked]) -> list[dict[str, Any]]:
    """All violations that count."""
    found = []
    for check in checks:
        lines = {it.id: it.line for it in check.verdict.rules}
        for one in check.verdict.violations:
            path, line = place(check, one, lines[one.rule])
            told = f"{one.title}: {check.name}: {one.message}" + (f" ({frames(one)})" if one.frames else "")
            found.append({
                "description": safe(told),
                "check_name": one.rule,
                "fingerprint": one.fingerprint,
                "severity": _SEVERITIES[one.severity],
                "location": {"path": safe(path), "lines": {"begin": line}},
            })  # fmt: skip
    return found
