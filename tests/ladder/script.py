"""The notation of a scenario: what a script is, and its parser.

A script begins with a sentence that says what is tested.  Header lines may follow (`vantage:`,
`client:`, `server:`, `show:`), then one line a packet, in tcpdump's notation with relative
numbers; right of the bar both states after the packet, and its annotations.  Last come lines
`=> column value`, which check the connections table.

    A SYN, and its answer.

     time      who flags seq:end      ack   options      | client       server       annotations
       0.000   C   S     0:0                <mss 1460>   | SYN_SENT     SYN_RECEIVED
       0.010   S   S.    0:0          1     <mss 1460>   | ESTABLISHED  SYN_RECEIVED

    => conn_state S1

Parsing and printing (`show.py`) are inverse, so that what differs between two ladders is what
they say.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace

from tcpscope.replay.layout import ANNOTATIONS, STATES

PACKET = re.compile(
    r"""
    \s* (?P<time> \d+ \. \d{1,6} )              # seconds since the script's start
    \s+ (?P<who> [CS] )                         # client or server
    \s+ (?P<flags> [FSRP.UEWe]+ | none )        # tcpdump's letters; the dot is ACK
    \s+ (?P<seq> -?\d+ ) : (?P<end> -?\d+ )     # relative to the sender's initial number
    (\s+ (?P<ack> -?\d+ ) )?                    # relative to the peer's
    (\s+ win \s+ (?P<window> \d+ ) )?           # as in the header, not scaled
    (\s+ < (?P<options> [^<>|]+ ) > )?          # mss 1460,sackOK,TS val 1 ecr 0,wscale 7,sack 1:2 3:4
    (\s+ id \s+ (?P<ident> \d+ ) )?             # IP ID; else one more than the sender's last
    (\s+ ttl \s+ (?P<ttl> \d+ ) )?
    (\s+ (?P<bad> bad ) )?                      # wrong checksum
    \s* \| (?P<right> .* )
    """,
    re.VERBOSE,
)
ICMP = re.compile(r"\s*(?P<time>\d+\.\d{1,6})\s+(?P<who>[CSR])\s+icmp\s+unreachable\s+(?P<what>\w+)\s*\|(?P<right>.*)")
RIGHT = re.compile(r"\s*(?P<client>[A-Z_0-9]+)\s+(?P<server>[A-Z_0-9]+)(\s+(?P<annotations>\S.*))?")
CHECK = re.compile(r"=>\s*(?:(?P<scope>connection|frame)\s+(?P<number>\d+):\s*)?(?P<column>\w+)\s+(?P<value>\S.*)")
HEADER = re.compile(r"(?P<name>vantage|client|server|show):\s*(?P<value>.*)")
RULER = re.compile(r"\s*time\s+who\s+flags\b")

UNREACHABLE = {"net": 0, "host": 1, "protocol": 2, "port": 3, "prohibited": 13}
VANTAGES = ("client", "server", "middle")
SIDE_KEYS = ("isn", "win", "ttl", "id", "mss", "port", "ip")


class NotationError(ValueError):
    """A line that is not in the notation; the message begins with its number."""

    def __init__(self, number: int, problem: str) -> None:
        super().__init__(f"line {number}: {problem}")
        self.number = number


@dataclass(frozen=True)
class Right:
    """What stands right of the bar."""

    client: str
    server: str
    annotations: tuple[str, ...] = ()


@dataclass(frozen=True)
class Packet:
    """One segment; times in microseconds, numbers relative."""

    time_us: int
    who: str
    flags: str
    seq: int
    end: int
    ack: int | None = None
    window: int | None = None
    options: tuple[str, ...] = ()
    ident: int | None = None
    ttl: int | None = None
    bad: bool = False
    right: Right | None = None


@dataclass(frozen=True)
class Icmp:
    """An ICMP error by client, server or a router, about the last segment sent its way."""

    time_us: int
    who: str
    what: str


@dataclass(frozen=True)
class Remark:
    """A comment or a blank line."""

    text: str


@dataclass(frozen=True)
class Check:
    """A column of a connection (or of a packet, by frame number) and its value as text."""

    column: str
    value: str
    scope: str = "connection"
    number: int = 0


Item = Packet | Icmp | Remark | Check


@dataclass(frozen=True)
class Script:
    title: tuple[str, ...]
    header: tuple[tuple[str, str], ...] = ()
    items: tuple[Item, ...] = ()
    lines: tuple[int, ...] = field(default=(), compare=False)  # of each item, for messages

    @property
    def frames(self) -> list[Packet | Icmp]:
        """What is captured, in order; frame number 1 is the first."""
        return [item for item in self.items if isinstance(item, Packet | Icmp)]

    @property
    def checks(self) -> list[Check]:
        return [item for item in self.items if isinstance(item, Check)]

    def setting(self, name: str) -> str:
        return dict(self.header).get(name, "")

    def side(self, name: str) -> dict[str, str]:
        """The `key=value` words of the header line `client:` or `server:`."""
        return dict(word.split("=", 1) for word in self.setting(name).split())

    def with_items(self, items: list[Item]) -> Script:
        return replace(self, items=tuple(items))


# ---------------------------------------------------------------- parsing


def parse(text: str) -> Script:
    """The script that `text` says; `NotationError` with its line where it says none."""
    lines = text.split("\n")
    if lines and lines[-1] == "":
        lines.pop()
    title: list[str] = []
    while len(title) < len(lines) and lines[len(title)].strip():
        title.append(lines[len(title)].strip())
    if not title or PACKET.fullmatch(title[0]) or RULER.match(title[0]) or HEADER.fullmatch(title[0]):
        raise NotationError(1, "a sentence that says what is tested comes first")
    header: list[tuple[str, str]] = []
    items: list[Item] = []
    numbers: list[int] = []
    ruled = False
    for number, line in enumerate(lines[len(title) :], len(title) + 1):
        if not ruled and (RULER.match(line) or not line.strip()):
            ruled = RULER.match(line) is not None
            continue
        if not ruled:
            header.append(parse_header(number, line))
            continue
        items.append(parse_item(number, line))
        numbers.append(number)
    if not ruled:
        raise NotationError(len(lines), "no line of column names (time who flags …)")
    check_order(items, numbers)
    while items and items[-1] == Remark(""):
        items.pop()
    return Script(tuple(title), tuple(header), tuple(items), tuple(numbers[: len(items)]))


def parse_header(number: int, line: str) -> tuple[str, str]:
    found = HEADER.fullmatch(line.strip())
    if found is None:
        raise NotationError(number, f"neither a header line nor the line of column names: {line.strip()!r}")
    name, value = found["name"], " ".join(found["value"].split())
    if name == "vantage" and value not in VANTAGES:
        raise NotationError(number, f"vantage is one of {', '.join(VANTAGES)}, not {value!r}")
    if name == "show" and value != "all":
        raise NotationError(number, f"show: all is the only thing to show, not {value!r}")
    if name in ("client", "server"):
        for word in value.split():
            key, _, given = word.partition("=")
            if key not in SIDE_KEYS or not given:
                raise NotationError(number, f"{name}: {word!r} is no key=value of {', '.join(SIDE_KEYS)}")
    return name, value


def parse_item(number: int, line: str) -> Item:
    stripped = line.strip()
    if not stripped or stripped.startswith("#"):
        return Remark(stripped)
    if stripped.startswith("=>"):
        return parse_check(number, stripped)
    if found := ICMP.fullmatch(line):
        if found["what"] not in UNREACHABLE:
            raise NotationError(number, f"unreachable is one of {', '.join(UNREACHABLE)}: {found['what']!r}")
        if found["right"].strip():
            raise NotationError(number, "an ICMP line has no right half")
        return Icmp(microseconds(found["time"]), found["who"], found["what"])
    if found := PACKET.fullmatch(line):
        return parse_packet(number, found)
    raise NotationError(number, f"not a packet line: {stripped!r}")


def parse_packet(number: int, found: re.Match[str]) -> Packet:
    flags = found["flags"]
    seq, end = int(found["seq"]), int(found["end"])
    if len(set(flags)) != len(flags) and flags != "none":
        raise NotationError(number, f"a flag stands twice in {flags!r}")
    if ("." in flags) != (found["ack"] is not None):
        raise NotationError(number, "an acknowledgment number and the flag '.' go together")
    if not 0 <= end - seq <= 65495:
        raise NotationError(number, f"{end - seq} bytes do not fit into one IPv4 packet")
    options = tuple(option.strip() for option in (found["options"] or "").split(",") if option.strip())
    return Packet(
        microseconds(found["time"]), found["who"], flags, seq, end,
        optional(found["ack"]), optional(found["window"]), options,
        optional(found["ident"]), optional(found["ttl"]), found["bad"] is not None,
        parse_right(number, found["right"]),
    )  # fmt: skip


def parse_right(number: int, text: str) -> Right | None:
    if not text.strip():
        return None
    found = RIGHT.fullmatch(text.rstrip())
    if found is None or found["client"] not in STATES or found["server"] not in STATES:
        raise NotationError(number, f"two states stand right of the bar, not {text.strip()!r}")
    annotations = tuple(name.strip() for name in (found["annotations"] or "").split(",") if name.strip())
    for name in annotations:
        if name not in ANNOTATIONS:
            raise NotationError(number, f"no annotation is called {name!r}")
    return Right(found["client"], found["server"], in_order(annotations))


def parse_check(number: int, line: str) -> Check:
    found = CHECK.fullmatch(line)
    if found is None:
        raise NotationError(number, f"a check is `=> column value`, not {line!r}")
    value = " ".join(found["value"].split())
    return Check(found["column"], value, found["scope"] or "connection", int(found["number"] or 0))


def check_order(items: list[Item], numbers: list[int]) -> None:
    """Time never goes back, and checks come last."""
    last, checked = 0, False
    for item, number in zip(items, numbers, strict=True):
        if isinstance(item, Packet | Icmp):
            if checked:
                raise NotationError(number, "packets come before the checks")
            if item.time_us < last:
                raise NotationError(number, "time goes back")
            last = item.time_us
        checked = checked or isinstance(item, Check)


def microseconds(text: str) -> int:
    whole, _, part = text.partition(".")
    return int(whole) * 1_000_000 + int(part.ljust(6, "0"))


def optional(text: str | None) -> int | None:
    return None if text is None else int(text)


def in_order(annotations: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name for name in ANNOTATIONS if name in annotations)
