"""What an allowance excuses: of single connections, of several together, of findings; and what it does not."""

import pytest

import tcpscope
from tcpscope.check import judge, load_policy, observe
from tcpscope.tables.analysis import locate

from .talks import Talk, write

CHECKER, USER = "10.9.0.1", "10.1.0.1"
ALLOW = {"rule": "it", "reason": "health checks", "select": {"client": "10.9.0.0/16"}}
GATE = {"max": {"damaged": 5}}


def judged(path, allow=ALLOW, **rule):
    return judge(tcpscope.read(path), policy(allow, **rule))


def policy(allow=ALLOW, **rule):
    return {"version": 1, "rules": [{"id": "it", **rule}], "allow": [allow] if allow else [], "quality": GATE}


@pytest.fixture
def resets(tmp_path):
    """As many resets of health checks as a finding names connections, and then one of a user."""
    return write(tmp_path / "it.pcap", [*[Talk(CHECKER, "reset")] * 25, Talk(USER, "reset"), *[Talk(USER)] * 74])


def test_a_finding_is_about_what_is_not_excused(resets):
    found = judged(resets, findings=["reset_abort"])
    (one,) = found.violations
    assert (found.result, one.count, one.connections) == ("fail", 1, [25])
    assert found.allows[0].excused == 1
    assert judged(resets, findings=["reset_abort"], select={"client": CHECKER}).result == "pass"


def test_a_finding_that_is_wholly_excused_is_told(tmp_path):
    path = write(tmp_path / "it.pcap", [*[Talk(CHECKER, "reset")] * 25, Talk(USER)])
    (rule,) = judged(path, findings=["reset_abort"]).rules
    assert (rule.status, rule.total, rule.excused) == ("pass", 1, 1)
    assert (rule.violations[0].excused, rule.violations[0].count) == ("health checks", 25)


def test_what_is_about_all_connections_is_counted_anew(tmp_path):
    path = write(tmp_path / "it.pcap", [*[Talk(CHECKER)] * 30, *[Talk(USER)] * 24])
    found = judged(path, findings=["short_connections"])
    assert [it.count for it in found.violations] == [24]
    assert [it.count for it in judged(path, None, findings="note", select={"client": USER}).violations] == [24]
    table = load_policy(policy(findings=["short_connections"]))
    assert judge(observe(locate([path]), table), table).as_dict() == judge(tcpscope.read(path), table).as_dict()


def test_many_odd_connections_hide_nobody(tmp_path, monkeypatch):
    """Of those beyond the first it is not known which finding they would be in."""
    monkeypatch.setattr("tcpscope.diagnose.facts.MOST", 10)
    path = write(tmp_path / "it.pcap", [*[Talk(CHECKER, "reset")] * 20, Talk(USER, "reset")])
    assert judged(path, findings=["reset_abort"]).result == "inconclusive"
    assert judged(path, ALLOW | {"select": {"server_port": 80}}, findings=["reset_abort"]).result == "pass"


def test_what_is_about_no_connection_is_excused_for_none(tmp_path, resets):
    cut = tmp_path / "cut.pcap"
    cut.write_bytes(resets.read_bytes()[:-10])
    nothing = {"select": {"server_port": 8080}}
    for path, rule in (
        (cut, {"findings": ["damaged"]}),
        (resets, {"per": "capture", "min": {"connections": 1}, **nothing}),
        (resets, {"require": {"handshake_ok": True}, "empty": "fail", **nothing}),
    ):
        found = judged(path, **rule)
        assert (found.result, found.allows[0].excused) == ("fail", 0), rule
        whole = judged(path, {"rule": "it", "reason": "known"}, **rule)
        assert (whole.rules[0].excused, whole.allows[0].excused) == (1, 1), rule
        assert whole.result == "pass"


@pytest.mark.parametrize(
    "rule",
    [
        {"require": {"close": "fin"}, "holds_for": "at least 98%"},
        {"per": "service", "require": {"close": "fin"}, "holds_for": "at least 98%"},
        {"require": {"close": "reset"}, "holds_for": "at most 3"},
        {"per": "capture", "max": {"resets": 3}},
        {"per": "capture", "max": {"connections": 80}},
        {"per": "client", "max": {"resets": 3}},
    ],
)
def test_shares_and_groups_leave_out_what_is_excused(resets, rule):
    assert judged(resets, None, **rule).result == "fail"
    found = judged(resets, **rule)
    assert (found.result, found.rules[0].excused, found.allows[0].excused) == ("pass", 1, 1)
    assert found.rules[0].violations[0].excused == "health checks"


def test_what_is_left_is_what_is_told(resets):
    found = judged(resets, require={"close": "fin"}, holds_for="at least 99%")
    (one,) = found.violations
    assert (one.measured, one.connections) == ("holds for 74 of 75 (98.7%)", [25])
    assert (found.rules[0].total, found.rules[0].excused, found.allows[0].excused) == (1, 0, 1)


def test_an_allowance_makes_nothing_fail(resets):
    rule = {"per": "capture", "min": {"connections": 100}}
    assert judged(resets, **rule).result == judged(resets, None, **rule).result == "pass"
    assert judged(resets, require={"client_ip": CHECKER}, holds_for="any").result == "pass"


def test_several_allowances_together(resets):
    allows = [
        ALLOW | {"select": {"client": CHECKER, "client_port": "40000-40009"}, "reason": "one"},
        ALLOW | {"select": {"client": CHECKER, "client_port": "40010-40099"}, "reason": "two"},
    ]
    table = policy(per="capture", max={"resets": 3}) | {"allow": allows}
    found = judge(tcpscope.read(resets), table)
    assert (found.result, found.rules[0].violations[0].excused) == ("pass", "one; two")
