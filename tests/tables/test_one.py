"""One connection's records out of a capture."""

from pathlib import Path

import pytest

from tcpscope.errors import UsageError
from tcpscope.replay.layout import EVENT, PACKET
from tcpscope.tables.analysis import locate, packets
from tcpscope.tables.one import belonging, connection_of, field, load
from tcpscope.tables.rows import rows

SAMPLES = Path(__file__).parents[2] / "sample_pcaps"
SHORT = SAMPLES / "short_connections.pcap"


def whole():
    result, chunks = packets(locate([SHORT]))
    return result, b"".join(chunks)


def test_the_same_as_the_rows_of_the_tables():
    result, raw = whole()
    for number in (0, 7, 19):
        _, row, own, events = load(locate([SHORT]), number, msl=30, by_tunnel=False)
        assert row["connection"] == number
        assert list(own) == [it for it in rows("packets", raw) if it["connection"] == number]
        assert {it["connection"] for it in events} == {number}
        assert len(events) == len(belonging(EVENT, result.events, number)) // EVENT.size


def test_a_field_without_the_others():
    _, raw = whole()
    assert field(PACKET, raw, "frame") == [it["frame"] for it in rows("packets", raw)]
    assert field(PACKET, raw, "sport") == [it["sport"] for it in rows("packets", raw)]
    assert belonging(PACKET, raw, 99) == b"" and belonging(PACKET, b"", 0) == b""


def test_the_connection_of_a_frame():
    _, raw = whole()
    assert connection_of(99, [raw]) == 8
    _, row, own, _ = load(locate([SHORT]), None, 99, msl=30, by_tunnel=False, only=["frame"])
    assert row["connection"] == 8 and {"frame": 99} in list(own)
    with pytest.raises(UsageError, match="no TCP packet in frame 9999"):
        connection_of(9999, [raw])


def test_a_frame_of_several_captures_must_be_told_apart():
    found = locate([SAMPLES / "normal.pcap", SAMPLES / "fin_lost.pcap"])
    with pytest.raises(UsageError, match="-c, 0 or 1"):
        load(found, None, 3, msl=30, by_tunnel=False)


@pytest.mark.parametrize("number", [-1, 20])
def test_no_such_connection(number):
    with pytest.raises(UsageError, match="the capture has 20"):
        load(locate([SHORT]), number, msl=30, by_tunnel=False)
