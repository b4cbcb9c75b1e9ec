"""The report in a real browser: it opens, sorts, filters, shows ladders, prints, can be read, and stays by itself."""

import json
from itertools import pairwise

import pandas
import pytest

import tcpscope
from tcpscope.replay.layout import SENT_AGAIN
from tcpscope.report.text import size, span
from tcpscope.tables import trip
from tests.plots.test_browser import browser  # noqa: F401 - a fixture
from tests.report.pages import SAMPLES, hostile_capture, many, page_of

CROWDS = "host_scan.pcap", "network_down.pcap", "port_scan.pcap", "service_down.pcap", "short_connections.pcap"
FILES = sorted(it for it in SAMPLES.iterdir() if "cap" in it.suffix and it.name not in CROWDS)  # to fit on one page
WIDE = {"width": 1280, "height": 900}

# of every text that is seen, the contrast with what is behind it (WCAG 2.1, 1.4.3), and where it stands
CONTRASTS = """() => {
  const parts = (colour) => (colour.match(/[\\d.]+/g) || []).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((v) => v / 255)
    .map((v) => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (it) => {
    for (; it; it = it.parentElement) {
      const found = parts(getComputedStyle(it).backgroundColor);
      if (found.length && found[3] !== 0) return found;
    }
    return [255, 255, 255];
  };
  const found = [];
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const it = texts.currentNode.parentElement;
    if (!texts.currentNode.data.trim() || it.closest("svg.plot") || !it.getClientRects().length) continue;
    if (it.closest(":disabled, script, style, option")) continue;
    const style = getComputedStyle(it);
    const [a, b] = [light(parts(it.closest("svg") ? style.fill : style.color)), light(behind(it))];
    found.push([(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), texts.currentNode.data.trim().slice(0, 40)]);
  }
  return found;
}"""


@pytest.fixture
def opened(browser, tmp_path):  # noqa: F811
    """Opens a page from a file; nothing may be fetched, and nothing go wrong."""
    pages = []

    def run(text, **settings):
        path = tmp_path / "report.html"
        path.write_text(text, encoding="utf-8")
        page = browser.new_page(**({"viewport": WIDE} | settings))
        page.wrong, page.asked = [], []
        page.on("console", lambda it: page.wrong.append(it.text) if it.type in ("error", "warning") else None)
        page.on("pageerror", lambda it: page.wrong.append(str(it)))
        page.on("dialog", lambda it: page.wrong.append(it.message) or it.dismiss())
        page.route("**", lambda it: (page.asked.append(it.request.url), it.continue_()))
        page.goto(path.as_uri())
        pages.append((page, path))
        return page

    yield run
    for page, path in pages:
        assert page.wrong == []
        assert page.asked == [path.as_uri()], "one request, for the file itself"
        page.close()


@pytest.fixture(scope="module")
def everything():
    """The report of nearly all samples in one timeline."""
    return page_of(*FILES)


@pytest.fixture(scope="module")
def capture():
    """What the report must show."""
    found = tcpscope.read(FILES)
    assert 100 < len(found.connections) <= 200
    return found


def until(page, condition):
    """Waits; the page's policy forbids the evaluation that `wait_for_function` uses."""
    for _ in range(200):
        if page.evaluate(condition):
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"it never came true: {condition}")


def numbers(page):
    return [int(it) for it in page.locator("#table tbody tr td:first-child").all_inner_texts()]


def test_it_opens_and_leads_to_the_ladder(opened, everything, capture):
    page = opened(everything)
    assert page.title() == f"{FILES[0].name} and {len(FILES) - 1} more – TCP report"
    assert page.locator("#status").inner_text() == f"{len(capture.connections)} connections, worst first"
    shown = page.locator("details.conn")
    assert shown.count() == 10
    assert [shown.nth(i).get_attribute("open") for i in range(10)] == [None] * 10, "closed: nothing is laid out yet"
    link = page.locator("#findings a[href^='#c']").first
    target = link.get_attribute("href")
    link.focus()
    page.keyboard.press("Enter")
    until(page, f"document.getElementById('{target[1:]}').open")
    until(page, f"document.activeElement.closest('details')?.id === '{target[1:]}'")
    ladder = page.locator(f"{target} .ladder")
    assert ladder.bounding_box()["height"] > 100
    assert "SYN seq=0" in ladder.text_content()
    page.keyboard.press("Enter")
    assert page.locator(f"{target}[open]").count() == 0
    last = page.locator("details.conn").last.get_attribute("id")
    page.goto(page.url.partition("#")[0] + f"#{last}")
    until(page, f"document.getElementById('{last}').open")


def trip_of(row):
    """ns; -1: not known."""
    times = {name: row[name[:-3]] for name in trip.FIELDS if name.endswith("_ns")}
    record = {name: -1 if pandas.isna(value) else round(value * 1e9) for name, value in times.items()}
    found = trip.round_trip({name: record.get(name, row.get(name)) for name in trip.FIELDS})
    return found if found > 0 else -1


