# cython: wraparound=False, freethreading_compatible=True
"""The flow table: chained hashing by the segments' keyed hash; flows from a pool.

A flow is an unordered pair of (address, port), as Wireshark's stream is; with `by_outer` the
VLAN and tunnel identifiers around the packet belong to it as well.
"""
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset

from tcpscope.replay.connection cimport Flow
from tcpscope.replay.pool cimport pool_close, pool_give, pool_open, pool_take
from tcpscope.wire.flow cimport ends_hash, stir, word
from tcpscope.wire.segment cimport Segment

cdef enum:
    FIRST_SLOTS = 1024
    FIRST_ENDED = 1024           # room for the hashes of flows that have ended
    MOST_ENDED = 1 << 20         # ... and most of it; half full, all of them are forgotten


cdef int flows_open(Flows *t, bint by_outer) noexcept nogil:
    memset(t, 0, sizeof(Flows))
    t.slots = <Flow **>calloc(FIRST_SLOTS, sizeof(Flow *))
    t.ended = <uint64_t *>calloc(FIRST_ENDED, sizeof(uint64_t))
    if t.slots == NULL or t.ended == NULL:
        return -1
    t.mask = FIRST_SLOTS - 1
    t.ended_mask = FIRST_ENDED - 1
    t.by_outer = by_outer
    pool_open(&t.flows, sizeof(Flow))
    return 0


cdef void flows_close(Flows *t) noexcept nogil:
    pool_close(&t.flows)
    free(t.slots)
    free(t.ended)
    t.slots = NULL
    t.ended = NULL


cdef inline bint same(const uint8_t *a, const uint8_t *b) noexcept nogil:
    return word(a) == word(b) and word(a + 8) == word(b + 8)


cdef Flow *flows_find(Flows *t, const Segment *s, int *sender) noexcept nogil:
    """The open flow of s, and which of its sides sent s; NULL: none."""
    cdef Flow *f = t.slots[flows_hash(t, s) & t.mask]
    while f != NULL:
        if f.hash == s.flow and f.ip_version == s.ip_version and (not t.by_outer or f.outer == s.outer):
            if (f.port[0] == s.sport and f.port[1] == s.dport and same(f.addr[0], s.src)
                    and same(f.addr[1], s.dst)):
                sender[0] = 0
                return f
            if (f.port[1] == s.sport and f.port[0] == s.dport and same(f.addr[1], s.src)
                    and same(f.addr[0], s.dst)):
                sender[0] = 1
                return f
        f = f.next_in_slot
    return NULL


cdef inline uint32_t slot_of_flow(const Flows *t, const Flow *f) noexcept nogil:
    cdef uint32_t hash = f.hash
    if t.by_outer:
        hash ^= f.outer * <uint32_t>0x9E3779B1
    return hash & t.mask


cdef int widen(Flows *t) noexcept nogil:
    cdef uint32_t slots = (t.mask + 1) * 2, i
    cdef Flow **wide = <Flow **>calloc(slots, sizeof(Flow *))
    cdef Flow **narrow = t.slots
    cdef Flow *f
    cdef Flow *after
    if wide == NULL:
        return -1
    t.slots, t.mask = wide, slots - 1
    for i in range(slots // 2):
        f = narrow[i]
        while f != NULL:
            after = f.next_in_slot
            f.next_in_slot = wide[slot_of_flow(t, f)]
            wide[slot_of_flow(t, f)] = f
            f = after
    free(narrow)
    return 0


cdef Flow *flows_add(Flows *t, const Segment *s) noexcept nogil:
    """A flow for s, its addresses still to be filled in; NULL when memory runs out."""
    cdef Flow *f
    cdef uint32_t slot
    if t.used > t.mask // 2 and t.mask < (<uint32_t>1 << 30) and widen(t) < 0:
        return NULL
    f = <Flow *>pool_take(&t.flows)
    if f == NULL:
        return NULL
    memset(f, 0, sizeof(Flow))
    f.hash, f.outer, f.ip_version = s.flow, s.outer, s.ip_version
    slot = flows_hash(t, s) & t.mask
    f.next_in_slot = t.slots[slot]
    t.slots[slot] = f
    t.used += 1
    return f


cdef inline uint64_t full_hash(const Flows *t, const uint8_t *a, uint32_t a_port, const uint8_t *b, uint32_t b_port,
                               uint8_t version, uint32_t outer) noexcept nogil:
    """Identifies a flow where nothing but the number is kept; never 0."""
    cdef uint64_t hash = ends_hash(a, <unsigned short>a_port, b, <unsigned short>b_port, version)
    return (stir(hash + outer) if t.by_outer else hash) | 1


cdef inline uint64_t *place_of(const Flows *t, uint64_t hash) noexcept nogil:
    """Where it stands among the ended, or a free place."""
    cdef uint32_t at = <uint32_t>(hash >> 8) & t.ended_mask
    while t.ended[at] and t.ended[at] != hash:
        at = (at + 1) & t.ended_mask
    return &t.ended[at]


cdef void widen_ended(Flows *t) noexcept nogil:
    """Twice the room for those that have ended; where that is too much, they are forgotten."""
    cdef uint32_t room = t.ended_mask + 1, i
    cdef uint64_t *narrow = t.ended
    cdef uint64_t *wide = NULL
    if room < MOST_ENDED:
        wide = <uint64_t *>calloc(2 * room, sizeof(uint64_t))
    if wide == NULL:
        memset(narrow, 0, room * sizeof(uint64_t))
        t.n_ended = 0
        return
    t.ended, t.ended_mask = wide, 2 * room - 1
    for i in range(room):
        if narrow[i]:
            place_of(t, narrow[i])[0] = narrow[i]
    free(narrow)


cdef void remember_ended(Flows *t, uint64_t hash) noexcept nogil:
    cdef uint64_t *place
    if t.n_ended > t.ended_mask // 2:
        widen_ended(t)
    place = place_of(t, hash)
    if place[0] == 0:
        place[0] = hash
        t.n_ended += 1


cdef bint flows_known(const Flows *t, const Segment *s) noexcept nogil:
    """A connection of this flow has ended."""
    return place_of(t, full_hash(t, s.src, s.sport, s.dst, s.dport, s.ip_version, s.outer))[0] != 0


cdef void flows_dissolve(Flows *t) noexcept nogil:
    """Empty the table, whose flows the caller has, and only frees: in a large one each would be looked for in vain."""
    memset(t.slots, 0, (<size_t>t.mask + 1) * sizeof(Flow *))
    t.used = 0
    t.dissolved = True


cdef void flows_unlink(Flows *t, Flow *f) noexcept nogil:
    """Take f out of the table, if it is in it."""
    cdef Flow **link = &t.slots[slot_of_flow(t, f)]
    remember_ended(t, full_hash(t, f.addr[0], f.port[0], f.addr[1], f.port[1], f.ip_version, f.outer))
    while link[0] != NULL and link[0] != f:
        link = &link[0].next_in_slot
    if link[0] == f:
        link[0] = f.next_in_slot
        t.used -= 1


cdef void flows_free(Flows *t, Flow *f) noexcept nogil:
    """Take f out of the table and keep its memory for another."""
    if not t.dissolved:
        flows_unlink(t, f)
    pool_give(&t.flows, f)
