"""Findings about transfers: what nearly provokes each and must not, and those that no sample shows."""

from __future__ import annotations

from pathlib import Path

import pytest

import tcpscope
from tcpscope.diagnose import diagnose
from tcpscope.diagnose.pace import quantum
from tcpscope.replay.engine import Engine
from tcpscope.wire.batch import SegmentBatch
from tests.replay.segments import ACK, SYN, segment

SAMPLES = Path(__file__).parents[2] / "sample_pcaps"
TRUTH = Path(__file__).parents[3] / "shared" / "truth"
CORPUS = Path(__file__).parents[3] / "shared" / "corpus" / "tcp"
MS = 1_000_000

NEAR = {
    "tail_loss": ["tail_loss_probe.pcap", "timeout_back_off.pcap", "spurious_retransmission.pcap"],
    "reordering": ["reordering.pcap", "network_duplicates.pcap", "fast_retransmission.pcap", "span_duplicates.pcap"],
    "path_mtu": ["peer_vanished.pcap", "timeout_back_off.pcap", "lost_retransmission.pcap"],
    "dead_reader": ["zero_window.pcap", "slow_reader.pcap"],
    "small_window": ["bulk.pcap", "sliding_window.pcap", "bufferbloat.pcap", "zero_window.pcap",
                     "window_scale_off.pcap"],
    "window_scale_off": ["sliding_window.pcap", "small_window.pcap", "silly_window.pcap"],
    "silly_window": ["sliding_window.pcap", "small_window.pcap", "slow_reader.pcap", "small_segments.pcap"],
    "small_segments": ["nagle_delayed_ack.pcap", "conversation.pcap", "silly_window.pcap"],
    "bufferbloat": ["bulk.pcap", "small_window.pcap", "timeout_back_off.pcap"],
    "slow_start_restart": ["limited_by_program.pcap", "bulk.pcap", "tail_losses.pcap"],
    "limited_by_program": ["bulk.pcap", "slow_start_restart.pcap", "bufferbloat.pcap"],
    "limited_by_path": ["bulk.pcap", "limited_by_program.pcap", "small_window.pcap"],
    "retransmissions": ["tail_losses.pcap", "reordered.pcap", "dead_reader.pcap"],
    "timeouts": ["fast_retransmission.pcap", "tail_losses.pcap"],
    "nagle": ["small_segments.pcap", "conversation.pcap"],
}  # fmt: skip


def ids(path):
    return {f.id: f for f in tcpscope.read(path).findings}


@pytest.mark.parametrize(("id", "name"), [(id, name) for id, names in NEAR.items() for name in names])
def test_what_is_nearly_so_is_not_found(id, name):
    assert id not in ids(SAMPLES / name)


def found(made):
    box, engine = SegmentBatch(len(made)), Engine()
    box.load(b"".join(made))
    engine.replay(box)
    engine.finish()
    return {f.id: f for f in diagnose(engine.take_connections(), [], [], engine.take_evidence())}


def transfer(rounds, burst, trip, window=60_000):
    """The server sends `burst` full segments each round trip of `trip` ms; window: one, or of each round."""
    windows = window if isinstance(window, list) else [window] * rounds
    made = [segment(1, 0, SYN, 0, mss=1000, options=1, window=windows[0], time_ns=MS),
            segment(2, 1, SYN | ACK, 0, 1, mss=1000, options=1, window=60_000, time_ns=MS),
            segment(3, 0, ACK, 1, 1, window=windows[0], time_ns=(1 + trip) * MS)]  # fmt: skip
    at, seq = (1 + trip) * MS, 1
    for n in range(rounds):
        for _ in range(burst):
            made.append(segment(len(made) + 1, 1, ACK, seq, 1, 1000, window=60_000, time_ns=at))
            seq += 1000
        at += trip * MS
        made.append(segment(len(made) + 1, 0, ACK, 1, seq, window=windows[n], time_ns=at))
    return made


def test_a_transfer_at_the_pace_of_the_path():
    finding = found(transfer(60, 10, 30))["limited_by_path"]
    assert finding.side == "path" and finding.numbers["share"] > 0.95
    assert finding.numbers["bytes_per_second"] == pytest.approx(10_000 / 0.03, rel=0.05)
    assert "limited_by_path" not in found(transfer(30, 10, 30))  # less than a second, and less than half a megabyte


def test_a_reader_that_is_slow_and_never_stops():
    """The window was 60,000 bytes, and 3,000 of them are open."""
    slow = found(transfer(40, 3, 30, [60_000, 30_000, 10_000] + [3_000] * 37))
    assert slow["slow_reader"].side == "client" and "small_window" not in slow
    assert set(found(transfer(40, 3, 30))) == set()


