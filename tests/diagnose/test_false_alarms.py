"""What looks like trouble and is none, or is another: it must not be told, or be told as what it is."""

from pathlib import Path

import pytest

from tests.diagnose.made import DAWN, MS, SECOND, at, found, opened, truth
from tests.replay.segments import ACK, FIN, PSH, RST, SYN, segment

SAMPLES = Path(__file__).parents[2] / "sample_pcaps"


def test_a_probe_of_a_connection_that_the_peer_had_closed():
    """It meets RST because the close has been forgotten, not because a machine was restarted."""
    steps = opened(40_000, DAWN)
    steps += [
        segment(7, 1, FIN | ACK, 202, 102, time_ns=DAWN + SECOND),
        segment(8, 0, ACK, 102, 203, time_ns=DAWN + SECOND + MS),
        segment(9, 0, ACK, 101, 203, time_ns=DAWN + 46 * SECOND),
        segment(10, 1, RST, 203, time_ns=DAWN + 46 * SECOND + MS),
    ]
    told = found(steps)
    assert set(told) == {"reset_after_close"} and told["reset_after_close"].severity == "note"
    assert "keep-alive probe" in told["reset_after_close"].text and told["reset_after_close"].frames == [10]


def test_a_side_that_may_have_closed_before_the_capture():
    later = opened(50_000, DAWN + 10 * SECOND, 3)
    last_words = [segment(1, 0, FIN | ACK, 101, 201, time_ns=DAWN), segment(2, 1, ACK, 201, 102, time_ns=DAWN + 1000)]
    assert "close_wait" not in found(last_words + later)
    spoke = [
        segment(1, 0, FIN | ACK, 101, 201, time_ns=DAWN),
        segment(2, 1, ACK, 201, 102, length=5, time_ns=DAWN + 1000),
    ]
    assert "close_wait" in found(spoke + later)


def closed(*between):
    """A connection of 100 bytes of the client's, of which only these segments were captured between SYN and FIN."""
    return [
        segment(1, 0, SYN, 100, time_ns=DAWN), segment(2, 1, SYN | ACK, 200, 101, time_ns=DAWN + MS), *between,
        segment(8, 0, FIN | ACK, 201, 201, time_ns=DAWN + 30 * MS),
        segment(9, 1, FIN | ACK, 201, 202, time_ns=DAWN + 40 * MS),
    ]  # fmt: skip


def test_a_capture_of_syns_and_fins_alone_is_a_filtered_one():
    told = found(closed())["missed"]
    assert told.numbers["bytes"] == 100 and "holds no data at all" in told.text and "a filter" in told.advice
    part = segment(5, 0, ACK, 101, 201, length=40, time_ns=DAWN + 10 * MS)
    told = found(closed(part))["missed"]
    assert told.numbers["bytes"] == 60 and "no data" not in told.text and "filter" not in told.advice
    whole = [
        segment(20, 0, SYN, 1, sport=50_000, time_ns=DAWN + SECOND),
        segment(21, 1, SYN | ACK, 1, 2, dport=50_000, time_ns=DAWN + SECOND + MS),
        segment(22, 0, ACK, 2, 2, length=10, sport=50_000, time_ns=DAWN + SECOND + 2 * MS),
    ]
    assert "no data" not in found(closed() + whole)["missed"].text  # nothing odd about the other, and it has data


@pytest.mark.parametrize(("packets", "told"), [(1, set()), (2, set()), (3, {"one_direction"})])
def test_a_lone_packet_is_no_half_of_a_talk(packets, told):
    steps = [segment(n, 0, ACK, 100 * n, 200 * n, length=100, time_ns=DAWN + n) for n in range(1, packets + 1)]
    assert set(found(steps)) & {"one_direction"} == told


def test_probes_that_nobody_answers_are_not_half_of_a_talk():
    steps = [segment(port, 0, FIN, 100, dport=port, time_ns=DAWN + port) for port in range(1, 6)]
    assert set(found(steps)) == {"port_scan"}


