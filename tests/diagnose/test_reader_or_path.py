"""Who set the pace: the reader or the path; and who is not to blame where a handshake or SACK is missing."""

from pathlib import Path

import pytest

import tcpscope
from tests.diagnose.made import CLIENT, RTT, SERVER, Talk, found
from tests.replay.segments import ACK, RST

SAMPLES = Path(__file__).parents[2] / "sample_pcaps"
SIZE = 1000


def filled(reads: int, largest: int, room: int, idle: float = 0.0) -> Talk:
    """The server fills the client's window, `largest` at first and then `room`; the client reads `idle` s later."""
    talk = Talk()
    talk.say(0.0, CLIENT, 50, window=largest)
    sent = 0
    for _ in range(room // SIZE):
        talk.say(RTT if not sent else 0.00001, SERVER, SIZE)
        sent += SIZE
    for _ in range(60):
        talk.say(idle + 0.00005, CLIENT, window=room)
        for n in range(reads // SIZE):
            talk.say(RTT if not n else 0.00001, SERVER, SIZE)
    return talk


def test_a_reader_that_leaves_half_of_the_window_is_told():
    told = filled(20_000, 60_000, 20_000).told()
    assert told["slow_reader"].side == "client"


def test_a_reader_that_leaves_more_than_half_may_have_too_small_a_buffer():
    finding = filled(20_000, 39_000, 20_000, idle=0.01).told()["slow_reader"]
    assert any("too small for the path" in doubt for doubt in finding.doubts)


def test_what_a_window_allows_is_not_known_without_the_handshake(tmp_path):
    whole = {f.id: f for f in tcpscope.read(SAMPLES / "limited_by_path.pcap").findings}
    assert whole["limited_by_path"].confidence != "possible"
    raw = (SAMPLES / "limited_by_path.pcap").read_bytes()
    at = 24
    for _ in range(3):  # the handshake
        at += 16 + int.from_bytes(raw[at + 8 : at + 12], "little")
    (tmp_path / "cut.pcap").write_bytes(raw[:24] + raw[at:])
    cut = {f.id: f for f in tcpscope.read(tmp_path / "cut.pcap").findings}
    assert cut["limited_by_path"].confidence == "possible"
    assert any("window scale" in doubt for doubt in cut["limited_by_path"].doubts)


@pytest.mark.parametrize("repeats", [4, 0])
def test_who_repeated_in_vain_may_have_given_up(repeats):
    talk = Talk()
    talk.exchange(0.02)
    talk.say(0.02, CLIENT, 100)
    for n in range(repeats):
        talk.raw(0.3 * 2**n, CLIENT, ACK, talk.next[CLIENT] - 100, talk.known[CLIENT], 100)
    talk.raw(0.5, SERVER, ACK, talk.next[SERVER], talk.next[CLIENT] - 100, 500)
    talk.raw(0.00002, CLIENT, RST, talk.next[CLIENT] - 100)  # of a socket that is no more: the number it was told
    doubts = [doubt for f in talk.told().values() if f.id == "reset_half_open" for doubt in f.doubts]
    assert any("given up" in doubt for doubt in doubts) == bool(repeats)


@pytest.mark.parametrize(("both", "doubted"), [(False, True), (True, False)])
def test_copies_of_one_sides_packets_may_be_the_networks(both, doubted):
    talk = Talk()
    for _ in range(8):
        talk.exchange(0.02)
        for step in talk.steps[-2:] if both else talk.steps[-2:-1]:
            talk.steps.append(step)
    steps = sorted(talk.steps)
    told = found(steps)
    assert bool(told["duplicates"].doubts) == doubted
