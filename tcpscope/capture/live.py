"""A capture while it runs: as a file (`capturing`), or as a stream that `SegmentReader` reads (`LiveStream`).

    with capturing("lo", "tcp port 8080", file=path) as running:
        ...                          # every packet from here on ...
    running.drops                    # ... to here is in the file; what was dropped is known

    stream = LiveStream(Wish(("any",)))
    reader = SegmentReader(stream, verify_checksums=False)
    while reader.fill(batch): ...    # an empty batch now and then: nothing came
    stream.stop()                    # from any thread: the rest is read, then fill gives False

A thread of the stream's empties the pipe as fast as it can and holds, up to HELD bytes, what the reader has not
asked for yet: a pause of the analyser is its lag, which is shown, and not a drop of the kernel's.
"""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from tcpscope.capture.capturer import Capturer, Drops, Wish
from tcpscope.capture.sources import PIPE, UNPACKERS, standard_input

HELD = 64 << 20  # bytes that may wait for the analyser; past that the pipe fills, and then the kernel drops
CHUNK = 1 << 18  # bytes read at a time
GOING = 5.0  # seconds that a capturer may take to be gone when it has closed its pipe
PATIENCE = 0.05  # seconds between two looks at a quiet pipe
NAP = 0.004  # seconds left to the writer after a read: it need not wake us for every packet
SHORT = 1 << 16  # bytes; only after a read of fewer
ASK = 1.0  # seconds between two questions for drops
FILE_SNAPLEN = 2_048  # bytes of a packet in a file that nobody said more about
FILE_BUFFER = 64  # MiB of the ring: some 30,000 such packets


@contextlib.contextmanager
def capturing(
    interfaces: str | Iterable[str],
    filter: str = "",
    *,
    file: str | os.PathLike[str],
    snaplen: int = FILE_SNAPLEN,
    promiscuous: bool = False,
    program: str | None = None,
    buffer: int = FILE_BUFFER,
    immediate: bool = True,
    watched: bool = False,
) -> Iterator[Capturer]:
    """Capture into a file for as long as the block runs.

    interfaces: a name, several, or `any`.  When the block begins the capture is running: a packet sent in its first
    line is in the file.  When it has ended, so is every packet sent before.  `drops` of what it yields tells, then,
    what the kernel dropped.  The file is pcap (tcpdump) or pcapng (dumpcap, which several interfaces need).
    immediate: the end takes some 50 ms rather than a second, for traffic of a test's size (snaplen should be small).
    watched: somebody reads the file while it grows; a packet is there within the 50 ms.

    Raises CaptureError, in one line that says what to do: no right, no such interface, filter not understood; and
    where the capture ended before the block did (`reason`).  The right can be tested beforehand with
    `rights.choose(several=False)`.
    """
    wish = Wish(_names(interfaces), filter, snaplen, promiscuous, buffer, immediate, program)
    handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_CLOEXEC", 0), 0o666)
    try:
        capturer = Capturer(wish, handle, pipe=watched)
    finally:
        os.close(handle)
    try:
        yield capturer
    finally:
        capturer.stop()


def _names(interfaces: str | Iterable[str]) -> tuple[str, ...]:
    return (interfaces,) if isinstance(interfaces, str) else tuple(interfaces)


