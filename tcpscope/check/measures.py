"""What a policy can measure of a connection: every column of the table, and what is derived from several.

One catalogue: the loader takes its names, the JSON Schema and docs/policy.md are written from it.  A measure is
computed for all connections at once, from the fields of their packed records as numpy arrays.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, reduce
from typing import TYPE_CHECKING, Any

from tcpscope.check.units import shown
from tcpscope.errors import UsageError
from tcpscope.replay.layout import SENT_AGAIN
from tcpscope.tables.filters import nearest
from tcpscope.tables.schema import CONNECTIONS, Column

if TYPE_CHECKING:
    from tcpscope.tables.values import Columns

HANDSHAKE, CLOSE = "handshake", "close"
SYN, SYN_ACK, ACK = 1, 2, 4  # bits of the column `completeness`


@dataclass
class Series:
    """A measure of all connections.

    values: float64, NaN where not known, truth as 0 and 1; or, with `words`, the number of each one's word, -1 where
    it is not known.
    """

    values: Any
    words: Sequence[str] | None = None

    def known(self) -> Any:
        """Where it is known, as an array of bool."""
        return self.values >= 0 if self.words is not None else self.values == self.values

    def at(self, index: int) -> float | str | None:
        """One connection's value, None if it is not known."""
        value = self.values[index]
        if self.words is not None:
            return self.words[value] if value >= 0 else None
        return float(value) if value == value else None


@dataclass(frozen=True)
class Measure:
    """name.  kind: time (seconds), bytes, rate (bytes/s), share (of 1), number, bool, word, text, moment.

    fields: of the record, that it is computed from.  choices: all words that there can be, or none where any text may
    stand.  shown: annotations of the packets that prove it, of `side` alone where that is one.  part: the part of the
    connection that shows it, "handshake" or "close".  parts: of a share, the measures whose sums over several
    connections make the share of them all.  additive: the sum over several connections means something.
    """

    name: str
    kind: str
    meaning: str
    fields: tuple[str, ...]
    compute: Callable[[Columns], Series]
    choices: tuple[str, ...] = ()
    derived: bool = False
    shown: tuple[str, ...] = ()
    side: str | None = None
    part: str = ""
    parts: tuple[str, str] | None = None
    additive: bool = False


# ---------------------------------------------------------------- what proves it

_AGAIN = ("timeout_retransmission", "fast_retransmission", "tail_loss_probe", "rto_recovery", "fin_retransmission",
          "syn_retransmission", "syn_ack_retransmission", "retransmission")  # fmt: skip
SHOWN: dict[str, tuple[str, ...]] = {
    "retransmissions": _AGAIN, "retransmitted_bytes": _AGAIN, "retransmission_rate": _AGAIN,
    "timeout_retransmissions": ("timeout_retransmission",), "timeout_episodes": ("timeout_retransmission",),
    "fast_retransmissions": ("fast_retransmission",), "recovery_episodes": ("fast_retransmission",),
    "tail_loss_probes": ("tail_loss_probe",), "recovery_retransmissions": ("rto_recovery",),
    "spurious_retransmissions": ("spurious_retransmission",), "fin_retransmissions": ("fin_retransmission",),
    "syn_retransmissions": ("syn_retransmission", "syn_ack_retransmission"),
    "duplicate_captures": ("duplicate_capture",), "network_duplicates": ("network_duplicate",),
    "zero_windows": ("zero_window",), "zero_window": ("zero_window",), "zero_window_spells": ("zero_window",),
    "longest_zero_window": ("zero_window",), "nagle_stalls": ("nagle_stall",), "nagle": ("nagle_stall",),
    "stalls": ("timeout_retransmission", "zero_window", "nagle_stall"),
    "bad_checksums": ("bad_checksum",), "out_of_order": ("out_of_order",), "lost_segments": ("lost_segment",),
    "challenge_acks": ("challenge_ack",), "keep_alives": ("keep_alive",),
    "close": ("reset_refused", "reset_abort", "reset_no_socket"),
    "closed_by": ("reset_refused", "reset_abort", "reset_no_socket"),
    "rst_packets": ("reset_refused", "reset_abort", "reset_no_socket"),
}  # fmt: skip
_OPENING = ("syn_", "handshake", "opened", "initial_rtt", "refused_after", "fast_open", "simultaneous_open", "mss",
            "window_scale", "tls_version", "alpn", "dwell_syn")  # fmt: skip
