"""Where a test's captures go: one place a test, the same in every run and on every worker."""

from __future__ import annotations

import re
import shutil
from hashlib import sha256
from pathlib import Path

LONGEST = 100  # bytes of a name; file systems take 255
PLAIN = re.compile(r"[A-Za-z0-9_\[\]=,+@%][A-Za-z0-9_.\[\]=,+@%-]*")


def place(folder: Path, test: str, suffix: str, count: int) -> Path:
    """The file for a test's capture number `count` (from 1): `folder/tests/test_it.py/test_closes[lo].pcap`.

    Two tests never share one: a name that had to be changed or cut carries a hash of what it was.
    """
    file, _, rest = test.partition("::")
    parts = [_safe(it) for it in file.split("/") if it]
    name = _safe(rest.replace("::", ".") or "session")
    return folder.joinpath(*parts, f"{name}{f'-{count}' if count > 1 else ''}{suffix}")


def _safe(name: str) -> str:
    if PLAIN.fullmatch(name) and len(name) <= LONGEST:
        return name
    plain = re.sub(r"[^A-Za-z0-9_.\[\]=,+@%-]+", "_", name)[:LONGEST].lstrip(".-")
    return f"{plain}-{sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"


def keep(file: Path, at: Path, top: Path) -> None:
    """Copy a capture to its place; the top folder is kept out of version control."""
    at.parent.mkdir(parents=True, exist_ok=True)
    ignore = top / ".gitignore"
    if not ignore.exists():
        ignore.write_text("*\n", encoding="ascii")
    shutil.copyfile(file, at)


def forget(folder: Path, test: str) -> None:
    """Remove what an earlier run kept of this test."""
    first = place(folder, test, "", 1)
    if first.parent.is_dir():
        numbered = re.compile(re.escape(first.name) + r"(-\d+)?\.pcap(ng)?")
        for old in first.parent.iterdir():
            if numbered.fullmatch(old.name):
                old.unlink(missing_ok=True)
