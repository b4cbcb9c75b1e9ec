"""`follow` and `extract` as they are used, in real processes, and against what tshark makes of the same captures."""

from __future__ import annotations

import base64
import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from packet_builder import DST4, SRC4, ethernet, ipv4, pcap, record, tcp

from tcpscope.replay.layout import ANNOTATIONS, PACKET
from tcpscope.tables.analysis import locate, packets

SAMPLES = Path(__file__).parents[2] / "sample_pcaps"
CAPTURES = sorted(path for path in SAMPLES.iterdir() if path.name != "README.md")
NORMAL = SAMPLES / "normal.pcap"
TSHARK = pytest.mark.skipif(shutil.which("tshark") is None, reason="no tshark here")
HOSTILE = b"\x1b[31mred \xe2\x80\xaeright \xc3\xa4\xff\x07\x7f\r\n\ttab\x00 \xe2\x96\xb6 server\n[1 byte missing]\n"


def run(*arguments: Any, data: bytes | None = None, code: int = 0, **environment: str) -> tuple[bytes, str]:
    done = subprocess.run(
        [sys.executable, "-m", "tcpscope", *map(str, arguments)],
        input=data, capture_output=True, env={**os.environ, **environment}, cwd=SAMPLES.parent, check=False,
    )  # fmt: skip
    assert done.returncode == code, done.stderr
    return done.stdout, done.stderr.decode()


def error(*arguments: Any, data: bytes | None = None) -> str:
    _out, said = run(*arguments, data=data, code=2)
    assert said.startswith("Error: ") and said.count("\n") == 1
    return said


def talk(*turns: tuple[bool, bytes], drop: tuple[int, ...] = (), link: int = 1) -> bytes:
    """A capture of a handshake and these payloads (True: the server's), without the frames in `drop`."""
    seq, frames = [1000, 5000], []

    def frame(server: bool, payload: bytes, flags: int) -> bytes:
        src, dst, sport, dport = (DST4, SRC4, 80, 4000) if server else (SRC4, DST4, 4000, 80)
        ack = seq[not server] if flags & 0x10 else 0
        segment = tcp(payload, seq=seq[server], ack=ack, flags=flags, sport=sport, dport=dport, src=src, dst=dst)
        seq[server] += len(payload) + (flags & 2 > 0)
        return ethernet(ipv4(segment, src=src, dst=dst))

    frames += [frame(False, b"", 0x02), frame(True, b"", 0x12), frame(False, b"", 0x10)]
    frames += [frame(server, payload, 0x18) for server, payload in turns]
    return pcap([it for number, it in enumerate(frames, 1) if number not in drop], link)


# ---------------------------------------------------------------- follow


def test_both_sides_in_turns() -> None:
    lines = run("follow", SAMPLES / "conversation.pcap")[0].decode().splitlines()
    assert lines[1] == "10.1.0.1:40000 (client), 10.1.0.2:80 (server)"
    assert lines[2] == "▶ client  +0.015701 s  bytes 0–12 (13)  frame 4"
    assert lines[3:5] == ["  How are you?", "◀ server  +0.025983 s  bytes 0–16 (17)  frame 5"]
    assert lines[-2:] == ["client: 65 bytes", "server: 85 bytes"]
    one = run("follow", SAMPLES / "conversation.pcap", "--server")[0].decode()
    assert "Fine" in one and "How" not in one


def test_nothing_in_a_payload_reaches_the_terminal() -> None:
    out = run("follow", "-", data=talk((False, HOSTILE)))[0].decode()
    assert not {char for char in out if not char.isprintable()} - {"\n", "\t"}
    assert "  \\x1b[31mred \\u202eright ä\\xff\\x07\\x7f\n  \ttab\\x00 ▶ server\n  [1 byte missing]\n" in out
    size = len(HOSTILE)
    headers = [line for line in out.splitlines()[2:-1] if line and line[0] != " "]
    assert headers == [f"▶ client  +3.000000 s  bytes 0–{size - 1} ({size})  frame 4"], "nothing passes for a header"
    text = json.loads(run("follow", "-", "--format", "json", data=talk((False, HOSTILE)))[0])["turns"][0]
    assert base64.b64decode(text["data"]) == HOSTILE
    assert not {char for char in text["text"] if not char.isprintable()} - {"\n", "\t"}


