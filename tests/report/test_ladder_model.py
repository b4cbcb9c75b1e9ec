"""The ladder before it is drawn: fates, links, bars, spans, pauses, timers, delays."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tcpscope.errors import UsageError
from tcpscope.report.ladder import Options, ladder
from tcpscope.report.ladder.build import timing
from tcpscope.report.ladder.focus import CONTEXT, cost, focus, most_telling
from tcpscope.report.ladder.model import Fold, Happening, Idle, Segment, plain

from .drawn import sample, script, script_names, told


def of(drawing, kind):
    return [row for row in drawing.rows if isinstance(row, kind)]


def fates(drawing):
    return {row.frame: row.fate for row in of(drawing, Segment) if row.fate != "delivered"}


def test_a_lost_segment_is_tied_to_its_repetition():
    drawing = sample("fin_lost.pcap")
    assert fates(drawing) == {8: "lost"}
    (link,) = drawing.links
    assert (drawing.rows[link.original_row].frame, drawing.rows[link.row].frame) == (8, 9)
    assert link.seconds == pytest.approx(0.213, abs=0.001)


def test_a_needless_repetition_tells_no_loss():
    drawing = script("loss/spurious_by_timestamps")
    assert fates(drawing) == {}
    assert drawing.links


def test_a_syn_that_meets_a_challenge_ack_had_arrived():
    assert fates(script("open/half_open_discovered", number=1)) == {}


def test_what_nobody_answers_is_not_called_lost():
    assert set(fates(script("loss/timeout_never_answered")).values()) == {"lost", "unanswered"}
    assert fates(sample("keep_alive_dead_peer.pcap")) == {6: "unanswered", 7: "unanswered", 8: "unanswered"}
    assert fates(script("midstream/one_direction")) == {}


def test_a_syn_that_was_refused_had_arrived():
    drawing = script("open/refused_and_asked_again")
    assert fates(drawing) == {}
    assert drawing.links


def test_duplicate_acks_are_numbered():
    drawing = sample("loss_without_sack.pcap")
    numbered = {row.frame: row.duplicate for row in of(drawing, Segment) if row.duplicate}
    assert [numbered[frame] for frame in (16, 17, 18)] == [1, 2, 3]


def test_a_closed_window_is_a_bar_and_so_is_the_persist_timer():
    drawing = sample("zero_window.pcap")
    bars = {(bar.what, bar.endpoint): bar for bar in drawing.bars}
    shut, waits = bars["zero_window", "client"], bars["persist", "server"]
    assert [drawing.rows[it].frame for it in (shut.first_row, shut.last_row)] == [16, 23]
    assert (waits.start, waits.end) == (shut.start, shut.end)
    assert shut.end - shut.start == pytest.approx(2.9, abs=0.01)


def test_no_probe_no_persist_timer():
    assert {bar.what for bar in sample("slow_reader.pcap", fold=False).bars} == {"zero_window", "time_wait"}


def test_time_wait_ends_after_two_msl():
    drawing = sample("normal.pcap")
    end = drawing.rows[-1]
    assert isinstance(end, Happening) and end.projected and (end.old, end.new) == ("TIME_WAIT", "CLOSED")
    (bar,) = drawing.bars
    assert (bar.what, bar.endpoint, bar.projected) == ("time_wait", "client", True)
    assert bar.end - bar.start == pytest.approx(60)
    both = of(sample("simultaneous_close.pcap"), Happening)
    assert {row.endpoint for row in both} == {"client", "server"}


def test_time_wait_that_the_capture_outlasts_is_no_projection():
    (end,) = of(script("close/time_wait_expires"), Happening)
    assert not end.projected and end.event == "TIMEOUT_2MSL"


def test_what_no_packet_of_the_connection_shows_has_a_row():
    (reused,) = of(sample("time_wait_reuse.pcap"), Happening)
    assert (reused.event, reused.frame, reused.client_state, reused.server_state) == ("REUSED", 12, "CLOSED", "CLOSED")
    (icmp,) = of(script("open/refused_by_icmp"), Happening)
    assert icmp.event == "UNREACHABLE" and icmp.detail


def test_states_before_and_after_every_row():
    drawing = sample("normal.pcap")
    assert drawing.before == ("CLOSED", "LISTEN")
    assert [span.state for span in drawing.spans if span.endpoint == "server"] == [
        "LISTEN", "SYN_RECEIVED", "ESTABLISHED", "CLOSE_WAIT", "LAST_ACK", "CLOSED",
    ]  # fmt: skip


def test_pauses_tell_whose_timer_ended_them():
    timers = [(row.endpoint, row.timer) for row in of(sample("keep_alive_dead_peer.pcap"), Idle)]
    assert timers == [("client", "keep-alive")] * 3 + [(None, None)]


@pytest.mark.parametrize(
    ("name", "point", "client", "server"),
    [
        ("fin_lost.pcap", "client", 0.0, 0.00519),
        ("fast_retransmission.pcap", "server", 0.00515, 0.0),
        ("normal.pcap", "client", 0.0, 0.00515),  # the handshake waited for ARP: a later round trip is smaller
        ("syn_unanswered.pcap", "unknown", None, None),
    ],
)
def test_delays_come_from_the_capture_point(name, point, client, server):
    timing = sample(name).timing
    assert timing.capture_point == point
    assert timing.to_client == (client if not client else pytest.approx(client, abs=1e-5))
    assert timing.to_server == (server if not server else pytest.approx(server, abs=1e-5))


@pytest.mark.parametrize(("crossed", "away"), [(True, 0.02), (False, 0.000007)])
def test_syns_that_cross_measure_no_distance(crossed, away):
    trips = {"ack_rtt": 0.000014, "syn_rtt": 0.000014, "client_rtt_min": 0.04, "server_rtt_min": 0.04}
    found = timing({"capture_point": "unknown", "simultaneous_open": crossed, **trips})
    assert found.to_client == found.to_server == pytest.approx(away)


def test_bulk_is_folded_and_counted():
    drawing = sample("bulk.pcap")
    folds = of(drawing, Fold)
    assert drawing.segments == 2017 == len(of(drawing, Segment)) + sum(fold.segments for fold in folds)
    everything = sample("bulk.pcap", fold=False)
    assert len(of(everything, Segment)) == 2017
    assert sum(row.length for row in of(everything, Segment) if row.sender == "server") == sum(
        [fold.server_bytes for fold in folds] + [row.length for row in of(drawing, Segment) if row.sender == "server"]
    )
    assert not of(sample("normal.pcap"), Fold)


def test_what_is_lost_is_never_folded_as_ordinary():
    drawing = sample("bulk.pcap")
    assert sum(fate == "lost" for fate in fates(drawing).values()) == 8
    assert not any(fold.lost for fold in of(drawing, Fold))


def test_a_fold_keeps_as_many_as_asked_for():
    folds = of(sample("bulk.pcap", keep=7), Fold)
    assert all(len(fold.rows) == min(7, fold.segments) for fold in folds)


@pytest.mark.parametrize("rows", [1, 2, 3, 10, 50, 149])
def test_no_more_rows_than_asked_for(rows):
    drawing = sample("bulk.pcap", max_rows=rows)
    assert len(drawing.rows) <= max(rows, 3)
    assert sum(fold.segments for fold in of(drawing, Fold)) + drawing.shown == 2017


@given(st.integers(3, 60), st.sampled_from(["zero_window.pcap", "keep_alive_train.pcap", "both_ways.pcapng"]))
def test_rows_are_the_budget_for_pauses_too(rows, name):
    drawing = sample(name, max_rows=rows)
    assert len(drawing.rows) <= rows
    times = [row.time for row in drawing.rows]
    assert times == sorted(times)


def test_the_handshake_alone():
    drawing = sample("fin_lost.pcap", handshake=True)
    assert [row.frame for row in of(drawing, Segment)] == [1, 2, 3]
    assert [fold.why for fold in of(drawing, Fold)] == ["after"]
    with pytest.raises(UsageError, match="begins after"):
        sample("mid_stream.pcap", handshake=True)


def test_the_close_alone():
    drawing = sample("fin_lost.pcap", close=True)
    assert [row.frame for row in of(drawing, Segment)] == [6, 7, 8, 9, 10, 11, 12]
    assert isinstance(drawing.rows[-1], Happening)
    with pytest.raises(UsageError, match="nobody closes"):
        sample("syn_unanswered.pcap", close=True)


def test_opening_and_close_together():
    frames = [row.frame for row in of(sample("zero_window.pcap", handshake=True, close=True), Segment)]
    assert frames[:3] == [1, 2, 3] and frames[-3:] == [37, 38, 39] and 20 not in frames


def test_around_a_frame_with_what_it_repeats():
    frames = [row.frame for row in of(sample("fast_retransmission.pcap", around=19), Segment)]
    assert 6 in frames and 19 in frames and 5 not in frames
    assert len(frames) <= 2 * CONTEXT + 2
    with pytest.raises(UsageError, match="frame:99"):
        sample("normal.pcap", around=99)


def test_around_a_frame_in_a_long_run():
    shown = [row.frame for row in of(sample("bulk.pcap", around=400), Segment)]
    assert shown == list(range(400 - CONTEXT, 400 + CONTEXT + 1))


def test_from_and_to():
    row, packets, events = told_of("zero_window.pcap")
    drawing = ladder(row, packets, events, Options(since=row["start"] + 0.3, until=row["start"] + 1.0))
    assert [it.frame for it in of(drawing, Segment)] == [17, 18, 19, 20]
    assert [fold.why for fold in of(drawing, Fold)] == ["before", "after"]
    with pytest.raises(UsageError, match="--from"):
        ladder(row, packets, events, Options(since=row["start"] + 1000))


def told_of(name):
    from .drawn import SAMPLES

    return told(SAMPLES / name)


def test_a_connection_without_packets_is_an_error():
    row, _, events = told_of("normal.pcap")
    with pytest.raises(UsageError, match="no packets"):
        ladder(row, [], events)


def test_packets_may_come_from_an_iterator():
    row, packets, events = told_of("zero_window.pcap")
    assert plain(ladder(row, iter(packets), iter(events))) == plain(ladder(row, packets, events))


@pytest.mark.parametrize("name", script_names())
def test_every_script_becomes_json(name):
    drawing = script(name)
    again = json.loads(json.dumps(plain(drawing)))
    assert [row["kind"] for row in again["rows"]] == [row.kind for row in drawing.rows]
    assert again["segments"] == len(of(drawing, Segment)) + sum(fold.segments for fold in of(drawing, Fold))


def test_few_rows_prefer_what_is_odd():
    drawing = sample("bulk.pcap", max_rows=30)
    told = {name for row in of(drawing, Segment) for name in row.annotations}
    assert "fast_retransmission" in told
    assert {row.flags for row in of(drawing, Segment)} >= {"SYN", "SYN,ACK"}


def test_the_budget_is_what_the_choice_costs():
    items = focus(list(of(sample("two_lost_of_window.pcap", fold=False), Segment)), Options(fold=False))
    assert cost(most_telling(items, 9, 0)) <= 9


def long_run(count):
    """A connection of ordinary segments, but for one early that is sent again at the end, as rows."""
    row, packets, events = told_of("normal.pcap")
    first = [it for it in packets if it["frame"] <= 3]
    model = next(it for it in packets if it["length"])
    run = [
        model | {"frame": 3 + at, "time": model["time"] + at * 1e-4, "seq": 18 * at, "annotations": []}
        for at in range(1, count + 1)
    ]
    again = run[-200] | {
        "frame": count + 4, "time": run[-1]["time"] + 1e-3, "annotations": ["retransmission", "fast_retransmission"],
        "retransmission_of": run[-200]["frame"],
    }  # fmt: skip
    return row, [*first, *run, again], [it for it in events if it["frame"] in (1, 2, 3)]


def test_of_a_long_run_only_the_ends_are_held(monkeypatch):
    from tcpscope.report.ladder import build

    held = []
    append = build.Story._flush
    monkeypatch.setattr(build.Story, "_flush", lambda story: (held.append(len(story._run)), append(story)))
    row, packets, events = long_run(20_000)
    drawing = ladder(row, packets, events)
    assert max(held) == build.HELD
    assert fates(drawing) == {packets[-201]["frame"]: "lost", packets[-1]["frame"]: "unanswered"}
    assert sum(fold.segments for fold in of(drawing, Fold)) + drawing.shown == len(packets)
    whole = ladder(row, packets, events, Options(fold=False))
    folded = [fold for fold in of(drawing, Fold) if fold.why == "bulk"]
    assert sum(fold.client_bytes for fold in folded) + sum(it.length for it in of(drawing, Segment)) == sum(
        it.length for it in of(whole, Segment)
    )


@pytest.mark.parametrize(("name", "fates"), [
    ("unreachable.pcap", ["lost", "lost", "rejected"]), ("syn_unanswered.pcap", ["lost", "lost", "lost", "unanswered"]),
])  # fmt: skip
def test_what_icmp_answers_has_an_answer(name, fates):
    assert [it.fate for it in of(sample(name), Segment)] == fates
