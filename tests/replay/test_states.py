"""The table of RFC 9293, figure 5: every state can be reached and left again."""

import re

import pytest

from tcpscope.replay import layout
from tcpscope.replay.states import STAY, TRANSITIONS, Event, State, table


def test_states_have_the_names_of_the_records():
    assert tuple(state.name for state in State) == layout.STATES


def test_no_state_and_event_have_two_arrows():
    pairs = [(state, event) for state, event, _, _ in TRANSITIONS]
    assert len(pairs) == len(set(pairs))


def test_every_state_is_reached_from_closed_or_unknown():
    reached = {State.CLOSED, State.UNKNOWN}
    while True:
        more = {goes_to for state, _, goes_to, _ in TRANSITIONS if state in reached} - reached
        if not more:
            break
        reached |= more
    assert reached == set(State)


@pytest.mark.parametrize("state", [s for s in State if s not in (State.CLOSED,)])
def test_every_state_leads_back_to_closed(state):
    seen, edge = {state}, {state}
    while edge:
        edge = {goes_to for s, _, goes_to, _ in TRANSITIONS if s in edge} - seen
        seen |= edge
    assert State.CLOSED in seen


def test_each_row_names_its_section():
    for *_, section in TRANSITIONS:
        assert re.fullmatch(r"3(\.\d+){1,3}|inferred|RFC1122:4\.2\.2\.13", section)


def test_the_array_is_the_table():
    cells = table()
    assert len(cells) == len(State) * len(Event)
    arrows = {(state, event): goes_to for state, event, goes_to, _ in TRANSITIONS}
    for state in State:
        for event in Event:
            assert cells[state * len(Event) + event] == arrows.get((state, event), STAY)


def test_the_normal_life_of_both_ends():
    """RFC 9293, 3.5 and 3.6: open, and close by the client."""
    arrows = {(state, event): goes_to for state, event, goes_to, _ in TRANSITIONS}

    def live(state, *events):
        for event in events:
            state = arrows[state, event]
        return state

    client = (Event.SENT_SYN, Event.GOT_SYN_ACK, Event.SENT_FIN, Event.GOT_ACK_OF_FIN, Event.GOT_FIN)
    server = (
        Event.PASSIVE_OPEN,
        Event.GOT_SYN,
        Event.GOT_ACK_OF_SYN,
        Event.GOT_FIN,
        Event.SENT_FIN,
        Event.GOT_ACK_OF_FIN,
    )
    assert live(State.CLOSED, *client) is State.TIME_WAIT
    assert live(State.CLOSED, *client, Event.TIMEOUT_2MSL) is State.CLOSED
    assert live(State.CLOSED, *server) is State.CLOSED
    crossing = (
        Event.SENT_SYN,
        Event.GOT_SYN,
        Event.GOT_ACK_OF_SYN,
        Event.SENT_FIN,
        Event.GOT_FIN,
        Event.GOT_ACK_OF_FIN,
    )
    assert live(State.CLOSED, *crossing) is State.TIME_WAIT
