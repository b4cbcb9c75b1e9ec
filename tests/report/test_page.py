"""The report's page as text: complete, well formed, small, and harmless whatever a capture holds."""

import base64
import hashlib
import json
import re

import dpkt
import pytest

import tcpscope
from tcpscope.diagnose import Finding
from tcpscope.diagnose.catalogue import ENTRIES
from tcpscope.errors import UsageError
from tcpscope.replay.layout import SENT_AGAIN
from tcpscope.report.page.choose import concerned, examples
from tcpscope.report.page.document import sentence, share
from tcpscope.report.page.inline import Plots
from tcpscope.report.page.measured import UNITS, measured
from tests.report.pages import HOSTILE, SAMPLES, Parsed, conversation, hostile_capture, many, page_of

CAPTURES = sorted(it for it in SAMPLES.iterdir() if ".pcap" in it.name)


def data_of(page):
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)[1])


@pytest.mark.parametrize("path", CAPTURES, ids=lambda path: path.name)
def test_each_sample_makes_a_sound_page(path):
    page = page_of(path)
    assert len(page.encode()) < 600_000
    found = Parsed(page)
    assert len(found.ids) == len(set(found.ids)), "ids differ, also those of several drawings"
    assert set(found.referred) <= set(found.ids)
    assert [tag for tag, _ in found.tags].count("script") == 2
    assert not [attrs for _, attrs in found.tags if "style" in attrs or any(name.startswith("on") for name in attrs)]
    assert set(data_of(page)["detailed"]) == {int(it[1:]) for it in found.ids if re.fullmatch(r"c\d+", it)}
    for finding in tcpscope.read(path).findings:
        assert finding.text[1:] in "".join(found.text), "each finding stands there"


def test_a_folder_of_all_samples():
    page = page_of(SAMPLES)
    assert len(page.encode()) < 2_000_000
    found = Parsed(page)
    assert len(found.ids) == len(set(found.ids))
    assert page == page_of(SAMPLES), "the same page each time"


