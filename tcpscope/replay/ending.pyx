# cython: wraparound=False, freethreading_compatible=True
"""When a connection is over: its states are told, its records written, its memory given back.

A connection that both ends have closed waits for 2 MSL to pass (RFC 9293, 3.6.1) before it is let go.
"""
from libc.stdint cimport int64_t, uint64_t
from libc.string cimport memcpy, memset

from tcpscope.replay.announce cimport announce, forget, write_step
from tcpscope.replay.bodies cimport bodies_give
from tcpscope.replay.brief cimport Brief, brief_of
from tcpscope.replay.choice cimport chosen
from tcpscope.replay.connection cimport Connection, Flow
from tcpscope.replay.crowd cimport crowd_leave
from tcpscope.replay.embryo cimport embryo_last_ns
from tcpscope.replay.evidence cimport Proof
from tcpscope.replay.flows cimport flows_free
from tcpscope.replay.lifecycle cimport Step
from tcpscope.replay.rows cimport ConnectionRow, EvidenceRow
from tcpscope.replay.run cimport Replay
from tcpscope.replay.services cimport said_free
from tcpscope.replay.settle cimport Past
from tcpscope.replay.store cimport Store, more
from tcpscope.replay.summary cimport Told, summarize, tell
from tcpscope.wire.segment cimport file_at, frame_at


cdef int end(Replay *r, Connection *c, int64_t now) noexcept nogil:
    """Tell c's states as they are at `now`, write its records, and free it and its flow."""
    cdef Told told
    cdef ConnectionRow *row
    cdef Brief *brief
    cdef int side, i
    if c.older != NULL and end(r, c.older, now) < 0:
        return -1
    c.older = NULL
    tell(c, now, r.msl_ns, &told)
    row = <ConnectionRow *>more(&r.connections, sizeof(ConnectionRow))
    if row == NULL:
        return -1
    summarize(c, &told, now, r.msl_ns, row)
    if r.choice.few:
        brief = <Brief *>more(&r.briefs, sizeof(Brief))
        if brief == NULL:
            return -1
        brief_of(row, brief)
        if not chosen(&r.choice, row):
            brief.untold = row.odd > 0
            r.connections.size -= sizeof(ConnectionRow)
            release(r, c)
            return 0
    for i in range(c.evidence.count):
        if write_evidence(&r.evidence, c, &c.evidence.items[i]) < 0:
            return -1
    if r.live:
        if announce(r, c, &told) < 0:
            return -1
    elif not r.choice.few:
        for side in range(2):
            for i in range(told.lives[side].count):
                if write_step(r, c, side, &told.lives[side].steps[i]) < 0:
                    return -1
    if r.keep_past and remember_past(r, c, &told) < 0:
        return -1
    release(r, c)
    return 0


cdef int remember_past(Replay *r, const Connection *c, const Told *told) noexcept nogil:
    """Keep the steps of both ends, to settle packet records with."""
    cdef Past *past
    cdef Step *steps
    cdef int side
    cdef uint64_t number = c.flow.number
    while <uint64_t>r.pasts.size <= number * sizeof(Past):
        past = <Past *>more(&r.pasts, sizeof(Past))
        if past == NULL:
            return -1
        memset(past, 0, sizeof(Past))
    past = <Past *>(r.pasts.data + number * sizeof(Past))
    past.first = r.steps.size // sizeof(Step)
    for side in range(2):
        past.counts[side] = told.lives[side].count
        past.initial[side] = told.initial[side]
        if told.lives[side].count:
            steps = <Step *>more(&r.steps, told.lives[side].count * sizeof(Step))
            if steps == NULL:
                return -1
            memcpy(steps, told.lives[side].steps, told.lives[side].count * sizeof(Step))
    return 0


cdef void shed_body(Replay *r, Flow *flow) noexcept nogil:
    """Give back the memory of flow's connection."""
    crowd_leave(r, flow.body)
    bodies_give(&r.bodies, flow.body)
    flow.body = NULL


cdef void release(Replay *r, Connection *c) noexcept nogil:
    """Give back the memory of c, of its flow, and of the incarnation before it."""
    cdef Flow *flow = c.flow
    if c.older != NULL:
        release(r, c.older)
    shed_body(r, flow)
    forget(r, flow)
    said_free(&flow.saids)
    flows_free(&r.flows, flow)


cdef int write_evidence(Store *evidence, const Connection *c, const Proof *proof) noexcept nogil:
    cdef EvidenceRow *e = <EvidenceRow *>more(evidence, sizeof(EvidenceRow))
    if e == NULL:
        return -1
    e.frame, e.file, e.time_ns = frame_at(proof.frame), file_at(proof.frame), proof.time_ns
    e.connection = c.flow.number
    e.annotation, e.side = proof.annotation, proof.side
    return 0


# ---------------------------------------------------------------- the list of closed ones

cdef int64_t last_ns(const Flow *f) noexcept nogil:
    if f.body != NULL:
        return f.body.last_ns
    return embryo_last_ns(f) if f.n_saved else f.packed.last_ns


cdef void linger(Replay *r, Flow *f) noexcept nogil:
    """Both ends have closed: f is done 2 MSL after its last segment."""
    f.lingering = True
    f.linger_until_ns = last_ns(f) + 2 * r.msl_ns
    f.after_lingering, f.before_lingering = NULL, r.closed_last
    if r.closed_last == NULL:
        r.closed_first = f
    else:
        r.closed_last.after_lingering = f
    r.closed_last = f


cdef void unlink(Replay *r, Flow *f) noexcept nogil:
    """Take f out of the list."""
    if f.before_lingering == NULL:
        r.closed_first = f.after_lingering
    else:
        f.before_lingering.after_lingering = f.after_lingering
    if f.after_lingering == NULL:
        r.closed_last = f.before_lingering
    else:
        f.after_lingering.before_lingering = f.before_lingering
    f.lingering = False


cdef bint overdue(const Replay *r, const Flow *f) noexcept nogil:
    """2 MSL have passed since the last segment of f, which lingers."""
    return last_ns(f) + 2 * r.msl_ns < r.now_ns
