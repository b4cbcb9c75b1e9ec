"""A connection's ends and its service in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def endpoint_of(connection: Mapping[str, Any], role: str) -> str:
    """`10.0.0.1:80`, `[::1]:80`, of a row of the connections table."""
    ip, port = connection[f"{role}_ip"], connection[f"{role}_port"]
    return f"[{ip}]:{port}" if ":" in ip else f"{ip}:{port}"


def service_of(connection: Mapping[str, Any]) -> str:
    """`tls example.com`, `ssh`; nothing where nothing is known."""
    return " ".join(it for it in (connection.get("service"), connection.get("server_name")) if it)
