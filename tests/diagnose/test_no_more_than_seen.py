"""Findings that would say more than the packets show, or less."""

import sys

import pytest

from tests.diagnose.made import DAWN, found
from tests.diagnose.test_alike import CLIENT, RTT, SERVER, Talk
from tests.replay.segments import ACK, FIN, RST, SYN, segment


def test_who_has_talked_was_not_refused():
    """Only the SYN-ACK is missing in the capture; the server resets the connection later."""
    talk = Talk()
    del talk.steps[1]
    talk.exchange(0.001)
    talk.say(1, CLIENT, 50)
    talk.raw(RTT, SERVER, RST | ACK, talk.next[1], talk.next[0])
    told = talk.told()
    assert "refused" not in told and "reset_unread" in told


def test_who_gets_nothing_but_rst_is_refused():
    talk = Talk()
    del talk.steps[1:]
    talk.raw(0.001, SERVER, RST | ACK, 0, 101, ip_id=7)
    assert set(talk.told()) == {"refused"}
    twice = [it for step in talk.steps for it in (step, step)]  # as a capture of all interfaces has them
    assert set(found(twice)) == {"refused", "duplicates"}


def far_away(ttl):
    """A request to a server whose packets come with this TTL, of which but the SYN-ACK was seen."""
    talk = Talk()
    talk.steps[1] = segment(2, SERVER, SYN | ACK, 200, 101, options=2, time_ns=DAWN + 30_000_000, ttl=ttl)
    talk.say(0.001, CLIENT, 300)
    return talk


@pytest.mark.parametrize(("ttl", "id"), [(64, "reset_injected"), (63, "reset_half_open"), (62, "reset_half_open")])
def test_a_rst_that_has_passed_fewer_routers_than_its_sender_is_from_somebody_nearer(ttl, id):
    talk = far_away(63)
    talk.raw(0.00002, SERVER, RST, talk.next[1], ip_id=0, ttl=ttl)
    told = talk.told()
    assert set(told) == {id}
    if id == "reset_injected":
        assert "comes from nearer" in told[id].text and told[id].confidence == "likely"


@pytest.mark.parametrize(("ttl", "certain"), [(64, True), (63, False)])
def test_a_box_that_forgets_is_nearer_than_the_server(ttl, certain):
    talk = far_away(63)
    talk.say(RTT, SERVER, 80, ttl=63)
    talk.say(20, CLIENT, 50)
    talk.raw(0.00002, SERVER, RST, talk.next[1], ip_id=0, ttl=ttl)
    assert (talk.told()["idle_timeout"].confidence == "certain") is certain


@pytest.mark.parametrize("heard", [True, False])
def test_what_is_acknowledged_behind_a_rst_is_not_lost(heard):
    """The ACK and the RST cross; that of a program that does not wait for it."""
    talk = Talk()
    talk.say(0.001, CLIENT, 100)
    talk.raw(0.01, CLIENT, RST | ACK, talk.next[0], talk.next[1])
    if heard:
        talk.say(RTT, SERVER)
        talk.raw(0.0001, CLIENT, RST, talk.next[0])
    told = talk.told()["reset_abort"]
    assert told.severity == ("note" if heard else "warning")
    assert told.text.endswith("all data was acknowledged" if heard else "data was under way, and may be lost")


def test_a_fin_under_way_is_no_data():
    talk = Talk()
    talk.say(0.01, CLIENT, flags=FIN)
    talk.raw(0.0001, CLIENT, RST | ACK, talk.next[0], talk.next[1])
    told = talk.told()["reset_abort"]
    assert told.severity == "note" and told.text.endswith("nothing had been said")


@pytest.mark.parametrize(("options", "flags", "sure"), [(2, 0, False), (6, 0, True), (6, FIN, False)])
def test_whether_the_data_or_their_ack_was_lost(options, flags, sure):
    """With SACK a receiver says when it gets data twice (D-SACK); of a FIN it does not."""
    talk = Talk()
    talk.steps[:2] = [
        segment(1, CLIENT, SYN, 100, options=options, time_ns=DAWN),
        segment(2, SERVER, SYN | ACK, 200, 101, options=options, time_ns=DAWN + 30_000_000),
    ]
    talk.exchange(0.001)
    start = talk.next[0]
    talk.say(0.1, CLIENT, 0 if flags else 300, flags=flags)
    for wait in (0.3, 0.6):
        talk.raw(wait, CLIENT, ACK | flags, start, talk.next[1], 0 if flags else 300)
    talk.say(RTT, SERVER)
    told = talk.told()["timeouts"].text
    assert (", lost behind the capture" in told) is sure
    assert ("the data or its acknowledgment was lost behind the capture" in told) is not sure


