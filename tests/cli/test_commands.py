"""The commands as they are used: real processes, their exit codes, output and errors."""

import gzip
import json
import os
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest

SAMPLES = Path(__file__).parents[2] / "sample_pcaps"
NORMAL = str(SAMPLES / "normal.pcap")
TABLES = ("connections", "packets", "events")


def run(*arguments, data=None, **environment):
    return subprocess.run(
        [sys.executable, "-m", "tcpscope", *map(str, arguments)],
        input=data, capture_output=True, env={**os.environ, **environment}, cwd=SAMPLES.parent, check=False,
    )  # fmt: skip


def error_of(done):
    lines = done.stderr.decode().splitlines()
    assert len(lines) == 1, lines
    assert lines[0].startswith("Error: ")
    assert done.returncode == 2
    return lines[0]


@pytest.mark.parametrize("command", TABLES)
@pytest.mark.parametrize("form", ["json", "jsonl", "csv", "table", "parquet"])
def test_every_table_in_every_format(command, form, tmp_path):
    out = tmp_path / "out"
    done = run(command, NORMAL, "--format", form, "-o", out)
    assert (done.returncode, done.stderr, done.stdout) == (0, b"", b"")
    data = out.read_bytes()
    if form == "jsonl":
        rows = [json.loads(line) for line in data.splitlines()]
    elif form == "json":
        rows = json.loads(data)
    elif form == "parquet":
        parquet = pytest.importorskip("pyarrow.parquet")
        rows = parquet.read_table(out).to_pylist()
    else:
        rows = data.splitlines()[1:]
    assert len(rows) == {"connections": 1, "packets": 11, "events": 10}[command]


def test_both_states_after_every_packet():
    rows = [json.loads(line) for line in run("packets", NORMAL, "--format", "jsonl").stdout.splitlines()]
    assert [(r["client_state"], r["server_state"]) for r in rows[:3]] == [
        ("SYN_SENT", "SYN_RECEIVED"), ("ESTABLISHED", "SYN_RECEIVED"), ("ESTABLISHED", "ESTABLISHED"),
    ]  # fmt: skip
    assert (rows[-1]["client_state"], rows[-1]["server_state"]) == ("TIME_WAIT", "CLOSED")


def test_analyze_says_it_all_in_json():
    answer = json.loads(run("analyze", SAMPLES / "zero_window.pcap", "--format", "json").stdout)
    assert set(answer) == {"summary", "connections", "findings", "warnings"}
    assert "zero_window" in {finding["id"] for finding in answer["findings"]}
    assert answer["summary"]["tcp_packets"] == answer["summary"]["packets"]


@pytest.mark.parametrize("width", ["60", "80", "120"])
def test_analyze_fits_the_width(width):
    text = run("analyze", SAMPLES / "short_connections.pcap", COLUMNS=width).stdout.decode()
    assert max(map(len, text.splitlines())) <= int(width)
    assert "TIME_WAIT" in text.replace("\n", "") or width == "60"
    assert "\x1b" not in text
    assert not any(line != line.rstrip() for line in text.splitlines())


def test_standard_input_is_as_good_as_a_file():
    data = (SAMPLES / "fin_lost.pcap").read_bytes()
    for command in TABLES:
        assert (
            run(command, "-", "--format", "jsonl", data=data).stdout
            == run(command, SAMPLES / "fin_lost.pcap", "--format", "jsonl").stdout
        )
    assert run("packets", "-", "--format", "jsonl", data=gzip.compress(data)).stdout.count(b"\n") == 12


def test_a_cut_capture_is_used_up_to_the_cut(tmp_path):
    cut = tmp_path / "cut.pcap"
    cut.write_bytes(Path(NORMAL).read_bytes()[:-10])
    done = run("packets", cut, "--format", "jsonl")
    assert done.returncode == 0
    assert done.stdout.count(b"\n") == 10
    assert done.stderr.decode().startswith("Warning: ") and "at byte" in done.stderr.decode()
    assert "at byte" in error_of(run("packets", cut, "--strict"))
    assert run("packets", cut, "-q").stderr == b""


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["analyze", "no-such-file.pcap"], "no such file"),
        (["analyze", "README.md"], "not a capture"),
        (["analyze", "docs"], "no capture in folder"),
        (["analyze"], "Missing argument"),
        (["analize", NORMAL], "did you mean analyze"),
        ([NORMAL], "did you mean tcpscope analyze"),
        (["packets", NORMAL, "--format", "xml"], "xml"),
        (["packets", NORMAL, "--state", "ESTABLISED"], "did you mean ESTABLISHED"),
        (["packets", NORMAL, "--nonsense"], "nonsense"),
        (["packets", NORMAL, "--from", "noon"], "no time"),
        (["packets", NORMAL, "--from", "+2", "--to", "+1"], "--from is later than --to"),
        (["packets", "-", "--from", "+1"], "need a file"),
        (["diagram", NORMAL, "-c", "7"], "no connection 7"),
        (["connections", NORMAL, "-o", "/no/such/folder/x"], "no such folder"),
    ],
)
def test_errors_are_one_line_that_helps(arguments, says):
    assert says in error_of(run(*arguments, data=b""))


