"""Each finding has a capture that provokes it, and captures in which nothing is odd have none."""

from pathlib import Path

import pytest

import tcpscope

SAMPLES = Path(__file__).parents[2] / "sample_pcaps"

PROVOKED = {
    "refused.pcap": "refused",
    "syn_unanswered.pcap": "unanswered",
    "syn_flood.pcap": "syn_flood",
    "syn_lost.pcap": "syn_lost",
    "timeout_back_off.pcap": "timeouts",
    "bulk.pcap": "retransmissions",
    "spurious_retransmission.pcap": "spurious",
    "zero_window.pcap": "zero_window",
    "reset_unread_data.pcap": "reset",
    "keep_alive_train.pcap": "vanished",
    "span_duplicates.pcap": "duplicates",
}
QUIET = ["normal.pcap", "ipv6.pcapng", "server_closes_first.pcap", "three_segment_close.pcap", "simultaneous_close.pcap",
         "simultaneous_open.pcap", "sliding_window.pcap", "keep_alive.pcap", "half_close.pcap", "conversation.pcap",
         "fast_open.pcap", "close_wait.pcap"]  # fmt: skip


@pytest.mark.parametrize(("name", "id"), PROVOKED.items())
def test_it_is_found(name, id):
    capture = tcpscope.read(SAMPLES / name)
    found = {finding.id: finding for finding in capture.findings}
    assert id in found, sorted(found)
    finding = found[id]
    assert finding.count >= 1 and finding.frames and finding.connections
    assert finding.text and finding.advice and finding.severity in ("error", "warning", "note")


@pytest.mark.parametrize("name", QUIET)
def test_nothing_is_odd(name):
    assert [finding.id for finding in tcpscope.read(SAMPLES / name).findings] == []


def test_a_socket_left_in_close_wait():
    """The same connection, in a capture that goes on for long after."""
    capture = tcpscope.read([SAMPLES / "close_wait.pcap", SAMPLES / "idle_reset.pcap"])
    late = capture.overview["last"] - capture.connections["start"].min()
    assert late > 60
    assert "close_wait" in {finding.id for finding in capture.findings}


def test_a_cut_file_is_a_finding(tmp_path):
    path = tmp_path / "cut.pcap"
    path.write_bytes((SAMPLES / "normal.pcap").read_bytes()[:-5])
    assert [finding.id for finding in tcpscope.read(path).findings] == ["damaged"]


def test_worst_comes_first():
    order = [f.severity for f in tcpscope.read([SAMPLES / "bulk.pcap", SAMPLES / "refused.pcap"]).findings]
    assert order == sorted(order, key=["error", "warning", "note"].index)
