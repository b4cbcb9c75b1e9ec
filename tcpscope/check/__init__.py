"""Policies for captured traffic: what must be true, and whether it is.

    from tcpscope.check import judge, load_policy, render_violation

    capture = tcpscope.read("capture.pcap")
    verdict = judge(capture, load_policy("tcpscope.toml"))      # or a dict, or None for the default policy
    if not verdict:                                             # verdict.result: pass, fail, inconclusive
        for violation in verdict.violations:
            print(render_violation(capture, violation))         # rule, measured, allowed, frames, ladder

Nothing heavy is imported before it is used.  docs/check.md tells how a policy is written.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tcpscope.check.baseline import Baseline, load_baseline
    from tcpscope.check.judging import judge
    from tcpscope.check.ladders import Ladders
    from tcpscope.check.ladders import rendered as render_violation
    from tcpscope.check.observed import Observed, observe
    from tcpscope.check.policy import Policy, Rule, load_policy
    from tcpscope.check.verdict import RuleResult, Verdict, Violation

__all__ = ["Baseline", "Ladders", "Observed", "Policy", "Rule", "RuleResult", "Verdict", "Violation", "judge",
           "load_baseline", "load_policy", "observe", "render_violation"]  # fmt: skip

_HOMES = {"Baseline": "baseline", "load_baseline": "baseline", "judge": "judging", "Ladders": "ladders",
          "Observed": "observed", "observe": "observed", "Policy": "policy", "Rule": "policy", "load_policy": "policy",
          "RuleResult": "verdict", "Verdict": "verdict", "Violation": "verdict"}  # fmt: skip


if not TYPE_CHECKING:  # which knows all names, and would take any other for one, too

    def __getattr__(name: str) -> Any:
        import importlib

        if name == "render_violation":
            return importlib.import_module("tcpscope.check.ladders").rendered
        if name in _HOMES:
            return getattr(importlib.import_module(f"tcpscope.check.{_HOMES[name]}"), name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
