"""Which connections a rule is about: by address, port, service, name, time, and by what was measured."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatch
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING, Any

from tcpscope.check import units
from tcpscope.check.measures import measures
from tcpscope.check.units import shown
from tcpscope.errors import UsageError
from tcpscope.tables.address import address
from tcpscope.tables.filters import nearest
from tcpscope.tables.values import numbered

if TYPE_CHECKING:
    from tcpscope.check.assertions import Test
    from tcpscope.tables.values import Columns

HIGHEST = 65_535
_PORTS = re.compile(r"(\d{1,5})(?:-(\d{1,5}))?", re.ASCII)
_OFFSET = re.compile(r"\+(.*)")


@dataclass(frozen=True)
class Place:
    """An address or network, and a port or None for any."""

    network: Any
    port: int | None = None


@dataclass(frozen=True)
class When:
    """A moment: seconds since the epoch, or (`after`) after the capture's start."""

    seconds: float
    after: bool


@dataclass(frozen=True)
class Selection:
    """All that is set must be true of a connection; what is not set says nothing."""

    host: tuple[Place, ...] = ()
    role: str | None = None
    client: tuple[Place, ...] = ()
    server: tuple[Place, ...] = ()
    port: tuple[tuple[int, int], ...] = ()
    client_port: tuple[tuple[int, int], ...] = ()
    server_port: tuple[tuple[int, int], ...] = ()
    service: tuple[str | Place, ...] = ()
    server_name: tuple[str, ...] = ()
    since: When | None = None
    until: When | None = None
    where: tuple[Test, ...] = ()
    text: str = field(default="", compare=False)

    def fields(self) -> set[str]:
        """The fields of a connection's record that it looks at, beside addresses, ports and times."""
        needed = {name for test in self.where for name in test.measure.fields}
        if any(isinstance(it, str) and not _PORTS.fullmatch(it) for it in self.service):
            needed.update(measures()["service"].fields)
        if self.server_name:
            needed.update(measures()["server_name"].fields)
        return needed

    def mask(self, fields: Columns, start_ns: int) -> Any:
        """Which of the connections, as an array of bool."""
        import numpy

        found = numpy.ones(len(fields["connection"]), bool)
        ends = {role: Ends(fields, role) for role in ("client", "server")}
        if self.host:
            roles = [self.role] if self.role else ["client", "server"]
            found &= numpy.logical_or.reduce([ends[role].at(self.host) for role in roles])
        for role in ("client", "server"):
            if places := getattr(self, role):
                found &= ends[role].at(places)
            if ports := getattr(self, f"{role}_port"):
                found &= ends[role].on(ports)
        if self.port:
            found &= ends["client"].on(self.port) | ends["server"].on(self.port)
        if self.service:
            found &= _served(self.service, ends["server"], fields)
        if self.server_name:
            found &= _named("server_name", self.server_name, fields)
        if self.since is not None:
            found &= fields["end_ns"] >= _ns(self.since, start_ns)
        if self.until is not None:
            found &= fields["start_ns"] <= _ns(self.until, start_ns)
        if self.where:
            from tcpscope.check.holds import holding

            found &= holding(self.where, fields)
        return found


@dataclass(frozen=True)
class AnyOf:
    """Connections of any of these selections; of none, all there are.  name: as the policy calls it."""

    name: str = ""
    parts: tuple[Selection, ...] = ()

    def fields(self) -> set[str]:
        return set().union(*(part.fields() for part in self.parts))

    def mask(self, fields: Columns, start_ns: int) -> Any:
        import numpy

        if not self.parts:
            return numpy.ones(len(fields["connection"]), bool)
        return numpy.logical_or.reduce([part.mask(fields, start_ns) for part in self.parts])

    def __str__(self) -> str:
        return self.name or " or ".join(part.text for part in self.parts) or "all connections"


ALL = AnyOf()


class Ends:
    """One end of all connections."""

    def __init__(self, fields: Columns, role: str) -> None:
        self._fields, self._role = fields, role

    def at(self, places: tuple[Place, ...]) -> Any:
        """Which are at one of these places."""
        import numpy

        codes, raw = numbered(self._fields, (f"{self._role}_addr", "ip_version"))
        found = numpy.zeros(len(codes), bool)
        hosts = [ip_address(address(it[:16], 4 if it[16] == 4 else 6)) for it in raw]
        for place in places:
            inside = numpy.array([host in place.network for host in hosts], bool)[codes]
            found |= inside if place.port is None else inside & (self._ports() == place.port)
        return found

    def on(self, ranges: tuple[tuple[int, int], ...]) -> Any:
        """Which have one of these ports."""
        import numpy

        ports = self._ports()
        return numpy.logical_or.reduce([(ports >= low) & (ports <= high) for low, high in ranges])

    def _ports(self) -> Any:
        return self._fields[f"{self._role}_port"]


