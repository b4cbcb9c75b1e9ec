"""Where everything of a ladder lies on paper: rows in order, not to the scale of time.

Of each segment one end is where the capture saw it; the other lies higher or lower by a slant that
grows with the estimated delay.  Rows are set apart so that an answer leaves below the arrival of what it
answers, and so that no text touches another.  Units: pixels.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import log10

from tcpscope.report.ladder import words
from tcpscope.report.ladder.model import CLIENT, ENDS, SERVER, Ladder, Segment
from tcpscope.report.ladder.text import wrapped

CHAR, SMALL_CHAR = 6.75, 6.15  # of the monospaced fonts at 11 and 10 px, rounded up
BETWEEN = 520.0  # the lifelines
STEP = 27.0  # one arrow to the next
LINE = 13.0  # of a note, of the footer
ABOVE = 16.0  # a label above its arrow
APART = 17.0  # an answer below the arrival of what it answers
SHALLOW, CLOSEST = 10.0, 21.0  # a slant below which a label clears the arrow before it; rows are no closer
BAND = 26.0  # a row across: a fold, a pause, a timer; more for more lines
FASTEST, STEEPEST = 20e-6, 27.0  # seconds whose slant is the least, pixels
GUTTER = 34.0  # between a lifeline and a state's name: state bar and links
MARGIN = 10.0
HEAD = 62.0  # of the drawing, above the first row
LOOK_BACK = 64  # rows
NAMES_APART = 13.0


def head(ladder: Ladder) -> float:
    """Height above the first row: a line more where the service is known."""
    return HEAD + (LINE if ladder.about else 0)


def slant(delay: float | None) -> float:
    """How much lower an arrow ends after this delay: more for more, by its order of magnitude."""
    if not delay or delay <= 0:
        return 0.0
    return min(max(4 + 6 * log10(delay / FASTEST), 4.0), STEEPEST)


@dataclass
class Place:
    """A row: where the capture saw it, where it leaves or reaches each end, and what is written."""

    y: float
    client: float
    server: float
    top: float
    bottom: float
    label: str = ""
    lines: list[str] = field(default_factory=list)

    def end(self, endpoint: str) -> float:
        return self.client if endpoint == CLIENT else self.server


@dataclass
class Name:
    """A state of an endpoint: its bar and where its name stands."""

    endpoint: str
    state: str
    top: float
    bottom: float
    text_y: float


@dataclass
class Layout:
    """All places, and the columns' edges."""

    places: list[Place]
    names: list[Name]
    time_x: float  # right edges
    frame_x: float
    client_x: float
    server_x: float
    width: float
    top: float  # of the lifelines
    bottom: float

    def line(self, endpoint: str) -> float:
        return self.client_x if endpoint == CLIENT else self.server_x


def lay_out(ladder: Ladder, raw: bool = False) -> Layout:
    """Places for all rows, from the top down."""
    places = _Rows(ladder, raw).places
    bottom = max((place.bottom for place in places), default=head(ladder)) + 14
    names = [name for end in ENDS for name in _names(ladder, places, end, bottom)]
    times = max((len(f"{row.time - ladder.start:.6f}") for row in ladder.rows), default=8)
    frames = max((len(str(row.frame)) for row in ladder.rows if isinstance(row, Segment)), default=1)
    left, right = (max((len(span.state) for span in ladder.spans if span.endpoint == end), default=1) for end in ENDS)
    time_x = MARGIN + times * CHAR
    frame_x = time_x + 8 + frames * CHAR
    client_x = frame_x + 12 + left * CHAR + GUTTER
    server_x = client_x + BETWEEN
    width = server_x + GUTTER + right * CHAR + 12 + 7 * CHAR + MARGIN
    return Layout(places, names, time_x, frame_x, client_x, server_x, width, head(ladder) - 16, bottom)


