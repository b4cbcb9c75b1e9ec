"""The table format: aligned, in the time zone asked for, longer values push the others on."""

import fcntl
import io
import os
import pty
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest

from tcpscope.cli.connections import WIDTHS as CONNECTIONS
from tcpscope.cli.events import WIDTHS as EVENTS
from tcpscope.cli.packets import WIDTHS as PACKETS
from tcpscope.report.lines import OPTIONAL, fitted, left_out, print_lines, short, widened
from tests.tables.records import V4, record

ROOT = Path(__file__).parents[2]


def lines(widths, *records, utc=True):
    stream = io.StringIO()
    print_lines("events", [b"".join(records)], widths, utc, stream)
    return stream.getvalue().splitlines()


def test_columns_are_aligned():
    event = record("events", frame=7, ip=V4[0], ip_version=4, port=80)
    assert lines({"frame": -7, "ip": 10, "port": -4}, event) == [
        "  frame  ip          port",
        "      7  10.0.0.1      80",
    ]


def test_columns_are_as_wide_as_the_first_records_need():
    six = record("events", ip=bytes([0x20, 1, 0xD, 0xB8]) + bytes(range(16, 28)), ip_version=6, port=80)
    widths = widened("events", record("events", ip=V4[0], ip_version=4) + six, {"time": 26, "ip": 15, "port": -5})
    assert widths == {"time": 26, "ip": len("2001:db8:1011:1213:1415:1617:1819:1a1b"), "port": -5}
    assert widened("events", b"", {"ip": 15}) == {"ip": 15}


def test_narrow_terminals_do_without_some_columns():
    one = record("connections", client_addr=V4[0], server_addr=V4[0], ip_version=4, client_port=40000, server_port=80)
    assert fitted("connections", CONNECTIONS, 300, one) == CONNECTIONS
    narrow = fitted("connections", CONNECTIONS, 120, one)
    ends = [{"client": "client_ip", "server": "server_ip"}.get(name, name) for name in narrow]
    assert [name for name in CONNECTIONS if name in ends] == ends, "in their order"
    assert {"connection", "client", "server", "client_state", "server_state", "duration"} <= set(narrow)
    assert sum(abs(width) + 2 for width in narrow.values()) - 2 <= 120
    least = fitted("connections", CONNECTIONS, 40, one)
    assert least == {"connection": -10, "client": 14, "server": 11, "client_state": 12, "server_state": 12}
    assert left_out(CONNECTIONS, least) == [name for name in CONNECTIONS if name in OPTIONAL["connections"]]
    assert fitted("evidence", {"frame": -7, "time": 26}, 10) == {"frame": -7, "time": 26}


def test_narrow_terminals_have_addresses_with_their_ports():
    six = bytes([0x20, 1, 0xD, 0xB8]) + bytes(11) + b"\1"
    records = [record("connections", client_addr=V4[0], server_addr=V4[0], ip_version=4, client_port=40000),
               record("connections", client_addr=six, server_addr=six, ip_version=6, server_port=443)]  # fmt: skip
    widths = fitted("connections", CONNECTIONS, 80, b"".join(records))
    stream = io.StringIO()
    print_lines("connections", records, widths, True, stream)
    said = stream.getvalue().splitlines()
    assert max(map(len, said)) <= 80
    assert [line.split()[1:3] for line in said] == [
        ["client", "server"], ["10.0.0.1:40000", "10.0.0.1:0"], ["[2001:db8::1]:0", "[2001:db8::1]:443"]
    ]  # fmt: skip


def test_narrow_terminals_have_times_without_the_day():
    day = 86_400 * 10**9
    records = [record("events", time_ns=at, frame=7, ip=V4[0], ip_version=4) for at in (0, 1000, day)]
    widths = fitted("events", EVENTS, 70, b"".join(records))
    assert lines(widths, *records) == [
        "1970-01-01 UTC   frame  connection  endpoint  ip        old     new",
        "00:00:00.000000      7           0  client    10.0.0.1  CLOSED  CLOSED",
        "00:00:00.000001      7           0  client    10.0.0.1  CLOSED  CLOSED",
        "1970-01-02 00:00:00.000000      7           0  client    10.0.0.1  CLOSED  CLOSED",
    ]
    assert left_out(EVENTS, widths) == ["port", "event"]
    assert lines(widths) == ["time (UTC)       frame  connection  endpoint  ip        old     new"]


@pytest.mark.parametrize(("room", "without"), [
    (60, ["connection", "seq", "ack", "length", "window"]), (95, ["seq", "ack", "length", "window"]),
    (110, ["window"]), (120, []), (200, []),
])  # fmt: skip
def test_narrow_terminals_show_the_most_useful_of_packets(room, without):
    one = record("packets", time_ns=0, flags=0x18, annotations=1)
    widths = fitted("packets", PACKETS, room, one)
    assert left_out(PACKETS, widths) == without
    assert room == 60 or sum(abs(width) + 2 for width in widths.values()) - 2 <= room


@pytest.mark.parametrize(("columns", "whole"), [(100, False), (320, True)])
def test_a_terminal_is_told_what_is_left_out(columns, whole):
    master, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    command = [sys.executable, "-m", "tcpscope", "connections", "sample_pcaps/normal.pcap"]
    environment = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    subprocess.run(command, stdout=terminal, cwd=ROOT, env=environment, check=True)
    os.close(terminal)
    said = os.read(master, 65536).decode().splitlines()
    os.close(master)
    assert len(said) == 2 if whole else len(said) > 2
    assert ("history" in said[0]) == whole
    assert whole or said[2].startswith("no room here for: client_unique_bytes, ")
    assert all(len(line) <= columns for line in said)


def test_times_are_shown_in_a_zone(monkeypatch):
    import time

    event = record("events", time_ns=1_700_000_000_250_000_000, ip_version=4)
    assert lines({"time": 26}, event) == ["time (UTC)", "2023-11-14 22:13:20.250000"]
    monkeypatch.setenv("TZ", "XYZ-3")
    time.tzset()
    assert lines({"time": 26}, event, utc=False) == ["time (local)", "2023-11-15 01:13:20.250000"]
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, ""),
        (1.5, "1.5"),
        (2e-06, "0.000002"),
        (["a", "b"], "a,b"),
        ([[1, 2]], "1-2"),
        ("\x1b", "\\x1b"),
        (7, "7"),
    ],
)
def test_short(value, shown):
    assert short(value) == shown