def test_a_capture_without_tcp(tmp_path):
    datagram = bytes(12) + b"\x08\0" + bytes.fromhex("4500001c000000004011000001010101020202020035003500080000")
    capture = (SAMPLES / "normal.pcap").read_bytes()[:24] + struct.pack("<IIII", 1, 0, len(datagram), len(datagram))
    done = run("analyze", "-", data=capture + datagram)
    said = done.stdout.decode()
    assert done.returncode == 0 and said.startswith("standard input ("), said
    assert "not TCP: 1 udp" in said and "no TCP connection" in said and "nothing odd" not in said
    path = tmp_path / "udp.pcap"
    path.write_bytes(capture + datagram)
    assert "no TCP connection" in run("sockets", path).stdout.decode()
    for arguments in (["diagram"], ["exchanges"], ["follow"], ["report", "-c", "0"], ["extract", "-c", "0"]):
        assert "the capture has no TCP connection" in error_of(run(*arguments, path)), arguments
    for kind in ("sequence", "states"):
        assert "the capture has no TCP connection" in error_of(run("plot", path, kind)), kind


def test_an_empty_file_is_an_error(tmp_path):
    (tmp_path / "empty").touch()
    error_of(run("analyze", tmp_path / "empty"))


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
def test_a_full_disk_is_one_line():
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "tcpscope", "packets", NORMAL, "--format", "csv"],
            stdout=full, stderr=subprocess.PIPE, cwd=SAMPLES.parent, check=False,
        )  # fmt: skip
    assert done.returncode == 2
    assert [line[:7] for line in done.stderr.splitlines()] == [b"Error: "]


def test_a_closed_pipe_is_no_error():
    command = f"{sys.executable} -m tcpscope packets {SAMPLES / 'bulk.pcap'} --format jsonl | head -n 1"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command], capture_output=True, cwd=SAMPLES.parent, check=False
    )
    assert (done.returncode, done.stderr, done.stdout.count(b"\n")) == (0, b"", 1)


def test_control_c_is_quiet():
    process = subprocess.Popen(
        [sys.executable, "-m", "tcpscope", "analyze", "-"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=SAMPLES.parent,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a job in the background may ignore it
    )  # fmt: skip
    assert process.stdin
    process.stdin.write(Path(NORMAL).read_bytes()[:500])
    process.stdin.flush()
    time.sleep(1.0)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=10)
    assert (process.returncode, errors) == (130, b"")


def test_hostile_names_are_shown_harmless(tmp_path):
    name = tmp_path / "a\x1b[31m\u202eb.pcap"
    name.write_bytes(Path(NORMAL).read_bytes())
    text = run("analyze", name).stdout.decode()
    assert "\x1b" not in text and "\u202e" not in text
    assert "\\x1b[31m\\u202eb.pcap" in text


@pytest.mark.parametrize("command", ["analyze", "connections", "packets", "events", "diagram"])
def test_help_has_examples(command):
    text = run(command, "--help").stdout.decode()
    assert "Examples:" in text and f"tcpscope {command}" in text


def test_version_and_help():
    assert run("--version").stdout.startswith(b"tcpscope 0.")
    assert b"Exit codes" in run("--help").stdout
    assert run().stdout == run("--help").stdout


@pytest.mark.parametrize("code", ["import tcpscope", "analyze"])
def test_what_is_heavy_is_not_loaded(code):
    heavy = ["pandas", "numpy", "pyarrow", "pyshark", "asyncio", "matplotlib", "dask", "orjson"]
    if code == "analyze":
        code = f"import tcpscope.cli as c\ntry: c.main(['analyze', {NORMAL!r}])\nexcept SystemExit: pass"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print([m for m in {heavy} if m in sys.modules], file=sys.stderr)"],
        capture_output=True, cwd=SAMPLES.parent, check=True,
    )  # fmt: skip
    assert done.stderr.strip() == b"[]"


