"""Findings that would say more than the packets show, or less."""

from tests.diagnose.test_alike import CLIENT, RTT, SERVER, Talk
from tests.replay.segments import ACK, RST


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
    talk.raw(0.001, SERVER, RST | ACK, 0, 101)
    assert set(talk.told()) == {"refused"}
