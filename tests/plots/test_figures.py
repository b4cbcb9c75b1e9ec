"""What the plots show: numbers known from elsewhere, in the figures' data."""

import json
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import numpy
import pytest
from plots.__main__ import PICTURES, ROOT, draw

import tcpscope
from tcpscope.errors import UsageError
from tcpscope.report.plots import CAPTURE_KINDS, CONNECTION_KINDS, KINDS, stem
from tcpscope.report.plots.buffer import consumed, occupancy
from tcpscope.report.plots.flight import in_flight, phases, rounds
from tcpscope.report.plots.model import layer
from tcpscope.report.plots.rtt import estimates
from tcpscope.report.plots.thin import Canvas, slivers, thin
from tcpscope.report.plots.trace import Trace, of_connection, records

SAMPLES = Path(__file__).parents[2] / "sample_pcaps"
ALL = sorted(path.name for path in SAMPLES.iterdir() if "cap" in path.suffixes[0])


def trace_of(name, side=1, number=0):
    capture = tcpscope.read(SAMPLES / name)
    packets = of_connection(capture._packet_records(), number)
    return Trace(packets, records(capture._result.connections)[number], side, "", "")


def layers(figure, legend):
    found = [it for panel in figure.panels for it in panel.layers if it.legend == legend or it.text == legend]
    assert found, (legend, [it.legend for panel in figure.panels for it in panel.layers])
    return found


def figures(name):
    capture = tcpscope.read(SAMPLES / name)
    for kind in KINDS:
        try:
            yield capture.plot(kind) if kind in CAPTURE_KINDS else capture.connection(0).plot(kind)
        except UsageError as error:
            assert str(error).startswith("nothing to plot: ")


@pytest.mark.parametrize("name", ALL)
def test_every_plot_of_every_sample_is_sound(name):
    kinds = 0
    for figure in figures(name):
        kinds += 1
        if name in ALL[::4]:  # it is the slow part
            ElementTree.fromstring(figure.svg())
        for panel in figure.panels:
            for it in panel.layers:
                lengths = {len(v) for v in (it.x, it.y, it.x2, it.y2, it.frames, it.said) if v is not None}
                assert len(lengths) == 1
                assert numpy.isfinite(it.x).all()
        assert json.loads(figure.json())["kind"] == figure.kind
    assert kinds >= 4


def test_the_textbook_s_buffer():
    # 6144 - advertised, and in between what has come and is not yet read (Stevens' 18 segments)
    trace = trace_of("sliding_window.pcap", side=0)
    used, size = occupancy(trace)
    k = 1024
    assert used[1:].tolist() == [0, 0, k, 2 * k, 3 * k, 4 * k, 5 * k, 6 * k, 4 * k, 2 * k, 3 * k, 4 * k, 4 * k,
                                 2 * k, 0, 0, 0]  # fmt: skip
    assert set(size[1:].tolist()) == {6144}
    read = consumed(trace)
    assert (read[10] - read[9], read[-1] - read[1]) == (2048, 8193)


def test_in_flight_fills_the_window_exactly():
    flight = in_flight(trace_of("sliding_window.pcap", side=0))
    assert flight[3:9].tolist() == [1024, 2048, 3072, 4096, 5120, 6144]
    assert flight[-1] == 0


def test_what_sack_reports_is_not_in_flight():
    trace = trace_of("fast_retransmission.pcap")
    flight = in_flight(trace)
    lost = int(numpy.flatnonzero(trace.said("fast_retransmission"))[0])
    assert 0 < flight[lost] < (trace.sent_up_to - trace.acked_up_to)[lost]
    last = int(numpy.flatnonzero(trace.packets["n_sack"] > 0)[-1])  # all but the repair is reported
    assert flight[last] == trace.packets["length"][lost]


def test_positions_do_not_wrap():
    trace = trace_of("bulk.pcap")
    packets = trace.packets.copy()
    shift = numpy.uint32(2**32 - 500_000)
    mine = packets["sender"] == 1
    moved = Trace(packets, trace.record, 1, "", "")
    packets["seq"][mine] += shift
    packets["ack"][~mine] += shift
    assert (numpy.diff(moved.sent_up_to) >= 0).all()
    ends = [int(it.sent_up_to[-1] - it.sent_up_to[0]) for it in (trace, moved)]
    assert ends[0] == ends[1] > 2_000_000


def test_new_bytes_are_those_of_the_table():
    for name in ("bulk.pcap", "two_lost_of_window.pcap", "span_duplicates.pcap", "keep_alive.pcap", "zero_window.pcap"):
        trace = trace_of(name)
        assert int(trace.first_times.sum()) == int(trace.own("unique_bytes")), name


