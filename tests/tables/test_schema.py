"""Every column is declared once, comes from the record, and is documented."""

from pathlib import Path

import pytest

from tcpscope.replay import layout
from tcpscope.tables.document import document
from tcpscope.tables.rows import rows, unpacked
from tcpscope.tables.schema import LAYOUTS, TABLES

PACKETS = [
    "frame",
    "time",
    "connection",
    "sender",
    "src",
    "sport",
    "dst",
    "dport",
    "seq",
    "ack",
    "seq_raw",
    "ack_raw",
    "length",
    "window",
    "window_raw",
    "flags",
    "client_state",
    "server_state",
    "annotations",
    "retransmission_of",
    "acked_frame",
    "rtt",
    "bytes_in_flight",
    "wireshark",
]
EVENTS = ["time", "frame", "connection", "endpoint", "ip", "port", "kind", "old", "new"]
CONNECTIONS = [
    "connection",
    "client_ip",
    "client_port",
    "server_ip",
    "server_port",
    "start",
    "duration",
    "conn_state",
    "history",
    "completeness",
    "client_state",
    "server_state",
    "syn_rtt",
]
SIDE = [
    "packets",
    "data_packets",
    "bytes",
    "unique_bytes",
    "retransmissions",
    "retransmitted_bytes",
    "out_of_order",
    "pure_acks",
    "sack_packets",
    "dsack_packets",
    "duplicate_acks",
    "pushed_packets",
    "syn_packets",
    "fin_packets",
    "rst_packets",
    "zero_windows",
    "zero_window_probes",
    "keep_alives",
    "mss",
    "window_scale",
    "max_segment",
    "min_segment",
    "max_window",
    "min_window",
    "max_in_flight",
    "initial_window_bytes",
    "rtt_samples",
    "rtt_min",
    "rtt_mean",
    "rtt_max",
    "rtt_std",
    "idle_max",
    "throughput",
    "stream_length",
    "missed_bytes",
]


@pytest.mark.parametrize("table", TABLES)
def test_names_are_distinct_and_have_a_meaning(table):
    names = [column.name for column in TABLES[table]]
    assert len(names) == len(set(names))
    assert all(column.meaning for column in TABLES[table])
    assert {column.type for column in TABLES[table]} <= {"int", "float", "str", "bool", "list"}


@pytest.mark.parametrize(
    ("table", "contract"),
    [
        ("packets", PACKETS),
        ("events", EVENTS),
        ("connections", CONNECTIONS + [f"{role}_{name}" for role in layout.ROLES for name in SIDE]),
    ],
)
def test_the_contract_is_kept(table, contract):
    assert set(contract) <= {column.name for column in TABLES[table]}


@pytest.mark.parametrize("table", TABLES)
def test_a_record_of_zeros_gives_every_column(table):
    (row,) = rows(table, bytes(LAYOUTS[table].size))
    assert list(row) == [column.name for column in TABLES[table]]


@pytest.mark.parametrize("table", TABLES)
def test_every_field_of_the_record_is_used(table):
    """Ask each column what it reads."""

    class Spy(dict):
        def __missing__(self, key):
            raise AssertionError(key)

        def __getitem__(self, key):
            used.add(key)
            return super().__getitem__(key)

    used: set[str] = set()
    ((_, fields),) = unpacked(table, bytes(LAYOUTS[table].size))
    for column in TABLES[table]:
        column.value.values(Spy(fields))
    unused = {"order", "payload_at", "padding", "outer", "odd", "syn_ack_ns", "ack_ns", "first_side", "pause_by",
              "reset_bits", "reset_ttl", "echoed", "ignored", "reuse_gap_ms"}  # fmt: skip  # for the program
    assert set(LAYOUTS[table].names) - used <= unused


def test_the_documentation_is_up_to_date():
    page = Path(__file__).parents[2] / "docs" / "tables.md"
    assert page.read_text(encoding="utf-8") == document(), "python -m tcpscope.tables.document > docs/tables.md"
