"""What the options keep, and what they say to wrong words."""

import pytest

from tcpscope.errors import UsageError
from tcpscope.tables.filters import Wanted, connection_tests, keep, moment, packet_tests

PACKET = {"connection": 1, "src": "10.0.0.1", "dst": "192.0.2.9", "sport": 40000, "dport": 80, "time": 100.0,
          "client_state": "SYN_SENT", "server_state": "UNKNOWN", "annotations": ["retransmission"]}  # fmt: skip


@pytest.mark.parametrize(
    ("wanted", "kept"),
    [
        (Wanted(), True),
        (Wanted(hosts=("10.0.0.0/8",)), True),
        (Wanted(hosts=("192.0.2.9",)), True),
        (Wanted(hosts=("2001:db8::/32",)), False),
        (Wanted(ports=(80,)), True),
        (Wanted(ports=(81, 40000)), True),
        (Wanted(ports=(443,)), False),
        (Wanted(states=("syn_sent",)), True),
        (Wanted(states=("SYN-SENT",)), True),
        (Wanted(states=("ESTABLISHED",)), False),
        (Wanted(annotations=("retransmission",)), True),
        (Wanted(annotations=("keep_alive",)), False),
        (Wanted(connections=(1,)), True),
        (Wanted(connections=(0, 2)), False),
        (Wanted(since=100.0, until=100.0), True),
        (Wanted(since=100.1), False),
        (Wanted(until=99.9), False),
    ],
)
def test_packets(wanted, kept):
    assert (list(keep([PACKET], packet_tests(wanted))) == [PACKET]) is kept


def test_a_connection_is_kept_while_it_lasts():
    row = {"client_ip": "::1", "server_ip": "::2", "client_port": 1, "server_port": 2, "start": 10.0, "duration": 5.0}
    assert list(keep([row], connection_tests(Wanted(since=12.0)))) == [row]
    assert list(keep([row], connection_tests(Wanted(since=15.5)))) == []


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (Wanted(states=("ESTABLISED",)), "did you mean established"),
        (Wanted(annotations=("retransmision",)), "did you mean retransmission"),
        (Wanted(hosts=("10.0.0.300",)), "no address or network"),
    ],
)
def test_wrong_words_are_named(wanted, message):
    with pytest.raises(UsageError, match=message):
        packet_tests(wanted)


def test_moments():
    assert moment("+2.5", 100.0) == 102.5
    assert moment("1700000000.25", 0.0) == 1700000000.25
    assert moment("1970-01-01T00:01:00", 0.0) == 60.0
    assert moment("1970-01-01T00:01:00+01:00", 0.0) == -3540.0
    with pytest.raises(UsageError, match="write"):
        moment("noon", 0.0)
