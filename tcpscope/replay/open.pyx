# cython: wraparound=False, freethreading_compatible=True
"""The connections that are still open, as they are now: their changes of state, and their records."""
from libc.stdint cimport int64_t, uint64_t
from libc.stdlib cimport qsort

from tcpscope.replay.announce cimport announce
from tcpscope.replay.connection cimport Connection, Flow
from tcpscope.replay.embryo cimport is_embryo
from tcpscope.replay.ending cimport last_ns, shed_body, write_evidence
from tcpscope.replay.growing cimport connection_of, grow_up
from tcpscope.replay.rows cimport ConnectionRow
from tcpscope.replay.run cimport Replay
from tcpscope.replay.store cimport Store, drop, more
from tcpscope.replay.summary cimport Told, summarize, tell

cdef struct Candidate:
    int64_t score
    uint64_t number
    Flow *flow


cdef int announce_due(Replay *r) noexcept nogil:
    """Tell the states of all that may have changed; -1 when memory runs out."""
    cdef Told told
    cdef Flow *f
    cdef Py_ssize_t i = 0
    cdef bint embryo
    while i < r.due.size // <Py_ssize_t>sizeof(Flow *):
        f = (<Flow **>r.due.data)[i]
        i += 1
        if f == NULL:
            continue
        embryo = is_embryo(f)
        if (grow_up(r, f) if embryo else connection_of(r, f)) == NULL:
            return -1
        tell(f.body, r.now_ns, r.msl_ns, &told)
        if announce(r, f.body, &told) < 0:
            return -1
        if embryo:
            shed_body(r, f)
        f.announced.due = 0
    r.due.size = 0
    return 0


cdef inline int64_t score_of(Replay *r, Flow *f, int by) noexcept nogil:
    cdef const Connection *c
    if by == BY_BEGIN:
        return f.number
    if by == BY_LATEST:
        return last_ns(f)
    if is_embryo(f):
        return f.n_saved - 1 if by == BY_REPEATED else 0
    c = connection_of(r, f)
    if c == NULL:
        return 0
    if by == BY_BYTES:
        return c.traffic[0].bytes + c.traffic[1].bytes
    return c.traffic[0].retransmissions + c.traffic[1].retransmissions


cdef inline bint worse(const Candidate *a, const Candidate *b) noexcept nogil:
    return a.score < b.score or a.score == b.score and a.number < b.number


cdef void sink(Candidate *heap, uint64_t count, uint64_t at) noexcept nogil:
    """The worst on top."""
    cdef uint64_t child
    cdef Candidate held = heap[at]
    while True:
        child = 2 * at + 1
        if child >= count:
            break
        if child + 1 < count and worse(&heap[child + 1], &heap[child]):
            child += 1
        if not worse(&heap[child], &held):
            break
        heap[at] = heap[child]
        at = child
    heap[at] = held


cdef int by_number(const void *a, const void *b) noexcept nogil:
    cdef uint64_t x = (<const Candidate *>a).number, y = (<const Candidate *>b).number
    return (x > y) - (x < y)


cdef int choose(Replay *r, uint64_t most, int by, Store *found) noexcept nogil:
    """At most `most` open flows, the best by that measure, in order of beginning; -1 when memory runs out."""
    cdef Candidate one
    cdef Candidate *place
    cdef Candidate *heap
    cdef Flow *f
    cdef uint64_t slot, count = 0, at
    for slot in range(<uint64_t>r.flows.mask + 1):
        f = r.flows.slots[slot]
        while f != NULL:
            one.score, one.number, one.flow = score_of(r, f, by) if most < r.flows.used else 0, f.number, f
            if count < most:
                place = <Candidate *>more(found, sizeof(Candidate))
                if place == NULL:
                    return -1
                place[0] = one
                count += 1
                if count == most:
                    heap = <Candidate *>found.data
                    for at in range(count // 2 + 1):
                        sink(heap, count, count // 2 - at)
            elif count and worse(heap, &one):
                heap[0] = one
                sink(heap, count, 0)
            f = f.next_in_slot
    qsort(found.data, count, sizeof(Candidate), by_number)
    return 0


cdef int show_open(Replay *r, uint64_t most, int by, Store *connections, Store *evidence) noexcept nogil:
    """Records of open connections as if they had ended now, and their evidence; -1 when memory runs out."""
    cdef Store chosen
    cdef Candidate *choices
    cdef uint64_t i
    cdef int failed
    chosen.data, chosen.size, chosen.room = NULL, 0, 0
    failed = choose(r, most, by, &chosen)
    choices = <Candidate *>chosen.data
    for i in range(<uint64_t>chosen.size // sizeof(Candidate)):
        if failed < 0:
            break
        failed = show(r, choices[i].flow, connections, evidence)
    drop(&chosen)
    return failed


cdef int show(Replay *r, Flow *f, Store *connections, Store *evidence) noexcept nogil:
    cdef Told told
    cdef Connection *c
    cdef ConnectionRow *row
    cdef int64_t idle[2]
    cdef int i
    cdef bint embryo = is_embryo(f), live = r.live
    r.live = False                               # nothing happens to it
    c = grow_up(r, f) if embryo else connection_of(r, f)
    r.live = live
    if c == NULL:
        return -1
    tell(c, r.now_ns, r.msl_ns, &told)
    row = <ConnectionRow *>more(connections, sizeof(ConnectionRow))
    if row == NULL:
        return -1
    for i in range(2):
        idle[i] = c.traffic[i].idle_max_ns
    summarize(c, &told, r.now_ns, r.msl_ns, row)
    for i in range(2):
        c.traffic[i].idle_max_ns = idle[i]       # it goes on
    for i in range(c.evidence.count):
        if write_evidence(evidence, c, &c.evidence.items[i]) < 0:
            return -1
    if embryo:
        shed_body(r, f)
    return 0
