"""`tcpscope.read`: the same tables as DataFrames."""

import gzip
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import tcpscope
from tcpscope.check import judge, render_violation
from tcpscope.diagnose import facts
from tcpscope.replay.engine import Engine
from tcpscope.replay.oddness import oddest
from tcpscope.tables import analysis, pipeline, rows
from tcpscope.wire.merge import MergedReader

SAMPLES = Path(__file__).parents[1] / "sample_pcaps"


def test_a_capture_has_three_tables():
    capture = tcpscope.read(SAMPLES / "zero_window.pcap")
    assert len(capture) == len(capture.connections) == 1
    assert set(capture.packets["connection"]) == {0}
    assert list(capture.events.loc[capture.events["endpoint"] == "client", "new"])[:2] == ["SYN_SENT", "ESTABLISHED"]
    assert str(capture.packets["frame"].dtype) == "Int64"
    assert str(capture.packets["rtt"].dtype) == "float64"
    assert str(capture.packets["client_state"].dtype) == "category"
    assert "zero_window_probe" in {word for words in capture.packets["annotations"] for word in words}
    assert [finding.id for finding in capture.findings] == ["zero_window"]
    assert capture.warnings == []


def test_a_connection_shows_its_columns():
    connection = tcpscope.read(str(SAMPLES / "fin_lost.pcap")).connection(0)
    assert (connection.client_state, connection.server_state, connection.close) == ("TIME_WAIT", "CLOSED", "fin")
    assert len(connection.packets) == connection.client_packets + connection.server_packets
    assert set(connection.events["endpoint"]) == {"client", "server"}
    assert "10.1.0.1:40000 TIME_WAIT" in repr(connection)
    assert "<table>" in connection._repr_html_()
    with pytest.raises(AttributeError, match="no column 'colour'"):
        connection.colour  # noqa: B018


@pytest.mark.parametrize("msl", [-1, float("nan"), float("inf"), 1e10, "30", None, True])
def test_a_wrong_lifetime_is_told(msl):
    with pytest.raises(tcpscope.UsageError, match=r"msl: .* is no number of seconds from 0 to"):
        tcpscope.read(SAMPLES / "normal.pcap", msl=msl)
    with pytest.raises(tcpscope.UsageError, match="msl"):
        tcpscope.live("lo", msl=msl)


def test_a_wrong_number_is_told():
    with pytest.raises(tcpscope.UsageError, match="the capture has 1"):
        tcpscope.read(SAMPLES / "normal.pcap").connection(1)


def test_what_is_no_capture_is_told(tmp_path):
    (tmp_path / "x").write_text("hello")
    with pytest.raises(tcpscope.CaptureError, match="not a capture"):
        tcpscope.read(tmp_path / "x")


def test_names_are_escaped_in_html(tmp_path):
    path = tmp_path / "<script>alert(1)<"
    path.write_bytes((SAMPLES / "normal.pcap").read_bytes())
    assert "<script>" not in tcpscope.read(path)._repr_html_()


