"""What became of each end, where one segment alone does not tell."""

from tcpscope.replay.layout import CLOSE_KINDS, CLOSED_BY, STATES
from tests.replay.segments import ACK, FIN, RST, SYN, Replayed, segment


def test_a_reset_behind_lost_data_is_asked_for_again():
    """RFC 5961, 3.2: its number is not the next one, so the server answers with an ACK; the second RST is exact."""
    made = Replayed([
        segment(1, 0, SYN, 1000),
        segment(2, 1, SYN | ACK, 5000, 1001),
        segment(3, 0, ACK, 1001, 5001),
        segment(4, 0, RST | ACK, 4001, 5001),
        segment(5, 1, ACK, 5001, 1001),
        segment(6, 0, RST, 1001),
    ])  # fmt: skip
    ends = {(it["endpoint"], it["frame"]) for it in made.events if STATES[it["new"]] == "CLOSED"}
    assert ends == {(0, 4), (1, 6)}


def test_a_refusal_is_no_handshake():
    """Wireshark's initial round trip is that of the first ACK bit, a RST's too."""
    refused = Replayed([segment(1, 0, SYN, 1000), segment(2, 1, RST | ACK, 0, 1001)]).connections[0]
    opened = Replayed([
        segment(1, 0, SYN, 1000), segment(2, 1, SYN | ACK, 5000, 1001), segment(3, 0, ACK, 1001, 5001),
    ]).connections[0]  # fmt: skip
    assert refused["initial_rtt_ns"] == -1 and opened["initial_rtt_ns"] == 2_000_000


def test_a_syn_that_time_wait_does_not_take():
    """RFC 9293, 3.10.7.4: it is answered for the old connection, and the RST that this meets ends that (RFC 1337)."""
    made = Replayed([
        segment(1, 0, SYN, 9000), segment(2, 1, SYN | ACK, 5000, 9001), segment(3, 0, ACK, 9001, 5001),
        segment(4, 1, FIN | ACK, 5001, 9001), segment(5, 0, FIN | ACK, 9001, 5002), segment(6, 1, ACK, 5002, 9002),
        segment(7, 0, SYN, 1000),
        segment(8, 1, ACK, 5002, 9002),
        segment(9, 0, RST, 9002),
        segment(10, 0, SYN, 1000),
        segment(11, 1, SYN | ACK, 70_000, 1001), segment(12, 0, ACK, 1001, 70_001),
    ])  # fmt: skip
    told = {(it["connection"], it["frame"]): STATES[it["new"]] for it in made.events if it["endpoint"] == 1}
    assert (told[0, 5], told[0, 9]) == ("TIME_WAIT", "CLOSED")
    assert (told[1, 10], told[1, 12]) == ("SYN_RECEIVED", "ESTABLISHED") and (1, 7) not in told
    assert made.connections[1]["reset_bits"] == 0


def test_who_acknowledges_after_a_reset_has_kept_its_time_wait():
    """RFC 1337, 3: such a host ignores every RST in TIME_WAIT."""
    steps = [
        segment(1, 0, SYN, 9000), segment(2, 1, SYN | ACK, 5000, 9001), segment(3, 0, ACK, 9001, 5001),
        segment(4, 0, FIN | ACK, 9001, 5001), segment(5, 1, FIN | ACK, 5001, 9002), segment(6, 0, ACK, 9002, 5002),
        segment(7, 1, RST, 5002),
    ]  # fmt: skip
    again = [segment(500, 1, FIN | ACK, 5001, 9002), segment(501, 0, ACK, 9002, 5002)]
    ended, kept = (STATES[Replayed(it).connections[0]["client_state"]] for it in (steps, steps + again))
    assert (ended, kept) == ("CLOSED", "TIME_WAIT")


CLOSED_BY_BOTH = [
    segment(1, 0, SYN, 9000), segment(2, 1, SYN | ACK, 5000, 9001), segment(3, 0, ACK, 9001, 5001),
    segment(4, 0, FIN | ACK, 9001, 5001), segment(5, 1, FIN | ACK, 5001, 9002),
]  # fmt: skip