class LiveStream:
    """What a capturer writes, as a stream; starts with it, and raises CaptureError where it cannot.

    tee: gets every chunk of bytes, in order, from the stream's thread (a file that is written beside).
    `readinto` waits at most PATIENCE and gives None when nothing came, 0 at the end.  Every attribute may be read from
    any thread: `held` bytes wait for the reader, `most_held` at most so far; `drops`; `damage` is why
    the capture ended though nobody had stopped it.
    """

    def __init__(self, wish: Wish, tee: Callable[[bytes], None] | None = None, held: int = HELD) -> None:
        self.wish = wish
        self.damage: str | None = None
        self.held = self.most_held = self.received_bytes = 0
        self._tee, self._room = tee, held
        self._chunks: deque[memoryview] = deque()
        self._change = threading.Condition()
        self._over = self._closed = False
        self._empty = threading.Event()
        self._stopper: threading.Thread | None = None
        self._pipe, write_end = os.pipe()
        try:
            _widen(self._pipe)
            self.capturer = Capturer(wish, write_end, pipe=True)
        except BaseException:
            os.close(self._pipe)
            raise
        finally:
            os.close(write_end)
        self._pump = threading.Thread(target=self._carry, name="tcpscope-pump", daemon=True)
        self._pump.start()

    @property
    def drops(self) -> Drops:
        return self.capturer.drops

    @property
    def program(self) -> str:
        """Who captures: tcpdump or dumpcap."""
        return self.capturer.name

    # ------------------------------------------------------------ the reader's side

    def readinto(self, buffer: Any) -> int | None:
        with self._change:
            if not self._chunks and not self._over:
                self._change.wait(PATIENCE)
            if not self._chunks:
                return 0 if self._over else None
            view = memoryview(buffer).cast("B")
            filled = 0
            while self._chunks and filled < len(view):
                chunk = self._chunks[0]
                count = min(len(chunk), len(view) - filled)
                view[filled : filled + count] = chunk[:count]
                filled += count
                if count == len(chunk):
                    self._chunks.popleft()
                else:
                    self._chunks[0] = chunk[count:]
            self.held -= filled
            self._change.notify_all()
            return filled

    def waiting(self) -> bool:
        """Whether a read would return something at once."""
        return bool(self._chunks)

    # ------------------------------------------------------------ the end

    def stop(self) -> None:
        """Stop capturing; what was sent before is still read, then the stream ends.  Returns at once."""
        with self._change:
            if self._stopper is not None or self._over:
                return
            self._stopper = threading.Thread(
                target=self.capturer.stop, args=(self._empty,), name="tcpscope-stop", daemon=True
            )
            self._stopper.start()

    def close(self) -> None:
        """Give everything up, at once."""
        with self._change:
            self._closed = True
            self._change.notify_all()
        if self.capturer.alive:
            self.capturer.kill()
        self._pump.join(1)

    # ------------------------------------------------------------ the pump

    def _carry(self) -> None:
        asked = time.monotonic()
        try:
            while True:
                ready = select.select([self._pipe], [], [], PATIENCE)[0]
                now = time.monotonic()
                if now - asked >= ASK:
                    self.capturer.ask()
                    asked = now
                if not ready:
                    self._empty.set()
                    continue
                self._empty.clear()
                data = os.read(self._pipe, CHUNK)
                if not data:
                    break
                if not self._hand_on(data):
                    return
                if len(data) < SHORT:
                    time.sleep(NAP)
            if self._stopper is None:
                with contextlib.suppress(subprocess.TimeoutExpired):  # its pipe is closed before it has gone
                    self.capturer.process.wait(GOING)
                self.damage = self.capturer.reason
            if self._stopper is not None:
                self._stopper.join()
        finally:
            os.close(self._pipe)
            with self._change:
                self._over = True
                self._change.notify_all()

    def _hand_on(self, data: bytes) -> bool:
        """False: the reader has given up."""
        self.received_bytes += len(data)
        if self._tee is not None:
            self._tee(data)
        with self._change:
            while self.held > self._room and not self._closed:
                self._change.wait(PATIENCE)
            if self._closed:
                return False
            self._chunks.append(memoryview(data))
            self.held += len(data)
            self.most_held = max(self.most_held, self.held)
            self._change.notify_all()
        return True


class Piped:
    """Standard input as a live stream: what somebody else captures."""

    def __init__(self, tee: Callable[[bytes], None] | None = None) -> None:
        self._raw, self._tee, self._over, self._begun = standard_input(), tee, False, False
        self.damage: str | None = None

    def readinto(self, buffer: Any) -> int | None:
        if self._over:
            return 0
        if not self._ready(PATIENCE):
            return None
        count: int = self._raw.readinto(buffer)  # type: ignore[attr-defined]
        if count and not self._begun:
            self._begun = True
            program = next((it for magic, it in UNPACKERS if bytes(buffer[: len(magic)]) == magic), None)
            if program is not None:  # a decompressor would hold back what has come
                self.damage, self._over = f"compressed: unpack it first, {program} | tcpscope live -i -", True
                return 0
        if self._tee is not None and count:
            self._tee(bytes(buffer[:count]))
        return count

    def waiting(self) -> bool:
        """Whether a read would return at once."""
        return not self._over and self._ready(0)

    def stop(self) -> None:
        """Read no more."""
        self._over = True

    def close(self) -> None:
        self._raw.close()

    def _ready(self, seconds: float) -> bool:
        return bool(select.select([self._raw], [], [], seconds)[0])


def _widen(pipe: int) -> None:
    """Let the pipe hold more, where the system allows it."""
    with contextlib.suppress(ImportError, AttributeError, OSError):
        import fcntl

        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, PIPE)
