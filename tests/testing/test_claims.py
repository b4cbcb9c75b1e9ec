"""assert_tcp on sample captures: what holds passes, what does not says why, with frames and ladder."""

from pathlib import Path

import pytest

import tcpscope
from tcpscope.errors import UsageError
from tcpscope.testing import assert_tcp

SAMPLES = Path(__file__).parents[2] / "sample_pcaps"


def claims(name):
    return assert_tcp(SAMPLES / f"{name}.pcap")


def test_all_that_holds_of_a_normal_connection():
    claims("normal").at_least(1).exactly(1).at_most(1).handshake_ok().no_retransmissions().no_timeouts().no_resets(
        "client"
    ).no_zero_window().max_zero_window(0).nodelay().closed().closed_by("client").states(
        client=("TIME_WAIT", "CLOSED"), server="closed"
    ).max_dwell("close-wait", 1).max_handshake_rtt(1).no_findings().no_annotation("zero_window", "dsack").column(
        "syn_rtt", least=0.001, most=0.1
    ).column("capture_point", among=["client"]).satisfies(lambda it: it.client_bytes > 0)


WRONG = [
    ("reset_unread_data", lambda c: c.no_resets(), "no_resets: 1 RST sent by the server, allowed 0", "frame 6"),
    ("reset_unread_data", lambda c: c.closed(), "close is reset, expected fin", "frame 6"),
    ("normal", lambda c: c.closed_by("server"), "fin by client, expected fin by server", "frames "),
    ("close_wait", lambda c: c.states(server="CLOSED"), "server_state is CLOSE_WAIT, expected CLOSED", "frame "),
    ("close_wait", lambda c: c.max_dwell("CLOSE_WAIT", 1e-9), "server_dwell_close_wait is", "frame 1"),
    ("refused", lambda c: c.handshake_ok(), "no SYN-ACK seen (refused)", "frame 1"),
    ("one_direction", lambda c: c.no_resets(), "no packet of the client was captured", "frame 1"),
    ("one_direction", lambda c: c.no_zero_window("client"), "no packet of the client was captured", "frame 1"),
    ("syn_lost", lambda c: c.handshake_ok(), "1 SYN sent again, allowed 0", "frame 2"),
    ("nagle_delayed_ack", lambda c: c.nodelay(), "6 packets held back until a delayed ACK came", "frames 6, 12"),
    ("nagle_delayed_ack", lambda c: c.no_findings(), "no_findings: warning nagle: the client waited", "frames 6"),
    ("zero_window", lambda c: c.no_zero_window(), "with a window of zero, allowed 0", "frame"),
    ("zero_window", lambda c: c.max_zero_window(0.1), "allowed at most 0.1", "frame"),
    ("fast_retransmission", lambda c: c.no_retransmissions("server"), "sent again by the server", "frame"),
    ("timeout_back_off", lambda c: c.no_timeouts(), "sent again by the timer, allowed 0", "frames"),
    ("timeout_back_off", lambda c: c.no_annotation("timeout_retransmission"), "so annotated, allowed 0", "frames"),
    ("normal", lambda c: c.max_handshake_rtt(0.001), "initial_rtt is 0.0136475, allowed at most 0.001", "frame 1"),
    ("syn_unanswered", lambda c: c.max_handshake_rtt(9), "initial_rtt is not known", "frame 1"),
    ("normal", lambda c: c.satisfies(lambda it: it.client_bytes < 0, "small"), "small: it is not so", ""),
]  # fmt: skip


def test_of_the_side_that_was_captured_alone_claims_can_be_made():
    claims("one_direction").no_resets("server").no_zero_window("server")


@pytest.mark.parametrize(("name", "claim", "said", "frames"), WRONG)
def test_what_does_not_hold_is_told_with_frames_and_ladder(name, claim, said, frames):
    with pytest.raises(AssertionError) as raised:
        claim(claims(name))
    lines = str(raised.value).splitlines()
    assert said in lines[0]
    assert not frames or lines[1].startswith(frames)
    assert f"capture: {SAMPLES / name}.pcap" in lines
    assert any(line.endswith("Δ") for line in lines), "the ladder"
    assert all(len(line) <= 116 for line in lines[3:])


def test_annotations_are_counted():
    claims("timeout_back_off").annotation("timeout_retransmission", 2)
    with pytest.raises(AssertionError, match="0 packets, expected at least 1"):
        claims("normal").annotation("dsack")


def test_what_may_be_may_be():
    claims("refused").no_resets(refused=True)
    claims("nagle_delayed_ack").no_findings(except_="nagle")
    claims("nagle_delayed_ack").no_findings(severity="error")
    claims("syn_lost").handshake_ok(repeated=1)
    claims("reset_unread_data").closed_by("server", how="reset")


def test_connections_are_chosen_by_what_they_are():
    capture = tcpscope.read(SAMPLES / "short_connections.pcap")
    assert len(capture) > 1
    row = capture.connection(1).row
    for where in (
        {"number": 1, "close": "fin"},
        {"client_port": row["client_port"], "close": row["close"]},
        {"port": row["server_port"], "client": f"{row['client_ip']}/24", "host": row["server_ip"]},
    ):
        found = assert_tcp(capture).connections(**where).at_least(1)
        assert 1 in found._numbers
    assert assert_tcp(capture.connection(1)).exactly(1)._numbers == [1]
    with pytest.raises(AssertionError, match="connections, expected one\nthe capture has") as raised:
        assert_tcp(capture).connection()
    assert "  and " in str(raised.value)


