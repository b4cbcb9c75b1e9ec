"""The tshark process: where it is (pyshark knows), its version, and its lines of fields.

pyshark's packet objects cost a millisecond a packet and an event loop of their own; here one
`tshark -T fields` process answers for the whole file, as plain lines.
"""

from __future__ import annotations

import configparser
import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, cast

from tcpscope.capture.sources import CAPTURE_MAGICS, STDIN, Source, open_stream
from tcpscope.errors import CaptureError, UsageError

RULES = "4.0"  # the version whose rules the column `wireshark` follows
INSTALL = "tshark is not installed; install it with: apt-get install tshark"
ROOT = "Running as user"  # tshark's remark to root, no complaint
BLOCK = 1 << 20


@dataclass(frozen=True)
class Tshark:
    """path of the program; version as `4.0.17`."""

    path: str
    version: str

    @property
    def same_rules(self) -> bool:
        return self.version.startswith(RULES + ".")


def find() -> Tshark:
    """The tshark of PATH, or of pyshark's configuration; UsageError when there is none that runs.

    PATH goes first: pyshark reads a `config.ini` of the current folder, which may come from anywhere.
    """
    on_path = shutil.which("tshark")
    try:
        from pyshark.tshark import tshark as helper
    except ImportError as error:
        raise UsageError(f"pyshark cannot be loaded ({error}); install it with: pip install pyshark") from None
    try:
        path = str(helper.get_process_path(on_path))
    except helper.TSharkNotFoundException:
        raise UsageError(INSTALL) from None
    except configparser.Error:  # some other program's config.ini
        if on_path is None:
            raise UsageError(INSTALL) from None
        path = on_path
    try:
        version = str(helper.get_tshark_version(path))
    except FileNotFoundError:
        raise UsageError(INSTALL) from None
    except (OSError, subprocess.SubprocessError, ValueError, IndexError, helper.TSharkVersionException) as error:
        raise UsageError(f"{path} does not run ({error}); reinstall it with: apt-get install tshark") from None
    return Tshark(path, version)


@contextlib.contextmanager
def on_disk(source: Source) -> Iterator[str]:
    """The path of a plain capture file for tshark; standard input and compressed captures are unpacked to one.

    Both programs then read the same bytes, whatever compression this tshark knows.
    """
    stream = open_stream(source)
    try:
        if source.name != STDIN and _is_plain(source.name):
            yield os.path.abspath(source.name)  # absolute: a name may begin with "-"
            return
        with tempfile.NamedTemporaryFile(prefix="tcpscope-", suffix=".pcap") as copy:
            block = memoryview(bytearray(BLOCK))
            while count := stream.readinto(block):
                copy.write(block[:count])
            copy.flush()
            yield copy.name
    finally:
        stream.close()


def _is_plain(name: str) -> bool:
    with open(name, "rb") as file:
        return file.read(4).startswith(CAPTURE_MAGICS)


def default_settings(folder: str) -> dict[str, str]:
    """An environment in which tshark finds no personal preferences or plugins: they change its analysis."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("WIRESHARK", "XDG"))}
    return kept | {"HOME": folder, "XDG_CONFIG_HOME": folder, "WIRESHARK_CONFIG_DIR": folder, "LC_ALL": "C.UTF-8"}


def complaint(stderr: bytes, path: str) -> str:
    """The first line of tshark's stderr that says something, without the path of a temporary copy."""
    lines = [line for line in stderr.decode("utf-8", "replace").splitlines() if line.strip()]
    said = [line for line in lines if not line.startswith(ROOT)]
    return said[0].removeprefix("tshark: ").replace(path, "the capture") if said else ""


def fields(tshark: Tshark, path: str, names: tuple[str, ...], damaged: bool = False) -> Iterator[list[str]]:
    """The named fields of every frame, in order, as text; several values of one field stand behind commas.

    One pass, default preferences, no name resolution.  Raises CaptureError when tshark gives up before the
    end; with `damaged` the capture is known to be cut off, and tshark may say so too.
    """
    command = [tshark.path, "-n", "-r", path, "-T", "fields", "-E", "separator=/t", "-E", "occurrence=a"]
    for name in names:
        command += ["-e", name]
    with tempfile.TemporaryDirectory(prefix="tcpscope-") as home, tempfile.TemporaryFile() as errors:
        with subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors, env=default_settings(home)
        ) as process:
            try:
                for line in cast(BinaryIO, process.stdout):
                    yield line.decode("utf-8", "replace").rstrip("\n").split("\t")
                process.wait()
            finally:
                process.kill()  # where it still runs, its reader has gone
        if process.returncode < 0 or (process.returncode and not damaged):
            errors.seek(0)
            raise CaptureError(f"tshark stopped: {complaint(errors.read(), path) or process.returncode}")
