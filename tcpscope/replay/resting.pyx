# cython: wraparound=False, freethreading_compatible=True
"""Packing the connections that both ends have closed, and unpacking them when something comes after all, or time is up.

In a capture of many short connections most of those in memory are such.  What is packed is the words of the connection
that are not zero, and what its arrays hold; the memory itself, which is near, is the next connection's.
"""
from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memcpy, memset

from tcpscope.replay.bodies cimport bodies_give, bodies_take
from tcpscope.replay.chunks cimport chunk
from tcpscope.replay.connection cimport Connection, Flow, Packed
from tcpscope.replay.evidence cimport Proof
from tcpscope.replay.flight cimport Chunk
from tcpscope.replay.marks cimport Mark
from tcpscope.replay.rtt cimport RoundTrips
from tcpscope.replay.run cimport Replay
from tcpscope.replay.unacked cimport Unacked, unacked_at

cdef extern from *:
    int trailing_zeros "__builtin_ctzll" (unsigned long long) noexcept nogil

cdef enum:
    BITS = 64
    PARTS = 8                    # of Packed.present
    WORDS = 512                  # BITS of each: a connection has no more

if sizeof(Connection) % sizeof(uint64_t) or sizeof(Connection) > WORDS * sizeof(uint64_t):
    raise ImportError("a connection does not fit into connection.Packed")

cdef uint32_t USED = sizeof(Connection) // sizeof(uint64_t)


cdef inline bint may_rest(const Connection *c) noexcept nogil:
    return (c.older == NULL and c.flight[0].many == NULL and c.flight[1].many == NULL
            and c.wireshark.side[0].unacked.disorder == NULL and c.wireshark.side[1].unacked.disorder == NULL)


cdef inline uint32_t samples(const RoundTrips *r) noexcept nogil:
    """How many are kept as they are."""
    return <uint32_t>r.count if r.histogram == NULL else 0


# ---------------------------------------------------------------- packing

cdef size_t size_of_arrays(const Connection *c) noexcept nogil:
    cdef size_t size = c.marks.count * sizeof(Mark) + c.evidence.count * sizeof(Proof)
    cdef int x
    for x in range(2):
        size += (c.flight[x].old + c.flight[x].live) * sizeof(Chunk)
        size += c.wireshark.side[x].unacked.used * sizeof(Unacked)
        size += samples(&c.traffic[x].rtt) * sizeof(float)
    return size


cdef inline char *put(char *at, const void *what, size_t size) noexcept nogil:
    if size:
        memcpy(at, what, size)
    return at + size


cdef void put_arrays(const Connection *c, char *at) noexcept nogil:
    cdef uint32_t i
    cdef int x
    at = put(at, c.marks.items, c.marks.count * sizeof(Mark))
    at = put(at, c.evidence.items, c.evidence.count * sizeof(Proof))
    for x in range(2):
        for i in range(c.flight[x].old + c.flight[x].live):
            at = put(at, chunk(&c.flight[x], i), sizeof(Chunk))
        for i in range(c.wireshark.side[x].unacked.used):
            at = put(at, unacked_at(&c.wireshark.side[x].unacked, i), sizeof(Unacked))
        at = put(at, c.traffic[x].rtt.firsts, samples(&c.traffic[x].rtt) * sizeof(float))


