"""Exchanges: by hand, and against what the replay counts of replies."""

from pathlib import Path

import pytest

from tcpscope import tables
from tcpscope.tables import analysis
from tcpscope.tables.exchanges import COLUMNS, FIELDS
from tcpscope.tables.one import load

SAMPLES = Path(__file__).parents[2] / "sample_pcaps"
UNKNOWN = {"syn_rtt": None, "client_rtt_min": None, "server_reply_mean": None, "service": None}
TRIP = UNKNOWN | {"syn_rtt": 0.01}


def packet(ms, sender, length, *annotations, frame=0, seq=None, ack=None, flags="ACK"):
    return {"frame": frame or ms, "time_ns": ms * 1_000_000, "sender": sender, "length": length, "seq": seq,
            "ack": ack, "flags": flags, "annotations": list(annotations)}  # fmt: skip


def exchanges(packets, trip):
    """Each side's bytes one behind the other, where it is not said otherwise."""
    ends = {"client": 1, "server": 1}
    for it in packets:
        if it["seq"] is None:
            it["seq"] = ends[it["sender"]]
        ends[it["sender"]] = max(ends[it["sender"]], it["seq"] + it["length"])
        if it["ack"] is None:
            it["ack"] = ends["server" if it["sender"] == "client" else "client"]
    return tables.exchanges.exchanges(packets, trip)


def test_what_crosses_a_request_is_no_answer():
    packets = [
        packet(100, "client", 50),
        packet(200, "server", 20, ack=1),  # news, said before the request came
        packet(350, "client", 50, "retransmission", seq=1),
        packet(400, "server", 500),
    ]
    (only,) = exchanges(packets, TRIP)
    assert only["response_frame"] == 400 and only["response_bytes"] == 520
    assert only["first_byte"] == pytest.approx(0.3)


def test_network_and_server_time():
    packets = [
        packet(0, "client", 100, frame=4),
        packet(5, "client", 50, frame=5),
        packet(6, "server", 0, frame=6),
        packet(45, "server", 1000, frame=7),
        packet(50, "server", 500, frame=8),
        packet(60, "client", 10, frame=9),
    ]
    first, second = exchanges(packets, TRIP)
    assert tuple(first) == FIELDS
    assert first == {
        "exchange": 0, "time": 0.0, "request_frame": 4, "request_packets": 2, "request_bytes": 150,
        "response_frame": 7, "response_packets": 2, "response_bytes": 1500, "last_frame": 8, "request_time": 0.005,
        "wait": 0.04, "network": 0.01, "server_time": 0.03, "response_time": 0.005, "first_byte": 0.045,
        "last_byte": 0.05, "repeated": 0,
    }  # fmt: skip
    assert (second["request_bytes"], second["response_frame"], second["wait"], second["server_time"]) == (
        10,
        None,
        None,
        None,
    )


def test_what_is_not_known_is_not_made_up():
    (only,) = exchanges([packet(1, "server", 30), packet(2, "server", 3)], UNKNOWN)
    assert (only["request_frame"], only["wait"], only["network"], only["response_bytes"]) == (None, None, None, 33)
    assert list(exchanges([packet(1, "client", 1, "keep_alive")], TRIP)) == []


def test_repetitions_take_no_turn():
    packets = [
        packet(0, "client", 100),
        packet(10, "server", 200),
        packet(12, "client", 100, "retransmission", seq=1),
        packet(13, "server", 300),
        packet(20, "client", 7),
        packet(21, "server", 200, "retransmission", seq=1),
        packet(30, "server", 9),
    ]
    first, second = exchanges(packets, TRIP)
    assert (first["response_bytes"], first["repeated"], second["response_bytes"]) == (500, 1, 9)


@pytest.mark.parametrize(
    "name", ["conversation.pcap", "nagle_delayed_ack.pcap", "normal.pcap", "short_connections.pcap"]
)
def test_as_the_replay_counts_replies(name):
    _, row, packets, _ = load(analysis.locate(SAMPLES / name), 0, msl=30, by_tunnel=False, only=COLUMNS)
    found = [it for it in tables.exchanges.exchanges(packets, row) if it["wait"] is not None]
    assert len(found) == row["server_replies"] > 0
    assert sum(it["wait"] for it in found) / len(found) == pytest.approx(row["server_reply_mean"], abs=1e-8)
    assert max(it["wait"] for it in found) == pytest.approx(row["server_reply_max"], abs=1e-8)


