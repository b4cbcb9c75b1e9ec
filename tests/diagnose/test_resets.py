"""Resets that look alike: a race, an abort, a farewell, somebody else's; each is told as what it is."""

import sys

import pytest

from tcpscope.wire.layout import SERVICES
from tests.diagnose.made import CLIENT, RTT, SERVER, Talk
from tests.replay.segments import ACK, FIN, RST, SYN


def test_a_request_that_crosses_the_servers_close():
    talk = Talk()
    talk.exchange(0.001)
    talk.say(5, CLIENT, 300)
    talk.raw(0.001, SERVER, FIN | ACK, talk.next[1], talk.next[0] - 300)
    talk.raw(RTT, SERVER, RST, talk.next[1] + 1)
    told = talk.told()
    assert set(told) == {"reset_after_close"}
    assert told["reset_after_close"].severity == "warning" and "on their way" in told["reset_after_close"].text


@pytest.mark.parametrize(("ttl", "certain"), [(64, False), (250, True)])
def test_a_silence_that_ended_in_a_rst_from_elsewhere_is_still_a_silence(ttl, certain):
    talk = Talk()
    talk.exchange(0.001)
    talk.say(355, CLIENT, 50)
    talk.raw(0.001, SERVER, RST, talk.next[1], ttl=ttl)
    told = talk.told()
    assert set(told) == {"idle_timeout"} and (told["idle_timeout"].confidence == "certain") is certain


@pytest.mark.parametrize(("ttl", "far"), [(50, True), (64, False)])
def test_a_rst_from_elsewhere_that_was_refused(ttl, far):
    talk = Talk()
    talk.exchange(0.001)
    talk.raw(0.5, SERVER, RST, talk.next[1] + 100, ttl=ttl)
    talk.say(0.0001, CLIENT)  # a challenge
    talk.exchange(0.5)
    told = talk.told()["reset_injected"]
    assert "was refused in 1 connection" in told.text
    assert any("from the same distance" in it for it in told.doubts) is not far


@pytest.mark.parametrize("goes_on", [True, False])
def test_a_bare_rst_and_then_data_of_its_sender(goes_on):
    """Who has no socket has no data: a device on the path rejected what the client had said."""
    talk = Talk()
    talk.exchange(0.001)
    talk.say(0.2, CLIENT, 100)
    talk.raw(0.0001, SERVER, RST, talk.next[1])
    if goes_on:
        talk.say(0.4, SERVER, 10, heard=False)
        talk.raw(0.0001, CLIENT, RST, talk.next[0])
    assert set(talk.told()) == {"reset_injected" if goes_on else "reset_half_open"}


@pytest.mark.parametrize(("ttl", "id"), [(64, "reset_injected"), (63, "reset_half_open")])
def test_a_bare_rst_and_then_that_of_an_open_socket(ttl, id):
    """A device one router away rejected what the client had said; the server's program gave up later."""
    talk = Talk()
    talk.exchange(0.001)
    talk.say(0.2, CLIENT, 100)
    talk.raw(0.0001, SERVER, RST, talk.next[1], ttl=63)
    talk.raw(5, SERVER, RST | ACK, talk.next[1], talk.known[1], ttl=ttl)
    assert set(talk.told()) == {id}


@pytest.mark.parametrize(("ttl", "ip_id", "id"), [
    (63, 9000, "reset_injected"), (63, 13, "reset_abort"), (64, 9000, "reset_abort"),
])  # fmt: skip
def test_a_rst_of_the_next_router(ttl, ip_id, id):
    """One hop more or less may be the path's, and a RST's ID its own; both are another host's."""
    talk = Talk()
    for at in (10, 11, 12):
        talk.say(0.1, CLIENT, 50)
        talk.say(RTT, SERVER, 80, ip_id=at)
        talk.say(0.0001, CLIENT)
    talk.raw(0.3, SERVER, RST | ACK, talk.next[1], talk.next[0], ttl=ttl, ip_id=ip_id)
    assert set(talk.told()) == {id}


