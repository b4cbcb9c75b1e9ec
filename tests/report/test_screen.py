"""The full screen of a live capture, driven by keys, headless: what a user sees after them."""

import asyncio
import html
import re
import struct
import time
from pathlib import Path

import pytest

pytest.importorskip("textual")

import tcpscope
from tcpscope.capture.capturer import Drops
from tcpscope.diagnose.watch import Watch
from tcpscope.report.screen import columns
from tcpscope.report.screen.app import Live
from tcpscope.report.screen.detail import Detail
from tcpscope.report.screen.model import Model
from tcpscope.tables.recent import Recent
from tcpscope.tables.session import Notice, Session

SAMPLES = Path(__file__).parents[2] / "sample_pcaps"
SHORT = "short_connections.pcap"  # 20 of them
PATIENCE = 20.0  # seconds
CHARACTER = 12.2  # wide, in the pictures
TEXTS = re.compile(r'<text class="terminal-\d+-r\d+"[^>]* x="([\d.]+)" y="([\d.]+)"[^>]*>([^<]*)<')


class Fed:
    """A stream of a capture's packets, let through as the test says."""

    damage = None

    def __init__(self, name, recent):
        self.data = (SAMPLES / name).read_bytes()
        self.ends, at = [], 24
        while at < len(self.data):
            at += 16 + struct.unpack_from("<I", self.data, at + 8)[0]
            self.ends.append(at)
        self.recent, self.at, self.until, self.over = recent, 0, 24, False

    def let(self, packets):
        self.until = self.ends[packets - 1]

    def readinto(self, buffer):
        part = self.data[self.at : min(self.until, self.at + len(buffer))]
        if not part:
            time.sleep(0.005)
            return 0 if self.over else None
        self.recent(part)
        buffer[: len(part)] = part
        self.at += len(part)
        return len(part)

    def stop(self):
        self.over = True


