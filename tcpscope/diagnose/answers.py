"""Requests that were not answered: the server said nothing, what it said was lost, or they were never complete."""

from __future__ import annotations

from tcpscope.diagnose.facts import Facts, about, by_server, having, times, told
from tcpscope.diagnose.finding import CONFIDENCES, Finding
from tcpscope.diagnose.measure import up_to
from tcpscope.diagnose.waiting import ANSWERING, VERY_SLOW_NS, span, unfinished

PARTING_NS = 500_000_000  # a server closes sooner when the client has said good-bye
WAITED_NS = 5_000_000_000  # for an answer that does not come, where others had come before
MANY = 20  # requests that stop in the middle, all at once: no accident
# ... every line or command is answered, but for a farewell.
DIALOGUES = frozenset({"ftp", "smtp", "pop3", "mysql", "postgresql", "redis"})


def answers(found: list[Facts]) -> list[Finding]:
    """What became of the requests that have no answer, service by service."""
    findings = []
    for server, group in by_server(having(found, "client_unique_bytes")).items():
        findings += _unfinished(server, group)
        findings += _no_answer(server, group)
        findings += _answer_lost(server, group)
    return findings


def _kept_waiting(f: Facts) -> int:
    """From the client's last data until the server said something or the connection ended, ns."""
    later = [ns for ns in (f.server["last_data_ns"], f.end_ns) if ns > f.client["last_data_ns"]]
    return int(min(later) - f.client["last_data_ns"]) if later else 0


def _unfinished(server: str, group: list[Facts]) -> list[Finding]:
    hit = [f for f in group if unfinished(f) and _kept_waiting(f) >= VERY_SLOW_NS]
    if not hit:
        return []
    waited = max(map(_kept_waiting, hit))
    finding = about(
        hit, "unfinished_request", "warning" if len(hit) >= MANY else "note", "client",
        f"the client of {times(len(hit))} with {server} sent the beginning of a request and not the rest: the server "
        f"waited {up_to(hit)}{span(waited)} for that",
        "many at once keep the places of a server busy (Slowloris): limit the connections of one address and the time "
        "for a request's headers" if len(hit) >= MANY else
        "the program on the client stopped in the middle, or takes something else for the end of a request",
        milliseconds=waited / 1e6,
    )  # fmt: skip
    finding.frames = [f.client["first_data_frame"] for f in hit[:20]]
    if any(f.point != "client" for f in hit):
        finding.doubt("its rest may have been lost before it came here")
    return [finding]


def _waited_in_vain(f: Facts) -> int:
    """From the client's last data, which arrived, to the connection's end, if the server said nothing to it; else 0."""
    asked, said = f.client["last_data_ns"], f.server["last_data_ns"]
    if asked < 0 or said > asked or f.server["last_ns"] < asked or f.common["one_direction"] or f.close == "timeout":
        return 0
    if f.reset_by == "server" or f.begun_before:
        return 0  # told otherwise; nor is it known who asks whom
    return int(max(f.end_ns - asked, 1))


def _empty(f: Facts) -> bool:
    """The server closed first, without a byte."""
    return f.server["unique_bytes"] == 0 and f.closed_by == "server" and f.server["fin_packets"] > 0


def _unanswered(f: Facts) -> bool:
    waited = _waited_in_vain(f)
    if (
        not waited or _went_on(f) or unfinished(f) or f.common["client_hint"].startswith(b"CancelRequest")
    ):  # which has no answer
        return False
    answering = told(f.common["service"], b"")[1] in ANSWERING
    if f.server["unique_bytes"] == 0:
        return waited >= (VERY_SLOW_NS if answering else WAITED_NS) or (waited > 0 and _empty(f))
    return answering and (waited >= PARTING_NS if _cut_off(f) else waited >= WAITED_NS and f.closed_by != "server")


def _cut_off(f: Facts) -> bool:
    """The server had begun a dialogue, and closed instead of an answer, not at once, as it does after a farewell."""
    return told(f.common["service"], b"")[1] in DIALOGUES and f.closed_by == "server" and f.server["unique_bytes"] > 0


def _went_on(f: Facts) -> bool:
    """The server's numbers show that it had answered, though nothing of that came here."""
    return any(it.time_ns >= f.client["last_data_ns"] for it in f.seen("lost_segment", "server"))


def _surely(f: Facts) -> str:
    """How sure it is that the client's last words asked for an answer."""
    service = told(f.common["service"], b"")[1]
    if service in ANSWERING:
        return "certain" if f.server["unique_bytes"] == 0 else "likely"
    return "possible"


def _no_answer(server: str, group: list[Facts]) -> list[Finding]:
    silent = [f for f in group if _unanswered(f)]
    if not silent:
        return []
    certainty = min(map(_surely, silent), key=CONFIDENCES.index)
    silent = [f for f in silent if _surely(f) == certainty]
    empty, waited = sum(map(_empty, silent)), max(map(_waited_in_vain, silent))
    never = all(f.server["unique_bytes"] == 0 for f in silent)
    text = f"{server} acknowledged what the client of {times(len(silent))} asked "
    text += "and never answered" if never else "last and did not answer that"
    if empty < len(silent):
        text += f": {span(waited)} went by until the end"
    if empty:
        text += f"{';' if empty < len(silent) else ':'} it closed " + (
            "without a byte" if empty == len(silent) else f"{empty:,} without a byte")  # fmt: skip
    cut_off = all(map(_cut_off, silent))
    if cut_off:
        text += ", when it closed instead"
    finding = about(
        silent, "no_answer", "note" if certainty == "possible" else "warning", "server", text,
        "the program on the server was stopped or failed in the middle of it: see its log" if cut_off else
        "the request had arrived: the program on the server hangs, or waits for something that does not come; see its "
        "log" if empty < len(silent) else "the program on the server failed, or refuses such clients: see its log",
        milliseconds=waited / 1e6, empty=empty,
    )  # fmt: skip
    finding.frames = [f.client["first_data_frame"] if f.server["unique_bytes"] == 0 else f.last_frame
                      for f in silent[:20]]  # fmt: skip
    if any(f.point != "client" for f in silent):
        finding.doubt("its rest may have been lost before it came here")
    if certainty != "certain":
        finding.doubt("not all that a client says asks for an answer" if certainty == "possible" or cut_off else
                      "a stream, or a WebSocket, may have followed that needs no answer", certainty)  # fmt: skip
    return [finding]


def _answer_lost(server: str, group: list[Facts]) -> list[Finding]:
    """Only what the client has not acknowledged is lost; the rest the capture has missed."""
    lost = [
        f
        for f in group
        if _waited_in_vain(f) >= VERY_SLOW_NS and _went_on(f) and not f.seen("ack_lost_segment", "client")
    ]
    if not lost:
        return []
    waited = max(map(_waited_in_vain, lost))
    return [about(
        lost, "answer_lost", "warning", "path",
        f"{server} answered {times(len(lost))}, as its numbers show, and nothing of the answer came: the client waited "
        f"{up_to(lost)}{span(waited)} in vain",
        "its short segments came through, those with data did not: a link on the path from the server may carry only "
        "smaller packets (clamp the MSS at the tunnel, let ICMP `fragmentation needed` through), or filters them; a "
        "capture at the server shows them go",
        shown=["lost_segment"], by="server", milliseconds=waited / 1e6,
    )]  # fmt: skip
