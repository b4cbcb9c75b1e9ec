"""What proves a finding: the first frames of each connection with each annotation worth a word."""

from collections import defaultdict
from pathlib import Path

import pytest

from tcpscope.replay.layout import ANNOTATIONS, EVIDENCE, PACKET, ROLES
from tcpscope.tables import analysis

SAMPLES = Path(__file__).parents[2] / "sample_pcaps"
ENOUGH = 4
SCHEDULE = {"syn_retransmission": 8, "syn_ack_retransmission": 8, "keep_alive": 8}  # their times tell a timer
ORDINARY = {"piggybacked_ack", "offloaded", "offload_checksum", "window_update", "delayed_ack", "duplicate_ack"}


@pytest.mark.parametrize("path", sorted(SAMPLES.glob("*.pcap*")), ids=lambda path: path.name)
def test_the_first_frames_of_each_kind_are_kept(path):
    found = analysis.locate(path)
    result = analysis.analyse(found)
    kept, want = defaultdict(list), defaultdict(list)
    for it in EVIDENCE.dicts(result.evidence):
        kept[it["connection"], ANNOTATIONS[it["annotation"]], ROLES[it["side"]]].append((it["file"], it["frame"]))
    for rows in analysis.packets_again(found, result, msl=30.0, by_tunnel=False):
        for it in PACKET.dicts(rows):
            for bit, word in enumerate(ANNOTATIONS):
                if it["annotations"] >> bit & 1 and word not in ORDINARY:
                    want[it["connection"], word, ROLES[it["sender"]]].append((it["file"], it["frame"]))
    assert set(kept) == set(want)
    for key, frames in kept.items():
        if "spurious_retransmission" in key:  # told by later packets, in the order of these
            assert set(frames) <= set(want[key]) and len(frames) == min(ENOUGH, len(want[key]))
        else:
            assert frames == want[key][: SCHEDULE.get(key[1], ENOUGH)], key
