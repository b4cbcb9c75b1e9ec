"""From a connection's row, packets and events to all that happened, in order: the ladder before it is focused.

Packets are read once, as they come.  Of long runs of ordinary segments only the ends are held, so
that memory follows what is odd, not what is long.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any

from tcpscope.report.ladder.focus import add, empty_fold, is_ordinary
from tcpscope.report.ladder.model import CLIENT, ENDS, SERVER, Fold, Happening, Item, Segment, Timing
from tcpscope.report.text import span

Row = Mapping[str, Any]

# The columns of the packets table that are read.
COLUMNS = (
    "frame", "file", "time", "sender", "seq", "ack", "seq_raw", "ack_raw", "length", "window", "window_raw", "flags",
    "client_state", "server_state", "annotations", "retransmission_of", "acked_frame", "rtt", "bytes_in_flight", "mss",
    "window_scale", "ts_val", "ts_ecr", "sack",
)  # fmt: skip
HELD = 4096  # ordinary segments in a row that may still turn out to be lost
NOT_LOST = frozenset({"spurious_retransmission", "zero_window_probe", "keep_alive"})  # the first copy had arrived
REFUSALS = frozenset({"reset_refused", "challenge_ack"})  # of a SYN: by RST, or by an old connection (RFC 5961, 4)
ASKING = frozenset({"retransmission", "zero_window_probe", "keep_alive"})  # what is sent again where no answer comes
COPIES = frozenset({"duplicate_capture", "network_duplicate"})
Spell = tuple[str, str, Segment, Segment | None]  # what, whose line, from, to


def segment(row: Row) -> Segment:
    """An arrow of a row of the packets table."""
    sack = row["sack"] or ()
    return Segment(
        time=row["time"], frame=row["frame"], file=row["file"], sender=row["sender"], flags=row["flags"],
        seq=row["seq"], ack=row["ack"], length=row["length"], window=row["window"],
        client_state=row["client_state"], server_state=row["server_state"], annotations=tuple(row["annotations"]),
        again=row["retransmission_of"], acked=row["acked_frame"],
        numbers=(row["seq_raw"], row["ack_raw"], row["window_raw"]), mss=row["mss"], scale=row["window_scale"],
        stamps=None if row["ts_val"] is None else (row["ts_val"], row["ts_ecr"]),
        sack=tuple((left, right) for left, right in sack), rtt=row["rtt"], in_flight=row["bytes_in_flight"],
    )  # fmt: skip


class Story:
    """All that happened, while it is told."""

    def __init__(self, fold: bool, watched: set[tuple[int, int]] | None = None) -> None:
        self.fold = fold
        self.watched = watched or set()  # frames (with their files) of which it is asked whether they are of the story
        self.items: list[Item] = []
        self.spells: list[Spell] = []
        self.segments = 0
        self.told: set[tuple[int, int]] = set()  # of those watched
        self._run: deque[Segment] = deque()  # ordinary ones at the end of `items`, not yet in it
        self._early: Fold | None = None  # what the run has lost from its front
        self._last: Segment | None = None
        self._copies: dict[int, Segment] = {}  # by frame: what may be sent again
        self._duplicates = {CLIENT: (-1, 0), SERVER: (-1, 0)}  # the ACK that is repeated, and how often
        self._closed: dict[str, Segment] = {}  # since when a side's window is closed
        self._probed: set[str] = set()
        self._refused = -1  # the latest RST or challenge ACK, which SYNs meet: what was sent before had arrived

    def tell(self, it: Segment) -> None:
        """The next segment."""
        it.first = it.last = self.segments
        self.segments += 1
        last = self._last
        if last is not None:
            it.delta = it.time - last.time
        moved = last is None or (last.client_state, last.server_state) != (it.client_state, it.server_state)
        if (it.file, it.frame) in self.watched:
            self.told.add((it.file, it.frame))
        self._number(it)
        self._repetition(it)
        self._window(it)
        self._last = it
        if self.fold and not moved and is_ordinary(it):
            self._run.append(it)
            if len(self._run) > HELD:
                self._drop(self._run.popleft())
        else:
            self._flush()
            self.items.append(it)

    def _drop(self, it: Segment) -> None:
        if it.fate != "delivered":  # it has turned out to be odd
            self._end_early()
            self.items.append(it)
            return
        if self._early is None:
            self._early = empty_fold(it, "bulk")
        add(self._early, it)
        self._copies.pop(it.frame, None)

    def _end_early(self) -> None:
        if self._early is not None:
            self.items.append(self._early)
            self._early = None

    def _flush(self) -> None:
        self._end_early()
        self.items.extend(self._run)
        self._run.clear()

    def _number(self, it: Segment) -> None:
        acknowledged, count = self._duplicates[it.sender]
        if "duplicate_ack" in it.annotations:
            it.duplicate = count + 1 if acknowledged == it.ack else 1
            self._duplicates[it.sender] = (it.ack, it.duplicate)
        elif acknowledged != it.ack:
            self._duplicates[it.sender] = (it.ack, 0)

    def _repetition(self, it: Segment) -> None:
        original = None if it.again is None else self._copies.get(it.again)
        if original is not None and original.sender == it.sender and original is not it:
            it.after = it.time - original.time
            refused = "SYN" in original.flags and original.first < self._refused
            if "retransmission" in it.annotations and NOT_LOST.isdisjoint(it.annotations) and not refused:
                original.fate = "lost"
        if not REFUSALS.isdisjoint(it.annotations):
            self._refused = it.first
        if (it.length or "SYN" in it.flags or "FIN" in it.flags) and COPIES.isdisjoint(it.annotations):
            self._copies[it.frame] = it

    def _window(self, it: Segment) -> None:
        peer = SERVER if it.sender == CLIENT else CLIENT
        if "RST" in it.flags:
            for end in ENDS:
                self._reopen(end, it)
        elif "zero_window" in it.annotations:
            self._closed.setdefault(it.sender, it)
        elif it.window and "SYN" not in it.flags:
            self._reopen(it.sender, it)
        if "zero_window_probe" in it.annotations and peer in self._closed:
            self._probed.add(peer)

    def _reopen(self, end: str, by: Segment | None) -> None:
        since = self._closed.pop(end, None)
        if since is None:
            return
        self.spells.append(("zero_window", end, since, by))
        if end in self._probed:
            self._probed.discard(end)
            self.spells.append(("persist", SERVER if end == CLIENT else CLIENT, since, by))

    def finish(self, one_direction: bool) -> None:
        """No more segments.  one_direction: the other side's were not captured, so that answers prove nothing."""
        for end in ENDS:
            self._reopen(end, None)
        self._flush()
        if not one_direction:
            self._unanswered()

    def _unanswered(self) -> None:
        """What was repeated or asked, and the peer said nothing any more."""
        tail: list[Segment] = []
        for it in reversed(self.items):
            if not isinstance(it, Segment) or (tail and it.sender != tail[0].sender):
                break
            tail.append(it)
        for it in tail:
            asks = "SYN" in it.flags or not ASKING.isdisjoint(it.annotations)
            if asks and it.fate == "delivered" and "RST" not in it.flags:
                it.fate = "unanswered"


