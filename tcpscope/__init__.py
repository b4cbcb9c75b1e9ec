"""tcpscope: what the two ends of a TCP connection did, from a packet capture.

    import tcpscope
    capture = tcpscope.read("capture.pcap")
    capture.connections          # pandas DataFrames: connections, packets, events
    capture.connection(0).events
    capture.findings             # what is odd, worst first

    for event in tcpscope.live("eth0", "tcp port 443"):    # states as they change, until Ctrl-C
        ...

Importing loads neither pandas nor numpy; the tables load them when they are asked for.
"""

from typing import TYPE_CHECKING, Any

from tcpscope.errors import CaptureError, TcpscopeError, UsageError

if TYPE_CHECKING:
    from tcpscope.api import Capture, Connection, read
    from tcpscope.diagnose import Finding
    from tcpscope.diagnose.live import Live, live
    from tcpscope.tables.streams import Piece

__version__ = "0.1.0"
__all__ = ["Capture", "CaptureError", "Connection", "Finding", "Live", "Piece", "TcpscopeError", "UsageError", "live",
           "read"]  # fmt: skip

_HOMES = {"Capture": "api", "Connection": "api", "read": "api", "Finding": "diagnose", "Live": "diagnose.live",
          "live": "diagnose.live", "Piece": "tables.streams"}  # fmt: skip


if not TYPE_CHECKING:  # which knows all names, and would take any other for one, too

    def __getattr__(name: str) -> Any:
        if name in _HOMES:
            import importlib

            return getattr(importlib.import_module(f"tcpscope.{_HOMES[name]}"), name)
        raise AttributeError(f"module 'tcpscope' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
