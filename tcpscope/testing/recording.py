"""A capture that runs while a block does, and is a Capture once the block has ended."""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tcpscope.errors import CaptureError, UsageError

if TYPE_CHECKING:
    import pandas

    from tcpscope.api import Capture, Connection
    from tcpscope.capture.capturer import Capturer, Drops
    from tcpscope.diagnose import Finding

LOOK = 0.05  # seconds between two looks whether all has closed
OVER = ("CLOSED", "TIME_WAIT")


class Recording:
    """What was captured while a block ran: all that a tcpscope.Capture has, and where its file is.

    file: the capture.  shown: where it will be, None if it is not kept.  label: what was captured, in words.
    drops: packets dropped while capturing (None: the capturer has not said).  Its tables raise UsageError until the
    block has ended.
    """

    def __init__(self, file: Path, label: str, options: dict[str, Any] | None = None) -> None:
        self.file, self.label = file, label
        self.shown: Path | None = file
        self.ended = self.judged = self.kept = False
        self.drops: Drops | None = None
        self._options = options or {}

    @cached_property
    def capture(self) -> Capture:
        """The Capture, analysed when first asked for."""
        if not self.ended:
            raise UsageError(f"{self.label} is still being captured: ask when the with block has ended")
        return self.so_far()

    def so_far(self) -> Capture:
        """What the file holds now."""
        from tcpscope.api import read

        return read(self.file, **self._options)

    @property
    def connections(self) -> pandas.DataFrame:
        return self.capture.connections

    @property
    def packets(self) -> pandas.DataFrame:
        return self.capture.packets

    @property
    def events(self) -> pandas.DataFrame:
        return self.capture.events

    @property
    def findings(self) -> list[Finding]:
        return self.capture.findings

    def connection(self, number: int) -> Connection:
        return self.capture.connection(number)

    def __len__(self) -> int:
        return len(self.capture)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self.capture, name)

    def __repr__(self) -> str:
        return f"<Recording of {self.label}: {repr(self.capture) if self.ended else 'still capturing'}>"


def words(interface: str | Iterable[str], filter: str, port: int | Iterable[int] | None) -> tuple[str, str]:
    """The whole filter, and what is captured in words.  UsageError where a port is none."""
    several = isinstance(port, Iterable) and not isinstance(port, str)
    ports = list(port) if several else [] if port is None else [port]  # type: ignore[arg-type]
    for one in ports:
        if not isinstance(one, int) or isinstance(one, bool) or not 0 < one < 65536:
            raise UsageError(f"no port: {one!r}; a port is a whole number from 1 to 65535")
    wanted = " or ".join(f"tcp port {one}" for one in ports)
    whole = f"({wanted}) and ({filter})" if wanted and filter else wanted or filter
    names = interface if isinstance(interface, str) else ", ".join(interface)
    return whole, f"{names}, {whole}" if whole else names


@contextlib.contextmanager
def record(
    interface: str | Iterable[str] = "lo",
    filter: str = "",
    *,
    port: int | Iterable[int] | None = None,
    file: str | os.PathLike[str] | None = None,
    snaplen: int | None = None,
    linger: float = 0.0,
    allow_drops: bool = False,
    program: str | None = None,
    **options: Any,
) -> Iterator[Recording]:
    """Capture while the block runs.  What it yields is, once the block has ended, as good as a tcpscope.Capture.

    When the block begins the capture is running; when it has ended, every packet sent before is in it.
    interface: a name, several, or `any`.  filter: in pcap-filter(7)'s language.  port: of TCP, one or several, put
    before the filter.  file: to write; None: one in the temporary folder, which stays.  snaplen: bytes kept of
    a packet (2048; lengths are right whatever it is; more make the end take a second).  linger: go on for at most so
    many seconds after the block, until every connection has closed.  allow_drops: where packets were dropped, do not
    raise.  program: tcpdump or dumpcap.  options: of tcpscope.read (msl, by_tunnel).

    Raises CaptureError where it may not capture, where the interface or the filter is wrong, where the capturer ended
    before the block did, and where packets were dropped.
    """
    from tcpscope.capture.rights import choose

    interfaces = [interface] if isinstance(interface, str) else list(interface)
    whole, label = words(interfaces, filter, port)
    chosen = choose(len(interfaces) > 1, program)
    path = _place(file, chosen)
    recording = Recording(path, label, options)
    gone = None
    try:
        with _running(interfaces, whole, path, snaplen, chosen, watched=linger > 0) as running:
            yield recording
            if linger > 0:
                _linger(recording, running, linger)
            gone = running.reason
    finally:  # what a block that failed has sent is worth a look, too
        recording.ended = True
    recording.drops = running.drops
    if gone:
        raise CaptureError(f"the capture of {label} ended before its block did: {gone}")
    lost = sum(it or 0 for it in running.drops)
    if lost and not allow_drops:
        raise CaptureError(
            f"{lost:,} packets were dropped while {label} was captured, so it proves nothing: "
            "narrow the filter or give a smaller snaplen (allow_drops=True takes it as it is)"
        )


def _place(file: str | os.PathLike[str] | None, program: str) -> Path:
    if file is not None:
        return Path(file).absolute()
    handle, made = tempfile.mkstemp(prefix="tcpscope-", suffix=suffix(program))
    os.close(handle)
    return Path(made)


def suffix(program: str) -> str:
    return ".pcapng" if program == "dumpcap" else ".pcap"


@contextlib.contextmanager
def _running(
    interfaces: list[str], filter: str, file: Path, snaplen: int | None, program: str, watched: bool
) -> Iterator[Capturer]:
    """watched: each packet is in the file at once, and not when a buffer is full."""
    from tcpscope.capture.capturer import Capturer, Wish
    from tcpscope.capture.live import FILE_BUFFER, FILE_SNAPLEN, capturing

    kept = snaplen or FILE_SNAPLEN
    immediate = kept <= FILE_SNAPLEN  # larger ones would each take their place in the ring
    if not watched:
        with capturing(interfaces, filter, file=file, snaplen=kept, program=program, immediate=immediate) as running:
            yield running
        return
    wish = Wish(tuple(interfaces), filter, kept, buffer=FILE_BUFFER, immediate=immediate, program=program)
    with open(file, "wb") as output:
        running = Capturer(wish, output.fileno(), pipe=True)
    try:
        yield running
    finally:
        running.stop()


def _linger(recording: Recording, running: Capturer, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and running.alive:
        time.sleep(min(LOOK, seconds))
        with contextlib.suppress(CaptureError):  # not even the file's header has been written
            capture = recording.so_far()
            ends = [capture.connection(number) for number in range(len(capture))]
            if ends and all(it.client_state in OVER and it.server_state in OVER for it in ends):
                return