def test_short_messages_do_not_show_that_the_mss_is_missing():
    steps = opened(40_000, DAWN)
    for number in range(25):
        steps.append(segment(10 + number, 0, ACK, 102 + 24 * number, 202, length=24, time_ns=DAWN + 9000 + number))
        steps.append(segment(40 + number, 1, ACK, 202, 102 + 24 * (number + 1), time_ns=DAWN + 9000 + number))
    assert "mss_missing" not in found(steps)


def test_two_syns_at_once_at_the_captures_end():
    told = found([segment(1, 0, SYN, 100, time_ns=DAWN), segment(2, 0, SYN, 100, time_ns=DAWN + 100_000)])
    assert (told["unanswered"].severity, told["unanswered"].confidence) == ("note", "possible")


def held(wait_ms, trip_ms=0, times=1, missed=0, last=30, said=0, more=0):
    """The client writes in two pieces; the second goes out when the first has been acknowledged, late.

    last: its length.  said: what the server says in between.  more: what else is under way.
    """
    at, seq, ack, steps = DAWN, 102, 202, opened(40_000, DAWN)
    frame = 6
    for _ in range(times):
        at += 2 * SECOND
        for sender, fields, gap in (
            (0, {"seq": seq, "ack": ack, "length": 20 + more}, 0),
            (1, {"seq": ack, "ack": seq + 20 + missed}, wait_ms * MS),
            (1, {"seq": ack, "ack": seq + 20 + missed, "length": said}, 1_000),
            (0, {"seq": seq + 20 + more + missed, "ack": ack + said, "length": last}, 50_000 + trip_ms * MS),
            (1, {"seq": ack + said, "ack": seq + 20 + more + last + missed}, MS),
        ):
            at += gap
            if fields.get("length") != 0:
                frame += 1
                steps.append(segment(frame, sender, ACK, time_ns=at, **fields))
        seq += 20 + more + last + missed
        ack += said
    return found(steps)


def test_a_pause_is_nagle_only_as_long_as_an_ack_may_be_delayed():
    once, often = held(45)["nagle"], held(45, times=4)["nagle"]
    assert (once.severity, once.confidence) == ("note", "likely")
    assert (often.severity, often.confidence) == ("warning", "certain") and often.numbers["stalls"] == 4
    assert "40 ms" in once.text
    assert held(200)["nagle"].severity == "warning"
    assert "nagle" not in held(5_000) and "nagle" not in held(45, missed=500)


def test_who_answers_or_has_more_under_way_was_not_held_by_nagle():
    assert "nagle" in held(45, times=2)
    assert "nagle" not in held(45, times=2, said=100)  # the second piece answers that
    assert "nagle" not in held(45, times=2, last=1460)  # a full segment is never held
    assert "nagle" not in held(45, times=2, more=40)  # not all was acknowledged


def test_a_push_is_perhaps_no_answer():
    """The first answers come at once; what comes much later may be of the server's own accord."""
    steps = opened(40_000, DAWN)
    steps += [segment(7, 1, ACK, 202, 102, length=9, time_ns=DAWN + 5 * SECOND)]
    steps += [
        segment(8, 0, ACK, 102, 211, length=4, time_ns=DAWN + 5 * SECOND + MS),
        segment(9, 1, ACK, 211, 106, time_ns=DAWN + 5 * SECOND + 2 * MS),
        segment(10, 1, ACK, 211, 106, length=9, time_ns=DAWN + 15 * SECOND),
    ]
    told = found(steps)["slow_server"]
    assert (told.severity, told.confidence, told.frames) == ("note", "possible", [10])


def test_an_answer_whose_beginning_was_lost_is_not_the_programs_fault():
    assert "slow_server" not in truth("request_response_bad_link-1.client")


@pytest.mark.parametrize("asks_first", [True, False])
def test_who_breaks_the_silence_has_not_forgotten(asks_first):
    """The client asks after a pause, is answered, and aborts; or the first word of the server meets its RST."""
    after, steps = DAWN + 20 * SECOND, opened(40_000, DAWN)
    if asks_first:
        steps += [
            segment(7, 0, ACK, 102, 202, length=5, time_ns=after),
            segment(8, 1, ACK, 202, 107, length=5, time_ns=after + MS),
            segment(9, 0, RST | ACK, 107, 207, time_ns=after + 2 * MS),
        ]
    else:
        steps += [
            segment(7, 1, ACK, 202, 102, length=5, time_ns=after),
            segment(8, 0, RST, 102, time_ns=after + MS),
        ]
    assert ("idle_timeout" in found(steps)) is not asks_first


