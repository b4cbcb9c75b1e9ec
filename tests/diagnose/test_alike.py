"""Endings that look alike, and what tells them apart: each by hand-made segments of one connection."""

import struct

import pytest

from tests.diagnose.made import CLIENT, DAWN, RTT, SERVER, Talk, found
from tests.replay.segments import ACK, FIN, RST, SYN, segment

# ---------------------------------------------------------------- no answer


@pytest.mark.parametrize("end", ["fin", "rst", "open"])
@pytest.mark.parametrize(("wait", "is_told"), [(30, True), (2, False)])
def test_a_request_that_is_acknowledged_and_never_answered(end, wait, is_told):
    talk = Talk()
    talk.say(0.001, CLIENT, 300)
    talk.say(RTT, SERVER)
    if end == "fin":
        talk.say(wait, CLIENT, flags=FIN)
        talk.say(RTT, SERVER, flags=FIN)
        talk.say(0.0001, CLIENT)
    elif end == "rst":
        talk.raw(wait, CLIENT, RST | ACK, talk.next[0], talk.next[1])
    else:
        talk.say(wait, CLIENT)
    told = talk.told()
    assert ("no_answer" in told) is is_told
    if is_told:
        one = told["no_answer"]
        assert one.frames == [4] and one.severity == "note" and one.confidence == "possible"
        assert "reset_abort" not in told and "30.0" in one.text


def test_a_server_that_closes_without_a_byte():
    talk = Talk()
    talk.say(0.001, CLIENT, 300)
    talk.say(RTT, SERVER)
    talk.say(0.02, SERVER, flags=FIN)
    talk.say(0.0001, CLIENT, flags=FIN)
    talk.say(RTT, SERVER)
    assert talk.told()["no_answer"].text.endswith("it closed without a byte")


def test_what_was_answered_needs_no_more():
    talk = Talk()
    talk.exchange(0.001)
    talk.say(0.001, CLIENT, 300)  # perhaps a farewell
    talk.say(RTT, SERVER)
    talk.say(30, CLIENT, flags=FIN)
    talk.say(RTT, SERVER, flags=FIN)
    talk.say(0.0001, CLIENT)
    assert "no_answer" not in talk.told()


def test_what_did_not_arrive_was_not_asked():
    talk = Talk()
    talk.say(0.001, CLIENT, 300)
    for wait in (0.3, 0.6, 1.2, 2.4, 4.8):
        talk.raw(wait, CLIENT, ACK, 101, 201, 300)
    assert "no_answer" not in talk.told()


# ---------------------------------------------------------------- repetitions at the beginning


def test_a_server_that_does_not_hear_has_no_full_queue():
    """A full queue repeats the SYN-ACK: without that, what the client sends is lost, and no more is known."""
    talk = Talk()
    talk.say(0.001, CLIENT, 300)
    for wait in (0.3, 0.6, 1.2):
        talk.raw(wait, CLIENT, ACK, 101, 201, 300)
    talk.say(RTT, SERVER)
    talk.say(0.01, SERVER, 50)
    told = talk.told()
    assert "backlog_overflow" not in told and "timeouts" in told


def test_a_refusal_counts_from_the_syn_that_it_answers():
    steps = [segment(n + 1, CLIENT, SYN, 100, time_ns=DAWN + at * 10**9) for n, at in enumerate((0, 1, 3))]
    steps.append(segment(4, SERVER, RST | ACK, 0, 101, time_ns=DAWN + 3 * 10**9 + 30_000_000))
    told = found(steps)["refused"]
    assert told.numbers["milliseconds"] == pytest.approx(30) and "after 30.0 ms" in told.text


SACK_OK, SACK = 0x04, 0x08  # OPT_ of wire/segment.pxd


@pytest.mark.parametrize(("tail", "id"), [(600, "path_mtu"), (1448, "vanished")])
def test_long_segments_that_never_pass_where_a_short_one_did(tail, id):
    talk = Talk()
    talk.steps.clear()
    talk.now = 0
    talk.raw(0, CLIENT, SYN, 100, options=2 | SACK_OK)
    talk.raw(RTT, SERVER, SYN | ACK, 200, 101, options=2 | SACK_OK)
    talk.raw(0.0001, CLIENT, ACK, 101, 201)
    talk.say(0.001, CLIENT, 50)
    talk.say(RTT, SERVER)
    for length in (1448, 1448, tail):
        talk.say(0.0001, SERVER, length)
    begin = talk.next[1] - tail
    block = struct.pack("=II", begin, talk.next[1])
    talk.raw(0.0001, CLIENT, ACK, talk.next[0], 201, options=SACK, n_sack=1, sack=block)
    for wait in (0.4, 0.8, 1.6, 3.2, 6.4):
        talk.raw(wait, SERVER, ACK, 201, talk.next[0], 1448)
    told = talk.told()
    assert id in told, told