def test_every_column_sorts_by_keyboard(opened, everything, capture):
    rows = capture.connections
    page = opened(everything)
    page.locator("#size").select_option("200")
    worst = numbers(page)
    assert sorted(worst) == rows["connection"].tolist()
    again = sum(rows[it] for it in SENT_AGAIN)
    keys = {
        "#": rows["connection"], "Client state": rows["client_state"], "Server state": rows["server_state"],
        "Start": (rows["start"] * 1e6).round(), "Time": (rows["duration"] * 1e6).round(),
        "Sent →": rows["client_unique_bytes"], "← Sent": rows["server_unique_bytes"],
        "RTT": rows.apply(trip_of, axis=1), "Again": again,
    }  # fmt: skip
    page.locator("#table th button").first.focus()
    for at, head in enumerate(page.locator("#table th button").all_inner_texts()):
        cell = page.locator("#table th").nth(at)
        assert page.evaluate("document.activeElement.textContent") == head, "Tab leads from head to head"
        for key in ("Enter", "Space"):
            page.keyboard.press(key)
            direction = cell.get_attribute("aria-sort")
            assert direction in ("ascending", "descending")
            assert page.locator("#table th[aria-sort=ascending], #table th[aria-sort=descending]").count() == 1
            got = numbers(page)
            assert sorted(got) == sorted(worst)
            if head in keys:
                values = keys[head].to_numpy()[got]
                steps = list(pairwise(values))
                assert all(a <= b if direction == "ascending" else a >= b for a, b in steps), head
        page.keyboard.press("Enter")
        assert cell.get_attribute("aria-sort") == "none"
        assert numbers(page) == worst, "the third time it is worst first again"
        page.keyboard.press("Tab")


def test_it_filters(opened, everything, capture):
    rows = capture.connections
    page = opened(everything)
    page.locator("#size").select_option("200")
    page.keyboard.press("Tab")
    page.locator("#q").focus()
    page.keyboard.type("198.51 SYN_received")
    until(page, "document.getElementById('status').textContent.includes(' of ')")
    expected = rows[rows["client_ip"].str.contains("198.51") & (rows["server_state"] == "SYN_RECEIVED")]
    assert sorted(numbers(page)) == expected["connection"].tolist()
    assert page.locator("#status").inner_text() == f"{len(expected)} of {len(rows)} connections"
    page.get_by_role("button", name="Clear").press("Enter")
    until(page, "!document.getElementById('status').textContent.includes(' of ')")
    page.locator("#close").select_option(label=f"refused ({(rows['close'] == 'refused').sum()})")
    assert sorted(numbers(page)) == rows[rows["close"] == "refused"]["connection"].tolist()
    page.get_by_role("button", name="Clear").press("Enter")
    until(page, "!document.getElementById('status').textContent.includes(' of ')")
    waiting = (rows["client_state"] == "CLOSE_WAIT") | (rows["server_state"] == "CLOSE_WAIT")
    page.locator("#state").select_option(label=f"CLOSE_WAIT ({waiting.sum()})")
    assert sorted(numbers(page)) == rows[waiting]["connection"].tolist()
    assert all("CLOSE_WAIT" in it for it in page.locator("#table tbody tr").all_inner_texts())
    page.locator("#findings button").nth(1).press("Enter")
    until(page, "document.activeElement.id === 'finding'")
    finding = capture.findings[1]
    assert sorted(numbers(page)) == sorted(finding.connections)
    page.locator("#q").fill("no such connection")
    until(page, "document.getElementById('status').textContent.startsWith('0 of')")
    assert page.locator("#table tbody").inner_text() == "No connection passes the filter."