def _served(services: tuple[str | Place, ...], server: Ends, fields: Columns) -> Any:
    import numpy

    parts = [server.at((it,)) for it in services if isinstance(it, Place)]
    words = tuple(it for it in services if isinstance(it, str))
    ports = [_range(word, "") for word in words if _PORTS.fullmatch(word)]
    protocols = tuple(word for word in words if not _PORTS.fullmatch(word))
    parts += [server.on(tuple(ports))] if ports else []
    parts += [_named("service", protocols, fields)] if protocols else []
    return numpy.logical_or.reduce(parts)


def _named(measure: str, patterns: tuple[str, ...], fields: Columns) -> Any:
    import numpy

    found = measures()[measure].compute(fields)
    words = found.words or ()
    fits = numpy.array([*(any(fnmatch(word.lower(), p.lower()) for p in patterns) for word in words), False], bool)
    return fits[found.values]  # -1, not known: the last


def _ns(when: When, start_ns: int) -> int:
    return round(when.seconds * 1e9) + (start_ns if when.after else 0)


# ---------------------------------------------------------------- reading


def selection(
    given: Mapping[str, Any], where: str, names: Mapping[str, tuple[str, ...]], tests: list[Test]
) -> Selection:
    """A Selection of a table whose keys are known to be right; UsageError for wrong values."""
    if "role" in given and not ("host" in given or "net" in given):
        raise UsageError(f"{where}.role: says which end the host must be; give host too, or use client or server")
    service: list[str | Place] = []
    for text in _several(given.get("service", []), f"{where}.service"):
        service.append(_service(text, f"{where}.service"))
    if "server_name" in given and "server_name" not in measures():
        raise UsageError(f"{where}.server_name: this tcpscope does not read names")
    hosts = (*_places(given, "host", where, names), *_places(given, "net", where, names))
    return Selection(
        hosts, given.get("role"), _places(given, "client", where, names), _places(given, "server", where, names),
        _ranges(given, "port", where), _ranges(given, "client_port", where), _ranges(given, "server_port", where),
        tuple(service), _several(given.get("server_name", []), f"{where}.server_name"),
        _when(given, "from", where), _when(given, "to", where), tuple(tests),
        ", ".join(f"{key} {_text(value)}" for key, value in given.items()),
    )  # fmt: skip


def _text(value: Any) -> str:
    if isinstance(value, list):
        return "/".join(map(str, value))
    return " ".join(f"{k} {_text(v)}" for k, v in value.items()) if isinstance(value, Mapping) else str(value)


def _several(value: Any, where: str) -> tuple[str, ...]:
    several = value if isinstance(value, list) else [value]
    texts = [str(it) if isinstance(it, int) and not isinstance(it, bool) else it for it in several]
    if not all(isinstance(it, str) and it for it in texts):
        raise UsageError(f"{where}: a text or a list of texts is needed, not {shown(value)}")
    return tuple(texts)


def _places(given: Mapping[str, Any], key: str, where: str, names: Mapping[str, tuple[str, ...]]) -> tuple[Place, ...]:
    found: list[Place] = []
    for text in _several(given.get(key, []), f"{where}.{key}"):
        for one in names.get(text, (text,)):
            found.append(_place(one, f"{where}.{key}", names))
    return tuple(found)


def _place(text: str, where: str, names: Mapping[str, tuple[str, ...]]) -> Place:
    host, port = text, None
    if text.startswith("[") and "]" in text:
        host, _, rest = text[1:].partition("]")
        port = rest.removeprefix(":") or None
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
    try:
        network = ip_network(host, strict=False)
    except ValueError:
        like = nearest(text, names)
        raise UsageError(f"{where}: {shown(text)} is no address, network or name of names{like}") from None
    return Place(network, None if port is None else _range(port, where)[0])


def _service(text: str, where: str) -> str | Place:
    if _PORTS.fullmatch(text.removeprefix(":")):
        _range(text.removeprefix(":"), where)
        return text.removeprefix(":")
    if ":" in text or text.replace(".", "").isdigit():
        return _place(text, where, {})
    known = measures().get("service")
    if known is None:
        raise UsageError(f"{where}: {shown(text)}: this tcpscope tells services by port only; write 80 or 10.0.0.1:80")
    if known.choices and text not in known.choices and not any(c in text for c in "*?["):
        raise UsageError(f"{where}: no service {shown(text)}{nearest(text, known.choices)}")
    return text


def _ranges(given: Mapping[str, Any], key: str, where: str) -> tuple[tuple[int, int], ...]:
    return tuple(_range(text, f"{where}.{key}") for text in _several(given.get(key, []), f"{where}.{key}"))


def _range(text: str, where: str) -> tuple[int, int]:
    found = _PORTS.fullmatch(text)
    low = int(found[1]) if found else -1
    high = int(found[2] or low) if found else -1
    if not 0 <= low <= high <= HIGHEST:
        raise UsageError(f'{where}: {shown(text)} is no port; write 80, "8000-8099" or a list')
    return low, high


def _when(given: Mapping[str, Any], key: str, where: str) -> When | None:
    value = given.get(key)
    if value is None:
        return None
    at = f"{where}.{key}"
    if isinstance(value, str) and (offset := _OFFSET.fullmatch(value)):
        text = offset[1]
        return When(units.amount(f"{text}s" if text[-1:].isdigit() else text, "time", at), True)
    return When(units.moment(value, at), False)
