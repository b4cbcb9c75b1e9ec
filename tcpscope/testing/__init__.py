"""Captures in tests: record while a block runs, then say what must hold of its connections.

    from tcpscope.testing import assert_tcp, record

    with record("lo", port=8080) as capture:
        ...
    assert_tcp(capture).connection(port=8080).handshake_ok().no_retransmissions().closed_by("client")

`tcpscope.pytest_plugin` offers both as fixtures, skips where capturing is not allowed, and keeps the captures of
failed tests (docs/testing.md).  Importing loads nothing heavy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tcpscope.testing.claims import Claims, assert_tcp
    from tcpscope.testing.fixtures import PcapReader, TcpCapture
    from tcpscope.testing.recording import Recording, record

__all__ = ["Claims", "PcapReader", "Recording", "TcpCapture", "assert_tcp", "record"]

_HOMES = {"Claims": "claims", "assert_tcp": "claims", "Recording": "recording", "record": "recording",
          "PcapReader": "fixtures", "TcpCapture": "fixtures"}  # fmt: skip


if not TYPE_CHECKING:  # which knows all names, and would take any other for one, too

    def __getattr__(name: str) -> Any:
        if name in _HOMES:
            import importlib

            return getattr(importlib.import_module(f"tcpscope.testing.{_HOMES[name]}"), name)
        raise AttributeError(f"module 'tcpscope.testing' has no attribute {name!r}")


def __dir__() -> list[str]:
    return list(__all__)