def test_findings_are_those_of_the_chosen_connections():
    capture = tcpscope.read([SAMPLES / "normal.pcap", SAMPLES / "nagle_delayed_ack.pcap"])
    numbers = capture.connections.set_index("client_nagle_stalls")["connection"]
    assert_tcp(capture).connection(int(numbers[0])).no_findings()
    with pytest.raises(AssertionError, match="warning nagle"):
        assert_tcp(capture).connection(int(numbers[6])).no_findings()


def test_of_nothing_nothing_is_claimed():
    nothing = claims("normal").connections(port=9)
    nothing.exactly(0).at_most(0)
    for claim in (nothing.no_resets, nothing.no_findings, nothing.handshake_ok, nothing.closed):
        with pytest.raises(AssertionError, match=r"no connection with port=9 to judge\nthe capture has 1 connection:"):
            claim()
    with pytest.raises(AssertionError, match="0 connections with port=9, expected at least 1"):
        nothing.at_least(1)


@pytest.mark.parametrize(
    ("claim", "said"),
    [
        (lambda c: c.states(client="TIMEWAIT"), "did you mean TIME_WAIT"),
        (lambda c: c.no_annotation("zero_windw"), "did you mean zero_window"),
        (lambda c: c.no_annotation(), "needs names"),
        (lambda c: c.no_findings(except_="nagel"), "did you mean nagle"),
        (lambda c: c.no_findings(severity="bad"), "error, warning, note"),
        (lambda c: c.closed_by("me"), "client, server, both"),
        (lambda c: c.closed("gracefully"), "there are: open, fin"),
        (lambda c: c.no_resets("both"), "no side 'both'"),
        (lambda c: c.column("sin_rtt", most=1), "did you mean syn_rtt"),
        (lambda c: c.column("syn_rtt"), "a bound is needed"),
        (lambda c: c.connection(prot=1), "did you mean port"),
        (lambda c: c.connection(host="localhost"), "no address or network"),
        (lambda c: assert_tcp(3), "not int"),
        (lambda c: c.max_handshake_rtt("1s"), "max_handshake_rtt: '1s' is no number"),
        (lambda c: c.max_handshake_rtt(float("nan")), "nan is no number"),
        (lambda c: c.max_dwell("CLOSE_WAIT", None), "a bound is needed"),
        (lambda c: c.at_least("3"), "at_least: '3' is no number"),
        (lambda c: c.column("close", most=3), "close is 'fin'"),
    ],
)
def test_wrong_words_are_errors_of_the_test(claim, said):
    with pytest.raises(UsageError, match=said):
        claim(claims("normal"))


def test_syns_that_cross_and_are_not_answered_are_no_handshake(tmp_path):
    import dpkt

    def frame(src, dst, ports, seq):
        tcp = dpkt.tcp.TCP(sport=ports[0], dport=ports[1], seq=seq, flags=dpkt.tcp.TH_SYN)
        ip = dpkt.ip.IP(src=bytes([10, 0, 0, src]), dst=bytes([10, 0, 0, dst]), p=6, data=tcp)
        ip.len = len(ip)
        return bytes(12) + b"\x08\0" + bytes(ip)

    path = tmp_path / "crossed.pcap"
    with path.open("wb") as file:
        writer = dpkt.pcap.Writer(file)
        for at, (src, dst, ports) in enumerate([(1, 2, (4000, 80)), (2, 1, (80, 4000)), (1, 2, (4000, 80))]):
            writer.writepkt(frame(src, dst, ports, 5 * src), ts=1 + at)
    with pytest.raises(AssertionError, match="no SYN-ACK"):
        assert_tcp(str(path)).handshake_ok(repeated=5)


def test_a_column_has_bounds_and_values():
    with pytest.raises(AssertionError, match="client_bytes"):
        claims("normal").column("client_bytes", least=10**6, among=[18])
    claims("normal").column("close", among="fin")


@pytest.mark.parametrize(
    "where", [{"close": "rest"}, {"server_state": "CLOSE-WAIT"}, {"port": "http"}, {"port": 99999},
              {"server_port": "80"}, {"server_port": True}, {"number": "0"}, {"client_ip": 1}, {"duration": "1s"},
              {"reused": "no"}, {"client_syn_options": "mss"}],
)  # fmt: skip
def test_a_selection_by_what_does_not_exist_is_an_error(where):
    with pytest.raises(UsageError):
        claims("normal").connections(**where)


def test_a_selection_takes_each_kind_of_value():
    there = claims("normal")
    for where in ({"server_port": 80}, {"number": 0}, {"server_port": 80.0}, {"reused": False}, {"closed_by": "client"},
                  {"client_syn_options": ("mss", "window_scale", "sack_permitted", "timestamps")}):  # fmt: skip
        assert len(there.connections(**where)) == 1, where
