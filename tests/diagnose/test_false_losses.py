"""What must not be told of repetitions: situations in which a finding about loss once spoke, and was wrong."""

from pathlib import Path

import pytest

import tcpscope
from tests.diagnose.made import DAWN, MS, SECOND, at, found, opened, truth
from tests.replay.segments import ACK, FIN, SYN, Replayed, segment

SAMPLES = Path(__file__).parents[2] / "sample_pcaps"


def test_a_syn_ack_repeated_on_purpose_is_no_needless_repetition():
    assert "spurious" not in {f.id for f in tcpscope.read(SAMPLES / "deferred_accept.pcap").findings}


def test_who_repeats_in_vain_has_not_been_heard():
    """That the answers are not captured does not explain why the sender goes on repeating."""
    at, steps = DAWN, []
    for n, gap in enumerate((0, 200, 400, 800, 1600, 3200), 1):
        at += gap * MS
        steps.append(segment(n, 0, ACK, 1, 1, length=600, time_ns=at))
    told = found(steps)
    assert set(told) == {"vanished"} and told["vanished"].confidence == "likely"


def test_both_sides_repetitions_are_told():
    told = truth("both_ways-1.client")["retransmissions"]
    assert told.numbers["segments"] + told.numbers["others"] == 11 and "and the server 5" in told.text


def test_time_outs_without_a_silence_are_no_time_outs():
    """A receiver's view of a burst sent again, without time stamps: three time-outs in truth."""
    told = truth("delay_spike_bare-1.client")
    assert "timeouts" not in told and told["retransmissions"].numbers["segments"] == 244


def test_a_lossy_path_is_not_as_it_should_be():
    told = truth("bulk_loss_2_cubic-1.server")["limited_by_path"]
    assert "should be" not in told.advice and "loss" in told.text


@pytest.mark.parametrize("answered", [True, False])
def test_copies_that_their_receiver_answers_were_no_matter_of_the_capture(answered):
    """RFC 2883: the D-SACK names what came a second time."""
    at, seq, steps = DAWN, 102, opened(40_000, DAWN)
    for turn in range(8):
        at += SECOND
        for copy in range(2):
            steps.append(segment(len(steps) + 1, 0, ACK, seq, 202, length=50, ip_id=100 + turn, checksum=turn,
                                 checksum_state=1, time_ns=at + 1000 * copy))  # fmt: skip
        told = b"".join(it.to_bytes(4, "little") for it in (seq, seq + 50))
        known = {"options": 0x08, "n_sack": 1, "sack": told} if answered else {}
        steps.append(segment(len(steps) + 1, 1, ACK, 202, seq + 50, ip_id=2 * turn + 1, time_ns=at + 2000))
        steps.append(segment(len(steps) + 1, 1, ACK, 202, seq + 50, ip_id=2 * turn + 2, time_ns=at + 3000, **known))
        seq += 50
    ids = {"duplicates", "network_duplicates"} & set(found(steps))
    assert ids == ({"network_duplicates"} if answered else {"duplicates"})


def test_silence_that_nobody_broke_is_not_spent_repeating():
    steps = [*opened(40_000, DAWN)]
    steps += [segment(10 + i, 0, ACK, 102, 202, length=50, time_ns=at(7000 + 300 * 2**i)) for i in range(4)]
    (gone,) = [f for f in found(steps).values() if f.id == "vanished"]
    assert 2 < gone.numbers["seconds"] < 3


def test_segments_that_never_arrive_where_nothing_else_was_sent_tell_nothing_of_their_size():
    """The capture begins in the middle of a burst that was lost."""
    steps = [segment(1, 1, ACK, 200, 101, time_ns=at(0)), segment(2, 0, ACK, 101, 200, length=1448, time_ns=at(1))]
    steps += [segment(3 + i, 0, ACK, 101, 200, length=1448, time_ns=at(300 * 2**i)) for i in range(4)]
    steps += [segment(10, 1, ACK, 200, 101, length=10, time_ns=at(5000))]
    told = found(steps)
    assert "path_mtu" not in told and "stopped the sender for 2.40 s" in told["timeouts"].text


