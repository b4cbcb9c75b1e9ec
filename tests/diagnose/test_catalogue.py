"""Every finding is explained, and what is written of it is up to date."""

import re
from pathlib import Path

import pytest

from tcpscope.diagnose.catalogue import ENTRIES
from tcpscope.diagnose.doubts import doubt
from tcpscope.diagnose.finding import Finding
from tcpscope.report.explain import told
from tests import findings

ROOT = Path(__file__).parents[2]
CODE = "\n".join(path.read_text() for path in (ROOT / "tcpscope/diagnose").glob("*.py"))
EMITTED = set(re.findall(r'(?:about\(|[Ff]inding\()\s*(?:[\w.]+, )?"(\w+)"', CODE))


def test_what_is_found_is_explained():
    assert set(ENTRIES) == EMITTED


@pytest.mark.parametrize("entry", ENTRIES.values(), ids=lambda it: it.id)
def test_an_entry_is_whole(entry):
    assert (
        entry.mechanism.endswith(".")
        and entry.rule.endswith(".")
        and entry.unlike.endswith(".")
        and entry.hint.endswith(".")
    )
    assert not entry.sample or (ROOT / "sample_pcaps" / entry.sample).is_file()


def test_what_is_written_is_up_to_date():
    """`python -m tests.findings` writes it again."""
    stale = [path.name for path, text in findings.files().items() if not path.is_file() or path.read_text() != text]
    assert stale == []


def test_doubts_follow_the_capture():
    """Loss is less certain where the capture dropped packets, or missed bytes of the same connection."""
    loss, other, refused = (Finding(id, "warning", "", "", "path", [n]) for id, n in
                            (("retransmissions", 1), ("timeouts", 2), ("refused", 1)))  # fmt: skip
    doubt([loss, other, refused, Finding("missed", "note", "", "", "capture", [1])])
    assert [f.confidence for f in (loss, other, refused)] == ["likely", "certain", "certain"]
    reset = Finding("reset", "warning", "", "", "path", [7])
    doubt([reset], {7})
    assert reset.confidence == "likely"
    doubt([loss, other, refused, Finding("dropped", "warning", "", "", "capture")])
    assert [f.confidence for f in (loss, other, refused)] == ["likely", "likely", "certain"] and len(loss.doubts) == 2


@pytest.mark.parametrize("columns", [20, 60, 250])
def test_it_is_told_as_wide_as_there_is_room(columns, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(columns))
    for entry in ENTRIES.values():
        lines = told(entry).partition("For example, ")[0].splitlines()[1:]
        assert max(map(len, lines)) <= min(max(columns, 40), 100)
