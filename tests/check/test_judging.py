"""Verdicts on sample captures: each kind of rule, selections, allow-lists, the gate, baselines, ladders."""

import struct
from datetime import date
from pathlib import Path

import pytest

import tcpscope
from tcpscope.check import Observed, judge, load_policy, observe, render_violation
from tcpscope.check.baseline import Baseline
from tcpscope.errors import UsageError
from tcpscope.tables.analysis import locate

from ..ladder.build import write
from ..ladder.script import parse
from . import talks

SAMPLES = Path(__file__).parents[2] / "sample_pcaps"
SCRIPTS = Path(__file__).parents[1] / "scripts"


def verdict(name, *rules, **more):
    how = {key: more.pop(key) for key in ("baseline", "fail_on", "today") if key in more}
    table = {"version": 1, "rules": [{"id": f"r{at}", **rule} for at, rule in enumerate(rules)], **more}
    return judge(tcpscope.read(SAMPLES / name), table, **how)


def status(name, rule, **more):
    return verdict(name, rule, **more).rules[0].status


@pytest.mark.parametrize(
    ("name", "rule", "expected"),
    [
        ("normal.pcap", {"require": {"handshake_ok": True, "closed_ok": True, "closed_by": "client"}}, "pass"),
        ("normal.pcap", {"require": {"closed_by": "server"}}, "fail"),
        ("normal.pcap", {"forbid": {"time_wait_owner": "server"}}, "pass"),
        ("server_closes_first.pcap", {"forbid": {"time_wait_owner": "server"}}, "fail"),
        ("mid_stream.pcap", {"require": {"handshake_ok": True}}, "inconclusive"),
        ("mid_stream.pcap", {"require": {"handshake_ok": True}, "unknown": "fail"}, "fail"),
        ("syn_lost.pcap", {"max": {"syn_retransmissions": 0}}, "fail"),
        ("syn_lost.pcap", {"max": {"handshake_rtt": "500ms"}}, "pass"),
        ("syn_lost.pcap", {"max": {"handshake_time": "500ms"}}, "fail"),
        ("normal.pcap", {"max": {"handshake_time": "500ms"}}, "pass"),
        ("refused.pcap", {"max": {"handshake_time": "500ms"}}, "inconclusive"),
        ("simultaneous_open.pcap", {"require": {"handshake_ok": True}}, "pass"),
        ("fast_open.pcap", {"require": {"handshake_ok": True}}, "pass"),
        ("refused.pcap", {"forbid": {"close": "refused"}}, "fail"),
        (
            "refused.pcap",
            {"require": {"closed_by": "client"}, "where": {"forbid": {"close": "refused"}}},
            "inconclusive",
        ),
        ("zero_window.pcap", {"max": {"zero_window": "3s"}}, "pass"),
        ("zero_window.pcap", {"max": {"client_zero_window": "2s"}}, "fail"),
        ("zero_window.pcap", {"max": {"server_zero_window": 0}}, "pass"),
        ("nagle_delayed_ack.pcap", {"max": {"nagle_stalls": 0}}, "fail"),
        ("short_connections.pcap", {"per": "capture", "min": {"connections": 20}}, "pass"),
        ("short_connections.pcap", {"per": "capture", "min": {"connections": 21}}, "fail"),
        ("short_connections.pcap", {"per": "capture", "max": {"handshake_rtt": {"p95": "1s", "max": "1s"}}}, "pass"),
        ("short_connections.pcap", {"per": "service", "max": {"handshake_rtt": {"p50": "1ms"}}}, "fail"),
        ("short_connections.pcap", {"per": "capture", "min": {"handshake_ok": {"share": "100%", "count": 20}}}, "pass"),
        ("bulk.pcap", {"per": "capture", "max": {"retransmission_rate": "0.1%"}}, "fail"),
        ("bulk.pcap", {"per": "capture", "max": {"retransmission_rate": "5%"}}, "pass"),
        ("both_ways.pcapng", {"findings": "note", "except": ["missed", "retransmissions"]}, "pass"),
        ("zero_window.pcap", {"findings": ["zero_window"]}, "fail"),
        ("zero_window.pcap", {"findings": "warning", "except": ["zero_window"]}, "pass"),
        ("zero_window.pcap", {"select": {"port": 81}, "findings": "note"}, "inconclusive"),
        ("zero_window.pcap", {"select": {"port": 81}, "findings": "note", "empty": "pass"}, "skipped"),
        ("zero_window.pcap", {"select": {"port": 81}, "findings": "note", "empty": "fail"}, "fail"),
        ("time_wait_reuse.pcap", {"require": {"reused": True}, "holds_for": "any"}, "pass"),
        ("time_wait_reuse.pcap", {"require": {"reused": True}, "holds_for": "at least 2"}, "fail"),
        ("time_wait_reuse.pcap", {"require": {"reused": True}, "holds_for": "at most 50%"}, "pass"),
        ("time_wait_reuse.pcap", {"require": {"reused": True}, "holds_for": "none"}, "fail"),
    ],
)
def test_rules(name, rule, expected):
    assert status(name, rule) == expected


