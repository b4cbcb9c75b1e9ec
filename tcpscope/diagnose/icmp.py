"""What ICMP errors said of connections (RFC 792; RFC 1812, 5.2.7.1; RFC 4443, 3.1)."""

from __future__ import annotations

from collections.abc import Iterable

from tcpscope.diagnose.facts import Facts

_CODES = {
    (4, 3, 0): "no route to the network", (4, 3, 1): "host unreachable", (4, 3, 2): "no such protocol",
    (4, 3, 3): "port closed", (4, 3, 9): "network forbidden", (4, 3, 10): "host forbidden",
    (4, 3, 13): "forbidden by a filter", (6, 1, 0): "no route", (6, 1, 1): "forbidden by a filter",
    (6, 1, 3): "host unreachable", (6, 1, 4): "port closed", (6, 1, 5): "forbidden by a filter",
    (6, 1, 6): "route rejected",
}  # fmt: skip


def errors(group: Iterable[Facts]) -> list[tuple[int, int, int]]:
    """IP version, type and code of the errors about these connections, each once."""
    found = {(f.common["ip_version"], f.common["icmp_type"], f.common["icmp_code"]) for f in group}
    return sorted(it for it in found if it[1] != 255)


def said_unreachable(f: Facts) -> bool:
    """Something on the path said that its packets cannot be delivered, whatever their size."""
    version, kind, code = f.common["ip_version"], f.common["icmp_type"], f.common["icmp_code"]
    return bool(kind == 1 if version == 6 else kind == 3 and code != 4)


def in_words(group: Iterable[Facts]) -> str:
    """`host unreachable: type 3, code 1`."""
    return ", ".join(f"{_CODES.get(it, 'not delivered')}: type {it[1]}, code {it[2]}" for it in errors(group))