def happenings(connection: Row, events: Iterable[Row], story: Story) -> list[Happening]:
    """The events that no packet of the connection shows, without the states of the other end."""
    found = []
    for it in events:
        if it["frame"] is not None and (it["file"], it["frame"]) in story.told:
            continue
        detail = str(connection["icmp"]) if it["event"] == "UNREACHABLE" and connection.get("icmp") else ""
        found.append(
            Happening(it["time"], it["endpoint"], it["old"], it["new"], it["event"], it["frame"], "", "",
                      inferred=bool(it["inferred"]), detail=detail)
        )  # fmt: skip
    return found


def insert(story: Story, found: list[Happening]) -> None:
    """Put happenings where their times are, with both states after them."""
    if not found:
        return
    times = [it.end if isinstance(it, Fold) else it.time for it in story.items]
    for it in sorted(found, key=lambda it: it.time, reverse=True):
        at = len(times) if not times or it.time >= times[-1] else bisect_right(times, it.time)
        before = story.items[at - 1] if at else None
        if it.event == "UNREACHABLE" and isinstance(before, Segment) and before.sender == it.endpoint:
            before.fate = "rejected"
        story.items.insert(at, it)
    states = ["", ""]
    position, last = 0, None
    for item in story.items:
        if isinstance(item, Happening):
            states[ENDS.index(item.endpoint)] = item.new
            if not states[1 - ENDS.index(item.endpoint)]:
                states[1 - ENDS.index(item.endpoint)] = "UNKNOWN"
            item.client_state, item.server_state = states
            item.first = item.last = position
            item.delta = None if last is None else item.time - last
            last = item.time
        else:
            states = [item.client_state, item.server_state]
            position = item.last
            last = item.end if isinstance(item, Fold) else item.time