@pytest.mark.parametrize("heard", [103, 102])
def test_who_has_closed_need_not_answer(heard):
    """Its host has forgotten the connection when the other side closes, minutes later; also if its FIN was lost."""
    steps = opened(40_000, DAWN)
    steps += [
        segment(7, 0, FIN | ACK, 102, 202, time_ns=DAWN + SECOND),
        segment(8, 1, ACK, 202, heard, time_ns=DAWN + SECOND + MS),
    ]
    at = DAWN + 200 * SECOND
    for n, gap in enumerate((0, 300, 600, 1200, 2400)):
        at += gap * MS
        steps.append(segment(9 + n, 1, FIN | ACK, 202, heard, time_ns=at))
    steps.append(segment(20, 0, SYN, 9, sport=50_000, time_ns=at + 300 * SECOND))
    told = found(steps)
    assert "idle_timeout" not in told and told["vanished"].severity == "note"


def test_an_ack_that_was_not_captured_makes_no_slow_handshake():
    """A capture of SYN, FIN and RST only: what is seen next of the client is its FIN, seconds later."""
    at = DAWN
    steps = [segment(1, 0, SYN, 100, time_ns=at), segment(2, 1, SYN | ACK, 200, 101, time_ns=at + 70 * MS)]
    rejected = [*steps, segment(3, 0, RST, 101, time_ns=at + 80 * MS),
                segment(4, 0, ACK, 101, 201, length=9, time_ns=at + 9 * SECOND)]  # fmt: skip
    steps += [
        segment(3, 1, FIN | ACK, 8201, 351, time_ns=at + 8 * SECOND),
        segment(4, 0, FIN | ACK, 351, 8202, time_ns=at + 8 * SECOND + 1000),
        segment(5, 1, ACK, 8202, 352, time_ns=at + 8 * SECOND + 70 * MS),
    ]
    assert "slow_handshake" not in found(steps) and "missed" in found(steps)
    assert "slow_handshake" not in found(rejected)


def test_a_lone_reset_is_a_note():
    assert found([segment(1, 0, RST | ACK, 100, 200, time_ns=DAWN)])["reset"].severity == "note"


@pytest.mark.parametrize("data", [True, False])
def test_a_close_that_nobody_answers_weighs_less_than_data(data):
    steps = opened(40_000, DAWN)
    at, flags = DAWN, ACK if data else FIN | ACK
    for n, gap in enumerate((100, 300, 600, 1200, 2400)):
        at += gap * MS
        steps.append(segment(7 + n, 0, flags, 102, 202, length=50 if data else 0, time_ns=at))
    steps.append(segment(20, 0, SYN, 9, sport=50_000, time_ns=at + 300 * SECOND))
    told = found(steps)["vanished"]
    assert told.severity == ("error" if data else "warning") and told.frames == [8, 9, 10, 11]


def test_a_farewell_to_a_peer_that_has_closed_is_no_abort():
    """TLS says good-bye to whoever has closed, and the RST follows: nothing of the peer's was left unread."""
    steps = opened(40_000, DAWN)
    steps += [
        segment(7, 1, FIN | ACK, 202, 102, time_ns=DAWN + SECOND),
        segment(8, 0, ACK, 102, 203, length=31, time_ns=DAWN + SECOND + MS),
        segment(9, 0, RST | ACK, 133, 203, time_ns=DAWN + SECOND + 2 * MS),
    ]
    told = found(steps)
    assert set(told) == {"reset_at_close"} and "all that the server had said" in told["reset_at_close"].text
    steps[-2] = segment(8, 0, ACK, 102, 202, length=31, time_ns=DAWN + SECOND + MS)
    steps[-1] = segment(9, 0, RST, 133, time_ns=DAWN + SECOND + 2 * MS)
    steps[-3] = segment(7, 1, FIN | ACK, 202, 102, length=500, time_ns=DAWN + SECOND)
    assert "reset_at_close" not in found(steps)  # its last 500 bytes were not acknowledged