def test_rfc_6298():
    smooth, spread = estimates(numpy.array([0.1, 0.2, 0.2]))
    assert smooth.tolist() == pytest.approx([0.1, 0.1125, 0.1234375])
    assert spread.tolist() == pytest.approx([0.05, 0.0625, 0.06875])


def test_the_last_srtt_is_the_table_s():
    capture = tcpscope.read(SAMPLES / "conversation.pcap")
    smooth = layers(capture.connection(0).plot("rtt", side="client"), "SRTT")[0]
    assert smooth.y[-1] == pytest.approx(capture.connection(0).client_srtt, rel=1e-6)


def test_time_outs_double():
    figure = tcpscope.read(SAMPLES / "timeout_back_off.pcap").connection(0).plot("rtt")
    waits = layers(figure, "wait that ended in a time-out")[0].y
    assert len(waits) == 3
    assert all(1.8 < later / earlier < 2.2 for earlier, later in pairwise(waits))


@pytest.mark.parametrize(
    ("name", "letter", "count"),
    [
        ("loss_without_sack.pcap", "R", 1),
        ("loss_without_sack.pcap", "3", 1),
        ("reordering.pcap", "O", 2),
        ("zero_window.pcap", "P", 3),
        ("zero_window.pcap", "Z", 4),
        ("network_duplicates.pcap", "D", 2),
        ("network_duplicates.pcap", "DS", 2),
        ("data_after_close.pcap", "RST_OUT", 1),
        ("urgent.pcap", "U", 1),
        ("ecn.pcap", "CE", 1),
    ],
)
def test_tcptrace_s_letters(name, letter, count):
    side = {"urgent.pcap": "client", "data_after_close.pcap": "server"}.get(name)
    figure = tcpscope.read(SAMPLES / name).connection(0).plot("sequence", side=side)
    assert sum(map(len, layers(figure, letter))) == count


def test_a_capture_that_is_doubled_has_no_retransmission():
    figure = tcpscope.read(SAMPLES / "span_duplicates.pcap").connection(0).plot("sequence")
    assert layers(figure, "HD")
    assert "sent again (R)" not in {it.legend for it in figure.panels[0].layers}


def test_an_unknown_scale_is_dotted_and_said():
    figure = tcpscope.read(SAMPLES / "mid_stream.pcap").connection(0).plot("inflight")
    assert any("scale is unknown" in note for note in figure.notes)
    assert all(it.role != "limit" for it in figure.panels[0].layers)


def test_phases_of_a_transfer_with_losses():
    trace = trace_of("bulk.pcap")
    flight = in_flight(trace)
    found = phases(trace, flight, rounds(trace, flight))
    assert found[0].phase == "slow start"
    assert "recovery" in {it.phase for it in found}
    assert all(a.end <= b.start for a, b in pairwise(found))
    timed_out = trace_of("timeout_back_off.pcap")
    flight = in_flight(timed_out)
    assert "after time-out" in {it.phase for it in phases(timed_out, flight, rounds(timed_out, flight))}


def test_goodput_is_not_more_than_throughput():
    figure = tcpscope.read(SAMPLES / "bulk.pcap").connection(0).plot("throughput")
    all_of_it, new = (it for it in figure.panels[0].layers if it.shape == "step")
    assert (new.y <= all_of_it.y).all()
    assert (new.y[:-1] * numpy.diff(new.x)).sum() == pytest.approx(2_000_000, rel=0.01)


def test_states_add_up():
    figure = tcpscope.read(SAMPLES / "short_connections.pcap").plot("states")
    rest = layers(figure, "TIME_WAIT")[0]
    assert (rest.y2 - rest.y)[-1] == 20
    assert min((it.y2 - it.y).min() for it in figure.panels[0].layers) == 0


def test_waterfall_bars_follow_each_other():
    figure = tcpscope.read(SAMPLES / "short_connections.pcap").plot("waterfall")
    rest, closing = layers(figure, "TIME_WAIT")[0], layers(figure, "closing")[0]
    assert len(rest) == len(closing) == 20
    assert (rest.x == closing.x2).all()


def test_every_retransmission_has_one_cause():
    capture = tcpscope.read([SAMPLES / "bulk.pcap", SAMPLES / "syn_flood.pcap"])
    figure = capture.plot("retransmissions")
    drawn = sum((it.y2 - it.y).sum() for it in figure.panels[0].layers if it.shape == "boxes")
    words = capture.packets["annotations"]
    assert drawn == sum("retransmission" in it for it in words) == 58


