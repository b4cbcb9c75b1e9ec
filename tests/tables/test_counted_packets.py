"""Counters of a connection against its packets: both tables say the same."""

from pathlib import Path

import pytest

import tcpscope

SAMPLES = sorted((Path(__file__).parents[2] / "sample_pcaps").glob("*.pcap*"))


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_packets_sent_again_and_packets_with_numbers(path):
    capture = tcpscope.read(path)
    packets = capture.packets
    first = packets["annotations"].map(lambda names: not {"duplicate_capture", "network_duplicate"} & set(names))
    again = packets["annotations"].map(lambda names: "retransmission" in names)
    numbered = (packets["length"] > 0) | packets["flags"].str.contains("SYN|FIN")
    for role in ("client", "server"):
        for name, counted in (("sent_again", again), ("sequenced_packets", numbered & first)):
            mine = packets[counted & (packets["sender"] == role)].groupby("connection").size()
            told = capture.connections.set_index("connection")[f"{role}_{name}"]
            assert told.to_dict() == mine.reindex(told.index, fill_value=0).to_dict(), (role, name)