@pytest.mark.parametrize(("delay", "told"), [(0, True), (90, False)])
def test_a_round_trip_that_the_rate_belies(delay, told):
    """The last ACK of the handshake came late: the path is not as long, and the bound not as low, as it says."""
    trip, window, at = 30, 3_000, (1 + 30 + delay) * MS
    steps = [
        segment(1, 0, SYN, 0, mss=1000, options=1, window=window, time_ns=MS),
        segment(2, 1, SYN | ACK, 0, 1, mss=1000, options=1, window=60_000, time_ns=MS),
        segment(3, 0, ACK, 1, 1, window=window, time_ns=at),
    ]
    seq = 1
    for _ in range(40):
        for _ in range(3):
            steps.append(segment(len(steps) + 1, 1, ACK, seq, 1, 1000, window=60_000, time_ns=at))
            seq += 1000
        at += trip * MS
        steps.append(segment(len(steps) + 1, 0, ACK, 1, seq, window=window, time_ns=at))
    assert ("small_window" in found(steps)) is told


def test_the_same_rst_for_each_segment_is_no_packet_captured_twice():
    """Linux sends them without an IP identification, in the same microsecond."""
    steps = opened(40_000, DAWN)
    at = DAWN + SECOND
    steps += [
        segment(7, 0, FIN | ACK, 102, 202, time_ns=at),
        segment(8, 1, ACK, 202, 103, length=46, time_ns=at + MS),
        segment(9, 1, ACK, 248, 103, length=31, time_ns=at + MS + 1000),
        segment(10, 0, RST, 103, ip_id=0, time_ns=at + 2 * MS),
        segment(11, 0, RST, 103, ip_id=0, time_ns=at + 2 * MS + 1000),
    ]
    assert set(found(steps)) == {"reset_after_close"}
    copied = [segment(12, 1, ACK, 202, 102, ip_id=7, time_ns=DAWN + 5000)] * 2
    assert "duplicates" in found(steps[:6] + copied)


@pytest.mark.parametrize(("seconds", "told"), [(2, True), (6, False)])
def test_a_server_that_does_not_repeat_its_syn_ack_has_had_the_ack(seconds, told):
    steps = [segment(1, 0, SYN, 100, time_ns=DAWN), segment(2, 1, SYN | ACK, 200, 101, time_ns=DAWN + MS),
             segment(3, 0, FIN | ACK, 101, 201, time_ns=DAWN + seconds * SECOND)]  # fmt: skip
    assert ("slow_handshake" in found(steps)) is told


def test_a_host_that_answers_others_is_not_down():
    steps = opened(40_000, DAWN)
    for n in range(3):
        steps.append(segment(20 + n, 0, SYN, 9, sport=50_000, time_ns=DAWN + (10 + n) * SECOND))
    told = found(steps)["unanswered"]
    assert "beside 1 that opened" in told.text and "it is there and listens" in told.advice
    assert "beside" not in found(steps[-3:])["unanswered"].text


def asked(trip, ack):
    """A handshake over a path of `trip` ms, and a request of 90 bytes that is acknowledged after `ack` ms."""
    return [
        segment(1, 0, SYN, 100, time_ns=at(0)), segment(2, 1, SYN | ACK, 200, 101, time_ns=at(trip)),
        segment(3, 0, ACK, 101, 201, time_ns=at(trip + 0.1)),
        segment(4, 0, ACK, 101, 201, length=90, time_ns=at(trip + 1)), segment(5, 1, ACK, 201, 191, time_ns=at(ack)),
    ]  # fmt: skip


def test_a_request_that_crosses_an_idle_close_is_a_race_however_short_the_limit():
    """A server that keeps connections for two seconds; the client's next request is under way when it closes."""
    steps = [
        *opened(40_000, DAWN),
        segment(7, 1, FIN | ACK, 202, 102, time_ns=at(2100)),
        segment(8, 0, ACK, 102, 202, length=80, time_ns=at(2100.1)),
        segment(9, 1, RST, 203, time_ns=at(2110)),
    ]
    told = found(steps)["reset_after_close"]
    assert "no answer came" in told.text and "a race" in told.advice


