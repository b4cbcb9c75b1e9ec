"""What became of each end, where one segment alone does not tell."""

from tcpscope.replay.layout import STATES
from tests.replay.segments import ACK, RST, SYN, Replayed, segment


def test_a_reset_behind_lost_data_is_asked_for_again():
    """RFC 5961, 3.2: its number is not the next one, so the server answers with an ACK; the second RST is exact."""
    made = Replayed([
        segment(1, 0, SYN, 1000),
        segment(2, 1, SYN | ACK, 5000, 1001),
        segment(3, 0, ACK, 1001, 5001),
        segment(4, 0, RST | ACK, 4001, 5001),
        segment(5, 1, ACK, 5001, 1001),
        segment(6, 0, RST, 1001),
    ])  # fmt: skip
    ends = {(it["endpoint"], it["frame"]) for it in made.events if STATES[it["new"]] == "CLOSED"}
    assert ends == {(0, 4), (1, 6)}


def test_a_refusal_is_no_handshake():
    """Wireshark's initial round trip is that of the first ACK bit, a RST's too."""
    refused = Replayed([segment(1, 0, SYN, 1000), segment(2, 1, RST | ACK, 0, 1001)]).connections[0]
    opened = Replayed([
        segment(1, 0, SYN, 1000), segment(2, 1, SYN | ACK, 5000, 1001), segment(3, 0, ACK, 1001, 5001),
    ]).connections[0]  # fmt: skip
    assert refused["initial_rtt_ns"] == -1 and opened["initial_rtt_ns"] == 2_000_000
