"""A capture while it goes on: what has changed since the last look, and what is open now.

    session = Session(stream, drops=lambda: stream.drops)
    while session.step():                    # takes in what has come; waits some 50 ms where nothing has
        turn = session.turn()                # what is new since the last turn, each thing once:
        turn.events                          #   EVENT records: changes of state, and corrections
        turn.connections, turn.evidence      #   CONNECTION, EVIDENCE records of those that ended
        turn.notices                         #   drops, connections retired
        session.open_connections(200, "latest")  # CONNECTION records of open ones as they are now
        session.states()                     # {("ESTABLISHED", "ESTABLISHED"): 12, …} of the open ones
        session.counters()
    for turn in session.finish(): ...        # what is open is ended, some thousand at a time

The stream may be live, a file, or a pipe.  Every method may be called from any thread, so that one steps while
another looks: `start` makes the thread that steps.  Memory is bounded by `max_connections` and by what has not been
taken with `turn`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from tcpscope.capture.capturer import Drops, Wish
from tcpscope.capture.live import LiveStream
from tcpscope.capture.sources import Stream
from tcpscope.replay.engine import Engine
from tcpscope.replay.layout import CONNECTION, STATES
from tcpscope.tables.analysis import DEFAULT_MSL, Analysis
from tcpscope.wire.batch import SegmentBatch
from tcpscope.wire.reader import SegmentReader

MAX_CONNECTIONS = 1_000_000  # open at once
BATCH = 4096  # segments
ENDED = 4096  # connections ended at a time when all is over
MANY = 8 * BATCH  # segments, of a turn
LOOK = 0.25  # seconds between two looks at what was dropped
FRESH = 0.1  # seconds that counters may be old
GAPS = 1_000  # spells of drops that are remembered; more are joined to the nearest
KINDS = ("half_open", "closed", "idle")
NO_DROPS = Drops(None, None)
BOTH_CLOSED = (STATES.index("CLOSED"), STATES.index("CLOSED"))


class Counters(NamedTuple):
    """Since the start.  None: not known (yet).

    bytes: of the packets on the wire, however much of them was kept.  open: of which not both ends are closed; the
    others are waited for, for 2 MSL.  lag: seconds the analyser is behind; held: bytes that wait for it.
    """

    packets: int
    tcp_packets: int
    bytes: int
    connections: int
    open: int
    retired: dict[str, int]  # ended before their time: half_open, closed, idle
    dropped_by_kernel: int | None
    dropped_by_interface: int | None
    lag: float
    held: int
    first_ns: int | None
    last_ns: int | None


class Notice(NamedTuple):
    """Something about the capture, not about a connection.  id: drops, retired, interface."""

    time: float  # seconds since the epoch
    id: str
    text: str
    numbers: dict[str, float]


class Turn(NamedTuple):
    """What is new since the turn before: packed records (`replay.layout`) and notices."""

    events: bytes
    connections: bytes
    evidence: bytes
    notices: list[Notice]

    def __bool__(self) -> bool:
        return bool(self.events or self.connections or self.notices)


@dataclass
class Gap:
    """A spell in which the kernel dropped packets: what is missing there, the capture missed."""

    since_ns: int
    until_ns: int
    packets: int


class Session:
    """The analysis of one stream, as far as it has come.

    name: of the source, as findings and overviews show it.  msl in seconds.  max_connections: open at once; where there
    are more, half-open ones are ended first, then closed, then silent ones, and counted.  drops: what the source
    has dropped so far.  held: bytes that wait.  stop: what ends the stream, so that `step` soon gives False.
    """

    def __init__(
        self,
        stream: Stream,
        *,
        name: str = "-",
        msl: float = DEFAULT_MSL,
        by_tunnel: bool = False,
        max_connections: int = MAX_CONNECTIONS,
        verify_checksums: bool = True,
        drops: Callable[[], Drops] | None = None,
        held: Callable[[], int] | None = None,
        stop: Callable[[], None] | None = None,
    ) -> None:
        self.name, self.max_connections = name, max_connections
        self.gaps: list[Gap] = []
        self.over = self.stopped = False  # the stream has ended; it was told to
        self._stream, self._drops, self._held, self._stop = stream, drops, held, stop
        self._reader = SegmentReader(stream, verify_checksums=verify_checksums, hints=True)
        self._batch = SegmentBatch(BATCH)
        self._engine = Engine(
            live=True,
            keep_past=False,
            msl_ns=round(msl * 1e9),
            flow_by_tunnel=by_tunnel,
            max_connections=max_connections,
        )
        self._lock = threading.RLock()
        self._thread: threading.Thread | None = None
        self._error: BaseException | None = None
        self._notices: list[Notice] = []
        self._events: list[bytes] = []
        self._dropped = 0  # by the kernel, at the last look
        self._looked, self._look_ns = 0.0, 0
        self._retired = dict.fromkeys(KINDS, 0)
        self._statistics = self._reader.statistics()  # of the reader, which only `step` may ask
        self._told_at = 0.0
        self._untaken = 0  # segments since the last turn

    # ------------------------------------------------------------ going on

    def step(self) -> bool:
        """Take in what has come; False when the stream has ended.  Waits a little where nothing has."""
        more = self._reader.fill(self._batch)
        with self._lock:
            if len(self._batch):
                self._engine.replay(self._batch)
                self._untaken += len(self._batch)
                self._engine.announce()
                if events := self._engine.take_events():
                    self._events.append(events)
            if time.monotonic() - self._told_at > FRESH or not more:
                self._statistics, self._told_at = self._reader.statistics(), time.monotonic()
            self._look(not more)
            self.over = not more
        return more

    def start(self) -> None:
        """Step in a thread, until the stream ends; `wait` tells when, and raises what went wrong there."""

        def work() -> None:
            try:
                while self.step():
                    pass
            except BaseException as error:
                self._error = error
                self.over = True

        self._thread = threading.Thread(target=work, name="tcpscope-session", daemon=True)
        self._thread.start()

    def wait(self, seconds: float) -> bool:
        """Wait for the thread's end, at most so long; whether it has ended."""
        assert self._thread is not None
        self._thread.join(seconds)
        if self._error is not None:
            raise self._error
        return not self._thread.is_alive()

    def stop(self) -> None:
        """Have the source end; what has been sent by now is still taken in, until `step` gives False."""
        self.stopped = True
        if self._stop is not None:
            self._stop()

    def finish(self) -> Iterator[Turn]:
        """The stream has ended: end all that is open, as it is, some at a time; the last turns."""
        more = True
        while more:
            with self._lock:
                more = self._engine.finish(ENDED)
                self._events.append(self._engine.take_events())
            yield self.turn()

    # ------------------------------------------------------------ what is known

    def turn(self) -> Turn:
        """What is new since the last turn."""
        with self._lock:
            events, self._events = self._events, []
            notices, self._notices = self._notices, []
            self._untaken = 0
            return Turn(b"".join(events), self._engine.take_connections(), self._engine.take_evidence(), notices)

    @property
    def full(self) -> bool:
        """So much is new that a turn should be taken, lest it costs much memory."""
        return self._untaken >= MANY

    def open_connections(self, most: int = 1000, by: str = "latest") -> tuple[bytes, bytes]:
        """CONNECTION and EVIDENCE records of the open connections as they are now, in order of beginning.

        Of more than `most` those that lead by: latest (to send), begin, bytes, repeated.  A hundred thousand take a
        third of a second, a thousand some milliseconds; the capture waits so long.
        """
        with self._lock:
            return self._engine.open_connections(most, by)

    def states(self) -> dict[tuple[str, str], int]:
        """How many open connections are in which states: (client's, server's) → count."""
        with self._lock:
            return {(STATES[a], STATES[b]): count for (a, b), count in self._engine.tally().items()}

    def endpoints(self) -> dict[str, int]:
        """How many endpoints of open connections are in which state."""
        found: dict[str, int] = {}
        for pair, count in self.states().items():
            for state in pair:
                found[state] = found.get(state, 0) + count
        return found

    def counters(self) -> Counters:
        with self._lock:
            found = self._statistics
            engine = self._engine.counters()
            dropped = self._dropped_now()
            held = self._held() if self._held is not None else 0
            last = found["last_ns"]
            over = self._engine.tally().get(BOTH_CLOSED, 0)
            return Counters(
                found["packets"], found["tcp"], found["wire_bytes"], engine["connections"], engine["open"] - over,
                {kind: engine[f"retired_{kind}"] for kind in KINDS}, dropped.by_kernel, dropped.by_interface,
                max(0.0, time.time() - last / 1e9) if held and last is not None else 0.0, held, found["first_ns"], last,
            )  # fmt: skip

    def files(self) -> list[dict[str, Any]]:
        """The source's statistics, as `Analysis.files` has them, with what was dropped."""
        with self._lock:
            found = {"name": self.name, **self._statistics}
            dropped = self._dropped_now().by_kernel
            if dropped is not None:  # of all interfaces: it is told of the first
                found["interfaces"] = [
                    {**it, "dropped": dropped if at == 0 else 0} for at, it in enumerate(found["interfaces"])
                ]
            return [found]

    @property
    def clock_steps(self) -> int:
        """Times that the clock of the capture went back."""
        return int(self._engine.counters()["clock_steps"])

    def analysis(self) -> Analysis:
        """What `print_analysis` and `overview` want; without the records, which the turns have given."""
        with self._lock:
            return Analysis(
                [self.name], files=self.files(), counters=self._engine.counters(), max_connections=self.max_connections
            )

    # ------------------------------------------------------------ what was dropped

    def missed(self, raw: bytes) -> list[int]:
        """Of packed connection records the places of those with holes that the capture itself may have made.

        A hole in a stream (bytes never seen, segments missing) while the kernel was dropping packets is a gap of the
        capture's, no loss of the network's.
        """
        if not self.gaps:
            return []
        names = ("start_ns", "end_ns", "client_missed_bytes", "server_missed_bytes", "client_lost_segments",
                 "server_lost_segments")  # fmt: skip
        return [
            at
            for at, (start, end, *holes) in enumerate(CONNECTION.select(raw, names))
            if any(it > 0 for it in holes) and self.dropping(start, end)
        ]

    def dropping(self, since_ns: int, until_ns: int) -> bool:
        """Whether the kernel dropped packets in that time."""
        with self._lock:
            return any(gap.since_ns <= until_ns and since_ns <= gap.until_ns for gap in self.gaps)

    def _dropped_now(self) -> Drops:
        return self._drops() if self._drops is not None else NO_DROPS

    def _look(self, last: bool) -> None:
        """Note drops since the last look, and retirements."""
        now = time.monotonic()
        if now - self._looked < LOOK and not last:
            return
        self._looked = now
        dropped = self._dropped_now().by_kernel or 0
        found = self._statistics
        here = found["last_ns"] or 0
        if dropped > self._dropped:
            since = self._look_ns or found["first_ns"] or here
            self._add_gap(Gap(since, max(here, since), dropped - self._dropped))
            self._notice(
                "drops",
                f"the kernel dropped {dropped - self._dropped:,} packets: holes in this time are the capture's",
                packets=dropped - self._dropped, total=dropped,
            )  # fmt: skip
            self._dropped = dropped
            self._look_ns = here
        elif self._drops is not None and self._dropped_now().by_kernel is not None:
            self._look_ns = here
        counters = self._engine.counters()
        for kind in KINDS:
            more = counters[f"retired_{kind}"] - self._retired[kind]
            if more:
                self._notice(
                    "retired", f"{more:,} {kind.replace('_', '-')} connections ended before their time: more than "
                    f"{self.max_connections:,} were open", connections=more,
                )  # fmt: skip
                self._retired[kind] += more

    def _notice(self, id: str, text: str, **numbers: float) -> None:
        self._notices.append(Notice(time.time(), id, text, numbers))

    def _add_gap(self, gap: Gap) -> None:
        last = self.gaps[-1] if self.gaps else None
        if last is not None and (gap.since_ns <= last.until_ns or len(self.gaps) >= GAPS):
            last.until_ns = max(last.until_ns, gap.until_ns)
            last.packets += gap.packets
        else:
            self.gaps.append(gap)


def live(wish: Wish, *, tee: Callable[[bytes], None] | None = None, **settings: Any) -> tuple[Session, LiveStream]:
    """A session on interfaces, which are being captured on from now on; CaptureError where they cannot be.

    tee: gets the capture's bytes as well.  settings: of `Session`.  Close the stream at the end.
    """
    stream = LiveStream(wish, tee)
    session = Session(
        stream, name=" ".join(wish.interfaces), drops=lambda: stream.drops, held=lambda: stream.held, stop=stream.stop,
        **settings,
    )  # fmt: skip
    return session, stream
