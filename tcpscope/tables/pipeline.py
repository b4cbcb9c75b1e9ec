"""Decoding and replay on several cores: a pool of threads that hold no GIL where the work is.

Flows are shared out among engines, more of them than threads.  Whoever is free decodes the next
batch, or replays one engine's share of a batch that is ready: so the work is even, whatever the
flows, and what comes out does not depend on the threads.  A small capture is replayed where it
stands: threads would cost more than they save.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from threading import Condition, Lock, Thread
from typing import Any, NamedTuple

from tcpscope.replay.engine import Engine
from tcpscope.replay.shares import Divider, Numbering
from tcpscope.wire.batch import SegmentBatch
from tcpscope.wire.merge import MergedReader

BATCH = 4096  # segments; what one thread decodes and replays stays near it
SHARED_BATCH = 16384  # what several threads share is worth a task each: waking a thread costs as much as 50 segments
SMALL = 2  # shared batches; a capture that has no more is not worth a thread
AHEAD = 3  # batches that the decoder may be ahead
FEW = 8  # chunks of packet records made before a thread is started for the rest
STRETCH = 8  # batches between two looks at what has ended
SHARED_STRETCH = 2  # the same, of shared batches
STRETCHES = 2  # that may wait for the caller
ENDED = 256  # connections each engine ends at a time when the capture is over
PATIENCE = 0.2  # seconds
SHARES = 2  # engines for each thread
MOST_THREADS = 16


class Ended(NamedTuple):
    """Packed records of the connections that ended in a stretch of the capture, and how far it goes.

    evidence: `layout.EVIDENCE`, the frames that show what was odd.  briefs: with `most_odd`, for the census.
    """

    connections: bytes | bytearray
    events: bytes | bytearray
    evidence: bytes | bytearray
    briefs: bytes | bytearray
    segments: int


class Stretch(NamedTuple):
    """What one engine has done since the last time."""

    begun: bytes
    records: tuple[bytes, bytes, bytes, bytes]  # as in Ended
    more: bool  # will come


def batches(reader: MergedReader) -> Iterator[SegmentBatch]:
    """The reader's batches, one after another; each may be used until the next is asked for."""
    batch = SegmentBatch(BATCH)
    while reader.fill(batch):
        yield batch


def replayed(reader: MergedReader, threads: int, **settings: Any) -> Iterator[Ended | list[Engine]]:
    """Replay all that the reader gives; what has ended, a stretch at a time, and last the engines.

    settings: of `Engine`.  Connections have their numbers; a stretch's stand in no promised order.
    """
    if threads < 2:
        yield from _alone(batches(reader), Engine(**settings))
        return
    few: list[SegmentBatch] = []
    while len(few) < SMALL:
        batch = SegmentBatch(SHARED_BATCH)
        if not reader.fill(batch):
            yield from _alone(few, Engine(**settings))
            return
        few.append(batch)
    with Pool(reader, few, min(threads, MOST_THREADS), settings) as pool:
        yield from pool.stretches()
    yield pool.engines


def _alone(given: Iterable[SegmentBatch], engine: Engine) -> Iterator[Ended | list[Engine]]:
    segments = 0
    for number, batch in enumerate(given, 1):
        engine.replay(batch)
        segments += len(batch)
        if number % STRETCH == 0:
            yield Ended(*_records_of(engine), segments)
    more = True
    while more:
        more = engine.finish(ENDED)
        yield Ended(*_records_of(engine), segments)
    yield [engine]


def _records_of(engine: Engine) -> tuple[bytes, bytes, bytes, bytes]:
    """Of what has ended since the last time."""
    return engine.take_connections(), engine.take_events(), engine.take_evidence(), engine.take_briefs()


