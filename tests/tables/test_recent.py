"""The latest packets of a capture in memory: one connection's are those that the whole capture has."""

from pathlib import Path

import pytest

import tcpscope
from tcpscope.errors import UsageError
from tcpscope.tables.recent import Own, Recent
from tcpscope.tables.rows import rows

SAMPLES = Path(__file__).parents[2] / "sample_pcaps"
COLUMNS = ("frame", "time_ns", "sender", "seq", "ack", "client_state", "server_state", "annotations")


def fed(data, size):
    recent = Recent()
    for at in range(0, len(data), size):
        recent(data[at : at + size])
    return recent


def told(packets):
    return [tuple(it[name] for name in COLUMNS) for it in packets]


@pytest.mark.parametrize("size", [1, 23, 1000, 1 << 20])
@pytest.mark.parametrize(
    ("name", "number"),
    [("fin_lost.pcap", 0), ("zero_window.pcap", 0), ("short_connections.pcap", 7), ("two_interfaces.pcapng", 1)],
)
def test_packets_of_one_connection_as_the_file_has_them(name, number, size, tmp_path):
    path = SAMPLES / name
    capture = tcpscope.read(path)
    connection = capture.connection(number)
    own = Own(fed(path.read_bytes(), size), connection.row)
    assert own.grow(connection.last_frame)
    offline = capture.packets[capture.packets["connection"] == number].to_dict("records")
    found = list(rows("packets", own.packets))
    assert told(found) == told({**it, "annotations": list(it["annotations"])} for it in offline)
    assert own.row()["connection"] == number
    for suffix in (".pcap", ".pcapng"):
        written = tmp_path / f"one{suffix}"
        assert own.write(str(written)) == len(found)
        again = tcpscope.read(written).connection(0)
        assert (again.client_ip, again.client_port, again.close) == (
            connection.client_ip, connection.client_port, connection.close,
        )  # fmt: skip
        assert list(again.packets["seq_raw"]) == [it["seq_raw"] for it in offline]


def test_what_comes_later_is_added():
    path = SAMPLES / "conversation.pcap"
    data, row = path.read_bytes(), tcpscope.read(path).connection(0).row
    recent = Recent()
    own = Own(recent, row)
    seen = []
    for at in range(0, len(data), 200):
        recent(data[at : at + 200])
        own.grow()
        seen.append(own.seen)
    assert seen == sorted(seen) and len(set(seen)) > 5
    assert own.seen == row["client_packets"] + row["server_packets"]
    assert not own.grow()


def test_memory_is_bounded_and_what_is_gone_is_known():
    path = SAMPLES / "bulk.pcap"
    row = tcpscope.read(path).connection(0).row
    data, most = path.read_bytes(), 1 << 16
    recent = Recent(most)
    for at in range(0, len(data), 4096):
        recent(data[at : at + 4096])
        recent.blocks()  # as where somebody looks: what has come makes a block
    assert recent.bytes <= most
    own = Own(recent, row)
    own.grow()
    assert own.first > row["first_frame"]
    assert 0 < own.seen < row["client_packets"] + row["server_packets"]


def test_a_file_that_cannot_be_written_is_told():
    path = SAMPLES / "normal.pcap"
    own = Own(fed(path.read_bytes(), 100), tcpscope.read(path).connection(0).row)
    own.grow()
    with pytest.raises(UsageError):
        own.write("no/such/folder/one.pcap")


def test_nothing_has_come():
    path = SAMPLES / "normal.pcap"
    own = Own(Recent(), tcpscope.read(path).connection(0).row)
    assert not own.grow()
    assert own.row() is None and own.packets == b""
