"""Every kind of finding, explained: what `tcpscope explain` tells and docs/findings.md is written from.

The texts stand in this folder, a TOML file for each family.
"""

from __future__ import annotations

import tomllib
from importlib import resources

from tcpscope.diagnose.catalogue.entry import Entry

__all__ = ["ENTRIES", "FAMILIES", "Entry"]

_FILES = ("opening", "transfer", "staying", "closing", "recording")


def _read(name: str) -> tuple[str, tuple[Entry, ...]]:
    text = (resources.files(__name__) / f"{name}.toml").read_text(encoding="utf-8")
    kinds = tomllib.loads(text)
    family: str = kinds.pop("family")
    return family, tuple(_entry(id, told) for id, told in kinds.items())


def _entry(id: str, told: dict[str, str | list[str]]) -> Entry:
    """Paragraphs on one line each, lists as tuples."""
    fields = {key: " ".join(value.split()) if isinstance(value, str) else tuple(value) for key, value in told.items()}
    return Entry(id=id, **fields)  # type: ignore[arg-type]


FAMILIES: dict[str, tuple[Entry, ...]] = dict(map(_read, _FILES))
ENTRIES: dict[str, Entry] = {entry.id: entry for family in FAMILIES.values() for entry in family}