def test_a_window_that_is_small_and_always_open():
    small = found(transfer(40, 3, 30, 3_000))
    assert small["small_window"].numbers["bytes_per_second"] == 100_000 and small["small_window"].frames == [6]
    assert set(found(transfer(40, 3, 3, 3_000))) == set()  # on a short path it costs a tenth of that


@pytest.mark.parametrize(
    ("ms", "word"), [(41, "Linux"), (101, "macOS"), (201, "Windows"), (500, "RFC"), (75, ""), (5, "")]
)
def test_timers_of_delayed_acks_are_known(ms, word):
    assert word in quantum(ms * MS) and bool(word) == bool(quantum(ms * MS))


def test_why_a_repetition_was_not_needed():
    path = TRUTH / "bulk_reorder-1.server.pcap"
    if not path.is_file():
        pytest.skip("the captures with known truth are not here")
    finding = ids(path)["spurious"]
    assert finding.numbers["order"] == 2 and finding.numbers["delay"] == finding.numbers["acks"] == 0


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("delay_spike-1.server", "later than the timer"),
        ("ack_delay_spike-1.client", "the ACK was lost, late"),
    ],
)
def test_a_time_out_in_vain_is_told_once(name, why):
    path = TRUTH / f"{name}.pcap"
    if not path.is_file():
        pytest.skip("the captures with known truth are not here")
    found = ids(path)
    assert found["timeouts"].numbers["needless"] == 1 and why in found["timeouts"].text
    assert "spurious" not in found
    assert "lost behind" not in found["timeouts"].text


def test_a_time_out_that_was_needed_is_not_called_vain():
    finding = ids(SAMPLES / "timeout_back_off.pcap")["timeouts"]
    assert finding.numbers["needless"] == 0 and "had arrived" not in finding.text


@pytest.mark.parametrize(
    ("name", "told", "doubted"),
    [("window_update_lost-1.server", True, False), ("window_update_lost-1.client", False, True)],
)
def test_a_window_update_that_was_lost_is_not_all_the_readers_fault(name, told, doubted):
    """Captured at the reader, the sender probes on; captured at the sender, a probe finds the window open."""
    path = TRUTH / f"{name}.pcap"
    if not path.is_file():
        pytest.skip("the captures with known truth are not here")
    finding = ids(path)["zero_window"]
    assert ("1 window update that opened it never got there" in finding.text) == told
    assert bool(finding.doubts) == doubted


def test_a_slow_reader_whose_updates_arrive_is_not_excused():
    finding = ids(SAMPLES / "zero_window.pcap")["zero_window"]
    assert finding.numbers["unheard"] == 0 and not finding.doubts and "not at the network" in finding.advice


@pytest.mark.parametrize(
    ("name", "side"), [("bulk_loss_2_cubic-1.client", "before"), ("bulk_loss_2_cubic-1.server", "behind")]
)
def test_where_segments_were_lost(name, side):
    """Beside the receiver, the first copies have never passed; beside the sender, they have."""
    path = TRUTH / f"{name}.pcap"
    if not path.is_file():
        pytest.skip("the captures with known truth are not here")
    assert f"lost {side} the capture point" in ids(path)["retransmissions"].text


@pytest.mark.parametrize(("name", "expected", "not_expected"), [
    ("tcp_zerowindowdead", {"dead_reader"}, {"zero_window", "vanished"}),
    ("tcp_zerowindowrecovery", set(), {"dead_reader", "zero_window"}),  # it opens again after 10 ms
    ("tcp_retransmissions", {"vanished"}, {"retransmissions"}),
    ("latency1", set(), {"retransmissions", "timeouts", "small_window"}),
    ("inconsistent_printer", {"vanished"}, {"path_mtu", "dead_reader"}),
])  # fmt: skip
def test_the_textbooks_answer(name, expected, not_expected):
    path = CORPUS / "packets" / f"{name}.pcapng"
    if not path.is_file():
        pytest.skip("the corpus is not here")
    said = set(ids(path))
    assert expected <= said and not said & not_expected


def test_a_reader_that_is_dead_when_the_capture_begins():
    """Only probes of the closed window were captured, and no data."""
    steps = []
    for at in range(0, 6_000, 1_000):
        steps += [
            segment(at + 1, 1, ACK, 99, 500, time_ns=at * MS),
            segment(at + 2, 0, ACK, 500, 100, time_ns=at * MS + MS, window=0),
        ]
    assert "dead_reader" in found(steps)