def test_it_turns_pages(opened, everything, capture):
    page = opened(everything)
    pages = -(-len(capture.connections) // 25)
    assert len(numbers(page)) == 25
    assert page.locator("#place").inner_text() == f"Page 1 of {pages}"
    seen = numbers(page)
    assert page.get_by_role("button", name="Previous").is_disabled()
    for _ in range(pages - 1):
        page.get_by_role("button", name="Next").press("Enter")
        seen += numbers(page)
    assert sorted(seen) == list(range(len(capture.connections)))
    assert page.get_by_role("button", name="Next").is_disabled()
    page.get_by_role("button", name="First").press("Enter")
    assert page.locator("#place").inner_text() == f"Page 1 of {pages}"


def test_numbers_are_written_as_elsewhere(opened):
    page = opened(page_of(SAMPLES / "normal.pcap"))
    times = [0, 1, 312, 999, 1000, 2204, 48_200, 99_949, 99_951, 640_000, 999_499, 999_501, 3_210_000, 99_900_000,
             125_000_000, 3_720_000_000, 200_000_000_000]  # fmt: skip
    assert page.evaluate(f"{times}.map(tcpscope.span)") == [span(it / 1e6) for it in times]
    counts = [0, 999, 1000, 1449, 9940, 9951, 23_000_000, 999_499, 1_400_000_000, 7_000_000_000_000]
    assert page.evaluate(f"{counts}.map(tcpscope.size)") == [size(it) for it in counts]
    assert page.evaluate("tcpscope.span(null)") == span(None)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("chosen", ["system", "light", "dark"])
def test_text_can_be_read(opened, everything, scheme, chosen):
    page = opened(everything, color_scheme=scheme)
    button = page.locator("#theme")
    while button.inner_text() != f"Theme: {chosen}":
        button.press("Enter")
    page.evaluate("document.querySelectorAll('details').forEach((it) => { it.open = true; })")
    found = page.evaluate(CONTRASTS)
    assert len(found) > 500
    assert [it for it in found if it[0] < 4.5] == []
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor") != "rgb(255, 255, 255)"
    assert dark == ("dark" in ((scheme,) if chosen == "system" else (chosen,)))
    plot = page.locator("svg.plot path").first
    paper = plot.evaluate("(it) => getComputedStyle(it).fill")
    assert (paper != "rgb(255, 255, 255)") == dark, "plots go with the page"


def test_it_is_built_for_the_keyboard_and_for_readers(opened, everything):
    page = opened(everything)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    levels = page.evaluate("[...document.querySelectorAll('h1,h2,h3,h4')].map((it) => Number(it.tagName[1]))")
    assert levels.count(1) == 1
    assert all(b <= a + 1 for a, b in pairwise(levels)), "no level is left out"
    unnamed = page.evaluate("""[...document.querySelectorAll('input,select')].filter((it) => !it.labels.length).length
        + [...document.querySelectorAll('button')].filter((it) => !it.textContent.trim()).length
        + [...document.querySelectorAll('svg,table')].filter((it) => !it.closest('[aria-hidden=true]')
            && !it.closest('[role=img]') && !it.getAttribute('aria-label')
            && !it.querySelector('caption,thead')).length""")
    assert unnamed == 0


def test_what_a_finding_means_unfolds_by_keyboard(opened, everything):
    page = opened(everything)
    first = page.locator("details.means").first
    assert not first.locator("dl").is_visible()
    first.locator("summary").focus()
    page.keyboard.press("Enter")
    assert first.locator("dl").is_visible()
    another = page.locator("p.means a").first  # a further finding of a kind leads to where that is explained
    target = another.get_attribute("href")[1:]
    another.focus()
    page.keyboard.press("Enter")
    until(page, f"document.getElementById('{target}').open")
    until(page, f"document.activeElement.closest('details')?.id === '{target}'")


@pytest.mark.parametrize("width", [1280, 400])
def test_nothing_sticks_out(opened, everything, width):
    page = opened(everything, viewport={"width": width, "height": 800})
    page.evaluate("document.querySelectorAll('details').forEach((it) => { it.open = true; })")
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_on_paper_all_is_open_and_white(opened, everything, capture):
    page = opened(everything, color_scheme="dark")
    page.emulate_media(media="print", color_scheme="dark")
    until(page, "[...document.querySelectorAll('details')].every((it) => it.open)")
    assert len(numbers(page)) == len(capture.connections)
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert not page.locator(".bar").is_visible()
    assert not page.locator("#filters").is_visible()
    assert page.locator("details.conn .ladder").last.is_visible()
    page.emulate_media(media="screen")
    until(page, "[...document.querySelectorAll('details')].every((it) => !it.open)")
    assert len(numbers(page)) == 25


def test_hostile_names_do_nothing(opened, tmp_path):
    page = opened(page_of(hostile_capture(tmp_path)))
    page.evaluate("document.querySelectorAll('details').forEach((it) => { it.open = true; })")
    page.locator("#table th button").first.press("Enter")
    page.locator("#q").fill("443")
    page.wait_for_timeout(300)
    assert page.evaluate("window.pwned") is None
    assert page.locator("main img, main b, main script").count() == 0
    assert "<script>window.pwned=1</script>" in page.locator("#method").inner_text()


def test_six_thousand_connections(opened, tmp_path):
    text = page_of(many(tmp_path / "many.pcap", 6000), rows=5000)
    assert len(text) < 1_000_000
    page = opened(text)
    assert page.locator("#status").inner_text() == "The 5,000 oddest of 6,000 connections, worst first"
    page.locator("#q").fill("11.0.1.7:")
    until(page, "document.getElementById('status').textContent.startsWith('1 of 5,000')")
    assert numbers(page) == [263]
    assert json.loads(page.locator("#data").text_content())["total"] == 6000
