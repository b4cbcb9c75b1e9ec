"""Hostile captures, names, places to write to: one line, exit 2, nothing half done; nothing a medium would obey."""

from __future__ import annotations

import csv
import io
import itertools
import json
import os
import stat
import struct
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from packet_builder import (
    block,
    enhanced,
    ethernet,
    interface,
    ipv4,
    ipv6,
    option,
    pcap,
    record,
    section,
    tcp,
    tcp6,
)  # fmt: skip

ROOT = Path(__file__).parents[2]
SAMPLES = ROOT / "sample_pcaps"
ZERO = str(SAMPLES / "zero_window.pcap")
SYN, ACK, PSH = 2, 16, 8


def run(*arguments: object, timeout: float = 120, **settings: object) -> subprocess.CompletedProcess[bytes]:
    settings.setdefault("stdin", subprocess.DEVNULL)
    settings.setdefault("stdout", subprocess.PIPE)
    return subprocess.run(
        [sys.executable, "-m", "tcpscope", *map(str, arguments)],
        stderr=subprocess.PIPE, cwd=ROOT, timeout=timeout, check=False, **settings,
    )  # fmt: skip


def error_of(done: subprocess.CompletedProcess[bytes]) -> str:
    """The one line that it ended with."""
    lines = [it for it in done.stderr.decode().splitlines() if not it.startswith("Warning: ")]
    assert done.returncode == 2, lines
    assert len(lines) == 1, lines
    assert lines[0].startswith("Error: ")
    return lines[0]


# ---------------------------------------------------------------- captures

FRAME = ethernet(ipv4(tcp(b"hello")))


def nested(inner: bytes, times: int, around: Callable[[bytes], bytes]) -> bytes:
    for _ in range(times):
        inner = around(inner)
    return inner


def tags(times: int) -> bytes:
    return b"".join(struct.pack(">HH", i, 0x8100) for i in range(times - 1)) + struct.pack(">HH", 1, 0x0800)


