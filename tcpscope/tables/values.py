"""How a column's values come from records: one class a kind, which says it in three ways.

`values` reads fields unpacked by `struct`, for rows in plain Python; `array` reads numpy arrays, for
DataFrames and Parquet; `kind` with `fields`, `words` and `mask` says the same to the
compiled formatter of CSV and JSON (`format.pyx`).  What is not known is None there, masked or NaN here.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple

from tcpscope.tables.address import address
from tcpscope.wire.layout import frame_at

Fields = Mapping[str, Sequence[Any]]
Columns = Mapping[str, Any]  # numpy arrays, contiguous; bytes as void
NS = 1_000_000_000
EXACT = 2**53  # up to here a double holds every whole number
ALL = 2**64 - 1


class Array(NamedTuple):
    """A column for numpy's users: its values and where they are not known.

    With `words` the values are numbers of words (texts, or tuples of texts): those that occur in these
    records, or (`fixed`) always the same.  With `counts` each record has so many of the values.
    """

    values: Any
    unknown: Any = None
    words: Sequence[Any] | None = None
    fixed: bool = False
    counts: Any = None


def seconds(ns: Any) -> Any:
    """Nanoseconds in a numpy array as seconds: the double nearest to each, as Python's `ns / 10**9` gives it."""
    import numpy

    far = False if ns.dtype.kind == "f" else (ns > EXACT) | (ns < -EXACT)
    if not numpy.any(far):
        return ns / NS
    whole = ns // NS
    exact = whole + (ns - whole * NS) / NS  # the fraction's error is too small to round it the wrong way
    return exact if numpy.all(far) else numpy.where(far, exact, ns / NS)


def numbered(records: Columns, fields: tuple[str, ...], mask: int = ALL) -> tuple[Any, list[bytes]]:
    """For one or two fields with few different values: the number of each record's value, and these values' bytes."""
    import numpy

    from tcpscope.tables.distinct import distinct

    first = records[fields[0]]
    second = records[fields[1]] if len(fields) > 1 else first[:0]
    numbers = numpy.empty(len(first), numpy.int32)
    return numbers, distinct(first.view(numpy.uint8), second.view(numpy.uint8), mask, numbers)


class Value:
    """What every kind below can do.

    Plain classes: as many dataclasses would cost `analyze` ten milliseconds at every start.
    """

    kind = ""
    fields: tuple[str, ...] = ()
    words: Sequence[str] = ()
    mask = ALL  # bits of the first field, or of another, that count

    def values(self, fields: Fields) -> Sequence[Any]:
        raise NotImplementedError

    def array(self, records: Columns) -> Array:
        raise NotImplementedError


class OfField(Value):
    """What is made of one field."""

    def __init__(self, field: str) -> None:
        self.field = field
        self.fields = (field,)


class Same(OfField):
    """The field as it is."""

    kind = "number"

    def values(self, fields: Fields) -> Sequence[Any]:
        return fields[self.field]

    def array(self, records: Columns) -> Array:
        return Array(records[self.field])


class Known(OfField):
    """The field; not known below zero (NONE)."""

    kind = "known"

    def values(self, fields: Fields) -> Sequence[Any]:
        return [it if it >= 0 else None for it in fields[self.field]]

    def array(self, records: Columns) -> Array:
        found = records[self.field]
        return Array(found, ~(found >= 0))


class Nonzero(OfField):
    """The field; zero says there is none."""

    kind = "nonzero"

    def values(self, fields: Fields) -> Sequence[Any]:
        return [it or None for it in fields[self.field]]

    def array(self, records: Columns) -> Array:
        found = records[self.field]
        return Array(found, found == 0)


class Frame(OfField):
    """Of a spot (`wire.layout`) the frame's number; not known at zero and below (NONE)."""

    kind = "frame"

    def values(self, fields: Fields) -> Sequence[Any]:
        return [frame_at(it) if 0 < it < 1 << 63 else None for it in fields[self.field]]

    def array(self, records: Columns) -> Array:
        found = records[self.field].astype("int64")
        return Array(frame_at(found), found <= 0)


