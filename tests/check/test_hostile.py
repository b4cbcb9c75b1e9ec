"""Policies from anywhere: whatever is in one, it is read or refused in one line; quickly, and in little memory."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tcpscope.check.grammar import SECTIONS
from tcpscope.check.measures import measures
from tcpscope.check.policy import Policy, default_text, load_policy
from tcpscope.errors import UsageError

ROOT = Path(__file__).parents[2]
TEXTS = [default_text(), *(it.read_text() for it in sorted((ROOT / "docs").glob("*/tcpscope.toml")))]
WORDS = sorted(
    {key.name for keys in SECTIONS.values() for key in keys}
    | {choice for keys in SECTIONS.values() for key in keys for choice in key.choices}
    | set(measures()) | {"connections", "p95", "max", "mean", "share", "count", "all", "at least 99%", "at most 3"}
)  # fmt: skip

words = st.sampled_from(WORDS)
plain = st.one_of(
    words, st.none(), st.booleans(), st.integers(), st.sampled_from([400, 5000]).map(lambda n: 10**n), st.floats(),
    st.text(max_size=8), st.dates(), st.datetimes(),
    st.sampled_from(["200ms", "0.5%", "1MB", "10.0.0.0/8", "::1", "80-90", "9" * 5000, "1" * 400 + "s", "*", "[::"]),
)  # fmt: skip
values = st.recursive(
    plain, lambda of: st.lists(of, max_size=3) | st.dictionaries(words | plain, of, max_size=4), max_leaves=12
)


def refused_or_read(source: Any) -> None:
    try:
        assert isinstance(load_policy(source), Policy)
    except UsageError as error:
        assert 0 < len(str(error)) < 5000


@given(values)
def test_any_value(value: Any) -> None:
    refused_or_read(value if isinstance(value, dict) else {"version": 1, "rules": [value]})


@given(st.dictionaries(words, values, max_size=5), st.sampled_from(["rules", "select", "allow", "quality", "names"]))
def test_any_value_in_its_place(value: dict[str, Any], place: str) -> None:
    sound = {"id": "a", "max": {"handshake_rtt": "1s"}}
    table: dict[str, Any] = {"version": 1, "rules": [sound]}
    if place == "rules":
        table["rules"] = [{"id": "a", **value}, sound | {"id": "b"}]
    else:
        table[place] = (
            {**value} if place in ("quality", "names") else [{"name": "x", "rule": "a", "reason": "r", **value}]
        )
    refused_or_read(table)


@given(st.data())
def test_any_text(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """Policies with parts taken out, repeated, and put elsewhere; as TOML and as YAML."""
    text = data.draw(st.sampled_from(TEXTS))
    suffix = data.draw(st.sampled_from([".toml", ".yaml"]))
    if suffix == ".yaml":
        import tomllib

        text = yaml.safe_dump(tomllib.loads(text))
    parts = re.split(r"(\W)", text)
    for _ in range(data.draw(st.integers(1, 6))):
        at, to = data.draw(st.integers(0, len(parts) - 1)), data.draw(st.integers(0, len(parts) - 1))
        length = data.draw(st.integers(0, 40))
        what = data.draw(st.sampled_from(["drop", "copy", "put"]))
        if what == "drop":
            del parts[at : at + length]
            parts = parts or [""]
        elif what == "copy":
            parts[to:to] = parts[at : at + length]
        else:
            parts[at] = data.draw(words | st.text(max_size=5))
    path = tmp_path_factory.getbasetemp() / f"policy{suffix}"
    path.write_text("".join(parts), encoding="utf-8", errors="replace")
    refused_or_read(path)


BOMB = "a0: &a0 [x]\n" + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 30))


@pytest.mark.parametrize(
    "text",
    [
        BOMB, BOMB + "version: *a29\n", BOMB + "version: 1\nrules: *a29\n", BOMB + "version: 1\nrules: [{id: *a29}]\n",
        "version: 1\nrules: &r [*r]\n", "version: 1\nrules: [{id: a, max: {handshake_rtt: &m {p95: *m}}}]\n",
        "[" * 100_000, "{a: " * 10_000, "? - a\n", "!!python/object/apply:os.system [id]\n", "\0", "5: 5\n",
        "version: 1\nrules: [{id: a, max: {5: 5}, per: capture}]\n", "version: " + "9" * 10_000 + "\n",
    ],
    ids=lambda it: it[-40:].strip().replace("\0", "NUL"),
)  # fmt: skip
def test_yaml_that_means_harm(text: str, tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text(text)
    with pytest.raises(UsageError) as caught:
        load_policy(path)
    assert len(str(caught.value)) < 2000


@pytest.mark.parametrize("text", ["a = " + "[" * 100_000, "a" + ".a" * 1000 + " = 1", "version = " + "9" * 10_000])
def test_toml_that_means_harm(text: str, tmp_path: Path) -> None:
    path = tmp_path / "policy.toml"
    path.write_text(text)
    with pytest.raises(UsageError) as caught:
        load_policy(path)
    assert len(str(caught.value)) < 2000


def test_a_file_without_end_is_no_policy(tmp_path: Path) -> None:
    link = tmp_path / "endless.toml"
    link.symlink_to("/dev/zero")
    with pytest.raises(UsageError, match="1 MB"):
        load_policy(link)
