"""Each format says what the rows say, and a failed run leaves the old file."""

import csv
import io
import json
import os
import stat

import pytest

from tcpscope.errors import UsageError
from tcpscope.tables.schema import TABLES
from tcpscope.tables.write import cell, destination, write

ROW = {column.name: None for column in TABLES["events"]}
ROWS = [
    dict(ROW, time=1.5, frame=3, connection=0, endpoint="client", ip="10.0.0.1", port=80, kind="state", old="CLOSED",
         new="SYN_SENT", event="SENT_SYN", inferred=False),
    dict(ROW, time=2.25, frame=None, connection=0, endpoint="server", ip="::1", port=1, kind="state", old="LISTEN",
         new="SYN_RECEIVED", event="GOT_SYN", inferred=True),
]  # fmt: skip


def written(form):
    stream = io.BytesIO()
    write("events", iter(ROWS), form, stream)
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
def test_no_rows_are_a_valid_file(form):
    stream = io.BytesIO()
    write("packets", iter(()), form, stream)
    if form == "json":
        assert json.loads(stream.getvalue()) == []
    elif form == "csv":
        assert stream.getvalue().startswith(b"frame,time")


def test_cells():
    assert cell(None) == ""
    assert cell(["a", "b"]) == "a|b"
    assert cell([[1, 5], [7, 9]]) == "1-5|7-9"
    assert [cell(text) for text in ("=1+1", "+1", "-1", "@x", "plain")] == ["'=1+1", "'+1", "'-1", "'@x", "plain"]
    assert cell(-1.5) == -1.5


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