def test_the_ladder_shows_the_lost_fin():
    lines = run("diagram", SAMPLES / "fin_lost.pcap").stdout.decode().splitlines()
    (lost,) = [line for line in lines if "✗" in line and "│" in line]
    assert "FIN_WAIT_1" in lost and "CLOSE_WAIT" not in lost
    (again,) = [line for line in lines if "╌▶" in line]
    assert again.split()[-2:] == ["CLOSE_WAIT", "213ms"]
    ascii_lines = run("diagram", SAMPLES / "fin_lost.pcap", "--ascii", "--width", "80").stdout
    assert ascii_lines.isascii() and max(map(len, ascii_lines.splitlines())) <= 80


def test_a_name_cannot_break_the_line(tmp_path):
    name = tmp_path / "a\x1b[31m\nError: b"
    name.write_text("no capture")
    assert "a\\x1b[31m\\x0aError: b" in error_of(run("analyze", name))


@pytest.mark.parametrize("command", ["analyze", *TABLES])
def test_closed_streams_are_one_line_at_most(command):
    for redirect in (f"{NORMAL} >&-", "- <&-"):
        done = subprocess.run(
            ["bash", "-c", f"{sys.executable} -m tcpscope {command} {redirect}"],
            capture_output=True, cwd=SAMPLES.parent, check=False,
        )  # fmt: skip
        assert "closed" in error_of(done)
    silent = subprocess.run(
        ["bash", "-c", f"{sys.executable} -m tcpscope {command} no-such-file 2>&-"], cwd=SAMPLES.parent, check=False
    )
    assert silent.returncode == 2


def test_a_pipe_by_name_is_read_once():
    """`<(zcat capture)` is a path, and yet it cannot be read twice."""
    command = f"{sys.executable} -m tcpscope packets <(cat {SAMPLES / 'bulk.pcap'}) --format jsonl"
    done = subprocess.run(["bash", "-c", command], capture_output=True, cwd=SAMPLES.parent, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout == run("packets", SAMPLES / "bulk.pcap", "--format", "jsonl").stdout


@pytest.mark.parametrize("command", ["analyze", *TABLES, "diagram"])
def test_the_capture_is_not_overwritten(command, tmp_path):
    path = tmp_path / "capture.pcap"
    path.write_bytes(Path(NORMAL).read_bytes())
    assert "the capture itself" in error_of(run(command, path, "-o", path))
    assert path.read_bytes() == Path(NORMAL).read_bytes()


def test_connections_that_have_an_annotated_packet():
    folder = [SAMPLES / "normal.pcap", SAMPLES / "zero_window.pcap"]
    out = run("connections", *folder, "--annotation", "zero_window", "--format", "jsonl").stdout
    assert [json.loads(line)["client_zero_windows"] > 0 for line in out.splitlines()] == [True]
    assert run("connections", NORMAL, "--annotation", "zero-window", "--format", "jsonl").stdout == b""
    assert "give a file" in error_of(run("connections", "-", "--annotation", "urgent", data=Path(NORMAL).read_bytes()))


def test_local_time():
    utc = run("events", NORMAL, TZ="XYZ-3").stdout.decode().splitlines()
    local = run("events", NORMAL, "--local", TZ="XYZ-3").stdout.decode().splitlines()
    assert utc[0].startswith("time (UTC)") and local[0].startswith("time (local)")
    assert utc[1] != local[1] and utc[1][20:] == local[1][20:]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("explain zero", b"plain,zero_window"),
        ("plot capture.pcap state", b"plain,states"),
        ("plot cap", b"file,cap"),
        ("live -i l", b"plain,lo"),
    ],
)
def test_the_shell_completes_what_a_command_takes(words, expected):
    done = run(_TCPSCOPE_COMPLETE="bash_complete", COMP_WORDS=f"tcpscope {words}", COMP_CWORD=str(len(words.split())))
    assert expected in done.stdout.splitlines()


