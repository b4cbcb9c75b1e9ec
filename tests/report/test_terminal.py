"""What `analyze` prints of many connections, long addresses and narrow terminals."""

import io
import time

import pytest

from tcpscope.diagnose.finding import Finding
from tcpscope.replay.layout import CLOSE_KINDS, CONNECTION, STATES
from tcpscope.report.oddest import SHOWN, Oddest
from tcpscope.report.printer import Printer
from tcpscope.report.terminal import print_connections, print_findings, some
from tests.tables.records import V4, record

V6 = b"\x20\x01\x0d\xb8" + bytes(range(16, 28))


def connection(number, close="fin", six=False, **fields):
    return record(
        "connections", connection=number, close_kind=CLOSE_KINDS.index(close), closed_by=0, ip_version=6 if six else 4,
        client_addr=V6 if six else V4[0], server_addr=V6 if six else V4[1], client_port=40000, server_port=443,
        odd=40 * (close != "fin") + bool(fields),
        client_state=STATES.index("SYN_RECEIVED"), server_state=STATES.index("ESTABLISHED"), **fields,
    )  # fmt: skip


def printed(raw, width, show=print_connections):
    page = io.StringIO()
    if show is print_connections:
        shown = Oddest()
        for at in range(0, len(raw), 30 * CONNECTION.size):
            shown.take(raw[at : at + 30 * CONNECTION.size])
    else:
        shown = raw
    show(Printer(page, width), shown)
    return page.getvalue()


@pytest.mark.parametrize("width", [60, 80, 120, 200])
@pytest.mark.parametrize("six", [False, True])
def test_it_fits_and_breaks_no_word(width, six):
    text = printed(connection(0, six=six, client_retransmissions=3), width)
    assert max(len(line.rstrip()) for line in text.splitlines()) <= width
    if width >= 80 or not six:
        for word in ("SYN_RECEIVED", "ESTABLISHED", ":443", ":40000", "by client"):
            assert any(word in line for line in text.splitlines()), word


def test_addresses_and_names_are_no_markup():
    text = printed(connection(0, six=True) + connection(1, service=0, server_name=b"[/bold]"), 200)
    assert "[2001:db8:1011:1213:1415:1617:1819:1a1b]:443" in text
    assert "[/bold]" in text


@pytest.mark.parametrize("width", range(100, 150, 7))
def test_only_names_are_cut(width, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(width))  # else a pipe is as wide as names need
    long = {"end_ns": 278_000_000_000, "syn_rtt_ns": 1_932_000_000, "client_unique_bytes": 10**12}
    text = printed(connection(0, close="half_closed", **long) + connection(1, service=0, server_name=b"a" * 60), width)
    assert "4 min 38 s" in text and "half closed by client" in text and "SYN_RECEIVED" in text
    assert all(it.split("…")[0].endswith("a") for it in text.splitlines() if "…" in it)
    assert max(len(line.rstrip()) for line in text.splitlines()) <= width


def test_few_stand_in_order():
    text = printed(connection(1) + connection(0, close="refused"), 120)
    assert [line[0] for line in text.splitlines()[1:]] == ["#", "0", "1"]


def test_of_many_the_worst_and_the_way_to_the_rest():
    many = b"".join(connection(n, close="reset" if n == 77 else "fin") for n in range(SHOWN + 60))
    text = printed(many, 120)
    assert len(text.splitlines()) == SHOWN + 3
    assert text.splitlines()[2].startswith("77 ")
    assert f"the {SHOWN} oddest of {SHOWN + 60} connections" in text and "tcpscope connections" in text


def test_a_hundred_thousand_connections_take_no_time():
    raw = connection(0) * 100_000
    began = time.process_time()
    text = printed(raw, 120)
    assert len(text.splitlines()) == SHOWN + 3
    assert time.process_time() - began < 5  # measured 0.3 s; a table of all of them takes minutes


def test_findings_name_their_frames_and_hide_no_escape():
    finding = Finding("x", "error", "it \x1b[2J broke", "do so", "client", [4], 9, [11, 12])
    text = printed([finding] * 30, 80, print_findings)
    assert "\x1b" not in text and "\\x1b[2J" in text
    assert "connections 4 …, frames 11, 12: " in text
    assert "10 findings more" in text
    assert "nothing odd" in printed([], 80, print_findings)


def test_some():
    assert some([1, 2, 3], 3) == "1, 2, 3"
    assert some([1, 2, 3, 4, 5, 6], 6) == "1, 2, 3, 4, 5 …"