@pytest.mark.parametrize(
    ("select", "count"),
    [
        ({"host": "10.1.0.1"}, 20), ({"net": "10.1.0.0/24"}, 20), ({"host": "10.1.0.1", "role": "server"}, 0),
        ({"client": "10.1.0.1"}, 20), ({"server": "10.1.0.2:80"}, 20), ({"server": "10.1.0.2:81"}, 0),
        ({"server": "web"}, 20), ({"service": 80}, 20), ({"service": "10.1.0.2:80"}, 20), ({"port": "80-90"}, 20),
        ({"client_port": 80}, 0), ({"from": "+0s", "to": "+0s"}, 1), ({"to": "1970-01-02"}, 0),
        ({"where": {"min": {"unique_bytes": 1}}}, 20), ({"where": {"max": {"unique_bytes": 1}}}, 0),
        ({"host": ["192.0.2.1", "10.1.0.0/16"], "port": [81, 80]}, 20),
    ],
)  # fmt: skip
def test_selections(select, count):
    found = verdict("short_connections.pcap", {"select": select, "min": {"packets": 1}}, names={"web": ["10.1.0.2"]})
    assert found.rules[0].selected == count


def test_a_violation_says_where_what_and_shows_it():
    capture = tcpscope.read(SAMPLES / "reset_unread_data.pcap")
    found = judge(capture)
    (one,) = found.violations
    assert (found.result, found.exit_code, bool(found)) == ("fail", 1, False)
    assert (one.rule, one.connection, one.frames, one.part) == ("no-resets", 0, [6], "close")
    assert one.message == "connection 0, 10.1.0.1:40000 → 10.1.0.2:80: close reset by server, allowed: not reset"
    text = render_violation(capture, one)
    assert "RST" in text and "frame 6" in text and "ESTABLISHED" in text
    assert render_violation(capture, one, "mermaid").count("sequenceDiagram") == 1


def test_frames_are_those_that_prove_it():
    def frames(name, rule):
        return verdict(name, rule).violations[0].frames

    assert frames("zero_window.pcap", {"max": {"zero_window": 0}}) == [16, 18, 20, 22]
    assert frames("syn_lost.pcap", {"max": {"syn_retransmissions": 0}})[0] > 1
    assert frames("bad_checksum.pcap", {"max": {"retransmissions": 0}}) == [19]
    assert frames("refused.pcap", {"forbid": {"close": "refused"}}) == [2]
    assert frames("close_wait.pcap", {"max": {"left_in_close_wait": 0}})


def test_the_default_policy_makes_sense():
    failing = {
        "crash_and_reconnect", "half_open_crash", "idle_reset", "keep_alive_dead_peer",
        "keep_alive_rebooted_peer", "keep_alive_train", "peer_vanished", "refused", "reset_linger",
        "reset_unread_data", "syn_flood", "syn_retries_bsd", "syn_retries_linux", "syn_unanswered", "zero_window",
    }  # fmt: skip
    passing = {
        "normal", "bulk", "fin_lost", "half_close", "simultaneous_open", "fast_open", "syn_lost", "mid_stream",
        "nagle_delayed_ack", "bad_checksum", "span_duplicates", "time_wait_reuse", "slow_reader", "keep_alive",
        "data_after_close",
    }  # fmt: skip
    for name in failing | passing:
        found = judge(tcpscope.read(SAMPLES / f"{name}.pcap"))
        assert found.result == ("fail" if name in failing else "pass"), name