def test_the_shell_completes_words():
    done = run(_TCPSCOPE_COMPLETE="bash_complete", COMP_WORDS="tcpscope packets --annotation zero", COMP_CWORD="3")
    assert b"plain,zero_window_probe\n" in done.stdout
    done = run(_TCPSCOPE_COMPLETE="bash_complete", COMP_WORDS="tcpscope packets --state time", COMP_CWORD="3")
    assert done.stdout == b"plain,TIME_WAIT\n"


def test_a_damaged_capture_ends_strictly_before_anything_is_written(tmp_path):
    (tmp_path / "cut.pcap").write_bytes(Path(NORMAL).read_bytes()[:-10])
    for command in ("analyze", *TABLES):
        error_of(run(command, tmp_path / "cut.pcap", "--strict", "-o", tmp_path / "out"))
    assert os.listdir(tmp_path) == ["cut.pcap"]


@pytest.mark.parametrize(
    "arguments",
    [["connections"], ["packets"], ["events"], ["sockets"], ["sockets", "--count"], ["packets", "--format", "csv"]],
)
def test_a_connection_that_is_not_there_is_an_error(arguments):
    done = run(arguments[0], NORMAL, *arguments[1:], "-c", 7)
    assert (
        done.stderr.decode() == "Error: no connection 7: the capture has 1, counted from 0\n" and done.returncode == 2
    )
    assert "-99 is not in the range" in error_of(run(arguments[0], NORMAL, "-c", -99))


@pytest.mark.parametrize("zone", [[], ["--local"]])
def test_times_are_taken_back_as_they_are_printed(zone):
    def rows(*more):
        done = run("packets", NORMAL, *zone, *more, TZ="America/New_York", COLUMNS="200")
        return done.stdout.decode().splitlines()[1:]

    fourth = rows()[3]
    when = " ".join(fourth.split()[1:3]) if fourth.split()[0].isdigit() else " ".join(fourth.split()[:2])
    assert rows("--from", when)[0] == fourth
    assert rows("--from", run("analyze", NORMAL).stdout.decode().splitlines()[1].split(",")[0])[0] == rows()[0] or zone


def test_a_date_that_no_time_zone_reaches_is_a_date_all_the_same():
    done = run("packets", NORMAL, "--local", "--from", "9999-12-31T23:59:59", TZ="America/New_York")
    assert done.returncode == 0 and len(done.stdout.splitlines()) == 1


@pytest.mark.parametrize(("name", "begins"), [
    ("x.csv", b"connection,client_ip,"), ("x.JSON", b"["), ("x.jsonl", b'{"connection":'), ("x.parquet", b"PAR1"),
    ("x.txt", b"connection  client_ip"), ("x", b"connection  client_ip"),
])  # fmt: skip
def test_the_name_of_the_output_says_the_format(name, begins, tmp_path):
    assert run("connections", NORMAL, "-o", tmp_path / name).returncode == 0
    assert (tmp_path / name).read_bytes().startswith(begins)
    assert run("connections", NORMAL, "-o", tmp_path / name, "--format", "csv").returncode == 0
    assert (tmp_path / name).read_bytes().startswith(b"connection,client_ip,")


@pytest.mark.parametrize(("command", "name"), [
    ("analyze", "x.html"), ("packets", "x.xlsx"), ("connections", "x.xml"), ("check", "x.csv"), ("diagram", "x.png"),
    ("report", "x.pdf"), ("exchanges", "x.parquet"), ("packets", "x.csv.gz"),
])  # fmt: skip
def test_what_the_name_of_the_output_promises_is_not_written_wrongly(command, name, tmp_path):
    said = error_of(run(command, NORMAL, "-o", tmp_path / name))
    assert f"no {Path(name).suffix} is written here; end the name in one of ." in said
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("name", "begins"), [("v.xml", b"<testsuites"), ("v.sarif", b"{"), ("v.md", b"#")])
def test_a_verdict_has_the_format_of_its_name(name, begins, tmp_path):
    run("check", NORMAL, "-o", tmp_path / name)
    assert (tmp_path / name).read_bytes().lstrip().startswith(begins)


@pytest.mark.parametrize("command", ["packets", "events"])
def test_of_several_captures_a_frame_is_said_to_be_of_one(command):
    refused = str(SAMPLES / "refused.pcap")
    lines = run(command, NORMAL, refused).stdout.decode().splitlines()
    assert lines[0].startswith("file          ")
    assert (lines[1].split()[0], lines[-1].split()[0]) == ("normal.pcap", "refused.pcap")
    assert not run(command, NORMAL).stdout.startswith(b"file")