def test_a_server_that_cuts_off_a_slow_consumer_leaves_nothing_unread():
    steps = [*opened(40_000, DAWN)]
    steps += [segment(10 + i, 1, ACK, 202 + 1000 * i, 102, length=1000, time_ns=at(100 + i)) for i in range(3)]
    steps.append(segment(20, 1, RST | ACK, 3202, 102, time_ns=at(5000)))
    told = found(steps)
    assert "reset_unread" not in told and "data was under way" in told["reset_abort"].text


def test_an_answer_that_only_its_number_shows_is_one():
    """What the server sends does not come through, its next ACK counts it: its program does not hang."""
    steps = [*asked(trip=1, ack=4), segment(6, 0, FIN | ACK, 191, 201, time_ns=at(9000))]
    assert "no_answer" in found([*steps, segment(7, 1, ACK, 201, 192, time_ns=at(9001))])
    assert "no_answer" not in found([*steps, segment(7, 1, ACK, 15_201, 192, time_ns=at(9001))])


def test_acks_that_come_much_sooner_than_answers_may_be_a_boxs():
    """A proxy on the phone acknowledges at once; handshake and answer each take the path's round trip."""
    steps = asked(trip=362, ack=363.03)
    answer = [
        segment(6, 1, ACK, 201, 191, length=500, time_ns=at(1500)),
        segment(7, 0, ACK, 191, 701, time_ns=at(1500.1)),
    ]
    told = found([*steps, *answer])
    assert "a box near the capture" in told["slow_handshake"].advice
    assert told["slow_server"].numbers["network"] == 362
    prompt = [
        segment(8 + 2 * i + d, d, ACK, (191, 701)[d] + 90 * i, (701, 191)[d] + 90 * (i + d), length=90,
                time_ns=at(1600 + 50 * i + 5 * d)) for i in range(6) for d in (0, 1)
    ]  # fmt: skip
    told = found([*steps, *answer, *prompt])
    assert "not the path" in told["slow_handshake"].advice  # other answers came at once


def test_of_one_direction_nobody_knows_what_was_under_way():
    steps = [
        segment(1, 0, SYN, 100, time_ns=at(0)), segment(2, 0, ACK, 101, 201, time_ns=at(20)),
        segment(3, 0, ACK, 101, 201, length=90, time_ns=at(21)), segment(4, 0, RST | ACK, 191, 201, time_ns=at(60)),
    ]  # fmt: skip
    assert not any(words in f.text for f in found(steps).values() for words in ("under way", "acknowledged"))


@pytest.mark.parametrize("taken", [True, False])
def test_a_handshake_that_the_server_did_not_finish_was_not_slow(taken):
    steps = [
        segment(1, 0, SYN, 1, time_ns=DAWN),
        segment(2, 1, SYN | ACK, 9, 2, time_ns=DAWN + MS),
        segment(3, 0, ACK, 2, 10, time_ns=DAWN + SECOND),
        segment(4, 0, ACK, 2, 10, length=50, time_ns=DAWN + SECOND + MS),
        segment(5, 1, ACK, 10, 52, time_ns=DAWN + SECOND + 2 * MS) if taken else
        segment(5, 1, RST, 10, time_ns=DAWN + SECOND + 2 * MS),
    ]  # fmt: skip
    assert ("slow_handshake" in found(steps)) is taken


@pytest.mark.parametrize("seconds", [25, 3])
def test_an_answer_that_takes_very_long_may_be_a_long_poll(seconds):
    steps = opened(40_000, DAWN)[:3]
    at = DAWN + SECOND
    steps += [
        segment(4, 0, ACK | PSH, 101, 201, length=50, time_ns=at),
        segment(5, 1, ACK, 201, 151, time_ns=at + MS),
        segment(6, 1, ACK | PSH, 201, 151, length=60, time_ns=at + seconds * SECOND),
        segment(7, 0, ACK, 151, 261, time_ns=at + seconds * SECOND + MS),
    ]
    told = found(steps)["slow_server"]
    assert any("long poll" in it for it in told.doubts) is (seconds == 25)
