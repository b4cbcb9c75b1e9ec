"""The page itself: what was gathered, put into the templates.

Everything that comes from a capture passes `shown` and the templates' escaping, or stands in a data block as JSON
that cannot end its element.  The page's one style sheet and one script are named by their hashes in its security
policy; nothing else may run, and nothing at all be fetched.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from tcpscope import __version__
from tcpscope.diagnose import Finding
from tcpscope.diagnose.catalogue import ENTRIES, Entry
from tcpscope.diagnose.facts import times
from tcpscope.diagnose.finding import SEVERITIES
from tcpscope.report.ladder.style import DARK, LIGHT, STYLE, variables
from tcpscope.report.page.choose import chosen, concerned
from tcpscope.report.page.detail import Detail, Drawn, count, detail
from tcpscope.report.page.gathered import AllOf, Gathered, endings, payload, repeated, unseen
from tcpscope.report.page.inline import Plots
from tcpscope.report.page.listed import columns
from tcpscope.report.page.measured import measured
from tcpscope.report.page.packets import Packets, read_again
from tcpscope.report.text import clock, named, safe, size, span
from tcpscope.tables.analysis import Progress
from tcpscope.tables.overview import overview

if TYPE_CHECKING:
    from jinja2 import Environment

BUDGET = 3_000_000  # characters of connections in detail; the page says which did not fit
OVERVIEW = {"states": "Endpoints by state", "waterfall": "Connections over time", "retransmissions": "Sent again"}
SIZES = {"states": (1000, 420), "retransmissions": (1000, 380)}
SEVERAL, MANY = 2, 40  # connections, from which on a bar for each is worth its room, and is too high to stand open


def render(gathered: Gathered, progress: Progress | None = None) -> str:
    """The page; the captures are read again for it.  Once only: what `gathered` knows of the packets is given back.

    progress: told how many segments were read.  UsageError if a connection asked for does not exist.
    """
    numbers = chosen(gathered)
    packets = read_again(gathered, numbers, progress)
    gathered.result.engine = None  # some hundred bytes a connection
    plots = Plots()
    of = concerned(gathered.findings)
    whole = list(_overview(gathered, packets, plots))
    details: list[Detail] = []
    left_out: list[int] = []
    room = BUDGET
    for number in numbers:
        if room < 0:
            left_out.append(number)
            continue
        details.append(detail(gathered, packets, number, of.get(number, []), plots))
        room -= sum(len(it.markup) for it in details[-1].drawings)
    return _page(gathered, plots, whole, details, left_out, of)


def _overview(gathered: Gathered, packets: Packets, plots: Plots) -> Iterator[Drawn]:
    """The plots of the whole capture that have something to show."""
    if not len(gathered.all):
        return
    from tcpscope.report.plots.retransmissions import retransmissions
    from tcpscope.report.plots.states import states
    from tcpscope.report.plots.waterfall import waterfall

    whole = AllOf(gathered.all, gathered.every_event or b"", name_of(gathered.result.names), packets.again,
                  gathered.wanted.utc)  # fmt: skip
    kinds: list[tuple[str, Any]] = []
    if gathered.every_event is not None:
        kinds.append(("states", states))
    if len(packets.again):
        kinds.append(("retransmissions", retransmissions))
    if gathered.every_event is not None and len(gathered.all) >= SEVERAL:
        kinds.append(("waterfall", waterfall))
    for kind, draw in kinds:
        figure = draw(whole)
        if any(len(it) for panel in figure.panels for it in panel.layers):
            label = ". ".join([figure.title, figure.subtitle, *figure.notes])
            large = len(gathered.all) < SEVERAL or (kind == "waterfall" and len(gathered.all) > MANY)
            yield Drawn(OVERVIEW[kind], plots.inline(figure.svg(SIZES.get(kind)), label), large)


def _page(
    gathered: Gathered, plots: Plots, whole: list[Drawn], details: list[Detail], left_out: list[int],
    of: dict[int, list[int]],
) -> str:  # fmt: skip
    from markupsafe import Markup

    environment = _environment(gathered.wanted.utc)
    facts = overview(gathered.result)
    listed = sorted(gathered.listed.rows(), key=lambda row: row["connection"] not in of)  # those of findings first
    style = _source(environment, "report.css").replace("/*ladder*/", _ladder_css()).replace("/*plots*/", plots.css())
    for theme, colours, dark in (("/*light*/", LIGHT, False), ("/*dark*/", DARK, True)):
        style = style.replace(theme, variables(colours) + plots.variables(dark))
    script = _source(environment, "report.js")
    return environment.get_template("report.html").render(
        title=f"{name_of(gathered.result.names)} – TCP report",
        name=name_of(gathered.result.names),
        version=__version__,
        style=Markup(style),
        style_hash=_hash(style),
        script=Markup(script),
        script_hash=_hash(script),
        facts=facts,
        files=list(zip(gathered.result.names, gathered.result.files, strict=False)),
        counters=gathered.result.counters,
        warnings=gathered.result.warnings,
        wanted=gathered.wanted,
        tiles=list(_tiles(gathered, facts)),
        endings=endings(gathered),
        findings=gathered.findings,
        severities={it: sum(f.severity == it for f in gathered.findings) for it in SEVERITIES},
        measured=measured,
        meanings=_meanings(gathered.findings),
        whole=whole,
        events_left_out=gathered.every_event is None,
        details=details,
        detailed={it.number for it in details},
        left_out=left_out,
        total=gathered.listed.total,
        listed=len(listed),
        unseen=[it for it in unseen(gathered) if it[1]],
        data=Markup(_json(columns(listed, _start(gathered), of) | {
            "total": gathered.listed.total, "detailed": [it.number for it in details],
            "findingIds": [it.id for it in gathered.findings],
            "findingCounts": [it.count for it in gathered.findings],
        })),
    )  # fmt: skip


def _environment(utc: bool) -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    found = Environment(
        loader=PackageLoader("tcpscope.report.page"), autoescape=True, trim_blocks=True, lstrip_blocks=True,
        undefined=StrictUndefined,
    )  # fmt: skip
    found.filters |= {
        "shown": lambda text: safe(str(text)), "sentence": sentence,
        "base": lambda name: safe(named(name)), "size": size, "span": span,
        "count": count, "moment": lambda seconds: clock(seconds, utc), "times": times, "share": share, "drawn": _drawn,
    }  # fmt: skip
    return found


def sentence(text: str) -> Any:
    """With a capital letter, but for a name that begins it; what stands in backticks is code."""
    from markupsafe import Markup, escape

    told = safe(text)
    name = any(sign in told.partition(" ")[0] for sign in "./\\:")
    parts = (told if name else told[:1].upper() + told[1:]).split("`")
    if len(parts) % 2 == 0:
        return escape("`".join(parts))
    return Markup("").join(Markup("<code>{}</code>").format(it) if n % 2 else escape(it) for n, it in enumerate(parts))


def _drawn(it: Drawn) -> Any:
    """A drawing, escaped by whoever drew it."""
    from markupsafe import Markup

    return Markup(it.markup)


def _start(gathered: Gathered) -> int:
    """The capture's first packet, ns."""
    return min((it["first_ns"] for it in gathered.result.files if it.get("first_ns") is not None), default=0)


