"""What a capture does not show is not told: refusals that were no end, filters, numbers that count otherwise."""

import pytest

from tcpscope.replay.layout import STATES
from tests.diagnose.made import DAWN, found
from tests.diagnose.test_alike import CLIENT, RTT, SERVER, Talk
from tests.replay.segments import ACK, FIN, PSH, RST, SYN, Replayed, segment

OTHER = {"src": bytes([10, 0, 0, 9]), "dst": bytes([10, 0, 0, 8]), "sport": 1, "dport": 2}  # the capture goes on
ISN = 4_056_368_679  # a RST that refuses a SYN has number 0, half of all numbers away


def at(seconds):
    return DAWN + round(seconds * 1e9)


def refused_at_first():
    steps = [(0, CLIENT, SYN, 100, 0, 0), (0.001, SERVER, RST | ACK, 0, 101, 0), (0.5, CLIENT, SYN, 100, 0, 0),
             (0.501, SERVER, SYN | ACK, ISN, 101, 0), (0.5015, CLIENT, ACK, 101, ISN + 1, 0),
             (0.502, CLIENT, ACK | PSH, 101, ISN + 1, 116), (0.503, SERVER, ACK, ISN + 1, 217, 0),
             (0.504, SERVER, ACK | PSH, ISN + 1, 217, 30), (0.5041, CLIENT, ACK, 217, ISN + 31, 0)]  # fmt: skip
    return [
        segment(n, side, flags, seq, ack, length, time_ns=at(now), options=2 if flags & SYN else 0)
        for n, (now, side, flags, seq, ack, length) in enumerate(steps, 1)
    ]


def test_a_syn_that_is_refused_and_then_taken_was_not_lost():
    assert set(found(refused_at_first())) <= {"slow_handshake"}


def test_the_handshake_behind_a_refusal_is_the_one_that_counts():
    (row,) = Replayed(refused_at_first()).connections
    assert row["server_missed_bytes"] <= 0 and row["server_unique_bytes"] == 30
    assert row["initial_rtt_ns"] == 1_500_000


@pytest.mark.parametrize("length", [0, 1])
def test_a_keep_alive_is_not_the_last_word(length):
    talk = Talk()
    talk.exchange(0.01)
    spoke = talk.now - RTT - 0.0001
    talk.raw(45, CLIENT, ACK, talk.next[0] - 1, talk.next[1], length)
    talk.raw(RTT, SERVER, ACK, talk.next[1], talk.next[0])
    (row,) = Replayed(talk.steps).connections
    assert row["client_keep_alives"] == 1
    assert row["client_last_data_ns"] == pytest.approx(at(spoke), abs=1000)


def queue(seen_at_first, damaged=False):
    """At the server: the client's request twice, and nothing but the SYN-ACK before the answer to the second."""
    steps = [segment(1, CLIENT, SYN, 100, time_ns=at(0)), segment(2, SERVER, SYN | ACK, 200, 101, time_ns=at(0.0001)),
             segment(3, CLIENT, ACK, 101, 201, time_ns=at(0.03), checksum_state=1)]  # fmt: skip
    if seen_at_first:
        steps.append(segment(4, CLIENT, ACK | PSH, 101, 201, 50, time_ns=at(0.031), checksum_state=2 if damaged else 1))
    else:  # its successor shows that it was sent
        steps.append(segment(4, CLIENT, ACK | PSH, 151, 201, 50, time_ns=at(0.031)))
    steps += [segment(5, CLIENT, ACK | PSH, 101, 201, 50, time_ns=at(0.3)),
              segment(6, SERVER, ACK, 201, 151, time_ns=at(0.3001)),
              segment(7, SERVER, ACK | PSH, 201, 151, 10, time_ns=at(0.301)),
              segment(8, CLIENT, ACK, 151, 211, time_ns=at(0.331))]  # fmt: skip
    return found(steps)


def test_only_data_that_came_can_be_ignored():
    assert "backlog_overflow" in queue(True)
    assert "backlog_overflow" not in queue(False)
    assert "backlog_overflow" not in queue(True, damaged=True)


def test_how_long_nobody_had_spoken_is_not_known_of_a_side_that_was_never_heard():
    steps = [segment(1, CLIENT, ACK, 999, 500, 1, time_ns=at(0))]
    steps += [segment(2 + n, CLIENT, ACK | PSH, 1000, 500, 100, time_ns=at(12 + 2**n)) for n in range(6)]
    assert "idle_timeout" not in found(steps)


def test_a_filter_for_data_leaves_no_acks_to_wait_for():
    talk = Talk()
    steps = talk.steps[:2]
    talk.steps = steps
    for _ in range(6):
        talk.say(0.01, CLIENT, 400)
        talk.say(RTT, SERVER, 900)
    talk.say(0.01, SERVER, 10, flags=FIN)
    talk.raw(300, CLIENT, ACK, 1, 1, 1, **OTHER)
    whole = found(talk.steps)
    assert "close_wait" not in whole and "vanished" not in whole


def test_a_fin_that_is_not_repeated_has_come_for_both():
    talk = Talk()
    talk.exchange(0.01)
    talk.say(0.01, CLIENT, flags=FIN)
    talk.say(0.001, SERVER, 500, heard=False)  # it had been under way
    talk.raw(10, CLIENT, ACK, 1, 1, 1, **OTHER)
    row = Replayed(talk.steps).connections[0]
    assert [STATES[row[f"{side}_state"]] for side in ("client", "server")] == ["FIN_WAIT_2", "CLOSE_WAIT"]


