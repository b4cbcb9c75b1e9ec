"""Which rows a person asked for: by host, port, state, annotation, time, connection."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import ip_address, ip_network
from typing import Any

from tcpscope.errors import UsageError
from tcpscope.replay.layout import ANNOTATIONS, STATES

Row = dict[str, Any]
Test = Callable[[Row], bool]


@dataclass(frozen=True)
class Wanted:
    """Each field: what to keep; empty means all.  Times in seconds since the epoch."""

    hosts: tuple[str, ...] = ()
    ports: tuple[int, ...] = ()
    states: tuple[str, ...] = ()
    annotations: tuple[str, ...] = ()
    connections: tuple[int, ...] = ()
    since: float | None = None
    until: float | None = None


def nearest(word: str, words: Iterable[str]) -> str:
    """` (did you mean …?)`, or nothing."""
    from difflib import get_close_matches

    found = get_close_matches(word, list(words), 1)
    return f" (did you mean {found[0]}?)" if found else ""


def moment(text: str, start: float) -> float:
    """Seconds since the epoch from `+2.5` (after the capture's start), epoch seconds, or ISO 8601 (UTC by default)."""
    try:
        if text.startswith("+"):
            return start + float(text[1:])
        return float(text)
    except ValueError:
        pass
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"no time: {text!r}; write +SECONDS, epoch seconds or 2026-01-31T12:00:00") from None
    return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()


def _networks(hosts: tuple[str, ...]) -> list[Any]:
    try:
        return [ip_network(host, strict=False) for host in hosts]
    except ValueError as error:
        raise UsageError(f"no address or network: {error}") from None


def _checked(words: tuple[str, ...], known: tuple[str, ...], what: str) -> set[str]:
    found = set()
    for word in words:
        same = {w.upper(): w for w in known}.get(word.upper().replace("-", "_"))
        if same is None:
            raise UsageError(f"no {what} {word!r}{nearest(word.lower(), [w.lower() for w in known])}")
        found.add(same)
    return found


def tests(wanted: Wanted, addresses: tuple[str, str], ports: tuple[str, str], time: str) -> list[Test]:
    """What a row must pass; the arguments name the row's columns."""
    found: list[Test] = []
    if wanted.connections:
        numbers = set(wanted.connections)
        found.append(lambda row: row["connection"] in numbers)
    if wanted.ports:
        either = set(wanted.ports)
        found.append(lambda row: row[ports[0]] in either or row[ports[1]] in either)
    if wanted.hosts:
        networks = _networks(wanted.hosts)
        known: dict[str, bool] = {}

        def inside(text: str) -> bool:
            if text not in known:
                known[text] = any(ip_address(text) in network for network in networks)
            return known[text]

        found.append(lambda row: inside(row[addresses[0]]) or inside(row[addresses[1]]))
    if wanted.states:
        states = _checked(wanted.states, STATES, "state")
        found.append(lambda row: row["client_state"] in states or row["server_state"] in states)
    if wanted.since is not None:
        since = wanted.since
        found.append(lambda row: row[time] + row.get("duration", 0.0) >= since)
    if wanted.until is not None:
        until = wanted.until
        found.append(lambda row: row[time] <= until)
    return found


def packet_tests(wanted: Wanted) -> list[Test]:
    """For rows of `packets`."""
    found = tests(wanted, ("src", "dst"), ("sport", "dport"), "time")
    if wanted.annotations:
        words = _checked(wanted.annotations, ANNOTATIONS, "annotation")
        found.append(lambda row: not words.isdisjoint(row["annotations"]))
    return found


def connection_tests(wanted: Wanted) -> list[Test]:
    """For rows of `connections`."""
    return tests(wanted, ("client_ip", "server_ip"), ("client_port", "server_port"), "start")


def keep(rows: Iterable[Row], conditions: list[Test]) -> Iterable[Row]:
    """The rows that pass every test."""
    if not conditions:
        return rows
    return (row for row in rows if all(test(row) for test in conditions))