def test_a_stream_and_a_capture_are_judged_alike():
    policy = load_policy(None)
    for name in ("bulk.pcap", "syn_flood.pcap", "two_interfaces.pcapng"):
        observed = observe(locate([SAMPLES / name]), policy)
        assert isinstance(observed, Observed)
        assert judge(observed, policy).as_dict() == judge(tcpscope.read(SAMPLES / name), policy).as_dict()


def test_allowances_excuse_until_their_day():
    rule = {"forbid": {"close": "reset"}}
    allow = [{"rule": "r*", "reason": "the old client does that", "until": "2026-03-01", "select": {"port": 80}}]
    before = verdict("reset_linger.pcap", rule, allow=allow, today=date(2026, 3, 1))
    after = verdict("reset_linger.pcap", rule, allow=allow, today=date(2026, 3, 2))
    other = verdict("reset_linger.pcap", rule, allow=[allow[0] | {"select": {"port": 81}}], today=date(2026, 3, 1))
    assert (before.result, before.rules[0].excused, before.allows[0].expired) == ("pass", 1, False)
    assert before.rules[0].violations[0].excused == "the old client does that"
    assert (after.result, after.allows[0].expired, after.allows[0].excused) == ("fail", True, 0)
    assert (other.result, other.allows[0].excused) == ("fail", 0)


LATE = talks.Talk(begun_before=True)  # no handshake, so no round trip of one


@pytest.mark.parametrize(
    "rule",
    [
        {"per": "capture", "max": {"handshake_rtt": {"p95": "1s"}}},
        {"per": "capture", "max": {"handshake_rtt": {"max": "1s", "mean": "1s"}}},
        {"per": "service", "max": {"handshake_rtt": {"p95": "1s"}}},
        {"per": "client", "min": {"handshake_ok": {"share": "90%"}}},
        {"per": "client", "min": {"handshake_ok": {"count": 1}}},
        {"per": "service", "require": {"handshake_ok": True}, "holds_for": "at least 90%"},
    ],
)
def test_what_is_not_known_in_a_group_is_told(tmp_path, rule):
    capture = tcpscope.read(talks.write(tmp_path / "it.pcap", [*[talks.Talk()] * 2, *[LATE] * 2]))

    def judged(unknown, **more):
        table = {"version": 1, "rules": [{"id": "it", **rule, "unknown": unknown}], **more}
        return judge(capture, table).rules[0]

    skipped, failed, unsure = map(judged, ("skip", "fail", "inconclusive"))
    assert (skipped.status, skipped.unknown) == ("pass", 2)
    assert skipped.note == "not known of 2 of 4 connections, which are left out"
    assert failed.status == "fail" and "2 of 4" in failed.violations[0].measured
    assert unsure.status == "inconclusive"
    allow = [{"rule": "it", "reason": "old ones", "select": {"client_port": "40002-40003"}}]
    excused = judged("inconclusive", allow=allow)
    assert (excused.status, excused.unknown) == ("pass", 2)
    assert judged("fail", allow=allow).status == "pass"


def test_a_count_of_what_is_known_knows_all():
    rule = {"per": "capture", "max": {"handshake_rtt": {"count": 5}}, "unknown": "inconclusive"}
    assert status("mid_stream.pcap", rule) == "pass"


@pytest.mark.parametrize("holds", ["any", "at least 1", "at least 50%"])
@pytest.mark.parametrize("per", ["connection", "capture", "service"])
def test_nothing_known_is_inconclusive(holds, per):
    rule = {"require": {"handshake_ok": True}, "holds_for": holds, "per": per}
    assert status("mid_stream.pcap", rule) == "inconclusive"
    assert status("mid_stream.pcap", rule | {"empty": "pass"}) == "skipped"
    assert status("mid_stream.pcap", rule | {"unknown": "fail"}) == "fail"


