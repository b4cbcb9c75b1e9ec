"""`tcpscope live`: what is happening now on an interface."""

from __future__ import annotations

import contextlib
import os
import re
import select
import signal
import sys
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import click

from tcpscope.capture.capturer import HEADERS, WHOLE, Wish
from tcpscope.capture.rights import choose, path_of
from tcpscope.capture.sources import STDIN
from tcpscope.capture.sudo import Caller, acting_as, become, caller
from tcpscope.cli.common import Seconds, warn
from tcpscope.cli.words import Words
from tcpscope.errors import CaptureError, UsageError
from tcpscope.report.text import safe
from tcpscope.tables.address import with_port
from tcpscope.tables.analysis import DEFAULT_MSL
from tcpscope.tables.session import MAX_CONNECTIONS

if TYPE_CHECKING:
    from tcpscope.capture.rotate import Files
    from tcpscope.diagnose import Finding
    from tcpscope.diagnose.watch import Until, Watch
    from tcpscope.report.live_lines import JsonLines, TextLines
    from tcpscope.tables.recent import Recent
    from tcpscope.tables.session import Notice, Session, Turn

TURN = 0.25  # seconds between two turns of output
LOOK = 1.0  # seconds between two lines of counters
UNITS = {"kb": 10**3, "mb": 10**6, "gb": 10**9, "s": 1, "min": 60, "h": 3600, "d": 86400}
SIZES = ("kb", "mb", "gb")


def _interfaces() -> list[str]:
    from tcpscope.capture.interfaces import interfaces

    return [it.name for it in interfaces()]


@click.command("live")
@click.argument("filter", nargs=-1, metavar="[FILTER…]")
@click.option(
    "-i",
    "--interface",
    "interfaces",
    multiple=True,
    type=Words(_interfaces),
    metavar="NAME",
    help="Several with several -i; - is standard input.  [default: any]",
)
@click.option("--duration", type=Seconds(min_open=True), metavar="SECONDS", help="End after this time.")
@click.option(
    "--packets",
    type=click.IntRange(min=1),
    metavar="N",
    help="End after so many packets; of standard input, or through --display-filter, soon after.",
)
@click.option(
    "--until", metavar="FINDING|EXPR", help="End when this is seen: a finding, a state, CLOSE_WAIT>10, packets>=1e6."
)
@click.option("-w", "--write", metavar="FILE", help="Keep the packets as well: .pcap, or .pcapng (through dumpcap).")
@click.option("--rotate", multiple=True, metavar="SIZE|TIME", help="Next file after 100MB, 10min, … (with -w).")
@click.option("--keep", type=click.IntRange(min=1), metavar="N", help="Of rotated files only the latest N.")
@click.option(
    "--snaplen",
    type=click.IntRange(64, WHOLE),
    metavar="BYTES",
    help=f"Bytes kept of each packet.  [default: {HEADERS}, all with -w]",
)
@click.option("--promiscuous", is_flag=True, help="Packets for other hosts too, where the network shows them.")
@click.option(
    "--buffer", type=click.IntRange(1, 2047), default=32, show_default=True, metavar="MIB", help="The kernel's buffer."
)
@click.option(
    "--immediate", is_flag=True, help="Each packet at once, not within a second; for few packets: costs more."
)
@click.option("--capturer", type=click.Choice(["tcpdump", "dumpcap"]), help="Who captures.  [default: who may]")
@click.option("--display-filter", metavar="EXPR", help="Wireshark's language instead, through pyshark: slow.")
@click.option("--processes", is_flag=True, help="Tell which process of this host has the socket (all: as root).")
@click.option("--verify-kernel", is_flag=True, help="Compare the states of this host's sockets with the kernel's own.")
@click.option(
    "--max-connections",
    type=click.IntRange(1, 2**32 - 1),
    default=MAX_CONNECTIONS,
    show_default=True,
    metavar="N",
    help="Connections open at once, at most: beyond, half-open and silent ones are ended, and counted.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["screen", "lines", "jsonl"]),
    help="[default: screen on a terminal, else lines]",
)
@click.option(
    "--msl",
    type=Seconds(),
    default=DEFAULT_MSL,
    show_default=True,
    metavar="SECONDS",
    help="Maximum segment lifetime: TIME_WAIT lasts twice as long.",
)
@click.option("--by-tunnel", is_flag=True, help="VLAN and tunnel identifiers tell connections apart.")
@click.option("--utc/--local", default=True, help="Time zone of times shown.  [default: utc]")
@click.option("--strict", is_flag=True, help="Exit with 2 where the capture ended by itself, instead of warning.")
@click.option("-q", "--quiet", is_flag=True, help="No warnings, and no summary at the end.")
def command(filter: tuple[str, ...], **options: Any) -> None:
    """What is happening now on an interface: every connection, with both endpoints' states as they change.

    \b
    Examples:
      tcpscope live -i eth0 tcp port 443
      tcpscope live -i lo --until zero_window --format jsonl
      tcpscope live -i eth0 -w day.pcap --rotate 100MB --keep 20
      tcpscope live --verify-kernel
      ssh host tcpdump -U -w - | tcpscope live -i -

    FILTER is pcap-filter's language, as tcpdump has it.  Ctrl-C ends the capture and tells what analyze tells;
    once more, it ends at once.  What is told of open connections may be corrected by later packets, and then is.
    A separate program captures, tcpdump or dumpcap: only it needs rights (tcpscope interfaces tells how to grant them).
    """
    options["filter"] = " ".join(filter)
    options["interfaces"] = options["interfaces"] or ("any",)
    options["form"] = options["form"] or ("screen" if _on_terminal() else "lines")
    recent = None
    if options["form"] == "screen":
        if not _on_terminal():
            raise UsageError("--format screen needs a terminal; into a pipe: --format lines or jsonl")
        from tcpscope.report.screen import preload
        from tcpscope.tables.recent import Recent

        preload()
        recent = Recent()
    until = None
    if options["until"]:
        from tcpscope.diagnose.watch import Until

        until = Until(options["until"])
    options["caller"] = _caller(options)
    with _files(options) as files, _session(options, _tee(files, recent)) as (session, program):
        if options["caller"] is not None:
            become(options["caller"])
        from tcpscope.diagnose.watch import Watch

        watch = Watch(session)
        with _stopping(session):
            run = _Run(options, watch, program, files, until)
            run.go() if recent is None else run.on_screen(recent)