@pytest.mark.parametrize(("side", "asked", "id"), [
    (SERVER, True, "reset_unread"),  # the client's request was never answered: it was not read
    (SERVER, False, "reset_at_close"), (CLIENT, True, "reset_at_close"),
])  # fmt: skip
def test_a_reset_in_answer_to_a_close(side, asked, id):
    talk = Talk()
    talk.exchange(0.001)
    if asked:
        talk.say(0.1, 1 - side, 100)
        talk.say(RTT, side)
    talk.say(0.1, 1 - side, flags=FIN)
    talk.say(RTT, side)
    talk.raw(0.5, side, RST | ACK, talk.next[side], talk.next[1 - side])
    told = talk.told()
    assert id in told
    if asked and side == CLIENT:
        assert told[id].doubts


def test_an_abort_with_data_under_way_to_a_peer_that_said_nothing():
    """It cannot have left anything unread."""
    talk = Talk()
    for _ in range(3):
        talk.say(0.001, CLIENT, 1000)
    talk.raw(0.0005, CLIENT, RST | ACK, talk.next[0], talk.known[0])
    told = talk.told()
    assert "reset_unread" not in told and "data was under way" in told["reset_abort"].text


@pytest.mark.parametrize(("polls", "id"), [(1, "idle_timeout"), (8, "reset_half_open")])
def test_a_silence_outlived_before_ended_nothing(polls, id):
    talk = Talk()
    for _ in range(polls):
        talk.exchange(30)
    talk.say(30, CLIENT, 50)
    talk.raw(RTT, SERVER, RST, talk.next[1])
    assert set(talk.told()) - {"slow_client"} == {id}


@pytest.mark.parametrize(("polls", "id"), [(1, "idle_timeout"), (8, "vanished")])
def test_a_silence_outlived_before_swallowed_nothing(polls, id):
    talk = Talk()
    for _ in range(polls):
        talk.exchange(30)
    talk.say(30, CLIENT, 50)
    for wait in (0.3, 0.6, 1.2, 2.4, 4.8):
        talk.raw(wait, CLIENT, ACK, talk.next[0] - 50, talk.next[1], 50)
    told = talk.told()
    assert {"idle_timeout", "vanished"} & set(told) == {id}


def test_a_reset_behind_a_closed_window_left_data_unread():
    """All that was sent had been acknowledged; the window was closed, so the program had not read it."""
    talk = Talk()
    talk.say(0.001, CLIENT, 50)
    for _ in range(3):
        talk.say(RTT, SERVER, 1000)
    talk.say(0.0001, CLIENT, window=0)
    talk.raw(0.3, CLIENT, RST | ACK, talk.next[0], talk.next[1], window=0)
    told = talk.told()
    assert "reset_abort" not in told and "its window was closed" in told["reset_unread"].text


@pytest.mark.parametrize("again", [False, True])
def test_ports_used_again_after_a_reset_tell_nothing_of_it(again):
    """Only a SYN that came before the RST, and met a challenge ACK, tells that its sender had forgotten."""
    talk = Talk()
    talk.exchange(0.001)
    talk.say(1, CLIENT, 50)
    talk.raw(RTT, SERVER, RST, talk.next[1])
    if again:
        talk.raw(0.4, CLIENT, SYN, 70_000)
    assert "opened the same ports" not in talk.told()["reset_half_open"].text


def test_a_reset_in_the_middle_of_a_download():
    talk = Talk()
    talk.say(0.001, CLIENT, 50)
    talk.say(RTT, SERVER, 1000)
    talk.raw(0.001, CLIENT, RST | ACK, talk.next[0], talk.next[1])
    for _ in range(3):
        talk.say(0.001, SERVER, 1000, heard=False)
        talk.raw(0.0001, CLIENT, RST, talk.next[0])
    told = talk.told()
    assert "reset_abort" not in told and "while data was under way" in told["reset_unread"].text


@pytest.mark.parametrize(("service", "severity"), [("http", "warning"), ("tls", "note")])
def test_a_few_late_bytes_are_a_farewell_only_where_there_are_farewells(service, severity, monkeypatch):
    monkeypatch.setattr(sys.modules["tcpscope.diagnose.resets"], "told", lambda number, name: ("", service))
    assert service in SERVICES
    talk = Talk()
    talk.exchange(0.001)
    talk.say(5, SERVER, flags=FIN)
    talk.say(0.001, CLIENT, 47)
    talk.raw(RTT, SERVER, RST, talk.next[1])
    assert talk.told()["reset_after_close"].severity == severity