def test_what_is_missing_is_marked() -> None:
    data = talk((True, b"a" * 10), (True, b"b" * 5), (False, b"thanks"), (True, b"c" * 10), drop=(5,))
    out = run("follow", "-", data=data)[0].decode()
    assert "[5 bytes missing at 10–14: not in the capture, but acknowledged by the peer]" in out
    assert "server: 20 bytes, 5 bytes missing" in out
    raw = ("follow", "-", "--server", "--format", "raw")
    assert run(*raw, data=data) == (b"a" * 10 + b"c" * 10, "Warning: server: 20 bytes, 5 bytes missing\n")
    assert run(*raw, "--gaps", "zero", data=data)[0] == b"a" * 10 + bytes(5) + b"c" * 10
    assert "5 bytes are missing at 10" in error(*raw, "--gaps", "fail", data=data)
    assert run(*raw, "-q", data=data)[1] == ""
    (gap,) = (
        g for turn in json.loads(run("follow", "-", "--format", "json", data=data)[0])["turns"] for g in turn["gaps"]
    )
    assert (gap["offset"], gap["length"], gap["acknowledged"], gap["why"]) == (10, 5, True, "missing")


def test_a_failed_run_leaves_no_file(tmp_path: Path) -> None:
    data = talk((True, b"a" * 10), (True, b"b" * 5), (True, b"c" * 10), drop=(5,))
    error("follow", "-", "--server", "--format", "raw", "--gaps", "fail", "-o", tmp_path / "out", data=data)
    assert os.listdir(tmp_path) == []


def test_hex_tells_every_byte() -> None:
    lines = run("follow", NORMAL, "--client", "--format", "hex")[0].decode().splitlines()
    assert lines[3:5] == [
        "  00000000  47 45 54 20 2f 20 48 54  54 50 2f 31 2e 30 0d 0a  GET / HTTP/1.0..",
        "  00000010  0d 0a                                             ..",
    ]


def test_json_lines_are_the_turns() -> None:
    rows = [json.loads(line) for line in run("follow", SAMPLES / "bulk.pcap", "--format", "jsonl")[0].splitlines()]
    assert [row["kind"] for row in rows][:2] == ["connection", "turn"] and rows[-1]["kind"] == "summary"
    turns = [row for row in rows if row["kind"] == "turn" and row["side"] == "server"]
    data = b"".join(base64.b64decode(row["data"]) for row in turns)
    raw = run("follow", SAMPLES / "bulk.pcap", "--server", "--format", "raw")[0]
    assert data == raw and len(data) == rows[-1]["server"]["bytes"]
    assert max(row["bytes"] for row in turns) <= 65_536
    assert [row["continued"] for row in turns] == [False] + [True] * (len(turns) - 1)
    segments = [it for row in turns for it in row["segments"]]
    assert sum(it["length"] for it in segments) == len(data)


def test_it_stops_when_told() -> None:
    out = run("follow", SAMPLES / "bulk.pcap", "--max-bytes", 100, "--format", "json")[0]
    answer = json.loads(out)
    assert sum(turn["bytes"] for turn in answer["turns"]) == 100 and answer["summary"]["stopped"]
    assert "[stopped after 100 bytes" in run("follow", SAMPLES / "bulk.pcap", "--max-bytes", 100)[0].decode()
    raw = run("follow", SAMPLES / "bulk.pcap", "--max-bytes", 100, "--format", "raw", "--server")
    assert (len(raw[0]), raw[1]) == (100, "")
    assert not json.loads(run("follow", NORMAL, "--max-bytes", 637, "--format", "json")[0])["summary"]["stopped"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([SAMPLES / "short_connections.pcap"], "20 connections: choose one with -c N"),
        ([SAMPLES / "short_connections.pcap", "-c", "20"], "no connection 20: the capture has 20, counted from 0"),
        ([NORMAL, "--format", "raw"], "add --client or --server"),
        ([NORMAL, "--gaps", "zero"], "--gaps is for --format raw"),
    ],
)
def test_wrong_requests_are_told(arguments: list[Any], says: str) -> None:
    assert says in error("follow", *arguments)