_ENDING = ("close", "half_close", "time_wait", "fin_", "rst_", "left_", "dwell_close_wait", "dwell_fin", "dwell_last",
           "dwell_time", "dwell_closing", "conn_state", "client_state", "server_state")  # fmt: skip


def _part(base: str) -> str:
    return HANDSHAKE if base.startswith(_OPENING) else CLOSE if base.startswith(_ENDING) else ""


def _side(name: str) -> tuple[str | None, str]:
    for side in ("client", "server"):
        if name.startswith(f"{side}_"):
            return side, name.removeprefix(f"{side}_")
    return None, name


# ---------------------------------------------------------------- columns

_KINDS = {("int", ""): "number", ("int", "bytes"): "bytes", ("float", "s"): "time", ("float", "bytes/s"): "rate",
          ("bool", ""): "bool"}  # fmt: skip
_MOMENTS = ("time_wait_end", "first_data", "last_data")  # and all that say: since the epoch


def _kind(column: Column, base: str) -> str:
    if column.type == "str":
        return "word" if column.value.words else "text"
    if column.type == "float" and (base in _MOMENTS or column.meaning.endswith("since the epoch")):
        return "moment"
    return _KINDS.get((column.type, column.unit), "number")


def _of_column(column: Column) -> Measure:
    side, base = _side(column.name)
    kind = _kind(column, base)
    choices = tuple(column.value.words) if kind == "word" else ()
    part = CLOSE if column.name in ("client_state", "server_state") else _part(base)
    return Measure(column.name, kind, column.meaning, tuple(column.value.fields), lambda f: _read(column, f), choices,
                   False, SHOWN.get(base, ()), side, part, None, base in _summed())  # fmt: skip


def _read(column: Column, fields: Columns) -> Series:
    import numpy

    if not len(fields[column.value.fields[0]]):  # kinds of columns differ in what they make of nothing
        return Series(numpy.empty(0), None) if column.type != "str" else Series(numpy.empty(0, numpy.int64), [])
    found = column.value.array(fields)
    if found.words is None:
        values = numpy.asarray(found.values).astype(numpy.float64)
        if found.unknown is not None:
            values[numpy.broadcast_to(found.unknown, values.shape)] = numpy.nan
        return Series(values)
    codes = numpy.asarray(found.values).astype(numpy.int64)
    if found.unknown is not None:
        codes[numpy.broadcast_to(found.unknown, codes.shape)] = -1
    return Series(codes, list(found.words))


# ---------------------------------------------------------------- both sides together

_NEITHER = ("window_scale", "rtt_mean", "rtt_std", "isn", "ttl", "dwell_closed", "dwell_listen", "dwell_unknown",
            "recovery_cut", "heartbeat")  # fmt: skip
_LEAST = ("min_segment", "min_window", "rtt_min", "mss")
_ADDED = ("zero_window", "nagle")  # times that add up
_MOST = ("max_segment", "max_window", "initial_window_bytes", "slow_start_exit_bytes", "stuck_segment")
_LARGEST = re.compile(r"(?:most|longest|largest|furthest)\b")  # so begins the meaning of what is a largest one
_SMALLEST = re.compile(r"smallest\b|.*\bshortest$")


@cache
def _pairs() -> dict[str, str]:
    """What both sides have, and what is made of the two: sum, max, min."""
    names = {column.name: column for column in CONNECTIONS}
    found = {}
    for name, column in names.items():
        base = name.removeprefix("client_")
        if base == name or f"server_{base}" not in names or base in names or base in _NEITHER:
            continue
        if column.type not in ("int", "float") or base in ("ip", "port") or base.endswith("_frame"):
            continue
        if _kind(column, base) == "moment":
            continue
        if base in _LEAST or _SMALLEST.match(column.meaning):
            found[base] = "min"
        elif base in _MOST or _LARGEST.match(column.meaning):
            found[base] = "max"
        elif base in _ADDED or column.unit in ("", "bytes"):
            found[base] = "sum"
        else:
            found[base] = "max"
    return found


