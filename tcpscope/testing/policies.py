"""A recording held against a policy (tcpscope.check)."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from tcpscope.errors import UsageError
from tcpscope.testing.fixtures import find
from tcpscope.testing.recording import Recording
from tcpscope.testing.shown import width

DRAWN = 3  # violations that are shown with their ladders; the others in a line each


def judge(recording: Recording, policy: str | os.PathLike[str] | dict[str, Any] | bool, places: list[Path]) -> None:
    """AssertionError where the policy is violated, or could not be decided.  UsageError for an unusable policy.

    policy: a file in one of the places, the policy itself as a dict, or True for tcpscope's default policy.
    """
    __tracebackhide__ = True
    try:
        from tcpscope import check
    except ImportError:
        raise UsageError("this version of tcpscope judges no policies (tcpscope.check)") from None

    if policy is True:
        rules = check.load_policy(None)
    elif isinstance(policy, dict):
        rules = check.load_policy(policy)
    elif isinstance(policy, str | os.PathLike):
        rules = check.load_policy(find(policy, places, "policy"))
    else:
        raise UsageError(f"no policy: {policy!r}; give a file, a dict, or True for the default policy")
    verdict = check.judge(recording.capture, rules)
    if verdict:
        return
    called = os.fspath(policy) if isinstance(policy, str | os.PathLike) else verdict.title
    name = f"policy {called!r}" if called else "the policy"
    about = [f"capture: {recording.shown}"] if recording.shown else []
    found = [it for it in verdict.violations if it.severity == "error"]  # others are told only, as `check` does
    if verdict.result != "fail":
        raise AssertionError("\n".join([f"{name} is inconclusive: {'; '.join(verdict.reasons)}", *about]))
    total = sum(it.total - it.excused - it.known for it in verdict.rules if it.severity == "error")
    count = f"{total} violation" + ("s" if total > 1 else "")
    lines = [f"{name}: {count}: {found[0].rule}: {found[0].message}", *about]
    for violation in found[:DRAWN]:
        lines += ["", check.render_violation(recording.capture, violation, "text", width=width()).rstrip("\n")]
    if len(found) > DRAWN:
        lines += ["", *(f"{it.rule}: {it.message}" for it in found[DRAWN:])]
    if total > len(found):
        lines += [f"and {total - len(found)} more"]
    raise AssertionError("\n".join(lines))