# ---------------------------------------------------------------- where packets come from


def _on_terminal() -> bool:
    return all(it is not None and it.isatty() for it in (sys.stdin, sys.stdout, sys.stderr))


def _tee(files: Files | None, recent: Recent | None) -> Callable[[bytes], None] | None:
    """Who gets the capture's bytes beside the session."""
    if files is None or recent is None:
        return files or recent
    written, held = files, recent

    def both(data: bytes) -> None:
        written(data)
        held(data)

    return both


def _wish(options: dict[str, Any]) -> Wish:
    program, write, names = options["capturer"], options["write"] or "", options["interfaces"]
    pcapng = write.lower().endswith((".pcapng", ".ntar"))
    if pcapng and program == "tcpdump":
        raise UsageError(f"-w {write}: tcpdump writes pcap; name the file .pcap, or take --capturer dumpcap")
    if write and not pcapng and (len(names) > 1 or program == "dumpcap"):
        raise UsageError(f"-w {write}: dumpcap, which several interfaces need, writes pcapng; name the file .pcapng")
    if len(names) > 1 and program == "tcpdump":
        raise UsageError("tcpdump reads one interface (or any) at a time: take --capturer dumpcap")
    snaplen = options["snaplen"] or (WHOLE if write else HEADERS)
    if program is None and pcapng:
        program = "dumpcap"
    return Wish(
        names, options["filter"], snaplen, options["promiscuous"], options["buffer"], options["immediate"], program,
        options["caller"], options["packets"] or 0,
    )  # fmt: skip


def _caller(options: dict[str, Any]) -> Caller | None:
    """Whom to go on as under sudo.  What looks into other users' processes, and tshark, go on as root."""
    if options["processes"] or options["verify_kernel"] or options["display_filter"] or (who := caller()) is None:
        return None
    names = options["interfaces"]
    if STDIN in names:
        return who
    program = path_of(choose(len(names) > 1, _wish(options | {"caller": None}).program))
    return who if program is not None and os.stat(program).st_mode & 0o001 else None  # Debian's dumpcap: a group's


@contextlib.contextmanager
def _files(options: dict[str, Any]) -> Iterator[Files | None]:
    size, seconds = _rotation(options["rotate"])
    if options["write"] is None:
        if options["rotate"] or options["keep"]:
            raise UsageError("--rotate and --keep are about the files of -w: name one")
        yield None
        return
    if options["keep"] and not options["rotate"]:
        raise UsageError("--keep is about rotated files: say when, as --rotate 100MB")
    from tcpscope.capture.rotate import Files

    with acting_as(options["caller"]):
        files = Files(options["write"], size=size, seconds=seconds, keep=options["keep"] or 0)
    try:
        yield files
    finally:
        files.close()


def _rotation(texts: tuple[str, ...]) -> tuple[int, float]:
    """`100MB`, `10min` → bytes, seconds."""
    size, seconds = 0, 0.0
    for text in texts:
        found = re.fullmatch(r"\s*([0-9]*\.?[0-9]+)\s*([A-Za-z]+)\s*", text)
        unit = found.group(2).lower() if found else ""
        if found is None or unit not in UNITS or float(found.group(1)) <= 0:
            raise UsageError(f"--rotate {text!r}: a size or a time, such as 100MB, 1GB, 90s, 10min, 1h")
        if unit in SIZES:
            size = max(1, round(float(found.group(1)) * UNITS[unit]))
        else:
            seconds = float(found.group(1)) * UNITS[unit]
    return size, seconds