@pytest.mark.parametrize(("acked", "is_told"), [(True, True), (False, False)])
def test_a_request_that_is_first_acknowledged_by_the_answer_may_have_come_late(acked, is_told):
    talk = Talk()
    talk.exchange(0.01)
    talk.say(0.01, CLIENT, 50)
    if acked:
        talk.say(0.04, SERVER)
    talk.say(1.5, SERVER, 80)
    talk.say(0.0001, CLIENT)
    assert ("slow_server" in talk.told()) is is_told


@pytest.mark.parametrize(("step", "is_told"), [(1, True), (2, False)])
def test_ids_that_grow_by_more_skip_nothing(step, is_told):
    talk = Talk()
    for n in range(3):
        talk.say(0.01, CLIENT, 50)
        talk.say(RTT, SERVER, 80, ip_id=100 + n * step, ttl=60)
        talk.say(0.0001, CLIENT)
    talk.say(0.01, CLIENT, 50)
    talk.say(1.2, SERVER, 80, ip_id=100 + 2 * step + 2, ttl=60)
    talk.say(0.0001, CLIENT)
    assert ("lost_unseen" in talk.told()) is is_told


def test_who_scans_with_syn_acks_opens_no_port():
    ends = {"src": bytes([10, 0, 0, 3]), "dst": bytes([10, 0, 0, 4])}
    steps = [
        segment(n, CLIENT, SYN | ACK if n % 2 else FIN, 1, 0, time_ns=at(n * 0.01), sport=40000 + n, dport=n, **ends)
        for n in range(1, 41)
    ]
    told = found(steps)["port_scan"]
    assert told.numbers["opened"] == 0


@pytest.mark.parametrize(("wait", "is_told"), [(0.46, True), (0.0005, False)])
def test_a_rst_long_after_its_own_fin_is_an_abort(wait, is_told):
    """A RST right after the FIN was acknowledged answers that; a later one is a program that closes unread data."""
    talk = Talk()
    talk.say(0.01, CLIENT, 1000)
    talk.say(RTT, SERVER, 7)
    talk.say(0.0001, CLIENT)
    talk.say(0.001, SERVER, flags=FIN)
    talk.say(0.04, CLIENT)
    talk.raw(wait, SERVER, RST | ACK, talk.next[1], talk.next[0])
    assert ("reset_abort" in talk.told()) is is_told


@pytest.mark.parametrize(("spoke", "id"), [(0.001, "reset_unread"), (1.0, "reset_abort")])
def test_rsts_that_answer_acks_met_no_data(spoke, id):
    talk = Talk()
    talk.exchange(0.01)
    talk.exchange(0.01)
    talk.raw(spoke, SERVER, RST | ACK, talk.next[1], talk.next[0])
    for _ in range(3):
        talk.raw(0.001, SERVER, RST, talk.next[1])
    assert id in talk.told()


@pytest.mark.parametrize(("heard", "is_told"), [(False, True), (True, False)])
def test_a_refusal_after_silence_is_told_with_it(heard, is_told):
    steps = []
    for n, now in enumerate((0, 1.0, 3.0)):
        steps.append(segment(len(steps) + 1, CLIENT, SYN, 100, time_ns=at(now)))
        if heard or n == 2:
            steps.append(segment(len(steps) + 1, SERVER, RST | ACK, 0, 101, time_ns=at(now + 0.001)))
    refused = found(steps)["refused"]
    assert ("had come to nothing for up to 3.00 s" in refused.text) is is_told
    assert refused.numbers["ignored"] == is_told


@pytest.mark.parametrize(("begins", "is_told"), [(101, True), (5_101, False)])
def test_first_data_with_more_missing_behind_it_is_a_repetition(begins, is_told):
    """At the server: a client whose first segments were lost seems to have waited."""
    steps = [segment(1, CLIENT, SYN, 100, time_ns=at(0)), segment(2, SERVER, SYN | ACK, 200, 101, time_ns=at(0.0001)),
             segment(3, CLIENT, ACK, 101, 201, time_ns=at(0.03)),
             segment(4, CLIENT, ACK, 101, 201, 100, time_ns=at(4)),
             segment(5, SERVER, ACK, 201, 201, time_ns=at(4.0001)),
             segment(6, CLIENT, ACK, begins + 100, 201, 100, time_ns=at(4.03)),
             segment(7, SERVER, ACK | PSH, 201, begins + 200 if is_told else 201, 10, time_ns=at(4.04))]  # fmt: skip
    assert ("slow_client" in found(steps)) is is_told


@pytest.mark.parametrize("opened", [0, 1, 3])
def test_a_service_that_took_others_listens(opened):
    steps = []
    for n in range(opened):
        there, back = {"sport": 2000 + n, "time_ns": at(n)}, {"dport": 2000 + n, "time_ns": at(n + 0.001)}
        steps += [segment(1, CLIENT, SYN, 100, **there), segment(2, SERVER, SYN | ACK, 200, 101, **back),
                  segment(3, CLIENT, ACK, 101, 201, sport=2000 + n, time_ns=at(n + 0.002))]  # fmt: skip
    steps += [segment(4, CLIENT, SYN, 100, sport=3000, time_ns=at(9)),
              segment(5, SERVER, RST | ACK, 0, 101, dport=3000, time_ns=at(9.001))]  # fmt: skip
    refused = found(steps)["refused"]
    assert refused.numbers["opened"] == opened
    assert ("nothing listens" in refused.advice) is (opened == 0)