def test_only_the_pages_own_script_and_style_may_run():
    page = page_of(SAMPLES / "zero_window.pcap")
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)[1].replace("&#39;", "'")
    for tag in ("script", "style"):
        text = re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.S)
        assert len(text) == 1
        digest = base64.b64encode(hashlib.sha256(text[0].encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert not re.search(r'(?:src|href)="(?!#|data:,")', page)
    assert "url(http" not in page and "@import" not in page


def test_each_kind_of_finding_is_explained_once():
    found = Parsed(page_of(SAMPLES))
    kinds = {it.id for it in tcpscope.read(SAMPLES).findings}
    assert sorted(it for it in found.ids if it.startswith("means-")) == sorted(f"means-{it}" for it in kinds)
    text = "".join(found.text).replace("`", "")
    for kind in kinds:
        entry = ENTRIES[kind]
        assert text.count(entry.mechanism.replace("`", "")[1:]) == 1
        for part in (entry.title, entry.rule[1:], entry.unlike[1:], entry.hint[1:], "; ".join(entry.rfc)):
            assert part.replace("`", "") in text


def test_numbers_have_units():
    said = measured({"seconds": 2.9, "longest": 2.90076, "gap_1": 1.003, "share": 0.1111, "queue": 3.8e5, "probes": 3,
                     "network": 41.474, "bytes_per_second": 406926.98})  # fmt: skip
    assert said == ["2.9 s", "longest: 2.9 s", "gap 1: 1 s", "share: 11.1 %", "queue: 380 kB", "probes: 3",
                    "network: 41.5 ms", "rate: 407 kB/s"]  # fmt: skip
    for path in CAPTURES:
        for finding in tcpscope.read(path).findings:
            bare = {it for it in finding.numbers if it not in UNITS and not it.startswith("gap_")}
            assert all(finding.numbers[it] == int(finding.numbers[it]) for it in bare), (finding.id, bare)


def test_doubts_are_told(tmp_path):
    path = tmp_path / "client.pcap"
    from_client = [it for it in conversation(80, b"a" * 100) if it[26:30] == bytes((10, 9, 0, 1))]
    with path.open("wb") as stream:
        dpkt.pcap.Writer(stream).writepkts((1_700_000_000 + n, it) for n, it in enumerate(from_client))
    doubtful = [it for it in tcpscope.read(path).findings if it.confidence != "certain"]
    assert doubtful
    text = "".join(Parsed(page_of(path)).text)
    for it in doubtful:
        assert f"{it.confidence.capitalize()}, not certain: {'; '.join(it.doubts)}." in text


def test_the_table_is_that_of_the_capture():
    rows = tcpscope.read(SAMPLES / "both_ways.pcapng").connections
    data = data_of(page_of(SAMPLES / "both_ways.pcapng"))
    assert data["number"] == rows["connection"].tolist()
    assert [data["hosts"][at] for at in data["client"]] == rows["client_ip"].tolist()
    assert [data["states"][at] for at in data["serverState"]] == rows["server_state"].tolist()
    assert data["duration"] == pytest.approx((rows["duration"] * 1e6).tolist(), abs=1)
    assert data["again"] == sum(rows[it] for it in SENT_AGAIN).tolist()
    assert [data["closes"][at] for at in data["close"]] == rows["close"].str.replace("_", " ").tolist()
    least = rows["client_rtt_min"] + rows["server_rtt_min"]
    assert data["rtt"] == pytest.approx(
        (rows["initial_rtt"].where(~(least < rows["initial_rtt"]), least) * 1e6).tolist()
    )


def test_of_many_connections_the_oddest_are_listed(tmp_path):
    path = many(tmp_path / "many.pcap", 300)
    page = page_of(path, rows=100)
    data = data_of(page)
    assert (len(data["number"]), data["total"]) == (100, 300)
    text = "".join(Parsed(page).text)
    assert "The table holds the 100 oddest of 300 connections; the other 200 are left out." in text
    assert "tcpscope connections FILE --format csv" in text


def test_connections_asked_for():
    page = page_of(SAMPLES / "short_connections.pcap", connections=(7, 3, 7))
    assert data_of(page)["detailed"] == [7, 3]
    with pytest.raises(UsageError, match="no connection 20: the capture has 20, counted from 0"):
        page_of(SAMPLES / "short_connections.pcap", connections=(20,))
    assert data_of(page_of(SAMPLES / "syn_flood.pcap", limit=4))["detailed"] == [0, 1, 2, 3]
    assert data_of(page_of(SAMPLES / "short_connections.pcap"))["detailed"] == [0, 1, 2], "where nothing is odd"


def test_from_python(tmp_path):
    path = tmp_path / "report.html"
    tcpscope.read(SAMPLES / "short_connections.pcap", msl=60).report(path, connections=[2])
    written = path.read_text(encoding="utf-8")
    assert written == page_of(SAMPLES / "short_connections.pcap", connections=(2,), msl=60.0)
    assert "TIME_WAIT lasts 2 min 0 s" in written


def test_long_connections_are_shown_by_their_beginning(monkeypatch):
    monkeypatch.setattr("tcpscope.report.page.packets.MOST_PACKETS", 100)
    monkeypatch.setattr("tcpscope.report.page.detail.MOST_PACKETS", 100)
    page = page_of(SAMPLES / "bulk.pcap")
    assert "show its first 100 packets of 2,017" in page


def test_what_has_no_room_is_named(monkeypatch):
    monkeypatch.setattr("tcpscope.report.page.document.BUDGET", 10_000)
    page = page_of(SAMPLES / "syn_flood.pcap")
    assert len(data_of(page)["detailed"]) < 10
    assert "No room was left for connections" in page


def test_too_many_changes_for_a_plot_are_told(monkeypatch):
    monkeypatch.setattr("tcpscope.report.page.gathered.MOST_EVENTS", 10)
    assert "Too many changes of state for plots" in page_of(SAMPLES / "short_connections.pcap")


def test_no_connection_at_all(tmp_path):
    path = tmp_path / "empty.pcap"
    path.write_bytes((SAMPLES / "normal.pcap").read_bytes()[:24])
    text = "".join(Parsed(page_of(path)).text)
    assert "No TCP connection was found." in text
    assert "No connection is shown in detail." in text


def test_hostile_names_stay_text(tmp_path):
    path = hostile_capture(tmp_path)
    page = page_of(path)
    found = Parsed(page)
    assert [tag for tag, _ in found.tags].count("script") == 2
    assert not {"img", "b"} & {tag for tag, _ in found.tags}
    assert "\u202e" not in page
    text = "".join(found.text)
    assert HOSTILE.replace("\u202e", "\\u202e") in text, "the interface's name"
    assert "script><b onclick='x'>\"\\u202e.pcapng" in text, "the file's name"
    assert "a</script><script>window.pwned=3;</script>" in text, "its path, in the finding about the damage"
    json.loads(re.search(r'id="data">(.*?)</script>', page, re.S)[1])


def test_examples_of_each_finding_come_first():
    findings = [Finding("a", "error", "", "", "", [4, 5, 6]), Finding("b", "note", "", "", ""),
                Finding("c", "note", "", "", "", [5, 9])]  # fmt: skip
    assert examples(findings) == [4, 5, 9, 6]
    assert concerned(findings) == {4: [0], 5: [0, 2], 6: [0], 9: [2]}


def test_examples_are_of_every_kind_before_they_are_of_one_kind_again():
    found = [Finding(id, "error", "", "", "", [n, n + 10]) for id, n in (("a", 1), ("a", 2), ("a", 3), ("b", 4))]
    assert examples(found) == [1, 4, 2, 3, 11, 14, 12, 13]


def test_sentences():
    assert sentence("see `a<b>` & c") == "See <code>a&lt;b&gt;</code> &amp; c"
    assert sentence("a ` alone") == "A ` alone"
    assert sentence("") == ""
    assert (share(1, 5000), share(0, 5), share(1, 1000), share(5, 5)) == ("< 0.1 %", "0.0 %", "0.1 %", "100.0 %")


def test_plots_are_made_fit_for_one_page():
    capture = tcpscope.read(SAMPLES / "zero_window.pcap")
    plots = Plots()
    drawn = capture.connection(0).plot("sequence").svg()
    pages = [Parsed(plots.inline(drawn, 'a "label" <b>')) for _ in range(2)]
    assert not set(pages[0].ids) & set(pages[1].ids)
    for it in pages:
        assert set(it.referred) == set(it.ids)
        assert it.tags[0][1]["aria-label"] == 'a "label" <b>'
        assert not [tag for tag, attrs in it.tags if "style" in attrs or tag in ("style", "metadata")]
    assert "time since the first packet (s)" in "".join(pages[0].text)
    assert re.findall(r"#[0-9a-f]{6}", plots.css()) == [], "colours are variables, for the theme"
    used = set(re.findall(r"var\(--(\w+)\)", plots.css()))
    for dark in (False, True):
        assert set(re.findall(r"--(\w+):#", plots.variables(dark))) == used
    assert len(plots.inline(drawn, "")) < len(drawn) / 2