def test_a_pipe_is_as_good_as_a_file_up_to_a_limit() -> None:
    path = SAMPLES / "short_connections.pcap"
    data = path.read_bytes()
    assert run("follow", "-c", "3", "-", data=data) == run("follow", "-c", "3", path)
    piped, of_file = run("extract", "-c", "3", "-", data=data)[0], run("extract", "-c", "3", path)[0]
    assert piped.count(b" of standard input") == of_file.count(b" of short_connections.pcap") == 11
    from tcpscope.capture.sources import Source, Sources
    from tcpscope.errors import UsageError
    from tcpscope.tables.again import rereadable

    with pytest.raises(UsageError, match="write it to a file first"):
        rereadable(Sources([Source("-", lambda: io.BytesIO(b"x" * 100))], []), most=99)  # type: ignore[arg-type, return-value]


def test_several_files_name_the_frames_file(tmp_path: Path) -> None:
    data = talk((True, b"first\n"), (True, b"second\n"))
    head, body = data[:24], data[24:]
    cut = sum(16 + size for size in [54, 54, 54, 60])
    (tmp_path / "a.pcap").write_bytes(head + body[:cut])
    (tmp_path / "b.pcap").write_bytes(head + body[cut:])
    out = run("follow", tmp_path)[0].decode()
    assert "bytes 0–12 (13)  frames 4 of a.pcap 1 of b.pcap" in out


def test_fragments_and_conflicts_from_a_file(tmp_path: Path) -> None:
    whole = tcp(bytes(range(100)), seq=1000)
    pieces = [ethernet(ipv4(whole[:64], fragment=0x2000)), ethernet(ipv4(whole[64:], fragment=8))]
    other = ethernet(ipv4(tcp(b"X" * 50, seq=1050)))
    (tmp_path / "x.pcap").write_bytes(pcap([*pieces[::-1], other]))
    assert run("follow", tmp_path / "x.pcap", "--client", "--format", "raw")[0] == bytes(range(100))
    assert "50 bytes at 50–99 were sent again with other content: first in frame 2, again in frame 3" in run(
        "follow", tmp_path / "x.pcap")[0].decode()  # fmt: skip
    assert "3 of 3 packets, 1 of 1 connections" in run("extract", tmp_path / "x.pcap", "-o", tmp_path / "y.pcap")[1]
    assert (tmp_path / "y.pcap").read_bytes()[24:] == (tmp_path / "x.pcap").read_bytes()[24:]


def of_tshark(path: Path, number: int) -> tuple[bytes, bytes]:
    """Both sides of a stream, that of its first packet's sender first."""
    command = ["tshark", "-r", path, "-q", "-z", f"follow,tcp,raw,{number}"]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    sides = [bytearray(), bytearray()]
    for line in text.split("Node 1: ")[1].splitlines()[1:-1]:
        sides[line.startswith("\t")] += bytes.fromhex(line)
    return bytes(sides[0]), bytes(sides[1])


@TSHARK
@pytest.mark.parametrize("path", CAPTURES, ids=lambda path: path.name)
def test_tshark_follows_the_same_bytes(path: Path) -> None:
    import tcpscope

    capture = tcpscope.read(path)
    for number in range(min(len(capture), 2)):
        connection = capture.connection(number)
        mine, theirs = [connection.stream("client"), connection.stream("server")], list(of_tshark(path, number))
        if path.name == "reordered.pcap":  # cut to 96 bytes: tshark writes words of its own in place of what is missing
            assert [len(it) for it in mine] == [0, 1110]
        elif path.name == "bad_checksum.pcap":  # tshark takes the damaged copy, the receiver did not
            assert sorted(map(len, mine)) == sorted(map(len, theirs)) and mine[0] in theirs and mine[1] not in theirs
        else:
            assert sorted(mine) == sorted(theirs)