class Pool:
    """Threads that decode and replay; `stretches` hands on what they find."""

    def __init__(self, reader: MergedReader, first: list[SegmentBatch], threads: int, settings: dict[str, Any]) -> None:
        shares = SHARES * threads
        self.engines = [Engine(share=at, shares=shares, **settings) for at in range(shares)]
        self._reader, self._divider, self._numbering = reader, Divider(shares), Numbering(shares)
        self._lock = Lock()
        self._work = Condition(self._lock)  # there is something to do
        self._results = Condition(self._lock)  # there is something for the caller
        # all below under this lock
        self._free = [SegmentBatch(SHARED_BATCH) for _ in range(AHEAD)]
        self._ready: deque[SegmentBatch] = deque()  # decoded, and not yet replayed by all
        self._first = 0  # number of the first of them
        self._using: deque[int] = deque()  # how many shares have still to replay each
        self._next = [0] * shares  # number of the batch that each share waits for
        self._busy = [False] * shares
        self._over = [False] * shares
        self._decoding = self._decoded = self._stopped = False
        self._error: BaseException | None = None
        self._found: list[deque[Stretch]] = [deque() for _ in range(shares)]  # of each share
        self._taken = 0  # stretches that the caller has
        for batch in first:
            self._divider.divide(batch)
            self._ready.append(batch)
            self._using.append(shares)
        self._threads = [Thread(target=self._run, name=f"tcpscope-{at}", daemon=True) for at in range(threads)]

    def __enter__(self) -> Pool:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._stopped = True
            self._work.notify_all()
        for thread in self._threads:
            thread.join(PATIENCE)  # at once, but where one waits for a pipe that the caller has given up

    # ------------------------------------------------------------ what the caller sees

    def stretches(self) -> Iterator[Ended]:
        """What has ended, stretch by stretch; raises what went wrong in a thread."""
        going = list(range(len(self.engines)))
        while going:
            with self._lock:
                while self._error is None and not all(self._found[at] for at in going):
                    self._results.wait()
                if self._error is not None:
                    raise self._error
                given = {at: self._found[at].popleft() for at in going}
                self._taken += 1
                self._work.notify_all()
            if len(going) == len(self.engines):
                self._numbering.merge([given[at].begun for at in going])
            yield Ended(*self._numbering.join({at: given[at].records for at in going}), self._divider.segments)
            going = [at for at in going if given[at].more]
        self._numbering.join_pasts(self.engines)

    # ------------------------------------------------------------ what the threads do

    def _run(self) -> None:
        at: int | None = None  # the share it replayed last: its connections are near
        try:
            while True:
                with self._lock:
                    while (task := self._task(at)) is None:
                        if self._stopped or all(self._over):
                            return
                        self._work.wait()
                at, batch = task
                if at is None:
                    self._decode(batch)
                elif batch is None:
                    self._finish(at)
                else:
                    self._replay(at, batch)
        except BaseException as error:
            with self._lock:
                self._error = self._error or error
                self._stopped = True
                self._work.notify_all()
                self._results.notify_all()

    def _task(self, last: int | None) -> Any:
        """(None, batch to fill), (share, batch to replay), (share, None) to finish, or None: nothing to do now."""
        if self._stopped:
            return None
        shares = range(len(self.engines))
        behind = self._first + len(self._ready)
        can_decode = bool(self._free) and not self._decoding and not self._decoded
        if can_decode and min(self._next) >= behind - 1:
            return self._begin_decoding()
        waiting = [at for at in shares if not self._busy[at] and not self._over[at] and self._may_go(at, behind)]
        if waiting:
            at = last if last in waiting and self._next[last] < behind else min(waiting, key=self._next.__getitem__)
            self._busy[at] = True
            return at, self._ready[self._next[at] - self._first] if self._next[at] < behind else None
        return self._begin_decoding() if can_decode else None

    def _may_go(self, at: int, behind: int) -> bool:
        """There is a batch for this share, or an end; and the caller is not too far behind."""
        if self._next[at] // SHARED_STRETCH >= self._taken + STRETCHES or len(self._found[at]) >= STRETCHES:
            return False
        return self._next[at] < behind or self._decoded

    def _begin_decoding(self) -> Any:
        self._decoding = True
        return None, self._free.pop()

    def _decode(self, batch: SegmentBatch) -> None:
        more = self._reader.fill(batch)
        if more:
            self._divider.divide(batch)
        with self._lock:
            self._decoding = False
            if more:
                self._ready.append(batch)
                self._using.append(len(self.engines))
            else:
                self._decoded = True
            self._work.notify_all()

    def _replay(self, at: int, batch: SegmentBatch) -> None:
        engine = self.engines[at]
        engine.replay(batch)
        found = self._take(at, True) if (self._next[at] + 1) % SHARED_STRETCH == 0 else None
        with self._lock:
            if found is not None:
                self._tell(at, found)
            self._using[self._next[at] - self._first] -= 1
            self._next[at] += 1
            self._busy[at] = False
            while self._using and self._using[0] == 0:
                self._using.popleft()
                self._free.append(self._ready.popleft())
                self._first += 1
            self._work.notify_all()

    def _finish(self, at: int) -> None:
        more = self.engines[at].finish(ENDED)
        found = self._take(at, more)
        with self._lock:
            self._tell(at, found)
            self._busy[at] = False
            self._over[at] = not more
            self._work.notify_all()

    def _tell(self, at: int, found: Stretch) -> None:
        """A stretch of one share is done; the caller waits for all of them."""
        self._found[at].append(found)
        if all(found or over for found, over in zip(self._found, self._over, strict=True)):
            self._results.notify_all()

    def _take(self, at: int, more: bool) -> Stretch:
        engine = self.engines[at]
        return Stretch(engine.take_begun(), _records_of(engine), more)


def recorded(reader: MergedReader, engine: Engine) -> Iterator[bytearray]:
    """The packet records of an engine that makes them, a chunk at a time, made by a thread while they are used."""
    few = []
    for batch in batches(reader):
        engine.replay(batch)
        few.append(_records(engine))
        if len(few) == FEW:
            break
    else:
        yield from few
        return
    chunks, change = deque(few), Condition()
    ended: list[BaseException | None] = []

    def work() -> None:
        error: BaseException | None = None
        try:
            for batch in batches(reader):
                engine.replay(batch)
                records = _records(engine)
                with change:
                    while len(chunks) >= AHEAD and not ended:
                        change.wait()
                    if ended:
                        return
                    chunks.append(records)
                    change.notify_all()
        except BaseException as caught:
            error = caught
        with change:
            ended.append(error)
            change.notify_all()

    thread = Thread(target=work, name="tcpscope-records", daemon=True)
    thread.start()
    try:
        while True:
            with change:
                while not chunks and not ended:
                    change.wait()
                if not chunks:
                    if ended[0] is not None:
                        raise ended[0]
                    return
                records = chunks.popleft()
                change.notify_all()
            yield records
    finally:
        with change:
            ended.append(None)
            change.notify_all()
        thread.join(PATIENCE)


def _records(engine: Engine) -> bytearray:
    engine.take_connections()
    engine.take_events()
    engine.take_evidence()
    return bytearray(engine.take_packets())