@pytest.mark.parametrize(("code", "id"), [(4, "path_mtu"), (None, "retransmissions")])
def test_what_icmp_asked_to_be_sent_in_shorter_pieces_was_not_lost(code, id):
    talk = Talk()
    begin = talk.next[0]
    for _ in range(3):
        talk.say(0.0001, CLIENT, 1460)
    if code:
        talk.raw(0.004, CLIENT, 0, begin, kind=1, icmp_type=3, icmp_code=code)
    for at in range(0, 3 * 1460, 1348):
        talk.raw(0.0001, CLIENT, ACK, begin + at, talk.known[0], min(1348, 3 * 1460 - at))
    talk.say(RTT, SERVER, 80)
    talk.say(0.0001, CLIENT)
    told = talk.told()
    assert id in told and ("retransmissions" in told) is (code is None)
    if code:
        assert told["path_mtu"].severity == "note" and "timeouts" not in told


def test_a_refusal_stamped_before_its_syn_is_told_all_the_same():
    """The capture's clock went back between them: no SYN came before the RST."""
    steps = [
        segment(1, CLIENT, SYN, 100, time_ns=DAWN + 5 * 10**9),
        segment(2, SERVER, RST | ACK, 0, 101, time_ns=DAWN),
    ]
    assert found(steps)["refused"].numbers["milliseconds"] == 0


# ---------------------------------------------------------------- closed, or not


def test_a_filter_that_lets_only_syn_fin_and_rst_through_says_nothing_of_the_handshake():
    """The RST's numbers show that there was a connection: it is neither a half-open scan nor a slow handshake."""
    steps = [
        segment(1, CLIENT, SYN, 100, time_ns=DAWN),
        segment(2, SERVER, SYN | ACK, 200, 101, time_ns=DAWN + 30_000_000),
        segment(3, CLIENT, RST | ACK, 384, 1411, time_ns=DAWN + 3_000_000_000),
    ]
    assert set(found(steps)) & {"handshake_reset", "slow_handshake"} == set()
    assert "handshake_reset" in found([*steps[:2], segment(3, CLIENT, RST | ACK, 101, 201, time_ns=DAWN + 40_000_000)])


@pytest.mark.parametrize(("acknowledged", "id"), [(True, "reset_abort"), (False, "reset_after_close")])
def test_who_acknowledges_data_after_its_fin_has_not_closed(acknowledged, id):
    talk = Talk()
    talk.exchange(0.001)
    talk.say(0.01, CLIENT, flags=FIN)
    talk.say(RTT, SERVER, 2000)
    if acknowledged:
        talk.say(0.0001, CLIENT)
        talk.raw(0.5, CLIENT, RST | ACK, talk.next[0], talk.next[1])
    else:
        talk.raw(0.0001, CLIENT, RST, talk.next[0])
    told = set(talk.told())
    assert id in told and len(told & {"reset_abort", "reset_after_close"}) == 1


def test_a_fin_that_meets_a_rst_lost_no_data():
    """FIN_WAIT_2 of a program that is gone ends after a while: the other side's FIN finds nobody."""
    talk = Talk()
    talk.exchange(0.001)
    talk.say(0.01, CLIENT, flags=FIN)
    talk.say(RTT, SERVER)
    talk.say(2.5, SERVER, flags=FIN)
    talk.raw(0.0001, CLIENT, RST, talk.next[0])
    assert set(talk.told()) & {"reset_after_close", "reset_unread", "reset_half_open"} == set()


@pytest.mark.parametrize(("before_the_last", "is_told"), [(True, True), (False, False)])
def test_a_dead_path_is_no_black_hole(before_the_last, is_told):
    """Others must have got through while the long segment did not: not only when all was over."""
    talk = Talk()
    talk.exchange(0.001)
    begin = talk.next[0]
    talk.say(0.1, CLIENT, 1400)
    for wait in (0.3, 0.6, 1.2):
        if before_the_last:
            talk.say(0.01, SERVER, 10, heard=False)
            talk.raw(0.001, CLIENT, ACK, talk.next[0], talk.next[1])
        talk.raw(wait, CLIENT, ACK, begin, talk.next[1], 1400)
    talk.say(0.01, SERVER, 10, heard=False)
    assert ("path_mtu" in talk.told()) is is_told


@pytest.mark.parametrize(("last", "is_told"), [(1000, True), (1400, False)])
def test_a_black_hole_is_told_where_smaller_segments_are_tried_and_pass(last, is_told):
    """RFC 4821: after some time-outs the sender tries less."""
    talk = Talk()
    talk.exchange(0.001)
    begin = talk.next[0]
    talk.say(0.1, CLIENT, 1400)
    for wait, length in ((0.3, 1400), (0.6, 1400), (1.2, 1400), (2.4, last)):
        talk.raw(wait, CLIENT, ACK, begin, talk.next[1], length)
    talk.raw(RTT, SERVER, ACK, talk.next[1], begin + last)
    talk.raw(0.001, CLIENT, ACK, begin + last, talk.next[1], 400)
    talk.raw(RTT, SERVER, ACK, talk.next[1], begin + last + 400)
    assert ("path_mtu" in talk.told()) is is_told


