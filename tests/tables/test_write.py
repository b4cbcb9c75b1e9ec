"""Each format says what the rows say, and a failed run leaves the old file."""

import csv
import io
import json
import os
import stat

import pytest

from tcpscope.errors import UsageError
from tcpscope.replay.layout import STATES
from tcpscope.replay.states import Event
from tcpscope.tables.output import destination
from tcpscope.tables.rows import CHUNK, by_number, by_time
from tcpscope.tables.schema import TABLES
from tcpscope.tables.write import Records, cell, write, write_document
from tests.tables.records import V4, record

ROW = {column.name: None for column in TABLES["events"]}
ROWS = [
    dict(ROW, time=1.5, time_ns=1_500_000_000, frame=3, file=0, connection=0, endpoint="client", ip="10.0.0.1",
         port=80, kind="state", old="CLOSED", new="SYN_SENT", event="SENT_SYN", inferred=False),
    dict(ROW, time=2.25, time_ns=2_250_000_000, frame=None, file=0, connection=0, endpoint="server", ip="::1",
         port=1, kind="state", old="LISTEN", new="SYN_RECEIVED", event="GOT_SYN", inferred=True),
]  # fmt: skip
RECORDS = record(
    "events", time_ns=1_500_000_000, frame=3, ip=V4[0], ip_version=4, port=80, old=STATES.index("CLOSED"),
    new=STATES.index("SYN_SENT"), event=Event.SENT_SYN,
) + record(
    "events", time_ns=2_250_000_000, endpoint=1, ip=bytes(15) + b"\1", ip_version=6, port=1,
    old=STATES.index("LISTEN"), new=STATES.index("SYN_RECEIVED"), event=Event.GOT_SYN, inferred=1,
)  # fmt: skip


def written(form, table="events", chunks=(RECORDS,)):
    stream = io.BytesIO()
    write(table, chunks, form, stream)
    return stream.getvalue()


def test_json_lines():
    assert [json.loads(line) for line in written("jsonl").splitlines()] == ROWS


def test_json():
    assert json.loads(written("json")) == ROWS


def test_csv():
    found = list(csv.DictReader(io.StringIO(written("csv").decode())))
    assert [row["new"] for row in found] == ["SYN_SENT", "SYN_RECEIVED"]
    assert [row["frame"] for row in found] == ["3", ""]


def test_parquet():
    parquet = pytest.importorskip("pyarrow.parquet")
    table = parquet.read_table(io.BytesIO(written("parquet")))
    assert table.to_pylist() == ROWS
    assert table.schema.field("time").metadata[b"unit"] == b"s"


@pytest.mark.parametrize("form", ["json", "jsonl", "csv", "parquet"])
@pytest.mark.parametrize("chunks", [[], [b""]])
def test_no_rows_are_a_valid_file(form, chunks):
    found = written(form, "packets", chunks)
    if form == "json":
        assert json.loads(found) == []
    elif form == "csv":
        assert found.startswith(b"frame,time") and found.count(b"\n") == 1
    elif form == "parquet":
        assert pytest.importorskip("pyarrow.parquet").read_table(io.BytesIO(found)).num_rows == 0
    else:
        assert found == b""


@pytest.mark.parametrize("chunks", [[RECORDS * (CHUNK + 1)], [RECORDS] * (CHUNK + 1)])
def test_chunks_do_not_show(chunks):
    want = ROWS * (CHUNK + 1)
    assert [json.loads(line) for line in written("jsonl", chunks=chunks).splitlines()] == want
    assert json.loads(written("json", chunks=chunks)) == want
    assert written("csv", chunks=chunks).count(b"\n") == len(want) + 1


def test_a_document_streams_its_rows():
    stream = io.BytesIO()
    write_document({"a": {"b": 1}, "rows": Records("events", [RECORDS]), "none": Records("events", [])}, stream)
    assert json.loads(stream.getvalue()) == {"a": {"b": 1}, "rows": ROWS, "none": []}


def test_cells():
    assert cell(None) is None
    assert cell(["a", "b"]) == "a|b"
    assert cell([[1, 5], [7, 9]]) == "1-5|7-9"
    assert [cell(text) for text in ("=1+1", "+1", "-1", "@x", "plain")] == ["'=1+1", "'+1", "'-1", "'@x", "plain"]


def test_history_is_no_formula():
    row = record("connections", history=b"-Sh", icmp_type=255)
    (found,) = csv.DictReader(io.StringIO(written("csv", "connections", [row]).decode()))
    assert (found["history"], found["icmp"]) == ("'-Sh", "")


def test_connections_by_number_events_by_time():
    numbered = [record("connections", connection=n) for n in (2, 0, 1)]
    assert by_number(b"".join(numbered)) == numbered[1] + numbered[2] + numbered[0]
    timed = [record("events", time_ns=t, port=p) for t, p in ((5, 1), (3, 2), (5, 3))]
    assert by_time(b"".join(timed)) == timed[1] + timed[0] + timed[2]


def test_a_device_is_written_to_and_a_link_stays_a_link(tmp_path):
    (tmp_path / "file").write_text("old")
    (tmp_path / "link").symlink_to("file")
    with destination(str(tmp_path / "link")) as stream:
        stream.write(b"new")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "file").read_text() == "new"
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    with destination(str(tmp_path / "pipe")) as stream:
        stream.write(b"x")
    assert os.read(reader, 9) == b"x" and stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)
    os.close(reader)


def test_a_failed_run_leaves_the_old_file(tmp_path):
    target = tmp_path / "out"
    target.write_text("old")
    with pytest.raises(ZeroDivisionError), destination(str(target)) as stream:
        stream.write(b"half")
        raise ZeroDivisionError
    assert target.read_text() == "old"
    assert os.listdir(tmp_path) == ["out"]


def test_a_file_has_the_rights_of_the_umask(tmp_path):
    before = os.umask(0o027)
    try:
        with destination(str(tmp_path / "out")) as stream:
            stream.write(b"x")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "out").stat().st_mode) == 0o640


def test_no_folder_no_file(tmp_path):
    with pytest.raises(UsageError, match="no such folder"), destination(str(tmp_path / "no" / "out")):
        pass
    with pytest.raises(UsageError, match="it is a folder"), destination(str(tmp_path)):
        pass