@contextlib.contextmanager
def _session(options: dict[str, Any], tee: Callable[[bytes], None] | None) -> Iterator[tuple[Session, str]]:
    """The session, and who captures for it; everything is closed at the end, however it comes."""
    from tcpscope.tables.session import live

    settings = {name: options[name] for name in ("msl", "by_tunnel", "max_connections")}
    if options["display_filter"]:
        from tcpscope.wireshark.live import filtered

        with filtered(options["interfaces"], options["filter"], options["display_filter"], tee, **settings) as found:
            yield found
        return
    if STDIN in options["interfaces"]:
        yield _piped(options, settings, tee)
        return
    session, stream = live(_wish(options), tee=tee, **settings)
    try:
        yield session, stream.program
    finally:
        stream.close()


def _piped(
    options: dict[str, Any], settings: dict[str, Any], tee: Callable[[bytes], None] | None
) -> tuple[Session, str]:
    from tcpscope.capture.live import Piped
    from tcpscope.tables.session import Session

    if len(options["interfaces"]) > 1 or options["filter"]:
        raise UsageError("-i - reads a capture from standard input: alone, and without a filter")
    stream = Piped(tee)
    return Session(stream, name="standard input", stop=stream.stop, **settings), "whoever captures"


@contextlib.contextmanager
def _stopping(session: Session) -> Iterator[None]:
    """Ctrl-C, SIGTERM and a lost terminal stop the capture; the second time they end the program."""
    hangup = getattr(signal, "SIGHUP", signal.SIGTERM)
    asked = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(hangup) is not signal.SIG_IGN:  # as it is under nohup
        asked.append(hangup)

    def stop(number: int, _: Any) -> None:
        for it in asked:
            signal.signal(it, signal.default_int_handler if it == signal.SIGINT else signal.SIG_DFL)
        session.stop()

    before = [(it, signal.signal(it, stop)) for it in asked]
    try:
        yield
    finally:
        for number, handler in before:
            signal.signal(number, handler)


# ---------------------------------------------------------------- lines


