# cython: wraparound=False, freethreading_compatible=True
"""When more connections are open than the caller allows, some are ended before their time, and counted.

First those that are half-open, SYN and SYN-ACK only, where they are more than a few: of a flood or a scan they are
nearly all.  Then those that have closed and wait for 2 MSL to pass.  Then the rest.  Of each kind those that have
been silent for longest; a share at a time, so that the search costs each newcomer little.
"""
from libc.stdint cimport int64_t, uint64_t
from libc.stdlib cimport qsort

from tcpscope.replay.connection cimport Flow
from tcpscope.replay.ending cimport last_ns
from tcpscope.replay.growing cimport end_flow
from tcpscope.replay.run cimport CLOSED_ONES, HALF_OPEN, IDLE, KINDS, Replay
from tcpscope.replay.store cimport Store, drop, more

cdef enum:
    SHARE = 32                   # of all that may be open, that is retired at a time: their records wait in memory
    BUCKETS = 256

cdef struct Silent:
    int64_t since_ns
    uint64_t number
    Flow *flow


cdef inline int kind_of(const Flow *f) noexcept nogil:
    if f.n_saved and not f.past_handshake:
        return HALF_OPEN
    return CLOSED_ONES if f.lingering else IDLE


cdef inline int64_t bucket_of(int64_t when, int64_t first, int64_t last) noexcept nogil:
    return <int64_t>((<double>when - <double>first) * (BUCKETS - 1) / (<double>last - <double>first + 1))


cdef int by_silence(const void *a, const void *b) noexcept nogil:
    cdef const Silent *x = <const Silent *>a
    cdef const Silent *y = <const Silent *>b
    if x.since_ns != y.since_ns:
        return (x.since_ns > y.since_ns) - (x.since_ns < y.since_ns)
    return (x.number > y.number) - (x.number < y.number)


cdef int make_room(Replay *r) noexcept nogil:
    """End some of the open connections; -1 when memory runs out."""
    cdef uint64_t counts[KINDS]
    cdef int64_t first[KINDS]
    cdef int64_t last[KINDS]
    cdef uint64_t histogram[BUCKETS]
    cdef uint64_t wanted = max(r.most_open // SHARE, 1), found = 0
    cdef int64_t when, edge = BUCKETS - 1
    cdef int kind, i
    cdef uint64_t slot
    cdef Flow *f
    cdef Silent *place
    cdef Store silent
    for i in range(KINDS):
        counts[i] = 0
    for slot in range(<uint64_t>r.flows.mask + 1):
        f = r.flows.slots[slot]
        while f != NULL:
            kind, when = kind_of(f), last_ns(f)
            first[kind] = when if counts[kind] == 0 else min(first[kind], when)
            last[kind] = when if counts[kind] == 0 else max(last[kind], when)
            counts[kind] += 1
            f = f.next_in_slot
    if counts[HALF_OPEN] >= wanted:
        kind = HALF_OPEN
    elif counts[CLOSED_ONES]:
        kind = CLOSED_ONES
    else:
        kind = IDLE if counts[IDLE] else HALF_OPEN
    for i in range(BUCKETS):
        histogram[i] = 0
    for slot in range(<uint64_t>r.flows.mask + 1):
        f = r.flows.slots[slot]
        while f != NULL:
            if kind_of(f) == kind:
                histogram[bucket_of(last_ns(f), first[kind], last[kind])] += 1
            f = f.next_in_slot
    for i in range(BUCKETS):
        found += histogram[i]
        if found >= wanted:
            edge = i
            break
    silent.data, silent.size, silent.room = NULL, 0, 0
    for slot in range(<uint64_t>r.flows.mask + 1):
        f = r.flows.slots[slot]
        while f != NULL:
            if kind_of(f) == kind and bucket_of(last_ns(f), first[kind], last[kind]) <= edge:
                place = <Silent *>more(&silent, sizeof(Silent))
                if place == NULL:
                    drop(&silent)
                    return -1
                place.since_ns, place.number, place.flow = last_ns(f), f.number, f
            f = f.next_in_slot
    qsort(silent.data, silent.size // sizeof(Silent), sizeof(Silent), by_silence)
    found = min(wanted, <uint64_t>silent.size // sizeof(Silent))
    for slot in range(found):
        if end_flow(r, (<Silent *>silent.data)[slot].flow) < 0:
            drop(&silent)
            return -1
    r.retired[kind] += found
    drop(&silent)
    return 0
