"""What the options keep, and what they say to wrong words."""

import pytest

from tcpscope.errors import UsageError
from tcpscope.replay.layout import ANNOTATIONS, STATES
from tcpscope.tables.filters import Wanted, conditions, keep, moment
from tests.tables.records import V4, record

PACKET = record("packets", connection=1, src=V4[0], dst=V4[1], ip_version=4, sport=40000, dport=80,
                time_ns=100_000_000_000, client_state=STATES.index("SYN_SENT"), server_state=STATES.index("UNKNOWN"),
                annotations=1 << ANNOTATIONS.index("retransmission"))  # fmt: skip
OTHER = record("packets", connection=7, src=bytes(16), dst=bytes(16), ip_version=6, time_ns=1,
               client_state=STATES.index("TIME_WAIT"))  # fmt: skip


@pytest.mark.parametrize(
    ("wanted", "kept"),
    [
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
        (Wanted(since=100_000_000_000, until=100_000_000_000), True),
        (Wanted(since=100_000_000_001), False),
        (Wanted(ports=(80,), states=("ESTABLISHED",)), False),
    ],
)
def test_packets(wanted, kept):
    found = b"".join(keep("packets", [OTHER + PACKET + OTHER], conditions("packets", wanted)))
    assert found == (PACKET if kept else b"")


def test_nothing_wanted_keeps_all():
    assert list(keep("packets", [PACKET, OTHER], conditions("packets", Wanted()))) == [PACKET, OTHER]


def test_up_to_a_time():
    assert b"".join(keep("packets", [PACKET + OTHER], conditions("packets", Wanted(until=99)))) == OTHER


def test_a_connection_is_kept_while_it_lasts():
    row = record("connections", start_ns=10, end_ns=15)
    assert b"".join(keep("connections", [row], conditions("connections", Wanted(since=12)))) == row
    assert b"".join(keep("connections", [row], conditions("connections", Wanted(since=16)))) == b""


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (Wanted(states=("ESTABLISED",)), "did you mean ESTABLISHED"),
        (Wanted(annotations=("retransmision",)), "did you mean retransmission"),
        (Wanted(annotations=("qqq",)), "there are: retransmission, "),
        (Wanted(hosts=("10.0.0.300",)), "no address or network"),
    ],
)
def test_wrong_words_are_named(wanted, message):
    with pytest.raises(UsageError, match=message):
        conditions("packets", wanted)


def test_moments():
    assert moment("+2.5", 100_000_000_000) == 102_500_000_000
    assert moment("1700000000.25", 5) == 1_700_000_000_250_000_000
    assert moment("1970-01-01T00:01:00.000001", 0) == 60_000_001_000
    assert moment("1970-01-01T00:01:00+01:00", 0) == -3_540_000_000_000
    for word in ("noon", "nan", "inf"):
        with pytest.raises(UsageError, match="write"):
            moment(word, 0)