class Time(OfField):
    """Nanoseconds since the epoch as seconds; before 1970 is a time too."""

    kind = "time"

    def values(self, fields: Fields) -> Sequence[Any]:
        return [it / NS for it in fields[self.field]]

    def array(self, records: Columns) -> Array:
        return Array(seconds(records[self.field]))


class Seconds(OfField):
    """Nanoseconds as seconds; not known below zero (NONE)."""

    kind = "seconds"

    def values(self, fields: Fields) -> Sequence[Any]:
        return [it / NS if it >= 0 else None for it in fields[self.field]]

    def array(self, records: Columns) -> Array:
        found = records[self.field]
        return Array(seconds(found), ~(found >= 0))


class Span(Value):
    """From one field to another, nanoseconds, as seconds."""

    kind = "span"

    def __init__(self, start: str, end: str) -> None:
        self.fields = (start, end)

    def values(self, fields: Fields) -> Sequence[Any]:
        start, end = self.fields
        return [(b - a) / NS for a, b in zip(fields[start], fields[end], strict=True)]

    def array(self, records: Columns) -> Array:
        start, end = self.fields
        return Array(seconds(records[end] - records[start]))


class Word(OfField):
    """A number that stands for a word; one past the words (255) stands for none."""

    kind = "word"

    def __init__(self, field: str, words: Sequence[str]) -> None:
        super().__init__(field)
        self.words = tuple(words)

    def values(self, fields: Fields) -> Sequence[Any]:
        words = self.words
        count = len(words)
        return [words[it] if it < count else None for it in fields[self.field]]

    def array(self, records: Columns) -> Array:
        found = records[self.field]
        return Array(found, found >= len(self.words), self.words, True)


class Truth(OfField):
    """Zero or not."""

    kind = "truth"

    def values(self, fields: Fields) -> Sequence[Any]:
        return [it != 0 for it in fields[self.field]]

    def array(self, records: Columns) -> Array:
        return Array(records[self.field] != 0)


class IfOption(Value):
    """The field, where the packet carries the option of this bit."""

    kind = "option"

    def __init__(self, field: str, bit: int) -> None:
        self.fields = (field, "options")
        self.mask = bit

    def values(self, fields: Fields) -> Sequence[Any]:
        bit, (field, options) = self.mask, self.fields
        return [it if has & bit else None for it, has in zip(fields[field], fields[options], strict=True)]

    def array(self, records: Columns) -> Array:
        field, options = self.fields
        return Array(records[field], records[options] & self.mask == 0)


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


def names(mask: int, words: Sequence[str]) -> list[str]:
    """The words whose bits are set in mask; an empty word says that the bit means nothing."""
    return [word for bit, word in enumerate(words) if mask >> bit & 1 and word]


class Bits(OfField):
    """A list of the words whose bits are set."""

    kind = "bits"

    def __init__(self, field: str, words: Sequence[str]) -> None:
        super().__init__(field)
        self.words = tuple(words)
        self.mask = sum(1 << bit for bit, word in enumerate(words) if word)
        self._made = Remembered(lambda mask: names(mask, self.words))

    def values(self, fields: Fields) -> Sequence[Any]:
        made = self._made
        return [made[it] for it in fields[self.field]]

    def array(self, records: Columns) -> Array:
        codes, found = numbered(records, self.fields, self.mask)
        return Array(codes, None, [tuple(self._made[int.from_bytes(raw, sys.byteorder)]) for raw in found])


