"""The measuring instruments: costs are those of the program, captures are what they say."""

import io
import sys

import numpy as np
import pytest

from tcpscope.wire.batch import SegmentBatch
from tcpscope.wire.reader import SegmentReader
from tests.benchmarks import measure, synthetic, table, workload


def python(code, **more):
    return measure.Program("python", (sys.executable, "-c", code), 1, **more)


def test_a_cost_is_that_of_the_program():
    idle = measure.run(python("import time; time.sleep(0.3)"))
    busy = measure.run(python("import time\nwhile time.process_time() < 0.3: pass"))
    large = measure.run(python("kept = b'x' * 100_000_000"))
    assert idle.wall >= 0.3 > idle.cpu
    assert busy.wall > 0.29 and busy.cpu > 0.29
    assert 100_000_000 < large.memory < 150_000_000
    assert 0.9 * measure.floor() <= idle.memory < 40_000_000  # pages come and go by the hundred kilobytes


def test_programs_take_turns_and_say_why_not(tmp_path, capfd):
    log, out = tmp_path / "log", tmp_path / "out"
    note = f"open({str(log)!r}, 'a').write"
    programs = [
        python(f"{note}('a')", times=2),
        measure.Program("absent", ("no-such-program",), 1),
        python(f"print('x'); {note}('b')", output=out),
        python("import sys; sys.exit('out of order')"),
    ]
    found = measure.alternate(programs, 2)
    assert log.read_text() == "aabaab"
    assert [len(it.runs) for it in found] == [4, 0, 2, 0]
    assert [it.skipped for it in found] == ["", "no-such-program is not installed", "", "out of order"]
    assert not out.exists()
    assert "skipped: absent" in capfd.readouterr().err
    rows = table.rows("whole", [it.summary() for it in found], 0)
    assert rows[1][1] == "no-such-program is not installed"


SHAPES = {
    "churn": (synthetic.churn, 3 * synthetic.OPEN * 12, 3 * synthetic.OPEN),
    "robin": (synthetic.robin(50), 50 * 11, 50),
    "flood": (synthetic.flood, 200, 100),
}


@pytest.mark.parametrize("name", SHAPES)
def test_synthetic_captures_are_sound(name, tmp_path):
    """As many packets and connections as asked, checksums right, nothing odd but what is meant."""
    import tcpscope

    make, packets, connections = SHAPES[name]
    path = tmp_path / "made.pcap"
    synthetic.write(path, make, packets)
    reader, batch = SegmentReader(io.BytesIO(path.read_bytes())), SegmentBatch()
    while reader.fill(batch):
        pass
    assert reader.statistics()["packets"] == packets
    bare = np.frombuffer(path.read_bytes()[24:], synthetic.ROW)
    assert not synthetic.checksum(bare, synthetic.RECORD + synthetic.ETHERNET, 20, 0).any()
    capture = tcpscope.read(path)
    assert len(capture) == connections
    close = {"churn": {"fin"}, "robin": {"open"}, "flood": {"half_open"}}[name]
    assert set(capture.connections["close"]) == close
    annotations = set(capture.packets["annotations"].explode().dropna())
    assert annotations <= {"piggybacked_ack", "delayed_ack"}


def test_the_first_packets_of_a_capture(tmp_path):
    whole, some = tmp_path / "whole.pcap", tmp_path / "some.pcap"
    synthetic.write(whole, synthetic.flood, 10)
    workload.cut(whole, 3, some)
    assert some.read_bytes() == whole.read_bytes()[: 24 + 3 * synthetic.ROW.itemsize]


def test_a_half_made_capture_has_not_its_name(tmp_path):
    def fail(part):
        part.write_bytes(b"half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        workload.once(tmp_path / "made.pcap", fail)
    assert not (tmp_path / "made.pcap").exists()