def test_bytes_whose_first_copy_was_not_captured_are_an_answer_too():
    packets = [
        packet(0, "client", 100),
        packet(10, "server", 200, "retransmission"),
        packet(20, "client", 100),
        packet(30, "server", 100, seq=301),
        packet(31, "client", 50),
        packet(32, "server", 100, "retransmission", seq=201),
        packet(33, "server", 200, seq=401),
    ]
    first, second, third = exchanges(packets, TRIP)
    assert [it["response_bytes"] for it in (first, second, third)] == [200, 100, 300]
    assert [it["repeated"] for it in (first, second, third)] == [1, 0, 1]


@pytest.mark.parametrize("path", sorted(SAMPLES.glob("*.pcap*")), ids=lambda path: path.name)
def test_the_bytes_are_those_of_the_connection(path):
    _, row, packets, _ = load(analysis.locate(path), 0, msl=30, by_tunnel=False, only=COLUMNS)
    found = list(tables.exchanges.exchanges(packets, row))
    assert sum(it["request_bytes"] for it in found) == row["client_unique_bytes"]
    assert sum(it["response_bytes"] for it in found) == row["server_unique_bytes"]


def test_an_answer_that_cuts_the_request_short_waits_from_what_it_answers():
    """A server that refuses an upload has heard its head; the rest is on its way."""
    packets = [packet(0, "client", 1448), packet(21, "client", 1448), packet(22, "client", 1448)]
    packets.append(packet(23, "server", 300, ack=1449))
    (only,) = exchanges(packets, TRIP)
    assert (only["wait"], only["request_bytes"], only["request_time"]) == (0.023, 3 * 1448, 0.022)


def closing(service):
    """A server that is closed by its idle timer, and says so, and a client that answers in kind."""
    return list(exchanges([
        packet(0, "client", 100),
        packet(20, "server", 200),
        packet(9_000, "server", 31, flags="PSH,ACK"),
        packet(9_001, "server", 0, flags="FIN,ACK"),
        packet(9_002, "client", 0),
        packet(9_003, "client", 31, flags="PSH,ACK"),
        packet(9_004, "client", 0, flags="FIN,ACK"),
    ], TRIP | {"service": service}))  # fmt: skip


def test_a_farewell_is_neither_request_nor_answer():
    (only,) = closing("tls")
    assert only["response_time"] == 0 and only["last_frame"] == 20
    assert (only["request_bytes"], only["response_bytes"]) == (131, 231)


def test_what_is_said_last_in_other_services_is():
    first, last = closing("http")
    assert first["response_time"] == pytest.approx(8.98)
    assert (last["request_bytes"], last["response_frame"]) == (31, None)


@pytest.mark.parametrize(("flags", "later", "rows"), [("FIN,ACK", 0, 1), ("ACK", 0, 2), ("ACK", 11, 2), ("ACK", 10, 1)])
def test_a_farewell_is_known_by_the_close_behind_it(flags, later, rows):
    packets = [packet(1, "client", 100), packet(20, "server", 200), packet(30, "client", 31, flags=flags)]
    packets += [packet(30 + later, "client", 0, flags="RST,ACK")] * (later > 0)
    assert len(list(exchanges(packets, TRIP | {"service": "tls"}))) == rows


def test_a_box_that_acknowledges_in_the_servers_stead_is_not_the_network():
    packets = [packet(0, "client", 100), packet(1, "server", 0), packet(650, "server", 200)]
    given = {"syn_rtt": 0.6, "client_rtt_min": 0.001, "server_reply_mean": 0.65}
    (only,) = exchanges(packets, UNKNOWN | given)
    assert only["network"] == 0.6 and only["server_time"] == pytest.approx(0.05)
    (only,) = exchanges(packets, UNKNOWN | given | {"server_reply_mean": 0.2})
    assert only["network"] == 0.001