@cache
def _summed() -> frozenset[str]:
    return frozenset(base for base, how in _pairs().items() if how == "sum")


def _of_pair(base: str, how: str, columns: dict[str, Measure]) -> Measure:
    import numpy

    client, server = columns[f"client_{base}"], columns[f"server_{base}"]
    words = {
        "sum": "both sides together",
        "max": "the larger of the two sides'",
        "min": "the smaller of the two sides'",
    }

    def compute(fields: Columns) -> Series:
        a, b = client.compute(fields).values, server.compute(fields).values
        if how == "sum":
            both = numpy.nan_to_num(a) + numpy.nan_to_num(b)
            both[numpy.isnan(a) & numpy.isnan(b)] = numpy.nan
            return Series(both)
        return Series((numpy.fmax if how == "max" else numpy.fmin)(a, b))

    return Measure(base, client.kind, f"{client.meaning}: {words[how]}", (*client.fields, *server.fields), compute, (),
                   True, client.shown, None, client.part, None, client.additive)  # fmt: skip


# ---------------------------------------------------------------- derived from several

Values = dict[str, Series]


def _handshake_ok(v: Values) -> Any:
    import numpy

    seen = v["completeness"].values.astype(numpy.int64)
    whole = (seen & (SYN | SYN_ACK | ACK)) == (SYN | SYN_ACK | ACK)
    whole |= (v["simultaneous_open"].values > 0) & (v["dwell_established"].values > 0)
    unseen = (seen & (SYN | SYN_ACK)) == 0  # it had begun before the capture
    missed = (v["one_direction"].values > 0) & ~_is(v["close"], "unanswered")  # the other side's half
    return numpy.where(unseen | missed & ~whole, numpy.nan, whole)


def _where_known(values: Any, by: Any) -> Any:
    import numpy

    return numpy.where(numpy.isnan(by), numpy.nan, values)


def _is(series: Series, *words: str) -> Any:
    import numpy

    wanted = [at for at, word in enumerate(series.words or ()) if word in words]
    return numpy.isin(series.values, wanted)


def _rate(above: str, *below: str) -> Callable[[Values], Any]:
    def compute(v: Values) -> Any:
        import numpy

        total = reduce(lambda a, b: a + b, (numpy.nan_to_num(v[name].values) for name in below))
        with numpy.errstate(invalid="ignore", divide="ignore"):
            return numpy.where(total > 0, v[above].values / total, numpy.nan)

    return compute


def _sum(*names: str) -> Callable[[Values], Any]:
    return lambda v: reduce(lambda a, b: a + b, (v[name].values for name in names))


def _left(v: Values) -> Any:
    stays = [
        _is(v[f"{side}_state"], "CLOSE_WAIT") * v[f"{side}_dwell_close_wait"].values for side in ("client", "server")
    ]
    import numpy

    return numpy.where(v["one_direction"].values > 0, numpy.nan, numpy.fmax(*map(numpy.nan_to_num, stays)))


def _between(later: str, earlier: str) -> Callable[[Values], Any]:
    def compute(v: Values) -> Any:
        import numpy

        gone = v[later].values - v[earlier].values
        return numpy.where(gone >= 0, gone, numpy.nan)

    return compute


@dataclass(frozen=True)
class _Derived:
    name: str
    kind: str
    meaning: str
    needs: tuple[str, ...]
    compute: Callable[[Values], Any]
    part: str = ""
    parts: tuple[str, str] | None = None
    additive: bool = False


