"""A connection's ends and its service in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tcpscope.tables.address import with_port


def endpoint_of(connection: Mapping[str, Any], role: str) -> str:
    """`10.0.0.1:80`, `[::1]:80`, of a row of the connections table."""
    return with_port(connection[f"{role}_ip"], connection[f"{role}_port"])


def ender(close: str, closed_by: str | None, reset_by: str | None) -> str | None:
    """Who ended a connection so: closed_by tells whose FIN came first, also where the other side then sent RST."""
    return reset_by or closed_by if close == "reset" else closed_by


def ending(close: str, closed_by: str | None, reset_by: str | None) -> str:
    """`fin by client`, `reset by server`, `open`: how a connection ended, and who did that.

    Of a time-out the side whose FIN came first is not the one that gave up.
    """
    who = ender(close, closed_by, reset_by)
    words = close.replace("_", " ")
    return words + (f" by {who}" if who and close not in ("open", "unanswered", "refused", "timeout") else "")


def service_of(connection: Mapping[str, Any]) -> str:
    """`tls example.com`, `ssh`; nothing where nothing is known."""
    return " ".join(it for it in (connection.get("service"), connection.get("server_name")) if it)
