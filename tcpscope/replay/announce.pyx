# cython: wraparound=False, freethreading_compatible=True
"""State changes of connections that are still open, told as they become known (a live capture).

Offline the states are told when the connection has ended, with all of it in view.  Live they are told with what is
in view now: a FIN that nothing contradicts counts as delivered.  When later packets show otherwise, what was told is
taken back: a correction, from the state that was told last to the one before the step that was wrong, with the frame
that seemed to show it; the right steps follow.  What was told and not taken back is, at the end, what the offline
replay says.
"""
from libc.stdint cimport uint8_t, uint32_t
from libc.stdlib cimport free, realloc
from libc.string cimport memcpy, memset

from tcpscope.replay.connection cimport Announced, Connection, Flow, Key
from tcpscope.replay.lifecycle cimport Step
from tcpscope.replay.rows cimport EventRow
from tcpscope.replay.run cimport Replay
from tcpscope.replay.store cimport more
from tcpscope.replay.summary cimport Told
from tcpscope.wire.segment cimport file_at, frame_at

cdef enum:
    FIRST_ROOM = 4               # steps; most connections take nine or ten
    CORRECTION = 1               # EventRow.kind


cdef int touch(Replay *r, Flow *f) noexcept nogil:
    """f's states may have changed; -1 when memory runs out."""
    cdef Flow **place
    if f.announced == NULL:
        f.announced = <Announced *>realloc(NULL, sizeof(Announced))
        if f.announced == NULL:
            return -1
        memset(f.announced, 0, sizeof(Announced))
        f.announced.room = 1
    if f.announced.due == 0:
        place = <Flow **>more(&r.due, sizeof(Flow *))
        if place == NULL:
            return -1
        place[0] = f
        f.announced.due = <uint32_t>(r.due.size // sizeof(Flow *))
    return 0


cdef int announce(Replay *r, Connection *c, const Told *told) noexcept nogil:
    """Write events of what `told` says beyond or against what has been told of c; -1 when memory runs out."""
    cdef Announced *a = c.flow.announced
    cdef Key *keys
    cdef int side, i, same, room, at = 0
    cdef int steps = told.lives[0].count + told.lives[1].count
    if a == NULL:
        if touch(r, c.flow) < 0:
            return -1
        a = c.flow.announced
    for side in range(2):
        same = 0
        while same < min(<int>a.counts[side], <int>told.lives[side].count):
            if not is_told(&a.keys[at + same], &told.lives[side].steps[same]):
                break
            same += 1
        if same < a.counts[side] and take_back(r, c, side, &a.keys[at + same], a.states[side]) < 0:
            return -1
        for i in range(same, told.lives[side].count):
            if write_step(r, c, side, &told.lives[side].steps[i]) < 0:
                return -1
        at += a.counts[side]
    if steps > a.room:
        room = max(min(<int>a.room * 2, 32), max(steps, FIRST_ROOM))
        a = <Announced *>realloc(a, sizeof(Announced) + (room - 1) * sizeof(Key))
        if a == NULL:
            return -1
        c.flow.announced = a
        a.room = <uint8_t>room
    at = 0
    for side in range(2):
        a.counts[side] = told.lives[side].count
        for i in range(told.lives[side].count):
            keys = &a.keys[at]
            keys.frame = told.lives[side].steps[i].frame
            keys.old, keys.new = told.lives[side].steps[i].old, told.lives[side].steps[i].new
            keys.event = told.lives[side].steps[i].event
            at += 1
    if a.tallied:
        r.tally[a.states[0]][a.states[1]] -= 1
    a.states[0], a.states[1] = told.lives[0].state, told.lives[1].state
    a.tallied = c.reused_ns < 0                  # else another has its four-tuple, and is the open one
    if a.tallied:
        r.tally[a.states[0]][a.states[1]] += 1
    return 0


cdef inline bint is_told(const Key *k, const Step *step) noexcept nogil:
    return k.frame == step.frame and k.old == step.old and k.new == step.new and k.event == step.event


cdef void forget(Replay *r, Flow *f) noexcept nogil:
    """f has ended."""
    cdef Announced *a = f.announced
    if a == NULL:
        return
    if a.due:
        (<Flow **>r.due.data)[a.due - 1] = NULL
    if a.tallied:
        r.tally[a.states[0]][a.states[1]] -= 1
    free(a)
    f.announced = NULL


cdef EventRow *event_row(Replay *r, const Connection *c, int side) noexcept nogil:
    cdef EventRow *e = <EventRow *>more(&r.events, sizeof(EventRow))
    if e == NULL:
        return NULL
    memset(e, 0, sizeof(EventRow))
    e.connection, e.port, e.file = c.flow.number, c.flow.port[side], file_at(c.first_frame)
    memcpy(e.ip, c.flow.addr[side], 16)
    e.ip_version, e.endpoint = c.flow.ip_version, <uint8_t>side
    return e


cdef int write_step(Replay *r, const Connection *c, int side, const Step *step) noexcept nogil:
    """An event; -1 when memory runs out."""
    cdef EventRow *e = event_row(r, c, side)
    if e == NULL:
        return -1
    e.time_ns, e.frame, e.order = step.time_ns, frame_at(step.frame), step.order
    if step.frame:                               # else a timer
        e.file = file_at(step.frame)
    e.old, e.new, e.event, e.inferred = step.old, step.new, step.event, step.inferred
    return 0


cdef int take_back(Replay *r, const Connection *c, int side, const Key *wrong, uint8_t told) noexcept nogil:
    """What was told from the step `wrong` on did not happen, as the latest packet shows; -1 when memory runs out."""
    cdef EventRow *e = event_row(r, c, side)
    if e == NULL:
        return -1
    e.time_ns, e.frame, e.order = c.last_ns, frame_at(wrong.frame), r.order
    e.kind, e.old, e.new, e.event, e.inferred = CORRECTION, told, wrong.old, wrong.event, True
    return 0
