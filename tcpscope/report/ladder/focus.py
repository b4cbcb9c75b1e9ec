"""What of all that happened is shown: a part of it, without long ordinary runs, in so many rows at most.

What is not shown is counted in folds, never dropped.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tcpscope.errors import UsageError
from tcpscope.report.ladder.model import Fold, Happening, Item, Segment

IDLE = 1.0  # seconds; a longer pause gets a row of its own
BULK = 12  # ordinary segments in a row, of which all but the first and last are folded
ENDS_SHOWN = 2  # of a folded run, at either end
CONTEXT = 10  # rows before and after --around
BEFORE_CLOSE = 2  # rows before --close
TOLD = 3  # duplicate ACKs that are told one by one (RFC 5681: the third matters)

ORDINARY = frozenset(
    {"piggybacked_ack", "delayed_ack", "window_update", "offloaded", "offload_checksum", "duplicate_ack"}
)
PROBING = frozenset({"keep_alive", "keep_alive_ack", "zero_window_probe", "zero_window_probe_ack", "zero_window"})
OPENING = frozenset({"CLOSED", "LISTEN", "SYN_SENT", "SYN_RECEIVED", "UNKNOWN", ""})

# How much a row is worth where not all can be shown.
WORTH = {
    "timeout_retransmission": 60, "fast_retransmission": 58, "tail_loss_probe": 58, "zero_window": 55,
    "bad_checksum": 55, "challenge_ack": 55, "spurious_retransmission": 52, "syn_retransmission": 60,
    "syn_ack_retransmission": 60, "fin_retransmission": 60, "zero_window_probe": 50, "retransmission": 45,
    "clock_step": 45, "lost_segment": 42, "nagle_stall": 42, "out_of_order": 40, "window_full": 40,
    "keep_alive": 35, "keep_alive_ack": 30, "zero_window_probe_ack": 30, "ack_lost_segment": 30,
}  # fmt: skip


@dataclass(frozen=True)
class Options:
    """What to show.  Times in seconds since the epoch; max_rows None: all."""

    handshake: bool = False
    close: bool = False
    around: int | None = None  # a frame's number
    since: float | None = None
    until: float | None = None
    fold: bool = True
    max_rows: int | None = None
    keep: int = 0  # of each fold, how many segments it holds itself

    @property
    def exact(self) -> bool:
        """Whether single packets are asked for, which no early fold may hold."""
        return self.around is not None or self.since is not None or self.until is not None


def is_ordinary(it: Segment) -> bool:
    """Whether it may be folded when many such stand in a row (its states unchanged, that is the caller's to see)."""
    return (
        it.flags in ("ACK", "PSH,ACK")
        and it.fate == "delivered"
        and (it.duplicate is None or it.duplicate > TOLD)
        and ORDINARY.issuperset(it.annotations)
    )


def empty_fold(it: Item, why: str) -> Fold:
    """A fold that begins with this item, and does not hold it yet."""
    return Fold(it.time, it.time, why, it.client_state, it.server_state, first=it.first, last=it.first)


def add(fold: Fold, it: Item, keep: int = 0) -> None:
    """Put an item into a fold: a segment, a happening, or another fold."""
    if isinstance(it, Happening) and it.projected:
        return  # nobody saw it
    if (fold.client_state, fold.server_state) != (it.client_state, it.server_state):
        fold.state_changes += 1
    fold.client_state, fold.server_state = it.client_state, it.server_state
    fold.last, fold.end = it.last, it.end if isinstance(it, Fold) else it.time
    if isinstance(it, Happening):
        return
    if isinstance(it, Fold):
        for name in ("segments", "client_segments", "server_segments", "client_bytes", "server_bytes", "lost",
                     "state_changes"):  # fmt: skip
            setattr(fold, name, getattr(fold, name) + getattr(it, name))
        for name, count in it.annotations.items():
            fold.annotations[name] = fold.annotations.get(name, 0) + count
        fold.first_frame = it.first_frame if fold.first_frame is None else fold.first_frame
        fold.last_frame = it.last_frame
        fold.rows += it.rows[: keep - len(fold.rows)] if keep > len(fold.rows) else []
        return
    fold.segments += 1
    if it.sender == "client":
        fold.client_segments += 1
        fold.client_bytes += it.length
    else:
        fold.server_segments += 1
        fold.server_bytes += it.length
    fold.first_frame = it.frame if fold.first_frame is None else fold.first_frame
    fold.last_frame = it.frame
    fold.lost += it.fate == "lost"
    for name in it.annotations:
        fold.annotations[name] = fold.annotations.get(name, 0) + 1
    if len(fold.rows) < keep:
        fold.rows.append(it)


def folded(items: list[Item], why: str, keep: int, states: tuple[str, str] | None = None) -> Fold:
    """All of these in one fold.  states: those before the first, if they are known."""
    fold = empty_fold(items[0], why)
    if states is not None:
        fold.client_state, fold.server_state = states
    for it in items:
        add(fold, it, keep)
    return fold


def focus(items: list[Item], options: Options) -> list[Item]:
    """The items to show, with folds for the others."""
    items = part(items, options)
    if options.fold and options.around is None:
        items = list(without_runs(items, options.keep))
    if options.max_rows is not None and cost(items) > options.max_rows:
        items = most_telling(items, options.max_rows, options.keep)
    return items


def cost(items: list[Item]) -> int:
    return sum(1 + pauses(it) for it in items)


def pauses(it: Item) -> bool:
    """Whether a row of its own tells the pause before it."""
    return isinstance(it, Segment) and it.delta is not None and it.delta >= IDLE


# ---------------------------------------------------------------- a part of the connection


def part(items: list[Item], options: Options) -> list[Item]:
    """The part asked for, what is before, between and after it folded; UsageError where there is no such part."""
    shown = [not (options.handshake or options.close or options.around is not None)] * len(items)
    if options.handshake:
        mark(shown, 0, handshake_end(items))
    if options.close:
        mark(shown, close_start(items), len(items))
    if options.around is not None:
        at = position_of(items, options.around)
        mark(shown, at - CONTEXT, at + CONTEXT + 1)
        middle = items[at]
        if isinstance(middle, Segment) and middle.again is not None:
            for other, it in enumerate(items[:at]):  # what it repeats belongs to it
                shown[other] |= isinstance(it, Segment) and it.frame == middle.again
    if options.since is not None or options.until is not None:
        for at, it in enumerate(items):
            early = options.since is not None and it.time < options.since
            late = options.until is not None and it.time > options.until
            shown[at] = shown[at] and not (early or late)
        if not any(shown):
            raise UsageError("no packet of the connection lies between --from and --to")
    if all(shown):
        return items
    out: list[Item] = []
    first, last = shown.index(True), len(shown) - 1 - shown[::-1].index(True)
    at = 0
    while at < len(items):
        end = at + 1
        while end < len(items) and not shown[at] and not shown[end]:
            end += 1
        if shown[at]:
            out.append(items[at])
        elif any(not isinstance(it, Happening) for it in items[at:end]):
            why = "before" if at < first else "after" if at > last else "rows"
            out.append(folded(items[at:end], why, options.keep, _states_before(items, at)))
        at = end
    return out


def _states_before(items: list[Item], at: int) -> tuple[str, str] | None:
    return (items[at - 1].client_state, items[at - 1].server_state) if at else None


def mark(shown: list[bool], start: int, end: int) -> None:
    for at in range(max(start, 0), min(end, len(shown))):
        shown[at] = True


def handshake_end(items: list[Item]) -> int:
    """How many items the handshake has, with the row that completes it, or that ends the attempt."""
    if not any(isinstance(it, Segment) and "SYN" in it.flags for it in items):
        raise UsageError("--handshake: the capture begins after the connection's handshake")
    for at, it in enumerate(items):
        if it.client_state not in OPENING and it.server_state not in OPENING:
            return at + 1
    return len(items)


def close_start(items: list[Item]) -> int:
    """The first item of the close: what carries FIN or RST, or ends the connection otherwise; some rows before it."""
    for at, it in enumerate(items):
        if isinstance(it, Happening) or (isinstance(it, Segment) and ("FIN" in it.flags or "RST" in it.flags)):
            return at - BEFORE_CLOSE
    raise UsageError("--close: nobody closes the connection in this capture")


def position_of(items: list[Item], frame: int) -> int:
    """Where this frame is, be it within a fold of ordinary ones; UsageError if it is not the connection's."""
    for at, it in enumerate(items):
        if isinstance(it, Segment) and it.frame == frame:
            return at
    for at, it in enumerate(items):
        inside = isinstance(it, Fold) and (it.first_frame or 0) <= frame <= (it.last_frame or 0)
        if inside or (isinstance(it, Happening) and it.frame == frame):
            return at
    raise UsageError(f"--around frame:{frame}: that frame is not a packet of the connection")


# ---------------------------------------------------------------- long runs


def sort_of(it: Item, states: tuple[str, str] | None) -> str | None:
    """Which kind of run the item may be part of; None: it stands for itself."""
    if states != (it.client_state, it.server_state):
        return None
    if isinstance(it, Fold):
        return "bulk" if it.why == "bulk" else None
    if isinstance(it, Happening):
        return None
    if is_ordinary(it):
        return "probes" if pauses(it) else "bulk"
    if it.fate == "delivered" and it.probes and PROBING.issuperset(it.annotations):
        return "probes"
    return None


def without_runs(items: list[Item], keep: int) -> Iterator[Item]:
    """Long runs of ordinary segments, or of probes and their answers, become one fold each, between their ends."""
    at = 0
    states: tuple[str, str] | None = None
    while at < len(items):
        kind = sort_of(items[at], states)
        states = (items[at].client_state, items[at].server_state)
        end = at + 1
        while kind is not None and end < len(items) and sort_of(items[end], states) == kind:
            end += 1
        run = items[at:end]
        if len(run) > BULK or any(isinstance(it, Fold) for it in run[ENDS_SHOWN:-ENDS_SHOWN]):
            yield from run[:ENDS_SHOWN]
            yield folded(run[ENDS_SHOWN:-ENDS_SHOWN], kind or "bulk", keep, states)
            yield from run[-ENDS_SHOWN:]
        else:
            yield from run
        at = end


# ---------------------------------------------------------------- no more than so many rows


def worth(it: Item, states: tuple[str, str] | None) -> int:
    """How much a reader would miss it."""
    if isinstance(it, Happening):
        return 90
    moved = 40 if states != (it.client_state, it.server_state) else 0
    if isinstance(it, Fold):
        return 95 if it.why in ("before", "after") else moved
    marks = max((WORTH.get(name, 25 if name not in ORDINARY else 0) for name in it.annotations), default=0)
    if it.fate != "delivered":
        marks = max(marks, 58)  # as its repetition: both are shown, or neither
    if it.duplicate is not None:
        marks = max(marks, 20 if it.duplicate <= TOLD else 1)
    if any(flag in it.flags for flag in ("SYN", "FIN", "RST")):
        marks = max(marks, 65)
    return marks + moved


def most_telling(items: list[Item], rows: int, keep: int) -> list[Item]:
    """The items worth most, earlier ones first, so many that they and the folds between them fill `rows`."""
    worths = [
        worth(it, None if at == 0 else (items[at - 1].client_state, items[at - 1].server_state))
        for at, it in enumerate(items)
    ]
    ranked = sorted(range(len(items)), key=lambda at: (-worths[at], at))
    low, high = 1, len(items)
    while low < high:  # the most that fit; one row more may need two more folds, or one less
        middle = (low + high + 1) // 2
        if _cost_of(items, ranked[:middle]) <= rows:
            low = middle
        else:
            high = middle - 1
    return _chosen(items, ranked[:low], keep)


def _cost_of(items: list[Item], wanted: list[int]) -> int:
    """How many rows these items take, with the folds between them."""
    rows, after = 0, 0
    for pick in [*sorted(wanted), len(items)]:
        rows += pick > after
        if pick < len(items):
            rows += 1 + pauses(items[pick])
        after = pick + 1
    return rows


def _chosen(items: list[Item], wanted: list[int], keep: int) -> list[Item]:
    out: list[Item] = []
    at = 0
    for pick in [*sorted(wanted), len(items)]:
        if pick == at + 1 and isinstance(items[at], Segment) and not pauses(items[at]):
            out.append(items[at])  # takes no more room than the fold
        elif pick > at:
            out.append(folded(items[at:pick], "rows", keep, _states_before(items, at)))
        if pick < len(items):
            out.append(items[pick])
        at = pick + 1
    return out
