"""Which records a person asked for: by host, port, state, annotation, time, connection.

Records in, records out: what is not wanted is never turned into rows.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from itertools import compress
from typing import Any

from tcpscope.errors import UsageError
from tcpscope.replay.layout import ANNOTATIONS, STATES
from tcpscope.tables.address import address
from tcpscope.tables.rows import Raw, unpacked
from tcpscope.tables.schema import LAYOUTS
from tcpscope.tables.values import Fields, Remembered, by_version
from tcpscope.wire.layout import SERVICES

PRINTED_NS = 500  # by which a date that is printed may be off: it has microseconds
FOREVER = 1_000_000_000_000  # seconds
Test = Callable[[Fields], Iterable[bool]]  # of each record, whether it passes


@dataclass(frozen=True)
class Wanted:
    """Each field: what to keep; empty means all.  Times in nanoseconds since the epoch."""

    hosts: tuple[str, ...] = ()
    ports: tuple[int, ...] = ()
    states: tuple[str, ...] = ()
    annotations: tuple[str, ...] = ()
    connections: tuple[int, ...] = ()
    services: tuple[str, ...] = ()
    names: tuple[str, ...] = ()  # shell patterns of the server's name
    since: int | None = None
    until: int | None = None


@dataclass(frozen=True)
class Names:
    """The fields of a record that the tests look at."""

    addresses: tuple[str, str]
    ports: tuple[str, str]
    first: str
    last: str


FIELDS = {
    "packets": Names(("src", "dst"), ("sport", "dport"), "time_ns", "time_ns"),
    "connections": Names(("client_addr", "server_addr"), ("client_port", "server_port"), "start_ns", "end_ns"),
}


def nearest(word: str, words: Iterable[str]) -> str:
    """` (did you mean …?)`, or nothing."""
    from difflib import get_close_matches

    found = get_close_matches(word, list(words), 1)
    return f" (did you mean {found[0]}?)" if found else ""


def zoned(text: str, utc: bool) -> str:
    """A time as it is printed, `2026-01-31 12:00:00.5 UTC` or without a zone the local time, with its zone."""
    text = text.strip()
    if text.endswith(" UTC"):
        return text.removesuffix(" UTC") + "+00:00"
    with contextlib.suppress(ValueError, OverflowError, OSError):  # no date, or none that a time zone reaches
        when = datetime.fromisoformat(text)
        if when.tzinfo is None and not utc:
            return when.astimezone().isoformat()
    return text


def moment(text: str, start_ns: int) -> int:
    """Nanoseconds since the epoch from `+2.5` (s after the capture's start), epoch seconds, or ISO 8601 (UTC)."""
    with contextlib.suppress(InvalidOperation):
        seconds = Decimal(text)  # a double resolves 240 ns only
        if seconds.is_finite() and abs(seconds) < FOREVER:
            return int(seconds * 1_000_000_000) + (start_ns if text.startswith("+") else 0)
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"no time: {text!r}; write +SECONDS, epoch seconds or 2026-01-31T12:00:00") from None
    when = when if when.tzinfo else when.replace(tzinfo=UTC)
    whole = when.replace(microsecond=0)
    return round(whole.timestamp()) * 1_000_000_000 + when.microsecond * 1000


def bound(text: str, start_ns: int, utc: bool, towards: int) -> int:
    """`moment` as the begin (towards -1) or the end (1) of a span: what was printed in microseconds is inside."""
    date = zoned(text, utc)
    return moment(date, start_ns) + (towards * PRINTED_NS if ":" in date else 0)


def networks(hosts: tuple[str, ...]) -> list[Any]:
    """Addresses and networks (`10.0.0.0/8`) as networks; UsageError for anything else."""
    from ipaddress import ip_network

    try:
        return [ip_network(host, strict=False) for host in hosts]
    except ValueError:
        raise UsageError(f"no address or network among {', '.join(hosts)}; write 10.0.0.1 or 10.0.0.0/8") from None