class _Run:
    """The session's turns as lines, until something ends it."""

    def __init__(
        self, options: dict[str, Any], watch: Watch, program: str, files: Files | None, until: Until | None
    ) -> None:
        from tcpscope.report.live_lines import JsonLines, TextLines
        from tcpscope.report.oddest import Oddest

        if sys.stdout is None:
            raise UsageError("standard output is closed")
        self.options, self.watch, self.session = options, watch, watch.session
        self.program, self.files, self.until = program, files, until
        self.output = sys.stdout.buffer
        self.json = options["form"] == "jsonl"
        self.lines: JsonLines | TextLines = (
            JsonLines(self.output) if self.json else TextLines(self.output, options["utc"])
        )
        self.shown = Oddest()
        self.kernel: Any = None
        if options["verify_kernel"]:
            from tcpscope.tables.kernel import Verifier

            self.kernel = Verifier(self.session)
        self.processes: Any = None
        if options["processes"]:
            from tcpscope.tables.processes import Processes

            self.processes = Processes()
        self._failed = False

    def go(self) -> None:
        session, began = self.session, time.monotonic()
        told = looked = began
        why = ""
        self.lines.say(
            "start", time=time.time(), interfaces=list(self.options["interfaces"]), filter=self.options["filter"],
            program=self.program,
        )  # fmt: skip
        if not self.options["quiet"] and not self.json:
            where = ", ".join(self.options["interfaces"])
            doing = "reading standard input" if where == STDIN else f"capturing on {where} with {self.program}"
            click.echo(f"{doing}; Ctrl-C ends it and tells what was odd", err=True)
        self.output.flush()
        while session.step():
            now = time.monotonic()
            if self.until is not None and not self.until.is_finding and not why and self.until.holds(self.watch, None):
                why = f"--until {self.options['until']}"
            if not why and self.options["duration"] and now - began >= self.options["duration"]:
                why = "--duration"
            if not why and self._enough():
                why = "--packets"
            if now - told >= TURN or session.full:
                told = now
                self._turn(session.turn())
                if _reader_gone(self.output):
                    raise BrokenPipeError
            if now - looked >= LOOK:
                looked = now
                why = self._look() or why
            if why:
                session.stop()
        if not why and self._enough():
            why = "--packets"
        self._turn(session.turn())
        for turn in session.finish():
            self._turn(turn, last=True)
        self._end(why)

    def on_screen(self, recent: Recent) -> None:
        """The same on the whole terminal, until the user or an option ends it; then the summary."""
        from tcpscope.report.screen import show

        began = time.monotonic()
        shown = show(
            self.watch, filter=self.options["filter"], utc=self.options["utc"], recent=recent, msl=self.options["msl"],
            ends=lambda found: self._why(began, found), extra=self._notices,
        )  # fmt: skip
        self.shown = shown.oddest
        self._end(shown.reason)

    def _why(self, began: float, found: list[Finding] | None) -> str:
        """Which option ends it now."""
        until, options = self.until, self.options
        if until is not None and (found is not None or not until.is_finding) and until.holds(self.watch, found):
            return f"--until {options['until']}"
        if options["duration"] and time.monotonic() - began >= options["duration"]:
            return "--duration"
        return "--packets" if self._enough() else ""

    def _enough(self) -> bool:
        return bool(self.options["packets"] and self.session.counters().packets >= self.options["packets"])

    def _notices(self) -> list[Notice]:
        """For the screen: the file that cannot be written, differences from the kernel."""
        from tcpscope.tables.session import Notice

        found = []
        if self.files is not None and self.files.failure and not self._failed:
            self._failed = True
            found.append(Notice(time.time(), "write", f"{self.files.failure}: nothing more is written there", {}))
        if self.kernel is not None:
            found += [Notice(time.time(), "kernel", f"connection {it.connection} {it.text}", {})
                      for it in self.kernel.look()]  # fmt: skip
        return found

    def _turn(self, turn: Turn, last: bool = False) -> None:
        self.watch.take(turn)
        self.shown.take(turn.connections)
        if not last:
            self.lines.turn(turn, self.session.missed(turn.connections))
        elif self.json:
            self.lines.turn(turn._replace(events=b""), self.session.missed(turn.connections))
        if self.files is not None and self.files.failure and not self._failed:
            self._failed = True
            text = f"{self.files.failure}: nothing more is written there; the analysis goes on"
            from tcpscope.tables.session import Notice

            self.lines.notice(Notice(time.time(), "write", text, {}))
            if not self.options["quiet"]:
                click.echo(f"Warning: {text}", err=True)
        self.output.flush()

    def _look(self) -> str:
        """Tell findings and counters; why to end now, if there is a reason."""
        if self.watch.due():
            self.lines.findings(self.watch.fresh())
        self.lines.counters(self.session.counters())
        if self.kernel is not None:
            self._verify()
        if self.processes is not None:
            self._own()
        self.output.flush()
        if self.until is not None and self.until.is_finding and self.until.holds(self.watch, self.watch.latest):
            return f"--until {self.options['until']}"
        return ""

    def _own(self) -> None:
        for it in self.processes.fresh(self.session.open_connections(1000)[0]):
            if self.json:
                self.lines.say("process", time=time.time(), **it._asdict())
            else:
                place = with_port(it.ip, it.port)
                text = f"{it.connection:>5}  {it.endpoint} {place:<21}  is {safe(it.name)}, process {it.process}"
                self.lines.line(time.time(), text)  # type: ignore[union-attr]

    def _verify(self) -> None:
        for it in self.kernel.look():
            if self.json:
                self.lines.say("kernel", time=time.time(), **it._asdict())
            else:
                self.lines.line(time.time(), f"{it.connection:>5}  {it.text}")  # type: ignore[union-attr]

    def _end(self, why: str) -> None:
        from tcpscope.report.live_lines import counters_row, received

        counters = self.session.counters()
        result = self.session.analysis()
        found = self.watch.final()
        if self.json:
            self.lines.findings(found)
            ended = "stopped" if self.session.stopped else "the stream ended"
            self.lines.say("end", time=time.time(), reason=why or "; ".join(result.warnings) or ended,
                           **counters_row(counters))  # fmt: skip
        elif not self.options["quiet"]:
            from tcpscope.report.terminal import print_analysis

            self.output.flush()
            print_analysis(result, self.shown, found, self.options["utc"])
            print(received(counters, self.program))
            if self.kernel is not None:
                print(self.kernel.summary())
            if self.files is not None:
                print(f"written: {', '.join(self.files.names)}" if len(self.files.names) < 4 else
                      f"written: {len(self.files.names)} files, the latest {self.files.names[-1]}")  # fmt: skip
            sys.stdout.flush()
        self.output.flush()
        if counters.packets or not result.warnings:
            warn(result, {"verbose": False, **self.options})
        else:
            raise CaptureError(result.warnings[0])


def _reader_gone(stream: Any) -> bool:
    """Nobody reads our output any more, which one learns of by writing only when there is something to write."""
    try:
        poll = select.poll()
        poll.register(stream.fileno(), 0)
        return any(event & (select.POLLERR | select.POLLNVAL) for _, event in poll.poll(0))
    except (OSError, ValueError, AttributeError):
        return False
