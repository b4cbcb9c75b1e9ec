"""Where output goes: standard output, or a file that appears only when all went well.

A file is written beside its final name and moved there when it is whole, so that a failed run
leaves the old one.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import BinaryIO

from tcpscope.errors import UsageError


@contextlib.contextmanager
def destination(path: str | None) -> Iterator[BinaryIO]:
    """The binary stream to write to: standard output, or a file that appears only when all went well."""
    if path is None or path == "-":
        if sys.stdout is None:
            raise UsageError("standard output is closed: use -o FILE")
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    target = os.path.realpath(path)  # a link stays a link
    if os.path.exists(target) and not os.path.isfile(target) and not os.path.isdir(target):
        with open(target, "wb") as stream:  # a device or a pipe is written to, never replaced
            yield stream
        return
    if os.path.islink(target):  # what realpath could not follow
        raise UsageError(f"cannot write {path}: a link that leads to itself")
    folder = os.path.dirname(target)
    if os.path.isdir(target) or not os.path.isdir(folder):
        raise UsageError(f"cannot write {path}: " + ("it is a folder" if os.path.isdir(target) else "no such folder"))
    import tempfile  # with its random numbers, a slow import

    try:
        handle, part = tempfile.mkstemp(prefix=".tcpscope-", dir=folder)
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}") from None
    try:
        with os.fdopen(handle, "wb") as stream:
            yield stream
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(part, 0o666 & ~mask)
        os.replace(part, target)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(part)
        raise
