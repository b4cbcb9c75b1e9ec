"""IP addresses as text."""

from __future__ import annotations


def address(raw: bytes, version: int) -> str:
    """An IP address as text, as inet_ntop writes it."""
    if version == 4:
        return f"{raw[0]}.{raw[1]}.{raw[2]}.{raw[3]}"
    from socket import AF_INET6, inet_ntop  # costs milliseconds of start-up

    return inet_ntop(AF_INET6, raw)


def with_port(ip: str, port: int) -> str:
    """`10.0.0.1:80`, `[::1]:80`."""
    return f"[{ip}]:{port}" if ":" in ip else f"{ip}:{port}"
