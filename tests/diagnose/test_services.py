"""What is told of a service because of what it speaks: dialogues that end in the middle, requests without answers."""

from __future__ import annotations

from pathlib import Path

import pytest
from packet_builder import DST4, SRC4, ethernet, ipv4, pcap, record, tcp

import tcpscope
from tcpscope.diagnose.finding import Finding

FIN, SYN, PSH, ACK = 1, 2, 8, 16
GREETING = b"\x4a\0\0\0\x0a8.0.36\0" + b"\1\0\0\0saltsalt\0\xff\xf7\xff\2\0\xff\xdf\x15" + bytes(10) + b"saltsaltsalt\0"
GREETING = (len(GREETING) - 4).to_bytes(3, "little") + GREETING[3:]
QUERY = b"\x12\0\0\0\3select sleep(100)"
CANCEL = b"\0\0\0\x10\x04\xd2\x16\x2e\0\0\0\x01\0\0\0\x02"

Step = tuple[float, bool, bytes, int]  # when, whether the server's, payload, flags beside ACK


def told(folder: Path, port: int, steps: list[Step]) -> dict[str, Finding]:
    """What is found in a connection to `port`: its handshake, and these."""
    seq, frames = [1000, 5000], []
    opening: list[Step] = [(0.0, False, b"", SYN), (0.0002, True, b"", SYN), (0.01, False, b"", 0)]
    for now, server, payload, flags in [*opening, *steps]:
        ends = {"src": DST4, "dst": SRC4, "sport": port, "dport": 4000}
        if not server:
            ends = {"src": SRC4, "dst": DST4, "sport": 4000, "dport": port}
        bits = flags | (ACK if now else 0) | (PSH if payload else 0)
        segment = tcp(payload, seq=seq[server], ack=seq[not server] if now else 0, flags=bits, **ends)
        seq[server] += len(payload) + (flags & (SYN | FIN) > 0)
        frame = ethernet(ipv4(segment, src=ends["src"], dst=ends["dst"]))
        frames.append(record(frame, second=1 + int(now), fraction=round(now % 1 * 1e6)))
    path = folder / "talk.pcap"
    path.write_bytes(pcap([]) + b"".join(frames))
    return {it.id: it for it in tcpscope.read(path).findings}


def killed(after: float) -> list[Step]:
    """A query, and after so long the server's end."""
    return [(0.02, True, GREETING, 0), (0.03, False, b"", 0), (0.05, False, QUERY, 0), (0.051, True, b"", 0),
            (0.05 + after, True, b"", FIN), (0.06 + after, False, b"", FIN), (0.07 + after, True, b"", 0)]  # fmt: skip


def test_a_database_that_ends_in_the_middle_of_a_query_has_not_answered(tmp_path: Path) -> None:
    finding = told(tmp_path, 3306, killed(1.4))["no_answer"]
    assert "mysql" in finding.text and finding.text.endswith("until the end, when it closed instead")
    assert finding.side == "server" and finding.confidence == "likely"


def test_what_is_closed_at_once_was_a_farewell(tmp_path: Path) -> None:
    assert "no_answer" not in told(tmp_path, 3306, killed(0.1))


@pytest.mark.parametrize("end", [1.0, 9.0])
def test_to_cancel_a_query_has_no_answer(tmp_path: Path, end: float) -> None:
    steps = [(0.02, False, CANCEL, 0), (0.021, True, b"", 0), (end, True, b"", FIN), (end + 0.01, False, b"", FIN),
             (end + 0.02, True, b"", 0)]  # fmt: skip
    assert "no_answer" not in told(tmp_path, 5432, steps)


HALF = b"GET /x HTTP/1.1\r\nHost: example.com\r\n"


def left_alone(*pieces: bytes, answer: bytes = b"HTTP/1.1 408 Request Timeout\r\n\r\n") -> list[Step]:
    """The client's pieces, one a second, and five seconds later what a server says to that."""
    asked = [(0.02 + n, False, piece, 0) for n, piece in enumerate(pieces)]
    heard = [(0.021 + n, True, b"", 0) for n in range(len(pieces))]
    end = len(pieces) + 5.0
    return [*sorted([*asked, *heard]), (end, True, answer, 0), (end + 0.01, True, b"", FIN),
            (end + 0.02, False, b"", FIN), (end + 0.03, True, b"", 0)]  # fmt: skip


@pytest.mark.parametrize("pieces", [(HALF,), (HALF, b"X-a: b\r\n", b"X-c: d\r\n"), (b"GET /x HT",)])
@pytest.mark.parametrize("answer", [b"HTTP/1.1 408 Request Timeout\r\n\r\n", b""])
def test_a_request_that_is_never_complete_is_no_fault_of_the_server(
    pieces: tuple[bytes, ...], answer: bytes, tmp_path: Path
) -> None:
    found = told(tmp_path, 80, left_alone(*pieces, answer=answer))
    assert found["unfinished_request"].side == "client"
    assert not {"slow_server", "no_answer"} & set(found)


def test_a_request_in_pieces_that_is_complete_has_to_be_answered(tmp_path: Path) -> None:
    found = told(tmp_path, 80, left_alone(HALF, b"X-a: b\r\n\r\n"))
    assert "unfinished_request" not in found and "slow_server" in found


def test_more_pieces_than_are_looked_at_are_not_called_unfinished(tmp_path: Path) -> None:
    found = told(tmp_path, 80, left_alone(HALF, *[b"X-a: b\r\n"] * 40, b"\r\n"))
    assert "unfinished_request" not in found and "slow_server" in found


def test_a_command_of_redis_may_wait_on_purpose(tmp_path: Path) -> None:
    pop = b"*3\r\n$5\r\nBLPOP\r\n$1\r\nq\r\n$1\r\n2\r\n"
    slow = told(tmp_path, 6379, [(0.02, False, pop, 0), (0.021, True, b"", 0), (2.05, True, b"*-1\r\n", 0)])
    assert any("BLPOP" in doubt for doubt in slow["slow_server"].doubts)
