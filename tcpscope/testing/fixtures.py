"""What the fixtures give: `tcp_capture`, `pcap`; and the policies that a test's captures must keep."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from tcpscope.errors import CaptureError, UsageError
from tcpscope.testing.recording import Recording, record, suffix

if TYPE_CHECKING:
    from tcpscope.api import Capture

NO_RIGHT = ("no right to capture", "is not installed")  # of `capture.rights`: what is the machine's and not the test's


class TcpCapture:
    """The fixture `tcp_capture`: called, a context manager that captures while its block runs.

    Its arguments are those of `tcpscope.testing.record`, but for the file, which has its place by the test's name.
    recordings: those made so far.
    """

    def __init__(self, shown: Callable[[str, int], Path | None], require: bool) -> None:
        self.recordings: list[Recording] = []
        self._shown, self._require = shown, require
        self._scratch: Path | None = None

    @contextlib.contextmanager
    def __call__(
        self,
        interface: str | Iterable[str] = "lo",
        filter: str = "",
        *,
        port: int | Iterable[int] | None = None,
        snaplen: int | None = None,
        linger: float = 0.0,
        allow_drops: bool = False,
        program: str | None = None,
        **options: Any,
    ) -> Iterator[Recording]:
        __tracebackhide__ = True
        interfaces = interface if isinstance(interface, str) else list(interface)
        chosen = self._allowed(not isinstance(interfaces, str) and len(interfaces) > 1, program)
        number = len(self.recordings) + 1
        if self._scratch is None:
            self._scratch = Path(tempfile.mkdtemp(prefix="tcpscope-"))
        file = self._scratch / f"{number}{suffix(chosen)}"
        with contextlib.ExitStack() as stack:
            running = record(
                interfaces, filter, port=port, file=file, snaplen=snaplen, linger=linger, allow_drops=allow_drops,
                program=chosen, **options,
            )  # fmt: skip
            try:
                recording = stack.enter_context(running)
            except CaptureError as error:
                self._refused(error)
            recording.shown = self._shown(file.suffix, number)
            self.recordings.append(recording)
            yield recording

    def check_right(self) -> None:
        """Skip the test, or fail it, where nothing may capture."""
        self._allowed(False, None)

    def clear(self) -> None:
        """Remove what was captured."""
        if self._scratch is not None:
            shutil.rmtree(self._scratch, ignore_errors=True)

    def _allowed(self, several: bool, program: str | None) -> str:
        from tcpscope.capture.rights import choose

        try:
            return choose(several, program)
        except CaptureError as error:
            self._refused(error)

    def _refused(self, error: CaptureError) -> NoReturn:
        __tracebackhide__ = True
        if not any(it in str(error) for it in NO_RIGHT):
            raise error
        if self._require:
            pytest.fail(f"--tcpscope-require: {error}", pytrace=False)
        pytest.skip(f"cannot capture: {error}")


class PcapReader:
    """The fixture `pcap`: `pcap("file")` is a Capture of a file beside the test, or below the root folder.

    options: of tcpscope.read (msl, by_tunnel).
    """

    def __init__(self, beside: Path, root: Path) -> None:
        self._places = [beside, root]

    def __call__(self, file: str | os.PathLike[str], **options: Any) -> Capture:
        __tracebackhide__ = True
        from tcpscope.api import read

        return read(self.path(file), **options)

    def path(self, file: str | os.PathLike[str]) -> Path:
        """Where the file is; CaptureError if it is nowhere."""
        return find(file, self._places, "capture")


def find(file: str | os.PathLike[str], places: list[Path], what: str) -> Path:
    """The file in the first of the folders that has it.  CaptureError (or UsageError, of a policy) with the folders."""
    places = list(dict.fromkeys(places))
    for place in places:
        if (place / file).exists():
            return place / file
    error = CaptureError if what == "capture" else UsageError
    raise error(f"no {what} {os.fspath(file)!r} in {' or in '.join(map(str, places))}")
