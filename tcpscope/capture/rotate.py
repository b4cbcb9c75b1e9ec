"""A live capture into files: one, or one after another by size or time, of which the latest few are kept.

Every file begins with the headers that it needs and ends with a whole packet, also where the disk is full.
"""

from __future__ import annotations

import contextlib
import os
import struct
import time
from collections import deque

from tcpscope.errors import UsageError

PCAPNG = b"\n\r\r\n"
LITTLE = (b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1")
SECTION, INTERFACE = 0x0A0D0D0A, 1
PCAP_HEADER, RECORD_HEADER = 24, 16


class Files:
    """Takes a capture's bytes, in any pieces (`LiveStream`'s tee).

    size: bytes, seconds: after which the next file begins; keep: that many of the latest files stay; 0: all.
    failure: what the system said when it could not write, None so far; what came before is kept, and nothing more
    is written.  names: the files that there are.
    """

    def __init__(self, path: str, *, size: int = 0, seconds: float = 0, keep: int = 0) -> None:
        self.path, self.names = path, deque[str]()
        self.failure: str | None = None
        self.bytes = 0
        self._size, self._seconds, self._keep = size, seconds, keep
        self._rotates = bool(size or seconds)
        self._held = b""
        self._header = b""  # of the file, or of the section with its interfaces
        self._opened = False
        self._pcapng, self._order = False, "<"
        self._count = self._written = 0
        self._file = -1
        self._began = 0.0
        self._open()

    def __call__(self, data: bytes) -> None:
        if self.failure is None:
            try:
                self._take(self._held + data if self._held else data)
            except OSError as error:
                self._fail(error)

    def close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    # ------------------------------------------------------------ records

    def _take(self, data: bytes) -> None:
        """Write the whole records, hold the rest."""
        at = start = 0
        if not self._opened:
            if len(data) < PCAP_HEADER:
                self._held = data
                return
            self._pcapng = data[:4] == PCAPNG
            if not self._pcapng:
                self._order = "<" if data[:4] in LITTLE else ">"
                self._header = data[:PCAP_HEADER]
                at = PCAP_HEADER
            self._opened = True
        while (length := self._length(data, at)) and at + length <= len(data):
            if self._pcapng:
                self._note(data, at, length)
            if self._rotates and self._due(at - start):
                self._write(data[start:at])
                start = at
                self._next()
            at += length
        self._write(data[start:at] if start or at < len(data) else data)
        self._held = data[at:]

    def _length(self, data: bytes, at: int) -> int:
        """Of the record or block at this place; 0: its header is not whole."""
        if self._pcapng:
            if len(data) - at < 12:
                return 0
            if data[at : at + 4] == PCAPNG:
                self._order = "<" if data[at + 8] == 0x4D else ">"
            return max(int(struct.unpack_from(self._order + "I", data, at + 4)[0]), 12)
        if len(data) - at < RECORD_HEADER:
            return 0
        return RECORD_HEADER + int(struct.unpack_from(self._order + "I", data, at + 8)[0])

    def _note(self, data: bytes, at: int, length: int) -> None:
        """Keep what the next file must begin with: the section and its interfaces."""
        (kind,) = struct.unpack_from(self._order + "I", data, at)
        if kind == SECTION:
            self._header = data[at : at + length]
        elif kind == INTERFACE:
            self._header += data[at : at + length]

    def _due(self, more: int) -> bool:
        """The next record belongs into another file."""
        if self._written + more <= len(self._header):
            return False  # not a packet in this one yet
        if self._size and self._written + more >= self._size:
            return True
        return bool(self._seconds) and time.monotonic() - self._began >= self._seconds

    # ------------------------------------------------------------ files

    def _open(self) -> None:
        name = self.path
        self._count += 1
        if self._rotates:
            stem, suffix = os.path.splitext(self.path)
            name = f"{stem}_{self._count:05d}_{time.strftime('%Y%m%d%H%M%S')}{suffix}"
        try:
            self._file = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
        except OSError as error:
            if self._count > 1:
                raise
            raise UsageError(f"cannot write {name}: {error.strerror}") from None
        self.names.append(name)
        self._written, self._began = 0, time.monotonic()
        while self._keep and len(self.names) > self._keep:
            with contextlib.suppress(OSError):
                os.remove(self.names[0])
            self.names.popleft()

    def _next(self) -> None:
        self.close()
        self._open()
        self._write(self._header)

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            count = os.write(self._file, view)
            view = view[count:]
        self._written += len(data)
        self.bytes += len(data)

    def _fail(self, error: OSError) -> None:
        """Cut off the record that was not written whole."""
        self.failure = f"{self.names[-1] if self.names else self.path}: {error.strerror or error}"
        if self._file >= 0:
            with contextlib.suppress(OSError):
                os.ftruncate(self._file, self._whole())
            self.close()
        self._held = b""

    def _whole(self) -> int:
        """How much of the file is whole records: it is read from the place that was known to be whole."""
        end = self._written
        with open(self.names[-1], "rb") as file:
            file.seek(end)
            tail = file.read()
        at = PCAP_HEADER if end == 0 and not self._pcapng else 0
        while (length := self._length(tail, at)) and at + length <= len(tail):
            at += length
        return end + min(at, len(tail))
