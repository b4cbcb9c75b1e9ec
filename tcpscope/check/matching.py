"""Which connection of one capture is which of another: by role, service and order.

Hosts and service first; then the service's port alone, for hosts that have other addresses now; ports that systems
give out are no service.  Within these, connections that moved the same bytes and closed alike belong together, in
order; the others by order alone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from tcpscope.check.named import EPHEMERAL


class Pairs(NamedTuple):
    """Rows of the first capture and, beside each, of the second; and the rows that have no partner."""

    first: Any
    second: Any
    only_first: list[int]
    only_second: list[int]


Key = Callable[[Any, int], Any]
SHAPE = ("close_kind", "closed_by", "client_unique_bytes", "server_unique_bytes")


def _port(fields: Any, row: int) -> int:
    port = int(fields["server_port"][row])
    return port if port < EPHEMERAL else -1


def _hosts(fields: Any, row: int) -> Any:
    return bytes(fields["client_addr"][row]), bytes(fields["server_addr"][row]), _port(fields, row)


# each pass pairs what the passes before it left over
PASSES: tuple[Key, ...] = (_hosts, _port)


def paired(a: Any, b: Any) -> Pairs:
    """The pairs of two captures' connections, given their fields."""
    import numpy

    rest = list(range(len(a["connection"]))), list(range(len(b["connection"])))
    pairs: list[tuple[int, int]] = []
    for key in PASSES:
        groups = _grouped(a, rest[0], key), _grouped(b, rest[1], key)
        left: tuple[list[int], list[int]] = ([], [])
        for name in {**groups[0], **groups[1]}:
            found, *more = _aligned(a, groups[0].get(name, []), b, groups[1].get(name, []))
            pairs += found
            left[0].extend(more[0])
            left[1].extend(more[1])
        rest = sorted(left[0]), sorted(left[1])
    pairs.sort()
    first, second = (numpy.array([it[at] for it in pairs], dtype=numpy.int64) for at in (0, 1))
    return Pairs(first, second, *rest)


def _grouped(fields: Any, rows: Iterable[int], key: Key) -> dict[Any, list[int]]:
    groups: dict[Any, list[int]] = defaultdict(list)
    for row in rows:
        groups[key(fields, row)].append(row)
    return groups


def _aligned(a: Any, ours: list[int], b: Any, theirs: list[int]) -> tuple[list[tuple[int, int]], list[int], list[int]]:
    """Pairs of one service, and what is left of either."""
    if not ours or not theirs:
        return [], ours, theirs
    waiting = _grouped(b, theirs, _shape)
    for rows in waiting.values():
        rows.reverse()
    pairs, rest = [], []
    for row in ours:
        alike = waiting.get(_shape(a, row))
        if alike:
            pairs.append((row, alike.pop()))
        else:
            rest.append(row)
    free = sorted(row for rows in waiting.values() for row in rows)
    count = min(len(rest), len(free))
    return pairs + list(zip(rest, free, strict=False)), rest[count:], free[count:]


def _shape(fields: Any, row: int) -> Any:
    return tuple(int(fields[name][row]) for name in SHAPE)
