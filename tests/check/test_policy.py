"""Policies: read from TOML, YAML and dicts, refused with the nearest right word, and as the JSON Schema has them."""

import json
import tomllib
from importlib import resources

import jsonschema
import pytest

from tcpscope.check.grammar import GATES, SECTIONS
from tcpscope.check.measures import measures
from tcpscope.check.policy import default_text, load_policy
from tcpscope.check.schema import schema
from tcpscope.check.units import amount, apart, written
from tcpscope.errors import UsageError
from tcpscope.tables.schema import CONNECTIONS

WHOLE = """
version = 1
title = "all there is"
[profile]
msl = "30s"
[names]
api = ["10.1.0.2", "2001:db8::/32"]
[[select]]
name = "web"
server = "api"
port = [80, "8000-8099"]
where.min.bytes = "1kB"
[[rules]]
id = "loss"
why = "because"
select = "web"
per = "service"
max = { retransmission_rate = "0.5%", handshake_rtt = { p95 = "5ms", "p99.9" = "1s" } }
min.connections = 1
empty = "fail"
[[rules]]
id = "close"
severity = "warning"
select = { client = "10.0.0.0/8", from = "+1s", to = 2030-01-01T00:00:00Z }
require = { closed_by = ["client", "server"], handshake_ok = true }
holds_for = "at least 99%"
unknown = "inconclusive"
[[rules]]
id = "odd"
findings = "warning"
except = ["reset"]
[[allow]]
rule = ["close", "lo*"]
reason = "known"
until = 2030-01-31
select = "web"
[quality]
max = { dropped_rate = "1%", damaged = 3 }
min.connections = 2
"""


def rules(**rule):
    return {"version": 1, "rules": [{"id": "it", **rule}]}


def test_toml_yaml_and_a_dict_say_the_same(tmp_path):
    yaml = pytest.importorskip("yaml")
    toml = tmp_path / "p.toml"
    toml.write_text(WHOLE)
    table = tomllib.loads(WHOLE)
    other = tmp_path / "p.yaml"
    other.write_text(yaml.safe_dump(table, sort_keys=False))
    one, two, three = load_policy(toml), load_policy(str(other)), load_policy(table)
    for found in (two, three):
        assert [(r.id, r.tests, r.totals, r.select, r.holds) for r in one.rules] == [
            (r.id, r.tests, r.totals, r.select, r.holds) for r in found.rules
        ]
        assert (one.allows, one.quality, one.msl) == (found.allows, found.quality, 30)
    assert [r.line for r in one.rules] == [14, 22, 29]
    assert [r.line for r in two.rules if r.line] and two.rules[0].line
    assert {(it.gate.name, it.op): it.bound for it in one.quality}["damaged", "max"] == 3
    assert ("max", "clock_steps") in {(it.op, it.gate.name) for it in one.quality}  # kept from the default


@pytest.mark.parametrize(
    ("table", "says"),
    [
        (rules(max={"retransmision_rate": "1%"}), "did you mean retransmission_rate?"),
        (rules(max={"handshake_rtt": 5}), "lacks its unit"),
        (rules(max={"handshake_rtt": "5 mss"}), "did you mean ms?"),
        (rules(max={"handshake_rtt": {"p95": "5ms"}}), 'add per = "capture"'),
        (rules(per="capture", max={"handshake_rtt": {"p9x": "5ms"}}), "no 'p9x'"),
        (rules(per="capture", max={"handshake_rtt": "5ms"}), "say which"),
        (rules(per="captur", max={"packets": 5}), "did you mean capture?"),
        (rules(per="capture", min={"connection": 1}), "did you mean connections?"),
        (rules(max={"close": 1}), "goes with require and forbid"),
        (rules(max={"packets": True}), "is no number"),
        (rules(max={"packets": float("nan")}), "is no number"),
        (rules(max={"retransmission_rate": 5}), '"5%"'),
        (rules(forbid={"close": "rest"}), "did you mean reset?"),
        (rules(require={"closed_ok": "yes"}), "true or false"),
        (rules(findings=["zero_windw"]), "did you mean zero_window?"),
        (rules(findings="reset", holds_for="any"), "not with findings"),
        (rules(holds_for="most", require={"closed_ok": True}), "write all, any"),
        (rules(holds_for="at least 101%", require={"closed_ok": True}), "more than all"),
        (rules(), "asserts nothing"),
        (rules(select="api", findings="reset"), "no selection 'api'"),
        (rules(select={"prt": 1}, findings="reset"), "did you mean port?"),
        (rules(select={"port": 99999}, findings="reset"), "is no port"),
        (rules(select={"host": "apo"}, findings="reset") | {"names": {"api": "10.0.0.1"}}, "did you mean api?"),
        (rules(select={"from": "noon"}, findings="reset"), "is no time"),
        (rules(findings="reset") | {"allow": [{"rule": "itt", "reason": "x"}]}, "did you mean it?"),
        (rules(findings="reset") | {"allow": [{"rule": "it"}]}, "'reason' is missing"),
        (rules(findings="reset") | {"allow": [{"rule": "it", "reason": "x", "until": "soon"}]}, "is no date"),
        (rules(findings="reset") | {"quality": {"max": {"dropd": 1}}}, "did you mean dropped?"),
        (rules(findings="reset") | {"rulez": []}, "did you mean rules?"),
        (rules(findings="reset") | {"version": 2}, "version 1"),
        ({"version": 1, "rules": rules(findings="reset")["rules"] * 2}, "two of this id"),
        ({"version": 1, "rules": [{"id": "a b", "findings": "reset"}]}, "begins with a letter"),
        ({"version": 1, "rules": [3]}, "table with keys"),
        ({"version": 1, "rules": 3}, "list of tables"),
        ({"version": 1, "rules": []}, "there is none"),
        ({}, "'version' is missing"),
    ],
)
def test_what_is_wrong_is_told_in_one_line_with_the_nearest_word(table, says):
    with pytest.raises(UsageError) as error:
        load_policy(table)
    assert says in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("p.toml", "version = ", "p.toml: "),
        ("p.yaml", "version: [", "p.yaml: "),
        ("p.yaml", "!!python/object/apply:os.system [echo]", "p.yaml: "),
        (
            "p.yaml",
            "version: 1\nrules: [}",
            "p.yaml: while parsing a flow node expected the node content, but found '}' in line 2, column 9",
        ),
        (
            "p.yaml",
            "version: \0",
            "p.yaml: unacceptable character #x0000: special characters are not allowed in position 9",
        ),
        ("p.yaml", "- 1", "has keys"),
        ("p.json", "{}", ".toml, .yaml or .yml"),
    ],
)
def test_files_that_are_no_policies(tmp_path, name, text, says):
    (tmp_path / name).write_text(text)
    with pytest.raises(UsageError) as error:
        load_policy(tmp_path / name)
    assert says in str(error.value) and "\n" not in str(error.value) and "unicode string" not in str(error.value)


