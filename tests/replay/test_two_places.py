"""One connection captured at two places, and read as one timeline: every packet is there twice, and that is all."""

import struct
from pathlib import Path

import pytest
from packet_builder import pcap, record

import tcpscope

SAMPLES = Path(__file__).parents[2] / "sample_pcaps"
HOPS = 5
CLIENT, SERVER = b"\x0a\x01\0\1", b"\x0a\x01\0\2"


def read(name):
    """(microseconds, length on the wire, frame) of a sample with microseconds and Ethernet."""
    raw, at = (SAMPLES / name).read_bytes(), 24
    assert raw[:4] in (b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1")
    unit = 1 if raw[0] == 0xD4 else 1000
    while at < len(raw):
        second, fraction, size, wire = struct.unpack_from("<IIII", raw, at)
        yield second * 1_000_000 + fraction // unit, wire, raw[at + 16 : at + 16 + size]
        at += 16 + size


def written(path, packets):
    """In order of time; as they are where it is the same."""
    found = [record(frame, second=us // 1_000_000, fraction=us % 1_000_000, wire=wire)
             for us, wire, frame in sorted(packets, key=lambda it: it[0])]  # fmt: skip
    path.write_bytes(pcap([]) + b"".join(found))
    return path


def behind(frame, hops=HOPS):
    """The frame behind so many routers."""
    ip = bytearray(frame[14:34])
    ip[8] -= hops
    ip[10:12] = b"\0\0"
    total = sum(struct.unpack(">10H", ip))
    total = (total & 0xFFFF) + (total >> 16)
    ip[10:12] = struct.pack(">H", ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF)
    return frame[:14] + bytes(ip) + frame[34:]


def both_ends(name, delay_us):
    """The sample as captured at the client, and the same packets as the server's host would have captured them."""
    near, far = [], []
    for us, wire, frame in read(name):
        sent_here = frame[26:30] == CLIENT
        near.append((us, wire, frame if sent_here else behind(frame)))
        far.append((us + delay_us, wire, behind(frame)) if sent_here else (us - delay_us, wire, frame))
    return near, far


NAMES = ["normal.pcap", "conversation.pcap", "sliding_window.pcap", "zero_window.pcap", "half_close.pcap"]


@pytest.mark.parametrize("apart", [True, False], ids=["files", "merged"])
@pytest.mark.parametrize("name", NAMES)
def test_both_captures_tell_what_one_tells(name, apart, tmp_path):
    near, far = both_ends(name, 4000)
    one = tcpscope.read(written(tmp_path / "near.pcap", near))
    if apart:
        both = tcpscope.read([tmp_path / "near.pcap", written(tmp_path / "far.pcap", far)])
    else:
        both = tcpscope.read(written(tmp_path / "both.pcap", near + far))
    alone, (row,) = one.connection(0).row, both.connections.to_dict("records")
    for role in ("client", "server"):
        for name in ("retransmissions", "out_of_order", "network_duplicates", "unique_bytes"):
            assert row[f"{role}_{name}"] == alone[f"{role}_{name}"], (role, name)
    assert 0.95 * len(near) <= row["client_duplicate_captures"] + row["server_duplicate_captures"] <= len(near)
    assert (row["client_state"], row["server_state"]) == (alone["client_state"], alone["server_state"])
    assert [f.id for f in both.findings if f.id in ("reordering", "network_duplicates", "spurious")] == []


BULK = tcpscope.read(SAMPLES / "bulk.pcap").connection(0).row


def test_a_long_queue_before_the_second_place(tmp_path):
    """A router's two sides, and between them a queue that grows to a quarter of a second."""
    inside, outside, free = list(read("bulk.pcap")), [], {CLIENT: 0, SERVER: 0}
    for us, wire, frame in inside:
        sender = frame[26:30]
        free[sender] = max(us, free[sender]) + (350 if sender == SERVER else 10)
        outside.append((free[sender], wire, behind(frame, 1)))
    assert max(there[0] - here[0] for there, here in zip(outside, inside, strict=True)) > 250_000
    (row,) = tcpscope.read(written(tmp_path / "any.pcap", inside + outside)).connections.to_dict("records")
    assert row["server_retransmissions"] == BULK["server_retransmissions"]
    assert row["server_out_of_order"] == row["server_network_duplicates"] == 0
    assert row["client_duplicate_captures"] + row["server_duplicate_captures"] == len(inside)


def test_copies_of_the_network_are_its_own(tmp_path):
    """The same TTL, the same file: somebody on the path sent them twice."""
    frames = list(read("bulk.pcap"))
    twice = [(us + 1000, wire, frame) for at, (us, wire, frame) in enumerate(frames) if at % 7 == 3]
    (row,) = tcpscope.read(written(tmp_path / "twice.pcap", frames + twice)).connections.to_dict("records")
    assert row["client_network_duplicates"] + row["server_network_duplicates"] >= 0.95 * len(twice)
    assert row["server_retransmissions"] == BULK["server_retransmissions"]


@pytest.mark.parametrize("seconds", [-1.5, -0.3, 0.5, 1.9])
@pytest.mark.parametrize("name", ["fast_retransmission.pcap", "conversation.pcap", "reset_linger.pcap"])
def test_clocks_apart_invent_nothing(name, seconds, tmp_path):
    """The same packets in a second file, by a clock of its own: both tell what one does, and that it is there twice."""
    near = list(read(name))
    far = [(us + int(seconds * 1_000_000), wire, frame) for us, wire, frame in near]
    one, other = written(tmp_path / "one.pcap", near), written(tmp_path / "other.pcap", far)
    alone, both = tcpscope.read(one), tcpscope.read([one, other])
    ids = [(f.id, f.count) for f in alone.findings]
    assert [(f.id, f.count) for f in both.findings if f.id != "duplicates"] == ids
    assert both.connections["client_duplicate_captures"][0] == both.connections["client_packets"][0] / 2
    for column in ("client_state", "server_state", "close", "closed_by", "server_retransmissions", "server_sent_again"):
        assert list(both.connections[column].astype(str)) == list(alone.connections[column].astype(str)), column
