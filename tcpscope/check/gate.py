"""The quality gate: whether a capture is good enough to be judged at all."""

from __future__ import annotations

from typing import Any

from tcpscope.check.measures import SYN, SYN_ACK
from tcpscope.check.observed import Observed
from tcpscope.check.policy import Policy
from tcpscope.check.units import written
from tcpscope.check.verdict import GateResult
from tcpscope.replay.layout import CLOSE_KINDS
from tcpscope.tables.overview import overview


def gate(observed: Observed, policy: Policy) -> list[GateResult]:
    """Each bound of the policy, and whether the capture keeps it; what is not known does no harm, and is told."""
    from tcpscope.check.holds import SLACK

    found = measured(observed)
    results = []
    for test in policy.quality:
        value = found[test.gate.name]
        slack = test.bound * SLACK
        ok = value is None or (value <= test.bound + slack if test.op == "max" else value >= test.bound - slack)
        results.append(
            GateResult(test.gate.name, test.gate.meaning, ok, value, written(value, test.gate.kind), test.allowed)
        )
    return results


def measured(observed: Observed) -> dict[str, float | None]:
    """All that the gate can measure, by name; None: not known, or nothing that it could be a share of."""
    it, whole = observed.fields, overview(observed.result)
    count = observed.count
    packets = _sum(it, "packets")
    silent = it["close_kind"] == CLOSE_KINDS.index("unanswered")  # there was no other side to capture
    seen = (it["completeness"] & (SYN | SYN_ACK)) != 0
    dropped = whole["dropped"]
    return {
        "packets": whole["packets"],
        "tcp_packets": whole["tcp_packets"],
        "connections": count,
        "damaged": len(observed.result.warnings),
        "dropped": dropped,
        "dropped_rate": None if dropped is None else _share(dropped, dropped + whole["packets"]),
        "missed_rate": _share(_sum(it, "missed_bytes"), _sum(it, "missed_bytes") + _sum(it, "bytes")),
        "one_direction": _share(int(((it["one_direction"] != 0) & ~silent).sum()), count),
        "mid_stream": _share(int((~seen).sum()), count),
        "unfinished": _share(int((it["close_kind"] == CLOSE_KINDS.index("open")).sum()), count),
        "duplicates": _share(_sum(it, "duplicate_captures"), packets),
        "bad_checksums": _share(_sum(it, "bad_checksums"), packets),
        "cut_packets": _share(whole["cut_packets"], whole["packets"]),
        "clock_steps": whole["clock_steps"],
    }


def _sum(fields: Any, name: str) -> float:
    import numpy

    return float(sum(numpy.maximum(fields[f"{side}_{name}"], 0).sum() for side in ("client", "server")))


def _share(part: float, whole: float) -> float | None:
    return part / whole if whole else None