def pieces(path, count, folder):
    """The classic pcap file cut into several, whole records each."""
    data = path.read_bytes()
    records, at = [], 24
    while at < len(data):
        size = 16 + int.from_bytes(data[at + 8 : at + 12], "little")
        records.append(data[at : at + size])
        at += size
    step = -(-len(records) // count)
    for number in range(count):
        chunk = b"".join(records[number * step : (number + 1) * step])
        (folder / f"part{number}.pcap").write_bytes(data[:24] + chunk)
    return [folder / f"part{number}.pcap" for number in range(count)]


def but_frames(table):
    """Without the columns that count frames, which a piece counts anew."""
    return table[
        [it for it in table.columns if it not in ("frame", "file", "retransmission_of") and "_frame" not in it]
    ]


@pytest.mark.parametrize("name", ["fin_lost.pcap", "bulk.pcap", "short_connections.pcap", "last_ack_lost.pcap"])
@pytest.mark.parametrize("count", [2, 5])
def test_a_capture_cut_in_pieces_is_the_same_capture(name, count, tmp_path):
    whole = tcpscope.read(SAMPLES / name)
    cut = tcpscope.read(pieces(SAMPLES / name, count, tmp_path))
    folder = tcpscope.read(tmp_path)
    for table in ("connections", "packets", "events"):
        want = but_frames(getattr(whole, table))
        assert want.equals(but_frames(getattr(cut, table)))
        assert want.equals(but_frames(getattr(folder, table)))


def test_compressed_is_the_same(tmp_path):
    (tmp_path / "x").write_bytes(gzip.compress((SAMPLES / "fin_lost.pcap").read_bytes()))
    assert tcpscope.read(tmp_path / "x").packets.equals(tcpscope.read(SAMPLES / "fin_lost.pcap").packets)


def test_standard_input_past_the_cap_is_settled_early(monkeypatch):
    """With room for few rows the states of the first are told by what was known then; none is lost."""
    found = analysis.locate(SAMPLES / "bulk.pcap")
    result, chunks = analysis.packets(found)
    total = sum(map(len, chunks))
    monkeypatch.setattr(analysis, "KEEP_ROWS", 10)
    monkeypatch.setattr(pipeline, "BATCH", 64)
    early = list(analysis._packets_once(found, result, 30 * 10**9, False, None))
    assert sum(map(len, early)) == total and len(early) > 2


def small_batches(monkeypatch):
    """So small that every sample goes through the pool of threads."""
    for name, value in {
        "SMALL": 1,
        "SHARED_BATCH": 40,
        "BATCH": 32,
        "STRETCH": 2,
        "SHARED_STRETCH": 2,
        "FEW": 1,
        "ENDED": 3,
    }.items():
        monkeypatch.setattr(pipeline, name, value)


def tables(found, threads):
    result = analysis.analyse(found, threads=threads)
    packets = b"".join(analysis.packets_again(found, result, msl=analysis.DEFAULT_MSL, by_tunnel=False))
    return rows.by_number(result.connections), rows.by_time(result.events), packets, result.counters


@pytest.mark.parametrize("path", sorted(SAMPLES.glob("*.pcap*")), ids=lambda path: path.name)
def test_the_number_of_threads_changes_nothing(monkeypatch, path):
    found = analysis.locate(path)
    alone = tables(found, 1)
    small_batches(monkeypatch)
    for threads in (2, 3, 16):
        assert tables(found, threads) == alone


@pytest.mark.parametrize("most_odd", [1, 3, 1000])
@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("path", sorted(SAMPLES.glob("*.pcap*")), ids=lambda path: path.name)
def test_in_brief_the_odd_and_a_few_others_are_told(monkeypatch, path, threads, most_odd):
    small_batches(monkeypatch)
    monkeypatch.setattr(facts, "MOST", most_odd)
    found, few = analysis.locate(path), 2
    whole = analysis.analyse(found)
    brief = list(analysis.stream(found, threads=threads, most_odd=most_odd, most_plain=few)[1])
    wanted, ends = facts.Collected(), facts.Collected()
    wanted.take(whole.connections, whole.evidence)
    for it in brief:
        ends.take(it.connections, it.evidence, it.briefs)
    for each in wanted, ends:
        each.close()
    assert ends.census.pairs_of(1) == wanted.census.pairs_of(1)
    assert (ends.beyond, ends.half_open) == (wanted.beyond, wanted.half_open)
    assert sorted((f.number, f.proofs) for f in ends.facts) == sorted((f.number, f.proofs) for f in wanted.facts)
    for most in range(1, few + 1):
        told = [(odd, number) for odd, number, _ in oddest(b"".join(it.connections for it in brief), most)]
        assert told == [(odd, number) for odd, number, _ in oddest(whole.connections, most)]
    assert not any(it.events for it in brief)


def test_what_fails_in_a_thread_is_raised(monkeypatch):
    small_batches(monkeypatch)
    found = analysis.locate(SAMPLES / "short_connections.pcap")

    class Reader:
        def __init__(self, captures):
            self.reader, self.calls = MergedReader(captures), 0

        def fill(self, batch):
            self.calls += 1
            if self.calls > 3:
                raise MemoryError("no room")
            return self.reader.fill(batch)

    for made in (
        pipeline.replayed(Reader(found.captures), 2),
        pipeline.recorded(Reader(found.captures), Engine(packets=True)),
    ):
        with pytest.raises(MemoryError, match="no room"):
            list(made)


def test_a_pool_that_is_given_up_ends(monkeypatch):
    small_batches(monkeypatch)
    before = threading.active_count()
    with MergedReader(analysis.locate(SAMPLES / "bulk.pcap").captures) as reader:
        made = pipeline.replayed(reader, 3)
        next(made)
        made.close()
    assert threading.active_count() == before


def test_a_connection_draws_its_ladder():
    connection = tcpscope.read(SAMPLES / "fin_lost.pcap").connection(0)
    assert "✗" in connection.diagram() and connection.diagram(ascii_only=True).isascii()
    assert connection.diagram("mermaid", handshake=True).startswith("sequenceDiagram")
    assert "<svg" in connection._repr_html_()
    for wrong in ({"format": "png"}, {"colour": "red"}, {"around": 99}):
        with pytest.raises(tcpscope.UsageError):
            connection.diagram(**wrong)


def test_a_ladder_of_standard_input_is_the_same():
    path = SAMPLES / "fin_lost.pcap"
    code = "import tcpscope; print(tcpscope.read('-').connection(0).diagram('json'), end='')"
    with path.open("rb") as stream:
        piped = subprocess.run([sys.executable, "-c", code], stdin=stream, capture_output=True, check=True)
    assert json.loads(piped.stdout) == json.loads(tcpscope.read(path).connection(0).diagram("json"))


def test_a_notebook_shows_the_table_where_the_file_is_gone(tmp_path):
    path = tmp_path / "a.pcap"
    path.write_bytes((SAMPLES / "normal.pcap").read_bytes())
    connection = tcpscope.read(path).connection(0)
    path.unlink()
    assert "<table>" in connection._repr_html_() and "<svg" not in connection._repr_html_()


def test_a_connection_gives_its_streams():
    connection = tcpscope.read(SAMPLES / "normal.pcap").connection(0)
    assert connection.stream("client") == b"GET / HTTP/1.0\r\n\r\n"
    assert len(connection.stream("server", gaps="fail")) == connection.server_unique_bytes
    request, answer = connection.follow()
    assert (request.side, request.kind, request.offset, request.frame) == ("client", "data", 0, 4)
    assert request.data == connection.stream("client") and isinstance(request, tcpscope.Piece)
    assert [piece.side for piece in connection.follow("server")] == ["server"] and answer.time > request.time
    for wrong in ({"side": "peer"}, {"side": "client", "gaps": "fill"}):
        with pytest.raises(tcpscope.UsageError, match="there are"):
            connection.stream(**wrong)


def test_exchanges_are_those_of_the_command():
    table = tcpscope.read(SAMPLES / "slow_server.pcap").connection(0).exchanges()
    assert len(table) == 1 and table.request_bytes[0] == 18 and table.response_bytes[0] == 619
    assert 1.19 < table.server_time[0] < 1.25 and table.network[0] < 0.02
    assert tcpscope.read(SAMPLES / "refused.pcap").connection(0).exchanges().empty


@pytest.mark.parametrize("name", ["refused.pcap", "one_direction.pcap", "ipv6.pcapng", "network_down.pcap"])
def test_types_do_not_depend_on_what_is_known(name):
    found, usual = tcpscope.read(SAMPLES / name), tcpscope.read(SAMPLES / "slow_server.pcap")
    for table in ("connections", "packets", "events"):
        assert getattr(found, table).dtypes.map(str).to_dict() == getattr(usual, table).dtypes.map(str).to_dict()
    some, none = usual.connection(0).exchanges(), found.connection(0).exchanges()
    assert none.dtypes.to_dict() == some.dtypes.to_dict()


TYPED = """
from pathlib import Path
import tcpscope
from tcpscope import check, testing

def use(path: Path) -> None:
    capture = tcpscope.read(path)
    capture.plot("states", path=path).save(path)
    capture.connection(0).plot("rtt", path=path)
    capture.report(path)
    text: str = check.render_violation(capture, check.judge(capture).violations[0])
    testing.assert_tcp(capture).connection(port=80)
"""


def test_a_type_checker_takes_what_there_is_and_nothing_else(tmp_path):
    pytest.importorskip("mypy")
    path = tmp_path / "use.py"
    path.write_text(TYPED + "    tcpscope.nothing\n    check.nothing\n    testing.nothing\n")
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "--cache-dir", SAMPLES.parent / ".mypy_cache",
         path],
        capture_output=True, text=True, check=False, env={**os.environ, "MYPYPATH": str(SAMPLES.parent)},
    )  # fmt: skip
    wrong = [line.partition("error: ")[2] for line in done.stdout.splitlines()]
    assert len(wrong) == 3 and all("no attribute" in it and "nothing" in it for it in wrong), done.stdout + done.stderr