def time_wait_ends(connection: Row, story: Story) -> list[Happening]:
    """The ends of TIME_WAIT that lie after the last packet: 2 MSL from where it began."""
    begin, end = connection.get("time_wait_start"), connection.get("time_wait_end")
    if begin is None or end is None or not story.items:
        return []
    found, last = [], story.items[-1]
    for endpoint in ENDS:
        if (last.client_state if endpoint == CLIENT else last.server_state) != "TIME_WAIT":
            continue
        since = begin
        if connection.get("time_wait_owner") == "both":
            since = next(
                (it.time for it in reversed(_changes(story.items, endpoint)) if _state(it, endpoint) == "TIME_WAIT"),
                begin,
            )
        found.append(
            Happening(since + (end - begin), endpoint, "TIME_WAIT", "CLOSED", "TIMEOUT_2MSL", None, "", "",
                      projected=True)
        )  # fmt: skip
    return found


def _state(it: Item, endpoint: str) -> str:
    return it.client_state if endpoint == CLIENT else it.server_state


def _changes(items: list[Item], endpoint: str) -> list[Item]:
    """The items that move this endpoint's state."""
    return [
        it
        for before, it in zip([None, *items], items, strict=False)
        if before is None or _state(before, endpoint) != _state(it, endpoint)
    ]


def before(events: list[Row], items: list[Item]) -> tuple[str, str]:
    """Both states before the first row: where the first event came from, or what the first packet shows."""
    found = ["", ""]
    for at, end in enumerate(ENDS):
        first = next((it for it in events if it["endpoint"] == end), None)
        if first is not None:
            found[at] = first["old"]
        elif items:
            found[at] = _state(items[0], end)
    return found[0], found[1]


def timing(connection: Row) -> Timing:
    """How far the ends are from the capture point: half of the smallest round trip, that of the handshake included.

    A later round trip may be smaller than the handshake's, which waited for address resolution; a larger estimate
    would make answers leave before the question arrives.
    """
    point = connection.get("capture_point") or "unknown"
    trips = {
        CLIENT: [connection.get("ack_rtt"), connection.get("server_rtt_min")],
        SERVER: [connection.get("syn_rtt"), connection.get("client_rtt_min")],
    }
    if connection.get("simultaneous_open"):  # each SYN answers none, or one that it crossed
        trips = {end: [None, least] for end, (_, least) in trips.items()}
    far: dict[str, float | None] = {}
    said = []
    for end, (handshake, smallest) in trips.items():
        known = [it for it in (handshake, smallest) if it is not None and it >= 0]
        far[end] = 0.0 if point == end else min(known) / 2 if known else None
        if point == end or not known:
            continue
        least = span(min(known))
        if handshake is not None and span(handshake) == least:
            said.append(f"half of the handshake's {least}")
        else:
            said.append(f"half of the smallest round trip, {least}"
                        + ("" if handshake is None else f" (the handshake took {span(handshake)})"))  # fmt: skip
    return Timing(point, far[CLIENT], far[SERVER], " and ".join(dict.fromkeys(said)))
