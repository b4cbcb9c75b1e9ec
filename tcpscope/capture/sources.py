"""What the user named → an ordered list of capture streams.

A path, several, a folder (recursive), a glob pattern, or `-`.  Compression is told
by the first bytes, never by the suffix, and undone while reading; a damaged
compressed stream gives what stands before the damage, and says so.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import select
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any, BinaryIO, NamedTuple, Protocol, cast

from tcpscope.errors import CaptureError

STDIN = "-"
MAGIC = frozenset("*?[")  # signs of a pattern
PIPE = 1 << 20  # bytes that a pipe may hold, so that its writer need not wait for every few packets
PEEKED = 64
MOST_WINDOW = 128 << 20  # bytes of its output that a decompressor may keep: the limit of zstd -d; xz -9 takes half
CAPTURE_MAGICS = (
    b"\xd4\xc3\xb2\xa1", b"\xa1\xb2\xc3\xd4", b"\x4d\x3c\xb2\xa1", b"\xa1\xb2\x3c\x4d",
    b"\x34\xcd\xb2\xa1", b"\xa1\xb2\xcd\x34", b"\n\r\r\n",
)  # fmt: skip
OTHER_CAPTURES = (
    (b"snoop\0\0\0", "snoop"), (b"GMBU", "Network Monitor"), (b"RTSS", "Network Monitor"),
    (b"XCP\0", "NetXray"), (b"iptrace", "iptrace"), (b"TRSNIFF data", "Sniffer"),
)  # fmt: skip
# What a file is called whose name says that it is a capture; tcpdump numbers the files of a ring.
CALLED = re.compile(r"\.(pcapng|pcap|cap)\d*(\.(gz|zst|lz4|xz|bz2))?$", re.IGNORECASE)
READS = "tcpscope reads pcap and pcapng, plain or compressed with gzip, zstd, lz4, xz or bzip2"


class Stream(Protocol):
    """What a reader needs of a stream."""

    def readinto(self, buffer: memoryview, /) -> int | None: ...

    def close(self) -> None: ...


class Source(NamedTuple):
    """One capture to read: its name, and how to open its raw bytes.  again: surely more than once (see `steady`)."""

    name: str
    opener: Callable[[], BinaryIO]
    explicit: bool = True
    again: bool = False


class Sources(NamedTuple):
    """The captures found, and the files of folders that are none; of those called like one, in words what is wrong."""

    captures: list[Source]
    skipped: list[str]
    broken: tuple[str, ...] = ()


def find(arguments: Iterable[str | os.PathLike[str]]) -> Sources:
    """The captures the arguments name, in the order given; folders and patterns sorted by name.

    Raises CaptureError for a name without a file, and for a folder or pattern without captures.
    """
    captures: list[Source] = []
    skipped: list[str] = []
    broken: list[str] = []
    for argument in arguments:
        name = os.fspath(argument)
        if name == STDIN:
            captures.append(Source("-", standard_input))
        elif os.path.isdir(name):
            captures += _sniffed(sorted(_files_below(name)), skipped, broken, f"no capture in folder {name}: {READS}")
        elif os.path.lexists(name):
            captures.append(_file(name, explicit=True))
        elif MAGIC.intersection(name):
            import glob

            found = [it for it in sorted(glob.glob(name, recursive=True)) if not os.path.isdir(it)]
            captures += _sniffed(found, skipped, broken, f"no capture matches {name}")
        else:
            raise CaptureError(f"{name}: no such file")
    if not captures:
        raise CaptureError("no capture given: name a file, a folder, a pattern, or - for standard input")
    return Sources(captures, skipped, tuple(broken))


def steady(found: Sources) -> Sources:
    """The same captures to be read again later: from any folder, and refused if they are not what they were."""
    return found._replace(captures=[
        it._replace(opener=_Steady(it.name), again=True) if it.name != STDIN and os.path.isfile(it.name) else it
        for it in found.captures
    ])  # fmt: skip


def open_stream(source: Source) -> Stream:
    """The decompressed bytes of a capture.

    Raises CaptureError, one line that names the source, when it cannot be read or is no capture.
    """
    try:
        raw = source.opener()
        stream = _Peeked(raw)
        head = stream.peek()
        if not head:
            raw.close()
            raise CaptureError(f"{source.name}: the file is empty")
        wrap = _decompressor(head)
        if wrap is None:
            _demand_capture(source.name, head)
            return stream
        inner = _Decompressed(wrap(cast(BinaryIO, stream)), raw)
        head = inner.peek()
        if not head:
            why = f" ({inner.damage})" if inner.damage else ""
            raise CaptureError(f"{source.name}: nothing to read in the compressed file{why}")
        _demand_capture(source.name, head)
        return inner
    except OSError as error:
        raise CaptureError(f"{source.name}: {_reason(error)}") from error


def standard_input() -> BinaryIO:
    """Standard input, unbuffered, so that a live pipe is served as it comes; a pipe is widened where possible."""
    if sys.stdin is None:
        raise CaptureError("-: standard input is closed: name a file, or pipe a capture in")
    with contextlib.suppress(ImportError, AttributeError, OSError):  # Linux, and only what an ordinary user may ask for
        import fcntl

        fcntl.fcntl(sys.stdin.fileno(), fcntl.F_SETPIPE_SZ, PIPE)
    return cast(BinaryIO, io.FileIO(sys.stdin.fileno(), closefd=False))


def why_unreadable(name: str) -> str | None:
    """What keeps the file from being read; None where it begins as a capture, inside its compression if any."""
    try:
        open_stream(_file(name, explicit=False)).close()
    except CaptureError as error:
        return str(error)
    return None


def _file(name: str, explicit: bool) -> Source:
    return Source(name, lambda: cast(BinaryIO, open(name, "rb", buffering=0)), explicit)


class _Steady:
    """Opens a file as it was when it was first opened: two readings that differ would tell of no capture at all."""

    def __init__(self, name: str) -> None:
        self._name, self._path = name, os.path.abspath(name)
        self._first: tuple[int, int] | None = None

    def __call__(self) -> BinaryIO:
        stream = cast(BinaryIO, open(self._path, "rb", buffering=0))  # noqa: SIM115 (the reader closes it)
        status = os.fstat(stream.fileno())
        now = status.st_size, status.st_mtime_ns
        self._first = self._first or now
        if now != self._first:
            stream.close()
            raise CaptureError(f"{self._name} has changed since it was read: read it again")
        return stream


def _sniffed(names: Iterable[str], skipped: list[str], broken: list[str], nothing: str) -> list[Source]:
    """The captures among these files; `skipped` and `broken` grow by the others."""
    found, wrong = [], []
    for name in names:
        why = why_unreadable(name) if os.path.isfile(name) else "no file"
        if why is None:
            found.append(_file(name, explicit=False))
        elif os.path.isfile(name) and CALLED.search(name):
            wrong.append(why)
        else:
            skipped.append(name)
    if not found:
        raise CaptureError(wrong[0] if wrong else nothing)
    broken += wrong
    return found


def _files_below(folder: str) -> Iterator[str]:
    """All files below a folder; a directory is entered once, whatever links lead to it."""
    seen: set[tuple[int, int]] = set()
    pending = [folder]
    while pending:
        here = pending.pop()
        try:
            status = os.stat(here)
            if (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            entries = list(os.scandir(here))
        except OSError as error:
            if here == folder:
                raise CaptureError(f"{folder}: {_reason(error)}") from error
            continue
        for entry in entries:
            if entry.is_dir():
                pending.append(entry.path)
            else:
                yield entry.path


def _reason(error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return "no such file"
    if isinstance(error, PermissionError):
        return "permission denied: check the file's mode or run as a user who may read it"
    if isinstance(error, IsADirectoryError):
        return "a folder"
    return error.strerror or str(error)


def _demand_capture(name: str, head: bytes) -> None:
    if head[:4] in CAPTURE_MAGICS:
        return
    for magic, program in OTHER_CAPTURES:
        if head.startswith(magic):
            raise CaptureError(f"{name}: a {program} capture; convert it first: editcap -F pcapng IN OUT")
    shown = head[:8].hex(" ")
    raise CaptureError(f"{name}: not a capture: starts with {shown}; {READS}")


def _why_damaged(error: Exception) -> str:
    if isinstance(error, MemoryError) or "emory" in str(error):  # each library words it in its own way
        return f"the compressed stream wants more than {MOST_WINDOW >> 20} MB of memory: decompress it first"
    return f"the compressed stream is damaged ({error})"


def _decompressor(head: bytes) -> Callable[[BinaryIO], BinaryIO] | None:
    for magic, wrap in DECOMPRESSORS:
        if head.startswith(magic):
            return wrap
    return None


def _gzip(raw: BinaryIO) -> BinaryIO:
    import gzip

    return cast(BinaryIO, gzip.GzipFile(fileobj=raw))


def _xz(raw: BinaryIO) -> BinaryIO:
    return cast(BinaryIO, _Xz(raw))


def _bzip2(raw: BinaryIO) -> BinaryIO:
    import bz2

    return cast(BinaryIO, bz2.BZ2File(raw))


def _zstd(raw: BinaryIO) -> BinaryIO:
    import zstandard

    reader = zstandard.ZstdDecompressor(max_window_size=MOST_WINDOW).stream_reader(raw, read_across_frames=True)
    return cast(BinaryIO, reader)


def _lz4(raw: BinaryIO) -> BinaryIO:
    import lz4.frame  # type: ignore[import-untyped]

    return cast(BinaryIO, lz4.frame.LZ4FrameFile(raw))


DECOMPRESSORS: tuple[tuple[bytes, Callable[[BinaryIO], BinaryIO]], ...] = (
    (b"\x1f\x8b", _gzip), (b"\x28\xb5\x2f\xfd", _zstd), (b"\x04\x22\x4d\x18", _lz4),
    (b"\xfd7zXZ\x00", _xz), (b"BZh", _bzip2),
)  # fmt: skip

# What unpacks such a stream for a program that does not.
UNPACKERS = tuple(
    zip((magic for magic, _ in DECOMPRESSORS), ("zcat", "zstdcat", "lz4cat", "xzcat", "bzcat"), strict=True)
)


class _Peeked(io.RawIOBase):
    """A raw stream whose first bytes were looked at; never seeks, so a pipe will do."""

    damage: str | None = None

    def __init__(self, raw: BinaryIO) -> None:
        self._raw = raw
        self._head = b""

    def peek(self) -> bytes:
        """The first bytes, at most PEEKED; fewer than 4 only if there are no more."""
        while len(self._head) < 12:
            more = self._raw.read(PEEKED - len(self._head))
            if not more:
                break
            self._head += more
        return self._head

    def readable(self) -> bool:
        return True

    def waiting(self) -> bool:
        """Whether a read would return at once."""
        try:
            return bool(self._head) or bool(select.select([self._raw], [], [], 0)[0])
        except (OSError, ValueError):  # not a thing to wait for
            return False

    def readinto(self, buffer: Any) -> int | None:
        if self._head:
            count = min(len(buffer), len(self._head))
            buffer[:count] = self._head[:count]
            self._head = self._head[count:]
            return count
        return self._raw.readinto(buffer)  # type: ignore[attr-defined, no-any-return]

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Xz:
    """xz streams, one after another; unlike lzma.LZMAFile with a limit to their dictionary, which may claim 4 GiB."""

    def __init__(self, raw: BinaryIO) -> None:
        import lzma

        self._raw, self._unread = raw, b""
        self._begin: Callable[[], lzma.LZMADecompressor] = lambda: lzma.LZMADecompressor(
            format=lzma.FORMAT_XZ, memlimit=MOST_WINDOW + (1 << 20)
        )
        self._stream = self._begin()

    def read1(self, size: int) -> bytes:
        """What there is at once, at most `size` bytes; empty at the end."""
        while True:
            if self._stream.eof:
                left = self._stream.unused_data.lstrip(b"\0")  # streams may be padded
                while not left and (more := self._raw.read(1 << 16)):
                    left = more.lstrip(b"\0")
                if not left:
                    return b""
                self._stream, self._unread = self._begin(), left
            if self._stream.needs_input and not self._unread:
                self._unread = self._raw.read(1 << 16)
                if not self._unread:
                    raise EOFError
            given, self._unread = self._unread, b""
            if data := self._stream.decompress(given, size):
                return data

    def close(self) -> None:
        """The raw stream is closed by whoever opened it."""


class _Decompressed:
    """A decompressor that ends, with `damage` set, where its input is broken."""

    def __init__(self, inner: BinaryIO, raw: BinaryIO) -> None:
        self.damage: str | None = None
        self._inner, self._raw = inner, raw
        self._head = b""

    def peek(self) -> bytes:
        head = bytearray(PEEKED)
        filled = 0
        while filled < 12:
            count = self._read(memoryview(head)[filled:])
            if not count:
                break
            filled += count
        self._head = bytes(head[:filled])
        return self._head

    def readinto(self, buffer: memoryview) -> int:
        if self._head:
            count = min(len(buffer), len(self._head))
            buffer[:count] = self._head[:count]
            self._head = self._head[count:]
            return count
        return self._read(buffer)

    def close(self) -> None:
        self._inner.close()
        self._raw.close()

    def _read(self, buffer: memoryview) -> int:
        if self.damage:
            return 0
        # read1 gives what one step of decompression yields, readinto waits for a full buffer.
        read1 = getattr(self._inner, "read1", None)
        try:
            if read1 is None:
                return cast(int, self._inner.readinto(buffer))  # type: ignore[attr-defined]
            data = read1(min(len(buffer), 1 << 17))
        except EOFError:
            self.damage = "the compressed stream is cut off"
            return 0
        except Exception as error:  # zlib.error, LZMAError, ZstdError, RuntimeError of lz4: no common base
            self.damage = _why_damaged(error)
            return 0
        buffer[: len(data)] = data
        return len(data)