def name_of(names: list[str]) -> str:
    """What was read, in few words."""
    first = safe(named(names[0])) if names else "nothing"
    first = first if len(first) <= 60 else first[:59] + "…"
    return first if len(names) < 2 else f"{first} and {len(names) - 1} more"


def share(part: int, whole: int) -> str:
    """In per cent; what there is is never 0."""
    return "< 0.1 %" if 0 < part < whole / 1000 else f"{100 * part / whole:.1f} %"


def _tiles(gathered: Gathered, facts: dict[str, Any]) -> Iterator[tuple[str, str]]:
    if facts["first"] is not None:
        yield "captured", span(facts["duration"])
    yield "packets", f"{facts['packets']:,}"
    yield "of these TCP", f"{facts['tcp_packets']:,}"
    yield "connections", f"{gathered.listed.total:,}"
    yield "TCP payload", size(payload(gathered))
    yield "sent again", times(repeated(gathered), "packet")


def _meanings(findings: list[Finding]) -> dict[str, tuple[Entry, int]]:
    """What the catalogue says of each kind, and the place of the first finding of that kind: there it stands."""
    first: dict[str, int] = {}
    for place, it in enumerate(findings):
        first.setdefault(it.id, place)
    return {id: (ENTRIES[id], place) for id, place in first.items() if id in ENTRIES}


def _source(environment: Environment, name: str) -> str:
    assert environment.loader is not None
    return environment.loader.get_source(environment, name)[0]


def _ladder_css() -> str:
    """The ladders' rules; colours are the page's, and the pattern is drawn once for all."""
    rules = STYLE.partition("}}")[2].replace("HATCH", "hatch")
    return ".tl{font:11px ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace}" + rules


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _json(thing: Any) -> str:
    """JSON that cannot end its script element."""
    import orjson

    text = orjson.dumps(thing).decode()
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
