"""Which connections of a capture a claim is about: by port, host, side, number, or any column."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from numbers import Real
from typing import TYPE_CHECKING, Any

from tcpscope.errors import UsageError

if TYPE_CHECKING:
    from tcpscope.api import Capture
    from tcpscope.tables.schema import Column

ROLES = ("client", "server")
Row = dict[str, Any]


def chosen(capture: Capture, numbers: list[int], where: dict[str, Any]) -> tuple[list[int], str]:
    """Those of the numbers for which all conditions hold, and the conditions in words.

    UsageError for a condition that is none, whether or not there are connections.
    """
    from tcpscope.tables.schema import TABLES

    columns = {it.name: it for it in TABLES["connections"]}
    tests = [_test(name, value, columns) for name, value in where.items()]
    rows = ((number, capture.connection(number).row) for number in numbers)
    found = [number for number, row in rows if all(test(row) for test in tests)]
    said = ", ".join(f"{name}={value!r}" for name, value in where.items())
    return found, f" with {said}" if said else ""


def _test(name: str, value: Any, columns: Mapping[str, Column]) -> Callable[[Row], bool]:
    if name == "port":
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 0xFFFF:
            raise UsageError(f"no port: {value!r}; a number up to 65535")
        return lambda row: value in (row["client_port"], row["server_port"])
    if name == "number":
        _demand(name, value, "int")
        return lambda row: bool(row["connection"] == value)
    if name in ("host", *ROLES):
        return _address(value, ROLES if name == "host" else (name,))
    from tcpscope.tables.filters import nearest
    from tcpscope.tables.values import Word

    if name not in columns:
        like = nearest(name, ["port", "host", "number", *ROLES, *columns])
        raise UsageError(f"connections have no {name!r}{like}; port, host, client, server, number, or a column")
    kind = columns[name].value
    if isinstance(kind, Word) and value is not None and value not in kind.words:
        raise UsageError(f"no {name} {value!r}{nearest(str(value), kind.words) or _listed(kind.words)}")
    if value is not None:
        _demand(name, value, columns[name].type)
    return lambda row: bool(row[name] == value)


def _demand(name: str, value: Any, kind: str) -> None:
    """UsageError for a value that no connection can have there: it would choose none, whatever the capture holds."""
    takes = {"int": Real, "float": Real, "bool": bool, "str": str, "list": tuple}[kind]
    if not isinstance(value, takes) or (takes is Real and isinstance(value, bool)):
        what = {"int": "a number", "float": "a number", "bool": "True or False", "str": "text", "list": "a tuple"}[kind]
        raise UsageError(f"no {name}: {value!r}; {what} is needed")


def _listed(words: Iterable[str]) -> str:
    return f"; there are: {', '.join(dict.fromkeys(words))}"


def _address(value: str, sides: tuple[str, ...]) -> Callable[[Row], bool]:
    from ipaddress import ip_address

    from tcpscope.tables.filters import networks

    (network,) = networks((str(value),))
    return lambda row: any(ip_address(row[f"{side}_ip"]) in network for side in sides)
