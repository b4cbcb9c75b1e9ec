"""Which connections have a packet with an annotation: a second reading of the capture tells."""

from __future__ import annotations

from tcpscope.capture.sources import Sources
from tcpscope.errors import UsageError
from tcpscope.replay.layout import ANNOTATIONS, PACKET
from tcpscope.tables.analysis import Analysis, packets_again, readable_once
from tcpscope.tables.filters import Test, bits, of_connections


def with_packets(found: Sources, result: Analysis, words: tuple[str, ...], msl: float, by_tunnel: bool) -> Test:
    """The test that a connection has a packet with one of these annotations."""
    mask = bits(words, ANNOTATIONS, "annotation")
    if readable_once(found):
        raise UsageError("--annotation for connections reads the capture twice: give a file, not a pipe")
    numbers: set[int] = set()
    for chunk in packets_again(found, result, msl=msl, by_tunnel=by_tunnel):
        numbers.update(n for n, marks in PACKET.select(bytes(chunk), ("connection", "annotations")) if marks & mask)
    return of_connections(numbers)
