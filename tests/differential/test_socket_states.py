"""At random moments the state is the one that the Linux kernel recorded, on the host that captured."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from tcpscope.replay.layout import ROLES
from tcpscope.tables.analysis import locate, packets
from tcpscope.tables.moments import Asked, bounds
from tcpscope.tables.past import Past
from tcpscope.tables.queues import Queues
from tcpscope.tables.sockets import RFC_NAMES, Sockets, Wanted, coalesced, joined, reach

TRUTH = Path(__file__).resolve().parents[3] / "shared" / "truth"
UNSURE = ("shown_late", "inexact", "time_hidden", "hidden", "order_hidden")
CLOSE = 2e-4  # seconds; nearer to a change the clocks do not decide
MOMENTS = 8


def recorded(states: list[dict[str, Any]], initial: str, time: float) -> str | None:
    """The kernel's state, each change counting from the frame that shows it; None: cannot be told."""
    state = initial
    for change in states:
        when = change["wire_time"] or change["time"]
        if when is None or any(change.get(word) for word in UNSURE):
            return None
        if abs(when - time) < CLOSE:
            return None
        if when <= time:
            state = change["new"]
    return "CLOSED" if state == "LISTEN" else state


def judged(truth: Path, chance: random.Random) -> list[tuple[str, str]]:
    """(kernel's, ours) of the capturing host's endpoints at some moments of one capture."""
    said = json.loads(truth.read_text())
    if said["vantage"] not in ROLES:
        return []
    result, chunks = packets(locate(truth.with_suffix(".pcap")))
    parts = list(coalesced(chunks))
    if not parts:
        return []
    rows, past = joined(parts), Past(result)
    numbers = {int(frame): number for number, frame in enumerate(_first_frames(result))}
    found = []
    for _ in range(MOMENTS):
        time_ns = chance.randint(*bounds(result))
        queues = Queues(past.connections["capture_point"])
        moment = reach(result, iter([rows]), Asked(time_ns=time_ns), queues)
        shown = {(row["connection"], row["local_ip"], row["local_port"]): row["state"]
                 for row in Sockets(past, queues, 30_000_000_000).rows(moment, Wanted())}  # fmt: skip
        side = said["vantage"]
        for connection in said["connections"]:
            number = numbers[connection["first_frame"]]
            if not connection[f"{side}_states"] or connection[f"{side}_initial"] is None or not queues.begun[number]:
                continue
            state = recorded(connection[f"{side}_states"], connection[f"{side}_initial"], time_ns / 1e9)
            end = connection[side]
            if state is not None:
                ours = shown.get((number, end["ip"], end["port"]), "CLOSED")
                found.append((state, RFC_NAMES.get(ours, ours)))
    return found


def _first_frames(result: Any) -> list[int]:
    from tcpscope.replay.layout import CONNECTION
    from tcpscope.tables.rows import by_number

    raw = by_number(result.connections)
    return [first for first, _ in CONNECTION.select(raw, ("first_frame", "connection"))]


@pytest.mark.skipif(not TRUTH.is_dir(), reason="the shared captures are not here")
def test_states_are_the_kernels() -> None:
    chance = random.Random(4)
    pairs = [pair for truth in sorted(TRUTH.glob("*.json")) for pair in judged(truth, chance)]
    wrong = [pair for pair in pairs if pair[0] != pair[1]]
    assert len(pairs) > 2000
    assert not wrong, (len(wrong), len(pairs), wrong[:10])