def _rates() -> list[_Derived]:
    found = []
    for side in ("", "client_", "server_"):
        whose = {"": "both sides", "client_": "the client", "server_": "the server"}[side]
        again = tuple(name for name in SENT_AGAIN if name.startswith(side))
        found.append(_Derived(f"{side}retransmissions", "number", f"packets of {whose} sent again, for any cause, "
                              "SYN and FIN included; the column of that name counts by numbers alone, as tcptrace does",
                              again, _sum(*again), additive=True))  # fmt: skip
        parts = (f"{side}retransmissions", f"{side}sequenced_packets")
        found.append(_Derived(f"{side}retransmission_rate", "share", f"{side}retransmissions of all packets of {whose} "
                              "with data, SYN or FIN; of several connections: of all their packets",
                              parts, _rate(*parts), parts=parts))  # fmt: skip
        missed = (f"{side}missed_bytes", f"{side}stream_length")
        found.append(_Derived(f"{side}missed_rate", "share", f"bytes of the stream of {whose} that the capture missed",
                              missed, _rate(*missed), parts=missed))  # fmt: skip
    return found


DERIVED: tuple[_Derived, ...] = (
    _Derived("handshake_ok", "bool", "SYN, SYN-ACK and ACK were seen; not known where it had begun before the capture, "
             "or one side alone was captured",
             ("completeness", "simultaneous_open", "dwell_established", "one_direction", "close"), _handshake_ok,
             HANDSHAKE),
    _Derived("handshake_rtt", "time", "SYN to the handshake's ACK; the last SYN, where it was sent again",
             ("initial_rtt",), lambda v: v["initial_rtt"].values, HANDSHAKE),
    _Derived("handshake_time", "time", "the first SYN to the handshake's ACK, with all that was sent again between",
             ("time_opening", "initial_rtt"),
             lambda v: _where_known(v["time_opening"].values, v["initial_rtt"].values), HANDSHAKE),
    _Derived("first_byte", "time", "the client's first data to the server's first data",
             ("client_first_data", "server_first_data"), _between("server_first_data", "client_first_data")),
    _Derived("stalls", "number", "retransmission time-outs, closed windows and Nagle stalls together",
             ("timeout_episodes", "zero_window_spells", "nagle_stalls"),
             _sum("timeout_episodes", "zero_window_spells", "nagle_stalls"),
             additive=True),
    _Derived("left_in_close_wait", "time", "time in CLOSE_WAIT of a side that is still there when the capture ends; "
             "not known where one side alone was captured",
             ("client_state", "server_state", "client_dwell_close_wait", "server_dwell_close_wait", "one_direction"),
             _left, CLOSE),
    _Derived("resets", "number", "packets with RST, of both sides", ("rst_packets",),
             lambda v: v["rst_packets"].values, CLOSE, additive=True),
    _Derived("closed_ok", "bool", "both sides closed with FIN", ("close",), lambda v: _is(v["close"], "fin") * 1.0,
             CLOSE),
    *_rates(),
)  # fmt: skip


def _of_derived(it: _Derived, known: dict[str, Measure]) -> Measure:
    needs = [known[name] for name in it.needs]

    def compute(fields: Columns) -> Series:
        import numpy

        return Series(it.compute({m.name: m.compute(fields) for m in needs}).astype(numpy.float64))

    side, base = _side(it.name)
    shown = SHOWN.get(base, SHOWN["close"] if it.name in ("resets", "closed_ok") else ())
    fields = tuple(dict.fromkeys(field for m in needs for field in m.fields))
    return Measure(it.name, it.kind, it.meaning, fields, compute, (), True, shown, side, it.part, it.parts, it.additive)


@cache
def measures() -> dict[str, Measure]:
    """Every measure by name: the columns in their order, the pairs, and what is derived."""
    found = {it.name: _of_column(it) for it in CONNECTIONS if it.type != "list" and it.name != "connection"}
    for base, how in _pairs().items():
        found[base] = _of_pair(base, how, found)
    for it in DERIVED:
        found[it.name] = _of_derived(it, found)
    return found


def measure(name: str, where: str) -> Measure:
    """The measure of this name; UsageError that names `where`, and the nearest name, if there is none."""
    try:
        return measures()[name]
    except (KeyError, TypeError):
        like = nearest(name, measures()) or "; docs/policy.md lists all"
        raise UsageError(f"{where}: nothing is called {shown(name)}{like}") from None
