"""Hints on their way from segments to the connections table: splits, losses, cuts, streams without a beginning."""

from itertools import pairwise
from pathlib import Path

import pytest
from packet_builder import DST4, SRC4, ethernet, ipv4, pcap, record, tcp
from wire.test_hints import HELLO

from tcpscope.tables import analysis, rows

ACK, PSH, SYN = 0x10, 0x08, 0x02
REQUEST = b"GET /x HTTP/1.1\r\nA: " + b"b" * 1000 + b"\r\nHost: example.com\r\n\r\n"
COLUMNS = ["connection", "service", "server_name", "client_hint", "server_hint", "tls_version", "alpn"]


def client(payload=b"", seq=1, flags=ACK | PSH, port=4000, ack=5001, **fields):
    return ethernet(ipv4(tcp(payload, sport=port, dport=443, seq=1000 + seq, ack=ack, flags=flags, **fields)))


def server(payload=b"", seq=1, flags=ACK | PSH, port=4000, ack=1001, **fields):
    segment = tcp(payload, sport=443, dport=port, seq=5000 + seq, ack=ack, flags=flags, src=DST4, dst=SRC4, **fields)
    return ethernet(ipv4(segment, src=DST4, dst=SRC4))


def opened(port=4000):
    return [
        client(seq=0, flags=SYN, port=port),
        server(seq=0, flags=SYN | ACK, port=port),
        client(flags=ACK, port=port),
    ]


def split(data, *at, make=client, **fields):
    """The bytes in segments that end at these places."""
    return [make(data[a:b], 1 + a, **fields) for a, b in pairwise((0, *at, len(data)))]


@pytest.fixture
def said(tmp_path):
    def run(*captures, threads=1):
        paths = []
        for number, capture in enumerate(captures):
            paths.append(tmp_path / f"{number}.pcap")
            paths[-1].write_bytes(capture)
        result = analysis.analyse(analysis.locate(paths), threads=threads)
        return list(rows.rows("connections", rows.by_number(result.connections), COLUMNS))

    return run


def test_a_hello_and_its_answer(said):
    hello = HELLO
    (row,) = said(pcap([*opened(), client(hello), server(b"\x15\x03\x03\0\2\2\x28")]))
    assert row == {
        "connection": 0, "service": "tls", "server_name": "www.example.com",
        "client_hint": "ClientHello, up to TLS 1.3", "server_hint": "alert: handshake_failure", "tls_version": None,
        "alpn": "h2,http/1.1",
    }  # fmt: skip


@pytest.mark.parametrize("cuts", [(1,), (4,), (60,), (3, 500, 900), tuple(range(50, 1000, 50))], ids=str)
def test_a_message_in_several_segments(said, cuts):
    (row,) = said(pcap(opened() + split(REQUEST, *cuts)))
    assert (row["service"], row["server_name"], row["client_hint"]) == ("http", "example.com", "GET /x HTTP/1.1")


def test_a_repeated_first_segment_is_looked_at_once_and_a_later_one_never(said):
    frames = [*opened(), *split(REQUEST, 60), *split(REQUEST, 60), client(b"SSH-2.0-later\r\n", 1 + len(REQUEST))]
    (row,) = said(pcap(frames))
    assert row["client_hint"] == "GET /x HTTP/1.1"


def test_a_first_segment_that_comes_late(said):
    later = client(b"SSH-2.0-not the first\r\n", 1 + len(REQUEST))
    (row,) = said(pcap([*opened(), later, client(REQUEST)]))
    assert (row["service"], row["client_hint"]) == ("http", "GET /x HTTP/1.1")


def test_a_segment_that_its_receiver_drops_does_not_count(said):
    wrong = client(b"SSH-2.0-damaged on its way\r\n", sum_off=1)
    (row,) = said(pcap([*opened(), wrong, client(REQUEST)]))
    assert row["service"] == "http"


def test_bytes_beyond_the_snaplen_are_not_made_up(said):
    frame = client(REQUEST)
    capture = pcap(opened()) + record(frame[: 54 + 13], second=9, wire=len(frame))
    (row,) = said(capture)
    assert (row["service"], row["server_name"], row["client_hint"]) == ("http", None, "GET /x HTTP/1 [cut]")


def test_what_its_sender_never_completed_is_not_called_cut(said):
    (row,) = said(pcap([*opened(), client(b"GET /x HTTP/1")]))
    assert row["client_hint"] == "GET /x HTTP/1 [unfinished]"


def test_a_stream_without_a_beginning_is_believed_only_where_nothing_else_looks_like_it(said):
    (row,) = said(pcap([client(b"some bytes", 700), client(REQUEST, 710)]))
    assert row["service"] == "http"
    (row,) = said(pcap([client(b"some bytes", 700), client(b"\x15\x03\x03\0\2\2\x28", 710)]))
    assert row["service"] is None


def test_a_four_tuple_used_again_starts_anew(said):
    again = [client(seq=100_000, flags=SYN), server(seq=90_000, flags=SYN | ACK), client(b"SSH-2.0-x\r\n", 100_001)]
    first, second = said(pcap([*opened(), client(REQUEST), client(flags=0x04), *again]))
    assert (first["service"], second["service"]) == ("http", "ssh")


def test_many_flows_share_the_table_of_first_bytes(said):
    """More connections than it has places, every first byte after all handshakes.

    Of 17,000 flows two have the same keyed 32-bit hash in one run of thirty: the second goes without.
    """
    ports = range(1, 17_001)
    frames = [client(seq=0, flags=SYN, port=port) for port in ports]
    frames += [client(b"GET /%d HTTP/1.1\r\n\r\n" % port, port=port) for port in ports]
    found = said(pcap([]) + b"".join(map(record, frames)), threads=2)
    hints = [row["client_hint"] for row in found]
    assert hints.count(None) <= 2
    assert all(hint in (None, f"GET /{port} HTTP/1.1") for hint, port in zip(hints, ports, strict=True))


def test_several_files_as_one_timeline(said):
    """The beginning in one file, the first bytes in another; and two files that overlap."""
    frames = [*opened(), *split(REQUEST, 60)]
    later = b"".join(record(frame, second=second) for second, frame in enumerate(frames[3:], 4))
    (row,) = said(pcap(frames[:3]), pcap([]) + later)
    assert row["client_hint"] == "GET /x HTTP/1.1" and row["server_name"] == "example.com"
    one, two = said(pcap([*opened(), client(REQUEST)]), pcap([*opened(4001), client(HELLO, port=4001)]))
    assert [one["service"], two["service"]] == ["http", "tls"]


def test_samples_hold_no_false_hint():
    for path in sorted((Path(__file__).parents[2] / "sample_pcaps").glob("*.pcap*")):
        result = analysis.analyse(analysis.locate(path), threads=1)
        for row in rows.rows("connections", result.connections, COLUMNS):
            assert row["service"] in (None, "smtp" if path.name == "slow_greeting.pcap" else "http"), path.name