# ---------------------------------------------------------------- extract


def rows(path: Path | str) -> list[dict[str, Any]]:
    return [row for chunk in packets(locate(path), msl=30.0)[1] for row in PACKET.dicts(chunk)]


ELSEWHERE = {"order", "payload_at", "connection", "file", "frame", "retransmission_of", "acked_frame"}
REUSED = ANNOTATIONS.index("reused_ports"), ANNOTATIONS.index("challenge_ack")


@pytest.mark.parametrize("path", CAPTURES, ids=lambda path: path.name)
def test_an_extracted_connection_is_analysed_the_same(path: Path, tmp_path: Path) -> None:
    before = rows(path)
    for number in sorted({0, max(row["connection"] for row in before)}):
        out = tmp_path / f"{number}.pcapng"
        run("extract", path, "-c", number, "-o", out)
        mine, again = [row for row in before if row["connection"] == number], rows(out)
        assert len(mine) == len(again)
        frames = {0: 0} | {old["frame"]: new["frame"] for old, new in zip(mine, again, strict=True)}
        for old, new in zip(mine, again, strict=True):
            changed = {name for name in old if name not in ELSEWHERE and old[name] != new[name]}
            if number and path.name in (
                "crash_and_reconnect.pcap",
                "time_wait_reuse.pcap",
                "port_reuse_risky.pcap",
            ):  # the one before is gone
                assert not (old["annotations"] ^ new["annotations"]) & ~(1 << REUSED[0] | 1 << REUSED[1])
                changed -= {"annotations", "wireshark"}
            assert not changed
            assert [frames[old[name]] for name in ("retransmission_of", "acked_frame")] == [
                new["retransmission_of"], new["acked_frame"],
            ]  # fmt: skip


def test_filters_choose_packets_or_connections(tmp_path: Path) -> None:
    path, out = SAMPLES / "zero_window.pcap", tmp_path / "out.pcap"
    marked = [it["frame"] for it in rows(path) if it["annotations"] >> ANNOTATIONS.index("zero_window") & 1]
    said = run("extract", path, NORMAL, "--annotation", "zero_window", "-o", out)[1]
    assert said.startswith(f"{len(marked)} of ") and "1 of 2 connections to" in said
    whole = run("extract", path, NORMAL, "--annotation", "zero_window", "--whole", "-o", out)[1]
    assert whole.startswith(f"{len(rows(path))} of ")
    assert run("extract", NORMAL, "--to", "+0.0191", "-o", out)[1].startswith("4 of 11 packets, 1 of 1 ")
    assert run("extract", NORMAL, "--to", "+0.0191", "--whole", "-o", out)[1].startswith("11 of 11 packets")
    assert run("extract", NORMAL, "--state", "SYN_SENT", "-o", out)[1].startswith("0 of 11 packets, 0 of 1 ")
    assert run("extract", SAMPLES / "short_connections.pcap", "--port", "40003", "-q", "-o", out)[1] == ""
    assert {(it["sport"], it["dport"]) for it in rows(out)} == {(40003, 80), (80, 40003)}


def test_several_files_become_one_timeline(tmp_path: Path) -> None:
    run("extract", NORMAL, SAMPLES / "ipv6.pcapng", SAMPLES / "compressed.pcap.gz", "-o", tmp_path / "all.pcapng")
    before = [packet for chunk in packets(locate([str(NORMAL), str(SAMPLES / "ipv6.pcapng"),
              str(SAMPLES / "compressed.pcap.gz")]), msl=30.0)[1] for packet in PACKET.dicts(chunk)]  # fmt: skip
    after = rows(tmp_path / "all.pcapng")
    assert [(it["time_ns"], it["seq_raw"], it["annotations"]) for it in before] == [
        (it["time_ns"], it["seq_raw"], it["annotations"]) for it in after
    ]


