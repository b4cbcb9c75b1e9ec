"""Findings about opening, staying open, closing and the capture, from hand-made segments."""

import struct
from pathlib import Path

import pytest

from tcpscope.diagnose import diagnose
from tcpscope.diagnose.opening import peak
from tcpscope.diagnose.resets import HOPS_OF
from tcpscope.diagnose.schedules import APPLE, DOUBLING, LINEAR, OLD_BSD, OLD_WINDOWS, WINDOWS, probing, recognised
from tcpscope.replay.layout import CONNECTION
from tcpscope.tables.analysis import analyse, locate
from tests.diagnose.made import DAWN, SECOND, found, opened
from tests.replay.segments import ACK, FIN, RST, SYN, segment

SAMPLES = Path(__file__).parents[2] / "sample_pcaps"


@pytest.mark.parametrize(
    ("gaps", "ttl", "window", "whose"),
    [
        ((1.02, 2.05, 4.1), 64, 64240, DOUBLING),
        ((1.0, 2.0, 4.0, 8.0), 128, 64240, WINDOWS),
        ((1.0, 1.0, 1.0, 1.0), 64, 64240, LINEAR),
        ((1.0, 1.1, 1.0, 1.1, 1.0, 2.1), 64, 65535, APPLE),
        ((3.0, 6.0), 128, 8192, OLD_WINDOWS),
        ((5.8, 24.0), 64, 4096, OLD_BSD),
        ((0.2, 0.2), 64, 1024, None),
        ((1.0,), 64, 64240, None),
    ],
)
def test_whose_schedule_it_is(gaps, ttl, window, whose):
    assert recognised(gaps, ttl, window) is whose


def test_keep_alive_profiles():
    assert "Linux" in probing(7200, 75, 9) and "Windows" in probing(7200, 1, 10) and probing(60, 10, 6) == ""


def test_most_at_once():
    assert peak({0: 2, 10: 1, 70: 1, 71: 1}, 63) == 3 and peak({}) == 0


@pytest.mark.parametrize(("ttl", "passed"), [(64, 0), (57, 7), (128, 0), (117, 11), (255, 0), (30, 2)])
def test_routers_passed(ttl, passed):
    assert HOPS_OF[ttl] == passed


def closed(sport, at, frame):
    """The client closes first."""
    there, back = {"sport": sport, "time_ns": at + 5000}, {"dport": sport, "time_ns": at + 5000}
    return [
        segment(frame, 0, FIN | ACK, 102, 202, **there), segment(frame + 1, 1, ACK, 202, 103, **back),
        segment(frame + 2, 1, FIN | ACK, 202, 103, **back), segment(frame + 3, 0, ACK, 103, 203, **there),
    ]  # fmt: skip


@pytest.mark.parametrize(("a_second", "too_many"), [(400, {"port_exhaustion"}), (50, set())])
def test_ports_run_out_only_at_a_rate(a_second, too_many):
    steps = []
    for number in range(800):
        at = DAWN + number * SECOND // a_second
        steps += opened(10_000 + number, at, len(steps) + 1)
        steps += closed(10_000 + number, at, len(steps) + 1)
    told = found(steps)
    assert set(told) == {"short_connections"} | too_many
    if too_many:
        assert told["port_exhaustion"].numbers["standing"] == pytest.approx(60 * a_second, rel=0.01)


@pytest.mark.parametrize(("count", "seconds", "idle"), [(60, 100, True), (60, 30, False), (20, 100, False)])
def test_many_idle_connections(count, seconds, idle):
    steps = []
    for number in range(count):
        steps += opened(10_000 + number, DAWN + number, len(steps) + 1)
    steps += opened(60_000, DAWN + seconds * SECOND, len(steps) + 1)
    assert ("idle_connections" in found(steps)) is idle


def test_idle_connections_of_many_clients_are_named():
    """One each: the finding names twenty of them, not one."""
    steps = []
    for number in range(60):
        client = bytes([10, 0, 1, number])
        for side, flags, seq, ack in ((0, SYN, 100, 0), (1, SYN | ACK, 200, 101), (0, ACK, 101, 201)):
            ends = {("src", "dst")[side]: client, "time_ns": DAWN + len(steps)}
            steps.append(segment(len(steps) + 1, side, flags, seq, ack, **ends))
    steps += opened(60_000, DAWN + 100 * SECOND, len(steps) + 1)
    told = found(steps)["idle_connections"]
    assert (told.count, len(told.connections), len(told.frames)) == (60, 20, 20)


def test_a_server_without_mss_gets_small_segments():
    steps = opened(40_000, DAWN)
    for number in range(25):
        steps.append(segment(10 + number, 0, ACK, 102 + 536 * number, 202, length=536, time_ns=DAWN + 9000 + number))
        steps.append(segment(40 + number, 1, ACK, 202, 102 + 536 * (number + 1), time_ns=DAWN + 9000 + number))
    assert "mss_missing" in found(steps)
    assert "mss_missing" not in found(opened(40_000, DAWN))