class Shown:
    """An app on a sample, and its text."""

    def __init__(self, name, drops=(0, 0), keep=True, **settings):
        recent = Recent()
        self.stream = Fed(name, recent)
        self.drops = Drops(*drops)
        self.session = Session(self.stream, name="eth0", stop=self.stream.stop, drops=lambda: self.drops)
        model = Model(Watch(self.session), extra=settings.pop("extra", None), ends=settings.pop("ends", None))
        settings = {"name": "eth0", "look": 0.2} | settings
        self.app = Live(model, recent=recent if keep else None, **settings)
        self.total = len(self.stream.ends)

    def text(self):
        """The screen's lines, from the picture that textual makes of it."""
        lines = {}
        for x, y, part in TEXTS.findall(self.app.export_screenshot()):
            lines[float(y)] = lines.get(float(y), "").ljust(round(float(x) / CHARACTER)) + html.unescape(part)
        return "\n".join(line.replace("\xa0", " ").rstrip() for _, line in sorted(lines.items()))

    async def until(self, wanted):
        """Wait until the screen shows it, a regular expression or a condition."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            await self.pilot.pause(0.02)
            if self.app.failure is not None:
                raise self.app.failure
            if wanted() if callable(wanted) else re.search(wanted, self.text()):
                return self.text()
        raise AssertionError(f"{wanted} is not seen:\n{self.text()}")

    async def let(self, packets=None):
        """Let so many packets through, and wait until they are shown."""
        count = packets or self.total
        self.stream.let(count)
        return await self.until(lambda: self.app.last is not None and self.app.last.counters.packets == count)

    def listed(self):
        return [it.number for it in self.app.main.table.found]


def on_screen(test, name=SHORT, size=(80, 24), **settings):
    """Run `test(shown, press)`."""
    shown = Shown(name, **settings)

    async def run():
        shown.session.start()
        try:
            async with shown.app.run_test(size=size) as pilot:
                shown.pilot = pilot
                await test(shown, pilot.press)
        finally:
            shown.stream.stop()
        assert shown.app.failure is None

    asyncio.run(run())


def test_connections_with_both_states_and_counters():
    async def test(shown, press):
        await shown.let()
        text = await shown.until("20 open")
        assert re.search(r"10\.1\.0\.1:40019 +10\.1\.0\.2:80 +TIME_WAIT +CLOSED", text)
        assert "received 220" in text and "dropped: 0 kernel  0 interface  lag 0" in text
        assert "DEGRADED" not in text
        assert all(len(line) <= 80 for line in text.splitlines())

    on_screen(test)


def test_sorting():
    async def test(shown, press):
        await shown.let()
        await shown.until(lambda: len(shown.listed()) == 20)
        assert shown.listed() == list(range(19, -1, -1))  # the newest first
        await press("r")
        assert shown.listed() == list(range(20))
        for _ in range(columns.SORTS.index("rtt")):
            await press("s")
        rtts = [it.rtt for it in shown.app.main.table.found]
        assert rtts == sorted(rtts, reverse=True)
        assert rtts[0] > rtts[-1]
        assert "by RTT" in shown.text()

    on_screen(test)


def test_the_cursor_stays_on_its_connection():
    async def test(shown, press):
        await shown.let(110)
        await shown.until(lambda: len(shown.listed()) == 10)
        await press("down", "down", "down")
        chosen = shown.app.main.table.chosen.number
        await shown.let()
        await shown.until(lambda: len(shown.listed()) == 20)
        assert shown.app.main.table.chosen.number == chosen
        await press("r")
        assert shown.app.main.table.chosen.number == chosen

    on_screen(test)


def test_filter_as_it_is_typed():
    async def test(shown, press):
        await shown.let()
        await shown.until(lambda: len(shown.listed()) == 20)
        await press("slash", *":40007")
        assert shown.listed() == [7]
        await press("enter")
        assert "filter :40007" in shown.text()
        await press("escape")
        assert len(shown.listed()) == 20
        await press("slash", "s", "q")  # keys are text here
        assert shown.listed() == [] and "no connection passes the filter" in shown.text()

    on_screen(test)


@pytest.mark.parametrize(
    ("words", "found"),
    [("10.1.0.1", True), ("http", True), ("!http", False), (":80", True), (":8", False), ("#3", True), ("#33", False),
     ("time_wait closed", True), ("time_wait estab", False), ("!#4", True), ("!", True)],
)  # fmt: skip
def test_what_a_filter_matches(words, found):
    model = Shown(SHORT)
    model.stream.let(model.total)
    model.stream.stop()
    while model.session.step():
        pass
    it = next(it for it in model.app.model.look().open if it.number == 3)
    assert columns.matches(it, words.split()) is found


def test_pause_counts_what_goes_on():
    async def test(shown, press):
        await shown.let(110)
        await shown.until(lambda: len(shown.listed()) == 10)
        await press("p")
        await shown.let()
        text = await shown.until("PAUSED, since: .*10 new, 0 ended, 110 packets")
        assert len(shown.listed()) == 10 and "40019" not in text
        assert "received 220" in text  # what was dropped stays in sight
        await press("p")
        assert len(shown.listed()) == 20 and "PAUSED" not in shown.text()

    on_screen(test)


def test_an_opened_connection_grows():
    async def test(shown, press):
        await shown.let(3)
        await shown.until("1 open")
        await press("enter")
        text = await shown.until("ack 1 ")
        assert "10.1.0.1:40000 → 10.1.0.2:80" in text and "FIN" not in text
        await shown.let()
        text = await shown.until("FIN")
        assert "received 220" in text or "dropped" in text
        await press("escape")
        await shown.until("findings")

    on_screen(test)


def test_all_of_every_sample_can_be_opened():
    """No ladder fails, at the least width too."""

    async def test(shown, press):
        await shown.let()
        await shown.until(lambda: shown.listed() or shown.app.last.ended)
        await press("e", "e", "enter")
        await shown.until(lambda: isinstance(shown.app.screen, Detail) and shown.app.screen.drawn.lines)

    for name in ("zero_window.pcap", "fin_lost.pcap", "syn_flood.pcap", "mid_stream.pcap"):
        on_screen(test, name, size=(50, 12))


def test_a_correction_takes_the_state_back():
    async def test(shown, press):
        for packets in range(4, shown.total + 1):
            await shown.let(packets)
        await press("enter")
        text = await shown.until("LAST_ACK")
        assert shown.app.last.corrections
        offline = tcpscope.read(SAMPLES / "fin_lost.pcap").connection(0)
        drawn = [it for it in shown.app.screen.drawn.lines if "FIN" in it]
        assert len(drawn) >= 2 and text
        assert offline.client_state == shown.app.screen.it.states[0]

    on_screen(test, "fin_lost.pcap", size=(120, 50))


def test_write_and_never_over_a_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    async def test(shown, press):
        await shown.let()
        await shown.until(lambda: len(shown.listed()) == 20)
        await press("down", "w")
        assert "write connection 18 to: tcpscope-18.pcap" in shown.text()
        await press("enter")
        await shown.until("11 packets of connection 18 written to tcpscope-18.pcap")
        written = tcpscope.read(tmp_path / "tcpscope-18.pcap")
        assert list(written.connections["client_port"]) == [40018]
        before = (tmp_path / "tcpscope-18.pcap").read_bytes()
        await press("w", "enter")
        await shown.until("tcpscope-18.pcap exists: nothing was written")
        assert (tmp_path / "tcpscope-18.pcap").read_bytes() == before
        await press("w", "escape")
        assert "write connection" not in shown.text()

    on_screen(test)


def test_findings_help_and_resizing():
    async def test(shown, press):
        await shown.let()
        await shown.until("zero window|window of zero|closed its window|window")
        await press("f")
        text = await shown.until("What is odd, worst first")
        assert "zero_window" in text
        await press("escape", "question_mark")
        assert "Moving" in shown.text()
        await press("escape")
        assert "← B/s" not in shown.text()
        await shown.pilot.resize_terminal(160, 40)
        text = await shown.until("← B/s")
        assert "last event" in text
        await shown.pilot.resize_terminal(30, 8)
        await shown.pilot.pause()
        assert "received" in shown.text()
        await shown.pilot.resize_terminal(80, 24)
        await press("right", "right", "right")
        await shown.until("← B/s")

    on_screen(test, "zero_window.pcap")


def test_drops_are_told_and_what_they_mean():
    async def test(shown, press):
        await shown.let()
        assert "DEGRADED" not in shown.text()
        shown.drops = Drops(12, 3)
        text = await shown.until("DEGRADED")
        assert "dropped: 12 kernel  3 interface" in text
        for key in ("enter", "escape", "p"):
            await press(key)
            assert "DEGRADED" in shown.text()

    on_screen(test)


def test_drops_that_nobody_tells_are_unknown():
    async def test(shown, press):
        text = await shown.let()
        assert "dropped: unknown kernel  unknown interface" in text

    on_screen(test, drops=(None, None))


def test_hostile_names_are_harmless():
    evil = "\x1b[31m\u202e[bold]eth0"

    async def test(shown, press):
        await shown.let(1)
        text = await shown.until("notices 1")
        assert r"\x1b[31m\u202e[bold]" in text and "\x1b" not in text
        assert text.splitlines()[0].count("\\x1b") == 1

    extra = iter([[Notice(0.0, "write", evil, {})]])
    on_screen(test, size=(140, 24), filter=evil, extra=lambda: next(extra, []))


def test_without_packets_there_is_no_ladder():
    async def test(shown, press):
        await shown.let()
        await shown.until("20 open")
        await press("enter")
        await shown.until("packets are not kept here")
        await press("escape", "w")
        await shown.until("nothing to write")

    on_screen(test, keep=False)


def test_no_color(monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")

    async def test(shown, press):
        await shown.let()
        await shown.until("20 open")
        strips = [it for line in range(24) for it in shown.app.main.table.render_line(line) if line < 10]
        assert strips and shown.app.no_color
        colours = set(re.findall(r"fill: (#\w+)", shown.app.export_screenshot()))
        assert len(colours) <= 4, colours

    on_screen(test)


def test_ended_ones_can_be_listed():
    async def test(shown, press):
        await shown.let()
        await shown.until(lambda: shown.app.last.total_ended)
        await press("e")
        text = shown.text()
        assert "ended, by newest" in text
        assert all(it.ended is not None for it in shown.app.main.table.found)

    on_screen(test, "refused.pcap")


def test_what_ends_it():
    shown = Shown(SHORT, ends=lambda found: "--packets" if shown.session.counters().packets >= 100 else "")

    async def run():
        shown.session.start()
        async with shown.app.run_test(size=(80, 24)) as pilot:
            shown.pilot = pilot
            shown.stream.let(shown.total)
            end = time.monotonic() + PATIENCE
            while not shown.app.reason and time.monotonic() < end:
                await pilot.pause(0.02)
        shown.stream.stop()

    asyncio.run(run())
    assert shown.app.reason == "--packets"


@pytest.mark.parametrize("count", [0, 1, 12, 999, 1234, 99_999, 999_999, 1e9, 1e15])
def test_amounts_are_short(count):
    assert len(columns.amount(count)) <= 5


@pytest.mark.parametrize("seconds", [0, 3e-9, 0.00031, 0.0482, 0.7, 3.2, 59.6, 3599.7, 86_399, 1e7])
def test_times_are_short(seconds):
    assert len(columns.lasting(seconds)) <= 6


@pytest.mark.parametrize("width", [20, 40, 60, 80, 100, 132, 240])
@pytest.mark.parametrize("ends", [(14, 14), (21, 20), (47, 47)])
def test_columns_fit(width, ends):
    for first in range(15):
        made = columns.plan(width, ends, first)
        used = sum(made.widths) + len(made.widths) - 1
        assert used <= max(width, 40)
        names = [it.name for it in made.columns]
        assert {"client", "server", "client_state", "server_state"} <= set(names)