def test_paths_are_taken_as_they_are(tmp_path):
    capture = tcpscope.read(SAMPLES / "normal.pcap")
    connection = capture.connection(0)
    capture.report(tmp_path / "it.html")
    connection.plot("sequence", path=tmp_path / "it.json").save(tmp_path / "two.json")
    assert sorted(it.name for it in tmp_path.iterdir()) == ["it.html", "it.json", "two.json"]


def test_lists_are_tuples_in_a_row_as_in_a_table():
    capture = tcpscope.read(SAMPLES / "normal.pcap")
    for name, value in capture.connection(0).row.items():
        assert not isinstance(value, list), name
    assert capture.connection(0).client_syn_options == capture.connections.client_syn_options[0]


SECOND_READINGS = {
    "packets": lambda capture: capture.packets,
    "stream": lambda capture: capture.connection(0).stream("client"),
    "diagram": lambda capture: capture.connection(0).diagram(),
    "report": lambda capture: capture.report(os.devnull),
    "sockets": lambda capture: capture.sockets(),
    "ladder": lambda capture: render_violation(capture, next(it for it in judge(capture, SHORT).violations)),
}
SHORT = {"version": 1, "rules": [{"id": "short", "max": {"packets": 1}}]}


@pytest.mark.parametrize("again", SECOND_READINGS.values(), ids=SECOND_READINGS)
def test_a_file_that_changes_is_not_read_again(again, tmp_path, monkeypatch):
    path = tmp_path / "it.pcap"
    whole = (SAMPLES / "normal.pcap").read_bytes()
    path.write_bytes(whole)
    monkeypatch.chdir(tmp_path)
    relative, grown, replaced, gone = (tcpscope.read("it.pcap") for _ in range(4))
    monkeypatch.chdir("/")
    again(relative)
    path.write_bytes(whole + whole[24:])
    with pytest.raises(tcpscope.CaptureError, match=r"^it\.pcap has changed since it was read"):
        again(grown)
    path.write_bytes((SAMPLES / "refused.pcap").read_bytes())
    with pytest.raises(tcpscope.CaptureError, match="has changed"):
        again(replaced)
    path.unlink()
    with pytest.raises(tcpscope.CaptureError, match=r"^it\.pcap: no such file"):
        again(gone)


def test_a_pipe_is_told_from_a_file(tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    threading.Thread(target=path.write_bytes, args=[(SAMPLES / "normal.pcap").read_bytes()]).start()
    capture = tcpscope.read(path)
    assert len(capture.packets) > 5
    with pytest.raises(tcpscope.UsageError, match="give a file, not a pipe"):
        capture.connection(0).stream("client")