def test_an_icmp_error_comes_with_its_connection(tmp_path: Path) -> None:
    syn = tcp(seq=1000, ack=0, flags=2)
    quote = b"\x03\x01\0\0\0\0\0\0" + ipv4(syn)[:28]
    other = ethernet(ipv4(tcp(seq=9, flags=2, sport=9, ack=0)))
    (tmp_path / "x.pcap").write_bytes(pcap([ethernet(ipv4(syn)), other, ethernet(ipv4(quote, 1, src=DST4, dst=SRC4))]))
    assert run("extract", tmp_path / "x.pcap", "-c", "0", "-o", tmp_path / "y.pcapng")[1].startswith("2 of 3 packets")
    row = json.loads(run("connections", tmp_path / "y.pcapng", "--format", "jsonl")[0])
    assert row["close"] == "unreachable"


def test_other_link_types_and_what_does_not_go(tmp_path: Path) -> None:
    (tmp_path / "a.pcap").write_bytes(talk((False, b"x")))
    raw = pcap([], 101) + record(ipv4(tcp(b"y", sport=77)), second=9)
    (tmp_path / "b.pcap").write_bytes(raw)
    assert "write to a .pcapng file" in error("extract", tmp_path, "-o", tmp_path / "out.pcap")
    assert sorted(os.listdir(tmp_path)) == ["a.pcap", "b.pcap"]
    run("extract", tmp_path / "a.pcap", tmp_path / "b.pcap", "-o", tmp_path / "out.pcapng")
    assert len(rows(tmp_path / "out.pcapng")) == 5
    run("extract", tmp_path / "a.pcap", tmp_path / "b.pcap", "--port", "77", "-o", tmp_path / "out.pcap")
    assert (tmp_path / "out.pcap").read_bytes()[20:24] == (101).to_bytes(4, "little")
    assert "the capture itself" in error("extract", tmp_path / "a.pcap", "-o", tmp_path / "a.pcap")
    assert "end the name in .pcap or .pcapng" in error("extract", tmp_path / "a.pcap", "-o", tmp_path / "out.txt")
    assert "no connection 9" in error("extract", tmp_path / "a.pcap", "-c", "9", "-o", tmp_path / "o.pcap")


@TSHARK
def test_tshark_reads_comments_and_original_lengths(tmp_path: Path) -> None:
    run("extract", SAMPLES / "short_connections.pcap", "-c", "3", "-o", tmp_path / "x.pcapng")
    command = ["tshark", "-r", tmp_path / "x.pcapng", "-T", "fields", "-e", "frame.comment", "-e", "frame.time_epoch"]
    found = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    mine = [it for it in rows(SAMPLES / "short_connections.pcap") if it["connection"] == 3]
    assert [line.split("\t")[0] for line in found] == [f"frame {it['frame']} of short_connections.pcap" for it in mine]
    assert [int(line.split("\t")[1].replace(".", "")) for line in found] == [it["time_ns"] for it in mine]


# ---------------------------------------------------------------- services, exchanges, framing


def test_hostile_names_are_text_in_every_format(tmp_path: Path) -> None:
    host = b"a\x1b[31m\xe2\x80\xae<b>\"'=1,|`x"
    path = tmp_path / "hostile.pcap"
    path.write_bytes(
        talk((False, b"GET / HTTP/1.1\r\nHost: " + host + b"\r\n\r\n"), (True, b"HTTP/1.1 200 OK\r\n\r\n"))
    )
    name = "a\\x1b[31m\\xe2\\x80\\xae<b>\"'=1,|`x"
    (row,) = map(json.loads, run("connections", path, "--format", "jsonl")[0].splitlines())
    assert (row["service"], row["server_name"], row["client_hint"]) == ("http", name, "GET / HTTP/1.1")
    assert name in run("diagram", path)[0].decode()
    page = tmp_path / "page.html"
    run("report", path, "-o", page, "-q")
    drawn = page.read_text()
    assert "<b>\"'" not in drawn and "a\\x1b[31m" in drawn
    assert run("connections", path, "--name", "b*", "--format", "csv")[0].count(b"\n") == 1
    assert run("connections", path, "--service", "http", "--name", "A*", "--format", "csv")[0].count(b"\n") == 2
    assert run("connections", path, "--service", "tls", "--format", "csv")[0].count(b"\n") == 1
    assert "did you mean" in error("connections", path, "--service", "htpp")


