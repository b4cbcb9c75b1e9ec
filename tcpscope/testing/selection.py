"""Which connections of a capture a claim is about: by port, host, side, number, or any column."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tcpscope.errors import UsageError

if TYPE_CHECKING:
    from tcpscope.api import Capture

ROLES = ("client", "server")
Row = dict[str, Any]


def chosen(capture: Capture, numbers: list[int], where: dict[str, Any]) -> tuple[list[int], str]:
    """Those of the numbers for which all conditions hold, and the conditions in words.

    UsageError for a condition that is none, whether or not there are connections.
    """
    from tcpscope.tables.schema import TABLES

    columns = [it.name for it in TABLES["connections"]]
    tests = [_test(name, value, columns) for name, value in where.items()]
    rows = ((number, capture.connection(number).row) for number in numbers)
    found = [number for number, row in rows if all(test(row) for test in tests)]
    said = ", ".join(f"{name}={value!r}" for name, value in where.items())
    return found, f" with {said}" if said else ""


def _test(name: str, value: Any, columns: list[str]) -> Callable[[Row], bool]:
    if name == "port":
        return lambda row: value in (row["client_port"], row["server_port"])
    if name == "number":
        return lambda row: bool(row["connection"] == value)
    if name in ("host", *ROLES):
        return _address(value, ROLES if name == "host" else (name,))
    if name not in columns:
        from tcpscope.tables.filters import nearest

        like = nearest(name, ["port", "host", "number", *ROLES, *columns])
        raise UsageError(f"connections have no {name!r}{like}; port, host, client, server, number, or a column")
    return lambda row: bool(row[name] == value)


def _address(value: str, sides: tuple[str, ...]) -> Callable[[Row], bool]:
    from ipaddress import ip_address

    from tcpscope.tables.filters import networks

    (network,) = networks((str(value),))
    return lambda row: any(ip_address(row[f"{side}_ip"]) in network for side in sides)