class _Rows:
    """Rows placed one below the other."""

    def __init__(self, ladder: Ladder, raw: bool) -> None:
        self.ladder, self.raw = ladder, raw
        self.slants = {end: slant(ladder.timing.delay(end)) for end in ENDS}
        self.places: list[Place] = []
        self.floor = self.lowest = head(ladder)  # nothing of the next row may be above; of all that is drawn
        for at in range(len(ladder.rows)):
            self.places.append(self._place(at))
            self.lowest = max(self.lowest, self.places[-1].bottom)

    def _place(self, at: int) -> Place:
        row = self.ladder.rows[at]
        if not isinstance(row, Segment):
            lines = wrapped(words.across(row), int((BETWEEN - 60) / SMALL_CHAR))
            top = self.lowest + 6
            height = BAND + LINE * (len(lines) - 1)
            self.floor = top + height
            middle = top + height / 2
            return Place(middle, middle, middle, top, top + height, "", lines)
        room = self._room(at)
        label, rest = words.fitted(words.words(row, self.raw), int(room / CHAR))
        said = "; ".join(it for it in (rest, words.remarks(self.ladder, at)) if it)
        lines = wrapped(said, int(room / SMALL_CHAR))
        near, far = (CLIENT, SERVER) if row.sender == CLIENT else (SERVER, CLIENT)
        up, down = self.slants[near], self.slants[far]
        y = self.floor + ABOVE + up
        if at and isinstance(self.ladder.rows[at - 1], Segment):
            before = self.places[-1]
            y = max(y, before.y + self._step(at))
        y = max(y, self._answers(at, row, near) + up)
        ends = {near: y - up, far: y + down}
        notes = LINE * len(lines) + 6 if lines else 6
        return Place(y, ends[CLIENT], ends[SERVER], y - up - ABOVE, max(y + down, y + notes) + 4, label, lines)

    def _step(self, at: int) -> float:
        """How far below the row before: where arrows cross, so that neither runs through the other's label."""
        row, before = self.ladder.rows[at], self.ladder.rows[at - 1]
        assert isinstance(row, Segment) and isinstance(before, Segment)
        lines = len(self.places[-1].lines)
        if row.sender == before.sender:
            return STEP + LINE * lines
        steep = self.slants[row.sender]
        if steep <= SHALLOW:
            return max(STEP, 2 * steep + ABOVE) + LINE * lines
        return min(max(1.2 * steep + 3, CLOSEST), STEP) + LINE * max(lines - 1, 0)

    def _room(self, at: int) -> float:
        """Pixels for text on an arrow: half the way where arrows may cross, more where the neighbours go along."""
        row = self.ladder.rows[at]
        assert isinstance(row, Segment)
        for other in (at - 2, at - 1, at + 1, at + 2):
            if 0 <= other < len(self.ladder.rows):
                it = self.ladder.rows[other]
                if isinstance(it, Segment) and it.sender != row.sender:
                    return BETWEEN / 2 - 16
        return BETWEEN * 0.8

    def _answers(self, at: int, row: Segment, near: str) -> float:
        """The least y at which the segment may leave: below what had arrived before it left."""
        delay = self.ladder.timing.delay(near) or 0.0
        for other in range(at - 1, max(at - LOOK_BACK, -1), -1):
            it = self.ladder.rows[other]
            if not isinstance(it, Segment):
                return 0.0  # a row across: everything is below it
            if it.sender == row.sender:
                continue
            had_arrived = it.time + delay <= row.time - delay * 0.9  # the estimate is not that exact
            if had_arrived or row.acked == it.frame:
                return self.places[other].end(near) + APART
        return 0.0


def _names(ladder: Ladder, places: list[Place], endpoint: str, bottom: float) -> list[Name]:
    """The states of one end, each from its row to the next one's; names never touch."""
    found: list[Name] = []
    for span in ladder.spans:
        if span.endpoint != endpoint or not span.state:
            continue
        top = head(ladder) - 16 if span.first_row is None else places[span.first_row].end(endpoint)
        if found:
            top = max(top, found[-1].top + 2)
            found[-1].bottom = top
            found.append(Name(endpoint, span.state, top, bottom, max(top + 4, found[-1].text_y + NAMES_APART)))
        else:
            found.append(Name(endpoint, span.state, top, bottom, top + 4))
    return found
