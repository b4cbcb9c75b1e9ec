"""Sockets as text: what ss would write, what is marked, and the screens of --watch."""

from pathlib import Path

import pytest

from tcpscope.report.sockets import cells, endpoint, left
from tcpscope.report.watch import ALL, STEPS, _moved, _typed, blocks, changes, page
from tcpscope.tables.analysis import locate, packets
from tcpscope.tables.changes import Story
from tcpscope.tables.sockets import KEYS, Wanted

SAMPLES = Path(__file__).parents[2] / "sample_pcaps"
ROW = dict.fromkeys(KEYS) | {
    "state": "ESTAB", "recv_q": 0, "send_q": 5, "local_ip": "10.0.0.1", "local_port": 80, "peer_ip": "10.0.0.2",
    "peer_port": 999, "inferred": False, "recv_q_estimated": False,
}  # fmt: skip


def story(name):
    return Story(*packets(locate(SAMPLES / name)), 30.0, Wanted())


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "?"), (0.0, "0ms"), (0.204, "204ms"), (1.0, "1sec"), (1.25, "1.2sec"), (9.99, "9sec"), (53.9, "53sec"),
     (60, "1min"), (119.2, "1min59sec"), (7200, "120min"), (7199, "119min")],
)  # fmt: skip
def test_what_is_left_of_a_timer(seconds, text):
    assert left(seconds) == text


@pytest.mark.parametrize(
    ("changed", "wanted"),
    [
        ({}, ("ESTAB", "0", "5", "10.0.0.1:80", "10.0.0.2:999", "")),
        ({"recv_q": 2048, "recv_q_estimated": True}, ("ESTAB", "~2048", "5", "10.0.0.1:80", "10.0.0.2:999", "")),
        ({"recv_q": None}, ("ESTAB", "-", "5", "10.0.0.1:80", "10.0.0.2:999", "")),
        ({"timer": "on", "timer_expires": 0.204, "timer_retries": 0},
         ("ESTAB", "0", "5", "10.0.0.1:80", "10.0.0.2:999", "timer:(on,204ms,0)")),
        ({"state": "LISTEN", "send_q": None, "recv_q_estimated": True, "peer_ip": None, "peer_port": None,
          "inferred": True}, ("LISTEN", "~0", "*", "10.0.0.1:80", "0.0.0.0:*", "inferred")),
        ({"state": "LISTEN", "send_q": None, "local_ip": "::1", "peer_ip": None, "peer_port": None},
         ("LISTEN", "0", "*", "[::1]:80", "[::]:*", "")),
        ({"state": "UNKNOWN", "recv_q": None, "send_q": None, "inferred": True},
         ("UNKNOWN", "-", "-", "10.0.0.1:80", "10.0.0.2:999", "inferred")),
    ],
)  # fmt: skip
def test_cells(changed, wanted):
    assert cells(ROW | changed) == wanted


def test_nothing_of_a_capture_reaches_the_terminal_raw():
    assert endpoint("10.0.0.1\x1b[2J", 1) == "10.0.0.1\\x1b[2J:1"


def test_blocks_tell_each_change_and_what_was():
    text = [it.plain for it in blocks(story("sliding_window.pcap"))]
    assert any("frame 4" in it and "1:1025(1024)" in it for it in text)
    assert any(it.startswith("* ESTAB") and "~1024" in it and it.endswith("was Recv-Q 0") for it in text)
    assert any(it.startswith("* closed") and it.endswith("was LAST-ACK") for it in text)
    assert text.count("") >= 15  # a block a change


@pytest.mark.parametrize("size", [(100, 30), (60, 12), (40, 8), (200, 60)])
@pytest.mark.parametrize("name", ["short_connections.pcap", "zero_window.pcap", "syn_flood.pcap"])
def test_a_page_fits_the_screen(name, size):
    found = story(name)
    width, height = size
    for number in range(0, len(found.steps), 37):
        shown = page(found, number, width, height, utc=True).renderables
        assert len(shown) <= max(height, 10)
        assert all(it.cell_len <= width for it in shown)
        moved = changes(found, found.steps[number])
        if moved and width >= 60:  # what changed is always on the screen
            port = f":{moved[0][0]['local_port']}"
            assert any(port in it.plain for it in shown[3:])


def test_a_crowded_page_tells_how_many_it_leaves_out():
    found = story("syn_flood.pcap")
    last = "\n".join(it.plain for it in page(found, len(found.steps) - 1, 100, 20, utc=True).renderables)
    assert "sockets more; --host" in last


def test_keys_stop_at_both_ends():
    assert _moved(STEPS["n"], 3, 5) == (4, "")
    assert _moved(STEPS["\x1b[C"], 4, 5) == (4, "this is the last change")
    assert _moved(STEPS["p"], 0, 5) == (0, "this is the first change")
    assert _moved(ALL, 0, 5) == (4, "")
    assert _moved(-ALL, 4, 5) == (0, "")


def test_a_line_is_typed_and_can_be_given_up():
    text = ""
    for key in ("+", "1", "x", "\x7f", "\x00"):
        text, asked = _typed(key, text)
        assert asked == ""
    assert text == "+1"
    assert _typed("\n", text) == (None, "+1")
    assert _typed("\x1b[A", text) == (None, "")
    assert _typed("", text) == (None, "")