def test_a_capture_that_begins_with_a_repetition_has_no_time_before_it():
    """The number of an ACK tells that more had been sent than the capture shows."""
    steps = [segment(1, 0, ACK, 1549, 200, time_ns=at(0))]
    steps += [segment(2 + i, 0, ACK, 101, 200, length=1448, time_ns=at(300 * 2**i)) for i in range(4)]
    (row,) = Replayed(steps).connections
    assert row["client_timeout_retransmissions"] == 4 and row["client_timer_ns"] == 2100 * MS


def test_packets_that_the_network_copies_are_told_from_a_mirror_ports():
    steps = [*opened(40_000, DAWN)]
    for i in range(6):
        packet = {"length": 100, "ip_id": 500 + i}
        steps.append(segment(10 + 2 * i, 0, ACK, 102 + 100 * i, 202, time_ns=at(100 + 20 * i), **packet))
        steps.append(segment(11 + 2 * i, 0, ACK, 102 + 100 * i, 202, time_ns=at(105 + 20 * i), **packet))
    told = found(steps)
    assert told["network_duplicates"].numbers["packets"] == 6 and "retransmissions" not in told


@pytest.mark.parametrize("length", [1448, 100])
def test_time_outs_of_full_segments_alone_may_be_the_paths_size(length):
    """Nobody is heard meanwhile, then a FIN: a path that was dead, or one that carries no such packets."""
    steps = opened(40_000, DAWN)
    for turn in range(5):
        at = DAWN + SECOND + (2**turn - 1) * SECOND
        steps.append(segment(len(steps) + 1, 1, ACK, 202, 102, length=length, time_ns=at))
    steps.append(segment(len(steps) + 1, 0, FIN | ACK, 102, 202, time_ns=at + SECOND))
    told = found(steps)["timeouts"]
    assert any("smaller packets" in it for it in told.doubts) is (length > 1000)


def test_syns_whose_answers_were_all_lost_were_needed():
    at = DAWN
    steps = []
    for turn in range(5):
        steps.append(segment(len(steps) + 1, 0, SYN, 1, time_ns=at, ip_id=turn + 1))
        steps.append(segment(len(steps) + 1, 1, SYN | ACK, 9, 2, time_ns=at + MS))
        at += 2**turn * SECOND
    assert set(found(steps)) == {"half_open"}


@pytest.mark.parametrize(("offered", "said"), [((4, 4), ""), ((4, 0), "the server's SYN"), ((0, 0), "neither end")])
def test_repetitions_tell_where_there_is_no_sack(offered, said):
    steps = [
        segment(1, 0, SYN, 1, options=1 | offered[0], mss=1460, time_ns=DAWN),
        segment(2, 1, SYN | ACK, 9, 2, options=1 | offered[1], mss=1460, time_ns=DAWN + 50 * MS),
        segment(3, 0, ACK, 2, 10, time_ns=DAWN + 51 * MS),
    ]
    at, seq = DAWN + SECOND, 2
    for _ in range(3):
        for piece in range(6):
            steps.append(
                segment(len(steps) + 1, 0, ACK, seq + 1000 * piece, 10, length=1000, time_ns=at + piece * 1000)
            )
        for again in range(4):
            steps.append(
                segment(len(steps) + 1, 1, ACK, 10, seq, ip_id=len(steps), time_ns=at + 50 * MS + again * 1000)
            )
        steps.append(segment(len(steps) + 1, 0, ACK, seq, 10, length=1000, time_ns=at + 51 * MS))
        seq += 6000
        steps.append(segment(len(steps) + 1, 1, ACK, 10, seq, time_ns=at + 101 * MS))
        at += SECOND
    advice = found(steps)["retransmissions"].advice
    assert said in advice and ("no SACK" in advice) is bool(said)


@pytest.mark.parametrize(
    ("name", "told", "besides"),
    [("delay_spike_bare-1.client", True, False), ("bulk_reorder_no_sack-1.server", True, True),
     ("bulk_reorder-1.server", False, True)],
)  # fmt: skip
def test_without_sack_what_follows_a_loss_is_repeated_in_vain(name, told, besides):
    text = truth(name)["spurious"].text
    assert ("there is no SACK" in text) == told and ("overtaken" in text) == besides