def test_severity_and_fail_on():
    rule = {"forbid": {"close": "reset"}, "severity": "warning"}
    assert verdict("reset_linger.pcap", rule).result == "pass"
    assert verdict("reset_linger.pcap", rule, fail_on="warning").result == "fail"
    assert [it.severity for it in verdict("reset_linger.pcap", rule).violations] == ["warning"]


def test_a_severity_that_is_none_is_told():
    with pytest.raises(UsageError, match="no severity 'x'; there are: error, warning, note"):
        verdict("normal.pcap", {"max": {"packets": 1}}, fail_on="x")


def test_the_gate_makes_it_inconclusive(tmp_path):
    empty = tmp_path / "empty.pcap"
    empty.write_bytes(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
    found = judge(tcpscope.read(empty))
    assert (found.result, found.exit_code) == ("inconclusive", 3) and "connections" in found.reasons[0]
    cut = tmp_path / "cut.pcap"
    cut.write_bytes((SAMPLES / "normal.pcap").read_bytes()[:-10])
    assert judge(tcpscope.read(cut)).result == "inconclusive"
    lax = {"version": 1, "rules": [{"id": "a", "require": {"handshake_ok": True}}], "quality": {"max": {"damaged": 1}}}
    assert judge(tcpscope.read(cut), lax).result == "pass"
    both = tmp_path / "bad.pcap"
    both.write_bytes((SAMPLES / "reset_linger.pcap").read_bytes()[:-2])
    assert judge(tcpscope.read(both), None).gate[1].ok is False


def test_a_baseline_lets_only_new_and_worse_fail():
    rule = {"max": {"packets": 5}}
    first = Baseline()
    assert verdict("normal.pcap", rule, baseline=first).result == "fail"
    known = first.document()["violations"]
    assert len(known) == 1 and ":80" in next(iter(known)) and ":40000" not in next(iter(known))
    again = verdict("server_closes_first.pcap", rule, baseline=Baseline(known))
    assert (again.result, again.rules[0].known) == ("pass", 1)
    worse = verdict("bulk.pcap", rule, baseline=Baseline(known))
    assert (worse.result, worse.violations[0].status) == ("fail", "worse")
    more = verdict("short_connections.pcap", rule, baseline=Baseline(known))
    assert more.result == "fail" and {it.status for it in more.violations} == {"worse"}
    fixed = verdict("normal.pcap", {"max": {"packets": 500}}, baseline=Baseline(known))
    assert [it.key for it in fixed.fixed] == list(known) and fixed.result == "pass"
    new = verdict("normal.pcap", {"max": {"packets": 5, "client_packets": 5}}, baseline=Baseline(known))
    assert {it.measure: it.status for it in new.violations} == {"client_packets": "new"}


def compared(folder, rule, before, now):
    """What a baseline of the first talks makes of the others."""
    table, baseline = {"version": 1, "rules": [{"id": "it", **rule}]}, Baseline()
    judge(tcpscope.read(talks.write(folder / "before.pcap", before)), table, baseline=baseline)
    known = Baseline(baseline.document()["violations"])
    found = judge(tcpscope.read(talks.write(folder / "now.pcap", now)), table, baseline=known)
    return [it.status for it in found.rules[0].violations]


def test_of_a_share_the_smaller_one_is_worse(tmp_path):
    good, bad = talks.Talk(), talks.Talk(end="reset")
    before = [good] * 10 + [bad] * 10
    for rule, now, expected in (
        ("at least 99%", [good] * 190 + [bad] * 10, "known"),
        ("at least 99%", [good] * 50 + [bad] * 50, "known"),
        ("at least 99%", [good] + [bad] * 10, "worse"),
        ("at least 15", [good] * 8 + [bad] * 2, "worse"),
        ("at most 5", [good] * 10 + [bad] * 90, "known"),
        ("at most 5", [good] * 12, "worse"),
    ):
        table = {"require": {"close": "fin"}, "holds_for": rule}
        assert compared(tmp_path, table, before, now) == [expected], rule


def test_more_traffic_is_not_worse(tmp_path):
    rule = {"per": "service", "max": {"handshake_rtt": {"p95": "50ms"}}}
    slow = [talks.Talk(rtt=0.06)] * 20
    for rtt, expected in ((0.055, "known"), (0.064, "known"), (0.08, "worse")):
        assert compared(tmp_path, rule, slow, [talks.Talk(rtt=rtt)] * 25) == [expected]


def test_fingerprints_stay_and_tell_apart():
    rule = {"max": {"packets": 1}}
    one, two = (verdict("short_connections.pcap", rule).violations for _ in range(2))
    assert [it.fingerprint for it in one] == [it.fingerprint for it in two]
    assert len({it.fingerprint for it in one}) == 20
    nothing = {"select": {"port": 81}, "max": {"packets": 1}, "empty": "fail"}
    assert len({it.fingerprint for it in verdict("short_connections.pcap", nothing, nothing).violations} - {""}) == 2
    assert one[0].key == verdict("server_closes_first.pcap", rule).violations[0].key


def test_of_very_many_violations_only_some_are_told_singly():
    found = verdict("syn_flood.pcap", *[{"forbid": {"close": "half_open"}}])
    assert found.rules[0].total == 50 == len(found.rules[0].violations)
    from tcpscope.check import judging

    kept, judging.LISTED = judging.LISTED, 7
    try:
        found = verdict("syn_flood.pcap", {"forbid": {"close": "half_open"}})
    finally:
        judging.LISTED = kept
    assert (found.rules[0].total, len(found.violations), found.result) == (50, 7, "fail")


def test_nothing_of_a_policy_is_run():
    with pytest.raises(UsageError):
        load_policy({"version": 1, "rules": [{"id": "a", "max": {"__import__('os').system('x')": 0}}]})


def test_what_was_not_judged_says_why():
    long = {"where": {"min": {"duration": "1h"}}, "max": {"retransmissions": 0}}
    assert verdict("normal.pcap", long).rules[0].note == "no connection meets the rule's where"
    there = verdict("normal.pcap", long | {"select": {"server_port": 9}}).rules[0].note
    assert there.endswith(" was there to judge") and "9" in there


def test_what_was_lost_before_the_capture_was_sent_again(tmp_path):
    path = tmp_path / "lost.pcap"
    write(parse((SCRIPTS / "loss/lost_before_the_capture.txt").read_text()), path)
    capture = tcpscope.read(path)
    assert capture.connections.client_retransmissions.tolist() == [0]  # by numbers alone, as tcptrace counts
    table = {"version": 1, "rules": [{"id": "again", "max": {"client_retransmissions": 0, "retransmissions": 0}}]}
    (rule,) = judge(capture, table).rules
    assert rule.status == "fail"
    assert {it.frames[0] for it in rule.violations} == {13}


@pytest.mark.parametrize(
    "rule",
    [{"require": {"handshake_ok": True}}, {"max": {"left_in_close_wait": 0}}, {"forbid": {"handshake_ok": True}}],
)
def test_of_the_side_that_was_not_captured_nothing_is_known(rule, tmp_path):
    """Of the same connection with both sides each of these is known."""
    import dpkt

    with (SAMPLES / "close_wait.pcap").open("rb") as file, (tmp_path / "half.pcap").open("wb") as out:
        frames = list(dpkt.pcap.Reader(file))
        writer = dpkt.pcap.Writer(out)
        source = dpkt.ethernet.Ethernet(frames[0][1]).data.src
        for when, frame in frames:
            if dpkt.ethernet.Ethernet(frame).data.src == source:
                writer.writepkt(frame, when)
    policy = {"version": 1, "rules": [{"id": "r", **rule}]}
    assert judge(tcpscope.read(tmp_path / "half.pcap"), policy).rules[0].status == "inconclusive"
    assert judge(tcpscope.read(SAMPLES / "close_wait.pcap"), policy).rules[0].status != "inconclusive"
