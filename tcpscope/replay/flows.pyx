# cython: wraparound=False, freethreading_compatible=True
"""The flow table: chained hashing, connections from arenas, a keyed hash.

A flow is an unordered pair of (address, port), as Wireshark's stream is; with `by_outer` the
VLAN and tunnel identifiers around the packet belong to it as well.
"""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memcpy, memset

from tcpscope.replay.connection cimport Connection
from tcpscope.wire.segment cimport Segment

cdef enum:
    FIRST_SLOTS = 1024
    ARENA = 64                   # connections allocated at a time
    ENDED = 1 << 16              # ended flows remembered, so that their four-tuple's reuse is seen


cdef int flows_open(Flows *t, uint64_t key, bint by_outer) noexcept nogil:
    memset(t, 0, sizeof(Flows))
    t.slots = <Connection **>calloc(FIRST_SLOTS, sizeof(Connection *))
    t.ended = <uint64_t *>calloc(ENDED, sizeof(uint64_t))
    if t.slots == NULL or t.ended == NULL:
        return -1
    t.mask = FIRST_SLOTS - 1
    t.key = key | 1
    t.by_outer = by_outer
    return 0


cdef void flows_close(Flows *t) noexcept nogil:
    cdef uint32_t i
    for i in range(t.n_arenas):
        free(t.arenas[i])
    free(t.arenas)
    free(t.slots)
    free(t.ended)
    t.slots = NULL
    t.ended = NULL
    t.arenas = NULL
    t.n_arenas = 0


cdef inline uint64_t word(const uint8_t *bytes) noexcept nogil:
    cdef uint64_t value
    memcpy(&value, bytes, 8)
    return value


cdef inline uint64_t stir(uint64_t x) noexcept nogil:
    """A bijection that spreads every bit over all (the finalizer of splitmix64)."""
    x ^= x >> 30
    x *= <uint64_t>0xBF58476D1CE4E5B9
    x ^= x >> 27
    x *= <uint64_t>0x94D049BB133111EB
    return x ^ (x >> 31)


cdef inline uint64_t end_hash(const Flows *t, const uint8_t *addr, uint16_t port, uint8_t version) noexcept nogil:
    if version == 4:
        return stir(word(addr) + t.key * (<uint64_t>port + 1))
    return stir(stir(word(addr) ^ t.key) + word(addr + 8) + t.key * (<uint64_t>port + 1))


cdef inline bint same(const uint8_t *a, const uint8_t *b) noexcept nogil:
    return word(a) == word(b) and word(a + 8) == word(b + 8)


cdef Connection *flows_find(Flows *t, const Segment *s, uint64_t *hash, int *sender) noexcept nogil:
    """The open connection of s, and which of its sides sent s; NULL: none.  hash is for flows_add."""
    cdef uint64_t h = (end_hash(t, s.src, s.sport, s.ip_version) + end_hash(t, s.dst, s.dport, s.ip_version))
    cdef Connection *c
    if t.by_outer:
        h += stir(s.outer + t.key)
    h = stir(h)
    hash[0] = h
    c = t.slots[h & t.mask]
    while c != NULL:
        if c.hash == h and c.ip_version == s.ip_version and (not t.by_outer or c.outer == s.outer):
            if (c.port[0] == s.sport and c.port[1] == s.dport and same(c.addr[0], s.src)
                    and same(c.addr[1], s.dst)):
                sender[0] = 0
                return c
            if (c.port[1] == s.sport and c.port[0] == s.dport and same(c.addr[1], s.src)
                    and same(c.addr[0], s.dst)):
                sender[0] = 1
                return c
        c = c.next_in_slot
    return NULL


cdef int widen(Flows *t) noexcept nogil:
    cdef uint64_t slots = (t.mask + 1) * 2, i
    cdef Connection **wide = <Connection **>calloc(slots, sizeof(Connection *))
    cdef Connection *c
    cdef Connection *after
    if wide == NULL:
        return -1
    for i in range(t.mask + 1):
        c = t.slots[i]
        while c != NULL:
            after = c.next_in_slot
            c.next_in_slot = wide[c.hash & (slots - 1)]
            wide[c.hash & (slots - 1)] = c
            c = after
    free(t.slots)
    t.slots, t.mask = wide, slots - 1
    return 0


cdef Connection *flows_add(Flows *t, uint64_t hash) noexcept nogil:
    """A zeroed connection in the slot of `hash`; NULL when memory runs out."""
    cdef Connection *c
    cdef Connection **arenas
    if t.used > t.mask and widen(t) < 0:
        return NULL
    if t.spare != NULL:
        c = t.spare
        t.spare = c.next_in_slot
    else:
        if t.left == 0:
            arenas = <Connection **>realloc(t.arenas, (t.n_arenas + 1) * sizeof(Connection *))
            if arenas == NULL:
                return NULL
            t.arenas = arenas
            arenas[t.n_arenas] = <Connection *>malloc(ARENA * sizeof(Connection))
            if arenas[t.n_arenas] == NULL:
                return NULL
            t.n_arenas += 1
            t.left = ARENA
        t.left -= 1
        c = t.arenas[t.n_arenas - 1] + t.left
    memset(c, 0, sizeof(Connection))
    c.hash = hash
    c.next_in_slot = t.slots[hash & t.mask]
    t.slots[hash & t.mask] = c
    t.used += 1
    return c


cdef bint flows_known(const Flows *t, uint64_t hash) noexcept nogil:
    """A connection of this flow has ended not long ago."""
    return t.ended[hash & (ENDED - 1)] == hash


cdef void flows_unlink(Flows *t, Connection *c) noexcept nogil:
    """Take c out of the table, if it is in it."""
    cdef Connection **link = &t.slots[c.hash & t.mask]
    t.ended[c.hash & (ENDED - 1)] = c.hash
    while link[0] != NULL and link[0] != c:
        link = &link[0].next_in_slot
    if link[0] == c:
        link[0] = c.next_in_slot
        t.used -= 1


cdef void flows_remove(Flows *t, Connection *c) noexcept nogil:
    """Take c out of the table and keep its memory for another."""
    flows_unlink(t, c)
    c.next_in_slot = t.spare
    t.spare = c
