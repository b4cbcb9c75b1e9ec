"""What judging needs of a capture: of all connections the fields that the policy looks at, and what is odd in full."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from tcpscope.capture.sources import Sources
from tcpscope.check.measures import Series, measures
from tcpscope.check.policy import COUNTED, Policy
from tcpscope.diagnose import Collected
from tcpscope.replay.layout import CONNECTION, EVIDENCE
from tcpscope.tables.analysis import DEFAULT_MSL, Analysis, Progress, check_msl, check_usable, stream
from tcpscope.tables.rows import Raw

# of each connection, what tells it apart, what the gate needs, and where to look for it
ALWAYS = ("connection", "client_addr", "server_addr", "client_port", "server_port", "ip_version", "start_ns", "end_ns",
          "first_frame", "last_frame", "file", "close_kind", "closed_by", "reset_by", "one_direction", "completeness",
          "client_packets", "server_packets", "client_missed_bytes", "server_missed_bytes", "client_stream_length",
          "server_stream_length", "client_bytes", "server_bytes", "client_duplicate_captures",
          "server_duplicate_captures", "client_bad_checksums", "server_bad_checksums")  # fmt: skip

PIECE = 4_096  # records at a time that are counted again


class Captured(Protocol):
    """What of a `tcpscope.Capture` is read."""

    _found: Sources
    _result: Analysis
    _options: dict[str, Any]
    _early: list[bytearray] | None


@dataclass
class Observed:
    """One capture, or several read as one.

    fields: of all connections, by number, an array for each field.  evidence: records of layout.EVIDENCE.  early:
    the packets of a pipe, that cannot be read again.  msl: seconds.
    """

    found: Sources
    result: Analysis
    fields: Mapping[str, Any]
    evidence: Any
    odd: Collected
    msl: float = DEFAULT_MSL
    by_tunnel: bool = False
    early: list[bytearray] | None = None
    whole: bool = False  # `result` has all records
    again: bool = False  # can be read again though it does not look so: a pipe that was written to a file
    _read: dict[str, Series] = field(default_factory=dict)

    def read(self, name: str) -> Series:
        """A measure of all connections; computed once."""
        if name not in self._read:
            self._read[name] = measures()[name].compute(self.fields)
        return self._read[name]

    def part(self, mask: Any) -> Collected:
        """What is odd as if there were these connections only.  The policy must have asked for the fields COUNTED."""
        import numpy

        self.odd.close()  # fills `beyond`
        part = Collected()
        part.facts = [it for it in self.odd.facts if mask[it.number]]
        first = max((it.number for it in self.odd.facts), default=0) + 1  # that was not looked at one by one
        rows = numpy.flatnonzero(mask)
        for at in range(0, len(rows), PIECE):
            some = rows[at : at + PIECE]
            records = numpy.zeros(len(some), CONNECTION.dtype())
            for name in COUNTED:
                records[name] = self.fields[name][some]
            part.census.take(records.tobytes())
            if self.odd.beyond:
                part.census.count_ends(records.tobytes(), first)
        return part

    @property
    def count(self) -> int:
        """How many connections there are."""
        return len(self.fields["connection"])

    @property
    def start_ns(self) -> int:
        """When the capture begins, ns since the epoch."""
        return min((it["first_ns"] for it in self.result.files if it.get("first_ns") is not None), default=0)


class Keeper:
    """Takes in connections as they end, and keeps what `policy` needs of them."""

    def __init__(self, policy: Policy) -> None:
        import numpy

        self._whole = CONNECTION.dtype()
        names = sorted({*ALWAYS, *policy.fields()})
        self._slim = numpy.dtype([(name, self._whole.fields[name][0]) for name in names])
        self._parts: list[Any] = [numpy.empty(0, self._slim)]
        self._evidence: list[bytes] = []
        self.odd = Collected()

    def take(self, connections: Raw, evidence: Raw) -> None:
        """Packed records, in any order."""
        import numpy

        records = numpy.frombuffer(connections, self._whole)
        slim = numpy.empty(len(records), self._slim)
        for name in self._slim.names or ():
            slim[name] = records[name]
        self._parts.append(slim)
        self._evidence.append(bytes(evidence))
        self.odd.take(bytes(connections), bytes(evidence))

    def fields(self) -> dict[str, Any]:
        """An array for each field, by the connections' numbers."""
        import numpy

        every = numpy.concatenate(self._parts)
        every = every[numpy.argsort(every["connection"], kind="stable")]
        return {name: numpy.ascontiguousarray(every[name]) for name in self._slim.names or ()}

    def evidence(self) -> Any:
        """All evidence records, by connection and frame."""
        import numpy

        found = numpy.frombuffer(b"".join(self._evidence), EVIDENCE.dtype())
        return found[numpy.lexsort((found["frame"], found["connection"]))]


def observe(
    found: Sources,
    policy: Policy,
    *,
    msl: float | None = None,
    by_tunnel: bool = False,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Observed:
    """Read captures once, in memory for the fields of each connection that the policy looks at.

    msl: seconds; None: the policy's, else DEFAULT_MSL.  Raises CaptureError if there is nothing to read.
    """
    msl = policy.msl if msl is None else msl
    msl = DEFAULT_MSL if msl is None else msl
    check_msl(msl)
    result, chunks = stream(found, msl=msl, by_tunnel=by_tunnel, threads=threads, progress=progress)
    keeper = Keeper(policy)
    for ended in chunks:
        keeper.take(ended.connections, ended.evidence)
    check_usable(result)
    return Observed(found, result, keeper.fields(), keeper.evidence(), keeper.odd, msl, by_tunnel)


def of_capture(capture: Captured, policy: Policy) -> Observed:
    """The same of a `tcpscope.Capture`, which has all records already."""
    keeper, result, options = Keeper(policy), capture._result, capture._options
    keeper.take(result.connections, result.evidence)
    return Observed(
        capture._found, result, keeper.fields(), keeper.evidence(), keeper.odd, options["msl"], options["by_tunnel"],
        capture._early, True,
    )  # fmt: skip