@pytest.mark.parametrize("later", [0.01, 0.3])
def test_a_handshake_that_was_slower_than_its_path(later):
    """The ACK was lost: the client's next words end the handshake."""
    talk = Talk.__new__(Talk)
    talk.steps, talk.now, talk.next, talk.known = [], 0.0, [101, 201], [201, 101]
    talk.raw(0, CLIENT, SYN, 100, options=2)
    talk.raw(0.0001, SERVER, SYN | ACK, 200, 101, options=2)
    talk.say(1, CLIENT, 50)
    talk.say(0.0001, SERVER, 80)
    talk.say(later, CLIENT)
    advice = talk.told()["slow_handshake"].advice
    assert ("not the path: later the client answered within 10 ms" in advice) is (later == 0.01)


@pytest.mark.parametrize(("closer", "idle", "advice"), [
    (SERVER, 30, "a race that every kept connection can lose"),
    (SERVER, 0, "harmless where it wanted no more"), (CLIENT, 0, "harmless where it wanted no more"),
])  # fmt: skip
def test_data_that_meet_a_close(closer, idle, advice):
    talk = Talk()
    talk.exchange(0.001)
    talk.say(0.01 + idle, closer, flags=FIN)
    talk.say(0.001, 1 - closer, 400, heard=False)
    talk.raw(RTT, closer, RST, talk.known[1 - closer])
    told = talk.told()["reset_after_close"]
    assert advice in told.advice
    assert told.severity == ("note" if closer == CLIENT else "warning")


def test_a_reset_that_crosses_the_fin_answers_no_close():
    """It does not acknowledge the FIN, which was on its way."""
    talk = Talk()
    talk.exchange(0.001)
    talk.say(0.5, CLIENT, flags=FIN)
    talk.say(0.001, SERVER, flags=RST, heard=False)
    assert "reset_at_close" not in talk.told()


@pytest.mark.parametrize(("asks", "answer", "text"), [
    (True, False, "1.00 s after it had asked, and no answer had come"),
    (True, True, "all data was acknowledged"), (False, False, "nothing had been said"),
])  # fmt: skip
def test_an_abort_by_the_client(asks, answer, text):
    talk = Talk()
    if asks:
        talk.say(0.001, CLIENT, 100)
        talk.say(RTT, SERVER, 80 if answer else 0)
        talk.say(0.0001, CLIENT)
    talk.raw(0.9698, CLIENT, RST | ACK, talk.next[0], talk.next[1])
    told = talk.told()
    assert text in told["reset_abort"].text


# ---------------------------------------------------------------- lost before it came here


@pytest.mark.parametrize(("skipped", "ttl", "length", "id"), [
    (0, 57, 80, "slow_server"), (1, 57, 80, "lost_unseen"), (15, 57, 80, "lost_unseen"), (16, 57, 80, "slow_server"),
    (3, 120, 80, "slow_server"),  # Windows counts all that it sends
    (3, 57, 4000, "slow_server"),  # several segments in one: so were their IDs
])  # fmt: skip
def test_an_answer_that_had_been_lost_is_not_late(skipped, ttl, length, id):
    talk = Talk()
    talk.say(0.1, CLIENT, 50)
    talk.say(RTT, SERVER, length, ip_id=65_530, ttl=ttl)
    talk.say(0.1, CLIENT, 50)
    if id == "slow_server":
        talk.say(RTT, SERVER, ip_id=65_530, ttl=ttl)  # it has come
    talk.say(1.2, SERVER, 80, ip_id=(65_531 + skipped) & 0xFFFF, ttl=ttl)
    talk.say(0.0001, CLIENT)
    told = talk.told()
    assert set(told) == {id} and told[id].frames == [len(talk.steps) - 1]
    if id == "lost_unseen":
        assert told[id].numbers["packets"] == skipped and told[id].confidence == "likely"


@pytest.mark.parametrize(("skipped", "id"), [(0, "slow_client"), (2, "lost_unseen")])
def test_first_words_that_had_been_lost(skipped, id):
    """Captured at the server."""
    steps, ms = [], 0
    for wait, side, flags, seq, ack, length, ip_id in (
        (0, 0, SYN, 100, 0, 0, 5), (0, 1, SYN | ACK, 200, 101, 0, 0), (30, 0, ACK, 101, 201, 0, 6),
        (900, 0, ACK, 101, 201, 50, 7 + skipped), (0, 1, ACK, 201, 151, 80, 9),
    ):  # fmt: skip
        ms += wait
        steps.append(segment(len(steps) + 1, side, flags, seq, ack, length, time_ns=DAWN + ms * 1_000_000 + len(steps),
                             ip_id=ip_id or 0x10000, ttl=(57, 64)[side], options=2))  # fmt: skip
    assert set(found(steps)) == {id}
