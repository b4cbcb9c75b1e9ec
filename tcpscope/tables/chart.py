"""docs/states.md from the state table: `python -m tcpscope.tables.chart > docs/states.md`."""

from __future__ import annotations

from tcpscope.replay.states import TRANSITIONS, Event

ANYWHERE = {Event.SENT_RST, Event.GOT_RST, Event.SOCKET_GONE}  # arrows from nearly every state: told in words


MISSED = (
    "## What the capture has missed",
    "",
    "An event is marked `inferred` where no packet shows it happening:",
    "",
    "* A SYN, a SYN-ACK or the beginning: what the endpoint says next it says only when connected.",
    "* A FIN: its number is acknowledged, and both ends close. Where more than the FIN's number is missing, it may",
    "  have come with the last data: so it is told when nothing has moved for three seconds.",
    "* The acknowledgment of a FIN: the FIN was not sent again within three seconds.",
    "* A socket that is gone: its host answers for it by RST, or asks for a new connection on the same ports.",
    "",
    "Where the capture's clock was set back, an event has the time of the one before it.",
)


def chart() -> str:
    """The page, in Markdown with a Mermaid diagram."""
    out = [
        "# The states",
        "",
        "Written by `python -m tcpscope.tables.chart` from the table in `tcpscope/replay/states.py`, by which alone a",
        "state moves (RFC 9293, figure 5). Each endpoint is replayed on its own; what its peer sent counts when it is",
        "delivered. A RST sent or taken in, and a socket shown to be gone, lead to CLOSED from everywhere.",
        "",
        "```mermaid",
        "stateDiagram-v2",
    ]
    for state, event, goes_to, _ in TRANSITIONS:
        if event not in ANYWHERE:
            out.append(f"    {state.name} --> {goes_to.name}: {event.name}")
    out += ["```", "", "| state | event | next state | section |", "|---|---|---|---|"]
    out += [
        f"| {state.name} | {event.name} | {goes_to.name} | {section} |"
        for state, event, goes_to, section in TRANSITIONS
    ]
    return "\n".join([*out, "", *MISSED, ""])


if __name__ == "__main__":
    print(chart(), end="")