def test_exchanges_in_every_format(tmp_path: Path) -> None:
    path = tmp_path / "talk.pcap"
    path.write_bytes(talk((False, b"x" * 10), (True, b"y" * 20), (False, b"z"), (True, b"w")))
    found = json.loads(run("exchanges", path, "--format", "json")[0])
    assert [(it["request_bytes"], it["response_bytes"], it["wait"]) for it in found] == [(10, 20, 1.0), (1, 1, 1.0)]
    assert [json.loads(line) for line in run("exchanges", path, "--format", "jsonl")[0].splitlines()] == found
    lines = run("exchanges", path, "--format", "csv")[0].decode().splitlines()
    assert lines[0].split(",") == list(found[0]) and len(lines) == 3
    assert "2 exchanges; wait for the answer 1 s on average" in run("exchanges", path)[0].decode()
    heads = [line.split() for line in run("exchanges", path)[0].decode().splitlines()[2:4]]
    assert [line[2:4] for line in heads] == [["4,", "5"], ["6,", "7"]], "the request's and the response's frames"
    assert "no connection 7" in error("exchanges", path, "-c", "7")


def test_messages_against_segments(tmp_path: Path) -> None:
    path = tmp_path / "framed.pcap"
    path.write_bytes(talk((False, b"\0\3abc\0\1x\0\4w"), (False, b"xyz"), (True, b"\0\1k")))
    text = run("follow", path, "--framing", "length-prefix:2")[0].decode()
    assert "0 and 1, start of 2" in text and "end of 2" in text and "client: 3 messages in 2 segments" in text
    *_, summary = map(
        json.loads, run("follow", path, "--framing", "length-prefix:2", "--format", "jsonl")[0].splitlines()
    )
    assert summary["client"]["sticky"] == summary["client"]["split"] == 1 and summary["server"]["messages"] == 1
    document = json.loads(run("follow", path, "--framing", "delimiter:\\x00", "--format", "json")[0])
    assert [row["length"] for row in document["rows"] if row["kind"] == "message" and row["side"] == "client"] == [
        1,
        5,
        3,
    ]
    assert "no framing" in error("follow", path, "--framing", "length:4")
    assert "--framing is for" in error("follow", path, "--framing", "fixed:4", "--format", "hex")


@pytest.mark.parametrize(("name", "said"), [
    ("span_duplicates.pcap", ["100 bytes captured twice, or doubled by", "500 bytes captured twice, or doubled by"]),
    ("network_duplicates.pcap", ["2,896 bytes captured twice, or doubled by"]), ("tail_losses.pcap", []),
])  # fmt: skip
def test_copies_are_not_called_repetitions(name, said):
    lines = run("follow", SAMPLES / name, "-c", 0, "--format", "hex")[0].decode().splitlines()
    odd = [line.partition(", ")[2] for line in lines if line.startswith(("client: ", "server: "))]
    again = [it for it in odd if "sent again" in it]
    assert [it.removesuffix(" the network") for it in odd if "captured twice" in it] == said
    assert bool(again) == (name == "tail_losses.pcap")


def test_bytes_that_are_no_answer_are_shown():
    said = run("exchanges", SAMPLES / "both_ways.pcapng")[0].decode()
    assert "no answer" not in said.splitlines()[2] and "+13 kB" in said and "without having heard the request" in said