def test_the_schema_is_the_loaders_grammar():
    shipped = json.loads((resources.files("tcpscope.check") / "policy.schema.json").read_text("utf-8"))
    assert shipped == schema(), "python -m tcpscope.check.schema > tcpscope/check/policy.schema.json"
    jsonschema.Draft202012Validator.check_schema(shipped)
    judge = jsonschema.Draft202012Validator(shipped)
    for text in (default_text(), WHOLE):
        table = json.loads(json.dumps(tomllib.loads(text), default=str))
        assert list(judge.iter_errors(table)) == []
    some, begins = rules(max={"packets": 1}), {"max": {"packets": 1}}
    for wrong in (
        rules(max={"packts": 1}), rules(max={"packets": "1s"}), rules(forbid={"close": "rest"}), rules(), {},
        rules(max={}), rules(findings=[]), rules(max={"start": "+5s"}), rules(max={"start": "noon"}),
        rules(select={"from": "5s"}, **begins), rules(select={"from": "+5 "}, **begins),
        rules(select={"to": "+5 sec"}, **begins), *(some | {"profile": {"msl": it}} for it in (30, "30", -1, True)),
    ):  # fmt: skip
        assert not judge.is_valid(wrong), wrong
        with pytest.raises(UsageError):
            load_policy(wrong)
    for right in (
        rules(max={}, require={"handshake_ok": True}), rules(max={"start": "2026-01-31"}), rules(max={"start": 5}),
        *(rules(select={"from": it}, **begins) for it in ("+5", "+1.5 min", "+0s", "2026-01-31T12:00", 1_700_000_000)),
        *(some | {"profile": {"msl": it}} for it in ("30s", "1.5 min", 0)),
    ):  # fmt: skip
        assert judge.is_valid(right), right
        load_policy(right)


def test_every_column_can_be_measured():
    for column in CONNECTIONS:
        assert column.name in measures() or column.type == "list" or column.name == "connection"
    for of in measures().values():
        if of.kind in ("word", "text", "bool"):
            value = next(iter(filter(None, of.choices)), "x") if of.kind != "bool" else True
            load_policy(rules(require={of.name: value}))
        else:
            load_policy(rules(max={of.name: 0}))
    assert {key.name for key in SECTIONS["quality"]} == {"max", "min"} and len({it.name for it in GATES}) == len(GATES)


@pytest.mark.parametrize(
    ("text", "kind", "number"),
    [("200ms", "time", 0.2), ("1.5 min", "time", 90), (0, "time", 0), ("0.5%", "share", 0.005), (0.25, "share", 0.25),
     ("1MB", "bytes", 1e6), ("2 KiB", "bytes", 2048), (7, "bytes", 7), ("8Mbit/s", "rate", 1e6), (3, "number", 3)],
)  # fmt: skip
def test_units(text, kind, number):
    assert amount(text, kind, "x") == pytest.approx(number)


def test_values_are_written_with_their_units():
    assert [written(0.0123, "time"), written(0.0042, "share"), written(1e6, "bytes"), written(None, "time")] == [
        "12.3 ms", "0.42%", "1.0 MB", "not known",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        (
            "p.yaml",
            "version: 1\nrules:\n- {id: a, max: {bytes: 3}, max: {bytes: 4}}\n",
            "'max' stands twice",
        ),
        ("p.toml", 'version = 1\n[[rules]]\nid = "a"\nselect = {from = inf}\nmax.client_bytes = 3\n', "no time"),
        ("p.toml", 'version = 1\n[[rules]]\nid = "a"\nselect = {from = nan}\nmax.client_bytes = 3\n', "no time"),
        (
            "p.toml",
            'version = 1\nprofile.msl = "99999999d"\n[[rules]]\nid = "a"\nmax.bytes = 3\n',
            "profile.msl",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused(tmp_path, name, text, says):
    (tmp_path / name).write_text(text)
    with pytest.raises(UsageError, match=says):
        load_policy(str(tmp_path / name))


@pytest.mark.parametrize(
    ("value", "bound", "kind", "expected"),
    [
        (2.5, 1.0, "time", ("2.5 s", "1 s")),  # as they are usually written
        (1.00004, 1.0, "time", ("1.00004 s", "1 s")),
        (0.2500001, 0.25, "time", ("250.0001 ms", "250 ms")),
        (0.0100001, 0.01, "share", ("1.00001%", "1%")),
        (1.0, 1.0, "time", ("1 s", "1 s")),
    ],
)
def test_a_value_and_its_bound_are_told_apart(value, bound, kind, expected):
    assert apart(value, bound, kind) == expected