def unheard(sport, syns, again=0, loss=0):
    """A connection of this many SYNs, whose first request is ignored so often, and a later one lost so often."""
    steps = []

    def add(ms, sender, *fields, length=0):
        there = {"sport": sport} if sender == CLIENT else {"dport": sport}
        steps.append(
            segment(sport + len(steps), sender, *fields, length=length, time_ns=DAWN + ms * 1_000_000, **there)
        )

    for n in range(syns):
        add(1000 * n, CLIENT, SYN, 100)
    now = 1000 * syns
    add(now, SERVER, SYN | ACK, 200, 101)
    add(now + 1, CLIENT, ACK, 101, 201)
    for n in range(again + 1):
        if n == 3:  # a second after the first: the server has not taken the ACK
            add(now + 1000, SERVER, SYN | ACK, 200, 101)
        add(now + 300 * (n + 1), CLIENT, ACK, 101, 201, length=90)
    add(now + 3000, SERVER, ACK, 201, 191, length=50)
    add(now + 3001, CLIENT, ACK, 191, 251)
    for n in range(loss + 1 if loss else 0):
        add(now + 4000 + 300 * n, CLIENT, ACK, 191, 251, length=90)
    add(now + 6000, SERVER, ACK, 251, 281 if loss else 191)
    return steps


def test_a_full_accept_queue_is_why_syns_of_the_same_server_are_dropped():
    told = found([*unheard(40_000, 1, 5), *unheard(41_000, 3, 1)])
    assert not {"syn_lost", "timeouts", "tail_loss"} & set(told)
    queue = told["backlog_overflow"]
    assert queue.count == 2 and queue.numbers["late"] == 1 and any("path" in why for why in queue.doubts)
    alone = found(unheard(41_000, 3, 1))["syn_lost"]
    assert alone.confidence == "likely" and "full listen queue" in alone.advice
    assert any("dropped by the server" in why for why in alone.doubts)


def test_a_full_accept_queue_is_not_why_later_data_is_lost():
    told = found([*unheard(40_000, 1, 5), *unheard(41_000, 3, 1, loss=4)])
    assert {"backlog_overflow", "timeouts"} <= set(told)


@pytest.mark.parametrize(("service", "length", "race"), [("http", 66, True), ("http", 1460, False), ("tls", 66, False)])
def test_a_request_that_crosses_the_close_of_a_busy_connection(service, length, race, monkeypatch):
    """A server that is told to end closes between two requests; an upload that it cuts off is longer."""
    monkeypatch.setattr(sys.modules["tcpscope.diagnose.resets"], "told", lambda number, name: ("", service))
    talk = Talk()
    talk.exchange(0.001)
    talk.say(0.1, CLIENT, length)
    talk.raw(0.01, SERVER, FIN | ACK, talk.next[1], talk.next[0] - length)
    talk.raw(RTT, SERVER, RST, talk.next[1] + 1)
    assert ("a race" in talk.told()["reset_after_close"].advice) is race


def test_one_slow_syn_is_not_the_paths_round_trip():
    """The SYN took 289 ms, and all that came later 120: a window each of these is what was sent."""
    window, steps = 6_000, []

    def add(ms, sender, *fields, **more):
        steps.append(segment(len(steps) + 1, sender, *fields, time_ns=DAWN + round(ms * 1_000_000), **more))

    add(0, CLIENT, SYN, 100, mss=1000, options=1, window=window)
    add(289, SERVER, SYN | ACK, 200, 101, mss=1000, options=1)
    add(289.1, CLIENT, ACK, 101, 201, window=window)
    add(289.2, CLIENT, ACK, 101, 201, length=90, window=window)
    seq, now = 201, 409.2
    add(now, SERVER, ACK, seq, 191)
    for _ in range(20):
        for _ in range(6):
            add(now, SERVER, ACK, seq, 191, length=1000)
            seq += 1000
        add(now + 0.1, CLIENT, ACK, 191, seq, window=window)
        now += 120
    told = found(steps)["small_window"]
    assert told.numbers["milliseconds"] == pytest.approx(120.1, abs=1)
