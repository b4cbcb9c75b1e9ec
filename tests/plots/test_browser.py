"""The interactive page in a real browser: it opens, draws, answers the mouse, and asks nothing of any network."""

import shutil
from pathlib import Path

import pytest

import tcpscope

SAMPLES = Path(__file__).parents[2] / "sample_pcaps"
INSTALLED = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@pytest.fixture(scope="module")
def browser():
    api = pytest.importorskip("playwright.sync_api")
    with api.sync_playwright() as playwright:
        found = None
        for path in (None, *filter(None, map(shutil.which, INSTALLED))):
            try:
                found = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
                break
            except api.Error as error:
                reason = str(error).splitlines()[0]
        if found is None:
            pytest.skip(f"no browser: {reason}; try apt-get install chromium, or playwright install chromium")
        yield found
        found.close()


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("sequence", "bulk"), ("stevens", "normal"), ("rtt", "timeout_back_off"), ("window", "bulk"),
        ("inflight", "mid_stream"), ("throughput", "bulk"), ("buffer", "sliding_window"),
        ("states", "short_connections"), ("waterfall", "short_connections"), ("retransmissions", "syn_flood"),
    ],
)  # fmt: skip
def test_the_page_opens_and_answers(browser, tmp_path, kind, name):
    capture = tcpscope.read(SAMPLES / f"{name}.pcap")
    whole = kind in ("states", "waterfall", "retransmissions")
    path = tmp_path / "plot.html"
    (capture if whole else capture.connection(0)).plot(kind, path=path)
    assert path.stat().st_size < 800_000
    page = browser.new_page(viewport={"width": 1050, "height": 800})
    wrong, asked = [], []
    page.on("console", lambda it: wrong.append(it.text) if it.type in ("error", "warning") else None)
    page.on("pageerror", lambda it: wrong.append(str(it)))
    page.on("request", lambda it: asked.append(it.url))
    page.goto(path.as_uri())
    page.wait_for_selector(".plot[data-ready=yes] canvas", timeout=30_000)
    box = page.locator(".plot").bounding_box()
    before = page.locator(".plot").screenshot()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.wheel(0, -400)
    page.wait_for_timeout(300)
    assert page.locator(".plot").screenshot() != before, "the wheel zooms"
    assert wrong == []
    assert asked == [path.as_uri()]
    assert f"{name}.pcap" in page.title()
    page.close()


def test_pointing_tells_the_frame(browser, tmp_path):
    path = tmp_path / "plot.html"
    tcpscope.read(SAMPLES / "normal.pcap").plot("waterfall", path=path)
    page = browser.new_page(viewport={"width": 1050, "height": 800})
    page.goto(path.as_uri())
    page.wait_for_selector(".plot[data-ready=yes] canvas", timeout=30_000)
    box = page.locator(".plot").bounding_box()
    told = page.get_by_text("connection 0, 10.1.0.1:40000", exact=False)
    for y in range(20, int(box["height"]), 8):  # down to the one bar, wherever it is
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + y)
        page.wait_for_timeout(50)
        if told.count():
            break
    assert told.count() >= 1
    assert page.get_by_text("frame", exact=False).count() >= 1
    page.close()