class Joined(OfField):
    """The words whose bits are set, joined by commas."""

    kind = "word"

    def __init__(self, field: str, words: Sequence[str]) -> None:
        super().__init__(field)
        self.parts = tuple(words)
        self.mask = (1 << len(self.parts)) - 1

    @cached_property
    def words(self) -> Sequence[str]:  # type: ignore[override]
        return tuple(",".join(names(mask, self.parts)) for mask in range(self.mask + 1))

    def values(self, fields: Fields) -> Sequence[Any]:
        words, mask = self.words, self.mask
        return [words[it & mask] for it in fields[self.field]]

    def array(self, records: Columns) -> Array:
        codes, found = numbered(records, self.fields, self.mask)
        return Array(codes, None, [self.words[int.from_bytes(raw, sys.byteorder)] for raw in found])


def by_version(make: Callable[[bytes, int], Any]) -> dict[int, Remembered]:
    """What is made of addresses, remembered, by IP version."""
    return {4: Remembered(lambda raw: make(raw, 4)), 6: Remembered(lambda raw: make(raw, 6))}


_ADDRESSES = by_version(address)


class Ip(OfField):
    """An address of 16 bytes as text."""

    kind = "ip"

    def __init__(self, field: str) -> None:
        super().__init__(field)
        self.fields = (field, "ip_version")

    def values(self, fields: Fields) -> Sequence[Any]:
        text = _ADDRESSES
        return [
            text[4 if version == 4 else 6][raw]
            for raw, version in zip(fields[self.field], fields["ip_version"], strict=True)
        ]

    def array(self, records: Columns) -> Array:
        codes, found = numbered(records, self.fields)
        return Array(codes, None, [_ADDRESSES[4 if it[16] == 4 else 6][it[:16]] for it in found])


class Text(OfField):
    """Characters up to the first NUL."""

    kind = "text"

    def values(self, fields: Fields) -> Sequence[Any]:
        return list(map(_text, fields[self.field]))

    def array(self, records: Columns) -> Array:
        codes, found = numbered(records, self.fields)
        return Array(codes, None, list(map(_text, found)))


def _text(raw: bytes) -> str:
    return raw.split(b"\0", 1)[0].decode("latin-1")


class Name(Text):
    """As Text; not known where there is none."""

    kind = "name"

    def values(self, fields: Fields) -> Sequence[Any]:
        return [_text(it) or None for it in fields[self.field]]

    def array(self, records: Columns) -> Array:
        found = super().array(records)
        return Array(
            found.values, records[self.field].view("u1").reshape(len(found.values), -1)[:, 0] == 0, found.words
        )


class Slashed(Value):
    """Two small numbers, `3/1`; 255 in the first says there is none."""

    kind = "slashed"

    def __init__(self, first: str, second: str) -> None:
        self.fields = (first, second)

    def values(self, fields: Fields) -> Sequence[Any]:
        pairs = zip(*(fields[name] for name in self.fields), strict=True)
        return [None if first == 255 else f"{first}/{second}" for first, second in pairs]

    def array(self, records: Columns) -> Array:
        codes, found = numbered(records, self.fields)
        return Array(codes, records[self.fields[0]] == 255, [f"{first}/{second}" for first, second in found])


class Pairs(Value):
    """A list of pairs of 32-bit numbers: so many of a field as another says."""

    kind = "pairs"

    def __init__(self, field: str, count: str) -> None:
        self.fields = (field, count)

    def values(self, fields: Fields) -> Sequence[Any]:
        return list(map(_pairs, *(fields[name] for name in self.fields)))

    def array(self, records: Columns) -> Array:
        import numpy

        field, count = self.fields
        edges = records[field].view("u4").reshape(len(records[field]), -1, 2)
        most = edges.shape[1]
        counts = numpy.minimum(records[count], most)
        return Array(edges[numpy.arange(most) < counts[:, None]], counts=counts)


_NO_PAIRS: list[list[int]] = []


def _pairs(raw: bytes, count: int) -> list[list[int]]:
    if not count:
        return _NO_PAIRS
    return [list(it) for it in struct.iter_unpack("=2I", raw[: 8 * count])]