def bits(words: tuple[str, ...], known: tuple[str, ...], what: str) -> int:
    """The words' bits by their position in `known`; any case, - for _; UsageError for a word that is not known."""
    upper = {word.upper(): bit for bit, word in enumerate(known)}
    mask = 0
    for word in words:
        bit = upper.get(word.upper().replace("-", "_"))
        if bit is None:
            like = nearest(word.upper().replace("-", "_"), upper)
            if known and known[0].islower():
                like = like.lower()
            raise UsageError(f"no {what} {word!r}{like or '; there are: ' + ', '.join(known)}")
        mask |= 1 << bit
    return mask


def _inside(found: list[Any]) -> Callable[[bytes, int], bool]:
    from ipaddress import ip_address

    def judge(raw: bytes, version: int) -> bool:
        ip = ip_address(address(raw, version))
        return any(ip in network for network in found)

    known = by_version(judge)
    return lambda raw, version: bool(known[4 if version == 4 else 6][raw])


def _named(patterns: tuple[str, ...]) -> Test:
    """The server's name matches one of these patterns, in any case."""
    import re
    from fnmatch import translate

    match = re.compile("|".join(translate(it.lower()) for it in patterns)).match

    def judge(raw: bytes) -> bool:
        name = raw.split(b"\0", 1)[0].decode("latin-1").lower()
        return bool(name) and match(name) is not None

    known = Remembered(judge)
    return lambda fields: (known[it] for it in fields["server_name"])


def of_connections(wanted: Iterable[int]) -> Test:
    """The record belongs to one of these connections."""
    numbers = set(wanted)
    return lambda fields: (it in numbers for it in fields["connection"])


def conditions(table: str, wanted: Wanted) -> list[Test]:
    """What a record of `packets` or `connections` must pass."""
    at = FIELDS[table]
    found: list[Test] = []
    if wanted.connections:
        found.append(of_connections(wanted.connections))
    if wanted.ports:
        ports = set(wanted.ports)
        found.append(
            lambda fields: (a in ports or b in ports for a, b in zip(*(fields[it] for it in at.ports), strict=True))
        )
    if wanted.hosts:
        inside = _inside(networks(wanted.hosts))
        found.append(
            lambda fields: (
                inside(a, version) or inside(b, version)
                for a, b, version in zip(*(fields[it] for it in (*at.addresses, "ip_version")), strict=True)
            )
        )
    if wanted.states:
        states = bits(wanted.states, STATES, "state")
        found.append(
            lambda fields: (
                bool((1 << a | 1 << b) & states)
                for a, b in zip(fields["client_state"], fields["server_state"], strict=True)
            )
        )
    if wanted.annotations and table == "packets":
        mask = bits(wanted.annotations, ANNOTATIONS, "annotation")
        found.append(lambda fields: (it & mask != 0 for it in fields["annotations"]))
    if wanted.services and table == "connections":
        chosen = {at for at, bit in enumerate(bin(bits(wanted.services, SERVICES, "service"))[:1:-1]) if bit == "1"}
        found.append(lambda fields: (it in chosen for it in fields["service"]))
    if wanted.names and table == "connections":
        found.append(_named(wanted.names))
    if wanted.since is not None:
        since = wanted.since
        found.append(lambda fields: (it >= since for it in fields[at.last]))
    if wanted.until is not None:
        until = wanted.until
        found.append(lambda fields: (it <= until for it in fields[at.first]))
    return found


def keep(table: str, chunks: Iterable[Raw], passing: list[Test]) -> Iterator[Raw]:
    """The records that pass every test, still packed."""
    size = LAYOUTS[table].size
    for chunk in chunks:
        if not passing:
            yield chunk
            continue
        for part, fields in unpacked(table, chunk):
            passed = [all(answers) for answers in zip(*(test(fields) for test in passing), strict=True)]
            if all(passed):
                yield part
            elif any(passed):
                starts = compress(range(0, len(part), size), passed)
                yield b"".join([part[start : start + size] for start in starts])