@pytest.mark.parametrize("shape", ["line", "step", "points", "bars"])
def test_thinning_keeps_every_pixel(shape):
    draw = numpy.random.default_rng(5)
    x = numpy.sort(draw.uniform(0, 10, 50_000))
    y = draw.normal(size=50_000)
    y[31_415] = 25  # a spike
    more = {"y2": y + draw.uniform(0, 0.1, 50_000)} if shape == "bars" else {}
    canvas = Canvas((0, 10), (-6, 30), 300, 200)
    whole = layer(shape, "segment", "", x, y, **more)
    few = thin(whole, canvas)
    assert len(few) < len(whole) / 3

    def pixels(it):
        rows = [canvas.row(it.y)] if it.y2 is None else [canvas.row(it.y), canvas.row(it.y2)]
        columns = numpy.floor(canvas.column(it.x)).astype(int)
        return {
            c: (min(r[columns == c].min() for r in rows), max(r[columns == c].max() for r in rows))
            for c in set(columns)
        }

    before, after = pixels(whole), pixels(few)
    assert before.keys() == after.keys()
    assert all(abs(a - b) < 1 for c in before for a, b in zip(before[c], after[c], strict=True))


def test_a_part_of_the_time():
    figure = tcpscope.read(SAMPLES / "bulk.pcap").connection(0).plot("stevens")
    part = figure.between(0.1, 0.2)
    inside = layers(part, "segment")[0].x
    assert 0.1 <= inside.min() <= inside.max() <= 0.2
    assert part.view == (0.1, 0.2)
    with pytest.raises(UsageError, match="nothing to plot between"):
        figure.between(99, 100)


def test_figures_show_themselves():
    figure = tcpscope.read(SAMPLES / "normal.pcap").connection(0).plot("sequence")
    assert figure._repr_svg_().startswith("<?xml")
    assert figure.png((400, 300))[:8] == b"\x89PNG\r\n\x1a\n"
    assert figure.svg() == figure.svg()


@pytest.mark.parametrize("text", ["<script>alert(1)</script>", "$\\frac{1}{2}$ & \"'", "a\x1b[31mb\u202ec"])
def test_names_are_harmless(tmp_path, text):
    path = tmp_path / f"{text.replace('/', '')}.pcap"
    path.write_bytes((SAMPLES / "normal.pcap").read_bytes())
    figure = tcpscope.read(path).connection(0).plot("sequence")
    ElementTree.fromstring(figure.svg())
    page = figure.html().decode()
    assert "<script>alert" not in page and "\x1b" not in page and "\u202e" not in page
    assert figure.png()
    assert set(stem([str(path)])) <= set("abcdefghijklmnopqrstuvwxyz0123456789_+-.")


def test_a_wrong_kind_or_side_is_told():
    capture = tcpscope.read(SAMPLES / "normal.pcap")
    with pytest.raises(UsageError, match="did you mean sequence"):
        capture.connection(0).plot("sequense")
    with pytest.raises(UsageError, match="client or server"):
        capture.connection(0).plot("rtt", side="left")
    with pytest.raises(UsageError, match="no plot 'rtt'"):
        capture.plot("rtt")
    assert set(KINDS) == {*CONNECTION_KINDS, *CAPTURE_KINDS} == set(PICTURES)


@pytest.mark.parametrize("kind", PICTURES)
def test_the_documentation_s_pictures_are_those_of_today(kind):
    # their text: how lines are rounded may differ between releases of matplotlib
    def words(data):
        return [it.text for it in ElementTree.fromstring(data).iter("{http://www.w3.org/2000/svg}text")]

    assert words((ROOT / "docs" / "plots" / f"{kind}.svg").read_bytes()) == words(draw(kind))
    assert f"plots/{kind}.svg" in (ROOT / "docs" / "plots.md").read_text()


def test_of_an_area_what_is_narrower_than_a_pixel_is_a_line():
    x = numpy.array([0.0, 1.0, 1.0001, 1.0003, 50.0, 60.0, 99.999, 100.0])
    high = numpy.array([0.0, 1.0, 3.0, 0.0, 2.0, 0.0, 4.0, 4.0])
    area = layer("area", "TIME_WAIT", "", x, numpy.zeros(8), y2=high)
    lines = slivers(area, Canvas((0.0, 100.0), (0.0, 5.0), 500.0, 100.0))
    assert [list(it) for it in lines] == [[1.0, 99.999], [0.0, 0.0], [3.0, 4.0]]
    wide = layer("area", "TIME_WAIT", "", x[4:6], numpy.zeros(2), y2=high[4:6])
    assert [len(it) for it in slivers(wide, Canvas((0.0, 100.0), (0.0, 5.0), 500.0, 100.0))] == [0, 0, 0]