WHOLE = tcp(b"z" * 3000)
CAPTURES: dict[str, tuple[bytes, int]] = {  # bytes, exit code
    "a block of no length": (section() + interface() + struct.pack("<III", 0xBAD, 0, 0) * 50, 2),
    "a hundred thousand empty blocks": (section() + interface() + block(0x1234, b"") * 100_000 + enhanced(FRAME), 0),
    "sections without end": (section() * 100_000, 0),
    "more interfaces than there are": (section() + interface() * 20_000, 2),
    "comments without end": (section() + interface() + enhanced(FRAME, options=option(1, b"c") * 100_000), 0),
    "statistics of no interface": (
        section() + interface() + enhanced(FRAME) + block(5, struct.pack("<III", 9, 0, 0)), 0,
    ),
    "records of no length": (pcap([]) + struct.pack("<IIII", 1, 1, 0, 0) * 100_000, 0),
    "times back and forth": (
        pcap([]) + b"".join(
            record(ethernet(ipv4(tcp(b"x", seq=i))), second=0xFFFFFFFF * (i & 1), fraction=0xFFFFFFFF)
            for i in range(200)
        ), 0,
    ),
    "255 VLAN tags": (pcap([ethernet(tags(255) + ipv4(tcp(b"deep")), 0x8100)]), 0),
    "255 IP headers": (pcap([ethernet(nested(ipv4(tcp(b"deep")), 255, lambda it: ipv4(it, 4)))]), 0),
    "200 GRE tunnels": (
        pcap([ethernet(nested(ipv4(tcp(b"d")), 200, lambda it: ipv4(struct.pack(">HH", 0, 0x0800) + it, 47)))]), 0,
    ),
    "1000 MPLS labels": (pcap([ethernet(struct.pack(">I", 0x10040) * 1000 + ipv4(tcp()), 0x8847)]), 0),
    "1000 extension headers": (pcap([ethernet(ipv6(b"\0\0\1\4\0\0\0\0" * 1000 + tcp6(b"x"), 0), 0x86DD)]), 0),
    "option lengths that lie": (
        pcap([
            ethernet(ipv4(tcp(b"x", bytes((kind, length, 1, 1)))))
            for kind, length in itertools.product(range(256), (0, 1, 2, 3, 255))
        ]), 0,
    ),
    "other bytes for the same numbers": (
        pcap([ethernet(ipv4(tcp(bytes([65 + i % 26]) * 50, seq=1000 + 10 * i))) for i in range(300)]), 0,
    ),
    "numbers that wrap": (
        pcap([ethernet(ipv4(tcp(b"y" * 1000, seq=(0xFFFFFF00 + 1000 * i) & 0xFFFFFFFF))) for i in range(100)]), 0,
    ),
    "a stream of more than 2^32 bytes": (
        pcap([]) + b"".join(
            record(ethernet(ipv4(tcp(seq=(1000 + 65495 * i) & 0xFFFFFFFF), total=65535)), wire=65549)
            for i in range(70_000)
        ), 0,
    ),
    "fragments that overlap": (
        pcap([
            ethernet(ipv4(WHOLE[begin:end], ident=ident, fragment=begin // 8 | more))
            for ident in range(100) for begin, end, more in ((0, 1480, 0x2000), (800, 2280, 0x2000), (1480, 3020, 0))
        ]), 0,
    ),
    "fragments that never meet": (
        pcap([ethernet(ipv4(b"q" * 16, ident=i % 50, fragment=0x2000 | i * 7919 % 8000)) for i in range(20_000)]), 0,
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    folder = tmp_path_factory.mktemp("hostile")

    def path(name: str) -> Path:
        place = folder / f"{list(CAPTURES).index(name):02}"
        if not place.exists():
            place.write_bytes(CAPTURES[name][0])
        return place

    return path


@pytest.mark.parametrize("name", CAPTURES)
def test_what_a_capture_may_hold(name: str, stored: Callable[[str], Path]) -> None:
    done = run("analyze", stored(name), "--format", "json")
    if CAPTURES[name][1]:
        error_of(done)
        return
    assert done.returncode == 0, done.stderr
    assert b"Traceback" not in done.stderr
    json.loads(done.stdout)


@pytest.mark.parametrize("name", ["times back and forth", "other bytes for the same numbers", "fragments that overlap"])
def test_every_command_bears_it(name: str, stored: Callable[[str], Path], tmp_path: Path) -> None:
    path = stored(name)
    for command in (
        ("connections", path), ("packets", path, "--format", "csv"), ("events", path), ("sockets", path),
        ("diagram", path, "--format", "svg"), ("follow", path, "-c", 0, "--format", "json"),
        ("plot", path, "sequence", "-o", tmp_path / "out.svg"), ("extract", path, "-o", tmp_path / "out.pcapng"),
        ("report", path, "-o", tmp_path / "out.html"),
    ):  # fmt: skip
        done = run(*command)
        assert done.returncode == 0, (command, done.stderr)
        assert b"Traceback" not in done.stderr


OPTIONS = [
    ("--msl", "inf"), ("--msl", "nan"), ("--msl", "1e300"), ("--msl", "-1"), ("--threads", "0"),
    ("--threads", "9" * 30), ("--from", "+1e400"), ("--from", "nan"), ("--from", "9" * 30), ("--port", "70000"),
    ("--host", "..."), ("-c", "x"), ("--max-connections", "-1"), ("--max-connections", "9" * 30),
]  # fmt: skip


@pytest.mark.parametrize("words", OPTIONS, ids=" ".join)
def test_options_out_of_all_bounds(words: tuple[str, str]) -> None:
    error_of(run("packets", ZERO, *words))


# ---------------------------------------------------------------- endless, growing, shrinking


@pytest.mark.parametrize("junk", [b"y\n", b"\0"])
def test_endless_input_that_is_no_capture(junk: bytes) -> None:
    reader, writer = os.pipe()

    def pour() -> None:
        try:
            while os.write(writer, junk * 4096):
                pass
        except BrokenPipeError:
            pass
        finally:
            os.close(writer)

    pouring = threading.Thread(target=pour)
    pouring.start()
    try:
        error_of(run("analyze", "-", stdin=reader))
    finally:
        os.close(reader)
        pouring.join()


@pytest.mark.skipif(sys.platform != "linux", reason="/proc")
def test_endless_input_takes_no_more_memory(tmp_path: Path) -> None:
    """Two million packets of one connection, from a pipe; the reader's memory is looked at when they are through."""
    packets = b"".join(record(ethernet(ipv4(tcp(b"x" * 100, seq=1000 + 100 * i)))) for i in range(1000))
    process = subprocess.Popen(
        [sys.executable, "-m", "tcpscope", "connections", "-", "--format", "jsonl"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT,
    )  # fmt: skip
    assert process.stdin is not None
    process.stdin.write(pcap([]))
    sizes = []
    for at in range(1000):
        process.stdin.write(packets)
        if at in (100, 999):
            status = Path(f"/proc/{process.pid}/status").read_text()
            sizes.append(int(status.split("VmRSS:")[1].split()[0]))
    out, _ = process.communicate(timeout=120)
    assert json.loads(out)["client_packets"] == 1_000_000
    assert sizes[1] < sizes[0] + 30_000  # kB


def test_a_file_that_ends_early_while_it_is_read_twice(tmp_path: Path) -> None:
    """`packets` reads a file again: what has gone in between is missing, and nothing else."""
    from tcpscope.tables import analysis

    path = tmp_path / "shrinks.pcap"
    path.write_bytes(Path(ZERO).read_bytes())
    found = analysis.locate(path)
    result = analysis.analyse(found)
    with path.open("r+b") as stream:
        stream.truncate(1000)
    few = list(analysis.packets_again(found, result, msl=30, by_tunnel=False))
    with path.open("ab") as stream:
        stream.write(Path(ZERO).read_bytes()[1000:] * 3)
    many = list(analysis.packets_again(found, result, msl=30, by_tunnel=False))
    assert 0 < sum(map(len, few)) < sum(map(len, many))


# ---------------------------------------------------------------- where output goes

WRITERS = [
    ("connections", ZERO, "--format", "csv"), ("connections", ZERO, "--format", "parquet"), ("packets", ZERO),
    ("packets", ZERO, "--format", "jsonl"), ("analyze", ZERO), ("analyze", ZERO, "--format", "json"),
    ("sockets", ZERO), ("diagram", ZERO, "--format", "svg"), ("follow", ZERO, "-c", "0"),
    ("extract", ZERO, "--format", "pcap"),
    ("report", ZERO),
]  # fmt: skip


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
@pytest.mark.parametrize("words", WRITERS, ids=lambda it: " ".join(it).replace(ZERO, "FILE"))
def test_a_full_disk(words: tuple[str, ...]) -> None:
    assert "No space left" in error_of(run(*words, "-o", "/dev/full"))
    if words[0] not in ("extract", "report"):
        with open("/dev/full", "wb") as full:
            assert "No space left" in error_of(run(*words, stdout=full))


def test_nobody_listens() -> None:
    closed = {"preexec_fn": lambda: [os.close(fd) for fd in (0, 1, 2)]}
    done = subprocess.run([sys.executable, "-m", "tcpscope", "analyze", ZERO], cwd=ROOT, check=False, **closed)  # type: ignore[call-overload]
    assert done.returncode == 2


def test_a_failed_run_leaves_the_old_output_and_nothing_else(tmp_path: Path) -> None:
    old, broken = tmp_path / "old.csv", tmp_path / "broken.pcapng"
    old.write_text("old")
    broken.write_bytes(CAPTURES["a block of no length"][0])
    error_of(run("connections", broken, "--format", "csv", "-o", old))
    assert old.read_text() == "old"
    assert sorted(it.name for it in tmp_path.iterdir()) == ["broken.pcapng", "old.csv"]


@pytest.mark.parametrize("mask", [0o077, 0o022])
def test_files_have_the_user_s_umask(mask: int, tmp_path: Path) -> None:
    for words in (WRITERS[0], WRITERS[-2], WRITERS[-1], ("plot", ZERO, "rtt")):
        out = tmp_path / f"out{mask}.{'svg' if words[0] == 'plot' else 'x'}"
        out = out.with_suffix(".pcapng") if words[0] == "extract" else out
        assert run(*words, "-o", out, preexec_fn=lambda: os.umask(mask)).returncode == 0
        assert stat.S_IMODE(out.stat().st_mode) == 0o666 & ~mask
        out.unlink()


def test_a_link_stays_a_link_and_a_waiting_link_is_not_followed(tmp_path: Path) -> None:
    """The part beside the output has a name nobody can guess, and is made, never opened."""
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_text("old")
    link.symlink_to(target)
    assert run("connections", ZERO, "--format", "csv", "-o", link).returncode == 0
    assert link.is_symlink() and target.read_text().startswith("connection,")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    error_of(run("connections", ZERO, "-o", tmp_path / "loop"))


# ---------------------------------------------------------------- what a medium would obey

EVIL = "\x1b]0;pwned\x07\x1b[31m<script>alert(1)</script>=cmd|1\u202e\"'\n-->|`${x}%%"
OBEYED = "\x1b", "\u202e", "\x07"  # by a terminal


def conversation(path: str) -> list[bytes]:
    """An opening, and a request for `path` of a host of that name."""
    request = b"GET /" + path.encode() + b" HTTP/1.1\r\nHost: " + path.encode() + b"\r\n\r\n"
    client, server = {"sport": 4000, "dport": 80}, {"sport": 80, "dport": 4000, "src": b"\n\0\0\2", "dst": b"\n\0\0\1"}
    return [
        ethernet(ipv4(tcp(seq=999, flags=SYN, **client))),
        ethernet(ipv4(tcp(seq=4999, ack=1000, flags=SYN | ACK, **server), src=b"\n\0\0\2", dst=b"\n\0\0\1")),
        ethernet(ipv4(tcp(seq=1000, ack=5000, flags=ACK, **client))),
        ethernet(ipv4(tcp(request, seq=1000, ack=5000, flags=ACK | PSH, **client))),
        ethernet(ipv4(tcp(seq=5000, ack=1000 + len(request), flags=ACK, **server), src=b"\n\0\0\2", dst=b"\n\0\0\1")),
    ]


@pytest.fixture(scope="module")
def evil(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A capture that says EVIL wherever it can: in its name, its comments, its interface, its payload."""
    text = EVIL.encode()
    names = block(
        4, struct.pack("<HH", 1, 5 + len(text)) + b"\n\0\0\1" + text + b"\0" + bytes(-(5 + len(text)) % 4) + bytes(4)
    )
    head = section(options=option(1, text) + option(4, text)) + interface(options=option(2, text) + option(3, text))
    frames = conversation(EVIL.replace("\n", ""))
    path = tmp_path_factory.mktemp("evil") / (EVIL.replace("/", "") + ".pcapng")
    path.write_bytes(
        head + names + b"".join(enhanced(it, i * 1000, options=option(1, text)) for i, it in enumerate(frames))
    )
    return path


MARKUP = (  # where a tag would be obeyed; {} is the capture
    "diagram {} --format svg", "diagram {} --format html", "plot {} sequence --format svg",
    "plot {} sequence --format html", "report {} -o -", "check {} --format junit",
)  # fmt: skip
MEDIA = (
    *MARKUP, "analyze {}", "analyze {} -v", "analyze {} --format json", "analyze {}.gone", "connections {}",
    "connections {} --format csv", "connections {} --format json", "packets {}", "events {}", "sockets {}",
    "exchanges {}", "exchanges {} --format jsonl", "diagram {}", "diagram {} --format mermaid", "follow {}",
    "follow {} --format hex", "follow {} --format json", "check {}", "check {} --format json",
    "check {} --format sarif", "check {} --format markdown", "check {} --format github",
)  # fmt: skip


@pytest.mark.parametrize("writer", MEDIA)
def test_nothing_from_outside_is_obeyed(writer: str, evil: Path) -> None:
    done = run(*(word.replace("{}", str(evil)) for word in writer.split()))
    assert done.returncode in (0, 1, 2, 3), done.stderr
    assert b"Traceback" not in done.stderr
    assert "invalid choice" not in done.stderr.decode().lower(), done.stderr
    said = done.stdout.decode() + done.stderr.decode()
    for mark in OBEYED:
        assert mark not in said
    if writer in MARKUP:
        assert "<script>alert" not in said
    if ".gone" in writer:
        assert said.count("\n") == 1


def test_no_cell_of_a_spreadsheet_is_a_formula(evil: Path) -> None:
    for table in ("connections", "packets", "events"):
        for row in csv.reader(io.StringIO(run(table, evil, "--format", "csv").stdout.decode())):
            for cell in row:
                assert not cell.startswith(("=", "+", "@", "\t", "\r")), (table, cell)
                assert not cell.startswith("-") or cell[1:].replace(".", "").isdigit(), (table, cell)


def test_an_empty_capture_in_a_folder_is_not_passed_over(tmp_path):
    (tmp_path / "good.pcap").write_bytes((SAMPLES / "normal.pcap").read_bytes())
    (tmp_path / "notes.txt").write_text("not a capture")
    quiet = run("check", tmp_path)
    assert (quiet.returncode, quiet.stderr) == (0, b"")
    (tmp_path / "empty.pcap").touch()
    for command, code in (("analyze", 0), ("connections", 0), ("check", 3)):
        done = run(command, tmp_path)
        assert done.returncode == code and b"empty.pcap: the file is empty" in done.stderr + done.stdout, command
    assert "empty.pcap: the file is empty" in error_of(run("check", tmp_path, "--strict"))
