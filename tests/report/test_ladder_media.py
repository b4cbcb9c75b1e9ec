"""Ladders as Mermaid, SVG and HTML: well-formed, harmless, nothing above anything else."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from math import cos, radians, sin
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tcpscope.errors import UsageError
from tcpscope.report.ladder import render
from tcpscope.report.ladder.layout import CHAR, SMALL_CHAR, STEEPEST, lay_out, slant
from tcpscope.report.ladder.mermaid import LONGEST, escaped, mermaid
from tcpscope.report.ladder.style import DARK, LIGHT
from tcpscope.report.ladder.svg import markup

from .drawn import SAMPLES, sample, script, script_names

SVG = "{http://www.w3.org/2000/svg}"
ONE_EACH = sorted(path.name for path in SAMPLES.glob("*.pcap*"))
HOSTILE = "</text><script>alert(1)</script>\"' ; # end \n C->>S: %% \x1b[31m \u202e"

# ---------------------------------------------------------------- Mermaid

LINE = re.compile(
    r"sequenceDiagram|    participant [CS] as [^\n]*"
    r"|    [CS](->>|-->>|-x|--x|-\)|--\))[CS]: [^\n]*|    Note (left of|right of|over) (C|S|C,S): [^\n]*"
)


@pytest.mark.parametrize("name", script_names())
def test_mermaid_lines_are_of_its_grammar(name):
    for line in render(script(name), "mermaid").splitlines():
        assert LINE.fullmatch(line), line
        assert ";" not in re.sub(r"#\d+;|#\w+;", "", line)


def test_mermaid_strokes():
    assert "C-xS: 0.087884 FIN" in render(sample("fin_lost.pcap"), "mermaid")
    assert "C-->>S: 0.300956 FIN" in render(sample("fin_lost.pcap"), "mermaid")
    assert "C--)S: 1.048791" in render(sample("keep_alive_dead_peer.pcap"), "mermaid")


@given(st.text())
def test_mermaid_text_cannot_break_out(said):
    coded = escaped(said)
    assert not re.search(r"[\n\r;#%<>{}\"`|\\&]", re.sub(r"#(\d+|e#110);", "", coded))
    assert not re.search(r"\bend\b", re.sub(r"#\d+;", "", coded))


def test_mermaid_at_its_default_stays_below_what_github_draws():
    assert len(mermaid(sample("bulk.pcap", max_rows=200))) < LONGEST


# ---------------------------------------------------------------- SVG


def boxes(root):
    """Each text's corners: left, right, and the baseline at both, with its height."""
    for it in root.iter(f"{SVG}text"):
        css = it.get("class", "")
        wide = len("".join(it.itertext())) * (SMALL_CHAR if "note" in css or "small" in css else CHAR) * 0.97
        x, y = float(it.get("x")), float(it.get("y"))
        turn = re.match(r"rotate\((\S+)", it.get("transform", ""))
        angle = radians(float(turn[1])) if turn else 0.0
        start = {"end": -wide, "middle": -wide / 2}.get(it.get("text-anchor"), 0.0)
        left, right = x + start * cos(angle), x + (start + wide) * cos(angle)
        yield "".join(it.itertext()), left, right, y + start * sin(angle), y + (start + wide) * sin(angle)


def touching(root, high=8.0):
    """Pairs of texts whose lines run into each other."""
    found = sorted(boxes(root), key=lambda box: box[1])
    for at, (one, left, right, y0, y1) in enumerate(found):
        for other, left2, right2, z0, z1 in found[at + 1 :]:
            if left2 >= right:
                break
            for x in (max(left, left2), min(right, right2)):
                y = y0 + (y1 - y0) * (x - left) / (right - left or 1)
                z = z0 + (z1 - z0) * (x - left2) / (right2 - left2 or 1)
                if abs(y - z) < high:
                    yield one, other
                    break


@pytest.mark.parametrize("name", [*script_names(), *ONE_EACH])
def test_svg_is_well_formed_and_no_text_touches_another(name):
    drawing = script(name) if "/" in name else sample(name, max_rows=120)
    root = ElementTree.fromstring(render(drawing, "svg"))
    assert list(touching(root)) == []
    box = [float(it) for it in root.get("viewBox").split()]
    for said, left, right, y0, y1 in boxes(root):
        assert left >= 0 and right <= box[2] + 1 and min(y0, y1) > 0 and max(y0, y1) <= box[3], said
    assert root.find(f"{SVG}title").text.startswith("TCP connection 0")


