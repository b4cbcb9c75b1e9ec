"""How a column's values come from records: a whole column at a time, in plain Python or in numpy.

`values` reads fields unpacked by `struct` and serves JSON and CSV; `array` reads a numpy record
array and serves DataFrames and Parquet.  What is not known is None there, masked or NaN here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from tcpscope.replay import layout
from tcpscope.tables.address import address

if TYPE_CHECKING:
    import numpy

Fields = Mapping[str, Sequence[Any]]
NS = 1e9


class Array(NamedTuple):
    """A column for numpy's users: its values; where they are not known; for codes, the words they stand for."""

    values: Any
    unknown: Any = None
    words: tuple[str, ...] | None = None


class Listed(Mapping[str, Sequence[Any]]):
    """The fields of a numpy record array as Python lists, made when asked for."""

    def __init__(self, records: numpy.ndarray[Any, Any]) -> None:
        self._records = records

    def __getitem__(self, name: str) -> Sequence[Any]:
        found: list[Any] = self._records[name].tolist()
        return found

    def __iter__(self) -> Any:
        return iter(self._records.dtype.names or ())

    def __len__(self) -> int:
        return len(self._records.dtype.names or ())


class Value:
    """What every kind below can do; `array` falls back to Python's values.

    Plain classes: as many dataclasses would cost `analyze` ten milliseconds at every start.
    """

    def values(self, fields: Fields) -> Sequence[Any]:
        raise NotImplementedError

    def array(self, records: Any) -> Array:
        return Array(self.values(Listed(records)))


class OfField(Value):
    """What is made of one field."""

    def __init__(self, field: str) -> None:
        self.field = field


class Same(OfField):
    """The field as it is."""

    def values(self, fields: Fields) -> Sequence[Any]:
        return fields[self.field]

    def array(self, records: Any) -> Array:
        return Array(records[self.field])


class Known(OfField):
    """The field; not known below zero (NONE)."""

    def values(self, fields: Fields) -> Sequence[Any]:
        return [it if it >= 0 else None for it in fields[self.field]]

    def array(self, records: Any) -> Array:
        found = records[self.field]
        return Array(found, ~(found >= 0))


class Nonzero(OfField):
    """The field; zero says there is none."""

    def values(self, fields: Fields) -> Sequence[Any]:
        return [it or None for it in fields[self.field]]

    def array(self, records: Any) -> Array:
        found = records[self.field]
        return Array(found, found == 0)


class Time(OfField):
    """Nanoseconds since the epoch as seconds; before 1970 is a time too."""

    def values(self, fields: Fields) -> Sequence[Any]:
        return [it / NS for it in fields[self.field]]

    def array(self, records: Any) -> Array:
        return Array(records[self.field] / NS)


class Seconds(OfField):
    """Nanoseconds as seconds; not known below zero (NONE)."""

    def values(self, fields: Fields) -> Sequence[Any]:
        return [it / NS if it >= 0 else None for it in fields[self.field]]

    def array(self, records: Any) -> Array:
        found = records[self.field]
        return Array(found / NS, ~(found >= 0))


class Word(Value):
    """A number that stands for a word; one past the words (255) stands for none."""

    def __init__(self, field: str, words: tuple[str, ...]) -> None:
        self.field, self.words = field, words

    def values(self, fields: Fields) -> Sequence[Any]:
        words = self.words
        count = len(words)
        return [words[it] if it < count else None for it in fields[self.field]]

    def array(self, records: Any) -> Array:
        found = records[self.field]
        return Array(found, found >= len(self.words), self.words)


class Truth(OfField):
    """Zero or not."""

    def values(self, fields: Fields) -> Sequence[Any]:
        return [it != 0 for it in fields[self.field]]

    def array(self, records: Any) -> Array:
        return Array(records[self.field] != 0)


class IfOption(Value):
    """The field, where the packet carries the option of this bit."""

    def __init__(self, field: str, bit: int) -> None:
        self.field, self.bit = field, bit

    def values(self, fields: Fields) -> Sequence[Any]:
        bit = self.bit
        return [it if has & bit else None for it, has in zip(fields[self.field], fields["options"], strict=True)]

    def array(self, records: Any) -> Array:
        return Array(records[self.field], records["options"] & self.bit == 0)


class Made(Value):
    """A function of one or several fields."""

    def __init__(self, fields: tuple[str, ...], make: Callable[..., Any]) -> None:
        self.fields, self.make = fields, make

    def values(self, fields: Fields) -> Sequence[Any]:
        return list(map(self.make, *(fields[name] for name in self.fields)))


class Remembered(dict[Any, Any]):
    """A function's results by argument, for columns with few different values; forgets all when it grows large."""

    def __init__(self, make: Callable[[Any], Any]) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, key: Any) -> Any:
        if len(self) >= 65_536:
            self.clear()
        found = self[key] = self._make(key)
        return found


class Each(Value):
    """A function of one field that takes few different values."""

    def __init__(self, field: str, made: Remembered) -> None:
        self.field, self.made = field, made

    def values(self, fields: Fields) -> Sequence[Any]:
        made = self.made
        return [made[it] for it in fields[self.field]]


def by_version(make: Callable[[bytes, int], Any]) -> dict[int, Remembered]:
    """What is made of addresses, remembered, by IP version."""
    return {4: Remembered(lambda raw: make(raw, 4)), 6: Remembered(lambda raw: make(raw, 6))}


_ADDRESSES = by_version(address)


class Ip(OfField):
    """An address of 16 bytes as text."""

    def values(self, fields: Fields) -> Sequence[Any]:
        text = _ADDRESSES
        return [
            text[4 if version == 4 else 6][raw]
            for raw, version in zip(fields[self.field], fields["ip_version"], strict=True)
        ]


def names(mask: int, words: tuple[str, ...]) -> list[str]:
    """The words whose bits are set in mask."""
    return [word for bit, word in enumerate(words) if mask >> bit & 1]


def bits(field: str, words: tuple[str, ...]) -> Each:
    """A list of words from a field of bits."""
    return Each(field, Remembered(lambda mask: names(mask, words)))


def who(field: str) -> Each:
    """client, server, both, or None."""
    return Each(field, Remembered(layout.CLOSED_BY.get))
