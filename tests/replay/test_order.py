"""Which of two segments was sent first, whatever came first: by the IP IDs that a host counts for each connection."""

from tcpscope.replay.layout import ANNOTATIONS
from tests.replay.segments import ACK, SYN, Replayed, segment

CLIENT, SERVER = 0, 1


def annotated(steps):
    """Names of the annotations, segment by segment.  steps: ms, sender, flags, seq, ack, length, IP ID."""
    found = Replayed([
        segment(n, side, flags, seq, ack, length, time_ns=10**15 + ms * 10**6, ip_id=ip_id)
        for n, (ms, side, flags, seq, ack, length, ip_id) in enumerate(steps, 1)
    ])  # fmt: skip
    return [{name for at, name in enumerate(ANNOTATIONS) if row["annotations"] >> at & 1} for row in found.packets]


def opening(syn_ack_id):
    return [(0, CLIENT, SYN, 99, 0, 0, 500), (20, SERVER, SYN | ACK, 199, 100, 0, syn_ack_id),
            (21, CLIENT, ACK, 100, 200, 0, 501), (22, CLIENT, ACK, 100, 200, 50, 502),
            (42, SERVER, ACK, 200, 150, 0, 0)]  # fmt: skip


def test_the_id_of_a_syn_ack_is_no_number_of_the_row():
    steps = [*opening(0x3B3C), (43, SERVER, ACK, 200, 150, 1000, 0xE6D3), (44, SERVER, ACK, 2200, 150, 1000, 0xE6D5),
             *((45 + n, SERVER, ACK, 3200 + 1000 * n, 150, 1000, 0xE6D6 + n) for n in range(4)),
             *((50 + n, CLIENT, ACK, 150, 1200, 0, 503 + n) for n in range(4)),
             (90, SERVER, ACK, 1200, 150, 1000, 0xE6D4)]  # fmt: skip
    assert annotated(steps)[-1] & {"out_of_order", "retransmission"} == {"out_of_order"}


def test_a_repetition_that_was_overtaken_is_one():
    data = [(43 + n, SERVER, ACK, 200 + 1000 * n, 150, 1000, 1000 + n) for n in range(4)]
    again = [(90, SERVER, ACK, 1200, 150, 1000, 1005), (91, SERVER, ACK, 200, 150, 1000, 1004)]
    told = annotated([*opening(999), *data, *again])
    assert all("retransmission" in it and "out_of_order" not in it for it in told[-2:])


def test_an_original_behind_a_repetition_that_was_overtaken_is_late():
    """The repetition of the first is older than the last: what lies between in time is no repetition."""
    ids = {0: 1000, 1: 1001, 2: 1002, 3: 1003, 4: 1005, 6: 1007}
    data = [(43 + n, SERVER, ACK, 200 + 1000 * at, 150, 1000, ids[at]) for n, at in enumerate(ids)]
    acks = [(50 + n, CLIENT, ACK, 150, 200, 0, 503 + n) for n in range(4)]
    late = [(90, SERVER, ACK, 200, 150, 1000, 1004), (91, SERVER, ACK, 5200, 150, 1000, 1006)]
    told = annotated([*opening(999), *data, *acks, *late])
    assert "retransmission" in told[-2]
    assert "out_of_order" in told[-1] and "retransmission" not in told[-1]