@pytest.mark.parametrize(("options", "signed"), [(0x81, True), (0x101, True), (0x01, False)])
def test_signed_syns_that_nobody_answers(options, signed):
    """RFC 2385, RFC 5925: another key is not answered."""
    steps = [
        segment(at + 1, 0, SYN, 100, options=options, time_ns=DAWN + ns)
        for at, ns in enumerate((0, SECOND, 3 * SECOND))
    ]
    steps.append(segment(9, 1, ACK, 1, dport=7, time_ns=DAWN + 9 * SECOND))
    assert ("keys" in found(steps)["unanswered"].advice) is signed


@pytest.mark.parametrize(("options", "cut"), [(0x8001, True), (0x8003, False), (0x0001, False)])
def test_options_cut_off(options, cut):
    """Of which the window scale is missed, where it may have stood there."""
    steps = [
        segment(1, 0, SYN, 100, options=options), segment(2, 1, SYN | ACK, 200, 101, options=options),
        segment(3, 0, ACK, 101, 201), segment(4, 0, ACK, 101, 201, 50), segment(5, 1, ACK, 201, 151),
    ]  # fmt: skip
    assert ("cut_options" in found(steps)) is cut


@pytest.mark.parametrize(("marked", "doubted"), [(3, False), (0, True)])
def test_a_path_that_marks_packets_is_no_sender_that_paces_itself(marked, doubted):
    raw = bytearray(analyse(locate(SAMPLES / "limited_by_path.pcap"), threads=1).connections)
    for name in ("client_ecn_echo", "server_cwr"):
        struct.pack_into("<q", raw, CONNECTION.offset(name), marked)
    (it,) = [f for f in diagnose(bytes(raw), [], []) if f.id == "limited_by_path"]
    assert ("marked packets (ECN), and it slowed down 3 times" in it.text) is not doubted
    assert any("paces itself" in why for why in it.doubts) is doubted


def test_a_clock_set_back_and_cut_headers():
    file = {"kinds": {"cut_in_tcp": 3}, "interfaces": [], "damage": None}
    assert set(found(opened(40_000, DAWN), [file], 2)) == {"clock_steps", "cut_headers"}
    assert not found(opened(40_000, DAWN), [{"kinds": {}, "interfaces": [], "damage": None}])


def crafted(flags, port, frame):
    return [segment(frame, 0, flags, 100, dport=port), segment(frame + 1, 1, RST | ACK, 0, 100, sport=port)]


@pytest.mark.parametrize(("flags", "name"), [(0, "NULL"), (FIN, "FIN"), (FIN | 0x08 | 0x20, "Xmas")])
def test_packets_that_no_stack_sends_are_a_scan(flags, name):
    told = found([step for port in range(4) for step in crafted(flags, 1000 + port, 1 + 2 * port)])
    assert set(told) == {"port_scan"} and f"({name} scan)" in told["port_scan"].text
    assert told["port_scan"].numbers["closed"] == 4


@pytest.mark.parametrize(("seconds", "id"), [(40, "idle_timeout"), (4, "reset_half_open")])
def test_idle_and_then_reset(seconds, id):
    """The first word after a silence meets RST."""
    steps = opened(40_000, DAWN)
    steps.append(segment(7, 0, ACK, 102, 202, length=5, time_ns=DAWN + seconds * SECOND))
    steps.append(segment(8, 1, RST, 202, time_ns=DAWN + seconds * SECOND + 1000))
    told = found(steps)
    assert set(told) == {id}
    if id == "idle_timeout":
        assert told[id].numbers["idle"] == pytest.approx(seconds) and told[id].frames == [8]


def test_a_client_that_acknowledges_has_had_an_answer():
    """Only its side was captured: it is not unanswered."""
    steps = [segment(1, 0, SYN, 100), segment(2, 0, ACK, 101, 201), segment(3, 0, ACK, 101, 201, length=9)]
    assert set(found(steps)) == {"one_direction"}


def test_a_syn_at_the_captures_end_is_doubtful():
    told = found([segment(1, 0, SYN, 100)])["unanswered"]
    assert (told.severity, told.confidence) == ("note", "possible")


@pytest.mark.parametrize(
    ("address", "told"),
    [("224.0.0.1", True), ("255.255.255.255", True), ("203.0.113.9", False), ("198.51.100.255", False)],
)
def test_a_syn_to_an_address_of_many(address, told):
    steps = [segment(1, 0, SYN, 100, dst=bytes(map(int, address.split("."))) + bytes(12), time_ns=DAWN)]
    assert ("not_unicast" in found(steps)) is told


@pytest.mark.parametrize(("dropped", "told"), [(7, {"dropped"}), (0, set()), (None, set())])
def test_packets_that_the_capture_dropped(dropped, told):
    file = {"damage": None, "interfaces": [{"dropped": dropped}]}
    assert set(found(opened(40_000, DAWN), [file])) == told
