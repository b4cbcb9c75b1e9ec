"""The keys of a policy's tables: none that is not known, none missing, each of its kind."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from tcpscope.check.grammar import SECTIONS, Key
from tcpscope.check.units import shown
from tcpscope.errors import UsageError
from tcpscope.tables.filters import nearest

Table = Mapping[str, Any]

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


def checked(section: str, table: Any, where: str) -> Table:
    """The table, if it has only keys of the section and all that it needs."""
    keys = {key.name: key for key in SECTIONS[section]}
    if not isinstance(table, Mapping):
        raise UsageError(f"{where or 'the policy'}: a table with keys is needed: {', '.join(keys)}")
    for name in table:
        if name not in keys:
            like = nearest(name, keys) if isinstance(name, str) else ""
            raise UsageError(f"{_at(where, '')}no key {shown(name)}{like or '; there are: ' + ', '.join(keys)}")
    for key in keys.values():
        if key.required and key.name not in table:
            raise UsageError(f"{_at(where, '')}the key {key.name!r} is missing")
        if key.name in table:
            _plain(key, table[key.name], _at(where, key.name))
    return table


def _plain(key: Key, value: Any, where: str) -> None:
    """What can be told from the key alone."""
    if key.kind == "choice" and value not in key.choices:
        like = nearest(shown(value).strip("'"), key.choices)
        raise UsageError(f"{where}: {shown(value)}{like or ' is none of: ' + ', '.join(key.choices)}")
    if key.kind in ("text", "id") and not (isinstance(value, str) and value.strip()):
        raise UsageError(f"{where}: text is needed, not {shown(value)}")
    if key.kind == "id" and not _ID.fullmatch(value):
        raise UsageError(
            f"{where}: {shown(value)}: an id has letters, digits, - _ . and begins with a letter or a digit"
        )
    if key.kind in ("rules", "selects", "allows") and not isinstance(value, list):
        raise UsageError(f"{where}: a list of tables is needed")
    if key.kind == "version" and (isinstance(value, bool) or value != 1):
        raise UsageError(f"{where}: this tcpscope knows version 1 of the grammar, not {shown(value)}")


def _at(where: str, name: str) -> str:
    """The place of a key, for an error: `rules[0].max`; without a name the beginning of a sentence about it."""
    return f"{where}.{name}" if where and name else name or (f"{where}: " if where else "")


def texts(value: Any, where: str) -> tuple[str, ...]:
    """One text, or a list of such."""
    several = value if isinstance(value, list) else [value]
    if not several or not all(isinstance(it, str) and it for it in several):
        raise UsageError(f"{where}: a text or a list of texts is needed, not {shown(value)}")
    return tuple(several)