@pytest.mark.parametrize("form", ["text", "mermaid", "svg", "html"])
def test_the_service_stands_at_the_server(form):
    drawing = replace(sample("fin_lost.pcap", handshake=True), about="tls www.example.com")
    said = render(drawing, form)
    assert "tls www.example.com" in re.sub("<desc.*?</desc>|<title.*?</title>", "", said)
    assert "tls" not in render(replace(drawing, about=""), form)


def test_long_and_hostile_services_do_no_harm():
    drawing = replace(sample("fin_lost.pcap"), about=HOSTILE * 4)
    root = ElementTree.fromstring(render(drawing, "svg"))
    assert list(touching(root)) == []
    wide = float(root.get("width"))
    assert all(left >= 0 and right <= wide for _, left, right, _, _ in boxes(root))
    for line in render(drawing, "mermaid").splitlines():
        assert LINE.fullmatch(line), line
    assert "<script>alert" not in render(drawing, "html")


def test_svg_shows_which_end_is_measured():
    text = render(sample("fin_lost.pcap"), "svg", tips=False)
    assert "client (captured here)" in text
    assert text.count("tl-hollow") - text.count(".tl-hollow") == 6  # the client's that arrive; the lost one does not
    assert 'class="tl-cross"' in text and 'class="tl-link"' in text


def test_answers_leave_below_what_they_answer():
    drawing = sample("fin_lost.pcap")
    places = dict(zip((row.frame for row in drawing.rows[:-1]), lay_out(drawing).places, strict=False))
    assert places[2].server > places[1].server  # the SYN-ACK leaves the server when the SYN has come
    assert places[10].server > places[9].server > places[9].client


def test_crossing_arrows_cross():
    drawing = sample("simultaneous_close.pcap")
    places = dict(zip((row.frame for row in drawing.rows[:-2]), lay_out(drawing).places, strict=False))
    assert places[9].server < places[8].server and places[9].client > places[8].client


def test_slants_grow_and_are_bounded():
    assert slant(None) == slant(0.0) == 0
    assert 0 < slant(1e-5) < slant(1e-3) < slant(1e-2) <= slant(100) == STEEPEST


@pytest.mark.parametrize("colours", [LIGHT, DARK])
@pytest.mark.parametrize("name", ["fg", "dim", "again", "bad"])
def test_every_text_can_be_read(colours, name):
    def light(colour):
        parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        r, g, b = (it / 12.92 if it <= 0.03928 else ((it + 0.055) / 1.055) ** 2.4 for it in parts)
        return 0.2126 * r + 0.7152 * g + 0.0722 * b

    for ground in ("bg", "band"):
        high, low = sorted((light(colours[name]), light(colours[ground])), reverse=True)
        assert (high + 0.05) / (low + 0.05) >= 4.5


def test_markup_is_escaped_and_holds_no_control_characters():
    said = markup(HOSTILE)
    assert "<" not in said and '"' not in said and "\x1b" not in said
    ElementTree.fromstring(f'<a b="{said}">{said}</a>')


# ---------------------------------------------------------------- HTML


class Page(HTMLParser):
    """Tags and attributes, and what the scripts hold."""

    def __init__(self):
        super().__init__()
        self.tags, self.links, self.scripts = [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.links += [value for name, value in attrs if name in ("src", "href", "action")]

    def handle_data(self, data):
        if self.tags and self.tags[-1] == "script":
            self.scripts.append(data)


def page_of(drawing, **how):
    page = Page()
    page.feed(render(drawing, "html", **how))
    return page


def test_html_loads_nothing_and_takes_the_focus():
    page = page_of(sample("normal.pcap"))
    assert page.links == []
    text = render(sample("normal.pcap"), "html")
    assert text.count('tabindex="0"') == len(sample("normal.pcap").rows)
    assert "default-src 'none'" in text
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", text)


def test_html_folds_open():
    drawing = sample("bulk.pcap", max_rows=20, keep=5)
    folds = [row for row in drawing.rows if row.kind == "fold" and row.rows]
    page = page_of(drawing)
    assert page.tags.count("details") == len(folds) and page.tags.count("svg") == len(folds) + 1
    assert "… and 679 more" in render(drawing, "html")


def test_html_escapes_its_title():
    text = render(sample("normal.pcap"), "html", title=HOSTILE)
    assert "<script>alert" not in text and "\x1b" not in text
    assert page_of(sample("normal.pcap"), title=HOSTILE).tags.count("script") == 2


def test_a_format_that_there_is_not():
    with pytest.raises(UsageError, match="there are: text, mermaid, svg, html, json"):
        render(sample("normal.pcap"), "png")