def ends_at(seconds: int, *more: bytes) -> tuple[str, bool | None]:
    """The server's state when the capture goes on for so long with another connection, and whether it is inferred."""
    other = segment(9, 0, SYN, 1, sport=40001, time_ns=seconds * 1_000_000_000)
    made = Replayed([*CLOSED_BY_BOTH, *more, other])
    last = [it for it in made.events if it["connection"] == 0 and it["endpoint"] == 1][-1]
    return STATES[made.connections[0]["server_state"]], bool(last["inferred"])


def test_a_fin_that_is_not_sent_again_was_acknowledged():
    """The capture has missed the acknowledgment, or ended before it."""
    again = segment(6, 1, FIN | ACK, 5001, 9002, time_ns=1_000_000_000)
    assert ends_at(2) == ("LAST_ACK", False)
    assert ends_at(4) == ("CLOSED", True)
    assert ends_at(4, again) == ("LAST_ACK", False)


def test_a_fin_that_was_not_captured_is_inferred():
    """Of both ends: what sent it, and what it did to the peer; not what the peer's own FIN does."""
    made = Replayed([*CLOSED_BY_BOTH[:3], segment(5, 1, FIN | ACK, 5001, 9002), segment(6, 0, ACK, 9002, 5002)])
    told = [(it["endpoint"], STATES[it["new"]], bool(it["inferred"])) for it in made.events if it["frame"] > 3]
    assert told == [
        (0, "FIN_WAIT_1", True), (0, "FIN_WAIT_2", False), (0, "TIME_WAIT", False),
        (1, "CLOSE_WAIT", True), (1, "LAST_ACK", False), (1, "CLOSED", False),
    ]  # fmt: skip
    row = made.connections[0]
    assert (CLOSE_KINDS[row["close_kind"]], CLOSED_BY[row["closed_by"]]) == ("fin", "client")


def test_a_clock_that_is_set_back_changes_no_state():
    """The close comes two seconds before the handshake, by the time stamps of the capture."""
    steps = [
        segment(1, 0, SYN, 9000), segment(2, 1, SYN | ACK, 5000, 9001), segment(3, 0, ACK, 9001, 5001),
        segment(4, 1, ACK, 5001, 9001, 100), segment(5, 0, FIN | ACK, 9001, 5101),
        segment(6, 1, FIN | ACK, 5101, 9002), segment(7, 0, ACK, 9002, 5102),
    ]  # fmt: skip
    back = [segment(*it, time_ns=(it[0] - 2000) * 1_000_000) for it in (
        (5, 0, FIN | ACK, 9001, 5101), (6, 1, FIN | ACK, 5101, 9002), (7, 0, ACK, 9002, 5102))]  # fmt: skip
    right, made = Replayed(steps), Replayed([*steps[:4], *back])
    ways = [[(it["endpoint"], it["frame"], it["old"], it["new"]) for it in one.events] for one in (right, made)]
    assert ways[0] == ways[1]
    times = [it["time_ns"] for it in made.events if it["endpoint"] == 0]
    assert times == sorted(times)
    assert made.connections[0]["end_ns"] - made.connections[0]["start_ns"] == 3_000_000


def test_a_fin_that_came_with_unseen_data_is_inferred_when_nothing_else_comes():
    """The server's last hundred bytes, and the FIN with them, were not captured."""
    steps = [
        *CLOSED_BY_BOTH[:3], segment(4, 0, ACK, 9001, 5102), segment(5, 0, FIN | ACK, 9001, 5102),
        segment(6, 1, ACK, 5102, 9002),
    ]  # fmt: skip
    for seconds, state in ((2, "CLOSE_WAIT"), (4, "TIME_WAIT")):
        made = Replayed([*steps, segment(9, 0, SYN, 1, sport=40001, time_ns=seconds * 1_000_000_000)])
        assert STATES[made.connections[0]["server_state"]] == state


def test_events_before_1970_have_their_own_time():
    begin = -20 * 365 * 86_400 * 10**9
    steps = ((1, 0, SYN, 9000), (2, 1, SYN | ACK, 5000, 9001), (3, 0, ACK, 9001, 5001))
    made = Replayed([segment(*it, time_ns=begin + it[0]) for it in steps])  # type: ignore[arg-type]
    assert [it["time_ns"] for it in made.events] == [begin + 1, begin + 2, begin + 1, begin + 3]
