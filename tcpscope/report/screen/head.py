"""The lines above and below the table: interface, rates, what was dropped, states by count, keys."""

from __future__ import annotations

from collections.abc import Iterable

from rich.text import Text

from tcpscope.diagnose.facts import times
from tcpscope.replay.layout import STATES
from tcpscope.report.screen.columns import SHORT, lasting
from tcpscope.report.screen.model import Look
from tcpscope.report.terminal import STATE_COLOURS
from tcpscope.report.text import clock, safe, size

LATE = 1.0  # seconds behind from which on the screen warns
BAD, FAIR = "bold white on red", "yellow"


def told(count: int | None) -> str:
    return "unknown" if count is None else f"{count:,}"


def joined(parts: Iterable[tuple[str, str]], width: int, gap: str = "  ") -> Text:
    """As many parts as there is room for, (text, style) each."""
    line = Text(no_wrap=True, end="")
    for text, style in parts:
        need = len(text) + (len(gap) if line else 0)
        if len(line) + need > width:
            if not line:
                line.append(text[: max(width - 1, 0)] + "…", style)
            break
        if line:
            line.append(gap)
        line.append(text, style)
    return line


def title(look: Look | None, name: str, filter: str, utc: bool, width: int, paused: str) -> Text:
    """Where, when, how much a second; what goes on behind a pause."""
    parts = [("tcpscope live", "bold"), (shortened(safe(name), max(width // 3, 12)), "bold cyan")]
    if paused:
        room = width - sum(len(text) + 2 for text, _ in parts)
        return joined([*parts, (shortened(paused, max(room, 8)), "bold reverse")], width)
    if look is None:
        return joined([*parts, ("waiting for packets", "dim")], width)
    if look.over:
        parts.append(("the capture has ended", BAD))
    if look.packet_rate is not None and look.byte_rate is not None and not look.over:
        parts.append((f"{look.packet_rate:,.0f} packets/s", ""))
        parts.append((f"{size(look.byte_rate)}/s", ""))
    when = clock(look.taken, utc).partition(" ")[2]
    parts.append((when.partition(".")[0] + (" UTC" if utc else ""), "dim"))
    if look.counters.first_ns is not None:
        parts.append((f"{lasting(max(0.0, (look.now_ns - look.counters.first_ns) / 1e9))} so far", "dim"))
    if filter:
        parts.append((f"filter: {safe(filter)}", "dim"))
    return joined(parts, width)


def degraded(look: Look) -> list[str]:
    """Why results are not to be trusted fully; nothing where they are."""
    it = look.counters
    why = []
    if it.dropped_by_kernel or it.dropped_by_interface:
        why.append("packets were dropped")
    if any(it.retired.values()):
        why.append(f"{sum(it.retired.values()):,} connections ended early")
    if it.lag >= LATE:
        why.append("the analyser is behind")
    return why


def drops(look: Look | None, width: int) -> Text:
    """What came, what did not: always in sight."""
    if look is None:
        return Text("received 0", end="")
    it = look.counters
    kernel = "bold red" if it.dropped_by_kernel else ""
    interface = "bold red" if it.dropped_by_interface else ""
    why = degraded(look)
    lag = f"lag {lasting(it.lag) if it.lag else '0'}"
    tight = width < 100
    parts = [
        (f"received {it.packets:,}", ""),
        (f"dropped: {told(it.dropped_by_kernel)}{'' if tight else ' by'} kernel", kernel),
        (f"{told(it.dropped_by_interface)}{'' if tight else ' by'} interface", interface),
        (lag, FAIR if it.lag >= LATE else ""),
    ]
    if why:
        parts.append(("DEGRADED" if tight else "DEGRADED: " + ", ".join(why), BAD))
    elif it.dropped_by_kernel is None:
        parts.append(("no drops told by the capturer" if not tight else "", "dim"))
    return joined([it for it in parts if it[0]], width)


def states(look: Look | None, width: int) -> Text:
    """Endpoints of open connections by state, the open and the ended."""
    if look is None:
        return Text("", end="")
    it = look.counters
    parts = [(f"{it.open:,} open, {look.total_ended:,} ended", "bold")]
    found = sorted(look.states.items(), key=lambda it: (-it[1], STATES.index(it[0])))
    tight = width < 100
    parts += [(f"{SHORT.get(name, name) if tight else name} {count:,}", STATE_COLOURS.get(name, ""))
              for name, count in found if count]  # fmt: skip
    if look.corrections:
        parts.append((times(look.corrections, "correction"), "dim"))
    return joined(parts, width)


def keys(pairs: Iterable[tuple[str, str]], width: int) -> Text:
    """`s sort  / filter …`, as many as have room."""
    line = Text(no_wrap=True, end="")
    for key, what in pairs:
        if len(line) + len(key) + len(what) + (3 if line else 1) > width:
            break
        line.append("  " if line else "")
        line.append(key, "bold")
        line.append(f" {what}", "dim")
    return line


def shortened(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"
