"""GitHub Actions: annotations as workflow commands, all of it as Markdown in the step's summary."""

from __future__ import annotations

import os

from tcpscope.check.formats.checked import Checked, frames, place
from tcpscope.check.verdict import INCONCLUSIVE
from tcpscope.errors import UsageError
from tcpscope.report.text import safe

MOST = 10  # GitHub shows so many of a step and a level
SUMMARY = 1_000_000  # bytes that a step's summary may have (1 MiB)
_LEVELS = {"error": "error", "warning": "warning", "note": "notice"}


def commands(checks: list[Checked]) -> str:
    """At most MOST annotations, the most severe first; the last one says how many there are more."""
    lines = []
    for check in checks:
        if check.verdict.result == INCONCLUSIVE:
            told = "; ".join(check.verdict.reasons)
            lines.append((0, _command("error", check.name, {"title": "tcpscope: inconclusive"}, told)))
        numbers = {it.id: it.line for it in check.verdict.rules}
        for one in check.verdict.violations:
            path, line = place(check, one, numbers[one.rule])
            level = _LEVELS[one.severity]
            where = {"file": path, "line": str(line), "title": f"tcpscope {one.rule}: {one.title}"}
            told = one.message + (f" ({frames(one)})" if one.frames else "")
            lines.append((list(_LEVELS).index(one.severity), _command(level, check.name, where, told)))
    lines.sort(key=lambda it: it[0])
    shown = [line for _, line in lines[: MOST if len(lines) <= MOST else MOST - 1]]
    if len(lines) > MOST:
        left = len(lines) - len(shown)
        shown.append(_command("notice", "tcpscope", {"title": "tcpscope"}, f"{left:,} more are in the step's summary"))
    return "".join(line + "\n" for line in shown)


def summarise(page: str) -> bool:
    """Append to the step's summary, if this runs in a step of GitHub Actions; False: it does not."""
    path = os.environ.get("GITHUB_STEP_SUMMARY")
    if not path:
        return False
    raw = page.encode("utf-8", "backslashreplace")
    if len(raw) > SUMMARY:
        raw = raw[:SUMMARY].rpartition(b"\n## ")[0] + b"\n\nCut: the summary holds no more.\n"
    try:
        with open(path, "ab") as stream:
            stream.write(raw)
    except OSError as error:
        raise UsageError(f"{path} (GITHUB_STEP_SUMMARY): {error.strerror or error}") from None
    return True


def _command(level: str, name: str, properties: dict[str, str], message: str) -> str:
    told = ",".join(f"{key}={_property(safe(value))}" for key, value in properties.items())
    return f"::{level} {told}::{_data(safe(f'{name}: {message}'))}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