cdef int rest(Replay *r, Flow *f) noexcept nogil:
    """Pack f's connection, unless that is too much trouble; -1 when memory runs out."""
    cdef Connection *c = f.body
    cdef const uint64_t *words = <const uint64_t *>c
    cdef uint64_t kept[WORDS]
    cdef uint64_t present[PARTS]
    cdef uint32_t i, count = 0
    cdef int x
    cdef Packed *p
    if not may_rest(c):
        return 0
    memset(present, 0, sizeof(present))
    for i in range(USED):
        kept[count] = words[i]
        count += words[i] != 0
        present[i // BITS] |= <uint64_t>(words[i] != 0) << (i % BITS)
    p = <Packed *>malloc(sizeof(Packed) + count * sizeof(uint64_t) + size_of_arrays(c))
    if p == NULL:
        return -1
    p.last_ns = c.last_ns
    memcpy(p.present, present, sizeof(present))
    put_arrays(c, put(<char *>(p + 1), kept, count * sizeof(uint64_t)))
    for x in range(2):                   # what few have goes with it as it is
        c.traffic[x].rtt.histogram = NULL
        c.traffic[x].seen.below = NULL
        c.traffic[x].candidates.items = NULL
    bodies_give(&r.bodies, c)
    f.body, f.packed = NULL, p
    return 0


# ---------------------------------------------------------------- unpacking

cdef inline const char *get(const char *at, void *what, size_t size) noexcept nogil:
    if size:
        memcpy(what, at, size)
    return at + size


cdef bint has_room(void **items, size_t room, size_t needed, size_t size) noexcept nogil:
    """There is room, now; False when memory runs out."""
    cdef void *wider
    if room >= needed:
        return True
    wider = realloc(items[0], needed * size)
    if wider == NULL:
        return False
    items[0] = wider
    return True


cdef bint take_arrays(Connection *c, const Connection *spare) noexcept nogil:
    """Give c, which has been unpacked but for its arrays, those of `spare`, widened; False when memory runs out."""
    cdef int x
    cdef bint fits
    cdef void *marks = spare.marks.items
    cdef void *proofs = spare.evidence.items
    cdef void *ring
    cdef void *queue
    cdef void *firsts
    fits = has_room(&marks, spare.marks.room, c.marks.room, sizeof(Mark))
    c.marks.items = <Mark *>marks
    fits &= has_room(&proofs, spare.evidence.room, c.evidence.room, sizeof(Proof))
    c.evidence.items = <Proof *>proofs
    for x in range(2):
        ring, queue = spare.flight[x].ring, spare.wireshark.side[x].unacked.ring
        firsts = spare.traffic[x].rtt.firsts
        fits &= has_room(&ring, spare.flight[x].room, c.flight[x].room, sizeof(Chunk))
        fits &= has_room(&queue, spare.wireshark.side[x].unacked.room, c.wireshark.side[x].unacked.room,
                         sizeof(Unacked))
        fits &= has_room(&firsts, spare.traffic[x].rtt.room, c.traffic[x].rtt.room, sizeof(float))
        c.flight[x].ring, c.wireshark.side[x].unacked.ring = <Chunk *>ring, <Unacked *>queue
        c.traffic[x].rtt.firsts = <float *>firsts
        c.flight[x].head = c.wireshark.side[x].unacked.head = 0
    return fits


cdef void get_arrays(Connection *c, const char *at) noexcept nogil:
    cdef int x
    at = get(at, c.marks.items, c.marks.count * sizeof(Mark))
    at = get(at, c.evidence.items, c.evidence.count * sizeof(Proof))
    for x in range(2):
        at = get(at, c.flight[x].ring, (c.flight[x].old + c.flight[x].live) * sizeof(Chunk))
        at = get(at, c.wireshark.side[x].unacked.ring, c.wireshark.side[x].unacked.used * sizeof(Unacked))
        at = get(at, c.traffic[x].rtt.firsts, samples(&c.traffic[x].rtt) * sizeof(float))


cdef Connection *wake(Replay *r, Flow *f) noexcept nogil:
    """Unpack f's connection; NULL when memory runs out."""
    cdef const Packed *p = f.packed
    cdef const char *at = <const char *>(p + 1)
    cdef Connection *c = bodies_take(&r.bodies)
    cdef Connection spare
    cdef uint64_t bits
    cdef uint32_t i
    if c == NULL:
        return NULL
    spare = c[0]
    memset(c, 0, sizeof(Connection))
    for i in range(PARTS):
        bits = p.present[i]
        while bits:
            at = get(at, <uint64_t *>c + i * BITS + trailing_zeros(bits), sizeof(uint64_t))
            bits &= bits - 1
    if not take_arrays(c, &spare):
        memset(c, 0, sizeof(Connection))         # f stays packed; the room that c had is lost, as memory is out
        bodies_give(&r.bodies, c)
        return NULL
    get_arrays(c, at)
    free(f.packed)
    f.body, f.packed = c, NULL
    return c
